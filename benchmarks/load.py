"""Measures the time and memory to load ResNet-50 from a weight file.

    python -m benchmarks.load

Each measurement runs in a new process. The libraries take turns, and the measurements are repeated `--rounds` times.
The weight file is in the file cache of the operating system. The results are:

- `start`: seconds from the start of the process to the first prediction, for one image of 224 x 224 pixels;
- `load`: seconds to build the network and to load the file. The library is already imported, and another network was
  built before;
- `megabytes`: the peak memory during `load` minus the memory before (Linux only).

Libraries that are not installed are omitted. Results: benchmarks/NOTES.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Side(NamedTuple):
    """The functions of one library that are measured."""

    package: str
    write: Callable[[Path], None]  # writes a weight file for `load`
    load: Callable[[Path], Any]  # builds the network and loads the file
    build: Callable[[], Any]  # builds a network without weights, as a warm-up of the library
    predict: Callable[[Any, np.ndarray], Any]  # images (b, h, w, c)


def ours(weights=None):
    import keras_resnet

    return keras_resnet.ResNet50(weights=weights)


def write_ours(path: Path) -> None:
    import keras_resnet

    keras_resnet.save_pretrained(ours(), path)


def keras_applications(weights=None):
    import keras

    model = keras.applications.ResNet50(weights=None)
    if weights:
        model.load_weights(weights)
    return model


def predict_keras(model, images):
    return np.asarray(model(images))


def torch_side(create: Callable) -> dict[str, Callable]:
    def load(path):
        from safetensors.torch import load_file

        net = create()
        net.load_state_dict(load_file(path))
        return net

    def write(path):
        from safetensors.torch import save_file

        save_file(create().state_dict(), path)

    def predict(net, images):
        import torch

        with torch.inference_mode():
            return net.eval()(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()

    return {"write": write, "load": load, "build": create, "predict": predict}


def timm():
    from benchmarks.peers import without_operators

    without_operators()
    from timm import create_model

    return create_model("resnet50")


def torchvision():
    from benchmarks.peers import without_operators

    without_operators()
    from torchvision.models import resnet50

    return resnet50()


SIDES = {
    "ours": Side("keras_resnet", write_ours, ours, ours, predict_keras),
    "keras.applications": Side(
        "keras", lambda path: keras_applications().save_weights(path), keras_applications, keras_applications,
        predict_keras,
    ),
    "timm": Side("timm", **torch_side(timm)),
    "torchvision": Side("torchvision", **torch_side(torchvision)),
}  # fmt: skip
SUFFIXES = {"keras.applications": ".weights.h5"}
# measurement -> side -> target: the largest ratio of our result to the result of that side
AIMS = {"load": {"keras.applications": 0.5, "timm": 2.0}, "megabytes": {"torchvision": 1.3}}


def resident(name: str) -> float:
    """Returns memory in megabytes: VmRSS is the current memory, VmHWM the peak since the last write to clear_refs."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def start(side: str, path: Path) -> dict[str, float]:
    """Returns the time of the first prediction. The caller subtracts the start time of this process."""
    images = np.zeros((1, 224, 224, 3), "float32")
    SIDES[side].predict(SIDES[side].load(path), images)
    return {"end": time.time()}


def load(side: str, path: Path) -> dict[str, float]:
    SIDES[side].build()
    if side in ("timm", "torchvision"):
        import safetensors.torch  # noqa: F401  its import is not measured
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before, begin = resident("VmRSS"), time.perf_counter()
    SIDES[side].load(path)
    return {"load": time.perf_counter() - begin, "megabytes": resident("VmHWM") - before}


def measure(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    begin = time.time()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures = json.loads(output.splitlines()[-1])
    return {"start": figures["end"] - begin} if "end" in figures else figures


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", choices=SIDES, help="one measurement in this process, as JSON; needs --file")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--figure", choices=("start", "load"), default="load")
    options = parser.parse_args(arguments)
    if options.side:
        print(json.dumps({"start": start, "load": load}[options.figure](options.side, options.file)))
        return 0
    sides = [name for name, side in SIDES.items() if find_spec(side.package)]
    results: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}{SUFFIXES.get(name, '.safetensors')}" for name in sides}
        for name, path in files.items():
            SIDES[name].write(path)
        for _ in range(options.rounds):
            for name, path in files.items():
                for figure in ("start", "load"):
                    for key, value in measure("--figure", figure, "--side", name, "--file", str(path)).items():
                        results[name].setdefault(key, []).append(value)
    from keras_resnet.training.environment import machine, versions

    print(f"{machine()}; {versions()}\n")
    print(f"| | {' | '.join(sides)} | aims, ours as a share |\n| --- |{' ---: |' * len(sides)} --- |")
    for figure in ("start", "load", "megabytes"):
        medians = {name: statistics.median(results[name][figure]) for name in sides}
        cells = [
            f"{medians[name]:.2f} ({min(results[name][figure]):.2f} to {max(results[name][figure]):.2f})"
            for name in sides
        ]
        aims = [
            f"{medians['ours'] / medians[name]:.2f} of {name}, aim {aim}"
            for name, aim in AIMS.get(figure, {}).items()
            if name in sides
        ]
        print(f"| {figure} | {' | '.join(cells)} | {'; '.join(aims)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
