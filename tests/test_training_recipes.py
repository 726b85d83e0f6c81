"""Tests of the recipes: the learning rates, weight decays and losses of the papers."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import tiny

from keras_resnet.training.recipes import (
    LOSSES,
    RECIPES,
    BinaryCrossentropy,
    LinearWarmup,
    SmoothedCrossentropy,
    find_recipe,
)


def rates(name, steps, depth=20, examples=50_000, **changes):
    optimizer = find_recipe(name, changes, examples).make_optimizer(tiny(), steps, depth)
    rate = optimizer.get_config()["learning_rate"]
    if not isinstance(rate, dict):
        return lambda step: float(rate)
    schedule = keras.saving.deserialize_keras_object(rate)
    return lambda step: float(keras.ops.convert_to_numpy(schedule(step)))


def test_the_recipe_of_the_paper():
    """He 2015, section 4.2: 0.1, divided by 10 at 32k and 48k of 64k iterations; weight decay 0.0001."""
    recipe, rate = RECIPES["paper"], rates("paper", 64_000)
    assert [rate(step) for step in (0, 31_999, 32_001, 47_999, 48_001)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert recipe.epochs * -(-50_000 // recipe.batch_size) == pytest.approx(64_000, rel=0.01)
    assert (recipe.weight_decay, recipe.batch_size, recipe.optimizer) == (1e-4, 128, "sgd")


def test_networks_of_110_layers_warm_up():
    """He 2015, section 4.2: "we use 0.01 to warm up the training"."""
    rate = rates("paper", 64_000, depth=110)
    assert [rate(step) for step in (0, 399, 401, 32_001)] == pytest.approx([0.01, 0.01, 0.1, 0.01])


def test_the_recipe_fast_goes_up_and_down_to_zero():
    rate = rates("fast", 1000)
    assert rate(0) == 0
    assert rate(75) == pytest.approx(0.1)
    assert rate(150) == pytest.approx(0.2)
    assert rate(1000) == pytest.approx(0, abs=1e-6)
    assert all(rate(step) >= rate(step + 50) for step in range(150, 1000, 50))


def test_the_recipe_of_goyal():
    """arXiv:1706.02677: 0.1 per 256 images of the batch, divided by 10 at epochs 30, 60 and 80 of 90."""
    rate = rates("imagenet_goyal", 9000, examples=1_281_167)
    assert rate(250) == pytest.approx(0.05)
    assert [rate(s) for s in (600, 2999, 3001, 6001, 8001)] == pytest.approx([0.1, 0.1, 0.01, 1e-3, 1e-4], rel=1e-4)
    assert rates("imagenet_goyal", 9000, examples=1_281_167, batch_size=8192)(600) == pytest.approx(3.2)
    fixed = rates("imagenet_goyal", 9000, examples=1_281_167, batch_size=8192, learning_rate=1.0)
    assert fixed(600) == pytest.approx(1.0)


@pytest.mark.parametrize(("examples", "steps", "at"), [(1000, 500, (50, 150, 250, 350, 450)),
                                                       (50_000, 10_000, (250, 2000, 4000, 8000, 9500))])  # fmt: skip
def test_the_schedule_of_bit(examples, steps, at):
    """Checks the learning rate in each interval of github.com/google-research/big_transfer, bit_hyperrule.py."""
    recipe = find_recipe("finetune", {}, examples)
    assert recipe.steps == steps
    rate = rates("finetune", steps, examples=examples)
    assert [rate(step) / 0.003 for step in at] == pytest.approx([0.5, 1, 0.1, 0.01, 0.001], rel=1e-3)


def test_smoothed_labels():
    """Equals the cross-entropy with the distribution (1 - s) * one_hot + s / k, for k classes."""
    labels, probabilities = np.array([2, 0]), np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], "float32")
    for smoothing in (0.0, 0.1):
        targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
        expected = -(targets * np.log(probabilities)).sum(axis=1).mean()
        loss = SmoothedCrossentropy(label_smoothing=smoothing)
        assert float(loss(labels[:, None], probabilities)) == pytest.approx(expected, rel=1e-5)
        assert float(loss(np.eye(3)[labels], probabilities)) == pytest.approx(expected, rel=1e-5)


def test_binary_crossentropy_of_mixed_labels():
    targets, outputs = np.array([[0.7, 0.3, 0.0]]), np.array([[0.6, 0.5, 0.1]], "float32")
    expected = -(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs)).sum()
    assert float(BinaryCrossentropy()(targets, outputs)) == pytest.approx(expected, rel=1e-5)
    assert LOSSES["binary_crossentropy"].activation == "sigmoid"


def test_weight_decay_of_an_adaptive_optimizer_is_in_the_optimizer_and_spares_bn():
    recipe = find_recipe("imagenet_a3", {}, 10_000)
    assert recipe.variant_fields()["weight_decay"] == 0.0
    model = tiny()
    optimizer = recipe.make_optimizer(model, 100, 20)
    assert optimizer.weight_decay == 0.02
    optimizer.build(model.trainable_variables)
    before = {v.path: keras.ops.convert_to_numpy(v) for v in model.trainable_variables}
    optimizer.apply([keras.ops.zeros_like(v) for v in model.trainable_variables])
    moved = {
        v.path for v in model.trainable_variables if not np.array_equal(keras.ops.convert_to_numpy(v), before[v.path])
    }
    assert all(path.endswith("kernel") for path in moved)


def test_changes_win_over_what_the_number_of_images_decides():
    recipe = find_recipe("finetune", {"epochs": 3, "batch_size": 16}, 10)
    assert (recipe.epochs, recipe.steps, recipe.batch_size) == (3, None, 10)
    assert find_recipe("finetune", {"steps": 7}, 30_000).steps == 7
    assert find_recipe("fast", {"plateau": 2}, 1000).schedule == "constant"


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("fats", {}, "recipe must be one of .*Did you mean 'fast'"),
        ("fast", {"learning_rte": 1}, "The name of a field of the recipe must be one of .*'learning_rate'"),
        ("fast", {"learning_rate": 0}, "learning_rate must be a number, more than 0. Received: 0"),
        ("fast", {"optimizer": "sgdd"}, "optimizer must be one of"),
        ("fast", {"plateau": 1, "schedule": "cosine"}, "plateau needs the schedule 'constant'"),
        ("finetune", {"layer_decay": 0.5, "ema": 0.9}, "layer_decay and ema cannot be combined"),
        ("fast", {"batch_size": 0}, "batch_size must be a positive integer"),
    ],
)
def test_what_is_refused(name, changes, says):
    with pytest.raises(ValueError, match=says):
        find_recipe(name, changes, 50_000)


def test_a_schedule_survives_saving():
    schedule = LinearWarmup(keras.optimizers.schedules.CosineDecay(0.5, 100), 0.5, 10)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [float(copy(step)) for step in (5, 50)] == [float(schedule(step)) for step in (5, 50)]


def test_frozen_layers():
    model = tiny(block="building_block", depths=(1, 1))
    replace(RECIPES["fast"], freeze="all").freeze_layers(model)
    assert [variable.path for variable in model.trainable_variables] == ["predictions/kernel", "predictions/bias"]
