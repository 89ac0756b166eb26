"""What others call the parts of MobileNetV2, of any width."""

from collections.abc import Iterator

from neocog.zoo.networks.mobilenet_v2 import STAGES
from neocog.zoo.weights.key_map import KeyMap

__all__ = ["timm_mobilenet_v2", "torchvision_mobilenet_v2"]


def blocks() -> Iterator[tuple[str, str, bool]]:
    """Each block: our path, "row.place" in the paper's table, and whether it widens."""
    rows = [(i, row) for i, stage in enumerate(STAGES) for row in stage]
    place = [0] * len(STAGES)
    for number, (i, (expansion, _, depth)) in enumerate(rows):
        for j in range(depth):
            yield f"stages.{i}.{place[i]}.branch", f"{number}.{j}", expansion > 1
            place[i] += 1


def torchvision_mobilenet_v2() -> KeyMap:
    """One list of stem, blocks and last convolution; the norm of a block's last convolution stands beside it."""
    names = {"head.5": "classifier.1"}
    for part in ("0", "1"):
        names |= {f"stem.0.{part}": f"features.0.{part}", f"head.0.{part}": f"features.18.{part}"}
    for number, (block, _, widens) in enumerate(blocks(), start=1):
        ours = ("0.0", "0.1", "2.0", "2.1", "4.0", "4.1")
        theirs = ("0.0", "0.1", "1.0", "1.1", "2", "3") if widens else ("0.0", "0.1", "1", "2")
        names |= {f"{block}.{a}": f"features.{number}.conv.{b}" for a, b in zip(ours, theirs, strict=False)}
    return KeyMap(names=names)


def timm_mobilenet_v2() -> KeyMap:
    """timm's mobilenetv2_100 and its other widths: blocks by the rows of the paper's table."""
    names = {
        "stem.0.0": "conv_stem", "stem.0.1": "bn1",
        "head.0.0": "conv_head", "head.0.1": "bn2", "head.5": "classifier",
    }  # fmt: skip
    for block, theirs, widens in blocks():
        convolutions = ("conv_pw", "conv_dw", "conv_pwl") if widens else ("conv_dw", "conv_pw")
        for i, convolution in enumerate(convolutions):
            names |= {f"{block}.{2 * i}.0": f"blocks.{theirs}.{convolution}"}
            names |= {f"{block}.{2 * i}.1": f"blocks.{theirs}.bn{i + 1}"}
    return KeyMap(names=names)
