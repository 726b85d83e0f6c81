"""Numbered directories that appear whole, under the eyes of a server that polls."""

import ctypes
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_resnet.errors import positive

HIDDEN = ".exporting"  # no server takes that for a version


def check_version(directory: Path, version: int | None, overwrite: bool) -> int | None:
    """`version` as an int; ValueError where it is not a positive one, or is there and not to be overwritten."""
    if version is None:
        if overwrite:
            raise ValueError("overwrite=True needs the version to write over. Received: version=None")
        return None
    version = positive(version, "version")
    if not overwrite and os.path.lexists(directory / str(version)):
        raise ValueError(f"version must be one that is not in {directory} yet, or overwrite=True. Received: {version}")
    return version


class Unpublished:
    """A hidden directory beside the versions; `publish` gives it its number."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.path = directory / f"{HIDDEN}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    def publish(self, version: int | None, overwrite: bool) -> Path:
        """Renames it to `version`, or to the next that nobody has, another export at the same time included."""
        synchronize(self.path)
        if overwrite and (place := self.directory / str(version)).exists():
            exchange(self.path, place)  # what is left at self.path is the old one
        else:
            place = self.rename(version)
        synchronize_directory(self.directory)
        return place

    def rename(self, version: int | None) -> Path:
        while True:
            place = self.directory / str(next_version(self.directory) if version is None else version)
            try:
                os.rename(self.path, place)
                return place
            except OSError:
                if not place.exists():
                    raise
                if version is not None:
                    raise ValueError(
                        f"version must be one that is not in {self.directory} yet. Received: {version}, which another "
                        "export has just written"
                    ) from None


@contextmanager
def unpublished(directory: Path) -> Iterator[Unpublished]:
    """A new hidden directory, gone at the end: published, or removed with whatever an export that died has left."""
    directory.mkdir(parents=True, exist_ok=True)
    remove_the_dead(directory)
    unfinished = Unpublished(directory)
    unfinished.path.mkdir()
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished.path, ignore_errors=True)


def next_version(directory: Path) -> int:
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1


def remove_the_dead(directory: Path) -> None:
    """The hidden directories of processes of this machine that are no more."""
    for path in directory.glob(f"{HIDDEN}-*"):
        host, pid, _ = path.name.removeprefix(f"{HIDDEN}-").rsplit("-", 2)
        if host == socket.gethostname() and not is_alive(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # there, os.kill(pid, 0) ends the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def exchange(a: Path, b: Path) -> None:
    """`a` and `b` in each other's place, in one step where the system has one: Linux does."""
    if not _exchange_at_once(a, b):
        aside = a.with_name(f"{a.name}-old")
        os.rename(b, aside)
        os.rename(a, b)
        os.rename(aside, a)


def _exchange_at_once(a: Path, b: Path) -> bool:
    here, whole_exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of renameat2(2)
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return renameat2(here, os.fsencode(a), here, os.fsencode(b), whole_exchange) == 0


def synchronize(directory: Path) -> None:
    """All files on the disk, before a name says that they are there."""
    for path in directory.rglob("*"):
        synchronize_directory(path) if path.is_dir() else _fsync(path, os.O_RDWR)


def synchronize_directory(path: Path) -> None:
    if os.name == "posix":
        _fsync(path, os.O_RDONLY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
