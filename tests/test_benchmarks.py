"""The benchmarks run, and the row of a missing peer says that it is missing."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import artifacts, peers, serve, sides
from benchmarks.peers import NETS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "predict"])
def test_our_side_is_measured(kind):
    result = sides.measure(kind, "resnet20", "ours", "float32", 8, 1)
    assert len(result["images_per_second"]) == 3
    assert min(result["images_per_second"]) > 0


@pytest.mark.parametrize("peer", ["keras.applications", "keras-hub", "timm"])
def test_a_net_that_a_peer_has_not_is_a_row(peer, capsys):
    peers.main(["train", "resnet20", peer, "float32", "8", "1"])
    assert json.loads(capsys.readouterr().out) == {"missing": "has no such network"}


def test_a_peer_that_crashes_is_a_row():
    assert "invalid literal" in sides.measure("train", "resnet20", "ours", "float32", "eight", 1)["missing"]


@pytest.mark.slow
def test_seconds_to_build():
    assert 0 < sides.measure("build", "resnet20", "ours")["seconds"] < 60


def test_table():
    rows = [
        {"peer": "ours", "precision": "float32", "rates": [90.0, 100.0, 80.0]},
        {"peer": "ours", "precision": "bfloat16", "rates": [150.0, 160.0]},
        {"peer": "PyTorch", "precision": "float32", "rates": [80.0]},
        {"peer": "PyTorch", "precision": "bfloat16", "rates": [128.0]},
        {"peer": "keras-hub", "precision": "float32", "rates": [], "missing": "has no such network"},
    ]
    text = sides.table("train", ("resnet20", 128), rows, {"float32": 100.0, "bfloat16": 200.0})
    # 6 x 40,551,040 multiply-adds x 100 images/s are 24.3 GFLOP/s
    assert "| ours | float32 | 100.0 | 90.0 | 80.0 to 100.0 | 24% |  |" in text
    assert "| PyTorch | bfloat16 | 128.0 | 128.0 | 128.0 to 128.0 | 16% | 1.25 |" in text
    assert "| PyTorch | float32 | 80.0 | 80.0 | 80.0 to 80.0 | 19% |  |" in text
    assert "| keras-hub | float32 | has no such network |" in text


def test_the_frozen_net_is_ours_too():
    rows = [
        {"peer": "ours", "precision": "float32", "rates": [100.0]},
        {"peer": "ours, frozen", "precision": "float32", "rates": [150.0]},
        {"peer": "PyTorch", "precision": "float32", "rates": [75.0]},
    ]
    text = sides.table("predict", ("resnet20", 1), rows, {"float32": 100.0})
    assert "| 75.0 to 75.0 | 6% | 2.00 |" in text
    assert "| 150.0 to 150.0 | 12% |  |" in text


def test_frozen_does_not_train():
    with pytest.raises(peers.MissingPeer, match="supports only predict"):
        peers.PEERS["ours, frozen"]("train", NETS["resnet20"], "float32", 8)


def test_table_of_what_is_served():
    rows = {
        artifacts.BASELINE: {"bytes": 206e6, "seconds": 3.0, "rounds": [{"1": [30.0, 32.0, 40.0], "8": [200.0]}]},
        "ours, frozen": {
            "bytes": 103e6,
            "seconds": 9.0,
            "rounds": [{"1": [15, 16], "8": [100]}, {"1": [20], "8": [80]}],
        },
        "OpenVINO": {"missing": "The format 'openvino' needs openvino", "rounds": []},
    }
    rows = {artifact: row | {"weights": 103e6} for artifact, row in rows.items()}
    text = serve.table("resnet50", rows)
    assert "| Keras, model.export | 206.0 | 2.00 | 3.0 | 32.0 | 30.0 to 40.0 | 1.00, 1.00 | 200.0 |" in text
    assert (
        "| ours, frozen | 103.0 | 1.00 | 9.0 | 16.0 | 15.0 to 20.0 | 2.00, 2.00 | 90.0 | 80.0 to 100.0 | 2.22, 2.50 |"
        in text
    )
    assert "| OpenVINO | The format 'openvino' needs openvino |" in text


def test_what_was_missing_is_tried_again(tmp_path, monkeypatch):
    """Missing packages are tried again, since they may be installed now. Times measured before a crash are kept."""
    exported = {"bytes": 1, "weights": 1, "seconds": 1.0}
    answers = {"export": exported, "time": {"milliseconds": {"1": [2.0], "8": [4.0]}}}
    monkeypatch.setattr(serve, "measure", lambda kind, *_, **__: answers[kind])
    rows = {"OpenVINO": {"missing": "needs openvino", "rounds": []}}
    serve.export_all("resnet50", ["OpenVINO"], tmp_path, rows)
    serve.time_all("resnet50", ["OpenVINO"], tmp_path, rows, 1, 0.1)
    answers["time"] = {"missing": "killed"}
    serve.time_all("resnet50", ["OpenVINO"], tmp_path, rows, 2, 0.1)
    assert "| OpenVINO | 0.0 | 1.00 | 1.0 | 2.0 | 2.0 to 2.0 |" in serve.table("resnet50", rows)


@pytest.mark.slow
def test_what_is_served_is_exported_once_and_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(serve, "NETS", ["resnet20"])
    flags = ["--nets", "resnet20", "--seconds", "0.1", "--directory", str(tmp_path), "--peers", "ours, frozen"]
    for rounds in (1, 2):
        assert serve.main([*flags, "--rounds", str(rounds)]) == 0
    told = capsys.readouterr().out
    assert told.count("export:") == 1
    assert told.count("round 1:") == told.count("round 2:") == 1
    assert (tmp_path / "serve.md").exists()


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


@pytest.mark.slow
def test_loading_is_measured(tmp_path):
    pytest.importorskip("safetensors")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("Linux tells a process what it had at most")
    from benchmarks import load

    load.SIDES["ours"].write(tmp_path / "net.safetensors")
    once = load.load("ours", tmp_path / "net.safetensors")
    assert 0 < once["load"] < 60
    assert 50 < once["megabytes"] < 400  # the file has 98 MB


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.timeout(1200)
def test_the_gpu_benchmark_runs_on_a_cpu():
    """Two images of 32 pixels, one step. PyTorch takes minutes to compile for a CPU, so that row is left out."""
    if not all(map(find_spec, ("jax", "torch", "torchvision"))):
        pytest.skip("JAX, PyTorch or torchvision is not installed")
    command = [sys.executable, "-m", "benchmarks.gpu", "--batch", "2", "--size", "32", "--steps", "1", "--rounds", "1"]
    command += ["--rows", "ours, step", "ours, fit", "torchvision"]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no NVIDIA GPU: a check, not a result" in done.stdout or "NVIDIA" in done.stdout
    assert re.search(r"^\| ours, step \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", done.stdout, re.MULTILINE)
