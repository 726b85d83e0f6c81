"""Tests of the recipe of He 2015 on a synthetic ImageNet with the real layout of the archives."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from synthetic_imagenet import write_archives

import keras_resnet
from keras_resnet.training import Run, load_data
from keras_resnet.training.batches import evaluation_batches, training_batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A tfds directory with the two archives, not yet prepared."""
    directory = tmp_path_factory.mktemp("tfds")
    write_archives(directory / "downloads" / "manual")
    return directory


def shell(*arguments):
    command = [sys.executable, "-m", "keras_resnet", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_train_kill_resume_evaluate(data_dir, tmp_path):
    """A killed and resumed run has the metrics of an uninterrupted run. It is evaluated with each kind of crop."""
    train = ["train", "imagenet2012", "resnet18", "--recipe", "imagenet_paper", "--fields", "filters=4"]
    train += ["--set", "batch_size=64", "--image-size", "32", "--epochs", "3", "--train-examples", "256"]
    train += ["--validation", "64", "--precision", "float32", "--data-dir", str(data_dir), "--directory"]
    assert "Measured here:" in shell(*train, tmp_path / "whole")

    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "keras_resnet", *train, str(killed), "--no-plan"]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert any("epoch 1 of 3" in line for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    assert not (killed / "result.json").exists()
    assert "resumes after epoch" in shell(*train, killed, "--no-plan")
    whole, parts = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "killed"))
    for expected, received in zip(whole["history"], parts["history"], strict=True):
        assert {**received, "seconds": 0} == {**expected, "seconds": 0}

    losses = {}
    for crops in ("1", "10", "multiscale"):
        output = tmp_path / crops
        printed = shell(
            "evaluate", killed, "imagenet2012", "--crops", crops, "--data-dir", data_dir, "--output", output
        )
        assert "top-1" in printed and "top-5" in printed
        evaluation = json.loads((output / "evaluation.json").read_text())
        assert evaluation["crops"] == crops
        losses[crops] = evaluation["loss"]
        with open(output / "per_class.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == 1000
    # Each image has one colour, so all its crops are equal. Only the fraction of padding depends on the scale.
    assert losses["10"] == pytest.approx(losses["1"], rel=1e-4)
    assert abs(losses["multiscale"] - losses["1"]) > 0.01


def by_hand(model, loaded, preprocessing, *, batch_size, image_size, epochs, learning_rate, patience):
    """Trains with SGD, momentum 0.9 and weight decay 1e-4. A plateau divides the learning rate by 10 (He 2015, 3.4).

    Returns one row per epoch: the mean training loss including the penalty, and the learning rate.
    """
    kernels = [w for w in model.trainable_variables if w.path.endswith("kernel")]
    velocities = [np.zeros(w.shape, "float32") for w in model.trainable_variables]
    rows, best, waited = [], np.inf, 0
    for epoch in range(epochs):
        losses, rate = [], learning_rate
        feed = training_batches(
            loaded, batch_size, augmentation="imagenet_paper", image_size=image_size, seed=0, epoch=epoch
        )
        for images, labels in feed.data.take(feed.steps):
            penalty = sum(5e-5 * float(tf.reduce_sum(tf.square(w.value))) for w in kernels)
            with tf.GradientTape() as tape:
                probabilities = model(images, training=True)
                picked = tf.gather(probabilities, labels, axis=1, batch_dims=1)
                loss = -tf.reduce_mean(tf.math.log(picked))
            gradients = tape.gradient(loss, [w.value for w in model.trainable_variables])
            for i, (weight, gradient) in enumerate(zip(model.trainable_variables, gradients, strict=True)):
                decay = 1e-4 * weight.numpy() if weight.path.endswith("kernel") else 0
                velocities[i] = 0.9 * velocities[i] - learning_rate * (gradient.numpy() + decay)
                weight.assign(weight.numpy() + velocities[i])
            losses.append(float(loss) + penalty)
        validation = []
        batches = evaluation_batches(loaded.validation, 50, preprocessing=preprocessing, image_size=image_size)
        for images, labels in batches:
            picked = tf.gather(model(images), labels, axis=1, batch_dims=1)
            validation += (-tf.math.log(picked)).numpy().tolist()
        penalty = sum(5e-5 * float(tf.reduce_sum(tf.square(w.value))) for w in kernels)
        if np.mean(validation) + penalty < best - 1e-4:
            best, waited = np.mean(validation) + penalty, 0
        else:
            waited += 1
            if waited == patience:
                learning_rate, waited = learning_rate / 10, 0
        rows.append((np.mean(losses), rate))
    return rows


def test_losses_and_learning_rates_of_the_recipe(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    loaded = load_data("imagenet2012", data_dir=data_dir, train_examples=100, validation=50)
    fields = {"filters": 4, "depths": [1, 1, 1, 1]}
    preprocessing = keras_resnet.Preprocessing(size=32, resize=37)
    keras.utils.set_random_seed(1)
    model = keras_resnet.ResNet(
        "resnet18", input_shape=(32, 32, 3), include_preprocessing=preprocessing, weight_decay=0.0, **fields
    )
    weights = tmp_path / "start.safetensors"
    keras_resnet.save_pretrained(model, weights)
    run = Run(
        "resnet18",
        "imagenet2012",
        "imagenet_paper",
        fields=fields,
        weights=weights,
        image_size=32,
        epochs=6,
        train_examples=100,
        validation=50,
        precision="float32",
        changes={"batch_size": 50, "plateau": 1, "learning_rate": 0.05},
    )
    history = run(tmp_path / "run")["history"]
    rows = by_hand(model, loaded, preprocessing, batch_size=50, image_size=32, epochs=6, learning_rate=0.05, patience=1)
    np.testing.assert_allclose([row["loss"] for row in history], [loss for loss, _ in rows], rtol=2e-3)
    np.testing.assert_allclose([row["learning_rate"] for row in history], [rate for _, rate in rows], rtol=1e-6)
    assert rows[-1][1] < 0.05  # there was a plateau
