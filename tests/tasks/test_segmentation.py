import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neocog.dataset.record import UNLABELLED, Record
from neocog.modalities.image.augment import AugmentConfig
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.tasks import LossConfig, Segmentation
from neocog.tasks.colours import class_colours, overlay
from neocog.tasks.segmentation import SegmentPrediction, balanced_pixels, place_mask

CLASSES = ("background", "cell", "wall")


def example(num=3, count=3, size=(5, 7), seed=0, unknown=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, count, *size, generator=generator, dtype=torch.float64) * 2
    targets = torch.randint(0, count, (num, *size), generator=generator, dtype=torch.uint8)
    targets[torch.rand(num, *size, generator=generator) < unknown] = UNLABELLED
    return logits, targets


def by_loops(logits, targets, kind, weights=None):
    """The loss of each image, pixel by pixel and class by class in Python's floats."""
    num, count, height, width = logits.shape
    losses = []
    for n in range(num):
        entropy = shares = 0.0
        overlaps, predicted, real = [0.0] * count, [0.0] * count, [0] * count
        for y in range(height):
            for x in range(width):
                label = int(targets[n, y, x])
                if label == UNLABELLED:
                    continue
                values = [math.exp(float(v)) for v in logits[n, :, y, x]]
                probs = [v / sum(values) for v in values]
                weight = 1.0 if weights is None else float(weights[label])
                entropy -= weight * math.log(probs[label])
                shares += weight
                overlaps[label] += probs[label]
                real[label] += 1
                predicted = [p + q for p, q in zip(predicted, probs, strict=True)]
        there = [k for k in range(count) if real[k]]
        dices = [1 - (2 * overlaps[k] + 1) / (predicted[k] + real[k] + 1) for k in there]
        loss = (entropy / shares if shares else 0.0) if kind != "dice" else 0.0
        losses.append(loss + (sum(dices) / len(dices) if kind != "cross_entropy" and dices else 0.0))
    return losses


@pytest.mark.parametrize("kind", Segmentation.losses)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_equal_loops(kind, weighted):
    logits, targets = example()
    targets[1] = UNLABELLED
    targets[2][targets[2] == 1] = 0  # a class that this image lacks
    weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64) if weighted else None
    task = Segmentation(CLASSES, LossConfig(kind=kind), weights)
    found = task.image_losses(logits, targets)
    np.testing.assert_allclose(found, by_loops(logits, targets, kind, weights), rtol=1e-12)
    assert found[1] == 0 and found[0] > 0
    assert task.logits_loss(logits, targets).item() == pytest.approx(found.mean().item())


def test_cross_entropy_is_torchs_for_one_image():
    logits, targets = example(num=1)
    weights = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    expected = F.cross_entropy(logits, targets.long(), weights, ignore_index=UNLABELLED)
    task = Segmentation(CLASSES, LossConfig(kind="cross_entropy"), weights)
    torch.testing.assert_close(task.logits_loss(logits, targets), expected)


@pytest.mark.parametrize("kind", Segmentation.losses)
def test_gradients(kind):
    logits, targets = example(num=2, size=(2, 3))
    task = Segmentation(CLASSES, LossConfig(kind=kind), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda x: task.image_losses(x, targets), (logits.requires_grad_(),))


def test_unlabelled_pixels_have_no_gradient():
    logits, targets = example()
    logits.requires_grad_()
    Segmentation(CLASSES).logits_loss(logits, targets).backward()
    unknown = (targets == UNLABELLED)[:, None].expand_as(logits)
    assert not logits.grad[unknown].any() and logits.grad[~unknown].all()


def test_losses_of_auxiliary_heads_are_added():
    from neocog.zoo.network import WithAuxiliary

    logits, targets = example()
    task = Segmentation(CLASSES)
    both = task.loss(WithAuxiliary(logits, (logits * 2,), 0.4), targets)
    torch.testing.assert_close(both, task.logits_loss(logits, targets) + 0.4 * task.logits_loss(logits * 2, targets))


def test_balanced_weights_are_median_frequencies():
    """By hand: frequencies of classes within the images that have them; their median over each."""
    generator = np.random.default_rng(0)
    masks = generator.choice([0, 1, 2, UNLABELLED], p=[0.7, 0.05, 0.15, 0.1], size=(6, 8, 9)).astype(np.uint8)
    masks[3:][masks[3:] == 1] = 0
    shares = []
    for k in range(3):
        having = masks[[(mask == k).any() for mask in masks]]
        shares.append((having == k).sum() / (having != UNLABELLED).sum())
    expected = np.median(shares) / shares
    np.testing.assert_allclose(balanced_pixels(torch.from_numpy(masks), 3), expected, rtol=1e-6)
    task = Segmentation.for_training(CLASSES, LossConfig(class_weights="balanced"), torch.from_numpy(masks))
    np.testing.assert_allclose(task.pixel_weights, expected, rtol=1e-6)
    assert Segmentation.for_training(CLASSES, LossConfig(), torch.from_numpy(masks)).pixel_weights is None


def test_masks_without_a_known_pixel_weigh_all_classes_alike():
    assert balanced_pixels(torch.full((2, 3, 3), UNLABELLED, dtype=torch.uint8), 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("rule", ["squash", "letterbox", "tile"])
@pytest.mark.parametrize("full", [(24, 32), (32, 32), (20, 50), (64, 48), (96, 96)])
def test_masks_lie_where_their_images_lie(rule, full):
    """A mask drawn as an image of three grey levels, brought to the network's size as an image, gives the same."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 3, (2, 2))
    mask = np.kron(coarse, np.ones((full[0] // 2, full[1] // 2))).astype(np.uint8)
    spec = ImagePreprocess(size=(32, 32), channels=1, resize=rule)
    placed = place_mask(mask, spec)
    image = spec.decode(np.asarray(mask * 100 + 20, np.uint8))[0].numpy()
    sharp = np.isin(image, [20, 120, 220])  # not mixed at an edge
    known = placed != UNLABELLED
    assert sharp[known].mean() > 0.5
    np.testing.assert_array_equal(placed[sharp & known], (image[sharp & known].astype(int) - 20) // 100)
    assert (image[~known] == 0).all() and (image[known] > 0).all()


def test_masks_move_with_their_images():
    spec = ImagePreprocess(size=(16, 16), channels=1)
    move = Segmentation.mover(AugmentConfig(flip=1.0), spec)
    masks = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    key = {"seed": 0, "epoch": 0, "samples": np.array([3], np.uint64)}
    assert torch.equal(move(masks, key), masks.flip(2))
    assert Segmentation.mover(AugmentConfig(brightness=0.1), spec) is None
    assert Segmentation.mover(None, spec) is None


def test_scores_add_up_to_the_metrics_of_all_pixels():
    logits, targets = example(num=4)
    task = Segmentation(CLASSES)
    scored = torch.cat([task.score(logits[:1].float(), targets[:1]), task.score(logits[1:].float(), targets[1:])])
    found = task.validation(scored, targets)
    known = targets != UNLABELLED
    masks = logits.argmax(dim=1)
    assert found["pixel accuracy"] == pytest.approx((masks == targets)[known].double().mean().item())
    ious = [((masks == k) & (targets == k)).sum() / (((masks == k) & known) | (targets == k)).sum() for k in range(3)]
    assert found["mIoU"] == pytest.approx(np.mean(ious), rel=1e-6)
    assert found["loss"] == pytest.approx(task.image_losses(logits, targets).mean().item(), rel=1e-5)


def test_progress_is_the_share_of_known_pixels_that_are_right():
    logits, targets = example()
    shares = []
    for image, target in zip(logits.argmax(dim=1), targets, strict=True):
        known = target != UNLABELLED
        shares.append((image == target)[known].double().mean().item())
    assert Segmentation(CLASSES).progress_sum(logits, targets) == pytest.approx(sum(shares), rel=1e-6)


def prediction(mask=((0, 1), (1, 1), (2, 1))):
    return SegmentPrediction.of_mask("a.png", CLASSES, np.array(mask, np.uint8), 0.75)


def test_a_prediction_tells_the_shares_of_its_classes_the_largest_first():
    found = prediction()
    assert list(found.shares.items()) == [("cell", 4 / 6), ("background", 1 / 6), ("wall", 1 / 6)]
    assert found.to_json() == {"width": 2, "height": 3, "confidence": 0.75, "shares": found.shares}
    assert found.cells() == {
        "size": "2 x 3", "pixels": "cell 66.7%, background 16.7%, wall 16.7%", "confidence": "75.0%",
    }  # fmt: skip


def test_without_places_a_prediction_holds_no_mask_and_tells_the_same():
    found = prediction()
    light = found.without_places()
    assert light.mask.size == 0 and light.to_json() == found.to_json() and light.cells() == found.cells()


def test_colours_differ_from_each_other():
    colours = class_colours(255)
    assert len({tuple(colour) for colour in colours.tolist()}) == 255 and not colours[0].any()


def test_overlay_colours_classes_and_leaves_the_first_and_what_is_unknown():
    pixels = np.full((1, 4), 100, np.uint8)
    colours = class_colours(3)
    shown = overlay(pixels, np.array([[0, 1, 2, UNLABELLED]]), colours)
    np.testing.assert_array_equal(shown[0, 0], [100] * 3)
    np.testing.assert_array_equal(shown[0, 3], [100] * 3)
    np.testing.assert_array_equal(shown[0, 1], (colours[1] // 2 + 50).astype(np.uint8))
    np.testing.assert_array_equal(overlay(pixels.astype(np.uint16) * 257, np.zeros((1, 4), int), colours), 100)


def test_drawing_shows_both_masks_beside_each_other():
    task = Segmentation(CLASSES)
    record = Record("a", np.zeros((3, 2, 3), np.uint8), np.array([[0, 0], [1, 1], [255, 2]], np.uint8))
    assert task.draw(record, prediction()).address.startswith("data:image/png;base64,")
    assert [name for name, _ in task.legend] == ["cell", "wall"]
