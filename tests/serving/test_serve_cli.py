"""`neocog serve` as a user meets it before it serves."""

import subprocess
import sys
from pathlib import Path

import pytest

from neocog.cli import main


def test_help_names_what_a_server_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("--workers", "--api-key-file", "--tls-cert", "NEOCOG_API_KEY", "/v2/health/ready", "--no-drift"):
        assert words in text
    assert "--api-key " not in text, "a key on the command line can be read by every user of the machine"


def test_serving_without_its_extra_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("neocog.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.types", None)
    assert main(["serve", str(tmp_path / "a.neocog")]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Serving needs a web server." in said
    assert "Install it: pip install 'neocog[serve]'" in said


@pytest.mark.parametrize(("arguments", "sentence"), [
    ((), "A server needs a bundle. Received: none. Name a model.neocog."),
    (("a.neocog", "--workers", "0"), "workers must be at least 1. Received: 0."),
    (("a.neocog", "--port", "99999"), "port must be at most 65535. Received: 99999."),
    (("a.neocog", "--tls-cert", "c.pem"), "TLS needs a certificate and its key. Received: only a certificate."),
    (("a.neocog", "--public", "doc"), "'doc'. Did you mean 'docs'?"),
])  # fmt: skip
def test_a_mistake_is_one_clear_error(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_a_supervisor_loads_no_network_library() -> None:
    code = "import sys, neocog.serving.run\nprint([name for name in ('torch', 'scipy', 'PIL') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
