"""Writes the tables of the documentation that come from the package. `make docs` runs it."""

import contextlib
import csv
import importlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

import jupytext

import keras_resnet
from keras_resnet import VARIANTS
from keras_resnet.__main__ import COMMANDS as SHELL_COMMANDS
from keras_resnet.resnet import weight_layers
from keras_resnet.training import RECIPES, Recipe
from keras_resnet.variants import DenseVariant, builder_name, published_shape
from keras_resnet.weights.applications import KERAS_FILES
from keras_resnet.weights.pretrained import checkpoints, default_checkpoints, own_checkpoints

ROOT = Path(__file__).parent.parent

# title -> the rows, the first family that matches; a pattern of the names and the size of the published images
FAMILIES = {
    "Plain networks and ResNet, ImageNet": (
        ["plain*", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
        224,
    ),
    "Pre-activation (V2), ImageNet": (["resnet*v2*"], 224),
    "ResNeXt and Wide ResNet, ImageNet": (["resnext*x*d", "wide_*"], 224),
    "Squeeze-and-excitation and ECA": (["se*", "eca*"], 224),
    "ResNet-RS and iResNet": (["resnetrs*", "iresnet*"], 224),
    "Changed stems (C, D, S, T, VD), small ones and GroupNorm": (["resnet*"], 224),
    "DenseNet": (["densenet*"], None),
    "Wide ResNet and ResNeXt, CIFAR": (["wide_*", "resnext*"], 32),
    "Plain networks and ResNet, CIFAR": (["plain*", "resnet*"], 32),
    "Video": (["r3d*", "mc3*", "r2plus1d*"], 112),
}


def family(name: str) -> str:
    size = VARIANTS[name].image_size
    return next(
        title
        for title, (patterns, published) in FAMILIES.items()
        if published in (size, None) and any(fnmatchcase(name, pattern) for pattern in patterns)
    )


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def blocks(row) -> str:
    """What the blocks of a row are, in words."""
    if isinstance(row, DenseVariant):
        return f"dense layer, growth rate {row.growth_rate}"
    words = [row.block.replace("_", " ")]
    words += [f"{row.groups} groups"] if row.groups > 1 else []
    words += [{"se": "SE", "eca": "ECA"}[row.gate]] if row.gate != "none" else []
    words += ["pre-activation"] if row.order == "preactivation" else []
    words += ["GroupNorm"] if row.norm == "gn" else []
    return ", ".join(words)


def sources(name: str) -> list[str]:
    """What `weights=` accepts for a row, beside files."""
    found = ["imagenet"] if name in default_checkpoints() else []
    found += ["keras"] if name in KERAS_FILES else []
    return found + (["cifar10"] if name in own_checkpoints() else [])


def zoo() -> list[dict[str, str]]:
    """A row of zoo.csv for each row of `VARIANTS`."""
    counts = {row["name"]: row for row in csv_rows(ROOT / "keras_resnet" / "data" / "variants.csv")}
    latencies = {row["name"]: row for row in csv_rows(ROOT / "docs" / "latency.csv")}
    published = [known["row"] for known in checkpoints().values()]
    return [
        {
            "builder": builder_name(name),
            "name": name,
            "family": family(name),
            "weight_layers": str(weight_layers(row)),
            "blocks": blocks(row),
            "shortcut": getattr(row, "shortcut", "concatenation"),
            "image": " x ".join(map(str, published_shape(row)[:-2])),
            "classes": str(row.classes),
            "parameters": counts[name]["parameters"],
            "multiply_adds": counts[name]["multiply_adds"],
            "weights": " ".join(sources(name)),
            "checkpoint": default_checkpoints().get(name, ""),
            "known_checkpoints": str(published.count(name)),
            "latency_ms": latencies.get(name, {}).get("milliseconds", ""),
        }
        for name, row in VARIANTS.items()
    ]


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown. A column whose title begins with ">" is aligned to the right."""
    head = list(head)
    lines = [[title.removeprefix(">") for title in head], ["---:" if title[0] == ">" else "---" for title in head]]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*lines, *rows])


def millions(number: str, unit: float) -> str:
    return f"{int(number) / unit:,.2f}"


def tables_by_family(head: Iterable[str], rows: list[dict[str, str]], cells: Callable) -> str:
    """A section with a table for each family."""
    return "".join(
        f"## {title}\n\n{table(head, (cells(row) for row in rows if row['family'] == title))}\n" for title in FAMILIES
    )


def zoo_tables(rows: list[dict[str, str]]) -> str:
    head = (
        "builder",
        ">layers",
        ">pixels",
        ">parameters, millions",
        ">multiply-adds, billions",
        ">latency, ms",
        "`weights=`",
    )

    def cells(row: dict[str, str]) -> tuple[str, ...]:
        return (
            f"`{row['builder']}`",
            row["weight_layers"],
            row["image"],
            millions(row["parameters"], 1e6),
            millions(row["multiply_adds"], 1e9),
            row["latency_ms"] or "not measured",
            ", ".join(f'`"{source}"`' for source in row["weights"].split()),
        )

    return tables_by_family(head, rows, cells)


def builder_tables(rows: list[dict[str, str]]) -> str:
    head = ("builder", "name of the row", "blocks", "shortcut", ">pixels", ">classes")

    def cells(row: dict[str, str]) -> tuple[str, ...]:
        names = f"`{row['builder']}`", f"`{row['name']}`"
        return *names, row["blocks"], f"`{row['shortcut']}`", row["image"], row["classes"]

    return tables_by_family(head, rows, cells)


def checkpoint_table() -> str:
    """All checkpoints of the hub that the package knows, with their preprocessing."""
    head = ("row", "checkpoint", ">pixels", ">crop", "interpolation", ">classes", "license")
    lines = [
        (
            f"`{known['row']}`",
            f"`{name}`" + (", the default" if known.get("default") else ""),
            *(str(known[key]) for key in ("size", "crop", "interpolation", "classes")),
            known["license"],
        )
        for name, known in checkpoints().items()
    ]
    return table(head, lines)


def recipe_table() -> str:
    """The fields of the recipes in which they differ, a column for each recipe."""
    shown = [field.name for field in fields(Recipe) if field.name not in ("source", "warmup_depth", "fields", "scale")]
    shown = [name for name in shown if len({getattr(recipe, name) for recipe in RECIPES.values()}) > 1]

    def cell(value) -> str:
        if value is None or value is False:
            return ""
        return "yes" if value is True else f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = [(f"`{name}`", *(cell(getattr(recipe, name)) for recipe in RECIPES.values())) for name in shown]
    return table(("field", *(f"`{name}`" for name in RECIPES)), lines)


def recipe_sources() -> str:
    return table(("recipe", "source"), ((f"`{name}`", recipe.source) for name, recipe in RECIPES.items()))


def latency_note() -> str:
    """On which machines the latencies were measured."""
    rows = csv_rows(ROOT / "docs" / "latency.csv")
    notes = Counter((row["images"], row["machine"], row["versions"]) for row in rows)
    if not notes:
        return "No row has been measured.\n"
    return "".join(
        f"The shortest of {images} predictions of one image. {count} of {len(VARIANTS)} rows; {machine}; {versions}.\n"
        for (images, machine, versions), count in notes.items()
    )


# module -> the commands that have options of their own
COMMANDS: dict[str, list[str]] = {
    "keras_resnet": ["", *SHELL_COMMANDS],
    "experiments.sweep": [""],
    "experiments.report": [""],
    "experiments.paper": [""],
    "experiments.landscape": [""],
    "experiments.transfer": [""],
}


def help_of(module: str, command: str) -> str:
    """What `python -m MODULE COMMAND --help` prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        entry = "keras_resnet.__main__" if module == "keras_resnet" else module
        importlib.import_module(entry).main([*command.split(), "--help"])
    return text.getvalue()


def command_line() -> str:
    os.environ["COLUMNS"] = "100"  # argparse wraps at the width of the terminal
    text = ""
    for module, commands in COMMANDS.items():
        for command in commands:
            text += f"## python -m {module} {command}".rstrip() + f"\n\n```text\n{help_of(module, command)}```\n\n"
    return text


def read_tutorial(text: str):
    """A tutorial as a notebook of Python, for myst-nb."""
    notebook = jupytext.reads(text, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return notebook


# file -> arguments of keras_resnet.draw
DRAWINGS: dict[str, dict] = {
    "plain34.svg": {"model_or_name": "plain34"},
    "resnet34.svg": {"model_or_name": "resnet34", "shortcut": "A"},
    "building_block.svg": {"model_or_name": "resnet34", "block": True},
    "bottleneck.svg": {"model_or_name": "resnet50", "block": True},
    "preactivation.svg": {"model_or_name": "resnet110v2", "block": True},
}


def write(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for name, arguments in DRAWINGS.items():
        keras_resnet.draw(path=directory / name, **arguments)
    rows = zoo()
    tables = {
        "zoo.md": zoo_tables(rows),
        "builders.md": builder_tables(rows),
        "checkpoints.md": checkpoint_table(),
        "recipes.md": recipe_table(),
        "recipe_sources.md": recipe_sources(),
        "latency.md": latency_note(),
        "command_line.md": command_line(),
    }
    for name, text in tables.items():
        (directory / name).write_text(text)
    with (directory / "zoo.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    write(Path(__file__).parent / "generated")
    sys.exit(0)
