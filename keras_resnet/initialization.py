"""He initialization of all kernels of a network at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod, sqrt

import keras
import numpy as np

DRAWS = ContextVar("DRAWS", default=True)


@contextmanager
def without_drawing() -> Iterator[None]:
    """Networks that are built in this context are only counted: their kernels are not drawn."""
    token = DRAWS.set(False)
    try:
        yield
    finally:
        DRAWS.reset(token)


def draw_kernels(model: keras.Model) -> None:
    """Draws the kernels that have the initializer "he_normal", He et al. 2015, arXiv:1502.01852, in parallel.

    Keras draws one kernel after the other, on TensorFlow at half the speed. That was more than half of the time to
    build ResNet-152. The distribution is that of Keras. The seeds follow `keras.utils.set_random_seed`, and the numbers
    are the same on all backends.
    """
    if not DRAWS.get():
        return
    layers = [
        layer
        for layer in model.layers
        if isinstance(getattr(layer, "kernel_initializer", None), keras.initializers.HeNormal)
    ]
    with ThreadPoolExecutor() as threads:
        kernels = threads.map(
            he_normal, [layer.kernel.shape for layer in layers], [layer.kernel_initializer.seed for layer in layers]
        )
        for layer, kernel in zip(layers, kernels, strict=True):
            layer.kernel.assign(kernel)


def he_normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Returns a float32 array from the distribution of `keras.initializers.HeNormal`.

    It is a normal distribution truncated at two standard deviations, with variance 2 / fan_in after truncation.
    """
    generator = np.random.Generator(np.random.SFC64(seed))
    numbers = generator.standard_normal(prod(shape), dtype=np.float32)
    outside = np.flatnonzero(np.abs(numbers) > 2)
    while outside.size:
        numbers[outside] = generator.standard_normal(outside.size, dtype=np.float32)
        outside = outside[np.abs(numbers[outside]) > 2]
    numbers *= np.float32(sqrt(2 / prod(shape[:-1])) / 0.87962566103423978)  # the deviation of the truncated normal
    return numbers.reshape(shape)
