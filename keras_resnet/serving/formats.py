"""One call for every format: written, run by the format's own runtime, compared with the model, and only then there."""

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata as packages
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import keras

from keras_resnet.errors import choose
from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.serving import checks, runtimes
from keras_resnet.serving.agreement import (
    SMALLEST,
    agreement,
    check_agreement,
    check_tolerance,
    in_batches,
    without_tf32,
)
from keras_resnet.serving.calibration import check_calibration
from keras_resnet.serving.freezing import LARGEST, check_backend, freeze, weight_bytes
from keras_resnet.serving.normalization import input_normalization
from keras_resnet.serving.portable import portable, rebuilt
from keras_resnet.serving.reference import model_images
from keras_resnet.serving.runtimes import Answer, Work
from keras_resnet.serving.saved_model import (
    answering,
    check_metadata,
    export_saved_model,
    reference_of,
    versions,
    with_softmax,
)
from keras_resnet.serving.signatures import check_labels
from keras_resnet.serving.versions import synchronize, synchronize_directory, unpublished


def export(model: keras.Model, path, *, format: str | None = None, **options) -> dict:
    """Writes a classifier as `path` in a row of FORMATS, and returns a description of what is there.

    `format` is by default that of the suffix of `path`: .onnx, .tflite or .xml; otherwise "saved_model".

    - "saved_model": a directory of versions, for TF Serving; the options are those of `export_saved_model`.
    - "onnx" (`path` ends in .onnx), "litert" (.tflite), "openvino" (.xml, with a .bin beside it): from `image`,
      (b, h, w, c), to `probabilities`, (b, classes), both float32 and of any b, with BN folded. Each needs the extra
      of its name, `pip install 'keras-resnet-family[onnx]'`. Of a model without a classifier the output is `embedding`,
      (b, features), instead.

    What was written is run by onnxruntime, LiteRT or OpenVINO and compared with the model in float32, and only then
    renamed to `path`. The options of these three:

    - `pictures`, (b, h, w, c) as the model takes them or a folder of files, to compare on; by default those of `int8`,
      or generated images. `tolerance`: see `export_saved_model`; it means the same for all formats and precisions.
    - `labels`, `preprocessing` (as for `export_saved_model`) and `metadata`, a dict, go into the file: as metadata of
      ONNX, as `model_info` of OpenVINO, as files that `unzip` finds in a .tflite.
    - `overwrite=True` to replace a file.
    - of "litert" and "openvino", `precision="float16"`: weights of half the size; or `int8`, some hundred typical
      pictures as the model takes them, an array (b, h, w, c), batches or a folder: weights and arithmetic in 8 bits.

    Raises ValueError, before anything is written, for options that the format has not, or that do not fit the model;
    ImportError that names the extra; RuntimeError for a file that differs from the model, of which nothing stays.
    """
    suffixes = {file.suffixes[-1]: name for name, file in FILES.items()}
    inferred = suffixes.get(Path(path).suffix, "saved_model")
    format = inferred if format is None else format
    row = choose(FORMATS, format, "format")
    if format == "saved_model" != inferred:
        raise ValueError(
            f"path must be a directory for the format 'saved_model', and its suffix none of {list(suffixes)}. "
            f"Received: {str(path)!r}"
        )
    for option in options:
        choose(dict.fromkeys(row.options), option, f"An option of the format {format!r}")
    return row.export(model, path, **options)


class File(NamedTuple):
    """A format of one file, or of some that are called alike."""

    suffixes: tuple[str, ...]  # in the order in which the files appear: the last is the one that is loaded
    precisions: tuple[str, ...]
    modules: tuple[str, ...]  # of the extra that is called like the format
    write: Callable[[Work, Path], None]
    load: Callable[[Path], Answer]


ALL = ("float32", "float16", "int8")
FILES = {
    "onnx": File((".onnx",), ("float32",), ("onnx", "tf2onnx", "onnxruntime"), runtimes.write_onnx, runtimes.load_onnx),
    "litert": File((".tflite",), ALL, ("ai_edge_litert",), runtimes.write_litert, runtimes.load_litert),
    "openvino": File((".bin", ".xml"), ALL, ("openvino", "nncf"), runtimes.write_openvino, runtimes.load_openvino),
}


def export_file(
    format: str,
    model: keras.Model,
    path,
    *,
    labels: str | Sequence[str] | None = None,
    preprocessing: str | Preprocessing | None = None,
    pictures=None,
    metadata: dict | None = None,
    overwrite: bool = False,
    tolerance: float | None = None,
    precision: str | None = None,
    int8=None,
) -> dict:
    kind, place = FILES[format], Path(path).expanduser()
    check_backend()
    shape, classes = checks.check_model(model)
    output = checks.output_name(model)
    names = check_labels(labels, classes, output)
    row = checks.check_preprocessing(preprocessing, model)
    own = input_normalization(model)
    takes_files = any(isinstance(given, str | os.PathLike) for given in (pictures, int8))
    reader = checks.make_reader(model, shape, row) if takes_files else None
    pictures = checks.check_pictures(pictures, shape, reader)
    if int8 is not None and precision not in (None, "int8"):
        raise ValueError(f"precision must be left out where int8 has pictures. Received: {precision!r}")
    if int8 is None and precision == "int8":
        raise ValueError("int8 must be pictures to calibrate with, where precision is 'int8'. Received: None")
    precision = "int8" if int8 is not None else precision or "float32"
    choose(dict.fromkeys(kind.precisions), precision, "precision")
    tolerance = check_tolerance(tolerance, precision)
    places = check_places(kind, place, overwrite)
    check_installed(format)
    if weight_bytes(model) > LARGEST:
        raise ValueError(
            f"model must have weights of {LARGEST / 1e9:.2f} GB at most: what converters read can hold no more. "
            f"Received: one of {weight_bytes(model) / 1e9:.2f} GB"
        )
    calibration = None if int8 is None else check_calibration(int8, model, row, reader)
    if pictures is None:
        sizes = tuple(size or 224 for size in shape)
        pictures = model_images(sizes, row, own.white if own else None) if calibration is None else calibration

    whole = answering(model, {output: model.outputs[0]})
    reference = reference_of(model, rebuilt(model, {}))
    frozen = freeze(portable(whole))
    image = tf.TensorSpec((None, *shape), tf.float32, name="image")
    function = tf.function(with_softmax(frozen.function, model), input_signature=[image], autograph=False)
    told = check_metadata(metadata) | {
        "name": model.name,
        "format": format,
        "precision": precision,
        "classes" if names else "features": classes,
        "labels": list(names),
        "preprocessing": row and asdict(row),
        "normalized_inside": own is not None,
        "folded": list(frozen.folded),
        "kept": list(frozen.kept),
        "inputs": {"image": [None, *shape]},
        "outputs": {output: [None, classes]},
        "versions": versions() | versions_of(kind.modules),
    }
    with unpublished(place.parent) as unfinished:
        saved_model = unfinished.path / "saved_model"
        tf.saved_model.save(tf.Module(), str(saved_model), signatures=function)
        (unfinished.path / "files").mkdir()
        written = unfinished.path / "files" / place.name
        kind.write(Work(function, image, saved_model, precision, calibration, told), written)
        answer = kind.load(written)
        # 8 images in batches of 7: the file is run with two batch sizes
        answers = in_batches(lambda part: {output: answer(part)}, pictures, 7)[output]
        with without_tf32():
            expected = in_batches(reference, pictures)
        smallest = 1 / 256 if (format, precision) == ("litert", "int8") else SMALLEST  # its softmax has 8 bits
        compared = agreement(answers, expected[output], tolerance, logits=expected.get("logits"), smallest=smallest)
        agreed = check_agreement(compared, tolerance)
        publish(written.parent, places)
    size = sum(place.stat().st_size for place in places)
    print(f"{place}: {size / 1e6:.1f} MB, precision={precision!r}; {agreed}")
    return {"path": str(place), "bytes": size, "agreement": agreed._asdict(), **told}


def check_places(kind: File, place: Path, overwrite: bool) -> list[Path]:
    """Where the files of `kind` go, in the order in which they appear."""
    suffix = kind.suffixes[-1]
    if place.suffix != suffix:
        raise ValueError(f"path must end in {suffix}. Received: {str(place)!r}")
    places = [place.with_suffix(suffix) for suffix in kind.suffixes]
    there = [str(place) for place in places if os.path.lexists(place)]
    if there and not overwrite:
        raise ValueError(f"path must be one that is not there yet, or overwrite=True. Received: {there[0]!r}")
    return places


def check_installed(format: str) -> None:
    missing = [module for module in FILES[format].modules if find_spec(module) is None]
    if missing:
        raise ImportError(
            f"The format {format!r} needs {', '.join(missing)}: pip install 'keras-resnet-family[{format}]'"
        )


def versions_of(modules: Sequence[str]) -> dict[str, str]:
    """Module -> version of its distribution, which for one may be of several names: onnxruntime, onnxruntime-gpu."""
    distributions = packages.packages_distributions()
    return {module: packages.version(distributions[module][0]) for module in modules if module in distributions}


def publish(written: Path, places: list[Path]) -> None:
    """From `written` to their places. The last file goes first and comes last: without it nothing loads the others."""
    synchronize(written)
    if len(places) > 1:
        places[-1].unlink(missing_ok=True)
    for place in places:
        os.replace(written / place.name, place)
    synchronize_directory(places[0].parent)


class Format(NamedTuple):
    export: Callable[..., dict]  # (model, path, **options)
    options: tuple[str, ...]


def options_of(function: Callable) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


COMMON = ("labels", "preprocessing", "pictures", "metadata", "overwrite", "tolerance")
FORMATS = {
    "saved_model": Format(export_saved_model, options_of(export_saved_model)),
    "onnx":        Format(partial(export_file, "onnx"), COMMON),
    "litert":      Format(partial(export_file, "litert"), (*COMMON, "precision", "int8")),
    "openvino":    Format(partial(export_file, "openvino"), (*COMMON, "precision", "int8")),
}  # fmt: skip
