"""`finetune` trains a network on a folder of images, evaluates it and draws the figures."""

from pathlib import Path
from typing import Any, NamedTuple

import keras

from keras_resnet.network import Network
from keras_resnet.training.evaluation import Evaluation, evaluate, save_figure
from keras_resnet.training.run import Run
from keras_resnet.variants import DenseVariant, Variant


class Finetuned(NamedTuple):
    """The result of `finetune`.

    Attributes:
        model: The network, for RGB pixels of 0 to 255. `model.class_names` are the names of the folders.
        evaluation: The `Evaluation` on the test images, or on the validation images if there are no test images.
        result: The content of `result.json`, see `Run`.
        directory: The directory of the files.
    """

    model: Network
    evaluation: Evaluation
    result: dict[str, Any]
    directory: Path


def finetune(
    dataset: str,
    net: str | Variant | DenseVariant,
    *,
    weights: str | None = None,
    directory: str | Path | None = None,
    recipe: str = "finetune",
    data_dir: str | None = None,
    strict: bool = False,
    **settings,
) -> Finetuned:
    """Fine-tunes a network on labelled images.

    If the training was interrupted, the same call resumes it. If the training is finished, the same call only repeats
    the evaluation. Afterwards the directory contains `model.keras`, `result.json`, `history.json`, `curves.png` and the
    files of `Evaluation.save`.

    Args:
        dataset: `"folder:PATH"`, a folder with one sub-folder of images per class, or another source of `load_data`.
        net: Name of a row of `VARIANTS`, or a `Variant`.
        weights: Initial weights, as for `keras_resnet.ResNet`, such as `"imagenet"`. Defaults to None, random
            initialization.
        directory: The directory for the files. Defaults to `runs/<name of the run>`.
        recipe: Name of `RECIPES`, such as `"finetune"` or `"linear_probe"`. Defaults to `"finetune"`.
        data_dir: Directory of tfds data sets. Defaults to `TFDS_DATA_DIR`, then `~/tensorflow_datasets`.
        strict: Whether unreadable files are an error. Defaults to False: unreadable files are skipped with a warning.
        **settings: Further arguments of `Run`, such as `seed`, `epochs`, `image_size` or `changes`.

    Returns:
        A `Finetuned`: `model`, `evaluation`, `result`, `directory`.

    Raises:
        ValueError: If an argument is not allowed, if the folder is not as described, or if the training diverged.
        DataUnavailable: If a data set is not on this machine and cannot be prepared.

    Example:
        ```python
        from keras_resnet.training import finetune

        found = finetune("folder:flowers", "resnet50", weights="imagenet", directory="runs/flowers")
        print(found.evaluation.summary())
        ```
    """
    run = Run(net, dataset, recipe, weights=weights, **settings)
    directory = Path("runs", run.name) if directory is None else Path(directory)
    data = run.load_data(data_dir, strict)
    result = run(directory, data=data)
    if "failure" in result:
        raise ValueError(
            f"The training {result['failure']}. Use a lower learning rate, such as changes="
            f"{{'learning_rate': 0.001}}, and another directory. Received: {directory}"
        )
    model = keras.models.load_model(directory / "model.keras")
    split = "test" if "test_accuracy" in result else "validation"
    evaluation = evaluate(model, data, split=split if data.test is None else "test")
    evaluation.save(directory)
    draw_curves(result, directory / "curves.png")
    return Finetuned(model, evaluation, result, directory)


def draw_curves(result: dict[str, Any], path: Path) -> None:
    """Draws the loss, the accuracy and the learning rate of each epoch."""
    from matplotlib.figure import Figure

    history = result["history"]
    epochs = range(1, len(history) + 1)
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=False):
        for prefix, label in (("", "training"), ("validation_", "validation"), ("test_", "test")):
            points = [
                (epoch, row[prefix + name]) for epoch, row in zip(epochs, history, strict=True) if prefix + name in row
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else None, label=label)
        axes.set(title=name, xlabel="epoch")
        axes.legend()
    panels[2].plot(epochs, [row["learning_rate"] for row in history])
    panels[2].set(title="learning rate after the epoch", xlabel="epoch")
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)
