"""The rules of Go: a stone is placed, chains without liberties are taken off, a ko may not be taken back at once.

Points are numbered row * size + column, from the upper left. Suicide is illegal unless it is allowed, and of
repetitions only the simple ko is: rules differ in these two, and these are the ones that almost all records keep.
"""

import functools
from collections.abc import Sequence

__all__ = [
    "BLACK", "EMPTY", "MAX_SIZE", "MIN_SIZE", "WHITE", "Board", "IllegalMoveError", "diagonals", "fills_eye",
    "parse_point", "point_name",
]  # fmt: skip

EMPTY, BLACK, WHITE = 0, 1, 2
MIN_SIZE, MAX_SIZE = 5, 25
LETTERS = "ABCDEFGHJKLMNOPQRSTUVWXYZ"  # without I, which looks like 1

Points = tuple[tuple[int, ...], ...]


class IllegalMoveError(ValueError):
    """A move that the rules forbid; the message says why."""


def point_name(point: int, size: int) -> str:
    """A point as players write it: column letter without I, row from below.

    >>> point_name(0, size=19), point_name(8, size=9), point_name(80, size=9)
    ('A19', 'J9', 'J1')
    """
    return f"{LETTERS[point % size]}{size - point // size}"


def parse_point(name: str, size: int) -> int | None:
    """The inverse of `point_name`, in capital or small letters; None for anything that is not a point of the board.

    >>> parse_point("J1", size=9), parse_point("a19", size=19), parse_point("I5", size=9), parse_point("K1", size=9)
    (80, 0, None, None)
    """
    column, row = LETTERS.find(name[:1].upper()) if name else -1, name[1:]
    if not 0 <= column < size or not row.isascii() or not row.isdecimal() or not 1 <= len(row) <= 2:
        return None
    return (size - int(row)) * size + column if 1 <= int(row) <= size else None


def around(size: int, steps: Sequence[tuple[int, int]]) -> Points:
    """Of each point, the points at these steps that are on the board."""
    return tuple(
        tuple((row + y) * size + column + x for y, x in steps if 0 <= row + y < size and 0 <= column + x < size)
        for row in range(size)
        for column in range(size)
    )


@functools.cache
def neighbours(size: int) -> Points:
    """The two to four points beside each point."""
    return around(size, ((-1, 0), (0, -1), (0, 1), (1, 0)))


@functools.cache
def diagonals(size: int) -> Points:
    """The one to four points diagonal to each point."""
    return around(size, ((-1, -1), (-1, 1), (1, -1), (1, 1)))


def captured(stones: bytearray, near: Points, point: int) -> set[int]:
    """The stones of a chain that has no liberty; the search ends, with none, at its first liberty."""
    colour = stones[point]
    members, todo = {point}, [point]
    while todo:
        for beside in near[todo.pop()]:
            there = stones[beside]
            if there == EMPTY:
                return set()
            if there == colour and beside not in members:
                members.add(beside)
                todo.append(beside)
    return members


class Board:
    """Stones on a board, and the point that may not be taken back in the next move.

    >>> board = Board(9)
    >>> for colour, point in ((WHITE, 0), (BLACK, 1), (BLACK, 9)):
    ...     taken = board.play(colour, point)
    >>> taken, board.stones[0] == EMPTY
    ({0}, True)
    """

    __slots__ = ("ko", "near", "size", "stones")

    def __init__(self, size: int) -> None:
        self.size, self.near = size, neighbours(size)
        self.stones = bytearray(size * size)
        self.ko = -1
        """The point of a ko that was just taken, where the other colour may not play now; or -1."""

    def copy(self) -> "Board":
        twin = Board.__new__(Board)
        twin.size, twin.near, twin.stones, twin.ko = self.size, self.near, self.stones[:], self.ko
        return twin

    def chain(self, point: int) -> tuple[set[int], set[int]]:
        """The connected stones of one colour that a point belongs to, and their liberties."""
        stones, near, colour = self.stones, self.near, self.stones[point]
        members, liberties, todo = {point}, set[int](), [point]
        while todo:
            for beside in near[todo.pop()]:
                there = stones[beside]
                if there == EMPTY:
                    liberties.add(beside)
                elif there == colour and beside not in members:
                    members.add(beside)
                    todo.append(beside)
        return members, liberties

    def play(self, colour: int, point: int, *, suicide: bool = False) -> set[int]:
        """Place a stone; the stones that are taken off: the opponent's or, if `suicide` is allowed, the own chain.

        Raises IllegalMoveError, and leaves the board as it was.
        """
        stones, near = self.stones, self.near
        if stones[point] != EMPTY:
            raise IllegalMoveError("there is a stone already")
        if point == self.ko and stones[near[point][0]] != colour:  # beside a ko, all stones are of who took it
            raise IllegalMoveError("this takes a ko back at once")
        stones[point] = colour
        taken: set[int] = set()
        free = False
        for beside in near[point]:
            if stones[beside] == EMPTY:
                free = True
            elif stones[beside] != colour and beside not in taken:
                taken |= captured(stones, near, beside)
        if not taken and not free and (own := captured(stones, near, point)):
            if not suicide:
                stones[point] = EMPTY
                raise IllegalMoveError("the stone would have no liberty")
            taken, free = own, True  # so that no ko follows
        for place in taken:
            stones[place] = EMPTY
        single = len(taken) == 1 and not free and all(stones[beside] != colour for beside in near[point])
        self.ko = next(iter(taken)) if single else -1
        return taken

    def pass_move(self) -> None:
        self.ko = -1

    def is_legal(self, colour: int, point: int, *, suicide: bool = False) -> bool:
        """Whether `play` would accept this move; the board stays as it is.

        >>> board = Board(9)
        >>> taken = board.play(BLACK, 40)
        >>> board.is_legal(WHITE, 40), board.is_legal(WHITE, 41)
        (False, True)
        """
        if self.stones[point] != EMPTY:
            return False
        if any(self.stones[beside] == EMPTY for beside in self.near[point]):
            return True  # a ko has none beside it
        try:
            self.copy().play(colour, point, suicide=suicide)
        except IllegalMoveError:
            return False
        return True


def fills_eye(board: Board, own: int, point: int) -> bool:
    """Whether an empty point is an own eye: own stones on all sides, and the opponent on none of the diagonal points,
    or on at most one of four: the usual rule of programs that play games to their end at random.

    >>> board = Board(9)
    >>> for stone in (1, 9, 10):
    ...     taken = board.play(BLACK, stone)
    >>> fills_eye(board, BLACK, 0), fills_eye(board, WHITE, 0), fills_eye(board, BLACK, 2)
    (True, False, False)
    """
    if any(board.stones[beside] != own for beside in board.near[point]):
        return False
    corners = diagonals(board.size)[point]
    return sum(board.stones[corner] == 3 - own for corner in corners) <= (len(corners) == 4)
