"""Calls of torch's functions in a forward pass, with the layer that makes each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["LayerCalls"]


class LayerCalls(TorchFunctionMode):
    """Sees every call, also those that a layer makes without a module of their own, and leaves its result."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""

    @property
    def layer(self) -> str:
        """The layer that was entered last."""
        return self.name or "the network"

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator[None]:
        """Within this block calls are noted, and the layers of this model are known."""
        with ExitStack() as hooks, self:
            for name, module in model.named_modules():
                hooks.callback(module.register_forward_pre_hook(self.entering(name)).remove)
            yield

    def entering(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(_: nn.Module, __: Any) -> None:
            self.name = name

        return enter

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.note(func, args, kwargs or {}, result)
        return result

    def note(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        """Take notice of a call."""
        raise NotImplementedError
