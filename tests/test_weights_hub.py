"""Tests of loading weights from the hub. Either the weights are loaded, or an error is raised and the model unchanged.

The tests use a local server that imitates the hub, and the hub's own client.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml
from conftest import randomize, tiny
from hub_server import COMMIT, Hub, serving
from test_weights_pretrained import assert_same_weights
from test_weights_state_dict import answers, assert_close, state_dict, timm

import keras_resnet
from keras_resnet import ResNet, load_pretrained, push_to_hub, save_pretrained
from keras_resnet.weights import pretrained, push

constants = pytest.importorskip("huggingface_hub.constants")
CONFIG = {
    "architecture": "resnet14",
    "pretrained_cfg": {
        **{"input_size": [3, 32, 32], "crop_pct": 0.875, "interpolation": "bicubic"},
        **{"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    },
}


@pytest.fixture(scope="module")
def source():
    return randomize(tiny())


@pytest.fixture
def hub(source, tmp_path):
    pytest.importorskip("safetensors")
    save_pretrained(source, tmp_path / "net.safetensors")
    data = (tmp_path / "net.safetensors").read_bytes()
    config = json.dumps(CONFIG).encode()
    return Hub({"org/net": {"model.safetensors": data, "config.json": config}, "org/empty": {"README.md": b""}})


@pytest.fixture
def client(hub, tmp_path, monkeypatch):
    """The hub's client with an empty cache. The server runs during the test."""
    with serving(hub) as address:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for module in ("file_download", "utils._http"):  # skips the wait between retries
            place = f"huggingface_hub.{module}.time.sleep"
            monkeypatch.setattr(place, lambda seconds: None, raising=False)
        yield address


def refused(name, error, match, **options):
    """Checks that loading raises the error and does not change the model. Returns the error."""
    model = randomize(tiny(), seed=3)
    before = model.get_weights()
    with pytest.raises(error, match=match) as caught:
        load_pretrained(model, name, **options)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    return caught.value


def test_a_cold_and_a_warm_cache(client, hub, source):
    cold, warm = tiny(), tiny()
    load_pretrained(cold, "hf://org/net")
    assert ("GET", "/cdn/org/net/model.safetensors") in hub.requests  # after a redirect
    hub.requests.clear()
    load_pretrained(warm, "org/net")
    assert not [request for request in hub.requests if request[0] == "GET"]
    assert_same_weights(cold, source)
    assert_same_weights(warm, source)


def test_the_default_checkpoint_of_a_row(client, hub, source, tmp_path):
    """Also tests the last file name that is tried."""
    source.save_weights(tmp_path / "model.weights.h5")
    hub.files["timm/resnet18.a1_in1k"] = {"model.weights.h5": (tmp_path / "model.weights.h5").read_bytes()}
    model = tiny()
    load_pretrained(model, "imagenet", row="resnet18")
    assert_same_weights(model, source)
    assert model.preprocessing == keras_resnet.PREPROCESSINGS["timm"]


@pytest.mark.parametrize("how", [dict(source="hf://org/net@v1.0"), dict(source="org/net", revision="v1.0")])
def test_a_revision(client, hub, source, how):
    model = tiny()
    load_pretrained(model, **how)
    assert_same_weights(model, source)
    assert {path.split("/")[4] for _, path in hub.requests if "/resolve/" in path} == {"v1.0"}


def test_a_commit_in_the_cache_needs_no_hub(client, hub, source):
    load_pretrained(tiny(), f"hf://org/net@{COMMIT}")
    hub.requests.clear()
    model = tiny()
    load_pretrained(model, f"hf://org/net@{COMMIT}")
    assert_same_weights(model, source)
    assert hub.requests == []


def test_offline(client, hub, source, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused("hf://org/net", OSError, "'org/net' is not in the cache, and the hub could not be reached")
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    load_pretrained(tiny(), "hf://org/net")
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = tiny()
    load_pretrained(model, "hf://org/net")
    assert_same_weights(model, source)
    assert hub.requests == []


def test_a_truncated_download(client, hub, source, tmp_path):
    hub.truncated = True
    refused("hf://org/net", OSError, "'org/net' could not be downloaded")
    hub.truncated = False
    model = tiny()
    load_pretrained(model, "hf://org/net")  # the partial download is continued or deleted
    assert_same_weights(model, source)


def test_what_the_hub_has_not(client, hub):
    refused("hf://org/other", ValueError, "The hub has no 'org/other', or it is private")
    refused("hf://org/net@v2.0", ValueError, "The hub has no 'org/net' at 'v2.0'")
    refused("hf://org/empty", ValueError, r"'org/empty' holds none of \['model.safetensors', 'pytorch_model.bin'")
    refused("hf://org/-bad-", ValueError, "Repo id must .*: 'org/-bad-'")


def test_what_the_hub_does_not_give_to_everybody(client, hub):
    hub.gated.add("org/net")
    refused("hf://org/net", OSError, "'org/net' is gated: accept its terms")


def test_not_a_checkpoint_at_all(client, hub):
    hub.files["org/net"]["model.safetensors"] = b"<!DOCTYPE html>" * 9
    refused("hf://org/net", ValueError, "path must be a whole checkpoint")


# ---- the config file of a repository


def test_the_preprocessing_of_a_repository(client, hub, rng):
    row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
    model = ResNet(row, weights="hf://org/net", include_preprocessing=True)
    pixels = rng.integers(0, 256, size=(2, 8, 8, 3)).astype("float32")
    plain = ResNet(row, weights="hf://org/net")
    np.testing.assert_allclose(model(pixels), plain((pixels / 255 - 0.5) / 0.25), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="hf://org/net was trained on pixels .*includes another normalization"):
        ResNet(row, weights="hf://org/net", include_preprocessing="torch")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"architecture": "resnetaa50"}, "is of 'resnetaa50', which blurs where it strides"),
        ({"architecture": "seresnextaa101d_32x8d"}, "which blurs"),
        ({"architecture": "resnetblur50"}, "which blurs"),
        ({"hidden_act": "gelu"}, "is of nets with 'gelu' for ReLU"),
    ],
)
def test_nets_that_the_names_do_not_tell_apart(client, hub, config, says):
    hub.files["org/net"]["config.json"] = json.dumps(config).encode()
    refused("hf://org/net", ValueError, says)


def test_a_config_that_cannot_be_had_is_not_one_that_is_not_there(client, hub, source, monkeypatch):
    """Without the config, the kind of network would be unknown."""
    hub.files["org/net"]["config.json"] = b"{"
    refused("hf://org/net", OSError, "config.json of 'org/net' cannot be read")
    hub.files["org/plain"] = {"model.safetensors": hub.files["org/net"]["model.safetensors"]}
    for offline in (False, True):  # the cache also stores that the file does not exist
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        model = tiny()
        load_pretrained(model, "hf://org/plain")
        assert_same_weights(model, source)
    next(Path(constants.HF_HUB_CACHE).rglob(".no_exist/*/config.json")).unlink()
    refused("hf://org/plain", OSError, "config.json of 'org/plain' is not in the cache")


def test_of_checkpoints_that_are_known_no_config_is_needed(client, hub, source, monkeypatch):
    hub.files["timm/net"] = hub.files["org/net"] | {"config.json": b"{"}
    refused("timm/net", OSError, "cannot be read")
    monkeypatch.setattr(pretrained, "checkpoints", lambda: {"timm/net": {"row": "resnet"}})
    monkeypatch.setattr(pretrained, "model_preprocessing", lambda name: None)
    model = tiny()
    load_pretrained(model, "timm/net")
    assert_same_weights(model, source)


def test_a_config_that_says_half_of_the_preprocessing(client, hub, source):
    hub.files["org/net"]["config.json"] = json.dumps({"pretrained_cfg": {"interpolation": "bicubic"}}).encode()
    model = tiny()
    load_pretrained(model, "hf://org/net")
    assert_same_weights(model, source)


@pytest.mark.parametrize("stride", ["1x1", "3x3"])
def test_where_a_bottleneck_of_transformers_strides(client, hub, stride, tmp_path):
    """transformers calls a stride in the first 1x1 convolution `downsample_in_bottleneck`."""
    models = {key: randomize(tiny(block="bottleneck", bottleneck_stride=key)) for key in ("1x1", "3x3")}
    np.savez(tmp_path / "net.npz", **state_dict(models[stride], "Hugging Face"))
    hub.files["org/net"] = {"config.json": json.dumps({"downsample_in_bottleneck": stride == "1x1"}).encode()}
    from safetensors.numpy import save

    state = {name: np.ascontiguousarray(array) for name, array in state_dict(models[stride], "Hugging Face").items()}
    hub.files["org/net"]["model.safetensors"] = save(state)
    for ours in models:
        model = tiny(block="bottleneck", bottleneck_stride=ours)
        if ours == stride:
            load_pretrained(model, "hf://org/net")
            assert_same_weights(model, models[stride])
        else:
            with pytest.raises(ValueError, match=f"bottleneck_stride must be '{stride}'"):
                load_pretrained(model, "hf://org/net")


# ---- push_to_hub


PIXELS = keras_resnet.Preprocessing(8, 9, "bicubic", mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.2))


def card_of(hub, repository):
    """Returns the header and the text of a model card."""
    _, header, text = hub.files[repository]["README.md"].decode().split("---\n", 2)
    return yaml.safe_load(header), text


def run_example(text, folder):
    """Runs the first example of a model card. Returns its model and its outputs."""
    PIL.Image.fromarray(np.zeros((20, 30, 3), "uint8")).save(folder / "image.jpg")
    code = text.partition("```python")[2].partition("```")[0].replace("image.jpg", str(folder / "image.jpg"))
    names = {"images": np.zeros((1, 16, 16, 3), "float32")}
    exec(code, names)
    return names["model"], names["outputs"]


def test_a_pushed_network_is_loaded_again(client, hub, tmp_path):
    model = randomize(tiny(shortcut="projection", image_size=16))
    model.preprocessing = PIXELS
    metadata = dict(license="mit", datasets="org/images", metrics={"accuracy": 0.875})
    address = push_to_hub(model, "org/new", **metadata)
    assert address == f"hf://org/new@{COMMIT}"
    files = ["README.md", "config.json", "model.safetensors"]
    assert hub.commits == [("org/new", "main", "Upload resnet", files)]
    copy = tiny()
    load_pretrained(copy, address)
    assert_same_weights(copy, model)
    assert copy.preprocessing == PIXELS

    header, text = card_of(hub, "org/new")
    assert header == {
        **{"library_name": "keras", "pipeline_tag": "image-classification", "license": "mit"},
        **{"tags": ["image-classification", "keras", "resnet"], "datasets": ["org/images"], "metrics": ["accuracy"]},
    }
    assert "| accuracy | 0.875 |" in text and "resize the shorter side to 9 (bicubic)" in text
    assert f"| Parameters | {sum(int(np.prod(weight.shape)) for weight in model.trainable_weights):,} |" in text
    assert "timm" not in text
    again, outputs = run_example(text, tmp_path)
    assert_same_weights(again, model)
    assert again.variant == model.variant and outputs.shape == (1, 3)

    config = json.loads(hub.files["org/new"]["config.json"])
    assert "architecture" not in config and (config["num_classes"], config["num_features"]) == (3, 8)
    pixels = config["pretrained_cfg"]
    assert (pixels["input_size"], pixels["first_conv"], pixels["classifier"]) == ([3, 8, 8], "conv1", "fc")


@pytest.mark.parametrize(
    "fields", [dict(include_top=False), dict(include_preprocessing=PIXELS, input_shape=(16, 16, 3))]
)
def test_the_example_of_a_card_builds_the_network(client, hub, fields, tmp_path):
    row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
    model = randomize(ResNet(row, **fields))
    model.preprocessing = PIXELS
    push_to_hub(model, "org/new")
    _, text = card_of(hub, "org/new")
    again, _ = run_example(text, tmp_path)
    assert_same_weights(again, model)
    assert (again.input_shape, again.description) == (model.input_shape, model.description)


def test_a_second_push(client, hub, source):
    with pytest.warns(UserWarning, match="The preprocessing of 'resnet' is not known"):
        push_to_hub(source, "org/net", private=False)
    hub.files["org/net"]["README.md"] = b"written by hand"
    source = randomize(tiny(), seed=2)
    source.preprocessing = "torch"
    with pytest.warns(UserWarning, match="'org/net' has a README.md, which is kept: license"):
        push_to_hub(source, "org/net", license="mit", revision="next", commit_message="Train it longer")
    assert hub.commits[-1] == ("org/net", "next", "Train it longer", ["config.json", "model.safetensors"])
    assert hub.files["org/net"]["README.md"] == b"written by hand"
    with pytest.raises(ValueError, match="private must be as it is for 'org/net', which exists. Received: True"):
        push_to_hub(source, "org/net", private=True)
    push_to_hub(source, "org/secret", private=True)
    assert hub.private == {"org/secret"}


def test_what_is_not_pushed(client, hub, source):
    for repository in ("net", "hf://org/net", "a/b/c", 3):
        with pytest.raises(ValueError, match="repository must be 'org/name'. Received: "):
            push_to_hub(source, repository)
    for name, value in (("license", 3), ("datasets", [3]), ("metrics", ["accuracy"])):
        with pytest.raises(ValueError, match=f"{name} must be .*Received: "):
            push_to_hub(source, "org/new", **{name: value})
    model = tiny(order="bn_after_addition")
    model.preprocessing = source.preprocessing = PIXELS
    with pytest.raises(ValueError, match="torchvision and timm have no net such as"):
        push_to_hub(model, "org/new")
    assert hub.requests == []
    hub.full = True
    with pytest.raises(OSError, match="'org/new' could not be written. .*507"):
        push_to_hub(source, "org/new")


def test_the_preprocessing_in_the_words_of_timm():
    for preprocessing in keras_resnet.PREPROCESSINGS.values():
        pixels = push.timm_preprocessing(preprocessing, 3)
        again = pretrained._timm_preprocessing(**pixels, size=preprocessing.size, crop=pixels["crop_pct"])
        assert (again.size, again.resize) == (preprocessing.size, preprocessing.resize)
        assert preprocessing.channels == "bgr" or again.is_like(preprocessing)
    assert push.timm_preprocessing(keras_resnet.PREPROCESSINGS["timm"], 3)["crop_pct"] == 0.95
    for size in range(1, 400):
        crop = push.timm_preprocessing(keras_resnet.Preprocessing(size, size + 11), 3)["crop_pct"]
        assert int(size / crop) == size + 11


def test_the_architecture_in_timm():
    """Only networks that compute the same outputs for the same images in timm have an architecture name."""
    build = partial(keras_resnet.ResNet10t, input_shape=(64, 64, 3))
    assert push.timm_architecture(build(classes=7)) == "resnet10t"
    model = build()
    model.preprocessing = "caffe"
    others = [model, build(gate="se"), build(output_stride=16), keras_resnet.ResNet10t(input_shape=(64, 64, 1))]
    assert [push.timm_architecture(network) for network in others] == [None] * 4


@pytest.mark.peers
def test_architectures_are_of_timm():
    known = {
        name.removeprefix("timm/").partition(".")[0] for name in pretrained.checkpoints() if name.startswith("timm/")
    }
    assert known | set(push.UNPUBLISHED.values()) <= set(timm().list_models())


@pytest.mark.peers
@pytest.mark.parametrize(
    ("row", "include_top"), [("resnet10t", False), ("resnetv2_18", True), ("seresnet18", True), ("densenet121", True)]
)
def test_timm_loads_what_is_pushed(row, include_top, tmp_path, rng):
    create_model = timm().create_model
    model = ResNet(row, input_shape=(64, 64, 3), classes=7, include_top=include_top, classifier_activation=None)
    model = randomize(model)
    for layer in model.layers:  # keeps the outputs of gates near 1/2, see at_random
        if "_se_fc" in layer.name:
            layer.kernel.assign(0.01 * layer.kernel)
    model.preprocessing = "timm"
    push.write_repository(model, tmp_path, "org/new", {})
    theirs = create_model(f"local-dir:{tmp_path}", pretrained=True)  # all names must match
    x = rng.normal(size=(2, 64, 64, 3)).astype("float32")
    ours = model(x) if include_top else np.mean(model(x), axis=(1, 2))
    assert_close(ours, answers(theirs.eval(), x))
    cfg = theirs.pretrained_cfg
    assert (cfg["crop_pct"], cfg["interpolation"], cfg["num_classes"]) == (0.95, "bicubic", 7 * include_top)


# ---- the client's own settings, in a separate process

USE = """
import sys, keras_resnet
row = keras_resnet.Variant("building_block", (2, 2), filters=4, stem="3x3", image_size=8, classes=3)
model = keras_resnet.ResNet(row, weights="hf://org/net")
print(float(abs(model.get_weights()[0]).sum()))
"""


@pytest.mark.slow
def test_the_settings_of_the_client(hub, source, tmp_path):
    """HF_ENDPOINT and HF_HUB_CACHE are used, and then HF_HUB_OFFLINE without a server. A progress bar is shown."""
    settings = {
        **os.environ,
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    settings.pop("HF_HUB_DISABLE_PROGRESS_BARS", None)
    settings["TQDM_POSITION"] = "-1"  # shows the progress bar without a terminal
    outputs = []
    with serving(hub) as address:
        settings["HF_ENDPOINT"] = address
        outputs.append(subprocess.run([sys.executable, "-c", USE], env=settings, capture_output=True, text=True))
    settings["HF_HUB_OFFLINE"] = "1"
    outputs.append(subprocess.run([sys.executable, "-c", USE], env=settings, capture_output=True, text=True))
    for output in outputs:
        assert output.returncode == 0, output.stderr[-2000:]
        assert float(output.stdout) == pytest.approx(np.abs(source.get_weights()[0]).sum(), rel=1e-6)
    assert "model.safetensors" in outputs[0].stderr and "100%" in outputs[0].stderr
    assert "model.safetensors" not in outputs[1].stderr


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch, tmp_path):
    """The hub's client would otherwise try each file six times."""
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # the port "discard", which is closed
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    began = time.perf_counter()
    with pytest.raises(OSError, match="'org/none' is not in the cache, and the hub could not be reached: .*refused"):
        load_pretrained(tiny(), "org/none")
    assert time.perf_counter() - began < 10
