"""Measures whether fine-tuning helps, with how many images, and whether BN should be frozen.

    python -m experiments.transfer --directory runs/transfer

ResNet-20 is trained on eight classes of CIFAR-10 with the recipe `fast`. Then the other two classes, ship and truck,
are trained from folders of 5, 20 and 100 images per class in four ways: from random weights, by fine-tuning with BN in
training mode, by fine-tuning with frozen BN, and by training only the classifier. Each accuracy is measured on the
2,000 test images of the two classes. Writes <directory>/report.md and results.csv. The same command resumes.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.report import markdown
from experiments.runner import Task, add_runner_flags, make_runner, run_all
from keras_resnet.files import read_json, write_csv, write_text
from keras_resnet.training import Run, load_data
from keras_resnet.training.datasets import in_memory
from keras_resnet.training.environment import commit, machine, versions
from keras_resnet.training.parts import Arrays

NEW_CLASSES = ("ship", "truck")
SHOTS = (5, 20, 100)
SEEDS = 5
# title -> (recipe, changes of the recipe, whether the network is pretrained on the eight classes)
METHODS: dict[str, tuple[str, dict, bool]] = {
    "random weights": ("finetune", {"learning_rate": 0.03}, False),
    "fine-tuned": ("finetune", {}, True),
    "fine-tuned, BN frozen": ("finetune", {"freeze_batch_norm": True}, True),
    "only the classifier": ("linear_probe", {}, True),
}


def write_images(part: Arrays, class_names, chosen, folder: Path) -> None:
    """Writes images as PNG files, in one sub-folder per class."""
    for i in chosen:
        place = folder / class_names[part.labels[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(part.images[i]).save(place / f"{i}.png", compress_level=1)


def prepare(directory: Path, data_dir: str | None) -> None:
    """Writes the image folders: `old` with eight classes, and `new-<images per class>-<seed>` with two classes."""
    if (directory / "prepared").exists():
        return
    data = load_data("cifar10", data_dir=data_dir, validation=0)
    train, test = in_memory(data.train), in_memory(data.test)
    labels = [data.class_names.index(name) for name in NEW_CLASSES]
    for name, part in (("train", train), ("test", test)):
        write_images(part, data.class_names, np.flatnonzero(~np.isin(part.labels, labels)), directory / "old" / name)
    write_images(test, data.class_names, np.flatnonzero(np.isin(test.labels, labels)), directory / "test")
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        order = {label: rng.permutation(np.flatnonzero(train.labels == label)) for label in labels}
        for shots in SHOTS:
            folder = directory / f"new-{shots}-{seed}"
            write_images(
                train, data.class_names, np.concatenate([order[label][:shots] for label in labels]), folder / "train"
            )
            (folder / "test").symlink_to(Path("..", "test"), target_is_directory=True)
    write_text(directory / "prepared", "")


def place_of(directory: Path, title: str, shots: int, seed: int) -> Path:
    return directory / "runs" / f"{title.replace(',', '').replace(' ', '-')}-{shots}-{seed}"


def tasks(directory: Path) -> list[Task]:
    """Returns the runs on the new classes."""
    found = []
    for seed in range(SEEDS):
        for shots in SHOTS:
            for title, (recipe, changes, trained) in METHODS.items():
                weights = str(directory / "old-run" / "model.keras") if trained else None
                dataset = f"folder:{directory / f'new-{shots}-{seed}'}"
                run = Run(
                    "resnet20",
                    dataset,
                    recipe,
                    changes=changes,
                    weights=weights,
                    seed=seed,
                    validation=0,
                    evaluations=1,
                )
                found.append(
                    Task(f"{title}, {shots} images, seed {seed}", run, place_of(directory, title, shots, seed))
                )
    return found


def report(directory: Path, command: str) -> str:
    """Writes report.md, and results.csv with one line per run. Returns the table."""
    lines: list[list[str]] = []
    rows: list[dict] = []
    for title in METHODS:
        cells = [title]
        for shots in SHOTS:
            places = [place_of(directory, title, shots, seed) / "result.json" for seed in range(SEEDS)]
            done = [result for result in map(read_json, places) if result and "test_accuracy" in result]
            rows += [result | {"method": title, "images_per_class": shots} for result in done]
            values = [100 * result["test_accuracy"] for result in done]
            cells.append(
                f"{min(values):.1f} / **{statistics.median(values):.1f}** / {max(values):.1f}" if values else ""
            )
        lines.append(cells)
    table = markdown(["", *(f"{shots} images per class" for shots in SHOTS)], lines)
    old = read_json(directory / "old-run" / "result.json")
    text = "\n".join(
        [
            "# Fine-tuning on ship and truck\n",
            f"    {command}\n",
            f"{machine()}; {versions()}; commit {commit()}.\n",
            f"ResNet-20, trained on the other eight classes of CIFAR-10 for {old['epochs']} epochs: "
            f"{old['test_accuracy']:.2%} of their test images. Test accuracy on ship and truck in per cent, "
            f"minimum / **median** / maximum of {SEEDS} seeds, which also choose the images.\n",
            table,
        ]
    )
    write_text(directory / "report.md", text + "\n")
    names = ("method", "images_per_class", "seed", "test_accuracy", "seconds")
    write_csv(directory / "results.csv", names, rows)
    return table


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m experiments.transfer", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--directory", type=Path, default=Path("runs/transfer"))
    parser.add_argument(
        "--epochs", type=int, default=10, help="epochs of the pretraining on eight classes; default: 10"
    )
    parser.add_argument(
        "--data-dir", help="directory of tfds data sets; default: TFDS_DATA_DIR, else ~/tensorflow_datasets"
    )
    add_runner_flags(parser)
    options = parser.parse_args(arguments)
    directory = options.directory.resolve()
    prepare(directory, options.data_dir)
    Run("resnet20", f"folder:{directory / 'old'}", "fast", epochs=options.epochs, validation=0, evaluations=1)(
        directory / "old-run"
    )
    left = [task for task in tasks(directory) if not (task.directory / "result.json").exists()]
    for done in run_all(make_runner(options), left):
        accuracy = f"{done.result['test_accuracy']:.2%}" if done.result else done.error
        print(f"{done.task.name}: {accuracy}", flush=True)
    print(report(directory, f"python -m experiments.transfer --epochs {options.epochs}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
