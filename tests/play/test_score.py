import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, fills_eye
from neocog.play import GoGame, Score, dead_stones, score_board, score_game
from neocog.play.score import areas, playout, win_share

CROSS = ndimage.generate_binary_structure(2, 1)


def board_of(rows):
    board = Board(len(rows))
    board.stones[:] = bytes(".XO".index(sign) for sign in "".join(rows))
    return board


def game_of(rows, komi=6.5):
    game = GoGame(len(rows), komi)
    game.boards = [board_of(rows)]
    return game


# White's wall on the right lives with two eyes; one white stone lies in Black's area.
FINISHED = (
    "...X.O...",
    ".O.XXO.O.",
    "...XO.O..",
    "..XXOOO..",
    "..XOO.O..",
    "..XXOOOO.",
    ".X.XXXOO.",
    "...X.XXO.",
    "..X..X.XO",
)


@given(st.lists(st.sampled_from(".XO"), min_size=49, max_size=49))
def test_areas_are_those_of_labelled_regions(signs):
    board = board_of(["".join(signs[7 * k : 7 * k + 7]) for k in range(7)])
    grid = np.frombuffer(bytes(board.stones), np.uint8).reshape(7, 7)
    expected = grid.copy()
    labels, count = ndimage.label(grid == EMPTY, CROSS)
    for k in range(1, count + 1):
        region = labels == k
        border = set(grid[ndimage.binary_dilation(region, CROSS) & ~region].tolist())
        expected[region] = border.pop() if len(border) == 1 else EMPTY
    assert areas(board) == expected.ravel().tolist()


def test_score_is_the_difference_of_areas_and_the_komi():
    game = game_of(("XX.OO",) * 5, komi=0.5)
    assert score_game(game, playouts=0) == Score(10, 10, 0.5)
    assert score_game(game, playouts=0).text == "W+0.5"
    assert score_board(board_of(("X....",) * 5)).black == 25
    assert Score(13, 12, 1).winner == EMPTY and Score(13, 12, 1).text == "0"


def test_empty_board_belongs_to_nobody():
    assert score_game(GoGame(9, 6.5), playouts=0) == Score(0, 0, 6.5)


def test_lone_stones_in_the_opponents_area_are_dead():
    game = game_of(FINISHED)
    dead = dead_stones(game.board, BLACK)
    assert 10 in dead  # B8
    assert not {3, 12, 13, 21} & dead and not {5, 14, 22, 24} & dead
    score = score_game(game)
    assert score.dead == dead and score.black > score_game(game, playouts=0).black


def test_dead_stones_depend_on_nothing_but_the_seed():
    board = game_of(FINISHED).board
    assert dead_stones(board, BLACK, playouts=20, seed=1) == dead_stones(board, BLACK, playouts=20, seed=1)


@given(st.integers(5, 9), st.integers(0, 2**32))
def test_playouts_end_when_only_eyes_are_left(size, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neocog.play.score.LONGEST", 100)
        check_end(size, seed)


def check_end(size, seed):
    draw, board = random.Random(seed), Board(size)
    end = playout(board, BLACK, draw)
    assert not any(board.stones)
    for colour in (BLACK, WHITE):
        for point, stone in enumerate(end.stones):
            assert stone or fills_eye(end, colour, point) or not end.is_legal(colour, point) or point == end.ko
    assert EMPTY not in areas(end) or max(end.stones.count(BLACK), end.stones.count(WHITE)) < size * size


def test_share_of_wins_tells_who_is_ahead():
    game = game_of(("XXXXXXX",) * 2 + (".......",) + ("OOOOOOO",) + (".......",) * 3, komi=6.5)
    assert win_share(game, WHITE, playouts=50) > 0.9
    assert win_share(game, BLACK, playouts=50) < 0.1
