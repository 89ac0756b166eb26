"""Where shards lie: a folder of this machine, or any address that fsspec reaches. Only ranges of bytes are read."""

import contextlib
import importlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from neocog.dataset.split_names import SPLIT_NAMES
from neocog.errors import DataError

__all__ = [
    "CONTAINERS",
    "SPLIT_FOLDERS",
    "Container",
    "LocalStore",
    "Store",
    "explain_failure",
    "import_package",
    "open_store",
]

Container = Literal["tar", "parquet", "arrow"]
KEPT_OPEN = 128  # files; those beyond are opened for each read, as systems allow a process about 1,000
LISTED = 1_000_000
CONTAINERS: dict[str, Container] = {".tar": "tar", ".parquet": "parquet", ".arrow": "arrow"}
SHARDS = tuple(CONTAINERS)
SPLIT_FOLDERS = {*SPLIT_NAMES, "data"}  # folders below the set's own in which shards may lie


class Stat(NamedTuple):
    """A file's size in bytes, and a time or a server's tag that changes with its content."""

    size: int
    stamp: str


class LocalStore:
    """A folder of this machine. Reading uses pread, which needs no position: it is safe from any thread."""

    chunk = 4096  # bytes to ask for at once while going through a file in small steps

    def __init__(self, root: Path) -> None:
        self.path, self.root = root, str(root)
        self.opened: dict[str, int] = {}
        self.lock = threading.Lock()
        weakref.finalize(self, close_all, self.opened)

    def __reduce__(self) -> tuple[type["LocalStore"], tuple[Path]]:
        return LocalStore, (self.path,)  # another process opens its own files

    def names(self) -> list[str]:
        """Files in the folder and in its folders that carry a split's name, sorted."""
        # Other folders are not listed: they may be classes of a million images.
        splits = [path for path in self.path.iterdir() if path.name.lower() in SPLIT_FOLDERS and path.is_dir()]
        found: list[str] = []
        for path in (path for folder in (self.path, *splits) for path in folder.iterdir()):
            if "=" in path.name or path.is_file():
                found += list_partition(self.path, path)
        return sorted(found)

    def stat(self, name: str) -> Stat:
        with explain_unreadable(self.path / name):
            found = (self.path / name).stat()
        return Stat(found.st_size, str(found.st_mtime_ns))

    def read(self, name: str, start: int, length: int) -> bytes:
        """These bytes, fewer at the file's end. Raises DataError if the file can't be read."""
        with explain_unreadable(f"{self.root}/{name}"):
            if (kept := self.opened.get(name)) is not None:
                return read_at(kept, start, length)
            with self.open_descriptor(name) as descriptor:
                return read_at(descriptor, start, length)

    @contextmanager
    def open_descriptor(self, name: str) -> Iterator[int]:
        """A file that is opened now. A kept one is never closed while the store lives: no other thread loses it."""
        descriptor = os.open(self.path / name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        with self.lock:
            keep = name not in self.opened and len(self.opened) < KEPT_OPEN
            if keep:
                self.opened[name] = descriptor
        try:
            yield descriptor
        finally:
            if not keep:
                os.close(descriptor)


def list_partition(root: Path, path: Path) -> Iterator[str]:
    """Shards below a folder of Hive's layout, COLUMN=VALUE, whose name tells a column; or a file with = in its name."""
    if path.is_file():
        yield path.relative_to(root).as_posix()
        return
    with os.scandir(path) as entries:  # tells files from folders without a look at each
        for entry in sorted(entries, key=lambda entry: entry.name):
            inner = path / entry.name
            if entry.name.endswith(SHARDS) or ("=" in entry.name and entry.is_dir()):
                yield from list_partition(root, inner)


def read_at(descriptor: int, start: int, length: int) -> bytes:
    """Bytes at a place. A single read gives at most 2 GiB, and fewer when it is interrupted."""
    pieces = []
    while length > 0 and (piece := PREAD(descriptor, min(length, 2**30), start)):
        pieces.append(piece)
        start, length = start + len(piece), length - len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def seek_and_read(descriptor: int, length: int, start: int) -> bytes:
    """As pread, one thread at a time, for systems without it."""
    with SEEKING:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, length)


SEEKING, PREAD = threading.Lock(), getattr(os, "pread", seek_and_read)


def close_all(opened: dict[str, int]) -> None:
    for descriptor in opened.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)


class explain_unreadable:  # noqa: N801 - a context manager, used as a word; a class for speed, as every read uses it
    """Turn the system's refusal to read into one sentence that names the file."""

    __slots__ = ("path",)

    def __init__(self, path: object) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if isinstance(error, OSError | OverflowError):  # the latter for a place that no file has
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.path} can't be read: {reason}.", fix="Check the path.") from error


class RemoteStore:
    """A folder behind an address, such as s3://bucket/folder or memory://folder."""

    chunk = 2**23

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        fsspec = import_package("fsspec", root)
        with explain_unreachable(root):
            self.files, base = fsspec.core.url_to_fs(self.root)
            self.base = str(base).rstrip("/")

    def __reduce__(self) -> tuple[type["RemoteStore"], tuple[str]]:
        return RemoteStore, (self.root,)

    def names(self) -> list[str]:
        with explain_unreachable(self.root):
            found = self.files.find(self.base, maxdepth=2)
            if not any(str(path).endswith(SHARDS) for path in found) and self.files.isdir(self.base):
                found += self.files.ls(self.base, detail=False)
            if any("=" in str(path).removeprefix(self.base) for path in found):  # folders of Hive's layout lie deeper
                found = self.files.find(self.base)
        if len(found) > LISTED:
            rule = f"A set has at most {LISTED:,} files. {self.root} has {len(found):,}."
            raise DataError(rule, fix="Name its folder.")
        return sorted(str(path).removeprefix(self.base).lstrip("/") for path in found if path != self.base)

    def stat(self, name: str) -> Stat:
        with explain_unreachable(f"{self.root}/{name}"):
            info = self.files.info(f"{self.base}/{name}")
            tags = (info.get(key) for key in ("ETag", "etag", "LastModified", "mtime", "created"))
            return Stat(int(info["size"]), "|".join(str(tag) for tag in tags if tag is not None))

    def read(self, name: str, start: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with explain_unreachable(f"{self.root}/{name}"):
            return bytes(self.files.cat_file(f"{self.base}/{name}", start=start, end=start + length))

    def open(self, name: str) -> BinaryIO:
        with explain_unreachable(f"{self.root}/{name}"):
            return cast(BinaryIO, self.files.open(f"{self.base}/{name}", "rb"))


Store = LocalStore | RemoteStore


def open_store(root: str | Path) -> Store:
    return RemoteStore(root) if isinstance(root, str) and "://" in root else LocalStore(Path(root))


@contextmanager
def explain_failure(where: str, *, problem: str, fix: str) -> Iterator[None]:
    """Services and pyarrow raise errors of many kinds; all of them mean that this address or file can't be read."""
    try:
        yield
    except DataError:
        raise
    except ImportError as error:
        raise missing_package_error(where, str(error)) from error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise DataError(f"{where} {problem}: {reason}.", fix=fix) from error


explain_unreachable = partial(explain_failure, problem="can't be read", fix="Check the address and your access to it.")


def import_package(package: str, where: object) -> Any:
    """A package that only large sets need. Raises DataError that says how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise missing_package_error(where, f"there is no {package}") from error


def missing_package_error(where: object, reason: str) -> DataError:
    rule = f"Reading {where} needs a package that is not installed: {reason}."
    return DataError(rule, fix="Install it: pip install neocog[scale].", kind="missing-package")
