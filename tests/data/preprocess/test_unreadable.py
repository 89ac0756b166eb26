import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from neocog.data import picture_pixels
from neocog.doctor.facts import Facts
from neocog.doctor.images import examine_picture
from neocog.errors import DataError
from neocog.modalities.image.decode import picture_header
from neocog.modalities.image.pixels import UnsupportedImageError
from tests.support.tiff_writer import write_tiff

LIMIT = 10_000_000
NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, kind, **options)
    return file.getvalue()


def refusals(payload: bytes) -> list[DataError]:
    """What is said where pixels and where headers are read."""
    found = []
    for read in (
        lambda: picture_pixels(payload, "a.jpg", max_pixels=LIMIT, convert=True),
        lambda: picture_header(payload, "a.jpg", LIMIT),
    ):
        with pytest.raises(DataError) as raised:
            read()
        found.append(raised.value)
    return found


def kinds_of(facts: Facts) -> list[str]:
    return [kind.name for kind, _ in facts.faults]


@pytest.mark.parametrize(
    ("payload", "what", "fix"),
    [
        (encoded("gif"), "is of the format GIF", "Convert it to PNG or JPEG"),
        (encoded("avif"), "is of the format AVIF", "Convert it"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is of the format HEIC", "Convert it"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "is of the format HEIF", "Convert it"),
        (encoded("jpeg2000"), "is of the format JPEG 2000", "Convert it"),
        (b"\xff\x0a" + bytes(9), "is of the format JPEG XL", "Convert it"),
        (encoded("ico"), r"is of the format icon \(ICO\)", "Convert it"),
        (encoded("ppm"), "is of the format Netpbm", "Convert it"),
        (encoded("pdf"), "is of the format PDF", "Convert it"),
        (b"8BPS\0\1" + bytes(30), r"is of the format Photoshop \(PSD\)", "Convert it"),
        (b'\n<svg xmlns="http://www.w3.org/2000/svg"/>', "is of the format SVG", "Convert it"),
        (b'<?xml version="1.0"?>\n<svg/>', "is of the format SVG", "Convert it"),
        (bytes(128) + b"DICM" + bytes(9), "is of the format DICOM", "Convert it to PNG or TIFF of 16 bits"),
        (b"<!DOCTYPE html><html>", "is a web page or XML, which a failed download leaves", "Download it again"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "is a web page or XML", "Download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS, not the file", "git lfs pull"),
        (bytes(500), "holds 500 zero bytes alone", "Replace or remove it"),
        (b"\0\0\0\x18ftypisom", r"is a video \(MP4\)", "Save its frames as images"),
        (b"PK\3\4" + bytes(30), "is a zip archive", "Replace or remove it"),
        (b"just a text\n", "is not an image: it starts with b'just a t'", "Replace or remove it"),
    ],
)
def test_a_file_of_another_kind_is_named_and_what_to_do(payload, what, fix):
    for error in refusals(payload):
        assert error.args[0].startswith("Images must be PNG, JPEG, BMP, WebP, TIFF or .npy. a.jpg ")
        with pytest.raises(DataError, match=f"a.jpg {what}.*{fix}"):
            raise error
    assert kinds_of(examine_picture(payload, "a.jpg", LIMIT)) == ["not-a-picture"]


@pytest.mark.parametrize("lossless", [False, True])
def test_a_cut_webp_is_said_to_be_cut(lossless):
    payload = encoded("webp", lossless=lossless)
    for length in (13, 40, len(payload) // 2, len(payload) - 3):
        for error in refusals(payload[:length]):
            said = f"a.jpg, a WebP, is truncated or damaged: {length:,} of {len(payload):,} bytes are there. Replace"
            assert said in str(error)
        assert kinds_of(examine_picture(payload[:length], "a.jpg", LIMIT)) == ["damaged"]


@pytest.mark.parametrize("kind", ["png", "bmp", "jpeg", "tiff"])
def test_other_formats_cut_within_their_header_are_said_to_be_cut(kind):
    payload = encoded(kind)
    for length in (6, 13, 20, 40, 100, len(payload) // 2):
        with pytest.raises(DataError, match=r"decode to its last row. a\.jpg(, an? \w+,)? is truncated or damaged"):
            picture_pixels(payload[:length], "a.jpg", max_pixels=LIMIT, convert=True)
        assert kinds_of(examine_picture(payload[:length], "a.jpg", LIMIT)) == ["damaged"] or length == 6


def test_a_tiff_cut_behind_its_pixels_is_said_to_be_cut():
    """Its tags stand at its end, and would be taken for others were they missing."""
    payload = encoded("tiff", compression="tiff_lzw")
    for length in (len(payload) // 2, len(payload) - 3):
        for error in refusals(payload[:length]):
            assert "a.jpg is truncated or damaged: what it says of its first page lies beyond its end" in str(error)


def framed(marker: int = 0xC0, bits: int = 8, components: int = 3) -> bytes:
    """A JPEG whose frame says something else than its content is."""
    payload = encoded("jpeg")
    place = payload.index(b"\xff\xc0")
    length = int.from_bytes(payload[place + 2 : place + 4])
    parts = b"".join(bytes([k + 1, 0x11, 0]) for k in range(components))
    frame = struct.pack(">BHHB", bits, 40, 50, components) + parts
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(frame) + 2) + frame
    return payload[:place] + segment + payload[place + 2 + length :]


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (framed(0xC1, bits=12), "has 12 bits. Convert it to PNG or TIFF of 16 bits, or to a JPEG of 8"),
        (framed(0xC3, bits=16), "has 16 bits. Convert it to PNG or TIFF of 16 bits"),
        (framed(0xC5), "is a hierarchical JPEG. Convert it to PNG, TIFF or an ordinary JPEG"),
        (framed(0xCB), "is a lossless JPEG with arithmetic coding. Convert it"),
        (framed(0xF7), "is a JPEG-LS. Convert it"),
        (framed(components=2), "has 2 components. Convert it to PNG or TIFF"),
    ],
)
def test_a_jpeg_that_is_not_decoded_is_named_and_what_to_do(payload, what):
    with pytest.raises(UnsupportedImageError, match=f"must be baseline, progressive or lossless, .* a.jpg {what}"):
        picture_pixels(payload, "a.jpg", max_pixels=LIMIT, convert=True)
    assert kinds_of(examine_picture(payload, "a.jpg", LIMIT)) == ["unusual-pixels"]


def test_jpegs_that_are_decoded_are_called_damaged_where_they_are():
    for marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xCA):
        payload = framed(marker)
        with pytest.raises(DataError, match="a.jpg is truncated or damaged"):
            picture_pixels(payload[: len(payload) // 2], "a.jpg", max_pixels=LIMIT, convert=True)


def test_arithmetic_coding_is_read():
    """Hardly any program writes it; its pixels are those of the frame's own decoder."""
    payload = framed(0xC9)
    assert picture_pixels(payload, "a.jpg", max_pixels=LIMIT, convert=True).shape == (40, 50, 3)


def test_deep_transparency_is_neither_damage_nor_too_deep_to_the_doctor():
    """Of the second, Pillow knows nothing."""
    for samples, photometric in ((4, 2), (2, 1)):
        values = np.random.default_rng(0).integers(0, 65_535, (30, 40, samples)).astype(np.uint16)
        payload = write_tiff(values, bits=16, photometric=photometric, extra=(2,))
        facts = examine_picture(payload, "a.tif", LIMIT)
        assert kinds_of(facts) == ["transparent"]
        assert facts.depth == 16


def test_signed_values_and_volumes_are_no_damage_to_the_doctor():
    values = np.random.default_rng(0).integers(-90, 90, (30, 40, 1)).astype(np.int8)
    payload = write_tiff(values, bits=8, photometric=1, sample_format=2)
    facts = examine_picture(payload, "a.tif", LIMIT)
    assert kinds_of(facts) == ["unusual-pixels"]
    assert "holds values from -90 to 89. Shift or scale" in facts.faults[0][1]
    volume = write_tiff(abs(values).astype(np.uint8), bits=8, photometric=1, tags=[(32997, 4, [3])])
    assert kinds_of(examine_picture(volume, "a.tif", LIMIT)) == ["unusual-pixels"]


def test_pixels_that_are_not_read_are_no_damage_to_the_doctor():
    floats = io.BytesIO()
    Image.fromarray(NOISE[:, :, 0].astype(np.float32)).save(floats, "tiff")
    facts = examine_picture(floats.getvalue(), "a.tif", LIMIT)
    assert kinds_of(facts) == ["unusual-pixels"]
    broken = encoded("png")
    place = broken.index(b"IDAT") + 20
    broken = broken[:place] + zlib.compress(b"other")[:8] + broken[place + 8 :]
    assert kinds_of(examine_picture(broken, "a.png", LIMIT)) == ["damaged"]
