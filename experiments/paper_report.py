"""The table and the figure of a grid. They are made from the results of finished cells only, also during the runs."""

import json
import statistics
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from experiments.grids import Grid, Net, counts
from experiments.report import deviation, markdown, mean_and_deviation, save
from keras_resnet import VARIANTS
from keras_resnet.files import write_csv, write_text
from keras_resnet.resnet import weight_layers
from keras_resnet.training.progress import duration

COLUMNS = ("net", "seed", "parameters", "multiply_adds", "epochs", "seconds", "train_error", "test_error", "failure")


def layer_responses(model: keras.Model, images: np.ndarray) -> list[float]:
    """Returns the standard deviation of the response of each 3x3 layer, for a network of building blocks.

    The response is the output of BN, before the ReLU or the addition (He 2015, Fig. 7).
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    norms = [layer for layer in norms if not layer.name.endswith("_0_bn")]  # exclude projections, which are 1x1
    responses = keras.Model(model.inputs, [layer.output for layer in norms])
    moments = []
    for start in range(0, len(images), 100):  # the feature maps of all layers need much memory
        feature_maps = [
            keras.ops.convert_to_numpy(y).astype("float64") for y in responses([images[start : start + 100]])
        ]
        moments.append([(y.mean(), np.square(y).mean()) for y in feature_maps])
    mean, square = np.mean(moments, axis=0).T
    return np.sqrt(square - mean**2).tolist()


def rows_of(net: Net, cells: list[dict], counted: tuple[int, int]) -> list[dict]:
    """Returns one row per cell, as in `results.csv`. Errors are fractions in 0..1."""
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


def table(grid: Grid, lines: list[tuple[Net, tuple[int, int], list[dict]]]) -> str:
    """Returns a Markdown table with one line per network. The last column is the paper's result."""
    head = ["net", "parameters", "multiply-adds"]
    head += ["n", "training error, %", "test error, %"] if grid.trained else []
    head += ["responses: median of the layers"] if grid.responses else []
    head += [grid.column, *(where for where in grid.replications if where != "He 2015")]
    rows = []
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
        row.append("" if net.paper is None else f"{net.paper:g}")
        row += [f"{errors[net.title]:g}" for where, errors in grid.replications.items() if where != "He 2015"]
        rows.append(row)
    return markdown(head, rows)


def draw(path: Path, grid: Grid, lines: list[tuple[Net, tuple[int, int], list[dict]]]) -> bool:
    """Draws the finished cells. Returns False if there are none.

    Draws the errors over the epochs, with one panel per kind of network and with means and standard deviations over the
    seeds (He 2015, Fig. 6). If other projects have published such errors, a last panel compares the final errors over
    depth. If `grid.responses` is True, draws the responses of the layers instead, in layer order and sorted by size
    (He 2015, Fig. 7).
    """
    drawn = [(net, [cell for cell in cells if "history" in cell]) for net, _, cells in lines]
    drawn = [(net, cells) for net, cells in drawn if cells]
    if not drawn:
        return False
    panels = ["in their order", "by size"] if grid.responses else list(dict.fromkeys(net.panel for net, _ in drawn))
    count = len(panels) + bool(grid.replications)
    figure = Figure(figsize=(1.5 + 4.5 * count, 4.5), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)
    keys = list(dict.fromkeys(net.key or net.title for net, *_ in lines))
    colours = {key: f"C{i % 10}" for i, key in enumerate(keys)}
    for net, cells in drawn:
        style = {"color": colours[net.key or net.title]}
        if grid.responses:
            style["linestyle"] = "--" if net.panel == "plain" else "-"
            values = np.mean([cell["responses"] for cell in cells], axis=0)
            axes[0][0].plot(range(1, len(values) + 1), values, label=net.title, **style)
            axes[0][1].plot(range(1, len(values) + 1), np.sort(values)[::-1], label=net.title, **style)
        else:
            draw_errors(axes[0][panels.index(net.panel)], net, cells, style)
    for ax, title in zip(axes[0], panels, strict=False):
        ax.set(title=title, xlabel="layer" if grid.responses else "epoch")
        ax.legend(fontsize="small")
        ax.grid(alpha=0.3, which="both")
    if grid.responses:
        axes[0][0].set_ylabel("standard deviation")
    else:
        axes[0][0].set_ylabel("error, % (thin: training, bold: test)")
        limits = [limit for ax in axes[0][: len(panels)] for limit in ax.get_ylim()]
        for ax in axes[0][: len(panels)]:
            error_axis(ax, min(limits), max(limits))
    if grid.replications:
        draw_final_errors(axes[0][-1], grid, drawn)
    save(figure, path)
    return True


def error_axis(ax, low: float, high: float) -> None:
    """Sets a logarithmic axis, on which 8 % and 10 % can be distinguished although 80 % is also shown."""
    ax.set(yscale="log", ylim=(low, high))
    ticks = [tick for tick in (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100) if low <= tick <= high]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_yticks([], minor=True)


def quantity(number: int, noun: str) -> str:
    """Returns a number of things, such as "1 seed" or "3 seeds"."""
    return f"{number} {noun}{'s' if number > 1 else ''}"


def draw_errors(ax, net: Net, cells: list[dict], style: dict) -> None:
    for name, width in (("accuracy", 0.8), ("test_accuracy", 2.2)):
        epochs = [e for e in range(cells[0]["epochs"]) if all(name in cell["history"][e] for cell in cells)]
        errors = 100 * (1 - np.array([[cell["history"][e][name] for e in epochs] for cell in cells]))
        mean, x = errors.mean(axis=0), [epoch + 1 for epoch in epochs]
        label = (
            {"label": f"{net.title}, {quantity(len(cells), 'seed')}: {mean[-1]:.1f} %"}
            if name == "test_accuracy"
            else {}
        )
        ax.plot(x, mean, linewidth=width, **style, **label)
        if len(cells) > 1:
            deviation = errors.std(axis=0, ddof=1)
            ax.fill_between(x, mean - deviation, mean + deviation, alpha=0.2, linewidth=0, **style)


def draw_final_errors(ax, grid: Grid, drawn: list[tuple[Net, list[dict]]]) -> None:
    """Draws the final test errors over depth, with the standard deviation over the seeds, and the published errors."""
    depths = {net.title: weight_layers(VARIANTS[net.variant]) for net in grid.nets}
    for kind, colour in (("plain", "C3"), ("residual", "C0")):
        ours = [(depths[net.title], cells) for net, cells in drawn if net.panel == kind]
        errors = [[100 * (1 - cell["history"][-1]["test_accuracy"]) for cell in cells] for _, cells in ours]
        deviations = [deviation(of_net) for of_net in errors]
        means = [statistics.mean(of_net) for of_net in errors]
        x = [depth for depth, _ in ours]
        ax.errorbar(x, means, deviations, color=colour, marker="o", capsize=3, label=f"{kind}, here")
        titles = [net.title for net in grid.nets if net.panel == kind]
        for (where, published), marker in zip(grid.replications.items(), ("*", "s", "^"), strict=False):
            short = where.removeprefix("github.com/").partition("/")[0]
            x, y = [depths[title] for title in titles], [published[title] for title in titles]
            ax.plot(x, y, marker, color=colour, mfc="none", alpha=0.8, label=f"{kind}, {short}")
    ax.set(title="final test error", xlabel="weight layers", xticks=sorted(set(depths.values())))
    low, high = ax.get_ylim()
    error_axis(ax, low, 1.3 * high)  # room for the legend
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", ncols=2, loc="upper left")


def write_report(directory: Path, name: str, grid: Grid, found: list[tuple[Net, list[dict]]], told: str) -> str:
    """Writes the report of a grid to `directory` and returns the table.

    The files are `report.md`, `results.csv`, `curves.json`, `figure.png` and, if the grid measures responses,
    `responses.json`. `found` has each network and the results of its cells. `told` is a text with the command and the
    budget.
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
        parts.append(f"{quantity(len(through), 'cell')}, {duration(seconds)} of training in all, in {precisions}.")
    parts.append(text)
    if grid.trained:
        parts.append(
            "Errors are measured after the last epoch: mean ± standard deviation of n seeds. The training error is "
            "measured on augmented images during the epoch. The test error was not used for any choice."
        )
        rows = [row for net, counted, of_net in lines for row in rows_of(net, of_net, counted)]
        write_csv(directory / "results.csv", COLUMNS, rows)
        curves = {cell["cell"]: cell["history"] for cell in through}
        write_text(directory / "curves.json", json.dumps(curves, separators=(",", ":")))
        if grid.responses:
            responses = {cell["cell"]: cell["responses"] for cell in through}
            write_text(directory / "responses.json", json.dumps(responses, separators=(",", ":")))
        if draw(directory / "figure.png", grid, lines):
            parts.append(f"![{name}](figure.png)")
        parts += [f"{cell['cell']} failed: {cell['failure']}" for cell in cells if cell.get("failure")]
    write_text(directory / "report.md", "\n\n".join(parts) + "\n")
    return text
