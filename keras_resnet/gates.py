"""Channel attention: gates that scale each channel of F(x) before the addition."""

from math import log2

import keras

from keras_resnet.layers import Layers


def squeeze_excite(x, ratio, layers: Layers, *, name):
    """Applies squeeze-and-excitation, `(b, h, w, c) -> (b, h, w, c)` (Hu et al. 2018, arXiv:1709.01507, Fig. 2).

    The hidden layer has c * ratio channels, rounded to a multiple of 8 as in timm, and at least 8.
    """
    channels = x.shape[-1]
    squeezed = max(8, int(channels * ratio + 4) // 8 * 8)
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_pool")(x)
    for number, units, activation in ((1, squeezed, "relu"), (2, channels, "sigmoid")):
        scale = keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer="he_normal",
            kernel_regularizer=layers.regularizer(),
            name=f"{name}_se_fc{number}",
        )(scale)
    return keras.layers.Multiply(name=f"{name}_se_scale")([x, scale])


def efficient_channel_attention(x, ratio, layers: Layers, *, name):
    """Applies efficient channel attention (Wang et al. 2020, arXiv:1910.03151, Fig. 2).

    It is a convolution along the channels. Its kernel size is given by eq. (12).
    """
    channels = x.shape[-1]
    width = int(abs(log2(channels) + 1) / 2)
    scale = keras.layers.GlobalAveragePooling2D(name=f"{name}_eca_pool")(x)
    scale = keras.layers.Reshape((channels, 1), name=f"{name}_eca_channels")(scale)
    scale = keras.layers.Conv1D(
        1,
        max(3, width + 1 - width % 2),
        padding="same",
        activation="sigmoid",
        use_bias=False,
        kernel_regularizer=layers.regularizer(),
        name=f"{name}_eca_conv",
    )(scale)
    scale = keras.layers.Reshape((1, 1, channels), name=f"{name}_eca_reshape")(scale)
    return keras.layers.Multiply(name=f"{name}_eca_scale")([x, scale])


# name of a gate -> function (F(x), ratio of channels in the hidden layer, layers, name=prefix of the layer names)
GATES = {"none": None, "se": squeeze_excite, "eca": efficient_channel_attention}
