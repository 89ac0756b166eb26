"""`neocog serve`: checks what can be checked, binds the port, and runs one worker, or a supervisor of several."""

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from neocog.errors import ConfigError, did_you_mean
from neocog.serving.auth import ENVIRONMENT, check_tls, is_loopback
from neocog.serving.logs import Log
from neocog.serving.plan import PUBLIC, WorkerPlan, end_while_loading, handle_signals, own_signals
from neocog.serving.repository import parse_models
from neocog.serving.settings import ServeSettings
from neocog.serving.supervisor import Supervisor

__all__ = ["bind", "serve"]


def serve(
    bundles: Sequence[str | Path],
    settings: ServeSettings | None = None,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve bundles over HTTP until SIGTERM or Ctrl-C, and finish what was accepted.

    `bundles` are paths, NAME=PATH or NAME:VERSION=PATH; `ready` gets the address once requests are answered.
    Raises ConfigError if the port is taken or a TLS file is wrong, and BundleError for a broken bundle, before anything
    is served.
    """
    settings = settings or ServeSettings()
    models = tuple(parse_models([str(bundle) for bundle in bundles]))
    if not models:
        raise ConfigError("A server needs a bundle.", received="none", fix="Name a model.neocog.")
    for name in settings.public:
        if name not in PUBLIC:
            raise ConfigError(
                "The parts of a server that may be public are metrics and docs.",
                received=repr(name),
                fix=did_you_mean(name, PUBLIC),
            )
    if settings.tls_cert is not None and settings.tls_key is not None:
        check_tls(settings.tls_cert, settings.tls_key)
    listening = bind(settings.host, settings.port)
    folder = Path(tempfile.mkdtemp(prefix="neocog-serve-"))
    try:
        for part in ("metrics", "drift", "kept"):
            (folder / part).mkdir()
        plan = WorkerPlan(models=models, settings=settings, folder=folder, human=sys.stderr.isatty())
        with own_signals():
            run(plan, listening, ready)
    finally:
        listening.close()
        shutil.rmtree(folder, ignore_errors=True)


def run(plan: WorkerPlan, listening: socket.socket, ready: Callable[[str], None] | None) -> None:
    """Serve with one worker, here, or with several."""
    settings, log = plan.settings, Log(human=plan.human)
    address = address_of(listening, settings)
    warn_open(settings, log)

    def announce() -> None:
        names = [f"{name}:{version}" for name, version, _ in plan.models]
        log.write("info", "serving", address=address, models=names, workers=settings.workers)
        if ready:
            ready(address)

    if settings.workers > 1:
        Supervisor(plan, listening, announce).run()
        return
    handle_signals(end_while_loading)
    from neocog.serving.worker import Worker  # with torch, which a supervisor does without

    worker = Worker(plan, tell=announce)
    handle_signals(lambda _: worker.stop())
    worker.serve(listening)


def warn_open(settings: ServeSettings, log: Log) -> None:
    """Warn if others than this machine can ask, without a key, or read what is sent."""
    if is_loopback(settings.host):
        return
    if not settings.api_keys:
        log.write(
            "warning", "open to all", host=settings.host,
            fix=f"Set an API key: --api-key-file FILE, or {ENVIRONMENT} in the environment.",
        )  # fmt: skip
    if settings.tls_cert is None:
        log.write(
            "warning", "not encrypted", host=settings.host,
            fix="Give --tls-cert and --tls-key, or put a proxy that encrypts in front.",
        )  # fmt: skip


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound and not open yet: the workers open it once their models are loaded.

    Raises ConfigError if the address or the port can't be had.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            "The server needs an address of this machine.", received=f"--host {host} --port {port}: {reason(error)}",
            fix="Use 127.0.0.1, or 0.0.0.0 for all networks.",
        ) from error  # fmt: skip
    try:
        if sys.platform != "win32":  # there it would share a port that is taken
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
    except (OSError, OverflowError) as error:
        listening.close()
        raise ConfigError(
            "The server needs a free port.", received=f"--host {host} --port {port}: {reason(error)}",
            fix="Choose another one, or 0 for a free one.",
        ) from error  # fmt: skip
    listening.set_inheritable(True)
    return listening


def reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def address_of(listening: socket.socket, settings: ServeSettings) -> str:
    """The address under which the server is reached."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http{'s' if settings.tls_cert else ''}://{host}:{listening.getsockname()[1]}"
