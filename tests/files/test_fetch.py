import pytest

from neocog.errors import DataError
from neocog.files import Remote, fetch


def test_interrupted_download_resumes(tmp_path, server):
    remote = server.serve("/big", bytes(range(256)) * 2000)
    server.cut["/big"] = 300_000
    path = tmp_path / "big"
    with pytest.raises(DataError, match="can't be reached.*ended after.*kept for the next attempt"):
        fetch(remote, path)
    have = (tmp_path / "big.part").stat().st_size
    assert have == 300_000
    assert not path.exists()
    assert fetch(remote, path).read_bytes() == server.content["/big"]
    assert server.requests[-1] == ("/big", f"bytes={have}-")


def test_a_complete_part_is_only_checked(tmp_path, server):
    remote = server.serve("/a", b"content")
    (tmp_path / "a.part").write_bytes(b"content")
    assert fetch(remote, tmp_path / "a").read_bytes() == b"content"


def test_another_content_is_refused_and_removed(tmp_path, server):
    server.serve("/a", b"content")
    with pytest.raises(DataError, match="must have the published SHA-256 0000"):
        fetch(Remote(server.url + "/a", "0" * 64), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_or_is_not_there(tmp_path, server):
    with pytest.raises(DataError, match="answered 404"):
        fetch(Remote(server.url + "/absent", "0" * 64), tmp_path / "a")
    with pytest.raises(DataError, match="can't be reached"):
        fetch(Remote("http://127.0.0.1:1/x", "0" * 64), tmp_path / "a")


def test_the_first_digits_of_a_hash_are_enough_where_no_more_are_published(tmp_path, server):
    whole = server.serve("/a", b"content")
    assert fetch(Remote(whole.url, whole.sha256[:8]), tmp_path / "a").read_bytes() == b"content"
    with pytest.raises(DataError, match="SHA-256 00000000. Received: "):
        fetch(Remote(whole.url, "0" * 8), tmp_path / "b")
