"""The files of the page: libraries as they were taken from their packages, and an image of each screen in the docs."""

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


def test_every_screen_is_shown_in_the_docs():
    """Light and dark, wide and narrow, as tools/studio_shots.py takes them; small, as they are part of every clone."""
    listed = (STATIC / "js" / "screens" / "index.js").read_text(encoding="utf-8")
    screens = re.findall(r'name: "(\w+)"', listed)
    folder = Path(__file__).parents[2] / "docs" / "images"
    assert screens[0] == "bench"
    for screen in screens:
        for kind in ("light-wide", "light-narrow", "dark-wide", "dark-narrow"):
            path = folder / f"studio-{screen}-{kind}.png"
            assert path.stat().st_size < 120_000, path
            assert path.read_bytes().startswith(b"\x89PNG")
    page = (folder.parent / "studio.md").read_text(encoding="utf-8")
    for name in re.findall(r"\(images/([\w.-]+)\)", page):
        assert (folder / name).is_file(), name
    assert all(f"images/studio-{screen}-" in page for screen in screens)
