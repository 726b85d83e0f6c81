"""Numbered version directories. Each is written completely before it is renamed to its final name."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_resnet.errors import positive


def check_version(directory: Path, version: int | None, overwrite: bool) -> int | None:
    """Returns `version` as an int.

    Raises ValueError if it is not positive, or if it exists and `overwrite` is False.
    """
    if version is None:
        if overwrite:
            raise ValueError("overwrite=True needs the version to overwrite. Received: version=None")
        return None
    version = positive(version, "version")
    if not overwrite and os.path.lexists(directory / str(version)):
        raise ValueError(f"version must not exist in {directory} yet, or overwrite=True. Received: {version}")
    return version


@contextmanager
def unpublished(directory: Path) -> Iterator[Path]:
    """Yields a new hidden directory in `directory` and deletes it at the end. Servers ignore hidden directories."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f".exporting-{secrets.token_hex(4)}"
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish(path: Path, directory: Path, version: int | None) -> Path:
    """Renames `path` to `directory/version`. If `version` is None, uses the highest version plus one.

    An existing version is replaced by two renames. Between them, the version does not exist.
    """
    if version is None:
        version = 1 + max((int(other.name) for other in directory.iterdir() if other.name.isdecimal()), default=0)
    place = directory / str(version)
    if place.exists():
        with unpublished(directory) as old:
            os.rename(place, old / "old")
            os.rename(path, place)
    else:
        os.rename(path, place)
    return place
