"""Names as they can be shown: what a terminal or a page would swallow, or stumble over, is written as an escape."""

__all__ = ["printable"]


def printable(text: str) -> str:
    r"""The text with control characters, line breaks, odd spaces and broken Unicode as escapes.

    >>> printable("caf\udce9\n.png")
    'caf\\udce9\\n.png'
    """
    if text.isprintable():
        return text
    # A lone surrogate, as in a file name that is not UTF-8, is escaped here too: it could be written nowhere.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
