"""The settings of the pictures' augmentation, the section `augment` of a run."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.errors import ConfigError
from neocog.settings import SETTINGS

__all__ = ["AugmentConfig", "Border", "Policy", "check_augment"]

Border = Literal["black", "edge", "mirror"]
Policy = Literal["randaugment", "trivialaugment"]
Probability = Annotated[float, Field(ge=0, le=1)]
Concentration = Annotated[float, Field(ge=0, le=1000)]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class AugmentConfig:
    """Random changes of training pictures."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Move by up to so many pixels each way: a random crop after padding."""
    translate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Move by up to this share of the width and of the height each way."""
    flip: Probability = 0.0
    """Chance of a mirror image, left to right."""
    alternate: bool = False
    """Draw the mirror image in the first epoch only, and turn it round in every second."""
    vertical_flip: Probability = 0.0
    """Chance of a mirror image, top to bottom."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Turn by up to so many degrees each way."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Grow or shrink by up to this share: 0.1 draws from 0.9 to 1.1."""
    shear: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Slant along each axis by up to this share of the distance from the centre."""
    crop_area: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Cut out a part of at least this share of the area, 3:4 to 4:3 in shape, and stretch it to the whole; 1: never."""
    border: Border = "black"
    """What comes in from outside of the picture."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply all values by 1 plus or minus up to so much."""
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply distances from the mean grey by 1 plus or minus up to so much."""
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Multiply distances from each pixel's grey by 1 plus or minus up to so much."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Turn the circle of colours by up to this share each way; 0.5 reaches the opposite colour."""
    lighting: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Move all colours along the principal axes of photographs' RGB, by normal draws of this standard deviation."""
    grey: Probability = 0.0
    """Chance that a picture loses its colours."""
    blur: Annotated[float, Field(ge=0, le=32)] = 0.0
    """Blur by a Gaussian of a width drawn from 0 to so many pixels."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Add normal noise of this standard deviation, as a share of white."""
    erase: Probability = 0.0
    """Chance that a rectangle of 2% to 20% of the picture is replaced by the mean."""
    policy: Policy | None = None
    """Draw published changes, randaugment: several of one strength, trivialaugment: one of any; unset: none."""
    magnitude: Annotated[float, Field(ge=0, le=10)] = 9.0
    """How strong the changes of randaugment are."""
    number: Annotated[int, Field(ge=1, le=14)] = 2
    """How many changes randaugment makes to a picture."""
    mixup: Concentration = 0.0
    """Blend pairs of pictures and of their labels by a share from Beta(so much, so much); 0: never."""
    cutmix: Concentration = 0.0
    """Exchange a box between pairs, and its share of the labels, from Beta(so much, so much); 0: never."""

    @property
    def mixes(self) -> bool:
        """Whether pairs of pictures are mixed, and labels become probabilities."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def moves(self) -> bool:
        """Whether values change their places."""
        return bool(self.shift or self.flip or self.vertical_flip or self.resamples)

    @property
    def recolours(self) -> bool:
        """Whether values change."""
        colours = self.brightness or self.contrast or self.saturation or self.hue or self.lighting or self.grey
        return bool(colours or self.blur or self.noise or self.policy)

    @property
    def resamples(self) -> bool:
        """Whether pictures are moved by more than mirrors and whole pixels."""
        turns = self.rotate or self.scale or self.shear or self.translate
        return bool(turns or self.policy or self.crop_area < 1)

    @property
    def leaves(self) -> bool:
        """Whether a move can bring in what is outside of the picture."""
        return bool(self.shift or self.translate or self.rotate or self.scale or self.shear or self.policy)

    def ignored(self) -> dict[str, str]:
        found = {}
        if not self.leaves:
            found["border"] = "nothing is shifted, rotated, scaled or slanted"
        if not self.flip:
            found["alternate"] = "flip is 0"
        if self.grey == 1:
            found |= dict.fromkeys(("saturation", "hue"), "grey is 1")
        if self.policy != "randaugment":
            found |= dict.fromkeys(("magnitude", "number"), "the policy is not randaugment")
        return found


def check_augment(config: AugmentConfig, shape: tuple[int, int, int]) -> None:
    """Raises ConfigError for a setting that pictures of this shape, (C, H, W), can't take."""
    channels, height, width = shape
    if config.shift >= min(height, width):
        raise ConfigError(
            f"augment.shift must be smaller than the pictures. Received: {config.shift} for pictures of "
            f"{height}x{width}."
        )
    coloured = [name for name in ("saturation", "hue", "lighting", "grey") if getattr(config, name)]
    if channels != 3 and coloured:
        raise ConfigError(
            f"A setting must have an effect. augment.{coloured[0]} needs pictures of three channels. Received: "
            f"{channels}. Remove it, or set --image.channels 3."
        )
