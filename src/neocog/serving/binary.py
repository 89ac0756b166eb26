"""The values of tensors: as bytes, with lengths before each element if they are texts, and as JSON."""

import itertools
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.tensor_spec import TensorSpec
from neocog.serving.exchange import RequestError

__all__ = ["read_binary", "read_values", "write_binary"]

LARGEST = float(np.finfo(np.float32).max)


def read_binary(data: memoryview, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any] | list[bytes | str]:
    """A tensor from its bytes, little-endian and row by row, without a copy. Raises RequestError for another size."""
    if spec.dtype == "bytes":
        return read_elements(data, spec, math.prod(shape))
    dtype = np.dtype(spec.dtype).newbyteorder("<")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise RequestError(
            f"{spec.name!r} of shape {list(shape)} has {math.prod(shape) * dtype.itemsize:,} bytes.",
            received=f"{len(data):,}", fix="Send all of the data, and its shape.",
        )  # fmt: skip
    values = np.frombuffer(data, dtype).reshape(shape)
    check_finite(values, spec)
    return values


def read_elements(data: memoryview, spec: TensorSpec, count: int) -> list[bytes | str]:
    """Texts, each after its length in four bytes."""
    found: list[bytes | str] = []
    place = 0
    while place < len(data) and len(found) < count:
        length = struct.unpack_from("<I", data, place)[0] if place + 4 <= len(data) else 0
        if place + 4 + length > len(data) or place + 4 > len(data):
            raise RequestError(
                f"Each element of {spec.name!r} is its length in 4 bytes, little-endian, and then its bytes.",
                received=f"element {len(found)} that ends after the data", fix="Send all of it.",
            )  # fmt: skip
        found.append(bytes(data[place + 4 : place + 4 + length]))
        place += 4 + length
    if len(found) != count or place != len(data):
        left = f" and {len(data) - place:,} more bytes" if place < len(data) else ""
        raise RequestError(
            f"{spec.name!r} has as many elements as its shape says.", received=f"{len(found)}{left} for {count}",
            fix="Send the shape of the data.",
        )  # fmt: skip
    return found


def write_binary(values: NDArray[Any]) -> bytes:
    """A tensor as bytes; the inverse of `read_binary`.

    >>> write_binary(np.array(["ab"], dtype=object))
    b'\\x02\\x00\\x00\\x00ab'
    """
    if values.dtype != object:
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    encoded = [str(value).encode() for value in values.ravel()]
    return b"".join(struct.pack("<I", len(one)) + one for one in encoded)


def read_values(data: Any, spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any] | list[bytes | str]:
    """A tensor from JSON: a flat list, row by row, or nested lists of its shape. Raises RequestError for others."""
    flat = flatten(data, spec, shape)
    kinds = set(map(type, flat))
    if spec.dtype == "bytes":
        if kinds != {str}:
            raise wrong_value(flat, (str,), spec, "a string")
        return flat
    floats = spec.dtype == "float32"
    if not kinds <= ({int, float} if floats else {int}):
        raise wrong_value(flat, (int, float) if floats else (int,), spec, "a number" if floats else "a whole number")
    return to_floats(flat, spec, shape) if floats else to_integers(flat, spec, shape)


def to_floats(flat: list[Any], spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        exact = np.array(flat, np.float64)
    except OverflowError:
        place = next(i for i, value in enumerate(flat) if abs(value) > LARGEST)
        raise not_finite(place, "a number beyond the range of FP32", spec) from None
    with np.errstate(over="ignore"):
        values = exact.astype(np.float32)
    check_finite(values.reshape(shape), spec)
    return values.reshape(shape)


def to_integers(flat: list[Any], spec: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    limits = np.iinfo(spec.dtype)
    if not (limits.min <= min(flat) and max(flat) <= limits.max):
        place = next(i for i, value in enumerate(flat) if not limits.min <= value <= limits.max)
        raise RequestError(
            f"The values of {spec.name!r} are from {limits.min} to {limits.max}.",
            received=f"{str(flat[place])[:30]} at place {place}", fix="Convert the values.",
        )  # fmt: skip
    return np.array(flat, spec.dtype).reshape(shape)


def flatten(data: Any, spec: TensorSpec, shape: tuple[int, ...]) -> list[Any]:
    """The elements row by row, from a flat list or from lists nested as the shape says."""
    if not isinstance(data, list):
        raise RequestError(f"data of {spec.name!r} must be a list.", received=repr(data)[:60])
    flat: list[Any] = data
    if len(shape) > 1 and data and isinstance(data[0], list):
        for axis, size in enumerate(shape[1:]):
            if len(flat) != shape[axis] * (math.prod(shape[:axis])) or not all(
                isinstance(row, list) and len(row) == size for row in flat
            ):
                raise RequestError(
                    f"Nested lists of {spec.name!r} must have the shape {list(shape)}.",
                    received=f"another along axis {axis}", fix="Send a flat list, row by row.",
                )  # fmt: skip
            flat = list(itertools.chain.from_iterable(flat))
    if len(flat) != math.prod(shape):
        raise RequestError(
            f"{spec.name!r} of shape {list(shape)} has {math.prod(shape):,} values.", received=f"{len(flat):,}",
            fix="Send all of the data, and its shape.",
        )  # fmt: skip
    return flat


def wrong_value(flat: list[Any], kinds: tuple[type, ...], spec: TensorSpec, wanted: str) -> RequestError:
    place = next(i for i, value in enumerate(flat) if type(value) not in kinds)
    return RequestError(
        f"Each value of {spec.name!r} is {wanted}.", received=f"{repr(flat[place])[:60]} at place {place}",
        fix="Convert the values.",
    )  # fmt: skip


def check_finite(values: NDArray[Any], spec: TensorSpec) -> None:
    """Raises RequestError that names the first value that is NaN or infinite."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise not_finite(place, f"{values.flat[place]}", spec, np.unravel_index(place, values.shape))


def not_finite(place: int, value: str, spec: TensorSpec, index: Any = None) -> RequestError:
    where = f"[{', '.join(str(int(at)) for at in index)}]" if index is not None else f"place {place}"
    return RequestError(
        f"All values of {spec.name!r} must be finite.", received=f"{value} at {where}",
        fix="Replace it. POST /predict takes files with missing values, and fills them in as the network was trained.",
    )  # fmt: skip
