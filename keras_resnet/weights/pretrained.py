"""Loading of weights of this package and of other projects, and saving for other projects. Tensors match by name."""

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.files import whole
from keras_resnet.network import KEY, Description, Network, require_network
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, differences, find_row
from keras_resnet.weights import hub
from keras_resnet.weights.adapt import adapted
from keras_resnet.weights.applications import (
    KERAS_FILES,
    applications_file,
    check_row,
    is_of_applications,
    kind_of,
    with_epsilon,
)
from keras_resnet.weights.compatible import check_fields, check_preprocessing
from keras_resnet.weights.files import FORMATS, read_checkpoint, safetensors_metadata
from keras_resnet.weights.keras_files import KERAS_FORMATS, KerasFile, read_keras
from keras_resnet.weights.keras_graphs import has_other_names, named_by_graph
from keras_resnet.weights.names import NAMINGS, Named
from keras_resnet.weights.rename import check_foreign, check_rename, rename_tensors
from keras_resnet.weights.state_dict import COUNTERS, assign, check, match_naming, to_torch

DATA = Path(__file__).parent.parent / "data"
# torchvision's DenseNet files are from a time when module names could contain a dot: norm.1.weight is norm1.weight
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")
# kernels that are a matrix here and a 1x1 convolution in timm: the classifier of its ResNetV2, the layers of SE
CONVOLUTIONS = re.compile(r"head\.fc\.weight|\.se\.fc[12]\.weight")
# Networks of timm that have the same weights as ResNets, and a blur filter at every stride.
ANTIALIASED = re.compile(r".*resne(t|x)t?(aa|blur)")
# rank -> the namings of `save_pretrained`
SAVED = {2: ("torchvision", "timm v2", "DenseNet"), 3: ("torchvision video", "torchvision (2+1)D")}
KEYWORDS = ("imagenet", "keras", "cifar10")  # these sources take precedence over files and folders with these names


class Checkpoint(NamedTuple):
    """The tensors of a source of weights, and other information from the source."""

    source: str  # name of the source in error messages
    state: Mapping[str, np.ndarray] | KerasFile
    preprocessing: Preprocessing | None = None
    description: Description | None = None  # only for files of this package
    known: Mapping[str, Any] = {}  # fields of the variant that are known from the source


@cache
def checkpoints() -> dict[str, dict[str, Any]]:
    """Returns information about published checkpoints: name on the hub -> row, classes, licence and preprocessing."""
    return json.loads((DATA / "checkpoints.json").read_text())


def default_checkpoint(row: str) -> str:
    """Returns the name on the hub of the checkpoint `"imagenet"` of a row. Raises ValueError if there is none."""
    return choose(default_checkpoints(), row, 'weights="imagenet" is for rows with a published checkpoint: the row')


def default_checkpoints() -> dict[str, str]:
    """Returns a dict: row -> name on the hub of the checkpoint `"imagenet"`."""
    defaults = {name: known for name, known in checkpoints().items() if known.get("default")}
    return {row: name for name, known in defaults.items() for row in (known["row"], *known.get("also", []))}


def own_checkpoints() -> dict[str, Path]:
    """Returns a dict: row -> file of the weights that this project trained on CIFAR-10.

    The key "resnet20_projection" is the row resnet20 with option B.
    """
    return {path.stem.removesuffix("_cifar10"): path for path in sorted(DATA.glob("*_cifar10.*"))}


def own_checkpoint(name: str, row: Variant | DenseVariant) -> Path:
    """Returns the file of the checkpoint `"cifar10"` for a row and its shortcut. Raises ValueError if there is none."""
    shortcut = getattr(row, "shortcut", None)
    if name in VARIANTS and shortcut != getattr(VARIANTS[name], "shortcut", None):
        name = f"{name}_{shortcut}"
    what = 'weights="cifar10" is for what this package has trained: the row, with its shortcut if that is another,'
    return choose(own_checkpoints(), name, what)


def model_preprocessing(source, row: str | None = None) -> Preprocessing:
    """Returns the preprocessing that published weights expect, without a download.

    Args:
        source: A name on the Hugging Face hub, `"imagenet"`, `"cifar10"` or `"keras"`, as in `load_pretrained`.
        row: Name of a row. Required for `"imagenet"` and `"keras"`. Defaults to None.

    Returns:
        A `Preprocessing`.

    Raises:
        ValueError: If the preprocessing of `source` is not known. The message contains the nearest names.

    Example:
        >>> keras_resnet.model_preprocessing("timm/resnet50.a1_in1k").resize
        235
        >>> keras_resnet.model_preprocessing("keras", row="resnet50").channels
        'bgr'
    """
    if source == "cifar10":
        return PREPROCESSINGS["cifar10"]
    row = "" if row is None else find_row(row, "row")
    if source == "keras":
        return PREPROCESSINGS[choose(KERAS_FILES, row, "row").kind.preprocessing]
    if source == "imagenet":
        source = default_checkpoint(row)
    match = hub.REPOSITORY.fullmatch(source) if isinstance(source, str) else None
    return _timm_preprocessing(**choose(checkpoints(), match[1] if match else source, "source"))


def _timm_preprocessing(*, size: int, crop: float, interpolation: str, mean, std, **other) -> Preprocessing:
    """Returns the preprocessing for settings of timm. `crop` is size / resize. `other` settings are not used."""
    return Preprocessing(size, int(size / crop), interpolation, mean=tuple(mean), std=tuple(std))


def load_pretrained(
    model: keras.Model,
    source,
    *,
    row: str | None = None,
    revision: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> None:
    """Loads the weights of `source` into a network. Every tensor and every variable must match exactly once.

    Tensors are matched by name. Known are the names of torchvision (also of its video networks), timm, Hugging Face,
    akamaster, chenyaofo, kuangliu, Cadene, BiT, xternalz (Wide ResNets for CIFAR), andreasveit (DenseNets for CIFAR),
    keras.applications and keras-hub. For other names, use `rename`.

    Some fields of the variant change the outputs, but no name and no shape. Examples are the stride of a bottleneck and
    the order of BN and ReLU. These fields are compared with the source as far as possible: the names of the tensors
    imply some of the fields, and files of this package contain the whole variant.

    Some differences between the source and the model are adapted:

    - If the number of classes differs, the classifier keeps its random initialization and a `RandomClassifierWarning`
      is issued.
    - If the model has no classifier, the classifier of the source is not used.
    - If the model has one input channel, the kernels of conv1 are summed over the channels. If it has more than three,
      they are repeated and scaled. For standardized kernels, this is exact up to a factor for each filter.
    - Biases of convolutions before BN are subtracted from the moving mean of BN.

    `model.preprocessing` is set to the preprocessing of the source, or to None if it is not known.

    Args:
        model: A network built by this package, or a model that contains one.
        source: One of

            - the path of a PyTorch or safetensors file: `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.th` or `.bin`.
              PyTorch is not needed, and no code in the file is executed.
            - the path of a `.npz` file of BiT.
            - the path of a `.h5`, `.weights.h5` or `.keras` file of this package, of keras.applications or of
              keras-hub.
            - the path of a `.h5` or `.keras` file of a whole model that consists of Keras' own layers. The layers may
              have any names, but the graph must be that of `model`. Dropout and regularizers may differ.
            - a dict of arrays with the names and axes of a PyTorch state dict.
            - a repository of the Hugging Face hub, `"timm/resnet50.a1_in1k"`, `"hf://org/repo"` or
              `"hf://org/repo@revision"`. This requires `pip install 'keras-resnet-family[weights]'`. Cache, offline
              mode and HF_ENDPOINT are those of huggingface_hub.
            - `"imagenet"`: the default checkpoint of `row` on the hub, see `default_checkpoint`.
            - `"cifar10"`: the checkpoint in this package, for `row` and the shortcut of the model.
            - `"keras"`: the file of keras.applications, for ResNet-50/101/152 with `bottleneck_stride="1x1"`,
              `resnet50v2_keras`, ... and DenseNet-121/169/201.
        row: Name of a row, for the sources `"imagenet"`, `"cifar10"` and `"keras"`. Defaults to the name of the model.
        revision: Commit, tag or branch of a repository on the hub.
        rename: Dict `{pattern: replacement}`. Before the names are matched, each regular expression is applied with
            `re.sub` to the name of every tensor, in the order of the dict. In files of Keras, the names are
            `"layer/variable"`. Only names are changed: the source must compute the same as the networks with the new
            names.

    Raises:
        ValueError: If a tensor is missing, unexpected or has another shape, or if the variant of the source differs.
            The model is then unchanged. Also if `rename` is not a dict of valid patterns and replacements, or if two
            tensors would have the same name.
        OSError: If a file cannot be downloaded.

    Some differences cannot be detected. A state dict with option A whose classifier is named "fc" does not show whether
    the network pads channels on one side or on both sides, or has no shortcuts. A state dict without the config of the
    hub does not show whether the network has blur filters at its strides (timm's resnetaa50).

    Example:
        >>> trained = keras_resnet.ResNet20(weights="cifar10")
        >>> keras_resnet.save_pretrained(trained, "resnet20.safetensors")
        >>> model = keras_resnet.ResNet20()
        >>> keras_resnet.load_pretrained(model, "resnet20.safetensors")
        >>> model.preprocessing == trained.preprocessing
        True

        With other names of layers, and from the hub:

        ```python
        model = keras_resnet.ResNet(keras_resnet.wide(28, 10))
        rename = {"^encoder[.]": "", "[.]units[.]": ".layer.", "[.]skip[.]": ".convShortcut."}
        keras_resnet.load_pretrained(model, "wide_resnet.pth", rename=rename)
        keras_resnet.load_pretrained(keras_resnet.ResNet50(), "timm/resnet50.a1_in1k")
        ```
    """
    if rename is not None:
        check_rename(rename)
    network = require_network(model)
    name = network.name if row is None else find_row(row, "row")
    top = any(layer.name == "predictions" for layer in network.layers)
    found = read_source(source, name, network.variant, revision, include_top=top)
    give(network, found._replace(state=rename_tensors(found.state, rename)) if rename else found)


def give(network: Network, found: Checkpoint, *, new_head: bool = True) -> None:
    """Loads the checkpoint that `read_source` returned.

    If `new_head` is True and the number of classes differs, the classifier keeps its random initialization.
    """
    source, file, description, preprocessing = found.source, found.state, found.description, found.preprocessing
    known, pooled = found.known, False
    if description is not None:
        _check_description(network, description, source)
    if not isinstance(file, KerasFile):
        state, namings = _without_counters(file, source), list(NAMINGS)
    elif is_of_applications(file):
        kind = kind_of(file)
        preprocessing = preprocessing or PREPROCESSINGS[kind.preprocessing]
        state, namings = with_epsilon(network, file), [kind.naming]
        known = {"bn_epsilon": network.variant.bn_epsilon}
    else:
        file = named_by_graph(network, file, source) if has_other_names(file) else file
        state, namings, pooled = dict(file.tensors), ["keras_resnet"], "averagepooling2d" in file.kinds
        if description is None:
            namings += ["keras-hub v2" if "post_bn/gamma" in state else "keras-hub"]
    naming, targets = match_naming(network, state, namings)
    if naming == "BiT":
        preprocessing = PREPROCESSINGS["half"]
    check_preprocessing(network, preprocessing, source)
    state, targets = adapted(network, state, targets, naming, new_head)
    check(network, state, targets)
    if description is None and naming != "keras_resnet":
        check_fields(network, naming, source, known, pooled)
    assign(state, targets)
    if not network.includes_preprocessing:
        network.preprocessing = preprocessing


def _check_description(network: Network, description: Description, source: str) -> None:
    """Raises ValueError if a file of this package contains another network.

    Also raises it if the network of the file includes its preprocessing and `network` does not.
    """
    if wrong := differences(network.variant, description.variant):
        raise ValueError(f"{source} holds the weights of another network than {network.name!r}: {wrong}")
    if description.includes_preprocessing and not network.includes_preprocessing:
        raise ValueError(
            f"{source} is of a network that includes its preprocessing, and {network.name!r} does not: build it "
            f"with include_preprocessing={description.preprocessing}."
        )


def _without_counters(state: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """Returns the tensors that are weights. Old names are replaced by current names.

    Raises ValueError if a tensor has both an old and a current name.
    """
    weights = {name: np.asarray(tensor) for name, tensor in state.items() if not name.endswith(COUNTERS)}
    renamed = {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in weights.items()}
    if len(renamed) < len(weights):
        raise ValueError(f"{source} names a tensor twice, as norm.1 and as norm1")
    return renamed


def read_source(
    source, name: str, row: Variant | DenseVariant, revision: str | None = None, *, include_top: bool = True
) -> Checkpoint:
    """Returns the tensors of a source and other information from it.

    `name`, `row` and `include_top` select the file of a keyword such as "imagenet". Raises ValueError before a download
    if it is known that the weights are those of another network.
    """
    if isinstance(source, Mapping):
        check_foreign(source, "The state dict")
        return Checkpoint("The state dict", source)
    if isinstance(source, str) and source in KEYWORDS:
        return _read_keyword(source, name, row, revision, include_top)
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if path.is_file():
            return read_file(path, str(source))
        match = hub.REPOSITORY.fullmatch(source) if isinstance(source, str) else None
        if match and not path.name.endswith((*KERAS_FORMATS, *FORMATS)):
            return _read_repository(match[1], revision or match[2], match.string)
    raise ValueError(
        "The `weights` argument should be either `None` (random initialization), 'imagenet', 'cifar10', 'keras', a "
        "dict of arrays, a name on the Hugging Face hub such as 'timm/resnet50.a1_in1k', or the path to a file, "
        f"one of {[*KERAS_FORMATS, *FORMATS]}.  Received: weights={source}"
    )


def _read_keyword(
    source: str, name: str, row: Variant | DenseVariant, revision: str | None, include_top: bool
) -> Checkpoint:
    if source == "imagenet":
        return _read_repository(default_checkpoint(name), revision, source)
    if source == "keras":
        check_row(name, row)
    path = own_checkpoint(name, row) if source == "cifar10" else applications_file(name, include_top)
    return read_file(path, source)._replace(preprocessing=model_preprocessing(source, name))


def read_file(path: Path, source: str) -> Checkpoint:
    """Returns the tensors of a file. For files of this package, the result includes the description."""
    description = None
    if path.name.endswith(KERAS_FORMATS):
        state: Any = read_keras(path)
        description = state.description
    else:
        state = read_checkpoint(path)
        check_foreign(state, source)
        if path.suffix == ".safetensors" and (text := safetensors_metadata(path).get(KEY)):
            description = Description.from_config(json.loads(text))
    return Checkpoint(source, state, description and description.preprocessing, description)


def _read_repository(repository: str, revision: str | None, source: str) -> Checkpoint:
    """Returns the weights of a repository, and its preprocessing and other settings if they are known.

    They are known for the repositories in `checkpoints`, or from the `config.json` of the repository. Raises ValueError
    if the config describes a network that this package does not have.
    """
    found = read_file(hub.weights_file(repository, revision), source)
    if repository in checkpoints():
        return found._replace(preprocessing=model_preprocessing(repository))
    config = hub.read_config(repository, revision)
    architecture = str(config.get("architecture", ""))
    if ANTIALIASED.match(architecture):
        raise ValueError(f"{source} is of {architecture!r}, which blurs where it strides. The nets here do not.")
    if config.get("hidden_act", "relu") != "relu":
        raise ValueError(f"{source} is of nets with {config['hidden_act']!r} for ReLU. The nets here have ReLU.")
    try:
        pixels = config["pretrained_cfg"]
        preprocessing = _timm_preprocessing(**pixels, size=pixels["input_size"][-1], crop=pixels["crop_pct"])
    except (ArithmeticError, LookupError, TypeError, ValueError):  # the settings are missing or incomplete
        preprocessing = None
    stride = {"bottleneck_stride": "1x1"} if config.get("downsample_in_bottleneck") else {}
    return found._replace(preprocessing=found.preprocessing or preprocessing, known=stride)


def save_pretrained(model: keras.Model, path) -> None:
    """Writes the weights as a `.safetensors` file with the names of torchvision and timm (DenseNet: torchvision's).

    PyTorch can load the file with `load_state_dict`. The metadata of the file contains the whole variant and the
    preprocessing, and `load_pretrained` compares them with the model.

    Args:
        model: A network built by this package, or a model that contains one.
        path: A path that ends in `.safetensors`. The file is written atomically.

    Raises:
        ValueError: If `path` has another suffix, or if torchvision and timm have no network that computes the same.

    Example:
        >>> keras_resnet.save_pretrained(keras_resnet.ResNet18(), "resnet18.safetensors")

        In PyTorch:

        ```python
        torchvision.models.resnet18().load_state_dict(safetensors.torch.load_file("resnet18.safetensors"))
        ```
    """
    from safetensors.numpy import save_file

    network, path = require_network(model), Path(path).expanduser()
    if path.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors. Received: {str(path)!r}")
    tensors = {target.tensor: np.ascontiguousarray(to_torch(target)) for target in timm_names(network)}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and CONVOLUTIONS.search(name):
            tensors[name] = tensor[:, :, None, None]
    means = [name for name in tensors if name.endswith("running_mean")]
    counters = {name.replace("running_mean", COUNTERS): np.array(0, "int64") for name in means}
    description = json.dumps(network.description.to_config())
    with whole(path) as unfinished:
        save_file(tensors | counters, unfinished, metadata={"format": "pt", KEY: description})


def timm_names(network: Network) -> list[Named]:
    """Returns the variables with their names in torchvision and timm.

    Raises ValueError if neither of them has such a network.
    """
    try:
        naming, targets = match_naming(network, {}, SAVED[network.variant.rank])
        check_fields(network, naming, "The format", {})
    except ValueError as error:
        raise ValueError(f"torchvision and timm have no net such as {network.name!r}. {error}") from error
    return targets
