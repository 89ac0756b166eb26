"""The verb behind the recipe `auto`: look, race, decide, and train the winner, all within a budget of minutes.

Everything happens in one run folder. `search/journal.json` holds what was measured and decided, and `search/trial-*`
are small runs of the race, with checkpoints of their own; so a search that is killed resumes where it was.
"""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from neocog import runs
from neocog.auto.budget import Budget
from neocog.auto.candidate import distinct, is_fixed, with_candidate
from neocog.auto.decide import Choice, decide
from neocog.auto.describe import describe_search
from neocog.auto.entrants import choose_entrants
from neocog.auto.facts import Facts
from neocog.auto.gather import describe_samples, gather_facts
from neocog.auto.journal import Journal, read_journal
from neocog.auto.others import candidates_for
from neocog.auto.race import Race
from neocog.auto.say import choice_lines, fact_lines
from neocog.auto.screen import limited
from neocog.data import Opened, Source, tell
from neocog.dataset.record import absent_classes
from neocog.errors import ConfigError, NeocogError
from neocog.files import folder_lock, write_whole
from neocog.progress import note, quiet
from neocog.runs import ResolvedConfig, Run
from neocog.runs.config import read_run_config, with_paths
from neocog.runs.data import check_data, drop_inactive, open_configured
from neocog.runs.prepare import check_fit, prepare
from neocog.runs.session import session
from neocog.runs.split import split_source
from neocog.runs.train_run import carry_out, share_run
from neocog.training import Interrupted
from neocog.training.distributed import World, on_first
from neocog.zoo.weights import available
from neocog.zoo.weights.packages import INSTALL

__all__ = ["is_searching", "resume", "resume_training", "train"]

OF_NO_NETWORK = frozenset({"data.source", "train.minutes", "train.device", "train.seed"})
"""Settings that suit every network."""
USUAL = 32
WITH_WEIGHTS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def train(
    resolved: ResolvedConfig,
    *,
    data: object = None,
    name: str | None = None,
    runs: str | Path = "runs",
    download: bool = False,
    began: float | None = None,
) -> Run:
    """Choose what is open in these settings by a search on the data, then train, measure and seal the network.

    Takes what `neocog.runs.train` does, and raises what it does. The first Ctrl-C raises Interrupted; the run then
    resumes where it was, and the best network of the race so far is its `model.neocog`.
    """
    began = time.monotonic() if began is None else began
    resolved = ResolvedConfig(with_paths(resolved.config), resolved.provenance)
    minutes_of(resolved)  # raises before a folder is made
    with session(resolved.config) as world:
        if name is not None and world.first:
            Run.check_name(Path(runs), name)
        opened = Opened(open_configured(resolved.config, data, world, download=download))
        check_data(resolved.config, opened.source)
        check_settings(resolved, opened.source, world)
        run = share_run(on_first(lambda: Run.create(Path(runs), name, f"{opened.source.name}-auto"), world), world)
        with folder_lock(run.path) if world.first else nullcontext():
            if world.first:
                write_whole(run.config, resolved.to_yaml())
                run.log("search", data=opened.source.name)
            return search(run, resolved, opened, world, began)


def resume(run: Run, *, data: object = None, began: float | None = None) -> Run:
    """Resume a search that was stopped; what was measured and decided stays. Raises what `train` does."""
    began = time.monotonic() if began is None else began
    resolved = read_run_config(run.config)
    with session(resolved.config) as world, folder_lock(run.path) if world.first else nullcontext():
        if world.first:
            run.log("resume")
        opened = Opened(open_configured(resolved.config, data, world, download=False))
        return search(run, resolved, opened, world, began)


def check_settings(resolved: ResolvedConfig, source: Source, world: World) -> None:
    """Raises a NeocogError for data that can't be split, and for settings of the user that suit no candidate.

    Those for images are tried at the usual size, since the images have not been looked at.
    """
    splits = split_source(source, resolved.config.data, resolved.config.train.seed)
    drop_inactive(resolved, source)
    if not any(resolved.set_by_user(key) for key in resolved.provenance.keys() - OF_NO_NETWORK):
        return
    facts = Facts(**describe_samples(source, splits), height=USUAL, width=USUAL)
    errors = list[NeocogError]()
    for candidate in candidates_for(facts, network_of(resolved), {}):
        try:
            with quiet():
                check_fit(with_candidate(resolved, candidate, "a candidate"), world, source, splits)
            return
        except NeocogError as error:
            errors.append(error)
    raise errors[0]


def minutes_of(resolved: ResolvedConfig) -> float:
    """The budget of a search. Raises ConfigError if there is none."""
    if resolved.config.train.minutes is None:
        raise ConfigError("A search needs a number of minutes.", received="none", fix="Set --minutes, such as 10.")
    return resolved.config.train.minutes


def network_of(resolved: ResolvedConfig) -> str | None:
    """The network that the user has named, or whose weights they have."""
    return resolved.config.model.name if is_fixed(resolved, "model.name") else None


def journal_of(run: Run) -> Path:
    """The journal of a run that was or is searched for."""
    return run.path / "search" / "journal.json"


def is_searching(run: Run) -> bool:
    """Whether a run is still choosing its settings."""
    return bool(read_run_config(run.config).config.train.search)


def resume_training(run: Run, *, epochs: int | str | None, data: object, began: float | None) -> Run:
    """Resume the training of a run whose settings are known, whether or not a search has found them."""
    found = read_journal(journal_of(run))
    if found is None:
        return runs.resume(run.path, epochs=epochs, data=data, began=began)
    describe = partial(describe_search, found["steps"])
    return runs.resume(run.path, epochs=epochs, data=data, began=began, used=found["seconds"], describe_search=describe)


def search(run: Run, resolved: ResolvedConfig, opened: Opened, world: World, began: float) -> Run:
    """Look, race and decide, then train the winner in the same folder."""
    if world.first:
        journal_of(run).parent.mkdir(exist_ok=True)
    journal = Journal(journal_of(run), world)
    budget = Budget(seconds=60 * minutes_of(resolved), began=began, used_before=journal.seconds)
    tell(opened.source)
    with name_resume_command(run):
        race = make_race(run, resolved, opened, world, journal, budget)
        trials = race.run_all()
        finalists = journal.steps.get("finalists", ())
        count = race.facts.num_train
        found = race.once(
            "choice",
            lambda: decide(
                race.candidates, trials, budget.for_training(), finalists, count, journal.steps.get("left out")
            ).to_json(),
        )
        choice = Choice.from_json(found)
        seconds = race.once("training", budget.for_training)
        chosen = race.candidates[choice.candidate]
        chosen = limited(chosen, race.probe_of(choice.candidate), seconds, race.facts)
        for line in choice_lines(choice):
            note(line)
        final = with_candidate(resolved, chosen, f"won the race: {choice.reason}" if trials else choice.reason)
        final = final.choose({"train.search": (None, "the search is done"), **shorter(choice, journal)})
        with quiet():
            prepared = prepare(final, world, data=opened)
        if world.first:
            write_whole(run.config, prepared.resolved.to_yaml())
            run.log("start", data=prepared.source.name, model=prepared.resolved.config.model.name)
    describe = partial(describe_search, journal.steps)
    return carry_out(run, prepared, world, began=began, used=budget.used_before, describe_search=describe)


def shorter(choice: Choice, journal: Journal) -> dict[str, tuple[Any, str]]:
    """The budget of a run whose network has nothing to gain from all of it."""
    if choice.seconds is None:
        return {}
    minutes = round((journal.seconds + choice.seconds) / 60, 3)
    return {"train.minutes": (minutes, "in the race, more time gained nothing")}


def make_race(
    run: Run, resolved: ResolvedConfig, opened: Opened, world: World, journal: Journal, budget: Budget
) -> Race:
    """Look at the data, and draw up the candidates."""
    config = resolved.config
    splits = split_source(opened.source, config.data, config.train.seed)
    seen = journal.once("look", lambda: gather_facts(resolved, opened.source, splits, budget), budget.used)
    facts = Facts.from_json(seen["facts"])
    for line in fact_lines(facts, seen.get("lines", ())):
        note(f"  {line}")
    for line in absent_classes(opened.source.classes, {"validation": opened.source.targets[splits.val]}):
        note(f"  {line}, so the choice does not look at it")
    weights = journal.once("weights", lambda: find_weights(resolved), budget.used)
    if facts.height and not weights and not resolved.set_by_user("model.pretrained"):
        note(f"  networks that were trained on ImageNet would take part, too: {INSTALL}")
    table = distinct(resolved, candidates_for(facts, network_of(resolved), weights))
    candidates = choose_entrants(table, facts, journal, budget, world.device)
    return Race(
        run=run, base=resolved, opened=opened, candidates=candidates, world=world, journal=journal, budget=budget,
        facts=facts,
    )  # fmt: skip


def find_weights(resolved: ResolvedConfig) -> dict[str, str]:
    """The networks whose weights are on this machine, and the value that names them; none if the user wants none."""
    if resolved.set_by_user("model.pretrained") and resolved.config.model.pretrained is None:
        return {}
    named = network_of(resolved)
    found = {name: available(name) for name in (WITH_WEIGHTS if named is None else (named,))}
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def name_resume_command(run: Run) -> Iterator[None]:
    """An error that ends the search early names the command that resumes it."""
    command = f"neocog train --resume {shlex.quote(str(run.path))}"
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        signum = stop.signum if isinstance(stop, Interrupted) else signal.SIGINT
        so_far = f" The best network so far is {run.bundle}." if run.bundle.is_file() else ""
        raise Interrupted(f"Stopped in the search; saved.{so_far} Resume with: {command}", signum) from None
