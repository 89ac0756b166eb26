"""Settings of the network."""

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS
from neocog.zoo.create import model_info

__all__ = ["ModelConfig"]

NAMED_WEIGHTS = frozenset({"auto", "package", "torchvision"})
"""Values of `pretrained` that are never a path; `./auto` is one."""

# Settings that some builders take.
OPTIONS = (
    "dropout", "stochastic_depth", "auxiliary", "layer_scale", "widths", "depths", "activation", "stem_stride",
    "shrink", "vector_size",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ModelConfig:
    """Which network."""

    name: str = "lenet5_relu"
    """A name from `neocog zoo`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Chance that a hidden unit of the dense layers is silent in a training step; by default the network's own."""
    stochastic_depth: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Chance that the deepest block is skipped in a training step; by default the network's own."""
    auxiliary: bool | None = None
    """Train with auxiliary classifiers in the middle; by default as published."""
    layer_scale: Annotated[float, Field(gt=0)] | None = None
    """Initial factor of each block's branch; by default as published."""
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None
    """Channels of each stage; by default as published."""
    depths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None
    """Convolutions of each stage, as many numbers as `widths`; by default as published."""
    activation: Literal["gelu", "relu"] | None = None
    """Activation function; by default as published. ReLU is cheaper on a CPU."""
    stem_stride: Annotated[int, Field(ge=1)] | None = None
    """Step of the first filters: with two, all maps that follow have half the sides; by default as published."""
    shrink: Annotated[int, Field(ge=1, le=4)] | None = None
    """Find objects on images of 1/N of the sides, in 1/N^2 of the time: for objects of 16 N pixels or more."""
    vector_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Numbers of a word vector; by default those of the vectors in text.vectors, or as published."""
    pretrained: str | None = None
    """Weights to start from: torchvision, timm/NAME (both fetched), package (of an installed package), auto (what is
    installed or cached; else none), a .pth or .safetensors file, or your own model, by its run folder or its
    model.neocog."""
    head: Literal["random", "logistic"] | None = None
    """Start of the last dense layer for new classes: random, or logistic regression on the features of the pretrained
    network, for numbers ridge regression, before training (linear probing, then fine-tuning); random by default."""
    head_limit: Annotated[int, Field(ge=1)] | None = None
    """Fit the head to at most N training samples; unset: to all, or to as many as fit into train.minutes."""
    freeze: Annotated[int, Field(ge=0)] | None = None
    """Freeze the stem and the first N stages."""

    def ignored(self) -> dict[str, str]:
        there = model_info(self.name).options
        found = {option: f"{self.name} has no {option}" for option in OPTIONS if option not in there}
        return found if self.head == "logistic" else {**found, "head_limit": "model.head is not logistic"}

    @property
    def options(self) -> dict[str, Any]:
        """The arguments for the network's builder."""
        there = model_info(self.name).options
        given = {option: getattr(self, option) for option in OPTIONS if option in there}
        return {option: value for option, value in given.items() if value is not None}
