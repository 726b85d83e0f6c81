"""Tests that checkpoints of `torch.save`, safetensors and NumPy are read correctly."""

import argparse
import io
import pickle
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import safetensors

from keras_resnet.weights.files import FORMATS, PREFIXES, STATE_DICTS, read_checkpoint, safetensors_metadata

TORCH_FORMATS = {"zip": True, "legacy": False}

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch


@pytest.fixture(params=TORCH_FORMATS)
def save(torch, tmp_path, request):
    """A function `save(checkpoint) -> path`, for each format of PyTorch."""

    def save(checkpoint, suffix=".pth", **options):
        path = tmp_path / f"checkpoint{suffix}"
        torch.save(checkpoint, path, _use_new_zipfile_serialization=TORCH_FORMATS[request.param], **options)
        return path

    return save


def check_same(tensors, expected):
    assert list(tensors) == list(expected)
    for name, tensor in expected.items():
        tensor = tensor.detach()
        tensor = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
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
        "counter": torch.tensor(7),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("make", [dtypes, layouts])
def test_every_dtype_layout_and_protocol(torch, save, make, protocol):
    state = make(torch)
    check_same(read_checkpoint(save(state, pickle_protocol=protocol)), state)
    check_same(read_checkpoint(save(OrderedDict(state), pickle_protocol=protocol)), state)


def test_module_with_metadata_and_hooks(torch, save):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    check_same(read_checkpoint(save(net.state_dict())), net.state_dict())
    parameters = OrderedDict(net.named_parameters())
    check_same(read_checkpoint(save(parameters)), parameters)


def test_shared_memory_is_shared(torch, save):
    tensors = read_checkpoint(save(layouts(torch)))
    tensors["whole"][2, 0, 0, 0] = 42
    assert tensors["row"][0, 0, 0] == tensors["again"][2, 0, 0, 0] == 42
    assert not np.shares_memory(tensors["whole"], tensors["z_first"])


@pytest.mark.parametrize("key", STATE_DICTS)
def test_state_dict_is_found_among_other_entries(torch, save, key):
    state = {"a": torch.randn(2), "b": torch.randn(3)}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.randn(2))], 0.1, momentum=0.9).state_dict()
    others = {"epoch": 7, "accuracy": 91.78, "optimizer": optimizer, "loss": torch.tensor(1.0), "arch": "resnet20"}
    others |= {"device": torch.device("cuda", 0), "size": torch.Size([1, 2]), "none": None, "drops": {30: 0.1}}
    check_same(read_checkpoint(save({**others, key: state})), state)
    place = STATE_DICTS.index(key)
    later = {later: {"decoy": torch.zeros(1)} for later in STATE_DICTS[place + 1 :]}
    check_same(read_checkpoint(save({**later, **dict.fromkeys(STATE_DICTS[:place], "a string"), key: state})), state)


@pytest.mark.parametrize("prefix", [*PREFIXES, "module.model.", "_orig_mod.module."])
def test_prefix_of_all_names_is_removed(torch, save, prefix):
    state = {"conv1.weight": torch.randn(2), "module.fc.weight": torch.randn(3)}
    check_same(read_checkpoint(save({f"{prefix}{name}": tensor for name, tensor in state.items()})), state)
    state["model.fc.bias"] = torch.zeros(2)
    check_same(read_checkpoint(save(state)), state)


@pytest.mark.parametrize("suffix", [suffix for suffix, read in FORMATS.items() if read.__name__ == "read_torch"])
def test_torch_is_not_imported(torch, save, suffix, monkeypatch):
    state = {"a": torch.randn(2)}
    path = save(state, suffix)
    with monkeypatch.context() as context:
        for module in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            context.setitem(sys.modules, module, None)  # makes the import raise ImportError
        tensors = read_checkpoint(str(path))
    check_same(tensors, state)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "bool"])
def test_byte_order_of_zip(torch, tmp_path, order, dtype):
    state = {"a": torch.tensor([[1.5, -2.0], [0, 300]]).to(getattr(torch, dtype))}
    torch.save(state, tmp_path / "native.pth")
    with zipfile.ZipFile(tmp_path / "native.pth") as native, zipfile.ZipFile(tmp_path / "x.pth", "w") as other:
        for name in native.namelist():
            data = order.encode() if name.endswith("/byteorder") else native.read(name)
            if "/data/" in name and order != sys.byteorder:
                data = np.frombuffer(data, f"u{state['a'].itemsize}").byteswap().tobytes()
            other.writestr(name, data)
    check_same(read_checkpoint(tmp_path / "x.pth"), state)


def test_files_of_old_versions(torch, tmp_path):
    """PyTorch before 0.4 calls `_rebuild_tensor`. Python 2 pickles an OrderedDict as a list of pairs."""

    class Reduced:
        def __init__(self, function, *arguments):
            self.reduced = function, arguments

        def __reduce__(self):
            return self.reduced

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", 5) if value == "the storage" else None

    weight = Reduced(torch._utils._rebuild_tensor, "the storage", 1, (2, 2), (2, 1))
    data = io.BytesIO()
    Pickler(data, protocol=2).dump(Reduced(OrderedDict, [["weight", weight], ["name", "x"]]))
    with zipfile.ZipFile(tmp_path / "old.pth", "w") as archive:
        archive.writestr("old/data.pkl", data.getvalue())
        archive.writestr("old/data/0", np.arange(5, dtype="float32").tobytes())
    np.testing.assert_array_equal(read_checkpoint(tmp_path / "old.pth")["weight"], [[1, 2], [3, 4]])


@pytest.mark.parametrize("checkpoint", [{}, [1, 2], {"epoch": 3}, {"state_dict": {"a": 1}}, {"model": 3}], ids=str)
def test_no_tensors_is_a_value_error(save, checkpoint):
    with pytest.raises(ValueError, match="no tensors in it, neither at the top nor under any of"):
        read_checkpoint(save(checkpoint))


def test_suffix_selects_the_format(tmp_path):
    with pytest.raises(ValueError, match=r"The suffix of path must be one of \['.safetensors', .*Received: '.h5'"):
        read_checkpoint(tmp_path / "weights.h5")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "missing.pth")


@pytest.mark.parametrize("savez", [np.savez, np.savez_compressed])
def test_npz(tmp_path, rng, savez):
    kernel = rng.normal(size=(3, 4))
    state = {"block/kernel": kernel, "columns": np.asfortranarray(kernel), "a": np.float16([1, 2]), "s": np.int64(3)}
    savez(tmp_path / "a.NPZ.npz", **state)
    tensors = read_checkpoint(tmp_path / "a.NPZ.npz")
    assert list(tensors) == list(state)
    for name in state:
        np.testing.assert_array_equal(tensors[name], state[name], strict=True)


def test_safetensors(torch, tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = dtypes(torch) | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)}
    path = tmp_path / "a.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in state.items()}, path, {"shortcut": "identity"})
    with safetensors.safe_open(path, "np") as file:
        in_file = [name.removeprefix("module.") for name in file.offset_keys()]
    check_same(read_checkpoint(path), {name: state[name] for name in in_file})
    assert safetensors_metadata(path) == {"shortcut": "identity"}
    save_file(state, path)
    assert safetensors_metadata(path) == {}


@pytest.mark.parametrize("protocol", [2, 4])
def test_other_classes_are_refused_by_name(torch, save, protocol):
    path = save({"state_dict": {"a": torch.zeros(2)}, "args": argparse.Namespace(lr=0.1)}, pickle_protocol=protocol)
    with pytest.raises(ValueError, match=r"save only its state dict.* Received: 'argparse.Namespace'"):
        read_checkpoint(path)
