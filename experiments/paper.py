"""A table or figure of the papers, with one command.

    python -m experiments.paper degradation --budget medium       # or table6, options, orders, responses, family
    python -m experiments.paper imagenet_table1                   # counted, not trained
    python -m experiments.paper degradation --budget full --list  # its cells; --cell 7/40 runs one, as job arrays do

A cell is one net trained with one seed, in its own process and directory: <directory>/cells_<budget>/<net>-seed<seed>/.
Its result.json is written last. Grids share cells: a net that is in two grids is trained once. The same command resumes
after an interruption and skips finished cells. At the end, or with --report, <directory>/<name>_<budget>/ contains
report.md, results.csv and figure.png of the finished cells (for imagenet_table1 only report.md).
"""

import argparse
import re
import shlex
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import keras

from experiments import train, training
from experiments.data import DataUnavailable, load_test
from experiments.grids import GRIDS, Grid, Net
from experiments.paper_report import layer_responses, write_report
from keras_resnet.files import Held, read_json, write_text

HELD = 75  # EX_TEMPFAIL: another process runs this cell


class Budget(NamedTuple):
    """How each net of a grid is trained, and with how many seeds."""

    about: str
    recipe: str  # a row of train.RECIPES
    dataset: str
    epochs: int
    train_examples: int | None
    seeds: int
    looks: int  # at the test set, for the curves


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


def run_of(cell: Cell, options: argparse.Namespace) -> train.Run:
    budget = BUDGETS[options.budget]
    return train.Run(
        cell.net.variant,
        dict(cell.net.choices),
        budget.recipe,
        budget.dataset,
        cell.seed,
        training.precision_of(options.precision),
        budget.epochs,
        budget.train_examples,
    )


def run_cell(cell: Cell, options: argparse.Namespace, place: Path) -> None:
    """Trains one cell in this process, or sees that it is through."""
    budget, run = BUDGETS[options.budget], run_of(cell, options)

    def responses(place: Path) -> dict:
        images = load_test(budget.dataset, data_dir=options.data_dir).images[:1000]
        return {"responses": layer_responses(keras.models.load_model(place / "model.keras"), images)}

    shared = {(net.variant, *net.choices.items()) for net in GRIDS["responses"].nets}
    more = {"also": responses} if (cell.net.variant, *cell.net.choices.items()) in shared else {}
    train.refuse_others(place, run)  # that is no failure of the cell
    (place / "error.txt").unlink(missing_ok=True)
    try:
        train.once(run, place, data_dir=options.data_dir, looks=budget.looks, **more)
    except Exception:
        write_text(place / "error.txt", traceback.format_exc())
        raise


def run_in_processes(numbered: list[tuple[int, Cell]], total: int, arguments: list[str], cells: Path) -> int:
    """Each cell in a process of its own; one that fails leaves error.txt, and the rest go on. How many failed."""
    failed = 0
    for number, cell in numbered:
        place = cells / cell.name
        if (place / "result.json").exists():
            continue
        print(f"cell {number} of {total}: {cell.net.title}, seed {cell.seed}", flush=True)
        command = [sys.executable, "-m", "experiments.paper", *arguments, "--cell", f"{number}/{total}"]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode == 130:
            raise KeyboardInterrupt
        if done.returncode == HELD:
            print(f"  {done.stderr.strip().splitlines()[-1]}", flush=True)
        elif done.returncode:
            failed += 1
            place.mkdir(parents=True, exist_ok=True)
            if not failure_of(place):  # it was killed
                write_text(place / "error.txt", done.stderr or f"ended with {done.returncode}")
            print(f"  failed: {failure_of(place)}", file=sys.stderr, flush=True)
    return failed


def failure_of(place: Path) -> str:
    """The last line of what a failed cell said; "" where none failed."""
    path = place / "error.txt"
    return path.read_text().strip().rpartition("\n")[2] if path.exists() else ""


def found(cells: list[Cell], nets: tuple[Net, ...], directory: Path) -> list[tuple[Net, list[dict]]]:
    """For each net the results of its cells that are through, and the failures of those that failed."""
    results: dict[str, list[dict]] = {net.title: [] for net in nets}
    for cell in cells:
        place = directory / cell.name
        result, failure = read_json(place / "result.json"), failure_of(place)
        if result or failure:
            about = {"cell": cell.name, "seed": cell.seed}
            results[cell.net.title].append(about | (result or {"failure": failure}))
    return [(net, results[net.title]) for net in nets]


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m experiments.paper", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=GRIDS)
    parser.add_argument("--budget", choices=BUDGETS, default="medium", help="default: %(default)s")
    parser.add_argument("--directory", type=Path, default=Path("runs"), help="where results go; default: %(default)s")
    parser.add_argument("--precision", choices=training.PRECISIONS, default="auto")
    parser.add_argument("--data-dir", help="of tfds; default: TFDS_DATA_DIR, else ~/tensorflow_datasets")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--cell", type=shard, metavar="K/N", help="the K-th of N shares of the cells, for job arrays")
    only.add_argument("--list", action="store_true", help="only list the cells, and which of them are through")
    only.add_argument("--report", action="store_true", help="only table and picture of the cells that are through")
    options = parser.parse_args(arguments)

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
            through = (cell_directory / cell.name / "result.json").exists()
            print(f"{number}/{len(cells)}  {cell.name}{'  through' if through else ''}")
        return 0
    try:
        if options.cell:
            k, n = options.cell
            numbered = numbered[k - 1 :: n]
        if options.cell and n == len(cells):
            cell = numbered[0][1]
            run_cell(cell, options, cell_directory / cell.name)
        elif not options.report:
            for _, cell in numbered:  # before the first is begun
                train.refuse_others(cell_directory / cell.name, run_of(cell, options))
            failed = run_in_processes(numbered, len(cells), arguments, cell_directory)
    except Held as error:
        print(error, file=sys.stderr)
        return HELD
    except (DataUnavailable, training.Diverged, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from the last whole epoch.")
        return 130
    if options.cell:
        return int(bool(failed))

    about, seeds = BUDGETS[options.budget].about, BUDGETS[options.budget].seeds
    budget = f"Budget {options.budget!r}: {about}, at most {seeds} seeds a net."
    command = shlex.join(["python", "-m", "experiments.paper", *(word for word in arguments if word != "--report")])
    told = f"    {command}" + (f"\n\n{budget}" if grid.trained else "")
    results = found(cells, nets_of(grid, options.budget), cell_directory)
    print(write_report(directory, options.name, grid, results, told))
    print(f"\n{directory / 'report.md'}")
    return 1 if any("failure" in cell for _, of_net in results for cell in of_net) else 0


if __name__ == "__main__":
    sys.exit(main())
