"""Tests of the API reference: signatures, the generated stub, docstrings and their examples."""

import doctest
import inspect
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from textwrap import fill

import keras
import numpy as np
import pytest
from test_variants import REGENERATE

import keras_resnet
from keras_resnet import DenseVariant, ResNet, Variant, builders
from keras_resnet.network import Network

ROOT = Path(__file__).parent.parent
STUB = ROOT / "keras_resnet" / "builders.pyi"
HEADER = f"""# Generated from VARIANTS by: {REGENERATE}
# fmt: off
# ruff: noqa
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_resnet.network import Network
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.shortcuts import Shortcut
from keras_resnet.variants import DenseVariant, Variant

{fill(f"__all__ = {builders.__all__}", 120)}
"""


def stub():
    """Returns the text of builders.pyi."""
    definitions = []
    for name in builders.__all__:
        builder = getattr(builders, name)
        signature = re.sub(r"(collections\.abc|typing|keras_resnet\.\w+)\.", "", str(inspect.signature(builder)))
        parameters = signature.replace(" ", "\0").replace(",\0", ", ")  # lines are broken after commas only
        lines = fill(f"def {name}{parameters}:", 120, subsequent_indent="    ", break_long_words=False)
        summary = inspect.getdoc(builder).splitlines()[0]
        definitions.append(f'{lines}\n    """{summary}"""\n'.replace("\0", " "))
    return "\n".join([HEADER, *definitions])


def test_the_stub_is_that_of_the_rows():
    assert STUB.read_text() == stub(), f"run: {REGENERATE}"


# ---- signatures


def test_signature_of_a_builder():
    """Compares one signature with a handwritten one. tests/test_resnet.py compares every builder with its row."""
    parameters = inspect.signature(keras_resnet.ResNet50).parameters
    assert list(parameters)[:11] == [
        *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation"),
        *("name", "include_preprocessing", "block", "depths"),
    ]
    assert parameters["depths"].default == (3, 4, 6, 3)
    assert parameters["name"].default == "resnet50"
    assert inspect.signature(keras_resnet.DenseNet40_12).parameters["growth_rate"].default == 12
    assert "shortcut" not in inspect.signature(keras_resnet.DenseNet40_12).parameters
    assert inspect.get_annotations(keras_resnet.ResNet50)["filters"] is int
    assert inspect.signature(keras_resnet.ResNet50).return_annotation is Network


def test_signature_of_resnet():
    parameters = inspect.signature(ResNet).parameters
    assert list(parameters)[:2] == ["variant", "include_top"]
    assert {field.name for kind in (Variant, DenseVariant) for field in fields(kind)} < set(parameters)
    assert parameters["classes"].default is None
    assert "filters: int = ..., " in str(inspect.signature(ResNet))


def test_unknown_keywords_are_refused_with_a_suggestion():
    with pytest.raises(ValueError, match="Received: 'shortcuts'. Did you mean 'shortcut'"):
        keras_resnet.ResNet50(shortcuts="A")
    with pytest.raises(ValueError, match="Received: 'shortcut'"):
        keras_resnet.DenseNet40_12(shortcut="A")


# ---- type checkers

PROGRAM = """
import keras_resnet
from keras_resnet import ResNet, ResNet50

model = ResNet50(True, None, input_shape=(224, 224, 3), shortcut="projection_all", depths=[3, 4, 6, 3], classes=10)
print(model.variant, ResNet("resnet20", filters=32).preprocessing, keras_resnet.DenseNet121(growth_rate=12))
ResNet50(shortcuts="A")  # call-arg
ResNet50(filters="64")  # arg-type
ResNet50(True, None, None, None, None, 10, None, "resnet50", "caffe")  # call-arg
ResNet("resnet20", shortcuts="A")  # call-arg
keras_resnet.DenseNet121(shortcut="A")  # call-arg
keras_resnet.ResNet51()  # attr-defined
keras_resnet.export("model")  # call-arg
"""


@pytest.mark.slow
def test_mypy_finds_wrong_arguments(tmp_path):
    """Each line with a comment has one error, which the comment names. Other lines have no error."""
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--no-error-summary", program]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    errors = [line for line in found.stdout.splitlines() if ": error:" in line]
    expected = [
        (number, line.partition("  # ")[2]) for number, line in enumerate(PROGRAM.splitlines(), 1) if "  # " in line
    ]
    assert [(int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]")) for line in errors] == expected, found


# ---- docstrings

# Builders whose examples are tested, one of each kind. The examples of the others differ only in the name.
TYPICAL = ("ResNet18", "ResNet20", "DenseNet40_12")
NAMED_BUILDERS = {*builders.__all__} - {"ResNet"}
PUBLIC = [name for name in keras_resnet.__all__ if callable(getattr(keras_resnet, name))]
SHORT = {"LayerDecay"}  # has no complete reference yet
# functions whose examples upload files or print measurements
NOT_RUN = {"push_to_hub", "export", "export_saved_model"}


def test_dir_shows_the_public_names():
    assert sorted(dir(keras_resnet)) == sorted([*keras_resnet.__all__, "__version__"])
    assert len(set(keras_resnet.__all__)) == len(keras_resnet.__all__)
    assert {"ResNet", "VARIANTS", "load_pretrained", *builders.__all__, *keras_resnet.LAZY} < set(keras_resnet.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_a_summary(name):
    assert re.match(r"[A-Z].*[.:]$", inspect.getdoc(getattr(keras_resnet, name)).splitlines()[0])


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in SHORT])
def test_public_names_have_a_reference(name):
    """The docstring has all sections, and `Args` describes every argument."""
    value = getattr(keras_resnet, name)
    doc = inspect.getdoc(value)
    arguments = list(inspect.signature(value).parameters)
    sections = ["Args:", "Returns:", "Raises:", "Example:"]
    if inspect.isclass(value):
        sections = ["Example:"] if issubclass(value, keras.Model) else ["Args:", "Example:"]
    elif inspect.signature(value).return_annotation is None:
        sections.remove("Returns:")
    assert [section for section in sections if f"\n{section}\n" not in doc] == []
    if name in builders.__all__:
        documented_elsewhere = Variant.__dataclass_fields__ | DenseVariant.__dataclass_fields__
        arguments = [*(argument for argument in arguments if argument not in documented_elsewhere), "classes", "fields"]
    if "Args:" in sections:
        assert set(described(doc)) == set(arguments)


def described(doc):
    """Returns the names that an Args section describes."""
    section = re.search(r"\nArgs:\n(.*?)(?=\n\S)", doc, re.DOTALL)[1]
    entries = re.findall(r"^    (\S.*?):", section, re.MULTILINE)
    return [name.strip("*") for entry in entries for name in entry.split(", ")]


EXAMPLES = [name for name in PUBLIC if name in TYPICAL or name not in SHORT | NOT_RUN | NAMED_BUILDERS]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failures, tries = run_examples(getattr(keras_resnet, name), name)
    assert tries
    assert not failures


def run_examples(value, name):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for test in finder.find(value, name, extraglobs={"keras": keras, "keras_resnet": keras_resnet, "np": np}):
        runner.run(test)
    return runner.summarize(verbose=False)


def test_wrong_examples_fail():
    def wrong():
        """>>> 1 + 1
        3
        """

    assert run_examples(wrong, "wrong").failed == 1
