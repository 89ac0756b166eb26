"""What all networks of the zoo have in common: a stem, stages and a head."""

from typing import TYPE_CHECKING, NamedTuple, Self

from torch import Tensor, nn

if TYPE_CHECKING:
    from neocog.zoo.origin import Origin

__all__ = ["Network", "Normalisation", "WithAuxiliary"]


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel, of values from 0 to 1, that weights were trained with."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class WithAuxiliary(NamedTuple):
    """What a network with auxiliary classifiers gives while it is trained; in evaluation mode it gives logits alone."""

    logits: Tensor
    auxiliary: tuple[Tensor, ...]
    """The logits of each auxiliary classifier."""
    weight: float
    """Of each auxiliary classifier's loss, where that of the logits has 1."""


class Network(nn.Module):
    """A network in three parts, which a subclass sets.

    `stem` meets the input, each of `stages` works at one resolution, `head` turns maps into what is asked for. Stem and
    stages are the backbone. Where the parts are not simply one behind the other, a subclass says how in `forward`.
    """

    stem: nn.Module
    stages: nn.Sequential
    head: nn.Module
    origin: "Origin | None" = None
    """How `create_model` built it."""
    num_frozen: int | None = None
    """How many stages are frozen, and the stem with them; None: nothing is."""
    normalisation: Normalisation | None = None
    """What published weights expect of their input; None: that of the data at hand will do."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, in_channels, H, W) images -> (N, num_classes) logits."""
        return self.head(self.stages(self.stem(images)))  # type: ignore[no-any-return]

    def features(self, images: Tensor) -> list[Tensor]:
        """The maps that each stage gives, the first stage's first."""
        maps, found = self.stem(images), []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found

    def begin_with(self, images: Tensor) -> None:
        """Take from training images, as the network will see them, what it begins with; most take nothing."""

    def freeze(self, num_stages: int | None = None) -> Self:
        """Keep the stem and the first stages as they are; without a number, all stages.

        Their parameters get no gradient, and they stay in evaluation mode whatever `train` says, so that the statistics
        of batch norm stand still too. Later stages are set free.
        Raises ValueError for more stages than there are.
        """
        count = len(self.stages) if num_stages is None else num_stages
        if not 0 <= count <= len(self.stages):
            raise ValueError(f"{type(self).__name__} has {len(self.stages)} stages. Received: freeze({num_stages}).")
        self.unfreeze()
        self.num_frozen = count
        for part in self.frozen_parts():
            part.requires_grad_(False)
        return self.train(self.training)

    def unfreeze(self) -> Self:
        """Let everything learn again."""
        self.num_frozen = None
        return self.requires_grad_(True).train(self.training)

    def frozen_parts(self) -> list[nn.Module]:
        """The stem and the stages that are frozen."""
        return [] if self.num_frozen is None else [self.stem, *list(self.stages)[: self.num_frozen]]

    def train(self, mode: bool = True) -> Self:
        """As in torch, save that what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in self.frozen_parts():
            part.eval()
        return self
