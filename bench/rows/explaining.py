"""Explanations of ResNet-18 beside Captum, grad-cam and plain passes of PyTorch.

    occlusion     Captum's Occlusion with the same windows, of which it evaluates 16 at once
    Score-CAM     grad-cam's ScoreCAM on the same layer, all of its channels, 16 at once, its default
    Grad-CAM      one forward and backward pass down to the layer by plain PyTorch, and grad-cam's GradCAM
    top patches   those of all channels of a layer, with dead and redundant channels, in one pass over noise in memory,
                  beside inference of the whole network with the same loader; eager, fp32. Noise costs nothing to
                  decode, so that the ratio is that of the computation alone: the harder case. For the last layer with
                  places, nothing of the network but its last layers can be left out

The explained network learns for a few steps to tell bright from dark spots: one with random weights reacts to nothing,
and a difference of scores that are all the same has no precision that could be compared.
"""

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from harness import Row, Sides, per_second, seconds_of
from neocog.cpus import num_threads
from neocog.data import ImagePreprocess
from neocog.dataset.list_source import ListSource
from neocog.explaining.attribution import Attribution
from neocog.explaining.data_pass import default_batch
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.methods import default_layer, explain_with
from neocog.explaining.patches import top_patches
from neocog.loading import StreamingDataset
from neocog.progress import quiet
from neocog.tasks.target import Target
from neocog.zoo import create_model

__all__ = ["ROWS"]

AT_ONCE = 16
STEPS = 8  # of training, with 8 images each
AGREEMENT = 0.8  # the least rank correlation of two maps of one method


@dataclass
class Scene:
    """A network that has learned to tell bright spots from dark ones, and the image that is explained."""

    size: int
    stage: str = ""
    """Whose maps are weighed; by default the last layer with places."""

    def __post_init__(self) -> None:
        torch.set_num_threads(num_threads())
        self.network = self.train()
        self.images = self.draw_spots(1, torch.Generator().manual_seed(7))[0]
        self.explainer = Explainer(self.network, (3, self.size, self.size))
        self.target: Target = self.explainer.target(self.images)

    @cached_property
    def layer(self) -> Layer:
        if self.stage:
            return self.explainer.layers[self.stage]
        return default_layer(self.explainer, self.images, self.target)

    @property
    def module(self) -> nn.Module:
        return self.network.get_submodule(self.layer.module)

    def train(self) -> nn.Module:
        torch.manual_seed(0)
        network = create_model("resnet18", num_classes=10).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        for _ in range(STEPS):
            images, labels = self.draw_spots(8, generator)
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network.eval()

    def draw_spots(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noise with a bright (class 0) or a dark (class 1) square, a fifth as wide as the image."""
        side = self.size // 5
        images = torch.randn(num, 3, self.size, self.size, generator=generator) * 0.5
        labels = torch.randint(0, 2, (num,), generator=generator)
        for image, label in zip(images, labels.tolist(), strict=True):
            top, left = torch.randint(0, self.size - side, (2,), generator=generator).tolist()
            image[:, top : top + side, left : left + side] += -2.0 if label else 2.0
        return images, labels

    def explain(self, method: str, **options: object) -> Attribution:
        return explain_with(self.explainer, self.images, self.target, method, layer=self.layer, **options)

    def explain_with_peer(self, method: str) -> NDArray[np.float32]:
        """The map of a class of grad-cam."""
        stand_in_for_torchvision()
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        with getattr(pytorch_grad_cam, method)(model=self.network, target_layers=[self.module]) as cam:
            maps = cam(input_tensor=self.images, targets=[ClassifierOutputTarget(self.target.channel)])
        return np.asarray(maps[0], np.float32)

    def pass_to_layer(self) -> None:
        """One forward pass, and one backward down to the layer."""
        kept: list[Tensor] = []
        handle = self.module.register_forward_hook(lambda _, __, made: kept.append(made))
        score = self.network(self.images)[0, self.target.channel]
        handle.remove()
        torch.autograd.grad(score, kept)


def stand_in_for_torchvision() -> None:
    """grad-cam imports functions that it doesn't call here, of a package whose wheels fit one build of torch."""
    try:
        importlib.import_module("torchvision.transforms")
    except (ImportError, RuntimeError):
        for name in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[name] = types.ModuleType(name)
        vars(sys.modules["torchvision.transforms"]).update(Compose=None, Normalize=None, ToTensor=None)
        vars(sys.modules["torchvision.transforms.functional"]).update(resize=None)


def agreement(own: Attribution, peer: Any) -> str:
    """The rank correlation of two maps; AssertionError if they don't show the same."""
    found = float(spearmanr(own.map.flatten(), torch.as_tensor(peer).flatten()).statistic)
    assert found >= AGREEMENT, f"the maps differ: rank correlation {found:.2f}"
    return f"rank correlation of the maps {found:.3f}"


def precision_of(own: Attribution) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in own.figures.items())


def missing(package: str, name: str) -> dict[str, str]:
    """The peer with the reason why it is absent; nothing if it is installed."""
    return {} if importlib.util.find_spec(package) else {name: "not installed"}


def occlusion(folder: Path) -> Iterator[Sides]:
    size, window, stride = 224, 28, 28
    scene = Scene(size)

    def own() -> Attribution:
        return scene.explain("occlusion", window=window, stride=stride)

    def captum() -> Tensor:
        from captum.attr import Occlusion

        found: Tensor = Occlusion(scene.network).attribute(
            scene.images, target=scene.target.channel, sliding_window_shapes=(3, window, window),
            strides=(3, stride, stride), perturbations_per_eval=AT_ONCE,
        )  # fmt: skip
        return found[0, 0]

    yield beside_peer(own, captum, missing("captum", "Captum"), "Captum")


def score_cam(folder: Path) -> Iterator[Sides]:
    scene = Scene(112, stage="stages.2")
    absent = missing("pytorch_grad_cam", "grad-cam")
    yield beside_peer(
        lambda: scene.explain("scorecam"), lambda: scene.explain_with_peer("ScoreCAM"), absent, "grad-cam"
    )


def beside_peer(own: Callable[[], Attribution], peer: Callable[[], object], absent: dict[str, str], name: str) -> Sides:
    """Neocog beside a peer, whose map is compared with its own."""
    turns, notes, found = {"Neocog": seconds_of(own)}, [], own()
    if not absent:
        turns[name] = seconds_of(peer)
        notes.append(agreement(found, peer()))
    return Sides(turns, note="; ".join([*notes, *filter(None, [precision_of(found)])]), absent=absent)


def grad_cam(folder: Path) -> Iterator[Sides]:
    scene = Scene(224)
    turns = {
        "Neocog": seconds_of(lambda: scene.explain("gradcam"), 10),
        "a pass to the layer by hand": seconds_of(scene.pass_to_layer, 10),
    }
    absent, note = missing("pytorch_grad_cam", "grad-cam"), ""
    if not absent:
        turns["grad-cam"] = seconds_of(lambda: scene.explain_with_peer("GradCAM"), 10)
        note = agreement(scene.explain("gradcam"), scene.explain_with_peer("GradCAM"))
    yield Sides(turns, note=note, absent=absent)


class Noise(ListSource):
    """Images whose decoding costs nothing."""

    def __init__(self, count: int, side: int) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (256, side, side, 3), dtype=np.uint8)
        labels, splits = np.zeros(count, np.int64), {"all": np.arange(count)}
        super().__init__("noise", [str(k) for k in range(count)], labels, splits, ("noise",))

    def payload(self, index: int) -> NDArray[np.uint8]:
        return np.asarray(self.pixels[index % len(self.pixels)])


def patches(name: str, what: str, layer_name: str) -> Row:
    size, count = 64, 512

    def prepare(folder: Path) -> Iterator[Sides]:
        torch.set_num_threads(num_threads())
        source, indices = Noise(count, size), np.arange(count)
        spec = ImagePreprocess(size=(size, size), channels=3, mean=(0.45,) * 3, std=(0.22,) * 3)
        explainer = Explainer(create_model("resnet18").eval(), spec.shape, preprocess=spec)
        layer = explainer.layers[layer_name]

        def own() -> None:
            with quiet():
                top_patches(explainer, source, layer, indices=indices)

        def plain() -> None:
            infer(explainer, source, indices)

        yield Sides({"Neocog": per_second(count, own), "plain inference": per_second(count, plain)})

    return Row(
        f"top-patches-{name}", "explain", f"Top patches of {what}, ResNet-18, {size}x{size}", "images/s", "more",
        prepare, target=0.8, bound=True,
    )  # fmt: skip


def infer(explainer: Explainer, source: ListSource, indices: NDArray[np.int64]) -> None:
    """The whole network on each image."""
    assert explainer.preprocess is not None
    data, batch = StreamingDataset(source, indices, explainer.preprocess), default_batch(explainer)
    rows = [np.arange(at, min(at + batch, len(data))) for at in range(0, len(data), batch)]
    with torch.inference_mode():
        for step, part in enumerate(rows):
            decoded, _ = data.take(part, rows[step + 1 : step + 2])
            explainer.model(explainer.preprocess.normalise(decoded))
    data.close()


ROWS = (
    Row(
        "occlusion", "explain", "Occlusion, ResNet-18 at 224x224, 64 windows of 28x28", "s", "less", occlusion, target=3
    ),
    Row(
        "score-cam",
        "explain",
        "Score-CAM, ResNet-18 at 112x112, a layer of 256 channels",
        "s",
        "less",
        score_cam,
        target=3,
    ),
    Row("grad-cam", "explain", "Grad-CAM, ResNet-18 at 224x224", "s", "less", grad_cam, target=0.87),
    patches("last", "the last layer with places", "stages.3"),
    patches("early", "a layer half way", "stages.1"),
)
