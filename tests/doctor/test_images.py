import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from neocog.doctor import check, kinds
from neocog.doctor.images import add_thumbs, examine_array, examine_arrays, examine_encoded, file_kind


def png_16_bit_colour(height=24, width=32):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    values = np.random.default_rng(5).integers(0, 65536, (height, width * 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def spoil(folder, noisy, save):
    """Plant one image of each fault, or as many as the returned counts say."""
    whole = save(folder / "cut1.png", 100).read_bytes()
    (folder / "cut1.png").write_bytes(whole[: len(whole) // 2])
    jpeg = save(folder / "cut2.jpg", 101, quality=95).read_bytes()
    (folder / "cut2.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "nothing.png").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"<html>404 not found</html>")
    Image.fromarray(noisy(102)).save(folder / "moving.jpg.png", format="gif")
    Image.fromarray(noisy(103)).save(folder / "is_png.jpg", format="png")
    Image.fromarray(noisy(104)).save(folder / "is_jpeg.bmp", format="jpeg")
    Image.fromarray(noisy(105)).save(folder / "is_webp.tif", format="webp")
    save(folder / "thin.png", 106, height=24, width=1)
    save(folder / "large.png", 107, height=300, width=400)
    Image.fromarray(noisy(108)).convert("CMYK").save(folder / "print.jpg")
    clear = Image.fromarray(noisy(109)).convert("RGBA")
    clear.putpixel((3, 3), (0, 0, 0, 0))
    clear.save(folder / "clear.png")
    (folder / "deep.png").write_bytes(png_16_bit_colour())
    Image.fromarray(noisy(110, channels=1).astype(np.float32)).save(folder / "float.tif")
    exif = Image.Exif()
    for i, orientation in enumerate((3, 6)):
        exif[0x0112] = orientation
        height, width = (24, 32) if orientation == 3 else (32, 24)
        save(folder / f"turned{i}.jpg", 111 + i, height=height, width=width, exif=exif, quality=95)
    exif[0x0112] = 1
    save(folder / "upright.jpg", 113, exif=exif, quality=95)
    frames = [Image.fromarray(noisy(120 + i)) for i in range(3)]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[1].save(folder / "pages.tif", save_all=True, append_images=frames[2:])
    Image.new("RGB", (32, 24), (9, 99, 9)).save(folder / "green.png")
    Image.new("L", (32, 24), 0).save(folder / "black.png")


PLANTED = {
    "zero-bytes": ["nothing.png"],
    "not-a-picture": ["moving.jpg.png", "page.jpg"],
    "damaged": ["cut1.png", "cut2.jpg"],
    "too-large": ["large.png"],
    "too-small": ["thin.png"],
    "unusual-pixels": ["float.tif"],
    "cmyk": ["print.jpg"],
    "transparent": ["clear.png"],
    "deep-colour": ["deep.png"],
    "content-not-as-named": ["is_jpeg.bmp", "is_png.jpg", "is_webp.tif"],
    "exif-turned": ["turned0.jpg", "turned1.jpg"],
    "several-frames": ["moving.webp", "pages.tif"],
    "constant-picture": ["black.png", "green.png"],
    "channels-differ": ["black.png"],
}


def test_each_fault_of_an_image_is_found_once(clean, found, keys, noisy, save):
    spoil(clean / "train" / "cat", noisy, save)
    findings = found(clean, max_pixels=50_000)
    for kind, names in PLANTED.items():
        finding = findings.pop(kind)
        assert finding.count == len(names), kind
        assert keys(finding) == [f"train/cat/{name}" for name in names], kind
    assert not findings, findings


def test_undecodable_images_are_skipped_and_convertible_ones_are_not(clean, noisy, save):
    spoil(clean / "train" / "cat", noisy, save)
    report = check(clean, max_pixels=50_000)
    skipped = (
        "cut1.png",
        "cut2.jpg",
        "float.tif",
        "large.png",
        "moving.jpg.png",
        "nothing.png",
        "page.jpg",
        "thin.png",
    )
    assert sorted(report.skip) == [f"train/cat/{name}" for name in skipped]
    assert report.skip["train/cat/cut1.png"] == "truncated or damaged"
    assert report.skip["train/cat/nothing.png"] == "empty"


def test_details_name_the_fault(clean, found, noisy, save):
    spoil(clean / "train" / "cat", noisy, save)
    findings = found(clean, max_pixels=50_000)
    details = {e.key.split("/")[-1]: e.detail for finding in findings.values() for e in finding.examples}
    assert details["is_png.jpg"] == "it is PNG"
    assert details["turned1.jpg"] == "orientation 6"
    assert details["moving.webp"] == "3 of them"
    assert details["large.png"] == "400 x 300"
    assert details["thin.png"] == "1 x 24"
    assert "page.jpg: received a web page" in details["page.jpg"]
    assert "moving.jpg.png: received a file of the format GIF" in details["moving.jpg.png"]
    assert details["black.png"] == "grey"
    assert findings["channels-differ"].sentence == "1 image is grey, the others in colour"
    assert "--image.convert true" in findings["cmyk"].remedy


def test_check_finds_differing_sizes_shapes_and_depths(tmp_path, found, keys, save, noisy):
    for i in range(20):
        save(tmp_path / "s" / "ab"[i % 2] / f"{i}.png", i, height=200, width=240)
    save(tmp_path / "s" / "a" / "strip.png", 50, height=100, width=900)
    save(tmp_path / "s" / "b" / "thumb.png", 51, height=20, width=24)
    Image.fromarray(noisy(52, 200, 240, 1).astype(np.uint16) * 257).save(tmp_path / "s" / "b" / "deep.png")
    findings = found(tmp_path / "s")
    assert set(findings) == {"sizes-differ", "unusual-shape", "much-smaller", "channels-differ", "depths-differ"}
    assert findings["sizes-differ"].sentence == "images have 3 sizes, from 24 x 20 to 900 x 100"
    assert keys(findings["unusual-shape"]) == ["a/strip.png"]
    assert keys(findings["much-smaller"]) == ["b/thumb.png"]
    assert findings["depths-differ"].sentence == "1 image has 16 bits, the others 8"


def test_file_kind_reads_the_first_bytes(noisy):
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        Image.fromarray(noisy(1)).save(buffer, kind)
        assert file_kind(buffer.getvalue()[:16]) == kind
    buffer = io.BytesIO()
    np.save(buffer, noisy(1))
    assert file_kind(buffer.getvalue()[:16]) == "NPY"
    assert file_kind(b"GIF89a") is None
    assert file_kind(b"") is None


@pytest.mark.parametrize("seed", range(40))
def test_damaged_image_is_a_fault_and_never_an_exception(noisy, seed):
    generator = np.random.default_rng(seed)
    buffer = io.BytesIO()
    kind = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")[seed % 5]
    Image.fromarray(noisy(seed)).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for place in generator.integers(0, len(content), 8):
        content[place] = generator.integers(0, 256)
    facts = examine_encoded(bytes(content), "a.png", 10**6)
    assert facts.faults or facts.size[:2] != (0, 0)


def test_arrays_are_examined_alike_one_by_one_and_in_batches(noisy):
    batch = np.stack([noisy(i) for i in range(5)] + [np.full((24, 32, 3), 7, np.uint8)])
    together = examine_arrays(batch)
    for image, facts in zip(batch, together, strict=True):
        alone = examine_array(image)
        add_thumbs([alone])
        assert (alone.size, alone.depth, alone.faults) == (facts.size, facts.depth, facts.faults)
        assert (alone.thumb is None) == (facts.thumb is None)
        assert alone.thumb is None or np.abs(alone.thumb.astype(int) - facts.thumb).max() <= 1
    assert together[5].faults == [(kinds.CONSTANT_IMAGE, "")]


def test_arrays_of_unusual_shape_or_type_are_faults(memory, noisy, found, keys):
    odd = [noisy(0).astype(np.float32), np.zeros((2, 2, 2, 2), np.uint8), np.zeros((1, 5), np.uint8)]
    findings = found(memory([*odd, *(noisy(i) for i in range(1, 25))]))
    assert keys(findings["unusual-pixels"]) == ["record 0", "record 1"]
    assert keys(findings["too-small"]) == ["record 2"]


def test_arrays_with_an_alpha_channel_among_others_are_noted(memory, noisy, found, keys):
    alpha = np.dstack([noisy(0), noisy(30, channels=1)])
    finding = found(memory([alpha, *(noisy(i) for i in range(1, 25))]))["channels-differ"]
    assert keys(finding) == ["record 0"]
    assert finding.sentence == "1 image is of 4 channels, the others in colour"
