"""Tests of sweep reports, on synthetic results."""

import csv
import itertools
import json
import random
import re
import shutil
import subprocess

import pytest

from experiments import report


def row(number, accuracy, macs=100, status="COMPLETED", seed=1, **choices):
    history = {"accuracy": [accuracy], "validation_accuracy": [accuracy]}
    return {
        "trial": str(number), "depth": 8, "shortcut": "none", **choices, "seed": seed, "parameters": 10,
        "multiply_adds": macs, "epochs": 1, "seconds": 60.0, "overhead": 1.0, "train_accuracy": accuracy,
        "validation_accuracy": accuracy, "status": status, "error": "", "history": history,
        "ended": 60.0 * (number + 1),
    }  # fmt: skip


GRID = [
    row(i, accuracy, depth=depth, shortcut=shortcut)
    for i, ((depth, shortcut), accuracy) in enumerate(
        zip(itertools.product((8, 14, 20), ("none", "zero_pad")), (0.1, 0.2, 0.4, 0.5, 0.7, 0.8), strict=True)
    )
]
RUNGS = [row(0, 0.9, **{"tuner/epochs": 1}), row(1, 0.3, **{"tuner/epochs": 9}), row(2, 0.2, **{"tuner/epochs": 9})]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def result_of(accuracy, *, seed=0, depth=8, epochs=3, ended=60.0, **others):
    history = [
        {"accuracy": accuracy * (i + 1) / epochs, "validation_accuracy": accuracy * (i + 1) / epochs}
        for i in range(epochs)
    ]
    return {
        "seed": seed, "parameters": 9000 * depth, "multiply_adds": 1_500_000 * depth, "epochs": epochs, "seconds": 50.0,
        "overhead": 2.0, "train_accuracy": accuracy, "validation_accuracy": accuracy, "history": history,
        "ended": ended, **others,
    }  # fmt: skip


def write_trial(directory, number, values, results=(), *, status="COMPLETED", message=None):
    """Writes a trial. A result of None is an unfinished run. A string is the error of a run."""
    place = directory / f"trial_{number:04d}"
    trial = {"trial_id": f"{number:04d}", "hyperparameters": {"values": values}, "status": status, "message": message}
    write(place / "trial.json", trial | {"score": None})
    for seed, result in enumerate(results):
        if isinstance(result, str):
            (place / f"seed{seed}").mkdir()
            (place / f"seed{seed}" / "error.txt").write_text(f"Traceback\n  line\n{result}\n")
        elif result is None:
            write(place / f"seed{seed}" / "history.json", {"1": {"accuracy": 0.3, "validation_accuracy": 0.25}})
        else:
            write(place / f"seed{seed}" / "result.json", result)


def write_sweep(directory, trials=9, seeds=2, done=True):
    """Writes a sweep over depth and shortcut. The accuracy of plain networks decreases with depth."""
    chance = random.Random(trials)
    about = {
        "commands": ["python -m experiments.sweep --name made_up " + "--depths 8 20 56 " * 8],
        "machine": "2 cores",
    }
    write(directory / "sweep.json", about | {"versions": "Keras 3", "seed": 5, "settings": {"seeds": seeds}})
    combinations = list(itertools.product((8, 20, 56), ("zero_pad", "projection", "none")))
    for i in range(trials):
        depth, shortcut = combinations[i % 9]
        values = {"depth": depth, "shortcut": shortcut, "order": "original"}
        if trials > 9:
            values |= {"learning_rate": chance.choice((0.01, 0.03, 0.1)), "width": chance.choice((1, 2))}
        mean = 0.5 + 0.002 * depth - (0.006 * depth if shortcut == "none" else 0)
        results = [
            result_of(mean + chance.gauss(0, 0.005), seed=5 + k, depth=depth, ended=60.0 * (i + 1))
            for k in range(seeds)
        ]
        write_trial(directory, i, values, results)
    if done:
        final = {"trial": "0007", "test_accuracy": 0.61, "test_examples": 10_000, "saved_model": "saved_model/1"}
        write(directory / "best.json", final | {"looks": 1})


@pytest.fixture
def mixed(tmp_path):
    """A sweep that has runs of every status."""
    directory = tmp_path / "mixed"
    write_sweep(directory, done=False)
    values = {"depth": 20, "shortcut": "none", "order": "original"}
    failed = result_of(0.1, depth=20, failure="diverged: the loss was not a number in epoch 2")
    write_trial(directory, 9, values, [failed, "MemoryError: no more"], status="FAILED")
    stopped = result_of(0.31, depth=20, epochs=2, stopped="after epoch 2 of 3")
    write_trial(directory, 10, values | {"depth": 56}, [stopped, result_of(0.35, depth=56)])
    write_trial(directory, 11, values | {"shortcut": "<b>"}, status="FAILED", message="Traceback\ntoo large")
    write_trial(directory, 12, values, [None], status="RUNNING")
    write_trial(directory, 13, values, [result_of(0.9, depth=20)] * 2)
    (directory / "trial_0013" / "seed1" / "result.json").write_text('{"seed": 1, "par')
    (directory / "trial_0014").mkdir()
    (directory / "trial_0014" / "trial.json").write_text('{"trial_id"')
    return directory


def test_rows_of_every_status(mixed):
    rows = report.read_trials(mixed)
    assert [row["status"] for row in rows[:18]] == ["COMPLETED"] * 18
    assert [(row["trial"], row["status"], row["error"]) for row in rows[18:]] == [
        ("0009", "FAILED", "diverged: the loss was not a number in epoch 2"),
        ("0009", "FAILED", "MemoryError: no more"),
        ("0010", "STOPPED", "after epoch 2 of 3"),
        ("0010", "COMPLETED", ""),
        ("0011", "FAILED", "too large"),
        ("0012", "RUNNING", ""),
        ("0012", "RUNNING", ""),  # the second seed has not started
        ("0013", "COMPLETED", ""),
        ("0013", "CORRUPT", "result.json or history.json cannot be read"),
        ("0014", "CORRUPT", "trial.json cannot be read"),
    ]
    assert rows[19]["seed"] == 6  # the seed of the sweep plus 1
    assert rows[23]["history"] == {"accuracy": [0.3], "validation_accuracy": [0.25]}


def test_best_needs_all_seeds_and_the_highest_rung(mixed):
    assert report.best_of(report.read_trials(mixed))["trial"] == "0007"  # not 0013: one of its seeds is missing
    assert report.best_of(RUNGS)["trial"] == "1"
    runs = [row(0, 0.5), row(0, 0.7, seed=2), row(1, 0.65), row(1, 0.64, seed=2)]
    best = report.best_of(runs)
    assert (best["trial"], best["seed"], best["mean"]) == ("1", 1, pytest.approx(0.645))
    assert report.best_of([row(0, 0.5, status="STOPPED")]) is None


def test_csv_has_a_line_per_run(mixed):
    rows = report.write_report(mixed)
    lines = list(csv.DictReader((mixed / "trials.csv").open()))
    assert len(lines) == len(rows) == 28
    assert list(lines[0]) == ["trial", "depth", "shortcut", "order", *report.RESULTS, "status", "error"]


def test_importance_of_an_additive_grid_adds_up_to_all():
    """The effects are 0.3 (depth) and 0.1 (shortcut): sums of squares 4 x .3^2 = .36 and 6 x .05^2 = .015."""
    shares = report.importance(GRID)
    assert {name: share for name, (share, _) in shares.items()} == pytest.approx({"depth": 0.96, "shortcut": 0.04})
    assert {name: chance for name, (_, chance) in shares.items()} == {"depth": 2 / 5, "shortcut": 1 / 5}


def test_importance_needs_a_difference():
    assert report.importance([row(i, 0.5, depth=depth) for i, depth in enumerate((8, 14))]) == {}
    assert report.importance([row(0, 0.5)]) == {}
    assert report.importance([]) == {}


def test_pareto_front():
    rows = [
        row(i, accuracy, macs) for i, (macs, accuracy) in enumerate([(4, 0.9), (1, 0.5), (2, 0.4), (2, 0.6), (4, 0.8)])
    ]
    assert [each["trial"] for each in report.pareto(rows)] == ["1", "3", "0"]


def test_difference_between_plain_and_residual():
    def trials(plain, residual):
        rows = [row(0, score, depth=56) for score in plain]
        return report.means_of(rows + [row(1, score, depth=56, shortcut="zero_pad") for score in residual])

    far = report.difference_at_depth(trials((0.40, 0.41, 0.42), (0.60, 0.61, 0.62)))
    assert "zero_pad reaches 61.00 ± 1.00 % (n = 3) and none (plain) 41.00 ± 1.00 % (n = 3)" in far
    assert "20.0 points, 95 % confidence interval 17.7 to 22.3 (Welch): more than seeds explain" in far
    near = report.difference_at_depth(trials((0.40, 0.60), (0.50, 0.62)))
    assert "no more than seeds explain" in near
    assert "With one seed" in report.difference_at_depth(trials((0.4,), (0.6,)))
    assert report.difference_at_depth(trials((0.4,), ())) == ""


def test_pictures_show_the_results():
    figure, _ = report.best_so_far(GRID)
    (line,) = figure.axes[0].lines
    assert [*line.get_ydata()] == pytest.approx([10, 20, 40, 50, 70, 80])
    assert [*line.get_xdata()] == pytest.approx([1, 2, 3, 4, 5, 6])  # minutes
    figure, _ = report.importance_of_choices(GRID)
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([4, 96])
    figure, _ = report.parallel_coordinates(GRID)
    assert [line.get_ydata()[-1] for line in figure.axes[0].lines] == pytest.approx([0, 1 / 7, 3 / 7, 4 / 7, 6 / 7, 1])


def test_every_picture_shows_the_highest_rung_only(tmp_path):
    captions = report.captioned(tmp_path, RUNGS)
    assert {"depth_by_shortcut.png", "accuracy_by_cost.png", "best_so_far.png"} <= set(captions)
    assert all("Only Hyperband's highest rung (9 epochs): 2 of 3 runs." in caption for caption in captions.values())


def test_one_trial_has_fewer_pictures(tmp_path):
    names = ["depth_by_shortcut.png", "curves.png", "accuracy_by_cost.png", "best_so_far.png"]
    assert list(report.draw(tmp_path, GRID[:1])) == names
    assert report.draw(tmp_path, [row(0, None, status="FAILED")]) == {}


def test_page_of_a_running_sweep(mixed, capsys):
    assert report.main([str(mixed)]) == 0
    page = (mixed / "report.html").read_text()
    assert '<meta http-equiv="refresh"' in page
    assert page.count("<tr data-status=") == 28
    assert "<td>STOPPED</td>" in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert "http:" not in page and "https:" not in page  # the page loads nothing
    assert page.count("<figcaption>") == page.count('src="data:image/png;base64,') == 6
    assert "report.html" in capsys.readouterr().out
    write(
        mixed / "best.json", {"trial": "6", "test_accuracy": 0.5, "test_examples": 9, "saved_model": None, "looks": 1}
    )
    report.write_report(mixed)
    assert '<meta http-equiv="refresh"' not in (mixed / "report.html").read_text()


def test_comparison_of_sweeps(mixed, tmp_path, capsys):
    write_sweep(tmp_path / "other")
    assert report.main([str(mixed), str(tmp_path / "other")]) == 0
    page = (tmp_path / "comparison" / "report.html").read_text()
    assert page.count("<figcaption>") == 2
    assert page.count("<tr data-status=") == 28 + 18
    assert "<td>other/0008</td><td>other</td>" in page
    assert report.main([str(mixed), str(tmp_path / "none")]) == 1
    assert "must hold the trials of a sweep" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [390, 1100])
def test_chromium_shows_sorts_and_filters_the_page(mixed, tmp_path, width):
    report.write_report(mixed)
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    script = "<script>document.body.dataset.fits = document.documentElement.scrollWidth <= innerWidth</script>"
    page = mixed / "report.html"
    page.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    address = f"file://{page}#sort=1&down=1&status=FAILED"
    command = [*chromium, f"--window-size={width},900", "--dump-dom", address]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    shown = re.findall(r'<tr data-status="(\w+)"(?: class="best")?><td>\w+</td><td>(\d+)</td>', dom)
    assert {status for status, _ in shown} == {"FAILED"}
    depths = [int(depth) for depth in re.findall(r"<tr data-status[^>]*><td>\w+</td><td>(\d+)</td>", dom)]
    assert depths == sorted(depths, reverse=True)
    assert 'data-fits="true"' in dom
