"""The multiply-adds of a network, counted as in the papers."""

from math import prod

import keras

from keras_resnet.network import input_tensors

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)
TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


def count_macs(model: keras.Model) -> int:
    """Returns the multiply-adds ("FLOPs" in He 2015, Table 1) of the convolution and dense layers for one image.

    Every call of a layer or of a nested model is counted, with the size of the feature maps of that call.

    Args:
        model: A Functional or Sequential model. The sizes of its feature maps must be known: build it with a full
            `input_shape`.

    Returns:
        An integer.

    Raises:
        ValueError: If the size of a feature map is not known, or if the model contains layers that this function cannot
            count (transposed or separable convolutions, recurrent layers).

    Example:
        >>> keras_resnet.count_macs(keras_resnet.ResNet50())
        4089184256
    """
    config = model.get_config()
    if any("inbound_nodes" not in layer for layer in config.get("layers", [{}])):
        model = keras.Model(model.inputs, model.outputs)  # the config of Sequential and other classes has no graph
        config = model.get_config()
    operations = {operation.name: operation for operation in model.operations}
    return sum(
        _macs_of_call(operations[layer["name"]], [tuple(x["shape"]) for x in input_tensors(node)])
        for layer in config["layers"]
        for node in layer["inbound_nodes"]
    )


def model_size(model: keras.Model) -> dict[str, int]:
    """Returns a dict with the trainable `parameters` of a model and its `multiply_adds` for one image."""
    parameters = sum(prod(weight.shape) for weight in model.trainable_weights)
    return {"parameters": parameters, "multiply_adds": count_macs(model)}


def _macs_of_call(layer, shapes: list[tuple]) -> int:
    if isinstance(layer, keras.Model):
        if shapes != [tuple(tensor.shape) for tensor in layer.inputs]:
            inputs = [keras.Input(shape[1:], dtype=x.dtype) for shape, x in zip(shapes, layer.inputs, strict=True)]
            layer = keras.models.clone_model(layer, input_tensors=inputs)
        return count_macs(layer)
    if not isinstance(layer, (*CONVOLUTIONS, keras.layers.Dense)) or isinstance(layer, TRANSPOSED):
        if any(weight.path.endswith("kernel") for weight in getattr(layer, "weights", ())):
            raise ValueError(
                f"count_macs knows convolutions and dense layers. Received: {layer.name!r}, a {type(layer).__name__}"
            )
        return 0
    shape = layer.compute_output_shape(shapes[0])  # the kernel is applied once at each position of the output
    positions = shape[2:] if getattr(layer, "data_format", "") == "channels_first" else shape[1:-1]
    if None in positions:
        raise ValueError(
            "count_macs needs a model with a full input_shape. "
            f"Received: one whose layer {layer.name!r} has the output shape {shape}"
        )
    return prod(positions) * prod(layer.kernel.shape)
