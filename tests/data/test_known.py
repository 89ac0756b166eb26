import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from neocog.data import find_data, open_source
from neocog.data.known import KNOWN, Known, download_set
from neocog.errors import DataError


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No data set is on this machine."""
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("neocog.data.known.data_folders", lambda: [tmp_path / "data"])
    return tmp_path / "data"


def test_a_name_is_looked_up_in_order(tmp_path, monkeypatch):
    assert find_data("mnist").name == "mnist"
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path))
    assert find_data("mnist") == tmp_path / "mnist"


def test_the_mnist_in_the_repository_is_complete():
    assert sorted(p.name for p in find_data("mnist").glob("*.gz")) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    contents = {
        p.name: hashlib.sha256(gzip.decompress(p.read_bytes())).hexdigest() for p in find_data("mnist").glob("*.gz")
    }
    # The SHA-256 of the published files, unpacked.
    assert contents["train-images-idx3-ubyte.gz"] == "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    assert contents["t10k-labels-idx1-ubyte.gz"] == "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"


def test_offline_the_error_says_where_a_file_may_be_put(nowhere):
    with pytest.raises(DataError, match="nothing is fetched unless asked") as error:
        open_source("cifar10")
    assert f"put them into {nowhere / 'cifar10'}" in str(error.value)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in str(error.value)
    assert "--download" in str(error.value)


def test_unknown_names_and_paths(nowhere):
    with pytest.raises(DataError, match=r"No data set 'cifar11'.*Did you mean 'cifar10'\?"):
        find_data("cifar11")
    with pytest.raises(DataError, match="There is no 'no/such/path'"):
        find_data("no/such/path")
    with pytest.raises(DataError, match=r"There is no 'a\.npz'"):
        find_data("a.npz")
    with pytest.raises(DataError, match="There is no 'empty path'"):
        find_data("")


def test_every_known_set_has_https_or_a_hash_for_each_file():
    assert set(KNOWN) == {"mnist", "fashion_mnist", "cifar10", "cifar100"}
    assert all(len(remote.sha256) == 64 for known in KNOWN.values() for remote in known.files)


def test_download_brings_unpacks_and_appears_whole(nowhere, server, monkeypatch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("cifar-10-batches-bin/readme.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    remote = server.serve("/c.tar.gz", buffer.getvalue())
    monkeypatch.setitem(KNOWN, "cifar10", Known(files=(remote,)))
    folder = find_data("cifar10", download=True)
    assert folder == nowhere / "cifar10"
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == [
        "cifar-10-batches-bin/readme.txt"
    ]
    assert [p.name for p in nowhere.iterdir()] == ["cifar10"]
    find_data("cifar10", download=True)
    assert len(server.requests) == 1


def test_an_archive_that_would_leave_its_folder_is_refused(tmp_path, server):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("../../evil.txt")
        tar.addfile(info, io.BytesIO(b""))
    remote = server.serve("/c.tar.gz", buffer.getvalue())
    with pytest.raises(DataError, match=r"leaves its folder: '\.\./\.\./evil\.txt'"):
        download_set((remote,), tmp_path / "deep" / "set")
    assert not list(Path(tmp_path).rglob("evil.txt"))
    assert not (tmp_path / "deep" / "set").exists()
