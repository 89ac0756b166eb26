"""The schemas of what a server takes and answers, as JSON Schema."""

from collections.abc import Sequence
from typing import Any

from neocog.modalities.table import MODALITIES
from neocog.modalities.tensor_spec import TensorSpec
from neocog.serving.protocol import DATATYPES
from neocog.serving.served import Served
from neocog.serving.settings import ServeSettings

__all__ = ["SCHEMAS", "infer_request", "predict_request", "raw_types"]

STRING, TRUTH, NUMBER, NATURAL = (
    {"type": "string"},
    {"type": "boolean"},
    {"type": "number"},
    {"type": "integer", "minimum": 0},
)
RAW = {
    "image": ("image/png", "image/jpeg", "application/octet-stream"),
    "signal": ("text/csv", "application/octet-stream"),
    "audio": ("audio/wav", "application/octet-stream"),
    "text": ("text/plain",),
    "board": ("application/x-go-sgf",),
}
DEEP = 5


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with these properties, and maybe others."""
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def items(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": schema, **more}


TENSOR = record({"name": STRING, "datatype": {"enum": list(DATATYPES.values())}, "shape": items({"type": "integer"})})
CONFIG = record({"name": STRING, "data_type": STRING, "dims": items({"type": "integer"})})
OUTPUT = record(
    {"name": STRING, "datatype": {"enum": list(DATATYPES.values())}, "shape": items(NATURAL)},
    {
        "data": items({"type": ["number", "string"]}),
        "parameters": record({"binary_data_size": NATURAL}),
    },
)
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
PREDICTION = {
    "name": {},
    "class": {},
    "probability": {},
    "top": items(record({"class": STRING, "probability": SHARE})),
    "objects": items(record({"label": STRING, "score": NUMBER, "box": items(NUMBER, minItems=4, maxItems=4)})),
    "classes": items(STRING),
    "mask": {"description": "A PNG file in base64: the number of a class for each pixel."},
    "masks": {"description": "Class: a PNG file in base64, 1 where the class is."},
    "unusual": {"type": "boolean", "description": "Whether the input is unlike the training data."},
    "pages": {"type": "integer", "description": "How many images the file holds; the first was read."},
}
HEAD = {"model": STRING, "version": STRING}
SCHEMAS: dict[str, Any] = {
    "Error": record({"error": {"type": "string", "minLength": 1}}),
    "Live": record({"live": {"const": True}}),
    "Ready": record({"ready": TRUTH}),
    "ModelReady": record({"name": STRING, "ready": TRUTH}),
    "ServerMetadata": record({"name": STRING, "version": STRING, "extensions": items(STRING)}),
    "ModelMetadata": record(
        {
            "name": STRING, "versions": items(STRING), "platform": STRING, "inputs": items(TENSOR),
            "outputs": items(TENSOR),
        },
        {"parameters": {"type": "object"}},
    ),
    "ModelConfig": record(
        {"name": STRING, "platform": STRING, "max_batch_size": NATURAL, "input": items(CONFIG), "output": items(CONFIG)}
    ),
    "RepositoryIndex": items(
        record({"name": STRING, "version": STRING, "state": {"enum": ["READY", "UNAVAILABLE"]}, "reason": STRING})
    ),
    "InferResponse": record({"model_name": STRING, "model_version": STRING, "outputs": items(OUTPUT)}, {"id": STRING}),
    "Answer": {
        "anyOf": [
            record({**HEAD, "predictions": items({"type": "object", "properties": PREDICTION})}),
            record(HEAD, PREDICTION),
        ]
    },
    "Explained": record(
        {**HEAD, "name": STRING, "target": STRING, "logit": NUMBER, "methods": items({"type": "object"}), "png": STRING}
    ),
}  # fmt: skip


def infer_request(models: Sequence[Served], settings: ServeSettings) -> dict[str, Any]:
    """The JSON of an infer request to any of these models."""
    specs = {served.input: served for served in models}
    outputs = sorted({spec.name for served in models for spec in served.outputs})
    flags = {"binary_data_output": TRUTH, "timeout": {"type": ["integer", "null"], "minimum": 0}}
    asked = record(
        {"name": {"enum": outputs or [""]}},
        {"parameters": {"type": "object", "properties": {"binary_data": TRUTH, "classification": NATURAL}}},
    )
    tensors = [input_tensor(spec, settings) for spec in specs]
    return record(
        {"inputs": items({"anyOf": tensors} if len(tensors) != 1 else tensors[0], minItems=1, maxItems=1)},
        {
            "id": {"type": ["string", "null"]},
            "outputs": {"type": ["array", "null"], "items": asked},
            "parameters": {"type": "object", "properties": flags},
        },
    )


def input_tensor(spec: TensorSpec, settings: ServeSettings) -> dict[str, Any]:
    sizes = [{"type": "integer", "minimum": 1} if size is None else {"const": size} for size in spec.shape]
    sizes[0] = {"type": "integer", "minimum": 1, "maximum": settings.max_inputs}
    shape = {"type": "array", "prefixItems": sizes, "items": False, "minItems": len(sizes), "maxItems": len(sizes)}
    element: dict[str, Any] = STRING
    if spec.dtype == "float32":
        element = NUMBER
    elif spec.dtype != "bytes":
        element = {"type": "integer", "minimum": 0, "maximum": 255 if spec.dtype == "uint8" else 65535}
    return record(
        {
            "name": {"const": spec.name},
            "datatype": {"const": DATATYPES[spec.dtype]},
            "shape": shape,
            "data": nested(element, len(spec.shape)),
        },
        {"parameters": {"type": "object"}},
    )


def nested(element: dict[str, Any], depth: int) -> dict[str, Any]:
    """A flat list, or lists nested as deep as the shape."""
    deep = element
    for _ in range(depth):
        deep = items(deep, minItems=1)
    return {"anyOf": [items(element, minItems=1), deep]} if depth > 1 else deep


def predict_request(
    models: Sequence[Served], settings: ServeSettings, options: dict[str, Any], *, several: bool
) -> dict[str, Any]:
    """The JSON of a request to /predict or /explain of any of these models."""
    forms: list[dict[str, Any]] = [
        {
            "type": "object", "required": [form], "additionalProperties": False,
            "properties": {form: schema, "name": STRING},
        }
        for form, schema in input_forms(models).items()
    ]  # fmt: skip
    single: list[dict[str, Any]] = [{**form, "properties": {**form["properties"], **options}} for form in forms]
    if not several:
        return {"anyOf": single}
    many = items({"anyOf": forms}, minItems=1, maxItems=settings.max_inputs)
    listed = {
        "type": "object", "required": ["inputs"], "additionalProperties": False,
        "properties": {"inputs": many, **options},
    }  # fmt: skip
    return {"anyOf": [*single, listed]}


def input_forms(models: Sequence[Served]) -> dict[str, Any]:
    """The ways to write an input in JSON."""
    kinds = {served.predictor.preprocess.modality for served in models}
    words = {kind for kind in kinds if MODALITIES[kind].is_text or kind == "board"}
    found: dict[str, Any] = {"file": {"type": "string", "minLength": 1, "contentEncoding": "base64"}}
    if words:
        found["text"] = {"type": "string", "minLength": 1}
    if kinds - words:
        number: dict[str, Any] = {"type": ["number", "null"] if "signal" in kinds else "number"}
        levels = [number]
        for _ in range(DEEP - 2):
            levels.append(items(levels[-1], minItems=1))
        found["values"] = {"anyOf": levels[1:]}
    return found


def raw_types(models: Sequence[Served]) -> tuple[str, ...]:
    """The content types of files that these models read, as examples: the content decides, not its type."""
    kinds = [served.predictor.preprocess.modality for served in models]
    return tuple(dict.fromkeys(kind for name in kinds for kind in RAW.get(name, ("application/octet-stream",))))
