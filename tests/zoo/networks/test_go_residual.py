import pytest
import torch
import torch.nn.functional as F

from neocog import plan
from neocog.errors import ConfigError, GeometryError
from neocog.zoo.networks.go_residual import GoResidual


def on_meta(**options):
    with torch.device("meta"):
        return GoResidual(**options)


def small(num_classes=82, num_blocks=2):
    torch.manual_seed(0)
    return GoResidual(in_channels=3, num_classes=num_classes, widths=[8] * num_blocks).double()


def parameters(planes, board_size, num_blocks, width):
    """Convolutions without bias, two parameters of norm for each channel, a dense layer with bias."""
    points = board_size**2
    stem, block = 9 * planes * width + 2 * width, 2 * (9 * width * width + 2 * width)
    return stem + num_blocks * block + (2 * width + 4) + (2 * points + 1) * (points + 1)


@pytest.mark.parametrize(
    ("planes", "board_size", "num_blocks", "width"), [(17, 19, 6, 64), (17, 19, 19, 256), (3, 5, 1, 2)]
)
def test_parameters_are_those_of_its_layers(planes, board_size, num_blocks, width):
    model = on_meta(in_channels=planes, num_classes=board_size**2 + 1, widths=[width] * num_blocks)
    assert sum(p.numel() for p in model.parameters()) == parameters(planes, board_size, num_blocks, width)


def test_it_is_a_thirtieth_of_the_published_one():
    assert parameters(17, 19, 6, 64) == sum(p.numel() for p in on_meta().parameters()) == 715_682
    assert parameters(17, 19, 19, 256) == 22_734_690  # the smaller one of the paper, without its other head


def test_the_tower_sees_27_points_and_shapes_stay():
    model = on_meta()
    planned = plan(model, (17, 19, 19))
    assert planned.row("stages.0.5").receptive_field == (3 + 6 * 2 * 2,) * 2 == (27, 27)
    assert planned.rows[-1].whole == (True, True)
    assert planned.output_shapes == ((362,),)
    (maps,) = model.features(torch.empty(2, 17, 13, 13, device="meta"))
    assert maps.shape == (2, 64, 13, 13)  # the tower takes any board


def test_logits_are_those_of_the_papers_layers():
    model, boards = small().eval(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    for name, tensor in model.state_dict().items():
        if "running" in name or tensor.ndim == 1:
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    tensors = iter(tensor for key, tensor in model.state_dict().items() if "num_batches" not in key)

    def conv_norm(maps):
        kernel, weight, bias, mean, var = (next(tensors) for _ in range(5))
        maps = F.conv2d(maps, kernel, padding="same")
        return F.batch_norm(maps, mean, var, weight, bias)

    maps = conv_norm(boards).relu()
    for _ in range(2):
        maps = (conv_norm(conv_norm(maps).relu()) + maps).relu()
    features = conv_norm(maps).relu().reshape(2, 2 * 81)
    weight, bias = tensors
    torch.testing.assert_close(model(boards), features @ weight.T + bias)


def test_away_from_borders_a_moved_position_moves_the_maps():
    model, boards = small().eval(), torch.randn(1, 3, 23, 23, dtype=torch.float64)
    (maps,), (moved,) = model.features(boards), model.features(boards.roll((2, -3), dims=(2, 3)))
    inner = slice(5 + 3, 23 - 5 - 3)  # a field of 3 + 2 * 4 = 11, and a move of 3
    torch.testing.assert_close(moved[..., inner, inner], maps.roll((2, -3), dims=(2, 3))[..., inner, inner])
    assert not torch.allclose(moved, maps.roll((2, -3), dims=(2, 3)))


@pytest.mark.parametrize("num_classes", [361, 1, 0, -3])
def test_non_square_board_and_a_pass_is_refused(num_classes):
    rule = f"and one for passing. Received: {num_classes}. Use the square of the board's size plus 1, such as 362"
    with pytest.raises(ConfigError, match=rule):
        on_meta(num_classes=num_classes)


def test_another_board_than_it_was_built_for_is_refused():
    with pytest.raises(GeometryError, match=r"head.3 Linear.* Use an input of 17x19x19"):
        plan(on_meta(widths=[4]), (17, 13, 13))
