"""Data-parallel training of one model on several devices. Each device has a copy of the model and a part of each batch.

The TensorFlow backend uses tf.distribute.MirroredStrategy, the JAX backend keras.distribution.DataParallel. With
`norm="sync_bn"`, BN computes the statistics of the whole batch, so that n devices give the same results as one device.
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
    parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)  # `Run` shards the data
    keras.distribution.set_distribution(parallel)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


# Keras backend -> function that returns the scope in which a model is built and trained on several devices
PARALLEL: dict[str, Callable[[list[str]], AbstractContextManager]] = {
    "tensorflow": mirrored,
    "jax": data_parallel,
}


def on_devices(number: int) -> AbstractContextManager:
    """Returns the scope in which a model must be built and trained to use `number` devices.

    The devices are GPUs, or CPUs if there is no GPU.

    Raises:
        ValueError: If there are fewer devices, or on the PyTorch backend, for which Keras has no data parallelism.
    """
    if number == 1:
        return nullcontext()
    backend = keras.backend.backend()
    if backend not in PARALLEL:
        raise ValueError(f"devices above 1 needs one of the backends {list(PARALLEL)}. Received: {backend!r}")
    there = keras.distribution.list_devices()  # the GPUs, or the CPU if there is no GPU
    if not 1 <= number <= len(there):
        raise ValueError(
            f"devices must lie in 1..{len(there)}, the number of devices on this machine. Received: {number}"
        )
    return PARALLEL[backend](there[:number])


def hosts() -> tuple[int, int]:
    """Returns the index of this process, and the number of processes that train one model together.

    There can be several processes on the JAX backend, see `keras.distribution.initialize`.
    """
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def least_of_hosts(value: int) -> int:
    """Returns the smallest `value` of all processes that train one model together."""
    if hosts()[1] == 1:
        return value
    import numpy as np
    from jax.experimental import multihost_utils

    return int(multihost_utils.process_allgather(np.array(value)).min())
