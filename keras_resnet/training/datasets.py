"""Data sets: CIFAR and digits in memory, any tfds image-classification set, folders of image files.

`load_data` reads all of them. Large sets are streamed: their images are decoded only when a batch needs them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import choose
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing, imagenet_classes
from keras_resnet.training.folders import read_folder
from keras_resnet.training.parts import Arrays, Files, Part, Records, import_tensorflow
from keras_resnet.training.preparation import (
    DataUnavailable,
    Directory,
    damaged,
    directory_of,
    import_tfds,
    prepare,
)

__all__ = ["Arrays", "DataUnavailable", "Files", "ImageData", "Records", "load_data", "prepare"]


@dataclass(frozen=True)
class ImageData:
    """A data set for image classification.

    Attributes:
        name: str, the source that the data set was loaded from, such as `"cifar10"` or `"folder:flowers"`.
        class_names: tuple of str. `class_names[i]` is the name of label i.
        train: The training part.
        validation: The part held out of the training set, for the choice of hyperparameters. `None` if nothing is held
            out.
        test: The part for the final evaluation. `None` if there is no such part.
        flip: bool, whether a mirrored image still belongs to its class.
        preprocessing: `Preprocessing` for networks without pretrained weights. For sets in memory, its mean and
            standard deviation are those of the whole training set, even if only a part of the set is used.
        image_size: int, height and width of the images. `None` if they vary.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part | None
    test: Part | None
    flip: bool
    preprocessing: Preprocessing
    image_size: int | None


def in_memory(part: Part | None) -> Arrays:
    """Returns `part` if it is in memory. Raises ValueError otherwise."""
    if not isinstance(part, Arrays):
        raise ValueError(f"The data set must be in memory, such as 'cifar10'. Received: {type(part).__name__}")
    return part


def load_data(
    source: str,
    *,
    data_dir: Directory = None,
    seed: int = 0,
    train_examples: int | None = None,
    validation: int | None = None,
    strict: bool = False,
) -> ImageData:
    """Loads a data set. Prepares it first if it is not on this machine yet.

    Args:
        source: One of

            - `"cifar10"`, `"cifar100"` or `"digits"`, which are read into memory. `"digits"` is included in
              scikit-learn.
            - The name of another image-classification set of tensorflow-datasets, such as `"imagenet2012"` or
              `"oxford_flowers102"`, which is streamed.
            - `"folder:PATH"`, a folder with one sub-folder per class. Alternatively the folder contains `train`, `val`
              (or `validation`) and `test` folders, each with one sub-folder per class.
        data_dir: Directory of tfds data sets. Defaults to the environment variable TFDS_DATA_DIR, then to
            `~/tensorflow_datasets`.
        seed: int, determines which training examples are held out. Defaults to 0.
        train_examples: int, number of training examples. Defaults to all examples that are not held out.
        validation: int, number of training examples that are held out. 0 holds out none. Defaults to 5000 for CIFAR (He
            2015, Section 4.2), 300 for digits, none for a set or folder with its own validation part, otherwise a tenth
            of a tfds set and a fifth of each class of a folder. If `train_examples` and `validation` are both given,
            changing one number does not change the part of the other.
        strict: bool, whether a damaged image file is an error. By default damaged files are skipped, and one warning
            lists them.

    Returns:
        An `ImageData`. If a tfds set has no labelled test images, as ImageNet, its validation split is the test part.

    Raises:
        ValueError: If an argument is not valid, or a folder does not contain images of at least two classes.
        DataUnavailable: If the data set is damaged or cannot be prepared.

    Example:
        >>> data = load_data("digits", train_examples=100)
        >>> data.train.images.shape
        (100, 32, 32, 3)
    """
    if not isinstance(source, str):
        raise ValueError(f"source must be a string such as 'cifar10' or 'folder:PATH'. Received: {source!r}")
    kind, _, path = source.partition(":")
    if kind == "folder":
        if data_dir is not None:
            raise ValueError(f"data_dir must be None for a folder. Received: {data_dir!r}")
        return _load_folder(source, path, seed, train_examples, validation, strict)
    if strict:
        raise ValueError(
            f"strict must be False for {source!r}: only the files of a folder are checked. Received: {strict}"
        )
    if source in DATASETS:
        return _load_arrays(source, data_dir, seed, train_examples, validation)
    return _load_records(source, data_dir, train_examples, validation)


def _sizes(whole: int, train_examples: int | None, validation: int) -> tuple[int, int]:
    """Returns the number of training examples, and the number of examples that are not held out.

    Raises ValueError if a number is out of range.
    """
    _check_range("validation", validation, 0, whole - 1)
    rest = whole - validation
    if train_examples is None:
        return rest, rest
    _check_range("train_examples", train_examples, 1, rest)
    return train_examples, rest


def _check_range(argument: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{argument} must lie in {low}..{high}. Received: {value!r}")


# --------------------------------------------------------------------------------- sets in memory


def _load_arrays(source, data_dir, seed, train_examples, validation) -> ImageData:
    row = DATASETS[source]
    whole, class_names = row.read(source, "train", data_dir)
    size = whole.size
    count, rest = _sizes(size, train_examples, row.validation if validation is None else validation)
    order = np.random.default_rng(seed).permutation(size)
    parts = [Arrays(whole.images[chosen], whole.labels[chosen]) for chosen in (order[:count], order[rest:])]
    image_size = whole.images.shape[1]
    mean, std = _moments(whole.images)
    return ImageData(
        name=source,
        class_names=class_names,
        train=parts[0],
        validation=parts[1] if rest < size else None,
        test=row.read(source, "test", data_dir)[0],
        flip=row.flip,
        preprocessing=Preprocessing(image_size, image_size, mean=mean, std=std),
        image_size=image_size,
    )


def _moments(images: np.ndarray) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Returns the exact mean and standard deviation per channel, for pixels scaled to 0..1, without a float copy."""
    pixels = images.reshape(-1, 3)
    mean = np.einsum("nc->c", pixels, dtype=float) / len(pixels)
    square = np.einsum("nc,nc->c", pixels, pixels, dtype=float) / len(pixels)
    std = np.sqrt(square - mean**2)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def read_tfds(name: str, split: str, data_dir: Directory) -> tuple[Arrays, tuple[str, ...]]:
    """Returns a split of a tfds data set and its class names. The original order, which tfds shuffles, is restored."""
    directory = prepare(name, data_dir)
    tf, tfds = import_tensorflow(), import_tfds(name)
    try:
        builder = tfds.builder(name, data_dir=directory)
        examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        if len(examples["label"]) != builder.info.splits[split].num_examples:
            raise OSError(f"{len(examples['label'])} examples in {split}")
    except (OSError, tf.errors.OpError) as error:
        raise damaged(builder.data_dir, error) from error
    order = np.argsort(examples["id"])  # "train_00000", ...
    return (
        Arrays(examples["image"][order], examples["label"][order]),
        tuple(builder.info.features["label"].names),
    )


def read_digits(name: str, split: str, data_dir: Directory) -> tuple[Arrays, tuple[str, ...]]:
    """Returns scikit-learn's 1797 digits as 32x32x3 images of 0 to 255. The originals are 8x8 images of 0 to 16.

    The test set is always the same 360 images.
    """
    if data_dir is not None:
        raise ValueError(f"data_dir must be None: {name} is embedded. Received: {data_dir!r}")
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The file is sorted by writer. Shuffle it with a fixed seed before splitting.
    order = np.random.default_rng(0).permutation(len(digits.target))
    part = order[:-360] if split == "train" else order[-360:]
    grey = np.round(digits.images[part] * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey.repeat(4, axis=1).repeat(4, axis=2)[..., None], 3, axis=3)
    return Arrays(images, digits.target[part].astype(np.int64)), tuple("0123456789")


class Dataset(NamedTuple):
    """A data set in memory. `read` is a function of its name, "train" or "test", and `data_dir`."""

    read: Callable[[str, str, Directory], tuple[Arrays, tuple[str, ...]]]
    validation: int
    flip: bool


DATASETS = {
    "cifar10": Dataset(read_tfds, 5000, flip=True),
    "cifar100": Dataset(read_tfds, 5000, flip=True),
    "digits": Dataset(read_digits, 300, flip=False),
}


# ------------------------------------------------------------------------------ streamed tfds sets

NOT_MIRRORED = ("binary_alpha_digits", "cmaterdb", "emnist", "kmnist", "mnist", "mnist_corrupted", "svhn_cropped")


def _load_records(source, data_dir, train_examples, validation) -> ImageData:
    name = re.split("[/:]", source)[0]
    if name not in DATASETS:
        known = [*DATASETS, *import_tfds(source).list_builders(with_community_datasets=False)]
        hint = f" Did you mean 'folder:{source}'?" if Path(source).is_dir() else ""
        try:
            choose(dict.fromkeys(known), name, "source")
        except ValueError as error:
            raise ValueError(f"{error}{hint}") from None
    import_tensorflow()
    tfds = import_tfds(source)
    _check_features(tfds.builder(source, data_dir=directory_of(data_dir)))
    builder = tfds.builder(source, data_dir=prepare(source, data_dir))
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(f"source must be a data set with a split 'train'. {source!r} has {list(splits)}")

    held_out = Records(builder, "validation") if "validation" in splits else None
    test = Records(builder, "test") if "test" in splits else None
    if test is None or next(iter(test.examples()))[2] < 0:  # the labels of ImageNet's test images are not published
        test = held_out
    size = Records(builder, "train").size
    if validation is None:
        validation = size // 10 if held_out is None else 0
    elif held_out is not None:
        held_out = None
    count, rest = _sizes(size, train_examples, validation)
    words = dict(imagenet_classes())
    return ImageData(
        name=source,
        class_names=tuple(
            words.get(label, label) for label in builder.info.features[builder.info.supervised_keys[1]].names
        ),
        train=Records(builder, f"train[:{count}]"),
        validation=Records(builder, f"train[{rest}:]") if validation else held_out,
        test=test,
        flip=name not in NOT_MIRRORED,
        preprocessing=PREPROCESSINGS["torch"],
        image_size=None,
    )


def _check_features(builder) -> None:
    """Raises ValueError unless each example has one image and one label."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    if not keys or len(keys) != 2 or not all(type(features[k]) is kind for k, kind in zip(keys, kinds, strict=True)):
        raise ValueError(
            f"source must be a data set of images with one label each. {builder.name!r} has the features "
            f"{list(features)} and the supervised keys {keys}"
        )


# ----------------------------------------------------------------------------------------- folders


def _load_folder(source, path, seed, train_examples, validation, strict) -> ImageData:
    root = Path(path).expanduser()
    if not path or not root.is_dir():
        raise ValueError(f"source must be folder:PATH with the path of a directory. Received: {source!r}")
    class_names, parts = read_folder(root, strict)
    whole, held_out = parts["train"], parts.get("validation")
    if held_out is not None:
        if validation:
            raise ValueError(f"validation must be None or 0: {root} has a validation part. Received: {validation}")
        held_out, validation = (held_out, 0) if validation is None else (None, 0)
    elif validation is None:
        validation = whole.size // 5
    count, rest = _sizes(whole.size, train_examples, validation)
    order = _stratified(whole.labels, seed)
    return ImageData(
        name=source,
        class_names=class_names,
        train=whole.take(order[:count]),
        validation=whole.take(order[rest:]) if validation else held_out,
        test=parts.get("test"),
        flip=True,
        preprocessing=PREPROCESSINGS["torch"],
        image_size=None,
    )


def _stratified(labels: np.ndarray, seed: int) -> np.ndarray:
    """Returns an order of the examples in which every contiguous part has about the same fraction of each class."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place[shuffled], kind="stable")]
