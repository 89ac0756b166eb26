"""Ten lessons, which together are a course on convolutional networks: data files, read and checked here.

    01-....yaml     a title, what the reader will be able to do, steps, exercises
    checkers        the closed list of functions that compute claims
    claims          how a claim is computed and compared; a test does so for every claim of every lesson
    exercises       how an answer is judged: by a number, a choice, or the state of Bench

A step has a text, a screen that it shows, and claims. In texts, a blank line ends a paragraph, lines that are indented
by four spaces are set as they are, and `code` is written between backticks.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neocog.errors import ConfigError
from neocog.studio.lessons.checkers import CHECKERS

__all__ = ["Claim", "Exercise", "Lesson", "Show", "Step", "find_lesson", "load_lessons"]

Text = Annotated[str, Field(min_length=1)]
SCREENS = ("bench", "anatomy", "image", "filter", "runs")


class Part(BaseModel):
    """A part of a lesson; a name that isn't known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Claim(Part):
    """A sentence with a value in it, and the checker that computes the value."""

    say: Text
    check: Text
    args: dict[str, Any] = {}
    equals: Any
    within: float = 1e-9

    @model_validator(mode="after")
    def known(self) -> Self:
        if self.check not in CHECKERS:
            raise ValueError(f"no checker is called {self.check!r}")
        return self


class Show(Part):
    """A screen, and what it is to show, as its address has it."""

    screen: Text
    query: dict[str, str] = {}
    example: str = ""
    """The example network that is opened first, if the screen looks into one."""

    @model_validator(mode="after")
    def known(self) -> Self:
        if self.screen not in SCREENS:
            raise ValueError(f"no screen is called {self.screen!r}")
        return self


class Step(Part):
    """One idea: a text, small grids of numbers, a screen beside it, what to look at, claims."""

    title: Text
    text: Text
    grids: dict[str, list[list[float]]] = {}
    show: Show | None = None
    look: str = ""
    claims: tuple[Claim, ...] = ()


class Exercise(Part):
    """A question that the page checks: exactly one of `number`, `choices` and `bench` is given."""

    ask: Text
    hint: Text
    why: Text
    number: float | None = None
    """The answer."""
    check: str = ""
    args: dict[str, Any] = {}
    """How the engine computes that number."""
    at: tuple[int, ...] = ()
    """Where it is in what the checker gives; empty: it is all of it."""
    within: float = 1e-9
    unit: str = ""
    choices: tuple[str, ...] = ()
    right: int | None = None
    """The place of the right choice."""
    bench: dict[str, Any] = {}
    """The settings of Bench, and the results, that are wanted."""
    solution: dict[str, str] = {}
    """One setting of Bench that does it."""
    show: Show | None = None
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def one_kind(self) -> Self:
        kinds = (self.number is not None, bool(self.choices), bool(self.bench))
        if sum(kinds) != 1:
            raise ValueError("an exercise has a number, choices, or a state of Bench")
        if self.choices and (self.right is None or not 0 <= self.right < len(self.choices)):
            raise ValueError("one of the choices is right")
        if self.number is not None and self.check not in CHECKERS:
            raise ValueError("a number has a checker that computes it")
        if self.bench and not self.solution:
            raise ValueError("a state of Bench has a solution")
        return self

    @property
    def kind(self) -> str:
        return "number" if self.number is not None else "choice" if self.choices else "bench"


class Lesson(Part):
    """A guided tour over the screens."""

    title: Text
    minutes: Annotated[int, Field(ge=1)]
    able: Annotated[tuple[Text, ...], Field(min_length=1)]
    reading: tuple[Text, ...] = ()
    steps: Annotated[tuple[Step, ...], Field(min_length=5, max_length=9)]
    exercises: Annotated[tuple[Exercise, ...], Field(min_length=2, max_length=3)]

    @property
    def claims(self) -> list[Claim]:
        """All claims, those of exercises included."""
        parts: list[Step | Exercise] = [*self.steps, *self.exercises]
        return [claim for part in parts for claim in part.claims]


@cache
def load_lessons() -> tuple[Lesson, ...]:
    """All lessons in order.

    >>> len(load_lessons())
    10
    """
    folder = resources.files("neocog.studio.lessons")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return tuple(read_lesson(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files)


def read_lesson(tree: Mapping[str, Any]) -> Lesson:
    return Lesson.model_validate(tree)


def find_lesson(number: int) -> Lesson:
    """A lesson by its number, from 1. Raises ConfigError if there is none."""
    lessons = load_lessons()
    if not 1 <= number <= len(lessons):
        raise ConfigError(f"There are {len(lessons)} lessons.", received=f"lesson {number}", fix="Choose one of them.")
    return lessons[number - 1]
