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
from keras_resnet.network import KEY, Description, Network, the_network
from keras_resnet.preprocessing import INTERPOLATIONS, PREPROCESSINGS, Preprocessing
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, differences, find_row
from keras_resnet.weights.adapt import adapted
from keras_resnet.weights.applications import (
    KERAS_FILES,
    applications_file,
    applications_preprocessing,
    check_row,
    is_of_applications,
    load_applications,
)
from keras_resnet.weights.compatible import check_fields, check_preprocessing
from keras_resnet.weights.files import FORMATS, read_checkpoint, safetensors_metadata
from keras_resnet.weights.keras_files import KERAS_FORMATS, KerasFile, read_keras
from keras_resnet.weights.keras_graphs import has_other_names, named_by_graph
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
    """What `load_pretrained` found, and what its source tells beside the names."""

    source: str  # what errors call it
    state: Mapping[str, np.ndarray] | KerasFile
    preprocessing: Preprocessing | None = None
    description: Description | None = None  # of a file of this package
    known: Mapping[str, Any] = {}  # fields of the variant that the source tells


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


def own_checkpoint(name: str, row: Variant | DenseVariant) -> Path:
    """Returns the file that `"cifar10"` stands for; ValueError where there is none for the row and its shortcut."""
    shortcut = getattr(row, "shortcut", None)
    if name in VARIANTS and shortcut != getattr(VARIANTS[name], "shortcut", None):
        name = f"{name}_{shortcut}"
    what = 'weights="cifar10" is for what this package has trained: the row, with its shortcut if that is another,'
    return choose(own_checkpoints(), name, what)


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
    """Loads the weights of `source` into a network. Every tensor and every variable must match exactly once.

    Tensors are matched by name. The names of torchvision, timm, Hugging Face, akamaster, chenyaofo, kuangliu, Cadene,
    BiT, xternalz (Wide ResNets for CIFAR), andreasveit (DenseNets for CIFAR), keras.applications and keras-hub are
    known; `rename` translates others. Fields of the variant that change the outputs, but no name and no
    shape (the stride of a bottleneck, the order of BN and ReLU, ...), must be those that the source tells: its names
    imply some, and files of this package hold the whole variant.

    Some differences are adapted. If the number of classes differs, the classifier keeps its random initialization and a
    `RandomClassifierWarning` is issued. If the model has no classifier, that of the source is not used. The kernels of
    conv1 are summed for one input channel, and repeated and scaled for more than three (exact up to a factor for each
    filter if the kernels are standardized). Biases before BN are subtracted from its moving mean.

    `model.preprocessing` becomes that of the source, or None if the source does not tell it.

    Args:
        model: A network built by this package, or a model that contains one.
        source: One of

            - the path of a file: `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.th`, `.bin` (read without PyTorch;
              nothing in it is executed), `.npz` of BiT, `.h5`, `.weights.h5` or `.keras` of this package, of
              keras.applications or of keras-hub; `.h5` or `.keras` of a whole model of Keras' own layers under any
              names, if its graph is that of `model` (dropout and regularizers may differ);
            - a dict of arrays with the names and axes of a PyTorch state dict;
            - a repository of the Hugging Face hub, `"timm/resnet50.a1_in1k"`, `"hf://org/repo"` or
              `"hf://org/repo@revision"` (needs `pip install 'keras-resnet-family[weights]'`; cache, offline mode and
              HF_ENDPOINT are those of huggingface_hub);
            - `"imagenet"`: the default checkpoint of `row` on the hub, see `default_checkpoint`;
            - `"cifar10"`: the checkpoint in this package, for `row` and the shortcut of the model;
            - `"keras"`: the file of keras.applications, for ResNet-50/101/152 with `bottleneck_stride="1x1"`,
              `resnet50v2_keras`, ... and DenseNet-121/169/201.
        row: Name of a row, for the last three. Defaults to the name of the model.
        revision: Commit, tag or branch of a repository on the hub.
        rename: Dict `{pattern: replacement}`. Before the names are matched, each regular expression is applied with
            `re.sub`, in the order of the dict, to the name of every tensor (in files of Keras `"layer/variable"`). Only
            names change: the network of the source must compute what the networks do whose names it then has.

    Raises:
        ValueError: If a tensor is missing, unexpected or of another shape, or if the variant of the source is another.
            The model is then unchanged. Also if `rename` is not a dict of valid patterns and replacements, or gives two
            tensors the same name.
        OSError: If a file cannot be downloaded.

    A source cannot always tell: a state dict with "fc" and option A fits networks that pad on either side and plain
    networks, and one without the hub's config fits networks that blur where they stride (timm's resnetaa50).

    Example:
        >>> model = keras_resnet.ResNet50()
        >>> keras_resnet.load_pretrained(model, "timm/resnet50.a1_in1k")
        >>> model = keras_resnet.ResNet(keras_resnet.wide(28, 10))
        >>> rename = {"^encoder[.]": "", "[.]units[.]": ".layer.", "[.]skip[.]": ".convShortcut."}
        >>> keras_resnet.load_pretrained(model, "wide_resnet.pth", rename=rename)
    """
    if rename is not None:
        check_rename(rename)
    network = the_network(model)
    name = network.name if row is None else find_row(row, "row")
    check_before_download(source, name, network.variant)
    top = any(layer.name == "predictions" for layer in network.layers)
    found = read_source(source, name, network.variant, revision, include_top=top)
    give(network, found._replace(state=rename_tensors(found.state, rename)) if rename else found)


def give(network: Network, found: Checkpoint, *, new_head: bool = True) -> None:
    """Loads what `read_source` found; `new_head` allows a classifier of other classes to stay random."""
    source, state, description = found.source, found.state, found.description
    preprocessing = found.preprocessing
    if isinstance(state, KerasFile):
        description = state.description
    if description is not None:
        if wrong := differences(network.variant, description.variant):
            raise ValueError(f"{source} holds the weights of another network than {network.name!r}: {wrong}")
        preprocessing = preprocessing or description.preprocessing
        if description.includes_preprocessing and not network.includes_preprocessing:
            raise ValueError(
                f"{source} is of a network that includes its preprocessing, and {network.name!r} does not: build it "
                f"with include_preprocessing={description.preprocessing}."
            )
    elif isinstance(state, KerasFile) and is_of_applications(state):
        preprocessing = preprocessing or PREPROCESSINGS[applications_preprocessing(state)]
    check_preprocessing(network, preprocessing, source)
    if isinstance(state, KerasFile):
        _give_keras(network, state, source, new_head)
    else:
        preprocessing = _give_state_dict(network, found, state, new_head) or preprocessing
    if not network.includes_preprocessing:
        network.preprocessing = preprocessing


def _give_keras(network: Network, file: KerasFile, source: str, new_head: bool) -> None:
    if is_of_applications(file):
        load_applications(network, file, source, new_head=new_head)
        return
    if has_other_names(file):
        file = named_by_graph(network, file, source)
    hub = "keras-hub v2" if "post_bn/gamma" in file.tensors else "keras-hub"
    namings = ("keras_resnet",) if file.description else ("keras_resnet", hub)
    naming, targets = match_naming(network, file.tensors, namings)
    tensors, targets = adapted(network, dict(file.tensors), targets, naming, new_head)
    check(network, tensors, targets)
    if naming != "keras_resnet":
        check_fields(network, naming, source, {}, pooled="averagepooling2d" in file.layers.values())
    assign(tensors, targets)


def _give_state_dict(
    network: Network, found: Checkpoint, state: Mapping[str, np.ndarray], new_head: bool
) -> Preprocessing | None:
    """Returns the preprocessing that the names imply."""
    source = found.source
    names = {OLD_DENSENET.sub(r"\1\2", name): name for name in state if not name.endswith(COUNTERS)}
    if len(names) < sum(not name.endswith(COUNTERS) for name in state):
        raise ValueError(f"{source} names a tensor twice, as norm.1 and as norm1")
    state = {name: np.asarray(state[theirs]) for name, theirs in names.items()}
    naming, targets = match_naming(network, state, NAMINGS)
    implied = PREPROCESSINGS["half"] if naming == "BiT" else None
    check_preprocessing(network, implied, source)
    state, targets = adapted(network, state, targets, naming, new_head)
    check(network, state, targets)
    if found.description is None:
        check_fields(network, naming, source, found.known)
    assign(state, targets)
    return implied


def check_before_download(source, row_name: str, row: Variant | DenseVariant) -> None:
    """ValueError if `source` is known, before it is downloaded, not to be of this net."""
    if source == "keras":
        check_row(row_name, row)


def read_source(
    source, name: str, row: Variant | DenseVariant, revision: str | None = None, *, include_top: bool = True
) -> Checkpoint:
    """Returns the tensors of a source, and what else it tells; `name`, `row` and `include_top` choose a file."""
    if isinstance(source, Mapping):
        check_foreign(source, "The state dict")
        return Checkpoint("The state dict", source)
    name_of_source = str(source)
    known = None
    if isinstance(source, str) and source in KEYWORDS:
        if source == "cifar10":
            path = own_checkpoint(name, row)
            return read_file(path, name_of_source)._replace(preprocessing=model_preprocessing(source))
        if source == "keras":
            path = applications_file(name, include_top)
            return read_file(path, name_of_source)._replace(preprocessing=model_preprocessing(source, name))
        source = default_checkpoint(name)
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if path.is_file():
            return read_file(path, name_of_source)
        is_file_name = path.name.endswith((*KERAS_FORMATS, *FORMATS))
        match = HUB_NAME.fullmatch(source) if isinstance(source, str) and not is_file_name else None
        if match:
            path, config = download(match[1], revision or match[2])
            if match[1] in checkpoints():
                known = model_preprocessing(match[1])
            return with_hub_config(read_file(path, name_of_source), config, known)
    raise ValueError(
        "The `weights` argument should be either `None` (random initialization), 'imagenet', 'cifar10', 'keras', a "
        "dict of arrays, a name on the Hugging Face hub such as 'timm/resnet50.a1_in1k', or the path to a file, "
        f"one of {[*KERAS_FORMATS, *FORMATS]}.  Received: weights={source}"
    )


def read_file(path: Path, name_of_source: str) -> Checkpoint:
    if path.name.endswith(KERAS_FORMATS):
        return Checkpoint(name_of_source, read_keras(path))
    state = read_checkpoint(path)
    check_foreign(state, name_of_source)
    text = safetensors_metadata(path).get(KEY) if path.suffix == ".safetensors" else None
    return Checkpoint(
        name_of_source, state, description=None if text is None else Description.from_config(json.loads(text))
    )


def with_hub_config(found: Checkpoint, config: dict[str, Any], known: Preprocessing | None) -> Checkpoint:
    """What the `config.json` of a repository, of timm or of transformers, adds. ValueError for nets of another kind."""
    architecture = str(config.get("architecture", ""))
    if ANTIALIASED.match(architecture):
        raise ValueError(f"{found.source} is of {architecture!r}, which blurs where it strides. The nets here do not.")
    if config.get("hidden_act", "relu") != "relu":
        raise ValueError(f"{found.source} is of nets with {config['hidden_act']!r} for ReLU. The nets here have ReLU.")
    stride = {"bottleneck_stride": "1x1"} if config.get("downsample_in_bottleneck") else {}
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
    return found._replace(preprocessing=known, known=stride)


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
    """Writes the weights as a `.safetensors` file with the names of torchvision and timm (DenseNet: torchvision's).

    PyTorch's `load_state_dict` reads them. The metadata of the file holds the whole variant and the preprocessing;
    `load_pretrained` compares them.

    Args:
        model: A network built by this package, or a model that contains one.
        path: A path that ends in `.safetensors`. The file appears whole.

    Raises:
        ValueError: If `path` has another suffix, or if torchvision and timm have no network that computes the same.

    Example:
        >>> keras_resnet.save_pretrained(model, "resnet50.safetensors")
        >>> torchvision.models.resnet50().load_state_dict(safetensors.torch.load_file("resnet50.safetensors"))
    """
    from safetensors.numpy import save_file

    network, path = the_network(model), Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors. Received: {str(path)!r}")
    try:
        naming, targets = match_naming(network, {}, ("torchvision", "timm v2", "DenseNet"))
        check_fields(network, naming, "The format", {})
    except ValueError as error:
        raise ValueError(f"torchvision and timm have no net such as {network.name!r}. {error}") from error
    tensors = {target.tensor: np.ascontiguousarray(to_torch(target)) for target in targets}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and CONVOLUTIONS.search(name):
            tensors[name] = tensor[:, :, None, None]
    means = [name for name in tensors if name.endswith("running_mean")]
    counters = {name.replace("running_mean", COUNTERS): np.array(0, "int64") for name in means}
    description = json.dumps(network.description.to_config())
    with whole(path) as unfinished:
        save_file(tensors | counters, unfinished, metadata={"format": "pt", KEY: description})
