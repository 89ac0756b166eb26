"""Ask a Neocog server about files, with the standard library alone.

    neocog serve model.neocog
    python client.py photo.jpg [MORE ...] [--url http://127.0.0.1:8000] [--model NAME]

Prints a line for each file. If the server asks for a key, set NEOCOG_API_KEY.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote


class ServerError(Exception):
    """The server's reason for not answering."""


def predict(path: Path, url: str, model: str = "", key: str = "") -> dict[str, Any]:
    """The answer about a file: class and probability, values, boxes, or a mask. Raises ServerError, or OSError."""
    route = f"/models/{quote(model)}/predict" if model else "/predict"
    headers = {"Content-Type": "application/octet-stream"}  # the server looks at the content, not at its name
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url.rstrip("/") + route, path.read_bytes(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:  # 4xx and 5xx: the body says why; 503 says in Retry-After when to try again
        body = error.read()
        try:
            reason = json.loads(body)["error"]
        except (ValueError, KeyError, TypeError):
            reason = body.decode(errors="replace") or error.reason
        raise ServerError(f"{error.code}: {reason}") from error


def shown(answer: dict[str, Any]) -> str:
    """An answer in a line."""
    if "class" in answer:
        return f"{answer['class']} ({answer['probability']:.1%})"
    if "objects" in answer:
        found = [f"{one['label']} ({one['score']:.1%}) at {one['box']}" for one in answer["objects"]]
        return ", ".join(found) or "nothing"
    hidden = ("model", "version", "name", "mask", "masks", "classes")  # masks are PNG files in base64
    return json.dumps({key: value for key, value in answer.items() if key not in hidden})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", default="", help="by default the first one that is served")
    given = parser.parse_args()
    failed = False
    for path in given.files:
        try:
            print(f"{path}: {shown(predict(path, given.url, given.model, os.environ.get('NEOCOG_API_KEY', '')))}")
        except (ServerError, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
