import torch
import torch.nn.functional as F

from neocog.layers import PartialConv2d, RadialBasis, ScaledTanh, TrainableSubsampling


def test_subsampling_is_a_scaled_sum_of_windows():
    layer = TrainableSubsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([0.5, 2.0]))
        layer.bias.copy_(torch.tensor([1.0, -1.0]))
    maps = torch.arange(32.0).view(1, 2, 4, 4)
    # The four windows of the first map sum to 10, 18, 42, 50; of the second, 64 more in each.
    assert layer(maps)[0, 0].tolist() == [[6.0, 10.0], [22.0, 26.0]]
    assert layer(maps)[0, 1].tolist() == [[147.0, 163.0], [211.0, 227.0]]


def test_partial_convolution_equals_a_full_one_with_zeros():
    layer = PartialConv2d(3, [(0,), (1, 2), (0, 1, 2)], kernel_size=3).double()
    dense = torch.zeros(3, 3, 3, 3, dtype=torch.float64)
    for kernel, (m, c) in zip(layer.weight, [(0, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)], strict=True):
        dense[m, c] = kernel.detach()
    maps = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(maps), F.conv2d(maps, dense, layer.bias))
    assert torch.autograd.gradcheck(layer, maps.requires_grad_())


def test_unconnected_maps_do_not_matter():
    layer = PartialConv2d(2, [(0,)], kernel_size=3)
    maps = torch.randn(1, 2, 5, 5)
    changed = maps.clone()
    changed[:, 1] += 100
    assert torch.equal(layer(maps), layer(changed))


def test_radial_basis_is_minus_the_squared_distance():
    codes, features = torch.randn(5, 8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    torch.testing.assert_close(RadialBasis(codes)(features), -(torch.cdist(features, codes) ** 2))


def test_scaled_tanh_has_its_published_values():
    values = ScaledTanh()(torch.tensor([0.0, 1.0, 1e9], dtype=torch.float64))
    torch.testing.assert_close(values, torch.tensor([0.0, 1.0, 1.7159], dtype=torch.float64), atol=1e-4, rtol=0)
