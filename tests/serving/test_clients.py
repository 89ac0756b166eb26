"""The clients in `examples/clients`, run as their users run them, against a server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neocog.bundle import load
from neocog.serving.repository import Repository
from neocog.serving.served import Served
from neocog.serving.settings import ServeSettings
from tests.support.served import Running, running
from tests.support.serving import digits, small_bundle

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
NODE, CURL = shutil.which("node"), shutil.which("curl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    predictor, settings = load(small_bundle(folder / "digits.neocog")), ServeSettings()
    with running(Repository(Served(predictor, settings, name="digits")), settings) as client:
        yield client


@pytest.fixture(scope="module")
def image(folder: Path) -> Path:
    path = folder / "a digit.png"
    Image.fromarray(np.asarray(digits()[0])).save(path)
    return path


@pytest.fixture(scope="module")
def expected(folder: Path, image: Path) -> str:
    (prediction,) = load(folder / "digits.neocog").predict([image])
    return f"{prediction.to_json()['class']} ({prediction.to_json()['probability']:.1%})"


def ask(*command: str, url: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "NEOCOG_URL": url}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_python_client_prints_answers_and_reasons(server: Running, image: Path, expected: str) -> None:
    command = (sys.executable, str(CLIENTS / "client.py"), "--url", str(server.base_url))
    found = ask(*command, str(image), "--model", "digits", url="")
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{image}: {expected}\n", "")
    found = ask(*command, __file__, "nowhere.png", str(image), url="")
    assert found.returncode == 1 and expected in found.stdout
    assert "400: Images must be PNG" in found.stderr and "nowhere.png: [Errno 2]" in found.stderr


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_javascript_client_prints_answers_and_reasons(server: Running, image: Path, expected: str) -> None:
    assert NODE is not None
    found = ask(NODE, str(CLIENTS / "client.mjs"), str(image), __file__, url=str(server.base_url).rstrip("/"))
    assert found.returncode == 1 and found.stdout == f"{image}: {expected}\n"
    assert "400: Images must be PNG" in found.stderr


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
def test_shell_client_prints_answers_and_reasons(server: Running, image: Path, expected: str) -> None:
    url = str(server.base_url).rstrip("/")
    found = ask("sh", str(CLIENTS / "client.sh"), str(image), url=url)
    assert found.returncode == 0 and f'"class":"{expected.partition(" ")[0]}"' in found.stdout
    found = ask("sh", str(CLIENTS / "client.sh"), __file__, url=url)
    assert found.returncode == 22 and '{"error":"Images must be PNG' in found.stdout
