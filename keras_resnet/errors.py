"""What the package says when it is asked for something that does not exist."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


def choose(table: Mapping[str, T], name: str, argument: str) -> T:
    """The row of `table` called `name`; a ValueError names `argument`, the rows and what came."""
    if isinstance(name, str) and name in table:
        return table[name]
    near = get_close_matches(name, table, n=3) if isinstance(name, str) else []
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"{argument} must be one of {list(table)}. Received: {name!r}.{hint}")
