"""Hot reload: a bundle whose file changes is loaded and checked beside the old one, and takes its place in one step.

Requests that the old one has accepted are finished by it. A file that is broken leaves the old one in place; that is
logged once and counted, and tried again when the file changes again.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neocog.errors import NeocogError
from neocog.serving.logs import Log
from neocog.serving.metrics import Metrics
from neocog.serving.repository import Repository
from neocog.serving.served import Served

__all__ = ["Reloader", "file_state"]

POLL = 1.0  # seconds between two looks
FileState = tuple[int, int, int]
"""Time of the last change in nanoseconds, bytes, and inode."""
Load = Callable[[Path, str, str], Served]
"""From a path, a name and a version; blocking."""


def file_state(path: Path) -> FileState | None:
    """Numbers that change if a file is written or replaced; None if it is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def sha_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(slots=True)
class Watched:
    """The file of one model: its state when it was last read, and when it was last seen."""

    path: Path
    read: FileState | None
    seen: FileState | None
    failed: str = ""
    """The hash of the content that failed last."""


class Reloader:
    """Looks at the bundles' files each second, and reloads those that have changed."""

    def __init__(self, repository: Repository, load: Load, log: Log, metrics: Metrics) -> None:
        self.repository, self.load, self.log, self.metrics = repository, load, log, metrics
        self.watched: dict[tuple[str, str], Watched] = {}
        self.closing: set[asyncio.Task[None]] = set()
        for served in repository:
            if served.path is not None:
                # None as the state that was read: whatever is there now is compared by its hash once.
                self.watched[served.name, served.version] = Watched(served.path, None, file_state(served.path))

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(POLL)
            for name, version in self.watched:
                await self.look(name, version)

    async def look(self, name: str, version: str) -> bool:
        """Reload a model if its file has changed and has stopped changing; whether it was replaced."""
        watched = self.watched[name, version]
        state = file_state(watched.path)
        before, watched.seen = watched.seen, state
        # A file that is being copied changes from one look to the next: it is read once it rests.
        if state is None or state == watched.read or state != before:
            return False
        watched.read = state
        current = self.repository.get(name, version)
        try:
            sha = await asyncio.to_thread(sha_of, watched.path)
        except OSError:
            return False
        if sha in (current.sha, watched.failed):
            return False
        return await self.reload(watched, current, sha)

    async def reload(self, watched: Watched, current: Served, sha: str) -> bool:
        """Load the new content and put it in place; whether that worked."""
        name, version = current.name, current.version
        try:
            new = await asyncio.to_thread(self.load, watched.path, name, version)
        except Exception as error:
            watched.failed = sha
            self.metrics.reload(name, "failed")
            reason = str(error) if isinstance(error, NeocogError) else f"{type(error).__name__}: {error}"
            self.log.write("error", "reload failed", model=name, version=version, reason=reason)
            return False
        watched.failed = ""
        old = self.repository.replace(name, version, new)
        self.metrics.reload(name, "loaded")
        self.log.write("info", "reloaded", model=name, version=version, sha256=new.sha[:16])
        if old is not None:
            task = asyncio.create_task(old.close())
            self.closing.add(task)
            task.add_done_callback(self.closing.discard)
        return True
