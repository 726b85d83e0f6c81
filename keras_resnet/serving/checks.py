"""What can be served, and how: every ValueError before anything is built or written."""

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.layers import tf
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing
from keras_resnet.serving.folding import all_layers
from keras_resnet.serving.normalization import input_normalization
from keras_resnet.serving.pictures import Reader
from keras_resnet.serving.signatures import SIGNATURES, Signature

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


def check_model(model) -> tuple[tuple, int]:
    """The shape of an image, (h, w, c), and the number of classes."""
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise ValueError(f"model must be a Functional or Sequential keras.Model. Received: {model!r}")
    ranks = [len(x.shape) for x in (*model.inputs, *model.outputs)]
    if len(model.inputs) != 1 or ranks != [4, 2]:
        raise ValueError(
            "model must have one input (b, h, w, c) and one output (b, classes). "
            f"Received: inputs {[x.shape for x in model.inputs]}, outputs {[y.shape for y in model.outputs]}"
        )
    classifier = find_classifier(model)
    if classifier and classifier.units == 1 and classifier.activation is keras.activations.linear:
        raise ValueError(
            "model must end in a sigmoid where it has one class: the softmax that logits get would always be 1. "
            f"Received: one whose {classifier.name!r} has no activation"
        )
    for layer in all_layers(model):
        if getattr(layer, "data_format", "channels_last") == "channels_first":
            raise ValueError(
                "model must be channels-last: elsewhere than on GPUs TensorFlow may not compute anything else. "
                f"Received: one whose layer {layer.name!r} has the data_format 'channels_first'"
            )
    return tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]


def check_signatures(signatures: Sequence[str] | None, output: str) -> list[Signature]:
    """The rows; None is all that the model has by default."""
    if signatures is None:
        return [SIGNATURES[name] for name in ("images", "image_bytes", "classify")[: 2 if output == "embedding" else 3]]
    if isinstance(signatures, str) or not isinstance(signatures, Sequence) or not signatures:
        raise ValueError(f"signatures must be a sequence of names, of {list(SIGNATURES)}. Received: {signatures!r}")
    chosen = [choose(SIGNATURES, name, "signatures") for name in signatures]
    if output == "embedding" and "classify" in signatures:
        raise ValueError(
            f"signatures must not have 'classify' for a model without a classifier. Received: {list(signatures)}"
        )
    if len(set(signatures)) < len(signatures):
        raise ValueError(f"signatures must be there once each. Received: {list(signatures)}")
    return chosen


def check_preprocessing(preprocessing: str | Preprocessing | None, model: keras.Model) -> Preprocessing | None:
    """The row; ValueError for one that the model would not get because it normalizes its input in another way."""
    row = preprocessing
    if row is not None and not isinstance(row, Preprocessing):
        row = choose(PREPROCESSINGS, row, "preprocessing")
    own = input_normalization(model)
    if row is None or own is None or own.is_like(row):
        return row
    factor = 255 / own.white
    raise ValueError(
        "preprocessing must be that which the model does itself, or None. To set only the size and the crop, pass a "
        f"Preprocessing with channels={own.channels!r}, mean={(own.mean * factor).tolist()}, "
        f"std={(own.std * factor).tolist()}, scale=1. Received: {row}"
    )


def make_reader(model: keras.Model, shape: tuple, row: Preprocessing | None) -> Reader:
    """From files to the images that `model` takes; ValueError where there is no way."""
    height, width, channels = shape
    own = input_normalization(model)
    white = own.white if own else 255.0
    if channels not in (1, 3):
        raise ValueError(
            f"signatures that take files need a model of 1 or 3 channels; signatures=('images',) is for others. "
            f"Received: a model of {channels} channels"
        )
    if row is None:
        if height is None or width is None:
            raise ValueError(
                "preprocessing must say the size of the pictures where the model does not, for signatures that take "
                f"files. Received: None, and a model of images {shape}"
            )
        return Reader(height, width, channels, white=white)
    if {height, width} - {None, row.size}:
        raise ValueError(
            f"preprocessing must have the size of the model's images, {height} x {width}: "
            "dataclasses.replace(preprocessing, size=..., resize=...) makes one. "
            f"Received: size={row.size}"
        )
    normalize = own is None
    if normalize and channels != 3:
        raise ValueError(
            "preprocessing normalizes three channels: for a model of one, put a keras.layers.Normalization into the "
            f"model. Received: {row}"
        )
    return Reader(row.size, row.size, channels, row, normalize, white)


def check_pictures(pictures, shape: tuple, reader: Reader | None) -> np.ndarray | None:
    """An array as it is, the files of a folder as `reader` reads them."""
    if isinstance(pictures, str | os.PathLike):
        pictures = read_folder(Path(pictures).expanduser(), reader)
    if pictures is None:
        return None
    pictures = np.asarray(pictures, "float32")
    fits = pictures.ndim == 4 and all(b in (None, a) for a, b in zip(pictures.shape[1:], shape, strict=True))
    if not fits or not len(pictures):
        raise ValueError(
            f"pictures must be (b, h, w, c) as the model takes them, {shape}, or a folder of files. "
            f"Received: the shape {pictures.shape}"
        )
    return pictures


def read_folder(folder: Path, reader: Reader | None) -> np.ndarray:
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in PICTURES)
    if not files or reader is None:
        raise ValueError(
            f"pictures, if a folder, must hold files {PICTURES} and needs a signature that takes files. "
            f"Received: {str(folder)!r} with {len(files)}"
        )
    return np.concatenate([reader(tf.constant([file.read_bytes()])).numpy() for file in files])


def find_last(model: keras.Model):
    """The last operation, within models too, but for activations that do nothing; None where all are such."""
    for layer in reversed(getattr(model, "operations", model.layers)):
        found = find_last(layer) if isinstance(layer, keras.Model) else layer
        idle = isinstance(found, keras.layers.Activation) and found.activation is keras.activations.linear
        if found is not None and not idle:
            return found
    return None


def find_classifier(model: keras.Model):
    """The dense layer that the answer comes from, but for activations that do nothing; or None."""
    last = find_last(model)
    return last if isinstance(last, keras.layers.Dense) else None


# What a model ends in that has no classifier.
FEATURES = (
    keras.layers.BatchNormalization,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.LayerNormalization,
    keras.layers.UnitNormalization,
)
SCORES = (keras.activations.linear, keras.activations.sigmoid, keras.activations.softmax)


def output_name(model: keras.Model) -> str:
    """Returns "embedding" for a model that ends in features, as with `include_top=False`; otherwise "probabilities"."""
    last = find_last(model)
    is_dense = isinstance(last, keras.layers.Dense)
    return (
        "embedding" if isinstance(last, FEATURES) or (is_dense and last.activation not in SCORES) else "probabilities"
    )


def find_embedding(model: keras.Model):
    """What the last dense layer gets, (b, features)."""
    last, end = find_classifier(model), find_last(model)
    if output_name(model) == "embedding" or last not in model.layers or len(last.input.shape) != 2:
        raise ValueError(
            "The signature 'embedding' needs a model that ends in a dense layer on a vector. "
            f"Received: one that ends in {end.name!r}, a {type(end).__name__}"
        )
    return last.input
