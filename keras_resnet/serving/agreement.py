"""Whether what was written answers as the model does."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np


class Agreement(NamedTuple):
    """On how many `pictures` the two name the same class, and how far apart two of their numbers are at most."""

    pictures: int
    same_top_1: int
    largest_difference: float

    def __str__(self):
        return (
            f"the same class for {self.same_top_1} of {self.pictures} pictures, "
            f"numbers differ by at most {self.largest_difference:.1e}"
        )


def random_pictures(shape: tuple, pixels: bool, count: int = 8) -> np.ndarray:
    """(count, h, w, c) float32: of 0..255 if they are to be `pixels`, else standard normal."""
    rng = np.random.default_rng(0)
    drawn = rng.uniform(0, 255, (count, *shape)) if pixels else rng.normal(size=(count, *shape))
    return drawn.astype("float32")


def agreement(answer: Callable, expected: Callable, pictures: np.ndarray, batch: int = 32) -> Agreement:
    """`answer` and `expected` take (b, h, w, c) and give (b, classes)."""
    same, largest = 0, 0.0
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        a, b = (keras.ops.convert_to_numpy(function(part)) for function in (answer, expected))
        same += int((a.argmax(-1) == b.argmax(-1)).sum())
        difference = float(np.abs(a - b).max(initial=0))
        largest = max(largest, difference) if np.isfinite(difference) else np.inf
    return Agreement(len(pictures), same, largest)
