"""Folders of images: one sub-folder per class, optionally inside train/, val/ and test/."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import warn

FOLDER = "folder:"
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PARTS = {"train": ("train", "training"), "validation": ("val", "validation", "valid"), "test": ("test", "testing")}
LISTED = 20  # files that a warning names


@dataclass(frozen=True)
class Files:
    """Image files: `paths`, `labels` (n,) int64, and `readable`, where TensorFlow reads the images.

    `readable` are the same paths, or copies as PNG of images that TensorFlow decodes otherwise than PIL (CMYK, 16 bits)
    or not at all (TIFF, WebP).
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    readable: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, chosen: Sequence[int]) -> "Files":
        pick = lambda names: tuple(names[i] for i in chosen)  # noqa: E731
        return Files(pick(self.paths), self.labels[list(chosen)], pick(self.readable))

    def first_of(self, number: int) -> "Files":
        """`number` images of classes that are as balanced as possible, drawn with a fixed seed."""
        order = np.random.default_rng(0).permutation(len(self))
        rank = np.empty(len(self), int)
        for label in np.unique(self.labels):
            mine = order[self.labels[order] == label]
            rank[mine] = np.arange(len(mine))
        chosen = sorted(order.tolist(), key=lambda i: (rank[i], self.labels[i]))[:number]
        return self.take(sorted(chosen))

    def split(self, number: int) -> tuple["Files", "Files"]:
        """The rest, and `number` images that are held out, in proportion to the sizes of the classes."""
        held = self.held_out(number)
        return self.take([i for i in range(len(self)) if i not in held]), self.take(sorted(held))

    def held_out(self, number: int) -> set[int]:
        order = np.random.default_rng(0).permutation(len(self))
        place = np.empty(len(self))
        for label in np.unique(self.labels):
            mine = order[self.labels[order] == label]
            place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
        return set(np.lexsort((self.labels, place))[:number].tolist())


class Folder(NamedTuple):
    """The parts of a folder."""

    class_names: tuple[str, ...]
    train: Files
    validation: Files | None
    test: Files | None


def read_folder(path: str, *, validation: int | None = None, strict: bool = False) -> Folder:
    """Reads the names of the images in a folder, and checks that each of them can be decoded."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise ValueError(f"dataset must be a folder that exists. Received: {FOLDER}{path}")
    places = {
        part: next((root / name for name in names if (root / name).is_dir()), None) for part, names in PARTS.items()
    }
    if places["train"] is None:
        found = [part for part, place in places.items() if place]
        if found:
            raise ValueError(f"{root} has folders for {found}, but none that is called train")
        places["train"] = root
    top = places["train"] or root
    class_names = tuple(sorted(folder.name for folder in _folders(top)))
    if len(class_names) < 2:
        raise ValueError(
            f"{top} must contain a sub-folder of images for each of at least two classes. "
            f"It contains: {list(class_names)}"
        )
    bad: list[str] = []
    parts = {part: _read_part(place, class_names, bad) for part, place in places.items() if place is not None}
    if bad:
        lines = "\n".join(f"  {line}" for line in bad[:LISTED])
        more = f"\n  and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
        text = f"{len(bad)} files cannot be read as images:\n{lines}{more}"
        if strict:
            raise ValueError(text)
        warn(f"{text}\nThey are skipped.")
    train = parts["train"]
    empty = [name for label, name in enumerate(class_names) if not (train.labels == label).any()]
    if empty:
        raise ValueError(f"Each class needs images in {top}. These have none: {empty}")
    held = parts.get("validation")
    if held is None or validation:
        number = len(train) // 5 if validation is None else validation
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= len(train) - len(class_names):
            raise ValueError(
                f"validation must be an integer in 0..{len(train) - len(class_names)}. Received: {validation!r}"
            )
        if number:
            train, held = train.split(number)
    return Folder(class_names, train, held, parts.get("test"))


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))]


def _read_part(root: Path, class_names: tuple[str, ...], bad: list[str]) -> Files:
    others = sorted({folder.name for folder in _folders(root)} - set(class_names))
    if others:
        raise ValueError(f"{root} has classes that the training folder does not have: {others}")
    paths, labels = [], []
    for label, name in enumerate(class_names):
        files = sorted(path for path in (root / name).rglob("*") if path.is_file() and not path.name.startswith("."))
        for path in files:
            if path.suffix.lower() in SUFFIXES:
                paths.append(path)
                labels.append(label)
            else:
                bad.append(f"{path}: not a file with one of the suffixes {', '.join(SUFFIXES)}")
    with ThreadPoolExecutor() as threads:
        checked = list(threads.map(_check, paths))
    good = [i for i, (readable, _) in enumerate(checked) if readable]
    bad += [f"{path}: {reason}" for path, (readable, reason) in zip(paths, checked, strict=True) if not readable]
    return Files(
        tuple(str(paths[i]) for i in good),
        np.array([labels[i] for i in good], np.int64),
        tuple(checked[i][0] for i in good),
    )


@cache
def _scratch() -> tempfile.TemporaryDirectory:
    """A directory for converted images, which is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="keras_resnet-")


def _check(path: Path) -> tuple[str, str]:
    """Decodes an image. Returns the path that TensorFlow reads, or "" and why it cannot be read."""
    from PIL import Image

    try:
        if not path.stat().st_size:
            return "", "empty"
        with Image.open(path) as image:
            direct = (image.format, image.mode) in DIRECT
            if direct and image.format == "JPEG":
                image.draft("RGB", (64, 64))  # decodes at an eighth of the size, but reads the whole file
            image.load()
            if direct:
                return str(path), ""
            copy = Path(_scratch().name, f"{len(str(path))}-{abs(hash(str(path)))}.png")
            image.convert("RGB").save(copy, compress_level=1)
            return str(copy), ""
    except Exception as error:  # damaged files raise errors of many types
        return "", f"{type(error).__name__}: {error}"


# format and mode of PIL -> TensorFlow decodes it to the same RGB image
DIRECT = {("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("PNG", "P"), ("BMP", "RGB")}
