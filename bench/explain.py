"""Measure explanations beside Captum and grad-cam, on ResNet-18 at 224.

    pip install --no-deps captum grad-cam ttach opencv-python-headless
    python bench/explain.py [--repeats 3] [--threads 2]

    occlusion   Captum's Occlusion with the same windows, which evaluates --captum-batch of them at once; 28 x 28 by 14
    Score-CAM   grad-cam's ScoreCAM on the same layer, all 512 channels, 16 at once, its default
    Grad-CAM    one forward and backward pass down to the layer by plain torch, and one through the whole network

The network learns for a few steps to tell bright from dark spots: one with random weights reacts to nothing, and a
difference of scores that are all the same has no precision that could be compared. Everything runs in one process, in
turns; each figure is the fastest of --repeats, since other programs only slow it down. CPU seconds, of all threads
together, say more on a machine that is not idle. Ratios are to Neocog.
The peers are left out if they are not installed.
Targets: occlusion and Score-CAM at least 3 times as fast as their peers, Grad-CAM at most 1.15 times a pass.
"""

import argparse
import importlib.util
import sys
import time
import types
from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor, nn

from neocog.cpus import num_threads
from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer
from neocog.explaining.methods import default_layer, explain_with
from neocog.tasks.target import Target
from neocog.zoo import create_model

SIZE, WINDOW, STRIDE = 224, 28, 14


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="of training, with 8 images each")
    parser.add_argument("--captum-batch", type=int, default=16, help="windows that Captum evaluates at once")
    parser.add_argument("--threads", type=int, default=num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{given.threads} threads, torch {torch.__version__}")
    net = trained(given.steps)
    images = spots(1, torch.Generator().manual_seed(7))[0]
    explainer = Explainer(net, (3, SIZE, SIZE))
    target = explainer.target(images)
    layer = default_layer(explainer, images, target)
    module = net.get_submodule(layer.module)

    def ours(name: str, **options: object) -> Attribution:
        return explain_with(explainer, images, target, name, layer=layer, **options)

    def plain(*, whole: bool) -> None:
        """One forward and backward pass, by a hook."""
        kept: list[Tensor] = []
        handle = module.register_forward_hook(lambda _, __, made: kept.append(made))
        leaf = images.clone().requires_grad_()
        score = net(leaf)[0, target.channel]
        handle.remove()
        torch.autograd.grad(score, [leaf, *net.parameters()] if whole else kept[-1:])

    compare("Grad-CAM", given.repeats * 5, {
        "neocog": lambda: ours("gradcam"),
        "a pass to the layer": lambda: plain(whole=False),
        "a whole pass": lambda: plain(whole=True),
    })  # fmt: skip
    occlusion: dict[str, Callable[[], object]] = {
        "neocog": lambda: ours("occlusion", window=WINDOW, stride=STRIDE),
        "neocog fp32": lambda: ours("occlusion", window=WINDOW, stride=STRIDE, precision="fp32"),
    }
    score_cam: dict[str, Callable[[], object]] = {"neocog": lambda: ours("scorecam")}
    if importlib.util.find_spec("captum") and importlib.util.find_spec("pytorch_grad_cam"):
        occlusion["captum"] = lambda: captum_occlusion(net, images, target, given.captum_batch)
        score_cam["grad-cam"] = lambda: peer_scorecam(net, module, images, target)
    maps = compare("occlusion", given.repeats, occlusion)
    agreement("neocog", maps)
    maps = compare("Score-CAM", given.repeats, score_cam)
    agreement("neocog", maps)


def compare(title: str, repeats: int, ways: dict[str, Callable[[], object]]) -> dict[str, object]:
    """Time each way in turns, and print its fastest time and what the others take of that; what each returned."""
    best = {name: (float("inf"), float("inf")) for name in ways}
    returned = dict[str, object]()
    for _ in range(repeats):
        for name, way in ways.items():
            begin = time.perf_counter(), time.process_time()
            returned[name] = way()
            took = time.perf_counter() - begin[0], time.process_time() - begin[1]
            best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    wall, cpu = next(iter(best.values()))
    print(f"{title:<26}{'wall':>9}{'ratio':>8}{'CPU':>11}{'ratio':>8}")
    for name, (seconds, used) in best.items():
        print(f"    {name:<22}{seconds:>7.3f} s{seconds / wall:>8.2f}{used:>9.3f} s{used / cpu:>8.2f}", flush=True)
    return returned


def agreement(name: str, maps: dict[str, object]) -> None:
    """Print the rank correlation of the maps with ours."""
    found = maps.pop(name)
    assert isinstance(found, Attribution)
    print(f"    {', '.join(f'{key} {value:g}' for key, value in found.figures.items())}")
    for other, peer in maps.items():
        values = peer.map if isinstance(peer, Attribution) else torch.as_tensor(peer)
        print(f"    rank correlation with {other}: {spearmanr(found.map.flatten(), values.flatten()).statistic:.4f}")


def captum_occlusion(net: nn.Module, images: Tensor, target: Target, at_once: int) -> Tensor:
    from captum.attr import Occlusion

    found = Occlusion(net).attribute(
        images, target=target.channel, sliding_window_shapes=(3, WINDOW, WINDOW), strides=(3, STRIDE, STRIDE),
        perturbations_per_eval=at_once,
    )  # fmt: skip
    maps: Tensor = found[0, 0]
    return maps


def peer_scorecam(net: nn.Module, layer: nn.Module, images: Tensor, target: Target) -> object:
    stand_in_for_torchvision()
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with ScoreCAM(model=net, target_layers=[layer]) as cam:
        return cam(input_tensor=images, targets=[ClassifierOutputTarget(target.channel)])[0]


def stand_in_for_torchvision() -> None:
    """grad-cam imports functions that this bench doesn't call, of a package whose wheels fit one build of torch."""
    try:
        importlib.import_module("torchvision.transforms")
    except (ImportError, RuntimeError):
        for name in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[name] = types.ModuleType(name)
        vars(sys.modules["torchvision.transforms"]).update(Compose=None, Normalize=None, ToTensor=None)
        vars(sys.modules["torchvision.transforms.functional"]).update(resize=None)


def trained(steps: int) -> nn.Module:
    """ResNet-18 that has learned a little: to tell bright spots from dark ones."""
    torch.manual_seed(0)
    net = create_model("resnet18", num_classes=10).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        images, labels = spots(8, generator)
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return net.eval()


def spots(num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise with a bright (class 0) or a dark (class 1) square of 40 pixels."""
    images = torch.randn(num, 3, SIZE, SIZE, generator=generator) * 0.5
    labels = torch.randint(0, 2, (num,), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        top, left = torch.randint(0, SIZE - 40, (2,), generator=generator).tolist()
        image[:, top : top + 40, left : left + 40] += -2.0 if label else 2.0
    return images, labels


if __name__ == "__main__":
    main()
