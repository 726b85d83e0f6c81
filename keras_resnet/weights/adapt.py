"""Adaptation of a checkpoint to a model that differs from the network of the checkpoint on purpose."""

import logging
import re

import keras
import numpy as np

from keras_resnet.errors import RandomClassifierWarning, warn
from keras_resnet.weights.names import Named, find_classifier, find_naming
from keras_resnet.weights.state_dict import is_float, to_keras

log = logging.getLogger("keras_resnet")


def adapted(
    model: keras.Model, state: dict[str, np.ndarray], targets: list[Named], naming: str, new_head: bool
) -> tuple[dict[str, np.ndarray], list[Named]]:
    """Returns the adapted tensors and their targets, without those that are not loaded.

    The classifier is not loaded if `model` has no classifier, or if the number of classes differs and `new_head` is
    True.
    """
    rules = find_naming(naming)
    theirs = find_classifier(state, naming) or rules.classifier
    parts = {rules.classifier + suffix: theirs + suffix for suffix in rules.variables.values()}
    body = [target for target in targets if target.layer != "predictions"]
    head = [target._replace(tensor=parts[target.tensor]) for target in targets if target.layer == "predictions"]
    if not head:
        for tensor in parts.values():
            if state.pop(tensor, None) is not None:
                log.info("%s has no classifier: %s is left out", model.name, tensor)
    elif _is_of_other_classes(state, head):
        found, ours = to_keras(state[head[0].tensor], head[0]).shape[-1], head[0].variable.shape[-1]
        if not new_head:
            raise ValueError(
                f"classes must be {found}, as in the classifier of these weights (for a new one of {ours}: "
                f"load_pretrained). Received: {ours}"
            )
        warn(
            f"{model.name!r} has {ours} classes and these weights {found}: its classifier 'predictions' keeps its "
            "random initialization.",
            RandomClassifierWarning,
        )
        for target in head:
            del state[target.tensor]
        head = []
    for target in body:
        if re.fullmatch(r"conv1(_1|_space)?_conv/kernel", target.variable.path) and target.tensor in state:
            state[target.tensor] = _with_channels(state[target.tensor], target, model.name)
    if rules.order == "original":
        _absorb_biases(model, state, body)
    return state, body + head


def _is_of_other_classes(state: dict[str, np.ndarray], head: list[Named]) -> bool:
    """Returns whether the state has a classifier that differs from `head` only in the number of classes."""
    shapes = [to_keras(state[target.tensor], target).shape for target in head if target.tensor in state]
    expected = [tuple(target.variable.shape) for target in head]
    same_except_classes = [shape[:-1] for shape in shapes] == [shape[:-1] for shape in expected] and all(shapes)
    return same_except_classes and len({shape[-1] for shape in shapes}) == 1 and shapes[0][-1] != expected[0][-1]


def _absorb_biases(model: keras.Model, state: dict[str, np.ndarray], targets: list[Named]) -> None:
    """Subtracts the bias of a convolution from the moving mean of the next BN. This does not change the outputs.

    A bias is not changed if the model has this bias too, or if there is a ReLU between the convolution and BN.
    """
    expected = {target.tensor for target in targets}
    means = {target.layer: target for target in targets if target.variable.path.endswith("moving_mean")}
    for target in targets:
        mean = means.get(target.layer.removesuffix("_conv") + "_bn")
        name = re.sub("(weight|kernel)$", "bias", target.tensor)
        bias = None if name in expected else state.get(name)
        if mean is None or bias is None or not target.layer.endswith("_conv") or mean.tensor not in state:
            continue
        if model.get_layer(mean.layer).input is not model.get_layer(target.layer).output:
            continue
        if is_float(bias) and bias.shape == state[mean.tensor].shape == tuple(mean.variable.shape):
            log.info("%s has no %s: it goes into %s", model.name, name, mean.tensor)
            state[mean.tensor] = state[mean.tensor] - state.pop(name)


def _with_channels(array: np.ndarray, target: Named, name: str) -> np.ndarray:
    """Returns a kernel of conv1, adapted from 3 input channels to the number of channels of the variable.

    For one channel, the kernel is summed: the output for a gray image is that of the original kernel for three equal
    channels. For more than three channels, the kernel is repeated and scaled so that the sum over channels has the same
    size. For standardized kernels, this holds up to a factor for each filter.
    """
    *sizes, channels, filters = target.variable.shape
    axis, expected = (1, (filters, 3, *sizes)) if target.output_channels_first else (len(sizes), (*sizes, 3, filters))
    if channels == 3 or array.shape != expected or not is_float(array):
        return array
    log.info("%s has %s input channels: the kernels of conv1 are adapted from 3", name, channels)
    array = array.astype("float32")
    if channels == 1:
        return array.sum(axis=axis, keepdims=True)
    return np.take(array, np.arange(channels) % 3, axis=axis) * np.float32(3 / channels)
