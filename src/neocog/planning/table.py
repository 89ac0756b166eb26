"""A plan as rows of text: for terminals and for Markdown."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from rich.console import Console
from rich.table import Table

from neocog.planning.cost import by_axis
from neocog.planning.rows import Row

__all__ = ["COLUMNS", "Line", "count", "lines", "markdown", "sees", "size_in_bytes", "text", "totals"]

WIDE = 1000  # characters: more than a row has where no line must be cut
SMALL = 88  # characters that a table needs; in a smaller terminal its lines are broken
NARROW = (4, 6, 8, 10, 9, 8, 11, 6, 6)  # characters that a column keeps in a small terminal; the rest ends in dots
COLUMNS = ("layer", "operator", "output", "parameters", "MACs", "memory", "sees", "stride", "offset")


class Summary(Protocol):
    """The parts of a plan that a table shows."""

    @property
    def model(self) -> str: ...
    @property
    def input_shape(self) -> tuple[int, ...]: ...
    @property
    def rows(self) -> list[Row]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def macs(self) -> int: ...
    @property
    def flops(self) -> int: ...
    @property
    def bias_adds(self) -> int: ...
    @property
    def weight_bytes(self) -> int: ...
    @property
    def inference_bytes(self) -> int: ...
    @property
    def training_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of one row, or of the rows of one module folded into it."""

    cells: tuple[str, ...]
    row: Row


def lines(plan: Summary, *, depth: int | None = None, moves: bool = False) -> list[Line]:
    """A line for each operation; with `depth`, for each module that deep. Mere moves of elements are left out unless
    asked for."""
    groups: list[list[Row]] = []
    for row in plan.rows:
        if row.moves and not moves:
            continue
        if depth is not None and groups and cut(groups[-1][0], depth) == cut(row, depth):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [line(group, depth) for group in groups]


def cut(row: Row, depth: int) -> str:
    """The name of the module that deep, which may be the row's own."""
    return ".".join(row.name.split(".")[:depth])


def line(group: Sequence[Row], depth: int | None) -> Line:
    """Rows of one module as one line: costs added up, shape and field of the last."""
    last = group[-1]
    one = len(group) == 1
    operator = " ".join(part for part in (last.operator, last.detail) if part) if one else f"{len(group)} operations"
    cells = (
        last.name if depth is None or one else cut(last, depth),
        operator,
        by_axis(last.output_shape) or "1",
        count(sum(row.parameters for row in group)) or ("shared" if one and last.shared else ""),
        count(sum(row.macs for row in group)),
        size_in_bytes(sum(row.activation_bytes for row in group)),
        sees(last),
        each(last.stride) if not all(last.whole) else "",
        each(last.offset) if not all(last.whole) else "",
    )
    return Line(cells, last)


def sees(row: Row) -> str:
    """The receptive field in words: 195, 3x5, or the whole input."""
    if not row.fields:
        return "no input"
    if all(row.whole):
        return "whole input" if row.exact else "up to whole"
    parts = ["whole" if whole else str(size) for size, whole in zip(row.receptive_field, row.whole, strict=True)]
    return ("" if row.exact else "up to ") + (parts[0] if len(set(parts)) == 1 else " x ".join(parts))


def each(values: Sequence[int | Fraction]) -> str:
    """One number where it is the same along all axes."""
    parts = [str(value) for value in values]
    return parts[0] if len(set(parts)) == 1 else " x ".join(parts)


def count(number: int) -> str:
    """A count with separators; nothing for zero.

    >>> count(60965224)
    '60,965,224'
    """
    return f"{number:,}" if number else ""


def size_in_bytes(number: float) -> str:
    """Bytes in the largest unit that leaves a whole number before the point; nothing for zero.

    >>> size_in_bytes(1536), size_in_bytes(3 * 2**30)
    ('1.5 KiB', '3.0 GiB')
    """
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        units.pop(0)
    digits = 0 if units[0] == "B" else 1
    return f"{number:.{digits}f} {units[0]}" if number else ""


def totals(plan: Summary) -> list[str]:
    """The plan's sums, a line each."""
    biases = f"; biases add {plan.bias_adds:,}" if plan.bias_adds else ""
    weights, held, kept = (
        size_in_bytes(size) or "0 B" for size in (plan.weight_bytes, plan.inference_bytes, plan.training_bytes)
    )
    return [
        f"{plan.parameters:,} parameters, {weights} with buffers",
        f"{plan.macs:,} MACs = {plan.flops:,} FLOPs for one sample{biases}",
        f"activations of one sample: {held} at inference, {kept} kept in training",
    ]


def text(plan: Summary, *, depth: int | None = None, moves: bool = False, width: int | None = None) -> str:
    """The plan's lines in aligned columns, shortened where a terminal is narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if position < 3 else "right", no_wrap=True, min_width=NARROW[position])
    for line in lines(plan, depth=depth, moves=moves):
        table.add_row(*line.cells)
    written = io.StringIO()
    console = Console(file=written, width=WIDE if width is None else max(width, SMALL), color_system=None, emoji=False)
    console.print(table, markup=False)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def markdown(plan: Summary, *, depth: int | None = None, moves: bool = False) -> str:
    """The plan as a Markdown table with its sums."""
    rows = [COLUMNS, tuple("---" if i < 3 else "---:" for i in range(len(COLUMNS)))]
    rows += [line.cells for line in lines(plan, depth=depth, moves=moves)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    head = f"## {plan.model} on {by_axis(plan.input_shape)}"
    return "\n".join([head, "", *(f"- {text}" for text in totals(plan)), "", table])
