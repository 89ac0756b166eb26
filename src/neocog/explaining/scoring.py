"""The scores of many variants of one input, as fast as they can be computed here.

Occlusion, Score-CAM, insertion and deletion change an input hundreds of times and ask for one number each time. On a
CPU, norms, activations and shortcuts are fused into convolutions (`layers.fuse`), with channels last, and each thread
computes a few variants of its own, so that their maps stay in its cache. If the processor has instructions for bf16,
convolutions use it, provided that a few of the variants themselves get the scores that the plain network gives them in
float32; otherwise the next best form is tried.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from neocog.explaining.explainer import Explainer
from neocog.progress import Bar
from neocog.torch_private import has_mkldnn_bf16
from neocog.transfer.features import one_thread_each
from neocog.zoo.network import join_outputs

__all__ = ["Make", "Meaning", "Precision", "Read", "Scorer", "Scores"]

Precision = Literal["auto", "fp32", "bf16"]
Form = Literal["plain", "fp32", "bf16"]
Make = Callable[[range], Tensor]
"""The variants with these numbers, (n, C, *places), in the form in which `Explainer.values` gives the input."""
Read = Callable[[Tensor], Tensor]
"""Outputs (n, K, *places) -> one number for each, (n,), as `Target.of`."""
Meaning = Callable[[Tensor, float], Tensor]
"""The scores of some variants (n,), and that of the reference -> what a method reads in them, (n,)."""

TESTED = 4  # variants, evenly spaced, that all forms compute, beside those that are likely to matter
AGREEMENT = {"bf16": 0.15, "fp32": 1e-3}
"""The largest error of what is read in those scores, as a share of its norm; that of bf16 is as of features."""
FEWEST = 32  # variants for which preparing a program pays
PLACES = (
    4 * 224 * 224
)  # of the variants that a thread computes at once, so that its share of the cache holds their maps
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
    """Of what was read in the scores of the variants that were computed in both ways, as a share of its norm."""

    @property
    def figures(self) -> dict[str, float]:
        """The bits of the numbers that convolutions multiply, and the error that they make."""
        return {"bits": 16 if self.form == "bf16" else 32, "error": self.error}


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
    ) -> Scores:
        """The scores of `count` variants, and that of a reference (1, C, *places).

        `meaning` is what is read in scores, whose error decides how they are computed; `likely` has the numbers of
        variants that are likely to matter, for which the error is measured, beside others.
        """
        rows = max(1, min(ROWS, PLACES // reference[0, 0].numel()))
        form, program, error = self.choose(make, count, reference, rows, meaning, likely)
        parts = [range(begin, min(count, begin + rows)) for begin in range(0, count, rows)]
        found: list[Tensor] = []
        with Bar(label, count) as bar:
            for part in self.computed(program, form, make, parts):
                found.append(part)
                bar.draw(min(count, rows * len(found)))
        compared = float(self.compute(program, form, reference))
        return Scores(torch.cat(found).clone() if found else torch.empty(0), compared, form, error)

    def choose(
        self, make: Make, count: int, reference: Tensor, rows: int, meaning: Meaning, likely: Sequence[int]
    ) -> tuple[Form, nn.Module | None, float]:
        """The fastest form whose scores agree with those of the plain network on a few variants, and its error."""
        tokens = self.explainer.token_layer is not None
        on_cpu = self.explainer.device.type == "cpu" and reference.dtype == torch.float32
        if count < FEWEST or tokens or not on_cpu or reference.ndim != 4:
            return "plain", None, 0.0
        numbers = dict.fromkeys([*likely, *(count * (2 * i + 1) // (2 * TESTED) for i in range(TESTED))])
        tested = torch.cat([reference, *(make(range(at, at + 1)) for at in numbers)])
        expected = torch.cat([self.compute(None, "plain", part) for part in torch.split(tested, rows)])
        wanted = meaning(expected[1:], float(expected[0]))
        for form in self.forms():
            program = fused(self.explainer.network, make(range(min(count, rows))), form)
            if program is not None:
                found = torch.cat([self.compute(program, form, part) for part in torch.split(tested, rows)])
                gap = meaning(found[1:], float(found[0])) - wanted
                error = float(gap.norm() / wanted.norm().clamp_min(1e-12))
                if error <= AGREEMENT[form]:
                    return form, program, error
        return "plain", None, 0.0

    def forms(self) -> tuple[Literal["bf16", "fp32"], ...]:
        if self.precision != "auto":
            return (self.precision,)
        return ("bf16", "fp32") if has_mkldnn_bf16() else ("fp32",)

    def computed(self, program: nn.Module | None, form: Form, make: Make, parts: list[range]) -> Iterator[Tensor]:
        """The scores of all parts in order; threads have parts of their own, if the program is made for it."""
        if program is None:
            yield from (self.compute(program, form, make(part)) for part in parts)
            return

        def alone(part: range) -> Tensor:
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)
            return self.compute(program, form, make(part))

        with one_thread_each() as num_threads, ThreadPoolExecutor(num_threads, "scores") as pool:
            waiting: deque[Future[Tensor]] = deque()
            for part in parts:
                waiting.append(pool.submit(alone, part))
                if len(waiting) > AHEAD * num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def compute(self, program: nn.Module | None, form: Form, values: Tensor) -> Tensor:
        """The scores of one part; (n, C, *places) -> (n,)."""
        if values.ndim == 4:
            values = values.contiguous(memory_format=torch.channels_last)
        if program is None:
            with torch.no_grad():
                return self.read(self.explainer.tape(self.inputs, values=values, gradients=False).outputs).cpu()
        with torch.inference_mode():
            return self.read(run(program, values, form))


def fused(network: nn.Module, example: Tensor, form: Form) -> nn.Module | None:
    """The network as a program for batches like this; None for one that can't be traced, or without oneDNN.

    With bf16, the layers that make the outputs still compute in float32: their 8 bits would hide small differences.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    from neocog.layers.fuse import fuse  # torch.fx takes a second

    try:
        with torch.inference_mode():
            program = fuse(copy.deepcopy(network), example, torch.bfloat16 if form == "bf16" else torch.float32)
            if form == "bf16":
                keep_outputs_exact(program, network)
            run(program, example[:1], form)
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


def keep_outputs_exact(program: nn.Module, network: nn.Module) -> None:
    """Let the last convolution or dense layer on each way to the outputs of a traced network compute in float32."""
    from torch import fx

    from neocog.layers.fuse import FusedConv

    assert isinstance(program, fx.GraphModule)
    waiting = [node for node in program.graph.nodes if node.op == "output"]
    seen: set[fx.Node] = set()
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


def run(program: nn.Module, values: Tensor, form: Form) -> Tensor:
    """The outputs of a program in float32, joined."""
    with torch.autocast("cpu", torch.bfloat16, enabled=form == "bf16"):
        outputs = join_outputs(program(values))
    return outputs.float()
