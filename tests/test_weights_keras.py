"""Loads files of Keras and keras-hub by names and graph. Files that match only by shape are rejected."""

import shutil
import threading
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from test_weights_applications import ours, write_legacy
from test_weights_pretrained import assert_same_weights
from test_weights_state_dict import state_dict

import keras_resnet
from keras_resnet import load_pretrained
from keras_resnet.errors import RandomClassifierWarning
from keras_resnet.weights import applications

# Pairs of networks whose weights have the same names and shapes: (fields of the model, of the file, error message).
TWINS = {
    "plain": ({"shortcut": "zero_pad"}, {"shortcut": "none"}, "shortcut is 'none' in the file and 'zero_pad' in the"),
    "identity": ({"shortcut": "none"}, {"shortcut": "zero_pad"}, "shortcut is 'zero_pad' in the file and 'none'"),
    "side": ({"shortcut": "A"}, {"shortcut": "A", "zero_channels": "end"}, "zero_channels is 'end' in the file"),
    "order": ({}, {"order": "conv_relu_bn"}, "order is 'conv_relu_bn' in the file and 'original' in the model"),
    "addition": ({}, {"order": "relu_before_addition"}, "order is 'relu_before_addition' in the file"),
    "1x1": ({"block": "bottleneck"}, {"block": "bottleneck", "bottleneck_stride": "1x1"}, "bottleneck_stride is '1x1'"),
    "pool": ({"shortcut": "projection"}, {"shortcut": "pooled_projection"}, "shortcut is 'pooled_projection' in the"),
    "maxima": (
        {"shortcut": "pooled_projection"},
        {"shortcut": "max_pooled_projection"},
        "shortcut is 'max_pooled_projection' in",
    ),
    "padding": ({}, {"conv_padding": "same"}, "conv_padding is 'same' in the file and 'symmetric' in the model"),
    "standardized": ({}, {"weight_standardization": True}, "weight_standardization is True in the file and False in"),
    "epsilon": ({}, {"bn_epsilon": 1e-3}, "bn_epsilon is 0.001 in the file and 1e-05 in the model"),
}
SAVE = {
    ".keras": lambda model, path: model.save(path),
    ".weights.h5": lambda model, path: model.save_weights(path),
    ".h5": lambda model, path: model.save(path),
}


@pytest.mark.parametrize(
    ("twin", "suffix"),
    [
        pytest.param(twin, suffix, marks=() if suffix == ".keras" or twin == "plain" else pytest.mark.slow)
        for twin in TWINS
        for suffix in SAVE
    ],
)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_twin_is_refused_and_nothing_is_changed(twin, suffix, tmp_path):
    mine, theirs, says = TWINS[twin]
    source, model = randomize(tiny(**theirs)), randomize(tiny(**mine), seed=1)
    path = tmp_path / f"net{suffix}"
    SAVE[suffix](source, path)
    same = randomize(tiny(**theirs), seed=2)
    load_pretrained(same, path)
    assert_same_weights(same, source)
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"contains the weights of another network than 'resnet': {says}"):
        load_pretrained(model, path)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("twin", TWINS)
def test_load_weights_of_keras_refuses_a_twin(twin, tmp_path):
    """Keras matches weights by order and shape. It would load plain-20 into ResNet-20."""
    mine, theirs, says = TWINS[twin]
    tiny(**theirs).save_weights(tmp_path / "net.weights.h5")
    tiny(**theirs).load_weights(tmp_path / "net.weights.h5")
    with pytest.raises(ValueError, match=says):
        tiny(**mine).load_weights(tmp_path / "net.weights.h5")


def test_a_file_of_a_model_that_contains_a_network(tmp_path):
    inner = randomize(tiny())
    image = keras.Input((8, 8, 3))
    outer = keras.Model(image, keras.layers.Dense(2)(inner(image)))
    outer.save(tmp_path / "outer.keras")
    loaded = keras.models.load_model(tmp_path / "outer.keras")
    load_pretrained(loaded, state_dict(randomize(tiny(), seed=3)))
    assert_same_weights(loaded.layers[1], randomize(tiny(), seed=3))


@pytest.mark.parametrize("suffix", SAVE)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_what_may_differ(suffix, tmp_path, caplog):
    """Classifier, dropout, stochastic depth, weight decay, momentum, image size and name may differ."""
    source = randomize(tiny(drop_path=0.2, block_dropout=0.1, dropout=0.3, weight_decay=1e-4, bn_momentum=0.5))
    path = tmp_path / f"net{suffix}"
    SAVE[suffix](source, path)
    row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=16, classes=3)
    with pytest.warns(RandomClassifierWarning, match="'other' has 5 classes but these weights have 3: its classifier"):
        model = keras_resnet.ResNet(row, weights=path, classes=5, name="other", classifier_activation=None)
    with caplog.at_level("INFO", "keras_resnet"):
        headless = keras_resnet.ResNet(row, weights=path, include_top=False)
    assert "resnet has no classifier: predictions/kernel is not loaded" in caplog.text
    expected = {weight.path: np.array(weight) for weight in source.weights}
    for weight in [*headless.weights, *model.weights]:
        if not weight.path.startswith("predictions"):
            np.testing.assert_array_equal(weight, expected[weight.path], err_msg=weight.path)


def test_preprocessing_in_a_file_of_keras(tmp_path):
    source = randomize(tiny(shortcut="zero_pad"))
    row = keras_resnet.Variant(
        "building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3, shortcut="zero_pad"
    )
    build = partial(keras_resnet.ResNet, row)
    whole = build(include_preprocessing="caffe")
    whole.set_weights(source.get_weights())
    whole.save(tmp_path / "whole.keras")
    source.save(tmp_path / "plain.keras")
    assert_same_weights(build(weights=tmp_path / "whole.keras", include_preprocessing="caffe"), source)
    assert_same_weights(build(weights=tmp_path / "plain.keras", include_preprocessing="caffe"), source)
    with pytest.raises(ValueError, match="whole.keras was trained on pixels .*bgr.* includes another normalization"):
        build(weights=tmp_path / "whole.keras", include_preprocessing="torch")
    with pytest.raises(ValueError, match="includes its preprocessing, but 'resnet' does not: build it with include_"):
        build(weights=tmp_path / "whole.keras")


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_the_policy_does_not_matter(policy, tmp_path):
    source = randomize(tiny())
    source.save(tmp_path / "net.keras")
    keras.config.set_dtype_policy("float32")
    model = tiny()
    load_pretrained(model, tmp_path / "net.keras")
    assert_same_weights(model, source)


@pytest.mark.parametrize(
    "row", ["resnetrs50", "ecaresnet50d", "resnet50_gn", "resnetv2_50x1_bit", "resnet50v2_keras", "resnet20_keras"]
)
def test_every_kind_of_layer_there_and_back(row, tmp_path):
    build = partial(keras_resnet.ResNet, row, depths=(2, 2), input_shape=(64, 64, 3), classes=3)
    source = randomize(build())
    source.save_weights(tmp_path / "net.weights.h5")
    assert_same_weights(build(weights=tmp_path / "net.weights.h5"), source)


def test_a_dense_net_there_and_back(tmp_path):
    dense = keras_resnet.DenseVariant((2, 2), growth_rate=4, filters=8, classes=3, image_size=64)
    source = randomize(keras_resnet.ResNet(dense))
    source.save(tmp_path / "net.keras")
    assert_same_weights(keras_resnet.ResNet(dense, weights=tmp_path / "net.keras"), source)


# ---- keras-hub

HUB = {
    # our row: block_type, use_pre_activation
    "resnet18": ("basic_block", False),
    "resnet50": ("bottleneck_block", False),
    "resnet50v2": ("bottleneck_block", True),
    "resnet50d": ("bottleneck_block_vd", False),
    "resnet18_vd": ("basic_block_vd", False),
    "resnetv2_18": ("basic_block", True),
}


def hub_classifier(row, depths=(2, 1, 1, 2), classes=5, size=97):
    hub = pytest.importorskip("keras_hub")
    block_type, preactivation = HUB[row]
    deep = block_type.endswith("vd")
    backbone = hub.models.ResNetBackbone(
        [32, 32, 64] if deep else [64],
        [3, 3, 3] if deep else [7],
        [64, 128, 256, 512],
        list(depths),
        [1, 2, 2, 2],
        block_type,
        use_pre_activation=preactivation,
        image_shape=(size, size, 3),
    )
    return randomize(hub.models.ResNetImageClassifier(backbone=backbone, num_classes=classes))


@pytest.mark.peers
@pytest.mark.parametrize("suffix", [".weights.h5", pytest.param(".keras", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "row", [row if row in ("resnet18", "resnet50d") else pytest.param(row, marks=pytest.mark.slow) for row in HUB]
)
def test_answers_are_those_of_keras_hub(row, suffix, tmp_path, rng):
    theirs = hub_classifier(row)
    path = tmp_path / f"net{suffix}"
    SAVE[suffix](theirs, path)
    build = partial(keras_resnet.ResNet, row, depths=(2, 1, 1, 2), input_shape=(97, 97, 3))
    model = build(classes=5, classifier_activation=None, weights=path)
    x = rng.normal(size=(2, 97, 97, 3)).astype("float32")
    expected = np.asarray(theirs(x))
    assert np.abs(np.asarray(model(x)) - expected).max() < 1e-4 * np.abs(expected).max()
    SAVE[suffix](theirs.backbone, tmp_path / f"backbone{suffix}")
    expected = np.asarray(theirs.backbone(x))
    for file in (tmp_path / f"backbone{suffix}", path):
        maps = build(include_top=False, weights=file)(x)
        assert np.abs(np.asarray(maps) - expected).max() < 1e-4 * np.abs(expected).max()
    with pytest.warns(RandomClassifierWarning, match="has 7 classes but these weights have 5"):
        build(classes=7, weights=path)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("row", "fields", "says"),
    [
        ("resnet50", {"bottleneck_stride": "1x1"}, "bottleneck_stride must be '3x3'"),
        ("resnet50", {"shortcut": "pooled_projection"}, "shortcut must be one of .*'projection'"),
        ("resnet18", {"order": "conv_relu_bn"}, "order must be 'original'"),
        ("resnet50v2", {"weight_standardization": True}, "weight_standardization must be False"),
    ],
)
def test_another_net_than_keras_hubs(row, fields, says, tmp_path):
    path = tmp_path / "net.weights.h5"
    hub_classifier(row).save_weights(path)
    model = keras_resnet.ResNet(row, depths=(2, 1, 1, 2), input_shape=(97, 97, 3), classes=5, **fields)
    with pytest.raises(ValueError, match=says):
        load_pretrained(model, path)


# ---- keras.applications' files from a server on the loopback


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with a file like the published files, and the URL of a server for it."""
    folder = tmp_path_factory.mktemp("published")
    net = randomize(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3)))
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_legacy(net, folder / name)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *message):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield net, folder / name, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    shutil.rmtree(folder)


def test_the_published_files(published, tmp_path, monkeypatch):
    net, file, address = published
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    get_file = keras.utils.get_file  # its default folder is set when Keras is imported
    monkeypatch.setattr(keras.utils, "get_file", partial(get_file, cache_dir=str(tmp_path)))
    monkeypatch.setattr(applications, "BASE", address)
    digest = md5(file.read_bytes()).hexdigest()
    build = partial(ours, "resnet50", size=64, include_top=False)

    published = applications.KERAS_FILES["resnet50"]._replace(
        kind=applications.V1._replace(folder="."), md5="0" * 32, md5_no_top="0" * 32
    )
    monkeypatch.setitem(applications.KERAS_FILES, "resnet50", published)
    with pytest.raises((ValueError, OSError), match="(?i)hash|corrupt"):
        build(weights="keras")

    monkeypatch.setitem(applications.KERAS_FILES, "resnet50", published._replace(md5_no_top=digest))
    model = build(weights="keras", include_preprocessing=True)
    assert model.preprocessing.channels == "bgr"
    np.testing.assert_array_equal(model.get_layer("conv1_conv").kernel, net.get_layer("conv1_conv").kernel)
    with pytest.raises(ValueError, match="keras was trained on pixels .*bgr.* includes another normalization"):
        build(weights="keras", include_preprocessing="torch")

    monkeypatch.setattr(applications, "BASE", address + "nowhere/")
    monkeypatch.setattr(keras.utils, "get_file", partial(get_file, cache_dir=str(tmp_path / "other")))
    with pytest.raises((ValueError, OSError), match="resnet50_weights.*404"):
        build(weights="keras")
