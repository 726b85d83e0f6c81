"""LiteRT, formerly TensorFlow Lite: TensorFlow's converter, and ai-edge-litert to run it."""

import json
import os
import warnings
import zipfile
from pathlib import Path

from keras_resnet.layers import tf
from keras_resnet.serving.writing import Work


def write(work: Work, path: Path) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(work.saved_model))
    if work.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if work.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if work.calibration is not None:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ({"image": picture[None]} for picture in work.calibration)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*tf.lite.Interpreter is deprecated")  # the converter's own
        path.write_bytes(converter.convert())
    # As the task library of TensorFlow Lite has it: files packed behind the model, which `unzip` finds.
    with zipfile.ZipFile(path, "a") as files:
        files.writestr("labels.txt", "".join(f"{label}\n" for label in work.metadata["labels"]))
        files.writestr("metadata.json", json.dumps(work.metadata, indent=1))


def load(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    answer = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner()
    return lambda pictures: answer(image=pictures)["probabilities"]
