"""The shell of the page: its bar, themes and keys, a server that goes away, bundles that are broken, walls of maps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio.test_state import write_small_bundle
from tests.support.studio import TOKEN, axe_faults, chromium, open_page, serving

SERVER = """
import json, sys
from neocog.studio.serve import open_studio
open_studio(token=sys.argv[1], browser=False, ready=lambda a: print(json.dumps(a), flush=True))
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address():
    with serving() as found:
        yield found


@pytest.fixture
def watched(browser, address):
    found = open_page(browser, address)
    yield found
    found.page.close()
    assert found.strangers(address) == []


def start_server():
    """A Studio in a process of its own, which can be killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, TOKEN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )  # fmt: skip
    return process, json.loads(process.stdout.readline())


def kill(process):
    process.kill()
    process.communicate()


def test_page_says_that_the_server_is_gone_and_continues_when_it_is_back(browser):
    process, address = start_server()
    port = int(address.partition("//127.0.0.1:")[2].partition("/")[0])
    page = open_page(browser, address).page
    page.get_by_role("button", name="Next output").wait_for()
    kill(process)
    page.get_by_role("button", name="Next output").click()
    page.get_by_label("height").first.fill("6")
    page.wait_for_selector(".banner")
    assert "The Studio can't be reached. Is its terminal still open?" in page.locator(".banner").inner_text()
    with serving(port=port):
        page.wait_for_selector(".banner", state="detached")
        page.wait_for_selector('[data-bench="size=6x5"]')  # what was asked for meanwhile
        assert page.get_by_role("alert").count() == 0
    page.close()


def test_new_token_is_asked_for(browser):
    """A Studio that was started again has another token: the page says which address to open."""
    with serving(token="first") as address:
        port = int(address.rpartition(":")[2].partition("/")[0])
        page = open_page(browser, address).page
        page.get_by_role("button", name="Next output").wait_for()
    with serving(port=port, token="second") as again:
        page.get_by_label("height").first.fill("7")
        page.get_by_role("alert").first.wait_for()
        assert "Open the address that `neocog studio` printed" in page.get_by_role("alert").first.inner_text()
        page.goto(again)
        page.get_by_role("button", name="Next output").wait_for()
        assert page.get_by_role("alert").count() == 0
    page.close()


def test_broken_bundle_is_said_and_the_next_one_opens(watched, tmp_path):
    bundle = write_small_bundle(tmp_path / "small" / "model.neocog")
    broken = tmp_path / "broken.neocog"
    broken.write_bytes(bundle.read_bytes()[:-100])
    page = watched.page
    page.locator("details.menu summary").click()
    field = page.get_by_label("A bundle, a run folder")
    field.fill(str(broken))
    field.press("Enter")
    page.locator("form.open .bad").wait_for()
    assert "broken.neocog" in page.locator("form.open").inner_text()
    field.fill(str(bundle))
    field.press("Enter")
    page.locator("form.open", has_text="Opened.").wait_for()
    assert page.locator("form.open .bad").count() == 0
    page.get_by_label("A layer of a network").select_option("small")
    page.get_by_role("heading", name="A layer of a network").wait_for()
    page.keyboard.press("Escape")


def test_unknown_screen_leads_back(watched):
    page = watched.page
    page.evaluate("neocogGo('nowhere')")
    page.get_by_text("There is no screen called nowhere.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Bench", exact=True).wait_for()
    assert page.title() == "Bench · Neocog Studio"


def test_screen_that_fails_says_so_and_can_be_tried_again(watched):
    """A fault of our own in one view does not break the page."""
    page = watched.page
    page.get_by_role("button", name="Next output").wait_for()
    page.evaluate("() => { Float64Array.prototype.subarray = () => { throw new Error('broken'); }; }")
    page.evaluate("neocogGo('bench', {size: '8x8'})")
    page.get_by_text("This screen failed: broken").wait_for()
    assert any("broken" in fault for fault in watched.faults)
    page.evaluate("() => { delete Float64Array.prototype.subarray; }")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector('[data-bench="size=8x8"]')


def test_theme_is_kept(watched):
    page = watched.page
    ground = "() => getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_label("Theme").select_option("dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.reload()
    page.get_by_role("heading", name="Bench").wait_for()
    assert page.evaluate(ground) == dark
    page.get_by_label("Theme").select_option("")
    assert page.evaluate(ground) == light


def test_keyboard_alone_leads_through_the_bar(watched):
    page = watched.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Shift+Tab")  # backwards into the bar: the theme
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("details.menu").evaluate("each => each.open")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "target"
    page.keyboard.press("Escape")
    assert not page.locator("details.menu").evaluate("each => each.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


@pytest.mark.parametrize("dark", [False, True])
def test_shell_is_accessible_on_a_phone(browser, address, dark):
    found = open_page(browser, address, width=360, height=740, dark=dark)
    page = found.page
    page.get_by_role("button", name="Next output").wait_for()
    page.locator("details.menu summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("form.open").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert axe_faults(page) == []
    assert found.faults == []
    page.close()


def test_view_is_exported_in_every_form(watched):
    page = watched.page
    page.get_by_role("button", name="Next output").wait_for()
    page.get_by_text("Export", exact=True).click()
    contents = {}
    for name in ("PNG", "SVG", "Notebook", "One HTML page"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        contents[waiting.value.suggested_filename] = Path(waiting.value.path()).read_bytes()
    assert set(contents) == {f"bench-conv.{end}" for end in ("png", "svg", "ipynb", "html")}
    assert contents["bench-conv.png"].startswith(b"\x89PNG")
    assert b"<image" in contents["bench-conv.svg"] and b"http://www.w3.org/2000/svg" in contents["bench-conv.svg"]
    assert "reference.cross_correlate" in json.dumps(json.loads(contents["bench-conv.ipynb"]))
    alone = contents["bench-conv.html"].decode()
    assert "data:image/png;base64," in alone and "<script" not in alone
    assert watched.faults == []


WALL = """
async () => {
  const { drawWall, scaleOf } = await import("/js/draw.js");
  const data = Float32Array.from({ length: 512 * 14 * 14 }, (_, i) => Math.sin(i * 12.9898));
  const canvas = document.createElement("canvas"), times = [];
  for (let k = 0; k < 12; k++) {
    const began = performance.now();
    drawWall(canvas, { shape: [512, 14, 14], data }, { columns: 32, scaleFor: (_, part) => scaleOf(part) });
    canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - began);
  }
  const pixels = canvas.getContext("2d").getImageData(15, 0, 14, 14).data;  // of map 1
  const part = data.subarray(196, 392), { low, high } = scaleOf(part), { table } = await import("/js/draw.js");
  const words = new Uint32Array(pixels.buffer), colours = table("heat");
  const share = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  const right = part.every((value, i) => words[i] === colours[Math.round(255 * share(value))]);
  return { times, right, size: [canvas.width, canvas.height] };
}
"""


def test_wall_of_512_maps_is_drawn_at_once(watched):
    """512 maps of 14 x 14 take a few milliseconds; the bound is for a machine that does other things too."""
    found = watched.page.evaluate(WALL)
    assert found["right"] and found["size"] == [32 * 15 - 1, 16 * 15 - 1]
    print("wall of 512 maps of 14x14, ms:", [round(each, 1) for each in found["times"]])
    assert min(found["times"]) < 50
