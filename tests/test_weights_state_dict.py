"""Loads PyTorch's weights. The outputs equal those of torchvision and timm, and no weights are partly loaded."""

import sys
import types

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

import keras_resnet
from keras_resnet.weights.names import NAMINGS, named_variables
from keras_resnet.weights.state_dict import match_naming, to_torch

# rows that also exist in torchvision and timm. The names are equal except for NAMES.
TORCHVISION = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d"),
    *("resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
)
TIMM = (
    *TORCHVISION,
    *("resnext101_32x4d", "seresnet18", "seresnet34", "seresnet50", "seresnet101", "seresnet152", "seresnext50_32x4d"),
    *("seresnext101_32x4d", "ecaresnet50d", "ecaresnet101d", "resnet50c", "resnet101c", "resnet152c", "resnet18d"),
    *("resnet34d", "resnet50d", "resnet101d", "resnet152d", "resnet200d", "resnet50s", "resnet101s", "resnet152s"),
    *("resnet50t", "resnetrs50", "resnetrs101", "resnetrs152", "resnetrs200", "resnetrs270", "resnetrs350"),
    *("resnetrs420", "resnet50_gn", "resnet50v2", "resnet101v2", "resnet152v2", "resnetv2_50x1_bit"),
    *("resnetv2_18", "resnetv2_18d", "resnetv2_34", "resnetv2_34d", "resnetv2_50", "resnetv2_50d", "resnetv2_50d_gn"),
    *("resnet10t", "resnet14t", "resnet26", "resnet26d", "resnet26t", "resnext50d_32x4d", "resnext101_32x16d"),
    *("seresnext26d_32x4d", "seresnet152d", "ecaresnet50t"),
    *("resnetv2_50x3_bit", "resnetv2_101x1_bit", "resnetv2_101x3_bit", "resnetv2_152x2_bit", "resnetv2_152x4_bit"),
)
# networks of torchvision.models.video, which tests/test_video.py compares
VIDEO = ("r3d_18", "mc3_18", "r2plus1d_18")
NAMES = {"resnet50v2": "resnetv2_50", "resnet101v2": "resnetv2_101", "resnet152v2": "resnetv2_152"}
FAST = {
    *(("timm", row) for row in ("resnet18", "resnet50d", "seresnet18", "ecaresnet50d", "resnetrs50")),
    *(("timm", row) for row in ("resnext50_32x4d", "resnet50v2", "densenet121", "resnetv2_18", "resnetv2_18d")),
    ("timm", "resnet10t"),
    ("torchvision", "resnet18"),
}
ROWS = [("torchvision", row) for row in TORCHVISION] + [("timm", row) for row in TIMM]


def timm():
    pytest.importorskip("torch")
    # The operators of torchvision may need CUDA libraries. Its models do not use these operators.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    return pytest.importorskip("timm")


def torchvision():
    timm()
    pytest.importorskip("torchvision")
    import torchvision.models

    return torchvision.models


def peer(library, row, **arguments):
    """Returns the network of timm or torchvision for a row, with random weights."""
    build = timm().create_model if library == "timm" else torchvision().get_model
    return at_random(build(NAMES.get(row, row), **arguments))


def at_random(net, seed=0):
    """Sets random weights and BN statistics, and the inference mode.

    The outputs of gates are near 1/2. With large weights, rounding errors would decide whether a gate is 0 or 1.
    """
    import torch

    random = torch.Generator().manual_seed(seed)
    tensors = [(name, tensor) for name, tensor in net.state_dict().items() if tensor.is_floating_point()]
    for name, tensor in tensors:
        if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            scale = 0.2 if name.endswith(("bn3.weight", "norm3.weight")) else 1  # keeps the sum of 50 blocks small
            tensor.copy_(scale * (torch.rand(tensor.shape, generator=random) + 0.5))
        elif tensor.ndim > 1:
            scale = (2 / tensor[0].numel()) ** 0.5 * (0.01 if ".se." in name else 1)
            tensor.copy_(scale * torch.randn(tensor.shape, generator=random))
        else:
            tensor.copy_(0.3 * torch.randn(tensor.shape, generator=random))
    return net.eval()


def state_of(net):
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def answers(net, x):
    import torch

    with torch.no_grad():
        return net(torch.from_numpy(x).movedim(-1, 1)).numpy()


def assert_close(ours, theirs, tolerance=1e-4):
    assert np.abs(np.asarray(ours) - theirs).max() < tolerance * np.abs(theirs).max()


def stages_and_answer(net, x):
    """Returns the last feature map of every stage of a PyTorch network, and its logits.

    The last feature map is the input of the pooling before the classifier.
    """
    if hasattr(net, "layer1"):
        modules = [net.layer1, net.layer2, net.layer3, net.layer4]
    elif hasattr(net, "stages"):
        modules = [*net.stages[:3], net.norm]
    else:
        features = net.features
        modules = [features.denseblock1, features.denseblock2, features.denseblock3, features.norm5]
    maps = {}
    hooks = [
        module.register_forward_hook(lambda module, inputs, output, i=i: maps.update({i: output}))
        for i, module in enumerate(modules)
    ]
    answer = answers(net, x)
    for hook in hooks:
        hook.remove()
    maps = [maps[i].detach().movedim(1, -1).numpy() for i in range(len(modules))]
    return [*maps[:-1], np.maximum(maps[-1], 0)], answer


@pytest.mark.peers
@pytest.mark.parametrize(
    ("library", "row"), [pytest.param(*pair, marks=[] if pair in FAST else pytest.mark.slow) for pair in ROWS]
)
def test_answers_and_stages_are_those_of_pytorch(library, row, rng):
    theirs = peer(library, row)
    small = sum(tensor.numel() for tensor in theirs.state_dict().values()) < 30e6
    for size in (97,) if (library, row) in FAST or not small else (224, 225, 97):
        model = keras_resnet.ResNet(row, input_shape=(size, size, 3), classifier_activation=None)
        keras_resnet.load_pretrained(model, state_of(theirs))
        x = rng.normal(size=(1, size, size, 3)).astype("float32")
        maps, answer = stages_and_answer(theirs, x)
        net = keras_resnet.feature_pyramid(model)
        whole = keras.Model(model.inputs, [*net.outputs, model.output])
        *stages, logits = whole(x)
        assert_close(logits, answer, 1e-5)
        assert len(stages) == len(maps) == 4
        for ours, map in zip(stages, maps, strict=True):
            assert_close(ours, map)


@pytest.mark.peers
def test_every_row_that_they_share_is_there():
    shared = {row for row in keras_resnet.VARIANTS if NAMES.get(row, row) in timm().list_models()}
    assert shared == set(TIMM)
    assert set(torchvision().list_models()) & set(keras_resnet.VARIANTS) == {*TORCHVISION, *VIDEO}


@pytest.mark.peers
@pytest.mark.parametrize("row", ["resnet18", "resnet50"])  # the pools of timm's dilated ResNet-D include padding
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_answers_are_those_of_timm(row, output_stride, rng):
    theirs = at_random(timm().create_model(row, output_stride=output_stride))
    model = keras_resnet.ResNet(row, input_shape=(97, 97, 3), classifier_activation=None, output_stride=output_stride)
    keras_resnet.load_pretrained(model, state_of(theirs))
    x = rng.normal(size=(1, 97, 97, 3)).astype("float32")
    assert_close(model(x), answers(theirs, x))


TRAINED = [
    *ROWS[:1],
    ("timm", "resnet18"),
    ("timm", "resnet50d"),
    ("timm", "seresnext50_32x4d"),
    ("timm", "resnetrs50"),
]
TRAINED += [
    ("timm", "resnet50v2"),
    ("timm", "densenet121"),
    ("torchvision", "resnet50"),
    ("torchvision", "densenet121"),
]


@pytest.mark.peers
@pytest.mark.parametrize(
    ("library", "row"),
    [pytest.param(*pair, marks=[] if pair[1] == "resnet18" else pytest.mark.slow) for pair in TRAINED],
)
def test_a_training_step_moves_the_statistics_as_pytorch_does(library, row, rng):
    theirs = peer(library, row)
    model = keras_resnet.ResNet(row, input_shape=(64, 64, 3), classifier_activation=None)
    keras_resnet.load_pretrained(model, state_of(theirs))
    before = {name: np.array(array) for name, array in state_of(theirs).items()}
    x = rng.normal(size=(8, 64, 64, 3)).astype("float32")
    model(x, training=True)
    answers(theirs.train(), x)
    after = state_of(theirs)
    moved = 0
    for named in named_variables(model, match_naming(model, after)[0]):
        if "running" in named.tensor:
            assert_close(to_torch(named), after[named.tensor])
            moved += not np.array_equal(before[named.tensor], after[named.tensor])
    assert moved == 2 * sum(name.endswith("num_batches_tracked") for name in after)


# ---- without PyTorch


def state_dict(model, naming="torchvision"):
    return {named.tensor: to_torch(named) for named in named_variables(model, naming)}


NETS = {
    "torchvision": dict(),
    "akamaster": dict(shortcut="zero_pad"),
    "timm v2": dict(order="preactivation", first_shortcut="raw"),
    "Hugging Face": dict(block="bottleneck"),
}


@pytest.mark.parametrize("naming", NETS)
def test_there_and_back(naming, rng):
    model, copy = randomize(tiny(**NETS[naming])), randomize(tiny(**NETS[naming]), seed=1)
    state = state_dict(model, naming)
    assert len(state) == len(model.weights)
    keras_resnet.load_pretrained(copy, {name: state[name] for name in sorted(state)})
    for ours, theirs in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_naming_knows_its_classifier():
    assert {naming.rules[-1][0] for naming in NAMINGS.values()} == {"predictions"}


def test_names_are_those_of_torchvision():
    names = state_dict(
        keras_resnet.ResNet(keras_resnet.Variant("bottleneck", (1, 2), filters=4, stem="deep", gate="se"))
    )
    assert names["conv1.3.weight"].shape == (2, 2, 3, 3)
    assert {"conv1.1.running_mean", "bn1.weight", "layer1.0.downsample.0.weight", "layer2.1.se.fc2.bias"} <= set(names)
    assert names["fc.weight"].shape == (1000, 32)


def test_what_does_not_fit_is_listed_and_nothing_is_changed():
    model = randomize(tiny())
    before = model.get_weights()
    state = state_dict(randomize(tiny(), seed=1))
    state["layer1.0.conv9.weight"] = state.pop("layer1.0.conv2.weight")
    state["fc.bias"] = np.zeros(9)
    with pytest.raises(ValueError, match="do not fit 'resnet'") as caught:
        keras_resnet.load_pretrained(model, state)
    assert str(caught.value).splitlines()[1:] == [
        "  missing: layer1.0.conv2.weight (nearest: layer2.0.conv2.weight)",
        "  unexpected: layer1.0.conv9.weight (4, 4, 3, 3) (nearest: layer1.0.conv2.weight)",
        "  shape: fc.bias is (9,), predictions/bias needs (3,), transposed as Keras has it",
    ]
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_counters_and_16_bits():
    model, source = tiny(), randomize(tiny())
    state = {name: array.astype("float16") for name, array in state_dict(source).items()}
    keras_resnet.load_pretrained(model, state | {"bn1.num_batches_tracked": np.array(7)})
    assert {weight.dtype for weight in model.weights} == {"float32"}
    np.testing.assert_allclose(model.get_weights()[0], source.get_weights()[0], rtol=1e-3)


def test_a_model_that_no_project_has_names_for():
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(1, name="mine")(image), name="other")
    with pytest.raises(ValueError, match="No naming of .* has names for all layers of 'other'"):
        match_naming(model, {})
    with pytest.raises(ValueError, match="'torchvision' has no name for the layer 'mine'"):
        named_variables(model, "torchvision")
