"""Good exports of every kind of data, task and rule, in the files of each engine: the gate lets all of them pass."""

from pathlib import Path

import pytest

from neocog.exporting.gate import check_export
from tests.exporting.test_gate import GOOD, write
from tests.support.exported import choose_all

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", GOOD)
def test_gate_lets_good_files_pass(name: str, tmp_path: Path) -> None:
    predictor, source = GOOD[name]()
    reports = {
        ending: check_export(predictor, exported, choose_all(source))
        for ending, exported in write(predictor, tmp_path).items()
    }
    assert all(report.passed for report in reports.values()), "\n".join(
        line for report in reports.values() for line in report.lines()
    )
