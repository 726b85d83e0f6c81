"""Tests of the builders: the arguments of keras.applications, serialization, dtype policies, image sizes."""

import inspect
from dataclasses import asdict

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import VARIANTS, ResNet, Variant, builders, resnet
from keras_resnet.variants import find_row

BUILDERS = {name: getattr(builders, name) for name in builders.__all__ if name != "ResNet"}


def row_of(builder_name):
    return inspect.signature(BUILDERS[builder_name]).parameters["name"].default


def test_every_row_has_a_builder():
    assert {row_of(name) for name in BUILDERS} == set(VARIANTS)
    for name, builder in BUILDERS.items():
        assert builder is getattr(keras_resnet, name)
        assert builder.__name__ == name
        assert name.lower() == row_of(name).replace("plain", "plainnet").replace("wide_", "wide").replace("_bc", "bc")


@pytest.mark.parametrize("builder", BUILDERS)
def test_arguments_are_those_of_keras_applications(builder):
    theirs = inspect.signature(keras.applications.ResNet50).parameters
    ours = inspect.signature(BUILDERS[builder]).parameters
    row = row_of(builder)
    expected = {name: p.default for name, p in theirs.items()}
    expected |= {"weights": None, "name": row, "include_preprocessing": False, **asdict(VARIANTS[row])}
    assert {name: p.default for name, p in ours.items()} == expected
    assert list(ours)[:8] == list(theirs)
    assert {p.kind for p in list(ours.values())[8:]} == {inspect.Parameter.KEYWORD_ONLY}
    assert f"`ResNet('{row}')`" in BUILDERS[builder].__doc__


def test_positional_arguments():
    model = keras_resnet.ResNet18(False, None, None, (64, 64, 3), "avg", 7, None, "mine")
    assert (model.name, model.output.shape) == ("mine", (None, 512))


def test_row_by_name_by_value_and_by_builder_are_one(rng):
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    models = [ResNet("resnet20"), ResNet(VARIANTS["resnet20"]), keras_resnet.ResNet20()]
    answers = [np.asarray(randomize(model)(x)) for model in models]
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    assert [model.name for model in models] == ["resnet20", "resnet", "resnet20"]


def test_fields_replace_those_of_the_row():
    model = ResNet("resnet56", shortcut="projection_all", order="preactivation", classes=100)
    assert model.get_layer("conv2_block9_0_conv")
    assert model.get_layer("post_relu")
    assert model.output.shape == (None, 100)
    small = ResNet("resnet50", depths=(1, 1), filters=8, image_size=64)
    assert small.input.shape == (None, 64, 64, 3)
    assert small.get_layer("conv3_block1_out").output.shape == (None, 8, 8, 64)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"variant": "resnet51"},
            r"variant must be one of \d+ names, such as \[.*Received: 'resnet51'. Did you mean 'resnet",
        ),
        ({"variant": None}, "variant must be one of.*Received: None"),
        (
            {"shortcuts": "A"},
            "keyword argument must be one of.*'shortcut'.*Received: 'shortcuts'. Did you mean 'shortcut'",
        ),
        ({"stem": "5x5"}, r"stem must be one of \['7x7', .*'3x3', .*'deep'"),
        ({"order": "preactivated"}, "order must be one of.*Did you mean 'preactivation'"),
        ({"classes": 0}, "classes must be a positive integer. Received: 0"),
        ({"input_shap": (32, 32, 3)}, "Did you mean 'input_shape'"),
        ({"stem": "5x5", "input_shape": (32, 32, 3)}, "stem must be one of"),
        ({"input_shape": 32}, "`input_shape` must be a tuple of three integers. Received: input_shape=32"),
        ({"input_shape": (32, 32, 0)}, "`input_shape` must be a positive integer. Received: 0"),
        ({"input_tensor": keras.Input((32, 32, 3)), "input_shape": (64, 64, 3)}, r"must be that of `input_tensor`"),
        ({"input_tensor": keras.Input((32, 32, 3), dtype="uint8")}, "`input_tensor` must be a Keras tensor of floats"),
        ({"weights": __file__}, r"suffix of path must be one of .*'.safetensors'.*Received: '.py'"),
        ({"classes": True}, "classes must be a positive integer. Received: True"),
        ({"classes": [1, 2]}, r"classes must be a positive integer. Received: \[1, 2\]"),
        ({"depths": 3}, "depths must be a tuple of positive integers, one for each stage. Received: 3"),
        ({"depths": (2, 0)}, "depths must be a positive integer. Received: 0"),
        ({"pooling": "mean", "include_top": False}, r"pooling must be one of \['avg', 'max'\]. Received: 'mean'"),
        ({"weights": "imagenet"}, "for rows with a published checkpoint: the row must be one of.*Received: "),
        ({"weights": "missing.weights.h5"}, "`weights` argument.*Received: weights=missing.weights.h5"),
        ({"input_shape": (32, 32)}, "`input_shape` must be a tuple of three integers"),
        ({"input_shape": (3, 32, 3)}, r"Input size must be at least 4x4; Received: input_shape=\(3, 32, 3\)"),
        ({"input_shape": (None, None, 3)}, "If `include_top` is True, you should specify a static `input_shape`"),
        ({"input_tensor": np.zeros((1, 32, 32, 3))}, "`input_tensor` must be a Keras tensor of floats"),
        ({"input_tensor": keras.Input((2, 2, 3))}, "Input size must be at least 4x4"),
        ({"zero_channels": "end", "shortcut": "B"}, "zero_channels requires shortcut='zero_pad'"),
        ({"weight_decay": -1e-4}, "weight_decay must be a number, 0 or more"),
    ],
)
def test_bad_arguments(arguments, says):
    with pytest.raises(ValueError, match=says):
        ResNet(**{"variant": "resnet20", **arguments})


@pytest.mark.parametrize("name", ["ResNet20", "RESNET20", "resnet20"])
def test_rows_by_any_spelling(name):
    assert ResNet(name, depths=(1, 1, 1)).name == "resnet20"
    assert VARIANTS[find_row("WideResNet50_2")].base_width == VARIANTS[find_row("PlainNet20")].base_width * 2


def test_errors_list_the_nearest_names():
    with pytest.raises(ValueError) as caught:
        ResNet("resnet51")
    assert str(caught.value).startswith(f"variant must be one of {len(VARIANTS)} names, such as ['resnet5")
    assert str(caught.value).count("'") <= 2 * (5 + 1 + 3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_the_top_is_float32(policy):
    """Pooling, dropout and the outputs of a network without a classifier are float32."""
    model = ResNet("resnet20", depths=(1, 1, 1), dropout=0.5)
    dtypes = {layer.name: layer.compute_dtype for layer in model.layers[-3:]}
    assert dtypes == dict.fromkeys(["avg_pool", "avg_pool_dropout", "predictions"], "float32")
    for pooling in ("avg", "max"):
        assert ResNet("resnet20", depths=(1, 1, 1), include_top=False, pooling=pooling).output.dtype == "float32"


def test_the_first_shortcut():
    """He 2016, appendix: the activation precedes the split of the first unit. In Wide ResNets it follows the split."""
    for row, source in (("resnet110v2", "conv2_block1_preact_relu"), ("wide_resnet40_1", "conv1_conv")):
        model = ResNet(row, depths=(1, 1, 1))
        addition = model.get_layer("conv2_block1_out")
        assert addition.input[0] is model.get_layer(source).output
    model = ResNet("resnet18_vd", input_shape=(64, 64, 3))
    assert model.get_layer("conv2_block1_0_conv").strides == (1, 1)
    assert "conv2_block1_0_pool" not in {layer.name for layer in model.layers}


def test_a_wide_net_is_that_of_its_authors(rng):
    """github.com/szagoruyko/wide-residual-networks, pytorch/resnet.py. A block without a projection adds x."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    model = randomize(ResNet(keras_resnet.wide(16, 1), classifier_activation=None))
    weights = {layer.name: [torch.tensor(weight) for weight in layer.get_weights()] for layer in model.layers}

    def conv(x, name, stride=1):
        (kernel,) = weights[name]
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), stride=stride, padding=kernel.shape[0] // 2)

    def bn_relu(x, name):
        gamma, beta, mean, variance = weights[name]
        return functional.relu(functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-5))

    def block(x, name, stride):
        o1 = bn_relu(x, f"{name}_preact_bn")
        o2 = bn_relu(conv(o1, f"{name}_1_conv", stride), f"{name}_1_bn")
        z = conv(o2, f"{name}_2_conv")
        return z + conv(o1, f"{name}_0_conv", stride) if f"{name}_0_conv" in weights else z + x

    images = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    x = conv(torch.tensor(images).permute(0, 3, 1, 2), "conv1_conv")
    for stage, stride in ((2, 1), (3, 2), (4, 2)):
        x = block(block(x, f"conv{stage}_block1", stride), f"conv{stage}_block2", 1)
    kernel, bias = weights["predictions"]
    expected = (bn_relu(x, "post_bn").mean((2, 3)) @ kernel + bias).numpy()
    assert np.abs(np.asarray(model(images)) - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ("resnet20", dict(first_shortcut="raw")),
        ("resnet20", dict(first_shortcut="projection")),
        ("resnet50", dict(first_shortcut="projection")),
        ("resnet18", dict(first_shortcut="projection", shortcut="projection_all")),
        ("resnet18", dict(first_shortcut="identity")),
    ],
)
def test_first_shortcuts_that_would_do_nothing(row, fields):
    with pytest.raises(ValueError, match="first_shortcut m"):
        ResNet(row, **fields)


def test_the_width_of_a_wide_net_is_a_number():
    with pytest.raises(ValueError, match="k must be a positive integer. Received: '10'"):
        keras_resnet.wide(28, "10")


def test_integers_of_numpy_are_integers(tmp_path):
    depths = np.array([1, 1, 1])
    model = ResNet("resnet20", classes=np.int64(7), depths=depths, input_shape=(np.int32(16), 16, 3))
    model.save(tmp_path / "net.keras")
    assert model.output.shape == (None, 7)
    assert keras_resnet.cifar(np.int64(20)) == VARIANTS["resnet20"]


def test_weights_from_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keras_resnet.ResNet20().save_weights(tmp_path / "net.weights.h5")
    keras_resnet.ResNet20(weights="~/net.weights.h5")


def test_builders_have_their_names():
    assert {name: builder.__name__ for name, builder in BUILDERS.items()} == {name: name for name in BUILDERS}


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="must be 'channels_last'. Received: 'channels_first'"):
            keras_resnet.ResNet20()
    finally:
        keras.config.set_image_data_format("channels_last")


# ---- shapes


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [33, 97])
def test_odd_sizes_and_other_channels(channels, size, rng):
    model = keras_resnet.ResNet18(input_shape=(size, size + 1, channels), classes=5)
    assert model(rng.normal(size=(2, size, size + 1, channels))).shape == (2, 5)
    assert model.get_layer("conv5_block2_out").output.shape[1:3] == (-(-size // 32), -(-(size + 1) // 32))


@pytest.mark.parametrize(
    ("pooling", "shape"), [(None, (None, None, None, 512)), ("avg", (None, 512)), ("max", (None, 512))]
)
def test_without_the_top(pooling, shape, rng):
    model = keras_resnet.ResNet18(include_top=False, pooling=pooling)
    assert model.input.shape == (None, None, None, 3)
    assert model.output.shape == shape
    features = np.asarray(model(rng.normal(size=(1, 65, 40, 3))))
    assert features.shape == ((1, 3, 2, 512) if pooling is None else (1, 512))
    if pooling:
        reduce = {"avg": np.mean, "max": np.max}[pooling]
        map_ = keras.Model(model.input, model.get_layer("conv5_block2_out").output)
        x = rng.normal(size=(1, 64, 64, 3))
        np.testing.assert_allclose(model(x), reduce(np.asarray(map_(x)), (1, 2)), rtol=1e-4, atol=1e-5)


def test_input_tensor():
    image = keras.Input((40, 40, 3), name="pixels")
    model = keras_resnet.ResNet20(input_tensor=keras.layers.Rescaling(1 / 255)(image))
    assert model.input is image
    assert isinstance(model.layers[1], keras.layers.Rescaling)
    assert model.get_layer("conv4_block3_out").output.shape == (None, 10, 10, 64)


def test_names_of_keras_applications():
    """`get_layer` in code written for keras.applications also works with our networks."""
    theirs = keras.applications.ResNet50(weights=None)
    ours = {layer.name: layer for layer in keras_resnet.ResNet50().layers}
    for layer in theirs.layers[1:]:
        assert ours[layer.name].output.shape[-1] == layer.output.shape[-1]
    # Our networks have additional padding layers where Keras has the stride in a 1x1 layer.
    extra = set(ours) - {layer.name for layer in theirs.layers}
    assert extra == {"image", "conv3_block1_2_pad", "conv4_block1_2_pad", "conv5_block1_2_pad"}


def test_answers_of_keras_applications(rng):
    """With the paper's stride and Keras' epsilon, our network equals Keras' network without convolution biases."""
    theirs = randomize(keras.applications.ResNet50(weights=None, input_shape=(65, 65, 3), classes=10))
    ours = keras_resnet.ResNet50(input_shape=(65, 65, 3), classes=10, bottleneck_stride="1x1", bn_epsilon=1.001e-5)
    for layer in ours.layers:
        if layer.weights:
            values = theirs.get_layer(layer.name).get_weights()
            if isinstance(layer, keras.layers.Conv2D):
                theirs.get_layer(layer.name).set_weights([values[0], np.zeros_like(values[1])])
                values = values[:1]
            layer.set_weights(values)
    x = rng.normal(size=(2, 65, 65, 3)).astype("float32")
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-6)


# ---- round trips


CHOICES = [
    {"shortcut": "zero_pad", "zero_channels": "end", "weight_decay": 1e-4},
    {"shortcut": "projection_all", "order": "preactivation", "stem": "7x7", "image_size": 32},
    {"shortcut": "pooled_projection", "block": "bottleneck", "bottleneck_stride": "1x1"},
    {"shortcut": "none", "order": "preactivation", "zero_init_residual": False},
]


@pytest.fixture(params=CHOICES, ids=lambda fields: fields["shortcut"])
def model(request):
    return randomize(tiny(**request.param))


def picture_for(model, rng):
    return rng.normal(size=(2, *model.input.shape[1:])).astype("float32")


def test_keras_file(model, rng, tmp_path):
    x = picture_for(model, rng)
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    assert len(loaded.losses) == len(model.losses)


def test_config_and_clone(model, rng):
    x = picture_for(model, rng)
    for copy in (keras.Model.from_config(model.get_config()), keras.models.clone_model(model)):
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy(x), model(x))


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_from_a_file(ending, rng, tmp_path):
    saved = randomize(keras_resnet.ResNet20())
    path = tmp_path / f"net{ending}"
    saved.save_weights(path) if ending == ".weights.h5" else saved.save(path)
    x = rng.normal(size=(1, 32, 32, 3)).astype("float32")
    for weights in (path, str(path)):
        np.testing.assert_array_equal(keras_resnet.ResNet20(weights=weights)(x), saved(x))


def test_nested_in_another_model(rng, tmp_path):
    body = randomize(keras_resnet.ResNet20(include_top=False, input_shape=(32, 32, 3), pooling="avg"))
    model = keras.Sequential([keras.Input((32, 32, 3)), body, keras.layers.Dense(3)])
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "nested.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "nested.keras")(x), model(x))
    assert keras_resnet.count_macs(model) == keras_resnet.count_macs(keras_resnet.ResNet20()) - 64 * 10 + 64 * 3


def test_two_in_one_model():
    image = keras.Input((32, 32, 3))
    a, b = keras_resnet.ResNet20(name="a"), keras_resnet.ResNet20(name="b")
    model = keras.Model(image, keras.layers.Average()([a(image), b(image)]))
    assert len(model.trainable_weights) == 2 * len(a.trainable_weights)


def test_count_macs_needs_sizes():
    with pytest.raises(ValueError, match="fully defined input_shape.*conv1_conv"):
        keras_resnet.count_macs(keras_resnet.ResNet18(include_top=False))


@pytest.mark.parametrize("layer", [keras.layers.Conv2DTranspose(2, 3), keras.layers.SeparableConv2D(2, 3)])
def test_count_macs_says_what_it_does_not_know(layer):
    with pytest.raises(ValueError, match=f"count_macs supports only .*a {type(layer).__name__}"):
        keras_resnet.count_macs(keras.Sequential([keras.Input((8, 8, 3)), layer]))


def test_count_macs_of_other_convolutions():
    """Separable, grouped and one-dimensional convolutions, computed by hand."""
    image = keras.Input((8, 8, 4))
    x = keras.layers.DepthwiseConv2D(3, padding="same")(image)  # 8 * 8 * 9 * 4
    x = keras.layers.Conv2D(6, 1, groups=2)(x)  # 8 * 8 * (4 / 2) * 6
    x = keras.layers.Reshape((64, 6))(x)
    x = keras.layers.Conv1D(2, 5, padding="same")(x)  # 64 * 5 * 6 * 2
    assert keras_resnet.count_macs(keras.Model(image, x)) == 2304 + 768 + 3840


def test_count_macs_counts_every_call():
    """By hand: a 1x1 convolution of 4 channels at 8x8 and at 4x4, and a nested model at both sizes."""
    image, small = keras.Input((8, 8, 4), name="image"), keras.Input((4, 4, 4), name="small")
    conv = keras.layers.Conv2D(4, 1)
    once = keras.Model([image, small], [conv(image), small])
    twice = keras.Model([image, small], [conv(image) + 1.0, conv(small)])
    assert keras_resnet.count_macs(once) == 64 * 16  # the call on `small` is not in this model
    assert keras_resnet.count_macs(twice) == (64 + 16) * 16
    assert keras_resnet.count_macs(keras.Model(image, conv(conv(image)))) == 2 * 64 * 16

    body = keras.Sequential([keras.Input((None, None, 4)), keras.layers.Conv2D(4, 1), keras.layers.ReLU()])
    assert keras_resnet.count_macs(keras.Model([image, small], [body(image), body(small)])) == (64 + 16) * 16
    sized = keras.Sequential([keras.Input((8, 8, 4)), body, keras.layers.ReLU()])
    assert keras_resnet.count_macs(keras.Sequential([image, sized, sized])) == 2 * 64 * 16


def test_count_macs_of_a_model_class():
    class Classifier(keras.Model):
        def __init__(self):
            image = keras.Input((8, 8, 4))
            super().__init__(image, keras.layers.Conv2D(4, 1)(image))

        def get_config(self):
            return {}

    assert keras_resnet.count_macs(Classifier()) == 64 * 16


def test_count_macs_of_maps_with_channels_first():
    layers = [keras.Input((3, 8, 6)), keras.layers.Conv2D(5, 3, data_format="channels_first")]
    assert keras_resnet.count_macs(keras.Sequential(layers)) == 6 * 4 * 9 * 3 * 5


# ---- training


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"], indirect=True)
def test_trains_under_every_policy_with_a_float32_head(policy, rng):
    model = tiny(weight_decay=1e-4)
    assert model.output.dtype == "float32"
    assert model.get_layer("avg_pool").compute_dtype == "float32"
    body = model.get_layer("conv3_block2_out").output
    assert body.dtype == {"float32": "float32"}.get(policy, policy.removeprefix("mixed_"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    y = np.arange(96) % 3
    x = rng.normal(size=(96, 8, 8, 3)).astype("float32") + y[:, None, None, None]
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


@pytest.mark.parametrize("policy", ["float64"], indirect=True)
def test_float64_stays_float64(policy):
    assert tiny().output.dtype == "float64"


def test_moving_statistics_move_with_the_momentum(rng):
    model = tiny(bn_momentum=0.8)
    x = rng.normal(size=(16, 8, 8, 3)).astype("float32")
    conv1 = keras.Model(model.input, model.get_layer("conv1_conv").output)(x)
    model(x, training=True)
    mean = np.asarray(conv1).mean((0, 1, 2))
    np.testing.assert_allclose(model.get_layer("conv1_bn").moving_mean, 0.2 * mean, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_deep_nets_do_not_change_the_recursion_limit():
    import sys

    before = sys.getrecursionlimit()
    ResNet(Variant("building_block", (260, 1), filters=2, stem="3x3", image_size=8, classes=2))
    assert sys.getrecursionlimit() == before


def test_public_names():
    """The public names must not change without notice."""
    expected = {
        "ResNet",
        "residual_block",
        "building_block",
        "bottleneck",
        "count_macs",
        "VARIANTS",
        "Variant",
        "cifar",
    }
    assert expected | set(BUILDERS) <= set(dir(keras_resnet))
    assert resnet.ResNet is keras_resnet.ResNet


def test_an_input_tensor_of_unknown_size_with_the_top(rng):
    """As in keras.applications. The outputs equal those of the network of a fixed size."""
    fixed = randomize(ResNet(tiny().variant, input_shape=(16, 16, 3)))
    free = ResNet(tiny().variant, input_tensor=keras.Input((None, None, 3)))
    assert free.input_shape == (None, None, None, 3)
    free.set_weights(fixed.get_weights())
    x = rng.normal(size=(2, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(free(x), fixed(x), rtol=1e-5, atol=1e-6)
    assert free(x[:, :9]).shape == (2, fixed.output_shape[-1])


def test_input_shape_beside_an_input_tensor_of_unknown_size():
    """As in keras.applications, `input_shape` must be static with the top, and the input is not changed."""
    anything, row = keras.Input((None, None, 3)), tiny().variant
    assert ResNet(row, input_tensor=anything, input_shape=(16, 16, 3)).input_shape == (None, None, None, 3)
    free = ResNet(row, include_top=False, input_tensor=anything, input_shape=(None, None, 3))
    assert free.input_shape == (None, None, None, 3)
    for options in ({}, {"input_tensor": anything}):
        with pytest.raises(ValueError, match="you should specify a static `input_shape`"):
            ResNet(row, input_shape=(None, None, 3), **options)
    with pytest.raises(ValueError, match="`input_shape` must be that of `input_tensor`"):
        ResNet(row, input_tensor=anything, input_shape=(16, 16, 1))
