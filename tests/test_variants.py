"""Every row against the figures that the papers and other projects publish, and against its golden layer names."""

import hashlib
import json
import math
import re
from pathlib import Path

import keras
import pytest
from conftest import built, every_row

import keras_resnet
from keras_resnet import VARIANTS, cifar, count_macs
from keras_resnet.resnet import total_stride, weight_layers

TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"  # num_params and GFLOPS of each model
HE_2015 = "https://arxiv.org/abs/1512.03385"  # Table 1: 1.8, 3.6, 3.8 (v1), 7.6 (v1), 11.3 (v1) e9; Table 6: parameters
HE_2016 = "https://arxiv.org/abs/1603.05027"  # Tables 3 and 4: 1.7M, 10.2M
AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10"  # parameters of the nets with option A
TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/resnetv2.py"
COMPUTED = "by the formulas of tests/test_variants.py"

# row: (trainable parameters, multiply-adds or None where nobody publishes them, where they stand)
ORACLES = {
    "plain18": (11_515_688, 1_794_805_760, HE_2015),
    "plain34": (21_623_848, 3_644_493_824, HE_2015),
    "resnet18": (11_689_512, 1_814_073_344, TORCHVISION),
    "resnet34": (21_797_672, 3_663_761_408, TORCHVISION),
    "resnet50": (25_557_032, 4_089_184_256, TORCHVISION),
    "resnet101": (44_549_160, 7_801_405_440, TORCHVISION),
    "resnet152": (60_192_808, 11_513_626_624, TORCHVISION),
    "resnext50_32x4d": (25_028_904, 4_230_479_872, TORCHVISION),
    "resnet50v2": (25_549_352, 4_089_184_256, TIMM),
    "resnet101v2": (44_541_480, 7_801_405_440, TIMM),
    "resnet152v2": (60_185_128, 11_513_626_624, TIMM),
    "plain20": (269_722, 40_551_040, HE_2015),
    "plain32": (464_154, 68_862_592, HE_2015),
    "plain44": (658_586, 97_174_144, HE_2015),
    "plain56": (853_018, 125_485_696, HE_2015),
    "plain110": (1_727_962, 252_887_680, HE_2015),
    "resnet20": (269_722, 40_551_040, AKAMASTER),
    "resnet32": (464_154, 68_862_592, AKAMASTER),
    "resnet44": (658_586, 97_174_144, AKAMASTER),
    "resnet56": (853_018, 125_485_696, AKAMASTER),
    "resnet110": (1_727_962, 252_887_680, AKAMASTER),
    "resnet1202": (19_421_274, 2_829_238_912, AKAMASTER),
    "resnet110v2": (1_727_962, 252_887_680, HE_2016),
    "resnet164v2": (1_703_258, 247_646_720, HE_2016),
    "resnet1001v2": (10_327_706, 1_490_995_712, HE_2016),
}

NAMES = json.loads((Path(__file__).parent / "goldens" / "layer_names.json").read_text())


def parameters(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def test_every_row_has_an_oracle_and_golden_names():
    assert set(ORACLES) == set(NAMES) == set(VARIANTS)


@pytest.mark.parametrize("row", every_row())
def test_parameters_and_multiply_adds(row):
    expected_parameters, expected_macs, _ = ORACLES[row]
    assert parameters(built(row)) == expected_parameters
    assert count_macs(built(row)) == expected_macs


@pytest.mark.parametrize("row", VARIANTS)
def test_parameters_and_multiply_adds_by_formula(row):
    """The same integers from He 2015, Table 1, without a net."""
    v = VARIANTS[row]
    size = v.image_size // 4 if v.stem == "7x7" else v.image_size
    expansion = 4 if v.block == "bottleneck" else 1
    kernel, stride = (7, 2) if v.stem == "7x7" else (3, 1)
    preactivated = v.order == "preactivation"

    def conv(k, c_in, c_out, out_size):
        return k * k * c_in * c_out, k * k * c_in * c_out * out_size**2

    convs = [conv(kernel, 3, v.filters, v.image_size // stride)]
    bns = [] if preactivated else [v.filters]
    c_in = v.filters
    for stage, depth in enumerate(v.depths):
        filters = v.filters * 2**stage
        for block in range(depth):
            in_size, c_out = size, filters * expansion
            if stage > 0 and block == 0:
                size //= 2
            if v.block == "bottleneck":
                width = filters * v.base_width // 64 * v.groups
                convs += [conv(1, c_in, width, in_size), conv(3, width // v.groups, width, size)]
                convs += [conv(1, width, c_out, size)]
                bns += [c_in, width, width] if preactivated else [width, width, c_out]
            else:
                convs += [conv(3, c_in, filters, size), conv(3, filters, filters, size)]
                bns += [c_in, filters] if preactivated else [filters, filters]
            if v.shortcut == "projection" and c_in != c_out:
                convs += [conv(1, c_in, c_out, size)]
                bns += [] if preactivated else [c_out]
            c_in = c_out
    bns += [c_in] if preactivated else []
    head = c_in * v.classes
    assert sum(p for p, _ in convs) + 2 * sum(bns) + head + v.classes == ORACLES[row][0]
    assert sum(m for _, m in convs) + head == ORACLES[row][1]


def test_bottlenecks_of_the_paper_stride_in_the_first_layer():
    """He 2015, Table 1: 3.8e9 multiply-adds, where v1.5 has 4.1e9; the parameters are the same."""
    v1 = keras_resnet.ResNet50(bottleneck_stride="1x1")
    assert count_macs(v1) == 3_857_973_248
    assert parameters(v1) == ORACLES["resnet50"][0]


@pytest.mark.parametrize(
    ("row", "option", "expected"),
    [
        ("resnet18", "A", 11_515_688),
        ("resnet18", "C", 12_043_816),
        ("resnet34", "A", 21_623_848),
        ("resnet34", "C", 22_716_840),
        ("resnet20", "B", 272_474),
        ("resnet20", "C", 283_962),
        ("resnet56", "B", 855_770),
        ("resnet56", "C", 900_858),
        ("resnet110", "B", 1_730_714),
        ("resnet110", "C", 1_826_202),
        ("resnet20", "plain", 269_722),
    ],
)
def test_options(row, option, expected):
    assert parameters(keras_resnet.ResNet(row, shortcut=option)) == expected


def test_resnet152_needs_less_than_vgg16():
    """He 2015, section 1: "8x deeper than VGG nets but still having lower complexity"."""
    vgg = keras.applications.VGG16(weights=None)
    assert (vgg.count_params(), count_macs(vgg)) == (138_357_544, 15_470_264_320)
    assert parameters(built("resnet152")) < vgg.count_params() / 2
    assert count_macs(built("resnet152")) < 0.75 * count_macs(vgg)


@pytest.mark.parametrize("row", VARIANTS)
def test_depth_in_the_name_is_the_depth_of_the_net(row):
    assert weight_layers(VARIANTS[row]) == int(re.match(r"[a-z]+(\d+)", row).group(1))


@pytest.mark.parametrize("row", every_row())
def test_depth_is_counted_in_the_net(row):
    """Kernels off the shortcuts."""
    layers = [layer for layer in built(row).layers if hasattr(layer, "kernel")]
    assert len([layer for layer in layers if "_0_" not in layer.name]) == weight_layers(VARIANTS[row])


@pytest.mark.parametrize("row", every_row())
def test_stage_shapes(row):
    """He 2015, Table 1 (56, 28, 14, 7) and section 4.2 (32, 16, 8)."""
    v, model = VARIANTS[row], built(row)
    sizes = {"7x7": [56, 28, 14, 7], "3x3": [32, 16, 8]}[v.stem]
    expansion = 4 if v.block == "bottleneck" else 1
    for i, (size, depth) in enumerate(zip(sizes, v.depths, strict=True)):
        out = model.get_layer(f"conv{i + 2}_block{depth}_out").output
        assert out.shape == (None, size, size, v.filters * 2**i * expansion)
    assert total_stride(v) == v.image_size // sizes[-1]
    assert model.output.shape == (None, v.classes)


@pytest.mark.parametrize("row", every_row())
def test_layer_names_are_the_golden_ones(row):
    """`.weights.h5` is positional: the order is part of the format. After a wanted change run this file as a script."""
    assert golden(built(row)) == NAMES[row]


def golden(model):
    names = [layer.name for layer in model.layers]
    if len(names) > 600:  # the digest of what no one would read
        return {"layers": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}
    return names


@pytest.mark.parametrize(("block", "depth"), [("building_block", d) for d in (8, 20, 1202)] + [("bottleneck", 11)])
def test_cifar_depths(block, depth):
    assert weight_layers(cifar(depth, block)) == depth


@pytest.mark.parametrize(
    ("block", "depth", "says"),
    [
        ("building_block", 18, r"depth must be 6n \+ 2 .*8, 14, 20.*Received: 18"),
        ("bottleneck", 20.0, r"depth must be 9n \+ 2 .*11, 20, 29.*Received: 20.0"),
        ("building_block", 2, "Received: 2"),
        ("wide", 8, "block must be one of.*Received: 'wide'"),
    ],
)
def test_cifar_depths_that_do_not_exist(block, depth, says):
    with pytest.raises(ValueError, match=says):
        cifar(depth, block)


def test_cifar_steps_are_those_of_the_blocks():
    """Three stages, each one block deeper."""
    from keras_resnet.blocks import BLOCKS
    from keras_resnet.variants import CIFAR_STEP

    assert {block: 3 * len(column(16, 1)) for block, column in BLOCKS.items()} == CIFAR_STEP


def test_cifar_takes_fields():
    assert cifar(8, filters=32, shortcut="none") == keras_resnet.Variant(
        "building_block", (1, 1, 1), filters=32, stem="3x3", shortcut="none", image_size=32, classes=10
    )


if __name__ == "__main__":
    path = Path(__file__).parent / "goldens" / "layer_names.json"
    path.write_text(json.dumps({row: golden(built(row)) for row in VARIANTS}, indent=0) + "\n")
