"""Numbers to predict, and several labels, in every layout: opened, said, packed."""

import json

import numpy as np
import pytest

from neocog.data import describe, divide, fingerprint, open_source
from neocog.data.formats import FORMATS
from neocog.data.pack import pack
from neocog.dataset.record import check_trainable, num_left_out
from neocog.errors import ConfigError, DataError
from tests.support.small_sets import SETS as SMALL_SETS
from tests.support.small_sets import files_of, npy, npz, picture, sound, write_set

TS = """@problemName Meat
@univariate true
@targetLabel true
@data
1,2,3:0.5
2,3,4:?
3,5,4:12
"""
PICTURES = {f"in/{k}.png": picture(k) for k in range(4)}
SOUNDS = {f"{k}.wav": sound("WAV") for k in range(4)}
ROWS = ["0.5", "1.5", "2", "4"]


def columns(name, header, *cells):
    """A table with a file in each row."""
    rows = "".join(f"{name.format(k)},{','.join(row)}\n" for k, row in enumerate(zip(*cells, strict=True)))
    return f"{header}\n{rows}".encode()


TEXTS = "text,score\n" + "".join(f"film {k},{value}\n" for k, value in enumerate(ROWS))
X, IMAGES = np.arange(24, dtype=np.float32).reshape(4, 6), np.zeros((4, 6, 5), np.uint8)
Y, NAN = np.array([0.5, 1.5, 2, 4]), np.nan
SETS = {
    "class-list": ({"a.csv": columns("in/{}.png", "file,age", ROWS), **PICTURES}, ".", ("age",)),
    "class-list, several": (
        {"a.csv": columns("in/{}.png", "file,fat (%),water", ROWS, ["7", "", "9.5", "3"]), **PICTURES}, ".",
        ("fat [%]", "water"),
    ),
    "class-list jsonl": (
        {"m.jsonl": "".join(json.dumps({"file": f"in/{k}.png", "label": v}) + "\n" for k, v in enumerate(Y)).encode(),
         **PICTURES}, ".", ("label",),
    ),
    "class-list with commas": (
        {"a.csv": b"file;age\n" + b"".join(b"in/%d.png;%d,5\n" % (k, k) for k in range(4)), **PICTURES}, ".",
        ("age",),
    ),
    "sound-list": ({"a.csv": columns("{}.wav", "file,age", ROWS), **SOUNDS}, ".", ("age",)),
    "text-table": ({"a.csv": TEXTS.encode()}, "a.csv", ("score",)),
    "ts": ({"Meat.ts": TS.encode()}, "Meat.ts", ("target",)),
    "npz": ({"a.npz": npz(x=IMAGES, y=Y, classes=np.array(["age"]))}, "a.npz", ("age",)),
    "npz, several": ({"a.npz": npz(x=IMAGES, y=np.stack([Y, Y * 3], 1))}, "a.npz", ("target 0", "target 1")),
    "signal-npz": ({"a.npz": npz(x=X, y=Y)}, "a.npz", ("target",)),
    "signal-npz npy": (
        {"x.npy": npy(X), "y.npy": npy(np.stack([Y, [1, NAN, 3, 4]], 1))}, ".", ("target 0", "target 1"),
    ),
}  # fmt: skip


@pytest.fixture(params=SETS)
def numbers(request, tmp_path):
    files, place, names = SETS[request.param]
    return write_set(tmp_path / "set", files) / place, names


def test_numbers_are_recognised_and_read(numbers):
    path, names = numbers
    source = open_source(path)
    assert (source.task, source.classes) == ("regression", names)
    assert source.targets.dtype == np.float64
    assert source.targets.shape == ((len(source),) if len(names) == 1 else (len(source), len(names)))
    check_trainable(source)
    many = "1 number to predict" if len(names) == 1 else f"{len(names)} numbers to predict"
    assert f"; {many}: {', '.join(names)}" in describe(source)


def test_packed_numbers_are_the_same(numbers, tmp_path):
    path, names = numbers
    source = open_source(path)
    pack(path, tmp_path / "packed")
    packed = open_source(tmp_path / "packed")
    assert (packed.task, packed.classes) == ("regression", names)
    np.testing.assert_array_equal(packed.targets, source.targets.reshape(len(source), -1))
    np.testing.assert_array_equal(packed.read(1).target, np.atleast_1d(source.read(1).target))
    assert open_source(tmp_path / "packed", task="regression").task == "regression"
    with pytest.raises(ConfigError, match="These data can be read for regression. .*received data.task=classification"):
        open_source(tmp_path / "packed", task="classification")


def test_value_that_changes_changes_the_fingerprint(tmp_path):
    found = [
        fingerprint(open_source(write_set(tmp_path / str(k), {"a.npz": npz(x=X, y=Y + k * 1e-9)}) / "a.npz"))
        for k in range(2)
    ]
    assert found[0] != found[1]


def test_samples_of_which_nothing_is_known_are_left_out_and_counted(tmp_path):
    path = write_set(tmp_path, {"a.csv": columns("in/{}.png", "file,age", ["0.5", "", "NA", "4"]), **PICTURES})
    source = open_source(path)
    assert source.targets.tolist() == [0.5, 4]
    assert "2 samples have no label and are left out" in source.notices
    assert num_left_out(source) == 2
    source = open_source(write_set(tmp_path / "b", {"Meat.ts": TS.encode()}) / "Meat.ts")
    assert (source.targets.tolist(), num_left_out(source)) == ([0.5, 12], 1)
    for x in (X, IMAGES):
        place = write_set(tmp_path / f"c{x.ndim}", {"a.npz": npz(x=x, y=np.array([1.5, NAN, 2, 3]))}) / "a.npz"
        source = open_source(place)
        assert (source.targets.tolist(), num_left_out(source)) == ([1.5, 2, 3], 1)
        np.testing.assert_array_equal(np.ravel(source.read(1).payload), np.ravel(x[2]))


def test_values_that_are_not_known_are_said_by_column(tmp_path):
    files = {"a.csv": columns("in/{}.png", "file,fat,water", ROWS, ["7", "", "9.5", ""]), **PICTURES}
    source = open_source(write_set(tmp_path, files))
    assert "not known, and left out of loss and metrics: water in 2 of 4 samples" in source.notices
    assert np.isnan(source.targets[1, 1])


MARKS = np.array([[0, 1], [NAN, 0], [1, 1], [1, 1]])
LABELS = {
    "class-list": ({"a.csv": columns("in/{}.png", "file,sky,sea", "1011", ["0", "", "1", "1"]), **PICTURES}, ".", {}),
    "sound-list": ({"a.csv": columns("{}.wav", "file,sky,sea", "1011", ["0", "", "1", "1"]), **SOUNDS}, ".", {}),
    "text-table": (
        {"a.csv": b"text,sky,sea\na,1,0\nb,0,\nc,1,1\nd,1,1\n"}, "a.csv", {"label_column": "sky,sea"},
    ),
    "npz": ({"a.npz": npz(x=IMAGES, y=MARKS, classes=["sea", "sky"])}, "a.npz", {}),
    "signal-npz": ({"a.npz": npz(x=X, y=MARKS, classes=["sea", "sky"])}, "a.npz", {}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LABELS)
def test_several_labels_are_read_and_packed_in_every_layout(layout, tmp_path):
    files, place, options = LABELS[layout]
    path = write_set(tmp_path / "set", files) / place
    source = open_source(path, **options)
    assert (source.task, source.classes) == ("multi-label", ("sea", "sky"))
    np.testing.assert_array_equal(source.targets, [[0, 1], [NAN, 0], [1, 1], [1, 1]])
    assert "2 labels: sea, sky" in describe(source)
    assert "not known, and left out of loss and metrics: sea in 1 of 4 samples" in source.notices or "npz" in layout
    pack(path, tmp_path / "packed", **options)
    np.testing.assert_array_equal(open_source(tmp_path / "packed").targets, source.targets)


def test_tags_of_texts(tmp_path):
    path = write_set(tmp_path, {"a.csv": b"text,topic\na,sky|sea\nb,sea\nc,\n"}) / "a.csv"
    source = open_source(path, task="multi-label")
    assert (source.classes, source.targets.tolist()) == (("sea", "sky"), [[True, True], [True, False], [False, False]])


def test_task_overrules_what_the_values_say(tmp_path):
    stars = {"a.csv": b"text,label\n" + b"".join(b"t%d,%d\n" % (k, k % 5) for k in range(9))}
    path = write_set(tmp_path, stars) / "a.csv"
    assert open_source(path).task == "classification"
    assert "'label' holds classes, as there are 5 different whole numbers, at most 20" in open_source(path).notices[0]
    assert open_source(path, task="regression").targets.tolist() == [k % 5 for k in range(9)]
    images = write_set(tmp_path / "b", {"a.csv": columns("in/{}.png", "file,label", ROWS), **PICTURES})
    assert open_source(images).task == "regression"
    assert open_source(images, task="classification").classes == ("0.5", "1.5", "2", "4")
    assert open_source((X, np.array([1, 2, 3, 1])), task="regression").targets.tolist() == [1, 2, 3, 1]
    assert open_source((X, Y), task="classification").classes == ("0.5", "1.5", "2", "4")


@pytest.mark.parametrize(
    ("files", "place", "task", "message"),
    [
        (
            {"a/1.png": picture(1), "b/2.png": picture(2)},
            ".",
            "regression",
            "read for classification. .*for each class",
        ),
        ({"a.csv": b"text,label\na,x\nb,y\n"}, "a.csv", "regression", "labels are numbers. .*received 'x' in column"),
        ({"a.csv": b"text,label\na,x\nb,y\n"}, "a.csv", "segmentation", "classification or multi-label or regression"),
        ({"Meat.ts": TS.encode()}, "Meat.ts", "classification", "These data can be read for regression. "),
    ],
)
def test_task_that_a_layout_cannot_be_for_is_refused(files, place, task, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        open_source(write_set(tmp_path, files) / place, task=task)


def test_mixed_columns_are_refused_by_name(tmp_path):
    files = {"a.csv": b"text,fresh,fat,cook\na,1,0.5,ann\nb,0,2,bo\n"}
    path = write_set(tmp_path, files) / "a.csv"
    with pytest.raises(DataError, match="one kind. .*received 0 and 1 in 'fresh'; numbers in 'fat'; names or .*'cook'"):
        open_source(path, label_column="fresh,fat,cook")
    assert open_source(path, label_column="fresh,fat", task="regression").classes == ("fresh", "fat")
    with pytest.raises(DataError, match="data.label_column names each column once. .*received fat,fat"):
        open_source(path, label_column="fat,fat")


def test_sizes_beside_images_are_not_predicted(tmp_path):
    files = {"a.csv": columns("in/{}.png", "file,width,height", ROWS, ROWS), **PICTURES}
    with pytest.raises(DataError):
        open_source(write_set(tmp_path, files))


def test_numbers_beside_class_folders_do_not_hide_the_classes(tmp_path):
    files = {f"{name}/{k}.png": picture(k) for k, name in enumerate(("cat", "cat", "dog", "dog"))}
    rows = "".join(f"{path},{k}.5\n" for k, path in enumerate(files))
    source = open_source(write_set(tmp_path, {**files, "metadata.csv": f"file_name,age\n{rows}".encode()}))
    assert (source.task, source.classes) == ("classification", ("cat", "dog"))


def test_splits_are_decided_together(tmp_path):
    """The whole numbers of the test split would be classes by themselves."""
    files = {"train.csv": b"text,label\na,0.5\nb,1.5\n", "test.csv": b"text,label\nc,1\nd,2\n"}
    source = open_source(write_set(tmp_path, files))
    assert (source.task, source.targets.tolist()) == ("regression", [0.5, 1.5, 1, 2])


def test_held_out_numbers_are_of_all_fifths():
    values = np.random.default_rng(0).permutation(np.arange(100) * 1.5)
    source = open_source((np.zeros((100, 8)), values))
    splits = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert (len(splits.test), len(splits.train) + len(splits.val)) == (20, 80)
    fifths = np.searchsorted(np.quantile(values, (0.2, 0.4, 0.6, 0.8)), values[splits.test])
    assert np.bincount(fifths).tolist() == [4] * 5
    assert splits.notes[0] == "20 of 100 samples are held out for testing, spread over the values by seed"
    assert (
        np.abs(np.sort(values[splits.test]) - np.arange(20) * 7.5 - 3.75).max() <= 3.75
    )  # one of each five neighbours


def test_two_samples_validate_on_one():
    source = open_source({"train": (np.zeros((2, 8)), np.array([0.5, 2])), "test": (np.zeros((1, 8)), np.array([1.5]))})
    splits = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert (len(splits.train), len(splits.val)) == (1, 1)


def test_held_out_samples_have_the_rarest_labels_too():
    labels = np.zeros((100, 2), bool)
    labels[:, 0], labels[:10, 1] = True, True
    source = open_source((np.zeros((100, 8)), labels))
    splits = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    assert labels[splits.test].sum(axis=0).tolist() == [20, 2]


def test_hugging_face_columns():
    datasets = pytest.importorskip("datasets")
    texts = [f"t{k}" for k in range(4)]
    data = datasets.Dataset.from_dict({"text": texts, "label": [0.5, None, 2.0, 3.0]})
    source = open_source(data)
    assert (source.task, source.targets.tolist(), num_left_out(source)) == ("regression", [0.5, 2, 3], 1)
    assert source.read(1).payload == "t2"
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.Sequence(datasets.ClassLabel(names=["sea", "sky"]))}
    )
    data = datasets.Dataset.from_dict({"text": texts, "labels": [[0], [], [0, 1], [1]]}, features=features)
    source = open_source(data)
    assert (source.task, source.classes) == ("multi-label", ("sea", "sky"))
    assert source.targets.tolist() == [[True, False], [False, False], [True, True], [False, True]]
    data = datasets.Dataset.from_dict({"text": texts, "labels": [[0.5, 1], [2, 3], [4, 5], [6, 7.5]]})
    source = open_source(data)
    assert (source.task, source.classes) == ("regression", ("target 0", "target 1"))
    data = datasets.Dataset.from_dict({"text": texts, "tags": [["sea"], [], ["sky", "sea"], ["sky"]]})
    assert open_source(data).classes == ("sea", "sky")


def test_torch_dataset_with_numbers():
    items = [(np.zeros(8), value) for value in (0.5, 1.5, 2.0)]
    assert open_source(items).targets.tolist() == [0.5, 1.5, 2.0]
    assert open_source([(np.zeros(8), [1, 0]), (np.zeros(8), [0, 0])]).task == "multi-label"


@pytest.mark.parametrize("name", SMALL_SETS)
def test_layouts_say_what_their_sets_are_for(name, tmp_path):
    """By this the recipe is chosen, and `--task` checked, without opening the set."""
    source = SMALL_SETS[name].open(write_set(tmp_path, files_of(name)))
    tasks = next(layout.tasks for layout in FORMATS if layout.name == source.format)
    assert source.task in tasks or not tasks
