"""Writing tensors in the safetensors format straight from their own memory, without a second copy of them.

The bytes are those of `safetensors.torch.save`. File and zlib calls release Python's lock for large values, so that a
thread can write while another one trains.
"""

import json
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import CheckpointError

__all__ = ["raw", "write_tensors"]

# In the order of the format's own writer: large types first, so that all values are aligned.
NAMES = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
LAYOUT = {dtype: place for place, dtype in enumerate(NAMES)}
ALIGNMENT = 8  # bytes


def write_tensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device and memory layout to an open file.

        8 bytes: length of the header | header: JSON, padded with spaces | values, without gaps

    Raises CheckpointError for a type that the format doesn't have. Source: the safetensors format, version 0.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_tensors(file, {"x": torch.tensor([1, 2], dtype=torch.uint8)}, {"a": "b"})
    >>> file.getvalue()[8:]
    b'{"__metadata__":{"a":"b"},"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}  \\x01\\x02'
    """
    unknown = sorted({str(value.dtype) for value in tensors.values()} - {str(dtype) for dtype in NAMES})
    if unknown:
        raise CheckpointError(f"A checkpoint can hold {', '.join(NAMES.values())} only.", received=", ".join(unknown))
    keys = sorted(tensors, key=lambda key: (LAYOUT[tensors[key].dtype], key))
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for key in keys:
        value = tensors[key]
        end = begin + value.numel() * value.element_size()
        entries[key] = {"dtype": NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [begin, end]}
        begin = end
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    file.write(len(header).to_bytes(8, "little") + header)
    for values in (raw(tensors[key]) for key in keys):
        file.write(values)


def raw(tensor: Tensor) -> memoryview:
    """A tensor's values as bytes in row-major order; those of a contiguous one on the CPU are not copied.

    >>> bytes(raw(torch.tensor([1, 258], dtype=torch.int16)))
    b'\\x01\\x00\\x02\\x01'
    """
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    values: NDArray[np.uint8] = (flat.view(torch.uint8) if flat.numel() else torch.empty(0, dtype=torch.uint8)).numpy()
    return values.data
