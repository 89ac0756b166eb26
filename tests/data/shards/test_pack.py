import gc
import io
import json
import os
import warnings

import datasets
import fsspec
import numpy as np
import pytest
import tifffile
import torch
import webdataset
from PIL import Image

from neocog.data import choose_board, open_source
from neocog.data import pack as packing
from neocog.data.pack import pack, parse_size
from neocog.dataset.record import Objects, Record, fingerprint
from neocog.errors import ConfigError, DataError, StorageError
from neocog.files import file_hash
from neocog.modalities.image.image_folder import ImageFolder
from neocog.shards import open_shards, packer, verify
from neocog.shards.index import INDEX


@pytest.fixture
def photos(tmp_path, png):
    """Two splits of PNG and JPEG pictures in folders, of which one name needs care; 23 in all."""
    root = tmp_path / "photos"
    for split, count in (("train", 16), ("test", 6)):
        for number in range(count):
            folder = root / split / ("cat" if number % 2 else "dog")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:02}.png").write_bytes(png(number, (30 + number, 24)))
    Image.open(root / "test/cat/01.png").save(root / "test/cat/größe 1.5 %.jpg")
    return root


class Listed:
    """A source of given records."""

    def __init__(self, records, *, modality="image", task="classification", classes=("a", "b"), splits=None):
        self.records, self.modality, self.task, self.classes = records, modality, task, classes
        self.name, self.format, self.notices = "listed", "listed", ()
        self.splits = splits or {"all": np.arange(len(records))}
        rows = [record.target for record in records]
        several = task == "multi-label"
        self.targets = np.array(rows) if several else np.array([row if isinstance(row, int) else -1 for row in rows])

    def __len__(self):
        return len(self.records)

    def key(self, index):
        return self.records[index].key

    def content(self):
        return iter([str(len(self.records)).encode()])

    def read(self, index):
        if isinstance(self.records[index].payload, DataError):
            raise self.records[index].payload
        return self.records[index]


@pytest.fixture
def pack_source(monkeypatch, tmp_path):
    """Pack records that stand in no file."""

    def packed(source, out="packed", **options):
        monkeypatch.setattr(packing, "open_source", lambda *_, **__: source)
        monkeypatch.setattr(packing, "find_data", lambda *_, **__: tmp_path / "nowhere")
        return pack("listed", tmp_path / out, **options)

    return packed


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def webdataset_samples(paths):
    """All samples, as WebDataset reads them; it leaves its files for the collector to close."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        samples = list(webdataset.WebDataset(paths, shardshuffle=False, empty_check=False))
        gc.collect()
    return samples


@pytest.mark.parametrize("format", ["tar", "parquet"])
def test_records_come_back_as_they_were(photos, tmp_path, format):
    before = ImageFolder(photos)
    packed = pack(photos, tmp_path / "out", shard_size="12kB", format=format)
    assert (packed.records, packed.skipped, packed.kept) == (23, (), 0)
    assert packed.shards > 4
    after = open_shards(tmp_path / "out")
    assert (after.classes, after.name, after.notices) == (before.classes, "photos", before.notices)
    assert {split: len(indices) for split, indices in after.splits.items()} == {"train": 16, "test": 7}
    assert [after.read(k) for k in range(23)] == [before.read(k) for k in range(23)]
    assert after.targets.tolist() == before.targets.tolist()
    assert verify(tmp_path / "out") == 23
    assert packed.size == sum(path.stat().st_size for path in (tmp_path / "out").glob(f"*.{format}"))
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_equal_data_give_equal_bytes(photos, tmp_path):
    for name in ("one", "two"):
        pack(photos, tmp_path / name, shard_size="12kB")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert fingerprint(open_shards(tmp_path / "one")) == fingerprint(open_shards(tmp_path / "two"))


def test_webdataset_reads_the_tars(photos, tmp_path):
    pack(photos, tmp_path / "out", shard_size="12kB")
    source = open_shards(tmp_path / "out")
    paths = sorted(str(path) for path in (tmp_path / "out").glob("train-*.tar"))
    samples = webdataset_samples(paths)
    assert len(samples) == 16
    for index, sample in enumerate(samples):
        record = source.read(index)
        assert sample["__key__"].replace("%2E", ".") == record.key
        assert sample["png"] == record.payload
        assert int(sample["cls"]) == record.target


def test_datasets_reads_the_parquet_files(photos, tmp_path):
    pack(photos, tmp_path / "out", shard_size="12kB", format="parquet")
    files = {split: str(tmp_path / "out" / f"{split}-*.parquet") for split in ("train", "test")}
    datasets.disable_progress_bars()
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "hf"))
    assert isinstance(found["train"].features["image"], datasets.Image)
    assert found["train"].features["label"].names == ["cat", "dog"]
    assert (len(found["train"]), len(found["test"])) == (16, 7)
    source = open_shards(tmp_path / "out")
    for index in (0, 15):
        record, row = source.read(index), found["train"][index]
        assert (row["label"], row["key"]) == (record.target, record.key)
        assert np.array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(record.payload))))


def test_pack_is_read_without_its_index_and_from_an_address(photos, tmp_path):
    pack(photos, tmp_path / "out", shard_size="12kB")
    source = open_shards(tmp_path / "out")
    files = fsspec.filesystem("memory")
    for name, content in contents(tmp_path / "out").items():
        files.pipe_file(f"/packed/{name}", content)
    far = open_shards("memory://packed")
    assert [far.read(k) for k in (22, 3)] == [source.read(k) for k in (22, 3)]
    assert far.identity() == source.identity()
    files.rm("/packed", recursive=True)
    (tmp_path / "out" / INDEX).unlink()
    plain = open_shards(tmp_path / "out")
    assert [plain.read(k).payload for k in range(23)] == [source.read(k).payload for k in range(23)]
    assert plain.key(0).startswith("train-000000/train/cat/01%2Epng")


def test_pack_can_be_packed_again(photos, tmp_path):
    pack(photos, tmp_path / "one", shard_size="12kB")
    source = open_shards(tmp_path / "one")
    pack(str(tmp_path / "one" / "{train,test}-000000.tar"), tmp_path / "part")
    assert len(open_shards(tmp_path / "part")) < 23
    assert source.read(0).payload == open_shards(tmp_path / "part").read(0).payload


SIGNAL = np.linspace(-1, 1, 14, dtype=np.float32).reshape(2, 7)
BOARD = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)


@pytest.mark.parametrize(
    ("modality", "payloads", "extensions"),
    [
        ("signal", [SIGNAL, SIGNAL[:, :3].astype(np.float64)], ["npy", "npy"]),
        ("board", [BOARD, BOARD[::-1]], ["npy", "npy"]),
        ("text", ["größer\n", ""], ["txt", "txt"]),
        ("image", [np.dstack([BOARD] * 5), BOARD.astype(np.uint16) * 999], ["npy", "npy"]),
    ],
)
def test_every_kind_of_payload_comes_back(pack_source, tmp_path, modality, payloads, extensions):
    records = [Record(f"r.{k}", payload, k) for k, payload in enumerate(payloads)]
    pack_source(Listed(records, modality=modality))
    source = open_shards(tmp_path / "packed")
    assert source.modality == modality
    for index, record in enumerate(records):
        found = source.read(index)
        assert (found.key, found.target) == (record.key, record.target)
        assert np.array_equal(found.payload, record.payload)
        if not isinstance(record.payload, str):
            assert found.payload.dtype == record.payload.dtype
    samples = webdataset_samples([str(tmp_path / "packed/all-000000.tar")])
    assert [next(key for key in sample if key in ("npy", "txt")) for sample in samples] == extensions


def test_pixels_become_png_without_loss(pack_source, tmp_path):
    generator = np.random.default_rng(0)
    arrays = [
        generator.integers(0, 256, (5, 7), dtype=np.uint8),
        generator.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        generator.integers(0, 65_536, (5, 7), dtype=np.uint16),
        generator.integers(0, 65_536, (5, 7, 1), dtype=np.uint16),
    ]
    pack_source(Listed([Record(str(k), array, k % 2) for k, array in enumerate(arrays)]))
    source = open_shards(tmp_path / "packed")
    for index, array in enumerate(arrays):
        pixels = np.asarray(Image.open(io.BytesIO(source.read(index).payload)))
        assert np.array_equal(pixels, array[:, :, 0] if array.shape[2:] == (1,) else array)


def test_every_kind_of_target_comes_back(pack_source, tmp_path, png):
    row = np.array([True, False, True])
    pack_source(
        Listed([Record("0", png(0), row), Record("1", png(1), ~row)], task="multi-label", classes="abc"), "rows"
    )
    source = open_shards(tmp_path / "rows")
    assert (source.task, source.targets.tolist()) == ("multi-label", [row.tolist(), (~row).tolist()])
    assert source.read(1).target.tolist() == [False, True, False]
    mask = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), (6, 8))
    pack_source(Listed([Record("0", png(0), mask)], task="segmentation"), "masks")
    assert np.array_equal(open_shards(tmp_path / "masks").read(0).target, mask)
    boxes = np.array([[0, 1, 2.5, 3], [1, 1, 4, 4]], np.float32)
    outlines = np.zeros((2, 6, 8), bool)
    outlines[1, 2:4] = True
    several = [
        Objects(boxes, np.array([1, 0])),
        Objects(boxes, np.array([1, 1]), outlines),
        Objects(boxes[:0], np.array([], int)),
        Objects(boxes, np.array([1, 1]), outlines, np.array([0, 2], np.uint8)),
        Objects(boxes, np.array([0, 1]), None, np.array([1, 0], np.uint8)),
    ]
    pack_source(Listed([Record(str(k), png(k), o) for k, o in enumerate(several)], task="detection"), "objects")
    source = open_shards(tmp_path / "objects")
    for index, objects in enumerate(several):
        found = source.read(index).target
        assert np.array_equal(found.boxes, objects.boxes)
        assert np.array_equal(found.labels, objects.labels)
        assert (found.masks is None) == (objects.masks is None)
        assert (found.ignored is None) == (objects.ignored is None)
        assert found.ignored is None or found.ignored.tolist() == objects.ignored.tolist()
    assert np.array_equal(source.read(1).target.masks, outlines)
    assert source.targets.tolist() == [-1] * 5
    pack_source(
        Listed(
            [Record("0", BOARD, -1), Record("1", BOARD, 7)],
            modality="board",
            task="next move",
            classes=list("abcdefgh"),
        ),
        "go",
    )
    assert open_shards(tmp_path / "go").targets.tolist() == [-1, 7]


def test_images_are_resized(photos, tmp_path, pack_source, png):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(io.BytesIO(png(1, (40, 60)))).save(file, "jpeg", exif=exif)
    clear = io.BytesIO()
    Image.new("RGBA", (40, 80), (200, 0, 0, 90)).save(clear, "png")
    deep = np.full((64, 32), 60_000, np.uint16)
    payloads = [
        png(0, (20, 50)),
        png(0, (8, 100)),
        file.getvalue(),
        deep,
        clear.getvalue(),
        np.zeros((30, 30), np.uint8),
    ]
    pack_source(Listed([Record(str(k), payload, k % 2) for k, payload in enumerate(payloads)]), resize=10)
    source = open_shards(tmp_path / "packed")
    found = [Image.open(io.BytesIO(source.read(k).payload)) for k in range(len(payloads))]
    assert [image.size for image in found] == [(25, 10), (100, 8), (10, 15), (10, 20), (10, 20), (10, 10)]
    assert [image.format for image in found] == ["PNG", "PNG", "JPEG", "PNG", "PNG", "PNG"]
    assert source.read(1).payload == payloads[1]  # small enough already
    assert set(np.asarray(found[3]).ravel()) == {60_000}
    assert found[4].getpixel((3, 3)) == pytest.approx((200, 0, 0, 90), abs=1)
    assert source.header.resize == 10


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("format", ["tar", "parquet"])
def test_stopped_pack_resumes(photos, tmp_path, monkeypatch, format):
    options = {"shard_size": "12kB", "format": format}
    pack(photos, tmp_path / "whole", **options)
    save = packer.Packer.save
    out = tmp_path / "out"

    def dies_after(count):
        calls = iter(range(count))

        def save_or_die(*arguments):
            save(*arguments)
            if next(calls, None) is None:
                raise StoppedError

        return save_or_die

    for count in (0, 1, 2):
        monkeypatch.setattr(packer.Packer, "save", dies_after(count))
        with pytest.raises(StoppedError):
            pack(photos, out, **options)
        with pytest.raises(DataError, match="packed only in part. Call `neocog pack` with the same settings again"):
            open_shards(out)
    monkeypatch.setattr(packer.Packer, "save", save)
    for other, message in (
        ({"shard_size": "13kB"}, "begun with another --shard-size: 12000. Received: 13000. Use the same again"),
        ({"resize": 20}, "begun with another --resize: None. Received: 20"),
        ({"on_corrupt": "skip"}, "begun with another --on-corrupt: stop"),
    ):
        with pytest.raises(DataError, match=message):
            pack(photos, out, **(options | other))
    kept = sorted(out.glob(f"train*.{format}"))[0]
    before = kept.stat().st_mtime_ns
    packed = pack(photos, out, **options)
    assert packed.kept == 3
    assert kept.stat().st_mtime_ns == before
    assert contents(out) == contents(tmp_path / "whole")


def test_resumed_pack_rewrites_damaged_shards(photos, tmp_path, monkeypatch):
    pack(photos, tmp_path / "whole", shard_size="12kB")
    out = tmp_path / "out"
    monkeypatch.setattr(packer, "index_shards", lambda *_, **__: (_ for _ in ()).throw(StoppedError))
    with pytest.raises(StoppedError):
        pack(photos, out, shard_size="12kB")
    monkeypatch.undo()
    path = out / "train-000001.tar"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (out / ".train-000001.tar.tmp").write_bytes(b"half")
    packed = pack(photos, out, shard_size="12kB")
    assert 0 < packed.kept < packed.shards
    assert contents(out) == contents(tmp_path / "whole")


def test_resumed_pack_refuses_changed_data(photos, tmp_path, monkeypatch, png):
    monkeypatch.setattr(packer, "index_shards", lambda *_, **__: (_ for _ in ()).throw(StoppedError))
    with pytest.raises(StoppedError):
        pack(photos, tmp_path / "out")
    (photos / "train/cat/new.png").write_bytes(png(5))
    with pytest.raises(DataError, match="begun with data, which have changed"):
        pack(photos, tmp_path / "out")


def test_verify_finds_flipped_bits(photos, tmp_path):
    pack(photos, tmp_path / "out", shard_size="12kB")
    generator = np.random.default_rng(0)
    for path in sorted((tmp_path / "out").glob("*.tar")):
        content = bytearray(path.read_bytes())
        place = int(generator.integers(len(content)))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match=f"1 of .* shards of .* are damaged: {path.name}. Their SHA-256"):
            verify(tmp_path / "out")
        path.write_bytes(content)
    for path in sorted((tmp_path / "out").glob("neocog-index.*.npy")):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DataError, match=f"{path.name} is damaged: it is not what neocog-index.json describes"):
            verify(tmp_path / "out")
        source = open_shards(tmp_path / "out")
        with pytest.raises(DataError, match=f"{path.name} is damaged: it is not what neocog-index.json describes"):
            _ = source.read(0), source.targets
        path.unlink()
        with pytest.raises(DataError, match=f"{path.name} is missing"):
            open_shards(tmp_path / "out")
        path.write_bytes(content)
    (tmp_path / "out/test-000000.tar").write_bytes(b"short")
    with pytest.raises(DataError, match=r"test-000000.tar is truncated or has been changed: .*, the file has 5"):
        open_shards(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header.update(version=2), "not an index of version 1.*version"),
        (lambda header: header.update(shards="x"), "not an index of version 1.*shards"),
        (lambda header: header["shards"][0].update(name="../x.tar"), "Shards lie beside their index.*'../x.tar'"),
        (lambda header: header["shards"][0].update(name="/etc/x.tar"), "Shards lie beside their index"),
        (lambda header: header["shards"][0].update(records=10**9), r"must hold .*\(1000000"),
        (lambda header: header["shards"][0].update(split="test"), "The shards of a split must follow each other"),
        (lambda header: header["shards"][0].update(split="all"), "Either all shards belong to splits or none does"),
        (lambda header: header.update(classes=["cat"]), "leads to a shard or a class that is not there"),
    ],
)
def test_a_damaged_index_is_named(photos, tmp_path, change, message):
    pack(photos, tmp_path / "out", shard_size="12kB")
    path = tmp_path / "out" / INDEX
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path / "out").read_many(np.arange(23))
    for content in (b"", b"{", b"[" * 10_000, b"\xff"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not an index of version 1"):
            open_shards(tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("rows", lambda rows: rows["label"].__setitem__(0, -7), "leads to a shard or a class that is not there"),
        ("rows", lambda rows: rows["label"].__setitem__(0, 2), "leads to a shard or a class that is not there"),
        ("rows", lambda rows: rows["shard"].__setitem__(0, 999), "leads to a shard or a class that is not there"),
        ("rows", lambda rows: rows["offset"].__setitem__(0, 2**63), "can't be read: Python int too large"),
        ("targets", lambda targets: targets.__setitem__(0, -1), "leads to a shard or a class that is not there"),
        ("targets", lambda targets: targets.__setitem__(0, 2), "leads to a shard or a class that is not there"),
        ("starts", lambda starts: starts.__setitem__(1, 2**64 - 1), "is damaged: keys end before they begin"),
        ("starts", lambda starts: starts.__iadd__(np.uint64(2**63)), "can't be read: Python int too large"),
    ],
)
def test_consistent_index_with_wrong_rows_is_refused(photos, tmp_path, kind, change, message):
    pack(photos, tmp_path / "out", shard_size="12kB")
    path, place = tmp_path / "out" / INDEX, tmp_path / "out" / f"neocog-index.{kind}.npy"
    array = np.load(place)
    change(array)
    np.save(place, array)
    header = json.loads(path.read_text())
    header["arrays"][kind] = file_hash(place)
    path.write_text(json.dumps(header))
    source = open_shards(tmp_path / "out")
    with pytest.raises(DataError, match=message):
        _ = source.read(0), source.targets


def test_verify_needs_hashes(foreign):
    with pytest.raises(DataError, match="Only a set made by `neocog pack` has hashes"):
        verify(foreign)


def test_unreadable_records_stop_or_are_skipped(photos, tmp_path):
    for name in ("train/cat/03.png", "train/dog/14.png", "test/cat/01.png", "test/dog/04.png"):
        path = photos / name
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        DataError, match=r"(?s)03.png.*truncated or damaged.*1 more are near it: train/dog/14.png.*on-corrupt skip"
    ):
        pack(photos, tmp_path / "out")
    packed = pack(photos, tmp_path / "skipped", shard_size="12kB", on_corrupt="skip")
    assert sorted(packed.skipped) == ["test/cat/01.png", "test/dog/04.png", "train/cat/03.png", "train/dog/14.png"]
    source = open_shards(tmp_path / "skipped")
    assert (packed.records, len(source)) == (19, 19)
    assert not {source.key(k) for k in range(19)} & set(packed.skipped)


def test_pack_without_readable_records_is_refused(pack_source):
    records = [Record(str(k), DataError("gone"), 0) for k in range(3)]
    with pytest.raises(DataError, match="None of the records of listed can be read"):
        pack_source(Listed(records), on_corrupt="skip")


@pytest.mark.parametrize(
    ("payload", "modality", "message"),
    [
        (b"words", "image", "neither an image nor a sound that is known: it starts with b'words'"),
        (b"fLaC" + bytes(50), "audio", "listed: 0 is truncated or damaged"),
        ("\ud800", "text", "A text must be Unicode. listed: 0"),
    ],
)
def test_payloads_that_can_not_be_packed_are_refused(pack_source, payload, modality, message):
    with pytest.raises(DataError, match=message):
        pack_source(Listed([Record("0", payload, 0)], modality=modality))


def tiff_file(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def test_resized_tiffs_are_those_that_training_reads(pack_source, tmp_path):
    """Pillow alone would give other pixels of these."""
    grey = np.repeat(np.repeat(np.arange(0, 4000, 40, dtype=np.uint16).reshape(10, 10), 4, axis=0), 4, axis=1)
    white_is_zero = tiff_file(np.invert(grey), photometric="miniswhite")
    pack_source(Listed([Record("0", white_is_zero, 0)]), resize=10)
    resized = np.asarray(Image.open(io.BytesIO(open_shards(tmp_path / "packed").read(0).payload)))
    assert resized.dtype == np.uint16
    assert np.abs(resized[2:-2, 2:-2].astype(int) - grey[::4, ::4][2:-2, 2:-2]).max() <= 60
    planes = tiff_file(np.zeros((3, 40, 40), np.uint16), photometric="rgb", planarconfig="separate")
    with pytest.raises(
        DataError, match=r"Only images of 8 bits, or grey ones of 16, are resized. .*received uint16 \(40, 40, 3"
    ):
        pack_source(Listed([Record("0", planes, 0)]), "two", resize=20)


def test_a_file_of_several_pages_is_packed_whole_and_not_resized(pack_source, tmp_path):
    pages = tiff_file(np.zeros((3, 40, 40), np.uint8), photometric="minisblack")
    pack_source(Listed([Record("0", pages, 0)]))
    assert open_shards(tmp_path / "packed").read(0).payload == pages
    with pytest.raises(DataError, match=r"must hold one image. .*0 has 3 pages or frames.*leave --resize out"):
        pack_source(Listed([Record("0", pages, 0)]), "two", resize=20)


def test_images_that_can_not_be_resized_are_refused(pack_source, tmp_path):
    file = io.BytesIO()
    Image.new("CMYK", (40, 40)).save(file, "jpeg")
    with pytest.raises(DataError, match="Only grey and RGB images.*are resized.*received CMYK.*Leave --resize out"):
        pack_source(Listed([Record("0", file.getvalue(), 0)]), resize=20)
    with pytest.raises(DataError, match="images of 8 bits, or grey ones of 16, are resized"):
        pack_source(Listed([Record("0", np.zeros((40, 40, 5), np.uint8), 0)]), "two", resize=20)


def test_invalid_settings_are_refused(pack_source, photos, tmp_path, png):
    for options, message in (
        ({"format": "zip"}, "--format is one of tar, parquet. Received: 'zip'"),
        ({"on_corrupt": "x"}, "--on-corrupt is one of stop, skip"),
        ({"resize": 1}, "--resize is the short side in pixels, 2 to 65,535. Received: 1"),
        ({"shard_size": "many"}, "A size is a number and a unit: 256MB .* Received: 'many'"),
    ):
        with pytest.raises(ConfigError, match=message):
            pack(photos, tmp_path / "out", **options)
    signals = Listed([Record("0", SIGNAL, 0)], modality="signal")
    with pytest.raises(DataError, match="--resize is for images. listed holds signals"):
        pack_source(signals, resize=9)
    with pytest.raises(
        DataError, match="Parquet shards hold images, audio or texts with one class each.*Use --format tar"
    ):
        pack_source(signals, format="parquet")
    masks = Listed([Record("0", png(0), np.zeros((6, 8), np.uint8))], task="segmentation")
    with pytest.raises(DataError, match="--resize would not scale masks and boxes"):
        pack_source(masks, resize=9)
    assert not (tmp_path / "packed").exists()


def test_pack_refuses_folders_that_are_not_empty(photos, tmp_path):
    with pytest.raises(DataError, match="A data set is never written to. .* is within .*photos"):
        pack(photos, photos / "train" / "out")
    with pytest.raises(DataError, match="A data set is never written to"):
        pack(photos, photos)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="A pack begins in an empty folder. .* holds letter.txt. Choose another"):
        pack(photos, taken)
    assert (taken / "letter.txt").read_text() == "dear"
    pack(photos, tmp_path / "out")
    with pytest.raises(DataError, match="already holds a finished pack"):
        pack(photos, tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="file could not be written"):
        pack(photos, tmp_path / "file")
    half = tmp_path / "half"
    half.mkdir()
    (half / "neocog-pack.json").write_text("{")
    with pytest.raises(DataError, match="is damaged: it does not tell how the pack was begun"):
        pack(photos, half)


def test_full_disk_raises_storage_error(photos, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("neocog.shards.write.TarWriter.add", full)
    with pytest.raises(StorageError, match=r"train-000000.tar could not be written: No space left.*Free some space"):
        pack(photos, tmp_path / "out")
    monkeypatch.undo()
    assert pack(photos, tmp_path / "out").records == 23


def test_pack_compares_shards_with_what_was_written(photos, tmp_path, monkeypatch):
    def damaging(self, name, hashes, check=packer.Packer.check_written):
        path = self.out / name
        content = bytearray(path.read_bytes())
        content[700] ^= 1
        path.write_bytes(content)
        check(self, name, hashes)

    monkeypatch.setattr(packer.Packer, "check_written", damaging)
    with pytest.raises(
        StorageError, match="train-000000.tar is not what was written: its records differ. Check the disk"
    ):
        pack(photos, tmp_path / "out")


def test_pack_refuses_a_folder_in_use(photos, tmp_path, monkeypatch):
    def again(*_, **__):
        with pytest.raises(DataError, match="is being packed by another process"):
            pack(photos, tmp_path / "out")
        raise StoppedError

    monkeypatch.setattr(packer, "index_shards", again)
    with pytest.raises(StoppedError):
        pack(photos, tmp_path / "out")


@pytest.mark.parametrize("text", ["", "MB", "12 apples", "-3MB", "1e9", "1" * 30, "5B", "0", "9TiB9", "2000TB"])
def test_invalid_sizes_are_refused(text):
    with pytest.raises(ConfigError, match=r"Units are kB, MB|A shard has 1kB to 1TB"):
        parse_size(text)


def test_missing_target_is_refused(pack_source, tmp_path, png):
    pack_source(Listed([Record("0", png(0), np.zeros((6, 8), np.uint8))], task="segmentation"))
    path = tmp_path / "packed" / INDEX
    path.write_text(path.read_text().replace("segmentation", "detection"))
    with pytest.raises(DataError, match="all-000000.tar: 0 has no target for detection"):
        open_shards(tmp_path / "packed").read(0)


def games(folder, count=3):
    folder.mkdir(parents=True)
    for i in range(count):
        moves = "".join(f";{'BW'[k % 2]}[{'abcdefghi'[(k + i) % 9]}{'abcdefghi'[k // 2]}]" for k in range(12))
        (folder / f"{i}.sgf").write_text(f"(;GM[1]FF[4]SZ[9]{moves})")
    return folder


def test_records_that_belong_together_need_splits_of_their_own(tmp_path):
    with pytest.raises(DataError, match="must stay in one split(?s:.*)3 groups and no splits. Put them into folders"):
        pack(games(tmp_path / "games"), tmp_path / "out")
    for split in ("train", "val", "test"):
        games(tmp_path / "divided" / split)
    pack(tmp_path / "divided", tmp_path / "out")
    packed, source = open_shards(tmp_path / "out"), open_source(tmp_path / "divided")
    assert {name: len(rows) for name, rows in packed.splits.items()} == {"train": 36, "val": 36, "test": 36}
    spec, _ = choose_board(packed, packed.splits["train"], None, (17, 9, 9))
    keys = {source.key(i): i for i in range(len(source))}
    for i in (0, 40, 107):
        ours, theirs = packed.read(i), source.read(keys[packed.key(i)])
        assert torch.equal(spec.decode(ours.payload), spec.decode(theirs.payload))
        assert ours.target == theirs.target
