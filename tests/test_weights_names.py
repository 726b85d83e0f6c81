"""Tests of weight names of common CIFAR networks, and of `rename` for other names of the same networks."""

import re

import keras
import numpy as np
import pytest
from conftest import randomize, tiny
from test_weights_state_dict import answers, assert_close, at_random, state_dict, state_of

import keras_resnet
from keras_resnet import ResNet, cifar_dense, load_pretrained, wide


def wide_resnet(depth, k):
    """github.com/xternalz/WideResNet-pytorch: in a block with a projection, BN and ReLU precede both paths."""
    nn = pytest.importorskip("torch").nn

    class Block(nn.Module):
        def __init__(self, old, new, stride):
            super().__init__()
            self.bn1, self.bn2 = nn.BatchNorm2d(old), nn.BatchNorm2d(new)
            self.conv1 = nn.Conv2d(old, new, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(new, new, 3, 1, 1, bias=False)
            self.convShortcut = nn.Conv2d(old, new, 1, stride, bias=False) if old != new else None

        def forward(self, x):
            activated = self.bn1(x).relu()
            y = self.conv2(self.bn2(self.conv1(activated)).relu())
            return y + (x if self.convShortcut is None else self.convShortcut(activated))

    class Stage(nn.Module):
        def __init__(self, old, new, stride):
            super().__init__()
            blocks = [Block(new if i else old, new, 1 if i else stride) for i in range((depth - 4) // 6)]
            self.layer = nn.Sequential(*blocks)

        def forward(self, x):
            return self.layer(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.block1, self.block2 = Stage(16, 16 * k, 1), Stage(16 * k, 32 * k, 2)
            self.block3 = Stage(32 * k, 64 * k, 2)
            self.bn1, self.fc = nn.BatchNorm2d(64 * k), nn.Linear(64 * k, 10)

        def forward(self, x):
            x = self.block3(self.block2(self.block1(self.conv1(x))))
            return self.fc(nn.functional.avg_pool2d(self.bn1(x).relu(), 8).flatten(1))

    return Net()


def densenet(depth, growth_rate, reduction, bottleneck):
    """github.com/andreasveit/densenet-pytorch: the stem has 2 * growth_rate filters with and without bottlenecks."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class Layer(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.bn1, between = nn.BatchNorm2d(channels), 4 * growth_rate
            if bottleneck:
                self.conv1, self.bn2 = nn.Conv2d(channels, between, 1, bias=False), nn.BatchNorm2d(between)
                self.conv2 = nn.Conv2d(between, growth_rate, 3, 1, 1, bias=False)
            else:
                self.conv1 = nn.Conv2d(channels, growth_rate, 3, 1, 1, bias=False)

        def forward(self, x):
            y = self.conv1(self.bn1(x).relu())
            return torch.cat([x, self.conv2(self.bn2(y).relu()) if bottleneck else y], 1)

    class Block(nn.Module):
        def __init__(self, channels, depth):
            super().__init__()
            self.layer = nn.Sequential(*[Layer(channels + i * growth_rate) for i in range(depth)])

        def forward(self, x):
            return self.layer(x)

    class Transition(nn.Module):
        def __init__(self, old, new):
            super().__init__()
            self.bn1, self.conv1 = nn.BatchNorm2d(old), nn.Conv2d(old, new, 1, bias=False)

        def forward(self, x):
            return nn.functional.avg_pool2d(self.conv1(self.bn1(x).relu()), 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            channels, layers = 2 * growth_rate, (depth - 4) // (6 if bottleneck else 3)
            self.conv1 = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
            for i in (1, 2, 3):
                self.add_module(f"block{i}", Block(channels, layers))
                channels += layers * growth_rate
                if i < 3:
                    self.add_module(f"trans{i}", Transition(channels, int(channels * reduction)))
                    channels = int(channels * reduction)
            self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

        def forward(self, x):
            x = self.trans2(self.block2(self.trans1(self.block1(self.conv1(x)))))
            return self.fc(nn.functional.avg_pool2d(self.bn1(self.block3(x)).relu(), 8).flatten(1))

    return Net()


# name: (the network in PyTorch, the row)
CIFAR = {
    "wide_resnet16_1": (lambda: wide_resnet(16, 1), wide(16, 1)),  # its first block has no projection
    "wide_resnet16_2": (lambda: wide_resnet(16, 2), wide(16, 2)),
    "densenet_bc22_12": (lambda: densenet(22, 12, 0.5, True), cifar_dense(22, 12, bottleneck=True)),
    "densenet13_12": (lambda: densenet(13, 12, 1.0, False), cifar_dense(13, 12, filters=24)),
    "densenet13_5": (lambda: densenet(13, 5, 0.5, False), cifar_dense(13, 5, filters=10, compression=0.5)),
}


@pytest.mark.parametrize("name", CIFAR)
def test_outputs_are_those_of_the_cifar_networks(name, rng, tmp_path):
    """Loads a state dict, and a checkpoint file as the training scripts of both projects write it."""
    import torch

    build, row = CIFAR[name]
    theirs = at_random(build())
    model = ResNet(row, weights=state_of(theirs), classifier_activation=None)
    x = rng.normal(size=(2, 32, 32, 3)).astype("float32")
    assert_close(model(x), answers(theirs, x), 1e-5)

    state = {f"module.{key}": tensor for key, tensor in theirs.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": state, "best_prec1": 95.0}, tmp_path / "model_best.pth.tar")
    features = ResNet(row, weights=tmp_path / "model_best.pth.tar", include_top=False)
    for ours, loaded in zip(features.get_weights(), model.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, loaded)


@pytest.mark.parametrize(
    ("row", "fields", "says"),
    [
        (wide(10, 1), dict(first_shortcut="activated"), "first_shortcut must be 'raw'"),
        (wide(10, 2), dict(shortcut="pooled_projection"), "shortcut must be"),
        (wide(10, 2), dict(shortcut="max_pooled_projection"), "shortcut must be"),
        (wide(10, 2), dict(shortcut="projection_all", stride_block="last"), "stride_block must be 'first'"),
        (wide(10, 2), dict(order="bn_after_addition", first_shortcut="activated"), "The weights do not fit"),
        (cifar_dense(10, 4, bottleneck=True), dict(bottleneck=2), "shape: block1.layer.0.conv1.weight"),
    ],
)
def test_other_networks_with_these_names_are_refused(row, fields, says):
    naming = "andreasveit" if isinstance(row, keras_resnet.DenseVariant) else "xternalz"
    same_names = dict(shortcut="projection_all") if fields.get("stride_block") else {}
    state = state_dict(ResNet(row, **same_names), naming)
    with pytest.raises(ValueError, match=says):
        load_pretrained(ResNet(row, **fields), state)


# ---- rename

PRIVATE = {r"^encoder\.": "", r"\.units\.": ".layer.", r"skip": "convShortcut", r"^out$|^out(?=\.)": "fc"}


def private(state):
    """Returns a state dict with other names. `rename=PRIVATE` maps them to the known names."""
    new = {name.replace("layer", "units").replace("convShortcut", "skip"): name for name in state}
    return {f"encoder.{re.sub('^fc', 'out', key)}": state[name] for key, name in new.items()}


def test_rename_translates_private_names():
    source, model = randomize(ResNet(wide(10, 2))), ResNet(wide(10, 2))
    state = private(state_dict(source, "xternalz"))
    assert {"encoder.conv1.weight", "encoder.block2.units.0.skip.weight", "encoder.out.bias"} <= set(state)
    with pytest.raises(ValueError, match="missing: "):
        load_pretrained(model, state)
    load_pretrained(model, state, rename=PRIVATE)
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_rename_applies_the_patterns_in_order():
    state = {name.replace("fc.", "x."): array for name, array in state_dict(tiny()).items()}
    load_pretrained(tiny(), state, rename={"^x": "y", "^y": "fc"})
    with pytest.raises(ValueError, match=r"unexpected: y\.weight"):
        load_pretrained(tiny(), state, rename={"^y": "fc", "^x": "y"})


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pth", "weights.h5", "keras"])
def test_rename_applies_to_files(suffix, tmp_path):
    source, model, path = randomize(tiny()), tiny(), tmp_path / f"net.{suffix}"
    state = {f"my_{name}": array for name, array in state_dict(source).items()}
    if suffix == "safetensors":
        from safetensors.numpy import save_file

        save_file({name: np.ascontiguousarray(array) for name, array in state.items()}, path)
    elif suffix == "npz":
        np.savez(path, **state)
    elif suffix == "pth":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.tensor(array) for name, array in state.items()}, path)
    else:

        def with_private_name(layer):
            return type(layer).from_config({**layer.get_config(), "name": f"my_{layer.name}"})

        copy = keras.models.clone_model(source, clone_function=with_private_name)
        copy.set_weights(source.get_weights())
        copy.save(path) if suffix == "keras" else copy.save_weights(path)
    if suffix != "keras":  # the graph of a .keras file identifies the layers
        with pytest.raises(ValueError, match="missing: "):
            load_pretrained(model, path)
    load_pretrained(model, path, rename={"^my_": ""})
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("rename", "says"),
    [
        ([("a", "b")], r"rename must be a dict {pattern: replacement} of strings. Received: \[\('a', 'b'\)\]"),
        ("", "rename must be a dict"),
        ({"(": ""}, r"as for re.sub. Received: {'\(': ''}: missing \), unterminated"),
        ({"fc": r"\1"}, r"Received: {'fc': '\\\\1'}: invalid group reference 1"),
        ({"fc": r"\g<name>"}, "unknown group name 'name'"),
        ({"fc": None}, "Received: {'fc': None}: the replacement must be a string"),
        ({1: "fc"}, "Received: {1: 'fc'}"),
        ({r"\d": ""}, r"a unique name. Received: {'\\\\d': ''}, which renames both 'layer1.0.\w+.\w+' and 'layer"),
    ],
)
def test_bad_renames(rename, says):
    model = randomize(tiny())
    before = model.get_weights()
    with pytest.raises(ValueError, match=says):
        load_pretrained(model, state_dict(tiny()), rename=rename)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_bad_rename_is_refused_before_a_download():
    with pytest.raises(ValueError, match="rename must be a dict"):
        load_pretrained(tiny(), "timm/resnet18.a1_in1k", rename=["module"])


def test_legacy_se_networks_are_refused_under_any_name():
    """Their max pool does not pad before the first pixel.

    Renamed weights would fit, but outputs would be wrong by 5 to 20 %.
    """
    fields = dict(block="bottleneck", gate="se", bottleneck_stride="1x1")
    state = {name.replace(".se.", ".se_module."): array for name, array in state_dict(tiny(**fields)).items()}
    for rename in (None, {"se_module": "se"}):
        with pytest.raises(
            ValueError, match="The state dict contains the weights of an SE network of Cadene .*legacy_se.* max pool"
        ):
            load_pretrained(tiny(**fields), state, rename=rename)
    with pytest.raises(ValueError, match="SE network of Cadene"):
        ResNet(keras_resnet.Variant(depths=(2, 2), **fields), weights=state)
