"""Everything before conv2_1."""

from collections.abc import Callable
from typing import NamedTuple

from keras_resnet.layers import Layers


def seven_by_seven(x, filters, steps, layers: Layers):
    """He 2015, Table 1, conv1 and the pooling of conv2_x: `(b, h, w, c) -> (b, h/4, w/4, filters)`, rounded up."""
    x = layers.conv(x, filters, 7, 2, name="conv1")
    x = layers.follow(steps, x, name="conv1")
    return layers.max_pool(x, 3, 2, nonnegative=steps.endswith("relu"), name="pool1")


def three_by_three(x, filters, steps, layers: Layers):
    """He 2015, section 4.2, for CIFAR: `(b, h, w, c) -> (b, h, w, filters)`."""
    x = layers.conv(x, filters, 3, name="conv1")
    return layers.follow(steps, x, name="conv1")


class Stem(NamedTuple):
    """How conv1 is made, how many weight layers that takes, and the stride at which conv2_1 begins."""

    make: Callable
    weight_layers: int
    stride: int


STEMS = {
    "7x7": Stem(seven_by_seven, weight_layers=1, stride=4),
    "3x3": Stem(three_by_three, weight_layers=1, stride=1),
}
