"""PyTorch's weights in our nets: the same answers as torchvision and timm, and nothing loaded by half."""

import sys
import types

import keras
import numpy as np
import pytest
from conftest import randomize, tiny

import keras_resnet
from keras_resnet.weights.names import NAMINGS, named_variables
from keras_resnet.weights.state_dict import load_state_dict, to_torch

# our row: the net in timm (torchvision's are there too, under the same names); the slow ones are the larger
TIMM = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet50c": "resnet50c",
    "resnet18d": "resnet18d",
    "resnet50d": "resnet50d",
    "resnet50s": "resnet50s",
    "resnet50t": "resnet50t",
    "resnext50_32x4d": "resnext50_32x4d",
    "wide_resnet50_2": "wide_resnet50_2",
    "seresnet18": "seresnet18",
    "seresnet50": "seresnet50",
    "seresnext50_32x4d": "seresnext50_32x4d",
    "ecaresnet50d": "ecaresnet50d",
    "resnetrs50": "resnetrs50",
    "resnet50_gn": "resnet50_gn",
    "resnet50v2": "resnetv2_50",
    "resnetv2_50x1_bit": "resnetv2_50x1_bit",
    "densenet121": "densenet121",
}
LARGER = {
    "resnet101": "resnet101",
    "resnet152": "resnet152",
    "resnet101d": "resnet101d",
    "resnet200d": "resnet200d",
    "resnext101_32x8d": "resnext101_32x8d",
    "resnext101_64x4d": "resnext101_64x4d",
    "wide_resnet101_2": "wide_resnet101_2",
    "seresnet152": "seresnet152",
    "ecaresnet101d": "ecaresnet101d",
    "resnetrs101": "resnetrs101",
    "resnetrs200": "resnetrs200",
    "resnet101v2": "resnetv2_101",
    "resnetv2_101x1_bit": "resnetv2_101x1_bit",
    "densenet161": "densenet161",
    "densenet201": "densenet201",
}
FAST = {
    "resnet18",
    "resnet50d",
    "seresnet18",
    "ecaresnet50d",
    "resnetrs50",
    "resnext50_32x4d",
    "resnet50v2",
    "densenet121",
}


def timm():
    pytest.importorskip("torch")
    # the operators of torchvision's wheel may need CUDA libraries; its models need none of them
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
    return pytest.importorskip("timm")


def at_random(net, seed=0):
    """Weights and BN statistics at random, in inference mode. Gates are drawn near 1/2: a gate that is shut or open by
    a hair makes any two programs differ.
    """
    import torch

    random = torch.Generator().manual_seed(seed)
    tensors = [(name, tensor) for name, tensor in net.state_dict().items() if tensor.is_floating_point()]
    for name, tensor in tensors:
        if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            scale = 0.2 if name.endswith("bn3.weight") else 1  # so that 50 blocks do not add up to millions
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
        return net(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()


def assert_close(ours, theirs, tolerance=1e-4):
    assert np.abs(np.asarray(ours) - theirs).max() < tolerance * np.abs(theirs).max()


@pytest.mark.peers
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[] if row in FAST else pytest.mark.slow) for row in TIMM | LARGER],
)
def test_answers_are_those_of_timm(row, rng):
    theirs = at_random(timm().create_model((TIMM | LARGER)[row]))
    for size in (97,) if row in FAST else (224, 225, 97):
        model = keras_resnet.ResNet(row, input_shape=(size, size, 3), classifier_activation=None)
        load_state_dict(model, state_of(theirs))
        x = rng.normal(size=(1, size, size, 3)).astype("float32")
        assert_close(model(x), answers(theirs, x))


STAGES = ("resnet18", "resnet34", "resnet50", "resnet50d", "resnext50_32x4d", "wide_resnet50_2", "seresnext50_32x4d")
STAGES += ("ecaresnet50d", "resnetrs50", "resnet50_gn", "densenet121")


@pytest.mark.peers
@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.slow if row != "resnet18" else []) for row in STAGES]
)
@pytest.mark.parametrize(
    "size", [97, pytest.param(224, marks=pytest.mark.slow), pytest.param(225, marks=pytest.mark.slow)]
)
def test_every_stage_is_that_of_timm(row, size, rng):
    theirs = at_random(timm().create_model(row, features_only=True))
    channels = theirs.feature_info.channels()
    head = "classifier" if row.startswith("densenet") else "fc"
    classifier = {f"{head}.weight": np.zeros((7, channels[-1])), f"{head}.bias": np.zeros(7)}
    model = keras_resnet.ResNet(row, input_shape=(size, size, 3), classes=7)
    state = {name.replace("features_", "features."): array for name, array in state_of(theirs).items()}
    load_state_dict(model, state | classifier)
    x = rng.normal(size=(1, size, size, 3)).astype("float32")

    import torch

    with torch.no_grad():
        stages = [map.permute(0, 2, 3, 1).numpy() for map in theirs(torch.from_numpy(x).permute(0, 3, 1, 2))]
    pyramid = keras_resnet.feature_pyramid(model)
    assert list(pyramid.strides.values()) == theirs.feature_info.reduction()[1:]
    for ours, map in zip(pyramid(x).values(), stages[1:], strict=True):
        assert_close(ours, map)


@pytest.mark.peers
@pytest.mark.parametrize("row", ["resnet18", "resnet50"])  # timm's D counts the padding of its dilated pools
@pytest.mark.parametrize("output_stride", [8, 16])
def test_dilated_answers_are_those_of_timm(row, output_stride, rng):
    theirs = at_random(timm().create_model(row, output_stride=output_stride))
    model = keras_resnet.ResNet(row, input_shape=(97, 97, 3), classifier_activation=None, output_stride=output_stride)
    load_state_dict(model, state_of(theirs))
    x = rng.normal(size=(1, 97, 97, 3)).astype("float32")
    assert_close(model(x), answers(theirs, x))


@pytest.mark.peers
def test_a_training_step_moves_the_statistics_as_pytorch_does(rng):
    theirs = at_random(timm().create_model("resnet18"))
    model = keras_resnet.ResNet18(input_shape=(64, 64, 3), classifier_activation=None)
    load_state_dict(model, state_of(theirs))
    x = rng.normal(size=(8, 64, 64, 3)).astype("float32")
    model(x, training=True)
    answers(theirs.train(), x)
    after = state_of(theirs)
    for named in named_variables(model, "torchvision"):
        if "running" in named.tensor:
            assert_close(to_torch(named), after[named.tensor])


# ---- without PyTorch


def state_dict(model, naming="torchvision"):
    return {named.tensor: to_torch(named) for named in named_variables(model, naming)}


NETS = {
    "torchvision": dict(),
    "akamaster": dict(shortcut="zero_pad"),
    "timm v2": dict(order="preactivation", gate="none"),
    "Hugging Face": dict(block="bottleneck"),
}


@pytest.mark.parametrize("naming", NETS)
def test_there_and_back(naming, rng):
    model, copy = randomize(tiny(**NETS[naming])), randomize(tiny(**NETS[naming]), seed=1)
    state = state_dict(model, naming)
    assert len(state) == len(model.weights)
    load_state_dict(copy, {name: state[name] for name in sorted(state)})
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
    with pytest.raises(ValueError, match="not of 'resnet'") as caught:
        load_state_dict(model, state)
    assert str(caught.value).splitlines()[1:] == [
        "  missing: layer1.0.conv2.weight (nearest: layer2.0.conv2.weight)",
        "  unexpected: layer1.0.conv9.weight (4, 4, 3, 3)",
        "  shape: fc.bias is (9,), predictions/bias needs (3,), turned as Keras has it",
    ]
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_counters_and_16_bits():
    model, source = tiny(), randomize(tiny())
    state = {name: array.astype("float16") for name, array in state_dict(source).items()}
    load_state_dict(model, state | {"bn1.num_batches_tracked": np.array(7)})
    assert {weight.dtype for weight in model.weights} == {"float32"}
    np.testing.assert_allclose(model.get_weights()[0], source.get_weights()[0], rtol=1e-3)


def test_a_model_that_no_project_has_names_for():
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(1, name="mine")(image), name="other")
    with pytest.raises(ValueError, match="No naming of .* has names for all layers of 'other'"):
        load_state_dict(model, {})
    with pytest.raises(ValueError, match="'torchvision' has no name for the layer 'mine'"):
        load_state_dict(model, {}, "torchvision")
