"""Data sets of labelled images: `load_data` reads a tfds data set, a folder of images, or scikit-learn's digits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing
from keras_resnet.training.folders import FOLDER, Files, read_folder
from keras_resnet.training.prepare import damaged, prepare

IN_MEMORY = 2**30  # bytes of pixels up to which a tfds data set with images of one size is kept in memory
UPRIGHT = ("digits", "mnist", "emnist", "kmnist", "svhn_cropped")  # a mirrored image is not one of its class


class Arrays(NamedTuple):
    """Images in memory: `images` (n, h, w, 3) uint8 and `labels` (n,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen):
        raise TypeError("use images and labels")

    def take(self, chosen) -> "Arrays":
        return Arrays(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Records:
    """A part of a split of a tfds data set, whose images stay encoded on the disk."""

    builder: Any
    split: str
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def examples(self, seed: int | None = None):
        """Returns a `tf.data.Dataset` of (encoded image, label), in an order that follows from `seed`, or as stored."""
        import tensorflow as tf
        import tensorflow_datasets as tfds

        options = tf.data.Options()
        options.deterministic = True
        config = tfds.ReadConfig(shuffle_seed=seed, options=options)
        instruction = tfds.core.ReadInstruction(self.split, from_=self.first, to=self.last, unit="abs")
        examples = self.builder.as_dataset(
            split=instruction,
            shuffle_files=seed is not None,
            read_config=config,
            decoders={"image": tfds.decode.SkipDecoding()},
        )
        examples = examples.map(lambda example: (example["image"], tf.cast(example["label"], tf.int64)))
        if seed is not None:
            examples = examples.shuffle(min(len(self), SHUFFLED), seed=seed, reshuffle_each_iteration=False)
        return examples


SHUFFLED = 16_384  # images of a tfds split among which the next one is drawn


@dataclass(frozen=True)
class ImageData:
    """A data set as a training run sees it.

    Attributes:
        name: What it was loaded from.
        class_names: The names of the classes, by label.
        train, validation, test: `Arrays`, `Files` or `Records`, with `len`; None if there is no such part.
        flip: Whether a mirrored image is still one of its class.
        preprocessing: The normalization for networks without pretrained weights: mean and standard deviation of the
            whole training set if it is in memory, otherwise those of ImageNet.
        image_size: Height and width of all images; None if they differ.
    """

    name: str
    class_names: tuple[str, ...]
    train: Any
    validation: Any
    test: Any
    flip: bool
    preprocessing: Preprocessing
    image_size: int | None = None


def load_data(
    source: str,
    *,
    data_dir: str | None = None,
    train_examples: int | None = None,
    validation: int | None = None,
    strict: bool = False,
) -> ImageData:
    """Loads a data set of labelled images.

    Args:
        source: `"folder:PATH"`, a folder with one sub-folder of images per class, or with `train/`, `val/` and `test/`
            that contain such folders; `"digits"`, which comes with scikit-learn; or the name of a tfds
            image-classification data set such as `"cifar10"` or `"oxford_flowers102"`. CIFAR is prepared if need be.
        data_dir: Directory of tfds data sets. Defaults to `TFDS_DATA_DIR`, then `~/tensorflow_datasets`.
        train_examples: Number of training images. Defaults to all that are not held out. It does not change which
            images are held out.
        validation: Number of training images that are held out for validation, 0 for none. Defaults to 5000 of CIFAR
            (He 2015, section 4.2); to none if the data set has a part for validation; otherwise to a tenth, of a folder
            to a fifth of each class.
        strict: Whether unreadable files of a folder are an error. Defaults to False: a warning lists them.

    Returns:
        An `ImageData`.

    Raises:
        ValueError: If there is no such data set, if it is not one of labelled images, or if a number is out of range.
        DataUnavailable: If the data set is not there and cannot be prepared. The message says what to do.

    Example:
        >>> data = load_data("digits", train_examples=100)
        >>> len(data.train), len(data.validation), len(data.test)
        (100, 300, 360)
    """
    if not isinstance(source, str):
        raise ValueError(f"dataset must be a string such as 'cifar10' or 'folder:PATH'. Received: {source!r}")
    if source.startswith(FOLDER):
        if data_dir is not None:
            raise ValueError(f"data_dir must be None: {source} is a folder. Received: {data_dir!r}")
        folder = read_folder(source.removeprefix(FOLDER), validation=validation, strict=strict)
        parts = (folder.train, folder.validation, folder.test)
        data = ImageData(source, folder.class_names, *parts, flip=True, preprocessing=PREPROCESSINGS["torch"])
        return _with_fewer(data, train_examples)
    read = SETS.get(source, read_tfds)
    data = read(source, data_dir)
    if validation is None:
        validation = HELD_OUT.get(source, 0 if data.validation is not None else len(data.train) // 10)
    return _with_fewer(_hold_out(data, validation), train_examples)


def _hold_out(data: ImageData, number: int) -> ImageData:
    """Takes the last images of the shuffled training set for validation."""
    size = len(data.train)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < size:
        raise ValueError(f"validation must be an integer in 0..{size - 1}. Received: {number!r}")
    if isinstance(data.train, Arrays):
        order = np.random.default_rng(0).permutation(size)
        train, held = data.train.take(order[: size - number]), data.train.take(order[size - number :])
    else:
        middle = data.train.last - number
        train, held = replace(data.train, last=middle), replace(data.train, first=middle)
    return replace(data, train=train, validation=held if number else data.validation)


def _with_fewer(data: ImageData, number: int | None) -> ImageData:
    if number is None:
        return data
    size = len(data.train)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= size:
        raise ValueError(f"train_examples must be an integer in 1..{size}. Received: {number!r}")
    if isinstance(data.train, Arrays):
        return replace(data, train=data.train.take(slice(number)))
    return replace(
        data,
        train=data.train.first_of(number)
        if isinstance(data.train, Files)
        else replace(data.train, last=data.train.first + number),
    )


def moments(images: np.ndarray) -> Preprocessing:
    """The normalization to mean 0 and variance 1 of each channel, exact and without a copy of the images as floats."""
    pixels = images.reshape(-1, 3)
    mean = np.einsum("nc->c", pixels, dtype=float) / len(pixels)
    square = np.einsum("nc,nc->c", pixels, pixels, dtype=float) / len(pixels)
    r, g, b = (mean / 255).tolist()
    dr, dg, db = (np.sqrt(square - mean**2) / 255).tolist()
    size = images.shape[1]
    return Preprocessing(size, size, mean=(r, g, b), std=(dr, dg, db))


def read_digits(name: str, data_dir: str | None) -> ImageData:
    """scikit-learn's 1797 digits, 8x8 of 0 to 16, as 32x32x3 of 0 to 255; 360 of them are the test set."""
    if data_dir is not None:
        raise ValueError(f"data_dir must be None: {name} comes with scikit-learn. Received: {data_dir!r}")
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))  # the file is sorted by writer
    grey = np.round(digits.images[order] * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey.repeat(4, axis=1).repeat(4, axis=2)[..., np.newaxis], 3, axis=3)
    whole = Arrays(images, digits.target[order].astype(np.int64))
    train, test = whole.take(slice(0, -360)), whole.take(slice(-360, None))
    return ImageData(name, tuple("0123456789"), train, None, test, False, moments(train.images), 32)


def read_tfds(name: str, data_dir: str | None) -> ImageData:
    """A tfds data set: in memory if it is small and its images have one size, otherwise streamed."""
    directory = prepare(name, data_dir)
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=directory)
    features, splits = builder.info.features, dict(builder.info.splits)
    if not {"image", "label"} <= set(features) or not isinstance(features["label"], tfds.features.ClassLabel):
        raise ValueError(
            f"dataset must be a tfds data set with the features image and label. Received: {name!r}, with "
            f"{list(features)}"
        )
    if "train" not in splits:
        raise ValueError(f"dataset must have a split 'train'. Received: {name!r}, with the splits {list(splits)}")
    parts = {part: splits.get(SPLITS.get(name, {}).get(part, part)) for part in ("train", "validation", "test")}
    names = tuple(features["label"].names or map(str, range(features["label"].num_classes)))
    height, width, channels = features["image"].shape
    count = sum(split.num_examples for split in parts.values() if split is not None)
    if height and width and height == width and count * height * width * 3 <= IN_MEMORY:
        train, validation, test = (split and _read(builder, split) for split in parts.values())
        assert train is not None
        return ImageData(name, names, train, validation, test, name not in UPRIGHT, moments(train.images), height)
    if channels == 1:
        raise ValueError(f"dataset must have RGB images. Received: {name!r}, with large grayscale images")
    train, validation, test = (
        split and Records(builder, split.name, 0, split.num_examples) for split in parts.values()
    )
    return ImageData(name, names, train, validation, test, name not in UPRIGHT, PREPROCESSINGS["torch"])


def _read(builder, split) -> Arrays:
    """A split in its original order, if its examples have numbers: tfds stores them shuffled."""
    import tensorflow_datasets as tfds
    from tensorflow.errors import OpError

    try:
        examples = tfds.as_numpy(builder.as_dataset(split=split.name, batch_size=-1))
        if len(examples["label"]) != split.num_examples:
            raise OSError(f"{len(examples['label'])} examples in {split.name}")
    except (OSError, OpError) as error:
        raise damaged(builder.data_dir, error) from error
    order = np.argsort(examples["id"]) if "id" in examples else slice(None)
    images, labels = examples["image"][order], examples["label"][order].astype(np.int64)
    return Arrays(np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images, labels)


# data set -> how it is read, if not by tfds
SETS: Mapping[str, Callable[[str, str | None], ImageData]] = MappingProxyType({"digits": read_digits})

# data set -> how many training images are held out for validation by default, if not a tenth
HELD_OUT = {"cifar10": 5000, "cifar100": 5000, "digits": 300, "imagenet2012": 0}

# data set -> part -> split, if it has another name: the labels of ImageNet's test set are secret
SPLITS = {"imagenet2012": {"validation": "none", "test": "validation"}}
