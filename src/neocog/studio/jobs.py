"""Work in the background while the page is used: with progress, one job at a time, and it can be stopped."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from neocog.errors import ConfigError, NeocogError
from neocog.progress import follow

__all__ = ["Job", "Jobs", "Stopped"]

KEPT = 12
WAIT = 0.2  # seconds between two looks at whether a waiting job was stopped


class Stopped(BaseException):
    """The user has stopped this job. Not an Exception, so that work which survives errors ends, too."""


@dataclass(slots=True)
class Job:
    """One piece of work, and how far it is."""

    key: str
    title: str
    state: Literal["running", "done", "failed", "stopped"] = "running"
    label: str = "waiting"
    share: float = 0.0
    """How much is done, from 0 to 1; it restarts at 0 if the work has several parts."""
    notes: list[str] = field(default_factory=list)
    """Sentences that the work had for the user."""
    error: str = ""
    result: Any = None
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def progress(self, label: str, share: float) -> None:
        """Take note of how far the work is. Raises Stopped if it should end here."""
        if self.stopping.is_set():
            raise Stopped
        self.label, self.share = label, share

    def facts(self) -> dict[str, Any]:
        """The job as the page shows it."""
        names = ("key", "title", "state", "label", "share", "notes", "error")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Jobs:
    """All jobs by key, the newest last. They take turns, so that two don't share the processor."""

    jobs: "OrderedDict[str, Job]" = field(default_factory=OrderedDict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    changing: threading.Lock = field(default_factory=threading.Lock)

    def start(self, key: str, title: str, work: Callable[[Job], Any]) -> Job:
        """Start a job, unless it is running or done; one that failed or was stopped is started again."""
        with self.changing:
            known = self.jobs.get(key)
            if known is not None and known.state in ("running", "done"):
                return known
            job = self.jobs[key] = Job(key, title)
            self.jobs.move_to_end(key)
            ended = [name for name, each in self.jobs.items() if each.state != "running"]
            for name in ended[: max(0, len(self.jobs) - KEPT)]:
                del self.jobs[name]
        threading.Thread(target=self.run, args=(job, work), name=f"neocog-{key}", daemon=True).start()
        return job

    def run(self, job: Job, work: Callable[[Job], Any]) -> None:
        held = False
        try:
            while not (held := self.turn.acquire(timeout=WAIT)):
                job.progress("waiting for another job", 0.0)
            job.progress("starting", 0.0)
            with follow(job.progress, job.notes.append):
                job.result = work(job)
            job.share, job.state = 1.0, "done"
        except Stopped:
            job.state = "stopped"
        except NeocogError as error:
            job.error, job.state = str(error), "failed"
        except BaseException:
            job.error, job.state = "The Studio failed at this. The terminal in which it runs says how.", "failed"
            raise
        finally:
            if held:
                self.turn.release()
            job.ended.set()

    def get(self, key: str) -> Job:
        """A job by its key. Raises ConfigError if there is none, as after a restart."""
        if key not in self.jobs:
            raise ConfigError("This has not been computed.", received=repr(key), fix="Start it again.", kind="job")
        return self.jobs[key]

    def result(self, key: str) -> Any:
        """The result of a job. Raises ConfigError unless it is done."""
        job = self.get(key)
        if job.state != "done":
            raise ConfigError(
                "This has not been computed.", received=f"{job.title}: {job.state}", kind="job",
                fix="Start it, or wait until it is done.",
            )  # fmt: skip
        return job.result

    def stop(self, key: str) -> Job:
        """Ask a job to end; it does so at its next step."""
        job = self.get(key)
        job.stopping.set()
        return job
