"""Compares evaluation with NumPy and PIL, and metrics with formulas. Tests files, commands and the web page."""

import csv
import json
import shutil
import subprocess

import keras
import numpy as np
import pytest
from conftest import randomize
from PIL import Image

import keras_resnet
from keras_resnet import Preprocessing
from keras_resnet import __main__ as shell
from keras_resnet.preprocessing import resize_image
from keras_resnet.training import evaluate, finetune, predict
from keras_resnet.training.evaluation import Evaluation, read_model

ROW = Preprocessing(16, 20)


@pytest.fixture
def folder(tmp_path, rng):
    for part, number in (("train", 4), ("test", 3)):
        for name in ("cat", "dog", "eel"):
            place = tmp_path / "images" / part / name
            place.mkdir(parents=True)
            for i in range(number):
                shape = (20, int(rng.integers(21, 40)), 3) if i % 2 else (int(rng.integers(21, 40)), 20, 3)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(place / f"{i}.png")
    return tmp_path / "images"


@pytest.fixture
def model():
    variant = keras_resnet.Variant("building_block", (1, 1), filters=8, stem="3x3", image_size=16, classes=3)
    model = randomize(keras_resnet.ResNet(variant, include_preprocessing=ROW))
    model.class_names = ["cat", "dog", "eel"]
    return model


def files(folder):
    return sorted((folder / "test").rglob("*.png"))


def whole(path, side):
    """Returns the image with its shorter side resized by PIL."""
    with Image.open(path) as image:
        width, height = (size * side // min(image.size) for size in image.size)
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).astype("float32")


def free(model):
    image = keras.Input((None, None, 3))
    copy = keras_resnet.ResNet(model.variant, input_tensor=image, include_preprocessing=ROW)
    copy.set_weights(model.get_weights())
    return copy


def expected(model, path, crops):
    """Returns the mean of the outputs for the crops, computed with NumPy and PIL."""
    if crops == 1:
        return model.predict(resize_image(Image.open(path), (16, 16), ROW)[np.newaxis].astype("float32"), verbose=0)[0]
    if crops == 10:
        image = whole(path, 20)
        height, width, _ = image.shape
        places = [(0, 0), (0, width - 16), (height - 16, 0), (height - 16, width - 16)]
        places.append((round((height - 16) / 2), round((width - 16) / 2)))
        parts = [image[y : y + 16, x : x + 16] for y, x in places]
        parts += [part[:, ::-1] for part in parts]
        return model.predict(np.stack(parts), verbose=0).mean(axis=0)
    outputs, net = [], free(model)
    for side in (224, 256, 384, 480, 640):
        image = whole(path, max(16, side * 16 // 224))
        outputs += [np.asarray(net(part[np.newaxis]))[0] for part in (image, image[:, ::-1])]
    return np.mean(outputs, axis=0)


@pytest.mark.parametrize("crops", [1, 10, "multiscale"])
def test_crops_against_pil(crops, model, folder):
    """The shorter side already has 20 pixels. At other scales, a pixel may differ from PIL by one gray level."""
    found = evaluate(model, f"folder:{folder}", crops=crops)
    assert [name.rpartition("/")[2] for name in found.names] == [path.name for path in files(folder)]
    wanted = np.array([expected(model, path, crops) for path in files(folder)])
    np.testing.assert_allclose(found.probabilities, wanted, atol=1e-3 if crops == "multiscale" else 1e-5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert found.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def hand_made(probabilities, labels, classes):
    names = tuple("abcdefgh"[:classes])
    scores = np.array(probabilities, float)
    return Evaluation(names, np.array(labels), scores, tuple(map(str, range(len(labels)))), {}, 1.0)


def test_figures_of_a_hand_made_case():
    found = hand_made([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.45, 0.55]], [0, 1, 1, 0], 2)
    assert (found.top1, found.top5, found.examples) == (0.5, None, 4)
    assert found.confusion.tolist() == [[1, 1], [1, 1]]
    assert found.loss == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.45]).mean())
    # one image in each of four bins, with confidence 0.9, 0.6, 0.8, 0.55: correct, wrong, correct, wrong
    assert found.calibration_error == pytest.approx((0.1 + 0.6 + 0.2 + 0.55) / 4)
    assert found.mistakes() == [1, 3]
    assert found.per_class()[0] == {"name": "a", "images": 2, "recall": 0.5, "precision": 0.5}
    assert found.summary().startswith("top-1 50.00 %, loss")


def test_top_5():
    scores = np.eye(8)[[0, 1]] * 0.3 + np.linspace(0.16, 0.01, 8)
    assert hand_made(scores, [4, 7], 8).top5 == 0.5
    assert hand_made(scores, [0, 1], 8).summary().startswith("top-1 100.00 %, top-5 100.00 %")


def test_files_of_an_evaluation(model, folder, tmp_path):
    found = evaluate(model, f"folder:{folder}")
    found.save(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"evaluation.json", "per_class.csv", "confusion.csv", "confusion.png", "mistakes.png"}
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["top1"] == found.top1
    rows = list(csv.DictReader((tmp_path / "out" / "confusion.csv").open()))
    assert [[int(row[name]) for name in ("cat", "dog", "eel")] for row in rows] == found.confusion.tolist()
    for name in ("confusion.png", "mistakes.png"):
        assert (tmp_path / "out" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_logits_are_probabilities_after_a_softmax(model, folder):
    logits = keras_resnet.ResNet(
        model.variant, classifier_activation=None, include_preprocessing=ROW, input_shape=(16, 16, 3)
    )
    logits.set_weights(model.get_weights())
    ours, theirs = (evaluate(net, f"folder:{folder}").probabilities for net in (model, logits))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_folder_that_is_a_part(model, folder):
    assert evaluate(model, f"folder:{folder / 'test'}").examples == 9
    assert evaluate(model, f"folder:{folder / 'train'}", split="all").examples == 12


def test_what_is_refused(model, folder, tmp_path):
    with pytest.raises(ValueError, match="split must be one of"):
        evaluate(model, f"folder:{folder / 'train'}", split="test")
    with pytest.raises(ValueError, match="crops must be one of"):
        evaluate(model, f"folder:{folder}", crops=5)
    with pytest.raises(ValueError, match="model must have 10 classes, as digits has"):
        evaluate(model, "digits")
    model.class_names = ["cat", "dog", "emu"]
    with pytest.raises(ValueError, match="model must have the classes of folder"):
        evaluate(model, f"folder:{folder}")
    with pytest.raises(ValueError, match="model must be a network, the path of a .keras file"):
        read_model(tmp_path)
    unknown = keras_resnet.ResNet20()
    with pytest.raises(ValueError, match="The preprocessing of 'resnet20' is not known"):
        predict(unknown, np.zeros((32, 32, 3), "uint8"))


def test_predict_names_the_classes(model, folder):
    path = files(folder)[0]
    (found,) = predict(model, path, top=2)
    wanted = expected(model, path, 1)
    assert [name for name, _ in found] == [("cat", "dog", "eel")[i] for i in np.argsort(-wanted)[:2]]
    assert found[0][1] == pytest.approx(wanted.max(), abs=1e-5)


def test_from_a_folder_to_labels_and_back(folder, tmp_path, capsys, monkeypatch):
    """finetune, evaluate, predict --explain, export: the commands of the README."""
    monkeypatch.chdir(tmp_path)
    found = finetune(
        f"folder:{folder}", "resnet20", fields={"filters": 4}, directory=tmp_path / "run", precision="float32",
        changes={"steps": 4}, image_size=16,
    )  # fmt: skip
    assert found.model.class_names == ("cat", "dog", "eel") and found.evaluation.examples == 9
    for name in ("model.keras", "curves.png", "confusion.png", "evaluation.json", "result.json"):
        assert (tmp_path / "run" / name).exists(), name
    assert shell.main(["evaluate", "run", f"folder:{folder / 'test'}", "--crops", "10"]) == 0
    assert "top-1" in capsys.readouterr().out
    path = files(folder)[0]
    assert shell.main(["predict", "run", str(path), "--explain"]) == 0
    assert any(name in capsys.readouterr().out for name in ("cat", "dog", "eel"))
    with Image.open(tmp_path / "0.png.cam.png") as picture:
        assert picture.size == (16, 16)
    assert shell.main(["predict", "run", str(path), str(path), "--explain"]) == 1
    assert "must have different names with --explain" in capsys.readouterr().err
    assert shell.main(["explain", "run", str(path)]) == 0 and (tmp_path / "cam.png").exists()
    assert shell.main(["export", "run", "models/flowers", "--warmup"]) == 0
    assert (tmp_path / "models" / "flowers" / "1" / "saved_model.pb").exists()


@pytest.mark.slow
def test_the_page_in_a_browser(model, folder, tmp_path):
    """Opens the page in Debian's chromium and classifies an image."""
    pytest.importorskip("gradio")
    client = pytest.importorskip("gradio_client")
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    from keras_resnet.training.demo import page

    app = page(model)
    _, url, _ = app.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    try:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000"]
        shown = subprocess.run([chromium, *flags, "--dump-dom", url], capture_output=True, text=True, timeout=120)
        assert "Class activation map" in shown.stdout
        label, picture = client.Client(url, verbose=False).predict(
            client.handle_file(str(files(folder)[0])), api_name="/classify"
        )
        assert label["label"] in ("cat", "dog", "eel") and picture
    finally:
        app.close()
