"""Hostile files raise a ValueError. The memory is proportional to the file size, and no code of the file is run."""

import argparse
import io
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import tiny
from test_weights_state_dict import state_dict

from keras_resnet import load_pretrained
from keras_resnet.weights.files import BOUND, LEGACY_MAGIC, read_checkpoint
from keras_resnet.weights.keras_files import read_keras

# One byte of a pickle may create a dict of 64 bytes in a list, or an entry of the memo. This needs up to 118 bytes.
PEAK = 120
LEGACY_NUMBER = int.from_bytes(LEGACY_MAGIC, "little")
HASH_MODULUS = sys.hash_info.modulus
NOISE = np.random.default_rng(0).bytes(50_000)  # incompressible, so that other members may be compressible


@contextmanager
def refused(path, match, peak=PEAK):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            yield
        assert tracemalloc.get_traced_memory()[1] < peak * path.stat().st_size + 2**20
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 2000


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, member in members:
            archive.writestr(name, member)
    return data.getvalue()


# ---- pickles


class Reduces:
    """An object that is pickled as a call of `function`."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def push(value):
    """Returns the opcodes that push `value` on the stack. Bytes are returned unchanged: they are opcodes already."""
    return value if isinstance(value, bytes) else pickle.dumps(value, 2)[2:-1]


def stored(length=2, kind="Float", key="0", what="storage", view=b""):
    name = b"ctorch\n%sStorage\n" % kind.encode()
    return b"(" + push(what) + name + push(key) + push("cpu") + push(length) + push(view) + b"tQ"


def tensor(offset=0, size=(2,), stride=(1,), storage=None, metadata=b""):
    name, arguments = (
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        (storage or stored(), offset, size, stride, False, {}, metadata),
    )
    return name + b"(" + b"".join(map(push, arguments)) + b"tR"


def named(**tensors):
    return b"}" + b"".join(push(name) + opcodes + b"s" for name, opcodes in tensors.items())


def in_zip(opcodes, storage=bytes(8)):
    return zipped([("x/data.pkl", b"\x80\x02" + opcodes + b"."), ("x/data/0", storage)], zipfile.ZIP_STORED)


def in_legacy(opcodes, storage=bytes(8), keys=None, header=(LEGACY_NUMBER, 1001, {})):
    keys = keys or push(["0"] if b"Storage" in opcodes else [])
    pickled = b"".join(b"\x80\x02" + push(value) + b"." for value in (*header, opcodes, keys))
    return pickled + (len(storage) // 4).to_bytes(8, "little") + storage


def nested(level, start=b")", count=99):
    """Returns the opcodes of `start` and of `count` nested levels. Each level contains the previous level twice.

    The last level is in memo `count`.
    """
    return start + b"q\0" + b"".join(level.replace(b"?", b"h%c" % i) + b"q%c" % (i + 1) for i in range(count))


LAUGHS = nested(b"??\x86")
PAIRS = push([[i, i] for i in range(3000)]) + b"r\xff\x7f\0\0"
AS_KEY = b"}h\x63K\x01s"
TENSORS_OF_TENSORS = nested(tensor(storage=b"?", size=b"?"))
ORDERED_DICT = b"ccollections\nOrderedDict\n"
PICKLES = {
    "GLOBAL os.system, REDUCE": push(Reduces(os.system, "true")),
    "STACK_GLOBAL builtins.eval, REDUCE": push("builtins") + push("eval") + b"\x93(" + push("1+1") + b"tR",
    "PyTorch's pickle in a pickle": b"ctorch.storage\n_load_from_bytes\n(" + push("x") + b"tR",
    "NumPy array": push(np.zeros(2)),
    "NumPy scalar": push(np.float64(0.9)),
    "Namespace": push(argparse.Namespace(lr=0.1)),
    "set": push({1}),
    "INST": b"(" + push("true") + b"iposix\nsystem\n",
    "OBJ": b"(cposix\nsystem\n" + push("true") + b"o",
    "NEWOBJ": ORDERED_DICT + b")\x81",
    "PERSID": b"Pos.system\n",
    "name with a dot": push("collections.abc.x") + push("OrderedDict") + b"\x93",
    "name that is no string": b"]" + push("eval") + b"\x93",
    "long name": push("x" * 100_000) + push("eval") + b"\x93",
    "BUILD of a function": b"ctorch\nSize\n(N" + push({"__defaults__": ()}) + b"tb",
    "BUILD of a class": ORDERED_DICT + b"(N" + push({"__init__": 1}) + b"tb",
    "REDUCE of a string": push("os.system('true')") + b")R",
    "LONG4 beyond the end": b"\x8b\xff\xff\xff\x7f",
    "BINUNICODE8 beyond the end": b"\x8d" + b"\xff" * 6 + b"\0\0",
    "BYTEARRAY8 beyond the end": b"\x96" + b"\xff" * 6 + b"\0\0",
    "FRAME beyond the end": b"\x95" + b"\xff" * 7 + b"\x7f",
    "large LONG_BINPUT": b"]r\xff\xff\xff\xff",
    "large PUT": b"]p99999999999\n",
    "GET of nothing": b"h\x07",
    "empty stack": b"R",
    "append to a number": b"K\x01K\x02a",
    "tuples of tuples": LAUGHS,
    "tuples of tuples as a key": LAUGHS + AS_KEY,
    "tuples of tuples as a later key": LAUGHS + b"}(K\x01K\x01h\x63K\x01u",
    "tuples of tuples as a key of pairs": LAUGHS + ORDERED_DICT + b"](h\x63K\x01\x86e\x85R",
    "tuples of tuples as a size": LAUGHS + named(a=tensor(size=b"h\x63")),
    "tuples of tuples as a storage": LAUGHS + named(a=tensor(storage=b"h\x63")),
    "tuples of tuples as the key of a storage": LAUGHS + stored(key=b"h\x63"),
    "tuples of tuples as the length of a storage": LAUGHS + named(a=tensor(storage=stored(b"h\x63"))),
    "dicts of dicts as a key": nested(b"}(K\0?K\1?u", b"}") + AS_KEY,
    "tensors of tensors as a key": TENSORS_OF_TENSORS + AS_KEY,
    "tensors of tensors as a size": TENSORS_OF_TENSORS + named(a=tensor(size=b"(h\x63t")),
    "nested tuples as a key": b")" + b"\x85" * 100_000 + b"q\x63" + AS_KEY,
    "keys with the same hash": b"}(" + b"".join(push(i * HASH_MODULUS) + b"N" for i in range(50_000)) + b"u",
    "lists of lists": nested(b"](??e"),
    "nested lists": b"]" * 100_000 + b"a" * 99_999,
    "copies of pairs": PAIRS + b"(" + (ORDERED_DICT + b"j\xff\x7f\0\0\x85R") * 3000,
    "copies of arguments": PAIRS + b"(" + b"ctorch\ndevice\nj\xff\x7f\0\0R" * 3000,
    "many dicts": b"}" * 100_000,
    "many marks": b"(" * 100_000,
    "many entries of the memo": b"]" + b"\x94" * 87_678,
    "no storage": b"K\x05Q",
    "storage of a module": named(a=tensor(storage=stored(what="module"))),
    "storage of objects": named(a=tensor(storage=stored().replace(b"ctorch\nFloatStorage\n", push("O")))),
    "storage of functions": named(a=tensor(storage=stored().replace(b"FloatStorage", b"device"))),
    "view of a storage": named(a=tensor(storage=stored(view=("key", 0, 1)))),
    "unknown type of a storage": named(a=tensor(storage=stored(kind="QInt8"))),
    "unknown key of a storage": named(a=tensor(storage=stored(key="../../x"))),
    "two types of a storage": named(a=tensor(), b=tensor(size=(8,), storage=stored(8, "Byte"))),
    "storage of 3": named(a=tensor(storage=stored(3))),
    "storage of 2**50": named(a=tensor(storage=stored(2**50))),
    "storage of 2**62": named(a=tensor(storage=stored(2**62, "Double"))),
    "negated tensor": named(a=tensor(metadata={"neg": True})),
    "repeated elements": named(a=tensor(size=(2**40,), stride=(0,))),
    "repeated elements of many tensors": named(**{f"{i}": tensor(size=(5000,), stride=(0,)) for i in range(99)}),
}
OUTSIDE = [  # offset, size and strides in a storage of two elements
    (0, (3,), (1,)),
    (2, (), ()),
    (0, (5,), (2**60,)),  # the offset of four strides is 2**64 bytes, which overflows to 0
    (2**62, (2,), (1,)),
    (-1, (2,), (1,)),
    (0, (-2,), (1,)),
    (0, (2, 3), (1,)),
    (0, (2.0,), (1,)),
    (0, (True,), (1,)),
    (0, (0, 2**62, 4), (1, 1, 1)),
    (0, (1,) * 99, (1,) * 99),
    (0, None, (1,)),
]
PICKLES |= {f"view {where!s:.30}": named(inside=tensor(), outside=tensor(*where)) for where in OUTSIDE}
EVIL = push(Reduces(os.system, "true"))
LEGACY = {
    "machine that is evil": in_legacy(named(a=tensor()), header=(LEGACY_NUMBER, 1001, EVIL)),
    "keys that are evil": in_legacy(named(a=tensor()), keys=EVIL),
    "keys that are tuples of tuples": in_legacy(named(a=tensor()), keys=LAUGHS + b"](h\x63e"),
    "keys of other storages": in_legacy(named(a=tensor()), keys=push(["1"])),
    "key twice": in_legacy(named(a=tensor()), keys=push(["0", "0"])),
    "no magic number": in_legacy(named(a=tensor()), header=(1, 1001, {})),
    "short storage": in_legacy(named(a=tensor()), bytes(4)),
    "storage beyond the end": in_legacy(named(a=tensor()))[:-16] + b"\xff" * 8 + bytes(8),
    "tar of PyTorch 0.1": b"sys_info" + bytes(249) + b"ustar" + bytes(250),
}


# ---- zip, NumPy and safetensors


def lying(data):
    """Changes the zip file `data`: the first member claims an uncompressed size of 100 bytes."""
    place = data.index(b"PK\x01\x02") + 24
    return data[:place] + (100).to_bytes(4, "little") + data[place + 4 :]


def duplicate():
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped([("x/data.pkl", b"\x80\x02}.")] * 2)


def big(name, member=bytes(50_000_000), compression=zipfile.ZIP_DEFLATED):
    return lambda: zipped([(name, member), ("noise", NOISE)], compression)


ZIPS = {
    "zeros": big("x/data.pkl"),
    "zeros, lying": lambda: lying(big("x/data.pkl")()),
    "zeros in bzip2, lying": lambda: lying(big("x/data.pkl", compression=zipfile.ZIP_BZIP2)()),
    "pickle of dicts": big("x/data.pkl", b"\x80\x02" + b"}" * 900_000 + b"."),
    "name twice": duplicate,
    "other": zipped([("README", "not a checkpoint")]),
}


def npy(shape="(2,)", descr="'<f4'", data=bytes(8), version=b"\1\0"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return zipped([("a.npy", b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data)])


NPZ = {
    "zeros": big("a.npy"),
    "zeros, lying": lambda: lying(big("a.npy")()),
    "huge": npy("(1099511627776,)"),
    "large": npy("(1000000000,)"),
    "overflow": npy("(4611686018427387904, 4)"),
    "objects": npy(descr="'|O'", data=pickle.dumps(EVIL)),
    "records": npy(descr="[('x', '<f4')]"),
    "words": npy(descr="'<U1'"),
    "code": npy(shape="__import__('os').system('true')"),
    "version 9": npy(version=b"\x09\0"),
    "short": npy(data=bytes(7)),
    "long": npy(data=bytes(9)),
}


def safetensors(header, data=bytes(8), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


SAFETENSORS = {
    "header beyond the file": safetensors({"a": entry()}, length=2**40),
    "no JSON": safetensors(b"{nonsense"),
    "deep JSON in the metadata": safetensors(b'{"__metadata__": ' + b"[" * 100_000),
    "unknown dtype": safetensors({"a": entry("F3")}),
    "huge shape": safetensors({"a": entry(shape=(2**31, 2**31))}),
    "shape that overflows": safetensors({"a": entry(shape=(2**62, 4, 2))}),
    "overlap": safetensors({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "a hole": safetensors({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "beyond the end": safetensors({"a": entry(shape=(4,), offsets=(0, 16))}),
    "metadata that is no string": safetensors({"a": entry(), "__metadata__": {"shortcut": []}}),
    "only metadata": safetensors({"__metadata__": {"format": "pt"}}, b""),
}
OTHERS = [b"", b"<!DOCTYPE html><html>404</html>", b"version https://git-lfs.github.com/spec/v1\n", bytes(1000), NOISE]
GOOD = {
    "zip.pth": in_zip(named(a=tensor())),
    "legacy.pth": in_legacy(named(a=tensor())),
    "a.npz": npy(),
    "a.safetensors": safetensors({"a": entry()}),
}
FILES = {f"{i}{suffix}": data for i, data in enumerate(OTHERS) for suffix in (".pth", ".npz", ".safetensors")}
for start, suffix, table in [
    ("pickle in zip", "pth", {name: in_zip(opcodes) for name, opcodes in PICKLES.items()}),
    ("pickle in legacy", "pth", {name: in_legacy(opcodes) for name, opcodes in PICKLES.items()}),
    ("legacy", "pth", LEGACY),
    ("zip", "pth", ZIPS),
    ("npz", "npz", NPZ),
    ("safetensors", "safetensors", SAFETENSORS),
]:
    FILES |= {f"{start}: {name}.{suffix}": data for name, data in table.items()}


def written(name, folder):
    path = folder / f"file{Path(name).suffix}"
    path.write_bytes(FILES[name]() if callable(FILES[name]) else FILES[name])
    return path


@pytest.mark.parametrize("name", FILES)
def test_refused_in_bounded_memory(name, tmp_path, monkeypatch):
    """No function that the file names is called, and other files can still be read afterwards."""
    called = []
    for function in ("os.system", "posix.system", "builtins.eval"):
        monkeypatch.setattr(function, called.append)
    path = written(name, tmp_path)
    with refused(path, "path must be a whole checkpoint. Received: "):
        read_checkpoint(path)
    assert called == []
    for good, data in GOOD.items():
        (tmp_path / good).write_bytes(data)
        np.testing.assert_array_equal(read_checkpoint(tmp_path / good)["a"], [0, 0])


LIMITED = """
import resource, sys, numpy, pickle, zipfile
from keras_resnet.weights.files import read_checkpoint
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]),) * 2)
for path in sys.argv[2:]:
    try:
        read_checkpoint(path)
    except ValueError:
        continue
    sys.exit(f"{path} was read")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells a process its size")
def test_refused_where_memory_is_limited(tmp_path):
    """Files of at most 2 MB need less than 200 MB, including memory that is not allocated by Python."""
    paths = []
    for i, name in enumerate(FILES):
        (tmp_path / f"{i}").mkdir()
        paths.append(written(name, tmp_path / f"{i}"))
    subprocess.run([sys.executable, "-c", LIMITED, str(200 * 2**20), *map(str, paths)], check=True)


# ---- HDF5


def external(file, group):
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(bytes(8))
    group.create_dataset("0", (2,), "f4", external=[(str(secret), 0, 8)])


def virtual(file, group):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    group.create_virtual_dataset("0", layout)


def outside(file, group):
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        other["conv2d/vars/0"] = np.zeros(2, "f4")
    del file["layers"]
    file["layers"] = h5py.ExternalLink("other.h5", "/")


def long_name(file, group):
    group.attrs["name"] = "x" * 60_000  # every array of the layer has this name
    for i in range(200):
        group.create_dataset(f"{i}", data=np.zeros(1, "f4"))


def dataset(*arguments, **options):
    return lambda file, group: group.create_dataset("0", *arguments, **options)


H5 = {
    "huge": dataset((2**40,), "f4", chunks=(1024,)),
    "zeros": dataset(data=np.zeros(12_500_000, "f4"), compression="gzip"),
    "many": lambda file, group: [group.create_dataset(f"{i}", (2**20,), "f4", chunks=(1024,)) for i in range(99)],
    "chunk": dataset(data=np.zeros(1), maxshape=(None,), chunks=(2**21,), compression="gzip"),
    "external": external,
    "virtual": virtual,
    "outside": outside,
    "long name": long_name,
    "words": dataset(data=["words"]),
    "records": dataset((2,), [("x", "f4")]),
}


def write_h5(path, fill):
    with h5py.File(path, "w") as file:
        fill(file, file.create_group("layers/conv2d/vars"))
    return path


@pytest.mark.parametrize("name", H5)
def test_hdf5_refused_in_bounded_memory(name, tmp_path):
    path = write_h5(tmp_path / "file.weights.h5", H5[name])
    with refused(path, "path must be a whole file of Keras. Received: ", 2 * BOUND):
        read_keras(path)


@pytest.mark.parametrize(
    ("place", "name", "is_refused"),
    [("layers", "layer_names", False), ("layers/conv2d/vars", "name", True), ("/", "model_config", True)],
)
def test_hdf5_strings_are_not_one_string_many_times(place, name, is_refused, tmp_path):
    """Writes an attribute of many short strings, and then changes the file so that each is the same long string."""

    def fill(file, group):
        group.create_dataset("0", data=np.zeros(4, "f4"))
        file[place].attrs.create(name, ["x" * 30_000] + ["y"] * 300, dtype=h5py.string_dtype())

    path = write_h5(tmp_path / "file.h5", fill)
    data = path.read_bytes()
    start = data.index((30_000).to_bytes(4, "little"))  # start of a list of (length, address, number), 16 bytes each
    path.write_bytes(data[:start] + data[start : start + 16] * 301 + data[start + 16 * 301 :])
    with h5py.File(path) as file:
        assert len(file[place].attrs[name][300]) == 30_000
    if not is_refused:
        read_keras(path)
        return
    with refused(path, f"{name} must be one string", 2 * BOUND):
        read_keras(path)


def zeros_in_zeros(folder):
    """Returns a compressible .weights.h5 file that contains compressed arrays."""

    def fill(file, group):
        group.create_dataset("0", data=np.zeros(100_000, "f4"))
        group.create_dataset("1", data=np.zeros(3_000_000, "f4"), compression="gzip")

    return write_h5(folder / "inner.weights.h5", fill).read_bytes()


LAYERS = b'{"config": {"layers": [' + b"{}," * 300_000 + b"{}]}}"
DOT_KERAS = {
    "no weights": ({"config.json": b"{}"}, "There is no item named 'model.weights.h5'"),
    "empty weights": ({"model.weights.h5": b"", "config.json": b"{}"}, "path must be a whole file of Keras"),
    "large weights": ({"model.weights.h5": bytes(10_000_000), "config.json": b"{}"}, "expand its .* at most 20 times"),
    "deep config": (
        {"config.json": b"[" * 10_000, "model.weights.h5": b"", "noise": NOISE},
        "recursion depth|Expecting value",
    ),
    "large config": ({"config.json": LAYERS, "model.weights.h5": b"", "noise": NOISE}, "in pickles and JSON once"),
    "zeros": ({"config.json": b"{}", "model.weights.h5": zeros_in_zeros, "noise": NOISE}, "must take at most 20 times"),
}


@pytest.mark.parametrize("name", DOT_KERAS)
def test_dot_keras_refused_in_bounded_memory(name, tmp_path):
    members, match = DOT_KERAS[name]
    path = tmp_path / "a.keras"
    path.write_bytes(zipped((member, data(tmp_path) if callable(data) else data) for member, data in members.items()))
    with refused(path, match, 2 * BOUND):
        read_keras(path)


# ---- a dict


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "uint8"])
def test_weights_are_floats(dtype):
    model = tiny()
    state = state_dict(model)
    state["fc.bias"] = state["fc.bias"].astype(dtype)
    with pytest.raises(ValueError, match=f"dtype: fc.bias is of {dtype}, .* needs floats"):
        load_pretrained(model, state)


@pytest.mark.parametrize("name", ["conv1.weight", "fc.weight", "layer1.0.conv1.weight", "bn1.running_mean"])
def test_a_huge_shape_costs_nothing(name):
    """The array is a view of one number. The sum of its elements would take years."""
    model = tiny()
    state = state_dict(model)
    state[name] = np.broadcast_to(np.float32(1), (4, 3, 2**25, 2**25))
    for target in (model, tiny(classes=5)):
        with pytest.raises(ValueError, match=f"shape: {name} is \\(4, 3, 33554432, 33554432\\)"):
            load_pretrained(target, state)


# ---- random damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One file per format: name -> bytes."""
    torch = pytest.importorskip("torch")
    folder, rng = tmp_path_factory.mktemp("whole"), np.random.default_rng(0)
    state = {f"layer{i}.weight": rng.normal(size=(3, 2, i + 1)).astype("float32") for i in range(4)}
    tensors = {name: torch.tensor(array) for name, array in state.items()}
    torch.save({"state_dict": tensors}, folder / "zip.pth")
    torch.save({"state_dict": tensors}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    np.savez(folder / "a.npz", **state)
    np.savez_compressed(folder / "b.npz", **state)
    pytest.importorskip("safetensors.numpy").save_file(state, folder / "a.safetensors")
    tiny().save_weights(folder / "a.weights.h5")
    tiny().save(folder / "a.keras")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(path):
    return read_keras(path).tensors if path.name.endswith((".keras", ".h5")) else read_checkpoint(path)


def damaged(data, rng):
    """Returns `data` with one to three random changes: bytes overwritten, inserted, deleted, repeated or cut off."""
    for _ in range(rng.integers(1, 4)):
        first, second = sorted(rng.integers(0, len(data), 2))
        some = rng.bytes(rng.integers(1, 10))
        results = (
            data[:first] + some + data[first + len(some) :],
            data[:first] + some + data[first:],
            data[:first] + data[min(second, first + 64) :],
            data[:second] + data[first:],
            data[: max(first, 1)],
        )
        data = results[rng.integers(len(results))]
    return data


WHOLE = ["zip.pth", "legacy.pth", "a.npz", "b.npz", "a.safetensors", "a.weights.h5", "a.keras"]


@pytest.mark.parametrize("name", WHOLE)
def test_cut_files_are_refused(name, whole, tmp_path, rng):
    path = tmp_path / name
    for length in [0, len(whole[name]) - 1, *rng.integers(1, len(whole[name]), 20)]:
        path.write_bytes(whole[name][:length])
        with pytest.raises(ValueError, match="path must be a whole "):
            read(path)


@pytest.mark.parametrize("rounds", [30, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", WHOLE)
def test_damaged_files_are_refused_or_hold_no_more(name, rounds, whole, tmp_path, rng):
    """Formats with checksums (zip files) return the original arrays or raise an error.

    In other formats, a changed byte may change a weight, but the arrays are never larger.
    """
    path = tmp_path / name
    path.write_bytes(whole[name])
    original = {key: np.array(array) for key, array in read(path).items()}
    for _ in range(rounds):
        data = damaged(whole[name], rng)
        path.write_bytes(data)
        try:
            tensors = read(path)
        except ValueError:
            continue
        assert sum(array.size for array in tensors.values()) <= BOUND * len(data)
        if name.endswith((".npz", "zip.pth")):
            for key in tensors.keys() & original.keys():
                if tensors[key].shape == original[key].shape:
                    np.testing.assert_array_equal(tensors[key], original[key])
