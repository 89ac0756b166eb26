"""The Open Inference Protocol, version 2: from the body of an infer request to tensors, and from tensors to its answer.

    {"id": "7", "inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 28, 28, 1], "data": [0, 12, ...]}],
     "outputs": [{"name": "probabilities", "parameters": {"binary_data": true}}]}

With the binary tensor extension, tensors follow the JSON as bytes, and the header Inference-Header-Content-Length says
where the JSON ends; it counts the body before compression. Source: the protocol by KServe,
`specification/protocol/inference_rest.md`, and the extension by Triton, `docs/protocol/extension_binary_data.md`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import some
from neocog.modalities.tensor_spec import TensorSpec
from neocog.serving.binary import read_binary, read_values, write_binary
from neocog.serving.exchange import Answer, RequestError
from neocog.serving.strict_json import read_json

__all__ = ["DATATYPES", "InferRequest", "Requested", "read_infer", "write_infer"]

DATATYPES = {"uint8": "UINT8", "uint16": "UINT16", "int64": "INT64", "float32": "FP32", "bytes": "BYTES"}
"""As the protocol names the element types of `TensorSpec`."""
HEADER_LENGTH = b"inference-header-content-length"
EXAMPLE = "See /docs for an example."


@dataclass(frozen=True, slots=True)
class Requested:
    """An output that is asked for."""

    name: str
    binary: bool = False
    classification: int = 0
    """How many of the highest values to name, instead of all; 0 for all."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request, checked."""

    rows: NDArray[Any] | list[bytes | str]
    """The input: an array, or texts."""
    outputs: tuple[Requested, ...]
    id: str | None = None
    timeout_s: float | None = field(default=None)


def read_infer(
    body: bytes, header_length: str, spec: TensorSpec, outputs: Sequence[TensorSpec], *, levels: int, most: int
) -> InferRequest:
    """An infer request. `header_length` is the header's value, empty if it is missing; `most` inputs are taken at once.

    Raises RequestError for everything that is not as the protocol and the model's metadata say.
    """
    head, rest = split_body(body, header_length)
    given = read_json(head, levels, "An infer request")
    if not isinstance(given, dict):
        raise RequestError("An infer request must be a JSON object.", received=kind_of(given), fix=EXAMPLE)
    parameters = read_parameters(given, "the request")
    identity = given.get("id")
    if identity is not None and not isinstance(identity, str):
        raise RequestError("id must be a string.", received=short(identity))
    tensor = read_tensor(given.get("inputs"), spec, rest, has_rest=bool(header_length), most=most)
    return InferRequest(tensor, read_outputs(given, parameters, outputs), identity, read_timeout(parameters))


def split_body(body: bytes, header_length: str) -> tuple[bytes, memoryview]:
    """The JSON and the bytes after it."""
    if not header_length:
        return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdecimal()) or not 0 < int(header_length[:18]) <= len(body):
        raise RequestError(
            "Inference-Header-Content-Length is the length of the JSON at the body's start, before compression.",
            received=f"{short(header_length)} with a body of {len(body):,} bytes",
            fix="Send the number of bytes of the JSON, or leave the header out if there is nothing else.",
        )  # fmt: skip
    length = int(header_length)
    return body[:length], memoryview(body)[length:]


def read_tensor(
    inputs: Any, spec: TensorSpec, rest: memoryview, *, has_rest: bool, most: int
) -> NDArray[Any] | list[bytes | str]:
    """The only input of the model."""
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        raise RequestError("inputs must be a list of objects.", received=kind_of(inputs), fix=EXAMPLE)
    names = [one.get("name") for one in inputs]
    if names != [spec.name]:
        received = some(map(short, names)) if names else "none"
        raise RequestError(f"The model has one input, {spec.name!r}.", received=received, fix="Send that one.")
    one, parameters = inputs[0], read_parameters(inputs[0], f"input {spec.name!r}")
    if one.get("datatype") != DATATYPES[spec.dtype]:
        raise RequestError(
            f"The datatype of {spec.name!r} is {DATATYPES[spec.dtype]}.", received=short(one.get("datatype")),
            fix="Convert the values.",
        )  # fmt: skip
    shape = read_shape(one.get("shape"), spec, most)
    if "shared_memory_region" in parameters:
        raise RequestError(
            "This server does not read shared memory.", received="shared_memory_region", fix="Send the data."
        )
    size = parameters.get("binary_data_size")
    if (size is not None) == ("data" in one):
        received = "data and binary_data_size" if size is not None else "neither data nor binary_data_size"
        raise RequestError(f"{spec.name!r} needs its values once.", received=received, fix="Send one of them.")
    if size is None:
        if rest:
            raise RequestError(
                "Bytes after the JSON belong to inputs with binary_data_size.", received=f"{len(rest):,} bytes",
                fix="Leave them out.",
            )  # fmt: skip
        return read_values(one["data"], spec, shape)
    if not has_rest:
        raise RequestError(
            "Binary data needs the header Inference-Header-Content-Length.", received="binary_data_size without it",
            fix="Send the length of the JSON in it.",
        )  # fmt: skip
    if isinstance(size, bool) or not isinstance(size, int) or size != len(rest):
        raise RequestError(
            f"binary_data_size of {spec.name!r} is the number of bytes after the JSON.",
            received=f"{short(size)} with {len(rest):,} bytes", fix="Send all of the data, and its size.",
        )  # fmt: skip
    return read_binary(rest, spec, shape)


def read_shape(shape: Any, spec: TensorSpec, most: int) -> tuple[int, ...]:
    wanted = [-1 if size is None else size for size in spec.shape]
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        raise RequestError(f"The shape of {spec.name!r} is a list of whole numbers.", received=short(shape))
    if len(shape) != len(wanted) or any(
        size < 1 or fixed not in (-1, size) for size, fixed in zip(shape, wanted, strict=True)
    ):
        raise RequestError(
            f"The shape of {spec.name!r} is {wanted}, where -1 is any size from 1.", received=short(shape)
        )
    if shape[0] > most:
        raise RequestError(
            f"At most {most:,} inputs are taken at once.", received=f"{shape[0]:,}", fix="Send several requests."
        )
    return tuple(shape)


def read_parameters(given: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError("parameters must be an object.", received=kind_of(parameters), where=where)
    return parameters


def read_timeout(parameters: dict[str, Any]) -> float | None:
    """Seconds, from microseconds."""
    given = parameters.get("timeout")
    if given is None:
        return None
    if type(given) is not int or given < 0:
        raise RequestError("timeout is a whole number of microseconds.", received=short(given))
    return given / 1e6 or None


def read_outputs(
    given: dict[str, Any], parameters: dict[str, Any], specs: Sequence[TensorSpec]
) -> tuple[Requested, ...]:
    """The outputs that are asked for; all of them if none is named."""
    binary = read_flag(parameters, "binary_data_output", "the request", default=False)
    asked = given.get("outputs")
    if asked is None or asked == []:
        return tuple(Requested(spec.name, binary) for spec in specs)
    if not isinstance(asked, list) or not all(isinstance(one, dict) for one in asked):
        raise RequestError("outputs must be a list of objects.", received=kind_of(asked), fix=EXAMPLE)
    known, found = {spec.name: spec for spec in specs}, {}
    for one in asked:
        name = one.get("name")
        if not isinstance(name, str) or name not in known or name in found:
            raise RequestError(
                f"Each output must be one of {', '.join(known)}, once.", received=short(name), fix="Name another."
            )
        own = read_parameters(one, f"output {name!r}")
        if "shared_memory_region" in own:
            raise RequestError("This server does not write shared memory.", received="shared_memory_region")
        found[name] = Requested(
            name, read_flag(own, "binary_data", f"output {name!r}", default=binary), read_count(own, known[name])
        )
    return tuple(found.values())


def read_flag(parameters: dict[str, Any], name: str, where: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name} is true or false.", received=short(value), where=where)
    return value


def read_count(parameters: dict[str, Any], spec: TensorSpec) -> int:
    count = parameters.get("classification", 0)
    if type(count) is not int or count < 0:
        raise RequestError("classification is how many classes to name.", received=short(count))
    if count and len(spec.shape) != 2:
        raise RequestError(
            "classification is for outputs with a value for each class.", received=f"it for {spec.name!r}",
            fix="Leave it out.",
        )  # fmt: skip
    return count


def write_infer(
    tensors: dict[str, NDArray[Any]],
    request: InferRequest,
    *,
    name: str,
    version: str,
    classes: Sequence[str],
) -> Answer:
    """The answer: JSON, with the bytes of binary outputs behind it."""
    outputs, parts = [], []
    for asked in request.outputs:
        values = tensors[asked.name]
        if asked.classification:
            values = name_classes(values, asked.classification, classes)
        kind = "BYTES" if values.dtype == object else DATATYPES[values.dtype.name]
        entry: dict[str, Any] = {"name": asked.name, "datatype": kind, "shape": list(values.shape)}
        if asked.binary:
            parts.append(write_binary(values))
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = values.ravel().tolist()
        outputs.append(entry)
    found: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if request.id is not None:
        found["id"] = request.id
    head = json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
    if not any(asked.binary for asked in request.outputs):
        return Answer(200, head)
    length = (HEADER_LENGTH, str(len(head)).encode())
    return Answer(200, b"".join([head, *parts]), b"application/octet-stream", (length,))


def name_classes(values: NDArray[Any], count: int, classes: Sequence[str]) -> NDArray[np.object_]:
    """The highest values of each row as Triton writes them, value:index:name; (N, K) -> (N, count).

    >>> name_classes(np.array([[0.1, 0.7, 0.2]]), 2, ["cat", "dog", "ox"]).tolist()
    [['0.700000:1:dog', '0.200000:2:ox']]
    """
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    rows = [[f"{row[k]:f}:{k}:{classes[k]}" for k in ranks] for row, ranks in zip(values, order, strict=True)]
    return np.array(rows, dtype=object).reshape(order.shape)


def kind_of(value: Any) -> str:
    """The type of a value in JSON's words.

    >>> kind_of([1]), kind_of(None)
    ('a list', 'nothing')
    """
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "nothing"}
    return names.get(type(value), "a number")


def short(value: Any) -> str:
    """A value from outside, in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
