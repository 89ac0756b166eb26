"""Many inputs of a network whose outputs have places: the same as one at a time, in order, whatever the batches."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from neocog.bundle import Failure, Predictor, torch_backend
from neocog.bundle import dense_pass as module
from neocog.bundle.dense_pass import DensePass, dense_batch, single_threads
from neocog.data import ImagePreprocess
from neocog.tasks import TASKS


def make_predictor(resize="tile"):
    torch.manual_seed(0)
    model = nn.Conv2d(1, 3, 3, padding=1).eval()
    task = TASKS["segmentation"](("a", "b", "c"))
    return Predictor(torch_backend(model), ImagePreprocess(size=(16, 16), channels=1, resize=resize), task, model=model)


def draw(count):
    rng = np.random.default_rng(0)
    sizes = rng.integers(8, 60, (count, 2)).tolist()
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]


@pytest.mark.parametrize("resize", ["tile", "squash"])
def test_many_inputs_are_as_each_alone_and_in_order(resize, monkeypatch):
    monkeypatch.setattr(module, "PLACES", 7 * 256)  # tiles of one image are in several batches
    predictor, images = make_predictor(resize), draw(24)
    names = [str(number) for number in range(len(images))]
    found = list(predictor.predict_each(images, names=names))
    assert [one.name for one in found] == names
    for one, image in zip(found, images, strict=True):
        (alone,) = predictor.predict(image)
        np.testing.assert_array_equal(one.mask, alone.mask)
        assert one.confidence == pytest.approx(alone.confidence, rel=1e-5)


def test_few_large_inputs_are_decoded_ahead(monkeypatch):
    monkeypatch.setattr(module, "PLACES", 8 * 256)
    monkeypatch.setattr(module, "num_cpus", lambda: 4)

    def most_ahead(images):
        drawn = []
        answers = make_predictor().predict_each(drawn.append(0) or image for image in images)
        return max(len(drawn) - found for found, _ in enumerate(answers, 1))

    assert most_ahead([np.zeros((16, 16), np.uint8)] * 64) > 4
    assert most_ahead([np.zeros((160, 16), np.uint8)] * 64) <= 4  # of 13 tiles each


def test_unreadable_input_keeps_its_place():
    images = draw(9)
    found = list(make_predictor().predict_each([*images[:4], b"junk", *images[4:]]))
    assert [isinstance(one, Failure) for one in found] == [number == 4 for number in range(10)]
    assert found[4].name == "input 4"
    assert list(make_predictor().predict_each([])) == []


def test_failure_of_the_engine_reaches_the_caller():
    predictor, batches = make_predictor(), []

    def fail(inputs):
        batches.append(len(inputs))
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        list(predictor.with_backend(fail).predict_each(draw(4)))
    assert len(batches) == 1


def test_batch_is_a_multiple_of_that_of_the_engine():
    predictor = make_predictor()
    predictor.backend.batch = 100
    found = DensePass(predictor.task, predictor.preprocess, predictor.open, predictor.backend, predictor.tiles)
    assert dense_batch((1, 16, 16)) == 256
    assert found.most() == 200
    predictor.backend.batch = 300
    assert found.most() == 256


def test_threads_of_the_pass_compute_alone_and_others_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with single_threads() as pool:
            assert set(pool.map(lambda _: torch.get_num_threads(), range(50))) == {1}
            later = []
            thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
            thread.start()
            thread.join()
            assert later == [3]
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
