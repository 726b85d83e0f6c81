"""A network stores its variant and the preprocessing of its weights."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import PREPROCESSINGS, DenseVariant, Preprocessing, ResNet, Variant, feature_pyramid, fold_batch_norm
from keras_resnet.network import FORMAT, Description, Network, find_network
from keras_resnet.variants import VARIANTS, differences

DENSE = DenseVariant((2, 2), growth_rate=4, filters=8, classes=3, image_size=64)
SMALL = Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
BUILDERS = {
    "residual": lambda: ResNet(SMALL, shortcut="C", order="preactivation", include_preprocessing="caffe"),
    "dense": lambda: ResNet(DENSE),
}


def nested(model):
    image = keras.Input(model.input_shape[1:])
    return keras.Model(image, keras.layers.Dense(2, name="head")(model(image)))


def saved(model, tmp_path):
    model.save(tmp_path / "net.keras")
    return keras.models.load_model(tmp_path / "net.keras")


COPIES = {
    ".keras": saved,
    "config": lambda model, tmp_path: model.from_config(model.get_config()),
    "json": lambda model, tmp_path: keras.models.model_from_json(model.to_json()),
    "pickle": lambda model, tmp_path: pickle.loads(pickle.dumps(model)),
    "nested": lambda model, tmp_path: find_network(saved(nested(model), tmp_path)),
    "pyramid": lambda model, tmp_path: saved(feature_pyramid(model), tmp_path),
    "folded": lambda model, tmp_path: saved(fold_batch_norm(model), tmp_path),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("build", BUILDERS)
def test_the_variant_and_the_preprocessing_survive(build, copy, tmp_path):
    model = BUILDERS[build]()
    model.preprocessing = model.preprocessing or "tf"
    found = COPIES[copy](model, tmp_path)
    assert isinstance(found, Network)
    assert found.description == model.description
    assert found.variant.depths == (2, 2)
    assert found.includes_preprocessing == (build == "residual")
    assert found.preprocessing == PREPROCESSINGS["caffe" if build == "residual" else "tf"]


def test_the_variant_is_the_row_with_its_fields():
    model = ResNet("resnet20", depths=[1, 1, 1], shortcut="C", classes=7)
    assert model.variant == replace(VARIANTS["resnet20"], depths=(1, 1, 1), shortcut="projection_all", classes=7)
    assert model.preprocessing is None and not model.includes_preprocessing


def test_a_saved_network_loads_in_a_fresh_process(tmp_path):
    tiny(shortcut="A").save(tmp_path / "net.keras")
    program = "import sys, keras, keras_resnet; print(keras.models.load_model(sys.argv[1]).variant.shortcut)"
    found = subprocess.run([sys.executable, "-c", program, tmp_path / "net.keras"], capture_output=True, text=True)
    assert found.stdout.split()[-1:] == ["zero_pad"], found.stderr


def test_clone_model_drops_the_variant():
    """Keras 3.15 cannot copy the variant in `clone_model`. The error message names the alternative."""
    with pytest.raises(ValueError, match=r"'resnet' is a copy by keras.models.clone_model.*model.from_config\("):
        keras.models.clone_model(tiny()).variant  # noqa: B018


def test_preprocessing_may_be_set():
    model = tiny()
    model.preprocessing = "caffe"
    assert model.preprocessing == PREPROCESSINGS["caffe"]
    model.preprocessing = None
    with pytest.raises(ValueError, match="preprocessing must be one of .*Received: 'cafe'. Did you mean 'caffe'"):
        model.preprocessing = "cafe"
    model = ResNet(SMALL, include_preprocessing="caffe")
    model.preprocessing = replace(PREPROCESSINGS["caffe"], size=8, resize=9)
    for wrong in (None, "torch"):
        with pytest.raises(ValueError, match="must be like the one that the model includes"):
            model.preprocessing = wrong


def test_loading_weights_sets_the_preprocessing(tmp_path):
    model = keras_resnet.ResNet20(weights="cifar10")
    assert model.preprocessing == PREPROCESSINGS["cifar10"]
    model.save_weights(tmp_path / "net.weights.h5")
    keras_resnet.save_pretrained(model, tmp_path / "net.safetensors")
    for load in (
        lambda model: model.load_weights(tmp_path / "net.weights.h5"),
        lambda model: keras_resnet.load_pretrained(model, tmp_path / "net.weights.h5"),
        lambda model: keras_resnet.load_pretrained(model, tmp_path / "net.safetensors"),
    ):
        other = keras_resnet.ResNet20()
        load(other)
        assert other.preprocessing == PREPROCESSINGS["cifar10"]
        np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


def test_a_state_dict_does_not_tell_the_preprocessing():
    from test_weights_state_dict import state_dict

    model = keras_resnet.ResNet20(weights="cifar10")
    keras_resnet.load_pretrained(model, state_dict(randomize(keras_resnet.ResNet20())))
    assert model.preprocessing is None


def test_one_network_within_a_model():
    one, two = tiny(), ResNet(SMALL, name="two")
    assert find_network(one) is one
    assert find_network(nested(nested(one))) is one
    image = keras.Input((8, 8, 3))
    siamese = keras.Model(image, keras.layers.Add()([one(image), two(image)]))
    assert find_network(siamese) is None
    assert find_network(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])) is None
    assert feature_pyramid(nested(one)).strides == {"conv2": 1, "conv3": 2}


def test_a_description_of_a_newer_format_or_damaged():
    config = json.loads(json.dumps(Description(VARIANTS["resnet50"], Preprocessing()).to_config()))
    assert Description.from_config(config) == (VARIANTS["resnet50"], Preprocessing(), False, None)
    with pytest.raises(ValueError, match=f"has format {FORMAT + 1} of keras_resnet; this version reads up to {FORMAT}"):
        Description.from_config(config | {"format": FORMAT + 1})
    for damaged in (
        config | {"variant": {"class": "os.system"}},
        config | {"variant": config["variant"] | {"colour": 3}},
        config | {"format": "1"},
        config | {"preprocessing": [1]},
        {},
        [],
        None,
    ):
        with pytest.raises(ValueError, match="The description of a network is damaged"):
            Description.from_config(damaged)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (dict(weight_decay=1e-4, bn_momentum=0.5, drop_path=0.1, dropout=0.5, norm="sync_bn", classes=5), ""),
        (dict(output_stride=8), ""),  # segmentation networks use the weights of classifiers
        (dict(first_shortcut="raw", order="original"), ""),  # the first block of a bottleneck network has a projection
        (dict(stem_filters=64), ""),
        (dict(depths=(3, 4, 23, 3)), "depths is (3, 4, 23, 3) in the file and (3, 4, 6, 3) in the model"),
        (dict(gate="se"), "gate is 'se' in the file and 'none' in the model"),
    ],
)
def test_differences(fields, says):
    row = VARIANTS["resnet50"]
    assert differences(row, replace(row, **fields)) == says
    assert "the file holds a DenseVariant, the model is a Variant" in differences(row, DENSE)


def test_class_names_are_kept_and_become_the_labels_of_an_export(tmp_path):
    model = keras_resnet.ResNet("resnet20", classes=2)
    assert model.class_names is None
    model.class_names = ["cat", "dog"]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.class_names == ("cat", "dog")
    assert keras_resnet.fold_batch_norm(loaded).class_names == ("cat", "dog")
    assert keras_resnet.reset_classifier(loaded, 2).class_names is None
    assert keras_resnet.feature_pyramid(loaded).class_names is None
    exported = keras_resnet.export_saved_model(loaded, tmp_path / "served", preprocessing="cifar10", warmup=False)
    classify = tf.saved_model.load(exported["path"]).signatures["serving_default"]
    labels = classify(tf.zeros((1, 32, 32, 3)))["top_labels"].numpy()
    assert set(labels.ravel().tolist()) == {b"cat", b"dog"}


@pytest.mark.parametrize("names", ["ab", ["a"], ["a", 1], ["a", "b", "c"]])
def test_class_names_must_be_one_string_per_class(names):
    with pytest.raises(ValueError, match="class_names must be 2 strings, one per output"):
        keras_resnet.ResNet("resnet20", classes=2).class_names = names
