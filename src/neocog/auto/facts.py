"""A few facts about the training data, of whatever kind, by which candidates are chosen."""

from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["Facts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Facts about the training samples. Those below `num_test` are of images alone."""

    modality: str
    num_train: int
    """Training and validation samples together."""
    num_test: int
    num_classes: int
    height: int = 0
    """Of the median image."""
    width: int = 0
    even_aspect: bool = True
    """Whether nearly all images have the aspect ratio of the median one."""
    channels: int = 3
    useful_size: int = 224
    """Side beyond which more pixels neither hold more nor tell classes better apart."""
    decode_seconds: float = 0.0
    """To read an image and decode it to the usual size of 128; 0: it is in memory."""
    mirror: bool = False
    """Whether mirror images (left and right exchanged) occur within a class."""
    flip: bool = False
    """Whether upside-down mirror images do."""

    @property
    def grey(self) -> bool:
        return self.channels == 1

    @property
    def side(self) -> int:
        """The shorter side of the median image."""
        return min(self.height, self.width)

    def size(self, side: int) -> tuple[int, int]:
        """Height and width with about the area of a square of this side, in the aspect ratio of the images.

        A square if they vary in aspect, or nearly are squares; else both sides are multiples of 16.

        >>> facts = Facts(modality="image", num_train=1, num_test=1, num_classes=2, height=100, width=200)
        >>> facts.size(128)
        (96, 176)
        """
        aspect = self.width / self.height if self.height else 1.0
        if not self.even_aspect or 0.85 < aspect < 1.18:
            return side, side
        aspect = min(4.0, max(0.25, aspect))
        sides = (side / aspect**0.5, side * aspect**0.5)
        height, width = (max(16, round(one / 16) * 16) for one in sides)
        return height, width

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        return cls(**found)
