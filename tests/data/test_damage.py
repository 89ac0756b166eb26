"""Damaged files of every layout: each is read, or refused by a named error, and nothing is written or kept for long.

Each case damages one file of a small whole set, or exchanges two, and then does all that training does with a set.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neocog.data import (
    AudioConfig,
    AudioPreprocess,
    BoardPreprocess,
    ImageConfig,
    ImagePreprocess,
    Preprocess,
    Record,
    SignalConfig,
    SignalPreprocess,
    Source,
    TextConfig,
    TextPreprocess,
    check_trainable,
    choose_audio,
    choose_board,
    choose_image,
    choose_signal,
    choose_text,
    describe,
    divide,
    fingerprint,
)
from neocog.data.formats import FORMATS, recognise
from neocog.dataset.record import UNLABELLED, Objects
from neocog.errors import ConfigError, DataError
from tests.support.damage import EndlessError, Random, damaged, ending, peak, sealed
from tests.support.small_sets import SETS, Files, files_of, write_set

pytest.importorskip("resource", reason="memory and time are measured as POSIX systems do")

CASES = 100
"""Of each set."""
MEMORY = 2**29
"""Bytes by which the cases of a set may raise the peak of memory."""
LOOKED_AT = 16
"""Records of a set that are read."""
Indices = np.ndarray[Any, np.dtype[np.int64]]

FIXED: dict[str, list[Preprocess]] = {
    "image": [ImagePreprocess(size=(8, 8), channels=3), ImagePreprocess(size=(8, 8), channels=1, convert=True)],
    "signal": [SignalPreprocess(channels=2, length=4), SignalPreprocess(channels=1, length=9, fit="resample")],
    "audio": [AudioPreprocess(sample_rate=4000, seconds=0.05, features="mel", num_mels=4, max_seconds=60)],
    "text": [TextPreprocess(level="word", length=4, vocabulary=("a", "film"))],
    "board": [BoardPreprocess(features="zero17", size=9)],
}
CHOOSE: dict[str, Callable[[Source, Indices], tuple[Preprocess, dict[str, str]]]] = {
    "image": lambda source, part: choose_image(source, part, ImageConfig(), (3, 8, 8)),
    "signal": lambda source, part: choose_signal(source, part, SignalConfig(), (1, 8)),
    "audio": lambda source, part: choose_audio(source, part, AudioConfig(max_seconds=60), (1, 9, 4)),
    "text": lambda source, part: choose_text(source, part, TextConfig(min_count=1), (8,), network="text_cnn"),
    "board": lambda source, part: choose_board(source, part, None, (17, 9, 9)),
}


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that lies below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def named() -> contextlib.AbstractContextManager[None]:
    """Lets pass what users are told in one sentence."""
    return contextlib.suppress(DataError, ConfigError)


def check_source(source: Source) -> None:
    """What any source holds to."""
    describe(source)
    fingerprint(source)
    indices = np.concatenate(list(source.splits.values()))
    assert np.array_equal(np.sort(indices), np.arange(len(source)))
    # A packed index may lie about keys; that shows when its records are read.
    assert source.format == "shards" or len({source.key(i) for i in range(len(source))}) == len(source)
    assert len(source.targets) == len(source)
    assert all(isinstance(name, str) for name in source.classes) and len(set(source.classes)) == len(source.classes)


def check_record(record: Record, source: Source) -> None:
    target, num_classes = record.target, len(source.classes)
    if source.task == "regression":
        assert np.shape(target) in ((), (num_classes,)) and not np.isinf(target).any()
    elif isinstance(target, Objects):
        assert target.boxes.shape == (len(target.labels), 4) and np.isfinite(target.boxes).all()
        assert ((target.labels >= 0) & (target.labels < num_classes)).all()
        assert target.masks is None or len(target.masks) == len(target.labels)
    elif isinstance(target, np.ndarray):
        assert target.shape == (num_classes,) or source.task.endswith("segmentation")
        assert target.dtype == bool or ((target < num_classes) | (target == UNLABELLED)).all()
    else:
        assert 0 <= target < num_classes


def decode(spec: Preprocess, record: Record) -> int:
    with named():
        inputs = spec.decode(record.payload, record.key)
        assert inputs.shape == spec.shape and inputs.dtype == spec.dtype
        assert not inputs.is_floating_point() or not inputs.isinf().any()
        assert torch.isfinite(spec.normalise(inputs[None])).all()
        return 1
    return 0


def use(source: Source) -> int:
    """Do what training does; gives the number of inputs that were made."""
    check_source(source)
    records = []
    for index in range(min(LOOKED_AT, len(source))):
        with named():
            records.append(source.read(index))
            check_record(records[-1], source)
    inputs = sum(decode(spec, record) for spec in FIXED[source.modality] for record in records)
    with named():
        check_trainable(source)
        part = next(iter(source.splits.values()))[:LOOKED_AT]
        spec, _ = CHOOSE[source.modality](source, part)
        inputs += sum(decode(spec, record) for record in records)
        if source.task == "classification":
            divide(source, val_fraction=0.2, test_fraction=0.2, seed=0)
    return inputs


def spoil(name: str, files: Files, random: Random) -> tuple[Files, str]:
    """The set's files with one of them damaged, or two of them exchanged; and what was done."""
    chosen = list(files)[random.integers(len(files))]
    other = list(files)[random.integers(len(files))]
    if other != chosen and random.random() < 0.02:
        return {**files, chosen: files[other], other: files[chosen]}, f"{chosen} and {other} exchanged"
    content, note = damaged(chosen, files[chosen], random)
    spoiled = {**files, chosen: content}
    if name.startswith("packed") and random.random() < 0.7:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            spoiled = sealed(spoiled)
    return spoiled, f"{chosen}: {note}"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("name", SETS)
def test_whole_sets_are_read(name, tmp_path):
    folder = write_set(tmp_path / "set", files_of(name))
    assert SETS[name].format in [layout.name for layout in recognise(folder / SETS[name].place)]
    source = SETS[name].open(folder)
    assert use(source) >= len(source) >= 2


@pytest.mark.parametrize("name", SETS)
def test_damaged_sets_are_read_or_refused(name, tmp_path, monkeypatch):
    files, before = files_of(name), peak()
    folder = write_set(tmp_path / "around" / "set", files)
    monkeypatch.chdir(tmp_path / "around")
    for seed in range(CASES):
        spoiled, what = spoil(name, files, np.random.default_rng([seed, *name.encode()]))
        write_set(folder, {key: spoiled[key] for key in files if spoiled[key] != files[key]})
        there = tree(tmp_path)
        try:
            with ending(), named():
                recognise(folder / SETS[name].place)
                use(SETS[name].open(folder))
        except (Exception, EndlessError) as error:
            raise AssertionError(f"{name}, case {seed}, {what}: {type(error).__name__}: {error}") from error
        assert tree(tmp_path) == there, f"{name}, case {seed}, {what}: files were written"
        write_set(folder, {key: files[key] for key in files if spoiled[key] != files[key]})
    assert peak() - before < MEMORY


def test_every_layout_is_damaged_often_enough():
    assert {small.format for small in SETS.values()} == {layout.name for layout in FORMATS}
    assert len(SETS) * CASES >= 5000
