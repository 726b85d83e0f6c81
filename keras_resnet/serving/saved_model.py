"""SavedModels for TF Serving, in numbered directories. Each directory is written completely and then renamed."""

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

    The export is first written to a hidden directory inside `directory`, loaded again and compared with the model. Then
    it is renamed, so that a server that watches `directory` never sees an incomplete version. The comparison uses
    generated images. Signatures that take files are compared on generated JPEG and PNG files, with PIL as the reference
    for decoding and resizing. The result of the comparison is printed.

    The signatures share one copy of the weights:

    - "images" (key `serving_default`): Input `image`, (b, h, w, c) float32, passed to the model unchanged.
    - "image_bytes": Input `image_bytes`, (b,) strings: JPEG, PNG, GIF or BMP files. Their sizes may differ.
    - "classify": For the Classify API. Input `inputs`, (b,) tf.Examples with the feature `image/encoded`. Outputs
      `classes` and `scores`, (b, k).
    - "embedding", on request: Input `image`. Output `embedding`, (b, features), the input of the last dense layer.
    - "cam", on request: Input `image`. Output `cam`, (b, h, w) in 0..1, the class activation map of the top-1 class as
      `explain` returns it. The model must end in global average pooling and one dense layer.
    - "cam_bytes", on request: The same for files. The maps have the size of the model's images.

    "images" and "image_bytes" output `probabilities` (b, classes) and `top_labels`, `top_scores`, `top_ids` (b, k),
    sorted from best to worst. If the model outputs logits, a softmax is applied. All numbers are float32 or int32: TF
    Serving cannot write other types as JSON. For a model without a classifier (`include_top=False, pooling="avg"`),
    "images" and "image_bytes" output `embedding` (b, features) instead. "classify" and `labels` are not allowed for
    such a model.

    Args:
        model: A Functional or Sequential `keras.Model`, from (b, h, w, c) to (b, classes).
        directory: The directory of the versions. Its name is the name of the model on the server.
        version: A positive integer. Defaults to the highest version plus one.
        overwrite: Whether to replace `version` if it exists.
        signatures: Names of SIGNATURES. Defaults to all signatures that are not on request.
        labels: Names of the classes, or "imagenet" or "cifar10". Defaults to `model.class_names` if the model is a
            network with class names, otherwise to the indices of the classes.
        top_k: Number of best classes in the outputs. It is reduced to the number of classes if that is smaller.
        preprocessing: A name of PREPROCESSINGS or a `Preprocessing` that is applied to files. Defaults to the
            preprocessing of the network that `model` is or begins with, at the size of its images. If it is not known,
            files are resized to the size of the model and their pixels are in 0..255. A warning is issued if the model
            does not normalize such pixels. If the model begins with layers that normalize (`include_preprocessing`,
            Normalization, Rescaling), pixels of files are in 0..255, or in 0..1 if the mean and standard deviation of
            these layers are for 0..1. Then `preprocessing` must have the same normalization, and only its size and crop
            are used.
        optimize: "freeze" (BN folded, constant weights), "bfloat16" (also computes in 16 bits, for servers on which
            this is faster) or None (the variables are unchanged).
        warmup: Batch sizes of the requests that a server runs before it is ready. True means batch size 1, False means
            no requests. Needs the extra [serving]. Defaults to True if the extra is installed. Otherwise no requests
            are written and a warning is issued.
        tolerance: Largest allowed relative difference of the logits: the root mean square of the difference, divided by
            the standard deviation of the model's logits. Defaults to the value of the precision in
            `serving.check.TOLERANCES`.
        server_config: Whether to add the model to `models.config` beside `directory`.
        metadata: A dict that is written to `assets.extra/metadata.json`, such as the source of the weights and their
            accuracy.

    Returns:
        A dict with `path`, `version`, `bytes`, `agreement`, `signatures` and all other entries of `metadata.json`.

    Raises:
        ValueError: If the arguments do not fit the model or each other. Nothing was written.
        RuntimeError: If the exported model differs from the model. The export was deleted.

    Example:
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> options = dict(labels="cifar10", preprocessing="cifar10")
        >>> keras_resnet.export_saved_model(model, "models/resnet20", **options)["path"]
        'models/resnet20/1'
    """
    directory = Path(directory).expanduser()
    if directory.name in ("", ".."):
        directory = directory.resolve()  # the directory's name is the model's name
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
    """Sets the method name of Classify signatures. TensorFlow writes the method "predict" for all signatures."""
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
