"""First layers that are computed only where a window reaches."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from neocog.explaining.local import costs_of, fields_of, is_cut, local_program
from neocog.explaining.scoring import Windows, fused
from tests.support.networks import conv_norm

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="programs are made by oneDNN")


class Block(nn.Module):
    """Two convolutions and a shortcut, as torch.fx can follow them."""

    def __init__(self, c_in: int, c: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv_norm(c_in, c, 3, stride), nn.ReLU(), conv_norm(c, c, 3))
        self.shortcut = nn.Identity() if stride == 1 else conv_norm(c_in, c, 1, stride)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.branch(x) + self.shortcut(x))


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 3)]


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "residual": lambda: nn.Sequential(
        conv_norm(2, 8, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Block(8, 8, 1), Block(8, 16, 2), *head(16)
    ),
    "valid and dilated": lambda: nn.Sequential(
        nn.Conv2d(2, 6, (3, 5)), nn.ReLU(), nn.Conv2d(6, 6, 3, dilation=2), nn.ReLU(), nn.MaxPool2d(2), *head(6)
    ),
    "strided without overlap": lambda: nn.Sequential(
        nn.Conv2d(2, 6, 1, 3), nn.ReLU(), nn.Conv2d(6, 6, 2, 2), nn.ReLU6(), nn.AvgPool2d(2, 1, 1), *head(6)
    ),
    "padded by more than it reads": lambda: nn.Sequential(
        nn.Conv2d(2, 6, 3, 2, 2), nn.SiLU(), nn.MaxPool2d(2), *head(6)
    ),
}


def windows(shape: tuple[int, int], size: tuple[int, int], step: int) -> Windows:
    torch.manual_seed(1)
    corners = itertools.product(range(0, shape[0], step), range(0, shape[1], step))
    boxes = [tuple(slice(c, min(n, c + w)) for c, n, w in zip(at, shape, size, strict=True)) for at in corners]
    return Windows(torch.randn(1, 2, *shape), torch.randn(2, *shape), boxes)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(64, 64), (61, 75)])
@pytest.mark.parametrize("size", [(9, 9), (1, 1), (6, 17)])
def test_local_program_equals_the_whole_one_at_every_window(name, shape, size):
    torch.manual_seed(0)
    net = NETWORKS[name]().eval()
    given = windows(shape, size, 7)
    program = fused(net, given.values.expand(4, -1, -1, -1), "fp32")
    assert program is not None
    with torch.inference_mode():
        local = local_program(program, given)
        assert local is not None, "there is work to be saved"
        found = local(range(len(given.boxes)))
        for row, box in enumerate(given.boxes):
            changed = given.values.clone()
            changed[0][:, *box] = given.hidden[:, *box]
            assert torch.allclose(found[row], net(changed)[0], rtol=1e-4, atol=1e-5), (name, box)


def test_local_program_reads_less():
    net = NETWORKS["residual"]().eval()
    given = windows((96, 96), (8, 8), 24)
    program = fused(net, given.values, "fp32")
    seen: list[int] = []
    nodes = [n for n in program.graph.nodes if n in fields_of(program) and is_cut(program, n) and costs_of(program)[n]]
    assert nodes  # one of them is the cut
    with torch.inference_mode():
        run = local_program(program, given)
        stem = program.get_submodule(str(next(n for n in program.graph.nodes if costs_of(program)[n]).target))
        stem.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-1]))
        run([0, 5])
    assert len(seen) == 1 and seen[0] <= 64


def test_network_that_sees_everything_at_once_has_no_local_program():
    net = nn.Sequential(nn.Conv2d(2, 4, 33, padding=16), nn.ReLU(), *head(4)).eval()
    given = windows((32, 32), (8, 8), 8)
    with torch.inference_mode():
        assert local_program(fused(net, given.values, "fp32"), given) is None
    gated = nn.Sequential(nn.InstanceNorm2d(2), nn.Conv2d(2, 4, 3), *head(4)).eval()
    with torch.inference_mode():
        assert local_program(fused(gated, given.values, "fp32"), given) is None  # the norm is that of the whole image
