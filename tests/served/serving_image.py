"""Exports ResNet-20, and calls it on the real image tensorflow/serving. Runs in GitHub's CI only: it needs Docker.

python tests/served/serving_image.py export models/resnet20
docker compose up --detach
python tests/served/serving_image.py call
"""

import base64
import io
import json
import sys
import time
import urllib.request

import grpc
import numpy as np
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

import keras_resnet
from keras_resnet.serving.signatures import CIFAR10

NAME, REST, GRPC = "resnet20", "http://127.0.0.1:8501/v1/models/resnet20", "127.0.0.1:8500"


def export(directory):
    model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    options = dict(labels="cifar10", preprocessing="cifar10", warmup=(1, 4), server_config=True)
    keras_resnet.export_saved_model(model, directory, **options)


def rest(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(REST + path, data, timeout=60) as response:
        return json.loads(response.read())


def wait_until_available(seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            (status,) = rest("")["model_version_status"]
            if status["state"] == "AVAILABLE":
                return
        except OSError:
            status = "no connection"
        assert time.monotonic() < end, status
        time.sleep(1)


def call():
    wait_until_available()
    model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), "uint8")
    images = colours.repeat(8, 1).repeat(8, 2)  # 32 x 32, so that nothing is resized
    expected = model.predict(images.astype("float32"), verbose=0)
    labels = [CIFAR10[i] for i in expected.argmax(1)]
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        files.append(buffer.getvalue())

    rows = [{"b64": base64.b64encode(file).decode()} for file in files]
    for body in ({"instances": images.tolist()}, {"signature_name": "image_bytes", "instances": rows}):
        predictions = rest(":predict", body)["predictions"]
        np.testing.assert_allclose([row["probabilities"] for row in predictions], expected, atol=1e-4)
        assert [row["top_labels"][0] for row in predictions] == labels
    body = {"signature_name": "classify", "examples": [{"image/encoded": row} for row in rows]}
    assert [row[0][0] for row in rest(":classify", body)["results"]] == labels

    channel = grpc.insecure_channel(GRPC)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest(inputs={"image_bytes": tf.make_tensor_proto(files)})
    request.model_spec.name, request.model_spec.signature_name = NAME, "image_bytes"
    outputs = stub.Predict(request, timeout=60).outputs
    np.testing.assert_allclose(tf.make_ndarray(outputs["probabilities"]), expected, atol=1e-4)
    assert [row[0].decode() for row in tf.make_ndarray(outputs["top_labels"])] == labels

    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, "classify"
    for file in files:
        example = request.input.example_list.examples.add()
        example.features.feature["image/encoded"].bytes_list.value.append(file)
    results = stub.Classify(request, timeout=60).result.classifications
    assert [row.classes[0].label for row in results] == labels
    scores = [row.classes[0].score for row in results]
    np.testing.assert_allclose(scores, expected.max(1), atol=1e-4)

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = NAME
    (status,) = (
        model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request, timeout=60).model_version_status
    )
    assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    print("REST and gRPC agree with the model:", labels)


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"export": export, "call": call}[command](*arguments)
