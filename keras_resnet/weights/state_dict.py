"""Loading of a PyTorch state dict into a model.

Tensors are matched by name. Every tensor and every variable must match exactly once. Otherwise nothing is loaded.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import keras
import numpy as np

from keras_resnet.weights.names import (
    NAMINGS,
    Named,
    find_classifier,
    find_naming,
    name_variables,
    variables_of,
)

COUNTERS = "num_batches_tracked"  # a counter of BN in PyTorch; old files do not contain it, and it is not needed here

# Rank of a kernel -> permutation of axes from PyTorch to Keras. In PyTorch, (out, in) are the first axes. In Keras,
# (in, out) are the last axes.
AXES = {2: (1, 0), 3: (2, 1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}


def check(model: keras.Model, state: Mapping[str, np.ndarray], targets: list[Named]) -> None:
    """Raises ValueError unless each target has exactly one tensor, of the right shape, and each tensor has a target."""
    wanted = {target.tensor for target in targets}
    wrong = [
        f"missing: {name}{nearest(name, state)}" for name in (target.tensor for target in targets) if name not in state
    ]
    wrong += [
        f"unexpected: {name} {np.shape(state[name])}{nearest(name, wanted)}" for name in state if name not in wanted
    ]
    for target in targets:
        if target.tensor not in state:
            continue
        array = np.asarray(state[target.tensor])
        if not is_float(array):
            wrong.append(f"dtype: {target.tensor} is of {array.dtype}, {target.variable.path} needs floats")
        elif to_keras(array, target).shape != tuple(target.variable.shape):
            wrong.append(
                f"shape: {target.tensor} is {array.shape}, {target.variable.path} needs "
                f"{tuple(target.variable.shape)}, transposed as Keras has it"
            )
    refuse(model, wrong)


def assign(state: Mapping[str, np.ndarray], targets: list[Named]) -> None:
    """Assigns each tensor to its variable."""
    for target in targets:
        target.variable.assign(to_keras(np.asarray(state[target.tensor]), target, keras.ops.transpose))


def match_naming(
    model: keras.Model, state: Mapping[str, np.ndarray], namings: Iterable[str] = NAMINGS
) -> tuple[str, list[Named]]:
    """Returns the naming in `namings` with which most variables of the model are in `state`, and the named variables.

    The classifier is handled separately. It is used only to choose between namings that are otherwise equally good.
    """
    layers, found = variables_of(model), {}
    for naming in namings:
        try:
            found[naming] = name_variables(layers, naming)
        except ValueError:  # this naming has no names for the layers of this network
            continue
    if not found:
        raise ValueError(f"No naming of {list(namings)} has names for all layers of {model.name!r}.")

    def found_in_state(naming: str) -> tuple[int, bool]:
        body = sum(target.tensor in state for target in found[naming] if target.layer != "predictions")
        return body, find_naming(naming).classifier == find_classifier(state, naming)

    best = max(found, key=found_in_state)
    return best, found[best]


def is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name in ("bfloat16", "float16")


def to_keras(array: np.ndarray, target: Named, transpose=np.transpose):
    """Returns the array with the axes of the variable. A classifier saved as a 1x1 convolution becomes a matrix.

    `np.transpose` returns a view without a copy. `keras.ops.transpose` returns a tensor. It needs a third of the time
    that NumPy needs to copy such a view.
    """
    if not target.variable.path.endswith("kernel"):
        return array
    rank = len(target.variable.shape)
    if rank == 2 and array.ndim == 4:
        ones = (2, 3) if target.output_channels_first else (0, 1)
        array = array.squeeze(ones) if all(array.shape[axis] == 1 for axis in ones) else array
    return transpose(array, AXES[rank]) if target.output_channels_first and array.ndim == rank else array


def to_torch(target: Named) -> np.ndarray:
    """Returns the value of the variable with the axes that the other project uses."""
    value = keras.ops.convert_to_numpy(target.variable)
    transposed = target.output_channels_first and target.variable.path.endswith("kernel")
    return value.transpose(np.argsort(AXES[value.ndim])) if transposed else value


def refuse(model: keras.Model, wrong: list[str]) -> None:
    """Raises ValueError if `wrong` is not empty. The message lists the first twenty problems."""
    if wrong:
        more = f"\n  ... and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise ValueError(f"These weights are not of {model.name!r}:\n  " + "\n  ".join(wrong[:20]) + more)


def nearest(name: str, names) -> str:
    near = get_close_matches(name, names, n=1)
    return f" (nearest: {near[0]})" if near else ""
