"""The Bench's page, read back from Chromium."""

import random

import numpy as np
import pytest
import torch

from neocog.studio.state import Studio
from tests.support.bench import by_torch, many_layers, opened_as, query_of, random_setting
from tests.support.studio import axe_faults, chromium, open_page, serving

# The page. `settle` shows an address and waits until its numbers are there.
SETTLE = """
globalThis.settle = async (query) => {
  neocogPut("bench", query);
  const wanted = new URLSearchParams(query).toString();
  for (let i = 0; i < 5000; i++) {
    if (document.querySelector("[data-bench]")?.dataset.bench === wanted) return;
    await new Promise((done) => setTimeout(done));
  }
  throw new Error(`no answer for ${wanted}`);
};
globalThis.outputs = () => [...document.querySelectorAll(".outputs table.grid")].map((grid) =>
  [...grid.querySelectorAll("tr")].map((row) =>
    [...row.querySelectorAll("td")].map((cell) =>
      [Number(cell.dataset.value), cell.querySelector(".cell").textContent])));
globalThis.read = async (queries) => {
  const all = [];
  for (const query of queries) { await settle(query); all.push(outputs()); }
  return all;
};
0;
"""


@pytest.fixture(scope="module")
def studio():
    many, studio = many_layers(), Studio()
    studio.networks["many"] = opened_as("many", many)
    studio.keep_input("key", many.sample(torch.randn(3, 12, 14), "seven.png"))
    return studio


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(studio):
    with serving(studio) as found:
        yield found


@pytest.fixture(scope="module")
def page(browser, address):
    watched = open_page(browser, address)
    watched.page.evaluate(SETTLE)
    yield watched.page
    assert watched.faults == []
    assert watched.strangers(address) == []


def test_page_equals_torch_over_200_random_settings(page):
    draw = random.Random(7)
    settings = [random_setting(draw) for _ in range(200)]
    found = page.evaluate(
        "read",
        [query_of(s) for s in settings],
    )
    for setting, channels in zip(settings, found, strict=True):
        expected = by_torch(setting).numpy()
        expected = expected[:, None] if expected.ndim == 2 else expected
        read = np.array([[[cell[0] for cell in row] for row in channel] for channel in channels])
        shown = np.array([[[float(cell[1]) for cell in row] for row in channel] for channel in channels])
        np.testing.assert_allclose(read, expected, atol=1e-9, err_msg=str(setting))
        np.testing.assert_allclose(shown, expected, rtol=6e-3, atol=1e-9, err_msg=str(setting))
    assert {s["op"] for s in settings} == {"conv", "transposed", "max", "average"}


def pick_output(page, channel, y, x):
    page.locator(".outputs table.grid").nth(channel).locator(f'[data-cell="{y},{x}"]').click()


def test_chosen_output_lights_what_it_reads(page):
    page.evaluate("settle({size: '4x4', kernel: '3', padding: '1', stride: '2'})")
    pick_output(page, 0, 0, 1)
    page.wait_for_selector('[data-unit="y,0,0,1"]')
    lit = page.locator('section[aria-label="Input"] td.lit')
    assert lit.count() == 9
    assert page.locator('section[aria-label="Input"] td.padding.lit').count() == 3
    assert page.locator("[data-unit-says]").inner_text().startswith("y[0, 0, 1] = ")
    products = page.locator("table.products tbody tr")
    assert products.count() == 9
    total = sum(float(products.nth(i).locator("td").last.inner_text()) for i in range(9))
    assert total == float(page.locator("[data-sum]").get_attribute("data-sum"))
    assert page.locator("[data-matrix-says]").inner_text() == "Row 1 is y[0,0,1]; it reads 6 inputs."


def test_chosen_input_lights_every_output_that_it_feeds(page):
    page.evaluate("settle({size: '4x4', kernel: '3', padding: '1'})")
    page.locator('section[aria-label="Input"] [data-cell="1,1"]').click()
    page.wait_for_selector('[data-unit="x,0,1,1"]')
    assert page.locator(".outputs td.lit").count() == 9
    assert page.locator('section[aria-label="Kernel"] td.lit').count() == 9
    assert page.locator("table.products tbody tr").count() == 9


def test_matrix_entry_is_linked_both_ways(page):
    page.evaluate("settle({size: '3x3', kernel: '2'})")
    matrix = page.locator(".matrix canvas")
    box = matrix.bounding_box()
    matrix.click(position={"x": box["width"] * 4.5 / 9, "y": box["height"] * 3.5 / 4})
    page.wait_for_selector('[data-unit="y,0,1,1"]')
    assert "Row 3 is y[0,1,1], column 4 is x[0,1,1]: the weight is" in page.locator("[data-matrix-says]").inner_text()
    assert page.locator(".outputs td.chosen").count() == 1
    assert page.locator('section[aria-label="Input"] td.chosen').get_attribute("data-value") is not None
    matrix.press("ArrowLeft")
    page.wait_for_function(
        "() => document.querySelector('[data-matrix-says]').innerText.includes('column 3 is x[0,1,0]: not connected')"
    )


def test_numbers_can_be_changed(page):
    page.evaluate("settle({size: '3x3', kernel: '2', pattern: 'ones', w: '1,1,1,1'})")
    assert page.evaluate("outputs()[0].flat().map((cell) => cell[1])") == ["4"] * 4
    cell = page.locator('section[aria-label="Input"] [data-cell="0,0"]')
    cell.fill("10.5")
    page.wait_for_function("() => outputs()[0][0][0][1] === '13.5'")
    cell.fill("x")
    assert cell.get_attribute("aria-invalid") == "true"
    page.locator('section[aria-label="Kernel"] [data-cell="0,0"]').first.fill("2")
    page.wait_for_function("() => outputs()[0][0][0][1] === '24'")
    page.get_by_label("height").first.fill("4")  # the numbers stay where they were
    page.wait_for_function("() => outputs()[0].length === 3 && outputs()[0][0][0][1] === '24'")


def test_stepping_and_playing(page):
    page.evaluate("settle({size: '3', kernel: '2'})")
    page.get_by_role("button", name="Next output").click()
    page.wait_for_selector('[data-unit="y,0,0"]')
    page.get_by_role("button", name="Previous output").click()
    page.wait_for_selector('[data-unit="y,0,1"]')
    page.get_by_label("Pace").select_option("250")
    page.get_by_role("button", name="Play").click()
    assert page.get_by_role("button", name="Pause").is_visible()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector('[data-unit="y,0,1"]')
    page.get_by_role("button", name="Play").wait_for()  # it stops at the end


def test_error_of_geometry_is_shown_and_left_again(page):
    page.evaluate("settle({size: '3x3', kernel: '5'})")
    said = page.get_by_role("alert").inner_text()
    assert "A kernel must not be larger than its padded input." in said and "Use a size of at least 5" in said
    page.evaluate("settle({size: '5x5', kernel: '5'})")
    assert page.get_by_role("alert").count() == 0


def test_address_follows_what_is_chosen_and_leads_back(page, address):
    page.evaluate("settle({size: '5x5', kernel: '3', stride: '2'})")
    pick_output(page, 0, 1, 0)
    page.wait_for_function("() => location.hash.includes('at=y,0,1,0') && location.hash.includes('stride=2')")
    assert "token" not in page.url
    page.reload()  # the cookie holds the token
    page.wait_for_selector('[data-unit="y,0,1,0"]')
    page.evaluate(SETTLE)


def test_layer_of_a_network_is_taken_apart_on_the_page(page):
    page.evaluate("settle({network: 'many', layer: 'first', channel: '2', input: 'key', unit: '0,3'})")
    assert page.locator('section[aria-label="Kernel"] table.grid').count() == 4  # of three channels, and the bias
    assert "Output channel 2" in page.locator(".outputs").inner_text()
    page.get_by_label("Output channel", exact=True).fill("5")
    page.wait_for_function("() => document.querySelector('.outputs').innerText.includes('Output channel 5')")
    page.get_by_role("button", name="Back to numbers of your own").click()
    page.wait_for_function("() => document.querySelector('[data-bench]').dataset.bench === ''")


def test_everything_can_be_reached_by_keys(page):
    page.evaluate("settle({size: '3x3', kernel: '2'})")
    page.locator('section[aria-label="Input"] [data-cell="0,0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector('[data-unit="x,0,1,1"]')
    assert page.evaluate("document.activeElement.dataset.cell") == "1,1"
    page.locator('.outputs [data-cell="0,0"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-unit="y,0,1,0"]')
    assert page.locator('.outputs [tabindex="0"]').count() == 1


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_page_is_accessible_and_fits(browser, address, width, dark):
    watched = open_page(browser, address, width=width, dark=dark)
    watched.page.evaluate(SETTLE)
    watched.page.evaluate("settle({in: '2', out: '2', padding: '1,1,0,2', size: '6x6'})")
    pick_output(watched.page, 0, 0, 0)
    watched.page.wait_for_selector('[data-unit="y,0,0,0"]')
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe_faults(watched.page) == []
    assert watched.faults == []
    watched.page.close()


def test_less_motion_leaves_the_steps(browser, address):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(address)
    page.get_by_role("button", name="Next output").click()
    page.wait_for_selector('[data-unit="y,0,0,0"]')
    assert page.get_by_role("button", name="Play").count() == 0
    page.close()
