"""Faults of a single text."""

import unicodedata

from neocog.doctor import kinds
from neocog.doctor.digest import digest
from neocog.doctor.facts import Facts

__all__ = ["examine_text", "loose_digest"]

REPLACEMENT = "\ufffd"
SPACES = "\t\n\r\f\v"


def examine_text(text: str) -> Facts:
    """Look at one text."""
    facts = Facts()
    if not text.strip():
        facts.fault(kinds.TEXT_EMPTY)
        return facts
    facts.size = (len(text), 0, 0)
    facts.digest = digest(text.encode(errors="surrogatepass"))
    facts.loose = loose_digest(text)
    if not any(c.isalnum() for c in text):
        facts.fault(kinds.TEXT_NO_LETTERS)
    if odd := sorted({c for c in text if broken(c)}):
        facts.fault(kinds.TEXT_BROKEN, " ".join(f"U+{ord(c):04X}" for c in odd[:5]))
    return facts


def broken(character: str) -> bool:
    """Whether a character replaces a lost one: the replacement mark, controls, halves of surrogate pairs."""
    if character.isprintable():
        return character == REPLACEMENT
    return character not in SPACES and unicodedata.category(character) in ("Cc", "Cs")


def loose_digest(text: str) -> int:
    """64 bits of letters and digits alone, whatever their case; 0 if there are none.

    >>> loose_digest("What a film!") == loose_digest("what  a film ...")
    True
    """
    letters = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
    return digest(letters.encode(errors="surrogatepass")) if letters else 0
