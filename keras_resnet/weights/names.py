"""What other projects call our layers: one table a project, from the names of our layers to those of their modules."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import keras

Rules = tuple[tuple[str, str], ...]

# In the templates: {stage} and {block} count from 0, {i} is the weight layer, counted from 1, {next} the one after it;
# {deep} and {deep_bn} are its places in a stem of several; {pool} is 1 where the projections of the net pool, else 0.
BLOCK = r"conv(?P<stage>\d+)_block(?P<block>\d+)"
NORM = r"(?:bn|gn)"

TORCHVISION: Rules = (
    (r"conv1_conv", "conv1"),
    (rf"conv1_{NORM}", "bn1"),
    (r"conv1_(?P<i>\d)_conv", "conv1.{deep}"),
    (rf"conv1_3_{NORM}", "bn1"),
    (rf"conv1_(?P<i>\d)_{NORM}", "conv1.{deep_bn}"),
    (r"pool1_conv", "maxpool.0"),
    (rf"pool1_{NORM}", "maxpool.1"),
    (rf"{BLOCK}_0_conv", "layer{layer}.{block}.downsample.{pool}"),
    (rf"{BLOCK}_0_{NORM}", "layer{layer}.{block}.downsample.{pool_bn}"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "layer{layer}.{block}.conv{i}"),
    (rf"{BLOCK}_(?P<i>\d)_{NORM}", "layer{layer}.{block}.bn{i}"),
    (rf"{BLOCK}_preact_bn", "layer{layer}.{block}.bn0"),  # iResNet
    (rf"{BLOCK}_add_bn", "layer{layer}.{block}.bn3"),
    (rf"{BLOCK}_se_fc(?P<i>\d)", "layer{layer}.{block}.se.fc{i}"),
    (rf"{BLOCK}_eca_conv", "layer{layer}.{block}.se.conv"),
    (r"predictions", "fc"),
)
TIMM_V2: Rules = (
    (r"conv1_conv", "stem.conv"),
    (r"conv1_(?P<i>\d)_conv", "stem.conv{i}"),
    (rf"conv1_(?P<i>\d)_{NORM}", "stem.norm{i}"),
    (rf"{BLOCK}_preact_{NORM}", "stages.{stage}.blocks.{block}.norm1"),
    (rf"{BLOCK}_0_conv", "stages.{stage}.blocks.{block}.downsample.conv"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "stages.{stage}.blocks.{block}.conv{i}"),
    (rf"{BLOCK}_(?P<i>\d)_{NORM}", "stages.{stage}.blocks.{block}.norm{next}"),
    (rf"post_{NORM}", "norm"),
    (r"predictions", "head.fc"),
)
HUGGING_FACE: Rules = (
    (r"conv1_conv", "resnet.embedder.embedder.convolution"),
    (r"conv1_bn", "resnet.embedder.embedder.normalization"),
    (rf"{BLOCK}_0_conv", "resnet.encoder.stages.{stage}.layers.{block}.shortcut.convolution"),
    (rf"{BLOCK}_0_bn", "resnet.encoder.stages.{stage}.layers.{block}.shortcut.normalization"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "resnet.encoder.stages.{stage}.layers.{block}.layer.{before}.convolution"),
    (rf"{BLOCK}_(?P<i>\d)_bn", "resnet.encoder.stages.{stage}.layers.{block}.layer.{before}.normalization"),
    (r"predictions", "classifier.1"),
)
DENSENET: Rules = (
    (r"conv1_conv", "features.conv0"),
    (rf"conv1_{NORM}", "features.norm0"),
    (rf"{BLOCK}_0_{NORM}", "features.denseblock{layer}.denselayer{layer_in_block}.norm1"),
    (rf"{BLOCK}_1_conv", "features.denseblock{layer}.denselayer{layer_in_block}.conv1"),
    (rf"{BLOCK}_1_{NORM}", "features.denseblock{layer}.denselayer{layer_in_block}.norm2"),
    (rf"{BLOCK}_2_conv", "features.denseblock{layer}.denselayer{layer_in_block}.conv2"),
    (rf"pool(?P<stage>\d+)_{NORM}", "features.transition{layer}.norm"),
    (r"pool(?P<stage>\d+)_conv", "features.transition{layer}.conv"),
    (rf"post_{NORM}", "features.norm5"),
    (r"predictions", "classifier"),
)


def renamed(rules: Rules, layer: str, module: str) -> Rules:
    return tuple((pattern, module if pattern == layer else template) for pattern, template in rules)


# the project -> its rules
NAMINGS: dict[str, Rules] = {
    "torchvision": TORCHVISION,  # and timm, fb.resnet.torch's ports, chenyaofo
    "akamaster": renamed(TORCHVISION, "predictions", "linear"),
    "timm v2": TIMM_V2,
    "Hugging Face": HUGGING_FACE,
    "densenet": DENSENET,
}

# the last part of the path of a Keras variable -> of a PyTorch tensor
VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


class Named(NamedTuple):
    """A variable of ours and the tensor of theirs."""

    variable: keras.Variable
    tensor: str
    layer: str


def module_name(rules: Rules, layer: str, pool: int) -> str | None:
    """What the project calls the layer; None where it has no word for it."""
    for pattern, template in rules:
        if match := re.fullmatch(pattern, layer):
            stage, block, i = (int(match.groupdict().get(name) or 1) for name in ("stage", "block", "i"))
            return template.format(
                stage=stage - 2,
                layer=stage - 1,
                block=block - 1,
                layer_in_block=block,
                i=i,
                next=i + 1,
                before=i - 1,
                deep=3 * (i - 1),
                deep_bn=3 * (i - 1) + 1,
                pool=pool,
                pool_bn=pool + 1,
            )
    return None


def named_variables(model: keras.Model, naming: str) -> Iterator[Named]:
    """Every variable of the model with its name in a row of NAMINGS; ValueError where the row has none for it."""
    pool = int(any(re.fullmatch(rf"{BLOCK}_0_pool", layer.name) for layer in model.layers))
    for layer in model.layers:
        variables = [variable for variable in layer.weights if variable.path.split("/")[-1] in VARIABLES]
        if not variables:
            continue
        module = module_name(NAMINGS[naming], layer.name, pool)
        if module is None:
            raise ValueError(
                f"The naming {naming!r} has no name for the layer {layer.name!r}. It is right for nets of another kind."
            )
        for variable in variables:
            yield Named(variable, f"{module}.{VARIABLES[variable.path.split('/')[-1]]}", layer.name)
