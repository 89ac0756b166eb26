"""Files in, predictions out: by any way of sending, what `Predictor` says."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from neocog.serving.settings import ServeSettings
from tests.support.served import SAMPLES, repository_of, running
from tests.support.small_models import Spots

KINDS = {
    "digits": "image classification", "masks": "segmentation", "boxes": "detection", "sizes": "image regression",
    "tags": "image multi-label", "signals": "signal classification", "events": "signal segmentation", "sounds": "sound",
    "texts": "characters", "go": "go",
}  # fmt: skip
GAME = b"(;GM[1]SZ[9];B[ee];W[cc])"


@pytest.fixture(scope="module")
def server():
    settings = ServeSettings(max_inputs=3, max_pixels=5000)
    with running(repository_of(settings, **KINDS), settings) as client:
        yield client


def predictor_of(server, name):
    return server.server.repository.get(name).predictor


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.squeeze(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def picture(name="digits"):
    return np.asarray(SAMPLES[name])


def expected(server, name, content, top=5):
    prediction = predictor_of(server, name).predict(content, top)[0]
    return json.loads(json.dumps(prediction.to_json()))


def close(found, wanted):
    """Whether JSON has these values, up to the rounding of another batch size."""
    if isinstance(wanted, dict):
        return all(close(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(close, found, wanted))
    return found == pytest.approx(wanted, abs=1e-5) if isinstance(wanted, float) else found == wanted


@pytest.mark.parametrize("name", ["digits", "masks", "boxes", "sizes", "tags"])
def test_image_file_is_predicted_as_by_the_predictor(server, name):
    content = png(picture(name))
    found = server.post(f"/models/{name}/predict", content=content).json()
    assert (found["model"], found["version"], found["name"]) == (name, "1", "the input")
    assert close(found, expected(server, name, content))


def test_other_kinds_of_data_are_predicted(server):
    signal, file = np.asarray(SAMPLES["signals"], np.float64), SAMPLES["sounds"]
    sound = np.sin(np.arange(4000) / 9).astype(np.float32)
    cases = {
        "signals": ({"json": {"values": signal.tolist()}}, signal),
        "sounds": ({"json": {"values": sound.tolist()}}, sound),
        "texts": ({"content": b"a quick fox"}, b"a quick fox"),
        "go": ({"content": GAME}, GAME),
    }
    for name, (options, content) in cases.items():
        found = server.post(f"/models/{name}/predict", **options)
        assert close(found.json(), expected(server, name, content)), found.text
    assert close(server.post("/models/sounds/predict", content=file).json(), expected(server, "sounds", file))
    for name, text in {"texts": "a quick fox", "go": GAME.decode()}.items():
        found = server.post(f"/models/{name}/predict", json={"text": text})
        assert close(found.json(), expected(server, name, text.encode()))
    events = server.post("/models/events/predict", json={"values": np.asarray(SAMPLES["events"]).tolist()}).json()
    assert events["segments"][-1]["end"] == events["length"] == np.asarray(SAMPLES["events"]).shape[-1]


def test_signal_as_a_table_and_with_missing_values(server):
    signal = np.asarray(SAMPLES["signals"], np.float64)
    rows = ["time," + ",".join(f"c{k}" for k in range(len(signal)))]
    rows += [f"{i}," + ",".join(f"{value!r}" for value in column) for i, column in enumerate(signal.T.tolist())]
    table = "\n".join(rows).encode()
    whole = server.post("/models/signals/predict", content=table, headers={"content-type": "text/csv"})
    assert close(whole.json(), expected(server, "signals", signal)), whole.text
    values = signal.tolist()
    values[0][3] = None
    holed = signal.copy()
    holed[0, 3] = np.nan
    found = server.post("/models/signals/predict", json={"values": values})
    assert close(found.json(), expected(server, "signals", holed)), found.text


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_content_decides_not_its_type(server, kind):
    content = png(picture())
    headers = {"content-type": kind} if kind else {}
    assert (
        server.post("/predict", content=content, headers=headers).json()["class"]
        == (expected(server, "digits", content)["class"])
    )


def test_json_forms_agree_with_the_file(server):
    content = png(picture())
    wanted = expected(server, "digits", content)
    text = base64.b64encode(content).decode()
    for body in ({"file": text}, {"file": f"data:image/png;base64,{text}"}, {"values": np.squeeze(picture()).tolist()}):
        assert close(server.post("/predict", json=body).json(), wanted)
    untyped = json.dumps({"file": text}).encode()
    for headers in ({}, {"content-type": "application/x-www-form-urlencoded"}):
        assert close(server.post("/predict", content=untyped, headers=headers).json(), wanted)


def form(*parts):
    """A form by hand: header lines and content of each part."""
    body = (
        b"".join(b"--XX\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
        + b"--XX--\r\n"
    )
    return {"content": body, "headers": {"content-type": "multipart/form-data; boundary=XX"}}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('form-data; name="file"; filename="seven.png"', "seven.png"),
        ("form-data; name=\"file\"; filename*=UTF-8''si%C3%A8ben.png", "siében.png".replace("é", "è")),
        ('form-data; name="file"; filename=""', "file"),
        ('form-data; name="file"', "file"),
        ('form-data; name="anything"', "anything"),
        ("form-data", "the input"),
    ],
)
def test_part_of_a_form_is_an_input_whatever_its_name(server, disposition, name):
    content = png(picture())
    answer = server.post("/predict", **form((f"Content-Disposition: {disposition}", content)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == name
    assert close(answer.json(), expected(server, "digits", content))


def test_forms_of_a_usual_client_and_their_options(server):
    content = png(picture())
    found = server.post("/predict", files={"file": ("seven.png", content)}, data={"top": "1"}).json()
    assert found["name"] == "seven.png" and len(found["top"]) == 1
    assert len(server.post("/predict?top=2", content=content).json()["top"]) == 2
    values = np.squeeze(picture()).tolist()
    assert len(server.post("/predict", json={"values": values, "top": 2}).json()["top"]) == 2


def test_several_inputs_have_an_answer_or_an_error_each(server):
    content = png(picture())
    files = [("file", ("a.png", content)), ("file", ("b.png", b"junk")), ("file", ("c.png", content))]
    found = server.post("/predict", files=files).json()["predictions"]
    assert [one["name"] for one in found] == ["a.png", "b.png", "c.png"]
    assert found[0]["class"] == found[2]["class"] and "b.png" in found[1]["error"]
    text = base64.b64encode(content).decode()
    bad = base64.b64encode(b"junk").decode()
    body = {"inputs": [{"file": bad, "name": "x"}, {"file": text}], "top": 1}
    found = server.post("/predict", json=body).json()["predictions"]
    assert "error" in found[0] and found[1]["name"] == "input 1" and len(found[1]["top"]) == 1
    assert len(server.post("/predict", json={"inputs": [{"file": text}]}).json()["predictions"]) == 1
    (none,) = server.post("/predict", json={"inputs": [{"file": bad}]}).json()["predictions"]
    assert "error" in none
    masks = server.post("/models/masks/predict", files=[("a", ("a.png", b"junk")), ("b", ("b.png", content))]).json()
    assert "error" in masks["predictions"][0] and "mask" in masks["predictions"][1]


def test_mask_is_a_png_of_class_numbers(server):
    content = png(picture("masks"))
    found = server.post("/models/masks/predict", content=content).json()
    wanted = predictor_of(server, "masks").predict(content)[0].mask
    decoded = Image.open(io.BytesIO(base64.b64decode(found["mask"])))
    assert decoded.mode == "P" and np.array_equal(np.asarray(decoded), wanted) and wanted.any()
    assert found["classes"] == ["ground", "spot"]
    answer = server.post("/models/masks/predict", content=content, headers={"accept": "image/png"})
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), wanted)
    assert "A PNG file is the answer of a network that predicts a mask" in server.error(
        "POST", "/models/boxes/predict", 406, content=content, headers={"accept": "image/png"}
    )


def test_boxes_have_labels_scores_and_places(server):
    content = png(picture("boxes"))
    found = server.post("/models/boxes/predict", content=content).json()
    assert found["count"] == len(found["objects"]) >= 2
    assert {*found["objects"][0]} == {"label", "score", "box"}
    assert len(server.post("/models/boxes/predict?top=1", content=content).json()["objects"]) == 1


EVEN = "values must be numbers in nested lists of equal length."
JPEG = {"content-type": "application/json"}
WRONG = {
    "nothing": ({"content": b""}, "An input must not be empty. the input: received no bytes."),
    "not an image": ({"content": b"junk"}, "the input"),
    "too many pixels": ({"content": png(np.zeros((80, 80), np.uint8))}, "at most 0.005 million pixels"),
    "empty part": (form(('Content-Disposition: form-data; name="a"', b"")), "An input must not be empty. a: received"),
    "no parts": (form(), "Nothing to predict. Received: no input."),
    "too many parts": (form(*[('Content-Disposition: form-data; name="a"', b"x")] * 4), "At most 3 inputs are taken"),
    "no boundary": ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "needs a boundary."),
    "truncated form": (
        {"content": b"--XX\r\nContent-Disposition: form-data\r\n\r\nabc",
         "headers": {"content-type": "multipart/form-data; boundary=XX"}},
        "A form must be multipart/form-data as RFC 7578 says. Received: it ends before its last boundary.",
    ),
    "damaged form": (
        {"content": b"abc", "headers": {"content-type": "multipart/form-data; boundary=XX"}},
        "A form must be multipart/form-data as RFC 7578 says.",
    ),
    "not JSON": ({"content": b"{", "headers": JPEG}, "The body must be JSON."),
    "a list": ({"json": [1]}, "The body must be a JSON object. Received: a list."),
    "no form": ({"json": {"image": "x"}}, "An input is an object with one of file (base64), values or text"),
    "two forms": ({"json": {"file": "", "values": []}}, "An input is an object with one of file (base64), values or"),
    "file of another type": ({"json": {"file": 7}}, "file must be a string. the input: received a number."),
    "not base64": ({"json": {"file": "%%%"}}, "file must be base64. the input: received '%%%'."),
    "empty file": ({"json": {"file": ""}}, "An input must not be empty."),
    "text": ({"json": {"text": "seven"}}, "digits takes images. the input: received a text."),
    "ragged values": ({"json": {"values": [[1, 2], [3]]}}, EVEN),
    "values of text": ({"json": {"values": [["1", "2"]]}}, EVEN),
    "values of truth": ({"json": {"values": [[True, False]]}}, EVEN),
    "no values": ({"json": {"values": []}}, EVEN),
    "values that are NaN": ({"content": b'{"values": [[NaN]]}', "headers": JPEG}, "values must be finite."),
    "values that are missing": ({"json": {"values": [[1, None]]}}, "values must be finite."),
    "pixels beyond 255": ({"json": {"values": [[0, 256]]}}, "Pixels are whole numbers from 0 to 255."),
    "name of another type": ({"json": {"file": "aaaa", "name": 7}}, "name must be a string. the input: received 7."),
    "inputs of another type": ({"json": {"inputs": {}}}, "inputs is a list, and nothing else is beside it."),
    "inputs beside others": ({"json": {"inputs": [], "file": ""}}, "nothing else is beside it. Received: 'file'."),
    "no inputs": ({"json": {"inputs": []}}, "Nothing to predict. Received: no input."),
    "an unknown option": ({"params": {"best": 1}, "content": b"x"}, "Known options: top. the query: received 'best'."),
    "top of zero": ({"params": {"top": 0}, "content": b"x"}, "top is a whole number from 1. Received: '0'."),
    "top of text": ({"json": {"top": "5", "file": "aaaa"}}, "top must be a whole number. Received: '5'."),
    "deep JSON": ({"content": b'{"values":' + b"[" * 40 + b"]" * 40 + b"}", "headers": JPEG}, "deeper than 32 levels"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_request_is_explained(server, name):
    options, sentence = WRONG[name]
    assert sentence in server.error("POST", "/predict", 400, **options)


def test_wrong_signals_and_texts_are_explained(server):
    spoilt = {"content": b'{"values": [[1, NaN, 2]]}', "headers": JPEG}
    assert "Write null for a missing sample of a signal." in server.error(
        "POST", "/models/signals/predict", 400, **spoilt
    )
    assert "texts takes text. the input: received values. Send text or file." in server.error(
        "POST", "/models/texts/predict", 400, json={"values": [1]}
    )
    assert "UTF-8" in server.error("POST", "/models/texts/predict", 400, content=b"\xff\xfe")
    assert "go" and server.error("POST", "/models/go/predict", 400, content=b"not a game")


def test_bad_file_in_a_batch_fails_alone(server, monkeypatch):
    """A file that fails only in the engine does not take the others of its batch with it."""
    import concurrent.futures

    contents = [png(picture("masks")), png(np.full((32, 32), 7, np.uint8))]
    original = Spots.forward

    def forward(self, images):
        if (images[..., 0, 0] * 255).round().eq(7).any():
            raise ValueError("a bad image")
        return original(self, images)

    monkeypatch.setattr(Spots, "forward", forward)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: server.post("/models/masks/predict", content=contents[i % 4 == 3]), range(16)))
    assert [one.status_code for one in found] == [500 if i % 4 == 3 else 200 for i in range(16)]
    assert found[3].json() == {"error": "The server failed at this request. Its log says how."}


def test_explanation_is_a_figure_with_its_target(server):
    content = png(picture())
    found = server.post("/explain?method=gradient", content=content)
    assert found.status_code == 200, found.text
    figure = Image.open(io.BytesIO(base64.b64decode(found.json()["png"])))
    assert figure.format == "PNG" and min(figure.size) > 100
    assert found.json()["target"] == expected(server, "digits", content)["class"]
    assert found.json()["methods"][0]["method"] == "gradient"
    answer = server.post(
        "/models/digits/explain", files={"file": ("a.png", content)}, data={"method": "gradient"},
        headers={"accept": "image/png"},
    )  # fmt: skip
    assert answer.headers["content-type"] == "image/png"
    assert "Unknown method." in server.error("POST", "/explain?method=magic", 400, content=content)
    assert "One method is shown at a time." in server.error("POST", "/explain?method=all", 400, content=content)
    assert "One input is explained at a time." in server.error(
        "POST", "/explain", 400, files=[("a", content), ("b", content)]
    )


def test_one_explanation_at_a_time(server):
    busy = server.server.explainer.busy
    assert busy.acquire(timeout=10)
    try:
        answer = server.post("/explain", content=png(picture()))
    finally:
        busy.release()
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert answer.json()["error"] == "Another input is being explained. Try again in 5 s."
