"""Compares each block, H(x) = F(x) + shortcut(x), with a NumPy implementation, with random BN statistics."""

import itertools

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from numpy.lib.stride_tricks import sliding_window_view

import keras_resnet
from keras_resnet import Layers, bottleneck, building_block, residual_block
from keras_resnet.blocks import BLOCKS, ORDERS, Order
from keras_resnet.layers import LowestPadding2D, ZeroPadChannels
from keras_resnet.shortcuts import OPTIONS, SHORTCUTS


class Numpy:
    """Computes the layers of a model in float64 with NumPy. Layers are found by name."""

    def __init__(self, model):
        self.model = model

    def weights(self, name):
        return [np.asarray(w, "float64") for w in self.model.get_layer(name).get_weights()]

    def conv(self, x, name, stride=1):
        (kernel,) = self.weights(f"{name}_conv")
        k = kernel.shape[0]
        x = np.pad(x, [(0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)])
        windows = sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]
        return np.einsum("bhwcij,ijcf->bhwf", windows, kernel)

    def bn(self, x, name):
        gamma, beta, mean, variance = self.weights(f"{name}_bn")
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta


def relu(x):
    return np.maximum(x, 0)


# He 2016, Fig. 4, for two weight layers. c and b are the convolutions and the BN layers, by number.
FIGURE_4 = {
    "original": lambda x, s, c, b: relu(s + b[2](c[2](relu(b[1](c[1](x)))))),
    "bn_after_addition": lambda x, s, c, b: relu(b["add"](s + c[2](relu(b[1](c[1](x)))))),
    "relu_before_addition": lambda x, s, c, b: s + relu(b[2](c[2](relu(b[1](c[1](x)))))),
    "relu_only_preactivation": lambda x, s, c, b: s + b[2](c[2](relu(b[1](c[1](relu(x)))))),
    "preactivation": lambda x, s, c, b: s + c[2](relu(b[1](c[1](relu(b["preact"](x)))))),
    "conv_relu_bn": lambda x, s, c, b: relu(s + b[2](c[2](b[1](relu(c[1](x)))))),
}
# order -> (the input of a projection, whether a BN follows the projection)
SPLITS = {
    "original": (lambda x, b: x, True),
    "bn_after_addition": (lambda x, b: x, False),
    "relu_before_addition": (lambda x, b: x, True),
    "relu_only_preactivation": (lambda x, b: relu(x), True),
    "preactivation": (lambda x, b: relu(b["preact"](x)), False),
    "conv_relu_bn": (lambda x, b: x, True),
}


def block_model(shape, *args, **kwargs):
    image = keras.Input(shape)
    return randomize(keras.Model(image, residual_block(image, *args, name="block", **kwargs)))


class Named(dict):
    """A mapping from a part of a layer's name to a function that applies the layer."""

    def __init__(self, apply):
        super().__init__()
        self.apply = apply

    def __missing__(self, key):
        return lambda x: self.apply(x, key)


def shortcut_in_numpy(net, name, order, x, b, stride, filters):
    """Computes the shortcut: the options of He 2015, section 3.3, and others, with or without a change of the shape."""
    changed = stride > 1 or x.shape[-1] != filters
    start, has_bn = SPLITS[order]

    def project(y, stride):
        y = net.conv(y, "block_0", stride)
        return net.bn(y, "block_0") if has_bn and name != "linear_projection" else y

    if name == "none" or (name == "identity" and changed):
        return 0
    projects = {"projection": changed, "linear_projection": changed, "projection_all": True}
    projects["channel_projection"] = x.shape[-1] != filters
    if projects.get(name):
        return project(start(x, b), stride)
    if not changed:
        return x
    if name == "pooled_projection":
        y = start(x, b)
        if stride == 2:  # the mean excludes padding
            rows, columns = (np.arange(0, size, 2) for size in y.shape[1:3])
            y = np.stack([[y[:, r : r + 2, c : c + 2].mean((1, 2)) for c in columns] for r in rows])
            y = y.transpose(2, 0, 1, 3)
        return project(y, 1)
    if name == "max_pooled_projection":
        y = start(x, b)
        if stride == 2:  # the maximum of 3 x 3 pixels around every second pixel
            y = np.pad(y, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
            y = np.lib.stride_tricks.sliding_window_view(y, (3, 3), axis=(1, 2))[:, ::2, ::2].max((4, 5))
        return project(y, 1)
    new = filters - x.shape[-1]
    return np.pad(x[:, ::stride, ::stride], [(0, 0)] * 3 + [(new // 2, new - new // 2)])


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("stride", "filters", "size"), [(1, 4, 6), (2, 10, 6), (2, 10, 7), (1, 6, 5)])
def test_law_of_the_building_block(shortcut, order, stride, filters, size, rng):
    model = block_model((size, size, 4), filters, stride=stride, shortcut=shortcut, order=order)
    net, x = Numpy(model), rng.normal(size=(2, size, size, 4)).astype("float32")
    c = Named(lambda y, i: net.conv(y, f"block_{i}", stride if i == 1 else 1))
    b = Named(lambda y, key: net.bn(y, f"block_{key}"))
    s = shortcut_in_numpy(net, shortcut, order, x, b, stride, filters)
    np.testing.assert_allclose(model(x), FIGURE_4[order](x, s, c, b), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bottleneck_stride", ["1x1", "3x3"])
@pytest.mark.parametrize("order", ["original", "preactivation"])
def test_law_of_the_bottleneck(order, bottleneck_stride, rng):
    model = block_model((7, 7, 6), 3, block="bottleneck", stride=2, order=order, bottleneck_stride=bottleneck_stride)
    net, x = Numpy(model), rng.normal(size=(2, 7, 7, 6)).astype("float32")
    first, second = (2, 1) if bottleneck_stride == "1x1" else (1, 2)
    if order == "original":
        f = relu(net.bn(net.conv(x, "block_1", first), "block_1"))
        f = relu(net.bn(net.conv(f, "block_2", second), "block_2"))
        f = net.bn(net.conv(f, "block_3"), "block_3")
        expected = relu(net.bn(net.conv(x, "block_0", 2), "block_0") + f)
    else:
        a = relu(net.bn(x, "block_preact"))
        f = relu(net.bn(net.conv(a, "block_1", first), "block_1"))
        f = relu(net.bn(net.conv(f, "block_2", second), "block_2"))
        expected = net.conv(a, "block_0", 2) + net.conv(f, "block_3")
    assert expected.shape == (2, 4, 4, 12)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


def test_a_grouped_bottleneck_is_groups_of_convolutions(rng):
    """ResNeXt, arXiv:1611.05431, Fig. 3: the input of each group is its own channels only."""
    model = block_model((5, 5, 4), 16, block="bottleneck", groups=4, base_width=8)
    (kernel,) = model.get_layer("block_2_conv").get_weights()
    assert kernel.shape == (3, 3, 2, 8)
    part = keras.Model(model.get_layer("block_2_conv").input, model.get_layer("block_2_conv").output)
    x = rng.normal(size=(2, 5, 5, 8)).astype("float32")
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
    groups = [
        np.einsum("bhwcij,ijcf->bhwf", windows[:, :, :, 2 * g : 2 * g + 2], kernel[..., 2 * g : 2 * g + 2])
        for g in range(4)
    ]
    np.testing.assert_allclose(part(x), np.concatenate(groups, -1), rtol=1e-4, atol=1e-5)


def test_every_order_and_shortcut_has_its_law():
    assert set(FIGURE_4) == set(SPLITS) == set(ORDERS)
    assert set(OPTIONS.values()) < set(SHORTCUTS)


# ---- all choices together


def combinations():
    for block in BLOCKS:
        for shortcut in SHORTCUTS:
            for order in ORDERS:
                sides = ("both", "end") if shortcut == "zero_pad" else ("both",)
                strides = ("3x3", "1x1") if block == "bottleneck" else ("3x3",)
                for stride, side in itertools.product(strides, sides):
                    fast = stride == "3x3" or order == "original"
                    marks = () if fast else pytest.mark.slow
                    yield pytest.param(block, shortcut, order, stride, side, marks=marks)


@pytest.mark.parametrize(("block", "shortcut", "order", "bottleneck_stride", "zero_channels"), combinations())
def test_every_combination_builds_and_answers(block, shortcut, order, bottleneck_stride, zero_channels, rng):
    model = tiny(
        block=block,
        shortcut=shortcut,
        order=order,
        bottleneck_stride=bottleneck_stride,
        zero_channels=zero_channels,
    )
    answer = np.asarray(randomize(model)(rng.normal(size=(2, 8, 8, 3)).astype("float32")))
    assert answer.shape == (2, 3)
    np.testing.assert_allclose(answer.sum(1), 1, rtol=1e-5)
    assert len({layer.name for layer in model.layers}) == len(model.layers)
    for stage in (2, 3):
        assert model.get_layer(f"conv{stage}_block2_out")


@pytest.mark.parametrize("order", ORDERS)
def test_preactivated_nets_begin_and_end_activated(order):
    """He 2016, appendix: an activation precedes the split of the first unit and follows the last addition."""
    names = [layer.name for layer in tiny(order=order, shortcut="zero_pad").layers]
    steps = ORDERS[order].start.split()
    assert [name for name in names if name.startswith("post_")] == [f"post_{step}" for step in steps]
    model = tiny(order=order, shortcut="zero_pad")
    add = next(layer for layer in model.layers if isinstance(layer, keras.layers.Add))
    shortcut_starts_from = add.input[0]._keras_history.operation.name
    last_of_the_stem = {"bn relu": "conv2_block1_preact_relu", "relu": "conv2_block1_preact_relu"}
    default = {"conv_relu_bn": "conv1_bn"}.get(order, "conv1_relu")
    assert shortcut_starts_from == last_of_the_stem.get(ORDERS[order].start, default)


# ---- zero_init_residual


@pytest.mark.parametrize("shortcut", ["zero_pad", "projection", "projection_all", "pooled_projection", "identity"])
@pytest.mark.parametrize("order", [order for order in ORDERS if order != "relu_before_addition"])
@pytest.mark.parametrize("block", BLOCKS)
def test_zero_init_residual_begins_as_the_shortcut_and_learns(block, shortcut, order, rng):
    image = keras.Input((6, 6, 8))
    filters = 2 if block == "bottleneck" else 8
    out = residual_block(
        image, filters, block=block, shortcut=shortcut, order=order, zero_init_residual=True, name="block"
    )
    model = keras.Model(image, out)
    x = rng.uniform(0.5, 1, size=(4, 6, 6, 8)).astype("float32")
    if shortcut != "projection_all":  # then the shortcut is the identity, and the initial BN nearly so
        np.testing.assert_allclose(model(x), x, rtol=1e-3)
    last = len(BLOCKS[block](1, 1))
    at_zero = model.get_layer(f"block_{last}_bn" if "bn" in ORDERS[order].end else f"block_{last}_conv")
    start = np.array(at_zero.get_weights()[0])
    assert not start.any()
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(x, rng.normal(size=x.shape), verbose=0)
    assert np.array(at_zero.get_weights()[0]).any()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"order": "relu_before_addition"}, "could not be trained"),
        ({"shortcut": "none"}, "needs a shortcut.*shortcut='none'"),
    ],
)
def test_zero_init_residual_where_it_would_kill_the_net(fields, says):
    with pytest.raises(ValueError, match=says):
        tiny(zero_init_residual=True, **fields)


def test_zero_init_residual_leaves_plain_blocks_alone():
    """`identity` has no shortcut where the shape changes. There, F = 0 would give an output of zero."""
    model = tiny(shortcut="identity", zero_init_residual=True)
    assert np.array(model.get_layer("conv3_block1_2_bn").gamma).all()
    assert not np.array(model.get_layer("conv3_block2_2_bn").gamma).any()


# ---- in a user's Functional model


def test_blocks_in_functional_code():
    image = keras.Input((32, 32, 3))
    x = building_block(image, 16)
    x = building_block(x, 32, stride=2, shortcut="A", order="preactivation", name="second")
    x = bottleneck(x, 16, layers=Layers(weight_decay=1e-4, bn_momentum=0.8))
    assert x.shape == (None, 16, 16, 64)
    model = keras.Model(image, x)
    assert model.get_layer("second_out").output.shape == (None, 16, 16, 32)
    names = [layer.name for layer in model.layers]
    assert len(set(names)) == len(names)


def test_an_order_of_ones_own():
    image = keras.Input((8, 8, 4))
    x = residual_block(image, 4, order=Order("", "relu", "", "bn"), name="mine")
    assert x._keras_history.operation.name == "mine_out"
    assert isinstance(x._keras_history.operation, keras.layers.BatchNormalization)


@pytest.mark.parametrize("block", [residual_block, building_block, bottleneck])
def test_a_block_is_channels_last(block):
    image = keras.Input((8, 6, 6))
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="must be 'channels_last'. Received: 'channels_first'"):
            block(image, 8)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_block_in_a_map_of_unknown_size():
    image = keras.Input((None, None, 4))
    assert residual_block(image, 8, stride=2, shortcut="zero_pad").shape == (None, None, None, 8)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"block": "wide"}, r"block must be one of \['building_block', 'bottleneck'\]. Received: 'wide'"),
        ({"shortcut": "E"}, "shortcut must be one of.*'zero_pad'.*'plain'.*Received: 'E'"),
        ({"shortcut": "projections"}, "Did you mean 'projection'"),
        ({"order": Order("", "gelu", "bn", "relu")}, r"step of an order must be one of \['bn', 'relu'\].*'gelu'"),
        ({"order": 3}, "order must be one of.*Received: 3"),
        ({"filters": 0}, "filters must be a positive integer. Received: 0"),
        ({"filters": 2.5}, "filters must be a positive integer. Received: 2.5"),
        ({"stride": -1}, "stride must be a positive integer. Received: -1"),
        ({"block": "bottleneck", "bottleneck_stride": "5x5"}, r"bottleneck_stride must be one of \['1x1', '3x3'\]"),
        ({"groups": 2}, "groups requires block='bottleneck'; otherwise it must be 1. Received: 2"),
        (
            {"block": "bottleneck", "base_width": 3},
            r"filters \* base_width / 64 must be a positive integer. Received: base_width=3, filters=4",
        ),
        ({"groups": 0}, "groups must be a positive integer. Received: 0"),
        ({"bottleneck_stride": "1x1"}, "bottleneck_stride requires block='bottleneck'"),
        ({"filters": 2, "shortcut": "zero_pad"}, "filters must be at least 4.*Received: 2"),
    ],
)
def test_bad_choices(fields, says):
    with pytest.raises(ValueError, match=says):
        residual_block(keras.Input((8, 8, 4)), **{"filters": 4, **fields})


# ---- layers


@pytest.mark.parametrize(("side", "before"), [("both", 1), ("end", 0)])
def test_zero_pad_channels(side, before):
    x = np.arange(1, 1 + 2 * 5 * 4 * 3, dtype="float32").reshape(2, 5, 4, 3)
    y = np.asarray(ZeroPadChannels(6, 2, side)(x))
    assert y.shape == (2, 3, 2, 6)
    np.testing.assert_array_equal(y[..., before : before + 3], x[:, ::2, ::2])
    assert y.sum() == x[:, ::2, ::2].sum()
    assert ZeroPadChannels(6, 2, side).compute_output_shape((None, 5, None, 3)) == (None, 3, None, 6)


def test_lowest_padding_never_is_a_maximum():
    x = -np.ones((1, 2, 2, 1), "float32")
    y = keras.layers.MaxPooling2D(3, 2)(LowestPadding2D(1)(x))
    np.testing.assert_array_equal(y, [[[[-1]]]])


@pytest.mark.parametrize("size", [7, 8])
def test_strided_convolutions_pad_both_sides(size, rng):
    """As in Caffe and PyTorch, the first position of the kernel is centered at pixel 0."""
    image = keras.Input((size, size, 1))
    model = keras.Model(image, Layers().conv(image, 1, 3, 2, name="c"))
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 1
    model.get_layer("c_conv").set_weights([kernel])
    x = rng.normal(size=(1, size, size, 1)).astype("float32")
    np.testing.assert_array_equal(model(x), x[:, ::2, ::2])


@pytest.mark.parametrize(("size", "first"), [(7, 0), (8, 1)])
def test_strided_convolutions_pad_as_tensorflow(size, first, rng):
    """Even sizes are padded only at the right and at the bottom: the kernel is centered at pixel 1."""
    image = keras.Input((size, size, 1))
    net = keras.Model(image, Layers(conv_padding="same").conv(image, 1, 3, 2, name="c"))
    stock = keras.Model(image, keras.layers.Conv2D(1, 3, 2, "same", use_bias=False)(image))
    kernel = np.zeros((3, 3, 1, 1), "float32")
    kernel[1, 1] = 1
    x = rng.normal(size=(1, size, size, 1)).astype("float32")
    for model in (net, stock):
        model.set_weights([kernel])
        np.testing.assert_array_equal(model(x), x[:, first::2, first::2])


@pytest.mark.parametrize(
    ("conv_bias", "biased"),
    [
        ("none", []),
        ("without_bn", ["conv3_block1_0_conv"]),
        ("all", ["conv1_conv", *(f"conv{i}_block1_{j}_conv" for i, j in ((2, 1), (2, 2), (3, 1), (3, 0), (3, 2)))]),
    ],
)
def test_which_convolutions_have_a_bias(conv_bias, biased):
    model = tiny(depths=(1, 1), shortcut="linear_projection", conv_bias=conv_bias)
    assert {layer.name for layer in model.layers if getattr(layer, "use_bias", False)} == {*biased, "predictions"}


def test_weight_decay_has_the_gradient_of_the_papers():
    """d/dw of the penalty is weight_decay * w, on every kernel and on nothing else."""
    model = tiny(weight_decay=1e-4)
    kernels = [w for w in model.trainable_weights if w.path.endswith("kernel")]
    penalty = sum(float(np.sum(np.square(np.array(w)))) for w in kernels) * 0.5e-4
    np.testing.assert_allclose(float(sum(model.losses)), penalty, rtol=1e-5)
    assert len(model.losses) == len(kernels)


def test_kernels_start_as_he_says():
    """arXiv:1502.01852, eq. (10): the variance is 2 / (k^2 c)."""
    model = keras_resnet.ResNet18(include_top=False)
    for name in ("conv3_block2_1_conv", "conv5_block2_2_conv"):
        kernel = np.array(model.get_layer(name).kernel)
        assert abs(kernel.std() / np.sqrt(2 / np.prod(kernel.shape[:3])) - 1) < 0.02


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"weight_decay": -1}, "weight_decay must be a number, 0 or more. Received: -1"),
        ({"weight_decay": float("nan")}, "weight_decay must be a number, 0 or more. Received: nan"),
        ({"bn_momentum": 1.0}, r"bn_momentum must be a number, in \[0, 1\). Received: 1.0"),
        ({"bn_epsilon": 0}, "bn_epsilon must be a number, more than 0. Received: 0"),
        ({"weight_decay": "1e-4"}, "weight_decay must be a number, 0 or more. Received: '1e-4'"),
        ({"conv_bias": True}, r"conv_bias must be one of \['none', 'without_bn', 'all'\]. Received: True"),
        ({"conv_padding": "valid"}, r"conv_padding must be one of \['symmetric', 'same'\]. Received: 'valid'"),
        ({"zero_channels": "left"}, r"zero_channels must be one of \['both', 'end'\]. Received: 'left'"),
    ],
)
def test_bad_layers(fields, says):
    with pytest.raises(ValueError, match=says):
        Layers(**fields)
