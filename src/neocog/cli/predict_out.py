"""`neocog predict --out`: predictions for any number of files, in one file."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from neocog.cli.flags import Extra
from neocog.cpus import num_threads
from neocog.errors import ConfigError, agree, did_you_mean
from neocog.offline import OfflineResult, predict_files
from neocog.offline.claims import place_of
from neocog.progress import note, quiet

__all__ = ["predict_to_file"]

STDIN = "-"
FLAGS = ("--out", "--list", "--with", "--block", "--restart", "--ray", "--top", "--help")


def predict_to_file(
    bundle: Path,
    files: Sequence[str],
    out: Path,
    listed: Path | None,
    top: int,
    extras: Sequence[Extra] | None,
    block: int | None,
    restart: bool,
    ray: str | None,
    others: Mapping[str, object],
    backend: str = "eager",
) -> int:
    """Predict into a file and say how it went; 2 if a file could not be read, else 0.

    Of several ranks, only the first says anything but errors; and files that can't be read don't change the exit code,
    since torchrun would take it for a crash.
    Raises ConfigError for flags of other outputs, and what `predict_files` raises.
    """
    given = [name for name, value in others.items() if value not in (None, False)]
    if given:
        raise ConfigError(
            "--out writes one file, with one row for each input.", received=f"--out and {' '.join(given)}",
            fix="Leave one of them out. --with adds columns.",
        )  # fmt: skip
    for file in files:
        if file == STDIN:
            raise ConfigError("--out is for files, which can be read again.", received="standard input")
        if file.startswith("-") and not Path(file).exists():
            raise ConfigError(f"Unknown option: {file}.", fix=did_you_mean(file, FLAGS))
    torch.set_num_threads(num_threads())
    place = place_of()
    with quiet() if place.rank else nullcontext():
        result = predict_files(
            bundle, list(files), out, listed=listed, top=top, extras=extras or (), block=block, restart=restart,
            backend=backend, ray=ray,
        )  # fmt: skip
        tell(result)
    return 2 if result.failed and place.size == 1 else 0


def tell(result: OfflineResult) -> None:
    """Print what was written, and the first files that could not be read."""
    if result.joined:
        told = [f"{result.path}: " + agree("{n} file(|s)", result.files)]
        if result.computed != result.files:
            told.append(f"{result.computed:,} of them computed by this call")
        if result.computed:
            rate = result.computed / result.seconds
            told.append(f"in {result.seconds:,.0f} s, {rate:,.{0 if rate >= 10 else 1}f} a second")
        note(", ".join(told) + ".")
    elif result.computed:
        note(f"This process computed {result.computed:,} of {result.files:,} files.")
    else:
        note(f"{result.path} is complete: {result.files:,} files. Nothing was left to do.")
    if result.failed:
        note(agree("{n} file(|s) could not be read; the column error says why:", result.failed))
        for name, why in result.first:
            note(f"  {why if name in why else f'{name}: {why}'}")
        if result.failed > len(result.first):
            note(f"  and {result.failed - len(result.first):,} more")
