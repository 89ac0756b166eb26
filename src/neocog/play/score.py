"""Counting a game: area scoring, and which stones are dead.

A colour's area is its stones on the board and the empty points that only it surrounds; White gets the komi. There is no
compensation for a handicap.

Whether stones are dead is estimated by playouts: from the final position, both colours play at random, but never fill
their own eyes, until neither can move. A chain is dead if, on average over its stones and the playouts, its points end
as the opponent's area more often than as its own. Random play gets most finished positions right; it is wrong about
sekis, which it breaks up, and about stones that only skilful play would save or kill.
Source: Brügmann 1993, "Monte Carlo Go"; the Tromp-Taylor rules for areas.
"""

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from neocog.modalities.go.rules import BLACK, EMPTY, WHITE, Board, IllegalMoveError, fills_eye
from neocog.play.game import GoGame
from neocog.rng import derive_seed

__all__ = ["Score", "dead_stones", "playout", "score_board", "score_game", "win_share"]

PLAYOUTS = 200
LONGEST = 3  # moves of a playout for each point of the board


@dataclass(frozen=True, slots=True)
class Score:
    """The areas of a finished game."""

    black: int
    white: int
    komi: float
    dead: frozenset[int] = frozenset()
    """Points of the stones that were taken off before counting."""

    @property
    def margin(self) -> float:
        """The lead of Black, negative if White wins."""
        return self.black - self.white - self.komi

    @property
    def winner(self) -> int:
        """The colour that wins; EMPTY for a draw."""
        return BLACK if self.margin > 0 else WHITE if self.margin < 0 else EMPTY

    @property
    def text(self) -> str:
        """As the Go Text Protocol and SGF write it.

        >>> Score(45, 36, 6.5).text, Score(41, 40, 6.5).text, Score(43, 36, 7).text
        ('B+2.5', 'W+5.5', '0')
        """
        return f"{'BW'[self.winner - 1]}+{abs(self.margin):g}" if self.winner != EMPTY else "0"


def score_game(game: GoGame, *, playouts: int = PLAYOUTS, seed: int = 0) -> Score:
    """Areas without the dead stones; with 0 playouts all stones count as alive.

    >>> game = GoGame(9, komi=6.5)
    >>> _ = game.play(BLACK, 40)
    >>> score_game(game, playouts=0).text
    'B+74.5'
    """
    dead = dead_stones(game.board, game.to_move, playouts=playouts, seed=seed) if playouts else frozenset[int]()
    board = game.board.copy()
    for point in dead:
        board.stones[point] = EMPTY
    return score_board(board, game.komi, dead)


def score_board(board: Board, komi: float = 0.0, dead: frozenset[int] = frozenset()) -> Score:
    """The areas of a board as it is; `dead` is only kept."""
    owners = areas(board)
    return Score(owners.count(BLACK), owners.count(WHITE), komi, dead)


def areas(board: Board) -> list[int]:
    """Of each point the colour whose area it is, EMPTY for points between both; (S * S,)."""
    owners = list(board.stones)
    done = set[int]()
    for start, stone in enumerate(board.stones):
        if stone != EMPTY or start in done:
            continue
        region, todo, borders = {start}, [start], set[int]()
        while todo:
            for beside in board.near[todo.pop()]:
                colour = board.stones[beside]
                if colour != EMPTY:
                    borders.add(colour)
                elif beside not in region:
                    region.add(beside)
                    todo.append(beside)
        done |= region
        if len(borders) == 1:
            (owner,) = borders
            for point in region:
                owners[point] = owner
    return owners


def playout(board: Board, colour: int, draw: Random) -> Board:
    """The board after both have played at random, `colour` first, until neither can move without filling an eye."""
    board = board.copy()
    empty = [point for point, stone in enumerate(board.stones) if stone == EMPTY]
    passes = 0
    for _ in range(LONGEST * board.size**2):
        left = len(empty)
        while left:
            k = int(draw.random() * left)
            point = empty[k]
            if not fills_eye(board, colour, point):
                try:
                    taken = board.play(colour, point)
                except IllegalMoveError:
                    pass
                else:
                    empty[k] = empty[-1]
                    empty.pop()
                    empty.extend(taken)
                    passes = 0
                    break
            left -= 1
            empty[k], empty[left] = empty[left], point
        else:
            board.pass_move()
            passes += 1
            if passes == 2:
                break
        colour = 3 - colour
    return board


def black_shares(board: Board, to_move: int, playouts: int, seed: int) -> NDArray[np.float64]:
    """How often each point ends as Black's area, less how often as White's, over playouts; (S * S,) in -1..1.

    Each colour moves first in half of them.
    """
    draw = Random(derive_seed(seed, "playouts"))
    total = np.zeros(board.size**2)
    for k in range(playouts):
        owners = np.array(areas(playout(board, to_move if k % 2 == 0 else 3 - to_move, draw)))
        total += (owners == BLACK).astype(float) - (owners == WHITE)
    return total / playouts


def dead_stones(board: Board, to_move: int, *, playouts: int = PLAYOUTS, seed: int = 0) -> frozenset[int]:
    """The points of stones that are dead at the end of a game, as the head of this module says."""
    shares = black_shares(board, to_move, playouts, seed)
    dead, done = set[int](), set[int]()
    for point, stone in enumerate(board.stones):
        if stone != EMPTY and point not in done:
            chain, _ = board.chain(point)
            done |= chain
            own = shares[list(chain)].mean() * (1 if stone == BLACK else -1)
            if own < 0:
                dead |= chain
    return frozenset(dead)


def win_share(game: GoGame, colour: int, *, playouts: int = PLAYOUTS, seed: int = 0) -> float:
    """The share of playouts from here, in which this colour moves next, that it wins."""
    draw = Random(derive_seed(seed, "playouts", len(game.moves)))
    ends = [score_board(playout(game.board, colour, draw), game.komi) for _ in range(playouts)]
    return sum(end.winner == colour for end in ends) / playouts
