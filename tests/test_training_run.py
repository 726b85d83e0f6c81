"""Tests of runs: training, resuming, the end of a run, and its saved settings."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.files import DirectoryInUse, only_one
from keras_resnet.training import Run
from keras_resnet.training.run import evaluation_batch, precision_of

ROOT = Path(__file__).parent.parent
SMALL = dict(fields={"filters": 4, "depths": [1, 1, 1]}, train_examples=128, precision="float32")


class Interrupted(Exception):
    pass


def interrupt_after(epoch):
    def report(epochs, figures):
        if epochs == epoch:
            raise Interrupted

    return report


def figures(result):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result["history"]]


CHANGES = {
    "dropout": {},
    "average": {"ema": 0.9},
    "plateau": {"plateau": 1, "early_stopping": 3, "learning_rate": 0.01},
    "layers": {"layer_decay": 0.7},
}


@pytest.mark.parametrize(
    "name", ["dropout", *(pytest.param(name, marks=pytest.mark.slow) for name in CHANGES if name != "dropout")]
)
def test_an_interrupted_run_ends_with_the_figures_of_an_undisturbed_one(name, tmp_path):
    """The run is stopped in its third epoch. The order of images, dropout, averages and plateaus are restored."""
    fields = SMALL["fields"] | {"drop_path": 0.2}
    run = Run("resnet20", "digits", **SMALL | {"fields": fields}, epochs=4, changes=CHANGES[name] | {"batch_size": 32})
    whole = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", report=interrupt_after(3))
    assert [path.name for path in (tmp_path / "parts" / "backup").glob("*.h5")] == ["00002.weights.h5"]
    parts = run(tmp_path / "parts")
    assert figures(parts) == figures(whole)
    assert not (tmp_path / "parts" / "backup").exists()
    models = [keras.models.load_model(tmp_path / name / "model.keras") for name in ("whole", "parts")]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_finished_run(tmp_path, capsys):
    run = Run("resnet20", "digits", **SMALL, epochs=1, validation=0)
    result = run(tmp_path)
    told = capsys.readouterr().out
    assert "test accuracy" in told and "validation" not in told
    assert (result["epochs"], result["precision"], result["examples"]) == (1, "float32", 128)
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.class_names == tuple("0123456789")
    assert model.includes_preprocessing and model.input_shape == (None, 32, 32, 3)
    assert result["parameters"] == keras_resnet.macs.model_size(model)["parameters"]
    assert result == json.loads((tmp_path / "result.json").read_text())
    assert run(tmp_path) == result
    assert "epoch 1" not in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"a run with other settings: {'epochs': 1}.*Received: {'epochs': 2}"):
        Run("resnet20", "digits", **SMALL, epochs=2, validation=0)(tmp_path)


def test_a_report_stops_a_run_and_it_stays_stopped(tmp_path):
    run = Run("resnet20", "digits", **SMALL, epochs=3)
    seen = []
    result = run(tmp_path, report=lambda epoch, figures: seen.append(figures["validation_accuracy"]) or epoch == 2)
    assert len(seen) == 2 and result["stopped"] == "after epoch 2 of 3"
    assert result["validation_accuracy"] == seen[-1]


def test_a_run_that_diverges_says_so(tmp_path):
    run = Run("resnet20", "digits", "plateau", **SMALL, epochs=2, changes={"learning_rate": 1e9, "batch_size": 16})
    result = run(tmp_path)
    assert result["failure"].startswith("diverged: the loss was not a number in epoch")
    assert "validation_accuracy" not in result and not (tmp_path / "model.keras").exists()
    assert not (tmp_path / "backup").exists()


def test_initial_weights_bring_their_preprocessing(tmp_path):
    """The pretrained weights and their preprocessing are used. Digits and CIFAR-10 have the same number of classes."""
    run = Run("resnet20", "digits", "linear_probe", weights="cifar10", epochs=1, train_examples=64, precision="float32")
    run(tmp_path)
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.preprocessing.is_like(keras_resnet.PREPROCESSINGS["cifar10"])
    whole = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    for name in ("conv1_conv", "conv4_block3_2_bn"):
        for a, b in zip(model.get_layer(name).get_weights(), whole.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("resnet21", "digits"), "net must be one of"),
        (("resnet20", "digits", "fats"), "recipe must be one of"),
        ((20, "digits"), "net must be the name of a row or a Variant"),
        (("resnet20", "digits", "fast", {}, {"learning_rat": 1}), "The name of a field of the recipe"),
    ],
)
def test_what_is_refused_when_a_run_is_made(arguments, says):
    with pytest.raises(ValueError, match=says):
        Run(*arguments)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"precision": "float64"}, "precision must be one of"),
        ({"seed": -1}, "seed must be an integer of 0 or more"),
        ({"devices": 0}, "devices must be a positive integer"),
    ],
)
def test_settings_that_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        Run("resnet20", "digits", **settings)


def test_a_directory_in_use(tmp_path):
    with only_one(tmp_path), pytest.raises(DirectoryInUse, match="Another process is at work in"):
        Run("resnet20", "digits", **SMALL)(tmp_path)


def test_names():
    assert Run("ResNet20", "cifar10", fields={"shortcut": "B"}, seed=3).name == "resnet20-B-fast-seed3"
    run = Run(keras_resnet.cifar(8), "digits")
    assert json.loads(json.dumps(run.settings()))["net"]["depths"] == [1, 1, 1]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16", "bfloat16"),
        ("fpu amx_bf16", "bfloat16"),
        ("fpu avx2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_if_it_is_faster(flags, expected, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"model name\t: any\nflags\t\t: {flags}\n")
    assert precision_of("auto", cpuinfo) == expected
    assert precision_of("float16", cpuinfo) == "float16"


@pytest.mark.parametrize(("images", "devices", "batch"), [(10_000, 1, 500), (10_000, 8, 400), (360, 2, 360)])
def test_devices_share_the_images_of_an_evaluation(images, devices, batch):
    assert evaluation_batch(images, devices) == batch
    assert batch % devices == 0


def test_devices_that_cannot_share_them():
    with pytest.raises(ValueError, match="devices must divide the 10000 images of the evaluation. Received: 3"):
        evaluation_batch(10_000, 3)


PROGRAM = """
import sys
from keras_resnet.training import Run
run = Run("resnet20", "digits", fields={"filters": 4, "depths": [1, 1, 1], "drop_path": 0.1}, train_examples=128,
          precision="float32", epochs=12, changes={"batch_size": 32, "learning_rate": 0.02})
run(sys.argv[1])
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_at_random_moments(tmp_path):
    """A run that is killed by SIGKILL at random times has the metrics of an uninterrupted run."""
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment, stdout=subprocess.DEVNULL)
    whole = json.loads((tmp_path / "whole" / "result.json").read_text())
    rng, kills, place, code = random.Random(0), 0, 0, 1
    while kills < 20 or code:
        target = tmp_path / f"killed{place}"
        process = subprocess.Popen([*command, str(target)], env=environment, stdout=subprocess.PIPE)
        process.stdout.readline()  # the run prints a line right before the training
        if kills < 20:
            time.sleep(rng.uniform(0, 6))
            process.send_signal(signal.SIGKILL)
        process.stdout.read()
        process.stdout.close()
        code = process.wait()
        kills += code == -signal.SIGKILL
        if not code:
            assert figures(json.loads((target / "result.json").read_text())) == figures(whole)
            place += 1
