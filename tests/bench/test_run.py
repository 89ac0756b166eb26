"""`bench/run.py`: processes of rows, failures, interruption, and what is kept."""

import json
import subprocess
import sys
import time

import psutil
import pytest

import run
from harness.machine import Meter
from harness.row import Row, Sides
from harness.supervise import last_lines, run_child
from rows import ASIDE, ROWS
from tests.bench.made import make_result

ONE = [1.0] * 10


def made(name, prepare=lambda folder: iter(())):
    return Row(name, "data", f"work of {name}", "s", "less", prepare)


class Pretended(run.Bench):
    """Its rows run a line of Python each, which finds its folder in `out`."""

    def __init__(self, out, lines, **settings):
        self.lines = lines
        super().__init__(out, None, None, **({"again": False} | settings))

    def command(self, row, folder):
        return [
            sys.executable,
            "-c",
            f"import sys, json, pathlib\nout = pathlib.Path({str(folder)!r})\n{self.lines[row.name]}",
        ]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(run, "WATCH", 0.01)
    monkeypatch.setattr(run, "published", list)


def writes(name):
    return f"(out / '{name}.json').write_text({json.dumps(make_result(name, {'Neocog': ONE, 'peer': [2.0] * 10}))!r})"


def test_a_failing_row_says_why_and_the_others_are_measured(tmp_path, capsys):
    lines = {
        "a": writes("a"),
        "b": "print('on the way', flush=True)\nsys.exit('[b] cannot: no peer')",
        "c": writes("c"),
    }
    code = Pretended(tmp_path, lines).run([made(name) for name in "abc"])
    said = capsys.readouterr().out
    assert code == 1
    assert "b failed: [b] cannot: no peer\n    on the way\n    [b] cannot: no peer\n" in said
    assert "a (12 s): 1.00 s; 2.00x peer: wins" in said
    assert "1 of 3 rows failed: b" in said
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["a.json", "c.json"]
    assert "[b] cannot" in (tmp_path / "logs" / "b.log").read_text()
    assert set(json.loads((tmp_path / "a.json").read_text())["conditions"]) == {"busy_before", "others", "stolen"}


def test_rows_that_are_there_are_kept_unless_more_turns_are_asked(tmp_path, capsys):
    rows = [made("a"), made("b")]
    run.write(tmp_path / "a.json", make_result("a", {"Neocog": ONE}, commit="abc"))
    run.write(tmp_path / "b.json", make_result("b", {"Neocog": [1.0]}))
    again = Pretended(tmp_path, {"a": "sys.exit('measured')", "b": writes("b")})
    assert again.run(rows) == 0
    assert "1 rows are there already, from commit abc; --again repeats them." in capsys.readouterr().out
    assert Pretended(tmp_path, again.lines, again=True).run(rows) == 1


def test_an_interruption_keeps_what_is_there_and_says_how_to_resume(tmp_path, capsys, monkeypatch):
    bench = Pretended(tmp_path, {"a": writes("a"), "b": ""})
    monkeypatch.setattr(run, "run_child", interrupted_at("b"))
    assert bench.run([made("a"), made("b")]) == 130
    assert "Stopped. What is measured is kept; the same command (without --again) measures the rest." in (
        capsys.readouterr().out
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "logs"]


def interrupted_at(name):
    def run_or_stop(command, log, limit):
        if log.stem == name:
            raise KeyboardInterrupt
        return run_child(command, log, limit)

    return run_or_stop


FAMILY = """
import subprocess, sys, time
words = [sys.executable, "-c", "import time; time.sleep(60)"]
print(subprocess.Popen(words).pid, subprocess.Popen(words, start_new_session=True).pid, flush=True)
time.sleep(60)
"""


LEAVES = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
"""


def assert_gone(log, count=2):
    pids = [int(word) for word in last_lines(log, 1)[0].split()]
    assert len(pids) == count
    for pid in pids:
        for _ in range(200):
            if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                break
            time.sleep(0.01)
        else:
            pytest.fail(f"process {pid} is still there")


def test_a_row_that_takes_too_long_ends_with_all_that_it_started(tmp_path):
    log = tmp_path / "a.log"
    assert run_child([sys.executable, "-c", FAMILY], log, limit=1) == "it was ended after 1 s"
    assert_gone(log)


def test_an_interrupted_row_ends_with_all_that_it_started(tmp_path, monkeypatch):
    log = tmp_path / "a.log"
    wait = subprocess.Popen.wait

    def interrupt(child, timeout=None):
        if timeout is None:
            return wait(child)
        while not last_lines(log, 1):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_child([sys.executable, "-c", FAMILY], log, limit=60)
    assert_gone(log)


def test_a_row_that_ends_leaves_nothing_behind(tmp_path):
    log = tmp_path / "a.log"
    assert run_child([sys.executable, "-c", LEAVES], log, limit=60) == ""
    assert_gone(log, 1)


def test_a_child_that_says_nothing_is_told_by_its_exit_code(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    assert run_child(command, tmp_path / "a.log", 60) == "it ended with exit code 3 and said nothing"


def test_a_child_measures_its_row_and_names_absent_peers(tmp_path, monkeypatch):
    def prepare(folder):
        assert list(folder.iterdir()) == []
        yield Sides({"Neocog": lambda: 2.0, "peer": lambda: 3.0}, note="so it is", absent={"captum": "not installed"})
        (tmp_path / "cleaned").touch()

    monkeypatch.setattr(run, "ROWS", (made("a", prepare),))
    monkeypatch.setenv("NEOCOG_CACHE", "")  # restored afterwards
    assert run.main(["--child", "a", "--out", str(tmp_path), "--turns", "2"]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["turns"] == {"Neocog": [2.0, 2.0], "peer": [3.0, 3.0]}
    assert (found["note"], found["absent"]) == ("so it is", {"captum": "not installed"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "cleaned"]


def test_rows_are_chosen_by_the_beginnings_of_their_names():
    rows = [made("load-a"), made("load-b"), made("serve")]
    assert [row.name for row in run.choose([], rows)] == ["load-a", "load-b", "serve"]
    assert {row.name for row in ROWS} > ASIDE and not ASIDE & {row.name for row in run.choose([])}
    assert run.choose([], everything=True) == list(ROWS)
    assert [row.name for row in run.choose(["serve", "load-b"], rows)] == ["load-b", "serve"]
    with pytest.raises(SystemExit, match=r"No row begins with x, y; python bench/run\.py --list shows the rows\."):
        run.choose(["x", "load", "y"], rows)


def test_expected_time_comes_from_earlier_rows():
    clock = run.Clock([make_result("a", {"Neocog": ONE}, seconds=100.0)], quick=False)
    assert clock.left([made("a"), made("new")]) == "about 3 min left"
    clock.note(made("b"), 10.0)
    assert clock.left([made("new")]) == "about 10 s left"
    assert run.Clock([make_result("a", {"Neocog": [1.0]})], quick=False).left([made("a")]) == ""
    assert run.Clock([], quick=False).left([made("a")]) == ""


def test_a_busy_machine_is_noticed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "Meter", Busy)
    Pretended(tmp_path, {"a": writes("a")}).run([made("a")])
    said = capsys.readouterr().out
    assert "a: the machine is not idle: 40% of it is busy" in said
    assert "7% of the processors were given to others" in said


class Busy:
    busy_before = 0.4

    def __init__(self, watch):
        pass

    def read(self):
        return {"busy_before": 0.4, "others": 0.3, "stolen": 0.07}


def test_meter_takes_the_work_of_children_away(monkeypatch):
    seconds = iter([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (1000.0, 0.0)])
    own = iter([0.0, 1000.0])
    monkeypatch.setattr("harness.machine.processor_seconds", lambda: next(seconds))
    monkeypatch.setattr("harness.machine.own_seconds", lambda: next(own))
    meter = Meter(0.001)
    assert meter.read() == {"busy_before": 0.0, "others": 0.0, "stolen": 0.0}


def test_turns_below_one_are_refused(capsys):
    with pytest.raises(SystemExit):
        run.main(["--turns", "0"])
    assert "0 turns: at least 1 is needed" in capsys.readouterr().err


@pytest.mark.parametrize(("repeats", "warmup"), [(None, None), (3, None), (1, 0)])
def test_the_command_of_a_child_is_one_that_the_program_takes(tmp_path, monkeypatch, repeats, warmup):
    taken = []
    monkeypatch.setattr(run, "measure", lambda row, folder, **turns: taken.append(turns) or {})
    bench = run.Bench(tmp_path, repeats, warmup, again=False)
    python, program, *words = bench.command(run.ROWS[0], tmp_path)
    assert (python, program) == (sys.executable, run.__file__)
    assert run.main(words) == 0
    assert taken == [{"repeats": repeats, "warmup": warmup}]
    assert json.loads((tmp_path / f"{run.ROWS[0].name}.json").read_text()) == {}


@pytest.mark.slow
def test_a_quick_row_from_start_to_end(tmp_path):
    words = [sys.executable, run.__file__, "--quick", "start-import", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"1 rows are in {tmp_path}: table.md, ratios.svg, figures.json" in done.stdout
    (found,) = json.loads((tmp_path / "figures.json").read_text())
    assert len(found["turns"]["Neocog"]) == 1
    assert "`start-import`" in (tmp_path / "table.md").read_text()
