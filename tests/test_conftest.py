"""Tests of tests/conftest.py: a test cannot connect to another machine unless it is marked `network`."""

import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import requests
import served
from conftest import cifar10_is_prepared

ELSEWHERE = "http://192.0.2.1/"  # RFC 5737: no machine has this address


@pytest.mark.parametrize(
    "connect",
    [
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
        lambda: socket.create_connection(("keras.io", 443), timeout=5),
        lambda: urllib.request.urlopen(ELSEWHERE, timeout=5),
        lambda: requests.get(ELSEWHERE, timeout=5, proxies={"http": ""}),
        lambda: requests.get("https://keras.io", timeout=5),
    ],
    ids=["address", "name", "urllib", "requests", "proxy"],
)
def test_connections_to_other_machines_are_refused(connect):
    with pytest.raises(OSError, match="marked `network`|refused"):
        connect()


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", f"import urllib.request; urllib.request.urlopen({ELSEWHERE!r}, timeout=5)"],
        ["npm", "view", "left-pad", "--fetch-retries=0"],
    ],
    ids=["python", "npm"],
)
def test_child_processes_download_nothing(command):
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode and "refused" in done.stderr.lower(), done


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_can_be_reached(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1]), timeout=5).close()


def test_cifar10_is_only_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert not cifar10_is_prepared()
    assert list(tmp_path.iterdir()) == []


def test_helpers_are_a_package():
    """Without `__init__.py`, another package with the name `served` on PYTHONPATH would be imported instead."""
    assert Path(served.__file__).parent == Path(__file__).parent / "served"
