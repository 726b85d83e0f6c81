"""`to_plain_keras`: outputs are equal, layers are Keras' own, and files load without this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import randomize

import keras_resnet
from keras_resnet import DenseVariant, ResNet, to_plain_keras

SIZE = dict(depths=(2, 2), input_shape=(32, 32, 3), classes=3)
NETS = {
    "option A": lambda: ResNet("resnet20", **SIZE),
    "option A at the end": lambda: ResNet("resnet20", **SIZE, zero_channels="end"),
    "grouped": lambda: ResNet("resnext50_32x4d", **SIZE),
    "standardized, group norm": lambda: ResNet("resnetv2_50x1_bit", **SIZE),
    "maxima of negative values": lambda: ResNet("iresnet50", **SIZE),
    "gate, deep stem": lambda: ResNet("resnetrs50", **SIZE, include_preprocessing="caffe"),
    "channel attention": lambda: ResNet("ecaresnet50d", **SIZE),
    "raw stem": lambda: ResNet("resnetv2_18", **SIZE),
    "dense": lambda: ResNet(DenseVariant((2, 2), growth_rate=4, filters=8, classes=3, image_size=32)),
}
LOAD = """
import sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], np.asarray(model(np.load(sys.argv[2]))))
assert not any(name.startswith("keras_resnet") for name in sys.modules)
"""


def close(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


@pytest.mark.parametrize("net", NETS)
def test_an_equal_model_of_layers_of_keras(net, rng):
    model = randomize(NETS[net]())
    plain = to_plain_keras(model)
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    assert close(plain(x), model(x))
    assert type(plain).__module__.startswith("keras.")
    assert all(type(operation).__module__.startswith("keras.") for operation in plain.operations)
    assert [layer.name for layer in model.layers if layer.weights] == [
        layer.name for layer in plain.layers if layer.weights
    ]
    assert plain.layers[0].name == "image"


@pytest.mark.parametrize("net", ["option A", pytest.param("maxima of negative values", marks=pytest.mark.slow)])
def test_its_file_loads_without_this_package(net, rng, tmp_path):
    model = randomize(NETS[net]())
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    to_plain_keras(model).save(tmp_path / "net.keras")
    command = [sys.executable, "-c", LOAD, *(tmp_path / name for name in ("net.keras", "x.npy", "y.npy"))]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert close(np.load(tmp_path / "y.npy"), model(x))


def test_a_network_within_a_model(rng):
    network = randomize(NETS["option A"]())
    image = keras.Input((32, 32, 3), name="photo")
    model = keras.Model(image, keras.layers.Dense(2)(network(image)))
    plain = to_plain_keras(model)
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    assert close(plain(x), model(x))
    assert not isinstance(plain.layers[1], keras_resnet.Network)
    pyramid = keras_resnet.feature_pyramid(network)
    for ours, theirs in zip(pyramid(x).values(), to_plain_keras(pyramid)(x).values(), strict=True):
        assert close(theirs, ours)


def test_what_keras_has_no_layer_for():
    @keras.saving.register_keras_serializable("keras_resnet")
    class Mystery(keras.layers.Layer):
        def call(self, x):
            return x

    Mystery.__module__ = "keras_resnet.layers"
    image = keras.Input((4, 4, 3))
    with pytest.raises(ValueError, match="Keras has no layer that does the same as 'm', a Mystery"):
        to_plain_keras(keras.Model(image, Mystery(name="m")(image)))
    with pytest.raises(ValueError, match="model must be a Functional or Sequential"):
        to_plain_keras("resnet50")
