"""A SavedModel as TF Serving wants it: a numbered directory, published whole, with names that stay."""

import os
import shutil
import tempfile
from pathlib import Path

import keras

from keras_resnet.errors import positive
from keras_resnet.layers import tf


def export_saved_model(model: keras.Model, directory, *, version: int | None = None) -> dict:
    """Writes `model` as `directory/<version>/`, for TF Serving and `tf.saved_model.load`.

    The signature `serving_default` takes `image`, (b, h, w, c), and answers `probabilities`, (b, classes), both float32
    (16 bits cannot be written as JSON). `version=None` is the highest that is there, plus one. It is written beside
    its place and renamed, so that a server that watches `directory` never sees half of it.

    Returns a description: `path`, `version`, `signatures` (name -> inputs and outputs with shapes), `bytes`.
    Raises ValueError where the model has not one input (b, h, w, c) and one output (b, classes), the version is there
    already or is not a positive integer, or Keras does not run on TensorFlow.
    """
    if tf is None:
        raise ValueError(
            "export_saved_model needs Keras' TensorFlow backend: save the model as .keras, and export it from there. "
            f"Received: the backend {keras.backend.backend()!r}"
        )
    ranks = [len(x.shape) for x in (*model.inputs, *model.outputs)]
    if len(model.inputs) != 1 or ranks != [4, 2]:
        raise ValueError(
            "model must have one input (b, h, w, c) and one output (b, classes). "
            f"Received: inputs {[x.shape for x in model.inputs]}, outputs {[y.shape for y in model.outputs]}"
        )
    directory = Path(directory).expanduser()
    version = _next_version(directory) if version is None else positive(version, "version")
    place = directory / str(version)
    if place.exists():
        raise ValueError(f"version must be one that is not in {directory} yet. Received: {version}")

    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")
    archive = keras.export.ExportArchive()
    # Not track(model): that would write every weight twice (github.com/keras-team/keras/issues/23553).
    archive.add_endpoint(
        "serving_default",
        lambda image: {"probabilities": tf.cast(model(image, training=False), tf.float32)},
        input_signature=[image],
    )
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = tempfile.mkdtemp(prefix=f".{version}-", dir=directory)  # no server takes that for a version
    try:
        archive.write_out(unfinished, verbose=False)
        os.chmod(unfinished, 0o755)
        os.rename(unfinished, place)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise

    outputs = {"probabilities": tuple(model.outputs[0].shape)}
    return {
        "path": str(place),
        "version": version,
        "signatures": {"serving_default": {"inputs": {"image": tuple(image.shape)}, "outputs": outputs}},
        "bytes": sum(path.stat().st_size for path in place.rglob("*") if path.is_file()),
    }


def _next_version(directory: Path) -> int:
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1
