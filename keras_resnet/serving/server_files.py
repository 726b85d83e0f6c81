"""What TF Serving reads besides the model: warm-up requests, the list of its models, how it makes batches."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

from keras_resnet.errors import positive
from keras_resnet.files import whole
from keras_resnet.layers import tf
from keras_resnet.serving.signatures import CLASSIFY, Served, Signature

WARMUP, MODELS, BATCHING = "tf_serving_warmup_requests", "models.config", "batching.config"
# where the image tensorflow/serving has its models
SERVED_FROM = "/models"
LARGEST_BATCH = 32
# As TF Serving's guide begins on CPUs: what has come in while another batch ran is taken together, nobody waits.
BATCHING_PARAMETERS = """\
max_batch_size { value: %d }
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 100 }
"""


def protos(module: str, argument: str):
    """The messages of TF Serving; ImportError where they are not installed."""
    try:
        return import_module(f"tensorflow_serving.{module}_pb2")
    except ImportError as error:
        raise ImportError(
            f"{argument} needs tensorflow-serving-api: pip install 'keras-resnet-family[serving]', or {argument}=False"
        ) from error


def check_warmup(warmup: bool | Sequence[int] | None) -> tuple[int, ...]:
    """Returns the batch sizes: `True` is 1, `False` none. ImportError where the protos of TF Serving are not installed.

    None is 1 with the protos, and none without them.
    """
    if warmup is None:
        try:
            return check_warmup(True)
        except ImportError:
            return ()
    if isinstance(warmup, bool):
        warmup = (1,) if warmup else ()
    if not isinstance(warmup, list | tuple):
        raise ValueError(f"warmup must be None, True, False or a sequence of batch sizes. Received: {warmup!r}")
    sizes = tuple(positive(size, "warmup") for size in warmup)
    if sizes:
        protos("apis.prediction_log", "warmup")
    return sizes


def write_warmup(path: Path, name: str, signatures: Sequence[Signature], served: Served, sizes: Sequence[int]) -> None:
    """A request of random pictures for each signature and batch size."""
    height, width, channels = served.shape
    picture = np.random.default_rng(0).integers(0, 256, (height or 224, width or 224, channels), "uint8")
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            for size in sizes:
                writer.write(request(signature, name, picture, size).SerializeToString())


def request(signature: Signature, name: str, picture: np.ndarray, size: int):
    """A PredictionLog: `size` times `picture`, (h, w, c) of 0..255."""
    log = protos("apis.prediction_log", "warmup").PredictionLog()
    asked = (log.classify_log if signature.method == CLASSIFY else log.predict_log).request
    asked.model_spec.name, asked.model_spec.signature_name = name, signature.key
    values = [signature.input.request(picture)] * size
    if signature.method == CLASSIFY:
        for example in values:
            asked.input.example_list.examples.add().ParseFromString(example)
    else:
        asked.inputs[signature.input.name].CopyFrom(tf.make_tensor_proto(tf.stack(values).numpy()))
    return log


def check_batching(folder: Path, sizes: Sequence[int]) -> None:
    """ValueError where a warm-up is larger than the batches in `folder/batching.config`: no server would load that."""
    path = folder / BATCHING
    said = re.search(r"max_batch_size\s*{\s*value\s*:\s*(\d+)", path.read_text()) if path.exists() else None
    if said and max(sizes, default=0) > int(said[1]):
        raise ValueError(f"warmup must be at most {said[1]}, the max_batch_size of {path}. Received: {list(sizes)}")


def write_server_config(folder: Path, name: str, sizes: Sequence[int]) -> None:
    """Adds `name` to the models of `folder/models.config`, unless it is there; writes `folder/batching.config` once,
    for batches as large as those of the warm-up at least.

    What these files say besides stays. ValueError where `models.config` is none.
    """
    with only_one(folder):
        _write_server_config(folder, name, sizes)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Waits for other exports that write beside the models; where the system has no such locks, for nobody."""
    if os.name != "posix":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_models(folder: Path):
    """The ModelServerConfig in `folder/models.config`, empty where there is no file; ValueError where it is none."""
    from google.protobuf import text_format  # type: ignore[import-untyped]

    models = folder / MODELS
    server = protos("config.model_server_config", "server_config").ModelServerConfig()
    if models.exists():
        try:
            text_format.Parse(models.read_text(), server)
        except text_format.ParseError as error:
            raise ValueError(f"{models} must be a ModelServerConfig in text. {error}") from error
    return server


def _write_server_config(folder: Path, name: str, sizes: Sequence[int]) -> None:
    from google.protobuf import text_format

    server = read_models(folder)
    if all(model.name != name for model in server.model_config_list.config):
        server.model_config_list.config.add(name=name, base_path=f"{SERVED_FROM}/{name}", model_platform="tensorflow")
        with whole(folder / MODELS) as unfinished:
            unfinished.write_text(text_format.MessageToString(server))
    if not (folder / BATCHING).exists():
        with whole(folder / BATCHING) as unfinished:
            unfinished.write_text(BATCHING_PARAMETERS % max([LARGEST_BATCH, *sizes]))
