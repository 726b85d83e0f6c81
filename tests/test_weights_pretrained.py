"""Tests of `weights=`, `load_pretrained` and `save_pretrained`: adapted weights, errors, the hub and PyTorch."""

import logging
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from test_weights_state_dict import answers, assert_close, at_random, peer, state_dict, timm

import keras_resnet
from keras_resnet import VARIANTS, ResNet, load_pretrained, save_pretrained, variants
from keras_resnet.errors import RandomClassifierWarning
from keras_resnet.weights import default_checkpoint, pretrained
from keras_resnet.weights.compatible import check_fields
from keras_resnet.weights.names import CLASSIFIERS, NAMINGS


def assert_same_weights(a, b):
    for ours, theirs in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---- adapted weights


def test_a_new_head_where_the_classes_differ():
    source, model = randomize(tiny(classes=3)), tiny(classes=5)
    head = [np.array(weight) for weight in model.get_layer("predictions").get_weights()]
    with pytest.warns(RandomClassifierWarning, match="'resnet' has 5 classes but these weights have 3: its classifier"):
        load_pretrained(model, state_dict(source))
    np.testing.assert_array_equal(model.get_layer("predictions").get_weights()[0], head[0])
    np.testing.assert_array_equal(model.get_layer("conv1_conv").kernel, source.get_layer("conv1_conv").kernel)


def test_a_row_of_other_classes_is_asked_about_them():
    state = state_dict(randomize(ResNet("resnet20", depths=(1, 1, 1), classes=3)), "akamaster")
    with pytest.raises(ValueError, match="classes must be 3, as in the classifier of these weights .*Received: 10"):
        ResNet("resnet20", depths=(1, 1, 1), weights=state)
    with pytest.raises(ValueError, match="classes must be 3"):
        keras_resnet.ResNet20(depths=(1, 1, 1), weights=state)
    with pytest.raises(ValueError, match="classes must be 3"):  # also for a user's own row
        ResNet(replace(VARIANTS["resnet20"], depths=(1, 1, 1)), weights=state)
    assert ResNet("resnet20", depths=(1, 1, 1), weights=state, classes=3).output_shape == (None, 3)
    with pytest.warns(RandomClassifierWarning, match="'resnet20' has 7 classes but these weights have 3"):
        model = keras_resnet.ResNet20(depths=(1, 1, 1), weights=state, classes=7)
    assert model.output_shape == (None, 7)


def test_a_warning_points_at_the_line_that_asked():
    state = state_dict(randomize(ResNet("resnet20", depths=(1, 1, 1), classes=3)), "akamaster")
    with pytest.warns(RandomClassifierWarning) as caught:
        keras_resnet.ResNet20(depths=(1, 1, 1), weights=state, classes=7)
    with pytest.warns(UserWarning, match="does not reduce the resolution of 224x224") as stem:
        keras_resnet.ResNet20(input_shape=(224, 224, 3))
    assert {caught[0].filename, stem[0].filename} == {__file__}


def test_a_net_without_top_leaves_the_classifier_out(caplog):
    source = randomize(tiny())
    model = ResNet(keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3"), include_top=False)
    with caplog.at_level(logging.INFO, "keras_resnet"):
        load_pretrained(model, state_dict(source))
    assert "resnet has no classifier: fc.weight is not loaded" in caplog.text
    np.testing.assert_array_equal(model.get_weights()[-1], source.get_weights()[-3])


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_other_input_channels(channels, rng):
    """Networks with one or many equal channels give the outputs for three equal channels."""
    source = randomize(tiny())
    row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
    model = ResNet(row, input_shape=(8, 8, channels), weights=state_dict(source))
    grey = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    expected = source(np.repeat(grey, 3, axis=-1))
    if channels == 4:  # channels 0 1 2 0: the first is used twice
        kernel, theirs = (np.array(m.get_layer("conv1_conv").kernel) for m in (model, source))
        np.testing.assert_allclose(kernel, theirs[:, :, [0, 1, 2, 0]] * 0.75, rtol=1e-6)
    else:
        np.testing.assert_allclose(np.array(model(np.repeat(grey, channels, axis=-1))), expected, rtol=1e-4, atol=1e-5)


def test_bits_names_and_layout():
    """BiT's classifier is a 1x1 convolution. Its kernels have the same axis order as ours."""
    fields = {**variants.BIT, "block": "bottleneck", "filters": 32, "image_size": 32}
    source, model = randomize(tiny(**fields)), tiny(**fields)
    state = state_dict(source, "BiT")
    assert state["resnet/block1/unit02/a/standardized_conv2d/kernel"].shape == (1, 1, 128, 32)
    assert "resnet/block2/unit01/a/proj/standardized_conv2d/kernel" in state
    state["resnet/head/conv2d/kernel"] = state["resnet/head/conv2d/kernel"][None, None]
    load_pretrained(model, state)
    assert_same_weights(model, source)


def test_densenets_as_torchvision_once_wrote_them():
    dense = keras_resnet.DenseVariant((2, 2), growth_rate=4, filters=8, classes=3, image_size=64)
    source, model = randomize(ResNet(dense)), ResNet(dense)
    state = state_dict(source, "DenseNet")
    old = {name.replace("norm1", "norm.1").replace("conv2", "conv.2"): array for name, array in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    load_pretrained(model, old)
    assert_same_weights(model, source)


def test_the_heads_of_bit_in21k():
    """A classifier of 21843 classes, saved as a 1x1 convolution."""
    fields = {**variants.BIT, "block": "bottleneck", "filters": 32, "image_size": 32}
    source, model = randomize(tiny(**fields, classes=21843)), tiny(**fields, classes=21843)
    state = state_dict(source, "BiT")
    state["resnet/head/conv2d/kernel"] = state["resnet/head/conv2d/kernel"][None, None]
    load_pretrained(model, state)
    assert_same_weights(model, source)
    with pytest.warns(RandomClassifierWarning, match="'resnet' has 5 classes but these weights have 21843"):
        load_pretrained(tiny(**fields, classes=5), state)


@pytest.mark.parametrize("depth", [20, 32, *(pytest.param(n, marks=pytest.mark.slow) for n in (44, 56, 110, 1202))])
def test_the_names_of_akamasters_files(depth, tmp_path):
    """The names have `module.` and `linear`. Without shortcuts and counters: 97, 157, 217, 277, ... tensors."""
    torch = pytest.importorskip("torch")
    source = randomize(ResNet(f"resnet{depth}"))
    state = {f"module.{name}": torch.tensor(array) for name, array in state_dict(source, "akamaster").items()}
    assert len(state) == 5 * (depth - 1) + 2
    torch.save({"state_dict": state, "best_prec1": 91.78}, tmp_path / "net.th", _use_new_zipfile_serialization=False)
    assert_same_weights(ResNet(f"resnet{depth}", weights=tmp_path / "net.th"), source)


WRAPPED = {
    "as it is": lambda state: state,
    "net": lambda state: {"net": state, "acc": 95.4, "epoch": 199},  # kuangliu
    "model": lambda state: {"model": state, "epoch": 3, "args": None},
    "state_dict, module": lambda state: {
        "epoch": 1,
        "arch": "x",
        "state_dict": {f"module.{k}": v for k, v in state.items()},
    },
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.1},
}


@pytest.mark.parametrize("counters", [True, False])
@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("naming", ["torchvision", "akamaster", "kuangliu", "Cadene"])
def test_cifar_files_as_others_write_them(naming, wrap, counters, tmp_path):
    """Names are fc, linear or last_linear, and downsample or shortcut, with and without num_batches_tracked."""
    torch = pytest.importorskip("torch")
    shortcut = "zero_pad" if naming == "akamaster" else "projection"
    source = randomize(tiny(shortcut=shortcut))
    state = {name: torch.tensor(array) for name, array in state_dict(source, naming).items()}
    assert len(state) == len(source.weights)
    if counters:
        means = [name for name in state if name.endswith("running_mean")]
        state |= {name.replace("running_mean", "num_batches_tracked"): torch.tensor(7) for name in means}
    torch.save(WRAPPED[wrap](state), tmp_path / "net.pth.tar")  # the file name in PyTorch's ImageNet example
    model = tiny(shortcut=shortcut)
    load_pretrained(model, tmp_path / "net.pth.tar")
    assert_same_weights(model, source)


@pytest.mark.parametrize(
    ("naming", "head", "top"),
    [
        pytest.param(
            naming,
            head,
            top,
            marks=() if naming == "torchvision" or head == "fc" or top == "whole" else pytest.mark.slow,
        )
        for naming in ("torchvision", "kuangliu", "timm v2", "Hugging Face", "BiT")
        for head in CLASSIFIERS
        for top in ("whole", "no top", "other classes")
    ],
)
def test_a_classifier_of_any_name(naming, head, top):
    """Each naming is combined with each classifier name, such as kuangliu's blocks with `fc`, and with no top."""
    fields = {"timm v2": dict(order="preactivation", first_shortcut="raw")}.get(naming, {})
    if naming == "BiT":
        fields = {**variants.BIT, "block": "bottleneck", "filters": 32, "image_size": 32}
    row = {"block": "building_block", "depths": (2, 2), "filters": 4, "stem": "3x3", "image_size": 8, "classes": 3}
    row = keras_resnet.Variant(**{**row, **fields})
    source = randomize(ResNet(row))
    state = state_dict(source, naming)
    own = NAMINGS[naming].classifier
    state = {head + name.removeprefix(own) if name.startswith(own) else name: state[name] for name in state}
    if top == "other classes":
        with pytest.warns(RandomClassifierWarning):
            model = ResNet(row, weights=state, classes=5)
    else:
        model = ResNet(row, weights=state, include_top=top == "whole")
    for ours, theirs in zip(model.weights, source.weights, strict=False):
        if not ours.path.startswith("predictions") or top == "whole":
            np.testing.assert_array_equal(ours, theirs)


def test_names_are_compared_before_the_layout():
    """timm's legacy SE networks have the stride in the 1x1 convolution, and their stem is called layer0."""
    fields = dict(block="bottleneck", gate="se", bottleneck_stride="1x1")
    state = state_dict(tiny(**fields))
    legacy = {
        name.replace("conv1", "layer0.conv1") if name.startswith("conv1") else name: state[name] for name in state
    }
    with pytest.raises(ValueError, match=r"missing: conv1.weight .*\n  unexpected: layer0.conv1.weight"):
        load_pretrained(tiny(**fields), legacy)


@pytest.mark.parametrize("zero_channels", ["both", "end"])
def test_option_a_of_fb_resnet_torch(zero_channels, tmp_path):
    """Its zero channels are at the end. A state dict with "fc" does not contain this information, our files do."""
    fields = dict(shortcut="zero_pad", zero_channels=zero_channels)
    source, other = randomize(tiny(**fields)), {"both": "end", "end": "both"}[zero_channels]
    model = tiny(**fields)
    load_pretrained(model, {f"{name}": array for name, array in state_dict(source).items()})
    assert_same_weights(model, source)
    save_pretrained(source, tmp_path / "net.safetensors")
    load_pretrained(model, tmp_path / "net.safetensors")
    for wrong in (dict(shortcut="zero_pad", zero_channels=other), dict(shortcut="none")):
        with pytest.raises(ValueError, match="contains the weights of another network than 'resnet'"):
            load_pretrained(tiny(**wrong), tmp_path / "net.safetensors")


def test_biases_before_bn_go_into_its_mean(rng, caplog):
    """fb.resnet.torch has such biases. The names are those of Cadene's conversion."""
    source = randomize(tiny(), seed=4)
    state = state_dict(source, "Cadene")
    kernels = [name for name in state if state[name].ndim == 4]
    biases = {name.replace("weight", "bias"): rng.normal(size=len(state[name])).astype("float32") for name in kernels}
    model = tiny()
    with caplog.at_level(logging.INFO, "keras_resnet"):
        load_pretrained(model, state | biases)
    assert "resnet has no layer1.0.conv1.bias: it is merged into layer1.0.bn1.running_mean" in caplog.text
    mean = source.get_layer("conv3_block1_0_bn").moving_mean - biases["layer2.0.downsample.0.bias"]
    np.testing.assert_allclose(model.get_layer("conv3_block1_0_bn").moving_mean, mean, rtol=1e-6)
    with pytest.raises(ValueError, match="unexpected: layer1.0.conv1.bias"):
        load_pretrained(model, state | biases | {"layer1.0.conv1.bias": np.zeros(5, "float32")})


def test_a_tensor_under_both_of_its_names():
    dense = keras_resnet.DenseVariant((2, 2), growth_rate=4, filters=8, classes=3, image_size=64)
    model = ResNet(dense)
    state = state_dict(model, "DenseNet")
    state["features.denseblock1.denselayer1.norm.1.weight"] = state["features.denseblock1.denselayer1.norm1.weight"]
    with pytest.raises(ValueError, match="contains a tensor with both names norm.1 and norm1"):
        load_pretrained(model, state)


@pytest.mark.parametrize("field", ["kernel", "bias"])
def test_a_damaged_head_is_no_new_head(field):
    state = state_dict(tiny(classes=7))
    name = {"kernel": "fc.weight", "bias": "fc.bias"}[field]
    state[name] = state[name][..., :2] if field == "kernel" else state[name][:2]
    with pytest.raises(ValueError, match=f"shape: {name}"):
        load_pretrained(tiny(classes=5), state)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("row", "layer_type", "hidden"),
    [("resnet18", "basic", (64, 128, 256, 512)), ("resnet50", "bottleneck", (256, 512, 1024, 2048))],
)
def test_answers_are_those_of_transformers(row, layer_type, hidden, rng):
    """Such models are microsoft/resnet-18 and microsoft/resnet-50."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        layer_type=layer_type, hidden_sizes=list(hidden), depths=list(VARIANTS[row].depths), num_labels=7
    )
    theirs = at_random(transformers.ResNetForImageClassification(config))
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    for size in (64, 97):
        model = ResNet(row, input_shape=(size, size, 3), classes=7, classifier_activation=None, weights=state)
        x = rng.normal(size=(1, size, size, 3)).astype("float32")
        assert_close(model(x), answers(lambda x: theirs(x).logits, x))


# ---- errors: the weights fit, but the network is different

V2_BOTTLENECK = {"order": "preactivation", "block": "bottleneck"}


@pytest.mark.parametrize(
    ("theirs", "ours", "naming", "says"),
    [
        ({"block": "bottleneck"}, {"bottleneck_stride": "1x1"}, "torchvision", "bottleneck_stride must be '3x3'"),
        ({}, {"order": "conv_relu_bn"}, "torchvision", "order must be 'original'"),
        ({}, {"order": "relu_before_addition"}, "torchvision", "order must be 'original'"),
        ({"norm": "gn", "filters": 32}, {"gn_groups": 8}, "torchvision", "gn_groups must be 32"),
        ({}, {"conv_padding": "same"}, "torchvision", "conv_padding must be 'symmetric'"),
        (
            {"shortcut": "A"},
            {"zero_channels": "end"},
            "akamaster",
            "zero_channels must be 'both'.*Received: {'zero_channels': 'end'}",
        ),
        ({"shortcut": "A"}, {"shortcut": "none"}, "akamaster", "shortcut must be one of .*'zero_pad'"),
        (V2_BOTTLENECK, {"stride_block": "last"}, "timm v2", "missing: stages.0.blocks.1.downsample.conv.weight"),
        (
            {**V2_BOTTLENECK, "depths": (1, 1), "shortcut": "projection_all"},
            {"stride_block": "last"},
            "timm v2",
            "stride_block must be 'first'",
        ),
        (dict(order="preactivation", first_shortcut="raw"), dict(first_shortcut="activated"), "timm v2", "'raw'"),
        (
            {"shortcut": "pooled_projection"},
            {"shortcut": "max_pooled_projection"},
            "torchvision",
            "shortcut must be one of .*'pooled_projection'",
        ),
    ],
)
def test_another_net_with_the_same_weights(theirs, ours, naming, says):
    state = state_dict(tiny(**theirs), naming)
    model = randomize(tiny(**{**theirs, **ours}))
    before = model.get_weights()
    with pytest.raises(ValueError, match=says):
        load_pretrained(model, state)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_projections_without_bn_have_no_names_in_torchvision(tmp_path):
    with pytest.raises(
        ValueError, match="no network with the settings of 'resnet'.*Received: {'shortcut': 'linear_projection'}"
    ):
        save_pretrained(tiny(shortcut="linear_projection"), tmp_path / "net.safetensors")


def test_a_stem_without_its_pool():
    state = state_dict(tiny(stem="7x7", image_size=32))
    with pytest.raises(ValueError, match="stem must be one of .*'7x7'.*Received: {'stem': '7x7_unpooled'}"):
        load_pretrained(tiny(stem="7x7_unpooled", image_size=32), state)


GN_D = dict(norm="gn", stem="deep", shortcut="pooled_projection")  # timm's resnetv2_50d_gn


@pytest.mark.parametrize(
    ("fields", "standardized"), [(GN_D, False), ({"norm": "gn", "stem": "7x7_zeros", "shortcut": "projection"}, True)]
)
def test_kernels_are_standardized_in_bits_nets_alone(fields, standardized, tmp_path):
    """BiT's stem is one 7x7 convolution. timm's other networks with GroupNorm do not standardize kernels."""
    pytest.importorskip("safetensors")
    fields = {
        **fields,
        "order": "preactivation",
        "first_shortcut": "raw",
        "filters": 64,
        "depths": (1, 1),
        "image_size": 32,
    }
    right, wrong = (
        randomize(tiny(**fields, weight_standardization=is_so)) for is_so in (standardized, not standardized)
    )
    state = state_dict(right, "timm v2")
    load_pretrained(right, state)
    with pytest.raises(ValueError, match=f"weight_standardization must be {standardized}"):
        load_pretrained(wrong, state)
    save_pretrained(right, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="torchvision and timm have no network with the settings of"):
        save_pretrained(wrong, tmp_path / "net.safetensors")


@pytest.mark.peers
@pytest.mark.slow
def test_group_norm_of_timm_is_not_always_bits(rng):
    theirs = at_random(timm().create_model("resnetv2_50d_gn", num_classes=7))
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    fields = dict(input_shape=(97, 97, 3), classes=7, classifier_activation=None)
    model = ResNet("resnet50v2", weights=state, **fields, **GN_D)
    x = rng.normal(size=(1, 97, 97, 3)).astype("float32")
    assert_close(model(x), answers(theirs, x))


KINDS = dict.fromkeys(
    ("resnet18", "resnet50d", "seresnet50", "ecaresnet50d", "resnetrs50", "resnet50_gn", "resnet20"), "torchvision"
)
KINDS |= {"iresnet50": "iResNet", "resnet50v2": "timm v2", "resnetv2_50x1_bit": "BiT", "densenet121": "DenseNet"}


@pytest.mark.parametrize("row", KINDS)
def test_a_row_is_what_its_checkpoints_imply(row):
    check_fields(ResNet(row, depths=(3, 3), include_top=False, classes=10), KINDS[row], "The source", {})


def test_fields_that_only_training_uses_are_not_compared(tmp_path):
    save_pretrained(randomize(tiny(drop_path=0.2, block_dropout=0.2, gate="se")), tmp_path / "net.safetensors")
    load_pretrained(tiny(gate="se"), tmp_path / "net.safetensors")


@pytest.mark.parametrize("function", [partial(load_pretrained, source={}), partial(save_pretrained, path="x")])
def test_a_model_without_a_network(function):
    image = keras.Input((4,))
    other = keras.Model(image, keras.layers.Dense(1)(image), name="other")
    with pytest.raises(ValueError, match="model must be a network of keras_resnet.*Received: 'other'"):
        function(other)
    with pytest.raises(ValueError, match=r"copy it with model.from_config\(model.get_config"):
        function(keras.models.clone_model(tiny()))


# ---- sources


def test_a_pytorch_file_by_its_name(tmp_path):
    torch = pytest.importorskip("torch")
    source = randomize(tiny())
    torch.save({name: torch.tensor(array) for name, array in state_dict(source).items()}, tmp_path / "net.pth")
    row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
    assert_same_weights(ResNet(row, weights=tmp_path / "net.pth"), source)
    assert_same_weights(ResNet(row, weights=str(tmp_path / "net.pth")), source)


@pytest.mark.parametrize("source", ["vgg", "a/b/c", "timm/resnet50.safetensors", "no/such.pth", 3, ""])
def test_what_is_no_source(source):
    with pytest.raises(ValueError, match="`weights` argument should be either `None`.*'imagenet'.*Received: weights="):
        load_pretrained(tiny(), source)


def test_checkpoints_are_of_our_rows():
    known = pretrained.checkpoints()
    assert len(known) > 100
    assert {checkpoint["row"] for checkpoint in known.values()} <= set(VARIANTS)
    for name, checkpoint in known.items():
        assert checkpoint["size"] % 16 == 0
        assert name.startswith(("timm/", "microsoft/"))
        assert len(checkpoint["mean"]) == len(checkpoint["std"]) == 3
        assert not checkpoint.get("default") or checkpoint["classes"] == 1000
    defaults = [checkpoint["row"] for checkpoint in known.values() if checkpoint.get("default")]
    assert len(defaults) == len(set(defaults))
    assert default_checkpoint("resnet50") == "timm/resnet50.a1_in1k"
    assert default_checkpoint("resnetv2_50") == default_checkpoint("resnet50v2") == "timm/resnetv2_50.a1h_in1k"
    assert keras_resnet.model_preprocessing("imagenet", "ResNetV2_18").resize == 248  # 224 / 0.9
    with pytest.raises(ValueError, match="published checkpoint: the row must be one of.*Received: 'plain18'"):
        default_checkpoint("plain18")


# ---- our weights in PyTorch


@pytest.mark.parametrize(
    "fields",
    [{}, {"order": "preactivation", "first_shortcut": "raw"}, {"gate": "se", "stem": "deep", "image_size": 32}],
)
def test_there_and_back(fields, tmp_path):
    pytest.importorskip("safetensors")
    source, copy = randomize(tiny(**fields)), tiny(**fields)
    save_pretrained(source, tmp_path / "net.safetensors")
    load_pretrained(copy, tmp_path / "net.safetensors")
    assert_same_weights(copy, source)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


@pytest.mark.peers
@pytest.mark.parametrize(
    ("library", "row"),
    [("torchvision", "resnet18"), ("torchvision", "densenet121"), ("timm", "resnet50v2"), ("timm", "seresnet18")],
)
def test_pytorch_takes_what_is_trained_here(library, row, rng, tmp_path):
    theirs = peer(library, row)
    from safetensors.torch import load_file

    model = randomize(ResNet(row, input_shape=(64, 64, 3), classifier_activation=None))
    for layer in model.layers:  # gates near 1/2, see at_random
        if "_se_fc" in layer.name:
            layer.kernel.assign(0.01 * layer.kernel)
    save_pretrained(model, tmp_path / "net.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "net.safetensors"))  # all names must match
    x = rng.normal(size=(2, 64, 64, 3)).astype("float32")
    assert_close(model(x), answers(theirs.eval(), x))


def test_a_file_in_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_pretrained(tiny(), "~/net.safetensors")
    load_pretrained(tiny(), "~/net.safetensors")
    assert (tmp_path / "net.safetensors").exists()


def test_what_pytorch_has_no_net_for(tmp_path):
    with pytest.raises(ValueError, match="first_shortcut must be 'raw'"):
        save_pretrained(tiny(order="preactivation"), tmp_path / "net.safetensors")
    pytest.importorskip("safetensors")
    with pytest.raises(ValueError, match="torchvision and timm have no network with the settings of 'resnet'.*"):
        save_pretrained(tiny(order="bn_after_addition"), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="path must end in .safetensors. Received: .*net.pth"):
        save_pretrained(tiny(), tmp_path / "net.pth")
    assert not list(tmp_path.iterdir())


def test_namings_imply_fields_of_a_variant():
    fields = {name for naming in NAMINGS.values() for name in naming.implies}
    assert fields < set(variants.field_names(VARIANTS["resnet50"]))


@pytest.mark.peers
def test_a_dict_of_the_real_library(rng):
    theirs = at_random(timm().create_model("resnet18", num_classes=7, in_chans=1))
    state = {name: tensor.numpy() for name, tensor in theirs.state_dict().items()}
    model = keras_resnet.ResNet18(input_shape=(64, 64, 1), classes=7, classifier_activation=None, weights=state)
    x = rng.normal(size=(2, 64, 64, 1)).astype("float32")
    assert_close(model(x), answers(theirs, x))


# ---- preprocessing


def test_preprocessing_of_a_checkpoint():
    assert keras_resnet.model_preprocessing("timm/resnet50.a1_in1k") == keras_resnet.PREPROCESSINGS["timm"]
    assert keras_resnet.model_preprocessing("timm/resnet50.tv_in1k") == keras_resnet.PREPROCESSINGS["torch"]
    bit = keras_resnet.model_preprocessing("timm/resnetv2_50x1_bit.goog_in21k_ft_in1k")
    assert (bit.size, bit.resize, bit.mean) == (448, 448, (0.5, 0.5, 0.5))
    with pytest.raises(ValueError, match="source must be one of.*Did you mean 'timm/resnet50.a1_in1k'"):
        keras_resnet.model_preprocessing("timm/resnet50.a1_in1")


def test_preprocessing_within_the_model(rng):
    row = keras_resnet.Variant("building_block", (1, 1), filters=4, stem="3x3", image_size=8, classes=3)
    plain, whole = ResNet(row), ResNet(row, include_preprocessing="caffe")
    whole.set_weights(randomize(plain).get_weights())
    pixels = rng.integers(0, 256, size=(2, 8, 8, 3)).astype("float32")
    expected = plain(keras_resnet.preprocess_input(pixels, mode="caffe"))
    np.testing.assert_allclose(np.array(whole(pixels)), expected, rtol=1e-4, atol=1e-5)
    load_pretrained(whole, state_dict(plain))
    with pytest.raises(
        ValueError,
        match="include_preprocessing=True needs `weights` whose preprocessing is known.*Received: weights=None",
    ):
        ResNet(row, include_preprocessing=True)
    with pytest.raises(ValueError, match="Received: 'caffee'"):
        ResNet(row, include_preprocessing="caffee")


def test_the_preprocessing_of_the_weights(monkeypatch):
    """The preprocessing comes from the source of the weights and does not depend on the name of the model."""
    monkeypatch.setattr("keras_resnet.resnet.give", lambda *found, **options: None)
    expected = keras_resnet.model_preprocessing(default_checkpoint("resnet18"))
    found = pretrained.Checkpoint("imagenet", {}, expected)
    monkeypatch.setattr("keras_resnet.resnet.read_source", lambda *source, **options: found)
    model = keras_resnet.ResNet18(
        input_shape=(64, 64, 3), weights="imagenet", include_preprocessing=True, name="of another name"
    )
    (layer,) = [layer for layer in model.layers if layer.name == "preprocessing_normalization"]
    np.testing.assert_allclose(np.array(layer.mean).ravel(), 255 * np.array(expected.mean), rtol=1e-5)


# ---- real checkpoints on the 10,000 test images


def accuracy(model):
    from keras_resnet.training import load_data

    test = load_data("cifar10").test
    answers = model.predict(test.images.astype("float32"), batch_size=500, verbose=0)
    return (answers.argmax(axis=1) == test.labels).mean()


@pytest.mark.slow
@pytest.mark.cifar10
def test_our_own_checkpoint():
    """ResNet-20 with shortcut A and with shortcut B, trained with the recipe `fast` and seed 0, in float32."""
    for shortcut, expected in (("A", 0.9125), ("B", 0.9124)):
        model = keras_resnet.ResNet20(shortcut=shortcut, weights="cifar10", include_preprocessing=True)
        assert accuracy(model) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("shortcut", ["B", "projection"])
def test_our_own_checkpoint_is_of_its_shortcut(shortcut):
    model = keras_resnet.ResNet20(shortcut=shortcut, weights="cifar10")
    other = keras_resnet.ResNet20(shortcut=shortcut)
    load_pretrained(other, "cifar10", row="resnet20")
    assert_same_weights(model, other)
    assert len(model.weights) == len(keras_resnet.ResNet20(weights="cifar10").weights) + 10
    assert set(keras_resnet.weights.own_checkpoints()) == {"resnet20", "resnet20_projection"}


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_our_own_checkpoint_without_a_top_and_with_other_classes(shortcut):
    """The calls at the beginning of transfer learning."""
    build = partial(keras_resnet.ResNet20, shortcut=shortcut, weights="cifar10")
    whole, headless = build(), build(include_top=False, input_shape=(32, 32, 3))
    for ours, theirs in zip(headless.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.warns(RandomClassifierWarning, match="'resnet20' has 100 classes but these weights have 10"):
        build(classes=100)
    with pytest.warns(RandomClassifierWarning):
        load_pretrained(keras_resnet.ResNet20(classes=7, shortcut=shortcut), "cifar10", row="resnet20")


def test_our_own_checkpoint_is_of_its_row():
    with pytest.raises(
        ValueError,
        match="what this package has trained: the row, with its shortcut.* must be one of.*Received: 'resnet56'",
    ):
        keras_resnet.ResNet56(weights="cifar10")
    with pytest.raises(ValueError, match=r"must be one of \['resnet20'.*Received: 'resnet20_none'"):
        keras_resnet.ResNet20(weights="cifar10", shortcut="none")
    with pytest.raises(ValueError, match="zero_channels must be 'both'"):
        keras_resnet.ResNet20(weights="cifar10", zero_channels="end")


CHECKPOINTS = os.environ.get("KERAS_RESNET_CHECKPOINTS", "")


@pytest.mark.slow
@pytest.mark.cifar10
@pytest.mark.skipif(not CHECKPOINTS, reason="KERAS_RESNET_CHECKPOINTS is no folder with akamaster's resnet20 in it")
@pytest.mark.parametrize("path", sorted(Path(CHECKPOINTS or ".").glob("*resnet20*")), ids=lambda path: path.name)
def test_akamasters_resnet20(path):
    """github.com/akamaster/pytorch_resnet_cifar10: the error is 8.27 %."""
    model = keras_resnet.ResNet20(weights=path, include_preprocessing="cifar10_akamaster")
    assert accuracy(model) == pytest.approx(0.9173, abs=1e-9)
