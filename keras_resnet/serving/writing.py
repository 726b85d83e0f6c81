"""What a writer of a file gets."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Work(NamedTuple):
    """A net, frozen, as a function and as a SavedModel: `image` -> `probabilities`, both float32, batch first."""

    function: Any  # a tf.function
    image: Any  # its TensorSpec
    saved_model: Path
    precision: str  # of the weights in the file: "float32", "float16" or "int8"
    calibration: np.ndarray | None
    metadata: dict


def as_text(metadata: dict) -> dict[str, str]:
    """Strings as they are, all else as JSON: what the fields of a model file can hold."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
