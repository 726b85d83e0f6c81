"""One model, one line. A row names its choices; what they mean stands in the tables of the other modules."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Variant:
    """A net of the family. Each field may be replaced: `ResNet("resnet56", shortcut="projection_all")`."""

    block: str  # a name of blocks.BLOCKS
    depths: tuple[int, ...]  # blocks in conv2_x, conv3_x, ...; each stage after the first halves the map
    filters: int = 64  # of conv2_x; each further stage doubles them
    groups: int = 1  # of the 3x3 layer of a bottleneck: the cardinality of ResNeXt,
    base_width: int = 64  # and the width of each where conv2_x has 64 filters
    stem: str = "7x7"  # a name of stems.STEMS
    shortcut: str = "projection"  # a name of shortcuts.SHORTCUTS
    order: str = "original"  # a name of blocks.ORDERS
    bottleneck_stride: str = "3x3"  # the weight layer of a bottleneck that strides: "3x3" (v1.5) or "1x1" (v1)
    zero_channels: str = "both"  # where zero_pad puts the new channels: "both" sides or the "end"
    zero_init_residual: bool = False  # F begins at zero
    weight_decay: float = 0.0  # of the papers: the gradient is weight_decay * w, on kernels only
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    image_size: int = 224  # of the data set that the row was published for,
    classes: int = 1000  # and its classes


def field_names() -> list[str]:
    return [field.name for field in fields(Variant)]


V2: dict[str, Any] = dict(order="preactivation")
RESNEXT_32X4D: dict[str, Any] = dict(groups=32, base_width=4)
PLAIN: dict[str, Any] = dict(shortcut="none")
CIFAR: dict[str, Any] = dict(stem="3x3", filters=16, image_size=32, classes=10)

# weight layers that one more block in each of the three CIFAR stages adds: depth = 6n + 2 and 9n + 2
CIFAR_STEP = {"building_block": 6, "bottleneck": 9}


def cifar(depth: int, block: str = "building_block", **choices) -> Variant:
    """The CIFAR net of `depth` weight layers, n blocks in each of three stages (He 2015, section 4.2; He 2016).

    Its shortcut is the papers': zero_pad between building blocks, projection between bottlenecks.
    Raises ValueError where `depth` is not 6n + 2 (building blocks) or 9n + 2 (bottlenecks).
    """
    if block not in CIFAR_STEP:
        raise ValueError(f"block must be one of {list(CIFAR_STEP)}. Received: {block!r}")
    step = CIFAR_STEP[block]
    if not hasattr(depth, "__index__") or depth < step + 2 or (depth - 2) % step:
        legal = ", ".join(str(step * n + 2) for n in range(1, 7))
        raise ValueError(f"depth must be {step}n + 2 with the block {block!r}: {legal}, ... Received: {depth!r}")
    shortcut = {"building_block": "zero_pad", "bottleneck": "projection"}[block]
    n = (int(depth) - 2) // step
    return Variant(block, (n, n, n), **{**CIFAR, "shortcut": shortcut, **choices})


# fmt: off
VARIANTS: dict[str, Variant] = {
    # ImageNet: He 2015, Table 1
    "plain18":      Variant("building_block", (2, 2, 2, 2), **PLAIN),
    "plain34":      Variant("building_block", (3, 4, 6, 3), **PLAIN),
    "resnet18":     Variant("building_block", (2, 2, 2, 2)),
    "resnet34":     Variant("building_block", (3, 4, 6, 3)),
    "resnet50":     Variant("bottleneck",     (3, 4, 6, 3)),
    "resnet101":    Variant("bottleneck",     (3, 4, 23, 3)),
    "resnet152":    Variant("bottleneck",     (3, 8, 36, 3)),

    # ImageNet: Xie et al. 2017, arXiv:1611.05431, Table 1
    "resnext50_32x4d": Variant("bottleneck",  (3, 4, 6, 3),  **RESNEXT_32X4D),

    # ImageNet: He 2016, section 5
    "resnet50v2":   Variant("bottleneck",     (3, 4, 6, 3),  **V2),
    "resnet101v2":  Variant("bottleneck",     (3, 4, 23, 3), **V2),
    "resnet152v2":  Variant("bottleneck",     (3, 8, 36, 3), **V2),

    # CIFAR: He 2015, Table 6 and Fig. 6
    "plain20":      cifar(20,  **PLAIN),
    "plain32":      cifar(32,  **PLAIN),
    "plain44":      cifar(44,  **PLAIN),
    "plain56":      cifar(56,  **PLAIN),
    "plain110":     cifar(110, **PLAIN),
    "resnet20":     cifar(20),
    "resnet32":     cifar(32),
    "resnet44":     cifar(44),
    "resnet56":     cifar(56),
    "resnet110":    cifar(110),
    "resnet1202":   cifar(1202),

    # CIFAR: He 2016, Table 3
    "resnet110v2":  cifar(110, **V2),
    "resnet164v2":  cifar(164, "bottleneck", **V2),
    "resnet1001v2": cifar(1001, "bottleneck", **V2),
}
# fmt: on
