"""Loads SavedModels as files, in a C program with the C++ loader of TensorFlow and TF Serving, and in OpenVINO."""

import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize, tiny
from served.images import encoded, read_by_pil, shapes
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import keras_resnet

CIFAR10_ROW = keras_resnet.PREPROCESSINGS["cifar10"]
SERVED = Path(__file__).parent / "served"
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def meta_graph(report):
    (graph,) = SavedModel.FromString((Path(report["path"]) / "saved_model.pb").read_bytes()).meta_graphs
    return graph


def nodes(graph):
    yield from graph.graph_def.node
    for function in graph.graph_def.library.function:
        yield from function.node_def


def shapes_of(infos):
    return {
        name: (tf.as_dtype(info.dtype).name, [dim.size for dim in info.tensor_shape.dim])
        for name, info in infos.items()
    }


PREDICTIONS = {
    "probabilities": ("float32", [-1, 10]),
    "top_labels": ("string", [-1, 3]),
    "top_scores": ("float32", [-1, 3]),
    "top_ids": ("int32", [-1, 3]),
}
IMAGE = {"image": ("float32", [-1, 32, 32, 3])}
CAM = {"cam": ("float32", [-1, 32, 32])}


def test_signatures(artifact):
    signatures = meta_graph(artifact).signature_def
    found = {
        key: (shapes_of(of.inputs), shapes_of(of.outputs), of.method_name)
        for key, of in signatures.items()
        if key != "__saved_model_init_op"
    }
    assert found == {
        "serving_default": (IMAGE, PREDICTIONS, "tensorflow/serving/predict"),
        "image_bytes": ({"image_bytes": ("string", [-1])}, PREDICTIONS, "tensorflow/serving/predict"),
        "classify": (
            {"inputs": ("string", [-1])},
            {"classes": ("string", [-1, 3]), "scores": ("float32", [-1, 3])},
            "tensorflow/serving/classify",
        ),
        "embedding": (IMAGE, {"embedding": ("float32", [-1, 64])}, "tensorflow/serving/predict"),
        "cam": (IMAGE, CAM, "tensorflow/serving/predict"),
        "cam_bytes": ({"image_bytes": ("string", [-1])}, CAM, "tensorflow/serving/predict"),
    }


def weight_bytes(report):
    """Returns the bytes of the weights: constants in the graph and variables in the checkpoint."""
    constants = [node.attr["value"].tensor for node in nodes(meta_graph(report)) if node.op == "Const"]
    held = sum(len(tensor.tensor_content) + 4 * len(tensor.float_val) for tensor in constants)
    return held + sum(path.stat().st_size for path in Path(report["path"]).glob("variables/variables.data-*"))


@pytest.mark.parametrize("optimize", ["freeze", pytest.param(None, marks=pytest.mark.slow)])
def test_weights_are_written_once_for_all_signatures(optimize, trained, artifact, tmp_path):
    settings = dict(
        signatures=tuple(keras_resnet.serving.SIGNATURES), preprocessing="cifar10", warmup=False, optimize=optimize
    )
    report = artifact if optimize == "freeze" else keras_resnet.export_saved_model(trained, tmp_path, **settings)
    assert 0.95 < weight_bytes(report) / (4 * trained.count_params()) <= 1.05


def test_nothing_that_a_server_may_refuse(artifact):
    graph = meta_graph(artifact)
    assert {node.attr["data_format"].s for node in nodes(graph) if node.op == "Conv2D"} <= {b"", b"NHWC"}
    flags = {name for node in nodes(graph) for name in node.attr}
    flags |= {name for function in graph.graph_def.library.function for name in function.attr}
    assert not {"_XlaMustCompile", "_XlaCompile"} & flags
    assert not {"PyFunc", "EagerPyFunc", "VarHandleOp"} & {node.op for node in nodes(graph)}


def test_warm_up_requests_for_every_signature_and_size(artifact):
    prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    path = Path(artifact["path"]) / "assets.extra" / "tf_serving_warmup_requests"
    found = set()
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = getattr(log, log.WhichOneof("log_type")).request
        if log.HasField("classify_log"):
            size = len(request.input.example_list.examples)
        else:
            (tensor,) = request.inputs.values()
            size = tensor.tensor_shape.dim[0].size
        found.add((request.model_spec.signature_name, size))
    keys = ("serving_default", "image_bytes", "classify", "embedding", "cam", "cam_bytes")
    assert found == {(key, size) for key in keys for size in (1, 4)}


# ---------------------------------------------------------------------------------------------- other loaders


@pytest.fixture(scope="session")
def capi(tmp_path_factory):
    """The program tests/served/capi.c, compiled with the library in TensorFlow's wheel."""
    if not shutil.which("gcc"):
        pytest.skip("gcc is not there")
    library, program = tf.sysconfig.get_lib(), tmp_path_factory.mktemp("capi") / "capi"
    if not (Path(library) / "libtensorflow_cc.so.2").exists():
        pytest.skip("TensorFlow's C library is not where its wheel for Linux has it")
    fast = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
    libraries = [f"-l:libtensorflow_{name}.so.2" for name in ("cc", "framework")]
    flags = [*fast, "-Wall", f"-I{library}/include", f"-L{library}", *libraries, f"-Wl,-rpath,{library}"]
    subprocess.run(["gcc", SERVED / "capi.c", "-o", program, *flags], check=True)

    def run(report, kind, key, outputs, *arguments, images=b""):
        signature = meta_graph(report).signature_def[key]
        (feed,) = (info.name for info in signature.inputs.values())
        fetches = ",".join(signature.outputs[name].name for name in outputs)
        command = [program, report["path"], kind, feed, fetches, *map(str, arguments)]
        done = subprocess.run(command, input=images, capture_output=True, timeout=120)
        return (
            done.returncode,
            [line.split("\t")[:-1] for line in done.stdout.decode().splitlines()],
            done.stderr.decode(),
        )

    return run


def test_c_program(capi, trained, artifact, tmp_path):
    x = np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")
    code, outputs, _ = capi(artifact, "images", "serving_default", PREDICTIONS, 32, 32, 3, images=x.tobytes())
    assert code == 0
    outputs = dict(zip(PREDICTIONS, outputs, strict=True))
    expected = trained.predict(x, verbose=0)
    np.testing.assert_allclose(np.array(outputs["probabilities"], float).reshape(5, 10), expected, atol=1e-5)
    best = np.argsort(-expected)[:, :3].ravel()
    assert list(map(int, outputs["top_ids"])) == list(best)
    assert outputs["top_labels"] == [CIFAR10[i] for i in best]


def test_c_program_reads_files(capi, trained, artifact, tmp_path):
    files = [encoded(shapes(40 + 9 * i, 50 - 3 * i, seed=i)) for i in range(3)]
    for i, file in enumerate(files):
        (tmp_path / f"{i}.png").write_bytes(file)
    places = [tmp_path / f"{i}.png" for i in range(3)]
    code, outputs, error = capi(artifact, "files", "image_bytes", ["probabilities"], *places)
    assert code == 0, error
    expected = trained.predict(np.stack([read_by_pil(file, CIFAR10_ROW) for file in files]), verbose=0)
    np.testing.assert_allclose(np.array(outputs[0], float).reshape(3, 10), expected, atol=0.06)


def test_c_program_refuses_a_wrong_shape(capi, artifact):
    code, _, error = capi(artifact, "images", "serving_default", PREDICTIONS, 16, 16, 3, images=bytes(4 * 16 * 16 * 3))
    assert code == 3  # INVALID_ARGUMENT
    assert "[1,16,16,3] is not compatible with expected shape [?,32,32,3]" in error


OPENVINO = """
import sys, numpy as np, openvino
core = openvino.Core()
compiled = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
outputs = compiled({"image": np.load(sys.argv[2])})
by_name = {name: value for output, value in outputs.items() for name in output.get_names()}
np.savez(sys.argv[3], **{name.split(":")[0]: value for name, value in by_name.items()})
assert "tensorflow" not in sys.modules
"""


def test_openvino(trained, artifact, tmp_path):
    pytest.importorskip("openvino", reason="pip install '.[openvino]'")
    x = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    arguments = [artifact["path"], str(tmp_path / "x.npy"), str(tmp_path / "y.npz")]
    subprocess.run([sys.executable, "-c", OPENVINO, *arguments], check=True, timeout=300)
    outputs = np.load(tmp_path / "y.npz")
    expected = trained.predict(x, verbose=0)
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-4)
    np.testing.assert_array_equal(outputs["top_ids"], np.argsort(-expected)[:, :3])
    assert outputs["top_labels"][0, 0] == CIFAR10[expected[0].argmax()]


NETS = {
    "resnext": dict(block="bottleneck", groups=4, base_width=8, filters=16),
    "se, deep stem, D": dict(block="bottleneck", stem="deep", gate="se", shortcut="pooled_projection", filters=16),
    "eca, zero padding": dict(gate="eca", shortcut="zero_pad"),
    "preactivation": dict(order="preactivation"),
    "relu before addition": dict(order="relu_before_addition"),
    "iresnet": dict(block="bottleneck", order="stage_wise", shortcut="max_pooled_projection", stem="7x7_unpooled"),
    "bit": dict(block="bottleneck", order="preactivation", norm="gn", weight_standardization=True, filters=32),
    "dilated": dict(output_stride=1),
}
FAMILIES = {
    **{name: lambda fields=fields: tiny(image_size=32, **fields) for name, fields in NETS.items()},
    "densenet": lambda: keras_resnet.ResNet(keras_resnet.cifar_dense(22, 6)),
    "option A at the end": lambda: keras_resnet.ResNet("resnet20", zero_channels="end"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "optimize"), [*((family, "freeze") for family in FAMILIES), ("resnext", None), ("bit", None)]
)
def test_every_family_in_the_c_program(family, optimize, capi, tmp_path):
    net = randomize(FAMILIES[family]())
    size, head = net.input_shape[1:], net.layers[-1]
    x = np.random.default_rng(0).normal(size=(3, *size)).astype("float32")
    features = keras.Model(net.input, head.input).predict(x, verbose=0)
    head.kernel.assign(
        3 * head.kernel / np.abs(features @ head.kernel.numpy()).max()
    )  # otherwise the top-1 class is the same for all images
    report = keras_resnet.export_saved_model(net, tmp_path, optimize=optimize)
    code, outputs, error = capi(report, "images", "serving_default", ["probabilities"], *size, images=x.tobytes())
    assert code == 0, error
    expected = net.predict(x, verbose=0)
    assert expected.std(axis=0).max() > 1e-3  # the outputs depend on the image
    np.testing.assert_allclose(np.array(outputs[0], float).reshape(expected.shape), expected, atol=1e-4)
