"""Tests of video networks, (b, frames, h, w, c): comparison with torchvision, structure, and unsupported functions."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import built, randomize
from test_architecture import HASTY_XLA, OTHER_BACKEND
from test_weights_state_dict import (
    VIDEO,
    answers,
    assert_close,
    peer,
    stages_and_answer,
    state_dict,
    state_of,
    torchvision,
)

import keras_resnet
from keras_resnet import ResNet, Variant
from keras_resnet.__main__ import main
from keras_resnet.ranks import CONVOLUTIONS
from keras_resnet.weights.names import named_variables
from keras_resnet.weights.state_dict import match_naming, to_torch

NAMINGS = {"full": "torchvision video", "mixed": "torchvision video", "factorized": "torchvision (2+1)D"}


FIELDS = {"block": "building_block", "depths": (1, 2), "filters": 4, "stem": "7x7_unpooled", "classes": 3}
FIELDS |= {"rank": 3, "frames": 4, "image_size": 16}


def clip_net(convolution="full", input_shape=None, include_preprocessing=False, **fields):
    """Returns a small network for clips of 4 x 16 x 16 pixels, with a stage before and a stage after a stride."""
    variant = Variant(**{**FIELDS, "convolution": convolution, **fields})
    return ResNet(variant, input_shape=input_shape, include_preprocessing=include_preprocessing)


def clips(rng, model, count=2):
    return rng.normal(size=(count, *model.input_shape[1:])).astype("float32")


# ---- comparison with torchvision


@pytest.mark.peers
@pytest.mark.parametrize("row", VIDEO)
@pytest.mark.parametrize("shape", [(5, 33, 34, 3), pytest.param((16, 112, 112, 3), marks=pytest.mark.slow)])
def test_answers_and_stages_are_those_of_torchvision(row, shape, rng):
    theirs = peer("torchvision", row)
    model = ResNet(row, input_shape=shape, classifier_activation=None)
    keras_resnet.load_pretrained(model, state_of(theirs))
    x = clips(rng, model, 1)
    maps, answer = stages_and_answer(theirs, x)
    pyramid = keras_resnet.feature_pyramid(model)
    *stages, logits = keras.Model(model.inputs, [*pyramid.outputs, model.output])(x)
    assert_close(logits, answer, 1e-5)
    assert len(stages) == len(maps) == 4
    for ours, map in zip(stages, maps, strict=True):
        assert_close(ours, map)


@pytest.mark.peers
def test_frames_are_preprocessed_as_by_torchvision(rng):
    """Frames with the aspect ratio of 128 x 171 pixels are equal within one gray level."""
    torchvision()
    import torch
    from torchvision.transforms._presets import VideoClassification

    row = keras_resnet.PREPROCESSINGS["kinetics"]
    coarse = rng.integers(0, 256, (3, 16, 19, 3), "uint8")
    frames = coarse.repeat(16, axis=1).repeat(18, axis=2)  # (3, 256, 342, 3)
    preset = VideoClassification(crop_size=(112, 112), resize_size=(128, 171))
    theirs = preset(torch.from_numpy(frames).movedim(-1, 1)).movedim(0, -1).numpy()
    assert (np.abs(row(frames) - theirs) * row.std * 255).max() < 1.01


@pytest.mark.peers
@pytest.mark.slow
def test_a_training_step_moves_the_statistics_as_pytorch_does(rng):
    theirs = peer("torchvision", "r2plus1d_18")
    model = ResNet("r2plus1d_18", input_shape=(4, 32, 32, 3), classifier_activation=None)
    keras_resnet.load_pretrained(model, state_of(theirs))
    x = clips(rng, model, 4)
    model(x, training=True)
    answers(theirs.train(), x)
    after = state_of(theirs)
    for named in named_variables(model, match_naming(model, after)[0]):
        if "running" in named.tensor:
            assert_close(to_torch(named), after[named.tensor])


@pytest.mark.peers
@pytest.mark.parametrize("row", VIDEO)
def test_torchvision_reads_our_files(row, tmp_path):
    theirs = peer("torchvision", row)
    import torch
    from safetensors.numpy import load_file

    model = ResNet(row)
    keras_resnet.save_pretrained(model, tmp_path / "net.safetensors")
    state = {name: torch.from_numpy(array) for name, array in load_file(tmp_path / "net.safetensors").items()}
    theirs.load_state_dict(state)


# ---- structure


@pytest.mark.parametrize(
    ("row", "kernels"),
    [
        ("r3d_18", {"conv1_conv": (3, 7, 7), "conv2_block1_1_conv": (3, 3, 3), "conv5_block2_2_conv": (3, 3, 3)}),
        ("mc3_18", {"conv1_conv": (3, 7, 7), "conv2_block2_2_conv": (3, 3, 3), "conv3_block1_1_conv": (1, 3, 3)}),
        ("r2plus1d_18", {"conv1_space_conv": (1, 7, 7), "conv1_time_conv": (3, 1, 1),
                         "conv5_block1_2_space_conv": (1, 3, 3), "conv5_block1_2_time_conv": (3, 1, 1)}),
    ],
)  # fmt: skip
def test_kernels(row, kernels):
    model = built(row)
    assert {name: model.get_layer(name).kernel_size for name in kernels} == kernels


@pytest.mark.parametrize(("convolution", "frames"), [("full", 2), ("mixed", 4), ("factorized", 2)])
def test_frames_of_each_stage(convolution, frames):
    """Tran 2018, Table 1: the stem keeps all frames. Later stages have strides in time if their kernels span frames."""
    model = clip_net(convolution)
    pyramid = keras_resnet.feature_pyramid(model)
    assert [feature_map.shape[1:4] for feature_map in pyramid.output.values()] == [(4, 8, 8), (frames, 4, 4)]
    assert pyramid.strides == {"conv2": 2, "conv3": 4}
    assert model.get_layer("conv3_block1_0_conv").strides == (4 // frames, 2, 2)


def test_filters_between_are_those_of_torchvision():
    """r2plus1d_18, layer2: 230 filters in both convolutions of the first block, 288 in the second; stem: 45."""
    model = built("r2plus1d_18")
    between = {name: model.get_layer(f"{name}_space_conv").filters for name in (
        "conv1", "conv3_block1_1", "conv3_block1_2", "conv3_block2_1", "conv3_block2_2")}  # fmt: skip
    assert list(between.values()) == [45, 230, 230, 288, 288]


@pytest.mark.parametrize(
    "fields",
    [
        {"block": "bottleneck", "order": "preactivation"},
        {"stem": "deep_strided", "filters": 8, "shortcut": "projection_all", "norm": "sync_bn"},
        {"stem": "3x3", "shortcut": "none", "conv_padding": "same", "conv_bias": "all", "first_stride": 2},
    ],
    ids=lambda fields: fields.get("stem", "bottleneck"),
)
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_networks_of_other_choices_learn(convolution, fields, rng):
    model = clip_net(convolution, **fields)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", run_eagerly=True)
    loss = model.fit(clips(rng, model, 6), np.arange(6) % 3, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0]


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_is_that_of_the_same_pixels_as_images(training, rng):
    x = rng.normal(2, 3, (4, 3, 5, 6, 8)).astype("float32")
    clips, images = (keras_resnet.layers.BatchNormalization(momentum=0.5) for _ in range(2))
    y = clips(x, training=training)
    assert clips.is_fusable(y)
    expected = np.reshape(images(x.reshape(12, 5, 6, 8), training=training), x.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(clips.weights, images.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_drop_path_drops_whole_clips(rng):
    model = clip_net(drop_path=0.5)
    layer = model.get_layer("conv3_block2_drop_path")
    dropped = np.asarray(layer(np.ones((32, 2, 4, 4, 8), "float32"), training=True)).reshape(32, -1)
    assert {tuple(np.unique(clip)) for clip in dropped} == {(0.0,), (2.0,)}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_answers(backend, rng, tmp_path):
    pytest.importorskip(backend)
    fields = FIELDS | {"convolution": "factorized"}
    model = randomize(clip_net("factorized"))
    x = clips(rng, model, 6)
    np.savez(tmp_path / "0.npz", *model.get_weights(), x=x, y=np.asarray(model(x)))
    subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, backend, json.dumps([fields]), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": HASTY_XLA},
        check=True,
    )


def test_shapes_that_are_not_given():
    model = ResNet("mc3_18", include_top=False, pooling="max", depths=(1, 1), filters=4)
    assert model.input_shape == (None, None, None, None, 3)
    assert model.output_shape == (None, 8)
    assert model(np.zeros((1, 3, 20, 24, 3), "float32")).shape == (1, 8)


# ---- functions of the package


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_folded_and_plain_copies_give_the_same_answers(convolution, rng):
    model = randomize(clip_net(convolution, include_preprocessing="kinetics"))
    x = rng.uniform(0, 255, (2, 4, 16, 16, 3)).astype("float32")
    folded = keras_resnet.fold_batch_norm(model)
    assert not [layer for layer in folded.layers if isinstance(layer, keras.layers.BatchNormalization)]
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-5)
    plain = keras_resnet.to_plain_keras(model)
    assert {type(layer).__module__.partition(".")[0] for layer in plain.layers} == {"keras"}
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-4, atol=1e-5)


def test_preprocessing_is_that_of_torchvision(rng):
    pixels = rng.uniform(0, 255, (1, 2, 16, 16, 3)).astype("float32")
    expected = (pixels / 255 - (0.43216, 0.394666, 0.37645)) / (0.22803, 0.22145, 0.216989)
    x = keras.Input((2, 16, 16, 3))
    model = keras.Model(x, keras_resnet.preprocessing_layers("kinetics", x))
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-5)
    frames = keras_resnet.PREPROCESSINGS["kinetics"](np.zeros((5, 240, 320, 3), "uint8"))
    assert frames.shape == (5, 112, 112, 3)


@pytest.mark.parametrize("suffix", ["safetensors", "keras", "weights.h5"])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_weights_there_and_back(suffix, convolution, tmp_path):
    source, path = randomize(clip_net(convolution)), tmp_path / f"net.{suffix}"
    source.preprocessing = "kinetics"
    if suffix == "safetensors":
        keras_resnet.save_pretrained(source, path)
    else:
        source.save(path) if suffix == "keras" else source.save_weights(path)
    model = clip_net(convolution)
    keras_resnet.load_pretrained(model, path)
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.preprocessing == keras_resnet.PREPROCESSINGS["kinetics"]
    if suffix == "keras":
        assert keras.models.load_model(path).variant == source.variant


def test_weights_of_other_classes_and_channels():
    source = randomize(clip_net("factorized"))
    state = state_dict(source, NAMINGS["factorized"])
    model = clip_net("factorized", classes=5, input_shape=(4, 16, 16, 1))
    with pytest.warns(keras_resnet.errors.RandomClassifierWarning):
        keras_resnet.load_pretrained(model, state)
    kernels = [net.get_layer("conv1_space_conv").kernel for net in (model, source)]
    np.testing.assert_allclose(kernels[0][..., 0, :], keras.ops.sum(kernels[1], axis=3), rtol=1e-5)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_names_are_those_of_torchvision(convolution):
    state = state_dict(clip_net(convolution), NAMINGS[convolution])
    factorized = convolution == "factorized"
    assert {"stem.0.weight", "layer2.0.downsample.1.running_var", "layer2.1.conv2.1.weight", "fc.bias"} <= set(state)
    assert ("stem.4.weight" in state) is ("layer1.0.conv1.0.3.weight" in state) is factorized
    assert state["stem.0.weight"].shape[1:] == (3, 1 if factorized else 3, 7, 7)


def test_stages_freeze_and_decay():
    model = clip_net("factorized")
    assert list(keras_resnet.layer_decay("sgd", model, 0.5).learning_rates) == ["stem", "conv2", "conv3", "head"]
    keras_resnet.freeze(model, up_to="conv2", batch_norm=False)
    assert not model.get_layer("conv1_time_conv").trainable
    assert model.get_layer("conv3_block1_1_space_conv").trainable


# ---- errors


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stem": "7x7"}, r"stem must be one of \['7x7_unpooled', .*\] with rank=3. Received: '7x7'"),
        ({"shortcut": "A"}, r"shortcut must be one of \['projection', .*\] with rank=3. Received: 'A'"),
        ({"shortcut": "pooled_projection"}, "shortcut must be .*Received: 'pooled_projection'"),
        ({"gate": "se"}, r"gate must be one of \['none'\] with rank=3. Received: 'se'"),
        ({"block": "bottleneck", "groups": 2}, r"groups must be one of \[1\] with rank=3. Received: 2"),
        ({"output_stride": 2}, r"output_stride must be one of \[None\] with rank=3. Received: 2"),
        ({"weight_standardization": True}, "weight_standardization must be .*Received: True"),
        ({"convolution": "2+1d"}, r"convolution must be one of \['full', 'mixed', 'factorized'\]. Received: '2\+1d'"),
        ({"rank": 1}, "rank must be 2 \\(images\\) or 3 \\(videos\\). Received: 1"),
        ({"frames": 0}, "frames must be a positive integer. Received: 0"),
        ({"rank": 2}, "frames requires rank=3; otherwise it must be 16. Received: 4"),
        ({"rank": 2, "frames": 16, "convolution": "mixed"}, "convolution requires rank=3; otherwise it must be 'full'"),
        ({"input_shape": (16, 16, 3)}, r"four integers \(frames, height, width, channels\).*=\(16, 16, 3\)"),
        ({"input_shape": (4, 2, 16, 3)}, "Input size must be at least 4x4"),
    ],
)  # fmt: skip
def test_refused_networks(fields, says):
    with pytest.raises(ValueError, match=says):
        clip_net(**fields)


@pytest.mark.parametrize(
    "function",
    [
        lambda model, path: keras_resnet.explain(model, np.zeros(model.input_shape[1:])[np.newaxis]),
        lambda model, path: keras_resnet.export_saved_model(model, path / "net"),
        lambda model, path: keras_resnet.export(model, path / "net.onnx"),
    ],
    ids=["explain", "export_saved_model", "export"],
)
def test_refused_functions(function, tmp_path):
    with pytest.raises(ValueError, match=r"model must have one input \(b, h, w, c\) and one output"):
        function(clip_net(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_networks_that_torchvision_does_not_have_are_not_saved(tmp_path):
    with pytest.raises(ValueError, match="no network with the settings of 'resnet'.*stem must be '7x7_unpooled'"):
        keras_resnet.save_pretrained(clip_net(stem="3x3"), tmp_path / "net.safetensors")


def test_weights_of_images_do_not_load_into_networks_of_clips():
    state = state_dict(ResNet(Variant("building_block", (1, 2), filters=4, classes=3)))
    with pytest.raises(ValueError, match=r"shape: conv1.weight is \(4, 3, 7, 7\), conv1_conv/kernel needs \(3, 7, 7,"):
        keras_resnet.load_pretrained(clip_net(), state)


def test_hub_refuses_clips():
    pytest.importorskip("huggingface_hub")
    with pytest.raises(ValueError, match="model must be an image network.*'resnet', a video network"):
        keras_resnet.push_to_hub(clip_net(), "org/clips")


def test_commands(capsys, tmp_path):
    assert main(["list", "r3d*"]) == 0
    assert "16x112x112x3" in capsys.readouterr().out
    assert main(["summary", "R2Plus1D_18", "--fields", "depths=[1,1]"]) == 0
    assert "conv2_block1_1_time_conv" in capsys.readouterr().out
    assert main(["export", "r3d_18", str(tmp_path / "net"), "--preprocessing", "kinetics"]) == 1
    assert "model must have one input (b, h, w, c)" in capsys.readouterr().err
    keras_resnet.save_pretrained(ResNet("r3d_18", filters=4), tmp_path / "net.safetensors")
    command = [
        "explain",
        "r3d_18",
        "image.jpg",
        "--weights",
        str(tmp_path / "net.safetensors"),
        "--fields",
        "filters=4",
    ]
    assert main(command) == 1
    assert "name must be an image network, not a video network. Received: 'r3d_18'" in capsys.readouterr().err
