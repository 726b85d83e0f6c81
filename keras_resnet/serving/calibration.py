"""Pictures that say how large the numbers inside a net become, for a net of integers."""

import os
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np

from keras_resnet.preprocessing import Preprocessing
from keras_resnet.serving.checks import read_folder
from keras_resnet.serving.normalization import input_normalization
from keras_resnet.serving.pictures import Reader

MOST = 1000  # pictures that are taken
NARROW = 0.02  # of the range that the model takes: pictures of 0..1 for one that takes 0..255 fill 0.004 of it


def check_calibration(int8, model: keras.Model, row: Preprocessing | None, reader: Reader | None) -> np.ndarray:
    """The pictures of `int8`, (b, h, w, c), batches of these or a folder of files, as one array of at most 1000.

    Else, and for what cannot be the range of the model's pictures, a ValueError.
    """
    if isinstance(int8, str | os.PathLike):
        int8 = read_folder(Path(int8).expanduser(), reader)
    shape = tuple(model.inputs[0].shape[1:])
    wanted = f"int8 must be pictures as the model takes them, an array (b, h, w, c) of images {shape}, or batches of it"
    if isinstance(int8, bool | dict) or not isinstance(int8, Iterable):
        raise ValueError(f"{wanted}. Received: {int8!r}")
    batches, taken = [], 0
    for batch in [int8] if hasattr(int8, "shape") else int8:
        if isinstance(batch, tuple | list | dict):
            raise ValueError(f"{wanted}. Received: batches that are a {type(batch).__name__}; labels are not wanted")
        batch = np.asarray(batch)
        fits = batch.ndim == 4 and all(b in (None, a) for a, b in zip(batch.shape[1:], shape, strict=True))
        if not fits or not np.issubdtype(batch.dtype, np.number):
            raise ValueError(f"{wanted}. Received: the shape {batch.shape}, of {batch.dtype}")
        batches.append(batch[: MOST - taken].astype("float32"))
        taken += len(batches[-1])
        if taken == MOST:
            break
    if not taken:
        raise ValueError(f"{wanted}. Received: no pictures")
    pictures = np.concatenate(batches)
    check_range(pictures, model, row)
    return pictures


def check_range(pictures: np.ndarray, model: keras.Model, row: Preprocessing | None) -> None:
    if not np.isfinite(pictures).all():
        raise ValueError("int8 must be pictures of finite numbers. Received: NaN or infinity among them")
    low, high = float(pictures.min()), float(pictures.max())
    if low == high:
        raise ValueError(f"int8 must be pictures of something. Received: {low:g} everywhere")
    known = known_range(model, row)
    if known is None:
        return
    least, most = known
    slack = 0.01 * (most - least)
    if low < least - slack or high > most + slack or high - low < NARROW * (most - least):
        raise ValueError(
            f"int8 must be pictures as the model takes them, of {least:.4g} to {most:.4g}. "
            f"Received: numbers of {low:.4g} to {high:.4g}"
        )


def known_range(model: keras.Model, row: Preprocessing | None) -> tuple[float, float] | None:
    """What black and white pixels are to `model`; None where nothing tells."""
    own = input_normalization(model)
    if own is not None:
        return 0.0, own.white
    if row is None:
        return None
    mean, std = np.asarray(row.mean), np.asarray(row.std)
    return float(((0 - mean) / std).min()), float(((255 / row.scale - mean) / std).max())
