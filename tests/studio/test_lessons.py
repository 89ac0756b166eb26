import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from neocog.errors import ConfigError
from neocog.studio import examples
from neocog.studio.examples import EXAMPLES, Example, draw_digits, open_example
from neocog.studio.jobs import Job
from neocog.studio.lessons import Claim, Exercise, find_lesson, load_lessons
from neocog.studio.lessons.checkers import CHECKERS
from neocog.studio.lessons.claims import claim_code, compute, holds
from neocog.studio.lessons.exercises import bench_facts, judge
from neocog.studio.state import Studio
from tests.support.studio import axe_faults, chromium, client_of, open_page, serving

LESSONS = list(enumerate(load_lessons(), 1))
SCREENS = Path(examples.__file__).parent / "static" / "js" / "screens"


@pytest.mark.parametrize(("number", "lesson"), LESSONS, ids=[f"lesson {number}" for number, _ in LESSONS])
def test_every_claim_is_what_the_engine_computes(number, lesson):
    for claim in lesson.claims:
        found = compute(claim.check, claim.args)
        assert holds(found, claim.equals, claim.within), (claim.say, found)


@pytest.mark.parametrize(("number", "lesson"), LESSONS, ids=[f"lesson {number}" for number, _ in LESSONS])
def test_every_answer_is_what_the_engine_computes(number, lesson):
    for exercise in lesson.exercises:
        if exercise.kind == "number":
            found = compute(exercise.check, exercise.args)
            for place in exercise.at:
                found = found[place]
            assert holds(found, exercise.number, exercise.within), (exercise.ask, found)
            assert judge(exercise, f"{exercise.number:,}") == (True, "")
        elif exercise.kind == "bench":
            assert judge(exercise, exercise.solution) == (True, "")
            assert judge(exercise, exercise.show.query)[0] is False, "an exercise that is solved from the start"


def test_every_claim_says_the_number_that_it_states():
    for _, lesson in LESSONS:
        for claim in lesson.claims:
            if type(claim.equals) is int and claim.equals > 2 and claim.check != "zoo_year":
                assert re.search(rf"(?<!\d){claim.equals:,}(?!\d)", claim.say), claim.say


def test_a_claim_that_is_wrong_is_found():
    assert holds(compute("conv_output", {"size": 32, "kernel_size": 5}), 28)
    assert not holds(compute("conv_output", {"size": 32, "kernel_size": 5}), 27)
    assert not holds(compute("max_pool", {"x": [1, 2, 3, 4], "size": 2}), [2, 3])
    assert not holds(True, 1) and not holds([1, 2], [1]) and not holds(0.25, 0.2501)


def test_the_code_of_a_claim_gives_its_value():
    for _, lesson in LESSONS:
        for claim in lesson.claims:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(claim_code(claim.check, claim.args), {})
            assert said.getvalue().strip() == str(CHECKERS[claim.check].function(**claim.args))


def test_only_the_checkers_of_the_list_are_called():
    with pytest.raises(ConfigError, match="No checker is called 'conv_outputs'. Did you mean 'conv_output'"):
        compute("conv_outputs", {})
    with pytest.raises(ValueError, match="no checker is called"):
        Claim(say="x", check="__import__", equals=1)
    used = {claim.check for _, lesson in LESSONS for claim in lesson.claims}
    used |= {exercise.check for _, lesson in LESSONS for exercise in lesson.exercises if exercise.check}
    assert used == set(CHECKERS), "a checker that no lesson needs"


@pytest.mark.parametrize(
    "given",
    [{}, {"number": 1.0}, {"number": 1.0, "check": "power", "choices": ("a",)}, {"choices": ("a",), "right": 1},
     {"bench": {"op": "conv"}}],
    ids=["nothing", "no checker", "two kinds", "no such choice", "no solution"],
)  # fmt: skip
def test_an_exercise_that_can_not_be_checked_is_refused(given):
    with pytest.raises(ValueError, match="validation error"):
        Exercise(ask="?", hint="h", why="w", **given)


def test_steps_name_examples_and_settings_that_there_are():
    known = set(re.findall(r"query\.(\w+)", (SCREENS / "bench" / "query.js").read_text())) | {"at"}
    for number, lesson in LESSONS:
        assert 5 <= len(lesson.steps) <= 9 and 2 <= len(lesson.exercises) <= 3 and lesson.reading, number
        for part in (*lesson.steps, *lesson.exercises):
            if part.show is not None:
                assert all(name in EXAMPLES for name in part.show.example.split(",") if name)
                if part.show.screen == "bench":
                    assert set(part.show.query) <= known, part.show.query
                    bench_facts(part.show.query)


def test_there_are_ten_lessons():
    assert len(LESSONS) == 10
    with pytest.raises(ConfigError, match="There are 10 lessons. Received: lesson 11"):
        find_lesson(11)


@pytest.fixture(scope="module")
def client():
    return client_of(Studio())


def test_a_lesson_is_sent_without_its_answers(client):
    for number, lesson in LESSONS:
        told = client.get("/api/lessons/lesson", params={"number": number})
        assert len(told.json()["steps"]) == len(lesson.steps)
        assert all(exercise.why not in told.text for exercise in lesson.exercises)
        assert {"number", "right", "solution", "bench"}.isdisjoint(told.json()["exercises"][0])


def test_claims_are_computed_when_asked(client):
    told = client.get("/api/lessons/claim", params={"lesson": 1, "step": 1, "claim": 1}).json()
    assert told == {"value": 28, "holds": True}
    told = client.get("/api/lessons/claim", params={"lesson": 1, "step": 99, "claim": 0}).json()
    assert told["error"] == "There is no such step. Received: 99."


def answer(client, **given):
    return client.post("/api/lessons/answer", json=given).json()


def test_a_wrong_answer_gets_a_hint_and_a_right_one_its_reason(client):
    wrong = answer(client, lesson=2, exercise=0, value="55")
    assert not wrong["right"] and wrong["hint"].startswith("(112 + 2 - 3)") and not wrong["why"]
    right = answer(client, lesson=2, exercise=0, value=" 56 ")
    assert right["right"] and right["why"] and not right["hint"]
    assert answer(client, lesson=2, exercise=0, value="many")["said"] == "That is not a number."
    assert answer(client, lesson=2, exercise=0, value="nan")["said"] == "That is not a number."
    assert (
        answer(client, lesson=2, exercise=1, value=1)["right"]
        and not answer(client, lesson=2, exercise=1, value=0)["right"]
    )
    shown = answer(client, lesson=2, exercise=1, reveal=True)
    assert shown["answer"] == "2" and not shown["right"] and shown["why"]


def test_bench_is_judged_by_what_comes_out_of_it(client):
    given = {"op": "conv", "size": "9x9", "dilation": "2", "kernel": "3x3"}
    near = answer(client, lesson=2, exercise=2, value={**given, "padding": "1"})
    assert near["said"] == "Bench has output 7 x 7, not 9 x 9."
    assert answer(client, lesson=2, exercise=2, value={**given, "padding": "2,2,2,2"})["right"]
    small = answer(client, lesson=2, exercise=2, value={"size": "1x1", "kernel": "3x3"})
    assert small["said"].startswith("A kernel must not be larger than its padded input.")
    odd = answer(client, lesson=2, exercise=2, value={"size": "wide"})
    assert odd["said"] == "size is a whole number. Received: 'wide'."


@pytest.mark.parametrize(
    ("query", "output"),
    [
        ({}, [3, 3]),
        ({"size": "12", "kernel": "3", "padding": "1"}, [12]),
        ({"size": "5x7", "padding": "1,0,2,2"}, [4, 9]),
        ({"op": "max", "size": "6x6", "kernel": "2"}, [3, 3]),
        ({"op": "average", "size": "8x8", "stride": "2", "ceil": "1"}, [4, 4]),
        ({"op": "transposed", "size": "3x3", "stride": "2", "outpad": "1"}, [8, 8]),
    ],
    ids=["as it opens", "a signal", "four sides", "max", "average", "transposed"],
)
def test_bench_facts_are_torchs(query, output):
    found = bench_facts(query)
    assert found["output"] == output
    x = torch.zeros(1, 1, *found["size"])
    if found["op"] == "conv":
        before = [side for k in range(len(found["size"]) - 1, -1, -1) for side in found["padding"][2 * k : 2 * k + 2]]
        w = torch.zeros(1, 1, *found["kernel"])
        convolve = torch.nn.functional.conv1d if x.ndim == 3 else torch.nn.functional.conv2d
        assert list(convolve(torch.nn.functional.pad(x, before), w).shape[2:]) == output


def test_drawn_digits_are_the_same_for_the_same_seed_and_can_be_told_apart():
    images, labels = draw_digits(200, seed=3)
    again, _ = draw_digits(200, seed=3)
    other, _ = draw_digits(200, seed=4)
    assert images.dtype == np.uint8 and (images == again).all() and (images != other).any()
    assert np.bincount(labels).tolist() == [20] * 10
    bright = (images > 100).reshape(200, -1)
    assert bright.any(axis=1).all() and bright.mean() < 0.2


def test_an_example_is_trained_once_and_opened(monkeypatch):
    small = Example(says="a small one", network="lenet5_relu", epochs=1, samples=50,
                    overrides=(("augment.shift", 0), ("model.dropout", 0.1)))  # fmt: skip
    monkeypatch.setitem(EXAMPLES, "small", small)
    studio, job = Studio(), Job("x", "x")
    assert open_example(studio, "small")(job) == "small"
    run = studio.networks["small"].run
    written = run.joinpath("results.csv").stat().st_mtime_ns
    assert "dropout: 0.1" in run.joinpath("config.yaml").read_text()
    assert open_example(Studio(), "small")(job) == "small"
    assert run.joinpath("results.csv").stat().st_mtime_ns == written
    assert run in examples.example_runs()
    with pytest.raises(ConfigError, match="No example is called 'smal'. Did you mean 'small'"):
        open_example(studio, "smal")


def test_untrained_examples_have_the_same_weights_each_time():
    found = []
    for _ in range(2):
        studio = Studio()
        open_example(studio, "resnet20")(Job("x", "x"))
        found.append(studio.networks["resnet20"].predictor.model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def test_page_leads_through_a_lesson_and_checks_its_exercises(browser):
    with serving(Studio()) as address:
        watched = open_page(browser, f"{address}#/lessons")
        page = watched.page
        page.wait_for_selector(".contents li")
        assert page.locator(".contents li.panel").count() == 10
        assert axe_faults(page) == []
        page.get_by_role("link", name="Padding, stride, dilation").click()
        page.wait_for_selector(".beside table")
        page.locator(".claims summary").first.click()
        page.get_by_role("button", name="Compute it now").first.click()
        page.wait_for_selector(".claims .good >> text=28")
        assert axe_faults(page) == []
        page.get_by_role("button", name="Next", exact=True).click()
        page.wait_for_selector("h2:has-text('Padding gives the border back')")
        page.evaluate("location.hash = '#/lessons?lesson=2&step=8'")
        page.wait_for_selector(".exercises form")
        first, second, third = (page.locator(".exercises form").nth(k) for k in range(3))
        first.get_by_role("textbox").fill("55")
        first.get_by_role("button", name="Check").click()
        page.wait_for_selector("text=Not yet.")
        first.get_by_role("textbox").fill("56")
        page.keyboard.press("Enter")
        first.get_by_text("Right.").wait_for()
        second.get_by_role("radio").nth(1).check()
        second.get_by_role("button", name="Check").click()
        second.get_by_text("Right.").wait_for()
        third.get_by_role("button", name="Check").click()
        third.get_by_text("Bench has output 5 x 5, not 9 x 9.").wait_for()
        for side in ("top", "bottom", "left", "right"):
            page.locator(".beside").get_by_label(side, exact=True).fill("2")
        page.wait_for_timeout(100)
        third.get_by_role("button", name="Check").click()
        third.get_by_text("Right.").wait_for()
        assert "lesson=2" in page.url
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.evaluate("location.hash = '#/lessons'")
        page.wait_for_selector("text=3 of 3 exercises solved")
        assert watched.faults == [] and watched.strangers(address) == []
        page.close()
