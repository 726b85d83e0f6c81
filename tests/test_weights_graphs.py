"""Loads models of Keras' own layers with automatic names. Layers are matched by the graph of the model."""

import json
from functools import partial
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import randomize
from keras import layers
from test_weights_applications import assert_close
from test_weights_keras import SAVE
from test_weights_pretrained import CHECKPOINTS, accuracy

import keras_resnet
from keras_resnet import load_pretrained
from keras_resnet.errors import RandomClassifierWarning
from keras_resnet.weights.keras_files import KerasFile
from keras_resnet.weights.keras_graphs import named_by_graph

pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")


def cifar10_resnet(depth=8, size=32, classes=10, **choices):
    """The first version of the network of github.com/keras-team/keras, examples/cifar10_resnet.py, layer by layer.

    `choices` replace the layers at some positions.
    """
    choices = {
        "relu": lambda: layers.Activation("relu"),
        "bn": layers.BatchNormalization,
        "conv": lambda x, filters, kernel, stride: layers.Conv2D(
            filters, kernel, stride, "same", kernel_regularizer=keras.regularizers.L2(1e-4)
        )(x),
        "prepare": lambda x: x,
        "between": lambda x: x,
        "project": lambda x: x,
        "add": lambda x, y: layers.add([x, y]),
        "pool": lambda x: layers.Flatten()(layers.AveragePooling2D(size // 4)(x)),
        "classify": lambda x: layers.Dense(classes, activation="softmax")(x),
        **choices,
    }  # fmt: skip
    make = choices.__getitem__
    image = keras.Input((size, size, 3))
    x = make("relu")()(make("bn")()(make("conv")(make("prepare")(image), 16, 3, 1)))
    for stage in range(3):
        for block in range((depth - 2) // 6):
            filters, stride = 16 * 2**stage, 2 if stage and not block else 1
            y = make("relu")()(make("bn")()(make("conv")(x, filters, 3, stride)))
            y = make("bn")()(make("conv")(make("between")(y), filters, 3, 1))
            if stage and not block:
                x = make("project")(make("conv")(x, filters, 1, stride))
            x = make("relu")()(make("add")(x, y))
    return randomize(keras.Model(image, make("classify")(make("pool")(x))))


def write_keras_2(net, path):
    """Writes a whole model as Keras 2.4: no module or dtype policy in the config, inputs as lists, `kernel:0`."""
    written = []
    for layer in json.loads(net.to_json())["config"]["layers"]:
        histories = [node["args"][0] for node in layer["inbound_nodes"]]
        histories = [part for history in histories for part in (history if isinstance(history, list) else [history])]
        nodes = [[*history["config"]["keras_history"], {}] for history in histories]
        config = {key: value for key, value in layer["config"].items() if key not in ("dtype", "groups", "optional")}
        if "batch_shape" in config:
            config["batch_input_shape"] = config.pop("batch_shape")
        if "axis" in config:
            config["axis"] = [3]
        kind = {"class_name": layer["class_name"], "config": config, "name": layer["name"]}
        written.append(kind | {"inbound_nodes": [nodes] if nodes else []})
    config = {"name": net.name, "layers": written}
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in net.layers]
        for layer in net.layers:
            own = group.create_group(layer.name)
            own.attrs["weight_names"] = [f"{layer.name}/{variable.name}:0".encode() for variable in layer.weights]
            for variable in layer.weights:
                own[f"{layer.name}/{variable.name}:0"] = keras.ops.convert_to_numpy(variable)


WRITERS = {"keras": (".keras", SAVE[".keras"]), "h5": (".h5", SAVE[".h5"]), "Keras 2": (".h5", write_keras_2)}


def images(rng, size=32):
    return rng.normal(size=(4, size, size, 3)).astype("float32")


@pytest.fixture(scope="module")
def theirs():
    """The network of MLPerf Tiny. Do not change it."""
    return cifar10_resnet()


@pytest.fixture(scope="module")
def file(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "cifar10_ResNet8v1_model.h5"
    write_keras_2(theirs, path)
    return path


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("row", "depth"), [("resnet8_mlperf_tiny", 8), ("resnet20_keras", 20)])
def test_outputs_are_those_of_the_example(row, depth, writer, tmp_path, rng):
    net, (suffix, write) = cifar10_resnet(depth), WRITERS[writer]
    write(net, tmp_path / f"net{suffix}")
    model = keras_resnet.ResNet(row, weights=tmp_path / f"net{suffix}")
    assert model.count_params() == net.count_params()
    x = images(rng)
    assert_close(model(x), np.asarray(net(x)))


@pytest.mark.parametrize("size", [28, 33, 64])
def test_other_sizes(size, theirs, file, rng):
    """Both networks pad as TensorFlow does: odd sizes are padded on both sides."""
    net = cifar10_resnet(pool=lambda x: layers.GlobalAveragePooling2D()(x), size=size)
    net.set_weights(theirs.get_weights())
    model = keras_resnet.ResNet8_mlperf_tiny(input_shape=(size, size, 3), weights=file)
    x = images(rng, size)
    assert_close(model(x), np.asarray(net(x)))


def test_biases_before_bn_are_absorbed(theirs, file, rng, caplog):
    model = keras_resnet.ResNet8_mlperf_tiny(conv_bias="without_bn")
    with caplog.at_level("INFO", "keras_resnet"):
        load_pretrained(model, file)
    assert "has no conv1_conv/bias: it goes into conv1_bn/moving_mean" in caplog.text
    assert model.count_params() == theirs.count_params() - 16 * 3 - 32 * 2 - 64 * 2
    x = images(rng)
    assert_close(model(x), np.asarray(theirs(x)))


def test_a_bias_before_a_relu_is_not_absorbed(tmp_path):
    """ReLU(x + b) - b differs from ReLU(x)."""
    image = keras.Input((8, 8, 3))
    x = image
    for step in (layers.ReLU, layers.ReLU, layers.Identity):
        x = layers.BatchNormalization()(step()(layers.Conv2D(4, 3, padding="same")(x)))
    net = randomize(keras.Model(image, layers.ReLU()(x)))
    net.save(tmp_path / "net.keras")
    row = keras_resnet.Variant(
        "building_block", (1,), filters=4, stem="3x3", shortcut="none", order="conv_relu_bn", bn_epsilon=1e-3
    )
    build = lambda **fields: keras_resnet.ResNet(row, include_top=False, input_shape=(8, 8, 3), **fields)  # noqa: E731
    ours = build(conv_bias="all")
    load_pretrained(ours, tmp_path / "net.keras")
    np.testing.assert_allclose(ours(np.ones((1, 8, 8, 3))), net(np.ones((1, 8, 8, 3))), rtol=1e-5)
    with pytest.raises(ValueError, match="unexpected: conv1_conv/bias"):
        load_pretrained(build(), tmp_path / "net.keras")


def test_without_the_classifier(theirs, file, rng, caplog):
    with caplog.at_level("INFO", "keras_resnet"):
        model = keras_resnet.ResNet8_mlperf_tiny(include_top=False, input_shape=(32, 32, 3), weights=file)
    assert "has no classifier: predictions/kernel is left out" in caplog.text
    pooled = keras_resnet.ResNet8_mlperf_tiny(include_top=False, pooling="avg", weights=file)
    x = images(rng)
    features = keras.Model(theirs.input, theirs.layers[-3].input)(x)
    assert_close(model(x), np.asarray(features))
    assert_close(pooled(x), np.asarray(features).mean((1, 2)))


def test_other_classes(theirs, file):
    with pytest.warns(RandomClassifierWarning, match="has 5 classes and these weights 10"):
        model = keras_resnet.ResNet8_mlperf_tiny(classes=5, weights=file)
    np.testing.assert_array_equal(model.get_layer("conv1_conv").kernel, theirs.layers[1].kernel)


# changes of the layers that do not change the outputs
ALIKE = {
    "ReLU": dict(relu=layers.ReLU),
    "global pooling": dict(pool=lambda x: layers.GlobalAveragePooling2D()(x)),
    "dropout": dict(between=lambda x: layers.Dropout(0.3)(x)),
    "the addition": dict(add=lambda x, y: layers.add([y, x])),
    "softmax": dict(classify=lambda x: layers.Softmax()(layers.Dense(10)(x))),
    "a linear activation": dict(project=lambda x: layers.Activation("linear")(x)),
}


@pytest.mark.parametrize("choice", ALIKE)
def test_written_in_another_way(choice, tmp_path, rng):
    net = cifar10_resnet(**ALIKE[choice])
    net.save(tmp_path / "net.keras")
    x = images(rng)
    assert_close(keras_resnet.ResNet8_mlperf_tiny(weights=tmp_path / "net.keras")(x), np.asarray(net(x)))


def padded(x, filters, kernel, stride):
    """A convolution that pads as PyTorch does."""
    if stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2)(x)
    return layers.Conv2D(filters, kernel, stride, "valid" if stride > 1 else "same")(x)


def test_networks_of_other_rows(tmp_path, rng):
    """Layers of all networks are matched, not only of networks in Keras' style."""
    bn = partial(layers.BatchNormalization, epsilon=1e-5)
    net = cifar10_resnet(conv=padded, bn=bn, project=lambda x: bn()(x))
    net.save(tmp_path / "net.keras")
    model = keras_resnet.ResNet(keras_resnet.cifar(8, shortcut="projection"), weights=tmp_path / "net.keras")
    x = images(rng)
    assert_close(model(x), np.asarray(net(x)))


def activated(x, filters, kernel, stride):
    return layers.Conv2D(filters, kernel, stride, "same", activation="relu")(x)


def pooled_twice(x):
    return layers.Flatten()(layers.AveragePooling2D(4)(x))


# title -> (choices of another network, fields of ours, the error message about the first layers that differ)
SAME = r"\(Conv2D, filters=32, kernel_size=\(3, 3\), strides=\(2, 2\), padding='same'"
PADDED = r"\(ZeroPadding2D, padding=\(\(1, 1\), \(1, 1\)\)"
OTHERS = {
    "deeper": (dict(depth=14), {}, r"Conv2D, filters=16.* and 'conv3_block1_1_conv'"),
    "padding of ours": ({}, dict(conv_padding="symmetric"), rf"{SAME}.* and 'conv3_block1_1_pad' {PADDED}"),
    "padding of theirs": (dict(conv=padded), {}, rf"{PADDED}.* and 'conv3_block1_1_conv' {SAME}"),
    "shortcut of ours": ({}, dict(shortcut="projection"), r"\(Add\) in the file and 'conv3_block1_0_bn'"),
    "shortcut of theirs": (
        dict(project=lambda x: layers.BatchNormalization()(x)),
        {},
        r"\(BatchNormalization.* and 'conv3_block1_add'",
    ),
    "plain": ({}, dict(shortcut="none"), r"\(Add\) in the file and 'conv2_block1_out' \(ReLU"),
    "epsilon": ({}, dict(bn_epsilon=1e-5), r"epsilon=0.001\) in the file and 'conv1_bn' .*epsilon=1e-05\)"),
    "width": ({}, dict(filters=8), r"filters=16.* in the file and 'conv1_conv' \(Conv2D, filters=8"),
    "pool": (dict(pool=pooled_twice), {}, "AveragePooling2D, pool_size=.* and 'avg_pool'"),
    "slope": (dict(relu=lambda: layers.ReLU(negative_slope=0.1)), {}, "negative_slope=0.1"),
    "cap": (dict(relu=lambda: layers.ReLU(6.0)), {}, "max_value=6.0"),
    "activation": (dict(relu=lambda: layers.Activation("gelu")), {}, r"\(Activation\) in the file and 'conv1_relu'"),
    "inner activation": (dict(conv=activated), {}, "activation='relu'"),
    "rescaling": (dict(prepare=lambda x: layers.Rescaling(1 / 255)(x)), {}, r"\(Rescaling\) in the file"),
    "normalization": (dict(prepare=lambda x: layers.Normalization(mean=0, variance=1)(x)), {}, r"\(Normalization\)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_network_is_refused_and_nothing_is_changed(name, tmp_path):
    choices, fields, says = OTHERS[name]
    cifar10_resnet(**choices).save(tmp_path / "net.keras")
    model = randomize(keras_resnet.ResNet8_mlperf_tiny(**fields), seed=1)
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"of another network than 'resnet8_mlperf_tiny'.*({says})"):
        load_pretrained(model, tmp_path / "net.keras")
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_layer_that_is_called_twice_is_refused(tmp_path):
    relu = layers.ReLU(name="relu")
    cifar10_resnet(relu=lambda: relu).save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"called once. 'relu' \(ReLU\) is called 7 times"):
        keras_resnet.ResNet8_mlperf_tiny(weights=tmp_path / "net.keras")


def test_a_second_head_is_unexpected(tmp_path):
    cifar10_resnet(classify=lambda x: layers.Dense(10)(layers.Dense(10)(x))).save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match=r"unexpected: dense_\d+/kernel"):
        keras_resnet.ResNet8_mlperf_tiny(weights=tmp_path / "net.keras")


def test_twins_in_the_file_are_refused(tmp_path):
    """The file has two layers that match one of our layers, so the match is ambiguous."""
    image = keras.Input((8, 8, 3))
    a, b = (layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(image))) for _ in range(2))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(a)))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(y))
    keras.Model(image, layers.ReLU()(layers.add([b, y]))).save(tmp_path / "net.keras")
    row = keras_resnet.Variant("building_block", (1,), filters=4, stem="3x3", conv_bias="all", bn_epsilon=1e-3)
    with pytest.raises(ValueError, match=r"conv2d\w* and conv2d\w* are alike"):
        keras_resnet.ResNet(row, include_top=False, input_shape=(8, 8, 3), weights=tmp_path / "net.keras")


def config_of(net):
    return json.loads(net.to_json())["config"]


def with_layers(change):
    def changed(config):
        for layer in config["layers"]:
            change(layer)
        return config

    return changed


DAMAGED = {
    "no names": with_layers(lambda layer: layer.pop("name")),
    "no classes": with_layers(lambda layer: layer.pop("class_name")),
    "no settings": with_layers(lambda layer: layer.update(config={})),
    "settings that are a list": with_layers(lambda layer: layer.update(config=[])),
    "no inputs": with_layers(lambda layer: layer.update(inbound_nodes=[])),
    "inputs of nowhere": with_layers(lambda layer: layer.update(inbound_nodes=[[["nowhere", 0, 0, {}]]])),
    "inputs of itself": with_layers(lambda layer: layer.update(inbound_nodes=[[[layer["name"], 0, 0, {}]]])),
    "backwards": lambda config: {"layers": config["layers"][::-1]},
    "layers that are a number": lambda config: {"layers": 5},
    "no layers": lambda config: {"layers": []},
    "names that are lists": with_layers(lambda layer: layer.update(name=["a"])),
    "settings that are objects": with_layers(lambda layer: layer["config"].update(strides={"a": 1})),
    "deep inputs": with_layers(lambda layer: layer.update(inbound_nodes=nested(5000))),
    "sizes that are words": with_layers(lambda layer: layer["config"].update(batch_shape=["a", "b", "c", "d"])),
    "an axis that is a word": with_layers(lambda layer: layer["config"].update(axis="channels")),
}


def nested(depth):
    node = []
    for _ in range(depth):
        node = [node]
    return node


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_configs_are_refused(name, theirs):
    config = DAMAGED[name](config_of(theirs))
    model = keras_resnet.ResNet8_mlperf_tiny()
    with pytest.raises(ValueError):
        named_by_graph(model, KerasFile({"conv2d/kernel": np.zeros(1)}, set(), config={"config": config}), "net.h5")


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.skipif(not CHECKPOINTS, reason="KERAS_RESNET_CHECKPOINTS is no folder with MLPerf Tiny's resnet8 in it")
@pytest.mark.parametrize("path", sorted(Path(CHECKPOINTS or ".").glob("*resnet8*.h5")), ids=lambda path: path.name)
def test_mlperf_tinys_resnet8(path):
    """github.com/mlcommons/tiny, pretrainedResnet.h5: 87.19 % accuracy in Keras, on pixels in 0..255."""
    model = keras_resnet.ResNet8_mlperf_tiny(weights=path)
    assert accuracy(model) == pytest.approx(0.8719, abs=1e-9)
