"""A page for each paper of the zoo: its idea, its variants, a table of the plan, a drawing, and figures."""

import importlib
import inspect
import re
from collections import defaultdict
from pathlib import Path

import torch

from neocog import planning
from neocog.cli.zoo import count
from neocog.zoo import create_model, list_models, model_info
from neocog.zoo.figures import Figures, read_figures
from neocog.zoo.published import PUBLISHED

__all__ = ["zoo_pages"]

DRAWN = 40  # rows of a plan; a drawing of more is offered as a file
MEASURED = Path(__file__).parents[1] / "figures.md"
ROWS = {
    "convnext": "ConvNeXt", "densenet": "DenseNet", "efficientnet": "EfficientNet", "googlenet": "GoogLeNet",
    "lenet5": "LeNet-5 as published", "lenet5_relu": "LeNet-5 with ReLU", "mobilenet_v2": "MobileNet v2",
    "nf_resnet": "NF-ResNet", "resnet": "ResNet-18", "resnet_cifar": "ResNet-20 for CIFAR",
    "resnet_preact": "ResNet-18, pre-activation", "shufflenet_v2": "ShuffleNet v2", "speed": "speed network",
    "squeezenet": "SqueezeNet",
}  # fmt: skip
"""Module -> how its network begins in the table of families in docs/figures.md."""
HEADING = "## Accuracy of the network families"


def zoo_pages() -> dict[str, str | bytes]:
    """File below docs/generated -> its content."""
    families: dict[str, list[str]] = defaultdict(list)
    for name in list_models():
        build = model_info(name).build
        families[getattr(build, "func", build).__module__].append(name)
    figures, pages, heads = read_figures(), dict[str, str | bytes](), []
    for module in sorted(families, key=lambda module: (model_info(families[module][0]).year, module)):
        stem = module.rpartition(".")[2]
        names = sorted(families[module], key=lambda name: (figures[name].macs, name))
        text, drawing = family_page(module, stem, names, figures)
        pages[f"zoo/{stem}.md"], pages[f"zoo/{stem}.svg"] = text, drawing
        heads.append((model_info(names[0]).year, title_of(module), stem, len(names)))
    pages["zoo/index.md"] = index(heads)
    return pages


def index(heads: list[tuple[int, str, str, int]]) -> str:
    rows = [f"| {year} | [{title}]({stem}.md) | {number} |" for year, title, stem, number in heads]
    about = (
        f"{sum(head[3] for head in heads)} networks from {len(heads)} files, by year. Tables and drawings are computed "
        "when these pages are built; [The zoo](../../zoo.md) explains how networks are built and trained."
    )
    return "\n".join([
        "# Papers of the zoo", "", about, "",
        "| | paper | networks |", "|---|---|---:|", *rows, "",
        "```{toctree}", ":hidden:", "", *(head[2] for head in heads), "```", "",
    ])  # fmt: skip


def docstring(module: str) -> str:
    return inspect.getdoc(importlib.import_module(module)) or ""


def title_of(module: str) -> str:
    """The first sentence of a module's docstring, up to its colon if it has one."""
    first = docstring(module).partition("\n\n")[0].replace("\n", " ").rstrip(".")
    return first[0].upper() + first[1:].partition(" (")[0].partition(": ")[0]


def family_page(module: str, stem: str, names: list[str], figures: dict[str, Figures]) -> tuple[str, str]:
    """The page and the drawing of a family; the plan is that of the cheapest network that bears its name."""
    chosen = next((name for name in names if name.startswith(stem)), names[0])
    info = model_info(chosen)
    with torch.device("meta"):
        model = create_model(chosen)
    planned = planning.plan(model, info.input_shape, dtype=info.input_dtype)
    shape = "x".join(map(str, info.input_shape))
    table = planning.markdown(planned, depth=2).partition("\n\n")[2]
    small = len(planned.rows) <= DRAWN
    picture = f"![{chosen} on {shape}: a box for each operation]({stem}.svg)" if small else (
        f"{{download}}`The drawing <{stem}.svg>` has a box for each of its {len(planned.rows)} operations."
    )  # fmt: skip
    parts = [f"# {title_of(module)}", usage(chosen, info.modality, info.trainable), "## Idea", idea(docstring(module))]
    parts += ["## Networks", variants(names, figures)]
    parts += [f"## Plan of `{chosen}` on {shape}", table, picture, measured(stem)]
    parts.append(f"The code is one file: `src/neocog/zoo/networks/{stem}.py`.")
    return "\n\n".join(part for part in parts if part) + "\n", planning.svg(planned)


def usage(name: str, modality: str, trainable: bool) -> str:
    data = {"image": "photos", "signal": "signals", "audio": "words", "text": "reviews.csv", "board": "games"}[modality]
    train = f"    neocog train {data} --model {name}" if trainable else "    # learns without gradients; see The zoo"
    return f"    neocog plan {name}\n{train}"


def idea(text: str) -> str:
    """The docstring, without its first paragraph's title; addresses become links, indented shapes stay as they are."""
    return re.sub(r"(?<![<(])(https?://[^\s),]+[^\s),.])", r"<\1>", text).replace(" | ", " \\| ")


def variants(names: list[str], figures: dict[str, Figures]) -> str:
    rows = ["| network | paper | input | parameters | MACs | sees | published top-1, top-5 | source |"]
    rows.append("|---|---|---|---:|---:|---:|---|---|")
    for name in names:
        info, found, published = model_info(name), figures[name], PUBLISHED.get(name)
        sees = "all" if found.receptive_field is None else f"{found.receptive_field:,}"
        accuracy = f"{published.top1:.1f}%, {published.top5:.1f}%" if published else ""
        shape = "x".join(map(str, info.input_shape))
        source = published.source if published else ""
        rows.append(
            f"| `{name}` | {info.paper} | {shape} | {found.parameters:,} | {count(found.macs)} | {sees} | {accuracy} "
            f"| {source} |"
        )
    return "\n".join(rows)


def measured(stem: str) -> str:
    """The rows of docs/figures.md on this family, so that no figure is written twice.

    Raises ValueError for a family that is said to have a row there, and has none.
    """
    begin = ROWS.get(stem)
    if not begin:
        return ""
    section = MEASURED.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    found = [line for line in section.splitlines() if line.startswith(f"| {begin}")]
    if not found:
        raise ValueError(f"docs/figures.md has no row that begins with {begin!r} under {HEADING!r}.")
    lines = ["| network | optimiser, repeats | accuracy |", "|---|---|---|", *found]
    text = "Measured here: digits padded to 32x32, one epoch over 20,000 of them, 2,000 test digits. How, and more: "
    link = "[Benchmarks](../../figures.md#accuracy-of-the-network-families)."
    return "## Measured\n\n" + text + link + "\n\n" + "\n".join(lines)
