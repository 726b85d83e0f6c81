"""Tests of HyperResNet in the tuners of Keras Tuner, on random data."""

import gc
import json
import random
import re
import subprocess
import sys
import textwrap
import weakref
from collections import Counter

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FailedTrialError

import keras_resnet
from keras_resnet import tuner as module
from keras_resnet.macs import model_size
from keras_resnet.tuner import HyperResNet

TINY = dict(depths=[8], shortcuts=["A", "plain"], learning_rates=[0.1, 0.01])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(32, 8, 8, 3)).astype("float32"), np.arange(32) % 3
    return dict(x=images, y=labels, validation_data=(images, labels), epochs=2, batch_size=16, verbose=0)


def tiny(**fields):
    return HyperResNet((8, 8, 3), 3, **{**TINY, **fields})


def open_tuner(directory, hypermodel, kind=keras_tuner.GridSearch, **options):
    return kind(hypermodel, objective="val_accuracy", directory=directory, project_name="t", **options)


def explored(directory, hypermodel, **options):
    """Returns the values of all trials of a grid search that builds and trains none of our networks."""
    net = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    hypermodel.create = lambda values: net
    hypermodel.fit = lambda hp, model, **_: {"val_accuracy": 0.5}
    tuner = open_tuner(directory, hypermodel, **options)
    tuner.search(verbose=0)
    return [(hypermodel.values(trial.hyperparameters), trial) for trial in tuner.oracle.trials.values()]


def counts(**choices):
    variant = keras_resnet.cifar(choices.pop("depth"), choices.pop("block", "building_block"), **choices)
    return model_size(keras_resnet.ResNet(variant, input_shape=(8, 8, 3), classes=3))


# ---- the tuners


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuner", "options"),
    [
        (keras_tuner.RandomSearch, {"max_trials": 3, "seed": 1}),
        (keras_tuner.BayesianOptimization, {"max_trials": 4, "num_initial_points": 2, "seed": 1}),
        (keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2, "seed": 1}),
        (keras_tuner.GridSearch, {"max_trials": 3}),
    ],
)
def test_every_tuner(tuner, options, data, tmp_path):
    hypermodel = tiny(blocks=["building_block", "bottleneck"], depths=[8, 11])
    tuner = open_tuner(tmp_path, hypermodel, tuner, **options)
    tuner.search(**data)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    for trial in trials:
        values = hypermodel.values(trial.hyperparameters)
        assert values["depth"] == {"building_block": 8, "bottleneck": 11}[values["block"]]


@pytest.mark.slow
def test_the_best_model_is_loaded_again(data, tmp_path):
    hypermodel = tiny(shortcuts=["A"], learning_rates=[0.1], preprocessing=keras.layers.Rescaling(0.5))
    tuner = open_tuner(tmp_path, hypermodel)
    tuner.search(**data)
    best = tuner.oracle.get_best_trials(1)[0]
    (model,) = tuner.get_best_models()
    again = open_tuner(tmp_path, hypermodel)
    assert again.get_best_hyperparameters()[0].values == best.hyperparameters.values
    assert hypermodel.values(again.get_best_hyperparameters()[0]) == hypermodel.values(best.hyperparameters)
    (loaded,) = again.get_best_models()
    for net in (model, loaded):
        assert net.variant.shortcut == "zero_pad"
        accuracy = np.mean(np.argmax(net(data["x"]), axis=-1) == data["y"])
        assert accuracy == pytest.approx(best.score)


def test_hyperband_continues_with_momentum_and_learning_rate(data, tmp_path):
    hypermodel = tiny(shortcuts=["A"])
    tuner = open_tuner(tmp_path, hypermodel, keras_tuner.Hyperband, max_epochs=2)
    parent = hypermodel.build(keras_tuner.HyperParameters())
    parent.fit(data["x"], data["y"], verbose=0)
    parent.optimizer.learning_rate = 0.003
    (tmp_path / "t" / "trial_7").mkdir()
    parent.save_weights(tmp_path / "t" / "trial_7" / "checkpoint.weights.h5")
    (tmp_path / "t" / "trial_7" / "build_config.json").write_text(json.dumps(parent.get_build_config()))
    hp = tuner.oracle.get_space()
    hp.values["tuner/trial_id"] = "7"
    child = tuner._build_hypermodel(hp)
    assert float(child.optimizer.learning_rate) == pytest.approx(0.003)
    ours, theirs = ([v.numpy() for v in model.optimizer.variables] for model in (child, parent))
    assert len(ours) == len(theirs) > 20
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.slow
def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", HyperResNet.__doc__, re.DOTALL)
    exec(textwrap.dedent(example), {})
    assert "Variant(block='building_block'" in capsys.readouterr().out


def test_the_package_does_not_import_keras_tuner():
    code = """
import sys, keras_resnet
assert "keras_tuner" not in sys.modules and not hasattr(keras_resnet, "tuner")
import keras_resnet.tuner
assert "keras_tuner" in sys.modules and keras_resnet.tuner.HyperResNet
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the search space


def test_names_and_types():
    hp = keras_tuner.HyperParameters()
    tiny().build(hp)
    assert {choice.name: (type(choice).__name__, tuple(choice.values)) for choice in hp.space} == {
        "block": ("Fixed", ("building_block",)),
        "width": ("Fixed", (1,)),
        "shortcut": ("Choice", ("zero_pad", "none")),
        "order": ("Fixed", ("original",)),
        "depth": ("Fixed", (8,)),
        "learning_rate": ("Choice", (0.1, 0.01)),
        "weight_decay": ("Fixed", (1e-4,)),
    }


def parameters(block, width, shortcut, depth):
    """Replaces the real counts, which need a second each."""
    return depth * width**2 * {"building_block": 2, "bottleneck": 3}[block] + (shortcut == "projection_all") * 10


BOTH = dict(blocks=["bottleneck", "building_block"])


@pytest.mark.parametrize(
    ("limit", "options", "names"),
    [
        (None, dict(**BOTH, shortcuts=["A"], depths=[20, 8, 11]), ["block=bottleneck", "block=building_block"]),
        (None, dict(widths=[1, 2]), []),
        (39, dict(widths=[4, 2, 1], shortcuts=["B"]), []),  # 2 and 4 are too large
        (112, dict(widths=[4, 2, 1], shortcuts=["A", "B"]), ["width=2", "width=1"]),
        (40, dict(shortcuts=["A", "C", "B"]), ["shortcut=zero_pad|projection", "shortcut=projection_all"]),
        (80, dict(**BOTH, shortcuts=["A"], depths=[8, 11, 20], widths=[2, 1]),
         ["block=bottleneck", "block=building_block,width=2", "block=building_block,width=1"]),
        (121, dict(**BOTH, depths=[11, 8, 14], widths=[1, 2]),
         ["block=bottleneck", "block=building_block,width=1", "block=building_block,width=2,shortcut=zero_pad",
          "block=building_block,width=2,shortcut=projection_all"]),
    ],
)  # fmt: skip
def test_the_space_has_exactly_the_legal_combinations(limit, options, names, monkeypatch, tmp_path):
    parts = ("block", "width", "shortcut", "depth")
    monkeypatch.setattr(
        HyperResNet, "size", lambda self, values: {"parameters": parameters(*(values[name] for name in parts))}
    )
    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)
    monkeypatch.setattr(gc, "collect", lambda: 0)
    options = dict(blocks=["building_block"], depths=[20, 8, 14], shortcuts=["A", "C"], widths=[1]) | options
    found = explored(tmp_path, tiny(**options, learning_rates=[0.1], max_parameters=limit))
    expected = [
        (block, width, shortcut, depth)
        for block in options["blocks"]
        for width in options["widths"]
        for shortcut in (keras_resnet.OPTIONS[name] for name in options["shortcuts"])
        for depth in options["depths"]
        if (depth - 2) % {"building_block": 6, "bottleneck": 9}[block] == 0
        and (limit is None or parameters(block, width, shortcut, depth) <= limit)
    ]
    assert Counter(tuple(values[name] for name in parts) for values, _ in found) == Counter(expected)
    assert {trial.status for _, trial in found} == {"COMPLETED"}
    depths = {name for _, trial in found for name in trial.hyperparameters.values if name.startswith("depth")}
    assert depths == ({f"depth[{name}]" for name in names} or {"depth"})


def test_failed_trials_are_skipped(data, tmp_path):
    ours = keras_tuner.HyperParameters()
    ours.Choice("width", [1, 4, 2])
    hypermodel = tiny(
        widths=[1, 2], shortcuts=["A"], learning_rates=[0.1], max_parameters=counts(depth=8)["parameters"]
    )
    tuner = open_tuner(tmp_path, hypermodel, hyperparameters=ours)
    tuner.search(**data)
    assert {trial.hyperparameters["width"]: trial.status for trial in tuner.oracle.trials.values()} == {
        1: "COMPLETED",
        2: "FAILED",
        4: "FAILED",
    }
    assert tuner.get_best_hyperparameters()[0]["width"] == 1


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (9, "depth must be 6n \\+ 2 with the block 'building_block'"),
        (14, r"\d+ parameters are more than max_parameters=100000 \(block='building_block', width=1, .*depth=14\)"),
    ],
)
def test_values_of_the_user_that_are_no_network_are_failed_trials(value, says, tmp_path):
    """Keras Tuner's argument `hyperparameters` replaces the hyperparameters of the hypermodel."""
    ours = keras_tuner.HyperParameters()
    ours.Choice("depth", [8, value])
    hypermodel = tiny(shortcuts=["A"], learning_rates=[0.1], max_parameters=100_000)
    (_, first), (_, second) = explored(tmp_path, hypermodel, hyperparameters=ours)
    assert (first.status, second.status) == ("COMPLETED", "FAILED")
    assert re.search(f"FailedTrialError: {says}", second.message)


@pytest.mark.parametrize(
    "values",
    [
        dict(block="building_block", depth=14, width=1, shortcut="projection_all", order="preactivation"),
        dict(block="bottleneck", depth=11, width=2, shortcut="A", order="original"),
    ],
)
def test_size_is_that_of_the_model(values):
    hypermodel = tiny(gate="se")
    size = hypermodel.size(values)
    assert size == model_size(hypermodel.create(values | dict(learning_rate=0.1, weight_decay=1e-4)))


def test_counting_leaves_nothing_behind(monkeypatch):
    """Without cleanup, Keras would keep the variables and initialize them at the next call of a layer."""
    references = []

    def build(*args, **options):
        model = keras_resnet.ResNet(*args, **options)
        references.extend(map(weakref.ref, model.weights))
        return model

    monkeypatch.setattr(module, "ResNet", build)
    values = dict(block="building_block", depth=8, width=3, shortcut="A", order="original")
    before = random.getstate()
    tiny().size(values)
    gc.collect()
    assert len(references) > 20
    assert {reference() for reference in references} == {None}
    assert random.getstate() == before


@pytest.mark.slow
def test_resnet1202_is_counted():
    values = dict(block="building_block", depth=1202, width=1, shortcut="A", order="original")
    assert HyperResNet((32, 32, 3), 10).size(values)["parameters"] == 19_421_274


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(depths=[8, 9]), "depth must be 6n + 2 with the block 'building_block'"),
        (dict(depths=[8], blocks=["building_block", "bottleneck"]), "depth must be 9n + 2 with the block 'bottleneck'"),
        (dict(depths=[]), "depths must contain at least one value. Received: []"),
        (dict(depths=20), "depths must be a list. Received: 20"),
        (dict(shortcuts="A"), "shortcuts must be a list. Received: 'A'"),
        (dict(shortcuts=["A", "E"]), "shortcut must be one of"),
        (dict(shortcuts=[["A"]]), "shortcuts must be a list of strings. Received: ['A']"),
        (dict(orders=["orginal"]), "Did you mean 'original'"),
        (dict(blocks=["basic"]), "block must be one of ['building_block', 'bottleneck']. Received: 'basic'"),
        (dict(widths=[0]), "widths must be a positive integer. Received: 0"),
        (dict(learning_rates=[0]), "learning_rates must be a number, more than 0. Received: 0"),
        (dict(weight_decays=[-1]), "weight_decays must be a number, 0 or more. Received: -1"),
        (dict(max_parameters=0), "max_parameters must be a positive integer. Received: 0"),
        (dict(max_parameters=10), "No network is within the limits: 74835 parameters are more than max_parameters=10"),
        (dict(patience=0), "patience must be a positive integer. Received: 0"),
        (dict(preprocessing="cifar10"), "preprocessing must be a layer or a function. Received: 'cifar10'"),
        (dict(filters=32), "The name of a keyword argument must be one of"),
        (dict(rank=3), "The name of a keyword argument must be one of"),
        (dict(first_shortcut="projection", shortcuts=["A"]), "first_shortcut may be"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        tiny(**arguments)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 0), None])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match="input_shape must be a"):
        HyperResNet(shape, 3)


def test_a_network_that_only_its_layers_refuse_is_a_failed_trial():
    """16 filters cannot be divided into 32 groups."""
    with pytest.raises(FailedTrialError, match="32"):
        tiny(norm="gn").build(keras_tuner.HyperParameters())


# ---- the networks and their training


def test_recipe_and_fields():
    model = tiny(gate="se").build(keras_tuner.HyperParameters())
    assert isinstance(model, keras_resnet.Network)
    assert (model.variant.gate, model.variant.weight_decay) == ("se", 1e-4)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert (model.optimizer.momentum, float(model.optimizer.learning_rate)) == (0.9, pytest.approx(0.1))
    regularized = {w.path.split("/")[-1] for w in model.trainable_weights if w.regularizer is not None}
    assert regularized == {"kernel"}
    assert model.get_layer("conv1_conv").kernel.regularizer.l2 == pytest.approx(5e-5)


@pytest.mark.parametrize("given", ["global", "argument"])
def test_the_dtype_policy_holds_in_every_trial(given, data, tmp_path):
    """Keras Tuner clears the session. This also resets a dtype policy that was set before the search."""
    if given == "global":
        keras.config.set_dtype_policy("mixed_bfloat16")
    hypermodel, seen = tiny(shortcuts=["A"], dtype="mixed_bfloat16" if given == "argument" else None), []
    hypermodel.fit = lambda hp, model, **_: seen.append(model.compute_dtype) or {"val_accuracy": 0.5}
    tuner = open_tuner(tmp_path, hypermodel)
    tuner.search(verbose=0)
    assert seen == ["bfloat16"] * 2
    assert keras.config.dtype_policy().name == "float32"


def fitted(callbacks, **fields):
    """Returns the callbacks that `fit` uses."""
    seen = {}

    class Model:
        def fit(self, *args, **options):
            seen.update(options)

    tiny(**fields).fit(None, Model(), callbacks=callbacks, epochs=30)
    return seen["callbacks"]


def test_fit_adds_a_plateau_rule():
    own = keras.callbacks.TerminateOnNaN()
    added, kept = fitted([own])
    assert isinstance(added, keras.callbacks.ReduceLROnPlateau)
    assert (added.monitor, added.factor, added.patience) == ("val_loss", 0.1, 3)
    assert kept is own
    assert fitted(None, patience=7)[0].patience == 7


def test_the_learning_rate_is_divided_on_a_plateau(data, tmp_path):
    """The loss never improves after the first epoch."""
    hypermodel = tiny(shortcuts=["A"], learning_rates=[1e30])
    rates, fit = [], hypermodel.fit

    def recorded(*args, **options):
        history = fit(*args, **options)
        rates.extend(history.history["learning_rate"])
        return history

    hypermodel.fit = recorded
    open_tuner(tmp_path, hypermodel).search(**{**data, "epochs": 3})
    assert rates == pytest.approx([1e30, 1e30, 1e29])


@pytest.mark.parametrize(
    "own",
    [
        keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
    ],
)
def test_a_schedule_of_the_user_is_the_only_one(own):
    assert fitted([own]) == [own]
