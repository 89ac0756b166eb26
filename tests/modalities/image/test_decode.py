import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ImagePreprocess, decode_image, pil_pixels
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header

LIMIT = 40_000_000


def encoded(image: Image.Image, kind: str = "png", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(payload: bytes, *, convert: bool = False, max_pixels: int = LIMIT) -> np.ndarray:
    return decode_image(payload, "a.png", max_pixels=max_pixels, convert=convert)


RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp"])
def test_lossless_kinds_give_their_pixels(kind):
    options = {"lossless": True} if kind == "webp" else {}
    assert np.array_equal(decode(encoded(Image.fromarray(RGB), kind, **options)), RGB)


def test_jpeg_is_close():
    smooth = np.tile(np.arange(0, 160, 5, dtype=np.uint8)[:, None, None], (1, 32, 3))
    assert np.abs(decode(encoded(Image.fromarray(smooth), "jpeg", quality=95)).astype(int) - smooth).max() < 6


def test_grey_has_one_channel_and_16_bits_stay():
    assert np.array_equal(decode(encoded(Image.fromarray(GREY)))[:, :, 0], GREY)
    deep = GREY.astype(np.uint16) * 200 + 7
    for kind in ("png", "tiff"):
        pixels = decode(encoded(Image.fromarray(deep), kind))
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels[:, :, 0], deep)


def test_one_bit_and_palette_images_decode():
    bits = Image.fromarray(np.where(GREY > 128, 255, 0).astype(np.uint8)).convert("1")
    assert set(np.unique(decode(encoded(bits)))) == {0, 255}
    palette = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(decode(encoded(palette)), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    turned = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1],
        5: RGB.transpose(1, 0, 2), 6: np.rot90(RGB, -1), 7: np.rot90(RGB.transpose(1, 0, 2), 2), 8: np.rot90(RGB),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    payload = encoded(Image.fromarray(RGB), exif=exif)
    assert np.array_equal(decode(payload), turned)
    header = image_header(payload, "a", LIMIT)
    assert (header.height, header.width, header.channels, header.bit_depth) == (*turned.shape[:2], 3, 8)


def test_opaque_alpha_channel_is_dropped():
    assert np.array_equal(decode(encoded(Image.fromarray(RGB).convert("RGBA"))), RGB)
    assert np.array_equal(decode(encoded(Image.fromarray(GREY).convert("LA")))[:, :, 0], GREY)


def see_through() -> Image.Image:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 255, 0))
    return image


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_transparency_is_refused_or_blended_with_white(mode):
    image = see_through().quantize(4) if mode == "P" else see_through().convert(mode)
    payload = encoded(image)
    with pytest.raises(
        DataError, match=r"must be opaque. a\.png: received a partly transparent image.*--image\.convert true"
    ):
        decode(payload)
    pixels = decode(payload, convert=True)
    assert pixels[0, 0].tolist() == [255] * pixels.shape[2]
    assert pixels.shape[2] == (1 if mode == "LA" else 3)


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_alpha_is_kept_if_four_channels_are_asked_for(mode):
    image = see_through().quantize(4) if mode == "P" else see_through().convert(mode)
    payload = encoded(image)
    kept = decode_image(payload, "a.png", max_pixels=LIMIT, convert=False, channels=4)
    assert np.array_equal(kept, np.asarray(image.convert("RGBA")))
    assert np.array_equal(pil_pixels(image, "a", convert=False, channels=4), kept)
    spec = ImagePreprocess(size=(4, 4), channels=4)
    assert np.array_equal(spec.decode(payload).permute(1, 2, 0).numpy(), kept)
    assert image_header(payload, "a", LIMIT).alpha
    with pytest.raises(DataError, match=r"takes images of 4 channels; .* a\.png: received 3"):
        spec.decode(encoded(Image.fromarray(RGB)), "a.png")


def test_cmyk_is_refused_or_converted():
    image = Image.fromarray(RGB).convert("CMYK")
    payload = encoded(image, "tiff")
    with pytest.raises(DataError, match=r"must be grey or RGB. a\.png: received CMYK.*--image\.convert true"):
        decode(payload)
    assert np.array_equal(decode(payload, convert=True), np.asarray(image.convert("RGB")))


def test_large_image_is_refused_before_decoding():
    image = encoded(Image.new("1", (10_000, 5_000)))  # 50 megapixels in a few kilobytes
    with pytest.raises(
        DataError, match=r"at most 40 million pixels. a\.png: received 10000 x 5000, which is 50\.0 million"
    ):
        decode(image)
    assert decode(image, max_pixels=50_000_000).shape == (5_000, 10_000, 1)
    with pytest.raises(DataError, match="more pixels than Pillow accepts"):
        decode(encoded(Image.new("1", (20_000, 18_000))))  # over Pillow's own limits too


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1)])
def test_image_one_pixel_wide_is_refused(size):
    with pytest.raises(DataError, match=rf"at least 2 pixels on each side. a\.png: received {size[0]} x {size[1]}"):
        decode(encoded(Image.new("L", size)))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "must not be empty. a.png: received 0 bytes"),
        (b"just a text\n", "a.png: received a file that is not an image and starts with b'just a t'"),
        (b"\x89PNG\r\n\x1a\n", "a.png: received a truncated or damaged PNG"),
        (encoded(Image.fromarray(RGB))[:120], "a.png: received a truncated or damaged"),
        (encoded(Image.new("RGB", (64, 64)), "jpeg")[:400], "a.png: received a truncated or damaged (JPEG|file)"),
        (
            encoded(Image.fromarray(GREY.astype(np.float32)), "tiff"),
            "of 8 or 16 bits; .* a.png: received floating-point numbers of 32 bits",
        ),
        (
            encoded(Image.fromarray(GREY.astype(np.int32) * 70_000), "tiff"),
            "from 0 to 65,535. a.png: received values from [\\d,]+ to 17,\\d+,000. Shift or scale",
        ),
    ],
)
def test_wrong_file_is_named(payload, message):
    with pytest.raises(DataError, match=message):
        decode(payload)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_colour_of_16_bits_is_refused_or_halved():
    rows = b"".join(b"\0" + np.full((4, 3), 40_000, ">u2").tobytes() for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    with pytest.raises(DataError, match=r"must have 8 bits per channel. a\.png: received 16 bits per channel"):
        decode(png)
    assert decode(png, convert=True)[0, 0].tolist() == [156, 156, 156]


def test_formats_that_start_programs_are_refused():
    eps = encoded(Image.fromarray(RGB), "eps")
    with pytest.raises(DataError, match=r"a\.png: received a file of the format PostScript \(EPS\). Convert it"):
        decode(eps)


def test_malformed_orientation_is_ignored():
    entry = struct.pack("<HHI4s", 0x0112, 2, 4, b"six\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    payload = encoded(Image.fromarray(RGB), "jpeg", exif=exif)
    for read in (lambda: decode(payload), lambda: image_header(payload, "a.png", LIMIT)):
        try:
            read()
        except DataError as error:
            assert "a.png" in str(error)  # noqa: PT017


@given(st.data())
def test_any_damage_ends_in_a_named_error_or_an_image(data):
    image = Image.fromarray(RGB)
    payload = bytearray(encoded(image, data.draw(st.sampled_from(["png", "jpeg", "bmp", "tiff", "webp"]))))
    for _ in range(data.draw(st.integers(0, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))] if data.draw(st.booleans()) else payload
    try:
        pixels = decode(bytes(payload), max_pixels=10_000)
    except DataError as error:
        assert "a.png" in str(error)  # noqa: PT017
    else:
        assert pixels.ndim == 3
        assert pixels.dtype in (np.uint8, np.uint16)
