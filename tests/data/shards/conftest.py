"""Small sets of shards, and a cache of their own for each test."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NEOCOG_CACHE", str(folder / "neocog"))
    return folder


def png_bytes(number: int, size: tuple[int, int] = (6, 8)) -> bytes:
    file = io.BytesIO()
    generator = np.random.default_rng(number)
    Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(file, "png")
    return file.getvalue()


def tar_bytes(members: dict[str, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    return png_bytes


@pytest.fixture(scope="session")
def tar() -> Callable[..., bytes]:
    return tar_bytes


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Two training shards of 5 and one test shard of 3 pictures, of 3 classes by number."""
    root = tmp_path / "foreign"
    root.mkdir()
    number = 0
    for name, count in (("train-000", 5), ("train-001", 5), ("test-000", 3)):
        members = {}
        for place in range(count):
            members |= {f"{place:04}.png": png_bytes(number), f"{place:04}.cls": str(number % 3).encode()}
            number += 1
        (root / f"{name}.tar").write_bytes(tar_bytes(members))
    return root
