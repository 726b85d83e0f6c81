"""The cost of a net as the papers count it."""

from math import prod

import keras

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


def count_macs(model: keras.Model) -> int:
    """Multiply-adds ("FLOPs" in He 2015, Table 1) of the convolution and dense layers for one image.

    A Functional or Sequential model; models inside it count too, and a layer that is used twice counts once. Raises
    ValueError where the size of a map is not known (build the model with a full `input_shape`), and for layers with
    a kernel of another kind (transposed, separable, recurrent).
    """
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer) -> int:
    if isinstance(layer, keras.Model):
        return count_macs(layer)
    if not isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense)) or isinstance(layer, TRANSPOSED):
        if any(weight.path.endswith("kernel") for weight in layer.weights):
            raise ValueError(
                f"count_macs knows convolutions and dense layers. Received: {layer.name!r}, a {type(layer).__name__}"
            )
        return 0
    shape = layer.output.shape[1:]  # a kernel is applied once at each position
    positions = shape[1:] if getattr(layer, "data_format", "") == "channels_first" else shape[:-1]
    if None in positions:
        raise ValueError(
            "count_macs needs a model with a full input_shape. "
            f"Received: one whose layer {layer.name!r} has the output shape {layer.output.shape}"
        )
    return prod(positions) * prod(layer.kernel.shape)
