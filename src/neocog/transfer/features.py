"""The inputs of a network's last dense layer, for all samples, in one fast pass."""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from neocog.layers.fuse import fuse
from neocog.progress import Bar
from neocog.torch_private import has_mkldnn_bf16
from neocog.transfer.dense_head import without_dense_head
from neocog.transfer.parts import pool
from neocog.zoo import Network

__all__ = ["FeatureExtractor", "Precision", "View", "mirror"]

Precision = Literal["auto", "fp32", "bf16"]
View = Callable[[Tensor], Tensor]
"""An augmentation of normalised inputs; (N, C, H, W) -> (N, C, h, w)."""

AGREEMENT = 0.15  # relative error of features in bf16 beyond which fp32 is used; at 0.08 a head was as good
EXACT = 1e-4  # the same for fp32: what fusing may change
PIXELS = 8 * 160 * 160  # pixels at once in a thread: feature maps that a core's share of the cache holds
AHEAD = 2  # parts that wait, for each thread


def mirror(images: Tensor) -> Tensor:
    """Images with left and right exchanged; (N, C, H, W) -> (N, C, H, W)."""
    return images.flip(-1)


class FeatureExtractor:
    """A copy of a network without its last dense layer, as fast as it can be here; the network is left alone.

    `normalise` turns decoded inputs into those that the network takes. Images may have any size that the network
    accepts. On a CPU, norms, activations and shortcuts are fused into convolutions, computed in bf16 if the processor
    has instructions for it and the features of the first batch agree to 15% (`auto`). Each thread computes on a few
    images of its own, so that their feature maps stay in its cache and threads never wait for each other; features
    therefore do not depend on the number of threads.
    `part` computes the features, as `feature_part` gives it; by default it is the network without its last dense layer,
    and ConfigError is raised for a network whose head does not end with one. Maps (N, C, *places) are averaged over
    their places.

    >>> from neocog.zoo import create_model
    >>> extractor = FeatureExtractor(create_model("resnet18"))
    >>> extractor.extract([torch.zeros(3, 3, 32, 32), torch.zeros(2, 3, 32, 32)], total=5).shape
    torch.Size([5, 512])
    """

    def __init__(
        self,
        model: Network,
        normalise: Callable[[Tensor], Tensor] | None = None,
        *,
        precision: Precision = "auto",
        part: nn.Module | None = None,
    ) -> None:
        self.plain = without_dense_head(model) if part is None else part
        self.normalise = normalise or (lambda images: images)
        self.precision = precision
        self.device = next(self.plain.parameters()).device
        self.program: nn.Module | None = None
        self.size: tuple[int, ...] = ()  # of the inputs that the program is for
        self.chosen: Literal["fp32", "bf16"] = "fp32"
        """The precision in use, once the first batch has been seen."""

    def extract(self, batches: Iterable[Tensor], total: int, label: str = "features") -> Tensor:
        """Features (N, D) in float32 of all decoded inputs, in order; `total` is N, for the progress bar."""
        return self.extract_views(batches, total, (), label)[0]

    def extract_views(
        self, batches: Iterable[Tensor], total: int, views: Sequence[View], label: str = "features"
    ) -> Tensor:
        """Features (1 + V, N, D) of the inputs as they are, and of each view of them."""
        found: list[Tensor] = []
        with Bar(label, total) as bar, torch.inference_mode():
            for part in self.computed(batches, views):
                found.append(part)
                bar.draw(sum(len(each) for each in found) // (1 + len(views)) if bar.due else 0)
        if not found:
            return torch.empty(1 + len(views), 0, 0)
        # A clone, as tensors of inference mode can't take part in training.
        rows = torch.cat(found).view(-1, 1 + len(views), found[0].shape[1])
        return rows.transpose(0, 1).contiguous().clone()

    def computed(self, batches: Iterable[Tensor], views: Sequence[View]) -> Iterator[Tensor]:
        """The features of small parts, in order, one row for each sample and view; (n * (1 + V), D)."""
        if self.device.type != "cpu":
            yield from (self.features(batch, views) for batch in batches)
            return
        with one_thread_each() as num_threads, ThreadPoolExecutor(num_threads, "features") as pool:
            waiting: deque[Future[Tensor]] = deque()
            for part in split(batches):
                if self.program is None or self.size != tuple(part.shape[1:]):
                    while waiting:
                        yield waiting.popleft().result()
                    self.choose(self.normalise(part))
                waiting.append(pool.submit(self.features_alone, part, views))
                if len(waiting) > AHEAD * num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def features_alone(self, images: Tensor, views: Sequence[View]) -> Tensor:
        """As `features`, in a thread that computes on its own."""
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        return self.features(images, views)

    @torch.inference_mode()
    def features(self, images: Tensor, views: Sequence[View]) -> Tensor:
        inputs = self.normalise(images.to(self.device))
        found = [self(view(inputs)) for view in (lambda same: same, *views)]
        return torch.stack(found, 1).flatten(0, 1).cpu()

    @torch.inference_mode()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Features of one normalised batch on the network's device; (N, C, H, W) -> (N, D) float32."""
        if self.program is None or self.size != tuple(inputs.shape[1:]):
            self.choose(inputs)
        assert self.program is not None
        return run(self.program, inputs, self.chosen)

    @torch.inference_mode()
    def choose(self, inputs: Tensor) -> None:
        """Take the fastest form whose features agree with those of the plain network on this batch."""
        self.program, self.chosen, self.size = self.plain, "fp32", tuple(inputs.shape[1:])
        if self.device.type == "cuda" and self.precision != "fp32" and torch.cuda.is_bf16_supported(False):
            self.chosen = "bf16"
        if self.device.type != "cpu" or inputs.ndim != 4:
            return
        self.plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        expected = run(self.plain, inputs, "fp32")
        for precision in self.precisions():
            program = fused_or_none(self.plain, inputs, precision)
            if program is None:
                continue
            error = float((run(program, inputs, precision) - expected).norm() / expected.norm().clamp_min(1e-12))
            if error <= (EXACT if precision == "fp32" else AGREEMENT):
                self.program, self.chosen = program, precision
                return

    def precisions(self) -> tuple[Literal["fp32", "bf16"], ...]:
        if self.precision != "auto":
            return (self.precision,)
        return ("bf16", "fp32") if has_mkldnn_bf16() else ("fp32",)


def run(program: nn.Module, inputs: Tensor, precision: Literal["fp32", "bf16"]) -> Tensor:
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"):
        made: Tensor = program(inputs)
    return pool(made)


def fused_or_none(model: nn.Module, inputs: Tensor, precision: Literal["fp32", "bf16"]) -> nn.Module | None:
    """The fused form of a copy; None for a network that can't be traced, or a machine without oneDNN."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    try:
        program = fuse(copy.deepcopy(model), inputs, torch.float32 if precision == "fp32" else torch.bfloat16)
        with torch.inference_mode():
            run(program, inputs, precision)
    except Exception:  # tracing runs the network's own code; whatever it raises, the plain network serves
        return None
    return program


def split(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Batches in parts that fit in the cache."""
    for batch in batches:
        if batch.ndim == 4:
            yield from torch.split(batch, max(1, PIXELS // (batch.shape[2] * batch.shape[3])))
        else:
            yield batch


@contextmanager
def one_thread_each() -> Iterator[int]:
    """The number of threads to start; each computes alone. torch's number of threads is restored afterwards."""
    before = torch.get_num_threads()
    try:
        yield before
    finally:
        torch.set_num_threads(before)
