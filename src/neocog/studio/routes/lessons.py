"""Lessons: their texts, their claims computed by the engine, answers to exercises, and example networks."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from neocog.errors import ConfigError
from neocog.studio.examples import EXAMPLES, open_example
from neocog.studio.lessons import Claim, Exercise, Lesson, Step, find_lesson, load_lessons
from neocog.studio.lessons.claims import claim_code, compute, holds
from neocog.studio.lessons.exercises import judge
from neocog.studio.state import Studio
from neocog.studio.wire import jsonable

__all__ = ["router"]

router = APIRouter(prefix="/api/lessons")


class Answer(BaseModel):
    """An answer to an exercise, or the wish to see it."""

    lesson: int
    exercise: int
    value: float | str | dict[str, str] | None = None
    reveal: bool = False


class Wanted(BaseModel):
    """An example network."""

    name: str


@router.get("")
def all_lessons() -> Any:
    """The lessons in order, and the example networks."""
    lessons = [
        {"number": number, "title": each.title, "minutes": each.minutes, "able": each.able, "steps": len(each.steps),
         "exercises": len(each.exercises)}
        for number, each in enumerate(load_lessons(), 1)
    ]  # fmt: skip
    examples = [{"name": name, "says": each.says, "trained": each.trained} for name, each in EXAMPLES.items()]
    return {"lessons": lessons, "examples": examples}


@router.get("/lesson")
def one_lesson(number: int) -> Any:
    """A lesson, without the answers to its exercises."""
    found = find_lesson(number)
    return jsonable({
        "number": number, "title": found.title, "minutes": found.minutes, "able": found.able, "reading": found.reading,
        "steps": [step_facts(step) for step in found.steps],
        "exercises": [exercise_facts(each) for each in found.exercises],
        "next": number + 1 if number < len(load_lessons()) else None,
    })  # fmt: skip


def step_facts(step: Step) -> dict[str, Any]:
    facts = step.model_dump(exclude={"claims"})
    return {
        **facts,
        "claims": [{"say": claim.say, "code": claim_code(claim.check, claim.args)} for claim in step.claims],
    }


def exercise_facts(exercise: Exercise) -> dict[str, Any]:
    shown = None if exercise.show is None else exercise.show.model_dump()
    return {
        "ask": exercise.ask,
        "kind": exercise.kind,
        "unit": exercise.unit,
        "choices": exercise.choices,
        "show": shown,
    }


@router.get("/claim")
def check_claim(lesson: int, step: int, claim: int) -> Any:
    """The engine's value for a claim of a step; steps and claims count from 0."""
    found = part(part(find_lesson(lesson).steps, step, "step").claims, claim, "claim")
    assert isinstance(found, Claim)
    value = compute(found.check, found.args)
    return jsonable({"value": value, "holds": holds(value, found.equals, found.within)})


def part(parts: Any, place: int, what: str) -> Any:
    """One of several. Raises ConfigError if there is none."""
    if not 0 <= place < len(parts):
        raise ConfigError(f"There is no such {what}.", received=str(place))
    return parts[place]


@router.post("/answer")
def check_answer(answer: Answer) -> Any:
    """Whether an answer is right; with a hint if it is not, and an explanation if it is, or if that is asked for."""
    lesson: Lesson = find_lesson(answer.lesson)
    exercise: Exercise = part(lesson.exercises, answer.exercise, "exercise")
    if answer.reveal:
        return {"right": False, "said": "", "hint": "", "why": exercise.why, "answer": answer_text(exercise),
                "solution": exercise.solution}  # fmt: skip
    value = int(answer.value) if exercise.kind == "choice" and isinstance(answer.value, float) else answer.value
    right, said = judge(exercise, value)
    return {"right": right, "said": said, "hint": "" if right else exercise.hint, "why": exercise.why if right else ""}


def answer_text(exercise: Exercise) -> str:
    """The answer, for someone who gives up."""
    if exercise.kind == "number":
        assert exercise.number is not None
        return f"{exercise.number:,.10g} {exercise.unit}".strip()
    if exercise.kind == "choice":
        return exercise.choices[exercise.right or 0]
    return ", ".join(f"{name} {value}" for name, value in exercise.solution.items())


@router.post("/example")
def start_example(request: Request, wanted: Wanted) -> Any:
    """Open an example network in the background, and train it first if that is needed."""
    studio: Studio = request.app.state.studio
    work = open_example(studio, wanted.name)
    says = EXAMPLES[wanted.name].says
    return {**studio.jobs.start(f"example:{wanted.name}", says, work).facts(), "name": wanted.name, "says": says}
