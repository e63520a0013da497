"""Text of others as a terminal may show it: no character of it does anything.

A terminal obeys control sequences (ESC, and the C1 controls as one character), and controls of the
direction of writing make a line read otherwise than it is. Lone surrogates cannot be encoded.
"""

import re

# All of C0 but tab and newline, DEL and C1, separators of lines, bidi controls, surrogates.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    """Return the text with every control but tab and newline replaced by a visible character."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(document: str) -> str:
    """Return the same JSON document with every control that a terminal may obey as an escape."""
    return _CONTROLS.sub(lambda control: f"\\u{ord(control[0]):04x}", document)
