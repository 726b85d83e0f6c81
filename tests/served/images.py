"""Image files of every kind, and the images that PIL makes of them."""

import io

import numpy as np
from PIL import Image

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def encoded(image, form="PNG", **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def shapes(height=45, width=64, seed=0):
    """An image with edges, slopes and noise up to both ends of the scale, (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * x / width, 255 * y / height, 255 * ((x // 9 + y // 7) % 2)]
    noise = np.random.default_rng(seed).normal(0, 30, (height, width, 3))
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype("uint8")


def read_by_pil(file, row=None, size=32, mode="RGB"):
    """Decodes, resizes and crops as torchvision and timm do; without a row the whole image is resized."""
    image = Image.open(io.BytesIO(file)).convert("RGB")
    if row is None:
        image = image.resize((size, size), FILTERS["bilinear"])
    else:
        width, height = image.size
        long = int(row.resize * max(width, height) / min(width, height))
        whole = (row.resize, long) if width <= height else (long, row.resize)
        left, top = (round((side - row.size) / 2.0) for side in whole)
        image = image.resize(whole, FILTERS[row.interpolation]).crop((left, top, left + row.size, top + row.size))
    return np.asarray(image.convert(mode), "float32").reshape(size, size, -1)


def kinds():
    """Name -> a file that TensorFlow decodes as PIL does."""
    pixels = shapes(61, 83)
    image, palette = Image.fromarray(pixels), Image.fromarray(pixels).quantize(64)
    rotated = Image.Exif()
    rotated[0x0112] = 6
    return {
        "JPEG": encoded(image, "JPEG", quality=90),
        "JPEG without subsampling": encoded(image, "JPEG", subsampling=0),
        "JPEG, progressive": encoded(image, "JPEG", progressive=True, quality=20),
        "JPEG, grey": encoded(image.convert("L"), "JPEG"),
        "JPEG, CMYK": encoded(image.convert("CMYK"), "JPEG"),
        "JPEG, rotated by EXIF": encoded(image, "JPEG", exif=rotated),
        "PNG": encoded(image),
        "PNG, grey": encoded(image.convert("L")),
        "PNG, black and white": encoded(image.convert("1")),
        "PNG, alpha": encoded(image.convert("RGBA")),
        "PNG, grey and alpha": encoded(image.convert("LA")),
        "PNG, palette": encoded(palette),
        "PNG, palette, transparent": encoded(palette, transparency=3),
        "GIF": encoded(image, "GIF"),
        "GIF, animated": encoded(image, "GIF", save_all=True, append_images=[palette] * 2),
        "BMP": encoded(image, "BMP"),
    }
