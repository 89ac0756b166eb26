"""Measure `neocog serve` beside LitServe and a plain FastAPI app: requests/s, latencies, and overhead over the engine.

    python bench/serve.py [--backends eager auto] [--clients 1 4 16 64] [--rounds 3] [--seconds 4] --out serve.json

Each client on loopback uploads an image file, waits for the answer, and uploads the next. LeNet-5 gets PNGs of 28x28,
ResNet-18 JPEGs of 224x224. All servers load the same bundle with the same backend; the peers read files with Pillow.

    neocog           neocog serve, as it is
    neocog-2         the same with two workers
    litserve         LitServe with its default transport, without batching
    litserve-batch   LitServe that waits up to 5 ms for batches of 16
    plain            a FastAPI app with one process; the endpoint runs in FastAPI's threads
    plain-loop       the same; the endpoint computes in the event loop

All servers run from the beginning, and are stopped by a signal while they aren't measured. They take turns; a figure is
the median over rounds. Servers may use all processors; the clients are one thread on the last of them, whose own share
of it is noted. `processor ms` is the processor time of all processes of a server for one request. `ceiling` is what
these clients reach with an app that does nothing. Each answer is compared with the network's own. Overhead is a lone
client's median latency less that of the engine alone on the decoded image. The rows `serve-...` of the bench are a part
of this comparison, in minutes.

Targets: at least 1.3 times the better LitServe and 2 times the better plain app, at equal or lower p99; overhead at
most 1 ms.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from serve_apps.networks import NETWORKS, draw_images, write_network
from serve_apps.requests import is_right, upload
from serve_apps.running import COMMANDS, Server, environment
from serve_apps.tables import as_markdown

NUM_IMAGES = 32
PACKAGES = ("neocog", "litserve", "fastapi", "starlette", "uvicorn", "torch", "onnxruntime", "openvino")


def engine_alone(bundle: Path, image: Path, backend: str) -> dict[str, Any]:
    """The latency and the throughput of the engine without a server."""
    command = [
        sys.executable, "-m", "serve_apps.engine_alone", str(bundle), "--image", str(image), "--backend", backend
    ]  # fmt: skip
    found = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), check=True)
    return dict(json.loads(found.stdout))


def measure_network(name: str, backend: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures of a network with a backend."""
    images = draw_images(name, NUM_IMAGES)
    bundle = folder / f"{name}.neocog"
    expected = write_network(bundle, name, images)
    probabilities = [dict(zip(expected.classes, row, strict=True)) for row in expected.predict_proba(images)]
    kind = NETWORKS[name][-1]
    requests = [upload(image, f"image.{kind}", f"image/{kind}") for image in images]
    (folder / "image").write_bytes(images[0])
    measured: dict[str, dict[str, list[Any]]] = {}
    alone = []
    with ExitStack() as stack:
        servers = []
        for server_name in given.servers:
            server = stack.enter_context(Server(server_name, folder, bundle=str(bundle), backend=backend))
            server.wait_until_ready(requests[0])
            server.signal(signal.SIGSTOP)
            servers.append(server)
        for turn in range(given.rounds):
            alone.append(engine_alone(bundle, folder / "image", backend))
            for clients in given.clients:
                for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                    found = server.measure(requests, clients, given.seconds)
                    found["wrong"] = count_wrong(server.name, found.pop("answers"), probabilities)
                    measured.setdefault(server.name, {}).setdefault(str(clients), []).append(found)
                    print(f"  {name} {backend} {server.name} {clients}: {found}", file=sys.stderr)
    medians = {one: {clients: median_of(runs) for clients, runs in each.items()} for one, each in measured.items()}
    return {"network": name, "backend": backend, "alone": median_of(alone), "servers": medians}


def count_wrong(server: str, answers: list[tuple[int, str]], expected: list[dict[str, float]]) -> int:
    """How many different answers do not agree with the network's own."""
    if server == "trivial":
        return 0
    return sum(not is_right(body, expected[number]) for number, body in answers)


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure; the sum of counts of what went wrong; statuses added up."""
    result: dict[str, Any] = {}
    for key, value in runs[0].items():
        values = [run[key] for run in runs]
        if isinstance(value, dict):
            kinds = dict.fromkeys(kind for each in values for kind in each)
            whole = key == "statuses"
            result[key] = {
                kind: (sum if whole else statistics.median)([each.get(kind, 0) for each in values]) for kind in kinds
            }
        else:
            result[key] = sum(values) if key in ("wrong", "broken") else statistics.median(values)
    return result


def machine(names: Iterable[str]) -> dict[str, Any]:
    """The processor, the number of processors that we may use, and the versions."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return {"processor": processor, "cpus": cpus, "load": os.getloadavg()[0], "versions": versions}


def measure_ceiling(given: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Requests/s of these clients with a server that does nothing, for each number of them."""
    request = upload(bytes(800), "image.png", "image/png")
    with Server("trivial", folder) as server:
        server.wait_until_ready(request)
        return {str(clients): server.measure([request], clients, 2.0)["rate"] for clients in given.clients}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--backends", nargs="+", default=["eager", "auto"])
    parser.add_argument("--servers", nargs="+", default=[name for name in COMMANDS if name != "trivial"])
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=Path("serve.json"))
    given = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = {"machine": machine(PACKAGES), "ceiling": measure_ceiling(given, folder)}
        result["figures"] = [
            measure_network(network, backend, given, folder) for network in given.networks for backend in given.backends
        ]
    result["minutes"] = (time.monotonic() - begin) / 60
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    text = as_markdown(result)
    given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
