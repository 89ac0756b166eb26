"""Features of any network on any kind of data, against what a hook sees in the network itself."""

import json
import tracemalloc

import numpy as np
import pytest
import torch

import neocog
from neocog.data import fingerprint, open_source
from neocog.errors import ConfigError, DataError
from neocog.runs.compute_features import BATCH, open_features, write_features
from neocog.transfer.features import AHEAD
from neocog.zoo.weights import available
from tests.support.small_sets import SETS, files_of, write_set
from tests.support.untrained import untrained

TOLERANCE = 1e-4
"""Relative error in fp32 that fused convolutions may add."""


def small_set(name, folder):
    return SETS[name].open(write_set(folder, files_of(name)))


def seen_by_hook(predictor, inputs, layer, side):
    """The mean over places of what goes into a layer of the network, or comes out of it; (N, D)."""
    seen = []
    module = predictor.model.get_submodule(layer)
    if side == "in":
        handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    else:
        handle = module.register_forward_hook(lambda _, given, made: seen.append(made))
    with torch.inference_mode():
        predictor.model(predictor.preprocess.normalise(inputs))
    handle.remove()
    (maps,) = seen
    return (maps if maps.ndim == 2 else maps.flatten(2).mean(2)).numpy()


@pytest.mark.parametrize(
    ("name", "network", "layer", "side"),
    [
        ("image-folder png", "lenet5_relu", "head.7", "in"),
        ("image-folder png", "speednet", "head.2", "in"),
        ("image-folder jpeg", "resnet18", "head.2", "in"),
        ("image-folder jpeg", "squeezenet1_1", "head.1", "in"),
        ("idx", "lenet5", "head.5", "in"),
        ("class-list jsonl", "lenet5_relu", "head.7", "in"),
        ("signal-npz", "time_series_fcn", "head.2", "in"),
        ("sound wav", "speech_res8", "head.2", "in"),
        ("text-table csv", "text_cnn", "head.3", "in"),
        ("sgf", "go_residual", "head.3", "in"),
        ("sgf", "go_policy", "stages", "out"),
    ],
)
def test_features_are_the_inputs_of_the_last_layer(name, network, layer, side, tmp_path):
    source = small_set(name, tmp_path)
    predictor = untrained(network, source)
    table = neocog.features(predictor, source)
    every = np.concatenate(list(source.splits.values()))
    inputs = torch.stack([predictor.preprocess.decode(source.read(i).payload) for i in every.tolist()])
    expected = seen_by_hook(predictor, inputs, layer, side)
    error = np.linalg.norm(table.features - expected) / np.linalg.norm(expected)
    assert error < TOLERANCE
    assert np.linalg.norm(expected) > 0
    assert table.features.dtype == np.float32
    assert table.keys == tuple(map(source.key, every.tolist()))
    assert table.splits.tolist() == [split for split, part in source.splits.items() for _ in part]
    np.testing.assert_array_equal(table.targets, source.targets[every].astype(table.targets.dtype))


def test_features_of_tiled_images_are_the_mean_over_tiles(tmp_path):
    source = small_set("masks grey", tmp_path)
    predictor = untrained("unet", source)
    assert predictor.preprocess.resize == "tile"
    table = neocog.features(predictor, source)
    for row, index in enumerate(np.concatenate(list(source.splits.values())).tolist()):
        views = torch.stack([view.inputs for view in predictor.preprocess.views(source.read(index).payload)])
        expected = seen_by_hook(predictor, views, "stages.4", "out").mean(axis=0)
        np.testing.assert_allclose(table.features[row], expected, atol=TOLERANCE * np.abs(expected).max())
    with pytest.raises(ConfigError, match=r"one target for each sample.* Received: data for segmentation"):
        table.knn(1, fit=table.splits[0], score=table.splits[0])


class Many:
    """Grey images that are made when they are read."""

    name, classes, modality, task, format, notices = "many", ("0", "1"), "image", "classification", "python", ()

    def __init__(self, count):
        self.targets = np.arange(count) % 2
        self.splits = {"all": np.arange(count)}
        self.num_read = 0

    def __len__(self):
        return len(self.targets)

    def key(self, index):
        return f"image {index}"

    def content(self):
        return iter(())

    def read(self, index):
        from neocog.dataset.record import Record

        self.num_read += 1
        return Record(self.key(index), np.full((28, 28), index % 251, np.uint8), int(self.targets[index]))


def test_samples_are_read_a_few_batches_ahead():
    source = Many(2000)
    run = open_features(untrained("lenet5_relu", Many(20)), source)
    before, done = source.num_read, 0
    for rows in run:
        done += len(rows)
        assert source.num_read - before - done <= BATCH * (AHEAD * torch.get_num_threads() + 3)
    assert done == source.num_read - before == 2000


@pytest.mark.parametrize("name", ["features.npz", "features.parquet"])
def test_memory_does_not_grow_with_the_data_set(name, tmp_path):
    peaks = []
    for count in (300, 3000):
        source = Many(count)
        predictor = untrained("lenet5_relu", Many(20))
        predictor.model.head[-1] = torch.nn.Linear(84, 2)
        tracemalloc.start()
        assert write_features(predictor, source, tmp_path / name) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    pixels = 3000 * 28 * 28
    assert peaks[1] - peaks[0] < pixels / 2


def test_features_are_split_as_in_training(finished_run, digits):
    table = neocog.features(finished_run.bundle, digits)
    source = open_source(digits)
    manifest = neocog.load(finished_run.bundle).manifest
    assert manifest["data"]["name"] == source.name
    assert set(table.splits) == {"train", "val", "test"}
    assert (table.splits == "test").sum() == 300
    assert len(table) == len(source)
    assert sorted(table.keys) == sorted(map(source.key, range(len(source))))
    accuracy = table.knn(20).metrics["accuracy"].value
    assert accuracy > 0.6
    assert table.probe().metrics["accuracy"].value > 0.6


def test_data_of_another_kind_are_refused(finished_run, tmp_path):
    with pytest.raises(DataError, match=r"This network takes images. .*: received texts"):
        open_features(finished_run.bundle, small_set("text-table csv", tmp_path))


def test_split_that_does_not_exist_is_refused(finished_run, tmp_path):
    with pytest.raises(DataError, match=r"has no split 'val'. Choose one of train, test."):
        open_features(finished_run.bundle, small_set("image-folder png", tmp_path), split="val")


def test_skip_list_leaves_samples_out(finished_run, digits, tmp_path):
    source = open_source(digits)
    skip = tmp_path / "skip.txt"
    skip.write_text(f"{source.key(0)}\tblurred\n")
    run = open_features(finished_run.bundle, digits, skip_list=skip)
    assert len(run) == len(source) - 1
    assert 0 not in run.indices


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("efficentnet_lite0", {}, r"A network is a model.neocog file or a name .*'efficentnet_lite0'. Did you mean"),
        ("lenet5_relu", {}, r"Features need a network with weights. Received: lenet5_relu. No pretrained weights"),
        ("unused", {"size": 3}, "has its weights and its image size. Received: size=3"),
        ("unused", {"pretrained": "package"}, "has its weights and its image size. Received: pretrained=package"),
    ],
)
def test_network_without_weights_or_with_other_weights_is_refused(model, options, message, finished_run, digits):
    with pytest.raises(ConfigError, match=message):
        open_features(finished_run.bundle if model == "unused" else model, digits, **options)


@pytest.mark.skipif(available("efficientnet_lite0") is None, reason="needs the package with weights")
def test_network_of_the_zoo_with_published_weights(tmp_path):
    source = small_set("image-folder jpeg", tmp_path)
    run = open_features("efficientnet_lite0", source, size="64x96")
    assert run.preprocess.size == (64, 96)
    assert run.preprocess.mean == tuple(127 / 255 for _ in range(3))
    table = run.gather()
    assert table.features.shape == (len(source), 1280)
    model = neocog.create_model("efficientnet_lite0", pretrained="package").eval()
    inputs = torch.stack([run.preprocess(source.read(i).payload) for i in range(len(source))])
    seen = []
    model.head[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        model(inputs)
    expected = seen[0].numpy()
    assert np.linalg.norm(table.features - expected) < TOLERANCE * np.linalg.norm(expected)
    with pytest.raises(ConfigError, match=r"image.size"):
        open_features("efficientnet_lite0", source, size="tiny")


def test_samples_are_held_out_for_scores_of_a_set_without_splits(finished_run, pictures):
    source = open_source(pictures)
    predictor = untrained("lenet5_relu", source)
    run = open_features(predictor, source, scores=True)
    assert {name: int((run.split_of == name).sum()) for name in ("train", "test")} == {"train": 30, "test": 6}
    assert not set(run.indices[run.split_of == "train"]) & set(run.indices[run.split_of == "test"])
    evaluation = run.gather().probe()
    assert evaluation.count == 6
    assert json.dumps(evaluation.to_json())


def test_file_of_another_kind_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(ConfigError, match=r"Features are written as Parquet or .npz. .*features.csv. Name it feat"):
        write_features("no network", "no data", tmp_path / "features.csv")


def test_unreadable_sample_is_named_and_no_file_is_left(pictures, tmp_path):
    predictor = untrained("lenet5_relu", open_source(pictures))
    (pictures / "red" / "03.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    out = tmp_path / "features.npz"
    with pytest.raises(DataError, match=r"red/03.png"):
        write_features(predictor, pictures, out)
    assert not out.exists() and not list(tmp_path.glob(".features*"))


class Recordings(Many):
    """Long signals with a class at each sample."""

    name, modality, task = "recordings", "signal", "signal segmentation"

    def read(self, index):
        from neocog.dataset.record import Record

        rng = np.random.default_rng(index)
        length = 300 + 500 * index
        return Record(self.key(index), rng.normal(size=(1, length)), rng.integers(0, 2, length))


def test_features_of_long_recordings_are_the_mean_over_windows():
    source = Recordings(4)
    predictor = untrained("unet_1d", source)
    last = f"stages.{len(predictor.model.stages) - 1}"
    table = neocog.features(predictor, source)
    for row, features in enumerate(table.features):
        views = torch.stack([view.inputs for view in predictor.preprocess.views(source.read(row).payload)])
        expected = seen_by_hook(predictor, views, last, "out").mean(axis=0)
        np.testing.assert_allclose(features, expected, atol=TOLERANCE * np.abs(expected).max())


def test_labels_are_read_for_the_task_of_training_if_it_was_this_set(tmp_path):
    table = tmp_path / "ratings.csv"
    table.write_text("text,label\n" + "".join(f"text number {k},{k % 5}\n" for k in range(40)))
    classes, numbers = open_source(table), open_source(table, task="regression")
    assert (classes.task, numbers.task) == ("classification", "regression")
    predictor = untrained("text_cnn", numbers)
    assert open_features(predictor, table).source.task == "classification"
    predictor.manifest["data"] = {
        "fingerprint": fingerprint(numbers), "val_fraction": 0.1, "test_fraction": 0.2, "seed": 0,
    }  # fmt: skip
    run = open_features(predictor, table)
    assert run.source.task == "regression" and set(run.split_of) == {"train", "val", "test"}
    assert open_features(predictor, table, task="classification").source.task == "classification"
