"""The table and the pictures of a sweep, from the files of its trials alone: it may be read while it runs.

python -m experiments.report runs/first          # leaves trials.csv, report.md and report.html, a page of its own
"""

import argparse
import base64
import csv
import html
import io
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from keras_resnet.files import read_json, whole, write_text

RESULTS = (
    "seed", "parameters", "multiply_adds", "epochs", "seconds", "overhead", "train_accuracy", "validation_accuracy",
)  # fmt: skip

CURVES = ("accuracy", "validation_accuracy")


def read_trials(directory) -> list[dict]:
    """Returns a row per run: `trial`, the hyperparameters, RESULTS, `status`, `error`, `history`, `ended`.

    A trial of several seeds has several rows. The status is that of the trial in Keras Tuner, or STOPPED or FAILED if
    that is what became of the run.
    """
    rows = []
    paths = Path(directory).glob("trial_*/trial.json")
    for path in sorted(paths, key=lambda path: int(path.parent.name.removeprefix("trial_"))):
        trial = read_json(path)
        about = {"trial": path.parent.name.removeprefix("trial_"), **trial["hyperparameters"]["values"]}
        runs = sorted(path.parent.glob("seed*"), key=lambda run: int(run.name.removeprefix("seed")))
        for run in runs:
            result = read_json(run / "result.json") or {}
            message = result.get("failure", "")
            if not result and (run / "error.txt").exists():
                message = (run / "error.txt").read_text().strip().rpartition("\n")[2]
            status = "STOPPED" if "stopped" in result else "FAILED" if message else "COMPLETED" if result else "RUNNING"
            history = result.get("history", [])
            rows.append(
                about
                | {name: result.get(name) for name in RESULTS}
                | {"status": status, "error": message, "ended": result.get("ended")}
                | {"history": {name: [row[name] for row in history if name in row] for name in CURVES}}
            )
        if not runs:
            message = (trial["message"] or "").strip().rpartition("\n")[2]
            rows.append(
                about
                | dict.fromkeys(RESULTS)
                | {"status": trial["status"], "error": message, "history": {}, "ended": None}
            )
    return rows


def best_of(rows: list[dict]) -> dict | None:
    """Returns the best run of the trial with the highest mean accuracy, with `mean`; of Hyperband, at the highest rung.

    All runs of such a trial were completed.
    """
    trials: dict[str, list[dict]] = {}
    for row in highest_rung(rows):
        trials.setdefault(row["trial"], []).append(row)
    completed = [runs for runs in trials.values() if all(row["status"] == "COMPLETED" for row in runs)]
    if not completed:
        return None
    mean, best = max(
        ((fmean(row["validation_accuracy"] for row in runs), runs) for runs in completed), key=lambda pair: pair[0]
    )
    return max(best, key=lambda row: row["validation_accuracy"]) | {"mean": mean}


def highest_rung(rows: list[dict]) -> list[dict]:
    """Of Hyperband's trials those with the most epochs; of others all."""
    most = max((row.get("tuner/epochs", 0) for row in rows if row["status"] == "COMPLETED"), default=0)
    return [row for row in rows if row.get("tuner/epochs", 0) == most]


def columns_of(rows: list[dict]) -> list[str]:
    return ["trial", *chosen_in(rows), *RESULTS, "status", "error"]


def chosen_in(rows: list[dict]) -> list[str]:
    """The hyperparameters."""
    known = ("trial", *RESULTS, "status", "error", "history", "ended")
    return list(dict.fromkeys(name for row in rows for name in row if name not in known))


def varied_in(rows: list[dict]) -> list[str]:
    """Those of which the trials have several values; Hyperband's own bookkeeping is none."""
    chosen = [name for name in chosen_in(rows) if "/" not in name]
    return [name for name in chosen if len({row[name] for row in rows if name in row}) > 1]


def write_csv(directory, rows: list[dict]) -> None:
    """`trials.csv`, one row a trial; accuracies of 0..1; `seconds` of training, `overhead` in seconds of building the
    net, tracing it (which is in `seconds`, too), saving it and the books.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(Path(directory, "trials.csv"), text.getvalue())


def percent(value) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def table(rows: list[dict]) -> str:
    """Markdown: what was varied and what came out, the best trial in bold."""
    varied = varied_in(rows) or chosen_in(rows)[:2]
    best = best_of(rows)
    head = ["trial", *(name.replace("_", " ") for name in varied), "seed", "parameters", "multiply-adds", "epochs"]
    head += ["seconds", "train %", "validation %", "status"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row["trial"], *(row.get(name) for name in varied), row["seed"]]
        cells += [f"{row[name]:,}" if row[name] else "" for name in ("parameters", "multiply_adds")]
        cells += [row["epochs"], row["seconds"] and round(row["seconds"])]
        validation = percent(row["validation_accuracy"])
        cells += [
            percent(row["train_accuracy"]),
            f"**{validation}**"
            if best and (row["trial"], row["seed"]) == (best["trial"], best["seed"])
            else validation,
        ]
        cells += [row["status"] + (f": {row['error']}" if row["error"] else "")]
        lines.append(["" if cell is None else str(cell).replace("|", "/") for cell in cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def depth_by_shortcut(rows: list[dict]):
    """Accuracy by depth, a line through the means of each shortcut."""
    figure, axes = new_figure(xlabel="depth (weight layers)", xticks=sorted({row["depth"] for row in rows}))
    for shortcut, colour in colours(rows).items():
        of_shortcut = [row for row in rows if row["shortcut"] == shortcut]
        axes.scatter([row["depth"] for row in of_shortcut], [accuracy(row) for row in of_shortcut], color=colour)
        means = {
            depth: fmean(accuracy(row) for row in of_shortcut if row["depth"] == depth)
            for depth in sorted({row["depth"] for row in of_shortcut})
        }
        axes.plot(means.keys(), means.values(), color=colour, label=shortcut)
    axes.legend(title="shortcut")
    return figure


def curves(rows: list[dict]):
    """Errors by epoch, as in He 2015, Fig. 6."""
    from matplotlib import pyplot

    colour, depths = colours(rows), sorted({row["depth"] for row in rows})
    figure, pair = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axes, name, title in zip(pair, ("accuracy", "validation_accuracy"), ("training", "validation"), strict=True):
        for row in rows:
            errors = [100 * (1 - value) for value in row["history"][name]]
            last = row["epochs"]
            axes.plot(
                range(last - len(errors) + 1, last + 1),
                errors,
                color=colour[row["shortcut"]],
                alpha=0.35 + 0.65 * (depths.index(row["depth"]) + 1) / len(depths),
                linewidth=0.8 + depths.index(row["depth"]),
                marker=".",
                label=f"{row['depth']} {row['shortcut']}",
            )
        axes.set(title=f"{title} error", xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    pair[0].set_ylabel("error (%)")
    if len(rows) <= 20:
        pair[1].legend(fontsize="small", ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def accuracy_by_cost(rows: list[dict]):
    """Accuracy against multiply-adds; the line joins the nets that no cheaper one beats."""
    figure, axes = new_figure(xlabel="multiply-adds of one image", xscale="log")
    for shortcut, colour in colours(rows).items():
        of_shortcut = [row for row in rows if row["shortcut"] == shortcut]
        x, y = [row["multiply_adds"] for row in of_shortcut], [accuracy(row) for row in of_shortcut]
        axes.scatter(x, y, color=colour, label=shortcut)
    front = pareto(rows)
    x, y = [row["multiply_adds"] for row in front], [accuracy(row) for row in front]
    axes.step(x, y, where="post", color="black", linewidth=0.8, label="Pareto front")
    axes.legend()
    return figure


def pareto(rows: list[dict]) -> list[dict]:
    """The rows that none beats which takes as few multiply-adds, the cheapest first."""
    front: list[dict] = []
    for row in sorted(rows, key=lambda row: (row["multiply_adds"], -row["validation_accuracy"])):
        if not front or row["validation_accuracy"] > front[-1]["validation_accuracy"]:
            front.append(row)
    return front


def importance_of_choices(rows: list[dict]):
    """The share of the accuracies' variance that each choice explains by itself, and what chance would give it."""
    shares = importance(rows)
    if not shares:
        return None
    figure, axes = new_figure(
        xlabel="share of the variance between trials (%)", ylabel="", height=1 + 0.5 * len(shares)
    )
    names = sorted(shares, key=lambda name: shares[name][0])
    axes.barh([name.replace("_", " ") for name in names], [100 * shares[name][0] for name in names], color="C0")
    for i, name in enumerate(names):
        axes.plot([100 * shares[name][1]] * 2, [i - 0.4, i + 0.4], color="black", label="by chance" if i == 0 else None)
    axes.legend()
    return figure


def importance(rows: list[dict]) -> dict[str, tuple[float, float]]:
    """Choice -> its share of the variance of accuracies, and the share that chance would give it.

    The share is that between the means of its values (eta squared of a one-way analysis of variance); a choice of k
    values without any effect has (k - 1) / (n - 1) of n trials. What choices do together is nobody's share, and in a
    search that went where it was promising a choice may take what is another's: only of a grid do the shares add up.
    """
    rows = comparable(rows)
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


def comparable(rows: list[dict]) -> list[dict]:
    """Of Hyperband's those that were trained for the number of epochs that is most common."""
    lengths = Counter(row.get("tuner/epochs") for row in rows)
    return [row for row in rows if row.get("tuner/epochs") == lengths.most_common(1)[0][0]] if rows else []


def parallel_coordinates(rows: list[dict]):
    """A line a trial through its choices to its accuracy."""
    rows = comparable(rows)
    names = varied_in(rows)
    if not names:
        return None
    figure, axes = new_figure(ylabel="", width=2 + 1.6 * (len(names) + 1))
    values = {name: sorted({row[name] for row in rows}) for name in names}
    scores = [row["validation_accuracy"] for row in rows]
    low, high = min(scores), max(scores)
    for row in sorted(rows, key=lambda row: row["validation_accuracy"]):
        share = (row["validation_accuracy"] - low) / (high - low or 1)
        heights = [values[name].index(row[name]) / (len(values[name]) - 1) for name in names]
        axes.plot([*heights, share], color=(1 - share, 0.2, share), alpha=0.3 + 0.6 * share)
    for i, name in enumerate(names):
        for j, value in enumerate(values[name]):
            axes.annotate(f" {value}", (i, j / (len(values[name]) - 1)), fontsize="small")
    axes.annotate(f" {100 * low:.1f}", (len(names), 0), fontsize="small")
    axes.annotate(f" {100 * high:.1f}", (len(names), 1), fontsize="small")
    titles = [name.replace("_", " ") for name in names]
    axes.set(xticks=range(len(names) + 1), xticklabels=[*titles, "validation\naccuracy (%)"], yticks=[])
    return figure


def best_so_far(rows: list[dict]):
    """The best accuracy by the time since the first trial that is told of ended."""
    rows = sorted((row for row in rows if row["ended"]), key=lambda row: row["ended"])
    if not rows:
        return None
    figure, axes = new_figure(xlabel="minutes since the first trial began")
    began = rows[0]["ended"] - rows[0]["seconds"]
    minutes, scores = [(row["ended"] - began) / 60 for row in rows], [accuracy(row) for row in rows]
    axes.scatter(minutes, scores, color="C0", alpha=0.5)
    axes.step(minutes, [max(scores[: i + 1]) for i in range(len(scores))], where="post", color="black")
    return figure


# name of the file -> what draws it of the completed trials, or has nothing to draw
PICTURES: dict[str, Callable] = {
    function.__name__: function
    for function in (
        depth_by_shortcut, curves, accuracy_by_cost, importance_of_choices, parallel_coordinates, best_so_far,
    )
}  # fmt: skip


def accuracy(row: dict) -> float:
    return 100 * row["validation_accuracy"]


def colours(rows: list[dict]) -> dict[str, str]:
    return {shortcut: f"C{i}" for i, shortcut in enumerate(dict.fromkeys(row["shortcut"] for row in rows))}


def new_figure(*, ylabel="validation accuracy (%)", width=6.0, height=4.0, **settings):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    axes.set(ylabel=ylabel, **settings)
    axes.grid(alpha=0.3)
    return figure, axes


def draw(directory, rows: list[dict]) -> list[str]:
    """PICTURES of the completed trials as PNG; returns the names of the files."""
    import matplotlib

    matplotlib.use("Agg")
    rows = [row for row in rows if row["status"] == "COMPLETED"]
    drawn = []
    for name, picture in PICTURES.items() if rows else ():
        figure = picture(rows)
        if figure is not None:
            save(figure, Path(directory, f"{name}.png"))
            drawn.append(f"{name}.png")
    return drawn


def save(figure, path: Path) -> None:
    from matplotlib import pyplot

    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
    pyplot.close(figure)


def write_report(directory) -> list[dict]:
    """`trials.csv`, the pictures, `report.md` and `report.html` of the sweep in `directory`; returns the rows."""
    directory = Path(directory)
    rows = read_trials(directory)
    write_csv(directory, rows)
    pictures = draw(directory, rows)
    about = read_json(directory / "sweep.json") or {}
    best, final = best_of(rows), read_json(directory / "best.json")
    before, after = [], []
    if about:
        before.append(f"{about['machine']}; {about['versions']}; seed {about['seed']}.")
    if best is None:
        before.append("No trial was completed.")
    else:
        before.append(f"Best: trial {best['trial']}, {percent(best['validation_accuracy'])} % on the validation set.")
    if final:
        again = f" (look {final['looks']} at them)" if final["looks"] > 1 else ", at which nothing else has looked"
        files = " and ".join(f"`{name}`" for name in ("best.keras", final["saved_model"]) if name)
        before.append(
            f"After the sweep, on the {final['test_examples']:,} test pictures{again}: "
            f"**{percent(final['test_accuracy'])} %**. The net is in {files}."
        )
    after.append("Accuracies are those of the last epoch, in per cent; a trial is one run with one seed.")
    if "importance_of_choices.png" in pictures:
        after.append(
            "The importance of a choice is the share of the variance of accuracies that lies between the means of its "
            "values; the mark is what chance would give it. What choices do together is nobody's."
        )
    commands = about.get("commands", [])
    parts = [f"# {directory.name}"]
    if commands:
        parts.append("\n".join(f"    {command}" for command in commands))
    parts += [*before, table(rows) if rows else "No trial has begun."]
    parts += [f"![{title(name)}]({name})" for name in pictures]
    write_text(directory / "report.md", "\n\n".join([*parts, *after]) + "\n")
    write_text(directory / "report.html", page(directory, commands, before, rows, pictures, after))
    return rows


def title(picture: str) -> str:
    return picture.removesuffix(".png").replace("_", " ")


STYLE = "body{font-family:sans-serif;margin:2em} td,th{padding:.2em .6em;text-align:right}"


def page(directory: Path, commands, before, rows: list[dict], pictures: list[str], after) -> str:
    """The report as one file that needs no other: the pictures are in it."""

    def paragraph(text: str) -> str:
        return f"<p>{html.escape(text).replace('**', '').replace('`', '')}</p>"

    def line(cells: str, tag: str) -> str:
        cut = (cell.strip().replace("**", "") for cell in cells.strip("| ").split(" | "))
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cut) + "</tr>"

    parts = [f"<h1>{html.escape(directory.name)}</h1>"]
    parts += [f"<pre>{html.escape(command)}</pre>" for command in commands]
    parts += map(paragraph, before)
    if rows:
        head, _, *body = table(rows).splitlines()
        parts.append(f"<table>{line(head, 'th')}{''.join(line(cells, 'td') for cells in body)}</table>")
    for name in pictures:
        data = base64.b64encode((directory / name).read_bytes()).decode()
        parts.append(f'<p><img alt="{title(name)}" src="data:image/png;base64,{data}"></p>')
    parts += map(paragraph, after)
    name = html.escape(directory.name)
    return f'<!doctype html><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style>{"".join(parts)}\n'


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directory", type=Path, help="of a sweep, such as runs/first")
    directory = parser.parse_args(arguments).directory
    if not list(directory.glob("trial_*/trial.json")):
        print(f"directory must hold the trials of a sweep (trial_*/trial.json). Received: {directory}", file=sys.stderr)
        return 1
    rows = write_report(directory)
    print(table(rows))
    print(f"\n{directory / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
