"""Whether what was written answers as the model does."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.layers import tf
from keras_resnet.serving.signatures import Served, Signature


class Agreement(NamedTuple):
    """On how many `pictures` the two name the same class, and how far apart two of their numbers are at most: as a
    share of the largest in a batch where that is above 1, as in an embedding.
    """

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
        difference = float(np.abs(a - b).max(initial=0) / np.abs(b).max(initial=1))
        largest = max(largest, difference) if np.isfinite(difference) else np.inf
    return Agreement(len(pictures), same, largest)


def compare(path: Path, expected: Served, signature: Signature, pictures, pixels: bool) -> Agreement:
    """What is at `path` against `expected`, by one signature."""
    if pictures is None:
        pictures = random_pictures(tuple(size or 224 for size in expected.shape), pixels)
    if signature.takes_files:
        pictures = np.array([signature.input.request(picture) for picture in pictures], object)
    with loaded(path, signature) as answer:
        return agreement(answer, lambda part: numbers(signature.answer(expected, tf.constant(part))), pictures)


def numbers(outputs: dict):
    return next(outputs[name] for name in ("probabilities", "scores", "embedding") if name in outputs)


@contextmanager
def loaded(path: Path, signature: Signature) -> Iterator[Callable]:
    """The `numbers` of what is at `path`, in a session as TF Serving has it."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default(), without_advice():
            told = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def[signature.key]
        output = numbers(told.outputs).name
        yield lambda part: session.run(output, {told.inputs[signature.input.name].name: part})
    finally:
        session.close()


@contextmanager
def without_advice() -> Iterator[None]:
    """TensorFlow would have us load in another way, which is not that of its servers."""
    log = logging.getLogger("tensorflow")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
