"""Malformed requests to a server of image networks, made from a seed, and what is wrong with an answer to one.

A request that is not as it should be must be answered with a status of 4xx and a reason, or its connection closed if it
isn't HTTP; never with 5xx, and never with silence.
"""

import functools
import gzip
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from serve_apps.requests import BOUNDARY, is_right, upload

__all__ = ["Malformed", "fault_of", "malformed_requests"]

Case = tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request, the kind of its fault, and what a server may do with it."""

    kind: str
    request: bytes
    content: bytes | None = None
    """The file that it uploads, if the request around it is right: the network itself says what the answer is."""
    lenient: bool = False
    """Whether it may be right by chance, so that 200 isn't a fault."""
    raw: bool = False
    """Whether it isn't HTTP, so that the connection may be closed without an answer, or the rest be waited for."""


def post(path: str, body: bytes, kind: str = "application/json", *headers: str, length: object = None) -> bytes:
    """A POST request with these headers; `length` instead of the body's own."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, *headers, "", ""]).encode("utf-8", "surrogateescape") + body


@dataclass(frozen=True, slots=True)
class Maker:
    """A maker of malformed requests for one model that takes images of this size."""

    model: str
    size: tuple[int, int, int]
    image: bytes
    random: random.Random

    @property
    def path(self) -> str:
        return f"/v2/models/{self.model}/infer"

    def tensor(self, **changes: Any) -> dict[str, Any]:
        """A right infer request with changes of its only input."""
        count = self.size[0] * self.size[1] * self.size[2]
        one = {"name": "images", "datatype": "UINT8", "shape": [1, *self.size], "data": [7] * count, **changes}
        return {"inputs": [{key: value for key, value in one.items() if value is not ...}]}

    def infer(self, value: Any, kind: str, **more: Any) -> Malformed:
        return Malformed(
            kind, post(self.path, value if isinstance(value, bytes) else json.dumps(value).encode()), **more
        )

    def bits(self, content: bytes, changes: int = 4) -> bytes:
        """A content with some of its bytes changed."""
        changed = bytearray(content)
        for _ in range(self.random.randint(1, changes)):
            changed[self.random.randrange(len(changed))] = self.random.randrange(256)
        return bytes(changed)

    def part(self, content: bytes) -> bytes:
        """The beginning of a content."""
        return content[: self.random.randrange(len(content))]

    def headers(self) -> Malformed:
        """Request lines and headers that no HTTP client writes."""
        noise = bytes(self.random.randrange(256) for _ in range(self.random.randint(1, 60)))
        good = upload(self.image, "image.png", "image/png")
        head, _, body = good.partition(b"\r\n\r\n")
        bent = [
            noise + b"\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /" + noise + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: x\r\n" + noise + b"\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: x\r\nX: "
            + b"a" * self.random.choice([9_000, 70_000, 300_000])
            + b"\r\n\r\n",
            b"POST /predict HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(3_000)) + b"\r\n",
            head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + body,
            head.replace(b"Content-Length: ", b"Content-Length: -") + b"\r\n\r\n" + body,
            head.replace(b"Content-Length: ", b"Content-Length: 0x") + b"\r\n\r\n" + body,
            head.replace(b"Content-Length: ", b"Content-Length: 99999999999999999999999") + b"\r\n\r\n",
            head + b"\r\nContent-Length: 3\r\n\r\n" + body,
            head + b"\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" + body,
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n0\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
            b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n" + noise,
            self.bits(head) + b"\r\n\r\n" + body,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + noise,
        ]
        return Malformed("headers", self.random.choice(bent), lenient=True, raw=True)

    def paths(self) -> Malformed:
        """Paths and methods that do not exist."""
        path = self.random.choice([
            "/nothing", "/v2/models/other", "/v2/models/other/infer", f"/v2/models/{self.model}/versions/99/infer",
            f"/v2/models/{self.model}/versions/%00/infer", "/v2/models//infer", "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc",
            "/v2/" + "a" * 5_000, "/predict/other", "/v2/models/%ff%fe/infer", "/explain/other", "//predict",
            "/v2/models",
            f"/v2/models/{self.model}/infer/", "/predict?top=x", "/predict?top=-1",
            "/predict?top=99999999999999999999",
            "/predict?tta=nothing", "/predict?model=%00", "/docs/../..", "/static/%2e%2e/%2e%2e/x",
        ])  # fmt: skip
        method = self.random.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"])
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
        return Malformed("paths and methods", head.encode() + b"{}", lenient=True, raw=method == "BREW")

    def shapes(self) -> Malformed:
        """Shapes that don't fit the data, or aren't shapes."""
        height, width, channels = self.size
        shape: Any = self.random.choice([
            [], [1], [0, *self.size], [-1, *self.size], [1, height, width], [1, width, channels], [2, *self.size],
            [1, channels, height, width], [1, *self.size, 1], [1.0, *self.size], ["1", *self.size], [None] * 4, None,
            "x", 7,
            {}, [True, *self.size], [2**31, *self.size], [2**62, 2**62, 2**62, 1], [10**30, 1, 1, 1], [[1],
            *self.size],
            [1, height, width, channels + 1], [1, height + 1, width, channels], [-1, -1, -1, -1], [1, 0, 0, channels],
        ])  # fmt: skip
        return self.infer(self.tensor(shape=shape), "shapes", lenient=shape == [True, *self.size])

    def types(self) -> Malformed:
        """Element types that are not the model's, and fields that are missing or have another type."""
        value: Any = self.random.choice([
            self.tensor(datatype=self.random.choice(["FP32", "uint8", "UINT16", "INT8", "BYTES", "BOOL", "", None, 8,
            [], {}])),
            self.tensor(name=self.random.choice(["image", "", None, 7, [], "images ", "IMAGES", "\x00"])),
            self.tensor(**{self.random.choice(["name", "datatype", "shape", "data"]): ...}),
            {"inputs": self.random.choice([None, [], {}, "x", 7, [None], [[]], [7], self.tensor()["inputs"] * 2])},
            {"inputs": self.tensor()["inputs"], "outputs": self.random.choice([7, "x", [{}], [{"name": "x"}], [None],
            [7]])},
            {"inputs": self.tensor()["inputs"], "parameters": self.random.choice([7, "x", [], [1]])},
            {"inputs": self.tensor()["inputs"], "id": self.random.choice([7, [], {}, True])},
            {}, [], None, 7, "x", True, {"INPUTS": self.tensor()["inputs"]},
        ])  # fmt: skip
        return self.infer(value, "types", lenient=True)

    def values(self) -> Malformed:
        """Data that is not numbers of the type, or too much or too little of it."""
        count = self.size[0] * self.size[1] * self.size[2]
        text = json.dumps(self.tensor(data=[7] * count))
        wrong = self.random.choice([
            "256", "-1", "1.5", "1e3", "NaN", "Infinity", "-Infinity", "null", '"7"', "[7]", "{}", "1e400",
            "9" * 5_000,
            "-0.5", "18446744073709551616", "[]", '"\\ud800"',
        ])  # fmt: skip
        place = self.random.randrange(count)
        bent = [
            text.replace("[7", f"[{wrong}", 1),
            text.replace("7, " * 3, f"7, {wrong}, 7, ", 1),
            json.dumps(self.tensor(data=[7] * place)),
            json.dumps(self.tensor(data=[7] * (count + 1 + place))),
            json.dumps(self.tensor(data=[[7] * place, [7] * (count - place)])),
            json.dumps(self.tensor(data=self.random.choice(["x", 7, {}, None, [], [[]], "AAAA"]))),
        ]
        return self.infer(self.random.choice(bent).encode(), "values")

    def documents(self) -> Malformed:
        """JSON that is cut off, damaged, too deep, or in another encoding."""
        text = json.dumps(self.tensor()).encode()
        deep = self.random.choice([40, 1_000, 100_000])
        bent = [
            self.part(text), self.bits(text), text + b"x", text + text, b"\xef\xbb\xbf" + text,
            text.decode().encode("utf-16"),
            text.decode().encode("utf-32"), b"[" * deep + b"]" * deep, b'{"inputs":' * deep, b"[" * deep, b"", b" ",
            b"\x00",
            text.replace(b'"images"', b'"ima\xffges"'), text.replace(b'"', b"'"), text.replace(b":", b"="),
            b'{"inputs": [], "inputs": ' + text[11:], text.replace(b"[1", b"[01", 1), b"9" * 100_000,
            b'"' + b"\\" * 9_999,
            text.replace(b"7,", b"7,,", 1), text.replace(b'"images"', b'"\\ud800"'), b"//x\n" + text,
        ]  # fmt: skip
        return self.infer(self.random.choice(bent), "documents", lenient=True)

    def binary(self) -> Malformed:
        """The binary extension with lengths that do not fit."""
        count = self.size[0] * self.size[1] * self.size[2]
        size = self.random.choice([count, count, count - 1, count + 1, 0, -1, 2**40, "x", None, 1.5, True])
        head = json.dumps(self.tensor(data=..., parameters={"binary_data_size": size})).encode()
        data = bytes(self.random.choice([count, count - 1, count + 1, 0, 2 * count]))
        length = self.random.choice([
            len(head), len(head), len(head) - 1, len(head) + 1, 0, -1, 10**9, "x", "", 1.5, "1e2", "9" * 300, "+5",
            " ",
            "0x10", "\u0661",
        ])  # fmt: skip
        right = size == count and len(data) == count and str(length) == str(len(head))
        extra = (f"Inference-Header-Content-Length: {length}",)
        request = post(self.path, head + data, self.random.choice(["", "application/octet-stream"]), *extra)
        return Malformed("binary tensors", request, lenient=right or size is True)

    def encodings(self) -> Malformed:
        """Compressed bodies that are damaged, cut off, not compressed, or explode."""
        text = json.dumps(self.tensor()).encode()
        packed = gzip.compress(text, 1)
        body, name = self.random.choice([
            (text, "gzip"), (self.part(packed), "gzip"), (self.bits(packed), "gzip"), (bomb(), "gzip"), (packed, "br"),
            (packed, "deflate"), (zlib.compress(text)[:-3], "deflate"), (packed, "gzip, gzip"), (packed, "GZIP;q=1"),
            (b"", "gzip"), (packed + b"rest", "gzip"), (gzip.compress(packed), "gzip"), (text, "compress"), (text,
            "\x7f"),
            (packed, ""), (packed, "identity"), (packed[:10], "gzip"), (text, "utf-8"),
        ])  # fmt: skip
        request = post(self.path, body, "application/json", f"Content-Encoding: {name}")
        return Malformed("encodings", request, lenient=True)

    def multiparts(self) -> Malformed:
        """Multipart forms that are not quite forms."""
        line = b"--" + BOUNDARY
        ours = b'Content-Disposition: form-data; name="file"; filename="x.png"'
        name = self.random.choice([
            ours, ours.replace(b'filename="x.png"', b"filename*=UTF-8''%e2%82%ac.png"), ours.replace(b"x.png", b""),
            ours.replace(b'; filename="x.png"', b""), ours.replace(b'name="file"; ', b""),
            b"Content-Disposition: form-data",
            b"Content-Disposition: attachment", b"X: 1", b"", ours.replace(b'"', b""), ours.replace(b"x.png",
            b"\xff\x00"),
            ours + b"\r\nContent-Transfer-Encoding: base64", ours.replace(b"file", b"other"), ours.replace(b"x.png",
            b"a" * 9_000),
            ours.replace(b"filename=", b"filename*="), ours + b"\r\n" + ours, ours.replace(b"x.png", b'a\\"b.png'),
        ])  # fmt: skip
        part = line + b"\r\n" + name + b"\r\n\r\n" + self.image + b"\r\n"
        body = self.random.choice([
            part + line + b"--\r\n", part + line + b"--", part, part + line + b"\r\n", part * 3 + line + b"--\r\n",
            b"noise\r\n" + part + line + b"--\r\nnoise", line + b"--\r\n", b"", self.image, self.part(part),
            self.bits(part, 40) + line + b"--\r\n", part.replace(b"\r\n", b"\n") + line + b"--\n",
            b"\r\n" * 1_000 + part,
            (line + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n') * 5_000 + line + b"--\r\n",
        ])  # fmt: skip
        kind = self.random.choice([
            "multipart/form-data; boundary=" + BOUNDARY.decode(),
            "multipart/form-data; boundary=" + BOUNDARY.decode(),
            f'multipart/form-data; boundary="{BOUNDARY.decode()}"', "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=other", "multipart/mixed; boundary=" + BOUNDARY.decode(),
            "multipart/form-data;",
            "multipart/form-data; boundary=" + "a" * 3_000, "application/x-www-form-urlencoded", "text/html", "",
        ])  # fmt: skip
        return Malformed("multipart forms", post("/predict", body, kind), lenient=True)

    def files(self) -> Malformed:
        """Uploads of files that are damaged, cut off, huge, or not images."""
        buffers = []
        for kind, mode in (
            ("JPEG", "RGB"),
            ("PNG", "RGBA"),
            ("GIF", "P"),
            ("TIFF", "L"),
            ("BMP", "RGB"),
            ("PNG", "I;16"),
        ):
            buffer = io.BytesIO()
            Image.new(mode, (self.random.randint(1, 40), self.random.randint(1, 40))).save(buffer, kind)
            buffers.append(buffer.getvalue())
        other = self.random.choice(buffers)
        file = self.random.choice([
            self.part(self.image), self.bits(self.image), self.part(other), self.bits(other, 8), other, b"",
            b"\x00" * 999,
            huge_png(), b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            npy_file(), self.random.randbytes(2_000), b"MM\x00*\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00",
            self.image * 2,
        ])  # fmt: skip
        return Malformed("files", upload(file, "image.png", "image/png"), content=file)

    def cut_off(self) -> Malformed:
        """Bodies shorter than their Content-Length, after which the client says no more."""
        good = upload(self.image, "image.png", "image/png")
        start = good.index(b"\r\n\r\n") + 4
        return Malformed("truncated bodies", good[: self.random.randrange(start, len(good))], raw=True)

    def predictions(self) -> Malformed:
        """JSON for /predict that doesn't hold an input."""
        value: Any = self.random.choice([
            {}, [], None, 7, {"image": 7}, {"image": "%%%"}, {"image": "AAAA"}, {"text": 7}, {"text": "seven"},
            {"signal": [1, "x"]},
            {"inputs": []}, {"image": None}, {"image": ["AAAA"] * 1_000}, {"image": {"b": 1}},
            {"text": ["a"] * 100_000}, {"x": 1},
            {"signal": [[1e400]]}, {"image": "http://127.0.0.1:1/x.png"}, {"image": "/etc/passwd"},
            {"instances": [[1]]},
        ])  # fmt: skip
        path = self.random.choice(["/predict", "/predict", "/explain", f"/predict?model={self.model}"])
        return Malformed("JSON for predictions", post(path, json.dumps(value).encode()))

    def kinds(self) -> list[Callable[[], Malformed]]:
        """Each kind of fault."""
        return [
            self.headers, self.paths, self.shapes, self.types, self.values, self.documents, self.binary,
            self.encodings,
            self.multiparts, self.files, self.cut_off, self.predictions,
        ]  # fmt: skip


@functools.cache
def bomb() -> bytes:
    """A body of 130 kB that is 128 MB of zeros."""
    return gzip.compress(bytes(2**27), 9)


def huge_png() -> bytes:
    """A PNG whose header says 60,000 x 60,000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def npy_file() -> bytes:
    """A NumPy file of numbers that aren't pixels."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([[np.nan, np.inf], [-1.0, 300.0]]))
    return buffer.getvalue()


def malformed_requests(
    count: int, *, model: str, size: tuple[int, int, int], image: bytes, seed: int = 0
) -> Iterator[Malformed]:
    """Malformed requests of all kinds in turn, the same for one seed; `size` is (H, W, C) of the model's images."""
    maker = Maker(model, size, image, random.Random(seed))
    kinds = maker.kinds()
    for index in range(count):
        yield kinds[index % len(kinds)]()


def fault_of(case: Malformed, answer: bytes | None, expected: Callable[[bytes], dict[str, float] | None]) -> str:
    """The fault of an answer; empty if it has none.

    `answer` is all that came before the connection ended or the answer was complete, None if nothing came in time.
    `expected` gives the probabilities of a file's content, or None if the network can't read it.
    """
    if answer is None:
        return "no answer in time"
    if not answer:
        return "" if case.raw else "closed without an answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head[9:12]) if head.startswith(b"HTTP/1.") and head[9:12].isdigit() else 0
    if status >= 500 or status < 200:
        return f"status {status}: {body[:200]!r}"
    if status < 400:
        return fault_of_success(case, status, body, expected)
    if case.content is not None and expected(case.content) is not None:
        return f"status {status} for a file that the network reads: {body[:200]!r}"
    is_head = case.request.startswith(b"HEAD ")
    return "" if is_head or reason_of(body) else f"status {status} without a reason: {body[:200]!r}"


def fault_of_success(
    case: Malformed, status: int, body: bytes, expected: Callable[[bytes], dict[str, float] | None]
) -> str:
    """The fault of an answer with a status below 400."""
    if case.content is None:
        return "" if case.lenient else f"status {status} for a malformed request: {body[:200]!r}"
    found = expected(case.content)
    if found is None:
        return f"status {status} for a file that the network can't read: {body[:200]!r}"
    return "" if is_right(body.decode("utf-8", "replace"), found) else f"a wrong answer: {body[:200]!r}"


def reason_of(body: bytes) -> str:
    """The sentence in an error's body."""
    try:
        value = json.loads(body)
        return str(value["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()
