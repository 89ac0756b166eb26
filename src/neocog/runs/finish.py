"""The end of a run: the test split is touched here, once; then the bundle, the report, and the figures."""

import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import nn

from neocog.bundle import Predictor, torch_engine, write_bundle
from neocog.bundle.write import environment
from neocog.data import Source
from neocog.evaluation import Evaluation, evaluate_logits
from neocog.files import write_whole
from neocog.progress import note
from neocog.report import Curves, Report, write_report
from neocog.report.inputs import draw_input
from neocog.runs.folder import Run
from neocog.runs.modality import NOUNS
from neocog.runs.prepare import Prepared
from neocog.training import State, Training, learning_rate

__all__ = ["finish"]

NUM_GOLDEN = 8
RATE_POINTS = 400


def finish(run: Run, prepared: Prepared, training: Training, epoch_steps: int) -> Run:
    """Measure the kept weights, write `model.neocog`, `report.html`, and last `evaluation.json`, which ends the run."""
    model = training.result.cpu()
    predictor = Predictor(torch_engine(model), prepared.preprocess, prepared.task.classes)
    split = "test" if len(prepared.splits.test) else "validation"
    indices = prepared.splits.test if len(prepared.splits.test) else prepared.splits.val
    evaluation = measure(predictor, prepared.source, indices, split)
    note(f"{split} accuracy {evaluation.top1.value:.2%}")
    averaged = with_views(predictor, prepared, indices, split)
    spread = np.linspace(0, len(indices) - 1, min(NUM_GOLDEN, len(indices))).astype(int)
    golden = [prepared.source.read(int(index)).payload for index in indices[spread]]
    data = prepared.settled.config.data
    about = {
        "model": prepared.model_spec,
        "data": {
            "name": prepared.source.name,
            "fingerprint": prepared.fingerprint,
            "seed": prepared.settled.config.train.seed,
            "val_fraction": data.val_fraction,
            "test_fraction": data.test_fraction,
        },
        "evaluation": {
            "split": split,
            **{name: figure.value for name, figure in evaluation.headlines.items()},
            **averaged,
        },
    }
    write_bundle(run.bundle, model, predictor, golden, about)
    report = make_report(run, prepared, training.state, model, evaluation, epoch_steps)
    write_report(run.report, report)
    run.log("finished", **about["evaluation"])
    write_whole(run.figures, json.dumps(evaluation.to_json(), indent=1, allow_nan=False))
    run.evaluation = evaluation
    return run


def with_views(predictor: Predictor, prepared: Prepared, indices: NDArray[np.int64], split: str) -> dict[str, float]:
    """The accuracy with the views that the settings ask for, by what it is called; nothing without."""
    views = prepared.settled.config.train.views
    if views == "none":
        return {}
    predictor.views = views
    accuracy = measure(predictor, prepared.source, indices, split).top1.value
    predictor.views = "none"
    note(f"{split} accuracy {accuracy:.2%} with the views {views} averaged")
    return {f"accuracy with {views}": accuracy}


def measure(
    predictor: Predictor,
    source: Source,
    indices: NDArray[np.int64],
    split: str,
    targets: NDArray[np.int64] | None = None,
) -> Evaluation:
    """Evaluate a predictor on records of a source; `targets` are given where its classes are numbered otherwise."""
    return evaluate_logits(
        predictor.logits_of(source, indices),
        source.targets[indices] if targets is None else targets,
        predictor.classes,
        [source.key(index) for index in indices.tolist()],
        data=source.name,
        split=split,
    )


def make_report(
    run: Run, prepared: Prepared, state: State, model: nn.Module, evaluation: Evaluation, epoch_steps: int
) -> Report:
    """Everything that the report tells, from the finished run."""
    config = prepared.settled.config
    num_steps = epoch_steps * config.train.epochs
    steps = sorted({int(step) for step in np.linspace(0, num_steps - 1, RATE_POINTS)})
    rates = [
        (
            step / epoch_steps,
            learning_rate(config.schedule, config.optimizer.lr, step, num_steps, epoch_steps),
        )
        for step in steps
    ]
    parameters = sum(p.numel() for p in prepared.model.parameters() if p.requires_grad)
    return Report(
        name=run.path.name,
        subtitle=f"{config.model.name} on {prepared.source.name}: {len(prepared.task.classes)} classes, "
        f"{len(prepared.train):,} {NOUNS[prepared.source.modality]} to learn from, {len(prepared.val):,} to choose by",
        evaluation=evaluation,
        curves=Curves(
            history=state.history, best_epoch=state.best_epoch, rates=rates, stopped_early=state.stopped_early
        ),
        model=model,
        model_facts={"parameters": f"{parameters:,}", "input": "x".join(map(str, prepared.preprocess.shape))},
        mistake_pictures=mistake_pictures(prepared, (mistake.key for mistake in evaluation.mistakes)),
        config=prepared.settled.rows(),
        environment=environment(),
        notes=(*prepared.source.notices, *prepared.splits.notes),
    )


def mistake_pictures(prepared: Prepared, keys: Iterable[str]) -> dict[str, str]:
    """Inputs as the network sees them, before normalisation, drawn, by record key."""
    wanted = set(keys)
    found = {}
    for index in np.concatenate([prepared.splits.test, prepared.splits.val]).tolist():
        key = prepared.source.key(index)
        if key in wanted:
            payload = prepared.source.read(index).payload
            found[key] = draw_input(prepared.preprocess.modality, payload, prepared.preprocess.decode(payload, key))
    return found
