"""The journal of a search: each step is done once, also after a stop."""

import json

import pytest

from neocog.auto.budget import Budget
from neocog.auto.journal import Journal, read_journal
from neocog.errors import CheckpointError
from neocog.training.distributed import SINGLE_PROCESS


def open_journal(path):
    return Journal(path, SINGLE_PROCESS)


def forbid():
    raise AssertionError("this step was done before")


def test_step_is_done_once_and_read_after_a_stop(tmp_path):
    path = tmp_path / "journal.json"
    first = open_journal(path)
    assert first.once("a", lambda: {"sizes": (1, 2)}, lambda: 3.0) == {"sizes": [1, 2]}  # as JSON returns it
    assert first.once("a", forbid, lambda: 4.0) == {"sizes": [1, 2]}
    second = open_journal(path)
    assert second.once("a", forbid, lambda: 9.0) == {"sizes": [1, 2]}
    assert second.seconds == 3.0
    second.once("b", lambda: 1, lambda: 5.5)
    assert open_journal(path).steps == {"a": {"sizes": [1, 2]}, "b": 1}
    assert list(open_journal(path).steps) == ["a", "b"]


def test_step_that_fails_is_not_written(tmp_path):
    journal = open_journal(tmp_path / "journal.json")
    with pytest.raises(AssertionError):
        journal.once("a", forbid, lambda: 1.0)
    assert read_journal(journal.path) is None and open_journal(journal.path).steps == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"steps": {}}', b'{"steps": [], "seconds": 1.0}', b'{"steps": {}, "seconds": "1"}',
                b"\xff\xfe", b"null"]
)  # fmt: skip
def test_damaged_journal_is_an_error(tmp_path, content):
    path = tmp_path / "journal.json"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointError,
        match=r"The journal of the search is damaged: .*journal\.json\. Remove the run folder, and train",
    ):
        open_journal(path)


def test_journal_is_replaced_whole(tmp_path, monkeypatch):
    journal = open_journal(tmp_path / "journal.json")
    journal.once("a", lambda: 1, lambda: 1.0)

    def stop(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(Exception, match="No space left"):
        journal.once("b", lambda: 2, lambda: 2.0)
    assert json.loads(journal.path.read_text())["steps"] == {"a": 1}


def test_budget_counts_what_stopped_processes_used(tmp_path):
    now = [1000.0]
    journal = open_journal(tmp_path / "journal.json")
    journal.once("a", lambda: 1, lambda: 20.0)
    budget = Budget(seconds=60, began=990.0, used_before=open_journal(journal.path).seconds, now=lambda: now[0])
    assert (budget.used(), budget.left()) == (30.0, 26.0)
    now[0] = 1100.0
    assert budget.left() < 0
