"""Tests of kernel initialization. If weights are loaded, no kernels are drawn."""

import keras
import numpy as np
import pytest
from conftest import tiny
from scipy import stats

import keras_resnet
from keras_resnet import initialization
from keras_resnet.initialization import he_normal, kernels_later, without_drawing


@pytest.mark.parametrize("shape", [(3, 3, 64, 128), (1, 1, 256, 64), (7, 7, 3, 64)])
def test_the_distribution_is_that_of_keras(shape):
    ours = [he_normal(shape, seed).ravel() for seed in range(4)]
    theirs = [np.ravel(keras.initializers.HeNormal(seed)(shape)) for seed in range(4)]
    ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    fan_in = np.prod(shape[:-1])
    assert np.std(ours) == pytest.approx(np.sqrt(2 / fan_in), rel=0.02)
    assert np.abs(ours).max() == pytest.approx(2 * np.sqrt(2 / fan_in) / 0.8796, rel=1e-2)
    assert np.abs(theirs).max() <= np.abs(ours).max() * 1.01


def test_every_kernel_is_drawn_from_a_seed_of_its_own():
    kernels = [layer.kernel for layer in tiny().layers if hasattr(layer, "kernel")]
    deviations = [np.std(kernel) * np.sqrt(np.prod(kernel.shape[:-1]) / 2) for kernel in kernels[:-1]]
    np.testing.assert_allclose(deviations, 1, atol=0.3)
    same = [np.array(kernel) for kernel in kernels if kernel.shape == (3, 3, 4, 4)]
    assert len(same) > 1 and not np.array_equal(same[0], same[1])


def test_the_seed_of_keras_decides():
    weights = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        weights.append(np.concatenate([np.ravel(weight) for weight in tiny().get_weights()]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_zeros_stay_and_configs_say_he_normal():
    model = tiny(zero_init_residual=True, norm="bn")
    assert not np.any(model.get_layer("conv2_block1_2_bn").gamma)
    config = model.get_layer("conv2_block1_2_conv").get_config()
    assert config["kernel_initializer"]["class_name"] == "HeNormal"
    copy = model.from_config(model.get_config())
    assert np.std(copy.get_layer("conv2_block1_2_conv").kernel) > 0.1


def test_networks_that_are_counted_are_not_drawn():
    with without_drawing():
        assert not np.any(tiny().get_layer("conv1_conv").kernel)
    assert np.any(tiny().get_layer("conv1_conv").kernel)


def test_weights_that_are_loaded_are_not_drawn(tmp_path, monkeypatch):
    """Later random numbers do not change, because the initializers still consume their seeds."""
    monkeypatch.setattr(initialization, "he_normal", lambda *_: pytest.fail("kernels were drawn"))
    model = keras_resnet.ResNet20(weights="cifar10")
    assert all(np.any(layer.kernel) for layer in model.layers if hasattr(layer, "kernel"))
    monkeypatch.undo()
    after = []
    for weights in (None, "cifar10"):
        keras.utils.set_random_seed(0)
        keras_resnet.ResNet20(weights=weights)
        after.append(np.ravel(tiny().get_weights()[0]))
    np.testing.assert_array_equal(*after)


def test_layers_before_the_network_keep_their_kernels():
    before = keras.layers.Conv2D(3, 1, kernel_initializer="he_normal")
    inputs = before(keras.Input((8, 8, 3)))
    kernel = before.get_weights()[0]
    keras_resnet.ResNet(tiny().variant, input_tensor=inputs)
    np.testing.assert_array_equal(before.get_weights()[0], kernel)


def test_variables_that_keras_initializes_later_are_drawn():
    with keras.StatelessScope():
        model = tiny()
    kernel = np.array(model.get_layer("conv2_block1_2_conv").kernel)
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:-1])), rel=0.5)


def test_an_error_leaves_no_context():
    with pytest.raises(ZeroDivisionError), kernels_later(draw=True):
        raise ZeroDivisionError
    assert initialization.BUILT.get() is None
