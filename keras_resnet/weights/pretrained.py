"""Weights of other projects in our nets, and ours in theirs: by name, strictly."""

import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing
from keras_resnet.weights.applications import applications_file, load_applications
from keras_resnet.weights.files import FORMATS, read_checkpoint
from keras_resnet.weights.layout import check_layout
from keras_resnet.weights.names import NAMINGS, Named, named_variables
from keras_resnet.weights.state_dict import COUNTERS, assign, match_naming, to_torch

log = logging.getLogger("keras_resnet")
DATA = Path(__file__).parent.parent / "data"
KERAS_FORMATS = (".weights.h5", ".keras", ".h5")
# torchvision's DenseNet files were written when a module's name could hold a dot: norm.1.weight is norm1.weight
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@cache
def checkpoints() -> dict[str, dict[str, Any]]:
    """What is known of published checkpoints: hub name -> row, classes, licence and preprocessing."""
    return json.loads((DATA / "checkpoints.json").read_text())


def default_checkpoint(row: str) -> str:
    """The hub name that `"imagenet"` stands for; ValueError where there is none for the row."""
    return choose(default_checkpoints(), row, 'weights="imagenet" is for rows with a published checkpoint: the row')


def own_checkpoints() -> dict[str, Path]:
    """Row -> the file of what we trained on CIFAR-10 ourselves."""
    return {path.name.removesuffix("_cifar10.npz"): path for path in DATA.glob("*_cifar10.npz")}


def own_checkpoint(row: str) -> Path:
    """The file that `"cifar10"` stands for; ValueError where there is none for the row."""
    return choose(own_checkpoints(), row, 'weights="cifar10" is for the rows that this package has trained: the row')


def default_checkpoints() -> dict[str, str]:
    """Row -> the hub name that `"imagenet"` stands for."""
    return {known["row"]: name for name, known in checkpoints().items() if known.get("default")}


# sources that do not name a place -> how it is found for a row
OWN: dict[str, Callable] = {"imagenet": default_checkpoint, "cifar10": own_checkpoint, "keras": applications_file}


def model_preprocessing(source: str) -> Preprocessing:
    """What the pictures of a checkpoint go through: size, crop, interpolation, mean and deviation.

    `source` is a name as in `load_pretrained`, but not `"imagenet"` (see `default_checkpoint`). ValueError that lists
    the nearest where nothing is known of it.
    """
    if source == "cifar10":
        return PREPROCESSINGS["cifar10"]
    known = choose(checkpoints(), source.removeprefix("hf://"), "source")
    return Preprocessing(
        size=known["size"],
        resize=int(known["size"] / known["crop"]),
        interpolation=known["interpolation"],
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )


def load_pretrained(model: keras.Model, source, *, row: str | None = None, revision: str | None = None) -> None:
    """Gives `model` the weights of `source`, each tensor once and each weight once; or a ValueError and none of them.

    `source` is one of

    - a file: `.safetensors`, `.pth`, `.pt`, `.th`, `.bin` (read without PyTorch; nothing in it is executed), `.npz` of
      BiT, `.h5` of keras.applications, or our own `.weights.h5` and `.keras`;
    - a dict of arrays, named and laid out as a PyTorch state dict;
    - the name of a repository on the Hugging Face hub, `"timm/resnet50.a1_in1k"` or `"hf://org/repo"`, at `revision`
      (needs `pip install 'keras-resnet-family[weights]'`; cache and offline mode are those of huggingface_hub);
    - `"imagenet"`, the default checkpoint of `row` (by default the model's name), see `default_checkpoint`;
    - `"cifar10"`, our own of `row`, in the package;
    - `"keras"`, that of keras.applications, for ResNet-50/101/152 with `bottleneck_stride="1x1"` (its preprocessing is
      "caffe") and for `resnet50v2_keras` and the like ("tf"), with 1000 classes or no top.

    The preprocessing that belongs to a source is `model_preprocessing(source)`.

    Names of torchvision, timm, Hugging Face, akamaster, chenyaofo and BiT are known. What the names do not tell (where
    a bottleneck strides, where zero channels go, the order of BN and ReLU) must be that of the source, too. Three
    differences are adapted, and logged: a classifier of another number of classes stays as it is, one that `model` has
    not is left out, and kernels of conv1 are summed for one input channel, repeated and scaled for more than three.
    """
    told = source if isinstance(source, str) else "The state dict" if isinstance(source, Mapping) else str(source)
    include_top = any(layer.name == "predictions" for layer in model.layers)
    give(model, read_source(source, row or model.name, revision, include_top), told)


def give(model: keras.Model, state: Mapping[str, np.ndarray] | Path, told: str) -> None:
    """Gives `model` what `read_source` found; `told` is what errors call it."""
    if isinstance(state, Path):
        foreign = state.suffix == ".h5" and not state.name.endswith(".weights.h5")
        load_applications(model, state) if foreign else model.load_weights(state)
        return
    state = {
        OLD_DENSENET.sub(r"\1\2", name): np.asarray(array)
        for name, array in state.items()
        if not name.endswith(COUNTERS)
    }
    naming, targets = match_naming(model, state)
    check_layout(model, naming, told)
    state, targets = adapted(model, state, targets, naming)
    assign(model, state, targets)


def read_source(
    source, row: str, revision: str | None = None, include_top: bool = True
) -> Mapping[str, np.ndarray] | Path:
    """A state dict, or the path of a file that Keras loads itself."""
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str) and source in OWN:
        source = applications_file(row, include_top) if source == "keras" else OWN[source](row)
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if path.is_file():
            return path if path.name.endswith(KERAS_FORMATS) else read_checkpoint(path)
        is_file_name = path.name.endswith((*KERAS_FORMATS, *FORMATS))
        if isinstance(source, str) and re.fullmatch(r"(hf://)?[\w.-]+/[\w.-]+", source) and not is_file_name:
            return read_checkpoint(download(source.removeprefix("hf://"), revision))
    raise ValueError(
        "The `weights` argument should be either `None` (random initialization), 'imagenet', 'cifar10', 'keras', a "
        "dict of arrays, a name on the Hugging Face hub such as 'timm/resnet50.a1_in1k', or the path to a file, "
        f"one of {[*KERAS_FORMATS, *FORMATS]}.  Received: weights={source}"
    )


def download(repository: str, revision: str | None) -> Path:
    """The weights of a repository on the hub, in its cache."""
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError
    except ImportError as error:
        raise ImportError("The hub needs huggingface_hub: pip install 'keras-resnet-family[weights]'") from error
    for file in HUB_FILES:
        try:
            return Path(hf_hub_download(repository, file, revision=revision))
        except EntryNotFoundError:
            continue
    raise ValueError(f"{repository!r} holds none of {list(HUB_FILES)}")


def adapted(model: keras.Model, state: dict, targets: list[Named], naming: str) -> tuple[dict, list[Named]]:
    """The state dict and the targets, less what is left out on purpose; each such difference is logged."""
    state = dict(state)
    head = [target for target in targets if target.layer == "predictions"]
    if not head:
        rules, names, *_ = NAMINGS[naming]
        for tensor in (rules[-1][1] + names[part] for part in ("kernel", "bias")):
            if state.pop(tensor, None) is not None:
                log.info("%s has no classifier: %s is left out", model.name, tensor)
    for target in head:
        array = state.get(target.tensor)
        if array is not None and _classes(array, target) != target.variable.shape[-1]:
            log.info("%s has %s classes: its new %s stays", model.name, target.variable.shape[-1], target.variable.path)
            del state[target.tensor]
            targets = [other for other in targets if other is not target]
    for target in targets:
        if target.layer in ("conv1_conv", "conv1_1_conv") and target.tensor in state:
            state[target.tensor] = _with_channels(state[target.tensor], target, model.name)
    return state, targets


def _classes(array: np.ndarray, target: Named) -> int:
    return array.shape[0 if target.out_first else -1]


def _with_channels(array: np.ndarray, target: Named, name: str) -> np.ndarray:
    """A kernel of conv1 for as many input channels as the variable has: of a grey picture it sees what it saw of three
    equal ones, and of more channels as much in all.
    """
    axis, channels = (1, target.variable.shape[2]) if target.out_first else (2, target.variable.shape[2])
    theirs = array.shape[axis] if array.ndim == 4 else channels
    if channels == theirs or theirs != 3:
        return array
    log.info("%s has %s input channels: the kernels of conv1 are adapted from %s", name, channels, theirs)
    if channels == 1:
        return array.sum(axis=axis, keepdims=True)
    repeated = np.take(array, np.arange(channels) % theirs, axis=axis)
    return repeated * (theirs / channels)


def save_pretrained(model: keras.Model, path) -> None:
    """Writes the weights as a `.safetensors` file in the names of torchvision and timm (DenseNet: torchvision's).

    PyTorch's `load_state_dict` takes them: what is trained here goes on there. ValueError where they have no such net.
    """
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise ImportError("save_pretrained needs safetensors: pip install 'keras-resnet-family[weights]'") from error
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors. Received: {str(path)!r}")
    for naming in ("torchvision", "timm v2", "DenseNet"):
        try:
            targets = list(named_variables(model, naming))
            check_layout(model, naming, "The format")
            break
        except ValueError as error:
            reason = error
    else:
        raise ValueError(f"torchvision and timm have no net such as {model.name!r}. {reason}") from reason
    tensors = {target.tensor: np.ascontiguousarray(to_torch(target)) for target in targets}
    means = [name for name in tensors if name.endswith("running_mean")]
    counters = {name.replace("running_mean", COUNTERS): np.array(0, "int64") for name in means}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors | counters, unfinished, metadata={"format": "pt"})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
