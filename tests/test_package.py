import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from tools import try_extras, try_wheel

import neocog
from neocog.engines.make_engine import ENGINES

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


def test_ci_runs_every_supported_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    versions = workflow["jobs"]["gate"]["strategy"]["matrix"]["python"]
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert requires == f">={versions[0]}"
    assert f"3.{sys.version_info.minor}" in versions


def test_classifiers_name_the_pythons_of_ci():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.M)
    assert named == workflow["jobs"]["gate"]["strategy"]["matrix"]["python"]


def test_changelog_has_the_version_with_its_date_below_what_is_unreleased():
    heads = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert heads[:2] == [("Unreleased", ""), (neocog.__version__, str(citation["date-released"]))]


def test_lines_of_the_readme_that_make_dist_runs_are_in_it():
    commands, program = try_wheel.readme_lines()
    assert ["neocog", "env"] in commands and "neocog.train" in program


def test_a_faulty_wheel_is_found(tmp_path):
    names = [each.format(version="1") for each in try_wheel.NEEDED]

    def write(folder, *names):
        (tmp_path / folder).mkdir()
        with zipfile.ZipFile(tmp_path / folder / "neocog-1-py3-none-any.whl", "w") as archive:
            for name in names:
                archive.writestr(name, folder if name == "neocog/a.py" else "")
        return tmp_path / folder / "neocog-1-py3-none-any.whl"

    good = write("good", *names)
    assert try_wheel.faults_of(good, good) == []
    bad = write("bad", *names[1:], "neocog/a.py", "neocog/x.pyc", "tests/b.py")
    other = write("other", *names[1:], "neocog/a.py", "neocog/x.pyc", "tests/b.py", "neocog/c.py")
    assert try_wheel.faults_of(bad, other) == [
        "only in one of the wheels: neocog/c.py", "differs: neocog/a.py", "missing: neocog/py.typed",
        "does not belong in a wheel: neocog/x.pyc", "does not belong in a wheel: tests/b.py",
    ]  # fmt: skip


def test_every_extra_for_users_is_tried_by_make_dist_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(try_extras.TRIALS) == set(extras) - {"bench", "dev"}


def test_dockerfile_installs_what_its_engines_need():
    (line,) = re.findall(r"^RUN pip install .*\[serve\].*$", (ROOT / "Dockerfile").read_text(), re.M)
    installed = set(line.split())
    for name in ("onnxruntime", "openvino"):
        assert set(ENGINES[name].modules) <= installed
    copied = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{name}" for name in ("constraints.txt", "pyproject.toml", "README.md", "LICENSE", "src")} <= set(copied)


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
