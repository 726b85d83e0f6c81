"""BatchNormalization, whose statistics no longer move, as part of the weights beside it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.layers import BatchNormalization, Conv2D, StandardizedConv2D
from keras_resnet.network import Network, describe, find_network
from keras_resnet.resnet import recursion_limit

BATCH_NORMS = (keras.layers.BatchNormalization, BatchNormalization)
# what BN may go into -> the last axes of its kernel that are its channels. Of exactly these classes: what others do
# with their kernel is not known here
WEIGHT_LAYERS = {
    keras.layers.Conv1D: 1,
    keras.layers.Conv2D: 1,
    keras.layers.Conv3D: 1,
    Conv2D: 1,
    StandardizedConv2D: 1,
    keras.layers.DepthwiseConv1D: 2,
    keras.layers.DepthwiseConv2D: 2,
    keras.layers.Dense: 1,
}
# what does nothing in inference
IDLE = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.Identity,
)
# layers of exactly this class -> the class that does the same, faster, with the same weights and config
FASTER: dict[type, Any] = {
    keras.layers.BatchNormalization: BatchNormalization,  # one kernel for it
    keras.layers.Conv2D: Conv2D,  # groups without XLA
    StandardizedConv2D: Conv2D,  # whose kernel is standardized once and for all
}


class Folding(NamedTuple):
    """A model without the BN called `folded`; those `kept` have nothing beside them to go into."""

    model: keras.Model
    folded: tuple[str, ...]
    kept: tuple[str, ...]


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """An equal Functional model, in inference, with weights of its own and with BatchNormalization folded away.

    BN goes into the convolution or dense layer before it, or into the one behind it where that pads nothing. It stays
    where there is neither, as between an addition and a ReLU (`folding(model).kept` are its names), and where that
    layer, or its answer, is used twice. All other layers keep their names, dtypes and weights; kernels that are
    standardized become plain ones. Computed in float64. ValueError for models that are not Functional or Sequential.
    """
    return folding(model).model


def folding(
    model: keras.Model,
    dtype_of: Callable[[keras.Model], dict[str, str]] = lambda model: {},
    twins: dict[type, Callable] | None = None,
) -> Folding:
    """`fold_batch_norm` and what it did.

    `dtype_of` gives dtype policies to layers of a model, by name; `twins` makes other layers of some classes, of a
    layer and its config, with the same weights, be they shaped otherwise.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"model must be a Functional or Sequential keras.Model. Received: {model!r}")
    sequential = isinstance(model, keras.Sequential)
    ends = (model.inputs[0], model.outputs[0]) if sequential else (model.input, model.output)
    with recursion_limit(10 * len(model.layers)):
        result = _folding(keras.Model(*ends, name=model.name), dtype_of, twins or {})
        if not isinstance(model, Network) or find_network(model) is None:
            return result
        new = type(model)(result.model.input, result.model.output, name=model.name)
    return result._replace(model=describe(new, model.description))


def _folding(model: keras.Model, dtype_of: Callable, twins: dict[type, Callable]) -> Folding:
    homes = find_homes(model)
    biased = {home.layer for home in homes.values()}
    inner: dict[str, Folding] = {}
    dtypes = dtype_of(model)

    def clone(layer):
        if isinstance(layer, keras.Model):
            inner[layer.name] = folding(layer, dtype_of, twins)
            return inner[layer.name].model
        config = layer.get_config()
        if layer.name in dtypes:
            config["dtype"] = dtypes[layer.name]
        if layer.name in biased:
            config["use_bias"] = True
        if type(layer) in twins:
            return twins[type(layer)](layer, config)
        return FASTER.get(type(layer), type(layer)).from_config(config)

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in homes else layer(*args, **kwargs)

    new = keras.models.clone_model(model, named_inputs(model), clone, call)
    for layer in model.layers:
        if layer.weights and layer.name not in inner and layer.name not in homes:
            twin = new.get_layer(layer.name)
            pairs = zip(_weights(model, layer, homes), twin.weights, strict=True)
            twin.set_weights([value.reshape(weight.shape) for value, weight in pairs])
    kept = [layer.name for layer in model.layers if _is_batch_norm(layer) and layer.name not in homes]
    return Folding(
        new,
        (*homes, *(f"{name}/{bn}" for name, part in inner.items() for bn in part.folded)),
        (*kept, *(f"{name}/{bn}" for name, part in inner.items() for bn in part.kept)),
    )


def named_inputs(model: keras.Model):
    """Inputs as those of `model`, called as its layers, which Keras would give other names."""
    names = {id(layer.output): layer.name for layer in model.layers if isinstance(layer, keras.layers.InputLayer)}
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)]), model.input
    )


class Home(NamedTuple):
    """The weight layer that a BN goes into, and on which side of it the BN stands."""

    layer: str
    before: bool


def find_homes(model: keras.Model) -> dict[str, Home]:
    """BN -> where it goes, for those that can, in the order of the model."""
    graph = Graph(model)
    homes: dict[str, Home] = {}
    for layer in model.layers:
        if not _is_batch_norm(layer) or not graph.is_once(layer.name):
            continue
        (source,) = graph.sources[layer.name]
        while graph.is_private(source) and (source in homes or isinstance(graph.layers.get(source), IDLE)):
            (source,) = graph.sources[source]
        following = graph.following(layer.name)
        if graph.is_private(source) and _can_scale(layer, graph.layers.get(source)):
            homes[layer.name] = Home(source, before=False)
        elif following and graph.is_once(following) and _can_be_scaled(layer, graph.layers.get(following)):
            homes[layer.name] = Home(following, before=True)
    return homes


def all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of `model` and of the models inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from all_layers(layer)
        else:
            yield layer


class Graph:
    """Which layer's answer goes into which, by name."""

    def __init__(self, model: keras.Model):
        config = model.get_config()
        self.layers = {layer.name: layer for layer in model.layers}
        self.calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in config["layers"]}
        self.sources = {layer["name"]: list(_tensors(layer["inbound_nodes"])) for layer in config["layers"]}
        self.consumers: dict[str, list[str | None]] = {name: [] for name in self.sources}
        for name, sources in self.sources.items():
            for source in sources:
                self.consumers[source].append(name)
        for name in _outputs(config["output_layers"]):
            self.consumers[name].append(None)  # whoever calls the model

    def is_once(self, name: str) -> bool:
        """Called once, on one tensor."""
        return self.calls[name] == len(self.sources[name]) == 1

    def is_private(self, name: str) -> bool:
        """The same, and its answer goes to one layer only."""
        return self.is_once(name) and self.following(name) is not None

    def following(self, name: str) -> str | None:
        consumers = self.consumers[name]
        return consumers[0] if len(consumers) == 1 else None


def _tensors(nodes: Any) -> Iterator[str]:
    """The names of the layers whose answers are in the arguments of a config's nodes."""
    if isinstance(nodes, dict) and nodes.get("class_name") == "__keras_tensor__":
        yield nodes["config"]["keras_history"][0]
    elif isinstance(nodes, dict):
        yield from _tensors(list(nodes.values()))
    elif isinstance(nodes, list | tuple):
        for node in nodes:
            yield from _tensors(node)


def _outputs(places: Any) -> Iterator[str]:
    """The names in a config's `output_layers`: [name, node, tensor], or lists or a dict of these."""
    if isinstance(places, dict):
        places = list(places.values())
    if places and isinstance(places[0], str):
        yield places[0]
    else:
        for place in places:
            yield from _outputs(place)


def _is_batch_norm(layer) -> bool:
    return type(layer) in BATCH_NORMS


def _scales(bn, layer) -> bool:
    """Whether `bn` normalizes the channels that `layer` makes."""
    if type(layer) not in WEIGHT_LAYERS:
        return False
    rank = len(bn.input.shape)
    channels = 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else rank - 1
    return bn.axis in (channels, channels - rank)


def _can_scale(bn, layer) -> bool:
    return _scales(bn, layer) and layer.activation is keras.activations.linear


def _can_be_scaled(bn, layer) -> bool:
    """Whether all that `layer` sees is what `bn` gives: at a border it must not see zeros of its own."""
    if not _scales(bn, layer) or WEIGHT_LAYERS[type(layer)] != 1:
        return False
    if isinstance(layer, keras.layers.Dense):
        return True
    return layer.groups == 1 and (layer.padding == "valid" or set(layer.kernel_size) == {1})


def _weights(model, layer, homes: dict[str, Home]) -> list[np.ndarray]:
    """The weights of `layer` with the BNs that go into it."""
    guests = [(model.get_layer(name), home.before) for name, home in homes.items() if home.layer == layer.name]
    standardized = type(layer) is StandardizedConv2D
    if not guests and not standardized:
        return layer.get_weights()
    kernel = standardized_kernel(layer) if standardized else _float64(layer.kernel)
    bias = _float64(layer.bias) if layer.use_bias else np.zeros(1)
    # what stands before the layer first
    for bn, before in sorted(guests, key=lambda guest: not guest[1]):
        scale, shift = scale_and_shift(bn)
        if before:
            kernel_sum = kernel.sum(axis=tuple(range(kernel.ndim - 2)))
            bias = bias + shift @ kernel_sum
            kernel = kernel * scale[:, np.newaxis]
        else:
            axes = WEIGHT_LAYERS[type(layer)]
            kernel = kernel * scale.reshape(kernel.shape[-axes:])
            bias = bias * scale + shift
    return [kernel, bias] if guests or layer.use_bias else [kernel]


def scale_and_shift(bn) -> tuple[np.ndarray, np.ndarray]:
    """bn(x) = scale * x + shift in inference, a number a channel, in float64."""
    scale = 1 / np.sqrt(_float64(bn.moving_variance) + bn.epsilon)
    scale = scale * _float64(bn.gamma) if bn.scale else scale
    shift = -_float64(bn.moving_mean) * scale
    return scale, shift + _float64(bn.beta) if bn.center else shift


def standardized_kernel(layer: StandardizedConv2D) -> np.ndarray:
    kernel = _float64(layer.kernel)
    mean, variance = (statistic(kernel, axis=(0, 1, 2), keepdims=True) for statistic in (np.mean, np.var))
    return (kernel - mean) / np.sqrt(variance + 1e-8)


def _float64(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype("float64")
