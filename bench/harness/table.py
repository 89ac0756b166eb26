"""The Markdown table of measured rows."""

from collections.abc import Sequence

from harness.machine import BUSY, STOLEN
from harness.results import Comparison, Outcome, Result, best_peer, compare, keeps_limit, own_interval
from harness.row import AREAS
from harness.turns import Interval

__all__ = ["in_words", "markdown", "shown"]

HEAD = "| | Neocog | peer | times as good | |\n|---|---|---|---|---|"
SAID: dict[Outcome, str] = {
    "wins": "wins",
    "as good": "as good",
    "peer wins": "**the peer wins**",
    "a bound": "does less",
    "too few turns": "too few turns",
}
SMALLER = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))  # units of time


def markdown(results: Sequence[Result]) -> str:
    """How it went, a table for each area with notes below, and what was measured where."""
    parts = [overview(results)]
    for area, title in AREAS.items():
        chosen = [result for result in results if result["area"] == area]
        if chosen:
            notes: list[str] = []
            lines = [line for result in chosen for line in lines_of(result, notes)]
            parts += [f"### {title}", "\n".join([HEAD, *lines])]
            parts += ["\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))] if notes else []
    parts += ["### Machine and versions", "\n".join(f"- {line}" for line in places(results))]
    return "\n\n".join(parts) + "\n"


def overview(results: Sequence[Result]) -> str:
    """The counts of who wins, and of what is asked."""
    found = [each for result in results for each in compare(result)]
    rivals = [each for each in found if each.outcome != "a bound"]
    counts = {name: sum(each.outcome == name for each in found) for name in SAID}
    asked = [met for each in found if (met := each.reaches_target) is not None]
    asked += [met for result in results if (met := keeps_limit(result)) is not None]
    few = f"; {counts['too few turns']} had too few turns to tell" if counts["too few turns"] else ""
    return (
        f"Of {len(rivals)} comparisons Neocog wins {counts['wins']}, is as good in {counts['as good']}, and the peer "
        f"wins {counts['peer wins']}{few}. Of {len(asked)} targets and limits {sum(asked)} are met."
    )


def lines_of(result: Result, notes: list[str]) -> list[str]:
    """A line for each peer, or one for Neocog alone. Appends to the notes."""
    first = len(notes)
    notes += notes_of(result)
    marks = ", ".join(map(str, range(first + 1, len(notes) + 1)))
    head = f"{cell(result['what'])}<br>`{result['name']}`" + (f" <sup>{marks}</sup>" if marks else "")
    own, found, limit = shown(own_interval(result), result["unit"]), compare(result), said_of_limit(result)
    if not found:
        return [f"| {head} | {own} | | | {limit} |"]
    best, lines = best_peer(result), []
    for number, each in enumerate(found):
        name = f"**{cell(each.peer)}**" if each.peer == best and len(found) > 1 else cell(each.peer)
        verdict = "; ".join(filter(None, [SAID[each.outcome], said_of_target(each), limit if number == 0 else ""]))
        lines.append(
            f"| {head if number == 0 else ''} | {own if number == 0 else ''} "
            f"| {name}: {shown(each.figures, result['unit'])} | {shown(each.times, 'x')} | {verdict} |"
        )
    return lines


def notes_of(result: Result) -> list[str]:
    """The row's own note, the peers that are absent, and what disturbed the measurement."""
    notes = [result["note"]] if result["note"] else []
    notes += [f"{peer} is absent: {reason}." for peer, reason in result["absent"].items()]
    found = result.get("conditions", {})
    disturbed = [
        f"{100 * found[name]:.0f}% of the processors {what}"
        for name, what, bound in (
            ("others", "were busy with other programs", BUSY),
            ("stolen", "were given to other virtual machines", STOLEN),
        )
        if found.get(name, 0) > bound
    ]
    return notes + ([f"Meanwhile {' and '.join(disturbed)}."] if disturbed else [])


def said_of_target(found: Comparison) -> str:
    if found.target is None:
        return ""
    return f"{found.target:.3g}x asked: {'met' if found.reaches_target else '**missed**'}"


def said_of_limit(result: Result) -> str:
    if result["limit"] is None:
        return ""
    bound = "at least" if result["better"] == "more" else "at most"
    return (
        f"{bound} {result['limit']:g}{spaced(result['unit'])} asked: {'met' if keeps_limit(result) else '**missed**'}"
    )


def places(results: Sequence[Result]) -> list[str]:
    """Machine, versions and commit; one line of each kind if all rows agree, else one for each that occurs."""
    said = []
    for lines in (machine_of, system_of, versions_of, checkout_of):
        found: dict[str, list[str]] = {}
        for result in results:
            found.setdefault(lines(result), []).append(result["name"])
        if len(found) > 1:
            said += [f"{line}: {', '.join(f'`{name}`' for name in names)}" for line, names in found.items()]
        else:
            said += found
    return said


def machine_of(result: Result) -> str:
    machine = result["machine"]
    features = f" ({', '.join(machine['features'])})" if machine["features"] else ""
    return f"{machine['cpu']}{features}, {machine['cores']} cores, {machine['memory_gb']} GB"


def system_of(result: Result) -> str:
    return f"{result['machine']['system']}, Python {result['machine']['python']}"


def versions_of(result: Result) -> str:
    """
    >>> versions_of({"machine": {"versions": {"torch": "2.13.0", "timm": None}}})
    'torch 2.13.0; not installed: timm'
    """
    versions = result["machine"]["versions"]
    missing = [name for name, version in versions.items() if version is None]
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    return there + (f"; not installed: {', '.join(missing)}" if missing else "")


def checkout_of(result: Result) -> str:
    return f"measured on {result['date'].split()[0]} at commit {result['commit']}"


def in_words(result: Result) -> str:
    """A result in one line, for whoever waits for it."""
    found = compare(result)
    parts = [shown(own_interval(result), result["unit"])]
    parts += [f"{shown(each.times, 'x')} {each.peer}: {each.outcome}" for each in found]
    asked = [*(said_of_target(each) for each in found), said_of_limit(result)]
    return "; ".join(filter(None, parts + asked)).replace("**", "")


def shown(found: Interval, unit: str = "") -> str:
    """A median with its interval, if that has a width; seconds in the unit that suits them.

    >>> shown(Interval(1234.5, 1200.0, 1300.0), "images/s")
    '1,230 images/s (1,200 to 1,300)'
    >>> shown(Interval(0.0123, 0.012, 0.02), "s")
    '12.3 ms (12.0 to 20.0)'
    >>> shown(Interval(2.5, 2.4, 2.6), "x")
    '2.50x (2.40 to 2.60)'
    >>> shown(Interval(12.0, 12.0, 12.0), "%")
    '12.0%'
    """
    factor = 1.0
    if unit == "s":
        unit, factor = next((pair for pair in SMALLER if abs(found.median) * pair[1] >= 1), SMALLER[-1])
    median, low, high = (three(factor * value) for value in (found.median, found.low, found.high))
    return f"{median}{spaced(unit)}" + (f" ({low} to {high})" if low != high else "")


def spaced(unit: str) -> str:
    """A unit as it is written behind its number."""
    return unit if unit in ("", "x", "%") else f" {unit}"


def three(value: float) -> str:
    """Three significant digits.

    >>> three(0.01234), three(12345.0), three(1.0), three(0.05), three(0.0), three(99.96)
    ('0.0123', '12,300', '1.00', '0.0500', '0', '100')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    digits = len(f"{abs(int(rounded))}") if abs(rounded) >= 1 else None
    return f"{rounded:,.{max(0, 3 - digits)}f}" if digits is not None else f"{rounded:#.3g}"


def cell(text: str) -> str:
    """Text within a table: a vertical bar would begin another cell."""
    return text.replace("|", "\\|")
