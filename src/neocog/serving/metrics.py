"""Figures for Prometheus, right with several workers: whichever answers, the counts are those of all.

Each worker writes into files of its own in a folder that all share, named by its place among the workers, not by its
process: a worker that takes the place of a dead one counts on from where that one stopped, so counters never fall and
no files pile up. Facts that need no sum, such as the memory of each process, are read when they are asked for.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import prometheus_client
import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from neocog.serving.table import WorkerState, WorkerTable

if TYPE_CHECKING:
    from neocog.serving.drift import Drift
    from neocog.serving.served import Served  # with torch, which a supervisor does without

__all__ = ["CONTENT_TYPE", "Metrics", "forget_worker", "share_files"]

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # as the client library reads it


def share_files(folder: Path, slot: int) -> None:
    """Let all figures that this process makes from now on live in files of this folder, as those of worker `slot`."""
    from prometheus_client import values

    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def forget_worker(folder: Path, slot: int) -> None:
    """Drop what a dead worker said of itself at the moment; what it had counted stays."""
    for path in folder.glob(f"gauge_live*_{slot}.db"):
        path.unlink(missing_ok=True)


class Metrics:
    """Counts requests, batches and reloads, and is an `Observer` of the engines.

    >>> metrics = Metrics()
    >>> metrics.request("digits", "/predict", 200, 0.004)
    >>> b'neocog_requests_total{model="digits",route="/predict",status="200"} 1.0' in metrics.scrape()
    True
    """

    def __init__(self, folder: Path | None = None, drift: "Drift | None" = None) -> None:
        """`folder` holds the files of several workers, after `share_files`; None: this process is the only one."""
        self.registry, self.folder, self.drift = CollectorRegistry(), folder, drift
        # Several processes can't have such series.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        made: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("neocog_requests", "Requests that were answered.", ("model", "route", "status"), **made)
        self.seconds = Histogram(
            "neocog_request_seconds", "From the request's head to the answer's last byte.", ("model", "route"),
            buckets=SECONDS, **made,
        )  # fmt: skip
        self.batches = Histogram(
            "neocog_batch_size", "Inputs that were computed at once.", ("model",), buckets=SIZES, **made
        )
        self.computed = Histogram(
            "neocog_batch_seconds", "Time that the engine took for a batch.", ("model",), buckets=SECONDS, **made
        )
        self.waited = Histogram(
            "neocog_queue_seconds", "Time that a batch's first input waited.", ("model",), buckets=SECONDS, **made
        )
        self.reloads = Counter("neocog_reloads", "Changed bundles, by what came of them.", ("model", "outcome"), **made)
        self.refused = Counter("neocog_connections_refused", "Connections that were too many.", **made)
        live: dict[str, Any] = {"multiprocess_mode": "livesum", **made}
        self.queue = Gauge("neocog_queue_length", "Inputs that wait.", ("model",), **live)
        self.in_flight = Gauge("neocog_requests_in_flight", "Requests without a whole answer yet.", **live)
        self.children: dict[tuple[str, ...], Any] = {}
        """Figures by their labels, found once."""
        self.facts: list[Callable[[], Iterable[GaugeMetricFamily]]] = []

    def child(self, kind: Any, *labels: str) -> Any:
        """The figure of these labels."""
        key = (kind._name, *labels)
        found = self.children.get(key)
        if found is None:
            found = self.children[key] = kind.labels(*labels)
        return found

    def request(self, model: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; status 0 stands for a client that had gone."""
        self.child(self.requests, model, route, str(status or "gone")).inc()
        self.child(self.seconds, model, route).observe(seconds)

    def batch(self, name: str, size: int, seconds: float, waited: float) -> None:
        """Count a batch."""
        self.child(self.batches, name).observe(size)
        self.child(self.computed, name).observe(seconds)
        self.child(self.waited, name).observe(max(0.0, waited))

    def answered(self, name: str, decoded: Any, outputs: Any) -> None:
        """Hand what was predicted to the monitor of drift."""
        if self.drift is not None:
            self.drift.answered(name, decoded, outputs)

    def reload(self, model: str, outcome: str) -> None:
        """Count a changed bundle: loaded or failed."""
        self.child(self.reloads, model, outcome).inc()

    def note_now(self, served: "Iterable[Served]", in_flight: int) -> None:
        """Set what this worker is doing at the moment."""
        for one in served:
            self.child(self.queue, one.name).set(one.queue_length)
        self.in_flight.set(in_flight)

    def scrape(self) -> bytes:
        """All figures as text."""
        if self.folder is None:
            text = prometheus_client.generate_latest(self.registry)
        else:
            together = CollectorRegistry()
            MultiProcessCollector(together, str(self.folder))  # type: ignore[no-untyped-call]
            text = prometheus_client.generate_latest(together)
        facts = CollectorRegistry()
        facts.register(Facts([family for tell in self.facts for family in tell()]))
        return text + prometheus_client.generate_latest(facts)


class Facts(Collector):
    """Families that were made for one answer."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self.families


def model_facts(served: "Iterable[Served]") -> Iterator[GaugeMetricFamily]:
    """Facts of each model that is served: version, task, engine and the hash of its bundle."""
    info = GaugeMetricFamily(
        "neocog_model_info", "Models that are served.", labels=("model", "version", "task", "backend", "sha256")
    )
    loaded = GaugeMetricFamily(
        "neocog_model_loaded_timestamp_seconds", "When a model was loaded.", labels=("model", "version")
    )
    for one in served:
        backend = str(getattr(one.predictor, "backend_name", "eager"))
        info.add_metric([one.name, one.version, one.task, backend, one.sha[:16]], 1)
        loaded.add_metric([one.name, one.version], one.loaded)
    yield from (info, loaded)


def worker_facts(table: WorkerTable) -> Iterator[GaugeMetricFamily]:
    """Which workers serve, and the memory that each takes."""
    serving = GaugeMetricFamily("neocog_worker_up", "Whether a worker serves.", labels=("worker",))
    memory = GaugeMetricFamily("neocog_process_memory_bytes", "Resident memory of a worker.", labels=("worker",))
    for slot, row in enumerate(table.rows()):
        serving.add_metric([str(slot)], float(row.state is WorkerState.SERVING))
        if row.pid:
            try:
                memory.add_metric([str(slot)], psutil.Process(row.pid).memory_info().rss)
            except psutil.Error:  # it has just ended
                continue
    yield from (serving, memory)
