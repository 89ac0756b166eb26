"""The end of a server: accepted requests are answered, and signals mean what they should."""

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from neocog.cli import main
from tests.serving.test_workers_process import BODY, INFER
from tests.support.serving import serving, small_bundle, until


def test_sigterm_under_load_loses_no_accepted_request_over_tls(tmp_path: Path, pems: Path) -> None:
    bundle = small_bundle(tmp_path / "digits.neocog")
    tls = ["--tls-cert", str(pems / "one.pem"), "--tls-key", str(pems / "one.key")]
    lost: list[str] = []
    answered = [0]

    def load() -> None:
        with httpx.Client(base_url=server.address, timeout=20, verify=False) as client:
            while True:
                try:
                    answer = client.post(INFER, json=BODY)
                except httpx.ConnectError:  # the port is closed: not accepted
                    return
                except httpx.HTTPError as error:
                    lost.append(repr(error))
                    return
                answered[0] += 1
                if answer.status_code != 200:
                    lost.append(answer.text)

    with serving(tmp_path, str(bundle), "--drain", "3", *tls, tls=True) as server:
        plain = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])))
        stuck = ssl._create_unverified_context().wrap_socket(plain)
        stuck.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        threads = [threading.Thread(target=load) for _ in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: answered[0] > 30, 20)
        began = time.monotonic()
        code = server.end(signal.SIGTERM)
        seconds = time.monotonic() - began
        for thread in threads:
            thread.join(20)
        stuck.close()
        assert server.address.startswith("https://127.0.0.1:")
        assert code == 0, server.log_path.read_text()[-2000:]
        assert lost == []
        assert 2.5 < seconds < 8, "a request that never arrives whole is given --drain seconds"
        events = [line["event"] for line in server.log()]
        assert events.count("draining") == 1
        assert "drain timed out" in events


SIGNALS = """
import sys, time
from neocog.serving.plan import handle_signals
handle_signals(lambda number: print("draining", number, flush=True))
print("up", flush=True)
time.sleep(30)
"""


def test_the_second_signal_ends_the_process_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", SIGNALS], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "draining 2\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 128 + signal.SIGTERM


def test_a_broken_bundle_is_one_clear_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = small_bundle(tmp_path / "digits.neocog")
    content = bytearray(bundle.read_bytes())
    content[3000] ^= 1
    bundle.write_bytes(content)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["serve", str(bundle), "--port", "0", "--backend", "eager"]) == 2
    assert "was changed or damaged after it was written" in capfd.readouterr().err.replace("\n", " ")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_in_use_is_one_clear_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle = small_bundle(tmp_path / "digits.neocog")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", str(bundle), "--port", str(taken.getsockname()[1])]) == 2
    assert capfd.readouterr().err.startswith("error: The server needs a free port.")
