"""Weights of other projects in our nets, and ours in theirs: by name, strictly."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.files import whole
from keras_resnet.preprocessing import INTERPOLATIONS, PREPROCESSINGS, Preprocessing
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, find_row
from keras_resnet.weights.adapt import adapted
from keras_resnet.weights.applications import (
    KERAS_FILES,
    applications_file,
    applications_preprocessing,
    check_model,
    check_row,
    is_of_applications,
    load_applications,
)
from keras_resnet.weights.files import FORMATS, read_checkpoint, safetensors_metadata
from keras_resnet.weights.keras_files import KERAS_FORMATS, KerasFile, check_graph, read_keras
from keras_resnet.weights.layout import check_layout, check_preprocessing, check_shortcut, shortcut_of
from keras_resnet.weights.names import NAMINGS
from keras_resnet.weights.rename import check_foreign, check_rename, rename_tensors
from keras_resnet.weights.state_dict import COUNTERS, assign, check, match_naming, to_torch

log = logging.getLogger("keras_resnet")
DATA = Path(__file__).parent.parent / "data"
# torchvision's DenseNet files were written when a module's name could hold a dot: norm.1.weight is norm1.weight
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")
# what is a matrix here and a 1x1 convolution in timm: the classifier of its V2, the layers of SE
CONVOLUTIONS = re.compile(r"head\.fc\.weight|\.se\.fc[12]\.weight")
HUB_FILES = ("model.safetensors", "pytorch_model.bin", "task.weights.h5", "model.weights.h5")  # the last two: keras-hub
HUB_SECONDS = 5
HUB_NAME = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
ANTIALIASED = re.compile(r".*resne(t|x)t?(aa|blur)")  # nets of timm with ResNet's weights and a blur in every stride
KEYWORDS = ("imagenet", "keras", "cifar10")  # sources before any file: a folder of data may be called so, too


class Checkpoint(NamedTuple):
    """What `load_pretrained` found, and what its source tells of it beside the names."""

    told: str  # what errors call it
    state: Mapping[str, np.ndarray] | KerasFile
    preprocessing: Preprocessing | None = None
    shortcut: str | None = None  # as in layout.shortcut_of
    bottleneck_stride: str = "3x3"


@cache
def checkpoints() -> dict[str, dict[str, Any]]:
    """What is known of published checkpoints: hub name -> row, classes, licence and preprocessing."""
    return json.loads((DATA / "checkpoints.json").read_text())


def default_checkpoint(row: str) -> str:
    """The hub name that `"imagenet"` stands for; ValueError where there is none for the row."""
    return choose(default_checkpoints(), row, 'weights="imagenet" is for rows with a published checkpoint: the row')


def default_checkpoints() -> dict[str, str]:
    """Row -> the hub name that `"imagenet"` stands for."""
    defaults = {name: known for name, known in checkpoints().items() if known.get("default")}
    return {row: name for name, known in defaults.items() for row in (known["row"], *known.get("also", []))}


def own_checkpoints() -> dict[str, Path]:
    """Row -> the file of what we trained on CIFAR-10 ourselves; "resnet20_projection" is resnet20 with option B."""
    return {path.stem.removesuffix("_cifar10"): path for path in sorted(DATA.glob("*_cifar10.*"))}


def own_checkpoint(row: str, shortcut: str | None = None) -> Path:
    """The file that `"cifar10"` stands for; ValueError where there is none for the row and its shortcut."""
    if shortcut is not None and row in VARIANTS and shortcut != getattr(VARIANTS[row], "shortcut", None):
        row = f"{row}_{shortcut}"
    what = 'weights="cifar10" is for what this package has trained: the row, with its shortcut if that is another,'
    return choose(own_checkpoints(), row, what)


def model_preprocessing(source, row: str | None = None) -> Preprocessing:
    """What the pictures of a checkpoint go through: size, crop, interpolation, mean and deviation.

    `source` is a name as in `load_pretrained`; `"imagenet"` and `"keras"` need the `row`. Nothing is downloaded.
    ValueError that lists the nearest where nothing is known of it.
    """
    if source == "cifar10":
        return PREPROCESSINGS["cifar10"]
    row = "" if row is None else find_row(row, "row")
    if source == "keras":
        published = choose(KERAS_FILES, row, "row")
        return PREPROCESSINGS["torch" if published.folder == "densenet" else "caffe" if published.fields else "tf"]
    if source == "imagenet":
        source = default_checkpoint(row)
    match = HUB_NAME.fullmatch(source) if isinstance(source, str) else None
    known = choose(checkpoints(), match[1] if match else source, "source")
    return Preprocessing(
        size=known["size"],
        resize=int(known["size"] / known["crop"]),
        interpolation=known["interpolation"],
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )


def load_pretrained(
    model: keras.Model,
    source,
    *,
    row: str | None = None,
    revision: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> None:
    """Gives `model` the weights of `source`, each tensor once and each weight once; or a ValueError and none of them.

    `source` is one of

    - a file: `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.th`, `.bin` (read without PyTorch; nothing in it is
      executed), `.npz` of BiT, `.h5` of keras.applications, `.weights.h5` and `.keras` of this package, of
      keras.applications and of keras-hub;
    - a dict of arrays, named and laid out as a PyTorch state dict;
    - the name of a repository on the Hugging Face hub, `"timm/resnet50.a1_in1k"`, `"hf://org/repo"` or
      `"hf://org/repo@revision"` (needs `pip install 'keras-resnet-family[weights]'`; cache, offline mode and
      HF_ENDPOINT are those of huggingface_hub); `revision` is a commit, a tag or a branch;
    - `"imagenet"`, the default checkpoint of `row` (by default the model's name), see `default_checkpoint`;
    - `"cifar10"`, our own of `row` and the shortcut of `model`, in the package;
    - `"keras"`, that of keras.applications, for ResNet-50/101/152 with `bottleneck_stride="1x1"`, for
      `resnet50v2_keras` and the like, and for DenseNet-121/169/201.

    The preprocessing that belongs to a source is `model_preprocessing(source)`; a `model` that includes another is
    refused.

    Names of torchvision, timm, Hugging Face, akamaster, chenyaofo, kuangliu, Cadene, BiT, xternalz (Wide ResNets for
    CIFAR) and andreasveit (DenseNets for CIFAR) are known; `rename` translates others. What the names do not tell
    (where a bottleneck strides, where zero channels go, the order of BN and ReLU) must be that of the
    source, too. Some differences are adapted: if the number of classes differs, the classifier keeps its random
    initialization and a `RandomClassifierWarning` is issued; a classifier is left out if `model` has none; kernels of
    conv1 are summed for one input channel, repeated and scaled for more than three (of standardized kernels, as BiT's,
    up to a factor a filter); and biases before BN are subtracted from its moving mean.

    `rename` is a dict `{pattern: replacement}`. Before the names are matched, each regular expression is applied with
    `re.sub`, in the order of the dict, to the name of every tensor (in files of Keras `"layer/variable"`). Only names
    change: the network of the source must compute what the networks of the project do whose names it then has. Raises
    ValueError if it is not a dict of valid patterns and replacements, or if two tensors get the same name.

    A source cannot always tell: a state dict with "fc" and option A fits nets that pad on either side and plain nets
    (what `save_pretrained` writes says which), one without the hub's config fits nets that blur where they stride
    (timm's resnetaa50), and a `.weights.h5` of ours does not say on which side zero channels stand, whether BN
    comes before ReLU, nor `bn_epsilon` (`.keras` does).

    Example:
        >>> model = keras_resnet.ResNet(keras_resnet.wide(28, 10))
        >>> rename = {"^encoder[.]": "", "[.]units[.]": ".layer.", "[.]skip[.]": ".convShortcut."}
        >>> keras_resnet.load_pretrained(model, "wide_resnet.pth", rename=rename)
    """
    if rename is not None:
        check_rename(rename)
    row = model.name if row is None else find_row(row, "row")
    if source == "keras":  # before it is downloaded
        choose(KERAS_FILES, row, "row")
        check_model(model, row)
    top = any(layer.name == "predictions" for layer in model.layers)
    shortcut = shortcut_of(model).split()[0]
    found = read_source(source, row, revision, include_top=top, shortcut=shortcut)
    give(model, found._replace(state=rename_tensors(found.state, rename)) if rename else found)


def give(model: keras.Model, found: Checkpoint, *, new_head: bool = True) -> None:
    """Loads what `read_source` found into `model`; `new_head` allows a classifier of other classes to stay random."""
    told, state = found.told, found.state
    check_preprocessing(model, found.preprocessing, told)
    if isinstance(state, KerasFile):
        if is_of_applications(model, state):
            check_preprocessing(model, PREPROCESSINGS[applications_preprocessing(state)], told)
            load_applications(model, state, new_head=new_head)
            return
        hub = "keras-hub v2" if "post_bn/gamma" in state.tensors else "keras-hub"
        naming, targets = match_naming(model, state.tensors, ("keras_resnet", hub))
        tensors, targets = adapted(model, dict(state.tensors), targets, naming, new_head)
        if naming == "keras_resnet":
            check_graph(model, state, told)
        check(model, tensors, targets)
        if naming != "keras_resnet":
            check_layout(model, naming, told, pooled="averagepooling2d" in state.layers.values())
        assign(tensors, targets)
        return
    names = {OLD_DENSENET.sub(r"\1\2", name): name for name in state if not name.endswith(COUNTERS)}
    if len(names) < sum(not name.endswith(COUNTERS) for name in state):
        raise ValueError(f"{told} names a tensor twice, as norm.1 and as norm1")
    state = {name: np.asarray(state[theirs]) for name, theirs in names.items()}
    naming, targets = match_naming(model, state, NAMINGS)
    if naming == "BiT":
        check_preprocessing(model, PREPROCESSINGS["half"], told)
    state, targets = adapted(model, state, targets, naming, new_head)
    check(model, state, targets)
    check_layout(model, naming, told, found.bottleneck_stride)
    check_shortcut(model, found.shortcut, told)
    assign(state, targets)


def check_before_download(source, row_name: str, row: Variant | DenseVariant) -> None:
    """ValueError if `source` is known, before it is downloaded, not to be of this net."""
    if source == "keras":
        check_row(row_name, row)


def read_source(
    source, row: str, revision: str | None = None, *, include_top: bool = True, shortcut: str | None = None
) -> Checkpoint:
    """The tensors of a source, and what else it tells; `row`, `include_top` and `shortcut` choose between files."""
    if isinstance(source, Mapping):
        check_foreign(source, "The state dict")
        return Checkpoint("The state dict", source)
    told = str(source)
    known = None
    if isinstance(source, str) and source in KEYWORDS:
        if source == "cifar10":
            path = own_checkpoint(row, shortcut)
            return read_file(path, told)._replace(preprocessing=model_preprocessing(source))
        if source == "keras":
            path = applications_file(row, include_top)
            return read_file(path, told)._replace(preprocessing=model_preprocessing(source, row))
        source = default_checkpoint(row)
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if path.is_file():
            return read_file(path, told)
        is_file_name = path.name.endswith((*KERAS_FORMATS, *FORMATS))
        match = HUB_NAME.fullmatch(source) if isinstance(source, str) and not is_file_name else None
        if match:
            path, config = download(match[1], revision or match[2])
            if match[1] in checkpoints():
                known = model_preprocessing(match[1])
            return told_by_config(read_file(path, told), config, known)
    raise ValueError(
        "The `weights` argument should be either `None` (random initialization), 'imagenet', 'cifar10', 'keras', a "
        "dict of arrays, a name on the Hugging Face hub such as 'timm/resnet50.a1_in1k', or the path to a file, "
        f"one of {[*KERAS_FORMATS, *FORMATS]}.  Received: weights={source}"
    )


def read_file(path: Path, told: str) -> Checkpoint:
    if path.name.endswith(KERAS_FORMATS):
        return Checkpoint(told, read_keras(path))
    state = read_checkpoint(path)
    check_foreign(state, told)
    says = safetensors_metadata(path) if path.suffix == ".safetensors" else {}
    return Checkpoint(told, state, shortcut=says.get("shortcut"))


def told_by_config(found: Checkpoint, config: dict[str, Any], known: Preprocessing | None) -> Checkpoint:
    """What the `config.json` of a repository, of timm or of transformers, adds. ValueError for nets of another kind."""
    architecture = str(config.get("architecture", ""))
    if ANTIALIASED.match(architecture):
        raise ValueError(f"{found.told} is of {architecture!r}, which blurs where it strides. The nets here do not.")
    if config.get("hidden_act", "relu") != "relu":
        raise ValueError(f"{found.told} is of nets with {config['hidden_act']!r} for ReLU. The nets here have ReLU.")
    stride = "1x1" if config.get("downsample_in_bottleneck") else "3x3"
    pixels = config.get("pretrained_cfg")
    needed = {"input_size", "crop_pct", "mean", "std"}
    if (
        known is None
        and isinstance(pixels, dict)
        and pixels.keys() >= needed
        and pixels.get("interpolation") in INTERPOLATIONS
    ):
        size = pixels["input_size"][-1]
        known = Preprocessing(
            size=size,
            resize=int(size / pixels["crop_pct"]),
            interpolation=pixels["interpolation"],
            mean=tuple(pixels["mean"]),
            std=tuple(pixels["std"]),
        )
    return found._replace(preprocessing=known, bottleneck_stride=stride)


def download(repository: str, revision: str | None) -> tuple[Path, dict[str, Any]]:
    """The weights of a repository on the hub, in its cache and with the digest that the hub names, and its config.

    OSError that names the repository where the hub cannot be reached, hides it or gives other bytes than it promised,
    ValueError where it has no such repository, revision or weights.
    """
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise ImportError("The hub needs huggingface_hub: pip install 'keras-resnet-family[weights]'") from error
    what = f"{repository!r}" + (f" at {revision!r}" if revision else "")
    is_commit = re.fullmatch("[0-9a-f]{40}", revision or "")
    unreached = None if is_commit else hub_error()

    def fetch(file: str) -> Path:
        cached = huggingface_hub.try_to_load_from_cache(repository, file, revision=revision) if is_commit else None
        if isinstance(cached, str):
            return Path(cached)
        cached_only = (unreached or hub_error()) is not None
        return Path(huggingface_hub.hf_hub_download(repository, file, revision=revision, local_files_only=cached_only))

    for file in HUB_FILES:
        try:
            path = fetch(file)
            break
        except errors.LocalEntryNotFoundError as error:  # not in the cache, and the hub is not asked or not there
            unreached = unreached or error
        except errors.EntryNotFoundError:
            continue
        except errors.GatedRepoError as error:
            raise OSError(f"{what} is gated: accept its terms on the hub, and `hf auth login`. {error}") from error
        except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
            raise ValueError(f"The hub has no {what}, or hides it from who is not logged in. {error}") from error
        except Exception as error:  # its client has errors of its own for what goes wrong on the way
            raise OSError(f"{what} could not be downloaded: {error}") from error
    else:
        if unreached:
            raise OSError(f"{what} is not in the cache, and the hub could not be reached: {unreached}") from unreached
        raise ValueError(f"{what} holds none of {list(HUB_FILES)}")
    check_digest(path, what)
    return path, read_config(fetch, repository, revision)


def hub_error() -> Exception | None:
    """Why the hub cannot be reached, after one attempt. Its client would try each file six times, over 20 seconds."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=HUB_SECONDS)
    except Exception as error:  # of its HTTP client, or that it is offline by choice
        return error
    return None


def read_config(fetch: Callable[[str], Path], repository: str, revision: str | None) -> dict[str, Any]:
    """What a repository's config.json says; {} where it has none. Where it cannot be had or read OSError, but of
    `checkpoints`, of which all that it tells is known.
    """
    from huggingface_hub import _CACHED_NO_EXIST, errors, try_to_load_from_cache

    file = "config.json"
    try:
        config = json.loads(fetch(file).read_text(encoding="utf-8"))
    except Exception as error:
        cached = try_to_load_from_cache(repository, file, revision=revision)
        local = isinstance(error, errors.LocalEntryNotFoundError)
        absent = cached is _CACHED_NO_EXIST or (isinstance(error, errors.EntryNotFoundError) and not local)
        if absent or repository in checkpoints():
            return {}
        raise OSError(
            f"{file} of {repository!r}, which tells of what kind its nets are, cannot be had: {error}"
        ) from error
    return config if isinstance(config, dict) else {}


def check_digest(path: Path, what: str) -> None:
    """OSError where a file of the hub's cache is not what its name there, its sha256, says; it is then removed."""
    blob = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", blob.name):
        with blob.open("rb") as file:
            came = hashlib.file_digest(file, "sha256").hexdigest()
        if came != blob.name:
            path.unlink()
            blob.unlink(missing_ok=True)
            raise OSError(f"{what} came damaged and was removed: its sha256 must be {blob.name}. Received: {came}")


def save_pretrained(model: keras.Model, path) -> None:
    """Writes the weights as a `.safetensors` file in the names of torchvision and timm (DenseNet: torchvision's).

    What the names do not tell of the shortcuts stands beside them, for `load_pretrained`.
    PyTorch's `load_state_dict` takes them: what is trained here goes on there. ValueError where they have no such net.
    """
    from safetensors.numpy import save_file

    path = Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors. Received: {str(path)!r}")
    try:
        naming, targets = match_naming(model, {}, ("torchvision", "timm v2", "DenseNet"))
        check_layout(model, naming, "The format")
    except ValueError as error:
        raise ValueError(f"torchvision and timm have no net such as {model.name!r}. {error}") from error
    tensors = {target.tensor: np.ascontiguousarray(to_torch(target)) for target in targets}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and CONVOLUTIONS.search(name):
            tensors[name] = tensor[:, :, None, None]
    means = [name for name in tensors if name.endswith("running_mean")]
    counters = {name.replace("running_mean", COUNTERS): np.array(0, "int64") for name in means}
    with whole(path) as unfinished:
        save_file(tensors | counters, unfinished, metadata={"format": "pt", "shortcut": shortcut_of(model)})
