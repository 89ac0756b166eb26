"""The plan of any network before a step is trained: operations, costs, memory, exact receptive fields, time, advice."""

from neocog.planning.advice import advise
from neocog.planning.forecast import Forecast, forecast
from neocog.planning.function_calls import NumberedCalls
from neocog.planning.graph import svg
from neocog.planning.machine import Machine, Precision, known_machine, measure_machine
from neocog.planning.meta_copy import shared_copy
from neocog.planning.plan import Plan, plan
from neocog.planning.rows import Row
from neocog.planning.table import COLUMNS, lines, markdown, size_in_bytes, text, totals

__all__ = [
    "COLUMNS",
    "Forecast",
    "Machine",
    "NumberedCalls",
    "Plan",
    "Precision",
    "Row",
    "advise",
    "forecast",
    "known_machine",
    "lines",
    "markdown",
    "measure_machine",
    "plan",
    "shared_copy",
    "size_in_bytes",
    "svg",
    "text",
    "totals",
]
