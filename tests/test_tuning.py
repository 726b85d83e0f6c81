"""Keras Tuner's pitfalls, each with the guard that experiments/tuning.py puts before it."""

import contextlib
import json
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from experiments import oracles, training, tuning
from experiments.data import load
from experiments.progress import Progress
from experiments.report import best_of, read_trials

SPACE = dict(
    depth=[8, 14, 20],
    shortcut=["zero_pad", "none"],
    order=["original"],
    block=["building_block"],
    width=[1],
    learning_rate=[0.1],
    weight_decay=[1e-4],
)
COMBINATIONS = {(depth, shortcut) for depth in SPACE["depth"] for shortcut in SPACE["shortcut"]}
SETTINGS = dict(
    seed=3,
    epochs=4,
    batch_size=32,
    patience=1,
    early_stopping=None,
    median_stopping=None,
    max_parameters=None,
    max_macs=None,
    precision="float32",
    tensorboard=False,
)


class Killed(BaseException):
    """Ends a sweep as a signal does: no `except Exception` sees it."""


@pytest.fixture
def toy(monkeypatch):
    """Trials in no time: a model of one layer, and an accuracy that follows from the choices."""

    def build(choices, data, precision):
        keras.config.set_dtype_policy(training.POLICIES[precision])
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(choices["depth"])])
        model.compile("sgd", "mse")
        model.choices = choices
        return model

    def fit(model, data, *, seed, epochs, **_):
        accuracy = 0.5 + model.choices["depth"] / 100 if hasattr(model, "choices") else 0.9
        history = {"accuracy": [accuracy], "val_accuracy": [accuracy]}
        figures = {"train_accuracy": accuracy, "validation_accuracy": accuracy, "history": history}
        return {"epochs": epochs, "seconds": 0.1, **figures}

    monkeypatch.setattr(training, "build", build)
    monkeypatch.setattr(training, "fit", fit)
    yield monkeypatch
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def instant(toy):
    """A hundred trials a second: what Keras does for each is left out."""
    models = {}
    build = training.build

    def cached(choices, data, precision):
        model = models.setdefault(choices["depth"], build(choices, data, precision))
        model.choices = choices
        return model

    toy.setattr(training, "build", cached)
    toy.setattr(tuning, "save_model", lambda model, path: path.touch())
    toy.setattr(keras.models, "load_model", lambda path: models[8])
    toy.setattr(keras.backend, "clear_session", lambda: None)
    return toy


def open_tuner(directory, tuner="grid", max_trials=None, space=SPACE, data=None, **settings):
    settings = SimpleNamespace(**{**SETTINGS, **settings})
    oracle = oracles.make_oracle(tuner, space, seed=settings.seed, max_trials=max_trials, epochs=settings.epochs)
    progress = Progress(max_trials, ["depth", "shortcut"], stream=open("/dev/null", "w"))  # noqa: SIM115
    return tuning.Trials(oracle, settings, data, directory=directory, name="sweep", progress=progress)


def rows(directory):
    return read_trials(directory / "sweep")


def choices(rows):
    return Counter((row["depth"], row["shortcut"]) for row in rows)


def test_what_keras_tuner_and_tfds_import_is_declared():
    """Keras Tuner needs tensorboard for every trial, tfds importlib_resources to prepare; neither says so."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    extra = [requirement.split(">")[0] for requirement in project["optional-dependencies"]["experiments"]]
    assert {"tensorboard", "importlib_resources", "scipy", "scikit-learn"} <= set(extra)


# ---- the searches


@pytest.mark.parametrize("tuner", ["grid", "random"])
def test_every_combination_once(tuner, toy, tmp_path):
    open_tuner(tmp_path, tuner, 6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert {row["status"] for row in rows(tmp_path)} == {"COMPLETED"}


def test_random_order_follows_from_the_seed_and_0_is_one(toy, tmp_path):
    """Keras Tuner takes the seed 0 for "any"."""
    orders = []
    for i, seed in enumerate((0, 0, 1)):
        open_tuner(tmp_path / str(i), "random", 6, seed=seed).search()
        orders.append([(row["depth"], row["shortcut"]) for row in rows(tmp_path / str(i))])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_max_trials_can_grow(toy, tmp_path):
    open_tuner(tmp_path, "grid", 2).search()
    open_tuner(tmp_path, "grid", 6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


def test_bayesian_search_runs(toy, tmp_path):
    open_tuner(tmp_path, "bayesian", 5).search()
    assert [row["status"] for row in rows(tmp_path)] == ["COMPLETED"] * 5


def test_trials_have_seeds_of_their_own_that_stay(toy, tmp_path):
    for name in ("a", "b"):
        open_tuner(tmp_path / name).search()
    seeds = [row["seed"] for row in rows(tmp_path / "a")]
    assert len(set(seeds)) == 6
    assert seeds == [row["seed"] for row in rows(tmp_path / "b")]
    assert seeds != [tuning.trial_seed(4, row["trial"]) for row in rows(tmp_path / "a")]


def test_weights_follow_from_the_seed_of_the_trial(tmp_path):
    """Not from what was built before: a trial that is run again begins alike."""
    data, values = load("digits"), {name: options[0] for name, options in SPACE.items()}
    starts = []
    for earlier in (0, 2):
        for _ in range(earlier):
            keras.layers.Dense(3).build((None, 3))
        keras.utils.set_random_seed(tuning.trial_seed(3, "0"))
        starts.append(training.build(values, data).get_layer("conv1_conv").get_weights()[0])
    np.testing.assert_array_equal(*starts)


def test_the_policy_holds_in_every_trial(toy, tmp_path):
    """Keras Tuner clears the session, which forgets a policy that was set before the search."""
    seen = []
    fit = training.fit
    toy.setattr(training, "fit", lambda model, *args, **kw: seen.append(model.compute_dtype) or fit(model, *args, **kw))
    open_tuner(tmp_path, precision="bfloat16").search()
    assert seen == ["bfloat16"] * 6


# ---- failures are rows


def test_failures_do_not_end_the_search(toy, tmp_path):
    """Keras Tuner stops after three in a row."""

    def fit(model, *args, **kwargs):
        raise training.Diverged("the loss was nan in epoch 1")

    toy.setattr(training, "fit", fit)
    tuner = open_tuner(tmp_path)
    tuner.search()
    assert [row["status"] for row in rows(tmp_path)] == ["FAILED"] * 6
    assert {row["error"] for row in rows(tmp_path)} == {"Diverged: the loss was nan in epoch 1"}
    assert {row["parameters"] for row in rows(tmp_path)} == {24, 42, 60}
    assert tuner.best_trial() is None


def test_oversized_nets_are_rows(toy, tmp_path):
    tuner = open_tuner(tmp_path, max_parameters=50)
    tuner.search()
    statuses = {(row["depth"], row["status"]) for row in rows(tmp_path)}
    assert statuses == {(8, "COMPLETED"), (14, "COMPLETED"), (20, "FAILED")}
    assert "Oversized: 60 parameters are more than --max-parameters 50" in {row["error"] for row in rows(tmp_path)}
    assert tuner.best_trial().hyperparameters.values["depth"] == 14


def test_impossible_combinations_are_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *args, **kw: pytest.fail("there is no such net"))
    open_tuner(tmp_path, space=SPACE | {"depth": [9], "shortcut": ["none"]}, data=load("digits")).search()
    (row,) = rows(tmp_path)
    assert row["status"] == "FAILED"
    assert row["error"].startswith("ValueError: depth must be 6n + 2")


def test_a_loss_that_is_not_a_number_is_divergence():
    data = load("digits", train_examples=64, validation_examples=32)
    values = {name: options[0] for name, options in SPACE.items()} | {"learning_rate": 1e30}
    with pytest.raises(training.Diverged, match="the loss was"):
        training.fit(training.build(values, data), data, seed=0, epochs=3, batch_size=32)


# ---- resuming


def kill_at(monkeypatch, when):
    """The `when`-th file that the sweep writes is its last; returns how many it had written, for the end."""
    written = []

    def write(path, value, original=tuning.write_json):
        written.append(path)
        if len(written) == when:
            raise Killed
        original(path, value)

    for module in (tuning, oracles):
        monkeypatch.setattr(module, "write_json", write)
    return written


@pytest.mark.parametrize("tuner", ["grid", "random", "bayesian", "hyperband"])
def test_a_kill_before_any_write_loses_at_most_the_trial_in_flight(tuner, instant, tmp_path):
    """Every moment at which the state on disk can be left is tried."""
    limit = None if tuner == "hyperband" else 5
    reference = tmp_path / "reference"
    with instant.context() as patch:
        written = kill_at(patch, None)
        open_tuner(reference, tuner, limit).search()
    expected = len(rows(reference))
    assert expected >= 5
    for when in range(1, len(written) + 1):
        directory = tmp_path / str(when)
        with instant.context() as patch:
            kill_at(patch, when)
            with contextlib.suppress(Killed):
                open_tuner(directory, tuner, limit).search()
        finished = [row["trial"] for row in rows(directory) if row["status"] == "COMPLETED"]
        trained = []
        with instant.context() as patch:
            run = tuning.Trials.run_trial
            patch.setattr(
                tuning.Trials,
                "run_trial",
                lambda self, trial, **kw: trained.append(trial.trial_id) or run(self, trial, **kw),  # noqa: B023
            )
            open_tuner(directory, tuner, limit).search()
        after = rows(directory)
        assert [row["status"] for row in after] == ["COMPLETED"] * expected, when
        assert len(set(trained)) == len(trained), when
        assert not set(trained) & set(finished), when
        if tuner in ("grid", "random"):
            assert choices(after) == choices(rows(reference)), when


def test_grid_goes_on_after_ctrl_c(toy, tmp_path):
    """Keras Tuner's own GridSearch raises KeyError here (github.com/keras-team/keras-tuner/issues/1055)."""
    fit, calls = training.fit, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    toy.setattr(training, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_tuner(tmp_path).search()
    assert [row["status"] for row in rows(tmp_path)] == ["COMPLETED", "COMPLETED", "RUNNING"]
    open_tuner(tmp_path).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert len(calls) == 7


def test_a_finished_sweep_trains_nothing(toy, tmp_path):
    open_tuner(tmp_path).search()
    before = rows(tmp_path)
    toy.setattr(training, "fit", lambda *args, **kw: pytest.fail("trained again"))
    open_tuner(tmp_path).search()
    assert rows(tmp_path) == before


def test_another_tuner_id_finds_the_state(toy, tmp_path):
    """Keras Tuner would begin anew on top of it."""
    open_tuner(tmp_path, max_trials=4).search()
    toy.setenv("KERASTUNER_TUNER_ID", "tuner7")
    tuner = open_tuner(tmp_path, max_trials=6)
    assert tuner.tuner_id == "tuner7"
    tuner.search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


def test_only_the_best_net_is_kept(toy, tmp_path):
    tuner = open_tuner(tmp_path)
    tuner.search()
    kept = [path.parent.name for path in (tmp_path / "sweep").glob("trial_*/model.keras")]
    assert kept == [f"trial_{tuner.best_trial().trial_id}"]


# ---- Hyperband


def test_hyperband_goes_on_with_momentum_and_learning_rate(tmp_path):
    """Keras Tuner's own loads the weights of the best epoch into a new optimizer: no momentum, the first rate."""
    data = load("digits", train_examples=64, validation_examples=32)
    space = SPACE | {"depth": [8], "shortcut": ["zero_pad"], "learning_rate": [0.1, 0.05]}
    tuner = open_tuner(tmp_path, "hyperband", space=space, data=data, epochs=2)
    parent = training.build({name: values[0] for name, values in space.items()}, data)
    training.fit(parent, data, seed=1, epochs=1, batch_size=32)
    parent.optimizer.learning_rate = 0.003
    tuning.save_model(parent, tuner.model_path("0000"))
    child = tuner.prepare({"tuner/trial_id": "0000"})
    assert int(child.optimizer.iterations) == 2
    assert float(child.optimizer.learning_rate) == pytest.approx(0.003)
    ours, theirs = ([v.numpy() for v in model.optimizer.variables] for model in (child, parent))
    assert len(ours) == len(theirs) > 20
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    figures = training.fit(child, data, seed=1, epochs=2, initial_epoch=1, batch_size=32)
    assert figures["epochs"] == 2
    assert len(figures["history"]["loss"]) == 1


def test_hyperband_promotes(toy, tmp_path):
    seen = []
    fit = training.fit
    toy.setattr(
        training, "fit", lambda *args, **kw: seen.append((kw["initial_epoch"], kw["epochs"])) or fit(*args, **kw)
    )
    space = SPACE | {"depth": [8, 14, 20, 26, 32], "learning_rate": [0.1, 0.05]}
    open_tuner(tmp_path, "hyperband", space=space, epochs=9).search()
    assert {(0, 1), (1, 3), (3, 9)} <= set(seen)
    promoted = [row for row in rows(tmp_path) if "tuner/trial_id" in row]
    assert promoted
    assert all((tmp_path / "sweep" / f"trial_{row['tuner/trial_id']}" / "model.keras").exists() for row in promoted)


def test_hyperband_promotes_past_failures(instant, tmp_path):
    """With Keras Tuner's own a third of failures keeps whole brackets from ever being trained to the end."""
    fit = training.fit

    def some_fail(model, *args, **kwargs):
        if getattr(model, "choices", {}).get("shortcut") == "none":
            raise training.Diverged("the loss was nan in epoch 1")
        return fit(model, *args, **kwargs)

    instant.setattr(training, "fit", some_fail)
    space = SPACE | {"depth": [8, 14, 20, 26, 32], "shortcut": ["A", "B", "none"], "learning_rate": [0.1, 0.05]}
    tuner = open_tuner(tmp_path, "hyperband", space=space, epochs=9)
    tuner.search()
    assert len(rows(tmp_path)) == tuner.oracle.number_of_trials() == 23
    assert Counter(row["status"] for row in rows(tmp_path))["FAILED"] > 3
    last = [row for row in rows(tmp_path) if row["tuner/epochs"] == 9 and row["status"] == "COMPLETED"]
    assert any("tuner/trial_id" in row for row in last)


def test_trials_are_in_order_when_their_numbers_grow(instant, tmp_path):
    """Keras Tuner pads them to the width of max_trials."""
    space = SPACE | {"learning_rate": [0.1, 0.05, 0.02]}
    open_tuner(tmp_path, max_trials=6, space=space).search()
    tuner = open_tuner(tmp_path, max_trials=18, space=space)
    tuner.search()
    assert [int(row["trial"]) for row in rows(tmp_path)] == list(range(18))
    assert tuner.best_trial().trial_id == best_of(rows(tmp_path))["trial"]
    assert tuner.model_path(tuner.best_trial().trial_id).exists()


def test_max_trials_limits_hyperband(toy, tmp_path):
    open_tuner(tmp_path, "hyperband", 4).search()
    assert len(rows(tmp_path)) == 4


def test_records_are_json_that_others_can_read(toy, tmp_path):
    open_tuner(tmp_path, max_trials=1).search()
    record = json.loads((tmp_path / "sweep" / "trial_0" / "result.json").read_text())
    assert record["parameters"] == 24
    assert record["multiply_adds"] == 16
