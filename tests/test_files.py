"""Files are written completely or not at all."""

import pytest

from keras_resnet.files import whole, write_text


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
