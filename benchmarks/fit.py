"""Is the input pipeline ever the bottleneck? `fit` with the paper's augmentation against steps on one batch in memory.

    python -m benchmarks.fit            # ResNet-20, batch 128, CIFAR-10; some minutes

The two take turns; the ratio is of images/s. Results: benchmarks/NOTES.md.
"""

import argparse
import statistics
import sys
import time

import keras

import keras_resnet
from keras_resnet.training import load_data
from keras_resnet.training.batches import training_batches
from keras_resnet.training.run import POLICIES


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dataset", choices=["cifar10", "cifar100"], default="cifar10")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=POLICIES, default="float32")
    options = parser.parse_args(arguments)

    import tensorflow as tf

    data = load_data(options.dataset, train_examples=options.steps * options.batch_size)
    keras.config.set_dtype_policy(POLICIES[options.precision])
    classes = len(data.class_names)
    model = keras_resnet.ResNet(
        keras_resnet.cifar(options.depth), classes=classes, include_preprocessing=data.preprocessing, weight_decay=1e-4
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = training_batches(data, options.batch_size, augmentation="cifar", image_size=32, seed=0).data
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
