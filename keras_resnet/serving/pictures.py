"""From the bytes of a file to what a net takes, inside the graph: PIL's answer within one grey level."""

from typing import NamedTuple

from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing, preprocess_input

# a name of preprocessing.INTERPOLATIONS -> the kernel that is PIL's filter of that name
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}
JPEG = b"\xff\xd8\xff"
# PIL's "L" of RGB, ITU-R 601-2 in 16 bits
LUMA = (19595, 38470, 7471)


class Reader(NamedTuple):
    """How files become images (h, w, c), with or without a `Preprocessing`, which is then of h = w = its size."""

    height: int
    width: int
    channels: int
    preprocessing: Preprocessing | None = None
    normalize: bool = False  # otherwise pixels of 0 to `white`
    white: float = 255.0  # 1 or 255

    def __call__(self, files):
        """`(b,)` strings, in any mix of sizes and formats, -> (b, h, w, c) float32.

        Each picture is decoded and resized by itself. One that cannot be decoded fails them all.
        """
        shape = tf.TensorSpec((self.height, self.width, self.channels), tf.float32)
        images = tf.map_fn(self.read, files, fn_output_signature=shape)
        if self.preprocessing and self.normalize:
            return preprocess_input(images, mode=self.preprocessing)
        return images if self.white == 255 else images * (self.white / 255)

    def read(self, file):
        pixels = self.resize(decode(file))
        return pixels if self.channels == 3 else grey(pixels)

    def resize(self, pixels):
        """(h, w, 3) pixels -> those of this size in float32: whole numbers, as PIL gives.

        Without preprocessing the whole picture, be it deformed; else as torchvision and timm do: the shorter side
        becomes `resize` pixels, the longer one is rounded down, and of the margins the half is rounded to even.
        Nothing but the crop is computed: a picture of 1x5000 would be one of 256x1280000.
        """
        row = self.preprocessing
        crop = tf.constant([self.height, self.width])
        size = tf.shape(pixels)[:2]
        whole = crop if row is None else size * row.resize // tf.reduce_min(size)
        scale = tf.cast(whole / size, tf.float32)
        before = tf.cast(tf.round((whole - crop) / 2), tf.float32)
        # Across, then down, within 0..255 between, as PIL does. It rounds there, too: were we to, but 0.5 down where it
        # goes up, we could end up 2 apart.
        for axis in (1, 0):
            other = 1 - axis
            resized = tf.raw_ops.ScaleAndTranslate(
                images=pixels[tf.newaxis],
                size=tf.tensor_scatter_nd_update(tf.shape(pixels)[:2], [[axis]], [crop[axis]]),
                scale=tf.tensor_scatter_nd_update(scale, [[other]], [1.0]),
                translation=tf.tensor_scatter_nd_update(-before, [[other]], [0.0]),
                kernel_type=KERNELS[row.interpolation if row else "bilinear"],
                antialias=row.antialias if row else True,
            )
            pixels = tf.clip_by_value(resized[0], 0, 255)
        return tf.floor(tf.ensure_shape(pixels, (self.height, self.width, 3)) + 0.5)


def decode(file):
    """The bytes of a JPEG, PNG, GIF (its first picture) or BMP -> (h, w, 3) uint8.

    As PIL's `convert("RGB")`: grey and CMYK too, alpha is dropped, EXIF's rotation ignored. Of 16 bits a channel the
    upper 8 are taken, where PIL clips.
    """
    is_jpeg = tf.strings.substr(file, 0, len(JPEG)) == JPEG
    pixels = tf.cond(
        is_jpeg,
        # TensorFlow's default, the fast DCT, is off by up to 4 levels
        lambda: tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(file, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(pixels, (None, None, 3))


def grey(pixels):
    """(h, w, 3) -> (h, w, 1), as PIL's `convert("L")`."""
    weighted = tf.reduce_sum(tf.cast(pixels, tf.int32) * LUMA, axis=-1, keepdims=True)
    return tf.cast((weighted + 2**15) // 2**16, tf.float32)
