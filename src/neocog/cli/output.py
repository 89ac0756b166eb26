"""Tables on standard output."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from neocog.cli.stdout import write_out
from neocog.evaluation import Evaluation

if TYPE_CHECKING:
    from neocog.runs import Comparison  # with the trainer, which predictions do not need

__all__ = ["show_comparison", "show_evaluation", "table"]

MOST_DIFFERING = 12  # samples that a terminal shows


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


def count_samples(count: int) -> str:
    """A number of samples in words.

    >>> count_samples(1), count_samples(1200)
    ('1 sample', '1,200 samples')
    """
    return f"{count:,} sample{'' if count == 1 else 's'}"


def show_evaluation(evaluation: Evaluation, *, brief: bool = False) -> None:
    """The metrics with their intervals; unless brief, also what else the task shows, such as a confusion matrix."""
    rows = [(f"{evaluation.split}, {count_samples(evaluation.count)}", "", "95% interval", "method")]
    for name, metric in evaluation.metrics.items():
        interval = f"{metric.text(metric.low)} to {metric.text(metric.high)}"
        rows.append((name, metric.text(metric.value), interval, metric.method))
    write_out(table(rows, left=(0, 3)))
    for exhibit in () if brief else evaluation.exhibits:
        if shown := exhibit.rows():
            write_out("\n" + table(shown, left=exhibit.left))


def show_comparison(found: "Comparison") -> None:
    """Both networks beside each other, the result in a sentence, and the samples on which they differ."""
    write_out(f"A  {found.a}\nB  {found.b}\n")
    rows = [(f"{found.data}, {found.split}, {count_samples(found.count)}", "A", "B")]
    rows += [(name, a.text(a.value), b.text(b.value)) for name, (a, b) in found.metrics.items()]
    write_out(table(rows) + f"\n\n{found.sentence()}")
    if not found.differing:
        return
    has_texts = any(one.target or one.a for one in found.differing)
    head = ("sample", "true", "A", "B") if has_texts else ("sample", f"{found.metric} of A", f"{found.metric} of B")
    shown = found.differing[:MOST_DIFFERING]
    listed = [
        (one.key, one.target, one.a, one.b) if has_texts else (one.key, f"{one.score_a:.4g}", f"{one.score_b:.4g}")
        for one in shown
    ]
    write_out("\n" + table([head, *listed], left=range(len(head)) if has_texts else (0,)))
    if found.num_differing > len(shown):
        write_out(f"and {found.num_differing - len(shown):,} more, which --json lists")
