"""Records that are read as arrays are those that are read one by one, and so are the errors."""

import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.dataset.record import Objects, Record
from neocog.errors import DataError
from neocog.shards import open_shards
from neocog.shards.contents import encode_array, encode_target
from neocog.shards.index import Header, IndexWriter, Shard
from neocog.shards.plain import are_plain
from neocog.shards.tar import read_plain_header
from neocog.shards.write import TarWriter

PARTS = [
    lambda k: {f"{k:03}.txt": f"text {'ä' * k}".encode(), f"{k:03}.cls": b"1"},
    lambda k: {f"{k:03}.cls": b"0", f"{k:03}.txt": bytes(600)},
    lambda k: {f"a/{k:03}.txt": b"", f"a/{k:03}.cls": b"1", f"a/{k:03}.json": b"{}"},
    lambda k: {f"{k:03}.TXT": b"large", f"{k:03}.cls": b"1"},
    lambda k: {f"{'n' * 110}{k:03}.txt": b"a long name", f"{'n' * 110}{k:03}.cls": b"1"},
    lambda k: {f"d.d/{k:03}.txt": b"a folder with a dot", f"d.d/{k:03}.cls": b"1"},
    lambda k: {f"{k:03}.a.txt": b"dots", f"{k:03}.a.cls": b"1"},
    lambda k: {f"./{k:03}.txt": b"a folder of the present", f"./{k:03}.cls": b"0"},
]


def one_by_one(source, indices):
    return [source.read(int(index)) for index in indices]


def alike(first, second):
    if isinstance(first, Objects):
        return alike((first.boxes, first.labels, first.masks, first.ignored),
                     (second.boxes, second.labels, second.masks, second.ignored))  # fmt: skip
    if isinstance(first, Record):
        return alike((first.key, first.payload, first.target), (second.key, second.payload, second.target))
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(alike, first, second))
    if isinstance(first, np.ndarray):
        return (first.dtype, first.shape) == (second.dtype, second.shape) and first.tobytes() == second.tobytes()
    return type(first) is type(second) and first == second


def outcome(read, *arguments):
    try:
        return read(*arguments)
    except DataError as error:
        return str(error)


@pytest.fixture
def mixed(tmp_path, tar):
    """Two shards of texts: one of records that are alike but for a few, and one of every kind of record."""
    generator = np.random.default_rng(0)
    for name, chosen in (
        ("train-0", [0] * 9 + [4, 1, 7] + [0] * 9),
        ("train-1", generator.integers(len(PARTS), size=40)),
    ):
        members = {}
        for k, part in enumerate(chosen):
            members |= PARTS[part](k)
        (tmp_path / f"{name}.tar").write_bytes(tar(members))
    return tmp_path


def compare(source):
    generator = np.random.default_rng(1)
    choices = [[], [3], range(len(source)), range(len(source))[::-1], [5] * 9, generator.integers(len(source), size=90)]
    for chosen in choices:
        indices = np.array(chosen, np.int64)
        assert alike(source.read_many(indices), one_by_one(source, indices))


def test_texts_of_every_kind_are_read_alike(mixed):
    compare(open_shards(mixed))


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(6, dtype=np.float32).reshape(2, 3) + 1,
    np.arange(6, dtype=">f4").reshape(2, 3), np.asfortranarray(np.ones((2, 3), np.float32)),
    np.zeros((2, 0), np.float32), np.arange(6, dtype=np.float32), np.arange(6, dtype=np.int16).reshape(2, 3),
]  # fmt: skip
TARGETS = {
    "classification": [1, 0],
    "multi-label": [np.array([True, False]), np.array([1, np.nan])],
    "regression": [np.array([1.5, np.nan]), np.array([2.5, -1e30])],
    "signal segmentation": [np.array([0, 1, 1], np.uint8), np.array([1, 1, 0], np.uint8)],
    "detection": [
        Objects(np.ones((1, 4), np.float32), np.array([1]), np.ones((1, 2, 3), bool)),
        Objects(np.zeros((0, 4), np.float32), np.array([], np.int64), np.zeros((0, 2, 3), bool)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("first", range(len(ARRAYS)))
def test_arrays_and_targets_of_packed_sets_are_read_alike(tmp_path, task, first):
    arrays = [ARRAYS[(first + k // 7) % len(ARRAYS)] for k in range(50)]
    with (tmp_path / "a.tar").open("wb") as file, IndexWriter(tmp_path) as index:
        writer = TarWriter(file)
        for k, array in enumerate(arrays):
            target, start, key = TARGETS[task][k % 2], writer.size, f"a b/{k}{'.ä%&'[k // 40 :][:2]}.npy"
            writer.add(key, {"npy": encode_array(array), **encode_target(target, task)})
            row = target if task in ("multi-label", "regression") else None
            label = target if task == "classification" else -1
            index.add(key, 0, start, writer.size - start, label, row)
        writer.finish()
        shards = (Shard(name="a.tar", split="all", size=writer.size, records=len(arrays)),)
        header = {"name": "a", "container": "tar", "modality": "signal", "task": task, "classes": ("x", "y")}
        index.finish(Header(**header, shards=shards, arrays={}, packed=True))
    source = open_shards(tmp_path)
    compare(source)
    expected = [array.astype(array.dtype.newbyteorder("=")) for array in arrays]
    payloads = [record.payload for record in source.read_many(np.arange(len(arrays)))]
    assert alike(payloads, [array if array.ndim == 2 else array[None] for array in expected])


@given(st.lists(st.integers(0, len(PARTS) - 1), min_size=4, max_size=12), st.data())
@settings(max_examples=40)
def test_damaged_records_give_the_same_errors(tmp_path_factory, tar, chosen, data):
    folder = tmp_path_factory.mktemp("damaged")
    members = {}
    for k, part in enumerate(chosen):
        members |= PARTS[part](k)
    path = folder / "a.tar"
    content = bytearray(tar(members))
    path.write_bytes(content)
    source = open_shards(folder)
    for _ in range(3):
        changed = bytearray(content)
        changed[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(changed)
        many = outcome(source.read_many, np.arange(len(source)))
        assert alike(many, outcome(one_by_one, source, np.arange(len(source))))
    for length in (0, 1, 511, 512, data.draw(st.integers(0, len(content)))):
        path.write_bytes(content[:length])
        many = outcome(source.read_many, np.arange(len(source)))
        assert alike(many, outcome(one_by_one, source, np.arange(len(source))))


@given(
    st.binary(min_size=512, max_size=512), st.lists(st.tuples(st.integers(100, 511), st.integers(0, 255)), max_size=3)
)
def test_headers_are_plain_for_both_readers(noise, changes):
    header = bytearray(tarfile.TarInfo("a/1.txt").tobuf(tarfile.GNU_FORMAT))
    for place, value in changes:
        header[place] = value
    total = sum(header) - sum(header[148:156]) + 256
    summed = bytes(header[:148]) + b"%06o\0 " % total + bytes(header[156:])
    for block in (noise, bytes(header), summed):
        assert are_plain(np.frombuffer(block, np.uint8)[None]).item() == (read_plain_header(block) is not None)


def test_most_records_are_read_as_arrays(mixed, monkeypatch):
    """What this file compares would be equal, too, if everything were read one by one."""
    source, read = open_shards(mixed), []
    plain = source.read_tar_record
    monkeypatch.setattr(source, "read_tar_record", lambda *given: read.append(given[2]) or plain(*given))
    records = source.read_many(np.arange(21))
    assert len(records) == 21
    assert len(read) == 4  # the first, whose members are those to look for, and the three that differ
