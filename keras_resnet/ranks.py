"""Images `(b, h, w, c)`, of rank 2, and clips `(b, frames, h, w, c)`, of rank 3: what their convolutions differ in."""

from typing import Any, NamedTuple

import keras


def of_rank(kind: str, x) -> Any:
    """Returns Keras' layer of a kind for a tensor: `of_rank("Conv", x)` is `Conv2D` for images, `Conv3D` for clips."""
    return getattr(keras.layers, f"{kind}{len(x.shape) - 2}D")


class Time(NamedTuple):
    """What a convolution of clips that sees more than one pixel does along time (Tran 2018, arXiv:1711.11248, Fig. 1).

    A 1x1 convolution sees one frame. Convolutions of images do not read this.
    """

    frames: int = 3  # of the kernel
    strides: bool = True  # in time as in height and width
    factorized: bool = False  # height and width first, then BN and ReLU, then time


FULL = Time()
FACTORIZED = Time(factorized=True)

# name of a convolution -> what it does in the stem, in conv2_x, in the stages after it
CONVOLUTIONS = {
    "full":       (FULL._replace(strides=False),       FULL,       FULL),                    # R3D
    "mixed":      (FULL._replace(strides=False),       FULL,       Time(1, strides=False)),  # MC3
    "factorized": (FACTORIZED._replace(strides=False), FACTORIZED, FACTORIZED),              # R(2+1)D
}  # fmt: skip


class Part(NamedTuple):
    """One of the convolutions that a convolution of k x k pixels becomes."""

    suffix: str  # of its name
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]


def parts(rank: int, time: Time, size: int, stride: int) -> list[Part]:
    """Returns what a convolution of `size` x `size` pixels that strides by `stride` becomes."""
    sizes, strides = (size, size), (stride, stride)
    if rank == 2:
        return [Part("", sizes, strides)]
    frames, step = time.frames if size > 1 else 1, stride if time.strides else 1
    if time.factorized and size > 1:
        return [Part("_space", (1, *sizes), (1, *strides)), Part("_time", (frames, 1, 1), (step, 1, 1))]
    return [Part("", (frames, *sizes), (step, *strides))]


def channels_between(size: int, frames: int, channels: int, filters: int) -> int:
    """Returns the filters that give a factorized convolution the parameters of a full one (Tran 2018, section 3.5)."""
    return frames * size**2 * channels * filters // (size**2 * channels + frames * filters)
