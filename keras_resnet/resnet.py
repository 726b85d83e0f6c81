"""The function `ResNet`, which builds the network of any row of `VARIANTS`: stem, stages and head.

Each row also has a builder with its name, see keras_resnet/builders.py. The builders take the eight arguments of
keras.applications in the same order, followed by the fields of `Variant`.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields as fields_of
from dataclasses import replace
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet import densenet
from keras_resnet.blocks import BLOCKS, ORDERS, STAGE_ORDERS, orders_of_stage, residual_block
from keras_resnet.errors import choose, positive, positives, warn, within
from keras_resnet.gates import GATES
from keras_resnet.initialization import kernels_later
from keras_resnet.layers import Layers, check_channels_last, head_dtype
from keras_resnet.network import Description, Network, describe
from keras_resnet.preprocessing import PREPROCESSINGS, Preprocessing, find_preprocessing, preprocessing_layers
from keras_resnet.ranks import CONVOLUTIONS, of_rank
from keras_resnet.shortcuts import OPTIONS, PROJECTIONS, Shortcut, find_shortcut, identity, zero_pad
from keras_resnet.stems import STEMS
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, field_names, find_row, published_shape
from keras_resnet.weights import give, read_source

ARGUMENTS = (
    "variant",
    "include_top",
    "weights",
    "input_tensor",
    "input_shape",
    "pooling",
    "classes",
    "classifier_activation",
    "name",
    "include_preprocessing",
)
POOLINGS = {"avg": "GlobalAveragePooling", "max": "GlobalMaxPooling"}


def ResNet(
    variant: str | Variant | DenseVariant,
    include_top: bool = True,
    weights: str | os.PathLike | Mapping[str, Any] | None = None,
    input_tensor: Any = None,
    input_shape: Sequence[int | None] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | Callable | None = "softmax",
    name: str | None = None,
    *,
    include_preprocessing: bool | str | Preprocessing = False,
    **fields,
) -> Network:
    """Returns the network of a row of `VARIANTS`, or of a `Variant` of your own.

    The arguments from `include_top` to `name` are those of keras.applications, in the same order. The networks differ
    from those of keras.applications:

    - `weights` defaults to None.
    - Convolutions have no biases (see `conv_bias`).
    - The stride of a bottleneck is in its 3x3 layer (see `bottleneck_stride`).
    - The last pooling layer and the classifier compute in float32 under a 16-bit dtype policy.
    - The data format is always channels-last.

    Before you load or clone ResNet-1202, call `sys.setrecursionlimit(20_000)`: Keras traverses the layers of a network
    recursively.

    Args:
        variant: Name of a row of `VARIANTS` or of its builder (`"resnet50"`, `"ResNet50"`; upper and lower case are
            equivalent), or a `Variant` or `DenseVariant`.
        include_top: Whether the network ends in global average pooling and a classifier. Defaults to True.
        weights: Source of the weights: the path of a file, a dict of arrays, a repository on the Hugging Face hub,
            `"imagenet"`, `"keras"` or `"cifar10"`; see `load_pretrained`. Defaults to None, random initialization
            (He et al. 2015, arXiv:1502.01852).
        input_tensor: Keras tensor of floats, `(b, h, w, c)`, to use as the input. Defaults to None, a new `keras.Input`
            with the name `"image"`. The height and width of `input_tensor` may be unknown, also if `include_top` is
            True.
        input_shape: Tuple `(height, width, channels)`, in pixels, or `(frames, height, width, channels)` for video
            networks. Height and width must be at least the stride of the network (32 for ImageNet rows, 4 for most
            CIFAR rows). They may be None if `include_top` is False. If `include_top` is True, the default is
            `(image_size, image_size, 3)`, or `(frames, image_size, image_size, 3)` for video networks. If
            `include_top` is False, the default is `(None, None, 3)`, or `(None, None, None, 3)` for video networks.
        pooling: Global pooling of the last feature map if `include_top` is False: `"avg"`, `"max"`, or None for no
            pooling. Defaults to None.
        classes: Number of classes, if `include_top` is True. Defaults to the number of classes of the row. If
            `weights` have another number of classes than the row, this argument is required. If `classes` is neither
            the number of the weights nor the number of the row, the classifier keeps its random initialization and a
            `RandomClassifierWarning` is issued.
        classifier_activation: Activation of the classifier, a name or a function, if `include_top` is True. None
            returns the logits. Defaults to `"softmax"`.
        name: Name of the model. Defaults to the name of the row, or to `"resnet"` for a `Variant`.
        include_preprocessing: Whether the model includes the normalization of its input. The input is then RGB pixels
            from 0 to 255. Allowed values: a name of `PREPROCESSINGS`, a `Preprocessing`, True for the preprocessing of
            `weights`, or False. Images are not resized. Defaults to False.
        **fields: Fields that replace those of the row, such as `shortcut="projection_all"`. `Variant` and
            `DenseVariant` describe the fields. Each field defaults to its value in the row.

    Returns:
        A `Network`, which is a Functional `keras.Model` with the properties `variant` and `preprocessing`. The shape of
        its output is `(b, classes)` if `include_top` is True. Otherwise the output is the last feature map,
        `(b, h / stride, w / stride, channels)`, rounded up (DenseNets: rounded down), or `(b, channels)` with
        `pooling`.

    Raises:
        ValueError: If an argument or a field is unknown or has a value that is not allowed. The message names the
            argument, the allowed values and the received value. Also if the weights are those of another network.
        OSError: If the weights cannot be downloaded.

    Example:
        >>> model = keras_resnet.ResNet("resnet20", shortcut="projection", classes=100)
        >>> model.output.shape
        (None, 100)
        >>> model.variant.shortcut
        'projection'
        >>> backbone = keras_resnet.ResNet("resnet18", include_top=False, pooling="avg")
        >>> backbone.output.shape
        (None, 512)
    """
    if not isinstance(variant, Variant | DenseVariant):
        variant = find_row(variant)
    published = VARIANTS[variant] if isinstance(variant, str) else variant
    row = published
    for field in fields:
        choose(dict.fromkeys([*ARGUMENTS, *field_names(row)]), field, "The name of a keyword argument")
    row = _checked(replace(row, classes=row.classes if classes is None else classes, **fields))
    name = name or (variant if isinstance(variant, str) else "resnet")
    if pooling is not None:
        choose(POOLINGS, pooling, "pooling")
    row_name = variant if isinstance(variant, str) else name
    found = None if weights is None else read_source(weights, row_name, row, include_top=include_top)

    if input_tensor is None:
        inputs = input_tensor = keras.Input(_check_shape(row, include_top, input_shape), name="image")
    elif not (isinstance(input_tensor, keras.KerasTensor) and "float" in input_tensor.dtype):
        raise ValueError(
            f"`input_tensor` must be a Keras tensor of floats, as keras.Input gives. Received: {input_tensor!r}"
        )
    else:
        # As in keras.applications: with the top, `input_shape` must be static. The shape of `input_tensor` may be
        # unknown, because global pooling accepts any size.
        shape = _check_shape(row, False, tuple(input_tensor.shape[1:]))
        given = shape if input_shape is None else _check_shape(row, include_top, input_shape)
        if any(size not in (None, wanted) for size, wanted in zip(shape, given, strict=True)):
            raise ValueError(f"`input_shape` must be that of `input_tensor`, {shape}. Received: {input_shape}")
        inputs = keras.utils.get_source_inputs(input_tensor)
        inputs = inputs[0] if len(inputs) == 1 else inputs

    common = {field.name: getattr(row, field.name) for field in fields_of(Layers) if hasattr(row, field.name)}
    layers = Layers(**common)
    description = Description(row)
    if include_preprocessing is not False:
        chosen = _preprocessing_of(include_preprocessing, found)
        input_tensor = preprocessing_layers(chosen, input_tensor)
        description = Description(row, chosen, includes_preprocessing=True)
    with kernels_later(draw=found is None):
        x = FAMILIES[type(row)].features(row, input_tensor, layers)
    if include_top:
        x = of_rank(POOLINGS["avg"], x)(name="avg_pool", dtype=head_dtype())(x)
        if row.dropout:
            x = layers.dropout(x, row.dropout, name="avg_pool", dtype=head_dtype())
        x = layers.dense(x, row.classes, classifier_activation, name="predictions")
    elif pooling is not None:
        x = of_rank(POOLINGS[pooling], x)(name=f"{pooling}_pool", dtype=head_dtype())(x)

    with recursion_limit(10 * weight_layers(row)):
        model = describe(Network(inputs, x, name=name), description)
    if found is not None:
        give(model, found, new_head=row.classes != published.classes)
    return model


def _preprocessing_of(choice, found):
    if choice is not True:
        return find_preprocessing(choice, "include_preprocessing")
    if found is None or found.preprocessing is None:
        raise ValueError(
            "include_preprocessing=True needs `weights` whose preprocessing is known; else it must be one of "
            f"{list(PREPROCESSINGS)} or a Preprocessing. Received: weights={found and found.source!r}"
        )
    return found.preprocessing


def residual_features(row: Variant, x, layers: Layers):
    """Builds the stem and the stages. Returns the last feature map."""
    # The orders of STAGE_ORDERS end each stage with BN and ReLU. With some orders of He 2016, a block begins with BN or
    # ReLU instead of ending with them. The last block is then followed by the same layers, named `post_...`.
    order = ORDERS.get(row.order, ORDERS["original"])
    times = CONVOLUTIONS[row.convolution]
    x = STEMS[row.stem].make(x, row.stem_filters or row.filters, order.stem, replace(layers, time=times[0]))

    # He 2016, appendix: BN and ReLU are applied before the first block is split into its two paths, and again after
    # the last addition.
    if row.first_shortcut == "activated":
        x = layers.follow(order.start, x, name="conv2_block1_preact")
    shortcut = find_shortcut(row.shortcut)
    projection = Shortcut(shortcut.changed, shortcut.changed)
    drop_paths = iter(np.linspace(0, row.drop_path, sum(row.depths)).tolist())
    for stage, (depth, (stride, first_dilation, dilation)) in enumerate(
        zip(row.depths, stage_strides(row), strict=True), 2
    ):
        for block, block_order in enumerate(orders_of_stage(row.order, depth), 1):
            starts = stage == 2 and block == 1
            activated = starts and row.first_shortcut == "activated"
            strides = block == (1 if row.stride_block == "first" else depth)
            x = residual_block(
                x,
                row.filters * 2 ** (stage - 2),
                block=row.block,
                stride=stride if strides else 1,
                shortcut=projection if starts and row.first_shortcut == "projection" else row.shortcut,
                order=block_order._replace(start="") if activated else block_order,
                groups=row.groups,
                base_width=row.base_width,
                bottleneck_stride=row.bottleneck_stride,
                dilations=(first_dilation if block == 1 else dilation, dilation),
                gate=row.gate,
                gate_ratio=row.gate_ratio,
                dropout=row.block_dropout,
                drop_path=next(drop_paths),
                zero_init_residual=row.zero_init_residual,
                layers=replace(layers, time=times[min(stage, 3) - 1]),
                name=f"conv{stage}_block{block}",
            )
    return layers.follow(order.start, x, name="post")


def stage_strides(row: Variant) -> list[tuple[int, int, int]]:
    """Returns `(stride, dilation of the first 3x3 layer, dilation of the other 3x3 layers)` for each stage.

    A stage that would exceed `output_stride` is dilated instead of strided. Its first 3x3 layer keeps the dilation
    rate of the previous stage, so that it reads the same input pixels as in the network without dilation
    (github.com/facebookresearch/detectron2/issues/2598 explains the difference).
    """
    total, dilation, strides = STEMS[row.stem].stride, 1, []
    halves = [row.first_stride] + [2] * (len(row.depths) - 1)
    if row.stride_block == "last":  # the last block of a stage has the stride of the next stage
        halves = [*halves[1:], 1]
    for stride in halves:
        before = dilation
        if row.output_stride and total * stride > row.output_stride:
            dilation, stride = dilation * stride, 1
        total *= stride
        strides.append((stride, before, dilation))
    return strides


def residual_weight_layers(row: Variant) -> int:
    return STEMS[row.stem].weight_layers + sum(row.depths) * len(BLOCKS[row.block](1, 1)) + 1


@contextmanager
def recursion_limit(frames: int):
    """Raises Python's recursion limit in this context: Keras traverses the layers of a model recursively.

    ResNet-1202 exceeds the default limit of Python.
    """
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, frames))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


# first_shortcut -> function that returns whether it is allowed for a row and its shortcut
FIRST_SHORTCUTS: dict[str, Callable] = {
    "activated": lambda row, shortcut: True,
    "raw": lambda row, shortcut: bool(ORDERS.get(row.order, ORDERS["original"]).start),
    "projection": lambda row, shortcut: (
        row.block == "building_block" and shortcut.same is identity and shortcut.changed in PROJECTIONS
    ),
}


# Some layers exist for images only. Field of a row -> values that are allowed for video networks.
CLIPS: dict[str, tuple] = {
    "stem": ("7x7_unpooled", "3x3", "deep_strided"),
    "shortcut": ("projection", "projection_all", "linear_projection", "identity", "none", *"BC", "plain"),
    "gate": ("none",),
    "groups": (1,),
    "output_stride": (None,),
    "weight_standardization": (False,),
}


def checked(row: Variant) -> Variant:
    """Returns the row with Python integers. Raises ValueError if the fields do not describe a valid network.

    `Layers` checks its own fields.
    """
    choose(BLOCKS, row.block, "block")
    choose(STEMS, row.stem, "stem")
    choose(dict.fromkeys([*ORDERS, *STAGE_ORDERS]), row.order, "order")
    choose(GATES, row.gate, "gate")
    choose(CONVOLUTIONS, row.convolution, "convolution")
    if row.rank not in (2, 3):
        raise ValueError(f"rank must be 2, for images, or 3, for clips. Received: {row.rank!r}")
    for field, allowed in CLIPS.items() if row.rank == 3 else ():
        if getattr(row, field) not in allowed:
            raise ValueError(f"{field} must be one of {list(allowed)} with rank=3. Received: {getattr(row, field)!r}")
    shortcut = find_shortcut(row.shortcut)
    choose(dict.fromkeys(["first", "last"]), row.stride_block, "stride_block")
    choose(FIRST_SHORTCUTS, row.first_shortcut, "first_shortcut")
    if not FIRST_SHORTCUTS[row.first_shortcut](row, shortcut):
        raise ValueError(
            "first_shortcut may be 'raw' if the order begins with BN or ReLU, and 'projection' for building blocks "
            "with the shortcut 'projection', 'linear_projection', 'pooled_projection' or 'max_pooled_projection'. "
            f"Received: {row.first_shortcut!r} with the order {row.order!r} and the shortcut {row.shortcut!r}"
        )
    within(row.gate_ratio, "gate_ratio", "in (0, 1]")
    within(row.block_dropout, "block_dropout", "in [0, 1)")
    within(row.drop_path, "drop_path", "in [0, 1)")
    for argument, stays, needs, holds in (
        ("zero_channels", "both", "the shortcut 'zero_pad'", shortcut.changed is zero_pad),
        ("block_dropout", 0, "the block 'building_block', between its 3x3 layers", row.block == "building_block"),
        ("gate_ratio", 1 / 16, "the gate 'se'", row.gate == "se"),
        ("convolution", "full", "rank=3", row.rank == 3),
        ("frames", 16, "rank=3", row.rank == 3),
        ("output_stride", None, "nets whose first block of a stage strides", row.stride_block == "first"),
        ("first_stride", 1, "nets whose first block of a stage strides", row.stride_block == "first"),
    ):
        if getattr(row, argument) != stays and not holds:
            raise ValueError(
                f"{argument} is for {needs}; elsewhere it must stay {stays!r}. Received: {getattr(row, argument)!r}"
            )
    row = replace(
        row,
        depths=positives(row.depths, "depths", "stage"),
        filters=positive(row.filters, "filters"),
        stem_filters=None if row.stem_filters is None else positive(row.stem_filters, "stem_filters"),
        first_stride=positive(row.first_stride, "first_stride"),
        shortcut=OPTIONS.get(row.shortcut, row.shortcut),
        groups=positive(row.groups, "groups"),
        base_width=positive(row.base_width, "base_width"),
        rank=int(row.rank),
        frames=positive(row.frames, "frames"),
    )
    if row.output_stride is not None:
        strides = (stride for stride, *_ in stage_strides(replace(row, output_stride=None)))
        legal = list(accumulate(strides, mul, initial=STEMS[row.stem].stride))
        if row.output_stride not in legal:
            raise ValueError(f"output_stride must be one of {sorted({*legal})}. Received: {row.output_stride!r}")
    return row


def residual_strides(row: Variant) -> list[int]:
    return list(accumulate((stride for stride, *_ in stage_strides(row)), mul, initial=STEMS[row.stem].stride))[1:]


class Family(NamedTuple):
    """The functions that `ResNet` calls for one class of rows, `Variant` or `DenseVariant`."""

    checked: Callable  # row -> the row with Python integers; raises ValueError
    features: Callable  # row, input tensor, layers -> the last feature map
    weight_layers: Callable  # row -> number of weight layers
    strides: Callable  # row -> stride of the last feature map of each stage


FAMILIES: dict[type, Family] = {
    Variant: Family(checked, residual_features, residual_weight_layers, residual_strides),
    DenseVariant: Family(densenet.checked, densenet.dense_features, densenet.weight_layers, densenet.strides),
}


def weight_layers(row: Variant | DenseVariant) -> int:
    """Returns the depth in the name of a network, such as 50 for ResNet-50.

    It counts the convolutions on the longest path from the input to the output, and the classifier.
    """
    return FAMILIES[type(row)].weight_layers(row)


def strides(row: Variant | DenseVariant) -> list[int]:
    """Returns, for each stage, the input pixels per pixel of the last feature map, in height and in width."""
    return FAMILIES[type(row)].strides(row)


def total_stride(row: Variant | DenseVariant) -> int:
    return strides(row)[-1]


def _checked(row):
    check_channels_last()
    if keras.backend.backend() == "tensorflow" and keras.distribution.distribution() is not None:
        raise ValueError(
            "keras.distribution does nothing on Keras' TensorFlow backend: the net would train on one device. Build it "
            "in the scope of a tf.distribute.MirroredStrategy, or use the JAX backend. "
            f"Received: {keras.distribution.distribution()!r}"
        )
    within(row.dropout, "dropout", "in [0, 1)")
    row = replace(row, classes=positive(row.classes, "classes"), image_size=positive(row.image_size, "image_size"))
    return FAMILIES[type(row)].checked(row)


def _warn_of_the_stem(row, sizes: list[int]) -> None:
    """Warns if the stem does not fit the size of the images.

    The stem for small images is expensive on large images. A stem for large images leaves only a few pixels of small
    images.
    """
    stride = STEMS[row.stem].stride
    if stride == 1 and sizes and min(sizes) >= 128:
        pixels = "x".join(map(str, sizes))
        warn(
            f"the stem {row.stem!r} keeps all {pixels} pixels: conv2_x costs 16 times what it costs after '7x7'. "
            "It is meant for images of about 32 pixels."
        )
    if stride == 4 and sizes and max(sizes) < 2 * total_stride(row):
        left = "x".join(str(-(-size // total_stride(row))) for size in sizes)
        warn(
            f"the stem {row.stem!r} and the stages after it stride by {total_stride(row)}, which leaves {left} pixels "
            f"of an image of {sizes}. On CIFAR the field takes the stem '3x3', as in 'resnet18_cifar'."
        )


def _check_shape(row, include_top: bool, shape: Sequence[int | None] | None) -> tuple:
    """Returns the shape of one image or clip. The checks and the messages are those of keras.applications."""
    published = published_shape(row)
    if shape is None:
        return published if include_top else (*[None] * (len(published) - 1), 3)
    if not isinstance(shape, tuple | list) or len(shape) != len(published) or shape[-1] is None:
        size = "three integers" if len(published) == 3 else "four integers (frames, height, width, channels)"
        raise ValueError(f"`input_shape` must be a tuple of {size}. Received: input_shape={shape!r}")
    shape = tuple(size if size is None else positive(size, "`input_shape`") for size in shape)
    smallest = total_stride(row)
    sizes = [size for size in shape[-3:-1] if size is not None]
    if any(size < smallest for size in sizes):
        raise ValueError(f"Input size must be at least {smallest}x{smallest}; Received: input_shape={shape}")
    _warn_of_the_stem(row, sizes)
    if include_top and None in shape:
        raise ValueError(
            f"If `include_top` is True, you should specify a static `input_shape`. Received: input_shape={shape}"
        )
    return shape
