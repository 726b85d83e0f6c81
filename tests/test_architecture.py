"""Tests which modules may import each other, and that all backends compute the same outputs."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import randomize, tiny

PACKAGE = Path(__file__).parent.parent / "keras_resnet"

# The modules of a set may import only modules of the sets before it.
FLOORS = [
    {"errors", "files", "initialization", "machine", "quiet", "ranks"},
    {"variants", "layers", "preprocessing"},
    {"network", "shortcuts", "stems", "gates"},
    {"blocks", "densenet", "macs", "weights"},
    {"resnet"},
    {"activation_maps"},
    {"applications", "builders", "drawing", "fine_tuning", "plain_keras", "pyramid", "serving", "tuner"},
    {"training"},
    {"commands"},
    {"__init__"},
    {"__main__"},
]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield node.module


def floor(module):
    (number,) = [i for i, modules in enumerate(FLOORS) if module in modules]
    return number


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        top, *rest = name.split(".")
        assert top not in ("experiments", "benchmarks", "tests")
        assert not name.startswith("keras.src")
        if top == "keras_resnet" and rest:
            same_room = rest[0] == room and path.parent != PACKAGE
            assert same_room or floor(rest[0]) < floor(room), f"{room} imports {name}"


# JAX's compiled code runs only a few times here. Without optimization, the test takes half of the time.
HASTY_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"

OTHER_BACKEND = """
import json, sys
import numpy as np
import keras, keras_resnet
assert keras.backend.backend() == sys.argv[1]
for i, fields in enumerate(json.loads(sys.argv[2])):
    model = keras_resnet.ResNet(keras_resnet.Variant(**fields))
    data = np.load(f"{sys.argv[3]}/{i}.npz")
    model.set_weights([data[f"arr_{j}"] for j in range(len(model.weights))])
    np.testing.assert_allclose(model.predict(data["x"], verbose=0), data["y"], rtol=1e-3, atol=1e-4)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    loss = model.fit(data["x"], np.arange(len(data["x"])) % 3, epochs=3, verbose=0).history["loss"]
    assert loss[-1] < loss[0], loss
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_answers(backend, rng, tmp_path):
    pytest.importorskip(backend)
    small = {"filters": 4, "image_size": 16, "classes": 3, "depths": (1, 2)}
    nets = [
        {"block": "building_block", "stem": "3x3", "shortcut": "zero_pad", "weight_decay": 1e-4, **small},
        {"block": "bottleneck", "stem": "7x7", "order": "preactivation", "shortcut": "pooled_projection", **small},
        {**small, "block": "bottleneck", "stem": "deep", "gate": "se", "filters": 16, "groups": 4, "base_width": 8},
        {**small, "block": "building_block", "stem": "3x3", "shortcut": "linear_projection", "conv_bias": "all",
         "conv_padding": "same", "filters": 8},
        {**small, "block": "building_block", "stem": "3x3", "order": "stage_wise", "shortcut": "max_pooled_projection",
         "gate": "eca", "filters": 32, "depths": (2, 2), "norm": "gn", "weight_standardization": True,
         "output_stride": 1},
    ]  # fmt: skip
    for i, fields in enumerate(nets):
        model = randomize(tiny(**fields))
        x = rng.normal(size=(6, 16, 16, 3)).astype("float32")
        np.savez(tmp_path / f"{i}.npz", *model.get_weights(), x=x, y=np.asarray(model(x)))
    subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, backend, json.dumps(nets), str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": HASTY_XLA},
        check=True,
    )
