"""The end of a run: the test split is used here, once; then the bundle, the report and the evaluation are written."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor, torch_backend, write_bundle
from neocog.data import divide, divides_by_class
from neocog.files import write_whole
from neocog.loading import InMemoryDataset
from neocog.progress import note
from neocog.runs.config import ResolvedConfig
from neocog.runs.extend import Extension, end_extension, name_command
from neocog.runs.folder import Run
from neocog.runs.measure import evaluate_records, progress_text
from neocog.runs.prepare import Prepared
from neocog.runs.split import digest_split
from neocog.runs.validate import score_dataset
from neocog.training import State, Training
from neocog.training.monitoring import read_events, still_improving
from neocog.training.replans import write_replans

__all__ = ["finish"]

NUM_GOLDEN = 8


def finish(
    run: Run, prepared: Prepared, training: Training, epoch_steps: int, extension: Extension | None = None
) -> Run:
    """Evaluate the best weights, write `model.neocog`, `report.html`, and last `evaluation.json`, which ends the run.

    When a run is extended, each of these files is replaced in one step.
    """
    model = training.result.cpu()
    task, source = prepared.task, prepared.source
    predictor = Predictor(torch_backend(model), prepared.preprocess, task, model=model)
    split = "test" if len(prepared.splits.test) else "validation"
    indices = prepared.splits.test if len(prepared.splits.test) else prepared.splits.val
    held = prepared.test if split == "test" else prepared.val
    if isinstance(held, InMemoryDataset):  # decoded already
        logits = score_dataset(predictor, held, np.arange(len(held))).numpy()
    else:
        logits = predictor.logits_of(source, indices)
    targets = source.targets[indices]
    note(f"{split} {task.progress_metric} {progress_text(task, logits, targets)[1]}")
    averaged = evaluate_tta(predictor, prepared, indices, split, logits)
    evaluation = evaluate_records(task, logits, targets, source, indices, split)
    spread = np.linspace(0, len(indices) - 1, min(NUM_GOLDEN, len(indices))).astype(int)
    golden = [source.read(int(index)).payload for index in indices[spread]]
    data, folders = prepared.resolved.config.data, getattr(source, "folders", None)
    signal = prepared.resolved.config.signal
    reading = {"window": signal.window, "step": signal.step, "columns": signal.columns and list(signal.columns)}
    about: dict[str, Any] = {
        "model": prepared.model_spec,
        "data": {
            "name": source.name,
            "fingerprint": prepared.fingerprint,
            "seed": prepared.resolved.config.train.seed,
            "val_fraction": data.val_fraction,
            "test_fraction": data.test_fraction,
            **({"signal": reading} if any(reading.values()) else {}),
            **({"groups_by_class": True} if divides_by_class(source) else {}),
            **({"test_fold": folders.test_fold} if folders is not None and folders.test_fold else {}),
            "training part": training_part(prepared),
        },
        "evaluation": {
            "split": split,
            **{name: figure.value for name, figure in evaluation.metrics.items()},
            **averaged,
        },
    }
    if prepared.start is not None:
        about["started from"] = str(prepared.start.path)
        about["trained before on"] = prepared.start.lineage
    extended = extended_notes(run, split)
    if extended:
        about["extended"] = list(extended)
    notes = (*extended, *advice(run, prepared, training.state, epoch_steps))
    write_bundle(run.bundle, model, predictor, golden, about)
    from neocog.runs.run_report import write_run_report  # matplotlib takes a second to import

    write_run_report(run, prepared, training.state, model, evaluation, epoch_steps, notes)
    run.log("finished", **about["evaluation"])
    resolved = note_clock(prepared.resolved, training.state)
    if extension is not None or resolved is not prepared.resolved:
        write_whole(run.config, resolved.to_yaml())
    write_whole(run.figures, json.dumps(evaluation.to_json(), indent=1, allow_nan=False))
    end_extension(run)
    for line in notes:
        note(line)
    run.evaluation = evaluation
    return run


def note_clock(resolved: ResolvedConfig, state: State) -> ResolvedConfig:
    """The settings that repeat a run without a clock, if it had one."""
    if resolved.config.train.minutes is None or resolved.config.train.replanned is not None:
        return resolved
    return resolved.choose({"train.replanned": (write_replans(state.replans), "the clock")})


def advice(run: Run, prepared: Prepared, state: State, epoch_steps: int) -> tuple[str, ...]:
    """If the network still improves, a sentence with the command that trains it further."""
    sign = still_improving(state.history)
    if sign is None or not prepared.resolved.config.monitor.warnings:
        return ()
    done = len(state.history)
    command = name_command(run, prepared.resolved.config, done, state.step, epoch_steps, state.stopped_early)
    return (f"{sign} Train it further: {command}",)


def extended_notes(run: Run, split: str) -> tuple[str, ...]:
    """A sentence for each time that the run was extended after its test split had been evaluated."""
    return tuple(
        f"The run was extended from {event['before']} to {event['epochs']} epochs when its {split} metrics were known. "
        "If it was extended because of them, they are too optimistic."
        for event in read_events(run.events, "extended")
        if event["measured"]
    )


def training_part(prepared: Prepared) -> str:
    """A short name for the records of the training split, before the skip list."""
    config, parts = prepared.resolved.config, prepared.splits
    if config.data.skip_list is not None:
        data, seed = config.data, config.train.seed
        parts = divide(prepared.source, val_fraction=data.val_fraction, test_fraction=data.test_fraction, seed=seed)
    return digest_split(prepared.source, parts.train)


def evaluate_tta(
    predictor: Predictor, prepared: Prepared, indices: NDArray[np.int64], split: str, plain: NDArray[np.float32]
) -> dict[str, float]:
    """The progress metric with the test-time augmentation of the settings, by name; empty without one.

    `plain` are the logits without it, which are not computed again.
    """
    tta = prepared.resolved.config.train.tta
    if tta == "none":
        return {}
    logits = predictor.logits_of(prepared.source, indices, tta=tta, plain=plain)
    value, text = progress_text(prepared.task, logits, prepared.source.targets[indices])
    metric = prepared.task.progress_metric
    note(f"{split} {metric} {text} with test-time augmentation ({tta})")
    return {f"{metric} with {tta}": value}
