"""What is open in the Studio."""

import numpy as np
import pytest
import torch
from torch import nn

from neocog.bundle import Predictor, torch_backend, write_bundle
from neocog.errors import BundleError, ConfigError, DataError
from neocog.explaining.explainer import Sample
from neocog.modalities.go.game import position_code
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.rules import point_name
from neocog.studio.state import INPUTS, Studio, error_facts
from neocog.tasks import NextMove
from neocog.zoo import create_model


def write_small_bundle(path, size=5):
    """An untrained network that plays Go on a small board: the bundle that is quickest to make."""
    torch.manual_seed(0)
    spec = {"name": "go_residual", "num_classes": size**2 + 1, "in_channels": 17, "options": {"widths": [8, 8]}}
    model = create_model(spec["name"], num_classes=spec["num_classes"], in_channels=17, widths=[8, 8]).eval()
    classes = (*(point_name(point, size) for point in range(size**2)), "pass")
    predictor = Predictor(
        torch_backend(model), BoardPreprocess(features="zero17", size=size), NextMove(classes), model=model
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(path, model, predictor, [position_code(size, 1, [])], {"model": spec, "data": {}})
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_small_bundle(tmp_path_factory.mktemp("go") / "first" / "model.neocog")


def test_bundle_is_opened_under_the_name_of_its_folder(bundle):
    studio = Studio.of(bundle)
    opened = studio.network("first")
    assert opened is studio.network("") and opened.run is None
    (facts,) = studio.overview()["networks"]
    assert (facts["name"], facts["model"], facts["task"], facts["modality"]) == (
        "first",
        "go_residual",
        "next move",
        "board",
    )
    assert facts["input_shape"] == [17, 5, 5] and len(facts["classes"]) == 26
    assert facts["parameters"] == sum(each.numel() for each in opened.predictor.model.parameters())


def test_bundle_opened_twice_is_one_and_names_don_t_collide(bundle, tmp_path):
    other = write_small_bundle(tmp_path / "first" / "model.neocog")
    studio = Studio.of(bundle, bundle, other)
    assert list(studio.networks) == ["first", "first-2"]
    assert studio.network("first-2").path == other


def test_run_folder_opens_its_model_and_its_siblings(bundle, tmp_path):
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("")
    (run / "model.neocog").write_bytes(bundle.read_bytes())
    studio = Studio.of(run)
    assert studio.runs == tmp_path / "runs" and studio.network("a").run == run
    assert Studio.of(tmp_path / "runs").runs == tmp_path / "runs"
    assert studio.overview()["runs"] is True and Studio().overview()["runs"] is False


def test_data_is_opened(pictures):
    studio = Studio.of(pictures)
    assert studio.source is not None and studio.overview()["data"] == "pictures"


def test_damaged_bundle_is_refused(bundle, tmp_path):
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged.neocog").write_bytes(content)
    with pytest.raises(BundleError):
        Studio.of(tmp_path / "damaged.neocog")
    with pytest.raises(DataError):
        Studio.of(tmp_path / "missing")


def test_network_that_is_not_open_is_refused():
    with pytest.raises(ConfigError, match=r"A network has to be open\. Received: 'x'\. Start the Studio with"):
        Studio().network("x")


def test_oldest_inputs_are_forgotten():
    studio = Studio()
    sample = Sample("a", torch.zeros(1, 1), torch.zeros(1))
    for number in range(INPUTS + 1):
        studio.keep_input(str(number), sample)
    assert studio.input("1") is sample
    with pytest.raises(ConfigError, match="An input is sent before it is looked at. Received: '0'. Send it again."):
        studio.input("0")


def test_result_is_computed_once():
    studio, made = Studio(), []
    for _ in range(2):
        assert studio.remember("key", lambda: made.append(1) or len(made)) == 1
    for number in range(INPUTS):
        studio.remember(number, lambda: None)
    assert studio.remember("key", lambda: "again") == "again"


def test_error_has_its_parts():
    error = ConfigError("A rule.", received="x", where="here", fix="Do y.")
    assert error_facts(error) == {
        "error": "A rule. here: received x. Do y.", "rule": "A rule.", "received": "x", "where": "here",
        "fix": "Do y.", "kind": "ConfigError",
    }  # fmt: skip


def test_network_is_left_as_it_was(bundle):
    model = Studio.of(bundle).network("first").predictor.model
    assert not any(isinstance(each, nn.Module) and each._forward_hooks for each in model.modules())
    assert np.all([not parameter.grad for parameter in model.parameters()])
