"""Names of the layers in other projects: one table for each project, from layer names here to module names there."""

import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import NamedTuple

import keras

Rules = tuple[tuple[str, str], ...]

# Placeholders of the templates:
# - {stage} and {block} are counted from 0.
# - {i} is the number of the weight layer, counted from 1. {next} is the number of the next weight layer.
# - {deep} and {deep_bn} are the positions of the convolution and of its BN in a stem with several convolutions.
# - {pool} is 1 if the projections of the network pool, otherwise 0.
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
    (rf"{BLOCK}_se_fc(?P<i>\d)", "layer{layer}.{block}.se.fc{i}"),
    (rf"{BLOCK}_eca_conv", "layer{layer}.{block}.se.conv"),
    (r"predictions", "fc"),
)
# torchvision.models.video: R3D and MC3, then R(2+1)D
VIDEO: Rules = (
    (r"conv1_conv", "stem.0"),
    (r"conv1_bn", "stem.1"),
    (rf"{BLOCK}_0_conv", "layer{layer}.{block}.downsample.0"),
    (rf"{BLOCK}_0_bn", "layer{layer}.{block}.downsample.1"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "layer{layer}.{block}.conv{i}.0"),
    (rf"{BLOCK}_(?P<i>\d)_bn", "layer{layer}.{block}.conv{i}.1"),
    (r"predictions", "fc"),
)
VIDEO_FACTORIZED: Rules = (
    (r"conv1_space_conv", "stem.0"),
    (r"conv1_space_bn", "stem.1"),
    (r"conv1_time_conv", "stem.3"),
    (r"conv1_bn", "stem.4"),
    (rf"{BLOCK}_(?P<i>\d)_space_conv", "layer{layer}.{block}.conv{i}.0.0"),
    (rf"{BLOCK}_(?P<i>\d)_space_bn", "layer{layer}.{block}.conv{i}.0.1"),
    (rf"{BLOCK}_(?P<i>\d)_time_conv", "layer{layer}.{block}.conv{i}.0.3"),
    *VIDEO[2:],
)
IRESNET: Rules = (
    (rf"{BLOCK}_preact_bn", "layer{layer}.{block}.bn0"),
    (rf"{BLOCK}_add_bn", "layer{layer}.{block}.bn3"),
    *TORCHVISION,
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
    (NORM, "features.norm5"),
    (r"predictions", "classifier"),
)
# Wide ResNets for CIFAR: github.com/xternalz/WideResNet-pytorch, wideresnet.py
WIDE_RESNET: Rules = (
    (r"conv1_conv", "conv1"),
    (rf"{BLOCK}_preact_bn", "block{layer}.layer.{block}.bn1"),
    (rf"{BLOCK}_0_conv", "block{layer}.layer.{block}.convShortcut"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "block{layer}.layer.{block}.conv{i}"),
    (rf"{BLOCK}_(?P<i>\d)_bn", "block{layer}.layer.{block}.bn{next}"),
    (r"post_bn", "bn1"),
    (r"predictions", "fc"),
)
# DenseNets for CIFAR: github.com/andreasveit/densenet-pytorch, densenet.py
CIFAR_DENSENET: Rules = (
    (r"conv1_conv", "conv1"),
    (rf"{BLOCK}_0_bn", "block{layer}.layer.{block}.bn1"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "block{layer}.layer.{block}.conv{i}"),
    (rf"{BLOCK}_(?P<i>\d)_bn", "block{layer}.layer.{block}.bn{next}"),
    (r"pool(?P<stage>\d+)_(?P<name>bn|conv)", "trans{layer}.{name}1"),
    (r"bn", "bn1"),
    (r"predictions", "fc"),
)

BIT: Rules = (
    (r"conv1_conv", "resnet/root_block/standardized_conv2d"),
    (rf"{BLOCK}_0_conv", "resnet/block{layer}/unit{layer_in_block:02}/a/proj/standardized_conv2d"),
    (rf"{BLOCK}_preact_gn", "resnet/block{layer}/unit{layer_in_block:02}/a/group_norm"),
    (rf"{BLOCK}_(?P<i>\d)_conv", "resnet/block{layer}/unit{layer_in_block:02}/{letter}/standardized_conv2d"),
    (rf"{BLOCK}_(?P<i>\d)_gn", "resnet/block{layer}/unit{layer_in_block:02}/{next_letter}/group_norm"),
    (r"post_gn", "resnet/group_norm"),
    (r"predictions", "resnet/head/conv2d"),
)
OURS: Rules = ((r"(?P<name>.+)", "{name}"), (r"predictions", "predictions"))
# Names of the classifier in projects and in users' own code. The classifier is found separately from the other layers.
CLASSIFIERS = (
    *("fc", "linear", "last_linear", "fc_out", "classifier", "classifier.1", "head.fc", "predictions", "logits"),
    "resnet/head/conv2d",
)
KERAS_HUB: Rules = (
    (r"conv1_(?P<i>\d)_conv", "conv{i}_conv"),
    (r"conv1_(?P<i>\d)_bn", "conv{i}_bn"),
    (rf"{BLOCK}_preact_bn", "stack{stage}_block{block}_pre_activation_bn"),
    (rf"{BLOCK}_(?P<name>.+)", "stack{stage}_block{block}_{name}"),
    (r"(?P<name>(conv1|post)_.+)", "{name}"),
    (r"predictions", "predictions"),
)


def renamed(rules: Rules, layer: str, module: str) -> Rules:
    return tuple((pattern, module if pattern == layer else template) for pattern, template in rules)


# last part of the path of a Keras variable -> last part of the name of a PyTorch tensor
PYTORCH = {
    "kernel": ".weight",
    "bias": ".bias",
    "gamma": ".weight",
    "beta": ".bias",
    "moving_mean": ".running_mean",
    "moving_variance": ".running_var",
}
TENSORFLOW = {name: f"/{name}" for name in PYTORCH}


class Naming(NamedTuple):
    """The names of modules and tensors in a project, the order of the axes of its kernels, and its networks."""

    rules: Rules
    variables: dict[str, str] = PYTORCH
    output_channels_first: bool = (
        True  # kernels are (out, in, [frames,] h, w) instead of ([frames,] h, w, in, out) as in Keras
    )
    implies: Mapping[str, tuple] = {}  # field of Variant -> values in its networks, see compatible.COMMON
    names_pool: bool = False  # whether the names show whether the projections pool

    @property
    def classifier(self) -> str:
        return self.rules[-1][1]

    @property
    def order(self) -> str:
        return self.implies.get("order", ("original",))[0]


# Module names of kuangliu/pytorch-cifar. akamaster uses these names too, but its published networks have option A.
KUANGLIU = renamed(
    renamed(renamed(TORCHVISION, "predictions", "linear"), rf"{BLOCK}_0_conv", "layer{layer}.{block}.shortcut.0"),
    rf"{BLOCK}_0_{NORM}",
    "layer{layer}.{block}.shortcut.1",
)

V2: dict[str, tuple] = {"order": ("preactivation",), "first_shortcut": ("raw",)}
BIT_NETS: dict[str, tuple] = {
    "order": ("preactivation",),
    "stem": ("7x7_zeros",),
    "weight_standardization": (True,),
}
# The networks of akamaster without projections have option A, with zero channels on both sides.
AKAMASTER: dict[str, tuple] = {
    "shortcut": ("zero_pad", "projection", "projection_all", "pooled_projection"),
    "zero_channels": ("both",),
}
APPLICATIONS: dict[str, tuple] = {"bottleneck_stride": ("1x1",), "shortcut": ("projection",)}
APPLICATIONS_V2: dict[str, tuple] = {
    "order": ("preactivation",),
    "stem": ("7x7_zeros",),
    "stride_block": ("last",),
    "shortcut": ("channel_projection",),
    "conv_bias": ("without_bn",),
}
STAGE_WISE: dict[str, tuple] = {
    "order": ("stage_wise",),
    "stem": ("7x7_unpooled",),
    "first_stride": (2,),
    "shortcut": ("max_pooled_projection",),
}
CLIPS: dict[str, tuple] = {
    "rank": (3,),
    "stem": ("7x7_unpooled",),
    "shortcut": ("projection",),
}

NAMINGS: dict[str, Naming] = {
    "torchvision": Naming(TORCHVISION, names_pool=True),  # and timm, chenyaofo
    "akamaster": Naming(renamed(TORCHVISION, "predictions", "linear"), implies=AKAMASTER, names_pool=True),
    "kuangliu": Naming(KUANGLIU),
    # weights of fb.resnet.torch, converted by github.com/Cadene/pretrained-models.pytorch, with biases in convolutions
    "Cadene": Naming(renamed(TORCHVISION, "predictions", "last_linear"), names_pool=True),
    "iResNet": Naming(IRESNET, implies=STAGE_WISE),
    "timm v2": Naming(TIMM_V2, implies=V2),
    "Hugging Face": Naming(HUGGING_FACE),
    "DenseNet": Naming(DENSENET, implies={"order": ("dense",)}),  # torchvision and timm
    "BiT": Naming(BIT, TENSORFLOW, output_channels_first=False, implies=BIT_NETS),
    "xternalz": Naming(WIDE_RESNET, implies=V2),
    "andreasveit": Naming(CIFAR_DENSENET, implies={"order": ("dense",)}),
    "torchvision video": Naming(VIDEO, implies=CLIPS),
    "torchvision (2+1)D": Naming(VIDEO_FACTORIZED, implies=CLIPS | {"convolution": ("factorized",)}),
}
# Keras files: those of this package, which contain the variant, and those of keras.applications and keras-hub
KERAS_NAMINGS: dict[str, Naming] = {
    "keras_resnet": Naming(OURS, TENSORFLOW, output_channels_first=False),
    "keras.applications": Naming(OURS, TENSORFLOW, output_channels_first=False, implies=APPLICATIONS, names_pool=True),
    "keras.applications v2": Naming(OURS, TENSORFLOW, output_channels_first=False, implies=APPLICATIONS_V2),
    "keras-hub": Naming(KERAS_HUB, TENSORFLOW, output_channels_first=False),
    "keras-hub v2": Naming(KERAS_HUB, TENSORFLOW, output_channels_first=False, implies=V2),
}


class Named(NamedTuple):
    """A variable of the model and the name of its tensor in another project."""

    variable: keras.Variable
    tensor: str
    layer: str
    output_channels_first: bool


def find_classifier(tensors: Collection[str], naming: str) -> str | None:
    """Returns the name of the classifier in a file, or None if the file has no classifier with a known name."""
    kernel, own = find_naming(naming).variables["kernel"], find_naming(naming).classifier
    return next((name for name in (own, *CLASSIFIERS) if name + kernel in tensors), None)


def find_naming(naming: str) -> Naming:
    return (NAMINGS | KERAS_NAMINGS)[naming]


@cache
def module_name(naming: str, layer: str, pool: int) -> str | None:
    """Returns the name of the layer in the project, or None if the project has no such layer."""
    for pattern, template in find_naming(naming).rules:
        if match := re.fullmatch(pattern, layer):
            stage, block, i = (int(match.groupdict().get(name) or 1) for name in ("stage", "block", "i"))
            return template.format(
                name=match.groupdict().get("name"),
                stage=stage - 2,
                layer=stage - 1,
                block=block - 1,
                layer_in_block=block,
                i=i,
                next=i + 1,
                before=i - 1,
                letter="abc"[i - 1],
                next_letter="abcd"[i],
                deep=3 * (i - 1),
                deep_bn=3 * (i - 1) + 1,
                pool=pool,
                pool_bn=pool + 1,
            )
    return None


def variables_of(model: keras.Model) -> dict[str, dict[str, keras.Variable]]:
    """Returns a dict for each layer: layer -> {last part of the path: variable}. It is empty without weights."""
    return {
        layer.name: {variable.path.rpartition("/")[2]: variable for variable in layer.weights} for layer in model.layers
    }


def named_variables(model: keras.Model, naming: str) -> list[Named]:
    """Returns every variable of the model with its name in a naming. Raises ValueError if a layer has no name in it."""
    return name_variables(variables_of(model), naming)


def name_variables(layers: dict[str, dict[str, keras.Variable]], naming: str) -> list[Named]:
    names, output_channels_first = find_naming(naming).variables, find_naming(naming).output_channels_first
    pool = int(any(layer.endswith("_0_pool") for layer in layers))
    named = []
    for layer, variables in layers.items():
        if not variables.keys() & PYTORCH.keys():
            continue
        module = module_name(naming, layer, pool)
        if module is None:
            raise ValueError(f"The naming {naming!r} has no name for the layer {layer!r}: it is for other nets.")
        named += [
            Named(variable, module + names[name], layer, output_channels_first) for name, variable in variables.items()
        ]
    return named
