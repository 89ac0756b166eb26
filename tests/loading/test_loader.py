import numpy as np
import pytest
import torch

from neocog.data import AugmentConfig, ImageFolder, ImagePreprocess
from neocog.errors import DataError
from neocog.loading import InMemoryDataset, Loader, RandomSampler, RepeatedAugmentationSampler, load_in_memory

NUM = 103
DATA = InMemoryDataset(
    torch.arange(NUM, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 6, 6).contiguous(),
    torch.arange(NUM),
    np.arange(NUM, dtype=np.uint64) * 77,
)
PLAIN = ImagePreprocess(size=(6, 6), channels=1)


def loader(**settings):
    return Loader(DATA, PLAIN, **({"batch_size": 10, "seed": 3} | settings))


def test_loader_gives_each_sample_once_per_epoch_in_changing_order():
    batches = loader()
    orders = [[int(y) for step in range(batches.num_steps) for y in batches.batch(epoch, step)[1]] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(NUM))
    assert orders[0] != orders[1]


def test_batch_sizes_differ_by_at_most_one():
    batches = loader()
    sizes = [len(batches.batch(0, step)[1]) for step in range(batches.num_steps)]
    assert sum(sizes) == NUM
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 10
    assert loader(batch_size=1000).num_steps == 1


def test_images_match_labels_and_are_normalised():
    images, labels = loader().batch(2, 5)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images[:, 0, 3, 3], labels / 255)


def test_batch_depends_on_its_number_alone(monkeypatch):
    config = AugmentConfig(shift=1, flip=0.5, rotate=5, erase=0.5)
    forward, backward = loader(augment=config), loader(augment=config)
    monkeypatch.setattr("neocog.loading.loader.BLOCK_VALUES", 1)
    alone = loader(augment=config)
    assert alone.steps_per_block == 1 < forward.steps_per_block
    expected = {(e, s): forward.batch(e, s) for e in (0, 1) for s in range(forward.num_steps)}
    for (epoch, step), (images, labels) in reversed(expected.items()):
        for other in (backward, alone):
            again, same = other.batch(epoch, step)
            assert torch.equal(again, images)
            assert torch.equal(same, labels)


def test_order_does_not_depend_on_the_batch_size():
    def order(size):
        batches = loader(batch_size=size)
        return torch.cat([batches.batch(4, step)[1] for step in range(batches.num_steps)])

    assert torch.equal(order(10), order(7))


def test_repeated_sample_is_augmented_differently():
    config, spec = AugmentConfig(erase=1.0), ImagePreprocess(size=(6, 6), channels=1)
    data = InMemoryDataset(
        torch.full((32, 1, 6, 6), 200, dtype=torch.uint8), torch.arange(32), np.arange(32, dtype=np.uint64)
    )
    order = RepeatedAugmentationSampler(RandomSampler(32, 3), 2)
    batches = Loader(data, spec, batch_size=32, seed=3, augment=config, sampler=order)
    images, labels = batches.batch(0, 0)
    pairs = [images[labels == label] for label in labels.unique()]
    assert [len(pair) for pair in pairs] == [2] * 16
    assert sum(torch.equal(*pair) for pair in pairs) < 4
    once, labels = Loader(data, spec, batch_size=32, seed=3, augment=config).batch(0, 0)  # the first time is as ever
    known = {int(label): image for label, image in zip(labels, once, strict=True)}
    first = order.times(np.arange(32), 0) == 0
    images, labels = batches.batch(0, 0)
    for image, label in zip(images[first], labels[first], strict=True):
        assert torch.equal(image, known[int(label)])


def test_loader_takes_16_bit_images():
    deep = ImagePreprocess(size=(4, 4), channels=1, bit_depth=16)
    images = torch.from_numpy(np.full((8, 1, 4, 4), 65535, np.uint16))
    data = InMemoryDataset(images, torch.zeros(8, dtype=torch.int64), np.arange(8, dtype=np.uint64))
    batches = Loader(data, deep, batch_size=4, seed=0, augment=AugmentConfig(shift=1, flip=0.5, erase=0.5))
    assert batches.batch(0, 0)[0].max() == 1.0


def test_in_memory_images_equal_those_of_prediction(pictures):
    source, spec = ImageFolder(pictures), ImagePreprocess(size=(16, 16), channels=3)
    data = load_in_memory(source, np.array([30, 2]), spec)
    assert torch.equal(data.inputs[0], spec.decode(source.read(30).payload))
    assert data.labels.tolist() == [2, 0]


def test_load_in_memory_counts_all_unreadable_images(pictures):
    for i in range(6):
        path = pictures / "red" / f"{i:02}.png"
        path.write_bytes(path.read_bytes()[:-40])
    source = ImageFolder(pictures)
    with pytest.raises(DataError, match=r"red/00\.png: received a truncated(?s:.*)5 more can't be read"):
        load_in_memory(source, np.arange(36), ImagePreprocess(size=(8, 8), channels=3))
