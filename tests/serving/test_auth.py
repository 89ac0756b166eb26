"""Keys, TLS files, and the addresses that a server binds."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from neocog.errors import ConfigError
from neocog.serving.auth import Auth, check_tls, is_loopback, read_keys
from neocog.serving.logs import Log
from neocog.serving.run import bind, serve, warn_open
from neocog.serving.settings import ServeSettings

KEY, OTHER = "k" * 20, "o" * 16


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


def status(path: str, **headers: str) -> int:
    """Of the answer to a request with these headers."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "path": path, "headers": pairs}
    asyncio.run(Auth(app, (KEY, OTHER))(scope, receive, send))
    found: int = sent[0]["status"]
    if found == 401:
        assert (b"www-authenticate", b"Bearer") in sent[0]["headers"]
        assert b"This server needs an API key: send it as X-API-Key, or as Authorization: Bearer." in sent[1]["body"]
    return found


def test_a_request_needs_a_key() -> None:
    assert status("/predict", x_api_key=KEY) == 200
    assert status("/predict", x_api_key=OTHER) == 200
    assert status("/predict", authorization=f"bearer {KEY}") == 200
    assert status("/predict") == 401
    assert status("/predict", x_api_key=KEY[:-1]) == 401
    assert status("/predict", x_api_key="") == 401
    assert status("/predict", authorization=f"Basic {KEY}") == 401
    assert status("/predict", x_api_key="wrong", authorization=f"Bearer {KEY}") == 401
    assert status("/metrics") == status("/docs") == status("/v2/health/ready/../../models") == 401


def test_health_is_open() -> None:
    assert status("/v2/health/live") == status("/v2/health/ready") == 200


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# for the shop\n{KEY}\n\n  {OTHER}  \n")
    assert read_keys(file, {}) == (KEY, OTHER)
    assert read_keys(None, {"NEOCOG_API_KEY": KEY}) == (KEY,)
    assert read_keys(None, {}) == ()


@pytest.mark.parametrize(("content", "sentence"), [
    ("# nothing\n", "A file of API keys has a key in it."),
    (f"{KEY}\nshort\n", "An API key has at least 16 printable ASCII characters, and no spaces. .*key 2, of 5 char"),
    (f"{KEY} {KEY}", "no spaces"),
])  # fmt: skip
def test_a_file_without_good_keys_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_keys(file, {})
    assert KEY not in str(caught.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="API keys are read from a text file, one each line.*No such file"):
        read_keys(tmp_path / "none")


def test_tls_files_that_do_not_serve_are_refused(pems: Path, tmp_path: Path) -> None:
    check_tls(pems / "one.pem", pems / "one.key")
    with pytest.raises(ConfigError, match="Received: a key of another certificate"):
        check_tls(pems / "one.pem", pems / "two.key")
    with pytest.raises(ConfigError, match="The key of TLS must be a PEM file that can be read.*none: No such file"):
        check_tls(pems / "one.pem", tmp_path / "none")
    with pytest.raises(ConfigError, match="TLS needs a certificate and the key that belongs to it, both as PEM"):
        check_tls(pems / "one.key", pems / "one.key")
    with pytest.raises(ConfigError, match="must not be encrypted"):
        check_tls(pems / "one.pem", pems / "locked.key")


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"needs a free port.*--port {port}: Address already in use.*or 0 for"):
            bind("127.0.0.1", port)
    with pytest.raises(ConfigError, match="The server needs a(n address of this machine| free port)"):
        bind("203.0.113.7", 0)
    with bind("127.0.0.1", 0) as free:
        assert free.getsockname()[1] > 0


def test_what_is_served_is_checked_before_the_port_is_bound(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="A server needs a bundle"):
        serve([])
    with pytest.raises(
        ConfigError, match="The parts of a server that may be public are.*'metric'.*Did you mean 'metrics'"
    ):
        serve([tmp_path / "a.neocog"], ServeSettings(public=("metric",)))


def test_other_addresses_without_key_or_tls_are_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    warn_open(ServeSettings(), Log(human=True))
    assert capfd.readouterr().err == ""
    warn_open(ServeSettings(host="0.0.0.0"), Log(human=True))
    said = capfd.readouterr().err
    assert "warning open to all host=0.0.0.0 fix=Set an API key: --api-key-file FILE, or NEOCOG_API_KEY" in said
    assert "warning not encrypted host=0.0.0.0 fix=Give --tls-cert and --tls-key" in said
    warn_open(ServeSettings(host="0.0.0.0", api_keys=(KEY,), tls_cert=Path("a"), tls_key=Path("b")), Log(human=True))
    assert capfd.readouterr().err == ""


def test_loopback_addresses() -> None:
    assert [is_loopback(host) for host in ("::1", "127.9.9.9", "::", "example.org")] == [True, True, False, False]
