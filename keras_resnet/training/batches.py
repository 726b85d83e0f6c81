"""Batches for training and evaluation, from memory or streamed from files with tf.data."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose, positive
from keras_resnet.preprocessing import Preprocessing, decode_file, resize_pixels
from keras_resnet.training.augmentation import AUGMENTATIONS, Augmenter
from keras_resnet.training.datasets import ImageData
from keras_resnet.training.parts import Arrays, Order, Part, import_tensorflow


class Batches(keras.utils.PyDataset):
    """Shuffled, augmented batches of a set in memory: images `(b, h, w, 3)` uint8 and labels `(b,)` int64.

    Augmentation follows He 2015, Section 4.2: pad by `pad` pixels on each side, take a random crop of the original
    size, and, if `flip`, mirror with probability 1/2. With `alternate`, a random half of the images is mirrored in the
    first epoch and in every second epoch after it. The other half is mirrored in the epochs between
    (github.com/KellerJordan/cifar10-airbench). The padding is `fill`, the mean pixel. When the model subtracts the
    mean, the padding becomes zero, as in the paper. All random numbers depend only on `seed`, the epoch and the index
    of the batch.

    Each example occurs once per epoch. An epoch has `ceil(n / batch_size)` batches, whose sizes differ by at most one.
    Otherwise a small last batch, right before validation, would have the same weight as other batches in the moving
    averages of BatchNormalization. TensorFlow traces one function for both sizes. On several devices, the sizes are
    multiples of `multiple`, the number of devices, and differ by at most `multiple`. An epoch then omits fewer than
    `multiple` images, and each epoch omits different images.

    `epoch` advances when `fit` ends an epoch. Before another `fit`, set `epoch` or create a new instance. When a run
    resumes, set `epoch` to `initial_epoch`. Do not pass `steps_per_epoch` to `fit`. Batches are padded on demand, so an
    instance needs almost no memory besides its `split`. With `classes`, labels are one-hot, float32 `(b, classes)`.
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
        classes: int | None = None,
        **parallelism: Any,
    ) -> None:
        super().__init__(**parallelism)
        for argument, value, low in (("batch_size", batch_size, 1), ("pad", pad, 0)):
            if not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{argument} must be an integer >= {low}. Received: {value!r}")
        if batch_size % multiple:
            raise ValueError(f"batch_size must be a multiple of {multiple}. Received: {batch_size}")
        self.images, self.labels = split
        self.multiple, self.classes = multiple, classes
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
        # Keras also calls this method between epochs (EpochIterator.reset), and starts its workers before
        # on_epoch_begin. Therefore the next epoch is drawn here, exactly once.
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
        labels = self.labels[chosen]
        return crops, labels if self.classes is None else np.eye(self.classes, dtype="float32")[labels]


class Feed(NamedTuple):
    """Training data for `fit`. Pass `shuffle=False` to `fit`.

    Attributes:
        data: A `keras.utils.PyDataset` or a `tf.data.Dataset`, the first argument of `fit`.
        steps: int, number of batches per epoch.
        steps_per_epoch: The value for the argument `steps_per_epoch` of `fit`. It is `steps` for a stream, which has no
            end, otherwise `None`.
    """

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
    steps: int | None = None,
    multiple: int = 1,
    soft_labels: bool = False,
    hosts: tuple[int, int] = (0, 1),
) -> Feed:
    """Returns shuffled, augmented batches of `data.train`, starting with epoch `epoch`.

    For a set in memory whose images have the size `image_size`, the data is a `Batches`, if the augmentation permits
    it. All other sets are streamed. All batches of a stream have `batch_size` images. Each pass through the set omits
    the last incomplete batch, which contains different images each time. If the set has fewer than `batch_size` images,
    each batch contains all of them. Streamed images are mirrored at random, even if the augmentation has
    `alternate=True`.

    Args:
        data: `ImageData`.
        batch_size: int, number of images per batch, summed over all hosts.
        augmentation: Name in `AUGMENTATIONS`.
        image_size: int, height and width of the batches in pixels.
        seed: int, determines the order and the augmentation.
        epoch: int, the first epoch. Earlier epochs are not read. Defaults to 0.
        steps: int, number of batches per epoch. Defaults to one pass through the set.
        multiple: int, number that divides the size of every batch. Defaults to 1.
        soft_labels: bool, whether labels are one-hot. They are always one-hot if the augmentation mixes images.
        hosts: tuple `(index, number)`, the index of this process and the number of processes. Each process reads its
            part of each batch. Defaults to `(0, 1)`.

    Returns:
        A `Feed` of images `(b, image_size, image_size, 3)` uint8 with pixels of 0 to 255, and labels `(b,)` int64 or
        one-hot `(b, classes)` float32.

    Raises:
        ValueError: If an argument is not valid.
    """
    row = choose(AUGMENTATIONS, augmentation, "augmentation")
    positive(batch_size, "batch_size")
    host, number = hosts
    if not 0 <= host < number:
        raise ValueError(f"hosts must be (index, number) with 0 <= index < number. Received: {hosts}")
    if batch_size % (multiple * number):
        raise ValueError(f"batch_size must be a multiple of {multiple * number}. Received: {batch_size}")
    soft_labels = soft_labels or row.soft_labels
    part, classes = data.train, len(data.class_names) if soft_labels else None
    _, mean, _ = data.preprocessing.arithmetic()

    is_stream = not row.in_memory or data.image_size != image_size or steps is not None or number > 1
    if isinstance(part, Arrays) and not is_stream:
        batches = Batches(
            part,
            batch_size,
            fill=np.round(mean).astype(np.uint8),
            flip=row.flip and data.flip,
            alternate=row.alternate,
            pad=round(row.pad * image_size),
            seed=seed,
            epoch=epoch,
            multiple=multiple,
            classes=classes,
        )
        return Feed(batches, len(batches), None)
    tf = import_tensorflow()

    batch_size = min(batch_size, part.size - part.size % (multiple * number))
    if not batch_size:
        raise ValueError(
            f"data must have at least {multiple * number} training images, one per device. Received: {part.size}"
        )
    per_pass = part.size // batch_size
    steps = per_pass if steps is None else positive(steps, "steps")
    order = Order(seed, batch_size, per_pass * batch_size, epoch * steps, host, number)

    augmenter = Augmenter(row, image_size, fill=mean, flip=data.flip)

    def seed_of(position):
        return tf.stack([np.int64(seed), position])

    def example(position, file_or_pixels, label):
        image = augmenter.image(file_or_pixels, seed_of(position))
        return position, image, label if classes is None else tf.one_hot(label, classes)

    def batch(positions, images, labels):
        return augmenter.batch(images, labels, seed_of(positions[0]))

    stream = part.examples(order).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    stream = stream.batch(order.share, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
    stream = stream.map(batch, num_parallel_calls=tf.data.AUTOTUNE)
    return Feed(_deterministic(stream), steps, steps)


def evaluation_batches(
    part: Part,
    batch_size: int,
    *,
    preprocessing: Preprocessing,
    image_size: int | None = None,
    classes: int | None = None,
):
    """Returns all examples of a part once, in their original order, resized and cropped by `preprocessing`.

    Args:
        part: `Arrays`, `Files` or `Records`.
        batch_size: int, number of images per batch. The last batch has the remaining images.
        preprocessing: `Preprocessing`. Its normalization is not applied.
        image_size: int, height and width in pixels: `preprocessing.at_size(image_size)` is applied. Defaults to
            `preprocessing.size`.
        classes: int, number of classes. If given, labels are one-hot. Defaults to `None`.

    Returns:
        `part` itself (with one-hot labels if `classes` is given) if it is `Arrays` of images of this size. Otherwise a
        `tf.data.Dataset` of known cardinality: images `(b, image_size, image_size, 3)` float32 with integer values in
        0..255, and labels `(b,)` int64 or `(b, classes)` float32.
    """
    positive(batch_size, "batch_size")
    image_size = preprocessing.size if image_size is None else positive(image_size, "image_size")
    if isinstance(part, Arrays) and part.images.shape[1:3] == (image_size, image_size):
        return part if classes is None else Arrays(part.images, np.eye(classes, dtype="float32")[part.labels])

    tf = import_tensorflow()

    preprocessing = preprocessing.at_size(image_size)

    def example(position, file_or_pixels, label):
        pixels = decode_file(file_or_pixels) if file_or_pixels.dtype == tf.string else file_or_pixels
        image = resize_pixels(pixels, (image_size, image_size), preprocessing)
        return image, label if classes is None else tf.one_hot(label, classes)

    stream = part.examples().map(example, num_parallel_calls=tf.data.AUTOTUNE)
    stream = stream.apply(tf.data.experimental.assert_cardinality(part.size))
    return _deterministic(stream.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE))


def _deterministic(stream):
    """Returns the data set with deterministic options and prefetching."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    # the hosts already read different examples
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return stream.with_options(options).prefetch(tf.data.AUTOTUNE)
