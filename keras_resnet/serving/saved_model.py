"""A SavedModel as TF Serving wants it: a numbered directory, published whole, with names that stay."""

import json
import platform
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata as packages
from pathlib import Path

import keras

from keras_resnet.errors import choose, positive
from keras_resnet.layers import tf
from keras_resnet.preprocessing import Preprocessing
from keras_resnet.resnet import recursion_limit
from keras_resnet.serving import checks
from keras_resnet.serving.agreement import check_agreement, check_tolerance, compare_signatures
from keras_resnet.serving.folding import all_layers
from keras_resnet.serving.freezing import HALF, OPTIMIZE, check_backend, float32, freeze
from keras_resnet.serving.normalization import input_normalization
from keras_resnet.serving.reference import model_images
from keras_resnet.serving.server_files import (
    WARMUP,
    check_batching,
    check_warmup,
    read_models,
    write_server_config,
    write_warmup,
)
from keras_resnet.serving.signatures import PREDICT, SIGNATURES, Served, Signature, check_labels
from keras_resnet.serving.versions import check_version, unpublished


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
    pictures=None,
    tolerance: float | None = None,
    server_config: bool = False,
    metadata: dict | None = None,
) -> dict:
    """Writes a classifier as `directory/<version>/`, for TF Serving and `tf.saved_model.load`; returns a description.

    `version=None` is the highest that is there, plus one; one that is there stays, unless `overwrite`. It is written
    beside its place and renamed, so that a server that watches `directory` never sees half of it.

    `signatures` are names of SIGNATURES, in one artifact that holds the weights once; by default the first three:

    - "images" (key `serving_default`): `image`, (b, h, w, c) float32, which the model gets as it is;
    - "image_bytes": `image_bytes`, (b,) strings: JPEG, PNG, GIF or BMP, in any mix of sizes;
    - "classify": `inputs`, (b,) tf.Examples with `image/encoded`, for Classify: `classes` and `scores`, (b, k);
    - "embedding": `image` -> `embedding`, (b, features), what the last dense layer gets.

    The first two answer `probabilities` (b, classes) and, best first, `top_labels`, `top_scores`, `top_ids` (b, k),
    with k = `top_k` or all classes. Logits of a model without classifier activation go through a softmax. All numbers
    are float32 or int32: others cannot be written as JSON.

    A model without a classifier (`include_top=False, pooling="avg"`) answers `embedding` (b, features) instead, in
    "images" and "image_bytes", which are its default signatures. "classify" and `labels` are refused for it.

    `labels` are strings, or "imagenet" or "cifar10"; by default the positions of the classes. `preprocessing`, a name
    of PREPROCESSINGS or a Preprocessing, is what files go through; by default they are resized, whole, to the model's
    size, as pixels of 0..255 (with a warning where the model does not normalize them). A model may begin with layers
    that normalize (`include_preprocessing`, Normalization, Rescaling). Then files become pixels of 0..255, or of 0..1
    if such are its mean and deviation; an explicit `preprocessing` must be the same normalization, else ValueError, and
    only its size and crop are used.

    `optimize` is "freeze" (BN folded, weights as constants), "bfloat16" (the same in 16 bits, for servers that compute
    faster in it; a warning says if this machine does not), or None: variables as they are.

    What was written is loaded again, and every signature is compared with the model: signatures that take images on
    `pictures`, (b, h, w, c) as the model takes them or a folder of files, by default on generated images; signatures
    that take files on generated JPEG and PNG files, which PIL decodes and resizes for the model. The logits, the top-1
    class and the labels must agree. `tolerance` is the largest relative difference of the logits: the root mean square
    of the difference, divided by the standard deviation of the model's logits. By default it depends on the precision,
    see `serving.agreement.TOLERANCES`. The result is printed.

    `warmup` writes requests that a server answers before it is ready: True with 1 picture, or the batch sizes given.
    This needs the extra [serving]. By default (None) it is True if that is installed; otherwise a warning says that no
    requests were written.
    `server_config` adds the model to `models.config` beside `directory`, with `batching.config`. `metadata`, such as
    the source of the weights and their accuracy, goes into assets.extra/metadata.json, beside what is known there.

    Raises ValueError before anything is written for arguments that do not fit the model or each other, and
    RuntimeError if what was written differs from the model; nothing is left behind then.
    """
    directory = Path(directory).expanduser()
    if directory.name in ("", ".."):
        directory = directory.resolve()  # a server calls the model by its name
    check_backend()
    shape, classes = checks.check_model(model)
    output = checks.output_name(model)
    chosen = checks.check_signatures(signatures, output)
    version = check_version(directory, version, overwrite)
    names = check_labels(labels, classes, output)
    top_k = min(positive(top_k, "top_k"), classes)
    row = checks.check_preprocessing(preprocessing, model)
    own = input_normalization(model)
    files = [signature for signature in chosen if signature.takes_files]
    reader = checks.make_reader(model, shape, row) if files else None
    if optimize is not None:
        choose(OPTIMIZE, optimize, "optimize")
    tolerance = check_tolerance(tolerance, precision_of(model, optimize))
    sizes = check_warmup(warmup)
    pictures = checks.check_pictures(pictures, shape, reader)
    if pictures is not None and files == chosen:
        raise ValueError(f"pictures need a signature that takes images. Received: signatures={signatures}")
    told = check_metadata(metadata)
    if server_config:
        read_models(directory.parent)
        check_batching(directory.parent, sizes)

    if files and row is None and own is None:
        warnings.warn(
            f"preprocessing=None: from files {model.name!r} gets pixels of 0..255, resized and not normalized. "
            "Name the preprocessing of its weights (`model_preprocessing`), or include it in the model",
            stacklevel=2,
        )
    if warmup is None and not sizes:
        warnings.warn(
            f"{directory} is exported without warm-up requests, which need tensorflow-serving-api: "
            "pip install 'keras-resnet-family[serving]'. warmup=False exports without them and without this warning",
            stacklevel=2,
        )
    outputs = {output: model.outputs[0]}
    if SIGNATURES["embedding"] in chosen:
        outputs["embedding"] = checks.find_embedding(model)
    whole = answering(model, outputs)
    expected = Served(with_softmax(variables_core(whole), model), shape, names, top_k, reader)
    reference = reference_of(model, model)
    frozen = None if optimize is None else freeze(whole, optimize)
    served = expected._replace(core=with_softmax(frozen.function, model)) if frozen else expected
    functions = {signature.key: signature.function(served) for signature in chosen}
    if pictures is None:
        pictures = model_images(tuple(size or 224 for size in shape), row, own.white if own else None)

    with unpublished(directory) as unfinished:
        module = tf.Module()
        module.weights = [] if frozen else [weight.value for weight in model.variables]
        tf.saved_model.save(module, str(unfinished.path), signatures=functions)
        check_no_xla(unfinished.path)
        set_methods(unfinished.path, chosen)
        agreed = check_agreement(
            compare_signatures(unfinished.path, chosen, reference, reader, row, pictures, names, tolerance),
            tolerance,
        )
        extra = unfinished.path / "assets.extra"
        extra.mkdir()
        if sizes:
            write_warmup(extra / WARMUP, directory.name, chosen, served, sizes)
        told |= {
            "name": model.name,
            "classes" if names else "features": classes,
            "preprocessing": row and asdict(row),
            "normalized_inside": own is not None,
            "optimize": optimize,
            "folded": list(frozen.folded) if frozen else [],
            "kept": list(frozen.kept) if frozen else [],
            "agreement": agreed._asdict(),
            "warmup": list(sizes),
            "signatures": {key: described(function) for key, function in functions.items()},
            "versions": versions(),
        }
        (extra / "metadata.json").write_text(json.dumps(told, indent=1))
        place = unfinished.publish(version, overwrite)
    if server_config:
        write_server_config(directory.parent, directory.name, sizes)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    print(f"{place}: {size / 1e6:.1f} MB, optimize={optimize!r}; {agreed}")
    return {"path": str(place), "version": int(place.name), "bytes": size, **told}


def precision_of(model: keras.Model, optimize: str | None) -> str:
    """The coarsest type in which the artifact computes."""
    computed = {OPTIMIZE.get(optimize or "")} | {layer.compute_dtype for layer in all_layers(model)}
    return next((dtype for dtype in HALF if dtype in computed), "float32")


def check_metadata(metadata: dict | None) -> dict:
    try:
        return json.loads(json.dumps(metadata or {})) | {}
    except TypeError as error:
        raise ValueError(f"metadata must be a dict that JSON can hold. Received: {metadata!r}") from error


def answering(model: keras.Model, outputs: dict) -> keras.Model:
    """The same layers, with names for what comes out."""
    with recursion_limit(10 * len(model.layers)):
        return keras.Model(model.inputs[0], outputs, name=model.name)


def variables_core(model: keras.Model) -> Callable:
    """The model in inference as it is, with its variables, traced once."""
    image = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")
    return tf.function(lambda images: float32(model(images, training=False)), input_signature=[image], autograph=False)


def with_softmax(core: Callable, model: keras.Model) -> Callable:
    """`core` with probabilities where `model` ends in logits."""
    classifier = checks.find_classifier(model)
    if classifier is None or classifier.activation is not keras.activations.linear:
        return core

    def normalized(images):
        outputs = core(images)
        return outputs | {"probabilities": tf.nn.softmax(outputs["probabilities"])}

    return normalized


def reference_of(model: keras.Model, computed: keras.Model) -> Callable:
    """What an export of `model` is compared with: images -> a dict with `probabilities` or `embedding`, and the
    `logits` if the model ends in a dense layer on a vector. `computed` is the model or a copy of it.
    """
    name = checks.output_name(model)
    outputs = {name: computed.outputs[0]}
    classifier = checks.find_classifier(computed) if name == "probabilities" else None
    with suppress(ValueError):  # a classifier inside an inner model, or on feature maps
        outputs["embedding"] = checks.find_embedding(computed)
    core = with_softmax(variables_core(answering(computed, outputs)), model)

    def reference(images):
        found = core(tf.constant(images))
        if name == "probabilities":
            check_probabilities(found[name].numpy())
        if classifier is None or "embedding" not in outputs:
            return found
        bias = classifier.bias if classifier.use_bias else 0.0
        kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in (classifier.kernel, bias))
        return found | {"logits": found["embedding"].numpy() @ kernel.astype("float64") + bias}

    return reference


def check_probabilities(values) -> None:
    if values.min() < -1e-3 or values.max() > 1 + 1e-3:
        raise ValueError(
            "model must end in a softmax, a sigmoid, logits or an embedding. "
            f"Received: one with outputs of {values.min():.4g} to {values.max():.4g}"
        )


def check_no_xla(path: Path) -> None:
    if b"_XlaMustCompile" in (path / "saved_model.pb").read_bytes():
        raise ValueError(
            "optimize must not be None for a model with layers that Keras wraps in XLA, such as its grouped "
            "convolution: stock servers may have no compiler. Received: None"
        )


def set_methods(path: Path, chosen: Sequence[Signature]) -> None:
    """TF Serving asks for another method than TensorFlow writes, where a signature is for Classify."""
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(path))
    others = [signature for signature in chosen if signature.method != PREDICT]
    for signature in others:
        updater.replace_method_name(signature_key=signature.key, method_name=signature.method)
    if others:
        updater.save()


def described(function) -> dict:
    """Inputs and outputs of a signature: name -> shape."""
    concrete = function.get_concrete_function()
    inputs = {spec.name: spec for spec in concrete.structured_input_signature[0]}
    outputs = concrete.structured_outputs
    return {
        part: {name: list(spec.shape) for name, spec in specs.items()}
        for part, specs in (("inputs", inputs), ("outputs", outputs))
    }


def versions() -> dict[str, str]:
    """Of what made the artifact: a server older than its TensorFlow may not know an operation."""
    told = {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__}
    try:
        return told | {"keras_resnet": packages.version("keras-resnet-family")}
    except packages.PackageNotFoundError:  # run from a checkout
        return told
