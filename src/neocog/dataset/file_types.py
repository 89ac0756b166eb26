"""The file types that are read, by kind of data: the suffixes of their names and their first bytes. The one list."""

from typing import NamedTuple

__all__ = ["FILE_TYPES", "SUFFIXES", "FileType", "file_type"]


class FileType(NamedTuple):
    """One type of file."""

    kind: str
    """The kind of data, as a modality is called."""
    suffixes: tuple[str, ...]
    """The usual one first."""
    starts: tuple[bytes, ...] = ()
    """First bytes, any of them."""


FILE_TYPES = {
    "JPEG": FileType("image", (".jpg", ".jpeg", ".jpe", ".jfif"), (b"\xff\xd8\xff",)),
    "PNG": FileType("image", (".png",), (b"\x89PNG\r\n\x1a\n",)),
    "BMP": FileType("image", (".bmp",), (b"BM",)),
    "WEBP": FileType("image", (".webp",)),  # RIFF....WEBP
    "TIFF": FileType("image", (".tif", ".tiff"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    "NPY": FileType("image", (".npy",), (b"\x93NUMPY",)),
    "WAV": FileType("audio", (".wav",)),  # RIFF....WAVE and its relatives, see `neocog.modalities.audio.wav`
    "FLAC": FileType("audio", (".flac",), (b"fLaC",)),
    "OGG": FileType("audio", (".ogg",), (b"OggS",)),
    # An ID3 tag, or the first frame: MPEG 1, 2 or 2.5, layer III, with a checksum or without.
    "MP3": FileType("audio", (".mp3",), (b"ID3", *(bytes((0xFF, end)) for end in b"\xfb\xfa\xf3\xf2\xe3\xe2"))),
    "text": FileType("text", (".txt",)),
    "CSV": FileType("signal", (".csv",)),
    "SGF": FileType("board", (".sgf",)),
}


SUFFIXES = {
    kind: frozenset(suffix for known in FILE_TYPES.values() if known.kind == kind for suffix in known.suffixes)
    for kind in ("image", "signal", "audio", "text", "board")
}
"""The suffixes of files, by kind of data."""
SUFFIXES["signal"] |= {".npy"}


def file_type(start: bytes) -> str | None:
    """The type of a file, by its first bytes; None for others, and for those without any, such as text.

    >>> file_type(b"\\x89PNG\\r\\n\\x1a\\n"), file_type(b"RIFF\\0\\0\\0\\0WEBP"), file_type(b"<html>")
    ('PNG', 'WEBP', None)
    """
    if start.startswith(b"RIFF"):
        return {b"WEBP": "WEBP", b"WAVE": "WAV"}.get(start[8:12])
    return next((name for name, known in FILE_TYPES.items() if known.starts and start.startswith(known.starts)), None)
