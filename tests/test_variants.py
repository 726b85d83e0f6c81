"""Compares every row with published counts of papers and other projects, and with its golden layer names."""

import hashlib
import json
import math
import re
from pathlib import Path

import keras
import pytest
from conftest import built, every_row

import keras_resnet
from keras_resnet import VARIANTS, Variant, cifar, count_macs, feature_pyramid
from keras_resnet.__main__ import COUNTS
from keras_resnet.resnet import total_stride, weight_layers

TORCHVISION = "https://docs.pytorch.org/vision/stable/models.html"  # num_params and GFLOPS of each model
HE_2015 = "https://arxiv.org/abs/1512.03385"  # Table 1: 1.8, 3.6, 3.8 (v1), 7.6 (v1), 11.3 (v1) e9; Table 6: parameters
HE_2016 = "https://arxiv.org/abs/1603.05027"  # Tables 3 and 4: 1.7M, 10.2M
AKAMASTER = "https://github.com/akamaster/pytorch_resnet_cifar10"  # parameters of the networks with option A
TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"  # param_count
WSL = "https://github.com/facebookresearch/WSL-Images"  # parameters and multiply-adds: 193M, 36B
ZAGORUYKO_2016 = "https://arxiv.org/abs/1605.07146"  # Tables 4 and 5: 2.7M, 11.0M, 1.5M, 36.5M, 0.6M, 2.2M, 8.9M
XIE_2017 = "https://arxiv.org/abs/1611.05431"  # Table 7: 34.4M, 68.1M
HUANG_2017 = "https://arxiv.org/abs/1608.06993"  # Table 2: 1.0M, 7.0M, 27.2M; BC 0.8M, 15.3M, 25.6M; Fig. 3: 264
DUTA_2020 = "https://arxiv.org/abs/2004.04989"  # Table 1: the same number of parameters as the ResNet of the same depth
KERAS = "https://keras.io/api/applications/"  # and the trainable parameters of these networks
KERAS_EXAMPLE = "https://github.com/keras-team/keras/blob/2.3.1/examples/cifar10_resnet.py"  # its summary()
MLPERF_TINY = "https://github.com/mlcommons/tiny"  # pretrainedResnet.h5: 78,666 parameters, 78,186 trainable
KUANGLIU = "https://github.com/kuangliu/pytorch-cifar"
COMPUTED = "by the formulas of tests/test_variants.py"

# row: (trainable parameters, multiply-adds or None if they are not published, source)
ORACLES = {
    "plain18": (11_515_688, 1_794_805_760, HE_2015),
    "plain34": (21_623_848, 3_644_493_824, HE_2015),
    "resnet18": (11_689_512, 1_814_073_344, TORCHVISION),
    "resnet34": (21_797_672, 3_663_761_408, TORCHVISION),
    "resnet50": (25_557_032, 4_089_184_256, TORCHVISION),
    "resnet101": (44_549_160, 7_801_405_440, TORCHVISION),
    "resnet152": (60_192_808, 11_513_626_624, TORCHVISION),
    "resnext50_32x4d": (25_028_904, 4_230_479_872, TORCHVISION),
    "resnext101_32x4d": (44_177_704, 7_969_996_800, TIMM),
    "resnext101_32x8d": (88_791_336, 16_414_015_488, TORCHVISION),
    "resnext101_64x4d": (83_455_272, 15_460_270_080, TORCHVISION),
    "resnext101_32x16d": (194_026_792, 36_163_289_088, WSL),
    "wide_resnet50_2": (68_883_240, 11_398_021_120, TORCHVISION),
    "wide_resnet101_2": (126_886_696, 22_753_050_624, TORCHVISION),
    "seresnet18": (11_779_624, 1_814_161_408, TIMM),
    "seresnet34": (21_960_416, 3_663_920_128, TIMM),
    "seresnet50": (28_088_024, 4_091_699_200, TIMM),
    "seresnet101": (49_326_872, 7_806_148_608, TIMM),
    "seresnet152": (66_821_848, 11_520_204_800, TIMM),
    "seresnext50_32x4d": (27_559_896, 4_232_994_816, TIMM),
    "seresnext101_32x4d": (48_955_416, 7_974_739_968, TIMM),
    "ecaresnet50d": (25_576_350, 4_328_912_640, TIMM),
    "ecaresnet101d": (44_568_563, 8_041_220_864, TIMM),
    "resnet50c": (25_576_264, 4_328_824_832, TIMM),
    "resnet101c": (44_568_392, 8_041_046_016, TIMM),
    "resnet152c": (60_212_040, 11_753_267_200, TIMM),
    "resnet18d": (11_708_744, 2_053_713_920, TIMM),
    "resnet34d": (21_816_904, 3_903_401_984, TIMM),
    "resnet50d": (25_576_264, 4_328_824_832, TIMM),
    "resnet101d": (44_568_392, 8_041_046_016, TIMM),
    "resnet152d": (60_212_040, 11_753_267_200, TIMM),
    "resnet200d": (64_693_064, 15_247_122_432, TIMM),
    "resnet50s": (25_680_808, 5_444_337_664, TIMM),
    "resnet101s": (44_672_936, 9_156_558_848, TIMM),
    "resnet152s": (60_316_584, 12_868_780_032, TIMM),
    "resnet50t": (25_573_728, 4_297_213_952, TIMM),
    "resnext50d_32x4d": (25_048_136, 4_470_120_448, TIMM),
    "seresnext26d_32x4d": (16_809_512, 2_711_740_416, TIMM),
    "seresnet152d": (66_841_080, 11_759_845_376, TIMM),
    "ecaresnet50t": (25_573_814, 4_297_301_760, TIMM),
    "resnet10t": (5_435_488, 1_097_259_008, TIMM),
    "resnet14t": (10_081_632, 1_676_822_528, TIMM),
    "resnet26": (15_995_176, 2_342_256_640, TIMM),
    "resnet26d": (16_014_408, 2_581_897_216, TIMM),
    "resnet26t": (16_011_872, 2_550_286_336, TIMM),
    "resnetrs50": (35_691_912, 4_454_490_112, TIMM),
    "resnetrs101": (63_618_696, 8_175_624_192, TIMM),
    "resnetrs152": (86_621_576, 11_895_185_408, TIMM),
    "resnetrs200": (93_209_992, 15_391_137_792, TIMM),
    "resnetrs270": (129_861_448, 20_643_618_816, TIMM),
    "resnetrs350": (163_956_168, 26_332_012_544, TIMM),
    "resnetrs420": (191_891_656, 31_363_342_336, TIMM),
    "iresnet50": (25_557_032, 4_127_719_424, DUTA_2020),
    "iresnet101": (44_549_160, 7_839_940_608, DUTA_2020),
    "iresnet152": (60_192_808, 11_552_161_792, DUTA_2020),
    "resnet50_gn": (25_557_032, 4_089_184_256, TIMM),
    "resnetv2_50x1_bit": (25_549_352, 4_089_184_256, TIMM),
    "resnetv2_50x3_bit": (217_319_080, 36_082_286_592, TIMM),
    "resnetv2_101x1_bit": (44_541_480, 7_801_405_440, TIMM),
    "resnetv2_101x3_bit": (387_934_888, 69_492_277_248, TIMM),
    "resnetv2_152x2_bit": (236_335_208, 45_814_382_592, TIMM),
    "resnetv2_152x4_bit": (936_533_224, 182_777_282_560, TIMM),
    "resnet50v2": (25_549_352, 4_089_184_256, TIMM),
    "resnet101v2": (44_541_480, 7_801_405_440, TIMM),
    "resnet152v2": (60_185_128, 11_513_626_624, TIMM),
    "resnetv2_18": (11_687_720, 1_814_073_344, TIMM),
    "resnetv2_18d": (11_706_952, 2_053_713_920, TIMM),
    "resnetv2_34": (21_795_880, 3_663_761_408, TIMM),
    "resnetv2_34d": (21_815_112, 3_903_401_984, TIMM),
    "resnetv2_50": (25_549_352, 4_089_184_256, TIMM),
    "resnetv2_50d": (25_568_584, 4_328_824_832, TIMM),
    "resnetv2_50d_gn": (25_568_584, 4_328_824_832, TIMM),
    "resnet18_vd": (11_712_968, 2_066_558_976, COMPUTED),
    "resnet34_vd": (21_821_128, 3_916_247_040, COMPUTED),
    "resnet50v2_keras": (25_568_360, 3_482_255_360, KERAS),
    "resnet101v2_keras": (44_577_896, 7_194_476_544, KERAS),
    "resnet152v2_keras": (60_236_904, 10_906_697_728, KERAS),
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
    "resnet8_mlperf_tiny": (78_186, 12_501_632, MLPERF_TINY),
    "resnet20_keras": (273_066, 40_813_184, KERAS_EXAMPLE),
    "resnet32_keras": (467_946, 69_124_736, KERAS_EXAMPLE),
    "resnet44_keras": (662_826, 97_436_288, KERAS_EXAMPLE),
    "resnet56_keras": (857_706, 125_747_840, KERAS_EXAMPLE),
    "resnet110_keras": (1_734_666, 253_149_824, KERAS_EXAMPLE),
    "resnet110v2": (1_727_962, 252_887_680, HE_2016),
    "resnet164v2": (1_703_258, 247_646_720, HE_2016),
    "resnet1001v2": (10_327_706, 1_490_995_712, HE_2016),
    "wide_resnet16_4": (2_748_890, 392_612_352, ZAGORUYKO_2016),
    "wide_resnet16_8": (10_961_370, 1_548_145_664, ZAGORUYKO_2016),
    "wide_resnet28_2": (1_467_610, 214_353_152, ZAGORUYKO_2016),
    "wide_resnet28_10": (36_479_194, 5_243_328_768, ZAGORUYKO_2016),
    "wide_resnet40_1": (563_930, 83_280_512, ZAGORUYKO_2016),
    "wide_resnet40_2": (2_243_546, 327_599_360, ZAGORUYKO_2016),
    "wide_resnet40_4": (8_949_210, 1_298_582_016, ZAGORUYKO_2016),
    "resnext29_8x64d": (34_426_698, 5_387_266_048, XIE_2017),
    "resnext29_16x64d": (68_155_210, 10_688_866_304, XIE_2017),
    "resnet18_cifar": (11_173_962, 555_422_720, KUANGLIU),
    "resnet34_cifar": (21_282_122, 1_159_402_496, KUANGLIU),
    "resnet50_cifar": (23_520_842, 1_297_829_888, KUANGLIU),
    "densenet121": (7_978_856, 2_834_161_664, TORCHVISION),
    "densenet161": (28_681_000, 7_727_907_072, TORCHVISION),
    "densenet169": (14_149_480, 3_359_843_328, TORCHVISION),
    "densenet201": (20_013_928, 4_291_365_888, TORCHVISION),
    "densenet264": (33_337_704, 5_751_653_376, HUANG_2017),
    "densenet40_12": (1_019_722, 264_812_928, HUANG_2017),
    "densenet100_12": (6_979_642, 1_769_516_448, HUANG_2017),
    "densenet100_24": (27_249_082, 6_889_347_744, HUANG_2017),
    "densenet_bc100_12": (769_162, 287_929_692, HUANG_2017),
    "densenet_bc250_24": (15_324_406, 5_418_785_724, HUANG_2017),
    "densenet_bc190_40": (25_624_430, 9_301_945_740, HUANG_2017),
    "r3d_18": (33_371_472, 40_696_553_472, TORCHVISION),
    "mc3_18": (11_695_440, 43_342_635_008, TORCHVISION),
    "r2plus1d_18": (31_505_325, 40_519_080_960, TORCHVISION),
}

REGENERATE = "PYTHONPATH=tests python tests/test_variants.py"
NAMES = json.loads((Path(__file__).parent / "goldens" / "layer_names.json").read_text())


def parameters(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def test_every_row_has_an_oracle_and_golden_names():
    assert set(ORACLES) == set(NAMES) == set(VARIANTS)


@pytest.mark.parametrize("row", every_row())
def test_network_of_a_row(row):
    """One test, because to build the network takes longer than all comparisons."""
    model = built(row)
    expected_parameters, expected_macs, _ = ORACLES[row]
    assert parameters(model) == expected_parameters
    assert count_macs(model) == expected_macs
    assert golden(model) == NAMES[row], f"after a wanted change run: {REGENERATE}"
    assert counted_depth(model) == weight_layers(VARIANTS[row])
    compare_stages(VARIANTS[row], model)


def golden(model):
    """Returns the names of the layers. `.weights.h5` files depend on their order, so it is part of the format."""
    names = [layer.name for layer in model.layers]
    if len(names) > 200:  # long lists are stored as a digest
        return {"layers": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}
    return names


def counted_depth(model):
    """Kernels of shortcuts and gates are not counted. The two kernels of a factorized convolution count as one."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    return len([layer for layer in layers if not re.search("_0_conv|_se_|_eca_|_space_", layer.name)])


def compare_stages(v, model):
    """He 2015, Table 1 (56, 28, 14, 7) and section 4.2 (32, 16, 8)."""
    sizes = {224: [56, 28, 14, 7], 112: [56, 28, 14, 7], 32: [32, 16, 8, 4]}[v.image_size][: len(v.depths)]
    if getattr(v, "stride_block", "first") == "last":  # the output of a stage has the size of the next stage
        sizes = [28, 14, 7, 7]
    pyramid = feature_pyramid(model)
    assert [map.shape[-3:-1] for map in pyramid.output.values()] == [(size, size) for size in sizes]
    assert pyramid.strides == {f"conv{i}": v.image_size // size for i, size in enumerate(sizes, 2)}
    assert pyramid.channels == {stage: map.shape[-1] for stage, map in pyramid.output.items()}
    if isinstance(v, Variant):
        expansion = 4 if v.block == "bottleneck" else 1
        assert list(pyramid.channels.values()) == [v.filters * 2**i * expansion for i in range(len(sizes))]
    assert total_stride(v) == v.image_size // sizes[-1]
    assert model.output.shape == (None, v.classes)


# all parameters including BN statistics, as in `summary()`
TOTALS = {
    "resnet8_mlperf_tiny": 78_666,
    "resnet20_keras": 274_442,
    "resnet32_keras": 470_218,
    "resnet44_keras": 665_994,
    "resnet56_keras": 861_770,
    "resnet110_keras": 1_742_762,
}


@pytest.mark.parametrize("row", TOTALS)
def test_all_parameters(row):
    assert built(row).count_params() == TOTALS[row]


def conv(k, c_in, c_out, out_size):
    """Returns the parameters and multiply-adds of a convolution."""
    return k * k * c_in * c_out, k * k * c_in * c_out * out_size**2


def gate(kind, ratio, channels):
    if kind == "se":
        squeezed = max(8, round(channels * ratio / 8) * 8)
        return 2 * channels * squeezed + squeezed + channels, 2 * channels * squeezed
    if kind == "eca":
        width = {16: 3, 64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}[channels]
        return width, width * channels
    return 0, 0


# stem: ((kernel, stride, width relative to the filters) of each convolution, total stride including the pool)
STEM_CONVS = {
    "7x7": ([(7, 2, 1)], 4),
    "7x7_zeros": ([(7, 2, 1)], 4),
    "7x7_unpooled": ([(7, 2, 1)], 2),
    "3x3": ([(3, 1, 1)], 1),
    "deep": ([(3, 2, 1 / 2), (3, 1, 1 / 2), (3, 1, 1)], 4),
    "deep_tiered": ([(3, 2, 3 / 8), (3, 1, 1 / 2), (3, 1, 1)], 4),
    "deep_strided": ([(3, 2, 1 / 2), (3, 1, 1 / 2), (3, 1, 1), (3, 2, 1)], 4),
}


def by_formula(v):
    """Returns the parameters and multiply-adds of a row, computed from the tables of the papers without a network."""
    preactivated, stage_wise = v.order == "preactivation", v.order == "stage_wise"
    expansion = 4 if v.block == "bottleneck" else 1
    costs, bns, c_in, size = [], [], 3, v.image_size
    # whether a convolution has a bias: (if a BN follows, if no BN follows)
    with_bn, without_bn = {"none": (0, 0), "without_bn": (0, 1), "all": (1, 1)}[v.conv_bias]
    last = without_bn if preactivated else with_bn  # the last convolution of a block, and of the stem
    biases = [v.filters * last]
    stem, stride = STEM_CONVS[v.stem]
    for kernel, step, width in stem:
        size, c_out = size // step, int(width * (v.stem_filters or v.filters))
        costs, bns, c_in = [*costs, conv(kernel, c_in, c_out, size)], [*bns, c_out], c_out
    bns = bns[:-1] if preactivated else bns
    size = v.image_size // stride
    for stage, depth in enumerate(v.depths):
        filters = v.filters * 2**stage
        for block in range(depth):
            in_size, c_out = size, filters * expansion
            if v.stride_block == "first" and block == 0:
                size //= 2 if stage else v.first_stride
            if v.stride_block == "last" and block == depth - 1 and stage < len(v.depths) - 1:
                size //= 2
            if v.block == "bottleneck":
                width = filters * v.base_width // 64 * v.groups
                costs += [conv(1, c_in, width, in_size), conv(3, width // v.groups, width, size)]
                costs += [conv(1, width, c_out, size)]
                within = [width, width]
            else:
                costs += [conv(3, c_in, filters, size), conv(3, filters, filters, size)]
                within = [filters]
            bns += within
            biases += [width * with_bn for width in within] + [c_out * last]
            if stage_wise:  # BN after F in the first block, before F from the third on, after the last addition
                bns += [c_out] * ((block == 0) + (block > 1) + (block == depth - 1))
            else:
                bns += [c_in] if preactivated else [c_out]
            costs.append(gate(v.gate, v.gate_ratio, c_out))
            added = v.first_shortcut == "projection" and stage == block == 0
            if "projection" in v.shortcut and (c_in != c_out or added):
                # after a pool, the projection has the same size as a strided projection
                costs.append(conv(1, c_in, c_out, size))
                is_normalized = not preactivated and v.shortcut != "linear_projection"
                bns += [c_out] * is_normalized
                biases.append(c_out * (with_bn if is_normalized else without_bn))
            c_in = c_out
    bns += [c_in] if preactivated else []
    head = c_in * v.classes
    parameters = sum(p for p, _ in costs) + 2 * sum(bns) + sum(biases)
    return parameters + head + v.classes, sum(m for _, m in costs) + head


def dense_by_formula(v):
    """Returns the same counts for DenseNet: Huang et al. 2017, Table 1."""
    stem, stride = STEM_CONVS[v.stem]
    (kernel, step, _), size = stem[0], v.image_size // stride
    costs, bns, c = [conv(kernel, 3, v.filters, v.image_size // step)], [v.filters] if stride > 1 else [], v.filters
    for block, depth in enumerate(v.depths, 1):
        for _ in range(depth):
            between = v.bottleneck * v.growth_rate
            costs += [conv(1, c, between, size), conv(3, between or c, v.growth_rate, size)]
            bns, c = [*bns, c, between], c + v.growth_rate
        bns.append(c)
        if block < len(v.depths):
            costs.append(conv(1, c, int(c * v.compression), size))
            c, size = int(c * v.compression), size // 2
    head = c * v.classes
    return sum(p for p, _ in costs) + 2 * sum(bns) + head + v.classes, sum(m for _, m in costs) + head


def clip_by_formula(v):
    """Returns the same counts for video networks of building blocks: Tran et al. 2018, Table 1 and section 3.5."""
    frames, size, c, costs, bns = v.frames, v.image_size // 2, 64, [], []

    def conv3d(t, k, c_in, c_out):
        """Returns the counts of a convolution whose output has the current `frames` and `size`."""
        return t * k * k * c_in * c_out, t * k * k * c_in * c_out * frames * size**2

    stem = [(1, 7, 3, 45), (3, 1, 45, 64)] if v.convolution == "factorized" else [(3, 7, 3, 64)]
    costs += [conv3d(*layer) for layer in stem]
    bns += [c_out for *_, c_out in stem]
    for stage, depth in enumerate(v.depths):
        full = v.convolution == "full" or stage == 0
        for block in range(depth):
            filters, strides = 64 * 2**stage, stage > 0 and block == 0
            between = 27 * c * filters // (9 * c + 3 * filters)
            before, size = frames, size // (1 + strides)
            after = frames if v.convolution == "mixed" else frames // (1 + strides)
            for c_in in (c, filters):
                if v.convolution == "factorized":
                    frames = before if c_in is c else after  # the spatial convolution: no stride in time
                    costs.append(conv3d(1, 3, c_in, between))
                    frames = after
                    costs.append(conv3d(3, 1, between, filters))
                    bns += [between, filters]
                else:
                    frames = after
                    costs.append(conv3d(3 if full else 1, 3, c_in, filters))
                    bns.append(filters)
            if strides:
                costs.append(conv3d(1, 1, c, filters))
                bns.append(filters)
            c = filters
    head = c * v.classes
    return sum(p for p, _ in costs) + 2 * sum(bns) + head + v.classes, sum(m for _, m in costs) + head


@pytest.mark.parametrize("row", VARIANTS)
def test_parameters_and_multiply_adds_by_formula(row):
    formula = by_formula if isinstance(VARIANTS[row], Variant) else dense_by_formula
    formula = clip_by_formula if VARIANTS[row].rank == 3 else formula
    assert formula(VARIANTS[row]) == ORACLES[row][:2]


def test_bottlenecks_of_the_paper_stride_in_the_first_layer():
    """He 2015, Table 1: 3.8e9 multiply-adds. ResNet-50 v1.5 has 4.1e9 and the same number of parameters."""
    v1 = keras_resnet.ResNet50(bottleneck_stride="1x1")
    assert count_macs(v1) == 3_857_973_248
    assert parameters(v1) == ORACLES["resnet50"][0]


@pytest.mark.parametrize(
    ("row", "option", "expected"),
    [
        ("resnet18", "A", 11_515_688),
        ("resnet18", "C", 12_043_816),
        pytest.param("resnet34", "A", 21_623_848, marks=pytest.mark.slow),
        pytest.param("resnet34", "C", 22_716_840, marks=pytest.mark.slow),
        ("resnet20", "B", 272_474),
        ("resnet20", "C", 283_962),
        ("resnet56", "B", 855_770),
        ("resnet56", "C", 900_858),
        pytest.param("resnet110", "B", 1_730_714, marks=pytest.mark.slow),
        pytest.param("resnet110", "C", 1_826_202, marks=pytest.mark.slow),
        ("resnet20", "plain", 269_722),
    ],
)
def test_options(row, option, expected):
    assert parameters(keras_resnet.ResNet(row, shortcut=option)) == expected


@pytest.mark.slow
def test_resnet152_needs_less_than_vgg16():
    """He 2015, section 1: "8x deeper than VGG nets but still having lower complexity"."""
    vgg = keras.applications.VGG16(weights=None)
    assert (vgg.count_params(), count_macs(vgg)) == (138_357_544, 15_470_264_320)
    assert parameters(built("resnet152")) < vgg.count_params() / 2
    assert count_macs(built("resnet152")) < 0.75 * count_macs(vgg)


@pytest.mark.parametrize("row", VARIANTS)
def test_depth_in_the_name_is_the_depth_of_the_net(row):
    v = VARIANTS[row]
    named = int(re.match(r"(?:r3d_|mc3_|r2plus1d_|[a-z]+?(?:v2_|_bc|_resnet)?)(\d+)", row).group(1))
    more = {"deep": 2, "deep_tiered": 2, "deep_strided": 3}.get(v.stem, 0)  # names count conv1 as one layer
    if row.startswith("wide_resnet") and v.image_size == 32:
        more -= 2  # names of Wide ResNets also count the last two projections
    # the depths in these names are approximate: arXiv:1608.06993, Table 1; arXiv:2103.07579, Table 7
    more += {"densenet264": 1, "resnetrs270": 2, "resnetrs420": -1}.get(row, 0)
    assert weight_layers(v) == named + more


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
    """A step adds one block to each of the three stages."""
    from keras_resnet.blocks import BLOCKS
    from keras_resnet.variants import CIFAR_STEP

    assert {block: 3 * len(column(16, 1)) for block, column in BLOCKS.items()} == CIFAR_STEP


def test_cifar_takes_fields():
    assert cifar(8, filters=32, shortcut="none") == keras_resnet.Variant(
        "building_block", (1, 1, 1), filters=32, stem="3x3", shortcut="none", image_size=32, classes=10
    )


if __name__ == "__main__":
    from test_reference import STUB, stub

    STUB.write_text(stub())
    lines = [",".join(map(str, (row, *ORACLES[row][:2]))) for row in VARIANTS]
    COUNTS.write_text("\n".join(["name,parameters,multiply_adds", *lines]) + "\n")
    path = Path(__file__).parent / "goldens" / "layer_names.json"
    names = {row: golden(keras_resnet.ResNet(row)) for row in VARIANTS}
    path.write_text(json.dumps(names, indent=0) + "\n")
