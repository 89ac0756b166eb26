"""More epochs for a run: where its schedule allows that, it goes on as if they had been planned from the start."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from neocog.errors import CheckpointError, RunError, agree
from neocog.files import storage_errors, write_whole
from neocog.runs.config import ResolvedConfig, RunConfig, with_values
from neocog.runs.folder import Run
from neocog.runs.provenance import FLAG, Provenance
from neocog.runs.rotation import newest_first
from neocog.training import learning_rate
from neocog.training.checkpoint import read_checkpoint_header

__all__ = ["Extension", "end_extension", "how_to_train_on", "plan_extension", "read_extension", "with_epochs"]

UNKNOWN_STEPS = 1000  # in an epoch, of a run whose checkpoints do not say how many there are


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """A run is to have other epochs than those it was begun with."""

    epochs: int
    before: tuple[int, ...]
    """What it was planned for before, the first plan first; its checkpoints may be of any of these."""
    measured: bool
    """Whether the run was finished before, so that its test split has been looked at."""

    def begin(self, run: Run) -> None:
        """Note in the run's folder that it is being extended; from then on it counts as unfinished."""
        if read_extension(run) == self:
            return
        facts = {"epochs": self.epochs, "before": list(self.before), "measured": self.measured}
        write_whole(run.extension, json.dumps(facts))
        run.log("extended", epochs=self.epochs, before=self.before[-1], measured=self.measured)

    def digests(self, resolved: ResolvedConfig) -> frozenset[str]:
        """The settings that checkpoints of this run may have been written with."""
        return frozenset(with_epochs(resolved, epochs).digest() for epochs in self.before)


def read_extension(run: Run) -> Extension | None:
    """The extension that a run is in the middle of. Raises RunError where its file can't be read."""
    if not run.extension.is_file():
        return None
    try:
        facts = json.loads(run.extension.read_text(encoding="utf-8"))
        return Extension(
            epochs=int(facts["epochs"]), before=tuple(map(int, facts["before"])), measured=bool(facts["measured"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run.extension} says for how many epochs a run is extended. It can't be read: {error}. Remove it."
        ) from error


def end_extension(run: Run) -> None:
    """The run is finished again."""
    with storage_errors(run.extension):
        run.extension.unlink(missing_ok=True)


def with_epochs(resolved: ResolvedConfig, epochs: int | str, origin: Provenance | None = None) -> ResolvedConfig:
    """The settings with other epochs. Raises ConfigError where there can't be so many."""
    provenance = dict(resolved.provenance) | ({"train.epochs": origin} if origin else {})
    config = with_values(resolved.config, {"train.epochs": epochs}, provenance)
    return ResolvedConfig(config, provenance, resolved.inactive)


def plan_extension(run: Run, resolved: ResolvedConfig, epochs: int | str | None) -> Extension | None:
    """How a run gets to so many epochs; None where it goes on as it was planned.

    Raises RunError where it is finished and asked for no more, where it has gone further already, where it stopped
    early, and where the rates so far would have been others in a run of so many epochs.
    """
    begun = read_extension(run)
    planned = begun.epochs if begun else resolved.config.train.epochs
    state, epoch_steps = where_it_stands(run)
    done = len(state["history"])
    if epochs is None:
        if run.finished:
            raise RunError(
                f"{run.path} is finished; there is nothing to resume. Its report: {run.report}. To train it further: "
                f"{how_to_train_on(run, resolved.config, done, state['step'], epoch_steps, state['stopped_early'])}"
            )
        return begun
    wanted = with_epochs(resolved, epochs, FLAG).config.train.epochs
    if wanted == planned and not run.finished:
        return begun
    if wanted * epoch_steps < state["step"] or (wanted <= done and (run.finished or wanted < done)):
        raise RunError(
            f"A run is extended to more epochs than it has. {run.path} has trained {done} of {planned}. Received: "
            f"--epochs {wanted}. Give a larger number."
        )
    if state["stopped_early"]:
        raise RunError(
            f"{run.path} stopped early after {done} epochs, and a run of {wanted} would have stopped there too. To "
            f"train it further: {from_its_model(run, resolved.config, wanted - done, finished=run.finished)}"
        )
    if not same_rates(resolved.config, state["step"], planned, wanted, epoch_steps):
        raise RunError(
            f"The schedule {resolved.config.schedule.name} of {run.path} spreads its rates over "
            f"{agree('{n} epoch(|s)', planned)}, so a "
            f"run of {wanted} would have trained otherwise from the start. To train it further, start from its model: "
            f"{from_its_model(run, resolved.config, wanted - done, finished=run.finished)}"
        )
    before = (*begun.before, begun.epochs) if begun else (planned,)
    return Extension(epochs=wanted, before=before, measured=run.finished or bool(begun and begun.measured))


def where_it_stands(run: Run) -> tuple[dict[str, Any], int]:
    """The state of the newest checkpoint whose header can be read, and the steps of an epoch."""
    for path in newest_first(run):
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
    """Whether the first steps have had the rates that they have in a run of so many epochs."""
    schedule = config.schedule
    if schedule.name == "sequence":  # whose phases last as long as training
        return False
    return all(
        learning_rate(schedule, config.optimizer.lr, at, planned * epoch_steps, epoch_steps)
        == learning_rate(schedule, config.optimizer.lr, at, wanted * epoch_steps, epoch_steps)
        for at in range(step)
    )


def how_to_train_on(
    run: Run, config: RunConfig, done: int, step: int, epoch_steps: int, stopped_early: bool = False
) -> str:
    """The command that trains a finished run for as many epochs again."""
    if stopped_early or not same_rates(config, step, config.train.epochs, 2 * done, epoch_steps):
        return from_its_model(run, config, done, finished=True)
    if not config.data.source:
        return f"neocog.resume({str(run.path)!r}, epochs={2 * done}, data=..)"
    return f"neocog train --resume {shlex.quote(str(run.path))} --epochs {2 * done}"


def from_its_model(run: Run, config: RunConfig, epochs: int, *, finished: bool) -> str:
    """The command that trains a new run from this one's model, with its settings."""
    if not config.data.source:
        start = f"neocog.train(config, data=..) with model.pretrained={str(run.bundle)!r} in the config"
        return start if finished else f"neocog.resume({str(run.path)!r}, data=..), and when it is finished: {start}"
    path = shlex.quote(str(run.path))
    words = [
        "neocog train",
        shlex.quote(config.data.source),
        f"--config {shlex.quote(str(run.config))}",
        f"--model.pretrained {shlex.quote(str(run.bundle))}",
    ]
    if config.schedule.name != "sequence":  # whose phases say how many epochs there are
        words.append(f"--epochs {max(1, epochs)}")
    start = " ".join(words)
    return start if finished else f"neocog train --resume {path}, and when it is finished: {start}"
