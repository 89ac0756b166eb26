"""Memory of a network on this machine: its ONNX and int8 graphs, and which engine is the fastest.

Files lie in `cache_dir("engines", DIGEST)`, by the network's digest, and are named by all that they depend on: the
shape of an input, the processor, the threads and the versions of the programs. Each begins with the SHA-256 of its
content; a file that is damaged, or was made by something else, counts as missing.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from neocog import __version__
from neocog.errors import StorageError
from neocog.files import cache_dir, write_whole
from neocog.modalities.preprocess import Preprocess

__all__ = ["Store", "digest_of", "environment", "pack", "unpack", "versions"]

MAGIC = b"neocog engine 1\n"
PROGRAMS = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True, slots=True)
class Store:
    """The files of one network."""

    digest: str

    def path(self, name: str, about: dict[str, Any]) -> Path:
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        return cache_dir("engines", self.digest[:32], f"{name}-{key}")

    def read(self, name: str, about: dict[str, Any]) -> bytes | None:
        """The content that was written under this name for just this; None if there is none that is whole."""
        try:
            content = self.path(name, about).read_bytes()
        except OSError:
            return None
        head, rest = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
        return rest if head == MAGIC + hashlib.sha256(rest).digest() else None

    def write(self, name: str, about: dict[str, Any], content: bytes) -> bool:
        """Whether the content could be kept; where it can't, it is made again the next time."""
        path = self.path(name, about)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, MAGIC + hashlib.sha256(content).digest() + content)
        except (OSError, StorageError):
            return False
        return True


def digest_of(model: nn.Module, preprocess: Preprocess) -> str:
    """The SHA-256 of a network's modules, tensors and preprocessing, in hexadecimal digits."""
    found = hashlib.sha256(repr(model).encode())
    found.update(json.dumps(preprocess.to_json(), sort_keys=True, default=str).encode())
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


@cache
def versions() -> dict[str, str]:
    """The versions of the programs that engines are made of; those that are not installed are left out."""
    found = {"neocog": __version__}
    for program in PROGRAMS:
        try:
            found[program] = version(program)
        except PackageNotFoundError:
            continue
    return found


def environment(threads: int) -> dict[str, Any]:
    """The facts that a measurement of speed depends on, besides the network."""
    known = torch.cpu.get_capabilities()
    return {"cpu": str(known.get("cpu_name", known.get("architecture"))), "threads": threads, "versions": versions()}


def pack(parts: list[bytes]) -> bytes:
    """Several contents as one: each with its length before it."""
    return b"".join(struct.pack("<Q", len(part)) + part for part in parts)


def unpack(content: bytes) -> list[bytes]:
    """The inverse of `pack`.

    >>> unpack(pack([b"one", b""]))
    [b'one', b'']
    """
    parts, start = [], 0
    while start < len(content):
        (size,) = struct.unpack_from("<Q", content, start)
        parts.append(content[start + 8 : start + 8 + size])
        start += 8 + size
    return parts
