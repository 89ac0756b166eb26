"""`neocog bench`: the engines that can compute a network, timed side by side on this machine."""

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neocog.cli.flags import FORMAT, PLAIN, Download, Reading, Switch
from neocog.cli.output import table
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError

if TYPE_CHECKING:
    from neocog.engines.choose import Trial
    from neocog.runs.bench_bundle import EngineBench


def bench(
    bundle: Path,
    *,
    data: str | None = None,
    int8: Switch = False,
    engines: Annotated[str | None, Parameter(metavar="A,B")] = None,
    batch: Annotated[str, Parameter(metavar="1,8,32")] = "1,4,16,32",
    seconds: float = 8.0,
    samples: int = 512,
    threads: int | None = None,
    split: Annotated[str | None, Parameter(metavar="{train,val,test,all}")] = None,
    format: Annotated[str | None, FORMAT] = None,
    reading: Reading = PLAIN,
    json: Switch = False,
    download: Download = False,
) -> None:
    """Find the engine that computes a network fastest on this machine, and remember it.

    neocog bench model.neocog --data images/
    neocog bench model.neocog --data images/ --int8
    neocog predict model.neocog photos/ --backend auto

    Engines take turns, so that whatever else the machine does meets all alike: PyTorch
    as it is (eager), with norms folded and channels last (compiled), ONNX Runtime and
    OpenVINO; in float32, in bfloat16 where the CPU has it, and in int8 if asked for.
    The fastest whose answers stay within the tolerance (float: 0.05 points of the
    metric; int8: 0.3) is what `--backend auto` takes from then on.
    In Python: neocog.bench("model.neocog", data="images/").

    Parameters
    ----------
    bundle
        A model.neocog file.
    data
        A data set, by name or path, as for `neocog eval`: engines are compared by the metric on it. Without it they are
        compared on the few golden samples of the bundle, by the decisions that change.
    int8
        Quantise the network to int8 as well, with samples of the training split, and remember it. Takes minutes for a
        large network.
    engines
        The engines to measure, separated by commas; by default all. Of some, the fastest is not remembered.
    batch
        The batch sizes to try, separated by commas.
    seconds
        How long to time the engines, once their best batch sizes are known.
    samples
        The number of samples to compare answers on.
    threads
        The number of threads; by default one for each core that this process may use.
    split
        The split to compare on; by default the validation split.
    format
        The layout of the data, if it can be read in two ways.
    json
        Print all figures as JSON.
    """
    from neocog.runs.bench_bundle import bench as measure  # with the trainer, which the help does not need

    found = measure(
        bundle, data, int8=int8, engines=None if engines is None else engines.split(","), seconds=seconds,
        samples=samples, threads=threads, batches=numbers(batch), split=split, format=format, download=download,
        **reading.options(),
    )  # fmt: skip
    if json:
        write_out(jsonlib.dumps(found.to_json(), indent=1))
    else:
        show(found, bundle)


def numbers(text: str) -> list[int]:
    """Batch sizes. Raises ConfigError for anything else."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            "--batch takes whole numbers, separated by commas.", received=repr(text), fix="Write --batch 1,8,32."
        ) from error


def show(found: "EngineBench", bundle: Path) -> None:
    """Print a row for each engine, those that can't be taken with the reason, and how to use the fastest."""
    timed = [trial for trial in found.trials if trial.per_second]
    head = (
        "engine",
        "batch",
        "per second",
        "speed",
        "of peak",
        "p50 ms",
        "p99 ms",
        "load s",
        "memory",
        "error",
        "lost",
    )
    write_out(table([head, *(row(found, trial) for trial in timed)]))
    left_out = [(trial.name, trial.reason) for trial in found.trials if trial.reason]
    if left_out:
        write_out("\nnot taken:\n" + table(left_out, left=(0, 1)))
    about = ", ".join(f"{name} {version}" for name, version in found.environment["versions"].items())
    samples = f"{found.choice.num_samples:,} samples ({found.data})"
    write_out(
        f"\np50 and p99: a batch of one. memory: growth of this process. error: the largest difference of a logit, in "
        f"spreads of the logits; lost: percentage points of {found.metric}; both on {samples}, beside eager."
        f"\n{found.environment['cpu']}, {found.threads} threads; {about}"
        f"\n\nFastest within tolerance: {found.choice.name}, {found.choice.batch} at once"
        f"{'; remembered for this machine' if found.remembered else ''}."
        f"\nTo use it: neocog predict {bundle} FILES --backend {'auto' if found.remembered else found.choice.name}"
    )


def row(found: "EngineBench", trial: "Trial") -> tuple[str, ...]:
    """One engine's cells."""
    mark = " *" if trial.name == found.choice.name else ""
    floor = found.floor(trial.name)
    return (
        trial.name + mark, str(trial.batch), f"{trial.per_second:,.1f}", f"{found.speedup(trial):.2f}x",
        "" if floor is None else f"{floor * trial.per_second:.0%}", f"{1e3 * trial.p50:.2f}",
        f"{1e3 * trial.p99:.2f}", f"{trial.load_seconds:.1f}", f"{trial.memory / 2**20:,.0f} MB",
        "" if trial.error is None else f"{trial.error:.1e}", "" if trial.lost is None else f"{trial.lost:+.2f}",
    )  # fmt: skip
