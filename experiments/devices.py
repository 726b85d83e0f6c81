"""One model on several devices of one machine: each has a copy of it and a share of every batch.

    python -m experiments.train --devices 4                      # TensorFlow: tf.distribute.MirroredStrategy
    KERAS_BACKEND=jax python -m experiments.train --devices 4    # JAX: keras.distribution.DataParallel

With the norm "sync_bn" the statistics of BN are those of the whole batch, and n devices train as one does.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext

import keras


def mirrored(devices: list[str]) -> AbstractContextManager:
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(devices).scope()


@contextmanager
def data_parallel(devices: list[str]):
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


# the backend of Keras -> how a model is built on several devices
PARALLEL: dict[str, Callable[[list[str]], AbstractContextManager]] = {
    "tensorflow": mirrored,
    "jax": data_parallel,
}


def on_devices(number: int) -> AbstractContextManager:
    """Where a model is built and trained that `number` devices share, GPUs where there are any.

    Raises ValueError where there are fewer, and on PyTorch, for which Keras has none.
    """
    if number == 1:
        return nullcontext()
    backend = keras.backend.backend()
    if backend not in PARALLEL:
        raise ValueError(f"--devices above 1 needs one of the backends {list(PARALLEL)}. Received: {backend!r}")
    there = keras.distribution.list_devices()  # the GPUs, or else the CPU
    if not 1 <= number <= len(there):
        raise ValueError(f"--devices must lie in 1..{len(there)}, the devices that are here. Received: {number}")
    return PARALLEL[backend](there[:number])
