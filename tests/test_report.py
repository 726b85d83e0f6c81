"""What the report of a sweep says, from rows of which the answer is known."""

import itertools
import json

import pytest

from experiments import report


def row(number, accuracy, macs=100, status="COMPLETED", **choices):
    return {
        "trial": str(number), "depth": 8, "shortcut": "none", **choices, "seed": 1, "parameters": 10,
        "multiply_adds": macs, "epochs": 1, "seconds": 60.0, "overhead": 1.0, "train_accuracy": accuracy,
        "validation_accuracy": accuracy, "status": status, "error": "",
        "history": {"accuracy": [accuracy], "val_accuracy": [accuracy]}, "ended": 60.0 * (number + 1),
    }  # fmt: skip


GRID = [
    row(i, accuracy, depth=depth, shortcut=shortcut)
    for i, ((depth, shortcut), accuracy) in enumerate(
        zip(itertools.product((8, 14, 20), ("none", "zero_pad")), (0.1, 0.2, 0.4, 0.5, 0.7, 0.8), strict=True)
    )
]


def test_importance_of_an_additive_grid_adds_up_to_all():
    """Depth moves by .3, the shortcut by .1: sums of squares 4 x .3^2 = .36 and 6 x .05^2 = .015."""
    shares = report.importance(GRID)
    assert {name: share for name, (share, _) in shares.items()} == pytest.approx({"depth": 0.96, "shortcut": 0.04})
    assert {name: chance for name, (_, chance) in shares.items()} == {"depth": 2 / 5, "shortcut": 1 / 5}


def test_importance_needs_a_difference():
    assert report.importance([row(i, 0.5, depth=depth) for i, depth in enumerate((8, 14))]) == {}
    assert report.importance([row(0, 0.5)]) == {}
    assert report.importance([]) == {}


def test_trials_of_one_length_are_compared():
    rows = [row(i, 0.1, **{"tuner/epochs": epochs}) for i, epochs in enumerate((1, 1, 9))]
    assert [each["trial"] for each in report.comparable(rows)] == ["0", "1"]


def test_pareto_front():
    rows = [
        row(i, accuracy, macs) for i, (macs, accuracy) in enumerate([(4, 0.9), (1, 0.5), (2, 0.4), (2, 0.6), (4, 0.8)])
    ]
    assert [each["trial"] for each in report.pareto(rows)] == ["1", "3", "0"]


def test_the_pictures_show_what_was_found():
    (line,) = report.best_so_far(GRID).axes[0].lines
    assert [*line.get_ydata()] == pytest.approx([10, 20, 40, 50, 70, 80])
    assert [*line.get_xdata()] == pytest.approx([1, 2, 3, 4, 5, 6])  # minutes
    (front,) = report.accuracy_by_cost(GRID).axes[0].lines
    assert [*front.get_ydata()] == [80]  # they all cost the same
    bars = report.importance_of_choices(GRID).axes[0].patches
    assert [bar.get_width() for bar in bars] == pytest.approx([4, 96])
    lines = report.parallel_coordinates(GRID).axes[0].lines
    assert sorted((*line.get_ydata(),) for line in lines)[0] == pytest.approx((0, 0, 0))
    assert len(lines) == 6


def test_one_trial_has_fewer_pictures(tmp_path):
    assert report.draw(tmp_path, GRID[:1]) == [
        "depth_by_shortcut.png", "curves.png", "accuracy_by_cost.png", "best_so_far.png",
    ]  # fmt: skip
    assert report.draw(tmp_path, [row(0, 0.5, status="STOPPED")]) == []


def a_sweep(directory, rows):
    for each in rows:
        place = directory / f"trial_{each['trial']}"
        place.mkdir(parents=True)
        values = {"depth": each["depth"], "shortcut": each["shortcut"]}
        status = "COMPLETED" if each["status"] == "STOPPED" else each["status"]
        trial = {"trial_id": each["trial"], "hyperparameters": {"values": values}, "status": status, "message": None}
        (place / "trial.json").write_text(json.dumps(trial))
        result = {name: each[name] for name in (*report.RESULTS, "error", "history", "ended")}
        (place / "result.json").write_text(json.dumps(result | {"stopped": each["status"] == "STOPPED"}))


def test_a_page_of_its_own_while_the_sweep_runs(tmp_path, capsys):
    rows = [*GRID[:3], row(3, 0.9, status="STOPPED"), row(4, None, status="RUNNING", shortcut="<b>")]
    a_sweep(tmp_path / "s", rows)
    assert report.main([str(tmp_path / "s")]) == 0
    page = (tmp_path / "s" / "report.html").read_text()
    assert page.count("<tr>") == 6
    assert "<td>STOPPED</td>" in page
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page  # nothing is fetched
    assert "Best: trial 2, 40.00 % on the validation set." in page
    assert "report.html" in capsys.readouterr().out


def test_a_trial_in_pieces_is_a_row(tmp_path):
    a_sweep(tmp_path / "s", GRID[:3])
    (tmp_path / "s" / "trial_0" / "trial.json").write_text('{"trial_id": "0", "hyper')
    (tmp_path / "s" / "trial_1" / "result.json").write_text("")
    assert [each["status"] for each in report.write_report(tmp_path / "s")] == ["CORRUPT", "CORRUPT", "COMPLETED"]
    assert "the same command sets it aside" in (tmp_path / "s" / "report.md").read_text()
