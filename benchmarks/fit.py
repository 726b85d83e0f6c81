"""Is the input pipeline ever the bottleneck? `fit` with the paper's augmentation against steps on one batch in memory.

    python -m benchmarks.fit            # ResNet-20, batch 128, CIFAR-10; some minutes

The two take turns; the ratio is of images/s. Results: benchmarks/NOTES.md.
"""

import argparse
import statistics
import sys
import time

from experiments import training
from experiments.data import load


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dataset", choices=["cifar10", "cifar100"], default="cifar10")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=training.POLICIES, default="float32")
    options = parser.parse_args(arguments)

    import tensorflow as tf

    data = load(options.dataset, train_examples=options.steps * options.batch_size)
    choices = dict(depth=options.depth, shortcut="zero_pad", order="original", block="building_block", width=1)
    model = training.build(choices | dict(learning_rate=0.01, weight_decay=1e-4), data, options.precision)
    batches = data.batches(options.batch_size)
    resident = tf.data.Dataset.from_tensors(batches[0]).repeat(len(batches))

    def images_per_second(source) -> float:
        start = time.perf_counter()
        model.fit(source, shuffle=False, verbose=0)
        return len(batches) * options.batch_size / (time.perf_counter() - start)

    for source in (batches, resident):  # trace
        images_per_second(source)
    rounds = []
    for _ in range(options.rounds):
        rounds.append((images_per_second(batches), images_per_second(resident)))
        print(f"fit {rounds[-1][0]:.0f} images/s, in memory {rounds[-1][1]:.0f} images/s", flush=True)
    ratios = sorted(augmented / in_memory for augmented, in_memory in rounds)
    fastest = max(augmented for augmented, _ in rounds) / max(in_memory for _, in_memory in rounds)
    spread = (
        f"median {statistics.median(ratios):.3f}, {ratios[0]:.3f} to {ratios[-1]:.3f}; fastest round against fastest"
    )
    print(f"ResNet-{options.depth}, {options.precision}: ratio {spread} {fastest:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
