import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from neocog.data import decode_image
from neocog.doctor.facts import Facts
from neocog.doctor.images import examine_encoded
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.pillow import pillow_pixels
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
        lambda: decode_image(payload, "a.jpg", max_pixels=LIMIT, convert=True),
        lambda: image_header(payload, "a.jpg", LIMIT),
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
        (encoded("gif"), "a file of the format GIF", "Convert it to PNG or JPEG"),
        (encoded("avif"), "a file of the format AVIF", "Convert it"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a file of the format HEIC", "Convert it"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a file of the format HEIF", "Convert it"),
        (encoded("jpeg2000"), "a file of the format JPEG 2000", "Convert it"),
        (b"\xff\x0a" + bytes(9), "a file of the format JPEG XL", "Convert it"),
        (encoded("ico"), r"a file of the format icon \(ICO\)", "Convert it"),
        (encoded("ppm"), "a file of the format Netpbm", "Convert it"),
        (encoded("pdf"), "a file of the format PDF", "Convert it"),
        (b"8BPS\0\1" + bytes(30), r"a file of the format Photoshop \(PSD\)", "Convert it"),
        (b'\n<svg xmlns="http://www.w3.org/2000/svg"/>', "a file of the format SVG", "Convert it"),
        (b'<?xml version="1.0"?>\n<svg/>', "a file of the format SVG", "Convert it"),
        (bytes(128) + b"DICM" + bytes(9), "a file of the format DICOM", "Convert it to PNG or TIFF of 16 bits"),
        (b"<!DOCTYPE html><html>", "a web page or XML, perhaps from a failed download", "Download it again"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "a web page or XML", "Download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS, not the file", "git lfs pull"),
        (bytes(500), "500 zero bytes", "Replace or remove it"),
        (b"\0\0\0\x18ftypisom", r"a video \(MP4\)", "Save its frames as images"),
        (b"PK\3\4" + bytes(30), "a zip archive", "Replace or remove it"),
        (b"just a text\n", "a file that is not an image and starts with b'just a t'", "Replace or remove it"),
    ],
)
def test_decoding_a_foreign_file_names_its_format_and_a_fix(payload, what, fix):
    for error in refusals(payload):
        assert error.args[0].startswith("Images must be PNG, JPEG, BMP, WebP, TIFF or .npy.")
        with pytest.raises(DataError, match=f"a.jpg: received {what}.*{fix}"):
            raise error
    assert kinds_of(examine_encoded(payload, "a.jpg", LIMIT)) == ["not-a-picture"]


@pytest.mark.parametrize("lossless", [False, True])
def test_truncated_webp_is_named(lossless):
    payload = encoded("webp", lossless=lossless)
    for length in (13, 40, len(payload) // 2, len(payload) - 3):
        for error in refusals(payload[:length]):
            said = (
                f"a.jpg: received a truncated or damaged WebP: {length:,} of {len(payload):,} bytes are there. Replace"
            )
            assert said in str(error)
        assert kinds_of(examine_encoded(payload[:length], "a.jpg", LIMIT)) == ["damaged"]


@pytest.mark.parametrize("kind", ["png", "bmp", "jpeg", "tiff"])
def test_truncated_headers_are_called_truncated(kind):
    payload = encoded(kind)
    for length in (6, 13, 20, 40, 100, len(payload) // 2):
        with pytest.raises(DataError, match=r"decode to its last row. a\.jpg: received a truncated or damaged \w+"):
            decode_image(payload[:length], "a.jpg", max_pixels=LIMIT, convert=True)
        assert kinds_of(examine_encoded(payload[:length], "a.jpg", LIMIT)) == ["damaged"] or length == 6


def test_tiff_truncated_after_its_pixels_is_called_truncated():
    """Its tags stand at its end, and would be taken for others were they missing."""
    payload = encoded("tiff", compression="tiff_lzw")
    for length in (len(payload) // 2, len(payload) - 3):
        for error in refusals(payload[:length]):
            assert "a.jpg: received a truncated or damaged file: the tags of its first page lie beyond its end" in str(
                error
            )


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
        (framed(0xC1, bits=12), "12 bits. Convert it to PNG or TIFF of 16 bits, or to a JPEG of 8"),
        (framed(0xC3, bits=16), "16 bits. Convert it to PNG or TIFF of 16 bits"),
        (framed(0xC5), "a hierarchical JPEG. Convert it to PNG, TIFF or an ordinary JPEG"),
        (framed(0xCB), "a lossless JPEG with arithmetic coding. Convert it"),
        (framed(0xF7), "JPEG-LS. Convert it"),
        (framed(components=2), "2 components. Convert it to PNG or TIFF"),
    ],
)
def test_unsupported_jpeg_is_refused_with_a_fix(payload, what):
    with pytest.raises(
        UnsupportedImageError, match=f"must be baseline, progressive or lossless, .* a.jpg: received {what}"
    ):
        decode_image(payload, "a.jpg", max_pixels=LIMIT, convert=True)
    assert kinds_of(examine_encoded(payload, "a.jpg", LIMIT)) == ["unusual-pixels"]


def test_damaged_jpeg_of_a_supported_kind_is_called_damaged():
    for marker in (0xC0, 0xC1, 0xC2, 0xC3, 0xCA):
        payload = framed(marker)
        with pytest.raises(DataError, match="a.jpg: received a truncated or damaged"):
            decode_image(payload[: len(payload) // 2], "a.jpg", max_pixels=LIMIT, convert=True)


def test_arithmetic_coding_is_read():
    """Hardly any program writes it; its pixels are those of the frame's own decoder."""
    payload = framed(0xC9)
    assert decode_image(payload, "a.jpg", max_pixels=LIMIT, convert=True).shape == (40, 50, 3)


def test_doctor_reports_16_bit_transparency_as_transparency():
    """Of the second, Pillow knows nothing."""
    for samples, photometric in ((4, 2), (2, 1)):
        values = np.random.default_rng(0).integers(0, 65_535, (30, 40, samples)).astype(np.uint16)
        payload = write_tiff(values, bits=16, photometric=photometric, extra=(2,))
        facts = examine_encoded(payload, "a.tif", LIMIT)
        assert kinds_of(facts) == ["transparent"]
        assert facts.depth == 16


def test_doctor_reports_signed_values_and_volumes_not_damage():
    values = np.random.default_rng(0).integers(-90, 90, (30, 40, 1)).astype(np.int8)
    payload = write_tiff(values, bits=8, photometric=1, sample_format=2)
    facts = examine_encoded(payload, "a.tif", LIMIT)
    assert kinds_of(facts) == ["unusual-pixels"]
    assert "values from -90 to 89. Shift or scale" in facts.faults[0][1]
    volume = write_tiff(abs(values).astype(np.uint8), bits=8, photometric=1, tags=[(32997, 4, [3])])
    assert kinds_of(examine_encoded(volume, "a.tif", LIMIT)) == ["unusual-pixels"]


def test_doctor_reports_unsupported_pixels_not_damage():
    floats = io.BytesIO()
    Image.fromarray(NOISE[:, :, 0].astype(np.float32)).save(floats, "tiff")
    facts = examine_encoded(floats.getvalue(), "a.tif", LIMIT)
    assert kinds_of(facts) == ["unusual-pixels"]
    broken = encoded("png")
    place = broken.index(b"IDAT") + 20
    broken = broken[:place] + zlib.compress(b"other")[:8] + broken[place + 8 :]
    assert kinds_of(examine_encoded(broken, "a.png", LIMIT)) == ["damaged"]


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading image file")])
def test_lack_of_memory_is_not_blamed_on_the_file(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "PNG")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError):
        pillow_pixels(file.getvalue(), "a.png", max_pixels=100, convert=False)
