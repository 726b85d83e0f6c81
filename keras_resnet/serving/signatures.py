"""The outputs of a served model, the names of its classes and the signatures of its SavedModel."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import keras

from keras_resnet.activation_maps import with_heatmaps
from keras_resnet.errors import choose
from keras_resnet.layers import tf
from keras_resnet.network import find_network
from keras_resnet.preprocessing import Preprocessing, imagenet_classes
from keras_resnet.resnet import recursion_limit
from keras_resnet.serving.folding import all_layers, check_functional
from keras_resnet.serving.freezing import check_backend
from keras_resnet.serving.images import check_preprocessing, input_normalization

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
FEATURE = "image/encoded"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# Name of a data set -> the names of its classes.
LABELS: dict[str, Callable[[], tuple[str, ...]]] = {
    "imagenet": lambda: tuple(name for _, name in imagenet_classes()),
    "cifar10": lambda: CIFAR10,
}
# The last layer of a model without a classifier is one of these.
FEATURES = (
    *(keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten),
    *(keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.UnitNormalization),
)
SCORES = (keras.activations.linear, keras.activations.sigmoid, keras.activations.softmax)


class ServedModel(NamedTuple):
    """A model that is prepared for serving.

    Attributes:
        model: A model of the same layers. It outputs a dict of `probabilities` or `embedding`, and of the extras.
        source: The original model.
        reference: The same as `model`, with `logits` as an additional output if the model ends in a dense layer on a
            vector.
        labels: The names of the classes. Empty for a model without a classifier.
        row: The preprocessing to apply to files, or None.
        white: The value of white pixels, 1 or 255, if the model normalizes its input; otherwise None.
    """

    model: keras.Model
    source: keras.Model
    reference: keras.Model
    labels: tuple[str, ...]
    row: Preprocessing | None
    white: float | None

    @property
    def shape(self) -> tuple:
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def output(self) -> str:
        return "probabilities" if self.labels else "embedding"

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.model.name,
            "classes" if self.labels else "features": self.model.output[self.output].shape[-1],
            "preprocessing": self.row and asdict(self.row),
            "normalized_inside": self.white is not None,
            # A server that is older than this TensorFlow may not support an operation.
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        }


def serve(model, labels, preprocessing, *, extras: Collection[str] = ()) -> ServedModel:
    """Checks the model and the arguments of an export, and returns the `ServedModel`.

    `extras` are additional outputs: "embedding", the input of the last dense layer, (b, features), and "cam", the class
    activation map of the top-1 class, (b, h, w).
    """
    check_backend()
    check_functional(model)
    if [len(x.shape) for x in (*model.inputs, *model.outputs)] != [4, 2]:
        raise ValueError(
            "model must have one input (b, h, w, c) and one output (b, classes). "
            f"Received: inputs {[x.shape for x in model.inputs]}, outputs {[y.shape for y in model.outputs]}"
        )
    own = input_normalization(model)
    row = check_preprocessing(preprocessing, model, own)
    last, output = end_of(model)
    network = find_network(model)
    if labels is None and network is model and network is not None and output == "probabilities":
        labels = network.class_names
    names = check_labels(labels, model.outputs[0].shape[-1] if output == "probabilities" else 0)
    on_vector = isinstance(last, keras.layers.Dense) and last in model.layers and len(last.input.shape) == 2
    result, vector = model.outputs[0], last.input if on_vector else None
    outputs = {}
    if "cam" in extras:
        if output != "probabilities":
            raise ValueError(f"The signature 'cam' needs a model with a classifier. Received: {model.name!r}")
        result, vector, outputs["cam"] = with_heatmaps(model)
    outputs[output] = result
    if isinstance(last, keras.layers.Dense) and last.activation is keras.activations.linear:  # logits
        outputs[output] = keras.layers.Activation("softmax" if len(names) > 1 else "sigmoid", dtype="float32")(result)
    if "embedding" in extras:
        if not on_vector:
            raise ValueError(
                "The signature 'embedding' needs a model that ends in a dense layer on a vector. "
                f"Received: a model that ends in {last.name!r}, a {type(last).__name__}"
            )
        outputs["embedding"] = vector
    all_outputs = dict(outputs)
    if on_vector and names:
        config = last.get_config() | {"activation": "linear", "name": f"{last.name}_logits"}
        dense = keras.layers.Dense.from_config(config)
        all_outputs["logits"] = dense(vector)
        dense.set_weights(last.get_weights())
    with recursion_limit(10 * sum(1 for _ in all_layers(model))):
        whole, reference = (keras.Model(model.inputs[0], ends, name=model.name) for ends in (outputs, all_outputs))
    return ServedModel(whole, model, reference, names, row, own.white if own else None)


def end_of(model: keras.Model) -> tuple[Any, str]:
    """Returns the last operation that is not a linear activation, and the kind of its output.

    The kind is "probabilities" or "embedding". Logits count as probabilities, because a softmax is applied to them.
    """
    last = None
    for operation in reversed(getattr(model, "operations", model.layers)):
        last = end_of(operation)[0] if isinstance(operation, keras.Model) else operation
        idle = isinstance(last, keras.layers.Activation) and last.activation is keras.activations.linear
        if last is not None and not idle:
            break
    is_feature = isinstance(last, FEATURES) or (isinstance(last, keras.layers.Dense) and last.activation not in SCORES)
    return last, "embedding" if is_feature else "probabilities"


def check_labels(labels: str | Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Returns the name of each class, by default its index. Raises ValueError if the number of names is wrong."""
    if labels is None:
        return tuple(map(str, range(count)))
    names = choose(LABELS, labels, "labels, if not a sequence of strings,")() if isinstance(labels, str) else labels
    if not all(isinstance(name, str) for name in names) or len(names) != count:
        received = repr(labels) if isinstance(labels, str) else f"{len(names)} such as {list(names)[:3]}"
        raise ValueError(
            f"labels must be {count} strings, one for each class of the model (none without a classifier). "
            f"Received: {received}"
        )
    return tuple(names)


def example_of(file: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    return tf.train.Example(features=tf.train.Features(feature={FEATURE: feature})).SerializeToString()


def files_of(examples):
    return tf.io.parse_example(examples, {FEATURE: tf.io.FixedLenFeature((), tf.string)})[FEATURE]


def predictions(outputs: dict, labels: Sequence[str], top_k: int) -> dict:
    if not labels:
        return {"embedding": outputs["embedding"]}
    probabilities = outputs["probabilities"]
    scores, ids = tf.math.top_k(probabilities, min(top_k, len(labels)))
    names = tf.gather(tf.constant(labels), ids)
    return {"probabilities": probabilities, "top_labels": names, "top_scores": scores, "top_ids": ids}


def classes(outputs: dict, labels: Sequence[str], top_k: int) -> dict:
    """Returns exactly the outputs that TF Serving's Classify API requires."""
    best = predictions(outputs, labels, top_k)
    return {"classes": best["top_labels"], "scores": best["top_scores"]}


def only(name: str) -> Callable:
    return lambda outputs, labels, top_k: {name: outputs[name]}


class Signature(NamedTuple):
    """A row of SIGNATURES."""

    key: str  # the name of the signature in the SavedModel
    input: str  # the name of the input
    outputs: Callable  # (outputs of the model, labels, top_k) -> a dict of tensors
    decode: Callable | None = None  # strings -> files. None for a signature that takes images
    encode: Callable = bytes  # a file -> the string that a client sends
    method: str = PREDICT
    extra: str | None = None  # the additional output that a signature on request needs

    def function(self, core: Callable, shape: tuple, reader: Any, labels: Sequence[str], top_k: int):
        """Returns a `tf.function` of the signature's input. `core` is the function of the model."""

        def run(value):
            if self.decode is not None:
                return self.outputs(core(reader(self.decode(value))), labels, top_k)
            value = tf.ensure_shape(value, (None, *shape))  # TF Serving does not check it
            return self.outputs(core(value), labels, top_k)

        spec = tf.TensorSpec((None, *shape), name=self.input)
        if self.decode is not None:
            spec = tf.TensorSpec((None,), tf.string, name=self.input)
        return tf.function(run, input_signature=[spec], autograph=False)


SIGNATURES = {
    "images":      Signature("serving_default", "image",       predictions),
    "image_bytes": Signature("image_bytes",     "image_bytes", predictions, lambda files: files),
    "classify":    Signature("classify",        "inputs",      classes, files_of, example_of, CLASSIFY),
    "embedding":   Signature("embedding",       "image",       only("embedding"), extra="embedding"),
    "cam":         Signature("cam",             "image",       only("cam"), extra="cam"),
    "cam_bytes":   Signature("cam_bytes",       "image_bytes", only("cam"), lambda files: files, extra="cam"),
}  # fmt: skip


def names_of(signatures: Sequence[str] | None) -> list[str]:
    return [signatures] if isinstance(signatures, str) else list(signatures or ())


def extras_of(signatures: Sequence[str] | None) -> set[str]:
    """Returns the additional outputs that the signatures need. `choose_signatures` rejects unknown names later."""
    rows = (SIGNATURES[name] for name in names_of(signatures) if name in SIGNATURES)
    return {row.extra for row in rows if row.extra}


def choose_signatures(signatures: Sequence[str] | None, output: str) -> list[Signature]:
    """Returns the rows of SIGNATURES. By default, all signatures of the model that are not on request."""
    of_features = ("images", "image_bytes")
    allowed = {name: row for name, row in SIGNATURES.items() if output == "probabilities" or name in of_features}
    names = names_of(signatures) or [name for name, row in allowed.items() if not row.extra]
    return [choose(allowed, name, "signatures") for name in dict.fromkeys(names)]
