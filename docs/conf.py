"""The configuration of Sphinx: `make docs`."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import generate  # noqa: E402

import keras_resnet  # noqa: E402

generate.write(HERE / "generated")

project = "keras_resnet"
author = "the authors of keras_resnet"
copyright = f"{author}, Apache-2.0"
version = release = keras_resnet.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
exclude_patterns = ["_build", "_static", "generated", "conf.py", "generate.py"]
nitpicky = True
# types of other packages, private classes, and what napoleon takes for a type
nitpick_ignore_regex = [
    ("py:class", r"(numpy|pathlib|keras_resnet\.training\.parts)\..*"),
    ("py:exc", r"(tf|keras_tuner)\..*|DirectoryInUse"),
    ("py:class", r"The expected calibration error.*|equal width|Guo et al\. 2017|arXiv"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_custom_formats = {".py": "generate.read_tutorial"}
nb_execution_mode = "off"  # tests/test_docs.py runs the tutorials

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_param = False
napoleon_use_rtype = False
default_role = "code"  # docstrings write `code` in single backticks

html_theme = "furo"
html_title = "keras_resnet"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_extra_path = ["llms.txt", "generated/zoo.csv"]
html_sourcelink_suffix = ""  # llms.txt names the Markdown sources
html_theme_options = {"navigation_with_keys": True}


def markdown_table(rows):
    """A table of Markdown in the lines of a docstring as a `list-table` of reStructuredText."""
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    yield from [".. list-table::", "   :header-rows: 1", ""]
    for row in [cells[0], *cells[2:]]:
        yield from (f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row))


def markdown_in_docstring(app, what, name, obj, options, lines):
    """Docstrings have fences and tables of Markdown, which Sphinx reads as reStructuredText."""
    found, rows, fenced = [], [], False
    for line in [*lines, ""]:
        indent = line[: len(line) - len(line.lstrip())]
        if not fenced and line.lstrip().startswith("|"):
            rows.append(line)
            continue
        if rows:
            found += ["", *(f"{indent}{row}" for row in markdown_table(rows)), ""]
            rows = []
        if fence := re.fullmatch(r"\s*```(\w*)", line):
            fenced = bool(fence[1])
            found += ["", f"{indent}.. code-block:: {fence[1]}", ""] if fenced else [""]
        else:
            found.append(f"    {line}" if fenced and line else line)
    lines[:] = found


def setup(app):
    app.connect("autodoc-process-docstring", markdown_in_docstring, priority=400)  # before napoleon
