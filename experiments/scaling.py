"""What a batch gains by being shared between devices: measured on parts of this machine, and on paper.

    python -m experiments.scaling                      # on paper: ResNet-50 on 8, 64 and 1024 devices
    python -m experiments.scaling --measure 1 2 4      # ResNet-20 on so many parts of this CPU: the cost of sharing

On paper a step is the arithmetic of one device's share, then the all-reduce of the gradients (a ring: 2 (n - 1) / n of
their bytes through every link, in 2 (n - 1) messages), and with synchronized BN two small all-reduces for each BN
(trees: 2 log2 n messages). Nothing overlaps: a lower bound of the gain. The figures of the devices are flags, with
defaults of the order of a data-centre GPU; they are assumptions, not measurements.
"""

import argparse
import json
import subprocess
import sys
from math import ceil, log2
from typing import NamedTuple

from experiments.flags import not_negative_float, positive, positive_float


class Net(NamedTuple):
    """What of a net crosses the links."""

    parameters: int
    norms: int  # BN layers
    channels: int  # of all of them


class Link(NamedTuple):
    gigabytes: float  # a second, each way
    microseconds: float  # a message


def resnet50() -> Net:
    import keras

    import keras_resnet
    from keras_resnet.macs import model_size

    model = keras_resnet.ResNet50()
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    channels = sum(layer.gamma.shape[0] for layer in norms)
    return Net(model_size(model)["parameters"], len(norms), channels)


def gradient_seconds(net: Net, devices: int, link: Link, bytes_each: int = 4) -> float:
    """A ring all-reduce of the gradients."""
    bytes_sent = 2 * (devices - 1) / devices * net.parameters * bytes_each
    return bytes_sent / (link.gigabytes * 1e9) + 2 * (devices - 1) * link.microseconds * 1e-6


def norm_seconds(net: Net, devices: int, link: Link) -> float:
    """Synchronized BN: sums and squares forward, two sums backward, a tree all-reduce each."""
    messages = 2 * net.norms * 2 * ceil(log2(devices))
    bytes_sent = 2 * 2 * net.channels * 4 * 2
    return messages * link.microseconds * 1e-6 + bytes_sent / (link.gigabytes * 1e9)


def on_paper(net: Net, rate: float, share: int, link: Link) -> str:
    """Markdown; `rate` is of one device, in images/s, `share` its pictures of a batch."""
    head = [
        "devices",
        "batch",
        "arithmetic, ms",
        "gradients, ms",
        "BN, ms",
        "images/s",
        "of n devices",
        "with BN apart",
    ]
    rows = [head, ["---:"] * len(head)]
    compute = share / rate
    for devices in (1, 8, 64, 1024):
        gradients = gradient_seconds(net, devices, link) if devices > 1 else 0.0
        norms = norm_seconds(net, devices, link) if devices > 1 else 0.0
        batch = share * devices
        step = compute + gradients + norms
        cells = [f"{devices}", f"{batch:,}", *(f"{1000 * seconds:.1f}" for seconds in (compute, gradients, norms))]
        cells += [f"{batch / step:,.0f}", f"{compute / step:.0%}", f"{compute / (compute + gradients):.0%}"]
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def steps_per_second(devices: int, steps: int = 20) -> float:
    """Of ResNet-20 with batches of 128 on so many parts of the CPU; called before TensorFlow starts."""
    import time

    import keras
    import numpy as np
    import tensorflow as tf

    import keras_resnet
    from keras_resnet.training.devices import on_devices

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(128, 32, 32, 3)).astype("float32"), rng.integers(10, size=128)
    with on_devices(devices):
        model = keras_resnet.ResNet20(norm="sync_bn")
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
        data = tf.data.Dataset.from_tensors(batch)
    model.fit(data.repeat(3), verbose=0)
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        model.fit(data.repeat(steps), verbose=0)
        rates.append(steps / (time.perf_counter() - start))
    return max(rates)


def measured(numbers: list[int], rounds: int) -> str:
    """Markdown: the fastest of `rounds` processes each, in turn."""
    rates: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(rounds):
        for number in numbers:
            command = [sys.executable, "-m", "experiments.scaling", "--one", str(number)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rates[number].append(json.loads(done.stdout.splitlines()[-1]))
    rows = [["devices", "steps/s", "of one device"], ["---:"] * 3]
    for number, of_number in rates.items():
        rows.append([str(number), f"{max(of_number):.2f}", f"{max(of_number) / max(rates[1]):.0%}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.scaling", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--measure", type=positive, nargs="+", metavar="N", help="devices, parts of this CPU, beside one of it"
    )
    parser.add_argument("--rounds", type=positive, default=2)
    parser.add_argument(
        "--rate", type=positive_float, default=2500, help="images/s of one device; default: %(default)s"
    )
    parser.add_argument("--share", type=positive, default=32, help="pictures a device and step; default: %(default)s")
    parser.add_argument(
        "--gigabytes", type=positive_float, default=50, help="a second through a link; default: %(default)s"
    )
    parser.add_argument("--microseconds", type=not_negative_float, default=5, help="a message; default: %(default)s")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(steps_per_second(options.one)))
    elif options.measure:
        print(measured(sorted({1, *options.measure}), options.rounds))
    else:
        link = Link(options.gigabytes, options.microseconds)
        print(on_paper(resnet50(), options.rate, options.share, link))
    return 0


if __name__ == "__main__":
    sys.exit(main())
