"""The work behind a channel's views: its patches, the projection of its strongest unit, an input made for it."""

from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor

from neocog.explaining.channels import ALIKE, ChannelFacts, ChannelSums
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid
from neocog.explaining.patches import Patch, top_patches
from neocog.explaining.rules import DECONVNET
from neocog.explaining.synthesis import Synthesised
from neocog.progress import track
from neocog.studio.kept import network_code
from neocog.studio.received import drawn_input, kind_of
from neocog.studio.samples import Samples
from neocog.studio.state import Opened, Studio

__all__ = [
    "ChannelOfLayer", "InputAsked", "PatchesAsked", "channel_code", "drawn_patches", "drawn_synthesis",
    "project_strongest", "search",
]  # fmt: skip

AT_ONCE = 128  # samples between two looks at whether a job is still wanted
COUNT = 9  # patches
MOST_SAMPLES = 10_000


class ChannelOfLayer(BaseModel):
    """One channel of a layer of a network."""

    network: Annotated[str, Field(max_length=500)] = ""
    layer: Annotated[str, Field(max_length=500)]
    channel: int = 0


class PatchesAsked(ChannelOfLayer):
    """The samples among which patches are searched: as many as `most`, from the first."""

    most: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 1000


class InputAsked(ChannelOfLayer):
    """How an input is synthesised."""

    steps: Annotated[int, Field(ge=1, le=2048)] = 128
    seed: int = 0


def project_strongest(
    explainer: Explainer, inputs: Tensor, layer: Layer, channel: int
) -> tuple[tuple[int, ...], float, Tensor]:
    """The place and value of a channel's strongest unit, and its projection onto the input, (C, *places).

    Rectified signals go back through transposed filters and switches, as in Zeiler & Fergus 2014, section 2.1.
    """
    tape = explainer.tape(inputs, [layer], rules=DECONVNET)
    grid = Grid.of(explainer, layer)
    flat = grid.maps(tape.values[layer])[0, channel].flatten()
    strongest = int(flat.argmax())
    (back,) = tape.gradient(flat[strongest])
    value = float(flat[strongest].detach())
    place = tuple(int(k) for k in np.unravel_index(strongest, grid.places)) if grid.places else ()
    return place, value, back[0] * value


def search(
    studio: Studio, opened: Opened, samples: Samples, layer: Layer, asked: PatchesAsked
) -> tuple[list[Patch], ChannelFacts]:
    """The strongest patches, and what the same pass shows of all channels of the layer.

    The lock is held for a part of the samples at a time.
    """
    indices, best = samples.indices[: asked.most], list[Patch]()
    sums = ChannelSums(Grid.of(opened.explainer, layer).channels, ALIKE)
    starts = range(0, len(indices), AT_ONCE)
    for begin in track(starts, f"{len(indices):,} samples"):
        part = indices[begin : begin + AT_ONCE]
        with studio.lock:
            found = top_patches(
                opened.explainer, samples.source, layer, channels=[asked.channel], count=COUNT, indices=part,
                facts=sums,
            )  # fmt: skip
            best = sorted([*best, *found[asked.channel]], key=lambda patch: -patch.value)[:COUNT]
    return best, sums.facts()


def drawn_patches(
    opened: Opened, samples: Samples, layer: Layer, asked: PatchesAsked, found: list[Patch], facts: ChannelFacts
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The patches as tensors `0`, `1`, ... and what is known of each."""
    tensors: dict[str, Any] = {}
    rows = []
    places = {int(index): place for place, index in enumerate(samples.indices)}
    for number, patch in enumerate(found):
        if not patch.words:
            tensors[str(number)] = shown_pixels(opened.explainer, patch.pixels)
        rows.append(
            {
                "key": patch.key, "sample": places[patch.index], "view": patch.view, "value": patch.value,
                "unit": list(patch.place), "box": [list(pair) for pair in patch.box], "words": list(patch.words),
            }
        )  # fmt: skip
    code = [
        *channel_code(network_code(opened), layer, asked.channel),
        *(["", "from neocog.runs.channels import match_channels"] if samples.code.startswith("match_") else []),
        "",
        "import numpy as np",
        "from neocog.explaining.patches import top_patches",
        "",
        f"source = {samples.code}",
        f"indices = {index_code(samples.indices[: asked.most])}",
        f"found = top_patches(explainer, source, layer, channels=[channel], count={COUNT}, indices=indices)",
        "print([(patch.key, patch.value) for patch in found[channel]])",
        "print(found.facts)",
    ]
    meta = {
        "layer": layer.name,
        "channel": asked.channel,
        "patches": rows,
        "fault": facts.of(asked.channel),
        "facts": str(facts),
        "dead": list(facts.dead),
        "title": samples.title,
        "kind": kind_of(opened.explainer),
    }
    return tensors, {**meta, "searched": min(asked.most, len(samples.indices)), "code": "\n".join(code)}


def index_code(indices: NDArray[np.int64]) -> str:
    """Numbers of samples as Python writes them.

    >>> index_code(np.arange(3)), index_code(np.array([4, 2]))
    ('np.arange(3)', 'np.array([4, 2])')
    """
    if np.array_equal(indices, np.arange(len(indices))):
        return f"np.arange({len(indices)})"
    return f"np.array({indices.tolist()})"


def shown_pixels(explainer: Explainer, pixels: Tensor) -> Tensor:
    """The decoded part of an input as `drawn_input` gives it; of a board, own stones less those of the opponent."""
    if kind_of(explainer) == "board":
        return pixels[0].float() - pixels[1].float()
    tensors, _ = drawn_input(explainer, pixels)
    return torch.as_tensor(next(iter(tensors.values())))


def drawn_synthesis(
    opened: Opened, layer: Layer, asked: InputAsked, found: Synthesised
) -> tuple[dict[str, Any], dict[str, Any]]:
    tensors, meta = drawn_input(opened.explainer, found.decoded)
    code = [
        *channel_code(network_code(opened), layer, asked.channel),
        "",
        "from neocog.explaining.synthesis import synthesise",
        "",
        f"found = synthesise(explainer, (layer, channel), steps={asked.steps}, seed={asked.seed})",
        "print(found.value_before, found.value_after)",
    ]
    values = {"before": found.value_before, "after": found.value_after}
    return tensors, {**meta, **values, "code": "\n".join(code)}


def channel_code(begin: str, layer: Layer, channel: int) -> list[str]:
    return [begin, "", f"layer = explainer.layers[{layer.name!r}]", f"channel = {channel}"]
