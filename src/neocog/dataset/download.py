"""Fetching a published data set: its files, unpacked, in a folder that appears when it is complete."""

import tarfile
from pathlib import Path, PureWindowsPath

from neocog.errors import DataError
from neocog.files import Remote, fetch, storage_errors, whole_file

__all__ = ["download_set"]

CHUNK = 2**16


def download_set(files: tuple[Remote, ...], folder: Path) -> Path:
    """Fetch all files, unpack what is packed, and return the folder, which appears when it is complete."""
    coming = folder.with_name(f".{folder.name}.coming")
    with storage_errors(folder):
        coming.mkdir(parents=True, exist_ok=True)
    for remote in files:
        path = fetch(remote, coming / remote.name)
        if path.name.endswith(".tar.gz"):
            unpack(path, coming)
            path.unlink()
    with storage_errors(folder):
        return coming.rename(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Write a tar's plain files below `folder`. Raises DataError for a path that would leave it, and for links."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = PureWindowsPath(member.name)  # which knows the ways of POSIX too
            if inner.anchor or ".." in inner.parts:
                raise DataError(
                    f"{archive.name} holds a path that leaves its folder: {member.name!r}. It is not unpacked."
                )
            if not member.isdir() and (not member.isfile() or member.issparse()):
                raise DataError(
                    f"{archive.name} holds a link, a device or a sparse file: {member.name!r}. It is not unpacked."
                )
            content = tar.extractfile(member)
            if content is not None:
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(target) as file:
                    while chunk := content.read(CHUNK):
                        file.write(chunk)
