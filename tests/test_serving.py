"""The SavedModel as its consumers see it, each in a process of its own."""

import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

from keras_resnet import export_saved_model


@pytest.fixture(scope="module")
def net():
    return randomize(tiny())


def saved_model_cli(*arguments):
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_fresh_process_gets_the_same_answer(net, rng, tmp_path):
    report = export_saved_model(net, tmp_path / "net")
    x = rng.normal(size=(5, 8, 8, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    flags = ["--dir", report["path"], "--tag_set", "serve", "--signature_def", "serving_default"]
    saved_model_cli("run", *flags, "--inputs", f"image={tmp_path / 'x.npy'}", "--outdir", tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), net(x), rtol=1e-5, atol=1e-6)
    shown = saved_model_cli("show", *flags)
    assert "inputs['image']" in shown
    assert "shape: (-1, 8, 8, 3)" in shown
    assert "outputs['probabilities']" in shown
    assert report["signatures"] == {
        "serving_default": {"inputs": {"image": (None, 8, 8, 3)}, "outputs": {"probabilities": (None, 3)}}
    }


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_answers_float32_under_a_16_bit_policy(policy, rng, tmp_path):
    import tensorflow as tf

    net = tiny(order="preactivation", shortcut="zero_pad")
    loaded = tf.saved_model.load(export_saved_model(net, tmp_path)["path"])
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    answer = loaded.signatures["serving_default"](image=tf.constant(x))["probabilities"]
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, net(x), atol=0.02)


def test_weights_are_written_once(net, tmp_path):
    report = export_saved_model(keras.Sequential([keras.Input((8, 8, 3)), net, keras.layers.Dense(200_000)]), tmp_path)
    weights = 4 * (net.count_params() + 3 * 200_000 + 200_000)
    assert weights < report["bytes"] < weights + 1_000_000


def test_versions_count_up_and_are_never_overwritten(net, tmp_path):
    (tmp_path / "notes").mkdir()
    assert [export_saved_model(net, tmp_path)["version"] for _ in range(2)] == [1, 2]
    assert export_saved_model(net, tmp_path, version=12)["version"] == 12
    assert export_saved_model(net, tmp_path)["version"] == 13
    for version, says in ((2, "not in .* yet. Received: 2"), (0, "positive integer. Received: 0"), ("3", "'3'")):
        with pytest.raises(ValueError, match=says):
            export_saved_model(net, tmp_path, version=version)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "12", "13", "2", "notes"]


def test_a_failed_export_leaves_nothing(net, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(type(keras.export.ExportArchive()), "write_out", full)
    with pytest.raises(OSError, match="No space"):
        export_saved_model(net, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_version_appears_whole(net, tmp_path):
    """A server that polls the directory sees no number before all files are there."""
    halves, stop = [], threading.Event()

    def poll():
        while not stop.is_set():
            for path in tmp_path.iterdir():
                if path.name.isdecimal() and not (path / "variables" / "variables.index").exists():
                    halves.append(path)

    watcher = threading.Thread(target=poll)
    watcher.start()
    try:
        export_saved_model(net, tmp_path)
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
