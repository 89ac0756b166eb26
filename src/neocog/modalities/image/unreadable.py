"""Why no decoder reads a file: what it is, by its first bytes, and what to do about it."""

import re

from neocog.dataset.file_types import FILE_TYPES
from neocog.errors import DataError
from neocog.modalities.image.jpeg_frame import read_frame
from neocog.modalities.image.pages import PNG
from neocog.modalities.image.pixels import REPLACE, UnsupportedImageError, damaged

__all__ = ["not_the_file", "unreadable", "unsupported_jpeg"]

READ = "PNG, JPEG, BMP, WebP, TIFF or .npy"
OURS = {start: name for name in ("JPEG", "PNG", "BMP", "TIFF") for start in FILE_TYPES[name].starts}
BRANDS = {
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC", b"mif1": "HEIF",
    b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF", b"crx ": "Canon raw (CR3)", b"jp2 ": "JPEG 2000",
}  # fmt: skip
IMAGES: dict[str, tuple[bytes, ...]] = {
    "GIF": (b"GIF87a", b"GIF89a"), "Photoshop (PSD)": (b"8BPS",), "JPEG XL": (b"\0\0\0\x0cJXL ", b"\xff\x0a"),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), "JPEG XR": (b"II\xbc",), "icon (ICO)": (b"\0\0\1\0",),
    "PDF": (b"%PDF",), "PostScript (EPS)": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "Netpbm": (b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P7\n", b"P5 ", b"P6 "),
    "OpenEXR": (b"\x76\x2f\x31\x01",), "Radiance HDR": (b"#?RADIANCE", b"#?RGBE"), "QOI": (b"qoif",),
    "DDS": (b"DDS ",), "FITS": (b"SIMPLE  =",), "GIMP (XCF)": (b"gimp xcf",), "Fujifilm raw (RAF)": (b"FUJIFILM",),
    "Olympus raw (ORF)": (b"IIRO", b"IIRS", b"MMOR"), "Panasonic raw (RW2)": (b"IIU\0",),
}  # fmt: skip
OTHERS: dict[str, tuple[bytes, ...]] = {
    "an HDF5 file": (b"\x89HDF\r\n\x1a\n",), "a zip archive": (b"PK\3\4",), "a gzip archive": (b"\x1f\x8b",),
    "a RAR archive": (b"Rar!",), "a 7z archive": (b"7z\xbc\xaf",), "a Matroska or WebM video": (b"\x1a\x45\xdf\xa3",),
    "a macOS metadata file (AppleDouble)": (b"\0\5\x16\7",),
}  # fmt: skip
MARKUP = re.compile(rb"<(!doctype\s+html|html|head|body|svg|\?xml)", re.IGNORECASE)
CONVERT = "Convert it to PNG or JPEG."
RARE = {
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "a hierarchical JPEG"),
    0xCB: "a lossless JPEG with arithmetic coding",
    0xF7: "JPEG-LS",
}
"""The coding processes that libjpeg-turbo does not decode, by the marker of the frame."""


def unreadable(payload: bytes, where: str) -> DataError:
    """The error for a file whose header no decoder understands."""
    if odd := unsupported_jpeg(payload, where):
        return odd
    webp = payload.startswith(b"RIFF") and (payload[8:12] == b"WEBP" or len(payload) < 12)
    ours = "WebP" if webp else next((name for head, name in OURS.items() if payload.startswith(head)), None)
    if ours or (len(payload) < len(PNG) and PNG.startswith(payload)):
        promised = int.from_bytes(payload[4:8], "little") + 8 if ours == "WebP" else 0
        held = f"{len(payload):,} of {promised:,} bytes are there" if promised > len(payload) else ""
        return damaged(where, held, ours or "PNG")
    what, fix = identify_foreign(payload)
    return DataError(f"Images must be {READ}.", received=what, where=where, fix=fix)


def unsupported_jpeg(payload: bytes, where: str) -> DataError | None:
    """The error for an intact JPEG with an unsupported coding; None for all other files."""
    frame = read_frame(payload)
    if not frame:
        return None
    if frame.marker in RARE:
        what, fix = RARE[frame.marker], "Convert it to PNG, TIFF or an ordinary JPEG."
    elif frame.bits != 8:
        what, fix = f"{frame.bits} bits", "Convert it to PNG or TIFF of 16 bits, or to a JPEG of 8."
    elif frame.components not in (1, 3, 4):
        what, fix = f"{frame.components} components", "Convert it to PNG or TIFF."
    else:
        return None
    rule = "A JPEG must be baseline, progressive or lossless, of 8 bits, in grey, RGB or CMYK."
    return UnsupportedImageError(rule, received=what, where=where, fix=fix)


def identify_foreign(payload: bytes) -> tuple[str, str]:
    """The kind of a file that is not a supported image, and the fix."""
    brand = BRANDS.get(payload[8:12]) if payload[4:8] == b"ftyp" else None
    name = brand or next((name for name, heads in IMAGES.items() if payload.startswith(heads)), None)
    if name:
        return f"a file of the format {name}", CONVERT
    if payload[128:132] == b"DICM":
        return "a file of the format DICOM", "Convert it to PNG or TIFF of 16 bits."
    if MARKUP.search(payload[:1024]) and b"<svg" in payload[:4096].lower():
        return "a file of the format SVG", CONVERT
    if found := not_the_file(payload):
        return found
    if payload[4:8] == b"ftyp":
        return "a video (MP4)", "Save its frames as images, or remove it."
    return f"a file that is not an image and starts with {payload[:8]!r}", REPLACE


def not_the_file(payload: bytes) -> tuple[str, str] | None:
    """The kind of a file that was stored instead of an image or audio, and the fix; None if that is not known.

    >>> not_the_file(b"version https://git-lfs.github.com/spec/v1")
    ('a pointer of Git LFS, not the file itself', 'Run `git lfs pull`.')
    """
    if MARKUP.search(payload[:1024]):
        return "a web page or XML, perhaps from a failed download", f"Download it again, or {REPLACE.lower()}"
    if payload.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself", "Run `git lfs pull`."
    if payload and not payload.strip(b"\0"):
        return f"{len(payload):,} zero bytes", REPLACE
    other = next((name for name, heads in OTHERS.items() if payload.startswith(heads)), None)
    return (other, REPLACE) if other else None
