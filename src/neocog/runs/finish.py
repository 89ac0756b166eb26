"""The end of a run: the test split is touched here, once; then the bundle, the report, and the figures."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor, torch_engine, write_bundle
from neocog.data import divide, divides_by_class
from neocog.files import write_whole
from neocog.progress import note
from neocog.runs.extend import Extension, end_extension, how_to_train_on
from neocog.runs.folder import Run
from neocog.runs.measure import accuracy, evaluated
from neocog.runs.prepare import Prepared
from neocog.runs.start import split_digest
from neocog.training import State, Training
from neocog.training.watching.signs import still_improving
from neocog.training.watching.told import events_of

__all__ = ["finish"]

NUM_GOLDEN = 8


def finish(
    run: Run, prepared: Prepared, training: Training, epoch_steps: int, extension: Extension | None = None
) -> Run:
    """Measure the kept weights, write `model.neocog`, `report.html`, and last `evaluation.json`, which ends the run.

    Of a run that was extended each of these files is replaced in one step.
    """
    model = training.result.cpu()
    predictor = Predictor(torch_engine(model), prepared.preprocess, prepared.task.classes)
    split = "test" if len(prepared.splits.test) else "validation"
    indices = prepared.splits.test if len(prepared.splits.test) else prepared.splits.val
    logits = predictor.logits_of(prepared.source, indices)
    note(f"{split} accuracy {accuracy(logits, prepared.source, indices):.2%}")
    averaged = with_views(predictor, prepared, indices, split, logits)
    evaluation = evaluated(logits, predictor, prepared.source, indices, split)
    spread = np.linspace(0, len(indices) - 1, min(NUM_GOLDEN, len(indices))).astype(int)
    golden = [prepared.source.read(int(index)).payload for index in indices[spread]]
    data, folders = prepared.resolved.config.data, getattr(prepared.source, "folders", None)
    signal = prepared.resolved.config.signal
    reading = {"window": signal.window, "step": signal.step, "columns": signal.columns and list(signal.columns)}
    about: dict[str, Any] = {
        "model": prepared.model_spec,
        "data": {
            "name": prepared.source.name,
            "fingerprint": prepared.fingerprint,
            "seed": prepared.resolved.config.train.seed,
            "val_fraction": data.val_fraction,
            "test_fraction": data.test_fraction,
            **({"signal": reading} if any(reading.values()) else {}),
            **({"groups_by_class": True} if divides_by_class(prepared.source) else {}),
            **({"test_fold": folders.test_fold} if folders is not None and folders.test_fold else {}),
            "training part": training_part(prepared),
        },
        "evaluation": {
            "split": split,
            **{name: figure.value for name, figure in evaluation.headlines.items()},
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
    if extension is not None:
        write_whole(run.config, prepared.resolved.to_yaml())
    write_whole(run.figures, json.dumps(evaluation.to_json(), indent=1, allow_nan=False))
    end_extension(run)
    for line in notes:
        note(line)
    run.evaluation = evaluation
    return run


def advice(run: Run, prepared: Prepared, state: State, epoch_steps: int) -> tuple[str, ...]:
    """Where the network still improves, a sentence with the command that trains it further."""
    sign = still_improving(state.history)
    if sign is None or not prepared.resolved.config.monitor.warnings:
        return ()
    done = len(state.history)
    command = how_to_train_on(run, prepared.resolved.config, done, state.step, epoch_steps, state.stopped_early)
    return (f"{sign} Train it further: {command}",)


def extended_notes(run: Run, split: str) -> tuple[str, ...]:
    """A sentence for each time that the run was extended after its test split had been looked at."""
    return tuple(
        f"The run was extended from {event['before']} to {event['epochs']} epochs when its {split} figures were known: "
        "whoever extends a run because of them chooses by them."
        for event in events_of(run.events, "extended")
        if event["measured"]
    )


def training_part(prepared: Prepared) -> str:
    """A short name for the records that were divided off for training, whatever was then left out of them."""
    config, parts = prepared.resolved.config, prepared.splits
    if config.data.skip_list is not None:
        data, seed = config.data, config.train.seed
        parts = divide(prepared.source, val_fraction=data.val_fraction, test_fraction=data.test_fraction, seed=seed)
    return split_digest(prepared.source, parts.train)


def with_views(
    predictor: Predictor, prepared: Prepared, indices: NDArray[np.int64], split: str, plain: NDArray[np.float32]
) -> dict[str, float]:
    """The accuracy with the views that the settings ask for, by what it is called; nothing without.

    `plain` are the logits without views, which are not computed again.
    """
    views = prepared.resolved.config.train.tta
    if views == "none":
        return {}
    predictor.views = views
    logits = predictor.logits_of(prepared.source, indices, plain=plain)
    share = accuracy(logits, prepared.source, indices)
    predictor.views = "none"
    note(f"{split} accuracy {share:.2%} with the views {views} averaged")
    return {f"accuracy with {views}": share}
