"""The report of a finished run."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from neocog.bundle import Predictor
from neocog.bundle.write import environment
from neocog.evaluation import Evaluation, WorstError
from neocog.modalities.draw import Drawing
from neocog.modalities.table import MODALITIES
from neocog.report import Curves, Report, Search, write_report
from neocog.runs.folder import Run
from neocog.runs.prepare import Prepared
from neocog.tasks import DenseTask
from neocog.training import State, learning_rate
from neocog.training.replans import planned_step

__all__ = ["write_run_report"]

RATE_POINTS = 400


def write_run_report(
    run: Run,
    prepared: Prepared,
    predictor: Predictor,
    state: State,
    evaluation: Evaluation,
    epoch_steps: int,
    notes: Sequence[str] = (),
    search: Search | None = None,
) -> None:
    """Write `report.html` of a finished run."""
    config = prepared.resolved.config
    planned = epoch_steps * config.train.epochs
    num_steps = state.num_steps(planned)
    steps = sorted({int(step) for step in np.linspace(0, num_steps - 1, RATE_POINTS)})
    rates = [
        (
            step / epoch_steps,
            learning_rate(
                config.schedule,
                config.optimizer.lr,
                planned_step(step, planned, state.replans),
                planned,
                epoch_steps,
            ),
        )
        for step in steps
    ]
    start = [] if state.start is None else [start_row(state.start)]
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    plural = MODALITIES[prepared.source.modality].plural
    assert predictor.model is not None
    report = Report(
        name=run.path.name,
        subtitle=f"{config.model.name} on {prepared.source.name}: {prepared.task.outputs_text}, "
        f"{len(prepared.train):,} training and {len(prepared.val):,} validation {plural}",
        evaluation=evaluation,
        curves=Curves(
            progress_metric=prepared.task.progress_metric,
            progress_percent=prepared.task.progress_percent,
            history=[*start, *state.history],
            best_epoch=state.best_epoch + len(start),
            rates=rates,
            stopped_early=state.stopped_early,
        ),
        model=predictor.model,
        model_facts={"parameters": f"{parameters:,}", "input": "x".join(map(str, prepared.preprocess.shape))},
        drawings=draw_inputs(prepared, predictor, {error.key: error for error in evaluation.worst_errors}),
        config=prepared.resolved.rows(),
        environment=environment(),
        notes=(*prepared.source.notices, *prepared.splits.notes, *prepared.notes, *notes),
        search=search,
        drawn=prepared.task.drawn,
        legend=prepared.task.legend,
    )
    write_report(run.report, report)


def start_row(start: Mapping[str, float]) -> dict[str, float]:
    """The metrics from before training as a row of the history, in which nothing was trained."""
    trained = {key.replace("val_", "train_", 1): math.nan for key in start}
    return {"epoch": 0, "seconds": 0.0, **trained, **start}


def draw_inputs(prepared: Prepared, predictor: Predictor, errors: Mapping[str, WorstError]) -> dict[str, Drawing]:
    """Inputs as the network receives them, before normalisation, by record key; where the task draws them itself, with
    its masks, boxes or moves."""
    task, found = prepared.task, {}
    for index in np.concatenate([prepared.splits.test, prepared.splits.val]).tolist():
        key = prepared.source.key(index)
        if key in errors and isinstance(task, DenseTask):
            record = prepared.source.read(index)
            (prediction,) = predictor.predict_records([record])
            found[key] = task.draw(record, prediction)
        elif key in errors:
            record, spec = prepared.source.read(index), prepared.preprocess
            found[key] = task.draw_error(record, errors[key]) or MODALITIES[spec.modality].draw(
                record.payload, spec.decode(record.payload, key), key
            )
    return found
