"""The table `VARIANTS`: one row for each network, with the values of its fields.

The tables of the other modules, such as `BLOCKS` and `SHORTCUTS`, define what these values mean.
"""

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from keras_resnet.errors import choose, positive


@dataclass(frozen=True)
class Variant:
    """The fields of a residual network.

    A builder accepts each field as a keyword argument. The argument replaces the value of the row. To make a new
    variant from an existing one, use `dataclasses.replace`. `ResNet` checks the values.

    Args:
        block: Weight layers of a block, a name of `BLOCKS`: `"building_block"` (3x3, 3x3) or `"bottleneck"` (1x1, 3x3,
            1x1 with four times the filters).
        depths: Number of blocks in each stage: conv2_x, conv3_x, ... Each stage after the first halves height and width
            and doubles the filters.
        filters: Filters of conv2_x. Defaults to 64.
        groups: Groups of the 3x3 layer of a bottleneck, the cardinality of ResNeXt. Defaults to 1.
        base_width: Filters in each group of the 3x3 layer of a bottleneck if the block has 64 `filters`. The number is
            proportional to the filters of the block. Defaults to 64.
        stem: Layers before conv2_x, a name of `STEMS` in keras_resnet/stems.py: `"7x7"`, `"3x3"` (CIFAR), `"deep"`, ...
            Defaults to `"7x7"`.
        stem_filters: Filters of the stem. Defaults to None, the filters of conv2_x.
        first_stride: Stride of conv2_x. Defaults to 1.
        output_stride: Input pixels per pixel of the last feature map, such as 8 or 16. A stage that would exceed this
            stride is dilated instead of strided. Defaults to None, no dilation.
        shortcut: The branch that is added to F(x), a name of `SHORTCUTS` or `OPTIONS`. Option C, `"projection_all"`, is
            much less accurate in deep networks: 12.22 % error instead of 6.61 % with 110 layers (He 2016, Table 1).
            Defaults to `"projection"`, option B.
        order: Order of BN, ReLU and weight layers in a block, a name of `ORDERS`, or `"stage_wise"` (arXiv:2004.04989).
            Defaults to `"original"`.
        first_shortcut: Shortcut of the first block, if its input and output have the same shape: `"activated"`, the
            output of the stem after BN and ReLU (He 2016, appendix); `"raw"`, the output of the stem before BN and ReLU
            (Wide ResNet, timm); or `"projection"` (keras-hub). Defaults to `"activated"`.
        stride_block: The block of a stage that has the stride, `"first"` or `"last"` (keras.applications' ResNetV2).
            Defaults to `"first"`.
        bottleneck_stride: The layer of a bottleneck that has the stride, `"3x3"` (v1.5) or `"1x1"` (v1, the paper).
            Defaults to `"3x3"`.
        zero_channels: Position of the new channels in the shortcut `"zero_pad"`: half before and half after the old
            channels (`"both"`), or all after them (`"end"`). Defaults to `"both"`.
        gate: Attention that scales the channels of F(x), a name of `GATES`: `"none"`, `"se"` or `"eca"`. Defaults to
            `"none"`.
        gate_ratio: Channels inside the gate `"se"`, as a fraction of the channels of F(x). Defaults to 1/16.
        zero_init_residual: Whether F(x) is zero at initialization (arXiv:1706.02677, section 5.1). Defaults to False.
        block_dropout: Dropout rate before the last 3x3 layer of a building block (arXiv:1605.07146). Defaults to 0.
        drop_path: Stochastic depth (arXiv:1603.09382): the probability that the last block drops F(x) of an image
            during training. The probability grows linearly from 0 in the first block. Defaults to 0.
        dropout: Dropout rate before the classifier. Defaults to 0.
        norm: Normalization: `"bn"`, `"sync_bn"` (statistics over all replicas) or `"gn"` (arXiv:1803.08494). Defaults
            to `"bn"`.
        gn_groups: Groups of the normalization `"gn"`. The number of channels of every layer must be divisible by
            `gn_groups`. Defaults to 32.
        weight_standardization: Whether kernels are standardized (arXiv:1903.10520). Defaults to False.
        conv_bias: Convolutions that have a bias: `"none"`, `"without_bn"` (convolutions without a BN after them) or
            `"all"`. Defaults to `"none"`.
        conv_padding: Padding of convolutions with a stride: `"symmetric"` (kernel_size // 2 on every side, as in
            PyTorch) or `"same"` (as in TensorFlow). Defaults to `"symmetric"`.
        weight_decay: Weight decay of the papers: `weight_decay / 2 * sum(w ** 2)` of all kernels is added to the loss.
            Defaults to 0.
        bn_momentum: Momentum of BN as in Keras. PyTorch defines it as 1 minus this value: 0.9 here is 0.1 in PyTorch.
            Defaults to 0.9.
        bn_epsilon: Constant that BN (or GN) adds to the variance. Defaults to 1e-5.
        rank: 2 for images, `(b, h, w, c)`, or 3 for video clips, `(b, frames, h, w, c)`. Video networks do not support
            stems and shortcuts that pool, the shortcut `"zero_pad"`, gates, groups, dilation and standardized kernels.
            Defaults to 2.
        convolution: Replacement of each 3x3 convolution in a video network (Tran 2018, arXiv:1711.11248, Fig. 1), a
            name of `CONVOLUTIONS` in keras_resnet/ranks.py: `"full"`, 3x3x3; `"mixed"`, 1x3x3 from conv3_x on; or
            `"factorized"`, 1x3x3, BN, ReLU and 3x1x1. Defaults to `"full"`.
        frames: Number of frames of the clips in the publication. Defaults to 16.
        image_size: Height and width of the images in the publication, in pixels. Defaults to 224.
        classes: Number of classes. Defaults to 1000.

    Example:
        >>> variant = keras_resnet.Variant("bottleneck", (2, 2), filters=8, stem="3x3", image_size=32, classes=10)
        >>> keras_resnet.ResNet(variant).output.shape
        (None, 10)
        >>> keras_resnet.VARIANTS["resnet50"].depths
        (3, 4, 6, 3)
    """

    block: str
    depths: tuple[int, ...]
    filters: int = 64
    groups: int = 1
    base_width: int = 64
    stem: str = "7x7"
    stem_filters: int | None = None
    first_stride: int = 1
    output_stride: int | None = None
    shortcut: str = "projection"
    order: str = "original"
    first_shortcut: str = "activated"
    stride_block: str = "first"
    bottleneck_stride: str = "3x3"
    zero_channels: str = "both"
    gate: str = "none"
    gate_ratio: float = 1 / 16
    zero_init_residual: bool = False
    block_dropout: float = 0.0
    drop_path: float = 0.0
    dropout: float = 0.0
    norm: str = "bn"
    gn_groups: int = 32
    weight_standardization: bool = False
    conv_bias: str = "none"
    conv_padding: str = "symmetric"
    weight_decay: float = 0.0
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    rank: int = 2
    convolution: str = "full"
    frames: int = 16
    image_size: int = 224
    classes: int = 1000


@dataclass(frozen=True)
class DenseVariant:
    """The fields of a DenseNet (Huang et al. 2017, arXiv:1608.06993).

    A builder accepts each field as a keyword argument. The argument replaces the value of the row. `ResNet` checks the
    values.

    Args:
        depths: Number of dense layers in each dense block: conv2, conv3, ... Between two blocks, a transition halves
            height and width.
        growth_rate: Channels that each dense layer adds, k in the paper. Defaults to 32.
        filters: Filters of the stem. Defaults to 64.
        bottleneck: Filters of the 1x1 layer of a dense layer, as a multiple of `growth_rate`. 0 means no 1x1 layer.
            Defaults to 4.
        compression: Fraction of the channels that a transition keeps, theta in the paper. The number of channels is
            rounded down. Defaults to 0.5.
        stem: Layers before the first dense block, a name of `STEMS` in keras_resnet/stems.py. Defaults to `"7x7"`.
        block_dropout: Dropout rate after each convolution except the first. Defaults to 0.
        dropout, norm, gn_groups, weight_decay, bn_momentum, bn_epsilon, image_size, classes: As in `Variant`.

    Example:
        >>> variant = keras_resnet.DenseVariant((2, 2), growth_rate=4, filters=8, stem="3x3", image_size=32, classes=10)
        >>> keras_resnet.ResNet(variant).output.shape
        (None, 10)
    """

    rank: ClassVar[int] = 2  # DenseNets exist for images only

    depths: tuple[int, ...]
    growth_rate: int = 32
    filters: int = 64
    bottleneck: int = 4
    compression: float = 0.5
    stem: str = "7x7"
    block_dropout: float = 0.0
    dropout: float = 0.0
    norm: str = "bn"
    gn_groups: int = 32
    weight_decay: float = 0.0
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    image_size: int = 224
    classes: int = 1000


def published_shape(row: Variant | DenseVariant) -> tuple[int, ...]:
    """Returns the shape of one image or clip in the publication of a row."""
    frames = (row.frames,) if isinstance(row, Variant) and row.rank == 3 else ()
    return (*frames, row.image_size, row.image_size, 3)


def field_names(row) -> list[str]:
    return [field.name for field in fields(row)]


# With given weights, these fields do not change the output of a network. `output_stride` does, but users change it on
# purpose: segmentation networks use the weights of classifiers (arXiv:1606.00915).
NOT_COMPARED = {
    *("zero_init_residual", "block_dropout", "drop_path", "dropout", "weight_decay", "bn_momentum"),
    *("frames", "image_size", "classes", "output_stride"),
}


def comparable(row: Variant | DenseVariant) -> dict[str, Any]:
    """Returns the fields that determine the output for given weights. A field without effect has the value None."""
    values = {name: getattr(row, name) for name in field_names(row) if name not in NOT_COMPARED}
    if row.norm == "sync_bn":  # differs from "bn" in training only
        values["norm"] = "bn"
    if isinstance(row, Variant):
        values["stem_filters"] = row.stem_filters or row.filters
        if row.block != "building_block" or values["stem_filters"] != row.filters or row.shortcut == "none":
            values["first_shortcut"] = None  # the first block has a projection or no shortcut
    return values


def differences(ours: Variant | DenseVariant, theirs: Variant | DenseVariant) -> str:
    """Returns the fields in which the variant of a file differs from that of a model, or "" if they are equal."""
    if type(ours) is not type(theirs):
        return f"the file holds a {type(theirs).__name__}, the model is a {type(ours).__name__}"
    a, b = comparable(ours), comparable(theirs)
    return "; ".join(
        f"{name} is {b[name]!r} in the file and {a[name]!r} in the model" for name in a if a[name] != b[name]
    )


V2: dict[str, Any] = dict(order="preactivation")
V2_RAW: dict[str, Any] = dict(order="preactivation", first_shortcut="raw")
X32X4D: dict[str, Any] = dict(groups=32, base_width=4)
X32X8D: dict[str, Any] = dict(groups=32, base_width=8)
X32X16D: dict[str, Any] = dict(groups=32, base_width=16)
X64X4D: dict[str, Any] = dict(groups=64, base_width=4)
WIDE_2: dict[str, Any] = dict(base_width=128)
SE: dict[str, Any] = dict(gate="se")
ECA: dict[str, Any] = dict(gate="eca")
C: dict[str, Any] = dict(stem="deep")
D: dict[str, Any] = dict(stem="deep", shortcut="pooled_projection")
S: dict[str, Any] = dict(stem="deep", stem_filters=128)
T: dict[str, Any] = dict(stem="deep_tiered", shortcut="pooled_projection")
RS: dict[str, Any] = dict(stem="deep_strided", shortcut="pooled_projection", gate="se", gate_ratio=1 / 4)
STAGE_WISE: dict[str, Any] = dict(
    stem="7x7_unpooled", first_stride=2, shortcut="max_pooled_projection", order="stage_wise"
)
V2_KERAS: dict[str, Any] = dict(
    stem="7x7_zeros", shortcut="channel_projection", stride_block="last", conv_bias="without_bn", **V2
)
BIT: dict[str, Any] = dict(stem="7x7_zeros", norm="gn", weight_standardization=True, **V2)
PLAIN: dict[str, Any] = dict(shortcut="none")
VIDEO: dict[str, Any] = dict(stem="7x7_unpooled", rank=3, image_size=112, classes=400)
CIFAR: dict[str, Any] = dict(stem="3x3", filters=16, image_size=32, classes=10)
# github.com/keras-team/keras, examples/cifar10_resnet.py. Its l2(1e-4) is weight_decay=2e-4 here.
CIFAR_KERAS: dict[str, Any] = dict(
    shortcut="linear_projection", conv_bias="all", conv_padding="same", bn_momentum=0.99, bn_epsilon=1e-3
)

# One more block in each of the three CIFAR stages adds this number of weight layers: depth = 6n + 2 and 9n + 2.
CIFAR_STEP = {"building_block": 6, "bottleneck": 9}


def cifar(depth: int, block: str = "building_block", **choices) -> Variant:
    """Returns the CIFAR ResNet with `depth` weight layers: n blocks in each of three stages.

    Sources: He 2015, section 4.2 (building blocks) and He 2016 (bottlenecks). As in the papers, building blocks have
    the shortcut `"zero_pad"` (option A), and bottlenecks have the shortcut `"projection"`.

    Args:
        depth: Number of weight layers: 6n + 2 with building blocks, 9n + 2 with bottlenecks.
        block: `"building_block"` or `"bottleneck"`. Defaults to `"building_block"`.
        **choices: Other fields of `Variant`.

    Returns:
        A `Variant`.

    Raises:
        ValueError: If `depth` is not 6n + 2 or 9n + 2, or if `block` is unknown.

    Example:
        >>> keras_resnet.cifar(26).depths
        (4, 4, 4)
        >>> keras_resnet.cifar(20) == keras_resnet.VARIANTS["resnet20"]
        True
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


def wide(depth: int, k: int, **choices) -> Variant:
    """Returns the Wide ResNet for CIFAR with `depth` layers, k times as wide as the ResNet (arXiv:1605.07146, Table 1).

    If the first block has no projection, its shortcut adds the output of the stem before BN and ReLU, as in the
    authors' code (github.com/szagoruyko/wide-residual-networks). `block_dropout` is the dropout of the paper.

    Args:
        depth: Number of layers, 6n + 4. As in the paper, it includes the projections of the last two stages.
        k: Widening factor, a positive integer.
        **choices: Other fields of `Variant`.

    Returns:
        A `Variant`.

    Raises:
        ValueError: If `depth` is not 6n + 4, or `k` is not a positive integer.

    Example:
        >>> variant = keras_resnet.wide(16, 4, block_dropout=0.3)
        >>> variant.depths, variant.filters
        ((2, 2, 2), 64)
    """
    if not hasattr(depth, "__index__") or depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6n + 4: 10, 16, 22, 28, 34, 40, ... Received: {depth!r}")
    n = (int(depth) - 4) // 6
    shape: dict[str, Any] = {**CIFAR, "filters": 16 * positive(k, "k"), "stem_filters": 16, "shortcut": "projection"}
    raw = {"first_shortcut": "raw"} if choices.get("order", V2["order"]) == V2["order"] else {}
    return Variant("building_block", (n, n, n), **{**shape, **V2, **raw, **choices})


# Huang 2017, section 3, "Implementation Details". bottleneck -> three values:
# the weight layers that one more dense layer in each of the three blocks adds, the filters of the stem, other fields
CIFAR_DENSE = {
    False: (3, lambda growth_rate: 16, dict(bottleneck=0, compression=1.0)),  # DenseNet
    True: (6, lambda growth_rate: 2 * growth_rate, dict(bottleneck=4, compression=0.5)),  # DenseNet-BC
}


def cifar_dense(depth: int, growth_rate: int, bottleneck: bool = False, **choices) -> DenseVariant:
    """Returns the DenseNet for CIFAR with `depth` weight layers: n dense layers in each of three dense blocks.

    Huang et al. 2017, arXiv:1608.06993, section 3, "Implementation Details".

    Args:
        depth: Number of weight layers: 3n + 4, or 6n + 4 with `bottleneck`.
        growth_rate: Channels that each dense layer adds, a positive integer.
        bottleneck: Whether to return DenseNet-BC: 1x1 layers with `4 * growth_rate` filters, and transitions that keep
            half of the channels. Defaults to False.
        **choices: Other fields of `DenseVariant`.

    Returns:
        A `DenseVariant`.

    Raises:
        ValueError: If `depth` is not 3n + 4 or 6n + 4, `growth_rate` is not a positive integer, or `bottleneck` is not
            a boolean.

    Example:
        >>> keras_resnet.cifar_dense(100, 12, bottleneck=True).depths
        (16, 16, 16)
    """
    if not isinstance(bottleneck, bool):
        raise ValueError(f"bottleneck must be True, for DenseNet-BC, or False. Received: {bottleneck!r}")
    step, filters, fields = CIFAR_DENSE[bottleneck]
    if not hasattr(depth, "__index__") or depth < step + 4 or (depth - 4) % step:
        legal = ", ".join(str(step * n + 4) for n in range(1, 7))
        raise ValueError(f"depth must be {step}n + 4 with bottleneck={bottleneck}: {legal}, ... Received: {depth!r}")
    growth_rate, n = positive(growth_rate, "growth_rate"), (int(depth) - 4) // step
    return DenseVariant((n, n, n), growth_rate, **{**CIFAR, **fields, "filters": filters(growth_rate), **choices})


# name of a network -> its fields; `builder_name` gives the name of its builder
# fmt: off
VARIANTS: dict[str, Variant | DenseVariant] = {
    # ImageNet: He 2015, Table 1
    "plain18":      Variant("building_block", (2, 2, 2, 2), **PLAIN),
    "plain34":      Variant("building_block", (3, 4, 6, 3), **PLAIN),
    "resnet18":     Variant("building_block", (2, 2, 2, 2)),
    "resnet34":     Variant("building_block", (3, 4, 6, 3)),
    "resnet50":     Variant("bottleneck",     (3, 4, 6, 3)),
    "resnet101":    Variant("bottleneck",     (3, 4, 23, 3)),
    "resnet152":    Variant("bottleneck",     (3, 8, 36, 3)),

    # ImageNet: Xie et al. 2017, arXiv:1611.05431, Table 1 and section 5.1; torchvision's 32x8d
    "resnext50_32x4d":       Variant("bottleneck",     (3, 4, 6, 3),    **X32X4D),
    "resnext101_32x4d":      Variant("bottleneck",     (3, 4, 23, 3),   **X32X4D),
    "resnext101_32x8d":      Variant("bottleneck",     (3, 4, 23, 3),   **X32X8D),
    "resnext101_64x4d":      Variant("bottleneck",     (3, 4, 23, 3),   **X64X4D),
    # Mahajan et al. 2018, arXiv:1805.00932
    "resnext101_32x16d":     Variant("bottleneck",     (3, 4, 23, 3),   **X32X16D),

    # ImageNet: Zagoruyko and Komodakis 2016, arXiv:1605.07146, Table 8
    "wide_resnet50_2":       Variant("bottleneck",     (3, 4, 6, 3),    **WIDE_2),
    "wide_resnet101_2":      Variant("bottleneck",     (3, 4, 23, 3),   **WIDE_2),

    # ImageNet: Hu et al. 2018, arXiv:1709.01507; Wang et al. 2020, arXiv:1910.03151
    "seresnet18":            Variant("building_block", (2, 2, 2, 2),    **SE),
    "seresnet34":            Variant("building_block", (3, 4, 6, 3),    **SE),
    "seresnet50":            Variant("bottleneck",     (3, 4, 6, 3),    **SE),
    "seresnet101":           Variant("bottleneck",     (3, 4, 23, 3),   **SE),
    "seresnet152":           Variant("bottleneck",     (3, 8, 36, 3),   **SE),
    "seresnext50_32x4d":     Variant("bottleneck",     (3, 4, 6, 3),    **X32X4D, **SE),
    "seresnext101_32x4d":    Variant("bottleneck",     (3, 4, 23, 3),   **X32X4D, **SE),
    "ecaresnet50d":          Variant("bottleneck",     (3, 4, 6, 3),    **D, **ECA),
    "ecaresnet101d":         Variant("bottleneck",     (3, 4, 23, 3),   **D, **ECA),

    # ImageNet: He et al. 2019, arXiv:1812.01187, Fig. 2. The letters in the names are those of timm.
    "resnet50c":             Variant("bottleneck",     (3, 4, 6, 3),    **C),
    "resnet101c":            Variant("bottleneck",     (3, 4, 23, 3),   **C),
    "resnet152c":            Variant("bottleneck",     (3, 8, 36, 3),   **C),
    "resnet18d":             Variant("building_block", (2, 2, 2, 2),    **D),
    "resnet34d":             Variant("building_block", (3, 4, 6, 3),    **D),
    "resnet50d":             Variant("bottleneck",     (3, 4, 6, 3),    **D),
    "resnet101d":            Variant("bottleneck",     (3, 4, 23, 3),   **D),
    "resnet152d":            Variant("bottleneck",     (3, 8, 36, 3),   **D),
    "resnet200d":            Variant("bottleneck",     (3, 24, 36, 3),  **D),
    "resnet50s":             Variant("bottleneck",     (3, 4, 6, 3),    **S),
    "resnet101s":            Variant("bottleneck",     (3, 4, 23, 3),   **S),
    "resnet152s":            Variant("bottleneck",     (3, 8, 36, 3),   **S),
    "resnet50t":             Variant("bottleneck",     (3, 4, 6, 3),    **T),
    "resnext50d_32x4d":      Variant("bottleneck",     (3, 4, 6, 3),    **X32X4D, **D),
    "seresnext26d_32x4d":    Variant("bottleneck",     (2, 2, 2, 2),    **X32X4D, **D, **SE),
    "seresnet152d":          Variant("bottleneck",     (3, 8, 36, 3),   **D, **SE),
    "ecaresnet50t":          Variant("bottleneck",     (3, 4, 6, 3),    **T, **ECA),

    # Smaller networks of timm: github.com/huggingface/pytorch-image-models, resnet.py
    "resnet10t":             Variant("building_block", (1, 1, 1, 1),    **T),
    "resnet14t":             Variant("bottleneck",     (1, 1, 1, 1),    **T),
    "resnet26":              Variant("bottleneck",     (2, 2, 2, 2)),
    "resnet26d":             Variant("bottleneck",     (2, 2, 2, 2),    **D),
    "resnet26t":             Variant("bottleneck",     (2, 2, 2, 2),    **T),

    # ImageNet: Bello et al. 2021, arXiv:2103.07579, Table 7
    "resnetrs50":            Variant("bottleneck",     (3, 4, 6, 3),    **RS),
    "resnetrs101":           Variant("bottleneck",     (3, 4, 23, 3),   **RS),
    "resnetrs152":           Variant("bottleneck",     (3, 8, 36, 3),   **RS),
    "resnetrs200":           Variant("bottleneck",     (3, 24, 36, 3),  **RS),
    "resnetrs270":           Variant("bottleneck",     (4, 29, 53, 4),  **RS),
    "resnetrs350":           Variant("bottleneck",     (4, 36, 72, 4),  **RS),
    "resnetrs420":           Variant("bottleneck",     (4, 44, 87, 4),  **RS),

    # ImageNet: Duta et al. 2020, arXiv:2004.04989
    "iresnet50":             Variant("bottleneck",     (3, 4, 6, 3),    **STAGE_WISE),
    "iresnet101":            Variant("bottleneck",     (3, 4, 23, 3),   **STAGE_WISE),
    "iresnet152":            Variant("bottleneck",     (3, 8, 36, 3),   **STAGE_WISE),

    # ImageNet: Wu and He 2018, arXiv:1803.08494; Kolesnikov et al. 2020 (BiT), arXiv:1912.11370
    "resnet50_gn":           Variant("bottleneck",     (3, 4, 6, 3),    norm="gn"),
    "resnetv2_50x1_bit":     Variant("bottleneck",     (3, 4, 6, 3),    **BIT),
    "resnetv2_50x3_bit":     Variant("bottleneck",     (3, 4, 6, 3),    **BIT, filters=192),
    "resnetv2_101x1_bit":    Variant("bottleneck",     (3, 4, 23, 3),   **BIT),
    "resnetv2_101x3_bit":    Variant("bottleneck",     (3, 4, 23, 3),   **BIT, filters=192),
    "resnetv2_152x2_bit":    Variant("bottleneck",     (3, 8, 36, 3),   **BIT, filters=128),
    "resnetv2_152x4_bit":    Variant("bottleneck",     (3, 8, 36, 3),   **BIT, filters=256),

    # ImageNet: He 2016, section 5
    "resnet50v2":   Variant("bottleneck",     (3, 4, 6, 3),  **V2),
    "resnet101v2":  Variant("bottleneck",     (3, 4, 23, 3), **V2),
    "resnet152v2":  Variant("bottleneck",     (3, 8, 36, 3), **V2),

    # ResNetV2 as implemented in timm: github.com/huggingface/pytorch-image-models, resnetv2.py
    "resnetv2_18":           Variant("building_block", (2, 2, 2, 2),    **V2_RAW),
    "resnetv2_18d":          Variant("building_block", (2, 2, 2, 2),    **V2_RAW, **D),
    "resnetv2_34":           Variant("building_block", (3, 4, 6, 3),    **V2_RAW),
    "resnetv2_34d":          Variant("building_block", (3, 4, 6, 3),    **V2_RAW, **D),
    "resnetv2_50":           Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW),
    "resnetv2_50d":          Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW, **D),
    "resnetv2_50d_gn":       Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW, **D, norm="gn"),

    # ResNet-D as implemented in keras-hub and PaddleClas: the first block of conv2 has a projection
    "resnet18_vd":           Variant("building_block", (2, 2, 2, 2),    **D, first_shortcut="projection"),
    "resnet34_vd":           Variant("building_block", (3, 4, 6, 3),    **D, first_shortcut="projection"),

    # ResNetV2 as implemented in keras.applications: keras.io/api/applications/resnet
    "resnet50v2_keras":      Variant("bottleneck",     (3, 4, 6, 3),    **V2_KERAS),
    "resnet101v2_keras":     Variant("bottleneck",     (3, 4, 23, 3),   **V2_KERAS),
    "resnet152v2_keras":     Variant("bottleneck",     (3, 8, 36, 3),   **V2_KERAS),

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

    # ResNet v1 as implemented in Keras' example cifar10_resnet.py; ResNet-8 is from MLPerf Tiny (arXiv:2106.07597)
    "resnet8_mlperf_tiny": cifar(8, **CIFAR_KERAS),
    "resnet20_keras":  cifar(20,  **CIFAR_KERAS),
    "resnet32_keras":  cifar(32,  **CIFAR_KERAS),
    "resnet44_keras":  cifar(44,  **CIFAR_KERAS),
    "resnet56_keras":  cifar(56,  **CIFAR_KERAS),
    "resnet110_keras": cifar(110, **CIFAR_KERAS),

    # CIFAR: He 2016, Table 3
    "resnet110v2":  cifar(110, **V2),
    "resnet164v2":  cifar(164, "bottleneck", **V2),
    "resnet1001v2": cifar(1001, "bottleneck", **V2),

    # CIFAR: Zagoruyko and Komodakis 2016, arXiv:1605.07146, Tables 4 and 5
    "wide_resnet16_4": wide(16, 4),
    "wide_resnet16_8": wide(16, 8),
    "wide_resnet28_2": wide(28, 2),
    "wide_resnet28_10": wide(28, 10),
    "wide_resnet40_1": wide(40, 1),
    "wide_resnet40_2": wide(40, 2),
    "wide_resnet40_4": wide(40, 4),

    # CIFAR: Xie et al. 2017, arXiv:1611.05431, section 5.3
    "resnext29_8x64d":  Variant("bottleneck", (3, 3, 3), groups=8,  **{**CIFAR, "filters": 64}),
    "resnext29_16x64d": Variant("bottleneck", (3, 3, 3), groups=16, **{**CIFAR, "filters": 64}),

    # The ImageNet networks for 32x32 images, widely used as a baseline on CIFAR (github.com/kuangliu/pytorch-cifar)
    "resnet18_cifar":   Variant("building_block", (2, 2, 2, 2), **{**CIFAR, "filters": 64}),
    "resnet34_cifar":   Variant("building_block", (3, 4, 6, 3), **{**CIFAR, "filters": 64}),
    "resnet50_cifar":   Variant("bottleneck",     (3, 4, 6, 3), **{**CIFAR, "filters": 64}),

    # ImageNet: Huang 2017, Table 1; DenseNet-161 is from the authors' code
    "densenet121":       DenseVariant((6, 12, 24, 16)),
    "densenet161":       DenseVariant((6, 12, 36, 24), growth_rate=48, filters=96),
    "densenet169":       DenseVariant((6, 12, 32, 32)),
    "densenet201":       DenseVariant((6, 12, 48, 32)),
    "densenet264":       DenseVariant((6, 12, 64, 48)),

    # CIFAR: Huang 2017, Table 2
    "densenet40_12":     cifar_dense(40,  12),
    "densenet100_12":    cifar_dense(100, 12),
    "densenet100_24":    cifar_dense(100, 24),
    "densenet_bc100_12": cifar_dense(100, 12, bottleneck=True),
    "densenet_bc250_24": cifar_dense(250, 24, bottleneck=True),
    "densenet_bc190_40": cifar_dense(190, 40, bottleneck=True),

    # Video clips of Kinetics-400: Tran et al. 2018, arXiv:1711.11248, Table 1, as implemented in torchvision
    "r3d_18":      Variant("building_block", (2, 2, 2, 2), **VIDEO),
    "mc3_18":      Variant("building_block", (2, 2, 2, 2), **VIDEO, convolution="mixed"),
    "r2plus1d_18": Variant("building_block", (2, 2, 2, 2), **VIDEO, convolution="factorized"),
}
# fmt: on


PREFIXES = {
    "plain": "PlainNet",
    "wide_resnet": "WideResNet",
    "densenet_bc": "DenseNetBC",
    "densenet": "DenseNet",
    "seresnext": "SEResNeXt",
    "seresnet": "SEResNet",
    "ecaresnet": "ECAResNet",
    "iresnet": "IResNet",
    "resnetrs": "ResNetRS",
    "resnext": "ResNeXt",
    "resnet": "ResNet",
    "r3d": "R3D",
    "mc3": "MC3",
    "r2plus1d": "R2Plus1D",
}


def builder_name(row_name: str) -> str:
    """Returns the name of the builder of a row: `ResNet50V2` for resnet50v2, `WideResNet50_2` for wide_resnet50_2."""
    prefix = next(prefix for prefix in PREFIXES if row_name.startswith(prefix))
    return (PREFIXES[prefix] + row_name.removeprefix(prefix)).replace("v2", "V2")


def find_row(name: Any, argument: str = "variant") -> str:
    """Returns the name of a row. `name` is the name of the row or of its builder, in upper or lower case.

    Raises a ValueError that lists the five nearest names if there is no such row.
    """
    names = {builder_name(row).casefold(): row for row in VARIANTS} | {row.casefold(): row for row in VARIANTS}
    found = names.get(name.casefold(), name) if isinstance(name, str) else name
    choose(VARIANTS, found, argument)
    return found


def list_variants(pattern: str = "*") -> list[str]:
    """Returns the names of the rows of `VARIANTS` that match a pattern.

    Args:
        pattern: Pattern as in `fnmatch`, such as `"se*"` or `"resnet[1-3]*d"`. Defaults to `"*"`, all rows.

    Returns:
        A list of strings in the order of the table.

    Raises:
        ValueError: If no row matches.

    Example:
        >>> keras_resnet.list_variants("plain1*")
        ['plain18', 'plain110']
    """
    names = [name for name in VARIANTS if fnmatchcase(name, pattern)]
    if not names:
        choose(VARIANTS, pattern, "pattern")
    return names
