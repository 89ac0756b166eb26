"""The route for people and their files: what `neocog predict` says, over HTTP."""

from typing import Any

from neocog.bundle.predictor import Failure
from neocog.errors import DataError
from neocog.serving.answers import answer_of, mask_png
from neocog.serving.compute import compute
from neocog.serving.exchange import Answer, Call, RequestError
from neocog.serving.received import Received, read_received, read_top
from neocog.serving.routes import LIGHT, offload
from neocog.serving.served import Served
from neocog.tasks import Prediction

__all__ = ["predict"]

OPTIONS = ("top",)
TOP = 5
LIGHT_IMAGE = 2**12  # bytes of a file that is decoded at once: a thread would cost as much


async def predict(call: Call) -> Answer:
    """Files or values in; classes, values, boxes or masks out."""
    served = call.find_model()
    body = await call.body()
    received = await offload(call, len(body), lambda: read_received(call, body, served, OPTIONS))
    top = read_top(received.options, None)
    as_png = wants_png(call)
    if as_png and (received.several or not any(spec.name == "mask" for spec in served.outputs)):
        raise RequestError(
            "A PNG file is the answer of a network that predicts a mask, for one image.",
            received=f"Accept: image/png for {served.name}", fix="Accept application/json.", status=406,
        )  # fmt: skip
    served, found = await predict_received(call, received, top or TOP)
    if as_png:
        (prediction,) = found
        if isinstance(prediction, Failure):
            raise RequestError(prediction.error)
        mask: Any = prediction
        return Answer(200, mask_png(mask.mask, len(served.predictor.classes)), b"image/png")
    return await offload(
        call, LIGHT + 1 if served.dense else 0, lambda: answer(served, found, top, several=received.several)
    )


async def predict_received(call: Call, received: Received, top: int) -> tuple[Served, list[Prediction | Failure]]:
    """The prediction for each input, or a failure in the place of one that can't be read."""
    failures: dict[int, Failure] = {}

    def prepare(served: Served) -> Any:
        failures.clear()
        prepared: list[Any] = []
        for i, (name, content) in enumerate(received.items):
            try:
                prepared.append(served.prepare(content, name))
            except DataError as error:
                if not received.several:
                    raise
                failures[i] = Failure(name, str(error))
        if not prepared:
            raise NoneReadableError
        return served.join(prepared), [name for i, (name, _) in enumerate(received.items) if i not in failures]

    light = received.weight <= LIGHT_IMAGE or call.find_model().takes_files
    try:
        served, result = await compute(call, prepare, len(received.items), top, light=light)
    except NoneReadableError:
        return call.find_model(), list(failures.values())
    found = iter(result)
    return served, [failures[i] if i in failures else next(found) for i in range(len(received.items))]


class NoneReadableError(DataError):
    """None of several inputs can be read."""

    def __init__(self) -> None:
        super().__init__("No input can be read.")


def answer(served: Served, found: list[Prediction | Failure], top: int | None, *, several: bool) -> Answer:
    """One prediction as an object, or several in a list. Raises RequestError for one that can't be read."""
    head = {"model": served.name, "version": served.version}
    if several:
        return Answer.of({**head, "predictions": [answer_of(one, served, top) for one in found]})
    (prediction,) = found
    if isinstance(prediction, Failure):
        raise RequestError(prediction.error)
    return Answer.of({**head, **answer_of(prediction, served, top)})


def wants_png(call: Call) -> bool:
    """Whether the client takes PNG files and not JSON."""
    accepted = call.header(b"accept").lower()
    return "image/png" in accepted and "application/json" not in accepted and "*/*" not in accepted
