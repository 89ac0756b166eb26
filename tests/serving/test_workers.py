"""The supervisor: workers that die while they start, and what it says."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from neocog.errors import BundleError
from neocog.serving import supervisor as module
from neocog.serving.kept import find_kept, keep
from neocog.serving.plan import WorkerPlan
from neocog.serving.run import bind
from neocog.serving.settings import ServeSettings
from neocog.serving.supervisor import Place, Supervisor, WorkersFailedError
from neocog.serving.table import WorkerRow, WorkerState, WorkerTable


class Doomed(Supervisor):
    """A supervisor whose workers end at once."""

    started = 0

    def start(self, place: Place) -> None:
        Doomed.started += 1
        context: Any = self.context
        place.process = context.Process(target=os._exit, args=(7,))
        assert place.process is not None
        place.process.start()
        place.began = time.monotonic()


def plan(folder: Path) -> WorkerPlan:
    (folder / "metrics").mkdir()
    return WorkerPlan(models=(), settings=ServeSettings(workers=2, drain_s=1), folder=folder)


def test_five_deaths_at_start_end_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "delay_of", lambda deaths: 0.0)
    monkeypatch.setattr(module, "handle_signals", lambda stop: None)
    with bind("127.0.0.1", 0) as listening:
        supervisor = Doomed(plan(tmp_path), listening, lambda: pytest.fail("it never serves"))
        with pytest.raises(
            WorkersFailedError, match="worker 0 died 5 times in a row. Received: exit code 7.*--workers"
        ):
            supervisor.run()
    assert Doomed.started == 5


def test_the_error_of_a_worker_is_the_servers(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as listening:
        supervisor = Supervisor(plan(tmp_path), listening, lambda: None)
        place = supervisor.places[0]
        here, there = supervisor.context.Pipe(duplex=False)
        place.report = here
        there.send(BundleError("It is damaged.", received="a fault", fix="Copy it."))
        with pytest.raises(BundleError, match="It is damaged. Received: a fault. Copy it.") as caught:
            supervisor.read_report(place)
        assert caught.value.fix == "Copy it."


def test_the_table_keeps_rows_apart(tmp_path: Path) -> None:
    first, second = (WorkerTable(tmp_path / "workers", 3) for _ in range(2))
    row = WorkerRow(pid=2**40, state=WorkerState.DRAINING, beat=1.5, passed=False, checked=2.5)
    first.write(1, row)
    first.ask()
    assert second.rows() == [WorkerRow(passed=False), row, WorkerRow(passed=False)]
    assert second.asked == pytest.approx(time.monotonic(), abs=5)
    second.clear(1)
    assert first.row(1) == WorkerRow()


def test_what_worked_last_is_kept_once(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.neocog", tmp_path / "kept"
    folder.mkdir()
    for content in (b"one", b"two", b"two"):
        path.write_bytes(content)
        keep(folder, path, "digits", "1", hashlib.sha256(content).hexdigest())
    keep(folder, path, "digits", "1", "of a file that has changed since")
    (kept,) = folder.iterdir()
    assert kept.read_bytes() == b"two"
    assert find_kept(folder, "digits", "1") == kept
    assert find_kept(folder, "digits", "2") is None
