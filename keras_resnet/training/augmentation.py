"""Augmentation of training images in TensorFlow graphs: random crops, mirroring, colour and Keras layers.

All random numbers are stateless: they depend only on the seed of the run and on the position of the example (or of the
batch) in the run. A resumed run sees the same images as a run without interruption.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.preprocessing import JPEG, decode_file

# The type of functions that choose a part of an image. Arguments: the `shape` (2,) int32 of the image, the `size` of
# the result in pixels, and a seed. Returns (top, left, height, width) int32.
Box = Callable


class Augmentation(NamedTuple):
    """A row of AUGMENTATIONS: the augmentation of training images.

    Attributes:
        source: str, the publication that describes the augmentation.
        box: Function that chooses the part of the image. The part is resized to the size of the training images.
        pad: float, the maximum random shift of the result in each direction, as a fraction of its size. The border is
            filled with the mean pixel, which the network sees as zero. Defaults to 0.
        flip: bool, whether images are mirrored with probability 1/2, if the data set permits it. Defaults to `True`.
        alternate: bool, whether each image is mirrored in every second epoch instead. For data sets in memory only.
        colour: float, standard deviation of the noise along the principal components of colour. Defaults to 0.
        operations: `(number, probability, magnitude)` of the RandAugment operations: the number of random operations
            per image, the probability that each is applied, and their maximum strength, 0 to 10. Defaults to no
            operations.
        erase: float, probability that a random rectangle of an image is filled with the mean pixel. Defaults to 0.
        mix: Keras layers `(name, arguments)` that mix the images and labels of a batch. One randomly drawn layer is
            applied to each batch. Defaults to `()`.
    """

    source: str
    box: Box
    pad: float = 0.0
    flip: bool = True
    alternate: bool = False
    colour: float = 0.0
    operations: tuple[int, float, int] = (0, 0.0, 0)
    erase: float = 0.0
    mix: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def in_memory(self) -> bool:
        """Whether `Batches` supports the augmentation, if the images already have the training size."""
        return self.box is central_square and not (self.colour or self.operations[0] or self.erase or self.mix)

    @property
    def soft_labels(self) -> bool:
        """Whether labels are class probabilities, because images are mixed."""
        return bool(self.mix)


class Augmenter:
    """Applies a row of AUGMENTATIONS to images of one size. Create it outside of TensorFlow graphs; call it inside.

    Args:
        row: `Augmentation`.
        size: int, height and width of the results.
        fill: Three floats, the mean pixel on the scale 0 to 255.
        flip: bool, whether the data set permits mirroring.
    """

    def __init__(self, row: Augmentation, size: int, *, fill, flip: bool):
        self.row, self.size, self.flip = row, size, row.flip and flip
        self.fill = tuple(map(float, fill))
        # Keras layers create variables. They must be created outside of the graph.
        self.operations = _operations(row.operations[2], float(np.mean(self.fill))) if row.operations[0] else []
        self.erase = _layer("RandomErasing", factor=(row.erase, row.erase), fill_value=self.fill)
        self.mix = [_layer(name, **arguments) for name, arguments in row.mix]

    def image(self, file_or_pixels, seed):
        """Returns an augmented image, uint8 `(size, size, 3)`.

        Args:
            file_or_pixels: Tensor, either the content of an image file or uint8 `(h, w, 3)`.
            seed: int64 tensor `(2,)`.
        """
        import tensorflow as tf

        row, size = self.row, self.size
        seeds = tf.unstack(tf.random.split(seed, 6))
        pixels = _crop(file_or_pixels, lambda shape: row.box(shape, size, seeds[0]))
        pixels = tf.image.resize(pixels, (size, size), antialias=True)  # float32, bilinear
        if row.pad:
            pad = round(row.pad * size)
            shifted = tf.pad(pixels - self.fill, [[pad, pad], [pad, pad], [0, 0]]) + self.fill
            pixels = tf.image.stateless_random_crop(shifted, (size, size, 3), seeds[1])
        if self.flip:
            pixels = tf.image.stateless_random_flip_left_right(pixels, seeds[2])
        if self.operations:
            number, probability, _ = row.operations
            for operation_seed in tf.unstack(tf.random.split(seeds[4], number)):
                pixels = _operate(pixels, self.operations, probability, operation_seed)
        if row.colour:
            shares = tf.random.stateless_normal([3], seeds[3], stddev=row.colour)
            pixels += tf.linalg.matvec(COLOURS, shares * DEVIATIONS)
        return _whole(tf.ensure_shape(pixels, (size, size, 3)))

    def batch(self, images, labels, seed):
        """Applies `erase` and `mix`. Returns images, uint8 `(b, size, size, 3)`, and labels.

        Args:
            images: uint8 tensor `(b, size, size, 3)`.
            labels: Tensor `(b, ...)`, one-hot if images are mixed.
            seed: int64 tensor `(2,)`. It may equal the seed of the first image of the batch.
        """
        import tensorflow as tf

        if not (self.row.erase or self.mix):
            return images, labels
        seeds = tf.unstack(tf.random.split(seed, 6))
        erase_seed, choice_seed, mix_seed = tf.unstack(tf.random.split(seeds[5], 3))
        if self.row.erase:
            images, labels = _transform(self.erase, images, labels, erase_seed)
        if self.mix:
            branches = [partial(_transform, layer, images, labels, mix_seed) for layer in self.mix]
            choice = tf.random.stateless_uniform([], choice_seed, maxval=len(branches), dtype=tf.int32)
            images, labels = tf.switch_case(choice, branches)
        return _whole(images), labels


def _whole(pixels):
    """Returns pixels as uint8."""
    import tensorflow as tf

    return tf.cast(tf.round(tf.clip_by_value(pixels, 0, 255)), tf.uint8)


# Krizhevsky et al. 2012, Section 4.1: eigenvectors (columns) and square roots of the eigenvalues of the covariance of
# ImageNet's pixels, as in github.com/facebookarchive/fb.resnet.torch, datasets/imagenet.lua. Here pixels are in 0..255.
COLOURS = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
DEVIATIONS = [0.2175 * 255, 0.0188 * 255, 0.0045 * 255]


def _crop(file_or_pixels, choose_box: Box):
    """Returns the pixels of the chosen box. For a JPEG file, only this box is decoded."""
    import tensorflow as tf

    def of_pixels(pixels):
        top, left, height, width = tf.unstack(choose_box(tf.shape(pixels)[:2]))
        return pixels[top : top + height, left : left + width]

    def of_jpeg():
        box = choose_box(tf.io.extract_jpeg_shape(file_or_pixels)[:2])
        # the default (the fast DCT) differs by up to 4 gray levels
        return tf.image.decode_and_crop_jpeg(file_or_pixels, box, channels=3, dct_method="INTEGER_ACCURATE")

    if file_or_pixels.dtype != tf.string:
        return of_pixels(file_or_pixels)
    is_jpeg = tf.strings.substr(file_or_pixels, 0, len(JPEG)) == JPEG
    return tf.ensure_shape(tf.cond(is_jpeg, of_jpeg, lambda: of_pixels(decode_file(file_or_pixels))), (None, None, 3))


# ------------------------------------------------------------------------------------ Keras layers


class _Seeds(keras.random.SeedGenerator):
    """Seed generator for a Keras layer whose seeds are computed from a tensor.

    The generator of Keras counts its draws in a variable. Then the random numbers would depend on the number of batches
    that the process has made, and on the order of parallel calls.
    """

    def __init__(self, seed):
        self.seed, self.drawn = seed, 0  # the base class would create the variable

    def next(self, ordered=True):
        import tensorflow as tf

        self.drawn += 1
        return tf.random.fold_in(self.seed, self.drawn)


def _layer(name: str, **arguments):
    """Returns an image-preprocessing layer of Keras that computes with TensorFlow on every backend."""
    layer = getattr(keras.layers, name)(**arguments, data_format="channels_last", dtype="float32")
    layer.backend.set_backend("tensorflow")
    return layer


def _transform(layer, images, labels, seed):
    """Applies a layer to a batch, with a tensor as the seed."""
    import tensorflow as tf

    images = tf.cast(images, tf.float32)
    transformation = layer.get_random_transformation(images, training=True, seed=_Seeds(seed))
    return layer.transform_images(images, transformation), layer.transform_labels(labels, transformation)


def _operations(magnitude: int, fill: float) -> list:
    """Returns the operations of RandAugment (arXiv:1909.13719) with timm's ranges, scaled by `magnitude` / 10.

    `keras.layers.RandAugment` is not used, for these reasons. It draws the same operations for all images of a batch.
    It computes all eleven operations each time. It rotates by up to `factor` times 360 degrees. It ignores seeds that
    are passed to it, so that a run could not resume.
    """
    share, filled = magnitude / 10, dict(fill_mode="constant", fill_value=fill)
    return [
        _layer("AutoContrast"),
        _layer("Equalization"),
        _layer("RandomInvert", factor=(1.0, 1.0)),
        _layer("RandomRotation", factor=share * 30 / 360, **filled),
        _layer("RandomPosterization", factor=(max(1, 4 - int(share * 4)), 8)),
        _layer("Solarization", threshold_factor=(0.0, share)),
        _layer("RandomColorDegeneration", factor=share * 0.9),
        _layer("RandomContrast", factor=share * 0.9),
        _layer("RandomBrightness", factor=share * 0.45),
        _layer("RandomSharpness", factor=(0.5 - share * 0.45, 0.5 + share * 0.45)),
        _layer("RandomShear", x_factor=share * 0.3, **filled),
        _layer("RandomShear", y_factor=share * 0.3, **filled),
        _layer("RandomTranslation", height_factor=share * 0.45, width_factor=0.0, **filled),
        _layer("RandomTranslation", height_factor=0.0, width_factor=share * 0.45, **filled),
    ]


def _operate(pixels, layers, probability: float, seed):
    """Applies one randomly drawn layer to an image, with the given probability."""
    import tensorflow as tf

    choice_seed, apply_seed, layer_seed = tf.unstack(tf.random.split(seed, 3))

    def operate(layer):
        images, _ = _transform(layer, pixels[tf.newaxis], tf.zeros([1]), layer_seed)
        return tf.reshape(images, tf.shape(pixels))

    choice = tf.random.stateless_uniform([], choice_seed, maxval=len(layers), dtype=tf.int32)
    choice = tf.where(tf.random.stateless_uniform([], apply_seed) < probability, choice, len(layers))
    branches = [*(partial(operate, layer) for layer in layers), lambda: tf.identity(pixels)]
    return tf.ensure_shape(tf.switch_case(choice, branches), pixels.shape)


# ------------------------------------------------------------------------------------------ boxes


def central_square(shape, size, seed):
    """Returns the largest centered square."""
    import tensorflow as tf

    side = tf.reduce_min(shape)
    return tf.concat([(shape - side) // 2, [side, side]], 0)


def random_scale(shape, size, seed):
    """Returns a random square, as if the shorter side was first resized to 256..480 pixels for crops of 224 pixels."""
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 2))
    shorter = tf.random.stateless_uniform([], seeds[0], 256, 481, tf.int32)
    side = tf.cast(tf.reduce_min(shape) * 224, tf.float32) / tf.cast(shorter, tf.float32)
    return _placed(shape, tf.cast(tf.round(side), tf.int32) * [1, 1], seeds[1])


def random_area(shape, size, seed):
    """Returns a random box of 8 % to 100 % of the area and of aspect ratio 3/4 to 4/3.

    Returns the central square if ten random boxes do not fit into the image.
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 3))
    share = tf.random.stateless_uniform([10], seeds[0], 0.08, 1.0)
    ratio = tf.exp(tf.random.stateless_uniform([10], seeds[1], tf.math.log(3 / 4), tf.math.log(4 / 3)))
    area = share * tf.cast(tf.reduce_prod(shape), tf.float32)
    sides = tf.cast(tf.round(tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], 1)), tf.int32)  # (10, 2)
    fits = tf.reduce_all((sides > 0) & (sides <= shape), 1)
    return tf.cond(
        tf.reduce_any(fits),
        lambda: _placed(shape, sides[tf.argmax(fits)], seeds[2]),
        lambda: central_square(shape, size, seed),
    )


def random_part_of_stretched(shape, size, seed):
    """Returns a random box of 7/8 of both sides. It equals a square crop after the image was resized to a square."""
    import tensorflow as tf

    return _placed(shape, tf.cast(tf.round(tf.cast(shape, tf.float32) * 7 / 8), tf.int32), seed)


def _placed(shape, sides, seed):
    """Returns a box with these sides (at least 1) at a random position."""
    import tensorflow as tf

    sides = tf.maximum(sides, 1)
    corner = tf.random.stateless_uniform([2], seed) * tf.cast(shape - sides + 1, tf.float32)
    return tf.concat([tf.minimum(tf.cast(corner, tf.int32), shape - sides), sides], 0)


AUGMENTATIONS = {
    "none": Augmentation("only the central square", central_square, flip=False),
    # 4 pixels of 32
    "cifar": Augmentation("He 2015, Section 4.2", central_square, pad=1 / 8),
    "cifar_alternating": Augmentation(
        "github.com/KellerJordan/cifar10-airbench", central_square, pad=1 / 8, alternate=True
    ),
    "imagenet_paper": Augmentation("He 2015, Section 3.4", random_scale, colour=0.1),
    "inception": Augmentation("Szegedy 2015 (arXiv:1409.4842), Section 6; Goyal 2017", random_area),
    # timm's rand-m6-mstd0.5-inc1. MixUp and CutMix have equal probability.
    "imagenet_a3": Augmentation(
        "ResNet strikes back (arXiv:2110.00476), Table 2, A3",
        random_area,
        operations=(2, 0.5, 6),
        mix=(("MixUp", {"alpha": 0.1}), ("CutMix", {"factor": (1.0, 1.0)})),
    ),
    # one operation of random strength replaces TrivialAugment
    "imagenet_v2": Augmentation(
        "torchvision, references/classification, the weights IMAGENET1K_V2",
        random_area,
        operations=(1, 1.0, 10),
        erase=0.1,
        mix=(("MixUp", {"alpha": 0.2}), ("CutMix", {"factor": (1.0, 1.0)})),
    ),
    # BiT resizes images of at most 96x96 to 160 and crops to 128. It resizes larger images to 512 and crops to 480.
    # Here the resize is 8/7 of the crop at every size.
    "finetune": Augmentation("BiT-HyperRule (arXiv:1912.11370), Section 3.3", random_part_of_stretched),
    "finetune_mixup": Augmentation(
        "the same, for 20,000 images and more", random_part_of_stretched, mix=(("MixUp", {"alpha": 0.1}),)
    ),
}
