"""One measurement of benchmarks.serve, in a separate process: exports a network, or measures an exported network.

    python -m benchmarks.artifacts export resnet50 "LiteRT, int8" runs/serve    # JSON: seconds, bytes, weights
    python -m benchmarks.artifacts time resnet50 "LiteRT, int8" runs/serve      # JSON: milliseconds per batch

SavedModels are loaded by the loader of TensorFlow 1 and run in TensorFlow's C++ session, as in TF Serving.
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
CALIBRATION = 32  # number of noise images: the speed does not depend on the content of the images


def export_keras(net: Net, path: Path) -> None:
    """Exports the network with Keras. If keras.applications does not have it, it is built of stock Keras layers."""
    make = keras_applications if net.keras_application else stock_keras
    make(net).export(str(path), verbose=False)


def export_ours(format: str, **options) -> Callable:
    def export(net: Net, path: Path) -> None:
        import keras_resnet

        if "int8" in options:  # random weights lose more accuracy in 8 bits than trained weights
            options.update(int8=example_images(net, CALIBRATION)[0], tolerance=2)
        model = normalized(ours(net), net)
        keras_resnet.export(model, path, format=format, **options)

    return export


def normalized(model, net: Net):
    """Sets the BN statistics to those of noise images. With the initial statistics, activations grow in each block."""
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
    """Returns the seconds to build and export the network, the bytes of all files and of the float32 weights."""
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
    """Returns batch size -> the milliseconds of each prediction, measured for `budget` seconds, at least once."""
    predict_fn = ARTIFACTS[artifact].load(path)
    images = example_images(net, max(BATCHES))[0]
    measured: dict[int, list[float]] = {}
    for batch in BATCHES:
        part = images[:batch]
        start = time.perf_counter()
        predict_fn(part)  # compiles and allocates
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
