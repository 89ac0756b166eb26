"""The container of a bundle: a zip of a few known members, uncompressed, with a seal over every byte.

The seal is the zip's comment, the last bytes of the file: `sha256:` and the SHA-256 of all that precedes it.
Nothing is ever extracted to disk.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from neocog.errors import BundleError, some
from neocog.files import write_whole

__all__ = ["MEMBERS", "read_sealed", "write_sealed"]

MEMBERS = ("manifest.json", "weights.safetensors", "golden.safetensors")
SEAL = b"sha256:"
SEAL_LENGTH = len(SEAL) + 64
PICKLE_ENDINGS = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
MAX_BYTES = 2**34
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


def write_sealed(path: Path, members: Mapping[str, bytes]) -> None:
    """Write the members and the seal, whole or not at all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in MEMBERS:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), members[name])
        archive.comment = SEAL + b"0" * 64
    body = buffer.getvalue()[:-SEAL_LENGTH]
    write_whole(path, body + SEAL + hashlib.sha256(body).hexdigest().encode())


def read_sealed(path: Path) -> dict[str, bytes]:
    """The members of a bundle, each byte checked.

    Raises BundleError for a file that is missing, is not a zip, has a path that leaves its folder, contains pickle, has
    other members than a bundle, is compressed or huge, or was changed by a single byte.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BundleError(
                f"A bundle has at most {MAX_BYTES:,} bytes.", received=f"{path.stat().st_size:,}", where=str(path)
            )
        content = path.read_bytes()
    except OSError as error:
        inner = path / "model.neocog"
        fix = f"Give {inner}." if inner.is_file() else "Give the path of a model.neocog."
        raise BundleError(f"{path} can't be read: {error.strerror}.", fix=fix) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            check_names(path, archive)
            check_seal(path, content)
            return {name: archive.read(name) for name in MEMBERS}
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
        if (kind := describe_other(path, content)) is not None:
            raise BundleError(f"A network is loaded from a model.neocog. {kind}") from error
        raise BundleError(
            f"A bundle is a zip file, but {path} is not, or it is damaged: {error}.",
            fix="Copy it again from its run folder.",
        ) from error


def describe_other(path: Path, content: bytes) -> str | None:
    """The kind of a file that is not a zip, if it is known, and what to give instead."""
    from neocog.zoo.weights.other_kinds import is_safetensors, other_kind  # with a dozen files that few calls need

    if content.startswith(b"PK"):
        return None
    if is_safetensors(path):
        return f"{path} holds only weights, without classes and preprocessing. Give the model.neocog of its run."
    return other_kind(path)


def check_names(path: Path, archive: zipfile.ZipFile) -> None:
    """Raises BundleError for members that a bundle never has, and names the dangerous ones."""
    for member in archive.infolist():
        inner = PurePosixPath(member.filename.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or ":" in member.filename:
            raise BundleError(
                f"{path} holds a path that leaves its folder: {member.filename!r}.", fix="Do not trust this file."
            )
        if inner.suffix.lower() in PICKLE_ENDINGS:
            raise BundleError(
                f"{path} contains pickle ({member.filename}), which can run code. Neocog never loads it.",
                fix="Do not trust this file, or save its weights as safetensors.",
            )
    names = [member.filename for member in archive.infolist()]
    if sorted(names) != sorted(MEMBERS):
        received = some(names, 5) or "nothing"
        raise BundleError(f"A bundle holds {', '.join(MEMBERS)}.", received=received, where=str(path))
    if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
        raise BundleError(
            "The members of a bundle are not compressed.", received="compressed members, so not a file of Neocog's",
            where=str(path),
        )  # fmt: skip


def check_seal(path: Path, content: bytes) -> None:
    """Raises BundleError if the file is not exactly what was sealed."""
    body, seal = content[:-SEAL_LENGTH], content[-SEAL_LENGTH:]
    if seal != SEAL + hashlib.sha256(body).hexdigest().encode():
        raise BundleError(
            f"{path} was changed or damaged after it was written: its SHA-256 is not the one that it is sealed with.",
            fix="Copy it again from its run folder.",
        )
