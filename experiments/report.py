"""The table and the pictures of a sweep, from the files of its trials alone: it may be read while it runs.

python -m experiments.report runs/first
"""

import argparse
import csv
import io
import sys
from pathlib import Path

from experiments.files import read_json, whole, write_text

RESULTS = ("seed", "parameters", "multiply_adds", "epochs", "seconds", "train_accuracy", "validation_accuracy")


def read_trials(directory) -> list[dict]:
    """A row a trial: `trial`, the hyperparameters, RESULTS, `status` as Keras Tuner names it, `error`, `history`."""
    rows = []
    paths = Path(directory).glob("trial_*/trial.json")
    for path in sorted(paths, key=lambda path: int(path.parent.name.removeprefix("trial_"))):
        trial = read_json(path)
        result = read_json(path.with_name("result.json")) if trial["status"] in ("COMPLETED", "FAILED") else None
        result = result or {}
        error = result.get("error") or (trial["message"] or "").strip().rpartition("\n")[2]
        rows.append(
            {
                "trial": trial["trial_id"],
                **trial["hyperparameters"]["values"],
                **{name: result.get(name) for name in RESULTS},
                "status": trial["status"],
                "error": error,
                "history": result.get("history", {}),
            }
        )
    return rows


def best_of(rows: list[dict]) -> dict | None:
    completed = [row for row in rows if row["status"] == "COMPLETED"]
    return max(completed, key=lambda row: row["validation_accuracy"], default=None)


def columns_of(rows: list[dict]) -> list[str]:
    columns = dict.fromkeys(name for row in rows for name in row if name not in ("trial", *RESULTS, "status", "error"))
    return ["trial", *(name for name in columns if name != "history"), *RESULTS, "status", "error"]


def write_csv(directory, rows: list[dict]) -> None:
    """`trials.csv`, one row a trial; accuracies of 0..1, training time in seconds."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(Path(directory, "trials.csv"), text.getvalue())


def percent(value) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def table(rows: list[dict]) -> str:
    """Markdown: what was varied and what came out, the best trial in bold."""
    chosen = [name for name in columns_of(rows)[1:] if name not in (*RESULTS, "status", "error") and "/" not in name]
    varied = [name for name in chosen if len({row.get(name) for row in rows}) > 1] or chosen[:2]
    best = best_of(rows)
    head = ["trial", *(name.replace("_", " ") for name in varied), "seed", "parameters", "multiply-adds", "epochs"]
    head += ["seconds", "train %", "validation %", "status"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [row["trial"], *(row.get(name) for name in varied), row["seed"]]
        cells += [f"{row[name]:,}" if row[name] else "" for name in ("parameters", "multiply_adds")]
        cells += [row["epochs"], row["seconds"] and round(row["seconds"])]
        validation = percent(row["validation_accuracy"])
        cells += [percent(row["train_accuracy"]), f"**{validation}**" if row is best else validation]
        cells += [row["status"] + (f": {row['error']}" if row["error"] else "")]
        lines.append(["" if cell is None else str(cell).replace("|", "/") for cell in cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(directory, rows: list[dict]) -> list[str]:
    """`depth_by_shortcut.png` and `curves.png` of the completed trials; returns the names of those drawn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in rows if row["status"] == "COMPLETED"]
    if not rows:
        return []
    shortcuts = list(dict.fromkeys(row["shortcut"] for row in rows))
    depths = sorted({row["depth"] for row in rows})
    colour = {shortcut: f"C{i}" for i, shortcut in enumerate(shortcuts)}

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for shortcut in shortcuts:
        of_shortcut = [row for row in rows if row["shortcut"] == shortcut]
        axes.scatter(
            [row["depth"] for row in of_shortcut],
            [100 * row["validation_accuracy"] for row in of_shortcut],
            color=colour[shortcut],
        )
        means = {}
        for depth in sorted({row["depth"] for row in of_shortcut}):
            values = [row["validation_accuracy"] for row in of_shortcut if row["depth"] == depth]
            means[depth] = 100 * sum(values) / len(values)
        axes.plot(means.keys(), means.values(), color=colour[shortcut], label=shortcut)
    axes.set(xlabel="depth (weight layers)", ylabel="validation accuracy (%)", xticks=depths)
    axes.legend(title="shortcut")
    axes.grid(alpha=0.3)
    save(figure, Path(directory, "depth_by_shortcut.png"))

    figure, pair = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axes, name, title in zip(pair, ("accuracy", "val_accuracy"), ("training", "validation"), strict=True):
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
    save(figure, Path(directory, "curves.png"))
    return ["depth_by_shortcut.png", "curves.png"]


def save(figure, path: Path) -> None:
    from matplotlib import pyplot

    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
    pyplot.close(figure)


def write_report(directory) -> list[dict]:
    """`trials.csv`, the pictures and `report.md` of the sweep in `directory`; returns the rows."""
    directory = Path(directory)
    rows = read_trials(directory)
    write_csv(directory, rows)
    pictures = draw(directory, rows)
    about = read_json(directory / "sweep.json") or {}
    best, final = best_of(rows), read_json(directory / "best.json")
    parts = [f"# {directory.name}"]
    if about:
        parts += ["\n".join(f"    {command}" for command in about["commands"])]
        parts.append(f"{about['machine']}; {about['versions']}; seed {about['seed']}.")
    if best is None:
        parts.append("No trial was completed.")
    else:
        parts.append(f"Best: trial {best['trial']}, {percent(best['validation_accuracy'])} % on the validation set.")
    if final:
        again = f" (look {final['looks']} at them)" if final["looks"] > 1 else ", at which nothing else has looked"
        files = " and ".join(f"`{name}`" for name in ("best.keras", final["saved_model"]) if name)
        parts.append(
            f"After the sweep, on the {final['test_examples']:,} test pictures{again}: "
            f"**{percent(final['test_accuracy'])} %**. The net is in {files}."
        )
    parts.append(table(rows) if rows else "No trial has begun.")
    parts += [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in pictures]
    parts.append("Accuracies are those of the last epoch, in per cent; a trial is one run with one seed.")
    write_text(directory / "report.md", "\n\n".join(parts) + "\n")
    return rows


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
    print(f"\n{directory / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
