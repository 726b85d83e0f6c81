"""export_saved_model: what is written, when it appears, and what it refuses."""

import json
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
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
from keras_resnet.serving import formats, freezing, saved_model, versions

QUICK = dict(signatures=("images",), warmup=False)


@pytest.fixture(scope="module")
def net():
    return randomize(tiny())


def saved_model_cli(*arguments):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def answer(report, key="serving_default", **inputs):
    signature = tf.saved_model.load(report["path"]).signatures[key]
    return {name: value.numpy() for name, value in signature(**{k: tf.constant(v) for k, v in inputs.items()}).items()}


def test_a_fresh_process_gets_the_same_answer(net, rng, tmp_path):
    report = export_saved_model(net, tmp_path / "net")
    x = rng.normal(size=(5, 8, 8, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    flags = ["--dir", report["path"], "--tag_set", "serve", "--signature_def", "serving_default"]
    saved_model_cli("run", *flags, "--inputs", f"image={tmp_path / 'x.npy'}", "--outdir", tmp_path)
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
def test_every_optimize_answers_as_the_model(optimize, net, rng, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)
    report = export_saved_model(net, tmp_path, optimize=optimize, top_k=2, labels=["a", "b", "c"], **QUICK)
    assert f"optimize={optimize!r}; same class for" in capsys.readouterr().out
    x = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    got = answer(report, image=x)
    expected = np.asarray(net(x))
    atol = 0.05 if optimize == "bfloat16" else 1e-5
    np.testing.assert_allclose(got["probabilities"], expected, atol=atol)
    assert [got[name].dtype for name in ("probabilities", "top_scores", "top_ids")] == ["float32", "float32", "int32"]
    ids = got["probabilities"].argsort(-1)[:, ::-1][:, :2]
    np.testing.assert_array_equal(got["top_ids"], ids)
    np.testing.assert_array_equal(got["top_labels"].astype(str), np.array(["a", "b", "c"])[ids])
    np.testing.assert_array_equal(got["top_scores"], np.take_along_axis(got["probabilities"], ids, -1))
    assert report["optimize"] == optimize
    assert report["agreement"]["difference"] <= atol


def test_logits_become_probabilities(rng, tmp_path):
    net = randomize(keras_resnet.ResNet("resnet20", classifier_activation=None, depths=(1, 1, 1)))
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    got = answer(export_saved_model(net, tmp_path, **QUICK), image=x)["probabilities"]
    np.testing.assert_allclose(got, tf.nn.softmax(net(x)), atol=1e-5)


def test_an_activation_that_does_nothing_does_not_hide_logits(rng, tmp_path):
    """As Keras' guide to mixed precision has it: the answer in float32 by a layer of its own."""
    image = keras.Input((8, 8, 3))
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(image))
    net = keras.Model(image, keras.layers.Activation("linear", dtype="float32")(logits))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    report = export_saved_model(net, tmp_path, **QUICK | {"signatures": ("images", "embedding")})
    np.testing.assert_allclose(answer(report, image=x)["probabilities"], tf.nn.softmax(net(x)), atol=1e-5)
    np.testing.assert_allclose(answer(report, "embedding", image=x)["embedding"], x.reshape(2, -1), atol=1e-5)


def test_a_net_that_ends_in_nothing_but_idle_layers(rng, tmp_path):
    idle = keras.Sequential([keras.Input((3,)), keras.layers.Activation("linear")])
    net = keras.Sequential([keras.Input((8, 8, 3)), randomize(tiny()), idle])
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    got = answer(export_saved_model(net, tmp_path, **QUICK), image=x)["probabilities"]
    np.testing.assert_allclose(got, net(x), atol=1e-5)


def test_one_class_needs_a_sigmoid(rng, tmp_path):
    with pytest.raises(ValueError, match="model must end in a sigmoid where it has one class"):
        export_saved_model(keras_resnet.ResNet20(classes=1, classifier_activation=None), tmp_path, **QUICK)
    net = randomize(keras_resnet.ResNet("resnet20", depths=(1, 1, 1), classes=1, classifier_activation="sigmoid"))
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    got = answer(export_saved_model(net, tmp_path, **QUICK), image=x)["probabilities"]
    np.testing.assert_allclose(got, net(x), atol=1e-5)


@pytest.mark.parametrize("preprocessing", [None, dict(size=8, resize=8)])
def test_files_without_a_preprocessing_are_warned_of(net, preprocessing, tmp_path):
    row = preprocessing and replace(keras_resnet.PREPROCESSINGS["torch"], **preprocessing)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        export_saved_model(net, tmp_path, signatures=("image_bytes",), preprocessing=row, warmup=False)
    assert any("from files" in str(one.message) and one.filename == __file__ for one in told) == (row is None)


def test_the_embedding_is_what_the_classifier_gets(net, rng, tmp_path):
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    report = export_saved_model(net, tmp_path, signatures=("embedding", "images"), warmup=False)
    pooled = keras.Model(net.input, net.get_layer("avg_pool").output)
    np.testing.assert_allclose(answer(report, "embedding", image=x)["embedding"], pooled(x), rtol=1e-4, atol=1e-5)


def test_an_embedding_of_large_numbers_agrees(tmp_path):
    """What differs is measured against their size: here it is above 100, and float32 has seven digits."""
    net = randomize(tiny(image_size=32, block="bottleneck", groups=4, base_width=8, filters=16))
    last = net.get_layer("conv3_block2_3_bn")
    last.gamma.assign(last.gamma * 1e5)
    report = export_saved_model(net, tmp_path, signatures=("embedding",), warmup=False)
    assert report["agreement"]["difference"] < 1e-4


def test_grey_nets_take_files(tmp_path):
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    net = randomize(keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x))))
    report = export_saved_model(net, tmp_path, signatures=("image_bytes", "classify"))
    pixels = np.arange(64, dtype="uint8").reshape(8, 8, 1)
    got = answer(report, "image_bytes", image_bytes=[tf.io.encode_png(pixels).numpy()])["probabilities"]
    np.testing.assert_allclose(got, net(pixels[None].astype("float32")), atol=1e-5)


def test_grouped_convolution_of_keras_leaves_no_xla(rng, tmp_path):
    image = keras.Input((8, 8, 4), name="image")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, groups=2)(image))
    net = randomize(keras.Model(image, keras.layers.Dense(3, "softmax")(x)))
    report = export_saved_model(net, tmp_path, **QUICK)
    assert b"XlaMustCompile" not in (Path(report["path"]) / "saved_model.pb").read_bytes()
    with pytest.raises(ValueError, match="optimize must not be None for .* XLA"):
        export_saved_model(net, tmp_path, optimize=None, **QUICK)


def test_given_pictures(net, rng, tmp_path):
    pictures = rng.normal(size=(3, 8, 8, 3))
    assert export_saved_model(net, tmp_path, pictures=pictures, **QUICK)["agreement"]["pictures"] == 3
    (tmp_path / "files").mkdir()
    for i in range(2):
        png = tf.io.encode_png(rng.integers(0, 256, (9, 10, 3), "uint8")).numpy()
        (tmp_path / "files" / f"{i}.png").write_bytes(png)
    report = export_saved_model(net, tmp_path, pictures=tmp_path / "files", warmup=False)
    assert report["agreement"]["pictures"] == 2 + 6 + 6  # files for the other two signatures


def test_what_answers_otherwise_is_not_published(tmp_path, monkeypatch):
    net, other = tiny(), tiny()  # as they start: of random ones all are sure of one class
    wrong = freezing.freeze(keras.Model(other.input, {"probabilities": other.output}))
    monkeypatch.setattr(saved_model, "freeze", lambda *arguments: wrong)
    with pytest.raises(RuntimeError, match="differs from the model"):
        export_saved_model(net, tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_answers_float32_under_a_16_bit_policy(policy, rng, tmp_path):
    net = tiny(order="preactivation", shortcut="zero_pad")
    loaded = tf.saved_model.load(export_saved_model(net, tmp_path, **QUICK)["path"])
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    answer = loaded.signatures["serving_default"](image=tf.constant(x))["probabilities"]
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, net(x), atol=0.02)


def test_weights_are_written_once(net, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), net, keras.layers.Dense(20_000)])
    weights, label, graph = 4 * model.count_params(), 7, 60_000
    report = export_saved_model(model, tmp_path, signatures=("images", "embedding"), warmup=False)
    assert weights < report["bytes"] - 20_000 * label < 1.05 * weights + graph


def test_versions_count_up_and_are_never_overwritten(net, tmp_path):
    (tmp_path / "notes").mkdir()
    assert [export_saved_model(net, tmp_path, **QUICK)["version"] for _ in range(2)] == [1, 2]
    assert export_saved_model(net, tmp_path, version=12, **QUICK)["version"] == 12
    assert export_saved_model(net, tmp_path, **QUICK)["version"] == 13
    for version, says in (
        (2, "not in .* yet, or overwrite=True. Received: 2"),
        (0, "positive integer. Received: 0"),
        ("3", "'3'"),
    ):
        with pytest.raises(ValueError, match=says):
            export_saved_model(net, tmp_path, version=version)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "12", "13", "2", "notes"]


def test_a_failed_export_leaves_nothing(net, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(saved_model.tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space"):
        export_saved_model(net, tmp_path, **QUICK)
    assert not list(tmp_path.iterdir())


def test_overwriting_leaves_no_moment_without_the_version(tmp_path):
    """A reader that opens the file of a version all the time finds the old or the new one."""
    missing, stop = [], threading.Event()

    def write(text):
        with versions.unpublished(tmp_path) as unfinished:
            (unfinished.path / "file").write_text(text)
            return unfinished.publish(3, overwrite=True)

    def poll():
        while not stop.is_set():
            try:
                assert (tmp_path / "3" / "file").read_text() in ("old", "new")
            except FileNotFoundError as error:
                missing.append(error)

    write("old")
    watcher = threading.Thread(target=poll)
    watcher.start()
    for _ in range(20):
        write("new")
    stop.set()
    watcher.join()
    assert not missing or sys.platform != "linux"
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_overwriting_without_an_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "_exchange_at_once", lambda a, b: False)
    for text in ("old", "new"):
        with versions.unpublished(tmp_path) as unfinished:
            (unfinished.path / "file").write_text(text)
            unfinished.publish(3, overwrite=True)
    assert (tmp_path / "3" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_exports_at_the_same_time_get_numbers_of_their_own(tmp_path):
    def publish(i):
        with versions.unpublished(tmp_path) as unfinished:
            (unfinished.path / "file").write_text(str(i))
            return unfinished.publish(None, overwrite=False)

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(publish, range(40)))
    assert sorted(int(place.name) for place in places) == list(range(1, 41))
    assert sorted(int((place / "file").read_text()) for place in places) == list(range(40))


def test_what_a_killed_export_leaves_goes_with_the_next(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from keras_resnet.serving.versions import unpublished\n"
        "with unpublished(Path(sys.argv[1])) as u: (u.path / 'half').write_text(''); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parent.parent, check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".exporting-") and (left / "half").exists()
    other = tmp_path / ".exporting-elsewhere-1-abcd"  # of another machine: who knows
    mine = tmp_path / left.name.replace(left.name.split("-")[-2], str(os.getpid()))  # alive
    other.mkdir(), mine.mkdir()
    with versions.unpublished(tmp_path):
        pass
    assert {*tmp_path.iterdir()} == {other, mine}


def test_a_version_appears_whole(net, tmp_path):
    """A server that polls the directory sees no number before all files are there."""
    halves, stop = [], threading.Event()

    def poll():
        while not stop.is_set():
            for path in tmp_path.iterdir():
                if path.name.isdecimal() and not (path / "assets.extra" / "metadata.json").exists():
                    halves.append(path)

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        export_saved_model(net, tmp_path, **QUICK)
    finally:
        stop.set()
        watcher.join()
    assert not halves


def test_models_that_do_not_fit(tmp_path):
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match="one input .* and one output"):
        export_saved_model(keras.Model([a, b], keras.layers.Add()([a, b])), tmp_path)
    flat = keras.Input((3,))
    with pytest.raises(ValueError, match=r"one output \(b, classes\)"):
        export_saved_model(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1)]), tmp_path)
    with pytest.raises(ValueError, match="one input .* and one output"):
        export_saved_model(keras.Model(flat, keras.layers.Dense(2)(flat)), tmp_path)


IMAGES_ONLY = dict(signatures=("images",))
REFUSED = [
    (dict(signatures="images"), "signatures must be a sequence of names"),
    (dict(signatures=()), "signatures must be a sequence of names"),
    (dict(signatures=("image",)), "signatures must be one of .*Did you mean 'images'"),
    (dict(signatures=("images", "images")), "signatures must be there once each"),
    (dict(top_k=0), "top_k must be a positive integer. Received: 0"),
    (dict(labels=["a"]), "labels must be 3, one a class of the model. Received: list of 1"),
    (dict(labels="imagenet"), "labels must be 3, one a class of the model. Received: 'imagenet', 1000 labels"),
    (dict(labels="imagnet"), "labels, if not .*Did you mean 'imagenet'"),
    (dict(labels=[1, 2, 3]), "labels must be strings. Received: 1 among them"),
    (dict(preprocessing="torch"), "preprocessing must have the size of the model's images, 8 x 8"),
    (dict(preprocessing="troch"), "preprocessing must be one of .*Did you mean 'torch'"),
    (dict(optimize="fast"), "optimize must be one of"),
    (dict(warmup="yes"), "warmup must be None, True, False or a sequence"),
    (dict(warmup=(1, 0)), "warmup must be a positive integer. Received: 0"),
    (dict(pictures=np.zeros((2, 9, 8, 3))), r"pictures must be \(b, h, w, c\)"),
    (dict(pictures=np.zeros((0, 8, 8, 3))), r"pictures must be \(b, h, w, c\)"),
    (dict(pictures="nowhere"), "pictures, if a folder, must hold files"),
    (dict(pictures=np.zeros((2, 8, 8, 3)), signatures=("classify",)), "pictures need a signature that takes images"),
    (dict(overwrite=True), "overwrite=True needs the version"),
    (dict(metadata={"a": object()}), "metadata must be a dict that JSON can hold"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_refused_before_anything_is_written(arguments, says, net, tmp_path):
    with pytest.raises(ValueError, match=says):
        export_saved_model(net, tmp_path / "models", **arguments)
    assert not list(tmp_path.iterdir())


def flat(shape, **options):
    image = keras.Input(shape)
    x = keras.layers.GlobalAveragePooling2D(**options)(image)
    return keras.Model(image, keras.layers.Dense(3, "softmax")(x))


UNFIT = [
    (lambda: flat((8, 8, 4)), {}, "signatures that take files need a model of 1 or 3 channels"),
    (lambda: flat((None, None, 3)), {}, "preprocessing must say the size"),
    (lambda: flat((3, 8, 8), data_format="channels_first"), IMAGES_ONLY, "model must be channels-last"),
    (lambda: flat((32, 32, 1)), dict(preprocessing="cifar10"), "preprocessing normalizes three channels"),
    (lambda: keras.Sequential([keras.layers.Dense(3)]), {}, "model must be a Functional or Sequential"),
    (lambda: "resnet50", {}, "model must be a Functional or Sequential keras.Model. Received: 'resnet50'"),
    (lambda: keras.Sequential([*flat((8, 8, 3)).layers, keras.layers.Softmax()]), dict(signatures=("embedding",)),
     "'embedding' needs a model that ends in a dense layer"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "arguments", "says"), UNFIT)
def test_models_that_the_arguments_do_not_fit(model, arguments, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        export_saved_model(model(), tmp_path / "models", **arguments)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def core_installation(monkeypatch):
    """Imports of what the extras bring fail."""
    extras = {module for file in formats.FILES.values() for module in file.modules}
    extras |= {"tensorflow_serving", "grpc", "safetensors", "huggingface_hub", "matplotlib", "scipy", "sklearn"}
    for name in [name for name in sys.modules if name.split(".")[0] in extras]:
        monkeypatch.delitem(sys.modules, name)
    for name in extras:
        monkeypatch.setitem(sys.modules, name, None)


def test_the_defaults_need_no_extra(net, core_installation, tmp_path):
    with pytest.warns(UserWarning, match=r"without warm-up requests.*keras-resnet-family\[serving\]") as told:
        report = export_saved_model(net, tmp_path / "net")
    assert report["warmup"] == []
    assert [path.name for path in (tmp_path / "net/1/assets.extra").iterdir()] == ["metadata.json"]
    assert all(one.filename == __file__ for one in told if "warm-up" in str(one.message))
    keras_resnet.export(net, tmp_path / "other", warmup=False)


def test_without_the_protos(net, core_installation, tmp_path):
    for warmup in (True, (1, 8)):
        with pytest.raises(ImportError, match=r"warmup needs .*family\[serving\]', or warmup=False"):
            export_saved_model(net, tmp_path / "models", warmup=warmup)
    with pytest.raises(ImportError, match=r"server_config needs"):
        export_saved_model(net, tmp_path / "models", server_config=True, **QUICK)
    assert not list(tmp_path.iterdir())


def test_the_files_of_the_server(net, tmp_path):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    mine = 'model_config_list { config { name: "mine" base_path: "/elsewhere" model_platform: "tensorflow" } }'
    (tmp_path / "models.config").write_text(mine)
    for name in ("net", "net", "other"):
        export_saved_model(net, tmp_path / name, server_config=True, **QUICK)
    text = (tmp_path / "models.config").read_text()
    told = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert {model.name: model.base_path for model in told} == {
        "mine": "/elsewhere", "net": "/models/net", "other": "/models/other"
    }  # fmt: skip
    assert "max_batch_size { value: 32 }" in (tmp_path / "batching.config").read_text()
    # a server refuses a warm-up above it, and with it the version
    with pytest.raises(ValueError, match="warmup must be at most 32, the max_batch_size of"):
        export_saved_model(net, tmp_path / "net", server_config=True, warmup=(1, 64))
    (tmp_path / "batching.config").unlink()
    export_saved_model(net, tmp_path / "net", server_config=True, signatures=("images",), warmup=(1, 64))
    assert "max_batch_size { value: 64 }" in (tmp_path / "batching.config").read_text()


def test_the_directory_where_one_is_has_a_name(net, tmp_path, monkeypatch):
    place = tmp_path / "net"
    place.mkdir()
    monkeypatch.chdir(place)
    assert export_saved_model(net, ".", server_config=True, **QUICK)["path"] == str(place / "1")
    assert 'base_path: "/models/net"' in (tmp_path / "models.config").read_text()


def test_a_models_config_that_is_none_is_told_before_anything_is_written(net, tmp_path):
    (tmp_path / "models.config").write_text("model_config_list { confg { } }")
    with pytest.raises(ValueError, match="models.config must be a ModelServerConfig in text.*confg"):
        export_saved_model(net, tmp_path / "net", server_config=True, **QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["models.config"]


def test_numbers_of_numpy_are_written(tmp_path):
    mean = tuple(np.float32([0.5, 0.25, 0.125]))
    numpy = keras_resnet.Preprocessing(np.int64(8), np.int64(9), mean=mean, std=mean, scale=np.float32(255))
    report = export_saved_model(tiny(), tmp_path, preprocessing=numpy, **QUICK)
    told = json.loads((tmp_path / "1/assets.extra/metadata.json").read_text())["preprocessing"]
    assert (told["size"], told["resize"], told["mean"], told["scale"]) == (8, 9, [0.5, 0.25, 0.125], 255)
    assert report["preprocessing"]["std"] == mean


def test_from_the_shell(tmp_path, capsys):
    net = tmp_path / "net.keras"
    randomize(tiny()).save(net)
    (tmp_path / "labels").write_text("a\nb\nc\n")
    flags = f"--labels {tmp_path}/labels --optimize none --warmup --signatures images embedding --top-k 2".split()
    assert main(["export", str(net), f"{tmp_path}/models/net", "--version", "7", *flags]) == 0
    told = json.loads((tmp_path / "models/net/7/assets.extra/metadata.json").read_text())
    assert told["optimize"] is None and set(told["signatures"]) == {"serving_default", "embedding"}
    assert told["signatures"]["serving_default"]["outputs"]["top_ids"] == [None, 2]
    assert main(["export", str(net), f"{tmp_path}/models/net", "--version", "7"]) == 1
    assert "version must be one that is not in" in capsys.readouterr().err
    assert main(["export", str(net), f"{tmp_path}/models/net", "--fields", "gate=se"]) == 1
    assert "--fields are for rows" in capsys.readouterr().err


def test_a_row_from_the_shell_is_served_as_its_weights_want(tmp_path):
    flags = ["--weights", "cifar10", "--labels", "cifar10", "--signatures", "image_bytes", "--warmup"]
    assert main(["export", "resnet20", str(tmp_path), *flags]) == 0
    told = json.loads((tmp_path / "1/assets.extra/metadata.json").read_text())
    assert told["weights"] == "cifar10" and told["preprocessing"]["size"] == 32
    net = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), "uint8")
    got = answer({"path": str(tmp_path / "1")}, "image_bytes", image_bytes=[tf.io.encode_png(pixels).numpy()])
    expected = net(pixels[None].astype("float32"))
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-4)
    main(["export", "resnet20", str(tmp_path), *flags[:4], "--warmup"])  # images are pixels, too
    got = answer({"path": str(tmp_path / "2")}, image=pixels[None].astype("float32"))
    np.testing.assert_allclose(got["probabilities"], expected, atol=1e-4)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What `ResNet` and `export` would get, in a folder that holds folders with the names of weights."""
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
def test_the_shell_knows_what_weights_want_whatever_folders_there_are(row, weights, preprocessing, asked):
    command = ["export", row, "net.onnx", "--format", "onnx", "--weights", weights]
    assert main([*command, "--fields", "bottleneck_stride=1x1"]) == 0 and asked["bottleneck_stride"] == "1x1"
    expected = keras_resnet.PREPROCESSINGS[preprocessing]
    assert asked["preprocessing"] == asked["include_preprocessing"] == expected
    assert asked["input_shape"] == (expected.size, expected.size, 3)


def test_the_shell_asks_for_a_preprocessing_that_is_not_known(asked, capsys):
    command = ["export", "resnet50", "net.onnx", "--format", "onnx", "--weights"]
    for weights in ("some/net", "nowhere.pth", "timm/resnet50"):
        assert main([*command, weights]) == 1 and not asked
        told = capsys.readouterr().err
        assert "--preprocessing must be given" in told and f"Received: {weights!r}" in told
    assert main([*command, "some/net", "--preprocessing", "timm"]) == 0
    assert (asked["weights"], asked["preprocessing"]) == ("some/net", "timm")
    Path("mine.npz").touch()
    assert main([*command, "mine.npz"]) == 0  # of a file nothing is known
    assert asked["include_preprocessing"] is False
    assert main(["export", "resnet34", "net.onnx", "--weights", "keras"]) == 1
    told = capsys.readouterr().err
    assert "row must be one of ['resnet50'" in told and "--preprocessing" not in told
