"""The export check: what is written must give the model's logits, classes and labels, in every signature."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import export_saved_model
from keras_resnet.serving import agreement as agreement_module
from keras_resnet.serving import formats, freezing, pictures, reference, saved_model
from keras_resnet.serving.agreement import agreement
from keras_resnet.serving.saved_model import answering

REFUSED = "differs from the model"
PIXELS = keras_resnet.Preprocessing(8, 9, mean=(0.2, 0.5, 0.7), std=(0.2, 0.3, 0.4))


def clone(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def swap(model, first="conv2_block1_1_conv", second="conv2_block2_1_conv"):
    a, b = model.get_layer(first), model.get_layer(second)
    weights = a.get_weights()
    a.set_weights(b.get_weights())
    b.set_weights(weights)
    return model


def write(other, monkeypatch):
    """Exports write the weights of `other`."""

    def frozen(whole, *arguments):
        return freezing.freeze(answering(other, {"probabilities": other.outputs[0]}), *arguments)

    monkeypatch.setattr(saved_model, "freeze", frozen)
    monkeypatch.setattr(formats, "freeze", frozen)


def assert_refused(model, tmp_path, **options):
    with pytest.raises(RuntimeError, match=REFUSED):
        export_saved_model(model, tmp_path / "net", warmup=False, **options)
    assert not list((tmp_path / "net").iterdir())


@pytest.fixture(scope="module")
def cifar10():
    return keras_resnet.ResNet20(weights="cifar10")


@pytest.mark.parametrize("optimize", ["freeze", "bfloat16"])
def test_another_random_network_is_refused(optimize, tmp_path, monkeypatch):
    """Their probabilities differ by 3.5e-3 at most, because each of 1000 classes gets about 1e-3."""
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)
    net, other = (keras_resnet.ResNet18(input_shape=(64, 64, 3)) for _ in range(2))
    write(other, monkeypatch)
    assert_refused(net, tmp_path, signatures=("images",), optimize=optimize)


@pytest.mark.parametrize(("format", "suffix"), [("onnx", "onnx"), ("litert", "tflite"), ("openvino", "xml")])
def test_another_random_network_is_refused_in_files(format, suffix, tmp_path, monkeypatch):
    for module in formats.FILES[format].modules:
        pytest.importorskip(module)
    net, other = (tiny(depths=(1, 1), classes=1000) for _ in range(2))
    write(other, monkeypatch)
    with pytest.raises(RuntimeError, match=REFUSED):
        keras_resnet.export(net, tmp_path / f"net.{suffix}", format=format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("optimize", ["freeze", "bfloat16"])
def test_swapped_weights_are_refused(optimize, cifar10, tmp_path, monkeypatch):
    monkeypatch.setattr(freezing, "bfloat16_pays", lambda: True)
    write(swap(clone(cifar10)), monkeypatch)
    assert_refused(cifar10, tmp_path, signatures=("images",), optimize=optimize)


@pytest.mark.parametrize("seed", range(3))
def test_swapped_weights_of_a_random_net_are_refused(seed, tmp_path, monkeypatch):
    net = randomize(tiny(), seed)
    write(swap(clone(net)), monkeypatch)
    assert_refused(net, tmp_path, signatures=("images",))


@pytest.mark.parametrize("signatures", [("images", "image_bytes"), ("images", "classify")])
@pytest.mark.parametrize("row", [None, PIXELS], ids=["default", "preprocessing"])
def test_bgr_instead_of_rgb_is_refused(signatures, row, tmp_path, monkeypatch):
    decode = pictures.decode
    monkeypatch.setattr(pictures, "decode", lambda file: tf.reverse(decode(file), [-1]))
    assert_refused(randomize(tiny()), tmp_path, signatures=signatures, preprocessing=row)


@pytest.mark.parametrize("signatures", [("images", "image_bytes"), ("images", "classify")])
@pytest.mark.parametrize("other", ["mean", "size"])
def test_another_preprocessing_is_refused(signatures, other, tmp_path, monkeypatch):
    make = saved_model.checks.make_reader
    changed = replace(PIXELS, **{"mean": {"mean": (0.25, 0.5, 0.7)}, "size": {"resize": 12}}[other])
    monkeypatch.setattr(
        saved_model.checks, "make_reader", lambda *arguments: make(*arguments)._replace(preprocessing=changed)
    )
    assert_refused(randomize(tiny()), tmp_path, signatures=signatures, preprocessing=PIXELS)


@pytest.mark.parametrize("signature", ["images", "image_bytes", "classify"])
def test_permuted_labels_are_refused(signature, tmp_path, monkeypatch):
    served = saved_model.Served

    def permuted(core, shape, labels, *rest):
        return served(core, shape, (*labels[1:], labels[0]), *rest)

    monkeypatch.setattr(saved_model, "Served", permuted)
    signatures = tuple(dict.fromkeys(["images", signature]))
    assert_refused(randomize(tiny()), tmp_path, signatures=signatures, labels=["a", "b", "c"])


def test_another_embedding_is_refused(tmp_path, monkeypatch):
    net = randomize(tiny())
    freeze = freezing.freeze

    def scaled(whole, *arguments):
        frozen = freeze(whole, *arguments)

        def function(images):
            outputs = dict(frozen.function(images))
            return outputs | {"embedding": 1.1 * outputs["embedding"]}

        return frozen._replace(function=function)

    monkeypatch.setattr(saved_model, "freeze", scaled)
    assert_refused(net, tmp_path, signatures=("images", "embedding"))


@pytest.mark.parametrize(("format", "suffix"), [("litert", "tflite"), ("openvino", "xml")])
def test_int8_is_compared_by_logits(format, suffix, cifar10, tmp_path, monkeypatch):
    for module in formats.FILES[format].modules:
        pytest.importorskip(module)
    row = keras_resnet.PREPROCESSINGS["cifar10"]
    images = reference.model_images((32, 32, 3), row, None, count=40)
    options = dict(format=format, int8=images, overwrite=True)
    found = keras_resnet.export(cifar10, tmp_path / f"right.{suffix}", **options)["agreement"]
    assert 0.01 < found["difference"] < 0.25 and found["same_top_1"] == 40
    write(swap(clone(cifar10)), monkeypatch)
    with pytest.raises(RuntimeError, match=REFUSED):
        keras_resnet.export(cifar10, tmp_path / f"wrong.{suffix}", **options)


def test_probabilities_too_small_for_8_bits_are_refused(tmp_path):
    """LiteRT's softmax in 8 bits ends at 1/256."""
    pytest.importorskip("ai_edge_litert")
    net = tiny(depths=(1, 1), classes=1000)
    images = reference.model_images((8, 8, 3), None, None)
    with pytest.raises(RuntimeError, match=REFUSED):
        keras_resnet.export(net, tmp_path / "net.tflite", format="litert", int8=images)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize("activation", [softmax, lambda x: 1 / (1 + np.exp(-x)), lambda x: 100 * x])
def test_the_difference_is_relative_to_the_spread_of_the_logits(activation, rng):
    logits = rng.normal(size=(50, 100))
    noise = rng.normal(size=logits.shape)
    for share in (1e-3, 1e-2):
        found = agreement(activation(logits + share * noise), activation(logits), 0.1)
        assert found.difference == pytest.approx(share, rel=0.05)
        assert found.same_top_1 == 50


def test_ties_are_not_counted():
    expected = softmax(np.array([[2.0, 2.01, 0.0], [3.0, 0.0, 1.0]]))
    written = softmax(np.array([[2.01, 2.0, 0.0], [3.0, 0.0, 1.0]]))
    assert agreement(written, expected, 0.02).same_top_1 == 2
    assert agreement(written, expected, 1e-3).same_top_1 == 1


def test_what_is_not_a_number_is_refused():
    expected = softmax(np.array([[2.0, 1.0]]))
    assert agreement(np.array([[np.nan, 0.5]]), expected, 0.1).difference == np.inf


def test_tolerance(cifar10, tmp_path):
    """One meaning for all formats: the largest difference allowed."""
    for format, name in (("saved_model", "net"), ("litert", "net.tflite")):
        options = dict(format=format, **(dict(warmup=False) if format == "saved_model" else {}))
        with pytest.raises(RuntimeError, match="tolerance=1e-12"):
            keras_resnet.export(cifar10, tmp_path / name, tolerance=1e-12, **options)
        with pytest.raises(ValueError, match="tolerance must be a number, more than 0"):
            keras_resnet.export(cifar10, tmp_path / name, tolerance=0, **options)


def test_files_without_antialiasing(tmp_path):
    row = replace(PIXELS, antialias=False)
    report = export_saved_model(randomize(tiny()), tmp_path, preprocessing=row, warmup=False)
    assert report["agreement"]["same_top_1"] == report["agreement"]["pictures"] == 20


def test_gpus_are_compared_in_float32(tmp_path, monkeypatch):
    """TensorFloat-32 has 10 bits: on such GPUs the limit for float32 would refuse a right export."""
    seen, compare = [], agreement_module.agreement

    def watched(*arguments, **options):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return compare(*arguments, **options)

    monkeypatch.setattr(agreement_module, "agreement", watched)
    export_saved_model(randomize(tiny()), tmp_path, signatures=("images",), warmup=False)
    assert seen and not any(seen)
    assert tf.config.experimental.tensor_float_32_execution_enabled()
