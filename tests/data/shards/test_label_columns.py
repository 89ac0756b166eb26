"""Labels of Parquet and Arrow: their types, their order in each file, and those that are hidden."""

from decimal import Decimal

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neocog.data import divide
from neocog.data.pack import pack
from neocog.data.python_objects import as_source
from neocog.dataset.record import num_left_out
from neocog.errors import DataError
from neocog.shards import open_shards, verify


def texts(count):
    return [f"word{k} good" for k in range(count)]


def hub(labels, names=("bad", "good")):
    """A `Dataset` with a ClassLabel."""
    kinds = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    return datasets.Dataset.from_dict({"text": texts(len(labels)), "label": labels}, features=kinds)


def write(folder, **parts):
    """A Parquet file for each split, and the source."""
    folder.mkdir(exist_ok=True)
    datasets.disable_progress_bars()
    for split, part in parts.items():
        path = folder / f"{split}-00000-of-00001.parquet"
        if isinstance(part, datasets.Dataset):
            part.to_parquet(path)
        else:
            pq.write_table(part if isinstance(part, pa.Table) else pa.table(part), path, row_group_size=4)
    return open_shards(folder)


def named(source):
    return [source.classes[source.read(k).target] for k in range(len(source))]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([True, False, True]), ["1", "0", "1"]),
        (pa.array(["a", "b", "a"], pa.string_view()), ["a", "b", "a"]),
        (pa.array(["a", "b", "a"], pa.large_string()), ["a", "b", "a"]),
        (pa.array(["007", "7", "007"]).dictionary_encode(), ["007", "7", "007"]),
        (pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array(["x", "y"], pa.large_string())), ["y", "x", "y"]),
        (pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array([0, 1])), ["1", "0", "1"]),
        (pa.array([1, 0, 1], pa.uint8()), ["1", "0", "1"]),
        (pa.array([1, 0, 1], pa.uint64()), ["1", "0", "1"]),
        (pa.array([1, 0, 1], pa.int8()), ["1", "0", "1"]),
        (pa.array([1.0, 0.0, 1.0]), ["1", "0", "1"]),
        (pa.array([1.0, 0.0, 1.0], pa.float16()), ["1", "0", "1"]),
        (pa.array([Decimal("1.0"), Decimal("0.0"), Decimal("1.0")]), ["1", "0", "1"]),
        (pa.array(["01", "1", "1_0"]), ["01", "1", "1_0"]),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_labels_of_every_type_are_read(tmp_path, labels, expected, kind):
    table = pa.table({"text": texts(3), "label": labels})
    if kind == "parquet":
        pq.write_table(table, tmp_path / "a.parquet")
    else:
        with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    assert named(open_shards(tmp_path)) == expected


@pytest.mark.parametrize("labels", [[True, False, True, None], [1.0, 0.0, float("nan"), 1.0], ["007", "7", None, "7"]])
def test_file_and_object_agree(tmp_path, labels):
    dataset = datasets.Dataset.from_dict({"text": texts(4), "label": labels})
    file, object_ = write(tmp_path / "a", train=dataset), as_source({"train": dataset})
    assert (file.classes, file.targets.tolist()) == (object_.classes, object_.targets.tolist())
    assert (file.notices, num_left_out(file)) == (object_.notices, 1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.array([0.0, 1.5]), r"a whole number or a name. .*parquet, row 1: received '1.5' \(float\)"),
        (pa.array([Decimal("0.5"), Decimal("1.0")]), r"received '0.5' \(Decimal\)"),
        (pa.array([float("inf"), 1.0]), r"received 'inf' \(float\)"),
        (pa.array([[0], [1]]), r"received the column 'label' of type list<.*int64>. Convert the column"),
        (pa.array([1, 2], pa.date32()), r"received the column 'label' of type date32"),
        (pa.array([{"fine": 1}, {"fine": 2}]), r"received the column 'label' of type struct<fine: int64>"),
        (pa.array(["", "a"]), r"received '' \(str\)"),
    ],
)
def test_labels_that_are_not_classes_are_refused(tmp_path, labels, message):
    with pytest.raises(DataError, match=message):
        write(tmp_path, train={"text": texts(2), "label": labels})


def test_views_and_other_names_of_columns_are_read(tmp_path, png):
    pictures = pa.array([png(0), png(1)], pa.binary_view())
    source = write(tmp_path / "a", train={"image": pictures, "label": [0, 1]})
    assert [source.read(k).payload for k in range(2)] == [png(0), png(1)]
    files = pa.StructArray.from_arrays([pictures, pa.array([None, None], pa.string())], names=["bytes", "path"])
    assert write(tmp_path / "b", train={"image": files, "label": [0, 1]}).read(1).payload == png(1)
    source = write(tmp_path / "c", train={"Review": pa.array(texts(2), pa.string_view()), "Category": ["x", "y"]})
    assert (source.modality, source.classes, source.read(1).payload) == ("text", ("x", "y"), "word1 good")
    signals = {"signal": [[0.5, 1.0], [1.0, 2.0]], "label": [0, 1]}
    with pytest.raises(DataError, match=r"one of images, sounds or text.* .*received signal \(list<element: double>\)"):
        write(tmp_path / "d", train=signals)


HIDDEN = {
    "class -1": hub([-1] * 5),
    "number -1": {"text": texts(5), "label": [-1] * 5},
    "null": {"text": texts(5), "label": pa.array([None] * 5, pa.int64())},
    "no type": {"text": texts(5), "label": pa.nulls(5)},
    "NaN": {"text": texts(5), "label": pa.array([float("nan")] * 5, from_pandas=False)},
    "null text": {"text": texts(5), "label": pa.array([None] * 5, pa.string())},
    "no column": {"text": texts(5)},
    "empty text": {"text": texts(5), "label": [""] * 5},
}


@pytest.mark.parametrize("test", HIDDEN.values(), ids=HIDDEN)
@pytest.mark.parametrize("split", ["test", "validation"])
def test_split_without_labels_is_left_out_and_replaced_by_training_records(tmp_path, test, split):
    source = write(tmp_path / "a", train=hub([0, 1] * 20), **{split: test})
    short = {"test": "test", "validation": "val"}[split]
    instead = {"test": "the test", "validation": "validation"}[split]
    assert ({name: len(part) for name, part in source.splits.items()}, num_left_out(source)) == ({"train": 40}, 5)
    assert source.notices == (
        f"5 samples of {short} have no labels and are left out; training samples are held out for {instead} instead",
    )
    parts = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert (len(parts.test), len(parts.val)) == ((8, 4) if split == "test" else (0, 4))
    assert len({*parts.train.tolist(), *parts.val.tolist(), *parts.test.tolist()}) == 40
    if split == "test":
        assert parts.notes[0] == "8 of 40 samples are held out for testing, chosen by class and seed"
    dataset = test if isinstance(test, datasets.Dataset) else datasets.Dataset(pa.table(test))
    same = as_source({"train": hub([0, 1] * 20), split: dataset})
    assert (same.notices, same.unlabelled, source.unlabelled) == (source.notices, (short,), (short,))


def test_empty_label_is_refused_if_others_of_its_split_have_one(tmp_path):
    with pytest.raises(DataError, match=r"needs a class.*row 1: received '' \(str\). Leave that row out, or give"):
        write(tmp_path, train={"text": texts(2), "label": ["a", "b"]}, test={"text": texts(2), "label": ["a", ""]})


def test_validation_split_stays_if_test_labels_are_hidden(tmp_path):
    source = write(tmp_path, train=hub([0, 1] * 20), validation=hub([0, 1] * 3), test=hub([-1] * 4))
    parts = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert (parts.val.tolist(), len(parts.test), len(parts.train)) == (list(range(40, 46)), 8, 32)
    assert source.read(45).target == 1


@pytest.mark.parametrize("hidden", [-1, None])
def test_single_records_without_a_label_are_left_out_and_counted(tmp_path, hidden):
    labels = [0, 1, hidden, 1, hidden, 0, 0, 1, 1]
    source = write(tmp_path / "a", train=hub(labels), test=hub([1, hidden, 0]))
    kept = [k for k, label in enumerate(labels) if label in (0, 1)]
    assert [source.read(k).payload for k in range(7)] == [f"word{k} good" for k in kept]
    assert source.targets.tolist() == [0, 1, 1, 0, 0, 1, 1, 1, 0]
    assert [source.key(k).rpartition("/")[2] for k in range(7)] == [str(k) for k in kept]
    assert source.notices[:2] == (
        "2 samples of train have no label and are left out",
        "1 sample of test has no label and is left out",
    )
    assert num_left_out(source) + len(source) == 12
    same = as_source(datasets.DatasetDict(train=hub(labels), test=hub([1, hidden, 0])))
    assert [same.read(k).payload for k in range(7)] == [source.read(k).payload for k in range(7)]
    assert (same.targets.tolist(), same.notices) == (source.targets.tolist(), source.notices)


def test_blocks_count_the_records_that_are_read(tmp_path):
    labels = [0, None, 1, None, None, None, None, None, 1, 0]
    source = write(tmp_path, train={"text": texts(10), "label": labels})  # groups of 4 rows
    assert (source.blocks("train").tolist(), source.block_size) == ([0, 2, 4], 2)
    assert [source.read(k).payload for k in (3, 0)] == ["word9 good", "word0 good"]


def test_ambiguous_label_minus_one_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"from 0. .*row 2: received -1. If it means a hidden label, remove"):
        write(tmp_path / "a", train={"text": texts(3), "label": [0, 1, -1]})
    source = write(
        tmp_path / "b", train={"text": texts(3), "label": [0, 1, 1]}, test={"text": texts(2), "label": [-1, 1]}
    )
    assert (source.targets.tolist(), num_left_out(source)) == ([0, 1, 1, 1], 1)


def test_training_records_without_labels_are_refused(tmp_path):
    with pytest.raises(DataError, match="Each record needs a label. .*/a: received none in all 3 training records"):
        write(tmp_path / "a", train=hub([-1] * 3), test=hub([0, 1]))
    with pytest.raises(DataError, match=r"one named label of numbers or names. .*received text \(string\)"):
        write(tmp_path / "b", train={"text": texts(3)})


def test_table_of_pandas_with_gaps_is_read(tmp_path):
    frame = pd.DataFrame({"text": texts(4), "label": [0, 1, None, 1]})  # pandas makes floats of these
    frame.to_parquet(tmp_path / "train.parquet")
    frame.assign(label=None).to_parquet(tmp_path / "test.parquet")
    source = open_shards(tmp_path)
    assert (source.classes, source.targets.tolist(), num_left_out(source)) == (("0", "1"), [0, 1, 1], 5)


@pytest.mark.parametrize("names", [("good", "bad", "poor"), ("poor", "good", "bad")])
def test_classes_are_matched_by_name_between_files(tmp_path, names):
    first = ("bad", "good", "poor")
    parts = {"train": hub([0, 1, 2], first), "test": hub([0, 1, 2, 2, -1], names)}
    source = write(tmp_path / "a", **parts)
    assert source.classes == first
    assert named(source) == [*first, names[0], names[1], names[2], names[2]]
    assert any(n.startswith("classes are matched by name: these files number them") for n in source.notices)
    same = as_source(datasets.DatasetDict(parts))
    assert (same.classes, same.targets.tolist()) == (first, source.targets.tolist())
    assert "classes are matched by name, because test numbers them in another order" in same.notices


@pytest.mark.parametrize(
    "test", [hub([0, 1], ("bad", "fine")), hub([0, 1, 2], ("bad", "good", "fine")), {"text": texts(2), "label": [0, 1]}]
)
def test_files_that_name_other_classes_are_refused(tmp_path, test):
    with pytest.raises(
        DataError,
        match="All shards of a set have the same columns and .*test-0.*: received text, label.*; those before: ",
    ):
        write(tmp_path, train=hub([0, 1]), test=test)


def test_pack_remembers_that_the_test_was_hidden(tmp_path):
    write(tmp_path / "a", train=hub([0, 1] * 20), test=hub([-1] * 4))
    for format in ("tar", "parquet"):
        pack(tmp_path / "a", tmp_path / format, format=format)
        source = open_shards(tmp_path / format)
        assert (len(source), verify(tmp_path / format), source.unlabelled) == (40, 40, ("test",))
        assert source.notices == ("the set that was packed had no labels in test",)
        assert len(divide(source, val_fraction=0.1, test_fraction=0.2, seed=0).test) == 8


def test_tars_without_labels_for_the_test(tmp_path, tar):
    train = {"0.txt": b"a", "0.cls": b"0", "1.txt": b"b", "1.cls": b"1"}
    (tmp_path / "train-0.tar").write_bytes(tar(train))
    for test in ({"2.txt": b"c", "3.txt": b"d"}, {"2.txt": b"c", "2.cls": b"-1", "3.txt": b"d", "3.cls": b"-1"}):
        (tmp_path / "test-0.tar").write_bytes(tar(test))
        source = open_shards(tmp_path)
        assert (len(source), source.unlabelled, num_left_out(source)) == (2, ("test",), 2)
    (tmp_path / "test-0.tar").write_bytes(tar({"2.txt": b"c", "3.txt": b"d", "3.cls": b"1"}))
    with pytest.raises(
        DataError, match="names its class in a .cls member.*members of one record must follow each other"
    ):
        open_shards(tmp_path)


def test_targets_never_hold_a_hidden_label(tmp_path):
    generator = np.random.default_rng(0)
    for trial in range(10):
        labels = generator.integers(-1, 3, 30)
        labels[:3] = [0, 1, 2]
        source = write(tmp_path / str(trial), train=hub(labels.tolist(), ("a", "b", "c")))
        assert source.targets.tolist() == labels[labels >= 0].tolist()
        assert num_left_out(source) == (labels < 0).sum()
