"""Concurrent clients in one thread: raw sockets with keep-alive on one epoll, each sends when its answer is complete.

A request costs the thread of the clients 10 to 20 microseconds, so that they aren't what is measured.
"""

import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["load_server"]

CHUNK = 1 << 16
MOST_BODIES = 200_000


@dataclass(slots=True)
class Client:
    """A connection, the request that is under way on it, and what has arrived of its answer."""

    socket: socket.socket
    request: int = 0
    began: float = 0.0
    received: bytes = b""
    body_at: int = 0
    """Where the body begins; 0 as long as the headers are not complete."""
    needed: int = 0
    status: int = 0

    def take(self, chunk: bytes) -> bool:
        """Add what has arrived; whether the answer is complete."""
        self.received = self.received + chunk if self.received else chunk
        if not self.body_at:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.body_at = end + 4
            self.status = int(self.received[9:12])
            head = self.received[:end].lower()
            place = head.find(b"content-length:")
            assert place >= 0, f"an answer without a length: {head[:300]!r}"
            stop = head.find(b"\r\n", place)
            self.needed = self.body_at + int(head[place + 15 : stop if stop >= 0 else end])
        return len(self.received) >= self.needed


@dataclass(slots=True)
class Load:
    """The clients, and what they measured."""

    port: int
    requests: list[bytes]
    num_clients: int
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    broken: int = 0
    next: int = 0

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, client: Client) -> None:
        """Start the next request on this client. Request bodies fit into the socket's buffer."""
        client.request = self.next
        self.next = (self.next + 1) % len(self.requests)
        client.received, client.body_at = b"", 0
        client.began = time.perf_counter()
        client.socket.sendall(self.requests[client.request])

    def run(self, seconds: float) -> float:
        """Load the server for this many seconds, then wait for the last answers; the time until the last of them."""
        clients = {}
        poll = select.epoll()
        for _ in range(self.num_clients):
            client = Client(self.connect())
            clients[client.socket.fileno()] = client
            poll.register(client.socket, select.EPOLLIN)
        begin = time.perf_counter()
        end = begin + seconds
        for client in clients.values():
            self.send(client)
        waiting = len(clients)
        while waiting:
            for number, _ in poll.poll():
                client = clients[number]
                chunk = client.socket.recv(CHUNK)
                if chunk and not client.take(chunk):
                    continue
                now = time.perf_counter()
                if chunk:
                    self.note(client, now)
                else:
                    self.broken += 1
                    poll.unregister(number)
                    client = Client(self.connect())
                    clients[client.socket.fileno()] = client
                    poll.register(client.socket, select.EPOLLIN)
                if now < end:
                    self.send(client)
                else:
                    waiting -= 1
        last = time.perf_counter()
        for client in clients.values():
            client.socket.close()
        return last - begin

    def note(self, client: Client, now: float) -> None:
        """Keep the latency, the status and the body of a complete answer."""
        self.latencies.append((now - client.began) * 1e3)
        self.statuses[client.status] += 1
        if len(self.answers) < MOST_BODIES:
            self.answers.append((client.request, client.received[client.body_at : client.needed]))


def load_server(
    port: int, requests: list[bytes], num_clients: int, seconds: float, *, warm_up: float
) -> dict[str, Any]:
    """Figures of clients that send these requests in turn, after `warm_up` seconds that don't count.

    Requests, seconds, latencies in milliseconds, counts by status, connections that broke, the share of a processor
    that the clients used themselves, and the bodies of each request's answers, without repetition.
    """
    load, before = (Load(port, requests, num_clients) for _ in range(2))
    with on_last_processor():
        if warm_up:
            before.run(warm_up)
        busy = time.thread_time()
        took = load.run(seconds)
        busy = time.thread_time() - busy
    return {
        "warm-up requests": len(before.latencies), "requests": len(load.latencies),
        "seconds": took, "rate": len(load.latencies) / took,
        "p50": float(np.percentile(load.latencies, 50)), "p99": float(np.percentile(load.latencies, 99)),
        "statuses": {str(status): count for status, count in load.statuses.items()}, "broken": load.broken,
        "own share": busy / took, "answers": sorted({(number, body.decode()) for number, body in load.answers}),
    }  # fmt: skip


@contextmanager
def on_last_processor() -> Iterator[None]:
    """Keep this thread on one processor meanwhile, where the system lets it."""
    if sys.platform != "linux":
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
