"""Draws contours of the loss around trained networks (Li et al. 2018, arXiv:1712.09913).

    python -m experiments.landscape runs/cells_medium/plain56-seed0 runs/cells_medium/resnet56-seed0

Each directory is a finished cell of `experiments.paper`, or a finished run of `python -m keras_resnet train`, and
contains model.keras. The loss is computed at w + a * d1 + b * d2, where w are the weights and d1 and d2 are random
directions. Each filter of a direction has the norm of the corresponding filter of w. Writes <directory>/figure.png, and
<directory>/<cell>.json for each network. An existing JSON file is not computed again.
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from experiments.report import save
from keras_resnet.files import read_json, write_json
from keras_resnet.training import load_data
from keras_resnet.training.datasets import in_memory
from keras_resnet.training.environment import machine, versions

BATCH = 500


def filter_normalized(weights: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Returns a random direction for each weight. Each filter (last axis) has the norm of the filter of the weight.

    The direction is zero for BN and biases, as in the authors' code (github.com/tomgoldstein/loss-landscape,
    `--xignore biasbn`).
    """
    direction = []
    for weight in weights:
        if weight.ndim < 2:
            direction.append(np.zeros_like(weight))
            continue
        drawn, axes = rng.normal(size=weight.shape), tuple(range(weight.ndim - 1))
        norms = [np.sqrt(np.square(values).sum(axis=axes)) for values in (weight, drawn)]
        direction.append((drawn * norms[0] / norms[1]).astype(weight.dtype))
    return direction


def loss_and_error(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the mean cross-entropy and the fraction of wrong classes, in inference mode."""
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    outputs = np.concatenate([model.predict_on_batch(part) for part in parts])
    chosen = outputs[np.arange(len(labels)), labels].astype("float64")
    return float(-np.log(chosen.clip(1e-30)).mean()), float((outputs.argmax(1) != labels).mean())


def landscape(model: keras.Model, images, labels, *, points: int, extent: float, seed: int = 0) -> dict:
    """Returns the loss and the error on a grid of `points` x `points`, from -extent to extent in two directions."""
    rng = np.random.default_rng(seed)
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    directions = [filter_normalized(weights, rng) for _ in range(2)]
    steps = np.linspace(-extent, extent, points)
    found = np.empty((points, points, 2))
    for i, a in enumerate(steps):
        for j, b in enumerate(steps):
            moved = zip(model.trainable_variables, weights, *directions, strict=True)
            for variable, weight, first, second in moved:
                if weight.ndim > 1:
                    variable.assign(weight + a * first + b * second)
            found[i, j] = loss_and_error(model, images, labels)
        print(f"  {model.name}: {i + 1} of {points} rows", flush=True)
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    return {"steps": steps.tolist(), "loss": found[..., 0].tolist(), "error": found[..., 1].tolist()}


def draw(path: Path, found: dict[str, dict]) -> None:
    """Draws the contours of all networks side by side, with the same levels."""
    figure = Figure(figsize=(1 + 4.5 * len(found), 4.5), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)
    levels = np.geomspace(0.1, 20, 24)
    for ax, (name, result) in zip(axes[0], found.items(), strict=True):
        loss = np.clip(result["loss"], levels[0], levels[-1])
        lines = ax.contour(result["steps"], result["steps"], np.transpose(loss), levels, cmap="viridis", norm="log")
        ax.clabel(lines, levels[::3], fmt=lambda value: f"{value:.2g}", fontsize=8)
        ax.plot(0, 0, "+", color="C3")
        middle = result["loss"][len(result["steps"]) // 2][len(result["steps"]) // 2]
        ax.set(title=f"{name}: loss {middle:.2f} in the middle", aspect="equal", xlabel="first direction")
    axes[0][0].set_ylabel("second direction")
    save(figure, path)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.landscape", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("cells", nargs="+", type=Path, help="directories with model.keras and result.json")
    parser.add_argument(
        "--directory", type=Path, default=Path("runs/landscape"), help="output directory; default: %(default)s"
    )
    parser.add_argument("--points", type=int, default=25, help="grid points per direction; default: %(default)s")
    parser.add_argument(
        "--extent", type=float, default=1.0, help="largest step in each direction; default: %(default)s"
    )
    parser.add_argument("--images", type=int, default=1000, help="number of training images; default: %(default)s")
    parser.add_argument(
        "--data-dir", help="directory of tfds data sets; default: TFDS_DATA_DIR, else ~/tensorflow_datasets"
    )
    options = parser.parse_args(arguments)

    options.directory.mkdir(parents=True, exist_ok=True)
    settings = {"points": options.points, "extent": options.extent, "images": options.images}
    found = {}
    for cell in options.cells:
        place = options.directory / f"{cell.name}.json"
        result = read_json(place)
        if result is None or {name: result[name] for name in settings} != settings:
            run = read_json(cell / "result.json")
            if run is None:
                print(f"{cell} must be a finished cell or run, with result.json and model.keras", file=sys.stderr)
                return 1
            data = load_data(run["dataset"], data_dir=options.data_dir, train_examples=options.images, validation=0)
            model = keras.models.load_model(cell / "model.keras", compile=False)
            train = in_memory(data.train)
            images, labels = train.images.astype("float32"), train.labels
            result = landscape(model, images, labels, points=options.points, extent=options.extent)
            where = {"machine": machine(), "versions": versions(), "commit": run["commit"]}
            write_json(place, settings | where | result)
        found[cell.name] = result
    draw(options.directory / "figure.png", found)
    print(options.directory / "figure.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
