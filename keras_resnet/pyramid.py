"""Feature maps for detection and segmentation: the last feature map of each stage."""

from collections.abc import Sequence

import keras

from keras_resnet.errors import choose
from keras_resnet.network import Network, describe, require_network
from keras_resnet.resnet import strides
from keras_resnet.variants import DenseVariant


@keras.saving.register_keras_serializable("keras_resnet")
class FeaturePyramid(Network):
    """A network that outputs a dict of feature maps, `{"conv2": (b, h/4, w/4, c), ...}`; see `feature_pyramid`."""

    @property
    def channels(self) -> dict[str, int]:
        """The channels of each feature map."""
        return {stage: feature_map.shape[-1] for stage, feature_map in self.output.items()}

    @property
    def strides(self) -> dict[str, int]:
        """The input pixels per pixel of each feature map, in height and in width."""
        of_stage = {f"conv{i}": stride for i, stride in enumerate(strides(self.variant), 2)}
        return {stage: of_stage[stage] for stage in self.output}

    @property
    def pyramid_outputs(self) -> dict[str, keras.KerasTensor]:
        """The feature maps by their level, as KerasHub expects. "P3" has stride 8.

        If several feature maps have the same stride, the deepest one is used.
        """
        return {f"P{stride.bit_length() - 1}": self.output[stage] for stage, stride in self.strides.items()}


def feature_pyramid(model: keras.Model, stages: Sequence[str] | None = None) -> FeaturePyramid:
    """Returns a model that outputs the last feature map of each stage and shares its layers with `model`.

    As in the paper, a stage ends after the addition of its last block. The feature map of the last stage is the input
    of global average pooling. In pre-activation networks and DenseNets, it is therefore the output of the last BN and
    ReLU.

    KerasHub's `RetinaNetBackbone` and `DeepLabV3Backbone` accept the pyramid as `image_encoder`. Import `keras_resnet`
    before you load such a model. The deepest level is "P4" with `output_stride=16` and "P3" with `output_stride=8`.
    With these values, `RetinaNetBackbone` does not accept a `max_level` of 5 or more.

    Args:
        model: A network built by this package, or a model that contains one.
        stages: Names of the stages to keep, such as `"conv3"`, in any order. Defaults to all stages.

    Returns:
        A `FeaturePyramid`. Its outputs are `{"conv2": (b, h/4, w/4, c), ...}`. For video networks, their shapes are
        `(b, frames, h/4, w/4, c)`. The properties `strides`, `channels` and `pyramid_outputs` describe the outputs. The
        keys of `pyramid_outputs` are "P2", "P3", ... by log2 of the stride, as KerasHub expects.

    Raises:
        ValueError: If `model` contains no network of this package, or if `stages` contains an unknown name or no name.

    Example:
        >>> pyramid = keras_resnet.feature_pyramid(keras_resnet.ResNet18(include_top=False))
        >>> pyramid.strides
        {'conv2': 4, 'conv3': 8, 'conv4': 16, 'conv5': 32}
    """
    network = require_network(model)
    ends = last_layers(network)
    for stage in ends if stages is None else stages:
        choose(ends, stage, "stages")
    kept = {stage: network.get_layer(name).output for stage, name in ends.items() if stages is None or stage in stages}
    if not kept:
        raise ValueError(f"stages must name at least one of {list(ends)}. Received: {stages!r}")
    image = network.inputs[0] if len(network.inputs) == 1 else network.inputs
    return describe(
        FeaturePyramid(image, kept, name=f"{network.name}_pyramid"), network.description._replace(class_names=None)
    )


def last_layers(network: Network) -> dict[str, str]:
    """Returns, for each stage, the name of the layer whose output is the last feature map of the stage."""
    row = network.variant
    end = "concat" if isinstance(row, DenseVariant) else "out"
    ends = {f"conv{stage}": f"conv{stage}_block{depth}_{end}" for stage, depth in enumerate(row.depths, 2)}
    names = {layer.name for layer in network.layers}
    for name in ("post_relu", "relu"):
        if name in names:
            ends[f"conv{len(row.depths) + 1}"] = name
    return ends
