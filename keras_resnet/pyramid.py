"""What detectors and segmenters stand on: the last map of every stage."""

import re

import keras

STAGE = re.compile(r"conv(\d+)_block(\d+)_(?:out|concat)")


class FeaturePyramid(keras.Model):
    """`{"conv2": (b, h/4, w/4, c), ...}` of a batch of images; what `feature_pyramid` gives.

    `strides` and `channels` are dicts with the same keys: pixels of the image a pixel of the map, and its channels.
    """

    strides: dict[str, int]
    channels: dict[str, int]


def feature_pyramid(model: keras.Model) -> keras.Model:
    """The last map of every stage of a net of this package: a model `image -> {"conv2": map, "conv3": map, ...}`.

    It shares its layers with `model`, has no classifier, and has two dicts, `strides` (of the maps against the image)
    and `channels`, with the keys of its outputs. A stage ends where the paper's does, at the sum of its last block; the
    last map is the one that the classifier sees, so behind the last BN and ReLU of a net that is activated in advance.

    Raises ValueError where the layers of `model` are not named as this package names them.
    """
    last: dict[str, str] = {}
    for layer in model.layers:
        if match := STAGE.fullmatch(layer.name):
            last[f"conv{match[1]}"] = layer.name
    if not last:
        raise ValueError(
            "model must be a net of keras_resnet, whose blocks end in layers called conv2_block1_out. "
            f"Received: {model.name!r}, whose last layers are {[layer.name for layer in model.layers[-3:]]}"
        )
    names = [layer.name for layer in model.layers]
    if "post_relu" in names:
        last[list(last)[-1]] = "post_relu"
    maps = {stage: model.get_layer(name).output for stage, name in last.items()}
    pyramid = FeaturePyramid(
        model.inputs[0] if len(model.inputs) == 1 else model.inputs, maps, name=f"{model.name}_pyramid"
    )
    pyramid.channels = {stage: map.shape[-1] for stage, map in maps.items()}
    pyramid.strides = _strides(model, last)
    return pyramid


def _strides(model, last: dict[str, str]) -> dict[str, int]:
    """How far each stage has gone down: the strides of the convolutions and pools on the way of F, multiplied."""
    total, strides, wanted = 1, {}, {name: stage for stage, name in last.items()}
    for layer in model.layers:
        beside = re.match(r"conv\d+_block\d+_0_", layer.name)  # what stands in a shortcut, or opens a dense layer
        if hasattr(layer, "strides") and not beside:
            total *= layer.strides[0]
        if layer.name in wanted:
            strides[wanted[layer.name]] = total
    return strides
