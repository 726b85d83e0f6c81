"""Test images for the export check, and the Python pipeline that it compares with: PIL and NumPy, no TensorFlow."""

import io

import numpy as np
from PIL import Image

from keras_resnet.preprocessing import Preprocessing

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
# Sizes of the test files, as (height, width) relative to the size of the model's images.
RELATIVE_SIZES = [(1, 1), (1.3, 1.1), (0.7, 1.2), (1.1, 1.9), (2.3, 1.4), (0.9, 0.6)]


def sample_image(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Returns (height, width, channels) uint8: waves of a random colour, and a rectangle with sharp edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    frequencies, phases = rng.uniform(-4, 4, (3, 2, channels)), rng.uniform(0, 2 * np.pi, (3, channels))
    angles = 2 * np.pi * (y[..., None, None] * frequencies[:, 0] + x[..., None, None] * frequencies[:, 1]) + phases
    image = rng.uniform(60, 196, channels) + rng.uniform(20, 50, channels) * np.cos(angles).sum(-2) / 1.5
    top, left = int(rng.uniform(0, 0.5) * height), int(rng.uniform(0, 0.5) * width)
    image[top : top + (height + 1) // 2, left : left + (width + 1) // 3] = rng.uniform(0, 255, channels)
    return image.clip(0, 255).astype("uint8")


def sample_images(shape: tuple, count: int = 8) -> np.ndarray:
    """Returns `count` images of this shape, (b, h, w, c) float32 pixels of 0 to 255."""
    height, width, channels = shape
    return np.stack([sample_image(height, width, channels, seed) for seed in range(count)]).astype("float32")


def sample_files(height: int, width: int, row: Preprocessing | None) -> list[bytes]:
    """Returns JPEG and PNG files in colour, of several sizes for images of this one.

    PIL cannot shrink images without antialiasing. If `row` asks for that, all files are smaller.
    """
    files, scale = [], 0.4 if row and not row.antialias else 1
    for seed, (tall, wide) in enumerate(RELATIVE_SIZES):
        rows, columns = max(1, round(scale * tall * height)), max(1, round(scale * wide * width))
        image = Image.fromarray(sample_image(rows, columns, 3, seed))
        buffer = io.BytesIO()
        image.save(buffer, **({"format": "PNG"} if seed % 2 == 0 else {"format": "JPEG", "quality": 90}))
        files.append(buffer.getvalue())
    return files


def read_files(files: list[bytes], shape: tuple, row: Preprocessing | None) -> np.ndarray:
    """Decodes and resizes files as the documentation of `Preprocessing` says.

    Args:
        files: JPEG or PNG files.
        shape: The (h, w, c) of the result.
        row: Resizing and cropping. None resizes the whole image, bilinear.

    Returns:
        (b, h, w, c) float32 pixels of 0 to 255.
    """
    height, width, channels = shape
    images = []
    for file in files:
        image = Image.open(io.BytesIO(file)).convert("RGB")
        if row is None:
            image = image.resize((width, height), FILTERS["bilinear"])
        else:
            sides = [side * row.resize // min(image.size) for side in image.size]
            image = image.resize((sides[0], sides[1]), FILTERS[row.interpolation])
            left, top = (round((side - row.size) / 2) for side in sides)
            image = image.crop((left, top, left + row.size, top + row.size))
        images.append(np.asarray(image.convert("L" if channels == 1 else "RGB"), "float32").reshape(shape))
    return np.stack(images)


def normalize(pixels: np.ndarray, row: Preprocessing) -> np.ndarray:
    """Returns the normalization of `row` for RGB pixels of 0 to 255, in float32."""
    ordered = pixels[..., ::-1] if row.channels == "bgr" else pixels
    return ((ordered / row.scale - np.array(row.mean)) / np.array(row.std)).astype("float32")


def model_images(shape: tuple, row: Preprocessing | None, white: float | None, count: int = 8) -> np.ndarray:
    """Returns test images as a model takes them: pixels of 0 to `white`, or normalized by `row`, or about [-2, 2]."""
    images = sample_images(shape, count)
    if white is not None:
        return images * (white / 255)
    return (images - 128) / 64 if row is None or shape[-1] != 3 else normalize(images, row)
