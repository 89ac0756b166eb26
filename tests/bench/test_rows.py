"""What every row of the bench says of itself, and that some of them work."""

import re

import pytest

from harness.measure import measure
from harness.row import AREAS
from neocog.planning import Machine
from rows import ROWS

BY_NAME = {row.name: row for row in ROWS}


def test_names_are_unique():
    assert len(BY_NAME) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_what_is_asked(row):
    assert re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", row.name)
    assert row.area in AREAS
    assert row.what
    assert row.unit
    assert row.better in ("more", "less")
    assert row.repeats >= 10
    assert row.warmup >= 0
    assert row.target is None or row.target > 0
    assert row.limit is None or row.limit > 0


@pytest.mark.parametrize("name", ["start-import", "forecast-training-lenet5"])
def test_a_row_can_be_measured(name, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", "")  # restored afterwards
    flops = {"fp32": 1e11, "bf16": 1e11}
    known = Machine(device="cpu", name="made up", flops=flops, bytes_per_second=1e10, seconds_per_call=1e-5)
    monkeypatch.setattr("rows.forecasts.measure_machine", lambda fresh: known)  # it would take two seconds
    found = measure(BY_NAME[name], tmp_path, repeats=1, warmup=0)
    assert found["name"] == name
    assert next(iter(found["turns"])) == "Neocog"
    assert all(len(turns) == 1 and turns[0] > 0 for turns in found["turns"].values())
    assert found["machine"]["versions"]["torch"]
    assert found["commit"]
