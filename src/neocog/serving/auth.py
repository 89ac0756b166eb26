"""Who may ask a server: whoever knows a key, sent as `X-API-Key: KEY` or `Authorization: Bearer KEY`.

Keys come from a file or from the environment, never from the command line, which every user of a machine can read.
They are compared in constant time, by their hashes, so that neither their content nor their length shows in the time
that a refusal takes.
"""

import hashlib
import hmac
import ipaddress
import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from neocog.errors import ConfigError
from neocog.serving.asgi import find_header, send_error

__all__ = ["ENVIRONMENT", "OPEN", "Auth", "check_tls", "is_loopback", "read_keys"]

ENVIRONMENT = "NEOCOG_API_KEY"
SHORTEST = 16  # characters of a key: 64 bits in hexadecimal
OPEN = ("/v2/health/live", "/v2/health/ready")
"""Paths that need no key, so that an orchestrator can ask them."""


def read_keys(path: Path | None, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The keys in a file, one each line, or in the environment; none if neither is given.

    Empty lines and those that start with # are skipped. Raises ConfigError for a file that can't be read, has no key,
    or a key that is short or has characters that no header carries.
    """
    if path is None:
        given, where = environment.get(ENVIRONMENT, ""), ENVIRONMENT
        if not given:
            return ()
    else:
        where = str(path)
        try:
            given = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(
                "API keys are read from a text file, one each line.", received=f"{path}: {reason}",
                fix="Check the path of --api-key-file.",
            ) from error  # fmt: skip
    lines = (line.strip() for line in given.splitlines())
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ConfigError("A file of API keys has a key in it.", received="none", where=where)
    for number, key in enumerate(keys, 1):
        if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigError(
                f"An API key has at least {SHORTEST} printable ASCII characters, and no spaces.",
                received=f"key {number}, of {len(key)} characters", where=where,
                fix="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )  # fmt: skip
    return keys


class Auth:
    """Lets requests with a key through; all others are answered with 401."""

    def __init__(self, app: ASGIApp, keys: Iterable[str], open_paths: Iterable[str] = OPEN) -> None:
        """`open_paths` need no key, nor does anything below one that ends in a slash."""
        self.app = app
        self.digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys)
        self.open_paths = frozenset(open_paths)
        self.open_folders = tuple(path for path in self.open_paths if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.is_open(scope["path"]) or self.knows(given_key(scope)):
            await self.app(scope, receive, send)
            return
        reason = "This server needs an API key: send it as X-API-Key, or as Authorization: Bearer."
        await send_error(send, 401, reason, {"www-authenticate": "Bearer"})

    def is_open(self, path: str) -> bool:
        """Whether a path needs no key."""
        return path in self.open_paths or path.startswith(self.open_folders)

    def knows(self, key: bytes) -> bool:
        """Whether this is one of the keys; all are compared, whichever fits."""
        digest = hashlib.sha256(key).digest()
        return sum(hmac.compare_digest(digest, known) for known in self.digests) > 0


def given_key(scope: Scope) -> bytes:
    """The key that a request carries; empty if none."""
    if (key := find_header(scope, b"x-api-key")) is not None:
        return key.strip()
    kind, _, token = (find_header(scope, b"authorization") or b"").strip().partition(b" ")
    return token.strip() if kind.lower() == b"bearer" else b""


def check_tls(certificate: Path, key: Path) -> None:
    """Raises ConfigError for files from which TLS can't be served, and says which one is wrong."""
    for what, path in (("certificate", certificate), ("key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"The {what} of TLS must be a PEM file that can be read.", received=f"{path}: {error.strerror}",
                fix=f"Check the path of --tls-{'cert' if what == 'certificate' else 'key'}.",
            ) from error  # fmt: skip

    def refuse_password() -> str:
        raise ConfigError(
            "The key of TLS must not be encrypted, since nobody is there to type its password.", received=str(key),
            fix="Write it decrypted, readable to the server alone: openssl pkey -in KEY -out KEY.plain",
        )  # fmt: skip

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=refuse_password)
    except ssl.SSLError as error:
        mismatch = "KEY_VALUES_MISMATCH" in (error.reason or "")
        received = "a key of another certificate" if mismatch else f"{certificate} and {key}: {error.reason or error}"
        raise ConfigError(
            "TLS needs a certificate and the key that belongs to it, both as PEM.", received=received,
            fix="Give the certificate chain as --tls-cert and its private key as --tls-key.",
        ) from error  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
