import io
import os
from itertools import count

import pytest
import torch

from neocog.errors import CheckpointError, StorageError
from neocog.runs import Run, checkpoints
from neocog.runs.checkpoints import find_newest_whole, list_earlier, list_newest_first, write_last
from neocog.training import Checkpoint
from neocog.training.checkpoint import read_checkpoint, stream_checkpoint


def at(step, epochs=0):
    return Checkpoint({"model/w": torch.full((50,), float(step))}, {"step": step, "history": [{}] * epochs}, {})


@pytest.fixture
def run(tmp_path):
    return Run.create(tmp_path, "r", "")


def names(run):
    return sorted(path.name for path in run.last.parent.iterdir())


def damage(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_n_checkpoints_are_kept(run, keep):
    for step in range(10, 80, 10):
        write_last(run, at(step), keep)
        steps = [read_checkpoint(path).state["step"] for path in (run.last, *list_earlier(run))]
        assert steps == list(range(step, 0, -10))[:keep]
    assert len(names(run)) == keep
    assert [path.name for path in list_earlier(run)] == [f"step-000000{step}.safetensors" for step in (60, 50, 40)][
        : keep - 1
    ]


def test_later_checkpoint_of_one_step_is_kept(run):
    for checkpoint in (at(8), at(8, epochs=1), at(12, epochs=1)):
        write_last(run, checkpoint, 2)
    assert names(run) == ["last.safetensors", "step-00000008.safetensors"]
    assert len(read_checkpoint(list_earlier(run)[0]).state["history"]) == 1


def test_without_links_the_one_before_is_renamed(run, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for step in (1, 2, 3):
        write_last(run, at(step), 2)
    assert [read_checkpoint(path).state["step"] for path in (run.last, *list_earlier(run))] == [3, 2]


class Killed(BaseException):
    pass


def kill_at(monkeypatch, moment):
    """From the system's call of this number on nothing more is done, as of a process that is no more."""
    calls = count()

    def until_then(real):
        def call(*args, **options):
            if next(calls) >= moment:
                raise Killed
            return real(*args, **options)

        return call

    for name in ("fsync", "link", "replace", "unlink"):
        monkeypatch.setattr(os, name, until_then(getattr(os, name)))


@pytest.mark.parametrize("links", [True, False])
def test_a_kill_at_any_moment_leaves_a_whole_newest(tmp_path, monkeypatch, links):
    for moment in range(30):
        run = Run.create(tmp_path, None, "r")
        with monkeypatch.context() as patch:
            if not links:
                patch.setattr(os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError))
            for step in (10, 20, 30):
                write_last(run, at(step), 2)
            kill_at(patch, moment)
            try:
                write_last(run, at(40), 2)
                killed = False
            except Killed:
                killed = True
        path, found = find_newest_whole(run)
        assert found.state["step"] in (30, 40)
        assert torch.equal(found.tensors["model/w"], at(found.state["step"]).tensors["model/w"])
        assert path == run.last or not links
        write_last(run, at(50), 2)  # and what the kill left behind is in nobody's way
        assert found.state["step"] == read_checkpoint(list_earlier(run)[0]).state["step"] or not links
        assert len(list_earlier(run)) == 1
        assert names(run) == ["last.safetensors", list_earlier(run)[0].name]
        if not killed:
            assert moment >= 5
            return
    pytest.fail("never written")


def test_a_kill_in_the_middle_of_a_file_leaves_the_one_before(run, monkeypatch):
    def half(file, checkpoint):
        content = io.BytesIO()
        stream_checkpoint(content, checkpoint)
        file.write(content.getvalue()[:-100])
        raise Killed

    write_last(run, at(10), 2)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "stream_checkpoint", half)
        kill_at(patch, 0)
        with pytest.raises(Killed):
            write_last(run, at(20), 2)
    assert names(run) == [".last.safetensors.tmp", "last.safetensors"]
    assert find_newest_whole(run)[1].state["step"] == 10
    write_last(run, at(20), 2)
    assert names(run) == ["last.safetensors", "step-00000010.safetensors"]


def test_without_any_there_is_none(run):
    assert find_newest_whole(run) is None


def test_the_newest_is_taken_by_its_step_whatever_its_name(run):
    write_last(run, at(10), 2)
    write_last(run, at(20), 2)
    run.best.write_bytes(run.last.read_bytes())
    assert [path.name for path in list_newest_first(run)] == [
        "last.safetensors",
        "best.safetensors",
        "step-00000010.safetensors",
    ]
    run.best.write_bytes(written(run, at(20, epochs=1)))
    assert find_newest_whole(run)[0] == run.best


def written(run, checkpoint):
    other = Run.create(run.path, None, "other")
    write_last(other, checkpoint, 1)
    return other.last.read_bytes()


@pytest.mark.parametrize("how", ["cut", "flip", "empty"])
def test_a_damaged_newest_falls_back_to_the_one_before(run, capsys, how):
    for step in (10, 20, 30):
        write_last(run, at(step), 3)
    if how == "flip":
        damage(run.last)
    else:
        run.last.write_bytes(run.last.read_bytes()[: 100 if how == "cut" else 0])
    bad = run.last.read_bytes()
    path, found = find_newest_whole(run)
    assert (path.name, found.state["step"]) == ("step-00000020.safetensors", 20)
    said = capsys.readouterr().err
    verdict = "damaged: its CRC-32 differs" if how == "flip" else "truncated or not a checkpoint"
    assert f"{run.last} is {verdict}" in said
    assert (
        "It is kept as last.safetensors.damaged-1. The run resumes from step-00000020.safetensors, after step 20."
        in said
    )
    assert run.last.with_name("last.safetensors.damaged-1").read_bytes() == bad
    write_last(run, at(30), 3)
    damage(run.last)
    damage(list_earlier(run)[0])
    assert find_newest_whole(run)[1].state["step"] == 10
    assert [name for name in names(run) if "damaged" in name] == [
        "last.safetensors.damaged-1", "last.safetensors.damaged-2", "step-00000020.safetensors.damaged-1",
    ]  # fmt: skip


def test_other_process_only_reads(run, capsys):
    write_last(run, at(10), 2)
    write_last(run, at(20), 2)
    damage(run.last)
    assert find_newest_whole(run, put_away=False)[1].state["step"] == 10
    assert names(run) == ["last.safetensors", "step-00000010.safetensors"]
    assert capsys.readouterr().err == ""


def test_checkpoint_renamed_by_another_process_is_skipped(run, monkeypatch):
    write_last(run, at(10), 2)
    write_last(run, at(20), 2)
    damage(run.last)

    def late(path):
        run.last.unlink(missing_ok=True)
        return read_checkpoint(path)

    monkeypatch.setattr(checkpoints, "read_checkpoint", late)
    assert find_newest_whole(run, put_away=False)[1].state["step"] == 10


def test_later_format_is_not_skipped(run):
    write_last(run, at(10), 2)
    write_last(run, at(20), 2)
    run.last.write_bytes(run.last.read_bytes().replace(b'format\\": 1', b'format\\": 2'))
    with pytest.raises(CheckpointError, match=r"last\.safetensors: received format 2"):
        find_newest_whole(run)


def test_if_all_are_damaged_all_are_named_and_stay(run):
    for step in (10, 20):
        write_last(run, at(step), 2)
    run.best.write_bytes(run.last.read_bytes()[:50])
    damage(run.last)
    damage(list_earlier(run)[0])
    before = names(run)
    for _ in range(2):
        with pytest.raises(
            CheckpointError,
            match=r"All of .* damaged: last\.safetensors is damaged: its CRC-32 differs; step-00000010\.safetensors is "
            r"damaged: its CRC-32 differs; best\.safetensors is truncated .*Remove .*checkpoints; --resume",
        ):
            find_newest_whole(run)
    assert names(run) == before


def test_a_newest_that_was_damaged_meanwhile_is_put_away_and_replaced(run, capsys):
    write_last(run, at(10), 2)
    write_last(run, at(20), 2)
    run.last.write_bytes(b"")
    write_last(run, at(30), 2)
    assert [read_checkpoint(path).state["step"] for path in (run.last, *list_earlier(run))] == [30, 10]
    assert "It is kept as last.safetensors.damaged-1." in capsys.readouterr().err


def test_a_disk_that_refuses_leaves_all_as_it_was(run, monkeypatch):
    write_last(run, at(10), 2)
    before = run.last.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match=r"last\.safetensors could not be written: No space left on device"):
            write_last(run, at(20), 2)
    assert run.last.read_bytes() == before
    assert find_newest_whole(run)[1].state["step"] == 10
