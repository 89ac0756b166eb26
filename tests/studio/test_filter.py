"""Filter: a channel's kernel, patches, projection, synthesised input, and how its layer follows changes."""

import threading
import time

import numpy as np
import pytest

from neocog.explaining.equivariance import measure
from neocog.explaining.patches import top_patches
from neocog.explaining.synthesis import synthesise
from neocog.studio import channel_work
from tests.support.studio import axe_faults, chromium, open_page, serving
from tests.support.studio_networks import asker, run_code

LAYERS = {
    "lenet": "stages.0.0",
    "unet": "stem.0",
    "detector": "stem.0:conv2d",
    "signal": "stem.0.0.1",
    "text": "stages.0.0.1",
}


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("kind", LAYERS)
def test_kernel_is_the_weight_of_its_channel(kind):
    model = asker().opened(kind).predictor.model
    meta, tensors = asker().get("/api/filter/kernel", network=kind, layer=LAYERS[kind], channel=1)
    weight = model.get_submodule(LAYERS[kind].partition(":")[0]).weight
    assert np.array_equal(tensors["kernel"], weight[1].detach()) and meta["channels"] == len(weight)
    _, names = run_code(meta["code"], asker().folder)
    assert np.array_equal(names["kernel"].detach(), tensors["kernel"])


@pytest.mark.parametrize("kind", ["lenet", "unet", "detector", "signal", "text", "sound", "go"])
def test_projection_of_the_strongest_unit_is_what_its_code_makes(kind):
    key = asker().input(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = [each for each in layers if each["convolution"]][1]["name"]
    meta, tensors = asker().get("/api/filter/deconvnet", network=kind, layer=layer, channel=2, input=key)
    _, maps = asker().get("/api/image/maps", network=kind, input=key, layer=layer)
    assert meta["value"] == pytest.approx(maps["maps"][2].max(), abs=1e-5)
    assert maps["maps"][2][tuple(meta["place"])] == pytest.approx(meta["value"], abs=1e-5)
    marks = asker().get("/api/anatomy/unit", network=kind, layer=layer, unit=",".join(map(str, meta["place"])))[1]
    assert not np.abs(tensors["back"]).sum(0)[marks["support"] == 0].any()
    if kind == "lenet":
        _, names = run_code(meta["code"], asker().folder)
        assert np.allclose(names["back"].detach(), tensors["back"], atol=1e-6)


def test_patches_are_the_strongest_of_one_pass(monkeypatch):
    monkeypatch.setattr(channel_work, "AT_ONCE", 10)
    opened = asker().opened("lenet")
    asked = {"network": "lenet", "layer": "stages.0.0", "channel": 3, "most": 30}
    job = asker().job(asker().post("/api/filter/patches", json=asked))
    assert job["state"] == "done" and job["share"] == 1
    meta, tensors = asker().get("/api/filter/result", job=job["key"])
    layer, source = opened.explainer.layers["stages.0.0"], asker().studio.source
    expected = top_patches(opened.explainer, source, layer, channels=[3], indices=np.arange(30))[3]
    assert [each["key"] for each in meta["patches"]] == [patch.key for patch in expected]
    assert [each["value"] for each in meta["patches"]] == pytest.approx([patch.value for patch in expected], rel=1e-4)
    for k, patch in enumerate(expected):
        assert tensors[str(k)].tolist() == patch.pixels.tolist()
    _, names = run_code(meta["code"], asker().folder)
    assert [patch.key for patch in names["found"][3]] == [each["key"] for each in meta["patches"]]
    assert meta["searched"] == 30 and meta["title"] == "scenes"
    assert meta["facts"] == str(names["found"].facts) and meta["dead"] == list(names["found"].facts.dead)
    assert meta["fault"] == names["found"].facts.of(3)


def test_search_stops_when_it_is_asked_to(monkeypatch):
    asker().opened("lenet")
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args, **options):
        begun.set()
        assert go_on.wait(30)
        return {0: []}

    monkeypatch.setattr(channel_work, "AT_ONCE", 2)
    monkeypatch.setattr(channel_work, "top_patches", slow)
    job = asker().post("/api/filter/patches", json={"network": "lenet", "layer": "stem.0", "most": 35})
    assert begun.wait(30)
    assert asker().client.delete("/api/filter/job", params={"job": job["key"]}).status_code == 200
    go_on.set()
    assert asker().job(job)["state"] == "stopped"
    assert "This has not been computed." in asker().get("/api/filter/result", 400, job=job["key"])["error"]


@pytest.mark.parametrize("kind", ["lenet", "signal", "sound"])
def test_synthesised_input_is_that_of_the_engine(kind):
    opened = asker().opened(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = [each for each in layers if each["convolution"]][1]["name"]
    asked = {"network": kind, "layer": layer, "channel": 2, "steps": 4}
    job = asker().job(asker().post("/api/filter/synthesised", json=asked))
    assert job["state"] == "done", job
    meta, tensors = asker().get("/api/filter/result", job=job["key"])
    expected = synthesise(opened.explainer, (layer, 2), steps=4)
    assert meta["after"] == pytest.approx(expected.value_after, rel=1e-4) and meta["after"] > meta["before"]
    decoded = expected.decoded.float()
    (drawn,) = tensors.values()
    assert np.allclose(drawn, decoded[0].T.flip(0) if kind == "sound" else decoded, atol=1e-3 * decoded.abs().max())
    if kind == "lenet":
        _, names = run_code(meta["code"], asker().folder)
        assert names["found"].value_after == pytest.approx(meta["after"], rel=1e-4)


def test_synthesis_tells_how_far_it_is_and_stops():
    asker().opened("lenet")
    job = asker().post("/api/filter/synthesised", json={"network": "lenet", "layer": "stem.0", "steps": 2048})
    running = asker().studio.jobs.get(job["key"])
    while running.share == 0 and not running.ended.is_set():
        time.sleep(0.01)
    assert running.label == "synthesis" and 0 < running.share < 1
    asker().client.delete("/api/filter/job", params={"job": job["key"]})
    assert asker().job(job)["state"] == "stopped" and not asker().studio.lock.locked()


@pytest.mark.parametrize("kind", ["text", "go"])
def test_texts_and_boards_are_not_synthesised(kind):
    asker().opened(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = next(each["name"] for each in layers if each["convolution"])
    job = asker().job(asker().post("/api/filter/synthesised", json={"network": kind, "layer": layer, "steps": 2}))
    assert job["state"] == "failed" and "Inputs can be synthesised for images, signals and sounds" in job["error"]
    assert asker().get("/api/filter/changes", network=kind) == {"changes": []}


@pytest.mark.parametrize(("kind", "change"), [("lenet", "shift"), ("signal", "noise"), ("sound", "shift")])
def test_curve_of_a_change_is_that_of_the_engine(kind, change):
    key, opened = asker().input(kind), asker().opened(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = next(each["name"] for each in layers if each["convolution"])
    assert change in asker().get("/api/filter/changes", network=kind)["changes"]
    asked = {"network": kind, "layer": layer, "input": key, "change": change}
    meta, tensors = asker().get("/api/filter/equivariance", **asked)
    inputs = asker().studio.input(key).inputs
    expected = measure(opened.explainer, inputs, change, layers=[opened.explainer.layers[layer]])
    assert tensors["amounts"].tolist() == list(expected.amounts) and meta["readings"] == list(expected.readings)
    assert np.allclose(tensors["invariance"], expected.invariance[0], equal_nan=True)
    assert np.allclose(tensors["equivariance"], expected.equivariance[0], equal_nan=True)
    if kind == "lenet":
        _, names = run_code(meta["code"], asker().folder)
        assert np.allclose(names["found"].invariance[0], tensors["invariance"])


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("kernel", {"layer": "stem.0", "channel": 99}, "stem.0 has the channels 0 to 5."),
        ("kernel", {"layer": "stem.1"}, "Only convolutions and dense layers have kernels."),
        ("equivariance", {"layer": "stem.0", "change": "tilt"}, "Received: 'tilt'"),
        ("result", {"job": "none"}, "This has not been computed."),
    ],
)
def test_what_is_not_there_is_refused(path, asked, said):
    key = asker().input("lenet")
    assert said in asker().get(f"/api/filter/{path}", 400, network="lenet", input=key, **asked)["error"]


def test_page_shows_kernel_patches_synthesis_projection_and_curve(browser):
    for kind in ("lenet", "text"):
        asker().opened(kind)
    with serving(asker().studio) as address:
        watched = open_page(browser, f"{address}#/filter?network=lenet&layer=stem.0")
        page = watched.page
        page.get_by_label("Search the first").fill("20")
        page.get_by_role("button", name="Search", exact=True).click()
        page.locator("ol.patches li").nth(8).wait_for()
        page.get_by_role("spinbutton", name="Steps").fill("3")
        page.get_by_role("button", name="Make it").click()
        page.get_by_text("Mean of the channel:").wait_for()
        page.get_by_role("button", name="Take it").click()
        page.get_by_text("sent back by the deconvnet").wait_for()
        page.get_by_text("relative distance").or_(page.locator(".plot canvas")).first.wait_for()
        assert axe_faults(page) == []
        page.get_by_role("button", name="Next").click()
        page.get_by_label("Channel, to 5").and_(page.locator("input")).wait_for()
        assert "channel=1" in page.evaluate("new Promise(done => setTimeout(() => done(location.hash), 300))")
        page.set_viewport_size({"width": 390, "height": 800})
        page.evaluate("neocogGo('filter', {network: 'text'})")
        page.get_by_text("Texts and boards can't change a little at a time").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert watched.faults == [] and watched.strangers(address) == []
        page.close()
