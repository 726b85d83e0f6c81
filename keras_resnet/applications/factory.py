"""Builds the public functions of the modules in this package. They differ only in the row and the preprocessing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import keras

from keras_resnet import preprocessing
from keras_resnet.resnet import ResNet
from keras_resnet.variants import builder_name
from keras_resnet.weights.applications import EPSILON

BATCH_NORM: dict[str, Any] = {"bn_epsilon": EPSILON, "bn_momentum": 0.99}  # values of all builders in Keras
SHAPE, SMALLEST = (224, 224, 3), 32

BUILDER_DOC = """Returns the model of `keras.applications.{function}`, with the same arguments.

    Preprocess the images with `preprocess_input` of this module. The differences from Keras are listed in the
    documentation of `keras_resnet.applications`.

    Args:
        include_top: bool, whether the model has global average pooling and the classifier `predictions` at its end.
            Defaults to `True`.
        weights: `"imagenet"`, the weights that Keras publishes; `None`, random initialization; or the path of a file
            (`.h5`, `.weights.h5`, `.keras`) that was saved by a model of `keras.applications` or of this function. The
            file of `"imagenet"` is downloaded once to the cache of Keras, and its MD5 checksum is verified. Defaults
            to `"imagenet"`.
        input_tensor: Keras tensor to use as the input of the model. Defaults to a new `keras.Input`.
        input_shape: Shape of one image, `(h, w, c)`, with a height and a width of at least 32 pixels. With
            `include_top=True`, defaults to `(224, 224, 3)`, and `weights="imagenet"` allows no other shape. With
            `include_top=False`, defaults to `(None, None, 3)`.
        pooling: Global pooling if `include_top` is False: `None`, `"avg"` or `"max"`. Defaults to `None`.
        classes: int, number of classes if `include_top` is True. Defaults to 1000.
        classifier_activation: Activation of the classifier if `include_top` is True. `None` returns logits. Defaults
            to `"softmax"`.
        name: str, name of the model. Defaults to `"{name}"`.

    Returns:
        A Functional model with the input `(b, h, w, c)`. With `include_top=True`, its output is `(b, classes)`.
        Otherwise, its output is the last feature map or, with `pooling`, the mean or the maximum of this feature map.

    Raises:
        ValueError: If an argument has a value that is not allowed, or if the file contains the weights of another
            network.
        OSError: If the weights `"imagenet"` cannot be downloaded.

    Example:
        >>> model = {function}(weights=None, input_shape=(64, 64, 3), classes=10)
        >>> model.name, model.output_shape
        ('{name}', (None, 10))
    """

FORMULAS = {
    "caffe": "from RGB to BGR, minus the mean (103.939, 116.779, 123.68)",
    "tf": "`x / 127.5 - 1`",
    "torch": "`(x / 255 - mean) / std` with the mean and standard deviation of ImageNet",
}
PREPROCESS_DOC = """Normalizes RGB images for the models of this module: {formula}.

    `x` is not modified. The function is equivalent to `keras_resnet.preprocess_input` with `mode="{mode}"`.

    Args:
        x: Array, tensor or symbolic `KerasTensor` of pixels from 0 to 255. Its shape is `(h, w, 3)` or `(b, h, w, 3)`,
            or with `data_format="channels_first"` `(3, h, w)` or `(b, 3, h, w)`.
        data_format: `"channels_last"`, `"channels_first"` or `None`, which means `keras.config.image_data_format()`.
            Defaults to `None`.

    Returns:
        An array if `x` is an array, otherwise a tensor, with the shape of `x`. Floats keep their dtype. Integers are
        converted to `keras.config.floatx()`.

    Raises:
        ValueError: If `data_format` is unknown, or if `x` does not have 3 channels.

    Example:
        >>> import numpy as np
        >>> preprocess_input(np.zeros((1, 224, 224, 3), "uint8")).shape
        (1, 224, 224, 3)
    """


class Builder(Protocol):
    """The signature of all builders in `keras.applications`."""

    def __call__(
        self,
        include_top: bool = True,
        weights: str | os.PathLike | None = "imagenet",
        input_tensor: Any = None,
        input_shape: tuple | list | None = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = "",
    ) -> keras.Model: ...


def builder(module: str, row: str, **fields) -> Builder:
    """Returns the builder of a row of `VARIANTS` for which Keras publishes weights."""
    default_name = row.removesuffix("_keras")

    def build(
        include_top=True,
        weights="imagenet",
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=1000,
        classifier_activation="softmax",
        name=default_name,
    ):
        check_arguments(include_top, weights, input_shape, classes, classifier_activation)
        if weights is not None:
            weights = "keras" if weights == "imagenet" else Path(weights)
        return ResNet(
            row,
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
            **BATCH_NORM,
            **fields,
        )

    build.__module__, build.__name__ = module, builder_name(default_name)
    build.__qualname__ = build.__name__
    build.__doc__ = BUILDER_DOC.format(function=build.__name__, name=default_name)
    return build


def check_arguments(include_top, weights, input_shape, classes, classifier_activation) -> None:
    """Raises the ValueErrors of Keras, with the same messages, before a download. `ResNet` makes all other checks."""
    pretrained = isinstance(weights, str) and weights == "imagenet"
    is_file = isinstance(weights, str | os.PathLike) and Path(weights).expanduser().is_file()
    if not (weights is None or pretrained or is_file):
        raise ValueError(
            "The `weights` argument should be either `None` (random initialization), 'imagenet' (pre-training on "
            f"ImageNet), or the path to the weights file to be loaded.  Received: weights={weights}"
        )
    if pretrained and include_top and classes != 1000:
        raise ValueError(
            "If using `weights='imagenet'` with `include_top=True`, `classes` should be 1000.  "
            f"Received classes={classes}"
        )
    if pretrained and input_shape is not None:
        if include_top and tuple(input_shape) != SHAPE:
            raise ValueError(
                "When setting `include_top=True` and loading `imagenet` weights, `input_shape` should be "
                f"{SHAPE}.  Received: input_shape={input_shape}"
            )
        if len(input_shape) != 3:
            raise ValueError("`input_shape` must be a tuple of three integers.")
        if input_shape[-1] != 3:
            raise ValueError(f"The input must have 3 channels; Received `input_shape={input_shape}`")
        if any(side is not None and side < SMALLEST for side in input_shape[:2]):
            raise ValueError(f"Input size must be at least {SMALLEST}x{SMALLEST}; Received: input_shape={input_shape}")
    allowed = (keras.activations.softmax, keras.activations.linear)
    if include_top and weights is not None and keras.activations.get(classifier_activation) not in allowed:
        raise ValueError(
            "Only `None` and `softmax` activations are allowed for the `classifier_activation` argument when using "
            "pretrained weights, with `include_top=True`; Received: "
            f"classifier_activation={classifier_activation}"
        )


def preprocessor(module: str, mode: str) -> Callable:
    """Returns the `preprocess_input` function of a module. `mode` is a name in `PREPROCESSINGS`."""

    def preprocess_input(x, data_format=None):
        return preprocessing.preprocess_input(x, data_format, mode)

    preprocess_input.__module__ = module
    preprocess_input.__doc__ = PREPROCESS_DOC.format(formula=FORMULAS[mode], mode=mode)
    return preprocess_input
