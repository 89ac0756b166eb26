"""A kind of data that the package does not know: rows of numbers, registered from outside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neocog import evaluate, load, train
from neocog.cli.app import main
from neocog.data import MODALITIES, DataConfig, ModalityInfo, Preprocess, Record, Source, register_modality
from neocog.data.formats import FORMATS, Format, register_format
from neocog.errors import ConfigError, DataError
from neocog.modalities.table import read_preprocess
from neocog.recipes import recipe_for
from neocog.runs import RunConfig
from neocog.training import OptimizerConfig, TrainConfig
from neocog.zoo import ModelConfig, ModelInfo, Network
from neocog.zoo.catalog import CATALOG


@dataclass(frozen=True, kw_only=True, slots=True)
class RowPreprocess(Preprocess):
    """A row of numbers (D,), less the mean of the training rows, divided by their deviation."""

    modality: ClassVar[str] = "row"

    length: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    version: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def in_channels(self) -> int:
        return self.length

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def decode(self, payload: Any, where: str = "the row") -> Tensor:
        values = payload.decode().split(",") if isinstance(payload, bytes) else payload
        row = torch.from_numpy(np.asarray(values, np.float32))
        if row.shape != self.shape:
            raise DataError(f"Rows must have {self.length} numbers.", received=str(len(row)), where=where)
        return row

    def is_one(self, array: np.ndarray) -> bool:
        return array.ndim == 1

    def measured(self, inputs: Tensor) -> "RowPreprocess":
        return replace(self, mean=tuple(inputs.mean(0).tolist()), std=tuple(inputs.std(0).tolist()))

    def normalise(self, inputs: Tensor) -> Tensor:
        return (inputs - torch.tensor(self.mean)) / torch.tensor(self.std)


def choose_rows(source: Source, indices: np.ndarray, settings: None, input_shape: tuple[int, ...], **_: object):
    return RowPreprocess(length=len(source.read(int(indices[0])).payload)), {"length": "that of the first row"}


class Rows:
    """A file with a row of numbers and a class in each line."""

    modality, task, format = "row", "classification", "rows"
    notices: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        lines = [line.split(",") for line in path.read_text().splitlines()]
        self.name, self.path = path.stem, path
        self.classes = tuple(sorted({line[-1] for line in lines}))
        self.targets = np.array([self.classes.index(line[-1]) for line in lines])
        self.values = np.array([line[:-1] for line in lines], np.float32)
        self.splits: Mapping[str, np.ndarray] = {"all": np.arange(len(lines))}

    def __len__(self) -> int:
        return len(self.targets)

    def key(self, index: int) -> str:
        return f"line {index + 1}"

    def content(self) -> Iterator[bytes]:
        yield self.path.read_bytes()

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.values[index], int(self.targets[index]))


class Perceptron(Network):
    """(N, D) -> (N, K)."""

    def __init__(self, *, in_channels: int = 4, num_classes: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(in_channels, 16), nn.ReLU())
        self.stages = nn.Sequential(nn.Identity())
        self.head = nn.Linear(16, num_classes)


ROW = ModalityInfo(
    name="row",
    noun="row",
    plural="rows",
    preprocess=RowPreprocess,
    choose=choose_rows,
    suffixes=frozenset({".row"}),
    network="perceptron",
)


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A file of such rows, in a program that knows them."""
    monkeypatch.setattr(MODALITIES, "rows", dict(MODALITIES.rows))
    before = list(FORMATS)
    register_modality(ROW)
    register_format(Format("rows", "rows of numbers", lambda path: path.suffix == ".rows", Rows, "row"))
    info = ModelInfo(
        build=Perceptron, paper="Rosenblatt 1958", in_channels=4, input_size=(), num_classes=2, modality="row"
    )
    monkeypatch.setitem(CATALOG, "perceptron", info)
    generator = np.random.default_rng(0)
    path = tmp_path / "points.rows"
    with path.open("w") as file:
        for i in range(120):
            values = generator.normal(50 + 6 * (i % 2), 2, 4)
            file.write(",".join(f"{value:.3f}" for value in values) + f",{('no', 'yes')[i % 2]}\n")
    yield path
    FORMATS[:] = before


def quick(path: Path, **sections: Any) -> RunConfig:
    return RunConfig(
        data=DataConfig(source=str(path)),
        model=ModelConfig(name="perceptron"),
        optimizer=OptimizerConfig(lr=0.05),
        train=TrainConfig(epochs=8, batch_size=16, device="cpu"),
        **sections,
    )


def test_registered_modality_is_trained_evaluated_and_predicted(rows, tmp_path):
    run = train(quick(rows), runs=tmp_path / "runs")
    assert run.evaluation.metrics["accuracy"].value == 1.0
    assert evaluate(run.bundle, rows).metrics["accuracy"].value == 1.0
    predictor = load(run.bundle)
    assert isinstance(predictor.preprocess, RowPreprocess)
    assert 50 < predictor.preprocess.mean[0] < 56
    assert read_preprocess(predictor.preprocess.to_json()) == predictor.preprocess
    assert predictor.predict(np.full(4, 57.0))[0].class_name == "yes"
    assert [p.class_name for p in predictor.predict(np.array([[57.0] * 4, [49.0] * 4]))] == ["yes", "no"]
    assert "rows" in run.report.read_text()
    settings = run.config.read_text()
    assert "image:" not in settings and "signal:" not in settings


def test_registered_modality_goes_through_every_verb(rows, tmp_path, capsys):
    assert main(["check", str(rows), "--no-skip-list"]) == 0
    assert "120" in capsys.readouterr().out
    run = train(quick(rows), name="toy", runs=tmp_path / "runs")
    assert main(["eval", str(run.bundle), str(rows)]) == 0
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one.row").write_text("57,57,57,57")
    (tmp_path / "files" / "two.row").write_text("57,57")
    capsys.readouterr()
    assert main(["predict", str(run.bundle), str(tmp_path / "files" / "one.row"), "--csv"]) == 0
    assert "one.row,yes," in capsys.readouterr().out
    assert main(["predict", str(run.bundle), str(tmp_path / "files")]) == 2
    assert "Rows must have 4 numbers" in capsys.readouterr().err
    assert main(["predict", str(run.bundle), str(tmp_path / "runs" / "toy" / "checkpoints")]) == 2
    assert "rows." in capsys.readouterr().err


def test_network_and_settings_of_other_modalities_are_refused(rows, tmp_path):
    with pytest.raises(ConfigError, match=r"points holds rows for classification, and lenet5 is .*images.*perceptron"):
        train(replace(quick(rows), model=ModelConfig(name="lenet5")), runs=tmp_path)
    with pytest.raises(ConfigError, match=r"train\.tta .* needs images. points: received .flip., for rows"):
        train(replace(quick(rows), train=TrainConfig(tta="flip", device="cpu")), runs=tmp_path)
    with pytest.raises(ConfigError, match="no augmentation"):
        train(replace(quick(rows), data=DataConfig(source=str(rows), repeats=2)), runs=tmp_path)
    assert recipe_for(None, "row") == "general"


def test_names_are_taken_once(rows):
    register_modality(ROW)  # the same again is no other
    with pytest.raises(DataError, match="needs a name of its own. Received: 'image'"):
        register_modality(replace(ROW, name="image"))
    with pytest.raises(DataError, match="layout needs a name of its own. Received: 'rows'"):
        register_format(Format("rows", "others", lambda path: False, Rows, "row"))


def test_unknown_modality_names_the_known_ones():
    with pytest.raises(
        DataError, match="Unknown kind of data. Received: 'smell'. Known: audio, board, image, signal, text"
    ):
        MODALITIES["smell"]


@pytest.mark.parametrize("name", ["image", "signal", "audio", "text", "board"])
def test_rows_name_what_exists(name):
    """Whatever a row names is there: its network, its sections, its recipe."""
    from neocog.recipes import list_recipes

    row = MODALITIES[name]
    assert (row.name, row.preprocess.modality) == (name, name)
    assert CATALOG[row.network].modality == name
    assert {row.recipe, row.recipe_for_network or row.recipe} <= set(list_recipes())
    sections = RunConfig.__pydantic_fields__
    assert all(not section or section in sections for section in (row.section, row.augment_section))
    assert bool(row.augment) == bool(row.augment_section)
