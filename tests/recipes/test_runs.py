"""The recipe for pictures of one's own, from beginning to end on a few of them."""

import torch
import yaml

from neocog.recipes import check_recipe, recipe
from neocog.runs import FLAG, Provenance, SetBy, resolve, train
from neocog.zoo import create_model


def test_finetune_trains_on_a_folder_of_images(pictures, tmp_path):
    weights = tmp_path / "weights.pth"
    torch.save(create_model("resnet20_cifar").state_dict(), weights)
    flags = {"model.name": "resnet20_cifar", "image.size": 32, "train.epochs": 1, "model.pretrained": str(weights)}
    resolved = resolve(recipe("finetune", str(pictures)), Provenance(SetBy.RECIPE, "finetune"), [(FLAG, flags)])
    check_recipe("finetune", resolved.config)
    run = train(resolved, runs=tmp_path / "runs")
    assert run.finished
    stored = yaml.safe_load(run.config.read_text())
    assert stored["provenance"]["optimizer.lr"] == "recipe finetune"
    assert stored["provenance"]["train.epochs"] == "flag"
