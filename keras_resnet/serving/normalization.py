"""The normalization at the input of a model, which tells the pixels that the model takes."""

from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.preprocessing import Preprocessing
from keras_resnet.resnet import recursion_limit
from keras_resnet.serving.folding import IDLE, Graph

# Layers that keep the range of the pixels in inference.
PASSING = (
    *IDLE,
    keras.layers.CenterCrop,
    keras.layers.GaussianNoise,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Resizing,
)


class InputNormalization(NamedTuple):
    """(x - mean) / std, one number or one for each channel, for pixels x of 0 to `white`, which is 1 or 255."""

    white: float
    channels: str
    mean: np.ndarray
    std: np.ndarray

    def is_like(self, row: Preprocessing) -> bool:
        """Whether `row` does the same to the pixels of a file, to a thousandth."""
        channels, *figures = row.arithmetic()
        factor = 255 / self.white
        return channels == self.channels and all(
            np.allclose(ours * factor, theirs, rtol=1e-3)
            for ours, theirs in zip((self.mean, self.std), figures, strict=True)
        )


def input_normalization(model: keras.Model) -> InputNormalization | None:
    """Returns the product of the Normalization and Rescaling layers at the input of `model`, before any other layer.

    Layers that keep the range of the pixels may stand between. Layers of this kind elsewhere do not count. None if
    there are none, or if they do nothing.

    Means and deviations of at most 1 are taken for those of pixels of 0 to 1, others for those of 0 to 255.
    """
    scale, offset, bgr = np.ones(1), np.zeros(1), False
    for operation in path_from_input(model):
        if is_channel_flip(operation):
            scale, offset, bgr = scale[::-1], offset[::-1], not bgr
        elif (step := affine(operation)) is not None:
            scale, offset = scale * step[0], offset * step[0] + step[1]
        elif not isinstance(operation, PASSING):
            break
    if (scale <= 0).any() or (np.allclose(scale, 1) and np.allclose(offset, 0)):
        return None
    mean, std = -offset / scale, 1 / scale
    white = 1.0 if max(np.abs(mean).max(), std.max()) <= 1 else 255.0
    return InputNormalization(white, "bgr" if bgr else "rgb", mean, std)


def path_from_input(model: keras.Model) -> Iterator:
    """Yields the operations that the input goes through, also those of models inside, and None where it branches."""
    with recursion_limit(10 * len(model.layers)):
        whole = keras.Model(model.inputs[0], model.outputs[0])
        graph = Graph(whole)
    operations = {operation.name: operation for operation in whole.operations}
    name = next(name for name, sources in graph.sources.items() if not sources)
    while graph.consumers[name] != [None]:
        following = graph.following(name)
        if following is None or not graph.is_once(following):
            yield None
            return
        name = following
        if isinstance(operations[name], keras.Model) and getattr(operations[name], "inputs", None):
            yield from path_from_input(operations[name])
        else:
            yield operations[name]


def is_channel_flip(operation) -> bool:
    """Whether this is `keras.ops.flip(x, axis=-1)` of images, which `preprocessing_layers` uses for BGR."""
    return type(operation).__name__ == "Flip" and operation.axis in (-1, 3)


def affine(operation) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns scale and offset of a layer that computes scale * x + offset for each channel; otherwise None."""
    if isinstance(operation, keras.layers.Rescaling):
        return np.ravel(operation.scale).astype("float64"), np.ravel(operation.offset).astype("float64")
    if not isinstance(operation, keras.layers.Normalization) or operation.invert:
        return None
    mean, variance = (keras.ops.convert_to_numpy(value) for value in (operation.mean, operation.variance))
    if mean.size != mean.shape[-1]:  # other numbers for each pixel
        return None
    std = np.maximum(np.sqrt(variance.ravel().astype("float64")), keras.config.epsilon())
    return 1 / std, -mean.ravel() / std
