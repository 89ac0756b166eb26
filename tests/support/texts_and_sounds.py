"""Texts and sounds with several labels, or numbers, for each sample: as small sources, seeded and in memory."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from neocog.dataset.record import Payload, Record

__all__ = ["Notes", "Tones"]

TOPICS = {
    "weather": ("rain", "wind", "sunny", "cloudy"),
    "food": ("bread", "soup", "dinner", "baker"),
    "travel": ("train", "ticket", "station", "journey"),
}
FILLERS = ("the", "a", "we", "was", "there", "then", "with")
RATE = 8000


class Rows:
    """Samples whose targets are rows of labels or of numbers; two in ten validate, two test."""

    format, modality = "rows", ""
    notices: tuple[str, ...] = ()
    classes: tuple[str, ...]
    targets: NDArray[Any]

    def __init__(self, task: str, num: int = 100) -> None:
        self.task: Any = task
        self.name = f"{type(self).__name__.lower()}-{task}"
        self.generator = np.random.default_rng(0)
        self.payloads: list[Payload] = []
        self.make(num)
        places = np.arange(num)
        self.splits = {"train": places[: num * 6 // 10], "val": places[num * 6 // 10 : num * 8 // 10],
                       "test": places[num * 8 // 10 :]}  # fmt: skip

    def make(self, num: int) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.payloads)

    def key(self, index: int) -> str:
        return f"row {index}"

    def content(self) -> Iterator[bytes]:
        return (one if isinstance(one, bytes) else str(one).encode() for one in self.payloads)

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.payloads[index], self.targets[index])


class Notes(Rows):
    """Sentences on some of three topics; the numbers depend on two of them."""

    modality = "text"

    def make(self, num: int) -> None:
        there = self.generator.random((num, 3)) < 0.5
        for row in there:
            topics = [words for words, said in zip(TOPICS.values(), row, strict=True) if said]
            words = [str(self.generator.choice(topic)) for topic in topics]
            words += self.generator.choice(FILLERS, 4).tolist()
            self.payloads.append(" ".join(self.generator.permutation(words).tolist()))
        several = self.task == "multi-label"
        self.classes = tuple(TOPICS) if several else ("sunshine [h]", "price [EUR]")
        self.targets = there.astype(np.float64) if several else 1 + there[:, :2] * np.array([6.0, 20.0])
        self.targets[3, 0] = np.nan  # not known


class Tones(Rows):
    """Noisy WAV files with some of three tones; the numbers are the pitch and the loudness of one tone."""

    modality = "audio"

    def make(self, num: int) -> None:
        times = np.arange(RATE // 2) / RATE
        several = self.task == "multi-label"
        there = self.generator.random((num, 3)) < 0.5
        pitch, decibels = self.generator.uniform(300, 1500, num), self.generator.uniform(-30, -6, num)
        for i in range(num):
            wave = 0.005 * self.generator.normal(size=len(times))
            tones = [(f, 0.2) for f in np.array([400, 900, 2000])[there[i]]] if several else []
            for hertz, height in tones or ([] if several else [(pitch[i], 10 ** (decibels[i] / 20))]):
                wave += height * np.sin(2 * np.pi * hertz * times)
            file = io.BytesIO()
            soundfile.write(file, wave.clip(-1, 1), RATE, format="WAV")
            self.payloads.append(file.getvalue())
        self.classes = ("low", "middle", "high") if several else ("pitch [Hz]", "loudness [dB]")
        self.targets = there.astype(np.float64) if several else np.stack([pitch, decibels], axis=1)
        self.targets[3, 0] = np.nan
