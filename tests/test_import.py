"""Tests of the modules that `import keras_resnet` loads, and of its warnings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import keras_resnet

PACKAGE = Path(keras_resnet.__file__).parent
FILES = [path for path in PACKAGE.rglob("*.py") if path.name != "tuner.py"]  # no module imports tuner.py
LATER = {"h5py", "zipfile", "pickletools", "PIL", "huggingface_hub", "onnx", "openvino", "matplotlib", "keras_tuner"}


def modules_at_import(path):
    """Returns the modules that are imported outside of functions."""
    pending = list(ast.parse(path.read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        pending.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_slow_to_import_is_imported_where_it_is_used(path):
    assert not LATER.intersection(modules_at_import(path))


def run(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **options)


def test_the_serving_package_is_imported_when_it_is_used():
    code = """
import sys, keras_resnet
assert not {"keras_resnet.serving", "keras_resnet.drawing"} & {*sys.modules}
assert "export" in dir(keras_resnet)
keras_resnet.export_saved_model, keras_resnet.export, keras_resnet.fold_batch_norm
assert "keras_resnet.serving" in sys.modules
"""
    run(code)
    with pytest.raises(AttributeError, match="module 'keras_resnet' has no attribute 'ResNet51'"):
        keras_resnet.ResNet51  # noqa: B018


@pytest.mark.slow
def test_the_old_distribution_is_warned_of(tmp_path):
    """The project keras-resnet on PyPI installs a package with the same name as this package."""
    folder = tmp_path / "keras_resnet-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: keras-resnet\nVersion: 0.2.0\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import keras_resnet"
    assert "UserWarning: The distribution keras-resnet 0.2.0, another project" in run(code).stderr
    assert "UserWarning" not in run("import keras_resnet").stderr
