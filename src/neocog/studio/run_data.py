"""The data of a run, opened as in training, and every sample of its test split scored once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle import Predictor
from neocog.data import fingerprint
from neocog.data.open import Opened as OpenedData
from neocog.dataset.record import Record, Source
from neocog.errors import ConfigError, DataError
from neocog.evaluation import Evaluation
from neocog.evaluation.calibration import BINS, bin_of
from neocog.modalities.draw import Drawing
from neocog.modalities.table import MODALITIES
from neocog.runs import Run
from neocog.runs.channels import match_channels
from neocog.runs.config import read_run_config, reading_options
from neocog.runs.evaluate_bundle import Chosen, choose_samples, score
from neocog.runs.measure import evaluate_records
from neocog.studio.jobs import Job
from neocog.studio.run_files import find_run
from neocog.studio.state import Opened, Studio
from neocog.tasks import DenseTask, Task

__all__ = [
    "Scored", "choose_of_run", "data_of", "data_of_run", "draw_record", "draw_worst", "find_record", "score_chosen",
    "score_key", "score_run",
]  # fmt: skip

SIGNAL_ONLY = ("rate",)  # read from the model when samples are chosen, and not asked for there


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Every sample of a split with the outputs of a network, and what follows from them."""

    predictor: Predictor
    chosen: Chosen
    outputs: Any
    """Logits (N, K), or comparisons of a dense task."""
    targets: NDArray[Any]
    evaluation: Evaluation
    keys: list[str]

    @property
    def task(self) -> Task:
        return self.predictor.task

    def probabilities(self) -> NDArray[np.float64]:
        """Decoded outputs (N, K)."""
        return np.asarray(self.task.decode(torch.from_numpy(np.asarray(self.outputs))).numpy())

    def take(self, cell: dict[str, str]) -> NDArray[np.int64]:
        """The samples of a cell, as positions in the split, the worst first.

        Of a classifier: `truth` and `prediction` name classes, `bin` a bar of the reliability diagram. Of several
        labels: `label`, and `kind` missed or wrong. What is left out is not asked; without any, all samples.
        Raises ConfigError for a class that the network does not have.
        """
        if self.task.dense:
            return self.worst()
        chosen = np.ones(len(self.keys), bool)
        if self.task.by_class:
            probs = self.probabilities()
            answers = probs.argmax(axis=1)
            for name, classes in (("truth", self.targets), ("prediction", answers)):
                if cell.get(name):
                    chosen &= classes == self.class_index(cell[name])
            if cell.get("wrong"):
                chosen &= answers != self.targets
            if cell.get("bin"):
                chosen &= bin_of(probs.max(axis=1), BINS) == int(cell["bin"])
            own = probs[np.arange(len(self.keys)), self.targets]
            return sort_by(own, chosen)
        if self.task.name == "multi-label" and cell.get("label"):
            return self.take_label(self.class_index(cell["label"]), cell.get("kind", "missed"))
        return self.worst()

    def take_label(self, label: int, kind: str) -> NDArray[np.int64]:
        """The samples whose label was missed, or given wrongly, the surest mistake first."""
        probs, present = self.probabilities()[:, label], np.asarray(self.targets, float)[:, label] > 0.5
        known = ~np.isnan(np.asarray(self.targets, float)[:, label])
        given = probs >= self.task.thresholds[label]  # type: ignore[attr-defined]
        chosen = known & (present & ~given if kind == "missed" else ~present & given)
        return sort_by(probs if kind == "missed" else -probs, chosen)

    def worst(self) -> NDArray[np.int64]:
        """All samples by their own score if each has one at little cost, else those that the evaluation lists."""
        if not self.task.dense and type(self.task).sample_scores is not Task.sample_scores:
            scores = self.task.sample_scores(self.outputs, self.targets, self.keys)
            scores = -scores if self.task.name == "regression" else scores
            return sort_by(np.nan_to_num(scores), np.ones(len(scores), bool))
        place = {key: i for i, key in enumerate(self.keys)}
        found = [place[error.key] for error in self.evaluation.worst_errors if error.key in place]
        return np.array(found, np.int64)

    def class_index(self, name: str) -> int:
        if name not in self.task.classes:
            raise ConfigError("A cell is named by classes of the network.", received=repr(name))
        return self.task.classes.index(name)

    def texts(self, positions: list[int]) -> list[tuple[str, str]]:
        """Target and answer of these samples in a few words; of a dense task how far its worst ones are off."""
        if self.task.dense:
            errors = {error.key: error for error in self.evaluation.worst_errors}
            named = [errors.get(self.keys[i]) for i in positions]
            return [(each.target_text, each.prediction_text) if each else ("", "") for each in named]
        logits = torch.from_numpy(np.asarray(self.outputs)[positions])
        answers = self.task.predictions([self.keys[i] for i in positions], logits, 1) if positions else []
        return [
            (self.task.target_text(self.targets[i]), ", ".join(text for text in answer.cells().values() if text))
            for i, answer in zip(positions, answers, strict=True)
        ]


def sort_by(scores: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    order = np.argsort(scores, kind="stable")
    return np.asarray(order[chosen[order]])


def choose_of_run(studio: Studio, opened: Opened, split: str | None) -> Chosen:
    """The samples of a run's own data that measure it, read as in training; raises DataError if they are gone.

    The data set that is open in the Studio is taken if it is the very one that the network was trained on.
    """
    predictor = opened.predictor
    source = studio.source
    if source is not None and fingerprint(source) == predictor.manifest.get("data", {}).get("fingerprint"):
        return choose_samples(predictor, OpenedData(source), split=split)
    if opened.run is None:
        raise DataError(
            "A model file does not say where its data are.", received=opened.path.name,
            fix="Start the Studio with the data as well: neocog studio MODEL DATA", kind="no data",
        )  # fmt: skip
    config = read_run_config(opened.run / "config.yaml").config
    reading = {name: value for name, value in reading_options(config).items() if name not in SIGNAL_ONLY}
    try:
        return choose_samples(predictor, config.data.source, split=split, skip_list=config.data.skip_list, **reading)
    except DataError as error:
        raise DataError(
            f"The data of this run can't be read again. {error.rule}", received=error.received or config.data.source,
            where=error.where, kind="no data",
            fix="The stored figures are shown. To see samples, open the data as well: neocog studio RUN DATA",
        ) from error  # fmt: skip


def data_of_run(studio: Studio, opened: Opened) -> Source:
    """The data set of a run, opened once. Raises DataError if it is gone."""
    if opened.name not in studio.run_data:
        chosen = choose_of_run(studio, opened, "all")
        studio.run_data[opened.name] = match_channels(chosen.source, opened.predictor.preprocess)
    return studio.run_data[opened.name]


def find_record(studio: Studio, opened: Opened, key: str) -> Record:
    """A sample of a run's own data by its key. Raises DataError if the data are gone or have no such sample."""
    source = data_of_run(studio, opened)
    places: dict[str, int] = studio.remember(
        ("places", opened.name), lambda: {source.key(i): i for i in range(len(source))}
    )
    if key not in places:
        raise DataError("The data of this run have no such sample.", received=repr(key), where=source.name)
    return source.read(places[key])


def score_run(studio: Studio, name: str, run: Run, split: str | None) -> Callable[[Job], Scored]:
    """The work that scores every sample of a run's split."""

    def work(job: Job) -> Scored:
        opened = studio.open_network(run.bundle, run.path)
        job.progress("opening the data", 0.0)
        chosen = choose_of_run(studio, opened, split)
        studio.run_data.setdefault(opened.name, match_channels(chosen.source, opened.predictor.preprocess))
        return score_chosen(opened.predictor, chosen)

    return work


def score_chosen(predictor: Predictor, chosen: Chosen) -> Scored:
    outputs, targets = score(predictor, chosen)
    source = match_channels(chosen.source, predictor.preprocess)
    found = evaluate_records(predictor.task, outputs, targets, source, chosen.indices, chosen.split)
    matched = Chosen(source, chosen.indices, chosen.split)
    return Scored(predictor, matched, outputs, targets, found, chosen.keys)


def draw_record(source: Source, index: int) -> tuple[str, Drawing]:
    """The key of a sample, and its drawing; an empty one if it can't be read."""
    key = source.key(index)
    try:
        return key, MODALITIES[source.modality].draw(source.read(index).payload, None, key)
    except Exception:  # damaged samples are listed without a drawing, as in the doctor's report
        return key, Drawing()


def draw_worst(scored: Scored, position: int) -> Drawing:
    """A sample of a dense task with its target and the prediction."""
    task = scored.task
    assert isinstance(task, DenseTask)
    record = scored.chosen.source.read(int(scored.chosen.indices[position]))
    (prediction,) = scored.predictor.predict_records([record])
    return task.draw(record, prediction)


def score_key(run: str) -> str:
    """The key of the job that scores a run."""
    return f"score:{run}"


def data_of(studio: Studio, name: str) -> str:
    """The data set of a run, as its config names it."""
    return read_run_config(find_run(studio, name).config).config.data.source
