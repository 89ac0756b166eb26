"""A game of Go as a row of numbers, and the replay of its positions.

A position is kept as what led to it, int16: [size, colour to move, step, step, ...]. A step is 1024 * kind + point; a
step after which it was the other's turn is a move or a pass, others set up the board.

| kind | step              |
|------|-------------------|
| 0    | point made empty  |
| 1, 2 | stone set up, of Black, of White |
| 3, 4 | move of Black, of White; point size * size is a pass |
| 5, 6 | the same, under rules that allow suicide |
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.go.rules import BLACK, EMPTY, MAX_SIZE, MIN_SIZE, WHITE, Board, IllegalMoveError, point_name

__all__ = ["FREE_MOVE", "KIND", "MOVE", "Position", "colour_of", "position_code", "replay"]

KIND = 1024
MOVE = 2
"""Added to a colour, makes a step a move."""
FREE_MOVE = 4
"""The same under rules that allow suicide."""
HISTORY = 8
"""Positions that are remembered: AlphaGo Zero looks back so far."""
MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Position:
    """A board before a move, from which the features of networks are computed."""

    board: Board
    to_move: int
    history: tuple[bytes, ...]
    """The last positions of at most 8, the newest first; each (size * size,)."""
    ages: NDArray[np.int64]
    """Moves since the stone at each point was played, 1 for the last; 0 if there is none; (size * size,).

    A stone that was set up counts as old.
    """


OLD = np.iinfo(np.int64).min // 2


def position_code(size: int, to_move: int, steps: Sequence[int] | NDArray[np.int16]) -> NDArray[np.int16]:
    """A position as one array; (M,) -> (M + 2,)."""
    return np.concatenate([np.array([size, to_move], np.int16), np.asarray(steps, np.int16)])


def colour_of(step: int) -> int:
    """The colour that plays a step.

    >>> colour_of(KIND * (MOVE + WHITE) + 40) == colour_of(KIND * (FREE_MOVE + WHITE) + 40) == WHITE
    True
    """
    return (step // KIND - 1) % 2 + 1


def replay(code: NDArray[Any], where: str) -> Position:
    """The position that a row of numbers leads to.

    Raises DataError with `where` and the number of the move for an illegal move, or if it is not a position.

    >>> position = replay(position_code(9, WHITE, [KIND * (MOVE + BLACK) + 40]), "a game")
    >>> position.board.stones[40] == BLACK, int(position.ages[40]), len(position.history)
    (True, 1, 2)
    """
    size, to_move, steps = checked(code, where)
    board, played, num_moves = Board(size), np.full(size * size, OLD), 0
    history: deque[bytes] = deque(maxlen=HISTORY - 1)
    setting_up = False
    for step in steps:
        kind, point = divmod(step, KIND)
        if kind > MOVE:
            if setting_up:
                check_liberties(board, num_moves, where)
            setting_up = False
            history.appendleft(bytes(board.stones))
            play(board, step, num_moves, where)
            if point < len(played):
                played[point] = num_moves
            num_moves += 1
        else:
            setting_up = True
            board.stones[point], board.ko, played[point] = kind, -1, OLD
    if setting_up:
        check_liberties(board, num_moves, where)
    occupied = np.frombuffer(bytes(board.stones), np.uint8) != EMPTY
    return Position(board, to_move, (bytes(board.stones), *history), np.where(occupied, num_moves - played, 0))


def checked(code: NDArray[Any], where: str) -> tuple[int, int, list[int]]:
    """Size, colour to move and steps. Raises DataError if these numbers are not a position."""
    values = np.asarray(code)
    if values.ndim != 1 or values.dtype != np.int16 or not 2 <= len(values) <= MAX_STEPS + 2:
        rule = "A position of Go is a row of 16-bit integers: size, colour to move, and the steps to it."
        raise DataError(rule, received=f"{values.dtype} {values.shape}", where=where)
    size, to_move, *steps = values.tolist()
    fits = MIN_SIZE <= size <= MAX_SIZE and to_move in (BLACK, WHITE)
    if fits and steps:
        kinds, points = np.divmod(values[2:], KIND)
        fits = bool(np.all((kinds >= 0) & (kinds <= FREE_MOVE + WHITE) & (points < size * size + (kinds > MOVE))))
    if not fits:
        rule = (
            f"A position of Go is a size from {MIN_SIZE} to {MAX_SIZE}, a colour, 1 or 2, and points of such a board."
        )
        raise DataError(rule, received=f"{', '.join(map(str, values[:5].tolist()))} ...", where=where)
    return size, to_move, steps


def play(board: Board, step: int, num_moves: int, where: str) -> None:
    """One move or pass. Raises DataError if it is illegal."""
    (kind, point), colour = divmod(step, KIND), colour_of(step)
    if point == board.size**2:
        board.pass_move()
        return
    try:
        board.play(colour, point, suicide=kind > FREE_MOVE)
    except IllegalMoveError as error:
        name = f"{'Black' if colour == BLACK else 'White'} {point_name(point, board.size)}"
        received = f"move {num_moves + 1}, {name}: {error}"
        raise DataError("Moves must be legal.", received=received, where=where, fix="Fix or remove it.") from error


def check_liberties(board: Board, num_moves: int, where: str) -> None:
    """Raises DataError if stones that were set up leave a chain without a liberty."""
    todo = {point for point, colour in enumerate(board.stones) if colour != EMPTY}
    while todo:
        point = min(todo)
        members, liberties = board.chain(point)
        if not liberties:
            received = f"a chain without one at {point_name(point, board.size)}, set up before move {num_moves + 1}"
            rule = "Stones on the board must have a liberty."
            raise DataError(rule, received=received, where=where, fix="Fix or remove it.")
        todo -= members
