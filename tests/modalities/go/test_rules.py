import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from neocog.errors import DataError
from neocog.modalities.go.game import KIND, MAX_STEPS, MOVE, position_code, replay
from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, IllegalMoveError, diagonals, neighbours, point_name

CROSS = ndimage.generate_binary_structure(2, 1)


def chains_of(grid, colour):
    """Each chain of a colour as a mask, and its liberties as a mask; by labelled regions, not by search."""
    labels, count = ndimage.label(grid == colour, CROSS)
    for k in range(1, count + 1):
        members = labels == k
        yield members, ndimage.binary_dilation(members, CROSS) & (grid == EMPTY)


def played(grid, colour, point, *, suicide=False):
    """The board after a move by the letter of the rules, or None if it is occupied, or suicide that is forbidden."""
    row, column = divmod(point, len(grid))
    if grid[row, column] != EMPTY:
        return None
    after = grid.copy()
    after[row, column] = colour
    for removed in (3 - colour, colour):
        dead = [members for members, liberties in chains_of(after, removed) if not liberties.any()]
        if removed == colour and dead and not suicide:
            return None
        for members in dead:
            after[members] = EMPTY
    return after


def grid_of(board):
    return np.frombuffer(bytes(board.stones), np.uint8).reshape(board.size, board.size)


def board_of(rows):
    """A board as drawn: X Black, O White, . empty."""
    board = Board(len(rows))
    board.stones[:] = bytes(".XO".index(sign) for sign in "".join(rows))
    return board


@given(st.integers(5, 7), st.lists(st.tuples(st.integers(1, 2), st.integers(0, 48)), max_size=120))
def test_moves_do_what_the_rules_say(size, moves):
    board, earlier = Board(size), None
    for colour, number in moves:
        point, grid = number % size**2, grid_of(board).copy()
        after = played(grid, colour, point)
        repeats = after is not None and earlier is not None and board.ko == point and np.array_equal(after, earlier)
        if after is None or repeats:
            with pytest.raises(IllegalMoveError):
                board.play(colour, point)
            assert np.array_equal(grid_of(board), grid)
            continue
        taken = board.play(colour, point)
        assert np.array_equal(grid_of(board), after)
        assert taken == set(np.flatnonzero((grid != EMPTY) & (after == EMPTY)).tolist())
        earlier = grid
        for stone in np.flatnonzero(after):
            members, liberties = board.chain(int(stone))
            row, column = divmod(int(stone), size)
            expected = [found for found in chains_of(after, after[row, column]) if found[0][row, column]]
            assert members == set(np.flatnonzero(expected[0][0]).tolist())
            assert liberties == set(np.flatnonzero(expected[0][1]).tolist())


@given(st.integers(0, 2**32))
def test_ko_is_where_the_next_move_would_bring_the_position_back(seed):
    """In a random game, the point that is forbidden is the only one from which the last position would return."""
    draw, board, colour = random.Random(seed), Board(5), BLACK
    for _ in range(60):
        before = grid_of(board).copy()
        point = draw.randrange(25)
        try:
            board.play(colour, point)
        except IllegalMoveError:
            continue
        colour = 3 - colour
        grid = grid_of(board)
        back = [
            p for p in range(25) if (after := played(grid, colour, p)) is not None and np.array_equal(after, before)
        ]
        assert back == ([board.ko] if board.ko >= 0 else [])


@given(st.booleans(), st.lists(st.tuples(st.integers(1, 2), st.integers(0, 24)), max_size=200))
def test_suicide_is_executed_as_the_rules_say_where_it_is_allowed(alternate, moves):
    board = Board(5)
    for k, (drawn, point) in enumerate(moves):
        colour = k % 2 + 1 if alternate else drawn
        grid = grid_of(board).copy()
        after = played(grid, colour, point, suicide=True)
        ko = board.ko == point and colour not in grid.flat[list(board.near[point])]
        if after is None or ko:
            with pytest.raises(IllegalMoveError):
                board.play(colour, point, suicide=True)
            assert np.array_equal(grid_of(board), grid)
            continue
        taken = board.play(colour, point, suicide=True)
        assert np.array_equal(grid_of(board), after)
        before = grid.copy()
        before.flat[point] = colour
        assert taken == set(np.flatnonzero((before != EMPTY) & (after == EMPTY)).tolist())


def test_own_chain_is_taken_off_by_suicide_and_no_ko_follows():
    board = board_of((".XO..", "XXO..", "OO...", ".....", "....."))
    assert board.play(BLACK, 0, suicide=True) == {0, 1, 5, 6}
    assert not any(board.stones[point] for point in (0, 1, 5, 6)) and board.ko == -1
    board = board_of((".O...", "O....", ".....", ".....", "....."))
    assert board.play(BLACK, 0, suicide=True) == {0} and board.ko == -1


def test_ko_may_be_filled_by_who_took_it():
    board = board_of(KO)
    board.play(BLACK, 7)
    assert board.play(BLACK, 6) == set() and board.stones[6] == BLACK


KO = (
    ".XO..",
    "XO.O.",
    ".XO..",
    ".....",
    ".....",
)


def test_ko_is_not_taken_back_at_once_but_later():
    board = board_of(KO)
    assert board.play(BLACK, 7) == {6}
    with pytest.raises(IllegalMoveError, match="takes a ko back at once"):
        board.play(WHITE, 6)
    board.play(WHITE, 24)
    board.play(BLACK, 20)
    assert board.play(WHITE, 6) == {7}
    board = board_of(KO)
    board.play(BLACK, 7)
    board.pass_move()
    assert board.ko == -1


def test_two_stones_may_be_taken_back():
    board = board_of((".XXO.", "XOO.O", ".XXO.", ".....", "....."))
    assert board.play(BLACK, 8) == {6, 7}
    assert board.ko == -1
    assert board.play(WHITE, 7) == {8}


@pytest.mark.parametrize(
    ("point", "message"), [(1, "there is a stone already"), (0, "the stone would have no liberty")]
)
def test_illegal_move_says_why(point, message):
    board = board_of((".O...", "O....", ".....", ".....", "....."))
    with pytest.raises(IllegalMoveError, match=message):
        board.play(BLACK, point)
    assert board.play(WHITE, 0) == set()


def test_copy_is_its_own():
    board = board_of(KO)
    twin = board.copy()
    twin.play(BLACK, 7)
    assert board.stones[6] == WHITE and board.ko == -1 and twin.ko == 6


def test_points_have_their_names_and_neighbours():
    names = [point_name(point, 19) for point in range(361)]
    assert (names[0], names[8], names[18], names[342], names[360]) == ("A19", "J19", "T19", "A1", "T1")
    assert len(set(names)) == 361
    assert not any("I" in name for name in names)
    assert point_name(624, 25) == "Z1"
    assert [len(beside) for beside in neighbours(5)[:6]] == [2, 3, 3, 3, 2, 3]
    assert set(neighbours(5)[12]) == {7, 11, 13, 17}
    assert set(diagonals(5)[12]) == {6, 8, 16, 18} and diagonals(5)[0] == (6,)


def move(colour, point):
    return KIND * (MOVE + colour) + point


def test_replay_remembers_eight_positions_and_the_ages_of_stones():
    steps = [move(BLACK if i % 2 == 0 else WHITE, 9 * i) for i in range(9)]
    position = replay(position_code(9, WHITE, steps), "a game")
    assert len(position.history) == 8 and position.to_move == WHITE
    assert [sum(stone != 0 for stone in stones) for stones in position.history] == [9, 8, 7, 6, 5, 4, 3, 2]
    assert [int(position.ages[9 * i]) for i in range(9)] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert position.ages.sum() == 45


def test_passes_age_stones_and_lift_a_ko():
    board = board_of(KO)
    setup = [KIND * colour + point for point, colour in enumerate(board.stones) if colour]
    ko = [*setup, move(BLACK, 7)]
    with pytest.raises(
        DataError, match=r"Moves must be legal. .*received move 2, White B4: this takes a ko back at once"
    ):
        replay(position_code(5, BLACK, [*ko, move(WHITE, 6)]), "g.sgf")
    position = replay(position_code(5, BLACK, [*ko, move(WHITE, 25), move(BLACK, 25), move(WHITE, 6)]), "g.sgf")
    assert position.board.stones[7] == EMPTY and position.ages[6] == 1
    assert position.ages[1] > 1000 and position.ages[7] == 0


def test_setup_changes_the_board_and_is_not_a_move():
    steps = [KIND * BLACK + 12, move(WHITE, 0), KIND * EMPTY + 12, KIND * WHITE + 6]
    position = replay(position_code(5, BLACK, steps), "g.sgf")
    assert [point for point, stone in enumerate(position.board.stones) if stone] == [0, 6]
    assert len(position.history) == 2
    assert list(position.history[1]) == [BLACK if point == 12 else EMPTY for point in range(25)]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (
            [move(BLACK, 3), move(WHITE, 3)],
            "g.sgf: received move 2, White D5: there is a stone already. Fix or remove it",
        ),
        ([KIND * 1 + 0, KIND * 2 + 1, KIND * 2 + 5], "g.sgf: received a chain without one at A5, set up before move 1"),
        ([KIND * 1 + 0, KIND * 2 + 1, KIND * 2 + 5, move(BLACK, 9)], "without one at A5, set up before move 1"),
    ],
)
def test_illegal_game_is_named_with_its_move(steps, message):
    with pytest.raises(DataError, match=message):
        replay(position_code(5, BLACK, steps), "g.sgf")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (np.zeros(5, np.int64), "row of 16-bit integers.*received int64"),
        (np.zeros((2, 5), np.int16), r"p: received int16 \(2, 5\)"),
        (np.zeros(1, np.int16), r"received int16 \(1,\)"),
        (np.zeros(MAX_STEPS + 3, np.int16), "received int16"),
        (np.array([4, 1], np.int16), "size from 5 to 25, a colour.*received 4, 1"),
        (np.array([9, 3], np.int16), "received 9, 3"),
        (np.array([9, 1, -1], np.int16), "received 9, 1, -1"),
        (np.array([9, 1, KIND + 81], np.int16), "points of such a board"),
        (np.array([9, 1, 3 * KIND + 82], np.int16), "points of such a board"),
        (np.array([9, 1, 5 * KIND + 82], np.int16), "points of such a board"),
        (np.array([9, 1, 7 * KIND], np.int16), "points of such a board"),
    ],
)
def test_invalid_position_is_named(code, message):
    with pytest.raises(DataError, match=message):
        replay(code, "p")


@given(st.lists(st.integers(-32768, 32767), max_size=40))
def test_any_numbers_are_a_position_or_an_error(values):
    try:
        position = replay(np.array(values, np.int16), "p")
    except DataError:
        return
    assert len(position.board.stones) == values[0] ** 2
