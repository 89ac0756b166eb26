"""A game of Go in progress: its moves, the boards that they led to, and taking them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.go.game import KIND, MOVE, colour_of, position_code
from neocog.modalities.go.records import read_games
from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, IllegalMoveError

__all__ = ["GoGame", "Move"]

LETTERS = "abcdefghijklmnopqrstuvwxy"


@dataclass(frozen=True, slots=True)
class Move:
    """A stone on a point, row * size + column from the upper left; size * size is a pass."""

    colour: int
    point: int


class GoGame:
    """Stones set up before the first move, and the moves since then.

    A colour may move twice in a row, as the Go Text Protocol has it. Suicide is illegal, and so is retaking a ko at
    once; other repetitions are legal, and `repeats` tells them.

    >>> game = GoGame(9)
    >>> taken = game.play(BLACK, 40)
    >>> game.to_move == WHITE, game.undo(), game.to_move == BLACK
    (True, Move(colour=1, point=40), True)
    """

    def __init__(self, size: int, komi: float = 6.5) -> None:
        """`komi` are the points that White gets for moving second."""
        self.size, self.komi = size, komi
        self.setup: list[int] = []
        """Steps as in `neocog.modalities.go.game` that set stones up."""
        self.moves: list[Move] = []
        self.boards = [Board(size)]
        """The board at the start, and after each move."""

    @property
    def board(self) -> Board:
        return self.boards[-1]

    @property
    def passing(self) -> int:
        """The point that stands for a pass."""
        return self.size**2

    @property
    def to_move(self) -> int:
        """The other colour than that of the last move; at first Black, or White if Black has a handicap."""
        if self.moves:
            return 3 - self.moves[-1].colour
        kinds = {step // KIND for step in self.setup}
        return WHITE if kinds == {BLACK} else BLACK

    @property
    def num_passes(self) -> int:
        """How many of the last moves were passes."""
        count = 0
        while count < len(self.moves) and self.moves[-1 - count].point == self.passing:
            count += 1
        return count

    @property
    def is_over(self) -> bool:
        """Whether both have passed, one after the other."""
        return self.num_passes >= 2

    @property
    def last(self) -> Move | None:
        return self.moves[-1] if self.moves else None

    def set_up(self, points: Sequence[int], colour: int = BLACK) -> None:
        """Place stones before the first move, such as a handicap. Raises ValueError if there was a move."""
        if self.moves:
            raise ValueError("stones are set up before the first move")
        for point in points:
            self.setup.append(KIND * colour + point)
            self.board.stones[point] = colour

    def play(self, colour: int, point: int) -> set[int]:
        """Make a move or pass; the stones that it takes. Raises IllegalMoveError, and leaves the game as it was."""
        board, taken = self.board.copy(), set[int]()
        if point == self.passing:
            board.pass_move()
        else:
            taken = board.play(colour, point)
        self.boards.append(board)
        self.moves.append(Move(colour, point))
        return taken

    def undo(self) -> Move:
        """Take the last move back. Raises ValueError if there is none."""
        if not self.moves:
            raise ValueError("there is no move to take back")
        self.boards.pop()
        return self.moves.pop()

    def is_legal(self, colour: int, point: int) -> bool:
        """Whether the rules allow a move; passing always is."""
        return point == self.passing or self.board.is_legal(colour, point)

    def repeats(self, colour: int, point: int) -> bool:
        """Whether a legal move would bring back a whole board that has been there before (positional superko)."""
        if point == self.passing:
            return False
        after = self.board.copy()
        if not after.play(colour, point):
            return False  # the board has a stone more than before; only captures can lead back
        return any(board.stones == after.stones for board in self.boards)

    def position(self, colour: int) -> NDArray[np.int16]:
        """The position with a colour to move, as `BoardPreprocess` takes it."""
        steps = [KIND * (MOVE + move.colour) + move.point for move in self.moves]
        return position_code(self.size, colour, [*self.setup, *steps])

    def captures(self, colour: int) -> int:
        """The number of stones of the other colour that a colour has taken."""
        own = sum(step // KIND == 3 - colour for step in self.setup)
        played = sum(move.colour == 3 - colour and move.point != self.passing for move in self.moves)
        return own + played - sum(stone == 3 - colour for stone in self.board.stones)

    @classmethod
    def load(cls, path: Path, most_moves: int | None = None) -> Self:
        """The first game of an SGF file, or its first moves.

        Raises DataError for a file that is not one, an illegal move, or stones that are set up between moves.
        """
        try:
            record = read_games(path.read_bytes(), str(path))[0]
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror or error}.", fix="Check the path.") from error
        game = cls(record.size)
        for step in record.steps.tolist():
            kind, point = divmod(step, KIND)
            if most_moves is not None and len(game.moves) >= most_moves:
                break
            try:
                if kind > MOVE:
                    game.play(colour_of(step), point)
                elif kind == EMPTY:
                    raise ValueError("a point is emptied")
                else:
                    game.set_up([point], kind)
            except (ValueError, IllegalMoveError) as error:
                raise DataError("Moves must be legal, and stones set up before them.", received=str(error),
                                where=f"{path}, move {len(game.moves) + 1}") from error  # fmt: skip
        return game

    def to_sgf(self, *, black: str = "", white: str = "", result: str = "") -> str:
        """The game as a record; `result` such as B+3.5 or W+R."""
        komi = f"{self.komi:g}"
        head = {"GM": "1", "FF": "4", "CA": "UTF-8", "SZ": str(self.size), "KM": komi, "RU": "Chinese",
                "PB": black, "PW": white, "RE": result}  # fmt: skip
        text = "".join(f"{name}[{escape(value)}]" for name, value in head.items() if value)
        for colour, name in ((BLACK, "AB"), (WHITE, "AW")):
            points = [step % KIND for step in self.setup if step // KIND == colour]
            if points:
                text += f"HA[{len(points)}]" if name == "AB" and len(points) > 1 else ""
                text += name + "".join(f"[{self.letters(point)}]" for point in points)
        moves = "".join(f";{'BW'[move.colour - 1]}[{self.letters(move.point)}]" for move in self.moves)
        return f"(;{text}\n{moves})\n"

    def letters(self, point: int) -> str:
        """A point as SGF writes it, column then row; a pass is empty."""
        return "" if point == self.passing else LETTERS[point % self.size] + LETTERS[point // self.size]


def escape(text: str) -> str:
    """A text as the value of a property."""
    return text.replace("\\", "\\\\").replace("]", "\\]")
