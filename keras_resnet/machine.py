"""Tests whether this machine computes faster in bfloat16."""

from collections.abc import Callable
from pathlib import Path

import keras


def bfloat16_pays(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Returns whether this machine computes faster in bfloat16 than in float32.

    This is True for TPUs and for GPUs of compute capability 8.0 or higher (A100 and later). V100, T4 and P100 do not
    support bfloat16. Without an accelerator, it is True for CPUs with instructions for products in bfloat16
    (avx512_bf16, AMX).
    """
    accelerators = ACCELERATORS.get(keras.backend.backend(), lambda: [])()
    if accelerators:
        return all(accelerators)
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return bool({"avx512_bf16", "amx_bf16"} & set(flags))


def tensorflow_accelerators() -> list[bool]:
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    gpus = [detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details]
    return gpus + [True for _ in tf.config.get_visible_devices("TPU")]


def jax_accelerators() -> list[bool]:
    import jax

    return [
        device.platform == "tpu" or capability_of(device) >= 8 for device in jax.devices() if device.platform != "cpu"
    ]


def capability_of(device) -> float:
    """Returns the compute capability of a GPU in JAX. Returns 0 if it is not a number, as for AMD GPUs ("gfx90a")."""
    try:
        return float(device.compute_capability)
    except (AttributeError, ValueError):
        return 0.0


def torch_accelerators() -> list[bool]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_capability(i) >= (8, 0) for i in range(torch.cuda.device_count())]


# backend -> function that returns, for each accelerator, whether it computes faster in bfloat16
ACCELERATORS: dict[str, Callable[[], list[bool]]] = {
    "tensorflow": tensorflow_accelerators,
    "jax": jax_accelerators,
    "torch": torch_accelerators,
}
