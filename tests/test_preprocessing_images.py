"""Tests of `Preprocessing.__call__`, which converts files, images, arrays and tensors to the input of a network."""

import doctest
import io
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet import PREPROCESSINGS, Preprocessing, preprocess_input, preprocessing

SIZES = [(1, 1), (1, 7), (31, 32), (32, 32), (33, 40), (97, 301), (333, 500), (500, 333), (5, 70), (80, 5)]
ROWS = {
    "no crop": Preprocessing(32, 32),
    "bilinear": Preprocessing(32, 36),
    "bicubic": Preprocessing(31, 37, "bicubic"),
    "caffe": replace(PREPROCESSINGS["caffe"], size=32, resize=36),
}


def sample(height, width):
    """Returns an image with edges and noise. Its pixels have the whole range of values."""
    rng = np.random.default_rng(height * width)
    small = rng.integers(0, 256, (-(-height // 6), -(-width // 6), 3))
    large = small.repeat(6, 0).repeat(6, 1)[:height, :width] + rng.integers(-30, 31, (height, width, 3))
    return Image.fromarray(large.clip(0, 255).astype("uint8"))


def file(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def by_torchvision(image, row):
    """Resize and CenterCrop of torchvision 0.28 on a PIL image, written again, and then the normalization."""
    image = image.convert("RGB")
    width, height = image.size
    long = int(row.resize * max(width, height) / min(width, height))
    whole = (row.resize, long) if width <= height else (long, row.resize)
    image = image.resize(whole, {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[row.interpolation])
    left, top = (round((side - row.size) / 2.0) for side in whole)
    pixels = np.asarray(image.crop((left, top, left + row.size, top + row.size)), "float64")
    pixels = pixels[..., ::-1] if row.channels == "bgr" else pixels
    return (pixels / row.scale - row.mean) / row.std


def levels(images, row):
    """Inverts the normalization: returns pixels in 0..255."""
    return (np.asarray(images, "float64") * row.std + row.mean) * row.scale


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_images_are_those_of_torchvision(row):
    images = [sample(*size) for size in SIZES]
    batch = row(images)
    assert batch.dtype == "float32" and batch.shape == (len(SIZES), row.size, row.size, 3)
    for image, got in zip(images, batch, strict=True):
        np.testing.assert_allclose(got, by_torchvision(image, row), atol=1e-4)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_tensors_are_within_one_gray_level_of_pil(row):
    images = [sample(*size) for size in SIZES]
    batch = row(tf.constant([file(image) for image in images]))
    assert tf.is_tensor(batch) and batch.dtype == "float32" and batch.shape == (len(SIZES), row.size, row.size, 3)
    for image, got in zip(images, batch, strict=True):
        expected = levels(by_torchvision(image, row), row)
        assert np.abs(levels(got, row) - expected).max() <= 1 + 1e-3, image.size
        array = tf.constant(np.asarray(image))
        np.testing.assert_array_equal(row(array), got)
        np.testing.assert_array_equal(row(array[tf.newaxis])[0], got)


def test_every_kind_of_input_gives_the_same_batch(tmp_path, monkeypatch):
    row, image = ROWS["bilinear"], sample(50, 40)
    data, array = file(image), np.asarray(image)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = row(image)
    assert expected.shape == (1, 32, 32, 3)
    arrays = [array.astype(dtype) for dtype in ("uint8", "int32", "float32", "float64")]
    same = [path, str(path), "~/image.png", data, *arrays, array[None], keras.ops.convert_to_numpy(array), [image]]
    for images in same:
        np.testing.assert_array_equal(row(images), expected)
    np.testing.assert_array_equal(row([path, data, image, (array, array[None])]), np.concatenate([expected] * 5))
    np.testing.assert_array_equal(row([tf.constant(array)]), expected)
    np.testing.assert_array_equal(row(array - 0.25), expected)


def test_normalization_is_that_of_preprocess_input():
    array = np.asarray(sample(32, 32))
    for row in PREPROCESSINGS.values():
        small = replace(row, size=32, resize=32)
        np.testing.assert_allclose(small(array)[0], preprocess_input(array, mode=row), rtol=1e-6)
        np.testing.assert_allclose(small(tf.constant(array)), preprocess_input(array, mode=row), atol=1e-5)


KINDS = {
    "jpeg": lambda image: file(image, "JPEG", quality=90),
    "progressive": lambda image: file(image, "JPEG", progressive=True, quality=50),
    "grayscale": lambda image: file(image.convert("L"), "JPEG"),
    "cmyk": lambda image: file(image.convert("CMYK"), "JPEG"),
    "alpha": lambda image: file(image.convert("RGBA")),
    "palette": lambda image: file(image.convert("P")),
    "gray and alpha": lambda image: file(image.convert("LA")),
    "1 bit": lambda image: file(image.convert("1")),
    "gif": lambda image: file(image, "GIF"),
    "bmp": lambda image: file(image, "BMP"),
    "rotated by EXIF": lambda image: file(image, "JPEG", exif=rotated()),
}


def rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_decoded_as_by_pil(kind):
    row, data = Preprocessing(32, 32), KINDS[kind](sample(61, 83))
    decoded = Image.open(io.BytesIO(data)).convert("RGB")
    np.testing.assert_allclose(row(data)[0], by_torchvision(decoded, row), atol=1e-5)
    np.testing.assert_array_equal(preprocessing.decode_file(tf.constant(data)), np.asarray(decoded))


def test_16_bits_per_channel():
    """PIL clips the values. TensorFlow uses the upper 8 bits."""
    values = np.linspace(0, 65535, 64, dtype="uint16").reshape(8, 8)
    data, row = file(Image.fromarray(values)), Preprocessing(8, 8)
    clipped = np.minimum(values, 255)[..., None].repeat(3, -1)
    np.testing.assert_allclose(levels(row(data)[0], row), clipped, atol=1e-3)
    upper = values[..., None].repeat(3, -1) / 257
    np.testing.assert_allclose(levels(row(tf.constant(data)), row), upper, atol=1.01)


def test_inside_tf_data(tmp_path):
    row = ROWS["bicubic"]
    paths = []
    for i, size in enumerate([(40, 50), (90, 60), (33, 31)]):
        paths.append(str(tmp_path / f"{i}.jpg"))
        sample(*size).save(paths[-1])
    dataset = tf.data.Dataset.from_tensor_slices((paths, [0, 1, 2]))
    dataset = dataset.map(lambda path, label: (row(tf.io.read_file(path)), label)).batch(3)
    ((images, labels),) = dataset
    assert dataset.element_spec[0].shape == (None, 31, 31, 3)
    assert np.abs(levels(images, row) - levels(row(paths), row)).max() <= 1 + 1e-3
    np.testing.assert_array_equal(labels, [0, 1, 2])
    # as a function in `map`, on decoded images of unknown rank, and on batches of files
    decoded = tf.data.Dataset.from_tensor_slices(paths).map(lambda path: tf.io.decode_image(tf.io.read_file(path)))
    (again,) = decoded.map(row).batch(3)
    assert np.abs(levels(again, row) - levels(row(paths), row)).max() <= 5  # the default JPEG decoder of TensorFlow
    (batch,) = tf.data.Dataset.from_tensor_slices(paths).map(tf.io.read_file).batch(3).map(row)
    np.testing.assert_array_equal(batch, images)


def test_without_antialiasing():
    """Pairs of pixels are averaged. With antialiasing, the result would be gray."""
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::4] = stripes[:, 1::4] = 255
    sharp, smooth = Preprocessing(16, 16, antialias=False), Preprocessing(16, 16)
    for x in (stripes, tf.constant(stripes)):
        assert np.ptp(levels(smooth(x), smooth)[..., 2:-2, :]) < 2
        expected = (stripes[1::4].astype(int)[:, 1::4] + stripes[1::4][:, 2::4]) / 2
        assert np.abs(levels(np.reshape(sharp(x), (16, 16, 3)), sharp) - expected).max() <= 1


def test_only_the_crop_of_a_slim_image_is_computed():
    slim = np.asarray(sample(1, 500)).repeat(200, axis=1)
    row = Preprocessing(32, 32)
    got = [np.reshape(levels(row(x), row), (32, 32, 3)) for x in (slim, tf.constant(slim))]
    assert np.abs(got[0] - got[1]).max() <= 1 + 1e-3


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], r"images must contain at least one image. Received: \[\]"),
        (None, r"images must be a path, .*Received: None \(of type NoneType\)"),
        ([[1, 2]], r"images must be a path, .*Received: 1 \(of type int\)"),
        (b"", r"images must be files that PIL can decode. Received: 0 bytes: "),
        (file(sample(60, 80), "JPEG")[:900], "images must be files that PIL can decode. Received: 900 bytes: "),
        (np.zeros((3, 4)), r"\(h, w, 3\) or \(b, h, w, 3\). Received: shape=\(3, 4\), dtype=float64"),
        (np.zeros((3, 4, 1), "uint8"), r"Received: shape=\(3, 4, 1\), dtype=uint8"),
        (np.zeros((3, 4, 3), "bool"), "Received: .*dtype=bool"),
        (np.full((3, 4, 3), 256), "images must have pixels of 0 to 255. Received: pixels of 256 to 256"),
        (np.full((3, 4, 3), -1.0), "Received: pixels of -1.0 to -1.0"),
        (np.full((3, 4, 3), np.nan), "Received: pixels of nan to nan"),
        (keras.Input((32, 32, 3)), "images must be a path, .*KerasTensor"),
        (tf.zeros((3, 4)), r"images must be \(h, w, 3\) or \(b, h, w, 3\). Received: images.shape=\(3, 4\)"),
        (tf.zeros((3, 4, 1)), r"\(..., h, w, 3\). Received: x.shape=\(3, 4, 1\)"),
        (tf.constant([["a"]]), r"images must be a string or a vector of strings. Received: images.shape=\(1, 1\)"),
    ],
)
def test_bad_images(images, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(32, 32)(images)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        Preprocessing()(tmp_path / "nothing.jpg")
    (tmp_path / "text.jpg").write_text("text")
    with pytest.raises(ValueError, match=r"files that PIL can decode. Received: '.*text.jpg': "):
        Preprocessing()(tmp_path / "text.jpg")
    with pytest.raises(tf.errors.InvalidArgumentError):
        Preprocessing()(tf.constant("text"))


def test_pixels_of_0_to_1_are_warned_about():
    with pytest.warns(UserWarning, match="images must have pixels of 0 to 255. The greatest pixel is 0.5"):
        Preprocessing(32, 32)(np.full((32, 32, 3), 0.5))


OTHER_BACKEND = """
import numpy as np, tensorflow as tf
from keras_resnet import PREPROCESSINGS
image = np.arange(48 * 40 * 3, dtype="uint8").reshape(48, 40, 3)
row = PREPROCESSINGS["caffe"]
(batch,) = tf.data.Dataset.from_tensors(image).map(row).batch(1)
assert np.abs(batch.numpy() - row(image)).max() <= 1.01
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tf_data_with_other_backends(backend, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    subprocess.run([sys.executable, "-c", OTHER_BACKEND], check=True)


def test_examples_in_docstrings():
    with np.errstate(all="raise"):
        failed, attempted = doctest.testmod(preprocessing)
    assert attempted > 10 and not failed
