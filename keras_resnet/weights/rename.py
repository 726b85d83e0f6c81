"""Checks and changes of the names of tensors before they are matched."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from keras_resnet.weights.keras_files import KerasFile

# End of a tensor name -> the networks with this tensor. These networks differ from those of this package in more than
# the names.
OTHER_NORMALIZATIONS = {
    "layer1.0.se_module.fc1.weight": "an SE network of Cadene (in timm: legacy_se...), which this package does not "
    "have: its max pool pads only below and to the right, and its building blocks have a ReLU before the gate",
}


def check_foreign(names: Iterable[str], source: str) -> None:
    """Raises ValueError for tensors of networks that this package does not have.

    With other names, these tensors would fit, but the outputs would be wrong.
    """
    for end, network in OTHER_NORMALIZATIONS.items():
        if any(name.endswith(end) for name in names):
            raise ValueError(f"{source} is of {network}.")


def check_rename(rename: Mapping[str, str]) -> None:
    """Raises ValueError unless `rename` is a dict of valid regular expressions and valid replacements."""
    if not isinstance(rename, Mapping):
        raise ValueError(f"rename must be a dict {{pattern: replacement}} of strings. Received: {rename!r}")
    for pattern, replacement in rename.items():
        try:
            if not isinstance(replacement, str):
                raise TypeError("the replacement must be a string")
            re.sub(pattern, replacement, "")
        except (re.error, TypeError, IndexError, OverflowError) as error:
            raise ValueError(
                "rename must be a dict {pattern: replacement} of strings as for re.sub. "
                f"Received: {{{pattern!r}: {replacement!r}}}: {error}"
            ) from error


def rename_tensors(state: Any, rename: Mapping[str, str]) -> Any:
    """Returns the state dict or the `KerasFile` with changed names.

    Raises ValueError if two tensors would have the same name.
    """
    if isinstance(state, KerasFile):
        return state._replace(tensors=rename_tensors(state.tensors, rename))
    old_names: dict[str, str] = {}
    for name in state:
        new = name
        for pattern, replacement in rename.items():
            new = re.sub(pattern, replacement, new)
        if new in old_names:
            raise ValueError(
                f"rename must give every tensor its own name. Received: {dict(rename)}, which calls both "
                f"{old_names[new]!r} and {name!r} {new!r}"
            )
        old_names[new] = name
    return {new: state[name] for new, name in old_names.items()}
