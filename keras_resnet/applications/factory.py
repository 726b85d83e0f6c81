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

    The input must be preprocessed by `preprocess_input` of this module. What differs from Keras is listed in the
    documentation of `keras_resnet.applications`.

    Args:
        include_top: bool, whether the model ends with global average pooling and the classifier `predictions`. Defaults
            to `True`.
        weights: `"imagenet"`, the file that Keras publishes, which is downloaded once to the cache of Keras and checked
            by its md5; `None`, random initialization; or the path of a file that a model of `keras.applications` or of
            this function has saved (`.h5`, `.weights.h5`, `.keras`). Defaults to `"imagenet"`.
        input_tensor: Keras tensor to use as the image. Defaults to a new `keras.Input`.
        input_shape: Shape of an image, `(h, w, c)`, at least 32x32. Defaults to `(224, 224, 3)`, which is required by
            `weights="imagenet"` with the top; without the top it defaults to `(None, None, 3)`.
        pooling: `None`, `"avg"` or `"max"`, global pooling of a model without the top. Defaults to `None`.
        classes: int, number of classes, with the top only. Defaults to 1000.
        classifier_activation: Activation of the classifier, with the top only; `None` for logits. Defaults to
            `"softmax"`.
        name: str, name of the model. Defaults to `"{name}"`.

    Returns:
        A Functional model: `(b, h, w, c)` to `(b, classes)`, without the top to the last feature map or, with
        `pooling`, to its mean or maximum.

    Raises:
        ValueError: If an argument is not one of the above, or a file is of another network.
        OSError: If the published file cannot be downloaded.

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

    `x` is not modified. This is `keras_resnet.preprocess_input` with `mode="{mode}"`.

    Args:
        x: Pixels of 0 to 255, `(h, w, 3)` or `(b, h, w, 3)`: an array, a tensor, or a symbolic `KerasTensor`. With
            `data_format="channels_first"` `(3, h, w)` or `(b, 3, h, w)`.
        data_format: `"channels_last"`, `"channels_first"` or `None`, which is `keras.config.image_data_format()`.
            Defaults to `None`.

    Returns:
        An array if `x` is an array, otherwise a tensor, of the shape of `x`. Floats keep their dtype, integers become
        `keras.config.floatx()`.

    Raises:
        ValueError: If `data_format` is unknown, or `x` does not have 3 channels.

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
