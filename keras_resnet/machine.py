"""What this machine gains by."""

from pathlib import Path

import keras


def bfloat16_pays(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether bfloat16 is faster than float32: on GPUs, and on CPUs that multiply in it (avx512_bf16, AMX)."""
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return bool({"avx512_bf16", "amx_bf16"} & set(flags) or keras.distribution.list_devices("gpu"))
