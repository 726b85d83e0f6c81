"""One net, trained once: from the choices of a sweep to a fitted model and the figures that it leaves."""

import time
from pathlib import Path

import keras
import numpy as np

from experiments.data import Data
from keras_resnet.machine import bfloat16_pays
from keras_resnet.tuner import HyperResNet

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
PRECISIONS = ("auto", *POLICIES)

# what a trial chooses, in the order of the tables
CHOICES = ("depth", "shortcut", "order", "block", "width", "learning_rate", "weight_decay")


class Diverged(RuntimeError):
    """The loss stopped being a number."""


class Oversized(RuntimeError):
    """The net has more parameters, or takes more multiply-adds, than the sweep allows."""


def precision_of(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The row of POLICIES for a name of PRECISIONS: "auto" is bfloat16 where it is faster, and else float32."""
    if name != "auto":
        return name
    return "bfloat16" if bfloat16_pays(cpuinfo) else "float32"


def hypermodel(data: Data, precision: str = "float32") -> HyperResNet:
    """The networks of a sweep. They subtract the mean of the pixels themselves, so they can be served as they are."""
    policy = POLICIES[precision]
    return HyperResNet(data.image_shape, len(data.class_names), preprocessing=normalization(data), dtype=policy)


def build(choices: dict, data: Data, precision: str = "float32") -> keras.Model:
    """The compiled network for images (b, h, w, 3) of 0..255. ValueError if there is no such network."""
    return hypermodel(data, precision).create(choices)


def size_of(choices: dict, data: Data) -> dict[str, int]:
    """The size of the network that `build` would build, without building it."""
    return hypermodel(data).size(choices)


def normalization(data: Data) -> keras.layers.Layer:
    """Subtracts the mean of the training set from pixels of 0..255 and divides by its standard deviation."""
    # float32 under every policy: the last bits of a pixel are below bfloat16's
    return keras.layers.Normalization(
        mean=data.mean, variance=np.square(data.std), dtype="float32", name="normalization"
    )


def normalized(data: Data):
    """An input for pixels of 0..255, normalized."""
    return normalization(data)(keras.Input(data.image_shape, name="image"))


def fit(
    model: keras.Model,
    data: Data,
    *,
    seed: int,
    epochs: int,
    initial_epoch: int = 0,
    batch_size: int = 128,
    patience: int = 1,
    early_stopping: int | None = None,
    callbacks: tuple = (),
) -> dict:
    """Trains with the augmentation of He 2015, section 4.2, and the learning rate divided by 10 on a plateau.

    `patience` and `early_stopping` count epochs without a better validation loss. Returns `epochs` (trained so far),
    `seconds`, `train_accuracy` and `validation_accuracy` of the last epoch, that is of the weights `model` now
    has, and `history`, a list an epoch of each figure. Raises Diverged where the loss is not a number.
    """
    rules = [
        keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.1, patience=patience),
        keras.callbacks.TerminateOnNaN(),
    ]
    if early_stopping is not None:
        rules.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=early_stopping))
    start = time.perf_counter()
    history = model.fit(
        data.batches(batch_size, seed=seed, epoch=initial_epoch),
        validation_data=data.validation,
        validation_batch_size=500,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[*rules, *callbacks],
        verbose=0,
    )
    figures = {name: [float(value) for value in values] for name, values in history.history.items()}
    for epoch, losses in enumerate(zip(figures["loss"], figures.get("val_loss", []), strict=False), initial_epoch + 1):
        if not np.isfinite(losses).all():
            raise Diverged(f"the loss was {losses[0]:g}, on the validation set {losses[1]:g}, in epoch {epoch}")
    if "val_loss" not in figures:
        raise Diverged(f"the loss was not a number in epoch {initial_epoch + 1}")
    return {
        "epochs": initial_epoch + len(figures["loss"]),
        "seconds": round(time.perf_counter() - start, 2),
        "train_accuracy": figures["accuracy"][-1],
        "validation_accuracy": figures["val_accuracy"][-1],
        "history": figures,
    }
