"""The benchmarks measure, and a peer that is missing is a row that says so."""

from pathlib import Path

import pytest

from benchmarks import peers, sides
from benchmarks.peers import NETS


@pytest.mark.parametrize("kind", ["train", "predict"])
def test_our_side_is_measured(kind):
    result = sides.measure(kind, "resnet20", "ours", "float32", 8, 1)
    assert len(result["images_per_second"]) == 3
    assert min(result["images_per_second"]) > 0


@pytest.mark.parametrize("peer", ["keras.applications", "keras-hub"])
def test_a_net_that_a_peer_has_not_is_a_row(peer):
    assert sides.measure("train", "resnet20", peer, "float32", 8, 1) == {"missing": "has no such net"}


def test_a_peer_that_crashes_is_a_row():
    assert "invalid literal" in sides.measure("train", "resnet20", "ours", "float32", "eight", 1)["missing"]


def test_seconds_to_build():
    assert 0 < sides.measure("build", "resnet20", "ours")["seconds"] < 60


def test_table():
    rows = [
        {"peer": "ours", "precision": "float32", "rates": [90.0, 100.0, 80.0]},
        {"peer": "ours", "precision": "bfloat16", "rates": [150.0, 160.0]},
        {"peer": "PyTorch", "precision": "float32", "rates": [80.0]},
        {"peer": "PyTorch", "precision": "bfloat16", "rates": [128.0]},
        {"peer": "keras-hub", "precision": "float32", "rates": [], "missing": "has no such net"},
    ]
    text = sides.table("train", ("resnet20", 128), rows, {"float32": 100.0, "bfloat16": 200.0})
    # 6 x 40,551,040 multiply-adds x 100 images/s are 24.3 GFLOP/s
    assert "| ours | float32 | 100.0 | 90.0 | 80.0 to 100.0 | 24% |  |" in text
    assert "| PyTorch | bfloat16 | 128.0 | 128.0 | 128.0 to 128.0 | 16% | 1.25 |" in text
    assert "| PyTorch | float32 | 80.0 | 80.0 | 80.0 to 80.0 | 19% |  |" in text
    assert "| keras-hub | float32 | has no such net |" in text


def test_the_twin_has_stock_layers_only(monkeypatch):
    from keras_resnet import layers

    monkeypatch.setattr(layers, "BatchNormalization", layers.BatchNormalization)
    monkeypatch.setattr(layers, "Conv2D", layers.Conv2D)
    twin = peers.stock_keras(NETS["resnet20"])
    modules = {type(layer).__module__.split(".")[0] for layer in twin.layers}
    assert modules == {"keras", "keras_resnet"}
    assert {type(layer).__name__ for layer in twin.layers if type(layer).__module__.startswith("keras_resnet")} == {
        "ZeroPadChannels"
    }


def test_the_torch_net_is_the_same_net():
    pytest.importorskip("torch")
    assert sum(p.numel() for p in peers.torch_resnet20().parameters()) == 269_722


def test_loading_is_measured(tmp_path):
    pytest.importorskip("safetensors")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux tells a process what it had at most")
    from benchmarks import load

    load.write(tmp_path / "net.safetensors")
    once = load.once("ours", tmp_path / "net.safetensors")
    assert 0 < once["seconds"] < 60
    assert 50 < once["megabytes"] < 400  # the file has 98
