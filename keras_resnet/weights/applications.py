"""The files of keras.applications' ResNets, their V2 and DenseNets in our nets, which compute the same.

The ResNets are the nets of He 2015, converted from Caffe, for what `keras.applications.resnet.preprocess_input` returns
(BGR, minus the means). They stride in the first 1x1, every convolution has a bias, and every BN has `EPSILON`. The V2
are `resnet50v2_keras` and the like, for pixels of -1..1: a stage strides in its last block. The DenseNets are those of
Huang 2017, for the means and deviations of ImageNet.
"""

import re
from pathlib import Path
from typing import NamedTuple

import keras

from keras_resnet.errors import choose
from keras_resnet.variants import DenseVariant, Variant
from keras_resnet.weights.adapt import adapted
from keras_resnet.weights.keras_files import KerasFile, read_keras
from keras_resnet.weights.names import named_variables
from keras_resnet.weights.state_dict import assign, check, nearest, refuse

BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Published(NamedTuple):
    """A file of keras.applications and the one without the classifier."""

    folder: str  # below BASE
    md5: str
    md5_no_top: str
    fields: dict  # that the row must have


RES, DENSE, V1 = "resnet", "densenet", dict(bottleneck_stride="1x1")
# As in github.com/keras-team/keras/blob/v3.15.0/keras/src/applications/resnet.py and densenet.py
KERAS_FILES = {
    "resnet50":          Published(RES, "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626", V1),
    "resnet101":         Published(RES, "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21", V1),
    "resnet152":         Published(RES, "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c", V1),
    "resnet50v2_keras":  Published(RES, "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917", {}),
    "resnet101v2_keras": Published(RES, "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5", {}),
    "resnet152v2_keras": Published(RES, "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33", {}),
    "densenet121":       Published(DENSE, "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738", {}),
    "densenet169":       Published(DENSE, "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b", {}),
    "densenet201":       Published(DENSE, "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1", {}),
}  # fmt: skip

EPSILON = 1.001e-5


def check_row(name: str, row: Variant | DenseVariant) -> None:
    """ValueError if the file of keras.applications for the row `name` does not fit the fields of `row`."""
    for field, value in choose(KERAS_FILES, name, "The row, with weights='keras',").fields.items():
        if getattr(row, field) != value:
            raise ValueError(
                f"{field} must be {value!r} with weights='keras', as in keras.applications. "
                f"Received: {getattr(row, field)!r}"
            )


def applications_file(row: str, include_top: bool = True) -> Path:
    """The published file of a row of KERAS_FILES, downloaded once to where keras.applications itself has it.

    ValueError where it is not what its md5 says, OSError where it cannot be had.
    """
    published = choose(KERAS_FILES, row, "row")
    md5 = published.md5 if include_top else published.md5_no_top
    name = f"{row.removesuffix('_keras')}_weights_tf_dim_ordering_tf_kernels{'' if include_top else '_notop'}.h5"
    try:
        url = f"{BASE}{published.folder}/{name}"
        return Path(keras.utils.get_file(name, url, cache_subdir="models", file_hash=md5))
    except ValueError:
        raise
    except Exception as error:  # it has none of its own
        raise OSError(f"The weights of {row!r} could not be downloaded. {error}") from error


def is_of_applications(model: keras.Model, file: KerasFile) -> bool:
    """Whether a file was written by a net of keras.applications, and not by one of this package.

    Its ResNets have biases before BN. Its DenseNets differ from ours in the epsilon of BN, or by the name of the input.
    """
    if "conv1_conv/bias" in file.tensors:
        return not (file.layers and {layer.name for layer in model.layers} <= file.layers.keys())
    if "bn/gamma" not in file.tensors:
        return False
    if file.graph is not None:
        return abs(file.graph["bn"]["epsilon"] - EPSILON) < 1e-9
    return any(name.startswith("input") for name in file.layers)


def applications_preprocessing(file: KerasFile) -> str:
    """The row of PREPROCESSINGS that belongs to a file of keras.applications."""
    kinds = {"post_bn/gamma": "tf", "bn/gamma": "torch"}
    return next((kinds[name] for name in kinds if name in file.tensors), "caffe")


def load_applications(model: keras.Model, path, *, new_head: bool = True) -> None:
    """Loads a file of keras.applications: a published `.h5`, or what such a model saves.

    The outputs are those of keras.applications up to rounding: a bias before BN is subtracted from its moving mean, and
    what EPSILON exceeds `bn_epsilon` by is added to the moving variance. (At 1e-5 that is 1e-8. Left out, it would
    change the scale of a channel by 0.05 % where the variance is 0, and by 0.0005 % where it is 1e-3.)

    Args:
        model: `ResNet("resnet50", bottleneck_stride="1x1")`, `ResNet("resnet50v2_keras")`, `ResNet("densenet121")`, or
            their deeper relatives, with or without the top.
        path: The file, or the `KerasFile` that was read from it.
        new_head: If True, a classifier of another number of classes keeps its random initialization, with a warning.

    Raises:
        ValueError: If tensors are missing, unexpected or of another shape, or if the model strides elsewhere or has a
            greater epsilon. Then the model is unchanged.
    """
    file = path if isinstance(path, KerasFile) else read_keras(path)
    tensors = dict(file.tensors)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.epsilon > EPSILON:
                raise ValueError(f"bn_epsilon must be at most {EPSILON}. Received: {layer.epsilon} in {layer.name!r}")
            variance = f"{layer.name}/moving_variance"
            if variance in tensors:
                tensors[variance] = tensors[variance] + (EPSILON - layer.epsilon)
    targets = named_variables(model, "keras_resnet")
    tensors, targets = adapted(model, tensors, targets, "keras_resnet", new_head)
    v1 = not {"post_bn/gamma", "bn/gamma"} & tensors.keys()
    biases = [
        f"{target.layer.removesuffix('_bn')}_conv/bias" for target in targets if target.tensor.endswith("_bn/gamma")
    ]
    refuse(
        model, [f"missing: {bias}{nearest(bias, file.tensors)}" for bias in biases if v1 and bias not in file.tensors]
    )
    check(model, tensors, targets)
    if "bn/gamma" not in file.tensors:
        check_model(model, "resnet50v2_keras" if "post_bn/gamma" in file.tensors else "resnet50")
    assign(tensors, targets)


def check_model(model: keras.Model, row: str) -> None:
    """ValueError if `model` strides in other layers than the net of keras.applications."""
    if not row.startswith("densenet"):
        _check_strides_v2(model) if row.endswith("v2_keras") else _check_strides(model)


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
