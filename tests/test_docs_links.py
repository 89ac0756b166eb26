"""Every relative link of README and docs leads to a file, and to a heading in it."""

import pytest

from tests.support.pages import ROOT, links, pages, slugs

OUTSIDE = ("http://", "https://", "mailto:")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    broken = []
    for line, target in links(page):
        if target.startswith(OUTSIDE):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name) if name else page
        if "generated" in place.parts:  # made when the documentation is built, which checks them
            continue
        if not place.exists():
            broken.append(f"{line}: {target}: no such file")
        elif anchor and place.suffix == ".md" and anchor not in slugs(place):
            broken.append(f"{line}: {target}: no such heading")
    assert not broken, "\n".join(broken)


def test_a_broken_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A heading, *exactly*\n\n[here](#a-heading-exactly) and [there](#nowhere), `[not](this.md)`\n")
    assert [target for _, target in links(page)] == ["#a-heading-exactly", "#nowhere"]
    assert slugs(page) == {"a-heading-exactly"}
