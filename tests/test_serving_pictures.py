"""Decoding, resizing and cropping inside the graph, against PIL."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from keras_resnet import PREPROCESSINGS, Preprocessing, preprocess_input
from keras_resnet.serving.pictures import Reader, decode

Image = pytest.importorskip("PIL.Image")

SIZES = [(1, 1), (1, 7), (2, 3), (31, 32), (32, 32), (33, 40), (97, 301), (333, 500), (500, 333), (1, 500), (500, 2)]
ROWS = {
    "whole": None,
    "no crop": Preprocessing(32, 32),
    "torch": Preprocessing(32, 36),
    "timm": Preprocessing(32, 33, "bicubic"),
    "bicubic": Preprocessing(31, 37, "bicubic"),
}


def picture(height, width):
    """Edges and noise, up to the ends of the scale."""
    rng = np.random.default_rng(height * width)
    small = rng.integers(0, 256, (-(-height // 6), -(-width // 6), 3))
    large = small.repeat(6, 0).repeat(6, 1)[:height, :width] + rng.integers(-30, 31, (height, width, 3))
    return Image.fromarray(large.clip(0, 255).astype("uint8"))


def file(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def by_pil(image, row, size, mode="RGB"):
    """As torchvision's Resize and CenterCrop, which timm uses, too."""
    image = image.convert("RGB")
    filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
    if row is None:
        image = image.resize((size, size), filters["bilinear"])
    else:
        width, height = image.size
        shorter = min(width, height)
        long = int(row.resize * max(width, height) / shorter)
        whole = (row.resize, long) if width <= height else (long, row.resize)
        image = image.resize(whole, filters[row.interpolation])
        left, top = (round((side - size) / 2.0) for side in whole)
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image.convert(mode), "float32").reshape(size, size, -1)


@pytest.mark.parametrize("row", ROWS)
def test_within_one_grey_level_of_pil(row):
    row = ROWS[row]
    size = row.size if row else 32
    images = [picture(*shape) for shape in SIZES]
    got = Reader(size, size, 3, row)(tf.constant([file(image) for image in images]))
    assert got.shape == (len(SIZES), size, size, 3) and got.dtype == "float32"
    for image, pixels in zip(images, got.numpy(), strict=True):
        difference = np.abs(pixels - by_pil(image, row, size))
        assert difference.max() <= 1, image.size
        assert difference.mean() < 0.3
        np.testing.assert_array_equal(pixels, pixels.round())


def test_a_picture_of_the_right_size_stays_as_it_is():
    image = picture(32, 32)
    (pixels,) = Reader(32, 32, 3, PREPROCESSINGS["cifar10"])(tf.constant([file(image)]))
    np.testing.assert_array_equal(pixels, np.asarray(image))


def test_grey_nets():
    images = [picture(40, 50), picture(40, 50).convert("L")]
    got = Reader(32, 32, 1)(tf.constant([file(image) for image in images]))
    for image, pixels in zip(images, got.numpy(), strict=True):
        assert np.abs(pixels - by_pil(image, None, 32, "L")).max() <= 1


def test_normalized_as_the_checkpoint_wants():
    row = replace(PREPROCESSINGS["caffe"], size=32, resize=32)
    files = tf.constant([file(picture(40, 50))])
    pixels = Reader(32, 32, 3, row)(files)
    np.testing.assert_allclose(Reader(32, 32, 3, row, normalize=True)(files), preprocess_input(pixels, mode=row))


KINDS = {
    "jpeg": lambda image: file(image, "JPEG", quality=90),
    "without subsampling": lambda image: file(image, "JPEG", subsampling=0),
    "progressive": lambda image: file(image, "JPEG", progressive=True, quality=50),
    "grey jpeg": lambda image: file(image.convert("L"), "JPEG"),
    "cmyk": lambda image: file(image.convert("CMYK"), "JPEG"),
    "alpha": lambda image: file(image.convert("RGBA")),
    "palette": lambda image: file(image.convert("P")),
    "grey and alpha": lambda image: file(image.convert("LA")),
    "1 bit": lambda image: file(image.convert("1")),
    "gif": lambda image: file(image, "GIF"),
    "animated gif": lambda image: file(image, "GIF", save_all=True, append_images=[picture(60, 80)] * 2),
    "bmp": lambda image: file(image, "BMP"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_as_by_pil(kind):
    data = KINDS[kind](picture(61, 83))
    np.testing.assert_array_equal(decode(tf.constant(data)), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_of_16_bits_the_upper_8_are_taken():
    """PIL clips them instead, which makes all but the darkest white."""
    values = np.linspace(0, 65535, 64, dtype="uint16").reshape(8, 8)
    data = file(Image.fromarray(values))
    np.testing.assert_allclose(decode(tf.constant(data))[..., 0], values / 257, atol=1)


@pytest.mark.parametrize("data", [b"", b"not a picture", file(picture(60, 80), "JPEG")[:900], b"\xff\xd8\xff"])
def test_no_picture_is_a_clear_error(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        Reader(32, 32, 3)(tf.constant([file(picture(9, 9)), data]))


def test_no_files_at_all():
    assert Reader(32, 31, 3)(tf.zeros([0], tf.string)).shape == (0, 32, 31, 3)


def test_only_the_crop_is_computed():
    """256 times as long, resized to 32 it would have 300 million numbers."""
    (pixels,) = Reader(32, 32, 3, Preprocessing(32, 32))(tf.constant([file(picture(1, 100_000).resize((100_000, 1)))]))
    assert pixels.shape == (32, 32, 3)
