"""Keras Tuner's oracles, made to survive: their state is written whole, it resumes anywhere, and a failure is a row.

What is mended here was met in Keras Tuner 1.4.8: CONTRIBUTING.md has the list, tests/test_tuning.py a test of each.
"""

import contextlib
import copy
import functools
import itertools
import math
import os
import random
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle

from experiments.report import best_of, read_trials, write_csv
from keras_resnet.files import NO_SPACE, is_full, read_json, readable, write_json

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
FINISHED = ("COMPLETED", "FAILED")
THROUGH = "through"  # the file by which a chief says that no trial is left, and that it goes


class Corrupt(RuntimeError):
    """More of a sweep is in pieces than can be made again from the rest."""


def role() -> str:
    """What this process is in a search: "alone", or by Keras Tuner's environment its "chief" or a "worker"."""
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return "alone"
    return "chief" if "chief" in os.environ.get("KERASTUNER_TUNER_ID", "") else "worker"


@contextlib.contextmanager
def crash_only():
    """Ends a chief in which something fails, to be started again: Keras Tuner's own would hang, and say nothing."""
    try:
        yield
    except Exception as error:
        if role() != "chief":
            raise
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(NO_SPACE if is_full(error) else 1)


class Resumable(keras_tuner.Oracle):
    """An oracle that may be killed at any moment: at most the trials in flight are run again.

    The result of a trial is what its worker left in `result.json`; what comes over the wire only says that it is there.
    """

    trials: dict[str, Any]
    end_order: list[str]
    progress: Any = None
    keep = "best"  # or "all": the nets that are not deleted
    rebuildable = True  # from the trials alone

    def save(self):
        write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial):
        write_json(self.trial_file(trial.trial_id, "trial.json"), trial.get_state())

    def trial_file(self, trial_id: str, name: str) -> Path:
        return Path(self._get_trial_dir(trial_id), name)

    def get_state(self):
        values = {name: trial.hyperparameters.values for name, trial in self.trials.items()}
        tried = sorted(self._tried_so_far)  # a set, whose order is another one each time
        return {**super().get_state(), "values": values, "tried_so_far": tried}

    def reload(self):
        """Keras Tuner writes a trial and then the state that knows of it; a kill between the two is mended here."""
        self.mend()
        held = read_json(self._get_oracle_fname())["ongoing_trials"]
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order if name in self.trials}
        finished = [name for name, trial in self.trials.items() if trial.status in FINISHED]
        ended = [name for name in self.end_order if name in finished]
        self.end_order = ended + [name for name in finished if name not in ended]
        for name, trial in self.trials.items():
            if name not in finished:
                self.trials[name] = Trial(trial.hyperparameters, name, "RUNNING")
            self._record_values(trial)
        if role() == "chief":  # its workers are at work still, or come back under their names
            self.ongoing_trials = {
                worker: self.trials[name]
                for worker, name in held.items()
                if name in self.trials and name not in finished
            }
        held = {trial.trial_id for trial in self.ongoing_trials.values()}
        waiting = [name for name in self.trials if name not in finished and name not in held]
        self._retry_queue = waiting[::-1]  # popped from the end

    def mend(self):
        """Sets aside what is no JSON any more, as `.corrupt`: such a trial is run again, with the values it had."""
        oracle, broken = Path(self._get_oracle_fname()), []
        for path in sorted(Path(self._project_dir).glob("trial_*/trial.json")):
            trial, result = as_trial(readable(path)), path.with_name("result.json")
            if trial is None or (trial.status == "COMPLETED" and "validation_accuracy" not in (readable(result) or {})):
                broken.append(path)
                set_aside(path)
                set_aside(result)
                print(
                    f"{path} or its result is in pieces: set aside as .corrupt, the trial is run again", file=sys.stderr
                )
        state = readable(oracle)
        if state is None:
            if broken or not self.rebuildable:
                raise Corrupt(f"{oracle} is in pieces, and what it held cannot be told from the rest: use --overwrite")
            set_aside(oracle)
            names = [path.parent.name.removeprefix("trial_") for path in oracle.parent.glob("trial_*/trial.json")]
            state = self.get_state() | {"start_order": sorted(names, key=int)}
            print(f"{oracle} is in pieces: set aside as .corrupt, and made again from the trials", file=sys.stderr)
            write_json(oracle, state)
        for name, values in state.get("values", {}).items():
            if not self.trial_file(name, "trial.json").exists():
                hyperparameters = self.hyperparameters.copy()
                hyperparameters.values = values
                self._save_trial(Trial(hyperparameters, name, "RUNNING"))

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        with crash_only():
            trial = super().create_trial(tuner_id)
            if trial.status == "RUNNING" and self.progress:
                self.progress.trial_begins(self, trial)
            return trial

    @keras_tuner.synchronized
    def update_trial(self, trial_id, metrics, step=0):
        with crash_only():
            return super().update_trial(trial_id, metrics, step)

    def is_through(self) -> bool:
        """Whether no trial is at work, waits or is left. What is drawn to see that is put back."""
        if self.ongoing_trials or self._retry_queue:
            return False
        if self.max_trials and len(self.trials) >= self.max_trials:
            return True
        before = copy.deepcopy(self.get_state())
        try:
            return self.populate_space(str(len(self.trials)))["status"] == "STOPPED"
        finally:
            self.set_state(before)

    def score_trial(self, trial):
        result = read_json(self.trial_file(trial.trial_id, "result.json"))
        trial.score, trial.best_step = result["validation_accuracy"], result["epochs"]

    @keras_tuner.synchronized
    def end_trial(self, trial):
        with crash_only():
            known = self.trials.get(trial.trial_id)
            if (
                known is None or trial.trial_id in self.end_order
            ):  # said again: the answer was lost with an earlier chief
                self.ongoing_trials = {who: other for who, other in self.ongoing_trials.items() if other is not known}
                return
            result = readable(self.trial_file(trial.trial_id, "result.json")) or {}
            trial.message = trial.message or result.get("error")  # Keras Tuner sends none over the wire
            super().end_trial(trial)
            best = self.tidy()
            if self.progress:
                self.progress.trial_ends(self, known, best)

    def best_trial(self):
        """The completed trial with the highest score, the first of equals; None if there is none."""
        best = best_of(read_trials(self._project_dir))
        return best and self.trials[best["trial"]]

    def needed(self) -> set[str]:
        """The trials whose nets the search itself will ask for."""
        return set()

    def tidy(self):
        """Writes `trials.csv`, deletes the nets that nobody will ask for, returns the best trial."""
        write_csv(self._project_dir, read_trials(self._project_dir))
        best = self.best_trial()
        needed = self.needed() | ({best.trial_id} if best else set())
        if self.keep == "best":
            for name, trial in self.trials.items():
                if trial.status in FINISHED and name not in needed:
                    self.trial_file(name, "model.keras").unlink(missing_ok=True)
        return best


def as_trial(state) -> Trial | None:
    """The trial whose state that is, None where it is none."""
    try:
        return Trial.from_state(state)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def set_aside(path: Path) -> None:
    if path.exists():
        os.replace(path, path.with_suffix(".corrupt"))


class GridOracle(Resumable):
    """Every combination, the first choice slowest. What is left follows from the trials alone, so it resumes."""

    def populate_space(self, trial_id):
        values = next(self.untried(), None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}

    def untried(self):
        """The combinations that are left, in the order in which they are taken."""
        names = [choice.name for choice in self.hyperparameters.space]
        tried = {tuple(trial.hyperparameters.values[name] for name in names) for trial in self.trials.values()}
        return (values for values in self.combinations() if tuple(values.values()) not in tried)

    def combinations(self):
        space = self.hyperparameters.space
        products = itertools.product(*(choice.values for choice in space))
        return [dict(zip((choice.name for choice in space), product, strict=True)) for product in products]

    def number_of_combinations(self) -> int:
        return math.prod(len(choice.values) for choice in self.hyperparameters.space)


class RandomOracle(GridOracle):
    """Combinations drawn without replacement: none comes twice, and none is missed where all are asked for."""

    def combinations(self):
        combinations = super().combinations()
        random.Random(self.seed).shuffle(combinations)
        return combinations


class BayesianOracle(RandomOracle, BayesianOptimizationOracle):
    """The first trials are drawn, each that follows is the untried combination with the best upper confidence bound.

    Keras Tuner looks for the best point between the combinations, which leads to tried ones again and again, and begins
    after three completed trials for every choice, also for those that leave none.
    """

    def populate_space(self, trial_id):
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        untried = list(self.untried())
        if len(completed) < self.number_of_draws() or not untried:
            return super().populate_space(trial_id)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a length scale at its bound: the trials do not tell more
            self.gpr.fit(*self._vectorize_trials())  # of what is to be minimised
        points = [
            [choice.value_to_prob(values[choice.name]) for choice in self._nonfixed_space()] for values in untried
        ]
        mean, deviation = self.gpr.predict(points, return_std=True)
        return {"status": "RUNNING", "values": untried[(mean - self.beta * deviation).argmin()]}

    def number_of_draws(self) -> int:
        """Three for each choice, but half of the trials at most; three at least."""
        limit = self.max_trials or self.number_of_combinations()
        return max(3, min(3 * len(self._nonfixed_space()), limit // 2))

    def _nonfixed_space(self):
        """Its dimensions: a choice of one value is none."""
        return [choice for choice in self.hyperparameters.space if len(choice.values) > 1]


class HalvingOracle(RandomOracle, HyperbandOracle):
    rebuildable = False

    def __init__(self, max_trials=None, **kwargs):
        super().__init__(**kwargs)
        self.max_trials = max_trials

    def populate_space(self, trial_id):
        """Keras Tuner waits for every trial of a round to complete: one that failed would keep all from promotion."""
        failed = [trial for trial in self.trials.values() if trial.status == "FAILED"]
        for trial in failed:
            trial.status, trial.score = "COMPLETED", -math.inf
        try:
            return HyperbandOracle.populate_space(self, trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = "FAILED", None

    def _random_values(self):
        """Keras Tuner draws with replacement, and ends the search after 21 repeats."""
        return next(self.untried(), None)

    def _get_size(self, bracket_num, round_num):
        """Keras Tuner's own, as long as there are combinations; then a first round is what the earlier ones left."""
        own = super()._get_size
        earlier = sum(own(bracket, 0) for bracket in range(bracket_num + 1, self._get_num_brackets()))
        first = min(own(bracket_num, 0), max(0, self.number_of_combinations() - earlier))
        return math.ceil(first / self.factor**round_num)

    def needed(self):
        """Those that may still be promoted, and those that a trial in flight goes on with."""
        rounds = itertools.chain.from_iterable(bracket["rounds"] for bracket in self._brackets)
        candidates = {info["id"] for trials in rounds for info in trials}
        flying = (trial for trial in self.trials.values() if trial.status not in FINISHED)
        return candidates | {trial.hyperparameters.values.get("tuner/trial_id") for trial in flying}

    def sizes(self) -> list[int]:
        """The trials of each bracket, in all its rounds; the first bracket promotes most."""
        brackets = reversed(range(self._get_num_brackets()))
        return [sum(self._get_size(b, r) for r in range(self._get_num_rounds(b))) for b in brackets]


TUNERS = {"grid": GridOracle, "random": RandomOracle, "bayesian": BayesianOracle, "hyperband": HalvingOracle}


def make_oracle(tuner: str, space: dict, *, seed: int, max_trials: int | None, epochs: int):
    """The oracle of a row of TUNERS over `space`, name -> list of values."""
    hyperparameters = keras_tuner.HyperParameters()
    for name, values in space.items():
        hyperparameters.Choice(name, values)
    return TUNERS[tuner](
        objective=OBJECTIVE,
        hyperparameters=hyperparameters,
        allow_new_entries=False,
        seed=seed + 1,  # Keras Tuner takes 0 for "any"
        max_trials=max_trials,
        max_consecutive_failed_trials=10**9,  # a failed trial is a row, not the end
        **({"max_epochs": epochs} if tuner == "hyperband" else {}),
    )


class Through(Exception):
    """The chief has gone, and says by the file THROUGH that no trial of so many is left."""


class Distant:
    """The oracle as a worker has it, at the end of a wire: it is asked again where the chief was away for a moment, and
    only once a second where there is nothing to do yet. Asking twice does no harm. Where the chief is not there it
    raises Through, if the file `through` is, and TimeoutError after LONGEST seconds; Keras Tuner's client waits for an
    hour in any case.
    """

    LONGEST = 1800

    def __init__(self, client, through: Path):
        import grpc

        self.client, self.grpc, self.through = client, grpc, through
        address = f"{os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']}"
        soon = [("grpc.max_reconnect_backoff_ms", 2000)]  # gRPC's own goes up to two minutes
        self.channel = grpc.insecure_channel(address, options=soon)
        client.stub = type(client.stub)(self.channel)

    def __getattr__(self, name):
        attribute = getattr(self.client, name)
        return functools.partial(self.ask, attribute) if callable(attribute) else attribute

    def ask(self, method, *args, **kwargs):
        since = time.monotonic()
        while True:
            try:
                self.grpc.channel_ready_future(self.channel).result(timeout=5)
                return method(*args, **kwargs)
            except self.grpc.FutureTimeoutError:
                if readable(self.through) == {"max_trials": self.client.max_trials}:
                    raise Through from None
                if time.monotonic() - since > self.LONGEST:
                    raise TimeoutError(f"the chief was not there for {self.LONGEST} seconds") from None
            except self.grpc.RpcError as error:
                if error.code() is not self.grpc.StatusCode.UNAVAILABLE:
                    raise
                time.sleep(1)

    def create_trial(self, tuner_id):
        while (trial := self.ask(self.client.create_trial, tuner_id)).status == "IDLE":
            time.sleep(1)
        return trial
