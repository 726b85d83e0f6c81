"""Folders of image files, with one sub-folder per class. Every file is checked."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_resnet.errors import warn
from keras_resnet.training.parts import Files

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
PARTS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}
# (format, mode) of the files that TensorFlow decodes to the same pixels as Pillow
DECODED_AS_BY_PILLOW = {
    *(("JPEG", mode) for mode in ("L", "RGB")),
    ("MPO", "RGB"),  # a JPEG file that contains further images, written by some cameras
    *(("PNG", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")),
    ("BMP", "RGB"),
}


def read_folder(root: Path, strict: bool) -> tuple[tuple[str, ...], dict[str, Files]]:
    """Returns the names of the classes, and the files of each existing part: "train", "validation" or "test".

    Raises ValueError if the folder does not contain images of at least two classes.
    """
    places = {part: [root / name for name in names if (root / name).is_dir()] for part, names in PARTS.items()}
    for part, found in places.items():
        if len(found) > 1:
            raise ValueError(f"{root} must contain one folder for the {part} part. Received: {[p.name for p in found]}")
    if not places["train"] and (places["validation"] or places["test"]):
        if all(folder.name in ("val", "validation", "test") for folder in _folders(root)):
            raise ValueError(f"{root} must contain a folder train. Received: {[p.name for p in _folders(root)]}")
        places = {part: [] for part in PARTS}  # here "test" is the name of a class
    train = places["train"][0] if places["train"] else root
    class_names = tuple(folder.name for folder in _folders(train))
    _check_classes(train, class_names)
    roots = {"train": train} | {part: found[0] for part, found in places.items() if found}
    parts = _without_damaged(root, {part: _list_files(place, class_names) for part, place in roots.items()}, strict)
    for part, files in parts.items():
        missing = set(range(len(class_names))) - set(files.labels.tolist())
        if not files.size or (part == "train" and missing):
            names = [class_names[i] for i in sorted(missing)]
            raise ValueError(f"The {part} part of {root} must contain images. There are none of: {names[:5]}")
    return class_names, parts


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _check_classes(root: Path, class_names: tuple[str, ...]) -> None:
    """Raises ValueError unless `root` has a sub-folder of files for each of at least two classes."""
    if len(class_names) < 2:
        raise ValueError(
            f"{root} must contain at least two folders of images, one per class. Received: {list(class_names)}"
        )
    for name in class_names:
        nested = [p.name for p in _folders(root / name)]
        if nested:
            raise ValueError(f"{root / name} must contain image files, not folders. Received: {nested[:5]}")


def _list_files(root: Path, class_names: tuple[str, ...]) -> Files:
    """Returns all visible files in the class folders, images or not. Raises ValueError for an unknown class."""
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
    """Checks every file. Files that are not readable images are removed and listed in one warning."""
    from tqdm import tqdm

    damaged: list[str] = []
    checked: dict[str, Files] = {}
    with ThreadPoolExecutor() as pool:  # Pillow releases Python's global lock while it decodes
        for part, files in parts.items():
            checks = pool.map(_check_file, files.paths)
            results = list(tqdm(checks, f"Checking {part} images", files.size, leave=False, disable=None))
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


def _check_file(path: str) -> bool | str:
    """Decodes the file. Returns whether Pillow must decode it, or the error as text."""
    from PIL import Image

    if not path.lower().endswith(SUFFIXES):
        return f"the suffix is none of {', '.join(SUFFIXES)}"
    if not os.path.getsize(path):
        return "empty"
    try:
        with Image.open(path) as image:
            by_pillow = (image.format, image.mode) not in DECODED_AS_BY_PILLOW or _is_16_bit(image)
            image.draft("RGB", (1, 1))  # decode a JPEG file at 1/8 of its size, which is faster
            image.load()
    except Exception as error:  # damaged files raise errors of many types
        return str(error).replace(repr(path), "the file")
    return by_pillow


def _is_16_bit(image) -> bool:
    # Pillow opens RGB files with 16 bits per channel in mode "RGB"
    return any("16" in str(tile[3]) for tile in image.tile)
