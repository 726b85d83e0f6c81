"""Folding of BatchNormalization, which is affine in inference, into the weights of the adjacent layers."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.layers import BatchNormalization, Conv2D, StandardizedConv2D, standardize
from keras_resnet.network import Network, describe, find_network, input_tensors, named_inputs
from keras_resnet.resnet import recursion_limit

BATCH_NORMS = (keras.layers.BatchNormalization, BatchNormalization)
# Layers that BN is folded into -> how many of the last axes of the kernel are output channels. Subclasses are excluded:
# a subclass may transform its kernel.
WEIGHT_LAYERS = {
    keras.layers.Conv2D: 1,
    Conv2D: 1,
    StandardizedConv2D: 1,
    keras.layers.Conv3D: 1,
    keras.layers.DepthwiseConv2D: 2,
    keras.layers.Dense: 1,
}
# Layers that are the identity in inference.
IDLE = (keras.layers.Dropout, keras.layers.Identity)
# Class of a layer (subclasses are excluded) -> a faster class with the same weights and config.
FASTER: dict[type, Any] = {
    keras.layers.BatchNormalization: BatchNormalization,  # one fused kernel
    keras.layers.Conv2D: Conv2D,  # grouped convolution without XLA
    StandardizedConv2D: Conv2D,  # the kernel is standardized at folding
}


class Folding(NamedTuple):
    """The folded model, and the names of its BN layers.

    Attributes:
        model: The model without the folded BN layers.
        folded: Names of the BN layers that were folded.
        kept: Names of the BN layers that could not be folded.
    """

    model: keras.Model
    folded: tuple[str, ...]
    kept: tuple[str, ...]


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """Returns an equivalent inference model with BatchNormalization folded into the weights.

    BN is folded into the convolution or dense layer before it. Otherwise BN is folded into the layer after it, if that
    layer uses no padding. BN is kept if neither layer exists, as between an addition and a ReLU. BN is also kept if
    the layer or its output is used more than once. Weights are multiplied in float64. Standardized kernels become plain
    kernels.

    Args:
        model: A Functional or Sequential `keras.Model`. It is not changed.

    Returns:
        A Functional `keras.Model` with its own weights. All remaining layers keep their names and dtypes.

    Raises:
        ValueError: If `model` is not Functional or Sequential.

    Example:
        >>> model = keras_resnet.ResNet20()
        >>> folded = keras_resnet.fold_batch_norm(model)
        >>> [layer.name for layer in folded.layers[:3]]
        ['image', 'conv1_conv', 'conv1_relu']
    """
    return folding(model).model


def folding(
    model: keras.Model,
    dtypes_of: Callable[[keras.Model], dict[str, str]] = lambda model: {},
    twins: dict[type, Callable] | None = None,
) -> Folding:
    """Folds BN as `fold_batch_norm` does, and also returns the names of the BN layers.

    Args:
        model: A Functional or Sequential `keras.Model`.
        dtypes_of: A function that takes a model and returns the dtype policies of some of its layers, by layer name.
        twins: Layer class -> a function (layer, config) that returns an equivalent layer. Its weights have the same
            values and may have another shape.
    """
    check_functional(model)
    sequential = isinstance(model, keras.Sequential)
    ends = (model.inputs[0], model.outputs[0]) if sequential else (model.input, model.output)
    source = model
    with recursion_limit(10 * len(model.layers)):
        model = keras.Model(*ends, name=model.name)
        targets, dtypes, inner = find_targets(model), dtypes_of(model), dict[str, Folding]()
        makers = FASTER | (twins or {})

        def clone(layer):
            if isinstance(layer, keras.Model):
                inner[layer.name] = folding(layer, dtypes_of, twins)
                return inner[layer.name].model
            config = layer.get_config()
            if layer.name in dtypes:
                config["dtype"] = dtypes[layer.name]
            if any(target.layer == layer.name for target in targets.values()):
                config["use_bias"] = True
            make: Any = makers.get(type(layer), type(layer))
            return make.from_config(config) if hasattr(make, "from_config") else make(layer, config)

        def call(layer, *args, **kwargs):
            return args[0] if layer.name in targets else layer(*args, **kwargs)

        new = keras.models.clone_model(model, named_inputs(model), clone, call)
        if isinstance(source, Network) and find_network(source):
            new = describe(type(source)(new.input, new.output, name=source.name), source.description)
    for layer in model.layers:
        if layer.weights and layer.name not in inner and layer.name not in targets:
            twin = new.get_layer(layer.name)
            pairs = zip(folded_weights(model, layer, targets), twin.weights, strict=True)
            twin.set_weights([value.reshape(weight.shape) for value, weight in pairs])
    kept = [layer.name for layer in model.layers if type(layer) in BATCH_NORMS and layer.name not in targets]
    return Folding(
        new,
        (*targets, *(f"{name}/{bn}" for name, part in inner.items() for bn in part.folded)),
        (*kept, *(f"{name}/{bn}" for name, part in inner.items() for bn in part.kept)),
    )


def check_functional(model) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"model must be a Functional or Sequential keras.Model. Received: {model!r}")


class FoldingTarget(NamedTuple):
    """The name of the layer that a BN is folded into, and whether the BN comes before this layer."""

    layer: str
    before: bool


def find_targets(model: keras.Model) -> dict[str, FoldingTarget]:
    """Returns the target of each BN that can be folded, in the order of the model."""
    graph = Graph(model)
    targets: dict[str, FoldingTarget] = {}
    for layer in model.layers:
        if type(layer) not in BATCH_NORMS or not graph.is_once(layer.name):
            continue
        (source,) = graph.sources[layer.name]
        while graph.is_private(source) and (source in targets or isinstance(graph.operations.get(source), IDLE)):
            (source,) = graph.sources[source]
        following = graph.following(layer.name)
        if graph.is_private(source) and can_scale(layer, graph.operations.get(source)):
            targets[layer.name] = FoldingTarget(source, before=False)
        elif following and graph.is_once(following) and can_be_scaled(layer, graph.operations.get(following)):
            targets[layer.name] = FoldingTarget(following, before=True)
    return targets


def all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yields the layers of `model` and of its nested models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


class Graph:
    """The graph of a model: for each layer name, the names of its source layers and of its consumer layers."""

    def __init__(self, model: keras.Model):
        config = model.get_config()
        self.operations = {operation.name: operation for operation in model.operations}
        self.calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in config["layers"]}
        self.sources = {
            layer["name"]: [x["keras_history"][0] for x in input_tensors(layer["inbound_nodes"])]
            for layer in config["layers"]
        }
        self.consumers: dict[str, list[str | None]] = {name: [] for name in self.sources}
        for name, sources in self.sources.items():
            for source in sources:
                self.consumers[source].append(name)
        for name in keras.tree.flatten(config["output_layers"]):  # nested lists [name, node, tensor]
            if isinstance(name, str):
                self.consumers[name].append(None)

    def is_once(self, name: str) -> bool:
        """Whether the layer is called once, on one tensor."""
        return self.calls[name] == len(self.sources[name]) == 1

    def is_private(self, name: str) -> bool:
        """Whether the layer is called once and its output is used by one layer only."""
        return self.is_once(name) and self.following(name) is not None

    def following(self, name: str) -> str | None:
        consumers = self.consumers[name]
        return consumers[0] if len(consumers) == 1 else None


def scales(bn, layer) -> bool:
    """Whether `bn` normalizes the output channels of `layer`."""
    if type(layer) not in WEIGHT_LAYERS:
        return False
    rank = len(bn.input.shape)
    channels = 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else rank - 1
    return bn.axis in (channels, channels - rank)


def can_scale(bn, layer) -> bool:
    return scales(bn, layer) and layer.activation is keras.activations.linear


def can_be_scaled(bn, layer) -> bool:
    """Whether every input value of `layer` comes from `bn`. Padding would add zeros that `bn` has not shifted."""
    if not scales(bn, layer) or WEIGHT_LAYERS[type(layer)] != 1:
        return False
    if isinstance(layer, keras.layers.Dense):
        return True
    return layer.groups == 1 and (layer.padding == "valid" or set(layer.kernel_size) == {1})


def folded_weights(model, layer, targets: dict[str, FoldingTarget]) -> list[np.ndarray]:
    """Returns the weights of `layer` after BN layers are folded into it."""
    batch_norms = [
        (model.get_layer(name), target.before) for name, target in targets.items() if target.layer == layer.name
    ]
    standardized = type(layer) is StandardizedConv2D
    if not batch_norms and not standardized:
        return layer.get_weights()
    kernel = float64(standardize(layer.kernel) if standardized else layer.kernel)
    bias = float64(layer.bias) if layer.use_bias else np.zeros(1)
    for bn, before in sorted(batch_norms, key=lambda pair: not pair[1]):  # BN before the layer first
        scale, shift = scale_and_shift(bn)
        if before:
            bias = bias + shift @ kernel.sum(axis=tuple(range(kernel.ndim - 2)))
            kernel = kernel * scale[:, np.newaxis]
        else:
            kernel = kernel * scale.reshape(kernel.shape[-WEIGHT_LAYERS[type(layer)] :])
            bias = bias * scale + shift
    return [kernel, bias] if batch_norms or layer.use_bias else [kernel]


def scale_and_shift(bn) -> tuple[np.ndarray, np.ndarray]:
    """Returns scale and shift of each channel, so that bn(x) = scale * x + shift in inference."""
    scale = 1 / np.sqrt(float64(bn.moving_variance) + bn.epsilon)
    scale = scale * float64(bn.gamma) if bn.scale else scale
    shift = -float64(bn.moving_mean) * scale
    return scale, shift + float64(bn.beta) if bn.center else shift


def float64(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")
