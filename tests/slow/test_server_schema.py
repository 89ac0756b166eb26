"""A long run of schemathesis on a server of every kind of model."""

import pytest

from neocog.serving.settings import ServeSettings
from tests.support.schemas import find_differences
from tests.support.served import repository_of, running
from tests.support.small_models import MODELS


@pytest.mark.slow
def test_server_of_every_kind_does_what_its_document_says():
    settings = ServeSettings()
    kinds = {name.replace(" ", "-"): name for name in MODELS}
    with running(repository_of(settings, **kinds), settings) as server:
        cases, differences = find_differences(server, examples=60, stateful=True)
    assert not differences, "\n".join(differences)
    assert cases > 3000
