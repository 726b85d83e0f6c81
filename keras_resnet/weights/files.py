"""Checkpoint files of other projects as NumPy arrays: without PyTorch, and without running what stands in them.

`torch.save` writes a pickle of dicts and tensors and beside it the storages, flat memory that the tensors are views
of. So a pickle is read first, into records of where the tensors lie, and then the storages of those that are wanted.
Both formats as in github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py.
"""

import pickle
import pickletools
import zipfile
from collections import OrderedDict
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from keras_resnet.errors import choose

# where a checkpoint keeps its state dict, if not at the top: the first that holds tensors is read
STATE_DICTS = ("state_dict", "model_state_dict", "model")
# what wrappers put before the name of every tensor: DataParallel, a module that holds the net, torch.compile
PREFIXES = ("module.", "model.", "_orig_mod.")

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
BYTE_ORDERS = {"little": "<", "big": ">"}
LEGACY_HEADER = {"magic number": 0x1950A86A20F9469CFC6C, "protocol": 1001}


def read_checkpoint(path) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by their names, in the order of the file and in the file's layout (PyTorch's: OIHW).

    The suffix of `path`, one of FORMATS, says how it is read. bfloat16 becomes float32, any other dtype stays; a prefix
    that all names share is taken off. Tensors that shared memory in PyTorch still do. A file that is damaged, holds no
    tensors or names a class other than those of tensors is a ValueError.
    """
    path = Path(path)
    read = choose(FORMATS, path.suffix.lower(), "The suffix of path")
    with path.open("rb") as file:
        try:
            tensors = read(file)
            if not tensors:
                raise ValueError(f"no tensors in it, neither at the top nor under any of {STATE_DICTS}")
            return without_prefix(tensors)
        except ImportError:
            raise
        except Exception as error:  # damaged bytes lead pickle, zipfile and NumPy to errors of every kind
            reason = str(error) or type(error).__name__
            raise ValueError(f"path must be a whole checkpoint. Received: {str(path)!r}: {reason}") from error


def read_safetensors(file: BinaryIO) -> dict[str, np.ndarray]:
    """By offset, which is the order of the bytes: whoever writes the format sorts them by dtype, then by name."""
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise ImportError("Reading .safetensors needs `pip install keras-resnet-family[weights]`") from error
    with safe_open(file.name, framework="numpy") as tensors:
        return {name: widened(tensors.get_tensor(name)) for name in tensors.offset_keys()}


def read_npz(file: BinaryIO) -> dict[str, np.ndarray]:
    with np.lib.npyio.NpzFile(file, allow_pickle=False) as arrays:  # np.load takes junk for a pickle, and says so
        return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


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


FORMATS = {
    ".safetensors": read_safetensors,
    **dict.fromkeys((".pth", ".pt", ".th", ".bin"), read_torch),
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


class Unpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, strings and `Tensor`s; a ValueError names any other class.

    A pickle calls what it names and sets its attributes. So all that it can name is here, harmless to call, and
    immutable or made anew.
    """

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="utf-8")  # the strings of Python 2, as torch.load reads them
        self.file = file
        self.storages: dict[str, Storage] = {}

        def rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
            if metadata:
                raise ValueError(f"a tensor must lie in its storage as it is. Received: one with {metadata}")
            return Tensor(storage, offset, size, stride)

        self.classes = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": rebuild_tensor,
            "torch._utils._rebuild_tensor": rebuild_tensor,  # before PyTorch 0.4
            "torch._utils._rebuild_parameter": lambda tensor, requires_grad, hooks: tensor,
            "torch.Size": tuple,
            "torch.device": lambda *device: device,
            **{kind: kind for kind in STORAGES},
        }

    def load(self) -> Any:
        """Twice: without effect, as the C pickle takes memory for whatever numbers it meets, and then in earnest."""
        start = self.file.tell()
        for opcode, argument, _ in pickletools.genops(self.file):  # raises where an argument is not all there
            if opcode.name.endswith("PUT") and argument not in range(self.file.tell()):
                raise ValueError(f"a pickle must count what it has put aside. Received: {argument}")
        self.file.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path not in self.classes:
            raise ValueError(
                f"its pickle may name nothing but {list(self.classes)}. Received: {path!r}. "
                "If you trust it, load it in PyTorch and torch.save its state dict alone"
            )
        return self.classes[path]

    def persistent_load(self, pid: Any) -> Storage:
        what, kind, key, _device, length, *view_of = pid
        if what != "storage" or kind not in STORAGES or any(view_of):
            raise ValueError(f"a storage must be ('storage', kind, key, device, length). Received: {pid}")
        self.storages[key] = Storage(key, kind, length)
        return self.storages[key]


def open_zip(file: BinaryIO):
    """`(checkpoint, how to read a storage, byte order)` of a zip: data.pkl, data/{key} and perhaps byteorder."""
    archive = zipfile.ZipFile(file)
    root = archive.namelist()[0].split("/")[0]
    order = b"little"  # as torch.load has it where none is written
    if f"{root}/byteorder" in archive.namelist():
        order = archive.read(f"{root}/byteorder")
    checkpoint = Unpickler(BytesIO(archive.read(f"{root}/data.pkl"))).load()
    return checkpoint, lambda storage: archive.read(f"{root}/data/{storage.key}"), order.decode()


def open_legacy(file: BinaryIO):
    """The same of five pickles (LEGACY_HEADER, machine, checkpoint, keys) and for each key a length and a storage."""
    for what, expected in LEGACY_HEADER.items():
        if (came := Unpickler(file).load()) != expected:
            raise ValueError(f"the {what} of torch.save must be {expected}. Received: {came!r:.100}")
    Unpickler(file).load()  # of the machine nothing matters: it swaps its bytes to little-endian if it must
    unpickler = Unpickler(file)  # each pickle its own: protocol 4 counts what one has seen
    checkpoint, keys = unpickler.load(), Unpickler(file).load()
    contents = {}
    for key in keys:
        _, kind, length = unpickler.storages[key]
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
        raise ValueError(f"{storage} must be {dtype.itemsize} times as many bytes. Received: {len(data)}")
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
    if min(offset, *size, *stride, last) < 0 or last >= flat.size:
        raise ValueError(f"a tensor must lie in its storage of {flat.size} elements. Received: {tensor}")
    return np.ndarray(size, flat.dtype, flat, offset * flat.itemsize, [step * flat.itemsize for step in stride])


def without_prefix(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return without_prefix({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors
