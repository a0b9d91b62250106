"""Texts of others, made safe to show on a terminal, in a log or in the name of a file."""

from __future__ import annotations

import re

#: What a terminal or a page may take for a command: control characters, those that turn the direction of the text
#: about them, line and paragraph separators, and halves of surrogate pairs, which no encoding can write.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """A name with a question mark for each character that may not be shown as it is."""
    return CONTROL.sub("?", text)


def one_line(text: str) -> str:
    """A sentence with blanks for the characters that may not be shown as they are."""
    return CONTROL.sub(" ", text)


def json_escaped(text: str) -> str:
    """JSON with the characters of its texts escaped that may not be shown as they are; line breaks stay."""
    return CONTROL.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)
