"""The end of a run: the test split is touched here, once; then the bundle, the report, and the figures."""

import json

import numpy as np
from numpy.typing import NDArray

from neocog.bundle import Predictor, torch_engine, write_bundle
from neocog.data import divides_by_class
from neocog.files import write_whole
from neocog.progress import note
from neocog.runs.folder import Run
from neocog.runs.measure import accuracy, evaluated
from neocog.runs.prepare import Prepared
from neocog.training import Training

__all__ = ["finish"]

NUM_GOLDEN = 8


def finish(run: Run, prepared: Prepared, training: Training, epoch_steps: int) -> Run:
    """Measure the kept weights, write `model.neocog`, `report.html`, and last `evaluation.json`, which ends the run."""
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
    data, folders = prepared.settled.config.data, getattr(prepared.source, "folders", None)
    signal = prepared.settled.config.signal
    reading = {"window": signal.window, "step": signal.step, "columns": signal.columns and list(signal.columns)}
    about = {
        "model": prepared.model_spec,
        "data": {
            "name": prepared.source.name,
            "fingerprint": prepared.fingerprint,
            "seed": prepared.settled.config.train.seed,
            "val_fraction": data.val_fraction,
            "test_fraction": data.test_fraction,
            **({"signal": reading} if any(reading.values()) else {}),
            **({"groups_by_class": True} if divides_by_class(prepared.source) else {}),
            **({"test_fold": folders.test_fold} if folders is not None and folders.test_fold else {}),
        },
        "evaluation": {
            "split": split,
            **{name: figure.value for name, figure in evaluation.headlines.items()},
            **averaged,
        },
    }
    write_bundle(run.bundle, model, predictor, golden, about)
    from neocog.runs.run_report import write_run_report  # matplotlib takes a second to import

    write_run_report(run, prepared, training.state, model, evaluation, epoch_steps)
    run.log("finished", **about["evaluation"])
    write_whole(run.figures, json.dumps(evaluation.to_json(), indent=1, allow_nan=False))
    run.evaluation = evaluation
    return run


def with_views(
    predictor: Predictor, prepared: Prepared, indices: NDArray[np.int64], split: str, plain: NDArray[np.float32]
) -> dict[str, float]:
    """The accuracy with the views that the settings ask for, by what it is called; nothing without.

    `plain` are the logits without views, which are not computed again.
    """
    views = prepared.settled.config.train.views
    if views == "none":
        return {}
    predictor.views = views
    logits = predictor.logits_of(prepared.source, indices, plain=plain)
    share = accuracy(logits, prepared.source, indices)
    predictor.views = "none"
    note(f"{split} accuracy {share:.2%} with the views {views} averaged")
    return {f"accuracy with {views}": share}
