r"""Does the shortcut matter, and how deep? A Keras Tuner search over depth and shortcut type.

    python -m experiments.sweep                     # 3 depths x 3 shortcuts on CIFAR-10, some minutes on 2 cores
    python -m experiments.sweep --dataset cifar10 --depths 8 14 20 --shortcuts zero_pad projection none \
        --tuner random --max-trials 9 --epochs 3 --train-examples 10000 --directory runs --name first --seed 1

Ctrl-C ends it cleanly, and the same command goes on where it stopped, after a SIGKILL too: at most the trial in flight
is run again. It leaves in <directory>/<name>: trials.csv, report.md and report.html with their pictures, best.keras
and saved_model/1, the best net for TF Serving (`image`, pixels of 0..255, to `probabilities`). On several processes:
python -m experiments.launch.
"""

import argparse
import contextlib
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

import keras_resnet
from experiments import training
from experiments.data import DATASETS, Data, DataUnavailable, Split, load, load_test
from experiments.flags import not_negative, not_negative_float, positive, positive_float
from experiments.oracles import THROUGH, TUNERS, Corrupt, Through, make_oracle, role
from experiments.progress import Progress, describe
from experiments.report import best_of, table, write_report
from experiments.tuning import DiskFull, Enough, Trials, forget, save_model
from keras_resnet import BLOCKS, OPTIONS, ORDERS, SHORTCUTS
from keras_resnet.files import NO_SPACE, is_full, only_one, read_json, readable, write_json
from keras_resnet.training.environment import machine, versions

AGAIN = 75  # EX_TEMPFAIL: this process has run its share of trials, a fresh one goes on


@dataclass(frozen=True)
class Settings:
    """What all trials of a sweep share. `space` is what they choose from, name -> values."""

    space: dict[str, list]
    dataset: str
    train_examples: int
    tuner: str
    epochs: int
    batch_size: int
    patience: int
    early_stopping: int | None
    median_stopping: int | None
    max_parameters: int | None
    max_macs: int | None
    precision: str
    tensorboard: bool
    seed: int


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.sweep", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    shortcuts = [*SHORTCUTS, *OPTIONS]

    space = parser.add_argument_group("what the trials choose from (several values each)")
    space.add_argument("--depths", nargs="+", type=positive, default=[8, 14, 20], help="6n + 2; bottlenecks 9n + 2")
    space.add_argument(
        "--shortcuts", nargs="+", choices=shortcuts, default=["zero_pad", "projection", "none"], metavar="SHORTCUT",
        help=f"of {', '.join(shortcuts)}",
    )  # fmt: skip
    space.add_argument(
        "--orders", nargs="+", choices=ORDERS, default=["original"], metavar="ORDER", help=f"of {', '.join(ORDERS)}"
    )
    space.add_argument(
        "--blocks",
        nargs="+",
        choices=BLOCKS,
        default=["building_block"],
        metavar="BLOCK",
        help=f"of {', '.join(BLOCKS)}",
    )
    space.add_argument("--widths", nargs="+", type=positive, default=[1], help="times 16 filters in conv2_x")
    space.add_argument("--learning-rates", nargs="+", type=positive_float, default=[0.1])
    space.add_argument("--weight-decays", nargs="+", type=not_negative_float, default=[1e-4])

    search = parser.add_argument_group("the search")
    search.add_argument("--tuner", choices=TUNERS, default="grid")
    search.add_argument(
        "--max-trials",
        type=positive,
        help="default: all combinations; bayesian: 10 at most; hyperband: no less than its first bracket",
    )
    search.add_argument(
        "--seed", type=not_negative, default=0, help="of the search; each trial has one of its own from it"
    )
    search.add_argument(
        "--max-params", "--max-parameters", type=positive, dest="max_parameters", metavar="N",
        help="a net of more trainable parameters is a failed trial, and is not built",
    )  # fmt: skip
    search.add_argument("--max-macs", type=positive, metavar="N", help="the same for multiply-adds of one image")
    search.add_argument(
        "--keep-checkpoints", choices=("best", "all"), default="best",
        help="the nets that are left at the end (Hyperband keeps what it may go on with until then)",
    )  # fmt: skip
    search.add_argument(
        "--trials-per-process", type=positive, default=25, metavar="N",
        help="a fresh process goes on after so many: TensorFlow keeps some memory of every net",
    )  # fmt: skip
    search.add_argument("--directory", type=Path, default=Path("runs"))
    search.add_argument("--name", default="sweep")
    search.add_argument("--overwrite", action="store_true", help="begin anew where a sweep of that name is")
    search.add_argument("--tensorboard", action="store_true", help="write logs with HParams to <name>/tensorboard")

    train = parser.add_argument_group("a trial: SGD with momentum 0.9, the learning rate divided by 10 on a plateau")
    train.add_argument("--dataset", choices=DATASETS, default="cifar10")
    train.add_argument("--data-dir", help="of tfds; default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    train.add_argument("--train-examples", type=positive, help="default: 10000, or all where there are fewer")
    train.add_argument("--epochs", type=positive, help="default: 3, or more where 3 are less than 200 steps")
    train.add_argument("--batch-size", type=positive, default=128)
    train.add_argument("--patience", type=positive, help="epochs of a plateau; default: a tenth of --epochs")
    train.add_argument("--early-stopping", type=positive, metavar="EPOCHS", help="stop after so many without gain")
    train.add_argument(
        "--median-stopping", type=not_negative, metavar="EPOCHS",
        help="after more than so many stop a trial whose best is below the median of the others' means by then",
    )  # fmt: skip
    train.add_argument("--precision", choices=training.PRECISIONS, default="float32")

    options = parser.parse_args(arguments)
    check_depths(parser, options)
    if options.median_stopping is not None and options.tuner == "hyperband":
        parser.error("--median-stopping is not for hyperband, which stops trials by its own rule")
    if options.tensorboard and keras.backend.backend() != "tensorflow":
        parser.error("--tensorboard needs Keras' TensorFlow backend")
    if not options.name or Path(options.name).name != options.name or options.name.startswith("."):
        parser.error(f"--name must be a plain file name. Received: {options.name!r}")
    return options


def check_depths(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """A depth that no block allows is a slip; one that some block allows not is a failed trial."""
    for depth in options.depths:
        errors = []
        for block in options.blocks:
            try:
                keras_resnet.cifar(depth, block)
            except ValueError as error:
                errors.append(str(error))
        if len(errors) == len(options.blocks):
            parser.error(f"--depths: {errors[0]}")


def settings_of(options: argparse.Namespace, data: Data) -> Settings:
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
    assert tuple(space) == training.CHOICES
    examples = len(data.train.labels)
    epochs = options.epochs or max(3, math.ceil(200 * options.batch_size / examples))
    if options.median_stopping is not None and options.median_stopping > epochs - 2:
        raise ValueError(
            f"--median-stopping must be at most {epochs - 2} with {epochs} epochs: it stops nothing in its first "
            f"epochs and in the last. Received: {options.median_stopping}"
        )
    return Settings(
        space,
        options.dataset,
        examples,
        options.tuner,
        epochs,
        options.batch_size,
        options.patience or max(1, epochs // 10),
        options.early_stopping,
        options.median_stopping,
        options.max_parameters,
        options.max_macs,
        training.precision_of(options.precision),
        options.tensorboard,
        options.seed,
    )


def number_of_trials(options: argparse.Namespace, settings: Settings) -> int:
    """How many there will be at most. ValueError where they end before Hyperband has trained a net to the end."""
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


def leave_alone(directory: Path) -> None:
    """SystemExit where the directory holds something, and it is no sweep."""
    strange = directory.exists() and not (directory / "sweep.json").exists()
    if strange and any(path.name != ".lock" for path in directory.iterdir()):
        raise SystemExit(f"{directory} is there and holds no sweep; choose another --name.")


def compare(before: dict | None, ours: dict, directory: Path) -> None:
    """SystemExit where the directory holds a sweep with other settings than ours."""
    if before is not None:
        differs = [name for name, value in ours.items() if before["settings"].get(name) != value]
        if differs:
            told = "; ".join(f"{name}: there {before['settings'].get(name)}, here {ours[name]}" for name in differs)
            raise SystemExit(
                f"{directory} holds a sweep with other settings ({told}). "
                "The same command goes on with it; for this one choose another --name, or --overwrite."
            )


def open_directory(directory: Path, settings: Settings, arguments: list[str]) -> None:
    """Notes this sweep in its directory, or sees that the one there is this one. SystemExit where it is another."""
    before, ours = readable(directory / "sweep.json"), asdict(settings)
    if before is None and (directory / "oracle.json").exists():
        raise Corrupt(f"{directory / 'sweep.json'} is lost or in pieces, and with it the settings: use --overwrite")
    compare(before, ours, directory)
    commands = (before or {}).get("commands", [])
    command = shlex.join(["python", "-m", "experiments.sweep", *arguments])
    write_json(
        directory / "sweep.json",
        {
            "commands": commands + [command] * (command not in commands),
            "machine": machine(),
            "versions": versions(),
            "seed": settings.seed,
            "settings": ours,
        },
    )


def load_data(options: argparse.Namespace) -> Data:
    """The training and validation part; without --train-examples 10,000 pictures, or all where there are fewer."""
    data = load(options.dataset, data_dir=options.data_dir, train_examples=options.train_examples)
    if options.train_examples is not None:
        return data
    return replace(data, train=Split(*(array[:10_000] for array in data.train)))


def finish(directory: Path, tuner: Trials, options: argparse.Namespace) -> None:
    """The best net as best.keras and saved_model/, and its one look at the test set."""
    best = tuner.best_trial()
    before = readable(directory / "best.json") or {"trial": None, "looks": 0}
    if best is None or before["trial"] == best.trial_id:
        return
    if not before["looks"]:  # what a kill may have left of an earlier end
        shutil.rmtree(directory / "saved_model", ignore_errors=True)
    model = keras.models.load_model(tuner.model_path(best.trial_id))
    save_model(model, directory / "best.keras")
    test = load_test(options.dataset, data_dir=options.data_dir)
    accuracy = model.evaluate(test.images, test.labels, batch_size=500, verbose=0, return_dict=True)["accuracy"]
    record = {"trial": best.trial_id, "test_accuracy": accuracy, "test_examples": len(test.labels)}
    record |= {"looks": before["looks"] + 1, "saved_model": None}
    if keras.backend.backend() == "tensorflow":
        exported = keras_resnet.export_saved_model(
            model,
            directory / "saved_model",
            labels="cifar10" if options.dataset == "cifar10" else None,
            warmup=False,
            metadata={"dataset": options.dataset, "test_accuracy": accuracy},
        )
        exact = tuner.settings.precision == "float32" and not keras.distribution.list_devices("gpu")  # else TF32
        try:
            check_saved_model(exported["path"], model, test.images[:32], 1e-4 if exact else 2e-2)
        except BaseException:
            shutil.rmtree(exported["path"])
            raise
        record["saved_model"] = f"saved_model/{exported['version']}"
    write_json(directory / "best.json", record)


def check_saved_model(path: str, model: keras.Model, images: np.ndarray, tolerance: float) -> None:
    """Raises RuntimeError unless a fresh process, TensorFlow's own saved_model_cli, gets the model's answers. It has
    the CPU: this process may hold all of a GPU's memory.
    """
    images = images.astype("float32")
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch, "image.npy"), images)
        command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", "--dir", path]
        command += ["--tag_set", "serve", "--signature_def", "serving_default", "--outdir", scratch]
        command += ["--inputs", f"image={scratch}/image.npy"]
        cpu = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, capture_output=True, text=True, env=cpu)
        if done.returncode:
            raise RuntimeError(f"saved_model_cli could not run {path}: {done.stderr[-2000:]}")
        served = np.load(Path(scratch, "probabilities.npy"))
    differs = float(np.abs(served - model.predict(images, verbose=0)).max())
    if not differs <= tolerance:
        raise RuntimeError(f"{path} answers otherwise than the model: probabilities differ by {differs:g}")


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 where nothing came of it (but of a chief: it would be started again), 2 for bad flags, 130 where it was
    stopped, AGAIN, NO_SPACE.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parse(arguments)
    directory = options.directory / options.name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.setrecursionlimit(20_000)  # to load a net of 1202 layers
    try:
        return run(options, directory, arguments)
    except Enough:
        return AGAIN
    except KeyboardInterrupt:
        if role() == "worker":
            return 130
        print("\nStopped. The same command goes on from here.")
        if list(directory.glob("trial_*/trial.json")):
            write_report(directory)
            print(f"So far: {directory / 'report.md'}")
        return 130
    except DataUnavailable as error:
        print(f"{error}\nA sweep that needs no download: make sweep DATASET=digits", file=sys.stderr)
        return 1
    except Corrupt as error:
        print(error, file=sys.stderr)
        return 1
    except (DiskFull, OSError) as error:
        if not isinstance(error, DiskFull) and not is_full(error):
            raise
        print(f"{error}. Free some, and the same command goes on.", file=sys.stderr)
        return NO_SPACE


def run(options: argparse.Namespace, directory: Path, arguments: list[str]) -> int:
    try:
        data = load_data(options)
        settings = settings_of(options, data)
        total = number_of_trials(options, settings)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    oracle = make_oracle(settings.tuner, settings.space, seed=settings.seed, max_trials=total, epochs=settings.epochs)
    varied = [name for name, values in settings.space.items() if len(values) > 1]
    progress = Progress(total, varied, who="" if role() == "alone" else os.environ["KERASTUNER_TUNER_ID"])

    def open_trials():
        return Trials(
            oracle, settings, data, directory=options.directory, name=options.name, progress=progress,
            keep=options.keep_checkpoints, at_most=options.trials_per_process,
        )  # fmt: skip

    if role() == "worker":  # all else is the chief's
        compare(readable(directory / "sweep.json"), asdict(settings), directory)
        with contextlib.suppress(Through):
            open_trials().search()
        return 0
    leave_alone(directory)
    if options.overwrite and directory.exists():
        with only_one(directory):  # not one that is running
            forget(directory)
    with only_one(directory):
        open_directory(directory, settings, arguments)
        tuner = open_trials()
        trained, validated = len(data.train.labels), len(data.validation.labels)
        told = f"{data.name}: {trained} pictures to train on, {validated} to validate; {settings.precision}"
        progress.say(told)
        if role() != "chief":
            tuner.search()
        else:
            if not oracle.is_through():  # else it would wait for who asks, and nobody may come any more
                (directory / THROUGH).unlink(missing_ok=True)
                tuner.search()
            write_json(directory / THROUGH, {"max_trials": oracle.max_trials})
        oracle.tidy()  # a kill may have come before
        write_report(directory)  # before anything that could still fail
        finish(directory, tuner, options)
        rows = write_report(directory)
    print(f"\n{table(rows)}\n")
    best = best_of(rows)
    if best is None:
        reasons = Counter(row["error"] for row in rows if row["error"])
        told = "".join(f"\n  {count} x {reason}" for reason, count in reasons.most_common(5))
        print(f"No trial was completed; the reasons are in {directory / 'trials.csv'}:{told}", file=sys.stderr)
        return int(role() == "alone")  # a chief that ends with 1 is started again, for nothing
    record = read_json(directory / "best.json")
    choices = describe({name: best[name] for name in varied}) or "the only combination"
    print(f"Best: {choices}: {record['test_accuracy']:.2%} on the test set")
    for name in ("report.md", "report.html", "trials.csv", "best.keras", record["saved_model"]):
        if name:
            print(f"  {directory / name}")
    return 0


if __name__ == "__main__":
    code = main()
    if code == AGAIN:  # the same process, from its beginning
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *(word for word in sys.orig_argv[1:] if word != "--overwrite")])
    sys.exit(code)
