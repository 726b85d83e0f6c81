"""Tests of export_saved_model: the written files, the time of publication, errors, and the export command."""

import json
import subprocess
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import export_saved_model
from keras_resnet.__main__ import main
from keras_resnet.serving import formats, freezing, saved_model, server_files

QUICK = dict(signatures=("images",), warmup=False)


@pytest.fixture(scope="module")
def net():
    return randomize(tiny())


def outputs_of(report, key="serving_default", **inputs):
    signature = tf.saved_model.load(report["path"]).signatures[key]
    return {name: value.numpy() for name, value in signature(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


def noise(rng, count=2):
    return rng.normal(size=(count, 8, 8, 3)).astype("float32")


@pytest.mark.slow
def test_a_fresh_process_computes_the_same(net, rng, tmp_path):
    report = export_saved_model(net, tmp_path / "net")
    x = noise(rng, 5)
    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", report["path"]]
    command += ["--tag_set", "serve", "--signature_def", "serving_default", "--outdir", str(tmp_path)]
    subprocess.run([*command, "--inputs", f"image={tmp_path / 'x.npy'}"], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), net(x), rtol=1e-5, atol=1e-6)
    outputs = {"probabilities": [None, 3], "top_labels": [None, 3], "top_scores": [None, 3], "top_ids": [None, 3]}
    assert report["signatures"] == {
        "serving_default": {"inputs": {"image": [None, 8, 8, 3]}, "outputs": outputs},
        "image_bytes": {"inputs": {"image_bytes": [None]}, "outputs": outputs},
        "classify": {"inputs": {"inputs": [None]}, "outputs": {"classes": [None, 3], "scores": [None, 3]}},
    }
    extra = Path(report["path"]) / "assets.extra"
    assert json.loads((extra / "metadata.json").read_text())["signatures"] == report["signatures"]
    assert (extra / "tf_serving_warmup_requests").exists()


@pytest.mark.parametrize("optimize", [None, "freeze", "bfloat16"])
def test_every_optimize_computes_as_the_model(optimize, net, rng, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)
    report = export_saved_model(net, tmp_path, optimize=optimize, top_k=2, labels=["a", "b", "c"], **QUICK)
    assert f"optimize={optimize!r}; same class for" in capsys.readouterr().out
    x = noise(rng, 4)
    found = outputs_of(report, image=x)
    atol = 0.05 if optimize == "bfloat16" else 1e-5
    np.testing.assert_allclose(found["probabilities"], net(x), atol=atol)
    types = [found[name].dtype for name in ("probabilities", "top_scores", "top_ids")]
    assert types == ["float32", "float32", "int32"]
    ids = found["probabilities"].argsort(-1)[:, ::-1][:, :2]
    np.testing.assert_array_equal(found["top_ids"], ids)
    np.testing.assert_array_equal(found["top_labels"].astype(str), np.array(["a", "b", "c"])[ids])
    np.testing.assert_array_equal(found["top_scores"], np.take_along_axis(found["probabilities"], ids, -1))
    assert report["agreement"]["difference"] <= atol


def dense(*layers, **options):
    """Returns a Sequential model: a dense layer on pixels, and then other layers."""
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(**options), *layers])


def softmax_operation():
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.ops.softmax(keras.layers.Dense(3)(keras.layers.Flatten()(image))))


ENDS = {
    "logits": (lambda: dense(units=3), tf.nn.softmax),
    "logits, cast to float32": (lambda: dense(keras.layers.Activation("linear"), units=3), tf.nn.softmax),
    "one logit": (lambda: dense(units=1), tf.nn.sigmoid),
    "a sigmoid": (lambda: dense(units=1, activation="sigmoid"), tf.identity),
    "an operation": (softmax_operation, tf.identity),
    "a model inside": (lambda: keras.Sequential([keras.Input((8, 8, 3)), tiny()]), tf.identity),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_outputs_are_probabilities(end, rng, tmp_path):
    make, activation = ENDS[end]
    model, x = randomize(make()), noise(rng)
    found = outputs_of(export_saved_model(model, tmp_path, **QUICK), image=x)["probabilities"]
    np.testing.assert_allclose(found, activation(model(x)), atol=1e-5)


def test_other_outputs_than_probabilities_are_refused(tmp_path):
    net = tiny()
    with pytest.raises(ValueError, match="model must end in a softmax, a sigmoid, logits or an embedding"):
        export_saved_model(keras.Model(net.input, keras.ops.log(net.output)), tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())


def pooled(*layers, pooling="avg"):
    net = keras_resnet.ResNet(keras_resnet.cifar(8), False, input_shape=(8, 8, 3), pooling=pooling)
    return randomize(keras.Sequential([keras.Input((8, 8, 3)), net, *layers]) if layers else net)


FEATURES = {
    "avg": pooled,
    "max": lambda: pooled(pooling="max"),
    "dense without class scores": lambda: pooled(keras.layers.Dense(5, "relu")),
    "normalized": lambda: pooled(keras.layers.UnitNormalization()),
    "flat": lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_model_without_a_classifier_outputs_an_embedding(name, rng, tmp_path):
    net, x = FEATURES[name](), noise(rng)
    report = export_saved_model(net, tmp_path, warmup=False)
    output = {"embedding": [None, net.output_shape[1]]}
    assert report["signatures"] == {
        "serving_default": {"inputs": {"image": [None, 8, 8, 3]}, "outputs": output},
        "image_bytes": {"inputs": {"image_bytes": [None]}, "outputs": output},
    }
    assert report["features"] == net.output_shape[1] and "classes" not in report
    np.testing.assert_allclose(outputs_of(report, image=x)["embedding"], net(x), rtol=1e-3, atol=1e-4)


def test_the_embedding_is_the_input_of_the_classifier(net, rng, tmp_path):
    x = noise(rng)
    report = export_saved_model(net, tmp_path, signatures=("embedding", "images"), warmup=False)
    features = keras.Model(net.input, net.get_layer("avg_pool").output)
    np.testing.assert_allclose(outputs_of(report, "embedding", image=x)["embedding"], features(x), 1e-4, 1e-5)


CAM = dict(signatures=("images", "cam"), warmup=False)


def headed(*head, **options):
    """Returns a model that contains a network without the top. Its last feature map has several positions."""
    variant = keras_resnet.Variant("building_block", (1, 1), 4, stem="3x3", image_size=8, first_stride=2)
    base = keras_resnet.ResNet(variant, include_top=False, input_shape=(8, 8, 3), **options)
    return randomize(keras.Sequential([keras.Input((8, 8, 3)), base, *head]))


def pool_and_dense(**options):
    return headed(keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.5), keras.layers.Dense(3, **options))


def of_any_size():
    return randomize(keras_resnet.ResNet(tiny().variant, input_tensor=keras.Input((None, None, 3))))


MAPPED = {
    "softmax": tiny,
    "sigmoid": lambda: tiny(order="preactivation", classes=1),
    "logits": lambda: pool_and_dense(use_bias=False),
    "pooling inside": lambda: headed(keras.layers.Dense(3, "softmax"), pooling="avg"),
    "classifier inside": lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(0.5), tiny()]),
    "any size": of_any_size,
}


@pytest.mark.parametrize("name", MAPPED)
def test_cam_is_what_explain_returns(name, rng, tmp_path):
    net, x = randomize(MAPPED[name]()), noise(rng, 4)
    report = export_saved_model(net, tmp_path, **CAM)
    found = outputs_of(report, "cam", image=x)["cam"]
    assert (found.shape, found.dtype) == ((4, 8, 8), "float32")
    np.testing.assert_allclose(found, keras_resnet.explain(net, x), atol=1e-4)
    assert found.max() == 1
    expected = export_saved_model(net, tmp_path, **QUICK)  # the other signatures do not change
    probabilities = outputs_of(expected, image=x)["probabilities"]
    np.testing.assert_allclose(outputs_of(report, image=x)["probabilities"], probabilities, atol=1e-5)


@pytest.mark.parametrize("optimize", [None, "bfloat16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
def test_cam_in_every_precision(policy, optimize, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)
    net, x = randomize(tiny()), noise(rng)
    found = outputs_of(export_saved_model(net, tmp_path, optimize=optimize, **CAM), "cam", image=x)["cam"]
    np.testing.assert_allclose(found, keras_resnet.explain(net, x), atol=0.05)


def test_cam_of_files(rng, tmp_path):
    row = keras_resnet.Preprocessing(8, 8, mean=(0.2, 0.5, 0.7), std=(0.2, 0.3, 0.4))
    net, pixels = randomize(tiny()), rng.integers(0, 256, (8, 8, 3), "uint8")
    report = export_saved_model(net, tmp_path, signatures="cam_bytes", preprocessing=row, warmup=(1, 2))
    assert report["signatures"] == {"cam_bytes": {"inputs": {"image_bytes": [None]}, "outputs": {"cam": [None, 8, 8]}}}
    found = outputs_of(report, "cam_bytes", image_bytes=[tf.io.encode_png(pixels).numpy()])["cam"]
    image = (pixels[np.newaxis] / 255 - row.mean) / row.std
    np.testing.assert_allclose(found, keras_resnet.explain(net, image.astype("float32")), atol=0.01)


def test_the_class_of_cam_where_probabilities_are_ties(tmp_path):
    """Two sigmoids are 1 in float32. The class with the highest logit is used."""
    image = keras.Input((4, 4, 2))
    net = keras.Model(image, keras.layers.Dense(2, "sigmoid")(keras.layers.GlobalAveragePooling2D()(image)))
    images = np.zeros((1, 4, 4, 2), "float32")
    images[0, 0, 0, 0] = images[0, 3, 3, 1] = 16  # the mean of each channel is 1
    cut = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(2, 1, use_bias=False), *net.layers[1:]])
    cut.layers[0].set_weights([np.eye(2).reshape(1, 1, 2, 2)])
    cut.layers[-1].set_weights([np.diag([30.0, 40.0]), np.zeros(2)])
    report = export_saved_model(cut, tmp_path, **CAM)
    assert (outputs_of(report, image=images)["probabilities"] == 1).all()
    found = outputs_of(report, "cam", image=images)["cam"]
    assert found[0, 3, 3] == 1 and found.sum() == 1


def test_the_default_has_no_cam(net, tmp_path):
    """The graph has no operations of the class activation map."""
    default, mapped = (
        (Path(export_saved_model(net, tmp_path, **options)["path"]) / "saved_model.pb").read_bytes()
        for options in (QUICK, CAM)
    )
    assert b"Einsum" in mapped and b"Einsum" not in default
    assert b"ResizeBilinear" in mapped and b"ResizeBilinear" not in default


def quantized():
    net = tiny()
    net.get_layer("predictions").quantize("int8")
    return net


def convolutional_head():
    layers = [keras.layers.Conv2D(3, 3), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


ENDS_OTHERWISE = {
    "no classifier": (lambda: pooled(), "needs a model with a classifier. Received: 'resnet'"),
    "max pooling": (
        lambda: headed(keras.layers.Dense(3), pooling="max"),
        r"are \['max_pool \(GlobalMaxPooling2D\)', '",
    ),
    "convolution": (convolutional_head, r"are \['global_average_pooling2d\w* \(GlobalAveragePooling2D\)'\]"),
    "two dense layers": (
        lambda: headed(keras.layers.Dense(4, "relu"), keras.layers.Dense(3), pooling="avg"),
        r"are \['avg_pool \(\w+\)', 'dense\w* \(Dense\)', 'dense\w* \(Dense\)'\]",
    ),
    "flat": (lambda: headed(keras.layers.Flatten(), keras.layers.Dense(3)), r"are \['flatten\w* \(Flatten\)', '"),
    "no feature map": (lambda: dense(units=3), "model must have one last feature map"),
    "8 bits": (quantized, r"'predictions \(Dense\)'\], quantized"),
}


@pytest.mark.parametrize("end", ENDS_OTHERWISE)
@pytest.mark.parametrize("signature", ["cam", "cam_bytes"])
def test_cam_needs_global_average_pooling_and_one_dense_layer(signature, end, tmp_path):
    make, message = ENDS_OTHERWISE[end]
    with pytest.raises(ValueError, match=message):
        export_saved_model(make(), tmp_path / "models", signatures=("images", signature), warmup=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preprocessing", [None, dict(size=8, resize=8)])
def test_files_without_a_preprocessing_are_warned_of(net, preprocessing, tmp_path):
    row = preprocessing and replace(keras_resnet.PREPROCESSINGS["torch"], **preprocessing)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_saved_model(net, tmp_path, signatures="image_bytes", preprocessing=row, warmup=False)
    assert any("files become" in str(one.message) and one.filename == __file__ for one in caught) == (row is None)


def test_grouped_convolution_of_keras_leaves_no_xla(tmp_path):
    image = keras.Input((8, 8, 4), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, groups=2)(image))
    net = randomize(keras.Model(image, keras.layers.Dense(3, "softmax")(x)))
    report = export_saved_model(net, tmp_path, **QUICK)
    assert b"XlaMustCompile" not in (Path(report["path"]) / "saved_model.pb").read_bytes()
    with pytest.raises(ValueError, match="optimize must not be None for .* XLA"):
        export_saved_model(net, tmp_path, optimize=None, **QUICK)


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_outputs_are_float32_under_a_16_bit_policy(policy, rng, tmp_path):
    net, x = tiny(order="preactivation", shortcut="zero_pad"), noise(rng)
    found = outputs_of(export_saved_model(net, tmp_path, **QUICK), image=x)["probabilities"]
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, net(x), atol=0.02)


def test_versions_count_up_and_are_not_overwritten(net, tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    assert [export_saved_model(net, tmp_path, **QUICK)["version"] for _ in range(2)] == [1, 2]
    assert export_saved_model(net, tmp_path, version=12, **QUICK)["version"] == 12
    assert export_saved_model(net, tmp_path, **QUICK)["version"] == 13
    for version, message in (
        (2, "version already exists in .* or pass overwrite=True. Received: 2"),
        (0, "positive integer. Received: 0"),
        ("3", "'3'"),
    ):
        with pytest.raises(ValueError, match=message):
            export_saved_model(net, tmp_path, version=version)
    (tmp_path / "12" / "old").touch()
    export_saved_model(net, tmp_path, version=12, overwrite=True, **QUICK)
    assert not (tmp_path / "12" / "old").exists() and (tmp_path / "12" / "saved_model.pb").exists()

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(saved_model.tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space"):
        export_saved_model(net, tmp_path, **QUICK)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "12", "13", "2", "notes"]


def test_a_version_appears_whole(net, tmp_path):
    """A server that polls the directory sees the numbered directory only when all files are written."""
    partial, stop = [], threading.Event()

    def poll():
        while not stop.is_set():
            for path in tmp_path.iterdir():
                if path.name.isdecimal() and not (path / "assets.extra" / "metadata.json").exists():
                    partial.append(path)

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        export_saved_model(net, tmp_path, **QUICK)
    finally:
        stop.set()
        watcher.join()
    assert not partial


REFUSED = [
    (dict(signatures=("image",)), "signatures must be one of .*Did you mean 'images'"),
    (dict(top_k=0), "top_k must be a positive integer. Received: 0"),
    (dict(labels=["a"]), "labels must be 3 strings, one for each class of the model"),
    (dict(labels="imagenet"), "labels must be 3 strings, .*Received: 'imagenet'"),
    (dict(labels="imagnet"), "labels, if not .*Did you mean 'imagenet'"),
    (dict(labels=[1, 2, 3]), "labels must be 3 strings, .*Received: 3 such as [1, 2, 3]"),
    (dict(preprocessing="torch"), "preprocessing must have the size of the model's images, 8 x 8"),
    (dict(preprocessing="troch"), "preprocessing must be one of .*Did you mean 'torch'"),
    (dict(optimize="fast"), "optimize must be one of"),
    (dict(warmup=3), "warmup must be a tuple of positive integers, .*Received: 3"),
    (dict(warmup=(1, 0)), "warmup must be a positive integer. Received: 0"),
    (dict(tolerance=0), "tolerance must be a number, more than 0"),
    (dict(overwrite=True), "overwrite=True needs the version"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused_before_anything_is_written(arguments, message, net, tmp_path):
    with pytest.raises(ValueError, match=message.replace("[1, 2, 3]", r"\[1, 2, 3\]")):
        export_saved_model(net, tmp_path / "models", **arguments)
    assert not list(tmp_path.iterdir())


def flat(shape):
    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(image)))


def two_inputs():
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([a, b], keras.layers.Flatten()(keras.layers.Add()([a, b])))


FUNCTIONAL = "model must be a Functional or Sequential keras.Model. Received"
UNFIT = [
    (two_inputs, {}, "one input .* and one output"),
    (lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)]), {}, r"one output \(b, classes\)"),
    (lambda: flat((8, 8, 4)), {}, "for a model of 4 channels: files have 1 or 3"),
    (lambda: flat((None, None, 3)), {}, "preprocessing must be given"),
    (lambda: keras.Sequential([keras.layers.Dense(3)]), {}, FUNCTIONAL),
    (lambda: "resnet50", {}, FUNCTIONAL),
    (lambda: keras.Sequential([*flat((8, 8, 3)).layers, keras.layers.Softmax()]), dict(signatures=("embedding",)),
     "'embedding' needs a model that ends in a dense layer"),
    (pooled, dict(signatures=("classify",)), "signatures must be one of \\['images', 'image_bytes'\\]"),
    (pooled, dict(labels=["a"] * 64), r"labels must be 0 strings, .* \(none without a classifier\)"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "arguments", "message"), UNFIT)
def test_models_that_do_not_fit_the_arguments(model, arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_saved_model(model(), tmp_path / "models", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def core_installation(monkeypatch):
    """Makes the modules of the extras impossible to import."""
    extras = {module for file in formats.FILES.values() for module in file.modules}
    extras |= {"tensorflow_serving", "grpc", "safetensors", "huggingface_hub", "matplotlib", "scipy", "sklearn"}
    for name in [name for name in sys.modules if name.split(".")[0] in extras]:
        monkeypatch.delitem(sys.modules, name)
    for name in extras:
        monkeypatch.setitem(sys.modules, name, None)


def test_the_defaults_need_no_extra(net, core_installation, tmp_path):
    with pytest.warns(UserWarning, match=r"without warm-up requests.*keras-resnet-family\[serving\]") as caught:
        report = export_saved_model(net, tmp_path / "net")
    assert report["warmup"] == []
    assert [path.name for path in (tmp_path / "net/1/assets.extra").iterdir()] == ["metadata.json"]
    assert all(one.filename == __file__ for one in caught if "warm-up" in str(one.message))
    with pytest.raises(ImportError, match=r"warmup needs .*family\[serving\]', or warmup=False"):
        export_saved_model(net, tmp_path / "models", warmup=True)
    with pytest.raises(ImportError, match=r"server_config needs"):
        export_saved_model(net, tmp_path / "models", server_config=True, **QUICK)
    assert not (tmp_path / "models").exists()


def test_models_config(net, tmp_path, monkeypatch):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = tmp_path / "models.config"
    config.write_text('model_config_list { config { name: "mine" base_path: "/a" model_platform: "tensorflow" } }')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for directory in (tmp_path / "net", tmp_path / "net", "."):
        export_saved_model(net, directory, server_config=True, **QUICK)
    models = text_format.Parse(config.read_text(), model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert {model.name: model.base_path for model in models} == {
        "mine": "/a", "net": "/models/net", "here": "/models/here"
    }  # fmt: skip
    config.write_text("model_config_list { confg { } }")
    with pytest.raises(ValueError, match=r"models.config must be a ModelServerConfig in text format.*confg"):
        export_saved_model(net, tmp_path / "other", server_config=True, **QUICK)
    assert not (tmp_path / "other").exists()


def test_compose_file():
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((Path(__file__).parent.parent / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert service["image"].startswith("tensorflow/serving:")
    assert service["volumes"] == [f"${{MODELS:-./models}}:{server_files.SERVED_FROM}:ro"]
    assert f"--model_config_file={server_files.SERVED_FROM}/{server_files.MODELS}" in service["command"]


def test_numpy_numbers_in_a_preprocessing(tmp_path):
    mean = tuple(np.float32([0.5, 0.25, 0.125]))
    row = keras_resnet.Preprocessing(np.int64(8), np.int64(9), mean=mean, std=mean, scale=np.float32(255))
    report = export_saved_model(tiny(), tmp_path, preprocessing=row, **QUICK)
    written = json.loads((tmp_path / "1/assets.extra/metadata.json").read_text())["preprocessing"]
    assert (written["size"], written["resize"], written["mean"], written["scale"]) == (8, 9, [0.5, 0.25, 0.125], 255)
    assert report["preprocessing"]["std"] == mean


def test_from_the_shell(tmp_path, capsys):
    net = tmp_path / "net.keras"
    randomize(tiny()).save(net)
    (tmp_path / "labels").write_text("a\nb\nc\n")
    flags = f"--labels {tmp_path}/labels --optimize none --warmup --signatures images embedding cam --top-k 2".split()
    assert main(["export", str(net), f"{tmp_path}/models/net", "--version", "7", *flags]) == 0
    written = json.loads((tmp_path / "models/net/7/assets.extra/metadata.json").read_text())
    assert written["optimize"] is None and set(written["signatures"]) == {"serving_default", "embedding", "cam"}
    assert written["signatures"]["serving_default"]["outputs"]["top_ids"] == [None, 2]
    assert main(["export", str(net), f"{tmp_path}/models/net", "--version", "7"]) == 1
    assert "version already exists in" in capsys.readouterr().err
    assert main(["export", str(net), f"{tmp_path}/models/net", "--fields", "gate=se"]) == 1
    assert "--fields require the name of a row" in capsys.readouterr().err


def test_a_row_from_the_shell_has_the_preprocessing_of_its_weights(tmp_path):
    flags = ["--weights", "cifar10", "--labels", "cifar10", "--signatures", "image_bytes", "--warmup"]
    assert main(["export", "resnet20", str(tmp_path), *flags]) == 0
    written = json.loads((tmp_path / "1/assets.extra/metadata.json").read_text())
    assert written["weights"] == "cifar10" and written["preprocessing"]["size"] == 32
    net = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    found = outputs_of({"path": str(tmp_path / "1")}, "image_bytes", image_bytes=[tf.io.encode_png(pixels).numpy()])
    expected = net(pixels[None].astype("float32"))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4)
    main(["export", "resnet20", str(tmp_path), *flags[:4], "--warmup"])  # the inputs of "images" are pixels, too
    found = outputs_of({"path": str(tmp_path / "2")}, image=pixels[None].astype("float32"))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4)


@pytest.fixture
def arguments_of(monkeypatch, tmp_path):
    """Records the arguments of `ResNet` and `export`. The working directory has folders with the names of weights."""
    monkeypatch.chdir(tmp_path)
    for folder in ("cifar10", "imagenet", "keras", "timm/resnet50.a1_in1k"):
        (tmp_path / folder).mkdir(parents=True)
    seen: dict = {}
    monkeypatch.setattr(keras_resnet, "ResNet", lambda name, **arguments: seen.update(arguments))
    monkeypatch.setattr(keras_resnet, "export", lambda model, place, **options: seen.update(options))
    return seen


@pytest.mark.parametrize(
    ("row", "weights", "preprocessing"),
    [
        ("resnet20", "cifar10", "cifar10"),
        ("resnet50", "imagenet", "timm"),
        ("resnet50", "timm/resnet50.a1_in1k", "timm"),
        ("resnet50", "keras", "caffe"),
        ("resnet50v2_keras", "keras", "tf"),
    ],
)
def test_the_shell_finds_the_preprocessing_of_the_weights(row, weights, preprocessing, arguments_of):
    command = ["export", row, "net.onnx", "--format", "onnx", "--weights", weights]
    assert main([*command, "--fields", "bottleneck_stride=1x1"]) == 0 and arguments_of["bottleneck_stride"] == "1x1"
    expected = keras_resnet.PREPROCESSINGS[preprocessing]
    assert arguments_of["preprocessing"] == arguments_of["include_preprocessing"] == expected
    assert arguments_of["input_shape"] == (expected.size, expected.size, 3)


def test_the_shell_requires_a_preprocessing_that_is_not_known(arguments_of, capsys):
    command = ["export", "resnet50", "net.onnx", "--format", "onnx", "--weights"]
    for weights in ("some/net", "nowhere.pth", "timm/resnet50"):
        assert main([*command, weights]) == 1 and not arguments_of
        written = capsys.readouterr().err
        assert "--preprocessing is required" in written and f"Received: {weights!r}" in written
    assert main([*command, "some/net", "--preprocessing", "timm"]) == 0
    assert (arguments_of["weights"], arguments_of["preprocessing"]) == ("some/net", "timm")
    Path("mine.npz").touch()
    assert main([*command, "mine.npz"]) == 0  # a file has no known preprocessing
    assert arguments_of["include_preprocessing"] is False
    assert main(["export", "resnet34", "net.onnx", "--weights", "keras"]) == 1
    written = capsys.readouterr().err
    assert "row must be one of ['resnet50'" in written and "--preprocessing" not in written
