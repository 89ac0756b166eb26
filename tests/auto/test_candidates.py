"""What is raced for which data: flips, sizes, batches, and the settings of the user."""

import pytest

from neocog.auto.candidate import Candidate, differences, distinct, is_fixed, with_candidate
from neocog.auto.facts import Facts
from neocog.auto.images import batch_size, image_candidates
from neocog.auto.others import candidates_for
from neocog.auto.say import fact_lines
from neocog.recipes import recipe, resolve_config
from neocog.recipes.modalities import board_epochs, board_tower
from neocog.runs import SetBy
from neocog.runs.prepare import check_config
from neocog.training.distributed import World
from neocog.zoo import model_info

WEIGHTS = {"efficientnet_lite0": "package"}


def facts(height=32, width=32, **changes):
    common = {"modality": "image", "num_train": 2000, "num_test": 500, "num_classes": 10}
    return Facts(**{**common, "height": height, "width": width, **changes})


def base(**overrides):
    return resolve_config("mnist", overrides=overrides)[0]


@pytest.mark.parametrize(
    ("height", "width", "side", "size"),
    [
        (300, 300, 96, (96, 96)),
        (300, 330, 96, (96, 96)),  # nearly a square
        (100, 200, 128, (96, 176)),
        (200, 100, 128, (176, 96)),
        (100, 10_000, 64, (32, 128)),  # an aspect of at most four
        (20, 600, 16, (16, 32)),
    ],
)
def test_size_has_the_area_of_a_square_in_the_aspect_of_the_images(height, width, side, size):
    assert facts(height, width).size(side) == size
    assert facts(height, width, even_aspect=False).size(side) == (side, side)
    found = facts(height, width).size(side)
    assert all(one % 16 == 0 for one in found) or found == (side, side)
    assert 0.6 < found[0] * found[1] / side**2 < 2.1


def test_facts_are_read_back_from_json():
    one = facts(channels=1, mirror=True)
    assert Facts.from_json(one.to_json()) == one
    assert (one.grey, one.side, facts(20, 30).side) == (True, 32, 20)


@pytest.mark.parametrize("mirror", [True, False])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("side", [28, 300])
def test_flips_only_where_such_images_occur(mirror, flip, side):
    table = image_candidates(facts(side, side, mirror=mirror, flip=flip), WEIGHTS)
    assert {candidate.transfer for candidate in table} == {True, False}
    for candidate in table:
        assert candidate.settings.get("augment.flip", 0) == 0.5 * mirror
        assert candidate.settings.get("augment.vertical_flip", 0) == 0.5 * flip
        assert ("flip" in candidate.settings["train.tta"]) == mirror
        assert set(candidate.reasons) == {key for key in candidate.settings if key.endswith("flip")}


def test_small_images_keep_their_size_and_large_ones_get_what_is_useful():
    assert {c.settings["image.size"] for c in image_candidates(facts(28, 28), {})} == {(28, 28)}
    assert {c.settings["image.size"] for c in image_candidates(facts(20, 40), {})} == {(20, 40)}
    for useful, sides in ((224, {96, 128}), (96, {64, 96}), (32, {32, 64})):
        table = image_candidates(facts(300, 300, useful_size=useful), {})
        assert {c.settings["image.size"][0] for c in table} == sides


def test_networks_with_weights_get_sizes_up_to_that_of_the_images():
    for side, sides in ((28, {96}), (100, {96}), (130, {96, 128}), (300, {96, 128, 192})):
        table = image_candidates(facts(side, side), WEIGHTS)
        assert {c.settings["image.size"][0] for c in table if c.transfer} == sides
    assert not any(c.transfer for c in image_candidates(facts(300, 300), {}))
    assert all(c.settings["model.pretrained"] == "package" for c in table if c.transfer)


@pytest.mark.parametrize("side", [16, 28, 48, 64, 100, 300])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_candidate_is_a_whole_config(side, channels):
    """What they set is known, has an effect, and suits the others."""
    resolved = base()
    for candidate in image_candidates(facts(side, side, channels=channels), WEIGHTS):
        found = with_candidate(resolved, candidate, "why")
        check_config(found.config, World())
        keys = {key for key, _, _ in found.rows()}
        assert candidate.settings.keys() <= keys, candidate.settings.keys() - keys
        if candidate.transfer:
            assert candidate.settings["image.channels"] == (3 if channels in (1, 3) else channels)


@pytest.mark.parametrize(("num", "size"), [(1, 32), (1900, 32), (7_700, 128), (10**6, 512)])
def test_an_epoch_has_about_sixty_steps(num, size):
    assert batch_size(num) == size


def test_settings_of_the_user_win_and_the_others_have_their_reason():
    resolved = base(**{"augment.flip": 0.1, "image.size": 20})
    candidate = Candidate(
        "c", {"augment.flip": 0.5, "image.size": (32, 32), "optimizer.lr": 0.3}, {"optimizer.lr": "r"}
    )
    found = with_candidate(resolved, candidate, "won")
    assert (found.config.augment.flip, found.config.image.size, found.config.optimizer.lr) == (0.1, (20, 20), 0.3)
    assert str(found.provenance["augment.flip"]) == "given in Python"
    assert str(found.provenance["optimizer.lr"]) == "chosen automatically: r"
    assert is_fixed(resolved, "augment.flip") and not is_fixed(resolved, "optimizer.lr")
    assert is_fixed(found, "optimizer.lr") and found.provenance["optimizer.lr"].by is SetBy.CHOSEN


def test_candidates_that_the_user_makes_equal_are_one():
    table = image_candidates(facts(300, 300), WEIGHTS)
    assert distinct(base(), table) == table and sum(candidate.transfer for candidate in table) == 3
    one_size = distinct(base(**{"image.size": 64, "augment.shift": 4}), table)
    pretrained = [candidate for candidate in one_size if candidate.transfer]
    assert [candidate.name for candidate in pretrained] == ["efficientnet_lite0, ImageNet weights, 64x64"]
    assert pretrained[0].settings["image.size"] == (64, 64) and pretrained[0].settings["augment.shift"] == 4


def test_differences_are_what_a_recipe_sets():
    found = differences(recipe("lenet5", data="x"))
    assert found["model.name"] == "lenet5" and found["train.epochs"] == 12 and "data.source" not in found
    assert "optimizer.eps" not in found


@pytest.mark.parametrize("modality", ["signal", "audio", "text"])
def test_other_kinds_of_data_race_their_own_networks(modality):
    table = candidates_for(facts(modality=modality), None, WEIGHTS)
    assert len(table) >= 2 and len({candidate.settings["model.name"] for candidate in table}) == len(table)
    for candidate in table:
        assert model_info(candidate.settings["model.name"]).modality == modality
        assert "train.epochs" not in candidate.settings


def test_games_get_a_tower_for_their_board():
    (one,) = candidates_for(facts(modality="board", num_train=12_000, num_classes=82), None, WEIGHTS)
    assert one.settings["model.name"] == "go_residual" and one.settings["augment_board.symmetries"] is True
    assert one.settings["model.widths"] == board_tower(12_000, 9) and "train.epochs" not in one.settings
    assert one.settings["train.most_epochs"] == 2 * board_epochs(12_000)
    assert one.name == "go_residual, 4 blocks of 56" and one.settings["board.features"] == "alphago48"
    (own,) = candidates_for(facts(0, 0, modality="board", num_train=12_000, num_classes=82), "go_policy", WEIGHTS)
    assert own.settings["model.name"] == "go_policy"


def test_named_network_races_with_two_rates():
    *smaller, own, fast = candidates_for(facts(mirror=True, useful_size=64), "resnet18", WEIGHTS)
    assert {one.settings["model.name"] for one in (*smaller, own, fast)} == {"resnet18"}
    assert [one.settings["image.size"] for one in smaller] == [(32, 32), (64, 64)] and "image.size" not in own.settings
    assert own.settings["augment.flip"] == 0.5 and "augment.vertical_flip" not in own.settings
    assert fast.settings["optimizer.lr"] == 4 * own.settings["optimizer.lr"]
    assert fast.name == "resnet18, recipe general, 4 times the rate"
    assert len(candidates_for(facts(0, 0, modality="text"), "text_cnn", {})) == 1


def test_named_network_with_weights_is_fine_tuned():
    first, *_ = candidates_for(facts(height=300, width=300), "efficientnet_lite1", {"efficientnet_lite1": "package"})
    assert first.settings["model.name"] == "efficientnet_lite1" and first.settings["model.pretrained"] == "package"
    assert first.transfer


def test_what_is_said_of_data_without_a_look():
    assert fact_lines(facts(num_train=1234), ()) == ["1,234 training and validation samples of 10 classes, 500 to test"]
    assert fact_lines(facts(), ["seen"]) == ["seen"]


@pytest.mark.parametrize(("modality", "most"), [("signal", 500), ("audio", 100), ("text", 12)])
def test_few_samples_are_not_trained_on_for_any_time(modality, most):
    assert candidates_for(facts(modality=modality), None, {})[0].settings["train.most_epochs"] == most


def test_images_are_trained_as_long_as_there_is_time():
    assert "train.most_epochs" not in candidates_for(facts(), "lenet5", {})[0].settings
