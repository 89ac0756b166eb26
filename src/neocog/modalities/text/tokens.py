"""From a text to its tokens, in any language: words, or single characters.

A text is first brought to one form: small letters if asked for, Unicode's composed form (NFC), and ' for the
typographic apostrophe. Then, as words, each of these is a token, and white space is not:

| token                                             | examples                                       |
|---------------------------------------------------|------------------------------------------------|
| letters, with the marks that belong to them       | film, café, фильм                              |
| ' and one or two letters that end a word          | 's of it's, 't of don't, 'll of we'll          |
| decimal digits                                    | 1999                                           |
| one character of scripts that set no spaces       | each of 映画 and of かな                       |
| any other sign                                    | ! ? ( - and each apostrophe elsewhere          |

Scripts without spaces beyond Chinese and Japanese, such as Thai, give long words: take characters there.
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from neocog.dataset.record import Payload
from neocog.errors import DataError

__all__ = ["Level", "text_of", "tokens"]

Level = Literal["word", "character"]
BYTE_ORDER_MARK = "\ufeff"
JOINER = "\u034f"
UNSPACED = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
MARKED = range(0x300, 0x1F000)  # of Unicode's combining marks, without variants of whole signs


def tokens(text: str, level: Level, *, lowercase: bool) -> Iterator[str]:
    """The tokens of a text, one by one.

    >>> list(tokens("It's 'Ran' (1985)!", "word", lowercase=True))
    ['it', "'s", "'", 'ran', "'", '(', '1985', ')', '!']
    >>> list(tokens("Ran!", "character", lowercase=True))
    ['r', 'a', 'n', '!']
    """
    text = composed(text.lower() if lowercase else text).replace("\u2019", "'")
    return iter(text) if level == "character" else (found[0] for found in patterns()[0].finditer(text))


def composed(text: str) -> str:
    """A text in Unicode's composed form. A joiner follows every 30 marks without a letter between.

    Time would else grow with the square of their number. Source: Unicode standard annex 15, "Stream-Safe Text Format".
    """
    return unicodedata.normalize("NFC", text if text.isascii() else patterns()[1].sub(rf"\g<0>{JOINER}", text))


@functools.cache
def patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """One token of level "word", and 30 combining marks."""
    codes = [code for code in MARKED if unicodedata.category(chr(code)).startswith("M")]
    runs = [list(run) for _, run in itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    marks = "".join(f"{chr(run[0][1])}-{chr(run[-1][1])}" for run in runs)  # much faster than single characters
    letter = rf"[^\W\d_{UNSPACED}]"
    ending = rf"(?<=[^\W_])'{letter}{{1,2}}(?![\w'])"
    return re.compile(rf"{ending}|{letter}(?:{letter}|[{marks}])*|\d+|\S"), re.compile(f"[{marks}]{{30}}")


def text_of(payload: Payload, where: str) -> str:
    """A text as it is, or from UTF-8 bytes. Raises DataError, with `where` and the place, for anything else.

    >>> text_of(b"caf\\xc3\\xa9", "a.txt")
    'café'
    """
    if isinstance(payload, bytes):
        try:
            payload = payload.decode()
        except UnicodeDecodeError as error:
            received = f"byte 0x{payload[error.start]:02x} at offset {error.start:,}"
            raise DataError("A text must be UTF-8.", received=received, where=where, fix="Save it as UTF-8.") from error
    if not isinstance(payload, str):
        raise DataError("A text must be letters.", received=type(payload).__name__, where=where)
    return payload.removeprefix(BYTE_ORDER_MARK)
