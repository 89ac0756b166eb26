"""Every network of the catalogue as ONNX: ONNX Runtime computes what PyTorch does, at other batch sizes than it was
traced with."""

import pytest
import torch
from torch import Tensor, nn

from neocog.engines.convert import to_onnx
from neocog.zoo import create_model, list_models, model_info
from neocog.zoo.network import join_outputs

SMALLEST = {"image": 96, "signal": 200}
ALIKE = {"resnet50", "resnet101", "resnet152", "densenet169", "densenet201", "vgg13", "vgg16", "vgg19"}
"""Deeper forms of a network that is converted."""
NAMES = [name for name in list_models() if name not in ALIKE]


class Joined(nn.Module):
    """A network whose outputs are one tensor."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        return join_outputs(self.model(inputs))


def inputs_of(name: str, batch: int) -> Tensor:
    info = model_info(name)
    if info.modality == "text":
        return torch.randint(0, info.in_channels, (batch, info.input_size[0]))
    if info.modality == "image" and info.task == "segmentation":
        return torch.randn(batch, info.in_channels, 96, 64)
    return torch.randn(batch, info.in_channels, *info.input_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_network_computes_the_same_in_onnx_runtime(name: str) -> None:
    import onnxruntime

    info = model_info(name)
    torch.manual_seed(0)
    model = Joined(create_model(name, num_classes=info.num_classes, in_channels=info.in_channels)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    proto = to_onnx(model, [inputs_of(name, 2)], inputs=["inputs"], outputs=["outputs"])
    made_by = {output: node.op_type for node in proto.graph.node for output in node.output}
    norms = [node for node in proto.graph.node if node.op_type == "BatchNormalization"]
    readers = [each for node in proto.graph.node for each in node.input]
    left = [node.name for node in norms if made_by.get(node.input[0], "").startswith("Conv")
            and readers.count(node.input[0]) == 1]  # fmt: skip
    assert not left, "a convolution before a batch norm takes it in"
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for batch in (1, 3):
        inputs = inputs_of(name, batch)
        with torch.no_grad():
            expected = model(inputs)
        found = torch.from_numpy(session.run(None, {"inputs": inputs.numpy()})[0])
        assert found.shape == expected.shape
        assert float((found - expected).abs().max() / expected.std().clamp(min=1e-6)) < 1e-3
