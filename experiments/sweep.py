r"""Does the shortcut matter, and how deep? A Keras Tuner search over depth and shortcut type.

    python -m experiments.sweep                     # depths x shortcuts x seeds on CIFAR-10, some minutes on 2 cores
    python -m experiments.sweep --dataset cifar10 --depths 8 14 20 --shortcuts zero_pad projection none \
        --tuner random --max-trials 9 --epochs 3 --train-examples 10000 --directory runs --name first --seed 1
    python -m experiments.sweep --workers 4         # four at a time on this machine; --address auto: on a Ray cluster

Ctrl-C ends it, and the same command resumes it, also after a kill: runs that were interrupted continue after their last
complete epoch. <directory>/<name> then contains trials.csv, report.md and report.html with pictures, best.keras and
saved_model/1, the best network for TF Serving (`image`, pixels of 0 to 255, to `probabilities`).
"""

import argparse
import functools
import math
import os
import shlex
import shutil
import signal
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

import keras
from tqdm import tqdm

import keras_resnet
from experiments.flags import not_negative, not_negative_float, positive, positive_float
from experiments.oracles import TUNERS, Search, make_oracle
from experiments.report import best_of, read_trials, table, write_report
from experiments.runner import Task, add_runner_flags, end_on_full_disk, make_runner
from keras_resnet import BLOCKS, OPTIONS, ORDERS, SHORTCUTS
from keras_resnet.files import only_one, read_json, write_json, write_text
from keras_resnet.training import RECIPES, DataUnavailable, Run, evaluate
from keras_resnet.training.datasets import load_data
from keras_resnet.training.environment import machine, versions
from keras_resnet.training.progress import duration
from keras_resnet.training.run import PRECISIONS, precision_of, save_model
from keras_resnet.tuner import HyperResNet

CHOICES = ("depth", "shortcut", "order", "block", "width", "learning_rate", "weight_decay")
LEAST_CURVES = 3  # that the median stopping rule needs


# the flags that all trials of a sweep have in common: sweep.json has them, and a sweep resumes only with the same ones
SETTINGS = (
    "dataset", "recipe", "tuner", "seeds", "batch_size", "patience", "early_stopping", "median_stopping",
    "max_parameters", "max_macs", "tensorboard", "seed",
)  # fmt: skip


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.sweep", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    shortcuts = [*SHORTCUTS, *OPTIONS]

    space = parser.add_argument_group("the search space (several values each)")
    space.add_argument("--depths", nargs="+", type=positive, default=[8, 14, 20], help="6n + 2; bottlenecks 9n + 2")
    space.add_argument(
        "--shortcuts", nargs="+", choices=shortcuts, default=["zero_pad", "projection", "none"], metavar="SHORTCUT",
        help=f"of {', '.join(shortcuts)}",
    )  # fmt: skip
    space.add_argument(
        "--orders", nargs="+", choices=ORDERS, default=["original"], metavar="ORDER", help=f"of {', '.join(ORDERS)}"
    )
    space.add_argument(
        "--blocks", nargs="+", choices=BLOCKS, default=["building_block"], metavar="BLOCK",
        help=f"of {', '.join(BLOCKS)}",
    )  # fmt: skip
    space.add_argument("--widths", nargs="+", type=positive, default=[1], help="times 16 filters in conv2_x")
    space.add_argument("--learning-rates", nargs="+", type=positive_float, default=[0.1])
    space.add_argument("--weight-decays", nargs="+", type=not_negative_float, default=[1e-4])

    search = parser.add_argument_group("the search")
    search.add_argument("--tuner", choices=TUNERS, default="grid")
    search.add_argument(
        "--max-trials", type=positive,
        help="default: all combinations; bayesian: at most 10; hyperband: at least those of its first bracket",
    )  # fmt: skip
    search.add_argument("--seeds", type=positive, default=1, help="training runs per trial; default: 1")
    search.add_argument("--seed", type=not_negative, default=0, help="of the search, and of the first run of a trial")
    search.add_argument(
        "--max-params", "--max-parameters", type=positive, dest="max_parameters", metavar="N",
        help="a network with more trainable parameters is a failed trial, and is not built",
    )  # fmt: skip
    search.add_argument("--max-macs", type=positive, metavar="N", help="the same for multiply-adds per image")
    search.add_argument(
        "--keep-checkpoints", choices=("best", "all"), default="best",
        help="the networks that are kept (Hyperband keeps those it may continue to train until the end)",
    )  # fmt: skip
    search.add_argument("--directory", type=Path, default=Path("runs"))
    search.add_argument("--name", default="sweep")
    search.add_argument("--overwrite", action="store_true", help="remove a sweep of that name first")
    search.add_argument("--tensorboard", action="store_true", help="write logs with HParams to <name>/tensorboard")

    train = parser.add_argument_group("a training run")
    train.add_argument("--recipe", choices=RECIPES, default="plateau", metavar="RECIPE", help=", ".join(RECIPES))
    train.add_argument("--dataset", default="cifar10", help="cifar10, cifar100, digits, folder:PATH, a tfds data set")
    train.add_argument("--data-dir", help="of tfds; default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    train.add_argument("--train-examples", type=positive, help="default: 10000, or all if there are fewer")
    train.add_argument("--epochs", type=positive, help="default: 3, or more if 3 are less than 200 steps")
    train.add_argument("--batch-size", type=positive, default=128)
    train.add_argument(
        "--patience", type=positive, help="epochs of a plateau, for the recipe plateau; default: a tenth of --epochs"
    )
    train.add_argument("--early-stopping", type=positive, metavar="EPOCHS", help="stop after so many without gain")
    train.add_argument(
        "--median-stopping", type=not_negative, metavar="EPOCHS",
        help="after more than so many epochs, stop a run whose best accuracy is below the median of the others (with "
        "Ray it trains one epoch more, or several that are shorter than a second)",
    )  # fmt: skip
    train.add_argument("--precision", choices=PRECISIONS, default="auto")
    add_runner_flags(parser)

    options = parser.parse_args(arguments)
    check_depths(parser, options)
    if options.median_stopping is not None and options.tuner == "hyperband":
        parser.error("--median-stopping is not for hyperband, which stops trials by its own rule")
    if options.patience is not None and RECIPES[options.recipe].plateau is None:
        parser.error(f"--patience is for recipes that look for plateaus. Received: --recipe {options.recipe}")
    if options.tensorboard and keras.backend.backend() != "tensorflow":
        parser.error("--tensorboard needs Keras' TensorFlow backend")
    if not options.name or Path(options.name).name != options.name or options.name.startswith("."):
        parser.error(f"--name must be a plain file name. Received: {options.name!r}")
    return options


def check_depths(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuses a depth that none of the blocks allows. One that some do not allow gives failed trials."""
    for depth in options.depths:
        errors = []
        for block in options.blocks:
            try:
                keras_resnet.cifar(depth, block)
            except ValueError as error:
                errors.append(str(error))
        if len(errors) == len(options.blocks):
            parser.error(f"--depths: {errors[0]}")


def settings_of(options: argparse.Namespace, examples: int) -> argparse.Namespace:
    """SETTINGS with the defaults that depend on the data set, and `space`, name -> values that trials choose from."""

    def unique(values):
        return list(dict.fromkeys(values))

    space = dict(
        depth=unique(options.depths),
        shortcut=unique(OPTIONS.get(name, name) for name in options.shortcuts),
        order=unique(options.orders),
        block=unique(options.blocks),
        width=unique(options.widths),
        learning_rate=unique(options.learning_rates),
        weight_decay=unique(options.weight_decays),
    )
    examples = options.train_examples or min(10_000, examples)
    epochs = options.epochs or max(3, math.ceil(200 * options.batch_size / examples))
    if options.median_stopping is not None and options.median_stopping > epochs - 2:
        raise ValueError(
            f"--median-stopping must be at most {epochs - 2} with {epochs} epochs: it stops nothing in its first "
            f"epochs and in the last. Received: {options.median_stopping}"
        )
    return argparse.Namespace(
        space=space,
        train_examples=examples,
        epochs=epochs,
        precision=precision_of(options.precision),
        **{name: getattr(options, name) for name in SETTINGS},
    )


def number_of_trials(options: argparse.Namespace, settings: argparse.Namespace) -> int:
    """The highest number of trials. ValueError if they end before Hyperband has trained a network to the end."""
    combinations = math.prod(len(values) for values in settings.space.values())
    if settings.tuner == "hyperband":
        whole = make_oracle("hyperband", settings.space, seed=0, max_trials=None, epochs=settings.epochs)
        first, *others = whole.sizes()
        if options.max_trials is not None and options.max_trials < first:
            raise ValueError(
                f"--max-trials must be {first} or more, Hyperband's first bracket with --epochs {settings.epochs}. "
                f"Received: {options.max_trials}"
            )
        return min(options.max_trials or math.inf, first + sum(others))
    default = 10 if settings.tuner == "bayesian" else combinations
    return min(options.max_trials or default, combinations)


def open_directory(directory: Path, settings: argparse.Namespace, arguments: list[str]) -> None:
    """Writes sweep.json, or adds the command to it. SystemExit if the directory holds another sweep."""
    before, ours = read_json(directory / "sweep.json"), vars(settings)
    if before is not None:
        differences = "; ".join(
            f"{name}: there {before['settings'].get(name)}, here {value}"
            for name, value in ours.items()
            if before["settings"].get(name) != value
        )
        if differences:
            raise SystemExit(
                f"{directory} holds a sweep with other settings ({differences}). "
                "Its own command resumes it; for this one choose another --name, or --overwrite."
            )
    commands = (before or {}).get("commands", [])
    command = shlex.join(["python", "-m", "experiments.sweep", *arguments])
    about = {"commands": commands + [command] * (command not in commands), "machine": machine(), "versions": versions()}
    write_json(directory / "sweep.json", about | {"seed": settings.seed, "settings": ours})


class Sweep:
    """The trials of a sweep: proposed by an oracle, trained by a runner."""

    def __init__(self, options: argparse.Namespace, settings: argparse.Namespace, total: int, data, runner):
        self.options, self.settings, self.total, self.runner = options, settings, total, runner
        runner.on_epoch = self.is_hopeless
        self.directory = options.directory / options.name
        oracle = make_oracle(
            settings.tuner, settings.space, seed=settings.seed, max_trials=total, epochs=settings.epochs
        )
        self.search = Search(oracle, self.directory / "oracle.json")
        size = data.image_size or 32
        self.hypermodel = HyperResNet((size, size, 3), len(data.class_names), depths=[8], shortcuts=["A"])
        self.varied = [name for name, values in settings.space.items() if len(values) > 1]
        self.open: dict[str, set[int]] = {}  # the runs of each trial that have not ended
        self.curves: dict[tuple[str, int], list[float]] = {}  # of validation accuracies
        self.costs: dict[str, float] = {}  # multiply-adds of all runs of a trial
        self.began = time.monotonic()
        self.done_cost = 0.0
        self.report_due = 0.0

    def run(self) -> None:
        """Runs all trials that are left."""
        waiting = self.search.running
        while True:
            while self.runner.free > 0 and (trial := waiting.pop(0) if waiting else self.search.propose()):
                self.start(trial)
            if not self.open:
                return self.delete_networks(write_report(self.directory), set())
            done = self.runner.next()
            if done.error is not None:
                write_text(done.task.directory / "error.txt", done.error)
            trial_id, number = self.key(done.task)
            self.open[trial_id].discard(number)
            if not self.open[trial_id]:
                self.end(self.search.oracle.trials[trial_id])

    @staticmethod
    def key(task: Task) -> tuple[str, int]:
        """The trial, and the number of its run."""
        return task.directory.parent.name.removeprefix("trial_"), int(task.directory.name.removeprefix("seed"))

    def start(self, trial) -> None:
        """Submits the runs of a trial, or ends it if there is no such network."""
        values, settings = trial.hyperparameters.values, self.settings
        epochs, first = values.get("tuner/epochs", settings.epochs), values.get("tuner/initial_epoch", 0)
        print_line(f"{self.title(trial)}: {self.describe(trial)}")
        try:
            variant = self.hypermodel.variant(values)
            self.costs[trial.trial_id] = self.checked_size(values) * (epochs - first)
        except ValueError as error:
            self.open[trial.trial_id] = set()
            return self.end(trial, str(error))
        changes = {"learning_rate": values["learning_rate"], "weight_decay": values["weight_decay"]}
        changes |= {"batch_size": settings.batch_size, "early_stopping": settings.early_stopping}
        if RECIPES[settings.recipe].plateau is not None:
            changes["plateau"] = settings.patience or max(1, settings.epochs // 10)
        self.open[trial.trial_id] = set(range(settings.seeds))
        for number in range(settings.seeds):
            run = Run(
                variant, settings.dataset, settings.recipe, changes=changes, seed=settings.seed + number,
                precision=settings.precision, epochs=epochs, train_examples=settings.train_examples,
            )  # fmt: skip
            directory = self.run_directory(trial.trial_id, number)
            self.continue_from(values.get("tuner/trial_id"), number, directory)
            train = functools.partial(run, data_dir=self.options.data_dir, keep_backup=settings.tuner == "hyperband")
            self.runner.submit(Task(f"trial {trial.trial_id}, seed {run.seed}", train, directory))
        return None

    def continue_from(self, source: str | None, number: int, directory: Path) -> None:
        """Copies the backup of a trial that Hyperband promotes, if its learning rates do not depend on the epochs."""
        if source is None or directory.exists() or RECIPES[self.settings.recipe].schedule != "constant":
            return
        before = self.run_directory(source, number)
        if (before / "backup").exists():
            temporary = directory.with_name(f".{directory.name}")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            shutil.copytree(before / "backup", temporary / "backup")
            shutil.copy(before / "history.json", temporary)
            os.replace(temporary, directory)

    def run_directory(self, trial: str, number: int) -> Path:
        return self.directory / f"trial_{trial}" / f"seed{number}"

    def checked_size(self, values: dict) -> float:
        """The multiply-adds of a network; ValueError if it is larger than allowed."""
        size, settings = self.hypermodel.size(values), self.settings
        for name, flag, limit in (
            ("parameters", "--max-params", settings.max_parameters),
            ("multiply_adds", "--max-macs", settings.max_macs),
        ):
            if limit is not None and size[name] > limit:
                raise ValueError(f"{size[name]} {name.replace('_', '-')} are more than {flag} {limit}")
        return size["multiply_adds"]

    def end(self, trial, message: str | None = None) -> None:
        """Ends a trial: its score is the mean validation accuracy of its runs."""
        del self.open[trial.trial_id]
        accuracies = []
        for number in range(self.settings.seeds):
            directory = self.run_directory(trial.trial_id, number)
            result = read_json(directory / "result.json") or {}
            if "validation_accuracy" in result:
                accuracies.append(result["validation_accuracy"])
                self.curves[trial.trial_id, number] = [row["validation_accuracy"] for row in result["history"]]
            elif message is None:
                error = directory / "error.txt"
                message = result.get("failure") or (error.read_text().strip().splitlines() or ["no result"])[-1]
        score = statistics.fmean(accuracies) if len(accuracies) == self.settings.seeds else None
        self.search.end(trial, score, message)
        if self.settings.tensorboard and score is not None:
            write_tensorboard(self.directory, trial, self.settings.seeds)
        rows = self.report()
        self.delete_networks(rows, self.search.needed())
        self.done_cost += self.costs.get(trial.trial_id, 0.0)
        print_line(self.summary(trial, score, message, rows))

    def report(self) -> list[dict]:
        """Returns the rows of the report, and writes it if that takes at most a tenth of the time since the last."""
        start = time.monotonic()
        if start < self.report_due:
            return read_trials(self.directory)
        rows = write_report(self.directory)
        self.report_due = start + 10 * (time.monotonic() - start)
        return rows

    def delete_networks(self, rows: list[dict], needed: set[str]) -> None:
        """Deletes the backups, and the networks except for the best, of ended trials that are not `needed`."""
        best = best_of(rows)
        for trial in self.search.trials:
            if trial.status == "RUNNING" or trial.trial_id in needed:
                continue
            for number in range(self.settings.seeds):
                directory = self.run_directory(trial.trial_id, number)
                shutil.rmtree(directory / "backup", ignore_errors=True)
                if self.options.keep_checkpoints == "best" and not (best and trial.trial_id == best["trial"]):
                    (directory / "model.keras").unlink(missing_ok=True)

    def is_hopeless(self, task: Task, epoch: int, figures: dict) -> bool:
        """The median stopping rule of Golovin et al. 2017 (Google Vizier).

        A run is stopped if its best accuracy is below the median of the mean accuracies that the others had up to the
        same epoch. Nothing is stopped in the first epochs, in the last, and with less than three others.
        """
        curve = self.curves.setdefault(self.key(task), [])
        del curve[epoch - 1 :]
        curve.append(figures["validation_accuracy"])
        first = self.settings.median_stopping
        if first is None or not first < epoch < self.settings.epochs:
            return False
        others = [values for other, values in self.curves.items() if other != self.key(task) and len(values) >= epoch]
        means = [statistics.fmean(values[:epoch]) for values in others]
        return len(means) >= LEAST_CURVES and max(curve) < statistics.median(means)

    def title(self, trial) -> str:
        return f"trial {list(self.search.oracle.trials).index(trial.trial_id) + 1} of {self.total}"

    def describe(self, trial) -> str:
        return describe(trial.hyperparameters.values, self.varied)

    def summary(self, trial, score: float | None, message: str | None, rows: list[dict]) -> str:
        """What is printed when a trial has ended, with the time that is left, in proportion to the multiply-adds."""
        text = f"{self.title(trial)}: {trial.status}"
        text += f" ({message})" if score is None else f", validation accuracy {score:.4f}"
        if best := best_of(rows):
            text += f"; best so far {best['mean']:.4f} ({describe(best, self.varied)})"
        ended = sum(other.status != "RUNNING" for other in self.search.trials)
        if ended == self.total:
            return text + "; the last"
        mean = statistics.fmean(self.costs.values()) if self.costs else 0.0
        left = sum(self.costs.get(other.trial_id, mean) for other in self.search.running)
        left += mean * (self.total - len(self.search.trials))
        rate = self.done_cost / (time.monotonic() - self.began)
        return text + (f"; about {duration(left / rate)} left" if rate else "")


def print_line(text: str) -> None:
    tqdm.write(text)
    sys.stdout.flush()


def describe(values: dict, names: list[str]) -> str:
    """The choices of a trial as text: "depth 20, zero_pad"."""
    words = ("depth", "width", "learning_rate", "weight_decay")
    named = ", ".join(
        f"{name.replace('_', ' ')} {values[name]}" if name in words else str(values[name])
        for name in names
        if name in values
    )
    return named or "the only combination"


def write_tensorboard(directory: Path, trial, seeds: int) -> None:
    """Writes the curves and the hyperparameters of a trial as TensorBoard logs."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hparams

    values = {name: value for name, value in trial.hyperparameters.values.items() if name in CHOICES}
    for number in range(seeds):
        result = read_json(directory / f"trial_{trial.trial_id}" / f"seed{number}" / "result.json")
        logs = directory / "tensorboard" / f"trial_{trial.trial_id}" / f"seed{number}"
        shutil.rmtree(logs, ignore_errors=True)
        with tf.summary.create_file_writer(str(logs)).as_default():
            hparams.hparams(values, trial_id=f"{trial.trial_id}-{number}")
            for epoch, row in enumerate(result["history"]):
                for name, value in row.items():
                    tf.summary.scalar(name, value, step=epoch)


def finish(sweep: Sweep, rows: list[dict]) -> dict | None:
    """Writes the best network as best.keras and saved_model/, and evaluates it on the test set."""
    directory, settings, best = sweep.directory, sweep.settings, best_of(rows)
    before = read_json(directory / "best.json") or {"trial": None, "looks": 0}
    if best is None or before["trial"] == best["trial"]:
        return best
    if not before["looks"]:  # a kill may have left a part of it
        shutil.rmtree(directory / "saved_model", ignore_errors=True)
    model = keras.models.load_model(sweep.run_directory(best["trial"], best["seed"] - settings.seed) / "model.keras")
    save_model(model, directory / "best.keras")
    found = evaluate(model, settings.dataset, split="test", data_dir=sweep.options.data_dir)
    record = {"trial": best["trial"], "test_accuracy": found.top1, "test_examples": found.examples}
    record |= {"looks": before["looks"] + 1, "saved_model": None}
    if keras.backend.backend() == "tensorflow":
        metadata = {"dataset": settings.dataset, "test_accuracy": found.top1}
        exported = keras_resnet.export_saved_model(model, directory / "saved_model", warmup=False, metadata=metadata)
        record["saved_model"] = f"saved_model/{exported['version']}"
    write_json(directory / "best.json", record)
    return best


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, 1 if no trial was completed, 2 for bad flags, 130 after Ctrl-C, NO_SPACE if the disk was full."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    directory = options.directory / options.name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        try:
            runner = make_runner(options, print_line=print_line)
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        with runner:
            return run(options, runner, directory, arguments)
    except KeyboardInterrupt:
        print("\nStopped. The same command resumes the sweep.")
        if list(directory.glob("trial_*/trial.json")):
            write_report(directory)
            print(f"So far: {directory / 'report.md'}")
        return 130
    except DataUnavailable as error:
        print(f"{error}\nA sweep that needs no download: make sweep DATASET=digits", file=sys.stderr)
        return 1
    except OSError as error:
        return end_on_full_disk(error, directory)


def run(options: argparse.Namespace, runner, directory: Path, arguments: list[str]) -> int:
    try:
        data = load_data(options.dataset, data_dir=options.data_dir, train_examples=options.train_examples)
        if options.precision == "auto":
            options.precision = runner.call(precision_of, "auto")
        settings = settings_of(options, data.train.size)
        total = number_of_trials(options, settings)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    is_sweep = (directory / "sweep.json").exists()
    if directory.exists() and not is_sweep and any(path.name != ".lock" for path in directory.iterdir()):
        raise SystemExit(f"{directory} exists and holds no sweep; choose another --name.")
    if options.overwrite and is_sweep:
        with only_one(directory):  # not one that is running
            removed = directory.with_name(f".{directory.name}.removed-{os.getpid()}")
            os.rename(directory, removed)  # first: a part of a sweep is never resumed
            shutil.rmtree(removed)
    with only_one(directory):
        open_directory(directory, settings, arguments)
        sweep = Sweep(options, settings, total, data, runner)
        held = data.validation.size if data.validation else 0
        print_line(
            f"{data.name}: {settings.train_examples} images to train on, {held} to validate; {settings.precision}"
        )
        sweep.run()
        rows = write_report(directory)  # before anything that could still fail
        best = finish(sweep, rows)
        rows = write_report(directory)
    print(f"\n{table(rows)}\n")
    if best is None:
        reasons = Counter(row["error"] for row in rows if row["error"])
        lines = "".join(f"\n  {count} x {reason}" for reason, count in reasons.most_common(5))
        print(f"No trial was completed; the reasons are in {directory / 'trials.csv'}:{lines}", file=sys.stderr)
        return 1
    record = read_json(directory / "best.json")
    print(f"Best: {describe(best, sweep.varied)}: {record['test_accuracy']:.2%} on the test set")
    for name in ("report.md", "report.html", "trials.csv", "best.keras", record["saved_model"]):
        if name:
            print(f"  {directory / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
