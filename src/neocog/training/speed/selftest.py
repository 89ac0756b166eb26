"""Does this device compute this network's convolutions and products right, in this precision and memory format?"""

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neocog.rng import derive_seed
from neocog.training.engine import Precision, lower_precision
from neocog.training.speed.candidates import Candidate
from neocog.training.speed.cases import Case, collect_cases, select_cases

__all__ = ["SelfTest"]

PART = 4  # channels, or groups, for which the float64 results are computed
SAMPLES = 2  # of the batch
RATE = 1e9  # multiplications a second in float64, at the least


class Results(NamedTuple):
    """Of one call, each of which a device computes with a program of its own."""

    forward: Tensor
    input_gradient: Tensor
    weight_gradient: Tensor


class SelfTest:
    """The calls of one network at one input shape, forward and both backward, against float64.

    The truth is torch's own float64 on a CPU: it runs through a plain matrix product that shares nothing with the tuned
    programs under test, and takes milliseconds where the NumPy reference would take minutes. It is computed for a few
    channels only, each from all inputs that it depends on. Inputs are two samples of normal numbers in the full shape.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.cases = select_cases(collect_cases(model, images[:SAMPLES]))
        self.device = images.device

    @cached_property
    def truths(self) -> list[Results]:
        return [truth(case, *drawn(case)) for case in self.cases]

    @property
    def seconds(self) -> float:
        """About what the float64 results take, at most."""
        return sum(3 * case.num_macs * min(1.0, PART / min(case.weight[:2])) for case in self.cases) / RATE

    def fault(self, candidate: Candidate) -> str | None:
        """What this candidate computes wrong, by layer, error and tolerance; None where all is right.

        error = |result - truth| / |truth|    in the Euclidean norm
        """
        limit = tolerance(candidate.precision, self.device)
        for case, true in zip(self.cases, self.truths, strict=True):
            for what, result, expected in zip(Results._fields, self.computed(case, candidate), true, strict=True):
                error = relative_error(result, expected)
                if not error <= limit:  # also NaN
                    where = f"{case.layer} ({case.operation})"
                    return f"the {what.replace('_', ' ')} of {where} is off by {error:.1e}, more than {limit:.0e}"
        return None

    def computed(self, case: Case, candidate: Candidate) -> Results:
        """The results as the candidate computes them, of the channels whose truth is known."""
        layout = torch.channels_last if candidate.channels_last and len(case.inputs) == 4 else torch.contiguous_format
        tensors = [tensor.to(self.device).contiguous(memory_format=layout) for tensor in drawn(case)]
        inputs, weight = (tensor.requires_grad_() for tensor in tensors)
        with lower_precision(candidate.precision, self.device):
            maps = case.run(inputs, weight, case.groups)
        upstream = drawn_like(maps, case).to(maps)
        gradients = torch.autograd.grad(maps, (inputs, weight), upstream)
        if case.groups == 1:
            return Results(maps[:, :PART], gradients[0][:, :PART], gradients[1][:PART, :PART])
        c_in, filters, c_out = first_groups(case, min(case.groups, PART))
        return Results(maps[:, :c_out], gradients[0][:, :c_in], gradients[1][:filters])


def tolerance(precision: Precision, device: torch.device) -> float:
    """The largest relative error of right arithmetic, with room: about 8, 20 and 1,600 times the unit roundoff.

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


def drawn(case: Case) -> tuple[Tensor, Tensor]:
    """Inputs and filters of this case: normal, and such that outputs are about normal too."""
    generator = torch.Generator().manual_seed(derive_seed(0, "speed self-test"))
    inputs, weight = (torch.randn(shape, generator=generator) for shape in (case.inputs, case.weight))
    return inputs, weight / weight[0].numel() ** 0.5


def drawn_like(maps: Tensor, case: Case) -> Tensor:
    """The gradient that comes from above."""
    generator = torch.Generator().manual_seed(derive_seed(0, "speed self-test gradient"))
    return torch.randn(maps.shape, generator=generator)


def truth(case: Case, inputs: Tensor, weight: Tensor) -> Results:
    """The results in float64 for the first channels, or, of a grouped call, for the first groups."""
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
    upstream = drawn_like(whole, case).double()[:, channels]
    return Results(maps.detach(), *torch.autograd.grad(maps, (inputs, weight), upstream))
