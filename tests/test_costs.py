"""Tests are marked by what makes them slow, without a mark at each."""

import subprocess

import pytest

from tests.support.costs import LONG, ROOT

train = print  # a function of this name is taken for one that trains


@pytest.fixture
def model():
    train()


def call_train():
    return [train() for _ in range(1)]


def main(_arguments):
    """Takes the place of the command line."""


def marks(request):
    return {mark.name for mark in request.node.iter_markers()}


def test_test_that_does_nothing_slow_has_no_mark(request):
    assert marks(request) == set()


def test_test_is_marked_for_what_it_calls(request):
    call_train()
    assert marks(request) == {"train"}


@pytest.mark.usefixtures("model")
def test_test_is_marked_for_its_fixtures(request):
    assert "train" in marks(request)


def test_test_is_marked_for_a_command_that_trains(request):
    main(["train"])
    assert marks(request) == {"train"}


def test_test_is_marked_for_processes(request):
    assert subprocess is not None
    assert marks(request) == {"subprocess"}


def test_long_files_exist():
    assert [place for place in LONG if not (ROOT / place).exists()] == []
