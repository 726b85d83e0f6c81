"""From pixels of 0..255 to what a file of weights was trained on, and from probabilities to the names of ImageNet."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from numbers import Real
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resnet.errors import choose, positive, within

INTERPOLATIONS = ("bilinear", "bicubic")

# the order of the channels -> how a picture in RGB gets it, `flip` being np.flip or ops.flip
CHANNELS: dict[str, Callable] = {"rgb": lambda x, flip: x, "bgr": lambda x, flip: flip(x, axis=-1)}


@dataclass(frozen=True)
class Preprocessing:
    """What weights expect: pictures whose shorter side is `resize`, the `size` x `size` in their middle, normalized.

    y = (x / scale - mean) / std for x of 0..255, after the channels are in their order: `mean` and `std` are one a
    channel of y, and of pixels of 0..1 where `scale` is 255. timm's `crop_pct` is size / resize, with `resize` rounded
    down. Raises ValueError for an unknown name, a size that is not a positive integer or greater than `resize`, a
    `scale` or `std` that is not positive, and where there are not three means and deviations.
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"  # a name of INTERPOLATIONS
    antialias: bool = True  # where the picture shrinks
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: str = "rgb"  # a name of CHANNELS
    scale: float = 255.0

    def __post_init__(self):
        if positive(self.size, "size") > positive(self.resize, "resize"):
            raise ValueError(f"resize must be at least {self.size}, the size. Received: {self.resize}")
        choose(dict.fromkeys(INTERPOLATIONS), self.interpolation, "interpolation")
        choose(CHANNELS, self.channels, "channels")
        within(self.scale, "scale", "more than 0")
        for argument in ("mean", "std"):
            values = getattr(self, argument)
            if not isinstance(values, tuple) or [isinstance(value, Real) for value in values] != [True] * 3:
                raise ValueError(f"{argument} must be a tuple of three numbers, one a channel. Received: {values!r}")
        for value in self.std:
            within(value, "std", "more than 0")
        for argument, python in (("size", int), ("resize", int), ("scale", float)):  # JSON has none of NumPy's
            object.__setattr__(self, argument, python(getattr(self, argument)))
        for argument in ("mean", "std"):
            object.__setattr__(self, argument, tuple(map(float, getattr(self, argument))))

    def arithmetic(self) -> tuple:
        """The order of the channels, and mean and deviation of pixels of 0..255."""
        return self.channels, np.multiply(self.mean, self.scale), np.multiply(self.std, self.scale)

    def is_like(self, other: "Preprocessing") -> bool:
        """Whether both do the same to a picture of their size, to a thousandth."""
        (ours, *figures), (theirs, *others) = self.arithmetic(), other.arithmetic()
        return ours == theirs and np.allclose(figures, others, rtol=1e-3)


HALF = (0.5, 0.5, 0.5)
ONE = (1.0, 1.0, 1.0)
CAFFE = (103.939, 116.779, 123.68)  # blue first, of pixels of 0..255
CIFAR10 = (0.4914, 0.4822, 0.4465)
CIFAR100 = (0.5070, 0.4865, 0.4409)

PREPROCESSINGS = {
    # torchvision: IMAGENET1K_V1 (keras.applications.densenet normalizes so too) and IMAGENET1K_V2
    "torch":              Preprocessing(),
    "torch_v2":           Preprocessing(resize=232),
    # timm's own recipes: crop_pct 0.95
    "timm":               Preprocessing(resize=235, interpolation="bicubic"),
    # BiT, arXiv:1912.11370 (what was tuned at 448 wants size=448, resize=448); timm's ra4_e3600 are bicubic besides
    "half":               Preprocessing(mean=HALF, std=HALF),
    # keras.applications.resnet (the nets of He et al. for Caffe) and .resnet_v2, which say nothing of sizes
    "caffe":              Preprocessing(mean=CAFFE, std=ONE, scale=1.0, channels="bgr"),
    "tf":                 Preprocessing(mean=ONE, std=ONE, scale=127.5),
    # github.com/akamaster/pytorch_resnet_cifar10: the figures of ImageNet. 32x32 stay as they are, here and below
    "cifar10_akamaster":  Preprocessing(32, 32),
    "cifar10":            Preprocessing(32, 32, mean=CIFAR10, std=(0.2470, 0.2435, 0.2616)),
    # github.com/chenyaofo/pytorch-cifar-models; of CIFAR-10 the mean of the deviations within each picture
    "cifar10_chenyaofo":  Preprocessing(32, 32, mean=CIFAR10, std=(0.2023, 0.1994, 0.2010)),
    "cifar100_chenyaofo": Preprocessing(32, 32, mean=CIFAR100, std=(0.2673, 0.2564, 0.2761)),
}  # fmt: skip


def preprocess_input(x, data_format=None, mode: str | Preprocessing = "torch"):
    """The normalization of `mode`, `(..., h, w, 3) -> (..., h, w, 3)`, for RGB pixels of 0..255.

    In the place of keras.applications' `preprocess_input`, but `x` is never written over. An array gives an array, a
    tensor (of a Functional model too) a tensor; floats keep their type, integers become `keras.config.floatx()`. `mode`
    is a name of PREPROCESSINGS or a Preprocessing; nothing is resized or cropped.

    Raises ValueError for another mode, for a `data_format` other than None and "channels_last", and for an `x` of other
    than 3 channels.
    """
    row = find_preprocessing(mode, "mode")
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format must be one of [None, 'channels_last']. Received: {data_format!r}")
    _three_channels(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    dtype = dtype if keras.backend.is_float_dtype(dtype) else keras.config.floatx()
    if isinstance(x, np.ndarray):
        x, flip, array = x.astype(dtype, copy=False), np.flip, np.asarray
    else:
        x, flip, array = ops.cast(x, dtype), ops.flip, ops.convert_to_tensor
    x = CHANNELS[row.channels](x, flip)
    return (x / row.scale - array(row.mean, dtype=dtype)) / array(row.std, dtype=dtype)


def preprocessing_layers(preprocessing: str | Preprocessing, x, *, name="preprocessing"):
    """The same within a model, in float32 under every policy: `(b, h, w, 3) -> (b, h, w, 3)`, from any type of pixels.

    One layer, `{name}_normalization`, without weights; before it, for BGR, Keras' own operation `flip`, which cannot be
    named. Both are loaded without this package. Raises ValueError as `preprocess_input` does.
    """
    row = find_preprocessing(preprocessing, "preprocessing")
    _three_channels(x)
    _, mean, std = row.arithmetic()
    layer = keras.layers.Normalization(
        mean=mean.tolist(), variance=np.square(std).tolist(), dtype="float32", name=f"{name}_normalization"
    )
    return layer(CHANNELS[row.channels](x, ops.flip))


def find_preprocessing(preprocessing: Any, argument: str) -> Preprocessing:
    """Returns a `Preprocessing` itself or the row of PREPROCESSINGS with its name; ValueError for anything else."""
    if isinstance(preprocessing, Preprocessing):
        return preprocessing
    return choose(PREPROCESSINGS, preprocessing, argument)


def _three_channels(x):
    shape = tuple(x.shape)
    if len(shape) < 3 or shape[-1] not in (3, None):  # None: TensorFlow has not read the picture yet
        raise ValueError(f"x must be pictures in RGB, (..., h, w, 3). Received: the shape {shape}")


@cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """The 1000 classes of ILSVRC 2012 in the order of the nets' outputs, each as (WordNet id, name).

    The names are those of keras.applications, letter by letter: the first lemma of the synset, with underscores. Two
    are there twice, "crane" (134 the bird, 517 the machine) and "maillot" (638, 639); the ids are unique and ascend.
    Source: imagenet_synsets.txt and imagenet_synset_to_lemma.txt of timm 1.0.
    """
    text = resources.files("keras_resnet").joinpath("data/imagenet_classes.txt").read_text(encoding="utf-8")
    pairs = (line.split(" ") for line in text.splitlines())
    return tuple((wnid, name) for wnid, name in pairs)


def decode_predictions(preds, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The `top` best classes of each picture, best first: (b, 1000) -> b lists of (WordNet id, name, score).

    In the form of keras.applications' `decode_predictions` and with its names, but nothing is downloaded: see
    `imagenet_classes`. More than 1000 of `top` are 1000. Raises ValueError for another shape, as it does, and for a
    `top` that is not a positive integer (its `top=0` is all 1000).
    """
    top = positive(top, "top")
    scores = ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(f"preds must be a batch of predictions, (b, 1000). Received: the shape {scores.shape}")
    classes = imagenet_classes()
    return [[(*classes[i], row[i]) for i in row.argsort()[-top:][::-1]] for row in scores]
