import contextlib
import io
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog.data.pack import pack
from neocog.dataset.record import fingerprint, sample_ids
from neocog.errors import DataError
from neocog.modalities.audio.waveform import sound_waveform
from neocog.shards import holds_shards, open_shards


def test_records_are_read_by_index(foreign, png):
    source = open_shards(foreign)
    assert (len(source), source.classes, source.modality, source.task) == (
        13,
        ("0", "1", "2"),
        "image",
        "classification",
    )
    assert {split: indices.tolist() for split, indices in source.splits.items()} == {
        "train": list(range(10)),
        "test": [10, 11, 12],
    }
    for index in (12, 0, 7, 4, 5):
        record = source.read(index)
        assert (record.payload, record.target) == (png(index), index % 3)
        assert record.key == source.key(index)
    assert source.key(5) == "train-001/0000"
    assert source.targets.tolist() == [k % 3 for k in range(13)]
    assert source.targets.dtype == np.int64
    order = np.array([11, 3, 4, 0, 11, 9])
    assert [r.payload for r in source.read_many(order)] == [png(k) for k in order]
    assert source.read_many(np.array([], np.int64)) == []
    assert np.array_equal(source.ids(order), sample_ids(source.key(k) for k in order))
    with pytest.raises(IndexError, match="below 13"):
        source.read(13)


def test_index_is_built_once_and_cached(foreign, cache, monkeypatch):
    before = sorted(path.name for path in foreign.iterdir())
    first = open_shards(foreign)
    assert sorted(path.name for path in foreign.iterdir()) == before
    (folder,) = (cache / "neocog" / "indexes").iterdir()
    monkeypatch.setattr("neocog.shards.open.index_shards", None)  # a second call would fail
    assert fingerprint(open_shards(foreign)) == fingerprint(first)
    monkeypatch.undo()
    monkeypatch.setenv("NEOCOG_CACHE", str(cache / "neocog"))
    rows = folder / "neocog-index.rows.npy"
    rows.write_bytes(rows.read_bytes()[:-1] + b"\x55")  # a damaged cache is made anew
    assert open_shards(foreign).read(12).target == 0


def test_changed_shards_are_another_set(foreign, tar, png):
    first = open_shards(foreign)
    (foreign / "test-000.tar").write_bytes(tar({"0.png": png(77), "0.cls": b"2"}))
    second = open_shards(foreign)
    assert len(second) == 11
    assert fingerprint(second) != fingerprint(first)
    with pytest.raises(DataError, match=r"test-000.tar: test-000/000. "):
        first.read(12)


def test_blocks_are_neighbours_within_a_shard(foreign):
    source = open_shards(foreign)
    assert source.blocks("train").tolist() == [0, 5, 10]
    assert source.blocks("test").tolist() == [10, 13]
    assert source.block_size >= 5


def test_reading_is_safe_from_threads_and_in_other_processes(foreign, png):
    source = pickle.loads(pickle.dumps(open_shards(foreign)))
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(source.read, [k % 13 for k in range(300)]))
    assert [record.payload for record in records] == [png(k % 13) for k in range(300)]


def test_a_pattern_a_folder_of_splits_and_one_file(foreign, tmp_path):
    pattern = str(foreign / "train-{000..001}.tar")
    assert holds_shards(pattern)
    assert len(open_shards(pattern)) == 10
    one = open_shards(foreign / "test-000.tar")
    assert (len(one), one.name) == (3, "test-000")
    root = tmp_path / "split"
    for split, name in (("train", "train-000"), ("valid", "test-000")):
        (root / split).mkdir(parents=True)
        (root / split / "0.tar").write_bytes((foreign / f"{name}.tar").read_bytes())
    assert holds_shards(root)
    assert {split: len(i) for split, i in open_shards(root).splits.items()} == {"train": 5, "val": 3}
    with pytest.raises(DataError, match=r"train-002.tar can't be read: No such file"):
        open_shards(str(foreign / "train-{000..002}.tar"))
    for damaged in ("{009..000}.tar", "x-{000000..999999}.tar"):
        with pytest.raises(DataError, match="A range in braces goes upwards"):
            open_shards(str(foreign / damaged))
    with pytest.raises(DataError, match=r"names 1,000,000. Split it"):
        open_shards("{0..9}{0..9}{0..9}{0..9}{0..9}{0..9}.tar")


def test_shards_at_an_address(foreign, png):
    files = fsspec.filesystem("memory")
    for path in foreign.iterdir():
        files.pipe_file(f"/bucket/set/{path.name}", path.read_bytes())
    for address, count in (("memory://bucket/set", 13), ("memory://bucket/set/train-{000..001}.tar", 10)):
        source = open_shards(address)
        assert holds_shards(address)
        assert len(source) == count
        assert source.read(8).payload == png(8)
    with pytest.raises(DataError, match="There are no shards at memory://nothing"):
        open_shards("memory://nothing")
    with pytest.raises(DataError, match="nosuch://x/ can't be read: .*Check the address"):
        open_shards("nosuch://x/")
    files.rm("/bucket", recursive=True)


def test_missing_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(
        DataError,
        match=r"needs a package that is not installed: there is no fsspec. Install it: pip install neocog\[scale\]",
    ):
        open_shards("memory://set")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="there is no pyarrow"):
        open_shards(tmp_path)


def write_tar(folder, tar, members, name="all.tar"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(tar(members))
    return folder


def test_classes_by_name_by_json_and_by_list(tmp_path, tar, png):
    named = {"0.png": png(0), "0.cls": b"dog\n", "1.png": png(1), "1.cls": b"cat"}
    source = open_shards(write_tar(tmp_path / "named", tar, named))
    assert (source.classes, source.targets.tolist()) == (("cat", "dog"), [1, 0])
    assert source.read(0).target == 1
    listed = {"0.jpg": png(0), "0.json": b'{"label": "dog"}', "1.jpg": png(1), "1.json": b'{"label": 2}'}
    folder = write_tar(tmp_path / "listed", tar, listed)
    (folder / "classes.txt").write_text("bird\ndog\ncat\n")
    source = open_shards(folder)
    assert (source.classes, source.targets.tolist()) == (("bird", "dog", "cat"), [1, 2])
    assert source.notices == ("all has no sample of 'bird'",)
    (folder / "classes.txt").write_text("bird\n")
    with pytest.raises(DataError, match="one of the 1 classes: bird. .*received 'dog'.*Add it to classes.txt"):
        open_shards(folder)
    (folder / "classes.txt").write_text("dog\ndog\n")
    with pytest.raises(DataError, match="Each class needs a name of its own"):
        open_shards(folder)


def test_arrays_texts_and_sounds(tmp_path, tar, png):
    def npy(array):
        path = tmp_path / "array.npy"
        np.save(path, array)
        return path.read_bytes()

    signal = np.arange(6, dtype=np.float32).reshape(2, 3)
    source = open_shards(write_tar(tmp_path / "a", tar, {"0.npy": npy(signal), "0.cls": b"0"}))
    assert source.modality == "signal"
    assert np.array_equal(source.read(0).payload, signal)
    source = open_shards(write_tar(tmp_path / "b", tar, {"0.npy": npy(np.ones((3, 4, 5), np.uint8)), "0.cls": b"0"}))
    assert (source.modality, source.read(0).payload.shape) == ("image", (3, 4, 5))
    source = open_shards(write_tar(tmp_path / "c", tar, {"0.txt": "größer".encode(), "0.cls": b"0"}))
    assert (source.modality, source.read(0).payload) == ("text", "größer")
    source = open_shards(write_tar(tmp_path / "d", tar, {"0.flac": b"fLaC", "0.txt": b"spoken", "0.cls": b"0"}))
    assert (source.modality, source.read(0).payload) == ("audio", b"fLaC")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.png": b"x"}, r"all.tar: 0: received png. The members of one record must follow each other"),
        ({"0.png": b"x", "0.json": b'{"label": 1.5}'}, r"received json, png and label 1.5"),
        ({"0.png": b"x", "0.json": b"{"}, r"a .json member that is not JSON"),
        ({"0.png": b"x", "0.json": b"[" * 100_000}, r"a .json member that is not JSON"),
        (
            {"0.png": b"x", "0.cls": b"-1"},
            r"Labels number the classes from 0. .*all.tar: 0: received -1. If it means a hidden label",
        ),
        ({"0.png": b"x", "0.cls": b"99999999"}, "received 99999999"),
        ({"0.png": b"x", "0.cls": b"\xff"}, "A text is UTF-8.*at byte 0"),
        ({"0.cls": b"1"}, r"A record needs an image, a sound, an array or a text.*all.tar: 0: received cls"),
        ({"0.png": b"x", "0.jpg": b"x", "0.cls": b"0"}, "received jpg and png"),
        (
            {"0.png": b"x", "0.cls": b"0", "1.wav": b"x", "1.cls": b"0"},
            "received wav, which is audio; those before are image",
        ),
        ({"0.png": b"x", "0.cls": b"0", "1.png": b"x", "1.cls": b"dog"}, "all numbers or all names. .*received 'dog'"),
        (
            {"0.png": b"x", "0.cls": b"0", "1.png": b"x", "1.cls": b"0", "0.tif": b"x", "0.json": b'{"label": 0}'},
            "Each record needs a key of its own. set has 'all/0' twice, 1 such in all",
        ),
        ({"0.npy": b"\x93NUMPY\x01\x00\x08\x00 nonsense", "0.cls": b"0"}, r"is not a .npy file"),
        ({}, "A set needs at least one record"),
    ],
)
def test_unusable_records_are_refused(tmp_path, tar, members, message):
    with pytest.raises(DataError, match=message):
        open_shards(write_tar(tmp_path / "set", tar, members))


def test_shards_of_several_kinds_and_compressed_ones_are_refused(foreign, tmp_path):
    (foreign / "extra.tar").write_bytes((foreign / "test-000.tar").read_bytes())
    with pytest.raises(
        DataError, match=r"Either all shards name their split.*received extra.tar beside test-000.tar, "
    ):
        open_shards(foreign)
    (foreign / "extra.tar").rename(foreign / "test-1.parquet")
    with pytest.raises(DataError, match=r"all of one kind. .*received .parquet, .tar"):
        open_shards(foreign)
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "train-000.tar.gz").write_bytes(b"")
    assert holds_shards(packed)
    for path in (packed, packed / "train-000.tar.gz"):
        with pytest.raises(DataError, match="Shards must be plain tars.*gunzip"):
            open_shards(path)
    (tmp_path / "text.md").write_text("x")
    with pytest.raises(DataError, match=r"are .tar, .parquet or .arrow files, or a folder of them"):
        open_shards(tmp_path / "text.md")


def test_other_layouts_are_not_claimed(tmp_path, foreign, pictures, digits, tar, png):
    assert holds_shards(foreign)
    assert holds_shards(foreign / "test-000.tar")
    others = [pictures, digits, tmp_path / "absent", tmp_path]
    junk = tmp_path / "junk"
    junk.mkdir()
    (junk / "images.tar").write_bytes(b"\x01" * 2000)
    (junk / "x.parquet").write_bytes(b"text")
    download = write_tar(
        tmp_path / "download", tar, {"cifar-10-batches-py/data_batch_1": b"", "cifar/readme.html": b""}
    )
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "cifar-10-binary.tar.gz").write_bytes(b"")
    others += [junk, junk / "x.parquet", download, tmp_path / "binary"]
    assert [path for path in others if holds_shards(path)] == []


def hf_table(png, count=7, names=("cat", "dog")):
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    rows = [{"image": {"bytes": png(k), "path": None}, "label": k % 2} for k in range(count)]
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    return pa.Table.from_pylist(rows, schema=schema)


def test_parquet_as_hugging_face_writes_it(tmp_path, png):
    (tmp_path / "data").mkdir()
    pq.write_table(hf_table(png), tmp_path / "data" / "train-00000-of-00001.parquet", row_group_size=3)
    pq.write_table(hf_table(png, 4), tmp_path / "data" / "validation-00000-of-00001.parquet", row_group_size=3)
    assert holds_shards(tmp_path)
    source = open_shards(tmp_path)
    assert (len(source), source.classes, list(source.splits)) == (11, ("cat", "dog"), ["train", "val"])
    assert [record.payload for record in source.read_many(np.array([10, 2, 6]))] == [png(3), png(2), png(6)]
    assert (source.read(5).target, source.key(5)) == (1, "data/train-00000-of-00001/5")
    assert source.block_size == 3
    assert source.blocks("train").tolist() == [0, 3, 6, 7]
    assert source.blocks("val").tolist() == [7, 10, 11]


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow_as_datasets_keeps_it(tmp_path, png, kind):
    table = hf_table(png)
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink:
        make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
    source = open_shards(tmp_path)
    assert [source.read(k).payload for k in range(7)] == [png(k) for k in range(7)]
    assert source.block_size == 4


def test_text_in_columns(tmp_path):
    pq.write_table(pa.table({"text": ["good", "bad"], "label": ["pos", "neg"]}), tmp_path / "a.parquet")
    source = open_shards(tmp_path)
    assert (source.modality, source.classes, source.read(0).payload, source.read(0).target) == (
        "text", ("neg", "pos"), "good", 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1]}, r"received a \(int64\). Rename or leave out columns"),
        ({"image": [b"x"], "picture": [b"x"], "label": [1]}, r"one of images, sounds or text"),
        (
            {"image": [b"x"], "label": [None]},
            r"Each record needs a label. .*received none in all 1 training records. Write the labels",
        ),
        ({"image": pa.array([None], pa.binary()), "label": [1]}, r"Each record holds its own bytes. .*received None"),
        ({"image": [b"x"], "label": [-3]}, r"a.parquet, row 0: received -3"),
    ],
)
def test_unusable_columns_are_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path).read(0)


def test_shards_with_differing_columns_are_refused(tmp_path, png):
    pq.write_table(hf_table(png), tmp_path / "a.parquet")
    pq.write_table(hf_table(png, names=("dog", "bird")), tmp_path / "b.parquet")
    with pytest.raises(
        DataError,
        match=r"same columns and classes. .*b.parquet: received image, label w.*; those before: image, label w",
    ):
        open_shards(tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_columns_end_in_an_error_or_a_record(tmp_path, png, data):
    suffix = data.draw(st.sampled_from(["parquet", "arrow"]))
    path = tmp_path / f"x.{suffix}"
    if suffix == "parquet":
        pq.write_table(hf_table(png, 3), path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, hf_table(png, 3).schema) as writer:
            writer.write_table(hf_table(png, 3))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        source = open_shards(path)
        for index in range(min(3, len(source))):
            assert isinstance(source.read(index).payload, bytes | str)
    path.unlink()


def test_row_group_with_fewer_values_than_rows_is_refused(tmp_path, png):
    """As a damaged footer has it, that counts more rows than there are."""
    path = tmp_path / "x.parquet"
    pq.write_table(hf_table(png, 3), path)
    content = path.read_bytes()
    for place in range(len(content)):
        for flip in (2, 8):
            damaged = bytearray(content)
            damaged[place] ^= flip
            if damaged_rows(bytes(damaged)) > 3:
                path.write_bytes(damaged)
                with pytest.raises(DataError):
                    source = open_shards(path)
                    [source.read(index) for index in range(len(source))]


def damaged_rows(content):
    with contextlib.suppress(Exception):
        return pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).num_rows
    return 0


def test_shard_changed_after_indexing_is_refused(foreign, tar, png):
    source = open_shards(foreign)
    path = foreign / "test-000.tar"
    path.write_bytes(path.read_bytes().replace(b"0001.", b"0009.").replace(b"0002.", b"0001."))
    with pytest.raises(DataError, match="there is no header|does not lie where the index says"):
        source.read(11)
    members = {f"{k:04}.{kind}": content for k in (7, 8, 9) for kind, content in (("png", png(k)), ("cls", b"0"))}
    path.write_bytes(tar(members))
    with pytest.raises(DataError, match=r"test-000.tar: test-000/0000 is not where the index says"):
        source.read(10)


def test_columns_changed_after_indexing_are_refused(tmp_path, png):
    path = tmp_path / "a.parquet"
    pq.write_table(hf_table(png), path, row_group_size=3)
    source = open_shards(tmp_path)
    pq.write_table(hf_table(png, 2), path, row_group_size=3)
    with pytest.raises(DataError, match="has 1 row groups, not 3. Index it again"):
        source.read(6)
    with pytest.raises(DataError, match="a.parquet has no row for a/2. The shard has been changed"):
        source.read(2)


def test_remote_arrow_shards_are_refused():
    files = fsspec.filesystem("memory")
    files.pipe_file("/arrows/a.arrow", b"ARROW1")
    with pytest.raises(DataError, match="Arrow shards are read from a folder of this machine.*Use Parquet"):
        open_shards("memory://arrows")
    files.rm("/arrows", recursive=True)


def test_row_groups_and_lists_of_files_have_limits(tmp_path, png, monkeypatch):
    pq.write_table(hf_table(png), tmp_path / "a.parquet")
    monkeypatch.setattr("neocog.shards.columns.MAX_GROUP", 100)
    with pytest.raises(
        DataError, match="A row group has at most 100 bytes.*received 7 rows of .* Write it with smaller"
    ):
        open_shards(tmp_path)
    files = fsspec.filesystem("memory")
    for number in range(3):
        files.pipe_file(f"/many/{number}.tar", b"")
    monkeypatch.setattr("neocog.shards.store.LISTED", 2)
    with pytest.raises(DataError, match="A set has at most 2 files. memory://many has 3"):
        open_shards("memory://many")
    files.rm("/many", recursive=True)


def test_labels_have_limits(tmp_path, tar, png, monkeypatch):
    monkeypatch.setattr("neocog.shards.scan.MAX_TEXT", 100)
    folder = write_tar(tmp_path / "a", tar, {"0.png": b"x", "0.cls": b"1" * 101})
    with pytest.raises(DataError, match="has at most 100 bytes. .*0.cls: received 101"):
        open_shards(folder)
    monkeypatch.setattr("neocog.shards.contents.MAX_TEXT", 20)
    folder = write_tar(tmp_path / "b", tar, {"0.png": b"x", "0.json": b'{"label": 1,       "x": 2}'})
    with pytest.raises(DataError, match="A .json member has at most 20 bytes"):
        open_shards(folder)


def test_arrays_without_numbers_are_refused(tmp_path, tar):
    np.save(tmp_path / "x.npy", np.array(["a"]))
    folder = write_tar(tmp_path / "a", tar, {"0.npy": (tmp_path / "x.npy").read_bytes(), "0.cls": b"0"})
    with pytest.raises(DataError, match="A .npy file holds an array of numbers. .*received <U1"):
        open_shards(folder)
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    folder = write_tar(tmp_path / "b", tar, {"0.npy": (tmp_path / "x.npy").read_bytes(), "0.cls": b"0"})
    with pytest.raises(DataError, match="is not a .npy file: it holds Python objects"):
        open_shards(folder)


def test_mp3_members_open_and_decode(tmp_path, tar):
    members = {}
    for number, pitch in enumerate((440, 880)):
        wave = 0.4 * np.sin(2 * np.pi * pitch * np.arange(8000) / 16_000)
        file = io.BytesIO()
        soundfile.write(file, wave, 16_000, format="MP3")
        members |= {f"{number}.mp3": file.getvalue(), f"{number}.cls": str(number).encode()}
    foreign = open_shards(write_tar(tmp_path / "set", tar, members))
    pack(tmp_path / "set", tmp_path / "packed")
    for source in (foreign, open_shards(tmp_path / "packed")):
        assert (source.modality, len(source)) == ("audio", 2)
        for number in range(2):
            record = source.read(number)
            waveform, rate = sound_waveform(record.payload, record.key, max_seconds=10)
            assert (record.payload, record.target, rate) == (members[f"{number}.mp3"], number, 16_000)
            assert np.abs(waveform).max() == pytest.approx(0.4, abs=0.1)
