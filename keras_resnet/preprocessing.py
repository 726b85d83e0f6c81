"""Preprocessing of images for a network, and names of ImageNet classes for its output."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources
from io import BytesIO
from numbers import Real
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resnet.errors import choose, positive, warn, within

# interpolation -> kernel of tf.raw_ops.ScaleAndTranslate that computes the same as the filter of PIL with this name
INTERPOLATIONS = {"bilinear": "triangle", "bicubic": "keyscubic"}

# order of the channels -> function that converts RGB images to it; `flip` is np.flip, keras.ops.flip or similar
CHANNELS: dict[str, Callable] = {"rgb": lambda x, flip: x, "bgr": lambda x, flip: flip(x, axis=-1)}

DATA_FORMATS = ("channels_first", "channels_last")
JPEG = b"\xff\xd8\xff"
SLIM = 16  # above this aspect ratio, only the crop is resized instead of the whole image


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that a set of weights expects: resize, center crop, normalize.

    First, the image is resized so that its shorter side has `resize` pixels. Then the `size` x `size` pixels in the
    center are cropped. Finally, `y = (x / scale - mean) / std` is computed for pixels x from 0 to 255. An instance is
    callable, see `__call__`.

    Args:
        size: int, height and width of the result in pixels. Defaults to 224.
        resize: int, length of the shorter side before the crop, at least `size`. timm's `crop_pct` is `size / resize`,
            with `resize` rounded down. Defaults to 256.
        interpolation: `"bilinear"` or `"bicubic"`. Defaults to `"bilinear"`.
        antialias: bool, whether antialiasing is used when images become smaller, as in PIL. Defaults to `True`.
        mean: tuple of three floats, one for each channel of y. If `scale` is 255, `mean` refers to pixels from 0 to 1.
            Defaults to the mean of ImageNet.
        std: tuple of three floats, one for each channel of y. If `scale` is 255, `std` refers to pixels from 0 to 1.
            Defaults to the standard deviation of ImageNet.
        channels: `"rgb"` or `"bgr"`, order of the channels of y, `mean` and `std`. Defaults to `"rgb"`.
        scale: float, divisor of the pixels. Defaults to 255.

    Raises:
        ValueError: If `interpolation` or `channels` is unknown, if a size is not a positive integer, if `size` is
            greater than `resize`, if `scale` or `std` is not positive, or if `mean` or `std` does not have three
            numbers.

    Example:
        >>> preprocessing = Preprocessing(size=32, resize=36)
        >>> preprocessing(np.zeros((48, 64, 3), "uint8")).shape
        (1, 32, 32, 3)
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: str = "rgb"
    scale: float = 255.0

    def __post_init__(self):
        if positive(self.size, "size") > positive(self.resize, "resize"):
            raise ValueError(f"resize must be at least {self.size}, the size. Received: {self.resize}")
        choose(INTERPOLATIONS, self.interpolation, "interpolation")
        choose(CHANNELS, self.channels, "channels")
        within(self.scale, "scale", "more than 0")
        for argument in ("mean", "std"):
            values = getattr(self, argument)
            if not isinstance(values, tuple) or [isinstance(value, Real) for value in values] != [True] * 3:
                raise ValueError(f"{argument} must be a tuple of three numbers, one per channel. Received: {values!r}")
        for value in self.std:
            within(value, "std", "more than 0")
        for argument, python in (("size", int), ("resize", int), ("scale", float)):  # JSON has no NumPy numbers
            object.__setattr__(self, argument, python(getattr(self, argument)))
        for argument in ("mean", "std"):
            object.__setattr__(self, argument, tuple(map(float, getattr(self, argument))))

    def __call__(self, images):
        """Preprocesses images: decodes, resizes, crops and normalizes them.

        Files are decoded like PIL's `convert("RGB")`: grayscale and CMYK images are converted to RGB, the alpha channel
        is dropped, and EXIF rotation is ignored. TensorFlow tensors are processed by TensorFlow operations, also in
        `tf.data`. Their results differ from PIL by at most one gray level. Exception: from files with 16 bits per
        channel, the TensorFlow operations use the upper 8 bits, whereas PIL clips the values.

        Args:
            images: One of

                - a path, the `bytes` of an image file, a PIL image, or an array of pixels from 0 to 255, `(h, w, 3)` or
                  `(b, h, w, 3)`. Floats are rounded to integers.
                - a list of these, also with different sizes.
                - a TensorFlow tensor of strings, scalar or `(b,)`: the bytes of JPEG, PNG, GIF or BMP files. To read a
                  path, use `tf.io.read_file(path)`.
                - a TensorFlow tensor of pixels from 0 to 255, `(h, w, 3)` or `(b, h, w, 3)`.

        Returns:
            float32 `(b, size, size, 3)`: a tensor if `images` is a tensor, otherwise an array. For a tensor of one
            image, the shape is `(size, size, 3)`, as `tf.data.Dataset.map` requires.

        Raises:
            ValueError: If `images` is empty or has another type or shape, or if a file cannot be decoded.
            FileNotFoundError: If a path does not exist.
            tf.errors.InvalidArgumentError: If a tensor contains a file that cannot be decoded.

        Example:
            >>> preprocessing = PREPROCESSINGS["torch"]
            >>> image = np.zeros((300, 400, 3), "uint8")
            >>> preprocessing([image, image[:200]]).shape
            (2, 224, 224, 3)
            >>> import tensorflow as tf
            >>> dataset = tf.data.Dataset.from_tensors(image).map(preprocessing).batch(8)
            >>> dataset.element_spec.shape
            TensorShape([None, 224, 224, 3])
        """
        tf = sys.modules.get("tensorflow")
        if tf is not None and tf.is_tensor(images):
            pixels = _pixels_of_tensor(images, self)
            return _normalize(
                pixels, self, lambda x, axis: tf.reverse(x, [axis]), partial(tf.constant, dtype="float32")
            )
        pixels = self.pixels(images).astype("float32")
        return _normalize(pixels, self, np.flip, partial(np.asarray, dtype="float32"))

    def pixels(self, images) -> np.ndarray:
        """Decodes, resizes and crops images like `__call__`, but does not normalize them.

        Args:
            images: As in `__call__`, but not a tensor.

        Returns:
            uint8 `(b, size, size, 3)`, RGB.

        Raises:
            ValueError, FileNotFoundError: As in `__call__`.

        Example:
            >>> PREPROCESSINGS["cifar10"].pixels(np.full((64, 48, 3), 7, "uint8"))[0, 0, 0]
            array([7, 7, 7], dtype=uint8)
        """
        size = (self.size, self.size)
        pixels = [resize_image(image, size, self) for image in _open_images(images)]
        if not pixels:
            raise ValueError(f"images must contain at least one image. Received: {images!r}")
        return np.stack(pixels)

    def arithmetic(self) -> tuple:
        """Returns the order of the channels, and the mean and standard deviation for pixels from 0 to 255."""
        return self.channels, np.multiply(self.mean, self.scale), np.multiply(self.std, self.scale)

    def at_size(self, size: int) -> "Preprocessing":
        """Returns this preprocessing for images of `size` x `size` pixels. `resize` is scaled by the same factor."""
        return replace(self, size=size, resize=max(size, round(self.resize * size / self.size)))

    def is_like(self, other: "Preprocessing") -> bool:
        """Returns whether both compute the same normalization, up to a relative difference of 0.001."""
        (ours, *figures), (theirs, *others) = self.arithmetic(), other.arithmetic()
        return ours == theirs and np.allclose(figures, others, rtol=1e-3)


HALF = (0.5, 0.5, 0.5)
UNIT_STD = (1.0, 1.0, 1.0)
CAFFE = (103.939, 116.779, 123.68)  # BGR, for pixels from 0 to 255
KINETICS = (0.43216, 0.394666, 0.37645)
CIFAR10 = (0.4914, 0.4822, 0.4465)
CIFAR100 = (0.5070, 0.4865, 0.4409)

PREPROCESSINGS = {
    # torchvision: IMAGENET1K_V1 (same normalization as keras.applications.densenet) and IMAGENET1K_V2
    "torch":              Preprocessing(),
    "torch_v2":           Preprocessing(resize=232),
    # timm's own recipes: crop_pct 0.95
    "timm":               Preprocessing(resize=235, interpolation="bicubic"),
    # BiT, arXiv:1912.11370 (fine-tuned at 448: size=448, resize=448). timm's ra4_e3600 weights use it with bicubic
    # interpolation.
    "half":               Preprocessing(mean=HALF, std=HALF),
    # keras.applications.resnet (the Caffe models of He et al.) and .resnet_v2; Keras does not define the sizes
    "caffe":              Preprocessing(mean=CAFFE, std=UNIT_STD, scale=1.0, channels="bgr"),
    "tf":                 Preprocessing(mean=UNIT_STD, std=UNIT_STD, scale=127.5),
    # torchvision.models.video, for single frames. torchvision resizes to 128 x 171 for every aspect ratio of the video.
    "kinetics":           Preprocessing(112, 128, antialias=False, mean=KINETICS, std=(0.22803, 0.22145, 0.216989)),
    # github.com/akamaster/pytorch_resnet_cifar10: mean and std of ImageNet. From here on, 32x32 images are not resized.
    "cifar10_akamaster":  Preprocessing(32, 32),
    "cifar10":            Preprocessing(32, 32, mean=CIFAR10, std=(0.2470, 0.2435, 0.2616)),
    # github.com/chenyaofo/pytorch-cifar-models. For CIFAR-10, std is the mean of the standard deviations of the images.
    "cifar10_chenyaofo":  Preprocessing(32, 32, mean=CIFAR10, std=(0.2023, 0.1994, 0.2010)),
    "cifar100_chenyaofo": Preprocessing(32, 32, mean=CIFAR100, std=(0.2673, 0.2564, 0.2761)),
}  # fmt: skip


def preprocess_input(x, data_format=None, mode: str | Preprocessing = "torch"):
    """Normalizes RGB images as `keras.applications` does. `x` itself is not modified.

    Args:
        x: Pixels from 0 to 255, `(h, w, 3)` or `(b, h, w, 3)`: an array, a tensor, or a symbolic `KerasTensor`. With
            `data_format="channels_first"`, the shape is `(3, h, w)` or `(b, 3, h, w)`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for `keras.config.image_data_format()`. Defaults to
            `None`.
        mode: A name of `PREPROCESSINGS`, such as `"caffe"`, `"tf"` or `"torch"`, or a `Preprocessing`. Only its
            normalization is used: images are not resized or cropped. Defaults to `"torch"`.

    Returns:
        An array if `x` is an array, otherwise a tensor, with the shape of `x`. Floats keep their dtype. Integers are
        converted to `keras.config.floatx()`.

    Raises:
        ValueError: If `mode` or `data_format` is unknown, or `x` does not have 3 channels.

    Example:
        >>> preprocess_input(np.full((1, 2, 2, 3), 255, "uint8"), mode="tf").max()
        np.float32(1.0)
    """
    row = find_preprocessing(mode, "mode")
    data_format = keras.config.image_data_format() if data_format is None else data_format
    if data_format not in DATA_FORMATS:
        raise ValueError(
            "Expected data_format to be one of `channels_first` or `channels_last`. "
            f"Received: data_format={data_format}"
        )
    axis = -1 if data_format == "channels_last" else -3
    _three_channels(x, axis)
    dtype = keras.backend.standardize_dtype(x.dtype)
    dtype = dtype if keras.backend.is_float_dtype(dtype) else keras.config.floatx()
    if isinstance(x, np.ndarray):
        x, move, flip, array = x.astype(dtype, copy=False), np.moveaxis, np.flip, np.asarray
    else:
        x, move, flip, array = ops.cast(x, dtype), ops.moveaxis, ops.flip, ops.convert_to_tensor
    x = x if axis == -1 else move(x, axis, -1)
    x = _normalize(x, row, flip, partial(array, dtype=dtype))
    return x if axis == -1 else move(x, -1, axis)


def preprocessing_layers(preprocessing: str | Preprocessing, x, *, name="preprocessing"):
    """Normalizes images inside a model, in float32 under every dtype policy.

    The normalization is one Keras layer without weights, `{name}_normalization`. For BGR, the Keras operation `flip`
    precedes the layer. Models with these layers can be loaded without this package.

    Args:
        preprocessing: A name of `PREPROCESSINGS`, or a `Preprocessing`. Images are not resized or cropped.
        x: Keras tensor of RGB pixels from 0 to 255, of any dtype, `(b, h, w, 3)` or `(b, frames, h, w, 3)`.
        name: Prefix of the name of the layer. Defaults to `"preprocessing"`.

    Returns:
        A float32 Keras tensor with the shape of `x`.

    Raises:
        ValueError: If `preprocessing` is unknown, or `x` does not have 3 channels.

    Example:
        >>> image = keras.Input((32, 32, 3), dtype="uint8")
        >>> model = keras.Model(image, preprocessing_layers("torch", image))
        >>> model.layers[-1].name
        'preprocessing_normalization'
    """
    row = find_preprocessing(preprocessing, "preprocessing")
    _three_channels(x)
    _, mean, std = row.arithmetic()
    layer = keras.layers.Normalization(
        mean=mean.tolist(), variance=np.square(std).tolist(), dtype="float32", name=f"{name}_normalization"
    )
    return layer(CHANNELS[row.channels](x, ops.flip))


def find_preprocessing(preprocessing: Any, argument: str) -> Preprocessing:
    """Returns a `Preprocessing` unchanged, or the row of PREPROCESSINGS for a name. Otherwise raises ValueError."""
    if isinstance(preprocessing, Preprocessing):
        return preprocessing
    return choose(PREPROCESSINGS, preprocessing, argument)


def _three_channels(x, axis=-1):
    shape = tuple(x.shape)
    if len(shape) < 3 or shape[axis] not in (3, None):  # None: a symbolic TensorFlow tensor that is not decoded yet
        expected = "(..., h, w, 3)" if axis == -1 else "(..., 3, h, w)"
        raise ValueError(f"x must be RGB images, {expected}. Received: x.shape={shape}")


def _normalize(x, row: Preprocessing, flip: Callable, array: Callable):
    x = CHANNELS[row.channels](x, flip)
    return (x / row.scale - array(row.mean)) / array(row.std)


# ----------------------------------------------------------------- image files and arrays, with PIL


def _open_images(images: Any) -> Iterator[Any]:
    """Yields a PIL image for each image in `images`, an argument of `Preprocessing.__call__` other than a tensor."""
    from PIL import Image

    if isinstance(images, list | tuple):
        for image in images:
            yield from _open_images(image)
    elif isinstance(images, Image.Image):
        yield images
    elif isinstance(images, str | os.PathLike):
        yield _decode(Path(images).expanduser().read_bytes(), f"{os.fspath(images)!r}")
    elif isinstance(images, bytes):
        yield _decode(images, f"{len(images)} bytes")
    elif hasattr(images, "shape") and not isinstance(images, keras.KerasTensor):
        yield from map(Image.fromarray, _whole_pixels(ops.convert_to_numpy(images)))
    else:
        raise ValueError(
            "images must be a path, the bytes of an image file, a PIL image, an array (h, w, 3) or (b, h, w, 3) of "
            f"pixels of 0 to 255, or a list of these. Received: {images!r} (of type {type(images).__name__})"
        )


def _decode(file: bytes, source: str):
    """Returns the PIL image of a file. Raises ValueError if it cannot be decoded."""
    from PIL import Image

    try:
        with Image.open(BytesIO(file)) as image:
            return image.convert("RGB")
    except Exception as error:  # damaged files raise errors of many types
        raise ValueError(f"images must be files that PIL can decode. Received: {source}: {error}") from error


def _whole_pixels(array: np.ndarray) -> np.ndarray:
    """Returns uint8 `(b, h, w, 3)`. Raises ValueError if `array` is not RGB images with pixels from 0 to 255."""
    if array.ndim not in (3, 4) or array.shape[-1] != 3 or array.dtype.kind not in "uif":
        raise ValueError(
            "images must be arrays of numbers, (h, w, 3) or (b, h, w, 3). "
            f"Received: shape={array.shape}, dtype={array.dtype}"
        )
    array = array.reshape(-1, *array.shape[-3:])
    if array.dtype != "uint8" and array.size:
        low, high = array.min(), array.max()
        if array.dtype.kind == "f" and 0 < high <= 1:
            warn(f"images must have pixels of 0 to 255. The greatest pixel is {high}: multiply by 255.")
        array = np.floor(array + 0.5) if array.dtype.kind == "f" else array
        if not (array.min() >= 0 and array.max() <= 255):
            raise ValueError(f"images must have pixels of 0 to 255. Received: pixels of {low} to {high}")
    return array.astype("uint8", copy=False)


def resize_image(image, size: tuple[int, int], preprocessing: Preprocessing | None = None) -> np.ndarray:
    """Resizes and crops a PIL image as torchvision and timm do.

    Args:
        image: PIL image of any mode.
        size: `(h, w)` of the result in pixels.
        preprocessing: Defines the interpolation and the length of the shorter side before the crop. The length of the
            longer side is rounded down. The offset of the crop is rounded to the nearest integer, with ties rounded to
            even. If `None`, the whole image is resized with bilinear interpolation and is not cropped.

    Returns:
        uint8 `(h, w, 3)`, RGB.
    """
    from PIL import Image

    image, (height, width) = image.convert("RGB"), size
    if preprocessing is None:
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if not preprocessing.antialias:  # PIL always antialiases
        return np.asarray(resize_pixels(np.asarray(image), size, preprocessing)).astype("uint8")
    sampling = Image.Resampling[preprocessing.interpolation.upper()]
    whole_width, whole_height = (side * preprocessing.resize // min(image.size) for side in image.size)
    left, top = round((whole_width - width) / 2), round((whole_height - height) / 2)
    box = (left, top, left + width, top + height)
    if max(image.size) > SLIM * min(image.size):  # the whole resized image could be too large for the memory
        x, y = image.width / whole_width, image.height / whole_height
        return np.asarray(image.resize((width, height), sampling, (box[0] * x, box[1] * y, box[2] * x, box[3] * y)))
    return np.asarray(image.resize((whole_width, whole_height), sampling).crop(box))


# -------------------------------------------------------------- TensorFlow graphs, e.g. in tf.data


def decode_file(file):
    """Decodes a JPEG, PNG, GIF (first frame) or BMP file in a TensorFlow graph, like PIL's `convert("RGB")`.

    If the file has 16 bits per channel, the upper 8 bits are used, whereas PIL clips the values.

    Args:
        file: Scalar string tensor, the bytes of the file.

    Returns:
        uint8 tensor `(h, w, 3)`.
    """
    import tensorflow as tf

    pixels = tf.cond(
        tf.strings.substr(file, 0, len(JPEG)) == JPEG,
        # with the default, the fast DCT, pixels differ from PIL by up to 4 gray levels
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(file, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, (None, None, 3))


def resize_pixels(pixels, size: tuple[int, int], preprocessing: Preprocessing | None = None):
    """Resizes and crops images in a TensorFlow graph like `resize_image`, with differences of at most one gray level.

    Only the crop is computed. Otherwise, an image of 1x5000 pixels would be resized to 256x1280000 pixels.

    Args:
        pixels: Tensor of numbers from 0 to 255, `(h, w, 3)` or `(b, h, w, 3)`.
        size: `(h, w)` of the result in pixels.
        preprocessing: As in `resize_image`.

    Returns:
        float32 tensor, `(h, w, 3)` or `(b, h, w, 3)`, of integers from 0 to 255.
    """
    import tensorflow as tf

    row = preprocessing or Preprocessing()
    pixels = tf.convert_to_tensor(pixels)
    is_single = pixels.shape.rank == 3
    pixels = pixels[tf.newaxis] if is_single else pixels
    crop, shape = tf.constant(size), tf.shape(pixels)[1:3]
    whole = crop if preprocessing is None else shape * row.resize // tf.reduce_min(shape)
    scale = tf.cast(whole / shape, tf.float32)
    before = tf.cast(tf.round((whole - crop) / 2), tf.float32)
    # As in PIL, the width is resized first, the result is clipped to 0..255, and then the height is resized. PIL also
    # rounds the result of the first step. This code does not: 0.5 could be rounded down here where PIL rounds up, and
    # then the final results could differ by 2.
    for axis in (1, 0):
        resized = tf.raw_ops.ScaleAndTranslate(
            images=pixels,
            size=tf.tensor_scatter_nd_update(tf.shape(pixels)[1:3], [[axis]], [crop[axis]]),
            scale=tf.tensor_scatter_nd_update(scale, [[1 - axis]], [1.0]),
            translation=tf.tensor_scatter_nd_update(-before, [[1 - axis]], [0.0]),
            kernel_type=INTERPOLATIONS[row.interpolation],
            antialias=row.antialias,
        )
        pixels = tf.clip_by_value(resized, 0, 255)
    pixels = tf.floor(tf.ensure_shape(pixels, (None, *size, 3)) + 0.5)
    return pixels[0] if is_single else pixels


def _pixels_of_tensor(images, row: Preprocessing):
    import tensorflow as tf

    size = (row.size, row.size)
    if images.dtype != tf.string:
        images = tf.ensure_shape(images, (None, None, 3)) if images.shape.rank is None else images
        if images.shape.rank not in (3, 4):
            raise ValueError(f"images must be (h, w, 3) or (b, h, w, 3). Received: images.shape={images.shape}")
        _three_channels(images)
        return resize_pixels(images, size, row)
    if images.shape.rank not in (0, 1):
        raise ValueError(f"images must be a string or a vector of strings. Received: images.shape={images.shape}")
    if images.shape.rank == 0:
        return resize_pixels(decode_file(images), size, row)
    return tf.map_fn(
        lambda file: resize_pixels(decode_file(file), size, row),
        images,
        fn_output_signature=tf.TensorSpec((*size, 3), tf.float32),
    )


# ------------------------------------------------------------------------------ names of classes


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """Returns the 1000 classes of ILSVRC 2012 in the order of the outputs, each as `(WordNet id, name)`.

    The names are exactly those of `keras.applications`: the first lemma of the synset, with underscores. Two names
    occur twice: "crane" (134 is the bird, 517 is the machine) and "maillot" (638, 639). The ids are unique and sorted
    in ascending order.
    Source: imagenet_synsets.txt and imagenet_synset_to_lemma.txt of timm 1.0.

    Example:
        >>> imagenet_classes()[281]
        ('n02123045', 'tabby')
    """
    text = resources.files("keras_resnet").joinpath("data/imagenet_classes.txt").read_text(encoding="utf-8")
    pairs = (line.split(" ") for line in text.splitlines())
    return tuple((wnid, name) for wnid, name in pairs)


def decode_predictions(preds, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """Returns the classes with the highest scores of each image, as `keras.applications` does, but without a download.

    Args:
        preds: Scores of the 1000 classes of ImageNet, `(b, 1000)`: an array or a tensor.
        top: int, number of classes for each image. A value above 1000 has the effect of 1000. Defaults to 5.

    Returns:
        A list of b lists of tuples `(WordNet id, name, score)`, sorted by score in descending order.

    Raises:
        ValueError: If the shape of `preds` is not `(b, 1000)`, or if `top` is not a positive integer.

    Example:
        >>> scores = np.zeros((1, 1000), "float32")
        >>> scores[0, 281] = 0.75
        >>> decode_predictions(scores, top=1)
        [[('n02123045', 'tabby', np.float32(0.75))]]
    """
    top = positive(top, "top")
    scores = ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D array of shape (samples, 1000)). "
            f"Received array with shape: {scores.shape}"
        )
    classes = imagenet_classes()
    return [[(*classes[i], row[i]) for i in row.argsort()[-top:][::-1]] for row in scores]
