"""LitServe with its default transport: an API process, and a worker process that computes.

python -m serve_apps.lit BUNDLE --port 8000 [--backend eager] [--batch 1] [--delay 0.005] [--workers 1]
"""

import argparse
from typing import Any

import litserve
import torch
from fastapi import Request
from torch import Tensor

from serve_apps.network import ServedNetwork


class Api(litserve.LitAPI):  # type: ignore[misc]
    """The steps of a request, as LitServe calls them in its worker."""

    def __init__(self, bundle: str, backend: str, batch: int, delay: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=delay if batch > 1 else 0.0)
        self.bundle, self.backend_name = bundle, backend

    def setup(self, device: str) -> None:
        """Load the network, in the worker."""
        self.network = ServedNetwork(self.bundle, self.backend_name)

    def decode_request(self, request: Request) -> Tensor:
        """The upload -> uint8 (C, H, W)."""
        return self.network.decode(request["file"].file.read())

    def batch(self, inputs: list[Tensor]) -> Tensor:
        """Images -> (N, C, H, W)."""
        return torch.stack(inputs)

    def predict(self, inputs: Tensor) -> Tensor:
        """An image, or a batch of them if LitServe collects batches, -> probabilities."""
        return self.network.scores(inputs) if inputs.ndim == 4 else self.network.scores(inputs[None])[0]

    def unbatch(self, outputs: Tensor) -> list[Tensor]:
        """Probabilities (N, K) -> N of (K,)."""
        return list(outputs)

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        """The answer."""
        return self.network.answer(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.005, help="seconds to wait for a batch")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    api = Api(given.bundle, given.backend, given.batch, given.delay)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=given.workers)
    server.run(port=given.port, host="127.0.0.1", log_level="warning", generate_client_file=False, access_log=False)


if __name__ == "__main__":
    main()
