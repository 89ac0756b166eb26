"""Settings of the network."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from neocog.settings import SETTINGS
from neocog.zoo.catalog import entry

__all__ = ["ModelConfig"]


@dataclass(frozen=True, kw_only=True, slots=True, config=SETTINGS)
class ModelConfig:
    """Which network."""

    name: str = "lenet5_relu"
    """A name from `neocog.list_models()`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Chance that a hidden unit of the dense layers is silent in a training step."""

    def ignored(self) -> dict[str, str]:
        has_dropout = "dropout" in entry(self.name).options
        return {} if has_dropout else {"dropout": f"{self.name} has no dropout"}

    @property
    def options(self) -> dict[str, float]:
        """What is passed to the network's builder."""
        return {"dropout": self.dropout} if "dropout" in entry(self.name).options else {}
