"""CITATION.cff has what its format requires, and the version of the package."""

import yaml

import neocog
from tests.support.pages import ROOT

REQUIRED = {"cff-version", "message", "title", "authors"}  # by the schema of version 1.2.0
KNOWN = REQUIRED | {"abstract", "type", "version", "license", "keywords", "date-released", "repository-code", "url"}


def test_citation_is_complete_and_of_this_version():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found.keys() >= REQUIRED and found.keys() <= KNOWN
    assert found["cff-version"] == "1.2.0" and found["type"] == "software"
    assert found["version"] == neocog.__version__
    assert all(
        {"name"} <= author.keys() or {"family-names", "given-names"} <= author.keys() for author in found["authors"]
    )
    assert f'license = "{found["license"]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
