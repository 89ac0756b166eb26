"""Signals, as the table of kinds of data knows them."""

from typing import Any

import numpy as np
from torch import Tensor

from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.record import Payload
from neocog.lazy import calls
from neocog.modalities.draw import Drawing, draw_curves
from neocog.modalities.draw_map import Heat, draw_lanes
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]


def draw(payload: Payload, decoded: Tensor | None, _: str) -> Drawing:
    return Drawing(curves=draw_curves(np.asarray(payload) if decoded is None else decoded.numpy()))


def draw_map(axes: Any, payload: Payload | None, decoded: Tensor, preprocess: Preprocess | None, heat: Heat) -> None:
    """The map behind the curves of the channels, without those that mark missing values and padding."""
    rows = decoded.double().numpy()
    names: tuple[str, ...] = ()
    if isinstance(preprocess, SignalPreprocess):
        rows, names = rows[: preprocess.channels], preprocess.names
    draw_lanes(axes, rows, heat, names=names)


ROW = ModalityInfo(
    name="signal",
    noun="signal",
    plural="signals",
    preprocess=SignalPreprocess,
    choose=calls("neocog.modalities.signal.choose", "choose_signal"),
    suffixes=SUFFIXES["signal"],
    network="time_series_fcn",
    recipe="signal",
    section="signal",
    augment_section="augment_signal",
    augment=calls("neocog.modalities.signal.augment", "augment_stages"),
    check_augment=calls("neocog.modalities.signal.augment", "check_augment"),
    size_advice=": set --signal.length {length}",
    draw=draw,
    draw_map=draw_map,
)
