"""The CIFAR networks as a search space of Keras Tuner. Requires `pip install 'keras-resnet-family[tuner]'`."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import groupby, product, takewhile
from typing import Any

import keras
import keras_tuner

from keras_resnet.errors import choose, positive, positives, within
from keras_resnet.initialization import without_drawing
from keras_resnet.layers import dtype_policy
from keras_resnet.macs import model_size
from keras_resnet.resnet import ResNet, checked
from keras_resnet.shortcuts import OPTIONS
from keras_resnet.variants import CIFAR, Variant, cifar, field_names

# The fields of a `Variant` that are hyperparameters or are determined by other arguments.
CHOSEN = {
    *("block", "depths", "filters", "shortcut", "order", "weight_decay", "image_size", "classes"),
    *("rank", "convolution", "frames"),  # images only
}
PARTS = ("block", "width", "shortcut", "order", "depth")
SCHEDULES = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


class HyperResNet(keras_tuner.HyperModel):
    """A hypermodel of the CIFAR networks of He et al. 2015 and 2016, for any tuner of Keras Tuner.

    It is used like `keras_tuner.applications.HyperResNet`. In contrast to that hypermodel, the search space contains
    depth and shortcut type, and the networks are designed for small images. Labels are integers. The metric is
    `accuracy`, so the objective is `"val_accuracy"`.

    | hyperparameter | values | meaning |
    | --- | --- | --- |
    | `block` | `blocks` | `"building_block"` or `"bottleneck"` |
    | `width` | `widths` | the stages have 16, 32 and 64 filters times `width` (arXiv:1605.07146) |
    | `shortcut` | `shortcuts` | option A is `"zero_pad"`, B `"projection"`, C `"projection_all"`, plain `"none"` |
    | `order` | `orders` | the order of BN and ReLU, such as `"original"` or `"preactivation"` |
    | `depth` | `depths` | the number of weight layers: 6n + 2 with building blocks, 9n + 2 with bottlenecks |
    | `learning_rate` | `learning_rates` | the initial learning rate of SGD with momentum 0.9 |
    | `weight_decay` | `weight_decays` | weight decay of the kernels as defined in the papers: 1e-4 is `L2(5e-5)` |

    A hyperparameter with one value is `Fixed`. If the legal values of a hyperparameter depend on another
    hyperparameter, it is conditional. It then has one name for each condition, such as `depth[block=bottleneck]` or
    `depth[width=1|2]`, because Keras Tuner loses the values of conditional hyperparameters that share a name.
    `values(hp)` returns the values with the names in the table.

    With `max_parameters` or `max_macs`, the size of every combination is computed, which takes 0.1 to 1 second for each
    combination. Combinations that exceed a limit are removed from the search space. A trial can also have other values,
    for example from the argument `hyperparameters` of the tuner. If these values do not describe a network, or if the
    network exceeds a limit, the trial fails without training.

    `fit` adds `ReduceLROnPlateau`, which divides the learning rate by 10 when `val_loss` reaches a plateau, as in
    He et al. 2015, section 3.4. `fit` does not add it if the callbacks contain a `ReduceLROnPlateau` or a
    `LearningRateScheduler`.

    Args:
        input_shape: Tuple of three integers, the shape of an image: `(height, width, channels)`.
        classes: Integer, the number of classes.
        depths: List of depths. With several blocks, a depth needs to be legal for at least one of them.
        shortcuts: List of names of `keras_resnet.SHORTCUTS` or names in the papers: `"A"`, `"B"`, `"C"`, `"plain"`.
        orders: List of names of `keras_resnet.ORDERS`.
        widths: List of integers, multipliers of the number of filters.
        blocks: List of names of `keras_resnet.BLOCKS`.
        learning_rates: List of numbers.
        weight_decays: List of numbers.
        max_parameters: Integer, the largest number of trainable parameters. Defaults to no limit.
        max_macs: Integer, the largest number of multiply-adds for one image. Defaults to no limit.
        patience: Integer, the number of epochs without a better `val_loss` after which the learning rate is divided.
            Defaults to a tenth of the epochs.
        preprocessing: A layer or a function that is applied to the images inside the model, such as
            `keras.layers.Rescaling(1 / 255)`. Defaults to None, no preprocessing.
        dtype: The dtype policy of the networks. Defaults to the global policy when the hypermodel is created. (Before
            each trial, Keras Tuner clears the session and thereby resets the global policy.)
        name: String, the name of the hypermodel.
        tunable: Boolean, whether the hyperparameters are added to the search space.
        **fields: Fields of `keras_resnet.Variant` that all networks have, such as `gate="se"`.

    Raises:
        ValueError: If an argument does not have the described type, if no legal combination contains a value (such as
            the depth 9), or if every network exceeds a limit.

    Example:
        ```python
        import keras
        import keras_tuner
        import numpy as np
        from keras_resnet.tuner import HyperResNet

        images, labels = np.random.uniform(0, 255, (64, 16, 16, 3)), np.arange(64) % 10
        hypermodel = HyperResNet(
            (16, 16, 3), classes=10, depths=[8, 14], shortcuts=["A", "B", "plain"],
            max_parameters=100_000, preprocessing=keras.layers.Rescaling(1 / 255),
        )
        tuner = keras_tuner.RandomSearch(hypermodel, objective="val_accuracy", max_trials=2, seed=1)
        tuner.search(images, labels, validation_split=0.25, epochs=1)
        model = tuner.get_best_models()[0]
        print(hypermodel.values(tuner.get_best_hyperparameters()[0]), model.variant)
        ```
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        *,
        depths: Iterable[int] = (20, 32, 44, 56),
        shortcuts: Iterable[str] = ("A", "B", "C", "plain"),
        orders: Iterable[str] = ("original",),
        widths: Iterable[int] = (1,),
        blocks: Iterable[str] = ("building_block",),
        learning_rates: Iterable[float] = (0.1, 0.03, 0.01),
        weight_decays: Iterable[float] = (1e-4,),
        max_parameters: int | None = None,
        max_macs: int | None = None,
        patience: int | None = None,
        preprocessing: Callable | None = None,
        dtype=None,
        name: str | None = None,
        tunable: bool = True,
        **fields,
    ):
        super().__init__(name=name, tunable=tunable)
        self.input_shape = positives(input_shape, "input_shape", "dimension")
        if len(self.input_shape) != 3:
            raise ValueError(f"input_shape must be a tuple of three integers. Received: {input_shape!r}")
        self.classes = positive(classes, "classes")
        allowed = dict.fromkeys(field for field in field_names(Variant) if field not in CHOSEN)
        for field in fields:
            choose(allowed, field, "The name of a keyword argument")
        self.fields = fields
        limits = {"max_parameters": max_parameters, "max_macs": max_macs}
        self.limits = {name: positive(limit, name) for name, limit in limits.items() if limit is not None}
        self.patience = None if patience is None else positive(patience, "patience")
        if preprocessing is not None and not callable(preprocessing):
            raise ValueError(f"preprocessing must be a layer or a function. Received: {preprocessing!r}")
        self.preprocessing = preprocessing
        self.dtype_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.rates = {
            "learning_rate": _unique(learning_rates, "learning_rates", _number("more than 0")),
            "weight_decay": _unique(weight_decays, "weight_decays", _number("0 or more")),
        }
        options = {
            "block": _unique(blocks, "blocks", _string),
            "width": _unique(widths, "widths", positive),
            "shortcut": _unique(shortcuts, "shortcuts", _string),
            "order": _unique(orders, "orders", _string),
            "depth": sorted(_unique(depths, "depths", positive)),
        }  # in the order of PARTS
        self.combinations = self._within_limits(self._valid(options))

    def _valid(self, options: dict[str, list]) -> list[tuple]:
        """Returns the combinations of `options` that describe a network.

        Raises ValueError if a value is in none of these combinations.
        """
        legal, errors = [], {}
        for combination in product(*options.values()):
            try:
                self.variant(dict(zip(options, combination, strict=True)))
            except ValueError as error:
                errors[combination] = error
            else:
                legal.append(combination)
        for i, values in enumerate(options.values()):
            for value in values:
                if all(combination[i] != value for combination in legal):
                    raise next(error for combination, error in errors.items() if combination[i] == value)
        return legal

    def _within_limits(self, combinations: list[tuple]) -> list[tuple]:
        """Returns the combinations that do not exceed a limit.

        Combinations that differ only in depth must be adjacent and sorted by depth.
        """
        if not self.limits:
            return combinations
        fitting: list[tuple] = []
        for _, group in groupby(combinations, key=lambda combination: combination[:-1]):
            fitting += takewhile(lambda combination: not self._exceeded_limits(_named(combination)), group)
        if not fitting:
            raise ValueError(f"No network is within the limits: {self._exceeded_limits(_named(combinations[0]))}")
        return fitting

    def _exceeded_limits(self, values: dict[str, Any]) -> str:
        """Returns a message about the limit that a network exceeds, or "" if it exceeds none."""
        size = self.size(values) if self.limits else {}
        numbers = {"max_parameters": "parameters", "max_macs": "multiply_adds"}
        for name, limit in self.limits.items():
            if size[numbers[name]] > limit:
                words = ", ".join(f"{key}={values[key]!r}" for key in PARTS)
                return f"{size[numbers[name]]} {numbers[name]} are more than {name}={limit} ({words})"
        return ""

    def build(self, hp):
        """Builds and compiles the network of a trial.

        Args:
            hp: A `keras_tuner.HyperParameters`.

        Returns:
            A compiled `keras_resnet.Network`. Its optimizer is built. A trial that Hyperband promotes therefore
            continues with the momentum and the learning rate of its checkpoint.

        Raises:
            keras_tuner.errors.FailedTrialError: If the values do not describe a network, or if the network exceeds a
                limit. Tuners skip such trials.
        """
        values = self._values(hp)
        try:
            if "depth" not in values:
                raise ValueError(f"No network of the search space has these values: {values}")
            excess = self._exceeded_limits(values)
            if excess:
                raise ValueError(excess)
            return self.create(values)
        except ValueError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error

    def fit(self, hp, model, *args, callbacks=None, **kwargs):
        """Trains the network of a trial. The learning rate is divided by 10 when `val_loss` reaches a plateau.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            model: The model that `build` returned.
            *args: Positional arguments of `model.fit`.
            callbacks: List of callbacks. If none of them is a `ReduceLROnPlateau` or a `LearningRateScheduler`, a
                `ReduceLROnPlateau` is inserted before them, so that checkpoints contain the learning rate of the next
                epoch.
            **kwargs: Keyword arguments of `model.fit`.

        Returns:
            A `keras.callbacks.History`.
        """
        callbacks = list(callbacks or ())
        if not any(isinstance(callback, SCHEDULES) for callback in callbacks):
            patience = self.patience or max(1, kwargs.get("epochs", 1) // 10)
            callbacks.insert(0, keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.1, patience=patience))
        return model.fit(*args, callbacks=callbacks, **kwargs)

    def values(self, hp) -> dict[str, Any]:
        """Returns the values of the hyperparameters of a trial, with the names in the table of `HyperResNet`.

        Args:
            hp: A `keras_tuner.HyperParameters`, for example from `tuner.get_best_hyperparameters()`.

        Returns:
            A dict: name -> value.
        """
        return self._values(hp.copy())

    def _values(self, hp) -> dict[str, Any]:
        """Returns the same as `values`. Declares the hyperparameters that `hp` does not contain."""
        values = _declare(hp, list(PARTS), self.combinations)
        return values | {name: _choice(hp, name, options) for name, options in self.rates.items()}

    def variant(self, values: dict[str, Any]) -> Variant:
        """Returns the `keras_resnet.Variant` for a dict of values. They do not need to be in the search space.

        Args:
            values: Dict with `block`, `width`, `shortcut`, `order`, `depth` and optionally `weight_decay`, which
                defaults to 0.

        Returns:
            A `keras_resnet.Variant`.

        Raises:
            ValueError: If the values do not describe a network.
        """
        row = cifar(
            values["depth"],
            values["block"],
            shortcut=values["shortcut"],
            order=values["order"],
            filters=CIFAR["filters"] * positive(values["width"], "width"),
            weight_decay=values.get("weight_decay", 0.0),
            **self.fields,
        )
        return checked(row)

    def size(self, values: dict[str, Any]) -> dict[str, int]:
        """Returns the size of a network without building it.

        Args:
            values: As in `variant`.

        Returns:
            A dict with the number of trainable `parameters` and the `multiply_adds` for one image.

        Raises:
            ValueError: If the values do not describe a network.
        """
        return dict(_count(self.variant({**values, "weight_decay": 0.0}), self.input_shape, self.classes))

    def create(self, values: dict[str, Any]):
        """Builds and compiles a network from a dict of values. They do not need to be in the search space.

        Args:
            values: As in `variant`, with `learning_rate` in addition.

        Returns:
            A compiled `keras_resnet.Network`.

        Raises:
            ValueError: If the values do not describe a network.
        """
        with dtype_policy(self.dtype_policy):
            image = keras.Input(self.input_shape, name="image")
            inputs = image if self.preprocessing is None else self.preprocessing(image)
            model = ResNet(self.variant(values), input_tensor=inputs, classes=self.classes)
            model.compile(
                optimizer=keras.optimizers.SGD(values["learning_rate"], momentum=0.9),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
            )
        # Without this line, Keras Tuner would load checkpoints without the momentum of the optimizer.
        model.optimizer.build(model.trainable_variables)
        return model


def _named(combination: tuple) -> dict[str, Any]:
    return dict(zip(PARTS, combination, strict=True))


def _unique(values: Iterable, argument: str, convert: Callable) -> list:
    """Returns `values` as a list without duplicates. Raises ValueError if they are not a sequence or are empty."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{argument} must be a list. Received: {values!r}")
    converted = list(dict.fromkeys(convert(value, argument) for value in values))
    if not converted:
        raise ValueError(f"{argument} must contain at least one value. Received: {values!r}")
    return converted


def _string(value, argument: str) -> str:
    """Returns `value`. A shortcut name of the papers, such as "A", is replaced by its name in `SHORTCUTS`."""
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be a list of strings. Received: {value!r}")
    return OPTIONS.get(value, value)


def _number(interval: str) -> Callable:
    return lambda value, argument: float(within(value, argument, interval))


def _choice(hp, name: str, values: Iterable):
    """Declares a `Choice`, or a `Fixed` if there is only one value. Returns the value of the trial."""
    first, *others = values
    return hp.Choice(name, [first, *others]) if others else hp.Fixed(name, first)


def _groups(combinations: Iterable[tuple], i: int) -> dict[tuple, list]:
    """Groups the values at position `i` of the combinations. Values in a group occur with the same other values.

    Returns a dict: other values -> values of the group.
    """
    rests: dict[Any, list] = {}
    for combination in combinations:
        rests.setdefault(combination[i], []).append(combination[:i] + combination[i + 1 :])
    groups: dict[tuple, list] = {}
    for value, rest in rests.items():
        groups.setdefault(tuple(rest), []).append(value)
    return groups


def _declare(hp, names: list[str], combinations: Iterable[tuple], conditions: tuple = ()) -> dict[str, Any]:
    """Declares the hyperparameters `names` so that exactly these combinations can be drawn. Returns the values.

    First, the function declares each hyperparameter whose values can all be combined with the same other values. Then
    it declares one other hyperparameter and groups its values. For each group, it declares the remaining
    hyperparameters in a conditional scope. (Keras Tuner requires that the parent of a hyperparameter in a scope is
    declared in the same scope.)
    """
    values, suffix = {}, f"[{','.join(conditions)}]" if conditions else ""
    for name in list(names):
        groups = _groups(combinations, names.index(name))
        if len(groups) == 1:
            names = [other for other in names if other != name]
            ((combinations, options),) = groups.items()
            values[name] = _choice(hp, name + suffix, options)
    if names:
        name, *others = names
        values[name] = _choice(hp, name + suffix, dict.fromkeys(combination[0] for combination in combinations))
        for rest, options in _groups(combinations, 0).items():
            condition = f"{name}={'|'.join(map(str, options))}"
            with hp.conditional_scope(name + suffix, options):
                found = _declare(hp, others, rest, (*conditions, condition))
            if values[name] in options:
                values |= found
    return values


@cache
def _count(row: Variant, input_shape: tuple, classes: int) -> dict[str, int]:
    """Returns the size of a network. Its variables are not initialized.

    The random numbers that Keras and Python draw afterwards are the same as without this call.
    """

    def count():
        with keras.StatelessScope(initialize_variables=False), without_drawing():
            return model_size(ResNet(row, input_shape=input_shape, classes=classes))

    state = random.getstate()
    try:
        # Keras keeps one list for each thread of the variables that it initializes later. A separate thread keeps these
        # variables out of the list of this thread.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(count).result()
    finally:
        random.setstate(state)
