"""Tables on standard output."""

from collections.abc import Collection, Sequence

from neocog.cli.stdout import write_out
from neocog.evaluation import Evaluation

__all__ = ["show_evaluation", "table"]


def table(rows: Sequence[tuple[str, ...]], *, left: Collection[int] = (0,)) -> str:
    """Columns under their heads; columns whose number is in `left` are left-aligned, the others right-aligned.

    >>> print(table([("class", "F1"), ("cat", "0.9"), ("horse", "0.95")]))
    class    F1
    cat     0.9
    horse  0.95
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def show_evaluation(evaluation: Evaluation, *, brief: bool = False) -> None:
    """The metrics with their intervals; unless brief, also what else the task shows, such as a confusion matrix."""
    rows = [(f"{evaluation.split}, {evaluation.count:,} samples", "", "95% interval", "method")]
    for name, metric in evaluation.metrics.items():
        interval = f"{metric.text(metric.low)} to {metric.text(metric.high)}"
        rows.append((name, metric.text(metric.value), interval, metric.method))
    write_out(table(rows, left=(0, 3)))
    for exhibit in () if brief else evaluation.exhibits:
        if shown := exhibit.rows():
            write_out("\n" + table(shown, left=exhibit.left))
