"""Augmentation of whole batches of signals and spectrograms, each sample by its own draws."""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from neocog.errors import ConfigError
from neocog.modalities.augment import Key, Stage, draw_spread
from neocog.modalities.preprocess import Preprocess
from neocog.rng import integers, normal, uniform
from neocog.settings import SETTINGS

__all__ = ["SignalAugmentConfig", "augment_signals", "augment_stages", "check_augment", "move_labels"]

Share = Annotated[float, Field(ge=0, le=1)]
Width = Annotated[int, Field(ge=1)] | None
WARPED = 0.1  # share of the time that is warped (Le Guennec et al. 2016, section 3.2)


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class SignalAugmentConfig:
    """Augmentation of training signals and spectrograms."""

    jitter: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of noise to add to each value; that of the data is 1."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Scale values by up to this share: 0.1 draws a factor from 0.9 to 1.1."""
    shift: Annotated[int, Field(ge=0)] = 0
    """Shift in time by up to N samples, or frames, each way."""
    border: Literal["fill", "wrap"] = "fill"
    """The filling of the gap after a shift: the mean, or the other end."""
    warp: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Time warping: stretch or compress a tenth of the time; 1 draws a factor from a half to double."""
    time_mask: Share = 0.0
    """Time masking: replace a stretch of time, up to this share of it, by the mean."""
    time_width: Width = None
    """Time masking, limited by a number of samples, or of frames of a spectrogram: T of SpecAugment, whose p is
    time_mask."""
    time_masks: Width = None
    """Number of time masks; unset: one."""
    frequency_mask: Share = 0.0
    """Frequency masking: replace neighbouring bands of a spectrogram, up to this share of them, by the mean."""
    frequency_width: Width = None
    """Frequency masking, limited by a number of bands: F of SpecAugment."""
    frequency_masks: Width = None
    """Number of frequency masks; unset: one."""

    frequency_shift: Width = None
    """Shift mel bands by up to N each way, as if the speaker had a longer or shorter vocal tract (Jaitly & Hinton
    2013)."""

    def ignored(self) -> dict[str, str]:
        idle = {} if self.shift else {"border": "nothing is shifted"}
        if not self.time_mask and self.time_width is None:
            idle["time_masks"] = "no time is masked"
        if not self.frequency_mask and self.frequency_width is None:
            idle["frequency_masks"] = "no bands are masked"
        return idle


def augment_stages(config: SignalAugmentConfig, spec: Preprocess, key: Key) -> list[Stage]:
    """Normalisation, then augmentation, since its settings count in standard deviations."""
    marks = getattr(spec, "num_marks", 0)

    def augment(inputs: Tensor) -> Tensor:
        return augment_signals(inputs, config=config, fill=inputs.new_zeros(()), num_marks=marks, **key)

    return [spec.normalise, augment]


def augment_signals(
    inputs: Tensor,
    samples: NDArray[np.uint64],
    config: SignalAugmentConfig,
    *,
    seed: int,
    epoch: int,
    fill: Tensor,
    num_marks: int = 0,
) -> Tensor:
    """Augment each signal by its own draws: warp, shift, scale, jitter, and masks, in this order.

    Meant for normalised inputs, of which `jitter` has the standard deviation as its unit and `fill` is zero. `fill` is
    a value that means nothing, of a shape that broadcasts over one input. The last `num_marks` channels say something
    about the samples, such as a mask: they move with the others, and are neither scaled nor jittered. Without
    augmentation, the same tensor is returned.

    Shapes: inputs (N, C, L) or (N, C, frames, bands) float32, samples (N,) -> the same.
    Raises ConfigError for a frequency mask on inputs without bands, and for a shift beyond the end.
    Sources: Um et al. 2017, https://arxiv.org/abs/1706.00527, for jitter and scale; Le Guennec et al. 2016, "Data
    augmentation for time series classification using convolutional neural networks", section 3.2, for warping; Park et
    al. 2019, "SpecAugment", https://arxiv.org/abs/1904.08779, section 2, for masks, with T, F, p and the numbers of
    masks as there.
    """
    check_augment(config, tuple(inputs.shape[1:]))
    key: Key = {"seed": seed, "epoch": epoch, "samples": samples}
    fill = fill.to(inputs)
    if config.warp and inputs.shape[2] > 1:
        inputs = warp(inputs, config.warp, key)
    if config.shift:
        inputs = shift(inputs, config, key, fill)
    values = inputs[:, : inputs.shape[1] - num_marks]
    if config.scale:
        factors = along(1, 1 + draw_spread(key, "signal scale", config.scale)[:, None], values)
        values = fill + factors * (values - fill)
    if config.jitter:
        noise = normal(**key, purpose="signal jitter", num=values[0].numel())
        values = values + config.jitter * torch.from_numpy(noise).to(values).view(values.shape)
    if config.scale or config.jitter:
        inputs = torch.cat([values, inputs[:, inputs.shape[1] - num_marks :]], dim=1) if num_marks else values
    if config.frequency_shift:
        inputs = shift_bands(inputs, config.frequency_shift, key)
    for axis, name in ((2, "time"), (3, "frequency")):
        share, width, number = (getattr(config, f"{name}_{end}") for end in ("mask", "width", "masks"))
        if share or width:
            widest = int((share or 1.0) * inputs.shape[axis])
            widest = widest if width is None else min(widest, width)
            for k in range(number or 1):
                inputs = mask(inputs, axis, widest, f"{name} mask" + (f" {k + 1}" if k else ""), key, fill)
    return inputs


def check_augment(config: SignalAugmentConfig, shape: tuple[int, ...]) -> None:
    """Raises ConfigError for a frequency mask on inputs (C, L), which have no bands, and for a shift beyond the end."""
    if len(shape) != 3:
        for name in ("frequency_mask", "frequency_width", "frequency_shift"):
            if value := getattr(config, name):
                received = f"{name}={value:g} for signals of {'x'.join(map(str, shape))}"
                rule = f"A frequency {'shift' if name == 'frequency_shift' else 'mask'} needs frequency bands."
                raise ConfigError(rule, received=received, fix="Use time_mask or shift.")
    if config.shift >= shape[1]:
        received = f"shift={config.shift} for {shape[1]} samples"
        raise ConfigError("A shift must be smaller than the signals.", received=received, fix="Reduce it.")


def along(axis: int, values: NDArray[Any], inputs: Tensor) -> Tensor:
    """Each sample's values (N, size) for the places along an axis, as a tensor that broadcasts over the others."""
    tensor = torch.from_numpy(values)
    tensor = tensor.to(inputs) if tensor.is_floating_point() else tensor.to(inputs.device)
    return tensor.view([len(inputs), *[-1 if i == axis else 1 for i in range(1, inputs.ndim)]])


def warp(inputs: Tensor, most: float, key: Key) -> Tensor:
    """Stretch a tenth of the time by a factor between 1 / (1 + most) and 1 + most, then the whole to its old length.

    New times map to old ones piecewise linearly, and values are interpolated linearly.
    """
    length = inputs.shape[2]
    old = warped_times(length, most, key)
    left = np.floor(old).clip(0, length - 2).astype(np.int64)
    index, weight = along(2, left, inputs).expand_as(inputs), along(2, old - left, inputs)
    return inputs.gather(2, index) * (1 - weight) + inputs.gather(2, index + 1) * weight


def warped_times(length: int, most: float, key: Key) -> NDArray[np.float64]:
    """The old time of each new one; (N, L)."""
    place, power = uniform(**key, purpose="signal warp", num=2).T
    factor = (1 + most) ** (2 * power - 1)[:, None]
    width = WARPED * (length - 1)
    start = (place * (length - 1 - width))[:, None]
    stretched = np.linspace(0, 1, length) * (length - 1 + width * (factor - 1))  # (N, L): times after stretching
    inside = (stretched - start).clip(0, width * factor)
    return np.asarray(stretched - inside + inside / factor)


def shifted_times(length: int, most: int, key: Key) -> NDArray[np.int64]:
    """The old time of each new one, which may lie outside; (N, L)."""
    return np.arange(length) - integers(**key, purpose="signal shift", low=-most, high=most)


def move_labels(labels: Tensor, config: SignalAugmentConfig, key: Key, unknown: int) -> Tensor:
    """Labels of samples (N, L) as `augment_signals` moves their signals: the nearest label; `unknown` in a gap."""
    length = labels.shape[1]
    if config.warp and length > 1:
        nearest = np.round(warped_times(length, config.warp, key)).astype(np.int64).clip(0, length - 1)
        labels = labels.gather(1, torch.from_numpy(nearest).to(labels.device))
    if config.shift:
        old = shifted_times(length, config.shift, key)
        labels = labels.gather(1, torch.from_numpy(old % length).to(labels.device))
        if config.border == "fill":
            labels = labels.masked_fill(torch.from_numpy((old < 0) | (old >= length)).to(labels.device), unknown)
    return labels


def shift(inputs: Tensor, config: SignalAugmentConfig, key: Key, fill: Tensor) -> Tensor:
    """Shift in time by a whole number of samples."""
    length = inputs.shape[2]
    old = shifted_times(length, config.shift, key)
    shifted = inputs.gather(2, along(2, old % length, inputs).expand_as(inputs))
    if config.border == "wrap":
        return shifted
    return torch.where(along(2, (old < 0) | (old >= length), inputs), fill, shifted)


def shift_bands(inputs: Tensor, most: int, key: Key) -> Tensor:
    """Shift along the bands by a whole number; the outermost band fills the gap."""
    bands = inputs.shape[3]
    old = np.arange(bands) - integers(**key, purpose="band shift", low=-most, high=most)  # (N, bands)
    return inputs.gather(3, along(3, old.clip(0, bands - 1), inputs).expand_as(inputs))


def mask(inputs: Tensor, axis: int, widest: int, purpose: str, key: Key, fill: Tensor) -> Tensor:
    """Fill t neighbouring places along an axis from t0 on: t uniform from 0 to `widest`, t0 uniform where t fits."""
    size = inputs.shape[axis]
    draws = uniform(**key, purpose=purpose, num=2)
    width = np.floor(draws[:, :1] * (widest + 1))
    start = np.floor(draws[:, 1:] * (size - width + 1))
    places = np.arange(size)
    return torch.where(along(axis, (places >= start) & (places < start + width), inputs), fill, inputs)
