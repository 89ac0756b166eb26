"""More epochs for a run: if its schedule allows, it resumes as if they had been planned from the start."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from neocog.errors import CheckpointError, RunError, agree
from neocog.files import storage_errors, write_whole
from neocog.runs.checkpoints import list_newest_first
from neocog.runs.config import ResolvedConfig, RunConfig, with_values
from neocog.runs.folder import Run
from neocog.runs.provenance import FLAG, Provenance
from neocog.training import learning_rate
from neocog.training.checkpoint import read_checkpoint_header

__all__ = ["Extension", "end_extension", "name_command", "plan_extension", "read_extension", "with_epochs"]

UNKNOWN_STEPS = 1000  # in an epoch, if the run's checkpoints do not say how many there are


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A run is to have another number of epochs than it was planned with."""

    epochs: int
    before: tuple[int, ...]
    """The numbers it was planned with before, the first plan first; its checkpoints may be of any of these."""
    measured: bool
    """Whether the run was finished before, so that its test figures are known."""

    def start(self, run: Run) -> None:
        """Note in the run folder that the run is being extended; from then on it counts as unfinished."""
        if read_extension(run) == self:
            return
        facts = {"epochs": self.epochs, "before": list(self.before), "measured": self.measured}
        write_whole(run.extension, json.dumps(facts))
        run.log("extended", epochs=self.epochs, before=self.before[-1], measured=self.measured)

    def digests(self, resolved: ResolvedConfig) -> frozenset[str]:
        """The digests of all settings that checkpoints of this run may have been written with."""
        return frozenset(with_epochs(resolved, epochs).digest() for epochs in self.before)


def read_extension(run: Run) -> Extension | None:
    """The extension that a run is in the middle of. Raises RunError if its file can't be read."""
    if not run.extension.is_file():
        return None
    try:
        facts = json.loads(run.extension.read_text(encoding="utf-8"))
        return Extension(
            epochs=int(facts["epochs"]), before=tuple(map(int, facts["before"])), measured=bool(facts["measured"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            "extension.json must say to how many epochs a run is being extended.",
            received=f"a file that can't be read: {error}",
            where=str(run.extension),
            fix="Remove it.",
        ) from error


def end_extension(run: Run) -> None:
    """Note that the run is finished again."""
    with storage_errors(run.extension):
        run.extension.unlink(missing_ok=True)


def with_epochs(resolved: ResolvedConfig, epochs: int | str, origin: Provenance | None = None) -> ResolvedConfig:
    """The settings with another number of epochs. Raises ConfigError for a number that can't be."""
    provenance = dict(resolved.provenance) | ({"train.epochs": origin} if origin else {})
    config = with_values(resolved.config, {"train.epochs": epochs}, provenance)
    return ResolvedConfig(config, provenance, resolved.inactive)


def plan_extension(run: Run, resolved: ResolvedConfig, epochs: int | str | None) -> Extension | None:
    """How a run gets to N epochs; None if it is resumed as planned.

    Raises RunError if it is finished and no epochs are given, if it has trained more already, if it stopped early, and
    if the rates so far would have been different in a run of N epochs.
    """
    current = read_extension(run)
    planned = current.epochs if current else resolved.config.train.epochs
    state, epoch_steps = read_progress(run)
    done = len(state["history"])
    if epochs is None:
        if run.finished:
            command = name_command(run, resolved.config, done, state["step"], epoch_steps, state["stopped_early"])
            raise RunError(
                "A finished run has nothing left to resume.",
                where=f"{run.path}, whose report is {run.report}",
                fix=f"To train it further: {command}",
            )
        return current
    wanted = with_epochs(resolved, epochs, FLAG).config.train.epochs
    if wanted == planned and not run.finished and not timed(resolved.config):
        return current
    if timed(resolved.config):
        command = command_from_model(run, resolved.config, max(wanted - done, 1), finished=run.finished)
        raise RunError(
            f"The clock set the number of steps of {run.path}, so its rates are not those of a run of {wanted} epochs.",
            fix=f"To train it further, start from its model: {command}",
        )
    if wanted * epoch_steps < state["step"] or (wanted <= done and (run.finished or wanted < done)):
        raise RunError(
            "A run is extended to more epochs than it has.",
            received=f"--epochs {wanted}, after {done} of {planned} epochs",
            where=str(run.path),
            fix="Give a larger number.",
        )
    if state["stopped_early"]:
        command = command_from_model(run, resolved.config, wanted - done, finished=run.finished)
        raise RunError(
            f"{run.path} stopped early after {done} epochs, and a run of {wanted} would have stopped there too.",
            fix=f"To train it further: {command}",
        )
    if not same_rates(resolved.config, state["step"], planned, wanted, epoch_steps):
        command = command_from_model(run, resolved.config, wanted - done, finished=run.finished)
        raise RunError(
            f"The schedule {resolved.config.schedule.name} of {run.path} spreads its rates over "
            f"{agree('{n} epoch(|s)', planned)}, so a run of {wanted} would have trained differently from the start.",
            fix=f"To train it further, start from its model: {command}",
        )
    before = (*current.before, current.epochs) if current else (planned,)
    return Extension(epochs=wanted, before=before, measured=run.finished or bool(current and current.measured))


def timed(config: RunConfig) -> bool:
    """Whether the clock set, or sets, the number of steps."""
    return config.train.minutes is not None or bool(config.train.replanned)


def read_progress(run: Run) -> tuple[dict[str, Any], int]:
    """The state of the newest checkpoint whose header can be read, and the number of steps in an epoch."""
    for path in list_newest_first(run):
        try:
            state, about = read_checkpoint_header(path)
        except CheckpointError:
            continue
        known = about.get("epoch_steps")
        whole = state["history"] and not state["num_seen"] and state["step"] % len(state["history"]) == 0
        guessed = state["step"] // len(state["history"]) if whole else UNKNOWN_STEPS
        return state, int(known or guessed)
    return {"history": [], "step": 0, "stopped_early": False, "num_seen": 0}, UNKNOWN_STEPS


def same_rates(config: RunConfig, step: int, planned: int, wanted: int, epoch_steps: int) -> bool:
    """Whether the first `step` steps had the rates that they have in a run of `wanted` epochs."""
    schedule = config.schedule
    if schedule.name == "sequence":  # its phases last as long as training
        return False
    return all(
        learning_rate(schedule, config.optimizer.lr, at, planned * epoch_steps, epoch_steps)
        == learning_rate(schedule, config.optimizer.lr, at, wanted * epoch_steps, epoch_steps)
        for at in range(step)
    )


def name_command(
    run: Run, config: RunConfig, done: int, step: int, epoch_steps: int, stopped_early: bool = False
) -> str:
    """The command that trains a finished run for as many epochs as it has had."""
    if stopped_early or timed(config) or not same_rates(config, step, config.train.epochs, 2 * done, epoch_steps):
        return command_from_model(run, config, done, finished=True)
    if not config.data.source:
        return f"neocog.resume({str(run.path)!r}, epochs={2 * done}, data=..)"
    return f"neocog train --resume {shlex.quote(str(run.path))} --epochs {2 * done}"


def command_from_model(run: Run, config: RunConfig, epochs: int, *, finished: bool) -> str:
    """The command that trains a new run from this run's model, with its settings."""
    if not config.data.source:
        start = f"neocog.train(config, data=..) with model.pretrained={str(run.bundle)!r} in the config"
        return start if finished else f"neocog.resume({str(run.path)!r}, data=..), and once it is finished: {start}"
    path = shlex.quote(str(run.path))
    words = [
        "neocog train",
        shlex.quote(config.data.source),
        f"--config {shlex.quote(str(run.config))}",
        f"--model.pretrained {shlex.quote(str(run.bundle))}",
    ]
    if config.schedule.name != "sequence":  # its phases say how many epochs there are
        words.append(f"--epochs {max(1, epochs)}")
    start = " ".join(words)
    return start if finished else f"neocog train --resume {path}, and once it is finished: {start}"
