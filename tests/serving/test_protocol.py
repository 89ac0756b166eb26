"""Requests that are wrong are answered with a sentence that says how, and never reach the engine."""

import copy
import gzip
import json
import zlib

import numpy as np
import pytest

from neocog.serving.settings import ServeSettings
from tests.support.served import repository_of, running

PATH = "/v2/models/digits/infer"
MOST = 100_000  # bytes of a body


@pytest.fixture(scope="module")
def server():
    settings = ServeSettings(max_body=MOST, max_inputs=4, max_json_depth=8)
    kinds = {"digits": "image classification", "signals": "signal classification", "texts": "characters"}
    with running(repository_of(settings, **kinds), settings) as client:
        yield client


def request(server, name="digits"):
    spec = server.server.repository.get(name).input
    sizes = {"digits": (1, 4, 5), "signals": (1, 1, 80), "texts": (2,)}[name]
    shape = [sizes[k] if size is None else size for k, size in enumerate(spec.shape)]
    count = int(np.prod(shape))
    data = ["good", "bad"] if name == "texts" else [float(i) for i in range(count)]
    kind = {"digits": "UINT8", "signals": "FP32", "texts": "BYTES"}[name]
    data = [int(x) for x in data] if kind == "UINT8" else data
    return {"inputs": [{"name": spec.name, "datatype": kind, "shape": shape, "data": data}]}


def change(path, value):
    """The change of one place of a request."""

    def apply(given):
        given = copy.deepcopy(given)
        *way, last = path
        place = given
        for key in way:
            place = place[key]
        place[last] = value
        return given

    return apply


INPUT = ("inputs", 0)
CHANGES = {
    "no inputs": (change(("inputs",), []), "The model has one input, 'images'. Received: none."),
    "two inputs": (lambda r: {"inputs": r["inputs"] * 2}, "The model has one input, 'images'."),
    "inputs of another type": (change(("inputs",), {}), "inputs must be a list of objects. Received: an object."),
    "inputs that are missing": (lambda r: {}, "inputs must be a list of objects. Received: nothing."),
    "another name": (change((*INPUT, "name"), "pictures"), "The model has one input, 'images'. Received: 'pictures'."),
    "another type": (change((*INPUT, "datatype"), "FP32"), "The datatype of 'images' is UINT8. Received: 'FP32'."),
    "a shape of text": (change((*INPUT, "shape"), "big"), "The shape of 'images' is a list of whole numbers."),
    "a shape of floats": (change((*INPUT, "shape"), [1.0, 2]), "The shape of 'images' is a list of whole numbers."),
    "too few axes": (change((*INPUT, "shape"), [4, 5]), "The shape of 'images' is [-1, -1, -1,"),
    "no rows": (change((*INPUT, "shape"), [0, 4, 5, 3]), "where -1 is any size from 1. Received: [0, 4, 5, 3]."),
    "a negative size": (change((*INPUT, "shape"), [1, -4, 5, 3]), "Received: [1, -4, 5, 3]."),
    "too many rows": (change((*INPUT, "shape"), [5, 4, 5, 1]), "At most 4 inputs are taken at once. Received: 5."),
    "a huge shape": (change((*INPUT, "shape"), [1, 10**12, 10**12, 1]), "000,000 values. Received: 20."),
    "too few values": (change((*INPUT, "data"), [1, 2]), "values. Received: 2. Send all of the data, and its shape."),
    "data of another type": (change((*INPUT, "data"), "0000"), "data of 'images' must be a list. Received: '0000'."),
    "data twice": (change((*INPUT, "parameters"), {"binary_data_size": 4}), "'images' needs its values once."),
    "parameters of another type": (change(("parameters",), [1]), "parameters must be an object. the request"),
    "id of another type": (change(("id",), 7), "id must be a string. Received: 7."),
    "timeout of another type": (change(("parameters",), {"timeout": "1 s"}), "timeout is a whole number of microsecon"),
    "unknown output": (change(("outputs",), [{"name": "boxes"}]), "Each output must be one of logits, probabilities"),
    "output twice": (change(("outputs",), [{"name": "logits"}] * 2), "once. Received: 'logits'. Name another."),
    "outputs of another type": (change(("outputs",), "all"), "outputs must be a list of objects. Received: a string."),
    "binary_data of another type": (
        change(("outputs",), [{"name": "logits", "parameters": {"binary_data": 1}}]),
        "binary_data is true or false. output 'logits': received 1.",
    ),
    "binary_data_output of another type": (
        change(("parameters",), {"binary_data_output": "yes"}), "binary_data_output is true or false. the request",
    ),
    "classification of another type": (
        change(("outputs",), [{"name": "logits", "parameters": {"classification": True}}]),
        "classification is how many classes to name. Received: True.",
    ),
    "shared memory out": (
        change(("outputs",), [{"name": "logits", "parameters": {"shared_memory_region": "a"}}]),
        "This server does not write shared memory.",
    ),
    "binary size without the header": (
        lambda r: {"inputs": [{**{k: v for k, v in r["inputs"][0].items() if k != "data"},
                               "parameters": {"binary_data_size": 60}}]},
        "Binary data needs the header Inference-Header-Content-Length.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_wrong_request_is_explained(server, name):
    make, sentence = CHANGES[name]
    assert sentence in server.error("POST", PATH, 400, json=make(request(server)))


def test_right_request_is_answered_also_nested_and_with_null_options(server):
    given = request(server)
    flat = server.post(PATH, json=given).json()["outputs"]
    array = np.reshape(given["inputs"][0]["data"], given["inputs"][0]["shape"])
    given["inputs"][0]["data"] = array.tolist()
    nested = server.post(PATH, json={**given, "id": None, "outputs": None, "parameters": {"timeout": None}}).json()
    assert nested["outputs"] == flat and "id" not in nested
    given["inputs"][0]["data"] = array.tolist()[0]
    assert "Nested lists of 'images' must have the shape" in server.error("POST", PATH, 400, json=given)


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (3, 256, "The values of 'images' are from 0 to 255. Received: 256 at place 3."),
        (0, -1, "Received: -1 at place 0."),
        (2, 1.5, "Each value of 'images' is a whole number. Received: 1.5 at place 2."),
        (2, True, "Each value of 'images' is a whole number. Received: True at place 2."),
        (1, "7", "Received: '7' at place 1."),
        (1, None, "Received: None at place 1."),
        (1, 10**400, "at place 1."),
    ],
)
def test_wrong_pixel_is_named(server, place, value, sentence):
    given = request(server)
    given["inputs"][0]["data"][place] = value
    assert sentence in server.error("POST", PATH, 400, json=given)


@pytest.mark.parametrize(
    ("literal", "sentence"),
    [
        ("NaN", "All values of 'signals' must be finite. Received: nan at [0, 0, 2]. Replace it."),
        ("Infinity", "Received: inf at [0, 0, 2]."),
        ("-Infinity", "Received: -inf at [0, 0, 2]."),
        ("1e400", "Received: inf at [0, 0, 2]."),
        ("1e39", "Received: inf at [0, 0, 2]."),
        ("1" + "0" * 400, "Received: a number beyond the range of FP32 at place 2."),
        ("1" * 5000, "An infer request must be JSON. Received: a number of too many digits."),
        ("true", "Each value of 'signals' is a number. Received: True at place 2."),
    ],
)
def test_wrong_float_is_named(server, literal, sentence):
    given = request(server, "signals")
    given["inputs"][0]["data"][2] = "HERE"
    body = json.dumps(given).replace('"HERE"', literal)
    assert sentence in server.error("POST", "/v2/models/signals/infer", 400, content=body)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "An infer request must be JSON. Received: nothing."),
        (b"[", "Received: Expecting value at line 1, column 2."),
        (b"[]", "An infer request must be a JSON object. Received: a list."),
        (b"7", "Received: a number."),
        (b"\xff{}", "An infer request must be JSON. Received: bytes that are not UTF-8, from place 0."),
        (b"[" * 50_000, "must not nest lists and objects deeper than 8 levels. Received: 50000."),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "deeper than 8 levels. Received: 9. Send numbers as a flat list"),
    ],
)
def test_body_that_is_not_an_object_is_explained(server, body, sentence):
    assert sentence in server.error("POST", PATH, 400, content=body)


def test_brackets_in_strings_are_not_levels(server):
    given = {**request(server), "id": r'[[[[[[[[[[[["\"{{{{{{{{{{\\'}
    assert server.post(PATH, json=given).json()["id"] == given["id"]


def binary(server, name="digits", data=None, **parameters):
    """A binary request: headers and body."""
    given = request(server, name)
    values = given["inputs"][0].pop("data")
    if data is None:
        data = bytes(values) if name == "digits" else np.array(values, np.float32).tobytes()
    given["inputs"][0]["parameters"] = {"binary_data_size": len(data), **parameters}
    head = json.dumps(given).encode()
    return {"Inference-Header-Content-Length": str(len(head))}, head + data


def test_binary_request_equals_the_same_as_json(server):
    headers, body = binary(server)
    found = server.post(PATH, headers=headers, content=body).json()["outputs"]
    assert found == server.post(PATH, json=request(server)).json()["outputs"]


@pytest.mark.parametrize("length", ["0", "-1", "7.0", "abc", "99999999", "9" * 30, "²"])
def test_wrong_header_length_is_explained(server, length):
    _, body = binary(server)
    headers = {"Inference-Header-Content-Length": length.encode("latin-1")}
    assert "Inference-Header-Content-Length is the length of the JSON" in server.error(
        "POST", PATH, 400, headers=headers, content=body
    )


@pytest.mark.parametrize("cut", [1, 15])
def test_truncated_and_surplus_binary_data_are_explained(server, cut):
    headers, body = binary(server)
    sentence = "binary_data_size of 'images' is the number of bytes after the JSON."
    assert sentence in server.error("POST", PATH, 400, headers=headers, content=body[:-cut])
    assert sentence in server.error("POST", PATH, 400, headers=headers, content=body + b"x" * cut)
    headers, body = binary(server, data=b"x" * cut)
    assert f"bytes. Received: {cut}. Send all of the data" in server.error(
        "POST", PATH, 400, headers=headers, content=body
    )
    head = json.dumps(request(server)).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    assert "Bytes after the JSON belong to inputs with binary_data_size. Received: 3 bytes." in server.error(
        "POST", PATH, 400, headers=headers, content=head + b"abc"
    )


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x04\0\0\0good", "has as many elements as its shape says. Received: 1 for 2."),
        (b"\x04\0\0\0good\x03\0\0\0bad\x01\0\0\0x", "Received: 2 and 5 more bytes for 2."),
        (b"\x04\0\0\0good\xff\xff\xff\xffbad", "Received: element 1 that ends after the data."),
        (b"\x04\0\0\0good\x03\0", "Received: element 1 that ends after the data."),
        (b"\x04\0\0\0good\x01\0\0\0\xff", "UTF-8"),
    ],
)
def test_wrong_elements_are_explained(server, data, sentence):
    headers, body = binary(server, "texts", data=data)
    assert sentence in server.error("POST", "/v2/models/texts/infer", 400, headers=headers, content=body)


def test_words_in_json_are_strings(server):
    given = request(server, "texts")
    given["inputs"][0]["data"] = ["good", 7]
    assert "Each value of 'texts' is a string. Received: 7 at place 1." in server.error(
        "POST", "/v2/models/texts/infer", 400, json=given
    )
    given["inputs"][0]["data"] = ["good", "\ud800"]
    lone = json.dumps(given)  # escaped, half of a pair
    assert server.post("/v2/models/texts/infer", content=lone).status_code == 200


def test_compressed_bodies(server):
    plain = json.dumps(request(server)).encode()
    expected = server.post(PATH, content=plain).json()
    raw = zlib.compressobj(wbits=-15)
    forms = {
        "gzip": gzip.compress(plain), "deflate": zlib.compress(plain), "x-gzip": gzip.compress(plain),
        "deflate ": raw.compress(plain) + raw.flush(), "identity": plain,
        "deflate, gzip": gzip.compress(zlib.compress(plain)),
        "gzip ": gzip.compress(plain[:50]) + gzip.compress(plain[50:]),
    }  # fmt: skip
    for form, body in forms.items():
        answer = server.post(PATH, headers={"content-encoding": form.strip()}, content=body)
        assert answer.json() == expected, form
    damaged = "A body with Content-Encoding: gzip must be compressed that way."
    for body in (forms["gzip"][:-9], b"junk", forms["gzip"][:20] + b"\0\0\0" + forms["gzip"][23:], b""):
        assert damaged in server.error("POST", PATH, 400, headers={"content-encoding": "gzip"}, content=body)
    assert "Content-Encoding must be gzip, deflate or identity. Received: 'br'." in server.error(
        "POST", PATH, 415, headers={"content-encoding": "br"}, content=plain
    )
    bomb = gzip.compress(b"\0" * 50_000_000)
    for body in (bomb, gzip.compress(bomb)):
        form = "gzip" if body is bomb else "gzip, gzip"
        assert "The body must not be larger than this server takes. Received: more than 100,000 bytes." in server.error(
            "POST", PATH, 413, headers={"content-encoding": form}, content=body
        )
    assert "more than 100,000 bytes" in server.error("POST", PATH, 413, content=b"x" * (MOST + 1))


def test_random_damage_never_becomes_a_failure_of_the_server(server):
    random = np.random.default_rng(0)
    for trial in range(150):
        headers, body = binary(server)
        body = bytearray(body)
        for _ in range(random.integers(1, 4)):
            body[random.integers(len(body) - 60)] = random.integers(256)
        if trial % 3 == 0:
            body = body[: random.integers(len(body))]
        answer = server.post(PATH, headers=headers, content=bytes(body))
        assert answer.status_code in (200, 400), (answer.status_code, bytes(body))
        assert answer.status_code == 200 or list(answer.json()) == ["error"]
