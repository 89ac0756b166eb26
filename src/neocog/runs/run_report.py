"""The report of a finished run."""

from collections.abc import Iterable, Sequence

import numpy as np
from torch import nn

from neocog.bundle.write import environment
from neocog.evaluation import Evaluation
from neocog.modalities.table import MODALITIES
from neocog.report import Curves, Report, write_report
from neocog.runs.folder import Run
from neocog.runs.prepare import Prepared
from neocog.training import State, learning_rate

__all__ = ["write_run_report"]

RATE_POINTS = 400


def write_run_report(
    run: Run,
    prepared: Prepared,
    state: State,
    model: nn.Module,
    evaluation: Evaluation,
    epoch_steps: int,
    notes: Sequence[str] = (),
) -> None:
    """Write `report.html`: all that it tells, from the finished run."""
    config = prepared.resolved.config
    num_steps = epoch_steps * config.train.epochs
    steps = sorted({int(step) for step in np.linspace(0, num_steps - 1, RATE_POINTS)})
    rates = [
        (
            step / epoch_steps,
            learning_rate(config.schedule, config.optimizer.lr, step, num_steps, epoch_steps),
        )
        for step in steps
    ]
    plural = MODALITIES[prepared.source.modality].plural
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    report = Report(
        name=run.path.name,
        subtitle=f"{config.model.name} on {prepared.source.name}: {len(prepared.task.classes)} classes, "
        f"{len(prepared.train):,} {plural} to learn from, {len(prepared.val):,} to choose by",
        evaluation=evaluation,
        curves=Curves(
            history=state.history, best_epoch=state.best_epoch, rates=rates, stopped_early=state.stopped_early
        ),
        model=model,
        model_facts={"parameters": f"{parameters:,}", "input": "x".join(map(str, prepared.preprocess.shape))},
        mistake_pictures=mistake_pictures(prepared, (mistake.key for mistake in evaluation.mistakes)),
        config=prepared.resolved.rows(),
        environment=environment(),
        notes=(*prepared.source.notices, *prepared.splits.notes, *prepared.notes, *notes),
    )
    write_report(run.report, report)


def mistake_pictures(prepared: Prepared, keys: Iterable[str]) -> dict[str, str]:
    """Inputs as the network sees them, before normalisation, drawn, by record key."""
    wanted = set(keys)
    found = {}
    for index in np.concatenate([prepared.splits.test, prepared.splits.val]).tolist():
        key = prepared.source.key(index)
        if key in wanted:
            payload = prepared.source.read(index).payload
            drawing = MODALITIES[prepared.source.modality].draw(payload, prepared.preprocess.decode(payload, key))
            found[key] = drawing.address or drawing.text
    return found
