"""`neocog plan`: shapes, cost and receptive fields of a network, before anything is trained."""

import json as jsonlib
import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import torch
from cyclopts import Parameter

from neocog import planning
from neocog.bundle import find_model
from neocog.cli.flags import Switch
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.files import write_whole
from neocog.planning import Forecast, Plan, Precision
from neocog.progress import note

Device = Literal["auto", "cpu", "cuda"]
BATCH_SIZE = 32  # to forecast for, by default


def plan(
    model: str,
    *,
    input: Annotated[str | None, Parameter(metavar="CxHxW")] = None,
    batch_size: int | None = None,
    samples: int | None = None,
    object_size: Annotated[int | None, Parameter(name="--object")] = None,
    precision: Precision = "fp32",
    device: Device = "auto",
    dtype: Literal["float32", "int64"] | None = None,
    depth: int | None = None,
    all: Switch = False,
    forecast: bool = True,
    json: Switch = False,
    markdown: Switch = False,
    svg: Path | None = None,
) -> None:
    """Plan a network: its shapes, cost and receptive fields, before a step is trained.

    neocog plan lenet5
    neocog plan nets.py:build --input 3x224x224 --batch-size 64 --samples 50000
    neocog plan model.neocog --object 20 --svg network.svg

    One row per executed operation, with parameters, multiply-accumulates, memory
    and receptive field; then time and memory on this machine, and advice. If sizes
    don't match, the error names the layer, the sizes, and an input that would fit.
    In Python: neocog.plan(model, input_shape).

    Parameters
    ----------
    model
        A network of the zoo, file.py:function, or a model.neocog file.
    input
        Channels and sizes of one sample, such as 3x224x224; by default what the network was made for.
    batch_size
        Samples per batch, for time and memory [32].
    samples
        Samples per epoch, for its time.
    object_size
        Size of the objects to recognise, in pixels of the input: is the receptive field large enough?
    precision
        Precision to forecast for.
    device
        Device to forecast for; auto is a GPU if there is one.
    dtype
        Type of the input; int64 for a network that reads token ids.
    depth
        Fold the table into modules of this depth.
    all
        Also show views and other operations that only move elements.
    forecast
        Measure this machine once, and forecast time and memory.
    json
        Print everything as JSON.
    markdown
        Print the table as Markdown.
    svg
        Draw the network into this file.
    """
    if json and markdown:
        raise ConfigError("A plan has one form.", received="--json and --markdown", fix="Choose one.")
    refuse_ignored(
        ("--samples", samples, "--no-forecast", not forecast),
        ("--batch-size", batch_size, "--no-forecast", not forecast),
        ("--depth", depth, "--json", json),
        ("--object", object_size, "--markdown", markdown),
    )
    for option, value in (("--depth", depth), ("--object", object_size), ("--batch-size", batch_size)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be at least 1.", received=str(value))
    given = parse_shape(input) if input else None
    found = find_model(model, given)
    shape = given or found.input_shape
    if shape is None:
        raise ConfigError(f"{model} needs the shape of its input.", fix="Add, for example, --input 3x224x224.")
    planned = planning.plan(found.model, shape, dtype=getattr(torch, dtype) if dtype else found.input_dtype)
    advice = planning.advise(planned, object_size)
    expected = None
    if forecast:
        machine = planning.measure_machine(found_device(device))
        batch = batch_size or BATCH_SIZE
        expected = planning.forecast(planned, machine, batch_size=batch, samples=samples, precision=precision)
    if svg is not None:
        write_whole(svg, planning.svg(planned).encode())
        note(f"drawn in {svg}")
    if json:
        extra = {"advice": advice, "forecast": expected.to_json() if expected else None}
        write_out(jsonlib.dumps(planned.to_json() | extra, indent=1))
    elif markdown:
        write_out(planning.markdown(planned, depth=depth, moves=all))
    else:
        show(planned, found.name, advice, expected, depth, all)


def refuse_ignored(*options: tuple[str, int | None, str, bool]) -> None:
    """Raises ConfigError for an option that another option makes ineffective."""
    for option, value, other, without in options:
        if value is not None and without:
            rule = f"A setting must have an effect. {option} would be ignored with {other}."
            raise ConfigError(rule, fix="Remove one.", kind="ignored")


def found_device(device: Device) -> str:
    """The device to forecast for. Raises ConfigError if a GPU is asked for and there is none."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ConfigError("--device cuda needs a GPU, and there is none.", fix="Use --device cpu.")
    return ("cuda" if there else "cpu") if device == "auto" else device


def parse_shape(text: str) -> tuple[int, ...]:
    """3x224x224 as numbers."""
    try:
        sizes = tuple(int(part) for part in text.lower().replace(",", "x").split("x"))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise ConfigError("--input is channels and sizes, such as 3x224x224.", received=repr(text))
    return sizes


def show(
    planned: Plan, name: str, advice: list[str], expected: Forecast | None, depth: int | None, moves: bool
) -> None:
    """Print the table, the totals, the forecast and the advice."""
    shape = "x".join(map(str, planned.input_shape))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    text = planning.text(planned, depth=depth, moves=moves, width=width)
    write_out(f"{name} on {shape}\n\n{text}\n\n" + "\n".join(planning.totals(planned)))
    if expected is not None:
        write_out("\n" + "\n".join(forecast_lines(expected)))
    if advice:
        write_out("\n" + "\n".join(f"- {line}" for line in advice))


def forecast_lines(expected: Forecast) -> list[str]:
    """The forecast as text."""
    size = planning.size_in_bytes
    e = expected
    lines = [f"on this machine, {e.precision}, batches of {e.batch_size}:"]
    for kind, expectation, floor, memory, most in (
        ("inference", e.inference_seconds, e.inference_floor, e.inference_bytes, e.largest_inference_batch),
        ("training ", e.training_seconds, e.training_floor, e.training_bytes, e.largest_training_batch),
    ):
        fits = f"at most {most:,} samples at once"
        lines.append(
            f"  {kind} {seconds(expectation)} a batch (not below {seconds(floor)}), {size(memory)}; "
            f"{fits if most >= e.batch_size else f'does not fit: {fits}'}"
        )
    if expected.epoch_seconds is not None:
        lines.append(f"  an epoch of {expected.samples:,} samples: {seconds(expected.epoch_seconds)}")
    return lines


def seconds(value: float) -> str:
    """A duration in a readable unit.

    >>> seconds(0.0123), seconds(75), seconds(9000)
    ('12 ms', '75 s', '2.5 h')
    """
    if value < 1:
        return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value * 1000:.0f} ms"
    return f"{value:.3g} s" if value < 120 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"
