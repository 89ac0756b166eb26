"""What a server writes on standard error."""

import json
import logging
from datetime import UTC, datetime

import pytest

from neocog.serving.logs import Log, UvicornHandler, request_id


@pytest.mark.parametrize("given", [b"a", b"7f3a-22", b"trace/1:2+3=", b"x" * 128])
def test_a_sane_request_id_is_taken_over(given: bytes) -> None:
    assert request_id(given) == given.decode()


@pytest.mark.parametrize("given", [None, b"", b"a b", b"a\nb", b"x" * 129, b"-a", "ü".encode(), b'"', b"<script>"])
def test_another_request_id_is_made(given: bytes | None) -> None:
    made = request_id(given)
    assert len(made) == 32
    assert made != request_id(given)


def test_a_line_is_one_json_object(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(human=False)
    log.always["worker"] = 3
    log.write("warning", "drift", model="a\nb", value=0.5)
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    found = json.loads(line)
    datetime.strptime(found.pop("time"), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert found == {"level": "warning", "event": "drift", "model": "a\nb", "value": 0.5, "worker": 3}


def test_a_readable_line_has_no_control_characters(capfd: pytest.CaptureFixture[str]) -> None:
    Log(human=True).write("error", "reload failed", reason="bad\x1b[31m\nline", model="")
    assert capfd.readouterr().err[9:] == "error reload failed reason=bad\\x1b[31m\\nline\n"


def test_lines_of_requests_are_written_together(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(human=False)
    for number in range(63):
        log.request("info", {"id": number})
    assert capfd.readouterr().err == ""
    log.request("info", {"id": 63})
    assert [json.loads(line)["id"] for line in capfd.readouterr().err.splitlines()] == list(range(64))


def test_levels_below_the_least_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(human=False, least="warning")
    log.write("info", "reloaded")
    log.request("info", {})
    log.flush()
    assert capfd.readouterr().err == ""


def test_a_reader_that_is_gone_raises_nothing() -> None:
    import os

    reading, writing = os.pipe()
    os.close(reading)
    Log(human=False, descriptor=writing).write("error", "x")
    os.close(writing)


def test_exceptions_of_the_web_server_come_with_their_trace(capfd: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("of this test")
    logger.addHandler(UvicornHandler(Log(human=False)))
    try:
        raise ValueError("a fault")
    except ValueError:
        logger.exception("Exception in ASGI application\n")
    found = json.loads(capfd.readouterr().err)
    assert (found["event"], found["level"], found["message"]) == ("server", "error", "Exception in ASGI application")
    assert found["trace"].endswith("ValueError: a fault")
