"""The server's answers that belong to no screen: the page, what is open, errors, exports."""

import ast
import base64
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from neocog import __version__
from neocog.studio.app import create_app
from neocog.studio.state import Studio
from tests.studio.test_state import write_small_bundle
from tests.support.studio import HOST, TOKEN, client_of


@pytest.fixture(scope="module")
def client():
    return client_of(raise_server_exceptions=False)


def test_page_is_served_with_all_its_files(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html") and "<title>Neocog Studio</title>" in page.text
    for path in ("js/app.js", "css/studio.css", "vendor/preact.js", "icon.svg"):
        assert client.get(f"/{path}").status_code == 200
    for outside in ("/../app.py", "/..%2fapp.py", "/js/../../app.py", "/%2e%2e/app.py"):
        assert client.get(outside).status_code == 404


def test_overview_says_what_is_open(client):
    assert client.get("/api/overview").json() == {"version": __version__, "networks": [], "runs": False, "data": ""}


def test_page_opens_a_bundle_and_says_what_is_wrong_with_others(tmp_path):
    client = client_of(Studio())
    bundle = write_small_bundle(tmp_path / "small" / "model.neocog")
    assert [each["name"] for each in client.post("/api/open", json={"target": str(bundle)}).json()["networks"]] == [
        "small"
    ]
    broken = tmp_path / "broken.neocog"
    broken.write_bytes(bundle.read_bytes()[:-500])
    refused = client.post("/api/open", json={"target": f" {broken} "})
    assert refused.status_code == 400 and "broken.neocog" in refused.json()["error"]
    assert len(client.get("/api/overview").json()["networks"]) == 1
    assert client.post("/api/open", json={"target": ""}).status_code == 422


class Evil:
    """Runs a command if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["a.neocog", "a.npz", "a.npy", "a.pkl", "a.pt", "a.png", "a.html"])
def test_files_that_hold_code_are_refused_and_not_run(tmp_path, name):
    client, mark, path = client_of(Studio()), tmp_path / "run", tmp_path / name
    evil = np.array([Evil(mark)], object)
    if name.endswith(".npz"):
        np.savez(path, x_train=evil, y_train=evil, allow_pickle=True)
    elif name.endswith(".npy"):
        np.save(path, evil, allow_pickle=True)
    else:
        path.write_bytes(b"<script>alert(1)</script>" if name.endswith("html") else pickle.dumps(Evil(mark)))
    refused = client.post("/api/open", json={"target": str(path)})
    assert refused.status_code == 400 and refused.json()["rule"]
    assert not mark.exists()


def test_invalid_values_are_named(client):
    refused = client.post("/api/bench/run", json={"size": [1000, 5], "op": "x"})
    assert refused.status_code == 422
    assert "size.0: Input should be less than or equal to 99." in refused.json()["error"]
    refused = client.post("/api/bench/run", content=b"{", headers={"content-type": "application/json"})
    assert refused.status_code == 422 and "JSON" in refused.json()["error"]


def test_unknown_address_is_an_error_as_json(client):
    missing = client.get("/api/nothing")
    assert (missing.status_code, missing.json()["error"]) == (404, "The Studio does not have /api/nothing.")
    assert client.delete("/api/overview").json()["kind"] == "http"


def test_error_of_ours_is_said_without_its_trace():
    guard = create_app(Studio(), TOKEN, (HOST,))

    @guard.app.get("/api/fails")
    def fails():
        raise ZeroDivisionError("secret detail")

    guard.app.router.routes.insert(0, guard.app.router.routes.pop())
    client = client_of(raise_server_exceptions=False)
    client.app.app = guard.app
    answer = client.get("/api/fails")
    assert answer.status_code == 500
    assert answer.json()["error"] == "The Studio failed at this. The terminal in which it runs says how."
    assert "secret" not in answer.text


def test_documentation_of_the_routes_is_not_served(client):
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


PIXEL = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=")
).decode()


def test_view_becomes_a_notebook_that_runs(client):
    code = "import neocog\n\nx = 1\nprint(x)"
    notebook = json.loads(client.post("/api/export/notebook", json={"title": "Shift", "code": code}).content)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert sources == ["# Shift", "import neocog", "x = 1\nprint(x)"]
    assert [ast.parse(source) for source in sources[1:]]
    assert len({cell["id"] for cell in notebook["cells"]}) == 3


def test_view_becomes_one_page(client):
    view = {
        "title": "<script>alert(1)</script>", "code": "a < b", "facts": [["k", "<v>"]],
        "pictures": [{"png": PIXEL, "alt": 'a "map"'}],
    }  # fmt: skip
    page = client.post("/api/export/page", json=view).text
    assert "<script" not in page and "a &lt; b" in page and "&lt;v&gt;" in page
    assert f'src="data:image/png;base64,{PIXEL}"' in page and 'alt="a &quot;map&quot;"' in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("content", ["not base64!", base64.b64encode(b"<html>").decode()])
def test_export_takes_no_image_that_is_not_a_png(client, content):
    refused = client.post("/api/export/page", json={"title": "t", "pictures": [{"png": content, "alt": ""}]})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("An image of a view is a PNG in base64. Received: ")
