"""Compares `keras_resnet.applications` with the installed `keras.applications`: functions, weights, errors."""

import doctest
import inspect
import os
import shutil
import subprocess
import sys
from importlib import import_module

import keras
import numpy as np
import pytest
from conftest import randomize
from test_weights_applications import with_small_variances

import keras_resnet
from keras_resnet import applications
from keras_resnet.applications import densenet, resnet, resnet50, resnet_v2
from keras_resnet.errors import RandomClassifierWarning

MODULES = {"resnet": resnet, "resnet50": resnet50, "resnet_v2": resnet_v2, "densenet": densenet}
BUILDERS = [
    *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
    *("DenseNet121", "DenseNet169", "DenseNet201"),
]
SHALLOW = ("ResNet50", "ResNet50V2", "DenseNet121")

every_builder = pytest.mark.parametrize(
    "name", [name if name in SHALLOW else pytest.param(name, marks=pytest.mark.slow) for name in BUILDERS]
)
shallow_builders = pytest.mark.parametrize("name", SHALLOW)
with_and_without_top = pytest.mark.parametrize("include_top", [True, pytest.param(False, marks=pytest.mark.slow)])


def theirs(name, **arguments):
    """Returns a network of `keras.applications` with random weights and statistics."""
    return with_small_variances(getattr(keras.applications, name)(weights=None, **arguments))


def save(net, path):
    """Writes a `.weights.h5` file or a whole model."""
    net.save_weights(path) if path.name.endswith(".weights.h5") else net.save(path)
    return path


def images(size, seed=0):
    return np.random.default_rng(seed).normal(size=(2, size, size, 3)).astype("float32")


def assert_close(ours, expected):
    expected = np.asarray(expected)
    assert np.abs(np.asarray(ours) - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.fixture
def folder(tmp_path):
    """A folder that is deleted after the test. pytest would keep three folders, and the files have 100 MB each."""
    yield tmp_path
    shutil.rmtree(tmp_path)


# ------------------------------------------------------------------------------------- functions


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_the_functions_of_keras(module):
    expected = {name for name in dir(import_module(f"keras.applications.{module}")) if not name.startswith("_")}
    assert expected <= set(dir(MODULES[module]))
    for name in expected:
        ours, keras_own = (getattr(package, name) for package in (MODULES[module], getattr(keras.applications, module)))
        assert [*inspect.signature(ours).parameters.values()] == [
            parameter.replace(annotation=inspect.Parameter.empty)
            for parameter in inspect.signature(keras_own).parameters.values()
        ] or name == "decode_predictions"
        assert ours.__name__ == name and ours.__doc__


def test_functions_can_be_found_where_keras_has_them():
    for name in BUILDERS:
        build = getattr(applications, name)
        assert build is getattr(import_module(build.__module__), name)
        assert hasattr(keras.applications, name)
    assert keras_resnet.applications is applications
    assert applications.resnet50.ResNet50 is applications.resnet.ResNet50 is applications.ResNet50


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
def test_preprocess_input(module, data_format, rng):
    x = rng.uniform(0, 255, (2, 5, 7, 3)).astype("float32")
    x = np.moveaxis(x, -1, 1) if data_format == "channels_first" else x
    ours, keras_own = MODULES[module].preprocess_input, getattr(keras.applications, module).preprocess_input
    for kind in (np.asarray, keras.ops.convert_to_tensor):
        for given in (x, x[0]):
            got, expected = ours(kind(given), data_format), keras_own(kind(given.copy()), data_format)
            assert type(got) is type(expected)
            np.testing.assert_allclose(got, expected, atol=1e-5)
    integers = x.astype("uint8")
    np.testing.assert_allclose(ours(integers, data_format), keras_own(integers.copy(), data_format), atol=1e-5)
    image = keras.Input(x.shape[1:])
    models = [keras.Model(image, function(image, data_format)) for function in (ours, keras_own)]
    np.testing.assert_allclose(models[0](x), models[1](x), atol=1e-5)


def test_decode_predictions(rng, monkeypatch):
    keras_own = keras.applications.resnet50.decode_predictions
    index = {str(i): list(pair) for i, pair in enumerate(keras_resnet.preprocessing.imagenet_classes())}
    utils = keras_own.__globals__["imagenet_utils"]
    monkeypatch.setattr(utils, "CLASS_INDEX", index)  # Keras would download it
    preds = rng.dirichlet(np.ones(1000), size=3).astype("float32")
    assert resnet50.decode_predictions(preds, top=3) == keras_own(preds, top=3)
    for function in (resnet50.decode_predictions, keras_own):
        with pytest.raises(ValueError, match=r"expects a batch of predictions.* array with shape: \(3, 10\)"):
            function(preds[:, :10])


# -------------------------------------------------------------------------------------- networks


@every_builder
@with_and_without_top
def test_layers(name, include_top):
    """Layer names differ from Keras only as the package documents."""
    keras.backend.clear_session()  # resets the numbers in the names of unnamed layers
    arguments = dict(weights=None, include_top=include_top, pooling=None if include_top else "max")
    net, model = (getattr(package, name)(**arguments) for package in (keras.applications, applications))
    expected = [layer.name for layer in net.layers]
    for layer in model.layers + net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (1.001e-5, 0.99)
    assert model.name == inspect.signature(getattr(keras.applications, name)).parameters["name"].default
    got = [layer.name for layer in model.layers]
    assert (got[0], expected[0]) == ("image", "input_layer")
    if not name.endswith("V2"):
        assert got[1:] == expected[1:]
        return
    missing, extra = set(expected) - set(got), set(got) - set(expected)
    depths = {"ResNet50V2": (3, 4, 6), "ResNet101V2": (3, 4, 23), "ResNet152V2": (3, 8, 36)}[name]
    striding = {f"conv{stage}_block{depth}" for stage, depth in enumerate(depths, 2)}
    assert extra == {"image", *(f"{block}_0_zero_pad" for block in striding)}
    pads = {layer for layer in expected if layer.endswith("_2_pad")}
    pools = {"max_pooling2d", "max_pooling2d_1", "max_pooling2d_2"}
    assert missing == {"input_layer", *pools, *(pads - {f"{block}_2_pad" for block in striding})}
    shared = [[layer for layer in layers if layer in got and layer in expected] for layers in (got, expected)]
    assert sorted(shared[0]) == sorted(shared[1])


@every_builder
def test_outputs_are_those_of_keras(name, folder):
    net = theirs(name, input_shape=(65, 65, 3), classifier_activation=None)
    path = save(net, folder / "file.weights.h5")
    model = getattr(applications, name)(weights=path, input_shape=(65, 65, 3), classifier_activation=None)
    assert_close(model(images(65)), net(images(65)))
    model = getattr(applications, name)(weights=str(path), include_top=False)  # the classifier of the file is not used
    last = {"ResNet": "conv5_block3_out", "ResNetV2": "post_relu", "DenseNet": "relu"}
    kind = "DenseNet" if name.startswith("D") else "ResNetV2" if name.endswith("V2") else "ResNet"
    features = keras.Model(net.input, net.get_layer(last[kind]).output)
    assert_close(model(images(65)), features(images(65)))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("ResNet50", ".weights.h5"),
        *(
            pytest.param(name, suffix, marks=pytest.mark.slow)
            for name in SHALLOW
            for suffix in (".h5", ".keras", ".weights.h5")
            if (name, suffix) != ("ResNet50", ".weights.h5")
        ),
    ],
)
def test_files_of_keras(name, suffix, folder):
    """Also tests models whose inputs have the same name."""
    image = keras.Input((64, 64, 3), name="input_layer")
    net = theirs(name, include_top=False, input_tensor=image, pooling="avg")
    path = save(net, folder / f"file{suffix}")
    for tensor in (None, keras.Input((64, 64, 3), name="input_layer")):
        model = getattr(applications, name)(False, path, tensor, (64, 64, 3), "avg")
        assert_close(model(images(64)), net(images(64)))


@pytest.mark.slow
@shallow_builders
def test_files_of_these_models(name, folder):
    model = randomize(getattr(applications, name)(False, None, None, (64, 64, 3), "max"))
    for suffix in (".keras", ".weights.h5"):
        again = getattr(applications, name)(False, save(model, folder / f"file{suffix}"), None, (64, 64, 3), "max")
        np.testing.assert_array_equal(again(images(64)), model(images(64)))
    loaded = keras.models.load_model(folder / "file.keras")
    np.testing.assert_array_equal(loaded(images(64)), model(images(64)))


@pytest.mark.slow
def test_a_file_with_another_number_of_classes(folder):
    path = save(
        keras.applications.ResNet50(weights=None, classes=5, input_shape=(32, 32, 3)), folder / "five.weights.h5"
    )
    model = applications.ResNet50(weights=path, classes=5, input_shape=(32, 32, 3))
    assert model.output_shape == (None, 5)
    with pytest.warns(RandomClassifierWarning, match="7 classes and these weights 5"):
        applications.ResNet50(weights=path, classes=7, input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match="classes must be 5"):
        applications.ResNet50(weights=path)


OTHER_BACKEND = """
import sys
import keras
import numpy as np
import keras_resnet
assert keras.backend.backend() == sys.argv[1]
x = np.load("x.npy")
for name in sys.argv[2:]:
    model = getattr(keras_resnet.applications, name)(weights=f"{name}.weights.h5", input_shape=(64, 64, 3))
    net = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3))
    net.load_weights(f"{name}.weights.h5")
    ours, theirs = (each.predict(x, verbose=0) for each in (model, net))
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max(), name
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_outputs_with_other_backends(backend, folder):
    pytest.importorskip(backend)
    for name in SHALLOW:
        save(theirs(name, input_shape=(64, 64, 3)), folder / f"{name}.weights.h5")
    np.save(folder / "x.npy", images(64))
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", OTHER_BACKEND, backend, *SHALLOW]
    subprocess.run(command, check=True, cwd=folder, env=environment)


# ----------------------------------------------------------------------------- published weights


class Asked(BaseException):
    """Raised instead of a download. `except Exception` does not catch it."""


def ask(*place, **options):
    raise Asked(place, options)


@pytest.mark.parametrize(
    ("name", "include_top"),
    [
        ("ResNet50", False),
        *(pytest.param(name, True, marks=pytest.mark.slow) for name in BUILDERS),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in BUILDERS[1:]),
    ],
)
def test_published_files_are_those_of_keras(name, include_top, monkeypatch):
    """With the default `weights="imagenet"`, file name, URL, folder and md5 are the same as in Keras."""
    asked = []
    keras_own = getattr(keras.applications, name)
    file_utils = next(
        function.__globals__["file_utils"]
        for function in (keras_own, keras_own.__globals__.get("resnet", resnet).__dict__.get("ResNet"))
        if function is not None and "file_utils" in function.__globals__
    )
    monkeypatch.setattr(file_utils, "get_file", ask)
    monkeypatch.setattr(keras.utils, "get_file", ask)
    for build in (keras_own, getattr(applications, name)):
        with pytest.raises(Asked) as caught:
            build(include_top=include_top)
        asked.append(caught.value.args)
    assert asked[0] == asked[1]
    assert len(asked[0][1]["file_hash"]) == 32


@pytest.mark.slow
def test_the_file_without_a_classifier_is_loaded_by_default(folder, monkeypatch):
    net = theirs("ResNet50", include_top=False)
    path = save(net, folder / "notop.h5")
    monkeypatch.setattr(keras.utils, "get_file", lambda *place, **options: path)
    model = resnet50.ResNet50(include_top=False, pooling="avg")
    assert model.input_shape == (None, None, None, 3)
    assert_close(model(images(64)), keras.ops.mean(net(images(64)), axis=(1, 2)))


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "arguments",
    [
        dict(weights="nowhere.h5"),
        dict(weights="timm/resnet50.a1_in1k"),
        dict(weights="keras"),
        dict(weights="cifar10"),
        dict(classes=10),
        dict(input_shape=(225, 224, 3)),
        dict(include_top=False, input_shape=(64, 64, 1)),
        dict(include_top=False, input_shape=(31, 64, 3)),
        dict(include_top=False, input_shape=(64, 64)),
        dict(weights=None, input_shape=(64, 16, 3)),
        dict(weights=None, input_shape=(None, None, 3)),
    ],
)
def test_errors_are_those_of_keras(arguments, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", ask)
    messages = []
    for build in (applications.ResNet50, keras.applications.ResNet50):
        with pytest.raises(ValueError) as caught:
            build(**arguments)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_shape_that_is_no_shape():
    with pytest.raises(ValueError, match="`input_shape` must be a tuple of three integers."):
        applications.ResNet50(weights=None, input_shape=(64, 64))


@pytest.mark.parametrize("activation", ["sigmoid", keras.activations.relu])
def test_activations_with_pretrained_weights(activation, monkeypatch, tmp_path):
    monkeypatch.setattr(keras.utils, "get_file", ask)
    (tmp_path / "file.h5").touch()
    message = "Only `None` and `softmax` activations are allowed .*Received: classifier_activation="
    for weights in ("imagenet", tmp_path / "file.h5"):
        with pytest.raises(ValueError, match=message):
            applications.ResNet50(weights=weights, classifier_activation=activation)
    for allowed in (None, "softmax", "linear", keras.activations.softmax):
        with pytest.raises(Asked):
            applications.ResNet50(classifier_activation=allowed)
    assert (
        applications.ResNet50(weights=None, classifier_activation="sigmoid").layers[-1].activation.__name__ == "sigmoid"
    )


def test_a_setting_without_effect_is_refused():
    """Keras ignores both settings."""
    with pytest.raises(ValueError, match="pooling must be one of .*Received: 'average'"):
        applications.ResNet50(weights=None, include_top=False, pooling="average")
    with pytest.raises(ValueError, match="`input_shape` must be that of `input_tensor`"):
        applications.ResNet50(weights=None, input_tensor=keras.Input((64, 64, 3)), input_shape=(96, 96, 3))


@pytest.mark.parametrize("package", [applications, keras.applications])
def test_sizes_that_are_not_known_with_the_top(package):
    """As in Keras, unknown sizes are accepted for `input_tensor`, but not for `input_shape`."""
    options = {"weights": None, "input_tensor": keras.Input((None, None, 3))}
    for shape in ({}, {"input_shape": (224, 224, 3)}):
        net = package.ResNet50(**options, **shape)
        assert (net.input_shape, net.output_shape) == ((None, None, None, 3), (None, 1000))
    for others in (options, {"weights": None}):
        with pytest.raises(ValueError, match="If `include_top` is True, you should specify a static `input_shape`"):
            package.ResNet50(input_shape=(None, None, 3), **others)
    with pytest.raises(ValueError, match="Input size must be at least 32x32"):
        package.ResNet50(input_shape=(8, 8, 3), **options)


@pytest.mark.parametrize("name", ["ResNet50", *(pytest.param(name, marks=pytest.mark.slow) for name in BUILDERS[1:])])
def test_examples_in_docstrings(name):
    build = getattr(applications, name)
    functions = (build, sys.modules[build.__module__].preprocess_input)
    for function in functions:
        test = doctest.DocTestParser().get_doctest(
            function.__doc__, {each.__name__: each for each in functions}, name, None, None
        )
        assert test.examples
        assert doctest.DocTestRunner().run(test).failed == 0
