import re
import shutil

import numpy as np
import pytest
from torch import nn

from neocog.evaluation import evaluate_classifier
from neocog.modalities.draw import Drawing, image_address
from neocog.report import Curves, Report, write_report
from neocog.report.images import filter_images
from neocog.report.plots import draw_history


@pytest.fixture(scope="session")
def page(finished_run):
    return finished_run.report.read_text()


def test_page_loads_nothing(page):
    addresses = re.findall(r'(?:src|href)="([^"]{0,60})', page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"<script|@import|url\(\s*['\"]?https?:", page)


def test_page_shows_the_run(page, finished_run):
    evaluation = finished_run.evaluation
    assert f"{100 * evaluation.top1.value:.2f}<small>%" in page
    assert "(Wilson)" in page
    for part in ("curves", "confusion", "classes", "calibration", "errors", "filters", "config"):
        assert f'<section id="{part}">' in page
    for mistake in evaluation.mistakes:
        assert mistake.key in page
    assert page.count("<figure><img") == len(evaluation.mistakes)
    assert "<code>optimizer.lr</code>" in page
    assert "chosen automatically: the network was made for 32x32" in page
    assert "torch 2." in page


def test_confusion_matrix_holds_every_count(page, finished_run):
    cells = re.findall(r'title="(\d+) of (\d+) (\S+) predicted as (\S+)"', page)
    assert len(cells) == 100
    for count, total, truth, prediction in cells:
        row = finished_run.evaluation.confusion[int(truth)]
        assert (int(count), int(total)) == (row[int(prediction)], sum(row))


def report_of(num_classes, names=None):
    targets = np.arange(60) % num_classes
    logits = np.random.default_rng(0).normal(size=(60, num_classes)) + 4 * np.eye(num_classes)[targets]
    classes = names or tuple(f"class {k}" for k in range(num_classes))
    evaluation = evaluate_classifier(logits, targets, classes, [f"k{i}" for i in range(60)], data="d", split="test")
    row = {"lr": 0.1, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
    return Report(
        name="r",
        subtitle="s",
        evaluation=evaluation,
        curves=Curves(
            progress_metric="accuracy",
            progress_percent=True,
            history=[{"epoch": 1, **row, "seconds": 1.0}],
            best_epoch=0,
            rates=[(0.0, 0.1)],
            stopped_early=True,
        ),
        model=nn.Linear(2, 2),
        model_facts={},
        drawings=dict.fromkeys((m.key for m in evaluation.mistakes), Drawing("data:image/png;base64,")),
        config=[("a.b", 1, "default")],
        environment={"torch": "2"},
        notes=(),
    )


def test_confusion_matrix_of_many_classes_is_a_heat_map(tmp_path):
    write_report(tmp_path / "r.html", report_of(30))
    page = (tmp_path / "r.html").read_text()
    assert '<table class="confusion">' not in page
    assert '<section id="filters">' not in page
    assert "<h2>Confusion matrix</h2>" in page and "true class" in page
    assert "stopped early" in page


def test_names_are_escaped(tmp_path):
    write_report(tmp_path / "r.html", report_of(2, ("<script>alert(1)</script>", "b")))
    assert "<script>" not in (tmp_path / "r.html").read_text()


def test_images_of_8_and_16_bits_and_filters():
    assert image_address(np.zeros((1, 4, 4), np.uint8)).startswith("data:image/png;base64,")
    assert image_address(np.zeros((3, 4, 4), np.uint8)) != image_address(np.full((3, 4, 4), 65535, np.uint16))
    name, filters = filter_images(nn.Sequential(nn.ReLU(), nn.Conv2d(3, 5, 3)))
    assert (name, len(filters)) == ("1", 5)
    assert filter_images(nn.Linear(2, 2)) == ("", [])


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


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_page_fits_any_width(browser, finished_run, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked, faults = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.goto(finished_run.report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.locator("svg").count() >= 4
    assert page.locator(".big").inner_text().startswith(f"{100 * finished_run.evaluation.top1.value:.2f}")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert faults == []
    page.close()


def test_loss_curve_has_readable_ticks_over_a_small_range():
    history = [{"epoch": k, "train_loss": 0.69 - 0.01 * k, "val_loss": 0.67} for k in range(3)]
    assert ">0.6800<" in draw_history(history, "loss", 0, log=True)
    steep = [{"epoch": k, "train_loss": 10.0**-k, "val_loss": 10.0**-k} for k in range(3)]
    assert ">0.1<" in draw_history(steep, "loss", 0, log=True)
