"""The table and the picture of a grid, from the results of its cells alone: it may be read while they run."""

import csv
import io
import json
import statistics
from pathlib import Path

import keras
import numpy as np

from experiments.files import write_text
from experiments.grids import Grid, Net, counts
from experiments.progress import duration
from experiments.report import save

COLUMNS = ("net", "seed", "parameters", "multiply_adds", "epochs", "seconds", "train_error", "test_error", "failure")


def layer_responses(model: keras.Model, images: np.ndarray) -> list[float]:
    """The standard deviation of what each 3x3 layer of a net of building blocks answers, in their order, after BN and
    before the ReLU or the addition: He 2015, Fig. 7.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    norms = [layer for layer in norms if not layer.name.endswith("_0_bn")]  # of projections, which are 1x1
    answers = keras.Model(model.inputs, [layer.output for layer in norms])
    moments = []
    for start in range(0, len(images), 100):  # a map of every layer is much memory
        maps = [keras.ops.convert_to_numpy(y).astype("float64") for y in answers([images[start : start + 100]])]
        moments.append([(y.mean(), np.square(y).mean()) for y in maps])
    mean, square = np.mean(moments, axis=0).T
    return np.sqrt(square - mean**2).tolist()


def rows_of(net: Net, cells: list[dict], counted: tuple[int, int]) -> list[dict]:
    """A row a cell, as in `results.csv`; errors are shares of 1."""
    parameters, macs = counted
    shared = {"net": net.title, "parameters": parameters, "multiply_adds": macs}
    rows = []
    for cell in cells:
        row = shared | {"seed": cell["seed"], "failure": cell.get("failure", "")}
        if "history" in cell:
            last = cell["history"][-1]
            row |= {"epochs": cell["epochs"], "seconds": cell["seconds"]}
            row |= {"train_error": 1 - last["accuracy"], "test_error": 1 - last["test_accuracy"]}
        rows.append(row)
    return rows


def mean_and_deviation(values: list[float]) -> str:
    """Per cent: "8.91 ± 0.21", the standard deviation of a sample; of one value itself."""
    if not values:
        return ""
    spread = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{spread}"


def table(grid: Grid, lines: list[tuple[Net, tuple[int, int], list[dict]]]) -> str:
    """Markdown: a line a net, the paper's figure in the last column."""
    head = ["net", "parameters", "multiply-adds"]
    head += ["n", "training error, %", "test error, %"] if grid.trained else []
    head += ["responses: median of the layers"] if grid.responses else []
    rows = [[*head, grid.column], ["---", *["---:"] * len(head)]]
    for net, (parameters, macs), cells in lines:
        row = [net.title, f"{parameters:,}", f"{macs:,}"]
        if grid.trained:
            through = [cell for cell in rows_of(net, cells, (parameters, macs)) if "test_error" in cell]
            failed = len(cells) - len(through)
            row += [f"{len(through)}" + (f", {failed} failed" if failed else "")]
            row += [mean_and_deviation([cell[error] for cell in through]) for error in ("train_error", "test_error")]
        if grid.responses:
            medians = [statistics.median(cell["responses"]) for cell in cells if "responses" in cell]
            row.append(f"{statistics.mean(medians):.3f}" if medians else "")
        rows.append([*row, "" if net.paper is None else f"{net.paper:g}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def draw(path: Path, grid: Grid, lines: list[tuple[Net, tuple[int, int], list[dict]]]) -> bool:
    """Errors over epochs, means of the seeds: training dashed, test solid (He 2015, Fig. 6), the paper's final figure
    as a mark at the right; or the responses of the layers, in their order and by size (Fig. 7). False: nothing to draw.
    """
    drawn = [(net, [cell for cell in cells if "history" in cell]) for net, _, cells in lines]
    drawn = [(net, cells) for net, cells in drawn if cells]
    if not drawn:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = ["in their order", "by size"] if grid.responses else list(dict.fromkeys(net.panel for net, _ in drawn))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(1.5 + 4.5 * len(panels), 4), sharey=True, squeeze=False)
    figure.set_layout_engine("constrained", rect=(0, 0, 0.98, 1))  # room for the marks at the right
    for i, (net, cells) in enumerate(drawn):
        style = {"color": f"C{i % 10}", "linewidth": 1.5 if net.panel != "plain" or not grid.responses else 0.8}
        if grid.responses:
            values = np.mean([cell["responses"] for cell in cells], axis=0)
            axes[0][0].plot(range(1, len(values) + 1), values, label=net.title, **style)
            axes[0][1].plot(range(1, len(values) + 1), np.sort(values)[::-1], label=net.title, **style)
            continue
        ax = axes[0][panels.index(net.panel)]
        for name, line in (("accuracy", "--"), ("test_accuracy", "-")):
            epochs = [e for e in range(cells[0]["epochs"]) if all(name in cell["history"][e] for cell in cells)]
            errors = [100 * (1 - np.mean([cell["history"][e][name] for cell in cells])) for e in epochs]
            marker = {"marker": "."} if len(epochs) < 20 else {}
            label = {"label": f"{net.title} (n={len(cells)})"} if line == "-" else {}
            ax.plot([e + 1 for e in epochs], errors, line, **style, **marker, **label)
        if net.paper is not None:
            ax.plot(1.02, net.paper, "<", color=style["color"], transform=ax.get_yaxis_transform(), clip_on=False)
    for ax, title in zip(axes[0], panels, strict=True):
        ax.set(title=title, xlabel="layer" if grid.responses else "epoch")
        ax.legend(fontsize="small")
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("standard deviation" if grid.responses else "error, % (dashed: training)")
    if not grid.responses:
        axes[0][0].set_ylim(bottom=0)
    save(figure, path)
    return True


def write_report(directory: Path, name: str, grid: Grid, found: list[tuple[Net, list[dict]]], told: str) -> str:
    """`report.md`, `results.csv`, `curves.json` and `figure.png` (`responses.json`) in `directory`, of nets and what
    was found in their cells; returns the table. `told` says with what command and budget.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lines = [(net, counts(net), cells) for net, cells in found]
    cells = [cell for _, _, of_net in lines for cell in of_net]
    through = [cell for cell in cells if "history" in cell]
    text = table(grid, lines)
    parts = [f"# {name}", grid.question, f"Source: {grid.source}.", told]
    where = dict.fromkeys(f"{cell['machine']}; {cell['versions']}; commit {cell['commit']}" for cell in through)
    parts += [f"{place}." for place in where]
    if through:
        seconds = sum(cell["seconds"] for cell in through)
        precisions = " and ".join(sorted({cell["precision"] for cell in through}))
        parts.append(f"{len(through)} cells, {duration(seconds)} of training in all, in {precisions}.")
    parts.append(text)
    if grid.trained:
        parts.append(
            "Errors are those after the last epoch, mean ± standard deviation of n seeds; the training error is of the "
            "augmented pictures while the epoch went on. Nothing was chosen by the test error."
        )
        rows = io.StringIO()
        writer = csv.DictWriter(rows, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for net, counted, of_net in lines for row in rows_of(net, of_net, counted))
        write_text(directory / "results.csv", rows.getvalue())
        curves = {cell["cell"]: cell["history"] for cell in through}
        write_text(directory / "curves.json", json.dumps(curves, separators=(",", ":")))
        if grid.responses:
            responses = {cell["cell"]: cell["responses"] for cell in through}
            write_text(directory / "responses.json", json.dumps(responses, separators=(",", ":")))
        if draw(directory / "figure.png", grid, lines):
            parts.append(f"![{name}](figure.png)")
            if not grid.responses and any(net.paper is not None for net, _ in found):
                parts.append("The marks at the right are the paper's final test errors.")
        parts += [f"{cell['cell']} failed: {cell['failure']}" for cell in cells if cell.get("failure")]
    write_text(directory / "report.md", "\n\n".join(parts) + "\n")
    return text
