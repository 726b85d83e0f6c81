"""What detectors and segmenters stand on: the last map of every stage."""

import re

import keras

STAGE = re.compile(r"conv(\d+)_block(\d+)_(?:out|concat)")


@keras.saving.register_keras_serializable("keras_resnet")
class FeaturePyramid(keras.Model):
    """`{"conv2": (b, h/4, w/4, c), ...}` of a batch of images; what `feature_pyramid` gives.

    `strides` and `channels` are dicts with the same keys: pixels of the image a pixel of the map, and its channels.
    Both are read off the graph, and there is no `__init__`: so Keras saves, loads and clones it as a Functional model.
    """

    @property
    def channels(self) -> dict[str, int]:
        return {stage: map.shape[-1] for stage, map in self.output.items()}

    @property
    def strides(self) -> dict[str, int]:
        """The strides of the convolutions and pools on the way of F, multiplied."""
        total, strides, stages = 1, {}, {name: stage for stage, name in _last_layers(self).items()}
        for layer in self.layers:
            beside = re.match(r"conv\d+_block\d+_0_", layer.name)  # in a shortcut, or what opens a dense layer
            if hasattr(layer, "strides") and not beside:
                total *= layer.strides[0]
            if layer.name in stages:
                strides[stages[layer.name]] = total
        return strides


def feature_pyramid(model: keras.Model) -> keras.Model:
    """The last map of every stage of a net of this package: a model `image -> {"conv2": map, "conv3": map, ...}`.

    It shares its layers with `model`, has no classifier, and has two dicts, `strides` (of the maps against the image)
    and `channels`, with the keys of its outputs. A stage ends where the paper's does, at the sum of its last block; the
    last map is the one that the classifier sees, so behind the last BN and ReLU of a net that is activated in advance.

    Raises ValueError where the layers of `model` are not named as this package names them.
    """
    last = _last_layers(model)
    if not last:
        raise ValueError(
            "model must be a net of keras_resnet, whose blocks end in layers called conv2_block1_out. "
            f"Received: {model.name!r}, whose last layers are {[layer.name for layer in model.layers[-3:]]}"
        )
    maps = {stage: model.get_layer(name).output for stage, name in last.items()}
    image = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    return FeaturePyramid(image, maps, name=f"{model.name}_pyramid")


def _last_layers(model: keras.Model) -> dict[str, str]:
    """Stage -> the layer whose output is its last map."""
    names = [layer.name for layer in model.layers]
    last = {f"conv{match[1]}": name for name in names if (match := STAGE.fullmatch(name))}
    end = {"post_relu", "relu"}.intersection(names)  # of pre-activated nets, of DenseNets
    if last and end:
        last[list(last)[-1]] = end.pop()
    return last
