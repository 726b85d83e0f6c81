"""Reads checkpoint files of other projects as NumPy arrays. No code of a file is executed.

Libraries read safetensors, zip and NumPy files. `torch.save` writes a pickle, in which tensors are views of storages,
and the bytes of the storages. It has two formats: github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py.

The sizes that a file states may be wrong. Therefore, its arrays may take at most BOUND times the bytes of the file. The
objects of a pickle take at most about 120 times its bytes, because the shortest opcode that creates a dict is one byte.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from math import prod
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401  adds bfloat16 to NumPy
import numpy as np
import safetensors.numpy

from keras_resnet.errors import choose

# Keys of a state dict in a checkpoint. The first key that contains tensors is read, otherwise the checkpoint itself.
STATE_DICTS = ("state_dict", "model_state_dict", "model", "net", "network")
# Prefixes that wrappers add to the name of every tensor: DataParallel, torch.compile, a module around the network.
PREFIXES = ("module.", "model.", "_orig_mod.", "net.")

LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
BOUND = 20  # Weights are hardly compressible: no real file expands by this factor.


def read_checkpoint(path) -> dict[str, np.ndarray]:
    """Returns the tensors of a checkpoint file by name, in the order and the layout of the file (PyTorch: OIHW).

    bfloat16 is converted to float32; other dtypes are kept. If all names share a prefix such as "module.", the prefix
    is removed. Tensors that share memory in a PyTorch file share memory here, too.

    Args:
        path: A file with a suffix of `FORMATS`.

    Returns:
        A dict of arrays.

    Raises:
        ValueError: If the suffix is unknown, if the file is damaged, contains no tensors or states more data than it
            contains, or if it is a pickle with names that a state dict does not need.
    """
    path = Path(path)
    suffix = next((suffix for suffix in FORMATS if path.name.lower().endswith(suffix)), path.suffix)
    read = choose(FORMATS, suffix, "The suffix of path")
    with path.open("rb") as file:
        try:
            tensors = read(file)
            if not tensors:
                raise ValueError(f"no tensors in it, neither at the top nor under any of {STATE_DICTS}")
            return without_prefix(tensors)
        except Exception as error:  # The libraries raise many types of errors for damaged files.
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole checkpoint. Received: {str(path)!r}: {reason:.500}") from error


def without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in PREFIXES * 3:  # such as "module.model.", in any order
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def widened(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype == "bfloat16" else array


def size_of(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def safetensors_metadata(path) -> dict[str, str]:
    """Returns the metadata of a `.safetensors` file."""
    with safetensors.safe_open(path, "np") as file:
        return file.metadata() or {}


def read_safetensors(file: BinaryIO) -> dict[str, np.ndarray]:
    return {name: widened(array) for name, array in safetensors.numpy.load_file(file.name).items()}


def read_npz(file: BinaryIO) -> dict[str, np.ndarray]:
    archive, tensors = open_bounded(file), {}
    for name in archive.namelist():
        member = BytesIO(archive.read(name))
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        size = len(member.getbuffer()) - member.tell()
        # np.load allocates an array of this shape before it reads.
        if dtype.kind not in "biuf" or prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{short(name)} must be numbers of {size} bytes. Received: {short(shape)}, {dtype}")
        member.seek(0)
        tensors[name.removesuffix(".npy")] = np.load(member, allow_pickle=False)
    return tensors


def open_bounded(file: BinaryIO):
    """Returns a `zipfile.ZipFile` whose members have at most BOUND times its size in total.

    The pickles and JSON files in it must not be larger than the zip file.
    """
    import zipfile

    class Bounded(zipfile.ZipFile):
        def read(self, name, pwd=None):
            # ZipFile.read would decompress all data of a member, even if it is larger than the member's `file_size`.
            with self.open(name) as member:
                return member.read(self.getinfo(name).file_size)

    archive, size = Bounded(file), size_of(file)
    sizes = {member.filename: member.file_size for member in archive.infolist()}
    total, objects = sum(sizes.values()), sum(sizes[name] for name in sizes if name.endswith((".pkl", ".json")))
    # For other compression methods, zipfile does not limit the size of the decompressed data.
    others = {member.compress_type for member in archive.infolist()} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if total > BOUND * size or objects > size or others or len(sizes) < len(archive.infolist()):
        raise ValueError(
            f"a zip must have unique names, stored or deflated, and expand its {size} bytes at most {BOUND} times, in "
            f"pickles and JSON once. Received: {len(sizes)} names, {total} bytes, {objects} in pickles and JSON"
        )
    return archive


@dataclass(eq=False, repr=False)
class Storage:
    key: str
    dtype: np.dtype
    length: int


@dataclass(eq=False, repr=False)
class Tensor:
    """The arguments of `torch._utils._rebuild_tensor_v2`: a view of a storage. Offset and stride count elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False
    hooks: Any = None


def read_torch(file: BinaryIO) -> dict[str, np.ndarray]:
    start = file.read(32)
    is_zip = start.startswith(b"PK\x03\x04")
    if not is_zip and LEGACY_MAGIC not in start:
        raise ValueError("it must be written by torch.save since PyTorch 0.1.11. If PyTorch loads it, save it again")
    checkpoint, read_storage, order = open_zip(file) if is_zip else open_legacy(file)

    @cache
    def flat(storage: Storage) -> np.ndarray:
        # NumPy can swap the bytes of integers, but not of bfloat16. astype copies: the array is aligned and writable.
        word = f"u{storage.dtype.itemsize}"
        words = np.frombuffer(read_storage(storage.key), order + word, storage.length)
        return widened(words.astype(word).view(storage.dtype))

    tensors = {name: view(tensor, flat) for name, tensor in find_state_dict(checkpoint).items()}
    total, size = sum(array.nbytes for array in tensors.values()), size_of(file)
    if total > BOUND * size:  # With a stride of 0, a view can be larger than its storage.
        raise ValueError(f"its tensors must take at most {BOUND} times its {size} bytes. Received: {total}")
    return tensors


def find_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """Returns the tensors of the first state dict in a checkpoint, without epochs, optimizers and other objects."""
    places = [*map(checkpoint.get, STATE_DICTS), checkpoint] if isinstance(checkpoint, dict) else []
    for place in places:
        items = place.items() if isinstance(place, dict) else []
        if tensors := {name: tensor for name, tensor in items if isinstance(tensor, Tensor)}:
            return tensors
    return {}


def view(tensor: Tensor, flat: Callable[[Storage], np.ndarray]) -> np.ndarray:
    offset, size, stride = tensor.offset, tensor.size, tensor.stride
    known = isinstance(tensor.storage, Storage) and len(size) == len(stride) <= 8
    if not known or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise ValueError(f"a tensor must be a view of a storage. Received: {short((offset, size, stride))}")
    array = flat(tensor.storage)
    if 0 in size:
        return np.empty(size, array.dtype)
    if offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= array.size:  # NumPy may overflow
        raise ValueError(f"a tensor must lie in its {array.size} elements. Received: {short((offset, size, stride))}")
    return np.ndarray(size, array.dtype, array, offset * array.itemsize, [step * array.itemsize for step in stride])


def open_zip(file: BinaryIO):
    """Returns the checkpoint in a zip, a function that reads a storage, and the byte order."""
    archive = open_bounded(file)
    root = archive.namelist()[0].split("/")[0]
    is_big = f"{root}/byteorder" in archive.namelist() and archive.read(f"{root}/byteorder") == b"big"
    checkpoint, _ = unpickle(BytesIO(archive.read(f"{root}/data.pkl")))
    return checkpoint, lambda key: archive.read(f"{root}/data/{key}"), ">" if is_big else "<"


def open_legacy(file: BinaryIO):
    """Returns the same as `open_zip` for the old format of `torch.save`.

    It consists of five pickles (magic number, version, machine, checkpoint, keys), followed by the storages.
    """
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _, _, _, (checkpoint, storages), (keys, _) = (unpickle(data) for _ in range(5))
    if keys != sorted(storages):
        raise ValueError(f"its keys must be those of its storages. Received: {short(keys)}")
    places = {}
    for key in keys:
        size = int.from_bytes(data.read(8), "little") * storages[key].dtype.itemsize
        places[key] = slice(data.tell(), data.tell() + size)
        data.seek(size, os.SEEK_CUR)  # raises ValueError for a position after the end
    return checkpoint, lambda key: memoryview(data)[places[key]], "<"


def unpickle(file) -> tuple[Any, dict[str, Storage]]:
    """Returns the object in the pickle at the current position of `file`, and the storages that the pickle names."""
    import pickle

    # This is the unpickler in Python. The memo of the unpickler in C is an array whose length is the largest index in
    # the file. Also, the opcodes of the unpickler in Python can be replaced. It reads the pickle of a ResNet-50 in 13
    # ms.
    base: Any = pickle._Unpickler
    storages: dict[str, Storage] = {}

    class Unpickler(base):
        dispatch = Opcodes({code: base.dispatch[code] for code in (getattr(pickle, n)[0] for n in OPCODES.split())})
        dispatch[ord(pickle.EMPTY_DICT)] = lambda self: self.append(Dict())
        # BUILD sets attributes, such as the _metadata of a state dict. It is ignored, because it could also set
        # attributes of the functions in NAMES.
        dispatch[ord(pickle.BUILD)] = lambda self: self.stack.pop()

        def find_class(self, module, name):
            return choose(
                NAMES, f"{module}.{name}"[:200], "Load it in PyTorch and save only its state dict. A name in the pickle"
            )

        def persistent_load(self, pid):
            what, dtype, key, _, length = pid[:5]
            if what != "storage" or not isinstance(key, str) or any(pid[5:6]):
                raise ValueError(f"a storage must be ('storage', type, key, device, length). Received: {short(pid)}")
            return storages.setdefault(key, Storage(key, dtype, length))

    return Unpickler(file, encoding="latin1").load(), storages


class Opcodes(dict):
    def __missing__(self, code):
        raise ValueError(f"its pickle must only have the opcodes of dicts, lists and tensors. Received: {chr(code)!r}")


class Dict(dict):
    __slots__ = ()
    __repr__ = object.__repr__  # The repr of nested dicts that each contain another dict twice is exponentially long.

    def __init__(self, pairs=()):
        for key, value in pairs:  # Python 2 pickles an OrderedDict as a list of pairs
            self[key] = value
        if pairs:
            pairs.clear()  # so that a pickle cannot create many dicts from one list of pairs

    def __setitem__(self, key, value):
        # The hash of nested tuples can take very long, and large numbers can be chosen so that all hashes are equal.
        if not (key.bit_length() < 61 if isinstance(key, int) else isinstance(key, str | bytes | float | None)):
            raise ValueError(f"a key must be a string or a small number. Received: {short(key)}")
        super().__setitem__(key, value)


# The opcodes that torch.save writes for dicts, lists, tuples, numbers, strings and tensors.
OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT SHORT_BINSTRING BINSTRING
    SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_LIST APPEND APPENDS SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BINPERSID
    BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET
"""
STORAGES = {"Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": "bfloat16", "Long": "i8", "Int": "i4"}
STORAGES |= {"Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?"}
# Names that are allowed in a pickle: types of storages, and functions with the replacements that are called instead.
NAMES: dict[str, Any] = {f"torch.{kind}Storage": np.dtype(dtype) for kind, dtype in STORAGES.items()} | {
    "torch._utils._rebuild_tensor_v2": Tensor,
    "torch._utils._rebuild_tensor": Tensor,  # before PyTorch 0.4
    "torch._utils._rebuild_parameter": lambda tensor, requires_grad, hooks: tensor,
    "torch.Size": lambda size=(): size,
    "torch.device": lambda kind=None, index=None: None,
    "collections.OrderedDict": Dict,
}
FORMATS: dict[str, Callable] = {".safetensors": read_safetensors, ".npz": read_npz} | dict.fromkeys(
    (".pth", ".pth.tar", ".pt", ".th", ".bin"), read_torch
)
