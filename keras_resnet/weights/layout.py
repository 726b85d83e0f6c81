"""What the names of weights do not tell: where a net strides, pads with zero channels, and puts its ReLUs.

Two nets may have the same weights under the same names and compute something else. A checkpoint is of one of them.
"""

import re

import keras

from keras_resnet.layers import StandardizedConv2D
from keras_resnet.preprocessing import Preprocessing, normalization_of
from keras_resnet.weights.names import find_naming

BLOCK = re.compile(r"(conv\d+_block\d+)_(out|concat)")
STRIDES = re.compile(r"conv\d+_block\d+_([12])_conv")


def _weight_layers(n: int, end: str) -> str:
    """BN and ReLU between n weight layers, and `end` after the last."""
    return " ".join(f"{i}_conv {i}_bn {i}_relu" for i in range(1, n)) + f" {n}_conv {end}"


# the order of BN and ReLU in a project's nets -> the layers of the last block, by its number of weight layers
ORDERS = {
    "original": lambda n: _weight_layers(n, f"{n}_bn out"),
    "preactivation": lambda n: "preact_bn preact_relu " + _weight_layers(n, "out"),
    "stage_wise": lambda n: "preact_bn preact_relu " + _weight_layers(n, "add_bn out"),
    "dense": lambda n: " ".join(f"{i}_bn {i}_relu {i + 1}_conv" for i in range(n)) + " concat",
}


def check_layout(
    model: keras.Model, naming: str, source: str, bottleneck_stride: str = "3x3", pooled: bool = False
) -> None:
    """ValueError where `model` has the weights of the nets that `naming` is of, and is none of them.

    `bottleneck_stride` is theirs, and whether their projections are `pooled`, where a file tells.
    """
    rules, layers = find_naming(naming), model.layers
    steps, name = last_block(model)
    n = sum(step.endswith("_conv") for step in steps)
    expected = ORDERS[rules.order](n).split()
    if steps != expected:
        raise ValueError(
            f"{source} is of nets whose blocks go {' '.join(expected)!r}. The weights fit, but {model.name!r} computes "
            f"{' '.join(steps)!r} in {name}: the order of BN and ReLU must be {rules.order!r}."
        )
    names = {layer.name for layer in layers}
    maxima = [layer.name for layer in layers if isinstance(layer, keras.layers.MaxPooling2D)]
    stage_wise = rules.order == "stage_wise"
    if not stage_wise and any(name.endswith("_0_pool") for name in maxima):
        raise ValueError(
            f"{source} is of nets whose projections take means. The weights fit, but {model.name!r} takes maxima: "
            "shortcut must be 'pooled_projection'."
        )
    # torchvision and timm count the pool among the modules of a shortcut; of timm's V2 nets those with a deep stem pool
    pooled = "conv1_2_conv" in names if naming == "timm v2" else pooled
    unsaid = naming in ("Hugging Face", "kuangliu", "BiT", "timm v2", "keras-hub", "keras-hub v2", "xternalz")
    if unsaid and pooled != any(name.endswith("_0_pool") for name in names):
        raise ValueError(
            f"{source} is of nets whose projections {'take means' if pooled else 'stride'}. The weights fit, but those "
            f"of {model.name!r} do not: shortcut must be {'pooled_projection' if pooled else 'projection'!r}."
        )
    stem = next(layer for layer in layers if layer.name in ("conv1_conv", "conv1_1_conv"))
    if not stage_wise and max(stem.strides) > 1 and not names & {"pool1_pool", "pool1", "pool1_conv"}:
        raise ValueError(f"{source} is of nets that pool after conv1, and {model.name!r} does not: stem must be '7x7'.")
    convolutions = [layer for layer in layers if STRIDES.fullmatch(layer.name)]
    strided = [layer.name for layer in convolutions if max(layer.strides) > 1]
    late = any("_block1_" not in name for name in strided)
    if strided and not any(max(layer.dilation_rate) > 1 for layer in convolutions):
        # where a stage is one block, that is its first and its last: then the last stage does not stride
        late = late or strided[-1].split("_")[0] != convolutions[-1].name.split("_")[0]
    if late:
        raise ValueError(
            f"{source} is of nets that stride in the first block of a stage. The weights fit, but {model.name!r} "
            f"strides in {strided[-1]}: stride_block must be 'first'."
        )
    if n == 3 and stride_of(model) not in (None, bottleneck_stride):
        raise ValueError(
            f"{source} is of nets that stride in the {bottleneck_stride} layer of a bottleneck, {model.name!r} strides "
            f"in the {stride_of(model)}. Build it with bottleneck_stride={bottleneck_stride!r}."
        )
    ours = first_shortcut_of(model)
    if rules.first_shortcut and ours not in (None, rules.first_shortcut):
        raise ValueError(
            f"{source} is of nets whose first block adds the {rules.first_shortcut} output of the stem. The weights "
            f"fit, but {model.name!r} adds the {ours} one: first_shortcut must be {rules.first_shortcut!r}."
        )
    standardized = any(isinstance(layer, StandardizedConv2D) for layer in layers)
    # in timm's names a net with GroupNorm is BiT's, whose stem is one 7x7, or resnetv2_50d_gn, whose stem is deep
    is_bit = naming == "timm v2" and any(name.endswith("_gn") for name in names) and "conv1_2_conv" not in names
    needs = naming == "BiT" or is_bit
    if standardized != needs:
        raise ValueError(
            f"{source} is of nets whose kernels are {'' if needs else 'not '}standardized. The weights fit, but those "
            f"of {model.name!r} are{'' if standardized else ' not'}: weight_standardization must be {needs}."
        )
    groups = {layer.groups for layer in layers if isinstance(layer, keras.layers.GroupNormalization)} - {32}
    if groups:
        raise ValueError(
            f"{source} is of nets whose GroupNormalization has 32 groups. The weights fit, but that of {model.name!r} "
            f"has {groups.pop()}: gn_groups must be 32."
        )
    projects = any(re.fullmatch(r"conv\d+_block\d+_0_conv", name) for name in names)
    if rules.zero_channels is not None and not projects:
        sides = {layer.side for layer in layers if hasattr(layer, "side")}
        if sides != {rules.zero_channels}:
            raise ValueError(
                f"{source} is of nets with shortcut='zero_pad' and zero_channels={rules.zero_channels!r}. The weights "
                f"fit, but {model.name!r} {'pads at ' + repr(*sides) if sides else 'has no such shortcut'}."
            )


def last_block(model: keras.Model) -> tuple[list[str], str]:
    """The steps of F in the last block, such as ["1_conv", "1_bn", "1_relu", ...], and the name of that block."""
    names = [layer.name for layer in model.layers]
    ends = [match for name in names if (match := BLOCK.fullmatch(name))]
    if not ends:
        raise ValueError(
            "model must be a net of keras_resnet, whose blocks end in layers called conv2_block1_out. "
            f"Received: {model.name!r}"
        )
    block = ends[-1][1]
    steps = [name.removeprefix(f"{block}_") for name in names if name.startswith(f"{block}_")]
    beside = re.compile(r"0_(conv|pad|pool|zero_pad)|.*_(pad|dropout|drop_path)|(se|eca)_.*|drop_path|add")
    if any(step.endswith("concat") for step in steps):
        beside = re.compile(r".*_dropout")
    steps = [step.replace("_gn", "_bn") for step in steps if not beside.fullmatch(step)]
    return [step for step in steps if step != "0_bn" or "concat" in steps], block


def stride_of(model: keras.Model) -> str | None:
    """The weight layer of a bottleneck that strides, "1x1" or "3x3"; None where none does."""
    for layer in model.layers:
        match = STRIDES.fullmatch(layer.name)
        if match and max(layer.strides) > 1:
            return {"1": "1x1", "2": "3x3"}[match[1]]
    return None


def shortcut_of(model: keras.Model) -> str:
    """What the names of weights do not tell of the shortcuts: "zero_pad both", "zero_pad end", "identity", "none", or
    else "projection".
    """
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        if hasattr(layer, "side"):
            return f"zero_pad {layer.side}"
    if any(re.fullmatch(r"conv\d+_block\d+_0_conv", name) for name in names):
        return "projection"
    adds = any(isinstance(layer, keras.layers.Add | keras.layers.Concatenate) for layer in model.layers)
    return "identity" if adds else "none"


def first_shortcut_of(model: keras.Model) -> str | None:
    """The field `first_shortcut` of a pre-activated net whose first block has an identity shortcut; else None."""
    layers = {layer.name: layer for layer in model.layers}
    activation = layers.get("conv2_block1_preact_relu")
    addition = layers.get("conv2_block1_add", layers.get("conv2_block1_out"))
    if activation is None or "conv2_block1_0_conv" in layers or not isinstance(addition, keras.layers.Add):
        return None
    source = addition.input[0]
    if (pad := layers.get("conv2_block1_0_zero_pad")) is not None:
        source = pad.input
    return "activated" if source is activation.output else "raw"


def check_shortcut(model: keras.Model, theirs: str | None, source: str) -> None:
    if theirs is not None and shortcut_of(model) != theirs:
        raise ValueError(
            f"{source} is of a net with the shortcut {theirs!r}. The weights fit, but that of {model.name!r} is "
            f"{shortcut_of(model)!r}."
        )


def check_preprocessing(model: keras.Model, theirs: Preprocessing | None, source: str) -> None:
    """ValueError where the model normalizes its pixels in another way than those that the weights were trained on."""
    ours = normalization_of(model)
    if theirs is not None and ours is not None and not ours.is_like(theirs):
        raise ValueError(
            f"{source} was trained on pixels less {theirs.mean} over {theirs.std} (of {theirs.scale:g}, "
            f"{theirs.channels}). {model.name!r} normalizes in another way: "
            f"include_preprocessing must be True or {theirs}."
        )
