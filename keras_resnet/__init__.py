"""Residual networks for Keras: the whole family behind the arguments of keras.applications."""

from keras_resnet.blocks import BLOCKS, ORDERS, Order, bottleneck, building_block, residual_block
from keras_resnet.layers import Layers
from keras_resnet.macs import count_macs
from keras_resnet.resnet import (
    PlainNet18,
    PlainNet20,
    PlainNet32,
    PlainNet34,
    PlainNet44,
    PlainNet56,
    PlainNet110,
    ResNet,
    ResNet18,
    ResNet20,
    ResNet32,
    ResNet34,
    ResNet44,
    ResNet50,
    ResNet50V2,
    ResNet56,
    ResNet101,
    ResNet101V2,
    ResNet110,
    ResNet110V2,
    ResNet152,
    ResNet152V2,
    ResNet164V2,
    ResNet1001V2,
    ResNet1202,
    ResNeXt50_32x4d,
)
from keras_resnet.serving import export_saved_model
from keras_resnet.shortcuts import OPTIONS, SHORTCUTS
from keras_resnet.variants import VARIANTS, Variant, cifar

__version__ = "0.1.0"
