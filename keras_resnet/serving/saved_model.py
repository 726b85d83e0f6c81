"""SavedModels for TF Serving: numbered directories that appear whole, with fixed names of inputs and outputs."""

import json
from collections.abc import Sequence
from pathlib import Path

import keras

from keras_resnet.errors import choose, positive, warn
from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.serving.check import check_agreement, check_tolerance, compare_signatures
from keras_resnet.serving.freezing import OPTIMIZE, as_function, freeze
from keras_resnet.serving.images import make_reader
from keras_resnet.serving.server_files import WARMUP, check_warmup, read_models, write_server_config, write_warmup
from keras_resnet.serving.signatures import PREDICT, Signature, choose_signatures, extras_of, serve
from keras_resnet.serving.versions import check_version, publish, unpublished


def export_saved_model(
    model: keras.Model,
    directory,
    *,
    version: int | None = None,
    overwrite: bool = False,
    signatures: Sequence[str] | None = None,
    labels: str | Sequence[str] | None = None,
    top_k: int = 5,
    preprocessing: str | Preprocessing | None = None,
    optimize: str | None = "freeze",
    warmup: bool | Sequence[int] | None = None,
    tolerance: float | None = None,
    server_config: bool = False,
    metadata: dict | None = None,
) -> dict:
    """Writes a classifier as `directory/<version>/`, for TF Serving and `tf.saved_model.load`.

    The version is written to a hidden directory beside it, loaded again, compared with the model and then renamed: a
    server that watches `directory` never sees a part of it. It is compared on generated images, and, for signatures
    that take files, on generated JPEG and PNG files, which PIL decodes and resizes. The result is printed.

    The signatures share one copy of the weights:

    - "images" (key `serving_default`): `image`, (b, h, w, c) float32, which the model gets as it is;
    - "image_bytes": `image_bytes`, (b,) strings: JPEG, PNG, GIF or BMP files, in any mix of sizes;
    - "classify": `inputs`, (b,) tf.Examples with `image/encoded`, for the Classify API: `classes` and `scores`, (b, k);
    - "embedding", on request: `image` -> `embedding`, (b, features), what the last dense layer gets;
    - "cam", on request: `image` -> `cam`, (b, h, w) in 0..1, the class activation map of the top-1 class as `explain`
      returns it, for models that end in global average pooling and one dense layer; "cam_bytes" is the same for files,
      at the size of the model's images.

    The first two output `probabilities` (b, classes) and, best first, `top_labels`, `top_scores`, `top_ids` (b, k).
    Logits of a model without classifier activation go through a softmax. All numbers are float32 or int32: TF Serving
    cannot write others as JSON. A model without a classifier (`include_top=False, pooling="avg"`) outputs `embedding`
    (b, features) instead, in "images" and "image_bytes"; "classify" and `labels` are refused for it.

    Args:
        model: A Functional or Sequential `keras.Model`, from (b, h, w, c) to (b, classes).
        directory: The directory of the versions. Its name is the name of the model on the server.
        version: A positive integer. Defaults to the highest version plus one.
        overwrite: Whether to replace `version` if it exists.
        signatures: Names of SIGNATURES. Defaults to all but those on request.
        labels: Names of the classes, or "imagenet" or "cifar10". Defaults to `model.class_names` of a network
            that has them, and otherwise to the positions of the classes.
        top_k: Number of best classes in the outputs, at most the number of classes.
        preprocessing: A name of PREPROCESSINGS or a `Preprocessing`: what files go through. Defaults to that of the
            network which `model` is, or begins with, at the size of its images. If that is not known, files are resized
            to the size of the model, as pixels of 0 to 255, with a warning if the model does not normalize them. If
            the model begins with layers that normalize (`include_preprocessing`, Normalization, Rescaling), files
            become pixels of 0 to 255, or of 0 to 1 if its mean and deviation are those of such pixels; then
            `preprocessing` must be the same normalization, and only its size and crop are used.
        optimize: "freeze" (BN folded, weights as constants), "bfloat16" (computed in 16 bits as well, for servers that
            are faster in it) or None (variables as they are).
        warmup: Batch sizes of the requests that a server runs before it is ready; True is 1, False is none. Needs the
            extra [serving]. By default True if it is installed; otherwise a warning says that none were written.
        tolerance: The largest relative difference of the logits: the root mean square of the difference, divided by the
            standard deviation of the model's logits. Defaults to that of the precision in `serving.check.TOLERANCES`.
        server_config: Whether to add the model to `models.config` beside `directory`.
        metadata: Goes into `assets.extra/metadata.json`, such as the source of the weights and their accuracy.

    Returns:
        A dict with `path`, `version`, `bytes`, `agreement`, `signatures` and all else that is in `metadata.json`.

    Raises:
        ValueError: If the arguments do not fit the model or each other. Nothing was written.
        RuntimeError: If what was written differs from the model. It was deleted.

    Example:
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> options = dict(labels="cifar10", preprocessing="cifar10")
        >>> keras_resnet.export_saved_model(model, "models/resnet20", **options)["path"]
        'models/resnet20/1'
    """
    directory = Path(directory).expanduser()
    if directory.name in ("", ".."):
        directory = directory.resolve()  # its name is that of the model
    if optimize is not None:
        choose(OPTIMIZE, optimize, "optimize")
    served = serve(model, labels, preprocessing, extras=extras_of(signatures))
    chosen, top_k = choose_signatures(signatures, served.output), positive(top_k, "top_k")
    version = check_version(directory, version, overwrite)
    takes_files = any(signature.decode for signature in chosen)
    reader = make_reader(served.shape, served.row, served.white) if takes_files else None
    tolerance = check_tolerance(tolerance, model, optimize)
    sizes = check_warmup(warmup)
    metadata = json.loads(json.dumps(metadata or {})) | served.describe()
    if server_config:
        read_models(directory.parent)
    if reader and served.row is None and served.white is None:
        warn(
            f"preprocessing=None: files become pixels of 0 to 255 for {model.name!r}, resized and not normalized. "
            "Name the preprocessing of its weights (`model_preprocessing`), or include it in the model"
        )
    if warmup is None and not sizes:
        warn(
            f"{directory} is exported without warm-up requests, which need tensorflow-serving-api: "
            "pip install 'keras-resnet-family[serving]'. warmup=False exports without them and without this warning"
        )

    frozen = None if optimize is None else freeze(served.model, optimize)
    core = frozen.function if frozen else as_function(served.model)
    functions = {one.key: one.function(core, served.shape, reader, served.labels, top_k) for one in chosen}
    with unpublished(directory) as path:
        module = tf.Module()
        module.weights = [] if frozen else [weight.value for weight in served.model.variables]
        tf.saved_model.save(module, str(path), signatures=functions)
        check_no_xla(path)
        set_methods(path, chosen)
        agreed = check_agreement(compare_signatures(path, chosen, served, reader, tolerance), tolerance)
        metadata |= {
            "optimize": optimize,
            "folded": list(frozen.folded) if frozen else [],
            "kept": list(frozen.kept) if frozen else [],
            "agreement": agreed._asdict(),
            "warmup": list(sizes),
            "signatures": {key: shapes_of(function) for key, function in functions.items()},
        }
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / "metadata.json").write_text(json.dumps(metadata, indent=1))
        if sizes:
            write_warmup(path / "assets.extra" / WARMUP, directory.name, chosen, served.shape, sizes)
        place = publish(path, directory, version)
    if server_config:
        write_server_config(directory.parent, directory.name)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    print(f"{place}: {size / 1e6:.1f} MB, optimize={optimize!r}; {agreed}")
    return {"path": str(place), "version": int(place.name), "bytes": size, **metadata}


def check_no_xla(path: Path) -> None:
    if b"_XlaMustCompile" in (path / "saved_model.pb").read_bytes():
        raise ValueError(
            "optimize must not be None for a model with layers that Keras compiles by XLA, such as its grouped "
            "convolution: the server may have no compiler. Received: None"
        )


def set_methods(path: Path, chosen: Sequence[Signature]) -> None:
    """Sets the method of signatures for Classify; TensorFlow writes "predict" for all."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(path))
    others = [signature for signature in chosen if signature.method != PREDICT]
    for signature in others:
        updater.replace_method_name(signature_key=signature.key, method_name=signature.method)
    if others:
        updater.save()


def shapes_of(function) -> dict:
    """Returns the names and shapes of the inputs and the outputs of a signature."""
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in concrete.structured_input_signature[0]}
    parts = {"inputs": inputs, "outputs": concrete.structured_outputs}
    return {part: {name: list(spec.shape) for name, spec in specs.items()} for part, specs in parts.items()}
