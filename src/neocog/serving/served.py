"""A network that is served: a bundle, its engine, and the batcher between requests and engine."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from torch import Tensor

from neocog.bundle import Predictor, load
from neocog.bundle.format import decode_golden
from neocog.bundle.interface import input_spec, output_specs
from neocog.bundle.predictor import Failure, Raw
from neocog.bundle.seal import read_sealed
from neocog.dataset.record import Payload
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.serving.batcher import Batcher, Work
from neocog.serving.observer import Observer, Silent
from neocog.serving.settings import ServeSettings
from neocog.tasks import DenseTask, Prediction

__all__ = ["BrokenError", "Served", "load_served"]

RELATIVE, ABSOLUTE = 1e-2, 1e-3  # by which a golden logit may differ in another batch, for engines of few bits, too
DENSE, TENSORS = "dense", "tensors"
WARM_UP = 5.0  # seconds
QUICK = 0.002  # seconds for one input, below which the event loop computes: waking a thread takes as long
Wanted = Literal["tensors"] | int
"""Arrays by name, or predictions with this number of alternatives."""


class BrokenError(RuntimeError):
    """The network computed values that are not finite, which the server must not answer."""


class Served:
    """One version of one model, loaded and computing.

    Inputs come as `prepare` or `prepare_rows` gives them: decoded tensors (n, *shape), or, for a network whose outputs
    have places, payloads with their names.
    """

    def __init__(
        self,
        predictor: Predictor,
        settings: ServeSettings,
        *,
        name: str,
        version: str = "1",
        path: Path | None = None,
        golden: Sequence[Payload] = (),
        observer: Observer | None = None,
    ) -> None:
        self.predictor, self.name, self.version, self.path = predictor, name, version, path
        bound_pixels(predictor, settings.max_pixels)
        self.loaded = time.time()
        """Seconds since 1970."""
        self.sha = hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
        """Of the bundle."""
        self.input, self.outputs = input_spec(predictor), output_specs(predictor)
        self.observer: Observer = observer or Silent()
        self.golden = golden[0] if len(golden) else None
        """A sample of the bundle, which readiness asks for again and again."""
        self.golden_logits = None if self.golden is None else predictor.logits(self.decode_golden())
        self.warm_up(settings.max_batch)
        self.batcher = Batcher(
            name, self.compute, max_batch=settings.max_batch, max_delay_ms=settings.max_delay_ms, queue=settings.queue,
            inline=self.is_quick(), observe=self.observe,
        )  # fmt: skip

    @property
    def task(self) -> str:
        return self.predictor.task.name

    @property
    def dense(self) -> bool:
        """Whether outputs have places."""
        return isinstance(self.predictor.task, DenseTask)

    @property
    def takes_files(self) -> bool:
        """Whether the engine decodes files itself, so that there is nothing to prepare."""
        return self.dense and isinstance(self.predictor.preprocess, ImagePreprocess)

    @property
    def queue_length(self) -> int:
        """Inputs that wait."""
        return self.batcher.waiting

    @property
    def in_flight(self) -> int:
        """Inputs that wait or are being computed."""
        return self.batcher.in_flight

    @property
    def alive(self) -> bool:
        """Whether it computes and accepts inputs."""
        return self.batcher.alive and not self.batcher.closed

    async def close(self) -> None:
        """Accept nothing more, and wait for the results of what was accepted."""
        await self.batcher.drain()

    def prepare(self, content: Any, name: str) -> Tensor | list[tuple[str, Payload]]:
        """A file's content, a text or an array as the engine takes it. Raises DataError for one that can't be read."""
        payload = self.predictor.content(content, name)
        return [(name, payload)] if self.dense else self.predictor.preprocess.decode(payload, name)[None]

    def join(self, prepared: list[Any]) -> Tensor | list[tuple[str, Payload]]:
        """Inputs of several calls of `prepare` as those of one request."""
        if len(prepared) == 1:
            return prepared[0]  # type: ignore[no-any-return]
        return [one for part in prepared for one in part] if self.dense else torch.cat(prepared)

    def prepare_rows(self, rows: NDArray[Any] | Sequence[Any]) -> Tensor | list[tuple[str, Payload]]:
        """Payloads as an array of `input_spec` as the engine takes them. Raises DataError for one that is invalid."""
        preprocess = self.predictor.preprocess
        if isinstance(rows, np.ndarray) and isinstance(preprocess, ImagePreprocess) and not self.dense:
            return preprocess.decode_many(rows)
        named = [(f"input {i}", preprocess.payload_of(row)) for i, row in enumerate(rows)]
        if self.dense:
            return named
        return torch.stack([preprocess.decode(payload, name) for name, payload in named])

    def work(self, future: "asyncio.Future[Any]", size: int, wanted: Wanted) -> Work:
        """A work for the batcher without its inputs yet.

        Its result is the outputs by name if `wanted` is "tensors", which are those without test-time augmentation;
        else predictions, each with that number of alternatives. A dense task always gives predictions, or failures.
        """
        tta = "none" if wanted == TENSORS else self.predictor.tta
        return Work(future, DENSE if self.dense else tta, size, wanted=wanted)

    def compute(self, batch: list[Work]) -> list[Any]:
        """The results of a batch. Raises BrokenError if the network gives values that are not finite."""
        if batch[0].key == DENSE:
            return self.compute_dense(batch)
        joined = batch[0].inputs if len(batch) == 1 else torch.cat([work.inputs for work in batch])
        logits = self.predictor.logits(joined, batch[0].key)  # type: ignore[arg-type]
        if not torch.isfinite(logits).all():
            raise BrokenError("The network gave values that are not finite.")
        if not batch[0].urgent:
            self.observer.answered(self.name, joined, logits)
        return self.finish(batch, logits)

    def finish(self, batch: list[Work], logits: Tensor) -> list[Any]:
        """The logits of a batch as each of its works wants them, made at once for all that want the same."""
        task, found = self.predictor.task, dict.fromkeys(range(len(batch)))
        parts = torch.split(logits, [len(work.inputs) for work in batch])
        groups: dict[Any, list[int]] = {}
        for i, work in enumerate(batch):
            groups.setdefault(work.wanted, []).append(i)
        for wanted, places in groups.items():
            if wanted is None:
                found |= {i: parts[i] for i in places}
                continue
            rows = logits if len(places) == len(batch) else torch.cat([parts[i] for i in places])
            ends = np.cumsum([len(parts[i]) for i in places]).tolist()
            slices = {i: slice(end - len(parts[i]), end) for i, end in zip(places, ends, strict=True)}
            if wanted == TENSORS:
                tensors = task.tensors(rows)
                found |= {i: {name: one[at] for name, one in tensors.items()} for i, at in slices.items()}
            else:
                listed = task.predictions([name for i in places for name in batch[i].names], rows, wanted)
                found |= {i: listed[at] for i, at in slices.items()}
        return list(found.values())

    def compute_dense(self, batch: list[Work]) -> list[list[Prediction | Failure]]:
        task = self.predictor.task
        assert isinstance(task, DenseTask)
        named = [(name, Raw(payload)) for work in batch for name, payload in work.inputs]
        found = list(self.predictor.predict_dense(named, task))
        self.observer.answered(self.name, None, found)
        ends = np.cumsum([len(work.inputs) for work in batch]).tolist()
        return [found[end - len(work.inputs) : end] for end, work in zip(ends, batch, strict=True)]

    def observe(self, size: int, seconds: float, waited: float) -> None:
        self.observer.batch(self.name, size, seconds, waited)

    def warm_up(self, most: int) -> None:
        """Compute batches of up to `most` inputs once each, within some seconds.

        Engines such as OpenVINO prepare for a batch size when it first comes, which would keep the first clients
        waiting.
        """
        if self.dense or self.golden is None or self.predictor.backend_name == "eager":
            return
        decoded, ends = self.decode_golden(), time.monotonic() + WARM_UP
        for size in range(1, most + 1):
            self.predictor.logits(decoded.repeat(size, *[1] * (decoded.ndim - 1)))
            if time.monotonic() > ends:
                return

    def is_quick(self) -> bool:
        """Whether one input takes so little time that a thread is not worth it; the least of three, after a first."""
        if self.dense or self.golden is None:
            return False
        decoded, seconds = self.decode_golden(), []
        for _ in range(3):
            began = time.perf_counter()
            self.predictor.logits(decoded)
            seconds.append(time.perf_counter() - began)
        return min(seconds) < QUICK

    def decode_golden(self) -> Tensor:
        """The golden sample as the engine takes it, (1, *shape)."""
        assert self.golden is not None
        return self.predictor.preprocess.decode(self.golden, "the golden sample")[None]

    async def check_golden(self) -> bool:
        """Whether the golden sample still gives its logits: decoded, batched past a full queue, and computed.

        True if the bundle has none and the engine's thread is alive.
        """
        if self.golden_logits is None:
            return self.alive
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        work = Work(future, "none", 1, await loop.run_in_executor(None, self.decode_golden), urgent=True)
        self.batcher.submit(work)
        logits: Tensor = await future
        scale = float(self.golden_logits.abs().max())
        return torch.allclose(logits, self.golden_logits, rtol=RELATIVE, atol=ABSOLUTE + RELATIVE * scale)


def bound_pixels(predictor: Predictor, most: int) -> None:
    """Lower the number of pixels that an image may have."""
    preprocess = predictor.preprocess
    if isinstance(preprocess, ImagePreprocess) and preprocess.max_pixels > most:
        predictor.preprocess = replace(preprocess, max_pixels=most)


def load_served(
    path: str | Path, settings: ServeSettings, *, name: str, version: str = "1", observer: Observer | None = None
) -> Served:
    """A bundle, loaded, checked by its golden samples, and computing. Raises BundleError as `neocog.load` does."""
    path = Path(path)
    predictor = load(path, backend=settings.backend, threads=settings.threads)
    golden = load_tensors(read_sealed(path)["golden.safetensors"])
    samples = [decode_golden(golden[f"input_{i}"].numpy().tobytes()) for i in range(len(golden) - 1)]
    return Served(predictor, settings, name=name, version=version, path=path, golden=samples, observer=observer)
