"""What the package says when it is asked for something that does not exist."""

import operator
from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Real
from typing import Any, TypeVar

T = TypeVar("T")


def choose(table: Mapping[str, T], name: str, argument: str) -> T:
    """The row of `table` called `name`; a ValueError names `argument`, the rows and what came."""
    if isinstance(name, str) and name in table:
        return table[name]
    near = get_close_matches(name, table, n=3) if isinstance(name, str) else []
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ValueError(f"{argument} must be one of {list(table)}. Received: {name!r}.{hint}")


def positive(value: Any, argument: str) -> int:
    """`value`, of Python or NumPy, as an int of 1 or more; else a ValueError that names `argument`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{argument} must be a positive integer. Received: {value!r}")
    return number


def positives(values: Any, argument: str, each: str) -> tuple[int, ...]:
    """`values` as a tuple of ints of 1 or more, and not an empty one; else a ValueError that names `argument`."""
    try:
        numbers = tuple(positive(value, argument) for value in values)
    except TypeError:
        numbers = ()
    if not numbers:
        raise ValueError(f"{argument} must be a tuple of positive integers, one a {each}. Received: {values!r}")
    return numbers


INTERVALS = {
    "0 or more": lambda value: value >= 0,
    "more than 0": lambda value: value > 0,
    "in [0, 1)": lambda value: 0 <= value < 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
}


def within(value: Any, argument: str, interval: str) -> Any:
    """`value`, if it is a number of a row of INTERVALS; else a ValueError that names `argument`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not INTERVALS[interval](value):
        raise ValueError(f"{argument} must be a number, {interval}. Received: {value!r}")
    return value
