"""Printed output of a run: a progress bar on a terminal, and one line per epoch."""

import sys
import time

import keras


def duration(seconds: float) -> str:
    """Returns a duration as text, such as "5 min 03 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"


class EpochLines(keras.callbacks.Callback):
    """Prints a line after each epoch and, on a terminal, a progress bar over its batches.

    Args:
        evaluated: Name of the part that `fit` evaluates, `"validation"` or `"test"`. It is printed in the line.
        prefix: Text before each line, such as the name of a worker.
        stream: The stream to print to. Defaults to `sys.stdout`.
    """

    def __init__(self, evaluated: str = "validation", prefix: str = "", stream=None):
        super().__init__()
        self.evaluated, self.prefix = evaluated, prefix
        self.stream = stream or sys.stdout

    def print_line(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(f"{self.prefix}{text}", file=self.stream)
        self.stream.flush()

    def on_epoch_begin(self, epoch, logs=None):
        from tqdm import tqdm

        self.began = time.perf_counter()
        watched = not self.prefix and self.stream.isatty()
        self.bar = tqdm(total=self.params["steps"], leave=False, file=self.stream, disable=not watched)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {"loss": "loss", "accuracy": "accuracy"}
        figures |= {f"val_{name}": f"{self.evaluated} {name}" for name in ("loss", "accuracy")}
        shown = ", ".join(f"{title} {logs[name]:.4f}" for name, title in figures.items() if name in (logs or {}))
        seconds = duration(time.perf_counter() - self.began)
        self.print_line(f"  epoch {epoch + 1} of {self.params['epochs']}: {shown}, learning rate {rate:g}, {seconds}")
