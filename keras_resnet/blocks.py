"""Residual blocks, H(x) = F(x) + shortcut(x).

`BLOCKS` defines the weight layers of F (He 2015, Table 1). `ORDERS` defines the order of BN and ReLU (He 2016, Fig. 4).

He 2015 is arXiv:1512.03385, He 2016 is arXiv:1603.05027.
"""

from typing import NamedTuple

import keras

from keras_resnet.errors import choose, positive
from keras_resnet.gates import GATES
from keras_resnet.layers import Layers, check_channels_last
from keras_resnet.ranks import channels_between
from keras_resnet.shortcuts import ShortcutInputs, find_shortcut


class WeightLayer(NamedTuple):
    """One convolution of a block: one line of a block in He 2015, Table 1."""

    filters: int
    kernel_size: int
    stride: int
    groups: int = 1
    dilation: int = 1


def two_layers(filters, stride, bottleneck_stride="3x3", groups=1, base_width=64, dilations=(1, 1)):
    """Returns the weight layers of a building block: 3x3, 3x3 (He 2015, Fig. 5 left)."""
    for argument, value, must in (
        ("bottleneck_stride", bottleneck_stride, "3x3"),
        ("groups", groups, 1),
        ("base_width", base_width, 64),
    ):
        if value != must:
            raise ValueError(
                f"{argument} is for the block 'bottleneck'; with 'building_block' it must stay {must!r}. "
                f"Received: {value!r}"
            )
    first, rest = dilations
    return WeightLayer(filters, 3, stride, dilation=first), WeightLayer(filters, 3, 1, dilation=rest)


def three_layers(filters, stride, bottleneck_stride="3x3", groups=1, base_width=64, dilations=(1, 1)):
    """Returns the weight layers of a bottleneck: 1x1, 3x3, 1x1 with four times the filters (He 2015, Fig. 5 right).

    In ResNeXt (arXiv:1611.05431, Table 1), the 3x3 layer has `groups` groups. Each group has `base_width` filters if
    the block has 64 filters.

    In the networks of the paper ("v1"), the first 1x1 layer has the stride. In those of Torch ("v1.5"), the 3x3 layer
    has the stride. v1.5 is about 0.5 % more accurate and needs about 6 % more multiply-adds
    (github.com/pytorch/vision/issues/191).
    """
    strides = {"1x1": (stride, 1, 1), "3x3": (1, stride, 1)}
    first, second, third = choose(strides, bottleneck_stride, "bottleneck_stride")
    width, rest = divmod(filters * base_width, 64)
    if rest or not width:
        raise ValueError(f"base_width must make filters * base_width / 64 whole. Received: {base_width}, {filters=}")
    return (
        WeightLayer(width * groups, 1, first),
        # With "1x1", the 3x3 layer follows the layer with the stride, so it has the dilation rate of the later layers.
        WeightLayer(width * groups, 3, second, groups, dilations[0 if bottleneck_stride == "3x3" else 1]),
        WeightLayer(4 * filters, 1, third),
    )


# name of a block -> a function that returns its weight layers
BLOCKS = {"building_block": two_layers, "bottleneck": three_layers}


STEPS = {"bn": Layers.bn, "relu": Layers.relu}


class Order(NamedTuple):
    """The positions of BN and ReLU in a residual block.

    Each field is a string of the steps `"bn"` and `"relu"` in their order, such as `"bn relu"`. `""` means no step.

    Args:
        start: Steps before the first weight layer.
        between: Steps between two weight layers.
        end: Steps after the last weight layer.
        after: Steps after the addition.

    Example:
        >>> keras_resnet.ORDERS["preactivation"]
        Order(start='bn relu', between='bn relu', end='', after='')
        >>> order = keras_resnet.Order(start="", between="relu bn", end="bn", after="")
        >>> keras_resnet.residual_block(keras.Input((8, 8, 4)), 4, order=order).shape
        (None, 8, 8, 4)
    """

    start: str
    between: str
    end: str
    after: str

    @property
    def stem(self) -> str:
        """The steps after conv1 (He 2016, appendix).

        These are the steps between two weight layers, without the steps with which the first block starts.
        """
        return self.end if self.start else self.between


# name of an order -> positions of BN and ReLU in each block
ORDERS = {
    #                                start      between    end        after        He 2016, Fig. 4
    "original":                Order("",        "bn relu", "bn",      "relu"),     # (a)
    "bn_after_addition":       Order("",        "bn relu", "",        "bn relu"),  # (b)
    "relu_before_addition":    Order("",        "bn relu", "bn relu", ""),         # (c)
    "relu_only_preactivation": Order("relu",    "bn relu", "bn",      ""),         # (d)
    "preactivation":           Order("bn relu", "bn relu", "",        ""),         # (e)
    "conv_relu_bn":            Order("",        "relu bn", "bn",      "relu"),     # BN after ReLU in F
}  # fmt: skip


def stage_wise(depth: int) -> list[Order]:
    """Returns the orders of the blocks in a stage as in Duta et al. 2020, arXiv:2004.04989, Fig. 1(c).

    F(x) of the first block ends with BN. BN and ReLU follow the last addition of the stage. No other ReLU follows an
    addition, so no ReLU interrupts the shortcut path inside the stage. The output of the first block is already
    normalized, so the second block begins with ReLU and without BN.
    """
    middle = ORDERS["preactivation"]
    orders = [ORDERS["original"]._replace(after=""), middle._replace(start="relu"), *[middle] * depth][:depth]
    return [*orders[:-1], orders[-1]._replace(after="bn relu")]


# Orders that differ between the blocks of a stage. Name -> function that returns the `Order` of each block, for a given
# number of blocks.
STAGE_ORDERS = {"stage_wise": stage_wise}


def orders_of_stage(order: str, depth: int) -> list[Order]:
    """Returns the order of each of the `depth` blocks in a stage, for a name of ORDERS or of STAGE_ORDERS."""
    if order not in STAGE_ORDERS:
        return [choose(ORDERS, order, "order")] * depth
    if depth < 2:
        raise ValueError(f"depths must be 2 or more with the order {order!r}. Received: a stage of {depth}")
    return STAGE_ORDERS[order](depth)


def residual_block(
    x,
    filters,
    *,
    block="building_block",
    stride=1,
    shortcut="projection",
    order="original",
    groups=1,
    base_width=64,
    bottleneck_stride="3x3",
    dilations=(1, 1),
    gate="none",
    gate_ratio=1 / 16,
    dropout=0.0,
    drop_path=0.0,
    zero_init_residual=False,
    layers=Layers(),  # noqa: B008  frozen
    name=None,
):
    """Returns H(x) = F(x) + shortcut(x), a residual block for a Functional model.

    The names of the layers are `{name}_1_conv`, `{name}_1_bn`, ... The names of the layers of the shortcut are
    `{name}_0_conv`, ... The name of the last layer is `{name}_out`.

    Args:
        x: Keras tensor, `(b, h, w, c)`.
        filters: Filters of the 3x3 layers.
        block: Weight layers of F, a name of `BLOCKS`: `"building_block"` (3x3, 3x3) or `"bottleneck"` (1x1, 3x3, 1x1
            with four times the filters). Defaults to `"building_block"`.
        stride: Stride of the block, in both directions. Defaults to 1.
        shortcut: A name of `SHORTCUTS` or of `OPTIONS` (`"A"`, `"B"`, `"C"`, `"plain"`), or a `Shortcut` from
            keras_resnet/shortcuts.py. Defaults to `"projection"`.
        order: Order of BN, ReLU and weight layers, a name of `ORDERS` or an `Order`. Defaults to `"original"`.
        groups: Groups of the 3x3 layer of a bottleneck. Defaults to 1.
        base_width: Filters in each group of the 3x3 layer of a bottleneck if `filters` is 64. The number is
            proportional to `filters`. Defaults to 64.
        bottleneck_stride: The layer of a bottleneck that has the stride, `"3x3"` or `"1x1"`. Defaults to `"3x3"`.
        dilations: Dilation rate of the first 3x3 layer and dilation rate of the later 3x3 layers. If they differ, the
            block replaces a block whose stride is their ratio. Defaults to `(1, 1)`.
        gate: Attention that scales F(x), a name of `GATES`. Defaults to `"none"`.
        gate_ratio: Channels inside the gate `"se"`, as a fraction of the channels of F(x). Defaults to 1/16.
        dropout: Dropout rate before the last 3x3 layer of a building block (arXiv:1605.07146, Fig. 1d). Defaults to 0.
        drop_path: Probability that F(x) of an image is dropped during training (arXiv:1603.09382). Defaults to 0.
        zero_init_residual: Whether F(x) is zero at initialization (arXiv:1706.02677, section 5.1). Defaults to False.
        layers: `Layers`, the settings of all layers of a network. Defaults to `Layers()`.
        name: Prefix of the layer names. Defaults to `"residual_block_1"`, `"residual_block_2"`, ...

    Returns:
        A Keras tensor, `(b, h / stride, w / stride, filters)`, rounded up. A bottleneck returns `4 * filters` channels.

    Raises:
        ValueError: If an argument has a value that is not allowed, or if a combination of arguments has no effect or
            cannot be trained.

    Example:
        >>> image = keras.Input((32, 32, 16))
        >>> x = keras_resnet.residual_block(image, 32, stride=2, shortcut="A", order="preactivation", name="block")
        >>> x.shape
        (None, 16, 16, 32)
    """
    check_channels_last()
    filters, stride = positive(filters, "filters"), positive(stride, "stride")
    groups, base_width = positive(groups, "groups"), positive(base_width, "base_width")
    if len(x.shape) not in (4, 5) or x.shape[-1] is None:
        raise ValueError(f"x must be a map (b, h, w, c) whose channels are known. Received: the shape {x.shape}")
    name = name or f"residual_block_{keras.backend.get_uid('residual_block')}"
    order = order if isinstance(order, Order) else choose(ORDERS, order, "order")
    for step in " ".join(order).split():
        choose(STEPS, step, "Each step of an order")
    if not isinstance(dilations, tuple | list) or len(dilations) != 2:
        raise ValueError(
            f"dilations must be two integers, of the first 3x3 and of what follows. Received: {dilations!r}"
        )
    first_dilation, dilation = (positive(rate, "dilations") for rate in dilations)
    weight_layers = choose(BLOCKS, block, "block")(
        filters, stride, bottleneck_stride, groups, base_width, (first_dilation, dilation)
    )
    last = weight_layers[-1]
    make_gate = choose(GATES, gate, "gate")

    activated = layers.follow(order.start, x, name=f"{name}_preact")

    changed = stride > 1 or x.shape[-1] != last.filters
    row = find_shortcut(shortcut)
    beside = row.changed if changed else row.same
    if beside:
        bn = "bn" if "bn" in order.end else ""
        pool = stride * dilation // first_dilation
        beside = beside(ShortcutInputs(x, activated, last.filters, stride, pool, bn, f"{name}_0"), layers)
    zero = zero_init_residual and beside is not None
    if zero_init_residual:
        _check_zero_init(order, row, shortcut)

    y = activated
    # As in torchvision, all factorized convolutions of a block have the same number of filters between their two parts.
    between = channels_between(3, 3, x.shape[-1], filters)
    last_3x3 = max(i for i, layer in enumerate(weight_layers, 1) if layer.kernel_size > 1)
    for i, weight_layer in enumerate(weight_layers, 1):
        is_last = weight_layer is last
        at_zero = zero and is_last
        if dropout and i == last_3x3 and i > 1:
            y = layers.dropout(y, dropout, name=f"{name}_{i}")
        after = order.end if is_last else order.between
        unscaled = at_zero and "bn" not in order.end
        y = layers.conv(y, *weight_layer, between=between, zero=unscaled, bn="bn" in after, name=f"{name}_{i}")
        y = layers.follow(after, y, zero=at_zero, name=f"{name}_{i}")

    if make_gate:
        y = make_gate(y, gate_ratio, layers, name=name)
    if drop_path:
        if beside is None:
            raise ValueError(f"drop_path needs a shortcut beside F. Received: {drop_path}, shortcut={shortcut!r}")
        y = layers.drop_path(y, drop_path, name=name)
    if beside is not None:
        y = keras.layers.Add(name=f"{name}_add" if order.after else f"{name}_out")([beside, y])
    elif not order.after:  # a plain block that ends with F: its last layer is also named `{name}_out`
        return keras.layers.Identity(name=f"{name}_out")(y)
    return layers.follow(order.after, y, name=f"{name}_add", out=f"{name}_out")


def building_block(x, filters, **choices):
    """Returns a `residual_block` with two 3x3 layers (He 2015, Fig. 5 left).

    Args:
        x: Keras tensor, `(b, h, w, c)`.
        filters: Filters of the 3x3 layers.
        **choices: Other arguments of `residual_block`.

    Returns:
        A Keras tensor, `(b, h / stride, w / stride, filters)`, rounded up.

    Raises:
        ValueError: As in `residual_block`.

    Example:
        >>> keras_resnet.building_block(keras.Input((32, 32, 16)), 16).shape
        (None, 32, 32, 16)
    """
    return residual_block(x, filters, block="building_block", **choices)


def bottleneck(x, filters, **choices):
    """Returns a `residual_block` with 1x1, 3x3 and 1x1 layers (He 2015, Fig. 5 right).

    Args:
        x: Keras tensor, `(b, h, w, c)`.
        filters: Filters of the 3x3 layer.
        **choices: Other arguments of `residual_block`.

    Returns:
        A Keras tensor, `(b, h / stride, w / stride, 4 * filters)`, rounded up.

    Raises:
        ValueError: As in `residual_block`.

    Example:
        >>> keras_resnet.bottleneck(keras.Input((32, 32, 16)), 16).shape
        (None, 32, 32, 64)
    """
    return residual_block(x, filters, block="bottleneck", **choices)


def _check_zero_init(order, row, shortcut):
    if order.end.endswith("relu"):
        raise ValueError(
            "zero_init_residual needs an order whose F does not end in a ReLU: with 'relu_before_addition' F would "
            "begin at the kink of that ReLU and never learn. Received: zero_init_residual=True"
        )
    if not row.same:
        raise ValueError(
            "zero_init_residual needs a shortcut beside F: without one the net would begin at zero and never learn. "
            f"Received: zero_init_residual=True, shortcut={shortcut!r}"
        )
