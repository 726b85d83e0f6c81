"""`Run`: the settings of a training run. `run(directory)` trains it, resumes it, or returns its result."""

import itertools
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import choose, positive, warn
from keras_resnet.files import only_one, read_json, whole, write_json
from keras_resnet.layers import dtype_policy
from keras_resnet.machine import bfloat16_pays
from keras_resnet.macs import model_size
from keras_resnet.network import Description, Network
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.resnet import ResNet, recursion_limit, weight_layers
from keras_resnet.training.batches import Feed, evaluation_batches, training_batches
from keras_resnet.training.datasets import ImageData, load_data
from keras_resnet.training.devices import hosts, least_of_hosts, on_devices
from keras_resnet.training.environment import commit, machine, versions
from keras_resnet.training.progress import EpochLines, duration
from keras_resnet.training.recipes import LOSSES, RECIPES, find_recipe
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, find_row
from keras_resnet.weights import read_source

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
PRECISIONS = ("auto", *POLICIES)
EVALUATION_BATCH = 500
# Largest number of epochs of a recipe with a number of steps. An epoch may be several passes through the data set.
EPOCHS_OF_STEPS = 20
# print_plan ignores the time of the first steps. Then it measures the speed for a number of seconds.
WARM_UP_STEPS = 2
PLAN_SECONDS = 3.0


def precision_of(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Converts a name of `PRECISIONS` to a key of `POLICIES`. `"auto"` is bfloat16 if it is faster on this machine."""
    if choose(dict.fromkeys(PRECISIONS, name), name, "precision") != "auto":
        return name
    return "bfloat16" if bfloat16_pays(cpuinfo) else "float32"


@dataclass(frozen=True)
class Run:
    """A training run, defined by all settings that determine its result. Call it with a directory to train it.

    Args:
        net: Name of a row of `VARIANTS`, or a `Variant`.
        dataset: A source of `load_data`: `"cifar10"`, `"folder:PATH"`, the name of a tfds data set, ...
        recipe: Name of `RECIPES`. Defaults to `"fast"`.
        fields: Fields of the row that are replaced, such as `{"shortcut": "projection"}`.
        changes: Fields of the recipe that are replaced, such as `{"learning_rate": 0.03}`.
        weights: Initial weights, as for `keras_resnet.ResNet`. If their number of classes differs from the data set,
            the classifier is initialized randomly. Defaults to None, random initialization.
        seed: Integer. It determines the initial weights, the order of the images and their augmentation.
        precision: `"float32"`, `"bfloat16"`, `"float16"` (mixed precision) or `"auto"`. `"auto"` is bfloat16 if it is
            faster on the machine that trains, otherwise float32. Defaults to `"auto"`.
        epochs: Number of epochs. Defaults to the number of the recipe. Schedules are stretched or compressed.
        devices: Number of devices that share each batch. Defaults to 1.
        image_size: Height and width of the images in pixels. Defaults to the first defined size of: the recipe, the
            data set, the preprocessing of `weights`, the row.
        train_examples: Number of training images. Defaults to all images.
        validation: Number of training images that are held out for validation. Defaults to the number of the data set.
            With 0, the test set is evaluated instead. Then the results must not be used to choose hyperparameters.
        evaluations: Number of evaluations, evenly distributed over the epochs. Defaults to None: the network is
            evaluated after every epoch.

    Example:
        >>> run = Run("resnet20", "digits", epochs=1, train_examples=128)
        >>> run.name
        'resnet20-fast-seed0'
    """

    net: str | Variant | DenseVariant
    dataset: str
    recipe: str = "fast"
    fields: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    seed: int = 0
    precision: str = "auto"
    epochs: int | None = None
    devices: int = 1
    image_size: int | None = None
    train_examples: int | None = None
    validation: int | None = None
    evaluations: int | None = None

    def __post_init__(self):
        if isinstance(self.net, str):
            object.__setattr__(self, "net", find_row(self.net, "net"))
        elif not isinstance(self.net, Variant | DenseVariant):
            raise ValueError(f"net must be the name of a row or a Variant. Received: {self.net!r}")
        choose(RECIPES, self.recipe, "recipe")
        choose(dict.fromkeys(PRECISIONS), self.precision, "precision")
        find_recipe(self.recipe, self._changes, 10**6)
        for argument in ("epochs", "image_size", "train_examples", "evaluations"):
            if getattr(self, argument) is not None:
                positive(getattr(self, argument), argument)
        positive(self.devices, "devices")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ValueError(f"seed must be an integer of 0 or more. Received: {self.seed!r}")

    @property
    def _changes(self) -> dict[str, Any]:
        return dict(self.changes) | ({} if self.epochs is None else {"epochs": self.epochs})

    @property
    def net_name(self) -> str:
        """The name of the row with the replaced fields, such as `"resnet20-projection"`."""
        name = self.net if isinstance(self.net, str) else "resnet"
        return "-".join([name, *map(str, self.fields.values())])

    @property
    def name(self) -> str:
        """A name for the directory of the run."""
        return f"{self.net_name}-{self.recipe}-seed{self.seed}"

    def settings(self) -> dict[str, Any]:
        """Returns the settings as a dict for JSON. `"auto"` is replaced by the precision of this machine."""
        net = self.net if isinstance(self.net, str) else Description(self.net).to_config()["variant"]
        settings = {name: getattr(self, name) for name in self.__dataclass_fields__}
        settings |= {"net": net, "precision": precision_of(self.precision), "weights": _text(self.weights)}
        return json.loads(json.dumps(settings | {"fields": dict(self.fields), "changes": dict(self.changes)}))

    def __call__(
        self,
        directory: str | Path,
        *,
        data_dir: str | None = None,
        strict: bool = False,
        data: ImageData | None = None,
        report: Callable[[int, dict[str, float]], bool] | None = None,
        plan: bool = False,
        keep_backup: bool = False,
        prefix: str = "",
    ) -> dict[str, Any]:
        """Trains the network, resumes an interrupted training, or returns the result of a finished training.

        Afterwards the directory contains `model.keras`, `history.json`, `settings.json` and `result.json`, which is
        written last. An interrupted run resumes after its last complete epoch. Its metrics equal those of a run without
        interruption.

        Args:
            directory: The directory for the files. No other process may use it at the same time. If several processes
                train one network (JAX, `keras.distribution.initialize`), the first process writes to `directory`, and
                process n to `directory/process<n>`.
            data_dir: Directory of tfds data sets. Defaults to `TFDS_DATA_DIR`, then `~/tensorflow_datasets`.
            strict: Whether unreadable files of an image folder are an error. Defaults to False: unreadable files are
                skipped with a warning.
            data: The `ImageData` of the run, if it is already loaded. Defaults to None: `load_data` is called.
            report: A function that is called after each epoch. Its arguments are the number of completed epochs and the
                metrics of the last epoch. If it returns True, the run stops.
            plan: Whether to measure the speed first and to print how long the training will take.
            keep_backup: Whether the directory keeps `backup/`, from which a longer run can continue.
            prefix: Text before each printed line.

        Returns:
            The content of `result.json`: the settings, `examples` (number of training images), `test_accuracy` or
            `validation_accuracy` of the last epoch, `train_accuracy`, `parameters`, `multiply_adds`, `seconds` of all
            epochs, `overhead` (the seconds before and after the epochs), `ended` (Unix time), `history` (a list of
            dicts, one per epoch), `machine`, `versions`, `commit`. If the run ended early, `stopped` says when. A run
            that diverged has `failure` and no accuracy.

        Raises:
            ValueError: If the directory contains another run, or if `load_data` or `ResNet` rejects a setting.
            DataUnavailable: If the data set is not on this machine and cannot be prepared.
            DirectoryInUse: If another process uses the directory.
        """
        directory = Path(directory)
        if hosts()[0]:
            directory /= f"process{hosts()[0]}"
        self.check(directory)
        with only_one(directory):
            result = read_json(directory / "result.json")
            if result is None:
                data = self.load_data(data_dir, strict) if data is None else data
                training = _Training(self, directory, data, report, prefix)
                if plan:
                    training.print_plan()
                result = training.result()
                write_json(directory / "result.json", result)
            if not keep_backup:
                shutil.rmtree(directory / "backup", ignore_errors=True)
        return result

    def load_data(self, data_dir: str | None = None, strict: bool = False) -> ImageData:
        """Loads the data set of the run, see `keras_resnet.training.load_data`."""
        return load_data(
            self.dataset,
            data_dir=data_dir,
            train_examples=self.train_examples,
            validation=self.validation,
            strict=strict,
        )

    def check(self, directory: Path) -> None:
        """Raises ValueError if the directory contains a run with other settings."""
        settings = self.settings()
        found = read_json(Path(directory) / "settings.json") or settings
        differences = {name: value for name, value in found.items() if settings.get(name) != value}
        if differences:
            raise ValueError(
                f"directory contains a run with other settings: {differences}. Choose another directory. "
                f"Received: { {name: settings.get(name) for name in differences} }"
            )


def _text(weights) -> str | None:
    return None if weights is None else str(weights) if not isinstance(weights, Mapping) else "arrays"


class _Training:
    """The training loop of a run."""

    def __init__(self, run: Run, directory: Path, data: ImageData, report, prefix: str):
        self.run, self.directory, self.data, self.report = run, directory, data, report
        self.examples = self.data.train.size
        self.recipe = find_recipe(run.recipe, run._changes, self.examples)
        self.precision = precision_of(run.precision)
        self.evaluated = "test" if self.data.validation is None else "validation"
        self.lines = EpochLines(self.evaluated, prefix)

    def print_plan(self) -> None:
        """Trains a temporary network for some steps and prints the estimated duration of the run."""
        with dtype_policy(POLICIES[self.precision]), on_devices(self.run.devices):
            model, size = self.build()
            feed = self.feed(size, epoch=0)
            epochs = self.recipe.training_epochs(feed.steps)
            self.compile(model, epochs * feed.steps)
            batches = itertools.chain.from_iterable(itertools.repeat(feed.data))
            done, seconds = 0, 0.0
            for number, (images, labels) in enumerate(batches):
                model.train_on_batch(images, labels)
                if number < WARM_UP_STEPS:  # these steps include compilation
                    start = time.perf_counter()
                    continue
                done, seconds = done + len(labels), time.perf_counter() - start
                if seconds > PLAN_SECONDS:
                    break
        steps, speed = epochs * feed.steps, done / seconds
        self.lines.print_line(
            f"Plan: {epochs} epochs of {feed.steps} steps of {self.recipe.batch_size} images, {steps} steps in all. "
            f"Measured here: {speed:.0f} images/s, so about {duration(epochs * self.examples / speed)} and the "
            f"evaluations."
        )

    def result(self) -> dict[str, Any]:
        run, recipe, start = self.run, self.recipe, time.perf_counter()
        with dtype_policy(POLICIES[self.precision]), on_devices(run.devices):
            keras.utils.set_random_seed(run.seed)
            model, size = self.build()
            backup, part = _Backup(self.directory / "backup"), self.part
            feed = self.feed(size, epoch=backup.epoch)
            epochs = recipe.training_epochs(feed.steps)
            self.compile(model, epochs * feed.steps)
            state = backup.restore(model)
            self.lines.print_line(
                f"{run.net_name}, {run.recipe}: {self.examples} images of {self.data.name}, {epochs} epochs of "
                f"{feed.steps} steps, {self.precision}"
                + (f"; resumes after epoch {state['epoch']}" if state["epoch"] else "")
            )
            write_json(self.directory / "settings.json", run.settings())
            history = _History(self.directory / "history.json", self.evaluated)
            callbacks = self.callbacks(history, backup, state, epochs)
            if not state["stopped"]:
                model.fit(
                    feed.data,
                    steps_per_epoch=feed.steps_per_epoch,
                    epochs=epochs,
                    initial_epoch=state["epoch"],
                    validation_freq=self.evaluation_epochs(epochs),
                    callbacks=callbacks,
                    shuffle=False,  # a resumed run could not reproduce the order of Keras' shuffling
                    verbose=0,
                    **self.validation_data(part),
                )
            figures = history.figures()
            result = run.settings() | {"epochs": len(figures), "examples": self.examples, "steps": feed.steps}
            if not all(math.isfinite(row["loss"]) for row in figures):
                return result | {"failure": f"diverged: the loss was not a number in epoch {len(figures)}"} | _where()
            model = self.finished(model)
        save_model(model, self.directory / "model.keras")
        if len(figures) < epochs:
            result["stopped"] = f"after epoch {len(figures)} of {epochs}"
        accuracy = f"{self.evaluated}_accuracy"
        result |= {accuracy: next(row[accuracy] for row in reversed(figures) if accuracy in row)}
        result |= {"train_accuracy": figures[-1]["accuracy"], **model_size(model)}
        seconds = sum(row["seconds"] for row in figures)
        result |= {"seconds": round(seconds, 1), "ended": round(time.time(), 1)}
        result["overhead"] = round(time.perf_counter() - start - history.seconds, 2)
        return result | _where() | {"history": figures}

    @property
    def part(self):
        part = self.data.test if self.data.validation is None else self.data.validation
        if part is None:
            raise ValueError(f"validation must not be 0: {self.data.name} has no test set to evaluate")
        return part

    def row(self) -> Variant | DenseVariant:
        return VARIANTS[self.run.net] if isinstance(self.run.net, str) else self.run.net

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the initial weights if it is known, otherwise the preprocessing of the data set."""
        if self.run.weights is None:
            return self.data.preprocessing
        name = self.run.net if isinstance(self.run.net, str) else "resnet"
        found = read_source(self.run.weights, name, replace(self.row(), **self.run.fields)).preprocessing
        if found is None:
            warn(
                f"The preprocessing of the weights {_text(self.run.weights)!r} is not known. The images are normalized "
                f"with {self.data.preprocessing}."
            )
        return found or self.data.preprocessing

    def build(self) -> tuple[Network, int]:
        """Returns the network, whose input pixels are in 0..255, and the size of the training images."""
        run, recipe = self.run, self.recipe
        preprocessing = self.preprocessing
        known = preprocessing.size if run.weights is not None else self.row().image_size
        size = run.image_size or recipe.image_size or self.data.image_size or known
        self.evaluation_size = size if run.image_size else recipe.evaluation_size or size
        shared = {} if run.devices == 1 else {"norm": "sync_bn"}
        fields = recipe.variant_fields() | dict(run.fields)
        whole = round(self.evaluation_size / recipe.crop)
        self.preprocess = replace(preprocessing, size=self.evaluation_size, resize=whole)
        self.arguments: dict[str, Any] = dict(
            variant=run.net,
            classes=len(self.data.class_names),
            include_preprocessing=self.preprocess,
            classifier_activation=LOSSES[recipe.loss].activation,
            **fields,
        )
        if self.evaluation_size == size:
            return ResNet(input_shape=(size, size, 3), weights=run.weights, **shared | self.arguments), size
        image = keras.Input((None, None, 3), name="image")
        return ResNet(input_tensor=image, weights=run.weights, **shared | self.arguments), size

    def compile(self, model: Network, steps: int) -> None:
        self.recipe.freeze_layers(model)
        optimizer = self.recipe.make_optimizer(model, steps, weight_layers(model.variant))
        model.compile(optimizer, self.recipe.make_loss(), metrics=[Accuracy(name="accuracy")])

    def feed(self, size: int, epoch: int) -> Feed:
        steps = None
        if self.recipe.steps is not None:  # avoid hundreds of epochs with few images
            steps = max(self.examples // self.recipe.batch_size, -(-self.recipe.steps // EPOCHS_OF_STEPS))
        return training_batches(
            self.data,
            self.recipe.batch_size,
            augmentation=self.recipe.augmentation,
            image_size=size,
            seed=self.run.seed,
            epoch=epoch,
            steps=steps,
            multiple=self.run.devices,
            hosts=hosts(),
        )

    def validation_data(self, part) -> dict[str, Any]:
        batch = evaluation_batch(part.size, self.run.devices)
        data = evaluation_batches(part, batch, preprocessing=self.preprocess, image_size=self.evaluation_size)
        return {"validation_data": data} | ({"validation_batch_size": batch} if isinstance(data, tuple) else {})

    def evaluation_epochs(self, epochs: int):
        """The epochs after which the network is evaluated. The last epoch is always included."""
        number = self.run.evaluations
        return 1 if number is None else sorted({epochs * i // number for i in range(1, number + 1)} - {0})

    def callbacks(self, history: "_History", backup: "_Backup", state: dict, epochs: int) -> list:
        recipe, callbacks = self.recipe, [history]
        if recipe.ema is not None:
            callbacks.append(keras.callbacks.SwapEMAWeights())
        if recipe.plateau is not None:
            patience = recipe.plateau or max(1, epochs // 10)
            callbacks.append(keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.1, patience=patience))
        if recipe.early_stopping is not None:
            callbacks.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=recipe.early_stopping))
        callbacks.append(keras.callbacks.TerminateOnNaN())
        if self.report is not None:
            callbacks.append(_Report(self.report, history))
        backup.keeps(callbacks, state)
        return [*callbacks, backup, self.lines]

    def finished(self, trained: Network) -> Network:
        """Returns the network to save: in float32, for the image size of the evaluation, and with a loss of Keras."""
        with dtype_policy("float32"):
            model = ResNet(input_shape=(self.evaluation_size, self.evaluation_size, 3), **self.arguments)
        model.set_weights(trained.get_weights())
        model.class_names = self.data.class_names
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model


def _where() -> dict[str, str]:
    return {"machine": machine(), "versions": versions(), "commit": commit()}


def evaluation_batch(images: int, devices: int) -> int:
    """Returns the batch size of the evaluation: 500, or the largest size up to 500 that all devices share evenly."""
    if devices == 1:
        return EVALUATION_BATCH
    sizes = [size for size in range(devices, EVALUATION_BATCH + 1, devices) if images % size == 0]
    if not sizes:
        raise ValueError(f"devices must divide the {images} images of the evaluation. Received: {devices}")
    return sizes[-1]


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a `.keras` file to a temporary name and then renames it."""
    with whole(path) as unfinished, recursion_limit(10 * len(model.layers)):
        model.save(unfinished)


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy for labels (b,) or class distributions (b, classes). The most probable class is the label."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        if len(y_true.shape) == 2 and y_true.shape[-1] != 1:
            y_true = keras.ops.argmax(y_true, axis=-1)
        return super().update_state(y_true, y_pred, sample_weight)


class _History(keras.callbacks.Callback):
    """Writes the metrics and the seconds of each epoch to a file. A resumed run adds its epochs to the file."""

    def __init__(self, path: Path, evaluated: str):
        super().__init__()
        self.path, self.evaluated = path, evaluated
        self.by_epoch: dict[str, dict] = read_json(path) or {}
        self.seconds = 0.0  # duration of the epochs since this process started the run

    def figures(self) -> list[dict[str, float]]:
        """Returns the metrics of all epochs, in order."""
        return [self.by_epoch[epoch] for epoch in sorted(self.by_epoch, key=int)]

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        figures = {name.replace("val_", f"{self.evaluated}_"): float(value) for name, value in (logs or {}).items()}
        figures["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = time.perf_counter() - self.began
        self.seconds += seconds
        self.by_epoch[str(epoch + 1)] = figures | {"seconds": round(seconds, 2)}
        write_json(self.path, self.by_epoch)


class _Report(keras.callbacks.Callback):
    """Calls `report` after each epoch. Stops the run if `report` returns True."""

    def __init__(self, report: Callable[[int, dict[str, float]], bool], history: _History):
        super().__init__()
        self.report, self.history = report, history

    def on_epoch_end(self, epoch, logs=None):
        if self.report(epoch + 1, self.history.by_epoch[str(epoch + 1)]):
            self.model.stop_training = True


# class of a callback -> its attributes that `on_train_begin` resets and that a resumed run needs
CALLBACK_STATE = {
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch"),
}


class _Backup(keras.callbacks.Callback):
    """Saves the weights, the optimizer and the state of the callbacks after each epoch. File names contain the epoch.

    The state is written before the weights, so that the state always exists if the weights exist. Keras'
    BackupAndRestore overwrites first the weights and then the number of the epoch. If the process is killed between the
    two, an epoch is repeated without a warning. Epochs that diverged are not saved.

    If several processes train one network, each writes its own backups: on JAX all of them must take part in saving.
    They may be killed one epoch apart. So each keeps two backups, and all resume after the earliest of the last epochs.
    """

    def __init__(self, directory: Path):
        super().__init__()
        self.directory = directory
        self.kept: list = []
        self.state: dict[str, Any] = {}

    @property
    def epoch(self) -> int:
        """The number of completed epochs in the last backup. 0 if there is no backup."""
        epochs = [int(path.name.partition(".")[0]) for path in self.directory.glob("[0-9]*.weights.h5")]
        return least_of_hosts(max(epochs, default=0))

    def restore(self, model: keras.Model) -> dict[str, Any]:
        """Loads the last backup into `model` and returns its state. `epoch` is 0 if there is no backup."""
        epoch = self.epoch
        if not epoch:
            return {"epoch": 0, "stopped": False, "callbacks": {}}
        model.optimizer.build(model.trainable_variables)
        model.load_weights(self._weights_file(epoch))
        state = read_json(self._state_file(epoch))
        for variable, value in zip(_random_states(model), state["random"], strict=True):
            variable.assign(np.array(value, variable.dtype))
        return state

    def _weights_file(self, epoch: int) -> Path:
        return self.directory / f"{epoch:05d}.weights.h5"

    def _state_file(self, epoch: int) -> Path:
        return self.directory / f"{epoch:05d}.json"

    def keeps(self, callbacks: list, state: dict[str, Any]) -> None:
        self.kept, self.state = [callback for callback in callbacks if type(callback) in CALLBACK_STATE], state

    def on_train_begin(self, logs=None):
        """Restores the other callbacks. Keras calls this method last, after they have reset their attributes."""
        for callback in self.kept:
            for name, value in self.state["callbacks"].get(type(callback).__name__, {}).items():
                setattr(callback, name, value)

    def on_epoch_end(self, epoch, logs=None):
        weights = (keras.ops.convert_to_numpy(weight) for weight in self.model.trainable_variables)
        if not all(np.isfinite(part).all() for part in ((logs or {}).get("loss", 0), *weights)):
            return
        self.directory.mkdir(exist_ok=True)
        before = list(self.directory.iterdir())
        if hosts()[1] > 1:
            before = [path for path in before if not path.name.startswith(f"{epoch:05d}.")]
        state = {
            "epoch": epoch + 1,
            "stopped": bool(self.model.stop_training),
            "random": [keras.ops.convert_to_numpy(value).tolist() for value in _random_states(self.model)],
            "callbacks": {
                type(callback).__name__: {name: getattr(callback, name) for name in CALLBACK_STATE[type(callback)]}
                for callback in self.kept
            },
        }
        write_json(self._state_file(epoch + 1), state)
        with whole(self._weights_file(epoch + 1)) as unfinished:
            self.model.save_weights(unfinished)
        for file in before:
            file.unlink(missing_ok=True)


def _random_states(model: keras.Model) -> list:
    """Returns the random states of dropout and stochastic depth, which weight files do not contain."""
    saved = {id(variable) for variable in model.weights}
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in model.variables if id(variable) not in saved | metrics]
