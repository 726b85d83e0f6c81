"""ONNX, and onnxruntime to run it."""

from pathlib import Path

from keras_resnet.serving.writing import Work, as_text

OPSET = 17  # of 2022: known to onnxruntime from 1.12 on, and with all that these nets need


def write(work: Work, path: Path) -> None:
    import onnx
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(work.function, input_signature=[work.image], opset=OPSET)
    onnx.helper.set_model_props(proto, as_text(work.metadata))
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))


def load(path: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pictures: session.run(["probabilities"], {"image": pictures})[0]
