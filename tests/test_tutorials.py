"""The tutorials are notebooks in percent format. With small settings they run, learn and write their figures."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TUTORIALS = sorted((Path(__file__).parent.parent / "docs" / "tutorials").glob("*.py"))
METRICS = {"detection": "ap50", "segmentation": "trained"}  # test_docs.py runs the others
MEASURED = [path for path in TUTORIALS if path.stem in METRICS]


def cells(text):
    """Returns pairs of a cell's header, such as "[markdown]", and its lines."""
    before, *rest = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    if before.strip():
        raise ValueError(f"Text before the first cell: {before!r}")
    return list(zip((header.strip() for header in rest[::2]), rest[1::2], strict=True))


def check_cells(text):
    for header, body in cells(text):
        if header == "[markdown]":
            stray = [line for line in body.splitlines() if line and line != "#" and not line.startswith("# ")]
            if stray or not body.strip():
                raise ValueError(f"Not a markdown cell: {stray}")
        elif header:
            raise ValueError(f"Unknown cell: {header!r}")
        elif not ast.parse(body).body:
            raise ValueError("A code cell without code")


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_cells_parse(path):
    text = path.read_text()
    check_cells(text)
    headers = [header for header, _ in cells(text)]
    assert headers[0] == headers[-1] == "[markdown]"
    assert cells(text)[0][1].startswith("# # ")  # the title


@pytest.mark.parametrize(
    "text",
    ["import os\n# %%\n1\n", "# %%\n1 +\n", "# %% [markdown]\nText\n", "# %%\n# only a comment\n", "# %% [md]\n"],
)
def test_wrong_cells_are_refused(text):
    with pytest.raises((ValueError, SyntaxError)):
        check_cells(text)


def test_every_metric_has_a_tutorial():
    assert {path.stem for path in MEASURED} == set(METRICS)


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_a_small_run_learns_and_writes_pictures(path, tmp_path, monkeypatch):
    for module in ("keras_hub", "pycocotools", "matplotlib"):
        pytest.importorskip(module)
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTORIAL_SIZE", "small")
    plt.switch_backend("agg")
    names = runpy.run_path(str(path))
    plt.close("all")
    losses = names["history"].history["loss"]
    assert len(losses) == names["EPOCHS"] == 3
    assert losses[-1] < 0.8 * losses[0]
    metric = names[METRICS[path.stem]]
    assert 0 <= (metric["mean_iou"] if isinstance(metric, dict) else metric) <= 1
    for time in ("before", "after"):
        with Image.open(tmp_path / f"{path.stem}_{time}.png") as picture:
            assert np.asarray(picture).std() > 10  # not blank
