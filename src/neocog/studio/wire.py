"""Tensors on their way to the browser: a JSON header, then the numbers as they lie in memory.

    4 bytes    length of the header, little-endian
    header     JSON, padded with spaces so that the numbers begin at a multiple of 8
               {"meta": ..., "tensors": [{"name", "dtype", "shape", "offset"}, ...]}
    numbers    each tensor little-endian, row-major, at its offset from the end of the header, a multiple of 8

`static/js/wire.js` reads it without copying.
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import Response
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["MEDIA_TYPE", "answer", "jsonable", "pack", "unpack"]

MEDIA_TYPE = "application/x-neocog-tensors"
DTYPES = {"float32": "<f4", "float64": "<f8", "int32": "<i4", "uint8": "|u1"}
ALIGNED = 8


def pack(tensors: Mapping[str, Tensor | NDArray[Any]], meta: Any = None) -> bytes:
    """Tensors and what goes with them as one body; integers as int32, other floats as float32.

    >>> meta, found = unpack(pack({"x": np.array([[1, 2]])}, {"unit": "px"}))
    >>> meta, found["x"].tolist(), found["x"].dtype.name
    ({'unit': 'px'}, [[1, 2]], 'int32')
    """
    rows, parts, offset = [], [], 0
    for name, tensor in tensors.items():
        array = as_sent(tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else np.asarray(tensor))
        content = array.tobytes()
        rows.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": offset})
        parts.append(content + b"\0" * (-len(content) % ALIGNED))
        offset += len(parts[-1])
    header = json.dumps({"meta": jsonable(meta), "tensors": rows}, allow_nan=False).encode()
    header += b" " * (-(len(header) + 4) % ALIGNED)
    return struct.pack("<I", len(header)) + header + b"".join(parts)


def unpack(body: bytes) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The inverse of `pack`: meta and tensors."""
    (length,) = struct.unpack_from("<I", body)
    header = json.loads(body[4 : 4 + length])
    found = {}
    for row in header["tensors"]:
        start, size = 4 + length + row["offset"], math.prod(row["shape"])
        flat = np.frombuffer(body, DTYPES[row["dtype"]], count=size, offset=start)
        found[row["name"]] = flat.reshape(row["shape"])
    return header["meta"], found


def answer(tensors: Mapping[str, Tensor | NDArray[Any]], meta: Any = None) -> Response:
    """The same as an answer of the server."""
    return Response(pack(tensors, meta), media_type=MEDIA_TYPE)


def as_sent(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype in (np.uint8, np.bool_):
        name = "uint8"
    elif array.dtype == np.float64:
        name = "float64"
    else:
        name = "float32" if array.dtype.kind == "f" else "int32"
    return np.ascontiguousarray(array, dtype=DTYPES[name])


def jsonable(value: Any) -> Any:
    """A value as JSON allows it: NaN and infinity become null, tuples and sets lists, numbers of NumPy plain ones."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
