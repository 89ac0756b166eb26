import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.centernet import CenterNet, Points, peaks
from neocog.zoo.networks.fcn import bilinear, enlarge
from neocog.zoo.networks.resnet import resnet


def on_meta(**options):
    with torch.device("meta"):
        return CenterNet(**options)


@pytest.mark.parametrize(("num_classes", "parameters"), [(80, 14_219_092), (2, 14_214_022)])
def test_parameter_counts(num_classes, parameters):
    """ResNet-18 without its last layer, three steps up, three branches."""
    network = on_meta(num_classes=num_classes)
    backbone = 11_689_512 - (512 * 1000 + 1000)
    steps = sum(9 * c_in * c + 2 * c + 16 * c * c + 2 * c for c_in, c in ((512, 256), (256, 128), (128, 64)))
    branches = sum(9 * 64 * 64 + 64 + 64 * c + c for c in (num_classes, 2, 2))
    assert sum(p.numel() for p in network.parameters()) == backbone + steps + branches == parameters
    assert sum(p.numel() for p in network.head.parameters()) == steps + branches


@pytest.mark.parametrize(
    ("size", "cells"), [((512, 512), (128, 128)), ((64, 96), (16, 24)), ((75, 100), (24, 32)), ((1, 1), (8, 8))]
)
def test_three_maps_at_a_quarter_of_the_size(size, cells):
    found = plan(on_meta(in_channels=1, num_classes=7), (1, *size))
    assert found.output_shapes == ((7, *cells), (2, *cells), (2, *cells))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CenterNet(num_classes=4).eval()


def test_the_backbone_is_resnet18(network):
    plain, images = resnet("resnet18"), torch.randn(1, 3, 64, 96)
    plain.stem.load_state_dict(network.stem.state_dict())
    plain.stages.load_state_dict(network.stages.state_dict())
    with torch.no_grad():
        found, expected = network.features(images), plain.eval().features(images)
    assert [tuple(maps.shape[1:]) for maps in found] == [(64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    assert all(torch.equal(maps, same) for maps, same in zip(found, expected, strict=True))


def test_places_begin_unsure_and_boxes_empty(network):
    points = network(torch.randn(2, 3, 64, 64))
    assert (points.heat.sigmoid() - 0.1).abs().max() < 0.02
    assert points.size.abs().max() < 0.2 and points.offset.abs().max() < 0.2
    for step, channels in zip(network.head.up, (256, 128, 64), strict=True):
        assert torch.equal(step[2].weight, enlarge(channels, 2).apply(bilinear).weight)


def test_head_by_functions(network):
    maps = torch.randn(2, 512, 2, 3)
    expected = maps
    for conv_norm, _, up, norm, _ in network.head.up:
        expected = F.relu(conv_norm(expected))
        expected = F.relu(norm(F.conv_transpose2d(expected, up.weight, stride=2, padding=1)))
    with torch.no_grad():
        points = network.head(maps)
        for found, (hidden, _, last) in zip(
            points, (network.head.heat, network.head.size, network.head.offset), strict=True
        ):
            between = F.conv2d(expected, hidden.weight, hidden.bias, padding=1).relu()
            torch.testing.assert_close(found, F.conv2d(between, last.weight, last.bias))


def planted(objects, num_classes=3, cells=(12, 16), batch=1):
    """Maps with one peak for each (image, label, logit, x1, y1, x2, y2), in input pixels."""
    heat = torch.full((batch, num_classes, *cells), -10.0)
    size, offset = torch.zeros(batch, 2, *cells), torch.zeros(batch, 2, *cells)
    for n, label, logit, x1, y1, x2, y2 in objects:
        x, y = (x1 + x2) / 8, (y1 + y2) / 8
        i, j = math.floor(y), math.floor(x)
        heat[n, label, i, j] = logit
        size[n, :, i, j] = torch.tensor([(x2 - x1) / 4, (y2 - y1) / 4])
        offset[n, :, i, j] = torch.tensor([x - j, y - i])
    return Points(heat, size, offset)


def test_planted_points_decode_to_the_planted_boxes():
    """In two images; at corners, beyond the border, of several classes."""
    objects = [
        (0, 0, 3.0, 8, 4, 21, 17),
        (0, 2, 5.0, 40, 30, 44, 33),
        (0, 1, 4.0, -6, -7, 7, 8),  # its centre in the first cell
        (1, 1, 2.0, 60, 40, 67, 55),  # in the last cell
        (1, 1, 6.0, 10, 11, 50, 12.5),
        (1, 0, 1.0, 0, 0, 64, 48),
    ]
    boxes, scores, labels = peaks(planted(objects, batch=2), top=3)
    for n in range(2):
        surest = sorted((one for one in objects if one[0] == n), key=lambda one: -one[2])
        assert boxes[n].tolist() == [list(map(float, one[3:])) for one in surest]
        assert labels[n].tolist() == [one[1] for one in surest]
        torch.testing.assert_close(scores[n], torch.tensor([one[2] for one in surest]).sigmoid())


def test_lower_neighbour_is_not_a_peak():
    """Not even where both sigmoids are 1 in float32."""
    points = planted([(0, 0, 30.0, 8, 8, 16, 16), (0, 0, 25.0, 12, 12, 20, 20), (0, 0, 1.0, 40, 40, 44, 44)])
    _, scores, _ = peaks(points, top=3)
    boxes = peaks(points, top=2).boxes[0].tolist()
    assert boxes == [[8.0, 8.0, 16.0, 16.0], [40.0, 40.0, 44.0, 44.0]]
    assert scores[0, 2] < 1e-4


def test_equal_neighbours_are_both_peaks():
    points = planted([(0, 1, 4.0, 8, 8, 16, 16), (0, 1, 4.0, 12, 8, 20, 16)])
    boxes, scores, _ = peaks(points, top=2)
    assert sorted(boxes[0].tolist()) == [[8.0, 8.0, 16.0, 16.0], [12.0, 8.0, 20.0, 16.0]]
    assert (scores > 0.9).all()


def test_classes_do_not_suppress_each_other():
    points = planted([(0, 0, 4.0, 8, 8, 16, 16), (0, 2, 3.0, 8, 8, 16, 16)])
    boxes, _, labels = peaks(points, top=2)
    assert labels.tolist() == [[0, 2]]
    assert torch.equal(boxes[0, 0], boxes[0, 1])


def test_non_peaks_score_zero_and_top_is_at_most_all():
    heat = torch.tensor([[[[1.0, 2.0], [4.0, 3.0]]]])
    boxes, scores, labels = peaks(Points(heat, torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)))
    assert boxes.shape == (1, 4, 4) and labels.tolist() == [[0, 0, 0, 0]]
    assert scores[0, 0] == torch.tensor(4.0).sigmoid() and not scores[0, 1:].any()


def by_brute_force(points, n, top):
    """Place by place."""
    found = []
    _, num_classes, height, width = points.heat.shape
    for k in range(num_classes):
        for i in range(height):
            for j in range(width):
                around = points.heat[n, k, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
                if points.heat[n, k, i, j] == around.max():
                    (w, h), (x, y) = points.size[n, :, i, j].tolist(), points.offset[n, :, i, j].tolist()
                    box = [4 * (j + x - w / 2), 4 * (i + y - h / 2), 4 * (j + x + w / 2), 4 * (i + y + h / 2)]
                    found.append((float(points.heat[n, k, i, j]), k, box))
    return sorted(found, key=lambda one: -one[0])[:top]


def test_peaks_of_noise_by_brute_force():
    points = Points(torch.randn(3, 2, 9, 7), torch.rand(3, 2, 9, 7), torch.rand(3, 2, 9, 7))
    boxes, scores, labels = peaks(points, top=8)
    for n in range(3):
        expected = by_brute_force(points, n, top=8)
        assert labels[n].tolist() == [label for _, label, _ in expected]
        torch.testing.assert_close(scores[n], torch.tensor([logit for logit, _, _ in expected]).sigmoid())
        torch.testing.assert_close(boxes[n], torch.tensor([box for _, _, box in expected]))


class Detector(nn.Module):
    """Images to boxes."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return peaks(self.network(images), top=20)


def test_network_and_decoding_export_together_and_take_other_sizes(network):
    auto = torch.export.Dim.AUTO
    detector = Detector(network).eval()
    exported = torch.export.export(
        detector, (torch.randn(2, 3, 70, 90),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    for shape in [(1, 3, 64, 128), (3, 3, 97, 50)]:
        images = torch.randn(shape)
        for found, expected in zip(exported(images), detector(images), strict=True):
            torch.testing.assert_close(found, expected)


def rectangles(count, size=64):
    """Noise with one bright rectangle each, and the rectangle as x1, y1, x2, y2."""
    draw = torch.Generator().manual_seed(0)
    images, boxes = 0.1 * torch.randn(count, 1, size, size, generator=draw), []
    for image in images:
        w, h = torch.randint(12, 28, (2,), generator=draw).tolist()
        x, y = (int(torch.randint(0, size - side, (1,), generator=draw)) for side in (w, h))
        image[:, y : y + h, x : x + w] += 1
        boxes.append((x, y, x + w, y + h))
    return images, torch.tensor(boxes, dtype=torch.float32)


def loss(points, boxes):
    """The paper's equations 1 to 4, with bumps two cells wide around the centres."""
    n = torch.arange(len(boxes))
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 8, (boxes[:, 2:] - boxes[:, :2]) / 4
    j, i = centre.long().T
    cells = torch.arange(points.heat.shape[-1])
    squares = (cells - j[:, None])[:, None, :] ** 2 + (cells - i[:, None])[:, :, None] ** 2
    bumps, logits = (-squares / 2).exp(), points.heat[:, 0]
    hits = (1 - logits.sigmoid()) ** 2 * F.logsigmoid(logits)
    misses = (1 - bumps) ** 4 * logits.sigmoid() ** 2 * F.logsigmoid(-logits)
    focal = -torch.where(bumps == 1, hits, misses).sum() / len(boxes)
    sizes = (points.size[n, :, i, j] - side).abs().sum(1).mean()
    offsets = (points.offset[n, :, i, j] - (centre - centre.floor())).abs().sum(1).mean()
    return focal + 0.1 * sizes + offsets


def test_every_parameter_learns():
    images, boxes = rectangles(2)
    network = CenterNet(in_channels=1, num_classes=1)
    loss(network(images), boxes).backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


@pytest.mark.slow
def test_it_learns_where_rectangles_are():
    """In 30 steps of 8 images the loss falls by half; the highest peak's box is some pixels from the rectangle."""
    torch.manual_seed(0)
    images, boxes = rectangles(32)
    network = CenterNet(in_channels=1, num_classes=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for step in range(30):
        chosen = torch.arange(step * 8, step * 8 + 8) % 32
        found = loss(network(images[chosen]), boxes[chosen])
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4]), losses
    with torch.no_grad():
        surest = peaks(network(images), top=1).boxes[:, 0]  # by the batch's statistics: running ones are not there yet
    assert (surest - boxes).abs().mean() < 5
