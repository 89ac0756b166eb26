"""Word vectors from a file: word2vec's text and binary formats, and GloVe's text format.

| format          | first line                      | each word                                               |
|-----------------|---------------------------------|---------------------------------------------------------|
| word2vec text   | number of words, size of each   | a line: the word, then its numbers, separated by spaces |
| word2vec binary | the same                        | the word, a space, 32-bit floats, perhaps a line break  |
| GloVe text      | that of a word                  | as in word2vec text                                     |

All three may be packed with gzip. In the text formats a word may hold spaces, as in `New York 0.1 0.2`: a line is read
from its right, where the numbers are. The file is read once, and only the vectors of a vocabulary are kept.
Sources: Mikolov et al. 2013, https://arxiv.org/abs/1301.3781, and its program; Pennington et al. 2014, "GloVe".
"""

import codecs
import functools
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.modalities.text.tokens import composed

__all__ = ["FoundVectors", "find_layout", "read_vectors"]

HEAD = 2**18  # bytes from which the layout is recognised
CHUNK = 2**20  # bytes of a binary file that are read at once
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")
RULE = (
    "Word vectors are a text or binary file of word2vec, or a text file of GloVe: a word and its numbers in each line."
)


class Layout(NamedTuple):
    """The layout of a file of word vectors."""

    size: int
    """Numbers of a vector."""
    num_words: int | None
    """As its header states; None: it has no header."""
    binary: bool


@dataclass(frozen=True, slots=True)
class FoundVectors:
    """The vectors that a file has for the words of a vocabulary."""

    values: NDArray[np.float32]
    """(V, size), in the order of the vocabulary; zeros for a word that is not in the file."""
    found: NDArray[np.bool_]
    """(V,)"""
    num_words: int
    """Of the file."""
    num_repeated: int
    """Words of the vocabulary that came once more; the first vector of each is kept."""


def read_vectors(path: str | Path, vocabulary: Iterable[str]) -> FoundVectors:
    """The vectors of these words, which are compared letter by letter, in Unicode's composed form.

    The result of the last call is kept, since a search trains several networks that start with the same vectors.
    Raises DataError, with the number of the line, for one that is damaged; for a file that has another format, is
    truncated, or has more or fewer words than it states.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "vectors.txt"
    >>> _ = path.write_text("film 0.5 1\\nNew York 2 3\\nfilm 4 4\\n")
    >>> found = read_vectors(path, ["good", "film", "New York"])
    >>> found.values.tolist(), found.found.tolist(), found.num_words, found.num_repeated
    ([[0.0, 0.0], [0.5, 1.0], [2.0, 3.0]], [False, True, True], 3, 1)
    """
    place = Path(path)
    with explain(place):
        changed = place.stat().st_mtime_ns
    return read_once(place, changed, tuple(vocabulary))


@functools.lru_cache(maxsize=1)
def read_once(path: Path, changed: int, vocabulary: tuple[str, ...]) -> FoundVectors:
    layout = find_layout(path)
    found = Collected(path, layout.size, vocabulary)
    with open_file(path) as file:
        if layout.num_words is not None:
            file.readline()
        count = (read_binary if layout.binary else read_text)(file, layout, found)
    if layout.num_words not in (None, count):
        raise DataError(
            f"The header of a file of word vectors says how many there are, which is {layout.num_words:,} here.",
            received=f"{count:,}", where=str(path), fix="Fetch it again: it is likely truncated or damaged.",
        )  # fmt: skip
    for array in (found.values, found.there):
        array.flags.writeable = False
    return FoundVectors(found.values, found.there, count, found.num_repeated)


class Collected:
    """The vectors found so far."""

    def __init__(self, path: Path, size: int, vocabulary: tuple[str, ...]) -> None:
        self.path, self.num_repeated = path, 0
        self.ids = {word: k for k, word in enumerate(vocabulary)}
        self.values = np.zeros((len(vocabulary), size), np.float32)
        self.there = np.zeros(len(vocabulary), np.bool_)

    def wanted(self, word: bytes) -> int | None:
        """The place of a word in the vocabulary; None if it is not in it, or has its vector."""
        text = word.decode(errors="replace")
        k = self.ids.get(text if text.isascii() else composed(text))
        if k is not None and self.there[k]:
            self.num_repeated += 1
            return None
        return k

    def keep(self, k: int, vector: NDArray[np.floating], where: str) -> None:
        """Raises DataError for a number that is not finite in single precision."""
        bad = ~(np.abs(vector) <= np.finfo(np.float32).max)
        if bad.any():
            raise damaged(self.path, where, f"the number {vector[bad][0]}")
        self.values[k], self.there[k] = vector, True


def read_text(file: IO[bytes], layout: Layout, found: Collected) -> int:
    """Read the lines of words; returns how many there are. Empty lines are skipped."""
    count = 0
    for number, line in enumerate(file, 1 if layout.num_words is None else 2):
        if not (written := line.rstrip()):
            continue
        parts = split_line(written, layout.size)
        if parts is None:
            received = f"{len(written.split()):,} fields, {written[:60].decode(errors='replace')!r}"
            raise damaged(found.path, f"line {number:,}", received, layout.size)
        count += 1
        if (k := found.wanted(parts[0])) is not None:
            found.keep(k, numbers_of(parts[1], found.path, number, layout.size), f"line {number:,}")
    return count


def split_line(line: bytes, size: int) -> tuple[bytes, bytes] | None:
    """A word, which may hold spaces or be one, and its numbers; None if there are not enough fields.

    >>> split_line(b"New York 0.1 0.2", 2), split_line(b"  0.1 0.2", 2), split_line(b"film 0.1", 2)
    ((b'New York', b'0.1 0.2'), (b' ', b'0.1 0.2'), None)
    """
    word, _, numbers = line.partition(b" ")
    if word and numbers.count(b" ") == size - 1:  # nearly every line, and much faster than what follows
        return word, numbers
    parts = line.rsplit(None, size)
    if len(parts) == size and line.startswith(b" "):
        parts.insert(0, b" ")
    return (parts[0], b" ".join(parts[1:])) if len(parts) == size + 1 else None


def numbers_of(text: bytes, path: Path, line: int, size: int) -> NDArray[np.float64]:
    """The numbers of a line; (size,). Raises DataError for one that is not a number."""
    values = []
    for part in text.split():
        try:
            values.append(float(part))
        except ValueError as error:
            raise damaged(path, f"line {line:,}", repr(part.decode(errors="replace")[:60]), size) from error
    if len(values) != size:  # two spaces in a row, where a number is missing
        raise damaged(path, f"line {line:,}", f"{len(values)} numbers", size)
    return np.array(values)


def read_binary(file: IO[bytes], layout: Layout, found: Collected) -> int:
    """Read the words and vectors of a binary file; returns how many there are, which may be fewer than stated."""
    count, length = 0, 4 * layout.size
    buffer, start = b"", 0
    while True:
        space = buffer.find(b" ", start)
        end = space + 1 + length
        if space < 0 or len(buffer) < end:
            more = file.read(CHUNK) if len(buffer) - start < CHUNK + length else b""
            if not more:
                break
            buffer, start = buffer[start:] + more, 0
            continue
        count += 1
        if (k := found.wanted(buffer[start:space].lstrip(b"\n"))) is not None:
            found.keep(k, np.frombuffer(buffer, "<f4", layout.size, space + 1), f"word {count:,}")
        start = end
    return count + bool(buffer[start:].strip(b"\n") and count == layout.num_words)


def find_layout(path: Path) -> Layout:
    """The layout of a file, by its beginning. Raises DataError if it is not one of word vectors.

    Two whole numbers in the first line are a header. Without one, the number of fields that most of the first lines
    have tells the size, since some words hold spaces.
    """
    with open_file(path) as file:
        head = file.read(HEAD)
    first, _, rest = head.partition(b"\n")
    fields = first.split()
    num_words: int | None = None
    binary = False
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        num_words, size = map(int, fields)
        binary = not begins_with_vector(rest, size) and not is_text(rest)
    else:
        lines = head.splitlines() if len(head) < HEAD else head.split(b"\n")[:-1]
        counts = Counter(len(line.split()) - 1 for line in lines if line.strip())
        size = counts.most_common(1)[0][0] if counts else 0
    if size < 1 or (num_words is None and not begins_with_vector(head, size)):
        received = repr(first[:60].decode(errors="replace")) if head else "an empty file"
        fix = "Unpack it." if head.startswith(b"PK\x03\x04") else "Check the path, or convert it."
        raise DataError(RULE, received=received, where=str(path), fix=fix)
    return Layout(size, num_words, binary)


def begins_with_vector(head: bytes, size: int) -> bool:
    """Whether the first line is a word and its numbers, or is damaged in a file whose second line is."""
    for line in head.split(b"\n", 2)[:2]:
        fields = line.split()
        try:
            if len([float(field) for field in fields[1:][-size:]]) == size:
                return True
        except ValueError:
            continue
    return False


def is_text(content: bytes) -> bool:
    """Whether the beginning of a file is UTF-8 without control characters, as the bytes of a few floats never are."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)  # a character may be cut at the end
    except UnicodeDecodeError:
        return False
    return CONTROL.search(content) is None


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    """A file, unpacked if it was packed with gzip. Raises DataError if it can't be read."""
    with explain(path), path.open("rb") as file:
        if file.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            yield file


@contextmanager
def explain(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into a DataError."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged: {error}.", fix="Fetch it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"The word vectors {path} can't be read: {reason}.", fix="Check the path.") from error


def damaged(path: Path, place: str, received: str, size: int | None = None) -> DataError:
    """The error for one word of a file."""
    numbers = "finite numbers" if size is None else f"{size} numbers"
    rule, fix = f"Each word of these vectors has {numbers}.", "Correct or remove it."
    return DataError(rule, received=received, where=f"{path}, {place}", fix=fix)
