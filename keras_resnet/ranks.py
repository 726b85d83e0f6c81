"""Convolutions of images `(b, h, w, c)`, rank 2, and of video clips `(b, frames, h, w, c)`, rank 3."""

from typing import Any, NamedTuple

import keras


def of_rank(kind: str, x) -> Any:
    """Returns the Keras layer for the rank of `x`: `of_rank("Conv", x)` is `Conv2D` for images, `Conv3D` for clips."""
    return getattr(keras.layers, f"{kind}{len(x.shape) - 2}D")


class Time(NamedTuple):
    """Settings along time of a convolution in a video network (Tran 2018, arXiv:1711.11248, Fig. 1).

    They apply to kernels larger than 1x1. The kernel of a 1x1 convolution always spans one frame. Convolutions of
    images ignore these settings.
    """

    frames: int = 3  # kernel size along time
    strides: bool = True  # whether the stride along time is that of height and width, otherwise 1
    factorized: bool = False  # two convolutions: over height and width, then (after BN and ReLU) over time


FULL = Time()
FACTORIZED = Time(factorized=True)

# name of a convolution -> its settings in the stem, in conv2_x, and in the later stages
CONVOLUTIONS = {
    "full":       (FULL._replace(strides=False),       FULL,       FULL),                    # R3D
    "mixed":      (FULL._replace(strides=False),       FULL,       Time(1, strides=False)),  # MC3
    "factorized": (FACTORIZED._replace(strides=False), FACTORIZED, FACTORIZED),              # R(2+1)D
}  # fmt: skip


class Part(NamedTuple):
    """One of the convolutions that together replace a k x k convolution."""

    suffix: str  # suffix of the layer name
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]


def parts(rank: int, time: Time, size: int, stride: int) -> list[Part]:
    """Returns the convolutions that replace a `size` x `size` convolution with the stride `stride`."""
    sizes, strides = (size, size), (stride, stride)
    if rank == 2:
        return [Part("", sizes, strides)]
    frames, step = time.frames if size > 1 else 1, stride if time.strides else 1
    if time.factorized and size > 1:
        return [Part("_space", (1, *sizes), (1, *strides)), Part("_time", (frames, 1, 1), (step, 1, 1))]
    return [Part("", (frames, *sizes), (step, *strides))]


def channels_between(size: int, frames: int, channels: int, filters: int) -> int:
    """Returns the number of filters between the two parts of a factorized convolution (Tran 2018, section 3.5).

    With this number, a factorized convolution has as many parameters as a full one.
    """
    return frames * size**2 * channels * filters // (size**2 * channels + frames * filters)
