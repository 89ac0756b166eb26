import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neocog.data import AugmentConfig, ImageFolder, ImagePreprocess
from neocog.errors import ConfigError, DataError
from neocog.loading import BlockRandomSampler, Loader, StreamingDataset, load_in_memory

SPEC = ImagePreprocess(size=(12, 12), channels=3)


def both(pictures, **settings):
    source = ImageFolder(pictures)
    everything = np.arange(len(source))
    kept = load_in_memory(source, everything, SPEC)
    streamed = StreamingDataset(source, everything, SPEC)
    return [Loader(dataset, SPEC, **({"batch_size": 5, "seed": 3} | settings)) for dataset in (kept, streamed)]


@pytest.mark.parametrize("steps_at_once", [1, 2**20])
def test_streaming_gives_the_batches_of_the_in_memory_dataset(pictures, monkeypatch, steps_at_once):
    monkeypatch.setattr("neocog.loading.loader.BLOCK_VALUES", steps_at_once)
    in_memory, streamed = both(pictures, augment=AugmentConfig(shift=1, flip=0.5, erase=0.3))
    for epoch, step in [(0, 0), (0, 1), (2, 7), (2, 6), (0, 0), (1, 7)]:
        for ours, theirs in zip(streamed.batch(epoch, step), in_memory.batch(epoch, step), strict=True):
            assert torch.equal(ours, theirs)
    streamed.data.close()


def test_streaming_starts_one_request_ahead_and_drops_others(pictures, monkeypatch):
    monkeypatch.setattr("neocog.loading.loader.BLOCK_VALUES", 1)
    source = ImageFolder(pictures)
    dataset = StreamingDataset(source, np.arange(36), SPEC, threads=2)
    loader = Loader(dataset, SPEC, batch_size=6, seed=0)
    loader.batch(0, 4)
    assert len(dataset.started) == dataset.ahead == 1
    (announced,) = dataset.started.values()
    loader.batch(0, 5)  # the last step; then comes the first of the next epoch
    assert announced not in dataset.started.values()
    (announced,) = dataset.started.values()
    loader.batch(3, 2)  # not what was announced
    assert announced not in dataset.started.values()
    assert len(dataset.started) == 1
    dataset.close()


def test_each_process_reads_its_part_of_a_batch(pictures):
    source = ImageFolder(pictures)
    dataset = load_in_memory(source, np.arange(36), SPEC)
    alone = Loader(dataset, SPEC, batch_size=10, seed=1)
    parts = [Loader(dataset, SPEC, batch_size=10, seed=1, rank=rank, world=3) for rank in range(3)]
    for step in range(alone.num_steps):
        together = torch.cat([part.batch(4, step)[0] for part in parts])
        assert torch.equal(together, alone.batch(4, step)[0])


@pytest.mark.parametrize(("batch_size", "world"), [(10, 2), (9, 2), (7, 3), (36, 2), (6, 5)])
@pytest.mark.parametrize("count", [35, 36])
def test_processes_mix_the_same_pairs_as_a_single_process(pictures, monkeypatch, batch_size, world, count):
    monkeypatch.setattr("neocog.loading.loader.BLOCK_VALUES", 1)
    dataset = load_in_memory(ImageFolder(pictures), np.arange(count), SPEC)
    settings = {"batch_size": batch_size, "seed": 1, "num_classes": 3, "augment": AugmentConfig(mixup=0.4, cutmix=1.0)}
    alone = Loader(dataset, SPEC, **settings)
    parts = [Loader(dataset, SPEC, **settings, rank=rank, world=world) for rank in range(world)]
    for step in range(alone.num_steps):
        for ours, theirs in zip(
            zip(*(part.batch(2, step) for part in parts), strict=True), alone.batch(2, step), strict=True
        ):
            assert torch.equal(torch.cat(ours), theirs)


def test_batch_smaller_than_the_number_of_processes_is_an_error(pictures):
    dataset = load_in_memory(ImageFolder(pictures), np.arange(36), SPEC)
    with pytest.raises(ConfigError, match=r"Each of 5 processes needs a sample of each batch\. Received: batches of 4"):
        Loader(dataset, SPEC, batch_size=5, seed=1, world=5)


def labels_at_positions(loader, epoch=0):
    return torch.cat([loader.batch(epoch, step)[1] for step in range(loader.num_steps)])


def test_mixed_pairs_do_not_depend_on_the_batch_size(pictures):
    dataset = load_in_memory(ImageFolder(pictures), np.arange(35), SPEC)
    settings = {"seed": 1, "num_classes": 3, "augment": AugmentConfig(mixup=0.4)}
    rows = [labels_at_positions(Loader(dataset, SPEC, batch_size=size, **settings)) for size in (4, 7, 35)]
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0], rows[2])
    assert rows[0][-1].max() == 1.0
    torch.testing.assert_close(rows[0].sum(1), torch.ones(35))
    order = Loader(dataset, SPEC, batch_size=4, seed=1).sampler.records(np.arange(35), 0)
    own = F.one_hot(dataset.labels[torch.from_numpy(order)], 3)
    pairs = own[:34].view(17, 2, 3)
    torch.testing.assert_close(rows[0][:34].view(17, 2, 3).sum(1), pairs.sum(1).float())  # nothing beside the two


@pytest.mark.parametrize("lost", [4, 5])
def test_sample_whose_partner_is_skipped_is_not_mixed(pictures, lost):
    dataset = StreamingDataset(ImageFolder(pictures), np.arange(36), SPEC, on_corrupt="skip")
    settings = {"batch_size": 36, "seed": 0, "num_classes": 3}
    order = Loader(dataset, SPEC, **settings).sampler.records(np.arange(36), 0)
    damage(pictures, dataset.source.key(int(order[lost])))
    plain, labels = Loader(dataset, SPEC, **settings).batch(0, 0)
    mixed, probabilities = Loader(dataset, SPEC, **settings, augment=AugmentConfig(mixup=1.0)).batch(0, 0)
    assert len(mixed) == 35
    assert torch.equal(mixed[4], plain[4])  # what is left of positions 4 and 5
    assert probabilities[4].argmax() == labels[4]
    assert probabilities[4].max() == 1
    changed = [i for i in range(35) if not torch.equal(mixed[i], plain[i])]
    assert changed == [i for i in range(35) if i != 4]
    dataset.close()


def test_streaming_decodes_in_inference_mode(pictures):
    dataset = StreamingDataset(ImageFolder(pictures), np.arange(36), SPEC)
    with torch.inference_mode():
        inputs, kept = dataset.take(np.arange(20), [np.arange(20, 36)])
    assert kept.all()
    assert torch.equal(inputs, load_in_memory(ImageFolder(pictures), np.arange(20), SPEC).inputs)
    assert torch.equal(dataset.take(np.arange(20, 36))[0][-1], SPEC.decode(dataset.source.read(35).payload))
    dataset.close()


def damage(pictures, *names):
    for name in names:
        path = pictures / name
        path.write_bytes(path.read_bytes()[:-40])


def test_streaming_stops_at_an_unreadable_sample(pictures):
    dataset = StreamingDataset(ImageFolder(pictures), np.arange(36), SPEC)
    damage(pictures, "red/03.png")
    loader = Loader(dataset, SPEC, batch_size=36, seed=0)
    with pytest.raises(DataError, match=r"red/03\.png: received a truncated.*--data\.on_corrupt skip"):
        loader.batch(0, 0)
    dataset.close()


def test_streaming_skips_and_counts_unreadable_samples_if_asked(pictures):
    dataset = StreamingDataset(ImageFolder(pictures), np.arange(36), SPEC, on_corrupt="skip")
    damage(pictures, "red/03.png", "blue/00.png")
    loader = Loader(dataset, SPEC, batch_size=9, seed=0)
    for epoch in (0, 1):
        labels = torch.cat([loader.batch(epoch, step)[1] for step in range(4)])
        assert labels.bincount().tolist() == [11, 12, 11]
    assert sorted(dataset.skipped) == ["blue/00.png", "red/03.png"]
    dataset.close()
    kept = load_in_memory(ImageFolder(pictures), np.arange(36), SPEC, on_corrupt="skip")
    assert sorted(kept.skipped) == ["blue/00.png", "red/03.png"]
    assert kept.labels.bincount().tolist() == [11, 12, 11]


def test_batch_without_a_readable_sample_is_an_error(pictures):
    dataset = StreamingDataset(ImageFolder(pictures), np.arange(2), SPEC, on_corrupt="skip")
    damage(pictures, "blue/00.png", "blue/01.png")
    with pytest.raises(DataError, match=r"a sample that can be read\. Received: none in step 0\. Check the data"):
        Loader(dataset, SPEC, batch_size=2, seed=0).batch(0, 0)
    dataset.close()


def test_streaming_reads_in_its_own_threads(pictures):
    seen = set()

    class Watched(ImageFolder):
        def read(self, index):
            seen.add(threading.current_thread().name)
            return super().read(index)

    dataset = StreamingDataset(Watched(pictures), np.arange(36), SPEC, threads=2)
    Loader(dataset, SPEC, batch_size=4, seed=0).batch(0, 0)
    dataset.close()
    assert threading.current_thread().name not in seen
    assert all(name.startswith("decode") for name in seen)


def test_loader_takes_a_block_sampler(pictures):
    dataset = load_in_memory(ImageFolder(pictures), np.arange(36), SPEC)
    loader = Loader(dataset, SPEC, batch_size=6, seed=0, sampler=BlockRandomSampler(36, 0, 6, 2))
    labels = torch.cat([loader.batch(0, step)[1] for step in range(loader.num_steps)])
    assert labels.bincount().tolist() == [12, 12, 12]
