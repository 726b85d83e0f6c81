"""Compares the time before training: import, build and first training step.

    python -m benchmarks.build

Each measurement runs in a separate process. The measurements take turns and are repeated `--rounds` times. The table
has the fastest time in seconds. Results: benchmarks/NOTES.md.
"""

import argparse
import subprocess
import sys
import time

from benchmarks.sides import measure

JOBS = {
    ("build", "resnet152"): ["ours", "stock Keras", "keras.applications"],
    ("first_step", "resnet110"): ["ours", "stock Keras"],
}
IMPORTS = {"keras": "import keras", "keras_resnet": "import keras, keras_resnet"}


def import_seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)

    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        for name, code in IMPORTS.items():
            seconds.setdefault(("import", name), []).append(import_seconds(code))
        for (kind, net), peers in JOBS.items():
            for peer in peers:
                seconds.setdefault((f"{kind} {net}", peer), []).append(measure(kind, net, peer)["seconds"])
    print("| what | who | seconds, fastest | slowest |\n| --- | --- | ---: | ---: |")
    for (what, who), values in seconds.items():
        print(f"| {what} | {who} | {min(values):.2f} | {max(values):.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
