"""Files that lie: refused with a ValueError, in memory that their own size bounds, and nothing that they name runs."""

import io
import json
import pickle
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import tiny
from test_weights_files import MAGIC, PROTOCOL

from keras_resnet import load_pretrained
from keras_resnet.weights.files import BOUND, read_checkpoint
from keras_resnet.weights.keras_files import read_keras

# a file and the objects that Python makes of its bytes: a dict takes 64, what is put aside up to 118
PEAK = 120


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


SAFETENSORS = {
    "header beyond the file": safetensors({"a": entry()}, bytes(8), length=2**40),
    "header of 2**64 - 1": safetensors({"a": entry()}, bytes(8), length=2**64 - 1),
    "no object": safetensors([1, 2]),
    "no JSON": safetensors(b"{nonsense"),
    "deep JSON": safetensors(b"[" * 100_000),
    "twice": safetensors(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2), bytes(8)),
    "a field twice": safetensors(b'{"a": {"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "no dtype": safetensors({"a": {"shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "unknown dtype": safetensors({"a": entry("F3")}, bytes(8)),
    "list for a dtype": safetensors({"a": entry(["F32"])}, bytes(8)),
    "huge shape": safetensors({"a": entry(shape=(2**31, 2**31))}, bytes(8)),
    "shape that overflows": safetensors({"a": entry(shape=(2**62, 4, 2))}, bytes(8)),
    "negative shape": safetensors({"a": entry(shape=(-1, -2))}, bytes(8)),
    "true shape": safetensors({"a": entry(shape=(True, 2))}, bytes(8)),
    "float shape": safetensors({"a": entry(shape=(2.0,))}, bytes(8)),
    "a hundred axes": safetensors({"a": entry(shape=(1,) * 100 + (2,))}, bytes(8)),
    "overlap": safetensors({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "the same bytes": safetensors({"a": entry(), "b": entry()}, bytes(8)),
    "a hole": safetensors({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "bytes left": safetensors({"a": entry()}, bytes(9)),
    "beyond the end": safetensors({"a": entry(shape=(4,), offsets=(0, 16))}, bytes(8)),
    "backwards": safetensors({"a": entry(offsets=(8, 0))}, bytes(8)),
    "metadata that is a list": safetensors({"a": entry(), "__metadata__": []}, bytes(8)),
    "metadata that is no string": safetensors({"a": entry(), "__metadata__": {"shortcut": []}}, bytes(8)),
    "only metadata": safetensors({"__metadata__": {"format": "pt"}}),
}


def deep(opcodes):
    """A pickle where the state dict should be."""
    return pickle.dumps(MAGIC) + pickle.dumps(PROTOCOL) + pickle.dumps({}) + b"\x80\x02" + opcodes + b"."


MANY = pickle.dumps([(i, i) for i in range(3000)], protocol=2)[2:-1]
PICKLES = {
    "GLOBAL os.system, REDUCE": b"cposix\nsystem\n(U\x04true" + b"tR",
    "STACK_GLOBAL builtins.eval, REDUCE": b"\x8c\x08builtins\x8c\x04eval\x93(U\x03" + b"1+1tR",
    "INST": b"(U\x04trueiposix\nsystem\n",
    "OBJ": b"(cposix\nsystem\nU\x04trueo",
    "NEWOBJ": b"ccollections\nOrderedDict\n)\x81",
    "EXT1": b"\x82\x01",
    "PERSID": b"Pos.system\n",
    "a name with a dot": b"\x8c\x11collections.abc.x\x8c\x0bOrderedDict\x93",
    "a name that is no string": b"]\x8c\x04eval\x93",
    "numpy _reconstruct": b"cnumpy._core.multiarray\n_reconstruct\n",
    "numpy scalar": b"cnumpy.core.multiarray\nscalar\n",
    "BUILD of a name": b"ctorch._utils\n_rebuild_tensor_v2\n(N}U\x0c__defaults__)stb" + b"0]",
    "REDUCE of a storage": b"ctorch\nFloatStorage\n)R",
    "REDUCE of a string": b"U\x0fos.system('foo')R",
    "LONG4 that is not there": b"\x8b\xff\xff\xff\x7f",
    "BINUNICODE8 that is not there": b"\x8d" + b"\xff" * 7 + b"\x7f",
    "a frame that is not there": b"\x95" + b"\xff" * 7 + b"\x7f",
    "digits without end": b"I" + b"9" * 10_000 + b"\n",
    "PUT far away": b"]r\xff\xff\xff\xff",
    "GET of nothing": b"h\x07",
    "an empty stack": b"R",
    "a stack without a mark": b"]]e",
    "append to a number": b"K\x01K\x02a",
    "laughs": b"]" + b"".join(b"q%c](h%ch%ce" % (i, i, i) for i in range(1, 100)),
    "laughs for a key": b"}K\x01" + b"".join(b"q%c\x30h%ch%c\x86" % (i, i, i) for i in range(1, 90)) + b"K\x01s",
    "nested for a key": b"}" + b"(" * 0 + b")" + b"\x85" * 200_000 + b"K\x01s",
    "nested lists": b"]" * 200_000 + b"a" * 199_999,
    "copies": MANY
    + b"r\xff\x7f\0\0ccollections\nOrderedDict\nr\xfe\x7f\0\0"
    + b"j\xfe\x7f\0\0j\xff\x7f\0\0\x85R0" * 9000,
    "set of lists": b"\x8f(]]\x90",
    "dicts without end": b"}" * 100_000,
    "put aside without end": b"]" + b"\x94" * 87_678,
}


def torch_zip(pickled, storages=(), compression=zipfile.ZIP_STORED, names=("x",)):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickled)
        for i, storage in enumerate(storages):
            archive.writestr(f"x/data/{i}", storage)
    return data.getvalue()


def checkpoint_pickle(size=(2,), stride=(1,), length=2, kind="torch FloatStorage", key="0", offset=0):
    """{"a": a tensor}, by hand."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", marker, key, "cpu", length) if value is Storage else None

    marker, file = "@@@", io.BytesIO()
    Pickler(file, 2).dump([Storage, offset, size, stride, False, OrderedDict()])
    pid = file.getvalue()[2:-1].replace(b"X\x03\0\0\0@@@", b"c" + kind.replace(" ", "\n").encode() + b"\n")
    call = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return b"\x80\x02}U\x01a" + call + pid.replace(b"]q", b"(0(]q", 1)[:0] + _tuple(pid) + b"Rs."


def _tuple(listed):
    """The opcodes of a list, `] q\\0 ( ... e`, as those of a tuple."""
    assert listed.startswith(b"]q\0(") and listed.endswith(b"e")
    return b"(" + listed[4:-1] + b"t"


KINDS = [("Double", 8), ("Long", 8), ("Float", 4), ("Int", 4), ("Half", 2), ("BFloat16", 2), ("Char", 1), ("Byte", 1)]


def of_every_kind(size):
    """One storage of `size` bytes under each of its kinds, a tensor each."""
    start, opcodes = b"\x80\x02}U\x01a", b""
    for i, (kind, width) in enumerate(KINDS):
        length = size // width
        one = checkpoint_pickle((length,), (1,), length, f"torch {kind}Storage")
        opcodes += b"U\x01" + bytes([97 + i]) + one.removeprefix(start).removesuffix(b".")
    return start[:3] + opcodes + b"."


NOISE = np.random.default_rng(0).bytes(50_000)  # what does not shrink, so that the rest may


def bomb(member):
    return torch_zip(member, [bytes(50_000_000)], zipfile.ZIP_DEFLATED)


def twice():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            archive.writestr("x/data.pkl", checkpoint_pickle())
    return data.getvalue()


ZIPS = {
    "zeros": lambda: bomb(checkpoint_pickle((12_500_000,), (1,), 12_500_000)),
    "a pickle that expands": lambda: torch_zip(b"\x80\x02" + b"}" * 900_000 + b".", [NOISE], zipfile.ZIP_DEFLATED),
    "a storage of every kind": lambda: torch_zip(of_every_kind(900_000), [bytes(900_000), NOISE], zipfile.ZIP_DEFLATED),
    "a pickle of zeros": lambda: torch_zip(bytes(50_000_000), (), zipfile.ZIP_DEFLATED),
    "twice": twice,
    "huge storage": lambda: torch_zip(checkpoint_pickle(length=2**50), [bytes(8)]),
    "huge tensor": lambda: torch_zip(checkpoint_pickle((2**50,)), [bytes(8)]),
    "negative stride": lambda: torch_zip(checkpoint_pickle(stride=(-1,)), [bytes(8)]),
    "no storage": lambda: torch_zip(checkpoint_pickle(key="../../x")),
    "unknown kind": lambda: torch_zip(checkpoint_pickle(kind="torch QInt8Storage"), [bytes(8)]),
}


def npz(**members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return data.getvalue()


def npy(shape="(2,)", descr="'<f4'", data=bytes(8)):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


NPZ = {
    "zeros": npz(a=npy("(12500000,)", data=bytes(50_000_000))),
    "huge": npz(a=npy("(1099511627776,)")),
    "overflow": npz(a=npy("(4611686018427387904, 4)")),
    "negative": npz(a=npy("(-2,)")),
    "objects": npz(a=npy(descr="'|O'", data=pickle.dumps(1))),
    "records": npz(a=npy(descr="[('x', '<f4')]")),
    "words": npz(a=npy(descr="'<U2'")),
    "code": npz(a=npy(shape="__import__('os').system('true')")),
    "version 9": npz(a=b"\x93NUMPY\x09\x00" + npy()[8:]),
    "short": npz(a=npy(data=bytes(7))),
    "long": npz(a=npy(data=bytes(9))),
}

FILES = (
    {f"safetensors: {name}": (".safetensors", data) for name, data in SAFETENSORS.items()}
    | {f"pickle: {name}": (".pth", deep(data)) for name, data in PICKLES.items()}
    | {f"pickle in zip: {name}": (".pth", torch_zip(b"\x80\x02" + data + b".")) for name, data in PICKLES.items()}
    | {f"zip: {name}": (".pth", data) for name, data in ZIPS.items()}
    | {f"npz: {name}": (".npz", data) for name, data in NPZ.items()}
)


def written(name, folder):
    suffix, data = FILES[name]
    path = folder / f"file{suffix}"
    path.write_bytes(data() if callable(data) else data)
    return path


def test_the_hand_made_checkpoint_is_one(tmp_path):
    """Else all that is made of it would be refused for another reason."""
    (tmp_path / "a.pth").write_bytes(torch_zip(checkpoint_pickle(), [np.float32([3, 4]).tobytes()]))
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.pth")["a"], [3, 4])
    (tmp_path / "a.npz").write_bytes(npz(a=npy()))
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.npz")["a"], [0, 0])
    (tmp_path / "a.safetensors").write_bytes(safetensors({"a": entry()}, bytes(8)))
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "a.safetensors")["a"], [0, 0])


@pytest.mark.parametrize("name", FILES)
def test_refused_in_bounded_memory(name, tmp_path):
    path = written(name, tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="path must be a whole checkpoint. Received: ") as caught:
            read_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < PEAK * path.stat().st_size + 2**20
    assert len(str(caught.value)) < 2000


def test_what_is_copied_is_counted(tmp_path):
    with pytest.raises(ValueError, match="its pickle copies itself"):
        read_checkpoint(written("pickle in zip: copies", tmp_path))


def test_nothing_is_called(tmp_path, monkeypatch):
    """What the pickles above name is there to be called, and is not."""
    import os

    called = []
    monkeypatch.setattr(os, "system", called.append)
    monkeypatch.setattr(sys.modules["posix"], "system", called.append)
    monkeypatch.setattr("builtins.eval", called.append)
    for name in FILES:
        with pytest.raises(ValueError):
            read_checkpoint(written(name, tmp_path))
    assert called == []


LIMITED = """
import resource, sys, numpy
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
    """200 MB more than the process has: files of up to 2 MB that speak of terabytes."""
    assert resource.RLIMIT_AS
    paths = []
    for i, name in enumerate(FILES):
        suffix, data = FILES[name]
        paths.append(tmp_path / f"{i}{suffix}")
        paths[-1].write_bytes(data() if callable(data) else data)
    subprocess.run([sys.executable, "-c", LIMITED, str(200 * 2**20), *map(str, paths)], check=True)


# ---- HDF5


def h5_file(tmp_path, fill):
    path = tmp_path / "file.weights.h5"
    with h5py.File(path, "w") as file:
        fill(file, file.create_group("layers/conv2d/vars"))
    return path


def _external(file, group):
    (Path(file.filename).parent / "secret").write_bytes(bytes(8))
    group.create_dataset("0", (2,), "f4", external=[(str(Path(file.filename).parent / "secret"), 0, 8)])


def _virtual(file, group):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    group.create_virtual_dataset("0", layout)


def _outside(file, group):
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        other["conv2d/vars/0"] = np.zeros(2, "f4")
    del file["layers"]
    file["layers"] = h5py.ExternalLink("other.h5", "/")


H5 = {
    "huge": lambda file, group: group.create_dataset("0", (2**40,), "f4", chunks=(1024,)),
    "zeros": lambda file, group: group.create_dataset("0", data=np.zeros(12_500_000, "f4"), compression="gzip"),
    "many": lambda file, group: [group.create_dataset(f"{i}", (2**20,), "f4", chunks=(1024,)) for i in range(99)],
    "chunk": lambda file, group: group.create_dataset(
        "0", data=np.zeros(1), maxshape=(None,), chunks=(2**21,), compression="gzip"
    ),
    "external": _external,
    "virtual": _virtual,
    "outside": _outside,
    "words": lambda file, group: group.create_dataset("0", data=["words"]),
    "records": lambda file, group: group.create_dataset("0", (2,), [("x", "f4")]),
    "integers": lambda file, group: group.create_dataset("0", (2,), "i8"),
    "empty": lambda file, group: group.create_dataset("0", data=h5py.Empty("f4")),
    "ragged": lambda file, group: group.create_dataset("0", (2,), h5py.vlen_dtype(np.float32)),
}


def one_for_many(path, place, name):
    """An attribute of many short strings, each of which is then one long string of the file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.zeros(4, "f4"))
        strings = ["x" * 30_000] + ["y"] * 300
        file[place].attrs.create(name, strings, dtype=h5py.string_dtype())
    data = path.read_bytes()
    start = data.index((30_000).to_bytes(4, "little"))  # of a list of length, address and number, 16 bytes each
    path.write_bytes(data[:start] + data[start : start + 16] * 301 + data[start + 16 * 301 :])


@pytest.mark.parametrize(
    ("place", "name", "refused"),
    [("layers", "layer_names", False), ("layers/conv2d/vars", "name", True), ("/", "model_config", True)],
)
def test_hdf5_strings_are_not_one_string_many_times(place, name, refused, tmp_path):
    path = tmp_path / "file.h5"
    one_for_many(path, place, name)
    with h5py.File(path) as file:
        assert len(file[place].attrs[name][300]) == 30_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"{name} must be one string") if refused else nullcontext():
            read_keras(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * BOUND * path.stat().st_size + 2**20


def test_hdf5_names_are_counted(tmp_path):
    """Every array of a layer carries its name."""
    path = tmp_path / "file.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group.attrs["name"] = "x" * 60_000
        for i in range(200):
            group.create_dataset(f"{i}", data=np.zeros(1, "f4"))
    with pytest.raises(ValueError, match="its weights must take at most 20 times"):
        read_keras(path)


@pytest.mark.parametrize("name", H5)
def test_hdf5_refused_in_bounded_memory(name, tmp_path):
    path = h5_file(tmp_path, H5[name])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="path must be a whole file of Keras. Received: "):
            read_keras(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * BOUND * path.stat().st_size + 2**20


@pytest.mark.parametrize(
    "members",
    [
        {"config.json": b"{}"},
        {"model.weights.h5": b"", "config.json": b"{}"},
        {"model.weights.h5": bytes(10_000_000), "config.json": b"{}"},
        {"config.json": b"[" * 100_000},
    ],
    ids=lambda members: "+".join(members),
)
def test_dot_keras_refused(members, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match="path must be a whole file of Keras"):
        read_keras(tmp_path / "a.keras")


def zeros_in_zeros(folder):
    """A .weights.h5 that is mostly zeros and, unzipped, speaks of more."""
    path = folder / "inner.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group.create_dataset("0", data=np.zeros(200_000, "f4"))
        group.create_dataset("1", data=np.zeros(3_000_000, "f4"), compression="gzip")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("config", "weights", "says"),
    [
        (
            lambda: b'{"config": {"layers": [' + b"{}," * 300_000 + b"{}]}}",
            lambda _: b"",
            "'config.json' must be no larger",
        ),
        (lambda: b"{}", zeros_in_zeros, "its weights must take at most 20 times its [56]\\d{4} bytes"),
    ],
    ids=["config", "weights"],
)
def test_dot_keras_refused_in_bounded_memory(config, weights, says, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config())
        archive.writestr("model.weights.h5", weights(tmp_path))
        archive.writestr("noise", NOISE)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=says):
            read_keras(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * BOUND * path.stat().st_size + 2**20


# ---- a dict


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64", "uint8"])
def test_weights_are_floats(dtype):
    from test_weights_state_dict import state_dict

    model = tiny()
    state = state_dict(model)
    state["fc.bias"] = state["fc.bias"].astype(dtype)
    with pytest.raises(ValueError, match=f"dtype: fc.bias is of {dtype}, .* needs floats"):
        load_pretrained(model, state)


@pytest.mark.parametrize("name", ["conv1.weight", "fc.weight", "layer1.0.conv1.weight", "bn1.running_mean"])
def test_a_shape_without_end_costs_nothing(name):
    """A view of one number, which NumPy would add up for years."""
    from test_weights_state_dict import state_dict

    row_model = tiny()
    state = state_dict(row_model)
    state[name] = np.broadcast_to(np.float32(1), (4, 3, 2**25, 2**25))
    for model in (row_model, tiny(classes=5)):
        with pytest.raises(ValueError, match=f"shape: {name} is \\(4, 3, 33554432, 33554432\\)"):
            load_pretrained(model, state)


# ---- what chance makes of whole files


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A file of every format."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["zip.pth", "legacy.pth", "a.npz", "b.npz", "a.safetensors", "a.weights.h5", "a.keras"]
)
def test_mutations_are_read_as_they_were_or_refused(name, whole, tmp_path):
    """Bytes changed, cut out, put in and doubled. Where a format has sums of its bytes (the zips) what is read is what
    was written; where it has none, a changed byte may be a changed weight, but never more, other or larger tensors.
    """
    hypothesis = pytest.importorskip("hypothesis")
    strategies = hypothesis.strategies
    data = whole[name]
    path = tmp_path / name
    read = (lambda path: read_keras(path).tensors) if "keras" in name or "h5" in name else read_checkpoint
    path.write_bytes(data)
    original = {key: np.array(array) for key, array in read(path).items()}
    summed = name.endswith((".npz", "zip.pth"))

    place = strategies.integers(0, len(data) - 1)
    mutation = strategies.tuples(place, place, strategies.binary(max_size=9), strategies.sampled_from("=+-*<"))

    @hypothesis.settings(max_examples=1500, deadline=None, database=None, derandomize=True)
    @hypothesis.given(strategies.lists(mutation, min_size=1, max_size=3))
    def mutate(mutations):
        mutated = data
        for first, second, some, how in mutations:
            first, second = sorted((first, second))
            mutated = {
                "=": mutated[:first] + some + mutated[first + len(some) :],
                "+": mutated[:first] + some + mutated[first:],
                "-": mutated[:first] + mutated[min(second, first + 64) :],
                "*": mutated[:second] + mutated[first:],
                "<": mutated[:first],
            }[how]
        path.write_bytes(mutated)
        try:
            tensors = read(path)
        except ValueError:
            return
        assert sum(array.size for array in tensors.values()) <= BOUND * len(mutated)
        if summed:
            for key in tensors.keys() & original.keys():
                if tensors[key].shape == original[key].shape:
                    np.testing.assert_array_equal(tensors[key], original[key])

    mutate()
