"""One net, one recipe, one seed: from nothing to its accuracy on the test set.

    python -m experiments.train --recipe fast                 # ResNet-20 on CIFAR-10, 30 epochs
    python -m experiments.train --recipe paper --variant resnet56 --shortcut projection --seed 1
    python -m experiments.train --shortcut projection --checkpoint resnet20_projection_cifar10.safetensors

The same command goes on where it was stopped, and does nothing where it was through. It leaves result.json (last),
model.keras, history.json, and while it runs backup/, in <directory>/<variant>[-<shortcut>]-<recipe>-<seed>.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

import keras_resnet
from experiments import training
from experiments.data import DATASETS, Data, DataUnavailable, load, load_test
from experiments.flags import not_negative, positive, safetensors
from experiments.progress import Progress, duration
from experiments.tuning import save_model
from keras_resnet import OPTIONS, SHORTCUTS, VARIANTS
from keras_resnet.files import only_one, read_json, whole, write_json
from keras_resnet.resnet import weight_layers
from keras_resnet.training.devices import on_devices
from keras_resnet.training.environment import commit, machine, versions

schedules = keras.optimizers.schedules


@dataclass(frozen=True)
class Recipe:
    """How a net is trained: everything but the net, the data and the seed."""

    source: str
    epochs: int
    schedule: Callable  # number of steps, depth -> a learning rate schedule
    weight_decay: float
    nesterov: bool
    label_smoothing: float = 0.0
    alternating_flip: bool = False
    batch_size: int = 128


def divided_by_ten_twice(steps: int, depth: int):
    """0.1, from half of the steps 0.01, from three quarters 0.001 (32k and 48k of 64k iterations); nets of 110 layers
    and more start at 0.01, for some 400 of 64k.
    """
    boundaries, rates = [steps // 2, 3 * steps // 4], [0.1, 0.01, 0.001]
    if depth >= 110:
        boundaries, rates = [steps // 160, *boundaries], [0.01, *rates]
    return schedules.PiecewiseConstantDecay(boundaries, rates)


def up_and_down(steps: int, depth: int):
    """Linearly from 0 to 0.2 over the first 15 % of the steps, then a cosine to 0."""
    warmup = round(0.15 * steps)
    return schedules.CosineDecay(0.0, steps - warmup, warmup_target=0.2, warmup_steps=warmup)


RECIPES = {
    # 64k iterations of 128 pictures out of 50,000 are 164 epochs. The paper takes off the mean of each pixel,
    # `normalized` that of each channel, and divides by its deviation.
    "paper": Recipe("He 2015, section 4.2", 164, divided_by_ten_twice, weight_decay=1e-4, nesterov=False),
    "fast": Recipe(
        "one cycle: Smith and Topin 2017, arXiv:1708.07120; flip: Jordan 2024, arXiv:2404.00498",
        30,
        up_and_down,
        weight_decay=5e-4,
        nesterov=True,
        label_smoothing=0.1,
        alternating_flip=True,
    ),
}


class SmoothedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Of labels (b,) and probabilities (b, classes): a share of every label is spread over all classes."""

    def call(self, y_true, y_pred):
        labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
        return super().call(keras.ops.one_hot(labels, y_pred.shape[-1]), y_pred)


def build(variant: str, choices: dict, recipe: Recipe, data: Data, steps: int, precision: str) -> keras.Model:
    """The compiled net for pictures (b, h, w, 3) of 0..255; `choices` replace fields of the row, `steps` is the length
    of the whole schedule.
    """
    keras.config.set_dtype_policy(training.POLICIES[precision])
    model = keras_resnet.ResNet(
        variant,
        input_tensor=training.normalized(data),
        classes=len(data.class_names),
        weight_decay=recipe.weight_decay,
        **choices,
    )
    model.compile(
        keras.optimizers.SGD(
            recipe.schedule(steps, weight_layers(VARIANTS[variant])), momentum=0.9, nesterov=recipe.nesterov
        ),
        SmoothedCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    return model


class Epochs(keras.callbacks.Callback):
    """The figures and seconds of each epoch in a file, over all starts."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.figures: dict[str, dict] = read_json(path) or {}

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        figures = {name.replace("val_", "test_"): float(value) for name, value in (logs or {}).items()}
        self.figures[str(epoch + 1)] = figures | {"seconds": round(time.perf_counter() - self.began, 2)}
        write_json(self.path, self.figures)


class Backup(keras.callbacks.Callback):
    """Weights and optimizer after each epoch, in a file named after it. Keras' BackupAndRestore writes over its only
    copy, and the epoch into a second file: a kill or a full disk in between leaves none, or one of the wrong epoch.
    An epoch that diverged is not kept: the same command tries it again.
    """

    def __init__(self, directory: Path):
        super().__init__()
        self.directory = directory

    def restore(self, model: keras.Model) -> int:
        """How many epochs `model` now has behind it; it stays as it is where there is no backup."""
        files = sorted(self.directory.glob("[0-9]*.weights.h5"))
        if not files:
            return 0
        model.optimizer.build(model.trainable_variables)
        model.load_weights(files[-1])
        return int(files[-1].name.partition(".")[0])

    def on_epoch_end(self, epoch, logs=None):
        weights = (keras.ops.convert_to_numpy(weight) for weight in self.model.trainable_variables)
        if not all(np.isfinite(part).all() for part in ((logs or {}).get("loss", 0), *weights)):
            return
        self.directory.mkdir(exist_ok=True)
        before = list(self.directory.glob("*.weights.h5"))
        with whole(self.directory / f"{epoch + 1:05d}.weights.h5") as unfinished:
            self.model.save_weights(unfinished)
        for file in before:
            file.unlink(missing_ok=True)


def evaluation_batch(pictures: int, devices: int) -> int:
    """How many test pictures at once: 500, or the most that all devices share evenly. ValueError where they cannot."""
    if devices == 1:
        return 500
    sizes = [size for size in range(devices, 501, devices) if pictures % size == 0]
    if not sizes:
        raise ValueError(f"--devices must divide the {pictures} test pictures. Received: {devices}")
    return sizes[-1]


@dataclass(frozen=True)
class Run:
    """All that decides what a training run gives."""

    variant: str
    choices: dict  # the fields of its row that are replaced
    recipe: str
    dataset: str
    seed: int
    precision: str
    epochs: int
    train_examples: int | None

    @property
    def net(self) -> str:
        """resnet20, or resnet20-projection."""
        return "-".join([self.variant, *map(str, self.choices.values())])


def refuse_others(directory: Path, run: Run) -> None:
    """ValueError where the directory holds a run with other settings."""
    settings = asdict(run)
    begun = read_json(directory / "settings.json") or settings
    if begun != settings:
        other = {name: value for name, value in begun.items() if settings.get(name) != value}
        raise ValueError(
            f"--directory must be another one: {directory} holds a run with {other}. "
            f"Received: { {name: settings.get(name) for name in other} }"
        )


def once(run: Run, directory: Path, *, also: Callable[[Path], dict] = lambda directory: {}, **choices) -> dict:
    """What `result.json` in the directory says, after the training that it is of, and what `also` finds afterwards.
    ValueError where the directory is of another run.
    """
    refuse_others(directory, run)
    with only_one(directory):
        result = read_json(directory / "result.json")
        if result is None:
            result = train(run, directory, **choices) | also(directory)
            write_json(directory / "result.json", result)
        shutil.rmtree(directory / "backup", ignore_errors=True)
    return result


def train(run: Run, directory: Path, *, data_dir=None, looks: int = 1, devices: int = 1) -> dict:
    """Trains, or goes on, and leaves `model.keras`. The result is that of the last epoch; with more `looks` at the test
    set there are points of a curve before it. Nothing is chosen by them. `devices` share each batch, and change
    nothing else. Raises Diverged, DataUnavailable, ValueError.
    """
    recipe, shared = RECIPES[run.recipe], on_devices(devices)
    data = load(run.dataset, data_dir=data_dir, train_examples=run.train_examples, validation_examples=0)
    test = load_test(run.dataset, data_dir=data_dir)
    keras.utils.set_random_seed(run.seed)
    batches = data.batches(recipe.batch_size, seed=run.seed, alternate=recipe.alternating_flip, multiple=devices)
    evaluated = evaluation_batch(len(test.labels), devices)
    choices = run.choices if devices == 1 else {"norm": "sync_bn", **run.choices}
    progress = Progress(None, [])
    progress.say(f"{run.net}, {run.recipe}: {len(data.train.labels)} pictures of {data.name}, {run.precision}")
    write_json(directory / "settings.json", asdict(run))
    epochs, backup = Epochs(directory / "history.json"), Backup(directory / "backup")
    with shared:
        model = build(run.variant, choices, recipe, data, run.epochs * len(batches), run.precision)
        batches.epoch = backup.restore(model)
        model.fit(
            batches,
            epochs=run.epochs,
            initial_epoch=batches.epoch,
            validation_data=tuple(test),
            validation_batch_size=evaluated,
            validation_freq=sorted({run.epochs * look // looks for look in range(1, looks + 1)} - {0}),
            callbacks=[
                epochs,
                backup,
                keras.callbacks.TerminateOnNaN(),
                progress.callback(evaluated="test"),
            ],
            verbose=0,
        )
    history = [epochs.figures[str(epoch + 1)] for epoch in range(len(epochs.figures))]
    if len(history) < run.epochs or not np.isfinite([figures["loss"] for figures in history]).all():
        raise training.Diverged(f"the loss was not a number in epoch {len(history)}")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])  # what any Keras can load
    save_model(model, directory / "model.keras")
    return {
        **asdict(run),
        "examples": len(data.train.labels),
        "test_accuracy": history[-1]["test_accuracy"],
        "seconds": round(sum(figures["seconds"] for figures in history), 1),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "history": history,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--recipe", choices=RECIPES, default="fast")
    cifar = [name for name, row in VARIANTS.items() if row.image_size == 32]
    parser.add_argument("--variant", choices=cifar, default="resnet20", metavar="VARIANT", help=", ".join(cifar))
    shortcuts = [*OPTIONS, *SHORTCUTS]
    parser.add_argument("--shortcut", choices=shortcuts, metavar="SHORTCUT", help="default: that of the row")
    parser.add_argument("--dataset", choices=DATASETS, default="cifar10")
    parser.add_argument("--data-dir", help="of tfds; default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    parser.add_argument("--seed", type=not_negative, default=0)
    parser.add_argument("--precision", choices=training.PRECISIONS, default="auto")
    parser.add_argument("--epochs", type=positive, help="another length than the recipe's; a cycle is stretched to it")
    parser.add_argument("--train-examples", type=positive, help="default: all")
    parser.add_argument("--devices", type=positive, default=1, help="that share each batch; see experiments/devices.py")
    parser.add_argument("--directory", type=Path, default=Path("runs"))
    parser.add_argument(
        "--checkpoint", type=safetensors, help="writes the weights there as well: .safetensors, for PyTorch too"
    )
    options = parser.parse_args(arguments)

    run = Run(
        options.variant,
        {} if options.shortcut is None else {"shortcut": OPTIONS.get(options.shortcut, options.shortcut)},
        options.recipe,
        options.dataset,
        options.seed,
        training.precision_of(options.precision),
        options.epochs or RECIPES[options.recipe].epochs,
        options.train_examples,
    )
    sys.setrecursionlimit(20_000)  # to load a net of 1202 layers
    directory = options.directory / f"{run.net}-{run.recipe}-{run.seed}"
    try:
        result = once(run, directory, data_dir=options.data_dir, devices=options.devices)
        if options.checkpoint:
            keras_resnet.save_pretrained(keras.models.load_model(directory / "model.keras"), options.checkpoint)
    except (DataUnavailable, training.Diverged, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last whole epoch.")
        return 130
    print(
        f"{run.net}, {run.recipe}, seed {run.seed}: {result['test_accuracy']:.2%} on the test set after {run.epochs} "
        f"epochs in {duration(result['seconds'])}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
