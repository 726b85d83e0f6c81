"""Checks whether a file contains the weights of the same network as a model.

The names and shapes of the weights are not sufficient for this check. For example, strides have no weights.
"""

from collections.abc import Mapping
from typing import Any

from keras_resnet.network import Network
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.shortcuts import SHORTCUTS
from keras_resnet.stems import STEMS
from keras_resnet.variants import Variant, comparable
from keras_resnet.weights.names import find_naming

# Fields of the networks of other projects, unless the naming of a project implies others: field -> allowed values.
COMMON: dict[str, tuple] = {
    "rank": (2,),
    "order": ("original",),
    "stem": tuple(stem for stem in STEMS if stem not in ("7x7_unpooled", "7x7_zeros")),
    "first_stride": (1,),
    "stride_block": ("first",),
    "bottleneck_stride": ("3x3",),
    "shortcut": tuple(
        name for name in SHORTCUTS if name not in ("max_pooled_projection", "channel_projection", "linear_projection")
    ),
    "weight_standardization": (False,),
    "gn_groups": (32,),
    "conv_padding": ("symmetric",),
    "bn_epsilon": (1e-5,),
}


def check_fields(network: Network, naming: str, source: str, known: Mapping[str, Any], pooled: bool = False) -> None:
    """Raises ValueError if the project with this naming has no network with the variant of `network`.

    `known` contains the fields that are known from the source. `pooled` is whether the projections of the source pool,
    for sources in which only the layers show it.
    """
    row = network.variant
    ours, allowed = comparable(row), COMMON | implied(row, naming, pooled) | {name: (known[name],) for name in known}
    wrong = {name: ours[name] for name in allowed if ours.get(name) is not None and ours[name] not in allowed[name]}
    if wrong:
        needs = [
            f"{name} must be {allowed[name][0]!r}"
            if len(allowed[name]) == 1
            else f"{name} must be one of {list(allowed[name])}"
            for name in wrong
        ]
        raise ValueError(
            f"{source} holds the weights of another network than {network.name!r}, with the same names and shapes: "
            f"{'; '.join(needs)}. Received: {wrong}"
        )


def implied(row, naming: str, pooled: bool) -> dict[str, tuple]:
    """Returns the fields that a naming implies for a network such as `row`: field -> allowed values."""
    fields = dict(find_naming(naming).implies)
    if not isinstance(row, Variant):
        return fields
    if naming == "timm v2":
        pooled = STEMS[row.stem].weight_layers > 1
        if row.norm == "gn" and not pooled:  # BiT with the layer names of timm
            fields |= find_naming("BiT").implies
    if "shortcut" not in fields and not find_naming(naming).names_pool:
        fields["shortcut"] = tuple(name for name in COMMON["shortcut"] if (name == "pooled_projection") == pooled)
    if row.block != "bottleneck":
        fields["bottleneck_stride"] = (row.bottleneck_stride,)
    return fields


def check_preprocessing(network: Network, theirs: Preprocessing | None, source: str) -> None:
    """Raises ValueError if the model includes another normalization than the normalization of the training."""
    ours = network.preprocessing if network.includes_preprocessing else None
    if theirs is not None and ours is not None and not ours.is_like(theirs):
        raise ValueError(
            f"{source} was trained on pixels with mean {theirs.mean} and standard deviation {theirs.std} (of pixels of "
            f"0 to {theirs.scale:g}, {theirs.channels}). {network.name!r} includes another normalization: "
            f"include_preprocessing must be True or {theirs}."
        )
