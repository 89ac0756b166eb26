"""The end of a scoring run: its parts become one file, and a record says what that was made from."""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neocog.errors import RunError
from neocog.files import whole_file, write_whole
from neocog.offline.formats import Form
from neocog.offline.job import FIRST, Identity, Job, Paths, remove

__all__ = ["OfflineResult", "finish", "recorded", "recorded_differences"]


@dataclass(frozen=True, slots=True)
class OfflineResult:
    """An output that is complete."""

    path: Path
    files: int
    """Rows: one for each file."""
    failed: int
    """Files that could not be read; their rows say why."""
    first: tuple[tuple[str, str], ...]
    """The first of them, and why."""
    computed: int
    """Files that this process computed."""
    seconds: float
    joined: bool
    """Whether this process wrote the output; of several, one does."""


def finish(job: Job, form: Form, paths: Paths, computed: int, started: float) -> OfflineResult:
    """Join the parts into the output, unless another process has.

    Raises StorageError if the system refuses; the parts then stay, and so does what was there before.
    """
    if not job.folder.exists():
        return replace(recorded(paths), computed=computed, seconds=time.monotonic() - started)
    parts, failed, first = list[Path](), 0, list[tuple[str, str]]()
    for part, figures in job.checked_parts():
        parts.append(part)
        failed += figures.failed
        first += [(name, why) for name, why in figures.first[: FIRST - len(first)]]
    with whole_file(paths.out) as file:
        form.join(file, parts)
    record = {**asdict(job.identity), "failed": failed, "first": first, "about": job.manifest.get("about", {})}
    write_whole(paths.record, json.dumps(record, indent=1, ensure_ascii=False))
    remove(job.folder)
    seconds = time.monotonic() - started
    return OfflineResult(paths.out, job.num_files, failed, tuple(first), computed, seconds, joined=True)


def recorded(paths: Paths) -> OfflineResult:
    """The result of a run that is complete. Raises RunError if there is no record of it."""
    content = read_record(paths)
    if content is None:
        raise RunError(
            f"The state of this run has been removed while it ran: {paths.parts} and {paths.record} are gone.",
            fix="Give the same command again.",
        )
    first = tuple((name, why) for name, why in content["first"])
    return OfflineResult(paths.out, content["files"], content["failed"], first, 0, 0.0, joined=False)


def recorded_differences(paths: Paths, now: Identity) -> str:
    """How an output differs from what this call would make; empty if it is the same."""
    content = read_record(paths)
    if content is None:
        return f"no record of what it was made from, {paths.record.name}"
    return ", ".join(Identity.read(content).differences(now))


def read_record(paths: Paths) -> dict[str, Any] | None:
    """The record of an output, or None if there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads(paths.record.read_bytes())
        Identity.read(content)
        return content if {"failed", "first"} <= content.keys() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
