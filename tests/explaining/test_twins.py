"""The same method on a network whose weights are random."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import nn

from neocog.explaining.explainer import Explainer
from neocog.explaining.methods import explain_with
from neocog.explaining.twins import Twin, Weighted, randomised_twin, rank_correlation, reinitialise, steps_of
from neocog.planning import shared_copy
from neocog.tasks.target import Target
from neocog.zoo.networks.text_cnn import TextCNN
from tests.support.explained import branched, images, planted

TARGET = Target("1", 1)


def test_twin_re_initialises_from_the_output_down():
    found = randomised_twin(Explainer(branched(), (2, 8, 8)), images(), TARGET, "gradient")
    assert found.names == ("dense", "norm", "second", "first")
    assert len(found.similarity) == 4 and all(-1 <= each <= 1 for each in found.similarity)
    assert isinstance(found, Twin) and found.attribution.map.shape == (8, 8)
    few = randomised_twin(Explainer(branched(), (2, 8, 8)), images(), TARGET, "gradient", most=2)
    assert few.names == ("dense", "first")
    assert torch.equal(few.attribution.map, found.attribution.map)  # all is random in the end


def test_twin_by_hand_has_the_same_similarity():
    net, inputs = branched(), images()
    explainer = Explainer(net, (2, 8, 8))
    found = randomised_twin(explainer, inputs, TARGET, "gradient", seed=3)
    copied, tensors, expected = shared_copy(net), {}, []
    original = explain_with(explainer, inputs, TARGET, "gradient")
    for name in found.names:
        reinitialise(copied.get_submodule(name), name, 3, tensors)
        other = explain_with(Explainer(copied, (2, 8, 8)), inputs, TARGET, "gradient")
        expected.append(spearmanr(original.map.flatten(), other.map.flatten()).statistic)
    assert np.allclose(found.similarity, expected)


def test_twin_depends_on_the_seed_alone():
    explainer = Explainer(branched(), (2, 8, 8))
    torch.manual_seed(1)
    first = randomised_twin(explainer, images(), TARGET, "occlusion")
    torch.manual_seed(2)
    second = randomised_twin(explainer, images(), TARGET, "occlusion", original=first.original)
    assert first.similarity == second.similarity
    assert first.similarity != randomised_twin(explainer, images(), TARGET, "occlusion", seed=1).similarity


def test_map_of_what_was_learned_is_lost_with_it():
    explainer, inputs = planted()
    found = randomised_twin(explainer, inputs, explainer.target(inputs, "bright"), "gradcam")
    assert found.original.scale > 0 and found.similarity[-1] < 0.7
    assert found.names[0] == "7"


MODULES = [
    nn.Conv2d(40, 60, 3, groups=2), nn.ConvTranspose1d(40, 60, 3), nn.Linear(30, 200), nn.Conv3d(12, 40, 2),
    nn.BatchNorm2d(3), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
    nn.Embedding(50, 20, padding_idx=3),
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_fresh_tensors_are_distributed_as_torch_draws_them_or_he(module):
    for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
        tensor.data.add_(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    copied, drawn = shared_copy(module), copy.deepcopy(module)
    reinitialise(copied, "it", 0)
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in before.items())
    torch.manual_seed(0)
    drawn.reset_parameters()
    fresh = copied.state_dict()
    wider = 6**0.5 if isinstance(module, Weighted) else 1  # He et al. 2015: six times the variance of torch's own
    for key, value in drawn.state_dict().items():
        found = fresh[key].double()
        assert found.shape == value.shape
        if value.unique().numel() == 1:
            assert torch.equal(fresh[key], value), key
        else:
            assert float(found.mean()) == pytest.approx(float(value.double().mean()), abs=0.5 * float(value.std()))
            largest = float(value.abs().max()) * (wider if key == "weight" else 1)
            assert float(found.abs().max()) == pytest.approx(largest, rel=0.3), key


def test_own_parameters_keep_their_mean_and_deviation():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.linspace(2, 4, 2000))
            self.count = nn.Parameter(torch.ones(3, dtype=torch.int64), requires_grad=False)

    copied = shared_copy(Scaled())
    reinitialise(copied, "", 0)
    assert float(copied.scale.detach().mean()) == pytest.approx(3, abs=0.1)
    assert float(copied.scale.detach().std()) == pytest.approx(2 / 12**0.5, rel=0.1)
    assert copied.count.tolist() == [1, 1, 1]


def test_shared_tensors_stay_shared():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    copied, tensors = shared_copy(net), {}
    reinitialise(copied[2], "2", 0, tensors)
    reinitialise(copied[0], "0", 0, tensors)
    assert copied[0].weight is copied[2].weight and copied[0].weight is not net[0].weight
    assert copied[0].bias is not copied[2].bias


def test_texts_lose_their_vectors_in_the_end():
    explainer = Explainer(TextCNN(in_channels=30, vector_size=6), (8,), dtype=torch.int64)
    found = randomised_twin(explainer, torch.randint(1, 30, (1, 8)), Target("0", 0), "gradient")
    assert found.names[0] == "head.3" and found.names[-1] == "stem"


def test_rank_correlation_is_that_of_absolute_values():
    a, b = images((5, 7), seed=1), images((5, 7), seed=2)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a.abs().flatten(), b.abs().flatten()).statistic)
    assert rank_correlation(a, torch.zeros(5, 7)) == 0 and rank_correlation(a, -2 * a) == pytest.approx(1)


def test_steps_are_equal_shares_behind_the_first():
    assert list(steps_of(["a"], 8)) == [["a"]]
    assert list(steps_of(list("abcdef"), 8)) == [[each] for each in "abcdef"]
    assert list(steps_of(list("abcdefg"), 4)) == [["a"], ["b", "c"], ["d", "e"], ["f", "g"]]
    assert list(steps_of([], 3)) == []


def test_weights_made_by_a_parametrisation_are_random_too():
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 2, 3))
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    with torch.no_grad():
        layer.parametrizations.weight.original1.copy_(torch.rand(2, 1, 3, 3))
    explainer = Explainer(net, (1, 8, 8))
    found = randomised_twin(explainer, torch.randn(1, 1, 8, 8), Target("0", 0), "gradient")
    assert found.names[0] == "3" and "0.parametrizations.weight" in found.names
    assert F.relu(torch.tensor(found.similarity[-1])) < 0.99


def test_signal_reaches_the_output_of_a_deep_random_network():
    """With torch's own draws, its size would fall by 6^0.5 at each layer."""
    torch.manual_seed(0)
    layers = [layer for _ in range(20) for layer in (nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())]
    explainer = Explainer(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 2)), (8, 8, 8))
    inputs = torch.randn(1, 8, 8, 8)
    found = randomised_twin(explainer, inputs, explainer.target(inputs, 0), "gradient")
    assert 1e-3 < found.attribution.scale < 1e3
