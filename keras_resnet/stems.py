"""Stems: the layers before conv2_1."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from keras_resnet.layers import Layers


def conv7x7_stem(x, filters, steps, layers: Layers, pooled=True, zeros=False):
    """Applies conv1 and the max pooling of conv2_x (He 2015, Table 1).

    `(b, h, w, c) -> (b, h/4, w/4, filters)`, rounded up. Without pooling (`pooled=False`), the size is h/2 and w/2.
    With `zeros`, the max pooling is padded with zeros even if its input may be negative, as in BiT. In video networks,
    a factorized convolution has 45 filters between its two parts if it has 64 filters (torchvision's R2Plus1dStem).
    """
    x = layers.conv(x, filters, 7, 2, between=max(1, 45 * filters // 64), bn="bn" in steps, name="conv1")
    x = layers.follow(steps, x, name="conv1")
    return layers.max_pool(x, 3, 2, nonnegative=zeros or steps.endswith("relu"), name="pool1") if pooled else x


def three_by_three(x, filters, steps, layers: Layers):
    """Applies the stem for CIFAR (He 2015, section 4.2): `(b, h, w, c) -> (b, h, w, filters)`."""
    x = layers.conv(x, filters, 3, bn="bn" in steps, name="conv1")
    return layers.follow(steps, x, name="conv1")


def deep(x, filters, steps, layers: Layers, eighths=(4, 4), strided=False):
    """Applies three 3x3 convolutions instead of one 7x7 convolution (He et al. 2019, arXiv:1812.01187, Fig. 2(b)).

    `(b, h, w, c) -> (b, h/4, w/4, filters)`. `eighths` are the filters of the first two convolutions, in units of
    `filters / 8`. With `strided`, a fourth convolution replaces the pooling, as in ResNet-RS.
    """
    for number, (width, stride) in enumerate(zip(eighths, (2, 1), strict=True), 1):
        x = layers.conv(x, filters * width // 8, 3, stride, name=f"conv1_{number}")
        x = layers.follow("bn relu", x, name=f"conv1_{number}")
    x = layers.conv(x, filters, 3, bn=strided or "bn" in steps, name="conv1_3")
    if not strided:
        x = layers.follow(steps, x, name="conv1_3")
        return layers.max_pool(x, 3, 2, nonnegative=steps.endswith("relu"), name="pool1")
    x = layers.follow("bn relu", x, name="conv1_3")
    x = layers.conv(x, filters, 3, 2, bn="bn" in steps, name="pool1")
    return layers.follow(steps, x, name="pool1")


class Stem(NamedTuple):
    """The function that builds a stem, and the properties of the stem."""

    make: Callable
    weight_layers: int  # number of weight layers
    stride: int  # input pixels per pixel of the output


STEMS = {
    "7x7":          Stem(conv7x7_stem,                         weight_layers=1, stride=4),
    "7x7_zeros":    Stem(partial(conv7x7_stem, zeros=True),    weight_layers=1, stride=4),  # BiT
    "7x7_unpooled": Stem(partial(conv7x7_stem, pooled=False),  weight_layers=1, stride=2),  # iResNet
    "3x3":          Stem(three_by_three,                         weight_layers=1, stride=1),
    "deep":         Stem(deep,                                   weight_layers=3, stride=4),  # ResNet-C
    "deep_tiered":  Stem(partial(deep, eighths=(3, 4)),          weight_layers=3, stride=4),  # timm's names in "t"
    "deep_strided": Stem(partial(deep, strided=True),            weight_layers=4, stride=4),  # ResNet-RS
}  # fmt: skip
