"""Fixtures and helpers of all test files: random weights, cached networks, and no connections to other machines."""

import gc
import ipaddress
import os
import re
import socket
from functools import lru_cache
from pathlib import Path

import experiments  # noqa: F401  imported first: suppresses the messages of TensorFlow's import

# isort: split
import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import VARIANTS
from keras_resnet.resnet import weight_layers

# A full garbage collection visits every object. Those of the imports stay until the end, so they are left out.
gc.collect()
gc.freeze()


def is_loopback(host):
    """Whether an address or a name is the loopback interface. False for a name that must be resolved."""
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def only_loopback(function, host_of):
    def guarded(*arguments, **options):
        host = host_of(*arguments, **options)
        if not is_loopback(host):
            raise OSError(f"Only tests marked `network` may connect to other machines. Received: {host!r}")
        return function(*arguments, **options)

    return guarded


def host_of_address(sock, address):
    return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None  # None: a Unix domain socket


CLOSED_PORT = "http://127.0.0.1:9"
# environment variables for child processes: urllib, requests, httpx, npm and gRPC read them
OFFLINE = {
    **dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "npm_config_registry"), CLOSED_PORT),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost"),
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Blocks connections to other machines in every test that is not marked `network`, and in its fixtures."""
    if item.get_closest_marker("network"):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in OFFLINE.items():
            patch.setenv(name, value)
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, only_loopback(getattr(socket.socket, name), host_of_address))
        patch.setattr(socket, "getaddrinfo", only_loopback(socket.getaddrinfo, lambda host, *_, **__: host))
        return (yield)


def cifar10_is_prepared():
    directory = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
    return any(directory.glob("cifar10/*/dataset_info.json"))


def pytest_collection_modifyitems(items):
    if not cifar10_is_prepared():
        for item in items:
            if item.get_closest_marker("cifar10"):
                item.add_marker(pytest.mark.skip(reason="prepare it with: python -m keras_resnet prepare cifar10"))


@pytest.fixture(autouse=True)
def fresh():
    """Sets the seed of Keras before each test, and resets global settings such as the dtype policy after each test.

    Without a fixed seed, a small network may sometimes be initialized with dead ReLUs, and its test would fail.
    """
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.distribution.set_distribution(None)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def randomize(model, seed=0):
    """Sets all weights to random values, including BN statistics. The initial zeros and ones hide bugs."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = weight.shape
        if weight.path.endswith("kernel"):
            fan_in = np.prod(shape[:-1])
            value = rng.normal(0, np.sqrt(2 / fan_in), shape)
        elif weight.path.endswith(("gamma", "moving_variance")):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0, 0.3, shape)
        weight.assign(value.astype("float32"))
    return model


@lru_cache(maxsize=8)  # all rows would need gigabytes
def built(row):
    """Returns the network of a row. It is cached: do not change it."""
    return keras_resnet.ResNet(row)


def kind(row):
    """Returns the name without its numbers, the block and the image size. Rows of a kind differ in depth and width."""
    return re.sub(r"\d+", "", row), getattr(VARIANTS[row], "block", None), VARIANTS[row].image_size


def size(row):
    """Returns the number of layers, and then the numbers of the name, to sort rows by."""
    return weight_layers(VARIANTS[row]), *map(int, re.findall(r"\d+", row))


# The fast tests build only the smallest network of each kind.
SMALLEST = {kind(row): row for row in sorted(VARIANTS, key=size, reverse=True)}


def every_row(rows=VARIANTS):
    """Returns one test parameter per row. The rows that are not in SMALLEST are marked slow."""
    return [row if row in SMALLEST.values() else pytest.param(row, marks=pytest.mark.slow) for row in rows]


def tiny(**fields):
    """Returns a very small network: one stage keeps the shape of its input, one stage changes it."""
    defaults = {"block": "building_block", "depths": (2, 2), "filters": 4, "stem": "3x3", "image_size": 8, "classes": 3}
    return keras_resnet.ResNet(keras_resnet.Variant(**{**defaults, **fields}))


@pytest.fixture
def policy(request):
    """Sets the dtype policy of the parameter for one test."""
    keras.config.set_dtype_policy(request.param)
    return request.param


@pytest.fixture(scope="session")
def trained():
    """ResNet-20 with the weights in the package: 91.25 % on CIFAR-10. Its inputs are pixels in 0..255."""
    return keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)


@pytest.fixture(scope="session")
def artifact(trained, tmp_path_factory):
    """The result of `export_saved_model` for the model `trained`, with every signature."""
    settings = dict(labels="cifar10", preprocessing="cifar10", top_k=3, warmup=(1, 4))
    signatures = ("images", "image_bytes", "classify", "embedding", "cam", "cam_bytes")
    place = tmp_path_factory.mktemp("models") / "resnet20"
    return keras_resnet.export_saved_model(trained, place, signatures=signatures, **settings)
