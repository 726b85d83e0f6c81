"""Files that are there whole or not at all."""

import json
import os
from pathlib import Path


def write_text(path, text: str) -> None:
    """Writes under another name and renames: whoever reads, or is killed, meets the old text or the new one."""
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{path.name}")
    unfinished.write_text(text)
    os.replace(unfinished, path)


def write_json(path, value) -> None:
    write_text(path, json.dumps(value, indent=1))


def read_json(path):
    """The value in a JSON file; None where there is no such file."""
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else None
