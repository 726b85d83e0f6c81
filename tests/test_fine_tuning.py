"""Tests of frozen stages, layer-wise learning rates and new classifiers."""

import doctest

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import fine_tuning, freeze, layer_decay, reset_classifier


def dense_net(**fields):
    return keras_resnet.ResNet(
        keras_resnet.DenseVariant(
            **{"depths": (2, 2), "growth_rate": 4, "filters": 8, "stem": "7x7", "image_size": 32, "classes": 3} | fields
        )
    )


NETWORKS = {
    "original": tiny,
    "preactivation": lambda: tiny(order="preactivation", depths=(2, 2, 1)),
    "deep_strided": lambda: tiny(stem="deep_strided", filters=8, image_size=32, gate="se"),
    "dense": dense_net,
}


def nested(network, **head):
    """Returns a Functional model that contains the network and a head with BN."""
    inputs = keras.Input(network.input_shape[1:])
    x = keras.layers.BatchNormalization(name="head_norm")(network(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="head", **head)(x))


def batch(model, rng, size=8):
    x = rng.normal(size=(size, *model.input_shape[1:])).astype("float32")
    return x, np.arange(size) % 3


def stages_of_variables(variables):
    """Returns the stage in the path of each variable, in order, without repetitions."""
    return list(dict.fromkeys(variable.path.split("/")[-2].split("_")[0] for variable in variables))


@pytest.mark.parametrize(
    ("network", "up_to", "trained"),
    [
        ("original", "stem", ["conv2", "conv3", "predictions"]),
        ("original", "conv2", ["conv3", "predictions"]),
        ("original", "conv3", ["predictions"]),
        ("preactivation", "conv3", ["conv4", "predictions"]),
        ("preactivation", "conv4", ["predictions"]),
        ("deep_strided", "stem", ["conv2", "conv3", "predictions"]),
        ("dense", "stem", ["conv2", "pool2", "conv3", "predictions"]),
        ("dense", "conv2", ["conv3", "predictions"]),
        ("dense", "conv3", ["predictions"]),
    ],
)
def test_later_stages_and_the_classifier_stay_trainable(network, up_to, trained):
    model = NETWORKS[network]()
    assert freeze(model, up_to) is None
    assert stages_of_variables(model.trainable_variables) == trained
    assert not any(
        layer.trainable_variables for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    )


def test_batch_norm_of_later_stages_stays_trainable_on_request():
    model = tiny(order="preactivation")
    freeze(model, "conv2", batch_norm=False)
    paths = [variable.path for variable in model.trainable_variables]
    assert any(path.startswith("conv3_block1") and path.endswith("gamma") for path in paths)
    assert "post_bn/gamma" in paths
    freeze(model, "conv3", batch_norm=False)
    assert stages_of_variables(model.trainable_variables) == ["predictions"]


def test_batch_norm_alone():
    model = tiny()
    kernels = [variable.path for variable in model.trainable_variables if "_bn/" not in variable.path]
    freeze(model, None)
    assert [variable.path for variable in model.trainable_variables] == kernels


def values_of(model):
    return {"/".join(variable.path.split("/")[-2:]): np.asarray(variable) for variable in model.variables}


@pytest.mark.parametrize("outer", ["functional", "sequential", "twice"])
def test_fit_of_an_outer_model_changes_nothing_that_is_frozen(outer, rng):
    network = randomize(tiny(order="preactivation"))
    if outer == "sequential":
        model = keras.Sequential([network, keras.layers.BatchNormalization(name="head_norm")])
        model.add(keras.layers.Dense(3, activation="softmax", name="head"))
    else:
        model = nested(nested(network) if outer == "twice" else network)
    freeze(model, up_to="conv2")
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    before = values_of(model)
    model.fit(*batch(model, rng), verbose=0)
    changed = {name for name, value in values_of(model).items() if not np.array_equal(value, before[name])}
    frozen = {name for name in before if name.startswith(("conv1", "conv2")) or "_bn/" in name}
    assert not changed & frozen
    assert {"head_norm/gamma", "head_norm/moving_mean", "head/kernel"} <= changed
    assert {name for name in before if name.startswith("conv3") and name.endswith("kernel")} <= changed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (lambda: (tiny(), "conv4"), r"up_to must be one of \['stem', 'conv2', 'conv3'\]. Received: 'conv4'"),
        (lambda: (tiny(), 3), "up_to must be one of.*Received: 3"),
        (lambda: (tiny(), None, False), "up_to must name a stage if batch_norm is False. Received: up_to=None"),
        (lambda: (keras.Sequential([keras.layers.Dense(2)]),), "model must be a network of keras_resnet or contain"),
        (lambda: ("resnet50",), "model must be a network of keras_resnet.*Received: 'resnet50'"),
    ],
)
def test_freeze_refuses(arguments, says):
    with pytest.raises(ValueError, match=says):
        freeze(*arguments())


DISTANCES = {  # distance of each stage from the head, computed by hand
    "original": {"conv1": 3, "conv2": 2, "conv3": 1, "predictions": 0},
    "preactivation": {"conv1": 4, "conv2": 3, "conv3": 2, "conv4": 1, "post": 1, "predictions": 0},
    "deep_strided": {"conv1": 3, "pool1": 3, "conv2": 2, "conv3": 1, "predictions": 0},
    "dense": {"conv1": 3, "conv2": 2, "pool2": 2, "conv3": 1, "bn": 1, "predictions": 0},
}


def assert_step(model, distances, rng, decay=0.5):
    """Checks that one step of SGD with learning rate 0.1 moves each weight by 0.1 * decay**distance * gradient."""
    x, y = batch(model, rng)
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(y, model(x, training=True))
        loss = tf.reduce_mean(loss)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    before = [np.asarray(variable) for variable in model.trainable_variables]
    model.compile(layer_decay(keras.optimizers.SGD(0.1), model, decay), "sparse_categorical_crossentropy")
    model.train_on_batch(x, y)
    for variable, old, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        rate = 0.1 * decay ** distances[stages_of_variables([variable])[0]]
        step = old - np.asarray(variable)
        assert np.abs(step).max() > 0, variable.path
        np.testing.assert_allclose(step, rate * np.asarray(gradient), rtol=1e-2, atol=1e-6, err_msg=variable.path)


@pytest.mark.parametrize("network", ["original", "preactivation", "deep_strided", "dense"])
def test_a_step_of_each_stage(network, rng):
    assert_step(randomize(NETWORKS[network]()), DISTANCES[network], rng)


def test_a_step_of_an_outer_model_with_frozen_stages(rng):
    model = nested(randomize(tiny(order="preactivation", depths=(1, 1, 1))))
    freeze(model, "conv2")
    assert_step(model, DISTANCES["preactivation"] | {"head": 0}, rng, decay=0.3)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_variable_has_one_group(network):
    model = NETWORKS[network]()
    optimizer = layer_decay("sgd", model, 0.5)
    optimizer.build(model.trainable_variables)
    rates = list(optimizer.learning_rates.values())
    assert rates == pytest.approx([0.01 * 0.5 ** (len(rates) - 1 - i) for i in range(len(rates))])
    assert len(rates) == 1 + max(DISTANCES[network].values())
    assert list(optimizer.learning_rates)[::-1][:2] == ["head", f"conv{len(rates) - 1}"]


def small_run(optimizer=None, run_eagerly=True):
    model = randomize(tiny(depths=(1, 1)))
    optimizer = layer_decay(keras.optimizers.SGD(0.1, momentum=0.9) if optimizer is None else optimizer, model, 0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=run_eagerly)
    return model


def test_reduce_lr_on_plateau_keeps_the_ratios(rng):
    model = small_run()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=1, min_delta=1e9, min_lr=1e-2)
    history = model.fit(*batch(model, rng), epochs=4, callbacks=[plateau], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1, 0.01, 0.01], rtol=1e-6)
    expected = {"stem": 0.00125, "conv2": 0.0025, "conv3": 0.005, "head": 0.01}
    assert model.optimizer.learning_rates == pytest.approx(expected)


def test_learning_rate_scheduler_keeps_the_ratios(rng):
    model = small_run()
    warmup = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0 if epoch == 0 else 0.2)
    model.fit(*batch(model, rng), epochs=2, callbacks=[warmup], verbose=0)
    assert model.optimizer.learning_rates == pytest.approx({"stem": 0.025, "conv2": 0.05, "conv3": 0.1, "head": 0.2})


def test_schedules_are_scaled(rng):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01])
    model = small_run(keras.optimizers.SGD(schedule))
    assert model.optimizer.learning_rates["stem"] == pytest.approx(0.0125)
    model.fit(*batch(model, rng), batch_size=2, verbose=0)
    assert model.optimizer.learning_rates == pytest.approx(
        {"stem": 0.00125, "conv2": 0.0025, "conv3": 0.005, "head": 0.01}
    )
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        model.optimizer.learning_rate = 0.1


@pytest.mark.parametrize("rate", ["number", "schedule"])
def test_a_saved_model_goes_on_training_as_if_it_had_not_been_saved(rate, rng, tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model = small_run(keras.optimizers.AdamW(schedule if rate == "schedule" else 0.01, weight_decay=0.1))
    x, y = batch(model, rng)
    model.fit(x, y, epochs=2, verbose=0)
    if rate == "number":
        model.optimizer.learning_rate = 0.02
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.learning_rates == model.optimizer.learning_rates
    assert [v.name for v in loaded.optimizer.variables] == [v.name for v in model.optimizer.variables]
    for ours, theirs in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    losses = [[net.train_on_batch(x, y) for _ in range(2)] for net in (model, loaded)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert int(loaded.optimizer.iterations) == 4


def test_a_saved_model_has_its_optimizer_once(rng, tmp_path):
    sizes = {}
    for name, decay in (("plain", None), ("decay", 0.5)):
        model = keras_resnet.ResNet("resnet20", depths=(1, 1, 1))
        optimizer = keras.optimizers.Adam()
        model.compile(optimizer if decay is None else layer_decay(optimizer, model, decay), "mse")
        model.optimizer.build(model.trainable_variables)
        model.save_weights(tmp_path / f"{name}.weights.h5")
        sizes[name] = (tmp_path / f"{name}.weights.h5").stat().st_size
    assert sizes["decay"] < 1.1 * sizes["plain"]


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_loss_scaling(policy, rng):
    model = small_run()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = model.get_weights()
    model.fit(*batch(model, rng), epochs=2, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert model.optimizer.inner_optimizer.learning_rates["conv3"] == pytest.approx(0.05)


def test_the_given_optimizer_is_copied():
    model, optimizer = tiny(), keras.optimizers.SGD(0.1)
    result = layer_decay(optimizer, model, 0.5)
    result.learning_rate = 7.0
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    assert not optimizer.built


@pytest.mark.parametrize(
    ("optimizer", "decay", "says"),
    [
        ("sgd", 0, r"decay must be a number, in \(0, 1\]. Received: 0"),
        ("sgd", 1.5, r"decay must be a number, in \(0, 1\]. Received: 1.5"),
        ("sdg", 0.5, "Unable to|Could not|sdg"),
        (keras.optimizers.SGD(global_clipnorm=1.0), 0.5, "must not have a global_clipnorm"),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), 0.5, "must not wrap other optimizers"),
        (keras.optimizers.SGD(keras.activations.relu), 0.5, "must be a number or a LearningRateSchedule"),
    ],
)
def test_layer_decay_refuses(optimizer, decay, says):
    with pytest.raises(ValueError, match=says):
        layer_decay(optimizer, tiny(depths=(1, 1)), decay)


def test_layer_decay_refuses_itself_and_other_models():
    model = tiny(depths=(1, 1))
    with pytest.raises(ValueError, match="must not wrap other optimizers. Received: LayerDecay"):
        layer_decay(layer_decay("sgd", model, 0.5), model, 0.5)
    with pytest.raises(ValueError, match="model must be a network of keras_resnet or contain one"):
        layer_decay("sgd", keras.Sequential([keras.layers.Dense(2)]), 0.5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_reset_classifier(activation, rng):
    model = randomize(tiny(weight_decay=1e-4))
    freeze(model, "conv3")
    model.get_layer("predictions").trainable = False
    before, (x, _) = model.get_weights(), batch(model, rng)
    new = reset_classifier(model, 5, activation)
    classifier = new.get_layer("predictions")
    assert (new.name, new.output_shape) == (model.name, (None, 5))
    assert new.layers[:-1] == model.layers[:-1]
    assert classifier.activation is keras.activations.get(activation)
    assert classifier.kernel_regularizer.l2 == model.get_layer("predictions").kernel_regularizer.l2
    assert [variable.path for variable in new.trainable_variables] == ["predictions/kernel", "predictions/bias"]
    embedding = np.asarray(keras.Model(model.input, model.get_layer("avg_pool").output)(x))
    logits = embedding @ np.asarray(classifier.kernel)
    expected = keras.activations.get(activation)(keras.ops.convert_to_tensor(logits))
    np.testing.assert_allclose(new(x), expected, rtol=1e-4, atol=1e-5)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def test_a_new_classifier_is_random():
    model = tiny()
    kernels = [np.asarray(reset_classifier(model, 3).get_layer("predictions").kernel) for _ in range(2)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


@pytest.mark.parametrize("policy", ["mixed_float16"], indirect=True)
def test_a_new_classifier_stays_float32(policy):
    assert reset_classifier(tiny(), 5).output.dtype == "float32"


def test_a_model_with_a_new_classifier_trains_and_loads(rng, tmp_path):
    model = reset_classifier(reset_classifier(tiny(), 5), 3)
    freeze(model, "conv3")
    model.compile(layer_decay("adamw", model, 0.9), "sparse_categorical_crossentropy", run_eagerly=True)
    x, y = batch(model, rng)
    loss = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(x), model(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "classes", "says"),
    [
        (tiny, 0, "classes must be a positive integer. Received: 0"),
        (lambda: keras_resnet.ResNet20(include_top=False, pooling="avg"), 5, "with include_top=True, which ends in"),
        (lambda: nested(tiny()), 5, "must be a network of keras_resnet with include_top=True"),
        (lambda: None, 5, "must be a network of keras_resnet with include_top=True.*Received: None"),
    ],
)
def test_reset_classifier_refuses(model, classes, says):
    with pytest.raises(ValueError, match=says):
        reset_classifier(model(), classes)


def test_examples_of_the_docstrings():
    names = {"keras": keras, "keras_resnet": keras_resnet, "np": np}
    result = doctest.testmod(fine_tuning, extraglobs=names)
    assert (result.failed, result.attempted > 5) == (0, True)


def test_a_new_classifier_keeps_the_variant_and_the_preprocessing():
    model = keras_resnet.ResNet20(weights="cifar10")
    new = reset_classifier(model, 3)
    assert new.variant.classes == 3 and new.variant.depths == model.variant.depths
    assert new.preprocessing == model.preprocessing
