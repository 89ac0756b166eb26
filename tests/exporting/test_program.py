"""A network with its preprocessing and decoding as one module, beside `answer_tensors`, on inputs of many sizes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.bundle import Predictor, torch_backend
from neocog.bundle.interface import answer_tensors
from neocog.errors import ConfigError
from neocog.exporting.audio_program import AudioReader
from neocog.exporting.image_program import ImageReader
from neocog.exporting.outputs import suppressed
from neocog.exporting.program import ExportProgram
from neocog.exporting.signal_program import SignalReader
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.image.resize import ResizeRule
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import TASKS, seams
from tests.support.small_models import MODELS, spot_boxes, spot_masks

SIZES = (
    (32, 24),
    (31, 33),
    (64, 48),
    (70, 45),
    (101, 60),
    (45, 70),
    (97, 17),
    (17, 97),
    (5, 9),
    (1, 1),
    (150, 101),
    (330, 5),
)


def images(size: tuple[int, int], channels: int = 3, num: int = 2, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (num, *size, channels)).astype(np.uint8)


def read(reader: nn.Module, array: NDArray[Any]) -> Tensor:
    with torch.inference_mode():
        found: Tensor = reader(torch.from_numpy(array))
        return found


def expected(spec: Preprocess, array: NDArray[Any]) -> Tensor:
    return spec.normalise(torch.stack([spec.decode(one) for one in array]))


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox", "tile"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_are_those_of_pillow_bit_for_bit(rule: ResizeRule, channels: int) -> None:
    spec = ImagePreprocess(size=(32, 24), channels=channels, resize=rule, pad=(1, 2), mean=(0.3,), std=(0.6,))
    for size in SIZES:
        array = images(size, channels)
        assert torch.equal(read(ImageReader(spec), array), expected(spec, array)), size


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox"])
def test_images_of_16_bits_are_rounded_once(rule: ResizeRule) -> None:
    spec = ImagePreprocess(size=(32, 24), channels=2, bit_depth=16, resize=rule)
    for size in SIZES:
        array = np.random.default_rng(0).integers(0, 2**16, (1, *size, 2)).astype(np.uint16)
        gap = (read(ImageReader(spec), array) - expected(spec, array)).abs().max() * spec.white
        assert float(gap) < 1.5, size  # a sum that ends on the other side of a rounding


def test_resized_images_of_another_filter_would_be_seen() -> None:
    spec, array = ImagePreprocess(size=(32, 24), channels=3), images((97, 50))
    other = nn.functional.interpolate(
        torch.from_numpy(array).permute(0, 3, 1, 2).float(), (32, 24), mode="bilinear", antialias=False
    )
    assert not torch.equal(spec.normalise(other.round()), expected(spec, array))


LENGTHS = (40, 39, 41, 100, 7, 2, 1)


@pytest.mark.parametrize("fit", ["crop", "pad", "resample", "tile"])
@pytest.mark.parametrize("scale", ["none", "series", "channel"])
def test_signals_are_those_of_the_preprocessing(fit: Any, scale: Any) -> None:
    spec = SignalPreprocess(
        channels=2, length=40, fit=fit, scale=scale, mean=(3.0, 5.0), std=(2.0, 0.5), mask=True, flag_missing=True
    )
    for length in LENGTHS:
        array = np.random.default_rng(length).normal(3, 2, (3, 2, length)).astype(np.float32)
        array[0, 0] = 5.1  # constant
        torch.testing.assert_close(read(SignalReader(spec), array), expected(spec, array), msg=f"{length}")


@pytest.mark.parametrize("features", ["waveform", "mel", "mfcc"])
@pytest.mark.parametrize("compression", ["log", "pcen"])
def test_sounds_are_those_of_the_preprocessing(features: Any, compression: Any) -> None:
    spec = AudioPreprocess(
        sample_rate=4000, seconds=0.25037, features=features, compression=compression, num_mels=20,
        num_coefficients=13, mean=(0.5,), std=(2.0,), window_ms=32.3,
    )  # fmt: skip
    for length in (spec.num_samples, spec.num_samples + 1, spec.num_samples + 2, spec.num_samples - 1, 3000, 11, 1):
        array = np.random.default_rng(length).normal(0, 0.1, (2, length)).astype(np.float32)
        torch.testing.assert_close(read(AudioReader(spec), array), expected(spec, array), rtol=1e-5, atol=1e-5)


def compare(predictor: Predictor, array: NDArray[Any], *, places: float = 0.0) -> None:
    """A program's outputs are those of the predictor, but for a share of places whose classes are equally probable."""
    program = ExportProgram(predictor)
    with torch.inference_mode():
        found = dict(zip((each.name for each in program.outputs), program(torch.from_numpy(array)), strict=True))
    for name, values in answer_tensors(predictor, array).items():
        given = found[name].numpy()
        assert given.dtype == values.dtype, name
        if name in ("mask", "masks"):
            assert given.shape == values.shape
            assert np.mean(given != values) <= places, name
            continue
        kept = given if name == "count" or "count" not in found else given[:, : values.shape[1]]
        np.testing.assert_allclose(kept, values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("rule", ["tile", "squash", "letterbox"])
def test_masks_have_the_size_of_the_image(rule: ResizeRule) -> None:
    predictor, _ = spot_masks((32, 32))
    predictor.preprocess = replace(predictor.preprocess, resize=rule, pad=(0, 0) if rule == "tile" else (2, 1))  # type: ignore[type-var]
    for size in ((32, 32), (31, 33), (70, 45), (129, 20), (20, 100)):
        compare(predictor, images(size, predictor.preprocess.in_channels), places=1e-3)


@pytest.mark.parametrize("rule", ["tile", "letterbox"])
def test_masks_of_several_labels_overlap(rule: ResizeRule) -> None:
    torch.manual_seed(0)
    spec = ImagePreprocess(size=(24, 32), channels=3, resize=rule)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2, bias=False), nn.Conv2d(4, 2, 3, padding=1))
    task = TASKS["multi-label segmentation"](("a", "b"))
    predictor = Predictor(torch_backend(model), spec, task, model=model)
    for size in ((24, 32), (60, 77), (11, 90)):
        array = images(size)
        compare(predictor, array, places=1e-3)
    masks = answer_tensors(predictor, array)["masks"]
    assert 0.05 < masks.mean() < 0.95, "both answers occur"


@pytest.mark.parametrize("fit", ["tile", "pad", "resample"])
@pytest.mark.parametrize("scale", ["series", "channel"])
def test_classes_of_samples_have_the_length_of_the_signal(fit: Any, scale: Any) -> None:
    torch.manual_seed(0)
    spec = SignalPreprocess(channels=2, length=40, fit=fit, scale=scale)
    model = nn.Conv1d(2, 3, 5, padding=2)
    task = TASKS["signal segmentation"](("a", "b", "c"))
    predictor = Predictor(torch_backend(model), spec, task, model=model)
    for length in (40, 39, 101, 160, 7):
        compare(predictor, np.random.default_rng(length).normal(size=(3, 2, length)).astype(np.float32), places=0.01)


@pytest.mark.parametrize("rule", ["tile", "squash", "letterbox"])
@pytest.mark.parametrize("overlap", [1.0, 0.3])
def test_boxes_are_those_of_the_detector(rule: ResizeRule, overlap: float) -> None:
    predictor, _ = spot_boxes((32, 32))
    predictor.preprocess = replace(predictor.preprocess, resize=rule)  # type: ignore[type-var]
    predictor.task.overlap = overlap  # type: ignore[attr-defined]
    for size in ((32, 32), (31, 20), *(() if rule == "tile" else ((70, 45), (20, 99)))):
        compare(predictor, images(size, predictor.preprocess.in_channels, seed=3))


def test_suppression_is_that_of_the_host() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        corner, sides = generator.uniform(0, 30, (40, 2)), generator.uniform(4, 20, (40, 2))
        scores, labels = np.sort(generator.uniform(size=40))[::-1].copy(), generator.integers(0, 2, 40)
        boxes = np.concatenate([corner, corner + sides], axis=1)
        kept = seams.suppressed(seams.Gathered(boxes, scores, labels), 0.4)
        there = torch.ones(1, 40, dtype=torch.bool)
        found = suppressed(torch.from_numpy(boxes)[None], torch.from_numpy(labels)[None], there, 0.4)
        assert found[0].tolist() == kept.tolist()
        assert 2 < kept.sum() < 38


@pytest.mark.parametrize("kind", ["words", "characters", "go"])
def test_ids_and_planes_are_taken_as_the_host_makes_them(kind: str) -> None:
    predictor, payload = MODELS[kind]()
    program = ExportProgram(predictor)
    assert program.inputs.name == ("planes" if kind == "go" else "ids")
    inputs = torch.stack([predictor.preprocess.decode(payload)] * 2)
    assert inputs.dtype == getattr(torch, program.inputs.dtype)
    assert inputs.shape[1:] == program.inputs.shape[1:]
    with torch.inference_mode():
        torch.testing.assert_close(program(inputs)[0], predictor.logits(inputs))


def test_program_leaves_the_predictor_alone() -> None:
    predictor, payload = MODELS["image classification"]()
    before = predictor.predict_proba([payload])
    program = ExportProgram(predictor)
    assert program.network is not predictor.model
    assert predictor.model is not None
    assert {id(each) for each in program.network.parameters()} == {id(each) for each in predictor.model.parameters()}
    np.testing.assert_array_equal(predictor.predict_proba([payload]), before)


def test_predictor_without_a_network_is_refused() -> None:
    predictor, _ = MODELS["image classification"]()
    predictor.model = None
    with pytest.raises(ConfigError, match="Only a network of PyTorch is exported.*a predictor without a model"):
        ExportProgram(predictor)
