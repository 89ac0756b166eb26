"""The OpenAPI document of a server, made from the models that it serves."""

from collections.abc import Sequence
from typing import Any

from neocog import __version__
from neocog.serving.exchange import Answer, Call
from neocog.serving.openapi_schemas import SCHEMAS, infer_request, predict_request, raw_types
from neocog.serving.served import Served
from neocog.serving.settings import ServeSettings

__all__ = ["build_document", "document"]

SENTENCES = {
    "400": "The request is wrong; the sentence says how, and what to do.",
    "404": "There is no such model, version or path.",
    "406": "The model has no answer of the type that Accept asks for.",
    "413": "The body is too large.",
    "415": "The body is compressed in a way that this server does not read.",
    "500": "The server failed at this request.",
    "503": "Too many inputs wait; try again after the seconds of Retry-After.",
    "504": "The answer took too long.",
}
POSTS = ("400", "404", "413", "415", "500", "503", "504")
Operation = dict[str, Any]


async def document(call: Call) -> Answer:
    server = call.server
    extra = [(route.method, route.path, route.operation) for route in server.routes if route.operation is not None]
    return Answer.of(build_document(list(server.repository), server.settings, extra))


def build_document(
    models: Sequence[Served], settings: ServeSettings, extra: Sequence[tuple[str, str, Operation]] = ()
) -> dict[str, Any]:
    """The document, OpenAPI 3.1, for these models; `extra` are other operations: method, path, description."""
    paths: dict[str, dict[str, Operation]] = {
        "/v2": {"get": get("serverMetadata", "The server: name, version, extensions", "ServerMetadata")},
        "/v2/health/live": {"get": get("serverLive", "Whether the server is alive", "Live")},
        "/v2/health/ready": {"get": get("serverReady", "Whether every model answers", "Ready", "503")},
        "/v2/repository/index": {"post": repository_operation()},
    }
    for with_version in (False, True):
        paths |= model_paths(models, settings, with_version=with_version)
    paths["/predict"] = {"post": predict_operation(models, settings, [], "predict")}
    if settings.explain:
        paths["/explain"] = {"post": explain_operation(models, settings, [], "explain")}
        paths["/models/{name}/explain"] = {"post": explain_operation(models, settings, [NAME], "explainByModel")}
    names = sorted({served.name for served in models})
    versions = sorted({served.version for served in models}, key=int)
    for method, path, operation in extra:
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Neocog", "version": __version__, "description": "Convolutional networks over HTTP."},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS | {"InferRequest": infer_request(models, settings)},
            "parameters": {"name": parameter("name", names), "version": parameter("version", versions)},
            **security_schemes(settings),
        },
        **({"security": [{"bearer": []}, {"key": []}]} if settings.api_keys else {}),
    }


NAME, VERSION = {"$ref": "#/components/parameters/name"}, {"$ref": "#/components/parameters/version"}


def parameter(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(values) or [""]}}


def security_schemes(settings: ServeSettings) -> dict[str, Any]:
    if not settings.api_keys:
        return {}
    return {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
    }


def model_paths(
    models: Sequence[Served], settings: ServeSettings, *, with_version: bool
) -> dict[str, dict[str, Operation]]:
    """The operations on one model, of its highest version or of the one that is named."""
    version, tail = ("/versions/{version}", "OfVersion") if with_version else ("", "")
    names = [NAME, VERSION] if with_version else [NAME]
    base = f"/v2/models/{{name}}{version}"

    def about(operation: str, summary: str, schema: str, *statuses: str) -> Operation:
        return get(operation + tail, summary, schema, "404", *statuses) | {"parameters": names}

    return {
        base: {"get": about("modelMetadata", "A model: versions, inputs, outputs, classes", "ModelMetadata")},
        f"{base}/ready": {"get": about("modelReady", "Whether a model answers", "ModelReady", "503")},
        f"{base}/config": {"get": about("modelConfig", "A model as Triton describes one", "ModelConfig")},
        f"{base}/infer": {"post": infer_operation(names, f"infer{tail}")},
        f"/models/{{name}}{version}/predict": {
            "post": predict_operation(models, settings, names, f"predictByModel{tail}")
        },
    }


def get(operation: str, summary: str, schema: str, *statuses: str) -> Operation:
    """An operation without a body. A health check that fails has the same form as one that succeeds."""
    found = {status: error(status) for status in (*statuses, "500")}
    if "503" in found:
        found["503"] = answered("It does not answer.", schema)
    return {"operationId": operation, "summary": summary, "responses": {"200": answered(summary, schema), **found}}


def answered(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": ref(schema)}}}


def ref(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def error(status: str) -> dict[str, Any]:
    found = answered(SENTENCES[status], "Error")
    if status == "503":
        found["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
    return found


def errors(*more: str) -> dict[str, Any]:
    return {status: error(status) for status in sorted((*POSTS, *more))}


def repository_operation() -> Operation:
    body = {"schema": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}
    return {
        "operationId": "repositoryIndex",
        "summary": "All models and versions, and whether each answers",
        "requestBody": {"required": False, "content": {"application/json": body}},
        "responses": {"200": answered("A row for each version.", "RepositoryIndex"), **errors()},
    }


def infer_operation(names: list[Any], operation: str) -> Operation:
    """Tensors in, tensors out."""
    octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": operation,
        "summary": "Tensors in, tensors out (Open Inference Protocol)",
        "description": "JSON, or JSON followed by binary tensors; Inference-Header-Content-Length says where it ends.",
        "parameters": names,
        "requestBody": {
            "required": True, "content": {"application/json": {"schema": ref("InferRequest")}, **octets},
        },
        "responses": {
            "200": {
                "description": "The outputs.",
                "content": {"application/json": {"schema": ref("InferResponse")}, **octets},
            },
            **errors(),
        },
    }  # fmt: skip


def predict_operation(models: Sequence[Served], settings: ServeSettings, names: list[Any], operation: str) -> Operation:
    """Files in, predictions out."""
    chosen = models if names else models[:1]
    masks = any(spec.name == "mask" for served in chosen for spec in served.outputs)
    png = {"image/png": {"schema": {"type": "string", "format": "binary"}}} if masks else {}
    top = {
        "name": "top", "in": "query", "required": False, "description": "How many classes or objects to list.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    }  # fmt: skip
    return {
        "operationId": operation,
        "summary": "Predict a file: classes, values, boxes or masks",
        "description": "The file is the body, a part of a form, or base64 in JSON. Several have an answer each.",
        "parameters": [*names, top],
        "requestBody": {"required": True, "content": body_types(chosen, settings, {"top": top["schema"]})},
        "responses": {
            "200": {
                "description": "The prediction, or one for each of several inputs.",
                "content": {"application/json": {"schema": ref("Answer")}, **png},
            },
            **errors("406"),
        },
    }


def explain_operation(models: Sequence[Served], settings: ServeSettings, names: list[Any], operation: str) -> Operation:
    """A file in, a heat map out."""
    from neocog.explaining.methods import METHODS

    words = {
        "target": "The output to explain; by default the one that the network decided for.",
        "layer": "Whose maps are weighed.",
    }
    schemas: dict[str, Any] = {"method": {"type": "string", "enum": list(METHODS)}} | {
        name: {"type": "string"} for name in words
    }
    query = [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": words.get(name, "The method."),
            "schema": schema,
        }
        for name, schema in schemas.items()
    ]
    png = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": operation,
        "summary": "Explain a prediction: a heat map over the input",
        "parameters": [*names, *query],
        "requestBody": {
            "required": True,
            "content": body_types(models if names else models[:1], settings, schemas, several=False),
        },
        "responses": {
            "200": {
                "description": "The map as a figure, and its numbers.",
                "content": {"application/json": {"schema": ref("Explained")}, **png},
            },
            **errors("406"),
        },
    }


def body_types(
    models: Sequence[Served], settings: ServeSettings, options: dict[str, Any], *, several: bool = True
) -> dict[str, Any]:
    """The bodies that /predict and /explain take: JSON, a form, or the file."""
    file = {"type": "string", "format": "binary", "minLength": 1}
    form = {"type": "object", "properties": {"file": file, **options}, "required": ["file"]}
    return {
        "application/json": {"schema": predict_request(models, settings, options, several=several)},
        "multipart/form-data": {"schema": form},
        **{kind: {"schema": file} for kind in raw_types(models)},
    }
