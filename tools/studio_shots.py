"""Take screenshots of every screen of the Studio: python tools/studio_shots.py [BUNDLE|RUN|DATA ...]

Each screen is taken light and dark, wide and narrow, and written as docs/images/studio-SCREEN-THEME-WIDTH.png, with few
colours so that the files stay small. Without targets, screens that look into a network are left out. `VIEWS` says what
a screen shows; it may wait for an element, and do something first.
"""

import io
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from neocog.studio.serve import open_studio

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTHS = {"wide": (1280, 1000), "narrow": (390, 844)}
MOST = 120_000  # bytes
TALLEST = 1600  # pixels of a page that are shown
SETTLED = 1500  # milliseconds, for drawings that come after the answer


@dataclass(frozen=True)
class View:
    """A screen to be shown."""

    query: str = ""
    waits: str = "main h1"
    """What is there once the numbers are."""
    needs_network: bool = False
    prepare: Callable[[Page], None] = lambda page: None


VIEWS = {
    "bench": View("size=6x6&stride=2&padding=1,1,0,1&out=2&at=y,0,1,1", '[data-unit="y,0,1,1"]'),
    "anatomy": View("place=3", "canvas.units", needs_network=True),
    "image": View("place=3", ".net .plot canvas", needs_network=True),
    "filter": View("place=3&channel=3", "ol.patches li", needs_network=True, prepare=lambda page: search_patches(page)),
    "bench-layer": View("", "main h1", needs_network=True, prepare=lambda page: show_layer(page)),
    "lessons-first": View("lesson=1"),
}
"""By name: a screen, or a screen and what it shows. Screens that are not listed are shown as they open."""


def show_layer(page: Page) -> None:
    """The first layer of the first network, on the Bench."""
    found = page.evaluate(
        """async () => {
          const { networks } = await (await fetch("/api/overview")).json();
          const query = new URLSearchParams({ network: networks[0].name });
          const layers = await (await fetch(`/api/bench/layers?${query}`)).json();
          return [networks[0].name, layers[0].name];
        }"""
    )
    page.evaluate("([network, layer]) => neocogGo('bench', { network, layer, at: 'y,0,1,1' })", found)
    page.wait_for_selector('[data-unit="y,0,1,1"]')


def search_patches(page: Page) -> None:
    """Search the data for patches, and wait for the curve below them."""
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_selector(".net .plot canvas")


def main(targets: list[str]) -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    address = start(targets)
    large = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for theme in ("light", "dark"):
            for width, (wide, high) in WIDTHS.items():
                page = browser.new_page(viewport={"width": wide, "height": high}, color_scheme=theme)
                page.goto(address)
                page.wait_for_selector("nav a")
                for name, view in listed(page, bool(targets)).items():
                    path = FOLDER / f"studio-{name}-{theme}-{width}.png"
                    size = take(page, name, view, path)
                    print(f"{path.name}: {size:,} bytes")
                    large += [path.name] if size > MOST else []
                page.close()
        browser.close()
    if large:
        print(f"larger than {MOST:,} bytes: {', '.join(large)}")
    return 1 if large else 0


def start(targets: list[str]) -> str:
    """A Studio in a thread, and its address."""
    found: list[str] = []
    listening = threading.Event()

    def ready(address: str) -> None:
        found.append(address)
        listening.set()

    settings: dict[str, Any] = {"browser": False, "ready": ready}
    threading.Thread(target=open_studio, args=targets, kwargs=settings, daemon=True).start()
    if not listening.wait(120):
        raise SystemExit("The Studio did not start.")
    return found[0]


def listed(page: Page, network: bool) -> dict[str, View]:
    """All screens of the page, and what else is listed."""
    screens = page.evaluate(
        """async () => {
          const { SCREENS } = await import("/js/screens/index.js");
          return SCREENS.map(({ name, needsNetwork }) => [name, !!needsNetwork]);
        }"""
    )
    views = {name: VIEWS.get(name, View(needs_network=needed)) for name, needed in screens}
    names = tuple(views)
    views |= {name: view for name, view in VIEWS.items() if name.startswith(tuple(f"{each}-" for each in names))}
    return {name: view for name, view in views.items() if network or not view.needs_network}


def take(page: Page, name: str, view: View, path: Path) -> int:
    """Show a view, take it, and write it with few colours; its size in bytes."""
    page.evaluate("hash => { location.hash = hash; }", f"#/{name.partition('-')[0]}?{view.query}")
    page.wait_for_selector("main h1")
    view.prepare(page)
    page.wait_for_selector(view.waits)
    page.wait_for_timeout(SETTLED)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    shot = shot.crop((0, 0, shot.width, min(shot.height, TALLEST)))
    for colours in (128, 64, 32):
        shot.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST:
            break
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
