"""Games of Go as SGF files: one sample for each move, with the position before it."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import holds_files, list_files, read_limited
from neocog.dataset.record import LeftOut, Modality, Record, Task
from neocog.dataset.split_names import splits_meant
from neocog.errors import DataError, agree, some
from neocog.modalities.go.game import KIND, MOVE, colour_of, position_code
from neocog.modalities.go.records import Game, UnplayableGame, playable_games
from neocog.modalities.go.rules import point_name
from neocog.modalities.go.sgf import MAX_BYTES
from neocog.progress import track

__all__ = ["PASS", "SgfSource", "holds_games", "move_number"]

SUFFIX = ".sgf"
PASS = "pass"
"""The name of a pass among the classes."""


class SgfSource:
    """One .sgf file, or all below a folder, in which folders train, val and test may divide them.

    A sample is a position and the move that was played next, of the main line of each game. The classes are the points
    of the board, A19 first, row by row, and last a pass. A payload is a position as in `neocog.modalities.go.game`.
    `groups` numbers the game of each sample: those of one game belong into one split.
    A game with an illegal move, and a damaged file, are left out as a whole, with a notice: `unplayable` holds them by
    name. The moves of their main lines count as samples left out; in a damaged file those before the damage.
    Raises DataError if no game can be replayed, for boards of different sizes, or if there is no move at all.
    """

    modality: Modality = "board"
    task: Task = "next move"
    format = "sgf"
    group_kind = "games"

    def __init__(self, path: Path) -> None:
        self.name = path.stem if path.is_file() else path.resolve().name
        self.root = path.parent if path.is_file() else path
        links: list[Path] = []
        files = [path] if path.is_file() else list_files(path, {SUFFIX}, Counter(), links=links)
        outside = sorted(link.name for link in links if not link.is_dir())
        self.games: list[Game] = []
        self.names: list[str] = []
        self.unplayable: dict[str, UnplayableGame] = {}
        """The games that are left out: a.sgf, or a.sgf#2 if a file holds several."""
        first_of_file: list[int] = []
        for file in track(files, "reading games", total=len(files)):
            first_of_file.append(len(self.games))
            self.add(file)
        if not self.games and self.unplayable:
            first, *rest = self.unplayable.values()
            raise DataError(first.reason, fix=f"{len(rest):,} more can't be replayed either." if rest else "")
        if not self.games:
            raise DataError(f"{path} holds no games.", fix=f"Put files there that end in {SUFFIX}.")
        self.size = one_size(self.games, self.names)
        self.classes = (*(point_name(point, self.size) for point in range(self.size**2)), PASS)
        moves = [game.moves() for game in self.games]
        self.steps = np.concatenate(moves)
        """Of each sample, the step of its game that is the move to predict."""
        self.groups = np.repeat(np.arange(len(moves)), [len(places) for places in moves])
        if not len(self.steps):
            raise DataError(f"{path} holds no move.", fix="Put games there in which moves are played.")
        played = [game.steps[places] for game, places in zip(self.games, moves, strict=True)]
        self.targets = np.concatenate(played).astype(np.int64) % KIND
        starts = [*np.searchsorted(self.groups, first_of_file).tolist(), len(self.steps)]
        self.splits = splits_of([file.relative_to(self.root) for file in files], starts)
        self.notices: tuple[str, ...] = unplayable_notice(self.unplayable)
        if empty := [name for name, places in zip(self.names, moves, strict=True) if not len(places)]:
            self.notices += (f"games without a move were skipped: {some(empty)}",)
        if outside:
            self.notices += (f"links that lead out of the folder were skipped: {some(outside)}",)

    def add(self, file: Path) -> None:
        """Read the games of one file. Raises DataError for a file that can't be read."""
        games = playable_games(read_limited(file, MAX_BYTES), str(file))
        path = file.relative_to(self.root).as_posix()
        for number, game in enumerate(games, 1):
            name = f"{path}#{number}" if len(games) > 1 else path
            if isinstance(game, Game):
                self.games.append(game)
                self.names.append(f"{name}:" if len(games) > 1 else f"{name}#")
            else:
                self.unplayable[name] = game

    def __len__(self) -> int:
        return len(self.steps)

    def key(self, index: int) -> str:
        """File, the game if there are several, and the number of the move, passes counted: a/1.sgf#2:14."""
        game = int(self.groups[index])
        kinds = self.games[game].steps[: self.steps[index] + 1] // KIND
        return f"{self.names[game]}{int(np.count_nonzero(kinds > MOVE))}"

    def content(self) -> Iterator[bytes]:
        return (game.steps.astype("<i2").tobytes() for game in self.games)

    def read(self, index: int) -> Record:
        game, step = self.games[int(self.groups[index])], int(self.steps[index])
        to_move = colour_of(int(game.steps[step]))
        payload = position_code(game.size, to_move, game.steps[:step])
        return Record(self.key(index), payload, int(self.targets[index]))


def move_number(key: str) -> int | None:
    """The number of the move, from 1, in a key that `SgfSource` has given; None for any other key.

    >>> move_number("a/1.sgf#14"), move_number("more.sgf#2:7"), move_number("a.png")
    (14, 7, None)
    """
    _, mark, place = key.rpartition("#")
    number = place.rpartition(":")[2]
    return int(number) if mark and number.isascii() and number.isdecimal() else None


def holds_games(path: Path) -> bool:
    """Whether this is an .sgf file, or a folder with one at any depth."""
    return path.suffix.lower() == SUFFIX if path.is_file() else holds_files(path, SUFFIX)


def unplayable_notice(games: dict[str, UnplayableGame]) -> tuple[str, ...]:
    """The notice on the games that are left out, with the reason of the first."""
    if not games:
        return ()
    moves = sum(game.num_moves for game in games.values())
    left_out = agree("{n} game(|s) can't be replayed and (is|are) left out, ", len(games))
    reason = next(iter(games.values())).reason
    return (LeftOut(f"{left_out}{agree('with {n} move(|s)', moves)}: {some(games)}. {reason}", moves),)


def one_size(games: list[Game], names: list[str]) -> int:
    """The board size of all games. Raises DataError if there are several."""
    counts = Counter(game.size for game in games)
    (size, _), *others = counts.most_common()
    if others:
        odd = next(name for game, name in zip(games, names, strict=True) if game.size != size)
        sizes = ", ".join(f"{count} of {side}x{side}" for side, count in counts.most_common())
        rule, received = "All games must be on boards of one size.", f"{sizes}; the first that differs is "
        fix = "Give each size a folder of its own."
        raise DataError(rule, received=received + odd.partition("#")[0], fix=fix)
    return size


def splits_of(files: list[Path], starts: list[int]) -> dict[str, NDArray[np.int64]]:
    """The samples of each split, if all files lie in folders train, val and test; else all.

    `starts` are the first samples of the files, and the number of all samples.
    """
    tops = [file.parts[0] if len(file.parts) > 1 else "" for file in files]
    meant = splits_meant(set(tops))
    parts = [meant.get(top, "") for top in tops]
    if "" in parts or "train" not in parts:
        return {"all": np.arange(starts[-1])}
    split_of = np.repeat(np.array(parts), np.diff(starts))
    return {split: np.flatnonzero(split_of == split) for split in ("train", "val", "test") if split in parts}
