"""Folding and freezing do not change outputs. Tested with many networks and random BN statistics."""

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import BLOCKS, ORDERS, SHORTCUTS, fold_batch_norm
from keras_resnet.serving import freeze, freezing
from keras_resnet.serving.folding import all_layers, folding

NETS: dict[str, dict] = {
    **{
        f"{order}-{block}-{shortcut}": dict(order=order, block=block, shortcut=shortcut)
        for order in ORDERS
        for block in BLOCKS
        for shortcut in SHORTCUTS
    },
    "stage_wise": dict(order="stage_wise", shortcut="max_pooled_projection"),
    "grouped": dict(block="bottleneck", groups=4, base_width=64, filters=8),
    "v1": dict(block="bottleneck", bottleneck_stride="1x1"),
    "se": dict(gate="se", drop_path=0.2, dropout=0.2, block_dropout=0.1),
    "eca": dict(gate="eca"),
    "deep stem": dict(stem="deep", filters=8, image_size=32),
    "resnet-rs": dict(stem="deep_strided", filters=8, image_size=32),
    "7x7": dict(stem="7x7", image_size=32),
    "dilated": dict(output_stride=1),
    "gn": dict(norm="gn", filters=32),
    "bit": dict(norm="gn", weight_standardization=True, filters=32, order="preactivation"),
    "standardized": dict(weight_standardization=True),
    "keras v2": dict(stem="7x7_zeros", shortcut="channel_projection", stride_block="last", conv_bias="without_bn",
                     order="preactivation", block="bottleneck"),
    "keras cifar": dict(shortcut="linear_projection", conv_bias="all", conv_padding="same"),
    "densenet": dict(depths=(2, 2), growth_rate=4),
    "densenet-bc": dict(depths=(2, 2), growth_rate=4, bottleneck=4, compression=0.5, block_dropout=0.2),
}  # fmt: skip


def net(fields):
    """Returns a network that outputs the input of its classifier. Random probabilities would hide differences."""
    if "growth_rate" in fields:
        row = keras_resnet.DenseVariant(**{"filters": 8, "stem": "3x3", "image_size": 8, "bottleneck": 0, **fields})
        return randomize(keras_resnet.ResNet(row, include_top=False, pooling="avg", input_shape=(8, 8, 3)))
    model = tiny(**fields)
    return randomize(keras.Model(model.input, model.get_layer("predictions").input))


def images(model, count=2):
    return np.random.default_rng(0).normal(size=(count, *model.input_shape[1:])).astype("float32")


def difference(a, b):
    """Returns the maximum difference, relative to the largest value."""
    a, b = (keras.ops.convert_to_numpy(values).astype("float64") for values in (a, b))
    return np.abs(a - b).max() / np.abs(a).max()


def batch_norms(model):
    return [layer.name for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def some(nets):
    """Fast tests include each order, block and shortcut. All other combinations are marked slow."""
    for name, fields in nets.items():
        usual = fields.get("shortcut") in (None, "projection") or name.startswith("original-bottleneck")
        yield name if usual else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", list(some(NETS)))
def test_a_folded_network_is_equal(name):
    model = net(NETS[name])
    made = folding(model)
    assert sorted(made.folded + made.kept) == sorted(batch_norms(model))
    assert batch_norms(made.model) == list(made.kept)
    assert {layer.name for layer in made.model.layers} == {layer.name for layer in model.layers} - {*made.folded}
    x = images(model)
    assert difference(model(x), made.model(x)) < 1e-5


@pytest.mark.parametrize(
    ("order", "kept"),
    [
        ("original", []),
        ("relu_before_addition", []),
        ("relu_only_preactivation", []),
        ("bn_after_addition", ["conv2_block1_add_bn", "conv2_block2_add_bn"]),
        ("preactivation", ["conv2_block2_preact_bn", "post_bn"]),
        ("conv_relu_bn", ["conv1_bn", "conv2_block1_1_bn", "conv2_block2_1_bn"]),  # a 3x3 conv pads BN outputs
    ],
)
def test_bn_is_kept_if_no_convolution_is_beside_it(order, kept):
    assert list(folding(tiny(order=order, depths=(2,))).kept) == kept


def test_bn_is_folded_into_a_1x1_behind_it():
    made = folding(tiny(order="conv_relu_bn", block="bottleneck"))
    assert "conv2_block2_2_bn" in made.folded  # before the second 1x1
    assert "conv2_block2_1_bn" in made.kept  # before the 3x3


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_mixed_precision_is_folded_in_float32(policy):
    model = net({})
    folded = fold_batch_norm(model)
    assert folded.get_layer("conv1_conv").dtype_policy.name == policy
    assert {weight.dtype for weight in folded.weights} == {"float32"}
    keras.config.set_dtype_policy("float32")
    exact = net({})
    exact.set_weights(model.get_weights())
    scale, shift = (np.asarray(folded.get_layer("conv1_conv").weights[i]) for i in (0, 1))
    conv, bn = exact.get_layer("conv1_conv"), exact.get_layer("conv1_bn")
    s = np.asarray(bn.gamma) / np.sqrt(np.asarray(bn.moving_variance) + bn.epsilon)
    np.testing.assert_allclose(scale, np.asarray(conv.kernel) * s, rtol=1e-5)
    np.testing.assert_allclose(shift, np.asarray(bn.beta) - np.asarray(bn.moving_mean) * s, rtol=1e-5, atol=1e-6)


def stock():
    """A model of Keras' own layers with many BN layers: repeated, shared, at the output, on another axis."""
    layers = keras.layers
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="folds")(image)
    x = layers.BatchNormalization(scale=False, name="in_conv")(x)
    x = layers.BatchNormalization(center=False, name="twice")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.SpatialDropout2D(0.1)(x)
    x = layers.BatchNormalization(name="in_depthwise")(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(8, 3, groups=4, padding="same", name="grouped")(x)
    x = layers.BatchNormalization(name="in_grouped")(x)
    x = layers.BatchNormalization(axis=1, name="rows")(x)
    a = layers.Conv2D(8, 1, name="two_consumers")(x)
    x = layers.Add()([layers.BatchNormalization(name="beside")(a), a])
    x = layers.Conv2D(8, 1, activation="relu", name="activated")(x)
    x = layers.BatchNormalization(name="behind")(x)
    x = layers.Conv2D(5, 2, name="valid")(x)
    shared = layers.BatchNormalization(name="shared")
    x = layers.Concatenate()([shared(x), shared(layers.Conv2D(5, 1, name="other")(x))])
    x = layers.Flatten()(x * 2.0)
    x = layers.BatchNormalization(name="in_dense")(x)
    x = layers.Dense(7, name="dense")(x)
    x = layers.BatchNormalization(name="out")(x)
    return randomize(keras.Model(image, x))


def test_stock_layers():
    model = stock()
    made = folding(model)
    assert set(made.kept) == {"rows", "beside", "shared"}
    assert set(made.folded) == {"in_conv", "twice", "in_depthwise", "in_grouped", "behind", "in_dense", "out"}
    x = images(model)
    assert difference(model(x), made.model(x)) < 1e-5


def test_models_inside_models():
    inner = randomize(tiny())
    model = randomize(
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(2.0), inner, keras.layers.Dense(4)])
    )
    made = folding(model)
    assert "resnet/conv1_bn" in made.folded and not made.kept
    assert difference(model(images(model)), made.model(images(model))) < 1e-5


def test_subclasses_of_weight_layers_are_not_folded_into():
    @keras.saving.register_keras_serializable("tests")
    class Squared(keras.layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, kernel**2)

    image = keras.Input((8, 8, 3))
    model = randomize(keras.Model(image, keras.layers.BatchNormalization(name="bn")(Squared(4, 3)(image))))
    made = folding(model)
    assert made.kept == ("bn",)
    assert difference(model(images(model)), made.model(images(model))) < 1e-5


def test_the_model_is_not_changed():
    model = net({})
    before = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    fold_batch_norm(model)
    for a, b in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("model", [keras.layers.Dense(1), keras.Sequential([keras.layers.Dense(1)]), None])
def test_models_that_cannot_be_folded(model):
    with pytest.raises(ValueError, match="model must be a Functional or Sequential keras.Model. Received"):
        fold_batch_norm(model)


PUBLISHED = (
    *("resnet50", "resnext50_32x4d", "seresnet50", "ecaresnet50d", "resnetrs50", "iresnet50", "resnet50v2_keras"),
    *("resnetv2_50x1_bit", "densenet121", "wide_resnet16_4", "resnet110"),
)


@pytest.mark.slow
@pytest.mark.parametrize("row", PUBLISHED)
def test_published_networks_are_equal(row):
    model = randomize(keras_resnet.ResNet(row, include_top=False, pooling="avg", input_shape=(64, 64, 3)))
    for weight in model.weights:  # large weights would make gates depend on rounding errors
        factor = {"_se_": 0.01, "_eca": 0.01, "_3_bn/gamma": 0.2}
        for place in (place for place in factor if place in weight.path):
            weight.assign(weight * factor[place])
    assert difference(model(images(model)), fold_batch_norm(model)(images(model))) < 1e-5


FROZEN = [
    "original-bottleneck-projection",
    "preactivation-building_block-zero_pad",
    "se",
    "eca",
    "bit",
    "grouped",
    "densenet",
]


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_networks_are_equal(name):
    model = net(NETS[name])
    x = images(model)
    frozen = freeze(model)
    assert frozen.optimize == "freeze"
    assert frozen(x).dtype == "float32"
    assert difference(model(x), frozen(x)) < 1e-5
    assert not any(node.type in ("VarHandleOp", "ReadVariableOp") for node in frozen.function.graph.get_operations())


@pytest.fixture
def gains(monkeypatch):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)


@pytest.mark.parametrize("name", FROZEN)
def test_bfloat16_computes_and_stores_kernels_in_16_bits(name, gains):
    model = net(NETS[name])
    x = images(model)
    frozen = freeze(model, "bfloat16")
    assert frozen.optimize == "bfloat16"
    assert 1e-6 < difference(model(x), frozen(x)) < 0.1
    operations = frozen.function.graph.get_operations()
    kernels = [op for op in operations if op.type == "Const" and op.outputs[0].shape.rank == 4]
    assert kernels and {op.outputs[0].dtype.name for op in kernels} == {"bfloat16"}
    assert {op.inputs[0].dtype.name for op in operations if op.type == "Conv2D"} == {"bfloat16"}


def test_bfloat16_leaves_preprocessing_and_head_in_float32(gains):
    row = keras_resnet.Variant("building_block", (1,), filters=4, stem="3x3", image_size=8, classes=3)
    model = keras_resnet.ResNet(row, include_preprocessing="torch")
    made = freezing.storage(model, "bfloat16")
    exact = {name for name, policy in made.items() if policy == "float32"}
    assert exact == {"preprocessing_normalization", "avg_pool", "predictions"}


def test_bfloat16_on_a_machine_that_does_not_gain_warns(monkeypatch, tmp_path):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: False)
    model = net({})
    with pytest.warns(UserWarning, match="this machine does not compute faster in bfloat16"):
        assert freeze(model, "bfloat16").optimize == "bfloat16"
    with pytest.warns(UserWarning, match="this machine does not compute faster in bfloat16"):
        report = keras_resnet.export_saved_model(
            model, tmp_path, optimize="bfloat16", signatures=("images",), warmup=False
        )
    assert report["optimize"] == "bfloat16"


@pytest.mark.parametrize("policy", ["mixed_bfloat16"], indirect=True)
def test_a_mixed_bfloat16_network_is_stored_in_16_bits(policy):
    model = net({})
    frozen = freeze(model)
    kernels = [
        op for op in frozen.function.graph.get_operations() if op.type == "Const" and op.outputs[0].shape.rank == 4
    ]
    assert {op.outputs[0].dtype.name for op in kernels} == {"bfloat16"}
    assert difference(model(images(model)), frozen(images(model))) < 0.05


def test_models_that_cannot_be_frozen(monkeypatch):
    with pytest.raises(ValueError, match="optimize must be one of .*Did you mean 'freeze'"):
        freeze(net({}), "freez")
    monkeypatch.setattr(freezing, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"optimize must be None for a model of this size.*Received: 'freeze', with"):
        freeze(net({}))


def test_processors_that_gain_from_bfloat16(tmp_path):
    from keras_resnet.machine import bfloat16_pays

    for flags, pays in {"sse avx512f": False, "sse avx512_bf16": True, "amx_bf16": True}.items():
        (tmp_path / "cpuinfo").write_text(f"flags\t: {flags}\n")
        assert bfloat16_pays(tmp_path / "cpuinfo") == pays
    assert not bfloat16_pays(tmp_path / "none")
