"""The page of an explanation: one file that needs nothing else."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from neocog.explaining.attribution import Attribution
from neocog.explaining.drawing import Panel, kernel_image, reference, short
from neocog.explaining.explanation import ChannelView, Explanation
from neocog.explaining.methods import METHODS

__all__ = ["render"]

STRONGEST = 12  # tokens that are listed
KERNELS = 64  # of a channel, that are shown
WORD_OPACITY = 0.6  # of the strongest colour behind a word, so that it stays readable


def render(explanation: Explanation) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("neocog.explaining"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["short"] = short
    environment.filters["word"] = word_style
    manifest = explanation.explainer.predictor.manifest if explanation.explainer.predictor is not None else {}
    return environment.get_template("explanation.html.j2").render(
        explanation=explanation,
        network=manifest.get("model", {}).get("name", ""),
        cells=explanation.prediction.cells() if explanation.prediction is not None else {},
        logit=explanation.logit,
        view=view_text(explanation),
        sections=[section(explanation, one) for one in explanation.attributions],
        channel=channel_section(explanation, explanation.channel) if explanation.channel is not None else None,
    )


def section(explanation: Explanation, one: Attribution) -> dict[str, Any]:
    """Everything that the page says about one map."""
    panels = [explanation.panels[name] for name in panel_names(explanation, one.method)]
    twin = explanation.twins.get(one.method)
    return {
        "method": METHODS[one.method],
        "layer": one.layer.name if one.layer is not None else "",
        "figures": figures_of(one),
        "reading": explanation.reading(one.method),
        "panels": [panel_content(panel) for panel in panels],
        "empty": panels[0].heat.empty,
        "signed": one.signed,
        "similarity": explanation.similarity(one.method),
        "curve": list(zip(twin.names, twin.similarity, strict=True)) if twin is not None else [],
        "strongest": strongest(panels[0]),
    }


def panel_names(explanation: Explanation, method: str) -> list[str]:
    return [name for name in (method, f"{method}-alone", f"{method}-twin") if name in explanation.panels]


def panel_content(panel: Panel) -> dict[str, Any]:
    words = panel.words
    return {
        "title": panel.title, "alt": panel.alt, "words": words, "svg": "" if words else panel.svg(),
        "reach": panel.heat.reach, "signed": panel.heat.signed, "empty": panel.heat.empty,
        "spaced": any(len(token) > 1 for token, _, _ in words),
    }  # fmt: skip


def figures_of(one: Attribution) -> list[tuple[str, str, str]]:
    """Name, number and remark for the numbers of a method."""
    share = one.scale / reference(one)
    rows = [("scale", short(one.scale), f"{100 * share:.3g}% of {short(reference(one))}")]
    for name, value in one.figures.items():
        rows.append((name, f"{value:.2%}" if name == "completeness error" else short(value), ""))
    return rows


def strongest(panel: Panel) -> list[tuple[str, float]]:
    """The tokens with the largest numbers, largest first."""
    words = panel.words
    values = panel.heat.values.ravel().tolist()
    rows = [(token, float(value)) for (token, _, _), value in zip(words, values, strict=False)]
    return sorted(rows, key=lambda row: -abs(row[1]))[:STRONGEST]


def channel_section(explanation: Explanation, view: ChannelView) -> dict[str, Any]:
    kernel = view.kernel
    reach = float(kernel.abs().max()) if kernel is not None else 0.0
    slices = [] if kernel is None else [kernel_image(part, reach) for part in kernel[:KERNELS]]
    return {
        "view": view,
        "panel": panel_content(explanation.panels[f"channel-{view.channel}"]),
        "kernel": slices,
        "inputs": 0 if kernel is None else len(kernel),
        "reach": reach,
    }


def view_text(explanation: Explanation) -> str:
    """Where the part of a large input lies, if the network received a part."""
    view = explanation.sample.view
    if view is None or (not any(view.origin) and all(scale == 1 for scale in view.scale)):
        return ""
    if any(scale != 1 for scale in view.scale):
        return f"the input scaled by {' x '.join(short(scale) for scale in dict.fromkeys(view.scale))}"
    axes = ("row", "column") if len(view.origin) == 2 else ("sample",)
    starts = ", ".join(f"{axis} {start:.0f}" for axis, start in zip(axes, view.origin, strict=True))
    return f"a tile of the input that begins at {starts}"


def word_style(share: float) -> str:
    """The background of a word, by its share from -1 to 1.

    >>> word_style(-0.5)
    'background: rgba(31, 97, 214, 0.30)'
    """
    colour = "214, 46, 31" if share >= 0 else "31, 97, 214"
    return f"background: rgba({colour}, {WORD_OPACITY * abs(share):.2f})" if share else ""
