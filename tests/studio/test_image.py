"""Image: inputs of every kind, what networks say about them, maps, numbers, and attributions beside their twins."""

import io
import socket
import time
import types
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from PIL import Image

from neocog.errors import ConfigError
from neocog.explaining.methods import explain_with
from neocog.explaining.twins import randomised_twin
from neocog.progress import track
from neocog.studio import turns
from tests.support.scenes import Scenes
from tests.support.studio import TOKEN, axe_faults, chromium, open_page, serving
from tests.support.studio_networks import KINDS, asker, file_of, run_code

DRAWS = {
    "lenet": ("image", "classes"), "resnet18": ("image", "classes"), "unet": ("image", "mask"),
    "detector": ("image", "boxes"), "labels": ("image", "labels"), "values": ("image", "values"),
    "signal": ("curves", "classes"), "steps": ("curves", "mask"), "text": ("text", "labels"),
    "sound": ("spectrogram", "values"), "go": ("board", "classes"),
}  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("kind", KINDS)
def test_input_of_every_kind_is_received_as_the_predictor_reads_it(kind):
    key, (name, body) = asker().input(kind), file_of(kind)
    meta, tensors = asker().get("/api/image/received", network=kind, input=key)
    predictor = asker().opened(kind).predictor
    decoded = predictor.decode(asker().folder / name, name)
    assert meta["kind"] == DRAWS[kind][0] and meta["shape"] == list(decoded.shape) and meta["name"] == name
    values = predictor.preprocess.normalise(decoded[None]).float()
    assert meta["span"] == pytest.approx([float(values.min()), float(values.max())])
    (drawn,) = tensors.values()
    if kind == "sound":
        assert np.allclose(drawn, decoded[0].T.flip(0))
    else:
        assert np.allclose(drawn, decoded.float(), equal_nan=True)
    if kind == "text":
        assert [token for token, _ in meta["tokens"]] == body.decode().replace(",", " ,").split()[: len(decoded)]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_predictor(kind):
    key, (name, _) = asker().input(kind), file_of(kind)
    meta, tensors = asker().get("/api/image/outputs", network=kind, input=key)
    opened = asker().opened(kind)
    (prediction,) = opened.predictor.predict([asker().folder / name], top=1000)
    assert meta["draws"] == DRAWS[kind][1]
    if meta["draws"] in ("classes", "labels"):
        assert {row[0]: row[1] for row in meta["rows"]} == pytest.approx(dict(prediction.top), abs=1e-5)
    elif meta["draws"] == "values":
        assert [row[1] for row in meta["rows"]] == pytest.approx([value for _, value, _ in prediction.values], rel=1e-4)
    elif kind == "unet":
        assert (tensors["mask"] == prediction.mask).mean() > 0.99
        assert sum(share for _, share in meta["rows"]) == pytest.approx(1)
    elif kind == "steps":
        assert tensors["mask"].tolist() == [prediction.labels.tolist()]
    else:
        scores = np.array([each["score"] for each in meta["targets"]])
        assert len(prediction.scores) and np.isclose(prediction.scores[:20, None], scores, atol=1e-5).any(1).all()
        assert scores.tolist() == sorted(scores, reverse=True)
        left, top, right, bottom = meta["targets"][0]["box"]
        assert np.clip([left, top, right, bottom], 0, 64) == pytest.approx(prediction.boxes[0], abs=0.1)
    outputs = opened.explainer.outputs(asker().studio.input(key).inputs)
    for target in meta["targets"][:5]:
        assert target["value"] == pytest.approx(
            float(opened.explainer.task.find_target(outputs, target["spec"]).of(outputs))
        )


@pytest.mark.parametrize("kind", ["lenet", "unet", "detector", "signal", "text", "go"])
def test_maps_of_every_layer_have_the_shape_that_anatomy_names(kind):
    key = asker().input(kind)
    for layer in asker().get("/api/anatomy/network", network=kind)["layers"][:: 1 if kind == "lenet" else 9]:
        meta, tensors = asker().get("/api/image/maps", network=kind, input=key, layer=layer["name"])
        assert list(tensors["maps"].shape) == [layer["channels"], *layer["places"]], layer["name"]
        assert meta["channels"] == layer["channels"]


def test_maps_are_those_that_a_hook_sees():
    key, opened = asker().input("lenet"), asker().opened("lenet")
    seen = []
    module = opened.predictor.model.get_submodule("stages.0.0")
    handle = module.register_forward_hook(lambda _, __, made: seen.append(made[0].clone()))
    opened.predictor.model(asker().studio.input(key).inputs)
    handle.remove()
    _, tensors = asker().get("/api/image/maps", network="lenet", input=key, layer="stages.0.0")
    assert np.allclose(tensors["maps"], seen[0].detach(), atol=1e-5)
    _, part = asker().get("/api/image/maps", network="lenet", input=key, layer="stages.0.0", first=3)
    assert np.array_equal(part["maps"], tensors["maps"][3:])


@pytest.mark.parametrize("kind", ["lenet", "unet", "detector", "steps", "text", "go"])
def test_numbers_of_a_unit_add_up(kind):
    key = asker().input(kind)
    layers = asker().get("/api/anatomy/network", network=kind)["layers"]
    layer = [each for each in layers if each["convolution"]][1]
    unit = ",".join(map(str, [1, *(size // 2 for size in layer["places"])]))
    meta, tensors = asker().get("/api/image/unit", network=kind, input=key, layer=layer["name"], unit=unit)
    assert meta["sum"] + meta["bias"] == pytest.approx(meta["value"], abs=1e-4)
    if meta["count"] <= len(tensors["products"]):
        assert tensors["products"].sum() == pytest.approx(meta["sum"], abs=1e-4)
    assert np.allclose(tensors["sent"], meta["delta"] * tensors["weights"])
    assert sum(flow["sum"] for flow in meta["flows"]) == pytest.approx(meta["delta"], abs=1e-5)


@pytest.mark.parametrize("kind", ["lenet", "unet", "detector", "values", "signal", "steps", "text", "sound", "go"])
def test_attributions_are_those_of_the_engine(kind):
    key, explainer = asker().input(kind), asker().opened(kind).explainer
    targets = asker().get("/api/image/outputs", network=kind, input=key)[0]["targets"]
    target = targets[-1]["spec"] if kind != "unet" else "disc@10,12"
    listed = asker().get("/api/image/methods", network=kind, input=key, target=target)
    assert {"gradcam", "integrated"} <= {each["name"] for each in listed["methods"]}
    assert listed["usual"] in listed["layers"]
    inputs = asker().studio.input(key).inputs
    for method in ("gradient", "gradcam"):
        asked = {"network": kind, "input": key, "method": method, "target": target}
        meta, tensors = asker().get("/api/image/attribution", **asked)
        expected = explain_with(explainer, inputs, explainer.target(inputs, target), method)
        assert np.allclose(tensors["map"], expected.map.detach(), atol=1e-6)
        assert meta["logit"] == pytest.approx(expected.logit) and meta["scale"] == pytest.approx(expected.scale)
        assert meta["target"] == expected.target.text
        assert meta["reach"] <= meta["scale"] or meta["empty"]


def test_twin_is_that_of_the_engine():
    key, explainer = asker().input("lenet"), asker().opened("lenet").explainer
    asked = {"network": "lenet", "input": key, "method": "gradient", "target": "two"}
    meta, tensors = asker().get("/api/image/twin", **asked)
    inputs = asker().studio.input(key).inputs
    expected = randomised_twin(explainer, inputs, explainer.target(inputs, "two"), "gradient")
    assert meta["names"] == list(expected.names)
    assert meta["similarity"] == pytest.approx(expected.similarity)
    assert np.allclose(tensors["map"], expected.attribution.map.detach(), atol=1e-6)
    assert meta["reading"] and meta["level"] in ("good", "partly", "bad")


def test_code_of_every_view_makes_the_numbers_of_the_view():
    key = asker().input("lenet")
    every = {"network": "lenet", "input": key}
    asked = {"target": "two", "method": "gradcam", "layer": "stages.0.0"}
    twin, _ = asker().get("/api/image/twin", **every, **asked)
    printed, names = run_code(twin["code"], asker().folder)
    assert list(names["twin"].similarity) == pytest.approx(twin["similarity"]) and "stages" in printed
    attribution, tensors = asker().get("/api/image/attribution", **every, **asked)
    _, names = run_code(attribution["code"], asker().folder)
    assert np.allclose(names["found"].map.detach(), tensors["map"], atol=1e-6)
    unit, _ = asker().get("/api/image/unit", **every, layer="stages.0.0", unit="1,2,3", target="two")
    printed, names = run_code(unit["code"], asker().folder)
    assert names["found"].value == pytest.approx(unit["value"])
    maps, tensors = asker().get("/api/image/maps", **every, layer="stem.1")
    _, names = run_code(maps["code"], asker().folder)
    assert np.allclose(names["maps"], tensors["maps"], atol=1e-5)
    outputs, _ = asker().get("/api/image/outputs", **every)
    assert outputs["chosen"] in run_code(outputs["code"], asker().folder)[0]
    received, tensors = asker().get("/api/image/received", **every)
    _, names = run_code(received["code"], asker().folder)
    assert names["sample"].decoded.tolist() == tensors["pixels"].tolist()


@pytest.mark.parametrize("kind", ["signal", "text", "sound", "go"])
def test_code_reads_files_of_every_kind(kind):
    meta, _ = asker().get("/api/image/outputs", network=kind, input=asker().input(kind))
    assert meta["chosen"] in run_code(meta["code"], asker().folder)[0]


def test_typed_text_is_read_and_its_code_names_it():
    asker().opened("text")
    found = asker().post("/api/image/input", body=b"soup, 'bread' & rain", network="text", typed=True)
    meta, _ = asker().get("/api/image/received", network="text", input=found["input"])
    assert [token for token, _ in meta["tokens"]] == ["soup", ",", "'", "bread", "'", "&", "rain"]
    _, names = run_code(meta["code"], asker().folder)
    assert names["sample"].payload == "soup, 'bread' & rain"


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("lenet", b"not an image", "image"),
        ("signal", b"\x93NUMPY broken", "A signal is an .npy array or a .csv table"),
        ("signal", file_of("lenet")[1], "A signal is an .npy array or a .csv table"),
        ("sound", b"RIFF", "tone.bin"),
        ("go", b"(;GM[1]SZ[19];B[aa])", "This network takes boards of 9 x 9 points."),
        ("text", b"\xff\xfe", "A text must be UTF-8."),
        ("lenet", b"", "A file must not be empty."),
    ],
)
def test_input_of_the_wrong_kind_is_refused_with_the_reason(kind, body, said):
    asker().opened(kind)
    found = asker().post("/api/image/input", 400, body=body, name="tone.bin", network=kind)
    assert said in found["error"] and found["kind"]


def test_upload_names_no_file_of_this_machine():
    asker().opened("text")
    found = asker().post("/api/image/input", body=b"a text", name="/etc/passwd", network="text")
    meta, _ = asker().get("/api/image/received", network="text", input=found["input"])
    assert [token for token, _ in meta["tokens"]] == ["a", "text"]
    assert "Path('passwd')" in meta["code"]


def test_large_image_reaches_a_dense_network_in_parts():
    asker().opened("unet")
    file = io.BytesIO()
    pixels = np.tile(Scenes("classification").images[0], (1, 3))
    Image.fromarray(pixels).save(file, "png")
    (asker().folder / "wide.png").write_bytes(file.getvalue())
    found = asker().post("/api/image/input", body=file.getvalue(), name="wide.png", network="unet")
    assert found["parts"] > 2
    last = f"{found['input']}:{found['parts'] - 1}"
    meta, tensors = asker().get("/api/image/received", network="unet", input=last)
    assert tensors["pixels"][0].tolist() == pixels[:, -64:].tolist()
    _, names = run_code(meta["code"], asker().folder)
    assert names["sample"].decoded.tolist() == tensors["pixels"].tolist()
    missing = asker().get("/api/image/received", 400, network="unet", input=f"{found['input']}:99")
    assert "An input belongs to the network for which it was read." in missing["error"]


def test_sample_of_the_open_data_is_an_input_with_its_label():
    asker().opened("lenet")
    assert asker().get("/api/image/samples", network="lenet") == {"count": 36, "title": "scenes", "reason": ""}
    found = asker().post("/api/image/sample", json={"network": "lenet", "place": 5})
    record = asker().studio.source.read(5)
    assert found["name"] == record.key and found["truth"] == asker().studio.source.classes[record.target]
    meta, tensors = asker().get("/api/image/received", network="lenet", input=found["input"])
    _, names = run_code(meta["code"], asker().folder)
    assert names["sample"].decoded.tolist() == tensors["pixels"].tolist()
    again = asker().post("/api/image/sample", json={"network": "lenet", "record": record.key})
    assert again["input"] == found["input"]
    nowhere = asker().post("/api/image/sample", 400, json={"network": "lenet", "record": "none"})
    assert "The data have no sample of this name." in nowhere["error"]
    outside = asker().post("/api/image/sample", 400, json={"network": "lenet", "place": 36})
    assert "A sample is a number from 0 to 35." in outside["error"]


def test_data_of_another_kind_is_named():
    asker().opened("signal")
    found = asker().get("/api/image/samples", network="signal")
    assert found["count"] == 0
    assert "Samples come from data that is open: signal data for this network." in found["reason"]
    assert "image data" in found["reason"]
    refused = asker().post("/api/image/sample", 400, json={"network": "signal", "place": 0})
    assert refused["error"] == found["reason"]


def test_run_gives_its_own_validation_samples(tmp_path, monkeypatch):
    opened = asker().opened("lenet")
    data = {"val_fraction": 0.25, "test_fraction": 0.25, "seed": 1}
    (tmp_path / "config.yaml").write_text(f"data:\n  source: {asker().folder / 'scenes'}\n")
    monkeypatch.setattr(opened, "run", tmp_path)
    monkeypatch.setitem(opened.predictor.manifest, "data", data)
    monkeypatch.setattr(asker().studio, "source", None)
    monkeypatch.setattr(asker().studio, "source_path", "run")
    found = asker().get("/api/image/samples", network="lenet")
    assert found["title"] == "validation samples of scenes" and 0 < found["count"] < 36
    monkeypatch.setitem(opened.predictor.manifest, "data", data | {"training part": "other"})
    monkeypatch.setattr(asker().studio, "source_path", "changed")
    found = asker().get("/api/image/samples", network="lenet")
    assert found["count"] == 36 and found["title"] == "all samples of scenes, training samples among them"
    (tmp_path / "config.yaml").write_text("data:\n  source: /nowhere/at/all\n")
    monkeypatch.setattr(asker().studio, "source_path", "gone")
    assert "can't be opened" in asker().get("/api/image/samples", network="lenet")["reason"]


def test_forgotten_input_is_asked_for_again():
    asker().opened("lenet")
    found = asker().get("/api/image/received", 400, network="lenet", input="0123")
    assert "An input is sent before it is looked at." in found["error"] and found["kind"] == "input"


def test_answer_that_nobody_waits_for_is_not_computed(monkeypatch):
    monkeypatch.setattr(turns, "gone", lambda request: True)
    studio = asker().studio
    request = types.SimpleNamespace(app=types.SimpleNamespace(state=types.SimpleNamespace(studio=studio)))
    computed = []
    for call in (lambda: turns.alone(request, lambda: computed.append(1)),
                 lambda: turns.remember(request, "nobody", lambda: computed.append(1))):  # fmt: skip
        with pytest.raises(ConfigError, match="The page no longer waits for this answer"):
            call()
    assert computed == [] and "nobody" not in studio.results


def test_work_that_nobody_waits_for_any_more_ends_at_its_next_step(monkeypatch):
    done, answers = [], iter([False, False])
    monkeypatch.setattr(turns, "gone", lambda request: next(answers, True))
    monkeypatch.setattr(turns, "LOOK", 0.0)
    request = types.SimpleNamespace(app=types.SimpleNamespace(state=types.SimpleNamespace(studio=asker().studio)))
    with pytest.raises(ConfigError, match="The page no longer waits for this answer"):
        turns.alone(request, lambda: [done.append(k) for k in track(range(10), "steps")])
    assert done == [0]


def test_request_that_was_dropped_while_it_waited_is_not_computed():
    key, studio = asker().input("lenet"), asker().studio
    asked = {"network": "lenet", "input": key, "method": "layercam", "target": "one"}
    with serving(studio) as address:
        host = address.removeprefix("http://").partition("/")[0]
        waiting = socket.create_connection(host.split(":"))
        with studio.lock:
            waiting.sendall(
                f"GET /api/image/attribution?{urlencode(asked)}&token={TOKEN} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            )
            time.sleep(0.3)
            waiting.close()
            time.sleep(0.2)
        time.sleep(0.3)
    assert ("attribution", "lenet", key, "layercam", "one", "") not in studio.results
    asker().get("/api/image/attribution", **asked)
    assert ("attribution", "lenet", key, "layercam", "one", "") in studio.results


def test_network_is_left_as_it_was():
    opened = asker().opened("lenet")
    key = asker().input("lenet")
    before = {name: tensor.clone() for name, tensor in opened.predictor.model.state_dict().items()}
    for path in ("outputs", "maps", "unit", "attribution", "twin"):
        asker().get(f"/api/image/{path}", network="lenet", input=key, layer="stem.0", unit="0,1,1", method="gradcam")
    after = opened.predictor.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in opened.predictor.model.parameters())


def test_page_shows_input_outputs_maps_numbers_and_attributions(browser):
    for kind in ("lenet", "detector", "text", "unet"):
        asker().opened(kind)
    (asker().folder / "broken.png").write_bytes(b"no image")
    with serving(asker().studio) as address:
        watched = open_page(browser, f"{address}#/image?network=lenet")
        page = watched.page
        page.locator("input[type=file]").set_input_files(asker().folder / "broken.png")
        page.get_by_role("alert").filter(has_text="broken.png").wait_for()
        assert any("400" in fault for fault in watched.faults)
        watched.faults.clear()
        page.locator("input[type=file]").set_input_files(asker().folder / "scene.png")
        page.get_by_text("rank correlation with that of the random network").wait_for()
        page.get_by_label("Explain").select_option("two")
        page.get_by_text("Grad-CAM for two").wait_for()
        heat = page.get_by_label("Channel 0 of stem.0")
        heat.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Unit 0, 1, 0 of stem.0").wait_for()
        assert axe_faults(page) == []
        for kind, text in (
            ("text", "What it receives"),
            ("unet", "Mean probability"),
            ("detector", "objects with a score"),
        ):
            page.evaluate("kind => neocogGo('image', {network: kind})", kind)
            page.locator("input[type=file]").set_input_files(asker().folder / file_of(kind)[0])
            page.get_by_text(text).first.wait_for()
            page.get_by_role("heading", name="Maps of every layer").wait_for()
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert watched.faults == [] and watched.strangers(address) == []
        page.close()


WALL = """async () => {
  const { drawWall, scaleOf } = await import("/js/draw.js");
  const data = Float32Array.from({ length: 512 * 14 * 14 }, (_, i) => Math.sin(i));
  const times = [];
  for (let k = 0; k < 7; k++) {
    const canvas = document.createElement("canvas"), from = performance.now();
    const scaleFor = (_, part) => scaleOf(part, { signed: true });
    drawWall(canvas, { shape: [512, 14, 14], data }, { columns: 36, scaleFor });
    canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - from);
  }
  return Math.min(...times);
}"""


def test_wall_of_512_maps_draws_in_50_ms(browser):
    with serving(asker().studio) as address:
        watched = open_page(browser, address)
        assert watched.page.evaluate(WALL) < 50
        watched.page.close()
