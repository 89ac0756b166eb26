"""Every sample in the files of a data set is read, or named as left out: the two add up, whatever the layout.

Each case is a small valid set and something beside it that is not read; the number of samples in its files is counted
by hand. `neocog check` and `neocog train` say what is left out in the same words.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from neocog.cli import main
from neocog.data import open_source
from neocog.dataset.record import num_left_out
from neocog.doctor import check
from tests.support.small_sets import (
    SETS,
    Files,
    class_map,
    coco,
    column_shards,
    files_of,
    games,
    npy,
    picture,
    pictures_by_class,
    signal_folder,
    sound,
    tar,
    text_folder,
    voc,
    write_set,
    yolo,
)

WHOLE = {
    "idx": 8, "cifar-10": 6, "cifar-100": 2, "npz": 8, "npz deflated": 8, "class-map": 3, "class-list csv": 3,
    "class-list numbers": 3, "packed numbers": 3, "ts numbers": 2, "sound-list": 3, "text-table numbers": 3,
    "class-list tsv": 3, "class-list jsonl": 3, "masks grey": 2, "masks colour": 2, "coco": 2, "voc": 2,
    "voc-masks": 2, "yolo": 2, "shards tar": 3, "shards parquet": 4, "shards arrow": 4, "shards arrow stream": 4,
    "packed tar": 3, "packed parquet": 3, "packed boxes": 2, "packed masks": 2, "packed tags": 2, "signal-npz": 4,
    "class-masks": 2, "packed class-masks": 2,
    "signal-npz ragged": 4, "signal-npz deflated": 4, "signal-npz npy": 8, "ucr": 6, "ts": 4, "signal-folder": 4,
    "sound wav": 8, "sound flac": 4, "sound ogg": 4, "text-table csv": 4, "text-table tsv": 3,
    "text-table jsonl": 8, "text-folder": 4, "sgf": 8, "image-folder png": 3, "image-folder png alpha": 3,
    "image-folder jpeg": 3, "image-folder webp": 3, "image-folder bmp": 3, "image-folder tiff": 7,
    "image-folder tiff of channels": 4, "image-folder npy": 2,
}  # fmt: skip
"""Samples in the files of each small set. Recordings that are cut into windows have none until they are cut."""


@pytest.mark.parametrize("name", WHOLE)
def test_samples_of_whole_sets_add_up(name, tmp_path):
    source = SETS[name].open(write_set(tmp_path, files_of(name)))
    assert len(source) + num_left_out(source) == WHOLE[name]


def test_every_small_set_is_counted_but_windows():
    assert set(SETS) - set(WHOLE) == {"coco outlines", "yolo outlines", "signal-folder windows", "csv-windows"}


@dataclass(frozen=True)
class Case:
    """A set with samples that are not read."""

    files: Callable[[], Files]
    read: int
    left_out: int
    says: str
    """What the notice must name."""
    format: str | None = None
    place: str = "."


def listed(rows: str) -> Files:
    return {"labels.csv": ("file_name,label\n" + rows).encode(), **{f"{k}.png": picture(k) for k in range(4)}}


def tar_of(*labels: str | None, name: str = "train-000.tar") -> Files:
    members: Files = {}
    for k, label in enumerate(labels):
        members |= {f"{k}.png": picture(k)} | ({} if label is None else {f"{k}.cls": label.encode()})
    return {name: tar(members)}


ILLEGAL = b"(;GM[1]FF[4]SZ[9];B[ee];W[ee];B[cc])"
BESIDE = {
    "image-folder, loose picture": Case(
        lambda: pictures_by_class("png") | {"train/loose.png": picture(9)}, 3, 1, "loose.png"
    ),
    "class-map, folder without a line": Case(
        lambda: class_map() | {"class_map.txt": b"1 cat\n0 dog\n", "ox/second.png": picture(8)}, 2, 2, "ox"
    ),
    "class-list, pictures without a row": Case(lambda: listed("0.png,a\n1.png,b\n"), 2, 2, "2.png"),
    "text-folder, texts without a class": Case(
        lambda: text_folder() | {"train/unsup/8.txt": b"a", "train/unsup/9.txt": b"b"}, 4, 2, "unsup"
    ),
    "text-folder, loose text": Case(lambda: text_folder() | {"train/loose.txt": b"a"}, 4, 1, "loose.txt"),
    "sound-folder, loose sound": Case(
        lambda: {f"{c}/{k}.wav": sound("wav") for c in "ab" for k in range(2)} | {"loose.wav": sound("wav")},
        4, 1, "loose.wav", "sound-folder",
    ),
    "signal-folder, loose signal": Case(
        lambda: signal_folder() | {"train/loose.npy": npy([[1.0, 2.0], [3.0, 4.0]])}, 4, 1, "loose.npy"
    ),
    "sgf, game with an illegal move": Case(lambda: games() | {"train/bad.sgf": ILLEGAL}, 8, 3, "bad.sgf"),
    "shards, hidden labels of a split": Case(
        lambda: tar_of("0", "1") | tar_of("-1", "-1", "-1", name="test-000.tar"), 2, 3, "test", "shards"
    ),
    "parquet, hidden labels of a split": Case(
        lambda: hidden_parquet(), 4, 3, "test", "shards"
    ),
    "coco, pictures that no file names": Case(
        lambda: coco() | {"images/train/extra.png": picture(5, size=(20, 30))}, 2, 1, "extra.png"
    ),
    "voc, picture in no split": Case(
        lambda: voc() | {"JPEGImages/c.png": picture(2, size=(20, 30))}, 2, 1, "c.png"
    ),
    "yolo, picture in no split": Case(
        lambda: yolo() | {"images/other/c.png": picture(2, size=(20, 30))}, 2, 1, "c.png"
    ),
}  # fmt: skip


def hidden_parquet() -> Files:
    import io

    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    rows = [{"image": {"bytes": picture(k), "path": f"{k}.png"}, "label": -1} for k in range(3)]
    content = column_shards("parquet")
    first = parquet.read_schema(io.BytesIO(content["train-00000.parquet"]))
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=first), file)
    return content | {"test-00000.parquet": file.getvalue()}


def opened(case: Case, folder: Path) -> Any:
    return open_source(write_set(folder, case.files()) / case.place, format=case.format)


@pytest.mark.parametrize("name", BESIDE)
def test_samples_beside_a_set_are_counted_and_named(name, tmp_path):
    case = BESIDE[name]
    source = opened(case, tmp_path)
    assert (len(source), num_left_out(source)) == (case.read, case.left_out), source.notices
    assert any(case.says in notice for notice in source.notices), source.notices


@pytest.mark.parametrize("name", BESIDE)
def test_check_says_what_is_left_out_in_the_reader_s_words(name, tmp_path):
    case = BESIDE[name]
    write_set(tmp_path, case.files())
    report = check(tmp_path / case.place, format=case.format)
    assert report.notices == tuple(opened(case, tmp_path).notices)


def test_check_and_train_say_the_same_of_a_set(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    files = {f"{c}/{k}.png": picture(10 * k + (c == "b"), size=(32, 32)) for c in "ab" for k in range(10)}
    write_set(tmp_path / "set", files | {"loose.png": picture(99, size=(32, 32)), "a/note.txt": b"x"})
    main(["check", "set", "--json", "--no-skip-list"])
    notices = json.loads(capfd.readouterr().out)["notices"]
    main(["train", "set", "--epochs", "1", "--name", "r"])
    told = capfd.readouterr()
    assert notices and all(notice in told.out + told.err for notice in notices)
