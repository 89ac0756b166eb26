"""Members whose names hold further dots: IMG_1.2024.05.png, 0001.input.jpg.

WebDataset ends a key at the first dot, so these members' extensions would be 2024.05.png and input.jpg. The last suffix
tells what such a member holds, and the names are read if they pair up in one way only.
Source: `webdataset.tariterators.base_plus_ext`.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from neocog.errors import DataError, some
from neocog.shards.contents import EXTENSIONS, KINDS
from neocog.shards.tar import Member, TarRecord

__all__ = ["Reading", "holds_payload", "read_dotted"]

LABELS = ("cls", "json")
WHOLE = ("seg.png", "masks.npy")
"""Extensions with a dot that have a meaning of their own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The records that the members of one WebDataset key make, and the rule by which they are read."""

    rule: Literal["first dot", "last dot", "last suffix"]
    records: tuple[TarRecord, ...]
    unread: tuple[str, ...] = ()
    """Extensions of members that look like a sample's and are not read."""


def holds_payload(name: str) -> bool:
    """Whether a member of this name can be a payload.

    >>> holds_payload("a/IMG_1.2024.05.PNG"), holds_payload("a/._x.png"), holds_payload("a.cls")
    (True, False, False)
    """
    base = name.rpartition("/")[2]
    return not base.startswith(".") and base.rpartition(".")[2].lower() in EXTENSIONS


def read_dotted(record: TarRecord, where: str) -> Reading:
    """The records that the members of one key make, their members by extensions without further dots.

    Raises DataError, which shows two of the names, if they can be read in two ways or in none.

    >>> members = {name: Member(f"a.{name}", 0, 0, 0) for name in ("1.png", "1.cls", "2.png", "2.cls")}
    >>> reading = read_dotted(TarRecord("a", members), "a.tar")
    >>> reading.rule, [(record.key, list(record.members)) for record in reading.records]
    ('last dot', [('a.1', ['png', 'cls']), ('a.2', ['png', 'cls'])])
    """
    if not any("." in extension for extension in record.members):
        return Reading("first dot", (record,))
    parts: dict[str, dict[str, Member]] = defaultdict(dict)
    keys: dict[str, str] = {}
    for extension, member in record.members.items():
        inner, suffix = split_extension(extension)
        parts[inner][suffix] = member
        keys.setdefault(inner, member.name[: len(record.key) + 1 + len(inner)])
    if set(parts) <= {""}:
        return Reading("first dot", (record,))
    labelled = any(label in part for part in parts.values() for label in LABELS)
    whole = [inner for inner, part in parts.items() if is_whole(part, labelled)]
    if "" in whole:
        if len(whole) > 1:
            raise two_ways(record, where)
        unread = tuple(e for e in record.members if "." in e and e.rpartition(".")[2] in EXTENSIONS and e not in WHOLE)
        return Reading("first dot", (record,), unread)
    if find_payloads(parts.get("", {})) or not whole:
        return Reading("last suffix", (pool_members(record, parts, where),))
    if len(whole) < len(parts):
        raise two_ways(record, where)
    found = [TarRecord(keys[inner], part) for inner, part in parts.items()]
    found.sort(key=lambda part: part.start)
    if any(a.stop > b.start for a, b in itertools.pairwise(found)):
        rule = f"The members of one record must follow each other. In {where}, {shown(record)} do not."
        raise DataError(rule, fix="Sort the names before packing.")
    return Reading("last dot", tuple(found))


def split_extension(extension: str) -> tuple[str, str]:
    """The part before the last suffix, and the suffix.

    >>> split_extension("png"), split_extension("2024.05.png"), split_extension("seg.png"), split_extension("a.seg.png")
    (('', 'png'), ('2024.05', 'png'), ('', 'seg.png'), ('a', 'seg.png'))
    """
    for whole in WHOLE:
        if extension == whole or extension.endswith("." + whole):
            return extension.removesuffix(whole).removesuffix("."), whole
    inner, _, suffix = extension.rpartition(".")
    return inner, suffix


def find_payloads(part: dict[str, Member]) -> list[str]:
    """The members of the first kind that can be a payload."""
    return next(([e for e in kind if e in part] for kind in KINDS if any(e in part for e in kind)), [])


def is_whole(part: dict[str, Member], labelled: bool) -> bool:
    """Whether these members make a record: one payload, with a label if others have one."""
    return len(find_payloads(part)) == 1 and (not labelled or any(label in part for label in LABELS))


def pool_members(record: TarRecord, parts: dict[str, dict[str, Member]], where: str) -> TarRecord:
    """One record of all members, by their last suffixes: 0001.input.jpg with 0001.cls."""
    members: dict[str, Member] = {}
    for part in parts.values():
        for suffix, member in part.items():
            if suffix in members and (suffix in EXTENSIONS or suffix in LABELS):
                raise two_ways(record, where)
            members.setdefault(suffix, member)
    if len(find_payloads(members)) > 1:
        raise two_ways(record, where)
    return TarRecord(record.key, members)


def two_ways(record: TarRecord, where: str) -> DataError:
    rule = "A record of a tar is a payload and its label with one name up to the first dot: 0001.jpg, 0001.cls."
    received = f"{shown(record)}, which can't be paired in one way"
    fix = "Rename the members: put _ in place of the dots in their names, as in IMG_1_2024.jpg."
    return DataError(rule, received=received, where=where, fix=fix)


def shown(record: TarRecord) -> str:
    return some((repr(member.name[:100]) for member in record.members.values()), 2)
