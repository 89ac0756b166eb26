"""The race: successive halving (Karnin et al. 2013; Jamieson & Talwalkar 2016) within a share of the budget.

Round 0 fits a linear head to the frozen features of each network that has weights of ImageNet, at each size. Round 1
trains each network from scratch for a short time. Round 2 trains the best of each family for longer. Each round is a
whole run with a whole schedule, as a network that is stopped in the middle of its schedule says little about its end.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neocog.auto.budget import Budget
from neocog.auto.candidate import Candidate
from neocog.auto.compare import Trial, differ, rank
from neocog.auto.facts import Facts
from neocog.auto.journal import Journal
from neocog.auto.probe import run_probe
from neocog.auto.screen import limited
from neocog.auto.trials import failed, run_trial, seal_so_far
from neocog.data import Opened
from neocog.errors import ConfigError
from neocog.progress import note
from neocog.runs import ResolvedConfig, Run
from neocog.training.distributed import World

__all__ = ["Race", "explain_left_out", "shortest_race"]

SHARE = 0.25
"""Of the time that is left, for the race."""
MOST_SHARE = 0.36
"""The same if two candidates can't be tried otherwise."""
FIRST = 0.45
"""Of the race, for the rounds 0 and 1."""
SHORTEST_SECOND = 7.0
"""Seconds of a trial below which a second round would say no more than the first."""
LONGER = 1.5
"""Times the first trial that a second has to take."""
FINALISTS = 2
OVERRUN = 0.1
"""Of the time that the race leaves for training, by which its trials may exceed their time; no other begins then."""
SCORED = 2000
"""Validation samples that score a trial, at most."""


def shortest_race(candidates: Sequence[Candidate]) -> float:
    """Seconds that must be left so that the first two candidates can be tried within `MOST_SHARE` of them.

    >>> round(shortest_race([Candidate("a", {}, least_seconds=3.0)] * 2), 1)
    37.0
    """
    return least_first_round(candidates) / MOST_SHARE


def explain_left_out(budget: Budget, candidates: Sequence[Candidate]) -> str:
    """Why there is no race.

    >>> budget = Budget(seconds=12.0, began=0.0, now=lambda: 3.5)
    >>> explain_left_out(budget, [Candidate("a", {}), Candidate("b", {})])
    'the search is left out, as it takes 37 s or more, and 6.1 of 12 s are left for training'
    """
    return (
        f"the search is left out, as it takes {shortest_race(candidates):.0f} s or more, "
        f"and {max(0.0, budget.left()):.1f} of {budget.seconds:.0f} s are left for training"
    )


def least_first_round(candidates: Sequence[Candidate]) -> float:
    """Seconds of a race of the first two candidates."""
    return 2 * max(candidate.least_seconds for candidate in candidates[:2]) / FIRST


@dataclass(frozen=True, kw_only=True, slots=True)
class Race:
    """The race of some candidates for one data set."""

    run: Run
    base: ResolvedConfig
    opened: Opened
    candidates: list[Candidate]
    world: World
    journal: Journal
    budget: Budget
    facts: Facts

    def run_all(self) -> list[Trial]:
        """The trials of all rounds, in their order; none if there is nothing to choose from."""
        if len(self.candidates) < 2:
            return []
        plan = self.once("race", self.plan)
        if not plan["entrants"]:
            self.once("left out", lambda: explain_left_out(self.budget, self.candidates))
            return []
        trials: list[Trial] = []
        for place, candidate in enumerate(self.candidates[: int(plan["entrants"])]):
            probes = candidate.transfer
            trials.append(
                self.trial(f"{'probe' if probes else 'trial-1'}-{place}", place, plan["first"], probes=probes)
            )
        finalists = self.once("finalists", lambda: choose_finalists(self.candidates, trials, plan["left"]))
        again, seconds = self.second_round(finalists, plan)
        return trials + [self.trial(f"trial-2-{place}", place, seconds) for place in again]

    def second_round(self, finalists: list[int], plan: Mapping[str, float]) -> tuple[list[int], float]:
        """The places of the candidates that train once more, and the seconds of each; nobody without a rival.

        If the time is short, only networks from scratch do, whose result says little without a second point; frozen
        features have a learning curve already.
        """
        if len(finalists) < 2:
            return [], 0.0
        if plan["second"] > max(SHORTEST_SECOND, plan["first"]):
            return finalists, plan["second"]
        scratch = [place for place in finalists if not self.candidates[place].transfer]
        seconds = FINALISTS * plan["second"] / max(1, len(scratch))
        return (scratch, seconds) if seconds > LONGER * plan["first"] else ([], 0.0)

    def plan(self) -> dict[str, float]:
        """How many candidates race, the seconds of a trial in each round, and what the race leaves for training.

        Those at the end of the table are left out if the trials would be too short; with one left, there is no race.
        """
        left = max(0.0, self.budget.left())
        whole = max(SHARE * left, min(MOST_SHARE * left, least_first_round(self.candidates)))
        entrants = len(self.candidates)
        while entrants > 1 and FIRST * whole / entrants < max(c.least_seconds for c in self.candidates[:entrants]):
            entrants -= 1
        return {
            "entrants": entrants if entrants > 1 else 0,
            "first": FIRST * whole / entrants,
            "second": (1 - FIRST) * whole / FINALISTS,
            "left": self.budget.left() - whole,
        }

    def trial(self, name: str, place: int, seconds: float, *, probes: bool = False) -> Trial:
        """The result of one trial, from the journal if it has it."""
        base = self.base
        candidate = limited(self.candidates[place], self.probe_of(place), seconds, self.facts)
        known = name in self.journal.steps

        def work() -> dict[str, Any]:
            if self.is_late(seconds):
                error = ConfigError("Earlier trials took the time of the race.", fix="Give it more --minutes.")
                return failed(candidate, place, 0 if probes else int(name.split("-")[1]), 0.0, error).to_json()
            if probes:
                found = run_probe(candidate, place, seconds, base=base, opened=self.opened, world=self.world)
            else:
                rung = int(name.split("-")[1])
                folder = Run(self.run.path / "search" / name)
                found, trained = run_trial(
                    candidate, place, rung, seconds, base=base, opened=self.opened, world=self.world, folder=folder,
                    scored=SCORED,
                )  # fmt: skip
                if trained is not None and self.world.first and self.is_best(found):
                    seal_so_far(self.run, *trained, found)
            return found.to_json()

        found = Trial.from_json(self.once(name, work))
        if not known:
            note(f"  {describe(found)}")
        return found

    def is_late(self, seconds: float) -> bool:
        """Whether a trial of this length would take time from the training of the winner."""
        kept = float(self.journal.steps["race"]["left"])
        return self.budget.left() - seconds < (1 - OVERRUN) * kept

    def probe_of(self, place: int) -> Trial | None:
        """The trial of a candidate's frozen features, once there is one."""
        found = self.journal.steps.get(f"probe-{place}")
        return None if found is None else Trial.from_json(found)

    def is_best(self, trial: Trial) -> bool:
        """Whether no trial so far has trained a better network."""
        steps = [found for name, found in self.journal.steps.items() if name.startswith("trial-")]
        return all(found["error"] or trial.value >= found["value"] for found in steps)

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        return self.journal.once(name, work, self.budget.used)


def describe(trial: Trial) -> str:
    """A trial in one line."""
    if trial.error:
        return f"{trial.name}: left out, {trial.error}"
    figure = f"{trial.value:.1%} [{trial.low:.1%}, {trial.high:.1%}]"
    return f"{trial.name}: {figure} by {trial.by}, {trial.total_seconds:.1f} s"


def choose_finalists(candidates: list[Candidate], trials: list[Trial], seconds: float) -> list[int]:
    """The places of the candidates for the second round: the best of each family, and others up to two.

    A family whose best is far behind has none: behind by more than chance, and by more than training for these
    `seconds` could make up for.
    """
    ranked = rank(trials)
    if not ranked:
        return []
    best = ranked[0]
    leaders = {candidates[trial.candidate].transfer: trial for trial in reversed(ranked)}
    chosen = [
        trial.candidate
        for trial in sorted(leaders.values(), key=lambda trial: -trial.value)
        if not differ(best, trial) or promise(trial, seconds) >= best.value
    ]
    others = [trial.candidate for trial in ranked if trial.candidate not in chosen and not differ(best, trial)]
    return (chosen + others)[:FINALISTS]


def promise(trial: Trial, seconds: float) -> float:
    """The most that a trial could reach in this time: its error falls by the steepest power that is usual."""
    steep = max(1.0, seconds / max(1e-9, trial.seconds))
    return 1 - (1 - trial.value) / math.sqrt(steep)
