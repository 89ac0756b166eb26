"""Divergence: a loss that is not finite any more, where it came from, and what to try."""

import math

import torch
from torch import Tensor, nn

from neocog.errors import DivergenceError

__all__ = ["divergence", "first_nonfinite"]


def divergence(model: nn.Module, images: Tensor, loss: float, *, step: int, epoch: int, rate: float) -> DivergenceError:
    """The error that says where a NaN or infinite loss first appeared.

    The weights are those before the update of `step`, so that running the same batch again finds the layer.
    """
    kind = "NaN" if math.isnan(loss) else "infinite"
    return DivergenceError(
        f"The loss became {kind} at step {step} (epoch {epoch + 1}), at learning rate {rate:g}; "
        f"it first appears in {first_nonfinite(model, images)}.",
        fix=f"Try a lower rate (--optimizer.lr {rate / 10:g}), a warm-up (--schedule.warmup_epochs 1), "
        "or clipping (--train.clip_norm 1).",
    )


def first_nonfinite(model: nn.Module, images: Tensor) -> str:
    """The first layer, in order of execution, with a weight or an output that is not finite."""
    found: list[str] = []

    def inspect(name: str, module: nn.Module, logits: object) -> None:
        if found:
            return
        weights = [key for key, weight in module.named_parameters(recurse=False) if not weight.isfinite().all()]
        if weights:
            found.append(f"the {weights[0]} of {name} ({type(module).__name__})")
        elif isinstance(logits, Tensor) and not logits.isfinite().all():
            found.append(f"the output of {name} ({type(module).__name__})")

    handles = [
        module.register_forward_hook(lambda module, _, out, name=name: inspect(name, module, out))
        for name, module in model.named_modules()
        if name and not list(module.children())
    ]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else "the loss itself: the logits are finite, but too large"
