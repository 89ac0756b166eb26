"""Networks as ONNX models: silent errors of torch's own exporter are put right, batch norms folded, paths left out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from neocog.engines.convert import OPSET, export_program, quiet, to_onnx
from neocog.errors import ConfigError

ANY = {0: "batch", 2: "height", 3: "width"}


def ours(model: nn.Module, example: Tensor, dynamic: dict[int, str] | None = None) -> onnx.ModelProto:
    axes = {0: "batch"} if dynamic is None else dynamic
    return to_onnx(model, [example], inputs=["inputs"], outputs=["outputs"], dynamic=[axes])


def torchs(model: nn.Module, example: Tensor, dynamic: dict[int, str]) -> onnx.ModelProto:
    """What torch writes by itself."""
    shapes = (dict.fromkeys(dynamic, torch.export.Dim.DYNAMIC),)
    with quiet():
        made = torch.onnx.export(
            model.eval(), (example,), dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, verbose=False
        )
    assert made is not None
    found: onnx.ModelProto = made.model_proto
    return found


def run(proto: onnx.ModelProto, inputs: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (name,) = session.get_inputs()
    return torch.from_numpy(session.run(None, {name.name: inputs.numpy()})[0])


WRONG: dict[str, tuple[Callable[[], nn.Module], Tensor, Tensor]] = {
    "average pooling with a divisor": (
        lambda: nn.AvgPool2d(2, divisor_override=3), torch.rand(2, 3, 8, 8), torch.rand(3, 3, 6, 10)
    ),
    "adaptive average pooling of any size": (
        lambda: nn.AdaptiveAvgPool2d(4), torch.rand(2, 3, 16, 16), torch.rand(1, 3, 12, 12)
    ),
    "log sigmoid": (nn.LogSigmoid, torch.rand(2, 1, 4, 4), torch.linspace(-200, 50, 16).reshape(1, 1, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_operation_that_torch_writes_wrongly_is_exact(name: str) -> None:
    make, example, inputs = WRONG[name]
    expected = make()(inputs)
    torch.testing.assert_close(run(ours(make(), example, ANY), inputs), expected)
    theirs = run(torchs(make(), example, ANY), inputs)
    assert theirs.shape != expected.shape or not torch.allclose(theirs, expected), "torch has put it right: drop ours"


def test_pooling_with_a_divisor_beyond_the_edge_is_refused() -> None:
    model = nn.AvgPool2d(3, stride=2, ceil_mode=True, divisor_override=2)
    with pytest.raises(ConfigError, match="Average pooling with a divisor of its own.*ceil_mode=True.*to False"):
        ours(model, torch.rand(2, 1, 8, 8))


def test_example_of_one_is_refused_since_it_would_be_written_down() -> None:
    class Flat(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.reshape(maps.shape[0] * 4, -1)

    program = torch.export.export(Flat(), (torch.rand(1, 4, 6),), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    assert "[4, -1]" in str(program.graph), "torch took the size of the example"
    with pytest.raises(AssertionError, match="size of 1"):
        ours(Flat(), torch.rand(1, 4, 6))
    inputs = torch.rand(5, 4, 6)
    torch.testing.assert_close(run(ours(Flat(), torch.rand(2, 4, 6)), inputs), Flat()(inputs))


class Chain(nn.Module):
    """Layers with batch norms behind them, of each kind that takes one in."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(6, 8, 3, stride=2, groups=2), nn.BatchNorm2d(8))
        self.narrow = nn.Sequential(nn.Conv1d(8, 5, 3), nn.BatchNorm1d(5))
        self.head = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7, affine=False))

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.head(self.narrow(self.up(self.wide(maps)).mean(dim=3)).mean(dim=2))
        return found


def settle(model: nn.Module) -> nn.Module:
    """Statistics of batch norms that are not trivial."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            if module.affine:
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias)
    return model.eval()


@pytest.fixture(scope="module")
def chain() -> tuple[nn.Module, onnx.ModelProto]:
    model = settle(Chain())
    return model, ours(model, torch.rand(2, 4, 9, 10))


def test_batch_norms_are_folded_into_layers(chain: tuple[nn.Module, onnx.ModelProto]) -> None:
    model, proto = chain
    assert not [node.op_type for node in proto.graph.node if node.op_type == "BatchNormalization"]
    inputs = torch.randn(3, 4, 9, 10)
    torch.testing.assert_close(run(proto, inputs), model(inputs), rtol=1e-5, atol=1e-5)


def test_batch_norm_of_a_shared_convolution_stays() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)

        def forward(self, maps: Tensor) -> Tensor:
            maps = self.conv(maps)
            return self.norm(maps) + maps

    model = settle(Shared())
    proto, inputs = ours(model, torch.rand(2, 2, 4, 4)), torch.randn(3, 2, 4, 4)
    assert [node.op_type for node in proto.graph.node].count("BatchNormalization") == 1
    torch.testing.assert_close(run(proto, inputs), model(inputs), rtol=1e-5, atol=1e-5)


def test_model_names_its_axes_and_says_nothing_of_this_machine(chain: tuple[nn.Module, onnx.ModelProto]) -> None:
    _, proto = chain
    onnx.checker.check_model(proto)
    assert proto.opset_import[0].version == OPSET
    assert [value.type.tensor_type.shape.dim[0].dim_param for value in (*proto.graph.input, *proto.graph.output)] == [
        "batch", "batch"
    ]  # fmt: skip
    content = proto.SerializeToString()
    for text in (str(Path(__file__).parent), str(Path(torch.__file__).parent), "stack_trace", "forward("):
        assert text.encode() not in content
    assert all("/" in node.name for node in proto.graph.node if node.op_type == "Conv"), "nodes name their module"


def test_padded_weights_are_computed_once() -> None:
    """ONNX Runtime 1.32 loses a Pad of weights, which torch's exporter leaves in the graph."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(64, 1, 5, 5))

        def forward(self, maps: Tensor) -> Tensor:
            weight = nn.functional.pad(self.weight, (1, 0, 1, 0))
            return nn.functional.conv2d(maps, weight, stride=2, padding=2, groups=64)

    model, inputs = Padded().eval(), torch.randn(3, 64, 9, 9)
    proto = ours(model, torch.randn(2, 64, 9, 9))
    assert [node.op_type for node in proto.graph.node] == ["Conv"]
    torch.testing.assert_close(run(proto, inputs), model(inputs), rtol=1e-4, atol=1e-4)


def test_network_whose_path_depends_on_values_is_refused() -> None:
    class Forked(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps if maps.sum() > 0 else -maps

    with pytest.raises(ConfigError, match="exported as one graph.*Forked.*Write such decisions as torch.where"):
        export_program(Forked(), [torch.rand(2, 3)])


def test_conversion_leaves_the_network_alone() -> None:
    model = settle(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    ours(model, torch.rand(2, 1, 6, 6))
    assert all(np.array_equal(values, before[name]) for name, values in model.state_dict().items())
