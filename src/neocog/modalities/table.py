"""The table of kinds of data: everything that the program asks about a kind, in one row each.

A row lies in the kind's own folder and is imported when it is first asked for. Nothing else compares modalities: who
needs to know asks `MODALITIES[name]`. A new kind of data is a new row, from this package or from outside of it.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neocog.dataset.record import Modality, Payload, Source
from neocog.errors import DataError, did_you_mean
from neocog.modalities.augment import Key, Stage
from neocog.modalities.draw import Drawing, draw_text
from neocog.modalities.image.pages import SeveralPages
from neocog.modalities.preprocess import Preprocess

if TYPE_CHECKING:
    from neocog.modalities.draw_map import Heat

__all__ = ["MODALITIES", "Choose", "ModalityInfo", "read_preprocess", "register_modality"]


class Choose(Protocol):
    """Chooses a preprocessing: what the settings leave open follows from the training samples and the network.

    `input_shape` is what the network was made for and `network` its name; with `skip`, samples that can't be read are
    skipped; `several` gathers image files with several pages; `dense` says that the targets have places.
    Returns the preprocessing, and a reason for each setting that was chosen.
    """

    def __call__(
        self,
        source: Source,
        indices: NDArray[np.int64],
        settings: Any,
        input_shape: tuple[int, ...],
        /,
        *,
        network: str = "",
        skip: bool = False,
        several: SeveralPages | None = None,
        dense: bool = False,
    ) -> tuple[Preprocess, dict[str, str]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalityInfo:
    """A kind of data. Only the first five are needed."""

    name: Modality
    """As bundles, shards and sources store it."""
    noun: str
    """One sample, such as image."""
    plural: str
    preprocess: type[Preprocess]
    choose: Choose

    suffixes: frozenset[str] = frozenset()
    """Of files that hold one sample each, as `neocog predict FOLDER` looks for."""
    network: str = ""
    """A network of the zoo that takes it, as an example."""
    recipe: str = "general"
    """The recipe that trains it if none is named."""
    recipe_for_network: str = ""
    """The same if a network is named; empty: `recipe`."""

    section: str = ""
    """The section of a run's settings that `choose` takes; empty: there is none."""
    augment_section: str = ""
    """The section of a run's settings that `augment` takes; empty: there is none."""
    augment: Callable[[Any, Preprocess, Key], list[Stage]] | None = None
    """From its settings, the stages that augment and normalise decoded inputs."""
    check_augment: Callable[[Any, tuple[int, ...]], None] | None = None
    """Raises ConfigError for augmentation that inputs of a shape can't take."""
    inactive: Callable[[str], tuple[frozenset[str], str]] | None = None
    """Settings, by dotted key, that have no effect with a network of some name, and why."""
    size_advice: str = ""
    """How to give a network the size that it was made for, with {length} in it."""

    is_text: bool = False
    """Whether a `str` is a sample, rather than the path of one."""
    tta: bool = False
    """Whether test-time augmentation applies."""
    resizable: bool = False
    """Whether `neocog pack --resize` applies."""
    feature: str | None = None
    """Its name among the features of Hugging Face's datasets, for Parquet; None: it can't be held there."""
    check_encoded: Callable[[bytes, str], object] | None = None
    """Decodes a sample's file whole. Raises DataError if it is damaged."""
    count_pages: Callable[[bytes], int] | None = None
    """How many samples a file holds, of which only the first is read."""
    near_duplicates: Literal["thumbs", "letters"] | None = None
    """How the doctor compares samples that are nearly equal."""

    draw: Callable[[Payload, Tensor | None, str], Drawing] = draw_text
    """A sample for a report: as the network sees it if it is decoded, not yet normalised, else as it is stored.
    Takes the payload, the decoded input if there is one, and a name."""
    draw_map: "Callable[[Any, Payload | None, Tensor, Preprocess | None, Heat], None] | None" = None
    """A map over a sample, on the axes of a Matplotlib figure; None: places of a grid are drawn as an image.
    Takes the axes, the payload, the decoded input, its preprocessing, and the map."""
    read_tokens: Callable[[Payload, Preprocess], list[tuple[str, bool]]] | None = None
    """The tokens that reach the network, and whether each is known to it; None for inputs that are numbers."""


class Modalities(Mapping[Modality, ModalityInfo]):
    """All kinds of data by name."""

    def __init__(self) -> None:
        folders = {"image": "image", "signal": "signal", "audio": "audio", "text": "text", "board": "go"}
        self.rows: dict[str, str | ModalityInfo] = {
            name: f"neocog.modalities.{folder}.modality" for name, folder in folders.items()
        }

    def __getitem__(self, name: Modality) -> ModalityInfo:
        """Raises DataError for an unknown kind of data."""
        if name not in self.rows:
            known = did_you_mean(str(name), self.rows)
            raise DataError("Unknown kind of data.", received=repr(name), fix=f"{known} Otherwise update Neocog.")
        row = self.rows[name]
        if isinstance(row, str):
            row = self.rows[name] = importlib.import_module(row).ROW
        return row

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __iter__(self) -> Iterator[Modality]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


MODALITIES = Modalities()


def register_modality(row: ModalityInfo) -> None:
    """Add a kind of data to the table. Raises DataError if there is another of this name."""
    if row.name in MODALITIES and MODALITIES[row.name] != row:
        raise DataError("A kind of data needs a name of its own.", received=repr(row.name), fix="Choose another name.")
    MODALITIES.rows[row.name] = row


def read_preprocess(spec: dict[str, Any]) -> Preprocess:
    """The inverse of any preprocessing's `to_json`. Raises DataError for an unknown kind of data, setting or version.

    >>> spec = MODALITIES["image"].preprocess.from_json({"version": 3, "size": [28, 28], "channels": 1})
    >>> read_preprocess(spec.to_json()) == spec
    True
    """
    if not isinstance(spec, dict):
        raise DataError("Preprocessing must be described by a mapping.", received=repr(spec)[:500])
    modality = spec.get("modality", "image")  # the first bundles held images only, and did not say so
    return MODALITIES[modality].preprocess.from_json(spec)
