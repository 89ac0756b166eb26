import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import neocog

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [name for _, name, is_package in pkgutil.walk_packages(neocog.__path__, "neocog.") if is_package]


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_tells_its_purpose_and_sorts_its_names(name):
    package = importlib.import_module(name)
    assert package.__doc__
    assert list(package.__all__) == sorted(package.__all__, key=lambda x: (not x.isupper(), x[0].islower(), x))
    assert all(hasattr(package, public) for public in package.__all__)


def test_every_public_name_loads_when_it_is_used():
    assert set(neocog.HOMES) | {"__version__"} == set(neocog.__all__) == set(dir(neocog))
    assert all(getattr(neocog, name) is not None for name in neocog.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        neocog.absent  # noqa: B018


def test_imports_point_only_to_earlier_packages():
    found = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert {re.split(r"[<>=\[]", name)[0].lower() for name in named} <= pinned
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()


def test_the_ten_lines_of_the_readme_run(tmp_path, digits, monkeypatch):
    text = (ROOT / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    quick = code.replace('data="mnist")', f'data="{digits}")')
    assert quick != code
    subprocess.run([sys.executable, "-c", quick], check=True, cwd=tmp_path, capture_output=True)


def test_citation_names_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == neocog.__version__
    assert {"cff-version", "message", "title", "authors", "license"} <= set(citation)


def test_ci_runs_every_supported_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    versions = workflow["jobs"]["gate"]["strategy"]["matrix"]["python"]
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert requires == f">={versions[0]}"
    assert f"3.{sys.version_info.minor}" in versions


def test_extras_are_those_that_the_program_uses():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) == {
        "annotations", "bench", "dev", "export", "scale", "serve", "sklearn", "studio", "track", "tune", "weights",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_that_wait_yield_soon_unless_the_user_says_otherwise(given, expected):
    kept = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import os, neocog; print(os.environ.get('GOMP_SPINCOUNT'))"
    found = subprocess.run([sys.executable, "-c", code], env=kept | given, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == expected
