"""Texts, as the table of kinds of data knows them."""

from neocog.dataset.file_types import SUFFIXES
from neocog.modalities.table import ModalityInfo
from neocog.modalities.text.augment import augment_stages
from neocog.modalities.text.choose import choose_text, inactive_settings
from neocog.modalities.text.draw import draw_words, read_tokens
from neocog.modalities.text.preprocess import TextPreprocess

__all__ = ["ROW"]

ROW = ModalityInfo(
    name="text",
    noun="text",
    plural="texts",
    preprocess=TextPreprocess,
    choose=choose_text,
    suffixes=SUFFIXES["text"],
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
    draw_map=draw_words,
    read_tokens=read_tokens,
)
