"""A worker: one process with one event loop that loads all models and answers requests."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from neocog.cpus import num_threads
from neocog.errors import NeocogError
from neocog.serving.access import Access, Flags
from neocog.serving.app import create_app
from neocog.serving.asgi import facts_of, send_answer
from neocog.serving.auth import OPEN, Auth
from neocog.serving.connection import limited_protocol
from neocog.serving.drain import DrainingServer
from neocog.serving.drift import Drift
from neocog.serving.kept import find_kept, keep
from neocog.serving.limits import BodyLimits, Limits
from neocog.serving.logs import UvicornHandler
from neocog.serving.metrics import CONTENT_TYPE, Metrics, model_facts, share_files, worker_facts
from neocog.serving.plan import PUBLIC, WorkerPlan, end_while_loading, handle_signals
from neocog.serving.readiness import Readiness
from neocog.serving.reload import Reloader
from neocog.serving.repository import Repository
from neocog.serving.served import Served, load_served
from neocog.serving.table import WorkerState

__all__ = ["Worker", "run_worker"]

UPKEEP = 0.25  # seconds between two looks at what isn't a request's
DRIFT = 5.0  # seconds between two looks at drift
BACKLOG = 2048  # connections that wait to be accepted


class Worker:
    """The parts of a worker, wired."""

    def __init__(self, plan: WorkerPlan, tell: Callable[[], None] = lambda: None) -> None:
        """Load all models. `tell` is called once the worker serves. Raises NeocogError for a bundle that is broken."""
        self.plan, self.tell, self.log, self.flags = plan, tell, plan.log(), Flags()
        settings = plan.settings
        several = settings.workers > 1
        threads = settings.threads or max(1, num_threads() // settings.workers)
        torch.set_num_threads(threads)
        self.settings = replace(settings, threads=threads)
        if several:
            share_files(plan.folder / "metrics", plan.slot)
        self.drift = Drift(plan.folder / "drift", plan.slot) if settings.drift else None
        self.metrics = Metrics(plan.folder / "metrics" if several else None, self.drift)
        self.table = plan.table()
        self.repository = Repository(*(self.load_first(path, name, version) for name, version, path in plan.models))
        self.readiness = Readiness(self.repository, self.table, plan.slot, os.getpid())
        self.readiness.each_beat.append(lambda: self.metrics.note_now(self.repository, self.flags.in_flight))
        self.metrics.facts += [lambda: model_facts(self.repository), lambda: worker_facts(self.table)]
        if self.drift is not None:
            self.metrics.facts.append(self.drift.facts)
        self.reloader = Reloader(self.repository, self.load, self.log, self.metrics)
        self.tasks: list[asyncio.Task[None]] = []
        self.server = self.make_server()

    def load_first(self, path: Path, name: str, version: str) -> Served:
        """A model at the start: if its bundle has become broken since the server started, what worked last."""
        try:
            return self.load(path, name, version)
        except NeocogError as error:
            kept = find_kept(self.plan.folder / "kept", name, version)
            if kept is None:
                raise
            self.log.write("error", "bundle broken", model=name, version=version, reason=str(error), instead="the last")
            served = self.load(kept, name, version)
            served.path = path
            return served

    def load(self, path: Path, name: str, version: str) -> Served:
        """A model, whose drift is monitored if its bundle allows."""
        served = load_served(path, self.settings, name=name, version=version, observer=self.metrics)
        if self.settings.workers > 1:
            keep(self.plan.folder / "kept", path, name, version, served.sha)
        if self.drift is not None and not self.drift.monitor(served):
            self.log.write("info", "no drift reference", model=name, reason="its bundle was written without one")
        return served

    def make_app(self) -> ASGIApp:
        """The app in its layers, the outermost last."""
        limits = Limits.of(self.settings)
        app: ASGIApp = create_app(self.repository, self.settings, health=self.readiness)
        app = BodyLimits(MetricsRoute(app, self.metrics), limits)
        if self.settings.api_keys:
            opened = [path for name in self.settings.public for path in PUBLIC[name]]
            app = Auth(app, self.settings.api_keys, (*OPEN, *opened))
        return Access(app, self.log, self.metrics, self.flags, log_requests=self.settings.log_requests)

    def make_server(self) -> DrainingServer:
        settings, limits = self.settings, Limits.of(self.settings)
        for name in ("uvicorn", "uvicorn.error", "neocog.serving"):
            logging.getLogger(name).handlers = [UvicornHandler(self.log)]
            logging.getLogger(name).propagate = False
        config = uvicorn.Config(
            self.make_app(), http=limited_protocol(limits, lambda: self.metrics.refused.inc()), ws="none",
            lifespan="on", log_config=None, log_level="warning", access_log=False, server_header=False,
            timeout_keep_alive=int(limits.idle_s), backlog=BACKLOG,
            ssl_certfile=settings.tls_cert, ssl_keyfile=settings.tls_key,
        )  # fmt: skip
        return DrainingServer(config, self.flags, self.log, drain_s=settings.drain_s, began=self.began, ends=self.ends)

    def serve(self, listening: socket.socket) -> None:
        """Answer requests that come to this socket, until `stop`."""
        self.server.run([listening])
        self.log.flush()
        self.table.clear(self.plan.slot)

    def stop(self) -> None:
        """Drain, and let `serve` return."""
        self.server.should_exit = True

    async def began(self) -> None:
        """The port is open."""
        gc.collect()
        gc.freeze()  # what was imported and loaded stays: to look through it again takes a tenth of a second each time
        self.readiness.beat(WorkerState.SERVING)
        self.tasks = [asyncio.create_task(run()) for run in (self.readiness.run, self.reloader.run, self.keep_up)]
        self.tell()

    def ends(self) -> None:
        """The server begins to drain: nothing is reloaded any more."""
        self.readiness.beat(WorkerState.DRAINING)
        for task in self.tasks[1:]:
            task.cancel()
        self.log.write("info", "draining", requests=self.flags.in_flight)

    async def keep_up(self) -> None:
        """Write what the log holds, look at drift, and end with the supervisor."""
        looks = 0
        while True:
            await asyncio.sleep(UPKEEP)
            looks += 1
            self.log.flush()
            if self.plan.parent is not None and os.getppid() != self.plan.parent:
                self.log.write("error", "supervisor gone")
                self.stop()
            if self.drift is not None and looks % round(DRIFT / UPKEEP) == 0 and self.is_first():
                await asyncio.to_thread(self.drift.warn, self.log)

    def is_first(self) -> bool:
        """Whether this is the first worker that serves, which speaks for all."""
        states = [row.state for row in self.table.rows()]
        return states.index(WorkerState.SERVING) == self.plan.slot if WorkerState.SERVING in states else False


class MetricsRoute:
    """Answers /metrics, and hands everything else on."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/metrics" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        facts_of(scope)["route"] = "/metrics"
        body = await asyncio.to_thread(self.metrics.scrape)
        await send_answer(send, 200, body, CONTENT_TYPE)


def run_worker(plan: WorkerPlan, listening: socket.socket, report: Connection) -> None:
    """The process of a worker. Reports "ready", or the error that a user can fix."""
    handle_signals(end_while_loading, interrupt=False)
    try:
        worker = Worker(plan, tell=lambda: report.send("ready"))
    except NeocogError as error:
        report.send(error)
        sys.exit(2)
    handle_signals(lambda _: worker.stop(), interrupt=False)
    worker.serve(listening)
    os._exit(0)  # threads that compute have nothing left to do
