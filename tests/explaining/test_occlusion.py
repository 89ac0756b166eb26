"""Occlusion and the scores of many variants."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining import scoring
from neocog.explaining.explainer import Explainer
from neocog.explaining.occlusion import default_windows, occlusion
from neocog.explaining.scoring import Scorer
from neocog.tasks.target import Target
from neocog.zoo.networks.text_cnn import TextCNN
from tests.support.explained import branched, images
from tests.support.networks import resnet


def by_hand(
    explainer: Explainer, values: Tensor, outputs, channel: int, window: tuple[int, ...], stride: tuple[int, ...]
) -> np.ndarray:
    """The mean drop at each place, one window after the other."""
    places = values.shape[2:]
    total, times = np.zeros(places), np.zeros(places)
    full = float(outputs(values)[0, channel])
    starts = []
    for size, w, s in zip(places, window, stride, strict=True):
        at = [0]
        while at[-1] + w < size:
            at.append(at[-1] + s)
        starts.append(at)
    for corner in itertools.product(*starts):
        box = tuple(slice(c, c + w) for c, w in zip(corner, window, strict=True))
        hidden = values.clone()
        hidden[(slice(None), slice(None), *box)] = 0
        total[box] += full - float(outputs(hidden)[0, channel])
        times[box] += 1
    return total / times


@pytest.mark.parametrize(("window", "stride"), [((3, 3), (2, 2)), ((2, 5), (1, 3)), ((8, 8), (4, 4)), ((3, 3), (3, 3))])
def test_occlusion_equals_evaluation_one_by_one(window, stride):
    explainer, inputs = Explainer(branched(), (2, 8, 8)), images()
    found = occlusion(explainer, inputs, Target("1", 1), window=window, stride=stride)
    expected = by_hand(explainer, inputs, explainer.outputs, 1, window, stride)
    assert np.allclose(found.map, expected, rtol=0, atol=1e-12) and found.signed
    assert found.logit == pytest.approx(float(explainer.outputs(inputs)[0, 1]))


def test_occlusion_of_signals_and_boards_equals_evaluation_one_by_one():
    torch.manual_seed(0)
    signal = Explainer(nn.Sequential(nn.Conv1d(3, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(384, 2)).double(), (3, 100))
    inputs = images((1, 3, 100))
    found = occlusion(signal, inputs, Target("0", 0))
    assert np.allclose(found.map, by_hand(signal, inputs, signal.outputs, 0, (6,), (2,)), rtol=0, atol=1e-12)
    board = Explainer(nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)).double(), (2, 5, 5))
    planes = torch.randint(0, 2, (1, 2, 5, 5)).double()
    found = occlusion(board, planes, Target("1", 1))  # each point alone, all planes at once
    assert np.allclose(found.map, by_hand(board, planes, board.outputs, 1, (1, 1), (1, 1)), rtol=0, atol=1e-12)


def test_occlusion_of_tokens_puts_the_vector_of_padding():
    torch.manual_seed(0)
    net = TextCNN(in_channels=30, vector_size=8).eval()
    explainer, ids = Explainer(net, (7,), dtype=torch.int64), torch.tensor([[3, 5, 7, 2, 9, 0, 0]])
    found = occlusion(explainer, ids, Target("1", 1))
    full = float(explainer.outputs(ids)[0, 1])
    for place in range(7):
        hidden = ids.clone()
        hidden[0, place] = 0
        assert float(found.map[place]) == pytest.approx(full - float(explainer.outputs(hidden)[0, 1]), abs=1e-5)


def test_baseline_may_be_another_input():
    explainer, inputs, other = Explainer(branched(), (2, 8, 8)), images(), images(seed=9)
    found = occlusion(explainer, inputs, Target("0", 0), window=8, baseline=other[0])
    expected = explainer.outputs(inputs)[0, 0] - explainer.outputs(other)[0, 0]
    assert float(found.values) == pytest.approx(float(expected))


def test_default_windows_are_shares_of_the_input():
    assert default_windows((32, 40)) == ((4, 5), (2, 2))
    assert default_windows((98, 16)) == ((12, 1), (6, 1))
    assert default_windows((12,), tokens=True) == ((1,), (1,))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 9}, r"The window of occlusion has one size for each axis.*that of the input, 8 x 8.*window=9"),
        ({"window": (3,)}, r"one size for each axis, from 1.*window=\(3,\)"),
        ({"window": 3, "stride": 4}, r"The stride of occlusion.*that of the window, 3 x 3\. Received: stride=4"),
        ({"stride": 0}, "stride=0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        occlusion(Explainer(branched(), (2, 8, 8)), images(), Target("0", 0), **given)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Convolutions, norms and a shortcut that can be fused; its statistics are not trivial."""
    torch.manual_seed(0)
    net = resnet((1,)).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return net


@pytest.mark.parametrize("form", ["fp32", "bf16"])
def test_fused_scores_agree_with_those_of_the_plain_network(network, form):
    torch.manual_seed(1)
    explainer, inputs, target = Explainer(network, (3, 40, 40)), torch.randn(1, 3, 40, 40), Target("1", 1)
    if scoring.fused(network, inputs, form) is None:
        pytest.skip("this machine has no oneDNN for it")
    found = occlusion(explainer, inputs, target, precision=form)
    plain = by_hand(explainer, inputs, explainer.outputs, 1, (5, 5), (2, 2))
    assert found.figures["bits"] in (32, {"fp32": 32, "bf16": 16}[form])
    limit = 0.1 if found.figures["bits"] == 16 else 1e-3
    assert np.abs(found.map.numpy() - plain).max() <= limit * np.abs(plain).max()


def test_form_that_disagrees_is_not_used(network, monkeypatch):
    explainer, inputs = Explainer(network, (3, 32, 32)), torch.randn(1, 3, 32, 32)
    make = lambda rows: inputs * torch.linspace(0, 1, 40)[list(rows)].view(-1, 1, 1, 1)  # noqa: E731
    scorer = Scorer(explainer, inputs, Target("0", 0).of)
    expected = torch.cat([explainer.outputs(make(range(i, i + 1)))[:, 0] for i in range(40)])
    real = scoring.run
    monkeypatch.setattr(scoring, "run", lambda program, values, form: 1.5 * real(program, values, form))
    found = scorer.scores(make, 40, inputs)
    assert found.form == "plain" and torch.allclose(found.values, expected, rtol=1e-3, atol=1e-5)
    monkeypatch.setattr(scoring, "run", real)
    assert scorer.scores(make, 8, inputs).form == "plain"  # not worth a program
    wrong = scorer.scores(make, 40, inputs)
    assert torch.allclose(wrong.values, expected, rtol=0.1, atol=0.1) and wrong.values.dtype == torch.float32


def test_network_that_cannot_be_traced_is_scored_as_it_is():
    class Looped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            if x.shape[0] > 3:  # torch.fx can't follow this
                return self.conv(x).flatten(1)
            return self.conv(x).flatten(1)

    explainer, inputs = Explainer(Looped(), (1, 24, 24)), torch.randn(1, 1, 24, 24)
    found = occlusion(explainer, inputs, Target("3", 3), stride=3)
    assert found.figures["windows"] >= 32
    assert np.allclose(found.map, by_hand(explainer, inputs, explainer.outputs, 3, (3, 3), (3, 3)), atol=1e-5)


def test_threads_of_torch_are_restored(network):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        occlusion(Explainer(network, (3, 32, 32)), torch.randn(1, 3, 32, 32), Target("0", 0), window=8, stride=4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
