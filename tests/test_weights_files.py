"""Checkpoints of `torch.save`, safetensors and NumPy: all that is in them, nothing that they would do."""

import argparse
import io
import os
import pickle
import sys
import tarfile
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from keras_resnet.weights.files import BYTE_ORDERS, FORMATS, LEGACY_HEADER, PREFIXES, STATE_DICTS, read_checkpoint

MAGIC, PROTOCOL = LEGACY_HEADER.values()
TORCH_FORMATS = {"zip": True, "legacy": False}

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated", "ignore:invalid escape sequence")


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch


@pytest.fixture(params=TORCH_FORMATS)
def save(torch, tmp_path, request):
    """`save(checkpoint) -> path`, once in each format of PyTorch."""

    def save(checkpoint, suffix=".pth", **options):
        path = tmp_path / f"checkpoint{suffix}"
        torch.save(checkpoint, path, _use_new_zipfile_serialization=TORCH_FORMATS[request.param], **options)
        return path

    return save


def same(tensors, expected):
    assert list(tensors) == list(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        tensor = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
        assert isinstance(tensors[name], np.ndarray) and tensors[name].dtype == tensor.dtype, name
        np.testing.assert_array_equal(tensors[name], tensor, err_msg=name, strict=True)
        assert tensors[name].flags.aligned and tensors[name].flags.writeable


def dtypes(torch):
    floats = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
    integers = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    state = {str(dtype): (100 * torch.randn(3, 5)).to(dtype) for dtype in floats + integers}
    return state | {"special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-40]).bfloat16()}


def layouts(torch):
    whole = torch.randn(4, 6, 3, 2)
    return {
        "z_first": torch.randn(2),  # not sorted
        "whole": whole,
        "transposed": whole.permute(3, 1, 0, 2),
        "row": whole[2],
        "every_other": whole[1:, ::2, 1],
        "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "broadcast": torch.randn(3, 1).expand(3, 7),
        "again": whole,
        "scalar": torch.tensor(3.5),
        "scalar_within": whole[3, 5, 2, 1],
        "empty": torch.zeros(0),
        "empty_matrix": torch.zeros(3, 0, 2),
        "empty_slice": whole[4:],
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "buffer_of_ints": torch.tensor(7),
    }


@pytest.mark.parametrize("make", [dtypes, layouts])
def test_every_dtype_and_layout_comes_back(torch, save, make):
    state = make(torch)
    same(read_checkpoint(save(state)), state)
    same(read_checkpoint(save(OrderedDict(state), pickle_protocol=4)), state)


def test_a_module_with_metadata_and_hooks_beside_it(torch, save):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    same(read_checkpoint(save(net.state_dict())), net.state_dict())
    parameters = OrderedDict(net.named_parameters())  # not their data
    same(read_checkpoint(save(parameters)), parameters)


def test_shared_memory_is_shared_once(torch, save):
    state = layouts(torch)
    tensors = read_checkpoint(save(state))
    tensors["whole"][2, 0, 0, 0] = 42
    assert tensors["row"][0, 0, 0] == tensors["again"][2, 0, 0, 0] == 42
    assert not np.shares_memory(tensors["whole"], tensors["z_first"])


@pytest.mark.parametrize("key", STATE_DICTS)
def test_the_state_dict_is_found_among_its_company(torch, save, key):
    state = {"a": torch.randn(2), "b": torch.randn(3)}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.randn(2))], 0.1, momentum=0.9).state_dict()
    company = {
        "best_prec1": 91.78,
        "epoch": 7,
        "optimizer": optimizer,
        "loss": torch.tensor(1.0),
        "device": torch.device("cuda", 0),
        "size": torch.Size([1, 2]),
        "arch": "resnet20",
        "none": None,
    }
    same(read_checkpoint(save({**company, key: state})), state)
    decoys = {later: {"decoy": torch.zeros(1)} for later in STATE_DICTS[STATE_DICTS.index(key) + 1 :]}
    same(read_checkpoint(save({**decoys, key: state})), state)
    names = dict.fromkeys(STATE_DICTS[: STATE_DICTS.index(key)], "a name, not a dict")
    same(read_checkpoint(save({**names, key: state, "state": {"epoch": 1}})), state)


@pytest.mark.parametrize("prefix", [*PREFIXES, "module.model.", "_orig_mod.module."])
def test_a_prefix_goes_if_all_names_have_it(torch, save, prefix):
    state = {"conv1.weight": torch.randn(2), "module.fc.weight": torch.randn(3)}
    same(read_checkpoint(save({f"{prefix}{name}": tensor for name, tensor in state.items()})), state)
    same(read_checkpoint(save({**state, "model.fc.bias": torch.zeros(2)})), {**state, "model.fc.bias": torch.zeros(2)})


@pytest.mark.parametrize("suffix", [suffix for suffix, read in FORMATS.items() if read.__name__ == "read_torch"])
def test_nothing_imports_torch(torch, save, suffix, monkeypatch):
    state = {"a": torch.randn(2)}
    path = save(state, suffix)
    with monkeypatch.context() as context:
        for module in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            context.setitem(sys.modules, module, None)  # what an import of it meets: an ImportError
        tensors = read_checkpoint(str(path))
    same(tensors, state)


@pytest.mark.parametrize("order", BYTE_ORDERS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool"])
def test_zip_says_its_byte_order(torch, tmp_path, order, dtype):
    state = {"a": torch.tensor([[1.5, -2.0], [0, 300]]).to(getattr(torch, dtype))}
    torch.save(state, tmp_path / "native.pth")
    with zipfile.ZipFile(tmp_path / "native.pth") as native, zipfile.ZipFile(tmp_path / "x.pth", "w") as other:
        for name in native.namelist():
            data = native.read(name)
            if name.endswith("/byteorder"):
                data = order.encode()
            if "/data/" in name and order != sys.byteorder:
                size = state["a"].itemsize
                data = np.frombuffer(data, f"u{size}").byteswap().tobytes()
            other.writestr(name, data)
    same(read_checkpoint(tmp_path / "x.pth"), state)


class Reduces:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


EVIL = {
    "system": lambda marker: Reduces(os.system, f"touch {marker}"),
    "eval": lambda marker: Reduces(eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Reduces(exec, f"open({str(marker)!r}, 'w')"),
    "open": lambda marker: Reduces(open, str(marker), "w"),
    "loads": lambda marker: Reduces(pickle.loads, pickle.dumps(Reduces(open, str(marker), "w"))),
    "getattr": lambda marker: Reduces(getattr, OrderedDict, "fromkeys"),
    "_reconstruct": lambda marker: np.zeros(2),
    "scalar": lambda marker: np.float64(0.9),
    "Namespace": lambda marker: argparse.Namespace(lr=0.1),
}


@pytest.mark.parametrize("pickle_protocol", [2, 4])
@pytest.mark.parametrize("refused", EVIL)
def test_other_classes_are_refused_by_name_and_nothing_runs(torch, save, tmp_path, refused, pickle_protocol):
    marker = tmp_path / "marker"
    path = save({"state_dict": {"a": torch.zeros(2)}, "args": EVIL[refused](marker)}, pickle_protocol=pickle_protocol)
    with pytest.raises(ValueError, match=rf"may name nothing but .*Received: '[\w.]+\.{refused}'"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_each_pickle_of_the_legacy_format_is_restricted(tmp_path, place):
    marker = tmp_path / "marker"
    pickles = [MAGIC, PROTOCOL, {}, {}, []]
    pickles[place] = Reduces(open, str(marker), "w")
    path = tmp_path / "evil.pth"
    path.write_bytes(b"".join(map(pickle.dumps, pickles)))
    with pytest.raises(ValueError, match="'(_io|io).open'"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "lie",
    [
        b"r\xff\xff\xff\xff",
        b"p99999999999\n",
        b"p-1\n",
        b"\x8e" + b"\xff" * 6 + b"\0\0",
        b"\x96" + b"\xff" * 6 + b"\0\0",
    ],
)
def test_a_pickle_gets_no_memory_for_what_it_does_not_hold(tmp_path, lie):
    (tmp_path / "lie.pth").write_bytes(b"\x80\x05}" + lie + b".")
    with pytest.raises(ValueError, match="must count what it has put aside|expected [0-9]+ bytes"):
        read_checkpoint(tmp_path / "lie.pth")


@pytest.mark.parametrize("loads", ["torch.storage._load_from_bytes", "torch.storage.UntypedStorage"])
def test_torchs_own_pickles_within_pickles_are_refused(torch, tmp_path, loads):
    module, _, name = loads.rpartition(".")
    path = tmp_path / "evil.pth"
    path.write_bytes(f"c{module}\n{name}\n(U\x01atR.".encode())
    with pytest.raises(ValueError, match=f"Received: '{loads}'"):
        read_checkpoint(path)


def test_a_pickle_cannot_change_how_the_next_is_read(torch, save, tmp_path):
    state = {"a": torch.randn(2)}
    path = save(state)
    for name in ("torch._utils\n_rebuild_tensor_v2", "torch\ndevice", "torch\nSize", "collections\nOrderedDict"):
        # BUILD with (None, {...}): setattr(what was named, "__defaults__", ())
        evil = b"\x80\x02c" + name.encode() + b"\n(N}U\x0c__defaults__)stb."
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(MAGIC) + evil)
        with pytest.raises(ValueError):
            read_checkpoint(tmp_path / "evil.pth")
        same(read_checkpoint(path), state)


# (offset, size, stride) in a storage of six elements
OUTSIDE = [
    (0, (7,), (1,)),
    (5, (2,), (1,)),
    (6, (), ()),
    (0, (2, 3), (4, 1)),
    (0, (5,), (2**60,)),  # four steps of four bytes: 2**64, which is nothing where it overflows
    (0, (2,), (2**62,)),
    (2**62, (2,), (1,)),
    (-1, (2,), (1,)),
    (5, (2,), (-1,)),
    (0, (-2,), (1,)),
    (0, (2, 3), (1,)),
    (0, (2.0,), (1,)),
    (0, (0, 2**62, 4), (1, 1, 1)),
    (0, (1,) * 99, (1,) * 99),
    ("0", (2,), (1,)),
    (0, None, (1,)),
]


def of_storage(torch, *where, **metadata):
    """Pickles as the tensor that lies there, which PyTorch itself would not make."""
    storage = torch.storage.TypedStorage(list(range(6)), dtype=torch.float32)
    return Reduces(torch._utils._rebuild_tensor_v2, storage, *where, False, OrderedDict(), *metadata.values())


@pytest.mark.parametrize("where", OUTSIDE, ids=str)
def test_a_tensor_lies_in_its_storage(torch, save, where):
    path = save({"inside": torch.zeros(2), "outside": of_storage(torch, *where)})
    with pytest.raises(ValueError, match="path must be a whole checkpoint"):
        read_checkpoint(path)


def test_all_of_a_storage_is_in_reach_and_no_more_memory_is_taken(torch, save):
    inside = of_storage(torch, 1, (5,), (1,))
    endless = of_storage(torch, 5, (2**40,), (0,))
    tensors = read_checkpoint(save({"inside": inside, "endless": endless}))
    np.testing.assert_array_equal(tensors["inside"], [1, 2, 3, 4, 5])
    assert tensors["endless"].shape == (2**40,) and tensors["endless"][-1] == 5


def test_a_tensor_that_is_not_as_its_storage_is_refused(torch, save):
    with pytest.raises(ValueError, match="as it is. Received: one with {'neg': True}"):
        read_checkpoint(save({"a": of_storage(torch, 0, (2,), (1,), metadata={"neg": True})}))


def every_format(torch, tmp_path):
    state = {"a": torch.randn(3, 4), "b": torch.randn(50).half(), "c": torch.tensor(3)}
    torch.save({"state_dict": state}, tmp_path / "zip.pth")
    torch.save({"state_dict": state}, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    np.savez(tmp_path / "numpy.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    np.savez_compressed(tmp_path / "small.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    return state, [tmp_path / name for name in ("zip.pth", "legacy.pth", "numpy.npz", "small.npz")]


def test_a_file_cut_short_is_a_value_error(torch, tmp_path, rng):
    state, paths = every_format(torch, tmp_path)
    for path in paths:
        same(read_checkpoint(path), state)
        whole = path.read_bytes()
        for length in [0, len(whole) - 1, *rng.integers(1, len(whole), 20)]:
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match="path must be a whole checkpoint"):
                read_checkpoint(path)


def test_a_storage_as_long_as_it_says(torch, tmp_path):
    torch.save({"a": torch.arange(6.0)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "a.pth").read_bytes()
    length, values = (6).to_bytes(8, "little"), np.arange(6, dtype="float32").tobytes()
    assert whole.endswith(length + values)
    for lie in (5, 7, 2**63 - 1, 2**64 - 1):
        (tmp_path / "a.pth").write_bytes(whole.removesuffix(length + values) + lie.to_bytes(8, "little") + values)
        with pytest.raises(ValueError, match=f"the length of storage .* must be 6. Received: {lie}"):
            read_checkpoint(tmp_path / "a.pth")


def test_a_storage_in_a_zip_as_long_as_it_says(torch, tmp_path):
    torch.save({"a": torch.arange(6.0)}, tmp_path / "a.pth")
    for lie in (5, 7):
        with zipfile.ZipFile(tmp_path / "a.pth") as whole, zipfile.ZipFile(tmp_path / "b.pth", "w") as other:
            for name in whole.namelist():
                other.writestr(name, bytes(4 * lie) if "/data/" in name else whole.read(name))
        with pytest.raises(ValueError, match=f"length=6.* must be 4 times as many bytes. Received: {4 * lie}"):
            read_checkpoint(tmp_path / "b.pth")


STORAGE = ("storage", "torch.FloatStorage", "0", "cpu", 1)


@pytest.mark.parametrize(
    "pid",
    [("module", *STORAGE[1:]), ("storage", "O", "0", "cpu", 1), (*STORAGE, ("key", 0, 1)), STORAGE[:4], 5],
    ids=str,
)
def test_storages_and_nothing_else_stand_beside_a_pickle(tmp_path, pid):
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return pid if obj is Pickler else None

    with (tmp_path / "a.pth").open("wb") as file:
        for pickled in (MAGIC, PROTOCOL, {}, {"a": Pickler}):
            Pickler(file).dump(pickled)
    with pytest.raises(ValueError, match="a storage must be|not enough values|cannot unpack"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("suffix", FORMATS)
def test_junk_is_a_value_error(tmp_path, suffix, rng):
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("README", "not a checkpoint")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for junk in (
        b"",
        b"<!DOCTYPE html><html>404</html>",
        b"version https://git-lfs.github.com/spec/v1\n",
        bytes(1000),
        *(rng.bytes(1000) for _ in range(20)),
        pickle.dumps({"state_dict": {"a": 1}}),
        pickle.dumps(MAGIC) + pickle.dumps(1002),
        array.getvalue(),
        other.getvalue(),
    ):
        path = tmp_path / f"junk{suffix}"
        path.write_bytes(junk)
        with pytest.raises(ValueError, match="path must be a whole checkpoint"):
            read_checkpoint(path)


def test_the_tar_of_the_oldest_torch_is_told_apart(tmp_path):
    for tar_format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "old.pth", "w:", format=tar_format) as tar:
            tar.addfile(tarfile.TarInfo("sys_info"))
        with pytest.raises(ValueError, match="it is a tar of PyTorch 0.1"):
            read_checkpoint(tmp_path / "old.pth")


@pytest.mark.parametrize("checkpoint", [{}, [1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, {"model": 3}], ids=str)
def test_no_tensors_is_a_value_error(save, checkpoint):
    with pytest.raises(ValueError, match="no tensors in it, neither at the top nor under any of"):
        read_checkpoint(save(checkpoint))


def test_the_suffix_chooses(tmp_path):
    with pytest.raises(ValueError, match=r"The suffix of path must be one of \['.safetensors', .*Received: '.h5'"):
        read_checkpoint(tmp_path / "weights.h5")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "missing.pth")


def test_npz(tmp_path, rng):
    state = {"resnet/root_block/kernel": rng.normal(size=(3, 3)), "a": np.float16([1, 2]), "scalar": np.int64(3)}
    np.savez(tmp_path / "a.NPZ.npz", **state)
    tensors = read_checkpoint(tmp_path / "a.NPZ.npz")
    assert list(tensors) == list(state)
    for name in state:
        np.testing.assert_array_equal(tensors[name], state[name], strict=True)


def test_npz_with_a_pickle_in_it_is_refused(tmp_path):
    marker = tmp_path / "marker"
    np.savez(tmp_path / "evil.npz", a=np.array([Reduces(open, str(marker), "w")], dtype=object))
    with pytest.raises(ValueError, match="path must be a whole checkpoint.*must be of numbers. Received: object"):
        read_checkpoint(tmp_path / "evil.npz")
    assert not marker.exists()


def test_safetensors(torch, tmp_path, rng):
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = dtypes(torch) | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)}
    path = tmp_path / "a.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in state.items()}, path)
    tensors = read_checkpoint(path)
    assert sorted(tensors) == sorted(state)
    same(tensors, {name: state[name] for name in tensors})
    whole = path.read_bytes()
    by_offset = sorted(state, key=lambda name: whole.index(f'"module.{name}"'.encode()))  # in the header of this writer
    assert list(tensors) == by_offset
    for length in [0, len(whole) - 1, *rng.integers(1, len(whole), 20)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="path must be a whole checkpoint"):
            read_checkpoint(path)


def test_a_tensor_as_it_was_written_before_pytorch_0_4(tmp_path):
    torch = pytest.importorskip("torch")

    class Old:
        def __reduce__(self):
            return torch._utils._rebuild_tensor, ("the storage", 1, (2, 2), (2, 1))

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", 5) if value == "the storage" else None

    data = io.BytesIO()
    Pickler(data, protocol=2).dump({"weight": Old()})
    with zipfile.ZipFile(tmp_path / "old.pth", "w") as archive:
        archive.writestr("old/data.pkl", data.getvalue())
        archive.writestr("old/data/0", np.arange(5, dtype="float32").tobytes())
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "old.pth")["weight"], [[1, 2], [3, 4]])
