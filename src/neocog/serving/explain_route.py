"""The route that shows why: heat maps over an input, computed on the torch network, one request at a time."""

import asyncio
import base64
import threading
from pathlib import Path
from typing import Any

from neocog.bundle import Predictor, load
from neocog.serving.exchange import Answer, Call, RequestError
from neocog.serving.predict_route import wants_png
from neocog.serving.received import read_received
from neocog.serving.routes import offload
from neocog.serving.served import Served
from neocog.serving.settings import ServeSettings

__all__ = ["Explaining", "explain_input"]

OPTIONS = ("method", "target", "layer")
METHOD = "gradcam"


class Explaining:
    """Whether something is being explained now, and the torch networks of engines that have none."""

    def __init__(self, settings: ServeSettings) -> None:
        self.allowed = settings.explain
        self.busy = threading.Lock()
        self.loaded: tuple[str, Predictor] | None = None

    def predictor(self, served: Served) -> Predictor:
        """The network in torch: that of the engine, or the bundle loaded once more."""
        if served.predictor.model is not None or served.path is None:
            return served.predictor
        if self.loaded is None or self.loaded[0] != served.sha:
            self.loaded = (served.sha, load(Path(served.path)))
        return self.loaded[1]


async def explain_input(call: Call) -> Answer:
    """One input in, the map of one method out: JSON with a PNG file in base64, or the PNG file."""
    explaining = call.server.explainer
    if not explaining.allowed:
        raise RequestError("This server does not explain.", fix="Start it with explain=True.", status=404)
    served = call.find_model()
    body = await call.body()
    received = await offload(call, len(body), lambda: read_received(call, body, served, OPTIONS))
    if len(received.items) != 1:
        raise RequestError("One input is explained at a time.", received=f"{len(received.items)}")
    if not explaining.busy.acquire(blocking=False):
        raise RequestError("Another input is being explained.", fix="Try again in 5 s.", status=503, retry_s=5)
    task = asyncio.get_running_loop().run_in_executor(None, explain_locked, explaining, served, received)
    numbers, png = await asyncio.shield(task)
    if wants_png(call):
        return Answer(200, png, b"image/png")
    return Answer.of(
        {"model": served.name, "version": served.version, **numbers, "png": base64.b64encode(png).decode()}
    )


def explain_locked(explaining: Explaining, served: Served, received: Any) -> tuple[dict[str, Any], bytes]:
    """The numbers of a map, and its figure; the lock is released at the end."""
    from neocog.explaining.explain import explain  # with figures, which few servers are asked for

    try:
        ((name, content),) = received.items
        options = received.options
        method = options.get("method") or METHOD
        if "," in method or method == "all":
            raise RequestError("One method is shown at a time.", received=repr(method), fix="Name one.")
        found = explain(
            explaining.predictor(served), content, target=options.get("target") or None, methods=method,
            layer=options.get("layer") or None, twin=False, name=name,
        )  # fmt: skip
        numbers = found.numbers
        return {"name": numbers.pop("file"), **numbers}, found.panels[method].png()
    finally:
        explaining.busy.release()
