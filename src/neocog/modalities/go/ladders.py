"""Ladders: a chain that is in atari after each of its moves, until it is taken or gets free.

A bounded search over both sides' forcing moves. If the bound is reached, the chain counts as free.
Source: Silver et al. 2016, extended data table 2, "Ladder capture" and "Ladder escape".
"""

from neocog.modalities.go.rules import Board, IllegalMoveError

__all__ = ["ladder_captures", "ladder_escapes", "ways_out"]

MAX_NODES = 500
"""Boards that are looked at for one move: a ladder across a 19x19 board takes about 100."""
MAX_DEPTH = 150
"""Moves that are read ahead: a ladder across a 25x25 board has about 100."""


class Search:
    """One search: how many boards it may still look at."""

    def __init__(self) -> None:
        self.left = MAX_NODES

    def taken(self, board: Board, prey: int, depth: int = 0) -> bool:
        """Whether the chain at `prey`, whose opponent is to move, is taken in a ladder."""
        self.left -= 1
        hunter = 3 - board.stones[prey]
        _, liberties = board.chain(prey)
        if len(liberties) != 2:
            return len(liberties) < 2
        if self.left < 0 or depth > MAX_DEPTH:
            return False
        return any(self.succeeds(board, prey, hunter, point, depth) for point in sorted(liberties))

    def free(self, board: Board, prey: int, depth: int) -> bool:
        """Whether the chain at `prey`, in atari and to move, gets out."""
        self.left -= 1
        if self.left < 0:
            return True
        return any(self.succeeds(board, prey, board.stones[prey], point, depth) for point in ways_out(board, prey))

    def succeeds(self, board: Board, prey: int, colour: int, point: int, depth: int = 0) -> bool:
        """Whether a move of a colour saves its chain at `prey`, or takes the opponent's there in the end."""
        after = board.copy()
        try:
            after.play(colour, point)
        except IllegalMoveError:
            return False
        answer = self.taken if colour == board.stones[prey] else self.free
        return not answer(after, prey, depth + 1)


def ways_out(board: Board, prey: int) -> list[int]:
    """Where a chain in atari may be saved: its last liberty, or taking a chain beside it that is in atari itself."""
    stones, liberties = board.chain(prey)
    hunter = 3 - board.stones[prey]
    points, seen = set(liberties), set[int]()
    for stone in stones:
        for beside in board.near[stone]:
            if board.stones[beside] == hunter and beside not in seen:
                members, free = board.chain(beside)
                seen |= members
                if len(free) == 1:
                    points |= free
    return sorted(points)


def ladder_captures(board: Board, prey: int, point: int) -> bool:
    """Whether a move of the other colour at `point` takes the chain at `prey`, which has two liberties, in a ladder."""
    return Search().succeeds(board, prey, 3 - board.stones[prey], point)


def ladder_escapes(board: Board, prey: int, point: int) -> bool:
    """Whether a move at `point` saves the chain at `prey`, which is in atari, from capture."""
    return Search().succeeds(board, prey, board.stones[prey], point)
