"""The doors of a SavedModel, as tables: what comes in, how it becomes images, what goes out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras_resnet.errors import choose
from keras_resnet.layers import tf
from keras_resnet.preprocessing import imagenet_classes

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
FEATURE = "image/encoded"


class Served(NamedTuple):
    """What the signatures of one artifact share."""

    core: Callable  # images (b, h, w, c) -> a dict of `probabilities` (b, classes), and `embedding` if asked for
    shape: tuple  # (h, w, c)
    labels: tuple[str, ...]
    top_k: int
    reader: Any  # files -> images, a pictures.Reader; None where no signature takes files


def from_images(served: Served, images):
    # TF Serving itself lets any shape pass
    return tf.ensure_shape(images, (None, *served.shape))


def from_files(served: Served, files):
    return served.reader(files)


def from_examples(served: Served, examples):
    return served.reader(tf.io.parse_example(examples, {FEATURE: tf.io.FixedLenFeature((), tf.string)})[FEATURE])


def as_image(picture):
    return picture.astype("float32")


def as_file(picture) -> bytes:
    return tf.io.encode_jpeg(picture.astype("uint8")).numpy()


def as_example(picture) -> bytes:
    return example_of(as_file(picture))


def example_of(file: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    return tf.train.Example(features=tf.train.Features(feature={FEATURE: feature})).SerializeToString()


class Input(NamedTuple):
    name: str
    dtype: str
    shape: Callable  # of one
    images: Callable  # of what came in
    request: Callable  # what a client sends for a picture, (h, w, c) of 0..255
    file: Callable = bytes  # what a client sends for the bytes of a file


#                 name           type       shape of one               -> images      <- a picture
IMAGE = Input(   "image",       "float32", lambda served: served.shape, from_images,   as_image)  # fmt: skip
FILE = Input(    "image_bytes", "string",  lambda served: (),           from_files,    as_file,    bytes)  # fmt: skip
EXAMPLE = Input( "inputs",      "string",  lambda served: (), from_examples, as_example, example_of)  # fmt: skip


def predictions(served: Served, images):
    outputs = served.core(images)
    if "probabilities" not in outputs:  # a model without a classifier
        return {"embedding": outputs["embedding"]}
    probabilities = outputs["probabilities"]
    scores, ids = tf.math.top_k(probabilities, served.top_k)
    labels = tf.gather(tf.constant(served.labels), ids)
    return {"probabilities": probabilities, "top_labels": labels, "top_scores": scores, "top_ids": ids}


def classes(served: Served, images):
    """What TF Serving's Classify takes, and nothing else."""
    best = predictions(served, images)
    return {"classes": best["top_labels"], "scores": best["top_scores"]}


def embedding(served: Served, images):
    return {"embedding": served.core(images)["embedding"]}


class Signature(NamedTuple):
    key: str  # in the SavedModel
    input: Input
    outputs: Callable  # of images
    method: str = PREDICT

    @property
    def takes_files(self) -> bool:
        return self.input is not IMAGE

    def answer(self, served: Served, value):
        return self.outputs(served, self.input.images(served, value))

    def function(self, served: Served):
        name, dtype, shape, *_ = self.input
        spec = tf.TensorSpec((None, *shape(served)), dtype, name=name)
        return tf.function(lambda value: self.answer(served, value), input_signature=[spec], autograph=False)


SIGNATURES = {
    "images":      Signature("serving_default", IMAGE,   predictions),
    "image_bytes": Signature("image_bytes",     FILE,    predictions),
    "classify":    Signature("classify",        EXAMPLE, classes,    CLASSIFY),
    "embedding":   Signature("embedding",       IMAGE,   embedding),
}  # fmt: skip

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# names of data sets -> those of their classes
LABELS: dict[str, Callable[[], tuple[str, ...]]] = {
    "imagenet": lambda: tuple(name for _, name in imagenet_classes()),
    "cifar10": lambda: CIFAR10,
}


def check_labels(labels: str | Sequence[str] | None, classes: int, output: str = "probabilities") -> tuple[str, ...]:
    """A name for each of the classes: by default its position. ValueError where they are not as many, or no strings."""
    if output == "embedding":
        if labels is not None:
            raise ValueError(f"labels must be None for a model without a classifier. Received: {labels!r}")
        return ()
    if labels is None:
        return tuple(map(str, range(classes)))
    if isinstance(labels, str):
        told, labels = repr(labels), choose(LABELS, labels, "labels, if not a sequence of strings,")()
    else:
        told, labels = f"{type(labels).__name__} of {len(labels)}", tuple(labels)
    strange = [label for label in labels if not isinstance(label, str)]
    if strange:
        raise ValueError(f"labels must be strings. Received: {strange[0]!r} among them")
    if len(labels) != classes:
        raise ValueError(f"labels must be {classes}, one a class of the model. Received: {told}, {len(labels)} labels")
    return labels
