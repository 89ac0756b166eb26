"""Does this device compute this network correctly, in this precision and memory format? Norms: see `norm_test`."""

import copy
import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neocog.rng import derive_seed
from neocog.training.executor import Precision, lower_precision
from neocog.training.speed.candidates import Candidate
from neocog.training.speed.norm_test import find_norm_fault

__all__ = ["Case", "SelfTest", "collect_cases", "select_cases"]

WINDOW = ("stride", "padding", "dilation", "groups")
TRANSPOSED_WINDOW = ("stride", "padding", "output_padding", "groups", "dilation")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **{f"conv{n}d": WINDOW for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": TRANSPOSED_WINDOW for n in (1, 2, 3)},
    "linear": (),
}
NAMES = {getattr(F, name): name for name in ARGUMENTS}


@dataclass(frozen=True, slots=True)
class Case:
    """One call: in which layer, what it computes, on which shapes."""

    layer: str
    operation: str
    """Its name in torch.nn.functional."""
    inputs: tuple[int, ...]
    weight: tuple[int, ...]
    settings: tuple[tuple[str, Any], ...]
    """Stride, padding, dilation and groups, as given."""
    num_macs: int

    @property
    def kind(self) -> tuple[object, ...]:
        """The traits that determine its kernel, besides sizes: 1x1 or 3x3, strided, grouped, depthwise."""
        groups = self.groups
        depthwise = groups > 1 and self.weight[1] == 1
        return self.operation, self.weight[2:], dict(self.settings).get("stride"), groups > 1, depthwise

    @property
    def groups(self) -> int:
        return int(dict(self.settings).get("groups", 1))

    @property
    def transposed(self) -> bool:
        return "transpose" in self.operation

    def run(self, inputs: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
        """Compute it on these tensors, in torch."""
        settings = dict(self.settings) | ({"groups": groups} if self.operation != "linear" else {})
        found: Tensor = getattr(F, self.operation)(inputs, weight, None, **settings)
        return found


def collect_cases(model: nn.Module, images: Tensor) -> list[Case]:
    """All calls of one forward pass in training mode, in order; the network itself is left as it is."""
    model = copy.deepcopy(model).train()
    recorder = Recorder()
    with ExitStack() as hooks, torch.no_grad(), recorder:
        for name, module in model.named_modules():
            hooks.callback(module.register_forward_pre_hook(recorder.entering(name)).remove)
        model(images)
    return recorder.cases


def select_cases(cases: Iterable[Case], most: int = 12, largest: int = 3) -> list[Case]:
    """The largest of each kind and the largest of all, at most `most`, in the order of the network."""
    by_size = sorted(cases, key=lambda case: -case.num_macs)
    kinds: dict[tuple[object, ...], Case] = {}
    for case in by_size:
        kinds.setdefault(case.kind, case)
    chosen = dict.fromkeys([*by_size[:largest], *kinds.values()])
    kept = set(list(chosen)[:most])
    return list(dict.fromkeys(case for case in cases if case in kept))


class Recorder(TorchFunctionMode):
    """Records every convolution and product, also those that a layer calls without a module of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.cases: list[Case] = []
        self.layer = ""

    def entering(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(_: nn.Module, __: Any) -> None:
            self.layer = name

        return enter

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in NAMES:
            self.note(NAMES[func], args, kwargs or {}, result)
        return result

    def note(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        named = dict(zip(("input", "weight", "bias", *ARGUMENTS[operation]), args, strict=False)) | kwargs
        inputs, weight = named["input"], named["weight"]
        shape = (-1, inputs.shape[-1]) if operation == "linear" else inputs.shape
        settings = tuple((key, named[key]) for key in ARGUMENTS[operation] if key in named)
        spread = inputs if "transpose" in operation else result  # each of its values is multiplied by a whole filter
        case = Case(
            layer=self.layer or "the network",
            operation=operation,
            inputs=tuple(inputs.reshape(shape).shape),
            weight=tuple(weight.shape),
            settings=tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in settings),
            num_macs=spread.numel() * math.prod(weight.shape[1:]),
        )
        if len(case.inputs) == len(case.weight):  # else a single image without a batch axis
            self.cases.append(case)


PART = 4  # channels, or groups, for which the float64 results are computed
SAMPLES = 2  # of the batch
RATE = 1e9  # multiplications a second in float64, at the least


class Results(NamedTuple):
    """Of one call; a device computes each with a kernel of its own."""

    forward: Tensor
    input_gradient: Tensor
    weight_gradient: Tensor


class SelfTest:
    """The calls of one network at one input shape, forward and both backward, against float64.

    The truth is torch's own float64 on a CPU: it runs through a plain matrix product that shares nothing with the tuned
    kernels under test, and takes milliseconds while the NumPy reference would take minutes. It is computed for a few
    channels only, each from all inputs that it depends on. Inputs are two samples of normal numbers in the full shape.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.model, self.images = model, images[:SAMPLES]
        self.cases = select_cases(collect_cases(model, self.images))
        self.device = images.device

    @cached_property
    def truths(self) -> list[Results]:
        return [truth(case, *draw_tensors(case)) for case in self.cases]

    @property
    def seconds(self) -> float:
        """About how long the float64 results take, at most."""
        return sum(3 * case.num_macs * min(1.0, PART / min(case.weight[:2])) for case in self.cases) / RATE

    def fault(self, candidate: Candidate) -> str | None:
        """A wrong result of this candidate, with layer, error and tolerance; None if all, norms too, are correct.

        error = |result - truth| / |truth|    in the Euclidean norm
        """
        limit = tolerance(candidate.precision, self.device)
        for case, true in zip(self.cases, self.truths, strict=True):
            for what, result, expected in zip(Results._fields, self.compute(case, candidate), true, strict=True):
                error = relative_error(result, expected)
                if not error <= limit:  # also NaN
                    where = f"{case.layer} ({case.operation})"
                    return f"the {what.replace('_', ' ')} of {where} is off by {error:.1e}, more than {limit:.0e}"
        return None if candidate.compiled else find_norm_fault(self.model, self.images, candidate)

    def compute(self, case: Case, candidate: Candidate) -> Results:
        """The candidate's results, for the channels whose truth is known."""
        layout = torch.channels_last if candidate.channels_last and len(case.inputs) == 4 else torch.contiguous_format
        tensors = [tensor.to(self.device).contiguous(memory_format=layout) for tensor in draw_tensors(case)]
        inputs, weight = (tensor.requires_grad_() for tensor in tensors)
        with lower_precision(candidate.precision, self.device, native=candidate.native):
            maps = case.run(inputs, weight, case.groups)
        upstream = draw_upstream(maps, case).to(maps)
        gradients = torch.autograd.grad(maps, (inputs, weight), upstream)
        if case.groups == 1:
            return Results(maps[:, :PART], gradients[0][:, :PART], gradients[1][:PART, :PART])
        c_in, filters, c_out = first_groups(case, min(case.groups, PART))
        return Results(maps[:, :c_out], gradients[0][:, :c_in], gradients[1][:filters])


def tolerance(precision: Precision, device: torch.device) -> float:
    """The largest relative error of correct arithmetic, with room: about 8, 20 and 1,600 times the unit roundoff.

    Inputs, filters and results are rounded, each with a relative error below u = 2^-8 (bf16), 2^-11 (fp16) or 2^-24
    (fp32). Errors of K summands are independent and grow like sqrt(K), and so does the sum, so that the relative error
    of rounding stays near u whatever K is. Sums in float32 add sqrt(K) 2^-24: 2e-5 for K = 1e5. Sums in bf16 would add
    a quarter of sqrt(K) 2^-8, which is found from about K = 1,000 on. A GPU rounds float32 inputs of convolutions to
    TF32, with u = 2^-11.
    """
    return {"fp32": 1e-4 if device.type == "cpu" else 1e-2, "fp16": 1e-2, "bf16": 3e-2}[precision]


def relative_error(result: Tensor, expected: Tensor) -> float:
    difference = result.detach().cpu().double() - expected
    return float(difference.norm() / expected.norm().clamp(min=1e-300))


def draw_tensors(case: Case) -> tuple[Tensor, Tensor]:
    """Inputs and filters of this case: normal, and scaled so that outputs are about normal too."""
    generator = torch.Generator().manual_seed(derive_seed(0, "speed self-test"))
    inputs, weight = (torch.randn(shape, generator=generator) for shape in (case.inputs, case.weight))
    return inputs, weight / weight[0].numel() ** 0.5


def draw_upstream(maps: Tensor, case: Case) -> Tensor:
    """The gradient from above."""
    generator = torch.Generator().manual_seed(derive_seed(0, "speed self-test gradient"))
    return torch.randn(maps.shape, generator=generator)


def truth(case: Case, inputs: Tensor, weight: Tensor) -> Results:
    """The results in float64 for the first channels, or, in a grouped call, for the first groups."""
    inputs, weight = inputs.double(), weight.double()
    if case.groups > 1:
        number = min(case.groups, PART)
        c_in, filters, c_out = first_groups(case, number)
        return results(case, inputs[:, :c_in], weight[:filters], number, slice(c_out))
    # The filter's axes are (out, in); a transposed call has them the other way round.
    outs = weight[:, :PART] if case.transposed else weight[:PART]
    ins = weight[:PART] if case.transposed else weight[:, :PART]
    return Results(
        case.run(inputs, outs),
        results(case, inputs[:, :PART], ins, 1, slice(None)).input_gradient,
        results(case, inputs[:, :PART], weight[:PART, :PART], 1, slice(PART)).weight_gradient,
    )


def first_groups(case: Case, number: int) -> tuple[int, int, int]:
    """The input channels, filters and output channels that belong to the first groups."""
    filters = case.weight[0] // case.groups * number
    c_in = case.inputs[1] // case.groups * number
    return c_in, filters, case.weight[1] * number if case.transposed else filters


def results(case: Case, inputs: Tensor, weight: Tensor, groups: int, channels: slice) -> Results:
    """Forward and both gradients of a part, from the same gradient from above as in full."""
    inputs, weight = inputs.detach().clone().requires_grad_(), weight.detach().clone().requires_grad_()
    maps = case.run(inputs, weight, groups)
    c_out = case.weight[1] * case.groups if case.transposed else case.weight[0]
    whole = maps.new_empty((maps.shape[0], c_out, *maps.shape[2:]))
    upstream = draw_upstream(whole, case).double()[:, channels]
    return Results(maps.detach(), *torch.autograd.grad(maps, (inputs, weight), upstream))
