"""The page of an explanation: complete, self-contained, and readable by everyone."""

import re
import shutil

import pytest
import torch

import neocog
from neocog.explaining.page import strongest, view_text
from tests.support.small_models import MODELS, spot_masks

NAME = "scans/<b>one</b> & two.png"


@pytest.fixture(scope="module")
def explained():
    predictor, one = MODELS["image classification"]()
    return neocog.explain(
        predictor, one, target="two", methods=["gradient", "integrated"], layer="stem.0", channel=1, name=NAME
    )


@pytest.fixture(scope="module")
def text():
    predictor, one = MODELS["words"]()
    return neocog.explain(predictor, one, methods=["integrated"], twin=False)


def test_page_names_target_scale_twin_and_completeness(explained):
    page = explained.to_html()
    first, second = explained.numbers["methods"]
    assert f"<dd>{first['scale']:.3g}<small>" in page
    assert f"{second['completeness_error']:.2%}" in page
    assert f"{first['twin_similarity']:.2f}<small>rank correlation" in page
    assert first["reading"][1:] in page
    assert "<dt>target</dt><dd>two</dd>" in page
    for module in explained.twins["gradient"].names:
        assert f"<td>{module}</td>" in page
    assert 'alt="kernel for input channel 0"' in page


def test_page_loads_nothing_and_escapes_names(explained):
    page = explained.to_html()
    assert "<b>one</b>" not in page and "&lt;b&gt;one&lt;/b&gt; &amp; two.png" in page
    addresses = re.findall(r'(?:src|href|xlink:href)="([^"]*)"', page)
    assert addresses and all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\((?!#)|<script|<link", page)


def test_every_figure_has_words(explained):
    page = explained.to_html()
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == len(explained.panels)
    for figure in figures:
        assert re.search(r'role="img" aria-label="[^"]{20,}"', figure) and "<figcaption>" in figure


def test_words_of_a_text_are_words_on_the_page(text):
    page = text.to_html()
    (panel,) = [panel for panel in text.panels.values() if panel.name == "integrated"]
    for token, value in strongest(panel):
        assert f'">{token}</span>' in page and f">{value:.3g}</td>" in page
    assert "<svg" not in page


def test_tile_is_named():
    predictor, image = spot_masks((90, 200), ((70, 150),))
    found = neocog.explain(predictor, image, target="spot@70,150", methods="gradient", twin=False)
    top, left = (int(start) for start in found.sample.view.origin)
    assert view_text(found) == f"a tile of the input that begins at row {top}, column {left}"
    assert view_text(found) in found.to_html()
    assert found.numbers["view"]["origin"] == [top, left]


def test_empty_map_is_said_to_be_empty():
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1, bias=False), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with torch.no_grad():
        net[0].weight.fill_(1e-5)
    found = neocog.explain(net, torch.ones(1, 1, 8, 8), methods="gradient")
    assert found.panels["gradient"].heat.empty
    assert '<p class="badge none">Empty: this map says nothing about the target</p>' in found.to_html()
    assert "everywhere: drawn empty" in found.to_html() and "Empty: the largest number is" in found.to_html()


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


CONTRAST = """() => {
  const rgba = c => c.match(/[\\d.]+/g).map(Number);
  const light = v => { const w = v.slice(0, 3).map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * w[0] + .7152 * w[1] + .0722 * w[2] };
  const ground = e => { const layers = [];
    for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor);
      layers.push(c); if (c.length < 4 || c[3] == 1) break }
    return layers.reverse().reduce((under, over) => over.slice(0, 3).map((x, i) =>
      (over[3] ?? 1) * x + (1 - (over[3] ?? 1)) * under[i]), [255, 255, 255]) };
  return [...document.querySelectorAll('h1,h2,p,dt,dd,td,th,li,a,summary,figcaption,footer,.words span')].map(e => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.className + e.tagName + e.textContent.slice(0, 20)] })
    .sort((x, y) => x[0] - y[0])[0] }"""


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (400, "light"), (1280, "dark")])
def test_page_fits_any_width_and_both_schemes(browser, explained, text, width, scheme, tmp_path):
    for name, found in (("image", explained), ("text", text)):
        path = tmp_path / f"{name}.html"
        path.write_text(found.to_html())
        opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        asked, faults = [], []
        opened.on("request", lambda request, asked=asked: asked.append(request.url))
        opened.on("console", lambda message, faults=faults: faults.append(message.text))
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(18, 22, 26)" if scheme == "dark" else "rgb(244, 246, 248)")
        ratio, where = opened.evaluate(CONTRAST)
        assert ratio >= 4.5, where
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement.tagName") in ("A", "SUMMARY")
        assert all(url.startswith(("file:", "data:")) for url in asked)
        assert faults == []
        opened.close()
