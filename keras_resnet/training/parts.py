"""Parts of data sets: arrays in memory, image files, tfds records, and the order in which they are read."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any, NamedTuple

import keras
import numpy as np


def import_tensorflow():
    """Returns the module tensorflow.

    If Keras has another backend, TensorFlow only prepares batches. Then it must not reserve the memory of the GPUs.
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        with suppress(RuntimeError):  # raised if other code in this process has already used TensorFlow's GPUs
            tf.config.set_visible_devices([], "GPU")
    return tf


class Order(NamedTuple):
    """The infinite sequence of examples that a host reads.

    Position p of the run is example p % size of pass p // size. `size` is the number of examples that a pass uses. A
    batch has `batch_size` consecutive positions. Each host reads `batch_size // hosts` of them. The order of each pass
    depends on `seed` and on the number of the pass.
    """

    seed: int
    batch_size: int
    size: int
    first_batch: int = 0
    host: int = 0
    hosts: int = 1

    @property
    def share(self) -> int:
        return self.batch_size // self.hosts

    def positions(self):
        """Returns a `tf.data.Dataset` of the positions that this host reads."""
        import tensorflow as tf

        def position(i):
            return i // self.share * self.batch_size + self.host * self.share + i % self.share

        return tf.data.Dataset.range(self.first_batch * self.share, np.iinfo(np.int64).max).map(position)


class Arrays(NamedTuple):
    """Examples in memory: `images` `(n, h, w, 3)` uint8, `labels` `(n,)` int64."""

    images: np.ndarray
    labels: np.ndarray

    @property
    def size(self) -> int:
        """The number of examples. `len` is 2, the length of the tuple."""
        return len(self.labels)

    def examples(self, order: Order | None = None):
        """Returns a `tf.data.Dataset` of (position, uint8 image, label). Without `order`, each example occurs once."""
        import tensorflow as tf

        with tf.device("CPU:0"):
            images, labels = tf.constant(self.images), tf.constant(self.labels)
        return _indexed(self.size, order, lambda i: (images[i], labels[i]))


@dataclass(frozen=True, eq=False)
class Files:
    """Image files and their labels.

    Attributes:
        paths: tuple of str.
        labels: int64 `(n,)`.
        by_pillow: bool `(n,)`, whether Pillow must decode the file, because TensorFlow cannot decode it or decodes it
            to different pixels.
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    by_pillow: np.ndarray = field(repr=False)

    @property
    def size(self) -> int:
        """The number of examples."""
        return len(self.paths)

    def examples(self, order: Order | None = None):
        """Like `Arrays.examples`, but with the content of the file instead of the image."""
        import tensorflow as tf

        paths, labels, by_pillow = tf.constant(self.paths), tf.constant(self.labels), tf.constant(self.by_pillow)

        def example(i):
            read = partial(tf.io.read_file, paths[i])
            if self.by_pillow.any():
                with_pillow = partial(tf.numpy_function, _as_bmp, [paths[i]], tf.string)
                return tf.ensure_shape(tf.cond(by_pillow[i], with_pillow, read), ()), labels[i]
            return read(), labels[i]

        return _indexed(self.size, order, example)

    def take(self, chosen: np.ndarray) -> "Files":
        """Returns the files at these indices."""
        paths = tuple(self.paths[i] for i in chosen)
        return Files(paths, self.labels[chosen], self.by_pillow[chosen])


@dataclass(frozen=True)
class Records:
    """A split of a tfds data set. Its images are decoded only when they are used.

    Attributes:
        builder: The prepared `tfds.core.DatasetBuilder`.
        split: str, such as `"train"` or `"train[:1000]"`.
    """

    builder: Any
    split: str

    @property
    def size(self) -> int:
        """The number of examples."""
        return self.builder.info.splits[self.split].num_examples

    def examples(self, order: Order | None = None):
        """Like `Arrays.examples`, but with the encoded image.

        A pass reads 16 shards at a time, in random order, through a shuffle buffer. Each host reads a different part of
        the set.
        """
        import tensorflow as tf
        import tensorflow_datasets as tfds

        image, label = self.builder.info.supervised_keys

        def read(split, **how):
            config = tfds.ReadConfig(try_autocache=False, skip_prefetch=True, **how)
            decoders = {image: tfds.decode.SkipDecoding()}
            shuffle = "shuffle_seed" in how
            return self.builder.as_dataset(
                split=split, shuffle_files=shuffle, decoders=decoders, read_config=config
            ).map(lambda example: (example[image], example[label]))

        if order is None:
            examples = read(self.split, interleave_cycle_length=1).enumerate()
            return examples.map(lambda position, example: (position, *example))

        split = tfds.even_splits(self.split, n=order.hosts, drop_remainder=True)[order.host]
        count = order.size // order.hosts

        @tf.autograph.experimental.do_not_convert
        def one_pass(number):
            tf.random.set_seed(1)  # seed of this function's graph: makes the shuffles independent of the global seed
            seeds = tf.random.stateless_uniform([2], [order.seed, number], None, None, tf.int64)
            return read(split, shuffle_seed=seeds[0]).shuffle(min(count, BUFFER), seed=seeds[1]).take(count)

        first = order.first_batch * order.share
        passes = tf.data.Dataset.range(first // count, np.iinfo(np.int64).max).flat_map(one_pass)
        examples = tf.data.Dataset.zip(order.positions(), passes.skip(first % count))
        return examples.map(lambda position, example: (position, *example))


BUFFER = 8192  # number of examples. Encoded images of ImageNet have 110 kB on average.
Part = Arrays | Files | Records


def _indexed(count: int, order: Order | None, example: Callable):
    """Returns the examples of a part that can be read in any order."""
    import tensorflow as tf

    if order is None:
        return tf.data.Dataset.range(count).map(lambda i: (i, *example(i)), num_parallel_calls=tf.data.AUTOTUNE)

    def at(position):
        seed = tf.stack([np.int64(order.seed), position // order.size])
        index = tf.random.experimental.index_shuffle(position % order.size, seed, np.int64(count - 1))
        return position, *example(index)

    return order.positions().map(at, num_parallel_calls=tf.data.AUTOTUNE)


def _as_bmp(path: bytes) -> bytes:
    """Decodes an image file with Pillow and returns it as an uncompressed file that TensorFlow can decode."""
    from PIL import Image

    content = BytesIO()
    with Image.open(path.decode()) as image:
        image.convert("RGB").save(content, "bmp")
    return content.getvalue()
