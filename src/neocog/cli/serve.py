"""`neocog serve`: networks as a service over HTTP."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neocog.cli.flags import Switch
from neocog.cli.stdout import write_address
from neocog.errors import ConfigError


def serve(
    *bundles: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    backend: str = "auto",
    workers: int = 1,
    threads: int | None = None,
    max_batch: int = 32,
    max_delay_ms: float = 2.0,
    queue: int = 256,
    timeout: float = 30.0,
    drain: float = 30.0,
    max_body_mb: float = 64.0,
    api_key_file: Path | None = None,
    public: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    drift: Annotated[bool, Parameter(negative="--no-drift")] = True,
    log_requests: Annotated[bool, Parameter(negative="--no-log-requests")] = True,
    json: Switch = False,
) -> None:
    """Serve networks over HTTP: files in, answers out; the Open Inference Protocol v2.

    neocog serve model.neocog
    neocog serve digits=runs/mnist-auto-1 cats:2=cats.neocog --workers 4
    curl -F file=@photo.jpg http://127.0.0.1:8000/predict

    Inputs of several requests are computed together. A bundle that changes
    is loaded again without a failed request; a broken one leaves the old one
    in place. Ctrl-C and SIGTERM finish what was accepted. /docs describes the
    routes, /metrics is for Prometheus, and /v2/health/ready asks each model
    for its golden sample. API keys come from a file or from NEOCOG_API_KEY.

    Parameters
    ----------
    bundles
        model.neocog files or run folders; NAME=PATH or NAME:VERSION=PATH names them.
    host
        The address to listen at; 0.0.0.0 for all networks.
    port
        The port; 0 for a free one.
    backend
        What computes: auto, eager, compiled, onnxruntime, openvino, ...
    workers
        Processes that serve, on one port; one that dies is started again.
    threads
        Threads of a worker's engine; by default the cores, shared by the workers.
    max_batch
        The most inputs that are computed at once.
    max_delay_ms
        The longest that an input waits for others, in milliseconds.
    queue
        Inputs of one model that may wait; more are answered with 503.
    timeout
        The longest that a request waits for its answer, in seconds.
    drain
        The longest that accepted requests may take when the server stops, in seconds.
    max_body_mb
        Megabytes that a request may send.
    api_key_file
        A file of keys, one each line; a request sends one as X-API-Key or as a bearer token.
    public
        Parts that need no key, beside health: metrics, docs.
    tls_cert
        The certificate chain for HTTPS, a PEM file.
    tls_key
        Its private key, a PEM file.
    drift
        Compare predictions and inputs with those that the network was measured on.
    log_requests
        Log each request on standard error, without its content.
    json
        Print the address as JSON on standard output once requests are answered.
    """
    try:
        from neocog.serving.auth import read_keys
        from neocog.serving.run import serve as run
        from neocog.serving.settings import ServeSettings
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Serving needs a web server.", received=f"no module {error.name}",
            fix="Install it: pip install 'neocog[serve]'",
        ) from error  # fmt: skip
    settings = ServeSettings(
        host=host, port=port, backend=backend, workers=workers, threads=threads, max_batch=max_batch,
        max_delay_ms=max_delay_ms, queue=queue, timeout_s=timeout, drain_s=drain, max_body=round(max_body_mb * 2**20),
        api_keys=read_keys(api_key_file), public=public, tls_cert=tls_cert, tls_key=tls_key, drift=drift,
        log_requests=log_requests,
    )  # fmt: skip
    run(bundles, settings, ready=write_address if json else None)
