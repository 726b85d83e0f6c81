"""`export` writes every format. ONNX, LiteRT and OpenVINO files are written by Keras' own `model.export`."""

import inspect
import json
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.errors import choose
from keras_resnet.layers import LowestPadding2D, tf
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.serving import check
from keras_resnet.serving.folding import folding
from keras_resnet.serving.freezing import as_function, pointwise
from keras_resnet.serving.images import affine, make_reader, read_folder
from keras_resnet.serving.saved_model import export_saved_model
from keras_resnet.serving.signatures import ServedModel, serve
from keras_resnet.serving.versions import unpublished

OPSET = 17  # ONNX operator set of 2022, supported since onnxruntime 1.12
MAX_CALIBRATION_IMAGES = 1000  # images used for calibration
MIN_CALIBRATION_RANGE = 0.02  # fraction of the input range of the model: images in 0..1 fill 0.004 of 0..255


def export(model: keras.Model, path, *, format: str | None = None, **options) -> dict:
    """Exports a classifier in one of the FORMATS and compares the exported file with the model.

    The input of the file is `image`, (b, h, w, c). The output is `probabilities`, (b, classes), or, for a model without
    a classifier, `embedding`, (b, features). Both are float32 with any batch size b. BN is folded. The file is run with
    onnxruntime, LiteRT or OpenVINO and compared with the model. Only then it is renamed to `path`.

    Args:
        model: A Functional or Sequential `keras.Model`, from (b, h, w, c) to (b, classes).
        path: For a SavedModel, the directory of its versions. For the other formats, a file name that ends in .onnx,
            .tflite or .xml. OpenVINO also writes a .bin file beside the .xml file.
        format: "saved_model", "onnx", "litert" or "openvino". Defaults to the format of the suffix. The last three need
            the extra of the same name, such as `pip install 'keras-resnet-family[onnx]'`.
        **options: For "saved_model", the options of `export_saved_model`. For the other formats:

            - `labels`, `preprocessing`, `tolerance`, `metadata`: as for `export_saved_model`. They are stored in the
              file: in ONNX as metadata, in OpenVINO as `model_info`, in a .tflite file as files that `unzip` extracts.
            - `overwrite`: Whether to replace an existing file.
            - `precision` (LiteRT, OpenVINO): "float16" stores weights in 16 bits.
            - `int8` (LiteRT, OpenVINO): Some hundred typical images, which calibrate 8-bit arithmetic. Either an array
              (b, h, w, c), normalized as the model expects, or a folder of files. The exported file is compared with
              the model on these images.

    Returns:
        A dict with `path`, `bytes`, `agreement` and the metadata.

    Raises:
        ValueError: If the options do not fit the format or the model. Nothing was written.
        ImportError: If an extra is missing. The message names the extra.
        RuntimeError: If the exported file differs from the model. The file was deleted.

    Example:
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> keras_resnet.export(model, "resnet20.onnx", labels="cifar10")["agreement"]["same_top_1"]
        8
    """
    suffixes = {file.suffixes[-1]: name for name, file in FILES.items()}
    inferred = suffixes.get(Path(path).suffix, "saved_model")
    format = inferred if format is None else format
    function = choose(FORMATS, format, "format")
    if format != inferred:
        wanted = "end in " + FILES[format].suffixes[-1] if format in FILES else f"not end in any of {list(suffixes)}"
        raise ValueError(f"path must {wanted} for the format {format!r}. Received: {str(path)!r}")
    parameters = inspect.signature(function).parameters
    allowed = {name: name for name in parameters if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY}
    for option in options:
        choose(allowed, option, f"An option of the format {format!r}")
    return function(model, path, **options)


def export_file(
    format: str,
    model: keras.Model,
    path,
    *,
    labels: str | Sequence[str] | None = None,
    preprocessing: str | Preprocessing | None = None,
    metadata: dict | None = None,
    overwrite: bool = False,
    tolerance: float | None = None,
    precision: str | None = None,
    int8=None,
) -> dict:
    kind, place = FILES[format], Path(path).expanduser()
    served = serve(model, labels, preprocessing)
    precision = precision or ("float32" if int8 is None else "int8")
    choose(dict.fromkeys(kind.precisions), precision, "precision")
    if (precision == "int8") != (int8 is not None):
        raise ValueError(f"int8 must be images if precision is 'int8', and only then. Received: {precision!r}")
    tolerance = check.check_tolerance(tolerance, model, precision)
    images = check.sample_images(served) if int8 is None else check_calibration(int8, served)
    places = [place.with_suffix(suffix) for suffix in kind.suffixes]
    if not overwrite and any(map(os.path.lexists, places)):
        raise ValueError(f"path must not exist yet, or overwrite=True. Received: {str(place)!r}")
    if missing := [module for module in kind.modules if find_spec(module) is None]:
        raise ImportError(f"{format!r} needs {', '.join(missing)}: pip install 'keras-resnet-family[{format}]'")
    metadata = json.loads(json.dumps(metadata or {})) | served.describe()
    metadata |= {"format": format, "precision": precision, "labels": list(served.labels)}

    folded = folding(served.model, in_float32, FLOAT32_CLASSES).model
    image = keras.InputSpec(shape=(None, *served.shape), dtype="float32", name="image")
    with unpublished(place.parent) as folder:
        source, written = folder / f"keras{place.suffix}", folder / place.name
        options = kind.options(precision, images)
        folded.export(str(source), format=format, verbose=False, input_signature=[image], **options)
        kind.finish(source, written, served.output, precision, images, metadata)
        run, reference = kind.load(written), as_function(served.reference)
        parts = [images[start : start + 7] for start in range(0, len(images), 7)]  # 8 images give batches of 7 and 1
        with check.without_tf32():
            found = [reference(part) for part in parts]
        expected = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        smallest = 1 / 256 if (format, precision) == ("litert", "int8") else check.SMALLEST  # int8 softmax: 8 bits
        outputs = np.concatenate([run(part) for part in parts])
        agreed = check.compare({served.output: outputs}, expected, tolerance, smallest=smallest)
        check.check_agreement(agreed, tolerance)
        places[-1].unlink(missing_ok=True)  # the other files are not loaded without the last file
        for place in places:
            os.replace(folder / place.name, place)
    size = sum(place.stat().st_size for place in places)
    print(f"{place}: {size / 1e6:.1f} MB, precision={precision!r}; {agreed}")
    return {"path": str(place), "bytes": size, "agreement": agreed._asdict(), **metadata}


def check_calibration(int8, served: ServedModel) -> np.ndarray:
    """Returns float32 images. Raises ValueError if their size or their range of values does not fit the model."""
    shape, row, white = served.shape, served.row, served.white
    if isinstance(int8, str | os.PathLike):
        int8 = read_folder(Path(int8).expanduser(), make_reader(shape, row, white))
    images = np.asarray(int8)[:MAX_CALIBRATION_IMAGES]
    fits = images.ndim == 4 and all(b in (None, a) for a, b in zip(images.shape[1:], shape, strict=True))
    if not fits or not len(images) or not np.issubdtype(images.dtype, np.number) or not np.isfinite(images).all():
        raise ValueError(
            f"int8 must be finite numbers (b, h, w, c) as the model takes them, {shape}, or a folder of files. "
            f"Received: the shape {images.shape}, {images.dtype}"
        )
    low, high, limits = images.min(), images.max(), check.limits(images.shape[-1], row, white)
    least, most = limits.min(), limits.max()
    margin = 0.01 * (most - least)
    outside = low < least - margin or high > most + margin or high - low < MIN_CALIBRATION_RANGE * (most - least)
    if outside and (row or white):
        raise ValueError(
            f"int8 must be images as the model takes them, of {least:.4g} to {most:.4g}. "
            f"Received: numbers of {low:.4g} to {high:.4g}"
        )
    return images.astype("float32")


# ------------------------------------------------------------------------------- layers that all formats can represent


class MirroredPadding2D(keras.layers.ZeroPadding2D):
    """Pads with the border pixels, which does not change a maximum. Quantized integers have no minus infinity."""

    def call(self, x):
        return keras.ops.pad(x, [(0, 0), *self.padding, (0, 0)], mode="symmetric")


def as_rescaling(layer: keras.layers.Normalization, config: dict):
    """Returns an equivalent Rescaling layer. The ONNX export does not support the statistics of a Normalization."""
    step = affine(layer)
    if step is None:
        return keras.layers.Normalization.from_config(config)
    scale, offset = (values.tolist() for values in step)
    return keras.layers.Rescaling(scale, offset, name=config["name"], dtype=config["dtype"])


# Class of a layer (subclasses are excluded) -> an equivalent layer that all formats can represent.
FLOAT32_CLASSES: dict[type, Any] = {
    LowestPadding2D: MirroredPadding2D,
    keras.layers.Normalization: as_rescaling,
    keras.layers.Dense: pointwise,
}


def in_float32(model: keras.Model) -> dict[str, str]:
    return {layer.name: "float32" for layer in model.layers if not getattr(layer, "quantization_mode", None)}


# ------------------------------------------------------------------------------------------------------------ formats


def as_text(metadata: dict) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}


def finish_onnx(source: Path, written: Path, output: str, precision: str, images, metadata: dict) -> None:
    import onnx

    model = onnx.load(str(source))
    for node in model.graph.node:
        node.output[:] = [output if name == model.graph.output[0].name else name for name in node.output]
    model.graph.output[0].name = output
    onnx.helper.set_model_props(model, as_text(metadata))
    onnx.checker.check_model(model)
    onnx.save(model, str(written))


def load_onnx(path: Path) -> Callable:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images})[0]


def litert_options(precision: str, images: np.ndarray) -> dict:
    builtins = tf.lite.OpsSet.TFLITE_BUILTINS_INT8 if precision == "int8" else tf.lite.OpsSet.TFLITE_BUILTINS
    options: dict[str, Any] = {"target_spec": {"supported_ops": [builtins]}}
    if precision != "float32":
        options["optimizations"] = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        options["target_spec"]["supported_types"] = [tf.float16]
    if precision == "int8":
        options["representative_dataset"] = lambda: ({"image": image[np.newaxis]} for image in images)
    return options


def finish_litert(source: Path, written: Path, output: str, precision: str, images, metadata: dict) -> None:
    import zipfile

    os.rename(source, written)
    with zipfile.ZipFile(written, "a") as files:  # appended after the model, as TensorFlow Lite's own labels
        files.writestr("labels.txt", "".join(f"{label}\n" for label in metadata["labels"]))
        files.writestr("metadata.json", json.dumps(metadata, indent=1))


def load_litert(path: Path) -> Callable:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(str(path), num_threads=os.cpu_count()).get_signature_runner("serving_default")
    return lambda images: next(iter(run(image=images).values()))


def finish_openvino(source: Path, written: Path, output: str, precision: str, images, metadata: dict) -> None:
    import openvino

    model = openvino.Core().read_model(str(source))
    if precision == "int8":
        os.environ.setdefault("NNCF_CI", "1")  # otherwise the import of nncf sends usage data
        import nncf

        nncf.set_log_level(logging.ERROR)
        model = nncf.quantize(model, nncf.Dataset(list(images[:, np.newaxis])), subset_size=len(images))
    model.outputs[0].get_tensor().set_names({output})
    for key, value in as_text(metadata).items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, str(written), compress_to_fp16=precision == "float16")


def load_openvino(path: Path, precision: str = "f32") -> Callable:
    """Loads a model that computes in `precision`, "f32" or "bf16". OpenVINO's default is bfloat16 on CPUs with it."""
    import openvino

    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda images: compiled(images)[0]


class File(NamedTuple):
    """A file format. An exported model is one or more files with the same stem."""

    suffixes: tuple[str, ...]  # in the order of renaming; users load the last file
    precisions: tuple[str, ...]
    modules: tuple[str, ...]  # modules of the extra, which has the name of the format
    options: Callable[[str, np.ndarray], dict]  # options of model.export
    finish: Callable  # adds the metadata to the file that Keras wrote
    load: Callable[[Path], Callable]


ALL_PRECISIONS = ("float32", "float16", "int8")
FILES = {
    "onnx": File(
        (".onnx",), ALL_PRECISIONS[:1], ("onnx", "tf2onnx", "onnxruntime"),
        lambda *_: {"opset_version": OPSET}, finish_onnx, load_onnx,
    ),
    "litert": File((".tflite",), ALL_PRECISIONS, ("ai_edge_litert",), litert_options, finish_litert, load_litert),
    "openvino": File(
        (".bin", ".xml"), ALL_PRECISIONS, ("openvino", "nncf"), lambda *_: {}, finish_openvino, load_openvino,
    ),
}  # fmt: skip
FORMATS: dict[str, Callable[..., dict]] = {
    "saved_model": export_saved_model,
    **{name: partial(export_file, name) for name in FILES},
}
