"""The arrays that programs outside of Neocog send and get agree with `Predictor`."""

import numpy as np
import pytest
import torch

from neocog.bundle.interface import answer_tensors, input_spec, output_specs
from neocog.data import open_source
from tests.support.untrained import untrained


@pytest.fixture
def pictures():
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3), np.uint8)
    return images, open_source((images, np.arange(6) % 3))


def test_answers_of_a_classifier_are_those_of_the_predictor(pictures):
    images, source = pictures
    predictor = untrained("resnet18", source, size=(32, 32))
    assert input_spec(predictor).shape == (None, None, None, 3)
    found = answer_tensors(predictor, images)
    assert [spec.name for spec in output_specs(predictor)] == list(found) == ["logits", "probabilities"]
    np.testing.assert_allclose(found["probabilities"], predictor.predict_proba(images), atol=1e-6)
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, atol=1e-5)
    assert answer_tensors(predictor, images[:0])["logits"].shape == (0, 3)


def test_texts_are_sent_as_bytes():
    source = open_source((["good film", "bad film", "dull", "fine"] * 3, np.arange(12) % 2))
    predictor = untrained("text_cnn", source)
    assert input_spec(predictor).dtype == "bytes"
    found = answer_tensors(predictor, np.array([b"good film", "très".encode()], object))
    np.testing.assert_allclose(found["probabilities"], predictor.predict_proba(["good film", "très"]), atol=1e-6)


def test_boxes_of_images_with_different_counts_are_padded():
    from neocog.tasks.detection import BoxPrediction, Detection

    def prediction(count):
        boxes = np.arange(4.0 * count).reshape(count, 4)
        return BoxPrediction("x", ("a",), (9, 9), boxes, np.ones(count), np.zeros(count, np.int64), 0.5)

    found = Detection(("a",)).tensors_of([prediction(2), prediction(0)])
    assert found["count"].tolist() == [2, 0]
    assert found["boxes"].shape == (2, 2, 4) and found["boxes"][0, 1].tolist() == [4, 5, 6, 7]
    assert found["labels"].tolist() == [[0, 0], [-1, -1]]
    assert torch.from_numpy(found["boxes"]).dtype == torch.float32
