"""Files of weights as Keras writes them. What is read is data: no class that a file names is looked up or made."""

import json
import re
from io import BytesIO
from math import prod
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from keras_resnet.network import KEY, Description
from keras_resnet.weights.files import BOUND, open_bounded, size_of

KERAS_FORMATS = (".weights.h5", ".keras", ".h5")

VARIABLES = {
    # the class of a layer: the names of the variables that .weights.h5 numbers
    "conv": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch": ("gamma", "beta", "moving_mean", "moving_variance"),
    "group": ("gamma", "beta"),
}
DESCRIPTION_BYTES = 65_536
RENAMED = {"probs": "predictions"}  # the classifier of keras.applications, before TensorFlow took it over


class KerasFile(NamedTuple):
    tensors: dict[str, np.ndarray]  # {"conv1_conv/kernel": (7, 7, 3, 64), ...}, as float32
    kinds: set[str]  # the classes of the layers, as far as the format tells, without underscores and capitals
    description: Description | None = None  # of the networks of this package
    config: dict[str, Any] | None = None  # of whole models, as `keras.Model.to_json` writes it


def read_keras(path) -> KerasFile:
    """A file of KERAS_FORMATS, without the model. One that is damaged or is not what it says is a ValueError."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            if path.suffix != ".keras":
                return read_h5(file, size_of(file))
            archive = open_bounded(file)
            weights, config = archive.read("model.weights.h5"), json.loads(archive.read("config.json"))
            return read_h5(BytesIO(weights), size_of(file))._replace(config=config)
        except Exception as error:  # damaged bytes lead HDF5 to errors of every kind
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole file of Keras. Received: {str(path)!r}: {reason}") from error


def read_h5(raw: BinaryIO, size: int) -> KerasFile:
    """`.h5`, of Keras 2 or of a whole model, and `.weights.h5`; in all at most BOUND times `size`, the file's bytes."""
    import h5py  # not before it is needed: a cold start matters

    tensors: dict[str, np.ndarray] = {}
    kinds: set[str] = set()
    descriptions: list[Description] = []
    config = None
    left = BOUND * size

    def read(place: str, item) -> None:
        nonlocal left
        *groups, variable = place.split("/")
        if variable == KEY:
            descriptions.append(read_description(item))
            return
        if not isinstance(item, h5py.Dataset):
            if variable == "vars" and groups:  # of every layer, with weights or without
                kinds.add(re.sub(r"_(\d+$)?", "", groups[-1]))
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
        if "model_config" in file.attrs:
            config = json.loads(attribute(file, "model_config"))
            if KEY in config["config"]:
                descriptions.append(Description.from_config(config["config"][KEY]))
        elif name == "layers" and KEY in file.get("vars", ()):
            descriptions.append(read_description(file["vars"][KEY]))
        root.visititems(read)  # which follows no links out of the file
    if not tensors:
        raise ValueError("no weights in it")
    if len(descriptions) > 1:
        raise ValueError(f"it must hold one network. Received: {len(descriptions)}")
    return KerasFile(tensors, kinds, descriptions[0] if descriptions else None, config)


def read_description(item) -> Description:
    """Reads what `Network.save_own_variables` wrote."""
    if getattr(item, "dtype", None) != "uint8" or item.ndim != 1 or item.size > DESCRIPTION_BYTES:
        raise ValueError(f"{KEY} must be a text of at most {DESCRIPTION_BYTES} bytes. Received: {item!r}")
    if item.external or item.is_virtual or item.chunks:
        raise ValueError(f"{KEY} must lie in this file. Received: {item!r}")
    return Description.from_config(json.loads(item[()].tobytes()))


def attribute(item, name: str, default: Any = None) -> Any:
    """A string that a group has beside its members; a list of strings may be one long string many times over."""
    if name in item.attrs and item.attrs.get_id(name).shape:
        raise ValueError(f"{name} must be one string. Received: {item.attrs.get_id(name).shape} of them")
    return item.attrs.get(name, default)
