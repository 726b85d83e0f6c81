"""The export check.

The exported model must compute the same outputs as the model. Its decoding and resizing of files must equal PIL's.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_resnet.activation_maps import class_activation, heatmaps_of
from keras_resnet.errors import within
from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing, resize_image
from keras_resnet.serving.folding import all_layers
from keras_resnet.serving.freezing import as_function
from keras_resnet.serving.images import Reader
from keras_resnet.serving.signatures import ServedModel, Signature

# Precision -> the largest allowed relative difference of the logits. See `agreement`.
TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 0.05, "int8": 0.5}
# Probabilities below this value are compared as this value: log(0) is infinite.
SMALLEST = 1e-30
# If the standard deviation of the logits is less than this fraction of their largest magnitude, the logits count as
# constant: float32 probabilities cannot resolve smaller differences.
LEAST_SPREAD = 1e-4
# Sizes of the test files, as (height, width) relative to the size of the model's images.
RELATIVE_SIZES = [(1, 1), (1.3, 1.1), (0.7, 1.2), (1.1, 1.9), (2.3, 1.4), (0.9, 0.6)]


class Agreement(NamedTuple):
    """The result of the comparison.

    Attributes:
        images: Number of images compared, over all signatures.
        same_top_1: Number of images with the same most probable class. If the model's two best logits are closer than
            the allowed difference, the image counts as the same.
        difference: Root mean square of the difference of the logits, divided by the standard deviation of the model's
            logits over images and classes.
    """

    images: int
    same_top_1: int
    difference: float

    def __str__(self):
        return (
            f"same class for {self.same_top_1} of {self.images} images, "
            f"relative difference of the logits {self.difference:.1e}"
        )


def logits_of(values: np.ndarray, like: np.ndarray, smallest: float) -> np.ndarray:
    """Inverts the activation of the classifier. The activation is inferred from `like`, the outputs of the model.

    For a softmax, returns log(p): the logits up to a constant per image. For a sigmoid, returns log(p / (1 - p)).
    Other outputs are returned unchanged.
    """
    if like.min() < 0 or like.max() > 1 + 1e-5:
        return values
    log = np.log(values.clip(smallest, 1))
    if like.shape[1] > 1 and np.allclose(like.sum(1), 1, atol=1e-3):
        return log
    return log - np.log((1 - values).clip(smallest, 1))


def agreement(written, expected, tolerance: float, *, logits=None, ids=None, smallest: float = SMALLEST) -> Agreement:
    """Compares the logits of two sets of outputs.

    Args:
        written: (b, n), the outputs of the exported model: probabilities or an embedding.
        expected: (b, classes), the outputs of the model.
        tolerance: Largest allowed relative difference. A different top-1 class is an error only if the model's two
            best logits differ by more than twice the tolerance, relative to `spread_of(logits)`. Otherwise the two
            classes are a tie.
        logits: (b, classes), the logits of the model. By default they are computed from `expected`, with probabilities
            clipped at 1e-30.
        ids: (b, n), the class indices of `written`. Defaults to all classes, in order.
        smallest: The smallest probability that `written` can distinguish from 0.
    """
    written, expected = np.asarray(written, "float64"), np.asarray(expected, "float64")
    implied = logits_of(expected, expected, SMALLEST)
    is_embedding, logits = implied is expected, implied if logits is None else logits
    if ids is None:
        ids = np.broadcast_to(np.arange(expected.shape[1]), expected.shape)
    wanted = np.take_along_axis(expected, ids, 1)
    errors = logits_of(written, expected, smallest) - logits_of(wanted, expected, smallest)
    if not is_embedding:  # skip probabilities that are too small on both sides, but keep NaN
        errors = errors[~(np.maximum(written, wanted) <= smallest)]
    spread = spread_of(logits)
    difference = float(np.sqrt(np.mean(errors**2)) / spread) if errors.size else np.inf
    same = np.ones(len(expected), bool)
    if expected.shape[1] > 1 and not is_embedding:
        second, first = np.sort(logits)[:, -2:].T
        best = np.take_along_axis(ids, written.argmax(1)[:, np.newaxis], 1)[:, 0]
        same = (best == logits.argmax(1)) | (first - second <= 2 * tolerance * spread)
    return Agreement(len(expected), int(same.sum()), difference if np.isfinite(difference) else np.inf)


def spread_of(logits: np.ndarray) -> float:
    centred = logits - logits.mean(1, keepdims=True) if logits.shape[1] > 1 else logits
    return max(centred.std(), LEAST_SPREAD * np.abs(logits).max(), 1e-30)


def check_tolerance(tolerance: float | None, model: keras.Model, precision: str | None) -> float:
    """Returns `tolerance`. By default, the largest tolerance of `precision` and the compute dtypes of `model`."""
    if tolerance is not None:
        return within(tolerance, "tolerance", "more than 0")
    precisions = {precision, *(layer.compute_dtype for layer in all_layers(model))}
    return max(TOLERANCES.get(one, TOLERANCES["float32"]) for one in precisions)


def check_agreement(found: Agreement, tolerance: float) -> Agreement:
    if found.same_top_1 == found.images and found.difference <= tolerance:
        return found
    raise RuntimeError(f"What was written differs from the model and was deleted: {found}, tolerance={tolerance:g}")


def compare_signatures(
    path: Path, chosen: Sequence[Signature], served: ServedModel, reader: Reader | None, tolerance: float
) -> Agreement:
    """Compares each signature of the SavedModel `path` with the model.

    Signatures that take images are compared on generated images. Signatures that take files are compared on generated
    files. Raises RuntimeError if the images that `reader` decodes differ from PIL's, and ValueError if the outputs of
    the model are not probabilities.
    """
    files = sample_files(reader.height, reader.width, served.row) if reader else []
    inputs = {False: sample_images(served)} | ({True: read_as_pil(reader, files, served.row)} if reader else {})
    signatures, model, found = tf.saved_model.load(str(path)).signatures, as_function(served.reference), []
    with without_tf32():
        for signature in chosen:
            takes_files = signature.decode is not None
            requests = list(map(signature.encode, files)) if takes_files else inputs[False]
            written = to_numpy(signatures[signature.key](**{signature.input: tf.constant(requests)}))
            if signature.extra == "cam":
                found.append(compare_heatmaps(written["cam"], served.source, inputs[takes_files], tolerance))
            else:
                found.append(compare(written, to_numpy(model(inputs[takes_files])), tolerance, served.labels))
    images, same, difference = zip(*found, strict=True)
    return Agreement(sum(images), sum(same), max(difference))


def compare(
    written: dict, expected: dict, tolerance: float, labels: Sequence[str] = (), smallest: float = SMALLEST
) -> Agreement:
    """Compares the outputs of a signature or of an exported file with the outputs of the model."""
    if "embedding" in written:
        return agreement(written["embedding"], expected["embedding"], tolerance)
    probabilities = expected["probabilities"]
    if not -1e-3 < probabilities.min() <= probabilities.max() < 1 + 1e-3:
        raise ValueError(
            "model must end in a softmax, a sigmoid, logits or an embedding. Received: a model with outputs of "
            f"{probabilities.min():.4g} to {probabilities.max():.4g}"
        )
    compare_scores = partial(agreement, expected=probabilities, tolerance=tolerance, logits=expected.get("logits"))
    found = []
    if "probabilities" in written:
        found.append(compare_scores(written["probabilities"], smallest=smallest))
    if labels:
        scores = written["scores" if "scores" in written else "top_scores"]
        names = written["classes" if "classes" in written else "top_labels"].astype(str)
        # Several classes may have the same name. The class with the nearest probability is compared.
        distances = np.abs(probabilities[:, np.newaxis] - scores[..., np.newaxis])
        ids = np.where(np.array(labels) == names[..., np.newaxis], distances, np.inf).argmin(-1)
        found.append(compare_scores(scores, ids=ids))
        if (np.array(labels)[written.get("top_ids", ids)] != names).any():
            found.append(found[0]._replace(same_top_1=0))
    return Agreement(len(probabilities), min(one.same_top_1 for one in found), max(one.difference for one in found))


def compare_heatmaps(written: np.ndarray, model: keras.Model, images: np.ndarray, tolerance: float) -> Agreement:
    """Compares the heatmaps of the top-1 class with the heatmaps of `explain`.

    `explain` divides each map by its maximum. Where the maximum is small, this enlarges rounding errors. Therefore the
    difference is multiplied by the maximum and divided by the root mean square of the map before ReLU. If the two best
    logits are a tie, as in `agreement`, the heatmap of either class is accepted.
    """
    _, logits = class_activation(model, images)
    logits = logits.astype("float64")
    spread, ranking = spread_of(logits), logits.argsort(1)[:, ::-1][:, :2].T
    errors = []
    for classes in ranking:
        maps, _ = class_activation(model, images, classes)
        differences = written - np.asarray(heatmaps_of(maps, images.shape[1:3]), "float64")
        size = np.sqrt(np.mean(maps.astype("float64") ** 2, axis=(1, 2))).clip(1e-30)
        highest = maps.max(axis=(1, 2)).clip(0)
        gap = (logits.max(1) - np.take_along_axis(logits, classes[:, np.newaxis], 1)[:, 0]) / spread
        root = np.sqrt(np.mean(differences**2, axis=(1, 2))) * highest / size
        errors.append(np.where(gap <= 2 * tolerance, root, np.inf))
    difference = float(np.sqrt(np.mean(np.min(errors, axis=0) ** 2)))
    return Agreement(len(images), len(images), difference if np.isfinite(difference) else np.inf)


def to_numpy(outputs: dict) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in outputs.items()}


@contextmanager
def without_tf32() -> Iterator[None]:
    """Makes GPUs compute in float32 instead of TensorFloat-32, whose mantissa has 10 bits."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


# ------------------------------------------------------------------- the same pipeline in PIL and NumPy, and its inputs


def read_as_pil(reader: Reader, files: list[bytes], row: Preprocessing | None) -> np.ndarray:
    """Returns the images that `reader` decodes from files. Raises RuntimeError if they differ from PIL's."""
    images = reader(tf.constant(files)).numpy()
    expected = as_model_takes(read_files(files, images.shape[1:], row), row, reader.white)
    difference = np.abs(images - expected) * 255 / np.subtract(*limits(images.shape[-1], row, reader.white)[::-1])
    if not difference.max() < 1.5:  # 1 grey level plus rounding errors of float32
        raise RuntimeError(
            "What was written differs from the model and was deleted: the images made of files differ from those of "
            f"PIL by up to {difference.max():.3g} of 255 levels"
        )
    return images


def limits(channels: int, row: Preprocessing | None, white: float | None) -> np.ndarray:
    """Returns (2, channels): a black and a white pixel, normalized as the model expects."""
    return as_model_takes(np.array([[0.0] * channels, [255.0] * channels]), row, white)


def as_model_takes(pixels: np.ndarray, row: Preprocessing | None, white: float | None) -> np.ndarray:
    """Scales pixels from 0..255 to 0..`white`. If `white` is None, normalizes them as `row` says."""
    if white is not None or row is None:
        return pixels * ((white or 255) / 255)
    ordered = pixels[..., ::-1] if row.channels == "bgr" else pixels
    return ((ordered / row.scale - np.array(row.mean)) / np.array(row.std)).astype("float32")


def read_files(files: list[bytes], shape: tuple, row: Preprocessing | None) -> np.ndarray:
    """Decodes files with PIL: (b, h, w, c) float32 pixels in 0..255. If `row` is None, the whole image is resized."""
    from PIL import Image

    images = [resize_image(Image.open(io.BytesIO(file)), shape[:2], row) for file in files]
    if shape[2] == 1:
        images = [np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis] for image in images]
    return np.stack(images).astype("float32")


def sample_image(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Returns a (height, width, channels) uint8 image of 6 x 6 rectangles of random colours."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, channels), "uint8")
    return colours[np.arange(height) * 6 // height][:, np.arange(width) * 6 // width]


def sample_files(height: int, width: int, row: Preprocessing | None) -> list[bytes]:
    """Returns PNG and JPEG files of several sizes, relative to this image size.

    PIL always antialiases when it shrinks an image. If `row` has `antialias=False`, all files are smaller than the
    image size, so that no file is shrunk.
    """
    from PIL import Image

    files, scale = [], 0.4 if row and not row.antialias else 1
    for seed, (tall, wide) in enumerate(RELATIVE_SIZES):
        rows, columns = max(1, round(scale * tall * height)), max(1, round(scale * wide * width))
        buffer = io.BytesIO()
        Image.fromarray(sample_image(rows, columns, 3, seed)).save(buffer, "JPEG" if seed % 2 else "PNG", quality=90)
        files.append(buffer.getvalue())
    return files


def sample_images(served: ServedModel, count: int = 8) -> np.ndarray:
    """Returns generated images, normalized as the model expects, or in -2..2 if its normalization is not known."""
    height, width, channels = (size or 224 for size in served.shape)
    images = np.stack([sample_image(height, width, channels, seed) for seed in range(count)]).astype("float32")
    if served.white is None and (served.row is None or channels != 3):
        return (images - 128) / 64
    return as_model_takes(images, served.row, served.white)
