"""What a sweep says while it runs: a line an epoch, and a line a trial with what is left."""

import sys
import time

import keras
from tqdm import tqdm


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


def describe(values: dict) -> str:
    """The choices of a trial as one reads them: depth 20, zero_pad, ..."""
    named = ("depth", "width", "learning_rate", "weight_decay")
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" if name in named else str(value)
        for name, value in values.items()
        if "/" not in name  # Hyperband's own bookkeeping
    )


class Progress:
    """`total` is the number of trials, where it is known; `varied` names the choices that are worth a word; `who` says
    it, where several do.
    """

    def __init__(self, total: int | None, varied: list[str], stream=None, who: str = ""):
        self.total, self.varied, self.who = total, varied, who
        self.stream = stream or sys.stdout
        self.finished_here = 0  # trials, since this process began its first
        self.begun: dict[str, float] = {}
        self.since: float | None = None

    def say(self, text: str) -> None:
        tqdm.write(f"{self.who}: {text}" if self.who else text, file=self.stream)
        self.stream.flush()

    def trial_begins(self, oracle, trial) -> None:
        self.begun[trial.trial_id] = time.perf_counter()
        self.since = self.since or time.perf_counter()
        self.say(f"{self.title(oracle, trial)}: {self.choices(trial)}")

    def title(self, oracle, trial) -> str:
        number = oracle.start_order.index(trial.trial_id) + 1
        return f"trial {number}" + (f" of {self.total}" if self.total else "")

    def callback(self, evaluated: str = "validation") -> keras.callbacks.Callback:
        """A line an epoch; `evaluated` names the set that `fit` gets as `validation_data`."""
        return EpochLines(self.say, self.stream, bar=not self.who and self.stream.isatty(), evaluated=evaluated)

    def choices(self, trial) -> str:
        values = trial.hyperparameters.values
        return describe({name: values[name] for name in self.varied if name in values}) or "the only combination"

    def trial_ends(self, oracle, trial, best) -> None:
        now = time.perf_counter()
        self.since = self.since or now
        took = f" in {duration(now - self.begun[trial.trial_id])}" if trial.trial_id in self.begun else ""
        self.finished_here += 1
        score = "" if trial.score is None else f", validation accuracy {trial.score:.4f}"
        reason = f" ({trial.message.strip().rpartition(chr(10))[2]})" if trial.message else ""
        parts = [f"{self.title(oracle, trial)}: {trial.status}{took}{score}{reason}"]
        if best:
            parts.append(f"best so far {best.score:.4f} ({self.choices(best)})")
        if self.total:
            left = max(0, self.total - len(oracle.end_order))
            rate = (now - self.since) / self.finished_here
            parts.append(f"about {duration(left * rate)} left" if left else "the last")
        self.say("; ".join(parts))


class EpochLines(keras.callbacks.Callback):
    """A bar over the batches of an epoch where somebody watches, and one line when it is over."""

    def __init__(self, say, stream, bar: bool, evaluated: str):
        super().__init__()
        self.say, self.stream, self.watched, self.evaluated = say, stream, bar, evaluated

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        self.bar = tqdm(total=self.params["steps"], leave=False, file=self.stream, disable=not self.watched)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {"loss": "loss", "accuracy": "accuracy"}
        figures |= {f"val_{name}": f"{self.evaluated} {name}" for name in ("loss", "accuracy")}
        shown = ", ".join(f"{title} {logs[name]:.4f}" for name, title in figures.items() if name in (logs or {}))
        seconds = duration(time.perf_counter() - self.began)
        self.say(f"  epoch {epoch + 1} of {self.params['epochs']}: {shown}, learning rate {rate:g}, {seconds}")
