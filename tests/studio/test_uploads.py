"""Inputs that are sent: limited, read by the readers of data alone, and never run or served."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neocog.studio.guard import BODY
from tests.support.studio_networks import asker, file_of


class Evil:
    """Touches a file if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def bomb():
    """A PNG header that announces 60,000 x 60,000 pixels, without any."""
    import struct
    import zlib

    chunk = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + b"IHDR" + chunk + struct.pack(">I", zlib.crc32(b"IHDR" + chunk))
    return b"\x89PNG\r\n\x1a\n" + header


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../escaped", "x")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["lenet", "signal", "sound", "go"])
def test_files_of_another_kind_are_refused_and_never_run(kind, tmp_path):
    mark = tmp_path / "run"
    evil = pickle.dumps(Evil(mark))
    sent = {
        "a.pkl": evil, "a.pt": evil, "a.png": evil, "a.npy": saved(np.array([Evil(mark)], object)),
        "a.html": b"<html><script>alert(1)</script></html>", "a.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "a.zip": zipped(), "../../a.png": b"GIF89a", "bomb.png": bomb(), "empty.png": b"", "a.bin": bytes(range(256)),
    }  # fmt: skip
    asker().opened(kind)
    for name, content in sent.items():
        found = asker().client.post("/api/image/input", params={"name": name, "network": kind}, content=content)
        assert found.status_code == 400, (kind, name)
        facts = found.json()
        assert facts["rule"] and facts["kind"] != "failure", (kind, name)
        assert found.headers["content-type"] == "application/json"
        assert found.headers["x-content-type-options"] == "nosniff"
    assert not mark.exists()
    assert list(tmp_path.iterdir()) == []


def test_good_input_is_taken_after_bad_ones():
    asker().opened("lenet")
    asker().post("/api/image/input", 400, body=b"<html>", name="a.html", network="lenet")
    name, content = file_of("lenet")
    assert asker().post("/api/image/input", body=content, name=name, network="lenet")["input"]


def test_input_that_is_too_large_is_refused():
    found = asker().client.post("/api/image/input", params={"network": "lenet"}, content=b"x" * (BODY + 1))
    assert found.status_code == 413
    assert found.json()["error"] == "At most 64 MB may be sent at once."
