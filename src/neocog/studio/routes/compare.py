"""Two runs on the same samples: which is better, by how much, and where they differ."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from neocog.errors import ConfigError
from neocog.runs.compare_bundles import Comparison
from neocog.studio.jobs import Job
from neocog.studio.routes.runs import MOST_PAGE, PAGE, Name, drawn, estimate_facts
from neocog.studio.run_compare import compare_runs
from neocog.studio.run_data import data_of, draw_record
from neocog.studio.run_files import find_run
from neocog.studio.turns import studio_of
from neocog.studio.wire import jsonable

__all__ = ["router"]

router = APIRouter(prefix="/api/runs")


class Pair(BaseModel):
    """Two runs that are compared on the samples of the first."""

    a: Name
    b: Name


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
        "metrics": [{"name": name, "a": estimate_facts(pair[0]), "b": estimate_facts(pair[1])}
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
