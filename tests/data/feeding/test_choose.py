import types

import numpy as np
import pytest
import torch

from neocog.data import ImageFolder, ImagePreprocess
from neocog.errors import DataError
from neocog.loading import InMemoryDataset, StreamingDataset, choose_loading, open_dataset

SPEC = ImagePreprocess(size=(100, 100), channels=3)


@pytest.fixture
def little_memory(monkeypatch):
    memory = types.SimpleNamespace(available=10**6)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)


def test_what_fits_is_resident(pictures):
    assert choose_loading(ImageFolder(pictures), 36, SPEC, "auto") == (
        "resident",
        "36 inputs of 3x100x100 take 0.00 GB, which fits in memory",
    )
    assert choose_loading(ImageFolder(pictures), 36, SPEC, "streaming")[0] == "streaming"


@pytest.mark.usefixtures("little_memory")
def test_what_does_not_fit_is_streamed_and_said(pictures):
    kind, reason = choose_loading(ImageFolder(pictures), 36, SPEC, "auto")
    assert kind == "streaming"
    assert reason == "36 inputs of 3x100x100 take 0.00 GB, more than half of the 0.0 GB that are free"
    with pytest.raises(DataError, match="pictures: 36 inputs .* are free. Choose a smaller size, or --data.feeding s"):
        choose_loading(ImageFolder(pictures), 36, SPEC, "resident")


def test_decoded_once_and_mapped_from_the_cache(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    source = ImageFolder(pictures)
    open_one = lambda: open_dataset(source, np.arange(5, 30), SPEC, "x", feeding="resident", cache=True)  # noqa: E731
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
    other = open_dataset(ImageFolder(pictures), np.arange(5, 30), SPEC, "x", feeding="streaming")
    assert isinstance(other, StreamingDataset)
    other.close()


def test_other_records_or_settings_are_another_file(pictures, tmp_path, monkeypatch):
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


def test_a_cache_without_room_is_a_storage_error(pictures, tmp_path, monkeypatch):
    from neocog.errors import StorageError

    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StorageError):
        open_dataset(ImageFolder(pictures), np.arange(5), SPEC, "x", feeding="resident", cache=True)
