import threading

import pytest
import torch

from neocog.training.async_saving import Background, Buffers


def test_copies_are_separate_and_reuse_their_memory():
    buffers = Buffers()
    weights = {"w": torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last), "n": torch.tensor(7)}
    first = buffers.hold(weights)
    places = {key: value.data_ptr() for key, value in first.items()}
    assert first["w"].stride() == weights["w"].stride()
    weights["w"] += 1
    assert torch.equal(first["w"] + 1, weights["w"])
    second = buffers.hold(weights)
    assert torch.equal(second["w"], weights["w"])
    assert {key: value.data_ptr() for key, value in second.items()} == places


def test_changed_shape_type_or_name_gets_new_memory():
    buffers = Buffers()
    buffers.hold({"a": torch.zeros(2), "b": torch.zeros(2), "gone": torch.zeros(1)})
    tensors = {"a": torch.ones(3), "b": torch.full((2,), 2, dtype=torch.int64), "new": torch.ones(1)}
    held = buffers.hold(tensors)
    assert held.keys() == tensors.keys()
    assert all(torch.equal(held[key], tensors[key]) and held[key].dtype == tensors[key].dtype for key in tensors)


def test_a_weight_that_is_trained_is_copied_without_its_graph():
    held = Buffers().hold({"w": torch.ones(2, requires_grad=True).detach()})
    assert not held["w"].requires_grad


def test_job_runs_in_the_background_and_the_next_waits():
    background, release, done = Background(), threading.Event(), []
    background.start(lambda: (release.wait(10), done.append(1)))
    assert background.busy
    assert done == []
    opened = threading.Timer(0.05, release.set)
    opened.start()
    background.start(lambda: done.append(2))
    assert done[0] == 1
    background.wait()
    assert done == [1, 2]
    assert not background.busy
    opened.join()


def test_an_error_is_raised_once_at_the_next_call():
    background = Background()

    def fail():
        raise ValueError("the disk")

    for call in (background.wait, lambda: background.start(lambda: None)):
        background.start(fail)
        with pytest.raises(ValueError, match="the disk"):
            call()
        background.wait()
