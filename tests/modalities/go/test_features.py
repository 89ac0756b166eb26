import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.modalities.go.features import FEATURES, alphago48, fills_eye, zero17
from neocog.modalities.go.game import KIND, MOVE, position_code, replay
from neocog.modalities.go.ladders import ladder_captures, ladder_escapes
from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, IllegalMoveError


def random_code(seed, size=6, most=60):
    """A position of a random game with passes and stones set up."""
    draw, board, steps, colour = random.Random(seed), Board(size), [], BLACK
    for point in draw.sample(range(size**2), draw.randrange(3)):
        board.play(BLACK, point)
        steps.append(KIND * BLACK + point)
    for _ in range(draw.randrange(most)):
        point = draw.randrange(size**2 + 1)
        try:
            board.pass_move() if point == size**2 else board.play(colour, point)
        except IllegalMoveError:
            continue
        steps.append(KIND * (MOVE + colour) + point)
        colour = 3 - colour
    return position_code(size, colour, steps)


def number(planes):
    """A number that eight planes show; (8, S, S) -> (S * S,)."""
    assert planes.sum(0).max(initial=0) <= 1
    return (planes.reshape(8, -1) * np.arange(1, 9)[:, None]).sum(0)


@given(st.integers(0, 2**32))
def test_planes_of_moves_agree_with_playing_them(seed):
    position = replay(random_code(seed), "g")
    board, own, planes = position.board, position.to_move, alphago48(position)
    taken, atari, after = (number(planes[start : start + 8]) for start in (20, 28, 36))
    for point in range(36):
        twin = board.copy()
        try:
            captured = twin.play(own, point)
        except IllegalMoveError:
            assert (taken[point], atari[point], after[point]) == (0, 0, 0)
            assert not planes[44:47].reshape(3, -1)[:, point].any()
            continue
        members, liberties = twin.chain(point)
        assert taken[point] == min(len(captured), 8)
        assert after[point] == min(len(liberties), 8)
        assert atari[point] == (min(len(members), 8) if len(liberties) == 1 else 0)
        assert planes[46].flat[point] == (not fills_eye(board, own, point))


@given(st.integers(0, 2**32))
def test_stones_liberties_and_ladders_are_those_of_the_board(seed):
    position = replay(random_code(seed), "g")
    board, own, planes = position.board, position.to_move, alphago48(position)
    ages, liberties = number(planes[4:12]), number(planes[12:20])
    assert np.array_equal(ages, np.minimum(position.ages, 8))
    assert planes[3].all() and not planes[47].any()
    capture, escape = np.zeros(36, bool), np.zeros(36, bool)
    for point, stone in enumerate(board.stones):
        kind = {own: 0, 3 - own: 1, EMPTY: 2}[stone]
        assert planes[:3].reshape(3, -1)[:, point].tolist() == [k == kind for k in range(3)]
        free = board.chain(point)[1] if stone else set()
        assert liberties[point] == min(len(free), 8)
        for move in range(36):
            if stone == 3 - own and len(free) == 2 and move in free:
                capture[move] |= ladder_captures(board, point, move)
            if stone == own and len(free) == 1 and move in free:
                escape[move] |= ladder_escapes(board, point, move)
    assert np.array_equal(planes[44].ravel(), capture)
    assert (planes[45].ravel() >= escape).all()  # it also holds escapes by capture


@given(st.integers(0, 2**32))
def test_planes_of_alphago_zero_are_the_last_eight_positions(seed):
    code = random_code(seed)
    size, to_move, *steps = code.tolist()
    planes = zero17(replay(code, "g"))
    moves = [place for place, step in enumerate(steps) if step // KIND > MOVE]
    for ago in range(8):
        own, other = planes[2 * ago], planes[2 * ago + 1]
        if ago > len(moves):
            assert not own.any() and not other.any()
            continue
        earlier = steps if ago == 0 else steps[: moves[-ago]]
        stones = np.array(list(replay(position_code(size, to_move, earlier), "g").board.stones)).reshape(size, size)
        assert np.array_equal(own, stones == to_move) and np.array_equal(other, stones == 3 - to_move)
    assert (planes[16] == (to_move == BLACK)).all()


def test_small_position_by_hand():
    # White A5, then Black B5 and A3; Black to move again. A4 takes, and A5's chain has one liberty.
    steps = [KIND * (MOVE + colour) + point for colour, point in ((WHITE, 0), (BLACK, 1), (WHITE, 24), (BLACK, 10))]
    planes = alphago48(replay(position_code(5, BLACK, steps), "g"))
    assert planes.shape == (48, 5, 5) and planes.dtype == np.uint8
    assert np.argwhere(planes[0]).tolist() == [[0, 1], [2, 0]]
    assert np.argwhere(planes[1]).tolist() == [[0, 0], [4, 4]]
    assert [np.argwhere(planes[4 + k]).tolist() for k in range(4)] == [[[2, 0]], [[4, 4]], [[0, 1]], [[0, 0]]]
    assert planes[12, 0, 0] == 1 and planes[13, 0, 1] == 1 and planes[14, 2, 0] == 1 and planes[13, 4, 4] == 1
    assert np.argwhere(planes[20]).tolist() == [[1, 0]] and not planes[21:28].any()
    # After A4 the corner is empty again: A5, B4 are the liberties of A4 and A3, and B3, A2.
    assert planes[36 + 3, 1, 0] == 1
    assert not planes[28:36].any()
    assert planes[46].sum() == 21
    assert planes[44, 3, 4] == 1 and planes[44, 4, 3] == 1  # White's stone in the corner has nowhere to go


def test_one_of_more_than_eight_is_the_last_plane():
    steps = [KIND * BLACK + point for point in range(5, 10)] + [KIND * WHITE + 0]
    planes = alphago48(replay(position_code(5, WHITE, steps), "g"))
    assert planes[12 + 7, 1].all()  # five stones in a row with nine liberties
    assert planes[4 + 7, 1].all()  # stones that were set up are old


def test_self_atari_counts_the_chain():
    #  X X . O .      Black C5 makes a chain of three with one liberty, C4, unless White holds it: then it is suicide.
    #  O O . O .
    steps = [KIND * colour + point for colour, points in ((1, (0, 1)), (2, (3, 5, 6, 8))) for point in points]
    planes = alphago48(replay(position_code(5, BLACK, steps), "g"))
    assert number(planes[28:36])[2] == 3
    assert number(planes[36:44])[2] == 1


@pytest.mark.parametrize(
    ("rows", "point", "eye"),
    [
        ((".X...", "XX...", ".....", ".....", "....."), 0, True),
        ((".X...", "XO...", ".....", ".....", "....."), 0, False),
        ((".X...", "X....", ".....", ".....", "....."), 0, True),
        ((".X...", ".X...", ".....", ".....", "....."), 0, False),
        (("X.X..", "XXX..", ".....", ".....", "....."), 1, True),
        (("X.X..", "OXX..", ".....", ".....", "....."), 1, False),
        ((".....", ".OXX.", ".X.X.", ".XXX.", "....."), 12, True),
        ((".....", ".OXO.", ".X.X.", ".XXX.", "....."), 12, False),
        ((".....", "..X..", ".X.O.", "..X..", "....."), 12, False),
    ],
)
def test_eyes_are_told_from_false_ones(rows, point, eye):
    board = Board(5)
    board.stones[:] = bytes(".XO".index(sign) for sign in "".join(rows))
    assert fills_eye(board, BLACK, point) == eye


def test_number_of_planes_is_what_the_table_says():
    code = random_code(3, size=9)
    for name, features in FEATURES.items():
        planes = features.compute(replay(code, "g"))
        assert planes.shape == (features.num_planes, 9, 9) and planes.dtype == np.uint8, name
        assert planes.max() <= 1
