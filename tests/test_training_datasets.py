"""Tests of data sets in memory and of image folders: parts, classes, and files that are not images."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from synthetic_imagenet import label_of, write_archives

from keras_resnet import __main__ as shell
from keras_resnet.preprocessing import decode_file
from keras_resnet.training import datasets, preparation
from keras_resnet.training.batches import evaluation_batches, training_batches
from keras_resnet.training.datasets import load_data
from keras_resnet.training.parts import Arrays, Order
from keras_resnet.training.preparation import DataUnavailable

REPOSITORY = Path(__file__).parents[1]


# ---------------------------------------------------------------------------------- in memory


def test_digits():
    digits = load_data("digits")
    assert digits.name == "digits" and digits.image_size == 32 and not digits.flip
    assert digits.class_names == tuple("0123456789")
    assert [part.size for part in (digits.train, digits.validation, digits.test)] == [1137, 300, 360]
    for images, labels in (digits.train, digits.validation, digits.test):
        assert images.dtype == np.uint8 and labels.dtype == np.int64
        assert images.shape == (len(labels), 32, 32, 3)
        assert (images.min(), images.max()) == (0, 255)
        assert (images[:, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2) == images).all()
        assert np.bincount(labels, minlength=10).min() >= 20


@pytest.mark.slow
def test_digits_need_no_tfds():
    code = (
        "import sys; sys.modules['tensorflow_datasets'] = None\n"
        "from keras_resnet import __main__ as shell; assert 'sklearn.datasets' not in sys.modules\n"
        "sys.exit(shell.main(['prepare', 'digits']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("digits: 1137 train, 300 validation, 360 test images, 10 classes")
    assert done.stdout.count("\n") == 1


def test_digits_refuse_a_directory(capsys):
    assert shell.main(["prepare", "digits", "--data-dir", "somewhere"]) == 1
    assert "data_dir must be None: digits is embedded" in capsys.readouterr().err


@pytest.fixture
def hundred(monkeypatch):
    """A set of 100 different images. The label is the index."""
    pixels = np.random.default_rng(7).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    arrays = Arrays(pixels, np.arange(100))
    monkeypatch.setitem(datasets.DATASETS, "hundred", datasets.Dataset(lambda *_: (arrays, ("a",)), 20, flip=True))
    return arrays


def test_the_split_is_a_partition(hundred):
    loaded = load_data("hundred")
    assert loaded.train.size == 80 and loaded.validation.size == 20
    both = np.concatenate([loaded.train.labels, loaded.validation.labels])
    assert sorted(both) == list(range(100)) != list(both)
    for part in (loaded.train, loaded.validation):
        assert (part.images == hundred.images[part.labels]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_neither_number_changes_the_other_part(hundred, seed):
    whole = load_data("hundred", seed=seed)
    few = load_data("hundred", seed=seed, train_examples=7)
    assert (few.train.labels == whole.train.labels[:7]).all()
    assert (few.validation.labels == whole.validation.labels).all()
    more = load_data("hundred", seed=seed, validation=0)
    assert (more.train.labels[:80] == whole.train.labels).all() and more.validation is None
    assert few.preprocessing == more.preprocessing == whole.preprocessing


def test_seed_0_is_a_seed(hundred):
    first, second, other = (load_data("hundred", seed=seed).train.labels for seed in (0, 0, 1))
    assert (first == second).all() and (first != other).any()


def test_mean_and_std_are_those_of_the_whole_training_set(hundred):
    _, mean, std = load_data("hundred", train_examples=3).preprocessing.arithmetic()
    np.testing.assert_allclose(mean, hundred.images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, hundred.images.std(axis=(0, 1, 2)), rtol=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"train_examples": 0}, r"train_examples must lie in 1\.\.80\. Received: 0"),
        ({"train_examples": 81}, r"train_examples must lie in 1\.\.80\. Received: 81"),
        ({"validation": -1}, r"validation must lie in 0\.\.99\. Received: -1"),
        ({"validation": 100}, r"validation must lie in 0\.\.99\. Received: 100"),
        ({"validation": 1.5}, r"validation must lie in 0\.\.99\. Received: 1.5"),
        ({"validation": 90, "train_examples": 11}, r"train_examples must lie in 1\.\.10"),
    ],
)
def test_numbers_out_of_range(hundred, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_data("hundred", **arguments)


# ------------------------------------------------------------------------------------- folders


def write(path, size=(20, 30), mode="RGB", seed=0):
    """Writes a random image. `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, size[::-1], dtype=np.uint16))
    else:
        channels = len(Image.new(mode, (1, 1)).getbands())
        pixels = rng.integers(0, 256, (*size[::-1], channels), dtype=np.uint8)
        image = Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels, mode)
    image.save(path)


@pytest.fixture
def flowers(tmp_path):
    """A folder with 10 images of roses and 20 images of tulips."""
    for i in range(10):
        write(tmp_path / "rose" / f"{i}.jpg", seed=i)
    for i in range(20):
        write(tmp_path / "tulip" / f"{i}.png", seed=i)
    return tmp_path


def names(files):
    return {str(Path(*Path(path).parts[-2:])) for path in files.paths}


def test_a_folder(flowers):
    loaded = load_data(f"folder:{flowers}")
    assert loaded.name == f"folder:{flowers}"
    assert loaded.class_names == ("rose", "tulip")
    assert loaded.test is None and loaded.image_size is None and loaded.flip
    for part, counts in ((loaded.train, [8, 16]), (loaded.validation, [2, 4])):
        assert np.bincount(part.labels).tolist() == counts
        assert [loaded.class_names[label] for label in part.labels] == [Path(path).parent.name for path in part.paths]
    assert len(names(loaded.train) | names(loaded.validation)) == 30
    assert load_data(f"folder:{flowers}").train.paths == loaded.train.paths
    assert load_data(f"folder:{flowers}", seed=1).train.paths != loaded.train.paths


def test_a_small_part_of_a_folder_has_each_class_in_its_share(flowers):
    whole = load_data(f"folder:{flowers}")
    few = load_data(f"folder:{flowers}", train_examples=6)
    assert few.train.paths == whole.train.paths[:6] and few.validation.paths == whole.validation.paths
    assert np.bincount(few.train.labels).tolist() == [2, 4]
    none = load_data(f"folder:{flowers}", validation=0)
    assert none.validation is None and none.train.size == 30 and none.train.paths[:24] == whole.train.paths


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_folder_with_parts(tmp_path, name):
    for part, count in (("train", 4), (name, 2), ("test", 3)):
        for label in ("a", "b"):
            for i in range(count):
                write(tmp_path / part / label / f"{part}{i}.png")
    loaded = load_data(f"folder:{tmp_path}")
    assert [part.size for part in (loaded.train, loaded.validation, loaded.test)] == [8, 4, 6]
    assert names(loaded.test) == {f"{label}/test{i}.png" for label in "ab" for i in range(3)}
    assert load_data(f"folder:{tmp_path}", validation=0).validation is None
    with pytest.raises(ValueError, match="validation must be None or 0: .* has a validation part. Received: 2"):
        load_data(f"folder:{tmp_path}", validation=2)


def test_a_class_may_be_called_test(tmp_path):
    for label in ("test", "other"):
        write(tmp_path / label / "a.png"), write(tmp_path / label / "b.png")
    assert load_data(f"folder:{tmp_path}").class_names == ("other", "test")


def remove_class(root):
    for path in (root / "rose").iterdir():
        path.unlink()
    (root / "rose").rmdir()


def empty_class(root):
    (root / "lily").mkdir()


def nest(root):
    write(root / "rose" / "red" / "a.png")


def unknown_class(root):
    for part in ("train", "test"):
        for name in ("a", "b") + (("c",) if part == "test" else ()):
            write(root / part / name / "1.png")


def only_validation(root):
    remove_class(root)
    (root / "tulip").rename(root / "val")


@pytest.mark.parametrize(
    "harm, message",
    [
        (remove_class, r"must contain at least two folders of images, one per class. Received: \['tulip'\]"),
        (empty_class, r"The train part of .* must contain images. There are none of: \['lily'\]"),
        (nest, r"rose must contain image files, not folders. Received: \['red'\]"),
        (unknown_class, r"must have the classes of the training part only. It also has: \['c'\]"),
        (only_validation, r"must contain a folder train. Received: \['val'\]"),
    ],
)
def test_a_folder_without_classes(flowers, harm, message):
    harm(flowers)
    with pytest.raises(ValueError, match=message):
        load_data(f"folder:{flowers}")


@pytest.mark.parametrize("path", ["", "missing"])
def test_a_missing_folder(path):
    with pytest.raises(ValueError, match="source must be folder:PATH with the path of a directory. Received: 'folder"):
        load_data(f"folder:{path}")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"at least two folders of images, one per class. Received: \[\]"):
        load_data(f"folder:{tmp_path}")


@pytest.fixture
def damaged(flowers):
    rose, tulip = flowers / "rose", flowers / "tulip"
    (rose / "empty.jpg").write_bytes(b"")
    (rose / "half.jpg").write_bytes((rose / "1.jpg").read_bytes()[:800])
    (tulip / "half.png").write_bytes((tulip / "1.png").read_bytes()[:800])
    (tulip / "text.png").write_text("not an image")
    (tulip / "notes.txt").write_text("notes")
    (tulip / ".DS_Store").write_text("hidden")
    return flowers


def test_one_warning_lists_damaged_files_and_they_are_skipped(damaged):
    with pytest.warns(UserWarning) as warnings:
        loaded = load_data(f"folder:{damaged}", validation=0)
    (message,) = [str(warning.message) for warning in warnings]
    first, *lines = message.splitlines()
    assert first == f"5 files in {damaged} are not readable images and are skipped:"
    assert [line.split(":")[0].strip() for line in lines] == [
        *("rose/empty.jpg", "rose/half.jpg", "tulip/half.png", "tulip/notes.txt", "tulip/text.png"),
    ]
    assert loaded.train.size == 30


def test_strict_refuses_damaged_files(damaged):
    with pytest.raises(ValueError, match="must contain readable images only .* Received 5:\n  rose/empty.jpg: empty"):
        load_data(f"folder:{damaged}", strict=True)


KINDS = [
    *[("jpg", mode) for mode in ("L", "RGB", "CMYK")],
    *[("png", mode) for mode in ("L", "LA", "RGB", "RGBA", "I;16")],
    *[("bmp", mode) for mode in ("L", "RGB")],
    *[("gif", "L"), ("webp", "RGB"), ("webp", "RGBA"), ("tif", "RGB"), ("tif", "CMYK")],
]


def test_every_kind_of_file_is_decoded_as_by_pillow(tmp_path):
    for i, (suffix, mode) in enumerate(KINDS):
        write(tmp_path / "ab"[i % 2] / f"{i}.{suffix}", mode=mode, seed=i)
    rng = np.random.default_rng(0)
    deep = tf.io.encode_png(rng.integers(0, 65536, (20, 30, 3), dtype=np.uint16))
    (tmp_path / "a" / "deep.png").write_bytes(deep.numpy())
    views = [Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)) for _ in range(2)]
    views[0].save(tmp_path / "b" / "stereo.jpg", "MPO", save_all=True, append_images=views[1:])
    write(tmp_path / "a" / "tiny.png", size=(1, 1))
    Image.new("P", (9, 9), 3).save(tmp_path / "a" / "palette.png", transparency=3)
    Image.new("1", (9, 9), 1).save(tmp_path / "a" / "bits.png")
    loaded = load_data(f"folder:{tmp_path}", validation=0, strict=True)
    assert loaded.train.size == len(KINDS) + 5
    for index, content, label in loaded.train.examples():
        path = loaded.train.paths[index]
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB"), int)
        assert np.abs(decode_file(content).numpy() - expected).max() <= 1, path
        assert label == loaded.train.labels[index]


# --------------------------------------------------------------------------------------- order


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_hosts_share_each_batch(hosts):
    batch, positions = 8, []
    for host in range(hosts):
        order = Order(seed=0, batch_size=batch, size=16, first_batch=5, host=host, hosts=hosts)
        own = np.array(list(order.positions().take(3 * batch // hosts).as_numpy_iterator()))
        positions.append(own.reshape(3, -1))
    assert np.concatenate(positions, axis=1).tolist() == np.arange(40, 64).reshape(3, 8).tolist()


def test_each_pass_has_all_examples_in_another_order():
    part = Arrays(np.zeros((10, 1, 1, 3), np.uint8), np.arange(10))

    def labels(seed, passes):
        order = Order(seed=seed, batch_size=5, size=10)
        drawn = [int(label) for _, _, label in part.examples(order).take(10 * passes)]
        return np.reshape(drawn, (passes, 10))

    drawn = labels(0, 3)
    assert (np.sort(drawn) == np.arange(10)).all()
    assert len({tuple(row) for row in drawn}) == 3
    assert (labels(0, 3) == drawn).all() and (labels(1, 3) != drawn).any()


# -------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("source", ["cifar11", "mnits", "imagenet", 3, None])
def test_unknown_names(source):
    with pytest.raises(ValueError, match="source must be"):
        load_data(source)


def test_close_names_are_proposed(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"Received: 'imagenet2013'. Did you mean 'imagenet2012'"):
        load_data("imagenet2013")
    (tmp_path / "flowers").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'folder:flowers'"):
        load_data("flowers")


def test_only_folders_can_be_strict():
    with pytest.raises(ValueError, match="strict must be False for 'digits'"):
        load_data("digits", strict=True)


# ------------------------------------------------------------------------- streamed tfds sets


def test_imagenet_without_its_archives(tmp_path):
    (tmp_path / "downloads" / "manual").mkdir(parents=True)
    for archives in (("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"), ("ILSVRC2012_img_val.tar",)):
        with pytest.raises(DataUnavailable) as raised:
            load_data("imagenet2012", data_dir=tmp_path)
        missing = f"{' and '.join(archives)} not found in {tmp_path}/downloads/manual"
        assert missing in str(raised.value) and "https://image-net.org" in str(raised.value)
        (tmp_path / "downloads" / "manual" / "ILSVRC2012_img_train.tar").touch()


@pytest.mark.parametrize("source", ["oxford_flowers102", "cifar10_corrupted/fog_1", "mnist:3.0.1"])
def test_a_tfds_set_that_cannot_be_downloaded(source, tmp_path, monkeypatch):
    def no_origin(url):
        raise ConnectionError("no origin here")

    monkeypatch.setattr(preparation, "probe", no_origin)
    with pytest.raises(DataUnavailable, match=f"{source} is not in {tmp_path}.*\n.*ConnectionError: no origin here"):
        load_data(source, data_dir=tmp_path)


def test_a_tfds_set_of_another_kind_is_refused_before_it_is_downloaded(tmp_path):
    with pytest.raises(ValueError, match="must be a data set of images with one label each. 'coco' has the features"):
        load_data("coco/2017", data_dir=tmp_path)


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Returns the directory of a prepared synthetic ImageNet, and the labels of its validation images."""
    directory = tmp_path_factory.mktemp("tfds")
    labels = write_archives(directory / "downloads" / "manual")
    preparation.prepare("imagenet2012", directory)
    return directory, labels


def drawn(part, order=None, count=None):
    """Returns the labels of the examples. Checks that each image has the colour of its label."""
    labels = []
    for _, content, label in part.examples(order).take(part.size if count is None else count):
        with Image.open(io.BytesIO(content.numpy())) as image:
            assert label_of(np.asarray(image)) == label
        labels.append(int(label))
    return labels


def test_a_synthetic_imagenet(imagenet):
    directory, labels = imagenet
    loaded = load_data("imagenet2012", data_dir=directory)
    assert loaded.class_names[281] == "tabby" and len(loaded.class_names) == 1000
    assert loaded.flip and loaded.preprocessing.resize == 256
    assert [part.size for part in (loaded.train, loaded.validation, loaded.test)] == [1000, 200, 200]
    assert sorted(drawn(loaded.train)) == list(range(1000))
    assert sorted(drawn(loaded.validation)) == sorted(labels) and drawn(loaded.test) == drawn(loaded.validation)
    few = load_data("imagenet2012", data_dir=directory, train_examples=50, validation=100)
    assert [part.size for part in (few.train, few.validation, few.test)] == [50, 100, 200]
    assert drawn(few.train) == drawn(loaded.train)[:50] and drawn(few.validation) == drawn(loaded.train)[-100:]
    with pytest.raises(ValueError, match=r"train_examples must lie in 1..900. Received: 1000"):
        load_data("imagenet2012", data_dir=directory, train_examples=1000, validation=100)


@pytest.mark.slow
def test_the_order_of_records_resumes_and_does_not_depend_on_the_global_seed(imagenet):
    part = load_data("imagenet2012", data_dir=imagenet[0], train_examples=100, validation=0).train
    order = Order(seed=0, batch_size=16, size=96)
    whole = np.reshape(drawn(part, order, 288), (3, 96))
    assert all(len(set(row)) == 96 for row in whole) and len({frozenset(row) for row in whole}) > 1
    for seed in (0, 1):
        tf.random.set_seed(seed)
        assert drawn(part, order._replace(first_batch=6), 192) == whole[1:].ravel().tolist()
        assert drawn(part, order._replace(first_batch=8), 32) == whole[1, 32:64].tolist()
    assert drawn(part, order._replace(seed=1), 96) != whole[0].tolist()
    shares = [drawn(part, order._replace(host=host, hosts=2), 96) for host in range(2)]
    assert all(len(set(share[:48])) == 48 for share in shares)
    assert not set(shares[0]) & set(shares[1])


@pytest.mark.slow
def test_batches_of_records(imagenet):
    loaded = load_data("imagenet2012", data_dir=imagenet[0])
    feed = training_batches(loaded, 32, augmentation="inception", image_size=24, seed=0)
    assert feed.steps == 31
    for images, labels in feed.data.take(3):
        assert images.shape == (32, 24, 24, 3)
        assert [label_of(image) for image in images.numpy()] == labels.numpy().tolist()
    batches = evaluation_batches(loaded.test, 64, preprocessing=loaded.preprocessing, image_size=24)
    assert sum(len(labels) for _, labels in batches) == 200
