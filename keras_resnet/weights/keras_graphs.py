"""Loading of whole models that users wrote with Keras' own layers.

The layers of such models have automatic names such as `conv2d_3`, which depend on the layers that were created before.
Therefore, the layers are matched by the graph in the file. Only data is read. The classes that the file names are not
imported and not instantiated.
"""

import json
from collections import Counter
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.network import input_tensors
from keras_resnet.weights.keras_files import KerasFile

POOL = ("pool_size", "strides", "padding", "data_format")
# Class of a layer -> the settings that change its outputs, except those that are known from the shapes of its weights.
SETTINGS: dict[str, tuple[str, ...]] = {
    "InputLayer": (),
    "Conv2D": (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups"),
        *("activation", "data_format"),
    ),
    "BatchNormalization": ("axis", "epsilon"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Add": (),
    "ZeroPadding2D": ("padding", "data_format"),
    "MaxPooling2D": POOL,
    "AveragePooling2D": POOL,
    "GlobalAveragePooling2D": ("data_format",),
    "Dense": (),
}
# Defaults of settings that old versions of Keras do not write, and settings of `ReLU` that equal `Activation("relu")`.
DEFAULTS = {"groups": 1, "data_format": "channels_last", "max_value": None, "negative_slope": 0.0, "threshold": 0.0}
IDLE = ("Dropout", "SpatialDropout2D", "Identity")  # layers without effect in inference
# Preprocessing layers of this package. A model with these layers can load the file of a model without them.
PREPROCESSING = ("Normalization", "Flip")


class Node(NamedTuple):
    """A layer and the layers whose outputs are its inputs."""

    kind: str
    settings: tuple
    inputs: tuple[str, ...]

    def __str__(self):
        return ", ".join([self.kind, *(f"{name}={value!r}" for name, value in self.settings if name)])


Graph = dict[str, Node]


def has_other_names(file: KerasFile) -> bool:
    """Returns whether the file contains a whole model with unknown layer names.

    Known layer names are those of this package and of keras.applications.
    """
    config = file.config.get("config") if isinstance(file.config, dict) else None
    is_whole = file.description is None and isinstance(config, dict) and "layers" in config
    return is_whole and not any(name.startswith("conv1_") for name in file.tensors)


def named_by_graph(model: keras.Model, file: KerasFile, source: str) -> KerasFile:
    """Returns the file with the layer names of `model`.

    Raises ValueError if the graph of the file differs from that of `model`. The file may contain further layers after
    the last layer of `model`: a model without the classifier can load the file of a model with the classifier.
    """
    try:
        names = match(model, (file.config or {})["config"], source)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError) as error:
        raise ValueError(f"{source} must hold the config of a Functional model: {error!r}") from error
    tensors = {}
    for name, tensor in file.tensors.items():
        layer, _, variable = name.rpartition("/")
        tensors[f"{names.get(layer, layer)}/{variable}"] = tensor
    if len(tensors) < len(file.tensors):
        raise ValueError(f"{source} has layers beside its network that are named as layers of {model.name!r}")
    return file._replace(tensors=tensors)


def match(model: keras.Model, config: dict[str, Any], source: str) -> dict[str, str]:
    """Returns a dict: name of a layer in the config -> name of the same layer in `model`."""
    ours = read_graph(json.loads(model.to_json())["config"], idle=(*IDLE, *PREPROCESSING))
    theirs = read_graph(config)
    known: dict[tuple, int] = {}
    our_numbers, their_numbers = number(ours, known), number(theirs, known)
    if our_numbers[list(ours)[-1]] not in their_numbers.values():
        wrong = (first(theirs, their_numbers, our_numbers), first(ours, our_numbers, their_numbers))
        raise ValueError(
            f"{source} is of another network than {model.name!r}. The first layer without a counterpart is {wrong[0]} "
            f"in the file and {wrong[1]} in the model."
        )
    by_number = {number: name for name, number in our_numbers.items()}
    names = {name: by_number[number] for name, number in their_numbers.items() if number in by_number}
    if duplicates := [name for name, count in Counter(names.values()).items() if count > 1]:
        alike = " and ".join(name for name in names if names[name] == duplicates[0])
        raise ValueError(f"{source} is of another network than {model.name!r}: {alike} are alike.")
    heads = [name for name, node in theirs.items() if node.kind == "Dense" and name not in names]
    return names | (dict.fromkeys(heads, "predictions") if "predictions" not in ours else {})


def first(graph: Graph, numbers: dict[str, int], others: dict[str, int]) -> str:
    """Returns a description of the first layer that is not in the other graph, for an error message."""
    known = set(others.values())
    return next((f"{name!r} ({node})" for name, node in graph.items() if numbers[name] not in known), "none")


def number(graph: Graph, known: dict[tuple, int]) -> dict[str, int]:
    """Returns a number for each layer.

    Two layers have the same number if, with the same weights, they compute the same function of the image. `known`
    contains the numbers of all graphs that are compared.
    """
    numbers: dict[str, int] = {}
    for name, node in graph.items():
        inputs = [numbers[source] for source in node.inputs]
        if node.kind == "Add":
            inputs.sort()  # so that the order of the inputs does not matter
        numbers[name] = known.setdefault((node.kind, node.settings, *inputs), len(known))
    return numbers


def read_graph(config: dict[str, Any], idle: tuple[str, ...] = IDLE) -> Graph:
    """Returns the layers of a Functional model in topological order, without layers that have no effect."""
    graph: Graph = {}
    there: dict[str, str] = {}  # layer -> the layer in `graph` with the same output
    shapes: dict[str, tuple] = {}
    for layer in config["layers"]:
        kind, name, settings = layer["class_name"].rpartition(">")[2], layer["name"], layer["config"]
        nodes = layer.get("inbound_nodes", [])
        if len(nodes) > 1:
            raise ValueError(f"Each layer must be called once. {name!r} ({kind}) is called {len(nodes)} times.")
        inputs = tuple(there[source] for source in sources(nodes))
        shape = shapes[inputs[0]] if inputs else settings.get("batch_shape") or settings.get("batch_input_shape")
        if kind == "Activation":
            kind = {"relu": "ReLU", "linear": "Identity"}.get(settings["activation"], kind)
        if kind == "AveragePooling2D" and list(settings["pool_size"]) == list(shape[1:3]):
            kind = "GlobalAveragePooling2D"
        is_pooled = len(inputs) == 1 and graph[inputs[0]].kind == "GlobalAveragePooling2D"
        there[name] = name
        if len(inputs) == 1 and (kind in idle or (kind == "Flatten" and is_pooled)):
            there[name] = inputs[0]
        elif kind in SETTINGS and bool(inputs) == (kind != "InputLayer"):
            graph[name] = Node(kind, tuple((key, setting(key, settings)) for key in SETTINGS[kind]), inputs)
            shapes[name] = output_shape(graph[name], shape)
        else:  # an unknown layer, which is equal to no other layer
            graph[name] = Node(kind, (("", object()),), inputs)
            shapes[name] = ()
    return graph


def output_shape(node: Node, shape: tuple) -> tuple:
    """Returns the shape of the output of a layer, or () if it is not known."""
    if node.kind not in ("Conv2D", "ZeroPadding2D", "MaxPooling2D", "AveragePooling2D"):
        return tuple(shape)
    if len(shape) != 4:
        return ()
    settings = {key: value for key, value in node.settings if key not in ("activation", "data_format", "groups")}
    return getattr(keras.layers, node.kind)(**settings, name="layer").compute_output_shape(shape)


def setting(key: str, settings: dict[str, Any]) -> Any:
    """Returns a setting in a form that does not depend on the version of Keras."""
    value = settings.get(key, DEFAULTS.get(key))
    if key == "padding" and value == "same" and {*settings.get("kernel_size", ())} == {1}:
        return "valid"  # a 1x1 convolution has no padding
    if key == "axis":
        return int(np.ravel(value)[0]) % 4
    return float(f"{value:.6g}") if isinstance(value, float) else frozen(value)


def frozen(value: Any) -> Any:
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def sources(nodes: list) -> list[str]:
    """Returns the layers whose outputs are the inputs in `inbound_nodes`, in the format of Keras 2 or 3."""
    if nodes and isinstance(nodes[0], list):  # Keras 2: [[["conv2d", 0, 0, {}], ...]]
        return [source[0] for source in nodes[0]]
    return [x["keras_history"][0] for x in input_tensors(nodes)]
