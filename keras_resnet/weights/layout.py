"""What the names of weights do not tell: where a net strides, pads with zero channels, and puts its ReLUs.

Two nets may have the same weights under the same names and compute something else. A checkpoint is of one of them.
"""

import re

import keras

from keras_resnet.weights.names import NAMINGS

BLOCK = re.compile(r"(conv\d+_block\d+)_(out|concat)")


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


def check_layout(model: keras.Model, naming: str, source: str) -> None:
    """ValueError where `model` has the weights of the nets that `naming` is of, and is none of them."""
    rules = NAMINGS[naming]
    steps, name = last_block(model)
    n = sum(step.endswith("_conv") for step in steps)
    expected = ORDERS[rules.order](n).split()
    if steps != expected:
        raise ValueError(
            f"{source} is of nets whose blocks go {' '.join(expected)!r}. The weights fit, but {model.name!r} computes "
            f"{' '.join(steps)!r} in {name}: the order of BN and ReLU must be {rules.order!r}."
        )
    names = {layer.name for layer in model.layers}
    pooled = [layer.name for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    stage_wise = rules.order == "stage_wise"
    if not stage_wise and any(name.endswith("_0_pool") for name in pooled):
        raise ValueError(
            f"{source} is of nets whose projections take means. The weights fit, but {model.name!r} takes maxima: "
            "shortcut must be 'pooled_projection'."
        )
    stem = model.get_layer("conv1_conv" if "conv1_conv" in names else "conv1_1_conv")
    if not stage_wise and max(stem.strides) > 1 and not names & {"pool1_pool", "pool1_conv"}:
        raise ValueError(f"{source} is of nets that pool after conv1, and {model.name!r} does not: stem must be '7x7'.")
    for layer in model.layers:
        if re.fullmatch(r"conv\d+_block\d+_1_conv", layer.name) and n == 3 and max(layer.strides) > 1:
            raise ValueError(
                f"{source} is of nets that stride in the 3x3 layer of a bottleneck, {model.name!r} strides in "
                f"{layer.name!r}. Build it with bottleneck_stride='3x3'."
            )
    if rules.zero_channels is not None:
        sides = {layer.side for layer in model.layers if hasattr(layer, "side")}
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
