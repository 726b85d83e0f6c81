"""Compares training of ResNet-50 in bfloat16 on one GPU: ours on Keras' JAX backend, and torchvision.

    python -m benchmarks.gpu                                       # downloads nothing
    python -m benchmarks.gpu --batch 2 --size 32 --steps 2 --rounds 1          # a check on a CPU

The images are random, have 224 x 224 pixels, and stay in the memory of the GPU. "step" is one compiled training step,
written with Keras' stateless API. "fit" is `Model.fit` with the same batch. torchvision uses the channels-last layout,
autocast, and `torch.compile` in one of its rows. Each row is measured in a separate process, in at most 180 s;
the rows take turns. The aims are 1.0 times the fastest row of torchvision, and 2,470 images/s on one H100.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.peers import NETS, example_images, without_operators
from benchmarks.sides import measure

LIMIT = 180  # seconds of one measurement
Run = Callable[[int], object]  # makes a number of steps and waits for the last one


def batch_of(options):
    return example_images(NETS["resnet50"]._replace(size=options.size), options.batch)


def ours(options):
    import keras

    import keras_resnet

    keras.config.set_dtype_policy("mixed_bfloat16")
    model = keras_resnet.ResNet50(input_shape=(options.size, options.size, 3), classifier_activation=None)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return model, optimizer, loss


def ours_step(options) -> Run:
    import jax

    model, optimizer, loss = ours(options)
    optimizer.build(model.trainable_variables)
    images, labels = map(jax.device_put, batch_of(options))

    def loss_of(trainable, rest):
        logits, rest = model.stateless_call(trainable, rest, images, training=True)
        return loss(labels, logits), rest

    def step(trainable, rest, slots):
        (value, rest), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, rest)
        return value, *optimizer.stateless_apply(slots, gradients, trainable), rest

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    ]

    def run(steps: int) -> float:
        nonlocal state
        for _ in range(steps):
            value, trainable, slots, rest = compiled(*state)
            state = [trainable, rest, slots]
        return float(value)

    return run


def ours_fit(options) -> Run:
    import jax

    model, optimizer, loss = ours(options)
    model.compile(optimizer, loss)
    images, labels = map(jax.device_put, batch_of(options))

    def batches():
        while True:
            yield images, labels

    return lambda steps: model.fit(batches(), steps_per_epoch=steps, verbose=0)


def torchvision_step(compiled: bool) -> Callable:
    def prepare(options) -> Run:
        import torch

        if not torch.cuda.is_available():
            without_operators()
        import torchvision

        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        module = torchvision.models.resnet50().to(device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        images, labels = batch_of(options)
        x = torch.from_numpy(images).permute(0, 3, 1, 2).to(device).contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(labels).to(device)
        forward = torch.compile(module) if compiled else module

        def run(steps: int) -> float:
            for _ in range(steps):
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device, torch.bfloat16):
                    loss = torch.nn.functional.cross_entropy(forward(x), y)
                loss.backward()
                optimizer.step()
            return loss.item()

        return run

    return prepare


ROWS = {
    "ours, step": ours_step,
    "ours, fit": ours_fit,
    "torchvision": torchvision_step(compiled=False),
    "torchvision, compiled": torchvision_step(compiled=True),
}


def rate(name: str, options) -> float:
    """Returns images per second, the median of three, after the first steps, which compile."""
    run = ROWS[name](options)
    run(max(1, options.steps // 5))
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        run(options.steps)
        rates.append(options.batch * options.steps / (time.perf_counter() - start))
    return statistics.median(rates)


def accelerator() -> str:
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "no NVIDIA GPU: a check, not a result"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    for name, default in {"batch": 256, "size": 224, "steps": 30, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--measure", choices=ROWS, metavar="ROW", help="one row, in this process; prints JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({"images_per_second": rate(options.measure, options)}))
        return 0
    rates: dict[str, list[float]] = {name: [] for name in options.rows}
    os.environ["KERAS_BACKEND"] = "jax"  # of the processes that measure
    for turn in range(options.rounds):
        for name in rates:
            result = measure(*sys.argv[1:], "--measure", name, module="benchmarks.gpu", limit=LIMIT)
            rates[name] += [result["images_per_second"]] if "images_per_second" in result else []
            text = result.get("missing") or f"{rates[name][-1]:.0f} images/s"
            print(f"round {turn + 1}: {name}: {text}", flush=True)
    theirs = max((max(found) for name, found in rates.items() if found and "torchvision" in name), default=None)
    print(f"\n{accelerator()}; batch {options.batch}, {options.size} pixels, bfloat16\n")
    print("| | images/s, fastest | median | fastest / fastest of torchvision |\n| --- | ---: | ---: | ---: |")
    for name, found in rates.items():
        if found:
            share = f"{max(found) / theirs:.2f}" if theirs else ""
            print(f"| {name} | {max(found):.1f} | {statistics.median(found):.1f} | {share} |")
    return 0 if all(rates.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
