"""What lies beside the shards, with `datasets` and pyarrow as the oracles of what the data set is."""

import json
import shutil

import datasets
import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from neocog.data.open import open_source
from neocog.data.pack import pack
from neocog.dataset.record import num_left_out
from neocog.errors import DataError
from neocog.shards import holds_shards, open_shards, why_no_shards

FEATURES = datasets.Features(
    {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good", "poor"])}
)


@pytest.fixture(autouse=True)
def offline(tmp_path_factory, monkeypatch):
    """`datasets` caches below a folder of the test's own, and draws no bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))
    datasets.disable_progress_bars()


def reviews(count, labels=None, start=0):
    texts = [f"word{start + k} good" for k in range(count)]
    return datasets.Dataset.from_dict(
        {"text": texts, "label": labels or [k % 3 for k in range(count)]}, features=FEATURES
    )


def rows(source, split):
    """Texts and classes of a split, in their order."""
    records = [source.read(k) for k in source.splits[split].tolist()]
    return [(record.payload, source.classes[record.target]) for record in records]


def expected(dataset):
    names = dataset.features["label"].names
    return [(row["text"], names[row["label"]]) for row in dataset]


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.map(lambda row: {"label": 1}),
        lambda d: d.shuffle(seed=1),
        lambda d: d.filter(lambda row: row["label"] == 0),
        lambda d: d.map(lambda row: {"label": 2}, num_proc=2),
    ],
    ids=["map", "shuffle", "filter", "map in two processes"],
)
def test_saved_set_has_the_rows_that_datasets_loads(tmp_path, use):
    reviews(14).save_to_disk(tmp_path / "set", num_shards=3)
    use(datasets.load_from_disk(str(tmp_path / "set")))
    left = sorted(path.name for path in (tmp_path / "set").glob("cache-*.arrow"))
    assert left  # what `datasets` wrote
    source = open_shards(tmp_path / "set")
    assert rows(source, "all") == expected(datasets.load_from_disk(str(tmp_path / "set")))
    assert (len(source), num_left_out(source)) == (14, 0)
    (notice,) = [n for n in source.notices if "state.json does not list" in n]
    assert f"not read: {len(left)} ({left[0]}" in notice


def test_saved_splits_are_those_of_the_list(tmp_path):
    parts = datasets.DatasetDict(train=reviews(9), test=reviews(6, start=50), unsupervised=reviews(4, [-1] * 4))
    parts.save_to_disk(tmp_path / "set")
    loaded = datasets.load_from_disk(str(tmp_path / "set"))
    loaded["train"].map(lambda row: {"label": 0})
    loaded["test"].shuffle(seed=3)
    reviews(5).save_to_disk(tmp_path / "set" / "validation")  # a folder that the list does not name
    source = open_shards(tmp_path / "set")
    assert list(source.splits) == ["train", "test"]
    for split in source.splits:
        assert rows(source, split) == expected(loaded[split])
    assert num_left_out(source) == 4
    assert source.notices[0] == "the split unsupervised is left out, because it is not train, val or test: 4 samples"
    assert "files that dataset_dict.json does not list are not read: 3 (test/cache-" in source.notices[1]
    alone = open_shards(tmp_path / "set" / "train")
    assert rows(alone, "all") == expected(loaded["train"])


def test_saved_splits_under_other_names_are_named(tmp_path):
    datasets.DatasetDict(extra=reviews(3), more=reviews(3)).save_to_disk(tmp_path / "a")
    assert holds_shards(tmp_path / "a")
    with pytest.raises(DataError, match=r"A set has splits called train, .*: received extra, more. Rename them"):
        open_shards(tmp_path / "a")
    datasets.DatasetDict(val=reviews(3), validation=reviews(3)).save_to_disk(tmp_path / "b")
    with pytest.raises(DataError, match="read in two ways: two of val, validation mean val. Remove one"):
        open_shards(tmp_path / "b")


def test_pattern_and_single_files_leave_the_cache_out(tmp_path):
    reviews(12).save_to_disk(tmp_path, num_shards=2)
    loaded = datasets.load_from_disk(str(tmp_path))
    loaded.map(lambda row: {"label": 2})
    pattern = str(tmp_path / "*.arrow")
    assert holds_shards(pattern)
    source = open_source(pattern)
    assert rows(source, "all") == expected(loaded)
    assert any("state.json does not list" in notice for notice in source.notices)
    one = open_shards(tmp_path / "data-00001-of-00002.arrow")
    assert rows(one, "all") == expected(loaded)[6:]
    assert "some shards are missing, by the names of the others: data has 1 of 2" in one.notices
    (cache,) = tmp_path.glob("cache-*.arrow")
    assert open_shards(cache).notices[0] == f"{cache.name} is a file that `datasets` left as its cache"
    loaded.shuffle(seed=1)
    (indices,) = set(tmp_path.glob("cache-*.arrow")) - {cache}
    with pytest.raises(DataError, match="holds only the numbers of rows in another file.*save_to_disk"):
        open_shards(indices)
    with pytest.raises(DataError, match="There are no shards at .*nothing-"):
        open_source(str(tmp_path / "nothing-*.arrow"))


def test_cache_files_without_a_list_are_left_out_too(tmp_path):
    reviews(12).save_to_disk(tmp_path)
    datasets.load_from_disk(str(tmp_path)).map(lambda row: {"label": 2})
    (tmp_path / "state.json").unlink()
    source = open_shards(tmp_path)
    assert len(source) == 12
    assert "files that a library left beside the data, or that are copies, are not read: 1 (cache-" in source.notices[0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("{", "state.json, which says which files are the data set, is damaged: .* Fetch it again"),
        (
            {"_data_files": [{"filename": "gone.arrow"}]},
            "lists 1 files, of which 1 are missing: gone.arrow. Fetch them",
        ),
        (
            {"_data_files": [{"filename": "../a.arrow"}]},
            "lists files beside its list. .*received .*Save the data set again",
        ),
        ({"_data_files": [3]}, "lists files beside its list"),
        (
            {"_data_files": [{"filename": "a.arrow"}], "_indices_data_files": [{"filename": "indices.arrow"}]},
            "selects rows of its files by a list of indices, .* Open it with datasets.load_from_disk and save it again",
        ),
        ({"_data_files": [{"filename": "a.arrow", "skip": 3, "take": 2}]}, "selects rows of its files"),
    ],
)
def test_unreadable_state_json_is_refused(tmp_path, state, message):
    reviews(3).save_to_disk(tmp_path)
    (tmp_path / "data-00000-of-00001.arrow").rename(tmp_path / "a.arrow")
    (tmp_path / "state.json").write_text(state if isinstance(state, str) else json.dumps(state))
    with pytest.raises(DataError, match=message):
        open_shards(tmp_path)


def test_state_json_of_other_programs_is_ignored(tmp_path):
    pq.write_table(reviews(4).data.table, tmp_path / "a.parquet")
    (tmp_path / "state.json").write_text('{"step": 3}')
    (tmp_path / "dataset_dict.json").write_text("[1]")
    assert len(open_shards(tmp_path)) == 4


def test_changed_list_is_another_set(tmp_path):
    reviews(12).save_to_disk(tmp_path, num_shards=2)
    assert len(open_shards(tmp_path)) == 12
    path = tmp_path / "state.json"
    state = json.loads(path.read_text())
    state["_data_files"].pop()
    path.write_text(json.dumps(state))
    assert len(open_shards(tmp_path)) == 6


def test_cache_of_load_dataset_is_read_by_its_splits(tmp_path):
    for name, count in (("a", 6), ("b", 3), ("c", 2)):
        reviews(count).to_parquet(tmp_path / f"{name}.parquet")
    files = {"train": "a.parquet", "test": "b.parquet", "extra": "c.parquet"}
    loaded = datasets.load_dataset("parquet", data_files={k: str(tmp_path / v) for k, v in files.items()})
    loaded["train"].map(lambda row: {"label": 0})
    folder = tmp_path / "cache"
    shutil.copytree(loaded["train"].cache_files[0]["filename"].rpartition("/")[0], folder)
    assert any(path.name.startswith("cache-") for path in folder.iterdir())
    source = open_shards(folder)
    assert {split: rows(source, split) for split in source.splits} == {
        split: expected(loaded[split]) for split in ("train", "test")
    }
    assert num_left_out(source) == 2


def test_spark_folder_has_the_rows_that_pyarrow_reads(tmp_path):
    for number in range(2):
        reviews(6, start=10 * number).to_parquet(tmp_path / f"part-0000{number}-9c-c000.snappy.parquet")
        (tmp_path / f".part-0000{number}-9c-c000.snappy.parquet.crc").write_bytes(b"crc")
    schema = pq.read_schema(tmp_path / "part-00000-9c-c000.snappy.parquet")
    for mark in ("_metadata", "_common_metadata"):
        pq.write_metadata(schema, tmp_path / mark)
    (tmp_path / "_SUCCESS").write_bytes(b"")
    (tmp_path / "_temporary" / "0").mkdir(parents=True)
    shutil.copy(tmp_path / "part-00000-9c-c000.snappy.parquet", tmp_path / "_temporary" / "0" / "part.parquet")
    shutil.copy(tmp_path / "part-00000-9c-c000.snappy.parquet", tmp_path / "_part.parquet")
    source = open_shards(tmp_path)
    table = pyarrow.dataset.dataset(tmp_path, format="parquet").to_table()
    assert [text for text, _ in rows(source, "all")] == table.column("text").to_pylist()
    assert source.notices == (
        "files that a library left beside the data, or that are copies, are not read: 1 (_part.parquet)",
    )


def test_folders_of_a_partition_give_split_and_label(tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        for label in ("b c", "007", "7"):
            folder = tmp_path / f"split={split}" / f"label={label.replace(' ', '%20')}" / "day=1"
            folder.mkdir(parents=True)
            pq.write_table(
                pa.table({"text": [f"{split} {label} {k}" for k in range(count)]}), folder / "part-0.parquet"
            )
    assert holds_shards(tmp_path)
    source = open_shards(tmp_path)
    table = pyarrow.dataset.dataset(
        tmp_path,
        partitioning=pyarrow.dataset.partitioning(
            pa.schema([("split", pa.string()), ("label", pa.string()), ("day", pa.int32())]), flavor="hive"
        ),
    ).to_table()
    found = {(text, split, name) for split in source.splits for text, name in rows(source, split)}
    assert found == {(row["text"], row["split"], row["label"]) for row in table.to_pylist()}
    assert source.classes == ("007", "7", "b c")
    assert source.notices == ("columns in the folders' names are not read: day",)


def test_partition_labels_that_are_missing_or_doubled_are_refused(tmp_path):
    for label in ("0", "1", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / f"label={label}").mkdir()
        pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / f"label={label}" / "part-0.parquet")
    source = open_shards(tmp_path)
    assert (source.classes, len(source), num_left_out(source)) == (("0", "1"), 4, 2)
    assert "2 samples have no label and are left out" in source.notices
    pq.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "label=1" / "part-0.parquet")
    with pytest.raises(DataError, match=r"received label=1 in its folder's name, and one in label. Remove one of them"):
        open_shards(tmp_path)


@pytest.mark.parametrize(
    ("folder", "file", "what"),
    [
        ("_delta_log", "00000000000000000000.json", "a Delta table"),
        (".hoodie", "hoodie.properties", "a Hudi table"),
        ("metadata", "v1.metadata.json", "an Iceberg table"),
    ],
)
def test_table_whose_log_is_needed_is_refused(tmp_path, folder, file, what):
    (tmp_path / "data").mkdir()
    reviews(3).to_parquet(tmp_path / "data" / "a.parquet")
    (tmp_path / folder).mkdir()
    if folder == "metadata":
        assert len(open_shards(tmp_path)) == 3  # any folder may be called so
    (tmp_path / folder / file).write_text("{}")
    with pytest.raises(DataError, match=f"is {what}: only its log in {folder} says which files are current"):
        open_shards(tmp_path)


def test_ignored_files_are_listed_in_notices(foreign):
    for name in ("train-002.tar.part", "train-003.tar.tmp", "labels.csv", "a.zip", "images.tar.gz"):
        (foreign / name).write_bytes(b"")
    for name in ("sizes.json", "train-000.idx", "train-000_index.json", "__len__", "README.md", ".x.lock", "a.crc"):
        (foreign / name).write_bytes(b"{}")
    source = open_shards(foreign)
    assert len(source) == 13
    assert source.notices == (
        "downloads that are not finished are not read: 2 (train-002.tar.part, train-003.tar.tmp)",
        "files that are not shards are not read: 3 (a.zip, images.tar.gz, labels.csv)",
    )


def test_copies_and_clutter_are_not_read(foreign):
    for original, name in (("train", "train-000 (1)"), ("train", "train-000 - Copy"), ("test", "test-000(2)")):
        shutil.copy(foreign / f"{original}-000.tar", foreign / f"{name}.tar")
    (foreign / "Thumbs.db").write_bytes(b"")
    source = open_shards(foreign)
    assert len(source) == 13
    assert source.notices[0].endswith("are not read: 3 (test-000(2).tar, train-000 (1).tar, train-000 - Copy.tar)")
    assert len(source.notices) == 1
    (foreign / "train-000 (1).tar").write_bytes((foreign / "test-000.tar").read_bytes())
    assert len(open_shards(foreign)) == 16  # what is called a copy and is none


def test_shards_in_two_folders_or_two_versions_get_a_notice(tmp_path):
    (tmp_path / "data").mkdir()
    reviews(3).to_parquet(tmp_path / "train-00000-of-00001-aa.parquet")
    reviews(3).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    source = open_shards(tmp_path)
    assert len(source) == 6
    assert source.notices == (
        "shards of one split lie in several folders, and all are read: train in data/ and the set itself",
    )
    reviews(3).to_parquet(tmp_path / "train-00000-of-00001-bb.parquet")
    assert open_shards(tmp_path).notices[0] == (
        "there are more shards than their names say, and all are read: train has 2 of 1"
    )


def test_list_of_a_saved_set_leads_to_its_folder(tmp_path):
    reviews(3).save_to_disk(tmp_path)
    for name in ("state.json", "dataset_info.json"):
        assert why_no_shards(tmp_path / name) == (
            f"A data set that `datasets` saved is named by its folder. {tmp_path / name} only "
            f"describes data-00000-of-00001.arrow. Name {tmp_path}."
        )


def test_two_formats_of_one_set_are_refused(tmp_path):
    reviews(4).to_parquet(tmp_path / "data.parquet")
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as sink:
        table = pq.read_table(tmp_path / "data.parquet")
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(DataError, match=r"all of one kind. .*received .arrow, .parquet"):
        open_shards(tmp_path)
    (tmp_path / "data.arrow").unlink()
    reviews(4).to_csv(tmp_path / "data.csv")
    with pytest.raises(DataError, match="can be read in 2 ways"):
        open_source(tmp_path)


def test_split_within_the_names_is_the_split(tmp_path, foreign):
    for name in ("train-000", "train-001", "test-000"):
        (foreign / f"{name}.tar").rename(foreign / f"digits-{name}.tar")
    assert {split: len(part) for split, part in open_shards(foreign).splits.items()} == {"train": 10, "test": 3}
    (foreign / "digits-test-000.tar").unlink()
    assert list(open_shards(foreign).splits) == ["all"]  # a word within the names of all of them divides nothing


def test_other_split_and_missing_shards_of_the_hub_are_counted(tmp_path):
    reviews(6).to_parquet(tmp_path / "train-00000-of-00002.parquet")
    reviews(4, [-1] * 4).to_parquet(tmp_path / "unsupervised-00000-of-00001.parquet")
    source = open_shards(tmp_path)
    assert (list(source.splits), len(source), num_left_out(source)) == (["train"], 6, 4)
    assert source.notices == (
        "the split unsupervised is left out, because it is not train, val or test: 4 samples",
        "some shards are missing, by the names of the others: train has 1 of 2",
    )


def test_hub_cache_is_refused_with_its_snapshots(tmp_path):
    root = tmp_path / "datasets--x--reviews"
    data = root / "snapshots" / "0a1b" / "data"
    for folder in (data, root / "blobs", root / "refs"):
        folder.mkdir(parents=True)
    (root / "refs" / "main").write_text("0a1b")
    reviews(6).to_parquet(root / "blobs" / "ffff")
    (root / "blobs" / "eeee.incomplete").write_bytes(b"PAR1")
    (data / "train-00000-of-00001.parquet").symlink_to(root / "blobs" / "ffff")
    with pytest.raises(DataError, match=r"is a repository in the cache of Hugging Face's hub. Name a folder.*0a1b"):
        open_source(root)
    assert len(open_source(root / "snapshots" / "0a1b")) == 6
    data.rename(data.with_name("plain_text"))
    assert not holds_shards(data.parent)
    assert why_no_shards(data.parent) == (
        f"Shards lie in the named folder, or in train, val and test below it. {data.parent} holds shards only in "
        f"{data.with_name('plain_text')}. Name one of these folders."
    )
    assert why_no_shards(root / "refs") is None


def test_shards_missing_from_the_index_get_a_notice(tmp_path, foreign):
    pack(foreign, tmp_path / "packed")
    shutil.copy(tmp_path / "packed" / "train-000000.tar", tmp_path / "packed" / "train-000009.tar")
    source = open_shards(tmp_path / "packed")
    assert len(source) == 13
    assert source.notices == ("shards that neocog-index.json does not list are not read: 1 (train-000009.tar)",)


def test_partitions_and_patterns_at_an_address(tmp_path):
    files = fsspec.filesystem("memory")
    for label in ("a", "b"):
        path = tmp_path / f"{label}.parquet"
        pq.write_table(pa.table({"text": ["x", "y"]}), path)
        files.pipe_file(f"/hive/split=train/label={label}/day=1/0.parquet", path.read_bytes())
        files.pipe_file(f"/glob/{label}.parquet", b"")
    try:
        source = open_shards("memory://hive")
        assert (source.classes, source.targets.tolist(), list(source.splits)) == (("a", "b"), [0, 0, 1, 1], ["train"])
        with pytest.raises(DataError, match="There are no shards at memory://glob/c"):
            open_shards("memory://glob/c*.parquet")
    finally:
        files.rm("/hive", recursive=True)
        files.rm("/glob", recursive=True)


@pytest.mark.parametrize("inside", ["", "train/", "data/train-"])
def test_shards_in_other_folders_get_a_notice_with_their_count(tmp_path, inside):
    for place, count in (
        (f"{inside}0.parquet", 9),
        ("extra/0.parquet", 5),
        ("old/1.parquet", 2),
        (".cache/2.parquet", 1),
    ):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        reviews(count).to_parquet(tmp_path / place)
    source = open_shards(tmp_path)
    said = "shards in folders that are not called train, val or test are not read: 2 (extra/0.parquet, old/1.parquet)"
    assert source.notices == (f"{said}, with 7 records",)
    assert (len(source), num_left_out(source)) == (9, 7)


def test_unreadable_folders_beside_shards_are_ignored(tmp_path):
    reviews(9).to_parquet(tmp_path / "train.parquet")
    for name in ("gone", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.parquet").symlink_to(tmp_path / "nowhere.parquet")
    (tmp_path / "closed").chmod(0)
    source = open_shards(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert (len(source), source.notices) == (9, ())


def test_damaged_shards_in_other_folders_are_ignored(tmp_path):
    reviews(9).to_parquet(tmp_path / "train.parquet")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "0.parquet").write_bytes(b"PAR1")
    source = open_shards(tmp_path)
    assert len(source) == 9
    assert source.notices[0].startswith("shards in folders that are not called train, val or test are not read: 1 (old")
    assert "their records can't be counted: " in source.notices[0]
