"""Whether a length of time is to be added, taken away, or reached."""

import re

from audiostory_core.planners.clauses.remarks.vocabulary import (
    FILLER,
    Span,
    Tagged,
)

_APART = re.compile(r"[,;:，、；：]")


def _signs(tagged: Tagged) -> list[tuple[Span, int]]:
    """Return the spans that ask for more (1) or less (-1) time; not those of the length itself."""
    (length,) = (span for span in tagged.spans if "length" in span.tags)
    signs: list[tuple[Span, int]] = []
    for span in tagged.spans:
        if "lasting" in span.tags and span.start > length.start:  # "two seconds long"
            continue
        if span.tags & {"plus", "longer"}:
            signs.append((span, 1))
        elif span.tags & {"minus", "shorter"}:
            signs.append((span, -1))
    return [sign for sign in signs if FILLER not in sign[0].tags] or signs


def sign_of(tagged: Tagged) -> int | None:
    """Return 1 for more time, -1 for less, 0 where the words do not say; None for both."""
    signs = {sign for _, sign in _signs(tagged)}
    return None if len(signs) > 1 else signs.pop() if signs else 0


def is_absolute(tagged: Tagged) -> bool:
    """Tell whether the length is to be reached: "shorter, 2 s", "cut to 2 s"."""
    (length,) = (span for span in tagged.spans if "length" in span.tags)
    before = [span for span in tagged.spans if span.end <= length.start]
    if before and "to_length" in before[-1].tags and not before[-1].tags & {"plus", "minus"}:
        return True
    return any(
        _APART.search(tagged.text[min(span.end, length.end) : max(span.start, length.start)])
        for span, _ in _signs(tagged)
    )
