"""Files that appear whole or not at all, and directories that only one process uses at a time."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = 74  # EX_IOERR, the exit code of a process that ended because the disk was full


def is_full(error: BaseException) -> bool:
    """Returns whether an error says that the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary name to write to, which is renamed to `path` at the end.

    After an error or a kill, `path` is the old file or the new one, never a part of one. An error leaves no other file.
    """
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")  # two processes may write the same file
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path, text: str) -> None:
    with whole(path) as unfinished:
        unfinished.write_text(text)


def write_json(path, value) -> None:
    write_text(path, json.dumps(value, indent=1))


def read_json(path):
    """Returns the value in a JSON file; None if there is no such file."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None


def readable(path):
    """As `read_json`, but None also if the file holds no JSON."""
    try:
        return read_json(path)
    except ValueError:
        return None


class DirectoryInUse(SystemExit):
    """Another process uses the directory."""


@contextmanager
def only_one(directory: Path):
    """Locks a directory, which is created if need be. Raises DirectoryInUse if another process has locked it.

    The lock ends with the process, also if it is killed.
    """
    import fcntl  # not on Windows

    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(f"Another process is at work in {directory}.") from None
        yield
