import re

from neocog.doctor import KINDS
from neocog.doctor.findings import EXAMPLES, Tally
from neocog.doctor.kinds import CMYK, DAMAGED, MIXED_SIZES
from neocog.errors import agree


def test_kinds_have_unique_names():
    assert len(KINDS) >= 30
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.name) for kind in KINDS)
    assert {kind.severity for kind in KINDS} == {"error", "warning", "note"}
    assert all(sum(other.name == kind.name for other in KINDS) == 1 for kind in KINDS)


def test_sentences_agree_with_their_count():
    for kind in KINDS:
        for count in (1, 2):
            text = agree(kind.says, count)
            assert not re.search(r"[()|]", text), text
        assert kind.does.endswith((".", "all")), kind.name
        # What is skipped says so, and nothing else does.
        assert bool(kind.skip) == ("on the skip list" in kind.does.lower()), kind.name


def test_tally_counts_with_first_examples_and_errors_first():
    tally = Tally(lambda index: f"k{index}")
    for index in range(20):
        tally.add_record(DAMAGED, index, f"row {index}")
    tally.say(MIXED_SIZES, low="1", high="2")  # words alone are no finding
    tally.add_records(CMYK, [3])
    first, second = tally.findings()
    assert (first.kind, first.count, len(first.examples)) == ("damaged", 20, EXAMPLES)
    assert first.sentence == "20 images are truncated or damaged"
    assert first.examples[1].to_json() == {"key": "k1", "detail": "row 1"}
    assert second.sentence == "1 image is CMYK"
    assert list(tally.skip) == [f"k{i}" for i in range(20)]
