"""Reads weight files of Keras.

Only data is read. The classes that a file names are not imported and not instantiated.
"""

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
    # The variables in .weights.h5 files have numbers instead of names. Class of a layer: the names by number.
    "conv": ("kernel", "bias"),
    "dense": ("kernel", "bias"),
    "batch": ("gamma", "beta", "moving_mean", "moving_variance"),
    "group": ("gamma", "beta"),
}
DESCRIPTION_BYTES = 65_536
RENAMED = {"probs": "predictions"}  # name of the classifier of keras.applications before it was part of TensorFlow


class KerasFile(NamedTuple):
    tensors: dict[str, np.ndarray]  # {"conv1_conv/kernel": (7, 7, 3, 64), ...}, as float32
    kinds: set[str]  # the classes of the layers if the format contains them, in lower case without underscores
    description: Description | None = None  # only in files of this package
    config: dict[str, Any] | None = None  # only in files of whole models, as in `keras.Model.to_json`


def read_keras(path) -> KerasFile:
    """Reads the weights in a file of KERAS_FORMATS. Raises ValueError if the file is damaged or has another format."""
    path = Path(path)
    with path.open("rb") as file:
        try:
            if path.suffix != ".keras":
                return read_h5(file, size_of(file))
            archive = open_bounded(file)
            weights, config = archive.read("model.weights.h5"), json.loads(archive.read("config.json"))
            return read_h5(BytesIO(weights), size_of(file))._replace(config=config)
        except Exception as error:  # HDF5 raises many types of errors for damaged files
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole file of Keras. Received: {str(path)!r}: {reason}") from error


def read_h5(raw: BinaryIO, size: int) -> KerasFile:
    """Reads a `.h5` file (of Keras 2 or of a whole model) or a `.weights.h5` file.

    The arrays may take at most BOUND times `size`, the bytes of the file.
    """
    import h5py  # imported only if needed, to keep the import of this package fast

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
            if variable == "vars" and groups:  # every layer has this group, also layers without weights
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
        # HDF5 reads whole chunks, and the last chunk may be much larger than the rest of the array
        left -= max(item.nbytes, 4 * item.size, prod(item.chunks or ()) * item.dtype.itemsize) + len(name)
        if left < 0:
            raise ValueError(
                f"its weights must take at most {BOUND} times its {size} bytes. {short(name)} is {item.shape}"
            )
        tensors[name] = np.asarray(item, "float32")

    with h5py.File(raw, "r") as file:
        # "layers" in a .weights.h5 file, "model_weights" in the file of a whole model, otherwise the root of the file
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
        root.visititems(read)  # visititems does not follow links to other files
    if not tensors:
        raise ValueError("no weights in it")
    if len(descriptions) > 1:
        raise ValueError(f"it must hold one network. Received: {len(descriptions)}")
    return KerasFile(tensors, kinds, descriptions[0] if descriptions else None, config)


def read_description(item) -> Description:
    """Reads the description that `Network.save_own_variables` wrote."""
    if getattr(item, "dtype", None) != "uint8" or item.ndim != 1 or item.size > DESCRIPTION_BYTES:
        raise ValueError(f"{KEY} must be a text of at most {DESCRIPTION_BYTES} bytes. Received: {item!r}")
    if item.external or item.is_virtual or item.chunks:
        raise ValueError(f"{KEY} must lie in this file. Received: {item!r}")
    return Description.from_config(json.loads(item[()].tobytes()))


def attribute(item, name: str, default: Any = None) -> Any:
    """Returns an attribute of a group that is a string.

    Raises ValueError for a list of strings, because a small file could expand to a very large list.
    """
    if name in item.attrs and item.attrs.get_id(name).shape:
        raise ValueError(f"{name} must be one string. Received: {item.attrs.get_id(name).shape} of them")
    return item.attrs.get(name, default)
