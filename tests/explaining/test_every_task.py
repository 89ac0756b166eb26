"""Every task on every kind of data is explained by every method, and the model stays as it was."""

import hashlib
from dataclasses import replace

import pytest
import torch

import neocog
from neocog.explaining.methods import METHODS
from tests.support.small_models import MODELS


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def made(case):
    return MODELS[case]()


def state_of(model):
    """Weights, buffers, modes, gradients, hooks and the bytes of it all."""
    tensors = [(name, tensor, tensor.grad) for name, tensor in (*model.named_parameters(), *model.named_buffers())]
    digest = hashlib.sha256()
    for _, tensor, _ in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    hooks = [
        [*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks] for module in model.modules()
    ]
    return (
        digest.hexdigest(), [(name, id(tensor), grad) for name, tensor, grad in tensors],
        [tensor.requires_grad for _, tensor, _ in tensors], [module.training for module in model.modules()], hooks,
    )  # fmt: skip


@pytest.fixture(scope="module")
def explained(made):
    predictor, one = made
    before = state_of(predictor.model)
    found = neocog.explain(predictor, one, methods="all", twin=False, name="sample")
    return found, before, state_of(predictor.model)


def test_every_method_has_a_number_for_each_place(explained, made):
    found, _, _ = explained
    shape = made[0].preprocess.shape
    places = shape[1:] or shape
    assert [one.method for one in found.attributions] == list(METHODS)
    for one in found.attributions:
        assert tuple(one.map.shape) == places, one.method
        assert torch.isfinite(one.map).all(), one.method
        assert one.logit == pytest.approx(found.logit, abs=1e-4), one.method


def test_model_is_left_as_it_was(explained):
    _, before, after = explained
    assert before == after


def test_page_and_figures_show_the_maps(explained, case):
    """Of all methods for one kind of data; drawing takes longer than explaining."""
    found, _, _ = explained
    drawn = METHODS if case == "image classification" else ("integrated", "layercam")
    found = replace(found, attributions=tuple(one for one in found.attributions if one.method in drawn))
    page = found.to_html()
    assert page.count("<section") == len(drawn) + 2
    for method in drawn:
        assert f">{METHODS[method].title}</h2>" in page
    assert found.panels["integrated"].png().startswith(b"\x89PNG")
    assert len(found.npz()) > 100


def test_twin_and_default_methods(made):
    predictor, one = made
    found = neocog.explain(predictor, one, methods="gradient")
    (twin,) = found.twins.values()
    assert twin.attribution.map.shape == found.attributions[0].map.shape
    assert -1 <= twin.similarity[-1] <= 1 and found.reading("gradient") is not None
    assert found.prediction is not None and found.numbers["methods"][0]["reading"]
