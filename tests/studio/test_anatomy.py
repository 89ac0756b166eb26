"""Anatomy: the network as it is executed, drawn from the plan, and what a unit sees of the input."""

import numpy as np
import pytest
from PIL import Image

from neocog.planning.cost import MOVES
from neocog.studio.examples import EXAMPLES, untrained
from tests.support.studio import axe_faults, chromium, open_page, serving
from tests.support.studio_networks import KINDS, asker, run_code


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_in_a_box_below_its_sources(kind):
    explainer = asker().opened(kind).explainer
    found = asker().get("/api/anatomy/network", network=kind)
    boxes, layers = found["boxes"], found["layers"]
    assert [each["name"] for each in layers] == [layer.name for layer in explainer.layers]
    assert all(source < k for k, box in enumerate(boxes) for source in box["sources"])
    assert {name for box in boxes for name in box["layers"]} == {each["name"] for each in layers}
    assert not boxes[0]["layers"] and all(box["layers"] or box["head"] in MOVES for box in boxes[1:])
    assert all(0 <= box["lane"] < found["lanes"] for box in boxes)
    assert sum(each["parameters"] for each in layers) == explainer.layers.plan.parameters
    assert dict(found["totals"])["MACs"] == f"{sum(each['macs'] for each in layers):,}"
    assert dict(found["totals"])["Parameters"] == f"{sum(p.numel() for p in explainer.model.parameters()):,}"


def test_branches_of_a_residual_network_have_lanes_of_their_own():
    found = asker().get("/api/anatomy/network", network="resnet18") if asker().opened("resnet18") else None
    joins = [box for box in found["boxes"] if len(box["sources"]) == 2]
    assert len(joins) == 8  # one for each block
    assert found["lanes"] == 2 and any(box["lane"] == 1 for box in found["boxes"])


def test_code_of_anatomy_prints_the_plan_and_its_advice():
    asker().opened("lenet")
    found = asker().get("/api/anatomy/network", network="lenet")
    printed, names = run_code(found["code"], asker().folder)
    assert found["advice"] and all(line in printed for line in found["advice"])
    assert names["plan"].parameters == asker().opened("lenet").explainer.layers.plan.parameters


def test_code_opens_an_untrained_network_of_the_lessons():
    name = next(name for name, each in EXAMPLES.items() if not each.trained)
    asker().studio.networks[name] = untrained(name, EXAMPLES[name])
    found = asker().get("/api/anatomy/network", network=name)
    _, names = run_code(found["code"], asker().folder)
    assert f"{names['plan'].parameters:,}" == dict(found["totals"])["Parameters"]
    del asker().studio.networks[name]


def test_unit_of_the_first_layer_sees_its_window():
    asker().opened("lenet")
    meta, tensors = asker().get("/api/anatomy/unit", network="lenet", layer="stem.0", unit="3,4")
    conv = asker().opened("lenet").explainer.network.get_submodule("stem.0")
    (p, _), (k, _) = conv.padding, conv.kernel_size
    expected = np.zeros((32, 32), np.uint8)
    expected[max(0, 3 - p) : 3 - p + k, max(0, 4 - p) : 4 - p + k] = 1
    assert tensors["support"].tolist() == expected.tolist()
    assert meta["box"] == [[3 - p, 2 - p + k], [4 - p, 3 - p + k]] and meta["reads"] == k * k
    assert "energy" not in tensors


@pytest.mark.parametrize("kind", ["lenet", "signal", "text", "go", "unet"])
def test_effective_field_lies_within_the_support(kind):
    key = asker().input(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = [each for each in layers if each["convolution"] and each["places"]][-1]
    unit = ",".join(str(size // 2) for size in layer["places"])
    meta, tensors = asker().get("/api/anatomy/unit", network=kind, layer=layer["name"], unit=unit, input=key)
    assert tensors["energy"].shape == tensors["support"].shape
    assert not tensors["energy"][tensors["support"] == 0].any()
    assert 0 <= meta["share"] <= 1
    printed, names = run_code(meta["code"], asker().folder)
    assert names["seen"].side_95 == meta["side_95"] and int(names["marks"].sum()) == meta["reads"]
    assert str(meta["side_95"]) in printed


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"layer": "stem.9", "unit": "0,0"}, "A layer is named as"),
        ({"layer": "stem.0", "unit": "99,0"}, "A unit is a place within"),
        ({"layer": "stem.0", "unit": "1,x"}, "A place is whole numbers from 0, with commas between them."),
        ({"layer": "stem.0", "unit": "0,0", "input": "none"}, "An input is sent before it is looked at."),
    ],
)
def test_unit_that_is_not_there_is_refused(asked, said):
    asker().opened("lenet")
    assert said in asker().get("/api/anatomy/unit", status=400, network="lenet", **asked)["error"]


def test_input_of_another_network_is_refused():
    key = asker().input("signal")
    asker().opened("lenet")
    found = asker().get("/api/anatomy/unit", 400, network="lenet", layer="stem.0", unit="0,0", input=key)
    assert "An input belongs to the network for which it was read." in found["error"] and found["kind"] == "input"


def test_page_shows_drawing_layers_and_what_a_unit_sees(browser):
    asker().opened("unet")
    asker().input("lenet")
    with serving(asker().studio) as address:
        watched = open_page(browser, f"{address}#/anatomy?network=lenet&layer=stages.0.0")
        page = watched.page
        page.get_by_text("Unit 5, 5 sees").wait_for()
        assert page.locator("svg.graph g.on").count() == 1
        page.locator("svg.graph g[role=button]").first.press("Enter")
        page.get_by_role("heading", name="stem.0").wait_for()
        page.locator("canvas.units").press("ArrowUp")
        page.get_by_text("Unit 13, 14 sees").wait_for()
        assert axe_faults(page) == []
        drawing = page.get_by_label("The network as executed")
        drawing.get_by_text("Export").click()
        with page.expect_download() as saved:
            drawing.get_by_role("button", name="PNG").click()
        with Image.open(saved.value.path()) as picture:
            height = picture.height
        assert height > 70 * len(asker().get("/api/anatomy/network", network="lenet")["boxes"])
        page.set_viewport_size({"width": 390, "height": 800})
        page.evaluate("neocogGo('anatomy', {network: 'unet'})")
        page.get_by_role("heading", name="UNet on").wait_for()
        page.get_by_text("of its values").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert watched.faults == [] and watched.strangers(address) == []
        page.close()
