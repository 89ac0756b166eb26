"""The recipe for games: a tower for the board and the number of positions."""

import numpy as np
import pytest

from neocog.data import open_source
from neocog.recipes import recipe
from neocog.recipes.modalities import board_epochs, board_tower


@pytest.fixture
def games(tmp_path):
    for i in range(6):
        points = np.random.default_rng(i).permutation(49)[:20].tolist()
        moves = "".join(f";{'BW'[k % 2]}[{'abcdefg'[p % 7]}{'abcdefg'[p // 7]}]" for k, p in enumerate(points))
        (tmp_path / f"{i}.sgf").write_text(f"(;GM[1]SZ[7]{moves})")
    return tmp_path


@pytest.mark.parametrize("size", [5, 9, 13, 19, 25])
def test_each_point_sees_the_whole_board(size):
    blocks = len(board_tower(10_000, size))
    assert 3 + 4 * blocks >= 2 * size - 1 > 3 + 4 * (blocks - 2)


def test_more_positions_get_wider_towers_and_fewer_epochs():
    counts = [10, 1_000, 10_000, 100_000, 10_000_000]
    widths = [board_tower(count, 9)[0] for count in counts]
    assert widths == sorted(widths) and widths[0] == 16 and widths[-1] == 256
    epochs = [board_epochs(count) for count in counts]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] == 60 and epochs[-1] == 3


def test_recipe_looks_at_the_games(games):
    source = open_source(games)
    num = round(0.72 * len(source))
    for config in (recipe("board", str(games)), recipe("board", str(games), source)):
        assert config.model.widths == board_tower(num, 7) and config.train.epochs == board_epochs(num)
        assert config.augment_board.symmetries and config.board.features == "alphago48"


def test_data_that_cannot_be_opened_gets_the_published_tower(tmp_path):
    for data in ("", str(tmp_path / "missing"), "mnist"):
        config = recipe("board", data)
        assert config.model.widths is None and config.train.epochs == 10
