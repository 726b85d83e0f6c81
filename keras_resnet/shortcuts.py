"""The shortcut connections of He 2015, section 3.3, and a table of their options."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras_resnet.errors import choose
from keras_resnet.layers import Layers


class ShortcutInputs(NamedTuple):
    """The input of a shortcut and the properties of its output."""

    x: Any  # the input of the block
    activated: Any  # `x` after the steps that precede the first weight layer (pre-activation)
    filters: int
    stride: int
    pool: int  # the stride of this block, or the stride that its dilation replaces
    bn: str  # "bn" if F ends with BN in this order, otherwise ""
    name: str


def identity(inputs: ShortcutInputs, layers: Layers):
    return inputs.x


def zero_pad(inputs: ShortcutInputs, layers: Layers):
    """Option A: zero-padding. It has no weights."""
    return layers.zero_pad_channels(inputs.x, inputs.filters, inputs.stride, name=inputs.name)


def projection(inputs: ShortcutInputs, layers: Layers):
    """Option B: projection, W_s of He 2015, eq. (2). It shares the pre-activation with F (He 2016, appendix)."""
    return _project(inputs.activated, inputs, inputs.stride, layers)


def linear_projection(inputs: ShortcutInputs, layers: Layers):
    """Projection without BN in every order, as in github.com/keras-team/keras, examples/cifar10_resnet.py."""
    return _project(inputs.activated, inputs._replace(bn=""), inputs.stride, layers)


def channel_projection(inputs: ShortcutInputs, layers: Layers):
    """Shortcut of keras.applications' ResNetV2.

    It is a projection if the number of channels changes. If only height and width are halved, it takes every second
    pixel and has no weights.
    """
    return projection(inputs, layers) if inputs.x.shape[-1] != inputs.filters else zero_pad(inputs, layers)


def pooled_projection(inputs: ShortcutInputs, layers: Layers):
    """Average pooling and a projection without a stride (He et al. 2019, arXiv:1812.01187, Fig. 2(c)).

    In contrast to a projection with a stride, it uses all pixels.
    """
    x = inputs.activated
    if inputs.pool > 1:
        x = layers.average_pool(x, inputs.pool, inputs.stride, name=inputs.name)
    return _project(x, inputs, 1, layers)


def max_pooled_projection(inputs: ShortcutInputs, layers: Layers):
    """Max pooling over the pixels that F reads, and a projection (Duta et al. 2020, arXiv:2004.04989, Fig. 2)."""
    x = inputs.activated
    if inputs.pool > 1:
        x = layers.max_pool(x, 3, inputs.stride, nonnegative=False, name=inputs.name)
    return _project(x, inputs, 1, layers)


def _project(x, inputs, stride, layers):
    x = layers.conv(x, inputs.filters, 1, stride, bn=bool(inputs.bn), name=inputs.name)
    return layers.follow(inputs.bn, x, name=inputs.name)


# shortcuts that have weights whenever they are used
PROJECTIONS = (projection, linear_projection, pooled_projection, max_pooled_projection)


class Shortcut(NamedTuple):
    """The function that computes the shortcut of a block. None means no shortcut: the block is plain."""

    changed: Callable | None  # for blocks that change the shape
    same: Callable | None  # for other blocks


# name of a shortcut -> function of the branch that is added to F(x)
SHORTCUTS = {
    #                                 shape changes             other blocks
    "zero_pad":              Shortcut(zero_pad,                 identity),
    "projection":            Shortcut(projection,               identity),
    "projection_all":        Shortcut(projection,               projection),
    "linear_projection":     Shortcut(linear_projection,        identity),
    "channel_projection":    Shortcut(channel_projection,       identity),
    "pooled_projection":     Shortcut(pooled_projection,        identity),
    "max_pooled_projection": Shortcut(max_pooled_projection,    identity),
    "identity":              Shortcut(None,                     identity),
    "none":                  Shortcut(None,                     None),
}  # fmt: skip

# name in the papers -> name in SHORTCUTS
OPTIONS = {"A": "zero_pad", "B": "projection", "C": "projection_all", "plain": "none"}


def find_shortcut(name: str | Shortcut) -> Shortcut:
    """Returns the row for a name of `SHORTCUTS` or `OPTIONS`. Returns a `Shortcut` unchanged.

    Raises ValueError for any other value.
    """
    if isinstance(name, Shortcut):
        return name
    return choose(SHORTCUTS | {alias: SHORTCUTS[row] for alias, row in OPTIONS.items()}, name, "shortcut")
