"""Files must become the pixels that the model takes: 0 to 255, 0 to 1, or normalized as its weights want."""

import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize

import keras_resnet
from keras_resnet import export_saved_model
from keras_resnet.serving import reference

ROW = keras_resnet.Preprocessing(8, 9)
MEAN, STD = np.array(ROW.mean), np.array(ROW.std)
FILES = reference.sample_files(8, 8, None)


def classifier(*first, deeper=()):
    """A net that begins with the layers `first`, and has the layers `deeper` behind a convolution."""
    image = x = keras.Input((8, 8, 3), name="image")
    for layer in (*first, keras.layers.Conv2D(6, 3, activation="tanh"), *deeper, keras.layers.Flatten()):
        x = layer(x)
    net = keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))
    for layer in net.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            randomize(layer)
    return net


def normalization(factor=1.0):
    return keras.layers.Normalization(mean=MEAN * factor, variance=(STD * factor) ** 2)


def image_bytes(net, tmp_path, **options):
    report = export_saved_model(net, tmp_path, signatures=("image_bytes",), warmup=False, **options)
    signature = tf.saved_model.load(report["path"]).signatures["image_bytes"]
    return signature(image_bytes=tf.constant(FILES))["probabilities"]


def pixels(row=None):
    return reference.read_files(FILES, (8, 8, 3), row)


def assert_served(net, expected, tmp_path, **options):
    """What files give is what the model gives for `expected`; rounding may be off by one grey level."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        got = image_bytes(net, tmp_path, **options)
    probabilities = np.asarray(net(expected, training=False))
    np.testing.assert_allclose(got, probabilities, atol=0.05)
    assert np.ptp(probabilities, 0).max() > 0.2


DEEPER = {
    "rescaling": lambda: keras.layers.Rescaling(0.5),
    "normalization": lambda: keras.layers.Normalization(mean=[0.1] * 6, variance=[0.9] * 6),
}


@pytest.mark.parametrize("layer", DEEPER)
def test_layers_behind_the_first_weights_tell_nothing_of_the_input(layer, tmp_path):
    """As the Rescaling at the end of a residual branch in nets without normalization."""
    net = classifier(deeper=[DEEPER[layer]()])
    expected = reference.normalize(pixels(ROW), ROW)
    assert_served(net, expected, tmp_path / "explicit", preprocessing=ROW)
    with pytest.warns(UserWarning, match="pixels of 0..255"):
        image_bytes(net, tmp_path / "default")


AUGMENTATION = [keras.layers.RandomFlip, lambda: keras.layers.RandomRotation(0.1), lambda: keras.layers.Dropout(0.1)]
FIRST = {
    "normalization of 0..1": (lambda: [normalization()], 1.0),
    "normalization of 0..255": (lambda: [normalization(255.0)], 255.0),
    "rescaling, normalization": (lambda: [keras.layers.Rescaling(1 / 255), normalization()], 255.0),
    "augmentation first": (lambda: [*(layer() for layer in AUGMENTATION), normalization(255.0)], 255.0),
    "nested": (lambda: [keras.Sequential([keras.Input((8, 8, 3)), normalization()])], 1.0),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("row", [None, ROW], ids=["default", "explicit"])
def test_a_model_that_normalizes_gets_the_pixels_that_it_takes(first, row, tmp_path):
    make, white = FIRST[first]
    assert_served(classifier(*make()), pixels(row) * white / 255, tmp_path, preprocessing=row)


def test_a_nested_model_that_normalizes(tmp_path):
    inner = keras_resnet.ResNet(
        keras_resnet.cifar(8), classes=3, input_shape=(8, 8, 3), include_preprocessing=replace(ROW, resize=8)
    )
    net = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.RandomFlip(), inner])
    report = export_saved_model(net, tmp_path, preprocessing=ROW, warmup=False)
    assert report["normalized_inside"]


@pytest.mark.parametrize("row", ["caffe", "tf", "half", "torch"])
def test_included_preprocessing_is_not_done_twice(row, tmp_path):
    row = replace(keras_resnet.PREPROCESSINGS[row], size=8, resize=9)
    net = randomize_weights(keras_resnet.ResNet(
        keras_resnet.cifar(8), classes=3, input_shape=(8, 8, 3), include_preprocessing=row
    ))  # fmt: skip
    np.testing.assert_allclose(image_bytes(net, tmp_path, preprocessing=row), net(pixels(row)), atol=0.1)


def randomize_weights(net):
    state = [layer.get_weights() for layer in net.layers if isinstance(layer, keras.layers.Normalization)]
    randomize(net)
    for layer in net.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights(state.pop(0))
    return net


OTHER = {
    "rescaling alone": lambda: classifier(keras.layers.Rescaling(1 / 255)),
    "another normalization": lambda: classifier(keras.layers.Normalization(mean=[127.5] * 3, variance=[127.5**2] * 3)),
    "another order of channels": lambda: keras_resnet.ResNet(
        keras_resnet.cifar(8), classes=3, input_shape=(8, 8, 3), include_preprocessing=replace(ROW, channels="bgr")
    ),
}


@pytest.mark.parametrize("signature", ["images", "image_bytes"])
@pytest.mark.parametrize("other", OTHER)
def test_an_explicit_preprocessing_is_applied_or_refused(other, signature, tmp_path):
    with pytest.raises(ValueError, match="preprocessing must be that which the model does itself"):
        export_saved_model(OTHER[other](), tmp_path / "net", signatures=(signature,), preprocessing=ROW)
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(("format", "name"), [("onnx", "net.onnx"), ("litert", "net.tflite"), ("openvino", "net.xml")])
def test_files_of_other_formats_refuse_it_too(format, name, tmp_path):
    with pytest.raises(ValueError, match="preprocessing must be that which the model does itself"):
        keras_resnet.export(OTHER["rescaling alone"](), tmp_path / name, format=format, preprocessing=ROW)


def test_size_and_crop_for_a_model_that_rescales(tmp_path):
    """What the error recommends."""
    row = replace(ROW, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert_served(classifier(keras.layers.Rescaling(1 / 255)), pixels(row), tmp_path, preprocessing=row)


def test_an_input_that_goes_two_ways_tells_nothing(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Concatenate()([image, keras.layers.Rescaling(1 / 255)(image)])
    net = keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))
    with pytest.warns(UserWarning, match="pixels of 0..255"):
        image_bytes(net, tmp_path)


def test_images_to_calibrate_with_have_the_range_of_the_model(tmp_path):
    with pytest.raises(ValueError, match="of 0 to 1. Received"):
        keras_resnet.export(classifier(normalization()), tmp_path / "net.tflite", format="litert", int8=pixels())
