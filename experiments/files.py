"""Files that are there whole or not at all, and directories that one process holds.

Nothing here imports Keras, as keras_resnet.files would: the supervisor and the report start at once.
"""

import errno
import fcntl
import json
import os
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = 74  # EX_IOERR: the exit code of a process that found the disk full; to start it again helps nobody


def is_full(error: BaseException) -> bool:
    """Whether it is the disk that was full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole(path):
    """Another name to write under, renamed to `path` at the end: a reader, or a kill, meets the old file or the new.
    An error, of a full disk say, leaves nothing besides.
    """
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")  # a report may be written by two at once
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
    """The value in a JSON file; None where there is no such file."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None


def readable(path):
    """As `read_json`, and None where the file holds no JSON, too."""
    try:
        return read_json(path)
    except ValueError:
        return None


class Held(SystemExit):
    """Another process is at work there."""


@contextmanager
def only_one(directory: Path):
    """Holds the directory against a second process; Held where another holds it. A kill lets go."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(f"Another process is at work in {directory}.") from None
        yield
