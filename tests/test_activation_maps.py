"""Tests of class activation maps against NumPy, for flat and nested models, and of the overlay images."""

import doctest
import gc
import json
import os
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from test_architecture import HASTY_XLA
from test_fine_tuning import dense_net

import keras_resnet
from keras_resnet import activation_maps, explain, overlay
from keras_resnet.__main__ import main
from keras_resnet.activation_maps import class_activation, split_model

Image = pytest.importorskip("PIL.Image")

SIZE = 16


def network(**fields):
    return randomize(tiny(**{"image_size": SIZE, "first_stride": 2} | fields))


def without_top(pooling=None, **fields):
    variant = keras_resnet.Variant("building_block", (2, 2), 4, stem="3x3", image_size=SIZE, first_stride=2, **fields)
    shape = (SIZE, SIZE, 3)
    return randomize(keras_resnet.ResNet(variant, include_top=False, pooling=pooling, input_shape=shape, name="base"))


def images(rng, count=3, size=SIZE):
    return rng.normal(size=(count, size, size, 3)).astype("float32")


def cam(features, classifier, classes):
    """Class activation maps by Zhou 2016, equation 2, in float64."""
    kernel = np.asarray(classifier.kernel, "float64")
    return np.einsum("bhwk,kb->bhw", np.asarray(features, "float64"), kernel[:, classes])


def last_features(model, x, name="avg_pool"):
    return np.asarray(keras.Model(model.input, model.get_layer(name).input)(x))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
@pytest.mark.parametrize(
    "build", [network, lambda: network(order="preactivation", dropout=0.5), lambda: randomize(dense_net())]
)
def test_cam_of_pooling_and_one_dense_layer(build, activation, rng):
    model = build()
    model.get_layer("predictions").activation = keras.activations.get(activation)
    x = images(rng, size=model.input_shape[1])
    maps, scores = class_activation(model, x, [2, 0, 1])
    classifier = model.get_layer("predictions")
    expected = cam(last_features(model, x), classifier, [2, 0, 1])
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    outputs = keras.activations.get(activation)(keras.ops.convert_to_tensor(scores))
    np.testing.assert_allclose(outputs, model(x), rtol=1e-4, atol=1e-6)


def test_the_mean_of_a_cam_and_the_bias_are_the_logit(rng):
    """Zhou 2016, section 2."""
    model, classes = network(), np.array([0, 1, 2])
    maps, scores = class_activation(model, images(rng), classes)
    bias = np.asarray(model.get_layer("predictions").bias)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias[classes], scores[[0, 1, 2], classes], rtol=1e-4)


def test_grad_cam_with_the_mean_gradient_is_cam_but_for_a_factor(rng):
    """Selvaraju 2017, equations 1 and 2, computed with GradientTape."""
    import tensorflow as tf

    model = network()
    model.get_layer("predictions").activation = keras.activations.linear
    x, pool = images(rng), model.get_layer("avg_pool")
    features = tf.constant(last_features(model, x))
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = model.get_layer("predictions")(pool(features))[:, 1]
    alpha = tf.reduce_mean(tape.gradient(score, features), axis=(1, 2))
    grad_cam = np.einsum("bhwk,bk->bhw", features, alpha)
    maps, _ = class_activation(model, x, 1)
    np.testing.assert_allclose(maps, grad_cam * features.shape[1] * features.shape[2], rtol=1e-4, atol=1e-5)


def headed(base, head):
    """Returns a Functional model that applies `base` and then the layers of the list `head`."""
    inputs = x = keras.Input((SIZE, SIZE, 3))
    for layer in [base, *head]:
        x = layer(x)
    return randomize(keras.Model(inputs, x))


def test_grad_cam_of_a_perceptron(rng):
    """The gradient of the score is W2 of the class, masked by the active hidden units, times W1."""
    pool, hidden, last = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(16, "relu"), keras.layers.Dense(5)
    base = without_top()
    model = headed(base, [pool, hidden, keras.layers.Dropout(0.5), last, keras.layers.Softmax()])
    x, classes = images(rng), np.array([4, 0, 2])
    features = np.asarray(base(x), "float64")
    active = np.asarray(hidden(pool(features.astype("float32")))) > 0
    assert 0 < active.mean() < 1
    weights = (active * np.asarray(last.kernel).T[classes]) @ np.asarray(hidden.kernel, "float64").T
    maps, _ = class_activation(model, x, classes)
    np.testing.assert_allclose(maps, np.einsum("bhwk,bk->bhw", features, weights), rtol=1e-4, atol=1e-4)


def test_grad_cam_of_flattened_features(rng):
    base, last = without_top(), keras.layers.Dense(5, "sigmoid")
    model = headed(base, [keras.layers.Flatten(), last])
    features = np.asarray(base(images(rng)))
    weights = np.asarray(last.kernel).reshape(*features.shape[1:], 5).sum(axis=(0, 1))[:, 3]
    maps, _ = class_activation(model, images(np.random.default_rng(0)), 3)
    np.testing.assert_allclose(maps, features @ weights, rtol=1e-4, atol=1e-4)


def test_grad_cam_of_max_pooling(rng):
    """The gradient of each channel is w at its maximum and zero at all other positions."""
    base, last = without_top("max"), keras.layers.Dense(5)
    x = images(rng)
    maps, _ = class_activation(headed(base, [last]), x, 2)
    expected = cam(last_features(base, x, "max_pool"), last, [2, 2, 2])
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-4)


def test_pooling_that_keeps_the_dimensions(rng):
    """As in the MobileNets of keras.applications, the classifier is a 1x1 convolution."""
    base, pool = without_top(), keras.layers.GlobalAveragePooling2D(keepdims=True)
    last = keras.layers.Conv2D(5, 1)
    model = headed(base, [pool, last, keras.layers.Flatten(), keras.layers.Softmax()])
    x = images(rng)
    weights = np.asarray(last.kernel)[0, 0, :, 1]
    maps, _ = class_activation(model, x, 1)
    np.testing.assert_allclose(maps, np.asarray(base(x)) @ weights, rtol=1e-4, atol=1e-4)


def test_two_poolings_of_one_feature_map(rng):
    base, last = without_top(), keras.layers.Dense(5)
    pools = keras.layers.GlobalAveragePooling2D()(base.output), keras.layers.GlobalMaxPooling2D()(base.output)
    model = randomize(keras.Model(base.input, last(keras.layers.Concatenate()(pools))))
    x = images(rng)
    kernel = np.asarray(last.kernel)[:, 1]
    maps, _ = class_activation(model, x, 1)
    average, maximum = np.split(kernel, 2)
    np.testing.assert_allclose(maps, np.asarray(base(x)) @ (average + maximum), rtol=1e-4, atol=1e-4)


def wrapped(model, sequential=False):
    """Returns a model that contains `model` as a layer, and another layer that is the identity at this size."""
    if sequential:
        return keras.Sequential([keras.Input(model.input_shape[1:]), keras.layers.CenterCrop(SIZE, SIZE), model])
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, keras.layers.Identity(name="predictions")(model(inputs, training=False)))


@pytest.mark.parametrize("head", ["inside", "outside"])
@pytest.mark.parametrize("pooling", [None, "avg"])
def test_nested_models_have_the_maps_of_flat_ones(head, pooling, rng):
    base, x = without_top(pooling), images(rng)
    last = [] if pooling else [keras.layers.GlobalAveragePooling2D()]
    classifier = keras.layers.Dense(5, "softmax", name="predictions")
    model = headed(base, [*last, classifier])
    if head == "inside":  # nested twice; layer names occur in both models
        model = wrapped(wrapped(model), sequential=True)
    features = last_features(base, x) if pooling else np.asarray(base(x))
    maps, _ = class_activation(model, x, 1)
    np.testing.assert_allclose(maps, cam(features, classifier, [1, 1, 1]), rtol=1e-4, atol=1e-4)


def test_a_network_that_gives_features_to_a_head(rng):
    """The inputs of the outer classifier include the activation of the inner classifier."""
    inner, last = network(), keras.layers.Dense(2)
    model, x = headed(inner, [last]), images(rng)
    features = last_features(inner, x)
    classifier = inner.get_layer("predictions")
    probabilities = np.asarray(inner(x), "float64")
    outer = np.asarray(last.kernel, "float64")[:, 1]
    jacobian = probabilities * (outer - probabilities @ outer[:, np.newaxis])  # Jacobian of the softmax
    weights = jacobian @ np.asarray(classifier.kernel, "float64").T
    maps, _ = class_activation(model, x, 1)
    expected = np.einsum("bhwk,bk->bhw", features, weights)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_maps_of_a_loaded_and_of_a_cut_model(rng, tmp_path):
    model, x = network(), images(rng)
    expected = explain(model, x, 1)
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(explain(keras.models.load_model(tmp_path / "model.keras"), x, 1), expected, atol=1e-5)
    cut = keras.Model(model.get_layer("conv1_conv").output, model.output)
    inputs = np.asarray(keras.Model(model.input, model.get_layer("conv1_conv").output)(x))
    np.testing.assert_allclose(explain(cut, inputs, 1), expected, atol=1e-5)


def blobs():
    """Returns a model whose only feature is the brightness, and an image with one bright square."""
    inputs = keras.Input((32, 32, 1))
    x = keras.layers.AveragePooling2D(8)(inputs)
    outputs = keras.layers.Dense(3, name="predictions")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("predictions").set_weights([np.array([[2.0, -1.0, 0.5]]), np.array([0.0, 0.5, 0.1])])
    image = np.zeros((1, 32, 32, 1), "float32")
    image[:, 8:16, 16:24] = 1
    return model, image


def test_heatmaps_are_at_the_place_and_normalized():
    model, image = blobs()
    heatmaps = explain(model, image, 0)
    assert (heatmaps.shape, heatmaps.dtype) == ((1, 32, 32), "float32")
    assert (heatmaps.min(), heatmaps.max()) == (0, 1)
    rows, columns = np.nonzero(heatmaps[0] == 1)
    assert (rows.mean(), columns.mean()) == (11.5, 19.5)
    # Bilinear interpolation between the centers of cells of 8 pixels: from the peak at 11.5 to zero at 19.5.
    peak = heatmaps[0, 11, 19]
    np.testing.assert_allclose(heatmaps[0, 12:19, 19] / peak, (19.5 - np.arange(12, 19)) / 7.5, atol=1e-5)


def test_negative_values_are_zero():
    model, image = blobs()
    image[:, 24:, :8] = -3
    maps, _ = class_activation(model, image, 0)
    assert (maps.min(), maps.max()) == (-6, 2)
    np.testing.assert_array_equal(explain(model, image, 0), explain(model, np.maximum(image, 0), 0))


def test_classes():
    model, image = blobs()  # the scores of `image` are 0.125, 0.4375, 0.13125
    two = np.concatenate([image, 4 * image])  # the scores of 4 * image are 0.5, 0.25, 0.225
    zero = np.zeros((32, 32))
    assert [heatmap.max() for heatmap in explain(model, two)] == [0, 1]  # the default is the top-1 class: 1 and 0
    np.testing.assert_array_equal(explain(model, image, 1)[0], zero)
    np.testing.assert_array_equal(explain(model, two, [1, 2]), [zero, explain(model, image, 2)[0]])
    np.testing.assert_array_equal(explain(model, two, np.int64(2)), explain(model, two, [2, 2]))


def test_batches(rng, monkeypatch):
    model, x = network(), images(rng, count=5)
    expected = explain(model, x)
    monkeypatch.setattr(activation_maps, "BATCH_SIZE", 2)
    np.testing.assert_allclose(explain(model, x), expected, atol=1e-5)
    np.testing.assert_allclose(explain(model, keras.ops.convert_to_tensor(x)), expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"], indirect=True)
def test_sixteen_bits(policy, rng):
    model, x = network(), images(rng)
    keras.config.set_dtype_policy("float32")
    exact = network()
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(explain(model, x, 1), explain(exact, x, 1), atol=0.1)


def test_a_model_is_traced_once_and_not_kept(rng):
    model = headed(without_top(), [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])
    explain(model, images(rng))
    assert split_model(model) is split_model(model)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_the_graph_of_the_model_stays_as_it_is(rng, tmp_path):
    model, x = network(), images(rng)
    config, expected = model.get_config(), np.asarray(model(x))
    explain(model, x)
    assert json.dumps(model.get_config(), default=str) == json.dumps(config, default=str)
    np.testing.assert_array_equal(model(x), expected)
    assert model.get_layer("predictions").output is model.output


def fully_connected():
    return keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])


def two_networks():
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, keras.layers.Average()([wrapped(network())(inputs), wrapped(network())(inputs)]))


@pytest.mark.parametrize(
    ("build", "shape", "classes", "says"),
    [
        (network, (SIZE, SIZE, 3), None, r"images must be a batch of the shape \(None, 16, 16, 3\). .*shape \(16, 16,"),
        (network, (2, 32, 32, 3), None, r"images must be a batch.*Received: the shape \(2, 32, 32, 3\)"),
        (network, (0, SIZE, SIZE, 3), None, "images must be a batch"),
        (network, (2, SIZE, SIZE, 3), 3, r"classes must be an integer, or 2 integers, .* in 0..2. Received: 3"),
        (network, (2, SIZE, SIZE, 3), -1, "in 0..2. Received: -1"),
        (network, (2, SIZE, SIZE, 3), [0], r"or 2 integers, one for each image, in 0..2. Received: \[0\]"),
        (network, (2, SIZE, SIZE, 3), "cat", "Received: 'cat'"),
        (network, (2, SIZE, SIZE, 3), 1.0, "Received: 1.0"),
        (without_top, (2, SIZE, SIZE, 3), None, r"one output \(b, classes\). Received: .*\(None, 4, 4, 8\)"),
        (lambda: keras_resnet.feature_pyramid(network()), (2, SIZE, SIZE, 3), None, "one input .* and one output"),
        (fully_connected, (2, 4, 4, 3), None, "model must have one last feature map"),
        (two_networks, (2, SIZE, SIZE, 3), None, r"one last feature map.*\[\(None, 4, 4, 8\), \(None, 4, 4, 8\)\]"),
        (lambda: network(image_size=4), (2, 4, 4, 3), None, "of more than one position"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), (2, 4), None, "model must be a Functional or Sequential"),
        (lambda: "resnet50", (2, SIZE, SIZE, 3), None, "must be a Functional or Sequential.*Received: 'resnet50'"),
    ],
)
def test_explain_refuses(build, shape, classes, says):
    with pytest.raises(ValueError, match=says):
        explain(build(), np.zeros(shape, "float32"), classes)


def test_colours_of_an_overlay():
    image, heatmap = np.full((1, 3, 3), 100, "uint8"), np.array([[0, 0.5, 1]])
    dark_blue, green, dark_red = [0, 0, 127.5], [127.5, 255, 127.5], [127.5, 0, 0]
    expected = np.array([dark_blue, green, dark_red]) / 2 + 50
    picture = overlay(image, heatmap)
    assert (picture.shape, picture.dtype) == ((1, 3, 3), "uint8")
    np.testing.assert_allclose(picture[0], expected, atol=0.51)
    np.testing.assert_array_equal(overlay(image, heatmap, alpha=0), image)
    np.testing.assert_allclose(overlay(image.astype("float32"), heatmap, alpha=1)[0], 2 * (expected - 50), atol=0.51)


def test_an_overlay_has_the_size_of_the_image():
    picture = overlay(np.zeros((20, 40, 3)), np.array([[0.0, 1.0]]), alpha=1)
    assert picture.shape == (20, 40, 3)
    assert (picture[:, 0] == [0, 0, 128]).all() and (picture[:, -1] == [128, 0, 0]).all()


@pytest.mark.parametrize(
    ("image", "heatmap", "alpha", "says"),
    [
        ((4, 4), (4, 4), 0.5, r"image must be RGB, of the shape \(h, w, 3\). Received: the shape \(4, 4\)"),
        ((1, 4, 4, 3), (4, 4), 0.5, r"image must be RGB.*\(1, 4, 4, 3\)"),
        ((4, 4, 3), (1, 4, 4), 0.5, r"heatmap must be of the shape \(h, w\). Received: the shape \(1, 4, 4\)"),
        ((4, 4, 3), (4, 4), 2, r"alpha must be a number, in \[0, 1\]. Received: 2"),
    ],
)
def test_overlay_refuses(image, heatmap, alpha, says):
    with pytest.raises(ValueError, match=says):
        overlay(np.zeros(image), np.zeros(heatmap), alpha)


@pytest.fixture
def photo(tmp_path):
    """An image file of 60 x 40 pixels of noise. The network gets its center crop."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def middle_of(photo):
    """Returns the crop that the network gets: resized to 48 x 32, then center-cropped."""
    resized = Image.open(photo).resize((48, 32), Image.Resampling.BILINEAR).crop((8, 0, 40, 32))
    return np.asarray(resized), np.asarray(resized, "float32")[np.newaxis]


def test_command_with_a_row(photo, trained, tmp_path, capsys):
    output = tmp_path / "cam.png"
    assert main(["explain", "resnet20", str(photo), "--weights", "cifar10", "-o", str(output)]) == 0
    middle, x = middle_of(photo)
    scores = np.asarray(trained(x))[0]
    assert capsys.readouterr().out == f"class {scores.argmax()}, score {scores.max():.4f}: {output}\n"
    expected = overlay(middle, explain(trained, x)[0])
    np.testing.assert_allclose(np.asarray(Image.open(output), int), expected, atol=1)


@pytest.mark.parametrize("inside", [True, False])
def test_command_with_a_file(inside, photo, trained, tmp_path, capsys):
    """The preprocessing is in the model, or it must be given if it is not known."""
    model = trained
    if not inside:
        model = keras_resnet.ResNet20(weights="cifar10")
        model.preprocessing = None
    model.save(tmp_path / "model.keras")
    output = tmp_path / "cam.png"
    command = ["explain", str(tmp_path / "model.keras"), str(photo), "--class", "5", "--output", str(output)]
    if not inside:
        assert main(command) == 1
        assert "--preprocessing must be one of ['torch', " in capsys.readouterr().err
        command += ["--preprocessing", "cifar10"]
    assert main(command) == 0
    middle, x = middle_of(photo)
    expected = overlay(middle, explain(trained, x, 5)[0])
    np.testing.assert_allclose(np.asarray(Image.open(output), int), expected, atol=1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resnet20"], "--weights must be given for a row. Received: 'resnet20'"),
        (["resnet20", "--weights", "cifar10", "--class", "10"], "classes must be an integer"),
        (["resnet20", "--weights", "cifar10", "-o", "cam.xyz"], "unknown file extension: .xyz"),
    ],
)
def test_command_refuses(arguments, says, photo, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["explain", arguments[0], str(photo), *arguments[1:]]) == 1
    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


OTHER_BACKEND = """
import sys
import keras, numpy as np
import keras_resnet
from keras_resnet.activation_maps import class_activation
assert keras.backend.backend() == sys.argv[1]
data = np.load(sys.argv[2] + "/maps.npz")
model = keras.models.load_model(sys.argv[2] + "/model.keras")
maps, _ = class_activation(model, data["x"], data["classes"])
np.testing.assert_allclose(maps, data["maps"], rtol=1e-3, atol=1e-3 * np.abs(data["maps"]).max())
np.testing.assert_allclose(keras_resnet.explain(model, data["x"], data["classes"]), data["heatmaps"], atol=2e-3)
keras_resnet.freeze(model, "conv2")
model.compile(keras_resnet.layer_decay("adam", model, 0.5), "sparse_categorical_crossentropy")
loss = model.fit(data["x"], data["classes"], epochs=4, verbose=0).history["loss"]
assert loss[-1] < loss[0], loss
rates = model.optimizer.learning_rates
model.save(sys.argv[2] + "/trained.keras")
assert keras.models.load_model(sys.argv[2] + "/trained.keras").optimizer.learning_rates == rates
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_maps(backend, rng, tmp_path):
    pytest.importorskip(backend)
    head = [keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")]
    model, x, classes = headed(without_top(), head), images(rng), np.array([0, 2, 1])
    model.save(tmp_path / "model.keras")
    maps, _ = class_activation(model, x, classes)
    np.savez(tmp_path / "maps.npz", x=x, classes=classes, maps=maps, heatmaps=explain(model, x, classes))
    subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, backend, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": HASTY_XLA},
        check=True,
        timeout=300,
    )


def test_examples_of_the_docstrings():
    names = {"keras": keras, "keras_resnet": keras_resnet, "np": np}
    result = doctest.testmod(activation_maps, extraglobs=names)
    assert (result.failed, result.attempted > 5) == (0, True)
