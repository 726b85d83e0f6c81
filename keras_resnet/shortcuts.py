"""The shortcut connections of He 2015, section 3.3, and their options as a table."""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras_resnet.errors import choose
from keras_resnet.layers import Layers


class ShortcutInputs(NamedTuple):
    """Where a block splits in two: what a shortcut starts from, and the shape it must arrive at."""

    x: Any  # the input of the block
    activated: Any  # the same after what the order puts before the first weight layer
    filters: int
    stride: int
    pool: int  # the stride that this block has, or would have if it were not dilated
    bn: str  # "bn" where the weight layers of this order are followed by one before the addition, else ""
    name: str


def identity(inputs: ShortcutInputs, layers: Layers):
    return inputs.x


def zero_pad(inputs: ShortcutInputs, layers: Layers):
    """Option A: no weights."""
    return layers.zero_pad_channels(inputs.x, inputs.filters, inputs.stride, name=inputs.name)


def projection(inputs: ShortcutInputs, layers: Layers):
    """Option B: W_s of He 2015, eq. (2). It shares the pre-activation with F (He 2016, appendix)."""
    return _project(inputs.activated, inputs, inputs.stride, layers)


def linear_projection(inputs: ShortcutInputs, layers: Layers):
    """A projection that no BN follows, whatever the order; github.com/keras-team/keras, examples/cifar10_resnet.py."""
    return _project(inputs.activated, inputs._replace(bn=""), inputs.stride, layers)


def channel_projection(inputs: ShortcutInputs, layers: Layers):
    """keras.applications' V2: a projection to new channels; where the map is only halved, every second pixel."""
    return projection(inputs, layers) if inputs.x.shape[-1] != inputs.filters else zero_pad(inputs, layers)


def pooled_projection(inputs: ShortcutInputs, layers: Layers):
    """He et al. 2019, arXiv:1812.01187, Fig. 2(c): no pixel is skipped."""
    x = inputs.activated
    if inputs.pool > 1:
        x = layers.average_pool(x, inputs.pool, inputs.stride, name=inputs.name)
    return _project(x, inputs, 1, layers)


def max_pooled_projection(inputs: ShortcutInputs, layers: Layers):
    """Duta et al. 2020, arXiv:2004.04989, Fig. 2: the largest of the pixels that F sees goes on."""
    x = inputs.activated
    if inputs.pool > 1:
        x = layers.max_pool(x, 3, inputs.stride, nonnegative=False, name=inputs.name)
    return _project(x, inputs, 1, layers)


def _project(x, inputs, stride, layers):
    x = layers.conv(x, inputs.filters, 1, stride, bn=bool(inputs.bn), name=inputs.name)
    return layers.follow(inputs.bn, x, name=inputs.name)


# of any shape, with new weights
PROJECTIONS = (projection, linear_projection, pooled_projection, max_pooled_projection)


class Shortcut(NamedTuple):
    """What stands beside F: where the block changes the shape, and elsewhere. None: nothing, the block is plain."""

    changed: Callable | None
    same: Callable | None


# name of a shortcut -> what is added to F(x)
SHORTCUTS = {
    #                                 where the shape changes   elsewhere
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
    """The row for a name of `SHORTCUTS` or of `OPTIONS`, or a Shortcut itself; ValueError for any other."""
    if isinstance(name, Shortcut):
        return name
    return choose(SHORTCUTS | {alias: SHORTCUTS[row] for alias, row in OPTIONS.items()}, name, "shortcut")
