import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import pytest

from neocog.data import find_data, open_source
from neocog.data.download import Remote, download_set, fetch
from neocog.data.known import KNOWN, Known
from neocog.errors import DataError


class Files(http.server.BaseHTTPRequestHandler):
    """Serves `content` by path, with ranges; `cut` ends the first answer for a path after so many bytes."""

    content: dict[str, bytes]
    cut: dict[str, int]
    requests: list[tuple[str, str | None]]

    def do_GET(self):
        self.requests.append((self.path, self.headers.get("Range")))
        if self.path not in self.content:
            self.send_error(404, "Not Found")
            return
        body = self.content[self.path]
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
        if start >= len(body):
            self.send_error(416, "Range Not Satisfiable")
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.cut.pop(self.path, None)])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Files,), {"content": {}, "cut": {}, "requests": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    handler.url = f"http://127.0.0.1:{httpd.server_port}"
    yield handler
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def serve(server, path: str, body: bytes) -> Remote:
    server.content[path] = body
    return Remote(server.url + path, hashlib.sha256(body).hexdigest())


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
    remote = serve(server, "/c.tar.gz", buffer.getvalue())
    monkeypatch.setitem(KNOWN, "cifar10", Known(files=(remote,)))
    folder = find_data("cifar10", download=True)
    assert folder == nowhere / "cifar10"
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == [
        "cifar-10-batches-bin/readme.txt"
    ]
    assert [p.name for p in nowhere.iterdir()] == ["cifar10"]
    find_data("cifar10", download=True)
    assert len(server.requests) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path, server):
    remote = serve(server, "/big", bytes(range(256)) * 2000)
    server.cut["/big"] = 300_000
    path = tmp_path / "big"
    with pytest.raises(DataError, match="can't be reached.*ended after.*kept and gone on with"):
        fetch(remote, path)
    have = (tmp_path / "big.part").stat().st_size
    assert have == 300_000
    assert not path.exists()
    assert fetch(remote, path).read_bytes() == server.content["/big"]
    assert server.requests[-1] == ("/big", f"bytes={have}-")


def test_a_complete_part_is_only_checked(tmp_path, server):
    remote = serve(server, "/a", b"content")
    (tmp_path / "a.part").write_bytes(b"content")
    assert fetch(remote, tmp_path / "a").read_bytes() == b"content"


def test_another_content_is_refused_and_removed(tmp_path, server):
    serve(server, "/a", b"content")
    with pytest.raises(DataError, match="is not the published file. SHA-256 expected 0000"):
        fetch(Remote(server.url + "/a", "0" * 64), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_refuses_or_is_not_there(tmp_path, server):
    with pytest.raises(DataError, match="answered 404"):
        fetch(Remote(server.url + "/absent", "0" * 64), tmp_path / "a")
    with pytest.raises(DataError, match="can't be reached"):
        fetch(Remote("http://127.0.0.1:1/x", "0" * 64), tmp_path / "a")


def test_an_archive_that_would_leave_its_folder_is_refused(tmp_path, server):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("../../evil.txt")
        tar.addfile(info, io.BytesIO(b""))
    remote = serve(server, "/c.tar.gz", buffer.getvalue())
    with pytest.raises(DataError, match=r"leaves its folder: '\.\./\.\./evil\.txt'"):
        download_set((remote,), tmp_path / "deep" / "set")
    assert not list(Path(tmp_path).rglob("evil.txt"))
    assert not (tmp_path / "deep" / "set").exists()
