"""The README does what it says: its code runs, its tables are those of the code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DEEP
from test_resnet import BUILDERS, row_of
from test_variants import ORACLES

from keras_resnet import VARIANTS, DenseVariant
from keras_resnet.resnet import weight_layers

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def code_blocks():
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(code_blocks())))
def test_code_runs(number, tmp_path):
    subprocess.run([sys.executable, "-c", code_blocks()[number]], cwd=tmp_path, check=True, timeout=300)


def section(name):
    return re.search(rf"<!-- {name}.*?-->\n(.*)<!-- /{name} -->", README.read_text(), re.DOTALL).group(1)


def models():
    """The table of models, its integers the tested ones of tests/test_variants.py."""
    lines = ["| builder | weight layers | block | shortcut | image | classes | parameters | multiply-adds |"]
    lines.append("| --- | ---: | --- | --- | ---: | ---: | ---: | ---: |")
    names = {row_of(name): name for name in BUILDERS}
    for name, row in VARIANTS.items():
        cells = [f"`{names[name]}`", weight_layers(row), *described(row), row.image_size, row.classes]
        cells += [f"{count:,}" for count in ORACLES[name][:2]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def described(row):
    """What its blocks are, and its shortcut."""
    if isinstance(row, DenseVariant):
        return f"dense layer, growth rate {row.growth_rate}", "concatenation"
    words = [row.block.replace("_", " ")]
    words += [{"preactivation": "pre-activated", "stage_wise": "stage-wise order"}.get(row.order, "")]
    words += [f"{row.groups} groups" if row.groups > 1 else "", {"se": "SE", "eca": "ECA"}.get(row.gate, "")]
    words += ["GroupNorm" if row.norm == "gn" else "", "standardized weights" if row.weight_standardization else ""]
    return ", ".join(filter(None, words)), f"`{row.shortcut}`"


def default_sweep():
    """The report of the default sweep, less its title and pictures."""
    text = (ROOT / "experiments" / "results" / "default_sweep" / "report.md").read_text()
    parts = [part for part in text.strip().split("\n\n") if not part.startswith(("# ", "!["))]
    return "\n\n".join(parts) + "\n"


def test_table_of_models():
    assert section("models") == models()
    assert set(VARIANTS) >= DEEP


def test_default_sweep():
    assert section("sweep") == default_sweep()
    results = ROOT / "experiments" / "results" / "default_sweep"
    settings = json.loads((results / "sweep.json").read_text())["settings"]
    assert f"![validation accuracy by depth and shortcut]({(results / 'depth_by_shortcut.png').relative_to(ROOT)})" in (
        README.read_text()
    )
    assert settings["dataset"] == "cifar10"


def test_files_that_it_names_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target
    for target in set(re.findall(r"make ([a-z]+)", README.read_text())):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


if __name__ == "__main__":
    text = README.read_text()
    for name, content in (("models", models()), ("sweep", default_sweep())):
        text = text.replace(section(name) + f"<!-- /{name} -->", content + f"<!-- /{name} -->")
    README.write_text(text)
