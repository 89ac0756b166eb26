"""The results of a study: rows of its table, `trials.csv`, and a page that needs nothing else."""

import csv
import html
import io
import math
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neocog.files import write_whole
from neocog.recipes.ranges import Choices, Numbers
from neocog.report.plots import BLUE, GREY, INK, ORANGE, STYLE, axes_of, svg
from neocog.tuning.study import Study, best_of_study
from neocog.tuning.trial import TunedTrial

__all__ = ["describe", "table_rows", "write_page", "write_table"]

CSS = """body{font:15px/1.5 system-ui,sans-serif;color:#1b232c;max-width:62rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-size:13px}
td,th{padding:.25rem .6rem;border-bottom:1px solid #e1e5ea;text-align:left}
tr.best{background:#eaf1fb;font-weight:600}.panels{display:flex;flex-wrap:wrap;gap:1rem}.panels svg{max-width:100%}
.scroll{overflow-x:auto}"""


def text_of(value: object) -> str:
    """A value of a setting in a table.

    >>> text_of(0.00123456), text_of(None), text_of("adamw")
    ('0.001235', 'none', 'adamw')
    """
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def describe(trial: TunedTrial, metric: str) -> str:
    """One line on a finished trial.

    >>> describe(TunedTrial(number=3, params={"optimizer.lr": 0.01}, outcome="complete", value=0.9, best_epoch=2,
    ...                     history=(0.8, 0.9), seconds=4.2), "accuracy")
    'trial   3  accuracy 0.9000  complete       4.2 s  optimizer.lr 0.01'
    """
    value = "-" if trial.value is None else f"{trial.value:.4f}"
    params = "  ".join(f"{key} {text_of(one)}" for key, one in trial.params.items())
    why = f"  ({trial.error})" if trial.error else ""
    return f"trial {trial.number:3d}  {metric} {value:>6}  {trial.outcome:<9}  {trial.seconds:6.1f} s  {params}{why}"


def table_rows(study: Study) -> list[tuple[str, ...]]:
    """The trials, the best first, those without a value last, under their heads."""
    keys, sign = list(study.plan.ranges), -1 if study.plan.mode == "min" else 1
    head = ("trial", study.plan.metric, "outcome", "epochs", "seconds", "MB", "ms", *keys)
    best = best_of_study(study.trials, study.plan.mode)
    order = {"complete": 0, "pruned": 1, "stopped": 1}

    def place(trial: TunedTrial) -> tuple[bool, int, float, int]:
        worth = -math.inf if trial.value is None else sign * trial.value
        return trial is not best, order.get(trial.outcome, 2), -worth, trial.number

    return [head, *(row_of(trial, keys) for trial in sorted(study.trials, key=place))]


def row_of(trial: TunedTrial, keys: Sequence[str]) -> tuple[str, ...]:
    return (
        str(trial.number),
        "" if trial.value is None else f"{trial.value:.4f}",
        trial.outcome,
        str(len(trial.history)),
        f"{trial.seconds:.1f}",
        "" if trial.size is None else f"{trial.size / 1e6:.2f}",
        "" if trial.latency is None else f"{1e3 * trial.latency:.2f}",
        *(text_of(trial.params.get(key)) for key in keys),
    )


def write_table(study: Study) -> None:
    """Write `trials.csv`: a row for each trial, in their order, with values in full."""
    keys = list(study.plan.ranges)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["trial", "outcome", study.plan.metric, "best_epoch", "epochs", "seconds", "bytes",
                     "latency_seconds", *keys, "error"])  # fmt: skip
    for trial in study.trials:
        writer.writerow([
            trial.number, trial.outcome, trial.value, trial.best_epoch, len(trial.history), round(trial.seconds, 3),
            trial.size, trial.latency, *(trial.params.get(key) for key in keys), trial.error,
        ])  # fmt: skip
    write_whole(study.table, buffer.getvalue())


def write_page(study: Study) -> None:
    """Write `report.html`: the history of the best value, a panel for each setting, and the table."""
    title = f"{study.path.name}: {len(study.trials)} trials on {study.plan.data}"
    best = best_of_study(study.trials, study.plan.mode)
    said = "No trial has a result." if best is None else (
        f"Best: trial {best.number}, {study.plan.metric} {best.value:.4f} on validation data."
    )  # fmt: skip
    final = study.run
    if final is not None:
        said += f" Its figures on the test data are in <a href='final/{final.report.name}'>the report of its run</a>."
    drawn = "".join(draw_panel(study, key) for key in study.plan.ranges)
    rows = table_rows(study)
    body = "".join(
        f"<tr{' class=best' if best is not None and row[0] == str(best.number) else ''}>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[1:]
    )  # fmt: skip
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
    why = "".join(
        f"<li>Trial {trial.number}, {trial.outcome}: {html.escape(trial.error)}</li>"
        for trial in study.trials if trial.error
    )  # fmt: skip
    write_whole(
        study.report,
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{CSS}</style>"
        f"<h1>{html.escape(title)}</h1><p>{said}</p><p>Values of many trials on the same validation data are too good:"
        " the best of them was also the luckiest. No trial has seen test data.</p>"
        f"<h2>Best so far</h2>{draw_progress(study)}<h2>Settings</h2><div class=panels>{drawn}</div>"
        f"<h2>Trials</h2><div class=scroll><table><tr>{head}</tr>{body}</table></div><ul>{why}</ul></html>\n",
    )


def draw_progress(study: Study) -> str:
    """The value of each trial, and the best whole one so far."""
    valued = [trial for trial in study.trials if trial.value is not None]
    whole = [trial for trial in valued if trial.outcome == "complete"]
    best = [best_of_study(whole[: i + 1], study.plan.mode) for i in range(len(whole))]
    with rc_context(STYLE):
        figure, axes = axes_of(7.0, 2.9)
        for cut, colour, label in ((False, BLUE, "whole"), (True, GREY, "cut short")):
            points = [(t.number, t.value) for t in valued if (t.outcome != "complete") == cut]
            if points:
                axes.plot(*zip(*points, strict=True), "o", color=colour, markersize=4, label=label)
        if whole:
            values = [trial.value or 0.0 for trial in best if trial is not None]
            axes.step([trial.number for trial in whole], values, where="post", color=ORANGE, label="best")
        axes.set(xlabel="trial", ylabel=study.plan.metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if valued:
            axes.legend()
        return svg(figure)


def draw_panel(study: Study, key: str) -> str:
    """The value of each trial by one setting."""
    one = study.plan.ranges[key]
    valued = [trial for trial in study.trials if trial.value is not None]
    with rc_context(STYLE):
        figure: Figure
        figure, axes = axes_of(3.3, 2.5)
        for cut, colour in ((True, GREY), (False, BLUE)):
            found = [trial for trial in valued if (trial.outcome != "complete") == cut]
            x = [one.values.index(t.params[key]) if isinstance(one, Choices) else t.params[key] for t in found]
            axes.plot(x, [trial.value or 0.0 for trial in found], "o", color=colour, markersize=4)
        if isinstance(one, Choices):
            axes.set_xticks(range(len(one.values)), [text_of(value) for value in one.values])
            axes.set_xlim(-0.5, len(one.values) - 0.5)
        elif isinstance(one, Numbers) and one.log:
            axes.set_xscale("log")
        axes.set_title(key, fontsize=9, color=INK)
        axes.set_ylabel(study.plan.metric)
        return svg(figure)
