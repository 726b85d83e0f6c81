"""Augmentation of training images in TensorFlow graphs: a table of random crops, mirroring, colour and Keras layers.

All random numbers are stateless: functions of the seed of the run and of the position of the example (or the number of
the batch) in the run. A run that resumes sees the images that it would have seen.
"""

from collections.abc import Callable
from typing import NamedTuple

from keras_resnet.preprocessing import JPEG, decode_file

# Every function of this kind chooses a part of an image: `shape` (2,) int32, `size` of the result in pixels, a seed
# -> (top, left, height, width) int32.
Box = Callable


class Augmentation(NamedTuple):
    """How training images are changed.

    Attributes:
        source: str, where it is described.
        box: Chooses the part of the image that is resized to the size of the training images.
        pad: float, share of the size by which the result is then shifted at random, at most, in each direction. What
            becomes free has the mean pixel, which the network sees as zero. Defaults to 0.
        flip: bool, whether images are mirrored half of the time, if the data set permits it. Defaults to `True`.
        alternate: bool, whether an image is mirrored in every other epoch instead (sets in memory only).
        colour: float, standard deviation of the noise along the principal components of colour. Defaults to 0.
    """

    source: str
    box: Box
    pad: float = 0.0
    flip: bool = True
    alternate: bool = False
    colour: float = 0.0

    @property
    def in_memory(self) -> bool:
        """Whether `Batches` can do it, for images that have the right size already."""
        return self.box is central_square and not self.colour

    @property
    def soft_labels(self) -> bool:
        """Whether labels become shares of classes, because images are mixed."""
        return False

    def apply(self, file_or_pixels, size: int, seed, *, fill, flip: bool):
        """Returns the augmented image, uint8 `(size, size, 3)`.

        Args:
            file_or_pixels: Tensor: the content of an image file, or uint8 `(h, w, 3)`.
            size: int, height and width of the result.
            seed: int tensor `(2,)`.
            fill: Three floats, the mean pixel on the scale 0 to 255.
            flip: bool, whether the data set permits mirroring.
        """
        import tensorflow as tf

        seeds = tf.unstack(tf.random.split(seed, 4))
        pixels = _crop(file_or_pixels, lambda shape: self.box(shape, size, seeds[0]))
        pixels = tf.image.resize(pixels, (size, size), antialias=True)  # float32, bilinear
        if self.pad:
            pad = round(self.pad * size)
            shifted = tf.pad(pixels - fill, [[pad, pad], [pad, pad], [0, 0]]) + fill
            pixels = tf.image.stateless_random_crop(shifted, (size, size, 3), seeds[1])
        if self.flip and flip:
            pixels = tf.image.stateless_random_flip_left_right(pixels, seeds[2])
        if self.colour:
            shares = tf.random.stateless_normal([3], seeds[3], stddev=self.colour)
            pixels += tf.linalg.matvec(COLOURS, shares * DEVIATIONS)
        return tf.saturate_cast(tf.round(tf.clip_by_value(tf.ensure_shape(pixels, (size, size, 3)), 0, 255)), tf.uint8)


# Krizhevsky et al. 2012, Section 4.1: eigenvectors (columns) and square roots of the eigenvalues of the covariance of
# the pixels of ImageNet, here of 0 to 255, as in github.com/facebookarchive/fb.resnet.torch, datasets/imagenet.lua
COLOURS = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
DEVIATIONS = [0.2175 * 255, 0.0188 * 255, 0.0045 * 255]


def _crop(file_or_pixels, choose_box: Box):
    """Returns the pixels of the chosen box. Of a JPEG only this part is decoded."""
    import tensorflow as tf

    def of_pixels(pixels):
        top, left, height, width = tf.unstack(choose_box(tf.shape(pixels)[:2]))
        return pixels[top : top + height, left : left + width]

    def of_jpeg():
        box = choose_box(tf.io.extract_jpeg_shape(file_or_pixels)[:2])
        # the default, the fast DCT, differs by up to 4 gray levels
        return tf.image.decode_and_crop_jpeg(file_or_pixels, box, channels=3, dct_method="INTEGER_ACCURATE")

    if file_or_pixels.dtype != tf.string:
        return of_pixels(file_or_pixels)
    is_jpeg = tf.strings.substr(file_or_pixels, 0, len(JPEG)) == JPEG
    return tf.ensure_shape(tf.cond(is_jpeg, of_jpeg, lambda: of_pixels(decode_file(file_or_pixels))), (None, None, 3))


# ------------------------------------------------------------------------------------------ boxes


def central_square(shape, size, seed):
    """The largest square in the middle."""
    import tensorflow as tf

    side = tf.reduce_min(shape)
    return tf.concat([(shape - side) // 2, [side, side]], 0)


def random_scale(shape, size, seed):
    """A square crop after the shorter side was resized to a random length, of 256 to 480 for crops of 224 pixels."""
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 2))
    shorter = tf.random.stateless_uniform([], seeds[0], 256, 481, tf.int32)
    side = tf.cast(tf.reduce_min(shape) * 224, tf.float32) / tf.cast(shorter, tf.float32)
    return _placed(shape, tf.cast(tf.round(side), tf.int32) * [1, 1], seeds[1])


def random_area(shape, size, seed):
    """A part of 8 % to 100 % of the area, of aspect ratio 3/4 to 4/3; after ten failures the central square."""
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
    """A crop of 7/8 of both sides: the crop of `size` after a resize of the whole image to a square."""
    import tensorflow as tf

    return _placed(shape, tf.cast(tf.round(tf.cast(shape, tf.float32) * 7 / 8), tf.int32), seed)


def _placed(shape, sides, seed):
    """A box with these sides, at least 1, at a random place."""
    import tensorflow as tf

    sides = tf.maximum(sides, 1)
    corner = tf.random.stateless_uniform([2], seed) * tf.cast(shape - sides + 1, tf.float32)
    return tf.concat([tf.minimum(tf.cast(corner, tf.int32), shape - sides), sides], 0)


AUGMENTATIONS = {
    "none": Augmentation("only the central square", central_square, flip=False),
    # 4 pixels at 32
    "cifar": Augmentation("He 2015, Section 4.2", central_square, pad=1 / 8),
    "cifar_alternating": Augmentation(
        "github.com/KellerJordan/cifar10-airbench", central_square, pad=1 / 8, alternate=True
    ),
    "imagenet_paper": Augmentation("He 2015, Section 3.4", random_scale, colour=0.1),
    "inception": Augmentation("Szegedy 2015 (arXiv:1409.4842), Section 6; Goyal 2017", random_area),
    # at most 96x96: resize to 160, crop 128; larger: 512 and 480. Here 8/7 at every size.
    "finetune": Augmentation("BiT-HyperRule (arXiv:1912.11370), Section 3.3", random_part_of_stretched),
}
