"""Recipes for pictures of one's own, from beginning to end on a few of them."""

import pytest
import torch
import yaml

from neocog.recipes import check_recipe, recipe
from neocog.runs import FLAG, Provenance, SetBy, resolve, train
from neocog.zoo import create_model


@pytest.mark.parametrize("name", ["finetune", "from_scratch_small"])
def test_recipe_trains_on_a_folder_of_images(name, pictures, tmp_path):
    weights = tmp_path / "weights.pth"
    torch.save(create_model("resnet20_cifar").state_dict(), weights)
    flags = {"model.name": "resnet20_cifar", "image.size": 32, "train.epochs": 1}
    flags |= {"model.pretrained": str(weights)} if name == "finetune" else {}
    resolved = resolve(recipe(name, str(pictures)), Provenance(SetBy.RECIPE, name), [(FLAG, flags)])
    check_recipe(name, resolved.config)
    run = train(resolved, runs=tmp_path / "runs")
    assert run.finished
    stored = yaml.safe_load(run.config.read_text())
    assert stored["provenance"]["optimizer.lr"] == f"recipe {name}"
    assert stored["provenance"]["train.epochs"] == "flag"
