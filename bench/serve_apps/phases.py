"""The phases of `bench/serve_faults.py`: each does something to a server, and lists what went wrong."""

import random
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serve_apps.connections import Good, GoodClient, connect, read_answer, reset, send_once, status_of, tally
from serve_apps.malformed import fault_of, malformed_requests
from serve_apps.requests import upload
from serve_apps.running import Server

__all__ = ["PHASES", "Scene", "Verdict"]

PATIENCE = 15.0  # seconds for any answer
HEADROOM = 300 * 2**20  # bytes of address space; a new thread reserves up to 136 MB of it
EARLY = 0.05  # seconds before SIGTERM in which a request may still be on its way to the server


@dataclass(slots=True)
class Verdict:
    """Figures of a phase, and its faults."""

    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def check(self, good: object, fault: str) -> None:
        """Note a fault unless something is good."""
        if not good:
            self.faults.append(fault)

    def check_clients(self, clients: Sequence[GoodClient], allowed: str = "right") -> None:
        """Stop clients; every outcome must be right, or a fault that begins as `allowed` does."""
        outcomes = [outcome for client in clients for outcome in client.stop()]
        counts = tally(outcomes)
        self.figures["good requests"] = len(outcomes)
        latencies = [(one.answered - one.sent) * 1e3 for one in outcomes] or [0.0]
        self.figures["their p50, p99 (ms)"] = [round(float(np.percentile(latencies, share)), 2) for share in (50, 99)]
        self.check(outcomes, "no good request was sent")
        self.faults += [
            f"{count} good requests: {fault}"
            for fault, count in counts.items()
            if not fault.startswith(("right", allowed))
        ]


@dataclass(frozen=True, slots=True)
class Scene:
    """Bundles, requests and a way to start servers."""

    folder: Path
    bundle: Path
    other: Path
    """A bundle of the same network with other weights."""
    goods: Sequence[Good]
    other_goods: Sequence[Good]
    """The same requests with the answers of both bundles."""
    image: bytes
    size: tuple[int, int, int]
    expected: Callable[[bytes], dict[str, float] | None]
    start: Callable[..., Server]
    """Start a server; waits until it is ready."""
    counts: dict[str, int]


def malformed(scene: Scene) -> Verdict:
    """Malformed requests of each kind, with a good one on a kept connection after every ten."""
    verdict = Verdict()
    table: dict[str, Counter[str]] = {}
    with scene.start(scene.bundle) as server:
        steady = connect(server.port)
        model = scene.bundle.stem
        cases = malformed_requests(scene.counts["malformed"], model=model, size=scene.size, image=scene.image)
        for index, case in enumerate(cases):
            answer = send_once(server.port, case.request, half_close=case.raw, seconds=PATIENCE)
            shown = "no answer" if answer is None else str(status_of(answer) or "closed")
            table.setdefault(case.kind, Counter())[shown] += 1
            if fault := fault_of(case, answer, scene.expected):
                verdict.faults.append(f"{case.kind}: {fault}; request {case.request[:300]!r}")
            if index % 10 == 0:
                good = scene.goods[index // 10 % len(scene.goods)]
                steady.sendall(good.request)
                fault = good.fault(read_answer(steady, PATIENCE))
                verdict.check(not fault, f"a good request among them: {fault}")
        verdict.check(server.process.poll() is None, "the server ended")
        steady.close()
    verdict.figures = {kind: dict(counts.most_common()) for kind, counts in table.items()}
    return verdict


def slow(scene: Scene) -> Verdict:
    """Clients that send a byte now and then, and clients that never read, beside good ones."""
    verdict, seconds = Verdict(), scene.counts["slow seconds"]
    request = scene.goods[0].request
    body = request.index(b"\r\n\r\n") + 4
    with scene.start(scene.bundle) as server:
        clients = [GoodClient(server.port, scene.goods) for _ in range(4)]
        in_head, in_body, deaf = ([connect(server.port) for _ in range(20)] for _ in range(3))
        for connection in in_body:
            connection.sendall(request[:body])
        for connection in deaf:
            connection.setblocking(False)
        places = dict.fromkeys(in_head, 0) | dict.fromkeys(in_body, body)
        end, closed = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for connection, place in list(places.items()):
                try:
                    connection.send(request[place : place + 1])
                    places[connection] = min(place + 1, len(request) - 2)
                except OSError:
                    closed += 1
                    del places[connection]
            for connection in deaf:
                with suppress(OSError):
                    connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            time.sleep(0.2)
        verdict.check_clients(clients)
        verdict.figures["slow connections that the server closed"] = f"{closed} of {len(in_head) + len(in_body)}"
        for connection in (*in_head, *in_body, *deaf):
            reset(connection)
        check_alive(verdict, server, scene)
    return verdict


def disconnects(scene: Scene) -> Verdict:
    """Clients that vanish before, within and after the header, the body and the answer, beside good ones."""
    verdict, lot = Verdict(), random.Random(0)
    request = scene.goods[0].request
    with scene.start(scene.bundle) as server:
        before = open_files(server)
        clients = [GoodClient(server.port, scene.goods) for _ in range(2)]
        for _ in range(scene.counts["disconnects"]):
            connection = connect(server.port)
            with suppress(OSError):
                phase = lot.choice(["at once", "within", "sent", "answered", "pipelined"])
                if phase == "within":
                    connection.sendall(request[: lot.randrange(len(request))])
                elif phase == "pipelined":
                    connection.sendall(request * 20)
                elif phase != "at once":
                    connection.sendall(request)
                if phase == "answered":
                    connection.recv(10)
            if lot.random() < 0.5:
                reset(connection)
            else:
                connection.close()
        verdict.check_clients(clients)
        time.sleep(1.0)
        after = open_files(server)
        verdict.figures["open files before, after"] = [before, after]
        verdict.check(after <= before + 8, f"open files grew from {before} to {after}")
        check_alive(verdict, server, scene)
    return verdict


def terminate(scene: Scene) -> Verdict:
    """SIGTERM under load, several times: each request that was accepted is answered, and the server ends with 0."""
    verdict, took, counts = Verdict(), [], Counter[str]()
    for _ in range(scene.counts["terminations"]):
        with scene.start(scene.bundle) as server:
            clients = [GoodClient(server.port, scene.goods) for _ in range(16)]
            time.sleep(1.0)
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            try:
                code = server.process.wait(40)
                verdict.check(code == 0, f"the server ended with {code}")
            except subprocess.TimeoutExpired:
                verdict.faults.append("the server had not ended 40 s after SIGTERM")
            took.append(time.monotonic() - told)
            for outcome in (outcome for client in clients for outcome in client.stop()):
                kind = outcome.fault.partition(":")[0] or "right"
                moment = "before SIGTERM" if outcome.sent < told - EARLY else "around and after it"
                counts[f"{moment}: {kind}"] += 1
                if outcome.fault and (moment == "before SIGTERM" or "wrong" in kind or "cut off" in kind):
                    verdict.faults.append(f"sent {told - outcome.sent:.3f} s before SIGTERM: {outcome.fault}")
                elif outcome.fault and kind not in ("closed without an answer", "status 503"):
                    verdict.faults.append(f"sent {outcome.sent - told:.3f} s after SIGTERM: {outcome.fault}")
    verdict.figures = {"seconds until the end": round(statistics.mean(took), 2), **counts}
    return verdict


def replaced(scene: Scene) -> Verdict:
    """A bundle that is replaced under load: by a cut-off one, by noise, by none, by another, and by itself."""
    verdict = Verdict()
    served = scene.folder / "replaced" / scene.bundle.name
    served.parent.mkdir(exist_ok=True)
    shutil.copy(scene.bundle, served)
    content = scene.bundle.read_bytes()
    with scene.start(served) as server:
        clients = [GoodClient(server.port, scene.other_goods) for _ in range(8)]
        for broken in (content[: len(content) // 2], b"", content[:-1], bytes(len(content))):
            replace(served, broken)
            time.sleep(3.0)
        served.unlink()
        time.sleep(3.0)
        replace(served, content)
        time.sleep(3.0)
        outcomes = [outcome for client in clients for outcome in client.outcomes]
        verdict.check(all(one.which == 0 for one in outcomes if not one.fault), "another network answered")
        changed = time.monotonic()
        replace(served, scene.other.read_bytes())
        new = wait_for_new(server, scene, 20.0)
        verdict.check(new, "the new bundle did not answer within 20 s")
        verdict.figures["seconds until the new bundle answers"] = round(time.monotonic() - changed, 2)
        time.sleep(1.0)
        verdict.check_clients(clients)
        last = [client.outcomes[-1].which for client in clients]
        verdict.check(set(last) == {1}, f"the last answers came from {last}, not all from the new bundle")
        check_alive(verdict, server, scene, scene.other_goods)
    return verdict


def replace(path: Path, content: bytes) -> None:
    """Write a file beside, and move it over the other, as copying tools do."""
    beside = path.with_suffix(".partial")
    beside.write_bytes(content)
    beside.replace(path)


def wait_for_new(server: Server, scene: Scene, seconds: float) -> bool:
    """Whether the other bundle answers within this time."""
    good, end = scene.other_goods[0], time.monotonic() + seconds
    while time.monotonic() < end:
        answer = send_once(server.port, good.request, half_close=False, seconds=PATIENCE)
        if answer and not good.fault(answer) and good.which(answer) == 1:
            return True
        time.sleep(0.1)
    return False


def memory_limit(scene: Scene) -> Verdict:
    """Images of 36 million pixels while the address space may grow by little: refused with a reason, and served on."""
    verdict = Verdict()
    if sys.platform != "linux":
        return verdict
    large, allowed = upload(large_png(6_000), "large.png", "image/png"), {"200", "503", "507"}
    with scene.start(scene.bundle) as server:
        for process in processes(server):
            most = process.memory_info().vms + HEADROOM
            resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))
        clients = [GoodClient(server.port, scene.goods) for _ in range(2)]
        statuses, reasons = Counter[str](), set[str]()
        for _ in range(scene.counts["large images"]):
            connections = [connect(server.port) for _ in range(6)]
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(large)
            for connection in connections:
                answer = read_answer(connection, 60.0)
                shown = "no answer" if answer is None else str(status_of(answer) or "closed")
                statuses[shown] += 1
                reasons |= {answer[-200:].decode("utf-8", "replace")} if shown not in allowed and answer else set()
                connection.close()
        verdict.figures["statuses of large images"] = dict(statuses)
        verdict.check(set(statuses) <= allowed, f"large images were answered by {dict(statuses)}: {reasons}")
        verdict.check_clients(clients, allowed="status 503")
        check_alive(verdict, server, scene)
    return verdict


def steady_memory(scene: Scene) -> Verdict:
    """Many good requests: each answer right, and memory flat."""
    verdict, sizes = Verdict(), []
    with scene.start(scene.bundle) as server:
        clients = [GoodClient(server.port, scene.goods) for _ in range(8)]
        wanted = scene.counts["steady"]
        while (done := sum(len(client.outcomes) for client in clients)) < wanted and server.process.poll() is None:
            sizes.append((done, resident(server)))
            time.sleep(max(0.05, min(1.0, wanted / 2e5)))
        sizes.append((done, resident(server)))
        verdict.check_clients(clients)
        check_alive(verdict, server, scene)
    later = np.array([(done, size) for done, size in sizes if done >= wanted * 0.2], float)
    slope = float(np.polyfit(later[:, 0], later[:, 1], 1)[0]) if len(later) > 2 else float("nan")
    verdict.figures |= {
        "MB at the start, after a fifth, at the end": [
            round(float(size) / 2**20, 1) for size in (sizes[0][1], later[0][1], later[-1][1])
        ],
        "slope, bytes a request": round(slope, 2),
    }
    verdict.check(abs(slope) * wanted < 16 * 2**20 or wanted < 20_000, f"memory grows by {slope:.1f} bytes a request")
    return verdict


def check_alive(verdict: Verdict, server: Server, scene: Scene, goods: Sequence[Good] | None = None) -> None:
    """The server runs, and answers a good request."""
    verdict.check(server.process.poll() is None, "the server ended")
    good, end = (goods or scene.goods)[1], time.monotonic() + PATIENCE
    while (fault := good.fault(send_once(server.port, good.request, half_close=False, seconds=PATIENCE))).startswith(
        "status 503"
    ) and time.monotonic() < end:
        time.sleep(0.2)
    verdict.check(not fault, f"a good request afterwards: {fault}")


def processes(server: Server) -> list[psutil.Process]:
    """The server's process and its children."""
    parent = psutil.Process(server.process.pid)
    return [parent, *parent.children(recursive=True)]


def resident(server: Server) -> int:
    """Bytes in memory of the server and its children."""
    return sum(process.memory_info().rss for process in processes(server))


def open_files(server: Server) -> int:
    """Open files and connections of the server and its children."""
    return sum(process.num_fds() for process in processes(server))


def large_png(side: int) -> bytes:
    """A valid PNG in RGB, of zeros."""
    rows = zlib.compress(bytes((3 * side + 1) * side), 1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PHASES: dict[str, Callable[[Scene], Verdict]] = {
    "malformed": malformed, "slow": slow, "disconnects": disconnects, "terminate": terminate, "replaced": replaced,
    "memory limit": memory_limit, "steady memory": steady_memory,
}  # fmt: skip
