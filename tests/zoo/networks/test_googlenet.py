from functools import cache

import pytest
import torch
import torch.nn.functional as F

from neocog import plan
from neocog.zoo.network import WithAuxiliary
from neocog.zoo.networks.googlenet import Branches, GoogLeNet, inception


@cache
def on_meta(**options):
    with torch.device("meta"):
        return GoogLeNet(**options)


@pytest.mark.parametrize(("auxiliary", "count"), [(True, 13_004_888), (False, 6_624_904)])
def test_published_parameter_counts(auxiliary, count):
    assert sum(p.numel() for p in on_meta(auxiliary=auxiliary).parameters()) == count


def test_every_block_is_as_wide_as_table_one_says():
    model = on_meta()
    widths = {}
    for maps in model.stages:
        for name, block in maps.named_children():
            if name != "pool":
                widths[name] = sum(branch[-3].out_channels for branch in map(flat, block.branches))
    assert widths == {
        "3a": 256, "3b": 480, "4a": 512, "4b": 512, "4c": 512, "4d": 528, "4e": 832, "5a": 832, "5b": 1024
    }  # fmt: skip


def flat(branch):
    """A branch's layers, of which the last three are a convolution, a norm and ReLU."""
    return [layer for layer in branch.modules() if not list(layer.children())]


@pytest.mark.parametrize(("size", "c_in"), [(224, 3), (15, 1), (90, 4)])
def test_shapes_of_any_input_from_15_on(size, c_in):
    model = on_meta(in_channels=c_in, num_classes=7).eval()
    assert model(torch.empty(2, c_in, size, size, device="meta")).shape == (2, 7)


def test_published_sizes_of_maps():
    maps = on_meta().features(torch.empty(1, 3, 224, 224, device="meta"))
    assert [found.shape[1:] for found in maps] == [(480, 28, 28), (832, 14, 14), (1024, 7, 7)]


def test_a_smaller_input_leaves_nothing_for_the_poolings():
    with pytest.raises(RuntimeError, match="Output size is too small"):
        on_meta().eval()(torch.empty(1, 3, 14, 14, device="meta"))


def test_receptive_field_of_the_last_block():
    """A window of k adds (k - 1) times its stride: 27 behind the stem, two blocks, a pooling, five, a pooling, two."""
    stem = 1 + 6 * 1 + 2 * 2 + 2 * 4 + 2 * 4
    row = plan(on_meta(), (3, 224, 224)).row("stages.2.5b")
    assert row.receptive_field[0] == stem + 2 * 2 * 8 + 2 * 8 + 5 * 2 * 16 + 1 * 16 + 2 * 2 * 32 == 379
    assert row.stride == (32, 32)


def test_branches_are_concatenated_in_the_papers_order():
    torch.manual_seed(0)
    block, maps = inception("3a").eval(), torch.randn(2, 192, 6, 5)

    def unit(layers, maps):
        kernels = layers[0].weight
        return (F.conv2d(maps, kernels, padding=kernels.shape[-1] // 2) / 1.001**0.5).relu()

    one, three, five, pooled = block.branches
    expected = [
        unit(one, maps),
        unit(three[1], unit(three[0], maps)),
        unit(five[1], unit(five[0], maps)),
        unit(pooled[1], F.max_pool2d(maps, 3, 1, 1)),
    ]
    assert [part.shape[1] for part in expected] == [64, 128, 32, 32]
    torch.testing.assert_close(block(maps), torch.cat(expected, 1))
    assert isinstance(block, Branches)


def test_in_training_the_auxiliary_classifiers_read_4a_and_4d():
    torch.manual_seed(0)
    model, images = GoogLeNet(num_classes=5), torch.randn(2, 3, 64, 64)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.BatchNorm2d):
            module.eval()  # so that both ways compute the same
    found = model(images)
    assert isinstance(found, WithAuxiliary) and found.weight == 0.3
    maps, tapped = model.stages[0](model.stem(images)), {}
    for name, block in model.stages[1].named_children():
        tapped[name] = maps = block(maps)
    for logits, name in zip(found.auxiliary, ("4a", "4d"), strict=True):
        torch.testing.assert_close(logits, model.auxiliary[name](tapped[name]))
    torch.testing.assert_close(found.logits, model.eval()(images))


@pytest.mark.parametrize("auxiliary", [True, False])
def test_all_parameters_get_gradients(auxiliary):
    model = GoogLeNet(num_classes=3, auxiliary=auxiliary, in_channels=1)
    found = model(torch.randn(3, 1, 48, 48))
    logits = torch.stack([found.logits, *found.auxiliary]) if auxiliary else found
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_dropout_is_the_papers_unless_given():
    assert on_meta().head[2].p == 0.4
    assert on_meta(dropout=0.0).head[2].p == 0.0


def test_export_takes_batches_of_any_size():
    model, image = on_meta().eval(), torch.empty(2, 3, 64, 64, device="meta")
    exported = torch.export.export(model, (image,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    assert exported(torch.empty(7, 3, 64, 64, device="meta")).shape == (7, 1000)
