"""The settings of a server."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from neocog.errors import ConfigError

__all__ = ["ServeSettings"]

MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeSettings:
    """How a server listens, batches, and bounds what it accepts.

    >>> ServeSettings(max_batch=0)
    Traceback (most recent call last):
    neocog.errors.ConfigError: max_batch must be at least 1. Received: 0.
    """

    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for all of this machine."""
    port: int = 8000
    """The port; 0 for a free one."""
    backend: str = "auto"
    """The engine that computes the network; as in `neocog.load`."""
    threads: int | None = None
    """That the engine computes with; by default one for each core, shared by the workers."""
    workers: int = 1
    """Processes that serve."""
    max_batch: int = 32
    """The most inputs that are computed at once."""
    max_delay_ms: float = 2.0
    """The longest that an input waits, in milliseconds, for others that are being decoded while the engine is free."""
    queue: int = 256
    """Inputs of one model that may wait; more are answered with 503 and Retry-After."""
    timeout_s: float = 30.0
    """The longest that a request waits for its answer, in seconds; then it is answered with 504."""
    drain_s: float = 30.0
    """The longest that accepted requests are given when the server stops, in seconds."""
    max_body: int = 64 * MIB
    """Bytes of a request's body, after decompression."""
    max_pixels: int = 40_000_000
    """Of an image; larger ones are refused before they are decoded."""
    max_json_depth: int = 32
    """Levels of lists and objects in JSON."""
    max_inputs: int = 256
    """Inputs in one request."""
    decoders: int = 2
    """Threads that decode files."""
    explain: bool = True
    """Whether /explain answers."""
    api_keys: tuple[str, ...] = ()
    """Any of which a request must carry, if there are some."""
    public: tuple[str, ...] = ()
    """Parts that need no key, beside /v2/health: "metrics", "docs"."""
    drift: bool = True
    """Whether predictions and inputs are compared with those that the network was measured on."""
    log_requests: bool = True
    """Whether each request is a line in the log."""
    tls_cert: Path | None = None
    """The certificate chain of the server, a PEM file."""
    tls_key: Path | None = None
    """The private key of the certificate, a PEM file."""

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} must be at least {least}.", received=f"{value}")
        if self.port > LAST_PORT:  # the system would take the number without its upper bits
            raise ConfigError(f"port must be at most {LAST_PORT}.", received=f"{self.port}")
        if (self.tls_cert is None) != (self.tls_key is None):
            given = "only a certificate" if self.tls_key is None else "only a key"
            raise ConfigError("TLS needs a certificate and its key.", received=given, fix="Name both files.")

    def to_json(self) -> dict[str, Any]:
        """The settings without the keys."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "api_keys"}


LAST_PORT = 65535
LEAST: dict[str, int] = {
    "port": 0, "threads": 1, "workers": 1, "max_batch": 1, "max_delay_ms": 0, "queue": 1, "timeout_s": 0, "drain_s": 0,
    "max_body": 1, "max_pixels": 1, "max_json_depth": 1, "max_inputs": 1, "decoders": 1,
}  # fmt: skip
