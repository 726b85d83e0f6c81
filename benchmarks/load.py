"""ResNet-50 from a `.safetensors` file, ours and torchvision's `load_state_dict`: seconds and memory.

    python -m benchmarks.load

Each side in a process of its own, in turn, `--rounds` times; the net is built before, and the file is in the cache of
the system. Memory is the peak while it loads, less what the process had before (Linux only).
Results: benchmarks/NOTES.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

AIMS = {"seconds": 1.5, "megabytes": 1.3}


def ours() -> Callable[[Path], None]:
    import keras_resnet

    model = keras_resnet.ResNet50()
    return lambda path: keras_resnet.load_pretrained(model, path)


def torchvision() -> Callable[[Path], None]:
    from torchvision.models import resnet50

    net = resnet50()

    def load(path: Path) -> None:
        from safetensors.torch import load_file

        net.load_state_dict(load_file(path))

    import safetensors.torch  # noqa: F401  not a part of what is timed

    return load


SIDES = {"ours": ours, "torchvision": torchvision}


def resident(name: str) -> float:
    """Megabytes: VmRSS, what this process has, or VmHWM, the most that it has had since it last forgot that."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def once(side: str, path: Path) -> dict[str, float]:
    """One load in this process."""
    load = SIDES[side]()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before, start = resident("VmRSS"), time.perf_counter()
    load(path)
    return {"seconds": time.perf_counter() - start, "megabytes": resident("VmHWM") - before}


def write(path: Path) -> None:
    import keras_resnet

    keras_resnet.save_pretrained(keras_resnet.ResNet50(), path)


def measure(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--side", choices=SIDES, help="one load in this process, as JSON; needs --file")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    if options.side:
        print(json.dumps(once(options.side, options.file)))
        return 0
    results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet50.safetensors"
        write(path)
        for _ in range(options.rounds):
            for side, rounds in results.items():
                rounds.append(measure("--side", side, "--file", str(path)))
    from experiments.machine import machine, versions  # imports Keras, which would count as torchvision's memory

    print(f"{machine()}; {versions()}\n")
    print("| | " + " | ".join(SIDES) + " | ratio of medians | aim |\n| --- | ---: | ---: | ---: | ---: |")
    for what, aim in AIMS.items():
        values = {side: [result[what] for result in rounds] for side, rounds in results.items()}
        medians = {side: statistics.median(numbers) for side, numbers in values.items()}
        cells = [f"{medians[side]:.3f} ({min(numbers):.3f} to {max(numbers):.3f})" for side, numbers in values.items()]
        print(f"| {what} | {' | '.join(cells)} | {medians['ours'] / medians['torchvision']:.2f} | {aim} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
