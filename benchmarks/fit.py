"""Measures the input pipeline in images/s: alone, in `fit`, and `fit` with one batch that stays in memory.

    python -m benchmarks.fit                                                        # ResNet-20, CIFAR-10, batch 128
    python -m benchmarks.fit jpegs resnet50 --augmentation inception --image-size 224 --batch-size 32 --steps 5
    python -m benchmarks.fit jpegs none --augmentation imagenet_a3 --image-size 160   # the pipeline alone

`jpegs` is a temporary folder of JPEG files of the same size as ImageNet's. Any other source of `load_data` may be
given. The two measurements of `fit` take turns. Results: benchmarks/NOTES.md.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def write_jpegs(root: Path, count: int = 512) -> None:
    """Writes two classes of random JPEG files of 500x375 pixels and about 110 kB, the mean file size of ImageNet."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        folder = root / f"class{i % 2}"
        folder.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(
            (500, 375), Image.Resampling.BICUBIC
        )
        pixels = np.asarray(coarse) + rng.normal(0, 12, (375, 500, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", nargs="?", default="cifar10")
    parser.add_argument("net", nargs="?", default="resnet20", help="a row, or none: only the pipeline")
    parser.add_argument("--augmentation", default="cifar")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100, help="batches per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        source = options.source
        if source == "jpegs":
            write_jpegs(Path(folder))
            source = f"folder:{folder}"
        measure(source, options)
    return 0


def measure(source: str, options: argparse.Namespace) -> None:
    import keras

    import keras_resnet
    from keras_resnet.training.batches import training_batches
    from keras_resnet.training.datasets import load_data
    from keras_resnet.training.parts import Arrays

    keras.config.set_dtype_policy(PRECISIONS[options.precision])
    data, choices = load_data(source, validation=0), dict(augmentation=options.augmentation, seed=0)
    if isinstance(data.train, Arrays):  # a round is one epoch of these images
        data = load_data(source, validation=0, train_examples=min(data.train.size, options.steps * options.batch_size))
        steps = None
    else:
        steps = options.steps
    feed = training_batches(data, options.batch_size, image_size=options.image_size, steps=steps, **choices)
    images, labels = first = next(iter(feed.data))
    stream = iter(feed.data)

    def alone() -> None:
        for i in range(feed.steps):
            feed.data[i] if feed.steps_per_epoch is None else next(stream)

    def take_turns(runs: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
        """Prints and returns the images/s of each round of each run. A first round is not measured."""
        for run in runs.values():
            run()
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                rates[name].append(feed.steps * len(images) / (time.perf_counter() - start))
            print(", ".join(f"{name} {rates[name][-1]:.0f}" for name in runs) + " images/s", flush=True)
        return rates

    # Measured first: during other measurements, the stream would prefetch batches.
    rates = take_turns({"alone": alone})
    setting = f"{options.source}, {options.augmentation}, {options.image_size} pixels, batch {options.batch_size}"
    print(f"{setting}: pipeline alone {statistics.median(rates['alone']):.0f} images/s (median)")
    if options.net != "none":
        import tensorflow as tf

        model = keras_resnet.ResNet(
            options.net,
            input_shape=(options.image_size, options.image_size, 3),
            classes=len(data.class_names),
            include_preprocessing=data.preprocessing,
        )
        loss = "categorical_crossentropy" if len(labels.shape) == 2 else "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
        resident = tf.data.Dataset.from_tensors(first).repeat(feed.steps)
        rates = take_turns(
            {
                "fit": lambda: model.fit(feed.data, steps_per_epoch=feed.steps_per_epoch, shuffle=False, verbose=0),
                "in memory": lambda: model.fit(resident, verbose=0),
            }
        )
        ratios = sorted(fit / memory for fit, memory in zip(rates["fit"], rates["in memory"], strict=True))
        print(
            f"{options.net}, {options.precision}: fit / in memory: median {statistics.median(ratios):.3f}, "
            f"{ratios[0]:.3f} to {ratios[-1]:.3f}; fastest against fastest "
            f"{max(rates['fit']) / max(rates['in memory']):.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
