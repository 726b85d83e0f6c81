"""Tests of later extensions: gates, stems, dilation, stochastic depth, GroupNorm, stage-wise order, and their lists."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from keras import ops

import keras_resnet
from keras_resnet import ResNet, feature_pyramid, list_variants, residual_block
from keras_resnet.__main__ import main
from keras_resnet.blocks import orders_of_stage
from keras_resnet.layers import Layers, StandardizedConv2D
from keras_resnet.resnet import stage_strides


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- gates


def gated(kind, channels, **fields):
    image = keras.Input((6, 6, channels))
    out = residual_block(image, channels, gate=kind, name="block", **fields)
    model = randomize(keras.Model(image, out))
    inner = keras.Model(image, [model.get_layer("block_2_bn").output, model.get_layer(f"block_{kind}_scale").output])
    return model, inner


def test_squeeze_and_excitation_is_its_formula(rng):
    """Hu et al. 2018, eq. (2) to (4)."""
    model, inner = gated("se", 32, gate_ratio=1 / 4)
    f, scaled = (np.array(map) for map in inner(rng.normal(size=(2, 6, 6, 32)).astype("float32")))
    (w1, b1), (w2, b2) = (model.get_layer(f"block_se_fc{i}").get_weights() for i in (1, 2))
    assert (w1.shape, w2.shape) == ((32, 8), (8, 32))
    s = sigmoid(np.maximum(f.mean(axis=(1, 2)) @ w1 + b1, 0) @ w2 + b2)
    np.testing.assert_allclose(scaled, f * s[:, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "ratio", "expected"), [(64, 1 / 16, 8), (256, 1 / 16, 16), (512, 1 / 16, 32), (256, 1 / 4, 64)]
)
def test_channels_inside_a_gate_are_those_of_timm(channels, ratio, expected):
    model, _ = gated("se", channels, gate_ratio=ratio)
    assert model.get_layer("block_se_fc1").units == expected


@pytest.mark.parametrize(("channels", "width"), [(16, 3), (64, 3), (128, 5), (1024, 5), (2048, 7)])
def test_eca_is_its_formula(channels, width, rng):
    """Wang et al. 2020, eq. (5): a convolution along the channels. Its width is given by eq. (12)."""
    image = keras.Input((2, 2, channels))
    x = keras_resnet.GATES["eca"](image, None, Layers(), name="block")
    model = keras.Model(image, x)
    (kernel,) = model.get_layer("block_eca_conv").get_weights()
    assert kernel.shape == (width, 1, 1)
    f = rng.normal(size=(2, 2, 2, channels)).astype("float32")
    means = np.pad(f.mean(axis=(1, 2)), ((0, 0), (width // 2, width // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(means, width, axis=1)
    np.testing.assert_allclose(np.array(model(f)), f * sigmoid(windows @ kernel[:, 0, 0])[:, None, None], rtol=1e-4)


# ---- stochastic depth and dropout


def test_stochastic_depth_drops_f_of_whole_pictures(rng):
    """Huang et al. 2016: H(x) = x + b F(x), where b is 0 or 1 / (1 - rate), so that the mean is unchanged."""
    image = keras.Input((4, 4, 8))
    out = residual_block(image, 8, order="preactivation", drop_path=0.5, name="block")
    model = randomize(keras.Model(image, out))
    x = rng.normal(size=(200, 4, 4, 8)).astype("float32")
    for layer in model.layers:  # makes F the same in training and inference
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    whole, trained = np.array(model(x, training=False)) - x, np.array(model(x, training=True)) - x
    kept = np.abs(trained).max(axis=(1, 2, 3)) > 1e-6
    assert 60 < kept.sum() < 140
    np.testing.assert_allclose(trained[kept], 2 * whole[kept], rtol=1e-3, atol=1e-4)


def test_stochastic_depth_grows_linearly():
    model = tiny(depths=(2, 3), drop_path=0.4)
    rates = [layer.rate for layer in model.layers if layer.name.endswith("_drop_path")]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])  # the first block has no stochastic depth


def test_dropout_stands_between_the_convolutions_of_a_wide_net_and_before_the_head():
    names = [layer.name for layer in tiny(order="preactivation", block_dropout=0.3, dropout=0.2).layers]
    at = names.index("conv2_block1_2_dropout")
    assert (names[at - 1], names[at + 1]) == ("conv2_block1_1_relu", "conv2_block1_2_conv")
    assert names[-3:] == ["avg_pool", "avg_pool_dropout", "predictions"]


# ---- norms


def test_standardized_weights(rng):
    kernel = rng.normal(3, 2, size=(3, 3, 4, 8)).astype("float32")
    x = rng.normal(size=(2, 8, 8, 4)).astype("float32")
    layer = StandardizedConv2D(8, 3, use_bias=False)
    layer.build(x.shape)
    layer.kernel.assign(kernel)
    standard = (kernel - kernel.mean(axis=(0, 1, 2))) / np.sqrt(kernel.var(axis=(0, 1, 2)) + 1e-8)
    np.testing.assert_allclose(np.array(layer(x)), np.array(ops.conv(x, standard)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)])
def test_weights_are_standardized_before_they_lose_bits(policy, tolerance, rng):
    """A kernel 1 + 0.001 n (n is noise) would be rounded to almost only ones in 16 bits."""
    kernel = rng.normal(1, 1e-3, size=(3, 3, 4, 8)).astype("float32")
    x = rng.normal(size=(2, 8, 8, 4)).astype("float32")
    exact, ours = (StandardizedConv2D(8, 3, dtype=keras.DTypePolicy(name)) for name in ("float32", policy))
    for layer in (exact, ours):
        layer.build(x.shape)
        layer.set_weights([kernel, np.arange(8)])
    expected, answer = np.array(exact(x)), ours(x)
    assert answer.dtype == ours.compute_dtype
    assert {weight.dtype for weight in ours.weights} == {"float32"}
    np.testing.assert_allclose(np.array(answer, "float32"), expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_group_normalization_stands_where_bn_does():
    bn, gn = (
        [layer.name for layer in tiny(filters=32, norm=norm, weight_standardization=norm == "gn").layers]
        for norm in ("bn", "gn")
    )
    assert [name.replace("_gn", "_bn") for name in gn] == bn
    assert any(name.endswith("_gn") for name in gn)
    with pytest.raises(
        ValueError, match="gn_groups must divide 4, the number of channels of 'conv1_gn'. Received: gn_groups=32"
    ):
        tiny(norm="gn")


# ---- stage-wise order


def test_stage_wise_order():
    """Duta et al. 2020, Fig. 1(c)."""
    first, second, third, last = orders_of_stage("stage_wise", 4)
    assert first == ("", "bn relu", "bn", "")
    assert second == ("relu", "bn relu", "", "")
    assert third == ("bn relu", "bn relu", "", "")
    assert last == ("bn relu", "bn relu", "", "bn relu")
    assert orders_of_stage("stage_wise", 2) == [first, second._replace(after="bn relu")]
    with pytest.raises(ValueError, match="depths must be at least 2 with the order 'stage_wise'. Received: 1"):
        tiny(order="stage_wise", depths=(2, 1))


# ---- dilation


@pytest.mark.parametrize(
    ("output_stride", "expected"),
    [
        (None, [(1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]),
        (32, [(1, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]),
        (16, [(1, 1, 1), (2, 1, 1), (2, 1, 1), (1, 1, 2)]),
        (8, [(1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)]),
    ],
)
def test_where_it_would_stride_too_far_a_stage_is_dilated(output_stride, expected):
    row = keras_resnet.Variant("bottleneck", (3, 4, 6, 3), output_stride=output_stride)
    assert stage_strides(row) == expected


@pytest.mark.parametrize(
    "fields",
    [{"block": "building_block"}, {"block": "bottleneck"}, {"block": "bottleneck", "bottleneck_stride": "1x1"}],
)
@pytest.mark.parametrize("shortcut", ["projection", "zero_pad", "pooled_projection", "max_pooled_projection"])
def test_a_dilated_net_sees_what_the_strided_one_sees(fields, shortcut, rng):
    """With the same weights, the pixels that both networks have are equal, except for pools, which then overlap."""
    row = keras_resnet.Variant(depths=(1, 2, 2), filters=4, shortcut=shortcut, stem="3x3", image_size=32, **fields)
    strided, dilated = (
        randomize(ResNet(row, include_top=False, input_shape=(32, 32, 3), output_stride=stride)) for stride in (None, 1)
    )
    x = rng.normal(size=(1, 32, 32, 3)).astype("float32")
    assert dilated.output.shape[1:3] == (32, 32)
    if "pooled" not in shortcut:
        coarse, fine = np.array(strided(x)), np.array(dilated(x))
        np.testing.assert_allclose(fine[:, ::4, ::4], coarse, rtol=1e-3, atol=1e-3)


def test_output_strides_that_do_not_exist():
    with pytest.raises(ValueError, match=r"output_stride must be one of \[4, 8, 16, 32\]. Received: 12"):
        keras_resnet.ResNet50(output_stride=12)
    with pytest.raises(ValueError, match=r"output_stride must be one of \[1, 2, 4\]. Received: 8"):
        keras_resnet.ResNet20(output_stride=8)


# ---- combinations


def test_what_nobody_else_has(rng):
    """Builds, trains and saves a dilated pre-activated SE-ResNeXt-D with option C and stochastic depth."""
    model = tiny(
        block="bottleneck", order="preactivation", shortcut="C", stem="deep", gate="se", groups=4, base_width=16,
        filters=16, output_stride=4, drop_path=0.1, image_size=32,
    )  # fmt: skip
    x, y = rng.normal(size=(8, 32, 32, 3)).astype("float32"), np.arange(8) % 3
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(np.array(copy(x)), np.array(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"gate": "cbam"}, r"gate must be one of \['none', 'se', 'eca'\]. Received: 'cbam'"),
        ({"gate_ratio": 0.5}, "gate_ratio requires gate='se'; otherwise it must be 0.0625. Received: 0.5"),
        ({"gate": "se", "gate_ratio": 0}, r"gate_ratio must be a number, in \(0, 1\]. Received: 0"),
        ({"drop_path": 1.0}, r"drop_path must be a number, in \[0, 1\). Received: 1.0"),
        ({"drop_path": 0.1, "shortcut": "none"}, "drop_path needs a shortcut connection. Received: .*shortcut='none'"),
        ({"dropout": -0.1}, r"dropout must be a number, in \[0, 1\). Received: -0.1"),
        ({"block": "bottleneck", "block_dropout": 0.3}, "block_dropout requires block='building_block'"),
        ({"stem": "5x5"}, "stem must be one of.*'deep'.*Received: '5x5'"),
        ({"norm": "ln"}, r"norm must be one of \['bn', 'sync_bn', 'gn'\]. Received: 'ln'"),
        ({"stem_filters": 0}, "stem_filters must be a positive integer. Received: 0"),
        ({"block": "bottleneck", "groups": 3, "filters": 64, "base_width": 1, "order": "x"}, "order must be one of"),
    ],
)
def test_what_cannot_be_built(fields, says):
    with pytest.raises(ValueError, match=says):
        tiny(**fields)


def test_a_layer_dilates_or_strides():
    with pytest.raises(ValueError, match="dilation must be 1 if stride is 2.*Received: 2"):
        residual_block(keras.Input((8, 8, 4)), 4, stride=2, dilations=(2, 2))
    with pytest.raises(ValueError, match="dilations must be two positive integers: .*Received: 2"):
        residual_block(keras.Input((8, 8, 4)), 4, dilations=2)


def test_a_wide_net_with_other_choices():
    assert keras_resnet.wide(28, 10, block_dropout=0.3) == replace(
        keras_resnet.VARIANTS["wide_resnet28_10"], block_dropout=0.3
    )


# ---- stems that do not suit the image


@pytest.mark.parametrize(
    ("row", "shape", "says"),
    [
        ("resnet20", (224, 224, 3), "the stem '3x3' does not reduce the resolution of 224x224"),
        ("resnet50", (32, 32, 3), "only 1x1 pixels"),
    ],
)
def test_a_stem_that_does_not_suit_the_picture_warns(row, shape, says):
    with pytest.warns(UserWarning, match=says):
        ResNet(row, input_shape=shape)


# ---- the pyramid


def test_the_pyramid_of_a_preactivated_net_ends_activated(rng):
    model = randomize(tiny(order="preactivation"))
    pyramid = feature_pyramid(model)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    maps = pyramid(x)
    assert {stage: map.shape[-1] for stage, map in maps.items()} == pyramid.channels == {"conv2": 4, "conv3": 8}
    assert pyramid.strides == {"conv2": 1, "conv3": 2}
    head = keras.Model(model.input, model.get_layer("avg_pool").output)
    np.testing.assert_allclose(np.array(maps["conv3"]).mean(axis=(1, 2)), np.array(head(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ["original", "preactivation"])
def test_a_pyramid_is_saved_alone_and_within_a_model(order, rng, tmp_path):
    image = keras.Input((8, 8, 3))
    pyramid = feature_pyramid(randomize(tiny(order=order), seed=1))
    detector = keras.Model(image, keras.layers.Conv2D(2, 1, name="head")(pyramid(image)["conv3"]))
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    for model in (pyramid, detector):
        model.save(tmp_path / "a.keras")
        loaded = keras.saving.load_model(tmp_path / "a.keras")
        copies = [loaded, model.from_config(model.get_config())]
        for copy in copies:
            inner = copy if model is pyramid else copy.get_layer(pyramid.name)
            assert (inner.strides, inner.channels) == ({"conv2": 1, "conv3": 2}, {"conv2": 4, "conv3": 8})
        keras.tree.map_structure(np.testing.assert_array_equal, loaded(x), model(x))


def test_the_pyramid_of_a_dilated_net_and_of_one_of_any_size():
    pyramid = feature_pyramid(keras_resnet.ResNet18(include_top=False, output_stride=8))
    assert pyramid.strides == {"conv2": 4, "conv3": 8, "conv4": 8, "conv5": 8}
    assert pyramid.output["conv5"].shape == (None, None, None, 512)


def test_the_pyramid_of_another_kind_of_model():
    image = keras.Input((4,))
    with pytest.raises(ValueError, match="model must be a network of keras_resnet.*Received: 'other'"):
        feature_pyramid(keras.Model(image, keras.layers.Dense(1)(image), name="other"))


# ---- lists


def test_list_variants():
    assert list_variants("seresne?t*") == ["seresnext50_32x4d", "seresnext101_32x4d", "seresnext26d_32x4d"]
    assert list_variants() == list(keras_resnet.VARIANTS)
    with pytest.raises(ValueError, match="pattern must be one of .*Did you mean 'resnet50'"):
        list_variants("resnet50q")


@pytest.mark.slow
def test_from_the_shell(capsys):
    for row in ("resnetrs50", "resnetv2_50x1_bit", "densenet121", "ecaresnet50d", "seresnext50_32x4d"):
        assert main(["list", row]) == 0
        assert f"{keras_resnet.count_macs(ResNet(row)):,}" in capsys.readouterr().out
    assert main(["list", "resnet[23]?"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "parameters", "multiply-adds", "input", "checkpoint"]
    assert lines[1].split() == ["resnet34", "21,797,672", "3,663,761,408", "224x224x3", "timm/resnet34.a1_in1k"]
    assert main(["summary", "resnet20"]) == 0
    assert "conv2_block1_1_conv" in capsys.readouterr().out
    assert (
        main(["summary", "resnet20", "--fields", "shortcut=projection_all", "depths=[1,1]", "zero_init_residual=true"])
        == 0
    )
    told = capsys.readouterr().out
    assert "conv2_block1_0_conv" in told and "conv3_block1_out" in told and "conv4" not in told
    for field in ("shortcuts=none", "classes=3", "weights=imagenet"):
        assert main(["summary", "resnet20", "--fields", field]) == 1
        assert "The name in --fields must be one of" in capsys.readouterr().err
    assert main(["summary", "resnet20", "--fields", "gate"]) == 1
    assert "Each value of --fields must be FIELD=VALUE. Received: 'gate'" in capsys.readouterr().err
    assert main(["summary", "resnet20", "--fields", "depths=3"]) == 1
    assert "depths must be a tuple" in capsys.readouterr().err
    assert main(["list", "vgg*"]) == 1
    assert "pattern must be one of" in capsys.readouterr().err


def test_group_normalization_with_16_filters(rng, tmp_path):
    model = ResNet("resnet20", norm="gn", gn_groups=8, input_shape=(8, 8, 3), depths=(1, 1, 1))
    groups = {layer.groups for layer in model.layers if isinstance(layer, keras.layers.GroupNormalization)}
    assert groups == {8}
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = rng.normal(size=(8, 8, 8, 3)).astype("float32")
    loss = model.fit(x, np.arange(8), epochs=5, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    model.save(tmp_path / "net.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(x), model(x))
    model.save_weights(tmp_path / "net.weights.h5")
    other = ResNet("resnet20", norm="gn", gn_groups=8, input_shape=(8, 8, 3), depths=(1, 1, 1))
    other.load_weights(tmp_path / "net.weights.h5")
    np.testing.assert_array_equal(other(x), model(x))
    dense = ResNet("densenet40_12", depths=(1, 1), norm="gn", gn_groups=4)
    assert {layer.groups for layer in dense.layers if isinstance(layer, keras.layers.GroupNormalization)} == {4}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"norm": "gn"}, "gn_groups must divide 16, the number of channels of 'conv1_gn'. Received: gn_groups=32"),
        ({"norm": "gn", "gn_groups": 0}, "gn_groups must be a positive integer. Received: 0"),
        ({"gn_groups": 8}, "gn_groups requires norm='gn'; otherwise it must be 32. Received: 8"),
    ],
)
def test_groups_that_do_not_fit_are_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        ResNet("resnet20", **fields)


# ---- DenseNets in the same API


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"classes": 0}, "classes must be a positive integer. Received: 0"),
        ({"dropout": 1}, r"dropout must be a number, in \[0, 1\). Received: 1"),
        ({"growth": 12}, "The name of a keyword argument must be one of.*'growth_rate'.*Received: 'growth'"),
        ({"shortcut": "A"}, "The name of a keyword argument must be one of.*Received: 'shortcut'"),
        ({"input_shape": (3, 3, 3)}, "Input size must be at least 4x4"),
    ],
)
def test_densenets_refuse_as_residual_nets_do(fields, says):
    with pytest.raises(ValueError, match=says):
        ResNet("densenet40_12", **fields)


def test_a_densenet_takes_the_arguments_of_the_builders():
    model = keras_resnet.DenseNet40_12(False, None, None, (32, 32, 3), "avg", growth_rate=2, dropout=0.2)
    assert model.output.shape == (None, 16 + 36 * 2)
    assert keras_resnet.DenseNet40_12(growth_rate=2, dropout=0.2).get_layer("avg_pool_dropout").rate == 0.2
