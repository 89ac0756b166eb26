"""The end of a run: the test split is used here, once; then the bundle, the report and the evaluation are written."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.bundle import Predictor, torch_backend
from neocog.bundle.reference import measure_reference
from neocog.data import TTA
from neocog.evaluation import Evaluation
from neocog.files import write_whole
from neocog.loading import InMemoryDataset
from neocog.progress import note
from neocog.runs.config import ResolvedConfig
from neocog.runs.extend import Extension, end_extension, name_command
from neocog.runs.folder import Run
from neocog.runs.measure import evaluate_records, progress_text
from neocog.runs.prepare import Prepared
from neocog.runs.provenance import SetBy
from neocog.runs.seal_model import seal_model
from neocog.runs.validate import score_dataset
from neocog.training import State, Training
from neocog.training.monitoring import read_events, still_improving
from neocog.training.replans import write_replans

if TYPE_CHECKING:
    from neocog.report import Search  # with matplotlib, which takes a second to import

__all__ = ["DescribeSearch", "finish"]

DescribeSearch = Callable[[Evaluation, Prepared], "Search"]
Logits = NDArray[np.float32]
TTA_NONE: TTA = "none"
REFERENCE = 256  # streamed samples that are decoded once more, for the statistics of inputs


def finish(
    run: Run,
    prepared: Prepared,
    training: Training,
    epoch_steps: int,
    extension: Extension | None = None,
    describe_search: DescribeSearch | None = None,
) -> Run:
    """Evaluate the best weights, write `model.neocog`, `report.html`, and last `evaluation.json`, which ends the run.

    When a run is extended, each of these files is replaced in one step. `describe_search` tells from the evaluation
    how the settings were found, for the report.
    """
    model = training.result.cpu()
    predictor = Predictor(torch_backend(model), prepared.preprocess, prepared.task, model=model)
    predictor.tta, scored = choose_tta(predictor, prepared)
    learn_from_validation(predictor, prepared, scored)
    split, indices = measured_part(prepared)
    evaluation, averaged, reference = measure(predictor, prepared, split, indices)
    figures = {
        "split": split, **{name: figure.value for name, figure in evaluation.metrics.items()}, **averaged
    }  # fmt: skip
    extended = extended_notes(run, split)
    about = {"evaluation": figures} | reference | ({"extended": list(extended)} if extended else {})
    notes = (*extended, *advice(run, prepared, training.state, epoch_steps))
    seal_model(run, prepared, model, predictor, indices, about)
    from neocog.runs.run_report import write_run_report  # with matplotlib

    search = None if describe_search is None else describe_search(evaluation, prepared)
    write_run_report(run, prepared, predictor, training.state, evaluation, epoch_steps, notes, search)
    run.log("finished", **figures)
    resolved = note_clock(prepared.resolved, training.state)
    if extension is not None or resolved is not prepared.resolved:
        write_whole(run.config, resolved.to_yaml())
    write_whole(run.figures, json.dumps(evaluation.to_json(), indent=1, allow_nan=False))
    end_extension(run)
    for line in notes:
        note(line)
    run.evaluation = evaluation
    return run


def measured_part(prepared: Prepared) -> tuple[str, NDArray[np.int64]]:
    """The split that measures the network, and its records: the test split, or that of validation if there is none."""
    splits = prepared.splits
    return ("test", splits.test) if len(splits.test) else ("validation", splits.val)


def measure(
    predictor: Predictor, prepared: Prepared, split: str, indices: NDArray[np.int64]
) -> tuple[Evaluation, dict[str, float], dict[str, Any]]:
    """The evaluation on these records, the progress metric with test-time augmentation, by name, and the bundle's
    `reference` for drift.

    If validation has chosen test-time augmentation, the evaluation is with it, as predictions will be.
    """
    task, source, tta = prepared.task, prepared.source, prepared.resolved.config.train.tta
    if task.dense:
        return measure_dense(predictor, prepared, split, indices), {}, {}
    held = prepared.test if split == "test" else prepared.val

    def score(tta: TTA, plain: Logits | None = None) -> Logits:
        if isinstance(held, InMemoryDataset):  # decoded already
            known = None if plain is None else torch.from_numpy(plain)
            found: Logits = score_dataset(predictor, held, np.arange(len(held)), tta=tta, plain=known).numpy()
            return found
        return predictor.logits_of(source, indices, tta=tta, plain=plain)

    logits = score("none")
    targets = source.targets[indices]
    note(f"{split} {task.progress_metric} {progress_text(task, logits, targets)[1]}")
    averaged: dict[str, float] = {}
    if tta != "none" and (predictor.tta == tta or not chooses_tta(prepared)):
        with_tta = score(tta, logits)
        value, text = progress_text(task, with_tta, targets)
        note(f"{split} {task.progress_metric} {text} with test-time augmentation ({tta})")
        averaged = {f"{task.progress_metric} with {tta}": value}
        logits = with_tta if predictor.tta == tta else logits
    decoded = held.inputs if isinstance(held, InMemoryDataset) else decode_some(prepared, indices)
    reference = {"reference": measure_reference(task, torch.from_numpy(logits), decoded).to_json()}
    return evaluate_records(task, logits, targets, source, indices, split), averaged, reference


def decode_some(prepared: Prepared, indices: NDArray[np.int64]) -> Tensor:
    """A few of these records, spread over all, decoded; (M, *shape)."""
    spread = indices[np.linspace(0, len(indices) - 1, min(REFERENCE, len(indices))).astype(int)]
    records = (prepared.source.read(int(index)) for index in spread)
    return torch.stack([prepared.preprocess.decode(record.payload, record.key) for record in records])


def measure_dense(predictor: Predictor, prepared: Prepared, split: str, indices: NDArray[np.int64]) -> Evaluation:
    """The evaluation on these records, at the size of the images."""
    task, source = prepared.task, prepared.source
    compared = predictor.compare_records(source, indices)
    evaluation = evaluate_records(task, compared, source.targets[indices], source, indices, split)
    name, figure = next(iter(evaluation.metrics.items()))
    note(f"{split} {name} {figure.text(figure.value)}")
    return evaluation


def chooses_tta(prepared: Prepared) -> bool:
    """Whether validation data decide on test-time augmentation: it was proposed, and not set by the user."""
    return prepared.resolved.provenance["train.tta"].by is SetBy.CHOSEN


def choose_tta(predictor: Predictor, prepared: Prepared) -> tuple[TTA, Tensor | None]:
    """The proposed test-time augmentation, if it gains anything on validation data, else none; and their logits."""
    task, val, tta = prepared.task, prepared.val, prepared.resolved.config.train.tta
    if tta == "none" or not chooses_tta(prepared):
        return "none", None
    rows = np.arange(len(val))
    scores, found = [], []
    plain = None
    for each in (TTA_NONE, tta):
        plain = score_dataset(predictor, val, rows, tta=each, plain=plain)
        metrics = task.validation(plain, val.labels)
        scores.append((metrics[task.criterion.metric] * (1 if task.criterion.mode == "max" else -1), -metrics["loss"]))
        found.append(plain)
    gains = scores[1] > scores[0]
    return tta if gains else "none", found[gains]


def learn_from_validation(predictor: Predictor, prepared: Prepared, scored: Tensor | None) -> None:
    """Let validation data set the thresholds of the task, and its temperature if that is wanted; `scored` are their
    logits, if they are known."""
    task, val, calibrates = prepared.task, prepared.val, prepared.resolved.config.train.calibrate
    if not (task.learns_decisions or calibrates):
        return
    if scored is None:
        scored = score_dataset(predictor, val, np.arange(len(val)), tta=predictor.tta)
    task.learn_decisions(scored, val.labels.cpu())
    if calibrates:
        note(task.calibrate(scored, val.labels.cpu()))


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
