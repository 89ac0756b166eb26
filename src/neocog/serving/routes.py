"""The routes of the Open Inference Protocol."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from neocog import __version__
from neocog.bundle.predictor import Failure
from neocog.modalities.tensor_spec import TensorSpec
from neocog.serving.answers import tensors_of
from neocog.serving.compute import compute
from neocog.serving.exchange import Answer, Call, RequestError
from neocog.serving.protocol import DATATYPES, HEADER_LENGTH, read_infer, write_infer
from neocog.serving.served import Served
from neocog.serving.strict_json import read_json

__all__ = ["infer", "live", "model_config", "model_metadata", "model_ready", "ready", "repository_index",
           "server_metadata"]  # fmt: skip

LIGHT = 2**16  # bytes up to which parsing and decoding are done at once, without a thread
Made = TypeVar("Made")


async def offload(call: Call, weight: int, make: Callable[[], Made]) -> Made:
    """The result of a function: at once, or by a thread if it handles many bytes and would keep all others waiting."""
    if weight <= LIGHT:
        return make()
    return await asyncio.get_running_loop().run_in_executor(call.server.pool, make)


async def server_metadata(call: Call) -> Answer:
    extensions = ["binary_tensor_data", "classification", "model_repository"]
    return Answer.of({"name": "neocog", "version": __version__, "extensions": extensions})


async def live(call: Call) -> Answer:
    return Answer.of({"live": True})


async def ready(call: Call) -> Answer:
    """503 if an engine does not answer."""
    health, repository = call.server.health, call.server.repository
    found = await health.ready() if health is not None else repository.ready()
    return Answer.of({"ready": found}, 200 if found else 503)


async def model_ready(call: Call) -> Answer:
    served, health = call.find_model(), call.server.health
    version = call.names.get("version")
    found = await health.model_ready(served.name, version) if health is not None else served.alive
    return Answer.of({"name": served.name, "ready": found}, 200 if found else 503)


async def model_metadata(call: Call) -> Answer:
    served = call.find_model()
    return Answer.of(
        {
            "name": served.name,
            "versions": list(call.server.repository.versions(served.name)),
            "platform": platform_of(served),
            "inputs": [tensor_metadata(served.input)],
            "outputs": [tensor_metadata(spec) for spec in served.outputs],
            "parameters": {
                "task": served.task,
                "classes": list(served.predictor.classes),
                "modality": served.predictor.preprocess.modality,
                "sha256": served.sha,
            },
        }
    )


def platform_of(served: Served) -> str:
    return f"neocog_{getattr(served.predictor, 'backend_name', 'eager')}"


def tensor_metadata(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as the protocol describes it.

    >>> tensor_metadata(TensorSpec("texts", "bytes", (None,)))
    {'name': 'texts', 'datatype': 'BYTES', 'shape': [-1]}
    """
    shape = [-1 if size is None else size for size in spec.shape]
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": shape}


async def model_config(call: Call) -> Answer:
    """As Triton's clients ask for it: names, types, shapes without the batch, and the largest batch."""
    served = call.find_model()
    return Answer.of(
        {
            "name": served.name,
            "platform": platform_of(served),
            "max_batch_size": served.batcher.max_batch,
            "input": [config_of(served.input)],
            "output": [config_of(spec) for spec in served.outputs],
            "dynamic_batching": {"max_queue_delay_microseconds": round(served.batcher.delay * 1e6)},
        }
    )


def config_of(spec: TensorSpec) -> dict[str, Any]:
    datatype = DATATYPES[spec.dtype]
    kind = "STRING" if datatype == "BYTES" else datatype
    return {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": tensor_metadata(spec)["shape"][1:]}


async def repository_index(call: Call) -> Answer:
    """All models, or those that are ready."""
    body = await call.body()
    given = read_json(body, 2) if body else {}
    only = given.get("ready", False) if isinstance(given, dict) else None
    if not isinstance(only, bool):
        raise RequestError('The body must be empty or {"ready": true}.', received=f"{body[:60]!r}")
    rows = [
        {
            "name": served.name, "version": served.version, "state": "READY" if served.alive else "UNAVAILABLE",
            "reason": "",
        }
        for served in call.server.repository
    ]  # fmt: skip
    return Answer.of([row for row in rows if row["state"] == "READY" or not only])


async def infer(call: Call) -> Answer:
    """Tensors in, tensors out."""
    served, settings = call.find_model(), call.server.settings
    body = await call.body()
    header = call.header(HEADER_LENGTH)
    read = partial(
        read_infer, body, header, served.input, served.outputs, levels=settings.max_json_depth, most=settings.max_inputs
    )
    request = await offload(call, len(body), read)
    rows = request.rows
    served, result = await compute(
        call, lambda model: (model.prepare_rows(rows), ()), len(rows), "tensors",
        light=len(body) <= LIGHT or served.dense, timeout_s=request.timeout_s,
    )  # fmt: skip
    if isinstance(result, list):
        for one in result:
            if isinstance(one, Failure):
                raise RequestError(one.error)
    tensors = tensors_of(result, served)
    weight = 4 * sum(tensor.size for tensor in tensors.values())
    write = partial(
        write_infer, tensors, request, name=served.name, version=served.version, classes=served.predictor.classes
    )
    return await offload(call, weight, write)
