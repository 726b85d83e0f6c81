"""Checkpoint files of other projects as NumPy arrays: without their libraries, and without running what stands in them.

`torch.save` writes a pickle of dicts and tensors and beside it the storages, flat memory that the tensors are views
of. So a pickle is read first, into records of where the tensors lie, and then the storages of those that are wanted.
Both formats as in github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py; safetensors as in
github.com/huggingface/safetensors, README, "Format".

No file gets more memory than some 120 times its own size, whatever it says: its arrays may be BOUND times as large as
the file, and one byte of a pickle may be a dict for Python, or a place in one.
"""

import json
import mmap
import os
import pickletools
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from math import prod
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from keras_resnet.errors import choose

# where a checkpoint keeps its state dict, if not at the top: the first that holds tensors is read
STATE_DICTS = ("state_dict", "model_state_dict", "model", "net", "network")
# what wrappers put before the name of every tensor: DataParallel, a module that holds the net, torch.compile
PREFIXES = ("module.", "model.", "_orig_mod.", "net.")

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
STORAGES = {
    "torch.DoubleStorage": np.dtype("float64"),
    "torch.FloatStorage": np.dtype("float32"),
    "torch.HalfStorage": np.dtype("float16"),
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": np.dtype("int64"),
    "torch.IntStorage": np.dtype("int32"),
    "torch.ShortStorage": np.dtype("int16"),
    "torch.CharStorage": np.dtype("int8"),
    "torch.ByteStorage": np.dtype("uint8"),
    "torch.BoolStorage": np.dtype("bool"),
}
SAFETENSORS = {
    **{"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": BFLOAT16},
    **{"I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "I16": np.dtype("<i2"), "I8": np.dtype("i1")},
    **{"U64": np.dtype("<u8"), "U32": np.dtype("<u4"), "U16": np.dtype("<u2"), "U8": np.dtype("u1")},
    "BOOL": np.dtype("bool"),
}
BYTE_ORDERS = {"little": "<", "big": ">"}
LEGACY_HEADER = {"magic number": 0x1950A86A20F9469CFC6C, "protocol": 1001}
MOST_AXES = 8
# what is compressed in a file may be this many times as large as the file: weights hardly shrink at all
BOUND = 20
# of what ends so Python makes objects; PyTorch and Keras write it as it is, and it must be no larger than the file
OBJECTS = (".pkl", ".json")


def read_checkpoint(path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by their names, in the order of the file and in the file's layout (PyTorch's: OIHW).

    The suffix of `path`, one of FORMATS, says how it is read. bfloat16 becomes float32, any other dtype stays; a prefix
    that all names share is taken off. Tensors that shared memory in PyTorch still do; those of safetensors lie in the
    file until they are read. A file that is damaged, holds no tensors or names a class other than those of tensors is
    a ValueError.
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
        except Exception as error:  # damaged bytes lead zipfile, json and NumPy to errors of every kind
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole checkpoint. Received: {str(path)!r}: {reason}") from error


def size_of(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


# ------------------------------------------------------------------------------------ safetensors


def read_safetensors(file: BinaryIO) -> dict[str, np.ndarray]:
    """In the order of the bytes, which may lie on the disk until they are used."""
    header, start = safetensors_header(file)
    end, tensors = start, {}
    whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    for name, (dtype, shape, offset, length) in sorted(header.items(), key=lambda item: item[1][2:]):
        if start + offset != end or length != prod(shape) * dtype.itemsize:
            raise ValueError(
                f"{name} of shape {short(shape)} must begin at {end - start}. Received: {offset}, {length}"
            )
        end += length
        if end > len(whole):
            raise ValueError(f"{name} must end within the {len(whole) - start} bytes of data. Received: {end - start}")
        flat = np.frombuffer(whole, dtype, prod(shape), start + offset) if length else np.empty(0, dtype)
        tensors[name] = widened((flat if flat.flags.aligned else flat.copy()).reshape(shape))
    if end != len(whole):
        raise ValueError(f"its tensors must take all {len(whole) - start} bytes of data. Received: {end - start}")
    return tensors


def safetensors_header(file: BinaryIO) -> tuple[dict[str, tuple], int]:
    """Name -> (dtype, shape, offset, bytes), and where the data begins."""
    header, start = _safetensors_json(file)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, offsets = entry["shape"], entry["data_offsets"]
        if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_is_count, [*shape, *offsets])):
            raise ValueError(f"{name} must have a shape and an offset of whole numbers. Received: {short(entry)}")
        first, last = offsets
        tensors[name] = (choose(SAFETENSORS, entry["dtype"], f"the dtype of {name}"), tuple(shape), first, last - first)
    return tensors, start


def safetensors_metadata(path) -> dict[str, str]:
    """What the writer of a `.safetensors` file says of it."""
    with Path(path).open("rb") as file:
        return _safetensors_json(file)[0].get("__metadata__", {})


def _safetensors_json(file: BinaryIO) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(8), "little")
    if length > size_of(file) - 8:
        raise ValueError(f"the header must lie within the {size_of(file)} bytes of the file. Received: {length}")
    header = json.loads(file.read(length).decode(), object_pairs_hook=_each_once)
    if not isinstance(header, dict):
        raise ValueError(f"the header must be a JSON object. Received: {short(header)}")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"its __metadata__ must be an object of strings. Received: {short(metadata)}")
    return header, 8 + length


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(table := dict(pairs)) != len(pairs):
        raise ValueError("a name is in its header twice")
    return table


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


# ------------------------------------------------------------------------------------ NumPy


def read_npz(file: BinaryIO) -> dict[str, np.ndarray]:
    tensors = {}
    archive = open_bounded(file)
    for info in archive.infolist():
        if info.filename.endswith(".npy"):
            with archive.open(info) as member:
                tensors[info.filename.removesuffix(".npy")] = read_npy(member, info.file_size)
    return tensors


def read_npy(member, size: int) -> np.ndarray:
    """An array of `.npy`, if `size` bytes are what it says that it takes; a pickle of objects is never read."""
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, by_columns, dtype = read_header(member)
    if dtype.kind not in "fiub":
        raise ValueError(f"an array must be of numbers. Received: {dtype}")
    left = size - member.tell()
    if prod(shape) * dtype.itemsize != left:
        raise ValueError(f"an array of shape {short(shape)} and {dtype} must fill {left} bytes")
    flat = np.frombuffer(bytearray(member.read(left)), dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")


def open_bounded(file: BinaryIO) -> zipfile.ZipFile:
    """A zip whose members have each its own name, and in all at most BOUND times the size of the file."""
    size = file.seek(0, os.SEEK_END)
    archive = zipfile.ZipFile(file)
    names, total = archive.namelist(), sum(info.file_size for info in archive.infolist())
    if len(set(names)) != len(names):
        raise ValueError("a name is in its zip twice")
    if total > BOUND * size:
        raise ValueError(f"its zip must hold at most {BOUND} times its {size} bytes. Received: {total}")
    for info in archive.infolist():
        if info.filename.endswith(OBJECTS) and info.file_size > size:
            raise ValueError(
                f"{short(info.filename)} must be no larger than its zip of {size} bytes. Received: {info.file_size}"
            )
    return archive


# ------------------------------------------------------------------------------------ PyTorch


def read_torch(file: BinaryIO) -> dict[str, np.ndarray]:
    """The state dict in what `torch.save` wrote: a zip or, as before PyTorch 1.6, pickles and then storages."""
    data = file.read()
    if data[257:262] == b"ustar":
        raise ValueError("it is a tar of PyTorch 0.1. Load it in PyTorch and torch.save its state dict again")
    open_format = open_zip if data.startswith(b"PK\x03\x04") else open_legacy
    checkpoint, read_storage, order = open_format(BytesIO(data))

    @cache
    def flat(storage):
        return decode(read_storage(storage), storage, order)

    tensors = find_state_dict(checkpoint)
    return {name: view(flat(tensor.storage), tensor) for name, tensor in tensors.items()}


FORMATS: dict[str, Callable[[BinaryIO], dict[str, np.ndarray]]] = {
    ".safetensors": read_safetensors,
    **dict.fromkeys((".pth", ".pth.tar", ".pt", ".th", ".bin"), read_torch),
    ".npz": read_npz,
}


class Storage(NamedTuple):
    key: str
    kind: str  # of STORAGES
    length: int


class Tensor(NamedTuple):
    """Where a tensor lies: offset and stride count elements, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    if metadata:
        raise ValueError(f"a tensor must lie in its storage as it is. Received: one with {short(metadata)}")
    numbers = [offset, *size, *stride] if len(size) == len(stride) <= MOST_AXES else []
    if not isinstance(storage, Storage) or not numbers or not all(map(_is_count, numbers)):
        raise ValueError(f"a tensor must lie in a storage. Received: {short((storage, offset, size, stride))}")
    return Tensor(storage, offset, tuple(size), tuple(stride))


def ordered_dict(pairs=()):
    return dict(_hashed(pair) for pair in pairs)


# what a pickle may name -> what stands for it here; nothing else can be called, and none of these does anything
CALLS: dict[str, Callable] = {
    "collections.OrderedDict": ordered_dict,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_tensor": rebuild_tensor,  # before PyTorch 0.4
    "torch._utils._rebuild_parameter": lambda tensor, requires_grad, hooks: tensor,
    "torch.Size": lambda size=(): size,
    "torch.device": lambda *device: None,
}
MARK = object()


class Pickle:
    """A machine for pickles of dicts, lists, numbers, strings and `Tensor`s that names no object of Python's.

    A pickle is a program: it builds what it wants on a stack, and calls what it names. Here names stay strings; those
    of CALLS may be called, those of STORAGES are kinds of numbers, any other is a ValueError. So is every opcode that
    is neither in PUSHES nor in EFFECTS.
    """

    def __init__(self, file: BinaryIO):
        self.stack: list = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.bytes = file.seek(0, os.SEEK_END)
        self.copied = 0  # by what it calls: all that an honest file holds is copied once

    def to_mark(self) -> list:
        place = len(self.stack) - 1
        while self.stack[place] is not MARK:
            place -= 1
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def pop(self, count: int) -> list:
        values = self.stack[-count:]
        if len(values) < count or any(value is MARK for value in values):
            raise ValueError("a pickle must have on its stack what it uses")
        del self.stack[-count:]
        return values

    def top(self, kind: type):
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"a pickle must add to a {kind.__name__}. Received: {short(self.stack[-1])}")
        return self.stack[-1]

    def put(self, argument, key):
        key = len(self.memo) if key is None else key
        if not 0 <= key < self.bytes:
            raise ValueError(f"a pickle must count what it has put aside. Received: {key}")
        self.memo[key] = self.stack[-1]

    def name(self, path: str) -> str:
        if path not in CALLS and path not in STORAGES:
            raise ValueError(
                f"its pickle may name nothing but {[*CALLS, *STORAGES]}. Received: {path!r:.200}. "
                "If you trust it, load it in PyTorch and torch.save its state dict alone"
            )
        return path

    def reduce(self, path, arguments):
        if not isinstance(path, str) or path not in CALLS or not isinstance(arguments, tuple):
            raise ValueError(f"its pickle may call nothing but {[*CALLS]}. Received: {short(path)}")
        self.copied += sum(len(argument) for argument in arguments if isinstance(argument, list | dict | tuple))
        if self.copied > self.bytes:
            raise ValueError("its pickle copies itself")
        return CALLS[path](*arguments)

    def storage(self, pid) -> Storage:
        what, kind, key, _device, length, *view_of = pid
        known = what == "storage" and isinstance(kind, str) and kind in STORAGES and not any(view_of)
        if not known or not isinstance(key, str) or not _is_count(length):
            raise ValueError(f"a storage must be ('storage', kind, key, device, length). Received: {short(pid)}")
        came = Storage(key, kind, length)
        if self.storages.setdefault(key, came) != came:  # each would be an array of its own
            raise ValueError(f"a storage must be of one kind. Received: {short([self.storages[key], came])}")
        return came


def _hashed(pair) -> tuple:
    """A pair whose first may be the key of a dict: deep tuples would be hashed forever."""
    key, value = pair
    if not isinstance(key, str | int | float | bytes | None):
        raise ValueError(f"a key must be a string or a number. Received: {short(key)}")
    return key, value


def _pairs(values: list) -> dict:
    return dict(map(_hashed, zip(values[::2], values[1::2], strict=True)))


# opcode -> what it does to the machine, given the opcode's argument; what it returns is pushed, if it is in PUSHES
PUSHES: dict[str, Callable[[Pickle, Any], Any]] = {
    "MARK": lambda m, _: MARK,
    "NONE": lambda m, _: None,
    "NEWTRUE": lambda m, _: True,
    "NEWFALSE": lambda m, _: False,
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), lambda m, value: value),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"), lambda m, value: value),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), lambda m, value: value),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), lambda m, value: value),
    "EMPTY_LIST": lambda m, _: [],
    "EMPTY_DICT": lambda m, _: {},
    "EMPTY_TUPLE": lambda m, _: (),
    "EMPTY_SET": lambda m, _: [],  # of no interest, but not unheard of
    "LIST": lambda m, _: m.to_mark(),
    "DICT": lambda m, _: _pairs(m.to_mark()),
    "TUPLE": lambda m, _: tuple(m.to_mark()),
    "TUPLE1": lambda m, _: tuple(m.pop(1)),
    "TUPLE2": lambda m, _: tuple(m.pop(2)),
    "TUPLE3": lambda m, _: tuple(m.pop(3)),
    "DUP": lambda m, _: m.stack[-1],
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, key: m.memo[key]),
    "GLOBAL": lambda m, path: m.name(path.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, _: m.name("{}.{}".format(*map(short_name, m.pop(2)))),
    "INST": lambda m, path: m.name(path.replace(" ", ".", 1)) and m.reduce(None, None),
    "REDUCE": lambda m, _: m.reduce(*m.pop(2)),
    "BINPERSID": lambda m, _: m.storage(*m.pop(1)),
}
EFFECTS: dict[str, Callable[[Pickle, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.to_mark(),
    "APPEND": lambda m, _: _add(m, m.pop(1)),
    "APPENDS": lambda m, _: _add(m, m.to_mark()),
    "ADDITEMS": lambda m, _: _add(m, m.to_mark()),
    "SETITEM": lambda m, _: _update(m, m.pop(2)),
    "SETITEMS": lambda m, _: _update(m, m.to_mark()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), lambda m, key: m.put(None, key)),
    "BUILD": lambda m, _: m.pop(1),  # the attributes of a dict, such as the versions of its modules
}


def _add(machine: Pickle, values: list) -> None:
    machine.top(list).extend(values)


def _update(machine: Pickle, values: list) -> None:
    machine.top(dict).update(_pairs(values))


def short_name(value: Any) -> str:
    return value if isinstance(value, str) else short(value)


def unpickle(file: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """What a pickle that begins here is of, and the storages that it speaks of; the file is then at its end."""
    start = file.tell()
    machine = Pickle(file)
    file.seek(start)
    for opcode, argument, _ in pickletools.genops(file):  # raises where an argument is not all there
        if opcode.name in PUSHES:
            machine.stack.append(PUSHES[opcode.name](machine, argument))
        else:
            choose(EFFECTS, opcode.name, "an opcode of its pickle")(machine, argument)
    return machine.pop(1)[0], machine.storages


def open_zip(file: BinaryIO):
    """`(checkpoint, how to read a storage, byte order)` of a zip: data.pkl, data/{key} and perhaps byteorder."""
    archive = open_bounded(file)
    root = archive.namelist()[0].split("/")[0]
    order = b"little"  # as torch.load has it where none is written
    if f"{root}/byteorder" in archive.namelist():
        order = archive.read(f"{root}/byteorder")
    checkpoint, _ = unpickle(BytesIO(archive.read(f"{root}/data.pkl")))
    return checkpoint, lambda storage: archive.read(f"{root}/data/{storage.key}"), order.decode()


def open_legacy(file: BinaryIO):
    """The same of five pickles (LEGACY_HEADER, machine, checkpoint, keys) and for each key a length and a storage."""
    for what, expected in LEGACY_HEADER.items():
        came, _ = unpickle(file)
        if came != expected:
            raise ValueError(f"the {what} of torch.save must be {expected}. Received: {short(came)}")
    unpickle(file)  # of the machine nothing matters: it swaps its bytes to little-endian if it must
    checkpoint, storages = unpickle(file)
    keys, _ = unpickle(file)
    contents = {}
    for key in keys:
        _, kind, length = storages[key]
        if (came := int.from_bytes(file.read(8), "little")) != length:
            raise ValueError(f"the length of storage {key} must be {length}. Received: {came}")
        contents[key] = file.read(length * STORAGES[kind].itemsize)
    return checkpoint, lambda storage: contents[storage.key], "little"


def find_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """The tensors at the first place that has some; epochs, optimizers and what else stands beside them are left."""
    if isinstance(checkpoint, dict):
        for place in (*(checkpoint.get(key) for key in STATE_DICTS), checkpoint):
            if isinstance(place, dict):
                tensors = {name: tensor for name, tensor in place.items() if isinstance(tensor, Tensor)}
                if tensors:
                    return tensors
    return {}


def decode(data: bytes, storage: Storage, order: str) -> np.ndarray:
    """The bytes of a storage as a flat array, as long as the storage says or a ValueError."""
    dtype = STORAGES[storage.kind]
    if len(data) != storage.length * dtype.itemsize:
        raise ValueError(f"{short(storage)} must be {dtype.itemsize} times as many bytes. Received: {len(data)}")
    word = f"u{dtype.itemsize}"  # NumPy swaps the bytes of integers, not those of a bfloat16
    words = np.frombuffer(data, choose(BYTE_ORDERS, order, "byteorder") + word)
    return widened(words.astype(word).view(dtype))


def widened(array: np.ndarray) -> np.ndarray:
    """bfloat16, which NumPy has not, as float32, exactly; anything else as it is."""
    return array.astype("float32") if array.dtype == BFLOAT16 else array


def view(flat: np.ndarray, tensor: Tensor) -> np.ndarray:
    """`tensor` in its storage `flat`, not copied; a ValueError if it reaches out of it."""
    _, offset, size, stride = tensor
    if 0 in size:
        return np.empty(size, flat.dtype)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))  # NumPy's own sum may overflow
    if last >= flat.size:
        raise ValueError(f"a tensor must lie in its storage of {flat.size} elements. Received: {tensor}")
    return np.ndarray(size, flat.dtype, flat, offset * flat.itemsize, [step * flat.itemsize for step in stride])


def without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return without_prefix({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors
