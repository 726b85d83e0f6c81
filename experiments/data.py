"""Data sets of the experiments, as `keras_resnet.training.datasets` loads them.

    python -m experiments.data cifar10 [--data-dir D]    # prepares the set, prints its size and its directory

The two CIFARs are ordinary tfds data sets: once prepared, `tfds.load("cifar10")` reads them too.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from keras_resnet.errors import choose
from keras_resnet.training.batches import Batches
from keras_resnet.training.datasets import DATASETS, load_data
from keras_resnet.training.parts import Arrays as Split
from keras_resnet.training.preparation import DataUnavailable, Directory, directory_of


@dataclass(frozen=True)
class Data:
    """The training part and the validation part; mean and standard deviation per channel, of pixels of 0 to 255."""

    name: str
    train: Split
    validation: Split
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.train.images.shape[1:]

    def batches(self, batch_size: int, **choices) -> Batches:
        fill = np.round(self.mean).astype(np.uint8)
        return Batches(self.train, batch_size, fill=fill, flip=DATASETS[self.name].flip, **choices)


def load(
    name: str,
    *,
    data_dir: Directory = None,
    seed: int = 0,
    train_examples: int | None = None,
    validation_examples: int | None = None,
) -> Data:
    choose(DATASETS, name, "name")
    data = load_data(name, data_dir=data_dir, seed=seed, train_examples=train_examples, validation=validation_examples)
    assert isinstance(data.train, Split)
    validation = data.validation or Split(data.train.images[:0], data.train.labels[:0])
    assert isinstance(validation, Split)
    _, mean, std = data.preprocessing.arithmetic()
    return Data(name, data.train, validation, data.class_names, tuple(mean.tolist()), tuple(std.tolist()))


def load_test(name: str, *, data_dir: Directory = None) -> Split:
    return choose(DATASETS, name, "name").read(name, "test", data_dir)[0]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.data", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=DATASETS)
    parser.add_argument("--data-dir", help="default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    options = parser.parse_args(arguments)
    try:
        data = load(options.name, data_dir=options.data_dir)
    except (DataUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    place = "scikit-learn" if data.name == "digits" else directory_of(options.data_dir)
    height, width, _ = data.image_shape
    mean, std = ((np.array(x) / 255).round(4).tolist() for x in (data.mean, data.std))
    print(
        f"{data.name}: {len(data.train.labels)} train + {len(data.validation.labels)} validation "
        f"pictures of {height}x{width}, {len(data.class_names)} classes, mean {mean}, std {std} "
        f"of 1, from {place}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
