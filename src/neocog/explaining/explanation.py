"""An explanation of one input: maps beside their randomised twins, as figures, a page, and numbers."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.explaining.attribution import Attribution
from neocog.explaining.drawing import FLOOR, Panel, floor, heat_of, reference, short
from neocog.explaining.explainer import Explainer, Sample
from neocog.explaining.layers import Layer
from neocog.explaining.methods import METHODS
from neocog.explaining.twins import Twin
from neocog.files import storage_errors, write_whole
from neocog.modalities.draw_map import Heat
from neocog.tasks import Prediction
from neocog.tasks.target import Target

__all__ = ["ChannelView", "Explanation", "Reading", "read_similarity"]

SURVIVES, CHANGES = 0.5, 0.2
"""Rank correlations with the map of a random network, from which a map tells little, and up to which it tells much."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far to trust a map, by its randomised twin."""

    level: str
    """good, partly, bad, or none if there is nothing to compare."""
    text: str


def read_similarity(similarity: float) -> Reading:
    """How far to trust a map whose rank correlation with that of the random network is this, absolute values of both.

    Source: Adebayo et al. 2018, "Sanity checks for saliency maps", which compares maps like this and draws no line; the
    lines are ours.

    >>> read_similarity(0.81).text, read_similarity(-0.05).level
    ('survives randomisation: do not trust this map', 'good')
    """
    if similarity >= SURVIVES:
        return Reading("bad", "survives randomisation: do not trust this map")
    if similarity > CHANGES:
        return Reading("partly", "changes only partly with the weights: read it with care")
    return Reading("good", "depends on the trained weights")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ChannelView:
    """One channel of a layer: its kernel and its map on the input."""

    layer: Layer
    channel: int
    kernel: Tensor | None
    """(I, *k); None for a layer that is not a convolution."""
    map: Tensor
    """(*places) of the input, enlarged."""
    scale: float
    """The largest absolute number in the map."""
    layer_scale: float
    """The same over all channels of the layer."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Why a network says what it says about one input: maps of several methods, each beside its randomised twin."""

    explainer: Explainer
    sample: Sample
    """As the network receives it; of a large image that is read in tiles, the one that shows the target."""
    prediction: Prediction | None
    target: Target
    attributions: tuple[Attribution, ...]
    twins: Mapping[str, Twin] = field(default_factory=dict)
    """The same method on the network re-initialised from the top, by method."""
    channel: ChannelView | None = None
    notes: tuple[str, ...] = ()
    """Methods that were left out, and why."""

    @property
    def layers(self) -> Sequence[Layer]:
        """All layers of the network in the order of execution."""
        return self.explainer.layers

    @property
    def logit(self) -> float:
        """The target's value for this input, before softmax or sigmoid."""
        return float(self.target.of(self.explainer.outputs(self.sample.inputs)))

    def similarity(self, method: str) -> float | None:
        """The rank correlation of a map with that of the random network; None if there is nothing to compare.

        If that map is the same everywhere, as it is where the signal dies out in a deep random network, it is the last
        step before that counts.
        """
        twin = self.twins.get(method)
        if twin is None or not twin.similarity:
            return None
        maps = twin.attribution.map
        if float(maps.max()) > float(maps.min()):
            return twin.similarity[-1]
        return next((value for value in reversed(twin.similarity) if value), None)

    def reading(self, method: str) -> Reading | None:
        """How far to trust the map of a method, by its twin; None without one."""
        if method not in self.twins:
            return None
        if any(one.method == method and one.scale <= floor(one) for one in self.attributions):
            return Reading("none", "empty: this map says nothing about the target")
        similarity = self.similarity(method)
        if similarity is None:
            return Reading("none", "no comparison: the map of the random network is the same everywhere")
        return read_similarity(similarity)

    @cached_property
    def panels(self) -> dict[str, Panel]:
        """All figures by name: `gradcam`, of a map with two axes `gradcam-alone`, `gradcam-twin`, and so on."""
        found: list[Panel] = []
        for one in self.attributions:
            title = METHODS[one.method].title
            found.append(self.panel(one.method, f"{title} over the input", one))
            if one.map.ndim == 2:
                found.append(self.panel(f"{one.method}-alone", f"{title} alone", one, bare=True))
            if one.method in self.twins:
                twin = self.twins[one.method].attribution
                found.append(self.panel(f"{one.method}-twin", "Its twin, on its own scale", twin, twin=True))
        if self.channel is not None:
            found.append(self.channel_panel(self.channel))
        return {panel.name: panel for panel in found}

    def panel(self, name: str, title: str, one: Attribution, *, bare: bool = False, twin: bool = False) -> Panel:
        heat = heat_of(one, self.explainer.input_shape[1:] or self.explainer.input_shape, bare=bare, twin=twin)
        what = f"{METHODS[one.method].title} on a random network" if twin else title
        alt = f"{what}, {self.target.text}, {self.sample.name}. {describe(heat, one.scale)}"
        return Panel(name, title, alt, heat, self.sample, self.explainer)

    def channel_panel(self, view: ChannelView) -> Panel:
        values = view.map.double().cpu().numpy()
        heat = Heat(
            values=values, reach=view.scale, signed=bool((values < 0).any()), bare=values.ndim == 2,
            empty=view.scale <= FLOOR * view.layer_scale,
        )  # fmt: skip
        title = f"Channel {view.channel} of {view.layer.name}"
        alt = f"{title} on {self.sample.name}. {describe(heat, view.scale)}"
        return Panel(f"channel-{view.channel}", title, alt, heat, self.sample, self.explainer)

    def figures(self) -> dict[str, bytes]:
        """All figures as PNG, by name."""
        return {name: panel.png() for name, panel in self.panels.items()}

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers of the page as JSON."""
        found: dict[str, Any] = {
            "file": self.sample.name,
            "target": self.target.text,
            "logit": self.logit,
            "prediction": self.prediction.without_places().to_json() if self.prediction is not None else None,
        }
        if self.sample.view is not None:
            found["view"] = {"origin": list(self.sample.view.origin), "scale": list(self.sample.view.scale)}
        found["methods"] = [self.method_numbers(one) for one in self.attributions]
        if self.channel is not None:
            shown = self.channel
            found["channel"] = {
                "layer": shown.layer.name, "channel": shown.channel, "scale": shown.scale,
                "layer_scale": shown.layer_scale,
            }  # fmt: skip
        return found | ({"notes": list(self.notes)} if self.notes else {})

    def method_numbers(self, one: Attribution) -> dict[str, Any]:
        row: dict[str, Any] = {
            "method": one.method,
            "layer": one.layer.name if one.layer is not None else None,
            "scale": one.scale,
            "share_of_reference": one.scale / reference(one),
            **{key.replace(" ", "_"): value for key, value in one.figures.items()},
        }
        twin, reading = self.twins.get(one.method), self.reading(one.method)
        if twin is not None and reading is not None:
            row |= {
                "twin_similarity": self.similarity(one.method),
                "twin_curve": dict(zip(twin.names, twin.similarity, strict=True)),
                "twin_scale": twin.attribution.scale,
                "reading": reading.text,
            }
        return row

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The maps as arrays: `gradcam` (*places), `gradcam.values` as computed, `gradcam.twin`, and the input."""
        found = {"input": self.sample.inputs[0].cpu().numpy()}
        for one in self.attributions:
            found[one.method] = one.map.detach().cpu().numpy()
            found[f"{one.method}.values"] = one.values.detach().cpu().numpy()
            if one.method in self.twins:
                twin = self.twins[one.method]
                found[f"{one.method}.twin"] = twin.attribution.map.detach().cpu().numpy()
                found[f"{one.method}.similarity"] = np.array(twin.similarity)
        if self.channel is not None:
            found["channel.map"] = self.channel.map.cpu().numpy()
            if self.channel.kernel is not None:
                found["channel.kernel"] = self.channel.kernel.detach().cpu().numpy()
        return found

    def npz(self) -> bytes:
        """The arrays as an .npz file; `numbers` is in it as JSON."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {"numbers": np.array(json.dumps(self.numbers)), **self.arrays}
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    def to_html(self) -> str:
        """One page that needs nothing else."""
        from neocog.explaining.page import render

        return render(self)

    def _repr_html_(self) -> str:
        """The page in a frame, so that its styles stay its own."""
        return (
            f'<iframe title="Explanation of {escape(self.sample.name)}" srcdoc="{escape(self.to_html())}" '
            'style="width: 100%; height: 900px; border: 0"></iframe>'
        )

    @property
    def stem(self) -> str:
        """The name of the files that are written: that of the input, in letters that every file system takes."""
        letters = re.sub(r"[^\w.-]+", "-", Path(self.sample.name).stem)
        return letters[:40].strip("-.") or "input"

    def save(
        self, folder: str | Path, *, html: bool = True, png: bool = True, npz: bool = True, stem: str = ""
    ) -> list[Path]:
        """Write page, figures and numbers into a folder; the files' names begin with that of the input.

        Existing files are replaced. Raises StorageError if they can't be written.
        """
        folder, stem = Path(folder), stem or self.stem
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, str | bytes] = {f"{stem}.html": self.to_html()} if html else {}
        if png:
            content |= {f"{stem}-{name}.png": figure for name, figure in self.figures().items()}
        if npz:
            content[f"{stem}.npz"] = self.npz()
        for name, each in content.items():
            write_whole(folder / name, each)
        return [folder / name for name in content]


def describe(heat: Heat, scale: float) -> str:
    """A map in words, to be read aloud: its largest number, and where it is."""
    if heat.empty:
        return f"Empty: the largest number is {short(scale)}."
    sizes = np.abs(heat.values)
    place = np.unravel_index(int(sizes.argmax()), sizes.shape)
    at = ", ".join(str(int(step)) for step in place)
    axes = {1: "position", 2: "row and column"}.get(heat.values.ndim, "place")
    return f"The largest number is {short(float(heat.values[place]))}, at {axes} {at}."
