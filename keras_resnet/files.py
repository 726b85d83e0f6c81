"""Atomic writing of files, and locks for directories."""

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NO_SPACE = 74  # EX_IOERR, the exit code of a process that ended because the disk was full


def is_full(error: BaseException) -> bool:
    """Returns whether an error means that the disk is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path to write to. At the end, the temporary file is renamed to `path`.

    If the process fails or is killed, `path` is the complete old file or the complete new file. After an error, the
    temporary file is deleted.
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


def write_csv(path, names: Sequence[str], rows: Iterable[dict]) -> None:
    """Writes a head and one line per row. Omits the values of a row that are not in `names`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path, value) -> None:
    write_text(path, json.dumps(value, indent=1))


def read_json(path):
    """Returns the value in a JSON file. Returns None if the file does not exist."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None


def readable(path):
    """Returns the value in a JSON file. Returns None if the file does not exist or is not valid JSON."""
    try:
        return read_json(path)
    except ValueError:
        return None


class DirectoryInUse(SystemExit):
    """Raised if another process uses the directory."""


@contextmanager
def only_one(directory: Path):
    """Locks a directory. Creates it if it does not exist. Raises DirectoryInUse if another process has locked it.

    The lock is released at the end of the context, and also if the process is killed.
    """
    import fcntl  # not available on Windows

    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(f"Another process is at work in {directory}.") from None
        yield
