"""Requests that a server answers before it says that it is ready: assets.extra/tf_serving_warmup_requests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_resnet.errors import positive
from keras_resnet.layers import tf
from keras_resnet.serving.signatures import CLASSIFY, Served, Signature

FILE = "tf_serving_warmup_requests"


def check_warmup(warmup: bool | Sequence[int]) -> tuple[int, ...]:
    """The batch sizes: `True` is 1, `False` none. ImportError where the protos of TF Serving are not installed."""
    if isinstance(warmup, bool):
        sizes = (1,) if warmup else ()
    elif isinstance(warmup, Sequence) and not isinstance(warmup, str):
        sizes = tuple(positive(size, "warmup") for size in warmup)
    else:
        raise ValueError(f"warmup must be True, False or a sequence of batch sizes. Received: {warmup!r}")
    if sizes:
        _protos()
    return sizes


def _protos():
    try:
        from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Warm-up requests need tensorflow-serving-api: pip install 'keras-resnet-family[serving]', or warmup=False"
        ) from error
    return prediction_log_pb2


def write_warmup(
    folder: Path, name: str, signatures: Sequence[Signature], served: Served, sizes: Sequence[int]
) -> None:
    """A request of random pictures for each signature and batch size."""
    height, width, channels = served.shape
    picture = np.random.default_rng(0).integers(0, 256, (height or 224, width or 224, channels), "uint8")
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for signature in signatures:
            for size in sizes:
                writer.write(request(signature, name, picture, size).SerializeToString())


def request(signature: Signature, name: str, picture: np.ndarray, size: int):
    """A PredictionLog: `size` times `picture`, (h, w, c) of 0..255."""
    log = _protos().PredictionLog()
    asked = (log.classify_log if signature.method == CLASSIFY else log.predict_log).request
    asked.model_spec.name, asked.model_spec.signature_name = name, signature.key
    values = [signature.input.request(picture)] * size
    if signature.method == CLASSIFY:
        for example in values:
            asked.input.example_list.examples.add().ParseFromString(example)
    else:
        asked.inputs[signature.input.name].CopyFrom(tf.make_tensor_proto(np.array(values), signature.input.dtype))
    return log
