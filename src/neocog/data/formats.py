"""The layouts in which data sets come: how each is recognised, and how it is opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from neocog.data.known import KNOWN
from neocog.data.record import Source
from neocog.data.sources.cifar import find_cifar, open_cifar
from neocog.data.sources.folder import ImageFolder, holds_pictures
from neocog.data.sources.idx import find_idx, open_idx
from neocog.data.sources.npz import holds_pictures_npz, open_npz

__all__ = ["FORMATS", "Format", "recognise"]


@dataclass(frozen=True, slots=True)
class Format:
    """A layout. `recognises` looks at names and first bytes alone and must be quick; `opens` reads and checks."""

    name: str
    """What `--data.format` takes."""
    what: str
    """The layout in a few words, as a user would say it."""
    recognises: Callable[[Path], bool]
    opens: Callable[[Path], Source]


def open_idx_folder(path: Path) -> Source:
    known = KNOWN.get(path.name)
    return open_idx(path, find_idx(path), known.classes if known else None)


def open_cifar_folder(path: Path) -> Source:
    found = find_cifar(path)
    assert found, "recognised before"
    return open_cifar(path.name, *found)


FORMATS = (
    Format("idx", "idx files", lambda path: path.is_dir() and bool(find_idx(path)), open_idx_folder),
    Format("cifar", "CIFAR's binary files", lambda path: path.is_dir() and bool(find_cifar(path)), open_cifar_folder),
    Format("npz", "pictures in an .npz file", holds_pictures_npz, open_npz),
    Format("image-folder", "pictures in a folder for each class", holds_pictures, ImageFolder),
)
"""More than one may recognise a path; then the user says which is meant."""


def recognise(path: Path) -> list[Format]:
    """All layouts that a path can be read as."""
    return [layout for layout in FORMATS if layout.recognises(path)]
