"""Compares `preprocess_input` and `decode_predictions` with formulas, layers, keras.applications and torchvision."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from math import floor

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_resnet.preprocessing import (
    PREPROCESSINGS,
    Preprocessing,
    decode_predictions,
    imagenet_classes,
    preprocess_input,
    preprocessing_layers,
)

every_mode = pytest.mark.parametrize("mode", PREPROCESSINGS)
KERAS = {"caffe": keras.applications.resnet, "tf": keras.applications.resnet_v2, "torch": keras.applications.densenet}


@pytest.fixture
def pixels(rng):
    """Two images with all values of a byte and with fractions."""
    x = rng.permutation(np.linspace(0, 255, 2 * 17 * 15 * 3))
    return x.reshape(2, 17, 15, 3).astype("float32")


def formula(x, mode):
    """The formulas in float64, written again."""
    row = PREPROCESSINGS[mode]
    x = np.asarray(x, "float64")
    if row.channels == "bgr":
        x = np.stack([x[..., 2], x[..., 1], x[..., 0]], axis=-1)
    return (x / row.scale - row.mean) / row.std


@every_mode
def test_the_formula(mode, pixels):
    y = preprocess_input(pixels, mode=mode)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y, formula(pixels, mode), atol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, keras.ops.convert_to_tensor])
@pytest.mark.parametrize("mode", KERAS)
def test_keras_applications_do_the_same(mode, kind, pixels):
    for x in (pixels, pixels[0]):
        theirs = KERAS[mode].preprocess_input(kind(x.copy()))
        np.testing.assert_array_equal(preprocess_input(kind(x), mode=mode), theirs)


def test_torch_is_the_default_and_what_torchvision_does(pixels):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(pixels) / 255  # ToTensor
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = x.sub(mean).div(std)  # Normalize
    np.testing.assert_allclose(preprocess_input(pixels), expected.numpy(), atol=1e-6)


def test_half_is_tf_to_the_last_bit(pixels):
    np.testing.assert_array_equal(preprocess_input(pixels, mode="half"), preprocess_input(pixels, mode="tf"))


@every_mode
def test_the_array_of_the_caller_stays(mode, pixels):
    before = pixels.copy()
    pixels.flags.writeable = False
    assert not np.shares_memory(preprocess_input(pixels, mode=mode), pixels)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("kind", [np.asarray, keras.ops.convert_to_tensor])
@pytest.mark.parametrize(
    ("given", "expected"), [("uint8", "float32"), ("int64", "float32"), ("float16", "float16"), ("float64", "float64")]
)
def test_types_and_kinds(kind, given, expected, pixels):
    x = kind(pixels.astype(given))
    for mode in ("torch", "caffe"):
        y = preprocess_input(x, mode=mode)
        assert type(y) is type(x)
        assert keras.backend.standardize_dtype(y.dtype) == expected
        tolerance = 0.1 if given == "float16" else 1e-5
        np.testing.assert_allclose(y, formula(pixels.astype(given), mode), atol=tolerance)


def test_in_tf_data_and_in_a_functional_model(pixels, tmp_path):
    x = pixels.astype("uint8")
    dataset = tf.data.Dataset.from_tensor_slices(x).map(lambda x: preprocess_input(x, mode="caffe"))
    np.testing.assert_allclose(np.stack([*dataset.as_numpy_iterator()]), formula(x, "caffe"), atol=1e-5)
    image = keras.Input((17, 15, 3), dtype="uint8")
    keras.Model(image, preprocess_input(image, mode="caffe")).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x), formula(x, "caffe"), atol=1e-5)


def layers_model(mode, dtype="float32"):
    image = keras.Input((None, None, 3), dtype=dtype, name="image")
    return keras.Model(image, preprocessing_layers(mode, image))


@every_mode
def test_layers_do_the_same_saved_and_loaded(mode, pixels, tmp_path):
    model = layers_model(mode)
    assert [layer.name for layer in model.layers] == ["image", "preprocessing_normalization"]
    assert not model.weights
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for net in (model, loaded, keras.models.clone_model(model)):
        np.testing.assert_allclose(net(pixels), formula(pixels, mode), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float64"], indirect=True)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("mode", ["torch", "caffe"])
def test_layers_are_float32_under_every_policy(policy, dtype, mode, pixels, tmp_path):
    x = pixels.astype(dtype)
    model = layers_model(mode, dtype)
    model.save(tmp_path / "model.keras")
    for net in (model, keras.models.load_model(tmp_path / "model.keras")):
        assert net.output.dtype == net(x).dtype == "float32"
        np.testing.assert_allclose(net(x), formula(x, mode), atol=1e-5)


LOADED_ELSEWHERE = """
import sys, numpy as np, keras, tensorflow as tf
x, y = np.load("x.npy"), np.load("y.npy")
for net in (keras.models.load_model("model.keras"), tf.saved_model.load("exported").serve):
    np.testing.assert_allclose(net(x), y, atol=1e-5)
assert "keras_resnet" not in sys.modules
"""


@pytest.mark.slow
def test_layers_are_loaded_and_served_without_this_package(pixels, tmp_path):
    x = pixels.astype("uint8")
    model = layers_model("caffe", "uint8")
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported", verbose=False)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", formula(x, "caffe"))
    subprocess.run([sys.executable, "-c", LOADED_ELSEWHERE], check=True, cwd=tmp_path)


def test_a_preprocessing_of_ones_own(pixels):
    own = replace(PREPROCESSINGS["torch"], channels="bgr", mean=(0.1, 0.2, 0.3))
    expected = (pixels[..., ::-1] / 255 - [0.1, 0.2, 0.3]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(preprocess_input(pixels, mode=own), expected, atol=1e-5)
    image = keras.Input((None, None, 3))
    model = keras.Model(image, preprocessing_layers(own, image, name="left"))
    assert model.layers[-1].name == "left_normalization"
    np.testing.assert_allclose(model(pixels), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "crop_pct"),
    {"torch": 0.875, "timm": 0.95, "half": 0.875, "cifar10": 1.0, "cifar10_akamaster": 1.0}.items(),
)
def test_resize_is_the_crop_pct_of_timm(mode, crop_pct):
    row = PREPROCESSINGS[mode]
    assert row.resize == floor(row.size / crop_pct)
    assert row.size == (32 if mode.startswith("cifar") else 224)


def test_rows_as_torchvision_has_them():
    assert (PREPROCESSINGS["torch"].resize, PREPROCESSINGS["torch_v2"].resize) == (256, 232)
    assert [mode for mode, row in PREPROCESSINGS.items() if row.interpolation == "bicubic"] == ["timm"]
    assert [mode for mode, row in PREPROCESSINGS.items() if not row.antialias] == ["kinetics"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size must be a positive integer. Received: 0"),
        ({"resize": 2.5}, "resize must be a positive integer. Received: 2.5"),
        ({"size": 448}, "resize must be at least 448, the size. Received: 256"),
        ({"interpolation": "nearest"}, "interpolation must be one of .*'bicubic'.*Received: 'nearest'"),
        ({"channels": "grb"}, "channels must be one of .*'rgb', 'bgr'.*Received: 'grb'"),
        ({"scale": 0}, "scale must be a number, more than 0. Received: 0"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be a number, more than 0. Received: 0.0"),
        ({"std": (1.0, 1.0)}, "std must be a tuple of three numbers, one per channel. Received: "),
        ({"mean": 0.5}, "mean must be a tuple of three numbers, one per channel. Received: 0.5"),
        ({"mean": ("a", "b", "c")}, "mean must be a tuple of three numbers"),
    ],
)
def test_bad_rows(fields, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**fields)


def test_bad_inputs(pixels):
    with pytest.raises(ValueError, match="mode must be one of .*Received: 'cafe'. Did you mean 'caffe'"):
        preprocess_input(pixels, mode="cafe")
    with pytest.raises(ValueError, match="preprocessing must be one of .*Received: None"):
        preprocessing_layers(None, keras.Input((None, None, 3)))
    with pytest.raises(ValueError, match="Expected data_format to be one of .*Received: data_format=channels"):
        preprocess_input(pixels, "channels")
    for x in (pixels[..., :1], np.zeros((2, 3)), np.moveaxis(pixels, -1, 1)):
        with pytest.raises(ValueError, match="x must be RGB images, .*Received: x.shape="):
            preprocess_input(x)
    for shape in ((None, None, 1), (3,)):
        with pytest.raises(ValueError, match="x must be RGB images, .*Received: x.shape="):
            preprocessing_layers("torch", keras.Input(shape))


def test_the_classes_of_imagenet():
    classes = imagenet_classes()
    ids = [wnid for wnid, _ in classes]
    assert len(classes) == len(set(ids)) == 1000
    assert ids == sorted(ids)
    known = {
        0: ("n01440764", "tench"),
        2: ("n01484850", "great_white_shark"),
        134: ("n02012849", "crane"),
        264: ("n02113186", "Cardigan"),
        281: ("n02123045", "tabby"),
        474: ("n02963159", "cardigan"),
        517: ("n03126707", "crane"),
        638: ("n03710637", "maillot"),
        639: ("n03710721", "maillot"),
        999: ("n15075141", "toilet_tissue"),
    }
    assert {i: classes[i] for i in known} == known


def keras_class_index():
    return {str(i): list(pair) for i, pair in enumerate(imagenet_classes())}


def test_the_names_are_those_of_keras_to_the_letter():
    text = json.dumps(keras_class_index())  # the same content as Keras' imagenet_class_index.json
    assert hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() == "c2c37ea517e94d9795004a39431a14cb"


@pytest.mark.parametrize("top", [1, 5, 1000, 2000])
def test_decoded_as_keras_does(top, rng, monkeypatch):
    theirs = keras.applications.imagenet_utils.decode_predictions
    monkeypatch.setitem(theirs.__globals__, "CLASS_INDEX", keras_class_index())  # replaces the download
    preds = rng.dirichlet(np.ones(1000), size=3).astype("float32")
    preds[1] = preds[1].round(3)  # ties
    assert decode_predictions(preds, top=top) == theirs(preds, top=top)


def test_decoded_in_the_order_of_the_scores(rng):
    preds = rng.permuted(np.tile(np.arange(1000.0), (3, 1)), axis=1)
    for given in (preds, keras.ops.convert_to_tensor(preds), preds.tolist()):
        decoded = decode_predictions(given)
        assert [len(best) for best in decoded] == [5, 5, 5]
        for best, row in zip(decoded, preds, strict=True):
            order = np.argsort(-row)[:5]
            assert [name for _, name, _ in best] == [imagenet_classes()[i][1] for i in order]
            assert [score for _, _, score in best] == [999, 998, 997, 996, 995]
    one = np.zeros((1, 1000), "float32")
    one[0, 281] = 0.75
    assert decode_predictions(one, top=1) == [[("n02123045", "tabby", 0.75)]]


@pytest.mark.parametrize("shape", [(1000,), (2, 10), (2, 1001), (1, 1, 1000)])
def test_decode_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="expects a batch of predictions .*Received array with shape: "):
        decode_predictions(np.zeros(shape))


@pytest.mark.parametrize("top", [0, -1, 2.5])
def test_decode_refuses_a_top_that_is_none(top):
    with pytest.raises(ValueError, match="top must be a positive integer. Received: "):
        decode_predictions(np.zeros((1, 1000)), top=top)


@pytest.mark.parametrize("kind", [np.asarray, keras.ops.convert_to_tensor])
@pytest.mark.parametrize("mode", KERAS)
def test_channels_first(mode, kind, pixels, monkeypatch):
    x = np.moveaxis(pixels, -1, 1)
    for given in (x, x[0]):
        theirs = KERAS[mode].preprocess_input(kind(given.copy()), "channels_first")
        np.testing.assert_allclose(preprocess_input(kind(given), "channels_first", mode), theirs, atol=1e-6)
    with pytest.raises(ValueError, match=r"x must be RGB images, \(..., 3, h, w\). Received: x.shape=\(2, 17, 15, 3\)"):
        preprocess_input(kind(pixels), "channels_first", mode)
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    np.testing.assert_allclose(
        preprocess_input(kind(x), mode=mode), formula(pixels, mode).transpose(0, 3, 1, 2), atol=1e-5
    )
