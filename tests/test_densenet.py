"""Compares DenseNet with the counts of its paper, its equation x_l = H_l([x_0, ..., x_{l-1}]), and torchvision."""

import math
import re
import sys
import types
from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import every_row, randomize

import keras_resnet
from keras_resnet.densenet import dense_features, dense_layer, transition, weight_layers
from keras_resnet.layers import Layers
from keras_resnet.variants import VARIANTS, DenseVariant, cifar_dense

DENSENETS = {name: row for name, row in VARIANTS.items() if isinstance(row, DenseVariant)}

TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"  # num_params of each model
HUANG_2017 = "https://arxiv.org/abs/1608.06993"  # Table 2: 1.0M, 7.0M, 27.2M; BC 0.8M, 15.3M, 25.6M; Fig. 3: 264

# row: (trainable parameters, channels and size of the last feature map, source)
ORACLES = {
    "densenet121": (7_978_856, 1024, 7, TORCHVISION),
    "densenet161": (28_681_000, 2208, 7, TORCHVISION),
    "densenet169": (14_149_480, 1664, 7, TORCHVISION),
    "densenet201": (20_013_928, 1920, 7, TORCHVISION),
    "densenet264": (33_337_704, 2688, 7, HUANG_2017),
    "densenet40_12": (1_019_722, 448, 8, HUANG_2017),
    "densenet100_12": (6_979_642, 1168, 8, HUANG_2017),
    "densenet100_24": (27_249_082, 2320, 8, HUANG_2017),
    "densenet_bc100_12": (769_162, 342, 8, HUANG_2017),
    "densenet_bc250_24": (15_324_406, 1734, 8, HUANG_2017),
    "densenet_bc190_40": (25_624_430, 2190, 8, HUANG_2017),
}


TINY = DenseVariant((2, 1), growth_rate=3, filters=5, bottleneck=2, stem="3x3", image_size=8, classes=3)
PLAIN = dict(bottleneck=0, compression=1.0)


def net(row, size=None):
    """Returns the network of a row with a classifier that outputs logits."""
    size = size or row.image_size
    image = keras.Input((size, size, 3), name="image")
    x = dense_features(row, image, Layers(row.weight_decay, row.bn_momentum, row.bn_epsilon))
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(image, keras.layers.Dense(row.classes, name="predictions")(x))


def tiny(size=None, **fields):
    return net(replace(TINY, **fields), size)


def names(model):
    return [layer.name for layer in model.layers]


def test_every_row_has_an_oracle():
    assert set(ORACLES) == set(DENSENETS)


@pytest.mark.parametrize("row", DENSENETS)
def test_parameters_by_formula(row):
    """Computes the same numbers with the formulas of Huang 2017, section 3, without a network."""
    v = DENSENETS[row]
    k, c = v.growth_rate, v.filters
    parameters = 7 * 7 * 3 * c + 2 * c if v.stem == "7x7" else 3 * 3 * 3 * c
    for block, depth in enumerate(v.depths, 1):
        for _ in range(depth):
            parameters += 2 * c + (4 * k * c + 2 * 4 * k + 9 * 4 * k * k if v.bottleneck else 9 * c * k)
            c += k
        if block < len(v.depths):
            theta = 2 if v.bottleneck else 1
            parameters += 2 * c + c * (c // theta)
            c //= theta
    assert parameters + 2 * c + c * v.classes + v.classes == ORACLES[row][0]
    assert c == ORACLES[row][1]


@pytest.mark.parametrize("row", every_row(DENSENETS))
def test_parameters_shapes_and_depth(row):
    parameters, channels, size, _ = ORACLES[row]
    model = net(DENSENETS[row])
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == parameters
    assert model.get_layer("relu").output.shape == (None, size, size, channels)
    assert sum(hasattr(layer, "kernel") for layer in model.layers) == weight_layers(DENSENETS[row])


@pytest.mark.parametrize("row", DENSENETS)
def test_depth_in_the_name_is_the_depth_of_the_net(row):
    depth = int(re.match(r"[a-z_]+(\d+)", row).group(1))
    if row == "densenet264":
        depth += 1  # Huang 2017, Table 1: the blocks (6, 12, 64, 48) have 260 layers, and there are 5 other layers
    assert weight_layers(DENSENETS[row]) == depth


BOTTLENECK = """
    image conv1_conv
    conv2_block1_0_bn conv2_block1_0_relu conv2_block1_1_conv
    conv2_block1_1_bn conv2_block1_1_relu conv2_block1_2_conv conv2_block1_concat
    conv2_block2_0_bn conv2_block2_0_relu conv2_block2_1_conv
    conv2_block2_1_bn conv2_block2_1_relu conv2_block2_2_conv conv2_block2_concat
    pool2_bn pool2_relu pool2_conv pool2_pool
    conv3_block1_0_bn conv3_block1_0_relu conv3_block1_1_conv
    conv3_block1_1_bn conv3_block1_1_relu conv3_block1_2_conv conv3_block1_concat
    bn relu avg_pool predictions
"""
WITHOUT = """
    image conv1_conv
    conv2_block1_0_bn conv2_block1_0_relu conv2_block1_1_conv conv2_block1_concat
    conv2_block2_0_bn conv2_block2_0_relu conv2_block2_1_conv conv2_block2_concat
    pool2_bn pool2_relu pool2_conv pool2_pool
    conv3_block1_0_bn conv3_block1_0_relu conv3_block1_1_conv conv3_block1_concat
    bn relu avg_pool predictions
"""


@pytest.mark.parametrize(("bottleneck", "expected"), [(2, BOTTLENECK), (0, WITHOUT)])
def test_layer_names(bottleneck, expected):
    assert names(tiny(bottleneck=bottleneck)) == expected.split()


def test_the_stem_is_normalized_where_it_pools():
    stem = "zero_padding2d conv1_conv conv1_bn conv1_relu zero_padding2d_1 pool1 conv2_block1_0_bn"
    assert names(tiny(size=32, stem="7x7"))[1:8] == stem.split()


@pytest.mark.parametrize("bottleneck", [0, 4])
def test_a_dense_layer_keeps_the_old_and_appends_the_new(bottleneck, rng):
    """The output is [x, H(x)], Huang 2017, eq. (2).

    H is BN-ReLU-conv. With a bottleneck, H is BN-ReLU-conv twice, and the first convolution has 4k filters.
    """
    x = keras.Input((5, 4, 7))
    model = keras.Model(x, dense_layer(replace(TINY, bottleneck=bottleneck), x, Layers(), name="h"))
    randomize(model)
    image = rng.normal(size=(2, 5, 4, 7)).astype("float32")
    expected = image
    for i, (filters, kernel_size) in enumerate([(12, 1), (3, 3)] if bottleneck else [(3, 3)]):
        gamma, beta, mean, variance = model.get_layer(f"h_{i}_bn").get_weights()
        (kernel,) = model.get_layer(f"h_{i + 1}_conv").get_weights()
        assert kernel.shape == (kernel_size, kernel_size, expected.shape[-1], filters)
        expected = np.maximum(gamma * (expected - mean) / np.sqrt(variance + 1e-5) + beta, 0)
        expected = keras.ops.convert_to_numpy(keras.ops.conv(expected, kernel, padding="same"))
    output = keras.ops.convert_to_numpy(model(image))
    assert output.shape == (2, 5, 4, 7 + 3)
    np.testing.assert_array_equal(output[..., :7], image)
    np.testing.assert_allclose(output[..., 7:], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("compression", "channels", "expected"), [(1, 7, 7), (0.5, 7, 3), (0.5, 8, 4), (0.34, 3, 1), (0.1, 20, 2)]
)
def test_a_transition_rounds_down(compression, channels, expected):
    y = transition(replace(TINY, compression=compression), keras.Input((9, 8, channels)), Layers(), name="pool")
    assert y.shape == (None, 4, 4, expected)


@pytest.mark.parametrize(("stem", "size", "last"), [("3x3", 4, 1), ("3x3", 33, 8), ("7x7", 29, 1), ("7x7", 97, 3)])
def test_odd_sizes(stem, size, last, rng):
    """The stem rounds sizes up, transitions round sizes down. 29 and 4 pixels are the smallest sizes."""
    row = replace(TINY, depths=(1, 1, 1, 1) if stem == "7x7" else (1, 1, 1), stem=stem)
    model = randomize(net(row, size))
    assert model.get_layer("relu").output.shape[1:3] == (last, last)
    assert np.isfinite(model(rng.normal(size=(2, size, size, 3)).astype("float32"))).all()


@pytest.mark.parametrize(("stem", "blocks", "size"), [("3x3", 3, 3), ("7x7", 4, 28)])
def test_images_that_are_too_small(stem, blocks, size):
    with pytest.raises(ValueError, match="output size would be zero"):
        net(replace(TINY, depths=(1,) * blocks, stem=stem), size)


def test_unknown_sizes(rng):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, dense_features(TINY, image, Layers()))
    assert model.output.shape == (None, None, None, 8)
    assert model(rng.normal(size=(1, 9, 6, 3)).astype("float32")).shape == (1, 4, 3, 8)


@pytest.mark.parametrize("fields", [{}, PLAIN])
def test_dropout_follows_every_convolution_but_the_first(fields, rng):
    model = tiny(block_dropout=0.2, **fields)
    order = names(model)
    expected = [name for name in order if name.endswith("_conv") and name != "conv1_conv"]
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.name for layer in dropouts] == [name.replace("_conv", "_dropout") for name in expected]
    assert [order[order.index(layer.name) - 1] for layer in dropouts] == expected
    assert {layer.rate for layer in dropouts} == {0.2}

    without = tiny(**fields)
    assert [name for name in order if "dropout" not in name] == names(without)
    randomize(model)
    for layer in without.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    image = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(model(image), without(image))
    assert not np.allclose(model(image, training=True), without(image, training=True))


def test_weight_decay_is_on_every_kernel_of_a_convolution():
    model = tiny(weight_decay=1e-4)
    decayed = [layer.kernel_regularizer for layer in model.layers if layer.name.endswith("_conv")]
    assert len(decayed) == 8
    np.testing.assert_allclose([regularizer.l2 for regularizer in decayed], 5e-5)


def test_a_net_is_saved_and_loaded(tmp_path, rng):
    model = randomize(tiny(block_dropout=0.2))
    model.save(tmp_path / "net.keras")
    image = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "net.keras")(image), model(image))


def test_a_row_of_numpy_integers():
    row = replace(TINY, depths=np.array([2, 1]), growth_rate=np.int64(3), bottleneck=np.int32(2))
    assert names(net(row)) == names(net(TINY))


@pytest.mark.parametrize(("bottleneck", "depths"), [(False, (7, 40, 100)), (True, (10, 100, 190, 250))])
def test_cifar_depths(bottleneck, depths):
    for depth in depths:
        assert weight_layers(cifar_dense(depth, 12, bottleneck)) == depth


def test_cifar_choices():
    row = cifar_dense(40, 12, block_dropout=0.2, classes=100)
    assert row == replace(DENSENETS["densenet40_12"], block_dropout=0.2, classes=100)
    assert (row.filters, row.bottleneck, row.compression) == (16, 0, 1)
    row = DENSENETS["densenet_bc190_40"]
    assert (row.filters, row.bottleneck, row.compression) == (80, 4, 0.5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((41, 12), r"depth must be 3n \+ 4 with bottleneck=False: 7, 10, 13.*Received: 41"),
        ((40.0, 12), "Received: 40.0"),
        ((4, 12), "Received: 4"),
        ((43, 12, True), r"depth must be 6n \+ 4 with bottleneck=True: 10, 16, 22.*Received: 43"),
        ((4, 12, True), "Received: 4"),
        ((40, 12, 4), "bottleneck must be True, for DenseNet-BC, or False. Received: 4"),
        ((40, 0), "growth_rate must be a positive integer. Received: 0"),
        ((40, 1.5), "growth_rate must be a positive integer. Received: 1.5"),
    ],
)
def test_cifar_nets_that_do_not_exist(arguments, says):
    with pytest.raises(ValueError, match=says):
        cifar_dense(*arguments)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (dict(depths=()), r"depths must be a tuple of positive integers, one for each dense block. Received: \(\)"),
        (dict(depths=3), "depths must be a tuple of positive integers, one for each dense block. Received: 3"),
        (dict(depths=(2, 0)), "depths must be a positive integer. Received: 0"),
        (dict(growth_rate=0), "growth_rate must be a positive integer. Received: 0"),
        (dict(filters=2.5), "filters must be a positive integer. Received: 2.5"),
        (dict(bottleneck=-1), "bottleneck, if not 0, must be a positive integer. Received: -1"),
        (dict(bottleneck=True), "bottleneck, if not 0, must be a positive integer. Received: True"),
        (dict(compression=0), r"compression must be a number, in \(0, 1\]. Received: 0"),
        (dict(compression=1.1), r"compression must be a number, in \(0, 1\]. Received: 1.1"),
        (dict(compression="half"), "Received: 'half'"),
        (dict(compression=0.05), r"compression \* 11 channels must be at least 1. Received: compression=0.05"),
        (dict(block_dropout=1), r"dropout must be a number, in \[0, 1\). Received: 1"),
        (dict(block_dropout=-0.1), "Received: -0.1"),
        (dict(block_dropout=math.nan), "Received: nan"),
        (dict(stem="5x5"), "stem must be one of .*'7x7'.*Received: '5x5'"),
    ],
)
def test_bad_input(fields, says):
    with pytest.raises(ValueError, match=says):
        dense_features(replace(TINY, **fields), keras.Input((8, 8, 3)), Layers())


# module of torchvision -> our layer. Its first number is the stage: the number of torchvision's block plus one.
MODULES = {
    r"features\.conv0": "conv1_conv",
    r"features\.norm0": "conv1_bn",
    r"features\.denseblock(\d+)\.denselayer(\d+)\.norm1": "conv{}_block{}_0_bn",
    r"features\.denseblock(\d+)\.denselayer(\d+)\.conv1": "conv{}_block{}_1_conv",
    r"features\.denseblock(\d+)\.denselayer(\d+)\.norm2": "conv{}_block{}_1_bn",
    r"features\.denseblock(\d+)\.denselayer(\d+)\.conv2": "conv{}_block{}_2_conv",
    r"features\.transition(\d+)\.norm": "pool{}_bn",
    r"features\.transition(\d+)\.conv": "pool{}_conv",
    r"features\.norm5": "bn",
    "classifier": "predictions",
}


def our_name(module):
    for theirs, ours in MODULES.items():
        if match := re.fullmatch(theirs, module):
            numbers = [int(number) for number in match.groups()]
            return ours.format(*(number + (i == 0) for i, number in enumerate(numbers)))
    raise AssertionError(module)


def copy_weights(model, peer):
    """Copies the weights of `model` into `peer`, a DenseNet of torchvision. Both must have the same weights."""
    import torch

    left = {weight.path for weight in model.weights}
    with torch.no_grad():
        for module, part in peer.named_modules():
            tensors = dict(part.named_parameters(recurse=False)) | dict(part.named_buffers(recurse=False))
            tensors.pop("num_batches_tracked", None)
            if not tensors:
                continue
            layer = model.get_layer(our_name(module))
            for tensor, weight in zip(tensors.values(), layer.weights, strict=True):  # the order is the same in both
                value = keras.ops.convert_to_numpy(weight)
                value = value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim])
                assert tensor.shape == value.shape
                tensor.copy_(torch.from_numpy(value.copy()))
                left.remove(weight.path)
    assert not left


@pytest.mark.peers
@pytest.mark.parametrize("sizes", [(64,), (65, 29), (97,)])
def test_answers_of_torchvision(sizes, rng):
    torch = pytest.importorskip("torch")
    # The operators of torchvision may need CUDA libraries. Its models do not use these operators.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    densenet = pytest.importorskip("torchvision.models.densenet")
    peer = densenet.DenseNet(4, (2, 3, 1, 2), num_init_features=6, num_classes=5).eval()
    row = DenseVariant((2, 3, 1, 2), growth_rate=4, filters=6, classes=5)
    for size in sizes:
        model = randomize(net(row, size))
        copy_weights(model, peer)
        image = rng.normal(size=(2, size, size, 3)).astype("float32")
        with torch.no_grad():
            expected = peer(torch.from_numpy(image.transpose(0, 3, 1, 2).copy())).numpy()
        np.testing.assert_allclose(model(image), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_bn_of_the_whole_batch():
    """`--devices` needs synchronized BN in every row."""
    model = keras_resnet.ResNet(replace(TINY, norm="sync_bn"))
    norms = [layer for layer in model.layers if layer.name.endswith("bn")]
    assert len(norms) == 8
    assert all(layer.synchronized for layer in norms)
