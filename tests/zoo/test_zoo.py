import pytest
import torch

from neocog import create_model, list_models
from neocog.errors import ConfigError
from neocog.zoo import model_info
from neocog.zoo.networks.lenet5 import C3_TABLE, digit_codes


def count(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("lenet5", 60_000), ("lenet5_relu", 61_706), ("tutorial_cifar10", 62_006)],
)
def test_published_parameter_counts(name, parameters):
    assert count(create_model(name)) == parameters


def test_lenet5_has_the_published_count_in_every_layer():
    model = create_model("lenet5")
    c1, _, s2, _ = model.stem
    c3, _, s4, _ = model.stages[0]
    c5, _, _, f6, *_ = model.head
    assert [count(layer) for layer in (c1, s2, c3, s4, c5, f6)] == [156, 12, 1516, 32, 48_120, 10_164]


def test_c3_reads_what_table_one_says():
    assert [len(inputs) for inputs in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert all(len(set(inputs)) == len(inputs) and set(inputs) <= set(range(6)) for inputs in C3_TABLE)
    assert len({frozenset(inputs) for inputs in C3_TABLE}) == 16  # no two maps read the same
    assert [sum(c in inputs for inputs in C3_TABLE) for c in range(6)] == [10] * 6  # each map is read equally often


@pytest.mark.parametrize("name", ["lenet5", "lenet5_relu", "tutorial_cifar10"])
def test_shapes_gradients_and_any_number_of_classes_and_channels(name):
    model = create_model(name, num_classes=7, in_channels=2)
    images = torch.randn(3, 2, *model_info(name).input_size)
    logits = model(images)
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
    assert torch.equal(model.head(model.stages(model.stem(images))), logits)


def test_codes_are_signs_and_tell_classes_apart():
    for num_classes in (10, 7, 200):
        codes = digit_codes(num_classes)
        assert codes.shape == (num_classes, 84)
        assert set(codes.unique().tolist()) == {-1.0, 1.0}
        distances = torch.cdist(codes, codes, p=1) / 2 + 84 * torch.eye(num_classes)
        assert distances.min() >= 8  # drawn digits such as 3 and 9 share most of their ink
    assert torch.equal(digit_codes(200), digit_codes(200))


def test_dropout_acts_only_in_training():
    model = create_model("lenet5_relu", dropout=0.5)
    images = torch.randn(2, 1, 32, 32)
    model.eval()
    assert torch.equal(model(images), model(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"No network is called 'lenet_5'. Did you mean 'lenet5'\?"):
        create_model("lenet_5")
    with pytest.raises(ConfigError, match="lenet5 has no dropout"):
        create_model("lenet5", dropout=0.5)


def test_list_models_takes_a_pattern():
    assert list_models("*cifar*") == [name for name in list_models() if "cifar" in name]
