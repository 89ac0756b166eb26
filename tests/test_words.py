"""The word check finds each habit, and leaves good wording alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "check_words.py"
spec = importlib.util.spec_from_file_location("check_words", TOOL)
words = importlib.util.module_from_spec(spec)
sys.modules["check_words"] = words
spec.loader.exec_module(words)


@pytest.mark.parametrize("habit", words.HABITS, ids=lambda habit: habit.finds[0])
def test_habit_finds_its_examples_and_passes_good_wording(habit):
    pattern = habit.compile()
    assert [text for text in habit.finds if not pattern.search(text)] == []
    assert [text for text in habit.passes if pattern.search(text)] == []


def find(source: str, name: str, tmp_path: Path) -> list[tuple[int, str]]:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")
    return [(finding.line, finding.phrase) for finding in words.check([path])]


def test_python_is_read_in_strings_docstrings_and_comments_only(tmp_path):
    source = '''"""Pack files anew."""
pictures = mend(picture_size)  # how to mend
# a long comment that is
# no use
raise ValueError(f"{path} is "
                 f"no run: {anew}.")
SUFFIX = "picture"
'''
    assert find(source, "a.py", tmp_path) == [(1, "anew"), (2, "mend"), (3, "is no"), (5, "is no")]


def test_backticks_doctests_and_addresses_are_code(tmp_path):
    source = '"""See `mend`, https://a.org/anew.\n\n>>> mend(picture)\nso many\n"""\n'
    assert find(source, "a.py", tmp_path) == [(4, "so many")]


def test_markdown_is_read_across_lines_and_without_code(tmp_path):
    source = "# Pictures\n\nIt is\nno run, `anew`.\n\n```python\nmend(x)  # mend it\n```\n\n```\nso many\n```\n"
    assert find(source, "a.md", tmp_path) == [(1, "Pictures"), (3, "is no"), (7, "mend"), (11, "so many")]


def test_names_of_tests_are_read_as_words(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    source = "def test_run_that_is_no_run_is_mended():\n    'anew'\n"
    assert find(source, "tests/test_a.py", tmp_path) == [(1, "is no"), (1, "mended")]


def test_exempt_phrase_is_left_alone_in_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "EXEMPT", (words.Exempt("a.md", "born anew", "a quotation"),))
    assert find("born anew\n", "a.md", tmp_path) == []
    assert find("made anew\n", "a.md", tmp_path) == [(1, "anew")]
    assert find("born anew\n", "b.md", tmp_path) == [(1, "anew")]


def test_command_names_place_phrase_and_better_wording(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("It is mended.\n")
    found = subprocess.run([sys.executable, str(TOOL), str(path)], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stdout == f"{path}:1: mended -> fix; correct\n"
    assert found.stderr == "1 phrases to reword.\n"
    path.write_text("It is fixed.\n")
    assert subprocess.run([sys.executable, str(TOOL), str(path)], check=False).returncode == 0
