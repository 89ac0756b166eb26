"""The page of a server in a browser: it lists the models, and draws the answer for a file."""

import io

import numpy as np
import pytest
from PIL import Image

from neocog.serving.settings import ServeSettings
from tests.support.served import SAMPLES, repository_of, running
from tests.support.studio import chromium


def test_visitor_sees_the_models_and_the_answer_for_a_file():
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    settings = ServeSettings()
    repository = repository_of(settings, masks="segmentation", texts="characters")
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(SAMPLES["masks"])).save(buffer, "PNG")
    with running(repository, settings) as server, chromium() as browser:
        page, asked, faults = browser.new_page(viewport={"width": 390, "height": 800}), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{server.base_url}/docs")
        page.wait_for_selector("#operations details")
        assert page.inner_text("#about") == "2 models over HTTP."
        assert "segmentation" in page.inner_text("#models") and page.is_hidden("#key-field")
        page.set_input_files("#file", {"name": "spots.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
        page.click("#predict")
        page.wait_for_selector("#bars .bar")
        assert "ground" in page.inner_text("#bars") and "spot" in page.inner_text("#bars")
        colours = page.evaluate(
            "[...document.querySelector('#picture').getContext('2d').getImageData(10, 20, 1, 1).data]"
        )
        assert colours[0] > colours[1] + 30, "the mask is drawn in red over a grey spot"
        assert not axe.Axe().run(page).response["violations"]
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.select_option("#model", "texts")
        page.fill("#text", "a quick fox")
        page.click("#predict")
        page.wait_for_selector("#bars .bar:has-text('good')")
        assert not faults
        own = (str(server.base_url), "data:", "blob:")
        assert asked and all(url.startswith(own) for url in asked)
