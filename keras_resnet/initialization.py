"""He initialization of all kernels of a network at once."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod, sqrt
from typing import Any

import keras
import numpy as np

CHUNK = 2**16  # size of an array that fits in the CPU cache
DEVIATION = 0.87962566103423978  # standard deviation of the standard normal distribution truncated at 2
DRAWS = ContextVar("DRAWS", default=True)
BUILT: ContextVar[Callable | None] = ContextVar("BUILT", default=None)  # called for each layer that `apply` builds

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def empty(shape, dtype=None):  # keras.ops.empty fills the memory with zeros
        return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=False)

    def to_tensor(array: np.ndarray) -> Any:  # keras.ops.convert_to_tensor copies the array twice
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
else:
    empty, to_tensor = keras.ops.empty, keras.ops.convert_to_tensor


@contextmanager
def without_drawing() -> Iterator[None]:
    """In this context, the kernels of networks are not drawn. Use it for networks whose weights are not needed."""
    token = DRAWS.set(False)
    try:
        yield
    finally:
        DRAWS.reset(token)


@contextmanager
def kernels_later(draw: bool) -> Iterator[None]:
    """In this context, `apply` does not initialize kernels with the initializer "he_normal".

    Threads draw these kernels as in He et al. 2015, arXiv:1502.01852. If `draw` is False, they are not drawn, because
    weights will be loaded.

    Keras draws one kernel after the other, and on TensorFlow its generator has half the speed of the one used here.
    This took more than half of the time to build ResNet-152. Here, threads draw the kernels while the next layers are
    built. The distribution is that of Keras. The seeds depend on `keras.utils.set_random_seed`, and the numbers are the
    same on all backends.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        drawn = []

        def built(layer):
            if draw and DRAWS.get():
                job = threads.submit(he_normal, tuple(layer.kernel.shape), layer.kernel_initializer.seed)
                drawn.append((layer.kernel, job))

        token = BUILT.set(built)
        try:
            yield
        finally:
            BUILT.reset(token)
        for kernel, job in drawn:
            kernel.assign(to_tensor(job.result()))


def apply(layer: keras.Layer, x) -> Any:
    """Returns `layer(x)` for a new layer. In a context of `kernels_later`, its kernel is not initialized yet."""
    built, initializer = BUILT.get(), layer.kernel_initializer
    if built is None or not isinstance(initializer, keras.initializers.HeNormal):
        return layer(x)

    def fill(shape, dtype=None):
        # In a StatelessScope, Keras initializes variables later, when the context may have ended.
        if BUILT.get() is not built:
            return initializer(shape, dtype)
        return (empty if DRAWS.get() else keras.ops.zeros)(shape, dtype=dtype)

    layer.kernel_initializer = fill
    x = layer(x)
    layer.kernel_initializer = initializer
    built(layer)
    return x


def he_normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Returns a float32 array from the distribution of `keras.initializers.HeNormal`.

    It is a normal distribution truncated at two standard deviations, with variance 2 / fan_in after truncation.
    """
    generator = np.random.Generator(np.random.SFC64(seed))
    numbers, scale = aligned(prod(shape)), np.float32(sqrt(2 / prod(shape[:-1])) / DEVIATION)
    for start in range(0, numbers.size, CHUNK):
        part = numbers[start : start + CHUNK]
        generator.standard_normal(dtype=np.float32, out=part)
        outside = np.flatnonzero(np.abs(part) > 2)
        while outside.size:
            part[outside] = generator.standard_normal(outside.size, dtype=np.float32)
            outside = outside[np.abs(part[outside]) > 2]
        part *= scale
    return numbers.reshape(shape)


def aligned(size: int) -> np.ndarray:
    """Returns a float32 array whose address is a multiple of 64, so that TensorFlow can use it without a copy."""
    memory = np.empty(size + 15, np.float32)
    return memory[-memory.ctypes.data % 64 // 4 :][:size]
