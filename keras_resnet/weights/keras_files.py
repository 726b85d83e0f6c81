"""Weights as Keras writes them: by the names of the layers, with what the file tells of the net they are of.

Keras itself goes by the order of the layers and compares shapes: plain-20's file fits ResNet-20. Here names decide, and
what Keras writes beside the weights must be that of the model: in `.keras` the graph with the settings of its layers,
in `.weights.h5` the name and the class of every layer. What is read is data; no class of the file is looked up or made.
"""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from math import prod
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, NamedTuple

import h5py
import keras
import numpy as np

from keras_resnet.weights.files import BOUND, open_bounded, size_of

KERAS_FORMATS = (".weights.h5", ".keras", ".h5")

VARIABLES = {
    # the class of a layer: the names of the variables that .weights.h5 numbers
    "conv": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch": ("gamma", "beta", "moving_mean", "moving_variance"),
    "group": ("gamma", "beta"),
}
RENAMED = {"probs": "predictions"}  # the classifier of keras.applications, before TensorFlow took it over

# layers of ours, but for the head; others (augmentation, dropout) change no answer of the net, or come before it
OURS = re.compile(
    r"(conv|pool)\d+_.*(?<!dropout)(?<!drop_path)|pool1|zero_padding2d(_1)?|post_.*|bn|gn|relu|normalization|flip"
)
# what a layer is told that changes none of its answers, or that the shapes of its weights tell
UNSAID = re.compile(
    r"name|trainable|dtype|batch_shape|momentum|units|filters|seed|rate|.*_(initializer|regularizer|constraint)"
)


class KerasFile(NamedTuple):
    tensors: dict[str, np.ndarray]  # {"conv1_conv/kernel": (7, 7, 3, 64), ...}, as float32
    layers: dict[str, str]  # name -> class, as far as the format tells, without underscores and capitals
    graph: dict[str, dict] | None = None  # name -> class, settings and inputs: of whole models


def read_keras(path) -> KerasFile:
    """A file of KERAS_FORMATS, without the model. One that is damaged or is not what it says is a ValueError."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            if path.suffix != ".keras":
                return read_h5(file, size_of(file))
            archive = open_bounded(file)
            weights, config = archive.read("model.weights.h5"), json.loads(archive.read("config.json"))
            return read_h5(BytesIO(weights), size_of(file))._replace(graph=graph_of(config))
        except Exception as error:  # damaged bytes lead HDF5 to errors of every kind
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole file of Keras. Received: {str(path)!r}: {reason}") from error


def read_h5(raw: BinaryIO, size: int) -> KerasFile:
    """`.h5`, of Keras 2 or of a whole model, and `.weights.h5`; in all at most BOUND times `size`, the file's bytes."""
    tensors: dict[str, np.ndarray] = {}
    layers: dict[str, str] = {}
    graph = None
    left = BOUND * size

    def read(place: str, item) -> None:
        nonlocal left
        *groups, variable = place.split("/")
        if not isinstance(item, h5py.Dataset):
            if variable == "vars" and groups and "name" in item.attrs:  # of every layer, with weights or without
                layers[str(attribute(item, "name"))] = re.sub(r"_(\d+$)?", "", groups[-1])
            return
        layer = groups[0] if groups else ""
        if variable.isdigit() and len(groups) > 1:
            kind = groups[-2]
            names = next((names for start, names in VARIABLES.items() if start in kind), ())
            variable = dict(enumerate(names)).get(int(variable), variable)
            layer = str(attribute(item.parent, "name", layer))
        elif len(groups) > 2 and groups[: len(groups) // 2] * 2 == groups:  # Keras 2: conv1/conv/conv1/conv/kernel:0
            layer = "_".join(groups[: len(groups) // 2])
        name = f"{RENAMED.get(layer, layer)}/{variable.removesuffix(':0')}"
        if name in tensors:
            raise ValueError(f"{name} is in it twice")
        if item.external or item.is_virtual or item.dtype.kind != "f":
            raise ValueError(f"{name} must be numbers that lie in this file. Received: {item!r}")
        # HDF5 reads whole chunks, and the last one may reach far beyond the array
        left -= max(item.nbytes, 4 * item.size, prod(item.chunks or ()) * item.dtype.itemsize) + len(name)
        if left < 0:
            raise ValueError(
                f"its weights must take at most {BOUND} times its {size} bytes. {short(name)} is {item.shape}"
            )
        tensors[name] = np.asarray(item, "float32")

    with h5py.File(raw, "r") as file:
        # "layers" of a .weights.h5, "model_weights" of a whole model, else the file itself
        name = next((group for group in ("layers", "model_weights") if group in file), "/")
        if name != "/" and not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} must lie in this file")
        root = file[name]
        if "layer_names" in root.attrs:  # of which each has a group; what they say is not read, see `attribute`
            layers |= dict.fromkeys(root, "")
        if "model_config" in file.attrs:
            graph = graph_of(json.loads(attribute(file, "model_config")))
        root.visititems(read)  # which follows no links out of the file
    if not tensors:
        raise ValueError("no weights in it")
    return KerasFile(tensors, layers, graph)


def attribute(item, name: str, default: Any = None) -> Any:
    """A string that a group has beside its members; a list of strings may be one long string many times over."""
    if name in item.attrs and item.attrs.get_id(name).shape:
        raise ValueError(f"{name} must be one string. Received: {item.attrs.get_id(name).shape} of them")
    return item.attrs.get(name, default)


def graph_of(config: dict[str, Any]) -> dict[str, dict] | None:
    """Of what `keras.Model.to_json` says, the layers that are ours: class, settings that matter, and inputs; None where
    it says nothing of layers, as of a class of keras-hub.
    """
    if "layers" not in config["config"]:
        return None
    nodes: dict[str, dict] = {}
    for layer in config["config"]["layers"]:
        kind, name = layer["class_name"].rpartition(">")[2], layer["name"]
        name = kind.lower() if kind in ("Normalization", "Flip") else name
        settings = {key: _rounded(value) for key, value in layer["config"].items() if not UNSAID.fullmatch(key)}
        inputs = [
            nodes[before]["here"] if before in nodes else before for before in _histories(layer.get("inbound_nodes"))
        ]
        here = name if OURS.fullmatch(name) else (inputs or ["the image"])[0]
        nodes[layer["name"]] = {"here": here, "class": kind, **settings, "inputs": inputs}
    return {
        node["here"]: {key: value for key, value in node.items() if key != "here"}
        for name, node in nodes.items()
        if node["here"] == name or node["class"].lower() == node["here"]
    }


def _histories(node: Any) -> Iterator[str]:
    """The layers that a node takes its inputs from, in their order."""
    if isinstance(node, dict):
        if "keras_history" in node:
            yield node["keras_history"][0]
            return
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _histories(part)


def _rounded(value: Any) -> Any:
    """Without the last digits of float32, and with lists for tuples."""
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def check_graph(model: keras.Model, file: KerasFile, told: str) -> None:
    """ValueError where the file tells of another net than `model`, or of pixels that this net does not normalize."""
    ours = graph_of(json.loads(model.to_json())) or {}
    if file.graph is not None:
        theirs = file.graph
    else:
        theirs = {name: {"class": kind} for name, kind in file.layers.items() if OURS.fullmatch(name)}
        known = all(node["class"] for node in theirs.values())
        ours = {name: {"class": node["class"].lower() if known else ""} for name, node in ours.items()}
    if not theirs:
        return
    for extra in {"normalization", "flip"} - theirs.keys():  # a net without may be given its preprocessing
        if file.graph is not None and extra in ours:
            before = ours.pop(extra)["inputs"]
            for node in ours.values():
                node["inputs"] = [before[0] if name == extra else name for name in node["inputs"]]
        ours.pop(extra, None)
    wrong = []
    for name in dict.fromkeys([*theirs, *ours]):
        a, b = theirs.get(name, {}), ours.get(name, {})
        keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]
        if not a or not b:
            wrong.append(f"{name} ({(a or b)['class']}) is only in {'the file' if a else 'the model'}")
        elif keys:
            wrong.append(f"{name} has " + ", ".join(f"{key} {a.get(key)}, here {b.get(key)}" for key in keys))
    if wrong:
        more = f"\n  ... and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise ValueError(f"{told} is of another net than {model.name!r}:\n  " + "\n  ".join(wrong[:10]) + more)
