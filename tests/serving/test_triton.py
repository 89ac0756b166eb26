"""NVIDIA's client, unmodified, gets what `answer_tensors` gives."""

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from neocog.bundle.interface import answer_tensors
from neocog.serving.settings import ServeSettings
from tests.support.served import repository_of, running

FORMS = (None, "gzip", "deflate")
KINDS = {
    "images": "image classification", "masks": "segmentation", "boxes": "detection", "signals": "signal classification",
    "sounds": "sound", "texts": "characters", "go": "go",
}  # fmt: skip
GAME = "(;GM[1]SZ[9];B[ee];W[cc])"


@pytest.fixture(scope="module")
def server():
    settings = ServeSettings(max_batch=8)
    with running(repository_of(settings, **KINDS), settings) as client:
        yield client


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


def inputs_of(name):
    random = np.random.default_rng(0)
    if name in ("texts", "go"):
        return np.array([b"good films", "très".encode()] if name == "texts" else [GAME.encode()] * 2, object)
    shape = {"images": (3, 28, 28, 1), "masks": (2, 33, 40, 1), "boxes": (2, 32, 32, 1), "signals": (2, 1, 80),
             "sounds": (2, 4000)}[name]  # fmt: skip
    if name in ("images", "masks", "boxes"):
        return random.integers(0, 256, shape, np.uint8)
    return random.standard_normal(shape).astype(np.float32)


def shaped(server, name):
    """Inputs with the channels of the model."""
    served, values = server.server.repository.get(name), inputs_of(name)
    channels = served.input.shape[-1] if values.dtype == np.uint8 else None
    return np.repeat(values, channels, axis=-1) if channels else fit_channels(values, served.input.shape)


def fit_channels(values, shape):
    return np.repeat(values, shape[1], axis=1) if values.ndim == 3 else values


def send(client, name, values, outputs=None, *, binary=True, **options):
    kind = {"u": "UINT8", "f": "FP32", "O": "BYTES"}[values.dtype.kind]
    inner = {"UINT8": "images", "BYTES": "texts" if name == "texts" else "records"}.get(
        kind, "signals" if values.ndim == 3 else "waveforms"
    )
    given = triton.InferInput(inner, list(values.shape), kind)
    given.set_data_from_numpy(values, binary_data=binary)
    return client.infer(name, [given], outputs=outputs, **options)


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("images") and client.is_model_ready("images", "1")
    assert not client.is_model_ready("images", "2")
    assert client.get_server_metadata()["name"] == "neocog"
    about = client.get_model_metadata("images")
    assert about["versions"] == ["1"] and about["inputs"][0]["datatype"] == "UINT8"
    config = client.get_model_config("boxes")
    assert config["max_batch_size"] == 8
    assert [one["name"] for one in config["output"]] == ["boxes", "scores", "labels", "count"]
    assert {row["name"] for row in client.get_model_repository_index()} == {*KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_the_predictor(server, client, name):
    values = shaped(server, name)
    served = server.server.repository.get(name)
    expected = answer_tensors(served.predictor, list(values) if values.dtype == object else values)
    asked = [triton.InferRequestedOutput(spec.name, binary_data=False) for spec in served.outputs]
    for found in (send(client, name, values), send(client, name, values, asked, binary=False)):
        for spec in served.outputs:
            array = found.as_numpy(spec.name)
            np.testing.assert_allclose(array, expected[spec.name], atol=1e-5)
            assert found.get_output(spec.name)["shape"] == list(expected[spec.name].shape)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("sent", FORMS)
def test_every_way_to_send_and_receive_gives_the_same(server, client, binary, sent):
    values = shaped(server, "images")
    expected = answer_tensors(server.server.repository.get("images").predictor, values)["probabilities"]
    for received in FORMS:
        for wanted in (None, True, False):
            asked = None if wanted is None else [triton.InferRequestedOutput("probabilities", binary_data=wanted)]
            found = send(
                client, "images", values, asked, binary=binary, request_compression_algorithm=sent,
                response_compression_algorithm=received, request_id="seven",
            )  # fmt: skip
            np.testing.assert_allclose(found.as_numpy("probabilities"), expected, atol=1e-5)
            assert found.get_response()["id"] == "seven"
            assert (found.as_numpy("logits") is None) == (asked is not None)


def test_large_answers_are_compressed(server, client):
    values = shaped(server, "masks")
    found = [send(client, "masks", values, response_compression_algorithm=form).as_numpy("mask") for form in FORMS]
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    answer = server.post(
        "/v2/models/masks/infer", headers={"accept-encoding": "gzip"},
        json={"inputs": [{"name": "images", "datatype": "UINT8", "shape": list(values.shape),
                          "data": values.ravel().tolist()}]},
    )  # fmt: skip
    assert answer.headers["content-encoding"] == "gzip" and answer.headers["vary"] == "Accept-Encoding"
    assert np.array_equal(np.reshape(answer.json()["outputs"][0]["data"], values.shape[:3]), found[0])


def test_classes_are_named_as_triton_does(server, client):
    values = shaped(server, "images")
    served = server.server.repository.get("images")
    asked = [triton.InferRequestedOutput("probabilities", class_count=2)]
    found = send(client, "images", values, asked).as_numpy("probabilities")
    shares = answer_tensors(served.predictor, values)["probabilities"]
    assert found.shape == (3, 2)
    for row, share in zip(found, shares, strict=True):
        best = int(share.argmax())
        value, index, name = row[0].decode().split(":")
        assert (int(index), name) == (best, served.predictor.classes[best])
        assert float(value) == pytest.approx(float(share[best]), abs=1e-5)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(server, client, binary, bad):
    values = shaped(server, "signals").copy()
    values[1, 0, 7] = bad
    with pytest.raises(InferenceServerException, match=r"All values of 'signals' must be finite\.") as error:
        send(client, "signals", values, binary=binary)
    assert error.value.status() == "400"
    assert f"Received: {bad} at [1, 0, 7]." in str(error.value)


def test_many_requests_at_once_share_batches_and_keep_their_answers(server, client):
    values = shaped(server, "images")
    expected = answer_tensors(server.server.repository.get("images").predictor, values)["logits"]
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=8) as many:
        given = triton.InferInput("images", [1, *values.shape[1:]], "UINT8")
        waiting = []
        for i in range(24):
            given.set_data_from_numpy(values[i % 3 : i % 3 + 1])
            waiting.append(many.async_infer("images", [given]))
        for i, one in enumerate(waiting):
            np.testing.assert_allclose(one.get_result().as_numpy("logits")[0], expected[i % 3], atol=1e-5)


def test_shared_memory_and_unknown_models_are_refused(server, client):
    given = triton.InferInput("images", [1, 28, 28, 1], "UINT8")
    given.set_shared_memory("region", 784)
    with pytest.raises(InferenceServerException, match=r"does not read shared memory"):
        client.infer("images", [given])
    with pytest.raises(InferenceServerException, match=r"Received: 'nope'\. Known: boxes, go,"):
        client.get_model_metadata("nope")
