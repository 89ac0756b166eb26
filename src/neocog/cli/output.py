"""Tables on standard output."""

from collections.abc import Collection, Sequence

from neocog.cli.stdout import write_out
from neocog.evaluation import Evaluation

__all__ = ["show_evaluation", "table"]

MOST_CLASSES, MOST_COLUMNS = 50, 20
BAR = 20


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
    """The headline figures with their intervals; unless brief, also class by class and the confusion matrix."""
    rows = [(f"{evaluation.split}, {evaluation.count:,} samples", "", "95% interval", "by")]
    for name, figure in evaluation.headlines.items():
        share = "accuracy" in name
        value, low, high = (f"{x:.2%}" if share else f"{x:.4f}" for x in (figure.value, figure.low, figure.high))
        rows.append((name, value, f"{low} to {high}", figure.method))
    write_out(table(rows, left=(0, 3)))
    if brief:
        return
    heads = ("class", "precision", "recall", "F1", "samples")
    classes = [
        (row.name, f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}", f"{row.support:,}")
        for row in evaluation.per_class[:MOST_CLASSES]
    ]
    write_out("\n" + table([heads, *classes]))
    write_out("\n" + table(reliability_rows(evaluation), left=(3,)))
    if len(evaluation.classes) <= MOST_COLUMNS:
        truths = ("true \\ predicted", *evaluation.classes)
        cells = [
            (name, *(str(count) if count else "." for count in row))
            for name, row in zip(evaluation.classes, evaluation.confusion, strict=True)
        ]
        write_out("\n" + table([truths, *cells]))


def reliability_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """A reliability diagram in characters: a bar of accuracy, and a mark at the confidence."""
    rows: list[tuple[str, ...]] = [("confidence", "samples", "accuracy", "| = perfect calibration")]
    for bin in evaluation.reliability:
        bar = list(("█" * round(BAR * bin.accuracy)).ljust(BAR + 1))
        bar[round(BAR * bin.confidence)] = "|"
        rows.append((f"{bin.confidence:.1%}", f"{bin.count:,}", f"{bin.accuracy:.1%}", "".join(bar)))
    return rows
