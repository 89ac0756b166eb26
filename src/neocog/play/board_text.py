"""A board in characters."""

from collections.abc import Mapping

from neocog.modalities.go.rules import LETTERS
from neocog.play.game import GoGame

__all__ = ["board_text"]

SIGNS = ".XO"  # empty, Black, White
STARS = {9: (2, 4, 6), 13: (3, 6, 9), 19: (3, 9, 15)}


def board_text(game: GoGame, marks: Mapping[int, str] | None = None) -> str:
    """The board with coordinates: X Black, O White, the last move in brackets, `marks` on empty points.

    >>> game = GoGame(5)
    >>> _ = game.play(1, 7)
    >>> print(board_text(game, {12: "1"}))
        A B C D E
      5 . . . . . 5
      4 . .(X). . 4
      3 . . 1 . . 3
      2 . . . . . 2
      1 . . . . . 1
        A B C D E
    """
    size, marked = game.size, marks or {}
    names = "    " + " ".join(LETTERS[:size])
    last = game.last.point if game.last else -1
    stars = STARS.get(size, ())
    lines = [names]
    for row in range(size):
        line = ""
        for column in range(size):
            point = row * size + column
            stone = game.board.stones[point]
            empty = marked.get(point, "+" if row in stars and column in stars else ".")
            before = ")" if last == point - 1 and column and stone_at(game, last) else " "
            before = "(" if point == last and stone else before
            line += before + (SIGNS[stone] if stone else empty)
        line += ")" if last == row * size + size - 1 and stone_at(game, last) else " "
        lines.append(f" {size - row:2}{line}{size - row}")
    return "\n".join([*lines, names])


def stone_at(game: GoGame, point: int) -> int:
    """The colour at a point of the board."""
    return game.board.stones[point]
