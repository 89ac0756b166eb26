"""Tar shards: where each member's bytes lie, and which members make a record. Nothing is ever unpacked to the disk.

Layout: a 512-byte header, the content padded to 512 bytes, and so on; two blocks of zeros end it. Long names are in a
member of their own before the one that they name (GNU's type L, POSIX' type x).
Headers are read here and not by `tarfile.open`: it takes a damaged header for the end of the archive and a size that
it can't read for 0, and every read of a record parses its headers again, to check that the index is right.
WebDataset ends a key at the first dot: IMG_1.2024.05.png and 0001.input.jpg have the extensions 2024.05.png, input.jpg.
The last suffix tells what such a member holds, and the names are read if they pair up in one way only.
Source: POSIX.1-2001, pax; the WebDataset format, which groups neighbours of one base name;
`webdataset.tariterators.base_plus_ext`.
"""

import itertools
import re
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from neocog.errors import DataError, some
from neocog.shards.contents import EXTENSIONS, KINDS

__all__ = ["BLOCK", "Member", "TarRecord", "group_members", "holds_payload", "read_dotted", "walk_tar"]

BLOCK = 512
MAX_NAMES = 2**20  # bytes of an extended header
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
NAMED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)

REFUSED = {
    **dict.fromkeys((tarfile.SYMTYPE, tarfile.LNKTYPE), "a link"),
    **dict.fromkeys((tarfile.CHRTYPE, tarfile.BLKTYPE), "a device"),
    tarfile.FIFOTYPE: "a pipe", tarfile.GNUTYPE_SPARSE: "a sparse file",
}  # fmt: skip
PLAIN = re.compile(rb"([0-7]{11})[\0 ].{12}([0-7]{6})\0 0.{100}ustar", re.DOTALL)
"""Size, time, checksum, type, the name of a link, and the format's magic; they begin at byte 124 of a header."""

Read = Callable[[int, int], bytes]  # gives the bytes at (offset, length), fewer at the end


class Member(NamedTuple):
    """A file in a tar: its headers begin at `start`, its content lies at `offset`."""

    name: str
    start: int
    offset: int
    size: int

    @property
    def stop(self) -> int:
        return self.offset + self.size


class TarRecord(NamedTuple):
    """Neighbours with one base name; members by extension, in small letters: "jpg", "cls", "seg.png"."""

    key: str
    members: dict[str, Member]

    @property
    def start(self) -> int:
        return min(member.start for member in self.members.values())

    @property
    def stop(self) -> int:
        return max(member.stop for member in self.members.values())


def walk_tar(read: Read, size: int, where: str, *, ended: bool = True) -> Iterator[Member]:
    """The files of a tar of `size` bytes; one that is only a part of a tar is not `ended` by zeros.

    Raises DataError for a header that is damaged, a file that goes past the end, and anything but plain files.
    """
    position = start = 0
    extended: dict[str, str] = {}
    while ended or position < size:
        block = read(position, BLOCK)
        if len(block) < BLOCK:
            raise damage_error(f"{where} is truncated: it ends at byte {position:,} without an end mark.")
        if block.count(0) == BLOCK:
            check_end(read, position, size, where)
            return
        name, length, kind = parse_header(block, where, position)
        offset = position + BLOCK
        if kind not in NAMED:
            text = "0" if kind == tarfile.DIRTYPE else str(extended.get("size", length))
            if not text.isascii() or not text.isdigit() or len(text) > 18:
                raise damage_error(f"{where} is damaged: the size at byte {position:,} is {text[:40]!r}.")
            length = int(text)
        if not 0 <= length <= size - offset:
            rest = f"it promises {length:,} bytes, and only {size - offset:,} follow"
            raise damage_error(f"{where} is truncated or damaged: at byte {position:,} {rest}.")
        position = offset + -(-length // BLOCK) * BLOCK
        if kind in NAMED:
            extended |= read_extended(read, kind, offset, length, where)
            continue
        name = extended.get("path", name)
        if kind != tarfile.DIRTYPE:
            if kind not in FILES:
                what = f"{name[:200]!r}, which is {REFUSED.get(kind, f'of an unknown type ({kind!r})')}"
                raise DataError(f"Shards hold plain files. {where} holds {what}.", fix="Pack it without.")
            if not name or name.startswith("/") or ".." in name.split("/"):
                raise DataError(f"{where} holds a path that leaves its folder: {name[:200]!r}.", fix="It is not read.")
            yield Member(name.removeprefix("./"), start, offset, length)
        extended, start = {}, position


def parse_header(block: bytes, where: str, position: int) -> tuple[str, int, bytes]:
    """A header's name, size and type. Raises DataError if its checksum is not that of its bytes."""
    if found := read_plain_header(block):
        return found
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        fault = f"there is no header at byte {position:,} ({error})"
        raise damage_error(f"{where} is damaged, or not a tar: {fault}.") from error
    return info.name, info.size, info.type


def read_plain_header(block: bytes) -> tuple[str, int, bytes] | None:
    """The usual header, read much faster than by tarfile: a plain file with an octal size and a short name."""
    fields = PLAIN.match(block, 124)
    if fields is None or block[345] or sum(block) - sum(block[148:156]) + 8 * ord(" ") != int(fields[2], 8):
        return None
    return block[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape"), int(fields[1], 8), tarfile.REGTYPE


def damage_error(rule: str) -> DataError:
    return DataError(rule, fix="Fetch it again.")


def check_end(read: Read, position: int, size: int, where: str) -> None:
    """Raises DataError if something follows the end: it would be ignored silently."""
    while position < size and (piece := read(position, min(size - position, 2**20))):
        if piece.count(0) != len(piece):
            rule = (
                f"{where} continues after its end mark, behind byte {position:,}: it is damaged, or holds several tars."
            )
            raise DataError(rule, fix="Fetch it again, or give each tar a file of its own.")
        position += len(piece)


def read_extended(read: Read, kind: bytes, offset: int, length: int, where: str) -> dict[str, str]:
    """The path and the size that an extended header gives the next file."""
    if length > MAX_NAMES:
        raise damage_error(f"{where} is damaged: a name at byte {offset:,} is {length:,} bytes long.")
    content = read(offset, length)
    if kind in (tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_LONGNAME):
        name = content.rstrip(b"\0").decode("utf-8", "surrogateescape")
        return {"path": name} if kind == tarfile.GNUTYPE_LONGNAME else {}
    values = parse_pax(content, where)
    strange = next((key for key in values if key.startswith("GNU.sparse")), None)
    if strange or (kind == tarfile.XGLTYPE and values.keys() & {"path", "size"}):
        fix = "Pack it with GNU tar's default."
        raise DataError(f"Shards hold plain files. {where} holds a sparse or renamed one.", fix=fix)
    return {key: value for key, value in values.items() if key in ("path", "size")}


def parse_pax(content: bytes, where: str) -> dict[str, str]:
    """Lines of "LENGTH KEY=VALUE", where the length counts the whole line."""
    values = {}
    while content:
        digits, space, _ = content[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        line = content[len(digits) + 1 : length]
        key, equals, value = line.partition(b"=")
        if not space or not equals or not line.endswith(b"\n") or length > len(content):
            raise damage_error(f"{where} is damaged: an extended header can't be read: {content[:40]!r}.")
        values[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "surrogateescape")
        content = content[length:]
    return values


def group_members(members: Iterable[Member], where: str) -> Iterator[TarRecord]:
    """Records: neighbours whose names agree up to the first dot behind the last slash.

    >>> names = ["a/1.jpg", "a/1.cls", "a/2.seg.png"]
    >>> [(r.key, list(r.members)) for r in group_members([Member(name, 0, 0, 0) for name in names], "a.tar")]
    [('a/1', ['jpg', 'cls']), ('a/2', ['seg.png'])]
    """
    key, found = "", dict[str, Member]()
    for member in members:
        folder, slash, base = member.name.rpartition("/")
        stem, dot, extension = base.partition(".")
        if not stem or not dot:  # left by a system, or a file such as README
            continue
        if found and folder + slash + stem != key:
            yield TarRecord(key, found)
            found = {}
        key = folder + slash + stem
        if found.setdefault(extension.lower(), member) is not member:
            raise DataError(f"{where} holds {member.name[:200]!r} twice.", fix="Give each record a name of its own.")
    if found:
        yield TarRecord(key, found)


LABELS = ("cls", "json")
WHOLE = ("seg.png", "masks.npy")  # extensions with a dot that have a meaning of their own


class Reading(NamedTuple):
    """The records that the members of one WebDataset key make, and the rule by which they are read."""

    rule: Literal["first dot", "last dot", "last suffix"]
    records: tuple[TarRecord, ...]
    unread: tuple[str, ...] = ()  # extensions of members that look like a sample's and are not read


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
    for extension, member in record.members.items():
        inner, suffix = split_extension(extension)
        parts[inner][suffix] = member
    if set(parts) <= {""}:
        return Reading("first dot", (record,))
    # A record has one payload, and a label if others have one.
    found_labels = {inner for inner, part in parts.items() if not part.keys().isdisjoint(LABELS)}
    alone = [inner for inner, part in parts.items() if len(find_payloads(part)) == 1]
    whole = [inner for inner in alone if inner in found_labels or not found_labels]
    if whole == [""]:
        unread = tuple(e for e in record.members if "." in e and e.rpartition(".")[2] in EXTENSIONS and e not in WHOLE)
        return Reading("first dot", (record,), unread)
    if not whole or ("" not in whole and find_payloads(parts.get("", {}))):
        return Reading("last suffix", (pool_members(record, parts, where),))
    if "" in whole or len(whole) < len(parts):
        raise ambiguous_error(record, where)
    # A key is as it is written in the name; the extension is in small letters.
    keys = {inner: next(iter(part.values())).name[: len(record.key) + 1 + len(inner)] for inner, part in parts.items()}
    found = sorted((TarRecord(keys[inner], part) for inner, part in parts.items()), key=lambda part: part.start)
    if any(a.stop > b.start for a, b in itertools.pairwise(found)):
        rule = f"The members of one record must follow each other. In {where}, {show_members(record)} do not."
        raise DataError(rule, fix="Sort the names before packing.")
    return Reading("last dot", tuple(found))


def split_extension(extension: str) -> tuple[str, str]:
    """The part before the last suffix, and the suffix.

    >>> split_extension("png"), split_extension("2024.05.png"), split_extension("seg.png"), split_extension("a.seg.png")
    (('', 'png'), ('2024.05', 'png'), ('', 'seg.png'), ('a', 'seg.png'))
    """
    whole = next((whole for whole in WHOLE if f".{extension}".endswith(f".{whole}")), extension.rpartition(".")[2])
    return extension.removesuffix(whole).removesuffix("."), whole


def find_payloads(part: dict[str, Member]) -> list[str]:
    """The members of the first kind that can be a payload."""
    return next(([e for e in kind if e in part] for kind in KINDS if any(e in part for e in kind)), [])


def pool_members(record: TarRecord, parts: dict[str, dict[str, Member]], where: str) -> TarRecord:
    """One record of all members, by their last suffixes: 0001.input.jpg with 0001.cls."""
    members: dict[str, Member] = {}
    for suffix, member in ((suffix, member) for part in parts.values() for suffix, member in part.items()):
        if members.setdefault(suffix, member) is not member and (suffix in EXTENSIONS or suffix in LABELS):
            raise ambiguous_error(record, where)
    if len(find_payloads(members)) > 1:
        raise ambiguous_error(record, where)
    return TarRecord(record.key, members)


def ambiguous_error(record: TarRecord, where: str) -> DataError:
    rule = "A record of a tar is a payload and its label with one name up to the first dot: 0001.jpg, 0001.cls."
    received = f"{show_members(record)}, which can't be paired in one way"
    fix = "Rename the members: put _ in place of the dots in their names, as in IMG_1_2024.jpg."
    return DataError(rule, received=received, where=where, fix=fix)


def show_members(record: TarRecord) -> str:
    return some((repr(member.name[:100]) for member in record.members.values()), 2)
