"""Runs and errors: curves, confusion matrix and the samples behind it, calibration, comparisons, the data doctor."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from neocog.doctor import DataReport, check, printable
from neocog.errors import ConfigError, agree
from neocog.modalities.draw import Drawing
from neocog.modalities.table import MODALITIES
from neocog.runs import Run
from neocog.runs.compare_bundles import Comparison, describe, keep_unseen, warn_of_seen
from neocog.runs.config import read_run_config
from neocog.runs.evaluate_bundle import Chosen, check_modality
from neocog.studio.jobs import Job, Jobs
from neocog.studio.run_data import Scored, draw_record, draw_worst, score_chosen, score_run
from neocog.studio.run_files import find_run, list_runs, read_history, read_stored, run_facts, stamp
from neocog.studio.state import Studio
from neocog.studio.wire import jsonable

__all__ = ["router"]

router = APIRouter(prefix="/api/runs")
POLL = 1.0  # seconds between two looks at the files of runs that are followed
PAGE, MOST_PAGE = 24, 96  # samples that are shown at once
DENSE_PAGE = 6
Name = Annotated[str, Field(min_length=1, max_length=1000)]


class Scoring(BaseModel):
    """Which run's samples are scored."""

    run: Name
    split: Literal["train", "val", "test", "all"] | None = None


class Pair(BaseModel):
    """Two runs that are compared on the samples of the first."""

    a: Name
    b: Name


class Examination(BaseModel):
    """The data to examine: those that are open, or those of a run; at most `limit` samples, evenly spread."""

    run: str = ""
    limit: Annotated[int, Field(ge=1)] | None = None


def studio_of(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


@router.get("")
def all_runs(request: Request) -> Any:
    """All runs, the newest first, and what the doctor can look at."""
    studio = studio_of(request)
    runs = [run_facts(name, Run(path)) for name, path in list_runs(studio).items()]
    folder = "" if studio.runs is None else str(studio.runs)
    return jsonable({"folder": folder, "runs": runs, "data": studio.source_name})


@router.get("/history")
def history(request: Request, run: Annotated[list[str], Query(max_length=24)]) -> Any:
    """The curves of these runs."""
    studio = studio_of(request)
    return jsonable({"runs": [read_history(name, find_run(studio, name)) for name in run]})


@router.get("/follow")
async def follow_runs(request: Request, run: Annotated[list[str], Query(max_length=24)]) -> StreamingResponse:
    """Server-sent events: `history` with the curves of a run whenever it has written something."""
    studio = studio_of(request)
    found = {name: find_run(studio, name) for name in run}

    async def events() -> AsyncIterator[str]:
        seen: dict[str, Any] = {}
        while not await request.is_disconnected():
            for name, each in found.items():
                now = stamp(each)
                if seen.get(name) != now:
                    seen[name] = now
                    told = await asyncio.to_thread(read_history, name, each)
                    yield event("history", told)
            if all(each.finished for each in found.values()):
                yield event("end", {"runs": list(found)})
                return
            await asyncio.sleep(POLL)

    return StreamingResponse(events(), media_type="text/event-stream")


def event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(jsonable(content), allow_nan=False)}\n\n"


@router.get("/evaluation")
def evaluation(request: Request, run: str) -> Any:
    """The stored figures of a finished run. Raises RunError if there are none."""
    return jsonable(read_stored(find_run(studio_of(request), run)))


@router.post("/score")
def start_score(request: Request, asked: Scoring) -> Any:
    """Score every sample of a run's test split in the background; once, as long as the Studio runs."""
    studio = studio_of(request)
    run = find_run(studio, asked.run)
    if not run.bundle.is_file():
        raise ConfigError(
            "Samples are scored by the model of a run.", received=f"{asked.run}, without model.neocog",
            fix="Wait until it is finished.", kind="unfinished",
        )  # fmt: skip
    work = score_run(studio, asked.run, run, asked.split)
    return studio.jobs.start(score_key(asked.run), f"scoring {asked.run}", work).facts()


def score_key(run: str) -> str:
    return f"score:{run}"


@router.get("/job")
def job_facts(request: Request, key: str) -> Any:
    """How far a job is; null if there is none."""
    job = studio_of(request).jobs.jobs.get(key)
    return None if job is None else job.facts()


@router.delete("/job")
def stop_job(request: Request, key: str) -> Any:
    """Ask a job to end."""
    return studio_of(request).jobs.stop(key).facts()


@router.get("/cells")
def cells(request: Request, run: str) -> Any:
    """The cells of a scored run: its task, classes, confusion matrix, or the counts of each label."""
    scored = scored_run(studio_of(request).jobs, run)
    told = scored.evaluation.to_json()
    return jsonable({
        "task": scored.task.name, "dense": scored.task.dense, "by_class": scored.task.by_class,
        "classes": scored.task.classes, "split": scored.chosen.split, "count": len(scored.keys),
        "confusion": told.get("confusion") if scored.task.by_class else None,
        "labels": label_counts(scored) if scored.task.name == "multi-label" else None,
        "reliability": told.get("reliability"), "ranked": len(scored.worst()) if not scored.task.by_class else 0,
        "metrics": [{"name": name, **vars_of(value)} for name, value in scored.evaluation.metrics.items()],
    })  # fmt: skip


def vars_of(estimate: Any) -> dict[str, Any]:
    return {name: getattr(estimate, name) for name in ("value", "low", "high", "method", "is_share")}


def label_counts(scored: Scored) -> list[dict[str, Any]]:
    """How often each label was missed and given wrongly."""
    return [
        {"name": name, **{kind: len(scored.take_label(k, kind)) for kind in ("missed", "wrong")}}
        for k, name in enumerate(scored.task.classes)
    ]


def scored_run(jobs: Jobs, run: str) -> Scored:
    found: Scored = jobs.result(score_key(run))
    return found


@router.get("/samples")
def samples(
    request: Request,
    run: str,
    truth: str = "",
    prediction: str = "",
    wrong: str = "",
    bin: str = "",
    label: str = "",
    kind: Literal["missed", "wrong"] = "missed",
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=MOST_PAGE)] = PAGE,
) -> Any:
    """The samples behind a cell, the worst first, with their drawings."""
    scored = scored_run(studio_of(request).jobs, run)
    cell = {"truth": truth, "prediction": prediction, "wrong": wrong, "bin": bin, "label": label, "kind": kind}
    positions = scored.take(cell)
    page = positions[start : start + (min(count, DENSE_PAGE) if scored.task.dense else count)].tolist()
    texts = scored.texts(page)
    return jsonable({
        "count": len(positions), "start": start, "of": len(scored.keys), "split": scored.chosen.split,
        "caption": scored.task.drawn if scored.task.dense else "",
        "legend": scored.task.legend if scored.task.dense else [],
        "samples": [
            {"key": scored.keys[i], "truth": text[0], "prediction": text[1], **drawn(draw_sample(scored, i))}
            for i, text in zip(page, texts, strict=True)
        ],
        "code": samples_code(studio_of(request), run, scored, cell),
    })  # fmt: skip


def draw_sample(scored: Scored, position: int) -> Drawing:
    if scored.task.dense:
        return draw_worst(scored, position)
    return draw_record(scored.chosen.source, int(scored.chosen.indices[position]))[1]


def drawn(drawing: Drawing) -> dict[str, Any]:
    return {"address": drawing.address, "curves": drawing.curves, "text": printable(drawing.text)}


def samples_code(studio: Studio, run: str, scored: Scored, cell: dict[str, str]) -> str:
    """The Python code that finds these samples with Neocog's public functions."""
    bundle, data = find_run(studio, run).bundle, str(data_of(studio, run))
    head = f"import neocog\n\nevaluation = neocog.evaluate({str(bundle)!r}, {data!r}, split={scored.chosen.split!r})\n"
    if not scored.task.by_class:
        return (
            head
            + "for error in evaluation.worst_errors:\n    print(error.key, error.target_text, error.prediction_text)\n"
        )
    test = " and ".join(
        f"{name} == {cell[key]!r}" for name, key in (("truth", "truth"), ("answer", "prediction")) if cell.get(key)
    ) or "truth != answer"  # fmt: skip
    return (
        f"import numpy as np\n\nimport neocog\n\npredictor = neocog.load({str(bundle)!r})\n"
        f"source = neocog.open_source({data!r})\n"
        f"indices = source.splits.get({scored.chosen.split!r}, np.arange(len(source)))\n\n"
        "for index in indices:\n    record = source.read(int(index))\n"
        "    truth = source.classes[int(record.target)]\n"
        "    answer = predictor.classes[int(predictor.predict_proba([record.payload])[0].argmax())]\n"
        f"    if {test}:\n        print(record.key, truth, answer)\n"
    )


def data_of(studio: Studio, run: str) -> str:
    """The data set of a run, as its config names it."""
    return read_run_config(find_run(studio, run).config).config.data.source


@router.post("/compare")
def start_compare(request: Request, pair: Pair) -> Any:
    """Compare two runs sample by sample in the background, on the samples that measure the first."""
    studio = studio_of(request)
    if pair.a == pair.b:
        raise ConfigError("Two different runs are compared.", received=f"{pair.a} twice", fix="Choose another one.")
    runs = [find_run(studio, name) for name in (pair.a, pair.b)]
    for name, run in zip((pair.a, pair.b), runs, strict=True):
        if not run.bundle.is_file():
            raise ConfigError(
                "Runs are compared by their models.", received=f"{name}, without model.neocog",
                fix="Wait until it is finished.", kind="unfinished",
            )  # fmt: skip

    def work(job: Job) -> Comparison:
        return compare_runs(studio, job, (pair.a, pair.b), (runs[0], runs[1]))

    return studio.jobs.start(f"compare:{pair.a}:{pair.b}", f"comparing {pair.a} and {pair.b}", work).facts()


def compare_runs(studio: Studio, job: Job, names: tuple[str, str], runs: tuple[Run, Run]) -> Comparison:
    """As `neocog.compare` does, with the scores of the first run if they are known."""
    known = studio.jobs.jobs.get(score_key(names[0]))
    first: Scored = known.result if known and known.state == "done" else score_run(studio, names[0], runs[0], None)(job)
    other = studio.open_network(runs[1].bundle, runs[1].path).predictor
    if first.task.name != other.task.name:
        raise ConfigError(
            "Only networks with the same task can be compared.",
            received=f"one for {first.task.name} and one for {other.task.name}",
            fix="Compare each with another of its task.",
        )
    check_modality(other, first.chosen.source)
    chosen = keep_unseen(first.chosen, other, None)
    for name, predictor in zip(names, (first.predictor, other), strict=True):
        warn_of_seen(name, predictor, chosen)
    a = first if len(chosen.indices) == len(first.chosen.indices) else only(first, chosen)
    b = score_chosen(other, chosen)
    job.progress("comparing", 0.0)
    both = [(each.outputs, each.targets) for each in (a, b)]
    return describe(names, [first.task, other.task], both, [a.evaluation, b.evaluation], chosen)


def only(scored: Scored, chosen: Chosen) -> Scored:
    """The scores of some of the samples."""
    kept = np.flatnonzero(np.isin(scored.chosen.indices, chosen.indices))
    outputs = [scored.outputs[i] for i in kept.tolist()] if isinstance(scored.outputs, list) else scored.outputs[kept]
    part = replace(scored, chosen=chosen, outputs=outputs, targets=scored.targets[kept],
                   keys=[scored.keys[i] for i in kept.tolist()])  # fmt: skip
    found = scored.task.evaluate(outputs, part.targets, part.keys, data=scored.evaluation.data, split=chosen.split)
    return replace(part, evaluation=found)


@router.get("/comparison")
def comparison(
    request: Request,
    a: str,
    b: str,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=MOST_PAGE)] = PAGE,
) -> Any:
    """The result of a comparison, and a page of the samples on which the two differ."""
    studio = studio_of(request)
    found: Comparison = studio.jobs.result(f"compare:{a}:{b}")
    page = found.differing[start : start + count]
    source = studio.run_data[studio.open_network(find_run(studio, a).bundle, find_run(studio, a).path).name]
    places = {source.key(i): i for i in range(len(source))}
    told = found.to_json()
    bundles, data = [str(find_run(studio, name).bundle) for name in (a, b)], data_of(studio, a)
    return jsonable({
        **{key: value for key, value in told.items() if key not in ("differing", "metrics")},
        "metrics": [{"name": name, "a": vars_of(pair[0]), "b": vars_of(pair[1])}
                    for name, pair in found.metrics.items()],
        "start": start, "listed": len(found.differing),
        "differing": [
            {**{name: getattr(each, name) for name in ("key", "target", "a", "b", "score_a", "score_b")},
             **drawn(draw_record(source, places[each.key])[1])}
            for each in page
        ],
        "code": f"import neocog\n\ncomparison = neocog.compare(\n    {bundles[0]!r},\n    {bundles[1]!r},\n"
                f"    {data!r},\n)\nprint(comparison.sentence())\n",
    })  # fmt: skip


@router.post("/doctor")
def start_doctor(request: Request, asked: Examination) -> Any:
    """Examine the open data, or those of a run, in the background."""
    studio = studio_of(request)
    if not asked.run and studio.source is None:
        raise ConfigError(
            "The doctor looks at a data set.", received="none",
            fix="Choose a run, or start the Studio with data: neocog studio photos/", kind="no data",
        )  # fmt: skip
    what = data_of(studio, asked.run) if asked.run else studio.source_path
    name = studio.source_name if not asked.run else f"the data of {asked.run}"

    def work(job: Job) -> DataReport:
        return check(what, limit=asked.limit)

    return studio.jobs.start(doctor_key(asked), f"examining {name}", work).facts()


def doctor_key(asked: Examination) -> str:
    return f"doctor:{asked.run}:{asked.limit or 'all'}"


@router.get("/findings")
def findings(request: Request, key: str) -> Any:
    """The findings of the doctor, each with its examples."""
    report: DataReport = studio_of(request).jobs.result(key)
    return jsonable({
        "name": report.name, "what": report.what, "task": report.task, "records": report.records,
        "examined": report.examined, "splits": report.splits, "notices": list(map(printable, report.notices)),
        "noun": MODALITIES[report.modality].plural if report.modality else "samples",
        "summary": summary(report),
        "findings": [
            {"kind": each.kind, "severity": each.severity, "count": each.count, "sentence": printable(each.sentence),
             "remedy": each.remedy,
             "examples": [{"key": printable(example.key), "detail": printable(example.detail),
                           "drawings": [{"key": printable(name), "record": name, **drawn(drawing)} for name, drawing in
                                        (draw_record(report.source, index) for index in example.records)]
                           if report.source is not None else []}
                          for example in each.examples]}
            for each in report.findings
        ],
        "code": f"from neocog.doctor import check\n\nreport = check({report.data!r})\n"
                "for finding in report.findings:\n    print(finding.severity, finding.sentence)\n",
    })  # fmt: skip


def summary(report: DataReport) -> str:
    counts = {severity: sum(each.severity == severity for each in report.findings) for severity in ("error", "warning")}
    examined = f"{report.examined:,} of {report.records:,} samples examined"
    if not any(counts.values()):
        return f"{examined}; no errors and no warnings"
    said = [agree(f"{{n}} {name}(|s)", count) for name, count in counts.items() if count]
    return f"{examined}; {' and '.join(said)}"
