import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.modalities.go.ladders import ladder_captures, ladder_escapes, ways_out
from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, IllegalMoveError


def board_of(rows):
    """A board as drawn: X Black, O White, . empty."""
    board = Board(len(rows))
    board.stones[:] = bytes(".XO".index(sign) for sign in "".join(rows))
    return board


def after(board, colour, point):
    twin = board.copy()
    try:
        twin.play(colour, point)
    except IllegalMoveError:
        return None
    return twin


def is_taken(board, prey, hunting):
    """Whether a chain is taken, by the definition alone: every line of ataris and answers to its end.

    The pursuer may only give atari or take; the pursued may play anywhere at all.
    """
    owner = board.stones[prey]
    liberties = board.chain(prey)[1]
    if hunting:
        if len(liberties) > 2:
            return False
        for point in range(board.size**2):
            twin = after(board, 3 - owner, point)
            if twin is None:
                continue
            if twin.stones[prey] == EMPTY:
                return True
            if len(twin.chain(prey)[1]) == 1 and len(liberties) == 2 and is_taken(twin, prey, False):
                return True
        return False
    answers = (after(board, owner, point) for point in range(board.size**2))
    return all(is_taken(answer, prey, True) for answer in answers if answer is not None)


def random_board(seed):
    """A position of a random game, with the ko that its last move may have left, and whose turn it is."""
    draw, board, colour = random.Random(seed), Board(5), BLACK
    for _ in range(draw.randrange(5, 22)):
        twin = after(board, colour, draw.randrange(25))
        if twin is not None:
            board, colour = twin, 3 - colour
    return board, colour


@given(st.integers(0, 2**32))
def test_captures_are_those_of_every_line_played_out(seed):
    board, own = random_board(seed)
    for prey in range(25):
        liberties = board.chain(prey)[1] if board.stones[prey] == 3 - own else ()
        for point in liberties if len(liberties) == 2 else ():
            twin = after(board, own, point)
            expected = twin is not None and len(twin.chain(prey)[1]) == 1 and is_taken(twin, prey, False)
            assert ladder_captures(board, prey, point) == expected


@given(st.integers(0, 2**32))
def test_escapes_are_those_of_every_line_played_out(seed):
    board, own = random_board(seed)
    for prey in range(25):
        if board.stones[prey] == own and len(board.chain(prey)[1]) == 1:
            for point in range(25):
                twin = after(board, own, point)
                expected = twin is not None and not is_taken(twin, prey, True)
                assert (point in ways_out(board, prey) and ladder_escapes(board, prey, point)) == expected


def chase(size):
    """A white stone with two liberties, to the right and below, and the black stones of a ladder around it."""
    board = Board(size)
    for row, column in ((1, 3), (2, 2), (3, 2), (1, 4)):
        board.play(BLACK, row * size + column)
    prey = 2 * size + 3
    board.play(WHITE, prey)
    return board, prey, prey + 1, prey + size


@pytest.mark.parametrize("size", [9, 13, 19, 25])
def test_ladder_runs_across_the_board(size):
    board, prey, right, below = chase(size)
    assert ladder_captures(board, prey, right) and ladder_captures(board, prey, below)
    board.play(BLACK, right)
    assert ways_out(board, prey) == [below]
    assert not ladder_escapes(board, prey, below)


@pytest.mark.parametrize("size", [9, 13, 19, 25])
@pytest.mark.parametrize(("stone", "takes"), [(WHITE, False), (BLACK, True)])
def test_stone_in_its_way_breaks_a_ladder_if_it_is_a_friend(size, stone, takes):
    board, prey, right, below = chase(size)
    board.play(stone, (size - 3) * size + size - 3)
    assert ladder_captures(board, prey, right) == ladder_captures(board, prey, below) == takes
    board.play(BLACK, right)
    assert ladder_escapes(board, prey, below) != takes


@pytest.mark.parametrize("size", [9, 19])
def test_friend_far_from_its_way_does_not_break_a_ladder(size):
    board, prey, right, below = chase(size)
    board.play(WHITE, (size - 2) * size + 1)
    assert ladder_captures(board, prey, right) and ladder_captures(board, prey, below)


def test_chain_without_walls_is_not_taken():
    board = Board(9)
    for row, column in ((1, 3), (2, 2)):
        board.play(BLACK, row * 9 + column)
    board.play(WHITE, 2 * 9 + 3)
    assert not ladder_captures(board, 2 * 9 + 3, 2 * 9 + 4)
    board = Board(9)
    board.play(WHITE, 0)
    assert ladder_captures(board, 0, 1) and ladder_captures(board, 0, 9)  # in the corner it has nowhere to go


def test_taking_a_pursuer_is_a_way_out():
    # White's two stones have one liberty, at the right; Black's stone in the corner has one too.
    board = board_of(("XOO.X", ".XXX.", "X....", ".....", "....."))
    assert ways_out(board, 1) == [3, 5]
    assert not ladder_escapes(board, 1, 3)  # it would have no liberty
    assert not ladder_escapes(board, 1, 5)  # Black goes on from the right
    board = board_of(("..OXO", ".....", ".....", "...XX", ".X..O"))
    assert ways_out(board, 4) == [8, 9]
    assert ladder_escapes(board, 4, 8)  # it takes Black's stone beside the corner
    assert not ladder_escapes(board, 4, 9)
