"""Every `neocog ...` line of README and docs is one that the program takes: its verb, its flags, and its arguments."""

import re
import shlex
from functools import cache

import cyclopts
import pytest

from neocog.cli.app import app
from tests.support.pages import FENCE, ROOT, blocks, pages

SHELL = ("", "console", "bash", "sh", "shell", "text")
INLINE = re.compile(r"`((?:\$ )?neocog [a-z][^`\n]*)`")
ENDS = {"|", ">", ">>", "<", "&&", ";", "&", "2>"}  # of a command within a line
PLACEHOLDERS = {"...", "[...]"}


def commands(page):
    """Place and words of each command line, and whether it stands alone rather than in a sentence.

    Comments, prompts and redirections are left out.
    """
    for block in blocks(page):
        if block.info not in SHELL:
            continue
        text = block.text.replace("\\\n", " ")
        for number, line in enumerate(text.splitlines(), block.line):
            if words := command_in(line):
                yield f"{page.relative_to(ROOT)}:{number}: {line.strip()}", words, True
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in INLINE.finditer("\n".join(line for line in prose.splitlines() if not line.startswith("    "))):
        if words := command_in(match[1]):
            yield f"{page.relative_to(ROOT)}: {match[1]}", words, False


def command_in(line):
    """The words behind `neocog` of a line that begins with it, or with torchrun, or gives it standard input.

    >>> command_in("$ neocog train photos --epochs 3   # briefly")
    ['train', 'photos', '--epochs', '3']
    """
    line = line.strip().removeprefix("$ ")
    if not re.match(r"(neocog|python -m neocog|torchrun|cat .*\| neocog|[A-Z_]+=\S+ neocog|taskset.*neocog)\b", line):
        return None
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    if "neocog" not in words:
        return None
    words = words[words.index("neocog") + 1 :]
    end = next((place for place, word in enumerate(words) if word in ENDS), len(words))
    return [word for word in words[:end] if word not in PLACEHOLDERS]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_are_taken(page):
    faults = []
    for place, words, alone in commands(page):
        try:
            check(tuple(words))
        except cyclopts.MissingArgumentError as error:
            if alone:  # a sentence may name a verb or a flag without its arguments
                faults.append(f"{place}\n    {error}")
        except cyclopts.CycloptsError as error:
            faults.append(f"{place}\n    {error}")
    assert not faults, "\n".join(faults)


@cache  # of those that are taken; each costs hundredths of a second
def check(words):
    """Raises CycloptsError for a command that the program would refuse; what a cluster is to run is a training."""
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    if words[0] == "launch":
        app.parse_args(["train", *bound.args], exit_on_error=False, print_error=False)


def test_a_wrong_command_would_be_found():
    for words in (["trian", "mnist"], ["train", "mnist", "--epohcs", "3"], ["train", "mnist", "--augment.flipp", "1"],
                  ["plan"], ["predict"], ["launch", "slurm", "photos", "--modle", "resnet18"]):  # fmt: skip
        with pytest.raises(cyclopts.CycloptsError):
            check(tuple(words))
