"""Who may ask the Studio: the token, the Host, the Origin, and the limits on what is sent."""

import asyncio
import json

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from neocog.studio.guard import Guard, new_token
from tests.support.studio import HOST, TOKEN, client_of

MOST = 1000


@pytest.fixture
def client():
    app = FastAPI()

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.get("/")
    def root() -> str:
        return "here"

    return TestClient(Guard(app, token=TOKEN, hosts=(HOST,), most=MOST), base_url=f"http://{HOST}")


def test_token_is_required(client):
    refused = client.get("/")
    assert refused.status_code == 401
    assert refused.json()["error"] == (
        "The address of the Studio has a token. Open the address that `neocog studio` printed."
    )
    for wrong in ("", "x", TOKEN[:-1], TOKEN + "x", "ü"):
        assert client.get("/", params={"token": wrong}).status_code == 401
    assert client.get("/", headers={"x-neocog-token": TOKEN}).status_code == 200


def test_token_in_the_address_becomes_a_cookie(client):
    answer = client.get("/", params={"token": TOKEN})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert client.get("/").status_code == 200  # the client keeps the cookie


def test_cookies_of_other_servers_don_t_hide_ours(client):
    jar = f'odd={{"a": 1}}; b@d=,,; neocog_studio_8000={TOKEN}; last'
    assert client.get("/", headers={"cookie": jar}).status_code == 200
    assert client.get("/", headers={"cookie": f"neocog_studio_9000={TOKEN}"}).status_code == 401


def test_two_studios_of_a_machine_have_their_own_cookies():
    names = {Guard(FastAPI(), token="t", hosts=(f"127.0.0.1:{port}", f"localhost:{port}")).cookie for port in (1, 2)}
    assert names == {"neocog_studio_1", "neocog_studio_2"}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1.evil.example:8000", ""])
def test_name_that_points_here_is_refused(client, host):
    refused = client.get("/", headers={"host": host, "x-neocog-token": TOKEN})
    assert refused.status_code == 403
    assert refused.json()["error"] == f"The Studio answers only at its own address. Received: Host {host!r}."


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:8001"])
def test_other_origin_is_refused(client, origin):
    for ask in (client.get, client.post, client.options):
        refused = ask("/", headers={"origin": origin, "x-neocog-token": TOKEN})
        assert refused.status_code == 403
        assert refused.json()["error"] == f"Another page may not ask the Studio. Received: Origin {origin!r}."
    assert client.get("/", headers={"origin": f"http://{HOST}", "x-neocog-token": TOKEN}).status_code == 200


def test_other_page_may_link_here_and_embed_nothing(client):
    known = {"x-neocog-token": TOKEN}
    for site in ("cross-site", "same-site"):
        embedded = client.get("/", headers=known | {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
        assert embedded.status_code == 403
        assert embedded.json()["error"] == "Another page may not embed parts of the Studio."
        followed = client.get("/", headers=known | {"sec-fetch-site": site, "sec-fetch-mode": "navigate"})
        assert followed.status_code == 200


def test_person_gets_the_reason_as_a_page(client):
    refused = client.get("/", headers={"accept": "text/html,*/*", "host": "<b>"})
    assert refused.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;" in refused.text and "<b>" not in refused.text


def test_body_that_is_too_large_is_refused(client):
    known = {"x-neocog-token": TOKEN}
    assert client.post("/length", content=b"x" * MOST, headers=known).json() == MOST
    refused = client.post("/length", content=b"x" * (MOST + 1), headers=known)
    assert refused.status_code == 413
    assert refused.json()["error"] == "At most 0.000954 MB may be sent at once."
    false = client.post("/length", content=b"x", headers=known | {"content-length": "many"})
    assert (false.status_code, false.json()["error"]) == (400, "Content-Length is a number. Received: 'many'.")


def test_body_without_a_length_is_cut_off(client):
    parts = (b"x" * 400 for _ in range(50))
    refused = client.post("/length", content=parts, headers={"x-neocog-token": TOKEN})
    assert refused.status_code == 413
    assert "may be sent at once" in refused.json()["error"]


def test_body_is_not_received_beyond_the_limit():
    """Whatever the application does with what it gets, no more is read than may be sent."""
    taken, sent = [], []

    async def greedy(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        raise OSError("gone")

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": b"x" * 400, "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"host", HOST.encode()), (b"x-neocog-token", TOKEN.encode())]}
    asyncio.run(Guard(greedy, token=TOKEN, hosts=(HOST,), most=MOST)(scope, receive, send))
    assert len(taken) == 3
    assert [message.get("status") for message in sent] == [413, None]
    assert json.loads(sent[1]["body"])["error"]


def test_answers_keep_the_page_to_itself():
    answer = client_of().get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


def test_web_socket_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(FastAPI(), token=TOKEN, hosts=(HOST,))({"type": "websocket", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_tokens_are_long_and_differ():
    first, second = new_token(), new_token()
    assert first != second and len(first) >= 43
