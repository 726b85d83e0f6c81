"""One model, one line. A row names its choices; what they mean stands in the tables of the other modules."""

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from keras_resnet.errors import choose, positive


@dataclass(frozen=True)
class Variant:
    """A net of the family. Each field may be replaced: `ResNet("resnet56", shortcut="projection_all")`."""

    block: str  # a name of blocks.BLOCKS
    depths: tuple[int, ...]  # blocks in conv2_x, conv3_x, ...; each stage after the first halves the map
    filters: int = 64  # of conv2_x; each further stage doubles them
    groups: int = 1  # of the 3x3 layer of a bottleneck: the cardinality of ResNeXt,
    base_width: int = 64  # and the width of each where conv2_x has 64 filters
    stem: str = "7x7"  # a name of stems.STEMS
    stem_filters: int | None = None  # None: those of conv2_x
    first_stride: int = 1  # of conv2_x
    output_stride: int | None = None  # 8 or 16: the stages that would go beyond it are dilated instead
    shortcut: str = "projection"  # a name of shortcuts.SHORTCUTS
    order: str = "original"  # a name of blocks.ORDERS or of blocks.STAGE_ORDERS
    # the shortcut of the first block, where the shape stays: the identity of the stem's "activated" output (He 2016,
    # appendix), the identity of its "raw" output before BN and ReLU (Wide ResNet, timm), or a "projection" (keras-hub)
    first_shortcut: str = "activated"
    stride_block: str = "first"  # the block of a stage that strides; "last" in keras.applications' V2
    bottleneck_stride: str = "3x3"  # the weight layer of a bottleneck that strides: "3x3" (v1.5) or "1x1" (v1)
    zero_channels: str = "both"  # where zero_pad puts the new channels: "both" sides or the "end"
    gate: str = "none"  # what scales F(x), a name of gates.GATES,
    gate_ratio: float = 1 / 16  # and the share of the channels inside it
    zero_init_residual: bool = False  # F begins at zero
    block_dropout: float = 0.0  # before the last 3x3 of a block
    drop_path: float = 0.0  # stochastic depth: the share of F(x) lost in the last block, growing linearly up to it
    dropout: float = 0.0  # before the classifier
    norm: str = "bn"  # a name of layers.NORMS
    gn_groups: int = 32  # of GroupNormalization, if `norm` is "gn"; must divide the channels of every layer
    weight_standardization: bool = False
    conv_bias: str = "none"  # which convolutions have a bias: "none", those "without_bn" behind them, or "all"
    conv_padding: str = "symmetric"  # of those that stride: kernel_size // 2 on every side, or TensorFlow's "same"
    weight_decay: float = 0.0  # of the papers: the gradient is weight_decay * w, on kernels only
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    image_size: int = 224  # of the data set that the row was published for,
    classes: int = 1000  # and its classes


@dataclass(frozen=True)
class DenseVariant:
    """A net of the family that concatenates, Huang et al. 2017, arXiv:1608.06993."""

    depths: tuple[int, ...]  # dense layers in each dense block, conv2, conv3, ...; a transition between two blocks
    growth_rate: int = 32  # k: the channels that each dense layer adds
    filters: int = 64  # of the stem
    bottleneck: int = 4  # the 1x1 of a dense layer has bottleneck * growth_rate filters; 0: no 1x1
    compression: float = 0.5  # theta: the share of its channels that a transition keeps, rounded down
    stem: str = "7x7"  # a name of stems.STEMS
    block_dropout: float = 0.0  # after every convolution but the stem's
    dropout: float = 0.0  # before the classifier
    norm: str = "bn"  # a name of layers.NORMS
    gn_groups: int = 32  # of GroupNormalization, if `norm` is "gn"; must divide the channels of every layer
    weight_decay: float = 0.0  # of the papers: the gradient is weight_decay * w, on kernels only
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    image_size: int = 224  # of the data set that the row was published for,
    classes: int = 1000  # and its classes


def field_names(row) -> list[str]:
    return [field.name for field in fields(row)]


# Fields that change no output of a network with given weights, and output_stride, which users change on purpose:
# segmentation nets take the weights of classifiers (arXiv:1606.00915).
NOT_COMPARED = {
    *("zero_init_residual", "block_dropout", "drop_path", "dropout", "weight_decay", "bn_momentum"),
    *("image_size", "classes", "output_stride"),
}


def comparable(row: Variant | DenseVariant) -> dict[str, Any]:
    """Returns the fields that decide what the network computes with given weights; None for one without effect."""
    values = {name: getattr(row, name) for name in field_names(row) if name not in NOT_COMPARED}
    if row.norm == "sync_bn":  # another way to train BN
        values["norm"] = "bn"
    if isinstance(row, Variant):
        values["stem_filters"] = row.stem_filters or row.filters
        if row.block != "building_block" or values["stem_filters"] != row.filters or row.shortcut == "none":
            values["first_shortcut"] = None  # the first block has a projection, or is plain
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
CIFAR: dict[str, Any] = dict(stem="3x3", filters=16, image_size=32, classes=10)
# github.com/keras-team/keras, examples/cifar10_resnet.py. Its l2(1e-4) is weight_decay=2e-4 here.
CIFAR_KERAS: dict[str, Any] = dict(
    shortcut="linear_projection", conv_bias="all", conv_padding="same", bn_momentum=0.99, bn_epsilon=1e-3
)

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


def wide(depth: int, k: int, **choices) -> Variant:
    """The Wide ResNet of `depth` layers, k times as wide (arXiv:1605.07146, Table 1); `block_dropout` is its dropout.

    The `depth` of that paper counts the projections of the last two stages: 6n + 4. As in the authors' code, a first
    block without a projection adds the raw output of the stem (github.com/szagoruyko/wide-residual-networks).
    Raises ValueError where `depth` is not 6n + 4 or `k` is not a positive integer.
    """
    if not hasattr(depth, "__index__") or depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth must be 6n + 4: 10, 16, 22, 28, 34, 40, ... Received: {depth!r}")
    n = (int(depth) - 4) // 6
    shape: dict[str, Any] = {**CIFAR, "filters": 16 * positive(k, "k"), "stem_filters": 16, "shortcut": "projection"}
    raw = {"first_shortcut": "raw"} if choices.get("order", V2["order"]) == V2["order"] else {}
    return Variant("building_block", (n, n, n), **{**shape, **V2, **raw, **choices})


# Huang 2017, section 3, "Implementation Details":
# bottleneck -> weight layers that one more dense layer in each of the three blocks adds, the stem, the other choices
CIFAR_DENSE = {
    False: (3, lambda growth_rate: 16, dict(bottleneck=0, compression=1.0)),  # DenseNet
    True: (6, lambda growth_rate: 2 * growth_rate, dict(bottleneck=4, compression=0.5)),  # DenseNet-BC
}


def cifar_dense(depth: int, growth_rate: int, bottleneck: bool = False, **choices) -> DenseVariant:
    """The CIFAR net of `depth` weight layers, n dense layers in each of three blocks; DenseNet-BC with `bottleneck`.

    Raises ValueError where `depth` is not 3n + 4, or 6n + 4 with `bottleneck`.
    """
    if not isinstance(bottleneck, bool):
        raise ValueError(f"bottleneck must be True, for DenseNet-BC, or False. Received: {bottleneck!r}")
    step, filters, fields = CIFAR_DENSE[bottleneck]
    if not hasattr(depth, "__index__") or depth < step + 4 or (depth - 4) % step:
        legal = ", ".join(str(step * n + 4) for n in range(1, 7))
        raise ValueError(f"depth must be {step}n + 4 with bottleneck={bottleneck}: {legal}, ... Received: {depth!r}")
    growth_rate, n = positive(growth_rate, "growth_rate"), (int(depth) - 4) // step
    return DenseVariant((n, n, n), growth_rate, **{**CIFAR, **fields, "filters": filters(growth_rate), **choices})


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

    # ImageNet: He et al. 2019, arXiv:1812.01187, Fig. 2; the letters are timm's
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

    # The smaller ones of timm: github.com/huggingface/pytorch-image-models, resnet.py
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

    # The same as timm has them: github.com/huggingface/pytorch-image-models, resnetv2.py
    "resnetv2_18":           Variant("building_block", (2, 2, 2, 2),    **V2_RAW),
    "resnetv2_18d":          Variant("building_block", (2, 2, 2, 2),    **V2_RAW, **D),
    "resnetv2_34":           Variant("building_block", (3, 4, 6, 3),    **V2_RAW),
    "resnetv2_34d":          Variant("building_block", (3, 4, 6, 3),    **V2_RAW, **D),
    "resnetv2_50":           Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW),
    "resnetv2_50d":          Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW, **D),
    "resnetv2_50d_gn":       Variant("bottleneck",     (3, 4, 6, 3),    **V2_RAW, **D, norm="gn"),

    # The same as keras-hub has them, after PaddleClas: a projection in the first block of conv2
    "resnet18_vd":           Variant("building_block", (2, 2, 2, 2),    **D, first_shortcut="projection"),
    "resnet34_vd":           Variant("building_block", (3, 4, 6, 3),    **D, first_shortcut="projection"),

    # The same as keras.applications has them: keras.io/api/applications/resnet
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

    # The same as Keras' example cifar10_resnet.py has them; ResNet-8 is that of MLPerf Tiny (arXiv:2106.07597)
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

    # The ImageNet nets on 32 pixels, as the field compares itself on CIFAR (github.com/kuangliu/pytorch-cifar)
    "resnet18_cifar":   Variant("building_block", (2, 2, 2, 2), **{**CIFAR, "filters": 64}),
    "resnet34_cifar":   Variant("building_block", (3, 4, 6, 3), **{**CIFAR, "filters": 64}),
    "resnet50_cifar":   Variant("bottleneck",     (3, 4, 6, 3), **{**CIFAR, "filters": 64}),

    # ImageNet: Huang 2017, Table 1; 161 is of the authors' code
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
}


def builder_name(row_name: str) -> str:
    """What the builder of a row is called: `resnet50v2` is `ResNet50V2`, `wide_resnet50_2` is `WideResNet50_2`."""
    prefix = next(prefix for prefix in PREFIXES if row_name.startswith(prefix))
    return (PREFIXES[prefix] + row_name.removeprefix(prefix)).replace("v2", "V2")


def find_row(name: Any, argument: str = "variant") -> str:
    """The name of a row, from that name or its builder's in any case; ValueError that lists the nearest five."""
    names = {builder_name(row).casefold(): row for row in VARIANTS} | {row.casefold(): row for row in VARIANTS}
    found = names.get(name.casefold(), name) if isinstance(name, str) else name
    choose(VARIANTS, found, argument)
    return found


def list_variants(pattern: str = "*") -> list[str]:
    """The names of the rows that a pattern such as "se*" or "resnet[1-3]*d" describes, in the order of the table.

    Raises ValueError where it describes none.
    """
    names = [name for name in VARIANTS if fnmatchcase(name, pattern)]
    if not names:
        choose(VARIANTS, pattern, "pattern")
    return names
