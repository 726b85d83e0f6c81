"""DenseNet, which concatenates feature maps instead of adding them: x_l = H_l([x_0, ..., x_{l-1}]).

Huang et al. 2017 is arXiv:1608.06993. The code of the authors is github.com/liuzhuang13/DenseNet.
"""

from dataclasses import replace
from math import floor

import keras

from keras_resnet.errors import choose, positive, positives, within
from keras_resnet.layers import Layers
from keras_resnet.stems import STEMS
from keras_resnet.variants import DenseVariant

# Layers of keras.applications' DenseNets with other names than in its ResNets: (default name, name in DenseNets).
NAMES = (
    ("conv1_pad", "zero_padding2d"),
    ("pool1_pad", "zero_padding2d_1"),
    ("pool1_pool", "pool1"),
    ("post_bn", "bn"),
    ("post_relu", "relu"),
)


def dense_features(row: DenseVariant, x, layers: Layers):
    """Builds the stem, the dense blocks and the transitions. Returns the last feature map, after BN and ReLU.

    `(b, h, w, c) -> (b, h/s, w/s, channels)`. The stem rounds h and w up, and each transition rounds them down.
    Therefore, height and width of an image must be at least 29 pixels for four blocks after the stem 7x7, and at least
    4 pixels for three blocks after the stem 3x3.
    """
    row, layers = checked(row), replace(layers, names=NAMES)
    stem = STEMS[row.stem]
    # The first dense layer starts with BN and ReLU. The stem therefore needs BN and ReLU only if it pools.
    x = stem.make(x, row.filters, "bn relu" if stem.stride > 1 else "", layers)
    for block, depth in enumerate(row.depths, 2):
        for layer in range(1, depth + 1):
            x = dense_layer(row, x, layers, name=f"conv{block}_block{layer}")
        if block <= len(row.depths):
            x = transition(row, x, layers, name=f"pool{block}")
    return layers.follow("bn relu", x, name="post")


def convolutions(row: DenseVariant) -> list[tuple[int, int]]:
    """Returns the filters and the kernel size of each convolution in a dense layer: H_l of Huang 2017, section 3."""
    bottleneck = [(row.bottleneck * row.growth_rate, 1)] if row.bottleneck else []
    return [*bottleneck, (row.growth_rate, 3)]


def dense_layer(row: DenseVariant, x, layers: Layers, *, name):
    """Returns the concatenation [x, H(x)], `(b, h, w, c) -> (b, h, w, c + growth_rate)`.

    H is BN, ReLU and a convolution, once or twice.
    """
    y = x
    for i, (filters, kernel_size) in enumerate(convolutions(row)):
        y = layers.follow("bn relu", y, name=f"{name}_{i}")
        y = conv(row, y, filters, kernel_size, layers, name=f"{name}_{i + 1}")
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])


def transition(row: DenseVariant, x, layers: Layers, *, name):
    """Applies a transition: `(b, h, w, c) -> (b, floor(h/2), floor(w/2), floor(compression * c))`."""
    channels = x.shape[-1]
    filters = floor(channels * row.compression)
    if not filters:
        raise ValueError(f"compression must leave one of {channels} channels. Received: {row.compression!r}")
    x = layers.follow("bn relu", x, name=name)
    x = conv(row, x, filters, 1, layers, name=name)
    return keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)


def conv(row: DenseVariant, x, filters, kernel_size, layers: Layers, *, name):
    """Applies a convolution and dropout. Huang 2017, section 4.2, uses the rate 0.2 for data without augmentation."""
    x = layers.conv(x, filters, kernel_size, name=name)
    return layers.dropout(x, row.block_dropout, name=name) if row.block_dropout else x


def weight_layers(row: DenseVariant) -> int:
    """Returns the depth in the name of a network, such as 121: the number of convolutions plus the classifier."""
    transitions = len(row.depths) - 1
    return STEMS[row.stem].weight_layers + sum(row.depths) * len(convolutions(row)) + transitions + 1


def checked(row: DenseVariant) -> DenseVariant:
    """Returns the row with Python integers. Raises ValueError if the fields do not describe a valid network.

    `Layers` checks its own fields.
    """
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
