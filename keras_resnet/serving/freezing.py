"""A model as one function whose weights are constants: TensorFlow folds, fuses and lays out what cannot change."""

from math import prod
from typing import Any, NamedTuple

import keras

from keras_resnet.errors import choose, warn
from keras_resnet.layers import tf
from keras_resnet.machine import bfloat16_pays
from keras_resnet.serving.folding import WEIGHT_LAYERS, Graph, all_layers, folding
from keras_resnet.serving.portable import pointwise

# a name -> how it computes: the model's own types, or bfloat16
OPTIMIZE: dict[str, str | None] = {"freeze": None, "bfloat16": "bfloat16"}
HALF = ("bfloat16", "float16")
# never in 16 bits: the last bits of a pixel are below bfloat16's
EXACT = (keras.layers.Normalization, keras.layers.Rescaling)
# bytes of a file that protocol buffers can read, less room for the graph itself
LARGEST = 2**31 - 2**26


class Frozen(NamedTuple):
    """A function, (b, h, w, c) of float32 to the outputs of the model in float32, and what was done to get it."""

    function: Any
    optimize: str
    folded: tuple[str, ...]
    kept: tuple[str, ...]
    weight_bytes: int

    def __call__(self, images):
        return self.function(tf.convert_to_tensor(images, tf.float32))


def check_backend() -> None:
    if tf is None:
        raise ValueError(
            "Exports need Keras' TensorFlow backend: save the model as .keras, and export it from there. "
            f"Received: the backend {keras.backend.backend()!r}"
        )


def freeze(model: keras.Model, optimize: str = "freeze") -> Frozen:
    """`model` in inference, with BN folded and the weights as constants: (b, h, w, c) -> (b, classes), both float32.

    `optimize` is a name of OPTIMIZE. "bfloat16" keeps kernels in it, and computes in it but for the preprocessing and
    the head (all from the global pooling on); a warning says if this machine does not compute faster in it. Raises
    ValueError for another name, for more than 2 GB of weights, which no SavedModel can hold, and for what
    `fold_batch_norm` refuses.
    """
    check_backend()
    choose(OPTIMIZE, optimize, "optimize")
    if optimize == "bfloat16" and not bfloat16_pays():
        warn(
            "this machine does not compute faster in bfloat16, so the gain could not be measured here. The server "
            "should have a CPU with avx512_bf16 or AMX, a GPU of compute capability 8.0 or a TPU"
        )
    dtype = OPTIMIZE[optimize]
    size = weight_bytes(model, dtype)
    if size > LARGEST:
        raise ValueError(
            f"optimize must be None for a model of this size: constants may have {LARGEST / 1e9:.2f} GB in all. "
            f"Received: {optimize!r}, with weights of {size / 1e9:.2f} GB"
        )
    made = folding(model, lambda part: storage(part, dtype), {keras.layers.Dense: pointwise})
    values = [[keras.ops.convert_to_numpy(v) for v in made.model.trainable_variables]]
    values.append([keras.ops.convert_to_numpy(v) for v in made.model.non_trainable_variables])

    def constant(value):
        if dtype and value.ndim > 1 and value.dtype == "float32":  # the head's; TensorFlow casts it once, loading
            return tf.cast(tf.constant(value.astype(tf.bfloat16.as_numpy_dtype)), tf.float32)
        return tf.constant(value)

    def answer(images):
        trainable, other = ([constant(value) for value in part] for part in values)
        return float32(made.model.stateless_call(trainable, other, images, training=False)[0])

    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")
    function = tf.function(answer, input_signature=[image], autograph=False).get_concrete_function()
    return Frozen(function, optimize, made.folded, made.kept, size)


def float32(outputs):
    return keras.tree.map_structure(lambda y: tf.cast(y, tf.float32), outputs)


def weight_bytes(model: keras.Model, dtype: str | None = None) -> int:
    """Bytes of the weights, where 16 bits are kept of what is computed in them."""
    return sum(
        prod(weight.shape) * (2 if (dtype or layer.compute_dtype) in HALF else 4)
        for layer in all_layers(model)
        for weight in layer.weights
    )


def storage(model: keras.Model, dtype: str | None) -> dict[str, str]:
    """Layer -> dtype policy of the copy that is frozen.

    What is computed in 16 bits has its kernel kept in them, too: the policies "mixed_..." would keep 32 and cast.
    """
    computed = {layer.name: dtype or layer.compute_dtype for layer in model.layers}
    if dtype:
        exact = head(model) | {layer.name for layer in model.layers if isinstance(layer, EXACT)}
        computed |= dict.fromkeys(exact, "float32")
    policies = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model) or layer.quantization_mode:
            continue
        half = computed[layer.name] in HALF
        mixed = half and type(layer) not in WEIGHT_LAYERS
        policies[layer.name] = f"mixed_{computed[layer.name]}" if mixed else computed[layer.name]
    return policies


def head(model: keras.Model) -> set[str]:
    """The layers from the global pooling on: vectors, which no map is made of any more."""
    graph = Graph(model)
    names: set[str | None] = {None}
    for name in reversed(graph.sources):
        layer = graph.layers.get(name)
        if layer is not None and len(layer.output.shape) == 2 and names.issuperset(graph.consumers[name]):
            names.add(name)
    return {name for name in names if name}
