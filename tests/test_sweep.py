"""Tests of the command `python -m experiments.sweep`, on the embedded data set."""

import base64
import csv
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

from experiments import report, sweep
from keras_resnet.files import only_one
from keras_resnet.shortcuts import OPTIONS, SHORTCUTS
from keras_resnet.training import DataUnavailable, load_data

ROOT = Path(__file__).parent.parent
TINY = ["--dataset", "digits", "--train-examples", "96", "--epochs", "1", "--batch-size", "32", "--depths", "8"]


def command(directory, *flags):
    return [sys.executable, "-m", "experiments.sweep", *TINY, "--directory", str(directory), "--name", "s", *flags]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A sweep of three trials, run as a command. One network is too large. The third trial runs in a new process."""
    directory = tmp_path_factory.mktemp("runs")
    flags = ["--shortcuts", "A", "none", "projection_all", "--max-params", "77000", "--trials-per-process", "2"]
    flags += ["--seeds", "1", "--seed", "1", "--precision", "float32"]  # with these settings, the two accuracies differ
    ended = subprocess.run(command(directory, *flags), cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return directory / "s", ended.stdout, flags


def test_it_says_how_far_it_is(done):
    _, out, _ = done
    assert "trial 2 of 3: none" in out
    assert "epoch 1 of 1: loss" in out
    assert "best so far" in out
    assert "left" in out
    assert "on the test set" in out


def test_trials_csv(done):
    directory, _, _ = done
    rows = list(csv.DictReader((directory / "trials.csv").open()))
    assert list(rows[0]) == ["trial", *sweep.CHOICES, *report.RESULTS, "status", "error"]
    assert [(row["shortcut"], row["status"]) for row in rows] == [
        ("zero_pad", "COMPLETED"),
        ("none", "COMPLETED"),
        ("projection_all", "FAILED"),
    ]
    assert rows[0]["parameters"] == "75290"
    assert rows[0]["multiply_adds"] == "12239488"
    assert 0 <= float(rows[0]["validation_accuracy"]) <= 1
    assert float(rows[0]["seconds"]) > 0
    assert float(rows[0]["overhead"]) > 0
    assert "--max-params 77000" in rows[2]["error"]


def test_report_and_pictures(done):
    directory, _, _ = done
    text = (directory / "report.md").read_text()
    assert "python -m experiments.sweep --dataset digits" in text
    assert text.count("\n| ") == 5
    page = (directory / "report.html").read_text()
    for name in report.PICTURES:
        picture = (directory / f"{name}.png").read_bytes()
        assert f"({name}.png)" in text
        assert base64.b64encode(picture).decode() in page
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(picture) > 8_000


def test_best_net_is_the_best_trial_and_is_served(done):
    import tensorflow as tf

    directory, _, _ = done
    best = report.best_of(report.read_trials(directory))
    record = json.loads((directory / "best.json").read_text())
    assert record["trial"] == best["trial"]
    model = keras.models.load_model(directory / "best.keras")
    data = load_data("digits", train_examples=96)
    accuracy = model.evaluate(*data.validation, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(best["validation_accuracy"])
    test = data.test
    accuracy = model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(record["test_accuracy"])
    served = tf.saved_model.load(str(directory / "saved_model" / "1")).signatures["serving_default"]
    image = test.images[:4].astype("float32")
    probabilities = served(image=tf.constant(image))["probabilities"]
    np.testing.assert_allclose(probabilities, model(image), atol=1e-5)


def test_the_same_command_again_trains_and_tests_nothing(done):
    directory, _, flags = done
    before = {
        path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.name in ("result.json", "best.json")
    }
    again = subprocess.run(command(directory.parent, *flags), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "epoch" not in again.stdout.partition("| trial |")[0]
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert len(before) == 3


def test_other_settings_are_refused_and_nothing_is_lost(done, capsys):
    directory, _, flags = done
    before = (directory / "trials.csv").read_text()
    with pytest.raises(SystemExit, match="other settings .*batch_size: there 32, here 16.*--overwrite"):
        sweep.main([*command(directory.parent, *flags)[3:], "--batch-size", "16"])
    assert (directory / "trials.csv").read_text() == before


def test_report_alone(done, capsys, tmp_path):
    directory, _, _ = done
    assert report.main([str(directory)]) == 0
    assert "| zero_pad |" in capsys.readouterr().out
    assert report.main([str(tmp_path)]) == 1
    assert "must contain the trials of a sweep" in capsys.readouterr().err


def test_a_sweep_in_which_all_fails_says_why(tmp_path, capsys):
    flags = ["--max-parameters", "10", "--shortcuts", "none"]
    assert sweep.main([*command(tmp_path, *flags)[3:]]) == 1
    told = capsys.readouterr().err
    assert "No trial was completed" in told
    assert "1 x 75290 parameters are more than --max-params 10" in told
    assert "--max-params 10" in (tmp_path / "s" / "report.md").read_text()
    assert not (tmp_path / "s" / "best.keras").exists()


def test_overwrite_begins_anew(tmp_path):
    flags = [*command(tmp_path, "--max-parameters", "10")[3:]]
    assert sweep.main([*flags, "--shortcuts", "none"]) == 1
    assert sweep.main([*flags, "--shortcuts", "A", "B", "--overwrite"]) == 1
    assert [row["shortcut"] for row in report.read_trials(tmp_path / "s")] == ["zero_pad", "projection"]
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.slow
def test_tensorboard_with_hparams(tmp_path):
    assert sweep.main([*command(tmp_path, "--tensorboard", "--shortcuts", "none", "--early-stopping", "2")[3:]]) == 0
    events = list((tmp_path / "s" / "tensorboard" / "trial_0").rglob("events*"))
    assert any(b"shortcut" in path.read_bytes() for path in events)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--depths", "9"], "depth must be 6n + 2 with the block 'building_block': 8, 14, 20"),
        (["--shortcuts", "E"], "invalid choice: 'E'"),
        (["--learning-rates", "0"], "must be more than 0. Received: 0"),
        (["--weight-decays", "nan"], "must be 0 or more. Received: nan"),
        (["--seed", "-1"], "must be 0 or more. Received: -1"),
        (["--epochs", "0"], "must be a positive integer. Received: 0"),
        (["--max-macs", "0"], "must be a positive integer. Received: 0"),
        (["--median-stopping", "2", "--tuner", "hyperband"], "--median-stopping is not for hyperband"),
        (
            ["--median-stopping", "3", "--epochs", "4", "--dataset", "digits"],
            "--median-stopping must be at most 2 with 4 epochs",
        ),
        (
            ["--dataset", "digits", "--tuner", "hyperband", "--max-trials", "12", "--shortcuts", "A", "B", "none"],
            "--max-trials must be 13 or more, Hyperband's first bracket with --epochs 23. Received: 12",
        ),
        (["--max-param", "2"], "unrecognized arguments: --max-param 2"),
        (["--name", ""], "--name must be a plain file name. Received: ''"),
        (["--train-examples", "60000", "--dataset", "digits"], "train_examples must lie in 1..1137"),
        (["--name", "../x"], "--name must be a plain file name. Received: '../x'"),
        (["--patience", "2", "--recipe", "fast"], "--patience is for recipes that look for plateaus"),
        (["--recipe", "fats"], "invalid choice: 'fats'"),
    ],
)
def test_bad_flags(flags, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = sweep.main(flags)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert says in capsys.readouterr().err


def test_shortcuts_come_from_the_table(capsys):
    for flags in (["--help"], ["--shortcuts", "E"]):
        with pytest.raises(SystemExit):
            sweep.main(flags)
        told = "".join(capsys.readouterr())
        assert all(name in told for name in [*SHORTCUTS, *OPTIONS])


def test_without_the_data_it_offers_digits(monkeypatch, tmp_path, capsys):
    def unavailable(*args, **kwargs):
        raise DataUnavailable("cifar10 could not be had. Tried: ...")

    monkeypatch.setattr(sweep, "load_data", unavailable)
    assert sweep.main(["--directory", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "Tried: ..." in told
    assert "make sweep DATASET=digits" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_a_directory_that_holds_no_sweep_is_left_alone(flags, tmp_path):
    (tmp_path / "s" / "thesis").mkdir(parents=True)
    with pytest.raises(SystemExit, match="exists and holds no sweep"):
        sweep.main([*command(tmp_path)[3:], *flags])
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["thesis"]


def test_only_one_process_at_a_time(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "sweep.json").write_text("{}")
    for flags in ([], ["--overwrite"]):
        with only_one(tmp_path / "s"), pytest.raises(SystemExit, match="Another process is at work in"):
            sweep.main([*command(tmp_path)[3:], *flags])
    assert (tmp_path / "s" / "sweep.json").exists()


@pytest.mark.slow
def test_the_report_is_there_whatever_happens_at_the_end(tmp_path, monkeypatch):
    def differs(*args, **settings):
        raise RuntimeError("answers otherwise than the model")

    monkeypatch.setattr(sweep, "evaluate", differs)
    flags = [*command(tmp_path, "--shortcuts", "none", "--seeds", "1")[3:]]
    with pytest.raises(RuntimeError, match="answers otherwise"):
        sweep.main(flags)
    assert "COMPLETED" in (tmp_path / "s" / "report.md").read_text()
    monkeypatch.undo()
    assert sweep.main(flags) == 0
    assert [path.name for path in (tmp_path / "s" / "saved_model").iterdir()] == ["1"]


def test_a_full_disk_ends_the_sweep(tmp_path, monkeypatch, capsys):
    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep.Sweep, "run", full)
    assert sweep.main([*command(tmp_path, "--shortcuts", "none")[3:]]) == 74
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "run the same command" in told


@pytest.mark.slow
def test_a_second_look_at_the_test_set_is_said(tmp_path):
    flags = [
        *command(tmp_path, "--learning-rates", "1e-9", "0.1", "--epochs", "3", "--shortcuts", "none", "--seeds", "1")[
            3:
        ]
    ]
    assert sweep.main([*flags, "--max-trials", "1"]) == 0
    assert "evaluated once" in (tmp_path / "s" / "report.md").read_text()
    assert sweep.main([*flags, "--max-trials", "2"]) == 0
    best = json.loads((tmp_path / "s" / "best.json").read_text())
    text = (tmp_path / "s" / "report.md").read_text()
    assert best["looks"] == int(best["trial"]) + 1  # 1 if the first trial is still the best
    assert ("evaluation 2 on these images" in text) == (best["looks"] == 2)
    assert text.count("    python -m experiments.sweep") == 2


def test_default_epochs_make_200_steps():
    assert sweep.settings_of(sweep.parse(["--dataset", "digits"]), 1137).epochs == 23


@pytest.mark.slow
def test_accuracies_of_seeds_are_averaged(tmp_path):
    flags = [*command(tmp_path, "--shortcuts", "none", "--seeds", "2", "--seed", "5", "--precision", "float32")[3:]]
    assert sweep.main(flags) == 0
    rows = report.read_trials(tmp_path / "s")
    assert [(row["trial"], row["seed"]) for row in rows] == [("0", 5), ("0", 6)]
    trial = json.loads((tmp_path / "s" / "trial_0" / "trial.json").read_text())
    assert trial["score"] == pytest.approx(np.mean([row["validation_accuracy"] for row in rows]))


@pytest.mark.slow
def test_hyperband_continues_the_training_of_what_it_promotes(tmp_path):
    """The recipe's learning rate does not depend on the number of epochs, so the backup of the first run is used."""
    flags = ["--tuner", "hyperband", "--epochs", "3", "--shortcuts", "none", "A", "B", "--seeds", "1"]
    flags += ["--precision", "float32"]
    ended = subprocess.run(command(tmp_path, *flags), cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "resumes after epoch 1" in ended.stdout
    rows = report.read_trials(tmp_path / "s")
    promoted = [row for row in rows if row.get("tuner/trial_id")]
    for row in promoted:
        before = next(other for other in rows if other["trial"] == row["tuner/trial_id"])
        assert len(row["history"]["accuracy"]) == row["epochs"] == 3
        assert row["history"]["accuracy"][0] == before["history"]["accuracy"][0]
    assert not list((tmp_path / "s").rglob("backup"))


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(tmp_path):
    flags = ["--shortcuts", "none", "A", "--epochs", "1", "--seeds", "1"]

    def heed_ctrl_c():  # a test suite in the background ignores SIGINT, and so do its child processes
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        command(tmp_path, *flags), cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    for line in process.stdout:
        if "trial 2 of 2" in line:
            process.send_signal(signal.SIGINT)
            break
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "The same command resumes the sweep" in out
    assert [row["status"] for row in report.read_trials(tmp_path / "s")] == ["COMPLETED", "RUNNING"]
    assert (tmp_path / "s" / "trials.csv").exists()
    again = subprocess.run(command(tmp_path, *flags), cwd=ROOT, capture_output=True, text=True, check=True)
    assert "trial 1 of 2" not in again.stdout
    assert [row["status"] for row in report.read_trials(tmp_path / "s")] == ["COMPLETED", "COMPLETED"]


@pytest.mark.slow
def test_sigkill_at_random_moments(tmp_path):
    """A sweep of six trials is killed ten times at random. At the end, each trial exists exactly once."""
    flags = ["--shortcuts", "none", "A", "B", "--learning-rates", "0.1", "0.05", "--seeds", "1"]
    rng = random.Random(0)
    finished: set[str] = set()
    for _ in range(10):
        process = subprocess.Popen(command(tmp_path, *flags), cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(4, 16))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = {row["trial"] for row in report.read_trials(tmp_path / "s") if row["status"] == "COMPLETED"}
        assert finished <= now
        finished = now
    subprocess.run(command(tmp_path, *flags), cwd=ROOT, check=True)
    rows = list(csv.DictReader((tmp_path / "s" / "trials.csv").open()))
    assert [row["status"] for row in rows] == ["COMPLETED"] * 6
    assert len({(row["shortcut"], row["learning_rate"]) for row in rows}) == 6
    assert len(list((tmp_path / "s" / "saved_model").iterdir())) == 1
