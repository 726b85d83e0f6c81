"""Tests of feature pyramids as the `image_encoder` of KerasHub's detector and segmenter."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_resnet import ResNet, feature_pyramid

SIZE = 64
PYRAMIDS = {  # name: row, output_stride, the strides of its levels
    "resnet18": ("resnet18", 32, {"P2": 4, "P3": 8, "P4": 16, "P5": 32}),
    "resnet50d": ("resnet50d", 32, {"P2": 4, "P3": 8, "P4": 16, "P5": 32}),
    "seresnext50_16": ("seresnext50_32x4d", 16, {"P2": 4, "P3": 8, "P4": 16}),
    "seresnext50_8": ("seresnext50_32x4d", 8, {"P2": 4, "P3": 8}),
    "bit_50x1": ("resnetv2_50x1_bit", 32, {"P2": 4, "P3": 8, "P4": 16, "P5": 32}),
    "densenet121": ("densenet121", 32, {"P2": 4, "P3": 8, "P4": 16, "P5": 32}),
}
LOAD = """
import sys
import keras, keras_hub, numpy
import keras_resnet
folder = sys.argv[1]
model = keras.saving.load_model(f"{folder}/model.keras")
assert type(model.backbone.image_encoder) is keras_resnet.pyramid.FeaturePyramid
outputs = model(numpy.load(f"{folder}/images.npy"), training=False)
outputs = outputs if isinstance(outputs, dict) else {"classes": outputs}
numpy.savez(f"{folder}/outputs.npz", **{key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()})
"""


def pyramid_of(name, **choices):
    row, output_stride, _ = PYRAMIDS[name]
    if output_stride != 32:
        choices["output_stride"] = output_stride
    return feature_pyramid(ResNet(row, include_top=False, **choices))


def small(name, **choices):
    """Returns the pyramid of the row, with one block per stage."""
    return pyramid_of(name, depths=(1, 1, 1, 1), **choices)


@pytest.fixture
def keras_hub():
    return pytest.importorskip("keras_hub")


def detector(keras_hub, pyramid):
    """Returns a RetinaNet on the levels from P3 to the deepest level of the pyramid."""
    deepest = max(int(level[1:]) for level in pyramid.pyramid_outputs)
    backbone = keras_hub.models.RetinaNetBackbone(
        image_encoder=pyramid, min_level=3, max_level=deepest, use_p5=False, image_shape=(SIZE, SIZE, 3)
    )
    boxes = np.array([[[8, 8, 40, 40]], [[16, 8, 56, 48]]], "float32")
    labels = np.array([[0], [1]])
    return keras_hub.models.RetinaNetObjectDetector(backbone, num_classes=2), {"boxes": boxes, "labels": labels}


def segmenter(keras_hub, pyramid):
    """Returns a DeepLabV3+ on P2 and on the deepest level of the pyramid."""
    deepest = max(pyramid.pyramid_outputs)
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=pyramid,
        spatial_pyramid_pooling_key=deepest,
        upsampling_size=2 ** (int(deepest[1:]) - 2),
        dilation_rates=[1, 2],
        low_level_feature_key="P2",
        projection_filters=8,
        image_shape=(SIZE, SIZE, 3),
    )
    masks = keras.utils.to_categorical(np.arange(2 * SIZE * SIZE).reshape(2, SIZE, SIZE) % 3, 3)
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=3), masks


def fitted(model, images, targets, **options):
    model.compile(optimizer=keras.optimizers.SGD(1e-3), jit_compile=False, **options)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.backbone.image_encoder.trainable_weights]
    loss = model.fit(images, targets, batch_size=2, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(loss).all()
    after = [keras.ops.convert_to_numpy(weight) for weight in model.backbone.image_encoder.trainable_weights]
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))  # the encoder is trained
    return model


def outputs_of(model, images):
    outputs = model(images, training=False)
    outputs = outputs if isinstance(outputs, dict) else {"classes": outputs}
    return {key: keras.ops.convert_to_numpy(value) for key, value in outputs.items()}


def check_equal(actual, expected):
    assert set(actual) == set(expected)
    for key, value in expected.items():
        assert value.std() > 0
        np.testing.assert_allclose(actual[key], value, rtol=0, atol=1e-5 * np.abs(value).max())


# ---- without KerasHub


@pytest.mark.parametrize("name", PYRAMIDS)
def test_pyramid_outputs_have_the_stride_of_their_level(name):
    pyramid = small(name, input_shape=(SIZE, SIZE, 3))
    levels = pyramid.pyramid_outputs
    assert {level: SIZE // tensor.shape[1] for level, tensor in levels.items()} == PYRAMIDS[name][2]
    assert levels[max(levels)] is pyramid.output["conv5"]  # of several stages with this stride, the deepest


@pytest.mark.parametrize("name", ["seresnext50_8", "densenet121"])
def test_the_properties_are_kept_by_from_config(name):
    pyramid = small(name)
    copy = type(pyramid).from_config(pyramid.get_config())
    assert (copy.strides, copy.channels) == (pyramid.strides, pyramid.channels)
    shapes = {level: tensor.shape for level, tensor in pyramid.pyramid_outputs.items()}
    assert {level: tensor.shape for level, tensor in copy.pyramid_outputs.items()} == shapes
    inner = keras.Model(copy.inputs, copy.pyramid_outputs)  # as in KerasHub: the tensors belong to the copy
    assert set(inner([np.zeros((1, SIZE, SIZE, 3), "float32")])) == set(shapes)


def test_pyramid_outputs_of_some_stages():
    pyramid = feature_pyramid(ResNet("resnet18", depths=(1, 1, 1, 1), include_top=False), stages=["conv3", "conv5"])
    assert list(pyramid.pyramid_outputs) == ["P3", "P5"]


# ---- with KerasHub


@pytest.mark.peers
@pytest.mark.parametrize("task", [detector, segmenter])
@pytest.mark.parametrize(
    "name", [name if name == "resnet18" else pytest.param(name, marks=pytest.mark.slow) for name in PYRAMIDS]
)
def test_kerashub_trains_and_saves_a_small_pyramid(name, task, keras_hub, rng, tmp_path):
    images = rng.normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    model, targets = task(keras_hub, small(name))
    fitted(model, images, targets, run_eagerly=True)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.backbone.image_encoder.variant == model.backbone.image_encoder.variant
    check_equal(outputs_of(copy, images), outputs_of(model, images))


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("task", [detector, segmenter])
@pytest.mark.parametrize("name", PYRAMIDS)
def test_kerashub_trains_a_pyramid_that_a_fresh_process_loads(name, task, keras_hub, rng, tmp_path):
    images = rng.normal(size=(2, SIZE, SIZE, 3)).astype("float32")
    model, targets = task(keras_hub, pyramid_of(name))
    fitted(model, images, targets)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", LOAD, tmp_path], check=True, env=environment)
    with np.load(tmp_path / "outputs.npz") as outputs:
        check_equal(dict(outputs), outputs_of(model, images))
