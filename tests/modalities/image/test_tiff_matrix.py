"""Every way to store a TIFF that is known: the pixels are those that were written, or the file is refused by name."""

import io
import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

from neocog.data import ImagePreprocess, decode_image
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header
from tests.support.tiff_writer import write_tiff

LIMIT = 10_000_000
HEIGHT, WIDTH = 21, 18
DRAW = np.random.default_rng(0)
WHITE_IS_ZERO, GREY, RGB, PALETTE, CMYK, YCBCR, LAB, CFA = 0, 1, 2, 3, 5, 6, 8, 32803
COLOURS = {bits: DRAW.integers(0, 2**16, (3, 2**bits)) for bits in (1, 2, 4, 8, 16)}


class Kind(NamedTuple):
    bits: int
    photometric: int
    samples: int
    extra: tuple[int, ...] | None = None
    sample_format: int = 1


READ = [
    *[Kind(bits, photometric, 1) for bits in (1, 2, 4, 8, 16) for photometric in (WHITE_IS_ZERO, GREY)],
    *[Kind(bits, PALETTE, 1) for bits in (1, 2, 4, 8)],
    *[Kind(bits, RGB, 3) for bits in (8, 16)],
    *[Kind(bits, GREY, 2, extra) for bits in (8, 16) for extra in (None, (0,), (1,), (2,))],
    *[Kind(bits, RGB, 4, extra) for bits in (8, 16) for extra in ((0,), (1,), (2,))],
    *[Kind(bits, GREY, samples) for bits in (8, 16) for samples in (3, 5)],
    *[Kind(bits, RGB, 5, extra) for bits in (8, 16) for extra in ((0, 0), (2, 0), (0, 2))],
    *[Kind(bits, GREY, samples, None, 2) for bits in (8, 16, 32) for samples in (1, 3)],
    *[Kind(32, GREY, samples) for samples in (1, 3)],
    Kind(8, WHITE_IS_ZERO, 2, (2,)),
    Kind(8, RGB, 4),
]
"""Read in every way to store them, but for those in `may_refuse`; alpha is opaque, and signed values positive."""

REFUSED = {
    Kind(1, RGB, 3): "x.tif: received whole numbers of 1 bits",
    Kind(4, GREY, 2): "x.tif: received whole numbers of 4 bits",
    Kind(6, GREY, 1): "x.tif: received whole numbers of 6 bits",
    Kind(12, WHITE_IS_ZERO, 1): "x.tif: received whole numbers of 12 bits",
    Kind(12, RGB, 3): "x.tif: received whole numbers of 12 bits",
    Kind(14, GREY, 1): "x.tif: received whole numbers of 14 bits",
    Kind(16, PALETTE, 1): "x.tif: received 1 of 16 bits, of photometric interpretation PALETTE",
    Kind(16, YCBCR, 3): "x.tif: received 3 of 16 bits, of photometric interpretation YCBCR",
    Kind(16, LAB, 3): "x.tif: received 3 of 16 bits, of photometric interpretation CIELAB",
    Kind(16, CFA, 1): "x.tif: received 1 of 16 bits, of photometric interpretation CFA",
    Kind(16, CMYK, 5, (0,)): "x.tif: received 5 of 16 bits, of photometric interpretation SEPARATED",
    Kind(8, WHITE_IS_ZERO, 1, None, 2): "of photometric interpretation MINISWHITE",
    Kind(32, GREY, 1, None, 3): "x.tif: received floating-point numbers of 32 bits",
    Kind(32, RGB, 3, None, 3): "x.tif: received floating-point numbers of 32 bits",
    Kind(8, GREY, 1, None, 4): "x.tif: received undefined numbers of 8 bits",
    Kind(16, GREY, 3, None, 4): "x.tif: received undefined numbers of 16 bits",
}

CELLS = [
    {"planar": planar, "compression": compression, "predictor": predictor, "order": order, "tile": tile, "big": big}
    for planar, compression, predictor, order, tile, big in itertools.product(
        (1, 2), ("none", "deflate", "lzw", "packbits"), (1, 2), "<>", (0, 16), (False, True)
    )
]


def values_of(kind: Kind) -> np.ndarray:
    """Random values; none is negative, and none of 32 bits is too large; (H, W, samples)."""
    size = 1 if kind.bits <= 8 else 2 if kind.bits <= 16 else 4
    if kind.sample_format == 3:
        return DRAW.normal(size=(HEIGHT, WIDTH, kind.samples)).astype(np.float32)
    high = min(2 ** (kind.bits - (kind.sample_format == 2)), 2**16)
    values = DRAW.integers(0, high, (HEIGHT, WIDTH, kind.samples))
    further = (2,) if (kind.photometric, kind.samples, kind.extra) == (RGB, 4, None) else kind.extra or ()
    for place, what in enumerate(further):
        if what in (1, 2):  # alpha
            values[:, :, kind.samples - len(further) + place] = 2**kind.bits - 1
    return values.astype(f"{'i' if kind.sample_format == 2 else 'u'}{size}")


def cells_of(kind: Kind) -> list[dict[str, object]]:
    """The ways to store such an image that the specification allows."""
    whole_bytes = kind.bits in (8, 16, 32) and kind.sample_format != 3
    return [
        cell
        for cell in CELLS
        if (cell["predictor"] == 1 or (whole_bytes and cell["compression"] in ("deflate", "lzw")))
    ]


def stored(kind: Kind, values: np.ndarray, cell: dict[str, object], **more: object) -> bytes:
    colours = COLOURS.get(kind.bits)
    tags = [(320, 3, colours.ravel().tolist())] if kind.photometric == PALETTE and colours is not None else []
    fields = {"photometric": kind.photometric, "extra": kind.extra, "sample_format": kind.sample_format}
    return write_tiff(values, bits=kind.bits, tags=tags, **fields, **cell, **more)


def right(kind: Kind, values: np.ndarray) -> np.ndarray:
    """What should be read: white is the largest value, few bits fill 8, a palette gives its colours, alpha goes."""
    if kind.photometric == PALETTE:
        return COLOURS[kind.bits][:, values[:, :, 0]].transpose(1, 2, 0) >> 8
    found, white = values.astype(np.int64), 2**kind.bits - 1
    if kind.photometric == WHITE_IS_ZERO:
        found[:, :, 0] = white - found[:, :, 0]
    if kind.bits < 8:
        found *= 255 // white
    alpha = (kind.extra in ((1,), (2,)) and kind.samples in (2, 4)) or (kind.photometric, kind.samples) == (RGB, 4)
    return found[:, :, :-1] if alpha and kind.extra != (0,) else found


def decode(payload: bytes, **options: object) -> np.ndarray:
    return decode_image(payload, "x.tif", **{"max_pixels": LIMIT, "convert": False} | options)


def by_pillow_alone(kind: Kind, cell: dict[str, object]) -> bool:
    """Whether a file can only be decompressed or unpacked by Pillow's libtiff, and would then not be exact."""
    unpacked = kind.bits < 8 or kind.photometric == PALETTE
    apart = kind.samples == 1 and cell["planar"] == 2 and cell["compression"] == "none"
    if apart and kind.bits < 8 and (kind.photometric, kind.bits) != (GREY, 1):
        return True
    simple = kind.samples == 1 and (kind.photometric, kind.sample_format) in (
        (GREY, 1), (GREY, 2), (WHITE_IS_ZERO, 1), (PALETTE, 1)
    )  # fmt: skip
    if cell["big"] and cell["order"] == ">":  # Pillow knows no such BigTIFF
        return unpacked or cell["compression"] == "lzw"
    if cell["compression"] != "lzw":
        return False
    if (kind.bits == 32 or kind.sample_format == 2) and cell["order"] == ">":
        return True
    if simple:
        return (kind.bits == 8 and kind.sample_format == 2) or (
            (kind.bits, kind.photometric, cell["order"]) == (16, WHITE_IS_ZERO, ">")
        )
    colour = kind.bits == 8 and kind.photometric == RGB
    if colour and (kind.samples, kind.extra) in ((3, None), (4, (2,))):
        return False
    together = cell["planar"] == 1 and kind.bits == 8
    alpha = (colour and kind.samples == 4 and kind.extra != (0,)) or (kind.photometric, kind.extra) == (GREY, (2,))
    return not (together and alpha)


@pytest.mark.parametrize("kind", READ, ids=str)
def test_pixels_are_those_that_were_written(kind):
    values = values_of(kind)
    expected = right(kind, values)
    for cell in cells_of(kind):
        payload = stored(kind, values, cell)
        if by_pillow_alone(kind, cell):
            for read in (decode, lambda payload: image_header(payload, "x.tif", LIMIT)):
                with pytest.raises(DataError, match=r"received LZW compression|of photometric inter|bits in this form"):
                    read(payload)
            continue
        found = decode(payload)
        assert np.array_equal(found, expected), cell
        assert found.dtype == (np.uint8 if kind.bits <= 8 else np.uint16)
        header = image_header(payload, "x.tif", LIMIT)
        assert (header.height, header.width, header.channels) == found.shape, cell
        assert header.bit_depth == 8 * found.itemsize
        if kind.bits >= 8 and cell["compression"] in ("none", "deflate"):
            axes = (0, 1, 2) if cell["planar"] == 1 else (2, 0, 1)
            assert np.array_equal(tifffile.imread(io.BytesIO(payload)), np.squeeze(values.transpose(axes))), cell


@pytest.mark.parametrize(("kind", "message"), REFUSED.items(), ids=str)
def test_unsupported_tiff_is_refused_by_name(kind, message):
    values = values_of(kind)
    for cell in cells_of(kind):
        payload = stored(kind, values, cell)
        for read in (decode, lambda payload: image_header(payload, "x.tif", LIMIT)):
            with pytest.raises(DataError, match=message) as raised:
                read(payload)
            assert "truncated" not in str(raised.value)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("samples", [1, 3])
def test_reversed_bits_are_read_or_refused(bits, samples):
    kind = Kind(bits, GREY if samples == 1 else RGB, samples)
    values = values_of(kind)
    for planar, order in itertools.product((1, 2) if samples > 1 else (1,), "<>"):
        payload = stored(kind, values, {"planar": planar, "order": order}, fill_order=2)
        if samples == 3 and bits < 8:
            with pytest.raises(DataError, match=f"x.tif: received whole numbers of {bits} bits"):
                decode(payload)
        else:
            assert np.array_equal(decode(payload), right(kind, values))
    packed = stored(Kind(8, RGB, 3), values_of(Kind(8, RGB, 3)), {"compression": "deflate"}, fill_order=2)
    with pytest.raises(DataError, match=r"x\.tif: received ADOBE_DEFLATE compression with reversed bits. Save it"):
        decode(packed)


def test_version_2_still_keeps_white_at_zero_in_16_bits():
    kind = Kind(16, WHITE_IS_ZERO, 1)
    values = values_of(kind)
    payload = stored(kind, values, {})
    spec = ImagePreprocess(size=(HEIGHT, WIDTH), channels=1, bit_depth=16)
    assert np.array_equal(spec.decode(payload)[0].numpy(), 65_535 - values[:, :, 0])
    assert np.array_equal(replace(spec, version=2).decode(payload)[0].numpy(), values[:, :, 0])


def test_twelve_bits_keep_their_values():
    kind = Kind(12, GREY, 1)
    values = values_of(kind)
    for compression in ("none", "deflate", "lzw", "packbits"):
        found = decode(stored(kind, values, {"compression": compression}))
        assert found.dtype == np.uint16
        assert np.array_equal(found, values)
        with pytest.raises(DataError, match=r"x\.tif: received whole numbers of 12 bits"):
            decode(stored(kind, values, {"compression": compression, "order": ">"}))


@pytest.mark.parametrize(("bits", "low"), [(8, -100), (16, -3000), (32, -1)])
def test_negative_values_are_refused_by_header_and_decoder(bits, low):
    values = values_of(Kind(bits, GREY, 1, None, 2))
    values[3, 4] = low
    kind = Kind(bits, GREY, 1, None, 2)
    for compression, order in itertools.product(("none", "deflate", "packbits"), "<>"):
        payload = stored(kind, values, {"compression": compression, "order": order})
        message = f"from 0 to 65,535. x.tif: received values from {low:,} to .* Shift or scale all images alike"
        for read in (decode, lambda payload: image_header(payload, "x.tif", LIMIT)):
            with pytest.raises(DataError, match=message):
                read(payload)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("compression", ["none", "deflate"])
@pytest.mark.parametrize(("photometric", "extra"), [(RGB, (1,)), (RGB, (2,)), (GREY, (1,)), (GREY, (2,))])
def test_transparency_is_refused_kept_or_blended_with_white(bits, planar, compression, photometric, extra):
    white, samples = 2**bits - 1, 4 if photometric == RGB else 2
    values = DRAW.integers(white // 4, white, (HEIGHT, WIDTH, samples))
    share = values[:, :, -1:] / white
    if extra == (1,):  # associated: colours were multiplied with alpha
        values[:, :, :-1] = np.round(values[:, :, :-1] * share)
    payload = write_tiff(
        values.astype(f"u{bits // 8}"), bits=bits, photometric=photometric, planar=planar, compression=compression,
        extra=extra,
    )  # fmt: skip
    with pytest.raises(DataError, match=r"must be opaque. x\.tif: received .*--image\.channels 4"):
        decode(payload)
    colours = values[:, :, :-1] / (share if extra == (1,) else 1)
    kept = decode(payload, channels=4)
    near = 1 if bits == 16 else 4  # Pillow divides bytes by a rounded alpha
    assert np.array_equal(kept[:, :, 3], values[:, :, -1])
    assert np.abs(kept[:, :, :3] - colours.clip(0, white)).max() <= near
    over = decode(payload, convert=True)
    assert np.abs(over - (colours.clip(0, white) * share + white * (1 - share))).max() <= near


def colours_of(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """ITU-R BT.601, as TIFF 6.0 has it."""
    red, blue = y + 1.402 * (cr - 128.0), y + 1.772 * (cb - 128.0)
    return np.stack([red, (y - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=2).round().clip(0, 255)


def test_colour_differences_are_read_or_refused():
    y, cb, cr = DRAW.integers(0, 256, (3, 16, 16))
    full = np.stack([y, cb, cr], axis=2).astype(np.uint8)
    for compression in ("none", "deflate", "lzw"):
        whole = write_tiff(full, bits=8, photometric=YCBCR, compression=compression, tags=[(530, 3, [1, 1])])
        assert np.abs(decode(whole) - colours_of(y, cb, cr)).max() <= 1
    few = [channel[:8, :8] for channel in (cb, cr)]
    units = np.stack([y[::2, ::2], y[::2, 1::2], y[1::2, ::2], y[1::2, 1::2], *few], axis=2).astype(np.uint8)
    many = [np.repeat(np.repeat(channel, 2, axis=0), 2, axis=1) for channel in few]
    for compression in ("deflate", "lzw"):
        shared = write_tiff(full, bits=8, photometric=YCBCR, compression=compression, content=units.tobytes())
        assert np.abs(decode(shared) - colours_of(y, *many)).max() <= 1
    with pytest.raises(DataError, match=r"x\.tif: received 3 of 8 bits, of photometric interpretation YCBCR"):
        decode(write_tiff(full, bits=8, photometric=YCBCR, content=units.tobytes()))
    with pytest.raises(DataError, match=r"x\.tif: received 3 of 8 bits, of photometric interpretation YCBCR"):
        decode(write_tiff(full, bits=8, photometric=YCBCR, planar=2, tags=[(530, 3, [1, 1])]))


def test_colours_of_lab_in_planes_are_refused():
    values = values_of(Kind(8, RGB, 3))
    with pytest.raises(DataError, match=r"x\.tif: received 3 of 8 bits, of photometric interpretation CIELAB"):
        decode(write_tiff(values, bits=8, photometric=LAB, planar=2, compression="deflate"))


@pytest.mark.parametrize("planar", [1, 2])
def test_cmyk_of_16_bits_is_converted_only_if_pillow_is_exact(planar):
    values = DRAW.integers(0, 2**16, (HEIGHT, WIDTH, 4)).astype(np.uint16)
    payload = write_tiff(values, bits=16, photometric=CMYK, planar=planar)
    if planar == 2:
        with pytest.raises(DataError, match=r"x\.tif: received 4 of 16 bits, of photometric interpretation SEPARATED"):
            decode(payload, convert=True)
    else:
        halved = Image.fromarray((values >> 8).astype(np.uint8), "CMYK").convert("RGB")
        assert np.array_equal(decode(payload, convert=True), np.asarray(halved))


def test_palette_with_alpha_is_read_or_refused():
    values = DRAW.integers(0, 256, (HEIGHT, WIDTH, 2)).astype(np.uint8)
    colours = COLOURS[8][:, values[:, :, 0]].transpose(1, 2, 0) >> 8
    fields = {"bits": 8, "photometric": PALETTE, "extra": (2,), "tags": [(320, 3, COLOURS[8].ravel().tolist())]}
    for compression in ("none", "deflate", "lzw"):
        kept = decode(write_tiff(values, compression=compression, **fields), channels=4)
        assert np.array_equal(kept, np.concatenate([colours, values[:, :, 1:]], axis=2))
        with pytest.raises(DataError, match=r"x\.tif: received 2 of 8 bits, of photometric interpretation PALETTE"):
            decode(write_tiff(values, compression=compression, planar=2, **fields), channels=4)


def test_tiff_with_8_bit_palette_is_refused():
    values = DRAW.integers(0, 256, (HEIGHT, WIDTH, 1)).astype(np.uint8)
    tags = [(320, 3, (COLOURS[8] >> 8).ravel().tolist())]
    with pytest.raises(DataError, match=r"PALETTE, with colours of 8 bits instead of 16. Convert it"):
        decode(write_tiff(values, bits=8, photometric=PALETTE, tags=tags))


@pytest.mark.parametrize("tile", [None, (1, 16, 16), (3, 16, 16)])
def test_tiff_volume_is_refused(tile):
    file = io.BytesIO()
    volume = DRAW.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    options = {"tile": tile} if tile else {}
    tifffile.imwrite(file, volume, photometric="minisblack", volumetric=True, **options)
    for read in (decode, lambda payload: image_header(payload, "x.tif", LIMIT)):
        with pytest.raises(DataError, match=r"must have one layer. x\.tif: received a volume of 3 .*Save each layer"):
            read(file.getvalue())


def test_jpeg_and_fax_within_tiff_are_read():
    smooth = np.add.outer(np.arange(64), 2 * np.arange(48)).astype(np.uint8)
    colour = np.stack([smooth, 255 - smooth, smooth // 2], axis=2)
    for pixels in (smooth, colour):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "tiff", compression="jpeg", quality=95)
        assert np.abs(decode(file.getvalue()).astype(int) - pixels.reshape(64, 48, -1)).max() < 12
    bits = Image.fromarray(np.where(DRAW.random((40, 56)) > 0.5, 255, 0).astype(np.uint8)).convert("1")
    for compression in ("group3", "group4", "tiff_ccitt"):
        file = io.BytesIO()
        bits.save(file, "tiff", compression=compression)
        assert np.array_equal(decode(file.getvalue())[:, :, 0], np.asarray(bits.convert("L")))


def test_unknown_tiff_compression_is_refused_by_name():
    payload = write_tiff(values_of(Kind(8, RGB, 3)), bits=8, photometric=RGB)
    for number, name in ((50001, "WEBP"), (50002, "JPEGXL"), (34712, "JPEG2000"), (34887, "LERC")):
        place = payload.index(b"\x03\x01\x03\0\x01\0\0\0")
        other = payload[: place + 8] + number.to_bytes(2, "little") + payload[place + 10 :]
        with pytest.raises(DataError, match=rf"x\.tif: received {name} compression. Save it without compression"):
            decode(other)
