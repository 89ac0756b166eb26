"""Class activation maps, by their formulas, on a network whose answer is known, and on layers chosen by themselves."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.explaining.attribution import on_input
from neocog.explaining.cams import gradcam, gradcam_plus_plus, layercam, scorecam
from neocog.explaining.explainer import Explainer
from neocog.explaining.methods import default_layer, explain_with
from neocog.tasks.target import Target
from neocog.zoo import create_model
from tests.support.explained import branched, images, planted

TARGET = Target("2", 2)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(branched(), (2, 8, 8))


@pytest.fixture(scope="module")
def by_hand(explainer) -> tuple[Tensor, Tensor]:
    """The maps of the last ReLU (4, 8, 8), and the gradient of output 2 with respect to them."""
    net, inputs = branched().eval(), images()
    maps = F.relu(net.norm(net.second(net.first(inputs).relu())) + net.first(inputs).relu()).detach().requires_grad_()
    outputs = net.dense(F.max_pool2d(maps, 2).flatten(1))
    return maps.detach()[0], torch.autograd.grad(outputs[0, 2], maps)[0][0]


def test_gradcam_equals_its_formula(explainer, by_hand):
    maps, gradients = (each.numpy() for each in by_hand)
    expected = np.maximum(sum(gradients[k].mean() * maps[k] for k in range(4)), 0)
    found = gradcam(explainer, images(), TARGET, explainer.layers[":relu#2"])
    assert np.allclose(found.values, expected, rtol=0, atol=1e-12) and expected.max() > 0.01
    assert torch.equal(found.map, found.values)  # the layer has the input's places
    assert found.layer is explainer.layers[":relu#2"] and found.method == "gradcam"


def test_gradcam_plus_plus_equals_its_formula_for_the_exponential_of_the_target(explainer, by_hand):
    maps, gradients = (each.numpy() for each in by_hand)
    logit = float(explainer.outputs(images())[0, 2])
    first, second, third = (np.exp(logit) * gradients**power for power in (1, 2, 3))  # derivatives of exp(y)
    below = 2 * second + maps.sum((1, 2), keepdims=True) * third
    alpha = np.divide(second, below, out=np.zeros_like(second), where=below != 0)
    weights = (alpha * np.maximum(first, 0)).sum((1, 2)) / np.exp(logit)
    expected = np.maximum(np.tensordot(weights, maps, 1), 0)
    found = gradcam_plus_plus(explainer, images(), TARGET, explainer.layers[":relu#2"])
    assert np.allclose(found.values, expected, rtol=1e-9, atol=1e-12) and expected.max() > 0.01


def test_layercam_equals_its_formula(explainer, by_hand):
    maps, gradients = (each.numpy() for each in by_hand)
    expected = np.maximum((np.maximum(gradients, 0) * maps).sum(0), 0)
    found = layercam(explainer, images(), TARGET, explainer.layers[":relu#2"])
    assert np.allclose(found.values, expected, rtol=0, atol=1e-12) and expected.max() > 0.01


@pytest.mark.parametrize("channels", [None, 2])
def test_scorecam_equals_one_pass_for_each_masked_input(explainer, channels):
    layer, inputs = explainer.layers[":max_pool2d"], images()
    maps = explainer.tape(inputs, [layer]).values[layer].detach()[0]
    found = scorecam(explainer, inputs, TARGET, layer, channels=channels, seed=3)
    scores = []
    for one in maps:
        mask = on_input(((one - one.min()) / (one.max() - one.min()))[None], (8, 8), layer)[0]
        scores.append(float(explainer.outputs(inputs * mask)[0, 2]))
    parts = itertools.combinations(range(4), channels or 4)
    expected = []
    for part in map(list, parts):
        weights = torch.tensor([scores[k] for k in part]).double().softmax(0)
        expected.append(torch.tensordot(weights, maps[part], 1).clamp(min=0))
    assert sum(torch.allclose(found.values, each, atol=1e-6) for each in expected) == 1  # of six parts of 2 channels
    assert found.figures == {"channels": channels or 4, "bits": 32, "error": 0.0}


def test_scorecam_leaves_out_channels_that_mark_nothing():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 1)).double()
    with torch.no_grad():
        net[0].weight[0] = 0
    explainer = Explainer(net, (1, 2, 2))
    found = scorecam(explainer, images((1, 1, 2, 2)), Target("0", 0), explainer.layers["0"])
    assert found.figures["channels"] == 1
    with torch.no_grad():
        net[0].weight.zero_()
    none = scorecam(explainer, images((1, 1, 2, 2)), Target("0", 0), explainer.layers["0"])
    assert none.figures["channels"] == 0 and none.scale == 0


def test_scorecam_needs_a_channel(explainer):
    with pytest.raises(ConfigError, match=r"at least one channel\. Received: channels=0"):
        scorecam(explainer, images(), TARGET, explainer.layers["first"], channels=0)


def test_layer_without_places_is_refused(explainer):
    with pytest.raises(ConfigError, match=r"whose outputs have places\. Received: dense, whose output is 3\. Choose"):
        gradcam(explainer, images(), TARGET, explainer.layers["dense"])


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam", "scorecam", "occlusion", "integrated"])
def test_maps_of_two_classes_hit_the_spot_of_their_class(method):
    explainer, inputs = planted()
    bright, dark = (
        explain_with(explainer, inputs, explainer.target(inputs, name), method) for name in ("bright", "dark")
    )
    assert divmod(int(bright.map.argmax()), 32) == pytest.approx((6, 6), abs=3)
    assert divmod(int(dark.map.argmax()), 32) == pytest.approx((24, 24), abs=3)
    assert (bright.map[4:9, 4:9].mean() - bright.map.mean()) > 5 * bright.map[22:27, 22:27].mean().clamp(min=0)
    assert (dark.map[22:27, 22:27].mean() - dark.map.mean()) > 5 * dark.map[4:9, 4:9].mean().clamp(min=0)


def test_map_of_a_millionth_is_not_stretched():
    explainer, inputs = planted()
    with torch.no_grad():
        explainer.model[7].weight.mul_(1e-8)
    found = explain_with(explainer, inputs, explainer.target(inputs, "bright"), "gradcam")
    assert 0 < found.scale < 1e-6


def test_units_are_put_where_the_middles_of_their_fields_lie():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 3, 2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(9, 1))
    explainer = Explainer(net, (1, 31, 31))
    layer = explainer.layers["2"]
    middles = []
    for unit in range(3):
        (low, high), _ = explainer.layers.plan.box(layer.row, (unit, 1))
        middles.append((low + high) / 2)
    assert middles == [4.5, 12, 20]  # the first window reaches into the padding: its middle is at 4
    row = on_input(torch.tensor([[0.0, 1.0, 2.0]])[..., None].expand(1, 3, 3), (31, 31), layer)[0, :, 0]
    assert np.allclose(row, np.interp(range(31), [4, 12, 20], range(3)))


def test_maps_without_a_place_of_their_own_are_stretched():
    maps = torch.tensor([[0.0, 1.0, 4.0]])
    expected = F.interpolate(maps[:, None], 12, mode="linear", align_corners=False)[:, 0]
    assert torch.allclose(on_input(maps, (12,)), expected)
    square = torch.rand(1, 3, 5)
    expected = F.interpolate(square[:, None], (9, 7), mode="bilinear", align_corners=False)[:, 0]
    assert torch.allclose(on_input(square, (9, 7)), expected, atol=1e-6)


def chosen(net: nn.Module, shape: tuple[int, ...], channel: int = 1, place: tuple[int, ...] = (), **given) -> str:
    """The name of the layer that is chosen."""
    torch.manual_seed(0)
    inputs = torch.randint(1, 9, (1, *shape)) if given else torch.randn(1, *shape)
    return default_layer(Explainer(net.eval(), shape, **given), inputs, Target("", channel, place=place)).name


def test_default_layer_lies_before_the_outputs():
    assert chosen(create_model("lenet5_relu", num_classes=10), (1, 32, 32)) == "stages.0.2"
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    assert chosen(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 1), *pooled), (1, 9, 9)) == "1"


def test_default_layer_of_a_segmenting_network_is_not_its_logits():
    name = chosen(create_model("unet_small", num_classes=3, in_channels=1), (1, 32, 32), place=(7, 9))
    assert name == "head.steps.3.convs.1.2"
    whole = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.LogSoftmax(1))
    assert chosen(whole, (1, 8, 8), place=(2, 2)) == "1"


def test_default_layer_lies_before_enlarged_scores():
    enlarge = nn.ConvTranspose2d(3, 3, 4, 2, 1)
    with torch.no_grad():
        enlarge.weight.mul_(0.01).diagonal().add_(1.0)  # as it is after training: almost each class for itself
    net = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 3, 1), enlarge)
    assert chosen(net, (1, 8, 8), place=(2, 2)) == "1"


def test_default_layer_of_a_detector_is_in_the_branch_of_the_target():
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
            self.heat, self.size = (
                nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)) for _ in range(2)
            )

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            maps = self.stem(x)
            return self.heat(maps), self.size(maps)

    assert chosen(Head(), (1, 8, 8), channel=1, place=(3, 3)) == "heat.1"
    assert chosen(Head(), (1, 8, 8), channel=2, place=(3, 3)) == "size.1"


def test_default_layer_of_texts_and_boards_has_their_places():
    text = create_model("text_cnn", in_channels=50, num_classes=2)
    assert chosen(text, (12,), dtype=torch.int64) == "stages.0:cat"
    board = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.Flatten())
    assert chosen(board, (4, 5, 5)) == "1"


def test_default_layer_of_dense_layers_alone_is_refused():
    with pytest.raises(ConfigError, match="Use a method on the input"):
        chosen(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4))


def test_target_beyond_the_outputs_is_refused():
    with pytest.raises(ConfigError, match=r"one of the network's outputs\. Received: channel 7"):
        chosen(branched().float(), (2, 8, 8), channel=7)
