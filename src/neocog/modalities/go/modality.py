"""Positions of Go, as the table of kinds of data knows them."""

import numpy as np
from torch import Tensor

from neocog.dataset.file_types import SUFFIXES
from neocog.dataset.record import Payload
from neocog.modalities.draw import Drawing, image_address
from neocog.modalities.go.preprocess import BoardPreprocess, choose_board
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]

BOARD = np.array([[222, 184, 120], [30, 30, 30], [245, 245, 245]], np.uint8)  # empty, own stone, other stone


def draw(payload: Payload, decoded: Tensor | None, _: str) -> Drawing:
    """The stones, which all sets of features have as planes 0 and 1; 8 x 8 pixels for each point."""
    planes = np.asarray(payload) if decoded is None else decoded.numpy()
    points = BOARD[(planes[0] > 0) + 2 * (planes[1] > 0)]
    return Drawing(image_address(np.kron(points, np.ones((8, 8, 1), np.uint8)).transpose(2, 0, 1)))


ROW = ModalityInfo(
    name="board",
    noun="position",
    plural="positions",
    preprocess=BoardPreprocess,
    choose=choose_board,
    suffixes=SUFFIXES["board"],
    network="go_residual",
    recipe="board",
    draw=draw,
)
