"""Files that are there whole or not at all."""

import json
import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path):
    """Another name to write under, renamed to `path` at the end: a reader, or a kill, meets the old file or the new."""
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{path.name}")
    yield unfinished
    os.replace(unfinished, path)


def write_text(path, text: str) -> None:
    with whole(path) as unfinished:
        unfinished.write_text(text)


def write_json(path, value) -> None:
    write_text(path, json.dumps(value, indent=1))


def read_json(path):
    """The value in a JSON file; None where there is no such file."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None
