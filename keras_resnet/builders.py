"""`ResNet` and a builder for each row of `VARIANTS`: `ResNet50` builds the row "resnet50", `SEResNet18` "seresnet18".

The builders are created from the rows when this module is imported. The generated file `builders.pyi` declares them for
type checkers and editors. To generate it, run `PYTHONPATH=tests python tests/test_variants.py`.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from keras_resnet.network import Network
from keras_resnet.resnet import ResNet, weight_layers
from keras_resnet.shortcuts import Shortcut
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, builder_name, published_shape

__all__ = ["ResNet", *map(builder_name, VARIANTS)]

VARIANT, *ARGUMENTS, _ = inspect.signature(ResNet).parameters.values()
# fields that accept more types than the value in a row has
ACCEPTED = {"depths": Sequence[int], "shortcut": str | Shortcut}
# The part of the docstring of `ResNet` that describes the arguments (without `variant`), the result and the errors.
REFERENCE = "".join(inspect.cleandoc(ResNet.__doc__ or "").partition("    include_top:")[1:]).partition("Example:")[0]


class FromRow:
    """The default of a field in the signature of `ResNet`. It stands for the value in the row `variant`."""

    def __repr__(self):
        return "..."


def set_signature(builder: Callable, arguments: list, kinds: tuple[type, ...], defaults: dict) -> None:
    """Sets the signature of `builder`: `arguments`, then the fields of the classes `kinds`.

    `defaults` contains the default values by parameter name.
    """
    parameters = {argument.name: argument for argument in arguments}
    for field in (field for kind in kinds for field in fields(kind)):
        keyword = inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=FromRow())
        parameters.setdefault(field.name, keyword.replace(annotation=ACCEPTED.get(field.name, field.type)))
    for name, default in defaults.items():
        parameters[name] = parameters[name].replace(default=default)
    builder.__signature__ = inspect.Signature([*parameters.values()], return_annotation=Network)
    builder.__annotations__ = {name: value.annotation for name, value in parameters.items()} | {"return": Network}


def make_builder(row_name: str) -> Callable[..., Network]:
    row = VARIANTS[row_name]

    def build(*arguments, **keywords):
        return ResNet(row_name, *arguments, **keywords)

    name = build.__name__ = build.__qualname__ = builder_name(row_name)
    set_signature(build, ARGUMENTS, (type(row),), {**asdict(row), "name": row_name})
    chosen = ", ".join(f"{f.name}={getattr(row, f.name)!r}" for f in fields(row) if getattr(row, f.name) != f.default)
    size = " x ".join(map(str, published_shape(row)[:-1]))
    build.__doc__ = f"""Returns {name}: {weight_layers(row)} weight layers, {row.classes} classes, {size} pixels.

`ResNet({row_name!r})` returns the same network. Its row of `VARIANTS` is `{type(row).__name__}({chosen})`.

Args:
{REFERENCE}Example:
    >>> model = keras_resnet.{name}(classes=5)
    >>> model.output.shape
    (None, 5)
"""
    return build


globals().update({builder_name(row_name): make_builder(row_name) for row_name in VARIANTS})
set_signature(ResNet, [VARIANT, *ARGUMENTS], (Variant, DenseVariant), {})
