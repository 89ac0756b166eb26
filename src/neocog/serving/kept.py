"""The last content of each bundle that worked, which a worker that is started again falls back on.

A broken file that takes the place of a bundle leaves the loaded network in place, but a worker that dies then has
nothing to load. So each content that was loaded is kept, once for all workers, until the server ends.
"""

import contextlib
import hashlib
import os
from pathlib import Path

__all__ = ["find_kept", "keep"]


def keep(folder: Path, path: Path, name: str, version: str, sha: str) -> None:
    """Keep the content of a bundle that works, if it still has this hash, in place of what was kept before."""
    kept = folder / f"{name}-{version}-{sha}"
    if kept.exists():
        return
    with contextlib.suppress(OSError):  # it serves on a full disk, too
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha:
            return
        part = folder / f"{os.getpid()}.part"
        part.write_bytes(content)
        before = list(folder.glob(f"{name}-{version}-*"))
        part.replace(kept)
        for old in before:
            old.unlink(missing_ok=True)


def find_kept(folder: Path, name: str, version: str) -> Path | None:
    """The last content that worked; None if there is none."""
    return next(folder.glob(f"{name}-{version}-*"), None)
