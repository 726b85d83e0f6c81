"""Compares our layers with the layers of Keras that they replace: the same weights, config and outputs."""

import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import layers
from keras_resnet.layers import BatchNormalization

SHAPE = (6, 5, 4, 8)  # n = 120 values per channel
BESSEL = 120 / 119


def pair(policy="float32", **options):
    """Returns our layer and Keras' layer with the same random weights."""
    both = [
        cls(dtype=keras.DTypePolicy(policy), **options) for cls in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    rng = np.random.default_rng(1)
    for layer in both:
        layer.build(SHAPE)
    values = [rng.uniform(0.5, 1.5, w.shape) for w in both[0].weights]
    for layer in both:
        layer.set_weights(values)
    return both


def picture(rng, policy="float32"):
    return tf.cast(rng.normal(2, 3, SHAPE), keras.DTypePolicy(policy).compute_dtype)


POLICIES = {"float32": 1e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 5e-3}


@pytest.mark.parametrize(("policy", "tolerance"), POLICIES.items())
@pytest.mark.parametrize("training", [True, False])
def test_answers_gradients_and_statistics_of_keras(policy, tolerance, training, rng):
    ours, theirs = pair(policy, momentum=0.9, epsilon=1e-5)
    x, upstream = picture(rng, policy), rng.normal(size=SHAPE)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * upstream)
        assert y.dtype == x.dtype
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([np.asarray(tf.cast(value, tf.float32)) for value in (y, *gradients)])
    for our, their in zip(*results, strict=True):
        np.testing.assert_allclose(our, their, rtol=tolerance, atol=tolerance * max(1, np.abs(their).max()))
    np.testing.assert_allclose(ours.moving_mean, theirs.moving_mean, rtol=1e-3)
    if training:
        begun = pair(policy)[1].moving_variance
        moved = (np.asarray(theirs.moving_variance) - 0.9 * np.asarray(begun)) * BESSEL + 0.9 * np.asarray(begun)
        np.testing.assert_allclose(ours.moving_variance, moved, rtol=1e-3)
        assert not np.allclose(ours.moving_variance, theirs.moving_variance, rtol=1e-4)
    else:
        np.testing.assert_array_equal(ours.moving_variance, theirs.moving_variance)


def test_frozen_means_inference(rng):
    ours, theirs = pair()
    for layer in (ours, theirs):
        layer.trainable = False
    x = picture(rng)
    before = ours.get_weights()
    np.testing.assert_allclose(ours(x, training=True), theirs(x, training=True), rtol=1e-4, atol=1e-5)
    for was, now in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_kernel_is_used_in_both_modes(policy):
    layer = pair(policy)[0]
    spec = tf.TensorSpec(SHAPE, keras.DTypePolicy(policy).compute_dtype)
    for training in (True, False):
        graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(spec).graph  # noqa: B023
        assert [op.type for op in graph.get_operations()].count("FusedBatchNormV3") == 1


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"axis": 1}, SHAPE),
        ({"center": False}, SHAPE),
        ({"scale": False}, SHAPE),
        ({"renorm": True}, SHAPE),
        ({"dtype": "float64"}, SHAPE),
        ({}, (6, 8)),
        ({}, (6, 4, 8)),
        ({}, (2, 2, 3, 4, 5, 8)),
    ],
)
def test_everything_else_is_computed_by_keras(options, shape, rng):
    x = rng.normal(size=shape)
    answers = []
    for cls in (BatchNormalization, keras.layers.BatchNormalization):
        layer = cls(**options)
        answers.append([np.asarray(layer(x, training=training)) for training in (True, False)])
        assert cls is keras.layers.BatchNormalization or not layer.is_fusable(tf.convert_to_tensor(x))
    np.testing.assert_array_equal(*answers)


def test_masks_are_left_to_keras(rng):
    x, mask = picture(rng), rng.random(SHAPE[:-1]) < 0.5
    ours, theirs = pair()
    np.testing.assert_array_equal(ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask))


def test_config_is_that_of_keras():
    ours, theirs = pair(momentum=0.8, gamma_initializer="zeros", name="bn")
    assert ours.get_config() == theirs.get_config()
    copy = keras.layers.deserialize(keras.layers.serialize(ours))
    assert type(copy) is BatchNormalization
    assert copy.get_config() == ours.get_config()


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weight_files_interchange_with_keras(ending, rng, tmp_path, monkeypatch):
    """Weight files of the network with stock layers load into our network, and vice versa."""
    ours = randomize(tiny(), seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(layers, "BatchNormalization", keras.layers.BatchNormalization)
        stock = randomize(tiny(), seed=2)
    assert type(stock.get_layer("conv1_bn")) is keras.layers.BatchNormalization
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    for source, target in ((ours, stock), (randomize(tiny(), seed=3), ours), (stock, randomize(tiny(), seed=4))):
        path = tmp_path / f"net{ending}"
        source.save_weights(path) if ending == ".weights.h5" else source.save(path)
        target.load_weights(path)
        np.testing.assert_allclose(target(x), source(x), rtol=1e-4, atol=1e-6)


def test_a_net_trains_as_with_stock_layers(rng, monkeypatch):
    """Ten steps of SGD from the same weights give the same losses."""
    x, y = rng.normal(size=(64, 8, 8, 3)).astype("float32"), rng.integers(3, size=64)
    losses = []
    for cls in (layers.BatchNormalization, keras.layers.BatchNormalization):
        monkeypatch.setattr(layers, "BatchNormalization", cls)
        model = randomize(tiny(), seed=5)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, batch_size=32, epochs=5, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-3)


def test_under_xla(rng):
    ours, theirs = pair()
    x = picture(rng)
    compiled = tf.function(lambda x: ours(x, training=True), jit_compile=True)
    np.testing.assert_allclose(compiled(x), theirs(x, training=True), rtol=1e-3, atol=1e-4)


def test_replicas_share_statistics_only_if_asked(monkeypatch):
    """With several replicas, `synchronized=True` uses Keras' implementation (tests/test_devices.py)."""
    layer, bn, x = BatchNormalization(synchronized=True), BatchNormalization(), tf.zeros(SHAPE)
    assert layer.is_fusable(x)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: SimpleNamespace(num_replicas_in_sync=2))
    assert bn.is_fusable(x)
    assert not layer.is_fusable(x)


# ---- grouped convolution


@pytest.mark.parametrize("kernel", layers.GROUPED)
@pytest.mark.parametrize(
    ("groups", "strides", "padding", "dilation"), [(2, 1, "same", 1), (4, 2, "valid", 1), (8, 1, "same", 2)]
)
def test_grouped_convolution_is_a_loop_over_groups(kernel, groups, strides, padding, dilation, rng, monkeypatch):
    """Compares outputs and gradients, for both implementations if this machine supports them."""
    if kernel == "native" and layers.grouped_kernel("float32") != "native":
        pytest.skip("TensorFlow's grouped convolution is not right here: oneDNN is off")
    monkeypatch.setattr(layers, "grouped_kernel", lambda dtype: kernel)
    layer = layers.Conv2D(16, 3, strides, padding, groups=groups, dilation_rate=dilation, use_bias=False)
    x, results = tf.constant(rng.normal(size=(2, 9, 8, 8)).astype("float32")), []
    layer.build(x.shape)
    weight = layer.kernel.value
    loop = lambda x: tf.concat(  # noqa: E731
        [
            tf.nn.conv2d(part, w, strides, padding.upper(), dilations=dilation)
            for part, w in zip(tf.split(x, groups, -1), tf.split(weight, groups, -1), strict=True)
        ],
        -1,
    )
    for convolve in (layer, loop):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = convolve(x)
            loss = tf.reduce_sum(y**2)
        results.append([y, *tape.gradient(loss, [x, weight])])
    for our, their in zip(*results, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_grouped_kernel_is_chosen_by_what_is_right():
    """The native kernel is used with oneDNN, the split kernel without oneDNN, also while a function is traced."""
    code = (
        "import tensorflow as tf; from keras_resnet.layers import grouped_kernel; "
        "print(tf.function(lambda: tf.constant(grouped_kernel('float32')))().numpy().decode())"
    )
    for onednn, expected in (("1", "native"), ("0", "split")):
        environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"], indirect=True)
def test_a_grouped_net_trains_under_every_policy(policy, rng):
    """oneDNN supports some dtypes only on some machines, and Eigen has no gradients of grouped convolutions."""
    net = tiny(block="bottleneck", depths=(1,), groups=2, base_width=32)
    assert net.get_layer("conv2_block1_2_conv").groups == 2
    net.compile("sgd", "sparse_categorical_crossentropy")
    losses = net.fit(rng.normal(size=(4, 8, 8, 3)), rng.integers(3, size=4), verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_grouped_convolution_of_keras(rng):
    """The weights, the config and the outputs equal those of the stock layer."""
    ours = layers.Conv2D(8, 3, groups=4, padding="same", name="conv")
    theirs = keras.layers.Conv2D(8, 3, groups=4, padding="same", name="conv")
    x = rng.normal(size=(2, 6, 6, 8)).astype("float32")
    ours.build(x.shape)
    theirs.build(x.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert ours.get_config() == theirs.get_config()


def test_a_saved_resnext_holds_no_xla_function(tmp_path):
    """TF Serving may not load a SavedModel with XLA functions."""
    net = tiny(block="bottleneck", groups=2, base_width=32)
    path = keras_resnet.export_saved_model(net, tmp_path)["path"]
    with open(f"{path}/saved_model.pb", "rb") as file:
        assert b"_XlaMustCompile" not in file.read()
