import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neocog.errors import RunError, StorageError
from neocog.files import append_line, folder_lock, whole_file, write_whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with whole_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_failed_write_keeps_the_old_file_and_leaves_nothing_over(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    with pytest.raises(KeyError), whole_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_whole(path, "old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.txt could not be written: No space left on device.*Free some space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "kept").mkdir()
    target, link = tmp_path / "kept" / "file", tmp_path / "link"
    target.write_text("before")
    link.symlink_to(target)
    write_whole(link, "after")
    assert link.is_symlink() and target.read_text() == "after"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept", "link"]


@pytest.mark.skipif(os.name != "posix", reason="pipes with names are POSIX")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen([sys.executable, "-c", f"print(open({str(pipe)!r}).read())"], stdout=subprocess.PIPE)
    write_whole(pipe, "through")
    assert reader.communicate(timeout=60)[0].strip() == b"through"
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_device_is_one_sentence_and_stays_a_device():
    with pytest.raises(StorageError, match=r"/dev/full could not be written: No space left on device\."):
        write_whole(Path("/dev/full"), "x" * 10)
    assert Path("/dev/full").is_char_device()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageError, match="No such file or directory"):
        write_whole(tmp_path / "absent" / "a.txt", "x")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "Permission denied.*Choose a folder that you may write to"),
        (errno.EROFS, "Read-only file system.*The file system is read-only"),
        (errno.EDQUOT, "Disk quota exceeded.*Free some space"),
        (errno.EIO, "Input/output error.*Check the folder"),
    ],
)
def test_each_refusal_of_the_system_has_its_advice(tmp_path, monkeypatch, number, advice):
    def refuse(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=f"could not be written: {advice}"):
        write_whole(tmp_path / "a.txt", "x")


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(StorageError, match=r"\.lock could not be written: Is a directory"), folder_lock(tmp_path):
        pass


def test_a_half_written_line_is_cut_off(tmp_path):
    path = tmp_path / "log.jsonl"
    append_line(path, "one")
    path.write_bytes(path.read_bytes() + b'{"tw')
    append_line(path, "three")
    assert path.read_text() == "one\nthree\n"


def test_a_second_process_is_refused(tmp_path):
    code = (
        "import sys; from pathlib import Path; from neocog.files import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])): pass"
    )
    with folder_lock(tmp_path):
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "RunError" in other.stderr
    assert "Only one process at a time" in other.stderr
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_the_lock_is_refused_within_one_process_too(tmp_path):
    with folder_lock(tmp_path), pytest.raises(RunError, match="being written by another"), folder_lock(Path(tmp_path)):
        pass
