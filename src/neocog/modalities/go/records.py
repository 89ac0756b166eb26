"""From a parsed record to the steps of a game: board size, stones set up, moves and passes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.go.game import FREE_MOVE, KIND, MAX_STEPS, MOVE, position_code, replay
from neocog.modalities.go.rules import BLACK, EMPTY, MAX_SIZE, MIN_SIZE, WHITE
from neocog.modalities.go.sgf import DamagedGameError, Node, parse_sgf

__all__ = ["Game", "UnplayableGame", "allows_suicide", "game_of", "last_position", "playable_games", "read_games"]

SETUP = {"AE": EMPTY, "AB": BLACK, "AW": WHITE}
MOVES = {"B": BLACK, "W": WHITE}
SUICIDE = re.compile(r"nz|newzealand|tromptaylor|tt$|goe|ing|.*sui1")
"""The beginnings of the names of rules that allow suicide, in small letters and digits: New Zealand's, Tromp and
Taylor's, and Ing's, whose name in SGF is GOE; KataGo writes `...sui1`."""
PASS_SIZE = 19  # up to which older records write a pass as tt, a point off the board
PLAYERS = {"B": BLACK, "BLACK": BLACK, "1": BLACK, "W": WHITE, "WHITE": WHITE, "2": WHITE}


@dataclass(frozen=True, slots=True)
class Game:
    """One game: its board, its steps as in `neocog.modalities.go.game`, and the colour to move after them."""

    size: int
    steps: NDArray[np.int16]
    to_move: int

    def moves(self) -> NDArray[np.int64]:
        """Which steps are moves, passes among them, and not stones that were set up; (M,)."""
        return np.flatnonzero(self.steps // KIND > MOVE)


@dataclass(frozen=True, slots=True)
class UnplayableGame:
    """A game that can't be replayed from its record: why, and how many moves, passes among them, its main line has.

    In a damaged file, the moves before the damage are counted.
    """

    reason: str
    num_moves: int


def playable_games(content: bytes, where: str) -> list[Game | UnplayableGame]:
    """The games of an SGF file in their order, those that can't be replayed with the reason.

    These are games with an illegal move, a point off the board, a chain set up without a liberty, or an unsupported
    board, and other games than Go. A damaged file counts as one such game, since the end of a game is not known in it.
    Raises DataError for a file that is too large.
    """
    try:
        trees = named_trees(content, where)
    except DamagedGameError as error:
        return [UnplayableGame(str(error), num_moves(error.nodes))]
    games: list[Game | UnplayableGame] = []
    for nodes, place in trees:
        try:
            game = game_of(nodes, place)
            replay(position_code(game.size, BLACK, game.steps), place)
            games.append(game)
        except DataError as error:
            games.append(UnplayableGame(str(error), num_moves(nodes)))
    return games


def named_trees(content: bytes, where: str) -> list[tuple[list[Node], str]]:
    """The main line of each game, and its name in messages."""
    trees = parse_sgf(content, where)
    return [(nodes, f"{where}, game {k}" if len(trees) > 1 else where) for k, nodes in enumerate(trees, 1)]


def num_moves(nodes: list[Node]) -> int:
    """The number of moves in these nodes, legal or not, with passes."""
    return sum(len(node.get(name, [])) for node in nodes for name in MOVES)


def read_games(content: bytes, where: str) -> list[Game]:
    """All games of an SGF file. Raises DataError for a damaged file, another game than Go, or a point off the board."""
    return [game_of(nodes, place) for nodes, place in named_trees(content, where)]


def last_position(content: bytes, where: str) -> NDArray[np.int16]:
    """The position at the end of a record, with the colour to move. Raises DataError for several games."""
    game, *others = read_games(content, where)
    if others:
        received = f"{len(others) + 1} games"
        raise DataError("A position comes from one game.", received=received, where=where, fix="Give one of them.")
    return position_code(game.size, game.to_move, game.steps)


def game_of(nodes: list[Node], where: str) -> Game:
    """The game of a main line. The legality of moves is not checked here."""
    size = board_size(nodes[0], where)
    steps: list[int] = []
    rules = next((node["RU"][0] for node in nodes if "RU" in node), "")
    move = FREE_MOVE if allows_suicide(rules) else MOVE
    to_move, num_played = BLACK, 0
    for node in nodes:
        for name, colour in SETUP.items():
            points = islice(stones(node.get(name, []), size, f"{where}, {name}"), MAX_STEPS + 1)
            steps += [KIND * colour + point for point in points]
        if "AB" in node and "AW" not in node:
            to_move = WHITE  # a handicap
        for name in node:
            if name in MOVES:
                for value in node[name]:
                    num_played += 1
                    colour, passes = MOVES[name], value == "" or (value == "tt" and size <= PASS_SIZE)
                    point = size * size if passes else board_point(value, size, f"{where}, move {num_played}")
                    steps.append(KIND * (move + colour) + point)
                    to_move = 3 - colour
        to_move = PLAYERS.get(node.get("PL", [""])[0].upper(), to_move)
        if len(steps) > MAX_STEPS:
            raise DataError(f"A game has at most {MAX_STEPS:,} moves.", received="more", where=where, fix="Remove it.")
    return Game(size, np.array(steps, np.int16), to_move)


def allows_suicide(rules: str) -> bool:
    """Whether these rules, as the property RU names them, allow the own chain to be taken off by a move.

    >>> [allows_suicide(rules) for rules in ("NZ", "New Zealand", "Tromp-Taylor", "GOE", "Japanese", "AGA", "")]
    [True, True, True, True, False, False, False]
    """
    return bool(SUICIDE.match(re.sub(r"[^a-z0-9]", "", rules.lower())))


def board_size(root: Node, where: str) -> int:
    """The size of a game's board; 19 if the record does not say."""
    if root.get("GM", ["1"])[0] != "1":
        received = f"GM[{root['GM'][0][:20]}]"
        raise DataError("Records must be of Go, GM[1].", received=received, where=where, fix="Remove it.")
    value = root.get("SZ", ["19"])[0]
    sides = [int(side) for side in value.split(":") if side.isdecimal() and len(side) < 4]
    if len(sides) != value.count(":") + 1 or len(set(sides)) != 1 or not MIN_SIZE <= sides[0] <= MAX_SIZE:
        rule = f"Boards must be square, {MIN_SIZE} to {MAX_SIZE} points wide."
        raise DataError(rule, received=f"SZ[{value[:20]}]", where=where, fix="Remove it.")
    return sides[0]


def stones(values: list[str], size: int, where: str) -> Iterator[int]:
    """The points of a list, in which `aa:cc` means all points of a rectangle."""
    for value in values:
        first, _, last = value.partition(":")
        start, stop = (board_point(corner, size, where) for corner in (first, last or first))
        for row in range(start // size, stop // size + 1):
            yield from (row * size + column for column in range(start % size, stop % size + 1))


def board_point(value: str, size: int, where: str) -> int:
    """A point from two letters: column and row, a for the first."""
    places = [ord(letter) - ord("a") for letter in value]
    if len(places) != 2 or not all(0 <= place < size for place in places):
        rule = f"Points must lie on the board, which has {size} x {size}."
        raise DataError(rule, received=f"[{value[:20]}]", where=where, fix="Fix or remove it.")
    return places[1] * size + places[0]
