"""pyproject.toml declares all imported packages, and the files that it lists exist."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# folder or file -> the extras whose packages its functions may import. At module level, keras_resnet may import only
# core packages, except in the files of ALONE, which no other module of the package imports.
EXTRAS = {
    "keras_resnet/tuner.py": ["tuner"],
    "keras_resnet/weights": ["weights"],
    "keras_resnet/serving": ["serving", "onnx", "litert", "openvino"],
    "keras_resnet/training": ["training", "demo"],
    "keras_resnet": [],
    "experiments": ["experiments", "distributed"],
    "benchmarks": ["experiments", "serving", "peers"],
    "docs": ["docs"],
    "docs/tutorials": ["docs", "tutorials"],
    "tests": ["dev", "peers"],
}
ALONE = {"keras_resnet/tuner.py"}
BACKENDS = {"jax", "torch"}  # backends of Keras: functions may import the active backend
FILES = sorted(path for folder in EXTRAS for path in (ROOT / folder).rglob("*.py") if path.parent == ROOT / folder)
FILES += sorted([*(ROOT / "tests").glob("*/*.py"), *(ROOT / "docs").glob("*/*.py")])


def normalized(distribution):
    """Returns the normalized name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@cache
def declared(extra=None):
    """Returns the distributions of an extra, or of the core."""
    requirements = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    names = set()
    for requirement in requirements:
        name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", requirement).groups()
        names |= {normalized(name)}
        for other in extras.split(",") if extras else ():  # keras-resnet-family[experiments,...]
            names |= declared(other)
    return names


def imports(source):
    """Yields each import and whether it is at module level, including `pytest.importorskip`."""

    def walk(node, top):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, top) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from ((f"{module}.{alias.name}", top) for alias in names)
            case ast.Call(func=ast.Attribute(attr="importorskip"), args=[ast.Constant(value=module), *_]):
                yield module, False
        top = top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, top)

    return walk(ast.parse(source), True)


providers_of_all = cache(metadata.packages_distributions)  # reads the files of every distribution: a second


@cache
def distributions(module):
    """Returns the distributions that may provide a module.

    For a namespace package such as `google`, only the distributions that contain the whole path are returned.
    """
    top, *rest = module.split(".")
    providers = set(providers_of_all().get(top, [top]))  # if not installed, the name itself
    if len(providers) > 1 and rest:
        start = f"{top}/{rest[0]}"
        holds = {
            name: any(str(file).startswith((f"{start}/", f"{start}.")) for file in metadata.files(name) or ())
            for name in providers
        }
        providers = {name for name in providers if holds[name]} or providers
    return {normalized(name) for name in providers}


def undeclared(source, extras, core_at_top):
    ours = {"keras_resnet", "experiments", "benchmarks"} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
    ours |= {path.name for path in (ROOT / "tests").iterdir()} | {path.stem for path in (ROOT / "docs").glob("*.py")}
    found = set()
    for module, top in imports(source):
        if module.split(".")[0] in sys.stdlib_module_names | ours:
            continue
        allowed = set(declared()).union(*(declared(extra) for extra in extras if not (top and core_at_top)))
        if core_at_top and not top:
            allowed |= BACKENDS
        if not distributions(module) & allowed:
            found.add(module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_declared(path):
    folder = max((folder for folder in EXTRAS if path.is_relative_to(ROOT / folder)), key=len)
    core_at_top = folder.startswith("keras_resnet") and folder not in ALONE
    found = undeclared(path.read_text(), EXTRAS[folder], core_at_top)
    assert not found, f"declare these in pyproject.toml, for {folder} ({EXTRAS[folder] or 'core'}): {sorted(found)}"


def test_an_undeclared_import_is_found():
    source = """
import numpy, attr
def f():
    import google.protobuf
    from google.api import http_pb2
    pytest.importorskip("unheard_of")
"""
    assert undeclared(source, ["serving"], core_at_top=True) == {"attr", "google.api.http_pb2", "unheard_of"}
    assert undeclared("import huggingface_hub", ["weights"], core_at_top=True) == {"huggingface_hub"}
    assert undeclared("import huggingface_hub", ["weights"], core_at_top=False) == set()


@pytest.mark.parametrize("file", sorted(ALONE))
def test_nothing_else_in_the_package_imports_it(file):
    module = file.removesuffix(".py").replace("/", ".")
    for path in (ROOT / "keras_resnet").rglob("*.py"):
        names = {name for name, _ in imports(path.read_text())}
        assert not {name for name in names if f"{name}.".startswith(f"{module}.")}, path


def test_dev_includes_every_extra_but_peers():
    extras = PROJECT["optional-dependencies"]
    assert {name for name in extras if name not in ("dev", "peers") and not declared(name) <= declared("dev")} == set()


def test_package_data_exists():
    """setuptools does not report a pattern that matches no file."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "py.typed" in packages["keras_resnet"]
    missing = [(name, glob) for name, globs in packages.items() for glob in globs if not any((ROOT / name).glob(glob))]
    assert not missing
