"""The searches of a sweep: their differences from Keras Tuner 1.4.8, and resuming."""

import json
import math
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from keras_tuner.oracles import HyperbandOracle
from sklearn.gaussian_process import GaussianProcessRegressor

from experiments.oracles import Search, make_oracle

SPACE = dict(depth=[8, 14, 20], shortcut=["zero_pad", "none"], order=["original"], learning_rate=[0.1])
COMBINATIONS = {(depth, shortcut) for depth in SPACE["depth"] for shortcut in SPACE["shortcut"]}
TUNERS = ["grid", "random", "bayesian", "hyperband"]


def open_search(directory, tuner="grid", max_trials=None, space=SPACE, seed=3, epochs=4):
    directory.mkdir(exist_ok=True)
    oracle = make_oracle(tuner, space, seed=seed, max_trials=max_trials, epochs=epochs)
    return Search(oracle, directory / "oracle.json")


def score(trial):
    return 0.5 + trial.hyperparameters.values["depth"] / 1000


def run(search, number=10**6, score=score):
    """Runs at most `number` trials in sequence, unfinished trials first. Returns their values."""
    done = []
    waiting = search.running
    while len(done) < number and (trial := waiting.pop(0) if waiting else search.propose()):
        search.end(trial, score(trial))
        done.append(trial.hyperparameters.values)
    return done


def choices(search):
    return Counter(
        tuple(trial.hyperparameters.values[name] for name in ("depth", "shortcut")) for trial in search.trials
    )


def order(search):
    return [tuple(trial.hyperparameters.values.items()) for trial in search.trials]


def fits(monkeypatch):
    """Records the number of trials at each fit of a Gaussian process."""
    numbers = []
    fit = GaussianProcessRegressor.fit
    monkeypatch.setattr(GaussianProcessRegressor, "fit", lambda self, x, y: numbers.append(len(y)) or fit(self, x, y))
    return numbers


def test_what_keras_tuner_and_tfds_import_is_declared():
    """Keras Tuner needs tensorboard, and tfds needs importlib_resources, but they do not declare these requirements."""
    extras = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {"tensorboard", "scipy", "scikit-learn"} <= set(extras["tuner"])
    assert "importlib_resources" in extras["training"]


@pytest.mark.parametrize("tuner", ["grid", "random", "bayesian"])
def test_every_combination_once(tuner, tmp_path):
    """Keras Tuner's Bayesian search may propose a combination several times."""
    search = open_search(tmp_path, tuner)
    run(search)
    assert choices(search) == Counter(COMBINATIONS)
    assert {trial.status for trial in search.trials} == {"COMPLETED"}


def test_the_grid_changes_the_last_choice_first(tmp_path):
    values = run(open_search(tmp_path))
    assert [(v["depth"], v["shortcut"]) for v in values][:3] == [(8, "zero_pad"), (8, "none"), (14, "zero_pad")]


def test_random_order_follows_from_the_seed_and_0_is_one(tmp_path):
    """Keras Tuner treats the seed 0 as no seed."""
    orders = []
    for i, seed in enumerate((0, 0, 1)):
        search = open_search(tmp_path / str(i), "random", seed=seed)
        run(search)
        orders.append(order(search))
    assert orders[0] == orders[1] != orders[2]


def test_a_large_space_is_not_listed_for_each_trial(tmp_path):
    """A list of 480,000 combinations would need 3.5 s and 130 MB per trial."""
    space = {name: list(range(n)) for name, n in zip("abcdefg", (10, 10, 10, 10, 8, 6, 1), strict=True)}
    search = open_search(tmp_path, "random", max_trials=5, space=space | {"depth": [8]})
    assert len(run(search, score=lambda trial: 0.5)) == 5
    assert search.oracle.combination(479_999) == {name: values[-1] for name, values in search_space(search)}


def search_space(search):
    return [(choice.name, choice.values) for choice in search.oracle.hyperparameters.space]


@pytest.mark.parametrize("tuner", ["grid", "random"])
def test_max_trials_can_grow(tuner, tmp_path):
    run(open_search(tmp_path, tuner, 2))
    search = open_search(tmp_path, tuner, 6)
    run(search)
    assert choices(search) == Counter(COMBINATIONS)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bayesian_search_learns_within_ten_trials(seed, tmp_path, monkeypatch):
    """Keras Tuner starts with three random trials per hyperparameter, also if a hyperparameter has only one value."""
    fitted = fits(monkeypatch)
    search = open_search(tmp_path, "bayesian", 10, space=SPACE | {"depth": list(range(8, 188, 6))}, seed=seed)
    run(search)
    assert fitted == [5, 6, 7, 8, 9]
    assert 182 in {trial.hyperparameters.values["depth"] for trial in search.trials}  # 182 is the best of 30 values


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_search_that_is_resumed_makes_the_same_choices(tuner, tmp_path):
    whole = open_search(tmp_path / "a", tuner)
    run(whole)
    while run(open_search(tmp_path / "b", tuner), 1):
        pass
    assert order(open_search(tmp_path / "b", tuner)) == order(whole)


@pytest.mark.parametrize("tuner", TUNERS)
def test_a_kill_before_any_write_loses_no_trial(tuner, tmp_path, monkeypatch):
    """Every second write of the state kills the process. Each trial ends exactly once, with the same result."""
    from experiments import oracles

    class Killed(BaseException):
        pass

    count, write = [0], oracles.write_json

    def write_or_die(path, value):
        count[0] += 1
        if count[0] % 2 == 0:
            raise Killed
        write(path, value)

    whole = open_search(tmp_path / "a", tuner)
    run(whole)
    monkeypatch.setattr(oracles, "write_json", write_or_die)
    for _ in range(500):
        try:
            search = open_search(tmp_path / "b", tuner)
            if not run(search, 1):
                break
        except Killed:
            pass
    assert order(search) == order(whole)
    assert [trial.status for trial in search.trials] == ["COMPLETED"] * len(whole.trials)


def test_two_trials_in_flight_run_again_after_a_kill(tmp_path):
    search = open_search(tmp_path)
    first, second = search.propose(), search.propose()
    search = open_search(tmp_path)
    assert [trial.trial_id for trial in search.running] == [first.trial_id, second.trial_id]
    run(search)
    assert choices(search) == Counter(COMBINATIONS)


def test_failures_do_not_end_the_search(tmp_path):
    """Keras Tuner stops after three consecutive failures."""
    search = open_search(tmp_path)
    while trial := search.propose():
        search.end(trial, None, "no such network")
    assert {(trial.status, trial.message) for trial in search.trials} == {("FAILED", "no such network")}
    assert len(search.trials) == 6
    written = json.loads((tmp_path / "trial_0" / "trial.json").read_text())
    assert (written["status"], written["message"]) == ("FAILED", "no such network")


def epochs_of(search):
    return Counter(trial.hyperparameters.values["tuner/epochs"] for trial in search.trials)


LARGE = SPACE | {"depth": list(range(8, 128, 6)), "width": [1, 2]}


def test_hyperband_promotes_the_best(tmp_path):
    search = open_search(tmp_path, "hyperband", space=LARGE, epochs=9)
    run(search)
    sources = {}
    for trial in search.trials:
        values = trial.hyperparameters.values
        if source := values.get("tuner/trial_id"):
            sources.setdefault((values["tuner/bracket"], values["tuner/round"]), []).append(
                score(search.oracle.trials[source])
            )
            assert values["tuner/initial_epoch"] == search.oracle.trials[source].hyperparameters.values["tuner/epochs"]
    first = [
        score(t)
        for t in search.trials
        if t.hyperparameters.values["tuner/bracket"] == 2 and not t.hyperparameters.values["tuner/round"]
    ]
    assert sorted(sources[2, 1]) == sorted(first)[-len(sources[2, 1]) :]
    assert max(epochs_of(search)) == 9


@pytest.mark.parametrize("space", [SPACE, {name: values[:1] for name, values in SPACE.items()}])
def test_hyperband_in_a_small_space(space, tmp_path):
    """Keras Tuner ends the search after 21 repetitions, or waits forever."""
    search = open_search(tmp_path, "hyperband", space=space, epochs=9)
    run(search)
    first = [
        tuple(t.hyperparameters.values[n] for n in ("depth", "shortcut"))
        for t in search.trials
        if not t.hyperparameters.values["tuner/round"]
    ]
    assert len(first) == len(set(first)) == math.prod(map(len, space.values()))


def test_hyperband_has_its_own_sizes_if_there_are_enough_combinations():
    ours = make_oracle("hyperband", LARGE | {"width": list(range(1, 20))}, seed=0, max_trials=None, epochs=9)
    theirs = HyperbandOracle(objective="val_loss", max_epochs=9)
    for bracket in range(3):
        for number in range(bracket + 1):
            assert ours._get_size(bracket, number) == theirs._get_size(bracket, number)


def test_hyperband_promotes_past_failures(tmp_path):
    """Keras Tuner waits until every trial of a round is completed, also if one has failed."""
    search = open_search(tmp_path, "hyperband", space=LARGE, epochs=9)
    count = 0
    while trial := search.propose():
        count += 1
        search.end(trial, None if count % 3 == 0 else score(trial), "failed" if count % 3 == 0 else None)
    assert max(epochs_of(search)) == 9
    assert {trial.status for trial in search.trials} == {"COMPLETED", "FAILED"}


def test_hyperband_keeps_the_networks_that_it_may_continue_to_train(tmp_path):
    search = open_search(tmp_path, "hyperband", space=LARGE, epochs=9)
    trial = search.propose()
    search.end(trial, 0.5)
    assert trial.trial_id in search.needed()
    run(search)
    assert trial.trial_id not in search.needed() or len(search.needed()) < len(search.trials)
