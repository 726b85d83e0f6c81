"""Tests on which machines bfloat16 counts as faster: CPUs by their flags, GPUs by compute capability, TPUs."""

import sys
from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from keras_resnet.machine import bfloat16_pays

# https://developer.nvidia.com/cuda-gpus
GPUS = {"P100": (6, 0), "V100": (7, 0), "T4": (7, 5), "A100": (8, 0), "L4": (8, 9), "H100": (9, 0)}


@pytest.fixture
def cpuinfo(tmp_path):
    (tmp_path / "cpuinfo").write_text("flags\t: sse avx512f\n")
    return tmp_path / "cpuinfo"


@pytest.fixture
def machine(monkeypatch):
    """A function that simulates these devices for a backend."""

    def tensorflow(gpus, tpus):
        kinds = {"GPU": gpus, "TPU": tpus}
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind=None: kinds.get(kind, []))
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: kinds.get(kind, []))
        monkeypatch.setattr(
            tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu} if gpu else {}
        )

    def jax(gpus, tpus):
        devices = [
            SimpleNamespace(platform="gpu", compute_capability=".".join(map(str, gpu)) or "gfx90a") for gpu in gpus
        ]
        devices += [SimpleNamespace(platform="tpu") for _ in tpus]
        devices = devices or [SimpleNamespace(platform="cpu")]
        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(devices=lambda: devices))

    def torch(gpus, tpus):
        cuda = SimpleNamespace(
            is_available=lambda: bool(gpus), device_count=lambda: len(gpus), get_device_capability=lambda i: gpus[i]
        )
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    def make(backend, gpus=(), tpus=()):
        monkeypatch.setattr(keras.backend, "backend", lambda: backend)
        names = [f"gpu:{i}" for i in range(len(gpus))] or ["cpu:0"]
        monkeypatch.setattr(keras.distribution, "list_devices", lambda *arguments: names)
        {"tensorflow": tensorflow, "jax": jax, "torch": torch}[backend](gpus, tpus)

    return make


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_gpus(backend, machine, cpuinfo):
    for name, capability in GPUS.items():
        machine(backend, [capability])
        assert bfloat16_pays(cpuinfo) == (capability >= (8, 0)), name
    machine(backend, [(8, 0), (7, 0)])  # a network on both GPUs waits for the slower GPU
    assert not bfloat16_pays(cpuinfo)
    machine(backend)
    assert not bfloat16_pays(cpuinfo)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_accelerator_counts_before_the_processor(backend, machine, cpuinfo):
    cpuinfo.write_text("flags\t: avx512_bf16\n")
    machine(backend, [(7, 0)])
    assert not bfloat16_pays(cpuinfo)
    machine(backend)
    assert bfloat16_pays(cpuinfo)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_tpus(backend, machine, cpuinfo):
    machine(backend, tpus=["TPU:0"])
    assert bfloat16_pays(cpuinfo)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_gpus_of_unknown_capability(backend, machine, cpuinfo):
    machine(backend, [()])
    assert not bfloat16_pays(cpuinfo)
