"""The Markdown table of measured rows."""

from collections.abc import Sequence
from typing import Any

from harness.row import AREAS
from harness.turns import Interval, interval, ratio

__all__ = ["markdown", "shown"]

Result = dict[str, Any]


def markdown(results: Sequence[Result]) -> str:
    """A table for each area, then the machine."""
    parts = []
    for area, title in AREAS.items():
        chosen = [result for result in results if result["area"] == area]
        if chosen:
            parts += [f"### {title}\n", "| | unit | Neocog | peer | Neocog is better by |", "|---|---|---|---|---|"]
            parts += [line for result in chosen for line in lines_of(result)]
            parts.append("")
    return "\n".join(parts) + "\n"


def lines_of(result: Result) -> list[str]:
    """A line for each peer, or one for Neocog alone."""
    (own_name, own), *peers = result["turns"].items()
    head = f"| {result['what']}"
    if not peers:
        return [f"{head} | {result['unit']} | {shown(interval(own))} | | {verdict_of_limit(result, own)} |"]
    lines = []
    for name, turns in peers:
        times = ratio(own, turns, result["better"])
        mark = " (the peer wins)" if times.high < 1 else " (as good)" if times.low <= 1 else ""
        cell = f"{times.median:.2f} ({times.low:.2f} to {times.high:.2f}){mark}"
        lines.append(
            f"{head} | {result['unit']} | {shown(interval(own))} | {name}: {shown(interval(turns))} | {cell} |"
        )
    return lines


def verdict_of_limit(result: Result, own: Sequence[float]) -> str:
    if result["limit"] is None:
        return ""
    return f"asked: {'at least' if result['better'] == 'more' else 'at most'} {result['limit']:g}"


def shown(found: Interval) -> str:
    """
    >>> shown(Interval(1234.5, 1200.0, 1300.0))
    '1,230 (1,200 to 1,300)'
    """
    return f"{three(found.median)} ({three(found.low)} to {three(found.high)})"


def three(value: float) -> str:
    """Three significant digits.

    >>> three(0.01234), three(12345.0), three(1.0)
    ('0.0123', '12,300', '1.00')
    """
    rounded = float(f"{value:.3g}")
    digits = max(0, 2 - len(f"{abs(int(rounded))}") + 1) if abs(rounded) >= 1 else None
    return f"{rounded:,.{digits}f}" if digits is not None else f"{value:.3g}"
