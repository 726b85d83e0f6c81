"""Conversion of a network to Keras' own layers, so that it can be loaded without this package."""

from typing import Any

import keras
import numpy as np

from keras_resnet.layers import (
    BatchNormalization,
    Conv2D,
    LowestPadding2D,
    StandardizedConv2D,
    ZeroPadChannels,
    standardize,
)
from keras_resnet.network import named_inputs
from keras_resnet.resnet import recursion_limit

# Layers of this package that differ from those of Keras only in speed.
STOCK_CLASSES: dict[type, Any] = {
    BatchNormalization: keras.layers.BatchNormalization,
    Conv2D: keras.layers.Conv2D,
    StandardizedConv2D: keras.layers.Conv2D,  # the copied kernel is already standardized
}


# Layers without weights whose `call` consists of Keras operations. Keras saves such operations in a model, like layers.
OPERATIONS = (LowestPadding2D, ZeroPadChannels)


def to_plain_keras(model: keras.Model) -> keras.Model:
    """Returns a copy of a model that consists of Keras' own layers only.

    The `.keras` file of the copy can be loaded without this package. In inference, its outputs are those of `model` up
    to rounding. In training, the layers differ: Keras' BatchNormalization updates `moving_variance` with the biased
    variance, and the BatchNormalization of this package uses the unbiased variance. Layers with weight standardization
    become ordinary convolutions with the standardized kernels. The copy has no `variant` and no `preprocessing`.

    Args:
        model: A network of this package, or a Functional model that contains layers of it.

    Returns:
        A `keras.Model` with its own weights. Layers keep their names and dtypes. Exceptions are the layers for zero
        padding of channels and for padding with minus infinity, which are replaced by Keras operations.

    Raises:
        ValueError: If `model` is not Functional or Sequential, or if it contains a layer of this package that has no
            equivalent in Keras.

    Example:
        >>> keras_resnet.to_plain_keras(keras_resnet.ResNet20()).save("resnet20.keras")
        >>> keras.models.load_model("resnet20.keras").name
        'resnet20'
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"model must be a Functional or Sequential keras.Model. Received: {model!r}")
    with recursion_limit(10 * len(model.layers)):
        return _plain(model)


def _plain(model: keras.Model) -> keras.Model:
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)

    def clone(layer) -> Any:
        if isinstance(layer, keras.Model):
            return _plain(layer)
        kind = STOCK_CLASSES.get(type(layer), type(layer))
        if kind.__module__.startswith("keras_resnet") and not isinstance(layer, OPERATIONS):
            raise ValueError(f"Keras has no layer that does the same as {layer.name!r}, a {type(layer).__name__}")
        return kind.from_config(layer.get_config())

    def call(layer, *args, **kwargs):
        return layer.call(*args) if isinstance(layer, OPERATIONS) else layer(*args, **kwargs)

    new = keras.models.clone_model(model, named_inputs(model), clone, call)
    plain = keras.Model(new.input, new.output, name=model.name)  # not a Network
    for layer in model.layers:
        if layer.weights and not isinstance(layer, keras.Model):
            weights = layer.get_weights()
            if isinstance(layer, StandardizedConv2D):
                weights[0] = np.asarray(standardize(weights[0]))
            plain.get_layer(layer.name).set_weights(weights)
    return plain
