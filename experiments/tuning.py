"""Keras Tuner, made to survive: its oracles write their state whole, resume anywhere, and count a failure as a row.

What is mended here was met in Keras Tuner 1.4.8; each has a test in tests/test_tuning.py.
"""

import contextlib
import itertools
import math
import os
import random
import shutil
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle

import keras_resnet
from experiments import training
from experiments.files import whole, write_json
from experiments.report import read_trials, write_csv

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
FINISHED = ("COMPLETED", "FAILED")


class Resumable(keras_tuner.Oracle):
    """An oracle that may be killed at any moment: at most the trial in flight is run again."""

    trials: dict[str, Any]

    def save(self):
        write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial):
        write_json(Path(self._get_trial_dir(trial.trial_id), "trial.json"), trial.get_state())

    def reload(self):
        """Keras Tuner writes a trial and then the state that knows of it; a kill between the two is mended here."""
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order if name in self.trials}
        finished = [name for name, trial in self.trials.items() if trial.status in FINISHED]
        self.end_order += [name for name in finished if name not in self.end_order]
        self._retry_queue = [name for name in reversed(self.trials) if name not in finished]  # popped from the end
        for name in self._retry_queue:  # a figure that is left from before would be taken for the new one
            fresh = keras_tuner.engine.trial.Trial(self.trials[name].hyperparameters, name, "RUNNING")
            self.trials[name] = fresh


class GridOracle(Resumable):
    """Every combination, the first choice slowest. What is left follows from the trials alone, so it resumes."""

    def populate_space(self, trial_id):
        tried = [trial.hyperparameters.values for trial in self.trials.values()]
        left = (values for values in self.combinations() if values not in tried)
        values = next(left, None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}

    def combinations(self):
        space = self.hyperparameters.space
        products = itertools.product(*(choice.values for choice in space))
        return [dict(zip((choice.name for choice in space), product, strict=True)) for product in products]


class RandomOracle(GridOracle):
    """Combinations drawn without replacement: none comes twice, and none is missed where all are asked for."""

    def combinations(self):
        combinations = super().combinations()
        random.Random(self.seed).shuffle(combinations)
        return combinations


class BayesianOracle(Resumable, BayesianOptimizationOracle):
    pass


class HalvingOracle(Resumable, HyperbandOracle):
    def __init__(self, max_trials=None, **kwargs):
        super().__init__(**kwargs)
        self.max_trials = max_trials

    def populate_space(self, trial_id):
        """Keras Tuner waits for every trial of a round to complete: one that failed would keep all from promotion."""
        failed = [trial for trial in self.trials.values() if trial.status == "FAILED"]
        for trial in failed:
            trial.status, trial.score = "COMPLETED", -math.inf
        try:
            return super().populate_space(trial_id)
        finally:
            for trial in failed:
                trial.status, trial.score = "FAILED", None

    def number_of_trials(self):
        """In all rounds of all brackets."""
        brackets = range(self._get_num_brackets())
        return sum(self._get_size(b, r) for b in brackets for r in range(self._get_num_rounds(b)))


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


def trial_seed(seed: int, trial_id: str) -> int:
    """The seed of a trial: its own, and the same when it is run again."""
    return random.Random(f"{seed}/{int(trial_id)}").randrange(2**31)


class Trials(keras_tuner.Tuner):
    """Runs trials one after the other; each leaves `result.json` beside Keras Tuner's `trial.json`.

    `settings` is the part of a sweep that no trial changes. A trial's score is the validation accuracy of its last
    epoch, which is that of the weights it leaves in `model.keras`; only the best is kept (Hyperband needs all).
    """

    def __init__(self, oracle, settings, data, *, directory, name, progress):
        # A run under another tuner id would not find the state, and would begin anew on top of it.
        state = Path(directory, name, os.environ.get("KERASTUNER_TUNER_ID", "tuner0") + ".json")
        if state.with_name("oracle.json").exists() and not state.exists():
            write_json(state, {})
        with contextlib.redirect_stdout(None):  # "Reloading Tuner from"
            super().__init__(oracle=oracle, directory=str(directory), project_name=name)
        self.oracle.verbose = 0
        self.settings, self.data, self.progress = settings, data, progress
        self.save()

    def save(self):
        self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())

    def run_trial(self, trial, **_):
        values = trial.hyperparameters.values
        seed = trial_seed(self.settings.seed, trial.trial_id)
        record: dict[str, object] = {"seed": seed}
        self.progress.trial_begins(self.oracle, trial)
        try:
            keras.backend.clear_session()
            keras.utils.set_random_seed(seed)
            model = self.prepare(values)
            parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
            record |= {"parameters": parameters, "multiply_adds": keras_resnet.count_macs(model)}
            self.check_size(parameters)
            record |= training.fit(
                model,
                self.data,
                seed=seed,
                epochs=values.get("tuner/epochs", self.settings.epochs),
                initial_epoch=values.get("tuner/initial_epoch", 0),
                batch_size=self.settings.batch_size,
                patience=self.settings.patience,
                early_stopping=self.settings.early_stopping,
                callbacks=(self.progress.callback(), *self.tensorboard(trial)),
            )
            save_model(model, self.model_path(trial.trial_id))
        except Exception as error:
            record["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
            raise
        finally:
            write_json(Path(self.get_trial_dir(trial.trial_id), "result.json"), record)
        return {"val_accuracy": record["validation_accuracy"]}

    def prepare(self, values):
        """A new model; or where Hyperband promotes a trial, that trial's, whose momentum and learning rate go on."""
        keras.config.set_dtype_policy(training.POLICIES[self.settings.precision])
        if "tuner/trial_id" in values:
            path = self.model_path(values["tuner/trial_id"])
            if not path.exists():
                raise RuntimeError(f"trial {values['tuner/trial_id']}, which this one was to go on with, failed")
            return keras.models.load_model(path)
        return training.build(values, self.data, self.settings.precision)

    def check_size(self, parameters):
        limit = self.settings.max_parameters
        if limit is not None and parameters > limit:
            raise training.Oversized(f"{parameters} parameters are more than --max-parameters {limit}")

    def model_path(self, trial_id):
        return Path(self.get_trial_dir(trial_id), "model.keras")

    def tensorboard(self, trial):
        if not self.settings.tensorboard:
            return ()
        from tensorboard.plugins.hparams import api as hparams

        logs = str(Path(self.project_dir, "tensorboard", f"trial_{trial.trial_id}"))
        shutil.rmtree(logs, ignore_errors=True)  # of a run that was cut short
        values = {name: value for name, value in trial.hyperparameters.values.items() if name in training.CHOICES}
        return keras.callbacks.TensorBoard(logs), hparams.KerasCallback(logs, values, trial_id=trial.trial_id)

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        write_csv(self.project_dir, read_trials(self.project_dir))
        best = self.best_trial()
        if not isinstance(self.oracle, HyperbandOracle):
            for other in self.oracle.trials.values():
                if other.status in FINISHED and other is not best:
                    self.model_path(other.trial_id).unlink(missing_ok=True)
        self.progress.trial_ends(self.oracle, self.oracle.trials[trial.trial_id], best)

    def best_trial(self):
        """The completed trial with the highest score, the first of equals; None if there is none."""
        completed = [trial for trial in self.oracle.trials.values() if trial.status == "COMPLETED"]
        return max(completed, key=lambda trial: trial.score, default=None)


def save_model(model, path):
    """As `.keras`, whole or not at all."""
    with whole(path) as unfinished:
        model.save(unfinished)


def forget(directory: Path):
    """Removes a sweep, if there is one; the name goes first, so that half of it is never resumed."""
    if (directory / "sweep.json").exists():
        trash = directory.with_name(f".{directory.name}.removed-{os.getpid()}")
        os.rename(directory, trash)
        shutil.rmtree(trash)
