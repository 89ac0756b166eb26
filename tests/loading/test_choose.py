import types

import numpy as np
import pytest
import torch

from neocog.data import ArraySource, ImageFolder, ImagePreprocess
from neocog.errors import DataError
from neocog.loading import InMemoryDataset, StreamingDataset, choose_loading, open_dataset
from neocog.loading.choose import memory_budget
from neocog.loading.payload_cache import keep_payloads, size_of

SPEC = ImagePreprocess(size=(100, 100), channels=3)


@pytest.fixture
def little_memory(monkeypatch):
    memory = types.SimpleNamespace(available=10**6)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)


def test_choose_loading_takes_memory_if_the_data_fit(pictures):
    assert choose_loading(ImageFolder(pictures), 36, SPEC, "auto") == (
        "memory",
        "36 inputs of 3x100x100 take 1.0 MiB, which fits in memory",
    )
    assert choose_loading(ImageFolder(pictures), 36, SPEC, "stream")[0] == "stream"


@pytest.mark.usefixtures("little_memory")
def test_choose_loading_streams_data_that_do_not_fit(pictures):
    kind, reason = choose_loading(ImageFolder(pictures), 36, SPEC, "auto")
    assert kind == "stream"
    assert reason == "36 inputs of 3x100x100 take 1.0 MiB, more than half of the 976.6 KiB that are free"
    with pytest.raises(
        DataError, match=r"pictures: received 36 inputs .* are free\. Choose a smaller size, or --data\.loading stream"
    ):
        choose_loading(ImageFolder(pictures), 36, SPEC, "memory")


def test_disk_cache_decodes_once_and_is_mapped_afterwards(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    source = ImageFolder(pictures)
    open_one = lambda: open_dataset(source, np.arange(5, 30), SPEC, "x", loading="memory", cache=True)  # noqa: E731
    first = open_one()
    monkeypatch.setattr(ImageFolder, "read", lambda *_: pytest.fail("decoded again"))
    second = open_one()
    assert isinstance(second, InMemoryDataset)
    assert torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.labels, second.labels)
    assert (first.ids == second.ids).all()
    (folder,) = (path for path in (tmp_path / "cache/decoded").iterdir() if path.is_dir())
    before = (folder / "inputs.npy").read_bytes()
    second.inputs.zero_()  # a private copy of the touched pages
    assert (folder / "inputs.npy").read_bytes() == before
    other = open_dataset(ImageFolder(pictures), np.arange(5, 30), SPEC, "x", loading="stream")
    assert isinstance(other, StreamingDataset)
    other.close()


def test_cache_name_differs_by_samples_and_preprocessing(pictures, tmp_path, monkeypatch):
    from neocog.loading.disk_cache import cache_name

    source = ImageFolder(pictures)
    names = {
        cache_name(source, np.arange(5), SPEC),
        cache_name(source, np.arange(6), SPEC),
        cache_name(source, np.arange(5), ImagePreprocess(size=(90, 100), channels=3)),
    }
    (pictures / "red" / "00.png").unlink()
    names.add(cache_name(ImageFolder(pictures), np.arange(5), SPEC))
    assert len(names) == 4


def test_disk_cache_without_a_folder_is_a_storage_error(pictures, tmp_path, monkeypatch):
    from neocog.errors import StorageError

    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageError):
        open_dataset(ImageFolder(pictures), np.arange(5), SPEC, "x", loading="memory", cache=True)


def test_cached_source_reads_each_file_once(pictures, monkeypatch):
    source = keep_payloads(ImageFolder(pictures), 10**6)
    first = [source.read(index) for index in range(36)]
    monkeypatch.setattr(ImageFolder, "read", lambda *_: pytest.fail("read again"))
    assert [source.read(index).payload for index in range(36)] == [record.payload for record in first]
    assert source.num_bytes == sum(size_of(record) for record in first)
    assert (source.key(3), source.groups, len(source)) == (source.source.key(3), None, 36)


def test_cached_source_keeps_no_more_than_its_budget(pictures):
    folder = ImageFolder(pictures)
    sizes = [size_of(folder.read(index)) for index in range(36)]
    source = keep_payloads(folder, sum(sizes[:10]))
    for index in range(36):
        source.read(index)
    assert sum(sizes[:9]) < source.num_bytes <= source.budget
    source.forget([0, 0, 35])
    assert 0 not in source.kept
    source.shrink(sum(sizes[1:4]))
    assert source.num_bytes <= sum(sizes[1:4]) and 1 in source.kept
    assert source.read(30).payload == folder.read(30).payload


@pytest.mark.usefixtures("little_memory")
def test_memory_budget_counts_payloads_as_free(pictures):
    source = keep_payloads(ImageFolder(pictures), 10**6)
    assert memory_budget(source) == 500_000
    source.read(0)
    assert memory_budget(source) == (10**6 + source.num_bytes) // 2 > 500_000


def test_keep_payloads_leaves_arrays_alone():
    arrays = ArraySource("a", {"all": (np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2)})
    assert keep_payloads(arrays, 10**6) is arrays
