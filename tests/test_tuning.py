"""Keras Tuner's pitfalls, each with the guard that experiments/tuning.py puts before it."""

import contextlib
import json
import os
import re
import tomllib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import grpc
import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.oracles import HyperbandOracle
from sklearn.gaussian_process import GaussianProcessRegressor

from experiments import oracles, training, tuning
from experiments.data import load
from experiments.progress import Progress
from experiments.report import best_of, read_trials, write_report
from keras_resnet.macs import model_size

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
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(choices["depth"])])
        model.compile("sgd", "mse")
        model.choices = choices
        return model

    def fit(model, data, *, seed, epochs, **_):
        accuracy = 0.5 + model.choices["depth"] / 100 if hasattr(model, "choices") else 0.9
        history = {"accuracy": [accuracy], "val_accuracy": [accuracy]}
        figures = {"train_accuracy": accuracy, "validation_accuracy": accuracy, "history": history}
        return {"epochs": epochs, "seconds": 0.1, **figures}

    def size_of(choices, data):
        return {"parameters": 3 * choices["depth"], "multiply_adds": 2 * choices["depth"]}

    monkeypatch.setattr(training, "build", build)
    monkeypatch.setattr(training, "size_of", size_of)
    monkeypatch.setattr(training, "fit", fit)
    return monkeypatch


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
    toy.setattr(tuning, "save_model", lambda model, path: path.write_text(json.dumps(model.choices)))
    toy.setattr(keras.models, "load_model", lambda path: cached(json.loads(path.read_text()), None, "float32"))
    toy.setattr(keras.backend, "clear_session", lambda: None)
    return toy


def open_tuner(directory, tuner="grid", max_trials=None, space=SPACE, data=None, keep="best", at_most=None, **settings):
    settings = SimpleNamespace(**{**SETTINGS, **settings})
    oracle = oracles.make_oracle(tuner, space, seed=settings.seed, max_trials=max_trials, epochs=settings.epochs)
    progress = Progress(max_trials, ["depth", "shortcut"], stream=open("/dev/null", "w"))  # noqa: SIM115
    return tuning.Trials(
        oracle, settings, data, directory=directory, name="sweep", progress=progress, keep=keep, at_most=at_most
    )


def rows(directory):
    return read_trials(directory / "sweep")


def choices(rows):
    return Counter((row["depth"], row["shortcut"]) for row in rows)


def test_what_keras_tuner_and_tfds_import_is_declared():
    """Keras Tuner needs tensorboard for every trial, tfds importlib_resources to prepare; neither says so."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    tuner, experiments = (project["optional-dependencies"][extra] for extra in ("tuner", "experiments"))
    assert {"tensorboard", "scipy", "scikit-learn"} <= set(tuner)
    assert {"keras-resnet-family[tuner]", "importlib_resources"} <= set(experiments)


def test_every_guard_has_its_test():
    here = Path(__file__).parent
    table = (
        (here.parent / "CONTRIBUTING.md")
        .read_text()
        .partition("## Keras Tuner's faults")[2]
        .partition("These stand")[0]
    )
    named = set(re.findall(r"`(test_\w+)`", table))
    written = {name for path in here.glob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert len(named) > 30
    assert named - written == set()


# ---- the searches


@pytest.mark.parametrize("tuner", ["grid", "random"])
def test_every_combination_once(tuner, instant, tmp_path):
    open_tuner(tmp_path, tuner, 6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert {row["status"] for row in rows(tmp_path)} == {"COMPLETED"}


def test_random_order_follows_from_the_seed_and_0_is_one(instant, tmp_path):
    """Keras Tuner takes the seed 0 for "any"."""
    orders = []
    for i, seed in enumerate((0, 0, 1)):
        open_tuner(tmp_path / str(i), "random", 6, seed=seed).search()
        orders.append([(row["depth"], row["shortcut"]) for row in rows(tmp_path / str(i))])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_max_trials_can_grow(instant, tmp_path):
    open_tuner(tmp_path, "grid", 2).search()
    open_tuner(tmp_path, "grid", 6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


def fits(monkeypatch):
    """The number of trials that a Gaussian process is fitted to, each time."""
    numbers = []
    fit = GaussianProcessRegressor.fit
    monkeypatch.setattr(GaussianProcessRegressor, "fit", lambda self, x, y: numbers.append(len(y)) or fit(self, x, y))
    return numbers


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bayesian_search_learns_within_ten_trials(seed, instant, tmp_path):
    """Keras Tuner draws 21 at random first: three for each of the seven choices, five of which leave none here."""
    fitted = fits(instant)
    space = SPACE | {"depth": list(range(8, 188, 6))}
    open_tuner(tmp_path, "bayesian", 10, space=space, seed=seed).search()
    assert fitted == [5, 6, 7, 8, 9]
    assert 182 in {row["depth"] for row in rows(tmp_path)}  # the best of 30
    assert max(choices(rows(tmp_path)).values()) == 1


def test_bayesian_search_takes_every_combination_once(instant, tmp_path):
    """Keras Tuner proposes tried ones."""
    fitted = fits(instant)
    open_tuner(tmp_path, "bayesian").search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert fitted == [3, 4, 5]


def test_bayesian_search_that_is_resumed_makes_the_same_choices(instant, tmp_path):
    open_tuner(tmp_path / "a", "bayesian", 6).search()
    fitted = fits(instant)
    for _ in range(5):
        with pytest.raises(tuning.Enough):
            open_tuner(tmp_path / "b", "bayesian", 6, at_most=1).search()
    open_tuner(tmp_path / "b", "bayesian", 6).search()
    assert fitted == [3, 4, 5]
    orders = [[(row["depth"], row["shortcut"]) for row in rows(tmp_path / name)] for name in "ab"]
    assert orders[0] == orders[1]


def test_trials_have_seeds_of_their_own_that_stay(instant, tmp_path):
    for name in ("a", "b"):
        open_tuner(tmp_path / name).search()
    seeds = [row["seed"] for row in rows(tmp_path / "a")]
    assert len(set(seeds)) == 6
    assert seeds == [row["seed"] for row in rows(tmp_path / "b")]
    assert seeds != [tuning.trial_seed(4, row["trial"]) for row in rows(tmp_path / "a")]


def test_weights_follow_from_the_seed_of_the_trial(toy, tmp_path):
    """Not from what was built before: a trial that is run again begins alike."""
    starts, fit = [], training.fit
    toy.setattr(training, "fit", lambda model, *a, **kw: starts.append(model.get_weights()[0]) or fit(model, *a, **kw))
    for earlier in (0, 2):
        for _ in range(earlier):
            keras.layers.Dense(3).build((None, 3))
        open_tuner(tmp_path / str(earlier), seed=3).search()
    assert len(starts) == 12
    for first, again in zip(starts[:6], starts[6:], strict=True):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(starts[0], starts[1])


def test_the_policy_holds_in_every_trial(toy, tmp_path):
    """Keras Tuner clears the session, which forgets a policy that was set before the search."""
    seen = []
    fit = training.fit
    toy.setattr(training, "fit", lambda model, *args, **kw: seen.append(model.compute_dtype) or fit(model, *args, **kw))
    open_tuner(tmp_path, precision="bfloat16").search()
    assert seen == ["bfloat16"] * 6


# ---- failures are rows


def test_failures_do_not_end_the_search(instant, tmp_path):
    """Keras Tuner stops after three in a row."""

    def fit(model, *args, **kwargs):
        raise training.Diverged("the loss was nan in epoch 1")

    instant.setattr(training, "fit", fit)
    tuner = open_tuner(tmp_path)
    tuner.search()
    assert [row["status"] for row in rows(tmp_path)] == ["FAILED"] * 6
    assert {row["error"] for row in rows(tmp_path)} == {"Diverged: the loss was nan in epoch 1"}
    assert {row["parameters"] for row in rows(tmp_path)} == {24, 42, 60}
    assert tuner.best_trial() is None


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ({"max_parameters": 50}, "Oversized: 60 parameters are more than --max-params 50"),
        ({"max_macs": 39}, "Oversized: 40 multiply-adds are more than --max-macs 39"),
    ],
)
def test_oversized_nets_are_rows_and_never_built(limit, says, toy, tmp_path):
    build, built = training.build, []
    toy.setattr(training, "build", lambda choices, *args: built.append(choices["depth"]) or build(choices, *args))
    tuner = open_tuner(tmp_path, **limit)
    tuner.search()
    statuses = {(row["depth"], row["status"]) for row in rows(tmp_path)}
    assert statuses == {(8, "COMPLETED"), (14, "COMPLETED"), (20, "FAILED")}
    assert {row["error"] for row in rows(tmp_path)} == {"", says}
    assert {row["parameters"] for row in rows(tmp_path)} == {24, 42, 60}
    assert set(built) == {8, 14}
    assert tuner.best_trial().hyperparameters.values["depth"] == 14


@pytest.mark.parametrize(
    "fields",
    [{}, {"shortcut": "none"}, {"shortcut": "projection_all"}, {"block": "bottleneck", "depth": 11, "width": 2}],
)
def test_the_size_is_known_without_the_net(fields):
    data = load("digits", train_examples=64, validation_examples=32)
    choices = {name: options[0] for name, options in SPACE.items()} | fields
    expected = model_size(training.build(choices, data))
    keras.backend.clear_session()
    assert training.size_of(choices, data) == expected


def test_the_reason_of_a_failure_is_kept_whole(toy, tmp_path):
    def fit(model, *args, **kwargs):
        raise training.Diverged("the loss was nan in epoch 1")

    toy.setattr(training, "fit", fit)
    open_tuner(tmp_path, max_trials=1).search()
    told = (tmp_path / "sweep" / "trial_0" / "error.txt").read_text()
    assert "in fit" in told
    assert told.endswith("Diverged: the loss was nan in epoch 1\n")


def test_a_trial_that_kills_its_process_is_a_row_in_the_end(instant, tmp_path):
    """Out of memory, say: nobody is left to tell, and whoever comes next takes it up again."""
    instant.setattr(tuning, "ATTEMPTS", 3)
    fit, begun = training.fit, []

    def deadly(model, *args, **kwargs):
        if model.choices["depth"] == 14 and model.choices["shortcut"] == "none":
            begun.append(1)
            raise Killed
        return fit(model, *args, **kwargs)

    instant.setattr(training, "fit", deadly)
    for _ in range(tuning.ATTEMPTS):
        with pytest.raises(Killed):
            open_tuner(tmp_path).search()
    open_tuner(tmp_path).search()
    assert len(begun) == tuning.ATTEMPTS
    assert Counter(row["status"] for row in rows(tmp_path)) == {"COMPLETED": 5, "FAILED": 1}
    assert f"Lost: the process died {tuning.ATTEMPTS} times in it" in {row["error"] for row in rows(tmp_path)}


def test_ctrl_c_is_not_the_fault_of_the_trial(instant, tmp_path):
    instant.setattr(tuning, "ATTEMPTS", 3)
    fit = training.fit

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    instant.setattr(training, "fit", interrupted)
    for _ in range(tuning.ATTEMPTS + 1):
        with pytest.raises(KeyboardInterrupt):
            open_tuner(tmp_path).search()
    instant.setattr(training, "fit", fit)
    open_tuner(tmp_path).search()
    assert {row["status"] for row in rows(tmp_path)} == {"COMPLETED"}


def test_a_full_disk_ends_the_sweep_and_no_trial(toy, tmp_path):
    toy.setattr(tuning, "ATTEMPTS", 1)
    save_model = tuning.save_model
    toy.setattr(tuning, "save_model", lambda model, path: Path("/dev/full").write_text("a net"))
    for _ in range(tuning.ATTEMPTS + 1):
        with pytest.raises(tuning.DiskFull, match="No space left on device"):
            open_tuner(tmp_path).search()
    assert [row["status"] for row in rows(tmp_path)] == ["RUNNING"]
    toy.setattr(tuning, "save_model", save_model)
    open_tuner(tmp_path).search()
    assert [row["status"] for row in rows(tmp_path)] == ["COMPLETED"] * 6


def test_a_process_runs_its_share_and_a_fresh_one_goes_on(instant, tmp_path):
    """TensorFlow keeps some memory of every net, whatever is cleared."""
    for done in (2, 4):
        with pytest.raises(tuning.Enough):
            open_tuner(tmp_path, at_most=2).search()
        assert [row["status"] for row in rows(tmp_path)] == ["COMPLETED"] * done
    with pytest.raises(tuning.Enough):
        open_tuner(tmp_path, at_most=2).search()
    open_tuner(tmp_path, at_most=2).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


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
    limit = None if tuner == "hyperband" else 4
    reference = tmp_path / "reference"
    with instant.context() as patch:
        written = kill_at(patch, None)
        open_tuner(reference, tuner, limit, epochs=3).search()
    expected = len(rows(reference))
    assert expected >= 4
    for when in range(1, len(written) + 1):
        directory = tmp_path / str(when)
        with instant.context() as patch:
            kill_at(patch, when)
            with contextlib.suppress(Killed):
                open_tuner(directory, tuner, limit, epochs=3).search()
        finished = [row["trial"] for row in rows(directory) if row["status"] == "COMPLETED"]
        trained = []
        with instant.context() as patch:
            run = tuning.Trials.run_trial
            patch.setattr(
                tuning.Trials,
                "run_trial",
                lambda self, trial, **kw: trained.append(trial.trial_id) or run(self, trial, **kw),  # noqa: B023
            )
            open_tuner(directory, tuner, limit, epochs=3).search()
        after = rows(directory)
        assert [row["status"] for row in after] == ["COMPLETED"] * expected, when
        assert len(set(trained)) == len(trained), when
        assert not set(trained) & set(finished), when
        if tuner in ("grid", "random"):
            assert choices(after) == choices(rows(reference)), when


def test_grid_goes_on_after_ctrl_c(instant, tmp_path):
    """Keras Tuner's own GridSearch raises KeyError here (github.com/keras-team/keras-tuner/issues/1055)."""
    fit, calls = training.fit, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    instant.setattr(training, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        open_tuner(tmp_path).search()
    assert [row["status"] for row in rows(tmp_path)] == ["COMPLETED", "COMPLETED", "RUNNING"]
    open_tuner(tmp_path).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert len(calls) == 7


def test_a_finished_sweep_trains_nothing(instant, tmp_path):
    open_tuner(tmp_path).search()
    before = rows(tmp_path)
    instant.setattr(training, "fit", lambda *args, **kw: pytest.fail("trained again"))
    open_tuner(tmp_path).search()
    assert rows(tmp_path) == before


def test_another_tuner_id_finds_the_state(instant, tmp_path):
    """Keras Tuner would begin anew on top of it."""
    open_tuner(tmp_path, max_trials=4).search()
    instant.setenv("KERASTUNER_TUNER_ID", "tuner7")
    tuner = open_tuner(tmp_path, max_trials=6)
    assert tuner.tuner_id == "tuner7"
    tuner.search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


def nets(directory):
    return {path.parent.name.removeprefix("trial_") for path in (directory / "sweep").glob("trial_*/model.keras")}


def test_only_the_best_net_is_kept(instant, tmp_path):
    tuner = open_tuner(tmp_path)
    tuner.search()
    assert nets(tmp_path) == {tuner.best_trial().trial_id}


def test_all_nets_are_kept_where_that_is_asked(instant, tmp_path):
    open_tuner(tmp_path, keep="all").search()
    assert {int(name) for name in nets(tmp_path)} == {*range(6)}


@pytest.mark.parametrize("name", ["trial.json", "result.json"])
@pytest.mark.parametrize("tuner", ["grid", "hyperband"])
def test_a_file_in_pieces_is_set_aside_and_its_trial_run_again(name, tuner, instant, tmp_path, capsys):
    open_tuner(tmp_path, tuner).search()
    before = rows(tmp_path)
    path = tmp_path / "sweep" / f"trial_{before[1]['trial']}" / name
    path.write_text(path.read_text()[:40])
    (broken,) = [row for row in rows(tmp_path) if row["status"] == "CORRUPT"]  # and the report can be had
    assert broken["trial"] == before[1]["trial"]
    write_report(tmp_path / "sweep")
    trained = []
    fit = training.fit
    instant.setattr(training, "fit", lambda *args, **kw: trained.append(kw["seed"]) or fit(*args, **kw))
    open_tuner(tmp_path, tuner).search()
    assert "in pieces: set aside as .corrupt" in capsys.readouterr().err
    assert path.with_suffix(".corrupt").exists()
    assert trained == [before[1]["seed"]]
    ours, theirs = ([{**row, "ended": 0, "overhead": 0} for row in table] for table in (rows(tmp_path), before))
    assert ours == theirs


@pytest.mark.parametrize("tuner", ["grid", "random", "bayesian"])
def test_the_state_of_the_search_is_made_again_from_the_trials(tuner, instant, tmp_path):
    open_tuner(tmp_path, tuner, 3).search()
    before = rows(tmp_path)
    (tmp_path / "sweep" / "oracle.json").write_text("{")
    open_tuner(tmp_path, tuner, 6).search()
    assert rows(tmp_path)[:3] == before
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert (tmp_path / "sweep" / "oracle.corrupt").exists()


def test_what_cannot_be_made_again_is_said(instant, tmp_path):
    open_tuner(tmp_path / "a", "hyperband").search()
    open_tuner(tmp_path / "b", max_trials=4).search()
    for path in ("a/sweep/oracle.json", "b/sweep/oracle.json", "b/sweep/trial_3/trial.json"):
        (tmp_path / path).write_text("{")
    with pytest.raises(oracles.Corrupt, match="in pieces.*--overwrite"):
        open_tuner(tmp_path / "a", "hyperband")
    with pytest.raises(oracles.Corrupt, match="in pieces.*--overwrite"):
        open_tuner(tmp_path / "b")


# ---- chief and workers


@pytest.fixture
def chief(instant):
    instant.setenv("KERASTUNER_TUNER_ID", "chief")
    instant.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    instant.setenv("KERASTUNER_ORACLE_PORT", "1")
    instant.setattr(os, "_exit", lambda code: pytest.fail("the chief ended"))
    return instant


def ended(directory, trial, accuracy=0.5):
    """What a worker leaves of a trial, and sends to the chief."""
    result = {"validation_accuracy": accuracy, "epochs": 1, "history": {"val_accuracy": [accuracy]}, "ended": 1.0}
    (directory / "sweep" / f"trial_{trial.trial_id}" / "result.json").write_text(json.dumps(result))
    sent = type(trial).from_proto(trial.to_proto())
    sent.status = "COMPLETED"
    return sent


def test_a_chief_that_is_started_again_knows_what_its_workers_hold(chief, tmp_path):
    """Keras Tuner's own hands the trials in flight out a second time."""
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    first, second = oracle.create_trial("worker0"), oracle.create_trial("worker1")
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    assert oracle.create_trial("worker1").trial_id == second.trial_id  # that one was killed, too
    third = oracle.create_trial("worker2")
    assert third.trial_id == "2"
    oracle.end_trial(ended(tmp_path, first))  # the first has not noticed anything
    assert oracle.create_trial("worker0").trial_id == "3"
    assert Counter(row["status"] for row in rows(tmp_path)) == {"COMPLETED": 1, "RUNNING": 3}


def test_an_end_that_is_told_twice_counts_once(chief, tmp_path):
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    trial = oracle.create_trial("worker0")
    oracle.end_trial(ended(tmp_path, trial, 0.7))
    oracle = open_tuner(tmp_path, max_trials=6).oracle  # killed before it could answer
    oracle.end_trial(ended(tmp_path, trial, 0.7))
    assert oracle.end_order == ["0"]
    assert not oracle.ongoing_trials
    assert oracle.create_trial("worker0").trial_id == "1"


def test_a_trial_that_is_run_again_has_its_new_score(chief, tmp_path):
    """Keras Tuner takes a figure that is there for the one that has just come."""
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    trial = oracle.create_trial("worker0")
    oracle.update_trial(trial.trial_id, {"val_accuracy": 0.1})
    oracle.end_trial(ended(tmp_path, trial, 0.7))
    assert oracle.trials["0"].score == 0.7


def test_why_a_trial_failed_reaches_the_chief(chief, tmp_path):
    """Keras Tuner sends no message over the wire."""
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    trial = oracle.create_trial("worker0")
    sent = ended(tmp_path, trial)
    (tmp_path / "sweep" / "trial_0" / "result.json").write_text('{"seed": 1, "error": "Diverged: the loss was nan"}')
    sent.status = "INVALID"
    oracle.end_trial(sent)
    assert oracle.trials["0"].message == "Diverged: the loss was nan"
    assert [row["status"] for row in rows(tmp_path)] == ["FAILED"]


def test_a_chief_in_which_something_fails_ends(chief, tmp_path, capsys):
    """Keras Tuner's own hangs with its lock held, and prints nothing."""
    codes = []
    chief.setattr(os, "_exit", codes.append)
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    trial = oracle.create_trial("worker0")
    chief.setattr(oracles, "write_csv", lambda *args: Path("/dev/full").write_text("rows"))
    oracle.end_trial(ended(tmp_path, trial))
    assert codes == [74]
    assert "No space left on device" in capsys.readouterr().err


def test_alone_what_workers_held_is_taken_up(chief, tmp_path):
    """A worker that does not come back keeps nothing from anybody."""
    oracle = open_tuner(tmp_path, max_trials=6).oracle
    oracle.create_trial("worker0"), oracle.create_trial("worker1")
    for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT"):
        chief.delenv(f"KERASTUNER_{name}")
    open_tuner(tmp_path, max_trials=6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)
    assert {row["status"] for row in rows(tmp_path)} == {"COMPLETED"}


def test_bayesian_search_with_trials_in_flight(chief, tmp_path):
    for begun in range(6):  # by a chief that has just been started again
        oracle = open_tuner(tmp_path, "bayesian", 6).oracle
        trial = oracle.create_trial(f"worker{begun}")
        if begun < 3:
            oracle.end_trial(ended(tmp_path, trial))
    assert len(oracle.ongoing_trials) == 3
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


class Away(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNAVAILABLE


def test_a_worker_asks_again_and_does_not_hurry(chief, tmp_path):
    """Keras Tuner's own ends where the chief is away, and asks a thousand times a second where it has nothing."""
    waited = []
    chief.setattr(oracles.time, "sleep", waited.append)
    chief.setattr(grpc, "channel_ready_future", lambda channel: Mock())
    idle, running = SimpleNamespace(status="IDLE"), SimpleNamespace(status="RUNNING")
    answers = [Away(), idle, Away(), running]

    def create_trial(tuner_id):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = SimpleNamespace(stub=Mock(), create_trial=create_trial, objective="val_accuracy")
    distant = oracles.Distant(client, tmp_path / "through")
    assert distant.create_trial("worker0") is running
    assert waited == [1, 1, 1]
    assert distant.objective == "val_accuracy"


def test_a_worker_that_comes_when_the_chief_has_gone_goes_too(chief, tmp_path):
    """Keras Tuner's client waits for an hour; here it looks whether the chief said that no trial is left."""
    waits = []

    class Unready:
        def result(self, timeout):
            waits.append(timeout)
            if len(waits) > 1:  # first of a search that had fewer trials
                (tmp_path / "through").write_text(json.dumps({"max_trials": 4 if len(waits) == 2 else 6}))
            raise grpc.FutureTimeoutError

    chief.setattr(grpc, "channel_ready_future", lambda channel: Unready())
    client = SimpleNamespace(stub=Mock(), create_trial=lambda tuner_id: pytest.fail("asked"), max_trials=6)
    distant = oracles.Distant(client, tmp_path / "through")
    with pytest.raises(oracles.Through):
        distant.create_trial("worker3")
    assert len(waits) == 3
    client.max_trials, distant.LONGEST = None, -1
    with pytest.raises(TimeoutError, match="the chief was not there"):
        distant.create_trial("worker3")


@pytest.mark.parametrize("tuner", oracles.TUNERS)
def test_to_see_that_no_trial_is_left_changes_nothing(tuner, instant, tmp_path):
    """A chief that served then would wait for ever for somebody to ask."""
    limit = None if tuner == "hyperband" else 4
    open_tuner(tmp_path / "reference", tuner, limit, epochs=3).search()
    for left in range(len(rows(tmp_path / "reference")), 0, -1):
        oracle = open_tuner(tmp_path / "asked", tuner, limit, epochs=3).oracle
        before = json.dumps(oracle.get_state())
        assert not oracle.is_through(), left
        assert json.dumps(oracle.get_state()) == before
        with contextlib.suppress(tuning.Enough):
            open_tuner(tmp_path / "asked", tuner, limit, epochs=3, at_most=1).search()
    assert open_tuner(tmp_path / "asked", tuner, limit, epochs=3).oracle.is_through()
    assert choices(rows(tmp_path / "asked")) == choices(rows(tmp_path / "reference"))


def test_trials_in_flight_are_left(chief, tmp_path):
    oracle = open_tuner(tmp_path, max_trials=1).oracle
    trial = oracle.create_trial("worker0")
    assert not oracle.is_through()
    oracle.end_trial(ended(tmp_path, trial))
    assert oracle.is_through()


def test_a_file_of_the_tuner_in_pieces_costs_nothing(instant, tmp_path):
    open_tuner(tmp_path, max_trials=2).search()
    (tmp_path / "sweep" / "tuner0.json").write_text("{")
    open_tuner(tmp_path, max_trials=6).search()
    assert choices(rows(tmp_path)) == Counter(COMBINATIONS)


def test_a_worker_leaves_the_state_to_the_chief(chief, tmp_path):
    open_tuner(tmp_path, max_trials=6).oracle.create_trial("worker0")
    before = {path: path.read_text() for path in (tmp_path / "sweep").rglob("*.json")}
    chief.setenv("KERASTUNER_TUNER_ID", "worker0")
    open_tuner(tmp_path, max_trials=6)
    assert before == {path: path.read_text() for path in (tmp_path / "sweep").rglob("*.json")}


# ---- the median stopping rule


def watch(curve, others, warm_up=0, epochs=4):
    """The epochs that a trial of that curve is given beside those of the others."""
    callback = tuning.MedianStopping(lambda: others, warm_up)
    callback.set_params({"epochs": epochs})
    callback.set_model(SimpleNamespace(stop_training=False))
    for epoch, accuracy in enumerate(curve):
        callback.on_epoch_end(epoch, {"val_accuracy": accuracy})
        if callback.model.stop_training:
            assert callback.stopped
            return epoch + 1
    return epochs


OTHERS = [[0.2, 0.4, 0.6, 0.8], [0.3, 0.5, 0.7, 0.9], [0.1, 0.2, 0.3, 0.4]]  # median of the means: .2 .3 .4 .5


@pytest.mark.parametrize(
    ("curve", "settings", "given"),
    [
        ([0.2, 0.31, 0.41, 0.5], {}, 4),  # not below
        ([0.19, 0.31, 0.41, 0.5], {}, 1),
        ([0.19, 0.31, 0.41, 0.5], {"warm_up": 1}, 4),
        ([0.19, 0.29, 0.39, 0.5], {"warm_up": 2}, 3),
        ([0.45, 0.1, 0.1, 0.1], {}, 4),  # the best so far counts; and who has come to the last epoch is through
        ([0.1, 0.1, 0.1, 0.1], {"others": OTHERS[:2]}, 4),  # too few to know
        ([0.2, 0.2, 0.2, 0.2], {"others": [*OTHERS[:2], [0.1]]}, 4),  # one of three was stopped before
    ],
)
def test_median_stopping(curve, settings, given):
    settings = {"others": OTHERS, **settings}
    assert watch(curve, settings.pop("others"), **settings) == given


def test_a_stopped_trial_is_seen_as_one_and_is_not_the_best(instant, tmp_path):
    def fit(model, data, *, epochs, callbacks, **_):
        level = model.choices["depth"] / 100
        rule = callbacks[-1]
        rule.set_model(SimpleNamespace(stop_training=False))
        rule.set_params({"epochs": epochs})
        curve = []
        while len(curve) < epochs and not rule.model.stop_training:
            curve.append(level)
            rule.on_epoch_end(len(curve) - 1, {"val_accuracy": level})
        level += rule.stopped  # even if it had the highest figure
        figures = {"train_accuracy": level, "validation_accuracy": level}
        return {"epochs": len(curve), "seconds": 1.0, "history": {"accuracy": curve, "val_accuracy": curve}, **figures}

    instant.setattr(training, "fit", fit)
    space = SPACE | {"depth": [20, 14, 8]}
    tuner = open_tuner(tmp_path, space=space, median_stopping=1)
    tuner.search()
    assert [(row["depth"], row["status"], row["epochs"]) for row in rows(tmp_path)] == [
        (20, "COMPLETED", 4), (20, "COMPLETED", 4), (14, "COMPLETED", 4), (14, "STOPPED", 2), (8, "STOPPED", 2),
        (8, "STOPPED", 2),
    ]  # fmt: skip
    assert tuner.best_trial().hyperparameters.values["depth"] == 20
    assert "STOPPED" in (tmp_path / "sweep" / "trials.csv").read_text()


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


def test_hyperband_promotes(instant, tmp_path):
    seen = []
    fit = training.fit
    instant.setattr(
        training, "fit", lambda *args, **kw: seen.append((kw["initial_epoch"], kw["epochs"])) or fit(*args, **kw)
    )
    space = SPACE | {"depth": [8, 14, 20, 26, 32], "learning_rate": [0.1, 0.05]}
    open_tuner(tmp_path, "hyperband", space=space, epochs=9, keep="all").search()
    assert {(0, 1), (1, 3), (3, 9)} <= set(seen)
    promoted = [row for row in rows(tmp_path) if "tuner/trial_id" in row]
    assert promoted
    assert all((tmp_path / "sweep" / f"trial_{row['tuner/trial_id']}" / "model.keras").exists() for row in promoted)


@pytest.mark.parametrize(
    ("depths", "rounds"),
    [
        (3, {(0, 2): 6, (2, 4): 2, (4, 10): 1}),  # the first bracket has them all
        (7, {(0, 2): 12, (2, 4): 4, (4, 10): 2 + 1, (0, 4): 2}),  # two are left for the second
        (11, {(0, 2): 12, (2, 4): 4, (4, 10): 2 + 2, (0, 4): 6, (0, 10): 4}),  # just enough
    ],
)
def test_hyperband_promotes_in_a_small_space(depths, rounds, instant, tmp_path):
    """Keras Tuner's own ends after 21 repeats, with nothing promoted."""
    space = SPACE | {"depth": [8 + 6 * i for i in range(depths)]}
    tuner = open_tuner(tmp_path, "hyperband", space=space, epochs=10)
    tuner.search()
    table = rows(tmp_path)
    assert Counter((row["tuner/initial_epoch"], row["tuner/epochs"]) for row in table) == rounds
    assert sum(tuner.oracle.sizes()) == len(table)
    drawn = [row for row in table if "tuner/trial_id" not in row]
    assert len(choices(drawn)) == len(drawn) == 2 * depths
    assert tuner.best_trial().hyperparameters.values["depth"] == max(space["depth"])


def test_hyperband_waits_in_a_small_space_for_what_may_be_promoted(chief, tmp_path):
    oracle = open_tuner(tmp_path, "hyperband", epochs=10).oracle
    *first, last = (oracle.create_trial(f"worker{i}") for i in range(6))
    assert oracle.create_trial("worker6").status == "IDLE"  # no combination is left for another bracket
    for trial in first:
        oracle.end_trial(ended(tmp_path, trial))
    oracle = open_tuner(tmp_path, "hyperband", epochs=10).oracle
    second = oracle.create_trial("worker0")
    assert second.hyperparameters.values["tuner/trial_id"] == first[0].trial_id
    assert oracle.create_trial("worker1").status == "IDLE"
    oracle.end_trial(ended(tmp_path, last, 0.9))
    third = oracle.create_trial("worker1")
    assert third.hyperparameters.values["tuner/trial_id"] == last.trial_id
    for trial in (second, third):
        oracle.end_trial(ended(tmp_path, trial))
    oracle.end_trial(ended(tmp_path, oracle.create_trial("worker0")))
    assert [oracle.create_trial(f"worker{i}").status for i in range(7)] == ["STOPPED"] * 7


def test_hyperband_has_its_own_sizes_where_there_are_combinations_enough():
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Choice("depth", list(range(10**4)))
    for epochs in range(1, 300):
        kwargs = dict(objective=oracles.OBJECTIVE, hyperparameters=hyperparameters, max_epochs=epochs)
        ours, theirs = oracles.HalvingOracle(**kwargs), HyperbandOracle(**kwargs)
        rounds = [(b, r) for b in range(theirs._get_num_brackets()) for r in range(theirs._get_num_rounds(b))]
        assert [ours._get_size(*at) for at in rounds] == [theirs._get_size(*at) for at in rounds], epochs


def test_hyperband_keeps_what_it_may_go_on_with(instant, tmp_path):
    space = SPACE | {"depth": [8, 14, 20, 26, 32], "learning_rate": [0.1, 0.05]}
    counts = []
    tidy = oracles.Resumable.tidy
    instant.setattr(oracles.Resumable, "tidy", lambda self: (tidy(self), counts.append(len(nets(tmp_path))))[0])
    tuner = open_tuner(tmp_path, "hyperband", space=space, epochs=9)
    tuner.search()
    assert {row["status"] for row in rows(tmp_path)} == {"COMPLETED"}  # so each had its parent's net
    assert 9 <= max(counts) < len(counts)
    tuner.oracle.tidy()
    assert nets(tmp_path) == {tuner.best_trial().trial_id}


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
    assert len(rows(tmp_path)) == sum(tuner.oracle.sizes()) == 23
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


def test_max_trials_limits_hyperband(instant, tmp_path):
    open_tuner(tmp_path, "hyperband", 4).search()
    assert len(rows(tmp_path)) == 4


def test_records_are_json_that_others_can_read(toy, tmp_path):
    open_tuner(tmp_path, max_trials=1).search()
    record = json.loads((tmp_path / "sweep" / "trial_0" / "result.json").read_text())
    assert record["parameters"] == 24
    assert record["multiply_adds"] == 16
