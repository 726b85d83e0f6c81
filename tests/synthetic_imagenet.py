"""Small synthetic archives of ImageNet, with the real layout, all 1000 classes and JPEG files of various sizes."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from keras_resnet.preprocessing import imagenet_classes

SYNSETS = [synset for synset, _ in imagenet_classes()]
# tfds converts some files by their names. One of these two is a CMYK file, one is a PNG file.
CMYK, PNG = "n01739381_1309.JPEG", "n02105855_2933.JPEG"


def colour(label):
    """Returns the colour of all images of a class. JPEG changes it by less than half of the distance to the next."""
    return (label % 32 * 8, label // 32 * 8, 128)


def label_of(image):
    """Returns the label of an image (h, w, 3) of one colour."""
    red, green, _ = np.round(np.mean(image, axis=(0, 1)) / 8).astype(int)
    return 32 * green + red


def encoded(label, rng, name=""):
    width, height = rng.integers(20, 90, 2)
    image, content = Image.new("RGB", (width, height), colour(label)), io.BytesIO()
    image.convert("CMYK" if name == CMYK else "RGB").save(content, "PNG" if name == PNG else "JPEG", quality=95)
    return content.getvalue()


def add(archive, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_archives(directory, train_per_class=1, validation=200, seed=0):
    """Writes ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar. Returns the labels of the validation images."""
    import tensorflow_datasets as tfds

    directory, rng = Path(directory), np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(directory / "ILSVRC2012_img_train.tar", "w") as train:
        for label in rng.permutation(1000):
            synset, content = SYNSETS[label], io.BytesIO()
            named = [name for name in (CMYK, PNG) if name.startswith(f"{synset}_")]
            names = [*named, *(f"{synset}_{100_000 + i}.JPEG" for i in range(train_per_class))][:train_per_class]
            with tarfile.open(fileobj=content, mode="w") as images:
                for name in names:
                    add(images, name, encoded(label, rng, name))
            add(train, f"{synset}.tar", content.getvalue())
    # tfds has the official labels, in the order of the image names
    official = Path(tfds.core.tfds_path("datasets/imagenet2012/validation_labels.txt")).read_text().split()
    labels = [SYNSETS.index(synset) for synset in official[:validation]]
    with tarfile.open(directory / "ILSVRC2012_img_val.tar", "w") as images:
        for i in rng.permutation(validation):
            add(images, f"ILSVRC2012_val_{i + 1:08}.JPEG", encoded(labels[i], rng))
    return np.array(labels)
