"""Tests of the README: its code runs, and its tables agree with the code."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import built, randomize, tiny
from test_resnet import BUILDERS

from keras_resnet import count_macs

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def code_blocks():
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(code_blocks())))
def test_code_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(code_blocks()[number], {})


def test_its_networks_exist():
    names = re.findall(r"`([A-Z]\w+)`", README.read_text().split("## Networks")[1].split("## ")[0])
    assert len(names) > 30
    assert not set(names) - set(BUILDERS)


def test_it_fits_on_a_page():
    assert len(README.read_text().splitlines()) <= 150


def test_how_resnet50_differs_from_keras_applications():
    """Strides, biases and multiply-adds differ as the first example of the README says."""
    ours, theirs = built("resnet50"), keras.applications.ResNet50(weights=None)
    (example,) = re.findall(r"keras_resnet.ResNet50\(input_shape.*\n(?:#.*\n)*", README.read_text())
    for model, stride, bias in ((ours, "3x3", False), (theirs, "1x1", True)):
        first, second = (model.get_layer(f"conv3_block1_{i}_conv") for i in (1, 2))
        assert {"1x1": first, "3x3": second}[stride].strides == (2, 2)
        assert first.use_bias is bias
        assert f"{count_macs(model) / 1e9:.2f}e9" in example
    assert "the 3x3 of a bottleneck strides, the convolutions have no biases" in example


LOAD = """
import keras
try:
    keras.models.load_model("net.keras")
except TypeError as error:
    print(error)
import keras_resnet
print(keras.models.load_model("net.keras").name, "is loaded")
"""


def test_a_keras_file_needs_the_package(tmp_path):
    tiny().save(tmp_path / "net.keras")
    done = subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "Could not locate class" in done.stdout and "is loaded" in done.stdout, done.stdout + done.stderr
    text = " ".join(README.read_text().split())
    assert "A `.keras` file of these networks loads after `import keras_resnet`, and not without it" in text


def test_weights_load_into_stock_layers(tmp_path, rng):
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
