"""A killed export leaves no incomplete numbered directory."""

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
KILLS = 12


def export(directory, ready, go):
    """Exports in a separate process. A process that has used TensorFlow cannot be forked."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    model = tiny(image_size=32)
    for number, weight in enumerate(model.weights):
        weight.assign(np.random.default_rng(number).uniform(0.1, 0.5, weight.shape))
    ready.set()
    go.wait()
    keras_resnet.export_saved_model(model, directory)


def files(version):
    return {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}


def probabilities(version):
    x = tf.reshape(tf.linspace(-1.0, 1.0, 2 * 32 * 32 * 3), (2, 32, 32, 3))
    return tf.saved_model.load(str(version)).signatures["serving_default"](image=x)["probabilities"].numpy()


def test_killed_at_random_moments(tmp_path):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["keras_resnet", "tensorflow", "test_export_killed"])
    moments, seconds = random.Random(0), 0.0
    for kill in range(KILLS + 2):  # the first and the last export are not killed
        ready, go = processes.Event(), processes.Event()
        process = processes.Process(target=export, args=(tmp_path, ready, go))
        process.start()
        assert ready.wait(120)
        start = time.monotonic()
        go.set()
        process.join(seconds * moments.random() if 0 < kill <= KILLS else 120)
        seconds = seconds or time.monotonic() - start
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        versions = [path for path in tmp_path.iterdir() if path.name.isdecimal()]
        assert all(files(version) == files(tmp_path / "1") for version in versions), f"after kill {kill}"
    assert process.exitcode == 0
    unfinished = [path for path in tmp_path.iterdir() if not path.name.isdecimal()]
    assert len(unfinished) >= 2 and all(path.name.startswith(".exporting-") for path in unfinished)
    for version in versions:
        np.testing.assert_allclose(probabilities(version), probabilities(tmp_path / "1"), atol=1e-6)
