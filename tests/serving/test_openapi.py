"""The OpenAPI document says what the server does: schemathesis finds no difference."""

from neocog.serving.settings import ServeSettings
from tests.support.schemas import find_differences
from tests.support.served import repository_of, running

KINDS = {"digits": "image classification", "texts": "words"}


def test_server_does_what_its_document_says():
    settings = ServeSettings(explain=False)  # which takes long; tests/slow has it, and the paths of each version
    with running(repository_of(settings, **KINDS), settings) as server:
        cases, differences = find_differences(server, examples=1, without="versions|/models/{name}/predict")
    assert not differences, "\n".join(differences)
    assert cases > 300


def test_document_names_the_models_and_their_tensors():
    settings = ServeSettings()
    with running(repository_of(settings, **KINDS), settings) as server:
        found = server.get("/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    assert found["components"]["parameters"]["name"]["schema"]["enum"] == sorted(KINDS)
    inputs = found["components"]["schemas"]["InferRequest"]["properties"]["inputs"]["items"]["anyOf"]
    named = [(one["properties"]["name"]["const"], one["properties"]["datatype"]["const"]) for one in inputs]
    assert ("images", "UINT8") in named and ("texts", "BYTES") in named
    served = {(route.method.lower(), route.path) for route in server.server.routes}
    described = {(method, path) for path, methods in found["paths"].items() for method in methods}
    assert described <= served
    assert served - described == {("get", path) for path in ("/", "/docs", "/static/{name}", "/openapi.json")}
