"""The inputs of a request to /predict or /explain: a file as the body, parts of a form, or JSON."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.dataset.record import Modality
from neocog.errors import NeocogError, some
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.table import MODALITIES
from neocog.serving.exchange import Call, RequestError
from neocog.serving.protocol import kind_of, short
from neocog.serving.served import Served
from neocog.serving.strict_json import read_json

__all__ = ["Received", "read_received"]

BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;,"]+))', re.IGNORECASE)
USUAL = re.compile(
    rb'content-disposition: *form-data; *name="([^"\\\r\n]*)"(?:; *filename="([^"\\\r\n]*)")?'
    rb"(?:\r\ncontent-type:[^\r\n]*)?",
    re.IGNORECASE,
)
"""The headers of a part as almost all clients write them."""
FORMS = ("file", "values", "text")
WAYS = "Send a file as the body, as a part of a form, or in JSON: /docs shows each."


@dataclass(slots=True)
class Received:
    """The inputs of a request: names and contents."""

    items: list[tuple[str, Any]]
    options: dict[str, str] = field(default_factory=dict)
    """As they were written: in the query, in JSON, or as parts of a form."""
    several: bool = False
    """Whether they came as a list, so that each has an answer or an error of its own."""

    @property
    def weight(self) -> int:
        """Bytes in all."""
        return sum(one.nbytes if isinstance(one, np.ndarray) else len(one) for _, one in self.items)


def read_received(call: Call, body: bytes, served: Served, options: tuple[str, ...]) -> Received:
    """The inputs of a request, by its content type. `options` are the names that it may have besides.

    Raises RequestError for a body that can't be understood, and for an unknown option.
    """
    kind = call.content_type
    if kind == "multipart/form-data":
        found = read_form(body, call.header(b"content-type"), options)
    elif kind == "application/json" or kind.endswith("+json") or looks_like_json(kind, body, served):
        found = read_object(read_json(body, call.server.settings.max_json_depth), served, options)
    else:
        found = Received([("the input", body)])
    found.options |= check_options(call.query, options, "the query")
    if not found.items:
        raise RequestError("Nothing to predict.", received="no input", fix=WAYS)
    most = call.server.settings.max_inputs
    if len(found.items) > most:
        raise RequestError(f"At most {most:,} inputs are taken at once.", received=f"{len(found.items):,}")
    for name, content in found.items:
        if isinstance(content, bytes) and not content:
            raise RequestError("An input must not be empty.", received="no bytes", where=name, fix=WAYS)
    return found


def looks_like_json(kind: str, body: bytes, served: Served) -> bool:
    """Whether a body without a telling type is JSON: curl -d calls everything a form. Texts may begin with a brace."""
    telling = kind not in ("", "application/x-www-form-urlencoded")
    return not telling and not is_text(served) and body[:64].lstrip().startswith(b"{")


def is_text(served: Served) -> bool:
    return MODALITIES[modality_of(served)].is_text


def modality_of(served: Served) -> Modality:
    return served.predictor.preprocess.modality


def check_options(given: dict[str, str], known: tuple[str, ...], where: str) -> dict[str, str]:
    unknown = [name for name in given if name not in known]
    if unknown:
        raise RequestError(
            f"Known options: {', '.join(known)}.", received=some(map(short, unknown)), where=where, fix="Leave it out."
        )
    return given


def read_form(body: bytes, content_type: str, options: tuple[str, ...]) -> Received:
    """The parts of a form: an option if it has the name of one and is not a file, else an input."""
    match = BOUNDARY.search(content_type)
    if match is None:
        raise RequestError(
            "multipart/form-data needs a boundary.", received=short(content_type),
            fix="Leave the Content-Type to your HTTP library.",
        )  # fmt: skip
    found = Received([])
    for head, content in split_form(body, (match[1] or match[2]).encode("latin-1")):
        name, file = read_disposition(head)
        if name in options and file is None:
            found.options[name] = content.decode(errors="replace")
        else:
            found.items.append(((file or name or "the input")[-200:], content))
    found.several = len(found.items) > 1
    return found


def split_form(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The headers and the content of each part of a form. Raises RequestError for a damaged or truncated one.

    >>> list(split_form(b"--X\\r\\nA: b\\r\\n\\r\\nseven\\r\\n--X--\\r\\n", b"X"))
    [(b'A: b', b'seven')]
    """
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or not parts[-1].startswith(b"--"):
        raise wrong_form("it ends before its last boundary" if parts else "no boundary in the body")
    for part in parts[:-1]:
        padding, line, rest = part.partition(b"\r\n")
        head, blank, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not line or not blank:
            raise wrong_form("a part without an end of its headers")
        yield head[2:], content


def wrong_form(received: str) -> RequestError:
    return RequestError(
        "A form must be multipart/form-data as RFC 7578 says.", received=received,
        fix="Leave its making to your HTTP library.",
    )  # fmt: skip


def read_disposition(head: bytes) -> tuple[str, str | None]:
    """The name of a part and of its file, None if it is not a file, from its headers.

    >>> read_disposition(b'content-disposition: form-data; name="file"; filename="seven.png"')
    ('file', 'seven.png')
    """
    if match := USUAL.fullmatch(head):
        name, file = match[1].decode(errors="replace"), match[2]
        return name, None if file is None else file.decode(errors="replace")
    message = message_from_bytes(head + b"\r\n\r\n")  # RFC 2231: filename*=, continued and quoted values
    return str(message.get_param("name", "", "content-disposition")), message.get_filename()


def read_object(given: Any, served: Served, options: tuple[str, ...]) -> Received:
    """The inputs of a JSON object: one, or several in `inputs`."""
    if not isinstance(given, dict):
        raise RequestError("The body must be a JSON object.", received=kind_of(given), fix=WAYS)
    found = Received([], several="inputs" in given)
    for name in options:
        if name in given:
            wanted = int if name == "top" else str
            if type(given[name]) is not wanted:
                kind = "a whole number" if wanted is int else "a string"
                raise RequestError(f"{name} must be {kind}.", received=short(given[name]))
            found.options[name] = str(given[name])
    rest = {name: value for name, value in given.items() if name not in options}
    if not found.several:
        found.items.append(read_item(rest, served, "the input"))
        return found
    rows = rest.pop("inputs")
    if rest or not isinstance(rows, list):
        received = some(map(short, rest)) if rest else kind_of(rows)
        raise RequestError("inputs is a list, and nothing else is beside it.", received=received, fix=WAYS)
    found.items = [read_item(row, served, f"input {i}") for i, row in enumerate(rows)]
    return found


def read_item(given: Any, served: Served, where: str) -> tuple[str, Any]:
    """One input: {"file": base64}, {"values": numbers} or {"text": ...}."""
    if not isinstance(given, dict) or len(given.keys() & {*FORMS}) != 1 or not given.keys() <= {*FORMS, "name"}:
        received = some(map(short, given), 5) if isinstance(given, dict) and given else kind_of(given)
        raise RequestError(
            "An input is an object with one of file (base64), values or text, and a name if it has one.",
            received=received, where=where, fix=WAYS,
        )  # fmt: skip
    name = given.get("name", where)
    if not isinstance(name, str):
        raise RequestError("name must be a string.", received=short(name), where=where)
    if "values" in given:
        return name, read_numbers(given["values"], served, where)
    form = "file" if "file" in given else "text"
    if not isinstance(given[form], str):
        raise RequestError(f"{form} must be a string.", received=kind_of(given[form]), where=where)
    if form == "file":
        return name, read_base64(given["file"], where)
    if not is_text(served) and modality_of(served) != "board":
        raise RequestError(
            f"{served.name} takes {MODALITIES[modality_of(served)].plural}.", received="a text", where=where,
            fix="Send file or values.",
        )  # fmt: skip
    return name, given["text"].encode(errors="replace")


def read_base64(text: str, where: str) -> bytes:
    """The content of a file, also from a data URL."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("file must be base64.", received=short(text), where=where, fix=f"{error}.") from error


def read_numbers(values: Any, served: Served, where: str) -> NDArray[Any]:
    """Numbers in nested lists: pixels of an image, or samples of a signal or a sound, null where one is missing."""
    preprocess, wanted = served.predictor.preprocess, "numbers in nested lists of equal length"
    if is_text(served) or modality_of(served) == "board":
        raise RequestError(f"{served.name} takes text.", received="values", where=where, fix="Send text or file.")
    try:
        array = np.array(values if isinstance(values, list) else None, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(f"values must be {wanted}.", received=short(values), where=where) from error
    if not array.size or array.ndim == 0 or holds_others(values):
        raise RequestError(f"values must be {wanted}.", received=short(values), where=where)
    missing = np.isnan(array) & isinstance(preprocess, SignalPreprocess)
    if not np.isfinite(array[~missing]).all() or (missing.any() and "nan" in repr(values)):
        raise RequestError(
            "values must be finite.", received="NaN, infinity or null", where=where,
            fix="Write null for a missing sample of a signal.",
        )  # fmt: skip
    if not isinstance(preprocess, ImagePreprocess):
        return array if isinstance(preprocess, SignalPreprocess) else array.astype(np.float32)
    if (array != np.floor(array)).any() or array.min() < 0 or array.max() > preprocess.white:
        raise RequestError(
            f"Pixels are whole numbers from 0 to {preprocess.white}.",
            received=f"values from {array.min():g} to {array.max():g}", where=where,
        )  # fmt: skip
    return array.astype(preprocess.pixel_type)


def holds_others(values: list[Any]) -> bool:
    """Whether nested lists hold something that is not a number or null, which NumPy might take for one."""
    flat = values
    while flat and isinstance(flat[0], list):
        flat = [one for row in flat for one in row]
    return not set(map(type, flat)) <= {int, float, type(None)}


def read_top(options: dict[str, str], default: int | None) -> int | None:
    """How many classes or objects to list."""
    given = options.get("top")
    if given is None:
        return default
    if not (given.isascii() and given.isdecimal()) or not 1 <= int(given[:9]) <= 1_000_000:
        raise RequestError("top is a whole number from 1.", received=short(given))
    return int(given[:9])


def sentence(error: Exception) -> str:
    return str(error) if isinstance(error, NeocogError) else "The server failed at this input."
