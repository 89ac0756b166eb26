"""The verb behind the recipe `auto`: look, race, decide, and train the winner, all within a budget of minutes.

Everything happens in one run folder. `search/journal.json` holds what was measured and decided, and `search/trial-*`
are small runs of the race, with checkpoints of their own; so a search that is killed goes on where it was.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from neocog.auto.decide import Choice, decide, final_config
from neocog.auto.journal import Journal
from neocog.auto.look import look_at
from neocog.auto.race import Race
from neocog.auto.say import tell_choice, tell_facts
from neocog.cpus import process_seconds
from neocog.data import Opened, tell
from neocog.errors import NeocogError, StorageError
from neocog.files import folder_lock, write_whole
from neocog.progress import note, quiet
from neocog.runs import ResolvedConfig, Run
from neocog.runs.config import read_run_config, with_paths
from neocog.runs.data import check_data, open_configured
from neocog.runs.prepare import prepare
from neocog.runs.session import session
from neocog.runs.split import split_source
from neocog.runs.train_run import carry_out, share_run
from neocog.training import Interrupted
from neocog.training.clock import Clock
from neocog.training.distributed import World, on_first

__all__ = ["resume", "searching", "train"]


def train(
    resolved: ResolvedConfig,
    *,
    data: object = None,
    name: str | None = None,
    runs: str | Path = "runs",
    download: bool = False,
) -> Run:
    """Choose what is open in these settings by a search on the data, then train, measure and seal the network.

    Takes what `neocog.runs.train` does, and raises what it does. The budget of `train.minutes` counts from the start of
    the process. The first Ctrl-C raises Interrupted; the run resumes where it was, and the best network so far is there
    as `model.neocog`.
    """
    resolved = ResolvedConfig(with_paths(resolved.config), resolved.provenance)
    with session(resolved.config) as world:
        if name is not None and world.first:
            Run.check_name(Path(runs), name)
        opened = Opened(open_configured(resolved.config, data, world, download=download))
        check_data(resolved.config, opened.source)
        split_source(opened.source, resolved.config.data, resolved.config.train.seed)  # raises if it can't be split
        run = share_run(on_first(lambda: Run.create(Path(runs), name, f"{opened.source.name}-auto"), world), world)
        with folder_lock(run.path) if world.first else nullcontext():
            if world.first:
                write_whole(run.config, resolved.to_yaml())
                run.log("search", data=opened.source.name)
            return search(run, resolved, opened, world)


def resume(run: Run, *, data: object = None) -> Run:
    """Resume a search that was stopped, or the training that it led to.

    What was measured and decided before stays so. Raises what `neocog.runs.resume` does.
    """
    resolved = read_run_config(run.config)
    with session(resolved.config) as world, folder_lock(run.path) if world.first else nullcontext():
        if world.first:
            run.log("resume")
        opened = Opened(open_configured(resolved.config, data, world, download=False))
        return search(run, resolved, opened, world)


def searching(run: Run) -> bool:
    """Whether a run is still choosing its settings."""
    return bool(read_run_config(run.config).config.train.search)


def search(run: Run, resolved: ResolvedConfig, opened: Opened, world: World) -> Run:
    """Look, race and decide, then train the winner in the same folder."""
    journal = Journal(run.search / "journal.json", world)
    budget = Budget(resolved, journal)
    tell(opened.source)
    with name_resume(run, world):
        facts = look_at(resolved, opened.source, journal, budget)
        tell_facts(facts, journal)
        race = Race(run=run, base=resolved, opened=opened, facts=facts, world=world, journal=journal, budget=budget)
        trials = race.run_all()
        choice = Choice.from_json(journal.once("choice", lambda: decide(race, trials).to_json(), budget.used))
        tell_choice(choice)
        final = final_config(resolved, race.candidates, choice)
        with quiet():
            prepared = prepare(final, world, data=opened)
        if world.first:
            write_whole(run.config, prepared.resolved.to_yaml())
            run.log("start", data=prepared.source.name, model=prepared.resolved.config.model.name)
    return carry_out(run, prepared, world, clock=budget.clock(prepared))
