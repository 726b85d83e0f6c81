"""Augmentation: `AUGMENTATIONS`, one row per published one, and the functions that the rows name.

The first part of a row works on one image: it chooses a window of the image, resizes it, and changes colours. All its
random numbers follow from a seed of that image. The second part are layers of Keras that work on batches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

INTERPOLATION = "triangle"  # PIL's bilinear filter


def random_numbers(seed, number: int, low: float = 0.0, high: float = 1.0):
    """`number` uniform random numbers; the same for the same seed (2,)."""
    return tf.random.stateless_uniform((number,), seed, low, high)


# ------------------------------------------------------------------- windows: (height, width, seed, size) -> y, x, h, w


def center(height, width, seed, size):
    """The largest square in the middle."""
    side = tf.minimum(height, width)
    return (height - side) / 2, (width - side) / 2, side, side


def scaled_square(height, width, seed, size):
    """A square of `size` pixels of the image whose shorter side is random in 256 to 480, for a size of 224."""
    scale, y, x = tf.unstack(random_numbers(seed, 3))
    side = tf.minimum(height, width) * size / (size * (256 + scale * (480 - 256)) / 224)
    return y * (height - side), x * (width - side), side, side


def area_and_ratio(height, width, seed, size):
    """8 to 100 % of the area, with an aspect ratio of 3/4 to 4/3."""
    shape = tf.cast(tf.stack([height, width, tf.constant(3.0)]), tf.int32)
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape, tf.zeros((1, 0, 4)), seed, min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3),
        area_range=(0.08, 1.0), max_attempts=10, use_image_if_no_bounding_boxes=True,
    )  # fmt: skip
    y, x, _ = tf.unstack(tf.cast(begin, tf.float32))
    h, w, _ = tf.unstack(tf.cast(extent, tf.float32))
    return y, x, h, w


def seven_eighths(height, width, seed, size):
    """A random seventh eighth of height and of width; the aspect ratio is not kept (BiT resizes to a square first)."""
    y, x = tf.unstack(random_numbers(seed, 2))
    return y * height / 8, x * width / 8, height * 7 / 8, width * 7 / 8


# ----------------------------------------------------------------------------------------------------------- colours

# of ImageNet, for pixels of 0 to 1: github.com/facebookarchive/fb.resnet.torch, datasets/imagenet.lua
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045], "float32")
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]], "float32")


def no_colour(image, seed):
    return image


def pca_colour(image, seed):
    """Adds multiples of the principal components of the RGB values (Krizhevsky et al. 2012, section 4.1)."""
    alpha = tf.random.stateless_normal((3,), seed, stddev=0.1)
    return image + 255 * tf.linalg.matvec(EIGENVECTORS, alpha * EIGENVALUES)


# ---------------------------------------------------------------------------------------------------------- the rows


class Augmentation(NamedTuple):
    """How training images are changed at random.

    Attributes:
        source: Where it was published.
        window: The part of an image that becomes the training image.
        pad: Pixels of the mean colour on each side, for images of 32 pixels, after which a random crop is taken.
        flip: `"random"`, `"alternating"` (at random in the first epoch, then every second epoch) or `"none"`.
        colour: A function of a float image and a seed.
        layers: Functions that return Keras layers for batches, `{"images": ..., "labels": ...}`.
        soft_labels: Whether the layers mix labels, so that they must be distributions.
    """

    source: str
    window: Callable = center
    pad: int = 0
    flip: str = "random"
    colour: Callable = no_colour
    layers: tuple[Callable[[], keras.layers.Layer], ...] = ()
    soft_labels: bool = False


def layer(name: str, **settings: Any) -> Callable[[], keras.layers.Layer]:
    return lambda: getattr(keras.layers, name)(**settings)


MIXUP = layer("MixUp", alpha=0.1)

AUGMENTATIONS = {
    "none": Augmentation("resized, and cropped in the middle", flip="none"),
    "cifar": Augmentation("He 2015, section 4.2", pad=4),
    "cifar_alternating": Augmentation("Jordan 2024, arXiv:2404.00498, section 3.6", pad=4, flip="alternating"),
    "imagenet_paper": Augmentation("He 2015, section 3.4", scaled_square, colour=pca_colour),
    "inception": Augmentation("Szegedy et al. 2015, arXiv:1409.4842, section 6", area_and_ratio),
    "imagenet_a3": Augmentation(
        "Wightman et al. 2021, arXiv:2110.00476, Table 2, A3",
        area_and_ratio,
        layers=(layer("RandAugment", value_range=(0, 255), num_ops=2, factor=0.6), MIXUP, layer("CutMix")),
        soft_labels=True,
    ),
    "finetune": Augmentation("Kolesnikov et al. 2020, arXiv:1912.11370, section 3.3", seven_eighths),
    "finetune_mixup": Augmentation(
        "the same, for more than 20,000 images", seven_eighths, layers=(MIXUP,), soft_labels=True
    ),
    "random_erasing": Augmentation(
        "Zhong et al. 2017, arXiv:1708.04896", pad=4, layers=(layer("RandomErasing", scale=(0.02, 0.4)),)
    ),
}


# ----------------------------------------------------------------------------------------------------------- one image


def augment(row: Augmentation, image, seed, size: int, *, flip: bool, fill):
    """Returns float32 (size, size, 3), pixels of 0 to 255.

    Args:
        row: A row of `AUGMENTATIONS`.
        size: Height and width of the result.
        image: The content of an image file, a scalar string, or pixels (h, w, 3) uint8.
        seed: (2,) integers, from which all random numbers follow.
        flip: Whether images may be mirrored.
        fill: The color of the padding, three floats.
    """
    height, width, crop = opened(image)
    window = row.window(tf.cast(height, tf.float32), tf.cast(width, tf.float32), seed, tf.cast(size, tf.float32))
    pixels = resized(crop, window, height, width, size)
    if row.pad:
        pad = max(1, round(row.pad * size / 32))
        y, x = tf.unstack(tf.random.stateless_uniform((2,), tf.random.fold_in(seed, 1), 0, 2 * pad + 1, tf.int32))
        padded = tf.pad(pixels - fill, [[pad, pad], [pad, pad], [0, 0]]) + fill
        pixels = padded[y : y + size, x : x + size]
    if flip and row.flip != "none":
        pixels = tf.cond(
            random_numbers(tf.random.fold_in(seed, 2), 1)[0] < 0.5, lambda: pixels, lambda: pixels[:, ::-1]
        )
    pixels = row.colour(pixels, tf.random.fold_in(seed, 3))
    return tf.ensure_shape(tf.clip_by_value(pixels, 0.0, 255.0), (size, size, 3))


def opened(image):
    """Height and width of an image, and a function that returns a part of its pixels: (y, x, h, w) -> (h, w, 3)."""
    if image.dtype != tf.string:
        shape = tf.shape(image)
        return shape[0], shape[1], lambda y, x, h, w: image[y : y + h, x : x + w]
    jpeg = tf.strings.substr(image, 0, 3) == JPEG
    decoded = lambda: tf.io.decode_image(image, channels=3, expand_animations=False)  # noqa: E731
    shape = tf.cond(jpeg, lambda: tf.io.extract_jpeg_shape(image)[:2], lambda: tf.shape(decoded())[:2])

    def crop(y, x, h, w):
        return tf.cond(
            jpeg,
            lambda: tf.io.decode_and_crop_jpeg(image, [y, x, h, w], channels=3, dct_method="INTEGER_ACCURATE"),
            lambda: decoded()[y : y + h, x : x + w],
        )

    return shape[0], shape[1], crop


JPEG = b"\xff\xd8\xff"


def resized(crop: Callable, window, height, width, size: int):
    """The pixels of a window with fractional borders, resized to (size, size, 3) with antialiasing."""
    y, x, h, w = window
    # whole pixels that contain the window
    top, left = tf.cast(tf.floor(y), tf.int32), tf.cast(tf.floor(x), tf.int32)
    bottom = tf.minimum(tf.cast(tf.math.ceil(y + h), tf.int32), height)
    right = tf.minimum(tf.cast(tf.math.ceil(x + w), tf.int32), width)
    top, left = tf.minimum(top, bottom - 1), tf.minimum(left, right - 1)
    pixels = tf.cast(crop(top, left, bottom - top, right - left), tf.float32)
    scale = tf.stack([size / h, size / w])
    shift = -tf.stack([y - tf.cast(top, tf.float32), x - tf.cast(left, tf.float32)]) * scale
    return tf.raw_ops.ScaleAndTranslate(
        images=pixels[tf.newaxis], size=[size, size], scale=tf.cast(scale, tf.float32), translation=shift,
        kernel_type=INTERPOLATION, antialias=True,
    )[0]  # fmt: skip
