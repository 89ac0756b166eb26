"""Who wins, and the table and the plot that say so."""

import json
import xml.etree.ElementTree as ET

import pytest

from harness.drawing import COLORS, draw
from harness.results import best_peer, compare, keeps_limit, read, write
from harness.row import Row
from harness.table import in_words, markdown
from tests.bench.made import MACHINE, make_result

ONE = [1.0 + 0.01 * step for step in range(10)]


def times(factor):
    return [factor * value for value in ONE]


@pytest.mark.parametrize(
    ("peer", "better", "expected"),
    [
        (times(2), "less", "wins"),
        (times(2), "more", "peer wins"),
        (ONE[::-1], "less", "as good"),
        (ONE, "less", "as good"),  # a ratio of exactly 1
    ],
)
def test_the_whole_interval_decides_who_wins(peer, better, expected):
    (found,) = compare(make_result("a", {"Neocog": ONE, "peer": peer}, better=better))
    assert found.outcome == expected


def test_nobody_wins_with_few_turns_or_beside_a_bound():
    few = make_result("a", {"Neocog": ONE[:5], "peer": times(9)[:5]})
    bound = make_result("a", {"Neocog": ONE, "import torch": times(0.5)}, bound=True, target=0.4)
    assert compare(few)[0].outcome == "too few turns"
    assert compare(bound)[0].outcome == "a bound"
    assert compare(bound)[0].reaches_target is True


def test_targets_are_of_the_first_peer_and_limits_of_neocog():
    result = make_result("a", {"Neocog": ONE, "first": times(1.9), "best": times(1.1)}, target=2.0, limit=1.05)
    first, best = compare(result)
    assert (first.reaches_target, best.reaches_target) == (False, None)
    assert best_peer(result) == "best"
    assert keeps_limit(result) is True  # the median is 1.045
    assert keeps_limit(result | {"limit": 1.04}) is False
    assert keeps_limit(result | {"limit": 1.04, "better": "more"}) is True
    assert keeps_limit(make_result("b", {"Neocog": ONE})) is None


def rows_of_each_kind():
    return [
        make_result("start", {"Neocog": ONE}, area="start", what="`import`", limit=0.3, note="with care"),
        make_result("win", {"Neocog": ONE, "fast|er": times(1.5), "slow": times(4)}, target=2.0),
        make_result("even", {"Neocog": ONE, "peer": ONE}, area="ship", absent={"other": "not installed"}),
        make_result("lose", {"Neocog": ONE, "peer": times(0.5)}, area="ship",
                    conditions={"busy_before": 0.2, "others": 0.25, "stolen": 0.04}),
    ]  # fmt: skip


def test_table_shows_figures_winners_targets_and_notes():
    text = markdown(rows_of_each_kind())
    lines = text.splitlines()
    assert lines[0] == (
        "Of 4 comparisons Neocog wins 2, is as good in 1, and the peer wins 1. Of 2 targets and limits 0 are met."
    )
    assert [line for line in lines if line.startswith("###")] == [
        "### Start-up and planning", "### Data", "### Engines and serving", "### Machine and versions",
    ]  # fmt: skip
    assert "| `import`<br>`start` <sup>1</sup> | 1.04 s (1.01 to 1.08) | | | at most 0.3 s asked: **missed** |" in lines
    assert "1. with care" in lines
    assert (
        "| work of win<br>`win` | 1.04 s (1.01 to 1.08) | **fast\\|er**: 1.57 s (1.52 to 1.62) "
        "| 1.50x | wins; 2x asked: **missed** |"
    ) in lines
    assert "|  |  | slow: 4.18 s (4.04 to 4.32) | 4.00x | wins |" in lines
    assert "1. other is absent: not installed." in lines
    assert any(line.startswith("| work of lose") and line.endswith("| **the peer wins** |") for line in lines)
    assert (
        "2. Meanwhile 25% of the processors were busy with other programs and 4% of the processors were given to "
        "other virtual machines."
    ) in lines
    assert lines[-4:] == [
        "- A CPU (AVX2), 2 cores, 25 GB", "- Linux, Python 3.11.7", "- neocog 0.1.0; not installed: timm",
        "- measured on 2026-11-29 at commit 0123456789",
    ]  # fmt: skip


def test_rows_of_several_machines_are_told_apart():
    elsewhere = MACHINE | {"cpu": "Another"}
    text = markdown([make_result("a", {"Neocog": ONE}), make_result("b", {"Neocog": ONE}, machine=elsewhere)])
    assert "- A CPU (AVX2), 2 cores, 25 GB: `a`\n- Another (AVX2), 2 cores, 25 GB: `b`\n- Linux" in text


def test_a_result_in_words():
    said = in_words(rows_of_each_kind()[1])
    assert said == ("1.04 s (1.01 to 1.08); 1.50x fast|er: wins; 4.00x slow: wins; 2x asked: missed")


def test_plot_names_what_is_compared_and_colours_who_wins(tmp_path):
    draw(rows_of_each_kind(), tmp_path / "ratios.svg")
    text = (tmp_path / "ratios.svg").read_text()
    words = [element.text for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    for expected in ("Data", "work of win", "fast|er", "1.50x", "0.500x", "the peer wins", "Neocog wins", "asked"):
        assert expected in words
    assert "import" not in words  # it has no peer
    assert COLORS["peer wins"] in text
    draw(rows_of_each_kind(), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == text


def test_plot_without_peers_is_drawn_all_the_same(tmp_path):
    draw([make_result("a", {"Neocog": ONE})], tmp_path / "ratios.svg")
    assert "times as good" in (tmp_path / "ratios.svg").read_text()


def test_results_are_read_in_the_order_of_rows_and_written_whole(tmp_path):
    rows = [Row(name, "data", name, "s", "less", lambda folder: iter(())) for name in ("b", "a", "missing")]
    for name in ("a", "b", "gone"):
        write(tmp_path / f"{name}.json", make_result(name, {"Neocog": ONE}))
    assert [result["name"] for result in read(tmp_path, rows)] == ["b", "a"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path / "a.json", make_result("a", {"Neocog": [float("nan")]}))
    assert json.loads((tmp_path / "a.json").read_text())["turns"] == {"Neocog": ONE}
