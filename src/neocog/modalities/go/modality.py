"""Positions of Go, as the table of kinds of data knows them."""

from neocog.dataset.file_types import SUFFIXES
from neocog.modalities.go.augment import augment_stages
from neocog.modalities.go.draw import draw_board, draw_position
from neocog.modalities.go.preprocess import BoardPreprocess, choose_board
from neocog.modalities.table import ModalityInfo

__all__ = ["ROW"]

ROW = ModalityInfo(
    name="board",
    noun="position",
    plural="positions",
    preprocess=BoardPreprocess,
    choose=choose_board,
    suffixes=SUFFIXES["board"],
    network="go_residual",
    recipe="board",
    section="board",
    augment_section="augment_board",
    augment=augment_stages,
    draw=draw_position,
    draw_map=draw_board,
)
