"""`neocog zoo`: the networks that have a name, with their cost and their published accuracy."""

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from neocog.cli.flags import Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError, did_you_mean
from neocog.progress import note
from neocog.zoo import list_models, model_info
from neocog.zoo.figures import Figures, read_figures
from neocog.zoo.published import PUBLISHED

HEADS = ("network", "paper", "input", "parameters", "MACs", "sees", "top-1", "top-5", "source")


def zoo(
    pattern: str = "*",
    *,
    plot: Path | None = None,
    json: Switch = False,
) -> None:
    """List the networks of the zoo.

    neocog zoo
    neocog zoo 'resnet*'
    neocog zoo --plot networks.svg

    Shows parameters, multiply-accumulates per sample, the receptive field at the
    end of the last stage, and the published ImageNet accuracy with its source.
    Train one with: neocog train DATA --model NAME
    In Python: neocog.list_models("resnet*").

    Parameters
    ----------
    pattern
        Names to list, such as 'resnet*'.
    plot
        Plot ImageNet accuracy against multiply-accumulates, with parameters as area, into this file (.svg, .png, .pdf).
    json
        Print everything as JSON.
    """
    names = list_models(pattern)
    if not names:
        raise ConfigError(f"No network matches {pattern!r}.", fix=did_you_mean(pattern.strip("*?"), list_models()))
    figures = read_figures()
    if plot is not None:
        draw(names, figures, plot)
    if json:
        write_out(json_format.dumps({name: facts(name, figures[name]) for name in names}, indent=2))
    else:
        write_out(table([HEADS, *(row(name, figures[name]) for name in names)], left=(0, 1, 2, 8)))


def facts(name: str, figures: Figures) -> dict[str, object]:
    """All that is known about a network."""
    info, published = model_info(name), PUBLISHED.get(name)
    return {
        "paper": info.paper,
        "year": info.year,
        "task": info.task,
        "modality": info.modality,
        "input_shape": list(info.input_shape),
        "num_classes": info.num_classes,
        **asdict(figures),
        "imagenet": asdict(published) if published else None,
    }


def row(name: str, figures: Figures) -> tuple[str, ...]:
    info, published = model_info(name), PUBLISHED.get(name)
    sees = "all" if figures.receptive_field is None else f"{figures.receptive_field:,}"
    accuracy = (f"{published.top1:.1f}%", f"{published.top5:.1f}%", published.source) if published else ("", "", "")
    shape = "x".join(map(str, info.input_shape))
    return name, info.paper, shape, f"{figures.parameters:,}", count(figures.macs), sees, *accuracy


def count(number: int) -> str:
    """A large number with three digits.

    >>> count(4_089_184_256), count(416_520), count(950)
    ('4.09 G', '417 k', '950')
    """
    for factor, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return str(number)


def draw(names: Sequence[str], figures: dict[str, Figures], file: Path) -> None:
    """Plot the networks whose ImageNet accuracy is published."""
    from neocog.report import Compared, compare_networks, save_figure  # matplotlib takes a second to import

    compared = [
        Compared(name, PUBLISHED[name].top1, figures[name].macs, figures[name].parameters)
        for name in names
        if name in PUBLISHED
    ]
    if not compared:
        raise ConfigError(
            "--plot shows networks whose ImageNet accuracy is published.",
            received=", ".join(names),
            fix=f"Some that are: {', '.join(sorted(PUBLISHED)[:5])}.",
        )
    save_figure(compare_networks(compared), file)
    note(f"drawn in {file}")
