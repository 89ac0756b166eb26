"""The data doctor: what is wrong with the open data, or with those of a run."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from neocog.doctor import DataReport, check, printable
from neocog.errors import ConfigError, agree
from neocog.modalities.table import MODALITIES
from neocog.studio.jobs import Job
from neocog.studio.routes.runs import drawn
from neocog.studio.run_data import data_of, draw_record
from neocog.studio.turns import studio_of
from neocog.studio.wire import jsonable

__all__ = ["router"]

router = APIRouter(prefix="/api/runs")


class Examination(BaseModel):
    """The data to examine: those that are open, or those of a run; at most `limit` samples, evenly spread."""

    run: str = ""
    limit: Annotated[int, Field(ge=1)] | None = None


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
