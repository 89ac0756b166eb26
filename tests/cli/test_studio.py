"""`neocog studio`: started, stopped and refused as a user meets it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from neocog.cli import main

SOURCE = Path(__file__).parents[2] / "src"


# A shell tells what it starts in the background to ignore Ctrl-C, and so the processes of tests that run there.
INTERRUPTIBLE = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


def start(*arguments, prelude=""):
    """`neocog studio --json` in a process, and the address that it prints."""
    run = "from neocog.cli import main\nsys.exit(main(['studio', '--no-browser', *sys.argv[1:]]))"
    code = f"{INTERRUPTIBLE}{prelude}\n{run}"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    line = process.stdout.readline()
    return process, json.loads(line)["address"] if line else ""


# A route that computes for a minute, as a large view may.
SLOW = """
import time, neocog.studio.app as app
def slow():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        sum(range(100000))
app.overview = slow
"""


def test_ctrl_c_ends_it_at_once_even_while_it_computes():
    process, address = start(prelude=SLOW)
    token = address.partition("token=")[2]
    number = int(re.search(r":(\d+)/", address)[1])
    with process, socket.create_connection(("127.0.0.1", number)) as asking:
        request = f"GET /api/overview HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\nx-neocog-token: {token}\r\n\r\n"
        asking.sendall(request.encode())
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert errors.splitlines() == [f"Studio: {address}", "Ctrl-C ends it.", "Stopped."]


def test_port_that_is_taken_is_said(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["studio", "--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"The Studio needs a free port. Received: --port {port}: Address already in use." in said
    assert "Choose another one, or leave it out." in said
    assert main(["studio", "--no-browser", "--port", "70000"]) == 2
    assert "port must be 0-65535" in capsys.readouterr().err


def test_missing_extra_is_said(capsys, monkeypatch):
    for name in [
        each for each in sys.modules if each.startswith("neocog.studio") or each.partition(".")[0] == "fastapi"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["studio"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "The Studio needs a web server." in said and "pip install 'neocog[studio]'" in said


def test_broken_bundle_is_said_before_anything_is_served(capsys, tmp_path):
    (tmp_path / "a.neocog").write_bytes(b"PK\x03\x04 not a bundle")
    assert main(["studio", "--no-browser", str(tmp_path / "a.neocog")]) == 2
    assert "a.neocog" in capsys.readouterr().err


def test_help_names_the_screens(capsys):
    assert main(["studio", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(screen in said for screen in ("Bench", "Anatomy", "Image", "Filter", "Runs", "Lessons"))
