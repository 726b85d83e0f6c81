"""Batches of images: shuffled and augmented for training, in their order for evaluation."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_resnet.preprocessing import Preprocessing, decode_file, resize_pixels
from keras_resnet.training.augmentation import AUGMENTATIONS, Augmentation, augment, center
from keras_resnet.training.datasets import Arrays, ImageData, Records
from keras_resnet.training.folders import Files


class Feed(NamedTuple):
    """Training batches: `data`, what `fit` takes; `steps`, batches per epoch; `steps_per_epoch`, for `fit`."""

    data: Any
    steps: int
    steps_per_epoch: int | None


def training_batches(
    data: ImageData,
    batch_size: int,
    *,
    augmentation: str,
    image_size: int,
    seed: int,
    epoch: int = 0,
    epochs: int = 1000,
    multiple: int = 1,
    hosts: tuple[int, int] = (0, 1),
) -> Feed:
    """Returns the batches from `epoch` on: pixels of 0 to 255 and labels, all decided by `seed`.

    Args:
        data: An `ImageData`.
        batch_size: Images per batch, of all hosts together.
        augmentation: Name of `AUGMENTATIONS`.
        image_size: Height and width of the images.
        seed: Integer. The order of the images and their augmentation follow from it and from the epoch alone.
        epoch: The first epoch.
        epochs: The number of epochs of the run, which ends the batches of a streamed tfds data set.
        multiple: Number of devices that share a batch.
        hosts: The index of this process and the number of processes. Each gets its share of each batch.

    Returns:
        A `Feed`.
    """
    row, part = AUGMENTATIONS[augmentation], data.train
    if batch_size % multiple:
        raise ValueError(f"batch_size must be a multiple of {multiple}, the number of devices. Received: {batch_size}")
    fill = tuple(
        255 * np.array(data.preprocessing.mean) if data.preprocessing.scale == 255 else data.preprocessing.mean
    )
    resident = isinstance(part, Arrays) and part.images.shape[1:3] == (image_size, image_size)
    if resident and row.window is center and not row.layers and hosts[1] == 1:
        batches = Batches(
            part,
            batch_size,
            fill=np.round(fill).astype(np.uint8),
            flip=data.flip and row.flip != "none",
            alternate=row.flip == "alternating",
            pad=row.pad,
            seed=seed,
            epoch=epoch,
            multiple=multiple,
        )
        return Feed(batches, len(batches), None)
    steps = max(1, len(part) // batch_size)
    batch = min(batch_size, len(part)) // hosts[1]
    dataset = streamed(data, row, image_size, seed, (epoch, epochs), steps * batch_size, fill, hosts).batch(batch)
    classes = len(data.class_names)
    if row.layers:
        return Feed(_through_layers(dataset, row, seed, epoch * steps, classes), steps, steps)
    return Feed(dataset.prefetch(tf.data.AUTOTUNE), steps, steps)


def streamed(
    data: ImageData, row: Augmentation, size: int, seed: int, span: tuple[int, int], examples: int, fill, hosts
):
    """A `tf.data.Dataset` of the augmented images and labels of a span of epochs, each of `examples` images."""
    part, (epoch, end) = data.train, span
    count = min(len(part), examples)  # of an epoch
    if isinstance(part, Records):
        # Every epoch is a data set of its own, which is opened when its turn comes.
        first, *others = (
            part.examples(seed=hash((seed, number)) % 2**31).take(count) for number in range(epoch, max(end, epoch + 1))
        )
        source = first
        for other in others:
            source = source.concatenate(other)
        source = source.enumerate(start=epoch * count)
    else:
        labels = tf.constant(part.labels)
        files = isinstance(part, Files)
        content = tf.constant(part.readable) if files else tf.constant(part.images)

        def example(number):
            place = tf.cast(number % count, tf.int64)
            key = tf.stack([tf.constant(seed, tf.int64), number // count])
            index = tf.random.experimental.index_shuffle(place, key, tf.constant(len(part) - 1, tf.int64))
            image = content[index]
            return number, (tf.io.read_file(image) if files else image, labels[index])

        source = tf.data.Dataset.range(epoch * count, max(end, epoch + 1) * count)
        source = source.map(example, num_parallel_calls=tf.data.AUTOTUNE)
    source = source.shard(hosts[1], hosts[0])

    def prepared(number, parts):
        image, label = parts
        key = tf.stack([tf.constant(seed, tf.int64), number])
        return augment(row, image, key, size, flip=data.flip, fill=tf.constant(fill, tf.float32)), label

    return source.map(prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _through_layers(dataset, row: Augmentation, seed: int, step: int, classes: int) -> Iterator:
    """Yields the batches after Keras' layers, whose random numbers follow from the seed and the step."""
    layers = [make() for make in row.layers]
    for images, labels in dataset.as_numpy_iterator():
        if row.soft_labels:
            labels = np.eye(classes, dtype="float32")[labels]
        batch = {"images": keras.ops.convert_to_tensor(images), "labels": keras.ops.convert_to_tensor(labels)}
        for number, layer in enumerate(layers):
            layer.generator.state.assign(np.array([seed * len(layers) + number, step], layer.generator.state.dtype))
            batch = layer(batch, training=True)
        yield batch["images"], batch["labels"]
        step += 1


def evaluation_batches(part, batch_size: int, *, preprocessing: Preprocessing, image_size: int):
    """Returns all images of a part in their order: pixels of 0 to 255 and labels.

    Images are resized and cropped as `preprocessing` says. Arrays of the right size stay arrays.

    Args:
        part: `Arrays`, `Files` or `Records`.
        batch_size: Images per batch.
        preprocessing: A `Preprocessing`. Its normalization is not applied.
        image_size: Height and width of the images.

    Returns:
        A tuple of arrays, or a `tf.data.Dataset` of batches.
    """
    if isinstance(part, Arrays) and part.images.shape[1:3] == (image_size, image_size):
        return part.images, part.labels
    row = preprocessing.at_size(image_size)

    def prepared(image, label):
        pixels = decode_file(image) if image.dtype == tf.string else image
        return resize_pixels(pixels, (image_size, image_size), row), label

    examples = evaluation_examples(part)
    return examples.map(prepared, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def evaluation_examples(part):
    """A `tf.data.Dataset` of (image, label) in the order of the part; images are files, or pixels (h, w, 3)."""
    if isinstance(part, Records):
        return part.examples()
    if isinstance(part, Files):
        paths = tf.data.Dataset.from_tensor_slices((list(part.readable), part.labels))
        return paths.map(lambda path, label: (tf.io.read_file(path), label), num_parallel_calls=tf.data.AUTOTUNE)
    return tf.data.Dataset.from_tensor_slices((part.images, part.labels))


class Batches(keras.utils.PyDataset):
    """Shuffled, augmented batches: images (b, h, w, 3) uint8 and labels (b,) int64.

    He 2015, Section 4.2: `pad` pixels on each side, a random crop of the original size, mirrored
    every other time if `flip`: by chance, or with `alternate` by chance at first and then in turn
    (github.com/KellerJordan/cifar10-airbench). The padding is `fill`, the mean pixel: it becomes the
    paper's zeros where the model subtracts the mean. All follows from (`seed`, epoch, index of the batch).

    Each example comes once an epoch, in `ceil(n / batch_size)` batches whose sizes differ by one at
    most: a last batch of a few pictures would weigh as much as any other in the moving averages of
    BatchNormalization, right before validation. TensorFlow traces one function for both sizes.
    Devices that share a batch want sizes that are a `multiple` of their number: those then differ by
    that at most, and an epoch leaves out fewer pictures than that, each time others.

    `epoch` counts on by itself as `fit` ends one. Set it (or make new Batches) before another
    `fit`, to `initial_epoch` where a run resumes. `steps_per_epoch` would tear epochs apart. The
    padding is done batch by batch: an object costs next to no memory beside its `split`.
    """

    def __init__(
        self,
        split: Arrays,
        batch_size: int,
        *,
        fill: np.ndarray | tuple[int, ...],
        flip: bool,
        alternate: bool = False,
        pad: int = 4,
        seed: int = 0,
        epoch: int = 0,
        multiple: int = 1,
        **parallelism: Any,
    ) -> None:
        super().__init__(**parallelism)
        for argument, value, low in (("batch_size", batch_size, 1), ("pad", pad, 0)):
            if not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{argument} must be an integer >= {low}. Received: {value!r}")
        if batch_size % multiple:
            raise ValueError(f"batch_size must be a multiple of {multiple}. Received: {batch_size}")
        self.images, self.labels = split
        self.multiple = multiple
        self.batch_size, self.pad, self.flip, self.alternate, self.seed = batch_size, pad, flip, alternate, seed
        height, width, _ = self.images.shape[1:]
        self.blank = np.tile(np.asarray(fill, np.uint8), (height + 2 * pad, width + 2 * pad, 1))
        self._within_epoch = False
        self.epoch = epoch

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        rng, n = np.random.default_rng((self.seed, epoch)), len(self.labels)
        self._epoch = epoch
        self._order = rng.permutation(n)
        self._corners = rng.integers(2 * self.pad + 1, size=(2, n))
        self._mirrored = rng.random(n) < (0.5 if self.flip else 0.0)
        if self.flip and self.alternate:
            at_first = np.random.default_rng(self.seed).random(n) < 0.5
            self._mirrored = at_first[self._order] ^ bool(epoch % 2)

    def on_epoch_begin(self) -> None:
        self._within_epoch = True

    def on_epoch_end(self) -> None:
        # Keras also calls this between epochs (EpochIterator.reset), and starts its workers before
        # on_epoch_begin: the next epoch is drawn here, and once.
        if self._within_epoch:
            self._within_epoch = False
            self.epoch += 1

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(f"index must lie in 0..{len(self) - 1}. Received: {index}")
        shares, count = len(self.labels) // self.multiple, len(self)
        batch = slice(self.multiple * (index * shares // count), self.multiple * ((index + 1) * shares // count))
        chosen, mirrored = self._order[batch], self._mirrored[batch]
        top, left = self._corners[:, batch]
        images, pad = self.images[chosen], self.pad
        b, h, w, c = images.shape
        padded = np.repeat(self.blank[None], b, axis=0)
        padded[:, pad : pad + h, pad : pad + w] = images
        windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w, c), axis=(1, 2, 3))
        crops = windows[np.arange(b), top, left, 0]
        crops[mirrored] = crops[mirrored, :, ::-1]
        return crops, self.labels[chosen]
