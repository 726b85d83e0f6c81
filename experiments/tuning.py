"""The trials of a sweep, run by Keras Tuner: each is a row with a seed of its own, whatever becomes of it."""

import contextlib
import os
import random
import shutil
import statistics
import time
import traceback
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from experiments import training
from experiments.oracles import THROUGH, Distant, role
from experiments.report import read_trials
from keras_resnet.files import is_full, readable, whole, write_json, write_text
from keras_resnet.macs import model_size

ATTEMPTS = 10  # so often may a process be killed in one trial


class Enough(Exception):
    """This process has run its share of trials; a fresh one goes on."""


class DiskFull(keras_tuner.errors.FatalRuntimeError):
    """There is no space left, which is not the fault of the trial that met it."""


class Lost(RuntimeError):
    """The process died in this trial, time and again: what kills it is likely the trial."""


def trial_seed(seed: int, trial_id: str) -> int:
    """The seed of a trial: its own, and the same when it is run again."""
    return random.Random(f"{seed}/{int(trial_id)}").randrange(2**31)


class Trials(keras_tuner.Tuner):
    """Runs trials one after the other; each leaves `result.json` beside Keras Tuner's `trial.json`.

    `settings` is the part of a sweep that no trial changes. A trial's score is the validation accuracy of its last
    epoch, which is that of the weights it leaves in `model.keras`. With `at_most`, `search` raises Enough after so many
    trials: what TensorFlow keeps of each goes with the process.
    """

    def __init__(self, oracle, settings, data, *, directory, name, progress, keep="best", at_most=None):
        oracle.progress, oracle.keep = progress, keep
        # A run under another tuner id would not find the state, and would begin anew on top of it.
        state = Path(directory, name, os.environ.get("KERASTUNER_TUNER_ID", "tuner0") + ".json")
        if role() != "worker" and state.with_name("oracle.json").exists() and not state.exists():
            write_json(state, {})
        with contextlib.redirect_stdout(None):  # "Reloading Tuner from"
            super().__init__(oracle=oracle, directory=str(directory), project_name=name)
        oracle.verbose = 0
        if role() == "worker":
            self.oracle: Any = Distant(self.oracle, Path(self.project_dir) / THROUGH)
        self.settings, self.data, self.progress, self.at_most = settings, data, progress, at_most
        self.run_here, self.idle_since = 0, time.perf_counter()
        self.save()

    # the state is the chief's, or of who works alone

    def save(self):
        if role() != "worker":
            self.oracle.save()
            write_json(self._get_tuner_fname(), self.get_state())

    def reload(self):
        if role() != "worker":
            if readable(self._get_tuner_fname()) is None:  # in pieces, and it says nothing
                write_json(self._get_tuner_fname(), self.get_state())
            super().reload()

    def pre_create_trial(self):
        if self.run_here == self.at_most:
            raise Enough

    def run_trial(self, trial, **_):
        directory = Path(self.get_trial_dir(trial.trial_id))
        clock = Clock({"between": time.perf_counter() - self.idle_since})
        record: dict[str, object] = {"seed": trial_seed(self.settings.seed, trial.trial_id)}
        try:
            for path in (*directory.glob(".unfinished-*"), directory / "error.txt"):  # of a run that was cut short
                path.unlink(missing_ok=True)
            with failures(directory, record), attempt(directory):
                self.train(trial, record, clock)
            write_json(directory / "result.json", {**record, "ended": time.time()})
        except OSError as error:
            if not is_full(error):
                raise
            raise DiskFull(f"{error.strerror}: {error.filename or directory}") from error
        finally:
            self.run_here += 1
            self.idle_since = time.perf_counter()
        return {"val_accuracy": record["validation_accuracy"]}

    def train(self, trial, record, clock):
        """Fills the record, as far as it comes."""
        values, settings = trial.hyperparameters.values, self.settings
        keras.utils.set_random_seed(record["seed"])
        with clock.measures("build"):
            self.check_size(values, record)
            keras.backend.clear_session()
            model = self.prepare(values)
            record |= model_size(model)
        callbacks = [self.progress.callback(), *self.tensorboard(trial), clock]
        if settings.median_stopping is not None:
            callbacks.append(MedianStopping(self.curves, settings.median_stopping))
        record |= training.fit(
            model,
            self.data,
            seed=record["seed"],
            epochs=values.get("tuner/epochs", settings.epochs),
            initial_epoch=values.get("tuner/initial_epoch", 0),
            batch_size=settings.batch_size,
            patience=settings.patience,
            early_stopping=settings.early_stopping,
            callbacks=tuple(callbacks),
        )
        record["stopped"] = getattr(callbacks[-1], "stopped", False)
        with clock.measures("save"):
            save_model(model, self.model_path(trial.trial_id))
        record["overhead"] = round(sum(clock.seconds.values()), 2)
        record["overheads"] = {name: round(seconds, 2) for name, seconds in clock.seconds.items()}

    def prepare(self, values):
        """A new model; or where Hyperband promotes a trial, that trial's, whose momentum and learning rate go on."""
        keras.config.set_dtype_policy(training.POLICIES[self.settings.precision])
        if "tuner/trial_id" in values:
            path = self.model_path(values["tuner/trial_id"])
            if not path.exists():
                raise RuntimeError(f"trial {values['tuner/trial_id']}, which this one was to go on with, failed")
            return keras.models.load_model(path)
        return training.build(values, self.data, self.settings.precision)

    def check_size(self, values, record):
        """Raises Oversized before anything is allocated."""
        limits = {"parameters": self.settings.max_parameters, "multiply_adds": self.settings.max_macs}
        if any(limits.values()):
            record |= training.size_of(values, self.data)
        for name, limit in limits.items():
            if limit is not None and record[name] > limit:
                flag = {"parameters": "--max-params", "multiply_adds": "--max-macs"}[name]
                raise training.Oversized(f"{record[name]} {name.replace('_', '-')} are more than {flag} {limit}")

    def curves(self):
        """The validation accuracies of the trials that have ended, an epoch each."""
        rows = read_trials(self.project_dir)
        return [row["history"]["val_accuracy"] for row in rows if row["status"] in ("COMPLETED", "STOPPED")]

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

    def best_trial(self):
        return self.oracle.best_trial()


@contextlib.contextmanager
def attempt(directory: Path):
    """Counts how often a trial has begun and not come to an end; raises Lost where that is too often."""
    path = directory / "attempts.json"
    before = readable(path) or 0
    if before >= ATTEMPTS:
        path.unlink()
        raise Lost(f"the process died {before} times in it")
    write_json(path, before + 1)
    try:
        yield
    except (KeyboardInterrupt, OSError):  # not the trial's fault
        with contextlib.suppress(OSError):
            write_json(path, before)
        raise
    except Exception:
        path.unlink()
        raise
    path.unlink()


@contextlib.contextmanager
def failures(directory: Path, record: dict):
    """Notes why a trial fails in its record, and where in `error.txt`."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise
        record["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
        write_text(directory / "error.txt", traceback.format_exc())
        write_json(directory / "result.json", {**record, "ended": time.time()})
        raise


class Clock(keras.callbacks.Callback):
    """Where the seconds of a trial go that are not training: name -> seconds. Tracing is what passes before the first
    batch of training, and the first of validation, is through.
    """

    def __init__(self, seconds: dict[str, float]):
        super().__init__()
        self.seconds = seconds

    @contextlib.contextmanager
    def measures(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start

    def on_train_begin(self, logs=None):
        self.waits = {"training": time.perf_counter(), "validation": 0.0}

    def on_test_begin(self, logs=None):
        if self.waits.get("validation") == 0:
            self.waits["validation"] = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.through("training")

    def on_test_batch_end(self, batch, logs=None):
        self.through("validation")

    def through(self, kind: str) -> None:
        if kind in self.waits:
            self.seconds["trace"] = self.seconds.get("trace", 0) + time.perf_counter() - self.waits.pop(kind)


class MedianStopping(keras.callbacks.Callback):
    """Stops a trial whose best accuracy so far is below the median of the others' mean accuracies up to the same epoch.

    The median stopping rule of Google Vizier (Golovin et al. 2017). `curves()` gives the accuracies of the trials that
    have ended; it is asked anew every epoch, as other workers add to them. Nothing is stopped in the first `warm_up`
    epochs, in the last, nor before there are LEAST others.
    """

    LEAST = 3

    def __init__(self, curves, warm_up: int):
        super().__init__()
        self.curves, self.warm_up = curves, warm_up
        self.best, self.stopped = 0.0, False

    def on_epoch_end(self, epoch, logs=None):
        self.best = max(self.best, (logs or {}).get("val_accuracy", 0.0))
        seen = epoch + 1
        if self.warm_up < seen < self.params["epochs"]:
            means = [statistics.fmean(curve[:seen]) for curve in self.curves() if len(curve) >= seen]
            if len(means) >= self.LEAST and self.best < statistics.median(means) - 1e-9:  # means are rounded
                self.stopped = self.model.stop_training = True


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
