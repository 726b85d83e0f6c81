"""A table or figure of the papers, with one command.

    python -m experiments.paper                                   # lists the tables and figures
    python -m experiments.paper degradation --budget medium       # or table6, options, orders, responses, family
    python -m experiments.paper imagenet_table1                   # counted, not trained
    python -m experiments.paper degradation --budget full --list  # its cells; --cell 7/40 runs one, as job arrays do
    python -m experiments.paper options --workers 4               # four cells at once; --address auto: on a Ray cluster

A cell is one network trained with one seed, in its own directory: <directory>/cells_<budget>/<net>-seed<seed>/. Its
result.json is written last. Grids share cells: a network that is in two grids is trained once. The same command resumes
after an interruption and skips finished cells. At the end, or with --report, <directory>/<name>_<budget>/ contains
report.md, results.csv and figure.png of the finished cells (for imagenet_table1 only report.md).
"""

import argparse
import functools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from experiments.grids import GRIDS, Grid, Net
from experiments.paper_report import layer_responses, write_report
from experiments.runner import Task, add_runner_flags, end_on_full_disk, make_runner, run_all
from keras_resnet.files import DirectoryInUse, read_json, write_json, write_text
from keras_resnet.training import DataUnavailable, Run, load_data
from keras_resnet.training.datasets import in_memory
from keras_resnet.training.run import PRECISIONS

HELD = 75  # EX_TEMPFAIL: another process runs this cell


class Budget(NamedTuple):
    """How each net of a grid is trained, and with how many seeds."""

    about: str
    recipe: str  # a name of keras_resnet.training.RECIPES
    dataset: str
    epochs: int
    train_examples: int | None
    seeds: int
    evaluations: int  # at the test set, for the curves


BUDGETS = {
    "full": Budget("the paper's schedule: 64k iterations of 128 images", "paper", "cifar10", 164, None, 5, 82),
    "medium": Budget("15 epochs of the recipe `fast` on all 50,000 images", "fast", "cifar10", 15, None, 3, 15),
    "smoke": Budget(
        "no result, only a check that it runs: 2 nets, 1 epoch, 128 digits", "paper", "digits", 1, 128, 1, 1
    ),
}


class Cell(NamedTuple):
    """One net, trained with one seed."""

    net: Net
    seed: int

    @property
    def name(self) -> str:
        return f"{'-'.join([self.net.variant, *map(str, self.net.choices.values())])}-seed{self.seed}"

    @property
    def has_responses(self) -> bool:
        """Whether a grid asks for the responses of its layers."""
        return any(
            (net.variant, net.choices) == (self.net.variant, self.net.choices) for net in GRIDS["responses"].nets
        )

    def result(self, cells: Path) -> dict | None:
        """The result in the directory of all cells; None if the cell is not finished."""
        result = read_json(cells / self.name / "result.json")
        return None if result and self.has_responses and not {"responses", "failure"} & result.keys() else result


def nets_of(grid: Grid, budget: str) -> tuple[Net, ...]:
    if not grid.trained or budget == "full":
        return grid.nets
    return (grid.small or grid.nets)[: 2 if budget == "smoke" else None]


def cells_of(grid: Grid, budget: str) -> list[Cell]:
    """All cells, seed by seed: whoever stops early has every net."""
    return [Cell(net, seed) for seed in range(BUDGETS[budget].seeds) for net in nets_of(grid, budget) if grid.trained]


def shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"must be K/N with 1 <= K <= N, such as 3/24. Received: {text!r}")
    return int(match[1]), int(match[2])


def run_of(cell: Cell, options: argparse.Namespace) -> Run:
    budget = BUDGETS[options.budget]
    return Run(
        cell.net.variant,
        budget.dataset,
        budget.recipe,
        fields=dict(cell.net.choices),
        seed=cell.seed,
        precision=options.precision,
        epochs=budget.epochs,
        train_examples=budget.train_examples,
        validation=0,
        evaluations=budget.evaluations,
    )


def train_cell(run: Run, responses: bool, data_dir: str | None, directory: Path, report: Callable) -> dict:
    """Trains a cell, and measures the responses of its layers if a grid asks for them and they are missing."""
    result = run(directory, data_dir=data_dir, report=report)
    if responses and not {"responses", "failure"} & result.keys():
        images = in_memory(load_data(run.dataset, data_dir=data_dir, validation=0).test).images[:1000]
        result |= {"responses": layer_responses(keras.models.load_model(directory / "model.keras"), images)}
        write_json(directory / "result.json", result)
    return result


def run_cells(numbered: list[tuple[int, Cell]], total: int, options: argparse.Namespace, cells: Path) -> int:
    """Runs the cells that are left. One that fails leaves error.txt. Returns how many failed."""
    tasks, titles, failed = [], {}, 0
    for number, cell in numbered:
        if cell.result(cells) is None:
            train = functools.partial(train_cell, run_of(cell, options), cell.has_responses, options.data_dir)
            tasks.append(Task(cell.name, train, cells / cell.name))
            titles[cell.name] = f"cell {number} of {total}: {cell.net.title}, seed {cell.seed}"

    def begin(task: Task) -> None:
        print(titles[task.name], flush=True)
        (task.directory / "error.txt").unlink(missing_ok=True)

    for done in run_all(make_runner(options), tasks, begin) if tasks else ():
        if done.error is not None:
            done.task.directory.mkdir(parents=True, exist_ok=True)
            write_text(done.task.directory / "error.txt", done.error)
        if failure := failure_of(done.task.directory):
            failed += 1
            print(f"  {done.task.name} failed: {failure}", file=sys.stderr, flush=True)
    return failed


def failure_of(place: Path) -> str:
    """Why a cell failed, or ""."""
    if failure := (read_json(place / "result.json") or {}).get("failure"):
        return failure
    path = place / "error.txt"
    return path.read_text().strip().rpartition("\n")[2] if path.exists() else ""


def found(cells: list[Cell], nets: tuple[Net, ...], directory: Path) -> list[tuple[Net, list[dict]]]:
    """For each net the results of its finished cells, and the failures of those that failed."""
    results: dict[str, list[dict]] = {net.title: [] for net in nets}
    for cell in cells:
        result, failure = cell.result(directory), failure_of(directory / cell.name)
        if result or failure:
            about = {"cell": cell.name, "seed": cell.seed}
            results[cell.net.title].append(about | ({"failure": failure} if failure else result or {}))
    return [(net, results[net.title]) for net in nets]


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m experiments.paper", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=GRIDS, nargs="?")
    parser.add_argument("--budget", choices=BUDGETS, default="medium", help="default: %(default)s")
    parser.add_argument("--directory", type=Path, default=Path("runs"), help="where results go; default: %(default)s")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--data-dir", help="of tfds; default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--cell", type=shard, metavar="K/N", help="the K-th of N shares of the cells, for job arrays")
    only.add_argument("--list", action="store_true", help="only list the cells, and which of them are finished")
    only.add_argument("--report", action="store_true", help="only table and picture of the finished cells")
    add_runner_flags(parser)
    options = parser.parse_args(arguments)
    if options.name is None:
        for name, grid in GRIDS.items():
            print(f"{name:<16} {grid.source}\n{'':<16} {grid.question}")
        return 0

    grid, directory = GRIDS[options.name], options.directory / f"{options.name}_{options.budget}"
    cell_directory = options.directory / f"cells_{options.budget}"
    if not grid.trained:
        directory = options.directory / options.name
        if options.cell:
            parser.error(f"--cell is for tables that are trained. Received: {options.name}")
    cells, failed = cells_of(grid, options.budget), 0
    numbered = list(enumerate(cells, 1))
    if options.list:
        for number, cell in numbered:
            print(f"{number}/{len(cells)}  {cell.name}{'  finished' if cell.result(cell_directory) else ''}")
        for net in () if grid.trained else grid.nets:
            print(f"{net.title}: counted, not trained")
        return 0
    try:
        if options.cell:
            k, n = options.cell
            numbered = numbered[k - 1 :: n]
        if not options.report:
            for _, cell in numbered:  # before the first one begins
                run_of(cell, options).check(cell_directory / cell.name)
            failed = run_cells(numbered, len(cells), options, cell_directory)
    except DirectoryInUse as error:
        print(error, file=sys.stderr)
        return HELD
    except (DataUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command resumes after the last complete epoch.")
        return 130
    except OSError as error:
        return end_on_full_disk(error, options.directory)
    if options.cell:
        return int(bool(failed))

    about, seeds = BUDGETS[options.budget].about, BUDGETS[options.budget].seeds
    budget = f"Budget {options.budget!r}: {about}, at most {seeds} seeds per network."
    command = shlex.join(["python", "-m", "experiments.paper", *(word for word in arguments if word != "--report")])
    head = f"    {command}" + (f"\n\n{budget}" if grid.trained else "")
    results = found(cells, nets_of(grid, options.budget), cell_directory)
    print(write_report(directory, options.name, grid, results, head))
    print(f"\n{directory / 'report.md'}")
    return 1 if any("failure" in cell for _, of_net in results for cell in of_net) else 0


if __name__ == "__main__":
    sys.exit(main())
