"""The trace of a network: every operation in the order of execution, with shapes."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from neocog.arithmetic import conv_transpose_output
from neocog.errors import PlanError
from neocog.planning.function_calls import NumberedCalls
from neocog.torch_private import (
    OpOverload,
    TorchDispatchMode,
    defer_compiler,
    schema_arguments,
    storage_id,
    tree_leaves,
    tree_map_only,
)

__all__ = ["Operation", "Ref", "Trace", "Value", "first_line", "trace"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A value at its place among an operation's arguments."""

    value: int


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor at one moment: an in-place operation makes a new value of the same tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    storage: int
    from_input: bool
    parameters: frozenset[str]
    """The parameters that it is or is made of, where nothing of the input is in it."""

    @property
    def size(self) -> int:
        """Bytes."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of torch's dispatcher, with all its arguments. Tensors among them are Refs."""

    operator: OpOverload | None
    """None stands for the unseen effect that writing to one view has on another."""
    args: tuple[Any, ...]
    outputs: tuple[int, ...]
    module: str
    call: int = -1
    """The number of the function call that asked for it, as `NumberedCalls` counts."""

    @property
    def name(self) -> str:
        """The operator's plain name: `convolution`, `relu`, `addmm`."""
        return self.operator.overloadpacket.__name__.strip("_") if self.operator else "write"

    @property
    def named(self) -> dict[str, Any]:
        """The arguments by their names in torch's schema, defaults filled in."""
        assert self.operator is not None
        return dict(zip((argument.name for argument in schema_arguments(self.operator)), self.args, strict=True))

    @property
    def inputs(self) -> list[int]:
        """The values that it reads, in the order of its arguments."""
        return [leaf.value for leaf in tree_leaves(self.args) if isinstance(leaf, Ref)]


@dataclass(slots=True)
class Trace:
    """All values and operations of one forward pass."""

    values: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    input: int = 0
    outputs: tuple[int, ...] = ()
    at: str = ""
    """The module in which the last operation was asked for; where something failed, in which it did."""
    asked: tuple[str, tuple[tuple[int, ...], ...]] = ("", ())
    """The operation that is under way, and the shapes of its tensors; where something failed, the one that did."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes a trace while a network on the meta device runs under it."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = Trace()
        self.names = names  # id of a parameter -> its name
        self.current: dict[int, int] = {}  # id of a tensor -> its value now
        self.aliases: dict[int, list[Tensor]] = {}  # storage -> the tensors that view it; keeps them alive, too
        self.moved: dict[int, Tensor] = {}  # id of a tensor from elsewhere -> its stand-in
        self.kept: list[Tensor] = []
        self.stack = [""]
        self.calls = NumberedCalls()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.trace.at = self.stack[-1]
        args, kwargs = tree_map_only(Tensor, self.to_meta, (tuple(args), kwargs or {}))
        shapes = tuple(tuple(leaf.shape) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        self.trace.asked = (func.overloadpacket.__name__.strip("_"), shapes)
        if kwargs.get("device") is not None:
            kwargs["device"] = torch.device("meta")  # a network that names a device is followed all the same
        refuse(self.trace.asked[0], args)
        result = func(*args, **kwargs)
        self.trace.asked = ("", ())
        values, named = tree_map_only(Tensor, lambda tensor: Ref(self.value(tensor)), (args, kwargs))
        read = [self.trace.values[ref.value] for ref in tree_leaves((values, named)) if isinstance(ref, Ref)]
        from_input = any(value.from_input for value in read) and not takes_shape_alone(func)
        parameters = frozenset[str]() if from_input else frozenset().union(*(value.parameters for value in read))
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        outputs = tuple(self.new_value(tensor, from_input, parameters) for tensor in tensors)
        rest = tuple(named.get(a.name, a.default_value) for a in schema_arguments(func)[len(args) :])
        self.trace.operations.append(Operation(func, (*values, *rest), outputs, self.stack[-1], self.calls.count - 1))
        written = [args[i] for i, a in enumerate(schema_arguments(func)[: len(args)]) if a.is_write]
        for tensor in written:
            if isinstance(tensor, Tensor):
                self.spread(tensor)
        return result

    def to_meta(self, tensor: Tensor) -> Tensor:
        """The tensor itself, or for one that a network made or kept elsewhere, its stand-in."""
        if tensor.device.type == "meta":
            return tensor
        if id(tensor) not in self.moved:
            self.kept.append(tensor)
            self.moved[id(tensor)] = tensor.detach().to("meta")
        return self.moved[id(tensor)]

    def value(self, tensor: Tensor) -> int:
        """The tensor's value now; one that was not seen before is a parameter or a constant."""
        if id(tensor) not in self.current:
            name = self.names.get(id(tensor))
            self.new_value(tensor, from_input=False, parameters=frozenset([name] if name else []))
        return self.current[id(tensor)]

    def new_value(self, tensor: Tensor, from_input: bool, parameters: frozenset[str]) -> int:
        storage = storage_id(tensor)
        aliases = self.aliases.setdefault(storage, [])
        if not any(alias is tensor for alias in aliases):
            aliases.append(tensor)
        self.current[id(tensor)] = len(self.trace.values)
        self.trace.values.append(Value(tuple(tensor.shape), tensor.dtype, storage, from_input, parameters))
        return self.current[id(tensor)]

    def spread(self, written: Tensor) -> None:
        """After an in-place operation: other views of the same storage may have changed with the one written to."""
        new = self.trace.values[self.value(written)]
        for alias in list(self.aliases.get(new.storage, [])):
            if alias is not written:
                old = self.value(alias)
                both = self.trace.values[old].from_input or new.from_input
                mixed = frozenset[str]() if both else new.parameters | self.trace.values[old].parameters
                read = (Ref(old), Ref(self.value(written)))
                after = self.new_value(alias, both, mixed)
                self.trace.operations.append(Operation(None, read, (after,), self.stack[-1], self.calls.count - 1))


def trace(copied: nn.Module, shape: Sequence[int], dtype: torch.dtype, batch_size: int = 1) -> Trace:
    """Run a network that is on the meta device on an input of this shape, without the batch, and write down all.

    Raises PlanError if the network's way depends on values, which an input without values does not have. What else
    is raised goes through, and takes the trace so far along as its attribute `trace`.
    """
    defer_compiler()
    recorder = Recorder({id(parameter): name for name, parameter in copied.named_parameters()})
    images = torch.empty(batch_size, *shape, dtype=dtype, device="meta")
    recorder.new_value(images, from_input=True, parameters=frozenset())
    with ExitStack() as stack:
        for name, module in copied.named_modules():
            stack.callback(module.register_forward_pre_hook(entering(recorder, name)).remove)
            stack.callback(module.register_forward_hook(leaving(recorder), always_call=True).remove)
        stack.enter_context(torch.inference_mode(False))  # which would trace other operations
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.device("meta"))
        try:
            with recorder, recorder.calls:
                result = copied(images)
        except Exception as error:
            unwritten = 'missing the required "forward"' in str(error)
            if (isinstance(error, NotImplementedError) and not unwritten) or "meta tensor" in str(error):
                raise value_asked(recorder.trace.at, error) from error
            error.trace = recorder.trace  # type: ignore[attr-defined]
            raise
    found = [recorder.value(leaf) for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
    recorder.trace.outputs = tuple(found)
    return recorder.trace


def takes_shape_alone(operator: OpOverload) -> bool:
    """Whether an operation makes a tensor like another without a look at its values: zeros_like, new_zeros."""
    name: str = operator.overloadpacket.__name__
    return name.endswith("_like") or name.startswith("new_")


def refuse(operator: str, args: Sequence[Any]) -> None:
    """Raise, as torch does when it computes, for what its meta device lets through."""
    if operator in ("convolution", "mm", "addmm", "bmm", "baddbmm"):
        types = {argument.dtype for argument in args if isinstance(argument, Tensor)}
        if len(types) > 1:
            raise RuntimeError(f"all tensors must have one type, received {' and '.join(sorted(map(str, types)))}")
    if operator == "convolution" and args[6]:
        x, weight, _, stride, padding, dilation, _, output_padding, _ = args
        if weight.shape[0] != x.shape[1]:
            raise RuntimeError(f"expected {weight.shape[0]} channels, received {x.shape[1]}")
        settings = zip(weight.shape[2:], stride, padding, output_padding, dilation, strict=True)
        for size, numbers in zip(x.shape[2:], settings, strict=True):
            conv_transpose_output(size, *numbers)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def entering(recorder: Recorder, name: str) -> Callable[..., None]:
    def enter(*_: object) -> None:
        recorder.stack.append(name)
        recorder.trace.at = name

    return enter


def leaving(recorder: Recorder) -> Callable[..., None]:
    def leave(_: nn.Module, __: object, result: object) -> None:
        recorder.stack.pop()
        if result is not None:  # after an error, the place is where it came from
            recorder.trace.at = recorder.stack[-1]

    return leave


def value_asked(at: str, error: Exception) -> PlanError:
    """The error for a network that asks what is in a tensor."""
    return PlanError(
        f"A plan follows shapes, not values, and {at or 'the network'} asks for what has none: "
        f"{shorten(first_line(error), 200, placeholder=' ...').rstrip('.')}. Plan the parts before and after it."
    )
