"""A builder for each row of `VARIANTS`, called as its row is: `resnet50` is `ResNet50`, `seresnet18` is `SEResNet18`.

They take the eight arguments of keras.applications in their order, and then the fields of the row.
"""

from collections.abc import Callable
from dataclasses import asdict

import keras

from keras_resnet.resnet import ResNet, weight_layers
from keras_resnet.variants import VARIANTS
from keras_resnet.variants import builder_name as _builder_name


def _builder(row_name: str) -> Callable[..., keras.Model]:
    row = VARIANTS[row_name]

    def build(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=row.classes,
        classifier_activation="softmax",
        name=row_name,
        **fields,
    ):
        return ResNet(
            row_name,
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
            **fields,
        )

    size = f"({row.image_size}, {row.image_size}, 3)"
    build.__doc__ = f"""`ResNet({row_name!r})`, {weight_layers(row)} weight layers, {row.classes} classes, {size}.

    {", ".join(f"{field}={value!r}" for field, value in asdict(row).items())}.
    The arguments and errors are those of `ResNet`.
    """
    build.__name__ = build.__qualname__ = _builder_name(row_name)
    return build


PlainNet18 = _builder("plain18")
PlainNet34 = _builder("plain34")
ResNet18 = _builder("resnet18")
ResNet34 = _builder("resnet34")
ResNet50 = _builder("resnet50")
ResNet101 = _builder("resnet101")
ResNet152 = _builder("resnet152")
ResNeXt50_32x4d = _builder("resnext50_32x4d")
ResNeXt101_32x4d = _builder("resnext101_32x4d")
ResNeXt101_32x8d = _builder("resnext101_32x8d")
ResNeXt101_64x4d = _builder("resnext101_64x4d")
ResNeXt101_32x16d = _builder("resnext101_32x16d")
WideResNet50_2 = _builder("wide_resnet50_2")
WideResNet101_2 = _builder("wide_resnet101_2")
SEResNet18 = _builder("seresnet18")
SEResNet34 = _builder("seresnet34")
SEResNet50 = _builder("seresnet50")
SEResNet101 = _builder("seresnet101")
SEResNet152 = _builder("seresnet152")
SEResNeXt50_32x4d = _builder("seresnext50_32x4d")
SEResNeXt101_32x4d = _builder("seresnext101_32x4d")
ECAResNet50d = _builder("ecaresnet50d")
ECAResNet101d = _builder("ecaresnet101d")
ResNet50c = _builder("resnet50c")
ResNet101c = _builder("resnet101c")
ResNet152c = _builder("resnet152c")
ResNet18d = _builder("resnet18d")
ResNet34d = _builder("resnet34d")
ResNet50d = _builder("resnet50d")
ResNet101d = _builder("resnet101d")
ResNet152d = _builder("resnet152d")
ResNet200d = _builder("resnet200d")
ResNet50s = _builder("resnet50s")
ResNet101s = _builder("resnet101s")
ResNet152s = _builder("resnet152s")
ResNet50t = _builder("resnet50t")
ResNeXt50d_32x4d = _builder("resnext50d_32x4d")
SEResNeXt26d_32x4d = _builder("seresnext26d_32x4d")
SEResNet152d = _builder("seresnet152d")
ECAResNet50t = _builder("ecaresnet50t")
ResNet10t = _builder("resnet10t")
ResNet14t = _builder("resnet14t")
ResNet26 = _builder("resnet26")
ResNet26d = _builder("resnet26d")
ResNet26t = _builder("resnet26t")
ResNetRS50 = _builder("resnetrs50")
ResNetRS101 = _builder("resnetrs101")
ResNetRS152 = _builder("resnetrs152")
ResNetRS200 = _builder("resnetrs200")
ResNetRS270 = _builder("resnetrs270")
ResNetRS350 = _builder("resnetrs350")
ResNetRS420 = _builder("resnetrs420")
IResNet50 = _builder("iresnet50")
IResNet101 = _builder("iresnet101")
IResNet152 = _builder("iresnet152")
ResNet50_gn = _builder("resnet50_gn")
ResNetV2_50x1_bit = _builder("resnetv2_50x1_bit")
ResNetV2_50x3_bit = _builder("resnetv2_50x3_bit")
ResNetV2_101x1_bit = _builder("resnetv2_101x1_bit")
ResNetV2_101x3_bit = _builder("resnetv2_101x3_bit")
ResNetV2_152x2_bit = _builder("resnetv2_152x2_bit")
ResNetV2_152x4_bit = _builder("resnetv2_152x4_bit")
ResNet50V2 = _builder("resnet50v2")
ResNet101V2 = _builder("resnet101v2")
ResNet152V2 = _builder("resnet152v2")
ResNetV2_18 = _builder("resnetv2_18")
ResNetV2_18d = _builder("resnetv2_18d")
ResNetV2_34 = _builder("resnetv2_34")
ResNetV2_34d = _builder("resnetv2_34d")
ResNetV2_50 = _builder("resnetv2_50")
ResNetV2_50d = _builder("resnetv2_50d")
ResNetV2_50d_gn = _builder("resnetv2_50d_gn")
ResNet18_vd = _builder("resnet18_vd")
ResNet34_vd = _builder("resnet34_vd")
ResNet50V2_keras = _builder("resnet50v2_keras")
ResNet101V2_keras = _builder("resnet101v2_keras")
ResNet152V2_keras = _builder("resnet152v2_keras")
PlainNet20 = _builder("plain20")
PlainNet32 = _builder("plain32")
PlainNet44 = _builder("plain44")
PlainNet56 = _builder("plain56")
PlainNet110 = _builder("plain110")
ResNet20 = _builder("resnet20")
ResNet32 = _builder("resnet32")
ResNet44 = _builder("resnet44")
ResNet56 = _builder("resnet56")
ResNet110 = _builder("resnet110")
ResNet1202 = _builder("resnet1202")
ResNet8_mlperf_tiny = _builder("resnet8_mlperf_tiny")
ResNet20_keras = _builder("resnet20_keras")
ResNet32_keras = _builder("resnet32_keras")
ResNet44_keras = _builder("resnet44_keras")
ResNet56_keras = _builder("resnet56_keras")
ResNet110_keras = _builder("resnet110_keras")
ResNet110V2 = _builder("resnet110v2")
ResNet164V2 = _builder("resnet164v2")
ResNet1001V2 = _builder("resnet1001v2")
WideResNet16_4 = _builder("wide_resnet16_4")
WideResNet16_8 = _builder("wide_resnet16_8")
WideResNet28_2 = _builder("wide_resnet28_2")
WideResNet28_10 = _builder("wide_resnet28_10")
WideResNet40_1 = _builder("wide_resnet40_1")
WideResNet40_2 = _builder("wide_resnet40_2")
WideResNet40_4 = _builder("wide_resnet40_4")
ResNeXt29_8x64d = _builder("resnext29_8x64d")
ResNeXt29_16x64d = _builder("resnext29_16x64d")
ResNet18_cifar = _builder("resnet18_cifar")
ResNet34_cifar = _builder("resnet34_cifar")
ResNet50_cifar = _builder("resnet50_cifar")
DenseNet121 = _builder("densenet121")
DenseNet161 = _builder("densenet161")
DenseNet169 = _builder("densenet169")
DenseNet201 = _builder("densenet201")
DenseNet264 = _builder("densenet264")
DenseNet40_12 = _builder("densenet40_12")
DenseNet100_12 = _builder("densenet100_12")
DenseNet100_24 = _builder("densenet100_24")
DenseNetBC100_12 = _builder("densenet_bc100_12")
DenseNetBC250_24 = _builder("densenet_bc250_24")
DenseNetBC190_40 = _builder("densenet_bc190_40")
