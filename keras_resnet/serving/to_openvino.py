"""OpenVINO: its reader of SavedModels, NNCF for integers, its CPU plugin to run it."""

import logging
import os
from pathlib import Path

from keras_resnet.serving.writing import Work, as_text


def write(work: Work, path: Path) -> None:
    import openvino

    model = openvino.Core().read_model(str(work.saved_model))
    if work.calibration is not None:
        model = quantized(model, work.calibration)
    for key, value in as_text(work.metadata).items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, str(path), compress_to_fp16=work.precision == "float16")


def quantized(model, pictures):
    os.environ.setdefault("NNCF_CI", "1")  # else importing it reports the use of it to its makers
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(model, nncf.Dataset(list(pictures[:, None])), subset_size=len(pictures))


def load(path: Path):
    import openvino

    # By itself OpenVINO computes in bfloat16 where the CPU can; that is for whoever serves the file to choose.
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pictures: compiled(pictures)["probabilities"]
