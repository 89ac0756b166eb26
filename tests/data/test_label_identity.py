"""No layout makes one class of two different labels, and none renames a label: the written name is the class's name.

Each layout writes a set whose labels are drawn from those that parsers like to take for numbers, and is opened again.
"""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from neocog.data import open_source
from neocog.errors import DataError
from tests.support.small_sets import npy, npz, picture, sound, tar

Labels = Sequence[str]
Write = Callable[[Path, Labels], Path]

TRICKY = (
    "7", "07", "007", "7.0", "7.", "+7", "-7", "7e0", "0x7", "1_0", "10", "1E1", "1e1", "10.0", "0", "-0", "00",
    "inf", "nan", "NaN", "None", "null", "true", "True", "False", "cat", "Cat", "\u0667", "\uff17",
)  # fmt: skip
"""Labels that are equal as numbers, or as something else that a parser may make of them."""
FILES = tuple(label for label in TRICKY if not label.endswith("."))  # no name of a file on every system


def per_class(root: Path, labels: Labels, suffix: str, content: Callable[[int], bytes]) -> Path:
    for k, label in enumerate(labels):
        (root / label).mkdir(parents=True)
        for i in range(2):
            (root / label / f"{i}{suffix}").write_bytes(content(2 * k + i))
    return root


def pictures(root: Path, labels: Labels) -> Path:
    return per_class(root, labels, ".png", picture)


def class_map(root: Path, labels: Labels) -> Path:
    pictures(root, labels)
    (root / "class_map.txt").write_text("".join(f"{label}\n" for label in reversed(labels)))
    return root


def listed(root: Path, labels: Labels, name: str, head: str, row: str) -> Path:
    root.mkdir()
    rows = [(f"{k}.png", label) for k, label in enumerate([*labels, *labels])]
    for k, (file, _) in enumerate(rows):
        (root / file).write_bytes(picture(k))
    (root / name).write_text(head + "".join(row.format(file, label) for file, label in rows))
    return root


def text_table(root: Path, labels: Labels, name: str, head: str, row: str) -> Path:
    root.mkdir()
    rows = [row.format(f"words of number {k}", label) for k, label in enumerate([*labels, *labels])]
    (root / name).write_text(head + "".join(rows))
    return root / name


def text_folder(root: Path, labels: Labels) -> Path:
    return per_class(root, labels, ".txt", lambda k: f"words of number {k}".encode())


def waves(count: int) -> np.ndarray:
    return np.sin(np.arange(count * 30).reshape(count, 30) / 7).astype(np.float32)


def pictures_npz(root: Path, labels: Labels) -> Path:
    root.mkdir()
    x = np.arange(2 * len(labels) * 30, dtype=np.uint8).reshape(-1, 6, 5)
    (root / "set.npz").write_bytes(npz(x=x, y=np.array([*labels, *labels])))
    return root / "set.npz"


def signal_npz(root: Path, labels: Labels) -> Path:
    root.mkdir()
    (root / "set.npz").write_bytes(npz(x=waves(2 * len(labels)), y=np.array([*labels, *labels])))
    return root / "set.npz"


def signal_npy(root: Path, labels: Labels) -> Path:
    root.mkdir()
    (root / "x.npy").write_bytes(npy(waves(2 * len(labels))))
    (root / "y.npy").write_bytes(npy([*labels, *labels]))
    return root


def signal_folder(root: Path, labels: Labels) -> Path:
    return per_class(root, labels, ".npy", lambda k: npy(waves(k + 1)[k]))


def windows(root: Path, labels: Labels) -> Path:
    root.mkdir()
    rows = [(k, np.sin(k), label) for k, label in enumerate(label for label in labels for _ in range(20))]
    table = "".join(f"{k},{value:.4f},{label}\n" for k, value, label in rows)
    (root / "long.csv").write_text("time,x,label\n" + table)
    return root / "long.csv"


def ts(root: Path, labels: Labels) -> Path:
    root.mkdir()
    head = f"@problemName x\n@univariate true\n@classLabel true {' '.join(labels)}\n@data\n"
    values = [",".join(f"{v:.3f}" for v in row) for row in waves(2 * len(labels))]
    rows = [f"{row}:{label}\n" for row, label in zip(values, [*labels, *labels], strict=True)]
    for split in ("TRAIN", "TEST"):
        (root / f"x_{split}.ts").write_text(head + "".join(rows))
    return root


def sound_folder(root: Path, labels: Labels) -> Path:
    return per_class(root, labels, ".wav", lambda _: sound("wav"))


def sounds_by_name(root: Path, labels: Labels) -> Path:
    root.mkdir()
    for label, k in product(labels, range(2)):
        (root / f"{label}_ann_{k}.wav").write_bytes(sound("wav"))
    return root


def tar_cls(root: Path, labels: Labels) -> Path:
    root.mkdir()
    members = {}
    for k, label in enumerate([*labels, *labels]):
        members |= {f"{k}.png": picture(k), f"{k}.cls": label.encode()}
    (root / "train-000.tar").write_bytes(tar(members))
    return root


def tar_json(root: Path, labels: Labels) -> Path:
    root.mkdir()
    members = {}
    for k, label in enumerate([*labels, *labels]):
        members |= {f"{k}.png": picture(k), f"{k}.json": json.dumps({"label": label}).encode()}
    (root / "train-000.tar").write_bytes(tar(members))
    return root


def parquet(root: Path, labels: Labels) -> Path:
    import pyarrow
    from pyarrow import parquet as pq

    root.mkdir()
    texts = [f"words of number {k}" for k in range(2 * len(labels))]
    pq.write_table(pyarrow.table({"text": texts, "label": [*labels, *labels]}), root / "set.parquet")
    return root / "set.parquet"


LAYOUTS: dict[str, tuple[Write, dict[str, int]]] = {
    "image-folder": (pictures, {}),
    "class-map": (class_map, {}),
    "class-list csv": (lambda r, n: listed(r, n, "labels.csv", "file_name,label\n", "{},{}\n"), {}),
    "class-list tsv": (lambda r, n: listed(r, n, "labels.tsv", "file_name\tlabel\n", "{}\t{}\n"), {}),
    "class-list jsonl": (
        lambda r, n: listed(r, n, "metadata.jsonl", "", '{{"file_name": "{}", "label": "{}"}}\n'), {},
    ),
    "text-table csv": (lambda r, n: text_table(r, n, "set.csv", "text,label\n", "{},{}\n"), {}),
    "text-table tsv": (lambda r, n: text_table(r, n, "set.tsv", "text\tlabel\n", "{}\t{}\n"), {}),
    "text-table jsonl": (lambda r, n: text_table(r, n, "set.jsonl", "", '{{"text": "{}", "label": "{}"}}\n'), {}),
    "text-folder": (text_folder, {}),
    "npz": (pictures_npz, {}),
    "signal-npz": (signal_npz, {}),
    "signal-npz npy": (signal_npy, {}),
    "signal-folder": (signal_folder, {}),
    "csv-windows": (windows, {"window": 10}),
    "ts": (ts, {}),
    "sound-folder": (sound_folder, {}),
    "sound-folder by name": (sounds_by_name, {}),
    "shards tar cls": (tar_cls, {}),
    "shards tar json": (tar_json, {}),
    "shards parquet": (parquet, {}),
}  # fmt: skip
some_labels = st.lists(st.sampled_from(FILES), min_size=2, max_size=5, unique=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=some_labels)
@example(labels=["007", "7"])
@example(labels=["1_0", "10"])
@example(labels=["1E1", "10", "1e1"])
@example(labels=["\u0667", "7"])
def test_labels_of_any_layout_stay_as_written(layout, labels, tmp_path_factory):
    if layout == "sound-folder by name" and any("_" in label for label in labels):
        return  # there, an underscore ends the label
    write, options = LAYOUTS[layout]
    root = tmp_path_factory.mktemp("set") / "set"
    try:
        source = open_source(write(root, labels), **options)
    except DataError as error:
        named = [label for label in labels if label in str(error)]
    else:
        named = None
    if named is not None:
        assert named, "a refusal names a label"
        return
    assert sorted(source.classes) == sorted(labels)
    counts = np.bincount(source.targets, minlength=len(source.classes))
    assert len(set(counts.tolist())) == 1, "each class has its own samples, as many as every other"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_that_are_plain_names_are_read(layout, tmp_path):
    write, options = LAYOUTS[layout]
    source = open_source(write(tmp_path / "set", ["007", "010", "cat"]), **options)
    assert sorted(source.classes) == ["007", "010", "cat"]


def test_python_labels_stay_as_written():
    source = open_source((waves(4), ["007", "7", "007", "7"]))
    assert source.classes == ("007", "7") and source.targets.tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])


@pytest.mark.parametrize("pair", ['1, "1"', 'true, "true"', '"007", 7, "7"'])
@pytest.mark.parametrize("content", ["text", "file_name"])
def test_json_labels_of_two_types_are_not_put_together(content, pair, tmp_path):
    values = json.loads(f"[{pair}]") * 2
    rows = [
        {content: f"{k}.png" if content == "file_name" else f"words of {k}", "label": v} for k, v in enumerate(values)
    ]
    for k in range(len(rows)):
        (tmp_path / f"{k}.png").write_bytes(picture(k))
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        classes = open_source(tmp_path / "train.jsonl").classes
    except DataError as error:
        message = str(error)
    else:
        message = ""
        assert len(classes) == len(set(map(repr, values)))
    assert not message or message.startswith("Labels must be all of one type. ")
