"""Hundreds of malformed requests to a server that runs as users run it, with good ones among them.

`bench/serve_faults.py` sends ten thousand, and does worse things.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from neocog.bundle import Predictor
from neocog.serving.app import answer_error
from serve_apps.connections import Good, connect, read_answer, send_once, status_of
from serve_apps.malformed import Malformed, fault_of, malformed_requests
from serve_apps.networks import NETWORKS, draw_images, probabilities, write_network
from serve_apps.requests import upload
from tests.support.serving import serving

NETWORK = "lenet5_relu"
COUNT = 300
IMAGES = draw_images(NETWORK, 8)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, Path]:
    path = tmp_path_factory.mktemp("bundle") / "digits.neocog"
    return write_network(path, NETWORK, IMAGES), path


@pytest.fixture(scope="module")
def port(network: tuple[Predictor, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with serving(tmp_path_factory.mktemp("server"), str(network[1]), "--no-log-requests") as server:
        yield int(server.address.rpartition(":")[2])
        assert server.process.poll() is None, "the server survived"
        assert server.end() == 0


def test_malformed_requests_have_a_reason_and_good_ones_right_answers(
    network: tuple[Predictor, Path], port: int
) -> None:
    predictor, _ = network
    goods = [Good(upload(image, "x.png", "image/png"), (probabilities(predictor, image) or {},)) for image in IMAGES]
    size, _, channels, _ = NETWORKS[NETWORK]
    cases = malformed_requests(COUNT, model="digits", size=(*size, channels), image=IMAGES[0], seed=1)
    statuses: dict[str, Counter[int]] = {}
    faults = []
    with connect(port) as steady:
        for index, case in enumerate(cases):
            answer = send_once(port, case.request, half_close=case.raw, seconds=20)
            statuses.setdefault(case.kind, Counter())[status_of(answer or b"")] += 1
            fault = fault_of(case, answer, lambda content: probabilities(predictor, content))
            faults += [f"{case.kind}: {fault}: {case.request[:200]!r}"] if fault else []
            if index % 10 == 0:
                good = goods[index // 10 % len(goods)]
                steady.sendall(good.request)
                wrong = good.fault(read_answer(steady, 20))
                assert not wrong
    assert not faults, "\n".join(faults)
    assert len(statuses) == 12
    assert sum(counts[400] for counts in statuses.values()) > COUNT / 2, statuses


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "no answer in time"),
        (b"", "closed without an answer"),
        (b"HTTP/1.1 500 X\r\n\r\n{}", "status 500"),
        (b"HTTP/1.1 422 X\r\n\r\n", "status 422 without a reason"),
        (b"HTTP/1.1 422 X\r\n\r\n{\"error\": \"why\"}", ""),
        (b"HTTP/1.1 200 X\r\n\r\n{}", "status 200 for a malformed request"),
    ],
)  # fmt: skip
def test_faults_of_answers_are_told(answer: bytes | None, fault: str) -> None:
    found = fault_of(Malformed("x", b"POST / HTTP/1.1\r\n\r\n"), answer, lambda _: None)
    assert found.startswith(fault) and bool(found) == bool(fault)


def test_files_are_judged_by_the_network() -> None:
    case = Malformed("x", b"POST / HTTP/1.1\r\n\r\n", content=b"file")
    cat = b'HTTP/1.1 200 X\r\n\r\n{"class": "cat", "probability": 0.9}'
    assert not fault_of(case, cat, lambda _: {"cat": 0.9, "dog": 0.1})
    assert fault_of(case, cat, lambda _: {"cat": 0.1, "dog": 0.9}).startswith("a wrong answer")
    assert fault_of(case, cat, lambda _: None).startswith("status 200 for a file that the network can't read")
    refused = b'HTTP/1.1 400 X\r\n\r\n{"error": "why"}'
    assert fault_of(case, refused, lambda _: {"cat": 0.9}).startswith("status 400 for a file that the network reads")


def test_want_of_memory_is_answered_with_503() -> None:
    for error in (MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")):
        answer = answer_error(error)
        assert answer.status == 503 and (b"retry-after", b"1") in answer.headers
        assert b"no memory for this request at the moment. Try again, or send smaller inputs." in answer.body
