"""Every format answers as the model does, says what it is, and is there whole or not at all."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time
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

# the families: what each does that a converter may not know
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
    """Random weights, but a classifier that gives every class its share of the noise: else one takes it all."""
    last = randomize(model).layers[-1]
    features = keras.Model(model.inputs[0], last.input)(noise(model, 200, seed=3), training=False)
    logits = np.asarray(features @ last.kernel)
    scale = 2 / logits.std(0)
    last.set_weights([np.asarray(last.kernel) * scale, -logits.mean(0) * scale])
    return model


@pytest.fixture(scope="module")
def net():
    """A gate, groups and option A at once, ending in logits."""
    row = keras_resnet.Variant(
        "bottleneck", (1, 2), filters=4, stem="3x3", image_size=8, classes=3, shortcut="zero_pad", gate="se", groups=2,
        base_width=32,
    )  # fmt: skip
    return lively(keras_resnet.ResNet(row, classifier_activation=None, name="small"))


def probabilities(net, x):
    return keras.ops.convert_to_numpy(keras.ops.softmax(net(x, training=False)))


def run(format, path):
    """Inputs, outputs, metadata and a function, by the format's own runtime and nothing of ours."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        names = [[tensor.name for tensor in tensors] for tensors in (session.get_inputs(), session.get_outputs())]
        told = session.get_modelmeta().custom_metadata_map
        return *names, told, lambda x: session.run(None, {"image": x})[0]
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path)
        (signature,) = interpreter.get_signature_list().values()
        answer = interpreter.get_signature_runner()
        with zipfile.ZipFile(path) as files:
            told = json.loads(files.read("metadata.json"))
            labels = files.read("labels.txt").decode().split() if "labels.txt" in files.namelist() else []
            assert labels == told["labels"]
        return signature["inputs"], signature["outputs"], told, lambda x: next(iter(answer(image=x).values()))
    import openvino

    model = openvino.Core().read_model(path)
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [[name for port in ports for name in port.get_names()] for ports in (model.inputs, model.outputs)]
    keys = ("name", "labels", "precision", "features", *METADATA)
    keys = [key for key in keys if model.has_rt_info(["model_info", key])]
    told = {key: model.get_rt_info(["model_info", key]).astype(str) for key in keys}
    return *names, told, lambda x: compiled(x)[0]


@pytest.mark.parametrize("format", SUFFIX)
def test_float(format, net, tmp_path):
    needs(format)
    path = tmp_path / f"net{SUFFIX[format]}"
    report = export(net, path, format=format, labels=LABELS, preprocessing=None, metadata=METADATA)
    inputs, outputs, told, answer = run(format, report["path"])
    assert (inputs, outputs) == (["image"], ["probabilities"])
    for batch in (1, 5):
        x = noise(net, batch)
        np.testing.assert_allclose(answer(x), probabilities(net, x), atol=1e-5)
    labels = told["labels"]
    assert (json.loads(labels) if isinstance(labels, str) else labels) == LABELS
    assert float(told["accuracy"]) == 0.5
    assert (told["name"], told["weights"], told["precision"]) == ("small", "random", "float32")
    assert report["agreement"]["pictures"] == report["agreement"]["same_top_1"] == 8
    assert report["bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert sorted(file.suffix for file in tmp_path.iterdir()) == sorted(FILES[format].suffixes)
    assert not report["kept"]
    assert {"tensorflow", *FILES[format].modules} <= set(report["versions"])


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
    pictures = noise(net, 40)
    batches = (pictures[i : i + 8] for i in range(0, 40, 8))
    report = export(net, tmp_path / f"net{SUFFIX[format]}", format=format, int8=batches)
    assert report["precision"] == "int8"
    assert report["agreement"]["pictures"] == 40
    assert_integers(format, report["path"])
    *_, answer = run(format, report["path"])
    unseen = noise(net, 60, seed=2)
    expected = probabilities(net, unseen)
    assert len(np.unique(expected.argmax(1))) == 3
    assert (answer(unseen).argmax(1) == expected.argmax(1)).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("format", SUFFIX)
def test_every_family(format, name, tmp_path):
    needs(format)
    model = lively(NETS[name]())
    x, tolerances = noise(model, 64), {"float32": 1e-5}
    export(model, tmp_path / f"float32{SUFFIX[format]}", format=format)
    if format in INTEGERS:
        tolerances["float16"] = 2e-2
        export(model, tmp_path / f"float16{SUFFIX[format]}", format=format, precision="float16")
        # noise through random weights: classes lie closer to each other than those of a trained net
        export(model, tmp_path / f"int8{SUFFIX[format]}", format=format, int8=x, tolerance=4)
        assert_integers(format, str(tmp_path / f"int8{SUFFIX[format]}"))
    for precision, tolerance in tolerances.items():
        *_, answer = run(format, str(tmp_path / f"{precision}{SUFFIX[format]}"))
        np.testing.assert_allclose(answer(x), model(x, training=False), atol=tolerance, err_msg=precision)


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.parametrize("format", INTEGERS)
def test_integers_agree_on_real_pictures(format, tmp_path):
    needs(format)
    import tensorflow_datasets as tfds

    pictures, seen = (tfds.load("cifar10", split=s, batch_size=-1, download=False) for s in ("test", "train[:300]"))
    model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    report = export(model, tmp_path / f"net{SUFFIX[format]}", format=format, labels="cifar10", int8=seen["image"])
    x = pictures["image"].numpy().astype("float32")
    *_, run_file = run(format, report["path"])
    answer = np.concatenate([run_file(x[i : i + 500]) for i in range(0, len(x), 500)])
    expected = model.predict(x, batch_size=500, verbose=0)
    assert (answer.argmax(1) == expected.argmax(1)).mean() >= 0.98
    accuracies = [(p.argmax(1) == pictures["label"].numpy()).mean() for p in (answer, expected)]
    assert accuracies[0] > accuracies[1] - 0.005


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_a_16_bit_policy_is_written_in_float32(policy, tmp_path):
    needs("openvino")
    net = lively(tiny())
    report = export(net, tmp_path / "net.xml", format="openvino")
    keras.config.set_dtype_policy("float32")
    exact = tiny()
    exact.set_weights(net.get_weights())
    x = noise(net, 3)
    *_, answer = run("openvino", report["path"])
    np.testing.assert_allclose(answer(x), exact(x), atol=1e-5)


def inverted(write):
    """A writer with a bug: the least probable class is the most probable one."""
    import tensorflow as tf

    def wrong(work, path):
        function = tf.function(
            lambda image: {"probabilities": 1 - work.function(image)["probabilities"]}, input_signature=[work.image]
        )
        tf.saved_model.save(tf.Module(), f"{work.saved_model}-wrong", signatures=function)
        saved_model = work.saved_model.with_name(f"{work.saved_model.name}-wrong")
        write(work._replace(function=function, saved_model=saved_model), path)

    return wrong


@pytest.mark.parametrize("format", ["onnx", pytest.param("litert", marks=pytest.mark.slow), "openvino"])
def test_a_file_that_disagrees_is_refused(format, net, tmp_path, monkeypatch):
    needs(format)
    path = tmp_path / f"net{SUFFIX[format]}"
    path.write_text("older")
    monkeypatch.setitem(FILES, format, FILES[format]._replace(write=inverted(FILES[format].write)))
    with pytest.raises(RuntimeError, match="differs from the model"):
        export(net, path, format=format, overwrite=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]


def test_a_failed_export_leaves_nothing(net, tmp_path, monkeypatch):
    def full(work, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setitem(FILES, "onnx", FILES["onnx"]._replace(write=full, modules=()))
    with pytest.raises(OSError, match="No space"):
        export(net, tmp_path / "net.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


KILLED = """
import sys, time
from pathlib import Path
import keras_resnet
from keras_resnet.serving.formats import FILES, export

def slow(work, path):
    FILES_WRITE(work, path)
    Path(sys.argv[1], "written").touch()
    time.sleep(600)

FILES_WRITE = FILES["openvino"].write
FILES["openvino"] = FILES["openvino"]._replace(write=slow)
export(keras_resnet.ResNet(keras_resnet.cifar(8)), Path(sys.argv[1], "files", "net.xml"), format="openvino")
"""


@pytest.mark.slow
def test_a_kill_leaves_no_file_and_the_next_export_removes_its_rest(net, tmp_path):
    needs("openvino")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=dict(os.environ))
    deadline = time.monotonic() + 300
    while not (tmp_path / "written").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = tmp_path / "files"
    assert [path.name[0] for path in folder.iterdir()] == ["."]  # hidden
    export(net, folder / "other.xml", format="openvino")
    assert sorted(path.name for path in folder.iterdir()) == ["other.bin", "other.xml"]


def test_overwriting(net, tmp_path, monkeypatch):
    needs("onnx")
    path = tmp_path / "net.onnx"
    path.write_text("older")
    with pytest.raises(ValueError, match=r"path must be one that is not there yet, or overwrite=True.*net\.onnx"):
        export(net, path, format="onnx")
    assert path.read_text() == "older"
    export(net, path, format="onnx", overwrite=True)
    assert run("onnx", str(path))[0] == ["image"]


def test_a_distribution_of_another_name(monkeypatch):
    """As onnxruntime of onnxruntime-gpu; and a module that no distribution says it has does not fail the export."""
    monkeypatch.setattr(formats.packages, "packages_distributions", lambda: {"onnxruntime": ["numpy"]})
    assert formats.versions_of(("onnxruntime", "onnx")) == {"onnxruntime": np.__version__}


def test_nets_deeper_than_pythons_limit(tmp_path, monkeypatch):
    """ResNet-1202 is; here a plain net of 54 weight layers, and a limit that is lower by more."""

    def reached(*arguments):
        raise OSError("as far as the copy")

    net = tiny(depths=(25, 1), filters=2, shortcut="none")
    monkeypatch.setattr(formats, "rebuilt", reached)
    monkeypatch.setitem(FILES, "onnx", FILES["onnx"]._replace(modules=()))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        with pytest.raises(OSError, match="as far as the copy"):
            export(net, tmp_path / "net.onnx", format="onnx")
    finally:
        sys.setrecursionlimit(limit)


def test_the_options_are_data(net, tmp_path):
    assert set(FORMATS) == {"saved_model", *SUFFIX}
    for argument, says in (
        (dict(format="onxx"), r"format must be one of .*Did you mean 'onnx'"),
        (dict(format="onnx", int8=noise(net, 2)), r"option of the format 'onnx' must be one of .*'labels'.*'int8'"),
        (dict(format="openvino", top_k=3), r"option of the format 'openvino' must be one of .*'top_k'"),
        (dict(format="saved_model", int8=noise(net, 2)), r"option of the format 'saved_model' .*'signatures'"),
        (dict(format="litert", precision="bfloat16"), r"precision must be one of .*'float16'.*'bfloat16'"),
        (dict(format="litert", precision="int8"), r"int8 must be pictures to calibrate with"),
        (dict(format="litert", precision="float16", int8=noise(net, 2)), r"precision must be left out"),
        (dict(format="litert", tolerance=0), r"tolerance must be a number, more than 0"),
        (dict(format="litert", labels=["cat"]), r"labels must be 3"),
        (dict(format="litert", pictures=np.zeros((2, 9, 9, 3))), r"pictures must be \(b, h, w, c\)"),
        (dict(format="litert"), r"path must end in \.tflite"),
    ):
        with pytest.raises(ValueError, match=says):
            export(net, tmp_path / "net", **argument)
    maps = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(ValueError, match="one input .* and one output"):
        export(maps, tmp_path / "net.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


def test_the_saved_model_is_a_row(net, tmp_path):
    report = export(net, tmp_path / "net", signatures=("images",), warmup=False, labels=LABELS)
    assert report["version"] == 1
    assert (tmp_path / "net" / "1" / "saved_model.pb").exists()


@pytest.mark.parametrize("format", SUFFIX)
def test_a_missing_extra_is_named(format, net, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda module: None)
    with pytest.raises(ImportError, match=rf"pip install 'keras-resnet-family\[{format}\]'"):
        export(net, tmp_path / f"net{SUFFIX[format]}", format=format)
    assert not list(tmp_path.iterdir())


def nan(x):
    x[1, 2, 3, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("int8", "says"),
    [
        (lambda x: True, "Received: True"),
        (lambda x: 7, "Received: 7"),
        (lambda x: [], "no pictures"),
        (lambda x: x[:0], "no pictures"),
        (lambda x: x[0], r"the shape \(8, 8, 3\)"),
        (lambda x: x[:, :4], r"the shape \(6, 4, 8, 3\)"),
        (lambda x: x.astype(str), "of <U"),
        (lambda x: [(x, np.arange(6))], "labels are not wanted"),
        (nan, "NaN"),
        (lambda x: np.full_like(x, 3), "3 everywhere"),
        (lambda x: x / 255, r"of 0 to 255.*Received: numbers of 0 to 1"),
        (lambda x: x - 128, r"of 0 to 255"),
    ],
)
def test_pictures_to_calibrate_with(int8, says, tmp_path):
    """Wrong shapes, types, ranges: before anything is written."""
    model = NETS["preprocessing"]()
    with pytest.raises(ValueError, match=f"int8 must be pictures .*{says}"):
        export(model, tmp_path / "net.tflite", format="litert", int8=int8(noise(model, 6)))
    assert not list(tmp_path.iterdir())


def test_the_range_that_a_preprocessing_makes(net, tmp_path):
    with pytest.raises(ValueError, match=r"int8 must be pictures as the model takes them, of -2\.118 to 2\.64"):
        export(net, tmp_path / "n.tflite", format="litert", preprocessing="torch", int8=128 + noise(net, 2))


def test_at_most_a_thousand_pictures(net):
    from keras_resnet.serving.calibration import check_calibration

    endless = (noise(net, 300) for _ in iter(int, 1))
    assert check_calibration(endless, net, None, None).shape == (1000, 8, 8, 3)


@pytest.mark.parametrize("format", SUFFIX)
@pytest.mark.parametrize("sequential", [False, True])
def test_an_input_without_a_name(format, sequential, rng, tmp_path):
    needs(format)
    image = keras.Input((8, 8, 3))
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, "softmax")]
    if sequential:
        net = keras.Sequential([image, *layers])
    else:
        x = image
        for layer in layers:
            x = layer(x)
        net = keras.Model(image, keras.Sequential([keras.Input((3,)), keras.layers.Identity()])(x))
    path = tmp_path / f"net{SUFFIX[format]}"
    export(net, path, format=format)
    inputs, *_, answer = run(format, str(path))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    assert inputs == ["image"]
    np.testing.assert_allclose(answer(x), net(x), atol=1e-5)


def test_the_suffix_is_that_of_the_format(net, tmp_path):
    for format, name in (
        ("saved_model", "net.onnx"), ("saved_model", "net.xml"), ("onnx", "net.tflite"), ("litert", "net.onnx"),
        ("openvino", "net"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=rf"path must .*Received: '.*{name}'"):
            export(net, tmp_path / name, format=format)
    assert not list(tmp_path.iterdir())


def test_the_shell_infers_the_format(tmp_path):
    needs("onnx")
    net = tmp_path / "net.keras"
    lively(tiny()).save(net)
    assert main(["export", str(net), f"{tmp_path}/net.onnx"]) == 0
    assert (tmp_path / "net.onnx").is_file()


def test_the_home_folder_is_expanded(net, tmp_path, monkeypatch):
    needs("onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert export(net, "~/net.onnx")["path"] == str(tmp_path / "net.onnx")
    report = export(net, "~/net", signatures=("images",), warmup=False)
    assert report["path"] == str(tmp_path / "net" / "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "net.onnx"]
