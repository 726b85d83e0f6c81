"""Conversion of a model to one function with constant weights, which TensorFlow can fold, fuse and lay out."""

from typing import Any, NamedTuple

import keras

from keras_resnet.errors import choose, warn
from keras_resnet.layers import Conv2D, tf
from keras_resnet.machine import bfloat16_pays
from keras_resnet.serving.folding import WEIGHT_LAYERS, folding

# Name -> the compute dtype. None keeps the compute dtypes of the model.
OPTIMIZE: dict[str, str | None] = {"freeze": None, "bfloat16": "bfloat16"}
HALF = ("bfloat16", "float16")
# Layers that never compute in 16 bits: bfloat16 cannot represent normalized pixels of 0 to 255 exactly.
FULL_PRECISION_LAYERS = (keras.layers.Normalization, keras.layers.Rescaling)
# Largest size of the weights in bytes: the limit of a protocol buffer minus space for the graph.
LARGEST = 2**31 - 2**26


class Frozen(NamedTuple):
    """A frozen model: (b, h, w, c) float32 -> the outputs of the model in float32.

    Attributes:
        function: A concrete `tf.function`.
        optimize: The name in OPTIMIZE.
        folded: Names of the BN layers that were folded.
        kept: Names of the BN layers that were not folded.
    """

    function: Any
    optimize: str
    folded: tuple[str, ...]
    kept: tuple[str, ...]

    def __call__(self, images):
        return self.function(tf.convert_to_tensor(images, tf.float32))


def check_backend() -> None:
    if tf is None:
        raise ValueError(
            "Exports need Keras' TensorFlow backend: save the model as .keras and export it with that backend. "
            f"Received: the backend {keras.backend.backend()!r}"
        )


def freeze(model: keras.Model, optimize: str = "freeze") -> Frozen:
    """Returns an inference function of `model`, with BN folded and constant weights.

    Args:
        model: A Functional or Sequential `keras.Model`.
        optimize: "freeze" or "bfloat16". With "bfloat16", kernels are stored in bfloat16. All layers compute in
            bfloat16, except for the preprocessing and for the global pooling and the layers after it. A warning is
            issued if this machine does not compute faster in bfloat16.

    Returns:
        A `Frozen`.

    Raises:
        ValueError: If `optimize` is unknown, if the weights have more than 2 GB (the limit of a SavedModel), or if
            `fold_batch_norm` rejects the model.
    """
    check_backend()
    dtype = choose(OPTIMIZE, optimize, "optimize")
    if dtype == "bfloat16" and not bfloat16_pays():
        warn(
            "this machine does not compute faster in bfloat16, so the gain could not be measured here. The server "
            "should have a CPU with avx512_bf16 or AMX, a GPU of compute capability 8.0 or a TPU"
        )
    size = model.count_params() * (2 if dtype else 4)
    if size > LARGEST:
        raise ValueError(
            f"optimize must be None for a model of this size: constants may have {LARGEST / 1e9:.2f} GB in all. "
            f"Received: {optimize!r}, with weights of {size / 1e9:.2f} GB"
        )
    made = folding(model, lambda part: storage(part, dtype), {keras.layers.Dense: pointwise})
    trainable, other = (
        [keras.ops.convert_to_numpy(variable) for variable in variables]
        for variables in (made.model.trainable_variables, made.model.non_trainable_variables)
    )

    def constant(value):
        if dtype and value.ndim > 1 and value.dtype == "float32":  # store the kernel of the head in 16 bits
            return tf.cast(tf.constant(value.astype(tf.bfloat16.as_numpy_dtype)), tf.float32)
        return tf.constant(value)

    def outputs(images):
        weights = ([constant(value) for value in values] for values in (trainable, other))
        return float32(made.model.stateless_call(*weights, images, training=False)[0])

    return Frozen(as_function(model, outputs).get_concrete_function(), optimize, made.folded, made.kept)


def as_function(model: keras.Model, function=None):
    """Wraps `function` as a `tf.function` of one `image`. By default, the model itself in inference mode."""
    function = function or (lambda images: float32(model(images, training=False)))
    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")
    return tf.function(function, input_signature=[image], autograph=False)


def float32(outputs):
    return keras.tree.map_structure(lambda y: tf.cast(y, tf.float32), outputs)


def pointwise(layer: keras.layers.Dense, config: dict):
    """Replaces a dense layer on feature maps, as in a gate, by a 1x1 convolution. Keras would reshape at run time."""
    if len(layer.get_build_config()["input_shape"]) != 4:
        return keras.layers.Dense.from_config(config)
    return Conv2D(config["units"], 1, **{key: config[key] for key in ("name", "dtype", "activation", "use_bias")})


def storage(model: keras.Model, dtype: str | None) -> dict[str, str]:
    """Returns the dtype policy of each layer of the frozen copy.

    Layers whose outputs are vectors, such as those of the head, stay in float32. Kernels of layers that compute in
    16 bits are stored in 16 bits. The policies "mixed_..." would store 32 bits and cast.
    """
    policies = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model) or layer.quantization_mode:
            continue
        exact = isinstance(layer, FULL_PRECISION_LAYERS) or len(keras.tree.flatten(layer.output)[0].shape) == 2
        computed = "float32" if dtype and exact else dtype or layer.compute_dtype
        mixed = computed in HALF and type(layer) not in WEIGHT_LAYERS
        policies[layer.name] = f"mixed_{computed}" if mixed else computed
    return policies
