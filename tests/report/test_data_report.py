import io
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from neocog.data import Record
from neocog.doctor import check
from neocog.modalities.draw import draw_curves, thumbnail
from neocog.modalities.table import MODALITIES
from neocog.report.data_report import write_data_report


def draw(modality, payload, decoded=None):
    return MODALITIES[modality].draw(payload, decoded, "k")


def smooth(seed, height=120, width=160):
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(rough).resize((width, height), Image.BICUBIC)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A data set with many faults and nasty names."""
    root, seed = tmp_path_factory.mktemp("data") / "pets & <b>co", 0
    for split, count in (("train", 12), ("test", 4)):
        for name in ("cat", "<script>x"):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                smooth(seed := seed + 1).save(root / split / name / f"{i}.png")
    cat = root / "train" / "cat"
    for i in range(9):
        (cat / f"empty{i}.png").write_bytes(b"")
    nasty = [
        b"<script>alert(1)</script>.png".replace(b"/", b"_"),
        b'line\nbreak".png',
        b"caf\xe9.png",
        b"' onerror='x.png",
    ]
    for i, name in enumerate(nasty):
        smooth(100 + i).save(cat / "a.jpg", format="png")
        (cat / "a.jpg").rename(cat / os.fsdecode(name.replace(b".png", b".jpg")))
    shutil.copy(cat / "0.png", root / "test" / "cat" / "copy.png")
    smooth(7, 100, 900).save(cat / "strip.png")
    shutil.copy(cat / "1.png", root / "train" / "<script>x" / "wrong.png")
    return root


@pytest.fixture(scope="module")
def page(pets, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_data_report(path, check(pets))
    return path


class Tags(HTMLParser):
    """What a browser would see as tags, their attributes, and text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_page_loads_nothing_and_escapes_every_name(page):
    text = page.read_text(encoding="utf-8")
    seen = Tags(text)
    assert {tag for tag, _ in seen.tags}.isdisjoint({"script", "iframe", "link", "object"})
    addresses = [attrs[name] for _, attrs in seen.tags for name in ("src", "href") if name in attrs]
    assert addresses and all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not any(name.startswith("on") for _, attrs in seen.tags for name in attrs)
    assert "<b>co" not in text and "<script" not in text
    words = "".join(seen.words)
    for name in (
        r"line\nbreak",
        r"caf\udce9.jpg",
        "<script>alert(1)<_script>.jpg",
        "' onerror='x.jpg",
        "pets & <b>co",
    ):
        assert name in words, name
    assert not re.search(r"url\(|@import", text)


def test_page_shows_the_findings(page, pets):
    seen = Tags(page.read_text(encoding="utf-8"))
    words = " ".join(" ".join(seen.words).split())
    report = check(pets)
    articles = [attrs["id"] for tag, attrs in seen.tags if tag == "article"]
    assert articles == [finding.kind for finding in report.findings]
    for finding in report.findings:
        assert finding.sentence[1:] in words
        assert finding.remedy in words
    assert "The first 6 of 9." in words
    assert words.count("nothing to show") == 0  # what can't be shown at all is a list
    assert words.count("train/cat/empty") == 6
    pictures = [attrs for tag, attrs in seen.tags if tag == "img"]
    assert all(attrs["alt"] for attrs in pictures)
    across = next(f for f in report.findings if f.kind == "duplicate-across-splits").examples[0]
    assert {report.source.key(i) for i in across.records} <= {attrs["alt"] for attrs in pictures}


def test_clean_data_set_has_no_findings(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    np.savez(tmp_path / "a.npz", x=x, y=y)
    write_data_report(tmp_path / "page.html", check(tmp_path / "a.npz"))
    text = (tmp_path / "page.html").read_text()
    assert "No findings." in text
    assert "<article" not in text


def test_data_set_that_can_not_be_opened_has_a_page_too(tmp_path):
    for name in ("val", "valid"):
        (tmp_path / "d" / name / "a").mkdir(parents=True)
        smooth(1).save(tmp_path / "d" / name / "a" / "1.png")
    write_data_report(tmp_path / "page.html", check(tmp_path / "d"))
    text = (tmp_path / "page.html").read_text()
    assert "The data set could not be opened." in text
    assert "both mean val" in text


class One:
    """A source of one record."""

    def __init__(self, payload, modality):
        self.payload, self.modality = payload, modality

    def key(self, index):
        return "k"

    def read(self, index):
        return Record("k", self.payload, 0)


def test_every_kind_of_data_is_drawn():
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(5000) / 9), 8000, format="WAV")
    assert len(draw("audio", buffer.getvalue()).curves) == 1
    assert len(draw("signal", np.random.default_rng(0).normal(size=(2, 50))).curves) == 2
    assert draw("text", "x" * 500).text == "x" * 240 + "..."
    assert draw("board", np.zeros((3, 9, 9), np.uint8)).address.startswith("data:image/svg+xml")
    board = draw("board", b"", torch.zeros(17, 9, 9, dtype=torch.uint8)).address
    assert board == draw("board", np.zeros((3, 9, 9), np.uint8)).address
    assert draw("audio", b"", torch.rand(1, 40, 64)).address.startswith("data:image/png")
    assert len(draw("audio", b"", torch.rand(1, 400)).curves) == 1
    assert len(draw("signal", b"", torch.rand(9, 30)).curves) == 8
    assert draw("text", "x" * 700, torch.zeros(9)).text == "x" * 600 + "..."
    assert draw("image", b"", torch.zeros(5, 9, 9)).address.startswith("data:image/png")
    for pixels in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 5), np.uint16), np.zeros((2, 900, 2), np.uint8)):
        assert draw("image", pixels).address.startswith("data:image/png")
    assert thumbnail(np.full((400, 800, 3), 65535, np.uint16)) == thumbnail(np.full((400, 800, 3), 255, np.uint8))


def test_curve_stays_within_its_box_and_leaves_out_nan():
    values = np.random.default_rng(0).normal(size=1000)
    values[3:200] = np.nan
    values[500] = np.inf
    points = [tuple(map(float, point.split(","))) for point in draw_curves(values[None])[0].split()]
    assert all(0 <= x <= 100 and 1 <= y <= 39 for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert {1.0, 39.0} <= {y for _, y in points}
    assert draw_curves(np.full((1, 5), np.nan)) == ()
    assert draw_curves(np.zeros((1, 0))) == ()


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
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
    .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const ground = e => { while (e) { const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(c)) return c; e = e.parentElement } return 'rgb(255, 255, 255)' };
  return [...document.querySelectorAll('h1,h2,h3,p,dt,dd,td,th,li,a,.badge,.detail,.none,footer,blockquote')].map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.className + e.tagName] }).sort((x, y) => x[0] - y[0])[0] }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 400, 1280])
def test_page_fits_any_width_and_a_dark_scheme(browser, page, width, scheme):
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked, faults = [], []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("dialog", lambda dialog: faults.append(dialog.message))
    opened.goto(page.as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    ratio, where = opened.evaluate(CONTRAST)
    assert ratio >= 4.5, where
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert faults == []
    opened.close()
