"""A map over a sound: on its spectrogram, with time and frequency, or behind its waveform."""

from typing import Any

import numpy as np
from torch import Tensor

from neocog.dataset.record import Payload
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.audio.spectrogram import hertz_to_mel, mel_to_hertz
from neocog.modalities.draw_map import Heat, draw_lanes, draw_places, heat_colours
from neocog.modalities.preprocess import Preprocess

__all__ = ["draw_sound"]

TICKS = 6  # frequencies that are named
SIZE = (4.6, 2.6)  # inches of the figure


def draw_sound(axes: Any, payload: Payload | None, decoded: Tensor, preprocess: Preprocess | None, heat: Heat) -> None:
    """Time in seconds to the right, and frequency in hertz, or the number of the coefficient, upwards."""
    if not isinstance(preprocess, AudioPreprocess):
        draw_places(axes, payload, decoded, preprocess, heat)
        return
    if preprocess.features == "waveform":
        draw_lanes(axes, decoded.double().numpy(), heat, step=1 / preprocess.sample_rate, unit="seconds")
        return
    axes.figure.set_size_inches(*SIZE)
    frames, bands = heat.values.shape
    extent = (0, frames * preprocess.hop / preprocess.sample_rate, -0.5, bands - 0.5)
    options: dict[str, Any] = {"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "none"}
    if not heat.bare:
        axes.imshow(decoded[0].double().numpy().T, cmap="gray", **options)
    axes.imshow(heat_colours(heat.shares.T), **options)
    axes.set_xlabel("seconds")
    if preprocess.features == "mel":
        places = np.linspace(0, bands - 1, min(TICKS, bands)).round().astype(int)
        corners = np.linspace(hertz_to_mel(preprocess.f_min), hertz_to_mel(preprocess.highest), bands + 2)
        hertz = mel_to_hertz(corners)[places + 1]
        axes.set_yticks(places, [f"{value:,.0f}" for value in hertz])
        axes.set_ylabel("hertz")
    else:
        axes.set_ylabel("coefficient")
