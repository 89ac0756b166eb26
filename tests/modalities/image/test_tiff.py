import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ImagePreprocess, decode_image
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.tiff import inflates_beyond, needs_tifffile

LIMIT = 40_000_000
DEEP = np.random.default_rng(0).integers(0, 65_536, (12, 9, 300), dtype=np.uint16)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **{"photometric": "minisblack", "planarconfig": "contig"} | options)
    return buffer.getvalue()


def decode(payload: bytes, *, convert: bool = False, channels: int | None = None, limit: int = LIMIT) -> np.ndarray:
    return decode_image(payload, "a.tif", max_pixels=limit, convert=convert, channels=channels)


@pytest.mark.parametrize("channels", [2, 4, 5, 13, 256])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"compression": "deflate"}, {"rowsperstrip": 5}])
def test_channels_are_read_as_they_were_written(channels, dtype, options):
    pixels = DEEP[:, :, :channels].astype(dtype)
    if "compression" in options:
        options |= {"predictor": True}
    payload = tiff(pixels, **options)
    found = decode(payload)
    assert found.dtype == dtype
    assert np.array_equal(found, pixels)
    header = image_header(payload, "a.tif", LIMIT)
    assert (header.height, header.width, header.channels, header.bit_depth) == (12, 9, channels, 8 * pixels.itemsize)


def test_planes_tiles_big_files_and_parts_are_read():
    pixels = DEEP[:, :, :5]
    planes = tiff(np.moveaxis(pixels, 2, 0), planarconfig="separate")
    assert np.array_equal(decode(planes), pixels)
    for options in ({"tile": (16, 16)}, {"bigtiff": True}, {"tile": (16, 16), "compression": "deflate"}):
        assert np.array_equal(decode(tiff(pixels, **options)), pixels)
    whole = tiff(pixels, extratags=[(278, "I", 1, 2**32 - 1, True)])  # as many rows in a strip as there are
    assert np.array_equal(decode(whole), pixels)


def test_colour_of_16_bits_keeps_them():
    pixels = DEEP[:, :, :3]
    payload = tiff(pixels, photometric="rgb")
    assert needs_tifffile(payload)
    assert np.array_equal(decode(payload), pixels)
    deep = ImagePreprocess(size=(12, 9), channels=3, bit_depth=16)
    assert np.array_equal(deep.decode(payload).permute(1, 2, 0).numpy(), pixels)
    with pytest.raises(DataError, match=r"takes images of 8 bits. a\.tif: received 16 bits.*--image\.bit_depth 16"):
        ImagePreprocess(size=(12, 9), channels=3).decode(payload, "a.tif")


def test_version_1_still_refuses_or_halves_colour_of_16_bits():
    payload = tiff(DEEP[:, :, :3], photometric="rgb")
    first = {"size": (12, 9), "channels": 3, "dct_scaling": False, "version": 1}
    with pytest.raises(DataError, match=r"must have 8 bits per channel. a\.tif: received 16 bits per channel"):
        ImagePreprocess(**first).decode(payload, "a.tif")
    halved = ImagePreprocess(**first, convert=True).decode(payload).permute(1, 2, 0).numpy()
    assert np.array_equal(halved, DEEP[:, :, :3] >> 8)


def test_exact_tiffs_are_left_to_pillow():
    for mode in ("L", "LA", "RGB", "RGBA", "P", "CMYK", "I;16", "1"):
        buffer = io.BytesIO()
        Image.new(mode, (9, 7)).save(buffer, "tiff")
        assert not needs_tifffile(buffer.getvalue()), mode
    assert not needs_tifffile(b"\x89PNG\r\n\x1a\n")


def test_channel_beside_rgb_is_not_dropped():
    pixels = DEEP[:, :, :4].astype(np.uint8)
    payload = tiff(pixels, photometric="rgb", extrasamples=["unspecified"])
    assert np.asarray(Image.open(io.BytesIO(payload))).shape == (12, 9, 3)  # which is what Pillow does
    assert np.array_equal(decode(payload), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(orientation):
    pixels = DEEP[:, :, :5]
    payload = tiff(pixels, extratags=[(274, "H", 1, orientation, True)])
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.transpose(1, 0, 2), 6: np.rot90(pixels, -1),
        7: np.rot90(pixels.transpose(1, 0, 2), 2), 8: np.rot90(pixels),
    }[orientation]  # fmt: skip
    assert np.array_equal(decode(payload), turned)
    header = image_header(payload, "a.tif", LIMIT)
    assert (header.height, header.width) == turned.shape[:2]


@pytest.mark.parametrize("channels", [1, 3])
def test_deep_alpha_is_kept_or_must_hide_nothing(channels):
    pixels = DEEP[:, :, : channels + 1].copy()
    kind = {"photometric": "rgb" if channels == 3 else "minisblack", "extrasamples": ["unassalpha"]}
    payload = tiff(pixels, **kind)
    assert image_header(payload, "a.tif", LIMIT).fits(4)
    assert image_header(payload, "a.tif", LIMIT).channels == channels
    kept = decode(payload, channels=4)
    assert np.array_equal(kept[:, :, 3], pixels[:, :, -1])
    assert np.array_equal(kept[:, :, :3], np.broadcast_to(pixels[:, :, :channels], (12, 9, 3)))
    with pytest.raises(
        DataError,
        match=r"must be opaque. a\.tif: received a partly transparent.*--image\.channels 4.*--image\.convert true",
    ):
        decode(payload)
    share = pixels[:, :, -1:] / 65_535
    over_white = pixels[:, :, :channels] * share + 65_535 * (1 - share)
    assert np.abs(decode(payload, convert=True) - over_white).max() <= 0.5
    pixels[:, :, -1] = 65_535
    assert np.array_equal(decode(tiff(pixels, **kind)), pixels[:, :, :channels])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (
            tiff(DEEP[:, :, :5].astype(np.float32)),
            "of 8 or 16 bits; .* a.tif: received floating-point numbers of 32 bits",
        ),
        (
            tiff(DEEP[:, :, :5].astype(np.int16)),
            r"from 0 to 65,535. a.tif: received values from -32,\d+ to 32,\d+. Shift or scale",
        ),
        (tiff(DEEP[:, :, :5].astype(np.uint32) * 9), r"from 0 to 65,535. a.tif: received values from 225 to 585,900"),
        (tiff(DEEP[:, :, :300]), "1 to 256 channels. a.tif: received 300 of 16 bits"),
        (
            tiff(DEEP[:, :, :5], photometric="separated"),
            "a.tif: received 5 of 16 bits, of photometric interpretation SEPARATED",
        ),
        (tiff(DEEP[:, :, :5])[:700], "a.tif: received a truncated or damaged"),
        (b"II*\0\x08\0\0\0\0\0", "a.tif: received 0 x 0|truncated or damaged"),
        (b"II*\0", "a.tif: received a truncated or damaged"),
    ],
)
def test_unreadable_file_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        decode(payload)


def patched(payload: bytes, tag: int, value: int) -> bytes:
    """The value of a tag of a little-endian TIFF replaced, whether it is of 16 bits or of 32."""
    for kind, form in ((3, "<H"), (4, "<I")):
        place = payload.find(struct.pack("<HHI", tag, kind, 1))
        if place >= 0:
            return payload[: place + 8] + struct.pack(form, value) + payload[place + 8 + struct.calcsize(form) :]
    raise AssertionError(f"tag {tag} is there once")


def test_compression_of_another_library_is_named():
    lzw = patched(tiff(DEEP[:, :, :3], photometric="rgb"), 259, 5)
    with pytest.raises(
        DataError, match=r"without compression, or with deflate or PackBits. a\.tif: received LZW compression"
    ):
        decode(lzw)


def test_one_signed_channel_is_named_as_such():
    signed = patched(tiff(np.ones((9, 9), np.int8)), 259, 5)
    with pytest.raises(DataError, match=r"A TIFF with 1 channel of 8 bits, signed, must be stored without compression"):
        decode(signed)


def test_lying_header_reserves_nothing():
    payload = tiff(DEEP[:, :, :5])
    with pytest.raises(DataError, match=r"at most 40 million pixels. a\.tif: received 65535 x 12000 with 5 channels"):
        decode(patched(patched(payload, 256, 65_535), 257, 12_000))
    with pytest.raises(DataError, match="truncated or damaged file: .* bytes can't hold 32,767,500 values"):
        decode(patched(patched(patched(payload, 256, 65_535), 257, 100), 278, 100))
    with pytest.raises(DataError, match="parts of it lie beyond its end"):
        decode(patched(payload, 279, 2**31))
    with pytest.raises(DataError, match="parts of it lie beyond its end"):
        decode(patched(payload, 273, 2**31))
    with pytest.raises(DataError, match="it has 1 of 12 parts"):
        decode(patched(payload, 278, 1))


def test_tiff_strip_that_inflates_too_far_is_refused():
    assert not inflates_beyond(zlib.compress(bytes(5000)), 5000)
    assert inflates_beyond(zlib.compress(bytes(5001)), 5000)
    assert inflates_beyond(zlib.compress(bytes(2**25)), 5000)
    bomb = tiff(np.zeros((2000, 1000, 5), np.uint8), compression="deflate", rowsperstrip=2000)
    with pytest.raises(DataError, match="a part of it inflates to more than it should hold"):
        decode(patched(patched(bomb, 257, 20), 278, 20))


def test_few_pixels_of_many_channels_count_as_more():
    payload = tiff(DEEP[:, :, :200])
    assert decode(payload, limit=12 * 9 * 50).shape == (12, 9, 200)
    with pytest.raises(DataError, match=r"received 9 x 12 with 200 channels, every four counted as a pixel"):
        decode(payload, limit=12 * 9 * 50 - 1)


@given(st.data())
def test_any_damage_ends_in_a_named_error_or_an_image(data):
    options = data.draw(st.sampled_from([{}, {"compression": "deflate"}, {"byteorder": ">"}, {"tile": (16, 16)}]))
    channels = data.draw(st.sampled_from([3, 5]))
    payload = bytearray(tiff(DEEP[:, :, :channels], photometric="rgb" if channels == 3 else "minisblack", **options))
    for _ in range(data.draw(st.integers(0, 4))):
        payload[data.draw(st.integers(0, min(400, len(payload) - 1)))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))] if data.draw(st.booleans()) else payload
    try:
        pixels = decode(bytes(payload), limit=10_000)
    except DataError as error:
        assert "a.tif" in str(error)  # noqa: PT017
    else:
        assert pixels.ndim == 3
        assert pixels.dtype in (np.uint8, np.uint16)
