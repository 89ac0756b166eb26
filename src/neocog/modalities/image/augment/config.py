"""The settings of image augmentation, the section `augment` of a run."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.errors import ConfigError, agree
from neocog.settings import SETTINGS

__all__ = ["AugmentConfig", "Border", "Policy", "check_augment"]

Border = Literal["black", "edge", "mirror"]
Policy = Literal["randaugment", "trivialaugment"]
Probability = Annotated[float, Field(ge=0, le=1)]
Concentration = Annotated[float, Field(ge=0, le=1000)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class AugmentConfig:
    """Augmentation of training images."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Shift by up to N pixels each way: a random crop after padding."""
    translate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Translate by up to this share of the width and of the height each way."""
    flip: Probability = 0.0
    """Probability of a horizontal flip."""
    alternate: bool = False
    """Draw the horizontal flip in the first epoch only, and invert it in every second epoch (alternating flip)."""
    vertical_flip: Probability = 0.0
    """Probability of a vertical flip."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Rotate by up to N degrees each way."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Scale by up to this share: 0.1 draws a factor from 0.9 to 1.1."""
    shear: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Shear along each axis by up to this share of the distance from the centre."""
    crop_area: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Random resized crop: at least this share of the area, with an aspect ratio of 3:4 to 4:3; 1: no crop."""
    border: Border = "black"
    """Fill the area outside the image: black, the pixels at the edge, or a mirror image."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply all values by a factor of 1 plus or minus up to this share."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply distances from the mean grey by a factor of 1 plus or minus up to this share."""
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply distances from the grey of each pixel by a factor of 1 plus or minus up to this share."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Rotate the hue by up to this share of the colour circle each way; 0.5 reaches the opposite colour."""
    lighting: Annotated[float, Field(ge=0, le=1)] = 0.0
    """PCA lighting noise: normal draws of this standard deviation along the principal axes of RGB in photographs."""
    grey: Probability = 0.0
    """Probability of conversion to grey."""
    blur: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Gaussian blur with a standard deviation from 0 to N pixels."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Add normal noise of this standard deviation, as a share of white."""
    erase: Probability = 0.0
    """Random erasing: probability that a rectangle of 2% to 20% of the image is replaced by the mean."""
    policy: Policy | None = None
    """Published policy: randaugment, several operations of one strength; trivialaugment, one of any strength."""
    magnitude: Annotated[float, Field(ge=0, le=10)] = 9.0
    """Strength of the operations of randaugment."""
    number: Annotated[int, Field(ge=1, le=14)] = 2
    """Number of operations of randaugment per image."""
    mixup: Concentration = 0.0
    """Mixup: blend pairs of images and their labels by a share from Beta(alpha, alpha) with this alpha; 0: no mixup."""
    cutmix: Concentration = 0.0
    """CutMix: exchange a box between pairs, with a share from Beta(alpha, alpha) with this alpha; 0: no CutMix."""

    @property
    def mixes(self) -> bool:
        """Whether pairs of images are mixed, and labels become probabilities."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def moves(self) -> bool:
        """Whether there is a spatial transform."""
        return bool(self.shift or self.flip or self.vertical_flip or self.resamples)

    @property
    def recolours(self) -> bool:
        """Whether there are photometric changes."""
        colours = self.brightness or self.contrast or self.saturation or self.hue or self.lighting or self.grey
        return bool(colours or self.blur or self.noise or self.policy)

    @property
    def resamples(self) -> bool:
        """Whether a spatial transform needs interpolation."""
        turns = self.rotate or self.scale or self.shear or self.translate
        return bool(turns or self.policy or self.crop_area < 1)

    @property
    def leaves(self) -> bool:
        """Whether a spatial transform can reach outside the image."""
        return bool(self.shift or self.translate or self.rotate or self.scale or self.shear or self.policy)

    def ignored(self) -> dict[str, str]:
        found = {}
        if not self.leaves:
            found["border"] = "nothing is shifted, translated, rotated, scaled or sheared"
        if not self.flip:
            found["alternate"] = "flip is 0"
        if self.grey == 1:
            found |= dict.fromkeys(("saturation", "hue"), "grey is 1")
        if self.policy != "randaugment":
            found |= dict.fromkeys(("magnitude", "number"), "the policy is not randaugment")
        return found


def check_augment(config: AugmentConfig, shape: tuple[int, ...]) -> None:
    """Raises ConfigError for a setting that images of this shape, (C, H, W), can't take."""
    channels, height, width = shape
    if config.shift >= min(height, width):
        rule = "augment.shift must be smaller than the images."
        raise ConfigError(rule, received=f"{config.shift} for images of {height}x{width}", fix="Reduce it.")
    coloured = [name for name in ("saturation", "hue", "lighting", "grey") if getattr(config, name)]
    if channels != 3 and coloured:
        rule = f"A setting must have an effect. augment.{coloured[0]} needs images of three channels."
        received = agree("{n} channel(|s)", channels)
        raise ConfigError(rule, received=received, fix="Remove it, or set --image.channels 3.")
