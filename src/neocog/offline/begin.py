"""How a scoring run begins: its files are listed once, or it continues with exactly what it began with."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neocog.errors import ConfigError, DataError, RunError, some
from neocog.files import storage_errors
from neocog.offline.claims import Place, exclusive, held_locks, try_lock
from neocog.offline.job import Identity, Job, Paths, hash_files, remains, remove, write_job
from neocog.offline.listing import list_inputs
from neocog.offline.record import recorded_differences
from neocog.progress import note

__all__ = ["Inputs", "open_job"]

POLL = 0.2  # seconds between two looks for what rank 0 writes
PATIENCE = 5.0  # seconds after which waiting is worth a line
LOOKED_AT = 20  # files of a list that are looked for, to tell a list for another folder


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files, folders and list that the user named."""

    files: Sequence[str]
    listed: Path | None
    suffixes: frozenset[str]
    plural: str
    paths: Paths

    def list(self, others: Counter[str]) -> Iterator[str]:
        """All paths, but for those of the output itself. Raises DataError if there are none."""
        count = 0
        for path in list_inputs(self.files, self.listed, self.suffixes, others, self.paths.own):
            count += 1
            yield path
        if not count:
            place = some(self.files) if self.files else f"the list {self.listed}"
            raise DataError(f"{place} has no {self.plural}.", fix="Name another folder, or files.")

    def check(self) -> None:
        """Raises DataError if a named file or folder is not there, or no file of a list: it is for another folder."""
        missing = [name for name in self.files if not Path(name).exists()]
        if missing:
            raise DataError(
                "Files and folders to predict must be there.", received=some(missing), fix="Check the paths."
            )
        if self.listed is None:
            return
        first = [path for path, _ in zip(list_inputs((), self.listed, (), Counter()), range(LOOKED_AT), strict=False)]
        if first and not any(Path(path).exists() for path in first):
            raise DataError(
                "The files of a list must be there. Relative paths start at the current folder.",
                received=some(first), where=str(self.listed), fix=f"Call it from another folder than {Path.cwd()}.",
            )  # fmt: skip


def open_job(
    paths: Paths,
    inputs: Inputs,
    identity: Identity,
    about: dict[str, Any],
    restart: bool,
    place: Place,
    stack: ExitStack,
) -> Job | None:
    """The state of this run, begun now or before; None if the output is complete already.

    Raises RunError for the output of another run, or a run with other files, another bundle or other settings.
    """
    if place.size > 1:
        if restart:
            raise ConfigError(
                "Ranks can't restart a run, since one might remove what another has begun.",
                received=f"--restart with WORLD_SIZE={place.size}", fix=f"Remove {paths.parts} and {paths.out} first.",
            )  # fmt: skip
        if place.rank:
            return await_job(paths, identity)
        return begin(paths, inputs, identity, about)
    with exclusive(paths):
        if restart and paths.parts.exists():
            if held := held_locks(paths.parts / "locks"):
                raise RunError(
                    f"Only a run that nobody works on can be restarted. Others hold {held} locks of {paths.parts}.",
                    fix="Stop them first.",
                )
            remove(paths.parts)
        job = begin(paths, inputs, identity, about, replace_out=restart)
        if job is not None:
            presence = try_lock(job.folder / "locks" / f"process-{time.time_ns()}")
            assert presence is not None, "a new name"
            stack.callback(presence.release)
        return job


def begin(
    paths: Paths, inputs: Inputs, identity: Identity, about: dict[str, Any], *, replace_out: bool = False
) -> Job | None:
    """List the files and write the state of a run, or compare it with what was begun before."""
    others: Counter[str] = Counter()
    if not paths.parts.exists():
        for folder in remains(paths):
            remove(folder)
        if paths.out.exists() and not replace_out:
            now = replace(identity, **hashed(inputs, others))
            if differs := recorded_differences(paths, now):
                raise RunError(
                    f"{paths.out} exists, and is not the output of this call.", received=differs,
                    fix="Choose another --out, or replace it with --restart.",
                )  # fmt: skip
            return None
        inputs.check()
        with storage_errors(paths.parts):
            paths.parts.parent.mkdir(parents=True, exist_ok=True)
        write_job(paths.parts, inputs.list(others), int(identity.settings["--block"]), identity, about)
        tell_others(others)
        return Job(paths.parts, paths.out.suffix.lower())
    job = Job(paths.parts, paths.out.suffix.lower())
    check_same(job, replace(identity, **hashed(inputs, others)), inputs)
    tell_versions(job, about)
    if done := len(job.done()):
        left = sum(map(job.files_in, set(range(len(job))) - job.done()))
        note(f"Continuing: {done:,} of {len(job):,} blocks are done, {left:,} of {job.num_files:,} files are left.")
    return job


def hashed(inputs: Inputs, others: Counter[str]) -> dict[str, Any]:
    digest, count = hash_files(inputs.list(others))
    return {"files_hash": digest, "files": count}


def check_same(job: Job, now: Identity, inputs: Inputs | None) -> None:
    """Raises RunError that says what differs from how the run began."""
    differences = job.identity.differences(now)
    if not differences:
        return
    fix = "Repeat the call that began it, choose another --out, or start again with --restart."
    if inputs is not None and len(differences) == 1 and job.identity.files_hash != now.files_hash:
        changed = first_change(job, inputs)
        fix = f"{changed} To predict those of the first call, name them with --list {job.folder / 'files.lst'}; "
        fix += "to predict those of now, start again with --restart."
    raise RunError(
        "A run is continued only with what it began with.", received=", ".join(differences), where=str(job.folder),
        fix=fix,
    )  # fmt: skip


def first_change(job: Job, inputs: Inputs) -> str:
    """The first file that was added or is missing, in words."""
    before = (path for block in range(len(job)) for path in job.paths(block))
    for old in inputs.list(Counter()):
        known = next(before, None)
        if old != known:
            return f"The first that differs is {old}" + (f", in the place of {known}." if known else ", at the end.")
    return f"The first that is missing is {next(before, '')}."


def await_job(paths: Paths, identity: Identity) -> Job | None:
    """The state that rank 0 writes; None if the output is complete already."""
    started, told = time.monotonic(), False
    while not paths.parts.exists():
        if paths.out.exists() and not recorded_differences(paths, identity):
            return None
        if not told and time.monotonic() - started > PATIENCE:
            told = True
            note("Waiting for rank 0 to list the files.")
        time.sleep(POLL)
    job = Job(paths.parts, paths.out.suffix.lower())
    check_same(job, identity, None)
    return job


def tell_others(others: Counter[str]) -> None:
    """A line on the files of other kinds in the folders."""
    if others:
        kinds = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in others.most_common()]
        note(f"Left out, since they are of other kinds: {some(kinds, 5)}.")


def tell_versions(job: Job, about: Mapping[str, Any]) -> None:
    """A line if another version computes the rest: its figures may differ in the last digits."""
    before = job.manifest.get("about", {})
    changed = [f"{name} {about[name]}, begun with {before.get(name)}" for name in ("neocog", "torch")
               if about[name] != before.get(name)]  # fmt: skip
    if changed:
        note(f"warning: the rest is computed by another version: {'; '.join(changed)}.")
