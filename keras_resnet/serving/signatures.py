"""The doors of a SavedModel, as tables: what comes in, how it becomes images, what goes out."""

from collections.abc import Callable
from typing import NamedTuple

from keras_resnet.layers import tf
from keras_resnet.serving.pictures import Reader

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
FEATURE = "image/encoded"


class Served(NamedTuple):
    """What the signatures of one artifact share."""

    core: Callable  # images (b, h, w, c) -> a dict of `probabilities` (b, classes), and `embedding` if asked for
    shape: tuple  # (h, w, c)
    labels: tuple[str, ...]
    top_k: int
    read: Reader | None  # files -> images


def from_images(served: Served, images):
    # TF Serving itself lets any shape pass
    return tf.ensure_shape(images, (None, *served.shape))


def from_files(served: Served, files):
    return served.read(files)


def from_examples(served: Served, examples):
    return served.read(tf.io.parse_example(examples, {FEATURE: tf.io.FixedLenFeature((), tf.string)})[FEATURE])


def as_image(picture):
    return picture.astype("float32")


def as_file(picture) -> bytes:
    return tf.io.encode_jpeg(picture.astype("uint8")).numpy()


def as_example(picture) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[as_file(picture)]))
    return tf.train.Example(features=tf.train.Features(feature={FEATURE: feature})).SerializeToString()


class Input(NamedTuple):
    name: str
    dtype: str
    shape: Callable  # of one
    images: Callable  # of what came in
    request: Callable  # what a client sends for a picture, (h, w, c) of 0..255


#                 name           type       shape of one               -> images      <- a picture
IMAGE = Input(   "image",       "float32", lambda served: served.shape, from_images,   as_image)  # fmt: skip
FILE = Input(    "image_bytes", "string",  lambda served: (),           from_files,    as_file)  # fmt: skip
EXAMPLE = Input( "inputs",      "string",  lambda served: (),           from_examples, as_example)  # fmt: skip


def predictions(served: Served, images):
    probabilities = served.core(images)["probabilities"]
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
