"""The machine, the software versions and the commit with which a result was computed."""

import os
import platform
import subprocess
from pathlib import Path

import keras

import keras_resnet


def machine() -> str:
    """Returns the number and the model of the processors, and the operating system."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{os.cpu_count()} cores ({model}), {platform.system()}"


def commit() -> str:
    """Returns the commit of the checkout that contains this package. Returns "unknown" outside of a checkout.

    A "+" is appended if files differ from the commit.
    """
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
    """Returns the versions of Python, of this package and of Keras, and the backend."""
    packages = {"keras_resnet": keras_resnet, "Keras": keras}
    named = [f"{name} {module.__version__}" for name, module in packages.items()]
    return f"Python {platform.python_version()}, {', '.join(named)}, {keras.backend.backend()} backend"
