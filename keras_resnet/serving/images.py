"""From files to the images that a model takes, inside the graph: PIL's pixels to within one grey level."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.layers import tf
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing, preprocess_input
from keras_resnet.resnet import recursion_limit
from keras_resnet.serving.folding import IDLE, Graph

# A name of preprocessing.INTERPOLATIONS -> the kernel that equals PIL's filter of that name.
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}
JPEG = b"\xff\xd8\xff"
# PIL's "L" of RGB: ITU-R 601-2 in 16 bits.
LUMA = (19595, 38470, 7471)
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


class Reader(NamedTuple):
    """Decodes, resizes and normalizes files.

    Attributes:
        height, width, channels: The size of an image. With a `preprocessing`, height and width are its size.
        preprocessing: How to resize, crop and normalize. None resizes the whole image.
        white: White pixels become this, 1 or 255. None normalizes as `preprocessing` says.
    """

    height: int
    width: int
    channels: int
    preprocessing: Preprocessing | None = None
    white: float | None = 255.0

    def __call__(self, files):
        """`(b,)` strings, files of any mix of sizes and formats -> (b, h, w, c) float32.

        Each file is decoded and resized by itself. One that cannot be decoded fails all.
        """
        shape = tf.TensorSpec((self.height, self.width, self.channels), tf.float32)
        images = tf.map_fn(self.read, files, fn_output_signature=shape)
        if self.preprocessing and self.white is None:
            return preprocess_input(images, mode=self.preprocessing)
        return images * ((self.white or 255) / 255)

    def read(self, file):
        pixels = self.resize(decode(file))
        return pixels if self.channels == 3 else grey(pixels)

    def resize(self, pixels):
        """(h, w, 3) pixels -> float32 of this size, rounded to integers as PIL does.

        With a preprocessing as in torchvision and timm: the shorter side becomes `resize` pixels, the longer side is
        rounded down, half of the margin is rounded to even. Only the crop is computed: an image of 1x5000 would become
        one of 256x1280000.
        """
        row = self.preprocessing
        crop = tf.constant([self.height, self.width])
        size = tf.shape(pixels)[:2]
        whole = crop if row is None else size * row.resize // tf.reduce_min(size)
        scale = tf.cast(whole / size, tf.float32)
        before = tf.cast(tf.round((whole - crop) / 2), tf.float32)
        # First the width, then the height, clipped to 0..255 in between, as PIL does. PIL also rounds in between. With
        # rounding here the result could differ by 2, because PIL rounds 0.5 up.
        for axis in (1, 0):
            other = 1 - axis
            resized = tf.raw_ops.ScaleAndTranslate(
                images=pixels[tf.newaxis],
                size=tf.tensor_scatter_nd_update(tf.shape(pixels)[:2], [[axis]], [crop[axis]]),
                scale=tf.tensor_scatter_nd_update(scale, [[other]], [1.0]),
                translation=tf.tensor_scatter_nd_update(-before, [[other]], [0.0]),
                kernel_type=KERNELS[row.interpolation if row else "bilinear"],
                antialias=row.antialias if row else True,
            )
            pixels = tf.clip_by_value(resized[0], 0, 255)
        return tf.floor(tf.ensure_shape(pixels, (self.height, self.width, 3)) + 0.5)


def decode(file):
    """The bytes of a JPEG, PNG, GIF (its first frame) or BMP -> (h, w, 3) uint8.

    As PIL's `convert("RGB")`, also for grey and CMYK: alpha is dropped, the rotation of EXIF is ignored. Of 16 bits per
    channel the upper 8 are kept; PIL clips.
    """
    is_jpeg = tf.strings.substr(file, 0, len(JPEG)) == JPEG
    pixels = tf.cond(
        is_jpeg,
        # TensorFlow's default, the fast DCT, differs by up to 4 levels.
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(file, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, (None, None, 3))


def grey(pixels):
    """(h, w, 3) -> (h, w, 1), as PIL's `convert("L")`."""
    weighted = tf.reduce_sum(tf.cast(pixels, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.float32)


def make_reader(shape: tuple, row: Preprocessing | None, white: float | None) -> Reader:
    """Returns what makes files the images (h, w, c) that a model takes; ValueError if there is no way.

    `white` is the value of white pixels if the model normalizes its input, otherwise None.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        raise ValueError(f"signatures must be ['images'] for a model of {channels} channels: files have 1 or 3")
    if row is None and None in shape:
        raise ValueError(f"preprocessing must give the size of the images for a model of any size. Received: {row}")
    if row is None:
        return Reader(height, width, channels, white=white or 255.0)
    if {height, width} - {None, row.size}:
        raise ValueError(
            f"preprocessing must have the size of the model's images, {height} x {width}: "
            f"dataclasses.replace(preprocessing, size=..., resize=...) makes one. Received: size={row.size}"
        )
    return Reader(row.size, row.size, channels, row, white)


def read_folder(folder: Path, reader: Reader) -> np.ndarray:
    """Returns the images that `reader` makes of the files in `folder`, in the order of their names."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"The folder must hold files {SUFFIXES}. Received: {str(folder)!r}")
    return np.concatenate([reader(tf.constant([file.read_bytes()])).numpy() for file in files])


# ------------------------------------------------------------------------------- the normalization inside a model

# Layers that keep the range of the pixels in inference.
PASSING = (
    *IDLE,
    *(keras.layers.GaussianNoise, keras.layers.CenterCrop, keras.layers.Resizing, keras.layers.RandomBrightness),
    *(keras.layers.RandomContrast, keras.layers.RandomCrop, keras.layers.RandomFlip, keras.layers.RandomRotation),
    *(keras.layers.RandomTranslation, keras.layers.RandomZoom),
)


class InputNormalization(NamedTuple):
    """(x - mean) / std, one number or one per channel, for pixels x of 0 to `white`, which is 1 or 255."""

    white: float
    channels: str
    mean: np.ndarray
    std: np.ndarray

    def is_like(self, row: Preprocessing) -> bool:
        """Whether `row` normalizes the pixels of a file equally, to a thousandth."""
        channels, *statistics = row.arithmetic()
        ours = (255 / self.white * self.mean, 255 / self.white * self.std)
        return channels == self.channels and all(map(lambda a, b: np.allclose(a, b, rtol=1e-3), ours, statistics))


def check_preprocessing(preprocessing: str | Preprocessing | None, model: keras.Model) -> Preprocessing | None:
    """Returns the row; ValueError if the model normalizes its input in another way."""
    row = preprocessing
    if row is not None and not isinstance(row, Preprocessing):
        row = choose(PREPROCESSINGS, row, "preprocessing")
    own = input_normalization(model)
    if row is None or own is None or own.is_like(row):
        return row
    factor = 255 / own.white
    raise ValueError(
        "preprocessing must equal the normalization inside the model, or be None. To set only the size and the crop, "
        f"pass a Preprocessing with channels={own.channels!r}, mean={(own.mean * factor).tolist()}, "
        f"std={(own.std * factor).tolist()}, scale=1. Received: {row}"
    )


def input_normalization(model: keras.Model) -> InputNormalization | None:
    """Returns the product of the Normalization and Rescaling layers at the input of `model`, before any other layer.

    Layers that keep the range of the pixels may stand between. Layers of this kind elsewhere do not count. None if
    there are none, or if they do nothing.

    Means and deviations of at most 1 are taken for those of pixels of 0 to 1, others for those of 0 to 255.
    """
    scale, offset, bgr = np.ones(1), np.zeros(1), False
    for operation in path_from_input(model):
        if type(operation).__name__ == "Flip" and operation.axis in (-1, 3):  # keras.ops.flip, for BGR
            scale, offset, bgr = scale[::-1], offset[::-1], not bgr
        elif (step := affine(operation)) is not None:
            scale, offset = scale * step[0], offset * step[0] + step[1]
        elif not isinstance(operation, PASSING):
            break
    if (scale <= 0).any() or (np.allclose(scale, 1) and np.allclose(offset, 0)):
        return None
    mean, std = -offset / scale, 1 / scale
    white = 1.0 if max(np.abs(mean).max(), std.max()) <= 1 else 255.0
    return InputNormalization(white, "bgr" if bgr else "rgb", mean, std)


def path_from_input(model: keras.Model) -> Iterator:
    """Yields the operations that the input goes through, also those of models inside, and None where it branches."""
    with recursion_limit(10 * len(model.layers)):
        graph = Graph(keras.Model(model.inputs[0], model.outputs[0]))
    (name,) = (name for name, sources in graph.sources.items() if not sources)
    while (name := graph.following(name)) and graph.is_once(name):
        operation = graph.operations[name]
        yield from path_from_input(operation) if isinstance(operation, keras.Model) else [operation]
        if graph.consumers[name] == [None]:
            return
    yield None


def affine(operation) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns scale and offset of a layer that computes scale * x + offset for each channel; otherwise None."""
    if isinstance(operation, keras.layers.Rescaling):
        return np.ravel(operation.scale).astype("float64"), np.ravel(operation.offset).astype("float64")
    if not isinstance(operation, keras.layers.Normalization) or operation.invert:
        return None
    mean, variance = (keras.ops.convert_to_numpy(value) for value in (operation.mean, operation.variance))
    if mean.size != mean.shape[-1]:  # other numbers for each pixel
        return None
    std = np.maximum(np.sqrt(variance.ravel().astype("float64")), keras.config.epsilon())
    return 1 / std, -mean.ravel() / std
