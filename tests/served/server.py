"""What TensorFlow Serving does with a SavedModel, at 127.0.0.1 and over its two protocols: for tests, where it is not.

python tests/served/server.py models/resnet20    # or models.config; prints {"grpc": port, "rest": port} and stays

The messages are those of tensorflow-serving-api. What is done with them follows the server's source, at
github.com/tensorflow/serving: predict_util.cc, classifier.cc, http_rest_api_handler.cc, saved_model_warmup.cc. Tensors
go to the session by their names in the graph and unchecked, as in C++ (`tf.Session.run` looks at their shapes first).
"""

import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import grpc
import json_rules
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from json_rules import Refused
from tensorflow.core.protobuf.config_pb2 import CallableOptions
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION = 3, 5, 9
GRPC = {code.value[0]: code for code in grpc.StatusCode}
HTTP = {INVALID_ARGUMENT: 400, NOT_FOUND: 404, 8: 429, FAILED_PRECONDITION: 400, 11: 400, 12: 501}  # http_server.cc


class Servable:
    """One version, loaded and warmed: a record of the warm-up that fails, fails the load."""

    def __init__(self, path):
        self.version, self.callables = int(path.name), {}
        with tf.Graph().as_default() as graph:
            self.session = tf.compat.v1.Session(graph=graph)
            self.signatures = tf.compat.v1.saved_model.load(self.session, ["serve"], str(path)).signature_def
        warmup = path / "assets.extra" / "tf_serving_warmup_requests"
        for record in tf.compat.v1.io.tf_record_iterator(str(warmup)) if warmup.exists() else ():
            log = PredictionLog.FromString(record)
            replay = {"predict_log": self.predict, "classify_log": self.classify}[log.WhichOneof("log_type")]
            replay(getattr(log, log.WhichOneof("log_type")).request)

    def run(self, signature, feeds, outputs):
        """Arrays by the signature's names of the inputs, to arrays by those of the outputs."""
        feeds = {signature.inputs[name].name: value for name, value in feeds.items()}
        fetches = [signature.outputs[name].name for name in outputs]
        key = (*feeds, None, *fetches)
        if key not in self.callables:
            self.callables[key] = self.session._make_callable_from_options(CallableOptions(feed=feeds, fetch=fetches))
        return dict(zip(outputs, self.callables[key](*feeds.values()), strict=True))

    def signature(self, spec, code=INVALID_ARGUMENT):
        name = spec.signature_name or "serving_default"
        if name not in self.signatures:
            raise Refused(f'Serving signature key "{name}" not found.', code)
        return self.signatures[name]

    def predict(self, request):
        signature = self.signature(request.model_spec, FAILED_PRECONDITION)
        if set(request.inputs) != set(signature.inputs):
            raise Refused(f"inputs do not match signature: {list(request.inputs)} != {list(signature.inputs)}")
        if unknown := set(request.output_filter) - set(signature.outputs):
            raise Refused(f"output tensor alias not found in signature: {unknown}")
        try:
            feeds = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        except (TypeError, ValueError) as error:
            raise Refused(f"tensor parsing error: {error}") from error
        outputs = self.run(signature, feeds, list(request.output_filter) or sorted(signature.outputs))
        protos = {name: tf.make_tensor_proto(value) for name, value in outputs.items()}
        return PredictResponse(model_spec=self.spec(request), outputs=protos)

    def classify(self, request):
        signature = self.signature(request.model_spec)
        if signature.method_name != "tensorflow/serving/classify" or len(signature.inputs) != 1:
            raise Refused(f"Expected a signature of Classify with one input. Was: {signature.method_name}")
        if "inputs" not in signature.inputs or not {"classes", "scores"} >= set(signature.outputs) > set():
            raise Refused("Expected the input inputs, and the outputs classes, scores or both", FAILED_PRECONDITION)
        examples, with_context = list(request.input.example_list.examples), request.input.example_list_with_context
        for example in with_context.examples:
            examples.append(tf.train.Example.FromString(with_context.context.SerializeToString()))
            examples[-1].MergeFrom(example)
        if not examples:
            raise Refused("Input is empty.")
        feeds = {"inputs": np.array([example.SerializeToString() for example in examples], object)}
        outputs = self.run(signature, feeds, sorted(signature.outputs))
        if len({value.shape for value in outputs.values()}) > 1 or any(v.ndim != 2 for v in outputs.values()):
            raise Refused(f"Expected (batch, classes). Got: {[value.shape for value in outputs.values()]}")
        response = ClassificationResponse(model_spec=self.spec(request))
        for row in range(len(examples)):
            pairs = zip(outputs["classes"][row], outputs["scores"][row], strict=True)
            response.result.classifications.add(classes=[dict(label=label, score=score) for label, score in pairs])
        return response

    def metadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise Refused(f"Metadata field is not supported: {list(request.metadata_field)}")
        response = metadata_pb2.GetModelMetadataResponse(model_spec=self.spec(request))
        response.metadata["signature_def"].Pack(metadata_pb2.SignatureDefMap(signature_def=self.signatures))
        return response

    def spec(self, request):
        spec = ModelSpec(name=request.model_spec.name, signature_name=request.model_spec.signature_name)
        spec.version.value = self.version
        return spec


def code_of(error):
    return error.code if isinstance(error, Refused) else error.error_code


def grpc_method(function):
    def method(server, request, context):
        try:
            return function(server, request)
        except (Refused, tf.errors.OpError) as error:
            context.abort(GRPC[code_of(error)], str(error))

    return method


class Server(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    """The models of a ModelServerConfig; `poll` takes up what has appeared, as the server does each second."""

    def __init__(self, config):
        self.config, self.models = config, {}
        self.poll()

    def poll(self):
        for model in self.config.model_config_list.config:
            base, policy, old = Path(model.base_path), model.model_version_policy, self.models.get(model.name, {})
            there = sorted(int(path.name) for path in base.iterdir() if path.name.isdecimal())
            wanted = list(policy.specific.versions) or there[0 if policy.HasField("all") else -1 :]
            if set(wanted) != set(old):
                self.models[model.name] = {v: old.get(v) or Servable(base / str(v)) for v in wanted}

    def find(self, spec):
        versions = self.models.get(spec.name)
        if not versions:
            raise Refused(f"Servable not found for request: Latest({spec.name})", NOT_FOUND)
        version = spec.version.value or max(versions)
        if spec.version_label:
            (labels,) = [m.version_labels for m in self.config.model_config_list.config if m.name == spec.name]
            if spec.version_label not in labels:
                raise Refused(f"Unrecognized servable version label: {spec.version_label}")
            version = labels[spec.version_label]
        if version not in versions:
            raise Refused(f"Servable not found for request: Specific({spec.name}, {version})", NOT_FOUND)
        return versions[version]

    def predict(self, request):
        return self.find(request.model_spec).predict(request)

    def classify(self, request):
        return self.find(request.model_spec).classify(request)

    def metadata(self, request):
        return self.find(request.model_spec).metadata(request)

    def status(self, request):
        found, response = self.find(request.model_spec), status_pb2.GetModelStatusResponse()
        one = request.model_spec.WhichOneof("version_choice")
        for servable in [found] if one else self.models[request.model_spec.name].values():
            response.model_version_status.add(version=servable.version, state="AVAILABLE").status.SetInParent()
        return response

    Predict, Classify = grpc_method(predict), grpc_method(classify)
    GetModelMetadata, GetModelStatus = grpc_method(metadata), grpc_method(status)


def rest(server, verb, path, body):
    which = r"(?i)/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?"
    match = re.fullmatch(which + {"POST": r":(classify|predict)", "GET": r"(/metadata)?"}[verb], path)
    if not match:
        raise Refused(f"Malformed request: {verb} {path}")
    name, version, label, what = match.groups()
    spec = ModelSpec(name=name, version_label=label) if label else ModelSpec(name=name)
    if version:
        spec.version.value = int(version)
    if verb == "GET":
        request = status_pb2.GetModelStatusRequest(model_spec=spec)
        if what:
            request = metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        answer = server.metadata(request) if what else server.status(request)
        return MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise Refused(f"JSON Parse error: {error}") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("signature_name", ""), str):
        raise Refused("JSON Value: Is not object, or 'signature_name' is not a string")
    spec.signature_name = asked.get("signature_name", "")
    return (rest_classify if what == "classify" else rest_predict)(server, spec, asked)


def rest_predict(server, spec, asked):
    if len(asked.keys() & {"instances", "inputs"}) != 1:
        raise Refused("Expecting one of 'inputs' or 'instances' keys")
    infos = server.find(spec).signature(spec).inputs
    by_rows = "instances" in asked
    inputs = (json_rules.read_rows if by_rows else json_rules.read_columns)(
        asked["instances" if by_rows else "inputs"], infos
    )
    protos = {name: tf.make_tensor_proto(value, infos[name].dtype) for name, value in inputs.items()}
    response = server.predict(PredictRequest(model_spec=spec, inputs=protos))
    outputs = {name: tf.make_ndarray(value) for name, value in sorted(response.outputs.items())}
    return (json_rules.write_rows if by_rows else json_rules.write_columns)(outputs)


def rest_classify(server, spec, asked):
    rows = asked.get("examples")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Refused("When method is classify, key 'examples' is expected, a list of objects that is not empty")
    request = ClassificationRequest(model_spec=spec)
    for row in rows:
        features = {name: json_rules.feature(values) for name, values in row.items()}
        request.input.example_list.examples.add(features=dict(feature=features))
    answer = server.classify(request).result.classifications
    return {"results": [[[one.label, json_rules.shortest(one.score)] for one in row.classes] for row in answer]}


class Listener(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256


def handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version, timeout, log_message = "HTTP/1.1", 60, lambda *_: None

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, answer = 200, rest(server, self.command, self.path, body)
            except (Refused, tf.errors.OpError) as error:
                status, answer = HTTP.get(code_of(error), 500), {"error": str(error)}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer

    return Handler


def main(place):
    config = ModelServerConfig()
    if place.is_file():
        text_format.Parse(place.read_text(), config)
        for model in config.model_config_list.config:  # which has them where the image tensorflow/serving mounts them
            model.base_path = model.base_path.replace("/models", str(place.parent), 1)
    else:
        config.model_config_list.config.add(name=place.name, base_path=str(place), model_platform="tensorflow")
    server = Server(config)
    listener = Listener(("127.0.0.1", 0), handler(server))
    Thread(target=listener.serve_forever, daemon=True).start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    over_grpc = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(server, over_grpc)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(server, over_grpc)
    port = over_grpc.add_insecure_port("127.0.0.1:0")
    over_grpc.start()
    print(json.dumps({"grpc": port, "rest": listener.server_port}), flush=True)
    while True:
        time.sleep(1)
        try:
            server.poll()
        except Exception as error:  # the versions that it has go on
            print(f"A version does not load: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
