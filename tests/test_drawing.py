"""Compares the elements of network drawings with the layers of the networks."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import keras
import pytest
from conftest import built, every_row, tiny

import keras_resnet
from keras_resnet import VARIANTS, DenseVariant, draw
from keras_resnet.__main__ import main
from keras_resnet.resnet import weight_layers

WEIGHTED = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)


def column(svg):
    """Returns the (tag, class) of each element of the column."""
    return elements(svg, "column")


def elements(svg, group):
    root = ElementTree.fromstring(svg)
    (found,) = [each for each in root if each.get("class") == group]
    return [(each.tag.rpartition("}")[2], each.get("class")) for each in found]


def texts(svg):
    return [each.text for each in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def reduced(row):
    """Returns a smaller variant with the same choices as the row."""
    row = VARIANTS[row]
    depths = (2, 2)
    if isinstance(row, DenseVariant):
        return replace(row, depths=depths, growth_rate=4, filters=8)
    filters = 64 if row.norm == "gn" else 8
    width = {"groups": min(row.groups, 4), "base_width": 64} if row.block == "bottleneck" else {}
    stem = row.stem_filters and 2 * filters
    unseen = {"bn_momentum": 0.9, "bn_epsilon": 1e-5, "image_size": 64, "classes": 10}  # not drawn
    return replace(row, depths=depths, filters=filters, stem_filters=stem, **unseen, **width)


SMALL = {reduced(row): row for row in VARIANTS}


@pytest.mark.parametrize("row", SMALL, ids=SMALL.values())
def test_a_row_of_each_kind(row):
    """The drawing has one weight box per weight layer and one shortcut per block. Plain networks have no shortcut."""
    drawn = column(draw(row, unfolded=True))
    depth = weight_layers(row)
    if getattr(row, "convolution", "") == "factorized":
        depth = 2 * (depth - 1) + 1
    assert drawn.count(("rect", "weight")) == depth
    arcs = sum(tag == "path" and kind.startswith("arc") for tag, kind in drawn)
    assert arcs == (0 if getattr(row, "shortcut", "") == "none" else sum(row.depths))


@pytest.mark.slow
@pytest.mark.parametrize("row", every_row())
def test_every_row(row):
    for unfolded in (False, True):
        ElementTree.fromstring(draw(row, unfolded=unfolded))


@pytest.mark.parametrize("row", ["plain18", "resnet18", "seresnet18", "r3d_18"])
def test_boxes_are_those_of_the_model(row):
    model = built(row)
    drawn = column(draw(model, unfolded=True))
    weighted = [layer.name for layer in model.layers if isinstance(layer, WEIGHTED)]
    if isinstance(model.variant, DenseVariant):
        beside = []
    else:
        beside = [name for name in weighted if re.search(r"block\d+_0_conv$|_se_fc", name)]
    assert drawn.count(("rect", "weight")) == len(weighted) - len(beside)
    merges = sum(isinstance(layer, keras.layers.Add | keras.layers.Concatenate) for layer in model.layers)
    assert sum(kind in ("arc", "arc dashed") for _, kind in drawn) == merges
    changed = [name for name in beside if name.endswith("_0_conv")]
    assert drawn.count(("path", "arc dashed")) == len(changed)


@pytest.mark.parametrize(
    ("shortcut", "dashed", "label"),
    [("projection", 1, "projection"), ("projection_all", 1, "projection"), ("zero_pad", 1, "zero-padding")],
)
def test_arcs_are_dashed_where_the_shape_changes(shortcut, dashed, label):
    drawn = draw(tiny(shortcut=shortcut))
    assert column(drawn).count(("path", "arc dashed")) == dashed
    assert column(drawn).count(("path", "arc")) == 4 - dashed
    assert texts(drawn).count(label) == (4 if shortcut == "projection_all" else 1)


def test_a_shortcut_that_only_strides_is_dashed():
    """Also tests unknown height and width."""
    model = keras_resnet.ResNet("resnet50v2_keras", include_top=False, depths=(2, 2), filters=8)
    drawn = draw(model)
    assert texts(drawn).count("subsampling") == 1
    assert column(drawn).count(("path", "arc dashed")) == 3
    assert "output ?x?" in texts(drawn)


def test_deep_networks_are_folded():
    folded, unfolded = draw("resnet56"), draw("resnet56", unfolded=True)
    assert [text for text in texts(folded) if text.endswith("×")] == ["9 ×", "8 ×", "8 ×"]
    assert column(folded).count(("rect", "weight")) == 1 + 2 * 5 + 1
    assert column(unfolded).count(("rect", "weight")) == 56
    assert not [text for text in texts(unfolded) if text.endswith("×")]


def steps(svg):
    return [text for text in texts(svg) if re.match(r"BN$|ReLU$|\d+x\d+ conv|[+×c]$|drop|fc|global", text)]


def test_the_order_of_a_block():
    """He 2016, Fig. 4(a), (c) and (e)."""
    conv = "3x3 conv, 4"
    assert steps(draw(tiny(depths=(1,)), block=True)) == [conv, "BN", "ReLU", conv, "BN", "+", "ReLU"]
    order = "relu_before_addition"
    assert steps(draw(tiny(depths=(1,), order=order), block=True)) == [conv, "BN", "ReLU", conv, "BN", "ReLU", "+"]
    pre = steps(draw(tiny(depths=(1,), order="preactivation"), block=True))
    assert pre == ["BN", "ReLU", conv, "BN", "ReLU", conv, "+"]
    assert steps(draw(tiny(depths=(1,), shortcut="none"), block=True)) == [conv, "BN", "ReLU", conv, "BN", "ReLU"]


def test_gate_and_drop_path():
    drawn = draw(tiny(depths=(2,), gate="se", drop_path=0.3), block=True)
    last = steps(drawn)[-8:]
    assert last == ["BN", "global avg pool", "fc 8, ReLU", "fc 4, sigmoid", "×", "drop path 0.3", "+", "ReLU"]
    assert "SE" in texts(drawn)


def test_text_is_escaped():
    model = tiny()
    hostile = keras_resnet.ResNet(model.variant, name="<script>&\"'\x00\ud800]]>é")
    drawn = draw(hostile)
    assert texts(drawn)[0] == "<script>&\"'??]]>é"
    assert drawn.isascii()


def test_errors(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.svg. Received: 'a.png'"):
        draw("resnet20", "a.png")
    with pytest.raises(ValueError, match="Received: 'resnet21'"):
        draw("resnet21")
    with pytest.raises(ValueError, match="fields are for names of networks"):
        draw(tiny(), shortcut="A")
    for other in (5, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])):
        with pytest.raises(ValueError, match="model_or_name must be a network of keras_resnet"):
            draw(other)
    with pytest.raises(OSError, match="No such file"):
        draw(tiny(), tmp_path / "missing" / "a.svg")


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "resnet20", "-o", "a.svg", "--unfolded", "--fields", "shortcut=projection"]) == 0
    assert (tmp_path / "a.svg").read_text() == draw("resnet20", unfolded=True, shortcut="projection")
    tiny().save("net.keras")
    assert main(["draw", "net.keras", "--block"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.svg", "net.keras", "net.svg"]
    assert elements((tmp_path / "net.svg").read_text(), "blocks")
    assert main(["draw", "resnet20", "-o", "a.png"]) == 1
    assert "path must end in .svg" in capsys.readouterr().err


def test_output_sizes():
    """He 2015, Table 1; Huang 2017, Table 1."""
    for row in ("resnet18", "densenet121"):
        drawn = texts(draw(row, depths=(1, 1, 1, 1)))
        sizes = [text for text in drawn if text.startswith("output ")]
        assert sizes == [f"output {size}x{size}" for size in (112, 56, 28, 14, 7)]
