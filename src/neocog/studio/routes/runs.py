"""Runs and errors: curves, what a run has stored, and the samples behind each number, scored in the background."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from neocog.doctor import printable
from neocog.errors import ConfigError
from neocog.modalities.draw import Drawing
from neocog.runs import Run
from neocog.studio.jobs import Jobs
from neocog.studio.run_data import Scored, data_of, draw_record, draw_worst, score_key, score_run
from neocog.studio.run_files import find_run, list_runs, read_history, read_stored, run_facts, stamp
from neocog.studio.state import Studio
from neocog.studio.turns import studio_of
from neocog.studio.wire import jsonable

__all__ = ["MOST_PAGE", "PAGE", "Name", "drawn", "estimate_facts", "router"]

router = APIRouter(prefix="/api/runs")
POLL = 1.0  # seconds between two looks at the files of runs that are followed
PAGE, MOST_PAGE = 24, 96  # samples that are shown at once
DENSE_PAGE = 6
Name = Annotated[str, Field(min_length=1, max_length=1000)]


class Scoring(BaseModel):
    """Which run's samples are scored."""

    run: Name
    split: Literal["train", "val", "test", "all"] | None = None


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
            ended = all(each.finished for each in found.values())  # before they are read, so that nothing is missed
            for name, each in found.items():
                now = stamp(each)
                if seen.get(name) != now:
                    seen[name] = now
                    told = await asyncio.to_thread(read_history, name, each)
                    yield event("history", told)
            if ended:
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
        "metrics": [{"name": name, **estimate_facts(value)} for name, value in scored.evaluation.metrics.items()],
    })  # fmt: skip


def estimate_facts(estimate: Any) -> dict[str, Any]:
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
