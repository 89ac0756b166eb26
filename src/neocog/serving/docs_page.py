"""The page that shows the server to people; nothing of it comes from elsewhere."""

from pathlib import Path

from neocog.serving.exchange import Answer, Call, RequestError

__all__ = ["page", "static_file"]

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
}
FILES = ("docs.css", "docs.js")
ALLOWED = (
    b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    b"form-action 'none'"
)
POLICY = (
    (b"content-security-policy", ALLOWED),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)


async def page(call: Call) -> Answer:
    return answer_file("docs.html")


async def static_file(call: Call) -> Answer:
    """A file of the page. Raises RequestError for another one."""
    name = call.names["name"]
    if name not in FILES:
        raise RequestError("The file must be one of the page.", received=repr(name[:60]), status=404)
    return answer_file(name)


def answer_file(name: str) -> Answer:
    path = STATIC / name
    return Answer(200, path.read_bytes(), KINDS[path.suffix], POLICY)
