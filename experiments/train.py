"""One net, one recipe, one seed: from nothing to its accuracy on the test set.

    python -m experiments.train --recipe fast                 # ResNet-20 on CIFAR-10, 30 epochs
    python -m experiments.train --recipe paper --variant resnet56 --shortcut projection --seed 1
    python -m experiments.train --shortcut projection --checkpoint resnet20_projection_cifar10.safetensors

The same command goes on where it was stopped, and does nothing where it was through. It leaves in
<directory>/<variant>[-<shortcut>]-<recipe>-<seed>: result.json (last), model.keras, backup/ while it runs.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_resnet
from experiments import training
from experiments.data import DATASETS, Data, DataUnavailable, load, load_test
from experiments.files import read_json, write_json
from experiments.progress import Progress, duration
from experiments.tuning import save_model
from keras_resnet import OPTIONS, SHORTCUTS, VARIANTS
from keras_resnet.resnet import weight_layers

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
    """0.1, from 32k iterations 0.01, from 48k 0.001; the 110-layer net starts at 0.01 (some 400 iterations)."""
    boundaries, rates = [32_000, 48_000], [0.1, 0.01, 0.001]
    if depth >= 110:
        boundaries, rates = [400, *boundaries], [0.01, *rates]
    return schedules.PiecewiseConstantDecay(boundaries, rates)


def up_and_down(steps: int, depth: int):
    """Linearly from 0 to 0.2 over the first 15 % of the steps, then a cosine to 0."""
    warmup = round(0.15 * steps)
    return schedules.CosineDecay(0.0, steps - warmup, warmup_target=0.2, warmup_steps=warmup)


RECIPES = {
    # 64k iterations of 128 pictures out of 50,000 are 164 epochs
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
    """Tells the batches which epoch begins: a run that goes on begins with a later one than they think."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        if self.batches.epoch != epoch:
            self.batches.epoch = epoch


def choices_of(options: argparse.Namespace) -> dict:
    """The fields of the row that are replaced."""
    return {} if options.shortcut is None else {"shortcut": OPTIONS.get(options.shortcut, options.shortcut)}


def net_of(options: argparse.Namespace) -> str:
    """What the run is called after: resnet20, or resnet20-projection."""
    return "-".join([options.variant, *choices_of(options).values()])


def settings_of(options: argparse.Namespace) -> dict:
    """All that decides what a run gives."""
    return {
        "variant": options.variant,
        **choices_of(options),
        "recipe": options.recipe,
        "dataset": options.dataset,
        "seed": options.seed,
        "precision": training.precision_of(options.precision),
        "epochs": options.epochs or RECIPES[options.recipe].epochs,
        "train_examples": options.train_examples,
    }


def refuse_others(directory: Path, settings: dict) -> None:
    """ValueError where the directory holds a run with other settings."""
    begun = read_json(directory / "settings.json") or settings
    if begun != settings:
        other = {name: value for name, value in begun.items() if settings.get(name) != value}
        raise ValueError(
            f"--directory must be another one: {directory} holds a run with {other}. "
            f"Received: { {name: settings.get(name) for name in other} }"
        )


def train(options: argparse.Namespace, directory: Path, settings: dict) -> dict:
    """Trains, looks at the test set once, and returns what `result.json` says."""
    recipe, precision, epochs = RECIPES[options.recipe], settings["precision"], settings["epochs"]
    data = load(
        options.dataset, data_dir=options.data_dir, train_examples=options.train_examples, validation_examples=0
    )
    keras.utils.set_random_seed(options.seed)
    batches = data.batches(recipe.batch_size, seed=options.seed, alternate=recipe.alternating_flip)
    model = build(options.variant, choices_of(options), recipe, data, epochs * len(batches), precision)
    progress = Progress(None, [])
    progress.say(f"{net_of(options)}, {options.recipe}: {len(data.train.labels)} pictures of {data.name}, {precision}")
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "settings.json", settings)
    start = time.perf_counter()
    history = model.fit(
        batches,
        epochs=epochs,
        callbacks=[
            keras.callbacks.BackupAndRestore(str(directory / "backup")),
            Epochs(batches),
            keras.callbacks.TerminateOnNaN(),
            progress.callback(),
        ],
        verbose=0,
    )
    seconds = time.perf_counter() - start
    if not np.isfinite(history.history["loss"]).all():
        raise training.Diverged(f"the loss was not a number in epoch {len(history.epoch)}")
    test = load_test(options.dataset, data_dir=options.data_dir)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])  # what any Keras can load
    accuracy = model.evaluate(test.images, test.labels, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    save_model(model, directory / "model.keras")
    return settings | {
        "examples": len(data.train.labels),
        "test_accuracy": accuracy,
        "seconds_since_last_start": round(seconds, 1),
        "history": {name: [float(value) for value in values] for name, values in history.history.items()},
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=training.PRECISIONS, default="auto")
    parser.add_argument("--epochs", type=int, help="another length than the recipe's; a cycle is stretched to it")
    parser.add_argument("--train-examples", type=int, help="default: all")
    parser.add_argument("--directory", type=Path, default=Path("runs"))
    parser.add_argument(
        "--checkpoint", type=Path, help="writes the weights there as well: .safetensors, for PyTorch too"
    )
    options = parser.parse_args(arguments)

    net = net_of(options)
    directory, settings = options.directory / f"{net}-{options.recipe}-{options.seed}", settings_of(options)
    try:
        refuse_others(directory, settings)
        result = read_json(directory / "result.json")
        if result is None:
            result = train(options, directory, settings)
            write_json(directory / "result.json", result)
        if options.checkpoint:
            keras_resnet.save_pretrained(keras.models.load_model(directory / "model.keras"), options.checkpoint)
    except (DataUnavailable, training.Diverged, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last whole epoch.")
        return 130
    print(
        f"{net}, {result['recipe']}, seed {result['seed']}: {result['test_accuracy']:.2%} on the test "
        f"set after {result['epochs']} epochs in {duration(result['seconds_since_last_start'])}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
