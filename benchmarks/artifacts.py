"""One side of a comparison of what is served, in a process of its own: exports a net, or times what was exported.

    python -m benchmarks.artifacts export resnet50 "LiteRT, int8" runs/serve    # JSON: seconds, bytes, weights
    python -m benchmarks.artifacts time resnet50 "LiteRT, int8" runs/serve      # JSON: milliseconds a batch

SavedModels run in TensorFlow's C++ session, which is what TF Serving runs, by the loader of TensorFlow 1.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers import NETS, MissingPeer, Net, example_images, keras_applications, ours, stock_keras
from keras_resnet.serving.formats import load_litert, load_onnx, load_openvino

BATCHES = (1, 8)
CALIBRATION = 32  # images; of noise, for speed does not ask what is on them


def export_keras(net: Net, path: Path) -> None:
    """As Keras does it; where keras.applications has no such net, the same of Keras' own layers."""
    make = keras_applications if net.keras_application else stock_keras
    make(net).export(str(path), verbose=False)


def export_ours(format: str, **options) -> Callable:
    def export(net: Net, path: Path) -> None:
        import keras_resnet

        if "int8" in options:  # random weights lose more in 8 bits than trained ones
            options.update(int8=example_images(net, CALIBRATION)[0], tolerance=2)
        model = normalized(ours(net), net)
        keras_resnet.export(model, path, format=format, **options)

    return export


def normalized(model, net: Net):
    """The model with the statistics of noise in its BN: as they begin, numbers grow from block to block."""
    norms = [layer for layer in model.layers if hasattr(layer, "moving_mean")]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(example_images(net, 8)[0], training=True)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return model


def session(path: Path) -> Callable:
    import tensorflow as tf

    v1 = tf.compat.v1
    (folder,) = path.glob("[0-9]*") if not (path / "saved_model.pb").exists() else [path]
    run = v1.Session(graph=tf.Graph())
    with run.graph.as_default():
        signature = v1.saved_model.load(run, ["serve"], str(folder)).signature_def["serving_default"]
        outputs = signature.outputs
        fetch = outputs["probabilities" if "probabilities" in outputs else "output_0"].name
        (image,) = [tensor.name for tensor in signature.inputs.values()]
        return run.make_callable(fetch, [image])


def in_bfloat16(path: Path) -> Callable:
    return load_openvino(path, "bf16")


class Artifact(NamedTuple):
    suffix: str
    export: Callable[[Net, Path], None]
    load: Callable[[Path], Callable]


BASELINE = "Keras, model.export"
ARTIFACTS = {
    BASELINE:             Artifact("", export_keras, session),
    "ours, as it is":     Artifact("", export_ours("saved_model", optimize=None), session),
    "ours, frozen":       Artifact("", export_ours("saved_model", optimize="freeze"), session),
    "ours, bfloat16":     Artifact("", export_ours("saved_model", optimize="bfloat16"), session),
    "ONNX":               Artifact(".onnx", export_ours("onnx"), load_onnx),
    "LiteRT":             Artifact(".tflite", export_ours("litert"), load_litert),
    "LiteRT, int8":       Artifact(".tflite", export_ours("litert", int8=None), load_litert),
    "OpenVINO":           Artifact(".xml", export_ours("openvino"), load_openvino),
    "OpenVINO, bfloat16": Artifact(".xml", export_ours("openvino", precision="float16"), in_bfloat16),
    "OpenVINO, int8":     Artifact(".xml", export_ours("openvino", int8=None), load_openvino),
}  # fmt: skip


def place(name: str, artifact: str, directory: Path) -> Path:
    return directory / name / (artifact.replace(",", "").replace(" ", "_") + ARTIFACTS[artifact].suffix)


def export(net: Net, artifact: str, path: Path) -> dict:
    """Seconds with the building of the net, bytes of all files, bytes of the weights in float32."""
    import keras

    keras.layers.Dense(1)(keras.Input((1,)))
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    ARTIFACTS[artifact].export(net, path)
    seconds = time.perf_counter() - start
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return {
        "seconds": seconds,
        "bytes": sum(file.stat().st_size for file in files if file.is_file()),
        "weights": 4 * ours(net).count_params(),
    }


def milliseconds(net: Net, artifact: str, path: Path, budget: float) -> dict[int, list[float]]:
    """A batch size -> of single answers, as many as `budget` seconds have room for, but one at least."""
    predict_fn = ARTIFACTS[artifact].load(path)
    images = example_images(net, max(BATCHES))[0]
    measured: dict[int, list[float]] = {}
    for batch in BATCHES:
        part = images[:batch]
        start = time.perf_counter()
        predict_fn(part)  # compile, allocate
        if time.perf_counter() - start < budget:
            predict_fn(part)
        calls: list[float] = []
        end = time.perf_counter() + budget
        while not calls or time.perf_counter() < end:
            start = time.perf_counter()
            predict_fn(part)
            calls.append(1000 * (time.perf_counter() - start))
        measured[batch] = calls
    return measured


def main(arguments: list[str]) -> None:
    kind, name, artifact, directory, *budget = arguments
    net, path = NETS[name], place(name, artifact, Path(directory))
    result: dict
    try:
        if kind == "export":
            result = export(net, artifact, path)
        else:
            result = {"milliseconds": milliseconds(net, artifact, path, float(*budget or ["3"]))}
    except (MissingPeer, ImportError) as error:
        result = {"missing": f"{error}"}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
