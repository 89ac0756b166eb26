"""A candidate of the race: settings for a run, under a name that people can read."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from neocog.runs import ResolvedConfig, RunConfig, SetBy
from neocog.runs.config import flat, with_defaults

__all__ = ["Candidate", "differences", "distinct", "is_fixed", "with_candidate"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings by dotted key, laid under those of the user."""

    name: str
    """Such as `efficientnet_lite0 at 160x160, trained on ImageNet`."""
    settings: Mapping[str, Any]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """By dotted key, where there is more to say than the candidate's name."""
    family: str = ""
    """Candidates of one family differ in the size of their network alone; the table has the smaller ones first."""
    image_seconds: float | None = None
    """In which an image goes forward and backward here, if that was measured."""
    least_seconds: float = 3.0
    """A shorter trial says nothing about it."""

    @property
    def transfer(self) -> bool:
        """Whether it starts from published weights, with a head fitted to frozen features."""
        return self.settings.get("model.head") == "logistic"


def with_candidate(base: ResolvedConfig, candidate: Candidate, chosen_by: str) -> ResolvedConfig:
    """The settings with a candidate's, except those that the user has decided."""
    return base.choose(
        {
            key: (value, candidate.reasons.get(key, chosen_by))
            for key, value in candidate.settings.items()
            if not is_fixed(base, key)
        }
    )


def is_fixed(base: ResolvedConfig, key: str) -> bool:
    """Whether the user has set a value, or it follows from what the user has set."""
    return base.set_by_user(key) or base.provenance[key].by is SetBy.CHOSEN


def distinct(base: ResolvedConfig, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates with the user's values in their settings, without those that are then equal to an earlier one."""
    fixed = {key: value for key, value in flat(base.config) if is_fixed(base, key)}
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        settings = {key: fixed.get(key, value) for key, value in candidate.settings.items()}
        known = replace(candidate, name=named_by(candidate.name, fixed.get("image.size")), settings=settings)
        found.setdefault(repr(with_candidate(base, known, "").config), known)
    return list(found.values())


def named_by(name: str, size: tuple[int, int] | None) -> str:
    """The name of a candidate whose images the user has given another size.

    >>> named_by("speednet, narrow, 32x32", (64, 48))
    'speednet, narrow, 64x48'
    """
    return name if size is None else re.sub(r"\d+x\d+", f"{size[0]}x{size[1]}", name)


def differences(config: RunConfig) -> dict[str, Any]:
    """The settings of a recipe that differ from the defaults, by dotted key, without the data.

    >>> from neocog.recipes import recipe
    >>> differences(recipe("text", data="reviews.csv"))["train.epochs"]
    6
    """
    changed = {key: value for key, value, default in with_defaults(config) if value != default}
    known = dict(flat(config))
    return {key: known[key] for key in changed if key != "data.source"}
