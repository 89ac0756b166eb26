"""What a pack knows of itself until it is finished, so that it can be gone on with."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from neocog.errors import DataError, some
from neocog.files import file_hash, write_whole
from neocog.settings import SETTINGS
from neocog.shards.header import INDEX, Count, Digest
from neocog.shards.names import Split
from neocog.shards.open import STATE

__all__ = ["Done", "Format", "OnCorrupt", "State", "begin_state", "keep_finished", "save_state"]


Format = Literal["tar", "parquet"]
OnCorrupt = Literal["stop", "skip"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class Done:
    """A shard that is written and checked: records of its split up to `stop` lie in it or in those before."""

    name: Annotated[str, Field(pattern=r"^(all|train|val|test)-\d{6}\.(tar|parquet)$")]
    split: Split
    size: Count
    records: Count
    sha256: Digest
    stop: Count
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class State:
    """The settings of a pack, the fingerprint of what it packs, and the shards that are done."""

    version: Literal[1] = 1
    fingerprint: str
    format: Format
    shard_size: int
    resize: int | None
    on_corrupt: OnCorrupt
    shards: tuple[Done, ...] = ()


STATES = TypeAdapter(State)


def begin_state(out: Path, wanted: State) -> State:
    """The state that an earlier call with these settings left in the folder, or a new one in an empty folder.

    Raises DataError for a folder that holds something else.
    """
    path = out / STATE
    if not path.is_file():
        inside = sorted(entry.name for entry in out.iterdir() if entry.name != ".lock")
        if INDEX in inside:
            raise DataError(f"{out} holds a finished pack already. Choose another folder, or remove it first.")
        if inside:
            raise DataError(f"A pack begins in an empty folder. {out} holds {some(inside)}. Choose another folder.")
        return wanted
    try:
        found = STATES.validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise DataError(
            f"{path} is damaged: it does not tell how the pack was begun. Remove {out} and begin again."
        ) from error
    for key in ("fingerprint", "format", "shard_size", "resize", "on_corrupt"):
        if getattr(found, key) != getattr(wanted, key):
            what = "data, which have changed" if key == "fingerprint" else f"another --{key.replace('_', '-')}"
            raise DataError(
                f"A pack is gone on with as it was begun. {out} was begun with {what}: {getattr(found, key)}. "
                f"Received: {getattr(wanted, key)}. Use the same again, or another folder."
            )
    return found


def save_state(out: Path, state: State) -> None:
    write_whole(out / STATE, STATES.dump_json(state, indent=1) + b"\n")


def keep_finished(out: Path, state: State) -> tuple[Done, ...]:
    """Those finished shards that are still whole; in each split, all behind a damaged one are written anew."""
    kept: list[Done] = []
    broken: set[str] = set()
    for done in state.shards:
        path = out / done.name
        if done.split in broken or not path.is_file() or file_hash(path) != done.sha256:
            broken.add(done.split)
        else:
            kept.append(done)
    return tuple(kept)
