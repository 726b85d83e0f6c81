"""The export check: whether what was written computes what the model computes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_resnet.errors import within
from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.serving.reference import normalize, read_files, sample_files
from keras_resnet.serving.signatures import Signature

# Precision -> the largest relative difference of the logits, see `agreement`.
TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 0.05, "int8": 0.5}
# Probabilities below this value are compared as this value: log(0) is infinite.
SMALLEST = 1e-30
# Scores of different images and classes must vary by this share of their size, or they are taken to be constant:
# float32 probabilities cannot resolve less.
LEAST_SPREAD = 1e-4


class Agreement(NamedTuple):
    """The result of the comparison.

    Attributes:
        pictures: Number of images compared, over all signatures.
        same_top_1: Number of images with the same most probable class. Images on which the model's two best logits are
            closer than the allowed difference count as the same.
        difference: Root mean square of the difference of the logits, divided by the standard deviation of the model's
            logits over images and classes.
    """

    pictures: int
    same_top_1: int
    difference: float

    def __str__(self):
        return (
            f"same class for {self.same_top_1} of {self.pictures} images, "
            f"relative difference of the logits {self.difference:.1e}"
        )


def logits_of(values: np.ndarray, like: np.ndarray, smallest: float) -> np.ndarray:
    """Undoes the activation of the classifier, which is known by its outputs `like`; other outputs stay as they are.

    Of a softmax: log(p), which is the logits but for a constant for each image. Of a sigmoid: log(p / (1 - p)).
    """
    if like.min() < 0 or like.max() > 1 + 1e-5:
        return values
    log = np.log(values.clip(smallest, 1))
    if like.shape[1] > 1 and np.allclose(like.sum(1), 1, atol=1e-3):
        return log
    return log - np.log((1 - values).clip(smallest, 1))


def agreement(written, expected, tolerance: float, *, logits=None, ids=None, smallest: float = SMALLEST) -> Agreement:
    """Compares outputs by their logits.

    Args:
        written: (b, n), the outputs of what was written: probabilities or an embedding.
        expected: (b, classes), the outputs of the model.
        tolerance: Largest relative difference allowed. A different top-1 class counts only if the model's two best
            logits differ by more than twice this, relative to the spread: closer classes are ties.
        logits: (b, classes), the logits of the model. Defaults to those that `expected` tells, which end at log(1e-30).
        ids: (b, n), the classes that `written` has the probabilities of. Defaults to all, in order.
        smallest: The smallest probability that `written` can tell from 0.
    """
    written, expected = np.asarray(written, "float64"), np.asarray(expected, "float64")
    reference = logits_of(expected, expected, smallest)
    is_embedding = reference is expected
    if ids is None:
        ids = np.broadcast_to(np.arange(expected.shape[1]), expected.shape)
    wanted = np.take_along_axis(reference, ids, 1)
    errors = logits_of(written, expected, smallest) - wanted
    # Where both are at most `smallest`, nothing is compared. NaN is compared.
    both_small = np.maximum(written, np.take_along_axis(expected, ids, 1)) <= smallest
    errors = errors if is_embedding else errors[~both_small]
    logits = reference if logits is None else logits
    centred = logits - logits.mean(1, keepdims=True) if expected.shape[1] > 1 else logits
    spread = max(centred.std(), LEAST_SPREAD * np.abs(logits).max(), 1e-30)
    difference = float(np.sqrt(np.mean(errors**2)) / spread) if errors.size else np.inf
    difference = difference if np.isfinite(difference) else np.inf
    same = np.ones(len(expected), bool)
    if expected.shape[1] > 1 and not is_embedding:
        second, first = np.sort(logits)[:, -2:].T
        best = np.take_along_axis(ids, written.argmax(1)[:, np.newaxis], 1)[:, 0]
        same = (best == logits.argmax(1)) | (first - second <= 2 * tolerance * spread)
    return Agreement(len(expected), int(same.sum()), difference)


def check_tolerance(tolerance: float | None, precision: str) -> float:
    return TOLERANCES[precision] if tolerance is None else within(tolerance, "tolerance", "more than 0")


def check_agreement(found: Agreement, tolerance: float) -> Agreement:
    if found.same_top_1 == found.pictures and found.difference <= tolerance:
        return found
    raise RuntimeError(f"What was written differs from the model and was deleted: {found}, tolerance={tolerance:g}")


def compare_signatures(
    path: Path, chosen: Sequence[Signature], core: Callable, reader, row, images, labels, tolerance: float
) -> Agreement:
    """Compares each signature of a SavedModel with the model.

    Args:
        path: Directory of the SavedModel.
        chosen: The signatures.
        core: The model: a function from images to a dict of arrays, with its `logits` if known.
        reader: The `Reader` of the signatures that take files.
        row: The `Preprocessing` that files must get, or None.
        images: (b, h, w, c) as the model takes them, for the signatures that take images.
        labels: The names of the classes, in order.
        tolerance: See `agreement`.

    Returns:
        An `Agreement` over all signatures.

    Raises:
        RuntimeError: If the images that `reader` makes of files differ from those of PIL.
    """
    files = sample_files(reader.height, reader.width, row) if reader else []
    sources = {True: check_images(reader, files, row)} if reader else {}
    if not all(signature.takes_files for signature in chosen):
        sources[False] = images
    found = []
    with without_tf32(), loaded(path) as run:
        outputs = {takes_files: in_batches(core, source) for takes_files, source in sources.items()}
        for signature in chosen:
            if signature.takes_files:
                requests = np.array(list(map(signature.input.file, files)), object)
            else:
                requests = images
            written = in_batches(partial(run, signature), requests)
            found.append(compare(written, outputs[signature.takes_files], labels, tolerance))
    return Agreement(
        sum(one.pictures for one in found), sum(one.same_top_1 for one in found), max(one.difference for one in found)
    )


def check_images(reader, files: list[bytes], row: Preprocessing | None) -> np.ndarray:
    """Returns the images that `reader` makes of files; RuntimeError if PIL makes others."""
    images = reader(tf.constant(files)).numpy()
    expected, levels = read_files(files, images.shape[1:], row), np.array(255 / reader.white)
    if row and reader.normalize:
        expected, levels = normalize(expected, row), row.scale * np.array(row.std)
    else:
        expected *= reader.white / 255
    difference = np.abs(images - expected) * levels
    if not difference.max() < 1.5:  # 1 and the rounding of float32
        raise RuntimeError(
            "What was written differs from the model and was deleted: the images made of files differ from those of "
            f"PIL by up to {difference.max():.3g} of 255 levels"
        )
    return images


def in_batches(function: Callable, values: np.ndarray, size: int = 32) -> dict[str, np.ndarray]:
    parts = [function(values[start : start + size]) for start in range(0, len(values), size)]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def compare(written: dict, expected: dict, labels: Sequence[str], tolerance: float) -> Agreement:
    """Compares the outputs of one signature with those of the model."""
    if "embedding" in written:
        return agreement(written["embedding"], expected["embedding"], tolerance)
    probabilities, logits = expected["probabilities"], expected.get("logits")
    if "classes" in written:
        ids = ids_of(written["classes"].astype(str), written["scores"], probabilities, labels)
        return agreement(written["scores"], probabilities, tolerance, logits=logits, ids=ids)
    ids = written["top_ids"]
    best = agreement(written["top_scores"], probabilities, tolerance, logits=logits, ids=ids)
    found = agreement(written["probabilities"], probabilities, tolerance, logits=logits)
    if (np.array(labels)[ids] != written["top_labels"].astype(str)).any():
        found = found._replace(same_top_1=0)
    return found._replace(
        same_top_1=min(found.same_top_1, best.same_top_1), difference=max(found.difference, best.difference)
    )


def ids_of(names: np.ndarray, scores: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Returns (b, k), the class of each label: among classes of the same name, the one with the nearest score."""
    classes: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    ids = np.empty(names.shape, int)
    for place in np.ndindex(*names.shape):
        same_name = classes[str(names[place])]
        ids[place] = same_name[np.abs(probabilities[place[0], same_name] - scores[place]).argmin()]
    return ids


@contextmanager
def loaded(path: Path) -> Iterator[Callable]:
    """Yields a function (signature, batch) -> dict of arrays, which runs a session as TF Serving does."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default(), without_deprecation_warnings():
            definitions = tf.compat.v1.saved_model.load(session, ["serve"], str(path)).signature_def

        def run(signature: Signature, batch) -> dict:
            definition = definitions[signature.key]
            outputs = {name: tensor.name for name, tensor in definition.outputs.items()}
            return session.run(outputs, {definition.inputs[signature.input.name].name: batch})

        yield run
    finally:
        session.close()


@contextmanager
def without_tf32() -> Iterator[None]:
    """GPUs compute in float32 here, and not in TensorFloat-32, which has 10 bits."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@contextmanager
def without_deprecation_warnings() -> Iterator[None]:
    log = logging.getLogger("tensorflow")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
