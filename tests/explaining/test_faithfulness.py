"""Insertion and deletion."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from neocog.errors import ConfigError
from neocog.explaining.explainer import Explainer, Sample
from neocog.explaining.faithfulness import RANDOM, blur, insertion_deletion
from neocog.explaining.methods import explain_with
from neocog.tasks.target import Target
from neocog.zoo.networks.text_cnn import TextCNN
from tests.support.explained import images, planted


@pytest.fixture(scope="module")
def linear() -> Explainer:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double()
    torch.manual_seed(0)
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(2, 16))
    return Explainer(net, (1, 4, 4))


def test_curves_equal_a_loop_over_steps(linear):
    inputs = images((1, 1, 4, 4))
    found = insertion_deletion(linear, [inputs], ["integrated"], target=1, steps=8)
    order = explain_with(linear, inputs, Target("1", 1), "integrated").map.flatten().argsort(descending=True)
    for kind, (inside, outside) in {
        "deletion": (torch.zeros(16).double(), inputs.flatten()),
        "insertion": (inputs.flatten(), torch.zeros(16).double()),
    }.items():
        expected = []
        for step in range(9):
            changed = outside.clone()
            changed[order[: 2 * step]] = inside[order[: 2 * step]]
            expected.append(float(linear.outputs(changed.view(1, 1, 4, 4)).softmax(1)[0, 1]))
        assert np.allclose(found.curves["integrated"][kind], expected)
        area = np.trapezoid(expected, dx=1 / 8)
        assert found.scores["integrated"][kind].tolist() == [pytest.approx(area)]


def test_exact_map_beats_a_random_order_with_intervals_apart(linear):
    samples = [Sample(f"n{i}", images((1, 1, 4, 4), seed=i), images((1, 4, 4), seed=i)) for i in range(25)]
    found = insertion_deletion(linear, samples, ["integrated", "gradient"], steps=16)
    assert list(found.scores) == ["integrated", "gradient", RANDOM] and found.names[3] == "n3"
    best, random = (found.estimate(name, "insertion") for name in ("integrated", RANDOM))
    assert best.low <= best.value <= best.high and best.value == pytest.approx(
        found.scores["integrated"]["insertion"].mean()
    )
    gain = found.difference("integrated", RANDOM, "insertion")
    assert gain.value == pytest.approx(best.value - random.value) and gain.low > 0
    assert found.difference("integrated", RANDOM, "deletion").high < 0
    row = found.rows()[0]
    assert row["method"] == "integrated" and row["insertion"].startswith(f"{best.value:.3f} [{best.low:.3f}, ")


def test_map_that_hits_the_spot_is_better_than_one_that_misses():
    explainer, inputs = planted()
    found = insertion_deletion(explainer, [inputs], ["occlusion"], target="bright", steps=16, start="zeros")
    assert found.scores["occlusion"]["insertion"] > found.scores[RANDOM]["insertion"]
    assert found.scores["occlusion"]["deletion"] < found.scores[RANDOM]["deletion"]


def test_tokens_are_hidden_by_padding():
    torch.manual_seed(0)
    net = TextCNN(in_channels=30, vector_size=6).eval()
    explainer, ids = Explainer(net, (6,), dtype=torch.int64), torch.tensor([[3, 5, 7, 2, 9, 4]])
    found = insertion_deletion(explainer, [ids], ["gradient"], target=1, steps=6)
    order = explain_with(explainer, ids, Target("1", 1), "gradient").map.argsort(descending=True)
    hidden = ids.clone()
    hidden[0, order[:2]] = 0
    expected = float(explainer.outputs(hidden).softmax(1)[0, 1])
    assert found.curves["gradient"]["deletion"][2] == pytest.approx(expected, abs=1e-6)


def test_blur_is_a_gaussian():
    inputs = images((1, 1, 40, 60))
    expected = gaussian_filter(inputs[0, 0].numpy(), 2, mode="constant", truncate=12)
    assert np.allclose(blur(inputs)[0, 0, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=1e-6)
    assert torch.allclose(blur(torch.ones(1, 2, 9)), torch.ones(1, 2, 9))  # edges lose nothing


@pytest.mark.parametrize(
    ("methods", "given", "message"),
    [
        (["grad"], {}, r"methods of METHODS.*methods=\['grad'\].*Did you mean 'gradcam|Did you mean 'gradient"),
        (["gradient"], {"steps": 0}, r"at least one step\. Received: methods=\['gradient'\], steps=0"),
    ],
)
def test_what_cannot_be_measured_is_refused(linear, methods, given, message):
    with pytest.raises(ConfigError, match=message):
        insertion_deletion(linear, [images((1, 1, 4, 4))], methods, **given)


def test_no_input_is_refused(linear):
    with pytest.raises(ConfigError, match=r"at least one input\. Received: none"):
        insertion_deletion(linear, [], ["gradient"])
