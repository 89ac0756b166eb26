"""The libraries of the page: as they were taken from their packages, and nothing else."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import neocog.studio

STATIC = Path(neocog.studio.__file__).parent / "static"
ROWS = json.loads((STATIC / "vendor" / "VENDOR.json").read_text(encoding="utf-8"))


def test_every_file_is_listed_with_its_hash():
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").glob("*.[jc]s*")}
    found.pop("VENDOR.json")
    assert {row["file"]: row["sha256"] for row in ROWS} == found
    assert all(row["version"] and row["package"] for row in ROWS)


def test_licences_allow_it_and_come_along():
    texts = (STATIC / "vendor" / "LICENSES.txt").read_text(encoding="utf-8")
    assert {row["licence"] for row in ROWS} <= {"MIT", "Apache-2.0"}
    for package in {row["package"] for row in ROWS}:
        assert f"{package}\n" in texts


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_ask_for_their_neighbours_only(path):
    text = path.read_text(encoding="utf-8")
    for source in re.findall(r'(?:from|import)\s*"([^"]+)"', text):
        assert source.startswith("."), source
        assert (path.parent / source).is_file(), source
    assert "sourceMappingURL" not in text
    assert not re.search(r"https?://(?!www\.w3\.org|github\.com/leeoniya/uPlot)", text)
    if path.parent.name != "vendor":
        assert "eval(" not in text and "innerHTML" not in text and "dangerously" not in text
