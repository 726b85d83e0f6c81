"""Files of pictures, of every sort, and what PIL makes of them."""

import io
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(picture, form="PNG", **options):
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def real_pictures():
    """Files of photographs that come with scikit-learn and scikit-image, as far as these are installed."""
    folders = ("sklearn/datasets/images/*.jpg", "skimage/data/*.jpg", "skimage/data/*.png")
    places = [Path(path) for path in sys.path if path.endswith("-packages")]
    return sorted({file for place in places for folder in folders for file in place.glob(folder)})


def shapes(height=45, width=64, seed=0):
    """A picture with edges, slopes and some noise, (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / width, 255 * y / height, 255 * ((x // 9 + y // 7) % 2)]
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype("uint8")


def pil(file):
    """What the README promises: PIL's decoding and resizing, the shorter side to 32, the middle of the longer one."""
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    short = min(picture.size)
    width, height = (side * 32 // short for side in picture.size)
    left, top = (round((side - 32) / 2) for side in (width, height))
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + 32, top + 32)), "float32")


def assert_as_pil(trained, files, probabilities):
    """The same class where the net is sure, and numbers as close as one grey level more or less leaves them."""
    expected = trained.predict(np.stack([pil(file) for file in files]), verbose=0)
    np.testing.assert_allclose(probabilities, expected, atol=0.06)
    second, first = np.sort(expected)[:, -2:].T
    sure = first - second > 0.06
    np.testing.assert_array_equal(np.argmax(probabilities, 1)[sure], expected.argmax(1)[sure])


def interlaced(pixels):
    """A PNG in the seven passes of Adam7, which PIL reads but does not write."""

    def chunk(kind, data):
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = [row for y, x, down, across in passes for row in pixels[y::down, x::across] if row.size]
    height, width, _ = pixels.shape
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 1])
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def sorts():
    """What a file may be, of those that are served -> one."""
    pixels = shapes(70, 100)
    picture, grey, palette = Image.fromarray(pixels), Image.fromarray(pixels).convert("L"), quantized(0)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    return {
        "JPEG": encoded(picture, "JPEG", quality=90),
        "JPEG, bad": encoded(picture, "JPEG", quality=20, subsampling=2),
        "JPEG, progressive": encoded(picture, "JPEG", progressive=True),
        "JPEG, grey": encoded(grey, "JPEG"),
        "JPEG, CMYK": encoded(picture.convert("CMYK"), "JPEG"),
        "JPEG, rotated by EXIF": encoded(picture, "JPEG", exif=rotated),
        "PNG": encoded(picture),
        "PNG, interlaced": interlaced(pixels),
        "PNG, grey": encoded(grey),
        "PNG, black and white": encoded(picture.convert("1")),
        "PNG, alpha": encoded(np.dstack([pixels, pixels[..., 0]])),
        "PNG, grey, alpha": encoded(np.dstack([pixels[..., 0], pixels[..., 1]])),
        "PNG, palette": encoded(palette),
        "PNG, palette, transparent": encoded(palette, transparency=3),
        "GIF": encoded(palette, "GIF"),
        "GIF, animated": encoded(palette, "GIF", save_all=True, append_images=[quantized(1), quantized(2)]),
        "BMP": encoded(picture, "BMP"),
        "WebP": encoded(picture, "WEBP"),
        "1x1": encoded(shapes(1, 1)),
        "1x300": encoded(shapes(1, 300)),
        "300x1": encoded(shapes(300, 1)),
        "31x33": encoded(shapes(31, 33)),
    }


def quantized(seed):
    return Image.fromarray(shapes(70, 100, seed)).quantize(64)
