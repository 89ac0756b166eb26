import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.dataset.record import sample_ids
from neocog.errors import DataError
from neocog.shards.index import INDEX, Header, Index, IndexWriter, Shard, find_runs


def write_index(folder, keys, shards=None):
    folder.mkdir(exist_ok=True)
    with IndexWriter(folder) as writer:
        for place, key in enumerate(keys):
            writer.add(key, 0, place * 10, 9, place % 3)
        shards = shards or (Shard(name="a.tar", split="all", size=10, records=len(keys)),)
        header = Header(
            name="a", container="tar", modality="text", task="classification", classes=("x", "y", "z"), shards=shards,
            arrays={},
        )  # fmt: skip
        writer.finish(header)
    return Index(folder)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=30, unique=True), st.data())
def test_rows_and_keys_come_back(tmp_path_factory, keys, data):
    keys = [key.encode("utf-8", "surrogateescape" if key.isascii() else "replace").decode() for key in keys]
    keys = list(dict.fromkeys(keys))
    index = write_index(tmp_path_factory.mktemp("index"), keys)
    chosen = np.array(data.draw(st.lists(st.integers(0, len(keys) - 1))), np.int64)
    rows = index.rows(chosen)
    assert index.keys(chosen) == [keys[k] for k in chosen]
    assert rows["offset"].tolist() == (chosen * 10).tolist()
    assert np.array_equal(rows["id"], sample_ids(keys[k] for k in chosen))
    assert index.open_array("targets").tolist() == [k % 3 for k in range(len(keys))]


@given(st.lists(st.integers(0, 20)))
def test_find_runs_covers_all_indices(indices):
    array = np.array(indices, np.int64)
    found = [list(range(array[a], array[a] + b - a)) for a, b in find_runs(array)]
    assert [k for run in found for k in run] == indices


def test_keys_that_are_not_unicode_come_back(tmp_path):
    assert write_index(tmp_path, ["\udcff.png", "b"]).keys(np.array([0, 1])) == ["\udcff.png", "b"]


def test_a_record_of_four_gibibytes_is_refused(tmp_path):
    with (
        IndexWriter(tmp_path) as writer,
        pytest.raises(DataError, match="A record has less than 4 GiB. 'a' has 4,294,967,296"),
    ):
        writer.add("a", 0, 0, 2**32, 0)


def test_duplicate_keys_are_refused(tmp_path):
    with pytest.raises(DataError, match="Each record needs a key of its own. a has 'two' twice, 1 such in all"):
        write_index(tmp_path, ["one", "two", "two"])


def test_index_truncated_while_open_is_refused(tmp_path):
    index = write_index(tmp_path, ["one", "two"])
    index.check("rows")
    path = tmp_path / "neocog-index.rows.npy"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="has been cut off since it was opened"):
        index.rows(np.array([1]))


def test_index_with_keys_that_end_before_they_begin_is_refused(tmp_path):
    index = write_index(tmp_path, ["one", "two"])
    index.check("starts", "keys")
    path = tmp_path / "neocog-index.starts.npy"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(DataError, match="is damaged: keys end before they begin"):
        index.keys(np.array([0, 1]))


def test_oversized_index_is_refused(tmp_path, monkeypatch):
    write_index(tmp_path, ["one"])
    monkeypatch.setattr("neocog.shards.index.MAX_HEADER", 10)
    with pytest.raises(DataError, match=f"{INDEX} is larger than any index: 10 bytes"):
        Index(tmp_path)


def test_arrays_are_checked_once_before_their_first_use(tmp_path, monkeypatch):
    write_index(tmp_path, ["one", "two"])
    hashed = []
    monkeypatch.setattr(Index, "check_hash", lambda self, kind: hashed.append(kind))
    index = Index(tmp_path)
    assert hashed == []
    for _ in range(2):
        index.rows(np.array([1]))
    assert hashed == ["rows"]
    for _ in range(2):
        index.keys(np.array([1]))
        index.open_array("targets")
    assert sorted(hashed) == ["keys", "rows", "starts", "targets"]


@pytest.mark.parametrize("kind", ["rows", "keys", "starts", "targets"])
def test_an_array_of_another_size_is_refused_when_the_index_is_opened(tmp_path, kind):
    write_index(tmp_path, ["one", "two"])
    path = tmp_path / f"neocog-index.{kind}.npy"
    content = path.read_bytes()
    for changed in (content[:-1], content + b"x", b"", b"x" * len(content)):
        path.write_bytes(changed)
        with pytest.raises(DataError, match=f"{path.name} is damaged: it is not what {INDEX} describes"):
            Index(tmp_path)
