"""Class activation maps: the positions in an image that increase the score of a class.

The map of class c is ReLU(sum over k of w_k A_k) (Grad-CAM, Selvaraju 2017, arXiv:1610.02391, equations 1 and 2). A_k
is channel k of the last feature map. w_k is the gradient of the score of c with respect to A_k, summed over positions.
The paper uses the mean over positions; the sum is the mean times the number of positions.

If the head is global average pooling and one dense layer, w_k is the weight of the dense layer. The map is then exactly
that of CAM (Zhou 2016, arXiv:1512.04150; see Selvaraju 2017, section 3.1).
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras
import numpy as np
from keras import ops

from keras_resnet.errors import choose, within
from keras_resnet.layers import check_channels_last, tf
from keras_resnet.resnet import recursion_limit

BATCH_SIZE = 32


def explain(model: keras.Model, images, classes=None) -> np.ndarray:
    """Returns class activation maps: heatmaps of the positions that increase the score of a class.

    The method is CAM (Zhou 2016, arXiv:1512.04150) if the head is global average pooling and one dense layer. For other
    heads, it is Grad-CAM (Selvaraju 2017, arXiv:1610.02391). Both use the scores before the last activation, such as
    softmax. A map is computed at the resolution of the last feature map. Then it is resized with bilinear
    interpolation, negative values are set to zero, and the map is divided by its maximum. Because of this division, the
    values of different images or classes cannot be compared.

    Args:
        model: A network built by this package, a Functional or Sequential model that contains one, or another
            Functional or Sequential model. It must have one image input, one output `(b, classes)`, and one last
            feature map `(b, h', w', c)` before the output.
        images: Input of `model`, `(b, h, w, c)`, after the preprocessing that `model` expects.
        classes: The class to explain: one integer for all images, or one integer for each image. Defaults to the class
            with the highest score of each image.

    Returns:
        float32 array `(b, h, w)` of values in 0..1. The maximum of each map is 1. A map without positive values is
        zero everywhere.

    Raises:
        ValueError: If `model` has other inputs (for example, video clips) or other outputs, if it does not have exactly
            one last feature map with more than one position, or if `images` or `classes` do not fit the model.

    Example:
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
        >>> heatmaps = keras_resnet.explain(model, images)
        >>> heatmaps.shape
        (2, 32, 32)
        >>> picture = keras_resnet.overlay(images[0], heatmaps[0])
    """
    maps, _ = class_activation(model, images, classes)
    return ops.convert_to_numpy(heatmaps_of(maps, tuple(images.shape[1:3])))


def heatmaps_of(maps, size: tuple):
    """Converts maps (b, h', w') to heatmaps (b, *size) in 0..1: ReLU, bilinear resizing, division by the maximum."""
    maps = ops.relu(maps)[..., np.newaxis]
    if tf is None:
        maps = ops.image.resize(maps, size, data_format="channels_last")[..., 0]
    else:  # the resize of Keras requires a size that is known before the graph runs
        maps = tf.image.resize(maps, size)[..., 0]
    return ops.divide_no_nan(maps, ops.max(maps, axis=(1, 2), keepdims=True))


def class_activation(model: keras.Model, images, classes=None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the maps of `explain` before ReLU, at the resolution of the feature map, and the scores (b, classes)."""
    choose(GRADIENTS, keras.backend.backend(), "The backend of Keras")
    network = split_model(model)
    shape, expected = tuple(getattr(images, "shape", ())), network.image.shape
    fits = len(shape) == 4 and shape[0] > 0
    if not fits or any(size not in (None, ours) for ours, size in zip(shape, expected, strict=True)):
        raise ValueError(f"images must be a batch of the shape {expected}. Received: the shape {shape}")
    parts = [_features(network, images[i : i + BATCH_SIZE]) for i in range(0, shape[0], BATCH_SIZE)]
    features, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    chosen = _check_classes(classes, scores)

    def score(x):
        return ops.sum(ops.take_along_axis(network.scores(x), chosen[:, np.newaxis], axis=1))

    gradient = GRADIENTS[keras.backend.backend()](score, ops.convert_to_tensor(features, dtype="float32"))
    weights = ops.convert_to_numpy(ops.sum(gradient, axis=(1, 2)))
    return np.einsum("bhwc,bc->bhw", features, weights), scores


def overlay(image, heatmap, alpha: float = 0.5) -> np.ndarray:
    """Returns an image with a heatmap drawn over it. The colours range from blue (0) through green to red (1).

    Args:
        image: `(h, w, 3)` RGB pixels from 0 to 255, integers or floats.
        heatmap: `(h', w')` values in 0..1, as `explain` returns them. If the size differs from that of `image`, the
            heatmap is resized with bilinear interpolation.
        alpha: The opacity of the heatmap, in 0..1. Defaults to 0.5.

    Returns:
        `(h, w, 3)` uint8 array.

    Raises:
        ValueError: If `image` or `heatmap` has another shape, or if `alpha` is not in 0..1.

    Example:
        >>> image = np.full((64, 96, 3), 255, "uint8")
        >>> picture = keras_resnet.overlay(image, np.eye(8))
        >>> picture.shape, picture.dtype
        ((64, 96, 3), dtype('uint8'))
    """
    from PIL import Image

    image, heatmap = np.asarray(image, "float32"), np.asarray(heatmap, "float32")
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"image must be RGB, of the shape (h, w, 3). Received: the shape {image.shape}")
    if heatmap.ndim != 2:
        raise ValueError(f"heatmap must be of the shape (h, w). Received: the shape {heatmap.shape}")
    within(alpha, "alpha", "in [0, 1]")
    height, width, _ = image.shape
    if heatmap.shape != (height, width):
        heatmap = np.asarray(Image.fromarray(heatmap).resize((width, height), Image.Resampling.BILINEAR))
    colours = 255 * np.clip(1.5 - np.abs(4 * heatmap[..., np.newaxis] - [3, 2, 1]), 0, 1)  # Matlab's "jet"
    return np.round((1 - alpha) * image + alpha * colours).clip(0, 255).astype("uint8")


class Step(NamedTuple):
    """One call of a layer or of another Keras operation, with symbolic arguments and results."""

    operation: Callable
    arguments: tuple  # args, kwargs
    outputs: list[keras.KerasTensor]

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        return [x for x in keras.tree.flatten(self.arguments) if isinstance(x, keras.KerasTensor)]


class SplitModel(NamedTuple):
    """A model in two parts: from the image to the last feature map, and from the feature map to the scores."""

    image: keras.KerasTensor
    trunk: list[Step]
    feature_map: keras.KerasTensor
    head: list[Step]
    output: keras.KerasTensor
    classifier: keras.layers.Dense | None  # if not None, `output` is its input; its activation is not applied
    tail: list[Step]  # from the scores to the output of the model

    def features(self, images):
        return run(self.trunk, self.image, images, self.feature_map)

    def scores(self, features):
        x = run(self.head, self.feature_map, features, self.output)
        if self.classifier is None:
            return x
        logits = ops.matmul(x, self.classifier.kernel)
        return logits if self.classifier.bias is None else logits + self.classifier.bias


def run(steps: list[Step], source: keras.KerasTensor, value, target: keras.KerasTensor):
    """Returns the value of `target` if the value of `source` is `value`. Values are deleted after their last use."""
    values = {id(source): value}
    last_use = {id(x): number for number, step in enumerate(steps) for x in step.inputs} | {id(target): len(steps)}

    def value_of(x):
        return values[id(x)] if isinstance(x, keras.KerasTensor) else x

    for number, step in enumerate(steps):
        args, kwargs = keras.tree.map_structure(value_of, step.arguments)
        outputs = keras.tree.flatten(step.operation(*args, **kwargs))
        values.update(zip(map(id, step.outputs), outputs, strict=True))
        for key in [key for key in values if last_use.get(key, -1) <= number]:
            del values[key]
    return values[id(target)]


# Keras stores each symbolic call in the layer. To avoid many stored calls, each model is traced only once.
_SPLIT_MODELS: WeakKeyDictionary[keras.Model, SplitModel] = WeakKeyDictionary()
# Layers that are allowed after the layer that computes the scores.
ACTIVATIONS = (keras.layers.Activation, keras.layers.Softmax, keras.layers.Identity, keras.layers.Dropout)


def split_model(model: keras.Model) -> SplitModel:
    """Returns the two parts of `model`. Raises ValueError if the model does not have these parts."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"model must be a Functional or Sequential keras.Model. Received: {model!r}")
    if model not in _SPLIT_MODELS:
        check_channels_last()
        _SPLIT_MODELS[model] = _split(model)
    return _SPLIT_MODELS[model]


def _split(model: keras.Model) -> SplitModel:
    if [len(x.shape) for x in model.inputs] != [4] or [len(x.shape) for x in model.outputs] != [2]:
        raise ValueError(
            "model must have one input (b, h, w, c) and one output (b, classes). Received: "
            f"inputs {[x.shape for x in model.inputs]}, outputs {[x.shape for x in model.outputs]}"
        )
    steps, (image,), (output,) = trace(model)
    producers = {id(x): step for step in steps for x in step.outputs}
    tail: list[Step] = []
    while isinstance(producers[id(output)].operation, ACTIVATIONS) or producers[id(output)].operation is same:
        tail.insert(0, producers[id(output)])
        (output,) = tail[0].inputs
    last = producers[id(output)]
    classifier = last.operation if type(last.operation) is keras.layers.Dense else None
    if classifier is not None:
        (output,) = last.inputs

    head: dict[int, Step] = {}
    maps = {id(x): x for x in _last_maps(output, producers, head)}
    if len(maps) != 1 or id(image) in maps:
        raise ValueError(
            "model must have one last feature map (b, h, w, c) of more than one position before its output (b, "
            f"classes). Received: {model.name!r}, with {[x.shape for x in maps.values() if x is not image]}"
        )
    (feature_map,) = maps.values()
    end = next(number for number, step in enumerate(steps, 1) if any(x is feature_map for x in step.outputs))
    ordered = [step for step in steps if id(step) in head]
    return SplitModel(image, steps[:end], feature_map, ordered, output, classifier, tail)


def _last_maps(output, producers: dict[int, Step], head: dict[int, Step]) -> Iterator[keras.KerasTensor]:
    """Yields the last feature maps from which `output` is computed. Adds the steps after these maps to `head`."""
    if len(output.shape) == 4 and tuple(output.shape[1:3]) != (1, 1):
        yield output
    elif id(output) in producers and id(producers[id(output)]) not in head:
        step = producers[id(output)]
        head[id(step)] = step
        for x in step.inputs:
            yield from _last_maps(x, producers, head)


def trace(model: keras.Model) -> tuple[list[Step], list[keras.KerasTensor], list[keras.KerasTensor]]:
    """Returns the steps of a model, its inputs and its outputs. Nested models are replaced by their steps."""
    steps: list[Step] = []

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        flat = keras.tree.flatten(outputs)
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
            inner, inputs, results = trace(layer)
            steps.extend(Step(same, ((x,), {}), [y]) for x, y in zip(keras.tree.flatten(args), inputs, strict=True))
            steps.extend(inner)
            steps.extend(Step(same, ((x,), {}), [y]) for x, y in zip(results, flat, strict=True))
        else:
            steps.append(Step(layer, (args, kwargs), flat))
        return outputs

    # clone_model creates a model of the same class and compiles it if the original is compiled. A plain keras.Model
    # avoids both.
    one = len(model.inputs) == len(model.outputs) == 1  # Keras warns if a model with a list of one input gets a tensor
    with recursion_limit(10 * len(model.layers)):
        plain = keras.Model(*((model.inputs[0], model.outputs[0]) if one else (model.inputs, model.outputs)))
        clone = keras.models.clone_model(plain, clone_function=lambda layer: layer, call_function=call)
    return steps, clone.inputs, clone.outputs


def same(x):
    return x


class MappedDense(keras.layers.Dense):
    """A classifier that also returns the heatmaps of the classes with the highest scores, float32 (b, h, w).

    The layer is called with three arguments: its usual input (b, k), the feature map (b, h', w', k) whose mean is this
    input, and the images, of which only the size is used.
    """

    def call(self, x, feature_map, images):
        scores = ops.matmul(x, self.kernel)
        if self.use_bias:
            scores = scores + self.bias
        weights = ops.take(self.kernel, ops.argmax(scores, axis=-1), axis=1)
        maps = ops.einsum("bhwk,kb->bhw", ops.cast(feature_map, "float32"), ops.cast(weights, "float32"))
        outputs = scores if self.activation is None else self.activation(scores)
        return outputs, heatmaps_of(maps, tuple(ops.shape(images)[1:3]))

    def compute_output_spec(self, x, feature_map, images):
        scores = keras.KerasTensor((*x.shape[:-1], self.units), self.compute_dtype)
        return scores, keras.KerasTensor(images.shape[:3], "float32")


def with_heatmaps(model: keras.Model) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Returns the output of `model`, the input of its classifier and the heatmaps, computed from `model.inputs[0]`.

    Nested models are replaced by their layers. The classifier is replaced by a `MappedDense` with a copy of its
    weights. Raises ValueError if the head of `model` is not global average pooling and one dense layer.
    """
    network = split_model(model)
    idle = (keras.layers.Dropout, keras.layers.Identity)
    head = [step.operation for step in network.head if step.operation is not same]
    kinds = [type(operation) for operation in head if not isinstance(operation, idle)]
    classifier = network.classifier
    if kinds != [keras.layers.GlobalAveragePooling2D] or classifier is None or classifier.quantization_mode:
        quantized = ", quantized" if classifier is not None and classifier.quantization_mode else ""
        ends = [f"{one.name} ({type(one).__name__})" for one in (*head, *([classifier] if classifier else []))]
        raise ValueError(
            "The signature 'cam' needs a model that ends in global average pooling and one dense layer, not quantized. "
            f"Received: {model.name!r}, whose layers after the last feature map are {ends}{quantized}"
        )
    images = model.inputs[0]
    feature_map = network.features(images)
    vector = run(network.head, network.feature_map, feature_map, network.output)
    mapped = MappedDense.from_config(classifier.get_config())
    scores, heatmaps = mapped(vector, feature_map, images)
    mapped.set_weights(classifier.get_weights())
    if not network.tail:
        return scores, vector, heatmaps
    return run(network.tail, network.tail[0].inputs[0], scores, network.tail[-1].outputs[0]), vector, heatmaps


def _features(network: SplitModel, images) -> tuple[np.ndarray, np.ndarray]:
    with _no_gradients():
        features = network.features(ops.cast(ops.convert_to_tensor(images), network.image.dtype))
        scores = ops.cast(network.scores(features), "float32")
    return ops.convert_to_numpy(ops.cast(features, "float32")), ops.convert_to_numpy(scores)


def _check_classes(classes, scores: np.ndarray) -> np.ndarray:
    count, number = scores.shape
    chosen = scores.argmax(-1) if classes is None else np.asarray(classes)
    if (
        chosen.shape not in ((), (count,))
        or chosen.dtype.kind not in "iu"
        or not ((chosen >= 0) & (chosen < number)).all()
    ):
        raise ValueError(
            f"classes must be an integer, or {count} integers, one for each image, in 0..{number - 1}. "
            f"Received: {classes!r}"
        )
    return np.broadcast_to(chosen, (count,)).astype("int32")


def _no_gradients():
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()


def tensorflow_gradient(function: Callable, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


def jax_gradient(function: Callable, x):
    import jax

    return jax.grad(function)(x)


def torch_gradient(function: Callable, x):
    import torch

    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


# backend -> function that returns the gradient of a scalar function
GRADIENTS: dict[str, Any] = {"tensorflow": tensorflow_gradient, "jax": jax_gradient, "torch": torch_gradient}
