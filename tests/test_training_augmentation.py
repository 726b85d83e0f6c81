"""Tests of the rows of AUGMENTATIONS: the boxes, the colours, and that the results depend only on the seed."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_resnet.training.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    Augmenter,
    central_square,
    random_area,
    random_part_of_stretched,
    random_scale,
)
from keras_resnet.training.batches import training_batches
from keras_resnet.training.datasets import load_data

FILL = np.array([10.0, 20.0, 30.0], "float32")


def apply(row, image, size, seed=(0, 0), flip=True):
    row = AUGMENTATIONS[row] if isinstance(row, str) else row
    augmenter = Augmenter(row, size, fill=FILL, flip=flip)
    return augmenter.image(tf.constant(image), tf.constant(seed, tf.int64)).numpy()


def boxes(choose_box, shape, count=300):
    def box(i):
        return choose_box(tf.constant(shape), 224, tf.stack([np.int64(0), i]))

    return np.array(list(tf.data.Dataset.range(count).map(box).as_numpy_iterator()))


@pytest.mark.parametrize("choose_box", [central_square, random_scale, random_area, random_part_of_stretched])
@pytest.mark.parametrize("shape", [(300, 400), (1, 500), (3, 2), (1, 1)])
def test_every_box_lies_within_the_image(choose_box, shape):
    top, left, height, width = boxes(choose_box, shape, 50).T
    assert min(top) >= 0 and min(left) >= 0 and min(height) >= 1 and min(width) >= 1
    assert max(top + height) <= shape[0] and max(left + width) <= shape[1]


def test_random_scale_is_a_crop_of_224_after_a_resize_of_the_shorter_side_to_256_to_480():
    top, left, height, width = boxes(random_scale, (300, 400)).T
    assert (height == width).all()
    shorter = 300 * 224 / height
    assert 255 < shorter.min() < 265 and 465 < shorter.max() < 482
    assert abs(np.mean(shorter) - 368) < 10
    assert abs(np.mean(top / (300 - height)) - 0.5) < 0.05 and abs(np.mean(left / (400 - width)) - 0.5) < 0.05
    assert min(top) == 0 and max(left + width) >= 398


def test_random_area_is_8_to_100_percent_with_aspect_ratios_of_3_to_4():
    _, _, height, width = boxes(random_area, (300, 400)).T
    share, ratio = height * width / 120_000, width / height
    assert 0.079 < share.min() < 0.12 and 0.85 < share.max() <= 1
    assert 0.74 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.35
    assert abs(np.mean(np.log(ratio))) < 0.05
    # no such box fits into a narrow image: the result is the central square
    assert (boxes(random_area, (10, 1000), 5) == [0, 495, 10, 10]).all()


def test_the_finetune_crop_is_7_eighths_of_both_sides():
    top, left, height, width = boxes(random_part_of_stretched, (160, 320)).T
    assert set(height) == {140} and set(width) == {280}
    assert set(top) == set(range(21)) and len(set(left)) == 41


@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_a_file_gives_the_same_as_its_pixels(suffix, rng):
    """Only the crop of a JPEG file is decoded."""
    content = io.BytesIO()
    pixels = np.kron(rng.integers(0, 256, (8, 10, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    Image.fromarray(pixels).save(content, suffix)
    decoded = np.asarray(Image.open(content))
    for row in ("inception", "imagenet_paper", "finetune", "none", "cifar"):
        for i in range(3):
            a, b = apply(row, content.getvalue(), 32, (0, i)), apply(row, decoded, 32, (0, i))
            # libjpeg interpolates colours beyond the border of the crop
            assert np.abs(a - b.astype(int)).mean() < 2, row


def test_without_augmentation_an_image_of_the_right_size_is_unchanged(rng):
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (apply("none", image, 32) == image).all()
    wide = np.pad(image, [(0, 0), (5, 6), (0, 0)])
    assert (apply("none", wide, 32) == image).all()


def test_padding_has_the_mean_pixel(rng):
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    padded = np.empty((40, 40, 3), np.uint8)
    padded[:] = FILL
    padded[4:36, 4:36] = image
    places = set()
    for i in range(30):
        made = apply("cifar", image, 32, (0, i))
        found = [
            (top, left, mirror)
            for top in range(9)
            for left in range(9)
            for mirror in (1, -1)
            if (padded[top : top + 32, left : left + 32][:, ::mirror] == made).all()
        ]
        assert len(found) == 1
        places |= set(found)
    assert len(places) > 20 and {mirror for _, _, mirror in places} == {1, -1}


def test_a_data_set_may_forbid_mirroring(rng):
    image = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    whole = Augmentation("", central_square)
    assert {(apply(whole, image, 16, (0, i), flip=False) == image).all() for i in range(8)} == {True}
    assert {(apply(whole, image, 16, (0, i)) == image).all() for i in range(8)} == {True, False}


def test_colour_noise_is_along_the_principal_components():
    grey = np.full((4, 4, 3), 128, np.uint8)
    noise = np.array([apply(Augmentation("", central_square, colour=0.1), grey, 4, (0, i))[0, 0] for i in range(300)])
    noise = noise.astype(float) - 128
    # almost all of the variance is in the brightness: 0.1 * 55.46 * (0.5675, 0.5808, 0.5836)
    np.testing.assert_allclose(noise.std(axis=0), [3.15, 3.22, 3.24], rtol=0.12)
    assert np.corrcoef(noise.T).min() > 0.9


@pytest.mark.parametrize("row", [name for name, row in AUGMENTATIONS.items() if not row.alternate])
def test_everything_follows_from_the_seed(row, rng):
    image = np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    drawn = [apply(row, image, 24, seed) for seed in [(0, 0), (0, 1), (1, 0), (0, 2), (0, 3), (0, 4)]]
    assert (apply(row, image, 24, (0, 0)) == drawn[0]).all()
    assert any((other != drawn[0]).any() for other in drawn[1:]) == (row != "none")


def apply_to_batch(row, images, labels, seed=(0, 0)):
    augmenter = Augmenter(row, images.shape[1], fill=FILL, flip=True)
    made = augmenter.batch(tf.constant(images), tf.constant(labels), tf.constant(seed, tf.int64))
    return [tensor.numpy() for tensor in made]


@pytest.mark.parametrize("layer", [("MixUp", {"alpha": 1.0}), ("CutMix", {"factor": (1.0, 1.0)})])
def test_images_and_labels_are_mixed_in_the_same_shares(layer):
    row = Augmentation("", central_square, mix=(layer,))
    assert row.soft_labels
    values = np.array([0, 50, 100, 200], np.uint8)
    images = np.tile(values[:, None, None, None], (1, 64, 64, 3))
    made, shares = apply_to_batch(row, images, np.eye(4, dtype="float32"), (0, 3))
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.max(axis=1) < 1).any()
    # CutMix cuts at pixel borders
    np.testing.assert_allclose(made.mean(axis=(1, 2, 3)), shares @ values, atol=4)
    again, other = apply_to_batch(row, images, np.eye(4, dtype="float32"), (0, 3)), (0, 4)
    assert (again[0] == made).all() and (again[1] == shares).all()
    assert (apply_to_batch(row, images, np.eye(4, dtype="float32"), other)[1] != shares).any()


def test_each_batch_is_mixed_by_one_layer_of_two():
    row = AUGMENTATIONS["imagenet_a3"]
    images = np.tile(np.array([0, 255], np.uint8)[:, None, None, None], (4, 16, 16, 3))
    labels = np.tile(np.eye(2, dtype="float32"), (4, 1))
    kinds = []
    for i in range(12):
        made, _ = apply_to_batch(row, images, labels, (0, i))
        blended = [np.ptp(image) == 0 and 0 < image.mean() < 255 for image in made]
        cut = [np.ptp(image) == 255 for image in made]
        assert not (any(blended) and any(cut))
        kinds += ["MixUp"] * any(blended) + ["CutMix"] * any(cut)
    assert set(kinds) == {"MixUp", "CutMix"}


def test_erased_rectangles_have_the_mean_pixel():
    row = Augmentation("", central_square, erase=0.5)
    assert not row.soft_labels
    images = np.full((200, 16, 16, 3), 255, np.uint8)
    made, labels = apply_to_batch(row, images, np.zeros(200, "float32"))
    erased = (made != 255).any(axis=(1, 2, 3))
    assert 70 < erased.sum() < 130
    assert {tuple(pixel) for pixel in made.reshape(-1, 3).tolist()} == {(255, 255, 255), (10, 20, 30)}
    assert (labels == 0).all()


def test_operations_change_about_the_expected_number_of_images(rng):
    image = np.kron(rng.integers(20, 230, (6, 6, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    row = Augmentation("", central_square, flip=False, operations=(2, 0.5, 6))

    augmenter = Augmenter(row, 24, fill=FILL, flip=True)

    def operate(i):
        return augmenter.image(tf.constant(image), tf.stack([np.int64(0), i]))

    made = np.array(list(tf.data.Dataset.range(200).map(operate).as_numpy_iterator()))
    changed = (made != image).any(axis=(1, 2, 3))
    assert 110 < changed.sum() < 175  # expected: 200 * (1 - 0.5 ** 2) = 150
    assert len({m.tobytes() for m in made[changed]}) > 60  # some operations have only one strength
    assert np.abs(made[changed] - image.astype(float)).mean() < 80


OTHER_BACKEND = """
import sys, numpy as np
from keras_resnet.training.batches import training_batches
from keras_resnet.training.datasets import load_data
data = load_data("digits", train_examples=20)
feeds = [training_batches(data, 8, augmentation=row, image_size=16, seed=0) for row in ("imagenet_a3", "imagenet_v2")]
drawn = [batch for feed in feeds for batch in feed.data.take(2).as_numpy_iterator()]
np.savez(sys.argv[1], *(array for batch in drawn for array in batch))
"""


@pytest.mark.slow
def test_every_backend_of_keras_makes_the_same_batches(tmp_path):
    made = {}
    for backend in ("tensorflow", "jax", "torch"):
        pytest.importorskip(backend)
        path = tmp_path / f"{backend}.npz"
        environment = {**os.environ, "KERAS_BACKEND": backend}
        subprocess.run([sys.executable, "-c", OTHER_BACKEND, str(path)], env=environment, check=True)
        made[backend] = [array for _, array in sorted(np.load(path).items())]
    for backend in ("jax", "torch"):
        for a, b in zip(made["tensorflow"], made[backend], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_resumed_stream_with_layers_makes_the_batches_of_an_undisturbed_one():
    data = load_data("digits", train_examples=20)
    whole, resumed = (
        training_batches(data, 8, augmentation="imagenet_v2", image_size=16, seed=0, epoch=epoch).data
        for epoch in (0, 1)
    )
    (_, x), (_, y) = whole.take(2)
    assert (np.sort(x.numpy().max(axis=1)) != np.sort(y.numpy().max(axis=1))).any()  # batches differ
    for (a, x), (b, y) in zip(whole.skip(2).take(2), resumed.take(2), strict=True):
        assert (a.numpy() == b.numpy()).all() and (x.numpy() == y.numpy()).all()
