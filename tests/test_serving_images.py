"""Files are decoded, resized and cropped as by PIL, and their pixels have the range that the model expects."""

import io
import warnings
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize
from PIL import Image
from served.images import encoded, kinds, read_by_pil, shapes

import keras_resnet
from keras_resnet import PREPROCESSINGS, Preprocessing, export_saved_model, preprocess_input
from keras_resnet.preprocessing import decode_file as decode
from keras_resnet.serving.images import Reader

SIZES = [(1, 1), (1, 7), (2, 3), (31, 32), (32, 32), (33, 40), (97, 301), (333, 500), (500, 333), (1, 500), (500, 2)]
ROWS = {
    "whole": None,
    "no crop": Preprocessing(32, 32),
    "torch": Preprocessing(32, 36),
    "timm": Preprocessing(32, 33, "bicubic"),
    "bicubic": Preprocessing(31, 37, "bicubic"),
}


@pytest.mark.parametrize("row", ROWS)
def test_within_one_grey_level_of_pil(row):
    row = ROWS[row]
    size = row.size if row else 32
    files = [encoded(shapes(*sides)) for sides in SIZES]
    images = Reader(size, size, 3, row)(tf.constant(files))
    assert images.shape == (len(SIZES), size, size, 3) and images.dtype == "float32"
    for sides, file, pixels in zip(SIZES, files, images.numpy(), strict=True):
        difference = np.abs(pixels - read_by_pil(file, row, size))
        assert difference.max() <= 1, sides
        assert difference.mean() < 0.3
        np.testing.assert_array_equal(pixels, pixels.round())


def test_an_image_of_the_right_size_is_not_changed():
    image = shapes(32, 32)
    (pixels,) = Reader(32, 32, 3, PREPROCESSINGS["cifar10"])(tf.constant([encoded(image)]))
    np.testing.assert_array_equal(pixels, image)


def test_grey_models():
    files = [encoded(shapes()), encoded(Image.fromarray(shapes()).convert("L"))]
    for file, pixels in zip(files, Reader(32, 32, 1)(tf.constant(files)).numpy(), strict=True):
        assert np.abs(pixels - read_by_pil(file, mode="L")).max() <= 1


def test_normalized_as_the_preprocessing_says():
    row = replace(PREPROCESSINGS["caffe"], size=32, resize=32)
    files = tf.constant([encoded(shapes())])
    pixels = Reader(32, 32, 3, row)(files)
    np.testing.assert_allclose(Reader(32, 32, 3, row, white=None)(files), preprocess_input(pixels, mode=row))
    np.testing.assert_allclose(Reader(32, 32, 3, row, white=1.0)(files), pixels / 255, rtol=1e-6)


@pytest.mark.parametrize("kind", kinds())
def test_decoded_as_by_pil(kind):
    file = kinds()[kind]
    np.testing.assert_array_equal(decode(tf.constant(file)), np.asarray(Image.open(io.BytesIO(file)).convert("RGB")))


def test_of_16_bits_the_upper_8_are_kept():
    """PIL clips instead, so that all pixels except the darkest are white."""
    values = np.linspace(0, 65535, 64, dtype="uint16").reshape(8, 8)
    np.testing.assert_allclose(decode(tf.constant(encoded(values)))[..., 0], values / 257, atol=1)


@pytest.mark.parametrize("data", [b"", b"no image", encoded(shapes(60, 80), "JPEG")[:900], b"\xff\xd8\xff"])
def test_a_file_that_is_no_image_is_an_invalid_argument(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        Reader(32, 32, 3)(tf.constant([encoded(shapes(9, 9)), data]))


def test_no_files_at_all():
    assert Reader(32, 31, 3)(tf.zeros([0], tf.string)).shape == (0, 32, 31, 3)


def test_only_the_crop_is_computed():
    """The whole image, resized to a height of 32, would have 300 million values."""
    file = encoded(np.zeros((1, 100_000, 3), "uint8"))
    assert Reader(32, 32, 3, Preprocessing(32, 32))(tf.constant([file])).shape == (1, 32, 32, 3)


# ---------------------------------------------------------------------------------- the pixels that a model expects

ROW = Preprocessing(8, 9)
MEAN, STD = np.array(ROW.mean), np.array(ROW.std)
COLOURS = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 3), "uint8")
FILES = [encoded(np.kron(colours, np.ones((5 + i, 9 - i, 1), "uint8"))) for i, colours in enumerate(COLOURS)]


def pixels(row=None):
    return np.stack([read_by_pil(file, row, 8) for file in FILES])


def normalized(row):
    return ((pixels(row) / 255 - MEAN) / STD).astype("float32")


def classifier(*first, deeper=()):
    """Returns a model that begins with the layers `first` and has the layers `deeper` after a convolution."""
    image = x = keras.Input((8, 8, 3), name="image")
    for layer in (*first, keras.layers.Conv2D(6, 3, activation="tanh"), *deeper, keras.layers.Flatten()):
        x = layer(x)
    model = keras.Model(image, keras.layers.Dense(3, "softmax", name="predictions")(x))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            randomize(layer)
    return model


def normalization(factor=1.0):
    return keras.layers.Normalization(mean=MEAN * factor, variance=(STD * factor) ** 2)


def including(row):
    return keras_resnet.ResNet(
        keras_resnet.cifar(8), classes=3, input_shape=(8, 8, 3), include_preprocessing=replace(row, size=8, resize=8)
    )


def probabilities(model, tmp_path, **options):
    report = export_saved_model(model, tmp_path, signatures=("image_bytes",), warmup=False, **options)
    signature = tf.saved_model.load(report["path"]).signatures["image_bytes"]
    return signature(image_bytes=tf.constant(FILES))["probabilities"]


def assert_served(model, images, tmp_path, **options):
    """Checks that files give the outputs for `images`, up to one grey level, and without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = probabilities(model, tmp_path, **options)
    expected = np.asarray(model(images, training=False))
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.ptp(expected, 0).max() > 0.2


DEEPER = {
    "rescaling": lambda: keras.layers.Rescaling(0.5),
    "normalization": lambda: keras.layers.Normalization(mean=[0.1] * 6, variance=[0.9] * 6),
}


@pytest.mark.parametrize("layer", DEEPER)
def test_layers_behind_the_first_weights_do_not_normalize_the_input(layer, tmp_path):
    """An example is the Rescaling at the end of a residual branch in networks without normalization."""
    model = classifier(deeper=[DEEPER[layer]()])
    assert_served(model, normalized(ROW), tmp_path / "explicit", preprocessing=ROW)
    with pytest.warns(UserWarning, match="pixels of 0 to 255"):
        probabilities(model, tmp_path / "default")


def test_an_input_that_branches_is_not_normalized(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Concatenate()([image, keras.layers.Rescaling(1 / 255)(image)])
    model = keras.Model(image, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))
    with pytest.warns(UserWarning, match="pixels of 0 to 255"):
        probabilities(model, tmp_path)


AUGMENTATION = [keras.layers.RandomFlip, lambda: keras.layers.RandomRotation(0.1), lambda: keras.layers.Dropout(0.1)]
FIRST = {
    "normalization of 0 to 1": (lambda: [normalization()], 1.0),
    "normalization of 0 to 255": (lambda: [normalization(255.0)], 255.0),
    "rescaling, normalization": (lambda: [keras.layers.Rescaling(1 / 255), normalization()], 255.0),
    "augmentation first": (lambda: [*(layer() for layer in AUGMENTATION), normalization(255.0)], 255.0),
    "nested": (lambda: [keras.Sequential([keras.Input((8, 8, 3)), normalization()])], 1.0),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("row", [None, ROW], ids=["default", "explicit"])
def test_a_model_that_normalizes_gets_the_pixels_that_it_takes(first, row, tmp_path):
    make, white = FIRST[first]
    assert_served(classifier(*make()), pixels(row) * white / 255, tmp_path, preprocessing=row)


@pytest.mark.parametrize("row", ["caffe", "tf", "torch"])
def test_included_preprocessing_is_not_applied_twice(row, tmp_path):
    row = replace(PREPROCESSINGS[row], size=8, resize=9)
    model = including(row)
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Normalization):
            randomize(layer)
    np.testing.assert_allclose(probabilities(model, tmp_path, preprocessing=row), model(pixels(row)), atol=0.1)
    nested = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.RandomFlip(), model])
    assert export_saved_model(nested, tmp_path, preprocessing=row, warmup=False)["normalized_inside"]


OTHER = {
    "rescaling alone": lambda: classifier(keras.layers.Rescaling(1 / 255)),
    "another normalization": lambda: classifier(keras.layers.Normalization(mean=[127.5] * 3, variance=[127.5**2] * 3)),
    "another order of channels": lambda: including(replace(ROW, channels="bgr")),
}


@pytest.mark.parametrize("other", OTHER)
def test_another_preprocessing_than_that_of_the_model_is_refused(other, tmp_path):
    model = OTHER[other]()
    for signature in ("images", "image_bytes"):
        with pytest.raises(ValueError, match="preprocessing must equal the normalization inside the model"):
            export_saved_model(model, tmp_path / "net", signatures=(signature,), preprocessing=ROW)
    with pytest.raises(ValueError, match="preprocessing must equal the normalization inside the model"):
        keras_resnet.export(model, tmp_path / "net.onnx", preprocessing=ROW)
    assert not list(tmp_path.iterdir())


def test_size_and_crop_for_a_model_that_rescales(tmp_path):
    """Uses the arguments that the error message recommends."""
    row = replace(ROW, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert_served(classifier(keras.layers.Rescaling(1 / 255)), pixels(row), tmp_path, preprocessing=row)
