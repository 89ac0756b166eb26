"""Attributions as figures: each map over its sample, on a scale that is stated beside it.

A map is never stretched to its own range unseen. It is drawn only if its largest number is more than `FLOOR` of the
reference, the number that it explains. The colours end at its largest number, or at its 99.5th percentile where a few
places are far above the others: the bar then has an arrow. Only a twin is drawn however small it is, since the outputs
of a random network have no scale of their own and its pattern is what is compared; its bar says how small.
"""

import base64
import io
import re
import warnings
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from neocog.explaining.attribution import Attribution
from neocog.explaining.explainer import Explainer, Sample
from neocog.modalities.draw_map import Heat, draw_places, heat_colours
from neocog.modalities.table import MODALITIES
from neocog.report.plots import GREY, INK, STYLE, svg
from neocog.tasks.target import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import, and only figures need it

__all__ = ["FLOOR", "Panel", "draw_heat", "floor", "heat_of", "kernel_image", "reference", "short"]

FLOOR = 1e-4
"""Of the reference, below which a map is drawn empty; less for inputs of more than 10,000 places: one even share."""
CLIP = 0.995
NARROW, WIDE = 3.5, 7.2  # inches


def short(value: float) -> str:
    """A number in three digits.

    >>> short(0.012345), short(-3), short(1e-6)
    ('0.0123', '-3', '1e-06')
    """
    return f"{value:.3g}"


def reference(attribution: Attribution) -> float:
    """The number that a map is measured by: the logit, its distance from the baseline, or 1, whichever is most.

    One is what tells in a softmax or sigmoid, and the standard deviation of a target of a regression.
    """
    baseline = attribution.figures.get("baseline")
    gap = abs(attribution.logit - baseline) if baseline is not None else 0.0
    return max(1.0, abs(attribution.logit), gap)


def floor(attribution: Attribution) -> float:
    """The largest number of a map that is drawn empty."""
    return reference(attribution) * min(FLOOR, 1 / max(1, attribution.map.numel()))


def heat_of(attribution: Attribution, shape: tuple[int, ...], *, bare: bool = False, twin: bool = False) -> Heat:
    """A map with its scale and the places of its target; `shape` is that of the input's places."""
    least, target = 0.0 if twin else floor(attribution), attribution.target
    values = attribution.map.detach().double().cpu().numpy()
    empty = not attribution.scale > least
    return Heat(
        values=values, reach=least if empty else reach_of(values), signed=attribution.signed, empty=empty, bare=bare,
        name=target.text, area=area_of(target, shape), box=target.box,
        point=target.place if len(target.place) == len(shape) and target.box is None else (),
    )  # fmt: skip


def reach_of(values: NDArray[np.float64]) -> float:
    """Where the colours of a map end: at its largest number, or at its 99.5th percentile if that is well below.

    Not if it is below a tenth: then a few places are what the map says.
    """
    sizes = np.abs(values)
    most, usual = float(sizes.max()), float(np.quantile(sizes, CLIP, method="higher"))
    return usual if most / 10 <= usual < most / 2 else most


def area_of(target: Target, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """The places of a target that is averaged over some of them, if they are those of the input."""
    if target.where is None or tuple(target.where.shape) != shape:
        return None
    return target.where.cpu().numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One map over one sample."""

    name: str
    """Such as gradcam, gradcam-alone, gradcam-twin."""
    title: str
    alt: str
    """The content of the figure, in words."""
    heat: Heat
    sample: Sample
    explainer: Explainer

    def figure(self) -> "Figure":
        return draw_heat(self.sample, self.explainer, self.heat)

    def png(self) -> bytes:
        """The figure on white."""
        from matplotlib import rc_context

        buffer = io.BytesIO()
        with rc_context(STYLE), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            self.figure().savefig(buffer, format="png", dpi=160)
        return buffer.getvalue()

    def svg(self) -> str:
        """The figure for a page, its lines and letters in the colour of the page's text."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            text = drawn_svg(self.figure())
        return text.replace("<svg ", f'<svg role="img" aria-label="{escape(self.alt)}" ', 1)

    @property
    def words(self) -> list[tuple[str, bool, float]]:
        """Tokens, whether the network knows them, and their shares from -1 to 1; empty for inputs that are numbers."""
        preprocess, payload = self.explainer.preprocess, self.sample.payload
        read = MODALITIES[preprocess.modality].read_tokens if preprocess is not None else None
        if read is None or payload is None or preprocess is None:
            return []
        found = read(payload, preprocess)
        shares = self.heat.shares.ravel().tolist()[: len(found)]
        return [(token, known, share) for (token, known), share in zip(found, shares, strict=True)]


def drawn_svg(figure: "Figure") -> str:
    from matplotlib import rc_context

    with rc_context(STYLE):
        text = svg(figure)
    text = re.sub(
        r'<g id="(figure|axes|patch|text|matplotlib\.axis|[xy]tick|line2d|image|PathCollection)[^"]*">', "<g>", text
    )
    return text.replace(INK, "currentColor").replace(GREY, "currentColor")


def draw_heat(sample: Sample, explainer: Explainer, heat: Heat) -> "Figure":
    """A map over its sample, or alone, as its kind of data is drawn, with a bar of its colours."""
    from matplotlib import rc_context
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.figure import Figure

    preprocess = explainer.preprocess
    draw = (None if preprocess is None else MODALITIES[preprocess.modality].draw_map) or draw_places
    with rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=figure_size(heat, sample), layout="constrained")
        axes = figure.subplots()
        draw(axes, sample.payload, sample.decoded.cpu(), preprocess, heat)
        low, reach = -1.0 if heat.signed else 0.0, heat.reach or 1.0
        colours = ListedColormap(heat_colours(np.linspace(low, 1, 256)))
        bar = figure.colorbar(
            ScalarMappable(Normalize(low * reach, reach), colours), ax=axes, pad=0.02, **bar_place(heat),
            extend=extend_of(heat), ticks=[0, reach] if low == 0 else [-reach, 0, reach],
        )  # fmt: skip
        bar.set_ticklabels([short(tick) for tick in bar.get_ticks()])
        if bar.solids is not None:
            bar.solids.set_rasterized(True)
        bar.outline.set(linewidth=0.5)
        if heat.empty:
            said = f"below {short(heat.reach)} everywhere: drawn empty" if heat.reach else "zero everywhere"
            axes.text(
                0.5, 0.04, said, transform=axes.transAxes, ha="center", fontsize=8, color="#111111", zorder=9,
                bbox={"facecolor": "#ffffff", "alpha": 0.85, "edgecolor": "none", "pad": 2.5},
            )  # fmt: skip
    return figure


def bar_place(heat: Heat) -> dict[str, Any]:
    """Below maps with two axes, so that they are of equal width whatever the numbers; beside curves and words."""
    if heat.values.ndim < 2:
        return {"fraction": 0.05}
    return {"location": "bottom", "fraction": 0.05, "aspect": 26}


def extend_of(heat: Heat) -> str:
    """The ends of the colour bar beyond which the map has numbers."""
    high, low = bool((heat.values > heat.reach).any()), bool((heat.values < -heat.reach).any())
    return {(True, True): "both", (True, False): "max", (False, True): "min"}.get((high, low), "neither")


def figure_size(heat: Heat, sample: Sample) -> tuple[float, float]:
    """Width and height in inches: wide for curves, the input's own proportions for images."""
    if heat.values.ndim < 2:
        lanes = min(8, len(sample.decoded)) if sample.decoded.ndim == 2 else 1
        return WIDE, 1.6 + 0.45 * (lanes - 1)
    height, width = heat.values.shape
    return NARROW, float(np.clip(0.5 + (NARROW - 0.1) * height / width, 1.6, 5.0))


def kernel_image(kernel: Tensor, reach: float) -> str:
    """A kernel (*k) as the address of a small image: red is positive, blue negative, white zero.

    >>> import torch
    >>> kernel_image(torch.eye(3), 1.0)[:22]
    'data:image/png;base64,'
    """
    shares = np.atleast_2d(kernel.detach().double().cpu().numpy()).clip(-reach, reach) / (reach or 1.0)
    colours = heat_colours(shares)
    pixels = 255 * (1 - colours[..., 3:] + colours[..., 3:] * colours[..., :3])
    image = Image.fromarray(pixels.round().astype(np.uint8))
    scale = max(1, 48 // max(image.size))
    buffer = io.BytesIO()
    image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
