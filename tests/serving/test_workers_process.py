"""A server of two workers as a process: figures, a killed worker, reload under load, keys."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.serving.test_metrics import value
from tests.support.serving import Running, digits, serving, small_bundle, until, workers_of

KEY = "a key of this test".replace(" ", "-")
AUTH = {"x-api-key": KEY}
INFER = "/v2/models/digits/infer"
BODY = {
    "inputs": [
        {"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 1], "data": digits()[0].ravel().tolist()}
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    small_bundle(folder / "other.neocog", seed=1)
    bundle = small_bundle(folder / "digits.neocog")
    with serving(folder, str(bundle), "--workers", "2", keys=KEY) as running:
        running.client.headers.update(AUTH)
        yield running
        assert running.end(signal.SIGTERM) == 0


def metrics(server: Running) -> bytes:
    return server.client.get("/metrics").content


def added(first: bytes, last: bytes, name: str, **labels: str) -> float:
    """By how much a figure has grown."""
    return value(last, name, **labels) - value(first, name, **labels)


def probabilities(client: httpx.Client) -> list[float]:
    answer = client.post(INFER, json=BODY)
    assert answer.status_code == 200, answer.text
    outputs: dict[str, list[float]] = {each["name"]: each["data"] for each in answer.json()["outputs"]}
    return outputs["probabilities"]


def test_both_workers_answer_and_are_added_up(server: Running) -> None:
    until(server.ready, 5)
    labels = {"model": "digits", "route": "/v2/models/{name}/infer", "status": "200"}
    with httpx.Client(base_url=server.address, headers=AUTH) as client:
        probabilities(client)  # so that its figures exist
    time.sleep(0.1)
    first = metrics(server)
    for _ in range(40):  # each on a connection of its own, so that both workers get some
        with httpx.Client(base_url=server.address, headers=AUTH) as client:
            probabilities(client)
    text = metrics(server)
    latency = {"model": "digits", "route": labels["route"]}
    assert added(first, text, "neocog_requests_total", **labels) == 40
    assert added(first, text, "neocog_batch_size_sum", model="digits") == 40
    assert added(first, text, "neocog_request_seconds_count", **latency) == 40
    assert [value(text, "neocog_worker_up", worker=slot) for slot in "01"] == [1, 1]
    server.client.get("/v2/health/live")
    until(lambda: len([line for line in server.log() if line.get("route") == labels["route"]]) >= 41, 3)
    assert {line["worker"] for line in server.log() if line.get("route") == labels["route"]} == {0, 1}


def test_a_key_is_asked_and_never_logged(server: Running) -> None:
    without = httpx.get(f"{server.address}/v2", headers={"x-request-id": "mine-1"})
    assert (without.status_code, without.headers["x-request-id"]) == (401, "mine-1")
    assert httpx.get(f"{server.address}/metrics").status_code == 401
    assert httpx.get(f"{server.address}/v2/health/live").status_code == 200
    until(lambda: any(line.get("id") == "mine-1" for line in server.log()), 3)
    text = server.log_path.read_text()
    assert KEY not in text
    assert "data" not in {name for line in server.log() for name in line}
    assert KEY not in " ".join(psutil.Process(workers_of(server.process)[0]).cmdline())


def test_a_killed_worker_is_seen_within_a_second_and_replaced(server: Running) -> None:
    until(server.ready, 10)
    victim = workers_of(server.process)[0]
    os.kill(victim, signal.SIGKILL)

    def not_ready() -> bool:
        try:
            return httpx.get(f"{server.address}/v2/health/ready").status_code == 503
        except httpx.TransportError:  # the connection was the dead worker's
            return False

    assert until(not_ready, 2) < 1
    with httpx.Client(base_url=server.address, headers=AUTH) as client:
        probabilities(client)  # the other one answers
    until(lambda: victim not in workers_of(server.process) and len(workers_of(server.process)) == 2, 10)

    def both_up() -> bool:
        with httpx.Client(base_url=server.address, headers=AUTH) as client:
            text = client.get("/metrics").content
        return value(text, "neocog_worker_up", worker="0") + value(text, "neocog_worker_up", worker="1") == 2

    until(both_up, 40)
    assert until(lambda: httpx.get(f"{server.address}/v2/health/ready").status_code == 200, 10) < 5
    (line,) = [line for line in server.log() if line["event"] == "worker died"]
    assert (line["reason"], line["while_starting"]) == ("killed by SIGKILL", False)
    labels = {"model": "digits", "route": "/v2/models/{name}/infer", "status": "200"}
    assert value(metrics_of(server), "neocog_requests_total", **labels) >= 1


def test_inputs_that_drift_are_warned_of(server: Running) -> None:
    until(lambda: httpx.get(f"{server.address}/v2/health/ready").status_code == 200, 40)
    black = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [8, 32, 32, 1], "data": [0] * 8192}]}
    with httpx.Client(base_url=server.address, headers=AUTH, timeout=20) as client:
        for _ in range(40):
            assert client.post(INFER, json=black).status_code == 200
    until(lambda: any(line["event"] == "drift" and line["kind"] == "inputs" for line in server.log()), 20)
    text = metrics_of(server)
    labels = {"model": "digits", "kind": "inputs"}
    assert value(text, "neocog_drift", **labels) > value(text, "neocog_drift_limit", **labels)


def metrics_of(server: Running) -> bytes:
    return httpx.get(f"{server.address}/metrics", headers=AUTH).content


def test_reload_under_load_fails_no_request(server: Running, folder: Path) -> None:
    until(lambda: httpx.get(f"{server.address}/v2/health/ready").status_code == 200, 40)
    stop, faults, seen = threading.Event(), [], [0]

    def load() -> None:
        with httpx.Client(base_url=server.address, headers=AUTH, timeout=20) as client:
            while not stop.is_set():
                try:
                    answer = client.post(INFER, json=BODY)
                    seen[0] += 1
                    if answer.status_code != 200:
                        faults.append(answer.text)
                except httpx.HTTPError as error:
                    faults.append(repr(error))

    def reloads(outcome: str, count: int) -> bool:
        text = metrics_of(server).decode()
        return f'neocog_reloads_total{{model="digits",outcome="{outcome}"}} {count}.0' in text

    with httpx.Client(base_url=server.address, headers=AUTH) as client:
        before = probabilities(client)
    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        replace_file(folder / "digits.neocog", (folder / "other.neocog").read_bytes())
        until(lambda: reloads("loaded", 2), 20)  # both workers
        broken = bytearray((folder / "other.neocog").read_bytes())
        broken[5000] ^= 1
        replace_file(folder / "digits.neocog", bytes(broken))
        until(lambda: reloads("failed", 2), 20)
        assert httpx.get(f"{server.address}/v2/health/ready").status_code == 200
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert seen[0] > 20
    with httpx.Client(base_url=server.address, headers=AUTH) as client:
        after = probabilities(client)
    assert after != pytest.approx(before, abs=1e-3)
    failed: list[Any] = [line for line in server.log() if line["event"] == "reload failed"]
    assert sorted(line["worker"] for line in failed) == [0, 1]
    assert "SHA-256" in failed[0]["reason"]

    os.kill(workers_of(server.process)[0], signal.SIGKILL)  # its place is taken with what worked last
    until(lambda: any(line["event"] == "bundle broken" for line in server.log()), 40)
    until(lambda: httpx.get(f"{server.address}/v2/health/ready").status_code == 200, 40)
    for _ in range(10):
        with httpx.Client(base_url=server.address, headers=AUTH) as client:
            assert probabilities(client) == pytest.approx(after, abs=1e-5)


def replace_file(path: Path, content: bytes) -> None:
    """In one step, as a deployment does."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
