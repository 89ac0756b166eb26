"""Small sets to examine: images that are all different, and sources that hold whatever a test needs."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.data import Record
from neocog.doctor import check


def noise(seed: int, height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    """Smooth noise, in which no two seeds look alike."""
    generator = np.random.default_rng(seed)
    rough = generator.integers(0, 256, (6, 6, channels), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(rough[..., c]).resize((width, height), Image.BICUBIC)) for c in range(channels)
    ]
    return np.stack(planes, axis=2) if channels > 1 else planes[0]


@dataclass
class Memory:
    """A source in memory: payloads, targets and splits as given."""

    payloads: list
    labels: list = field(default_factory=list)
    splits: dict = field(default_factory=dict)
    classes: tuple = ("a", "b")
    modality: str = "image"
    task: str = "classification"
    keys: list | None = None
    name: str = "memory"
    format: str = "memory"
    notices: tuple = ()

    def __post_init__(self):
        self.labels = self.labels or [i % len(self.classes) for i in range(len(self.payloads))]
        self.splits = {k: np.asarray(v, np.int64) for k, v in (self.splits or {"all": range(len(self))}).items()}
        plain = all(isinstance(label, int) for label in self.labels)
        self.targets = np.array(self.labels) if plain else np.full(len(self), -1)

    def __len__(self):
        return len(self.payloads)

    def key(self, index):
        return self.keys[index] if self.keys else f"record {index}"

    def content(self):
        return iter(())

    def read(self, index):
        if isinstance(self.payloads[index], Exception):
            raise self.payloads[index]
        return Record(self.key(index), self.payloads[index], self.labels[index])


def write_image(path: Path, seed: int, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = {key: options.pop(key) for key in ("height", "width", "channels") if key in options}
    Image.fromarray(noise(seed, **size)).save(path, **options)
    return path


@pytest.fixture(scope="session")
def noisy():
    return noise


@pytest.fixture(scope="session")
def memory():
    return Memory


@pytest.fixture(scope="session")
def save():
    return write_image


@pytest.fixture
def clean(tmp_path):
    """Two classes, three splits, all of one size, nothing wrong; 12 training images of each class."""
    root, seed = tmp_path / "clean", 0
    for split, count in (("train", 12), ("val", 3), ("test", 3)):
        for name in ("cat", "dog"):
            for i in range(count):
                write_image(root / split / name / f"{split}{i}.png", seed)
                seed += 1
    return root


@pytest.fixture(scope="session")
def found():
    """Examine, and give the findings by kind."""

    def examine(data, **options):
        return {finding.kind: finding for finding in check(data, **options).findings}

    return examine


@pytest.fixture(scope="session")
def keys():
    def of(finding):
        return [example.key for example in finding.examples]

    return of
