"""The scores of many variants of one input, as fast as they can be computed here.

Occlusion, Score-CAM, insertion and deletion change an input hundreds of times and ask for one number each time. On a
CPU, norms, activations and shortcuts are fused into convolutions (`layers.fuse`), with channels last, and each thread
computes a few variants of its own, so that their maps stay in its cache. If the processor has instructions for bf16,
convolutions use it, provided that a few of the variants themselves get the scores that the plain network gives them in
float32; otherwise the next best form is tried.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from neocog.explaining.explainer import Explainer
from neocog.progress import Bar
from neocog.torch_private import has_mkldnn_bf16
from neocog.transfer.features import one_thread_each
from neocog.zoo.network import join_outputs

if TYPE_CHECKING:
    from torch import fx

__all__ = ["Make", "Meaning", "Precision", "Read", "Scorer", "Scores"]

Precision = Literal["auto", "fp32", "bf16"]
Form = Literal["plain", "fp32", "bf16"]
Make = Callable[[Sequence[int]], Tensor]
"""The variants with these numbers, (n, C, *places), in the form in which `Explainer.values` gives the input."""
Read = Callable[[Tensor], Tensor]
"""Outputs (n, K, *places) -> one number for each, (n,), as `Target.of`."""
Meaning = Callable[[Tensor, float], Tensor]
"""The scores of some variants (n,), and that of the reference -> what a method reads in them, (n,)."""

TESTED = 4  # variants that all forms compute: those that are likely to matter, and others, evenly spaced
AGREEMENT = {"bf16": 0.15, "fp32": 1e-3}
"""The largest error of what is read in those scores, as a share of its norm; that of bf16 is as of features."""
FEWEST = 32  # variants for which preparing a program pays
PLACES = 8 * 224 * 224  # of the variants that a thread computes at once: enough to reuse filters, few enough for caches
ROWS = 64  # the most variants at once
AHEAD = 2  # parts that wait, for each thread


def differences(scores: Tensor, reference: float) -> Tensor:
    """How much each variant changes the score."""
    return scores - reference


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One number for each variant, and for the reference that they are compared with."""

    values: Tensor
    """(N,) on the CPU."""
    reference: float
    """Computed in the same form, so that a difference of the two has less error than each."""
    form: Form
    """How the network was computed: as it is, or fused, in one of two precisions."""
    error: float
    """The error of what was read in the scores of variants that were computed in both ways, as a share of its norm."""

    @property
    def figures(self) -> dict[str, float]:
        """The bits of the numbers that convolutions multiply, and the error that they make."""
        return {"bits": 16 if self.form == "bf16" else 32, "error": self.error}


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """An input, and the windows of it that are replaced, one at a time."""

    values: Tensor
    """(1, C, H, W)."""
    hidden: Tensor
    """Put in the place of a window, (C, H, W)."""
    boxes: Sequence[tuple[slice, ...]]

    def sizes(self) -> tuple[int, int]:
        """The largest height and width of a window."""
        return max(b[0].stop - b[0].start for b in self.boxes), max(b[1].stop - b[1].start for b in self.boxes)


class Scorer:
    """Computes the scores of variants of one input (1, *shape), which `read` takes from the outputs.

    The network is left alone. `precision` is that of convolutions on a CPU: fp32, bf16, or bf16 if scores agree.

    >>> from torch import nn
    >>> explainer = Explainer(nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), (1, 2, 2))
    >>> scorer = Scorer(explainer, torch.ones(1, 1, 2, 2), lambda outputs: outputs[:, 0])
    >>> found = scorer.scores(lambda rows: torch.ones(len(rows), 1, 2, 2), 3, torch.ones(1, 1, 2, 2))
    >>> found.values.shape, bool((found.values - found.reference).abs().max() < 1e-6)
    (torch.Size([3]), True)
    """

    def __init__(self, explainer: Explainer, inputs: Tensor, read: Read, precision: Precision = "auto") -> None:
        self.explainer, self.inputs, self.read, self.precision = explainer, inputs, read, precision

    def scores(
        self,
        make: Make,
        count: int,
        reference: Tensor,
        label: str = "variants",
        *,
        meaning: Meaning = differences,
        likely: Sequence[int] = (),
        windows: Windows | None = None,
    ) -> Scores:
        """The scores of `count` variants, and that of a reference (1, C, *places).

        `meaning` is what is read in scores, whose error decides how they are computed; `likely` has the numbers of
        variants that are likely to matter, for which the error is measured, beside others. `windows` are what `make`
        replaces in the reference, if it does nothing else.
        """
        rows = max(1, min(ROWS, PLACES // reference[0, 0].numel()))
        others = max(1, TESTED - len(likely))
        numbers = [*dict.fromkeys([*likely, *(count * (2 * i + 1) // (2 * others) for i in range(others))])]
        chosen, error = Way("plain", lambda at: self.plain(make(at)), lambda: self.plain(reference)), 0.0
        if self.can_fuse(count, reference):
            ways = self.ways(make, reference, min(count, rows), windows)
            chosen, error = fastest(chosen, ways, numbers, rows, meaning)
        parts = [range(begin, min(count, begin + rows)) for begin in range(0, count, rows)]
        found: list[Tensor] = []
        with Bar(label, count) as bar:
            for part in computed(chosen, parts):
                found.append(part)
                bar.draw(min(count, rows * len(found)))
        values = torch.cat(found).clone() if found else torch.empty(0)
        return Scores(values, float(chosen.reference()), chosen.form, error)

    def can_fuse(self, count: int, reference: Tensor) -> bool:
        """Whether a program pays, and can be made for such variants."""
        on_cpu = self.explainer.device.type == "cpu" and reference.dtype == torch.float32
        return count >= FEWEST and on_cpu and reference.ndim == 4 and self.explainer.token_layer is None

    def ways(self, make: Make, reference: Tensor, rows: int, windows: Windows | None) -> "Iterator[Way]":
        """Fused ways to compute scores, those that are likely to be the fastest first."""
        for form in self.forms():
            program = known_program(self.explainer, make(range(rows)), form)
            if program is None:
                continue
            whole = partial(self.fused, program, form)
            if windows is not None:
                from neocog.explaining.local import local_program

                with torch.inference_mode(), autocast(form):
                    local = local_program(program, windows)
                if local is not None:
                    yield Way(form, partial(self.fused, local, form), partial(whole, reference))
            yield Way(form, partial(self.fused, program, form, make=make), partial(whole, reference))

    def plain(self, values: Tensor) -> Tensor:
        """The scores of variants by the network as it is; (n, C, *places) -> (n,)."""
        if values.ndim == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            return self.read(self.explainer.tape(self.inputs, values=values, gradients=False).outputs).cpu()

    def fused(self, program: Callable[[Any], Any], form: Form, given: Any, make: Make | None = None) -> Tensor:
        """The scores of variants, or of windows by number, by a program; (n,)."""
        if make is not None:
            given = make(given)
        if isinstance(given, Tensor):
            given = given.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return self.read(run(program, given, form))

    def forms(self) -> tuple[Literal["bf16", "fp32"], ...]:
        if self.precision != "auto":
            return (self.precision,)
        return ("bf16", "fp32") if has_mkldnn_bf16() else ("fp32",)


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way to compute scores."""

    form: Form
    scores: Callable[[Sequence[int]], Tensor]
    """Of variants by number; (n,)."""
    reference: Callable[[], Tensor]
    """That of the reference, computed in the same way; (1,)."""

    def both(self, numbers: Sequence[int], rows: int) -> tuple[Tensor, float]:
        """The scores of some variants, at most `rows` at once, and that of the reference."""
        parts = [numbers[begin : begin + rows] for begin in range(0, len(numbers), rows)]
        return torch.cat([self.scores(part) for part in parts]), float(self.reference())


def fastest(plain: Way, ways: Iterable[Way], numbers: Sequence[int], rows: int, meaning: Meaning) -> tuple[Way, float]:
    """The first way whose scores of some variants agree with those of the plain network, and its error."""
    wanted = meaning(*plain.both(numbers, rows))
    for way in ways:
        gap = meaning(*way.both(numbers, rows)) - wanted
        error = float(gap.norm() / wanted.norm().clamp_min(1e-12))
        if error <= AGREEMENT[way.form]:
            return way, error
    return plain, 0.0


def computed(way: Way, parts: list[range]) -> Iterator[Tensor]:
    """The scores of all parts in order; threads have parts of their own, if a program is made for it."""
    if way.form == "plain":
        yield from map(way.scores, parts)
        return

    def alone(part: range) -> Tensor:
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        return way.scores(part)

    with one_thread_each() as num_threads, ThreadPoolExecutor(num_threads, "scores") as pool:
        waiting: deque[Future[Tensor]] = deque()
        for part in parts:
            waiting.append(pool.submit(alone, part))
            if len(waiting) > AHEAD * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


Program = Any  # an fx.GraphModule: to name it here would import torch.fx
PROGRAMS: WeakKeyDictionary[Explainer, dict[tuple[Form, torch.Size], tuple[Tensor, Program]]] = WeakKeyDictionary()
"""The programs of an explainer's network, each with the sums of the tensors that it was made of."""


def known_program(explainer: Explainer, example: Tensor, form: Form) -> "fx.GraphModule | None":
    """As `fused`; a program is made once, and again if the network's weights have changed."""
    known = PROGRAMS.setdefault(explainer, {})
    tensors = [t.detach() for t in (*explainer.network.parameters(), *explainer.network.buffers())]
    sums = torch.tensor(
        [[float(t.sum(dtype=torch.float64)), float(t.norm())] for t in tensors if t.is_floating_point()]
    )
    found = known.get((form, example.shape))
    if found is None or not torch.equal(found[0], sums):
        found = known[form, example.shape] = sums, fused(explainer.network, example, form)
    return found[1]


def fused(network: nn.Module, example: Tensor, form: Form) -> "fx.GraphModule | None":
    """The network as a program for batches like this; None for one that can't be traced, or without oneDNN.

    With bf16, the layers that make the outputs still compute in float32: their 8 bits would hide small differences.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    from torch import fx

    from neocog.layers.fuse import fuse  # it takes a second to import

    try:
        with torch.inference_mode():
            program = fuse(copy.deepcopy(network), example, torch.bfloat16 if form == "bf16" else torch.float32)
            assert isinstance(program, fx.GraphModule)
            if form == "bf16":
                keep_outputs_exact(program, network)
            run(program, example[:1].contiguous(memory_format=torch.channels_last), form)
    except Exception:  # tracing runs the network's own code; whatever it raises, the plain network serves
        return None
    return program


class Exact(nn.Module):
    """A layer that computes in float32 within a program of bf16."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            made: Tensor = self.layer(maps.float())
        return made


def keep_outputs_exact(program: "fx.GraphModule", network: nn.Module) -> None:
    """Let the last convolution or dense layer on each way to the outputs of a traced network compute in float32."""
    from neocog.layers.fuse import FusedConv

    waiting = [node for node in program.graph.nodes if node.op == "output"]
    seen = set[Any]()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        module = program.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, FusedConv) and module.activation[0] == "none" and len(node.args) == 1:
            program.set_submodule(str(node.target), Exact(module.conv))
        elif isinstance(module, nn.Linear):
            program.set_submodule(str(node.target), Exact(copy.deepcopy(network.get_submodule(str(node.target)))))
        elif not isinstance(module, FusedConv | nn.Conv1d | nn.Conv2d):
            waiting += node.all_input_nodes


def run(program: Callable[[Any], Any], given: Any, form: Form) -> Tensor:
    """The outputs of a program in float32, joined."""
    with autocast(form):
        outputs = join_outputs(program(given))
    return outputs.float()


def autocast(form: Form) -> torch.autocast:
    """Types that don't match are converted if some layers compute in bf16."""
    return torch.autocast("cpu", torch.bfloat16, enabled=form == "bf16")
