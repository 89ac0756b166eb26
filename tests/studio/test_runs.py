import contextlib
import io
import json
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import neocog
from neocog.data import open_source
from neocog.errors import ConfigError, DataError, RunError
from neocog.progress import track
from neocog.runs import Run
from neocog.runs.evaluate_bundle import Chosen
from neocog.studio import examples
from neocog.studio.examples import Example
from neocog.studio.jobs import Job, Jobs
from neocog.studio.routes import runs as routes
from neocog.studio.run_compare import only
from neocog.studio.run_data import Scored, choose_of_run, draw_worst, find_record, score_chosen
from neocog.studio.run_files import find_run, read_events, read_history, read_stored
from neocog.studio.state import Studio
from tests.support.scenes import Scenes
from tests.support.studio import axe_faults, chromium, client_of, open_page, serving
from tests.support.untrained import untrained

SMALL = Example(says="a small one", network="lenet5_relu", epochs=1, samples=100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two small runs on drawn digits, one of them better."""
    folder = tmp_path_factory.mktemp("runs")
    for name, epochs in (("one", 1), ("twelve", 12)):
        config = examples.settings_of(replace(SMALL, epochs=epochs))
        neocog.train(config, name=name, runs=folder)
    return folder


@pytest.fixture(scope="module")
def studio(runs):
    return Studio.of(runs)


@pytest.fixture(scope="module")
def client(studio):
    return client_of(studio)


def finish(studio, told):
    """Wait until a job has ended."""
    job = studio.jobs.get(told.json()["key"])
    assert job.ended.wait(120)
    return job


@pytest.fixture(scope="module")
def scored(studio, client):
    job = finish(studio, client.post("/api/runs/score", json={"run": "twelve"}))
    assert job.state == "done", job.error
    return job.result


def executed(code):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    return said.getvalue()


def test_runs_are_listed_with_what_they_say_themselves(client, runs):
    told = client.get("/api/runs").json()
    assert told["folder"] == str(runs)
    assert [each["name"] for each in told["runs"]] == ["twelve", "one"]  # the newest first
    newest = told["runs"][0]
    assert (newest["model"], newest["epochs"], newest["finished"], newest["training"]) == (
        "lenet5_relu",
        12,
        True,
        False,
    )
    stored = json.loads((runs / "twelve" / "evaluation.json").read_text())
    assert newest["metrics"]["accuracy"] == stored["top1"]["value"]


def test_history_has_every_row_of_results_and_its_code_runs(client, runs, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    (told,) = client.get("/api/runs/history", params={"run": "twelve"}).json()["runs"]
    rows = (runs / "twelve" / "results.csv").read_text().splitlines()
    assert told["epochs"]["epoch"] == list(range(1, 13))
    assert list(told["epochs"]) == rows[0].split(",")
    assert told["epochs"]["val_loss"][-1] == float(rows[-1].split(",")[rows[0].split(",").index("val_loss")])
    assert told["best"]
    executed(told["code"])


def test_history_of_a_line_that_is_being_written_leaves_it_out(tmp_path):
    run = Run(tmp_path)
    run.events.write_text(
        '{"event": "epoch", "epoch": 1, "best": true}\n{"event": "warning", "message": "slow"}\n{"eve'
    )
    assert [each["event"] for each in read_events(run)] == ["epoch", "warning"]
    told = read_history("x", run)
    assert told["messages"] == ["warning: slow"] and told["best"] == [1] and told["epochs"] == {}


def test_events_follow_a_run_until_it_is_finished(tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "live"
    folder.mkdir(parents=True)
    run = Run(folder)
    run.config.write_text("data: {}\n")
    run.results.write_text("epoch,val_loss\n1,0.5\n")

    def read_then_go_on(name, each):
        told = read_history(name, each)
        if len(told["epochs"]["epoch"]) == 2:
            run.figures.write_text("{}")
        run.results.write_text("epoch,val_loss\n1,0.5\n2,0.25\n")
        return told

    monkeypatch.setattr(routes, "read_history", read_then_go_on)
    monkeypatch.setattr(routes, "POLL", 0.01)
    body = client_of(Studio(runs=tmp_path / "runs")).get("/api/runs/follow", params={"run": "live"}).text
    events = [part.split("\n", 1) for part in body.strip().split("\n\n")]
    assert [head for head, _ in events] == [*["event: history"] * 3, "event: end"]
    told = [json.loads(data.removeprefix("data: ")) for _, data in events[:3]]
    assert [each["epochs"]["val_loss"] for each in told] == [[0.5], [0.5, 0.25], [0.5, 0.25]]
    assert [each["finished"] for each in told] == [False, False, True]


def test_an_unknown_run_is_refused(client):
    told = client.get("/api/runs/evaluation", params={"run": "twelv"}).json()
    assert told["error"].startswith("There is no such run. Received: 'twelv'.") and "twelve" in told["error"]
    with pytest.raises(RunError, match="Start the Studio with a folder of runs"):
        find_run(Studio(), "x")


def test_a_run_without_figures_says_that_it_is_not_finished(tmp_path):
    with pytest.raises(RunError, match="A run is measured when it is finished"):
        read_stored(Run(tmp_path))
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(RunError, match="can't be read"):
        read_stored(Run(tmp_path))


def test_stored_figures_are_those_of_the_run(client, runs):
    told = client.get("/api/runs/evaluation", params={"run": "twelve"}).json()
    stored = json.loads((runs / "twelve" / "evaluation.json").read_text())
    assert told["confusion"] == stored["confusion"] and told["confusion_of"] == "samples"
    named = {each["name"]: each["value"] for each in told["metrics"]}
    assert named["accuracy"] == stored["top1"]["value"] and named["macro F1"] == stored["macro_f1"]["value"]
    assert told["per_class"]["head"] == ["name", "precision", "recall", "f1", "support"]
    first = stored["mistakes"][0]
    assert told["worst"][0]["key"] == first["key"] and told["worst"][0]["truth"].startswith(first["truth"])
    assert "top1" in executed(told["code"])


def test_scored_samples_make_the_confusion_matrix(client, scored):
    told = client.get("/api/runs/cells", params={"run": "twelve"}).json()
    stored = client.get("/api/runs/evaluation", params={"run": "twelve"}).json()
    assert told["confusion"] == stored["confusion"] and told["count"] == stored["count"] == 1000
    for truth, row in enumerate(stored["confusion"]):
        for answer, count in enumerate(row):
            cell = {"truth": str(truth), "prediction": str(answer)}
            assert len(scored.take(cell)) == count
    assert len(scored.take({"wrong": "1"})) == 1000 - sum(stored["confusion"][k][k] for k in range(10))


def test_samples_behind_a_cell_are_those_that_the_predictor_takes_for_it(client, scored, runs):
    confusion = np.array(scored.evaluation.to_json()["confusion"])
    np.fill_diagonal(confusion, 0)
    truth, answer = (int(k) for k in np.unravel_index(confusion.argmax(), confusion.shape))
    cell = {"truth": str(truth), "prediction": str(answer)}
    told = client.get("/api/runs/samples", params={"run": "twelve", **cell, "count": 96}).json()
    predictor = neocog.load(runs / "twelve" / "model.neocog")
    source = open_source(str(examples.digits_file(100)))
    found = {}
    for index in source.splits["test"].tolist():
        record = source.read(index)
        if record.target == truth:
            probs = predictor.predict_proba([record.payload])[0]
            if probs.argmax() == answer:
                found[record.key] = probs[truth]
    assert [each["key"] for each in told["samples"]] == sorted(found, key=found.get)  # the worst first
    assert all(each["truth"] == str(truth) and each["prediction"].startswith(str(answer)) for each in told["samples"])
    assert all(each["address"].startswith("data:image/png") for each in told["samples"])
    assert executed(told["code"]).count("\n") == told["count"] == len(found)


def test_bars_of_the_reliability_diagram_hold_their_samples(scored):
    for bar in scored.evaluation.reliability:
        place = str(round(bar.low * 15))
        assert len(scored.take({"bin": place})) == bar.count
        assert len(scored.take({"bin": place, "wrong": "1"})) == round(bar.count * (1 - bar.accuracy))


def test_a_class_that_the_network_does_not_have_is_refused(client, scored):
    told = client.get("/api/runs/samples", params={"run": "twelve", "truth": "ten"}).json()
    assert told["error"] == "A cell is named by classes of the network. Received: 'ten'."


def test_comparison_is_that_of_neocog_compare(client, studio, scored, runs):
    job = finish(studio, client.post("/api/runs/compare", json={"a": "twelve", "b": "one"}))
    assert job.state == "done", job.error
    told = client.get("/api/runs/comparison", params={"a": "twelve", "b": "one", "count": 5}).json()
    found = neocog.compare(*(runs / name / "model.neocog" for name in ("twelve", "one")), examples.digits_file(100))
    assert told["sentence"] == found.sentence() and told["better"] == "A"
    assert told["p_value"] == found.p_value and told["num_differing"] == found.num_differing
    assert [each["key"] for each in told["differing"]] == [each.key for each in found.differing[:5]]
    assert told["metrics"][0]["name"] == "accuracy" and all(each["address"] for each in told["differing"])
    assert executed(told["code"]).strip() == found.sentence()


def test_a_run_is_not_compared_with_itself(client):
    told = client.post("/api/runs/compare", json={"a": "one", "b": "one"}).json()
    assert told["error"] == "Two different runs are compared. Received: one twice. Choose another one."


def test_a_run_without_a_model_is_not_scored(tmp_path):
    (tmp_path / "runs" / "young").mkdir(parents=True)
    (tmp_path / "runs" / "young" / "config.yaml").write_text("data: {}\n")
    client = client_of(Studio(runs=tmp_path / "runs"))
    told = client.post("/api/runs/score", json={"run": "young"}).json()
    assert told["error"].startswith("Samples are scored by the model of a run. Received: young, without model.neocog.")
    told = client.post("/api/runs/compare", json={"a": "young", "b": "old"}).json()
    assert told["error"].startswith("There is no such run.")


def test_data_that_are_gone_are_named_and_what_is_stored_is_shown(runs, tmp_path):
    digits = examples.digits_file(100)
    moved = digits.rename(tmp_path / "away.npz")
    try:
        gone = Studio.of(runs)
        client = client_of(gone)
        job = finish(gone, client.post("/api/runs/score", json={"run": "one"}))
        assert job.state == "failed"
        assert (
            job.error.startswith("The data of this run can't be read again.") and "neocog studio RUN DATA" in job.error
        )
        assert client.get("/api/runs/evaluation", params={"run": "one"}).json()["confusion"]
        opened = gone.open_network(runs / "one" / "model.neocog", runs / "one")
        gone.source = open_source(str(moved))  # the same data from elsewhere are taken
        assert len(choose_of_run(gone, opened, None).indices) == 1000
        opened.run = gone.source = None
        with pytest.raises(DataError, match="A model file does not say where its data are"):
            choose_of_run(gone, opened, None)
    finally:
        moved.rename(digits)


def test_a_record_is_found_by_its_key_in_the_data_of_its_run(studio, scored, runs):
    opened = studio.open_network(runs / "twelve" / "model.neocog", runs / "twelve")
    record = find_record(studio, opened, scored.keys[7])
    assert record.key == scored.keys[7] and record.target == scored.targets[7]
    with pytest.raises(DataError, match="have no such sample"):
        find_record(studio, opened, "nowhere")


@pytest.mark.parametrize(
    ("task", "network"), [("segmentation", "unet_small"), ("detection", "centernet_lite0")], ids=["masks", "boxes"]
)
def test_worst_images_of_dense_tasks_are_drawn_with_truth_and_prediction(task, network):
    found = score_scenes(task, network, 4)
    worst = found.take({})
    assert [found.keys[i] for i in worst] == [each.key for each in found.evaluation.worst_errors]
    assert draw_worst(found, int(worst[0])).address.startswith("data:image/png")
    assert found.texts(worst[:1].tolist())[0][1] == found.evaluation.worst_errors[0].prediction_text


def score_scenes(task, network, num=8) -> Scored:
    source = Scenes(task, num=num)
    return score_chosen(untrained(network, source), Chosen(source, np.arange(num), "all"))


@pytest.mark.parametrize(("task", "network"), [("classification", "lenet5_relu"), ("segmentation", "unet_small")])
def test_scores_of_some_samples_are_those_of_scoring_them_alone(task, network):
    source = Scenes(task, num=6)
    predictor = untrained(network, source)
    every, some = (Chosen(source, np.array(indices), "all") for indices in (range(6), (1, 4)))
    part, alone = only(score_chosen(predictor, every), some), score_chosen(predictor, some)
    assert part.keys == alone.keys == some.keys
    found, expected = ({k: v.value for k, v in each.evaluation.metrics.items()} for each in (part, alone))
    assert found == pytest.approx(expected, rel=1e-5)


def test_missed_and_wrong_labels_are_found_by_their_thresholds():
    found = score_scenes("multi-label", "lenet5_relu")
    given = found.probabilities() >= found.task.thresholds
    present = np.asarray(found.targets) > 0.5
    for k, name in enumerate(found.task.classes):
        missed, wrong = (found.take({"label": name, "kind": kind}) for kind in ("missed", "wrong"))
        assert set(missed.tolist()) == set(np.flatnonzero(present[:, k] & ~given[:, k]).tolist())
        assert set(wrong.tolist()) == set(np.flatnonzero(~present[:, k] & given[:, k]).tolist())


def test_numbers_that_are_far_off_come_first():
    found = score_scenes("regression", "lenet5_relu")
    errors = np.nan_to_num(found.task.sample_scores(found.outputs, found.targets, found.keys))
    assert (np.diff(errors[found.take({})]) <= 0).all()


def test_the_doctor_shows_the_samples_of_a_finding(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (12, 16, 16)).astype(np.uint8)
    images[7] = images[2]
    np.savez(tmp_path / "set.npz", x=images, y=np.arange(12) % 2)
    studio = Studio.of(tmp_path / "set.npz")
    client = client_of(studio)
    assert finish(studio, client.post("/api/runs/doctor", json={})).state == "done"
    told = client.get("/api/runs/findings", params={"key": "doctor::all"}).json()
    assert (told["records"], told["examined"]) == (12, 12)
    repeated = next(each for each in told["findings"] if len(each["examples"][0]["drawings"]) == 2)
    keys = [drawing["key"] for drawing in repeated["examples"][0]["drawings"]]
    assert {keys[0], keys[1]} == {studio.source.key(2), studio.source.key(7)}
    assert all(drawing["address"] for drawing in repeated["examples"][0]["drawings"])
    assert repeated["sentence"] in executed(told["code"])


def test_the_doctor_needs_data():
    told = client_of(Studio()).post("/api/runs/doctor", json={}).json()
    assert told["error"].startswith("The doctor looks at a data set. Received: none.")


def test_a_job_can_be_stopped_and_started_again():
    jobs, begun = Jobs(), threading.Event()

    def work(job: Job) -> int:
        for _ in track(range(10_000), "counting"):
            begun.set()
            time.sleep(0.001)
        return 1

    job = jobs.start("count", "counting", work)
    assert begun.wait(5) and jobs.start("count", "counting", work) is job
    jobs.stop("count")
    assert job.ended.wait(5) and job.state == "stopped" and 0 <= job.share < 1
    assert jobs.start("count", "counting", lambda _: 2).ended.wait(5) and jobs.result("count") == 2


def test_a_job_that_fails_says_why():
    jobs = Jobs()

    def work(job: Job) -> None:
        raise DataError("The set is empty.")

    assert jobs.start("x", "reading", work).ended.wait(5)
    assert jobs.get("x").error == "The set is empty."
    with pytest.raises(ConfigError, match="This has not been computed. Received: reading: failed"):
        jobs.result("x")
    with pytest.raises(ConfigError, match="This has not been computed. Received: 'y'"):
        jobs.get("y")


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def test_page_shows_curves_errors_and_comparison(browser, studio, scored):
    with serving(studio) as address:
        watched = open_page(browser, f"{address}#/runs?run=one,twelve")
        page = watched.page
        page.wait_for_selector(".plot canvas")
        assert "from" in page.locator(".plot [role=img]").first.get_attribute("aria-label")
        page.get_by_text("The numbers as a table").click()
        assert page.locator("table caption").all_inner_texts() == ["one", "twelve"]
        assert axe_faults(page) == []
        page.evaluate("location.hash = '#/runs?run=twelve&view=errors'")
        button = page.locator("table.confusion td button").first
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".cards img")
        assert "rightly predicted" in page.locator("#cards-head").inner_text()
        assert axe_faults(page) == []
        page.evaluate("location.hash = '#/runs?view=compare&a=twelve&b=one'")
        page.wait_for_selector("#compare-head")
        page.get_by_role("button", name="Compare", exact=True).last.click()
        page.wait_for_selector("#differ-head")
        assert "A is better by" in page.locator("main").inner_text()
        page.locator(".cards button").first.click()
        page.wait_for_selector("text=labelled")
        assert "#/image?network=twelve&record=" in page.url
        page.go_back()
        page.wait_for_selector("#differ-head")
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert watched.faults == [] and watched.strangers(address) == []
        page.close()
