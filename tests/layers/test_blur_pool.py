import numpy as np
import pytest
import torch
from torch import nn

from neocog.layers.blur_pool import BlurPool2d
from neocog.planning import plan

BINOMIALS = {1: [1], 2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1], 5: [1, 4, 6, 4, 1], 7: [1, 6, 15, 20, 15, 6, 1]}


@pytest.mark.parametrize("kernel_size", BINOMIALS)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_each_value_is_a_binomial_mean_of_the_reflected_map(kernel_size, stride):
    maps = np.random.default_rng(0).normal(size=(2, 5, 9, 8))
    row = np.array(BINOMIALS[kernel_size]) / 2 ** (kernel_size - 1)
    sides = ((kernel_size - 1) // 2, kernel_size // 2)
    wide = np.pad(maps, ((0, 0), (0, 0), sides, sides), mode="reflect")
    expected = np.empty((2, 5, -(-9 // stride), -(-8 // stride)))
    for i, j in np.ndindex(*expected.shape[2:]):
        window = wide[:, :, i * stride :, j * stride :][:, :, :kernel_size, :kernel_size]
        expected[:, :, i, j] = np.einsum("ncuv,u,v->nc", window, row, row)
    found = BlurPool2d(kernel_size, stride).double()(torch.from_numpy(maps))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_finest_ripple_vanishes_and_constants_stay_up_to_the_border():
    ripple = (-1.0) ** (torch.arange(9)[:, None] + torch.arange(8))
    maps = torch.stack([ripple, torch.full((9, 8), 3.0)])[None]
    pooled = BlurPool2d()(maps)
    assert pooled[0, 0].abs().max() == 0
    assert (pooled[0, 1] == 3).all()
    assert (maps[0, 0, ::2, ::2] == 1).all()  # what plain subsampling makes of the ripple


def test_the_papers_square_wave():
    """Figure 3: 0 0 1 1 and so on gives 0 1 by max pooling and 1 1 one sample on; blurred, 1/2 1 and 3/4 3/4."""
    wave = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(5).expand(1, 1, 2, 20)
    densely, blur = nn.MaxPool2d((1, 2), stride=1), BlurPool2d()
    plain = nn.MaxPool2d((1, 2), stride=2)
    inside = slice(2, 6)  # away from borders
    assert plain(wave)[0, 0, 0, inside].tolist() == [0, 1, 0, 1]
    assert plain(wave[..., 1:])[0, 0, 0, inside].tolist() == [1, 1, 1, 1]
    assert blur(densely(wave))[0, 0, 0, inside].tolist() == [0.5, 1, 0.5, 1]
    assert blur(densely(wave[..., 1:]))[0, 0, 0, inside].tolist() == [0.75] * 4


def test_a_shift_by_one_pixel_changes_max_blur_pooling_less_than_max_pooling():
    images = torch.rand(8, 3, 33, 33, generator=torch.Generator().manual_seed(0))

    def change(pool):
        """Mean square of what the shift changes, relative to the variance of what the pooling gives."""
        here, shifted = (pool(images[..., s : s + 32])[..., 1:-1, 1:-1] for s in (0, 1))
        return float((here - shifted).square().mean() / here.var())

    plain = change(nn.MaxPool2d(2))
    three, five = (change(nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool2d(size))) for size in (3, 5))
    assert three < 0.5 * plain
    assert five < 0.8 * three


def test_any_number_of_channels_goes_through_one_layer_and_gradients_come_back():
    pool = BlurPool2d().double()
    assert [pool(torch.rand(2, channels, 5, 4).double()).shape[1] for channels in (1, 3, 7)] == [1, 3, 7]
    assert torch.autograd.gradcheck(pool, torch.rand(1, 2, 4, 5, dtype=torch.float64, requires_grad=True))


def test_nothing_is_trained_and_nothing_is_saved():
    pool = BlurPool2d()
    assert not list(pool.parameters())
    assert not pool.state_dict()
    assert repr(pool) == "BlurPool2d(kernel_size=3, stride=2)"


def test_a_plan_knows_the_receptive_field_exactly():
    """Max pooling sees 2, three such windows side by side see 4; the next output is 2 on. A last 3x3 adds 2 * 2."""
    net = nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool2d(), nn.Conv2d(3, 1, 3))
    planned = plan(net, (3, 17, 17))
    pooled, last = planned.row("1"), planned.row("2")
    assert (pooled.receptive_field, pooled.stride, pooled.exact) == ((4, 4), (2, 2), True)
    assert (last.receptive_field, last.exact) == ((8, 8), True)
    assert planned.box(pooled, (0, 3)) == ((0, 2), (5, 8))  # at the border the reflection adds nothing new
    assert planned.support(pooled, (2, 3), channel=1).any(axis=(1, 2)).tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_exported_layer_gives_the_same():
    pool, maps = BlurPool2d(4).eval(), torch.rand(2, 3, 9, 10)
    exported = torch.export.export(pool, (maps,)).module()
    torch.testing.assert_close(exported(maps), pool(maps))
