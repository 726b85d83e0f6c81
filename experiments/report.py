"""Writes the table and the figures of a sweep from the files of its trials. This also works while the sweep runs.

python -m experiments.report runs/first            # writes trials.csv, report.md, figures and report.html
python -m experiments.report runs/a runs/b         # compares sweeps: runs/comparison/report.html
"""

import argparse
import base64
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

import jinja2
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from keras_resnet.files import read_json, readable, whole, write_csv, write_text

RESULTS = (
    "seed", "parameters", "multiply_adds", "epochs", "seconds", "overhead", "train_accuracy", "validation_accuracy",
)  # fmt: skip
CURVES = ("accuracy", "validation_accuracy")


def read_trials(directory) -> list[dict]:
    """Returns a row per run: `trial`, the hyperparameters, RESULTS, `status`, `error`, `history`, `ended`.

    A trial with several seeds has several rows. `status` is COMPLETED, STOPPED, FAILED, RUNNING, or CORRUPT if a file
    of the run cannot be read.
    """
    directory = Path(directory)
    about = readable(directory / "sweep.json") or {}
    seeds = about.get("settings", {}).get("seeds", 1)
    rows = []
    for place in sorted(directory.glob("trial_*"), key=lambda path: (len(path.name), path.name)):
        if not (place / "trial.json").exists():
            continue
        trial, name = readable(place / "trial.json"), place.name.removeprefix("trial_")
        if not isinstance(trial, dict):
            rows.append(row_of({"trial": name}, "CORRUPT", "trial.json cannot be read"))
            continue
        choices = {"trial": name, **trial["hyperparameters"]["values"]}
        message = (trial.get("message") or "").strip().rpartition("\n")[2]
        numbers = {int(run.name.removeprefix("seed")) for run in place.glob("seed*")}
        if trial["status"] == "RUNNING":
            numbers |= set(range(seeds))
        for number in sorted(numbers):
            row = read_run(choices, place / f"seed{number}", trial["status"] == "RUNNING", message)
            rows.append(row | {"seed": about.get("seed", 0) + number if row["seed"] is None else row["seed"]})
        if not numbers:
            rows.append(row_of(choices, trial["status"], message))
    return rows


def read_run(choices: dict, run: Path, running: bool, message: str) -> dict:
    """Returns the row of one run. `message`, the message of the trial, is used if the run has no message."""
    try:
        result, history = read_json(run / "result.json"), read_json(run / "history.json") or {}
    except ValueError:
        return row_of(choices, "CORRUPT", "result.json or history.json cannot be read")
    if result is None:
        error, epochs = run / "error.txt", [history[number] for number in sorted(history, key=int)]
        if error.exists():
            return row_of(choices, "FAILED", error.read_text().strip().rpartition("\n")[2], history=epochs)
        return row_of(choices, "RUNNING" if running else "FAILED", "" if running else message, history=epochs)
    if "failure" in result or result.get("validation_accuracy") is None:
        return row_of(choices, "FAILED", result.get("failure", "no validation accuracy"), **result)
    return row_of(choices, "STOPPED" if result.get("stopped") else "COMPLETED", result.get("stopped") or "", **result)


def row_of(choices: dict, status: str, error: str, history=(), ended=None, **result) -> dict:
    curves = {name: [epoch[name] for epoch in history if name in epoch] for name in CURVES}
    results = {name: result.get(name) for name in RESULTS}
    return choices | results | {"status": status, "error": error, "history": curves, "ended": ended}


def means_of(rows: list[dict]) -> list[dict]:
    """Returns a row per trial with completed runs: the mean `validation_accuracy`, its `scores` and `deviation`."""
    trials: dict[str, list[dict]] = {}
    for row in rows:
        if row["status"] == "COMPLETED":
            trials.setdefault(row["trial"], []).append(row)
    means = []
    for runs in trials.values():
        scores = [row["validation_accuracy"] for row in runs]
        mean = {"validation_accuracy": fmean(scores), "deviation": deviation(scores)}
        means.append(runs[0] | mean | {"scores": scores, "ended": max(row["ended"] or 0 for row in runs)})
    return means


def best_of(rows: list[dict]) -> dict | None:
    """Returns the best run of the trial with the highest mean validation accuracy, with `mean` and `scores`.

    All runs of this trial are completed. In a Hyperband sweep, only trials of the highest rung are considered.
    """
    rows = highest_rung(rows)
    incomplete = {row["trial"] for row in rows if row["status"] != "COMPLETED"}
    trials = [trial for trial in means_of(rows) if trial["trial"] not in incomplete]
    if not trials:
        return None
    best = max(trials, key=lambda trial: trial["validation_accuracy"])
    runs = [row for row in rows if row["trial"] == best["trial"]]
    run = max(runs, key=lambda row: row["validation_accuracy"])
    return run | {"mean": best["validation_accuracy"], "scores": best["scores"]}


def highest_rung(rows: list[dict]) -> list[dict]:
    """Returns the rows with the largest number of epochs of any completed run, or all rows if it is not Hyperband."""
    most = max((row.get("tuner/epochs", 0) for row in rows if row["status"] == "COMPLETED"), default=0)
    return [row for row in rows if row.get("tuner/epochs", 0) == most] if most else rows


def choices_in(rows: list[dict]) -> list[str]:
    known = ("trial", *RESULTS, "status", "error", "history", "ended", "deviation", "scores")
    return list(dict.fromkeys(name for row in rows for name in row if name not in known))


def varied_in(rows: list[dict]) -> list[str]:
    """Returns the choices with several values, without the choices that Hyperband adds ("tuner/...")."""
    names = [name for name in choices_in(rows) if "/" not in name]
    return [name for name in names if len({row[name] for row in rows if name in row}) > 1]


def write_trials(path, rows: list[dict]) -> None:
    """Writes one line per run. Accuracies are between 0 and 1. `overhead` is the seconds that were not training."""
    write_csv(path, ["trial", *choices_in(rows), *RESULTS, "status", "error"], rows)


def percent(value) -> str:
    return "" if value is None or not math.isfinite(value) else f"{100 * value:.2f}"


def deviation(values: Sequence[float]) -> float:
    """Returns the sample standard deviation; 0 for one value."""
    return stdev(values) if len(values) > 1 else 0.0


def mean_and_deviation(values: Sequence[float]) -> str:
    """Returns the mean and the sample standard deviation in percent, such as "8.91 ± 0.21"; "" for no value."""
    spread = f" ± {percent(deviation(values))}" if len(values) > 1 else ""
    return f"{percent(fmean(values))}{spread}" if values else ""


def mean_text(scores: Sequence[float]) -> str:
    """Returns mean, deviation and number, such as "45.10 ± 0.32 % (n = 2)"."""
    return f"{mean_and_deviation(scores)} % (n = {len(scores)})"


def markdown(head: list[str], rows: Iterable[list[str]], align: str = "---:") -> str:
    """Returns a Markdown table. `align` is the alignment of all columns but the first: by default to the right."""
    lines = [head, ["---", *[align] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def cells_of(rows: list[dict]) -> tuple[list[str], list[dict]]:
    """Returns the head of the table, and `cells`, `status` and `best` of each row."""
    varied, best = varied_in(rows) or choices_in(rows)[:2], best_of(rows)
    head = ["trial", *(name.replace("_", " ") for name in varied), "seed", "parameters", "multiply-adds", "epochs"]
    head += ["seconds", "train %", "validation %", "status", "message"]
    body = []
    for row in rows:
        cells = [row["trial"], *(row.get(name) for name in varied), row["seed"]]
        cells += [f"{row[name]:,}" if row[name] else None for name in ("parameters", "multiply_adds")]
        cells += [row["epochs"], row["seconds"] and round(row["seconds"])]
        cells += [percent(row["train_accuracy"]), percent(row["validation_accuracy"]), row["status"], row["error"]]
        is_best = best is not None and row["trial"] == best["trial"]
        texts = ["" if cell is None else str(cell) for cell in cells]
        body.append({"cells": texts, "status": row["status"], "best": is_best})
    return head, body


def table(rows: list[dict]) -> str:
    """Returns a Markdown table of the runs. The runs of the best trial are bold."""
    head, body = cells_of(rows)
    lines = []
    for row in body:
        *cells, accuracy, status, message = (cell.replace("|", "/") for cell in row["cells"])
        accuracy = f"**{accuracy}**" if row["best"] else accuracy
        lines.append([*cells, accuracy, f"{status}: {message}" if message else status])
    return markdown(head[:-1], lines, align="---")


def depth_by_shortcut(rows: list[dict]):
    series, depths = colours(rows), sorted({row["depth"] for row in rows})
    means = means_of(rows)
    figure, axes = new_figure(xlabel="depth (weight layers)", width=max(6.0, 0.5 * len(depths)))
    for i, (name, colour) in enumerate(series.items()):
        shift = 0.3 * ((i + 0.5) / len(series) - 0.5)
        own = [trial for trial in means if series_of(trial) == name]
        # The dict keeps the last trial per depth: among the trials with the most seeds, the best.
        best = {trial["depth"]: trial for trial in sorted(own, key=lambda each: (len(each["scores"]), accuracy(each)))}
        line = [best[depth] for depth in depths if depth in best]
        at = [depths.index(trial["depth"]) + shift for trial in line]
        deviations = [100 * trial["deviation"] for trial in line]
        axes.errorbar(at, [accuracy(trial) for trial in line], deviations, color=colour, capsize=4, label=name)
        runs = [row for row in rows if series_of(row) == name]
        scatter(
            axes, runs, [depths.index(row["depth"]) + shift + 0.1 * jitter(j) for j, row in enumerate(runs)], colour
        )
    axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
    legend(axes, rows, title="shortcut")
    axes.set_xlim(-0.5, len(depths) - 0.5)
    counts = ", ".join(str(count) for count in sorted({len(trial["scores"]) for trial in means}))
    caption = (
        "Validation accuracy by depth. A line joins one trial of each depth: of the trials with the most seeds, the "
        f"best. It shows the mean over the seeds (n = {counts}), the error bar the standard deviation. A dot is one "
        "run; dots are shifted sideways so that equal ones are visible. "
    )
    return figure, caption + difference_at_depth(means)


def difference_at_depth(trials: list[dict]) -> str:
    """Returns a sentence with the difference between the best plain and residual networks at the largest depth."""
    depth = max((trial["depth"] for trial in trials if trial["shortcut"] == "none"), default=None)
    at_depth = sorted(
        (trial for trial in trials if trial["depth"] == depth),
        key=lambda each: (len(each["scores"]), accuracy(each)),
        reverse=True,
    )
    plain = next((trial for trial in at_depth if trial["shortcut"] == "none"), None)
    residual = next((trial for trial in at_depth if trial["shortcut"] != "none"), None)
    if plain is None or residual is None:
        return ""
    text = f"At depth {depth}, {series_of(residual)} reaches {mean_text(residual['scores'])} and "
    text += f"{series_of(plain)} (plain) {mean_text(plain['scores'])}: a difference of "
    text += f"{accuracy(residual) - accuracy(plain):.1f} points"
    if min(len(plain["scores"]), len(residual["scores"])) < 2:
        return f"{text}. With one seed, chance cannot be excluded."
    if not plain["deviation"] and not residual["deviation"]:
        return f"{text}; all seeds agree."
    from scipy.stats import ttest_ind

    interval = ttest_ind(residual["scores"], plain["scores"], equal_var=False).confidence_interval()
    low, high = 100 * interval.low, 100 * interval.high
    verdict = "more than" if low > 0 or high < 0 else "no more than"
    return f"{text}, 95 % confidence interval {low:.1f} to {high:.1f} (Welch): {verdict} seeds explain."


def curves(rows: list[dict]):
    rows = [row for row in rows if row["history"]["validation_accuracy"]]
    if not rows:
        return None
    series, depths = colours(rows), sorted({row["depth"] for row in rows})
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    pair = figure.subplots(1, 2, sharey=True)
    named = len(series) * len(depths) <= 12
    for axes, name, title in zip(pair, CURVES, ("training", "validation"), strict=True):
        labels = set()
        for row in rows:
            errors = [100 * (1 - value) for value in row["history"][name]]
            last, rank = row["epochs"] or len(errors), (depths.index(row["depth"]) + 1) / len(depths)
            label = f"{row['depth']} {series_of(row)}" if named else series_of(row)
            axes.plot(
                range(last - len(errors) + 1, last + 1), errors, color=series[series_of(row)], alpha=0.3 + 0.7 * rank,
                linewidth=0.6 + 1.6 * rank, linestyle="-" if row["status"] == "COMPLETED" else ":", marker=".",
                label="" if label in labels else label,
            )  # fmt: skip
            labels.add(label)
        axes.set(title=f"{title} error", xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    pair[0].set_ylabel("error (%)")
    low, high = pair[0].get_ylim()
    ticks = [tick for tick in pair[0].get_yticks() if low <= tick <= min(high, 100)]
    pair[0].set_yticks(ticks)
    pair[0].set_ylim(low, high + 0.5 * (high - low))  # space for the legend
    pair[1].legend(fontsize="small", loc="upper right", ncols=2 if named and len(depths) > 3 else 1)
    return figure, (
        "Training and validation error by epoch, a line per run (He 2015, Fig. 6). Deeper networks have darker and "
        "thicker lines. Dotted: runs that were stopped, failed or are still running."
    )


def accuracy_by_cost(rows: list[dict]):
    rows = [row for row in rows if row["multiply_adds"]]
    means = means_of(rows)
    if not rows:
        return None
    costs = [row["multiply_adds"] for row in rows]
    wide = max(costs) >= 10 * min(costs)
    figure, axes = new_figure(xlabel="multiply-adds per image", xscale="log" if wide else "linear")
    spread = 0.02 * (max(costs) - min(costs) or max(costs))
    for name, colour in colours(rows).items():
        runs = [row for row in rows if series_of(row) == name]
        at = [
            row["multiply_adds"] * 1.08 ** jitter(j) if wide else row["multiply_adds"] + spread * jitter(j)
            for j, row in enumerate(runs)
        ]
        scatter(axes, runs, at, colour, label=name)
    for trial in means:
        axes.errorbar(trial["multiply_adds"], accuracy(trial), 100 * trial["deviation"], color="grey", zorder=1)
    most = max((len(trial["scores"]) for trial in means), default=0)
    pareto_rows = pareto([trial for trial in means if len(trial["scores"]) == most])  # all their seeds are done
    x, y = [row["multiply_adds"] for row in pareto_rows], [accuracy(row) for row in pareto_rows]
    axes.step(x, y, where="post", color="black", linewidth=0.8, label="Pareto front")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20) if wide else MaxNLocator(5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    legend(axes, rows)
    return figure, (
        "Validation accuracy by cost, a dot per run, shifted sideways so that equal ones are visible; error bars: mean "
        "± standard deviation of a trial. Pareto front: of the trials with the most seeds, those for which no cheaper "
        "or equally cheap trial has a higher mean."
    )


def pareto(rows: list[dict]) -> list[dict]:
    """Returns the rows for which no cheaper or equally cheap row is more accurate, sorted by cost."""
    pareto_rows: list[dict] = []
    for row in sorted(rows, key=lambda row: (row["multiply_adds"], -row["validation_accuracy"])):
        if not pareto_rows or row["validation_accuracy"] > pareto_rows[-1]["validation_accuracy"]:
            pareto_rows.append(row)
    return pareto_rows


def importance_of_choices(rows: list[dict]):
    shares = importance(rows)
    if not shares:
        return None
    figure, axes = new_figure(
        xlabel="share of the variance between trials (%)", ylabel="", height=1 + 0.5 * len(shares)
    )
    names = sorted(shares, key=lambda name: shares[name][0])
    axes.barh([name.replace("_", " ") for name in names], [100 * shares[name][0] for name in names], color="C0")
    for i, name in enumerate(names):
        axes.plot([100 * shares[name][1]] * 2, [i - 0.4, i + 0.4], color="black", label="" if i else "by chance")
    axes.legend(loc="lower right")
    return figure, (
        "Share of the variance of the trials' mean validation accuracies that lies between the values of each choice. "
        "The black mark is the share that a choice without effect would have by chance. Interactions between choices "
        "are not attributed; the shares add up only if the sweep is a grid."
    )


def importance(rows: list[dict]) -> dict[str, tuple[float, float]]:
    """Returns eta squared of each varied choice (one-way analysis of variance), and its expected value by chance.

    The expected value of a choice with k values and no effect is (k - 1) / (n - 1) for n trials.
    """
    rows = means_of(rows)
    scores = [row["validation_accuracy"] for row in rows]
    total = sum((score - fmean(scores)) ** 2 for score in scores)
    if not total:
        return {}
    shares = {}
    for name in varied_in(rows):
        groups: dict[object, list[float]] = {}
        for row in rows:
            groups.setdefault(row[name], []).append(row["validation_accuracy"])
        between = sum(len(group) * (fmean(group) - fmean(scores)) ** 2 for group in groups.values())
        shares[name] = between / total, (len(groups) - 1) / (len(rows) - 1)
    return shares


def parallel_coordinates(rows: list[dict]):
    names, means = varied_in(rows), means_of(rows)
    if not names or not means:
        return None
    figure, axes = new_figure(ylabel="", width=2 + 1.6 * (len(names) + 1))
    values = {name: sorted({row[name] for row in rows}) for name in names}
    low, high = (100 * bound(trial["validation_accuracy"] for trial in means) for bound in (min, max))
    completed = {trial["trial"] for trial in means}
    others = list({row["trial"]: row for row in rows if row["trial"] not in completed}.values())
    for i, row in enumerate([*others, *sorted(means, key=accuracy)]):
        heights = [values[name].index(row[name]) / (len(values[name]) - 1) + 0.04 * jitter(i) for name in names]
        if row["trial"] in completed:
            share = (accuracy(row) - low) / (high - low or 1)
            axes.plot([*heights, share], color=(1 - share, 0.2, share), alpha=0.3 + 0.6 * share)
        else:
            axes.plot(heights, color="grey", linestyle=":", marker="x")
    box = dict(boxstyle="square,pad=0.1", facecolor="white", edgecolor="none", alpha=0.85)
    for i, name in enumerate(names):
        count = len(values[name])
        for j in range(0, count, math.ceil(count / 10)):
            value = values[name][j]
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            axes.annotate(text, (i, j / (count - 1)), fontsize="small", ha="center", va="center", bbox=box, zorder=9)
    for height, value in {0: low, 1: high}.items() if high > low else [(0, low)]:
        axes.annotate(f" {value:.1f}", (len(names), height), fontsize="small", va="center", zorder=9)
    titles = [name.replace("_", " ") for name in names]
    axes.set(xticks=range(len(names) + 1), xticklabels=[*titles, "validation\naccuracy (%)"], yticks=[])
    axes.set_xlim(-0.3, len(names) + 0.3)
    return figure, (
        "A line per trial through its choices to its mean validation accuracy (red: lowest, blue: highest). Lines are "
        "shifted a little so that equal ones are visible. Grey dotted: trials without a completed run."
    )


def best_so_far(rows: list[dict]):
    rows = [row for row in rows if row["ended"] and row["seconds"] is not None]
    if not rows:
        return None
    began = min(row["ended"] - row["seconds"] for row in rows)
    figure, axes = new_figure(xlabel="minutes since the first of these runs began")
    scatter(axes, rows, [(row["ended"] - began) / 60 for row in rows], "C0", label="run")
    means = sorted(means_of(rows), key=lambda trial: trial["ended"])
    scores = [accuracy(trial) for trial in means]
    minutes = [(trial["ended"] - began) / 60 for trial in means]
    best = [max(scores[: i + 1]) for i in range(len(scores))]
    axes.step(minutes, best, where="post", color="black", label="best mean")
    legend(axes, rows)
    return figure, "Validation accuracy by the time at which runs ended, and the best mean of a trial up to that time."


# file name -> function of the rows that returns a figure and its caption, or None if there is nothing to draw
PICTURES: dict[str, Callable] = {
    function.__name__: function
    for function in (
        depth_by_shortcut, curves, accuracy_by_cost, importance_of_choices, parallel_coordinates, best_so_far,
    )
}  # fmt: skip


def accuracy(row: dict) -> float:
    return 100 * row["validation_accuracy"]


def jitter(i: int) -> float:
    """Returns the i-th number of an evenly distributed sequence between -0.5 and 0.5."""
    return (i * 0.618034 + 0.5) % 1 - 0.5


def series_of(row: dict) -> str:
    return f"{row['sweep']}: {row['shortcut']}" if "sweep" in row else row["shortcut"]


def colours(rows: list[dict]) -> dict[str, str]:
    return {name: f"C{i}" for i, name in enumerate(dict.fromkeys(map(series_of, rows)))}


def scatter(axes, rows: list[dict], at: list[float], colour: str, label: str = "") -> None:
    """Draws a dot per completed run, a ring per stopped run, and a cross at the bottom per failed run."""
    style: dict[str, dict] = {
        "COMPLETED": dict(color=colour, alpha=0.5),
        "STOPPED": dict(facecolors="none", edgecolors=colour),
    }
    for status, marker_style in style.items():
        shown = [(x, accuracy(row)) for x, row in zip(at, rows, strict=True) if row["status"] == status]
        if shown or status == "COMPLETED":
            axes.scatter(*zip(*shown, strict=True) if shown else ([], []), **marker_style, zorder=3)
    failed = [x for x, row in zip(at, rows, strict=True) if row["status"] == "FAILED"]
    axes.scatter(failed, [0.03] * len(failed), color=colour, marker="x", transform=axes.get_xaxis_transform())
    if label:
        axes.scatter([], [], color=colour, label=label)


def legend(axes, rows: list[dict], **settings) -> None:
    marker_styles: dict[str, dict] = {
        "STOPPED": dict(facecolors="none", edgecolors="grey"),
        "FAILED": dict(color="grey", marker="x"),
    }
    for status, marker_style in marker_styles.items():
        if any(row["status"] == status for row in rows):
            axes.scatter([], [], label=status.lower(), **marker_style)
    axes.legend(fontsize="small", loc="best", **settings)


def new_figure(*, ylabel="validation accuracy (%)", width=6.0, height=4.0, **settings):
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(ylabel=ylabel, **settings)
    axes.grid(alpha=0.3)
    return figure, axes


def draw(directory, rows: list[dict], names=tuple(PICTURES)) -> dict[str, str]:
    """Writes the figures as PNG files. Returns their names and captions."""
    shown = [row for row in rows if "depth" in row and row["status"] != "CORRUPT"]
    captions = {}
    for name in names if any(row["status"] in ("COMPLETED", "STOPPED") for row in shown) else ():
        if (drawn := PICTURES[name](shown)) is not None:
            save(drawn[0], Path(directory, f"{name}.png"))
            captions[f"{name}.png"] = drawn[1]
    return captions


def save(figure: Figure, path: Path) -> None:
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)


def captioned(directory, rows: list[dict], names=tuple(PICTURES)) -> dict[str, str]:
    """Draws the runs of the highest rung. If there are other runs, the captions say that they are omitted."""
    shown = highest_rung(rows)
    captions = draw(directory, shown, names)
    if len(shown) < len(rows):
        note = f"Only Hyperband's highest rung ({shown[0]['tuner/epochs']} epochs): {len(shown)} of {len(rows)} runs."
        captions = {name: f"{caption.strip()} {note}" for name, caption in captions.items()}
    return captions


def summary(about: dict, rows: list[dict], final: dict | None) -> list[str]:
    """Returns the paragraphs above the table."""
    lines = [f"{about['machine']}; {about['versions']}; seed {about['seed']}."] if about else []
    if (best := best_of(rows)) is None:
        lines.append("No trial was completed.")
    else:
        choices = ", ".join(f"{name.replace('_', ' ')} {best[name]}" for name in varied_in(rows) if name in best)
        lines.append(f"Best: trial {best['trial']} ({choices}), validation accuracy {mean_text(best['scores'])}.")
    if final:
        evaluations = f"evaluation {final['looks']} on these images" if final["looks"] > 1 else "evaluated once"
        files = " and ".join(name for name in ("best.keras", final["saved_model"]) if name)
        lines.append(
            f"Test accuracy of its best seed: {percent(final['test_accuracy'])} % of {final['test_examples']:,} images "
            f"({evaluations}). The network is in {files}."
        )
    lines.append("Accuracies are those of the last epoch, in per cent; ± is the standard deviation of the seeds.")
    return lines


def write_page(path: Path, rows: list[dict], pictures: dict[str, str], **content) -> None:
    """Writes a self-contained HTML page with embedded figures."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template("report.html.j2")
    images = [
        {"title": title(name), "caption": caption, "data": base64.b64encode((path.parent / name).read_bytes()).decode()}
        for name, caption in pictures.items()
    ]
    head, body = cells_of(rows)
    statuses = Counter(row["status"] for row in rows)
    write_text(path, template.render(pictures=images, head=head, body=body, statuses=statuses, **content))


def title(picture: str) -> str:
    return picture.removesuffix(".png").replace("_", " ")


def write_report(directory) -> list[dict]:
    """Writes `trials.csv`, the figures, `report.md` and `report.html` of a sweep. Returns the rows."""
    directory = Path(directory)
    rows, about = read_trials(directory), readable(directory / "sweep.json") or {}
    write_trials(directory / "trials.csv", rows)
    pictures, final = captioned(directory, rows), readable(directory / "best.json")
    lines, commands = summary(about, rows, final), about.get("commands", [])
    parts = [f"# {directory.name}", *(["\n".join(f"    {command}" for command in commands)] if commands else [])]
    parts += [*lines, table(rows)]
    parts += [f"![{title(name)}]({name})\n\n{caption}" for name, caption in pictures.items()]
    write_text(directory / "report.md", "\n\n".join(parts) + "\n")
    content = dict(name=directory.name, commands=commands, lines=lines, running=final is None)
    write_page(directory / "report.html", rows, pictures, **content)
    return rows


def write_comparison(directories: list[Path]) -> tuple[Path, list[dict]]:
    """Writes `comparison/report.html` beside the first sweep. Returns its path and the rows of all sweeps."""
    unique = len({directory.name for directory in directories}) == len(directories)
    folder, rows, lines, shown = directories[0].parent / "comparison", [], [], []
    folder.mkdir(exist_ok=True)
    for directory in directories:
        name, own = directory.name if unique else str(directory), read_trials(directory)
        lines.append(f"{name}: {' '.join(summary({}, own, readable(directory / 'best.json'))[:-1])}")
        named = [{"trial": "", "sweep": name} | row | {"trial": f"{name}/{row['trial']}"} for row in own]
        rows += named
        shown += highest_rung(named)
    pictures = draw(folder, shown, ("depth_by_shortcut", "accuracy_by_cost"))
    content = dict(name=" and ".join(map(str, directories)), commands=[], lines=lines, running=False)
    write_page(folder / "report.html", rows, pictures, **content)
    return folder / "report.html", rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directories", type=Path, nargs="+", help="directories of sweeps, such as runs/first")
    directories = parser.parse_args(arguments).directories
    for directory in directories:
        if not list(directory.glob("trial_*/trial.json")):
            message = "directory must contain the trials of a sweep (trial_*/trial.json)."
            print(f"{message} Received: {directory}", file=sys.stderr)
            return 1
    if len(directories) == 1:
        page, rows = directories[0] / "report.html", write_report(directories[0])
    else:
        page, rows = write_comparison(directories)
    print(f"{table(rows)}\n\n{page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
