# Generated from VARIANTS by: PYTHONPATH=tests python tests/test_variants.py
# fmt: off
# ruff: noqa
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_resnet.network import Network
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.shortcuts import Shortcut
from keras_resnet.variants import DenseVariant, Variant

__all__ = ['ResNet', 'PlainNet18', 'PlainNet34', 'ResNet18', 'ResNet34', 'ResNet50', 'ResNet101', 'ResNet152',
'ResNeXt50_32x4d', 'ResNeXt101_32x4d', 'ResNeXt101_32x8d', 'ResNeXt101_64x4d', 'ResNeXt101_32x16d', 'WideResNet50_2',
'WideResNet101_2', 'SEResNet18', 'SEResNet34', 'SEResNet50', 'SEResNet101', 'SEResNet152', 'SEResNeXt50_32x4d',
'SEResNeXt101_32x4d', 'ECAResNet50d', 'ECAResNet101d', 'ResNet50c', 'ResNet101c', 'ResNet152c', 'ResNet18d',
'ResNet34d', 'ResNet50d', 'ResNet101d', 'ResNet152d', 'ResNet200d', 'ResNet50s', 'ResNet101s', 'ResNet152s',
'ResNet50t', 'ResNeXt50d_32x4d', 'SEResNeXt26d_32x4d', 'SEResNet152d', 'ECAResNet50t', 'ResNet10t', 'ResNet14t',
'ResNet26', 'ResNet26d', 'ResNet26t', 'ResNetRS50', 'ResNetRS101', 'ResNetRS152', 'ResNetRS200', 'ResNetRS270',
'ResNetRS350', 'ResNetRS420', 'IResNet50', 'IResNet101', 'IResNet152', 'ResNet50_gn', 'ResNetV2_50x1_bit',
'ResNetV2_50x3_bit', 'ResNetV2_101x1_bit', 'ResNetV2_101x3_bit', 'ResNetV2_152x2_bit', 'ResNetV2_152x4_bit',
'ResNet50V2', 'ResNet101V2', 'ResNet152V2', 'ResNetV2_18', 'ResNetV2_18d', 'ResNetV2_34', 'ResNetV2_34d', 'ResNetV2_50',
'ResNetV2_50d', 'ResNetV2_50d_gn', 'ResNet18_vd', 'ResNet34_vd', 'ResNet50V2_keras', 'ResNet101V2_keras',
'ResNet152V2_keras', 'PlainNet20', 'PlainNet32', 'PlainNet44', 'PlainNet56', 'PlainNet110', 'ResNet20', 'ResNet32',
'ResNet44', 'ResNet56', 'ResNet110', 'ResNet1202', 'ResNet8_mlperf_tiny', 'ResNet20_keras', 'ResNet32_keras',
'ResNet44_keras', 'ResNet56_keras', 'ResNet110_keras', 'ResNet110V2', 'ResNet164V2', 'ResNet1001V2', 'WideResNet16_4',
'WideResNet16_8', 'WideResNet28_2', 'WideResNet28_10', 'WideResNet40_1', 'WideResNet40_2', 'WideResNet40_4',
'ResNeXt29_8x64d', 'ResNeXt29_16x64d', 'ResNet18_cifar', 'ResNet34_cifar', 'ResNet50_cifar', 'DenseNet121',
'DenseNet161', 'DenseNet169', 'DenseNet201', 'DenseNet264', 'DenseNet40_12', 'DenseNet100_12', 'DenseNet100_24',
'DenseNetBC100_12', 'DenseNetBC250_24', 'DenseNetBC190_40', 'R3D_18', 'MC3_18', 'R2Plus1D_18']

def ResNet(variant: str | Variant | DenseVariant, include_top: bool = True, weights: str | os.PathLike | Mapping[str,
    Any] | None = None, input_tensor: Any = None, input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None, classes: int | None = None, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = None, *, include_preprocessing: bool | str | Preprocessing = False, block: str = ...,
    depths: Sequence[int] = ..., filters: int = ..., groups: int = ..., base_width: int = ..., stem: str = ...,
    stem_filters: int | None = ..., first_stride: int = ..., output_stride: int | None = ...,
    shortcut: str | Shortcut = ..., order: str = ..., first_shortcut: str = ..., stride_block: str = ...,
    bottleneck_stride: str = ..., zero_channels: str = ..., gate: str = ..., gate_ratio: float = ...,
    zero_init_residual: bool = ..., block_dropout: float = ..., drop_path: float = ..., dropout: float = ...,
    norm: str = ..., gn_groups: int = ..., weight_standardization: bool = ..., conv_bias: str = ...,
    conv_padding: str = ..., weight_decay: float = ..., bn_momentum: float = ..., bn_epsilon: float = ...,
    rank: int = ..., convolution: str = ..., frames: int = ..., image_size: int = ..., growth_rate: int = ...,
    bottleneck: int = ..., compression: float = ...) -> Network:
    """Returns the network of a row of `VARIANTS`, or of a `Variant` of your own."""

def PlainNet18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain18',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns PlainNet18: 18 weight layers, 1000 classes, 224 x 224 pixels."""

def PlainNet34(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain34',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns PlainNet34: 34 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet18',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'projection', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns ResNet18: 18 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet34(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet34',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'projection', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns ResNet34: 34 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet50',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'bottleneck', depths: Sequence[int] = (3,
    4, 6, 3), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'projection', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns ResNet50: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt50_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext50_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt50_32x4d: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt101_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext101_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt101_32x4d: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt101_32x8d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext101_32x8d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 32,
    base_width: int = 8, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt101_32x8d: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt101_64x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext101_64x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 64,
    base_width: int = 4, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt101_64x4d: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt101_32x16d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext101_32x16d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 32,
    base_width: int = 16, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt101_32x16d: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def WideResNet50_2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet50_2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 128, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns WideResNet50_2: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def WideResNet101_2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet101_2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 128, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns WideResNet101_2: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet18', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet18: 18 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet34(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet34', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet34: 34 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet50(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet50', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet50: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet101(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet101', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet101: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet152(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet152', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet152: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNeXt50_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnext50_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNeXt50_32x4d: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNeXt101_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnext101_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNeXt101_32x4d: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ECAResNet50d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'ecaresnet50d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'eca', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ECAResNet50d: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ECAResNet101d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'ecaresnet101d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'eca', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ECAResNet101d: 103 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50c(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50c', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50c: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101c(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101c', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101c: 103 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152c(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152c', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152c: 154 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet18d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet18d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet18d: 20 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet34d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet34d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet34d: 36 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50d: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101d: 103 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152d: 154 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet200d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet200d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 24, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet200d: 202 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50s(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50s', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = 128, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50s: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101s(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101s', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = 128, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101s: 103 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152s(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152s', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = 128, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152s: 154 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50t(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50t', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_tiered', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50t: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNeXt50d_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext50d_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNeXt50d_32x4d: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNeXt26d_32x4d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnext26d_32x4d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 32,
    base_width: int = 4, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNeXt26d_32x4d: 28 weight layers, 1000 classes, 224 x 224 pixels."""

def SEResNet152d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'seresnet152d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns SEResNet152d: 154 weight layers, 1000 classes, 224 x 224 pixels."""

def ECAResNet50t(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'ecaresnet50t', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_tiered', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'eca', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ECAResNet50t: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet10t(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet10t', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (1, 1, 1, 1), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_tiered', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet10t: 12 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet14t(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet14t', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (1, 1, 1, 1), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_tiered', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet14t: 16 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet26(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet26',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'bottleneck', depths: Sequence[int] = (2,
    2, 2, 2), filters: int = 64, groups: int = 1, base_width: int = 64, stem: str = '7x7',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'projection', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 224) -> Network:
    """Returns ResNet26: 26 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet26d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet26d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet26d: 28 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet26t(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet26t', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_tiered', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet26t: 28 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS50(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs50', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS50: 53 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS101(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs101', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS101: 104 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS152(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs152', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS152: 155 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS200(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs200', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 24, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS200: 203 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS270(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs270', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (4, 29, 53, 4), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS270: 275 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS350(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs350', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (4, 36, 72, 4), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS350: 353 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetRS420(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetrs420', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (4, 44, 87, 4), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep_strided', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'se', gate_ratio: float = 0.25, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetRS420: 422 weight layers, 1000 classes, 224 x 224 pixels."""

def IResNet50(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'iresnet50', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 2,
    output_stride: int | None = None, shortcut: str | Shortcut = 'max_pooled_projection', order: str = 'stage_wise',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns IResNet50: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def IResNet101(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'iresnet101', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 2,
    output_stride: int | None = None, shortcut: str | Shortcut = 'max_pooled_projection', order: str = 'stage_wise',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns IResNet101: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def IResNet152(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'iresnet152', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 2,
    output_stride: int | None = None, shortcut: str | Shortcut = 'max_pooled_projection', order: str = 'stage_wise',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns IResNet152: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50_gn(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50_gn', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50_gn: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_50x1_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_50x1_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_50x1_bit: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_50x3_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_50x3_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 192, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_50x3_bit: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_101x1_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_101x1_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_101x1_bit: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_101x3_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_101x3_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 192, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_101x3_bit: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_152x2_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_152x2_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 128, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_152x2_bit: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_152x4_bit(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_152x4_bit', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 256, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = True, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_152x4_bit: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50V2: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101V2: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152V2: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_18', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_18: 18 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_18d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_18d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_18d: 20 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_34(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_34', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_34: 34 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_34d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_34d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_34d: 36 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_50(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_50', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_50: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_50d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_50d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_50d: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNetV2_50d_gn(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnetv2_50d_gn', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'gn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNetV2_50d_gn: 52 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet18_vd(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet18_vd', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'projection', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet18_vd: 20 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet34_vd(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet34_vd', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = 'deep', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'pooled_projection', order: str = 'original',
    first_shortcut: str = 'projection', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet34_vd: 36 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet50V2_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50v2_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'channel_projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'last', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'without_bn', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet50V2_keras: 50 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet101V2_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet101v2_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 23, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'channel_projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'last', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'without_bn', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet101V2_keras: 101 weight layers, 1000 classes, 224 x 224 pixels."""

def ResNet152V2_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet152v2_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 8, 36, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_zeros', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'channel_projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'last', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'without_bn', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 224) -> Network:
    """Returns ResNet152V2_keras: 152 weight layers, 1000 classes, 224 x 224 pixels."""

def PlainNet20(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain20', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (3, 3, 3), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns PlainNet20: 20 weight layers, 10 classes, 32 x 32 pixels."""

def PlainNet32(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain32', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (5, 5, 5), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns PlainNet32: 32 weight layers, 10 classes, 32 x 32 pixels."""

def PlainNet44(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain44', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (7, 7, 7), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns PlainNet44: 44 weight layers, 10 classes, 32 x 32 pixels."""

def PlainNet56(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain56', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (9, 9, 9), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns PlainNet56: 56 weight layers, 10 classes, 32 x 32 pixels."""

def PlainNet110(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'plain110',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (18, 18, 18), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'none', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns PlainNet110: 110 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet20(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet20',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (3, 3, 3), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet20: 20 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet32(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet32',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (5, 5, 5), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet32: 32 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet44(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet44',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (7, 7, 7), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet44: 44 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet56(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet56',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (9, 9, 9), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet56: 56 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet110(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet110',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (18, 18, 18), filters: int = 16, groups: int = 1, base_width: int = 64, stem: str = '3x3',
    stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet110: 110 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet1202(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'resnet1202',
    *, include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (200, 200, 200), filters: int = 16, groups: int = 1, base_width: int = 64,
    stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1, output_stride: int | None = None,
    shortcut: str | Shortcut = 'zero_pad', order: str = 'original', first_shortcut: str = 'activated',
    stride_block: str = 'first', bottleneck_stride: str = '3x3', zero_channels: str = 'both', gate: str = 'none',
    gate_ratio: float = 0.0625, zero_init_residual: bool = False, block_dropout: float = 0.0, drop_path: float = 0.0,
    dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32, weight_standardization: bool = False,
    conv_bias: str = 'none', conv_padding: str = 'symmetric', weight_decay: float = 0.0, bn_momentum: float = 0.9,
    bn_epsilon: float = 1e-05, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet1202: 1202 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet8_mlperf_tiny(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet8_mlperf_tiny', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (1, 1, 1), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet8_mlperf_tiny: 8 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet20_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet20_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 3, 3), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet20_keras: 20 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet32_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet32_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (5, 5, 5), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet32_keras: 32 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet44_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet44_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (7, 7, 7), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet44_keras: 44 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet56_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet56_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (9, 9, 9), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet56_keras: 56 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet110_keras(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet110_keras', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (18, 18, 18), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'linear_projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'all', conv_padding: str = 'same', weight_decay: float = 0.0,
    bn_momentum: float = 0.99, bn_epsilon: float = 0.001, rank: int = 2, convolution: str = 'full', frames: int = 16,
    image_size: int = 32) -> Network:
    """Returns ResNet110_keras: 110 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet110V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet110v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (18, 18, 18), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'zero_pad', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet110V2: 110 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet164V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet164v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (18, 18, 18), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet164V2: 164 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet1001V2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet1001v2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (111, 111, 111), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet1001V2: 1001 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet16_4(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet16_4', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet16_4: 14 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet16_8(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet16_8', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2), filters: int = 128, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet16_8: 14 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet28_2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet28_2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (4, 4, 4), filters: int = 32, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet28_2: 26 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet28_10(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet28_10', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (4, 4, 4), filters: int = 160, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet28_10: 26 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet40_1(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet40_1', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (6, 6, 6), filters: int = 16, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet40_1: 38 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet40_2(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet40_2', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (6, 6, 6), filters: int = 32, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet40_2: 38 weight layers, 10 classes, 32 x 32 pixels."""

def WideResNet40_4(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'wide_resnet40_4', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (6, 6, 6), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = 16, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'preactivation',
    first_shortcut: str = 'raw', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns WideResNet40_4: 38 weight layers, 10 classes, 32 x 32 pixels."""

def ResNeXt29_8x64d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext29_8x64d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 3, 3), filters: int = 64, groups: int = 8,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNeXt29_8x64d: 29 weight layers, 10 classes, 32 x 32 pixels."""

def ResNeXt29_16x64d(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnext29_16x64d', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 3, 3), filters: int = 64, groups: int = 16,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNeXt29_16x64d: 29 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet18_cifar(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet18_cifar', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet18_cifar: 18 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet34_cifar(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet34_cifar', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet34_cifar: 34 weight layers, 10 classes, 32 x 32 pixels."""

def ResNet50_cifar(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'resnet50_cifar', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'bottleneck', depths: Sequence[int] = (3, 4, 6, 3), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '3x3', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 2,
    convolution: str = 'full', frames: int = 16, image_size: int = 32) -> Network:
    """Returns ResNet50_cifar: 50 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNet121(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet121', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (6, 12, 24, 16), growth_rate: int = 32, filters: int = 64, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '7x7', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 224) -> Network:
    """Returns DenseNet121: 121 weight layers, 1000 classes, 224 x 224 pixels."""

def DenseNet161(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet161', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (6, 12, 36, 24), growth_rate: int = 48, filters: int = 96, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '7x7', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 224) -> Network:
    """Returns DenseNet161: 161 weight layers, 1000 classes, 224 x 224 pixels."""

def DenseNet169(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet169', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (6, 12, 32, 32), growth_rate: int = 32, filters: int = 64, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '7x7', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 224) -> Network:
    """Returns DenseNet169: 169 weight layers, 1000 classes, 224 x 224 pixels."""

def DenseNet201(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet201', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (6, 12, 48, 32), growth_rate: int = 32, filters: int = 64, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '7x7', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 224) -> Network:
    """Returns DenseNet201: 201 weight layers, 1000 classes, 224 x 224 pixels."""

def DenseNet264(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 1000, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet264', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (6, 12, 64, 48), growth_rate: int = 32, filters: int = 64, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '7x7', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 224) -> Network:
    """Returns DenseNet264: 265 weight layers, 1000 classes, 224 x 224 pixels."""

def DenseNet40_12(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet40_12', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (12, 12, 12), growth_rate: int = 12, filters: int = 16, bottleneck: int = 0,
    compression: float = 1.0, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNet40_12: 40 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNet100_12(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet100_12', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (32, 32, 32), growth_rate: int = 12, filters: int = 16, bottleneck: int = 0,
    compression: float = 1.0, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNet100_12: 100 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNet100_24(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet100_24', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (32, 32, 32), growth_rate: int = 24, filters: int = 16, bottleneck: int = 0,
    compression: float = 1.0, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNet100_24: 100 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNetBC100_12(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet_bc100_12', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (16, 16, 16), growth_rate: int = 12, filters: int = 24, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNetBC100_12: 100 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNetBC250_24(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet_bc250_24', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (41, 41, 41), growth_rate: int = 24, filters: int = 48, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNetBC250_24: 250 weight layers, 10 classes, 32 x 32 pixels."""

def DenseNetBC190_40(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 10, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'densenet_bc190_40', *, include_preprocessing: bool | str | Preprocessing = False,
    depths: Sequence[int] = (31, 31, 31), growth_rate: int = 40, filters: int = 80, bottleneck: int = 4,
    compression: float = 0.5, stem: str = '3x3', block_dropout: float = 0.0, dropout: float = 0.0, norm: str = 'bn',
    gn_groups: int = 32, weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05,
    image_size: int = 32) -> Network:
    """Returns DenseNetBC190_40: 190 weight layers, 10 classes, 32 x 32 pixels."""

def R3D_18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 400, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'r3d_18', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1, base_width: int = 64,
    stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 3,
    convolution: str = 'full', frames: int = 16, image_size: int = 112) -> Network:
    """Returns R3D_18: 18 weight layers, 400 classes, 16 x 112 x 112 pixels."""

def MC3_18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 400, classifier_activation: str | Callable | None = 'softmax', name: str | None = 'mc3_18', *,
    include_preprocessing: bool | str | Preprocessing = False, block: str = 'building_block',
    depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1, base_width: int = 64,
    stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 3,
    convolution: str = 'mixed', frames: int = 16, image_size: int = 112) -> Network:
    """Returns MC3_18: 18 weight layers, 400 classes, 16 x 112 x 112 pixels."""

def R2Plus1D_18(include_top: bool = True, weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None, input_shape: Sequence[int | None] | None = None, pooling: str | None = None,
    classes: int | None = 400, classifier_activation: str | Callable | None = 'softmax',
    name: str | None = 'r2plus1d_18', *, include_preprocessing: bool | str | Preprocessing = False,
    block: str = 'building_block', depths: Sequence[int] = (2, 2, 2, 2), filters: int = 64, groups: int = 1,
    base_width: int = 64, stem: str = '7x7_unpooled', stem_filters: int | None = None, first_stride: int = 1,
    output_stride: int | None = None, shortcut: str | Shortcut = 'projection', order: str = 'original',
    first_shortcut: str = 'activated', stride_block: str = 'first', bottleneck_stride: str = '3x3',
    zero_channels: str = 'both', gate: str = 'none', gate_ratio: float = 0.0625, zero_init_residual: bool = False,
    block_dropout: float = 0.0, drop_path: float = 0.0, dropout: float = 0.0, norm: str = 'bn', gn_groups: int = 32,
    weight_standardization: bool = False, conv_bias: str = 'none', conv_padding: str = 'symmetric',
    weight_decay: float = 0.0, bn_momentum: float = 0.9, bn_epsilon: float = 1e-05, rank: int = 3,
    convolution: str = 'factorized', frames: int = 16, image_size: int = 112) -> Network:
    """Returns R2Plus1D_18: 18 weight layers, 400 classes, 16 x 112 x 112 pixels."""
