"""From a path or a name to a source: which of the known layouts is it?"""

from pathlib import Path

from neocog.data.cifar import find_cifar, open_cifar
from neocog.data.folder import ImageFolder
from neocog.data.idx import find_idx, open_idx
from neocog.data.known import KNOWN, find_data
from neocog.data.npz import open_npz
from neocog.data.record import Source
from neocog.errors import DataError

__all__ = ["open_source"]


def open_source(data: str | Path, *, download: bool = False) -> Source:
    """Open a data set by path, or by name.

    Understood are a folder of idx files, CIFAR's binary version, an .npz file, and folders of pictures. With
    `download`, a known set that is nowhere on this machine is fetched from its official address.
    Raises DataError where nothing is there, or nothing that is understood.

    >>> source = open_source("mnist")
    >>> len(source), source.read(0).payload.shape
    (70000, (28, 28))
    """
    path = find_data(data, download=download)
    if path.is_file() and path.suffix == ".npz":
        return open_npz(path)
    if not path.is_dir():
        raise DataError(f"A data set is a folder or an .npz file. Received: {path}. Give the folder that holds it.")
    idx = find_idx(path)
    if idx:
        known = KNOWN.get(path.name)
        return open_idx(path, idx, known.classes if known else None)
    cifar = find_cifar(path)
    if cifar:
        return open_cifar(path.name, *cifar)
    if not any(path.iterdir()):
        raise DataError(
            f"{path} is empty. Put pictures at {path}/train/CLASS/*.png or {path}/CLASS/*.png, or idx or CIFAR files."
        )
    return ImageFolder(path)
