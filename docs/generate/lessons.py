"""The lessons of the Studio as pages. Claims are computed here, and figures of the Bench are drawn from its engine."""

import html
import io
from urllib.parse import urlencode

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from neocog.studio.bench_setting import Setting, operation_of
from neocog.studio.lessons import Claim, Exercise, Lesson, Show, Step, load_lessons
from neocog.studio.lessons.claims import claim_code, compute, holds
from neocog.studio.lessons.exercises import bench_facts, numbers, per_axis, sides

__all__ = ["lesson_pages"]

LARGEST = 12  # cells along a side of a grid that is drawn
OPERATIONS = {
    "conv": "convolution", "transposed": "transposed convolution", "max": "max pooling", "average": "mean pooling"
}  # fmt: skip
LONG = 60  # characters of a value that is shown


def lesson_pages() -> dict[str, str | bytes]:
    """File below docs/generated -> its content: an index, a page for each lesson, and its figures."""
    lessons = load_lessons()
    pages: dict[str, str | bytes] = {"lessons/index.md": index(lessons)}
    for number, lesson in enumerate(lessons, 1):
        text, figures = lesson_page(number, lesson)
        pages[f"lessons/{number:02}.md"] = text
        pages |= figures
    return pages


def index(lessons: tuple[Lesson, ...]) -> str:
    rows = [
        f"| {n} | [{one.title}]({n:02}.md) | {one.minutes} min | {one.able[0]} |" for n, one in enumerate(lessons, 1)
    ]
    hours = sum(lesson.minutes for lesson in lessons) / 60
    about = (
        f"A course on convolutional networks, about {hours:.0f} hours. Every number in it is computed when these pages "
        "are built, by the functions that are named beside it."
    )
    return "\n".join([
        "# Lessons", "",
        "    neocog studio         # the same lessons, beside screens that you can change", "",
        about, "",
        "| | lesson | time | you will be able to |", "|---|---|---|---|", *rows, "",
        "```{toctree}", ":hidden:", "", *(f"{number:02}" for number in range(1, len(lessons) + 1)), "```", "",
    ])  # fmt: skip


def lesson_page(number: int, lesson: Lesson) -> tuple[str, dict[str, bytes]]:
    figures: dict[str, bytes] = {}
    parts = [f"# {number}. {lesson.title}", f"About {lesson.minutes} minutes. Afterwards you will be able to"]
    parts.append("\n".join(f"- {able}" for able in lesson.able))
    for place, step in enumerate(lesson.steps, 1):
        parts += step_parts(step)
        if step.show and (drawn := draw(step.show)):
            name = f"{number:02}-{place}.png"
            figures[f"lessons/{name}"] = drawn
            parts.append(f"![{figure_words(step.show)}]({name})")
        if step.show:
            parts.append(show_words(step.show, step.look))
        parts += claim_parts(step.claims)
    parts.append("## Exercises")
    for place, exercise in enumerate(lesson.exercises, 1):
        parts += exercise_parts(place, exercise)
    if lesson.reading:
        parts += ["## Reading", "\n".join(f"- {source}" for source in lesson.reading)]
    return "\n\n".join(parts) + "\n", figures


def step_parts(step: Step) -> list[str]:
    """Title, text and grids of a step."""
    parts = [f"## {step.title}", step.text.strip()]
    if step.grids:
        parts.append(
            "```text\n" + "\n\n".join(f"{name}\n{grid_text(grid)}" for name, grid in step.grids.items()) + "\n```"
        )
    return parts


def grid_text(grid: list[list[float]]) -> str:
    """
    >>> print(grid_text([[1, -2], [0.5, 10]]))
      1  -2
    0.5  10
    """
    cells = [[f"{value:g}" for value in row] for row in grid]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def show_words(show: Show, look: str) -> str:
    """Where the Studio shows it, and what to look at there."""
    address = f"#/{show.screen}" + (f"?{urlencode(show.query, safe=',')}" if show.query else "")
    example = f", with the example {show.example}" if show.example else ""
    text = f"In the Studio{example}: `{address}`"
    return f"{look.strip()}\n\n{text}" if look else text


def claim_parts(claims: tuple[Claim, ...]) -> list[str]:
    """Each claim with what the engine computes. Raises ValueError for one that does not hold."""
    if not claims:
        return []
    rows = ["| | computed | by |", "|---|---|---|"]
    for claim in claims:
        found = compute(claim.check, claim.args)
        if not holds(found, claim.equals, claim.within):
            raise ValueError(f"A lesson says: {claim.say} Computed: {found}.")
        call = claim_code(claim.check, claim.args).splitlines()[-1].removeprefix("print(").removesuffix(")")
        rows.append(f"| {cell(claim.say)} | {cell(value_text(found))} | `{cell(shorten(call))}` |")
    return ["\n".join(rows)]


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def value_text(value: object) -> str:
    """
    >>> value_text(28), value_text([4.0, 4.0]), value_text(0.30000000000000004)
    ('28', '[4, 4]', '0.3')
    """
    if isinstance(value, bool) or not isinstance(value, int | float | list):
        return str(value)
    if isinstance(value, list):
        return shorten("[" + ", ".join(value_text(each) for each in value) + "]")
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def shorten(text: str) -> str:
    return text if len(text) <= LONG else f"{text[: LONG - 4]} ..."


def exercise_parts(place: int, exercise: Exercise) -> list[str]:
    parts = [f"### Exercise {place}", exercise.ask.strip()]
    parts.append("\n".join(f"{letter}. {choice}" for letter, choice in zip("123456", exercise.choices, strict=False)))
    if exercise.kind == "number":
        found = compute(exercise.check, exercise.args)
        for step in exercise.at:
            found = found[step]
        if not holds(found, exercise.number, exercise.within):
            raise ValueError(f"An exercise asks: {exercise.ask} Computed: {found}.")
        answer = f"{value_text(found)} {exercise.unit}".strip()
    elif exercise.kind == "choice":
        answer = f"Choice {exercise.right + 1}."
    else:
        output = " x ".join(map(str, bench_facts(exercise.solution)["output"]))
        answer = f"One way, with an output of {output}: `#/bench?{urlencode(exercise.solution, safe=',')}`."
    parts += [hidden("Hint", exercise.hint), hidden("Answer", f"{answer}\n\n{exercise.why.strip()}")]
    return [part for part in parts if part] + claim_parts(exercise.claims)


def hidden(title: str, text: str) -> str:
    """A part of the page that a click opens."""
    return f"<details><summary>{html.escape(title)}</summary>\n\n{text.strip()}\n\n</details>"


def setting_of(query: dict[str, str]) -> Setting:
    """The setting of Bench that an address describes."""
    op, size = query.get("op", "conv"), numbers(query, "size", "5x5")
    axes = len(size)
    kernel = per_axis(query, "kernel", axes, 3)
    stride = kernel if op in ("max", "average") and "stride" not in query else per_axis(query, "stride", axes, 1)
    lists = {name: [float(each) for each in query[name].split(",")] for name in ("x", "w", "bias") if query.get(name)}
    texts = {name: query[name] for name in ("pattern", "filter") if query.get(name)}
    return Setting(
        op=op, size=size, kernel=kernel, stride=stride, padding=sides(query, axes),
        dilation=per_axis(query, "dilation", axes, 1), output_padding=per_axis(query, "outpad", axes, 0),
        in_channels=int(query.get("in", 1)), out_channels=int(query.get("out", 1)), groups=int(query.get("groups", 1)),
        ceil_mode=query.get("ceil") == "1", count_include_pad=query.get("count_pad") != "0",
        flip=query.get("flip") == "1",
        **lists, **texts,
    )  # fmt: skip


def figure_words(show: Show) -> str:
    names = {
        "conv": "convolution",
        "transposed": "transposed convolution",
        "max": "max pooling",
        "average": "average pooling",
    }
    return f"Input and output of a {names[show.query.get('op', 'conv')]}, as Bench computes them"


def draw(show: Show) -> bytes | None:
    """Input, kernel and output that Bench shows, as PNG; None for other screens, several channels and large grids."""
    if show.screen != "bench" or "network" in show.query:
        return None
    operation = operation_of(setting_of(show.query))
    grids = {"input": operation.x, "output": operation.y}
    if not operation.pools:
        grids = {
            "input": operation.x,
            "kernel": operation.kernels_given.reshape(-1, *operation.kernels_given.shape[2:]),
        }
        grids["output"] = operation.y
    planes = {name: np.atleast_2d(grid[0]) for name, grid in grids.items() if len(grid) == 1}
    if len(planes) < len(grids) or any(max(plane.shape) > LARGEST for plane in planes.values()):
        return None
    widths = [plane.shape[1] for plane in planes.values()]
    height = max(plane.shape[0] for plane in planes.values())
    figure, axes = pyplot.subplots(
        1, len(planes), figsize=(0.42 * (sum(widths) + 2 * len(widths)), 0.42 * height + 0.5),
        width_ratios=widths, layout="constrained",
    )  # fmt: skip
    for axis, (name, plane) in zip(axes, planes.items(), strict=True):
        limit = float(np.abs(plane).max()) or 1.0
        axis.imshow(plane, cmap="RdBu_r", vmin=-2.2 * limit, vmax=2.2 * limit)
        for (row, column), value in np.ndenumerate(plane):
            axis.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7)
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    pyplot.close(figure)
    return file.getvalue()
