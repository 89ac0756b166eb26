import io
import struct

import numpy as np
import pytest
import simplejpeg
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ImagePreprocess, decode_image
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header
from neocog.modalities.image.jpeg import choose_eighths, decode_jpeg, read_frame
from neocog.modalities.image.pixels import Decoded

LIMIT = 40_000_000
RULES = ["squash", "crop", "letterbox"]


def scene(height: int, width: int) -> np.ndarray:
    """Smooth colours that differ in all directions, and texture over them."""
    y, x = np.mgrid[:height, :width] / 100
    smooth = np.stack([90 + 50 * np.sin(x + y / 3), 120 + 60 * np.cos(y - x / 5), 40 + 160 * x / x.max()], axis=2)
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 1))
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, mode: str = "RGB", orientation: int = 1, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    tags = {"exif": exif} if orientation > 1 else {}
    Image.fromarray(pixels).convert(mode).save(buffer, "jpeg", quality=90, **tags, **options)
    return buffer.getvalue()


SCENE = scene(377, 501)


def decoded(payload: bytes, need: tuple[int, int]):
    return decode_jpeg(payload, "a.jpg", LIMIT, lambda _: need)


@pytest.mark.parametrize(
    ("size", "need", "eighths"),
    [
        ((1500, 2000), (224, 224), 2),
        ((375, 500), (224, 224), 5),
        ((448, 448), (224, 224), 4),
        ((447, 448), (224, 224), 5),  # 223.5 rows would be too few, though the decoder makes 224 of them
        ((1792, 1792), (224, 224), 1),
        ((1791, 1792), (224, 224), 2),
        ((256, 256), (224, 224), 7),
        ((255, 256), (224, 224), 8),
        ((224, 9999), (224, 224), 8),
        ((100, 100), (224, 224), 8),
        ((7, 7), (2, 2), 8),  # here 2/8 and 1/8 both give one pixel
    ],
)
def test_choose_eighths_takes_the_smallest_sufficient_scale(size, need, eighths):
    assert choose_eighths(size, need) == eighths


@given(st.tuples(*[st.integers(2, 90)] * 2), st.tuples(*[st.integers(1, 90)] * 2))
def test_jpeg_decodes_at_the_chosen_scale(size, need):
    payload = jpeg(np.zeros((*size, 3), np.uint8), "L")
    picture = decoded(payload, need)
    fitting = [k for k in range(1, 9) if all(s * k / 8 >= n for s, n in zip(size, need, strict=True))]
    if max(size) >= 8:
        assert picture.eighths == min(fitting, default=8)
    assert picture.pixels.shape == (*(-(-s * picture.eighths // 8) for s in size), 1)
    assert picture.full == size


def test_tiny_jpeg_stays_whole():
    """Some of these have as many pixels at 6/8, by which alone the decoder knows a scale."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    for height, width in [(2, 3), (3, 3), (2, 7), (5, 7), (7, 7), (8, 3), (12, 12)]:
        payload = jpeg(noise[:height, :width], "L")
        whole = np.asarray(Image.open(io.BytesIO(payload)))
        assert (
            np.abs(decode_image(payload, "a", max_pixels=LIMIT, convert=False)[:, :, 0] - whole.astype(int)).max() <= 1
        )
        assert decoded(payload, (2, 2)).full == (height, width)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("orientation", [1, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("size", [(64, 80), (150, 90)])
def test_scaled_jpeg_matches_the_resized_whole_image(rule, orientation, size):
    """All sides of 377 x 501 end within a pixel at all scales, so a box that is off by a pixel would be seen."""
    payload = jpeg(SCENE, orientation=orientation)
    spec = {"size": size, "channels": 3, "resize": rule}
    small = ImagePreprocess(**spec).decode(payload).int()
    whole = ImagePreprocess(**spec, dct_scaling=False).decode(payload).int()
    picture = ImagePreprocess(**spec).read(payload, "a")
    assert picture.eighths < 8
    assert picture.full == ((501, 377) if orientation >= 5 else (377, 501))
    difference = (small - whole).abs().double()
    assert difference.mean() < 2
    assert (difference.mean(dim=(0, 2)) < 3).all()  # no row, and so no edge, stands out
    assert (small - whole).double().mean().abs() < 0.3


def test_grey_planes_stay_aligned_when_scaled():
    """On a slope of colours, an error of one pixel of the scaled picture would be 2 levels."""
    slope = np.repeat((np.arange(503) // 2).astype(np.uint8)[None, :, None], 301, axis=0).repeat(3, axis=2)
    for orientation in (1, 2, 5, 7):
        payload = jpeg(slope, orientation=orientation, subsampling=0)
        for rule in RULES:
            spec = {"size": (70, 60), "channels": 3, "resize": rule}
            small, whole = (ImagePreprocess(**spec, dct_scaling=on).decode(payload).double() for on in (True, False))
            assert (small - whole).abs().mean() < 0.5
            assert (small - whole).mean().abs() < 0.1


def test_grey_stays_grey_and_colour_is_weighted():
    grey = jpeg(SCENE, "L")
    assert image_header(grey, "a", LIMIT).channels == 1
    assert decoded(grey, (90, 90)).pixels.shape == (95, 126, 1)
    one = ImagePreprocess(size=(90, 90), channels=1).decode(grey)
    three = ImagePreprocess(size=(90, 90), channels=3).decode(grey)
    assert torch.equal(three, one.expand(3, -1, -1))


def test_headers_agree_with_pillow():
    for mode in ("L", "RGB"):
        for orientation in (1, 2, 6):
            payload = jpeg(SCENE, mode, orientation)
            header = image_header(payload, "a", LIMIT)
            size = (501, 377) if orientation == 6 else (377, 501)
            assert (header.height, header.width, header.channels, header.bit_depth) == (
                *size,
                1 if mode == "L" else 3,
                8,
            )
            assert read_frame(payload).size == (377, 501)
    assert read_frame(jpeg(SCENE, progressive=True)).blocks


def test_cmyk_and_sizes_are_refused_with_the_same_message():
    cmyk = jpeg(SCENE, "CMYK")
    with pytest.raises(DataError, match=r"must be grey or RGB. a\.jpg: received CMYK.*--image\.convert true"):
        ImagePreprocess(size=(9, 9), channels=3).decode(cmyk, "a.jpg")
    assert ImagePreprocess(size=(9, 9), channels=3, convert=True).decode(cmyk).shape == (3, 9, 9)
    for read in (
        image_header,
        lambda *args: ImagePreprocess(size=(9, 9), channels=3, max_pixels=args[2]).decode(*args[:2]),
    ):
        with pytest.raises(
            DataError, match=r"at most 0\.1 million pixels. a\.jpg: received 501 x 377, which is 0\.2 million"
        ):
            read(jpeg(SCENE), "a.jpg", 100_000)
        with pytest.raises(DataError, match=r"at least 2 pixels on each side. a\.jpg: received 9 x 1"):
            read(jpeg(SCENE[:1, :9]), "a.jpg", 100_000)


def test_truncated_jpeg_is_named_at_every_scale():
    payload = jpeg(SCENE)
    for cut in (len(payload) // 2, len(payload) - 40):
        for size in ((16, 16), (200, 200), (400, 600)):
            with pytest.raises(DataError, match=r"decode to its last row. a\.jpg: received a truncated or damaged \w+"):
                ImagePreprocess(size=size, channels=3).decode(payload[:cut], "a.jpg")


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def lossless(height: int, width: int) -> bytes:
    """A grey JPEG whose pixels are all predicted rightly, one bit each. Source: ITU-T T.81, annex H."""
    table = segment(0xC4, bytes([0]) + bytes([1] + [0] * 15) + bytes([0]))
    frame = segment(0xC3, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 1, 0, 0]))
    return b"\xff\xd8" + table + frame + scan + bytes(height * width // 8) + b"\xff\xd9"


def test_lossless_jpeg_is_never_scaled():
    """The decoder would write the whole picture into the memory of the scaled one."""
    payload = lossless(64, 64)
    assert not read_frame(payload).blocks
    picture = decoded(payload, (8, 8))
    assert (picture.eighths, picture.pixels.shape) == (8, (64, 64, 1))
    assert (picture.pixels == 128).all()


SIDE = 256
USUAL = {"444": 0x11, "420": 0x22, "422": 0x21, "440": 0x12, "411": 0x41}
"""The sampling factors of the brightness, where colours have 1x1."""


def striped(sampling: str, period: int, *, columns: bool) -> bytes:
    """A JPEG of even brightness, with stripes of colour."""
    planes = np.full((SIDE, SIDE, 3), 128, np.uint8)
    stripes = np.where(np.arange(SIDE) // period % 2 == 0, 190, 66)
    planes[:, :, 2] = stripes if columns else stripes[:, None]
    pixels = np.asarray(Image.frombytes("YCbCr", (SIDE, SIDE), planes.tobytes()).convert("RGB"))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=95, colorsubsampling=sampling)


def contrast(picture: Decoded, size: int) -> int:
    """How far red swings in the middle of a picture, once it is resized."""
    red = Image.fromarray(picture.pixels[:, :, 0]).resize((size, size), Image.Resampling.BILINEAR)
    middle = np.asarray(red)[size // 4 : 3 * size // 4, size // 4 : 3 * size // 4]
    return int(np.ptp(middle.astype(int)))


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("period", [4, 8, 16])
@pytest.mark.parametrize("sampling", USUAL)
def test_scaled_colours_match_the_whole_image(sampling, period, columns):
    payload = striped(sampling, period, columns=columns)
    assert read_frame(payload).sampling == bytes([USUAL[sampling], 0x11, 0x11])
    whole = decode_jpeg(payload, "a.jpg", LIMIT, None)
    for size in (32, 50, 64, 90, 128, 200):
        scaled = decoded(payload, (size, size))
        assert contrast(scaled, size) >= 0.85 * contrast(whole, size) - 6
        assert scaled.pixels.shape[0] >= size
        if sampling in ("444", "420"):  # whose colours the decoder scales as it does brightness: the scale is as before
            assert scaled.eighths == choose_eighths((SIDE, SIDE), (size, size))


def test_version_2_still_decodes_scaled_colours_as_before():
    payload = striped("422", 4, columns=True)
    spec = {"size": (64, 64), "channels": 3, "resize": "squash"}
    older = ImagePreprocess.from_json({"modality": "image", **spec, "version": 2})
    assert older.read(payload, "a").eighths == 2
    assert np.ptp(older.decode(payload)[0].numpy().astype(int)) < 20
    assert np.ptp(ImagePreprocess(**spec).decode(payload)[0].numpy().astype(int)) > 60
    assert ImagePreprocess.from_json(older.to_json()) == older


@pytest.mark.parametrize(
    ("sampling", "need", "eighths"),
    [
        ("111111", 64, 2),
        ("221111", 64, 2),
        ("222222", 64, 2),  # all alike, however it is written
        ("211111", 64, 8),
        ("211111", 32, 4),
        ("211111", 16, 2),
        ("121111", 32, 4),
        ("411111", 16, 4),
        ("411111", 32, 8),
        ("421111", 32, 4),  # rows and columns halved, and columns once more
        ("441111", 64, 2),  # both quartered
        ("211212", 32, 4),  # each lacks the other's direction
        ("212111", 32, 4),
        ("11", 64, 2),
        ("310011", 64, 8),  # damaged
    ],
)
def test_the_scale_follows_the_sampling_factors(sampling, need, eighths):
    assert choose_eighths((256, 256), (need, need), bytes.fromhex(sampling)) == eighths


def test_turned_jpeg_swaps_the_sides_that_it_needs():
    """4:2:2 halves what are rows once it is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    planes = np.zeros((64, 512, 3), np.uint8)
    payload = io.BytesIO()
    Image.fromarray(planes).save(payload, "jpeg", subsampling=1, exif=exif)
    picture = decode_jpeg(payload.getvalue(), "a.jpg", LIMIT, lambda size: (64, 32))
    assert picture.full == (512, 64)
    assert picture.eighths == 4
    assert picture.pixels.shape == (256, 32, 3)


def even_blocks(sampling: list[int], height: int, width: int) -> bytes:
    """A baseline JPEG of any sampling, whose blocks of 8x8 have one value each, 0 or 64 away from grey in turn.

    Source: ITU-T T.81, annexes F and K; code 0 stands for no change, 10 for one of 7 bits.
    """
    rows, columns = max(byte & 15 for byte in sampling), max(byte >> 4 for byte in sampling)
    quant = segment(0xDB, bytes([0]) + bytes([8] * 64))
    tables = segment(0xC4, b"\x00" + bytes([1, 1] + [0] * 14) + bytes([0, 7]))
    tables += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + bytes([0]))  # all others are zero
    parts = b"".join(bytes([k + 1, byte, 0]) for k, byte in enumerate(sampling))
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, len(sampling)) + parts)
    scan = segment(0xDA, bytes([len(sampling)]) + b"".join(bytes([k + 1, 0]) for k in range(3)) + bytes([0, 63, 0]))
    bits, last = "", [0] * len(sampling)
    for unit in range((height // (8 * rows)) * (width // (8 * columns))):
        for part, byte in enumerate(sampling):
            for block in range((byte & 15) * (byte >> 4)):
                value = 64 * ((unit + block) % 2) if part else 0
                change, last[part] = value - last[part], value
                bits += "0" if not change else "10" + f"{change if change > 0 else change + 127:07b}"
                bits += "0"
    bits += "1" * (-len(bits) % 8)
    content = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + quant + tables + frame + scan + content + b"\xff\xd9"


@pytest.mark.parametrize(
    "sampling", [[0x42, 0x11, 0x11], [0x21, 0x12, 0x12], [0x14, 0x11, 0x11], [0x22, 0x21, 0x12], [0x31, 0x11, 0x11]]
)
def test_rare_samplings_keep_their_colours_too(sampling):
    """Those that the fast decoder does not know are decoded whole, by Pillow."""
    payload = even_blocks(sampling, 192, 192)
    image = np.asarray(Image.open(io.BytesIO(payload)).convert("RGB"))
    assert np.ptp(image[:, :, 0].astype(int)) > 60
    assert read_frame(payload).sampling == bytes(sampling)
    for size in (24, 48, 96):
        spec = {"size": (size, size), "channels": 3, "resize": "squash"}
        small, whole = (ImagePreprocess(**spec, dct_scaling=on).decode(payload).double() for on in (True, False))
        assert (small - whole).abs().mean() < 8
        assert small.std() > 0.8 * whole.std()


def test_unusual_jpeg_is_left_to_pillow():
    payload = jpeg(SCENE)
    filled = payload[:2] + b"\xff" + payload[2:]  # a fill byte before a marker, which the standard allows
    assert read_frame(filled) is None
    assert decoded(filled, (16, 16)) is None
    assert ImagePreprocess(size=(16, 16), channels=3).decode(filled).shape == (3, 16, 16)
    for broken in (
        payload[:10],
        payload[:2] + b"\xff\xd9",
        b"\xff\xd8\xff",
        payload[:300].replace(b"\xff\xc0", b"\xff\xc1", 1),
    ):
        assert read_frame(broken) is None


def pillows_way(payload: bytes, spec: ImagePreprocess) -> np.ndarray:
    """Version 1, as it was: Pillow decodes the whole picture; (H, W, 3)."""
    image = Image.open(io.BytesIO(payload)).convert("RGB")
    (height, width), box = spec.size, None
    if spec.resize == "crop":
        scale = min(image.height / height, image.width / width)
        left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
        box = (left, top, left + width * scale, top + height * scale)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box))


@pytest.mark.parametrize("rule", ["squash", "crop"])
def test_version_1_gives_the_bits_that_it_gave(rule):
    payload = jpeg(SCENE)
    said = {"size": [48, 64], "channels": 3, "depth": 8, "resize": rule, "pad": [0, 0], "convert": False,
            "max_pixels": LIMIT, "mean": [0.5], "std": [0.5], "version": 1}  # fmt: skip
    spec = ImagePreprocess.from_json({"modality": "image", **said})
    assert (spec.version, spec.dct_scaling) == (1, False)
    assert ImagePreprocess.from_json(spec.to_json()) == spec
    assert np.array_equal(spec.decode(payload).permute(1, 2, 0).numpy(), pillows_way(payload, spec))
    newer = ImagePreprocess(size=(48, 64), channels=3, resize=rule)
    assert not torch.equal(newer.decode(payload), spec.decode(payload))  # else this test could not fail


def test_version_1_with_scaling_contradicts_itself():
    with pytest.raises(DataError, match="version 1 decodes images at full size. .* Set dct_scaling to false"):
        ImagePreprocess(size=(4, 4), channels=3, version=1)


@given(st.data())
def test_any_damage_ends_in_a_named_error_or_an_image(data):
    kind = data.draw(st.sampled_from([{}, {"progressive": True}, {"subsampling": 0}, {"orientation": 6}]))
    payload = bytearray(jpeg(SCENE[:60, :70], **kind))
    for _ in range(data.draw(st.integers(0, 5))):
        payload[data.draw(st.integers(0, min(700, len(payload) - 1)))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))] if data.draw(st.booleans()) else payload
    size = data.draw(st.sampled_from([(8, 8), (30, 20), (64, 64)]))
    try:
        image = ImagePreprocess(size=size, channels=3, max_pixels=100_000).decode(bytes(payload), "a.jpg")
    except DataError as error:
        assert "a.jpg" in str(error)  # noqa: PT017
    else:
        assert image.shape == (3, *size)
