"""JSON to tensors and back, by the rules of tensorflow_serving/util/json_tensor.cc."""

import base64

import numpy as np
import tensorflow as tf

INVALID_ARGUMENT = 3


class Refused(Exception):
    def __init__(self, message, code=INVALID_ARGUMENT):
        super().__init__(message)
        self.code = code


def is_b64(value):
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def is_object(value):
    return isinstance(value, dict) and not is_b64(value)


def as_bytes(value):
    try:
        return base64.b64decode(value["b64"], validate=True) if is_b64(value) else value.encode()
    except ValueError as error:
        raise Refused(f"Unable to base64 decode: {error}") from error


def tensor(value, info):
    """A value for one input: its shape is that of the first elements, and every other must agree."""
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None

    def leaves(item, level):
        if isinstance(item, list) and level < len(shape) and len(item) == shape[level]:
            for element in item:
                yield from leaves(element, level + 1)
        elif isinstance(item, list) or level != len(shape):
            raise Refused(f"Encountered a list or a value at unexpected level: {level}, or size, of {shape}")
        else:
            yield leaf(item, info.dtype)

    return np.array(list(leaves(value, 0)), tf.as_dtype(info.dtype).as_numpy_dtype).reshape(shape)


def leaf(item, dtype):
    if dtype == tf.string and (isinstance(item, str) or is_b64(item)):
        return as_bytes(item)
    if dtype != tf.string and isinstance(item, (int, float)) and not isinstance(item, bool):
        return item
    raise Refused(f"JSON Value: {item} is not of expected type: {tf.as_dtype(dtype).name}")


def read_rows(instances, infos):
    """A list of values for the only input, or of objects that hold each input by its name."""
    if not isinstance(instances, list) or not instances:
        raise Refused("Expecting 'instances' to be a list that is not empty")
    if len({is_object(row) for row in instances}) > 1 or (len(infos) > 1 and not is_object(instances[0])):
        raise Refused("Expecting 'instances' to be a list of objects, or of values for the only input")
    columns = {name: [] for name in infos}
    for number, row in enumerate(instances):
        row = row if is_object(row) else dict.fromkeys(infos, row)
        if row.keys() != columns.keys():
            raise Refused(f"Failed to process element: {number}: keys must be equal to: {list(infos)}")
        for name, info in infos.items():
            columns[name].append(tensor(row[name], info))
    if any(len({value.shape for value in column}) > 1 for column in columns.values()):
        raise Refused("Expecting tensors of the same shape in all elements of 'instances'")
    return {name: np.stack(column) for name, column in columns.items()}


def read_columns(inputs, infos):
    """A value for the only input, or an object that holds each input by its name."""
    if not is_object(inputs) and len(infos) > 1:
        raise Refused("inputs is a plain value/list, but expecting an object")
    inputs = inputs if is_object(inputs) else dict.fromkeys(infos, inputs)
    if missing := infos.keys() - inputs.keys():
        raise Refused(f"Missing named input: {missing} in 'inputs' object.")
    return {name: tensor(inputs[name], info) for name, info in infos.items()}


def write_columns(outputs):
    lists = {name: lists_of(name, value) for name, value in outputs.items()}
    return {"outputs": lists if len(lists) > 1 else lists.popitem()[1]}


def write_rows(outputs):
    batches = {value.shape[:1] for value in outputs.values()}
    if len(batches) != 1 or () in batches:
        raise Refused(f"inconsistent batch size: {[(name, value.shape) for name, value in outputs.items()]}")
    lists = {name: lists_of(name, value) for name, value in outputs.items()}
    rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    return {"predictions": rows if len(lists) > 1 else lists.popitem()[1]}


def lists_of(name, value):
    """Floats in their shortest form, strings in base64 where the name ends in _bytes; 16 bits have no form."""
    if value.dtype not in (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_, object):
        raise Refused(f"Failed to write JSON value for tensor type: {value.dtype}")
    text = (
        (lambda x: {"b64": base64.b64encode(x).decode()})
        if name.endswith("_bytes")
        else (lambda x: x.decode(errors="replace"))
    )
    form = {"O": text, "f": shortest}.get(value.dtype.kind, lambda x: x.item())
    return np.array([form(x) for x in value.flat], object).reshape(value.shape).tolist()


def shortest(x):
    return float(str(np.float32(x)))


def feature(values):
    """A feature of a tf.Example."""
    made = tf.train.Feature()
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, str) or is_b64(value):
            made.bytes_list.value.append(as_bytes(value))
        elif isinstance(value, float):
            made.float_list.value.append(value)
        elif isinstance(value, int):
            made.int64_list.value.append(value)
        else:
            raise Refused(f"Feature has element with unexpected JSON type: {type(value).__name__}")
    return made
