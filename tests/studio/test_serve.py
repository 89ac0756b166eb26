"""The server: its address, two beside each other, what it takes and what it leaves alone."""

import urllib.error
import urllib.request

import pytest

from neocog.errors import ConfigError
from neocog.studio.serve import announce, listen
from tests.support.studio import serving


def read(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def test_two_studios_run_beside_each_other_with_their_own_tokens():
    with serving(token="first") as one, serving(token="second") as other:
        assert one != other
        assert all("Neocog Studio" in read(address) for address in (one, other))
        for address, token in ((one, "second"), (other, "first")):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                read(f"{address.partition('?')[0]}?token={token}")


def test_server_listens_on_this_machine_alone():
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        port = listening.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"The Studio needs a free port\. Received: --port {port}: Address already"
        ):
            listen(port)


def test_address_is_said_before_the_page_is_opened(capsys, monkeypatch):
    done = []
    monkeypatch.setattr("webbrowser.open", lambda address: done.append(("browser", address)))
    announce("http://a/?token=t", True, lambda address: done.append(("ready", address)))
    assert done == [("ready", "http://a/?token=t"), ("browser", "http://a/?token=t")]
    assert capsys.readouterr().err == "Studio: http://a/?token=t\nCtrl-C ends it.\n"
    announce("http://a/?token=t", False, None)
    assert len(done) == 2
