"""The rows of every task equal what `Predictor` answers, in all three forms."""

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neocog.annotations.outlines import unpack_runs
from neocog.annotations.run_lengths import pack_runs, run_lengths
from neocog.bundle import Failure
from neocog.errors import ConfigError
from neocog.offline.columns import check_extras, columns_of
from neocog.offline.formats import FORMS, form_of
from neocog.offline.score import Scorer
from neocog.tasks import Regression
from tests.support.scenes import Scenes
from tests.support.small_models import MODELS
from tests.support.untrained import untrained

parquet = pytest.importorskip("pyarrow.parquet")
NAMES = (
    "image classification", "image multi-label", "image regression", "segmentation", "detection",
    "signal classification", "signal segmentation", "characters",
)  # fmt: skip


def files_for(folder, predictor, payload):
    """Three inputs of the network's kind, with one between them that can't be read."""
    paths = []
    for i in range(3):
        if predictor.preprocess.modality == "image":
            path = folder / f"{i}.png"
            Image.fromarray(np.roll(payload, 3 * i, axis=0)).save(path)
        elif predictor.preprocess.modality == "signal":
            path = folder / f"{i}.npy"
            np.save(path, np.roll(payload, 3 * i, axis=-1))
        else:
            path = folder / f"{i}.txt"
            path.write_text(str(payload) + " again" * i)
        paths.append(str(path))
    return [*paths[:2], str(folder / "missing"), paths[2]]


@pytest.fixture(scope="module", params=NAMES)
def case(request, tmp_path_factory):
    """A predictor, its scorer with all extra columns that it has, and the rows of four files."""
    predictor, payload = MODELS[request.param]()
    paths = files_for(tmp_path_factory.mktemp("files"), predictor, payload)
    masks, dense = request.param == "segmentation", predictor.task.dense
    extras = (
        ["masks", "masks-png"] * masks + ["logits"] * (not dense) + ["probabilities"] * predictor.task.has_probabilities
    )
    scorer = Scorer(predictor, 2, check_extras(predictor, extras), threads=2)
    ((block, rows),) = scorer.score([(7, paths)])
    assert block == 7 and [row["file"] for row in rows] == paths
    assert all(list(row) == list(scorer.columns) for row in rows)
    return predictor, scorer, rows


def test_rows_hold_what_the_predictor_answers(case):
    predictor, _, rows = case
    answers = list(predictor.predict_each([Path(row["file"]) for row in rows], 2, [row["file"] for row in rows]))
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, Failure):
            filled = {key for key, value in row.items() if value is not None}
            assert row["error"] == answer.error and filled == {"file", "error"}
            continue
        assert row["error"] is None
        expected = answer.to_json()
        if "shares" in expected:
            expected["shares"] = [{"class": name, "share": share} for name, share in expected["shares"].items()]
        if "objects" in expected:
            sides = ("x0", "y0", "x1", "y1")
            row = {**row, "objects": [
                {"label": one["label"], "score": round(one["score"], 6), "box": [round(one[side], 2) for side in sides]}
                for one in row["objects"]
            ]}  # fmt: skip
        assert {name: row[name] for name in expected} == expected
    assert [isinstance(answer, Failure) for answer in answers] == [False, False, True, False]


def test_logits_and_probabilities_are_those_of_all_classes(case):
    predictor, scorer, rows = case
    images = [predictor.decode(Path(row["file"]), row["file"]) for row in rows if row["error"] is None]
    for name in {"logits", "probabilities"} & set(scorer.extras):
        found = torch.tensor([row[name] for row in rows if row["error"] is None], dtype=torch.float64)
        logits = predictor.logits(torch.stack(images), predictor.tta)
        expected = logits.double() if name == "logits" else predictor.task.decode(logits)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("suffix", FORMS)
def test_rows_are_read_back_from_every_form(case, suffix, tmp_path):
    _, scorer, rows = case
    form, whole = FORMS[suffix](scorer.columns, {"classes": "[]"}), tmp_path / "whole"
    parts = [tmp_path / "part0", tmp_path / "part1"]
    for part, some in zip(parts, (rows[:1], rows[1:]), strict=True):
        with part.open("wb") as file:
            form.write_part(file, some)
    with whole.open("wb") as file:
        form.join(file, parts)
    for found, row in zip(READERS[suffix](whole, scorer.columns), rows, strict=True):
        assert equal(found, row if suffix == ".parquet" else as_text(row))


def from_parquet(path, columns):
    table = parquet.read_table(path)
    assert table.schema.names == list(columns) and table.schema.metadata[b"neocog.classes"] == b"[]"
    return table.to_pylist()


def from_lines(path, columns):
    return [dict.fromkeys(columns) | json.loads(line) for line in path.read_text().splitlines()]


def from_csv(path, columns):
    """The cells as the types of their columns tell."""

    def value(text, kind):
        return None if text == "" else text if kind in ("string", "binary") else json.loads(text)

    rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    assert list(rows[0]) == list(columns)
    return [{name: value(row[name], kind) for name, kind in columns.items()} for row in rows]


READERS = {".parquet": from_parquet, ".csv": from_csv, ".jsonl": from_lines}


def as_text(value):
    if isinstance(value, dict):
        return {name: as_text(inner) for name, inner in value.items()}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def equal(found, row):
    """Equal but for values that a column holds in single precision."""
    if isinstance(row, dict):
        return found.keys() == row.keys() and all(equal(found[key], row[key]) for key in row)
    if isinstance(row, list):
        return len(found) == len(row) and all(map(equal, found, row))
    return found == row or found == float(np.float32(row))


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    predictor, payload = MODELS["segmentation"]()
    path = str(files_for(tmp_path_factory.mktemp("files"), predictor, payload)[0])
    ((_, (row,)),) = Scorer(predictor, 2, ("masks", "masks-png"), threads=1).score([(0, [path])])
    (answer,) = predictor.predict([Path(path)])
    return row, answer


def test_masks_are_read_back_from_run_lengths_and_png(masks):
    row, answer = masks
    pixels = Image.open(io.BytesIO(row["mask_png"]))
    assert pixels.mode == "P" and (np.asarray(pixels) == answer.mask).all() and answer.mask.any()
    assert [one["class"] for one in row["masks"]] == ["ground", "spot"]
    for k, one in enumerate(row["masks"]):
        runs = unpack_runs(one["counts"])
        inside = np.repeat(np.arange(len(runs)) % 2, runs).reshape(answer.mask.shape, order="F")
        assert (inside == (answer.mask == k)).all()


def test_run_lengths_are_packed_as_pycocotools_packs_them():
    coco = pytest.importorskip("pycocotools.mask")
    draw = np.random.default_rng(1)
    for size in ((1, 1), (40, 30), (200, 300)):
        for share in (0.0, 0.02, 0.5, 1.0):
            mask = draw.random(size) < share
            assert pack_runs(run_lengths(mask)) == coco.encode(np.asfortranarray(mask, np.uint8))["counts"].decode()


def test_masks_of_overlapping_classes_have_a_png_each(tmp_path):
    predictor = untrained("unet_lite0", Scenes("multi-label segmentation"), size=(64, 64))
    path = tmp_path / "a.png"
    Image.fromarray(Scenes("multi-label segmentation").images[0]).save(path)
    ((_, (row,)),) = Scorer(predictor, 2, ("masks-png", "masks"), threads=1).score([(0, [str(path)])])
    (answer,) = predictor.predict([path])
    shown = {one["class"]: np.asarray(Image.open(io.BytesIO(one["png"]))) > 0 for one in row["masks_png"]}
    there = {name: mask for name, mask in zip(answer.classes, answer.masks, strict=True) if mask.any()}
    assert shown.keys() == there.keys() == {one["class"] for one in row["masks"]}
    assert all((shown[name] == there[name]).all() for name in there)


def test_extra_that_a_network_lacks_is_an_error():
    predictor, _ = MODELS["detection"]()
    with pytest.raises(
        ConfigError, match=r"A network for detection has no logits to write. Received: logits. Leave it out."
    ):
        check_extras(predictor, ["logits"])
    with pytest.raises(
        ConfigError, match=r"probabilities, logits, masks, masks-png. Received: 'mask'. Did you mean 'masks'"
    ):
        check_extras(predictor, ["mask"])
    words, _ = MODELS["characters"]()
    with pytest.raises(ConfigError, match=r"has no masks as PNG to write. .* It has probabilities and logits."):
        check_extras(words, ["masks-png"])


def test_output_that_is_called_as_a_column_of_every_file_is_an_error():
    predictor, _ = MODELS["image regression"]()
    predictor.task = Regression(("file", "depth"))
    with pytest.raises(ConfigError, match="may not be called as a column that every file has. Received: file. Rename"):
        columns_of(predictor, 1)


def test_task_from_outside_answers_as_json(tmp_path):
    predictor, payload = MODELS["image classification"]()
    path = files_for(tmp_path, predictor, payload)[0]

    class Other(type(predictor.task)):
        name = "other"

    predictor.task.__class__ = Other
    ((_, (row,)),) = Scorer(predictor, 1, (), threads=1).score([(0, [path])])
    (answer,) = predictor.predict([Path(path)], top=1)
    assert json.loads(row["prediction"]) == answer.to_json()


def test_other_kinds_of_files_and_missing_pyarrow_are_errors(monkeypatch):
    with pytest.raises(
        ConfigError, match=r"The output is a .parquet, .csv or .jsonl file. Received: out.xlsx. Name it"
    ):
        form_of(Path("out.xlsx"))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(
        ConfigError, match=r"written by pyarrow. .*pip install 'neocog\[scale\]'. Or choose --out predictions.csv"
    ):
        FORMS[".parquet"]({}, {})


def test_names_that_are_not_utf8_are_written(tmp_path):
    row = {"file": "\udce9.png", "error": None}
    for suffix, form in FORMS.items():
        with (tmp_path / "part").open("wb") as file:
            form({"file": "string", "error": "string"}, {}).write_part(file, [row])
        content = (tmp_path / "part").read_bytes()
        if suffix == ".jsonl":
            assert json.loads(content) == {"file": "\udce9.png"}
        else:
            assert b"\\udce9.png" in (
                content if suffix == ".csv" else parquet.read_table(tmp_path / "part")["file"][0].as_py().encode()
            )
