"""The CIFAR networks as a search space of Keras Tuner: `pip install 'keras-resnet-family[tuner]'`."""

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

# The fields of a `Variant` that are hyperparameters or follow from other arguments.
CHOSEN = {
    *("block", "depths", "filters", "shortcut", "order", "weight_decay", "image_size", "classes"),
    *("rank", "convolution", "frames"),  # images only
}
PARTS = ("block", "width", "shortcut", "order", "depth")
SCHEDULES = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


class HyperResNet(keras_tuner.HyperModel):
    """A hypermodel of the CIFAR networks of He et al. 2015 and 2016, for any tuner of Keras Tuner.

    It is used like `keras_tuner.applications.HyperResNet`, but it searches over depth and shortcut type, and its
    networks are made for small images. Labels are integers, the metric is `accuracy`: the objective is
    `"val_accuracy"`.

    | hyperparameter | values | meaning |
    | --- | --- | --- |
    | `block` | `blocks` | `"building_block"` or `"bottleneck"` |
    | `width` | `widths` | the stages have 16, 32 and 64 filters times `width` (arXiv:1605.07146) |
    | `shortcut` | `shortcuts` | option A is `"zero_pad"`, B `"projection"`, C `"projection_all"`, plain `"none"` |
    | `order` | `orders` | the order of BN and ReLU, such as `"original"` or `"preactivation"` |
    | `depth` | `depths` | the number of weight layers: 6n + 2 with building blocks, 9n + 2 with bottlenecks |
    | `learning_rate` | `learning_rates` | the initial learning rate of SGD with momentum 0.9 |
    | `weight_decay` | `weight_decays` | of the kernels, as the papers count it: 1e-4 is `L2(5e-5)` |

    Hyperparameters with one value are `Fixed`. If the legal values of a hyperparameter depend on another one, it is
    conditional and has a name for each condition, such as `depth[block=bottleneck]` or `depth[width=1|2]`, because
    Keras Tuner loses the values of conditional hyperparameters that share a name. `values(hp)` returns the values by
    the names in the table.

    With `max_parameters` or `max_macs` every combination is counted, which takes 0.1 to 1 second for each, and those
    that are too large are not in the search space. A trial with other values, for example those of the tuner's argument
    `hyperparameters`, fails without training if there is no such network or if it is too large.

    `fit` adds `ReduceLROnPlateau`, which divides the learning rate by 10 when `val_loss` reaches a plateau, as in
    He et al. 2015, section 3.4, unless the callbacks contain one or a `LearningRateScheduler`.

    Args:
        input_shape: Tuple of three integers, the shape of an image: `(height, width, channels)`.
        classes: Integer, the number of classes.
        depths: List of depths. Depths that fit only one of several blocks are legal.
        shortcuts: List of names of `keras_resnet.SHORTCUTS` or of the papers: `"A"`, `"B"`, `"C"`, `"plain"`.
        orders: List of names of `keras_resnet.ORDERS`.
        widths: List of integers, multipliers of the number of filters.
        blocks: List of names of `keras_resnet.BLOCKS`.
        learning_rates: List of numbers.
        weight_decays: List of numbers.
        max_parameters: Integer, the largest number of trainable parameters. Defaults to no limit.
        max_macs: Integer, the largest number of multiply-adds for one image. Defaults to no limit.
        patience: Integer, the number of epochs without a better `val_loss` before the learning rate is divided.
            Defaults to a tenth of the epochs.
        preprocessing: A layer or a function that is applied to the images inside the model, such as
            `keras.layers.Rescaling(1 / 255)`. Defaults to none.
        dtype: The dtype policy of the networks. Defaults to the global policy at this call. (Keras Tuner clears the
            session before each trial, and with it the global policy.)
        name: String, the name of the hypermodel.
        tunable: Boolean, whether the hyperparameters are added to the search space.
        **fields: Fields of `keras_resnet.Variant` that all networks have, such as `gate="se"`.

    Raises:
        ValueError: If an argument is not as described, if a value is in no legal combination (such as the depth 9), or
            if the limits leave no network.

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
        """The combinations of `options` that are networks; ValueError where a value is in none of them."""
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
        """Those within the limits. The depths of otherwise equal combinations are consecutive and ascend."""
        if not self.limits:
            return combinations
        fitting: list[tuple] = []
        for _, group in groupby(combinations, key=lambda combination: combination[:-1]):
            fitting += takewhile(lambda combination: not self._exceeded_limits(_named(combination)), group)
        if not fitting:
            raise ValueError(f"No network is within the limits: {self._exceeded_limits(_named(combinations[0]))}")
        return fitting

    def _exceeded_limits(self, values: dict[str, Any]) -> str:
        """Which limit a network exceeds, or ""."""
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
            A compiled `keras_resnet.Network`. Its optimizer is built, so that a trial that Hyperband promotes continues
            with the momentum and the learning rate of its checkpoint.

        Raises:
            keras_tuner.errors.FailedTrialError: If there is no such network or if it exceeds a limit. Tuners skip such
                trials.
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
        """Trains the network of a trial, with the learning rate divided by 10 on plateaus.

        Args:
            hp: A `keras_tuner.HyperParameters`.
            model: The model that `build` returned.
            *args: Positional arguments of `model.fit`.
            callbacks: List of callbacks. If none of them is a `ReduceLROnPlateau` or a `LearningRateScheduler`, a
                `ReduceLROnPlateau` is added before them: checkpoints contain the learning rate of the next epoch.
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
        """Returns the values of a trial by the names in the table above.

        Args:
            hp: A `keras_tuner.HyperParameters`, for example from `tuner.get_best_hyperparameters()`.

        Returns:
            A dict.
        """
        return self._values(hp.copy())

    def _values(self, hp) -> dict[str, Any]:
        """The same, after it declares the hyperparameters that `hp` does not have."""
        values = _declare(hp, list(PARTS), self.combinations)
        return values | {name: _choice(hp, name, options) for name, options in self.rates.items()}

    def variant(self, values: dict[str, Any]) -> Variant:
        """Returns the `keras_resnet.Variant` of a dict of values, which need not be in the search space.

        Args:
            values: Dict with `block`, `width`, `shortcut`, `order` and `depth`. `weight_decay` defaults to 0.

        Returns:
            A `keras_resnet.Variant`.

        Raises:
            ValueError: If there is no such network.
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
            values: As for `variant`.

        Returns:
            A dict: trainable `parameters`, and `multiply_adds` for one image.

        Raises:
            ValueError: If there is no such network.
        """
        return dict(_count(self.variant({**values, "weight_decay": 0.0}), self.input_shape, self.classes))

    def create(self, values: dict[str, Any]):
        """Builds and compiles a network from a dict of values, which need not be in the search space.

        Args:
            values: As for `variant`, with `learning_rate` and `weight_decay`.

        Returns:
            A compiled `keras_resnet.Network`.

        Raises:
            ValueError: If there is no such network.
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
        model.optimizer.build(model.trainable_variables)  # else Keras Tuner loads a checkpoint without its momentum
        return model


def _named(combination: tuple) -> dict[str, Any]:
    return dict(zip(PARTS, combination, strict=True))


def _unique(values: Iterable, argument: str, convert: Callable) -> list:
    """`values` as a list without duplicates; ValueError unless they are a sequence with at least one element."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"{argument} must be a list. Received: {values!r}")
    converted = list(dict.fromkeys(convert(value, argument) for value in values))
    if not converted:
        raise ValueError(f"{argument} must contain at least one value. Received: {values!r}")
    return converted


def _string(value, argument: str) -> str:
    """`value`; the row of `SHORTCUTS` for a name of the papers."""
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be a list of strings. Received: {value!r}")
    return OPTIONS.get(value, value)


def _number(interval: str) -> Callable:
    return lambda value, argument: float(within(value, argument, interval))


def _choice(hp, name: str, values: Iterable):
    """A `Choice`, or `Fixed` if there is one value."""
    first, *others = values
    return hp.Choice(name, [first, *others]) if others else hp.Fixed(name, first)


def _groups(combinations: Iterable[tuple], i: int) -> dict[tuple, list]:
    """Groups the values at position `i` by the other values that they may be combined with: other values -> values."""
    rests: dict[Any, list] = {}
    for combination in combinations:
        rests.setdefault(combination[i], []).append(combination[:i] + combination[i + 1 :])
    groups: dict[tuple, list] = {}
    for value, rest in rests.items():
        groups.setdefault(tuple(rest), []).append(value)
    return groups


def _declare(hp, names: list[str], combinations: Iterable[tuple], conditions: tuple = ()) -> dict[str, Any]:
    """Declares `names` such that exactly these combinations of their values can be drawn. Returns the values.

    Hyperparameters that may be combined with the same values in any case come first. Then one that may not, and in a
    conditional scope for each group of its values all others. (In a scope, a parent must be declared in that scope.)
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
    """The size of a network. Its variables have no values, and nothing that Keras and Python draw later changes."""

    def count():
        with keras.StatelessScope(initialize_variables=False), without_drawing():
            return model_size(ResNet(row, input_shape=input_shape, classes=classes))

    state = random.getstate()
    try:
        # In a thread, because Keras keeps a list of variables to initialize later, one list for each thread.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(count).result()
    finally:
        random.setstate(state)
