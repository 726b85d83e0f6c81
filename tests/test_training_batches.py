"""Tests of batches in memory and streamed batches: order, augmentation, resuming, and evaluation as with Pillow."""

import copy
import pickle
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import fit
from keras_resnet.preprocessing import Preprocessing, resize_image
from keras_resnet.training.batches import Batches, evaluation_batches, training_batches
from keras_resnet.training.datasets import ImageData, load_data
from keras_resnet.training.parts import Arrays, import_tensorflow


def numbered(n, size=8):
    """Returns distinguishable images: the label is the index, and every pixel differs."""
    pixels = np.random.default_rng(7).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Arrays(pixels, np.arange(n))


FILL = (10, 20, 30)


def batches(n=50, batch_size=8, flip=True, **arguments):
    return Batches(numbered(n), batch_size, fill=FILL, flip=flip, **arguments)


def epoch_of(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("flip", [True, False])
def test_every_image_is_a_crop_of_the_padded_original_or_its_mirror(flip):
    originals = numbered(50).images
    padded = np.empty((50, 16, 16, 3), np.uint8)
    padded[:] = FILL
    padded[:, 4:12, 4:12] = originals
    seen = set()
    for epoch in range(4):
        for image, label in zip(*epoch_of(batches(flip=flip, epoch=epoch)), strict=True):
            places = {
                (top, left, mirror)
                for top in range(9)
                for left in range(9)
                for mirror in (1, -1)
                if (padded[label, top : top + 8, left : left + 8][:, ::mirror] == image).all()
            }
            assert len(places) == 1
            seen |= places
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(9))
    assert {mirror for _, _, mirror in seen} == ({1, -1} if flip else {1})
    assert len(seen) > (100 if flip else 65)  # 200 draws of 162 or 81 positions


def test_without_padding_and_mirror_the_images_are_the_originals():
    images, labels = epoch_of(batches(pad=0, flip=False))
    assert (images == numbered(50).images[labels]).all()


@pytest.mark.parametrize("n, batch_size", [(50, 8), (50, 50), (50, 64), (48, 8), (1, 1), (129, 128)])
def test_each_example_once_an_epoch_in_batches_of_nearly_one_size(n, batch_size):
    made = batches(n, batch_size)
    sizes = [len(labels) for _, labels in made]
    assert len(sizes) == len(made) == -(-n // batch_size)
    assert max(sizes) - min(sizes) <= 1 and max(sizes) <= batch_size
    images, labels = epoch_of(made)
    assert sorted(labels) == list(range(n))
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    for index in (-1, len(made)):
        with pytest.raises(IndexError):
            made[index]


@pytest.mark.parametrize("n, batch_size, multiple", [(129, 128, 2), (50, 8, 4), (1000, 96, 3)])
def test_devices_share_batches_evenly(n, batch_size, multiple):
    made = batches(n, batch_size, multiple=multiple)
    sizes = [len(labels) for _, labels in made]
    assert {size % multiple for size in sizes} == {0}
    assert max(sizes) - min(sizes) <= multiple and max(sizes) <= batch_size
    _, labels = epoch_of(made)
    assert len(set(labels)) == len(labels) == n - n % multiple


def test_all_follows_from_seed_epoch_and_index():
    one, same = batches(seed=0, epoch=3), batches(seed=0)
    same.epoch = 3
    for twin in (same, copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        for index in (6, 0, 3):  # in any order
            for a, b in zip(one[index], twin[index], strict=True):
                assert (a == b).all()
    for other in (batches(seed=1, epoch=3), batches(seed=0, epoch=4)):
        assert (other[0][1] != one[0][1]).any()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, "batch_size must be an integer >= 1. Received: 0"),
        ({"batch_size": 12.5}, "batch_size must be an integer >= 1. Received: 12.5"),
        ({"batch_size": 8, "multiple": 3}, "batch_size must be a multiple of 3. Received: 8"),
        ({"pad": -1}, "pad must be an integer >= 0. Received: -1"),
    ],
)
def test_bad_batches(arguments, message):
    with pytest.raises(ValueError, match=message):
        batches(**arguments)


def test_an_alternating_flip_mirrors_each_image_every_other_epoch():
    """About half of the images are mirrored in the first epoch. Each image is mirrored once in any two epochs."""
    mirrored = []
    for epoch in range(4):
        turn = batches(pad=0, alternate=True, epoch=epoch)
        originals = {int(label): image for image, label in zip(turn.images, turn.labels, strict=True)}
        seen = {int(b): bool((a != originals[int(b)]).any()) for a, b in zip(*epoch_of(turn), strict=True)}
        mirrored.append([seen[label] for label in sorted(seen)])
    first, second, third, _ = np.array(mirrored)
    assert 10 < first.sum() < 40
    assert (first ^ second).all()
    assert (first == third).all()


def model_that_counts_traces(shape=(8, 8, 3)):
    traces = []

    def loss(labels, predictions):
        traces.append(labels.shape)
        return keras.ops.mean(predictions)

    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", loss)
    return model, traces


@pytest.mark.parametrize("parallelism", [{}, {"workers": 2}])
def test_fit_goes_through_the_epochs(parallelism):
    model, _ = model_that_counts_traces()
    drawn = []

    class Noted(Batches):
        def __getitem__(self, index):
            drawn.append((self.epoch, index))
            return super().__getitem__(index)

    noted = Noted(numbered(50), 16, fill=FILL, flip=True, epoch=2, **parallelism)
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: drawn.append("begin"))
    for _ in range(2):
        noted.epoch = 2
        drawn.clear()
        model.fit(noted, initial_epoch=2, epochs=5, callbacks=[note], verbose=0)
        assert noted.epoch == 5
        # Before the first epoch, Keras draws batches to get their shapes.
        told = drawn[drawn.index("begin") :]
        assert [entry for entry in told if entry == "begin"] == ["begin"] * 3
        seen = sorted(entry for entry in told if entry != "begin")
        assert seen == [(epoch, index) for epoch in (2, 3, 4) for index in range(4)]


def test_an_epoch_ends_once():
    made = batches()
    made.on_epoch_end()
    assert made.epoch == 0  # no epoch had begun
    made.on_epoch_begin()
    made.on_epoch_end()
    made.on_epoch_end()
    assert made.epoch == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's tracing")
def test_both_sizes_of_batches_share_a_trace():
    counts = []
    for n in (48, 50):
        model, traces = model_that_counts_traces()
        model.fit(batches(n, 8), epochs=2, verbose=0)
        counts.append(len(traces))
    assert counts[0] == counts[1]


# ------------------------------------------------------------------------------------ streams


def colours(n=20, size=40):
    """Returns a set of images of one colour, which encodes the label. Only padding changes the colour."""
    values = np.arange(n, dtype=np.uint8) * 10
    images = np.tile(values[:, None, None, None], (1, size, size, 3))
    arrays = Arrays(images, np.arange(n))
    names = tuple(map(str, range(n)))
    return ImageData("colours", names, arrays, None, None, True, Preprocessing(size, size), size)


def first(feed, count):
    """Returns the labels of the first batches of a stream. Checks that each image belongs to its label."""
    drawn = []
    for images, labels in feed.data.take(count):
        assert images.dtype == "uint8" and images.shape[1:] == (24, 24, 3)
        assert (images.numpy()[:, 12, 12, 0] == labels.numpy() * 10).all()
        drawn.append(labels.numpy())
    return np.array(drawn)


def stream(batch_size=8, data=None, **arguments):
    arguments = {"augmentation": "inception", "image_size": 24, "seed": 0, **arguments}
    return training_batches(data or colours(), batch_size, **arguments)


def test_a_stream_resumes_at_an_epoch():
    feed = stream()
    assert feed.steps == feed.steps_per_epoch == 2
    drawn = first(feed, 8).reshape(4, 16)
    assert all(len(set(epoch)) == 16 for epoch in drawn)
    assert len({frozenset(epoch) for epoch in drawn}) > 1  # each epoch omits other images
    assert (first(stream(epoch=2), 4).reshape(2, 16) == drawn[2:]).all()
    assert (first(stream(seed=1), 8).reshape(4, 16) != drawn).any()


def test_the_images_of_a_resumed_stream_are_those_of_an_undisturbed_one():
    digits = load_data("digits", train_examples=40)
    for augmentation in ("imagenet_paper", "inception", "finetune", "cifar"):
        whole = stream(data=digits, augmentation=augmentation)
        resumed = stream(data=digits, augmentation=augmentation, epoch=1)
        for (a, _), (b, _) in zip(whole.data.skip(5).take(3), resumed.data.take(3), strict=True):
            assert (a.numpy() == b.numpy()).all()
        (a, _), (b, _) = (
            whole.data.take(1).get_single_element(),
            stream(data=digits, seed=1).data.take(1).get_single_element(),
        )
        assert (a.numpy() != b.numpy()).any()


def test_an_epoch_may_have_other_numbers_of_steps_than_a_pass():
    passes = first(stream(), 6).reshape(3, 16)
    drawn = first(stream(steps=3), 6).reshape(3, 16)
    assert (drawn == passes).all()
    assert (first(stream(steps=3, epoch=1), 3) == drawn.reshape(6, 8)[3:]).all()
    assert stream(steps=3).steps_per_epoch == 3


def test_a_set_smaller_than_a_batch_gives_batches_of_all_its_images():
    feed = stream(64, data=colours(10))
    assert feed.steps == 1
    assert (np.sort(first(feed, 3)) == np.arange(10)).all()
    assert first(stream(64, data=colours(10), multiple=4), 1).shape == (1, 8)
    with pytest.raises(ValueError, match="data must have at least 4 training images, one per device. Received: 3"):
        stream(64, data=colours(3), multiple=4)


def test_hosts_read_shares_of_the_batches_of_one():
    whole = first(stream(), 4)
    shares = [first(stream(hosts=(host, 2)), 4) for host in range(2)]
    assert (np.concatenate(shares, axis=1) == whole).all()


def test_fit_takes_a_stream_and_goes_on_with_the_next_epoch():
    model, _ = model_that_counts_traces((24, 24, 3))
    feed = stream()
    history = model.fit(feed.data, steps_per_epoch=feed.steps_per_epoch, epochs=3, verbose=0)
    assert len(history.history["loss"]) == 3


def test_soft_labels():
    _, labels = stream(soft_labels=True).data.take(1).get_single_element()
    assert labels.dtype == "float32" and labels.shape == (8, 20) and (labels.numpy().sum(axis=1) == 1).all()
    feed = training_batches(load_data("digits"), 100, augmentation="cifar", image_size=32, seed=0, soft_labels=True)
    _, labels = feed.data[0]
    assert labels.dtype == "float32" and labels.shape == (94, 10) and (labels.sum(axis=1) == 1).all()


@pytest.mark.parametrize("augmentation, flip", [("none", False), ("cifar", False), ("cifar_alternating", False)])
def test_sets_in_memory_give_batches(augmentation, flip):
    digits = load_data("digits", train_examples=300)
    feed = training_batches(digits, 128, augmentation=augmentation, image_size=32, seed=3, epoch=2)
    assert feed.steps == len(feed.data) == 3 and feed.steps_per_epoch is None
    _, mean, _ = digits.preprocessing.arithmetic()
    fill, pad = np.round(mean).astype(np.uint8), 0 if augmentation == "none" else 4
    expected = Batches(digits.train, 128, fill=fill, flip=flip, pad=pad, seed=3, epoch=2)
    for made, wanted in zip(feed.data, expected, strict=True):
        assert all((a == b).all() for a, b in zip(made, wanted, strict=True))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"augmentation": "incepton"}, "augmentation must be one of .* Did you mean 'inception'"),
        ({"batch_size": 0}, "batch_size must be a positive integer. Received: 0"),
        ({"batch_size": 9, "multiple": 2}, "batch_size must be a multiple of 2. Received: 9"),
        ({"batch_size": 10, "multiple": 2, "hosts": (0, 2)}, "batch_size must be a multiple of 4. Received: 10"),
        ({"hosts": (2, 2)}, "hosts must be .* Received: .2, 2"),
        ({"steps": 0}, "steps must be a positive integer. Received: 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        stream(**arguments)


# --------------------------------------------------------------------------------- evaluation


def test_evaluation_is_as_with_pillow_and_has_all_examples_once(tmp_path, rng):
    for i in range(7):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (*rng.integers(30, 90, 2), 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    part = load_data(f"folder:{tmp_path}", validation=0).train
    row = Preprocessing(24, 28)
    batches = evaluation_batches(part, 3, preprocessing=row.at_size(48), image_size=24)
    assert len(batches) == 3
    images, labels = (np.concatenate(values) for values in zip(*batches.as_numpy_iterator(), strict=True))
    assert (labels == part.labels).all() and images.dtype == np.float32
    expected = np.stack([resize_image(Image.open(path), (24, 24), row) for path in part.paths])
    assert np.abs(images - expected.astype(int)).max() <= 1
    *_, (_, soft) = evaluation_batches(part, 3, preprocessing=row, classes=2).as_numpy_iterator()
    assert soft.tolist() == np.eye(2)[part.labels[-1:]].tolist()


def test_arrays_of_the_right_size_stay_arrays():
    data = colours(20, 24)
    assert evaluation_batches(data.train, 8, preprocessing=Preprocessing(24, 24)) is data.train
    soft = evaluation_batches(data.train, 8, preprocessing=Preprocessing(24, 24), classes=20)
    assert soft.images is data.train.images and (soft.labels == np.eye(20)).all()
    resized = evaluation_batches(data.train, 8, preprocessing=Preprocessing(24, 24), image_size=12)
    assert len(resized) == 3 and resized.element_spec[0].shape == (None, 12, 12, 3)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_tensorflow_leaves_the_gpus_to_another_backend(backend, monkeypatch):
    hidden = []
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *arguments: hidden.append(arguments))
    import_tensorflow()
    assert hidden == ([] if backend == "tensorflow" else [([], "GPU")])


# ------------------------------------------------------------------------------------- benchmark


@pytest.mark.parametrize("source, net", [("digits", "resnet20"), ("jpegs", "none")])
def test_the_benchmark_of_the_pipeline(source, net, capsys, monkeypatch):
    monkeypatch.setattr(fit, "write_jpegs", partial(fit.write_jpegs, count=8))
    arguments = [source, net, "--steps", "2", "--batch-size", "4", "--rounds", "1"]
    assert fit.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"{source}, cifar, 32 pixels, batch 4: pipeline alone " in printed
    assert ("resnet20, float32: fit / in memory: median " in printed) == (net == "resnet20")
