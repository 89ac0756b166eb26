import unicodedata

import pytest

from neocog.doctor.findings import printable
from neocog.doctor.names import source_of, spelling


@pytest.fixture
def named(memory, noisy):
    """A set with these keys by split."""
    pool = [noisy(i) for i in range(60)]

    def make(classes=("a", "b"), **splits):
        keys = [key for given in splits.values() for key in given]
        ends = {split: len(given) for split, given in splits.items()}
        parts, start = {}, 0
        for split, count in ends.items():
            parts[split], start = range(start, start + count), start + count
        return memory(pool[: len(keys)], keys=keys, splits=parts, classes=classes)

    return make


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("train/cat/patient12_03.png", "patient12"),
        ("train/cat/patient12-left.png", "patient12"),
        ("0a7c2a8d_nohash_0.wav", "0a7c2a8d_nohash"),
        ("test/cat/p7/03.png", "p7"),
        ("cat/2021/p7/03.png", "2021/p7"),
        ("cat/img_0001.png", ""),
        ("cat/00012.png", ""),
        ("train/17", ""),
        ("cat/film 3 (12).png", "film 3"),
    ],
)
def test_source_of_reads_a_name(key, source):
    assert source_of(key, ["cat"]) == source


def test_check_finds_one_patient_in_two_splits(named, found, keys):
    train = [f"train/a/patient{i}_{k}.png" for i in range(6) for k in range(4)]
    test = [f"test/a/patient{i}_{k}.png" for i in range(8, 12) for k in range(2)]
    assert found(named(train=train, test=test)) == {}
    findings = found(named(train=train, test=[*test, "test/a/patient3_9.png", "test/a/patient3_8.png"]))
    assert set(findings) == {"source-in-two-splits"}
    finding = findings["source-in-two-splits"]
    assert (finding.count, keys(finding)) == (1, ["patient3"])
    assert finding.examples[0].detail == "train/a/patient3_0.png and test/a/patient3_9.png"
    assert finding.examples[0].records == (12, 32)


def test_names_of_classes_are_not_taken_for_sources(named, found):
    by_class = {s: [f"{s}/{k}/n0{k}_{s}{i}.png" for k in (1, 2, 3, 4) for i in range(5)] for s in ("train", "test")}
    assert "source-in-two-splits" not in found(named(classes=("1", "2", "3", "4"), **by_class))
    dated = {s: [f"{s}/a/shot2021_{s}{i}.png" for i in range(12)] for s in ("train", "test")}
    assert "source-in-two-splits" not in found(named(**dated))
    dated["train"] += [f"train/a/p{i}_{k}.png" for i in range(4) for k in range(2)]
    assert "source-in-two-splits" not in found(named(classes=("a",), **dated))  # most are of one "source"


def test_check_takes_groups_from_the_source(named, found, keys):
    import numpy as np

    source = named(train=[f"g{i}" for i in range(24)], test=[f"h{i}" for i in range(4)])
    source.groups = np.array([*range(24), 30, 31, 5, 32])
    finding = found(source)["source-in-two-splits"]
    assert (finding.count, keys(finding)) == (1, ["group 5"])
    source.splits = {"all": np.arange(28)}
    assert found(source) == {}  # dividing keeps such groups together


def test_check_notes_sources_of_a_set_without_splits(named, found, keys):
    findings = found(named(all=[f"a/speaker{i}_{k}.wav" for i in range(8) for k in range(3)]))
    assert set(findings) == {"sources-undivided"}
    assert findings["sources-undivided"].count == 8
    assert findings["sources-undivided"].examples[0].detail == "3 samples"


def test_check_finds_class_names_that_look_alike(memory, found, noisy):
    classes = ("Cat", "cat", "sea lion", "sea_lion ", "caf\u00e9", "cafe\u0301", "dog")
    source = memory([noisy(i) for i in range(77)], classes=classes)
    findings = found(source)
    assert [(e.key, e.detail) for e in findings.pop("classes-differ-by-case").examples] == [("cat", "beside 'Cat'")]
    spelled = findings.pop("classes-differ-by-spelling")
    assert [e.key for e in spelled.examples] == ["sea_lion ", unicodedata.normalize("NFD", "caf\u00e9")]
    assert not findings
    assert spelling("a b") != spelling("ab c")


def test_check_finds_keys_that_differ_by_case_or_are_not_unicode(named, found, keys):
    names = [f"a/{i}.png" for i in range(20)] + ["a/X.png", "a/x.png", "a/caf\udce9.png", "a/half\ud800.png"]
    findings = found(named(all=names))
    assert set(findings) == {"names-differ-by-case", "name-not-unicode"}
    assert [(e.key, e.detail) for e in findings["names-differ-by-case"].examples] == [("a/x.png", "beside a/X.png")]
    assert keys(findings["name-not-unicode"]) == ["a/caf\udce9.png", "a/half\ud800.png"]


def test_printable_escapes_control_characters():
    assert printable("plain é 猫.png") == "plain é 猫.png"
    assert printable("a\tb\nc\x1b[31m\u202e\xa0\udce9") == r"a\tb\nc\x1b[31m\u202e\xa0\udce9"
