import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ArraySource
from neocog.doctor import check
from neocog.doctor.duplicates import equal_groups
from neocog.doctor.facts import digest, full_digest


@given(st.lists(st.integers(0, 6), max_size=40))
def test_equal_groups_match_a_dictionary(values):
    expected = {}
    for place, value in enumerate(values):
        expected.setdefault(value, []).append(place)
    groups = [group.tolist() for group in equal_groups(np.array(values, np.uint64))]
    assert groups == [places for value, places in expected.items() if value and len(places) > 1]


def test_full_digest_differs_for_any_change():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    same = pixels.copy()
    assert full_digest(pixels) == full_digest(np.asfortranarray(pixels))
    for place in generator.integers(0, pixels.size, 50):
        same.reshape(-1)[place] ^= 128
        assert full_digest(pixels) != full_digest(same)
        same.reshape(-1)[place] ^= 128
    assert full_digest(np.zeros((2, 3, 1), np.uint8)) != full_digest(np.zeros((3, 2, 1), np.uint8))
    assert full_digest(np.zeros((2, 2), np.uint8)) != full_digest(np.zeros((2, 1), np.uint16))
    assert digest(b"a") != digest(b"b") != 0


def test_images_that_differ_between_the_sampled_pixels_are_not_equal(clean, found):
    path = clean / "train" / "cat"
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for name in ("one", "same", "other"):
        pixels[0, 0] = (name == "other", 0, 0)  # a corner that is not looked at until images may be equal
        Image.fromarray(pixels).save(path / f"{name}.png")
    findings = found(clean)
    assert findings["duplicate-within-split"].count == 1
    assert findings["duplicate-within-split"].examples[0].detail == "equal to train/cat/one.png"
    assert {e.key for e in findings["near-duplicate-within-split"].examples} == {
        "train/cat/one.png",
        "train/cat/other.png",
    }


def test_check_finds_equal_images_within_and_across_splits_and_with_other_labels(clean, found, keys):
    train, val, test = (clean / split for split in ("train", "val", "test"))
    shutil.copy(train / "cat" / "train0.png", train / "cat" / "again.png")  # within
    shutil.copy(train / "cat" / "train1.png", val / "cat" / "copy.png")  # across
    shutil.copy(train / "cat" / "train1.png", test / "cat" / "copy.png")
    Image.open(train / "dog" / "train2.png").save(test / "dog" / "pixels.bmp")  # across: other bytes, equal pixels
    shutil.copy(train / "dog" / "train3.png", train / "cat" / "wrong.png")  # other label, same split
    findings = found(clean)
    assert set(findings) == {"duplicate-within-split", "duplicate-across-splits", "labels-contradict"}
    within, across, labels = (
        findings[kind] for kind in ("duplicate-within-split", "duplicate-across-splits", "labels-contradict")
    )
    assert (within.count, across.count, labels.count) == (2, 3, 2)
    assert keys(within) == ["train/cat/train0.png", "train/dog/train3.png"]
    assert {(e.key, e.detail) for e in across.examples} == {
        ("train/cat/train1.png", "equal to test/cat/copy.png"),
        ("val/cat/copy.png", "equal to test/cat/copy.png"),
        ("train/dog/train2.png", "equal to test/dog/pixels.bmp"),
    }
    assert sorted(keys(labels)) == ["train/cat/wrong.png", "train/dog/train3.png"]
    assert check(clean).skip == {
        "train/cat/train1.png": "duplicate of test/cat/copy.png",
        "val/cat/copy.png": "duplicate of test/cat/copy.png",
        "train/dog/train2.png": "duplicate of test/dog/pixels.bmp",
        "train/cat/wrong.png": "labelled otherwise in train/dog/train3.png",
        "train/dog/train3.png": "labelled otherwise in train/cat/wrong.png",
    }


def test_check_finds_nearly_equal_images(clean, found, noisy, save):
    def compressed(source, target, quality):
        Image.open(source).save(target, quality=quality)

    for i in range(4):
        save(clean / "train" / "cat" / f"big{i}.png", 500 + i, height=240, width=320)
    compressed(clean / "train" / "cat" / "big0.png", clean / "train" / "cat" / "within.jpg", 80)
    compressed(clean / "train" / "cat" / "big1.png", clean / "test" / "cat" / "across.jpg", 80)
    compressed(clean / "train" / "cat" / "big2.png", clean / "val" / "dog" / "other.jpg", 80)
    findings = found(clean)
    pairs = {
        kind: {(e.key, e.detail.removeprefix("nearly equal to ")) for e in findings.pop(kind).examples}
        for kind in ("near-duplicate-within-split", "near-duplicate-across-splits", "near-duplicate-other-label")
    }
    within, across, other = (
        ("train/cat/big0.png", "train/cat/within.jpg"),
        ("test/cat/across.jpg", "train/cat/big1.png"),
        ("train/cat/big2.png", "val/dog/other.jpg"),
    )

    def both_ways(*given):
        return {pair for a, b in given for pair in ((a, b), (b, a))}

    assert pairs["near-duplicate-within-split"] == both_ways(within)
    assert pairs["near-duplicate-across-splits"] == both_ways(across, other)
    assert pairs["near-duplicate-other-label"] == both_ways(other)
    assert set(findings) <= {"sizes-differ", "much-smaller"}
    assert check(clean).skip == {}


def test_check_compares_arrays_signals_sounds_and_texts(memory, found, noisy):
    images = np.stack([noisy(i) for i in range(30)])
    images[7] = images[3]
    labels = np.arange(30) % 2
    source = ArraySource("a", {"train": (images, labels), "test": (images[3:4], labels[3:4])})
    assert found(source)["duplicate-across-splits"].count == 2
    signals = [np.random.default_rng(i).normal(size=(2, 50)) for i in range(24)]
    signals[4] = signals[2]
    assert found(memory(signals, modality="signal"))["duplicate-within-split"].count == 1
    texts = [f"the text of number {i}" for i in range(24)]
    texts[4], texts[7], texts[9] = texts[2], texts[2], "The TEXT of number 12!"
    findings = found(memory(texts, modality="text"))
    assert findings["duplicate-within-split"].count == 2
    assert findings["labels-contradict"].count == 3
    assert findings["text-nearly-repeated"].count == 1
    assert findings["text-nearly-repeated"].examples[0].detail == "nearly equal to record 9"


def test_repeated_positions_are_not_a_finding(memory, found):
    planes = [np.zeros((3, 9, 9), np.uint8) for _ in range(10)]
    points = tuple(f"p{i}" for i in range(81))
    assert found(memory(planes, modality="board", task="next move", classes=points)) == {}


def test_multi_label_targets_are_compared_as_a_whole(memory, found, noisy):
    source = memory([noisy(i % 20) for i in range(22)], labels=[np.array([True, False])] * 22)
    source.targets = np.array([[True, i == 21] for i in range(22)])
    source.task = "multi-label"
    findings = found(source)
    assert findings["duplicate-within-split"].count == 2
    assert findings["labels-contradict"].count == 2
    assert {e.key for e in findings["labels-contradict"].examples} == {"record 1", "record 21"}


@pytest.mark.parametrize("most", [0, 10])
def test_search_that_is_cut_is_a_note(memory, found, noisy, monkeypatch, most):
    import functools

    from neocog.doctor import duplicates, near

    monkeypatch.setattr(duplicates, "near_pairs", functools.partial(near.near_pairs, most=most))
    base = noisy(1, 100, 100)
    images = [np.clip(base.astype(int) + i, 0, 255).astype(np.uint8) for i in range(30)]
    assert found(memory(images))["near-duplicates-not-all-searched"].count == 1
