"""A binary mask for each class: losses by loops, metrics beside scikit-learn, targets that move and are matched."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from neocog.dataset.record import UNLABELLED, Record
from neocog.errors import ConfigError
from neocog.modalities.image.augment import AugmentConfig
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.tasks import BinaryMaskPrediction, LossConfig, MultiLabelSegmentation
from tests.support.scenes import Scenes

CLASSES = ("cell", "wall", "dust")


def example(num=3, count=3, size=(5, 7), seed=0, unknown=0.2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, count, *size, generator=generator, dtype=torch.float64) * 2
    targets = torch.randint(0, 2, logits.shape, generator=generator, dtype=torch.uint8)
    targets[torch.rand(logits.shape, generator=generator) < unknown] = UNLABELLED
    return logits, targets


def by_loops(logits, targets, kind, smoothing=0.0):
    """The loss of each image, in Python's floats."""
    losses = []
    for maps, masks in zip(logits.tolist(), targets.tolist(), strict=True):
        entropies, dices = [], []
        for values, truth in zip(maps, masks, strict=True):
            pairs = [
                (1 / (1 + math.exp(-v)), t)
                for row, true in zip(values, truth, strict=True)
                for v, t in zip(row, true, strict=True)
                if t != UNLABELLED
            ]
            for p, t in pairs:
                soft = t * (1 - smoothing) + smoothing / 2
                entropies.append(-soft * math.log(p) - (1 - soft) * math.log(1 - p))
            if pairs:
                both = sum(p for p, _ in pairs) + sum(t for _, t in pairs)
                dices.append(1 - (2 * sum(p * t for p, t in pairs) + 1) / (both + 1))
        loss = sum(entropies) / len(entropies) if entropies and kind != "dice" else 0.0
        losses.append(loss + (sum(dices) / len(dices) if dices and kind != "binary_cross_entropy" else 0.0))
    return losses


@pytest.mark.parametrize("kind", MultiLabelSegmentation.losses)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_equal_loops(kind, smoothing):
    logits, targets = example()
    targets[1] = UNLABELLED
    targets[2, 0] = UNLABELLED
    targets[2, 1][targets[2, 1] == 1] = 0  # a class that this image lacks
    task = MultiLabelSegmentation(CLASSES, LossConfig(kind=kind, label_smoothing=smoothing))
    found = task.image_losses(logits, targets)
    np.testing.assert_allclose(found, by_loops(logits, targets, kind, smoothing), rtol=1e-12)
    assert found[1] == 0 and found[0] > 0
    assert task.logits_loss(logits, targets).item() == pytest.approx(found.mean().item())


def test_unknown_pixels_have_no_gradient():
    logits, targets = example()
    MultiLabelSegmentation(CLASSES).logits_loss(logits.requires_grad_(), targets).backward()
    unknown = targets == UNLABELLED
    assert not logits.grad[unknown].any() and logits.grad[~unknown].all()


def test_scores_add_up_to_the_metrics_of_all_pixels():
    logits, targets = example(num=4)
    task = MultiLabelSegmentation(CLASSES)
    scored = torch.cat([task.score(logits[k : k + 2].float(), targets[k : k + 2]) for k in (0, 2)])
    found = task.validation(scored, targets)
    known, masks = targets != UNLABELLED, logits > 0
    pairs = [((targets[:, k] == 1)[known[:, k]].numpy(), masks[:, k][known[:, k]].numpy()) for k in range(3)]
    assert found["mIoU"] == pytest.approx(np.mean([jaccard_score(*pair) for pair in pairs]))
    assert found["mean Dice"] == pytest.approx(np.mean([f1_score(*pair) for pair in pairs]))
    assert found["pixel accuracy"] == pytest.approx((masks == (targets == 1))[known].double().mean().item())
    assert found["loss"] == pytest.approx(task.image_losses(logits, targets).mean().item(), rel=1e-5)
    shares = [(masks[n] == (targets[n] == 1))[known[n]].double().mean().item() for n in range(4)]
    assert task.progress_sum(logits, targets) == pytest.approx(sum(shares), rel=1e-6)


def prediction(masks, name="a"):
    return BinaryMaskPrediction.of_masks(name, CLASSES, np.asarray(masks, bool), 0.75)


def test_evaluation_equals_scikit_learns():
    logits, targets = example(num=6, size=(20, 30), unknown=0.1)
    task = MultiLabelSegmentation(CLASSES)
    records = [Record(f"{n}.png", np.zeros((20, 30), np.uint8), target.numpy()) for n, target in enumerate(targets)]
    compared = [task.compare(prediction(maps > 0), record) for maps, record in zip(logits, records, strict=True)]
    found = task.evaluate(compared, np.full(6, -1), [record.key for record in records], data="d", split="test")
    known, masks = (targets != UNLABELLED).numpy(), (logits > 0).numpy()
    for k, figures in enumerate(found.per_class):
        truth, mask = (targets[:, k] == 1).numpy()[known[:, k]], masks[:, k][known[:, k]]
        assert figures.iou == pytest.approx(jaccard_score(truth, mask))
        assert figures.dice == pytest.approx(f1_score(truth, mask))
        assert figures.pixels == truth.sum() and figures.images == 6
    assert found.mean_iou.value == pytest.approx(np.mean([x.iou for x in found.per_class]))
    assert list(found.metrics) == ["mIoU", "mean Dice", "pixel accuracy", "boundary F"]
    assert all(each.low <= each.value <= each.high for each in found.metrics.values())
    assert len(found.worst) == 6 and found.worst[0].prediction_text.startswith("mean IoU 0.")
    perfect = [task.compare(prediction(record.target == 1), record) for record in records]
    assert not task.evaluate(perfect, np.full(6, -1), list("abcdef"), data="d", split="test").worst


def test_a_prediction_tells_the_shares_of_its_classes():
    found = prediction([[[0, 1], [1, 1]], [[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    assert found.shares == {"cell": 0.75, "wall": 0.5}
    assert found.to_json() == {"width": 2, "height": 2, "confidence": 0.75, "shares": found.shares}
    assert found.cells() == {"size": "2 x 2", "pixels": "cell 75.0%, wall 50.0%", "confidence": "75.0%"}
    assert found.without_places().masks.size == 0 and found.without_places().cells() == found.cells()
    assert prediction(np.zeros((3, 2, 2))).cells()["pixels"] == "none"


def test_masks_lie_and_move_as_their_images_do():
    source = Scenes("multi-label segmentation")
    spec = ImagePreprocess(size=(64, 64), channels=1)
    targets = MultiLabelSegmentation.encode_records(source, np.arange(3), spec)
    assert targets.shape == (3, 2, 64, 64)
    np.testing.assert_array_equal(targets[2], source.read(2).target)
    move = MultiLabelSegmentation.mover(AugmentConfig(flip=1.0), spec)
    key = {"seed": 0, "epoch": 0, "samples": np.array([3, 4, 5], np.uint64)}
    moved = move(targets, key)
    assert torch.equal(moved, targets.flip(3))
    shifted = MultiLabelSegmentation.mover(AugmentConfig(shift=9), spec)(targets, key)
    assert (shifted == UNLABELLED).any() and shifted.shape == targets.shape


def test_classes_are_matched_by_name_and_missing_ones_are_not_known():
    source = Scenes("multi-label segmentation")
    task = MultiLabelSegmentation(("disc", "ring", "shape"))
    task.match_targets(source, np.arange(3))
    record = source.read(0)
    found = task.truth(record)
    np.testing.assert_array_equal(found[[2, 0]], record.target)
    assert (found[1] == UNLABELLED).all()


def test_target_of_an_explanation_is_a_class_where_it_is_or_one_place():
    outputs = torch.full((1, 3, 4, 5), -1.0)
    outputs[0, 1, 1:3], outputs[0, 2, 0, 0] = 2.0, 5.0
    task = MultiLabelSegmentation(CLASSES)
    found = task.find_target(outputs)
    assert (found.text, found.channel, int(found.where.sum())) == ("wall where it is predicted", 1, 10)
    assert task.find_target(outputs, "dust@0,3").place == (0, 3)
    assert task.find_target(outputs, "cell").text == "cell, predicted nowhere"
    with pytest.raises(ConfigError, match="A place is written @y,x, from 0 and below 4 x 5"):
        task.find_target(outputs, "cell@9,9")


def test_drawing_has_a_colour_for_each_class():
    task = MultiLabelSegmentation(CLASSES)
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[0, :2], masks[1, 1:3] = 1, 1
    record = Record("a", np.full((4, 4), 100, np.uint8), masks)
    first, second = task.coloured(record.payload, record, prediction(np.zeros((3, 4, 4))))
    assert len({tuple(colour) for colour in first[:, 0].tolist()}) == 4  # cell, both, wall, neither
    assert (second == 100).all()
    assert task.draw(record, prediction(masks)).address.startswith("data:image/png")
    assert [name for name, _ in task.legend] == list(CLASSES)
    torch.testing.assert_close(task.decode(torch.zeros(1, 3, 2, 2)), torch.full((1, 3, 2, 2), 0.5, dtype=torch.float64))
