"""Residual networks for Keras: the whole family behind the arguments of keras.applications."""

import importlib
import sys
import warnings
from importlib import metadata
from typing import TYPE_CHECKING

if sys.argv[:1] == ["-m"]:  # python -m keras_resnet: this file is imported before __main__
    from keras_resnet.quiet import quiet_tensorflow

    quiet_tensorflow()

from keras_resnet import applications
from keras_resnet.activation_maps import explain, overlay
from keras_resnet.blocks import BLOCKS, ORDERS, Order, bottleneck, building_block, residual_block
from keras_resnet.builders import (
    DenseNet40_12,
    DenseNet100_12,
    DenseNet100_24,
    DenseNet121,
    DenseNet161,
    DenseNet169,
    DenseNet201,
    DenseNet264,
    DenseNetBC100_12,
    DenseNetBC190_40,
    DenseNetBC250_24,
    ECAResNet50d,
    ECAResNet50t,
    ECAResNet101d,
    IResNet50,
    IResNet101,
    IResNet152,
    PlainNet18,
    PlainNet20,
    PlainNet32,
    PlainNet34,
    PlainNet44,
    PlainNet56,
    PlainNet110,
    ResNet8_mlperf_tiny,
    ResNet10t,
    ResNet14t,
    ResNet18,
    ResNet18_cifar,
    ResNet18_vd,
    ResNet18d,
    ResNet20,
    ResNet20_keras,
    ResNet26,
    ResNet26d,
    ResNet26t,
    ResNet32,
    ResNet32_keras,
    ResNet34,
    ResNet34_cifar,
    ResNet34_vd,
    ResNet34d,
    ResNet44,
    ResNet44_keras,
    ResNet50,
    ResNet50_cifar,
    ResNet50_gn,
    ResNet50c,
    ResNet50d,
    ResNet50s,
    ResNet50t,
    ResNet50V2,
    ResNet50V2_keras,
    ResNet56,
    ResNet56_keras,
    ResNet101,
    ResNet101c,
    ResNet101d,
    ResNet101s,
    ResNet101V2,
    ResNet101V2_keras,
    ResNet110,
    ResNet110_keras,
    ResNet110V2,
    ResNet152,
    ResNet152c,
    ResNet152d,
    ResNet152s,
    ResNet152V2,
    ResNet152V2_keras,
    ResNet164V2,
    ResNet200d,
    ResNet1001V2,
    ResNet1202,
    ResNetRS50,
    ResNetRS101,
    ResNetRS152,
    ResNetRS200,
    ResNetRS270,
    ResNetRS350,
    ResNetRS420,
    ResNetV2_18,
    ResNetV2_18d,
    ResNetV2_34,
    ResNetV2_34d,
    ResNetV2_50,
    ResNetV2_50d,
    ResNetV2_50d_gn,
    ResNetV2_50x1_bit,
    ResNetV2_50x3_bit,
    ResNetV2_101x1_bit,
    ResNetV2_101x3_bit,
    ResNetV2_152x2_bit,
    ResNetV2_152x4_bit,
    ResNeXt29_8x64d,
    ResNeXt29_16x64d,
    ResNeXt50_32x4d,
    ResNeXt50d_32x4d,
    ResNeXt101_32x4d,
    ResNeXt101_32x8d,
    ResNeXt101_32x16d,
    ResNeXt101_64x4d,
    SEResNet18,
    SEResNet34,
    SEResNet50,
    SEResNet101,
    SEResNet152,
    SEResNet152d,
    SEResNeXt26d_32x4d,
    SEResNeXt50_32x4d,
    SEResNeXt101_32x4d,
    WideResNet16_4,
    WideResNet16_8,
    WideResNet28_2,
    WideResNet28_10,
    WideResNet40_1,
    WideResNet40_2,
    WideResNet40_4,
    WideResNet50_2,
    WideResNet101_2,
)
from keras_resnet.fine_tuning import LayerDecay, freeze, layer_decay, reset_classifier
from keras_resnet.gates import GATES
from keras_resnet.layers import Layers
from keras_resnet.macs import count_macs
from keras_resnet.network import Network
from keras_resnet.plain_keras import to_plain_keras
from keras_resnet.preprocessing import (
    PREPROCESSINGS,
    Preprocessing,
    decode_predictions,
    preprocess_input,
    preprocessing_layers,
)
from keras_resnet.pyramid import feature_pyramid
from keras_resnet.resnet import ResNet
from keras_resnet.shortcuts import OPTIONS, SHORTCUTS
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, cifar, cifar_dense, list_variants, wide
from keras_resnet.weights import load_pretrained, model_preprocessing, save_pretrained

if TYPE_CHECKING:
    from keras_resnet.serving import export, export_saved_model, fold_batch_norm

__version__ = "0.1.0"

# What `import keras_resnet` does not import yet: name -> module.
LAZY = dict.fromkeys(("export", "export_saved_model", "fold_batch_norm"), "keras_resnet.serving")


def __getattr__(name):
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LAZY[name]), name)


def __dir__():
    return [*globals(), *LAZY]


def _warn_of_the_other_distribution():
    try:
        version = metadata.version("keras-resnet")
    except metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"The distribution keras-resnet {version}, another project, also installs a package keras_resnet. Files of "
        "both may be mixed: pip uninstall keras-resnet keras-resnet-family; pip install keras-resnet-family",
        stacklevel=3,
    )


_warn_of_the_other_distribution()
