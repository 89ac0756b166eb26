"""Figures of one worker; those of several are in test_workers_process."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from neocog.serving.metrics import Metrics, forget_worker, worker_facts
from neocog.serving.table import WorkerRow, WorkerState, WorkerTable

COUNT = """
import sys
from pathlib import Path
from neocog.serving.metrics import Metrics, share_files
folder, slot, status, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
share_files(folder, slot)
metrics = Metrics(folder)
for size in range(1, times + 1):
    metrics.request("digits", "/predict", status, 0.03)
    metrics.batch("digits", size, 0.01, 0.0)
metrics.in_flight.set(slot + 1)
sys.stdout.buffer.write(metrics.scrape())
"""


def values(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(text: bytes, name: str, **labels: str) -> float:
    return values(text)[name, frozenset(labels.items())]


def count(folder: Path, slot: int, status: int, times: int) -> bytes:
    """A worker that counts, and what it then says of all."""
    command = [sys.executable, "-c", COUNT, str(folder), str(slot), str(status), str(times)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def test_requests_are_counted_by_model_route_and_status() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.0005), (200, 0.3), (503, 0.0005), (0, 1.0)):
        metrics.request("digits", "/predict", status, seconds)
    text = metrics.scrape()
    labels = {"model": "digits", "route": "/predict"}
    assert value(text, "neocog_requests_total", **labels, status="200") == 2
    assert value(text, "neocog_requests_total", **labels, status="503") == 1
    assert value(text, "neocog_requests_total", **labels, status="gone") == 1
    assert value(text, "neocog_request_seconds_bucket", **labels, le="0.001") == 2
    assert value(text, "neocog_request_seconds_bucket", **labels, le="0.5") == 3
    assert value(text, "neocog_request_seconds_sum", **labels) == 1.301


def test_workers_are_added_up_and_a_dead_one_keeps_its_counts(tmp_path: Path) -> None:
    count(tmp_path, 0, 200, 3)
    text = count(tmp_path, 1, 200, 2)
    labels = {"model": "digits", "route": "/predict"}
    assert value(text, "neocog_requests_total", **labels, status="200") == 5
    assert value(text, "neocog_batch_size_sum", model="digits") == 1 + 2 + 3 + 1 + 2
    assert value(text, "neocog_batch_size_bucket", model="digits", le="2.0") == 4
    assert value(text, "neocog_requests_in_flight") == 1 + 2

    files = sorted(path.name for path in tmp_path.iterdir())
    forget_worker(tmp_path, 1)
    again = count(tmp_path, 0, 200, 1)  # worker 0 was started again, too, and goes on where it stopped
    assert value(again, "neocog_requests_total", **labels, status="200") == 6
    assert value(again, "neocog_requests_in_flight") == 1
    again = count(tmp_path, 1, 500, 1)
    assert value(again, "neocog_requests_total", **labels, status="500") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == files, "no files pile up"


def test_workers_and_their_memory_are_read_when_asked(tmp_path: Path) -> None:
    table = WorkerTable(tmp_path / "workers", 2)
    table.write(0, WorkerRow(pid=os.getpid(), state=WorkerState.SERVING))
    up, memory = worker_facts(table)
    assert [sample.value for sample in up.samples] == [1, 0]
    ((labels, rss),) = [(sample.labels, sample.value) for sample in memory.samples]
    assert labels == {"worker": "0"}
    assert 10 * 2**20 < rss < 2**36
