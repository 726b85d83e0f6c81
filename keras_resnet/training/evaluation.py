"""Evaluation and prediction with one crop, ten crops or several scales, and the metrics."""

import csv
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_resnet.activation_maps import explain, overlay
from keras_resnet.errors import choose, positive
from keras_resnet.files import whole, write_json, write_text
from keras_resnet.network import Network, require_network
from keras_resnet.preprocessing import INTERPOLATIONS, Preprocessing, decode_file, preprocess_input, resize_pixels
from keras_resnet.resnet import ResNet
from keras_resnet.training.datasets import ImageData, load_data
from keras_resnet.training.parts import Files

SCALES = (224, 256, 384, 480, 640)  # He 2015, section 3.4, for networks of 224 pixels
BINS = 15  # bins of the calibration error: Guo et al. 2017, arXiv:1706.04599
MISTAKES = 16
SPLITS = ("test", "validation", "train", "all")
PARTS = ("test", "validation", "val")  # names of folders that are themselves a part


# --------------------------------------------------------------------- crops: an image -> the crops that are averaged


def one_crop(pixels, row: Preprocessing):
    """Returns the center crop, (1, size, size, 3)."""
    return [resize_pixels(pixels, (row.size, row.size), row)[tf.newaxis]]


def ten_crops(pixels, row: Preprocessing):
    """Returns four corner crops, the center crop and their mirror images, (10, size, size, 3).

    Source: Krizhevsky et al. 2012, section 4.1.
    """
    image, size = shorter_side(pixels, row, row.resize), row.size
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    y, x = height - size, width - size
    places = [(0, 0), (0, x), (y, 0), (y, x), (half_even(y), half_even(x))]
    crops = tf.stack([image[top : top + size, left : left + size] for top, left in places])
    return [tf.ensure_shape(tf.concat([crops, crops[:, :, ::-1]], 0), (10, size, size, 3))]


def scales(pixels, row: Preprocessing):
    """Returns the whole image at several sizes of its shorter side, and its mirror images. He 2015, section 3.4."""
    images = [shorter_side(pixels, row, max(row.size, side * row.size // 224)) for side in SCALES]
    return [tf.stack([image, image[:, ::-1]]) for image in images]


def shorter_side(pixels, row: Preprocessing, side: int):
    """Resizes the whole image so that its shorter side is `side`. The longer side is rounded down."""
    shape = tf.shape(pixels)[:2]
    whole_size = shape * side // tf.reduce_min(shape)
    scale = tf.cast(whole_size / shape, tf.float32)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=pixels[tf.newaxis], size=whole_size, scale=scale, translation=[0.0, 0.0],
        kernel_type=INTERPOLATIONS[row.interpolation], antialias=row.antialias,
    )[0]  # fmt: skip
    return tf.floor(tf.clip_by_value(resized, 0, 255) + 0.5)


def half_even(number):
    return tf.cast(tf.round(tf.cast(number, tf.float32) / 2), tf.int32)


CROPS: dict[Any, Callable] = {1: one_crop, 10: ten_crops, "multiscale": scales}


# -------------------------------------------------------------------------------------------------------- the results


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Attributes:
        class_names: The names of the classes.
        labels: (n,), the true classes.
        probabilities: (n, classes), averaged over the crops.
        names: The name of each image: its path, or its index in the data set.
        about: The settings of the evaluation: `dataset`, `split`, `crops`, `image_size`, `model`.
        seconds: The duration of the evaluation in seconds.
    """

    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    names: tuple[str, ...]
    about: dict[str, Any]
    seconds: float

    @property
    def examples(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def predictions(self) -> np.ndarray:
        """The most probable class of each image, (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def top1(self) -> float:
        """The fraction of images whose most probable class is the true class."""
        return float((self.predictions == self.labels).mean())

    @property
    def top5(self) -> float | None:
        """The fraction of images whose true class is among the five most probable. None with fewer than 6 classes."""
        if len(self.class_names) < 6:
            return None
        best = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :5]
        return float((best == self.labels[:, np.newaxis]).any(axis=1).mean())

    @property
    def loss(self) -> float:
        """The mean cross-entropy."""
        chosen = self.probabilities[np.arange(self.examples), self.labels].astype("float64")
        return float(-np.log(chosen.clip(1e-12)).mean())

    @property
    def calibration_error(self) -> float:
        """The expected calibration error with 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599)."""
        confidence = self.probabilities.max(axis=1).astype("float64")
        bins = np.minimum(np.ceil(confidence * BINS).astype(int) - 1, BINS - 1).clip(0)
        correct = (self.predictions == self.labels).astype("float64")
        gaps = np.bincount(bins, correct - confidence, minlength=BINS)
        return float(np.abs(gaps).sum() / self.examples)

    @property
    def confusion(self) -> np.ndarray:
        """The number of images per true class (row) and predicted class (column), (classes, classes)."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(self.labels, self.predictions, labels=range(len(self.class_names)))

    def per_class(self) -> list[dict[str, Any]]:
        """Returns one row per class: `name`, `images`, `recall`, `precision`. A ratio of 0 / 0 is None."""
        confusion = self.confusion
        rows = []
        for i, name in enumerate(self.class_names):
            actual, predicted, right = confusion[i].sum(), confusion[:, i].sum(), confusion[i, i]
            rows.append(
                {
                    "name": name,
                    "images": int(actual),
                    "recall": float(right / actual) if actual else None,
                    "precision": float(right / predicted) if predicted else None,
                }
            )
        return rows

    def mistakes(self, number: int = MISTAKES) -> list[int]:
        """Returns the indices of the wrongly classified images, sorted by confidence, highest first."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        confidence = self.probabilities[wrong].max(axis=1)
        return wrong[np.argsort(-confidence, kind="stable")][:number].tolist()

    def summary(self) -> str:
        """Returns the accuracies as one line, such as `top-1 93.75 %, top-5 99.61 %, ...`."""
        parts = [f"top-1 {self.top1:.2%}".replace("%", " %")]
        if self.top5 is not None:
            parts.append(f"top-5 {self.top5:.2%}".replace("%", " %"))
        parts += [f"loss {self.loss:.4f}", f"calibration error {self.calibration_error:.4f}"]
        return f"{', '.join(parts)} ({self.examples} images)"

    def to_json(self) -> dict[str, Any]:
        """Returns the metrics as a dict."""
        names = ("examples", "top1", "top5", "loss", "calibration_error")
        return self.about | {name: getattr(self, name) for name in names} | {"seconds": round(self.seconds, 1)}

    def save(self, directory: str | os.PathLike) -> None:
        """Writes `evaluation.json`, `per_class.csv`, `confusion.csv`, `confusion.png` and `mistakes.png`.

        `mistakes.png` shows the most confident mistakes, if the images are files.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "evaluation.json", self.to_json())
        write_text(
            directory / "per_class.csv",
            _csv(["name", "images", "recall", "precision"], [list(row.values()) for row in self.per_class()]),
        )
        rows = [[name, *counts] for name, counts in zip(self.class_names, self.confusion.tolist(), strict=True)]
        write_text(directory / "confusion.csv", _csv(["true class", *self.class_names], rows))
        draw_confusion(self, directory / "confusion.png")
        (directory / "mistakes.png").unlink(missing_ok=True)  # from an earlier evaluation
        if self.mistakes() and Path(self.names[0]).is_file():
            draw_mistakes(self, directory / "mistakes.png")


def _csv(head: list[str], rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def evaluate(
    model: keras.Model | str | os.PathLike,
    dataset: str | ImageData,
    *,
    split: str | None = None,
    crops: int | str = 1,
    image_size: int | None = None,
    batch_size: int = 64,
    data_dir: str | None = None,
    **settings,
) -> Evaluation:
    """Evaluates a network on labelled images, with the preprocessing that its weights expect.

    Args:
        model: A network of this package or a model that contains one, the path of a `.keras` file, or the directory of
            a run.
        dataset: A data set as `load_data` accepts it, such as `"cifar10"` or `"folder:PATH"`, or an `ImageData`.
        split: `"test"`, `"validation"`, `"train"`, or `"all"` for all images of a folder without parts. Defaults to
            `"test"`. For a folder with the name `test`, `val` or `validation`, defaults to `"all"`.
        crops: `1` is the center crop. `10` is the four corner crops, the center crop and their mirror images.
            `"multiscale"` is the whole image at five sizes and its mirror images. The sizes are 224, 256, 384, 480 and
            640 pixels for networks of 224 pixels, and the network is applied fully convolutionally. The probabilities
            of all crops are averaged. Defaults to 1.
        image_size: Height and width of the crops in pixels. Defaults to the image size of the model.
        batch_size: Images per batch. With `"multiscale"`, each batch is one image. Defaults to 64.
        data_dir: Directory of tfds data sets. Defaults to `TFDS_DATA_DIR`, then `~/tensorflow_datasets`.
        **settings: Further arguments of `load_data`, such as `validation`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If an argument is not allowed, if the preprocessing is not known, if the model and the data set have
            different classes, or if the split does not exist.

    Example:
        >>> import keras_resnet
        >>> model = keras_resnet.ResNet20(classes=10, include_preprocessing="cifar10")
        >>> evaluate(model, "digits").examples
        360
    """
    start = time.perf_counter()
    crop = choose({str(name): function for name, function in CROPS.items()}, str(crops), "crops")
    if split is None:
        is_part = isinstance(dataset, str) and dataset.startswith("folder:") and Path(dataset[7:]).name in PARTS
        split = "all" if is_part else "test"
    choose(dict.fromkeys(SPLITS), split, "split")
    positive(batch_size, "batch_size")
    model = read_model(model)
    if split == "all":
        settings["validation"] = 0
    data = load_data(dataset, data_dir=data_dir, **settings) if isinstance(dataset, str) else dataset
    part = data.train if split == "all" and data.test is None else getattr(data, split, None)
    if part is None:
        there = [name for name in SPLITS[:3] if getattr(data, name) is not None]
        raise ValueError(f"split must be one of {there}, which {data.name} has. Received: {split!r}")
    classes = model.output_shape[-1]
    if classes != len(data.class_names):
        raise ValueError(
            f"model must have {len(data.class_names)} classes, as {data.name} has. Received: {model.name!r} with "
            f"{classes} classes"
        )
    names = getattr(model, "class_names", None)
    if names is not None and tuple(names) != tuple(data.class_names):
        raise ValueError(
            f"model must have the classes of {data.name}, {list(data.class_names)[:5]}. Received: {list(names)[:5]}"
        )
    size = image_size or model.input_shape[1] or require_network(model).variant.image_size
    row, name = known_preprocessing(model).at_size(positive(size, "image_size")), model.name
    if crop is scales or model.input_shape[1] not in (None, size):
        model = any_size(model)
    labels, scores = [], []
    for images, label, weights in _batches(part, crop, row, batch_size):
        outputs = _forward(model, images, row)
        labels.append(label)
        scores.append(np.einsum("ij,jk->ik", weights, outputs))
    names = part.paths if isinstance(part, Files) else tuple(map(str, range(part.size)))
    about = {"dataset": data.name, "split": split, "crops": str(crops), "image_size": size, "model": name}
    return Evaluation(
        data.class_names, np.concatenate(labels), np.concatenate(scores), names, about,
        time.perf_counter() - start,
    )  # fmt: skip


def _batches(part, crop: Callable, row: Preprocessing, batch_size: int) -> Iterator[tuple]:
    """Yields a list of image arrays (one array per size), the labels, and the matrix that averages over the crops."""

    def prepared(position, image, label):
        pixels = decode_file(image) if image.dtype == tf.string else image
        return tuple(crop(tf.cast(pixels, tf.float32), row)), label

    examples = part.examples().map(prepared, num_parallel_calls=tf.data.AUTOTUNE)
    if crop is scales:
        for images, label in examples.prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
            total = sum(len(image) for image in images)
            yield images, np.array([label]), np.full((1, total), 1 / total)
        return
    for (images,), label in examples.batch(batch_size).prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
        count, number = images.shape[:2]
        weights = np.kron(np.eye(count), np.full((1, number), 1 / number))
        yield [images.reshape(-1, *images.shape[2:])], label, weights


def _forward(model: keras.Model, images: Sequence[np.ndarray], row: Preprocessing) -> np.ndarray:
    """Returns the probabilities for a list of images (b, h, w, 3) with pixels of 0 to 255."""
    return np.concatenate([probabilities(model, inputs_of(model, part, row)) for part in images])


def inputs_of(model: keras.Model, pixels: np.ndarray, row: Preprocessing) -> np.ndarray:
    """Returns the inputs of the model for pixels of 0 to 255, (b, h, w, 3)."""
    pixels = pixels.astype("float32")
    if require_network(model).includes_preprocessing:
        return pixels
    return preprocess_input(pixels, "channels_last", mode=row)


def own_preprocessing(model: keras.Model) -> Preprocessing:
    """Returns the preprocessing of the model, at the image size of the model."""
    row = known_preprocessing(model)
    return row.at_size(model.input_shape[1] or row.size)


def probabilities(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Returns the outputs as probabilities (b, classes). A softmax is applied to logits."""
    outputs = model.predict_on_batch(inputs)
    if getattr(model.layers[-1], "activation", None) is keras.activations.linear:
        outputs = keras.ops.softmax(outputs)
    return keras.ops.convert_to_numpy(outputs).astype("float64")


def any_size(model: keras.Model) -> Network:
    """Returns a network with the same weights that accepts images of any size."""
    if not isinstance(model, Network):
        raise ValueError(f"model must be a network itself for images of another size. Received: {model.name!r}")
    preprocessing = model.preprocessing if model.includes_preprocessing else None
    copy = ResNet(
        model.variant,
        input_tensor=keras.Input((None, None, model.input_shape[-1]), name="image"),
        classes=model.output_shape[-1],
        include_preprocessing=preprocessing or False,
        classifier_activation=model.layers[-1].activation,
    )
    copy.set_weights(model.get_weights())
    return copy


def read_model(model: keras.Model | str | os.PathLike) -> keras.Model:
    """Returns `model`, or loads it from a `.keras` file or from the directory of a run."""
    if isinstance(model, keras.Model):
        return model
    path = Path(model).expanduser()
    path = path / "model.keras" if path.is_dir() else path
    if not path.is_file() or path.suffix != ".keras":
        raise ValueError(
            f"model must be a network, the path of a .keras file, or the directory of a run. Received: {str(model)!r}"
        )
    return keras.models.load_model(path, compile=False)


def known_preprocessing(model: keras.Model) -> Preprocessing:
    preprocessing = require_network(model).preprocessing
    if preprocessing is None:
        raise ValueError(
            f"The preprocessing of {model.name!r} is not known. Set it: model.preprocessing = 'torch', or another name "
            "of keras_resnet.PREPROCESSINGS"
        )
    return preprocessing


def predict(
    model: keras.Model | str | os.PathLike, images: Any, *, top: int = 5, batch_size: int = 64
) -> list[list[tuple[str, float]]]:
    """Classifies images.

    Args:
        model: As for `evaluate`.
        images: A path, the bytes of a file, an array with pixels of 0 to 255, a PIL image, or a list of these.
        top: Number of classes per image. It is reduced to the number of classes of the model if that is smaller.
            Defaults to 5.
        batch_size: Images per batch. Defaults to 64.

    Returns:
        For each image a list of pairs (class name, probability), the most probable class first. If the classes have no
        names, their indices are used.

    Raises:
        ValueError: If an image cannot be read or if the preprocessing is not known.

    Example:
        >>> import keras_resnet, numpy as np
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> [(label, probability)] = predict(model, np.zeros((1, 32, 32, 3)), top=1)[0]
    """
    model = read_model(model)
    names = getattr(model, "class_names", None) or tuple(map(str, range(model.output_shape[-1])))
    row = own_preprocessing(model)
    images = images if isinstance(images, list | tuple) else [images]
    found = []
    for start in range(0, len(images), batch_size):
        pixels = row.pixels(list(images[start : start + batch_size]))
        for scores in probabilities(model, inputs_of(model, pixels, row)):
            best = np.argsort(-scores, kind="stable")[:top]
            found.append([(names[i], float(scores[i])) for i in best])
    return found


def explained(model: keras.Model, image: Any) -> np.ndarray:
    """Returns the pixels (h, w, 3) of an image with its class activation map for the most probable class."""
    row = own_preprocessing(model)
    pixels = row.pixels(image)
    (heatmap,) = explain(model, inputs_of(model, pixels, row))
    return overlay(pixels[0], heatmap)


# ------------------------------------------------------------------------------------------------------------ figures


def draw_confusion(evaluation: Evaluation, path: Path) -> None:
    """Draws the confusion matrix in percent of each true class. Adds the numbers for up to 20 classes."""
    from matplotlib.figure import Figure

    counts = evaluation.confusion
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    classes = len(counts)
    side = min(12.0, 2.5 + 0.45 * classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="images of the true class (%)", shrink=0.8)
    if classes <= 20:
        for i, j in np.argwhere(counts > 0):
            color = "white" if shares[i, j] > 55 else "black"
            axes.text(j, i, f"{shares[i, j]:.0f}", ha="center", va="center", color=color, fontsize="small")
        axes.set_xticks(range(classes), evaluation.class_names, rotation=90)
        axes.set_yticks(range(classes), evaluation.class_names)
    axes.set(xlabel="predicted class", ylabel="true class", title=f"top-1 {100 * evaluation.top1:.2f} %")
    save_figure(figure, path)


def draw_mistakes(evaluation: Evaluation, path: Path) -> None:
    """Draws the images of the most confident mistakes."""
    from matplotlib.figure import Figure
    from PIL import Image

    chosen = evaluation.mistakes()
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(2.6 * columns, 3.0 * rows), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes in panels:
        axes.axis("off")
    for axes, i in zip(panels, chosen, strict=False):
        with Image.open(evaluation.names[i]) as image:
            axes.imshow(np.asarray(image.convert("RGB")))
        predicted = evaluation.predictions[i]
        names = evaluation.class_names
        title = f"{names[predicted]} ({100 * evaluation.probabilities[i, predicted]:.0f} %)"
        axes.set_title(f"{title}\ntrue: {names[evaluation.labels[i]]}", fontsize="small")
    save_figure(figure, path)


def save_figure(figure, path: Path) -> None:
    """Writes a figure as PNG to a temporary file and then renames it."""
    with whole(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=120)
