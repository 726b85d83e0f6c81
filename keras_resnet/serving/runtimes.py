"""What writes each format of a file, and what runs it: both are of the format's own makers."""

import json
import logging
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_resnet.layers import tf

Answer = Callable[[np.ndarray], np.ndarray]  # (b, h, w, c) -> (b, classes)

OPSET = 17  # of ONNX, from 2022: onnxruntime knows it from 1.12 on, and these nets need no more


class Work(NamedTuple):
    """A net, frozen, as a function and as a SavedModel: `image` -> `probabilities` or `embedding`, in float32."""

    function: Any  # a tf.function
    image: Any  # its TensorSpec
    saved_model: Path
    precision: str  # of the weights in the file: "float32", "float16" or "int8"
    calibration: np.ndarray | None
    metadata: dict


def as_text(metadata: dict) -> dict[str, str]:
    """Strings as they are, all else as JSON: what the fields of a model file can hold."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}


def write_onnx(work: Work, path: Path) -> None:
    import onnx
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(work.function, input_signature=[work.image], opset=OPSET)
    onnx.helper.set_model_props(proto, as_text(work.metadata))
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


def load_onnx(path: Path) -> Answer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(None, {"image": pictures})[0]


def write_litert(work: Work, path: Path) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(work.saved_model))
    if work.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if work.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if (calibration := work.calibration) is not None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ({"image": picture[None]} for picture in calibration)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf.lite.Interpreter is deprecated")  # the converter's
        path.write_bytes(converter.convert())
    # Files packed behind the model, which `unzip` finds: where TensorFlow Lite keeps labels, too.
    with zipfile.ZipFile(path, "a") as files:
        if work.metadata["labels"]:
            files.writestr("labels.txt", "".join(f"{label}\n" for label in work.metadata["labels"]))
        files.writestr("metadata.json", json.dumps(work.metadata, indent=1))


def load_litert(path: Path) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    answer = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner()
    return lambda pictures: next(iter(answer(image=pictures).values()))


def write_openvino(work: Work, path: Path) -> None:
    import openvino

    model = openvino.Core().read_model(str(work.saved_model))
    if work.calibration is not None:
        os.environ.setdefault("NNCF_CI", "1")  # else importing it reports its use to its makers
        import nncf

        nncf.set_log_level(logging.ERROR)
        one_by_one = nncf.Dataset(list(work.calibration[:, None]))
        model = nncf.quantize(model, one_by_one, subset_size=len(work.calibration))
    for key, value in as_text(work.metadata).items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, str(path), compress_to_fp16=work.precision == "float16")


def load_openvino(path: Path, precision: str = "f32") -> Answer:
    """To run in the `precision` "f32" or "bf16"; left alone, OpenVINO takes bfloat16 where the CPU has it."""
    import openvino

    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda pictures: compiled(pictures)[0]
