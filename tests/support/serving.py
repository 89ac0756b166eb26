"""Servers in tests: a small bundle, and `neocog serve` as a process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from neocog.bundle import read_sealed, write_sealed
from neocog.bundle.reference import measure_reference
from neocog.modalities.image.arrays import ArraySource
from tests.support.untrained import write_untrained

__all__ = ["Running", "digits", "serving", "small_bundle", "until", "workers_of"]


def digits(seed: int = 0, count: int = 12) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random grey images of 32x32."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32), np.uint8)


def small_bundle(path: Path, seed: int = 0) -> Path:
    """A LeNet with weights of this seed, measured on noise."""
    import torch

    source = ArraySource("noise", {"train": (digits(), np.arange(12) % 3)}, ("a", "b", "c"))

    def change(model: torch.nn.Module) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1

    predictor = write_untrained(path, "lenet5", source, change=change)
    decoded = torch.stack([predictor.preprocess.decode(image) for image in digits(1, 300)])
    found = measure_reference(predictor.task, predictor.logits(decoded), decoded)
    members = read_sealed(path)
    manifest = json.loads(members["manifest.json"]) | {"reference": found.to_json()}
    write_sealed(path, members | {"manifest.json": json.dumps(manifest).encode()})
    return path


@dataclass
class Running:
    """A server that runs, and how it ends."""

    process: "subprocess.Popen[bytes]"
    address: str
    log_path: Path
    client: httpx.Client = field(repr=False)

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log_path.read_text().splitlines() if line.startswith("{")]

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self.client.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, keys: str | None = None, tls: bool = False) -> Iterator[Running]:
    """`neocog serve` with these arguments, on a free port."""
    log_path = folder / "server.log"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"NEOCOG_API_KEY": keys} if keys else {})}
    command = [sys.executable, "-m", "neocog", "serve", *arguments, "--port", "0", "--json", "--backend", "eager"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended: {log_path.read_text()[-2000:]}"
        address = json.loads(line)["address"]
        with httpx.Client(base_url=address, timeout=20, verify=not tls) as client:
            yield Running(process, address, log_path, client)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(holds: Any, seconds: float) -> float:
    """Wait until a function gives something true, and return the seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(0.01)
    return time.monotonic() - began


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """The processes of a server's workers."""
    import psutil

    children = psutil.Process(process.pid).children()
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
