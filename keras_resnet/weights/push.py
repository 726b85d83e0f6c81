"""Upload of networks to the Hugging Face hub, in a format that timm can also read."""

import json
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras

from keras_resnet.errors import warn
from keras_resnet.network import Network, require_network
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.variants import VARIANTS, differences, field_names
from keras_resnet.weights.hub import huggingface_hub
from keras_resnet.weights.pretrained import checkpoints, save_pretrained, timm_names

# Networks of timm without published weights: row -> architecture. The other networks are in `checkpoints`.
UNPUBLISHED = {
    "resnet152v2": "resnetv2_152",
    **{row: row for row in ("resnet50t", "resnetv2_50d", "seresnet18", "seresnet34", "seresnet101", "seresnet152")},
}
CARD = """\
---
{header}
---

# {repository}

A residual network for images, in [Keras](https://keras.io), built with the Python package `keras-resnet-family`.

| Property | Value |
|---|---|
{table}

## Usage with Keras

Install it with `pip install "keras-resnet-family[weights]"`.

```python
import keras_resnet

model = {call}
outputs = model({images})
```
"""
CARD_TIMM = """
## Usage with timm

```python
import timm

model = timm.create_model("hf-hub:{repository}", pretrained=True)
```
"""


def push_to_hub(
    model: keras.Model,
    repository: str,
    *,
    commit_message: str | None = None,
    private: bool | None = None,
    revision: str | None = None,
    license: str | None = None,
    datasets: str | list[str] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> str:
    """Uploads a network to the Hugging Face hub: `model.safetensors`, `config.json` and a model card.

    `load_pretrained` and the argument `weights` can load the repository. `timm.create_model("hf-hub:org/name")` can
    also load it if timm has the same network. The upload requires `pip install 'keras-resnet-family[weights]'` and a
    login with `hf auth login`.

    Args:
        model: A network built by this package, or a model that contains one. Only the network is uploaded. A warning is
            issued if its `preprocessing` is None.
        repository: Name of the repository, `"org/name"`. It is created if it does not exist.
        commit_message: First line of the commit message. Defaults to `"Upload"` and the name of the network.
        private: Whether the repository is private. Must be the current state if the repository exists. Defaults to the
            current state, or to the default of the hub for a new repository.
        revision: Branch. It is created if it does not exist. Defaults to `"main"`.
        license: Identifier of the license for the model card, such as `"apache-2.0"`.
        datasets: Name or list of names of the training data sets on the hub, for the model card. For example,
            `"uoft-cs/cifar10"`.
        metrics: Dict of results for the model card, such as `{"accuracy": 0.9125}`.

    Returns:
        `"hf://org/name@commit"`, a `source` of `load_pretrained`.

    Raises:
        ImportError: If huggingface_hub is not installed.
        ValueError: If an argument does not have the described type, if `private` differs from the state of an existing
            repository, if `save_pretrained` cannot write the network, or if it is a video network.
        OSError: If the hub cannot be reached or rejects the upload.

    If the repository already has a `README.md`, it is not replaced. In this case, a warning is issued if `license`,
    `datasets` or `metrics` are given.

    Example:
        >>> keras_resnet.push_to_hub(model, "org/resnet20", license="apache-2.0", metrics={"accuracy": 0.9125})
        'hf://org/resnet20@0123456789abcdef0123456789abcdef01234567'
    """
    hub, network = huggingface_hub(), require_network(model)
    if not isinstance(repository, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"repository must be 'org/name'. Received: {repository!r}")
    metadata = _checked_metadata(license, datasets, metrics)
    if network.variant.rank != 2:
        raise ValueError(f"model must be a network of images, as timm has them. Received: {network.name!r}, of clips")
    if network.preprocessing is None:
        warn(f"The preprocessing of {network.name!r} is not known. Set model.preprocessing before the upload.")
    with TemporaryDirectory() as folder:
        write_repository(network, Path(folder), repository, metadata)
        try:
            api = hub.HfApi()
            api.create_repo(repository, private=private, exist_ok=True)
            if private is not None and bool(api.model_info(repository).private) != private:
                raise ValueError(f"private must be as it is for {repository!r}, which exists. Received: {private!r}")
            if revision is not None:
                api.create_branch(repository, branch=revision, exist_ok=True)
            kept = ["README.md"] if api.file_exists(repository, "README.md", revision=revision) else None
            if kept and metadata:
                warn(f"{repository!r} has a README.md, which is kept: license, datasets and metrics are not used.")
            options = {"commit_message": commit_message or f"Upload {network.name}", "ignore_patterns": kept}
            commit = api.upload_folder(repo_id=repository, folder_path=folder, revision=revision, **options)
        except ValueError:
            raise
        except Exception as error:  # huggingface_hub and its HTTP client raise many types of errors
            raise OSError(f"{repository!r} could not be written. Is `hf auth login` done? {error}") from error
    return f"hf://{repository}@{commit.oid}"


def _checked_metadata(license: Any, datasets: Any, metrics: Any) -> dict[str, Any]:
    """Returns the values that are not None. Raises ValueError if a value has a wrong type, see `push_to_hub`."""
    datasets = [datasets] if isinstance(datasets, str) else datasets
    if not isinstance(license, str | None):
        raise ValueError(f"license must be a string such as 'apache-2.0'. Received: {license!r}")
    if datasets is not None and not (isinstance(datasets, list) and all(isinstance(name, str) for name in datasets)):
        raise ValueError(f"datasets must be a string or a list of strings. Received: {datasets!r}")
    if not isinstance(metrics, Mapping | None):
        raise ValueError(f"metrics must be a dict {{name: value}}. Received: {metrics!r}")
    metadata = {"license": license, "datasets": datasets, "metrics": metrics}
    return {name: value for name, value in metadata.items() if value is not None}


def write_repository(network: Network, folder: Path, repository: str, metadata: Mapping[str, Any]) -> None:
    """Writes the files of `push_to_hub`. `metadata` contains its arguments `license`, `datasets` and `metrics`."""
    save_pretrained(network, folder / "model.safetensors")
    config = timm_config(network)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    card = model_card(network, repository, metadata, in_timm="architecture" in config)
    (folder / "README.md").write_text(card, encoding="utf-8")


def timm_config(network: Network) -> dict[str, Any]:
    """Returns the `config.json` as timm's `save_config_for_hf` writes it.

    It has no `architecture` if timm does not have the network.
    """
    modules = {target.layer: target.tensor.rpartition(".")[0] for target in timm_names(network)}
    head = "predictions" in modules
    pixels: dict[str, Any] = {"first_conv": modules.get("conv1_conv") or modules["conv1_1_conv"]}
    if head:
        pixels["classifier"] = modules["predictions"]
    if (preprocessing := network.preprocessing) is not None and preprocessing.channels == "rgb":
        pixels |= timm_preprocessing(preprocessing, network.input_shape[-1])
    config = {
        "architecture": timm_architecture(network),
        "num_classes": network.variant.classes if head else 0,
        "num_features": network.get_layer("predictions").kernel.shape[0] if head else network.output_shape[-1],
        "pretrained_cfg": pixels,
    }
    return {name: value for name, value in config.items() if value is not None}


def timm_architecture(network: Network) -> str | None:
    """Returns the name of the network in timm that computes the same outputs, or None if there is none."""
    is_bgr = network.preprocessing is not None and network.preprocessing.channels != "rgb"
    if is_bgr or network.input_shape[-1] != 3 or getattr(network.variant, "output_stride", None):
        return None
    timm = {name: known["row"] for name, known in checkpoints().items() if name.startswith("timm/")}
    rows = UNPUBLISHED | {row: name.removeprefix("timm/").partition(".")[0] for name, row in timm.items()}
    return next((rows[row] for row in rows if not differences(network.variant, VARIANTS[row])), None)


def timm_preprocessing(preprocessing: Preprocessing, channels: int) -> dict[str, Any]:
    """Returns the preprocessing of RGB images as settings of timm, which refer to pixels from 0 to 1."""
    size, resize = preprocessing.size, preprocessing.resize
    crops = (round(size / resize, digits) for digits in range(1, 9))
    return {
        "input_size": [channels, size, size],
        "interpolation": preprocessing.interpolation,
        # timm computes int(size / crop_pct), so the crop is chosen such that this is `resize`
        "crop_pct": next((crop for crop in crops if crop and int(size / crop) == resize), size / (resize + 0.5)),
        "mean": [value * preprocessing.scale / 255 for value in preprocessing.mean],
        "std": [value * preprocessing.scale / 255 for value in preprocessing.std],
    }


def model_card(network: Network, repository: str, metadata: Mapping[str, Any], in_timm: bool) -> str:
    """Returns the text of `README.md`."""
    from huggingface_hub import ModelCardData

    metrics, preprocessing = metadata.get("metrics", {}), network.preprocessing
    header = ModelCardData(
        library_name="keras",
        pipeline_tag="image-classification",
        tags=["image-classification", "keras", "resnet", *(["timm"] if in_timm else [])],
        **{**metadata, "metrics": list(metrics) or None},
    )
    row, fields = nearest_row(network)
    shape, size = network.input_shape[1:], network.variant.image_size
    head = any(layer.name == "predictions" for layer in network.layers)
    arguments = fields | ({} if head else {"include_top": False})
    if head and preprocessing is not None and not network.includes_preprocessing:
        shape = (preprocessing.size, preprocessing.size, shape[2])  # the shape of the images in the example of the card
    if shape != ((size, size, 3) if head else (None, None, 3)):
        arguments["input_shape"] = shape
    if network.includes_preprocessing:
        arguments["include_preprocessing"] = True
    steps, images = "not known", "images"
    if preprocessing is not None:
        images = "images" if network.includes_preprocessing else 'model.preprocessing("image.jpg")'
        steps = (
            f"resize the shorter side to {preprocessing.resize} ({preprocessing.interpolation}); crop the central "
            f"{preprocessing.size} x {preprocessing.size} pixels; ({preprocessing.channels.upper()} / "
            f"{preprocessing.scale:g} - mean) / std with mean {preprocessing.mean} and std {preprocessing.std}"
        )
    shapes = [weight.shape for weight in network.weights if "moving_" not in weight.path]
    table = {
        "Network": f"`{_call(row, fields)}`",
        "Parameters": f"{sum(map(prod, shapes)):,}",
        "Input": " x ".join(str(size or "any") for size in shape),
        "Classes": network.variant.classes if head else "no classifier",
        "Preprocessing": steps + (", included in the network" if network.includes_preprocessing else ""),
        **{name: f"{value:g}" for name, value in metrics.items()},
    }
    return (CARD + (CARD_TIMM if in_timm else "")).format(
        header=header.to_yaml(),
        repository=repository,
        table="\n".join(f"| {name} | {value} |" for name, value in table.items()),
        call=_call(row, arguments | {"weights": f"hf://{repository}"}),
        images=images,
    )


def _call(row: str, arguments: Mapping[str, Any]) -> str:
    words = [repr(row), *(f"{name}={value!r}" for name, value in arguments.items())]
    return f"keras_resnet.ResNet({', '.join(words)})".replace("'", '"')


def nearest_row(network: Network) -> tuple[str, dict[str, Any]]:
    """Returns the row with the fewest fields that differ from those of `network`, and these fields."""
    variant = network.variant
    rows = {
        row: {
            name: value
            for name in field_names(variant)
            if (value := getattr(variant, name)) != getattr(published, name)
        }
        for row, published in VARIANTS.items()
        if type(published) is type(variant)
    }
    return min(rows.items(), key=lambda item: (len(item[1]), item[0] != network.name))
