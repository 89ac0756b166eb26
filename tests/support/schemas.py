"""Schemathesis on a server: whether it does what its OpenAPI document says."""

import schemathesis
import schemathesis.engine
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError, ScenarioFinished

from tests.support.served import Running

__all__ = ["find_differences"]

OPAQUE = ["2xx", "400", "404", "406"]
"""The statuses of answers to data that a schema calls valid: it can't say that bytes are an image, nor that there are
as many values as a shape says."""


def find_differences(
    server: Running, *, examples: int, stateful: bool = False, without: str = ""
) -> tuple[int, list[str]]:
    """How many requests were made, and what differed from the document. The same requests each time.

    `without` is a regular expression for paths that are left out.
    """
    config = schemathesis.Config.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": OPAQUE}},
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": stateful}},
            "seed": 0,
            "request-timeout": 120,  # an explanation takes its time
        }
    )
    whole = schemathesis.openapi.from_url(f"{server.base_url}/openapi.json", config=config)
    api = whole.exclude(path_regex=without) if without else whole
    cases, found = 0, []
    for event in schemathesis.engine.from_schema(api).execute():
        if isinstance(event, NonFatalError | FatalError):
            found.append(repr(event))
        elif isinstance(event, ScenarioFinished):
            cases += len(event.recorder.cases)
        elif isinstance(event, EngineFinished):
            found += [f"{one.operation}: {one.title}: {one.message}" for one in event.failures]
    return cases, found
