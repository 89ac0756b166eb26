"""The pages that are made when the documentation is built: lessons, zoo, reference."""

import doctest
import sys

import pytest

from neocog.studio.lessons import Claim, find_lesson
from neocog.zoo.figures import read_figures
from tests.support.pages import DOCS


@pytest.fixture(scope="module", autouse=True)
def generate():
    """The folder docs on the path, where the package `generate` is."""
    sys.path.insert(0, str(DOCS))
    yield
    sys.path.remove(str(DOCS))


def test_examples_in_docstrings():
    from generate import lessons, reference, zoo

    assert sum(doctest.testmod(module).attempted for module in (lessons, zoo, reference)) >= 2
    assert not any(doctest.testmod(module).failed for module in (lessons, zoo, reference))


def test_a_lesson_has_its_claims_computed_and_its_figures_drawn():
    from generate.lessons import lesson_page

    text, figures = lesson_page(1, find_lesson(1))
    assert text.startswith("# 1. What a convolution is")
    assert "| A kernel of 3 fits into 5 pixels at 3 positions. | 3 | `conv_output(size=5, kernel_size=3)` |" in text
    assert "lessons/01-1.png" in figures and figures["lessons/01-1.png"].startswith(b"\x89PNG")
    assert "<details><summary>Answer</summary>\n\n-2\n" in text


def test_a_claim_that_does_not_hold_stops_the_build():
    from generate.lessons import claim_parts

    claim = Claim(say="A kernel of 3 fits into 5 pixels at 4 positions.", check="conv_output",
                  args={"size": 5, "kernel_size": 3}, equals=4)  # fmt: skip
    with pytest.raises(ValueError, match="A lesson says: A kernel of 3 .* Computed: 3"):
        claim_parts((claim,))


def test_a_family_has_its_idea_plan_and_figures():
    from generate.zoo import family_page

    text, drawing = family_page("neocog.zoo.networks.lenet5_relu", "lenet5_relu", ["lenet5_relu"], read_figures())
    assert "| `lenet5_relu` | LeCun et al. 1998 | 1x32x32 | 61,706 | 417 k | 16 |" in text
    assert "## Plan of `lenet5_relu` on 1x32x32" in text and "61,706 parameters" in text
    assert "97.40%" in text.partition("## Measured")[2], "the row of docs/figures.md"
    assert drawing.startswith("<svg")


def test_every_family_that_is_said_to_be_measured_is(monkeypatch):
    from generate import zoo

    for stem in zoo.ROWS:
        assert "%" in zoo.measured(stem)
    monkeypatch.setitem(zoo.ROWS, "vgg", "VGG")
    with pytest.raises(ValueError, match="no row that begins with 'VGG'"):
        zoo.measured("vgg")


def test_the_reference_has_every_command_and_setting():
    from generate.reference import reference_pages

    pages = reference_pages()
    commands = pages["reference/commands.md"]
    for verb in ("train", "find rate", "launch slurm", "env"):
        assert f"\n## neocog {verb}\n" in commands
    assert "- `--object`: Size of the objects to recognise" in commands
    assert "- `BUNDLE`: A model.neocog file." in commands
    assert "| `optimizer.lr` | `FLOAT` |" in pages["reference/settings.md"]
    assert "### train\n" in pages["reference/python.md"]


def test_page_of_a_family_plans_the_network_that_bears_its_name():
    from generate.zoo import family_page

    text, _ = family_page("neocog.zoo.networks.resnet", "resnet", ["plain18", "resnet18"], read_figures())
    assert "neocog plan resnet18" in text
    assert "## Plan of `resnet18` on" in text
