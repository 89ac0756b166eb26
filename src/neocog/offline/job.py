"""The state of a scoring run on the disk: `predictions.parquet.parts/`, until all of it is in the output.

    manifest.json       the bundle, the settings, and the number and hash of the files
    files.lst           the paths, each with NUL behind it
    blocks.npy          where in files.lst each block starts, and its end; (blocks + 1,)
    locks/              one file for each block and process, locked while it works
    done/00000000.*     the rows of each block, and its figures

The folder appears with the first three complete, and these never change. A block is done when its rows are there under
their name. So a process that is killed at any moment leaves nothing that has to be repaired.
"""

import glob
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neocog.errors import RunError
from neocog.files import storage_errors, whole_folder, write_whole
from neocog.files.whole import sync_folder
from neocog.offline.formats import Form

__all__ = ["BlockFigures", "Identity", "Job", "Paths", "hash_files", "remains", "remove", "write_job"]

VERSION = 1
DIGITS = 8


@dataclass(frozen=True, slots=True)
class Paths:
    """The places that belong to an output file."""

    out: Path

    @property
    def parts(self) -> Path:
        return self.out.with_name(self.out.name + ".parts")

    @property
    def record(self) -> Path:
        """The bundle, settings and files of the output, as JSON; written when it is complete."""
        return self.out.with_name(self.out.name + ".json")

    @property
    def lock(self) -> Path:
        return self.out.with_name(f".{self.out.name}.lock")

    @property
    def own(self) -> tuple[str, ...]:
        """As a listing of the folder that they are in would name them."""
        return tuple(map(str, (self.out, self.parts, self.record)))


@dataclass(frozen=True, slots=True)
class Identity:
    """All that decides what the output holds. A run is continued only with the same."""

    bundle: str
    """SHA-256."""
    settings: Mapping[str, Any]
    """By the names of flags."""
    files: int = 0
    files_hash: str = ""
    """SHA-256 of files.lst; empty if it isn't known."""

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        names = ("bundle", "settings", "files", "files_hash")
        return cls(**{name: content[name] for name in names})

    def differences(self, now: "Identity") -> list[str]:
        """How the present one differs from this, in words; the files only if both are known."""
        found = []
        if self.bundle != now.bundle:
            found.append(f"another bundle (SHA-256 {now.bundle[:12]} instead of {self.bundle[:12]})")
        for name in dict.fromkeys((*self.settings, *now.settings)):
            before, after = self.settings.get(name), now.settings.get(name)
            if before != after:
                found.append(f"{name} {shown(after)} instead of {shown(before)}")
        if self.files_hash and now.files_hash and self.files_hash != now.files_hash:
            same = self.files == now.files
            found.append(f"{now.files:,} {'other ' if same else ''}files instead of {self.files:,}")
        return found


def shown(value: Any) -> str:
    return (" ".join(map(str, value)) if isinstance(value, list) else str(value)) or "none"


@dataclass(frozen=True, slots=True)
class BlockFigures:
    """The figures of a block that is done."""

    rows: int
    failed: int
    size: int
    """Bytes of its rows."""
    first: Sequence[tuple[str, str]] = field(default=())
    """The first files that could not be read, and why."""


class Job:
    """A scoring run that has begun."""

    def __init__(self, folder: Path, suffix: str) -> None:
        """Raises RunError if the folder is not the state of one."""
        self.folder, self.suffix = folder, suffix
        try:
            self.manifest = json.loads((folder / "manifest.json").read_bytes())
            self.identity = Identity.read(self.manifest)
            self.starts: NDArray[np.int64] = np.load(folder / "blocks.npy")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"{folder} is not the state of a scoring run of this version: {error}.", fix="Start again: --restart."
            ) from error

    def __len__(self) -> int:
        """The number of blocks."""
        return len(self.starts) - 1

    @property
    def num_files(self) -> int:
        return self.identity.files

    @property
    def block_size(self) -> int:
        return int(self.identity.settings["--block"])

    def files_in(self, block: int) -> int:
        return min(self.block_size, self.num_files - block * self.block_size)

    def paths(self, block: int) -> list[str]:
        """The paths of the files of a block."""
        start, stop = self.starts[block : block + 2].tolist()
        with (self.folder / "files.lst").open("rb") as file:
            file.seek(start)
            found = file.read(stop - start).split(b"\0")[:-1]
        assert len(found) == self.files_in(block), "files.lst and blocks.npy match"
        return list(map(os.fsdecode, found))

    def part(self, block: int) -> Path:
        return self.folder / "done" / f"{block:0{DIGITS}}{self.suffix}"

    def figures_of(self, block: int) -> BlockFigures:
        return BlockFigures(**json.loads(self.part(block).with_suffix(".json").read_bytes()))

    def lock_of(self, block: int) -> Path:
        return self.folder / "locks" / f"{block:0{DIGITS}}"

    def is_done(self, block: int) -> bool:
        return self.part(block).exists()

    def done(self) -> set[int]:
        """The blocks that are done; of a folder that is gone, because another process has finished, all."""
        try:
            with os.scandir(self.folder / "done") as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return set(range(len(self)))
        return {int(name[:DIGITS]) for name in names if name.endswith(self.suffix) and name[:DIGITS].isdigit()}

    def write(self, block: int, form: Form, rows: Sequence[dict[str, Any]]) -> None:
        """Write the rows of a block, whole or not at all. Raises StorageError if the system refuses."""
        assert len(rows) == self.files_in(block), "files in = rows out"
        failed = [(row["file"], row["error"]) for row in rows if row["error"] is not None]
        part = self.part(block)
        temporary = part.with_name(f"{uuid.uuid4().hex}.part")  # two ranks of two launches never meet in one
        try:
            with storage_errors(part):
                with temporary.open("wb") as file:
                    form.write_part(file, rows)
                    synced(file)
                figures = BlockFigures(len(rows), len(failed), temporary.stat().st_size, failed[:FIRST])
                with temporary.with_suffix(".json").open("wb") as file:
                    file.write(json.dumps(asdict(figures)).encode())
                    synced(file)
                temporary.with_suffix(".json").replace(part.with_suffix(".json"))
                temporary.replace(part)
                sync_folder(part.parent)
        finally:
            temporary.unlink(missing_ok=True)
            temporary.with_suffix(".json").unlink(missing_ok=True)

    def checked_parts(self) -> Iterator[tuple[Path, BlockFigures]]:
        """Every part with its figures, in the order of the files. Raises RunError for one that has changed since."""
        for block in range(len(self)):
            part = self.part(block)
            try:
                figures, size = self.figures_of(block), part.stat().st_size
            except (OSError, ValueError, TypeError) as error:
                raise self.damaged(part, block, str(error)) from error
            if figures.size != size or figures.rows != self.files_in(block):
                raise self.damaged(part, block, f"{size:,} bytes instead of {figures.size:,}")
            yield part, figures

    def damaged(self, part: Path, block: int, why: str) -> RunError:
        """The error for a part that is not as it was written; it is removed, so that it is computed again."""
        part.unlink(missing_ok=True)
        return RunError(
            f"{part} is damaged: {why}. It has been removed.",
            fix=f"Give the same command again: it computes the {self.files_in(block):,} files of this block.",
        )


FIRST = 10
"""How many files that could not be read are named at the end."""


def write_job(folder: Path, files: Iterable[str], block_size: int, identity: Identity, about: Mapping[str, Any]) -> int:
    """Write the state of a new run; of two that are written at once, the first stays. Returns the number of files.

    Raises StorageError if the system refuses.
    """
    with whole_folder(folder) as new, storage_errors(folder):
        starts = [0]
        with (new / "files.lst").open("wb") as file:
            digest, count = hash_files(files, file.write, block_size, starts)
            synced(file)
        with (new / "blocks.npy").open("wb") as file:
            np.save(file, np.array(starts, np.int64))
            synced(file)
        (new / "locks").mkdir()
        (new / "done").mkdir()
        content = {"version": VERSION, **asdict(identity), "files": count, "files_hash": digest, "about": about}
        write_whole(new / "manifest.json", json.dumps(content, indent=1, ensure_ascii=False))
    return count


def hash_files(
    files: Iterable[str], write: Any = None, block_size: int = 1, starts: list[int] | None = None
) -> tuple[str, int]:
    """The SHA-256 of the paths, each with NUL behind it, and their number.

    Each is written too, if there is a `write`; `starts`, which holds a 0, then gets the end of each block.
    """
    digest, count, place = hashlib.sha256(), 0, 0
    for path in files:
        entry = os.fsencode(path) + b"\0"
        digest.update(entry)
        place, count = place + len(entry), count + 1
        if write is not None and starts is not None:
            write(entry)
            if count % block_size == 0:
                starts.append(place)
    if starts is not None and count % block_size:
        starts.append(place)
    return digest.hexdigest(), count


def synced(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def remove(folder: Path) -> None:
    """Remove a folder: at once under its name, so that no kill leaves half of it there."""
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    with storage_errors(folder):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def remains(paths: Paths) -> list[Path]:
    """Folders that a kill has left behind while they were written or removed."""
    return list(paths.parts.parent.glob(f".{glob.escape(paths.parts.name)}.????????"))
