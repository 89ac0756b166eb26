import pytest

from neocog.errors import StorageError
from neocog.files import cache_dir, cached_path, whole_folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("NEOCOG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_cache_dir_honours_our_variable_then_the_systems(home, tmp_path, monkeypatch):
    assert cache_dir("decoded") == home / ".cache/neocog/decoded"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir("weights", "timm") == tmp_path / "xdg/neocog/weights/timm"
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "own"))
    assert cache_dir("speed") == tmp_path / "own/speed" and cache_dir() == tmp_path / "own"


def test_cached_path_finds_downloads_of_earlier_releases(home, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "own"))
    assert cached_path("weights", "a.pth") == tmp_path / "own/weights/a.pth"
    old = home / ".cache/neocog/weights/a.pth"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"x")
    assert cached_path("weights", "a.pth") == old
    (tmp_path / "own/weights").mkdir(parents=True)
    (tmp_path / "own/weights/a.pth").write_bytes(b"y")
    assert cached_path("weights", "a.pth") == tmp_path / "own/weights/a.pth"


def test_whole_folder_appears_when_it_is_complete(tmp_path):
    folder = tmp_path / "deep/set"
    with whole_folder(folder) as new:
        (new / "a.txt").write_text("a")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_whole_folder_leaves_nothing_after_a_failure(tmp_path):
    with pytest.raises(KeyError), whole_folder(tmp_path / "set") as new:
        (new / "a.txt").write_text("a")
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_whole_folder_keeps_the_first_of_two(tmp_path):
    with whole_folder(tmp_path / "set") as slow:
        (slow / "a.txt").write_text("slow")
        with whole_folder(tmp_path / "set") as fast:
            (fast / "a.txt").write_text("fast")
    assert (tmp_path / "set/a.txt").read_text() == "fast"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_whole_folder_says_why_it_could_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"), whole_folder(tmp_path / "file/set"):
        pass
