import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from neocog.data import Record, open_source
from neocog.errors import DataError
from neocog.look import SYMMETRIES, ImageLook, look_at_images
from neocog.look.sample import choose_samples
from tests.support import textures


@dataclass
class Memory:
    """A source in memory."""

    payloads: list
    targets: np.ndarray
    classes: tuple = ("a", "b")
    task: str = "classification"
    modality: str = "image"
    name: str = "memory"
    format: str = "memory"
    notices: tuple = ()
    splits: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.payloads)

    def key(self, index):
        return str(index)

    def read(self, index):
        payload = self.payloads[index]
        if payload is None:
            raise DataError("An image must decode to its last row.", where=str(index))
        return Record(str(index), payload, 0)


def look(payloads, targets, **options):
    source = Memory(list(payloads), np.asarray(targets), **options)
    return look_at_images(source, np.arange(len(payloads)), seconds=120)


def noise(num, *shape, kind=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, (num, *shape), dtype=kind)


def all_unknown(found):
    return {each.verdict for each in found.symmetries.values()} == {"unknown"}


def test_look_says_what_there_is():
    images = [*noise(30, 40, 60, 3), *noise(10, 50, 60, 3)]
    found = look(images, [0] * 33 + [1] * 7, classes=("cat", "dog"))
    assert found.lines()[:3] == [
        "40 images in 2 classes; rarest: dog (7), commonest: cat (33).",
        "40x60 to 50x60 pixels, median 40x60; colour, 8 bits.",
        "Width over height: 1.50, 90% between 1.20 and 1.50.",
    ]
    facts = found.facts
    assert (facts.rarest.count, facts.commonest.name, facts.height, facts.short_side) == (7, "cat", (40, 40, 50), 40)


def test_lines_end_with_detail_and_symmetries():
    images, labels = textures.blobs(60, 48)
    lines = look(images, labels).lines()
    assert lines[1] == "48x48 pixels; grey, 8 bits."
    assert lines[2].startswith("At 32x32, ") and " of the energy is lost; a linear probe recognises " in lines[2]
    assert lines[4].startswith("Useful size: ") and ", because " in lines[4]
    starts = ("Mirror images within a class: ", "Upside-down images within a class: ", "Images turned by 180 degrees: ")
    assert all(line.startswith(start) for line, start in zip(lines[5:8], starts, strict=True))
    assert lines[8].startswith("Images turned by 90 degrees: ")


def test_grey_images_stored_as_rgb_are_found():
    grey = noise(20, 32, 32, 1).repeat(3, axis=3)
    found = look(grey, np.arange(20) % 2)
    assert found.grey and "grey, stored as RGB, 8 bits" in found.lines()[1]
    grey[3, :16, :16, 0] //= 2
    assert not look(grey, np.arange(20) % 2).grey


@pytest.mark.parametrize(
    ("shape", "kind", "shown"),
    [
        ((32, 32), np.uint16, "grey, 16 bits"),
        ((20, 20, 5), np.uint8, "5 channels, 8 bits"),
        ((20, 20, 12), np.uint16, "12 channels, 16 bits"),
        ((2, 2), np.uint8, "grey, 8 bits"),
        ((7, 300), np.uint8, "grey, 8 bits"),
        ((9, 9, 4), np.uint8, "4 channels, 8 bits"),
    ],
)
def test_unusual_images_are_looked_at(shape, kind, shown):
    found = look(noise(40, *shape, kind=kind), np.arange(40) % 2)
    assert found.num_decoded == 40 and shown in found.lines()[1]
    assert found.useful_size == min(shape[:2])


def test_small_range_of_16_bits_is_stretched():
    images, labels = textures.gratings(60)
    found = look(images.astype(np.uint16), labels)
    assert found.resolution.detail[-1].accuracy.low > 0.9


def test_elongated_images_hold_no_quarter_turn():
    found = look(noise(40, 30, 90), np.arange(40) % 2)
    assert found.symmetries["quarter_turn"].reason == "the images are elongated"


def test_transparency_is_counted(tmp_path):
    for number in range(8):
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        channels = 4 if number < 2 else 3
        Image.fromarray(noise(1, 24, 24, channels, seed=number)[0]).save(place / f"{number}.png")
    found = look_at_images(open_source(tmp_path), np.arange(8))
    assert found.facts.alpha == 0.25 and "25% of the images have transparency." in found.lines()
    assert found.num_unreadable == 0


def test_unreadable_images_are_skipped_and_counted():
    images, labels = textures.blobs(30)
    found = look([None, None, *images], [0, 1, *labels])
    assert found.num_unreadable == 2 and found.num_decoded == 30
    assert "2 images can't be read and were skipped." in found.lines()


def test_nothing_readable_is_an_error():
    with pytest.raises(DataError, match="At least one image must be readable.* memory: received none"):
        look([None, None], [0, 1])


def test_too_few_images_leave_everything_unknown():
    two = look(noise(2, 40, 40), [0, 1])
    assert all_unknown(two) and two.resolution.detail[0].accuracy is None
    assert two.symmetries["mirror"].reason == "2 images are too few"
    tiny = look(noise(40, 4, 4), np.arange(40) % 2)
    assert tiny.symmetries["flip"].reason == "images of less than 8x8 pixels are too small"


@pytest.mark.parametrize("per_class", [1, 3])
def test_few_images_per_class_are_looked_at_without_classes(per_class):
    num = 1000 * per_class
    found = look(noise(num, 12, 12), np.arange(num) % 1000, classes=tuple(map(str, range(1000))))
    assert found.facts.num_classes == 1000 and found.resolution.detail[-1].accuracy is None
    assert all(each.loss is None for each in found.symmetries.values())


@pytest.mark.parametrize(
    ("task", "targets"),
    [("multi-label", np.zeros((30, 2), bool)), ("detection", np.full(30, -1)), ("classification", np.zeros(30))],
)
def test_other_targets_are_looked_at_without_classes(task, targets):
    found = look(noise(30, 16, 16), targets, task=task)
    assert found.facts.rarest is None and found.lines()[0].startswith("30 images in 2 classes")
    assert found.resolution.detail[-1].accuracy is None


def test_samples_are_balanced_by_class_and_random_within():
    targets = np.repeat([0, 1, 2], [500, 90, 3])
    source = Memory([None] * 593, targets, classes=("a", "b", "c"))
    chosen = choose_samples(source, np.arange(593), 100, seed=0)
    assert np.bincount(targets[chosen]).tolist() == [50, 50]  # three samples can't be cross-validated
    assert np.bincount(targets[chosen[:20]]).tolist() == [10, 10]
    assert chosen[:50].max() - chosen[:50].min() > 300
    assert not np.array_equal(chosen, choose_samples(source, np.arange(593), 100, seed=1))


def test_looks_at_the_same_images_are_equal():
    images, labels = textures.blobs(80, 48)
    one, other = look(images, labels), look(images, labels)
    assert one == other and not one.limited
    assert one.symmetries.keys() == SYMMETRIES.keys()


def test_look_returns_from_json():
    images, labels = textures.blobs(40, 48)
    found = look(images, labels)
    stored = json.loads(json.dumps(found.to_json()))
    assert ImageLook.from_json(stored) == found
    with pytest.raises(DataError, match="A look must be stored as to_json gives it"):
        ImageLook.from_json({**stored, "grey": "purple"})


def test_time_limit_uses_fewer_images_and_says_so(monkeypatch):
    now = [0.0]

    def tick():
        now[0] += 0.01
        return now[0]

    monkeypatch.setattr("neocog.look.clock.time.monotonic", tick)
    images, labels = textures.blobs(400, 48)
    source = Memory(list(images), labels)
    found = look_at_images(source, np.arange(400), seconds=2.0)
    assert found.limited and 0 < found.num_decoded < 400
    assert found.lines()[-1] == "The time was up before all images were looked at, so that figures are less certain."
