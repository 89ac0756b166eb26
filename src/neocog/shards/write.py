"""Writing one shard: the same records always give the same bytes.

Encoded payloads stay as they are, and arrays are stored without loss.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from neocog.dataset.file_types import FILE_TYPES, file_type
from neocog.dataset.record import Modality, Payload
from neocog.errors import DataError
from neocog.modalities.audio.wav import is_wav
from neocog.modalities.image.decode import decode_image
from neocog.modalities.image.pages import num_pages
from neocog.modalities.image.tiff import as_pillow_shows, is_tiff
from neocog.modalities.table import MODALITIES
from neocog.shards.columns import KEY, ColumnFile, choose_columns, read_cell
from neocog.shards.contents import encode_array, read_array
from neocog.shards.scan import member_key, read_tar_records
from neocog.shards.store import Store, import_package
from neocog.shards.tar import BLOCK

__all__ = ["ParquetWriter", "TarWriter", "encode", "hash_columns", "hash_record", "hash_tar"]

GROUP_BYTES = 2**22  # of a row group, the least that can be read; small enough for a record at random
GROUP_ROWS = 1024
MAX_PIXELS = 2**28
JPEG_QUALITY = 95
NO_RESIZE = "Leave --resize out."
RESIZED = ("L", "LA", "RGB", "RGBA")
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")


def encode(payload: Payload, modality: Modality, resize: int | None, where: str) -> tuple[str, bytes]:
    """An extension and the bytes; with `resize`, an image's short side is at most that many pixels.

    Raises DataError if it can't be decoded.

    >>> extension, content = encode(np.zeros((4, 6), np.uint8), "image", None, "a record")
    >>> extension, Image.open(io.BytesIO(content)).size
    ('png', (6, 4))
    """
    kind = MODALITIES[modality]
    if isinstance(payload, str):
        try:
            return "txt", payload.encode("utf-8")
        except UnicodeEncodeError as error:
            received = repr(payload[error.start])
            raise DataError("A text must be Unicode.", received=received, where=where, fix="Convert it.") from error
    if not isinstance(payload, bytes):
        return encode_pixels(payload, resize, where) if kind.resizable else ("npy", encode_array(payload))
    known = "WAV" if is_wav(payload) else file_type(payload[:16])
    mpeg = payload[:1] == b"\xff" and payload[1:2] >= b"\xe0"  # the frame mark of MPEG audio
    if not known and not mpeg:
        rule = f"{where} is neither an image nor a sound that is known: it starts with {payload[:8]!r}."
        raise DataError(rule, fix="Remove it.")
    extension = FILE_TYPES[known].suffixes[0].removeprefix(".") if known else "mp3"
    if extension == "npy":
        array = read_array(payload, where)
        return encode_pixels(array, resize, where) if kind.resizable and resize else ("npy", payload)
    if kind.check_encoded is not None:
        kind.check_encoded(payload, where)
    return scale_payload(payload, extension, resize, where) if resize else (extension, payload)


def encode_pixels(pixels: NDArray[Any], resize: int | None, where: str) -> tuple[str, bytes]:
    """Pixels (H, W) or (H, W, C) as PNG if it holds them exactly, which is grey and 8-bit RGB, else as an array."""
    flat = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    grey, rgb = flat.ndim == 2, flat.shape[2:] == (3,)
    if (flat.dtype == np.uint8 and (grey or rgb)) or (flat.dtype == np.uint16 and grey):
        return encode_image(scale(Image.fromarray(flat), resize), "png")
    if resize and min(pixels.shape[:2]) > resize:
        rule, received = "Only images of 8 bits, or grey ones of 16, are resized.", f"{pixels.dtype} {pixels.shape}"
        raise DataError(rule, received=received, where=where, fix=NO_RESIZE)
    return "npy", encode_array(pixels)


def scale_payload(payload: bytes, extension: str, resize: int, where: str) -> tuple[str, bytes]:
    """An image with its short side scaled down, turned as its EXIF says; a small one as it is."""
    if (pages := num_pages(payload)) > 1:
        rule = f"A file that is resized must hold one image. {where} has {pages} pages or frames: one would be kept."
        raise DataError(rule, fix="Save each as a file of its own, or leave --resize out.")
    if is_tiff(payload) and not as_pillow_shows(payload):
        pixels = decode_image(payload, where, max_pixels=MAX_PIXELS, convert=False)
        return (extension, payload) if min(pixels.shape[:2]) <= resize else encode_pixels(pixels, resize, where)
    with Image.open(io.BytesIO(payload)) as opened:
        if min(opened.size) <= resize:
            return extension, payload
        image = ImageOps.exif_transpose(opened)
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB" if image.mode == "P" else "L")
    if image.mode not in RESIZED + DEEP:
        rule = "Only grey and RGB images, with or without transparency, are resized."
        raise DataError(rule, received=image.mode, where=where, fix=f"Convert it. {NO_RESIZE}")
    return encode_image(scale(image, resize), "jpg" if extension == "jpg" else "png")


def scale(image: Image.Image, resize: int | None) -> Image.Image:
    """The short side as `resize` pixels, antialiased; never larger."""
    short = min(image.size)
    if resize is None or short <= resize:
        return image
    width, height = (max(1, round(side * resize / short)) for side in image.size)
    if image.mode not in DEEP:
        return image.resize((width, height), Image.Resampling.BILINEAR)
    # Pillow scales 16 bits exactly only as floating-point numbers.
    floats = Image.fromarray(np.asarray(image).astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return Image.fromarray(np.round(np.asarray(floats)).clip(0, 0xFFFF).astype(np.uint16))


def encode_image(image: Image.Image, kind: str) -> tuple[str, bytes]:
    file = io.BytesIO()
    image.save(file, "png") if kind == "png" else image.save(file, "jpeg", quality=JPEG_QUALITY)
    return kind, file.getvalue()


class TarWriter:
    """A record as KEY.jpg, KEY.cls, without owner and time: equal records give equal bytes, which `size` counts."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size, self.count = file, 0, 0

    def cost(self, members: Mapping[str, bytes]) -> int:
        return sum(BLOCK + len(content) + -len(content) % BLOCK for content in members.values())

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        for extension, content in members.items():
            info = tarfile.TarInfo(f"{member_key(key)}.{extension}")
            info.size = len(content)
            header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
            self.size += self.file.write(header + content + bytes(-len(content) % BLOCK))
        self.count += 1

    def finish(self) -> None:
        self.size += self.file.write(bytes(2 * BLOCK))


class ParquetWriter:
    """A row for each record: key, payload, label; with the features that `datasets` reads."""

    def __init__(self, output: BinaryIO, modality: Modality, classes: tuple[str, ...]) -> None:
        pyarrow, parquet = import_package("pyarrow", "Parquet"), import_package("pyarrow.parquet", "Parquet")
        self.pyarrow, self.column, kind = pyarrow, modality, MODALITIES[modality]
        file = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        cell = pyarrow.string() if kind.is_text else file
        fields = [(KEY, pyarrow.string()), (self.column, cell), ("label", pyarrow.int64())]
        text, label = {"dtype": "string", "_type": "Value"}, {"names": list(classes), "_type": "ClassLabel"}
        features = {KEY: text, self.column: text if kind.is_text else {"_type": kind.feature}, "label": label}
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        self.schema = pyarrow.schema(fields, metadata=metadata)
        packing = "zstd" if kind.is_text else "none"  # images and sounds are compressed already
        options: dict[str, Any] = {"compression": packing, "use_dictionary": False, "write_statistics": False}
        self.writer: Any = parquet.ParquetWriter(output, self.schema, **options)
        self.rows, self.size, self.held, self.count = list[dict[str, Any]](), 0, 0, 0

    def cost(self, members: Mapping[str, bytes]) -> int:
        return 64 + sum(len(content) for content in members.values())

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        (extension, content), (_, label) = members.items()
        cell = content.decode() if extension == "txt" else {"bytes": content, "path": f"{self.count}.{extension}"}
        self.rows.append({KEY: key, self.column: cell, "label": int(label)})
        self.size, self.held = self.size + self.cost(members), self.held + self.cost(members)
        self.count += 1
        if self.held >= GROUP_BYTES or len(self.rows) >= GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.writer.write_table(self.pyarrow.Table.from_pylist(self.rows, schema=self.schema))
        self.rows, self.held = [], 0

    def finish(self) -> None:
        self.flush()
        self.writer.close()


def hash_record(key: str, parts: Mapping[str, bytes]) -> bytes:
    """A record's hash, which must be the same when it is read back."""
    hashed = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=16)
    for content in parts.values():
        hashed.update(len(content).to_bytes(8, "little") + content)
    return hashed.digest()


def hash_tar(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a tar's records as they are on the disk, with the keys that are written there."""
    for record, read in read_tar_records(store, name):
        yield hash_record(record.key, {e: read(member.offset, member.size) for e, member in record.members.items()})


def hash_columns(store: Store, name: str) -> Iterator[bytes]:
    """The hashes of a Parquet shard's rows as they are on the disk."""
    file = ColumnFile(store, name, "parquet")
    columns = choose_columns(file)
    for group in range(len(file.groups)):
        values = file.group(group, [KEY, columns.payload, str(columns.label)])
        for key, cell, label in zip(*values.values(), strict=True):
            content = read_cell(cell, file.where)
            encoded = content.encode() if isinstance(content, str) else content
            yield hash_record(member_key(key), {"payload": encoded, "label": str(label).encode()})
