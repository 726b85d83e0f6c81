"""The searches of a sweep: Keras Tuner's oracles over a finite space, with their whole state in one file."""

import itertools
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle

from keras_resnet.files import read_json, write_json, write_text

OBJECTIVE = keras_tuner.Objective("validation_accuracy", "max")
CANDIDATES = 10_000  # combinations that the Bayesian search compares for each trial


class GridOracle(keras_tuner.Oracle):
    """All combinations, the last hyperparameter fastest."""

    trials: dict[str, Any]

    def number_of_combinations(self) -> int:
        return math.prod(len(choice.values) for choice in self.hyperparameters.space)

    def order(self):
        """The numbers of the combinations in the order of the trials."""
        return range(self.number_of_combinations())

    def combination(self, number: int) -> dict[str, Any]:
        values = {}
        for choice in reversed(self.hyperparameters.space):
            number, i = divmod(number, len(choice.values))
            values[choice.name] = choice.values[i]
        return dict(reversed(values.items()))

    def remaining(self) -> Iterator[dict[str, Any]]:
        names = [choice.name for choice in self.hyperparameters.space]
        tried = {tuple(trial.hyperparameters.values[name] for name in names) for trial in self.trials.values()}
        combinations = (self.combination(int(number)) for number in self.order())
        return (values for values in combinations if tuple(values.values()) not in tried)

    def populate_space(self, trial_id):
        values = next(self.remaining(), None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


class RandomOracle(GridOracle):
    """Combinations drawn without replacement."""

    def order(self):
        return np.random.default_rng(self.seed).permutation(self.number_of_combinations())


class BayesianOracle(RandomOracle, BayesianOptimizationOracle):
    """After some random trials, the remaining combination with the best upper confidence bound of a Gaussian process.

    Keras Tuner's own looks for the best point between the combinations, which often is one that was tried, and waits
    for three completed trials per hyperparameter, also for those with one value.
    """

    def populate_space(self, trial_id):
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        remaining = list(itertools.islice(self.remaining(), CANDIDATES))
        if len(completed) < self.number_of_draws() or not remaining:
            return super().populate_space(trial_id)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a length scale at its bound: there are few trials
            self.gpr.fit(*self._vectorize_trials())  # of what is to be minimized
        points = [
            [choice.value_to_prob(values[choice.name]) for choice in self._nonfixed_space()] for values in remaining
        ]
        mean, deviation = self.gpr.predict(points, return_std=True)
        return {"status": "RUNNING", "values": remaining[(mean - self.beta * deviation).argmin()]}

    def number_of_draws(self) -> int:
        """Three per hyperparameter, but at most half of the trials, and at least three."""
        limit = self.max_trials or self.number_of_combinations()
        return max(3, min(3 * len(self._nonfixed_space()), limit // 2))

    def _nonfixed_space(self):
        return [choice for choice in self.hyperparameters.space if len(choice.values) > 1]


class HalvingOracle(RandomOracle, HyperbandOracle):
    """Hyperband without replacement."""

    def __init__(self, max_trials=None, **kwargs):
        super().__init__(**kwargs)
        self.max_trials = max_trials

    def populate_space(self, trial_id):
        """Keras Tuner waits until every trial of a round is completed: a failed one would block all promotions."""
        failed = [trial for trial in self.trials.values() if trial.status == "FAILED"]
        for trial in failed:
            trial.status, trial.score = "COMPLETED", -math.inf
        try:
            return HyperbandOracle.populate_space(self, trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = "FAILED", None

    def _random_values(self):
        """Keras Tuner draws with replacement, and ends the search after 21 repetitions."""
        return next(self.remaining(), None)

    def _get_size(self, bracket_num, round_num):
        """As Keras Tuner's, but the first round of a bracket has no more trials than the earlier ones left untried."""
        own = super()._get_size
        earlier = sum(own(bracket, 0) for bracket in range(bracket_num + 1, self._get_num_brackets()))
        first = min(own(bracket_num, 0), max(0, self.number_of_combinations() - earlier))
        return math.ceil(first / self.factor**round_num)

    def sizes(self) -> list[int]:
        """The trials of each bracket, in all its rounds, from the bracket with the most rounds."""
        brackets = reversed(range(self._get_num_brackets()))
        return [sum(self._get_size(b, r) for r in range(self._get_num_rounds(b))) for b in brackets]


TUNERS = {"grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle, "hyperband": HalvingOracle}


def make_oracle(tuner: str, space: dict[str, list], *, seed: int, max_trials: int | None, epochs: int):
    """Returns the oracle of a row of TUNERS for a space, name -> values."""
    hyperparameters = keras_tuner.HyperParameters()
    for name, values in space.items():
        hyperparameters.Choice(name, values)
    return TUNERS[tuner](
        objective=OBJECTIVE,
        hyperparameters=hyperparameters,
        allow_new_entries=False,
        seed=seed + 1,  # Keras Tuner takes 0 for "any"
        max_trials=max_trials,
        **({"max_epochs": epochs} if tuner == "hyperband" else {}),
    )


class Search:
    """The trials of an oracle. Its state is one file, written whole after each change.

    Trials that were running when a process was killed are running again when the file is read: `running` has them, and
    the caller starts them again.
    """

    def __init__(self, oracle, path: Path):
        self.oracle, self.path = oracle, path
        if state := read_json(path):
            oracle.trials = {name: Trial.from_state(trial) for name, trial in state["trials"].items()}
            oracle.set_state(state["oracle"])
        oracle.ongoing_trials = {trial.trial_id: trial for trial in self.running}

    @property
    def trials(self) -> list[Trial]:
        return list(self.oracle.trials.values())

    @property
    def running(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.status == "RUNNING"]

    def propose(self) -> Trial | None:
        """Returns the next trial; None if there is none, or none before a running one has ended."""
        oracle = self.oracle
        if oracle.max_trials and len(oracle.trials) >= oracle.max_trials:
            return None
        name = str(len(oracle.trials)).zfill(len(str((oracle.max_trials or 1) - 1)))
        proposal = oracle.populate_space(name)
        if proposal["status"] != "RUNNING":
            return None
        hyperparameters = oracle.hyperparameters.copy()
        hyperparameters.values = proposal["values"]
        trial = Trial(hyperparameters, name, "RUNNING")
        oracle.trials[name] = oracle.ongoing_trials[name] = trial
        self.save(trial)
        return trial

    def end(self, trial: Trial, score: float | None, message: str | None = None) -> None:
        """Ends a trial: COMPLETED with a score, or FAILED with a message."""
        trial.score, trial.message = score, message
        trial.status = "FAILED" if score is None else "COMPLETED"
        self.oracle.ongoing_trials.pop(trial.trial_id, None)
        self.save(trial)

    def save(self, trial: Trial) -> None:
        trials = {name: other.get_state() for name, other in self.oracle.trials.items()}
        state = {"oracle": self.oracle.get_state(), "trials": trials}
        write_text(self.path, json.dumps(state))  # an indent would take four times as long
        directory = self.path.parent / f"trial_{trial.trial_id}"
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "trial.json", trial.get_state())  # for those who read the results

    def needed(self) -> set[str]:
        """The trials whose networks a later one may continue to train."""
        brackets = getattr(self.oracle, "_brackets", ())
        rounds = itertools.chain.from_iterable(bracket["rounds"] for bracket in brackets)
        candidates = {info["id"] for trials in rounds for info in trials}
        return candidates | {trial.hyperparameters.values.get("tuner/trial_id") for trial in self.running}
