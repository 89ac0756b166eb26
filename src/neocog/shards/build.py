"""Building an index from shards: each is scanned once, and its labels are numbered."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.labels import MAX_CLASSES
from neocog.dataset.record import LeftOut, absent_classes, other_split, unlabelled_samples, unlabelled_split
from neocog.errors import DataError, some
from neocog.progress import track
from neocog.shards.contents import MAX_TEXT, read_text
from neocog.shards.index import Header, IndexWriter, Shard
from neocog.shards.leftovers import count_names
from neocog.shards.names import ShardFiles, Split
from neocog.shards.scan import ColumnScanner, ScannedRecord, TarScanner
from neocog.shards.store import Store

__all__ = ["CLASSES", "index_shards", "read_classes"]

CLASSES = "classes.txt"
OUT_OF_RANGE = "Labels number the classes from 0 to {:,}."
MINUS = "If it means a hidden label, remove these records, or give the classes names; else number the classes again."


def index_shards(files: ShardFiles, folder: Path, *, packed: Header | None = None) -> Header:
    """Write the index of these shards into a folder, and give its header.

    `packed` tells of a set that we packed what its shards don't: task, classes, hashes. Raises DataError for shards
    that are damaged, for records without payload or class, and for keys that are not unique.
    """
    with IndexWriter(folder) as writer:
        indexing = Indexing(files, writer, packed)
        for name, split in track(files.splits.items(), "indexing shards", len(files.splits)):
            indexing.add_shard(name, split)
        return indexing.finish()


class Indexing:
    """An index while it is written: the shards so far, their labels, and the records without one, left out."""

    def __init__(self, files: ShardFiles, writer: IndexWriter, packed: Header | None) -> None:
        self.files, self.writer, self.packed = files, writer, packed
        self.scanner = TarScanner(files, packed) if files.container == "tar" else ColumnScanner(files, packed)
        known = packed.classes if packed else read_classes(files.store)
        self.listed = known is not None
        self.labels: Labels | None = Labels(known, as_lines=not packed) if known is not None else None
        self.labelled: set[Split] = set()  # splits in which a record has a label
        self.unlabelled: Counter[Split] = Counter()  # records without one, by split
        self.faults: dict[Split, DataError] = {}
        self.hashes = {shard.name: shard.sha256 for shard in packed.shards} if packed else {}
        self.shards: list[Shard] = []

    def add_shard(self, name: str, split: Split) -> None:
        """The records of one shard, which is left out if none has a label."""
        before, missing = self.writer.count, self.unlabelled[split]
        groups: Counter[int] = Counter()
        for record in self.scanner.scan(name, split):
            if self.add(record, split) and self.scanner.grouped:
                groups[record.offset] += 1
        size, records = self.files.store.stat(name).size, self.writer.count - before
        if records or self.unlabelled[split] == missing:
            rows, digest = tuple(groups.values()), self.hashes.get(name)
            self.shards.append(Shard(name=name, split=split, size=size, records=records, groups=rows, sha256=digest))

    def add(self, record: ScannedRecord, split: Split) -> bool:
        """Whether a record has a label, with which it is written. Raises DataError if others of its split have one."""
        minus = record.label == -1 and self.packed is None
        if record.label is None or minus:
            fault = record.fault
            if minus and not self.listed and split in ("all", "train"):  # where -1 could be one of the classes
                rule = "Labels number the classes from 0."
                fault = DataError(rule, received="-1", where=record.where, fix=MINUS)
            self.unlabelled[split] += 1
            if fault:
                self.faults.setdefault(split, fault)
        else:
            self.labelled.add(split)
        if split in self.faults and (split in self.labelled or split in ("all", "train")):
            raise self.faults[split]
        if record.label is None or minus:
            return False
        self.labels = self.labels or Labels(self.scanner.classes)
        label = -1 if record.label == -1 else self.labels.number(record.label, split, record.where)
        self.writer.add(record.key, len(self.shards), record.offset, record.length, label, record.row)
        return True

    def finish(self) -> Header:
        """Complete the index. Raises DataError if there are no records, or none to train on."""
        files, columns = self.files, self.scanner.columns
        left_out = [*self.tell_unlabelled(), *self.tell_other_splits()]
        if self.labels is None or not self.writer.count:
            raise DataError(f"A set needs at least one record. The shards at {files.store.root} hold none.")
        header = self.packed or Header(
            name=files.name, container=files.container, modality=self.scanner.modality or "image",
            task="classification", classes=(), shards=(), arrays={},
        )  # fmt: skip
        classes, mapping = self.labels.finish()
        notices = (*files.notices, *self.scanner.notices(), *self.labels.notices)
        if header.task == "classification":
            seen = {split: np.array(sorted(numbers), np.int64) for split, numbers in self.labels.found.items()}
            notices += absent_classes(classes, seen if mapping is None else {k: mapping[n] for k, n in seen.items()})
        if header.unlabelled:
            notices += (f"the set that was packed had no labels in {some(header.unlabelled)}",)
        header = replace(
            header, payload=columns.payload if columns else None, label=columns.label if columns else None,
            shards=tuple(self.shards), classes=classes, notices=notices,
            unlabelled=tuple(k for k in self.unlabelled if k not in self.labelled) or header.unlabelled,
            left_out=tuple((str(notice), notice.num_samples) for notice in left_out),
        )  # fmt: skip
        return self.writer.finish(header, mapping)

    def tell_unlabelled(self) -> Iterator[LeftOut]:
        """A notice of each split with records without a label. Raises DataError if there is nothing to train on."""
        for split, count in self.unlabelled.items():
            if split in ("all", "train") and split not in self.labelled:
                received, where = f"none in all {count:,} training records", self.files.store.root
                fix = "Write the labels, or name the files with labels."
                raise DataError("Each record needs a label.", received=received, where=where, fix=fix)
            yield (unlabelled_samples if split in self.labelled else unlabelled_split)(split, count)

    def tell_other_splits(self) -> Iterator[LeftOut]:
        """A notice of each split that is not train, val or test, with the number of its records."""
        passed, aside, count = self.files.passed, self.files.aside, self.scanner.count
        for split in sorted(set(passed.values())):
            yield other_split(split, sum(count(name) for name, called in passed.items() if called == split))
        if aside:
            said = f"shards in folders that are not called train, val or test are not read: {count_names(aside)}"
            try:
                total = sum(map(count, aside))
            except DataError as error:  # they are not read, and so may be damaged
                yield LeftOut(f"{said}; their records can't be counted: {error}", 0)
            else:
                yield LeftOut(f"{said}, with {total:,} records", total)


def read_classes(store: Store) -> tuple[str, ...] | None:
    """The lines of classes.txt beside the shards, if there is one."""
    if CLASSES not in store.names():
        return None
    text = read_text(store.read(CLASSES, 0, MAX_TEXT), f"{store.root}/{CLASSES}")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


class Labels:
    """Numbers each label. Without `classes` that is by its first appearance, until all are known.

    `classes` are the names of numbers; with `as_lines`, lines of classes.txt, which a label may number or name.

    >>> labels = Labels()
    >>> [labels.number(name, "train", "") for name in ("dog", "cat", "dog")]
    [0, 1, 0]
    >>> labels.finish()
    (('cat', 'dog'), array([1, 0]))
    """

    def __init__(self, classes: Sequence[str] | None = None, *, as_lines: bool = False) -> None:
        if classes is not None and len(set(classes)) < len(classes):
            raise DataError("Each class needs a name of its own.", received=some(classes, 20))
        self.classes, self.as_lines = classes, as_lines
        self.place = {name: k for k, name in enumerate(classes or ())}
        self.written: dict[int | str, int] = {}  # each label as it is written, and its number until the end
        self.kinds: set[type] = set()
        self.found: dict[str, set[int]] = {}  # the numbers that occur, by split
        self.notices: tuple[str, ...] = ()

    def number(self, label: int | str, split: str, where: str) -> int:
        """The number of a label. Raises DataError if numbers and names are mixed, or it is out of range."""
        if label not in self.written:
            self.check(label, where)
        number = self.written.setdefault(label, len(self.written))
        if self.classes is not None and not self.as_lines:
            number = label if isinstance(label, int) else self.place[label]
        self.found.setdefault(split, set()).add(number)
        return number

    def check(self, label: int | str, where: str) -> None:
        """Raises DataError for a label that doesn't fit to those before."""
        if self.classes is None and (isinstance(label, int) or not is_padded(label)):
            self.kinds.add(type(label))
            if len(self.kinds) > 1:
                received = f"{label!r} after the other kind"
                raise DataError("Labels are all numbers or all names.", received=received, where=where)
        if isinstance(label, int):
            limit = MAX_CLASSES if self.classes is None else len(self.classes)
            if not 0 <= label < limit and str(label) not in self.place:
                raise DataError(OUT_OF_RANGE.format(limit - 1), received=str(label), where=where)
            return
        listed = label in self.place or (self.as_lines and is_padded(label) and int(label) < len(self.place))
        if (self.classes is not None and not listed) or len(self.written) >= MAX_CLASSES:
            known = self.classes if self.classes is not None else tuple(self.written)
            rule = f"A label is one of the {len(known):,} classes: {some(known)}."
            fix = "Add it to classes.txt, or fix the record."
            raise DataError(rule, received=repr(label[:100]), where=where, fix=fix)

    def finish(self) -> tuple[tuple[str, ...], NDArray[np.int64] | None]:
        """The classes, sorted if nobody has numbered them, and the final number for each one given before."""
        if self.classes is not None:
            return tuple(self.classes), self.match_lines() if self.as_lines else None
        names = list(map(str, self.written))
        if all(isinstance(label, int) for label in self.written):
            values = list(map(int, names))
            if unused := sorted(set(range(max(values) + 1)) - set(values)):
                self.notices = (f"labels without a sample are not classes: {some(unused)}",)
            return tuple(map(str, sorted(values))), np.argsort(np.argsort(values))
        padded = all(isinstance(label, int) or is_padded(label) for label in self.written)
        ordered = sorted(names, key=lambda name: (int(name), name)) if padded else sorted(names)
        place = {name: k for k, name in enumerate(ordered)}
        return tuple(ordered), np.array([place[name] for name in names], np.int64)

    def match_lines(self) -> NDArray[np.int64]:
        """The line of classes.txt that each label means: the one that it names, or the one that it numbers.

        Raises DataError if both could be meant, or two labels number one line.
        """
        assert self.classes is not None
        numbers = {label: int(label) for label in self.written if isinstance(label, int) or label not in self.place}
        named = all(str(label) in self.place for label in numbers)
        numbering = all(number < len(self.place) for number in numbers.values())
        differ = next((k for k in numbers if self.place.get(str(k), numbers[k]) != numbers[k]), None)
        if numbers and named and numbering and differ is not None:
            line = f"number {differ}, counted from 0, which is {self.classes[numbers[differ]]!r}"
            rule = f"classes.txt can be read in two ways: the label {differ} may be the class of this name, or {line}."
            raise DataError(rule, fix="Give the classes names that are not numbers.")
        if not numbering and not named:
            raise DataError(OUT_OF_RANGE.format(len(self.place) - 1), received=str(max(numbers.values())))
        found, places = dict[int, int | str](), list[int]()
        for label in self.written:
            by_name = label not in numbers or not numbering
            places.append(place := self.place[str(label)] if by_name else numbers[label])
            other = found.setdefault(place, label)
            if other != label:
                received = f"{other!r} and {label!r}, which both are line {place + 1} of classes.txt"
                raise DataError("Two labels may not mean one class.", received=received, fix="Write them in one way.")
        return np.array(places, np.int64)


def is_padded(label: str) -> bool:
    """Whether a text is a number with leading zeros.

    >>> is_padded("007"), is_padded("7"), is_padded("1_0")
    (True, False, False)
    """
    return label.isascii() and label.isdecimal() and len(label) < 19 and str(int(label)) != label
