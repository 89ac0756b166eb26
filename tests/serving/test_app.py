"""Paths, methods, time limits, backpressure, clients that leave, replaced models, and the page."""

import asyncio
import json
import threading
import time

import httpx
import numpy as np
import pytest

from neocog.errors import ConfigError
from neocog.serving.app import create_app
from neocog.serving.repository import Repository, parse_models
from neocog.serving.served import Served, load_served
from neocog.serving.settings import ServeSettings
from tests.support.served import repository_of, running
from tests.support.serving import small_bundle
from tests.support.small_models import MODELS

KINDS = {"digits": "image classification"}
IMAGE = {"values": np.arange(1024).reshape(32, 32).__mod__(256).tolist()}


class Gate:
    """A backend that waits to be let through."""

    def __init__(self, backend):
        self.backend, self.open, self.calls = backend, threading.Event(), 0

    def __call__(self, inputs):
        self.calls += 1
        assert self.open.wait(20)
        return self.backend(inputs)


def gated(settings):
    """A repository whose engine waits, and the gate."""
    repository = repository_of(settings, **KINDS)
    gate = Gate(repository.get().predictor.backend)
    repository.get().predictor.backend = gate
    return repository, gate


@pytest.fixture(scope="module")
def server():
    with running(repository_of(ServeSettings(), **KINDS), ServeSettings()) as client:
        yield client


def test_unknown_paths_and_methods_are_explained(server):
    assert server.error("GET", "/nothing", 404) == "This server does not have /nothing. See /docs for what it has."
    assert server.error("GET", "/v2/models", 404).startswith("This server does not have /v2/models.")
    for method in ("GET", "DELETE"):
        sentence = server.error(method, "/v2/models/digits/infer", 405)
        assert sentence == f"/v2/models/digits/infer answers POST. Received: {method}."
    assert server.delete("/v2").headers["allow"] == "GET, HEAD"
    assert "Received: 'x'. Known: digits." in server.error("POST", "/v2/models/x/infer", 404)
    sentence = "The version of digits must be one that is served. Received: '3'. Served: 1."
    assert server.error("GET", "/v2/models/digits/versions/3", 404) == sentence


def test_head_answers_without_a_body(server):
    whole, head = server.get("/v2"), server.head("/v2")
    assert head.status_code == 200 and not head.content
    assert head.headers["content-length"] == whole.headers["content-length"]


def test_health_says_what_the_engines_do(server):
    assert server.get("/v2/health/live").json() == {"live": True}
    assert server.get("/v2/health/ready").json() == {"ready": True}
    assert server.get("/v2/models/digits/ready").json() == {"name": "digits", "ready": True}
    with running(Repository(), ServeSettings()) as empty:
        assert empty.get("/v2/health/ready").status_code == 503
        assert "Known: ." in empty.error("POST", "/predict", 404) or empty.error("POST", "/predict", 404)


def test_repository_index_lists_versions(server):
    rows = [{"name": "digits", "version": "1", "state": "READY", "reason": ""}]
    assert server.post("/v2/repository/index").json() == rows
    assert server.post("/v2/repository/index", json={"ready": True}).json() == rows
    assert 'The body must be empty or {"ready": true}.' in server.error("POST", "/v2/repository/index", 400, json=[])


def test_slow_answer_is_given_up_and_its_input_is_not_computed():
    settings = ServeSettings(timeout_s=0.2)
    repository, gate = gated(settings)
    with running(repository, settings) as server:
        running_one = threading.Thread(target=server.post, args=("/predict",), kwargs={"json": IMAGE})
        running_one.start()
        sentence = "The answer took longer than 0.2 s. Try again later, or with fewer inputs."
        assert server.error("POST", "/predict", 504, json=IMAGE) == sentence
        running_one.join()
        spec = repository.get().input
        body = {
            "inputs": [{"name": spec.name, "datatype": "UINT8", "shape": [1, 2, 2, 1], "data": [0] * 4}],
            "parameters": {"timeout": 50_000},
        }
        assert "longer than 0.05 s" in server.error("POST", "/v2/models/digits/infer", 504, json=body)
        gate.open.set()
        wait_until(lambda: not repository.get().in_flight)
        assert gate.calls == 1
        assert server.post("/predict", json=IMAGE).status_code == 200


def wait_until(holds):
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError("it never held")


def test_full_queue_is_answered_with_a_time_to_try_again():
    settings = ServeSettings(queue=2, max_batch=1)
    repository, gate = gated(settings)
    answers = []
    with running(repository, settings) as server:
        threads = [
            threading.Thread(target=lambda: answers.append(server.post("/predict", json=IMAGE))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) >= 3)
        gate.open.set()
        for thread in threads:
            thread.join()
    refused = [one for one in answers if one.status_code == 503]
    assert len(refused) >= 3 and {one.status_code for one in answers} == {200, 503}
    for one in refused:
        assert int(one.headers["retry-after"]) >= 1
        assert one.json()["error"].startswith("digits has no place for more inputs: ")


def test_input_of_a_client_that_left_is_not_computed():
    settings = ServeSettings(max_batch=1)
    repository, gate = gated(settings)
    with running(repository, settings) as server:
        first = threading.Thread(target=server.post, args=("/predict",), kwargs={"json": IMAGE})
        first.start()
        wait_until(lambda: gate.calls == 1)
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.base_url, timeout=0.2) as impatient:
            impatient.post("/predict", json=IMAGE)
        wait_until(lambda: all(work.gone for work in repository.get().batcher.works))
        assert repository.get().batcher.works
        gate.open.set()
        first.join()
        wait_until(lambda: not repository.get().in_flight)
        assert gate.calls == 1


def test_failure_is_a_sentence_and_its_cause_is_in_the_log(server, monkeypatch, caplog):
    def fail(inputs):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(server.server.repository.get().predictor, "backend", fail)
    sentence = "The server failed at this request. Its log says how."
    assert server.error("POST", "/predict", 500, json=IMAGE) == sentence
    assert "out of luck" in caplog.text


def test_outputs_that_are_not_finite_are_a_failure(server, monkeypatch):
    backend = server.server.repository.get().predictor.backend
    monkeypatch.setattr(server.server.repository.get().predictor, "backend", lambda inputs: backend(inputs) * np.inf)
    assert "The server failed" in server.error("POST", "/predict", 500, json=IMAGE)


def test_versions_are_chosen_by_number_and_replaced_without_a_lost_request(tmp_path):
    settings = ServeSettings(backend="eager")
    paths = {str(version): small_bundle(tmp_path / f"{version}.neocog", seed=version) for version in (2, 9, 10)}
    served = [load_served(path, settings, name="digits", version=version) for version, path in paths.items()]
    repository = Repository(*served)
    assert repository.versions("digits") == ("2", "9", "10")
    with running(repository, settings) as server:
        assert server.post("/predict", json=IMAGE).json()["version"] == "10"
        assert server.get("/v2/models/digits").json()["versions"] == ["2", "9", "10"]
        second = server.post("/models/digits/versions/2/predict", json=IMAGE).json()
        assert (
            second["version"] == "2"
            and second["probability"] != server.post("/predict", json=IMAGE).json()["probability"]
        )
        statuses, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                statuses.append(server.post("/predict", json=IMAGE).status_code)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            old = repository.replace("digits", "10", load_served(paths["9"], settings, name="digits", version="10"))
            asyncio.run(old.close())
        stop.set()
        for thread in threads:
            thread.join()
        assert statuses and set(statuses) == {200}
    assert repository.remove("digits", "10") is not None and repository.get("digits").version == "9"


def test_request_that_found_a_model_just_replaced_is_answered_by_the_new_one(monkeypatch):
    settings = ServeSettings()
    repository, newer = (repository_of(settings, **KINDS) for _ in range(2))
    old, new = repository.get(), newer.get()
    old.batcher.close()
    with running(repository, settings) as server:
        asked = []

        def get(name=None, version=None):
            asked.append(name)
            return old if len(asked) <= 2 else new

        monkeypatch.setattr(repository, "get", get)
        assert server.post("/predict", json=IMAGE).status_code == 200 and len(asked) == 3
        monkeypatch.setattr(repository, "get", lambda name=None, version=None: old)
        answer = server.post("/predict", json=IMAGE)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"] == "digits is being replaced. Try again."
    new.batcher.close()


def test_golden_sample_is_answered_past_a_full_queue(tmp_path):
    settings = ServeSettings(queue=1, backend="eager")
    served = load_served(small_bundle(tmp_path / "a.neocog"), settings, name="digits")

    async def check():
        return await served.check_golden()

    assert served.sha and asyncio.run(check())
    served.golden_logits = served.golden_logits * 1.5
    assert not asyncio.run(check())
    served.batcher.close()
    assert not served.alive


def test_models_are_named_by_folder_file_or_user(tmp_path):
    folder = tmp_path / "my digits"
    folder.mkdir()
    (folder / "model.neocog").touch()
    found = parse_models([str(folder), "cats.neocog", "dogs=d.neocog", "dogs:2=e.neocog"])
    assert [(name, version) for name, version, _ in found] == [
        ("my-digits", "1"), ("cats", "1"), ("dogs", "1"), ("dogs", "2"),
    ]  # fmt: skip
    for specs, sentence in {
        ("a=x", "a=y"): r"a second a of version 1. Name it: a:2=y, or OTHER=y.",
        ("a:0=x",): r"A model's version is a whole number from 1. a:0=x: received '0'.",
        ("a:01=x",): "received '01'",
        ("a b=x",): "A model's name has letters, digits, dots, dashes and underscores. a b=x: received 'a b'.",
    }.items():
        with pytest.raises(ConfigError) as error:
            parse_models(list(specs))
        assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"max_batch": 0}, "max_batch must be at least 1. Received: 0."),
        ({"tls_cert": "a.pem"}, "TLS needs a certificate and its key. Received: only a certificate."),
    ],
)
def test_wrong_settings_are_explained(given, sentence):
    with pytest.raises(ConfigError) as error:
        ServeSettings(**given)
    assert sentence in str(error.value)


def test_middlewares_wrap_the_application_the_first_outermost():
    order = []

    def layer(name):
        def wrap(app):
            async def run(scope, receive, send):
                order.append(name)
                await app(scope, receive, send)
                order.append(scope["neocog"]["route"])

            return run

        return wrap

    predictor, _ = MODELS["image classification"]()
    served = Served(predictor, ServeSettings(), name="digits")
    app = create_app(Repository(served), ServeSettings(), wrap=[layer("outer"), layer("inner")])

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.get("/v2/models/digits")

    assert asyncio.run(ask()).status_code == 200
    assert order == ["outer", "inner", "/v2/models/{name}", "/v2/models/{name}"]
    served.batcher.close()


def test_explanations_can_be_turned_off():
    settings = ServeSettings(explain=False)
    with running(repository_of(settings, **KINDS), settings) as server:
        assert "This server does not explain." in server.error("POST", "/explain", 404, json=IMAGE)
        assert "/explain" not in server.get("/openapi.json").json()["paths"]


def test_page_and_its_files_come_from_this_server_alone(server):
    for path in ("/", "/docs"):
        page = server.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in page.headers["content-security-policy"]
    for name, kind in {"docs.css": "text/css", "docs.js": "text/javascript"}.items():
        found = server.get(f"/static/{name}")
        assert found.headers["content-type"].startswith(kind)
        assert "://" not in found.text.replace("http://www.w3.org", "")
        assert f"static/{name}" in page.text
    assert "http" not in page.text
    for name in ("../app.py", "docs.html", "%2e%2e%2fapp.py"):
        assert server.get(f"/static/{name}").status_code == 404
    assert "The file must be one of the page." in server.error("GET", "/static/other.js", 404)


def test_answers_are_json_also_for_text_that_is_not(server):
    found = server.error("GET", '/\ud7ff%ff%00"', 404)
    assert json.dumps(found)


def test_engines_meet_every_batch_size_before_the_first_client(tmp_path, monkeypatch):
    from neocog.bundle.predictor import Predictor

    path, sizes = tmp_path / "m.neocog", []
    small_bundle(path)
    monkeypatch.setattr(Predictor, "logits", counted(Predictor.logits, sizes))
    load_served(path, ServeSettings(backend="compiled", max_batch=5), name="m")
    assert set(sizes) >= {1, 2, 3, 4, 5}
    sizes.clear()
    load_served(path, ServeSettings(backend="eager", max_batch=5), name="m")
    assert set(sizes) == {1}


def counted(original, sizes):
    """The same method, which notes how many inputs it gets."""

    def logits(self, images, *arguments, **options):
        sizes.append(len(images))
        return original(self, images, *arguments, **options)

    return logits
