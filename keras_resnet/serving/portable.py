"""A model in layers that every runtime knows, and can compute in integers."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from keras_resnet.layers import Conv2D, LowestPadding2D
from keras_resnet.resnet import recursion_limit


class MirroredPadding2D(keras.layers.ZeroPadding2D):
    """Repeats the pixels at the border outwards: what a window's maximum does not see.

    Padding with minus infinity does the same to it, but has no scale that integers could be of.
    """

    def call(self, x):
        return ops.pad(x, [(0, 0), *self.padding, (0, 0)], mode="symmetric")


def mirrored(layer: LowestPadding2D, config: dict):
    return MirroredPadding2D.from_config(config)


def pointwise(layer: keras.layers.Dense, config: dict):
    """A dense layer on maps, as in a gate, as a 1x1 convolution: Keras reshapes before and behind it, at run time."""
    if len(layer.get_build_config()["input_shape"]) != 4:
        return keras.layers.Dense.from_config(config)
    kept = {key: config[key] for key in ("name", "dtype", "activation", "use_bias")}
    return Conv2D(config["units"], 1, **kept)


def scaled(layer: keras.layers.Normalization, config: dict):
    """A normalization by constants, as a multiplication and an addition: Keras hands its statistics in from outside."""
    mean, variance = (ops.convert_to_numpy(value).astype("float64") for value in (layer.mean, layer.variance))
    if layer.invert or mean.size != mean.shape[-1]:
        return keras.layers.Normalization.from_config(config)
    deviation = np.maximum(np.sqrt(variance.ravel()), 1e-7)  # what Keras divides by
    scale, offset = 1 / deviation, -mean.ravel() / deviation
    return keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=config["name"], dtype=config["dtype"])


# layers of exactly this class -> the layer that stands for it; what weights it has are the same numbers
TWINS: dict[type, Callable] = {LowestPadding2D: mirrored, keras.layers.Normalization: scaled}


def portable(model: keras.Model) -> keras.Model:
    """An equal model, in inference, with the layers of TWINS in the place of theirs."""
    return rebuilt(model, TWINS)


def rebuilt(model: keras.Model, twins: dict[type, Callable]) -> keras.Model:
    """`model` once more, in float32 whatever its policy, with weights of its own."""

    def clone(layer):
        if isinstance(layer, keras.Model):
            return rebuilt(layer, twins)
        if layer.quantization_mode:
            raise ValueError(
                "model must have weights of floats: int8=pictures makes integers of them. "
                f"Received: one whose layer {layer.name!r} is quantized to {layer.quantization_mode}"
            )
        config = layer.get_config() | {"dtype": "float32"}
        twin = twins.get(type(layer))
        return twin(layer, config) if twin else type(layer).from_config(config)

    with recursion_limit(10 * len(model.layers)):
        new = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        if isinstance(layer, keras.Model) or not layer.weights:  # clone_model renames an InputLayer without a name
            continue
        twin = new.get_layer(layer.name)
        if twin.weights:
            pairs = zip(layer.get_weights(), twin.weights, strict=True)
            twin.set_weights([value.reshape(weight.shape) for value, weight in pairs])
    return new
