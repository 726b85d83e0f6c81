"""A net without a classifier is exported with the output `embedding`: its numbers are no probabilities."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny
from test_formats import SUFFIX, needs, run

import keras_resnet
from keras_resnet import export, export_saved_model


def pooled(pooling="avg"):
    return randomize(keras_resnet.ResNet(keras_resnet.cifar(8), False, input_shape=(8, 8, 3), pooling=pooling))


def ending_in(*layers):
    return keras.Sequential([keras.Input((8, 8, 3)), pooled(), *layers])


NETS = {
    "avg": pooled,
    "max": lambda: pooled("max"),
    "dense without class scores": lambda: ending_in(keras.layers.Dense(5, "relu")),
    "normalized": lambda: ending_in(keras.layers.UnitNormalization()),
    "flat": lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]),
}


@pytest.mark.parametrize("name", NETS)
def test_the_signatures_answer_an_embedding(name, rng, tmp_path):
    net = NETS[name]()
    report = export_saved_model(net, tmp_path, warmup=False)
    features = net.output_shape[1]
    output = {"embedding": [None, features]}
    assert report["signatures"] == {
        "serving_default": {"inputs": {"image": [None, 8, 8, 3]}, "outputs": output},
        "image_bytes": {"inputs": {"image_bytes": [None]}, "outputs": output},
    }
    assert report["features"] == features and "classes" not in report
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    answer = tf.saved_model.load(report["path"]).signatures["serving_default"](image=tf.constant(x))["embedding"]
    np.testing.assert_allclose(answer, net(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("format", SUFFIX)
def test_files_answer_an_embedding(format, rng, tmp_path):
    needs(format)
    net, path = pooled(), tmp_path / f"net{SUFFIX[format]}"
    export(net, path)
    inputs, outputs, told, _ = run(format, str(path))
    assert (list(inputs), list(outputs)) == (["image"], ["embedding"])
    assert int(told["features"] if not isinstance(told, str) else json.loads(told)["features"]) == 64


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(signatures=("classify",)), "signatures must not have 'classify' for a model without a classifier"),
        (dict(labels=["a"] * 64), "labels must be None for a model without a classifier"),
        (dict(signatures=("embedding",)), "'embedding' needs a model that ends in a dense layer"),
    ],
)
def test_what_only_a_classifier_has_is_refused(arguments, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        export_saved_model(pooled(), tmp_path / "net", **arguments)
    assert not (tmp_path / "net").exists()


def test_an_operation_at_the_end_is_seen(rng, tmp_path):
    """Behind it there are no logits to put through a softmax."""
    image = keras.Input((8, 8, 3), name="image")
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(image))
    net = randomize(keras.Model(image, keras.ops.softmax(logits)))
    report = export_saved_model(net, tmp_path, signatures=("images",), warmup=False)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    answer = tf.saved_model.load(report["path"]).signatures["serving_default"](image=tf.constant(x))["probabilities"]
    np.testing.assert_allclose(answer, net(x), atol=1e-5)


def test_other_numbers_than_probabilities_are_refused(tmp_path):
    net = tiny()
    with pytest.raises(ValueError, match="model must end in a softmax, a sigmoid, logits or an embedding"):
        wrong = keras.Model(net.input, keras.ops.log(net.output))
        export_saved_model(wrong, tmp_path, signatures=("images",), warmup=False)
    assert not list(tmp_path.iterdir())
