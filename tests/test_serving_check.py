"""Tests of the export check: every signature must return the model's logits, classes and labels."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny

import keras_resnet
from keras_resnet import activation_maps, export_saved_model
from keras_resnet.serving import check, formats, freezing, images, saved_model, signatures
from keras_resnet.serving.check import agreement

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
    """Makes exports write the weights of the model `other`."""

    def serve(*arguments, **options):
        return serve_right(*arguments, **options)._replace(model=signatures.serve(other, None, None).model)

    serve_right = signatures.serve
    monkeypatch.setattr(saved_model, "serve", serve)
    monkeypatch.setattr(formats, "serve", serve)


def assert_refused(model, tmp_path, **options):
    with pytest.raises(RuntimeError, match=REFUSED):
        export_saved_model(model, tmp_path / "net", warmup=False, **options)
    assert not list((tmp_path / "net").iterdir())


@pytest.fixture(scope="module")
def cifar10():
    return keras_resnet.ResNet20(weights="cifar10")


@pytest.mark.parametrize("optimize", ["freeze", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_another_random_network_is_refused(optimize, tmp_path, monkeypatch):
    """The probabilities differ by at most 3.5e-3, because each of the 1000 classes has about 1e-3."""
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


@pytest.mark.parametrize("key", ["image_bytes", "classify"])
@pytest.mark.parametrize("row", [None, PIXELS], ids=["default", "preprocessing"])
def test_bgr_instead_of_rgb_is_refused(key, row, tmp_path, monkeypatch):
    decode = images.decode_file
    monkeypatch.setattr(images, "decode_file", lambda file: tf.reverse(decode(file), [-1]))
    assert_refused(randomize(tiny()), tmp_path, signatures=(key,), preprocessing=row)


@pytest.mark.parametrize("other", [dict(mean=(0.25, 0.5, 0.7)), dict(resize=12)])
def test_another_preprocessing_is_refused(other, tmp_path, monkeypatch):
    make = saved_model.make_reader
    changed = replace(PIXELS, **other)
    monkeypatch.setattr(saved_model, "make_reader", lambda *arguments: make(*arguments)._replace(preprocessing=changed))
    assert_refused(randomize(tiny()), tmp_path, signatures=("classify",), preprocessing=PIXELS)


@pytest.mark.parametrize("key", ["images", "image_bytes", "classify"])
def test_permuted_labels_are_refused(key, tmp_path, monkeypatch):
    function = signatures.Signature.function

    def permuted(self, core, shape, reader, labels, top_k):
        return function(self, core, shape, reader, (*labels[1:], labels[0]), top_k)

    monkeypatch.setattr(signatures.Signature, "function", permuted)
    assert_refused(randomize(tiny()), tmp_path, signatures=(key,), labels=["a", "b", "c"])


def test_another_embedding_is_refused(tmp_path, monkeypatch):
    freeze = freezing.freeze

    def scaled(whole, *arguments):
        frozen = freeze(whole, *arguments)

        def function(images):
            outputs = dict(frozen.function(images))
            return outputs | {"embedding": 1.1 * outputs["embedding"]}

        return frozen._replace(function=function)

    monkeypatch.setattr(saved_model, "freeze", scaled)
    assert_refused(randomize(tiny()), tmp_path, signatures=("images", "embedding"))


WRONG_HEATMAPS = {
    "upside down": lambda heatmaps: heatmaps[:, ::-1],
    "not divided by the maximum": lambda heatmaps: 0.9 * heatmaps,
    "not a number": lambda heatmaps: np.nan * heatmaps,
}


@pytest.mark.parametrize("key", ["cam", "cam_bytes"])
@pytest.mark.parametrize("wrong", WRONG_HEATMAPS)
def test_other_heatmaps_are_refused(wrong, key, tmp_path, monkeypatch):
    def heatmaps(maps, size):
        return WRONG_HEATMAPS[wrong](right(maps, size))

    right = activation_maps.heatmaps_of
    monkeypatch.setattr(activation_maps, "heatmaps_of", heatmaps)
    assert_refused(randomize(tiny()), tmp_path, signatures=(key,))


def test_heatmaps_of_another_class_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(activation_maps.ops, "argmax", keras.ops.argmin)
    assert_refused(randomize(tiny()), tmp_path, signatures=("cam",))


def test_heatmaps_of_either_class_of_a_tie_are_accepted(rng):
    net, images = randomize(tiny()), rng.normal(size=(4, 8, 8, 3)).astype("float32")
    scores = activation_maps.class_activation(net, images)[1]
    second, first = np.sort(scores)[:, -2:].T
    heatmaps = keras_resnet.explain(net, images, scores.argsort()[:, -2])
    gap = ((first - second) / check.spread_of(scores)).max()
    assert check.compare_heatmaps(heatmaps, net, images, 0.51 * gap).difference < 1e-6
    assert check.compare_heatmaps(heatmaps, net, images, 1e-3).difference > 0.01
    assert check.compare_heatmaps(keras_resnet.explain(net, images), net, images, 1e-3).difference < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("format", "suffix"), [("litert", "tflite"), ("openvino", "xml")])
def test_int8_is_compared_by_logits(format, suffix, cifar10, tmp_path, monkeypatch):
    for module in formats.FILES[format].modules:
        pytest.importorskip(module)
    calibration = check.sample_images(signatures.serve(cifar10, None, "cifar10"), 40)
    options = dict(format=format, int8=calibration)
    found = keras_resnet.export(cifar10, tmp_path / f"right.{suffix}", **options)["agreement"]
    assert 0.01 < found["difference"] < 0.25 and found["same_top_1"] == 40
    write(swap(clone(cifar10)), monkeypatch)
    with pytest.raises(RuntimeError, match=REFUSED):
        keras_resnet.export(cifar10, tmp_path / f"wrong.{suffix}", **options)


def test_probabilities_too_small_for_8_bits_are_refused(tmp_path):
    """The smallest probability of LiteRT's 8-bit softmax is 1/256."""
    pytest.importorskip("ai_edge_litert")
    net = tiny(depths=(1, 1), classes=1000)
    calibration = check.sample_images(signatures.serve(net, None, None))
    with pytest.raises(RuntimeError, match=REFUSED):
        keras_resnet.export(net, tmp_path / "net.tflite", int8=calibration)


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


def test_ties_count_as_the_same_class():
    expected = softmax(np.array([[2.0, 2.01, 0.0], [3.0, 0.0, 1.0]]))
    written = softmax(np.array([[2.01, 2.0, 0.0], [3.0, 0.0, 1.0]]))
    assert agreement(written, expected, 0.02).same_top_1 == 2
    assert agreement(written, expected, 1e-3).same_top_1 == 1


def test_nan_is_an_infinite_difference():
    expected = softmax(np.array([[2.0, 1.0]]))
    assert agreement(np.array([[np.nan, 0.5]]), expected, 0.1).difference == np.inf


def test_tolerance(cifar10, tmp_path):
    """For all formats, `tolerance` is the largest allowed difference."""
    for format, name in (("saved_model", "net"), ("litert", "net.tflite")):
        options = dict(format=format, **(dict(warmup=False) if format == "saved_model" else {}))
        with pytest.raises(RuntimeError, match="tolerance=1e-12"):
            keras_resnet.export(cifar10, tmp_path / name, tolerance=1e-12, **options)


def test_files_without_antialiasing(tmp_path):
    row = replace(PIXELS, antialias=False)
    report = export_saved_model(randomize(tiny()), tmp_path, preprocessing=row, warmup=False)
    assert report["agreement"]["same_top_1"] == report["agreement"]["images"] == 20


def test_gpus_are_compared_in_float32(tmp_path, monkeypatch):
    """TensorFloat-32 has a mantissa of 10 bits: a correct export would exceed the tolerance for float32."""
    seen, compare = [], check.agreement

    def watched(*arguments, **options):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return compare(*arguments, **options)

    monkeypatch.setattr(check, "agreement", watched)
    export_saved_model(randomize(tiny()), tmp_path, signatures=("images",), warmup=False)
    assert seen and not any(seen)
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_an_embedding_of_large_numbers_agrees(tmp_path):
    """The difference is relative to the size of the numbers. Here they exceed 100, and float32 has seven digits."""
    net = randomize(tiny(image_size=32, block="bottleneck", groups=4, base_width=8, filters=16))
    last = net.get_layer("conv3_block2_3_bn")
    last.gamma.assign(last.gamma * 1e5)
    report = export_saved_model(net, tmp_path, signatures=("embedding",), warmup=False)
    assert report["agreement"]["difference"] < 1e-4


def test_classes_of_the_same_name(tmp_path):
    """ImageNet has two classes with the name "crane"."""
    report = export_saved_model(randomize(tiny()), tmp_path, labels=["crane", "dog", "crane"], warmup=False)
    assert report["agreement"]["same_top_1"] == report["agreement"]["images"] == 20
