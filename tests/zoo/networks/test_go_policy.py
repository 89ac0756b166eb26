import pytest
import torch
import torch.nn.functional as F

from neocog import plan
from neocog.errors import ConfigError, GeometryError
from neocog.zoo.networks.go_policy import GoPolicy
from neocog.zoo.networks.go_residual import GoResidual


def on_meta(**options):
    with torch.device("meta"):
        return GoPolicy(**options)


def small(num_classes=81, width=6):
    torch.manual_seed(0)
    return GoPolicy(in_channels=3, num_classes=num_classes, width=width).double()


@pytest.mark.parametrize(("planes", "board_size", "width"), [(48, 19, 192), (17, 13, 64), (2, 9, 5)])
def test_parameters_are_those_of_thirteen_layers_and_a_bias_for_each_point(planes, board_size, width):
    model = on_meta(in_channels=planes, num_classes=board_size**2, width=width)
    first, middle = (25 * planes + 1) * width, 11 * (9 * width + 1) * width
    assert sum(p.numel() for p in model.parameters()) == first + middle + width + board_size**2


def test_parameters_as_published():
    assert sum(p.numel() for p in on_meta().parameters()) == 3_882_793


def test_the_last_layer_sees_27_points_and_shapes_stay():
    model = on_meta()
    planned = plan(model, (48, 19, 19))
    assert planned.row("head.0").receptive_field == (5 + 11 * 2,) * 2 == (27, 27)
    assert planned.output_shapes == ((361,),)
    (maps,) = model.features(torch.empty(2, 48, 19, 19, device="meta"))
    assert maps.shape == (2, 192, 19, 19)


def test_logits_are_those_of_the_papers_layers():
    model, boards = small(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    torch.nn.init.normal_(model.head[-1].bias)
    kernels = iter(model.parameters())
    padded = F.pad(boards, (2, 2, 2, 2))  # the paper's 23x23 on 19x19
    maps = F.conv2d(padded, next(kernels), next(kernels)).relu()
    for _ in range(2, 13):
        maps = F.conv2d(F.pad(maps, (1, 1, 1, 1)), next(kernels), next(kernels)).relu()
    last, bias = kernels
    expected = (maps * last[0]).sum(1) + bias.reshape(9, 9)
    torch.testing.assert_close(model(boards), expected.reshape(2, 81))


def test_each_point_has_a_bias_of_its_own():
    model, boards = small(), torch.randn(4, 3, 9, 9, dtype=torch.float64)
    before = model(boards)
    with torch.no_grad():
        model.head[-1].bias[9 * 2 + 5] += 3.0
    change = (model(boards) - before).reshape(4, 9, 9)
    expected = torch.zeros_like(change)
    expected[:, 2, 5] = 3
    torch.testing.assert_close(change, expected)


def test_away_from_borders_a_moved_position_moves_the_maps():
    model, boards = small(width=4), torch.randn(1, 3, 37, 37, dtype=torch.float64)
    (maps,), (moved,) = model.features(boards), model.features(boards.roll((2, -3), dims=(2, 3)))
    inner = slice(13 + 3, 37 - 13 - 3)  # where 13 points around, and 3 of the move, are on the board
    torch.testing.assert_close(moved[..., inner, inner], maps.roll((2, -3), dims=(2, 3))[..., inner, inner])
    assert not torch.allclose(moved, maps.roll((2, -3), dims=(2, 3)))  # borders are seen by their padding


def test_first_logits_tell_positions_apart():
    torch.manual_seed(0)
    boards = (torch.rand(16, 48, 19, 19) < 0.2).float()
    with torch.no_grad():
        model = GoPolicy(width=48)
        assert model(boards).std(0).mean() > 0.05
        for conv in (module for module in model.modules() if isinstance(module, torch.nn.Conv2d)):
            conv.reset_parameters()
        assert model(boards).std(0).mean() < 0.005  # torch's own first values let the signal fade


@pytest.mark.parametrize("num_classes", [363, 83, 3, 0, -4])
def test_non_square_board_is_refused(num_classes):
    rule = f"points of a square board, or one more to pass. Received: {num_classes}. Use the square of the board's size"
    with pytest.raises(ConfigError, match=rule):
        on_meta(num_classes=num_classes)


@pytest.mark.parametrize("size", [1, 13])
def test_another_board_than_it_was_built_for_is_refused(size):
    model = on_meta(width=4)
    with pytest.raises(GeometryError, match="PointBias"):
        plan(model, (48, size, size))


NARROW = [(GoPolicy, 25, {"width": 16}), (GoPolicy, 26, {"width": 16}), (GoResidual, 26, {"widths": (16, 24)})]


@pytest.mark.parametrize(("build", "num_moves", "options"), NARROW)
def test_every_parameter_learns(build, num_moves, options):
    torch.manual_seed(0)
    model = build(in_channels=3, num_classes=num_moves, **options)
    model(torch.randn(8, 3, 5, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize(("build", "num_moves", "options"), NARROW)
def test_exported_it_computes_the_same_for_any_batch(build, num_moves, options):
    model = build(in_channels=3, num_classes=num_moves, **options).eval()
    boards = torch.randn(2, 3, 5, 5)
    batches = ({0: torch.export.Dim("batch", min=1, max=64)},)
    program = torch.export.export(model, (boards,), dynamic_shapes=batches).module()
    more = torch.randn(5, 3, 5, 5)
    torch.testing.assert_close(program(more), model(more))


def test_a_pass_is_rated_by_the_mean_of_the_maps():
    model, boards = small(num_classes=82), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    (maps,) = model.features(boards)
    logits = model(boards)
    assert logits.shape == (2, 82)
    expected = maps.mean((2, 3)) @ model.head[0].passing.weight[0]
    torch.testing.assert_close(logits[:, 81], expected)
    torch.testing.assert_close(logits[:, :81], (maps * model.head[0].points.weight[0]).sum(1).flatten(1))


def test_widths_are_those_of_the_blocks():
    with torch.device("meta"):
        model = GoResidual(in_channels=48, num_classes=82, widths=(8, 16, 16))
        assert sum(p.numel() for p in GoResidual().parameters()) == 715_682
    assert [maps.shape[1] for maps in model.features(torch.empty(1, 48, 9, 9, device="meta"))] == [16]
    assert len(model.stages[0]) == 3
