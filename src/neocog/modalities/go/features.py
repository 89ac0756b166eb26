"""A position of Go as planes of zeros and ones for a network, as published.

`zero17`, the 17 planes of AlphaGo Zero:

| planes | content                                                              |
|--------|----------------------------------------------------------------------|
| 0..15  | own stones and the opponent's, now; the same one move ago; ... seven |
| 16     | ones where Black is to move, zeros where White is                    |

`alphago48`, the 48 planes of AlphaGo's policy network. A number from 1 to 8 is a one in one of eight planes, of which
the last means 8 or more; the effects of a move are shown where it is legal.

| planes | content                                                       |
|--------|---------------------------------------------------------------|
| 0..2   | own stones, the opponent's stones, empty points               |
| 3      | ones, so that the board's edge can be told from the padding   |
| 4..11  | moves since the stone was played, 1 for the last              |
| 12..19 | liberties of the stone's chain                                |
| 20..27 | opponent's stones that a move here would take                 |
| 28..35 | stones of the own chain that a move here would put into atari |
| 36..43 | liberties of the own chain after a move here                  |
| 44     | a move here takes a chain in a ladder                         |
| 45     | a move here saves a chain from a ladder                       |
| 46     | a move here is legal and does not fill an own eye             |
| 47     | zeros                                                         |

Source: Silver et al. 2017, Methods, "Neural network architecture"; Silver et al. 2016, extended data table 2.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.go.game import HISTORY, Position
from neocog.modalities.go.ladders import ladder_captures, ladder_escapes, ways_out
from neocog.modalities.go.rules import BLACK, EMPTY, Board, fills_eye

__all__ = ["FEATURES", "FeatureSet", "Features", "alphago48", "zero17"]

FeatureSet = Literal["zero17", "alphago48"]
Planes = NDArray[np.uint8]
NUM_VALUES = 8


def zero17(position: Position) -> Planes:
    """The 17 planes of AlphaGo Zero; (17, S, S)."""
    size, own = position.board.size, position.to_move
    planes = np.zeros((2 * HISTORY + 1, size * size), np.uint8)
    for ago, stones in enumerate(position.history):
        there = np.frombuffer(stones, np.uint8)
        planes[2 * ago], planes[2 * ago + 1] = there == own, there == 3 - own
    planes[-1] = own == BLACK
    return planes.reshape(-1, size, size)


class Chain(NamedTuple):
    """Connected stones, and the empty points beside them."""

    colour: int
    stones: set[int]
    liberties: set[int]


class Outcome(NamedTuple):
    """The effect of a legal move: stones that it takes, stones and liberties of the chain that it belongs to."""

    taken: int
    stones: int
    liberties: int


def alphago48(position: Position) -> Planes:
    """The 48 planes of AlphaGo's policy network; (48, S, S)."""
    board, own = position.board, position.to_move
    chains = all_chains(board)
    there = np.frombuffer(bytes(board.stones), np.uint8)
    planes = np.zeros((48, board.size**2), np.uint8)
    planes[0], planes[1], planes[2], planes[3] = there == own, there == 3 - own, there == EMPTY, 1
    liberties, taken, atari, after = np.zeros((4, board.size**2), np.int64)
    for point, joined in chains.items():
        liberties[point] = len(joined.liberties)
    for point, outcome in outcomes(board, own, chains):
        taken[point], after[point] = outcome.taken, outcome.liberties
        atari[point] = outcome.stones if outcome.liberties == 1 else 0
        planes[46, point] = not fills_eye(board, own, point)
    for start, values in ((4, position.ages), (12, liberties), (20, taken), (28, atari), (36, after)):
        planes[start : start + NUM_VALUES] = np.minimum(values, NUM_VALUES) == np.arange(1, NUM_VALUES + 1)[:, None]
    for plane, point in ladders(board, own, chains):
        planes[plane, point] = after[point] > 0
    return planes.reshape(-1, board.size, board.size)


def all_chains(board: Board) -> dict[int, Chain]:
    """The chain at each point that holds a stone."""
    chains: dict[int, Chain] = {}
    for point, colour in enumerate(board.stones):
        if colour != EMPTY and point not in chains:
            joined = Chain(colour, *board.chain(point))
            chains.update(dict.fromkeys(joined.stones, joined))
    return chains


def outcomes(board: Board, own: int, chains: dict[int, Chain]) -> Iterator[tuple[int, Outcome]]:
    """All legal moves of a colour, and the effect of each, from the chains alone: no move is played."""
    for point, colour in enumerate(board.stones):
        if colour != EMPTY or point == board.ko:
            continue
        stones, liberties, taken = {point}, set[int](), set[int]()
        for beside in board.near[point]:
            joined = chains.get(beside)
            if joined is None:
                liberties.add(beside)
            elif joined.colour == own:
                stones |= joined.stones
                liberties |= joined.liberties
            elif len(joined.liberties) == 1:
                taken |= joined.stones
        liberties.discard(point)
        liberties.update(place for place in taken if not stones.isdisjoint(board.near[place]))
        if liberties:  # else it is suicide
            yield point, Outcome(len(taken), len(stones), len(liberties))


def ladders(board: Board, own: int, chains: dict[int, Chain]) -> Iterator[tuple[int, int]]:
    """The plane, 44 or 45, and the point of each move that takes or saves a chain."""
    for joined in {id(joined): joined for joined in chains.values()}.values():
        prey = min(joined.stones)
        if joined.colour != own and len(joined.liberties) == 2:
            yield from ((44, point) for point in sorted(joined.liberties) if ladder_captures(board, prey, point))
        elif joined.colour == own and len(joined.liberties) == 1:
            yield from ((45, point) for point in ways_out(board, prey) if ladder_escapes(board, prey, point))


class Features(NamedTuple):
    """A set of planes: how many there are, and how they come from a position."""

    num_planes: int
    compute: Callable[[Position], Planes]


FEATURES: dict[FeatureSet, Features] = {"zero17": Features(17, zero17), "alphago48": Features(48, alphago48)}
