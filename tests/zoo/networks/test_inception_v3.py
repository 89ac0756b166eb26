from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import plan
from neocog.zoo.network import WithAuxiliary
from neocog.zoo.networks.inception_v3 import AuxiliaryHead, InceptionV3, block_8, reduction_17, reduction_35


@cache
def on_meta(**options):
    with torch.device("meta"):
        return InceptionV3(**options)


@pytest.fixture(scope="module")
def small():
    """Without dropout, and with norms that use running statistics in training too, so that results can be compared."""
    torch.manual_seed(0)
    model = InceptionV3(num_classes=3, in_channels=1, dropout=0.0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


@pytest.mark.parametrize(("auxiliary", "count"), [(True, 27_161_264), (False, 23_834_568)])
def test_published_parameter_counts(auxiliary, count):
    assert sum(p.numel() for p in on_meta(auxiliary=auxiliary).parameters()) == count


def test_published_sizes_of_maps():
    model, images = on_meta(), torch.empty(1, 3, 299, 299, device="meta")
    sizes = [images.shape[-1]]
    for layer in model.stem:
        images = layer(images)
        sizes.append(images.shape[-1])
    assert sizes == [299, 149, 147, 147, 73, 73, 71, 35]
    found = model.features(torch.empty(1, 3, 299, 299, device="meta"))
    assert [maps.shape[1:] for maps in found] == [(288, 35, 35), (768, 17, 17), (2048, 8, 8)]


@pytest.mark.parametrize(("size", "c_in"), [(299, 3), (75, 1), (128, 4)])
def test_shapes_of_any_input_from_75_on(size, c_in):
    model, images = on_meta(in_channels=c_in, num_classes=7), torch.empty(2, c_in, size, size, device="meta")
    assert model.eval()(images).shape == (2, 7)
    found = model.train()(images)
    assert [logits.shape for logits in (found.logits, *found.auxiliary)] == [(2, 7), (2, 7)]


def test_a_smaller_input_leaves_nothing_for_the_last_reduction():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        on_meta().eval()(torch.empty(1, 3, 74, 74, device="meta"))


def test_published_receptive_field_of_the_last_block():
    """1311 pixels, 32 apart, from 618 pixels before the image on (Araujo et al. 2019)."""
    row = plan(on_meta(), (3, 299, 299)).row("stages.2.2")
    assert (row.receptive_field, row.stride, row.offset) == ((1311, 1311), (32, 32), (-618, -618))


def test_large_convolutions_are_taken_apart():
    kernels = {m.kernel_size for m in on_meta().stages.modules() if isinstance(m, nn.Conv2d)}
    assert kernels == {(1, 1), (3, 3), (5, 5), (1, 7), (7, 1), (1, 3), (3, 1)}


def test_reductions_end_in_a_pooling_and_halve():
    torch.manual_seed(0)
    for block, c_in, c_out in ((reduction_35(), 288, 768), (reduction_17(), 768, 1280)):
        maps = torch.randn(1, c_in, 9, 7)
        found = block.eval()(maps)
        assert found.shape == (1, c_out, 4, 3)
        assert torch.equal(found[:, -c_in:], F.max_pool2d(maps, 3, 2))


def test_the_last_blocks_end_in_1x3_and_3x1_side_by_side():
    torch.manual_seed(0)
    maps = torch.randn(1, 16, 5, 4)
    block = block_8(16).eval()
    norm = 1.001**0.5  # running statistics are zeros and ones still
    shared = (F.conv2d(maps, block.branches[1][0][0].weight) / norm).relu()
    wide, high = (way[0].weight for way in block.branches[1][1].branches)
    expected = [F.conv2d(shared, wide, padding=(0, 1)), F.conv2d(shared, high, padding=(1, 0))]
    assert (wide.shape[2:], high.shape[2:]) == ((1, 3), (3, 1))
    torch.testing.assert_close(block(maps)[:, 320 : 320 + 768], (torch.cat(expected, 1) / norm).relu())


def test_the_auxiliary_classifier_pools_17x17_as_published():
    torch.manual_seed(0)
    head, maps = AuxiliaryHead(4).eval(), torch.randn(2, 768, 17, 17)
    tensors = {name: parameter for name, parameter in head.named_parameters() if parameter.ndim > 1}
    narrow, wide, dense = tensors.values()
    means = (F.conv2d(F.avg_pool2d(maps, 5, 3), narrow) / 1.001**0.5).relu()
    values = (F.conv2d(means, wide) / 1.001**0.5).relu().mean((2, 3))
    torch.testing.assert_close(head(maps), F.linear(values, dense, head.head[2].bias))
    assert head(maps[..., :3, :3]).isfinite().all()


def test_in_training_the_auxiliary_classifier_reads_the_maps_of_17x17(small):
    images = torch.randn(2, 1, 75, 75)
    found = small(images)
    assert isinstance(found, WithAuxiliary) and found.weight == 0.4
    maps = small.stages[1](small.stages[0](small.stem(images)))
    torch.testing.assert_close(found.auxiliary, (small.auxiliary(maps),))
    logits = small.head(small.stages[2](maps))
    torch.testing.assert_close(found.logits, logits)


def test_all_parameters_get_gradients(small):
    found = small(torch.randn(2, 1, 75, 75))
    (found.logits.square().sum() + found.auxiliary[0].square().sum()).backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in small.parameters())
    small.zero_grad()


def test_without_auxiliary_training_gives_logits_alone():
    model = on_meta(auxiliary=False, dropout=0.7)
    assert model.train()(torch.empty(2, 3, 75, 75, device="meta")).shape == (2, 1000)
    assert (model.head[2].p, on_meta().head[2].p) == (0.7, 0.2)
