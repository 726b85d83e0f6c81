"""Checks of arguments, their error messages, and warnings."""

import operator
import sys
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PACKAGE = str(Path(__file__).parent)
SHORT = 12  # an error message lists all names of a table with at most this number of names


class RandomClassifierWarning(UserWarning):
    """The classifier of a model keeps its random initialization, because the weights have other classes."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issues a warning for the line of code outside of this package that led to this call."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def choose(table: Mapping[str, T], name: str, argument: str) -> T:
    """Returns the row of `table` with the name `name`.

    Raises a ValueError if there is no such row. Its message contains `argument` and the allowed names: all names of a
    short table, or the nearest five names of a long table.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    text = name if isinstance(name, str) else ""
    near = get_close_matches(text, table, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    allowed = f"{list(table)}"
    if len(table) > SHORT:
        allowed = f"{len(table)} names, such as {get_close_matches(text, table, n=5, cutoff=0)}"
    raise ValueError(f"{argument} must be one of {allowed}. Received: {name!r}.{hint}")


def positive(value: Any, argument: str) -> int:
    """Returns `value`, a positive integer of Python or NumPy, as an int. Otherwise raises ValueError."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{argument} must be a positive integer. Received: {value!r}")
    return number


def positives(values: Any, argument: str, each: str) -> tuple[int, ...]:
    """Returns `values`, at least one positive integer, as a tuple of ints. Otherwise raises ValueError."""
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
    "in [0, 1]": lambda value: 0 <= value <= 1,
    "in (0, 1]": lambda value: 0 < value <= 1,
}


def within(value: Any, argument: str, interval: str) -> Any:
    """Returns `value` if it is a number in `interval`, a name of INTERVALS. Otherwise raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not INTERVALS[interval](value):
        raise ValueError(f"{argument} must be a number, {interval}. Received: {value!r}")
    return value
