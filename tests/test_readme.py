"""The README does what it says: its code runs, its tables are those of the code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import DEEP, built, randomize, tiny
from test_resnet import BUILDERS, row_of
from test_variants import ORACLES

from keras_resnet import VARIANTS, DenseVariant, count_macs
from keras_resnet.resnet import weight_layers
from keras_resnet.variants import published_shape

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
        size = " x ".join(map(str, published_shape(row)[:-2]))
        cells = [f"`{names[name]}`", weight_layers(row), *described(row), size, row.classes]
        cells += [f"{count:,}" for count in ORACLES[name][:2]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def described(row):
    """What its blocks are, and its shortcut."""
    if isinstance(row, DenseVariant):
        return f"dense layer, growth rate {row.growth_rate}", "concatenation"
    words = [row.block.replace("_", " ")]
    words += [{"preactivation": "pre-activated", "stage_wise": "stage-wise order"}.get(row.order, "")]
    words += [f"{row.convolution} convolutions of clips" if row.rank == 3 else ""]
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


def test_how_resnet50_differs_from_keras_applications():
    """Strides, biases and multiply-adds; the README's first example says so."""
    ours, theirs = built("resnet50"), keras.applications.ResNet50(weights=None)
    (example,) = re.findall(r"keras_resnet.ResNet50\(input_shape.*\n(?:#.*\n)*", README.read_text())
    for model, stride, bias in ((ours, "3x3", False), (theirs, "1x1", True)):
        first, second = (model.get_layer(f"conv3_block1_{i}_conv") for i in (1, 2))
        assert {"1x1": first, "3x3": second}[stride].strides == (2, 2)
        assert first.use_bias is bias
        assert f"{count_macs(model) / 1e9:.2f}e9" in example
    assert "the 3x3 of a bottleneck strides, the convolutions have no biases" in example


LOAD = "import keras; {} keras.models.load_model('net.keras'); print('loaded')"


@pytest.mark.parametrize("imported", ["", "import keras_resnet;"])
def test_a_keras_file_needs_the_package(imported, tmp_path):
    tiny().save(tmp_path / "net.keras")
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(imported)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert ("loaded" in done.stdout) is bool(imported), done.stderr
    text = " ".join(README.read_text().split())
    assert "A `.keras` file of such a net loads after `import keras_resnet`, and not without it" in text


def test_weights_load_into_stock_layers(tmp_path, rng):
    """The README: "a `.weights.h5` file also loads into the same network of stock layers"."""
    model = randomize(tiny())
    model.save_weights(tmp_path / "net.weights.h5")
    stock = keras.models.clone_model(
        model, clone_function=lambda layer: getattr(keras.layers, type(layer).__name__).from_config(layer.get_config())
    )
    assert all(type(layer).__module__.startswith("keras.") for layer in stock.layers)
    stock.load_weights(tmp_path / "net.weights.h5")
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(stock(x), model(x), rtol=1e-4, atol=1e-5)


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
