"""Layers of a network on the Bench: their own weights and numbers, around any unit."""

import random

import numpy as np
import pytest
import torch

from neocog.errors import ConfigError
from neocog.studio.layer_window import layer_operation, layer_window
from neocog.studio.state import Studio
from neocog.studio.wire import unpack
from tests.support.bench import many_layers, opened_as
from tests.support.studio import client_of


@pytest.fixture(scope="module")
def many():
    return many_layers()


def test_layer_on_the_bench_has_the_network_s_own_numbers(many):
    """Around units in the middle and at every border, the outputs are those of the layer."""
    draw, inputs = random.Random(0), torch.randn(1, 3, 12, 14)
    layers = [layer for layer in many.layers if not layer.row.operator.startswith(("relu", "batch"))]
    assert [layer.name for layer in layers][:6] == ["first", "same", "dilated", "up", "pointed", "max"]
    tape = many.tape(inputs, layers, gradients=False)
    for layer in layers:
        actual = tape.values[layer][0].double().numpy()
        actual = actual[..., None] if actual.ndim == 1 else actual
        size = actual.shape[1:]
        corners = {(0,) * len(size), tuple(s - 1 for s in size), (0, size[-1] - 1)[: len(size)]}
        for unit in corners | {tuple(draw.randrange(s) for s in size) for _ in range(3)}:
            channel = draw.randrange(len(actual))
            window = layer_window(many, layer, channel, unit, inputs)
            y = window.operation.y
            assert len(y) == 1
            where = tuple(slice(first, first + n) for first, n in zip(window.first_output, y.shape[1:], strict=True))
            assert all(w.start <= at < w.stop for w, at in zip(where, unit, strict=True)), (layer.name, unit)
            np.testing.assert_allclose(y[0], actual[channel][where], atol=1e-5, err_msg=f"{layer.name} {unit}")
            operation = window.operation
            row = draw.randrange(y.size)
            bias = 0 if operation.bias is None else operation.bias[0]
            assert operation.terms(row).products.sum() + bias == pytest.approx(y.ravel()[row], abs=1e-9)


def test_layer_without_an_input_has_its_weights(many):
    window = layer_window(many, "same", channel=4)
    weight = many.model.same.weight[4:5].detach().double().numpy()
    np.testing.assert_array_equal(window.operation.w, weight)
    assert window.first_channel == 3 and window.operation.x.shape[0] == 3
    assert set(np.unique(window.operation.x)) <= set(range(10))


def test_other_layers_and_places_are_refused(many):
    with pytest.raises(
        ConfigError, match=r"The Bench takes apart convolutions, dense layers and pooling.*Received: :relu: relu"
    ):
        layer_operation(many, many.layers[":relu"])
    with pytest.raises(ConfigError, match="first has the channels 0 to 5. Received: 6."):
        layer_window(many, "first", channel=6)
    with pytest.raises(ConfigError, match=r"mean has units from \(0, 0\) to \(4, 4\)\. Received: \(12, 9\)\."):
        layer_window(many, "mean", unit=(12, 9))


@pytest.fixture(scope="module")
def studio(many):
    studio = Studio()
    studio.networks["many"] = opened_as("many", many)
    torch.manual_seed(1)
    studio.keep_input("key", many.sample(torch.randn(3, 12, 14), "seven.png"))
    return studio


def test_layer_route_gives_the_real_maps(studio, many):
    client = client_of(studio)
    listed = client.get("/api/bench/layers", params={"network": "many"}).json()
    assert [each["name"] for each in listed][:3] == ["first", "same", "dilated"]
    given = {"network": "many", "layer": "first", "channel": 2, "input": "key", "unit": [0, 3]}
    meta, found = unpack(client.post("/api/bench/run", json=given).content)
    expected = many.tape(studio.input("key").inputs, [many.layers["first"]], gradients=False).values[
        many.layers["first"]
    ]
    np.testing.assert_allclose(found["y"][0], expected[0, 2, 0:2, 2:5].numpy(), atol=1e-5)
    assert meta["layer"]["first_output"] == [0, 2] and meta["layer"]["first_input"] == [0, 3]
    assert "layer_window(explainer, 'first', channel=2, unit=(0, 3), inputs=inputs)" in meta["code"]
    refused = client.post("/api/bench/run", json=given | {"input": "key:3"})
    assert refused.status_code == 400 and refused.json()["error"].startswith("This input has 1 parts.")
    unknown = client.post("/api/bench/run", json=given | {"layer": "frist"})
    assert unknown.status_code == 400 and "Did you mean 'first'?" in unknown.json()["error"]
