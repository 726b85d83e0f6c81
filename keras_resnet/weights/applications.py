"""Loading of the weight files of keras.applications: ResNet, ResNetV2 and DenseNet.

- The ResNets are the networks of He 2015, converted from Caffe. Their input is the output of
  `keras.applications.resnet.preprocess_input` (BGR, minus the means). The stride of a block is in its first 1x1 layer,
  every convolution has a bias, and every BN has the epsilon `EPSILON`.
- The ResNetV2s are the rows `resnet50v2_keras`, `resnet101v2_keras` and `resnet152v2_keras`. Their input is pixels
  scaled to -1..1. The stride of a stage is in its last block.
- The DenseNets are those of Huang 2017. Their input is normalized with the mean and standard deviation of ImageNet.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.network import Network
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, differences
from keras_resnet.weights.keras_files import KerasFile
from keras_resnet.weights.names import find_naming

BASE = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Kind(NamedTuple):
    folder: str  # folder below BASE
    naming: str  # name of a row of KERAS_NAMINGS
    preprocessing: str  # name of a row of PREPROCESSINGS


class Published(NamedTuple):
    """A file of keras.applications with the classifier and its file without the classifier."""

    kind: Kind
    md5: str
    md5_no_top: str


V1 = Kind("resnet", "keras.applications", "caffe")
V2 = Kind("resnet", "keras.applications v2", "tf")
DENSE = Kind("densenet", "keras.applications", "torch")
# As in github.com/keras-team/keras/blob/v3.15.0/keras/src/applications/resnet.py and densenet.py
KERAS_FILES = {
    "resnet50":          Published(V1, "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101":         Published(V1, "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152":         Published(V1, "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2_keras":  Published(V2, "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2_keras": Published(V2, "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2_keras": Published(V2, "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
    "densenet121":       Published(DENSE, "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169":       Published(DENSE, "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201":       Published(DENSE, "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}  # fmt: skip

EPSILON = 1.001e-5


def check_row(name: str, row: Variant | DenseVariant) -> None:
    """Raises ValueError if the file of keras.applications for the row `name` contains the weights of another network.

    `row` is the variant of the model.
    """
    published = choose(KERAS_FILES, name, "The row, with weights='keras',")
    implied = find_naming(published.kind.naming).implies
    fields = {field: allowed[0] for field, allowed in implied.items() if hasattr(VARIANTS[name], field)}
    theirs = replace(VARIANTS[name], bn_epsilon=row.bn_epsilon, **fields)  # `with_epsilon` adapts the epsilon
    if wrong := differences(row, theirs):
        raise ValueError(f"The weights of keras.applications for {name!r} are of another network: {wrong}")


def applications_file(row: str, include_top: bool = True) -> Path:
    """Returns the path of the published file of a row of KERAS_FILES. Downloads it if necessary.

    The file is in the cache directory of keras.applications. Raises ValueError if its md5 is wrong, and OSError if it
    cannot be downloaded.
    """
    published = choose(KERAS_FILES, row, "row")
    md5 = published.md5 if include_top else published.md5_no_top
    name = f"{row.removesuffix('_keras')}_weights_tf_dim_ordering_tf_kernels{'' if include_top else '_notop'}.h5"
    try:
        url = f"{BASE}{published.kind.folder}/{name}"
        return Path(keras.utils.get_file(name, url, cache_subdir="models", file_hash=md5))
    except ValueError:
        raise
    except Exception as error:  # `get_file` has no error class of its own
        raise OSError(f"The weights of {row!r} could not be downloaded. {error}") from error


def is_of_applications(file: KerasFile) -> bool:
    """Returns whether a file contains a network of keras.applications rather than a network of this package.

    The ResNets of keras.applications have a bias in conv1. The name of the last BN of its DenseNets is "bn".
    """
    return file.description is None and not {"conv1_conv/bias", "bn/gamma"}.isdisjoint(file.tensors)


def kind_of(file: KerasFile) -> Kind:
    """Returns the kind of a file of keras.applications."""
    return V2 if "post_bn/gamma" in file.tensors else DENSE if "bn/gamma" in file.tensors else V1


def with_epsilon(model: Network, file: KerasFile) -> dict[str, np.ndarray]:
    """Returns the tensors of a file of keras.applications, adapted to the epsilon of `model`.

    The difference of EPSILON and `bn_epsilon` is added to the moving variance. (For `bn_epsilon=1e-5`, the difference
    is 1e-8. Without this addition, the scale of a channel would change by 0.05 % if its variance is 0, and by 0.0005 %
    if its variance is 1e-3.)

    Raises ValueError if the model has a greater epsilon.
    """
    tensors = dict(file.tensors)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.epsilon > EPSILON:
                raise ValueError(f"bn_epsilon must be at most {EPSILON}. Received: {layer.epsilon} in {layer.name!r}")
            variance = f"{layer.name}/moving_variance"
            if variance in tensors:
                tensors[variance] = tensors[variance] + (EPSILON - layer.epsilon)
    return tensors
