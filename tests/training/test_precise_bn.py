import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.training.precise_bn import freeze_norms, precise_bn
from neocog.zoo.networks.speed import SpeedNet


def network():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, momentum=0.3), nn.ReLU(), nn.Dropout(0.5),
        nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5),
    ).double()  # fmt: skip
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def unequal_batches():
    """Of different sizes, means and spreads."""
    return [torch.randn(size, 3, 8, 8, dtype=torch.float64) * size + size for size in (5, 2, 9)]


def buffers(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def test_precise_statistics_cover_all_inputs_of_each_layer():
    model, batches = network(), unequal_batches()
    first, first_norm, _, _, second, second_norm, _, _, dense, last_norm = model
    met = {norm: [] for norm in (first_norm, second_norm, last_norm)}

    def normalised(norm, maps):
        met[norm].append(maps)
        return F.batch_norm(maps, None, None, norm.weight, norm.bias, training=True)

    for images in batches:  # without dropout
        maps = F.relu(normalised(first_norm, F.conv2d(images, first.weight, first.bias)))
        maps = F.relu(normalised(second_norm, F.conv2d(maps, second.weight, second.bias)))
        normalised(last_norm, F.linear(maps.flatten(1), dense.weight, dense.bias))
    precise_bn(model, iter(batches))
    for norm, inputs in met.items():
        values = torch.cat([maps.transpose(0, 1).flatten(1) for maps in inputs], dim=1)
        torch.testing.assert_close(norm.running_mean, values.mean(1), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(norm.running_var, values.var(1, correction=0), rtol=1e-12, atol=1e-12)


def test_the_first_layer_s_do_not_depend_on_how_images_are_split():
    model, images = network(), torch.cat(unequal_batches())
    found = []
    for size in (16, 6, 2):
        precise_bn(model, images.split(size))
        found.append(torch.cat([model[1].running_mean, model[1].running_var]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[0], found[2], rtol=1e-12, atol=1e-12)


def test_with_one_batch_evaluation_equals_training():
    model, images = network(), unequal_batches()[2]
    model[3].p = 0.0
    precise_bn(model, [images])
    trained = copy.deepcopy(model).train()(images)
    torch.testing.assert_close(model.eval()(images), trained)


@pytest.mark.parametrize("mode", [True, False])
def test_precise_bn_changes_nothing_else(mode):
    model = network().train(mode)
    model[3].train(not mode)
    before, modes = copy.deepcopy(model), [module.training for module in model.modules()]
    precise_bn(model, unequal_batches())
    assert [module.training for module in model.modules()] == modes
    assert repr(model) == repr(before)  # momenta
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before.parameters(), strict=True))
    counts = [norm.num_batches_tracked.item() for norm in (model[1], model[5], model[9])]
    assert counts == [0, 0, 0]
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    model[1].train()(torch.ones(2, 6, 3, 3, dtype=torch.float64))  # it goes on as it did: 0.3 of the way to 1
    assert model[1].num_batches_tracked == 1


def test_a_batch_that_fails_leaves_the_model_as_it_was():
    model = network()
    before = buffers(model)
    with pytest.raises(RuntimeError, match="channels"):
        precise_bn(model, [*unequal_batches(), torch.zeros(2, 4, 8, 8, dtype=torch.float64)], freeze=True)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert all(module.training for module in model.train().modules())
    assert model[1].track_running_stats and not model[1]._forward_pre_hooks


def test_statistics_need_batches():
    with pytest.raises(ValueError, match="Statistics need at least one batch. Received: none."):
        precise_bn(network(), [])


def test_small_spread_about_a_large_mean_is_kept_in_single_precision():
    norm = nn.BatchNorm1d(2)
    values = 1000 + 0.1 * torch.randn(4000, 2)
    precise_bn(norm, values.split(16))
    torch.testing.assert_close(norm.running_var, values.double().var(0, correction=0).float(), rtol=1e-3, atol=0)
    torch.testing.assert_close(norm.running_mean, values.double().mean(0).float(), rtol=1e-6, atol=0)


def test_half_precision_is_summed_in_single_precision():
    norm = nn.BatchNorm1d(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        precise_bn(norm, [torch.tensor([[256.0], [258.0]], dtype=torch.bfloat16), torch.tensor([[258.0], [260.0]])])
    assert (norm.running_mean.item(), norm.running_var.item()) == (258.0, 2.0)


def test_frozen_stages_and_norms_without_statistics_are_left_alone():
    model = SpeedNet(widths=(24, 24, 24)).freeze(1)
    model.head.insert(0, nn.BatchNorm2d(24, track_running_stats=False))
    model.eval()
    before = buffers(model)
    precise_bn(model, [torch.randn(4, 3, 32, 32)])
    changed = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert changed == {f"stages.{i}.{j}.running_{what}" for i in (1, 2) for j in (2, 5) for what in ("mean", "var")}
    assert not any(module.training for module in model.modules())
    assert not model.head[0].track_running_stats


def test_frozen_norms_keep_statistics_while_the_rest_learns():
    model, images = network(), unequal_batches()[0]
    keys = list(model.state_dict())
    precise_bn(model, [images], freeze=True)
    assert [module.training for module in (model, model[1], model[3], model[9])] == [True, False, True, False]
    model.eval().train()
    assert [module.training for module in (model, model[1], model[3], model[9])] == [True, False, True, False]
    before = buffers(model)
    model(images).square().sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    assert all(parameter.grad.any() for parameter in model[1].parameters())
    assert list(model.state_dict()) == keys and isinstance(model[1], nn.BatchNorm2d)


def test_freezing_twice_is_freezing_once_and_copies_are_frozen():
    model = network()
    freeze_norms(model)
    kind = type(model[1])
    freeze_norms(model)
    assert type(model[1]) is kind is type(copy.deepcopy(model).train()[1])
    before = buffers(model)
    precise_bn(model, unequal_batches())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_frozen_norms_are_exported():
    model, images = network(), unequal_batches()[0]
    precise_bn(model, [images], freeze=True)
    model.eval()
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
