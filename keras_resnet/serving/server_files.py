"""Files that TF Serving reads besides the model: warm-up requests and the list of models."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path

from keras_resnet.errors import positives
from keras_resnet.files import whole
from keras_resnet.layers import tf
from keras_resnet.serving.check import sample_image
from keras_resnet.serving.signatures import CLASSIFY, Signature

WARMUP, MODELS = "tf_serving_warmup_requests", "models.config"
# The directory of the models in the Docker image tensorflow/serving.
SERVED_FROM = "/models"


def protos(module: str, argument: str):
    """Returns a module of TF Serving's protocol buffers. Raises ImportError if they are not installed."""
    try:
        return import_module(f"tensorflow_serving.{module}_pb2")
    except ImportError as error:
        raise ImportError(
            f"{argument} needs tensorflow-serving-api: pip install 'keras-resnet-family[serving]', or {argument}=False"
        ) from error


def check_warmup(warmup: bool | Sequence[int] | None) -> tuple[int, ...]:
    """Returns the batch sizes of the warm-up requests.

    True means batch size 1 and False means none. None means True if TF Serving's protocol buffers are installed.
    """
    if warmup is None:
        return (1,) if find_spec("tensorflow_serving") else ()
    if isinstance(warmup, bool):
        warmup = (1,) if warmup else ()
    sizes = positives(warmup, "warmup", "request") if warmup != () else ()
    if sizes:
        protos("apis.prediction_log", "warmup")
    return sizes


def write_warmup(path: Path, name: str, signatures: Sequence[Signature], shape: tuple, sizes: Sequence[int]) -> None:
    """Writes one PredictionLog per signature and batch size."""
    height, width, channels = (side or 224 for side in shape)
    image = sample_image(height, width, channels, 0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, size in product(signatures, sizes):
            log = protos("apis.prediction_log", "warmup").PredictionLog()
            request = (log.classify_log if signature.method == CLASSIFY else log.predict_log).request
            request.model_spec.name, request.model_spec.signature_name = name, signature.key
            value = image.astype("float32")
            if signature.decode is not None:
                value = signature.encode(tf.io.encode_jpeg(image).numpy())
            if signature.method == CLASSIFY:
                for _ in range(size):
                    request.input.example_list.examples.add().ParseFromString(value)
            else:
                request.inputs[signature.input].CopyFrom(tf.make_tensor_proto(tf.stack([value] * size)))
            writer.write(log.SerializeToString())


def read_models(folder: Path):
    """Returns the ModelServerConfig in `folder/models.config`. It is empty if the file does not exist.

    Raises ValueError if the file is not a ModelServerConfig in text format.
    """
    from google.protobuf import text_format  # type: ignore[import-untyped]

    models = folder / MODELS
    server = protos("config.model_server_config", "server_config").ModelServerConfig()
    try:
        return text_format.Parse(models.read_text() if models.exists() else "", server)
    except text_format.ParseError as error:
        raise ValueError(f"{models} must be a ModelServerConfig in text. {error}") from error


def write_server_config(folder: Path, name: str) -> None:
    """Adds `name` to `folder/models.config` if it is missing."""
    from google.protobuf import text_format

    server = read_models(folder)
    if all(model.name != name for model in server.model_config_list.config):
        server.model_config_list.config.add(name=name, base_path=f"{SERVED_FROM}/{name}", model_platform="tensorflow")
        with whole(folder / MODELS) as unfinished:
            unfinished.write_text(text_format.MessageToString(server))
