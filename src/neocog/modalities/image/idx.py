"""The idx format of MNIST and its relatives: a magic number, the sizes, the values; plain or gzipped.

Layout: two zero bytes, a type code, the number of axes; then each size as a big-endian 32-bit integer; then the values.
Source: the format's description on the MNIST page of LeCun, Cortes and Burges.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.files import check_inflation, read_at_most
from neocog.dataset.labels import MAX_CLASSES
from neocog.errors import DataError, some
from neocog.modalities.image.arrays import ArraySource

__all__ = ["is_idx", "open_idx", "read_idx"]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NAME = re.compile(r"(?P<stem>.*)(?P<kind>images|labels)[-.]idx(?P<axes>[13])-ubyte(\.gz)?$")
MAX_BYTES = 2**36
MAX_MAPPING = 2**20
FETCH = "Fetch it again."


def read_idx(path: Path) -> NDArray[np.generic]:
    """The array that an idx file holds, in the machine's byte order.

    Raises DataError for a wrong magic number, and for a file that is shorter or longer than its sizes say.
    """
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in DTYPES or not 1 <= head[3] <= 4:
                rule = "An idx file starts with two zero bytes, a type code and the number of axes."
                raise DataError(rule, received=head.hex(" ") or "nothing", where=str(path), fix=FETCH)
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise DataError(f"{path} is truncated: it ends within its header.", fix=FETCH)
            shape = struct.unpack(f">{head[3]}I", sizes)
            dtype = np.dtype(DTYPES[head[2]])
            expected = math.prod(shape) * dtype.itemsize
            if expected > MAX_BYTES:
                raise DataError(f"{path} says that it holds {expected:,} bytes, more than {MAX_BYTES:,}.")
            if packed:
                check_inflation(expected, path.stat().st_size)
            content = read_at_most(cast(IO[bytes], file), expected + 1)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is truncated or damaged: {error}.", fix=FETCH) from error
    if len(content) != expected:
        short = len(content) < expected
        state, found = ("truncated", "") if short else ("longer than its header says", "over ")
        found += f"{len(content) if short else expected:,}"
        rule = f"{path} is {state}. Its header promises {' x '.join(map(str, shape))} values, {expected:,} bytes."
        raise DataError(rule, received=found, fix=FETCH)
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def find_idx(folder: Path) -> dict[str, dict[str, Path]]:
    """The idx files of a folder as split -> kind -> path; a plain file takes precedence over its gzipped twin."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir(), reverse=True):
        match = NAME.match(path.name)
        if match and path.is_file():
            stem = match["stem"].lower()
            split = "test" if "t10k" in stem or "test" in stem else "val" if "val" in stem else "train"
            plain = found.setdefault(split, {}).get(match["kind"])
            if plain and plain.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
                both = f"{plain.name} and {path.name} both hold the {match['kind']} of {split}"
                fix = "Give each set a folder of its own."
                raise DataError(f"{folder} can be read in two ways: {both}.", fix=fix)
            found[split][match["kind"]] = path
    return {split: found[split] for split in ("train", "val", "test") if split in found}


def is_idx(path: Path) -> bool:
    """Whether this is a folder with idx files."""
    return path.is_dir() and bool(find_idx(path))


def open_idx(folder: Path, classes: tuple[str, ...] | None = None) -> ArraySource:
    """The source that a folder's idx files make. Without `classes`, a mapping file beside them may name them."""
    files = find_idx(folder) if folder.is_dir() else None
    if not files:
        rule = "Idx files are pairs such as train-images-idx3-ubyte and train-labels-idx1-ubyte."
        raise DataError(f"{rule} {folder} holds none.", fix="Check the path, or leave out --data.format.")
    parts = {}
    for split, kinds in files.items():
        if len(kinds) != 2:
            found = f"{folder} has {next(iter(kinds.values())).name} for {split}, not its partner"
            raise DataError(f"Images and labels come as two idx files. {found}.")
        parts[split] = (read_idx(kinds["images"]), read_idx(kinds["labels"]))
    mapping = None if classes else find_mapping(folder, files)
    names = read_mapping(mapping) if mapping else {}
    place = np.full(max(names, default=-1) + 1, -1)
    place[list(names)] = np.arange(len(names))
    for split, (images, labels) in parts.items():
        if not mapping or labels.dtype.kind not in "iu":
            continue  # the latter are refused below
        unnamed = [label for label in np.unique(labels).tolist() if label not in names]
        if unnamed:
            rule = f"A mapping names each label. {mapping} has no line for {some(unnamed)}, of {split}."
            raise DataError(rule, fix="Add them, or move the mapping away.")
        parts[split] = (images, place[labels.astype(np.int64)])
    source = ArraySource(folder.name, parts, tuple(names.values()) or classes, format="idx")  # type: ignore[arg-type]
    source.notices = (*([f"{mapping.name} names the classes"] if mapping else ()), *source.notices)
    return source


def find_mapping(folder: Path, files: Mapping[str, Mapping[str, Path]]) -> Path | None:
    """The file that names the labels, as EMNIST's emnist-letters-mapping.txt, if its name begins as the idx files'."""
    stems = {path.name for kinds in files.values() for path in kinds.values()}
    found = [path for path in folder.glob("[!.]*-mapping.txt") if path.is_file()]
    fitting = [path for path in found if all(stem.startswith(path.name.removesuffix("mapping.txt")) for stem in stems)]
    return fitting[0] if len(fitting) == 1 else None


def read_mapping(path: Path) -> dict[int, str]:
    """The name of each label, sorted by label: on each line a label, and the code points of one or more characters.

    Source: the files of EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373), in which `1 65 97` stands for
    both A and a; its name is A/a. Raises DataError for any other line.
    """
    names: dict[int, str] = {}
    try:
        with path.open(encoding="ascii") as file:
            lines = file.read(MAX_MAPPING).splitlines()
        for line in filter(str.strip, lines):
            label, *codes = map(int, line.split())
            if not 0 <= label < MAX_CLASSES or label in names or not codes:
                raise ValueError(f"the line {line!r}")
            names[label] = "/".join(map(chr, codes))
    except (OSError, ValueError, OverflowError) as error:
        rule = "A mapping has a label and code points on each line, such as 1 65 97, and each label once."
        fix = "Fetch it again, or move it away."
        raise DataError(f"{rule} {path} can't be read as one: {error}.", fix=fix) from error
    if not names or not all(name.isprintable() for name in names.values()):
        raise DataError(f"A mapping names labels by characters. {path} has none, or unprintable ones.")
    if len(set(names.values())) < len(names):
        raise DataError(f"Each class needs a name of its own. {path} gives two labels the same characters.")
    return dict(sorted(names.items()))
