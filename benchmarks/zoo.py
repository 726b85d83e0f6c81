"""Measures the latency of one prediction for rows of the model zoo and writes docs/latency.csv.

    python -m benchmarks.zoo                       # all rows that are not in the file yet
    python -m benchmarks.zoo resnet18 "se*"        # rows by pattern
    python -m benchmarks.zoo resnet18 --again      # also rows that are in the file

The networks have batch size 1, float32, random weights and the image size of their row, and are compiled. Each row is
written when it is measured, so the same command resumes. The latency is the shortest of `--images` predictions, after
as many warm-up predictions: other programs only make a prediction slower. Networks for video, and networks with more
parameters than `--max-params`, are omitted.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from keras_resnet import VARIANTS, ResNet, list_variants
from keras_resnet.__main__ import counts
from keras_resnet.files import write_csv
from keras_resnet.training.environment import machine, versions
from keras_resnet.variants import published_shape

FILE = Path(__file__).parent.parent / "docs" / "latency.csv"
COLUMNS = ("name", "milliseconds", "images", "machine", "versions")


def latency(name: str, images: int) -> float:
    """Returns the shortest time of a prediction, in milliseconds."""
    keras.utils.clear_session()
    shape = published_shape(VARIANTS[name])
    model = ResNet(name, input_shape=shape)
    function = tf.function(lambda image: model(image, training=False))
    image = tf.random.uniform((1, *shape))
    seconds = []
    for _ in range(2 * images):
        start = time.perf_counter()
        function(image).numpy()
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds[images:])


def read() -> dict[str, dict[str, str]]:
    with FILE.open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def write(rows: dict[str, dict[str, str]]) -> None:
    """Writes the rows in the order of `VARIANTS`."""
    write_csv(FILE, COLUMNS, (rows[name] for name in VARIANTS if name in rows))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--again", action="store_true", help="measure rows that are in the file, too")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--max-params", type=float, default=250e6, help="default: 250 million")
    options = parser.parse_args(arguments)

    names = [name for pattern in options.patterns for name in list_variants(pattern) if VARIANTS[name].rank == 2]
    counted = counts()
    for name in dict.fromkeys(names):
        parameters, _ = counted[name]
        if parameters > options.max_params or (name in read() and not options.again):
            continue
        milliseconds = f"{latency(name, options.images):.1f}"
        values = (name, milliseconds, str(options.images), machine(), versions())
        write(read() | {name: dict(zip(COLUMNS, values, strict=True))})
        print(f"{name}: {milliseconds} ms", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
