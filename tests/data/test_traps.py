"""Files that are made to do harm: links in circles, pipes, bombs, headers that lie, names that no text can hold.

Each ends in a named error, or in a correct read, soon and with little memory.
"""

import contextlib
import gzip
import io
import json
import os
import struct
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.annotations.coco import open_coco
from neocog.annotations.yolo import open_yolo
from neocog.data import AudioPreprocess, ImagePreprocess, TextPreprocess, fingerprint, open_source
from neocog.data.formats import FORMATS, recognise
from neocog.data.known import unpack
from neocog.errors import ConfigError, DataError
from tests.support.damage import ending, ogg_checksum, peak, png_chunk
from tests.support.small_sets import SETS, files_of, idx_array, npy, npz, picture, sound, tar, tiff, write_set

LITTLE = 2**27
"""Bytes of memory."""
BY_CLASS = ["image-folder", "sound-folder", "signal-folder", "text-folder"]
CONTENT = {"image-folder": ("png", picture()), "sound-folder": ("wav", sound("wav")), "text-folder": ("txt", b"a"),
           "signal-folder": ("npy", npy([[1, 2, 3]], "f4")), "sgf": ("sgf", b"(;SZ[9];B[aa];W[bb])")}  # fmt: skip


@pytest.fixture(autouse=True)
def soon(tmp_path, monkeypatch):
    """Ends a test that does not end by itself."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ending():
        yield


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    before = peak()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE
        assert peak() - before < LITTLE  # of what libraries take by themselves
    finally:
        tracemalloc.stop()


def classes(root: Path, layout: str) -> Path:
    """A folder of two classes, a and b, with a file each."""
    suffix, content = CONTENT[layout]
    return write_set(root, {f"a/1.{suffix}": content, f"b/2.{suffix}": content})


# Links, pipes and deep folders


@pytest.mark.parametrize("layout", BY_CLASS)
def test_links_that_lead_in_circles_end(tmp_path, layout):
    root = classes(tmp_path / "set", layout)
    suffix, content = CONTENT[layout]
    for name in ("near", "far"):
        write_set(tmp_path / name, {f"{name}.{suffix}": content})
    (root / "a" / "in").symlink_to(tmp_path / "near")
    for name, target in (("self", "near"), ("again", "near"), ("on", "far")):
        (tmp_path / "near" / name).symlink_to(tmp_path / target)
    (tmp_path / "far" / "back").symlink_to(tmp_path / "near")
    source = open_source(root, format=layout)
    inner = set() if layout == "text-folder" else {f"a/in/near.{suffix}", f"a/in/on/far.{suffix}"}
    assert {source.key(i) for i in range(len(source))} == {f"a/1.{suffix}", f"b/2.{suffix}"} | inner


@pytest.mark.parametrize("layout", ["image-folder", "sound-folder", "signal-folder"])
def test_links_that_multiply_folders_are_refused(tmp_path, layout, monkeypatch):
    root = classes(tmp_path / "set", layout)
    for depth in range(20):
        (tmp_path / f"{depth}").mkdir()
        for name in "xy":
            (tmp_path / f"{depth}" / name).symlink_to(tmp_path / f"{depth + 1}")
    (tmp_path / "20").mkdir()
    (root / "a" / "in").symlink_to(tmp_path / "0")
    monkeypatch.setattr("neocog.dataset.files.MAX_LINKS", 100)
    with pytest.raises(DataError, match="At most 100 links to folders are followed. .*a has more"):
        open_source(root, format=layout)


@pytest.mark.parametrize("layout", [*BY_CLASS, "sgf"])
def test_pipes_and_broken_links_are_not_files(tmp_path, layout):
    root = classes(tmp_path / "set", layout)
    suffix, _ = CONTENT[layout]
    (root / "a" / f"0.{suffix}").symlink_to("nowhere")
    (root / "a" / f"self.{suffix}").symlink_to(f"self.{suffix}")
    os.mkfifo(root / "b" / f"pipe.{suffix}")
    assert layout in [found.name for found in recognise(root)]
    source = open_source(root, format=layout) if layout != "sgf" else None
    if layout in ("image-folder", "sound-folder", "signal-folder"):
        fingerprint(source)
        assert [source.key(index) for index in range(len(source))] == [f"a/1.{suffix}", f"b/2.{suffix}"]
    elif layout == "text-folder":
        for index, message in ((0, "can't be read"), (2, "can't be read"), (4, "is not a plain file")):
            with pytest.raises(DataError, match=message):
                source.read(index)
    else:
        with pytest.raises(DataError, match="can't be read"):
            open_source(root)


@pytest.mark.parametrize(
    "name",
    ["masks grey", "coco", "voc", "voc-masks", "yolo", "class-map", "class-list csv", "ucr", "ts", "signal-npz npy"],
)
def test_no_file_of_a_set_may_be_a_pipe(tmp_path, name):
    for number, chosen in enumerate(files_of(name)):
        folder = write_set(tmp_path / str(number), files_of(name))
        (folder / chosen).unlink()
        os.mkfifo(folder / chosen)
        with contextlib.suppress(DataError):
            recognise(folder)
            source = SETS[name].open(folder)
            for index in range(len(source)):
                source.read(index)


@pytest.mark.parametrize(
    "layout", ["image-folder", "sound-folder", "text-folder", "masks grey", "class-list csv", "sgf"]
)
def test_folders_may_be_deeper_than_python_recurs(tmp_path, layout, monkeypatch):
    root = classes(tmp_path / "set", layout) if layout in CONTENT else write_set(tmp_path / "set", files_of(layout))
    top = "images" if layout == "masks grey" else "in" if layout == "class-list csv" else "a"
    monkeypatch.chdir(root / top)
    with inside_folders(sys.getrecursionlimit() + 100):
        recognise(root)
        assert len(open_source(root, format=SETS[layout].format if layout in SETS else layout)) >= 2


@contextlib.contextmanager
def inside_folders(depth: int) -> Iterator[None]:
    """So many folders d within another below this one, which are removed one by one: Python itself recurs to do so."""
    for _ in range(depth):
        os.mkdir("d")  # noqa: PTH102, a path from the root could be too long
        os.chdir("d")
    try:
        yield
    finally:
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106, as above


FROM_FILES = ("image-folder png", "class-", "masks", "sound wav", "coco", "voc", "yolo", "text-folder")


@pytest.mark.parametrize("name", [name for name in SETS if name.startswith(FROM_FILES)])
def test_a_file_that_is_gone_when_it_is_read_is_named(tmp_path, name):
    folder = write_set(tmp_path / "set", files_of(name))
    source = SETS[name].open(folder)
    lost = folder / source.key(0)
    lost.unlink()
    for use in (lambda: fingerprint(source), lambda: source.read(0)):
        with pytest.raises(DataError, match=f"{lost.name} (can't be read: No such file|is no file any more)"):
            use()


# Archives


def special(kind: bytes, name: str = "set/x", link: str = "/etc/passwd") -> bytes:
    return tar({name: b""}, type=kind, linkname=link)


def renamed(name: str) -> bytes:
    """A plain name, and in an extended header before it the one that counts."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("plain.txt")
        info.pax_headers = {"path": name}
        archive.addfile(info)
    return file.getvalue()


def sparse() -> bytes:
    """A file of 8 GiB in which nothing but zeros stands."""
    head = bytearray(tarfile.TarInfo("set/x").tobuf(tarfile.GNU_FORMAT))
    head[156:157] = tarfile.GNUTYPE_SPARSE
    head[483:495] = b"%011o\0" % (8**11 - 1)
    head[148:156] = b"%06o\0 " % (sum(head[:148]) + 8 * 32 + sum(head[156:]))
    return bytes(head) + bytes(1024)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar({"../evil": b"x"}), r"leaves its folder: '\.\./evil'"),
        (tar({"a/../../evil": b"x"}), "leaves its folder"),
        (tar({"/tmp/evil": b"x"}), "leaves its folder: '/tmp/evil'"),
        (tar({"..\\evil": b"x"}), "leaves its folder"),
        (tar({"C:\\evil": b"x"}), "leaves its folder"),
        (tar({"C:evil": b"x"}), "leaves its folder"),
        (tar({"\\\\host\\share\\evil": b"x"}), "leaves its folder"),
        (renamed("../evil"), "leaves its folder"),
        (renamed("/evil"), "leaves its folder"),
        (tar({"../" + "d/" * 200 + "evil": b"x"}), "leaves its folder"),
        (special(tarfile.SYMTYPE), "holds a link, a device or a sparse file: 'set/x'. It is not unpacked"),
        (special(tarfile.LNKTYPE), "holds a link, a device"),
        (special(tarfile.CHRTYPE), "holds a link, a device"),
        (special(tarfile.BLKTYPE), "holds a link, a device"),
        (special(tarfile.FIFOTYPE), "holds a link, a device"),
        (sparse(), "holds a link, a device or a sparse file"),
    ],
)
def test_archives_are_unpacked_below_their_folder_alone(tmp_path, content, message):
    archive = write_set(tmp_path, {"a.tar.gz": gzip.compress(content)}) / "a.tar.gz"
    (tmp_path / "deep" / "out").mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        unpack(archive, tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "deep", "out"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
def test_shards_with_names_that_lead_out_are_refused(tmp_path, name):
    for number, content in enumerate((tar({name: b"x"}), renamed(name))):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(tar({"0.txt": b"x", "0.cls": b"0"})[:2048] + content)
        with pytest.raises(DataError, match="a path that leaves its folder"):
            open_source(path, format="shards")
    assert {path.name for path in tmp_path.iterdir()} <= {"0.tar", "1.tar", "cache"}


# Bombs


def npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def long_header() -> bytes:
    """A header that is said to have 2 GB itself."""
    return b"\x93NUMPY\2\0" + struct.pack("<I", 2**31)


@pytest.mark.parametrize("layout", ["npz", "signal-npz"])
@pytest.mark.parametrize(
    ("start", "num_zeros", "message"),
    [
        (npy_header((10_000, 1000, 1000)), 2**20, r"bytes hold 10,000,000,000, more than 200 times as many"),
        (npy_header((2, 3, 4)), 2**28, "promises 24 bytes of values, and it holds more"),
        (long_header(), 2**28, "its header says that it is 2,147,483,648 bytes long itself"),
    ],
)
def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path, layout, start, num_zeros, message):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x.npy", "w") as file:
            file.write(start)
            for _ in range(num_zeros // 2**20):
                file.write(bytes(2**20))
        archive.writestr("y.npy", npy([0, 1]))
    with little_memory(), pytest.raises(DataError, match=message):
        open_source(path, format=layout)


def test_an_archive_that_says_less_than_it_holds_is_read_no_further(tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((10_000, 1000, 1000)) + bytes(2**24))
        archive.writestr("y.npy", npy([0, 1]))
    small, large = (struct.pack("<I", size) for size in (100, len(npy_header((10_000, 1000, 1000))) + 2**24))
    path.write_bytes(path.read_bytes().replace(large, small))
    with little_memory(), pytest.raises(DataError, match="can't be read as .npz"):
        open_source(path, format="npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_array(np.zeros((2, 3, 4), np.uint8)) + bytes(2**28), "longer than its header says"),
        (struct.pack(">I3I", 0x803, 60_000, 1000, 1000) + bytes(2**20), "hold 60,000,000,000, more than 200 times"),
    ],
)
def test_a_gzipped_file_that_would_fill_the_memory_is_refused(tmp_path, content, message):
    packed = gzip.compress(content, 1)
    labels = idx_array(np.zeros(2, np.uint8))
    write_set(tmp_path, {"train-images-idx3-ubyte.gz": packed, "train-labels-idx1-ubyte": labels})
    with little_memory(), pytest.raises(DataError, match=message):
        open_source(tmp_path, format="idx")


def png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (8, 8)) -> bytes:
    """A grey picture of black with further chunks, or with rows of its own."""
    height, width = size
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = [] if any(kind == b"IDAT" for kind, _ in chunks) else [(b"IDAT", zlib.compress(bytes(9 * 8)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*c) for c in ((b"IHDR", head), *chunks, *rows, (b"IEND", b"")))


ZEROS = zlib.compress(bytes(2**28), 1)
BOMBS = {
    "rows without end": png((b"IDAT", ZEROS)),
    "text": png((b"zTXt", b"a\0\0" + ZEROS)),
    "many texts": png(*[(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))] * 300),
    "international text": png((b"iTXt", b"a\0\1\0\0\0" + ZEROS)),
    "profile": png((b"iCCP", b"a\0\0" + ZEROS)),
    "50,000 x 50,000": png((b"IDAT", ZEROS[:1000]), size=(50_000, 50_000)),
    "2**31 - 1 x 2**31 - 1": png((b"IDAT", ZEROS[:1000]), size=(2**31 - 1, 2**31 - 1)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_png_files_that_inflate_are_refused_or_read(tmp_path, bomb):
    content = {f"{k}/0.png": BOMBS[bomb] for k in "ab"}
    source = open_source(write_set(tmp_path / "set", content))
    with little_memory(), contextlib.suppress(DataError):
        pixels = ImagePreprocess(size=(8, 8), channels=1).decode(source.read(0).payload, "here")
        assert not pixels.any()


@pytest.mark.parametrize("bomb", BOMBS)
def test_masks_that_inflate_are_refused_or_read(tmp_path, bomb):
    files = {"images/0.png": picture(size=(8, 8)), "masks/0.png": BOMBS[bomb], "classes.txt": b"a\nb\nc"}
    source = open_source(write_set(tmp_path / "set", files), format="masks")
    with little_memory(), contextlib.suppress(DataError):
        assert not source.read(0).target.any()


def huge(kind: str) -> bytes:
    """A small picture whose header says 60,000 x 60,000."""
    side = 60_000
    if kind == "bmp":
        return picture(0, "bmp")[:18] + struct.pack("<II", side, side) + picture(0, "bmp")[26:]
    if kind == "jpeg":
        content = picture(0, "jpeg")
        place = content.index(b"\xff\xc0") + 5
        return content[:place] + struct.pack(">HH", side, side) + content[place + 4 :]
    if kind == "webp":
        flags = struct.pack("<I", 0) + (side - 1).to_bytes(3, "little") * 2
        body = b"WEBPVP8X" + struct.pack("<I", 10) + flags + picture(0, "webp")[12:]
        return b"RIFF" + struct.pack("<I", len(body)) + body
    content = tiff(np.zeros((8, 8), np.uint8))
    for tag in (256, 257):
        place = next(k for k in (content.find(struct.pack("<HHI", tag, kind, 1)) for kind in (3, 4)) if k > 0) + 8
        content = content[:place] + struct.pack("<I", side) + content[place + 4 :]
    return content


@pytest.mark.parametrize("kind", ["bmp", "jpeg", "webp", "tiff"])
def test_image_that_claims_to_be_huge_is_refused_before_memory_is_taken(tmp_path, kind):
    source = open_source(write_set(tmp_path / "set", {f"{k}/0.{kind}": huge(kind) for k in "ab"}))
    with (
        little_memory(),
        pytest.raises(DataError, match="at most 40 million pixels|more pixels than Pillow|is truncated or damaged"),
    ):
        ImagePreprocess(size=(8, 8), channels=3).decode(source.read(0).payload, "here")


def wav(data_size: int, channels: int = 1, rate: int = 8000, samples: bytes = bytes(100)) -> bytes:
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 % 2**32, channels * 2 % 2**16, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", data_size) + samples
    return b"RIFF" + struct.pack("<I", min(4 + len(body), 2**32 - 1)) + body


def ogg_of_ages() -> bytes:
    """A sound whose last page says that it ends after 2**62 samples."""
    content = sound("ogg", "VORBIS")
    start = content.rindex(b"OggS")
    page = bytearray(content[start:])
    page[6:14] = struct.pack("<q", 2**62)
    page[22:26] = bytes(4)
    page[22:26] = struct.pack("<I", ogg_checksum(bytes(page)))
    return content[:start] + bytes(page)


@pytest.mark.parametrize(
    "content",
    [
        wav(2**31),
        wav(2**32 - 2),
        wav(2**32 - 1),
        wav(100, channels=65_535),
        wav(100, channels=0),
        wav(100, rate=0),
        wav(100, rate=2**32 - 1),
        ogg_of_ages(),
    ],
)
def test_a_sound_that_lies_about_itself_takes_little_memory(content):
    spec = AudioPreprocess(sample_rate=8000, seconds=0.01, features="waveform")
    with little_memory(), contextlib.suppress(DataError):
        assert spec.decode(content, "here").shape == (1, 80)


def holes(path: Path, size: int) -> None:
    """A file that is long, and takes no room on the disk."""
    with path.open("ab") as file:
        file.truncate(size)


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("image-folder png", "train/cat/0.png", "may have at most 1,073,741,824 bytes"),
        ("class-list csv", "a.png", "may have at most 1,073,741,824 bytes"),
        ("class-map", "cat/c.png", "may have at most 1,073,741,824 bytes"),
        ("masks grey", "images/0.png", "at most 1,073,741,824 bytes. .*: received 1,099,511,627,776"),
        ("masks grey", "masks/0.png", "at most 1,073,741,824 bytes. .*: received 1,099,511,627,776"),
        ("yolo", "images/train/a.png", "at most 1,073,741,824 bytes. .*: received 1,099,511,627,776"),
        ("yolo", "labels/train/a.txt", "at most 16,777,216 bytes. .*: received 1,099,511,627,776"),
        ("sound wav", "0_ann_0.wav", "may have at most 1,073,741,824 bytes"),
        ("text-folder", "train/good/1.txt", "at most 16,777,216 bytes"),
        ("text-table csv", "reviews.csv", "A row may have at most 16,777,216 bytes"),
        ("class-list csv", "labels.csv", "A row may have at most 16,777,216 bytes"),
        ("csv-windows", "long.csv", "A row may have at most 16,777,216 bytes"),
        ("class-map", "class_map.txt", "at most 16,777,216 bytes"),
        ("ucr", "Tiny_TRAIN.tsv", "A series is a line of at most 67,108,864 characters"),
        ("ts", "Tiny_TRAIN.ts", "A series is a line of at most 67,108,864 characters"),
        ("sgf", "train/a.sgf", "at most 67,108,864 bytes"),
    ],
)
def test_a_file_that_is_too_long_is_refused_before_it_is_read(tmp_path, name, file, message):
    folder = write_set(tmp_path / "set", files_of(name))
    holes(folder / file, 2**40)
    with pytest.raises(DataError, match=message):
        source = SETS[name].open(folder)
        for index in range(len(source)):
            source.read(index)


def test_few_bytes_of_parquet_that_are_for_many_are_refused(tmp_path, monkeypatch):
    import pyarrow
    from pyarrow import parquet

    content = [picture(0) + bytes(2**16)] * 2000
    table = pyarrow.table({"image": content, "label": [0] * len(content)})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 2**18
    assert len(open_source(tmp_path / "a.parquet").read(3).payload) > 2**16
    monkeypatch.setattr("neocog.shards.columns.MAX_GROUP", 2**24)
    with pytest.raises(
        DataError, match="at most 16,777,216 bytes. group 0 of .*a.parquet: received more when unpacked"
    ):
        open_source(tmp_path / "a.parquet").read(3)


def test_texts_of_marks_alone_are_read_in_time(tmp_path):
    marks = ("\u0300" * 10 + "\u0323") * 50_000
    content = {"a/1.txt": f"a{marks}".encode(), "b/2.txt": b"x"}
    source = open_source(write_set(tmp_path / "set", content), format="text-folder")
    spec = TextPreprocess(level="character", length=9, vocabulary=("x",))
    assert spec.decode(source.read(0).payload, "here").shape == (9,)


def test_stones_without_end_are_refused(tmp_path):
    path = tmp_path / "a.sgf"
    path.write_bytes(b"(;SZ[25]AB" + b"[aa:yy]" * 50_000 + b";B[aa])")
    with little_memory(), pytest.raises(DataError, match="A game has at most 10,000 moves"):
        open_source(path)


@pytest.mark.parametrize("layout", ["coco", "yolo"])
def test_longest_outline_takes_little_memory(tmp_path, layout):
    wide = io.BytesIO()
    Image.new("1", (39_000_000, 2)).save(wide, "png")
    files = {name: wide.getvalue() if name.endswith("a.png") else content for name, content in files_of(layout).items()}
    if layout == "coco":
        content = json.loads(files["annotations/instances_train.json"])
        content["images"][0] |= {"width": 39_000_000, "height": 2}
        content["annotations"] = content["annotations"][:1]
        content["annotations"][0] |= {"image_id": 7, "segmentation": [[0, 0, 39_000_000, 0, 39_000_000, 2, 0, 2]]}
        files["annotations/instances_train.json"] = json.dumps(content).encode()
    folder = write_set(tmp_path / "set", files)
    source = (open_coco if layout == "coco" else open_yolo)(folder, with_masks=True)
    with little_memory(), pytest.raises(DataError, match="each side 262,144 pixels. .* on 39000000 x 2 pixels"):
        source.read(0)


# Names, and places that are not there


def test_texts_that_unicode_does_not_have_are_refused(tmp_path):
    x = np.zeros((2, 1, 5), np.float32)
    for code in (0x110000, 0xFFFFFFFF, 0xD800):
        odd = np.array([code, 65], "<u4").view("<U1")
        for arrays in ({"y": odd}, {"y": [0, 1], "classes": odd}):
            (tmp_path / "set.npz").write_bytes(npz(x=x, **arrays))
            with pytest.raises(DataError, match="texts with characters that Unicode does not have"):
                open_source(tmp_path / "set.npz")


def test_names_in_shards_that_no_text_can_hold_are_named(tmp_path):
    halves = tar({"0.txt": b"x", "0.json": b'{"label": "\\ud800"}', "1.txt": b"y", "1.json": b'{"label": "b"}'})
    (tmp_path / "a.tar").write_bytes(halves)
    with pytest.raises(DataError, match=r"need names in Unicode. Received: '\\ud800'. Rename it"):
        open_source(tmp_path / "a.tar")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tar"))
    odd.write_bytes(tar({"0.txt": b"x", "0.cls": b"0"}))
    with pytest.raises(DataError, match=r"need names in Unicode. Received: 'caf\\udce9"):
        open_source(odd)


@pytest.mark.parametrize("name", SETS)
def test_a_set_opened_as_any_layout_is_read_or_refused(tmp_path, name):
    folder = write_set(tmp_path / "set", files_of(name))
    places = [folder, *(path for path in folder.rglob("*") if path.is_file())][:3]
    for layout in FORMATS:
        for place in places:
            with contextlib.suppress(DataError, ConfigError):
                source = open_source(place, format=layout.name)
                fingerprint(source)
                for index in range(min(5, len(source))):
                    with contextlib.suppress(DataError):
                        source.read(index)


SUFFIXES = ("npz", "npy", "csv", "tsv", "jsonl", "png", "jpg", "tif", "wav", "flac")


def test_nothing_and_garbage_have_no_layout(tmp_path):
    (tmp_path / "empty").mkdir()
    for seed, suffix in enumerate(
        (*SUFFIXES, "json", "yaml", "ts", "tar", "parquet", "arrow", "sgf", "gz", "txt", "xml")
    ):
        place = write_set(tmp_path / suffix, {f"a.{suffix}": np.random.default_rng(seed).bytes(500)})
        for path in (tmp_path / "empty", place, place / f"a.{suffix}"):
            recognise(path)
            for layout in FORMATS:
                with contextlib.suppress(DataError, ConfigError):
                    open_source(path, format=layout.name)
