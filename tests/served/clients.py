"""The client's side of the loopback server: REST by plain HTTP, gRPC by the stubs of tensorflow-serving-api."""

import base64
import http.client
import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

SERVER = Path(__file__).parent / "server.py"


class Client:
    """Of one server, which is a process of its own."""

    def __init__(self, process, ports):
        self.process, self.ports = process, ports
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}", options=options)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def rest(self, path, body=None):
        """Status and answer of /v1/models/resnet20{path}, POST where there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["rest"], timeout=120)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        path = path if path.startswith("/v1/") else f"/v1/models/resnet20{path}"
        try:
            connection.request("GET" if body is None else "POST", path, data)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def predict(self, key, outputs=(), name="resnet20", **inputs):
        request = predict_pb2.PredictRequest(output_filter=outputs)
        request.model_spec.name, request.model_spec.signature_name = name, key
        for of, value in inputs.items():
            request.inputs[of].CopyFrom(tf.make_tensor_proto(value))
        answer = self.prediction.Predict(request, timeout=120)
        return {of: tf.make_ndarray(value) for of, value in answer.outputs.items()}

    def see(self, *files):
        return self.predict("image_bytes", image_bytes=np.array(files, object))

    def classify(self, *files, key="classify", feature="image/encoded"):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = "resnet20", key
        for file in files:
            example = request.input.example_list.examples.add()
            example.features.feature[feature].bytes_list.value.append(file)
        rows = self.prediction.Classify(request, timeout=120).result.classifications
        return [[(one.label, one.score) for one in row.classes] for row in rows]


@contextmanager
def serving(place, log):
    with open(log, "w") as errors:
        command = [sys.executable, SERVER, place]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        line = process.stdout.readline()
        assert line, f"the server does not start: {Path(log).read_text()[-2000:]}"
        yield Client(process, json.loads(line))
        assert process.poll() is None, Path(log).read_text()[-2000:]
    finally:
        process.kill()
        process.wait()


def b64(file):
    return {"b64": base64.b64encode(file).decode()}
