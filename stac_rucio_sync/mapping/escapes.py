"""One way to write a character that a name cannot hold: ``_xHEX_``, its code point in upper-case hexadecimal digits.

Who escapes also escapes the underscores that would begin such an escape, so that `unescape` is the way back.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"_x([0-9A-F]*)_", re.ASCII)


def escape(match: re.Match[str]) -> str:
    """Write the one character that was matched (for `re.sub`)."""
    return f"_x{ord(match.group()):X}_"


def unescape(text: str) -> str:
    """Return a text with its escapes undone; ``_x_`` stands for nothing at all."""
    return _ESCAPE.sub(_unescaped, text) if "_x" in text else text


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1]
    if not digits:
        return ""
    return chr(code) if len(digits) <= 6 and (code := int(digits, 16)) <= 0x10FFFF else match.group()
