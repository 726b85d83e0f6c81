"""Files of runs: whole or not at all, and what reads them starts at once."""

import subprocess
import sys

import pytest

from experiments.files import whole, write_text


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.csv"
    write_text(path, "old")
    with pytest.raises(OSError, match="full"), whole(path) as unfinished:
        unfinished.write_text("ne")
        assert path.read_text() == "old"
        raise OSError("full")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"
    write_text(path, "new")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["new"]


def test_supervisor_and_report_do_without_keras():
    """It takes seconds and hundreds of MB; what is only to watch, or to draw, would be slow by it."""
    code = "import sys, experiments.launch, experiments.report; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
