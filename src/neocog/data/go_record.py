"""From a parsed record to the steps of a game: board size, stones set up, moves and passes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from neocog.data.go import BLACK, EMPTY, MAX_SIZE, MIN_SIZE, WHITE
from neocog.data.go_game import KIND, MAX_STEPS, MOVE, position_code
from neocog.data.go_sgf import Node, parse_sgf
from neocog.errors import DataError

__all__ = ["Game", "game_of", "last_position", "read_games"]

SETUP = {"AE": EMPTY, "AB": BLACK, "AW": WHITE}
MOVES = {"B": BLACK, "W": WHITE}
PLAYERS = {"B": BLACK, "BLACK": BLACK, "1": BLACK, "W": WHITE, "WHITE": WHITE, "2": WHITE}


@dataclass(frozen=True, slots=True)
class Game:
    """One game: its board, the steps as `go_game` writes them, and whose turn it is after them."""

    size: int
    steps: NDArray[np.int16]
    to_move: int

    def moves(self) -> NDArray[np.int64]:
        """Which steps place a stone by a move: neither set up nor a pass; (M,)."""
        kinds, points = np.divmod(self.steps, KIND)
        return np.flatnonzero((kinds > MOVE) & (points < self.size**2))


def read_games(content: bytes, where: str) -> list[Game]:
    """All games of an SGF file. Raises DataError for a damaged file, another game than Go, or a point off the board."""
    trees = parse_sgf(content, where)
    return [
        game_of(nodes, where if len(trees) == 1 else f"{where}, game {number}") for number, nodes in enumerate(trees, 1)
    ]


def last_position(content: bytes, where: str) -> NDArray[np.int16]:
    """The position at the end of a record, with the player whose turn it is. Raises DataError for several games."""
    games = read_games(content, where)
    if len(games) > 1:
        raise DataError(f"A position comes from one game. {where} holds {len(games)}. Give one of them.")
    return position_code(games[0].size, games[0].to_move, games[0].steps)


def game_of(nodes: list[Node], where: str) -> Game:
    """The game of a main line. The legality of moves is not looked at here."""
    size = board_size(nodes[0], where)
    steps: list[int] = []
    to_move, num_moves = BLACK, 0
    for node in nodes:
        for name, colour in SETUP.items():
            points = islice(stones(node.get(name, []), size, f"{where}, {name}"), MAX_STEPS + 1)
            steps += [KIND * colour + point for point in points]
        if "AB" in node and "AW" not in node:
            to_move = WHITE  # a handicap
        for name in node:
            if name in MOVES:
                for value in node[name]:
                    num_moves += 1
                    colour, place = MOVES[name], f"{where}, move {num_moves}"
                    steps.append(KIND * (MOVE + colour) + move_point(value, size, place))
                    to_move = 3 - colour
        to_move = PLAYERS.get(node.get("PL", [""])[0].upper(), to_move)
        if len(steps) > MAX_STEPS:
            raise DataError(f"A game may have at most {MAX_STEPS:,} moves. {where} has more. Remove it.")
    return Game(size, np.array(steps, np.int16), to_move)


def board_size(root: Node, where: str) -> int:
    """The size of a game's board; 19 where the record does not say."""
    if root.get("GM", ["1"])[0] != "1":
        raise DataError(f"Records must be of Go, GM[1]. Received: GM[{root['GM'][0][:20]}], in {where}. Remove it.")
    value = root.get("SZ", ["19"])[0]
    sides = [int(side) for side in value.split(":") if side.isdecimal() and len(side) < 4]
    if len(sides) != value.count(":") + 1 or len(set(sides)) != 1 or not MIN_SIZE <= sides[0] <= MAX_SIZE:
        raise DataError(
            f"Boards must be square, {MIN_SIZE} to {MAX_SIZE} points wide. Received: SZ[{value[:20]}], in {where}. "
            "Remove it."
        )
    return sides[0]


def stones(values: list[str], size: int, where: str) -> Iterator[int]:
    """The points of a list, in which `aa:cc` stands for all points of a rectangle."""
    for value in values:
        first, _, last = value.partition(":")
        start, stop = (board_point(corner, size, where) for corner in (first, last or first))
        for row in range(start // size, stop // size + 1):
            yield from (row * size + column for column in range(start % size, stop % size + 1))


def move_point(value: str, size: int, where: str) -> int:
    """The point of a move, or size * size for a pass, which older records write as a point off the board."""
    return size * size if value == "" or (value == "tt" and size <= 19) else board_point(value, size, where)


def board_point(value: str, size: int, where: str) -> int:
    """A point from two letters: column and row, a for the first."""
    places = [ord(letter) - ord("a") for letter in value]
    if len(places) != 2 or not all(0 <= place < size for place in places):
        raise DataError(
            f"Points must lie on the board, which has {size} x {size}. Received: [{value[:20]}], in {where}. "
            "Mend or remove it."
        )
    return places[1] * size + places[0]
