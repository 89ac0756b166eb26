import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from neocog.data import ImageConfig, choose_image, open_source
from neocog.doctor import check
from neocog.errors import ConfigError
from neocog.modalities.image.choose import find_pages
from neocog.modalities.image.pages import FIRST_ALONE, HINT, SeveralPages, num_pages

DRAW = np.random.default_rng(0)


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return DRAW.integers(0, 255, shape).astype(dtype)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


GREY = {"photometric": "minisblack"}


@pytest.mark.parametrize(
    ("pixels", "options", "pages"),
    [
        (noise(32, 24), {}, 1),
        (noise(3, 32, 24), {"photometric": "rgb"}, 1),
        (noise(3, 32, 24), {"imagej": True, "metadata": {"axes": "CYX"}}, 3),
        (noise(2, 5, 32, 24), {"imagej": True, "metadata": {"axes": "ZCYX"}}, 10),
        (noise(32, 24, 3), {"imagej": True}, 1),
        (noise(5, 32, 24), {"ome": True, "metadata": {"axes": "CYX"}}, 5),
        (noise(7, 3, 32, 24), {"photometric": "rgb", "planarconfig": "separate"}, 7),
        (noise(4, 32, 24), {**GREY, "metadata": None}, 4),
        (noise(4, 32, 24), {**GREY, "bigtiff": True, "byteorder": ">"}, 4),
        (noise(9, 32, 24), {**GREY, "truncate": True}, 9),  # one directory for all
        (noise(9, 32, 24, 1), {**GREY, "truncate": True}, 9),
        (noise(3, 32, 24), {**GREY, "volumetric": True}, 3),
    ],
)
def test_pages_of_a_tiff_are_counted(pixels, options, pages):
    payload = tiff(pixels, **options)
    assert num_pages(payload) == pages
    assert pages in (
        len(tifffile.TiffFile(io.BytesIO(payload)).pages),
        tifffile.imread(io.BytesIO(payload)).shape[0],
        1,
    )


def test_smaller_copies_of_a_page_do_not_count():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(noise(64, 64, 3), photometric="rgb", subifds=2)
        for size in (32, 16):
            writer.write(noise(size, size, 3), photometric="rgb", subfiletype=1)
    assert num_pages(file.getvalue()) == 1
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:  # as maps with overviews have them
        for size, kind in ((64, 0), (32, 1), (16, 1)):
            writer.write(noise(size, size, 3), photometric="rgb", subfiletype=kind)
    assert num_pages(file.getvalue()) == 1


def test_num_pages_counts_images_after_a_preview():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(noise(16, 16, 3), photometric="rgb", subfiletype=1, subifds=1)
        writer.write(noise(64, 64, 3), photometric="rgb", subfiletype=0)
    assert num_pages(file.getvalue()) == 2


def test_num_pages_reads_the_description_of_an_imagej_stack():
    pixels = noise(6, 32, 24, dtype=np.uint16).astype(">u2")
    whole = tiff(pixels[0], description="ImageJ=1.54\nimages=6\nslices=6\n", metadata=None, **GREY)
    assert num_pages(whole) == 1  # as left by a program that kept the description of a single slice
    assert num_pages(whole + pixels[1:].tobytes()) == 6


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_frames_of_an_animation_are_counted(kind):
    frames = [Image.fromarray(noise(32, 24, 3)) for _ in range(4)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    assert num_pages(file.getvalue()) == 4
    file = io.BytesIO()
    frames[0].save(file, kind)
    assert num_pages(file.getvalue()) == 1


def test_previews_in_a_jpeg_do_not_count():
    frames = [Image.fromarray(noise(32, 24, 3)) for _ in range(2)]
    file = io.BytesIO()
    frames[0].save(file, "mpo", save_all=True, append_images=frames[1:])
    assert num_pages(file.getvalue()) == 1


def test_damage_does_not_keep_from_counting():
    payload = tiff(noise(4, 32, 24), metadata=None, **GREY)
    for cut in range(0, len(payload), 7):
        assert 1 <= num_pages(payload[:cut]) <= 4
    place = struct.unpack_from("<I", payload, 4)[0]
    (count,) = struct.unpack_from("<H", payload, place)
    end = place + 2 + 12 * count
    circle = payload[:end] + struct.pack("<I", place) + payload[end + 4 :]
    assert num_pages(circle) == 1


def folder(root, files):
    for name, payload in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
    return root


STACK = tiff(noise(3, 32, 24), imagej=True, metadata={"axes": "CYX"})
PLAIN = tiff(noise(32, 24))


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(noise(32, 24)) for _ in range(2)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_find_pages_looks_in_other_splits(tmp_path):
    files = {f"{split}/{name}/{k}.tif": PLAIN for split in ("train", "test") for name in "ab" for k in range(2)}
    files |= {"train/a/0.tif": STACK, "test/b/1.tif": STACK, "test/b/2.webp": animated("webp")}
    files |= {"train/a/3.png": animated("png"), "test/a/3.png": animated("png")}
    source = open_source(folder(tmp_path / "s", files))
    several = SeveralPages()
    choose_image(source, source.splits["train"], ImageConfig(), (3, 32, 32), several=several)
    find_pages(source, source.splits["test"], several)
    found = {"train/a/0.tif": 3, "train/a/3.png": 2, "test/b/1.tif": 3, "test/b/2.webp": 2, "test/a/3.png": 2}
    assert several.found == found
    (notice,) = several.notices
    assert notice.startswith(FIRST_ALONE.format(n=5) + " (test/a/3.png has 2, test/b/1.tif has 3, test/b/2.webp has 2")
    report = check(tmp_path / "s")
    assert notice in report.notices
    (finding,) = [one for one in report.findings if one.kind == "several-frames"]
    assert finding.sentence == FIRST_ALONE.format(n=5)
    assert "numpy.dstack" in finding.remedy


def test_other_files_are_not_read_for_their_pages(tmp_path):
    plain = io.BytesIO()
    Image.fromarray(noise(32, 24)).save(plain, "png")
    source = open_source(folder(tmp_path / "s", {f"{name}/{k}.png": plain.getvalue() for name in "ab" for k in "01"}))
    several = SeveralPages()
    source.read = lambda index: pytest.fail("it was read")
    find_pages(source, np.arange(4), several)
    assert several.notices == ()


def test_pages_requested_as_channels_are_refused(tmp_path):
    source = open_source(folder(tmp_path / "s", {f"{name}/0.tif": STACK for name in "ab"}))
    config = ImageConfig(channels=3)
    with pytest.raises(ConfigError, match=r"not read as channels. .*channels 3, and .* has 3 pages of 1.*dstack"):
        choose_image(source, np.arange(2), config, (3, 32, 32))
    assert choose_image(source, np.arange(2), ImageConfig(channels=1), (3, 32, 32))[0].channels == 1


def test_channels_of_other_files_are_not_mistaken_for_pages(tmp_path):
    """A set that is trained on without a word about channels goes on with the number that was chosen for it."""
    colour = Image.fromarray(noise(32, 32, 3))
    file = io.BytesIO()
    colour.save(file, "png")
    files = {"a/0.tif": tiff(noise(3, 32, 32), photometric="minisblack"), "b/0.png": file.getvalue()}
    source = open_source(folder(tmp_path / "s", files))
    several = SeveralPages()
    spec, _ = choose_image(source, np.arange(2), ImageConfig(channels=3), (3, 32, 32), several=several)
    assert spec.channels == 3 and len(several.notices) == 1


CHANNELS = DRAW.integers(0, 256, (4, 24, 32), np.uint8)


def written_apart() -> bytes:
    """Pages that were written one by one, of which tifffile makes as many series."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in CHANNELS:
            writer.write(page)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        tiff(CHANNELS, photometric="minisblack"),
        tiff(CHANNELS, imagej=True, metadata={"axes": "CYX"}),
        tiff(CHANNELS.reshape(2, 2, 24, 32), imagej=True, metadata={"axes": "ZCYX"}),
        tiff(CHANNELS.reshape(2, 2, 24, 32), ome=True, metadata={"axes": "CZYX"}, photometric="minisblack"),
        written_apart(),
    ],
    ids=["plain", "ImageJ", "ImageJ, depth", "OME, depth", "apart"],
)
def test_the_advice_makes_channels_of_pages(tmp_path, content):
    old, new = tmp_path / "old.tif", tmp_path / "new.tif"
    old.write_bytes(content)
    advice = HINT[HINT.index("tifffile.imwrite") : HINT.index(". Otherwise")]
    eval(advice, {"tifffile": tifffile, "numpy": np, "old": old, "new": new})
    source = open_source(folder(tmp_path / "s", {f"{name}/0.tif": new.read_bytes() for name in "ab"}))
    several = SeveralPages()
    spec, _ = choose_image(source, np.arange(2), ImageConfig(), (3, 24, 32), several=several)
    assert (spec.channels, several.notices) == (4, ())
    assert np.array_equal(spec.decode(new.read_bytes()).numpy(), CHANNELS)
