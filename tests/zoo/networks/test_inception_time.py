import pytest
import torch
import torch.nn.functional as F

import neocog
from neocog.zoo.networks.inception_time import Inception, InceptionTime


def module_count(c_in):
    bottleneck, few = (32 * c_in, 32) if c_in > 1 else (0, 1)
    return bottleneck + (40 + 20 + 10) * few * 32 + c_in * 32 + 2 * 128


@pytest.mark.parametrize(("in_channels", "num_classes", "count"), [(1, 2, 420_450), (3, 25, 493_273)])
def test_parameters_by_formula(in_channels, num_classes, count):
    with torch.device("meta"):
        model = InceptionTime(in_channels=in_channels, num_classes=num_classes)
    modules = module_count(in_channels) + 5 * module_count(128)
    shortcuts = (in_channels + 128) * 128 + 2 * 256
    assert sum(p.numel() for p in model.parameters()) == modules + shortcuts + 129 * num_classes == count


@pytest.mark.parametrize("c_in", [1, 5])
def test_a_module_is_three_windows_behind_a_bottleneck_and_a_pooling(c_in):
    torch.manual_seed(0)
    module = Inception(c_in)
    *bottleneck, long, middle, short, beside = [
        values for name, values in module.named_parameters() if "norm" not in name
    ]
    series = few = torch.randn(3, c_in, 25)
    assert len(bottleneck) == (c_in > 1)
    for weight in bottleneck:
        few = F.conv1d(series, weight)
    maps = [F.conv1d(F.pad(few, around), w) for w, around in ((long, (19, 20)), (middle, (9, 10)), (short, (4, 5)))]
    highest = F.pad(series, (1, 1), value=-torch.inf).unfold(2, 3, 1).amax(3)
    maps = torch.cat([*maps, F.conv1d(highest, beside)], 1)
    torch.testing.assert_close(module(series), F.batch_norm(maps, None, None, training=True).relu())


def test_a_shortcut_leads_around_every_third_module():
    model = InceptionTime()
    x = series = torch.randn(3, 1, 25)
    for stage in model.stages:
        a, b, c = stage.branch
        (_, conv), norm = stage.shortcut
        around = F.batch_norm(F.conv1d(x, conv.weight), None, None, norm.weight, norm.bias, training=True)
        x = F.relu(c(b(a(x))) + around)
    torch.testing.assert_close(model(series), model.head[2](x.mean(2)))


@pytest.mark.parametrize("length", [1, 3, 150])
def test_series_of_any_length(length):
    model = InceptionTime(in_channels=2, num_classes=5)
    series = torch.randn(3, 2, length)
    assert model(series).shape == (3, 5)
    assert [maps.shape for maps in model.features(series)] == [(3, 128, length)] * 2


def test_exported_for_series_of_any_length():
    model = InceptionTime(in_channels=2).eval()
    sizes = {0: torch.export.Dim("batch"), 2: torch.export.Dim("length")}
    program = torch.export.export(model, (torch.randn(2, 2, 60),), dynamic_shapes=(sizes,))
    series = torch.randn(3, 2, 33)
    torch.testing.assert_close(program.module()(series), model(series))


def test_receptive_field():
    """The longest path adds 39 samples in each of six modules. Source: Ismail Fawaz et al. 2020, equation 3."""
    with torch.device("meta"):
        plan = neocog.plan(InceptionTime(), (1, 300))
    assert [plan.row(f"stages.{i}").receptive_field for i in range(2)] == [(1 + 3 * 39,), (1 + 6 * 39,)]
