"""How an answer is judged: a number, a choice, or the state of Bench."""

import math
from collections.abc import Mapping
from typing import Any

from neocog import arithmetic
from neocog.errors import ConfigError, GeometryError
from neocog.studio.lessons import Exercise
from neocog.studio.lessons.claims import holds

__all__ = ["bench_facts", "judge"]

POOLS = ("max", "average")


def judge(exercise: Exercise, answer: Any) -> tuple[bool, str]:
    """Whether an answer is right, and what is to be said about it besides.

    A number as a number or as text, a choice as its place from 0, Bench as the query of its address.
    """
    if exercise.kind == "number":
        return judge_number(exercise, answer)
    if exercise.kind == "choice":
        return answer == exercise.right, ""
    return judge_bench(exercise.bench, answer if isinstance(answer, Mapping) else {})


def judge_number(exercise: Exercise, answer: Any) -> tuple[bool, str]:
    text = str(answer).strip().replace(",", "").replace("\u2009", "").replace(" ", "")
    try:
        value = float(text)
    except ValueError:
        return False, "That is not a number."
    if not math.isfinite(value):
        return False, "That is not a number."
    return holds(value, exercise.number, exercise.within), ""


def judge_bench(wanted: Mapping[str, Any], query: Mapping[str, str]) -> tuple[bool, str]:
    """Whether Bench is set as it is wanted; else the first thing that is not."""
    try:
        found = bench_facts(query)
    except (GeometryError, ConfigError) as error:
        return False, str(error)
    for name, value in wanted.items():
        if not holds(found.get(name), value):
            return False, f"Bench has {name} {words(found.get(name))}, not {words(value)}."
    return True, ""


def words(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list) else str(value)


def bench_facts(query: Mapping[str, str]) -> dict[str, Any]:
    """The numbers that Bench shows for an address: its settings, output size, weights and multiply-accumulates.

    The address is read as Bench reads it; `static/js/screens/bench/query.js` describes it. Sizes are lists with a
    number for each axis, paddings with two. Raises GeometryError for sizes that don't fit, ConfigError for a setting
    that isn't whole numbers.

    >>> bench_facts({"size": "7x7", "kernel": "3x3", "stride": "2"})["output"]
    [3, 3]
    """
    op, size = query.get("op") or "conv", numbers(query, "size", "5x5")[:2]
    axes = len(size)
    kernel = per_axis(query, "kernel", axes, 3)
    stride = kernel if op in POOLS and not query.get("stride") else per_axis(query, "stride", axes, 1)
    dilation, extra = per_axis(query, "dilation", axes, 1), per_axis(query, "outpad", axes, 0)
    padding = sides(query, axes)
    rows = list(zip(size, kernel, stride, padding, dilation, extra, strict=True))
    if op == "transposed":
        output = [arithmetic.conv_transpose_output(i, k, s, p[0], more, d) for i, k, s, p, d, more in rows]
    elif op in POOLS:
        rounded_up = query.get("ceil") == "1"
        output = [arithmetic.pool_output(i, k, s, p[0], d, rounded_up) for i, k, s, p, d, _ in rows]
    else:
        output = [arithmetic.conv_output(i, k, s, p, d) for i, k, s, p, d, _ in rows]
    c_in, c_out, groups = (whole(query.get(name) or "1", name) for name in ("in", "out", "groups"))
    found: dict[str, Any] = {
        "op": op, "size": size, "kernel": kernel, "stride": stride, "dilation": dilation,
        "padding": [side for pair in padding for side in pair], "groups": groups, "in": c_in, "out": c_out,
        "output": output,
    }  # fmt: skip
    if op == "conv":
        cost = arithmetic.conv_cost(c_in, c_out, kernel, size, output, groups=groups, bias=False)
        found |= {"weights": cost.weights, "macs": cost.macs}
    return found


def numbers(query: Mapping[str, str], name: str, usual: str) -> list[int]:
    """5x7 or 5,7 as whole numbers."""
    return [whole(part, name) for part in (query.get(name) or usual).replace(",", "x").split("x")]


def per_axis(query: Mapping[str, str], name: str, axes: int, usual: int) -> list[int]:
    """A number for each axis; the last one is that of the axes that follow."""
    found = numbers(query, name, str(usual))
    return [found[min(axis, len(found) - 1)] for axis in range(axes)]


def sides(query: Mapping[str, str], axes: int) -> list[tuple[int, int]]:
    """The padding before and after, along each axis."""
    found = numbers(query, "padding", "0")
    if len(found) == 2 * axes:
        return [(found[2 * axis], found[2 * axis + 1]) for axis in range(axes)]
    return [(found[min(axis, len(found) - 1)],) * 2 for axis in range(axes)]


def whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{name} is a whole number.", received=repr(text)) from None
