"""Where a result was made: the machine and the versions of what ran on it."""

import os
import platform
import subprocess
from pathlib import Path

import keras
import keras_tuner

import keras_resnet


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), {platform.system()}"


def commit() -> str:
    """Of the checkout that this runs from, "+" behind it where something is changed; "unknown" where there is none."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=12",
        "--dirty=+",
        "--exclude=*",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def versions() -> str:
    packages = {"keras_resnet": keras_resnet, "Keras": keras, "Keras Tuner": keras_tuner}
    named = [f"{name} {module.__version__}" for name, module in packages.items()]
    return f"Python {platform.python_version()}, {', '.join(named)}, {keras.backend.backend()} backend"
