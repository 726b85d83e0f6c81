"""`python -m experiments.paper`: compares the grids with the papers; cells, their distribution, and reports."""

import errno
import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import randomize

import keras_resnet
from experiments import paper, paper_report
from experiments.grids import GRIDS, PEER_MODELS, counts
from experiments.runner import Done
from keras_resnet.files import NO_SPACE, write_json, write_text

ROOT = Path(__file__).parent.parent
TRAINED = [name for name, grid in GRIDS.items() if grid.trained]


@pytest.mark.parametrize("name", GRIDS)
def test_every_line_is_a_net_of_its_own(name):
    grid = GRIDS[name]
    for nets in (grid.nets, grid.small):
        ours = [net for net in nets if net.variant not in PEER_MODELS]
        rows = [replace(keras_resnet.VARIANTS[net.variant], **net.choices) for net in ours]
        assert len(set(rows)) == len(rows)
        assert len({net.title for net in nets}) == len(nets)


@pytest.mark.parametrize(
    ("grid", "titles", "errors"),
    [
        # arXiv:1512.03385, Table 6. The value of 110 layers is the mean of five runs.
        ("table6", "ResNet-{}", {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61, 1202: 7.93}),
        # arXiv:1603.05027, Table 1: original, 1x1 conv shortcut
        ("options", "110 layers, {}", {"A": 6.61, "C": 12.22}),
        # arXiv:1603.05027, Table 2
        (
            "orders",
            "resnet110, {}",
            {
                "original": 6.61,
                "bn_after_addition": 8.17,
                "relu_before_addition": 7.84,
                "relu_only_preactivation": 6.71,
                "preactivation": 6.37,
                "conv_relu_bn": None,
            },
        ),
        (
            "orders",
            "resnet164v2, {}",
            {
                "original": 5.93,
                "bn_after_addition": 6.50,
                "relu_before_addition": 6.14,
                "relu_only_preactivation": 5.91,
                "preactivation": 5.46,
                "conv_relu_bn": None,
            },
        ),
    ],
)
def test_the_papers_figures(grid, titles, errors):
    found = {net.title: net.paper for net in GRIDS[grid].nets}
    assert {titles.format(key): found[titles.format(key)] for key in errors} == {
        titles.format(key): error for key, error in errors.items()
    }


@pytest.mark.slow
def test_table_1_of_the_paper():
    """arXiv:1512.03385, Table 1 ("FLOPs") and section 4.1 (VGG-16). The tolerance is 0.07e9, or 0.2e9 for VGG-16."""
    for net in GRIDS["imagenet_table1"].nets:
        if net.title != "ResNet-152":  # it would need seconds to build, for only one more line
            _, macs = counts(net)
            assert macs / 1e9 == pytest.approx(net.paper, abs=0.2 if net.variant == "vgg16" else 0.07), net.title


@pytest.mark.slow
def test_the_family_has_one_budget():
    """The networks have about 250 to 330 million multiply-adds, as the question of the grid says."""
    costs = {net.title: counts(net)[1] for net in GRIDS["family"].nets}
    assert len(costs) == 6
    assert all(245e6 <= macs <= 335e6 for macs in costs.values()), costs


def test_cells_are_complete_and_apart():
    cells = paper.cells_of(GRIDS["degradation"], "full")
    assert len(cells) == 8 * 5
    assert len({cell.name for cell in cells}) == len(cells)
    assert [cell.seed for cell in cells[:9]] == [0] * 8 + [1]  # after an early stop, every network has a result
    assert paper.cells_of(GRIDS["imagenet_table1"], "full") == []
    assert [cell.net.title for cell in paper.cells_of(GRIDS["degradation"], "smoke")] == ["plain-20", "ResNet-20"]
    assert "ResNet-1202" not in {cell.net.title for cell in paper.cells_of(GRIDS["table6"], "medium")}


def test_the_shares_of_an_array_job_are_all_cells_once(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(paper, "run_cells", lambda numbered, *args: taken.extend(number for number, _ in numbered) or 0)
    for k in (1, 2, 3, 4, 5):
        assert paper.main(["degradation", "--directory", str(tmp_path), "--cell", f"{k}/5"]) == 0
    assert sorted(taken) == list(range(1, 8 * 3 + 1))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_a_share_that_is_none(text, capsys):
    with pytest.raises(SystemExit):
        paper.main(["degradation", f"--cell={text}"])
    assert "must be K/N with 1 <= K <= N" in capsys.readouterr().err


def test_responses_are_standard_deviations():
    """He 2015, Fig. 7, by hand: the outputs of BN over all images and pixels, before ReLU or addition."""
    model = randomize(keras_resnet.ResNet("resnet20", input_shape=(8, 8, 3), shortcut="B"))
    images = np.random.default_rng(0).normal(size=(250, 8, 8, 3)).astype("float32")
    names = [layer.name for layer in model.layers if layer.name.endswith("_bn") and "_0_" not in layer.name]
    assert len(names) == 19  # conv1 and two convolutions in each of nine blocks
    answers = keras.Model(model.input, [model.get_layer(name).output for name in names]).predict(images, verbose=0)
    found = paper_report.layer_responses(model, images)
    np.testing.assert_allclose(found, [answer.std() for answer in answers], rtol=2e-2)


def test_responses_are_numbers_in_the_report(tmp_path):
    about = dict(machine="2 cores", versions="Keras", commit="abc", precision="float32", seconds=6.0, epochs=1)
    history = [{"accuracy": 0.5, "test_accuracy": 0.5}]
    net = GRIDS["responses"].nets[0]
    seeds = [[1.0, 2.0, 9.0], [1.0, 3.0, 4.0]]
    cells = [about | dict(cell=f"s{i}", seed=i, history=history, responses=row) for i, row in enumerate(seeds)]
    told = paper_report.write_report(tmp_path, "responses", GRIDS["responses"], [(net, cells)], "")
    assert "| responses: median of the layers |" in told and "| 2.500 |" in told
    assert json.loads((tmp_path / "responses.json").read_text()) == {"s0": seeds[0], "s1": seeds[1]}


@pytest.fixture
def results(tmp_path):
    """Results of two networks with two seeds, and a failed cell."""
    for title, errors in (("plain20", (0.30, 0.32)), ("resnet20", (0.20, 0.26))):
        for seed, error in enumerate(errors):
            history = [
                {"loss": 2.0, "accuracy": 0.5, "seconds": 3.0},
                {"loss": 1.0, "accuracy": 1 - error - 0.1, "test_accuracy": 1 - error, "seconds": 3.0},
            ]
            about = dict(machine="2 cores", versions="Keras", commit="abc", precision="float32", seconds=6.0)
            cell = about | dict(seed=seed, epochs=2, history=history, responses=[1.0])
            write_json(_place(tmp_path, title, seed) / "result.json", cell)
    write_text(_place(tmp_path, "resnet20", 2) / "error.txt", "Traceback\nDiverged: the loss was not a number\n")
    return tmp_path


def _place(directory, title, seed):
    place = directory / "cells_medium" / f"{title}-seed{seed}"
    place.mkdir(parents=True)
    return place


def test_published_errors_are_of_nets_of_the_grid():
    titles = {net.title for net in GRIDS["degradation"].nets}
    for where, errors in GRIDS["degradation"].replications.items():
        assert set(errors) == titles, where
    assert {net.title: net.paper for net in GRIDS["degradation"].nets if net.paper}.items() <= (
        GRIDS["degradation"].replications["He 2015"].items()
    )


def test_grids_share_their_cells():
    cells = {name: {cell.name for cell in paper.cells_of(GRIDS[name], "medium")} for name in TRAINED}
    assert cells["degradation"] & cells["options"] == {
        f"{net}-seed{seed}" for net in ("plain20", "plain56", "resnet20", "resnet56") for seed in range(3)
    }
    assert cells["responses"] < cells["degradation"]
    assert cells["degradation"] & cells["orders"] == {f"resnet56-seed{seed}" for seed in range(3)}
    full = {name: {cell.name for cell in paper.cells_of(GRIDS[name], "full")} for name in ("orders", "family")}
    assert {"resnet110-seed0", "resnet164v2-seed0"} <= full["orders"] & full["family"]


def test_what_is_made_of_results(results, monkeypatch, capsys):
    monkeypatch.setattr(paper, "make_runner", lambda options: pytest.fail("it is only to report"))
    command = ["degradation", "--budget", "medium", "--directory", str(results)]
    assert paper.main([*command, "--report"]) == 1  # one cell has failed
    text = (results / "degradation_medium" / "report.md").read_text()
    assert f"    python -m experiments.paper {' '.join(command)}\n" in text
    assert "| plain-20 | 269,722 | 40,551,040 | 2 | 41.00 ± 1.41 | 31.00 ± 1.41 |  |" in text
    assert "| ResNet-20 | 269,722 | 40,551,040 | 2, 1 failed | 33.00 ± 4.24 | 23.00 ± 4.24 | 8.75 |" in text
    assert "| plain-56 | 853,018 | 125,485,696 | 0 |  |  |  |" in text  # not run yet
    assert "resnet20-seed2 failed: Diverged: the loss was not a number" in text
    assert "2 cores; Keras; commit abc." in text
    rows = (results / "degradation_medium" / "results.csv").read_text().splitlines()
    assert rows[0].startswith("net,seed,parameters,multiply_adds,epochs,seconds,train_error,test_error,failure")
    assert len(rows) == 6
    assert (results / "degradation_medium" / "figure.png").stat().st_size > 10_000


class Failing:
    """A runner whose first task fails."""

    def __init__(self):
        self.asked, self.free = [], 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, task):
        self.asked.append(task)
        self.free = 0
        task.directory.mkdir(parents=True, exist_ok=True)

    def next(self):
        self.free = 1
        error = "Traceback\nMemoryError: no more\n" if len(self.asked) == 1 else None
        return Done(self.asked[-1], None, error, 1)


def test_a_cell_that_fails_stops_no_other(tmp_path, monkeypatch, capsys):
    runner = Failing()
    monkeypatch.setattr(paper, "make_runner", lambda options: runner)
    paper.main(["options", "--budget", "smoke", "--directory", str(tmp_path)])
    assert [task.name for task in runner.asked] == ["plain20-seed0", "resnet20-seed0"]
    assert "failed: MemoryError: no more" in capsys.readouterr().err
    assert "plain20-seed0 failed: MemoryError: no more" in (tmp_path / "options_smoke/report.md").read_text()


@pytest.mark.slow
def test_a_kill_before_the_responses_is_made_up_for(tmp_path, capsys):
    """The result is there and its responses are not: the cell is not finished, and the same command measures them."""
    (cell,) = [cell for cell in paper.cells_of(GRIDS["degradation"], "smoke") if cell.net.title == "ResNet-20"]
    run, cells = paper.run_of(cell, Namespace(budget="smoke", precision="float32")), tmp_path / "cells_smoke"
    result = run(cells / cell.name)
    assert cell.result(cells) is None and cell.has_responses
    command = ["responses", "--budget", "smoke", "--directory", str(tmp_path)]
    assert paper.main([*command, "--report"]) == 0  # no figure of responses that are not there
    assert paper.main([*command, "--list"]) == 0
    assert "finished" not in capsys.readouterr().out
    found = paper.train_cell(run, True, None, cells / cell.name, lambda *_: False)
    assert found == cell.result(cells) and len(found["responses"]) == 19
    assert found["ended"] == result["ended"]  # it was not trained again


def test_a_cell_that_diverged_is_a_failure_in_the_report(tmp_path):
    place = tmp_path / "cells_smoke" / "resnet20-seed0"
    place.mkdir(parents=True)
    write_json(place / "result.json", {"failure": "diverged: the loss was not a number in epoch 1"})
    assert paper.main(["degradation", "--budget", "smoke", "--directory", str(tmp_path), "--report"]) == 1
    text = (tmp_path / "degradation_smoke" / "report.md").read_text()
    assert "resnet20-seed0 failed: diverged: the loss was not a number in epoch 1" in text


def test_names_and_nets_are_listed(capsys):
    assert paper.main([]) == 0
    assert "degradation" in capsys.readouterr().out
    assert paper.main(["imagenet_table1", "--list"]) == 0
    assert "counted, not trained" in capsys.readouterr().out


def smoke(name, directory):
    command = [sys.executable, "-m", "experiments.paper", name, "--budget", "smoke", "--directory", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return directory / f"{name}_smoke"


def test_the_command(tmp_path, capsys):
    assert paper.main(["degradation", "--budget", "smoke", "--directory", str(tmp_path)]) == 0
    capsys.readouterr()
    directory = tmp_path / "degradation_smoke"
    found = json.loads((directory.parent / "cells_smoke" / "resnet20-seed0" / "result.json").read_text())
    assert (found["epochs"], found["examples"], found["dataset"]) == (1, 128, "digits")
    assert "| ResNet-20 | 269,722 | 40,551,040 | 1 |" in (directory / "report.md").read_text()
    assert paper.main(["degradation", "--budget", "smoke", "--directory", str(tmp_path), "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["1/2  plain20-seed0  finished", "2/2  resnet20-seed0  finished"]
    other = ["degradation", "--budget", "smoke", "--directory", str(tmp_path), "--precision", "float16"]
    for share in ([], ["--cell=1/2"]):
        assert paper.main([*other, *share]) == 1
        assert "contains a run with other settings" in capsys.readouterr().err
    assert not (
        directory.parent / "cells_smoke" / "plain20-seed0" / "error.txt"
    ).exists()  # the file would mark the cell as failed


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TRAINED if name != "degradation"])
def test_the_command_for_every_grid(name, tmp_path):
    directory = smoke(name, tmp_path)
    assert (directory / "figure.png").exists()


def test_a_full_disk_ends_it(tmp_path, monkeypatch, capsys):
    def run_cells(*_):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "history.json"))

    monkeypatch.setattr(paper, "run_cells", run_cells)
    assert paper.main(["degradation", "--budget", "smoke", "--directory", str(tmp_path)]) == NO_SPACE
    message = f"No space left on device: {tmp_path / 'history.json'}. Free some, and run the same command."
    assert capsys.readouterr().err.strip() == message
