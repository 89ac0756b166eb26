"""Images, as the table of kinds of data knows them."""

import numpy as np
from torch import Tensor

from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.record import Payload
from neocog.lazy import calls
from neocog.modalities.draw import Drawing, colour_map, image_address, thumbnail
from neocog.modalities.image.decode import decode_image
from neocog.modalities.image.pages import num_pages
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]

MAX_PIXELS = 40_000_000
MAX_PACKED = 2**28


def draw(payload: Payload, decoded: Tensor | None, name: str) -> Drawing:
    """Grey and RGB as they are; of decoded images with other channels the first."""
    if decoded is not None:
        values = decoded.numpy()
        return Drawing(image_address(values if len(values) in (1, 3) else colour_map(values[0])))
    if isinstance(payload, bytes):
        payload = decode_image(payload, name, max_pixels=MAX_PIXELS, convert=True)
    return Drawing(thumbnail(np.asarray(payload)))


def check_encoded(payload: bytes, where: str) -> None:
    decode_image(payload, where, max_pixels=MAX_PACKED, convert=True)


ROW = ModalityInfo(
    name="image",
    noun="image",
    plural="images",
    preprocess=ImagePreprocess,
    choose=calls("neocog.modalities.image.choose", "choose_image"),
    suffixes=SUFFIXES["image"],
    network="resnet18",
    recipe="lenet5_relu",
    recipe_for_network="general",
    section="image",
    augment_section="augment",
    augment=calls("neocog.modalities.image.augment.apply", "augment_stages"),
    check_augment=calls("neocog.modalities.image.augment.config", "check_augment"),
    size_advice=": leave --image.size and --image.pad out",
    tta=True,
    resizable=True,
    feature="Image",
    check_encoded=check_encoded,
    count_pages=num_pages,
    near_duplicates="thumbs",
    draw=draw,
)
