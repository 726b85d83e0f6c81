"""DenseNet, the net that concatenates where a residual net adds: x_l = H_l([x_0, ..., x_{l-1}]).

Huang et al. 2017 is arXiv:1608.06993, their code github.com/liuzhuang13/DenseNet.
"""

from dataclasses import replace
from math import floor

import keras

from keras_resnet.errors import choose, positive, positives, within
from keras_resnet.layers import Layers
from keras_resnet.stems import STEMS
from keras_resnet.variants import DenseVariant

# what keras.applications calls the layers that do not follow the names of its ResNets
NAMES = (
    ("conv1_pad", "zero_padding2d"),
    ("pool1_pad", "zero_padding2d_1"),
    ("pool1_pool", "pool1"),
    ("post_bn", "bn"),
    ("post_relu", "relu"),
)


def dense_features(row: DenseVariant, x, layers: Layers):
    """Stem, dense blocks and transitions; the last map of row's net, after BN and ReLU.

    `(b, h, w, c) -> (b, h/s, w/s, channels)`. The stem rounds h and w up and each transition rounds them down, so that
    an image must have 29 pixels a side for four blocks after the stem 7x7, and 4 for three after the stem 3x3.
    """
    row, layers = checked(row), replace(layers, names=NAMES)
    stem = STEMS[row.stem]
    # The first dense layer starts with BN and ReLU: only the pooling of a stem needs some of its own.
    x = stem.make(x, row.filters, "bn relu" if stem.stride > 1 else "", layers)
    for block, depth in enumerate(row.depths, 2):
        for layer in range(1, depth + 1):
            x = dense_layer(row, x, layers, name=f"conv{block}_block{layer}")
        if block <= len(row.depths):
            x = transition(row, x, layers, name=f"pool{block}")
    return layers.follow("bn relu", x, name="post")


def convolutions(row: DenseVariant) -> list[tuple[int, int]]:
    """Filters and kernel size of each convolution in a dense layer: H_l of Huang 2017, section 3."""
    bottleneck = [(row.bottleneck * row.growth_rate, 1)] if row.bottleneck else []
    return [*bottleneck, (row.growth_rate, 3)]


def dense_layer(row: DenseVariant, x, layers: Layers, *, name):
    """[x, H(x)], where H is BN, ReLU, convolution, once or twice: `(b, h, w, c) -> (b, h, w, c + growth_rate)`."""
    y = x
    for i, (filters, kernel_size) in enumerate(convolutions(row)):
        y = layers.follow("bn relu", y, name=f"{name}_{i}")
        y = conv(row, y, filters, kernel_size, layers, name=f"{name}_{i + 1}")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(row: DenseVariant, x, layers: Layers, *, name):
    """Between two dense blocks: `(b, h, w, c) -> (b, floor(h/2), floor(w/2), floor(compression * c))`."""
    channels = x.shape[-1]
    filters = floor(channels * row.compression)
    if not filters:
        raise ValueError(f"compression must leave one of {channels} channels. Received: {row.compression!r}")
    x = layers.follow("bn relu", x, name=name)
    x = conv(row, x, filters, 1, layers, name=name)
    return keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def conv(row: DenseVariant, x, filters, kernel_size, layers: Layers, *, name):
    """A convolution and its dropout, Huang 2017, section 4.2: 0.2 where the data are not augmented."""
    x = layers.conv(x, filters, kernel_size, name=name)
    return layers.dropout(x, row.block_dropout, name=name) if row.block_dropout else x


def weight_layers(row: DenseVariant) -> int:
    """The depth that a name counts: all convolutions from the image on, and the classifier."""
    transitions = len(row.depths) - 1
    return STEMS[row.stem].weight_layers + sum(row.depths) * len(convolutions(row)) + transitions + 1


def checked(row: DenseVariant) -> DenseVariant:
    """The row with Python's integers; ValueError for what no net can be made of. `Layers` checks its own fields."""
    choose(STEMS, row.stem, "stem")
    within(row.compression, "compression", "in (0, 1]")
    within(row.block_dropout, "block_dropout", "in [0, 1)")
    return replace(
        row,
        depths=positives(row.depths, "depths", "dense block"),
        growth_rate=positive(row.growth_rate, "growth_rate"),
        filters=positive(row.filters, "filters"),
        bottleneck=0 if row.bottleneck == 0 else positive(row.bottleneck, "bottleneck, if not 0,"),
    )


def strides(row: DenseVariant) -> list[int]:
    return [STEMS[row.stem].stride * 2**i for i in range(len(row.depths))]
