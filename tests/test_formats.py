"""Exported files compute the model's outputs, contain its metadata, and are written completely or not at all."""

import json
import zipfile

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import export
from keras_resnet.__main__ import main
from keras_resnet.serving import formats
from keras_resnet.serving.formats import FILES, FORMATS

SUFFIX = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
INTEGERS = ["litert", "openvino"]
LABELS = ["cat", "dog", "ox"]
METADATA = {"weights": "random", "accuracy": 0.5}

# Families with operations that a converter may not support.
NETS = {
    "option A": lambda: tiny(order="preactivation", shortcut="zero_pad"),
    "groups": lambda: tiny(
        block="bottleneck", filters=16, groups=4, base_width=8, stem="deep", shortcut="pooled_projection", image_size=16
    ),
    "se": lambda: tiny(gate="se", filters=8),
    "eca": lambda: tiny(gate="eca", filters=16),
    "group norm": lambda: tiny(norm="gn", filters=32, weight_standardization=True),
    "minus infinity": lambda: tiny(
        block="bottleneck", order="stage_wise", shortcut="max_pooled_projection", stem="7x7_unpooled", image_size=32
    ),
    "dense": lambda: keras_resnet.ResNet(keras_resnet.cifar_dense(10, 4)),
    "preprocessing": lambda: keras_resnet.ResNet(
        keras_resnet.cifar(8), classes=3, input_shape=(8, 8, 3), include_preprocessing="cifar10"
    ),
}


def needs(format):
    for module in FILES[format].modules:
        pytest.importorskip(module, reason=f"the extra [{format}]")


def noise(model, count, seed=1):
    pixels = any(isinstance(layer, keras.layers.Normalization) for layer in model.layers)
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, *model.input_shape[1:])) + rng.normal(size=(count, 1, 1, 3))
    return (np.clip(128 + 60 * drawn, 0, 255) if pixels else drawn).astype("float32")


def lively(model):
    """Sets random weights, and a classifier for which each class is the top-1 class of some images."""
    last = randomize(model).layers[-1]
    features = keras.Model(model.inputs[0], last.input)(noise(model, 200, seed=3), training=False)
    logits = np.asarray(features @ last.kernel)
    scale = 2 / logits.std(0)
    last.set_weights([np.asarray(last.kernel) * scale, -logits.mean(0) * scale])
    return model


@pytest.fixture(scope="module")
def net():
    """A network with a gate, groups and option A that outputs logits."""
    row = keras_resnet.Variant(
        "bottleneck", (1, 2), filters=4, stem="3x3", image_size=8, classes=3, shortcut="zero_pad", gate="se", groups=2,
        base_width=32,
    )  # fmt: skip
    return lively(keras_resnet.ResNet(row, classifier_activation=None, name="small"))


def probabilities(net, x):
    return keras.ops.convert_to_numpy(keras.ops.softmax(net(x, training=False)))


def run(format, path):
    """Loads a file in the runtime of its format. Returns its inputs, outputs, metadata and a prediction function."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [[tensor.name for tensor in tensors] for tensors in (session.get_inputs(), session.get_outputs())]
        metadata = session.get_modelmeta().custom_metadata_map
        return *names, metadata, lambda x: session.run(None, {"image": x})[0]
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path)
        (signature,) = interpreter.get_signature_list().values()
        runner = interpreter.get_signature_runner()
        with zipfile.ZipFile(path) as files:
            metadata = json.loads(files.read("metadata.json"))
            assert files.read("labels.txt").decode().split() == metadata["labels"]
        return signature["inputs"], signature["outputs"], metadata, lambda x: next(iter(runner(image=x).values()))
    import openvino

    model = openvino.Core().read_model(path)
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [[name for port in ports for name in port.get_names()] for ports in (model.inputs, model.outputs)]
    keys = ("name", "labels", "precision", "features", *METADATA)
    keys = [key for key in keys if model.has_rt_info(["model_info", key])]
    metadata = {key: model.get_rt_info(["model_info", key]).astype(str) for key in keys}
    return *names, metadata, lambda x: compiled(x)[0]


@pytest.mark.parametrize("format", SUFFIX)
def test_float(format, net, tmp_path):
    needs(format)
    path = tmp_path / f"net{SUFFIX[format]}"
    report = export(net, path, labels=LABELS, metadata=METADATA)
    inputs, outputs, metadata, outputs_of = run(format, report["path"])
    assert (inputs, outputs) == (["image"], ["probabilities"])
    for batch in (1, 5):
        x = noise(net, batch)
        np.testing.assert_allclose(outputs_of(x), probabilities(net, x), atol=1e-5)
    labels = metadata["labels"]
    assert (json.loads(labels) if isinstance(labels, str) else labels) == LABELS
    assert float(metadata["accuracy"]) == 0.5
    assert (metadata["name"], metadata["weights"], metadata["precision"]) == ("small", "random", "float32")
    assert report["agreement"]["images"] == report["agreement"]["same_top_1"] == 8
    assert report["bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert sorted(file.suffix for file in tmp_path.iterdir()) == sorted(FILES[format].suffixes)


def assert_integers(format, path):
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        kinds = [detail["dtype"] for detail in Interpreter(path).get_tensor_details()]
        assert kinds.count(np.int8) > 20
        assert kinds.count(np.float32) < kinds.count(np.int8)
    else:
        import openvino

        kinds = [op.get_type_name() for op in openvino.Core().read_model(path).get_ops()]
        assert kinds.count("FakeQuantize") > 8


@pytest.mark.parametrize("format", INTEGERS)
def test_int8(format, net, tmp_path):
    needs(format)
    report = export(net, tmp_path / f"net{SUFFIX[format]}", int8=noise(net, 40))
    assert report["precision"] == "int8"
    assert report["agreement"]["images"] == 40
    assert_integers(format, report["path"])
    *_, outputs_of = run(format, report["path"])
    unseen = noise(net, 60, seed=2)
    expected = probabilities(net, unseen)
    assert len(np.unique(expected.argmax(1))) == 3
    assert (outputs_of(unseen).argmax(1) == expected.argmax(1)).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("format", SUFFIX)
def test_every_family(format, name, tmp_path):
    needs(format)
    model = lively(NETS[name]())
    x, tolerances = noise(model, 64), {"float32": 1e-5}
    export(model, tmp_path / f"float32{SUFFIX[format]}")
    if format in INTEGERS:
        tolerances["float16"] = 2e-2
        export(model, tmp_path / f"float16{SUFFIX[format]}", precision="float16")
        # The logits of random weights differ less than the logits of a trained network.
        export(model, tmp_path / f"int8{SUFFIX[format]}", int8=x, tolerance=4)
        assert_integers(format, str(tmp_path / f"int8{SUFFIX[format]}"))
    for precision, tolerance in tolerances.items():
        *_, outputs_of = run(format, str(tmp_path / f"{precision}{SUFFIX[format]}"))
        np.testing.assert_allclose(outputs_of(x), model(x, training=False), atol=tolerance, err_msg=precision)


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.parametrize("format", INTEGERS)
def test_int8_on_cifar10(format, tmp_path):
    needs(format)
    import tensorflow_datasets as tfds

    test, train = (tfds.load("cifar10", split=s, batch_size=-1, download=False) for s in ("test", "train[:300]"))
    model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    report = export(model, tmp_path / f"net{SUFFIX[format]}", labels="cifar10", int8=train["image"])
    x = test["image"].numpy().astype("float32")
    *_, run_file = run(format, report["path"])
    found = np.concatenate([run_file(x[i : i + 500]) for i in range(0, len(x), 500)])
    expected = model.predict(x, batch_size=500, verbose=0)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.98
    accuracies = [(p.argmax(1) == test["label"].numpy()).mean() for p in (found, expected)]
    assert accuracies[0] > accuracies[1] - 0.005


@pytest.mark.parametrize("format", ["openvino", pytest.param("litert", marks=pytest.mark.slow)])
@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_a_16_bit_policy_is_written_in_float32(policy, format, tmp_path):
    needs(format)
    net, path = lively(tiny()), tmp_path / f"net{SUFFIX[format]}"
    export(net, path)
    keras.config.set_dtype_policy("float32")
    exact = tiny()
    exact.set_weights(net.get_weights())
    x = noise(net, 3)
    *_, outputs_of = run(format, str(path))
    np.testing.assert_allclose(outputs_of(x), exact(x), atol=1e-5)


def test_a_failed_export_leaves_what_was_there(net, tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_text("older")
    with pytest.raises(ValueError, match=r"path must not exist yet, or overwrite=True.*net\.onnx"):
        export(net, path)

    def full(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "export", full)
    with pytest.raises(OSError, match="No space"):
        export(net, path, overwrite=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(tmp_path))
    needs("onnx")
    assert export(net, "~/net.onnx", overwrite=True)["path"] == str(path)
    assert run("onnx", str(path))[0] == ["image"] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("format", SUFFIX)
def test_an_embedding_from_an_input_without_a_name(format, tmp_path):
    needs(format)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    net, path = randomize(keras.Sequential([keras.Input((8, 8, 3)), *layers])), tmp_path / f"net{SUFFIX[format]}"
    export(net, path)
    inputs, outputs, metadata, outputs_of = run(format, str(path))
    assert (list(inputs), list(outputs), int(metadata["features"])) == (["image"], ["embedding"], 4)
    x = noise(net, 2)
    np.testing.assert_allclose(outputs_of(x), net(x), atol=1e-5)


def test_refused_before_anything_is_written(net, tmp_path):
    assert set(FORMATS) == {"saved_model", *SUFFIX}
    for argument, message in (
        (dict(format="onxx"), r"format must be one of .*Did you mean 'onnx'"),
        (dict(format="onnx", top_k=3), r"option of the format 'onnx' must be one of .*'labels'.*'top_k'"),
        (dict(format="saved_model", int8=noise(net, 2)), r"option of the format 'saved_model' .*'signatures'"),
        (dict(format="litert", precision="bfloat16"), r"precision must be one of .*'float16'.*'bfloat16'"),
        (dict(format="onnx", int8=noise(net, 2)), r"precision must be one of \['float32'\]. Received: 'int8'"),
        (dict(format="litert", precision="int8"), r"int8 must be images if precision is 'int8'"),
        (dict(format="litert", precision="float16", int8=noise(net, 2)), r"int8 must be images if precision is 'int8'"),
        (dict(format="litert", tolerance=0), r"tolerance must be a number, more than 0"),
        (dict(format="litert", labels=["cat"]), r"labels must be 3"),
    ):
        with pytest.raises(ValueError, match=message):
            export(net, tmp_path / f"net{SUFFIX.get(argument['format'], '')}", **argument)
    maps = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(ValueError, match="one input .* and one output"):
        export(maps, tmp_path / "net.onnx")
    for format, name in (("saved_model", "net.onnx"), ("onnx", "net.tflite"), ("openvino", "net")):
        with pytest.raises(ValueError, match=rf"path must .*Received: '.*{name}'"):
            export(net, tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", SUFFIX)
def test_a_missing_extra_is_named(format, net, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda module: None)
    with pytest.raises(ImportError, match=rf"pip install 'keras-resnet-family\[{format}\]'"):
        export(net, tmp_path / f"net{SUFFIX[format]}")
    assert not list(tmp_path.iterdir())


def nan(x):
    x[1, 2, 3, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("int8", "message"),
    [
        (lambda x: [True], r"the shape \(1,\), bool"),
        (lambda x: x[:0], r"the shape \(0, 8, 8, 3\)"),
        (lambda x: x[0], r"the shape \(8, 8, 3\)"),
        (lambda x: x[:, :4], r"the shape \(6, 4, 8, 3\)"),
        (lambda x: x.astype(str), "<U"),
        (nan, "finite numbers"),
        (lambda x: np.full_like(x, 3), r"of 0 to 255.*Received: numbers of 3 to 3"),
        (lambda x: x / 255, r"of 0 to 255.*Received: numbers of 0 to 1"),
        (lambda x: x - 128, r"of 0 to 255"),
    ],
)
def test_images_for_calibration(int8, message, tmp_path):
    model = NETS["preprocessing"]()
    with pytest.raises(ValueError, match=f"int8 must be .*{message}"):
        export(model, tmp_path / "net.tflite", int8=int8(noise(model, 6)))
    assert not list(tmp_path.iterdir())


def test_the_range_of_a_preprocessing(net, tmp_path):
    with pytest.raises(ValueError, match=r"int8 must be images as the model takes them, of -2\.118 to 2\.64"):
        export(net, tmp_path / "n.tflite", preprocessing="torch", int8=128 + noise(net, 2))


def test_the_shell_infers_the_format(tmp_path):
    needs("onnx")
    net = tmp_path / "net.keras"
    lively(tiny()).save(net)
    assert main(["export", str(net), f"{tmp_path}/net.onnx"]) == 0
    assert (tmp_path / "net.onnx").is_file()
