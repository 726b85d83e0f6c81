"""Stem, stages, head: `ResNet()` builds any row of `VARIANTS`, and each row has a builder with its name.

The builders take the eight arguments of keras.applications in their order, and then the fields of `Variant`.
"""

import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import keras

from keras_resnet.blocks import BLOCKS, ORDERS, residual_block
from keras_resnet.errors import choose, positive
from keras_resnet.layers import Layers, head_dtype
from keras_resnet.shortcuts import find_shortcut
from keras_resnet.stems import STEMS
from keras_resnet.variants import VARIANTS, Variant, field_names

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
)
POOLINGS = {"avg": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}


def ResNet(
    variant: str | Variant,
    include_top: bool = True,
    weights=None,
    input_tensor=None,
    input_shape: tuple | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation="softmax",
    name: str | None = None,
    **fields,
) -> keras.Model:
    """The net of a row of `VARIANTS`, or of a `Variant` of your own, as a Functional model.

    `(b, h, w, c) -> (b, classes)`. Without the top `(b, h/s, w/s, filters)`, where s is 32 for ImageNet rows and 4 for
    CIFAR rows, or `(b, filters)` with `pooling="avg"` or `"max"`.

    The arguments are those of keras.applications and mean the same (`pooling` is for `include_top=False`, `classes` and
    `classifier_activation` for `include_top=True`), but: `weights=None` is the default (or the path of a `.weights.h5`
    or `.keras` file); the top stays float32 under a 16-bit policy; nets are channels-last; no convolution has a bias;
    and the stride of a bottleneck sits in its 3x3 layer (`bottleneck_stride="1x1"` is the paper's).

    `fields` replace those of the row: `ResNet("resnet56", shortcut="projection_all", order="preactivation")`. Option C
    (`projection_all`) is harmless at 34 layers and ruinous at 110: 12.22 % against 6.61 % error (He 2016, Table 1).

    A file of weights must be of this very net: Keras compares shapes, and those of ResNet-20 and plain-20 are alike.
    To load or clone ResNet-1202, call `sys.setrecursionlimit(20_000)` first: Keras walks a net recursively.

    Raises ValueError that names the argument, what is allowed and what came.
    """
    row = choose(VARIANTS, variant, "variant") if not isinstance(variant, Variant) else variant
    for field in fields:
        choose(dict.fromkeys([*ARGUMENTS, *field_names()]), field, "The name of a keyword argument")
    row = _checked(replace(row, classes=row.classes if classes is None else classes, **fields))
    name = name or (variant if isinstance(variant, str) else "resnet")
    if pooling is not None:
        choose(POOLINGS, pooling, "pooling")
    if weights is not None:
        weights = _checked_path(weights)

    if input_tensor is None:
        inputs = input_tensor = keras.Input(_check_shape(row, include_top, input_shape), name="image")
    elif not (isinstance(input_tensor, keras.KerasTensor) and "float" in input_tensor.dtype):
        raise ValueError(
            f"`input_tensor` must be a Keras tensor of floats, as keras.Input gives. Received: {input_tensor!r}"
        )
    else:
        shape = _check_shape(row, include_top, tuple(input_tensor.shape[1:]))
        if input_shape is not None and tuple(input_shape) != shape:
            raise ValueError(f"`input_shape` must be that of `input_tensor`, {shape}. Received: {input_shape}")
        inputs = keras.utils.get_source_inputs(input_tensor)
        inputs = inputs[0] if len(inputs) == 1 else inputs

    x = _features(row, input_tensor)
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool", dtype=head_dtype())(x)
        x = _layers(row).dense(x, row.classes, classifier_activation, name="predictions")
    elif pooling is not None:
        x = POOLINGS[pooling](name=f"{pooling}_pool")(x)

    with _recursion_limit(10 * weight_layers(row)):
        model = keras.Model(inputs, x, name=name)
    if weights is not None:
        model.load_weights(weights)
    return model


def _features(row: Variant, x):
    """Stem and stages; the last map of row's net."""
    layers = _layers(row)
    order = ORDERS[row.order]
    x = STEMS[row.stem].make(x, row.filters, order.stem, layers)

    # He 2016, appendix: the first unit is activated before it splits in two, the last one after the addition.
    x = layers.follow(order.start, x, name="conv2_block1_preact")
    first_order, order_of_the_rest = order._replace(start=""), order
    for stage, depth in enumerate(row.depths, 2):
        for block in range(1, depth + 1):
            x = residual_block(
                x,
                row.filters * 2 ** (stage - 2),
                block=row.block,
                stride=2 if block == 1 and stage > 2 else 1,
                shortcut=row.shortcut,
                order=first_order if stage == 2 and block == 1 else order_of_the_rest,
                groups=row.groups,
                base_width=row.base_width,
                bottleneck_stride=row.bottleneck_stride,
                zero_init_residual=row.zero_init_residual,
                layers=layers,
                name=f"conv{stage}_block{block}",
            )
    return layers.follow(order.start, x, name="post")


def _layers(row: Variant) -> Layers:
    return Layers(row.weight_decay, row.bn_momentum, row.bn_epsilon, row.zero_channels)


def weight_layers(row: Variant) -> int:
    """The depth that a name counts: convolutions on the longest path from the image, and the classifier."""
    return STEMS[row.stem].weight_layers + sum(row.depths) * len(BLOCKS[row.block](1, 1)) + 1


@contextmanager
def _recursion_limit(frames: int):
    """Keras walks a graph recursively, and 1202 layers are more than Python allows by default."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, frames))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def total_stride(row: Variant) -> int:
    return STEMS[row.stem].stride * 2 ** (len(row.depths) - 1)


def _checked(row: Variant) -> Variant:
    """The row with Python's integers; ValueError for what no net can be made of."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras_resnet builds channels-last nets: keras.config.image_data_format() must be 'channels_last'. "
            f"Received: {keras.config.image_data_format()!r}"
        )
    choose(BLOCKS, row.block, "block")
    choose(STEMS, row.stem, "stem")
    choose(ORDERS, row.order, "order")
    find_shortcut(row.shortcut)
    try:
        depths = tuple(positive(depth, "depths") for depth in row.depths)
    except TypeError:
        depths = ()
    if not depths:
        raise ValueError(f"depths must be a tuple of positive integers, one a stage. Received: {row.depths!r}")
    if row.zero_channels != "both" and row.shortcut not in ("zero_pad", "A"):
        raise ValueError(
            "zero_channels is for the shortcut 'zero_pad'; with any other it must stay 'both'. "
            f"Received: zero_channels={row.zero_channels!r}, shortcut={row.shortcut!r}"
        )
    return replace(
        row,
        depths=depths,
        filters=positive(row.filters, "filters"),
        groups=positive(row.groups, "groups"),
        base_width=positive(row.base_width, "base_width"),
        classes=positive(row.classes, "classes"),
        image_size=positive(row.image_size, "image_size"),
    )


def _checked_path(weights) -> Path:
    path = Path(weights).expanduser() if isinstance(weights, str | Path) else None
    if path is None or not path.is_file() or not path.name.endswith((".weights.h5", ".keras")):
        raise ValueError(
            "The `weights` argument should be either `None` (random initialization) or the path to the weights file to "
            f"be loaded, `.weights.h5` or `.keras`.  Received: weights={weights}"
        )
    return path


def _check_shape(row: Variant, include_top: bool, shape: tuple | None) -> tuple:
    """The shape of one image under the rules, and with the errors, of keras.applications."""
    if shape is None:
        return (row.image_size, row.image_size, 3) if include_top else (None, None, 3)
    if not isinstance(shape, tuple | list) or len(shape) != 3 or shape[-1] is None:
        raise ValueError(f"`input_shape` must be a tuple of three integers. Received: input_shape={shape!r}")
    shape = tuple(size if size is None else positive(size, "`input_shape`") for size in shape)
    smallest = total_stride(row)
    if any(size is not None and size < smallest for size in shape[:2]):
        raise ValueError(f"Input size must be at least {smallest}x{smallest}; Received: input_shape={shape}")
    if include_top and None in shape:
        raise ValueError(
            f"If `include_top` is True, you should specify a static `input_shape`. Received: input_shape={shape}"
        )
    return shape


def _builder(row_name: str) -> Callable[..., keras.Model]:
    row = VARIANTS[row_name]

    def build(
        include_top=True,
        weights=None,
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes=row.classes,
        classifier_activation="softmax",
        name=row_name,
        **fields,
    ):
        return ResNet(
            row,
            include_top,
            weights,
            input_tensor,
            input_shape,
            pooling,
            classes,
            classifier_activation,
            name,
            **fields,
        )

    size = f"({row.image_size}, {row.image_size}, 3)"
    build.__doc__ = f"""`ResNet({row_name!r})`, {weight_layers(row)} weight layers, {row.classes} classes, {size}.

    {", ".join(f"{field}={value!r}" for field, value in asdict(row).items())}.
    The arguments and errors are those of `ResNet`.
    """
    build.__name__ = build.__qualname__ = (
        row_name.replace("plain", "PlainNet")
        .replace("resnet", "ResNet")
        .replace("resnext", "ResNeXt")
        .replace("v2", "V2")
    )
    return build


PlainNet18 = _builder("plain18")
PlainNet34 = _builder("plain34")
ResNet18 = _builder("resnet18")
ResNet34 = _builder("resnet34")
ResNet50 = _builder("resnet50")
ResNet101 = _builder("resnet101")
ResNet152 = _builder("resnet152")
ResNeXt50_32x4d = _builder("resnext50_32x4d")
ResNet50V2 = _builder("resnet50v2")
ResNet101V2 = _builder("resnet101v2")
ResNet152V2 = _builder("resnet152v2")

PlainNet20 = _builder("plain20")
PlainNet32 = _builder("plain32")
PlainNet44 = _builder("plain44")
PlainNet56 = _builder("plain56")
PlainNet110 = _builder("plain110")
ResNet20 = _builder("resnet20")
ResNet32 = _builder("resnet32")
ResNet44 = _builder("resnet44")
ResNet56 = _builder("resnet56")
ResNet110 = _builder("resnet110")
ResNet1202 = _builder("resnet1202")
ResNet110V2 = _builder("resnet110v2")
ResNet164V2 = _builder("resnet164v2")
ResNet1001V2 = _builder("resnet1001v2")
