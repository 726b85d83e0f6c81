"""Decoding, resizing and normalization of image files inside the graph. Pixels equal PIL's to within one grey level."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.layers import tf
from keras_resnet.network import find_network
from keras_resnet.preprocessing import (
    Preprocessing,
    decode_file,
    find_preprocessing,
    preprocess_input,
    resize_pixels,
)
from keras_resnet.resnet import recursion_limit
from keras_resnet.serving.folding import IDLE, Graph

# Weights of PIL's conversion from RGB to "L": ITU-R 601-2 in 16 bits.
LUMA = (19595, 38470, 7471)
SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


class Reader(NamedTuple):
    """Decodes, resizes and normalizes files.

    Attributes:
        height, width, channels: The size of an image. With a `preprocessing`, height and width equal its size.
        preprocessing: How to resize, crop and normalize. If None, the whole image is resized.
        white: The value of white pixels in the output, 1 or 255. If None, pixels are normalized by `preprocessing`.
    """

    height: int
    width: int
    channels: int
    preprocessing: Preprocessing | None = None
    white: float | None = 255.0

    def __call__(self, files):
        """Decodes `files`, (b,) strings, and returns images (b, h, w, c) float32.

        The files may have different sizes and formats: each file is decoded and resized separately. If one file cannot
        be decoded, the whole batch fails.
        """
        shape = tf.TensorSpec((self.height, self.width, self.channels), tf.float32)
        images = tf.map_fn(self.read, files, fn_output_signature=shape)
        if self.preprocessing and self.white is None:
            return preprocess_input(images, mode=self.preprocessing)
        return images * ((self.white or 255) / 255)

    def read(self, file):
        pixels = resize_pixels(decode_file(file), (self.height, self.width), self.preprocessing)
        return pixels if self.channels == 3 else grey(pixels)


def grey(pixels):
    """Converts (h, w, 3) to (h, w, 1) as PIL's `convert("L")` does."""
    weighted = tf.reduce_sum(tf.cast(pixels, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.float32)


def make_reader(shape: tuple, row: Preprocessing | None, white: float | None) -> Reader:
    """Returns a `Reader` that decodes files to the images (h, w, c) that a model expects.

    `white` is the value of white pixels if the model normalizes its input, otherwise None. Raises ValueError if files
    cannot be decoded for this model.
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
    """Returns the images that `reader` decodes from the files in `folder`, in the order of the file names."""
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"The folder must hold files {SUFFIXES}. Received: {str(folder)!r}")
    return np.concatenate([reader(tf.constant([file.read_bytes()])).numpy() for file in files])


# ------------------------------------------------------------------------------- the normalization inside a model

# Layers that do not change the range of pixel values in inference.
PASSING = (
    *IDLE,
    *(keras.layers.GaussianNoise, keras.layers.CenterCrop, keras.layers.Resizing, keras.layers.RandomBrightness),
    *(keras.layers.RandomContrast, keras.layers.RandomCrop, keras.layers.RandomFlip, keras.layers.RandomRotation),
    *(keras.layers.RandomTranslation, keras.layers.RandomZoom),
)


class InputNormalization(NamedTuple):
    """The normalization (x - mean) / std for pixels x of 0 to `white`, where `white` is 1 or 255.

    `mean` and `std` have one value, or one value per channel.
    """

    white: float
    channels: str
    mean: np.ndarray
    std: np.ndarray

    def is_like(self, row: Preprocessing) -> bool:
        """Whether `row` has the same normalization, with a relative tolerance of 0.001."""
        channels, *statistics = row.arithmetic()
        ours = (255 / self.white * self.mean, 255 / self.white * self.std)
        return channels == self.channels and all(map(lambda a, b: np.allclose(a, b, rtol=1e-3), ours, statistics))


def check_preprocessing(
    preprocessing: str | Preprocessing | None, model: keras.Model, own: InputNormalization | None
) -> Preprocessing | None:
    """Returns the preprocessing to apply to files. Defaults to the preprocessing of the model.

    Raises ValueError if it differs from `own`, the normalization inside the model.
    """
    if preprocessing is None:
        row = preprocessing_of(model)
        return row if row is None or own is None or own.is_like(row) else None
    row = find_preprocessing(preprocessing, "preprocessing")
    if own is None or own.is_like(row):
        return row
    factor = 255 / own.white
    raise ValueError(
        "preprocessing must equal the normalization inside the model, or be None. To set only the size and the crop, "
        f"pass a Preprocessing with channels={own.channels!r}, mean={(own.mean * factor).tolist()}, "
        f"std={(own.std * factor).tolist()}, scale=1. Received: {row}"
    )


def preprocessing_of(model: keras.Model) -> Preprocessing | None:
    """Returns the preprocessing stored in a network, or in the network that `model` begins with, at its image size."""
    network = find_network(model)
    row = network.preprocessing if network and network in (model, *model.layers[:2]) else None
    height, width = model.input_shape[1:3]
    if row is None or height != width:
        return None
    return row.at_size(height or row.size)


def input_normalization(model: keras.Model) -> InputNormalization | None:
    """Returns the combined normalization of the Normalization and Rescaling layers at the input of `model`.

    Only the layers before any other layer are included. Layers in PASSING may occur between them. Returns None if there
    are no such layers, or if together they are the identity.

    If all means and standard deviations are at most 1, the pixels are assumed to be in 0..1, otherwise in 0..255.
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
    """Yields the operations on the path from the input, including those of nested models, and None at a branch."""
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
    """Returns scale and offset of a layer that computes scale * x + offset per channel, or None for other layers."""
    if isinstance(operation, keras.layers.Rescaling):
        return np.ravel(operation.scale).astype("float64"), np.ravel(operation.offset).astype("float64")
    if not isinstance(operation, keras.layers.Normalization) or operation.invert:
        return None
    mean, variance = (keras.ops.convert_to_numpy(value) for value in (operation.mean, operation.variance))
    if mean.size != mean.shape[-1]:  # statistics per pixel, not per channel
        return None
    std = np.maximum(np.sqrt(variance.ravel().astype("float64")), keras.config.epsilon())
    return 1 / std, -mean.ravel() / std
