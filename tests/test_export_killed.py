"""Exports that are killed, and several at once, under the eyes of a server that polls their directory."""

import multiprocessing
import os
import random
import signal
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from conftest import tiny

import keras_resnet

pytestmark = pytest.mark.slow
KILLS = 20


def export(directory, ready=None, go=None):
    """In a process of its own; nothing of a process that has run TensorFlow can be forked."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    net = tiny(image_size=32)
    for number, weight in enumerate(net.weights):
        weight.assign(np.random.default_rng(number).uniform(0.1, 0.5, weight.shape))
    if ready:
        ready.set()
        go.wait()
    keras_resnet.export_saved_model(net, directory)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["keras_resnet", "tensorflow", "test_export_killed"])
    return context


def alone(processes, directory):
    process = processes.Process(target=export, args=(directory,))
    process.start()
    process.join(120)
    assert process.exitcode == 0


def files(version):
    return {str(path.relative_to(version)): path.stat().st_size for path in version.rglob("*") if path.is_file()}


def versions(directory):
    return sorted((path for path in directory.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))


def answer(version):
    x = tf.reshape(tf.linspace(-1.0, 1.0, 2 * 32 * 32 * 3), (2, 32, 32, 3))
    return tf.saved_model.load(str(version)).signatures["serving_default"](image=x)["probabilities"].numpy()


def assert_whole(version, first):
    """The same files as the version that nobody disturbed, and the same answers."""
    assert files(version).keys() == files(first).keys()
    np.testing.assert_allclose(answer(version), answer(first), atol=1e-6)


def test_killed_at_random_moments(processes, tmp_path):
    """No half version ever stands there, a server goes on, and the next export removes what the dead have left."""
    pytest.importorskip("tensorflow_serving", reason="pip install '.[serving]'")
    from served.clients import serving

    directory = tmp_path / "net"
    alone(processes, directory)
    (first,) = versions(directory)
    moments, left, seconds = random.Random(0), 0, 1.0
    with serving(directory, tmp_path / "log") as client:
        for kill in range(KILLS):
            ready, go = processes.Event(), processes.Event()
            process = processes.Process(target=export, args=(directory, ready, go))
            process.start()
            assert ready.wait(120)
            start = time.monotonic()
            go.set()
            process.join(seconds * moments.random() if kill else 120)
            if not kill:
                seconds = time.monotonic() - start  # of one that is left alone
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            left += any(path.name.startswith(".") for path in directory.iterdir())
            for version in versions(directory):
                assert files(version).keys() == files(first).keys(), f"half a version after kill {kill}"
        assert left >= 3  # else it was never killed at work
        for version in versions(directory)[1:]:
            assert_whole(version, first)
        alone(processes, directory)
        newest = versions(directory)[-1]
        assert_whole(newest, first)
        assert [path for path in directory.iterdir() if not path.name.isdecimal()] == []
        end = time.monotonic() + 60
        while client.rest("/v1/models/net")[1]["model_version_status"][0]["version"] != newest.name:
            assert time.monotonic() < end
            time.sleep(0.5)
    assert "does not load" not in (tmp_path / "log").read_text()


def test_four_at_once(processes, tmp_path):
    """Each gets a number of its own."""
    together = [processes.Process(target=export, args=(tmp_path,)) for _ in range(4)]
    for process in together:
        process.start()
    for process in together:
        process.join(300)
    assert [process.exitcode for process in together] == [0] * 4
    assert [path.name for path in versions(tmp_path)] == ["1", "2", "3", "4"]
    for version in versions(tmp_path)[1:]:
        assert_whole(version, versions(tmp_path)[0])
    assert len(list(tmp_path.iterdir())) == 4
