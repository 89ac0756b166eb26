import pytest

from neocog.training.distributed import World, fail_together

TEXT = "An image must be whole. Received: half of one."


@pytest.mark.parametrize(("kind", "rank"), [("data", 1), ("data", 0), ("compute", 1)])
def test_an_error_in_one_process_ends_all_with_its_message(ranks, kind, rank):
    outcome = ranks(2, "end", kind, rank, fails=True)
    other = 1 - rank
    assert outcome.codes == [2, 2]
    assert outcome.errors[rank] == f"DataError with rank {rank}: {TEXT}\n"  # once, for the program to show
    # The first process of the machine shows it; the others print nothing.
    assert outcome.errors[other] == (f"rank {rank}: DataError: {TEXT}\n" if other == 0 else "")
    assert outcome.seconds < 30


def test_an_error_that_no_user_can_fix_keeps_its_trace(ranks):
    outcome = ranks(2, "end", "bug", 1, fails=True)
    assert outcome.codes == [1, 1]
    assert outcome.errors[0] == "rank 1: KeyError: 'nothing'\n"
    assert outcome.errors[1].startswith("rank 1: KeyError: 'nothing'\n")
    assert "in raise_bug" in outcome.errors[1]


def test_an_exit_code_is_an_end_as_well(ranks):
    outcome = ranks(2, "end", "exit", 1, fails=True)
    assert outcome.codes == [1, 3]
    assert outcome.errors[0] == "rank 1: SystemExit: 3\n"


@pytest.mark.parametrize("rank", [0, 1])  # the first has the store
def test_a_process_that_was_killed_is_missed(ranks, rank):
    outcome = ranks(2, "end", "kill", rank, fails=True)
    assert outcome.codes[rank] == -9
    assert outcome.codes[1 - rank] != 0
    message = (
        f"RunError: rank {1 - rank}: Another process has ended without a message: it was killed, or ran out of memory"
    )
    assert message in outcome.errors[1 - rank]
    assert outcome.seconds < 30


def test_joint_interrupt_ends_no_process(ranks):
    assert ranks(2, "all_well") == ["Stopped after step 3"] * 2


def test_single_process_raises_errors_unchanged():
    with pytest.raises(KeyError, match="^'x'$"), fail_together(World()):
        raise KeyError("x")
