"""Loads the files of keras.applications into our networks. The outputs are equal for any biases and statistics."""

import shutil

import h5py
import keras
import numpy as np
import pytest
from conftest import randomize

import keras_resnet
from keras_resnet.errors import RandomClassifierWarning
from keras_resnet.variants import VARIANTS
from keras_resnet.weights.applications import KERAS_FILES, applications_file
from keras_resnet.weights.keras_files import read_keras
from keras_resnet.weights.pretrained import give, read_file

# our row -> the builder of keras.applications
THEIRS = {
    "resnet50": "ResNet50",
    "resnet50v2_keras": "ResNet50V2",
    "resnet101": "ResNet101",
    "resnet152": "ResNet152",
    "resnet101v2_keras": "ResNet101V2",
    "resnet152v2_keras": "ResNet152V2",
    "densenet121": "DenseNet121",
    "densenet169": "DenseNet169",
    "densenet201": "DenseNet201",
}


def with_small_variances(net):
    """Sets random weights. Variances are small, as in trained networks, so that the epsilon of BN has an effect."""
    randomize(net)
    rng = np.random.default_rng(1)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            variance = 10 ** rng.uniform(-6, 0, layer.gamma.shape)
            layer.moving_variance.assign(variance.astype("float32"))
            layer.gamma.assign((rng.uniform(0.5, 1.5, variance.shape) * np.sqrt(variance)).astype("float32"))
    return net


def theirs(row="resnet50", size=97, builder=None, **arguments):
    """Returns the network of keras.applications with random weights."""
    if arguments.get("include_top", True):
        arguments["classifier_activation"] = None
    build = getattr(keras.applications, builder or THEIRS[row])
    return with_small_variances(build(weights=None, input_shape=(size, size, 3), **arguments))


def ours(row="resnet50", size=97, **fields):
    if fields.get("include_top", True):
        fields["classifier_activation"] = None
    if "v2" not in row and "densenet" not in row:
        fields = {"bottleneck_stride": "1x1", **fields}
    return keras_resnet.ResNet(row, input_shape=(size, size, 3), **fields)


def write_legacy(net, path, renamed=None):
    """Writes weights as Keras 2 did: one group per layer with the data sets `{layer}/{variable}:0`.

    The names of the layers and of the variables are attributes.
    """
    with h5py.File(path, "w") as file:
        names = {layer: (renamed or {}).get(layer.name, layer.name) for layer in net.layers}
        file.attrs["layer_names"] = [name.encode() for name in names.values()]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for layer, name in names.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{variable.name}:0".encode() for variable in layer.weights]
            for variable in layer.weights:
                group[f"{name}/{variable.name}:0"] = keras.ops.convert_to_numpy(variable)
    return path


def write_model(net, path):
    net.save(path)
    return path


def write_weights(net, path):
    path = path.with_suffix(".weights.h5")
    net.save_weights(path)
    return path


WRITERS = {"legacy": write_legacy, "whole model": write_model, "weights.h5": write_weights}


def assert_close(ours, theirs):
    assert np.abs(np.asarray(ours) - theirs).max() < 1e-5 * np.abs(theirs).max()


def pictures(size, rng):
    return rng.normal(size=(2, size, size, 3)).astype("float32")


@pytest.fixture
def folder(tmp_path):
    """A folder that is deleted after the test. pytest would keep three folders, and the files have 100 MB each."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def net():
    """ResNet50 of keras.applications. Do not change it."""
    return theirs()


@pytest.fixture(scope="module")
def file(net, tmp_path_factory):
    path = write_legacy(net, tmp_path_factory.mktemp("applications") / "resnet50.h5")
    yield path
    path.unlink()


def load(model, path, **options):
    give(model, read_file(path, "The file"), **options)


@pytest.mark.parametrize("size", [97, pytest.param(224, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "row",
    [row if row in ("resnet50", "resnet50v2_keras") else pytest.param(row, marks=pytest.mark.slow) for row in THEIRS],
)
def test_answers_are_those_of_keras_applications(row, size, folder, rng):
    net, model = theirs(row, size), ours(row, size)
    load(model, write_legacy(net, folder / "file.h5"))
    x = pictures(size, rng)
    assert_close(model(x), net(x))


@pytest.mark.parametrize("size", [97, pytest.param(224, marks=pytest.mark.slow)])
def test_maps_are_those_of_keras_applications(size, folder, rng):
    net, model = theirs(size=size, include_top=False), ours(size=size, include_top=False)
    load(model, write_legacy(net, folder / "notop.h5"))
    x = pictures(size, rng)
    assert_close(model(x), net(x))


def test_keras_reads_what_this_file_writes(net, file):
    copy = keras.applications.ResNet50(weights=None, input_shape=(97, 97, 3), classifier_activation=None)
    copy.load_weights(file)
    for read, written in zip(copy.get_weights(), net.get_weights(), strict=True):
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_of_keras_holds_the_same(writer, net, folder):
    tensors = read_keras(WRITERS[writer](net, folder / "file.h5")).tensors
    assert len(tensors) == len(net.weights)
    for layer in net.layers:
        for variable in layer.weights:
            np.testing.assert_array_equal(tensors[f"{layer.name}/{variable.name}"], variable)


def test_an_input_of_the_same_name(net, folder, rng):
    """Then the file contains all layer names of the model."""
    image = keras.Input((97, 97, 3), name=net.layers[0].name)
    model = ours(size=97, input_tensor=image, weights=write_weights(net, folder / "file"))
    x = pictures(97, rng)
    assert_close(model(x), net(x))


def test_the_first_name_of_the_classifier(net, folder):
    tensors = read_keras(write_legacy(net, folder / "file.h5", {"predictions": "probs"})).tensors
    assert {"predictions/kernel", "predictions/bias"} <= set(tensors)


@pytest.mark.parametrize("bn_epsilon", [pytest.param(1.001e-5, marks=pytest.mark.slow), 1e-6])
def test_epsilon_may_be_smaller(bn_epsilon, net, file, rng):
    model = ours(bn_epsilon=bn_epsilon)
    load(model, file)
    x = pictures(97, rng)
    assert_close(model(x), net(x))


def test_the_scale_that_the_epsilon_changes():
    """Checks the numbers in the docstring of with_epsilon."""
    for variance, percent in ((0, 0.05), (1e-3, 0.0005)):
        change = np.sqrt((variance + 1.001e-5) / (variance + 1e-5)) - 1
        assert 100 * change == pytest.approx(percent, rel=0.02)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(bottleneck_stride="3x3"), "bottleneck_stride must be '1x1'. Received: {'bottleneck_stride': '3x3'}"),
        (dict(bottleneck_stride="3x3", output_stride=4), "bottleneck_stride must be '1x1'"),
        (dict(bn_epsilon=1e-3), "bn_epsilon must be at most 1.001e-05. Received: 0.001 in 'conv1_bn'"),
        (dict(norm="gn"), r"  missing: conv1_gn/gamma \(nearest: conv1_bn/gamma\)"),
    ],
)
def test_another_net_is_refused_and_not_changed(fields, message, file):
    model = ours(**fields)
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"(?sm){message}"):
        load(model, file)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_file_without_the_classifier_is_refused(folder):
    path = write_legacy(theirs(include_top=False), folder / "notop.h5")
    with pytest.raises(ValueError) as caught:
        load(ours(), path)
    assert [line.split(" (nearest")[0] for line in str(caught.value).splitlines()] == [
        "The weights do not fit 'resnet50':",
        "  missing: predictions/kernel",
        "  missing: predictions/bias",
    ]


def test_a_net_without_a_top_or_with_other_classes_takes_the_rest(net, file, rng):
    x = pictures(97, rng)
    model = ours(include_top=False)
    load(model, file)
    maps = keras.Model(net.inputs, net.get_layer("conv5_block3_out").output)
    assert_close(model(x), maps(x))
    with pytest.warns(RandomClassifierWarning, match="'resnet50' has 10 classes but these weights have 1000"):
        model = ours(classes=10, weights=file)
    np.testing.assert_array_equal(model.get_layer("conv1_conv").kernel, net.get_layer("conv1_conv").kernel)
    with pytest.raises(ValueError, match="classes must be 1000"):
        load(ours(classes=10), file, new_head=False)


@pytest.mark.parametrize("writer", ["keras 2", *(pytest.param(name, marks=pytest.mark.slow) for name in WRITERS)])
@pytest.mark.parametrize("include_top", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_outputs_of_densenets_are_those_of_keras_applications(writer, include_top, folder, rng):
    net = theirs("densenet121", 64, include_top=include_top)
    old = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn"}  # as in the published files
    path = (
        write_legacy(net, folder / "file.h5", old) if writer == "keras 2" else WRITERS[writer](net, folder / "file.h5")
    )
    model = keras_resnet.DenseNet121(
        input_shape=(64, 64, 3), include_top=include_top, classifier_activation=None, weights=path
    )
    x = pictures(64, rng)
    assert_close(model(x), net(x))


@pytest.mark.slow
@pytest.mark.parametrize("row", ["densenet121", "densenet169", "densenet201"])
def test_layers_of_densenets_have_the_names_of_keras_applications(row):
    keras.backend.clear_session()  # resets the numbers in the names of padding layers
    build = getattr(keras.applications, row.replace("densenet", "DenseNet"))
    expected = [layer.name for layer in build(weights=None).layers]
    assert [layer.name for layer in keras_resnet.ResNet(row).layers][1:] == expected[1:]


@pytest.mark.parametrize(
    ("row", "fields", "says"),
    [
        ("resnet50", {}, "another network: bottleneck_stride is '1x1' in the file and '3x3' in the"),
        ("resnet18", {}, "weights='keras', must be one of .*Received: 'resnet18'"),
    ],
)
def test_another_net_is_refused_before_the_download(row, fields, says, monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda *args, **options: pytest.fail("it was downloaded"))
    with pytest.raises(ValueError, match=says):
        keras_resnet.ResNet(row, weights="keras", **fields)
    with pytest.raises(ValueError, match="bottleneck_stride is '1x1' in the file|must be one of"):
        keras_resnet.load_pretrained(keras_resnet.ResNet(row, **fields), "keras")


def test_v2_of_another_stride_is_refused(folder):
    """Our own V2 has no biases. Also with biases, it has the stride in the first block of a stage."""
    path = write_legacy(theirs(builder="ResNet50V2", include_top=False), folder / "v2.h5")
    with pytest.raises(ValueError, match="unexpected: conv1_conv/bias"):
        load(ours("resnet50v2", include_top=False), path)
    with pytest.raises(ValueError, match="stride_block must be 'last'"):
        load(ours("resnet50v2", include_top=False, conv_bias="without_bn"), path)


def test_files_that_hold_no_weights(folder):
    with pytest.raises(FileNotFoundError):
        read_keras(folder / "nowhere.h5")
    (folder / "junk.h5").write_bytes(b"junk")
    with h5py.File(folder / "empty.h5", "w"):
        pass
    with h5py.File(folder / "twice.h5", "w") as file:
        file["conv1_conv/a/kernel:0"] = file["conv1_conv/b/kernel:0"] = np.zeros(1)
    with h5py.File(folder / "words.h5", "w") as file:
        file["conv1_conv/kernel:0"] = "words"
    for name, reason in (
        ("junk", "signature"),
        ("empty", "it contains no weights"),
        ("twice", "it contains conv1_conv/kernel twice"),
        ("words", ""),
    ):
        with pytest.raises(ValueError, match=rf"whole file of Keras. Received: '.*{name}.h5': .*{reason}"):
            read_keras(folder / f"{name}.h5")


def test_published_files(monkeypatch):
    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda *place, **how: asked.append((*place, how)) or "there.h5")
    assert str(applications_file("resnet50")) == "there.h5"
    applications_file("resnet152v2_keras", include_top=False)
    folder = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
    assert asked == [
        (name, folder + name, dict(cache_subdir="models", file_hash=md5))
        for name, md5 in (
            ("resnet50_weights_tf_dim_ordering_tf_kernels.h5", "2cb95161c43110f7111970584f804107"),
            ("resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "ed17cf2e0169df9d443503ef94b23b33"),
        )
    ]
    with pytest.raises(ValueError, match="row must be one of .* Received: 'resnet18'"):
        applications_file("resnet18")


def test_every_published_file_has_a_row():
    assert set(KERAS_FILES) == set(THEIRS) <= set(VARIANTS)
    assert len({md5 for pair in KERAS_FILES.values() for md5 in pair[1:3]}) == 18


def test_the_published_files_by_the_argument_weights(net, file, monkeypatch):
    """`weights="keras"` uses the file with the classifier if the model has one, otherwise the file without it."""
    asked = []

    def get_file(name, url, **options):
        asked.append(name)
        return str(file)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    model = keras_resnet.ResNet50(input_shape=(97, 97, 3), bottleneck_stride="1x1", weights="keras")
    np.testing.assert_array_equal(model.get_layer("conv1_conv").kernel, net.get_layer("conv1_conv").kernel)
    keras_resnet.ResNet50(include_top=False, bottleneck_stride="1x1", weights="keras")
    assert asked == [f"resnet50_weights_tf_dim_ordering_tf_kernels{end}.h5" for end in ("", "_notop")]
    with pytest.raises(ValueError, match="must be one of.*Received: 'resnet18'"):
        keras_resnet.ResNet18(weights="keras")
