"""Patches, dead and redundant channels against all feature maps kept at once."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.data import ArraySource, ImagePreprocess, TextPreprocess
from neocog.dataset.list_source import ListSource
from neocog.errors import ConfigError, DataError
from neocog.explaining.channels import ChannelSums
from neocog.explaining.explainer import Explainer
from neocog.explaining.patches import ChannelFacts, channel_facts, top_patches
from neocog.modalities.signal.preprocess import SignalPreprocess

SIZE, COUNT = 20, 50


class Payloads(ListSource):
    """Payloads of any kind; those that are None can't be read."""

    def __init__(self, modality, payloads):
        self.modality, self.payloads = modality, payloads
        names = [f"sample {k}" for k in range(len(payloads))]
        super().__init__("given", names, np.zeros(len(payloads), np.int64), {"all": np.arange(len(payloads))}, ("a",))

    def payload(self, index):
        if self.payloads[index] is None:
            raise DataError(f"sample {index} is damaged.")
        return self.payloads[index]


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE), dtype=np.uint8)
    return ArraySource("noise", {"train": (pixels, np.arange(COUNT) % 2)})


@pytest.fixture(scope="module")
def explainer():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3),
        nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(256, 2),
    )  # fmt: skip
    weight, bias = net[0].weight.data, net[0].bias.data
    weight[1], bias[1] = weight[0] * 3, bias[0] * 3  # repeats channel 0
    weight[2], bias[2] = 0, -1  # dead
    weight[3], bias[3] = 0, 0.5  # constant
    return Explainer(net, (1, SIZE, SIZE), preprocess=ImagePreprocess(size=(SIZE, SIZE), channels=1, mean=(0.5,)))


def all_maps(explainer, source, depth):
    decoded = torch.from_numpy(source.pictures(np.arange(COUNT)))[:, None]
    with torch.no_grad():
        return decoded, explainer.model[:depth](explainer.preprocess.normalise(decoded))


def test_top_patches_are_those_of_all_maps(explainer, images):
    """In batches of 7: values, samples, places and pixels as from a sort of everything."""
    layer = explainer.layers["4"]
    found = top_patches(explainer, images, layer, count=5, batch_size=7)
    decoded, maps = all_maps(explainer, images, 5)
    assert list(found) == [0, 1, 2, 3]
    for channel in found:
        best = maps[:, channel].flatten(1).max(1)
        order = best.values.argsort(descending=True, stable=True)[:5]
        assert [patch.index for patch in found[channel]] == order.tolist()
        for patch, index in zip(found[channel], order.tolist(), strict=True):
            assert patch.key == f"train/{index}" and patch.value == pytest.approx(float(best.values[index]), rel=1e-5)
            i, j = patch.place
            assert i * 8 + j == best.indices[index]
            # conv 3 pad 1, pool 2, conv 3: unit i reads rows 2 i - 1 to 2 i + 6
            box = tuple((max(2 * at - 1, 0), min(2 * at + 6, SIZE - 1)) for at in (i, j))
            assert patch.box == box
            (top, bottom), (left, right) = box
            assert torch.equal(patch.pixels, decoded[index, :, top : bottom + 1, left : right + 1])


def test_a_patch_alone_gives_the_unit_its_value(explainer, images):
    """What is outside the box does not matter to the unit."""
    layer = explainer.layers["4"]
    patch = top_patches(explainer, images, layer, channels=[1], count=1, facts=False)[1][0]
    alone = np.zeros((1, SIZE, SIZE), np.uint8)
    (top, bottom), (left, right) = patch.box
    alone[:, top : bottom + 1, left : right + 1] = patch.pixels.numpy()
    with torch.no_grad():
        maps = explainer.model[:5](explainer.preprocess.normalise(torch.from_numpy(alone)[None]))
    assert float(maps[0, 1][patch.place]) == pytest.approx(patch.value, rel=1e-5)


def test_several_places_of_one_sample(explainer, images):
    found = top_patches(explainer, images, explainer.layers["4"], channels=[2], count=8, per_sample=3, batch_size=9)
    _, maps = all_maps(explainer, images, 5)
    rows = maps[:, 2].flatten(1).topk(3).values.flatten().sort(descending=True).values[:8]
    assert torch.allclose(torch.tensor([patch.value for patch in found[2]]), rows, rtol=1e-5)
    assert len({(patch.index, patch.place) for patch in found[2]}) == 8


def test_dead_constant_and_redundant_channels(explainer, images):
    facts = channel_facts(explainer, images, explainer.layers["1"], batch_size=8)
    _, maps = all_maps(explainer, images, 2)
    assert facts.dead == (2,) and facts.constant == (2, 3)
    assert set(facts.redundant) == {1} and facts.redundant[1][0] == 0
    assert torch.allclose(facts.high, maps.amax((0, 2, 3))) and torch.allclose(facts.low, maps.amin((0, 2, 3)))
    rows = maps.amax((2, 3)).double().numpy()
    lively = [0, 1, 4, 5]
    expected = np.corrcoef(rows[:, lively].T)
    assert np.allclose(facts.correlation.numpy()[np.ix_(lively, lively)], expected, atol=1e-10)
    assert facts.correlation[2].isnan().all()
    assert str(facts) == (
        "Of 6 channels on 50 inputs, 1 is never above zero, 2 are constant, 1 repeats another one "
        "(correlation above 0.95)."
    )
    assert [bool(facts.of(channel)) for channel in range(6)] == [False, True, True, True, False, False]
    assert facts.of(1).startswith("Channel 1 repeats channel 0: their responses correlate by ")
    assert facts.of(2) == "Channel 2 is never above zero on 50 inputs: it is dead."
    assert facts.of(3) == "Channel 3 has one value everywhere on 50 inputs."
    sums = ChannelSums(6, 0.95)
    for part in np.array_split(np.arange(50), 3):
        in_parts = top_patches(explainer, images, explainer.layers["1"], indices=part, facts=sums).facts
    assert str(in_parts) == str(facts) and torch.allclose(in_parts.correlation, facts.correlation, equal_nan=True)
    with_patches = top_patches(explainer, images, explainer.layers["1"], channels=[4], batch_size=8).facts
    assert with_patches is not None and str(with_patches) == str(facts)


def test_many_channels_are_not_compared_and_the_sentence_says_so():
    facts = ChannelFacts(
        num_inputs=3, low=torch.zeros(5000), high=torch.ones(5000), correlation=None, threshold=0.95
    )  # fmt: skip
    assert not facts.redundant and str(facts) == (
        "Of 5,000 channels on 3 inputs, 0 are never above zero, 0 are constant, "
        "more than 4,096 channels are not compared with each other."
    )


def test_a_sample_whose_maps_are_not_numbers_has_no_patch(images):
    class Root(nn.Module):
        def forward(self, x):
            return (x - 2 * x.mean()).sqrt() + x  # not a number wherever x is small

    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), Root())
    net[0].weight.data.fill_(1)
    explainer = Explainer(net, (1, SIZE, SIZE), preprocess=ImagePreprocess(size=(SIZE, SIZE), channels=1))
    assert top_patches(explainer, images, explainer.layers[-1], facts=False)[0] == []


def test_samples_that_cannot_be_read_are_counted(explainer, images, capsys):
    pixels = [images.read(k).payload for k in range(10)]
    pixels[3] = None
    source = Payloads("image", pixels)
    found = top_patches(explainer, source, explainer.layers["4"], count=20, batch_size=4)
    assert list(found.skipped) == ["sample 3"] and found.facts is not None and found.facts.num_inputs == 9
    assert sorted(patch.index for patch in found[0]) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert "1 sample can't be read and is left out: sample 3" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"At least one sample must be readable\. given: received 2 that can't be read"):
        top_patches(explainer, Payloads("image", [None, None]), explainer.layers["4"])


def test_errors_say_what_is_missing(explainer, images):
    bare = Explainer(explainer.model, (1, SIZE, SIZE))
    with pytest.raises(ConfigError, match="A data set needs the preprocessing of the network"):
        top_patches(bare, images, bare.layers["4"])
    with pytest.raises(ConfigError, match=r"4 has 4 channels, from 0\. Received: 7"):
        top_patches(explainer, images, explainer.layers["4"], channels=[7])
    with pytest.raises(ConfigError, match="At least one patch is asked for"):
        top_patches(explainer, images, explainer.layers["4"], count=0)
    with pytest.raises(DataError, match=r"This network takes images\. given: received texts"):
        top_patches(explainer, Payloads("text", ["a"]), explainer.layers["4"])


class WordNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.conv = nn.Embedding(6, 4), nn.Conv1d(4, 2, 2)

    def forward(self, ids):
        return F.relu(self.conv(self.embed(ids).transpose(1, 2))).amax(2)


def test_words_that_excite_a_channel():
    net = WordNet()
    with torch.no_grad():
        net.embed.weight.copy_(torch.eye(6)[:, 2:])
        net.conv.weight.zero_()
        net.conv.bias.zero_()
        net.conv.weight[0, 0, 0], net.conv.weight[0, 1, 1] = 1.0, 1.0  # "very good"
    spec = TextPreprocess(level="word", length=6, vocabulary=("very", "good", "bad", "film"))
    explainer = Explainer(net, (6,), preprocess=spec, dtype=torch.int64)
    source = Payloads("text", ["a bad film", "It was very good!", "good good film"])
    found = top_patches(explainer, source, explainer.layers["conv"], count=2)[0]
    assert [(patch.words, patch.value) for patch in found] == [(("very", "good"), 2.0), (("good", "good"), 1.0)]
    assert found[0].pixels.tolist() == [2, 3]


def test_pieces_of_signals():
    net = nn.Sequential(nn.Conv1d(1, 1, 3, bias=False))
    net[0].weight.data[:] = torch.tensor([[[-1.0, 2.0, -1.0]]])
    explainer = Explainer(net, (1, 12), preprocess=SignalPreprocess(channels=1, length=12, scale="none"))
    signals = [np.zeros((1, 12)) for _ in range(3)]
    signals[1][0, 7] = 5.0
    found = top_patches(explainer, Payloads("signal", signals), explainer.layers[0], count=1)[0][0]
    assert (found.index, found.place, found.box, found.value) == (1, (6,), ((6, 8),), 10.0)
    assert found.pixels.tolist() == [[0, 5, 0]]


def test_tiles_of_a_large_image_give_one_patch_for_each_sample():
    from neocog.tasks import Segmentation

    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False))
    net[0].weight.data[:] = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    spec = ImagePreprocess(size=(8, 8), channels=1, resize="tile")
    explainer = Explainer(net, (1, 8, 8), preprocess=spec, task=Segmentation(("a", "b")))
    pixels = [np.zeros((20, 20), np.uint8) for _ in range(3)]
    pixels[0][7, 7], pixels[1][0, 0], pixels[2][19, 19] = 250, 100, 200  # the first is in four tiles
    found = top_patches(explainer, Payloads("image", pixels), explainer.layers[0], count=3, batch_size=5)[0]
    assert [patch.index for patch in found] == [0, 2, 1]
    assert [int(patch.pixels) for patch in found] == [250, 200, 100]
    assert found[2].view == 0 and found[1].view > 0 and found[1].place == (7, 7)


def test_the_model_is_left_as_it_was(images):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True)).train()
    state = {key: value.clone() for key, value in net.state_dict().items()}
    explainer = Explainer(net, (1, SIZE, SIZE), preprocess=ImagePreprocess(size=(SIZE, SIZE), channels=1))
    found = top_patches(explainer, images, explainer.layers[-1])
    assert len(found[0]) == 9 and net.training
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
