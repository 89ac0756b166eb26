"""The comparison in the README is what the bench has measured: docs/bench/figures.json."""

import json
import re
from pathlib import Path

from harness.turns import ratio

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"^\| .*\(`([a-z0-9-]+)`\) \| (.*) \|$", re.MULTILINE)
RATIO = re.compile(r"([\d.]+)x ([^;]+)")


def test_comparison_in_the_readme_is_the_measured_one():
    results = {row["name"]: row for row in json.loads((ROOT / "docs/bench/figures.json").read_text())}
    lines = LINE.findall((ROOT / "README.md").read_text())
    assert len(lines) >= 6
    for name, cell in lines:
        result = results[name]
        own = next(iter(result["turns"].values()))
        found = RATIO.findall(cell)
        assert found, cell
        for written, peer in found:
            measured = ratio(own, result["turns"][peer.strip()], result["better"]).median
            digits = len(written.partition(".")[2])
            assert round(measured, digits) == float(written), (name, peer, measured)
