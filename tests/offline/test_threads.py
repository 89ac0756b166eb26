import math

import numpy as np
import pytest
import torch
from torch import nn

from neocog import load
from neocog.offline.score import Scorer
from neocog.offline.threads import SMALL, count_products, one_thread
from neocog.planning import plan
from neocog.zoo import create_model


@pytest.mark.parametrize(("name", "shape"), [("lenet5_relu", (1, 32, 32)), ("mobilenet_v2", (3, 32, 32))])
def test_products_are_those_of_the_plan(name, shape):
    model = create_model(name, num_classes=10, in_channels=shape[0]).eval()
    assert count_products(model, torch.zeros(1, *shape)) == plan(model, shape).macs
    assert not any(module._forward_hooks for module in model.modules())


class Shared(nn.Module):
    """One layer, twice, and weights that no module of their own holds."""

    def __init__(self, loose: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.loose = nn.Parameter(torch.ones(4, 4)) if loose else None

    def forward(self, inputs):
        found = self.layer(self.layer(inputs))
        return found if self.loose is None else found @ self.loose


def test_layers_count_each_time_and_what_cannot_be_counted_is_infinite():
    assert count_products(Shared(False), torch.zeros(1, 4)) == 2 * 16
    assert count_products(Shared(True), torch.zeros(1, 4)) == math.inf
    assert count_products(nn.LSTM(4, 4), torch.zeros(1, 3, 4)) == math.inf


def test_one_thread_is_restored():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("limit", [0, SMALL])
def test_small_networks_are_computed_by_one_thread_with_the_same_result(scored, monkeypatch, limit):
    before = torch.get_num_threads()
    monkeypatch.setattr("neocog.offline.score.SMALL", limit)
    predictor, threads = load(scored.bundle), []
    plain = predictor.logits
    monkeypatch.setattr(predictor, "logits", lambda *given: threads.append(torch.get_num_threads()) or plain(*given))
    paths = sorted(map(str, scored.images.rglob("*.png")))
    torch.set_num_threads(2)
    try:
        scorer = Scorer(predictor, 1, ["logits"], threads=2)
        ((_, rows),) = scorer.score([(0, paths)])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1 if limit else 2]
    images = [predictor.decode(path, path) for path in paths if rows[paths.index(path)]["error"] is None]
    expected = plain(torch.stack(images)).tolist()
    assert np.allclose([row["logits"] for row in rows if row["error"] is None], expected, rtol=1e-5, atol=1e-6)
