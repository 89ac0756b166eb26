"""A plain FastAPI and torch app, as one writes it by hand for one network.

    python -m serve_apps.plain BUNDLE --port 8000 [--backend eager] [--style thread|loop]

`thread` is an endpoint that FastAPI runs in its pool of threads, `loop` one that computes in the event loop.
"""

import argparse
from typing import Any

import uvicorn
from fastapi import FastAPI, UploadFile

from serve_apps.network import ServedNetwork


def build_app(network: ServedNetwork, style: str) -> FastAPI:
    """The app, with the one endpoint in this style."""
    app = FastAPI()

    def in_thread(file: UploadFile) -> dict[str, Any]:
        return network.answer(network.scores(network.decode(file.file.read())[None])[0])

    async def in_loop(file: UploadFile) -> dict[str, Any]:
        return network.answer(network.scores(network.decode(await file.read())[None])[0])

    app.post("/predict")(in_thread if style == "thread" else in_loop)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--style", choices=("thread", "loop"), default="thread")
    given = parser.parse_args()
    app = build_app(ServedNetwork(given.bundle, given.backend), given.style)
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
