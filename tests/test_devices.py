"""Training on n devices gives the same results as on one device. Each run is a separate process on virtual CPUs."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.training import Run, devices, run

ROOT = Path(__file__).parent.parent


def start(backend, *arguments):
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "tests/parallel_job.py", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process):
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err.decode()
    return json.loads(out.splitlines()[-1])


def job(backend, *arguments):
    return end(start(backend, *arguments))


def assert_same(some, others, **tolerance):
    np.testing.assert_allclose(some["losses"], others["losses"], **tolerance)
    np.testing.assert_allclose(some["variances"], others["variances"], **tolerance)


@pytest.mark.slow
def test_two_mirrored_devices_train_as_one():
    """Synchronized BN gives the same losses and moving statistics. Without it the losses differ: the test can fail."""
    one, two = job("tensorflow", 1, "sync_bn"), job("tensorflow", 2, "sync_bn")
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=2e-3)
    # One device uses the unbiased variance. It is n / (n - 1) times Keras' variance on several devices.
    np.testing.assert_allclose(two["variances"], one["variances"], rtol=2e-2)
    apart = job("tensorflow", 2, "bn")
    assert np.abs(np.subtract(apart["losses"], one["losses"])).max() > 0.01


@pytest.mark.slow
def test_two_devices_of_jax_train_as_one():
    """On JAX, the statistics are always computed over the whole batch."""
    pytest.importorskip("jax")
    assert_same(job("jax", 2, "sync_bn"), job("jax", 1, "bn"), rtol=1e-3)


@pytest.mark.slow
def test_two_processes_of_jax_train_as_one():
    pytest.importorskip("jax")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = job("jax", 1, "bn")
    both = [start("jax", 2, "bn", process, 2, port) for process in range(2)]
    for process in both:
        assert_same(end(process), one, rtol=1e-3)


RUN = """
import os, sys
process, processes, port, interrupted, directory = *map(int, sys.argv[1:5]), sys.argv[5]
import keras
if processes > 1:
    import jax
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(f"127.0.0.1:{port},127.0.0.1:{port}", processes, process)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
from keras_resnet.training import Run

def report(epoch, figures):
    if epoch == interrupted + process:  # the processes end one epoch apart
        os._exit(3)

fields = {"filters": 4, "depths": [1, 1, 1]}
changes = {"steps": 12, "batch_size": 64, "augmentation": "none"}
run = Run("resnet20", "digits", fields=fields, train_examples=256, precision="float32", changes=changes)
run(directory, report=report if interrupted else None)
"""


@pytest.mark.slow
def test_a_run_in_two_processes_of_jax(tmp_path):
    """Two processes end with the figures of one, also if they were interrupted one epoch apart."""
    pytest.importorskip("jax")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

    def execute(name, processes, interrupted=0):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-c", RUN]
        numbers = [[process, processes, port, interrupted] for process in range(processes)]
        started = [
            subprocess.Popen([*command, *map(str, row), str(tmp_path / name)], env=environment, cwd=ROOT)
            for row in numbers
        ]
        codes = [process.wait(timeout=300) for process in started]
        return codes

    def losses(name):
        result = json.loads((tmp_path / name / "result.json").read_text())
        return [row["loss"] for row in result["history"]]

    assert execute("one", 1) == [0]
    assert execute("two", 2) == [0, 0]
    assert len(losses("one")) == 3
    np.testing.assert_allclose(losses("two"), losses("one"), rtol=1e-3)
    assert losses("two/process1") == losses("two")
    assert execute("killed", 2, interrupted=1)[0] == 3
    assert not (tmp_path / "killed" / "result.json").exists()
    assert execute("killed", 2) == [0, 0]
    np.testing.assert_allclose(losses("killed"), losses("two"), rtol=1e-6)


COMMAND = """
import sys
import keras
from keras_resnet import __main__ as shell
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.exit(shell.main(sys.argv[1:]))
"""
SMALL = ["digits", "resnet20", "--validation", "0", "--epochs", "1", "--fields", "filters=4", "--no-plan"]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_the_command(backend, tmp_path):
    """Two devices train on two batches of 64 of 129 images. JAX accepts only batches that are evenly divisible."""
    pytest.importorskip(backend)
    flags = ["train", *SMALL, "--train-examples", "129", "--devices", "2"]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    command = [sys.executable, "-c", COMMAND, *flags, "--directory", str(tmp_path / "run")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "on the test set after 1 epochs" in done.stdout


def test_what_would_do_nothing_is_refused():
    """Keras' TensorFlow backend ignores a distribution without a warning."""
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0"]))
    try:
        with pytest.raises(ValueError, match="keras.distribution does nothing on Keras' TensorFlow backend"):
            keras_resnet.ResNet20()
    finally:
        keras.distribution.set_distribution(None)


def test_the_devices_are_shared_while_it_trains(tmp_path, monkeypatch):
    """On JAX, Keras reads the distribution when the batches arrive, not when the network is built."""
    seen = []

    @contextmanager
    def scope(number):
        seen.append(number)
        try:
            yield
        finally:
            seen.append("end")

    def fit(*_, **__):
        seen.append("fit")
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "on_devices", scope)
    monkeypatch.setattr(keras.Model, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        Run("resnet20", "digits", fields={"filters": 4}, train_examples=128, devices=2)(tmp_path)
    assert seen == [2, "fit", "end"]


def test_a_backend_without_them_is_told(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.delattr(keras.distribution, "list_devices")  # it fails on the torch backend
    with pytest.raises(ValueError, match=r"devices > 1 requires one of the backends .*Received: 'torch'"):
        devices.on_devices(2)


def test_more_devices_than_there_are(tmp_path):
    with pytest.raises(
        ValueError, match=r"devices must lie in 1..1, the number of devices on this machine. Received: 3"
    ):
        Run("resnet20", "digits", train_examples=128, devices=3)(tmp_path)
    with devices.on_devices(1):
        pass
