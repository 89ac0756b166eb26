"""Optuna: which values the next trial has, whether it is pruned, and the journal of finished trials.

The journal has finished trials only, each as a single record, so a process that is killed leaves nothing half-written
that counts. The values of a trial are a function of the seed, its number and the finished trials: the sampler is made
for each trial, in memory, from the journal.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from neocog.errors import ConfigError
from neocog.recipes.ranges import Choices, Range
from neocog.rng import derive_seed
from neocog.tuning.trial import TunedTrial

__all__ = ["Journal", "find_optuna", "propose"]

NAME = "neocog"
FEWEST, MOST = 3, 10
"""Random trials before the sampler follows results: a third of all, within these."""
BEFORE_PRUNING = 4
"""Whole trials before one may be pruned."""


def find_optuna() -> ModuleType:
    """The module. Raises ConfigError if it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "Tuning needs Optuna, which is not installed.", fix="pip install neocog[tune]", kind="missing"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


class Journal:
    """The finished trials of a study, in `journal.log`, which Optuna's own tools read too.

    Only the process that holds the study's lock may write.
    """

    def __init__(self, path: Path, mode: str, *, writes: bool = True) -> None:
        self.optuna, self.path, self.mode = find_optuna(), path, mode
        if writes:
            drop_torn_line(path)
            for lock in path.parent.glob(f"{path.name}.lock*"):  # of a process that was killed
                lock.unlink(missing_ok=True)
        self.study = self.open()

    def open(self) -> Any:
        storages = self.optuna.storages
        storage = storages.JournalStorage(storages.journal.JournalFileBackend(str(self.path)))
        if storage.get_all_studies():
            return self.optuna.load_study(study_name=NAME, storage=storage)
        direction = "maximize" if self.mode == "max" else "minimize"
        return self.optuna.create_study(storage=storage, study_name=NAME, direction=direction)

    def trials(self) -> list[TunedTrial]:
        """All finished trials, in their order."""
        return [read_trial(found) for found in self.study.get_trials(deepcopy=False)]

    def add(self, trial: TunedTrial, ranges: Mapping[str, Range]) -> None:
        """Write down a finished trial."""
        self.study.add_trial(frozen(self.optuna, trial, ranges))


def drop_torn_line(path: Path) -> None:
    """Remove what a killed process left of a record, which no reader counts."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        path.write_bytes(whole)


def distribution(optuna: ModuleType, one: Range) -> Any:
    """A range in Optuna's terms."""
    known = optuna.distributions
    if isinstance(one, Choices):
        return known.CategoricalDistribution(one.values)
    if one.integer:
        return known.IntDistribution(int(one.low), int(one.high), log=one.log)
    return known.FloatDistribution(one.low, one.high, log=one.log)


def frozen(optuna: ModuleType, trial: TunedTrial, ranges: Mapping[str, Range]) -> Any:
    """A finished trial in Optuna's terms. A rejected one counts as the worst, so that the sampler avoids its like."""
    states = optuna.trial.TrialState
    state = {"complete": states.COMPLETE, "failed": states.FAIL}.get(trial.outcome, states.PRUNED)
    return optuna.trial.create_trial(
        state=state, value=trial.value if trial.outcome == "complete" else None, params=dict(trial.params),
        distributions={key: distribution(optuna, ranges[key]) for key in trial.params},
        intermediate_values=dict(enumerate(trial.history, start=1)),
        user_attrs=json.loads(json.dumps(trial.to_json())),
    )  # fmt: skip


def read_trial(found: Any) -> TunedTrial:
    return TunedTrial.from_json(found.user_attrs)


def propose(
    number: int, trials: Sequence[TunedTrial], ranges: Mapping[str, Range], *, seed: int, num_trials: int, mode: str,
    first: Mapping[str, Any],
) -> tuple[dict[str, Any], "Pruner"]:  # fmt: skip
    """The values of a trial, and its pruner; the first trial has the values `first`, as far as they are given.

    Tree-structured Parzen estimator: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization", section 4.
    """
    optuna = find_optuna()
    startup = max(FEWEST, min(MOST, num_trials // 3))
    sampler = optuna.samplers.TPESampler(seed=derive_seed(seed, "tune", number) % 2**32, n_startup_trials=startup)
    memory = optuna.create_study(
        direction="maximize" if mode == "max" else "minimize", sampler=sampler,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING),
    )  # fmt: skip
    memory.add_trials([frozen(optuna, trial, ranges) for trial in trials])
    if number == 0 and first:
        memory.enqueue_trial(dict(first))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = memory.ask({key: distribution(optuna, one) for key, one in ranges.items()})
    return dict(asked.params), Pruner(asked)


class Pruner:
    """The median rule: a trial ends whose best value so far is worse than the median of others at this epoch.

    Source: Golovin et al. 2017, "Google Vizier", section 3.2.2.
    """

    def __init__(self, asked: Any) -> None:
        self.asked, self.epochs, self.pruned = asked, 0, False

    def end_of(self, history: Sequence[float]) -> int | None:
        """The number of epochs after which this trial is pruned; None if it is not. Never asked for fewer epochs."""
        for epoch in range(self.epochs + 1, len(history) + 1):
            if self.pruned:
                break
            self.asked.report(history[epoch - 1], epoch)
            self.epochs, self.pruned = epoch, self.asked.should_prune()
        return self.epochs if self.pruned else None
