"""The files of keras.applications' ResNet-50, 101 and 152 and of their V2 in our nets, which compute the same.

The former are the nets of He 2015, converted from Caffe, on what `keras.applications.resnet.preprocess_input` gives
(BGR, less the means). They stride in the first 1x1, every convolution has a bias, and every BN has `EPSILON`. The
latter are `resnet50v2_keras` and the like, for pixels of -1..1: a stage strides in its last block.
"""

import re
from pathlib import Path

import keras

from keras_resnet.errors import choose
from keras_resnet.weights.keras_files import KerasFile, read_keras
from keras_resnet.weights.state_dict import nearest, refuse

BASE = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
# As in github.com/keras-team/keras/blob/v3.15.0/keras/src/applications/resnet.py
KERAS_FILES = {
    # our row:           md5 of the file,                    md5 of the one without the classifier
    "resnet50":          ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101":         ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152":         ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2_keras":  ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2_keras": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2_keras": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
}  # fmt: skip

EPSILON = 1.001e-5


def applications_file(row: str, include_top: bool = True) -> Path:
    """The published file of a row of KERAS_FILES, downloaded once to where keras.applications itself has it.

    ValueError where it is not what its md5 says, OSError where it cannot be had.
    """
    md5 = choose(KERAS_FILES, row, "row")[0 if include_top else 1]
    name = f"{row.removesuffix('_keras')}_weights_tf_dim_ordering_tf_kernels{'' if include_top else '_notop'}.h5"
    try:
        return Path(keras.utils.get_file(name, BASE + name, cache_subdir="models", file_hash=md5))
    except ValueError:
        raise
    except Exception as error:  # it has none of its own
        raise OSError(f"The weights of {row!r} could not be downloaded. {error}") from error


def is_of_applications(model: keras.Model, file: KerasFile) -> bool:
    """Whether convolutions have the biases that those of keras.applications have; as `model`, those of its files."""
    layers = {layer.name for layer in model.layers}
    return "conv1_conv/bias" in file.tensors and not (file.layers and layers <= file.layers.keys())


def applications_preprocessing(file: KerasFile) -> str:
    """The row of PREPROCESSINGS that belongs to a file of keras.applications."""
    return "tf" if "post_bn/gamma" in file.tensors else "caffe"


def load_applications(model: keras.Model, path) -> None:
    """Gives `model` the weights of a file of keras.applications: a published `.h5`, or what such a model saves there.

    `model` is `ResNet("resnet50", bottleneck_stride="1x1")` or `ResNet("resnet50v2_keras")`, 101 or 152, with the
    classifier if the file has it.
    Its answers are those of keras.applications to rounding: a bias comes off the moving mean of the BN behind it, and
    what EPSILON has more than `bn_epsilon` goes onto the moving variance. (At 1e-5 that is 1e-8. Left out, it changes
    the scale of a channel by 0.05 % where the variance is 0, and by 0.0005 % where it is 1e-3.)

    Raises ValueError that lists what is missing, what is left over and what has another shape, and for a model that
    strides elsewhere than theirs and for one with a `bn_epsilon` above EPSILON; then nothing is changed.
    """
    file = path if isinstance(path, KerasFile) else read_keras(path)
    tensors = dict(file.tensors)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    v2 = "post_bn/gamma" in tensors  # whose convolutions have no bias where BN follows, and ours one where none does
    biases = {} if v2 else {layer.name: f"{layer.name.removesuffix('_bn')}_conv/bias" for layer in norms}
    targets = {f"{layer.name}/{variable.name}": variable for layer in model.layers for variable in layer.weights}
    shapes = {name: tuple(variable.shape) for name, variable in targets.items()}
    shapes |= {biases[layer.name]: tuple(layer.moving_mean.shape) for layer in norms if not v2}

    wrong = [f"missing: {name}{nearest(name, tensors)}" for name in shapes if name not in tensors]
    wrong += [f"unexpected: {name} {tensors[name].shape}" for name in tensors if name not in shapes]
    wrong += [
        f"shape: {name} is {tensors[name].shape}, the model needs {shape}"
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    refuse(model, wrong)
    _check_strides_v2(model) if v2 else _check_strides(model)
    for layer in norms:
        if layer.epsilon > EPSILON:
            raise ValueError(f"bn_epsilon must be at most {EPSILON}. Received: {layer.epsilon} in {layer.name!r}")
        if not v2:
            mean = f"{layer.name}/moving_mean"
            tensors[mean] = tensors[mean] - tensors[biases[layer.name]]
        variance = f"{layer.name}/moving_variance"
        tensors[variance] = tensors[variance] + (EPSILON - layer.epsilon)
    for name, variable in targets.items():
        variable.assign(tensors[name])


def _check_strides(model: keras.Model) -> None:
    """Strides have no weights. Where the 1x1 strides, or would if it were not dilated, all 3x3 of a stage are alike."""
    for first in model.layers:
        if re.fullmatch(r"conv\d+_block1_2_conv", first.name):
            second = model.get_layer(first.name.replace("block1", "block2"))
            pair = [(layer.strides, layer.dilation_rate) for layer in (first, second)]
            if pair[0] != pair[1]:
                raise ValueError(
                    "bottleneck_stride must be '1x1', where keras.applications strides. Received: "
                    f"{model.name!r}, whose {first.name} has (strides, dilation_rate) {pair[0]}, "
                    f"{second.name} {pair[1]}"
                )


def _check_strides_v2(model: keras.Model) -> None:
    """The first blocks of their stages do not stride: the last ones do, in their 3x3."""
    for layer in model.layers:
        if re.fullmatch(r"conv\d+_block1_2_conv", layer.name) and max(layer.strides) > 1:
            raise ValueError(
                "stride_block must be 'last', as in keras.applications' V2 ('resnet50v2_keras'). Received: "
                f"{model.name!r}, whose {layer.name} strides"
            )
