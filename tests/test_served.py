"""What clients get: the SavedModel of the trained ResNet-20 behind the loopback server of tests/served.

The server is a process of its own and must outlive every request: after each test it is asked once more.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

grpc = pytest.importorskip("grpc", reason="pip install '.[serving]'")
pytest.importorskip("tensorflow_serving", reason="pip install '.[serving]'")
pytest.importorskip("PIL", reason="pip install '.[experiments]'")

import tensorflow as tf  # noqa: E402
from served.clients import b64, serving  # noqa: E402
from served.pictures import assert_as_pil, encoded, pil, real_pictures, shapes, sorts  # noqa: E402
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, prediction_log_pb2  # noqa: E402
from test_loaders import CIFAR10, PREDICTIONS, told  # noqa: E402

import keras_resnet  # noqa: E402
from keras_resnet.serving import server_files  # noqa: E402

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = (
    getattr(grpc.StatusCode, name) for name in ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
)
GOOD = encoded(shapes())


@pytest.fixture(scope="module")
def running(artifact, tmp_path_factory):
    with serving(Path(artifact["path"]).parent, tmp_path_factory.mktemp("server") / "log") as client:
        yield client


@pytest.fixture(scope="module")
def good(trained):
    return CIFAR10[np.argmax(trained(pil(GOOD)[np.newaxis]))]


@pytest.fixture
def server(running, good):
    yield running
    assert running.see(GOOD)["top_labels"][0, 0].decode() == good


def test_status_and_metadata(server, artifact):
    version = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("", "/versions/1"):
        assert server.rest(path) == (200, {"model_version_status": [version]})
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "resnet20"
    (only,) = server.models.GetModelStatus(request).model_version_status
    assert (only.version, only.state) == (1, get_model_status_pb2.ModelVersionStatus.AVAILABLE)

    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "resnet20"
    packed = server.prediction.GetModelMetadata(asked).metadata["signature_def"]
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.Unpack(signatures)
    assert told(signatures.signature_def["serving_default"].outputs) == PREDICTIONS
    status, answer = server.rest("/metadata")
    shown = answer["metadata"]["signature_def"]["signature_def"]
    assert (status, answer["model_spec"]["version"]) == (200, "1")
    assert [dim["size"] for dim in shown["serving_default"]["inputs"]["image"]["tensor_shape"]["dim"]] == [
        *("-1", "32", "32", "3")
    ]
    assert shown["classify"]["method_name"] == "tensorflow/serving/classify"


def assert_answer(rows, trained, x):
    """Rows of JSON, or columns of arrays, against the model."""
    expected = trained.predict(x, verbose=0)
    best = np.argsort(-expected)[:, :3]
    columns = rows if isinstance(rows, dict) else {name: [row[name] for row in rows] for name in rows[0]}
    assert set(columns) == set(PREDICTIONS)
    np.testing.assert_allclose(columns["probabilities"], expected, atol=1e-5)
    np.testing.assert_array_equal(columns["top_ids"], best)
    np.testing.assert_allclose(columns["top_scores"], np.take_along_axis(expected, best, 1), atol=1e-5)
    labels = [[x.decode() if isinstance(x, bytes) else x for x in row] for row in columns["top_labels"]]
    assert labels == [[CIFAR10[i] for i in row] for row in best]


def test_images(server, trained):
    x = np.random.default_rng(1).uniform(0, 255, (3, 32, 32, 3)).astype("float32").round(1)
    assert_answer(server.predict("", image=x), trained, x)
    assert_answer(server.predict("serving_default", image=x), trained, x)
    assert set(server.predict("", outputs=["top_ids"], image=x)) == {"top_ids"}
    values = x.tolist()
    for path in (":predict", "/versions/1:predict"):
        assert_answer(server.rest(path, {"instances": values})[1]["predictions"], trained, x)
    assert_answer(
        server.rest(":predict", {"instances": [{"image": row} for row in values]})[1]["predictions"], trained, x
    )
    for inputs in (values, {"image": values}):
        assert_answer(server.rest(":predict", {"inputs": inputs})[1]["outputs"], trained, x)
    status, answer = server.rest(":predict", {"signature_name": "embedding", "instances": values})
    assert (status, np.shape(answer["predictions"])) == (200, (3, 64))


def test_files(server, trained):
    files = [encoded(shapes(20 + 30 * i, 60 - 9 * i, seed=i)) for i in range(3)]  # each of another size
    x = np.stack([pil(file) for file in files])
    assert_as_pil(trained, files, server.see(*files)["probabilities"])
    values = [b64(file) for file in files]
    for body, of in (
        ({"instances": values}, "predictions"),
        ({"instances": [{"image_bytes": value} for value in values]}, "predictions"),
        ({"inputs": values}, "outputs"),
        ({"inputs": {"image_bytes": values}}, "outputs"),
    ):
        status, answer = server.rest(":predict", {"signature_name": "image_bytes", **body})
        assert status == 200, answer
        rows = answer[of]
        columns = rows if of == "outputs" else {name: [row[name] for row in rows] for name in rows[0]}
        assert_as_pil(trained, files, columns["probabilities"])
        assert [row[0] for row in columns["top_labels"]] == [
            CIFAR10[i] for i in trained.predict(x, verbose=0).argmax(1)
        ]


def test_classify(server, trained):
    files = [encoded(shapes(50, 40, seed=i)) for i in range(2)]
    expected = server.see(*files)
    pairs = zip(expected["top_labels"], expected["top_scores"], strict=True)
    expected = [[(label.decode(), score) for label, score in zip(*row, strict=True)] for row in pairs]
    body = {"signature_name": "classify", "examples": [{"image/encoded": b64(file)} for file in files]}
    status, answer = server.rest(":classify", body)
    assert status == 200
    for rows in (server.classify(*files), answer["results"]):
        assert [[label for label, _ in row] for row in rows] == [[label for label, _ in row] for row in expected]
        np.testing.assert_allclose(
            [[s for _, s in row] for row in rows], [[s for _, s in row] for row in expected], 1e-5
        )


def test_no_pictures(server):
    """Refused in words: by Classify itself, else by TensorFlow's fused convolution, which knows no empty batch."""
    for call in (
        lambda: server.predict("", image=np.zeros((0, 32, 32, 3), "float32")),
        lambda: server.see(),
        lambda: server.classify(),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert error.value.code() == INVALID_ARGUMENT


PREDICT = ":predict"
BLACK = np.zeros((1, 32, 32, 3)).tolist()
REFUSED = {
    "no JSON": (PREDICT, b"{", 400, "JSON Parse error"),
    "no instances": (PREDICT, {"instances": []}, 400, "instances"),
    "both formats": (PREDICT, {"instances": BLACK, "inputs": BLACK}, 400, "one of"),
    "another model": ("/v1/models/resnet50:predict", {"instances": BLACK}, 404, "not found"),
    "another version": ("/versions/7:predict", {"instances": BLACK}, 404, r"Specific\(resnet20, 7\)"),
    "a label": ("/labels/stable:predict", {"instances": BLACK}, 400, "stable"),
    "another verb": (":guess", {"instances": BLACK}, 400, "Malformed request"),
    "another signature": (PREDICT, {"signature_name": "bytes", "instances": BLACK}, 400, '"bytes" not found'),
    "another input": (PREDICT, {"instances": [{"images": BLACK[0]}]}, 400, "keys must be equal"),
    "another input, columns": (PREDICT, {"inputs": {"images": BLACK}}, 400, "Missing named input"),
    "one picture for a batch": (PREDICT, {"inputs": BLACK[0]}, 400, r"\[32,32,3\] is not compatible"),
    "another size": (PREDICT, {"instances": np.zeros((1, 16, 16, 3)).tolist()}, 400, "is not compatible"),
    "one channel": (PREDICT, {"instances": np.zeros((1, 32, 32, 1)).tolist()}, 400, "is not compatible"),
    "ragged": (PREDICT, {"instances": [[[1, 2], [3]]]}, 400, "size"),
    "strings for numbers": (PREDICT, {"instances": ["cat"]}, 400, "expected type: float32"),
}
NO_PICTURES = {
    "text": b"not a picture",
    "empty": b"",
    "HTML": b"<!doctype html><title>404</title>" * 50,
    "only a header": GOOD[:30],
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_rest(what, server):
    path, body, code, says = REFUSED[what]
    status, answer = server.rest(path, body)
    assert (status, list(answer)) == (code, ["error"])
    assert re.search(says, answer["error"]), answer


@pytest.mark.parametrize("what", NO_PICTURES)
def test_what_is_no_picture(what, server):
    file = NO_PICTURES[what]
    for bad in ([file], [GOOD, file]):  # one spoils the request that it is in
        status, answer = server.rest(":predict", {"signature_name": "image_bytes", "instances": [*map(b64, bad)]})
        assert (status, list(answer)) == (400, ["error"])
        for call in (server.see, server.classify):
            with pytest.raises(grpc.RpcError) as error:
                call(*bad)
            assert error.value.code() == INVALID_ARGUMENT


def test_refused_by_grpc(server):
    x = np.zeros((1, 32, 32, 3), "float32")
    for code, call in (
        (NOT_FOUND, lambda: server.predict("", name="resnet50", image=x)),
        (FAILED_PRECONDITION, lambda: server.predict("bytes", image=x)),
        (INVALID_ARGUMENT, lambda: server.predict("", images=x)),
        (INVALID_ARGUMENT, lambda: server.predict("", image=x, image_bytes=np.array([GOOD], object))),
        (INVALID_ARGUMENT, lambda: server.predict("", outputs=["classes"], image=x)),
        (INVALID_ARGUMENT, lambda: server.predict("", image=x[:, :31])),
        (INVALID_ARGUMENT, lambda: server.predict("", image=x[0])),
        (INVALID_ARGUMENT, lambda: server.predict("", image=x.astype("float64"))),
        (INVALID_ARGUMENT, lambda: server.predict("", image=x.astype("uint8"))),
        (INVALID_ARGUMENT, lambda: server.predict("image_bytes", image_bytes=np.array([[GOOD]], object))),
        (INVALID_ARGUMENT, lambda: server.classify(GOOD, key="serving_default")),
        (INVALID_ARGUMENT, lambda: server.classify(GOOD, feature="image")),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert error.value.code() == code, error.value.details()


OVMSCLIENT = """
import json, sys
import numpy as np
from ovmsclient import ModelNotFoundError, InvalidInputError, make_grpc_client, make_http_client
ports, x = json.loads(sys.argv[1]), np.load(sys.argv[2])
for make, port in ((make_grpc_client, "grpc"), (make_http_client, "rest")):
    client = make(f"localhost:{ports[port]}")
    assert client.get_model_status("resnet20")[1]["state"] == "AVAILABLE"
    answer = client.predict({"image": x}, "resnet20")
    np.save(f"{sys.argv[3]}/{port}.npy", answer["probabilities"])
    assert answer["top_ids"].shape == (len(x), 3)
    for error, of, name in ((ModelNotFoundError, "image", "resnet50"), (InvalidInputError, "images", "resnet20")):
        try:
            client.predict({of: x}, name)
        except error:
            continue
        raise AssertionError((port, of, name))
client = make_grpc_client(f"localhost:{ports['grpc']}")
assert client.get_model_metadata("resnet20")["inputs"]["image"] == {"shape": [-1, 32, 32, 3], "dtype": "DT_FLOAT"}
assert "tensorflow" not in sys.modules
"""


def test_ovmsclient(server, trained, tmp_path):
    """A client of TensorFlow Serving that somebody else wrote, without TensorFlow."""
    pytest.importorskip("ovmsclient")
    x = np.random.default_rng(2).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    arguments = [json.dumps(server.ports), str(tmp_path / "x.npy"), str(tmp_path)]
    subprocess.run([sys.executable, "-c", OVMSCLIENT, *arguments], check=True, timeout=300)
    for port in ("grpc", "rest"):
        np.testing.assert_allclose(np.load(tmp_path / f"{port}.npy"), trained.predict(x, verbose=0), atol=1e-5)


def test_200_at_once(server):
    """Of mixed signatures, protocols, sizes and batches: each answer is that of the same request alone."""
    files = [
        encoded(shapes(*size, seed=i)) for i, size in enumerate([(9, 7), (45, 64), (120, 33), (300, 400), (32, 32)])
    ]
    x = np.random.default_rng(3).uniform(0, 255, (5, 32, 32, 3)).astype("float32").round(1)

    def rest(signature, values):
        status, answer = server.rest(":predict", {"signature_name": signature, "instances": values})
        assert status == 200, answer
        return [row["probabilities"] for row in answer["predictions"]]

    asks = [
        lambda some: server.see(*(files[i] for i in some))["probabilities"],
        lambda some: server.predict("", image=x[list(some)])["probabilities"],
        lambda some: rest("image_bytes", [b64(files[i]) for i in some]),
        lambda some: rest("serving_default", x[list(some)].tolist()),
        lambda some: [[score for _, score in row] for row in server.classify(*(files[i] for i in some))],
    ]
    rng = np.random.default_rng(4)
    requests = [(int(rng.integers(len(asks))), tuple(rng.integers(0, 5, rng.integers(1, 5)))) for _ in range(200)]
    alone = {request: asks[request[0]](request[1]) for request in sorted(set(requests))}
    with ThreadPoolExecutor(32) as clients:
        answers = list(clients.map(lambda request: asks[request[0]](request[1]), requests, timeout=300))
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_allclose(answer, alone[request], atol=1e-5)
    assert len({str(np.round(alone[request], 3)) for request in requests}) > 50  # and they are not all one


@pytest.mark.slow
def test_a_version_whose_warm_up_fails_is_not_served(artifact, tmp_path):
    place = tmp_path / "resnet20"
    shutil.copytree(Path(artifact["path"]).parent, place)
    with serving(place, tmp_path / "log") as client:
        shutil.copytree(place / "1", tmp_path / "2")
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.model_spec.signature_name = "image_bytes"
        log.predict_log.request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([b"not a picture"]))
        with tf.io.TFRecordWriter(str(tmp_path / "2" / "assets.extra" / "tf_serving_warmup_requests")) as writer:
            writer.write(log.SerializeToString())
        os.rename(tmp_path / "2", place / "2")
        wait_for(lambda: "A version does not load" in (tmp_path / "log").read_text())
        assert [one["version"] for one in client.rest("")[1]["model_version_status"]] == ["1"]
        shutil.rmtree(place / "2")
        shutil.copytree(place / "1", tmp_path / "3")
        os.rename(tmp_path / "3", place / "3")
        wait_for(lambda: [one["version"] for one in client.rest("")[1]["model_version_status"]] == ["3"])


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.2)


# ---------------------------------------------------------------------------------------------- all sorts of pictures


@pytest.mark.parametrize("sort", sorts())
def test_every_sort_of_file(sort, server, trained):
    file = sorts()[sort]
    assert_as_pil(trained, [file], server.see(file)["probabilities"])


def test_in_one_batch(server, trained):
    files = list(sorts().values())
    assert_as_pil(trained, files, server.see(*files)["probabilities"])


def test_16_bits_lose_their_lower_half(server, trained):
    """As most viewers do; PIL clips them at 255."""
    deep = shapes(50, 60).astype("uint16") * 257
    file = tf.io.encode_png(deep).numpy()
    np.testing.assert_allclose(server.see(file)["probabilities"], server.see(encoded(shapes(50, 60)))["probabilities"])


@pytest.mark.parametrize("form", ["TIFF", "PPM", "ICO", "JPEG2000", "WEBP"])
def test_other_formats_are_refused(form, server):
    """WebP: with alpha. Without, TensorFlow 2.21 reads it; older servers do not."""
    picture = np.dstack([shapes(), shapes()[..., 0]]) if form == "WEBP" else shapes()
    with pytest.raises(grpc.RpcError, match="Unknown image file format|channels requested does not match") as error:
        server.see(encoded(picture, form))
    assert error.value.code() == INVALID_ARGUMENT


def test_6000x4000(server, trained):
    file = encoded(np.kron(shapes(40, 60), np.ones((100, 100, 1), "uint8")), "JPEG", quality=50)
    assert_as_pil(trained, [file], server.see(file)["probabilities"])


@pytest.mark.parametrize("sort", ["JPEG", "JPEG, progressive", "PNG", "PNG, interlaced", "GIF", "BMP"])
def test_cut_short(sort, server):
    """At 25 places: an error of the client's, or an answer."""
    file = sorts()[sort]
    whole = server.see(file)["probabilities"]
    outcomes = []
    for length in np.linspace(1, len(file) - 1, 25).astype(int):
        status, answer = server.rest(":predict", {"signature_name": "image_bytes", "instances": [b64(file[:length])]})
        outcomes.append(status)
        if status == 200:
            assert np.sum(answer["predictions"][0]["probabilities"]) == pytest.approx(1, abs=1e-4)
        else:
            assert (status, list(answer)) == (400, ["error"])
    assert outcomes[0] == 400
    assert whole.shape == (1, 10)


def test_real_photographs(server, trained):
    files = [path.read_bytes() for path in real_pictures()]
    assert len(files) >= 2
    for file in files:
        assert_as_pil(trained, [file], server.see(file)["probabilities"])
    for path in real_pictures():
        if path.name in ("chelsea.png", "horse.png"):
            expected = {"chelsea.png": b"cat", "horse.png": b"horse"}[path.name]
            assert server.see(path.read_bytes())["top_labels"][0, 0] == expected


@pytest.mark.cifar10
def test_cifar10(server, trained):
    """PNGs of the first 300 test pictures: the net's own answers, and its accuracy."""
    test = pytest.importorskip("experiments.data").load_test("cifar10")
    files = [encoded(image) for image in test.images[:300]]
    answers = np.concatenate([server.see(*files[i : i + 100])["probabilities"] for i in range(0, 300, 100)])
    np.testing.assert_allclose(answers, trained.predict(test.images[:300].astype("float32"), verbose=0), atol=1e-4)
    assert np.mean(answers.argmax(1) == test.labels[:300]) > 0.88


# ---------------------------------------------------------------------------------------------- what the README says


@pytest.fixture
def readme(server, tmp_path, monkeypatch):
    """The README's client of a kind, with the test server's ports, where cat.jpg is."""
    (tmp_path / "cat.jpg").write_bytes(GOOD)
    monkeypatch.chdir(tmp_path)

    def client(kind):
        text = (Path(__file__).parent.parent / "README.md").read_text()
        (code,) = re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for port, ours in ((8500, "grpc"), (8501, "rest")):
            code = code.replace(f"127.0.0.1:{port}", f"127.0.0.1:{server.ports[ours]}")
        return code

    return client


def test_python_client_of_the_readme(readme, good, capsys):
    exec(readme("python client"), {})
    assert capsys.readouterr().out.startswith(f"[[b'{good}'")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not there")
def test_curl_of_the_readme(readme, good):
    done = subprocess.run(["bash", "-c", readme("sh")], capture_output=True, check=True, timeout=120)
    assert json.loads(done.stdout)["predictions"][0]["top_labels"][0] == good


@pytest.mark.slow
def test_the_configuration_of_the_server(trained, tmp_path):
    """The models.config that an export writes; the paths in it are those of compose.yaml."""
    for name in ("resnet20", "another"):
        keras_resnet.export_saved_model(
            trained, tmp_path / name, labels="cifar10", preprocessing="cifar10", server_config=True
        )
    with serving(tmp_path / "models.config", tmp_path / "log") as client:
        for name in ("resnet20", "another"):
            assert client.rest(f"/v1/models/{name}")[0] == 200
        assert client.see(GOOD)["probabilities"].shape == (1, 10)


def test_compose_file():
    yaml = pytest.importorskip("yaml")
    compose = yaml.safe_load((Path(__file__).parent.parent / "compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert service["image"].startswith("tensorflow/serving:")
    assert service["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    (volume,) = service["volumes"]
    assert volume.endswith(f":{server_files.SERVED_FROM}:ro")
    flags = dict(flag.removeprefix("--").partition("=")[::2] for flag in service["command"])
    places = {f"{server_files.SERVED_FROM}/{name}" for name in (server_files.MODELS, server_files.BATCHING)}
    assert {flags["model_config_file"], flags["batching_parameters_file"]} == places
