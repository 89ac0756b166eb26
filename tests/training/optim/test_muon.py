import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.training import OptimizerConfig
from neocog.training.optim.muon import Muon, matrix_parameters, orthogonalise
from neocog.training.optim.optimizers import make_optimizer


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.6
    assert values.max() < 1.3


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_updates_are_those_of_torch(shape):
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    muon = Muon([{"params": [ours], "muon": True}], lr=0.02, weight_decay=0.1)
    oracle = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        gradient = torch.randn(shape)
        for parameter, optimizer in ((ours, muon), (theirs, oracle)):
            parameter.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)  # rounding of bfloat16


def test_filter_bank_moves_as_its_matrix():
    torch.manual_seed(0)
    bank, matrix = nn.Parameter(torch.zeros(6, 4, 3, 3)), nn.Parameter(torch.zeros(6, 36))
    gradient = torch.randn(6, 36)
    bank.grad, matrix.grad = gradient.view(6, 4, 3, 3).clone(), gradient.clone()
    Muon([{"params": [bank, matrix], "muon": True}], lr=0.1).step()
    assert torch.equal(bank.flatten(1), matrix)


def test_other_parameters_move_as_in_adamw():
    torch.manual_seed(0)
    ours, theirs = ([nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(3, 1, 3, 3))] for _ in range(2))
    muon = Muon([{"params": ours, "muon": False}], lr=0.02, weight_decay=0.1)
    oracle = torch.optim.AdamW(theirs, lr=0.02, weight_decay=0.1)
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        muon.step()
        oracle.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_only_filters_before_the_classifier_are_matrices():
    model = create_model("mobilenet_v2", num_classes=10)
    matrices = {id(p) for p in matrix_parameters(model)}
    names = {name for name, p in model.named_parameters() if id(p) in matrices}
    convolutions = {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, nn.Conv2d)}
    assert {name for name, conv in convolutions.items() if conv.groups == 1} == names & convolutions.keys()
    assert any(conv.groups > 1 for conv in convolutions.values())
    optimizer = make_optimizer(
        model, OptimizerConfig(name="muon", lr=0.01, momentum=0.95), list(model.stages.parameters())
    )
    moved = {id(p) for group in optimizer.param_groups if group["muon"] for p in group["params"]}
    assert moved <= {id(p) for p in model.stages.parameters()}
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_word_vectors_are_not_matrices():
    model = create_model("text_cnn", num_classes=2, in_channels=50)
    shapes = [tuple(p.shape) for p in matrix_parameters(model)]
    assert (50, 300) not in shapes
    assert len(shapes) == 4  # three windows and the classifier
