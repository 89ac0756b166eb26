"""The samples of one split, as Python objects hold them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from neocog.dataset.record import Modality, Payload
from neocog.dataset.targets import AnyTargets, known_rows
from neocog.modalities.image.arrays import Images

__all__ = ["SplitData"]


@dataclass(frozen=True, slots=True, eq=False)
class SplitData:
    """The samples of one split, as they were handed over."""

    modality: Modality
    labels: AnyTargets
    read: Callable[[int], Payload]
    """Raises DataError that names the sample."""
    content: Callable[[], Iterator[bytes]]
    """Bytes that tell these payloads from others."""
    images: Images | None = None
    """All payloads at once, if they are images of one size: (N, H, W) or (N, H, W, C)."""
    classes: tuple[str, ...] | None = None
    """The names of the classes, if the object knows them."""
    num_unlabelled: int = 0
    """Samples without a label, which are left out."""

    def __len__(self) -> int:
        return len(self.labels)

    def labelled(self, *, hides: bool) -> "SplitData":
        """These samples without those of which nothing is known; if it `hides` labels, nor those with the number -1."""
        if isinstance(self.labels, list):
            return self
        known = known_rows(self.labels)
        if hides and self.labels.dtype.kind == "i":
            known &= self.labels != -1
        if known.all():
            return self
        kept = np.flatnonzero(known)
        return replace(
            self,
            labels=self.labels[kept],
            read=lambda index: self.read(int(kept[index])),
            images=None if self.images is None else self.images[kept],
            num_unlabelled=self.num_unlabelled + len(self) - len(kept),
        )
