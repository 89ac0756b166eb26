import re
from itertools import permutations

import pytest

from neocog.zoo.published import PUBLISHED
from neocog.zoo.weights.files import TORCHVISION
from neocog.zoo.weights.packages import PACKAGES


@pytest.mark.parametrize("name", PUBLISHED)
def test_five_guesses_are_right_more_often_than_one(name):
    assert 50 < PUBLISHED[name].top1 < PUBLISHED[name].top5 < 100


def test_a_network_that_is_clearly_more_accurate_at_one_guess_is_so_at_five():
    for one, other in permutations(PUBLISHED.values(), 2):
        assert one.top1 < other.top1 + 1.5 or one.top5 > other.top5


def test_every_file_of_weights_has_a_published_accuracy_and_the_other_way_round():
    measured = {name for name, published in PUBLISHED.items() if published.source.startswith("torchvision")}
    assert measured == TORCHVISION.keys()
    assert PUBLISHED.keys() - measured == {"alexnet"} | PACKAGES.keys()


def test_alexnet_has_the_errors_of_the_paper():
    assert 100 - PUBLISHED["alexnet"].top1 == pytest.approx(40.7)
    assert 100 - PUBLISHED["alexnet"].top5 == pytest.approx(18.2)


def test_larger_networks_of_a_family_are_more_accurate():
    for family in (
        ("vgg11", "vgg13", "vgg16", "vgg19"),
        ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        ("shufflenet_v2_x0_5", "shufflenet_v2", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
        ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4"),
        ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"),
    ):
        accuracies = [PUBLISHED[name].top1 for name in family]
        assert accuracies == sorted(accuracies)


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_of_files_end_in_the_beginning_of_a_sha_256(name):
    assert re.fullmatch(r"[a-z0-9_.-]+-[0-9a-f]{8,10}\.pth", TORCHVISION[name])


def test_no_two_networks_have_one_file():
    digits = [file.rpartition("-")[2] for file in TORCHVISION.values()]
    assert len(set(digits)) == len(digits)
