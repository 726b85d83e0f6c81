"""What this machine gains by."""

from pathlib import Path

import keras


def bfloat16_pays(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether bfloat16 is faster than float32: on GPUs, and on CPUs that multiply in it (avx512_bf16, AMX)."""
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    if {"avx512_bf16", "amx_bf16"} & set(flags):
        return True
    if keras.backend.backend() == "torch":  # of which Keras cannot say what it runs on
        return False
    # the GPUs, or else the CPU: to ask for "gpu" where there is none is an error of JAX
    return any(name.startswith(("gpu", "cuda")) for name in keras.distribution.list_devices())
