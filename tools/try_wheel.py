"""Checks of the wheel in dist/, and the README's own lines with it: `make dist`.

python tools/try_wheel.py check WHEEL OTHER    two wheels hold the same files, and only what belongs in one
python tools/try_wheel.py run BIN FOLDER       what README shows, by the programs in BIN, in an empty FOLDER
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".typed", ".j2", ".css", ".html", ".js", ".json", ".yaml", ".svg", ".txt", ".c"}
NEEDED = (
    "neocog/py.typed",
    "neocog/studio/static/index.html",
    "neocog/studio/static/vendor/LICENSES.txt",
    "neocog-{version}.dist-info/licenses/LICENSE",
    "neocog-{version}.dist-info/licenses/src/neocog/studio/static/vendor/LICENSES.txt",
)
COMMANDS = ("neocog env", "neocog zoo", "neocog plan resnet50 --depth 1 --samples 50000",
            "neocog train mnist --recipe fast --epochs 1")  # fmt: skip
"""Lines of the README that need no data but MNIST."""


def contents(wheel: Path) -> dict[str, bytes]:
    """Name -> bytes of each file but RECORD, which lists them."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def faults_of(wheel: Path, other: Path) -> list[str]:
    """Sentences on what is wrong with a wheel, compared with another that should be the same."""
    found, expected = contents(wheel), contents(other)
    version = wheel.name.split("-")[1]
    faults = [f"only in one of the wheels: {name}" for name in sorted(found.keys() ^ expected.keys())]
    faults += [f"differs: {name}" for name in sorted(found.keys() & expected.keys()) if found[name] != expected[name]]
    faults += [f"missing: {name}" for name in (each.format(version=version) for each in NEEDED) if name not in found]
    for name in found:
        path = PurePosixPath(name)
        known = path.suffix in SUFFIXES or ".dist-info" in path.parts[0]
        if not known or path.parts[0] not in ("neocog", f"neocog-{version}.dist-info") or "__pycache__" in path.parts:
            faults.append(f"does not belong in a wheel: {name}")
    return faults


def check(wheel: Path, other: Path) -> None:
    """Print the wheel's size. Raises SystemExit with its faults."""
    if faults := faults_of(wheel, other):
        sys.exit("\n".join(faults))
    count = len(contents(wheel))
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, {count} files, the same from checkout and archive")


def readme_lines() -> tuple[list[list[str]], str]:
    """The commands and the Python program of the README that are run. Raises SystemExit for one that it lacks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    if missing := [command for command in COMMANDS if command not in text]:
        sys.exit(f"README has no line {missing[0]!r}; change COMMANDS in {Path(__file__).name}")
    return [command.split() for command in COMMANDS], text.split("```python\n")[1].split("```")[0]


def run(binaries: Path, folder: Path) -> None:
    """Run what README shows; Neocog is imported from the environment, not from the checkout."""
    commands, program = readme_lines()
    (folder / "examples").symlink_to(ROOT / "examples")
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    variables["NEOCOG_DATA"] = str(ROOT / "datasets")
    where = "import neocog, pathlib; print(pathlib.Path(neocog.__file__).parent)"
    for words in (["python", "-c", where], *commands, ["python", "-c", program]):
        print("$", " ".join(words).partition("\n")[0], flush=True)
        command = [str(binaries / words[0]), *words[1:]]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        if words[-1] == where and Path(done.stdout.strip()).is_relative_to(ROOT / "src"):
            sys.exit(f"Neocog was imported from the checkout: {done.stdout.strip()}")
        print("\n".join(done.stdout.strip().splitlines()[-3:]), flush=True)


if __name__ == "__main__":
    verb, first, second = sys.argv[1:]
    {"check": check, "run": run}[verb](Path(first).absolute(), Path(second).absolute())
