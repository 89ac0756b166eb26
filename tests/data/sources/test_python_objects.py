import io
import subprocess
import sys
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from neocog.data import ArraySource, check_trainable, fingerprint, sample_ids
from neocog.data.python_objects import as_source
from neocog.dataset.record import num_left_out, unlabelled_split
from neocog.errors import DataError

GREY = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
LABELS = [0, 1, 1, 0]


def png(size=(5, 6), value=0) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, value).save(file, "png")
    return file.getvalue()


class Items(Dataset[Any]):
    """A map-style dataset that counts what is read."""

    def __init__(self, inputs, labels, **attributes):
        self.inputs, self.labels, self.read = inputs, labels, 0
        vars(self).update(attributes)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        self.read += 1
        return self.inputs[index], self.labels[index]


def records(source):
    return [source.read(i) for i in range(len(source))]


@pytest.mark.parametrize(
    "pictures",
    [
        GREY,
        GREY.astype(np.uint16) * 300,
        GREY[..., None],
        np.stack([GREY] * 3, -1),
        torch.from_numpy(GREY),
        torch.from_numpy(GREY.astype(np.uint16)),
    ],
)
@pytest.mark.parametrize("labels", [LABELS, np.array(LABELS, np.uint8)[:, None], torch.tensor(LABELS)])
def test_images_of_one_size_are_an_array_source(pictures, labels):
    source = as_source((pictures, labels))
    assert isinstance(source, ArraySource)
    assert (source.name, source.format, source.classes, list(source.splits)) == ("data", "python", ("0", "1"), ["all"])
    assert source.targets.tolist() == LABELS
    assert source.read(2).payload.dtype == np.asarray(pictures).dtype
    assert np.array_equal(source.read(2).payload, np.asarray(pictures)[2])


def test_channels_are_found_first_or_last():
    colour = np.zeros((2, 3, 7, 5), np.uint8)
    assert as_source((colour, [0, 1])).read(0).payload.shape == (7, 5, 3)
    assert as_source((torch.from_numpy(colour), [0, 1])).read(0).payload.shape == (7, 5, 3)
    assert as_source((torch.zeros(2, 7, 9, 8, dtype=torch.uint8), [0, 1])).read(0).payload.shape == (9, 8, 7)
    assert as_source((torch.zeros(2, 9, 8, 7, dtype=torch.uint8), [0, 1])).read(0).payload.shape == (9, 8, 7)
    narrow = np.zeros((2, 3, 7, 3), np.uint8)
    assert as_source((narrow, [0, 1]), name="numpy's order").read(0).payload.shape == (3, 7, 3)
    assert as_source((torch.from_numpy(narrow), [0, 1]), name="torch's order").read(0).payload.shape == (7, 3, 3)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f8"])
def test_floats_are_signals(kind):
    values = np.arange(24).reshape(4, 2, 3).astype(kind)
    source = as_source({"train": (values, LABELS), "test": (values[:2], LABELS[:2])})
    assert (source.modality, source.task) == ("signal", "classification")
    assert {split: part.tolist() for split, part in source.splits.items()} == {"train": [0, 1, 2, 3], "test": [4, 5]}
    record = source.read(5)
    assert (record.key, record.target, record.payload.dtype) == ("test/1", 1, np.float32)
    assert record.payload.tolist() == [[6, 7, 8], [9, 10, 11]]
    assert as_source((values[:, 0], LABELS)).read(1).payload.tolist() == [[6, 7, 8]]
    assert as_source((torch.ones(4, 9, dtype=torch.bfloat16), LABELS)).read(0).payload.shape == (1, 9)


def test_values_beyond_float32_are_infinite_without_a_warning():
    assert np.isinf(as_source((np.full((2, 3), 1e300), [0, 1])).read(0).payload).all()


@pytest.mark.parametrize("texts", [["a", "b", "c", "d"], np.array(["a", "b", "c", "d"])])
def test_texts_and_named_classes(texts):
    source = as_source((texts, ["up", "down", "up", "up"]), name="reviews")
    assert (source.name, source.modality, source.classes) == ("reviews", "text", ("down", "up"))
    assert [(r.payload, r.target) for r in records(source)] == [("a", 1), ("b", 0), ("c", 1), ("d", 1)]
    assert {type(r.payload) for r in records(source)} == {str}
    given = as_source((texts, ["up", "down", "up", "up"]), classes=["up", "down"])
    assert (given.classes, given.targets.tolist()) == (("up", "down"), [0, 1, 0, 0])


def test_classes_name_numbers():
    assert as_source((GREY, LABELS), classes=["cat", "dog"]).classes == ("cat", "dog")
    assert as_source((["a", "b"], [0, 1]), classes=("cat", "dog")).classes == ("cat", "dog")


def test_splits_take_their_usual_names_and_share_their_classes():
    source = as_source({"test": (["x"], ["b"]), "validation": (["y"], ["a"]), "train": (["z"], ["c"])})
    assert list(source.splits) == ["train", "val", "test"]
    assert (source.classes, source.targets.tolist()) == (("a", "b", "c"), [2, 0, 1])
    assert source.notices[0] == "train has no sample of 'a', 'b'"
    assert [source.key(i) for i in range(3)] == ["train/0", "val/0", "test/0"]
    assert len(set(sample_ids(map(source.key, range(3))).tolist())) == 3
    assert list(as_source({"all": (["x", "y"], [0, 1])}).splits) == ["all"]


def test_a_list_may_hold_signals_of_many_lengths_and_images_of_many_sizes():
    source = as_source(([np.zeros(3), torch.zeros(2, 5)], [0, 1]))
    assert [r.payload.shape for r in records(source)] == [(1, 3), (2, 5)]
    source = as_source(([np.zeros((4, 5), np.uint8), Image.new("RGB", (7, 3))], [0, 1]))
    assert (source.modality, [r.payload.shape for r in records(source)]) == ("image", [(4, 5), (3, 7, 3)])


@pytest.mark.parametrize(
    ("inputs", "modality", "shape"),
    [
        (torch.zeros(4, 3, 6, 5, dtype=torch.uint8), "image", (6, 5, 3)),
        (list(GREY), "image", (6, 5)),
        ([Image.fromarray(pixels) for pixels in GREY], "image", (6, 5, 1)),
        ([Image.new("P", (5, 6)) for _ in GREY], "image", (6, 5, 3)),
        (torch.zeros(4, 2, 9), "signal", (2, 9)),
        (np.zeros((4, 9)), "signal", (1, 9)),
        (["a"] * 4, "text", None),
    ],
)
def test_a_map_style_dataset(inputs, modality, shape):
    source = as_source(Items(inputs, torch.tensor(LABELS)))
    assert (source.modality, source.targets.tolist(), source.classes) == (modality, LABELS, ("0", "1"))
    assert getattr(source.read(3).payload, "shape", None) == shape
    assert source.key(3) == "all/3"
    check_trainable(source)
    assert fingerprint(source) == fingerprint(as_source(Items(inputs, LABELS)))


def test_torchs_own_datasets_and_lists_of_pairs():
    signals = torch.arange(12.0).reshape(4, 3)
    whole = TensorDataset(signals, torch.tensor(LABELS))
    assert as_source(whole).read(1).payload.tolist() == [[3, 4, 5]]
    assert as_source(Subset(whole, [3, 1])).targets.tolist() == [0, 1]
    assert as_source([("good", "up"), ("bad", "down")]).classes == ("down", "up")
    both = as_source({"train": whole, "test": Subset(whole, [1, 2])})
    assert {split: len(part) for split, part in both.splits.items()} == {"train": 4, "test": 2}


def test_targets_are_used_if_they_agree_with_the_samples():
    many = LABELS * 100
    dataset = Items(["x"] * 400, many, targets=torch.tensor(many), classes=["cat", "dog"])
    source = as_source(dataset)
    assert (source.targets.tolist(), source.classes) == (many, ("cat", "dog"))
    assert dataset.read < 10
    for other in ([1 - label for label in many], [0.5] * 400, many[1:], None):
        dataset = Items(["x"] * 400, many, targets=other)
        assert as_source(dataset).targets.tolist() == many
        assert dataset.read >= 400


def test_a_fingerprint_knows_the_inputs():
    def marks(*inputs):
        return {fingerprint(as_source((values, [0, 1]))) for values in inputs}

    assert len(marks(["a", "b"], ["ab", ""], ["a", "c"])) == 3
    assert len(marks(np.zeros((2, 3)), np.ones((2, 3)))) == 2
    assert len(marks([np.zeros(3), np.zeros(2)], [np.ones(3), np.zeros(2)])) == 2
    assert len({fingerprint(as_source(Items([a, "z"], [0, 1]))) for a in "pq"}) == 2


FLOATS = np.zeros((2, 3, 8, 8))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "Data is a pair .*data: received int.*Pass one of these"),
        ("mnist", "data: received str"),
        (GREY, "data: received ndarray"),
        ((GREY, LABELS, LABELS), "data: received tuple of 3"),
        (((GREY, LABELS), (GREY, LABELS)), "data: received tuple of 2"),
        ({}, "one part for each split: train, val, test; or all. .*received nothing"),
        ({"x": GREY, "y": LABELS}, "data: received 'x', 'y'.*Rename them; a pair is"),
        ({"val": (GREY, LABELS), "valid": (GREY, LABELS)}, "received 'val', 'valid'"),
        ({"train": {"a": 1}}, "data, train: received dict"),
        ({"train": (GREY, LABELS), "test": (5, None)}, "Inputs are a NumPy array, .*data, test: received int"),
        ({"test": (None, None)}, "data, test: received NoneType"),
        ((5, [0, 1]), "Inputs are a NumPy array, .*data: received int.*Convert them"),
        ((GREY, LABELS[1:]), "Each input needs one label.*data: received 4 inputs, 3 labels"),
        ((np.uint8(3), [0]), "Inputs are a NumPy array"),
        ((np.array(3.0), [0]), "received 0 inputs, 1 labels"),
        (([], []), "and there must be some. .*received 0 inputs, 0 labels"),
        ((FLOATS, [0, 1]), r"data: received float64 \(2, 3, 8, 8\)"),
        (
            (GREY.astype(int), LABELS),
            r"signals \(N, L\) or \(N, C, L\) of floats; or texts. .*received int64 \(4, 6, 5\)",
        ),
        ((np.zeros((2, 3), complex), [0, 1]), "received complex128"),
        ((np.zeros((2, 0)), [0, 1]), r"A signal needs at least one value. .*data, sample 0: received \(0,\)"),
        ((np.zeros((2, 5, 5, 0), np.uint8), [0, 1]), r"with 1 to 256 channels. .*data, all: received \(2, 5, 5, 0\)"),
        (([None, "a"], [0, 1]), "data, sample 0: received NoneType"),
        ((torch.zeros(2, 3).to_sparse(), [0, 1]), "A tensor must be dense and hold values.*data: received"),
        ((torch.zeros(2, 3, device="meta"), [0, 1]), "A tensor must be dense and hold values.*data: received"),
        ((GREY, iter(LABELS)), "data: received list_iterator"),
        ((GREY, [0, "b", 1, 0]), r"or names, one for each sample. .*data: received 'b' \(str\) at sample 1"),
        ((GREY, [0, 1, None, 0]), r"received 'None' \(NoneType\) at sample 2"),
        ((GREY, [0, 1, 0, 10**30]), "Labels number the classes from 0. data: received 1000000000000000000000000000000"),
        (
            (GREY, np.array([0, 1, 0, 2**64 - 1], np.uint64)),
            "number the classes from 0. .*received 18446744073709551615",
        ),
        ((GREY, [0, 1, -1, 0]), r"Labels must be in 0..1.*data, all: received -1 at sample 2"),
        ((["a", "b"], [0, -1]), r"Labels must be in 0..0.*data, all: received -1 at sample 1"),
        (
            {"train": (["a"], ["x"]), "test": (["a"], [0])},
            r"of one kind in all splits. data: received names in train, numbers",
        ),
        (
            {"train": (["a"], ["x"]), "test": (GREY, LABELS)},
            "All splits must be of one kind. .*received train: text, test:",
        ),
        ([], "A dataset needs at least one sample. .*data: received none"),
        ([1, 2], r"gives \(input, label\). .*data, sample 0: received int.*Wrap it so that it does"),
        ([("a", 1, 2)], r"gives \(input, label\). .*data, sample 0: received tuple of 3"),
        ([{"image": 1}], r"gives \(input, label\). .*data.*received dict"),
        ([(torch.zeros(3, 8, 8), 0)], r"data, sample 0: received float32 \(3, 8, 8\).* without ToTensor\(\)"),
        (
            [(np.zeros((8, 8, 0), np.uint8), 0)],
            r"An image as an array must be .* data, sample 0: received uint8 \(8, 8, 0\)",
        ),
        ([(np.zeros(8, np.uint8), 0)], r"data, sample 0: received uint8 \(8,\)"),
        ([(Image.new("CMYK", (4, 4)), 0)], "data, sample 0: received CMYK"),
        (Items(["a", "b"], [0]), r"data, sample 1 can't be read: IndexError: list index out of range"),
        (
            DataLoader([("a", 0)]),
            "Samples are read by index, one by one. .*received a DataLoader, .* Pass its dataset: loader.dat",
        ),
    ],
)
def test_other_objects_are_refused_by_type(data, message):
    with pytest.raises(DataError, match=message):
        records(as_source(data))


def test_dataset_without_index_or_length_is_refused():
    class Stream(IterableDataset[Any]):
        def __iter__(self):
            return iter([("a", 0)])

    with pytest.raises(
        DataError, match=r"read by index. .*received an IterableDataset \(Stream\).* Pass list\(dataset\)"
    ):
        as_source(Stream())

    class Endless(Dataset[Any]):
        def __getitem__(self, index):
            return "a", 0

    with pytest.raises(DataError, match="A dataset needs a length. data: received Endless"):
        as_source(Endless())


def test_classes_that_do_not_fit():
    with pytest.raises(DataError, match="data has no class 'dg'. Did you mean 'dog'"):
        as_source((["a", "b"], ["cat", "dg"]), classes=["cat", "dog"])
    with pytest.raises(DataError, match="Each class needs a name of its own. data: received 'cat', 'cat'"):
        as_source((["a", "b"], [0, 1]), classes=["cat", "cat"])
    parts = {split: Items(["a", "b"], [0, 1], classes=names) for split, names in (("train", "ab"), ("test", "cd"))}
    for part in parts.values():
        part.classes = list(part.classes)
    with pytest.raises(
        DataError, match="All splits must have the same classes. Received: .* make them|Make them alike"
    ):
        as_source(parts)
    assert as_source(parts, classes=["x", "y"]).classes == ("x", "y")


def test_a_sample_of_another_kind_or_a_damaged_image_is_named():
    source = as_source((["a", np.zeros(3)], [0, 1]))
    with pytest.raises(DataError, match="must be of one kind. .*data, sample 1: received signal among text"):
        source.read(1)
    cut = Image.open(io.BytesIO(png((50, 50))[:-30]))
    with pytest.raises(DataError, match="must decode to its last row. data, sample 0 does not: .* Replace it"):
        as_source([(cut, 0)])


def features(**columns):
    return datasets.Features(columns)


def picture_set(count=4, labels=None, *, image=None):
    values = [{"bytes": png(value=k) if image is None else image, "path": f"{k}.png"} for k in range(count)]
    return datasets.Dataset.from_dict(
        {"image": values, "note": ["x"] * count, "label": labels or [k % 2 for k in range(count)]},
        features=features(
            image=datasets.Image(), note=datasets.Value("string"), label=datasets.ClassLabel(names=["cat", "dog"])
        ),
    )


def test_hugging_face_images_stay_encoded():
    source = as_source(picture_set(), name="pets")
    assert (source.name, source.modality, source.classes, source.format) == ("pets", "image", ("cat", "dog"), "python")
    assert [r.payload for r in records(source)] == [png(value=k) for k in range(4)]
    assert source.targets.tolist() == [0, 1, 0, 1]
    assert list(source.splits) == ["all"]
    for changed in (picture_set().with_format("torch"), picture_set().with_transform(lambda rows: {})):
        found = [r.payload for r in records(as_source(changed.shuffle(seed=1)))]
        assert sorted(found) == sorted(png(value=k) for k in range(4))


def test_hugging_face_splits():
    parts = datasets.DatasetDict(
        {
            "test": picture_set(2, [-1, -1]),
            "validation": picture_set(2),
            "unsupervised": picture_set(3),
            "train": picture_set(4),
        }
    )
    source = as_source(parts)
    assert {split: len(part) for split, part in source.splits.items()} == {"train": 4, "val": 2}
    assert source.notices == (
        "the split unsupervised is left out, because it is not train, val or test: 3 samples",
        unlabelled_split("test", 2),
    )
    assert (num_left_out(source), source.unlabelled) == (5, ("test",))
    assert source.key(5) == "val/1"
    assert list(as_source({"train": parts["train"], "test": parts["validation"]}).splits) == ["train", "test"]


def test_hugging_face_texts_and_audio_files():
    texts = datasets.Dataset.from_dict({"title": ["t", "u"], "text": ["good", "bad"], "label": [1, 0]})
    source = as_source(texts)
    assert (source.modality, source.classes) == ("text", ("0", "1"))
    assert [(r.payload, r.target) for r in records(source)] == [("good", 1), ("bad", 0)]
    named = datasets.Dataset.from_dict({"body": ["good", "bad"], "category": ["up", "down"]})
    assert as_source(named).classes == ("down", "up")
    stored = pa.table({"audio": [{"bytes": b"RIFF", "path": "a.wav"}], "label": [0]})
    types = features(audio=datasets.Audio(), label=datasets.Value("int64"))
    sounds = datasets.Dataset(stored, info=datasets.DatasetInfo(features=types))
    assert (as_source(sounds).modality, as_source(sounds).read(0).payload) == ("audio", b"RIFF")


def test_hugging_face_files_are_read_where_they_are(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    rows = {"image": [str(tmp_path / "a.png"), str(tmp_path / "gone.png"), None], "label": [0, 1, 0]}
    types = features(image=datasets.Image(), label=datasets.ClassLabel(names=["x", "y"]))
    source = as_source(datasets.Dataset.from_dict(rows, features=types))
    assert source.read(0).payload == png()
    with pytest.raises(DataError, match="The file of data, sample 1, .*gone.png, is not on this machine. Fetch"):
        source.read(1)
    with pytest.raises(DataError, match="needs a value. data, sample 2: received none in column 'image'. Drop it"):
        source.read(2)
    rows["image"][1] = "\0"
    with pytest.raises(DataError, match="data, sample 1 can't be read from|is not on this machine"):
        as_source(datasets.Dataset.from_dict(rows, features=types)).read(1)


def test_hugging_face_fingerprints_know_texts_and_sizes():
    def mark(texts):
        return fingerprint(as_source(datasets.Dataset.from_dict({"text": texts, "label": [0, 1]})))

    assert mark(["a", "b"]) == mark(["a", "b"]) != mark(["a", "c"])
    base = picture_set()
    assert fingerprint(as_source(base)) == fingerprint(as_source(base.select(range(4))))
    assert fingerprint(as_source(base)) != fingerprint(as_source(picture_set(image=png((9, 9)))))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": ["a"], "mark": [1]},
            r"one column for the label: a ClassLabel, .* data has none \(text: Value, mark: Va",
        ),
        ({"text": ["a"], "label": [1], "target": [1]}, "read in 2 ways, as 'label' or 'target'. Use remove_columns"),
        ({"a": ["a"], "b": ["b"], "label": [1]}, "one column for the input: .* read in 2 ways, as 'a' or 'b'"),
        (
            {"a": [[0.5]], "label": [1]},
            r"one column for the input: an Image, an Audio, or text. data has none \(a: List",
        ),
        ({"text": ["a", "b"], "label": [None, None]}, r"Each sample needs a label. data has none, or -1 for all"),
        ({"text": [], "label": []}, "at least one sample. .*data: received none"),
    ],
)
def test_hugging_face_columns_that_cannot_be_meant(columns, message):
    with pytest.raises(DataError, match=message):
        as_source(datasets.Dataset.from_dict(columns))


def test_hugging_face_sets_that_cannot_be_read():
    with pytest.raises(
        DataError, match="read by index. .*received a streamed IterableDataset.* without streaming=True"
    ):
        as_source(picture_set().to_iterable_dataset())
    with pytest.raises(DataError, match="data, train: received a streamed IterableDataset"):
        as_source(datasets.IterableDatasetDict({"train": picture_set().to_iterable_dataset()}))
    with pytest.raises(DataError, match="has splits called train, .*data: received extra. Rename them"):
        as_source(datasets.DatasetDict(extra=picture_set()))
    with pytest.raises(DataError, match="read in two ways: two of val, validation mean val. Remove one"):
        as_source(datasets.DatasetDict(val=picture_set(), validation=picture_set()))
    with pytest.raises(DataError, match="Each sample needs a label. data has none, or -1 for all"):
        as_source(picture_set(2, [-1, -1]))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ((["a", "b"], [0, 1]), (["c", "d", "e"], [-1, -1, -1])),
        ((["a", "b"], [0, 1]), (["c", "d", "e"], None)),
        ((["a", "b"], ["x", "y"]), (["c", "d", "e"], [None] * 3)),
        ((GREY[:2], [0, 1]), (GREY[1:], np.array([-1, -1, -1]))),
        ((GREY[:2], [0, 1]), (GREY[1:], torch.tensor([-1.0, -1.0, float("nan")]))),
        ([("a", 0), ("b", 1)], [("c", -1), ("d", -1), ("e", -1)]),
        ([("a", 0), ("b", 1)], [("c", None), ("d", None), ("e", None)]),
        ([("a", 0), ("b", 1)], ["c", "d", "e"]),
        (Items(list(GREY[:2]), [0, 1]), list(GREY[1:])),
        (Items(["a", "b"], [0, 1], targets=[0, 1]), Items(["c", "d", "e"], [-1] * 3, targets=[-1] * 3)),
    ],
)
def test_test_part_without_labels_is_left_out(train, test):
    source = as_source({"train": train, "test": test})
    assert (list(source.splits), len(source), source.unlabelled) == (["train"], 2, ("test",))
    assert source.notices == (unlabelled_split("test", 3),)
    assert num_left_out(source) == 3
    with pytest.raises(DataError, match=r"Each sample needs a label|Labels must be|gives \(input, label\)"):
        as_source({"train": test, "test": train})


def test_single_test_samples_without_a_label_are_left_out():
    for inputs in (GREY, GREY * 1.0, list("abcd")):
        source = as_source({"train": (inputs, LABELS), "test": (inputs, [1, -1, 0, -1])})
        assert (source.targets.tolist(), num_left_out(source)) == ([*LABELS, 1, 0], 2)
        assert np.array_equal(source.read(5).payload, source.read(2).payload)
        assert source.notices == ("2 samples of test have no label and are left out",)
    with pytest.raises(DataError, match=r"Labels must be in 0..1.*data, train: received -1 at sample 1"):
        as_source({"train": (GREY, [1, -1, 0, -1])})


def test_classes_are_matched_by_name_between_parts():
    parts = {
        split: Items(["a", "b", "c"], [0, 1, 2], classes=names)
        for split, names in (("train", ["x", "y", "z"]), ("val", ["x", "y", "z"]), ("test", ["z", "x", "y"]))
    }
    source = as_source(parts)
    assert (source.classes, source.targets.tolist()) == (("x", "y", "z"), [0, 1, 2, 0, 1, 2, 2, 0, 1])
    assert source.notices == ("classes are matched by name, because test numbers them in another order",)
    parts["test"].labels = [0, 1, 3]
    with pytest.raises(DataError, match="Labels must be in 0..2, .* data, test: received 3 at sample 2"):
        as_source(parts)


def test_labels_keep_what_is_written():
    for labels in (
        ["007", "7", "1_0", "10"],
        np.array(["007", "7", "1_0", "10"]),
        np.array(["007", *"abc"], "O"),
    ):
        source = as_source((["a", "b", "c", "d"], labels))
        assert [source.classes[target] for target in source.targets] == list(labels)


def test_datasets_is_not_imported():
    code = (
        "import sys, numpy; from neocog.data.python_objects import as_source;"
        "as_source((numpy.zeros((2, 3)), [0, 1])); assert 'datasets' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


values = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=3),
)


@given(
    st.recursive(
        values,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.tuples(inner, inner),
            st.dictionaries(st.sampled_from(["train", "test", "all", "x"]), inner, max_size=2),
        ),
        max_leaves=8,
    )
)
@example((["a", "b"], [1e300, 0.0]))
def test_anything_is_a_source_or_a_data_error(data):
    try:
        source = as_source(data)
    except DataError:
        return
    assert len(source) == len(source.targets) > 0
