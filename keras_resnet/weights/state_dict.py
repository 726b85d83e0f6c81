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
    targets = list(named_variables(model, naming)) if naming else best_naming(model, state)
    wrong = [
        f"missing: {target.tensor}{_hint(target.tensor, state)}" for target in targets if target.tensor not in state
    ]
    left = state.keys() - {target.tensor for target in targets}
    wrong += [f"unexpected: {name} {state[name].shape}" for name in state if name in left]
    values = {}
    for target in targets:
        if target.tensor in state:
            value = to_keras(state[target.tensor], target)
            values[target.tensor] = value
            if value.shape != tuple(target.variable.shape):
                wrong.append(
                    f"shape: {target.tensor} is {state[target.tensor].shape}, {target.variable.path} needs "
                    f"{tuple(target.variable.shape)}, turned as Keras has it"
                )
    if wrong:
        more = f"\n  ... and {len(wrong) - 20} more" if len(wrong) > 20 else ""
        raise ValueError(f"These weights are not of {model.name!r}:\n  " + "\n  ".join(wrong[:20]) + more)
    for target in targets:
        target.variable.assign(values[target.tensor])


def best_naming(model: keras.Model, state: Mapping[str, np.ndarray]) -> list[Named]:
    """The variables of the model under the naming that finds most of them in `state`."""
    found: list[tuple[int, list[Named]]] = []
    for naming in NAMINGS:
        try:
            targets = list(named_variables(model, naming))
        except ValueError:  # it has no names for such a net
            continue
        found.append((sum(target.tensor in state for target in targets), targets))
    if not found:
        raise ValueError(f"No naming of {list(NAMINGS)} has names for all layers of {model.name!r}.")
    return max(found, key=lambda pair: pair[0])[1]


def to_keras(array: np.ndarray, target: Named) -> np.ndarray:
    """The array as the variable lays it out; a classifier written as a 1x1 convolution becomes a matrix."""
    array = np.asarray(array)
    if not target.variable.path.endswith("kernel"):
        return array
    rank = len(target.variable.shape)
    if rank == 2 and array.ndim == 4 and array.shape[2:] == (1, 1):
        array = array[:, :, 0, 0]
    return array.transpose(AXES[rank]) if array.ndim == rank else array


def to_torch(target: Named) -> np.ndarray:
    """The variable as PyTorch lays it out."""
    value = keras.ops.convert_to_numpy(target.variable)
    return value.transpose(np.argsort(AXES[value.ndim])) if target.variable.path.endswith("kernel") else value


def _hint(name: str, names: Mapping) -> str:
    near = get_close_matches(name, names, n=1)
    return f" (nearest: {near[0]})" if near else ""
