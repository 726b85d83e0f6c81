"""Tests of the shell commands: their messages on stdout and stderr."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import built
from test_variants import ORACLES, REGENERATE

import keras_resnet
from keras_resnet import VARIANTS
from keras_resnet.__main__ import counts, main

ROOT = Path(__file__).parent.parent


def run(*command, **options):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    options = {"stdout": subprocess.PIPE, **options}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, timeout=300, **options
    )


@pytest.mark.parametrize(
    "command",
    [
        ["keras_resnet", "list"],
        ["experiments.sweep", "--help"],
        *(
            pytest.param(command, marks=pytest.mark.slow)
            for command in [
                ["keras_resnet", "--help"],
                ["keras_resnet", "train", "--help"],
                ["keras_resnet", "summary", "resnet20"],
                ["experiments.paper", "table6", "--list"],
                ["experiments.report", "--help"],
                ["benchmarks.train", "--help"],
                ["benchmarks.fit", "--help"],
                ["benchmarks.load", "--help"],
                ["benchmarks.serve", "--help"],
            ]
        ),
    ],
    ids=" ".join,
)
def test_commands_write_nothing_to_stderr(command):
    done = run("-m", *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_messages_are_filtered_only_where_that_is_asked_for():
    """`import keras_resnet` does not change stderr. Commands remove INFO lines and keep all other lines."""
    code = """
import os, sys
import experiments
from keras_resnet.quiet import without_information
with without_information():
    os.write(2, b"I0000 00:00:1 1 port.cc:153] oneDNN\\nW0000 00:00:1 1 a.cc:1] kept\\nkept, too")
    print("I am not from absl", file=sys.stderr)
"""
    assert run("-c", code).stderr == "W0000 00:00:1 1 a.cc:1] kept\nkept, tooI am not from absl\n"


def test_an_import_that_fails_says_so(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'kept\\n'); raise ImportError('no such library')")
    done = run("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import experiments, tensorflow")
    assert done.returncode and done.stderr.startswith("kept\n") and "ImportError: no such library" in done.stderr


def test_list_builds_no_network(monkeypatch, capsys):
    monkeypatch.setattr(keras_resnet, "ResNet", lambda *_, **__: pytest.fail("built"))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(VARIANTS)


def test_counts_are_those_of_the_networks():
    """The counts equal the published ones. test_parameters_and_multiply_adds compares these with the networks."""
    assert counts() == {row: ORACLES[row][:2] for row in VARIANTS}, f"run: {REGENERATE}"


@pytest.mark.slow
def test_a_closed_pipe_is_no_error():
    """As in `python -m keras_resnet list | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert run("-m", "keras_resnet", "list", stdout=writer).stderr == ""
    finally:
        os.close(writer)


@pytest.mark.parametrize("columns", [80, 100, 132])
def test_summary_fits_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["summary", "resnet50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == columns
    assert any("conv5_block1_0_conv" in line and "2,097,152" in line for line in lines)
    names = {layer.name for layer in built("resnet50").layers}
    assert names <= {word for line in lines for word in line.split()}, "a name is cut"


def test_a_classifier_at_random_is_not_exported(tmp_path, capsys):
    command = ["export", "resnet20", str(tmp_path / "net"), "--weights", "cifar10", "--classes", "5"]
    assert main(command) == 1
    assert (
        "has 5 classes but these weights have 10: its classifier 'predictions' keeps its random"
        in capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["WideResNet28_2", "wide_resnet28_2"])
def test_summary_of_a_row_by_any_spelling(name, capsys):
    assert main(["summary", name, "--fields", "depths=[1,1,1]"]) == 0
    assert "conv4_block1_out" in capsys.readouterr().out
