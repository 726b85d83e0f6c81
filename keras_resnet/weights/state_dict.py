"""A PyTorch state dict into a model: by name, each tensor once, each weight once, or not at all."""

from collections.abc import Mapping
from difflib import get_close_matches

import keras
import numpy as np

from keras_resnet.weights.names import NAMINGS, Named, named_variables

COUNTERS = "num_batches_tracked"  # of BN; older files have none, and nothing here needs it

# the rank of a kernel here -> where its axes come from: PyTorch puts (out, in) first, Keras (in, out) last
AXES = {2: (1, 0), 3: (2, 1, 0), 4: (2, 3, 1, 0), 5: (2, 3, 4, 1, 0)}


def load_state_dict(model: keras.Model, state: Mapping[str, np.ndarray], naming: str | None = None) -> None:
    """Gives `model` the weights of a dict of arrays that is named and laid out as a PyTorch state dict.

    `naming` is a row of `names.NAMINGS`, by default the one that most names of `state` belong to. Kernels are turned
    from (out, in, h, w) to (h, w, in, out), 16-bit floats become the variables' own type.

    Raises ValueError that lists what is missing, what is left over and what has another shape; then nothing is changed.
    """
    state = {name: array for name, array in state.items() if not name.endswith(COUNTERS)}
    assign(model, state, list(named_variables(model, naming)) if naming else match_naming(model, state)[1])


def assign(model: keras.Model, state: Mapping[str, np.ndarray], targets: list[Named]) -> None:
    """Every tensor to its target, or a ValueError and none."""
    wanted = {target.tensor for target in targets}
    wrong = [
        f"missing: {name}{nearest(name, state)}" for name in (target.tensor for target in targets) if name not in state
    ]
    wrong += [f"unexpected: {name} {np.shape(state[name])}" for name in state if name not in wanted]
    values = {target.tensor: to_keras(state[target.tensor], target) for target in targets if target.tensor in state}
    for target in targets:
        if target.tensor in values and values[target.tensor].shape != tuple(target.variable.shape):
            wrong.append(
                f"shape: {target.tensor} is {np.shape(state[target.tensor])}, {target.variable.path} needs "
                f"{tuple(target.variable.shape)}, turned as Keras has it"
            )
    refuse(model, wrong)
    for target in targets:
        target.variable.assign(values[target.tensor])


def match_naming(model: keras.Model, state: Mapping[str, np.ndarray]) -> tuple[str, list[Named]]:
    """The naming that finds most of the model's variables in `state`, and these variables."""
    found: dict[str, list[Named]] = {}
    for naming in NAMINGS:
        try:
            found[naming] = list(named_variables(model, naming))
        except ValueError:  # it has no names for such a net
            continue
    if not found:
        raise ValueError(f"No naming of {list(NAMINGS)} has names for all layers of {model.name!r}.")
    return max(found.items(), key=lambda pair: sum(target.tensor in state for target in pair[1]))


def to_keras(array: np.ndarray, target: Named) -> np.ndarray:
    """The array as the variable lays it out; a classifier written as a 1x1 convolution becomes a matrix."""
    array = np.asarray(array)
    if not target.variable.path.endswith("kernel"):
        return array
    rank = len(target.variable.shape)
    if rank == 2 and array.ndim == 4:
        array = array.squeeze((2, 3) if target.out_first else (0, 1)) if 1 in array.shape else array
    return array.transpose(AXES[rank]) if target.out_first and array.ndim == rank else array


def to_torch(target: Named) -> np.ndarray:
    """The variable as the project lays it out."""
    value = keras.ops.convert_to_numpy(target.variable)
    turned = target.out_first and target.variable.path.endswith("kernel")
    return value.transpose(np.argsort(AXES[value.ndim])) if turned else value


def refuse(model: keras.Model, wrong: list[str]) -> None:
    """ValueError where anything is wrong with a file for the model, with the first twenty."""
    if wrong:
        more = f"\n  ... and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise ValueError(f"These weights are not of {model.name!r}:\n  " + "\n  ".join(wrong[:20]) + more)


def nearest(name: str, names: Mapping) -> str:
    near = get_close_matches(name, names, n=1)
    return f" (nearest: {near[0]})" if near else ""
