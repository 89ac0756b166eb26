"""`neocog serve` beside LitServe and a plain FastAPI app: requests/s, and what serving adds to the engine's time.

Each client on loopback uploads an image file, waits for the answer, and uploads the next. LeNet-5 gets PNGs of 28x28,
ResNet-18 JPEGs of 224x224. All servers load the same bundle with the same engine, the peers read files with Pillow, and
each answer is compared with the network's own.

    LitServe             its default transport: an API process, and a worker process that computes
    LitServe, batches    waits up to 5 ms for batches of 16; beside several clients only
    FastAPI              an app with one process that computes in the event loop, which serves more than one that
                         computes in FastAPI's threads

Servers may use all processors; the clients are one thread on the last of them, at 10 to 20 microseconds a request. All
servers run from the beginning, and a signal stops them while they aren't measured. `bench/serve.py` has more: 4
clients, two workers, 99th percentiles, processor time.

The overhead is a lone client's median latency less that of the engine alone, which computes one decoded image after the
other without a pause: HTTP, the queue, the answer, the decoding of the file, and that an engine's threads and caches
take longer if they had nothing to do for a while. The note has what can be told apart.
"""

import importlib.util
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness import Row, Sides
from harness.row import Turn
from neocog.bundle.load_bundle import decode_golden_samples, load
from neocog.bundle.use_engine import workshop_of
from neocog.cpus import num_threads
from neocog.engines.choose import choose_engine
from serve_apps.networks import NETWORKS, draw_images, write_network
from serve_apps.requests import is_right, upload
from serve_apps.running import Server

__all__ = ["ROWS"]

PEERS = {"LitServe": "litserve", "LitServe, batches": "litserve-batch", "FastAPI": "plain-loop"}
PACKAGES = {"litserve": "litserve", "litserve-batch": "litserve", "plain-loop": "fastapi"}
TITLES = {"lenet5_relu": "LeNet-5", "resnet18": "ResNet-18"}
SECONDS = {"lenet5_relu": 0.4, "resnet18": 0.7}
"""Of load in each turn."""
PAUSE = 0.002  # seconds, as between the requests of a lone client
CHOOSING = 3.0  # seconds for measuring engines, beside building them


@dataclass
class Scene:
    """A bundle in a folder, and the requests of clients."""

    folder: Path
    network: str
    backend: str

    def __post_init__(self) -> None:
        torch.set_num_threads(num_threads())
        self.images = draw_images(self.network, 32)
        self.bundle = self.folder / "network.neocog"
        self.predictor = write_network(self.bundle, self.network, self.images)
        kind = NETWORKS[self.network][-1]
        self.requests = [upload(image, f"image.{kind}", f"image/{kind}") for image in self.images]
        self.engine = self.choose_engine() if self.backend == "auto" else self.backend
        # Lower precision moves probabilities: what is right is what the engine computes, and auto has compared that.
        rows = load(self.bundle, backend=self.engine).predict_proba(self.images)
        self.expected = [dict(zip(self.predictor.classes, row, strict=True)) for row in rows]

    def choose_engine(self) -> str:
        """The engine of auto, which all servers then find remembered."""
        golden = decode_golden_samples(self.bundle, self.predictor.preprocess)
        return choose_engine(workshop_of(self.predictor), self.predictor.task, golden, seconds=CHOOSING).name

    @contextmanager
    def serve(self, names: Iterable[str]) -> Iterator[dict[str, Server]]:
        """Servers by name, all ready and stopped."""
        with ExitStack() as stack:
            servers = {
                name: stack.enter_context(Server(name, self.folder, bundle=str(self.bundle), backend=self.backend))
                for name in names
            }
            for server in servers.values():
                server.wait_until_ready(self.requests[0])
            for server in servers.values():
                server.signal(signal.SIGSTOP)
            yield servers

    def load(self, server: Server, clients: int) -> dict[str, Any]:
        """The figures of a turn; AssertionError for an answer that isn't the network's own."""
        found = server.measure(self.requests, clients, SECONDS[self.network], warm_up=0.0)
        wrong = [body for number, body in found["answers"] if not is_right(body, self.expected[number])]
        assert not wrong, f"{server.name} gave a wrong answer: {wrong[0][:200]}"
        assert not found["broken"], f"{server.name} closed {found['broken']} connections"
        return found


def compared(network: str, backend: str, clients: int) -> Row:
    """Requests/s of this number of clients."""
    names = ("LitServe" if clients == 1 else "LitServe, batches", "FastAPI")

    def prepare(folder: Path) -> Iterator[Sides]:
        absent = {name: "not installed" for name in names if not importlib.util.find_spec(PACKAGES[PEERS[name]])}
        sides = {"Neocog": "neocog", **{name: PEERS[name] for name in names if name not in absent}}
        scene = Scene(folder, network, backend)
        with scene.serve(sides.values()) as servers:

            def turn(name: str) -> Turn:
                return lambda: float(scene.load(servers[sides[name]], clients)["rate"])

            yield Sides({name: turn(name) for name in sides}, note=f"engine {scene.engine}", absent=absent)

    plural = "client" if clients == 1 else "clients"
    return Row(
        f"serve-{network.partition('_')[0]}-{backend}-{clients}", "ship",
        f"Serving {TITLES[network]}, {backend}, {clients} {plural}", "requests/s", "more", prepare, target=1.3,
    )  # fmt: skip


def overhead(network: str) -> Row:
    """A lone client's median latency less that of the engine."""

    def prepare(folder: Path) -> Iterator[Sides]:
        scene = Scene(folder, network, "auto")
        predictor = load(scene.bundle, backend="auto")
        image = predictor.preprocess.decode(scene.images[0], "the image")[None]

        def engine() -> None:
            predictor.logits(image)

        decoding = median_ms(lambda: predictor.preprocess.decode(scene.images[0], "the image"))
        rested = median_ms(engine, pause=PAUSE) - median_ms(engine)
        with scene.serve(["neocog"]) as servers:

            def turn() -> float:
                alone = median_ms(engine)
                return float(scene.load(servers["neocog"], 1)["p50"]) - alone

            note = (
                f"engine {scene.engine}; decoding takes {decoding:.2f} ms of it; after a pause of {1e3 * PAUSE:g} ms "
                f"the engine alone takes {rested:.2f} ms longer"
            )
            yield Sides({"Neocog": turn}, note=note)

    return Row(
        f"serve-overhead-{network.partition('_')[0]}", "ship",
        f"Time that `neocog serve` adds to the engine's, {TITLES[network]}", "ms", "less", prepare, limit=1.0,
    )  # fmt: skip


def median_ms(work: Callable[[], object], *, seconds: float = 0.3, pause: float = 0.0) -> float:
    """The median milliseconds of as many calls as there is time for, after a pause each."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        if pause:
            time.sleep(pause)
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return median(times)


ROWS = (
    compared("lenet5_relu", "eager", 16),
    *(compared("lenet5_relu", "auto", clients) for clients in (1, 16, 64)),
    *(compared("resnet18", "auto", clients) for clients in (1, 16)),
    overhead("lenet5_relu"),
    overhead("resnet18"),
)
