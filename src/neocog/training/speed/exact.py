"""Arithmetic that gives the same bits each time, and no rounding beyond float32."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["exact_arithmetic"]


def switches() -> list[Any]:
    """torch's settings by which float32 may be computed from rounded inputs, such as TF32 on a GPU."""
    backends = torch.backends
    return [
        backends.cuda.matmul,
        backends.cudnn.conv,  # type: ignore[attr-defined]
        backends.cudnn.rnn,
        backends.mkldnn.matmul,  # type: ignore[attr-defined]
        backends.mkldnn.conv,  # type: ignore[attr-defined]
    ]


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Within this block torch takes deterministic algorithms alone, and float32 is float32; then all is as before.

    An operation that has no deterministic algorithm raises RuntimeError, with its name.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    precisions = [switch.fp32_precision for switch in switches()]
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else products on a GPU refuse
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        for switch in switches():
            switch.fp32_precision = "ieee"
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        for switch, precision in zip(switches(), precisions, strict=True):
            switch.fp32_precision = precision
