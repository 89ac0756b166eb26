"""Texts, as the table of kinds of data knows them."""

from torch import Tensor

from neocog.dataset.record import Payload
from neocog.modalities.draw import Drawing
from neocog.modalities.table import ModalityInfo
from neocog.modalities.text.augment import augment_stages
from neocog.modalities.text.choose import choose_text, inactive_settings
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = ["ROW"]

EXCERPT = 600  # characters


def draw(payload: Payload, _: Tensor) -> Drawing:
    text = payload if isinstance(payload, str) else bytes(payload).decode(errors="replace")
    return Drawing(text=text if len(text) <= EXCERPT else text[:EXCERPT] + " ...")


ROW = ModalityInfo(
    name="text",
    noun="text",
    plural="texts",
    preprocess=TextPreprocess,
    choose=choose_text,
    suffixes=frozenset({".txt"}),
    network="text_cnn",
    recipe="text",
    section="text",
    augment_section="augment_text",
    augment=augment_stages,
    inactive=inactive_settings,
    size_advice=": set --text.length {length}",
    is_text=True,
    feature="Value",
    near_duplicates="letters",
    draw=draw,
)
