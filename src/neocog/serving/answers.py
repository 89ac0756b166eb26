"""Predictions as the server answers them: JSON, with masks as PNG files in it."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neocog.bundle.predictor import Failure
from neocog.serving.served import Served
from neocog.tasks import DenseTask, Prediction
from neocog.tasks.colours import class_colours

__all__ = ["answer_of", "mask_png", "tensors_of"]


def answer_of(prediction: Prediction | Failure, served: Served, top: int | None = None) -> dict[str, Any]:
    """A prediction as JSON: what `Prediction.to_json` gives, `unusual` if the network can tell, and masks.

    `top` is how many objects to list at most, the surest first; by default all.
    """
    if isinstance(prediction, Failure):
        return {"name": prediction.name, "error": prediction.error}
    found: dict[str, Any] = {"name": prediction.name, **prediction.to_json()}
    if top is not None and isinstance(found.get("objects"), list):
        found["objects"] = found["objects"][:top]
    if prediction.unusual is not None:
        found["unusual"] = prediction.unusual
    if prediction.pages > 1:
        found["pages"] = prediction.pages
    return found | masks_of(prediction, served)


def masks_of(prediction: Prediction, served: Served) -> dict[str, Any]:
    """The masks of a prediction as PNG files in base64, and the names of the classes; nothing if it has none."""
    classes, mask, masks = (
        served.predictor.classes,
        getattr(prediction, "mask", None),
        getattr(prediction, "masks", None),
    )
    if mask is not None:
        return {"classes": list(classes), "mask": encode(mask_png(mask, len(classes)))}
    if masks is not None:
        named = zip(classes, masks, strict=True)
        return {"classes": list(classes), "masks": {name: encode(mask_png(one, 2)) for name, one in named}}
    return {}


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def mask_png(mask: NDArray[Any], num_classes: int) -> bytes:
    """A mask (H, W) as a PNG file whose values are the numbers of the classes, shown in colours by its palette."""
    image = Image.fromarray(np.ascontiguousarray(mask, np.uint8))
    image.putpalette(class_colours(num_classes).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def tensors_of(result: Any, served: Served) -> dict[str, NDArray[Any]]:
    """The outputs of the protocol by name, as a result or from predictions of a dense task for inputs of one size."""
    task = served.predictor.task
    if isinstance(result, list):
        assert isinstance(task, DenseTask)
        return task.tensors_of(result)
    tensors: dict[str, NDArray[Any]] = result
    return tensors
