"""Tests of the documentation: the options of its commands exist, its code runs, and its pages exist."""

import ast
import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from keras_resnet import VARIANTS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# a warning of `runpy` for commands whose modules were already imported by other tests
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))
TUTORIALS = sorted(DOCS.glob("tutorials/*.py"))
MEASURED = {"detection", "segmentation"}  # test_tutorials.py runs these
BLOCK = re.compile(r"^```(\w+) *([\w-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language):
    """Returns the code blocks of the pages: (the word after the language, code). The test ID has the page."""
    return [
        pytest.param(word, code, id=f"{path.relative_to(DOCS)}-{number}")
        for path in PAGES
        for number, (found, word, code) in enumerate(BLOCK.findall(path.read_text()))
        if found == language
    ]


def commands(text):
    """Returns the commands of the package in a text: in code blocks, in comments of tutorials, between backticks."""
    text = re.sub(r"\\\n#? *", " ", text)
    return re.findall(r"(?:^(?:# )?|`)(python -m (?:keras_resnet|experiments|benchmarks)[^\n`|]*)", text, re.MULTILINE)


COMMANDS = sorted({command.strip() for path in [*PAGES, *TUTORIALS] for command in commands(path.read_text())})


@cache
def help_of(*words):
    """Returns the help text of a command. The exit code must be 0."""
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text), pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "argv", [*words, "--help"])
        runpy.run_module(words[0], run_name="__main__")
    assert ended.value.code == 0
    return text.getvalue()


def unknown_flags(command):
    """Returns the flags of a command that are not in its help text."""
    words = shlex.split(command, comments=True)[2:]
    help_text = help_of(*words[: 2 if words[0] == "keras_resnet" and len(words) > 1 else 1])
    known = set(re.findall(r"(?<!\w)--?[a-z][\w-]*", help_text))
    return [word for word in words if word.startswith("-") and word not in known]


@pytest.mark.parametrize("command", [c for c in COMMANDS if "..." not in c and not c.endswith("--help")])
def test_flags_exist(command):
    assert unknown_flags(command) == []


def test_an_unknown_flag_is_found():
    assert unknown_flags("python -m keras_resnet evaluate runs/a cifar10 --crop 10") == ["--crop"]
    assert unknown_flags("python -m experiments.sweep --depth 8 --shortcuts A") == ["--depth"]


def test_commands_are_found():
    text = "python -m keras_resnet list\n| `python -m experiments.paper orders` |\n"
    text += "# python -m experiments.sweep \\\n#   -h\n"
    found = ["python -m keras_resnet list", "python -m experiments.paper orders", "python -m experiments.sweep  -h"]
    assert commands(text) == found
    assert len(COMMANDS) > 60


@pytest.mark.parametrize(("word", "code"), blocks("python"))
def test_code_compiles(word, code):
    ast.parse(code)


@pytest.mark.slow
@pytest.mark.parametrize(("word", "code"), blocks("python"))
def test_code_runs(word, code, tmp_path):
    """Runs each code block separately. Blocks marked `no-run` need the internet, `peers` another library."""
    if word == "no-run":
        pytest.skip("needs a network, a server or files")
    if word == "peers":
        pytest.importorskip("keras_hub")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in TUTORIALS if p.stem not in MEASURED], ids=lambda path: path.stem)
def test_tutorials_run(path, tmp_path):
    subprocess.run([sys.executable, path], cwd=tmp_path, env=environment(), check=True, timeout=300)


def environment():
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"TUTORIAL_SIZE": "small", "MPLBACKEND": "Agg", "PYTHONPATH": path}


def source_of(target):
    """Returns the source file of a link in llms.txt."""
    if target.startswith("_sources/"):
        return DOCS / target.removeprefix("_sources/")
    return DOCS / "latency.csv" if target == "zoo.csv" else (DOCS / target).with_suffix(".md")


def test_pages_of_llms_txt_exist():
    targets = re.findall(r"^- \[[^]]+\]\(([^)]+)\)", (DOCS / "llms.txt").read_text(), re.MULTILINE)
    assert [target for target in targets if not source_of(target).is_file()] == []
    assert set(DOCS.glob("guides/*.md")) <= {source_of(target) for target in targets}


def test_every_row_is_in_a_family():
    generate = runpy.run_path(str(DOCS / "generate.py"))
    rows = generate["zoo"]()
    assert [row["name"] for row in rows] == list(VARIANTS)
    text = generate["zoo_tables"](rows)
    assert all(text.count(f"`{row['builder']}`") == 1 for row in rows)
    assert "| `ResNet50` | 50 | 224 | 25.56 | 4.09 |" in text


def test_latencies_are_of_rows():
    generate = runpy.run_path(str(DOCS / "generate.py"))
    for row in generate["csv_rows"](DOCS / "latency.csv"):
        assert row["name"] in VARIANTS
        assert float(row["milliseconds"]) > 0
        assert row["machine"] and row["versions"]
